"""The same random_state and data give the same bits: in any process, first or later, on any number of threads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_sgd

pytest.importorskip("llvmlite", reason="elsewhere nothing is compiled, which is what may happen at once")

# Prints a hash for each fit, or the different ones that were found: each thread fits all of them twice.
FITS = """
import hashlib, sys, threading, warnings
import numpy as np
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import PolynomialFeatures
from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

X = np.random.default_rng(0).standard_normal((3000, 12)) * np.arange(1, 13) + 3
y = X @ np.arange(12) + np.sin(np.arange(3000))
wide = PolynomialFeatures(2, include_bias=False).fit_transform  # 90 columns
few = {"random_state": 0, "epochs": 3}
fits = [
    (kind, few | params, form)
    for kind, params, form in (
        (MiniBatchSGDRegressor, {}, np.asarray),
        (BatchGDRegressor, {"loss": "huber", "epsilon": 1.0}, np.asarray),
        (OnlineSGDRegressor, {"learning_rate": "constant", "eta0": 1e-4}, np.float32),
        (BatchGDRegressor, {}, np.asarray),
        (OnlineSGDRegressor, {}, np.asarray),
        (MiniBatchSGDRegressor, {}, wide),
        (MiniBatchSGDRegressor, {"penalty": "l1", "alpha": 0.1}, sparse.csr_array),
        (MiniBatchSGDRegressor, {"optimizer": "saga"}, np.asarray),
        (MiniBatchSGDRegressor, {"shuffle": "batches", "early_stopping": True}, np.float32),
    )
]
found = [set() for _ in fits]


def bits(kind, params, form):
    rows = form(X)
    model = kind(**params).fit(rows, y)
    numbers = [np.append(model.coef_, model.intercept_), model.loss_curve_, model.predict(rows[:9])]
    if params == few:
        for start, stop in [(0, 1000), *((row, row + 1) for row in range(1000, 1100)), (1200, 3000)]:
            model.partial_fit(rows[start:stop], y[start:stop])
        numbers.append(model.coef_)
    return hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in numbers)).hexdigest()


def run(first):
    together.wait()
    for number in 2 * [*range(first, len(fits)), *range(first)]:
        found[number].add(bits(*fits[number]))


warnings.simplefilter("ignore", ConvergenceWarning)
sys.setswitchinterval(1e-4)
count = int(sys.argv[1])
together = threading.Barrier(count)
# In each thread another fit is the first, but the first two of them begin alike.
threads = [threading.Thread(target=run, args=(max(0, number - 1),)) for number in range(count - 1)]
for thread in threads:
    thread.start()
run(0)
for thread in threads:
    thread.join()
for hashes in found:
    print(*sorted(hashes))
"""


def start(python_threads, cache, cores):
    """A new process that fits in so many threads, and may use so many cores."""
    numbers = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(cores))
    environment = os.environ | numbers | {"PYTHONPATH": str(Path(sklearn_sgd.__file__).parent.parent)}
    if cache:
        environment["SKLEARN_SGD_CACHE_DIR"] = str(cache)
    command = [sys.executable, "-P", "-W", "error::RuntimeWarning", "-c", FITS, str(python_threads)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_same_bits_everywhere(tmp_path):
    """With a warm cache in one thread, with a cold one in six threads at once, and with the cache that these wrote."""
    alone, at_once = start(1, None, cores=1), start(6, tmp_path, cores=4)
    printed = [process.communicate(timeout=300) for process in (alone, at_once)]
    printed.append(start(2, tmp_path, cores=2).communicate(timeout=300))
    first, *others = (lines.split() for lines, _ in printed)
    assert len(first) == 9, printed[0][1]
    assert others == [first, first], printed
