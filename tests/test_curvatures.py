"""Full batches of other losses on many rows: curvatures of a sample lead to the minimum that scikit-learn finds."""

import warnings

import internals
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import covering, some_weights, theta
from scipy import sparse
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, PoissonRegressor

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.losses import LOSSES

N, P = 36_000, 10


def problem(noise=0.5):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, P)) @ (np.eye(P) + 0.3) * 10.0 ** rng.uniform(-4, 4, P) + 3.0
    return X, (X - X.mean(axis=0)) / X.std(axis=0) @ rng.uniform(-0.5, 0.5, P) + noise * rng.standard_t(3, N)


def objective(loss, model, X, y, weight=None):
    return np.average(loss.value(y, X @ model.coef_.astype(float) + model.intercept_), weights=weight)


@covering({"loss": ["huber", "logcosh", "expectile"], "weighted": [False, True], "dtype": [np.float64, np.float32]})
def test_a_sample_leads_to_the_minimum(monkeypatch, loss, weighted, dtype):
    X, y = problem()
    weight = some_weights(N) if weighted else None
    part, Z = LOSSES[loss](), np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(N)])
    s = np.ones(N) if weight is None else weight

    def value_and_slope(w):
        z = Z @ w
        return np.average(part.value(y, z), weights=s), Z.T @ (s * part.gradient(y, z)) / s.sum()

    best = minimize(value_and_slope, np.zeros(P + 1), jac=True, options={"gtol": 1e-8}).fun
    measured = internals.count_measured(monkeypatch)
    model = BatchGDRegressor(loss).fit(X.astype(dtype), y.astype(dtype), weight)
    assert max(measured) < N / 2
    assert objective(part, model, X, y, weight) < (1.0 + 1e-4) * best


@pytest.mark.parametrize(
    ("loss", "peer"),
    [("poisson", PoissonRegressor), ("gamma", GammaRegressor)],
)
def test_scikit_learns_minimum(monkeypatch, loss, peer):
    X, z = problem(noise=0.0)
    part, Z, rng = LOSSES[loss](), (X - X.mean(axis=0)) / X.std(axis=0), np.random.default_rng(1)
    y = rng.poisson(np.exp(z)).astype(float) if loss == "poisson" else np.exp(z) * rng.gamma(2.0, size=N)
    best = objective(part, peer(alpha=0, solver="newton-cholesky").fit(Z, y), Z, y)
    constant = part.value(y, np.log(y.mean())).mean()
    measured = internals.count_measured(monkeypatch)
    model = BatchGDRegressor(loss).fit(X, y)
    assert max(measured) < N / 2
    assert objective(part, model, X, y) - best < 1e-4 * (constant - best)


@pytest.mark.parametrize("loss", ["quantile", "absolute_error", "epsilon_insensitive", "cauchy"])
def test_no_worse_than_curvatures_of_all_rows(monkeypatch, loss):
    X, y = problem()
    part = LOSSES[loss]()
    found = objective(part, BatchGDRegressor(loss).fit(X, y), X, y)
    internals.without_samples(monkeypatch)
    assert found < 1.0002 * objective(part, BatchGDRegressor(loss).fit(X, y), X, y)


@pytest.mark.parametrize("name", ["rare level", "one entry", "one long row"])
def test_where_a_sample_does_not_do(monkeypatch, name):
    X, y = problem()
    if name == "rare level":
        X[:, 3] = np.random.default_rng(2).random(N) < 1e-3
    elif name == "one entry":
        X[:, 3] = np.arange(N) == 7
    else:
        X[11] *= 1e8
    y = y + 50.0 * X[:, 3] / X[:, 3].max()
    part = LOSSES["huber"]()

    def fitted():
        if name != "one long row":
            return BatchGDRegressor("huber").fit(X, y)
        # Along all other directions columns vary by rounding of their covariances.
        with pytest.warns(ConvergenceWarning, match="The minimum was not reached"):
            return BatchGDRegressor("huber").fit(X, y)

    found = fitted()
    internals.without_samples(monkeypatch)
    assert objective(part, found, X, y) < 1.0002 * objective(part, fitted(), X, y)


def test_threads_change_no_bit(monkeypatch):
    X, y = problem()
    fits = []
    for number in (1, 2):
        internals.on_threads(monkeypatch, number)
        fits.append(theta(BatchGDRegressor("huber", epochs=4, tol=None).fit(X, y)))
    assert_array_equal(*fits)


