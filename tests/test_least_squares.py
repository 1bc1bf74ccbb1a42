"""Least squares of many rows from a sample of them and a few readings of X: against scikit-learn's, with a count."""

import warnings
from itertools import product

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, covering, theta
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.inference import coefficient_table

N, P, MOST = 36_000, 40, 5
NAMES = ["independent", "correlated", "raw units", "offsets", "levels"]


def design(name, n=N, p=P):
    """Ordinary columns, and a target of them with noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p))
    if name == "correlated":
        X = X @ (np.eye(p) + 0.1 * rng.standard_normal((p, p)) + 0.3)
    elif name == "raw units":
        X = np.exp(0.5 * X) * 10.0 ** rng.uniform(-6, 6, p)
    elif name == "offsets":
        X = X @ (np.eye(p) + 0.3) + 1e3
    elif name == "levels":
        X[:, ::2] = X[:, ::2] > 1.0
    return X, X / X.std(axis=0) @ rng.standard_normal(p) + 3.0 * rng.standard_normal(n) + 5.0


@covering(
    {
        # Without intercept, columns far from 0 have a direction too narrow for a sample.
        "name, fit_intercept": [
            *product(NAMES, [True]),
            *product([name for name in NAMES if name != "offsets"], [False]),
        ],
        "kind": REGRESSORS,
        "penalty": [None, "l2"],
        "weighted": [False, True],
        "dtype": [np.float64, np.float32],
    },
)
def test_few_readings_reach_the_minimum(monkeypatch, name, kind, penalty, weighted, dtype, fit_intercept):
    X, y = design(name)
    X, y = X.astype(dtype), y.astype(dtype)
    weight = np.random.default_rng(1).integers(0, 15, N).astype(dtype) if weighted else None
    readings, measured = internals.count_readings(monkeypatch), internals.count_measured(monkeypatch)
    alpha = 1e-3 if penalty else 0.0
    params = internals.used(penalty=penalty, alpha=alpha, fit_intercept=fit_intercept)
    model = kind(**params, random_state=0).fit(X, y, weight)
    used = N if weight is None else np.count_nonzero(weight)
    assert used <= sum(readings) < model.n_readings_ * used <= MOST * used
    assert max(measured) < N / 2
    strength = alpha * (N if weight is None else weight.sum())
    exact = Ridge(strength, fit_intercept=fit_intercept, solver="cholesky" if strength else "svd")
    exact.fit(X.astype(float), y.astype(float), weight)

    def objective(fitted):
        rest = X.astype(float) @ fitted.coef_ + fitted.intercept_ - y
        return np.average(rest**2, weights=weight) + alpha * np.sum(fitted.coef_.astype(float) ** 2)

    spread = np.average((y - (np.average(y, weights=weight) if fit_intercept else 0.0)) ** 2, weights=weight)
    assert objective(model) - objective(exact) < 1e-6 * spread
    if kind is BatchGDRegressor:
        assert_allclose(model.loss_curve_[0], spread / 2, rtol=1e-5)
        assert_allclose(model.loss_curve_[-1], 0.5 * (objective(model) - alpha * np.sum(model.coef_**2)), rtol=1e-5)


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_last_step_reads_a_part_of_the_rows(kind, weighted):
    X, y = design("correlated", n=4 * N)
    weight = np.random.default_rng(1).integers(1, 15, 4 * N) / 7.0 if weighted else None
    model, exact = kind(random_state=0).fit(X, y, weight), LinearRegression().fit(X, y, weight)
    assert 2.0 < model.n_readings_ < 2.2
    assert model.score(X, y, weight) > exact.score(X, y, weight) - 1e-6


def test_targets_of_mostly_noise_need_no_third_reading():
    """Much more is missing after the first step than may be left, but a step with a part of the rows leaves little."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80_000, P))
    y = 0.3 * X @ rng.standard_normal(P) / np.sqrt(P) + rng.standard_normal(len(X))
    model = BatchGDRegressor().fit(X, y)
    assert 2.0 < model.n_readings_ < 2.5
    assert model.score(X, y) > LinearRegression().fit(X, y).score(X, y) - 1e-6


def test_a_part_that_is_too_small_is_noticed(monkeypatch):
    """Its groups differ too much, so that the step is made with all rows."""
    X, y = design("correlated")
    monkeypatch.setattr(internals.least_squares, "EXPECTED", 1e9)
    readings = internals.count_readings(monkeypatch)
    model = BatchGDRegressor(tol=1e-7).fit(X, y)
    assert len(readings) > sum(n > N / 2 for n in readings) >= 3
    assert model.score(X, y) > LinearRegression().fit(X, y).score(X, y) - 1e-6


def test_a_small_tolerance_is_reached():
    X, y = design("correlated")
    model = BatchGDRegressor(tol=1e-12).fit(X, y)
    assert_allclose(model.predict(X), LinearRegression().fit(X, y).predict(X), atol=1e-5 * y.std())


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
def test_threads_change_no_bit(monkeypatch, kind):
    X, y = design("correlated")
    fits = []
    for number in (1, 2, 3):
        internals.on_threads(monkeypatch, number)
        fits.append(kind(random_state=0).fit(X, y))
    for other in fits[1:]:
        assert_array_equal(theta(other), theta(fits[0]))


