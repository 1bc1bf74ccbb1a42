"""Losses with a link or a domain: the optimum of scikit-learn's generalised linear models, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, covering, csr
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor
from sklearn.metrics import d2_tweedie_score, mean_tweedie_deviance, r2_score
from sklearn.preprocessing import scale

from sklearn_sgd import BatchGDRegressor, OnlineSGDRegressor, losses

PEERS = {
    "poisson": (1.0, PoissonRegressor, {}),
    "gamma": (2.0, GammaRegressor, {}),
    "tweedie": (1.5, TweedieRegressor, {"power": 1.5, "link": "log"}),
}


def counts(kind):
    """Targets of the kind from scaled columns of real data, and the columns."""
    X, y = load_diabetes(return_X_y=True)
    X, rng = scale(X), np.random.default_rng(0)
    mean = np.exp(0.6 * scale(y) + 0.5)
    if kind == "poisson":
        return X, rng.poisson(mean).astype(float)
    drawn = rng.gamma(2.0, mean / 2.0)
    return X, np.where(rng.random(len(y)) < 0.2, 0.0, drawn) if kind == "tweedie" else drawn


@covering({"kind": [*PEERS], "regressor": REGRESSORS})
def test_deviance_of_the_peer(kind, regressor):
    X, y = counts(kind)
    power, peer, params = PEERS[kind]
    best = peer(alpha=0.0, tol=1e-8, max_iter=10_000, **params).fit(X, y)
    ours = regressor(kind, random_state=0).fit(X, y)
    assert (ours.predict(X) > 0).all()
    least, reached = (mean_tweedie_deviance(y, model.predict(X), power=power) for model in (best, ours))
    assert least * (1 - 1e-6) <= reached <= least * 1.005


@pytest.mark.parametrize("kind", PEERS)
def test_exact_by_explicit_steps(kind):
    X, y = counts(kind)
    _, peer, params = PEERS[kind]
    best = peer(alpha=0.0, tol=1e-10, max_iter=10_000, **params).fit(X, y)
    ours = BatchGDRegressor(kind, learning_rate="constant", eta0=0.2, epochs=5000, tol=None).fit(X, y)
    assert_allclose(ours.predict(X), best.predict(X), rtol=1e-4)


@pytest.mark.parametrize("kind", PEERS)
def test_dense_is_csr(kind):
    X, y = counts(kind)
    dense, compressed = (BatchGDRegressor(kind, epochs=5).fit(form(X), y) for form in (np.asarray, csr))
    assert_allclose(dense.predict(X), compressed.predict(csr(X)), rtol=1e-8)


@pytest.mark.parametrize(("kind", "worst"), [("poisson", -1.0), ("gamma", 0.0), ("tweedie", -0.5)])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_targets_outside_the_domain(kind, worst, method):
    X, y = counts("gamma")
    model = BatchGDRegressor(kind).fit(X, y)
    before = model.coef_.copy()
    with pytest.raises(ValueError, match=f"y must be >.*{kind}"):
        getattr(model, method)(X, np.where(np.arange(len(y)) == 7, worst, y))
    assert_array_equal(model.coef_, before)


def test_weight_zero_takes_a_row_out_of_the_domain():
    X, y = counts("gamma")
    weight = np.ones(len(y))
    weight[7], y[7] = 0.0, -1.0
    model = BatchGDRegressor("gamma").fit(X, y, weight)
    kept = np.arange(len(y)) != 7
    assert_allclose(model.predict(X), BatchGDRegressor("gamma").fit(X[kept], y[kept]).predict(X), rtol=1e-6)


@pytest.mark.parametrize("power", [1.0, 1.3, 2.0])
def test_tweedie_has_its_limits(power):
    y, p = np.array([0.5, 1.0, 4.0]), np.array([-1.0, 0.3, 2.0])
    limit = {1.0: losses.Poisson(), 2.0: losses.Gamma()}.get(power, losses.Tweedie(power))
    assert_allclose(losses.Tweedie(power).gradient(y, p), limit.gradient(y, p), rtol=1e-12)
    assert_allclose(losses.Tweedie(power).value(y, p), limit.value(y, p), rtol=1e-10)
    deviance = [mean_tweedie_deviance([a], [np.exp(b)], power=power) for a, b in zip(y, p, strict=True)]
    assert_allclose(2 * losses.Tweedie(power).value(y, p), deviance, rtol=1e-10)


@pytest.mark.parametrize("kind", PEERS)
def test_score_is_r2_and_the_peers_is_d2(kind):
    """As documented: the peer's score is scikit-learn's D² of the predictions."""
    X, y = counts(kind)
    power, peer, params = PEERS[kind]
    best, ours = peer(**params).fit(X, y), BatchGDRegressor(kind).fit(X, y)
    assert_allclose(best.score(X, y), d2_tweedie_score(y, best.predict(X), power=power), rtol=1e-10)
    assert_allclose(ours.score(X, y), r2_score(y, ours.predict(X)), rtol=1e-10)


@pytest.mark.parametrize("seed", [1, 2])
def test_noisy_steps_that_overflow_come_back(seed):
    """In single precision the squares of the slopes do, which far rows have before the first steps are small."""
    rng = np.random.default_rng(seed)
    X = np.exp(1.5 * rng.normal(size=(300, 4))) + 4.0
    y = 1e-4 * rng.gamma(2.0, np.exp((X - X.mean(axis=0)) / X.std(axis=0) @ [0.5, -0.4, 0.3, 0.2]) / 2.0)
    X, y = X.astype(np.float32), y.astype(np.float32)
    best = GammaRegressor(alpha=0.0, fit_intercept=False, tol=1e-8, max_iter=1000).fit(X.astype(float), y.astype(float))
    ours = OnlineSGDRegressor("gamma", fit_intercept=False, random_state=0).fit(X, y)
    assert ours.stop_reason_ == "tol"
    assert_allclose(ours.coef_, best.coef_, rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "size"), [("poisson", 1e-25), ("tweedie", 1e-18), ("gamma", 1e-40), ("poisson", 1e40)]
)
@pytest.mark.parametrize("regressor", REGRESSORS)
def test_targets_outside_of_the_range_of_the_link(kind, size, regressor):
    X, y = counts(kind)
    model = regressor(kind, random_state=0)
    with pytest.warns(ConvergenceWarning, match="too small or too large .* another unit"):
        assert model.fit(X, size * y).stop_reason_ == "stalled"
    with pytest.warns(ConvergenceWarning, match="too small or too large .* another unit"):
        regressor(kind).partial_fit(X, size * y)


@pytest.mark.parametrize(
    ("kind", "size"), [("poisson", 1e-15), ("tweedie", 1e-15), ("gamma", 1e-30), ("poisson", 1e30)]
)
def test_targets_in_another_unit(kind, size):
    X, y = counts(kind)
    _, peer, params = PEERS[kind]
    best = peer(alpha=0.0, tol=1e-10, max_iter=10_000, **params).fit(X, y)
    ours = BatchGDRegressor(kind, tol=1e-8).fit(X, size * y)
    assert_allclose(ours.coef_, best.coef_, atol=1e-3)
    assert ours.intercept_ - np.log(size) == pytest.approx(best.intercept_, abs=1e-3)
