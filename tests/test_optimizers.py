"""Every optimizer of the package, by discovery."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import FIXED, linear, theta

from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.optimizers import OPTIMIZERS, SGD


@pytest.fixture(params=OPTIMIZERS)
def name(request):
    return request.param


@pytest.fixture
def optimizer(name):
    return OPTIMIZERS[name]()


def test_reaches_the_minimum(optimizer):
    w, target = np.zeros(3), np.array([1.0, -2.0, 0.5])
    m, v = np.zeros(3), np.zeros(3)
    for t in range(1, 3001):
        direction, rate, m, v = optimizer.step(w - target, m, v, 0.3 / t**0.5)
        w = w - rate * direction
    assert_allclose(w, target, atol=1e-6)


def test_scalar_is_array(optimizer):
    g, m, v = np.array([1.0, -2.0]), np.array([0.5, 0.25]), np.array([0.1, 0.2])
    both = [np.broadcast_to(answer, 2) for answer in optimizer.step(g, m, v, 0.1)]
    for i in range(2):
        assert_array_equal([answer[i] for answer in both], optimizer.step(g[i], m[i], v[i], 0.1))


def test_name_is_instance(name, optimizer):
    X, y = linear()
    by_name = MiniBatchSGDRegressor(optimizer=name, **FIXED).fit(X, y)
    by_instance = MiniBatchSGDRegressor(optimizer=optimizer, **FIXED).fit(X, y)
    assert_array_equal(theta(by_name), theta(by_instance))


def test_sgd_follows_the_gradient():
    assert SGD().step(2.0, 0.5, 0.25, 0.1) == (2.0, 0.1, 0.5, 0.25)
