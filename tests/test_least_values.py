"""Own losses whose least value is not 0, such as likelihoods without constants: the fits of scikit-learn's models."""

import pickle
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from problems import REGRESSORS, OwnPoisson, covering, csr, linear
from sklearn.base import clone
from sklearn.linear_model import GammaRegressor, LinearRegression, PoissonRegressor
from sklearn.metrics import mean_tweedie_deviance

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.streaming import fit_stream


class Sizes(NamedTuple):
    """The gamma's, which for small targets is negative, and for others above 0."""

    def value(self, y, p):
        return p + y * np.exp(-p)

    def gradient(self, y, p):
        return 1.0 - y * np.exp(-p)

    link, inverse_link = OwnPoisson.link, OwnPoisson.inverse_link


class InNumPy:
    """The first one, which is no named tuple and so not compiled."""

    value, gradient, link, inverse_link = (
        OwnPoisson.value,
        OwnPoisson.gradient,
        OwnPoisson.link,
        OwnPoisson.inverse_link,
    )


class Products(NamedTuple):
    """Half the squared error without the square of the target."""

    def value(self, y, p):
        return p * p / 2 - y * p

    def gradient(self, y, p):
        return p - y


LOSSES = {"poisson": OwnPoisson(), "gamma": Sizes(), "poisson in NumPy": InNumPy()}


def drawn(kind):
    """Counts, some of them 0, or sizes, most of them below 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    mean = np.exp(X @ [0.3, -0.4, 0.1] + (1.0 if kind == "poisson" else -2.0))
    return X, rng.poisson(mean).astype(float) if kind == "poisson" else rng.gamma(2.0, mean / 2.0)


def in_calls(model, X, y):
    model.partial_fit(X[:100], y[:100])
    return pickle.loads(pickle.dumps(model)).partial_fit(X[100:], y[100:])


def in_torch(model, X, y):
    torch = pytest.importorskip("torch")
    with sklearn.config_context(array_api_dispatch=True):
        return model.fit(torch.asarray(X[:60]), torch.asarray(y[:60]))


WAYS = {
    "dense": lambda model, X, y: model.fit(X, y),
    "CSR": lambda model, X, y: model.fit(csr(X), y),
    "float32": lambda model, X, y: model.fit(X.astype(np.float32), y),
    "without intercept": lambda model, X, y: model.set_params(fit_intercept=False).fit(X + 1.0, y),
    "early stopping": lambda model, X, y: model.set_params(early_stopping=True, epochs=20).fit(X, y),
    "two targets": lambda model, X, y: model.fit(X, np.column_stack([y, y[::-1]])),
    "partial_fit": in_calls,
    "fit_stream": lambda model, X, y: fit_stream(model, [(X[:100], y[:100]), (X[100:], y[100:])]),
    "torch": in_torch,
}


@pytest.mark.filterwarnings("ignore:BatchGDRegressor with batch_size=None takes one step on each chunk:UserWarning")
@pytest.mark.filterwarnings("ignore:__array_wrap__ must accept context:DeprecationWarning")
@covering({"kind": [*LOSSES], "regressor": REGRESSORS, "way": [*WAYS]}, strength=2)
def test_as_with_the_constant(kind, regressor, way):
    name = kind.partition(" ")[0]
    own, ours = (WAYS[way](clone(regressor(loss, random_state=0)), *drawn(name)) for loss in (LOSSES[kind], name))
    rounding = 1e-3 if way == "float32" else 1e-6
    assert_allclose(own.coef_, ours.coef_, rtol=rounding)
    assert_allclose(own.intercept_, ours.intercept_, rtol=rounding)
    assert (own.n_iter_, getattr(own, "stop_reason_", None)) == (ours.n_iter_, getattr(ours, "stop_reason_", None))
    assert own.loss is LOSSES[kind] or type(own.loss) is type(LOSSES[kind])


@pytest.mark.parametrize(
    ("kind", "peer", "power"), [("poisson", PoissonRegressor, 1.0), ("gamma", GammaRegressor, 2.0)]
)
@pytest.mark.parametrize("regressor", REGRESSORS)
def test_minimum_of_the_peer(kind, peer, power, regressor):
    X, y = drawn(kind)
    best = peer(alpha=0.0, tol=1e-9, max_iter=1000).fit(X, y)
    own = regressor(LOSSES[kind], random_state=0).fit(X, y)
    least, reached = (mean_tweedie_deviance(y, model.predict(X), power=power) for model in (best, own))
    assert reached <= least * 1.005
    if regressor is BatchGDRegressor:
        assert_allclose(own.set_params(tol=1e-10).fit(X, y).coef_, best.coef_, rtol=1e-3)


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_squared_error_without_the_square_of_the_target(regressor):
    X, y = linear(200)
    expected = LinearRegression().fit(X, y)
    assert_allclose(regressor(Products(), random_state=0).fit(X, y).coef_, expected.coef_, rtol=1e-6)


@dataclass(frozen=True)
class Frozen(InNumPy):
    shift: float = 5.0

    def value(self, y, p):
        return InNumPy.value(self, y, p) - self.shift

    def allows(self, y):
        return True


def test_constant_of_a_frozen_class():
    X, y = drawn("poisson")
    own, ours = (BatchGDRegressor(loss).fit(X, y) for loss in (Frozen(), "poisson"))
    assert_allclose(own.coef_, ours.coef_, rtol=1e-6)
    assert own.loss.shift == 5.0


def test_attributes_may_change_between_calls():
    class Scaled(InNumPy):
        factor = 1.0

        def gradient(self, y, p):
            return self.factor * InNumPy.gradient(self, y, p)

    X, y = drawn("poisson")
    model = MiniBatchSGDRegressor(Scaled(), learning_rate="constant", eta0=0.01).partial_fit(X, y)
    before, model.loss.factor = model.coef_.copy(), 0.0
    assert_allclose(model.partial_fit(X, y).coef_, before)