def hard(name):
    """Columns whose sample does not show the directions of all rows."""
    X, y = design("independent")
    rng = np.random.default_rng(2)
    if name == "rare level":
        X[:, 3] = rng.random(N) < 1e-3
    elif name == "one entry":
        X[:, 3] = np.arange(N) == 7
    elif name == "cauchy":
        X[:, 3] = rng.standard_cauchy(N)
    elif name == "constant":
        X[:, 3] = 7.7
    elif name == "the same":
        X[:, 3] = X[:, 4]
    elif name == "nearly the same":
        X[:, 3] = X[:, 4] + 1e-9 * rng.standard_normal(N)
    elif name == "one long row":
        X[11] = 1e8
    elif name == "other rows":
        X[::100] *= 100.0
    return X, y + 2.0 * X[:, 3]


@pytest.mark.parametrize(
    "name",
    ["rare level", "one entry", "cauchy", "constant", "the same", "nearly the same", "one long row", "other rows"],
)
@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
def test_where_a_sample_does_not_do(kind, name):
    X, y = hard(name)
    Z, t = X - X.mean(axis=0), y - y.mean()
    best = 1.0 - np.sum((t - Z @ np.linalg.lstsq(Z, t, rcond=1e-13)[0]) ** 2) / np.sum(t**2)
    model = kind(random_state=0).fit(X, y)
    assert model.score(X, y) > best - (0.1 * model.tol if name == "nearly the same" else 1e-6)


@pytest.mark.parametrize("gap", [0.3, 1e-2, 1e-3])
def test_narrow_directions_need_covariances_in_double_precision(gap):
    X, y = design("correlated")
    X[:, 3] = X[:, 4] + gap * X[:, 3]
    y = y + X[:, 3] / gap
    model = BatchGDRegressor().fit(X, y)
    assert model.n_readings_ <= MOST
    assert model.score(X, y) > LinearRegression().fit(X, y).score(X, y) - 1e-6


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
def test_a_lasso_needs_all_rows(kind):
    """Its minimum depends on all covariances, not on those along the coefficients alone."""
    X, y = design("correlated")
    model = kind(penalty="l1", alpha=0.3, random_state=0).fit(X, y)
    peer = Lasso(0.3, tol=1e-10, precompute=True).fit(X, y)
    assert_allclose(model.coef_, peer.coef_, atol=1e-6)


def test_targets_without_noise_and_without_spread():
    X, _ = design("correlated")
    y = X @ np.arange(P) + 1.0
    assert BatchGDRegressor().fit(X, y).score(X, y) > 1.0 - 1e-10
    with warnings.catch_warnings(action="ignore"):
        assert_allclose(BatchGDRegressor().fit(X, np.full(N, 7.7)).predict(X[:9]), 7.7)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_a_bad_number_in_one_row_is_refused(kind):
    X, y = design("independent")
    X[31, 2] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        kind().fit(X, y)


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_average_leaves_the_readings_out(monkeypatch, kind):
    X, y = design("correlated")
    readings = internals.count_readings(monkeypatch)
    kind(average=True, random_state=0).fit(X, y)
    assert not readings


def test_a_stream_goes_on_from_all_rows():
    X, y = design("correlated", 2 * N)
    exact = LinearRegression().fit(X, y).predict(X)
    model = MiniBatchSGDRegressor(random_state=0).fit(X[:N], y[:N])
    for start in range(N, 2 * N, 6000):
        model.partial_fit(X[start : start + 6000], y[start : start + 6000])
    # Old and new rows are weighed by a sample: at the price of a hundredth of what noise costs least squares.
    assert np.mean((model.predict(X) - exact) ** 2) < 0.01 * P / (2 * N) * np.var(y - exact)


def test_standard_errors_need_all_rows():
    X, y = design("correlated")
    model, kept = BatchGDRegressor().fit(X, y), BatchGDRegressor(inference=True).fit(X, y)
    with pytest.raises(ValueError, match="inference=True"):
        coefficient_table(model, robust=False)
    expected = coefficient_table(kept, robust=False)
    assert_allclose(coefficient_table(model, X, y, robust=False).std_err, expected.std_err, rtol=1e-5)
    assert_allclose(model.predict(X[:9], return_std=True)[1], kept.predict(X[:9], return_std=True)[1], rtol=1e-4)


@pytest.mark.parametrize("rest", [52.0, 1.0])
def test_one_row_that_no_part_shows(rest):
    """Its square is a part of those of all rows, but the other rows do not show it."""
    rng = np.random.default_rng(1)
    n, p, size = 100_000, 60, 300.0
    X, slopes = rng.standard_normal((n, p)), rng.standard_normal(p)
    y = X @ slopes + 3.0 * rng.standard_normal(n)
    X[7] = size * np.eye(1, p)[0]
    y[7] = size * slopes[0] + rest
    least = np.mean((y - LinearRegression().fit(X, y).predict(X)) ** 2)
    model = BatchGDRegressor().fit(X, y)
    assert model.n_readings_ > 2.0
    assert np.mean((y - model.predict(X)) ** 2) - least < 1e-6 * y.var()


def test_one_heavy_row_that_no_part_shows():
    """It has half of the weight, and hardly a share in the squared predictions."""
    rng = np.random.default_rng(16)
    n, p = 34_000, 60
    X, weight, noise = rng.standard_normal((n, p)), np.ones(n), rng.standard_normal(n)
    weight[100], noise[100] = 4e4, 200.0 * noise[100]
    y = X @ rng.standard_normal(p) / 8.0 + noise
    least, found = (
        np.average((y - model.predict(X)) ** 2, weights=weight)
        for model in (
            LinearRegression().fit(X, y, sample_weight=weight),
            MiniBatchSGDRegressor(random_state=0).fit(X, y, sample_weight=weight),
        )
    )
    assert found - least < 1e-6 * np.cov(y, aweights=weight, ddof=0)
