"""Losses, penalties and optimizers of a user: copies of ours give our numbers, and subclasses are obeyed everywhere."""

from inspect import getsource
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, covering, csr, linear, ridge, some_weights, theta
from scipy.optimize import minimize
from sklearn.linear_model import Lasso

import sklearn_sgd
from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.losses import Huber, SquaredError
from sklearn_sgd.optimizers import SGD, Momentum
from sklearn_sgd.penalties import L1, L2, Box

# Few steps, so some fits are rightly said to end worse than a constant.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FORMS = [np.asarray, csr]
RATES = {"auto": {}, "constant": {"learning_rate": "constant", "eta0": 0.02}}

# Each class on each layout with each kind of step.
EVERYWHERE = {"kind, form, rate": list(product(REGRESSORS, FORMS, RATES))}


def copied(part):
    """Return an equal instance of a class with the same source under another name."""
    ours = type(part)
    names = vars(__import__(ours.__module__, fromlist=["_"])).copy()
    exec(getsource(ours).replace(f"class {ours.__name__}(", f"class Users{ours.__name__}("), names)
    kind = names[f"Users{ours.__name__}"]
    kind.__module__ = __name__
    return kind(*part)


def fit(kind, form, rate, X=None, y=None, **parts):
    """Fit a few epochs on weighted samples."""
    if X is None:
        X, y = linear()
    params = {"epochs": 4, "tol": None, "random_state": 0} | RATES[rate] | parts
    return kind(**params).fit(form(X), y, some_weights(len(y)))


def same(one, other):
    assert_allclose(theta(one), theta(other), rtol=1e-9, atol=1e-12)
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-9)
    assert one.n_updates_ == other.n_updates_


# Copies

COPIES = {
    "squared error": {"loss": SquaredError()},
    "huber": {"loss": Huber(0.5)},
    "lasso": {"penalty": L1(0.3)},
    "ridge": {"penalty": L2(0.3)},
    "bounds on a lasso": {"penalty": Box(-0.5, 2.0, L1(0.1))},
    "plain descent": {"optimizer": SGD()},
    "momentum": {"optimizer": Momentum(0.5)},
    "all three": {"loss": SquaredError(), "penalty": L1(0.3), "optimizer": SGD()},
}


@covering({"part": [*COPIES], **EVERYWHERE}, strength=2)
def test_copy_gives_the_same_coefficients(part, kind, form, rate):
    parts = COPIES[part]
    if part == "momentum" and rate == "auto":
        pytest.skip("the automatic step takes no optimizer")
    copies = {role: copied(value) for role, value in parts.items()}
    assert all(type(copies[role]) is not type(value) for role, value in parts.items())
    same(fit(kind, form, rate, **copies), fit(kind, form, rate, **parts))


# Subclasses


class DoubledSquare(SquaredError):
    """The squared error, not halved."""

    def value(self, y, p):
        return (p - y) ** 2

    def gradient(self, y, p):
        return 2 * (p - y)


class Square(NamedTuple):
    """The same, written by hand."""

    def value(self, y, p):
        return (p - y) * (p - y)

    def gradient(self, y, p):
        return 2.0 * (p - y)


class DoubledLasso(L1):
    """A lasso of twice the strength."""

    def value(self, w):
        return 2.0 * self.alpha * abs(w)

    def prox(self, w, rate, j=...):
        return np.sign(w) * np.maximum(abs(w) - 2.0 * rate * self.alpha, 0.0)


class HalvedSGD(SGD):
    """Steps of half the length."""

    def step(self, g, pull, w, m, v, rate, t):
        return 0.5 * (g + pull), rate, m, v


@covering(EVERYWHERE)
def test_loss_with_another_formula(kind, form, rate):
    """Twice the loss is half the penalty."""
    if rate == "constant":
        own, by_hand = (fit(kind, form, rate, loss=loss) for loss in (DoubledSquare(), Square()))
        same(own, by_hand)
        assert_allclose(theta(own), theta(fit(kind, form, rate, eta0=0.04)), rtol=1e-9)
    else:
        X, y = linear(n=300)
        model = kind(DoubledSquare(), penalty="l2", alpha=1.0, epochs=100, random_state=0).fit(form(X), y)
        assert_allclose(theta(model), ridge(X, y, alpha=0.5), rtol=0.02)


