"""Formulas of a user are read as they are; those that cannot be read run in NumPy, and say so."""

import gc
from typing import Any, NamedTuple

import numpy as np
import pytest
from internals import forget_warnings
from numpy.testing import assert_allclose
from problems import linear

from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd._engine.traits import Formulas

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*since llvmlite"),
]


def fit(**params):
    params = {"learning_rate": "constant", "eta0": 0.05, "epochs": 3, "shuffle": False, "tol": None} | params
    return MiniBatchSGDRegressor(**params).fit(*linear())


class Weighted(NamedTuple):
    """A soft threshold of its own for each coefficient."""

    a: Any

    def value(self, w):
        return 0.0 * w

    def gradient(self, w):
        return 0.0

    def prox(self, w, rate, j=...):
        return np.sign(w) * np.maximum(np.abs(w) - rate * self.a[j], 0.0)


def test_a_number_for_each_coefficient():
    assert_allclose(fit(penalty=Weighted(np.full(5, 0.1))).coef_, fit(penalty="l1", alpha=0.1).coef_, rtol=1e-12)
    coef = fit(penalty=Weighted(np.array([0.0, 0.0, 0.0, 50.0, 0.0]))).coef_
    assert coef[3] == 0.0
    assert (coef != 0).sum() == 4


@pytest.mark.filterwarnings("ignore:.*runs in NumPy")
def test_numbers_for_other_coefficients_are_an_error():
    with pytest.raises(ValueError, match="broadcast"):
        fit(penalty=Weighted(np.ones(2)))


class Quartic(NamedTuple):
    """Entries of a field that are not those of coefficients."""

    k: Any

    def value(self, w):
        return 0.5 * self.k[0] * w * w + 0.25 * self.k[1] * w**4

    def gradient(self, w):
        return self.k[0] * w + self.k[1] * w**3

    def prox(self, w, rate, j=...):
        return w


class Noisy(NamedTuple):
    """Another step in each call."""

    def step(self, g, pull, w, m, v, rate, t):
        return g + pull + np.random.default_rng().normal(), rate, m, v


class Exempt(NamedTuple):
    """A formula that computes with the number of the coefficient."""

    def value(self, w):
        return 0.0 * w

    def gradient(self, w):
        return 0.0

    def prox(self, w, rate, j=...):
        return w if j == 0 else 0.0 * w


class Forgetful(NamedTuple):
    """A formula that returns nothing."""

    def value(self, y, p):
        return 0.5 * (p - y) ** 2

    def gradient(self, y, p):
        0.0 * p


@pytest.mark.parametrize(("part", "reason"), [
    ({"penalty": Quartic(np.array([0.1, 0.05, 0, 0, 0]))}, "Quartic runs in NumPy.*single entries"),
    ({"optimizer": Noisy()}, "Noisy runs in NumPy.*something else in each call"),
    ({"penalty": Exempt()}, "Exempt runs in NumPy.*number of a coefficient"),
])  # fmt: skip
def test_a_formula_that_would_be_read_wrongly(monkeypatch, part, reason):
    pytest.importorskip("llvmlite")
    forget_warnings(monkeypatch)
    with pytest.warns(RuntimeWarning, match=reason):
        fit(**part)


def test_a_formula_that_returns_nothing():
    """It is not taken for 0."""
    with pytest.raises(TypeError):
        fit(loss=Forgetful())


class Newton(NamedTuple):
    """The same expressions many times over."""

    def value(self, y, p):
        u = 1.0 + abs(p - y)
        for _ in range(40):
            u = 0.5 * (u + (1.0 + (p - y) ** 2) / u)
        return u - 1.0

    def gradient(self, y, p):
        return (p - y) / np.sqrt(1.0 + (p - y) ** 2)


def test_a_formula_of_many_steps_is_read_at_once():
    assert np.isfinite(fit(loss=Newton()).coef_).all()


@pytest.mark.parametrize("batch_size", [1, 7])
def test_a_negative_threshold_is_no_lasso(batch_size):
    """It moves coefficients away from 0, in each way of computing."""
    moved, plain = (fit(batch_size=batch_size, eta0=0.01, penalty=p) for p in (Weighted(np.full(5, -0.1)), None))
    assert (np.abs(moved.coef_) > np.abs(plain.coef_)).all()


def test_fits_leave_nothing_behind():
    model, counts = MiniBatchSGDRegressor(Newton(), epochs=1), []
    for _ in range(4):
        model.fit(*linear())
        gc.collect()
        counts.append(sum(type(thing) is Formulas for thing in gc.get_objects()))
    assert counts[-1] <= counts[0]
