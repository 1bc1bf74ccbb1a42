"""All private names of the package that the tests touch, so that a renaming is mended in one place."""

from sklearn_sgd import _callbacks, regressors
from sklearn_sgd._engine import arrays, baseline, full, loop, namespace, plan, step
from sklearn_sgd._engine.rows import SPAN
from sklearn_sgd._engine.state import State

# Features from which on variances are kept, and no covariances.
MOST_COVARIANCES = step.FULL

# Features that a kernel works on at a time.
FEATURES_AT_A_TIME = SPAN

# Entries of X from which on a full batch is done by several threads.
ENTRIES_FOR_THREADS = full.THREADED

measure = step.measure
threads = full.threads


def without_kernels(monkeypatch):
    """Let fits run on NumPy's arrays, as without Numba."""
    monkeypatch.setattr(loop, "_kernels", lambda: None)


def in_pieces(monkeypatch, entries, rates=None):
    """Cut epochs into pieces of so many entries of X, or so many learning rates."""
    monkeypatch.setattr(plan, "PIECE", entries)
    if rates is not None:
        monkeypatch.setattr(plan, "RATES", rates)


def draw_at_once(monkeypatch, numbers):
    """Draw so many random numbers at once to permute the samples."""
    monkeypatch.setattr(loop, "DRAWS", numbers)


def in_segments(monkeypatch, entries, for_threads=None):
    """Compute full batches in segments of samples from so many entries of X on, in threads from so many."""
    monkeypatch.setattr(full, "LEAST", entries)
    if for_threads is not None:
        monkeypatch.setattr(full, "THREADED", for_threads)


def on_threads(monkeypatch, number):
    """Compute full batches on that many threads."""
    monkeypatch.setattr(full, "threads", lambda: number)


def without_normal_matrix(monkeypatch):
    """Let the full-batch automatic step for the squared error read the samples in each epoch."""
    monkeypatch.setattr(plan, "affordable", lambda *sizes: False)


def count_fall_backs(monkeypatch):
    """Return a list that gets an entry whenever a fit is replaced by the best constant."""
    counted, original = [], State.fall_back
    monkeypatch.setattr(State, "fall_back", lambda self, constant: counted.append(constant) or original(self, constant))
    return counted


def with_clock(monkeypatch, clock):
    """Let fits take the time from a function."""
    monkeypatch.setattr(regressors, "monotonic", clock)


def without_callbacks(monkeypatch, kind):
    """Let a class fit as with a scikit-learn that has no callbacks."""
    monkeypatch.setattr(kind, "_init_callback_context", lambda self, **_: _callbacks.Silent(), raising=False)


def watch_the_host(monkeypatch, look):
    """Call a function with each array of another library that is copied to the host."""
    original = namespace.host
    for module in (arrays, baseline, plan, step, regressors):
        monkeypatch.setattr(module, "host", lambda array: look(array) or original(array))