SMOOTH = ["huber", "logcosh", "poisson", "gamma", "expectile"]


@covering(
    {
        "loss": SMOOTH,
        "kind": [BatchGDRegressor, MiniBatchSGDRegressor],
        "dtype": [np.float64, np.float32],
        "penalty": [None, "l2"],
    }
)
def test_few_readings_reach_the_minimum(monkeypatch, loss, kind, dtype, penalty):
    """Lengths are searched for on predictions, which are kept; batches end with steps on all rows."""
    X, y = problem()
    y = np.exp(0.3 * y) if hasattr(LOSSES[loss], "link") else y
    X, y, readings = X.astype(dtype), y.astype(dtype), internals.count_readings(monkeypatch)
    params = {"penalty": penalty, "alpha": 1e-3} if penalty else {}
    model = kind(loss, random_state=0, **params).fit(X, y)
    assert sum(n == N for n in readings) <= 8
    assert model.stop_reason_ == "tol"
    part, Z = LOSSES[loss](), np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(N)]).astype(float)
    ridge = np.append(params.get("alpha", 0.0) / X.var(axis=0, dtype=float), 0.0)

    def value_and_slope(w):
        z = Z @ w
        value = np.mean(part.value(y.astype(float), z)) + 0.5 * ridge @ (w * w)
        return value, Z.T @ part.gradient(y.astype(float), z) / N + ridge * w

    best = minimize(value_and_slope, np.zeros(P + 1), jac=True, options={"gtol": 1e-8}).fun
    coef = model.coef_.astype(float)
    found = objective(part, model, X.astype(float), y.astype(float)) + 0.5 * params.get("alpha", 0.0) * coef @ coef
    assert found < (1.0 + 1e-4) * best


def test_a_long_row():
    """No sample shows it, and the curvature of all rows is measured in each epoch."""
    n, rng = 33_000, np.random.default_rng(33008)
    X = rng.standard_normal((n, 8)) @ (np.eye(8) + 0.3 * rng.standard_normal((8, 8)))
    y = X @ rng.standard_normal(8) / 8.0 + 0.5 * rng.standard_t(3, n) + 1.0
    X[n // 2] *= 1e3
    part, Q = LOSSES["squared_epsilon_insensitive"](), np.linalg.qr(X)[0]

    def value_and_slope(w):
        return np.mean(part.value(y, Q @ w)), Q.T @ part.gradient(y, Q @ w) / n

    best = minimize(value_and_slope, Q.T @ y, jac=True, options={"gtol": 1e-9}).fun
    model = BatchGDRegressor("squared_epsilon_insensitive", fit_intercept=False).fit(X, y)
    assert objective(part, model, X, y) - best < 1e-3 * np.mean(part.value(y, 0.0))


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_a_block_without_curvature(form, kind):
    """The first rows lie within the tube, where the loss is 0."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12_000, 2))
    y = X @ [1.0, 2.0] + 3.0 + np.where(np.arange(12_000) < 6000, 0.0, 0.3) * rng.standard_normal(12_000)

    def objective(w):
        return 0.5 * np.mean(np.maximum(abs(y - X @ w[:2] - w[2]) - 0.1, 0.0) ** 2)

    least = minimize(objective, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-15}).fun
    model = kind("squared_epsilon_insensitive", random_state=0).fit(form(X), y)
    assert objective(theta(model)) <= least * (1 + 1e-4)


@pytest.mark.parametrize("loss", ["huber", "logcosh"])
@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
def test_a_target_along_directions_that_rounding_hides_is_not_called_near(kind, loss):
    """Powers of x have directions that covariances do not show; half of the target is along one of them."""
    generator = np.random.default_rng(0)
    X = generator.uniform(3.0, 5.0, 1000)[:, None] ** np.arange(1, 9)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    directions = np.linalg.svd(scaled, full_matrices=False)[0]
    y = 30.0 * directions[:, 1] + 30.0 * directions[:, 6] + 0.3 * generator.standard_normal(1000)
    with pytest.warns(ConvergenceWarning, match="nearly linear combinations"):
        model = kind(loss, random_state=0).fit(X, y)
    assert model.stop_reason_ == "stalled"


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
def test_noise_along_directions_that_rounding_hides_is_not_missing(kind):
    generator = np.random.default_rng(0)
    X = generator.uniform(3.0, 5.0, 1000)[:, None] ** np.arange(1, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kind("huber", random_state=0).fit(X, generator.standard_normal(1000)).stop_reason_ == "tol"
