"""Coefficients of 0 at the minimum, where columns are nearly the same: against least angle regression and Lasso."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, covering
from scipy import sparse
from scipy.optimize import nnls
from sklearn.linear_model import ElasticNet, Lasso, LassoLars, QuantileRegressor
from sklearn.metrics import mean_pinball_loss

from sklearn_sgd import BatchGDRegressor
from sklearn_sgd.penalties import soft_threshold


def alike(name):
    """Rows of columns that are nearly the same, targets, and whether there is an intercept."""
    rng = np.random.default_rng(0)
    if name == "powers":
        x = rng.uniform(size=200)
        return np.column_stack([x**k for k in range(1, 11)]), np.sin(6.0 * x) + 0.1 * rng.standard_normal(200), True
    if name == "a common part":
        X = rng.standard_normal((200, 1)) + 0.01 * rng.standard_normal((200, 20))
        return X, 100.0 * X @ rng.standard_normal(20) + 0.1 * rng.standard_normal(200), True
    X = 100.0 + rng.standard_normal((200, 5))
    return X, X[:, 0] - X[:, 1] + 0.1 * rng.standard_normal(200), False


@covering({"kind": REGRESSORS, "alpha": [1e-4, 1e-3, 1e-2], "name": ["powers", "a common part", "offsets"]}, strength=2)
def test_zeros_among_columns_that_are_nearly_the_same(kind, alpha, name):
    """The minimum of LARS, which follows the path exactly."""
    X, y, intercept = alike(name)
    peer = LassoLars(alpha=alpha, fit_intercept=intercept, max_iter=5000).fit(X, y)
    model = kind(penalty="l1", alpha=alpha, fit_intercept=intercept, random_state=0).fit(X, y)
    ours, theirs = (0.5 * np.mean((m.predict(X) - y) ** 2) + alpha * np.abs(m.coef_).sum() for m in (model, peer))
    assert ours <= theirs * (1.0 + 1e-7)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_zeros_where_the_epochs_end_first(kind):
    rng = np.random.default_rng(0)
    X = np.sqrt(0.5) * (rng.standard_normal((500, 1)) + rng.standard_normal((500, 100)))
    y = X[:, :10] @ rng.standard_normal(10) + rng.standard_normal(500)
    peer = Lasso(alpha=0.01, tol=1e-10, max_iter=100_000).fit(X, y)
    model = kind(penalty="l1", alpha=0.01, random_state=0).fit(X, y)
    assert_allclose(model.coef_, peer.coef_, atol=1e-5)
    assert_array_equal(model.coef_ != 0.0, peer.coef_ != 0.0)


@covering(
    {
        "kind": REGRESSORS,
        "form": {"dense": np.asarray, "float32": np.float32, "csr": sparse.csr_array},
        "penalty": ["l1", "elasticnet", "positive"],
    },
    strength=2,
)
def test_zeros_among_more_columns_than_covariances_are_kept_for(kind, form, penalty):
    rng = np.random.default_rng(0)
    X = np.sqrt(0.5) * (rng.standard_normal((200, 1)) + rng.standard_normal((200, 600)))
    y, weight = X[:, :10] @ rng.standard_normal(10) + rng.standard_normal(200), rng.exponential(1.0, 200)
    params = {"alpha": 0.1, "l1_ratio": 0.5 if penalty == "elasticnet" else 1.0, "positive": penalty == "positive"}
    peer = ElasticNet(**params, tol=1e-10, max_iter=100_000).fit(X, y, weight)
    model = kind(**params, penalty="elasticnet", random_state=0).fit(form(X), y, weight)
    assert_allclose(model.coef_, peer.coef_, atol=1e-4)
    assert np.mean((model.coef_ != 0.0) != (peer.coef_ != 0.0)) < 0.01


def test_too_many_coefficients_for_covariances():
    """Full batches follow, and then moves along narrow directions, nearer to the minimum than 3,000 laps of Lasso."""
    rng = np.random.default_rng(0)
    X = np.sqrt(0.5) * (rng.standard_normal((700, 1)) + rng.standard_normal((700, 600)))
    y = X @ rng.standard_normal(600)
    peer, model = Lasso(1e-3, tol=1e-3, max_iter=3000).fit(X, y), BatchGDRegressor(penalty="l1", alpha=1e-3).fit(X, y)
    ours, theirs = (0.5 * np.mean((m.predict(X) - y) ** 2) + 1e-3 * np.abs(m.coef_).sum() for m in (model, peer))
    assert ours <= theirs


def test_many_small_coefficients_among_more_columns_than_rows():
    """As many coefficients as rows: the minimum of LARS, to a tenth of ``tol``."""
    rng = np.random.default_rng(0)
    X = np.sqrt(0.5) * (rng.standard_normal((100, 1)) + rng.standard_normal((100, 600)))
    y = X[:, :10] @ rng.standard_normal(10) + rng.standard_normal(100)
    peer = LassoLars(alpha=1e-4, max_iter=5000).fit(X, y)
    model = BatchGDRegressor(penalty="l1", alpha=1e-4).fit(X, y)
    ours, theirs = (0.5 * np.mean((m.predict(X) - y) ** 2) + 1e-4 * np.abs(m.coef_).sum() for m in (model, peer))
    assert ours <= theirs + 1e-4 * 0.5 * np.var(y)


def test_a_search_that_is_given_up_leaves_the_minimum_to_steps_with_momentum():
    """More than 400 coefficients are not 0 at the minimum, and full batches hardly move along a common direction."""
    rng = np.random.default_rng(0)
    X = np.sqrt(0.5) * (rng.standard_normal((2000, 1)) + rng.standard_normal((2000, 1000)))
    y = X[:, :10] @ rng.standard_normal(10) + rng.standard_normal(2000)
    peer = Lasso(alpha=0.01, tol=1e-2).fit(X, y)
    model = BatchGDRegressor(penalty="l1", alpha=0.01).fit(X, y)
    ours, theirs = (0.5 * np.mean((m.predict(X) - y) ** 2) + 0.01 * np.abs(m.coef_).sum() for m in (model, peer))
    assert ours < theirs + 0.1 * model.tol * 0.5 * np.var(y)


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize("seed", range(6))
def test_steps_do_not_pass_a_kink_to_where_the_loss_is_the_same(kind, seed):
    """A row's parabola has its minimum beyond the kink, at the residual with the opposite sign."""
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((3, 5)), 10.0 + rng.standard_normal(3)
    params = {"quantile": 0.5, "alpha": 1e-4, "fit_intercept": bool(seed % 2)}
    peer = QuantileRegressor(**params).fit(X, y)
    model = kind("quantile", **params, penalty="l1", random_state=0).fit(X, y)
    ours, theirs, constant = (
        mean_pinball_loss(y, predicted) + 1e-4 * np.abs(coef).sum()
        for predicted, coef in ((model.predict(X), model.coef_), (peer.predict(X), peer.coef_), (0.0 * y, [0.0]))
    )
    assert ours <= theirs + 0.002 * constant


