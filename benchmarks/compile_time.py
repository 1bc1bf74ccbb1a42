"""Import, first fit and memory, each in new processes: ``python benchmarks/compile_time.py``."""

import os
import statistics
import subprocess
import sys
import tempfile

IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
FIT = """
import time
import numpy as np
import sklearn_sgd
X = np.random.default_rng(0).standard_normal((2000, 10))
y = X[:, 0] + np.random.default_rng(1).standard_normal(2000)
for _ in range(2):
    start = time.perf_counter()
    sklearn_sgd.{}().fit(X, y)
    print(time.perf_counter() - start)
"""
MEMORY = """
import re
import numpy as np
from sklearn_sgd import {}
def status(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read()).group(1)) / 1024
X = np.random.default_rng(0).standard_normal((1_000_000, 50)){}
y = X[:, 0].astype(float)
{}.fit(X[:2000], y[:2000])
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
{}.fit(X, y)
print((status("VmHWM") - before), X.nbytes / 2**20)
"""
CLASSES = ("BatchGDRegressor", "MiniBatchSGDRegressor", "OnlineSGDRegressor")


def answers(code: str, **environment) -> list[float]:
    """What a new process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


def main() -> None:
    theirs, ours = [], []
    for _ in range(5):
        theirs += answers(IMPORT.format("sklearn.linear_model"))
        ours += answers(IMPORT.format("sklearn_sgd"))
    own, other = statistics.median(ours), statistics.median(theirs)
    print(f"import sklearn_sgd: {own:.2f} s, {own / other:.2f} times that of sklearn.linear_model")
    for name in CLASSES:
        with tempfile.TemporaryDirectory() as folder:
            runs = [answers(FIT.format(name), NUMBA_CACHE_DIR=folder) for _ in range(4)]
        cold, warm = runs[0][0], statistics.median(first - later for first, later in runs[1:])
        print(f"{name}: first fit {cold:.2f} s with a cold cache; with a warm one {warm:.2f} s more than later fits")
    if not os.path.exists("/proc/self/clear_refs"):
        print("memory: only measured on Linux")
        return
    for name, model, form in (
        *((f"{name}()", f"{name}(epochs=3)", "") for name in CLASSES),
        ('BatchGDRegressor("huber")', 'BatchGDRegressor("huber", epochs=3)', ""),
        ("BatchGDRegressor(), Fortran order", "BatchGDRegressor()", '.copy(order="F")'),
        ("BatchGDRegressor(), integers", "BatchGDRegressor()", ".astype(int)"),
    ):
        extra, size = answers(MEMORY.format(", ".join(CLASSES), form, model, model))
        print(f"{name}: {extra:.0f} MB more at the peak of fit, of X {extra / size:.0%}")


if __name__ == "__main__":
    main()
