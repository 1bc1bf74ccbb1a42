"""Diagnostics against closed forms, and against means over batches."""

from functools import partial

import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering, linear
from scipy import sparse
from scipy.optimize import approx_fprime, lsq_linear
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor, diagnostics
from sklearn_sgd.diagnostics import (
    GradientNoise,
    batch_gradients,
    critical_batch_size,
    descent_path,
    gradient_noise,
    measure_cost,
    n_updates,
    objective,
)
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.penalties import L1, Box, ElasticNet, Positive

PLAIN = {"learning_rate": "constant", "eta0": 0.1, "average": False}


@pytest.mark.parametrize("penalty", ["elasticnet", pytest.param(ElasticNet(0.3, 0.4), id="instance")])
def test_objective_is_half_the_mean_square_plus_the_penalty(penalty):
    X, y = linear()
    model = BatchGDRegressor(penalty=penalty, alpha=0.3, l1_ratio=0.4)
    parameters = np.random.default_rng(0).standard_normal((4, 3, X.shape[1] + 1))
    w, b = parameters[..., :-1], parameters[..., -1]
    square = ((w @ X.T + b[..., None] - y) ** 2).mean(axis=-1) / 2
    penalty = 0.3 * (0.4 * abs(w).sum(axis=-1) + 0.3 * (w**2).sum(axis=-1))
    assert_allclose(objective(model, X, y, parameters), square + penalty)
    assert_allclose(objective(model, sparse.csr_matrix(X), y, parameters), square + penalty)


def test_objective_in_blocks(monkeypatch):
    X, y = linear()
    parameters = np.random.default_rng(0).standard_normal((7, X.shape[1] + 1))
    whole = objective(BatchGDRegressor(), X, y, parameters)
    monkeypatch.setattr(diagnostics, "BLOCK", 100)
    assert_allclose(objective(BatchGDRegressor(), X, y, parameters), whole)


def test_path_of_the_full_descent_in_closed_form():
    X, y = linear(p=2)
    A = np.column_stack([X, np.ones(len(y))])
    H, best = A.T @ A / len(y), np.linalg.lstsq(A, y, rcond=None)[0]
    path = descent_path(BatchGDRegressor(**PLAIN), X, y, epochs=5)
    shrink = np.eye(3) - 0.1 * H
    assert_allclose(path, [best - np.linalg.matrix_power(shrink, t) @ best for t in range(6)], atol=1e-10)


@covering({"loss": [*LOSSES], "penalty": [None, "l2"]})
def test_gradient_is_the_slope_of_the_objective(loss, penalty):
    X, y = linear()
    y = 0.1 + abs(y)  # which every loss allows
    params = used(penalty=penalty, alpha=0.1) | PLAIN | {"eta0": 0.01}
    model = OnlineSGDRegressor(loss, **params).partial_fit(X[:5], y[:5])
    at = np.append(model.coef_, model.intercept_)
    slope = approx_fprime(at, lambda parameters: objective(model, X, y, parameters))
    assert_allclose(gradient_noise(model, X, y).gradient, slope, rtol=1e-4, atol=1e-4)


KINKED = {
    "lasso": {"penalty": "l1", "alpha": 0.3},
    "instance": {"penalty": ElasticNet(0.3, 0.4)},
    "positive": {"penalty": "elasticnet", "alpha": 0.3, "positive": True},
    "bounds": {"penalty": Box(-4.0, [2.0, 3.0, 4.0, 9.0, 9.0], L1(0.3))},
}


@pytest.mark.parametrize("penalty", KINKED.values(), ids=KINKED)
def test_gradient_of_a_penalty_with_a_kink(penalty):
    """It is the slope where there is one, of coefficients of any size."""
    X, y = linear()
    model = BatchGDRegressor(**penalty).fit(X, y)
    model.coef_ = np.array([0.5, 1e-6, 1e-9, 2.0, 0.1])
    model.intercept_ = 1.0
    at, step = np.append(model.coef_, 1.0), np.diag([1e-6, 1e-8, 1e-11, 1e-6, 1e-6, 1e-6])
    up, down = (objective(model, X, y, at + sign * step) for sign in (1, -1))
    gradient = gradient_noise(model, X, y).gradient
    assert_allclose(gradient, (up - down) / (2 * step.diagonal()), rtol=1e-3)
    assert_allclose(batch_gradients(model, X, y, [np.arange(len(y))])[0], gradient)
    assert_array_equal(gradient_noise(model.sparsify(), X, y).gradient, gradient)


