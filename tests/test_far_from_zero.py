"""Columns whose means are far above their spread, without an intercept: against least squares and SciPy's minimum."""

import pickle

import numpy as np
import pytest
from problems import REGRESSORS
from scipy import sparse
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import Expectile, Huber, LogCosh, Poisson, SquaredEpsilonInsensitive

FORMS = [np.asarray, sparse.csr_array]


def far(n, p, offset, dtype=np.float64):
    """Columns at an offset, and a target of them with noise of the size of their spread."""
    rng = np.random.default_rng(0)
    X = (offset + rng.standard_normal((n, p))).astype(dtype)
    return X, (X @ rng.standard_normal(p) + rng.standard_normal(n)).astype(dtype)


def squares(X, y, coef):
    return np.mean((y.astype(float) - X.astype(float) @ coef.astype(float)) ** 2)


def least_squares(X, y):
    return squares(X, y, np.linalg.lstsq(X.astype(float), y.astype(float))[0])


def well_conditioned(X):
    """Orthogonal columns with the same span: of the columns about their means, and one that moves the mean."""
    mean = X.mean(axis=0)
    across = np.linalg.svd(mean[None])[2][1:].T
    Z = X - mean
    return np.linalg.qr(np.column_stack((Z @ across, Z @ mean / (mean @ mean) + 1.0)))[0] * len(X) ** 0.5


def problem_of(loss, n, offset):
    """Return samples and targets, the least loss by SciPy, in orthogonal columns, and that of a constant."""
    X, y = far(n, 5, offset)
    if hasattr(loss, "link"):
        rate = np.exp(1.0 + 0.3 * (X - X.mean(axis=0)) @ [1.0, -1.0, 0.0, 1.0, 0.5])
        y = np.random.default_rng(1).poisson(rate).astype(float)
    rows, target = well_conditioned(X), loss.link(np.maximum(y, 0.5)) if hasattr(loss, "link") else y
    v = np.linalg.lstsq(rows, target)[0]
    slope = lambda v: rows.T @ loss.gradient(y, rows @ v) / len(y)  # noqa: E731
    v = minimize(lambda v: np.mean(loss.value(y, rows @ v)), v, jac=slope, options={"gtol": 1e-9}).x
    return X, y, *(np.mean(loss.value(y, z)) for z in (rows @ v, target.mean()))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "p"), [(60, 5), (30, 40)])
@pytest.mark.parametrize("offset", [1e4, 1e6, 1e9])
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_least_squares(estimator, offset, n, p, form):
    X, y = far(n, p, offset)
    model = estimator(fit_intercept=False, random_state=0).fit(form(X), y)
    assert model.stop_reason_ == "tol"
    assert squares(X, y, model.coef_) <= least_squares(X, y) + 1e-6 * y.var()


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_least_squares_in_single_precision(estimator):
    X, y = far(60, 5, 1e4, np.float32)
    model = estimator(fit_intercept=False, random_state=0).fit(X, y)
    assert squares(X, y, model.coef_) <= least_squares(X, y) + 1e-4 * y.var()


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_weights_and_a_column_of_ones(estimator, constant):
    X, y = far(80, 5, 1e6)
    if constant:
        X = np.column_stack((X, np.ones(len(X))))
    weight = np.random.default_rng(1).uniform(0.0, 3.0, len(X))
    weight[::7] = 0.0
    root = np.sqrt(weight)
    model = estimator(fit_intercept=False, random_state=0).fit(X, y, sample_weight=weight)
    rows, target = root[:, None] * X, root * y
    # In the units of the columns: a column of ones would be rounding beside the others.
    units = np.abs(X).max(axis=0)
    least = squares(rows / units, target, np.linalg.lstsq(rows / units, target)[0])
    assert squares(rows, target, model.coef_) <= least + 1e-5 * y.var()


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_ridge(estimator):
    X, y = far(60, 5, 1e6)
    model = estimator(fit_intercept=False, penalty="l2", alpha=1.0, random_state=0).fit(X, y)
    root = len(X) ** 0.5
    rows, target = np.vstack((X, root * np.eye(5))), np.append(y, np.zeros(5))
    assert squares(rows, target, model.coef_) <= least_squares(rows, target) + 1e-5 * y.var()


