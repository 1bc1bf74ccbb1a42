"""One model by several ways: dense and sparse rows, kernels and arrays, two precisions, any memory layout."""

from collections import Counter
from itertools import product
from typing import NamedTuple

import internals
import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose, assert_array_equal
from problems import AUTO, FIXED, LOSSES, PAIRS, covering, csr, holey, in_domain, linear, mini, some_weights, theta
from scipy import sparse
from scipy.stats import chisquare

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor, losses

# Few steps, so some fits are rightly said to end worse than a constant.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SIZES = [1, 7, None]
FORMS = [np.asarray, csr]
STEPS = {"constant": FIXED, "auto": AUTO}


def model(loss="squared_error", penalty=None, batch_size=7, **params):
    params = FIXED | {"alpha": 0.1, "l1_ratio": 0.4, "quantile": 0.7, "random_state": 0} | params
    return MiniBatchSGDRegressor(batch_size=batch_size, **used(loss=loss, penalty=penalty, **params))


def same(one, other, rtol=1e-10, atol=1e-12, measures=("loss_curve_", "prequential_loss_", "learning_rate_")):
    assert_allclose(theta(one), theta(other), rtol=rtol, atol=atol)
    for name in measures:
        assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, err_msg=name)
    for name in ("n_updates_", "n_iter_", "n_samples_seen_", "batch_size_"):
        assert getattr(one, name) == getattr(other, name)


# Dense and CSR


@covering({"loss, penalty": PAIRS, "batch_size, index": product(SIZES, [np.int32, np.int64])})
def test_dense_is_csr(loss, penalty, batch_size, index):
    X, y = holey()
    dense, compressed = (model(loss, penalty, batch_size).fit(rows, y) for rows in (X, csr(X, index)))
    same(dense, compressed)
    assert_allclose(dense.predict(X), compressed.predict(csr(X, index)), rtol=1e-10)


