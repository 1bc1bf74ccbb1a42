"""Many columns, zeros or bounds, losses that are no parabolas: as the minimum of SciPy's L-BFGS-B."""

import tracemalloc
import warnings

import numpy as np
import pytest
import sklearn
from internals import by_columns, centre_columns
from numpy.testing import assert_allclose
from problems import covering
from scipy import sparse
from scipy.optimize import minimize, minimize_scalar
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.penalties import L1

KINDS = BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
NAMES = "poisson", "gamma", "tweedie", "expectile", "squared_epsilon_insensitive", "huber", "logcosh"
OFFSET = 100.0
PENALTIES = (1.0, False), (0.5, False), (1.0, True)


def rows(name, n=300, p=420, dtype=np.float64):
    """Rows with a column that has no gaps and is far from 0."""
    rng = np.random.default_rng(0)
    X = sparse.random(n, p, 0.02, "csr", random_state=1, data_rvs=rng.standard_normal)
    z = X @ (rng.standard_normal(p) * (rng.random(p) < 0.2))
    z /= z.std()
    if hasattr(LOSSES[name], "link"):
        y = rng.poisson(np.exp(0.7 * z)).astype(dtype) + (name == "gamma")
    else:
        y = (z + 0.5 * rng.standard_t(3, n)).astype(dtype)
    X = sparse.csr_array(sparse.hstack([sparse.csr_array(OFFSET + rng.standard_normal((n, 1))), X]), dtype=dtype)
    return X, y, rng.integers(1, 4, n).astype(dtype)


def objective(loss, X, y, s, alpha, ratio, coef, intercept):
    coef = coef.astype(float)
    value = loss.value(y.astype(float), X.astype(float) @ coef + float(intercept))
    return np.average(value, weights=s) + alpha * (ratio * abs(coef).sum() + 0.5 * (1.0 - ratio) * coef @ coef)


def least(loss, X, y, s, alpha, ratio, positive, offset=0.0):
    """The least objective, with coefficients that are differences of two that are not negative."""
    X, y, s = X.astype(float), y.astype(float), np.ones(len(y)) if s is None else s.astype(float)
    X.data[X.indices == 0] -= offset
    n_signs, p, s = 1 if positive else 2, X.shape[1], s / s.sum()
    signs, columns = np.repeat([1.0, -1.0][:n_signs], p), X.T.tocsr()

    def value_and_gradient(v):
        w = (signs * v[:-1]).reshape(n_signs, p).sum(axis=0)
        z = X @ w + v[-1]
        slopes = s * loss.gradient(y, z)
        g = columns @ slopes + alpha * (1.0 - ratio) * w
        value = s @ loss.value(y, z) + alpha * (ratio * v[:-1].sum() + 0.5 * (1.0 - ratio) * w @ w)
        return value, np.append(signs * np.tile(g, n_signs) + alpha * ratio, slopes.sum())

    bounds, start = [(0.0, None)] * len(signs) + [(None, None)], np.zeros(len(signs) + 1)
    options = {"maxiter": 2000, "ftol": 1e-10, "gtol": 1e-7}
    return minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).fun


def of_constant(loss, y, s):
    return minimize_scalar(lambda b: np.average(loss.value(y.astype(float), b), weights=s), (-1.0, 1.0)).fun


@covering(
    {
        "kind": KINDS,
        "name": NAMES,
        "ratio, positive": PENALTIES,
        "weighted": (False, True),
        "dtype": (np.float64, np.float32),
    }
)
def test_the_minimum_is_reached(kind, name, ratio, positive, weighted, dtype):
    (X, y, s), alpha, loss = rows(name, dtype=dtype), 3e-3, LOSSES[name]()
    s = s if weighted else None
    model = kind(name, penalty="elasticnet", l1_ratio=ratio, positive=positive, alpha=alpha, random_state=0)
    model.fit(X, y, sample_weight=s)
    found = objective(loss, X, y, s, alpha, ratio, model.coef_, model.intercept_)
    assert model.stop_reason_ == "tol"
    assert found - least(loss, X, y, s, alpha, ratio, positive, OFFSET) <= 0.1 * model.tol * of_constant(loss, y, s)
    assert not model.coef_.all()


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize("average", [False, True])
def test_an_end_above_the_minimum_is_reported(kind, average):
    """Without the final steps a fit has no zeros. More than three tolerances above the minimum it warns."""
    (X, y, s), alpha, loss = rows("poisson"), 1e-2, LOSSES["poisson"]()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = kind("poisson", penalty="l1", alpha=alpha, average=average, random_state=0).fit(X, y, s)
    excess = objective(loss, X, y, s, alpha, 1.0, model.coef_, model.intercept_)
    excess -= least(loss, X, y, s, alpha, 1.0, False, OFFSET)
    assert bool(caught) == (excess > 3.0 * model.tol * of_constant(loss, y, s))
    assert all(issubclass(each.category, ConvergenceWarning) for each in caught)