@covering(EVERYWHERE)
def test_penalty_with_another_formula(kind, form, rate):
    same(fit(kind, form, rate, penalty=DoubledLasso(0.2)), fit(kind, form, rate, penalty=L1(0.4)))


@covering({"kind, form": product(REGRESSORS, FORMS)})
def test_optimizer_with_another_formula(kind, form):
    same(fit(kind, form, "constant", optimizer=HalvedSGD()), fit(kind, form, "constant", eta0=0.01))


class Clipped(SGD):
    """Each entry of a step is bounded."""

    def step(self, g, pull, w, m, v, rate, t):
        return np.clip(g + pull, -0.5, 0.5), rate, m, v


class Mine(SquaredError):
    """The value is inherited, the gradient is another one."""

    def gradient(self, y, p):
        return np.clip(p - y, -1.0, 1.0)


class Implicit(L2):
    """Ridge by its proximal step."""

    def gradient(self, w):
        return 0.0 * w

    def prox(self, w, rate, j=...):
        return w / (1.0 + rate * self.alpha)


class MyL1(NamedTuple):
    """The lasso's three formulas."""

    alpha: float

    def value(self, w):
        return self.alpha * np.abs(w)

    def gradient(self, w):
        return 0.0

    def prox(self, w, rate, j=...):
        return np.sign(w) * np.maximum(np.abs(w) - rate * self.alpha, 0.0)


class Unread:
    """The formulas of a part in an object that is no named tuple, so that they are called on arrays as they are."""

    def __init__(self, part):
        self.part = part

    def value(self, *args):
        return self.part.value(*args)

    def gradient(self, *args):
        return self.part.gradient(*args)

    def prox(self, *args):
        return self.part.prox(*args)

    def step(self, *args):
        return self.part.step(*args)


CHANGED = {"optimizer": Clipped(), "loss": Mine(), "penalty": Implicit(0.3), "penalty, L1": MyL1(0.5)}


