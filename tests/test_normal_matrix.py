"""Full batches by a schedule from the normal matrix: the passes over the samples, to rounding."""

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import covering, some_weights, theta
from sklearn.linear_model import ElasticNet, Ridge

from sklearn_sgd import BatchGDRegressor

N, P = 4000, 10
OPTIMIZERS = ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "adadelta", "ftrl"]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def problem(targets=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((N, P)) * rng.uniform(0.5, 2.0, P) + rng.uniform(-1.0, 1.0, P)
    size = N if targets is None else (N, targets)
    return X, (X @ rng.standard_normal(P if targets is None else (P, targets))) + rng.standard_normal(size) + 2.0


@covering(
    {
        "optimizer": OPTIMIZERS,
        "penalty, positive": [(None, False), ("l2", False), ("l1", True), ("elasticnet", False)],
        "schedule": ["constant", "invscaling", "adaptive"],
        "weighted": [False, True],
        "average": [False, True],
        "fit_intercept, targets": [(True, None), (True, 2), (False, None)],
    },
    strength=2,
)
def test_epochs_are_those_of_the_passes(
    monkeypatch, optimizer, penalty, positive, schedule, weighted, average, fit_intercept, targets
):
    X, y = problem(targets)
    weight = np.where(np.arange(N) % 7 == 3, 0.0, some_weights(N)) if weighted else None
    params = {"optimizer": optimizer, "penalty": penalty, "alpha": 0.01, "positive": positive, "average": average}
    params |= {"learning_rate": schedule, "eta0": 0.02, "fit_intercept": fit_intercept, "tol": 1e-6}
    model, readings = BatchGDRegressor(**internals.used(**params), epochs=40), internals.count_readings(monkeypatch)
    model.fit(X, y, weight)
    assert len(readings) < 10  # Of the verdict, at the end.
    coef, losses = theta(model), model.loss_curve_
    internals.without_normal_matrix(monkeypatch)
    model.fit(X, y, weight)
    assert len(readings) > 10
    assert_allclose(coef, theta(model), rtol=1e-10, atol=1e-12)
    assert_allclose(losses, model.loss_curve_, rtol=1e-10)


def test_one_precision_and_rates_too_large(monkeypatch):
    X, y = problem()
    model = BatchGDRegressor(learning_rate="constant", eta0=0.05, epochs=50, tol=None)
    coef = theta(model.fit(X.astype(np.float32), y.astype(np.float32)))
    assert model.coef_.dtype == np.float32
    assert_allclose(coef, theta(model.fit(X, y)), rtol=1e-4)
    reasons = [model.set_params(eta0=3.0, epochs=2000).fit(X, y).stop_reason_]
    internals.without_normal_matrix(monkeypatch)
    reasons.append(model.fit(X, y).stop_reason_)
    assert reasons[0] == reasons[1] == "diverged"


@pytest.mark.parametrize("params", [{"epochs": 3}, {"loss": "huber", "epochs": 40}])
def test_where_it_does_not_pay(monkeypatch, params):
    X, y = problem()
    readings = internals.count_readings(monkeypatch)
    BatchGDRegressor(learning_rate="constant", eta0=0.02, tol=None, **params).fit(X, y)
    assert len(readings) >= params["epochs"]


def test_a_bad_number_is_refused():
    X, y = problem()
    X[5, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        BatchGDRegressor(learning_rate="constant", eta0=0.02, epochs=40).fit(X, y)


@pytest.mark.parametrize("columns", [1, 6, 11])
def test_epochs_at_a_constant_rate_have_a_closed_form(columns):
    """Gradient descent on a parabola with curvature H: after k steps, ``(1 - eta * H)**k`` of the way is left."""
    X, y = (
        np.random.default_rng(1).standard_normal((40_000, columns)) + 0.5,
        np.random.default_rng(2).standard_normal(40_000),
    )
    model = BatchGDRegressor(learning_rate="constant", eta0=0.1, epochs=30, tol=None).fit(X, y)
    rows = np.column_stack([X, np.ones(len(X))])
    curvature, minimum = rows.T @ rows / len(X), np.linalg.lstsq(rows, y, rcond=None)[0]
    left = np.linalg.matrix_power(np.eye(columns + 1) - 0.1 * curvature, 30)
    assert_allclose(theta(model), minimum - left @ minimum, rtol=1e-9, atol=1e-12)
    before = minimum - np.linalg.matrix_power(np.eye(columns + 1) - 0.1 * curvature, 29) @ minimum
    assert_allclose(model.loss_curve_[-1], np.mean((rows @ before - y) ** 2) / 2, rtol=1e-12)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("penalty", "positive"), [(None, False), ("l2", False), ("l1", False), ("elasticnet", True)])
def test_automatic_steps_in_machine_code(monkeypatch, penalty, positive, fit_intercept, average):
    """The steps in NumPy, and those on samples; the minimum by scikit-learn after more steps."""
    X, y = problem()
    params = {"penalty": penalty, "alpha": 0.1, "positive": positive}
    model = BatchGDRegressor(**internals.used(**params), fit_intercept=fit_intercept, average=average, tol=None)
    in_numpy = theta(model.set_params(epochs=3).fit(X, y))
    last = theta(model.set_params(epochs=400).fit(X, y))
    internals.in_machine_code(monkeypatch)
    first = theta(model.set_params(epochs=3).fit(X, y))
    assert_allclose(first, in_numpy, rtol=1e-11, atol=1e-12)
    assert_allclose(theta(model.fit(X.astype(np.float32), y.astype(np.float32))), first, rtol=1e-4, atol=1e-5)
    internals.without_normal_matrix(monkeypatch)
    assert_allclose(theta(model.fit(X, y)), first, rtol=1e-6, atol=1e-7)
    if not average:
        share = {"l1": 1.0, "elasticnet": 0.15}.get(penalty)
        peer = Ridge(0.1 * N if penalty else 0.0) if share is None else ElasticNet(0.1, l1_ratio=share, tol=1e-14)
        peer.set_params(fit_intercept=fit_intercept, positive=positive).fit(X, y)
        assert_allclose(last, theta(peer), rtol=1e-6, atol=1e-7)
