"""Every penalty of the package, by discovery."""

import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose, assert_array_equal
from problems import FIXED, REGRESSORS, csr, linear, some_weights, theta
from scipy.optimize import lsq_linear
from sklearn.base import clone

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.penalties import L1, PENALTIES, Box, ElasticNet, Positive

W = np.linspace(-2, 2, 41) + 0.013
PLAIN = [kind(**dict.fromkeys(kind._fields, 0.3)) for kind in PENALTIES.values()]


@pytest.fixture(params=PLAIN + [Positive(penalty) for penalty in PLAIN], ids=repr)
def penalty(request):
    return request.param


def kink(penalty):
    """Slope of the non-smooth part at the right of 0."""
    return float(penalty.value(1e-9)) / 1e-9


@pytest.mark.parametrize("rate", [0.1, 1.0, 3.0])
def test_prox_minimises_its_definition(penalty, rate):
    u = np.linspace(-3, 3, 6001)
    u = u[u >= 0] if isinstance(penalty, Positive) else u
    for w in W:

        def cost(u, w=w):
            return (u - w) ** 2 / (2 * rate) + kink(penalty) * abs(u)

        answer = penalty.prox(w, rate)
        assert answer >= 0 or not isinstance(penalty, Positive)
        assert cost(answer) <= cost(u).min() + 1e-9


def test_gradient_is_slope_of_the_smooth_part(penalty):
    h, w = 1e-6, W[W > 0]

    def smooth(w):
        return penalty.value(w) - kink(penalty) * w

    assert_allclose(penalty.gradient(w) * np.ones_like(w), (smooth(w + h) - smooth(w - h)) / (2 * h), atol=1e-7)
    assert_allclose(penalty.gradient(-w), -np.asarray(penalty.gradient(w)), atol=0)


def test_scalar_is_array(penalty):
    for formula in (penalty.value, penalty.gradient, lambda w: penalty.prox(w, 0.5)):
        assert_array_equal([formula(float(w)) for w in W], formula(W) * np.ones_like(W))


def test_dtype_kept(penalty):
    w, rate = W.astype(np.float32), np.float32(0.5)
    assert penalty.value(w).dtype == penalty.prox(w, rate).dtype == (w - penalty.gradient(w)).dtype == np.float32


def test_exact_zeros():
    assert_array_equal(L1(0.3).prox(np.array([-0.29, 0.0, 0.29]), 1.0), 0)
    assert_array_equal(ElasticNet(1.0, 0.3).prox(np.array([-0.29, 0.0, 0.29]), 1.0), 0)
    assert_array_equal(Positive().prox(np.array([-2.0, 0.0]), 1.0), 0)


# Bounds

LOW, HIGH = [0.0, -np.inf, 3.2, -5.0, 2.0], [0.5, 1.0, np.inf, 1.0, 2.5]


def bounded(X, y, low, high, weight=None):
    """The least squares within bounds, intercept last."""
    root = np.ones(len(y)) if weight is None else np.sqrt(weight)
    design = np.column_stack([X, np.ones(len(y))]) * root[:, None]
    return lsq_linear(design, y * root, (np.append(low, -np.inf), np.append(high, np.inf)), tol=1e-14).x


@pytest.mark.parametrize("form", [np.asarray, csr], ids=["dense", "csr"])
@pytest.mark.parametrize("learning_rate", ["auto", "constant"])
def test_box_is_least_squares_within_bounds(form, learning_rate):
    X, y = linear()
    weight = some_weights(60)
    rate = used(learning_rate=learning_rate, eta0=0.3)
    model = BatchGDRegressor(penalty=Box(LOW, HIGH), **rate, epochs=3000, tol=None)
    model.fit(form(X), y, weight)
    assert_allclose(theta(model), bounded(X, y, LOW, HIGH, weight), atol=1e-8)
    assert (model.coef_ >= LOW).all()
    assert (model.coef_ <= HIGH).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", REGRESSORS)
def test_box_holds_at_every_turn(kind):
    X, y = linear()
    # With bounds that exclude zero, and so the constant; on all passes, and from a start outside.
    for learning_rate in ("auto", "constant"):
        model = kind(penalty=Box(LOW, HIGH), learning_rate=learning_rate, random_state=0, average=True)
        for call in (model.fit, model.partial_fit, clone(model).partial_fit):
            coef = call(X, y).coef_
            assert ((coef >= np.array(LOW) - 1e-12) & (coef <= np.array(HIGH) + 1e-12)).all()
        model.fit(X, y, coef_init=np.full(5, 100.0))
        assert (model.coef_ <= np.array(HIGH) + 1e-12).all()


@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_box_is_positive(batch_size):
    X, y = linear()
    X[:, 1] *= -1
    model = MiniBatchSGDRegressor(penalty="l1", alpha=0.1, positive=True, batch_size=batch_size, **FIXED)
    expected = theta(model.fit(X, y))
    for box in (Box(0.0, np.inf, L1(0.1)), Box(np.zeros(5), penalty=L1(0.1))):
        assert_array_equal(theta(model.set_params(penalty=box, alpha=1e-4, positive=False).fit(X, y)), expected)
    assert_array_equal(theta(model.set_params(penalty=Box(-1.0, 9.0, L1(0.1)), positive=True).fit(X, y)), expected)


def test_boxes_and_signs_inside_each_other():
    X, y = linear()
    model = MiniBatchSGDRegressor(penalty=Box(0.0, HIGH), **FIXED)
    expected = theta(model.fit(X, y))
    for penalty in (Box(-9.0, HIGH, Box(0.0, 9.0)), Positive(Box(high=HIGH)), Box(-9.0, HIGH, Positive())):
        assert_array_equal(theta(model.set_params(penalty=penalty).fit(X, y)), expected)


def test_box_without_bounds_is_none():
    X, y = linear()
    model = MiniBatchSGDRegressor(**FIXED)
    assert_array_equal(theta(model.fit(X, y)), theta(clone(model).set_params(penalty=Box()).fit(X, y)))


def test_box_in_single_precision():
    X, y = linear()
    model = MiniBatchSGDRegressor(penalty=Box(LOW, HIGH), random_state=0).fit(X.astype(np.float32), y)
    assert model.coef_.dtype == np.float32


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (Box([0.0, 1.0]), "5 of them, one for each feature"),
        (Box(1.0, 0.0), "low <= high"),
        (Box(np.nan), "low <= high"),
        (Box("a"), "must be numbers"),
    ],
)
def test_wrong_bounds(box, message):
    X, y = linear()
    model = BatchGDRegressor(penalty=box)
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            call(X, y)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize("penalty", [L1(0.3), ElasticNet(0.3, 0.5)], ids=repr)
def test_instances_are_names(penalty):
    X, y = linear()
    named = MiniBatchSGDRegressor(penalty=type(penalty).__name__.lower(), **FIXED).set_params(**penalty._asdict())
    assert_array_equal(theta(MiniBatchSGDRegressor(penalty=penalty, **FIXED).fit(X, y)), theta(named.fit(X, y)))


def test_bounds_changed_in_place_hold_for_the_next_fit():
    X, y = linear()
    high = np.full(X.shape[1], 0.5)
    model = BatchGDRegressor(penalty=Box(-0.5, high)).fit(X, y)
    assert model.coef_.max() == 0.5
    high[:] = 0.25
    assert model.fit(X, y).coef_.max() == 0.25