@pytest.mark.parametrize(("kind", "alpha"), [*((kind, 0.03) for kind in KINDS), (OnlineSGDRegressor, 3e-3)])
def test_correlated_dense_columns(kind, alpha):
    """Full batches ended 13 tolerances above the minimum. With the smaller penalty, rounds over columns are slow."""
    rng, loss = np.random.default_rng(0), LOSSES["expectile"]()
    X = 0.7 * (rng.standard_normal((400, 420)) + rng.standard_normal((400, 1)))
    y = X @ (rng.standard_normal(420) * (rng.random(420) < 0.1)) / 5.0 + 0.5 * rng.standard_normal(400)
    model = kind("expectile", penalty="l1", alpha=alpha, random_state=0).fit(X, y)
    found = objective(loss, X, y, None, alpha, 1.0, model.coef_, model.intercept_)
    known = least(loss, sparse.csr_array(X), y, None, alpha, 1.0, False)
    assert found - known <= 0.1 * model.tol * of_constant(loss, y, None)


@pytest.mark.parametrize("kind", KINDS)
def test_targets_within_the_tube(kind):
    """No loss has a slope or bends, so that the minimum is 0: the division by the sum of the bends failed."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 401)), 0.007 * rng.standard_normal(60)
    model = kind("squared_epsilon_insensitive", penalty="l1", alpha=1e-3).fit(X, y)
    assert not model.coef_.any()
    assert abs(y - model.predict(X)).max() <= model.epsilon


def correlated(n=80, p=402):
    """Dense rows with columns that have a part in common."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, p)) + rng.standard_normal((n, 1))
    return X, X @ (rng.standard_normal(p) * (rng.random(p) < 0.1)) / 5.0 + 0.5 * rng.standard_normal(n)


class OwnL1(L1):
    """A penalty whose proximal step no formula tells from others."""

    def prox(self, w, rate, j=...):
        return w - np.clip(w, -rate * self.alpha, rate * self.alpha)


def check_minimum(fit, penalty="l1", positive=False, alpha=0.1):
    X, y = correlated()
    loss = LOSSES["logcosh"]()
    model = fit(X, y, loss="logcosh", penalty=penalty, positive=positive, alpha=alpha, epochs=5)
    coef = np.asarray(model.coef_)
    found = objective(loss, X, y, None, alpha, 1.0, coef, model.intercept_)
    known = least(loss, sparse.csr_array(X), y, None, alpha, 1.0, positive)
    assert found - known <= 0.1 * model.tol * of_constant(loss, y, None)
    assert np.count_nonzero(coef) < 100


@covering(
    {
        "library": ("array_api_strict", "torch"),
        "kind": (BatchGDRegressor, MiniBatchSGDRegressor),
        "positive": (False, True),
    }
)
def test_arrays_of_other_libraries(library, kind, positive):
    """Full batches ended up to 100 tolerances above the minimum, without a warning."""
    xp = pytest.importorskip(library)
    with sklearn.config_context(array_api_dispatch=True):
        check_minimum(lambda X, y, **params: kind(**params).fit(xp.asarray(X), xp.asarray(y)), positive=positive)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("kind", KINDS[:2])
def test_smooth_penalties_of_arrays_of_other_libraries(library, kind):
    """Full batches ended up to 30 tolerances above the minimum."""
    xp, (X, y), loss, alpha = pytest.importorskip(library), correlated(), LOSSES["expectile"](), 1e-3
    with sklearn.config_context(array_api_dispatch=True):
        model = kind("expectile", penalty="l2", alpha=alpha, epochs=5, random_state=0).fit(xp.asarray(X), xp.asarray(y))
    found = objective(loss, X, y, None, alpha, 0.0, np.asarray(model.coef_), model.intercept_)
    known = least(loss, sparse.csr_array(X), y, None, alpha, 0.0, False)
    assert found - known <= 0.2 * model.tol * of_constant(loss, y, None)


@pytest.mark.parametrize("kind", KINDS)
def test_own_penalties(kind):
    check_minimum(lambda X, y, alpha, positive, **params: kind(**params).fit(X, y), OwnL1(0.1))


def test_the_copy_by_columns_takes_twelve_bytes_for_each_entry():
    X = np.random.default_rng(0).normal(5.0, 1.0, (2000, 401))
    tracemalloc.start()
    columns = by_columns(X)
    taken = centre_columns(columns, np.full(2000, 1.0 / 2000), 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * X.size + 3e5
    assert_allclose(taken, X.mean(axis=0))
    assert_allclose(columns.toarray(), (X - taken).T, atol=1e-12)
