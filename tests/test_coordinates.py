"""Sparse rows of many columns with a penalty that makes zeros: the minimum is that of scikit-learn's solvers."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor


def rows(n=600, p=700, dtype=np.float64):
    """Rows with more than 400 coefficients that are not 0 at small penalties, and one column far from 0."""
    rng = np.random.default_rng(3)
    X = sparse.random(n, p, 0.02, "csr", random_state=3, data_rvs=rng.standard_normal)
    X = sparse.csr_array(sparse.hstack([sparse.csr_array(1e4 + rng.standard_normal((n, 1))), X]), dtype=dtype)
    y = (X @ np.append(2.0, rng.standard_normal(p)) + rng.standard_normal(n)).astype(dtype)
    return X, y, rng.integers(1, 4, n).astype(dtype)


def objective(X, y, s, alpha, ratio, coef, intercept):
    rest = y.astype(float) - X.astype(float) @ coef.astype(float) - float(intercept)
    penalty = ratio * abs(coef).sum() + 0.5 * (1.0 - ratio) * (coef.astype(float) ** 2).sum()
    return 0.5 * np.average(rest**2, weights=s) + alpha * penalty


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize(
    ("alpha", "ratio", "weighted", "positive"),
    [(1e-3, 1.0, False, False), (0.03, 1.0, True, False), (1e-2, 0.5, False, False), (1e-2, 1.0, True, True)],
)
def test_objective_is_that_of_scikit_learn(kind, alpha, ratio, weighted, positive):
    X, y, s = rows()
    given = s if weighted else None
    known = ElasticNet(alpha=alpha, l1_ratio=ratio, positive=positive, max_iter=5000, tol=1e-7)
    known.fit(sparse.hstack([X[:, [0]] - 1e4 * sparse.csr_array(np.ones((len(y), 1))), X[:, 1:]]).tocsc(), y, given)
    least = objective(X, y, given, alpha, ratio, known.coef_, known.intercept_ - 1e4 * known.coef_[0])
    model = kind(penalty="elasticnet", alpha=alpha, l1_ratio=ratio, positive=positive, random_state=0)
    model.fit(X, y, sample_weight=given)
    found = objective(X, y, given, alpha, ratio, model.coef_, model.intercept_)
    assert found - least <= 1e-4 * 0.5 * np.average((y - np.average(y, weights=given)) ** 2, weights=given)
    assert model.stop_reason_ == "tol"


def test_single_precision_and_no_intercept():
    X, y, _ = rows(dtype=np.float32)
    X, y = X[:, 1:], y - y.mean()
    known = ElasticNet(alpha=0.02, l1_ratio=1.0, fit_intercept=False, tol=1e-8).fit(X.astype(float).tocsc(), y)
    model = MiniBatchSGDRegressor(penalty="l1", alpha=0.02, fit_intercept=False, random_state=0).fit(X, y)
    assert_allclose(model.coef_, known.coef_, atol=0.02)
    assert abs(np.sum(model.coef_ != 0.0) - np.sum(known.coef_ != 0.0)) <= 5


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize("alpha", [1e-3, 1e-2])
def test_an_average_that_ends_above_the_minimum_is_reported(kind, alpha):
    """Without the final steps a fit has no zeros. More than three tolerances above Lasso's objective it warns."""
    rng = np.random.default_rng(1)
    columns = rng.integers(0, 150, (2000, 4)) + 150 * np.arange(4)
    X = sparse.csr_array((np.ones(8000), columns.ravel().astype(np.int32), np.arange(0, 8001, 4, dtype=np.int32)))
    y = X @ (rng.standard_normal(X.shape[1]) * (rng.random(X.shape[1]) < 0.2)) + rng.standard_normal(2000)
    known = ElasticNet(alpha=alpha, l1_ratio=1.0, tol=1e-6, max_iter=5000).fit(X.tocsc(), y)
    least = objective(X, y, None, alpha, 1.0, known.coef_, known.intercept_)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = kind(penalty="l1", alpha=alpha, average=True, random_state=0).fit(X, y)
    excess = objective(X, y, None, alpha, 1.0, model.coef_, model.intercept_) - least
    is_far = excess > 3.0 * model.tol * 0.5 * y.var()
    assert bool(caught) == is_far
    assert all(issubclass(each.category, ConvergenceWarning) for each in caught)
    assert all("Remedy: average='auto', or" in str(each.message) for each in caught)
    assert is_far or alpha < 1e-2