class WeightedL1(NamedTuple):
    """A number for each coefficient."""

    alphas: np.ndarray

    def value(self, w):
        return self.alphas * abs(w)

    def gradient(self, w):
        return 0.0

    def prox(self, w, rate, j=...):
        return soft_threshold(w, rate * self.alphas[j])


@covering({"p": [50, 500], "kind": REGRESSORS})
def test_a_number_of_the_penalty_for_each_coefficient(kind, p):
    """Lasso of columns divided by these numbers, with coefficients divided by them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, p)) + 3.0 * rng.standard_normal((300, 1))
    y = X[:, :5] @ [3.0, -2.0, 1.0, 0.5, 0.2] + 0.5 * rng.standard_normal(300)
    alphas = np.linspace(0.5, 2.0, p)
    peer = Lasso(alpha=0.02, tol=1e-6, max_iter=100_000).fit(X / alphas, y)
    model = kind(penalty=WeightedL1(0.02 * alphas), random_state=0).fit(X, y)
    theirs = peer.coef_ / alphas
    ours, least = (
        0.5 * np.mean((X @ coef + intercept - y) ** 2) + 0.02 * np.sum(alphas * abs(coef))
        for coef, intercept in ((model.coef_, model.intercept_), (theirs, peer.intercept_))
    )
    assert ours <= least + 1e-5 * np.var(y)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_few_samples_in_single_precision(kind):
    """Rounding is not followed along directions in which no sample varies: other coefficients fit as well."""
    rng = np.random.default_rng(4)
    X = rng.standard_normal((5, 12))
    y = np.abs(X @ np.ones(12)) + 10.0
    coef, rest = nnls(X, y)
    assert rest < 1e-9
    model = kind("logcosh", positive=True, fit_intercept=False, random_state=0)
    model.fit(X.astype(np.float32), y.astype(np.float32))
    assert np.linalg.norm(model.coef_) < 2.0 * np.linalg.norm(coef)
