"""Arrays on a device: what is read back of an epoch does not depend on its steps, and is little."""

from contextlib import contextmanager
from types import SimpleNamespace
from typing import NamedTuple

import internals
import numpy as np
import pytest
import sklearn
from problems import covering, linear, some_weights, used
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import r2_score
from sklearn.utils.fixes import parse_version
from transfers import counted, working

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd._namespace import host
from sklearn_sgd.diagnostics import gradient_noise, measure_cost, objective
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.optimizers import OPTIMIZERS
from sklearn_sgd.streaming import ArraySource, predict_stream

pytestmark = [
    pytest.mark.skipif(
        parse_version(sklearn.__version__) < parse_version("1.7"), reason="array API dispatch needs scikit-learn 1.7"
    ),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

# Transfers of an epoch in each direction, at most.
MOST = 3

SCHEDULE = {"learning_rate": "invscaling", "eta0": 0.01}


@pytest.fixture(params=["torch", "array_api_strict"])
def library(request):
    """The name of a library and its functions, with scikit-learn configured to leave arrays there."""
    xp = pytest.importorskip(request.param)
    with sklearn.config_context(array_api_dispatch=True):
        yield request.param, xp


def transfers_of_an_epoch(library, monkeypatch, X, y, weight=None, **params):
    """Numbers of arrays or numbers that the host reads in an epoch, and that it sends."""
    name, xp = library
    arrays = [None if array is None else xp.asarray(array) for array in (X, y, weight)]
    counts, epochs = [], (2, 5)
    for number in epochs:
        with counted(name, monkeypatch) as transfers:
            model = MiniBatchSGDRegressor(random_state=0, epochs=number, tol=None, **params).fit(*arrays)
        assert model.n_iter_ == number
        counts.append((transfers.read, transfers.sent))
    return np.diff(counts, axis=0)[0] / (epochs[1] - epochs[0])


@pytest.mark.parametrize("batch_size", [5, None])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"average": True, "penalty": "elasticnet", "l1_ratio": 0.5, "loss": "huber"},
        {"optimizer": "adam", "loss": "poisson", "penalty": "l2", "early_stopping": True},
        {"optimizer": "ftrl", "penalty": "l1", "weighted": True, "shuffle": "batches"},
        {"loss": "tweedie", "positive": True, "drop_last": True, "weighted": True},
    ],
    ids=str,
)
def test_schedules_read_once_an_epoch(params, batch_size, library, monkeypatch):
    X, y = linear(61)
    weight = some_weights(61) if params.get("weighted") else None
    params = {name: value for name, value in params.items() if name != "weighted"}
    if batch_size is None:
        params = {name: value for name, value in params.items() if name not in ("shuffle", "drop_last")}
    read, sent = transfers_of_an_epoch(
        library, monkeypatch, X, np.exp(y / 10), weight, batch_size=batch_size, **SCHEDULE, **params
    )
    assert 0 < read <= MOST
    assert 0 < sent <= MOST


@pytest.fixture
def tensors():
    """Samples and targets as tensors of torch, with scikit-learn configured to leave them there."""
    torch = pytest.importorskip("torch")
    with sklearn.config_context(array_api_dispatch=True):
        yield lambda n, dtype="float64": [torch.asarray(array, dtype=getattr(torch, dtype)) for array in linear(n)]


def work_of(tensors, *models):
    """Numbers of operations and readings of X of each fit."""
    found = []
    for model in models:
        with working(tensors[0]) as work:
            model.fit(*tensors)
        found.append((work.operations, work.readings))
    return np.array(found)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_full_batch_reads_twice_an_epoch(dtype, tensors):
    """Once for the residuals, once for the gradient; the losses come from the same residuals."""
    models = [BatchGDRegressor(epochs=number, tol=None, learning_rate="constant", eta0=0.3) for number in (4, 7)]
    operations, readings = np.diff(work_of(tensors(61, dtype), *models), axis=0)[0] / 3
    assert operations <= 13
    assert readings == pytest.approx(2.0)


