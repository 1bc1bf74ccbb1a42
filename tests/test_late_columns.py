"""Large calls of `partial_fit` in which columns begin to vary late: as near to the minimum as small calls are."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering
from scipy import optimize, sparse
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import PoissonRegressor, QuantileRegressor

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor

N, LATE = 8000, 7000
CALLS = {"one": [N], "inside": [7300, 700], "before": [LATE, 1000], "thousands": [1000] * 8, "small": [50] * 160}


def rows(kind="constant", loss="huber", seed=0):
    """Rows whose last column begins to vary late: it was constant, or nearly, or seen in one early row."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((N, 4))
    late = random.integers(0, 2, N).astype(float)
    X[:, 3] = 5.0 if kind == "constant" else 0.01 * late if kind == "narrow" else 0.0
    X[LATE:, 3] += late[LATE:]
    X[5, 3] += kind == "seen once"
    if loss == "poisson":
        return X, random.poisson(np.exp(0.3 * X[:, 0] - 0.2 * X[:, 1] + 0.8 * (X[:, 3] - 5.0))).astype(float)
    return X, X @ [1.0, -1.0, 0.5, 10.0] + random.standard_normal(N)


def minimum(loss, X, y):
    """Coefficients at the minimum on all rows, by solvers of others."""
    if loss == "poisson":
        return PoissonRegressor(alpha=0.0, tol=1e-10, max_iter=1000).fit(X, y).coef_
    if loss == "absolute_error":
        return QuantileRegressor(alpha=0.0, solver="highs-ipm").fit(X, y).coef_
    Z = np.c_[X, np.ones(len(y))]

    def slope(e):
        return np.clip(e, -1.35, 1.35)

    def huber(w):
        e = Z @ w - y
        return float(np.sum(slope(e) * (e - 0.5 * slope(e)))), Z.T @ slope(e)

    return optimize.minimize(huber, np.linalg.lstsq(Z, y)[0], jac=True, method="BFGS", tol=1e-6).x[:-1]


def stream(model, X, y, sizes, weight=None):
    """Learn in calls of these sizes."""
    for start, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
        part = slice(start, start + size)
        model.partial_fit(X[part], y[part], **({} if weight is None else {"sample_weight": weight[part]}))
    return model


@cache
def minimum_of_rows(kind, loss):
    """The same on these rows."""
    return minimum(loss, *rows(kind, loss))


# Standard error of the coefficient of the late column, for a loss with an efficiency of 2 / pi or more.
ERROR = np.sqrt(np.pi / 2.0) * 2.0 / np.sqrt(N - LATE)


@covering(
    {
        "regressor": [MiniBatchSGDRegressor, OnlineSGDRegressor],
        "loss": ["huber", "absolute_error"],
        "kind": ["constant", "narrow", "seen once"],
        "calls": list(CALLS),
    }
)
def test_as_near_to_the_minimum_as_small_calls(regressor, loss, kind, calls):
    """They ended up to 300 standard errors away."""
    X, y = rows(kind)
    model = stream(regressor(loss), X, y, CALLS[calls])
    assert_allclose(model.coef_, minimum_of_rows(kind, loss), atol=3.0 * ERROR)
    assert len(model.loss_curve_) == model.n_iter_ == len(CALLS[calls])


@pytest.mark.parametrize("calls", CALLS)
@pytest.mark.parametrize("regressor", [MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_counts(regressor, calls):
    X, y = rows(loss="poisson")
    model = stream(regressor("poisson"), X, y, CALLS[calls])
    # The rows with a 1 have a mean of exp(0.8) and more.
    assert_allclose(model.coef_, minimum_of_rows("constant", "poisson"), atol=3.0 * np.sqrt(2.0 / (N - LATE)))


@pytest.mark.parametrize("calls", ["one", "inside", "thousands"])
def test_layouts_weights_targets_and_precisions_alike(calls):
    X, y = rows()
    sizes, weight = CALLS[calls], np.random.default_rng(1).uniform(0.5, 2.0, N)
    weight[::7] = 0.0
    model = stream(MiniBatchSGDRegressor("huber"), X, y, sizes, weight)
    used = weight > 0.0
    assert_allclose(model.coef_, minimum("huber", X[used], y[used]), atol=4.0 * ERROR)
    assert_allclose(
        stream(MiniBatchSGDRegressor("huber"), sparse.csr_array(X), y, sizes, weight).coef_, model.coef_, rtol=1e-6
    )
    both = stream(MiniBatchSGDRegressor("huber"), X, np.c_[y, -y], sizes, weight)
    assert_allclose(both.coef_, [model.coef_, -model.coef_], rtol=1e-6)
    single = [values.astype(np.float32) for values in (X, y, weight)]
    assert_allclose(stream(MiniBatchSGDRegressor("huber"), *single[:2], sizes, single[2]).coef_, model.coef_, rtol=1e-2)


@pytest.mark.parametrize("calls", ["one", "inside"])
def test_tensors(calls):
    torch = pytest.importorskip("torch")
    X, y = rows()
    here = stream(MiniBatchSGDRegressor("huber"), X, y, CALLS[calls])
    with config_context(array_api_dispatch=True):
        there = stream(MiniBatchSGDRegressor("huber"), torch.asarray(X), torch.asarray(y), CALLS[calls])
        assert_allclose(np.asarray(there.coef_), here.coef_, rtol=1e-5)


def test_a_call_that_fails_in_its_last_part_changes_nothing():
    X, y = rows()
    model = stream(MiniBatchSGDRegressor(average=True), X, y, [7000])
    twin, far = stream(MiniBatchSGDRegressor(average=True), X, y, [7000]), y[7000:].copy()
    far[-1] = 1e170
    with pytest.warns(ConvergenceWarning, match="changed nothing"):
        model.partial_fit(X[7000:], far)
    for each in (model, twin):
        each.partial_fit(X[7000:], y[7000:])
    assert_array_equal(model.coef_, twin.coef_)
    assert model.loss_curve_ == twin.loss_curve_


def test_batches_of_calls_that_are_cut_are_whole():
    """But for one where the column begins, and the last."""
    X, y = rows()
    model = MiniBatchSGDRegressor("huber", batch_size=100).partial_fit(X, y)
    assert N // 100 <= model._states[0].n_updates <= N // 100 + 1


def test_rare_columns_are_no_news():
    """Each update of such a stream is one of the batch size, as before."""
    random = np.random.default_rng(0)
    X = np.eye(50)[np.minimum(random.pareto(0.7, 20_000).astype(int), 49)]
    y = X @ random.standard_normal(50) + random.standard_normal(len(X))
    model = stream(MiniBatchSGDRegressor("huber", batch_size=48), X, y, [1000] * 20)
    assert model._states[0].n_updates == 20 * 21
