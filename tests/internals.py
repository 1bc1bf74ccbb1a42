"""All private names of the package that the tests touch, so that a renaming is mended in one place."""

import itertools
import sys
from types import SimpleNamespace

import numpy as np

from sklearn_sgd import MiniBatchSGDRegressor, _compat, _deprecation
from sklearn_sgd import _namespace as namespace
from sklearn_sgd._base import prediction, samples, training, unused
from sklearn_sgd._engine import baseline, cores, late_columns, plan, probe, trend
from sklearn_sgd._engine.automatic import (
    conjugate,
    geometry,
    lanczos,
    on_device,
    preconditioner,
    sample,
    statistics,
    step_size,
)
from sklearn_sgd._engine.compiled import store
from sklearn_sgd._engine.compiled.drivers.layouts import SPAN
from sklearn_sgd._engine.compiled.machine import BoundCall
from sklearn_sgd._engine.finish import coordinates, narrow
from sklearn_sgd._engine.kinks import elsewhere, interior
from sklearn_sgd._engine.kinks import minimum as kinks
from sklearn_sgd._engine.passes import (
    arrays,
    choose,
    device,
    device_automatic,
    drivers,
    full_batch,
    graph,
    normal,
    scaled_sample,
    without_plan,
)
from sklearn_sgd._engine.preparation import columns, curvatures, least_squares, occurring, prepare
from sklearn_sgd._engine.scores import curvature
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams import missed, table
from sklearn_sgd.streaming import staging

# Features from which on variances are kept, and no covariances.
MOST_COVARIANCES = statistics.FULL

# Features that a kernel works on at a time.
FEATURES_AT_A_TIME = SPAN

# Entries of X from which on a full batch is done by several threads.
ENTRIES_FOR_THREADS = full_batch.THREADED

is_canonical = samples.is_canonical
measure, base_rate = statistics.measure, step_size.base_rate
blas_libraries, set_blas_threads = _compat.blas_libraries, _compat.set_blas_threads
threads = cores.threads
deprecation = _deprecation
change_of_average, PATIENCE = late_columns.change_of_average, late_columns.PATIENCE
conjugate_gradients = conjugate.conjugate_gradients
largest_by_lanczos = lanczos.largest_by_lanczos
WideGeometry, Directions, shows = geometry.WideGeometry, geometry.Directions, sample.shows
sample_in_units = scaled_sample.scaled_sample
loss_curvature = curvature
narrow_directions = narrow
by_columns, centre_columns = coordinates.by_columns, coordinates.centre
PinnedCopies = staging.PinnedCopies
latest_falls, slopes_down = trend.latest_falls, trend.slopes_down


def with_largest(monkeypatch, value):
    """Let full batches of sparse rows take a number for the largest curvature."""
    monkeypatch.setattr(preconditioner, "_largest_of_entries", lambda *_: value)


def sums_of_entries(X):
    """The function to sums over the entries of the columns of sparse rows."""
    order = plan.row_numbers(X.shape[0])
    return without_plan.sums_of_entries(columns.as_rows(X, False), order, np.empty(0, X.dtype))


def state_of(model, target=0):
    """Where the descent of a target stands."""
    return model._fitted.states[target]


def record_expected_losses(monkeypatch):
    """Return a list to which fits append the loss expected on new rows, and a model that has it, after each epoch."""
    found, original = [], probe.Probe.expected_loss

    def recorded(self):
        found.append((original(self), *self.others[0][0].state.predictor()))
        return found[-1][0]

    monkeypatch.setattr(probe.Probe, "expected_loss", recorded)
    return found


def record_rows_left_out(monkeypatch):
    """Return a list to which fits append the numbers of the rows that each further descent leaves out."""
    found, original = [], probe.Probe.__init__

    def recorded(self, *given):
        original(self, *given)
        found.extend(left_out.rows for _, left_out in self.others)

    monkeypatch.setattr(probe.Probe, "__init__", recorded)
    return found


def used(**params):
    """Parameters without those that have no effect with the others, which a fit would warn of."""
    needless = {name for name, *_ in unused.unused(MiniBatchSGDRegressor(**params))}
    return {name: value for name, value in params.items() if name not in needless}


