"""All private names of the package that the tests touch, so that a renaming is mended in one place."""

from sklearn_sgd import _compat
from sklearn_sgd import _namespace as namespace
from sklearn_sgd._base import estimator, fitted, training, validation
from sklearn_sgd._engine import baseline, plan, prepare, trend
from sklearn_sgd._engine.automatic import preconditioner, statistics
from sklearn_sgd._engine.compiled.drivers.layouts import SPAN
from sklearn_sgd._engine.passes import arrays, choose, drivers, full_batch
from sklearn_sgd._engine.state import State

# Features from which on variances are kept, and no covariances.
MOST_COVARIANCES = statistics.FULL

# Features that a kernel works on at a time.
FEATURES_AT_A_TIME = SPAN

# Entries of X from which on a full batch is done by several threads.
ENTRIES_FOR_THREADS = full_batch.THREADED

measure = statistics.measure
latest_falls, slopes_down = trend.latest_falls, trend.slopes_down
threads = full_batch.threads


def without_kernels(monkeypatch):
    """Let fits run on NumPy's arrays, as without llvmlite."""
    monkeypatch.setattr(choose, "can_compile", lambda: False)


def in_pieces(monkeypatch, entries, rates=None):
    """Cut epochs into pieces of so many entries of X, or so many learning rates."""
    monkeypatch.setattr(plan, "PIECE", entries)
    if rates is not None:
        monkeypatch.setattr(plan, "RATES", rates)


def draw_at_once(monkeypatch, numbers):
    """Draw so many random numbers at once to permute the samples."""
    monkeypatch.setattr(drivers, "DRAWS", numbers)


def in_segments(monkeypatch, entries, for_threads=None):
    """Compute full batches in segments of samples from so many entries of X on, in threads from so many."""
    monkeypatch.setattr(full_batch, "LEAST", entries)
    if for_threads is not None:
        monkeypatch.setattr(full_batch, "THREADED", for_threads)


def on_threads(monkeypatch, number):
    """Compute full batches on that many threads."""
    monkeypatch.setattr(full_batch, "threads", lambda: number)


def without_normal_matrix(monkeypatch):
    """Let the full-batch automatic step for the squared error read the samples in each epoch."""
    monkeypatch.setattr(prepare, "affordable", lambda *sizes: False)


def count_fall_backs(monkeypatch):
    """Return a list that gets an entry whenever a fit is replaced by the best constant."""
    counted, original = [], State.fall_back
    monkeypatch.setattr(State, "fall_back", lambda self, constant: counted.append(constant) or original(self, constant))
    return counted


def with_clock(monkeypatch, clock):
    """Let fits take the time from a function."""
    monkeypatch.setattr(training, "monotonic", clock)


def without_callbacks(monkeypatch, kind):
    """Let a class fit as with a scikit-learn that has no callbacks."""
    silent = _compat.SilentCallbackContext()
    monkeypatch.setattr(kind, "_init_callback_context", lambda self, **_: silent, raising=False)


def watch_the_host(monkeypatch, look):
    """Call a function with each array of another library that is copied to the host."""
    original = namespace.host
    engine = (arrays, baseline, prepare, statistics, preconditioner)
    for module in (*engine, estimator, fitted, validation):
        monkeypatch.setattr(module, "host", lambda array: look(array) or original(array))


# Of the classes for Dask, which need an extra: imported when they are used.


def one_chain_per_block(monkeypatch):
    """Let each block on a cluster be a chain of its own, wherever it lies."""
    from sklearn_sgd.dask.blocks import Blocks

    monkeypatch.setattr(Blocks, "chains", property(lambda self: [[number] for number in range(len(self.futures))]))


def watch_gather(monkeypatch, look):
    """Call a function whenever results of tasks on a cluster are waited for."""
    from sklearn_sgd.dask.blocks import Blocks

    gather = Blocks.gather
    monkeypatch.setattr(Blocks, "gather", lambda self, futures: look() or gather(self, futures))


def without_dask_client(monkeypatch):
    """Let there be no Dask client in use."""
    from sklearn_sgd.dask import collections

    def none(client):
        raise ValueError("No clients found")

    monkeypatch.setattr(collections, "default_client", none)


def forget_warnings(monkeypatch):
    """Let parts that run in NumPy be reported again."""
    monkeypatch.setattr(choose, "_warned", set())