def test_no_gradient_is_left_at_the_minimum():
    """That of others: the lasso, the lasso of positive coefficients, bounded least squares."""
    X, y = linear(noise=2.0)
    X[:, 1] *= -1
    centred = X - X.mean(axis=0)
    low, high = np.array([-1.0, -9.0, 0.5, 1.0, -9.0]), np.array([0.5, 0.0, 9.0, 2.0, 9.0])
    bounded = lsq_linear(centred, y - y.mean(), (low, high), tol=1e-14).x
    bounded = np.where(abs(bounded - low) < 1e-6, low, np.where(abs(bounded - high) < 1e-6, high, bounded))
    for coef, held, params in (
        (Lasso(1.5, tol=1e-13).fit(X, y).coef_, 1, {"penalty": "l1", "alpha": 1.5}),
        (Lasso(0.5, tol=1e-13, positive=True).fit(X, y).coef_, 1, {"penalty": L1(0.5), "positive": True}),
        (bounded, 2, {"penalty": Box(low, high)}),
    ):
        model = BatchGDRegressor(**params).fit(X, y)
        model.coef_, model.intercept_ = coef, float(y.mean() - X.mean(axis=0) @ coef)
        assert ((coef == 0) | (coef == low) | (coef == high)).sum() >= held
        noise = gradient_noise(model, X, y)
        assert_allclose(noise.gradient, 0.0, atol=1e-5)
        assert noise.scale > 1e8
        model.coef_ = coef + 0.1 * (coef > 0)
        assert abs(gradient_noise(model, X, y).gradient).max() > 0.01


def test_objective_is_infinite_where_coefficients_are_not_allowed():
    X, y = linear(p=2)
    at = np.array([[1.0, 2.0, 3.0], [-1.0, 2.0, 3.0], [0.0, 0.0, -1.0], [1.0, 2.1, 3.0], [0.0, 2.0, 3.0]])
    plain = objective(BatchGDRegressor(), X, y, at)
    for params, allowed in (
        ({"positive": True}, [1, 0, 1, 1, 1]),
        ({"penalty": Positive()}, [1, 0, 1, 1, 1]),
        ({"penalty": Box(high=[2.0, 2.0])}, [1, 1, 1, 0, 1]),
        ({"penalty": Box(-0.5, [np.inf, 2.0]), "positive": True}, [1, 0, 1, 0, 1]),
        ({"penalty": Box(np.float32(0.1), 2.0)}, [1, 0, 0, 0, 0]),
    ):
        assert_array_equal(objective(BatchGDRegressor(**params), X, y, at), np.where(allowed, plain, np.inf))


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
def test_path_within_bounds(kind):
    X, y = linear(p=2)
    low = [1.5, -np.inf]
    for rate in ({}, PLAIN):
        path = descent_path(kind(penalty=Box(low, [9.0, 1.0]), epochs=5, **rate), X, y)
        assert_array_equal(path[0][:2], [1.5, 0.0])
        assert (path[0][2] == 0.0) == bool(rate), "the automatic step starts at the best constant"
        assert (path[:, :2] >= low).all()
        assert (path[:, :2] <= [9.0, 1.0]).all()
        assert (descent_path(kind(positive=True, epochs=5, **rate), -X, y)[:, :2] >= 0).all()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("intercept", [True, False])
def test_variance_is_that_of_the_gradients_of_rows(form, intercept):
    X, y = linear()
    model = OnlineSGDRegressor(penalty="l2", fit_intercept=intercept, **PLAIN).partial_fit(X[:9], y[:9])
    rows = batch_gradients(model, form(X), y, np.arange(len(y))[:, None])
    noise = gradient_noise(model, form(X), y)
    assert_allclose(noise.gradient, rows.mean(axis=0), atol=1e-12)
    assert_allclose(noise.variance, rows.var(axis=0).sum())
    assert_allclose(noise.scale, rows.var(axis=0).sum() / (rows.mean(axis=0) ** 2).sum())


