"""Every loss of the package, by discovery."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from oracle import loss_of_residual
from sklearn.base import clone

from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.losses import LOSSES, Huber

# Away from kinks, which are at multiples of 0.1.
RESIDUALS = np.linspace(-2, 2, 41) + 0.013
Y = np.random.default_rng(0).standard_normal(RESIDUALS.size)


ALL = [(name, kind()) for name, kind in LOSSES.items()]
ALL += [(name, kind(**dict.fromkeys(kind._fields, 0.7))) for name, kind in LOSSES.items() if kind._fields]


@pytest.fixture(params=ALL, ids=lambda named: repr(named[1]))
def named(request):
    return request.param


@pytest.fixture
def loss(named):
    return named[1]


def test_gradient_is_slope_of_value(loss):
    h = 1e-6
    p = Y + RESIDUALS
    assert_allclose(loss.gradient(Y, p), (loss.value(Y, p + h) - loss.value(Y, p - h)) / (2 * h), atol=1e-8)


def test_convex(loss):
    p = 3.0 + np.linspace(-2, 2, 401)
    assert (np.diff(loss.gradient(3.0, p)) >= -1e-12).all()
    low, middle, high = (loss.value(3.0, q) for q in (p[:-1], (p[:-1] + p[1:]) / 2, p[1:]))
    assert (middle <= (low + high) / 2 + 1e-12).all()


def test_minimum_at_target(loss):
    assert loss.gradient(3.0, 3.0 - 1e-9) <= 0 <= loss.gradient(3.0, 3.0 + 1e-9)
    assert loss.value(3.0, 3.0) == 0
    assert (loss.value(Y, Y + RESIDUALS) >= 0).all()


def test_scalar_is_array(loss):
    p = Y + RESIDUALS
    for formula in (loss.value, loss.gradient):
        assert_array_equal([formula(float(a), float(b)) for a, b in zip(Y, p, strict=True)], formula(Y, p))


def test_formula(named):
    name, loss = named
    value, slope = loss_of_residual(name, **loss._asdict())
    assert_allclose(loss.value(Y, Y + RESIDUALS), [value(r) for r in Y + RESIDUALS - Y], atol=1e-15)
    assert_allclose(loss.gradient(Y, Y + RESIDUALS), [slope(r) for r in Y + RESIDUALS - Y], atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_kept(loss, dtype):
    y, p = Y.astype(dtype), (Y + RESIDUALS).astype(dtype)
    assert loss.value(y, p).dtype == loss.gradient(y, p).dtype == dtype


def test_no_warning_at_far_targets(loss):
    assert np.isfinite(loss.gradient(np.array([1e150, -1e150]), np.array([-1e150, 1e150]))).all()


def test_instance_survives_clone_and_search():
    model = clone(MiniBatchSGDRegressor(Huber(1.35)))
    assert model.loss == Huber(1.35)
    assert model.loss in [Huber(1.0), Huber(1.35)]
