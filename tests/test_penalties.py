"""Every penalty of the package, by discovery."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_sgd.penalties import L1, PENALTIES, ElasticNet, Positive

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