@covering(
    {
        "role": [*CHANGED],
        **EVERYWHERE,
        "dtype": [np.float64, np.float32],
        "targets": [1, 2],
        "method": ["fit", "partial_fit"],
    },
    strength=2,
)
def test_formulas_are_obeyed_everywhere(role, kind, form, rate, dtype, targets, method):
    """The pass that was chosen for a formula gives what the formula gives where nothing is known of it."""
    if role == "optimizer" and rate == "auto":
        pytest.skip("the automatic step takes no optimizer")
    X, y = linear()
    X, y = X.astype(dtype), y if targets == 1 else np.column_stack([y, -2 * y])
    models = []
    for part in (CHANGED[role], Unread(CHANGED[role])):
        parts = {role.partition(",")[0]: part}
        # The average alone: final steps are taken where formulas can be read.
        models.append(kind(random_state=0, epochs=3, tol=None, average=True, **RATES[rate] | parts))
        for _ in range(2):
            getattr(models[-1], method)(form(X), y, some_weights(len(y)))
    assert_allclose(*(np.ravel(model.coef_) for model in models), rtol=1e-9 if dtype == np.float64 else 1e-4)
    assert_allclose(*(model.loss_curve_ for model in models), rtol=1e-9 if dtype == np.float64 else 1e-4)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_lasso_of_ones_own_is_not_least_squares(kind, form):
    X, y = linear(n=300)
    exact = Lasso(0.5, tol=1e-12).fit(X, y)
    model = kind(penalty=MyL1(0.5), random_state=0).fit(form(X), y)
    assert_allclose(theta(model), theta(exact), atol=0.02)
    assert_array_equal(theta(model), theta(kind(penalty="l1", alpha=0.5, random_state=0).fit(form(X), y)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_another_gradient_does_not_go_through_the_normal_matrix(kind, form):
    """Steps are those of Huber's loss, which has this gradient, and outliers do not count as in least squares."""
    X, y = linear(n=300)
    y[::10] += 1000.0
    params = {"learning_rate": "constant", "eta0": 0.05, "random_state": 0, "epochs": 5, "tol": None}
    own, huber = (kind(loss, **params).fit(form(X), y) for loss in (Mine(), Huber(1.0)))
    assert_allclose(theta(own), theta(huber), rtol=1e-12)
    automatic = kind(Mine(), random_state=0, epochs=20).fit(form(X), y)
    assert abs(theta(automatic) - ridge(X, y)).max() > 10


class Quartic(NamedTuple):
    """Hardly a penalty of small coefficients, and a steep one of large ones."""

    alpha: float

    def value(self, w):
        return self.alpha * w**4 / 4

    def gradient(self, w):
        return self.alpha * w * w * w

    def prox(self, w, rate, j=...):
        return w


class Rounded(Quartic):
    """The absolute value with a round corner."""

    def value(self, w):
        return self.alpha * (np.sqrt(1 + w * w) - 1)

    def gradient(self, w):
        return self.alpha * w / np.sqrt(1 + w * w)


@covering(
    {
        "penalty": [Quartic(0.1), Quartic(5.0), Rounded(1.0), Rounded(10.0)],
        "kind": REGRESSORS,
        "form": FORMS,
        "loss": ["squared_error", "huber"],
    },
    strength=2,
)
def test_smooth_penalty_that_is_no_parabola(penalty, kind, form, loss):
    """Against SciPy's minimum."""
    X, y = linear(n=200, noise=2.0)
    width = {"epsilon": 1e3} if loss == "huber" else {}  # Then it is the squared error.

    def objective(t):
        return np.mean((X @ t[:-1] + t[-1] - y) ** 2) / 2 + penalty.value(t[:-1]).sum()

    least = minimize(objective, np.zeros(6), tol=1e-10).fun
    model = kind(loss, **width, penalty=penalty, random_state=0).fit(form(X), y)
    assert objective(theta(model)) - least < 1e-3 * y.var()
    losses = np.array(model.loss_curve_)
    assert losses.max() <= losses[0]


@pytest.mark.parametrize("form", FORMS)
def test_own_lasso_reaches_the_optimum(form):
    X, y = linear(noise=2.0)
    exact = Lasso(1.0, tol=1e-12).fit(X, y)
    model = BatchGDRegressor(penalty=DoubledLasso(0.5), epochs=3000, tol=None).fit(form(X), y)
    assert_allclose(theta(model), theta(exact), atol=1e-6)
    assert_array_equal(model.coef_ == 0, exact.coef_ == 0)


# Traits


def test_own_loss_with_a_link_and_a_domain():
    """A copy of Poisson's loss predicts on the scale of the targets, and refuses others."""
    X, y = linear()
    y = np.floor(np.exp(np.clip(y / 10, -3, 3)))
    own = copied(sklearn_sgd.losses.Poisson())
    ours, theirs = (MiniBatchSGDRegressor(loss, random_state=0).fit(X, y) for loss in ("poisson", own))
    assert_allclose(theirs.predict(X), ours.predict(X), rtol=1e-9)
    with pytest.raises(ValueError, match="y must be >= 0"):
        MiniBatchSGDRegressor(own).fit(X, y - 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_own_parts_keep_the_precision(dtype):
    X, y = linear()
    own = {"loss": copied(Huber(0.5)), "optimizer": copied(Momentum(0.5))}
    model = MiniBatchSGDRegressor(**own, learning_rate="constant", epochs=2, tol=None).fit(X.astype(dtype), y)
    assert model.coef_.dtype == dtype


def test_a_field_may_be_a_tuple():
    class Expectile(NamedTuple):
        slopes: tuple = (0.6, 1.4)

        def value(self, y, p):
            return np.where(p < y, *self.slopes) * (p - y) ** 2 / 2

        def gradient(self, y, p):
            return np.where(p < y, *self.slopes) * (p - y)

    X, y = linear()
    for dtype, rtol in ((np.float64, 1e-8), (np.float32, 1e-4)):
        ours = BatchGDRegressor(Expectile()).fit(X.astype(dtype), y)
        theirs = BatchGDRegressor("expectile", quantile=0.3).fit(X.astype(dtype), y)
        assert_allclose(theta(ours), theta(theirs), rtol=rtol)


def test_own_parts_inside_each_other():
    """A penalty of the user inside one of ours."""
    X, y = linear()
    ours, own = (
        MiniBatchSGDRegressor(
            penalty=Box(-1.0, 2.0, lasso), learning_rate="constant", epochs=3, tol=None, shuffle=False
        )
        for lasso in (L1(0.3), copied(L1(0.3)))
    )
    same(own.fit(X, y), ours.fit(X, y))