def without_kernels(monkeypatch):
    """Let fits run on NumPy's arrays, as without llvmlite."""
    monkeypatch.setattr(drivers, "can_compile", lambda: False)


def count_slopes(monkeypatch):
    """A list that gets the length of each step whose end is examined by a full batch."""
    found, slope = [], full_batch.AllRows.slope

    def counted(self, w, d, step):
        found.append(step)
        return slope(self, w, d, step)

    monkeypatch.setattr(full_batch.AllRows, "slope", counted)
    return found


def keep_in(monkeypatch, *places):
    """Keep machine code in these folders, if no other is named."""
    for name in ("SKLEARN_SGD_CACHE_DIR", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(store, "_own_folders", lambda: [*places])


def with_slow_compiler(monkeypatch, seconds):
    """Let each function take so many seconds to compile, by the clock that users' waits are measured with."""
    times = itertools.count()
    monkeypatch.setattr(store, "time", SimpleNamespace(monotonic=lambda: seconds * ((next(times) + 1) // 2)))
    monkeypatch.setattr(store, "_wait", store.Wait())


def interrupt_compilation(monkeypatch, calls):
    """Interrupt the first calls of the compiler, so many, as Ctrl-C would."""
    optimised, left = store.optimised, iter(range(calls))

    def interrupted(module):
        if next(left, None) is not None:
            raise KeyboardInterrupt
        return optimised(module)

    monkeypatch.setattr(store, "optimised", interrupted)


def in_pieces(monkeypatch, entries, rates=None):
    """Cut epochs into pieces of so many entries of X, or so many learning rates."""
    monkeypatch.setattr(plan, "PIECE", entries)
    if rates is not None:
        monkeypatch.setattr(plan, "RATES", rates)


def draw_at_once(monkeypatch, numbers):
    """Draw so many random numbers at once to permute the samples."""
    monkeypatch.setattr(without_plan, "DRAWS", numbers)


def in_segments(monkeypatch, entries, for_threads=None):
    """Compute full batches in segments of samples from so many entries of X on, in threads from so many."""
    monkeypatch.setattr(full_batch, "LEAST", entries)
    if for_threads is not None:
        monkeypatch.setattr(full_batch, "THREADED", for_threads)


def on_threads(monkeypatch, number):
    """Let fits use that many threads."""
    monkeypatch.setattr(cores, "threads", lambda: number)


def without_normal_matrix(monkeypatch):
    """Let the full-batch automatic step for the squared error read the samples in each epoch."""
    for module in (columns, normal):
        monkeypatch.setattr(module, "affordable", lambda *sizes: False)


def fit_all_columns(monkeypatch):
    """Let fits of sparse rows work on all columns, also on those without entries."""
    monkeypatch.setattr(occurring, "SHARE", 0.0)


def check_in_blocks(monkeypatch, size):
    """Check so many indices of sparse rows at a time."""
    monkeypatch.setattr(samples, "BLOCK", size)


def in_machine_code(monkeypatch):
    """Let machine code do the automatic steps on the normal matrix from the first one on."""
    monkeypatch.setattr(normal, "IN_NUMPY", 0)


def count_readings(monkeypatch):
    """Return a list that gets an entry whenever the gradient of all samples is computed: each reads X once."""
    counted, original = [], full_batch.AllRows.sums
    monkeypatch.setattr(
        full_batch.AllRows, "sums", lambda self, w: counted.append(len(self.order)) or original(self, w)
    )
    return counted


def count_measured(monkeypatch):
    """Return a list of the numbers of samples of which a fit computes covariances."""
    counted, original = [], least_squares.scaled_sample
    monkeypatch.setattr(
        least_squares, "scaled_sample", lambda X, some, *more: counted.append(len(some)) or original(X, some, *more)
    )
    for module in (columns, curvatures, normal):

        def counts(X, kept, *more, original=module.measure, **options):
            counted.append(X.shape[0] if kept is None else len(kept))
            return original(X, kept, *more, **options)

        monkeypatch.setattr(module, "measure", counts)
    return counted


def without_samples(monkeypatch):
    """Let full batches of other losses than the squared error measure all samples in each epoch."""
    monkeypatch.setattr(curvatures, "sample_size", lambda *sizes: None)


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
    for name, module in list(sys.modules.items()):
        if name.startswith("sklearn_sgd.") and getattr(module, "host", None) is original:
            monkeypatch.setattr(module, "host", lambda array: look(array) or original(array))


def rows_of_scratch(monkeypatch, number):
    """Let there be room for so many rows beside X; return a list of how many blocks of predictions were joined."""
    for module in (prediction, on_device, device, baseline):
        monkeypatch.setattr(module, "scratch_rows", lambda X: number)
    joined, cut = [], prediction.gen_batches

    def counted(*sizes):
        blocks = [*cut(*sizes)]
        joined.append(len(blocks))
        return blocks

    monkeypatch.setattr(prediction, "gen_batches", counted)
    return joined


def without_ones(monkeypatch):
    """Let all batches on a device be too large for a column of ones."""
    for name in ("SMALL", "SMALL_ON_HOST"):
        monkeypatch.setattr(device, name, 0)


def chunks_for_a_card(monkeypatch, size):
    """Let a chunk on its way to a card have so many bytes."""
    monkeypatch.setattr("sklearn_sgd.streaming.staging.CHUNK", size)


def tries_at_first(monkeypatch, number):
    """Let a first epoch on a device have so many tries for the length of a step; None: as many as usual."""
    for name in ("FIRST", "FIRST_EXACT") if number else ():
        monkeypatch.setattr(device_automatic, name, number)


def with_graphs(monkeypatch, recorder, steps=4, least=2):
    """Let tensors of the host be as those of a card, on which a recorder stands in for a graph of few steps."""
    monkeypatch.setattr(graph, "has_graphs", lambda X: type(X).__module__ == "torch")
    for name, value in {"CudaGraph": recorder, "STEPS": steps, "LEAST": least}.items():
        monkeypatch.setattr(graph, name, value)


CudaGraph = graph.CudaGraph


# Of streams


def look_seldom(monkeypatch, seconds):
    """Let a stream wait so long for a chunk before it looks whether to go on."""
    monkeypatch.setattr("sklearn_sgd.streaming.prefetch.LOOK", seconds)


def keep_losses(monkeypatch, number):
    """Keep so many losses of the chunks of a stream at least."""
    monkeypatch.setattr("sklearn_sgd._engine.loss_record.KEPT", number)


# Of the classes for Dask, which need an extra: imported when they are used.


def samples_on(client, model, X, y, rows):
    """Samples on the workers, in blocks of so many."""
    from sklearn_sgd.dask.blocks import Blocks
    from sklearn_sgd.dask.cluster import ClusterRows

    blocks = [(X[start : start + rows], y[start : start + rows]) for start in range(0, len(X), rows)]
    return ClusterRows.of(Blocks(client, model.to_local(), blocks, None))


def one_chain_per_block(monkeypatch):
    """Let each block on a cluster be a chain of its own, wherever it lies."""
    from sklearn_sgd.dask.blocks import Blocks

    monkeypatch.setattr(Blocks, "chains", property(lambda self: [[number] for number in range(len(self.futures))]))


def one_chain(monkeypatch):
    """Let all blocks on a cluster be one chain, wherever they lie."""
    from sklearn_sgd.dask.blocks import Blocks

    monkeypatch.setattr(Blocks, "chains", property(lambda self: [list(range(len(self.futures)))]))


def watch_gather(monkeypatch, look):
    """Call a function whenever results of tasks on a cluster are waited for."""
    from sklearn_sgd.dask.blocks import Blocks

    gather = Blocks.gather
    monkeypatch.setattr(Blocks, "gather", lambda self, futures: look() or gather(self, futures))


def collect_few(monkeypatch, entries):
    """Let at most so many entries of X be collected from a cluster at once."""
    monkeypatch.setattr(elsewhere, "ENTRIES", entries)


def skip_full_batches_at_the_end(monkeypatch):
    """Let fits take it that the full batches at their end have reached the minimum."""

    def reached(plan, state, *args):
        return state.vectors.average, 0.0, None

    monkeypatch.setattr("sklearn_sgd._engine.finish.ending.full_batches", reached)


def end_search_of_kinks(monkeypatch):
    """Let the search for the minimum of losses with kinks end after few steps."""
    monkeypatch.setattr(interior, "ITERATIONS", 4)
    monkeypatch.setattr(kinks, "STEPS", 1)


def steps_of_interior_points(monkeypatch, before):
    """Call a function with the number of steps so far before each one of the interior-point method."""
    numbers, step = itertools.count(), interior.Interior._step

    def watched(self, *args):
        before(next(numbers))
        return step(self, *args)

    monkeypatch.setattr(interior.Interior, "_step", watched)


def without_dask_client(monkeypatch):
    """Let there be no Dask client in use."""
    from sklearn_sgd.dask import collections

    def none(client):
        raise ValueError("No clients found")

    monkeypatch.setattr(collections, "default_client", none)


def forget_warnings(monkeypatch):
    """Let parts that run in NumPy be reported again."""
    monkeypatch.setattr(choose, "_warned", set())


def count_short_calls(monkeypatch):
    """Return a list that gets an entry whenever `partial_fit` goes the short way."""
    calls, run = [], BoundCall.__call__

    def counted(self, changed):
        if "rates" in changed:  # The calls that write out rows for scores have none.
            calls.append(changed)
        return run(self, changed)

    monkeypatch.setattr(BoundCall, "__call__", counted)
    return calls


def spy_on_products(monkeypatch, look):
    """Return a list that gets what ``look`` returns whenever samples are multiplied for statistics of the features."""
    seen, measure_dense = [], statistics._measure_dense

    def measured(*args):
        seen.append(look())
        return measure_dense(*args)

    monkeypatch.setattr(statistics, "_measure_dense", measured)
    return seen


def count_pools(monkeypatch):
    """Return a list that gets an entry for each pool of threads."""
    pools, kind = [], cores.ThreadPoolExecutor

    def made(*args, **kwargs):
        pools.append(args)
        return kind(*args, **kwargs)

    monkeypatch.setattr(cores, "ThreadPoolExecutor", made)
    return pools


def with_all_columns(monkeypatch):
    """Let streams of sparse rows keep their states as a whole."""
    monkeypatch.setattr(missed.LazyRules, "of", classmethod(lambda kind, recipe: None))


def interrupt_tables(monkeypatch):
    """Interrupt whoever makes a version of a table, as Ctrl-C would."""

    def interrupted(self, rows):
        raise KeyboardInterrupt

    monkeypatch.setattr(table.Table, "__init__", interrupted)


def lock_of_tables():
    """The lock under which versions of tables are made."""
    return table._lock


def is_by_column(model):
    """Whether the states of a stream are kept by column."""
    return model._fitted.by_column is not None


def without_lags(monkeypatch):
    """Let steps of reduced variance change all columns, those without entries, too."""
    monkeypatch.setattr(drivers.Drivers, "_lags", lambda self, plan, piece: False)


def filled_columns(model):
    """Numbers of the columns with few gaps in a stream of sparse rows."""
    return model._fitted.by_column.filled


def without_restarts(monkeypatch):
    """Let young streams of robust losses go on from where their first targets have led them."""
    monkeypatch.setattr(prepare, "limit_first_targets", lambda plan, state: plan)


def length_of_step(slopes, y, z, along, step, fall):
    """Length of a step that changes predictions by -along, and the number of slopes that were needed."""
    found = []

    def slope(w, d, length):
        found.append(length)
        return -float(np.mean(slopes(y, z - length * along) * along))

    w = np.ones(1)
    return arrays._line_search(SimpleNamespace(slope=slope), w, w, step, fall, 0.0, 0.0, False), len(found)


def length_on_device(xp, slopes, y, z, along, step, fall, tries):
    """The same, found on a device."""
    there, one = [xp.asarray(values) for values in (y, z, along)], xp.ones(1, dtype=xp.float64)
    place = SimpleNamespace(
        xp=xp,
        parts=SimpleNamespace(slope=slopes),
        zeros=lambda number: xp.zeros(number, dtype=xp.float64),
        wide=lambda values: values,
        inner=lambda a, b: a @ b,
    )
    rows = SimpleNamespace(y=there[0], number=len(y), weighted=lambda values: values)
    length, most = device_automatic.LineSearch(place, False, tries)(
        rows, one, there[1], one, fall * one, None, xp.asarray(step, dtype=xp.float64), there[2]
    )
    return float(length), int(most)