OPTIONS = {
    "averaged": {"average": True},
    "averaged late": {"average": 12},
    "shuffled": {"shuffle": True},
    "batches shuffled": {"shuffle": "batches"},
    "no intercept": {"fit_intercept": False},
    "positive": {"positive": True},
    "drop last": {"drop_last": True},
    "adaptive": {"learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1, "epochs": 6},
    "optimal": {"learning_rate": "optimal"},
    "early stopping": {"early_stopping": True, "epochs": 8, "tol": 0.01, "n_iter_no_change": 2},
    "warm start": {"warm_start": True},
    "automatic": AUTO,
    "automatic, shuffled": {**AUTO, "shuffle": True, "average": True},
    "automatic, lasso": {**AUTO, "penalty": "l1"},
    "automatic, no intercept": {**AUTO, "fit_intercept": False},
    "automatic, ridge": {**AUTO, "penalty": "l2"},
    "automatic, huber": {**AUTO, "loss": "huber"},
}


@covering({"options": OPTIONS, "batch_size, weighted": product(SIZES, [False, True])})
def test_dense_is_csr_with(options, batch_size, weighted):
    X, y = holey()
    weight = np.where(np.arange(60) % 9 == 4, 0.0, some_weights(60)) if weighted else None
    dense, compressed = (
        model(batch_size=batch_size, **options).fit(rows, y, weight).fit(rows, y, weight) for rows in (X, csr(X))
    )
    same(dense, compressed)


@pytest.mark.parametrize("batch_size", SIZES)
def test_dense_is_csr_in_partial_fit(batch_size):
    X, y = holey()
    dense, compressed = model(batch_size=batch_size, average=True), model(batch_size=batch_size, average=True)
    for k in range(0, 60, 13):
        dense.partial_fit(X[k : k + 13], y[k : k + 13])
        compressed.partial_fit(csr(X[k : k + 13]), y[k : k + 13])
        same(dense, compressed)


@pytest.mark.parametrize("params", STEPS.values(), ids=STEPS)
def test_long_indices(params):
    X, y = holey()
    same(model(**params).fit(csr(X, np.int64), y), model(**params).fit(csr(X), y))


def test_unsorted_indices_and_explicit_zeros():
    X, y = holey()
    S = csr(X)
    S.data[:3] = 0
    S.indices, S.data = S.indices.copy(), S.data.copy()
    for start, stop in zip(S.indptr[:-1], S.indptr[1:], strict=True):
        S.indices[start:stop], S.data[start:stop] = S.indices[start:stop][::-1], S.data[start:stop][::-1]
    same(model().fit(S, y), model().fit(S.toarray(), y))


@pytest.mark.parametrize("layout", ["csc", "coo", "lil", "bsr"])
def test_other_sparse_layouts(layout):
    X, y = holey()
    same(model().fit(csr(X).asformat(layout), y), model().fit(X, y))


def test_sparse_array_is_sparse_matrix():
    X, y = holey()
    fitted = model().fit(sparse.csr_array(X), y)
    same(fitted, model().fit(sparse.csr_matrix(X), y))
    assert_allclose(fitted.predict(sparse.csr_array(X)), fitted.predict(X), rtol=1e-10)


# Kernels and arrays


@covering({"loss, penalty": PAIRS, "batch_size, form, average": product(SIZES, FORMS, [False, 12])})
@pytest.mark.filterwarnings("ignore:.*[Nn]umba")
def test_kernels_are_arrays(on_arrays, loss, penalty, batch_size, form, average):
    X, y = holey()
    compiled, plain = (model(loss, penalty, batch_size, average=average) for _ in range(2))
    same(compiled.fit(form(X), y, some_weights(60)), on_arrays(plain, form(X), y, some_weights(60)))


@covering({"options": OPTIONS, "batch_size": SIZES})
@pytest.mark.filterwarnings("ignore:.*[Nn]umba")
def test_kernels_are_arrays_with(on_arrays, monkeypatch, batch_size, options):
    X, y = holey()
    # With the normal matrix both fits would run the same code.
    internals.without_normal_matrix(monkeypatch)
    compiled, plain = (model(batch_size=batch_size, **options) for _ in range(2))
    same(compiled.fit(X, y), on_arrays(plain, X, y))


AT_A_TIME = internals.FEATURES_AT_A_TIME


@covering(
    {
        "columns, params": product(
            [1, AT_A_TIME - 1, AT_A_TIME, AT_A_TIME + 1, 2 * AT_A_TIME + 44], [{"eta0": 1e-3}, AUTO]
        ),
        "batch_size": SIZES,
    }
)
@pytest.mark.filterwarnings("ignore:.*[Nn]umba")
def test_any_number_of_columns(on_arrays, monkeypatch, batch_size, columns, params):
    internals.without_normal_matrix(monkeypatch)
    X, y = linear(n=columns + 40, p=columns)
    compiled, plain = (model(batch_size=batch_size, **params) for _ in range(2))
    same(compiled.fit(X, y / columns), on_arrays(plain, X, y / columns), rtol=1e-9)


@covering(
    {
        "params, form": product([{"average": 12}, {"optimizer": "adam"}, {"penalty": "elasticnet"}, AUTO], FORMS),
        "batch_size": [1, 7],
    }
)
def test_an_epoch_in_pieces(monkeypatch, batch_size, form, params):
    """Of one target, too; the scale of sparse rows may be rounded otherwise then."""
    X, y = linear(n=700)
    options = {"learning_rate": "invscaling", "shuffle": True} | params
    whole = model(batch_size=batch_size, **options).fit(form(X), y)
    internals.in_pieces(monkeypatch, entries=1, rates=8)
    same(model(batch_size=batch_size, **options).fit(form(X), y), whole)


def test_every_order_is_as_likely(spy_on):
    orders = spy_on(mini(1, shuffle=True, epochs=2400), 4).epochs(2400)
    seen = Counter(map(tuple, orders.tolist()))
    assert len(seen) == 24
    assert chisquare(list(seen.values())).pvalue > 1e-3


def test_order_of_many(monkeypatch, spy_on):
    """The order does not depend on how many numbers are drawn at once."""
    orders = [spy_on(mini(shuffle=True, epochs=1), 1000).epochs(1)[0]]
    internals.draw_at_once(monkeypatch, 7)
    orders.append(spy_on(mini(shuffle=True, epochs=1), 1000).epochs(1)[0])
    assert_array_equal(*orders)
    assert_array_equal(np.sort(orders[0]), np.arange(1000))


# A user's own loss


class LogCosh(NamedTuple):
    """Compiled, as its formulas are plain arithmetic on a named tuple."""

    width: float = 1.0

    def value(self, y, p):
        return self.width * np.log(np.cosh((p - y) / self.width))

    def gradient(self, y, p):
        return np.tanh((p - y) / self.width)


class PlainLogCosh:
    """Not compiled: an ordinary object."""

    def value(self, y, p):
        return LogCosh(2.0).value(y, p)

    def gradient(self, y, p):
        return LogCosh(2.0).gradient(y, p)


@covering({"batch_size": SIZES, "form": FORMS})
def test_own_loss(batch_size, form):
    X, y = holey()
    compiled = model(LogCosh(2.0), "l1", batch_size).fit(form(X), y)
    same(compiled, model(PlainLogCosh(), "l1", batch_size).fit(form(X), y))
    assert not np.allclose(theta(compiled), theta(model("squared_error", "l1", batch_size).fit(form(X), y)), rtol=1e-3)


class Unreadable(NamedTuple):
    """Not compiled: the formula is a function of arrays that is not known to be one of numbers."""

    def value(self, y, p):
        return np.float_power(np.hypot(p - y, 0.0), 2.0) / 2.0

    def gradient(self, y, p):
        return p - y


class Unknown(NamedTuple):
    """Not compiled: the function is one of arrays."""

    def value(self, y, p):
        return 0.5 * np.einsum("...,...->...", p - y, p - y)

    def gradient(self, y, p):
        return p - y


@pytest.mark.skipif("__import__('os').environ.get('SKLEARN_SGD_DISABLE_JIT') == '1'", reason="nothing is compiled")
@pytest.mark.parametrize(("loss", "reason"), [(Unreadable(), "hypot"), (Unknown(), "einsum")], ids=["type", "function"])
def test_own_loss_that_cannot_be_compiled_warns_once(loss, reason):
    pytest.importorskip("llvmlite")
    X, y = linear()
    with pytest.warns(RuntimeWarning, match=rf"{type(loss).__name__} runs in NumPy.*{reason}") as said:
        own = model(loss).fit(X, y)
    assert said[0].filename == __file__
    same(own, model().fit(X, y), measures=["loss_curve_"])
    for batch_size in SIZES:
        same(
            model(loss, batch_size=batch_size).fit(X, y),
            model(batch_size=batch_size).fit(X, y),
            measures=["loss_curve_"],
        )


@covering({"loss": [*losses.LOSSES], "params": STEPS, "batch_size": SIZES}, strength=2)
@pytest.mark.filterwarnings("ignore:.*[Nn]umba")
def test_all_passes_agree(on_arrays, monkeypatch, loss, batch_size, params):
    internals.without_normal_matrix(monkeypatch)
    X, y = holey()
    y = in_domain(losses.LOSSES[loss](), y)
    dense = model(loss, None, batch_size, **params).fit(X, y, some_weights(60))
    same(dense, model(loss, None, batch_size, **params).fit(csr(X), y, some_weights(60)))
    same(dense, on_arrays(model(loss, None, batch_size, **params), X, y, some_weights(60)))


def of_slope(slope):
    """A new class each time, always of the same name and fields, as when a notebook's cell is run again."""

    class Own(NamedTuple):
        width: float = 1.0

        def value(self, y, p):
            return 0.5 * (p - y) * (p - y)

        def gradient(self, y, p):
            return slope * (p - y)

    return Own()


@pytest.mark.parametrize("batch_size", [1, 7])
def test_own_loss_defined_again(batch_size):
    X, y = linear()
    for slope in (1.0, 0.5):
        own = model(of_slope(slope), batch_size=batch_size).fit(X, y)
        same(own, model(batch_size=batch_size, eta0=FIXED["eta0"] * slope).fit(X, y), measures=["loss_curve_"])


def test_parts_do_not_mix():
    """Calls in turn, each with the kernel of its own parts: by its formula."""
    X, y = linear()
    models = [model(loss, penalty) for loss in ("squared_error", "huber") for penalty in ("l2", "l1")]
    expected = [theta(one.fit(X, y)) for one in models]
    for _ in range(20):
        assert_array_equal([theta(one.fit(X, y)) for one in models], expected)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_by_name_is_its_instance(name):
    X, y = linear()
    kind = losses.LOSSES[name]
    instance = kind(epsilon=0.5) if "epsilon" in kind._fields else kind()
    same(model(name, epsilon=0.5).fit(X, y), model(instance).fit(X, y), rtol=0, atol=0)


# Precision


@covering(
    {
        "loss, penalty": [("squared_error", "elasticnet"), *((loss, "l2") for loss in LOSSES)],
        "batch_size, form": product(SIZES, FORMS),
    }
)
def test_single_precision(loss, penalty, batch_size, form):
    X, y = holey(n=200)
    single, double = (
        model(loss, penalty, batch_size, average=True).fit(form(X.astype(dtype)), y.astype(dtype))
        for dtype in (np.float32, np.float64)
    )
    assert_allclose(theta(single), theta(double), rtol=1e-3, atol=1e-4)
    assert single.coef_.dtype == single.predict(form(X.astype(np.float32))).dtype == np.float32
    assert double.coef_.dtype == double.predict(form(X)).dtype == np.float64


@pytest.mark.parametrize("params", STEPS.values(), ids=STEPS)
@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_single_precision_all_the_way(kind, params):
    X, y = linear()
    X32 = X.astype(np.float32)
    fitted = kind(**params | {"average": True}).fit(X32, y, some_weights(60))
    fitted.partial_fit(X32, y)
    assert fitted.coef_.dtype == fitted.predict(X32).dtype == np.float32
    assert fitted.predict(X32[:1]).dtype == np.float32


@pytest.mark.filterwarnings("ignore:.*[Nn]umba")
def test_single_precision_on_arrays(on_arrays):
    X, y = holey()
    fitted = on_arrays(model(penalty="elasticnet", average=True), X.astype(np.float32), y)
    assert fitted.coef_.dtype == np.float32
    assert_allclose(theta(fitted), theta(model(penalty="elasticnet", average=True).fit(X, y)), rtol=1e-4, atol=1e-5)


def test_long_sums_in_single_precision():
    X = np.full((300_000, 1), 0.1, dtype=np.float32)
    X[::2] *= -1
    fitted = BatchGDRegressor(**FIXED | {"epochs": 1, "eta0": 1.0}).fit(X, 1 + X[:, 0])
    assert_allclose(theta(fitted), [0.01, 1.0], rtol=1e-5)


# Layout


LAYOUTS = {
    "columns first": np.asfortranarray,
    "every second": lambda X: np.repeat(X, 2, axis=0)[::2],
    "backwards": lambda X: X[::-1].copy()[::-1],
    "big endian": lambda X: X.astype(">f8"),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("batch_size", SIZES)
def test_layout_does_not_matter(layout, batch_size):
    X, y = linear()
    same(model(batch_size=batch_size).fit(layout(X), y), model(batch_size=batch_size).fit(X, y), rtol=0, atol=0)


def test_integers_are_numbers():
    X = np.arange(24).reshape(12, 2) % 5
    y = np.arange(12)
    same(model().fit(X, y), model().fit(X.astype(float), y.astype(float)), rtol=0, atol=0)


@pytest.mark.parametrize("form", [np.asarray, csr])
def test_read_only_input(form):
    X, y = holey()
    X, weight = form(X), some_weights(60)
    for array in (y, weight, *((X,) if form is np.asarray else (X.data, X.indices, X.indptr))):
        array.flags.writeable = False
    writable = form(holey()[0]), y.copy(), weight.copy()
    same(model(shuffle=True).fit(X, y, weight), model(shuffle=True).fit(*writable), rtol=0, atol=0)


@pytest.mark.parametrize("form", [np.asarray, csr])
def test_input_is_not_changed(form):
    X, y, weight = *holey(), some_weights(60)
    X = form(X)
    before = X.copy(), y.copy(), weight.copy()
    model(shuffle=True, average=True).fit(X, y, weight).partial_fit(X, y, weight)
    assert abs(X - before[0]).sum() == 0
    assert_array_equal(y, before[1])
    assert_array_equal(weight, before[2])


@pytest.mark.parametrize("n", [1, 2, 7, 8, 255, 256, 257, 513])
@pytest.mark.parametrize("batch_size", [1, 8, 256, None])
@pytest.mark.filterwarnings("ignore:.*[Nn]umba")
def test_any_number_of_rows(on_arrays, n, batch_size):
    X, y = linear(n=n, p=2)
    same(model(batch_size=batch_size).fit(X, y), on_arrays(model(batch_size=batch_size), X, y))
