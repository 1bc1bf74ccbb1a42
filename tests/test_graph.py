"""Steps by a CUDA graph: on the host, a record of torch's operations stands in for it."""

from contextlib import contextmanager, nullcontext

import internals
import numpy as np
import pytest
import sklearn
from problems import covering, in_domain, linear, some_weights, used
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version
from transfers import VIEWS, counted

from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.optimizers import OPTIMIZERS

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves, tree_map  # noqa: E402

pytestmark = [
    pytest.mark.skipif(
        parse_version(sklearn.__version__) < parse_version("1.7"), reason="array API dispatch needs scikit-learn 1.7"
    ),
    pytest.mark.filterwarnings("ignore:.*The fit ends worse than:sklearn.exceptions.ConvergenceWarning"),
]

# Of 61 rows: three graphs of four steps, three steps, and a shorter one.
PARAMS = {"learning_rate": "invscaling", "eta0": 0.01, "epochs": 3, "tol": None, "batch_size": 4, "random_state": 0}


class Record(TorchDispatchMode):
    """Repeats operations on the same tensors, as a graph does; what the host has computed in between stays the same."""

    def __init__(self, place):
        super().__init__()
        self.lines, self.made = [], set()

    def record(self, work):
        work()
        with pytest.MonkeyPatch.context() as patch, counted("torch", patch) as transfers, self:
            work()
        assert transfers.read == transfers.sent == 0
        records.append(self)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        self.lines.append((function, args, kwargs or {}, result))
        return result

    def replay(self):
        self.replays = getattr(self, "replays", 0) + 1
        now = dict(self.before())

        def there(value):
            return now.get(id(value), value) if isinstance(value, torch.Tensor) else value

        for function, args, kwargs, made in self.lines:
            found = function(*tree_map(there, args), **tree_map(there, kwargs))
            now.update((id(old), new) for old, new in zip(tree_leaves(made), tree_leaves(found), strict=True))

    def before(self):
        """Tensors to use instead of others."""
        return {}


class Refusing(Record):
    def record(self, work):
        work()
        raise RuntimeError("operation not permitted when stream is capturing")


class Idle(Record):
    def replay(self):
        pass


class Spoiling(Record):
    """What it changes becomes no number."""

    def replay(self):
        super().replay()
        for function, args, _, _ in self.lines:
            if function.overloadpacket.__name__.endswith("_"):
                args[0].fill_(torch.nan)


class Stale(Record):
    """Has the numbers in it that there were when it was recorded: those of steps, or of rows."""

    kept = torch.float64

    def record(self, work):
        super().record(work)
        made = {id(tensor) for line in self.lines for tensor in tree_leaves(line[3])}
        read = {id(t): t for line in self.lines for t in tree_leaves(line[1]) if isinstance(t, torch.Tensor)}
        numbers = [t for key, t in read.items() if key not in made and t.dtype == self.kept and is_input(t)]
        assert len(numbers) == 1
        self.old = {id(t): t.clone() for t in numbers}

    def before(self):
        return self.old


class StaleRows(Stale):
    kept = torch.int64


def is_input(tensor):
    """Whether these are row numbers, or the three numbers of each of four steps."""
    return tensor.shape in ((16,), (4, 3))


records: list[Record] = []


@pytest.fixture(autouse=True)
def no_records():
    records.clear()


@contextmanager
def graphs(recorder=Record, **sizes):
    """Make steps by a recorder while the block runs."""
    with pytest.MonkeyPatch.context() as patch, sklearn.config_context(array_api_dispatch=True):
        if recorder is not None:
            internals.with_graphs(patch, recorder, **sizes)
        yield


def fitted(model, arrays, recorder=Record, dtype="float64", **sizes):
    with graphs(recorder, **sizes):
        return clone(model).fit(*(torch.asarray(array, dtype=getattr(torch, dtype)) for array in arrays))


def numbers_of(model):
    return np.hstack([np.ravel(model.coef_), np.ravel(model.intercept_), np.ravel(model.loss_curve_)])


def assert_same(model, other, tolerance):
    np.testing.assert_allclose(numbers_of(model), numbers_of(other), rtol=tolerance, atol=tolerance)


