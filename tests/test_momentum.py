"""Full batches of sparse rows of many columns have momentum: against the polynomials of the nu-method."""

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import linalg, sparse
from scipy.special import eval_jacobi
from sklearn.linear_model import Ridge
from sklearn.preprocessing import OneHotEncoder
from test_rare_columns import power_law, rows

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor


@pytest.mark.parametrize("filled", [0, 2])
@pytest.mark.parametrize("has_intercept", [True, False])
@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_steps_are_those_of_the_polynomials(epochs, has_intercept, filled):
    """After k steps a share of 1 - P_k(1 - 2 x) / P_k(1) is learned, with Jacobi's polynomials (Hanke, 1991)."""
    X, y = rows(100, filled=filled)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    model = BatchGDRegressor(epochs=epochs, tol=None, fit_intercept=has_intercept).fit(X, y, sample_weight=weight)
    step, p = internals.state_of(model).step, X.shape[1]
    centre = np.average(X.toarray(), axis=0, weights=weight) * has_intercept
    k = step.preconditioner
    metric = np.diag(np.append(k.diagonal, 1.0))
    if k.shared is not None and k.shared.ndim == 2:
        metric[np.ix_(k.filled, k.filled)] = k.shared
    Z = np.c_[X.toarray() - centre, np.full(len(y), float(has_intercept))] * np.sqrt(weight / weight.sum())[:, None]
    start = np.average(y, weights=weight) if has_intercept else 0.0
    values, vectors = np.linalg.eigh(Z @ metric @ Z.T)
    assert 0.999 * values[-1] <= step.largest <= 1.1 * values[-1]
    left = eval_jacobi(epochs, 1.5, -0.5, 1.0 - 2.0 * values / step.largest) / eval_jacobi(epochs, 1.5, -0.5, 1.0)
    kept = values > 1e-10 * values[-1]
    learned = np.where(kept, (1.0 - left) / np.where(kept, values, 1.0), 0.0)
    w = metric @ (Z.T @ (vectors @ (learned * (vectors.T @ (np.sqrt(weight / weight.sum()) * (y - start))))))
    assert_allclose(model.coef_, w[:p], rtol=1e-7, atol=1e-8 * abs(w).max())
    assert_allclose(model.predict(X), start + X @ w[:p] + w[p] - centre @ w[:p], rtol=1e-7, atol=1e-7)


def test_steps_that_are_too_long_become_shorter(monkeypatch):
    """A change of the gradient shows a larger curvature than was known."""
    X, y = power_law(1000, 600, 20)
    least = BatchGDRegressor(epochs=60, tol=None).fit(X, y).loss_curve_[-1]
    internals.with_largest(monkeypatch, 1.0)
    curve = BatchGDRegressor(epochs=60, tol=None).fit(X, y).loss_curve_
    assert curve[-1] < 1.05 * least


def test_largest_eigenvalue_is_not_too_small():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        values = np.append(rng.uniform(0.0, 1.0, 98), [1.5, 1.5 - 10.0 ** -(seed + 1)])
        Q = linalg.qr(rng.standard_normal((100, 100)))[0]
        scale = rng.uniform(0.1, 10.0, 100)
        H = (Q * values) @ Q.T / np.outer(scale, scale)
        found = internals.largest_by_lanczos(rng.standard_normal(100), (scale**2).__mul__, H.__matmul__)
        assert 1.5 * (1 - 1e-3) <= found < 1.6


def test_defaults_generalise():
    """New rows are predicted as well as by the best ridge regression."""
    X, y = power_law(6000, 1500, 20)
    train, test = slice(0, 5000), slice(5000, None)
    model = BatchGDRegressor().fit(X[train], y[train])
    assert model.stop_reason_ == "tol"
    assert model.score(X[test], y[test]) > Ridge(1.0).fit(X[train], y[train]).score(X[test], y[test]) - 0.015


def test_rare_categories_are_learned_after_frequent_ones():
    """An epoch without progress is not the end: the frequent categories are learned, but not yet the rare ones."""
    rng = np.random.default_rng(1)
    groups = np.c_[rng.integers(0, 1000, 4000), rng.integers(0, 20, 4000)]
    y = rng.standard_normal(1000)[groups[:, 0]] + 2.0 * rng.standard_normal(20)[groups[:, 1]]
    y += rng.standard_normal(4000)
    X = OneHotEncoder().fit_transform(groups)
    found = BatchGDRegressor().fit(X[:3000], y[:3000]).score(X[3000:], y[3000:])
    assert found > Ridge(1.0).fit(X[:3000], y[:3000]).score(X[3000:], y[3000:]) - 0.01


def test_several_targets_as_each_alone():
    X, y = power_law(500, 600, 10)
    targets = np.c_[y, np.random.default_rng(1).standard_normal(500)]
    both = BatchGDRegressor(epochs=7, tol=None).fit(X, targets)
    for target in range(2):
        alone = BatchGDRegressor(epochs=7, tol=None).fit(X, targets[:, target])
        assert_allclose(both.coef_[target], alone.coef_, rtol=1e-9, atol=1e-12)


def test_batches_of_all_rows_in_single_precision():
    X, y = power_law(500, 600, 10)
    found = [
        MiniBatchSGDRegressor(batch_size=None, epochs=20, tol=None).fit(sparse.csr_array(X, dtype=dtype), y).coef_
        for dtype in (np.float32, np.float64)
    ]
    assert found[0].dtype == np.float32
    assert_allclose(*found, atol=1e-3 * abs(found[1]).max())
