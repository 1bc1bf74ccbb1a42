"""Columns whose means are far above their spread, without an intercept: against least squares and SciPy's minimum."""

import pickle
import warnings

import numpy as np
import pytest
from problems import REGRESSORS
from scipy import sparse
from scipy.optimize import minimize, nnls
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


@pytest.mark.parametrize(
    ("dtype", "offset", "warns"), [(np.float64, 1e9, True), (np.float32, 1e4, False), (float, 1e6, False)]
)
@pytest.mark.parametrize("loss", [Huber(0.5), LogCosh()])
def test_streams_of_other_losses_warn_where_steps_lack_digits(loss, dtype, offset, warns):
    X, y = far(600, 5, offset, dtype)
    model = MiniBatchSGDRegressor(loss, batch_size=4, fit_intercept=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for start in range(0, len(y), 20):
            model.partial_fit(X[start : start + 20], y[start : start + 20])
    assert [str(warning.message).count("so far from 0") for warning in caught] == [1] * warns
    mean = X.mean(axis=0)
    centred = minimize(lambda w: np.mean(loss.value(y - y.mean(), (X - mean).astype(float) @ w)), np.zeros(5)).fun
    assert (np.mean(loss.value(y, X @ model.coef_)) > 1.5 * centred) == warns


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


def shortfall(X, y, coef, alpha, l1_ratio):
    """The gap between the objective and a dual one, in a step from the residuals to a feasible point."""
    n, p = X.shape
    rows = np.vstack((X, np.sqrt(n * alpha * (1.0 - l1_ratio)) * np.eye(p)))
    y, l1 = np.append(y, np.zeros(p)), alpha * l1_ratio
    rest, mean = y - rows @ coef, X.mean(axis=0)
    slopes = ((X - mean).T @ rest[:n] + rows[n:].T @ rest[n:]) / n
    # The mean residual is not known to the digits that slopes need.
    held = coef != 0.0
    rest[:n] += ((l1 * np.sign(coef) - slopes)[held] / mean[held]).mean() - rest[:n].mean()
    slopes += rest[:n].mean() * mean
    dual = rest * min(1.0, l1 / np.max(abs(slopes)))
    objective = 0.5 * np.sum((y - rows @ coef) ** 2) / n + l1 * np.sum(abs(coef))
    return objective - (dual @ y - 0.5 * dual @ dual) / n


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
@pytest.mark.parametrize(("n", "p"), [(200, 20), (30, 40)])
@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6, 1e8])
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_lasso_and_elastic_net(estimator, offset, n, p, l1_ratio, form):
    X, y = far(n, p, offset)
    penalty = {"penalty": "elasticnet", "alpha": 0.1, "l1_ratio": l1_ratio}
    model = estimator(fit_intercept=False, random_state=0, **penalty).fit(form(X), y)
    assert model.stop_reason_ == "tol"
    assert shortfall(X, y, model.coef_, 0.1, l1_ratio) <= 1e-5 * y.var()
    stream = estimator(fit_intercept=False, **penalty)
    for start in range(0, n, 25):
        stream.partial_fit(form(X[start : start + 25]), y[start : start + 25])
    assert shortfall(X, y, stream.coef_, 0.1, l1_ratio) <= 1e-5 * y.var()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6, 1e9])
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_positive(estimator, offset, form):
    X, y = far(200, 20, offset)
    model = estimator(fit_intercept=False, positive=True, random_state=0).fit(form(X), y)
    assert model.stop_reason_ == "tol"
    assert squares(X, y, model.coef_) <= squares(X, y, nnls(X, y)[0]) + 1e-6 * y.var()


def least_with_penalty(loss, X, y, alpha, positive):
    """The least objective by SciPy, over positive and negative parts, and the mean prediction as a variable."""
    n, p = X.shape
    mean, level = X.mean(axis=0), 0.0 if hasattr(loss, "link") else y.mean()
    Z, unit = np.column_stack((X - mean, mean - X, np.ones(n))), abs(mean).max()
    pull, along = alpha * np.append(np.ones(2 * p), 0.0), np.concatenate((mean, -mean, [-1.0])) / unit
    return minimize(
        lambda v: np.mean(loss.value(y, level + Z @ v)) + pull @ v,
        np.zeros(2 * p + 1),
        jac=lambda v: Z.T @ loss.gradient(y, level + Z @ v) / n + pull,
        bounds=[(0.0, None)] * p + [(0.0, 0.0 if positive else None)] * p + [(None, None)],
        constraints={"type": "eq", "fun": lambda v: along @ v - level / unit, "jac": lambda v: along},
        method="SLSQP",
        options={"ftol": 1e-10, "maxiter": 500},
    ).fun


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("offset", [1e3, 1e6, 1e9])
@pytest.mark.parametrize("estimator", [BatchGDRegressor, MiniBatchSGDRegressor])
@pytest.mark.parametrize("loss", [Huber(0.5), Expectile(0.8), LogCosh(), Poisson()])
def test_other_losses_with_proximal_penalties(loss, estimator, offset, positive, form):
    X, y, _, constant = problem_of(loss, 60, offset)
    if positive and not hasattr(loss, "link"):
        y = y + 2.0 * X[:, 3:].sum(axis=1)
    penalty = {"positive": True} if positive else {"penalty": "l1", "alpha": 0.05}
    model = estimator(loss, fit_intercept=False, random_state=0, **penalty).fit(form(X), y)
    objective = np.mean(loss.value(y, X @ model.coef_)) + (0.0 if positive else 0.05 * np.sum(abs(model.coef_)))
    assert objective <= least_with_penalty(loss, X, y, 0.05 * (not positive), positive) + 1e-4 * constant


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("n", [300, 900])
@pytest.mark.parametrize("offset", [1e4, 1e7])
def test_many_columns(offset, n, alpha):
    X, y = far(n, 410, offset)
    penalty = {"penalty": "l2", "alpha": alpha} if alpha else {}
    model = BatchGDRegressor(fit_intercept=False, **penalty).fit(X, y)
    assert model.stop_reason_ == "tol"
    rows, target = np.vstack((X, np.sqrt(n * alpha) * np.eye(410))), np.append(y, np.zeros(410))
    assert squares(rows, target, model.coef_) <= least_squares(rows, target) + 1e-6 * y.var()


@pytest.mark.parametrize("offset", [1e2, 1e6])
def test_lasso_of_many_columns(offset):
    X, _ = far(300, 410, offset)
    y = X[:, :10] @ np.arange(-4.0, 6.0) + np.random.default_rng(1).standard_normal(300)
    model = BatchGDRegressor(fit_intercept=False, penalty="l1", alpha=0.1).fit(X, y)
    assert model.stop_reason_ == "tol"
    assert shortfall(X, y, model.coef_, 0.1, 1.0) <= 1e-5 * y.var()