@pytest.mark.parametrize("offset", [1e6, 1e9])
@pytest.mark.parametrize("estimator", [BatchGDRegressor, MiniBatchSGDRegressor])
@pytest.mark.parametrize("loss", [Huber(0.5), Expectile(0.8), SquaredEpsilonInsensitive(0.3), LogCosh(), Poisson()])
def test_other_losses(loss, estimator, offset):
    X, y, least, constant = problem_of(loss, 60, offset)
    model = estimator(loss, fit_intercept=False, random_state=0).fit(X, y)
    assert model.stop_reason_ == "tol"
    assert np.mean(loss.value(y, X @ model.coef_)) <= least + 1e-4 * (constant - least)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "p"), [(60, 5), (300, 10)])
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_losses_with_kinks(estimator, n, p, form):
    X, y = far(n, p, 1e9)
    model = estimator("absolute_error", fit_intercept=False, random_state=0).fit(form(X), y)
    rows = well_conditioned(X)
    least = np.mean(abs(y - QuantileRegressor(alpha=0.0, fit_intercept=False).fit(rows, y).predict(rows)))
    assert np.mean(abs(y - X @ model.coef_)) <= least + 1e-3 * np.mean(abs(y - np.median(y)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1, 20])
@pytest.mark.parametrize(("n", "p"), [(60, 5), (30, 40)])
@pytest.mark.parametrize("offset", [1e2, 1e6, 1e9])
def test_streams(offset, n, p, size, form):
    X, y = far(n, p, offset)
    model = OnlineSGDRegressor(fit_intercept=False)
    for start in range(0, n, size):
        model.partial_fit(form(X[start : start + size]), y[start : start + size])
    # Steps that gain no more than noise are left out.
    assert squares(X, y, model.coef_) <= least_squares(X, y) * (1.0 + 10.0 / n) + 1e-6 * y.var()


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_a_stream_with_penalty_weights_and_targets_goes_on_after_a_fit(estimator):
    X, y = far(60, 5, 1e6)
    weight, Y = np.random.default_rng(1).uniform(0.1, 3.0, 60), np.column_stack((y, y[::-1]))
    model = estimator(fit_intercept=False, penalty="l2", alpha=1.0)
    model.fit(X[:20], Y[:20], sample_weight=weight[:20])
    for rows in (slice(20, 40), slice(40, 41), slice(41, 60)):
        model.partial_fit(X[rows], Y[rows], weight[rows])
    root = np.sqrt(weight)[:, None]
    rows = np.vstack((root * X, np.sqrt(weight.sum()) * np.eye(5)))
    for target, coef in zip(Y.T, model.coef_, strict=True):
        target = np.append(root[:, 0] * target, np.zeros(5))
        assert squares(rows, target, coef) <= least_squares(rows, target) + 1e-5 * y.var()


@pytest.mark.parametrize("offset", [1e2, 1e6])
@pytest.mark.parametrize("loss", [Huber(0.5), Expectile(0.8), LogCosh(), Poisson()])
def test_streams_of_other_losses_end_near_the_minimum(loss, offset):
    X, y, least, constant = problem_of(loss, 600, offset)
    model = MiniBatchSGDRegressor(loss, batch_size=4, fit_intercept=False)
    for start in range(0, len(y), 20):
        model.partial_fit(X[start : start + 20], y[start : start + 20])
    assert np.mean(loss.value(y, X @ model.coef_)) <= least + 0.05 * (constant - least)