def test_a_full_batch_is_not_cut(tensors, monkeypatch):
    """To cut three arrays into one piece took a tenth of the host's time of an epoch."""
    torch, cut = pytest.importorskip("torch"), []
    split = torch.Tensor.split
    monkeypatch.setattr(torch.Tensor, "split", lambda self, *sizes: cut.append(self.shape) or split(self, *sizes))
    X, y = tensors(61)
    for size in (None, 20):
        MiniBatchSGDRegressor(**SCHEDULE, batch_size=size, epochs=2, tol=None, random_state=0).fit(X, y)
        assert bool(cut) == (size == 20)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("most", "params"),
    [
        (2, {}),
        (4, {"average": True}),
        (4, {"penalty": "l2"}),
        (5, {"penalty": "l1"}),
        (7, {"penalty": "elasticnet"}),
        (4, {"loss": "huber"}),
        (6, {"loss": "quantile"}),
        (6, {"loss": "poisson"}),
        (4, {"optimizer": "momentum"}),
        (8, {"optimizer": "adagrad"}),
        (11, {"optimizer": "adam"}),
        (13, {"optimizer": "adamw"}),
        (26, {"learning_rate": "auto", "average": True}),
        (170, {"learning_rate": "auto", "average": True, "loss": "expectile"}),
    ],
    ids=str,
)
def test_steps_start_few_operations(most, params, dtype, tensors):
    X, y = tensors(64, dtype)
    models = [
        MiniBatchSGDRegressor(**used(batch_size=size, epochs=1, tol=None, random_state=0, **SCHEDULE | params))
        for size in (16, 4)
    ]
    operations = np.diff(work_of((X, abs(y)), *models), axis=0)[0, 0]
    assert operations / (16 - 4) <= most


def test_diagnostics_of_tensors(tensors):
    """The gradient by torch's own differentiation; the cost is that of fits where the tensors are."""
    X, y = tensors(61)
    model = BatchGDRegressor(epochs=2, tol=None, average=False, **SCHEDULE).fit(X, y)
    w, b = model.coef_.clone().requires_grad_(), y.new_tensor(float(model.intercept_)).requires_grad_()
    loss = 0.5 * ((X @ w + b - y) ** 2).mean()
    loss.backward()
    noise = gradient_noise(model, X.requires_grad_(), y)
    np.testing.assert_allclose(noise.gradient, np.append(w.grad.numpy(), float(b.grad)), rtol=1e-10)
    parameters = np.append(host(model.coef_), float(model.intercept_))
    assert objective(model, X, y, parameters) == pytest.approx(float(loss.detach()), rel=1e-12)
    with working(X) as work:
        cost = measure_cost(model, X, y, epochs=2, repeats=1)
    assert work.readings > 2.0
    assert cost.multiplications_per_update == 2 * X.numel()


