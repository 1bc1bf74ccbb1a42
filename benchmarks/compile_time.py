"""Import, compilation and memory, each in new processes: ``python benchmarks/compile_time.py``."""

import os
import statistics
import subprocess
import sys
import tempfile

IMPORT = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
FIT = """
import time
import warnings
from typing import NamedTuple
import numpy as np
from scipy import sparse
import sklearn_sgd
from sklearn_sgd._engine.compiled import store
class Own(NamedTuple):
    width: float = 2.0
    def value(self, y, p):
        return self.width**2 * (np.sqrt(1.0 + ((p - y) / self.width) ** 2) - 1.0)
    def gradient(self, y, p):
        return (p - y) / np.sqrt(1.0 + ((p - y) / self.width) ** 2)
X = np.random.default_rng(0).standard_normal((2000, 10))
y = np.exp(0.1 * X[:, 0] + 0.1 * np.random.default_rng(1).standard_normal(2000))
for _ in range(2):
    start = time.perf_counter()
    sklearn_sgd.{}.fit({}, y)
    print(time.perf_counter() - start)
print(store.compilations)
"""
FITS = {
    "BatchGDRegressor()": "X",
    "MiniBatchSGDRegressor()": "X",
    "OnlineSGDRegressor()": "X",
    "MiniBatchSGDRegressor(), CSR": "sparse.csr_matrix(X)",
    "MiniBatchSGDRegressor(), float32": "X.astype(np.float32)",
    "BatchGDRegressor('huber')": "X",
    "MiniBatchSGDRegressor('huber')": "X",
    "MiniBatchSGDRegressor('poisson')": "X",
    "OnlineSGDRegressor(learning_rate='constant')": "X",
    "MiniBatchSGDRegressor(learning_rate='constant', optimizer='adam')": "X",
}
OWN = "MiniBatchSGDRegressor(Own())"
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


def numbers_of(code: str, **environment) -> list[float]:
    """Return the numbers that a new process prints."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [float(word) for word in done.stdout.split()]


def compile_table() -> None:
    """Print what first fits compile, and their additional seconds with an empty cache and with a full one."""
    print(f"{'first fit in a new process':<68} {'compiled':>8} {'empty cache':>12} {'full cache':>11}")
    for name, X in FITS.items():
        code = FIT.format(name.partition(", CSR")[0].partition(", float")[0], X)
        with tempfile.TemporaryDirectory() as folder:
            runs = [numbers_of(code, SKLEARN_SGD_CACHE_DIR=folder) for _ in range(4)]
        warm = statistics.median(first - later for first, later, _ in runs[1:])
        print(f"{name:<68} {runs[0][2]:>8.0f} {runs[0][0] - runs[0][1]:>10.2f} s {warm:>9.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        numbers_of(FIT.format("MiniBatchSGDRegressor()", "X"), SKLEARN_SGD_CACHE_DIR=folder)
        first, later, number = numbers_of(FIT.format(OWN, "X"), SKLEARN_SGD_CACHE_DIR=folder)
    print(f"{OWN + ', a loss of the user, all else cached':<68} {number:>8.0f} {first - later:>10.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sklearn_sgd.precompile"]
        environment = os.environ | {"SKLEARN_SGD_CACHE_DIR": folder}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    print(f"{'everything, both precisions: python -m sklearn_sgd.precompile':<68} {done.stdout.split()[0]:>8}")


def main() -> None:
    theirs, ours = [], []
    for _ in range(5):
        theirs += numbers_of(IMPORT.format("sklearn.linear_model"))
        ours += numbers_of(IMPORT.format("sklearn_sgd"))
    own, other = statistics.median(ours), statistics.median(theirs)
    print(f"import sklearn_sgd: {own:.2f} s, {own / other:.2f} times that of sklearn.linear_model")
    compile_table()
    if not os.path.exists("/proc/self/clear_refs"):
        print("memory: only measured on Linux")
        return
    for name, model, form in (
        *((f"{name}()", f"{name}(epochs=3)", "") for name in CLASSES),
        ('BatchGDRegressor("huber")', 'BatchGDRegressor("huber", epochs=3)', ""),
        ("BatchGDRegressor(), Fortran order", "BatchGDRegressor()", '.copy(order="F")'),
        ("BatchGDRegressor(), integers", "BatchGDRegressor()", ".astype(int)"),
    ):
        extra, size = numbers_of(MEMORY.format(", ".join(CLASSES), form, model, model))
        print(f"{name}: {extra:.0f} MB more at the peak of fit, of X {extra / size:.0%}")


if __name__ == "__main__":
    main()