KINDS = {
    "plain": {},
    "averaged": {"average": True},
    "averaged late": {"average": 5},
    "no shuffle": {"shuffle": False, "learning_rate": "constant", "weighted": True},
    "no intercept": {"fit_intercept": False, "average": 5, "weighted": True},
    "two targets": {"targets": 2, "learning_rate": "constant"},
}
STEPS = [name for name in OPTIMIZERS if name not in ("svrg", "saga")]


@covering({"optimizer": STEPS, "penalty": [None, "l2", "l1", "elasticnet"], "kind": [*KINDS], "ones": [True, False]})
def test_fits_are_those_of_numpy(optimizer, penalty, kind, ones, monkeypatch):
    if not ones:
        internals.without_ones(monkeypatch)
    params = PARAMS | {"optimizer": optimizer, "penalty": penalty, "alpha": 0.1} | KINDS[kind]
    assert_same_as_numpy("squared_error", **params)


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_are_those_of_numpy(loss):
    assert_same_as_numpy(loss, **PARAMS, optimizer="momentum", penalty="l2", alpha=0.1)


def assert_same_as_numpy(loss, targets=1, weighted=False, **params):
    X, y = linear(61)
    y = in_domain(LOSSES[loss](), y)
    arrays = [X, y if targets == 1 else np.column_stack([y, y[::-1]]), *[some_weights(61)] * weighted]
    model = MiniBatchSGDRegressor(loss, **used(**params))
    expected, there = clone(model).fit(*arrays), fitted(model, arrays)
    assert sum(record.replays for record in records) >= 9 * targets
    assert_same(there, expected, 1e-10)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("optimizer", STEPS)
def test_single_precision(optimizer, average):
    arrays = linear(61)
    model = MiniBatchSGDRegressor(**used(**PARAMS, optimizer=optimizer, penalty="l1", alpha=0.01, average=average))
    assert_same(fitted(model, arrays, dtype="float32"), fitted(model, arrays, None, "float32"), 2e-6)
    assert records


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        (Refusing, "cannot be recorded: operation not permitted"),
        (Idle, "gives other results"),
        (Spoiling, "gives other results"),
        (Stale, "gives other results"),
        (StaleRows, "gives other results"),
    ],
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_a_graph_cannot_do_is_done_without_one(optimizer, recorder, reason):
    """With one warning in a fit, and the results to the last bit; only sums of losses have other parts."""
    model, arrays = MiniBatchSGDRegressor(optimizer=optimizer, average=5, **PARAMS | {"eta0": 0.1}), linear(61)
    with pytest.warns(RuntimeWarning, match=reason) as warned:
        there = fitted(model, arrays, recorder)
    [ours] = [warning for warning in warned if warning.category is RuntimeWarning]
    assert ours.filename == __file__
    expected = fitted(model, arrays, None)
    assert torch.equal(there.coef_, expected.coef_)
    assert_same(there, expected, 1e-14)


@pytest.mark.parametrize(
    ("most", "params"),
    [(4, {}), (6, {"loss": "huber"}), (7, {"penalty": "l2"}), (10, {"penalty": "l1"}), (17, {"optimizer": "adam"})],
    ids=str,
)
def test_steps_in_a_graph_are_few_operations(most, params):
    numbers, model = [], MiniBatchSGDRegressor(**used(**PARAMS | {"epochs": 1}, **params))
    for steps in (4, 6):
        fitted(model, linear(61), dtype="float32", steps=steps)
        names = [function.overloadpacket.__name__ for function, *_ in records.pop().lines]
        numbers.append(sum(name not in VIEWS | {"unbind"} for name in names))
    assert (numbers[1] - numbers[0]) / 2 <= most


def test_a_graph_is_recorded_where_it_pays():
    arrays, model = linear(61), MiniBatchSGDRegressor(**PARAMS)
    fitted(model, arrays, least=4)
    fitted(model.set_params(optimizer=Counting()), arrays)
    fitted(clone(model).set_params(batch_size=61, optimizer="sgd"), arrays)
    assert not records
    fitted(model.set_params(optimizer="sgd"), arrays, least=3)
    assert [record.replays for record in records] == [9]