@pytest.mark.parametrize("number", [0, 1, 5])
@pytest.mark.parametrize("loss", [Huber(0.5), Expectile(0.8), LogCosh(), Poisson()])
def test_streams_with_a_column_of_ones(loss, number):
    """It is an intercept, also if no other column varies."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, number))
    y = rng.poisson(np.exp(1.0 + 0.3 * X.sum(axis=1))).astype(float)
    model, twin = (MiniBatchSGDRegressor(loss, batch_size=4, fit_intercept=with_it) for with_it in (False, True))
    for start in range(0, 600, 20):
        rows = slice(start, start + 20)
        model.partial_fit(np.column_stack((np.ones(20), X[rows])), y[rows])
        twin.partial_fit(np.column_stack((np.ones(20), X[rows])), y[rows])
    z = X @ model.coef_[1:] + model.coef_[0]
    least, constant = (np.mean(loss.value(y, v)) for v in (X @ twin.coef_[1:] + twin.intercept_, np.full(600, 9.0)))
    assert np.mean(loss.value(y, z)) <= least + 0.05 * abs(constant - least)


@pytest.mark.parametrize("offset", [1e5, 1e6])
@pytest.mark.parametrize("loss", [Huber(0.5), LogCosh(), Poisson()])
@pytest.mark.parametrize(("size", "number"), [(1, 4), (5, 2)])
def test_young_streams_are_no_worse_than_a_constant(size, number, loss, offset):
    """A few rows do not show how predictions far from 0 move, nor that a column begins to vary."""
    rng = np.random.default_rng(1)
    X, y = offset + rng.standard_normal((50, number)), np.abs(rng.standard_normal(50)) + 5.0
    X[:, 1] -= 2.0 * offset
    model = MiniBatchSGDRegressor(loss, fit_intercept=False)
    for start in range(0, 50, size):
        model.partial_fit(X[start : start + size], y[start : start + size])
    constant = np.log(y.mean()) if hasattr(loss, "link") else np.median(y)
    assert np.mean(loss.value(y, X @ model.coef_)) <= 1.5 * np.mean(loss.value(y, constant + 0.0 * y))


@pytest.mark.filterwarnings("ignore:.*earlier samples count no more")
@pytest.mark.parametrize("offset", [1e2, 1e6])
@pytest.mark.parametrize("loss", [Huber(0.5), LogCosh(), Poisson()])
def test_a_stream_that_loses_its_intercept_ends_near_the_minimum(loss, offset):
    """The columns can express nearly a constant, so that predictions at their means stay."""
    X, y, least, constant = problem_of(loss, 600, offset)
    model = MiniBatchSGDRegressor(loss, batch_size=4).partial_fit(X[:300], y[:300]).set_params(fit_intercept=False)
    for start in range(300, 600, 20):
        model.partial_fit(X[start : start + 20], y[start : start + 20])
    assert np.mean(loss.value(y, X @ model.coef_)) <= least + 0.05 * (constant - least)


@pytest.mark.filterwarnings("ignore:.*earlier samples count no more")
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_bounds_hold_where_columns_replace_an_intercept(loss, before):
    X, y = far(60, 5, np.array([1e4, -1e4, 1e4, -1e4, 0.0]))
    model = OnlineSGDRegressor(loss, fit_intercept=before, positive=True, average=True, half_life=500)
    model.partial_fit(X[:20], y[:20]).set_params(fit_intercept=False)
    for rows in (slice(20, 40), slice(40, 41), slice(41, 60)):
        assert (model.partial_fit(X[rows], y[rows]).coef_ >= 0.0).all()


def test_a_stream_without_intercept_that_is_worse_than_a_constant_warns():
    X, y = far(1200, 5, 1e9)
    model = OnlineSGDRegressor("huber", fit_intercept=False, learning_rate="constant", eta0=1e-25)
    with pytest.warns(ConvergenceWarning, match="predicts worse than the best constant"):
        model.partial_fit(X, y)


@pytest.mark.parametrize("offset", [1e4, 1e6])
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_early_stopping(estimator, offset):
    X, y = far(1000, 5, offset)
    model = estimator(fit_intercept=False, early_stopping=True, random_state=0).fit(X, y)
    assert squares(X, y, model.coef_) <= least_squares(X, y) + 1e-2 * y.var()


@pytest.mark.parametrize("loss", ["squared_error", Huber(0.5)])
def test_a_saved_fit_goes_on(loss):
    X, y = far(60, 5, 1e6)
    model = BatchGDRegressor(loss, fit_intercept=False).fit(X, y)
    saved = pickle.dumps(model)
    restored = pickle.loads(saved)
    assert len(saved) <= len(pickle.dumps(BatchGDRegressor(loss, fit_intercept=False).fit(X - 1e6, y))) + 100
    np.testing.assert_array_equal(restored.partial_fit(X, y).coef_, model.partial_fit(X, y).coef_)


@pytest.mark.parametrize("loss", ["squared_error", Huber(0.5)])
def test_tensors(loss):
    torch = pytest.importorskip("torch")
    from sklearn import config_context

    X, y = far(60, 5, 1e6)
    here = BatchGDRegressor(loss, fit_intercept=False).fit(X, y)
    with config_context(array_api_dispatch=True):
        there = BatchGDRegressor(loss, fit_intercept=False).fit(torch.asarray(X), torch.asarray(y))
    there = X @ there.coef_.numpy()
    assert np.max(abs(there - X @ here.coef_)) <= 1e-2 * y.std()