def test_spread_is_the_mean_over_all_batches():
    """All pairs of six rows, each once."""
    X, y = linear(n=6, p=2)
    model = OnlineSGDRegressor(**PLAIN).partial_fit(X[:1], y[:1])
    noise, pairs = gradient_noise(model, X, y), np.transpose(np.triu_indices(6, 1))
    distance = batch_gradients(model, X, y, pairs) - noise.gradient
    assert_allclose(noise.spread(2), np.sqrt((distance**2).sum(axis=1).mean()))
    assert_allclose(noise.spread([1, 6]), [np.sqrt(noise.variance), 0])


def test_no_noise_where_rows_are_alike():
    X, y = np.ones((5, 2)), np.ones(5)
    noise = gradient_noise(OnlineSGDRegressor(**PLAIN).partial_fit(X[:1], y[:1]), X, y)
    assert noise.variance < 1e-15


@pytest.mark.parametrize(("gradient", "variance", "scale"), [([0, 0], 0, 0), ([0, 0], 2, np.inf), ([3, 4], 100, 4)])
def test_scale_where_there_is_no_gradient_or_no_noise(gradient, variance, scale):
    noise = GradientNoise(np.array(gradient, dtype=float), np.float64(variance), 5)
    assert noise.scale == scale


def test_the_batch_of_the_only_row_has_no_spread():
    X, y = linear()
    assert gradient_noise(BatchGDRegressor().fit(X, y), X[:1], y[:1]).spread(1) == 0


def test_other_estimators_are_refused_with_the_remedy():
    X, y = linear()
    pipeline, several = make_pipeline(StandardScaler(), BatchGDRegressor()).fit(X, y), np.c_[y, y]
    for function in (partial(objective, parameters=np.zeros(len(X[0]) + 1)), gradient_noise, measure_cost):
        with pytest.raises(TypeError, match=r"got Pipeline: give pipeline\[-1\], and .* pipeline\[:-1\].transform"):
            function(pipeline, X, y)
        with pytest.raises(TypeError, match=r"must be a regressor of this package; got Lasso\."):
            function(Lasso().fit(X, y), X, y)
    with pytest.raises(ValueError, match="must be fitted to one target; it has 2"):
        gradient_noise(BatchGDRegressor().fit(X, several), X, y)
    one, column = (gradient_noise(BatchGDRegressor().fit(X, t), X, y) for t in (y, y[:, None]))
    assert one.variance == column.variance


def test_critical_batch_size_of_an_exact_hyperbola():
    sizes = np.array([1, 8, 64, 512])
    critical = critical_batch_size(sizes, 30 + 2400 / sizes)
    assert_allclose(critical, [80, 30, 2400])


@pytest.mark.parametrize(("sizes", "updates"), [([8, 8], [50, 60]), ([1, 10, 100], [10, 20, 30])])
def test_no_critical_batch_size(sizes, updates):
    with pytest.raises(ValueError, match="No critical batch size"):
        critical_batch_size(sizes, updates)


def test_cost_counts(monkeypatch):
    X, y = linear(n=10, p=3)
    ticks = iter(np.cumsum([0, 12, 0, 15, 0, 3, 0, 2], dtype=float))
    monkeypatch.setattr(diagnostics, "perf_counter", lambda: next(ticks))
    cost = measure_cost(MiniBatchSGDRegressor(batch_size=4, drop_last=True), X, y, epochs=5, repeats=2)
    assert cost == (2, 2 * 4 * 3, (12 - 2) / 5)
    assert cost.seconds_per_update == 1.0


def test_cost_of_rows_with_absent_zeros():
    X, y = sparse.csr_matrix(np.eye(10)), np.arange(10.0)
    assert measure_cost(OnlineSGDRegressor(), X, y, epochs=2).multiplications_per_update == 2
    assert measure_cost(BatchGDRegressor(), X.toarray(), y, epochs=2).multiplications_per_update == 200


def test_updates_as_a_scorer():
    X, y = linear()
    pipeline = make_pipeline(StandardScaler(), BatchGDRegressor(epochs=3, tol=None)).fit(X, y)
    assert n_updates(pipeline, X, y) == n_updates(pipeline[-1]) == 3
