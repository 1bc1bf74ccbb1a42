"""What all tests share: a folder for machine code, and the spy that records which rows a fit saw, in which order."""

import os
import warnings
from pathlib import Path

# SciPy reads it when it is imported: arrays of other libraries are welcome.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import internals
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

REPOSITORY = Path(__file__).parent.parent

# One folder for all workers and the processes that tests start, so that each kernel is compiled once.
os.environ.setdefault("SKLEARN_SGD_CACHE_DIR", str(REPOSITORY / ".pytest_cache" / "machine_code"))


class Spy:
    """Squared error that writes down the targets of each batch; with row numbers as targets, the order of the rows."""

    def __init__(self):
        self.batches = []

    def value(self, y, p):
        return 0.5 * (p - y) ** 2

    def gradient(self, y, p):
        if np.ndim(p):
            self.batches.append(y.astype(int).tolist())
        return p - y

    def epochs(self, n_epochs):
        """Row numbers of each epoch."""
        rows = [row for batch in self.batches for row in batch]
        return np.reshape(rows, (n_epochs, -1))


@pytest.fixture
def spy_on():
    """What `fit` of a model like this one would see in n rows: the spy."""

    def look(model, n, sample_weight=None):
        spy = Spy()
        # At this rate nothing is learned, so no batch is the last.
        quiet = clone(model).set_params(loss=spy, learning_rate="constant", eta0=1e-12, tol=None)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            quiet.fit(np.zeros((n, 1)), np.arange(n), sample_weight)
        return quiet.loss

    return look


@pytest.fixture
def on_arrays(monkeypatch):
    """Fit a model by the pass on NumPy's arrays."""

    def fit(model, *args):
        with monkeypatch.context() as context:
            internals.without_kernels(context)
            return model.fit(*args)

    return fit


@pytest.fixture
def pa():
    return pytest.importorskip("pyarrow", reason="needs pyarrow, extra stream")


@pytest.fixture(scope="session")
def shared_data():
    """The folder of data sets beside the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the data sets in ../shared/data")
    return folder