class Counting:
    """An optimizer that counts on the host, which a graph would not repeat."""

    moments, done = 0, 0

    def step(self, g, pull, w, m, v, rate, t):
        self.done += 1
        return g + pull, rate / self.done, m, v

    def __sklearn_clone__(self):
        return Counting()


def test_steps_that_diverge_are_taken_back():
    model, arrays = MiniBatchSGDRegressor(**PARAMS | {"learning_rate": "constant", "eta0": 1e30}), linear(61)
    with pytest.warns(ConvergenceWarning, match="left the finite range") as warned:
        there = fitted(model, arrays)
    assert len(warned) == 1
    with pytest.warns(ConvergenceWarning, match="left the finite range"):
        expected = clone(model).fit(*arrays)
    assert there.stop_reason_ == expected.stop_reason_
    assert_same(there, expected, 1e-10)


def test_streams_record_a_graph_for_each_chunk():
    X, y = linear(183)
    model = MiniBatchSGDRegressor(**PARAMS, optimizer="adam", average=True)
    expected = clone(model)
    with graphs():
        for part in np.split(np.arange(183), 3):
            model.partial_fit(torch.asarray(X[part]), torch.asarray(y[part]))
            expected.partial_fit(X[part], y[part])
    assert [record.replays for record in records] == [3, 3, 3]
    assert_same(model, expected, 1e-10)


def test_transfers_do_not_depend_on_the_steps(monkeypatch):
    """Numbers of updates are sent once an epoch, as the order is; a new graph is compared by one reading."""
    counts = []
    for epochs in (2, 5):
        arrays = [torch.asarray(array) for array in linear(61)]
        with graphs(), counted("torch", monkeypatch) as transfers:
            MiniBatchSGDRegressor(**PARAMS | {"epochs": epochs}).fit(*arrays)
        counts.append((transfers.read, transfers.sent))
    read, sent = np.diff(counts, axis=0)[0] / 3
    assert read <= 1
    assert sent <= 3


class Cuda:
    """Stands in for ``torch.cuda``: tells in which order its parts are used."""

    def __init__(self):
        self.done = []

    def device(self, place):
        return self.during("device", place)

    def Stream(self):
        return Stream(self, "side")

    def current_stream(self):
        return Stream(self, "here")

    def stream(self, stream):
        return self.during("stream", stream.name)

    def CUDAGraph(self):
        return self

    def graph(self, graph, stream, capture_error_mode):
        assert graph is self
        return self.during("capture", stream.name)

    def replay(self):
        self.done.append("replay")

    @contextmanager
    def during(self, *what):
        self.done.append(what)
        try:
            yield
        finally:
            self.done.append("end")


class Stream:
    def __init__(self, cuda, name):
        self.cuda, self.name = cuda, name

    def wait_stream(self, other):
        self.cuda.done.append((self.name, "waits for", other.name))


@pytest.mark.parametrize("fails", [False, True])
def test_a_graph_is_recorded_as_torch_demands(fails):
    """After a call on a stream of its own, which waits and is waited for, also if it fails."""
    graph, cuda = internals.CudaGraph("cuda:1"), Cuda()
    graph.cuda = cuda

    def work():
        assert not (fails and "work" in cuda.done)
        cuda.done.append("work")

    with pytest.raises(AssertionError) if fails else nullcontext():
        graph.record(work)
    assert cuda.done == [
        ("device", "cuda:1"),
        ("side", "waits for", "here"),
        ("stream", "side"),
        "work",
        ("capture", "side"),
        *(["work"] * (not fails)),
        "end",
        "end",
        ("here", "waits for", "side"),
        "end",
    ]
    graph.replay()
    assert cuda.done[-1] == "replay"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a graphics card")
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "ftrl"])
@pytest.mark.parametrize("penalty", [None, "elasticnet"])
def test_graphs_of_a_card(optimizer, penalty, monkeypatch):
    X, y = linear(2000)
    model = MiniBatchSGDRegressor(**used(**PARAMS, optimizer=optimizer, penalty=penalty, alpha=0.01, average=True))
    with sklearn.config_context(array_api_dispatch=True):
        there = clone(model).fit(torch.asarray(X, device="cuda"), torch.asarray(y, device="cuda"))
        there.coef_ = there.coef_.cpu()
    assert_same(there, model.fit(X, y), 1e-10)