@pytest.mark.parametrize(("kind", "most"), [(BatchGDRegressor, 60), (MiniBatchSGDRegressor, 400)])
def test_default_fits_start_few_operations(kind, most, tensors, monkeypatch):
    """Of as many rows as let an epoch before the final step have a part of them only."""
    X, y = (part.repeat((550, 1)[: part.ndim]) for part in tensors(61, "float32"))
    with counted("torch", monkeypatch) as transfers:
        operations, readings = work_of((X, y), kind(random_state=0))[0]
    assert operations <= most
    assert readings <= 3
    assert transfers.read + transfers.sent <= 25


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name not in ("svrg", "saga")])
def test_optimizers_take_the_same_steps(optimizer, library):
    _, xp = library
    X, y = linear(61)
    params = used(optimizer=optimizer, penalty="elasticnet", l1_ratio=0.5, alpha=0.1, average=5, **SCHEDULE)
    model = MiniBatchSGDRegressor(random_state=0, epochs=3, tol=None, batch_size=8, **params)
    expected = model.fit(X, y, some_weights(61)).coef_
    there = model.fit(xp.asarray(X), xp.asarray(y), xp.asarray(some_weights(61))).coef_
    np.testing.assert_allclose(np.asarray(there), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("on_card", "rows"), [(True, 1000), (False, 2**22 // 400)])
def test_room_for_copies_is_a_share_of_the_free_memory_of_a_card(on_card, rows, library, monkeypatch):
    name, xp = library
    if name != "torch":
        pytest.skip("the memory of a card is known of torch and CuPy")
    place = xp.device("cuda" if on_card else "cpu")
    fake = type("Tensor", (), {"is_cuda": on_card, "device": place, "dtype": xp.float32, "shape": (5, 100)})
    fake.__module__ = "torch"
    monkeypatch.setattr(xp.cuda, "mem_get_info", lambda device: (8 * 1000 * 400, 10**9))
    assert internals.namespace.scratch_rows(fake()) == rows
    assert internals.namespace.scratch_bytes(fake()) == (1000 * 400 if on_card else 2**22)


def counts(X, loss):
    """Targets that the loss allows, with one that lies far away."""
    y = np.exp(X[:, 0]) + np.abs(X[:, 1])
    y[5] *= 50.0
    return np.floor(y) if loss == "poisson" else y


@covering({"loss": [*LOSSES], "penalty": [None, "l2", "l1"], "batch_size": [20, None]})
def test_automatic_steps_read_little_of_an_epoch(loss, penalty, batch_size, library, monkeypatch):
    """Also where a step is searched for, or rows are weighted again."""
    X, _ = linear(61)
    weight = some_weights(61) if penalty != "l1" else None
    params = {"loss": loss, "penalty": penalty, "batch_size": batch_size}
    # Without an average there are no final steps, of which there may be more or less.
    params |= {"average": False} if batch_size else {}
    read, sent = transfers_of_an_epoch(library, monkeypatch, X, counts(X, loss), weight, **params)
    assert read <= MOST
    assert sent <= MOST


@pytest.mark.parametrize(
    ("params", "targets"), [({}, ()), ({"loss": "poisson"}, (2,)), ({"loss": "huber"}, ())], ids=str
)
def test_predictions_are_a_product_and_one_number_that_is_read(targets, params, library, monkeypatch):
    name, xp = library
    X, y = linear(61)
    y = np.exp(y / 10) if not targets else np.exp(np.column_stack([y, -y]) / 10)
    model = MiniBatchSGDRegressor(epochs=3, tol=None, random_state=0, **params)
    expected = clone(model).fit(X, y).predict(X)
    there = xp.asarray(X)
    model.fit(there, xp.asarray(y))
    with counted(name, monkeypatch) as transfers:
        predictions = model.predict(there)
    assert transfers.read == 1
    assert transfers.sent == 0
    np.testing.assert_allclose(np.asarray(predictions), expected, rtol=1e-10)


@pytest.mark.parametrize("targets", [1, 2])
def test_a_score_is_read_at_once(targets, library, monkeypatch):
    """After the number that shows whether all predictions are finite."""
    name, xp = library
    X, y = linear(61)
    y = y if targets == 1 else np.column_stack([y, np.exp(y / 10)])
    there = xp.asarray(X), xp.asarray(y)
    model = MiniBatchSGDRegressor(epochs=3, tol=None, random_state=0).fit(*there)
    with counted(name, monkeypatch) as transfers:
        score = model.score(*there)
    assert (transfers.read, transfers.sent) == (2, 0)
    assert score == pytest.approx(r2_score(y, np.asarray(model.predict(there[0]))), rel=1e-12)
    if name == "torch":
        with working(there[0]) as work:
            model.score(*there)
        assert work.operations <= 12


def test_scores_where_few_operations_do_not_suffice_are_those_of_scikit_learn(library):
    _, xp = library
    X, y = linear(61)
    model = MiniBatchSGDRegressor(epochs=3, tol=None, random_state=0).fit(xp.asarray(X), xp.asarray(y))
    on_host = np.asarray(model.predict(xp.asarray(X)))
    for targets, rows in ((np.full(61, 3.0), 61), (y[:, np.newaxis], 61), (y.astype(np.float32), 61), (y[:3], 3)):
        expected = r2_score(targets, on_host[:rows])
        assert model.score(xp.asarray(X[:rows]), xp.asarray(targets)) == pytest.approx(expected, rel=1e-5)
    weight = some_weights(61)
    score = model.score(*map(xp.asarray, (X, y, weight)))
    assert score == pytest.approx(r2_score(y, on_host, sample_weight=weight), rel=1e-12)
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(model.score(xp.asarray(X[:1]), xp.asarray(y[:1])))
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.score(xp.asarray(X), xp.asarray(y[:3]))
    y[7] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        model.score(xp.asarray(X), xp.asarray(y))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("params", [{}, {"loss": "poisson"}, {"learning_rate": "constant", "eta0": 0.01}], ids=str)
def test_values_that_are_not_finite_are_refused(params, value, library):
    _, xp = library
    X, y = linear(61)
    model = MiniBatchSGDRegressor(epochs=2, tol=None, random_state=0, **params).fit(xp.asarray(X), xp.asarray(abs(y)))
    before = np.asarray(model.coef_).copy()
    X[17, 3] = value
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        model.predict(xp.asarray(X))
    with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
        model.fit(xp.asarray(X), xp.asarray(abs(y)))
    np.testing.assert_array_equal(np.asarray(model.coef_), before)


def test_what_must_be_converted_is_in_blocks(library, monkeypatch):
    _, xp = library
    X, y = linear(61)
    model = MiniBatchSGDRegressor(epochs=3, tol=None, random_state=0).fit(xp.asarray(X), xp.asarray(y))
    whole = xp.asarray(np.round(10.0 * X).astype(np.int64))
    expected = model.predict(whole)
    sizes = internals.rows_of_scratch(monkeypatch, 7)
    np.testing.assert_allclose(np.asarray(model.predict(whole)), np.asarray(expected), rtol=1e-12)
    assert sizes == [9]
    with pytest.raises(ValueError, match="features"):
        model.predict(whole[:, :2])


@pytest.mark.parametrize("params", [{}, {"loss": "huber"}, {"batch_size": 8}], ids=str)
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_memory_does_not_change_the_result(offset, params, library, monkeypatch):
    """Rows are gathered, and columns far from 0 are centred, for as many rows at once as there is room for."""
    _, xp = library
    X, y = linear(61)
    X[:, 1] += offset
    model = MiniBatchSGDRegressor(epochs=3, tol=None, random_state=0, **{"batch_size": None} | params)
    expected = clone(model).fit(X, y)
    for number in (5, 24):
        internals.rows_of_scratch(monkeypatch, number)
        model.fit(xp.asarray(X), xp.asarray(y))
        np.testing.assert_allclose(np.asarray(model.coef_), expected.coef_, rtol=1e-9)
        assert model.intercept_ == pytest.approx(expected.intercept_, rel=1e-9)


@pytest.mark.parametrize(
    "params", [{}, {"loss": "huber"}, SCHEDULE, SCHEDULE | {"optimizer": "adam", "loss": "poisson"}], ids=str
)
@pytest.mark.parametrize("intercept", [True, False])
def test_large_batches_have_no_column_of_ones(intercept, params, library, monkeypatch):
    _, xp = library
    X, y = linear(61)
    model = MiniBatchSGDRegressor(
        epochs=3, tol=None, random_state=0, batch_size=8, fit_intercept=intercept, average=False, **params
    )
    expected = clone(model).fit(X, abs(y))
    internals.without_ones(monkeypatch)
    model.fit(xp.asarray(X), xp.asarray(abs(y)))
    np.testing.assert_allclose(np.asarray(model.coef_), expected.coef_, rtol=1e-9)
    assert float(model.intercept_) == pytest.approx(expected.intercept_, rel=1e-9)


@pytest.mark.parametrize("read_ahead", [0, 2])
def test_rows_of_the_host_are_predicted_where_the_model_is(read_ahead, library):
    _, xp = library
    X, y = linear(61)
    model = MiniBatchSGDRegressor(epochs=3, tol=None, random_state=0).fit(xp.asarray(X), xp.asarray(y))
    predictions = [*predict_stream(model, ArraySource(X, chunk_rows=20), read_ahead=read_ahead)]
    assert [type(part) for part in predictions] == [np.ndarray] * 4
    np.testing.assert_allclose(np.concatenate(predictions), np.asarray(model.predict(xp.asarray(X))), rtol=1e-12)
    [there] = predict_stream(model, [xp.asarray(X)], read_ahead=read_ahead)
    assert type(there) is type(model.coef_)


@pytest.mark.parametrize(("chunk_rows", "sizes"), [(None, [512, 88]), (200, [200, 200, 200])])
def test_chunks_for_a_card_are_as_large_as_its_bus_likes(chunk_rows, sizes, monkeypatch):
    """If the user has chosen no number of rows; a power of two, on the host of all rows."""
    xp, (X, y) = pytest.importorskip("array_api_strict"), linear(600, 10)
    model, source = BatchGDRegressor(epochs=2, tol=None), ArraySource(X, chunk_rows=chunk_rows)
    internals.chunks_for_a_card(monkeypatch, 600 * X[0].nbytes)
    on_host = [*predict_stream(model.fit(X, y), source)]
    assert len(on_host) == (1 if chunk_rows is None else 3)
    with sklearn.config_context(array_api_dispatch=True):
        there = [*predict_stream(model.fit(xp.asarray(X), xp.asarray(y)), source)]
    assert [len(part) for part in there] == sizes
    np.testing.assert_allclose(np.concatenate(there), np.concatenate(on_host), rtol=1e-10)


def test_rows_of_another_device_come_back_to_it():
    xp = pytest.importorskip("array_api_strict")
    X, y = linear(61)
    place, home = xp.Device("device1"), xp.Device("CPU_DEVICE")
    with sklearn.config_context(array_api_dispatch=True):
        model = MiniBatchSGDRegressor(epochs=3, tol=None, random_state=0)
        model.fit(xp.asarray(X, device=place), xp.asarray(y, device=place))
        on_host, elsewhere, there = predict_stream(
            model, [X, xp.asarray(X, device=home), xp.asarray(X, device=place)], read_ahead=0
        )
    assert type(on_host) is np.ndarray
    assert elsewhere.device == home
    assert there.device == place
    np.testing.assert_array_equal(np.asarray(elsewhere), on_host)


class Card:
    """Stands in for torch with a card: what is copied from page-locked memory arrives when a stream waits for it."""

    def __init__(self, torch):
        self.torch, self.from_numpy, self.cuda, self.done = torch, torch.from_numpy, self, []

    def empty(self, shape, *, dtype, pin_memory):
        return self.Rows(self, self.torch.empty(shape, dtype=dtype), pin_memory)

    def Stream(self, place):
        return SimpleNamespace(place=place, record_event=lambda: self.done.append("event") or len(self.done))

    @contextmanager
    def stream(self, stream):
        self.done.append("enter")
        yield
        self.done.append("leave")

    def current_stream(self, place):
        return SimpleNamespace(wait_event=lambda event: self.done.append(("wait", place, event)))

    class Rows:
        """Rows in page-locked memory, or on the card."""

        def __init__(self, card, tensor, is_pinned):
            self.card, self.tensor, self.is_pinned, self.numpy = card, tensor, is_pinned, tensor.numpy
            self.copy_ = tensor.copy_

        def to(self, place, *, non_blocking):
            assert self.is_pinned
            assert non_blocking
            self.card.done.append("copy")
            sent = Card.Rows(self.card, self.tensor.clone(), False)
            sent.device = place
            sent.record_stream = lambda stream: self.card.done.append("kept")
            return sent


@pytest.mark.parametrize("is_read_only", [False, True])
def test_copies_to_a_card_are_waited_for_by_its_stream(is_read_only):
    torch = pytest.importorskip("torch")
    X, card = linear(61)[0][::2], Card(torch)
    X.flags.writeable = not is_read_only
    staged = internals.PinnedCopies(card, "cuda:0")(X)
    assert card.done == ["enter", "copy", "event", "leave"]
    np.testing.assert_array_equal(staged.arrived().tensor.numpy(), X)
    assert card.done[4:] == [("wait", "cuda:0", 3), "kept"]


@covering(
    {
        "loss": [*LOSSES],
        "penalty": [None, "l2", "l1", "elasticnet"],
        "batch_size": [8, None],
        "params": {"automatic": {}, "schedule": SCHEDULE, "averaged": {"average": True}, "first try": {"first": 1}},
        "rows": ["alone", "weighted", "two targets"],
    }
)
def test_fits_are_those_of_numpy(loss, penalty, batch_size, params, rows, library, monkeypatch):
    """Also where the first number of tries for the length of a step does not suffice.

    array_api_strict has a device from which NumPy cannot read, and whose arrays do not mix with those of the host.
    """
    name, xp = library
    place = {"device": xp.Device("device1")} if name == "array_api_strict" else {}
    internals.tries_at_first(monkeypatch, params.get("first"))
    X, _ = linear(61)
    y = counts(X, loss)
    arrays = {"alone": (X, y), "weighted": (X, y, some_weights(61)), "two targets": (X, np.column_stack([y, y[::-1]]))}
    params = {name: value for name, value in params.items() if name != "first"} | {"penalty": penalty, "loss": loss}
    params |= {"l1_ratio": 0.5} if penalty == "elasticnet" else {}
    model = MiniBatchSGDRegressor(random_state=0, epochs=3, tol=None, batch_size=batch_size, **params)
    expected = clone(model).fit(*arrays[rows])
    there = model.fit(*(xp.asarray(array, **place) for array in arrays[rows]))
    assert not place or there.coef_.device == place["device"]
    np.testing.assert_allclose(host(there.coef_), expected.coef_, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(host(there.intercept_), expected.intercept_, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(there.loss_curve_, expected.loss_curve_, rtol=1e-10)


@covering(
    {
        "loss": [*LOSSES],
        "params": {
            "automatic": {"batch_size": None},
            "in batches": {"batch_size": 16, "penalty": "elasticnet", "l1_ratio": 0.5, "alpha": 1e-3},
            "schedule": SCHEDULE | {"optimizer": "adam", "penalty": "l2", "average": 10},
        },
    }
)
def test_single_precision_until_the_fit_ends(loss, params, library):
    """With a column that is far from 0, to the verdict on how the fit has ended."""
    _, xp = library
    X, _ = linear(120)
    y = counts(X, loss).astype(np.float32)
    X = (X + np.array([0.0, 100.0, 0.0, 0.0, 0.0])).astype(np.float32)
    model = MiniBatchSGDRegressor(loss, random_state=0, epochs=20, **params)
    expected = clone(model).fit(X, y)
    there = model.fit(xp.asarray(X), xp.asarray(y))
    assert there.coef_.dtype == xp.float32
    assert there.stop_reason_ == expected.stop_reason_
    predictions = np.asarray(there.predict(xp.asarray(X)))
    np.testing.assert_allclose(predictions, expected.predict(X), rtol=0.0, atol=2e-3 * float(y.std()))


class Rooted(NamedTuple):
    """An optimizer of one's own, in functions of NumPy."""

    eps: float = 0.1

    @property
    def moments(self):
        return 1

    def step(self, g, pull, w, m, v, rate, t):
        g = g + pull
        m = np.where(np.abs(g) > 1.0, np.maximum(m, g * g), m + np.minimum(g * g, 0.5) * (g > 0.0))
        return np.where((g > 5.0) | (g < -5.0), np.sign(g) * 5.0, g), rate / (np.sqrt(m) + self.eps), m, v


class Tilted(NamedTuple):
    """A penalty of one's own, with a number for each coefficient."""

    most: np.ndarray

    def value(self, w):
        return 0.05 * w * w

    def gradient(self, w):
        return np.where(w > 0.0, 0.2, 0.1) * w

    def prox(self, w, rate, j=...):
        return np.minimum(w, self.most[j])


@pytest.mark.parametrize("params", [SCHEDULE | {"optimizer": Rooted()}, {}], ids=["schedule", "automatic"])
def test_own_formulas_in_functions_of_numpy(params, library):
    _, xp = library
    X, y = linear(61)
    penalty = Tilted(np.linspace(0.5, 4.0, 5))
    model = MiniBatchSGDRegressor(penalty=penalty, random_state=0, epochs=4, tol=None, batch_size=8, **params)
    expected = clone(model).fit(X, y)
    there = model.fit(xp.asarray(X), xp.asarray(y))
    np.testing.assert_allclose(np.asarray(there.coef_), expected.coef_, rtol=1e-10)
    assert (np.asarray(there.coef_) <= penalty.most).all()


class Recalled(NamedTuple):
    """An optimizer of one's own, which keeps the last gradient and the last parameters."""

    @property
    def moments(self):
        return 2

    def step(self, g, pull, w, m, v, rate, t):
        return 1.5 * g - 0.5 * m + 0.1 * (w - v), rate, g + pull, w


def test_own_moments_are_kept_from_step_to_step(library):
    _, xp = library
    X, y = linear(61)
    model = MiniBatchSGDRegressor(optimizer=Recalled(), random_state=0, epochs=3, tol=None, batch_size=8, **SCHEDULE)
    expected = clone(model).fit(X, y)
    there = model.fit(xp.asarray(X), xp.asarray(y))
    np.testing.assert_allclose(np.asarray(there.coef_), expected.coef_, rtol=1e-10)


@pytest.mark.parametrize("batch_size", [4, None])
def test_divergence_is_found_and_taken_back(batch_size, library):
    _, xp = library
    X, y = linear(61)
    params = {"learning_rate": "constant", "eta0": 1e30, "random_state": 0, "epochs": 30, "tol": None}
    model = MiniBatchSGDRegressor(batch_size=batch_size, **params)
    with pytest.warns(ConvergenceWarning, match="left the finite range"):
        expected = clone(model).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="left the finite range"):
        model.fit(xp.asarray(X), xp.asarray(y))
    assert model.stop_reason_ == expected.stop_reason_ == "diverged"
    assert model.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(np.asarray(model.coef_), expected.coef_, rtol=1e-10)
    stream = MiniBatchSGDRegressor(batch_size=4, eta0=0.01, learning_rate="constant").partial_fit(
        xp.asarray(X), xp.asarray(y)
    )
    coef, updates = np.asarray(stream.coef_).copy(), stream.n_updates_
    with pytest.warns(ConvergenceWarning, match="changed nothing"):
        stream.set_params(eta0=1e30).partial_fit(xp.asarray(X), xp.asarray(y))
    np.testing.assert_array_equal(np.asarray(stream.coef_), coef)
    assert stream.n_updates_ == updates
