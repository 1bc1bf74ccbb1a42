"""Every loss of the package, by discovery."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle import loss_of_residual
from problems import LINKED, REGRESSORS, covering, in_domain, linear, theta
from sklearn._loss.loss import HalfGammaLoss, HalfPoissonLoss, HalfTweedieLoss
from sklearn.base import clone
from sklearn.linear_model import GammaRegressor, PoissonRegressor, TweedieRegressor
from sklearn.metrics import d2_tweedie_score, mean_tweedie_deviance
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.losses import LOSSES, Cauchy, Gamma, Huber, Poisson, Tweedie

# Away from kinks, which are at multiples of 0.1.
RESIDUALS = np.linspace(-2, 2, 41) + 0.013
Y = np.random.default_rng(0).standard_normal(RESIDUALS.size)

# Numbers other than the defaults, where 0.7 is none that makes sense.
OTHER = {"tweedie": 1.2}

ALL = [(name, kind()) for name, kind in LOSSES.items()]
ALL += [(name, kind(*[OTHER.get(name, 0.7)] * len(kind._fields))) for name, kind in LOSSES.items() if kind._fields]
ALL += [("tweedie", Tweedie(power)) for power in (1.0, 1.9, 2.0, 2.5, 3.0)]


@pytest.fixture(params=ALL, ids=lambda named: repr(named[1]))
def named(request):
    return request.param


@pytest.fixture
def loss(named):
    return named[1]


@pytest.fixture
def y(loss):
    """Targets that the loss allows; those of a link are not 0, so that a raw prediction can be just right."""
    return in_domain(loss, Y) + 0.1 if hasattr(loss, "link") else Y


def raw(loss, y):
    """The raw predictions that are right."""
    return loss.link(y) if hasattr(loss, "link") else y


def test_gradient_is_slope_of_value(loss, y):
    h = 1e-6
    p = raw(loss, y) + RESIDUALS
    assert_allclose(loss.gradient(y, p), (loss.value(y, p + h) - loss.value(y, p - h)) / (2 * h), rtol=1e-7, atol=1e-8)


def test_curvature_is_the_least_bound(loss):
    """On the second derivative, by differences of slopes; a loss without one has kinks or grows without bound."""
    p = 3.0 + np.linspace(-4, 4, 40_001)
    steepest = np.max(np.diff(loss.gradient(3.0, p)) / np.diff(p))
    if hasattr(loss, "curvature"):
        assert steepest == pytest.approx(loss.curvature, rel=1e-6)
    else:
        assert steepest > 1e3 or hasattr(loss, "link")


def test_convex(loss):
    if isinstance(loss, Cauchy) or (isinstance(loss, Tweedie) and loss.power > 2):
        pytest.skip("not convex, as its documentation says")
    p = 3.0 + np.linspace(-2, 2, 401)
    assert (np.diff(loss.gradient(3.0, p)) >= -1e-12).all()
    low, middle, high = (loss.value(3.0, q) for q in (p[:-1], (p[:-1] + p[1:]) / 2, p[1:]))
    assert (middle <= (low + high) / 2 + 1e-12).all()


def test_minimum_at_target(loss, y):
    p = raw(loss, 3.0)
    assert loss.gradient(3.0, p - 1e-9) <= 0 <= loss.gradient(3.0, p + 1e-9)
    assert loss.value(3.0, p) == 0
    assert (loss.value(y, raw(loss, y) + RESIDUALS) >= 0).all()


def test_scalar_is_array(loss, y):
    p = raw(loss, y) + RESIDUALS
    for formula in (loss.value, loss.gradient):
        # NumPy's exponentials of arrays are not those of numbers to the last bit.
        each = [formula(float(a), float(b)) for a, b in zip(y, p, strict=True)]
        assert_allclose(each, formula(y, p), rtol=1e-14, atol=1e-15)


def test_formula(named):
    name, loss = named
    if name in LINKED:
        pytest.skip("compared with scikit-learn below")
    value, slope = loss_of_residual(name, **loss._asdict())
    assert_allclose(loss.value(Y, Y + RESIDUALS), [value(r) for r in Y + RESIDUALS - Y], atol=1e-15)
    assert_allclose(loss.gradient(Y, Y + RESIDUALS), [slope(r) for r in Y + RESIDUALS - Y], atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_kept(loss, y, dtype):
    y, p = y.astype(dtype), (raw(loss, y) + RESIDUALS).astype(dtype)
    assert loss.value(y, p).dtype == loss.gradient(y, p).dtype == dtype


def test_no_warning_at_far_targets(loss):
    far = np.array([1e150, -1e150])
    targets = np.array([1e15, 1e-15]) if hasattr(loss, "link") else far
    assert np.isfinite(loss.gradient(targets, -far)).all()
    if hasattr(loss, "link"):
        assert np.isfinite(loss.value(targets, -far)).all()
        assert np.isfinite(loss.inverse_link(far)).all()


# Losses with a link


THEIRS = [(Poisson(), HalfPoissonLoss()), (Gamma(), HalfGammaLoss())]
THEIRS += [(Tweedie(power), HalfTweedieLoss(power=power)) for power in (1.0, 1.2, 1.5, 2.0, 3.0)]


@pytest.mark.parametrize(("loss", "theirs"), THEIRS, ids=lambda part: repr(part) if isinstance(part, tuple) else "")
def test_deviances_are_scikit_learns(loss, theirs):
    y = np.random.default_rng(0).uniform(0.1, 9, 41)
    if loss.domain == ">= 0":
        y[:20] = 0.0
    p = np.linspace(-3, 3, 41)
    assert_allclose(loss.gradient(y, p), theirs.gradient(y, p), rtol=1e-12)
    deviance = mean_tweedie_deviance(y, np.exp(p), power={Poisson: 1, Gamma: 2}.get(type(loss)) or loss.power)
    assert 2 * loss.value(y, p).mean() == pytest.approx(deviance, rel=1e-8)


def test_link_and_back(loss, y):
    assert_allclose(loss.inverse_link(loss.link(y)) if hasattr(loss, "link") else y, y, rtol=1e-12)


WRONG = {"poisson": (-1.0, "y must be >= 0 for loss='poisson'"), "gamma": (0.0, "y must be > 0 for loss='gamma'")}
WRONG["tweedie"] = (-1.0, "y must be >= 0 for loss='tweedie'")


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_targets_out_of_the_domain(kind, name):
    X, y = linear()
    good, (wrong, message) = in_domain(LOSSES[name](), y), WRONG[name]
    bad, weight = np.append(good[:-1], wrong), np.append(np.ones(59), 0.0)
    model = kind(name, random_state=0).fit(X, good)
    before, state = theta(model), model.n_updates_
    for call in (model.fit, model.partial_fit, clone(model).fit, clone(model).partial_fit):
        with pytest.raises(ValueError, match=message):
            call(X, bad)
    assert_array_equal(theta(model), before)
    assert model.n_updates_ == state
    # A row of weight 0 is as if it were not there.
    assert_array_equal(theta(kind(name, random_state=0).fit(X, bad, weight)), theta(model.fit(X, good, weight)))


@pytest.mark.parametrize("name", LINKED)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_predictions_and_scores_are_on_the_scale_of_y(kind, name):
    X, y = linear()
    y = in_domain(LOSSES[name](), y)
    model = kind(name, early_stopping=True, random_state=0).fit(X, y, X_val=X, y_val=y)
    assert_allclose(model.predict(X), np.exp(X @ model.coef_ + model.intercept_), rtol=1e-12)
    power = {"poisson": 1, "gamma": 2, "tweedie": 1.5}[name]
    expected = d2_tweedie_score(y, model.predict(X), power=power)
    assert max(model.validation_scores_) == pytest.approx(expected, rel=1e-9)
    assert model.score(X, y) > 0.5
    # From the constant that is best: the mean of the targets.
    flat = kind(name).fit(np.zeros((60, 1)), y)
    assert_allclose(flat.predict([[0.0]]), y.mean(), rtol=1e-4)


def counts(name, loss):
    """Columns and targets of the kind that a loss is for."""
    rng = np.random.default_rng(0)
    n, p, spread, mean = {"mild": (500, 5, 0.5, 3), "strong": (3000, 8, 1.0, 3), "rare": (400, 4, 0.3, 0.2)}[name]
    X = rng.standard_normal((n, p))
    mu = mean * np.exp(X @ rng.standard_normal(p) * spread / np.sqrt(p))
    if loss == "gamma":
        return X, rng.gamma(2.0, mu / 2)
    events = rng.poisson(mu)
    return X, events.astype(float) if loss == "poisson" else np.array([rng.gamma(1.0, size=k).sum() for k in events])


PEERS = {
    "poisson": PoissonRegressor(alpha=0, tol=1e-8, max_iter=1000),
    "gamma": GammaRegressor(alpha=0, tol=1e-8, max_iter=1000),
    "tweedie": TweedieRegressor(power=1.5, link="log", alpha=0, tol=1e-8, max_iter=1000),
}


@covering({"data, kind": product(["mild", "strong", "rare"], REGRESSORS), "name": [*PEERS]})
def test_deviance_is_that_of_scikit_learn(kind, name, data):
    X, y = counts(data, name)
    loss, scaled = LOSSES[name](), StandardScaler().fit_transform(X)
    best = loss.value(y, np.log(PEERS[name].fit(scaled, y).predict(scaled))).mean()
    model = kind(name, random_state=0).fit(X * 10.0 ** np.arange(X.shape[1]) + 5, y)
    found = loss.value(y, np.log(model.predict(X * 10.0 ** np.arange(X.shape[1]) + 5))).mean()
    assert found < 1.005 * best


def test_instance_survives_clone_and_search():
    model = clone(MiniBatchSGDRegressor(Huber(1.35)))
    assert model.loss == Huber(1.35)
    assert model.loss in [Huber(1.0), Huber(1.35)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_cosh_keeps_its_digits_near_0(dtype):
    """Where it is a parabola, in small units of the target."""
    r = 10.0 ** np.arange(-18, -3).astype(dtype)
    assert_allclose(LOSSES["logcosh"]().value(np.zeros_like(r), r), 0.5 * r * r, rtol=1e-6)
