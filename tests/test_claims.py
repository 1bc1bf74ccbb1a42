"""What a fit by a schedule claims where it does not warn: that the minimum is near, but for the noise of its rate."""

import warnings

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from problems import csr
from scipy.optimize import minimize
from scipy.special import rel_entr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor

FORMS = pytest.mark.parametrize("form", [np.asarray, csr], ids=["dense", "csr"])


def said(model, X, y):
    """Fit, and return whether there was a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X, y)
    return bool(caught)


def in_other_units(seed, orders, n=500):
    """Five columns of different sizes, targets that need each of them, and the rate that single rows bear."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 5)) * 10.0 ** -rng.uniform(0.0, orders, 5)
    y = X / X.std(axis=0) @ rng.standard_normal(5) + 0.5 * rng.standard_normal(n)
    return X, y, 1.0 / (1.0 + (X**2).sum(axis=1).mean())


def missing(X, y, coef, intercept):
    """The share of the variance by which parameters are worse than least squares."""
    best = np.mean((y - LinearRegression().fit(X, y).predict(X)) ** 2)
    return (np.mean((y - X @ coef - intercept) ** 2) - best) / np.var(y)


def mean_later(model, X, y, passes=2):
    """The mean of the parameters in further updates, without the noise of each."""
    rng, size, means = np.random.default_rng(0), model.batch_size, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(passes):
            for rows in np.array_split(rng.permutation(len(y)), len(y) // size):
                model.partial_fit(X[rows], y[rows])
                means.append(np.append(model.coef_, model.intercept_))
    *coef, intercept = np.mean(means, axis=0)
    return coef, intercept


@FORMS
@pytest.mark.parametrize("batch_size", [8, 16, 64])
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_noise_of_batches_does_not_hide_narrow_columns(batch_size, optimizer, form):
    n_far = 0
    for seed in range(6):
        X, y, rate = in_other_units(seed, orders=2.0)
        rate *= {"sgd": 2.0, "momentum": 0.2}[optimizer]
        params = {"learning_rate": "constant", "eta0": rate, "batch_size": batch_size, "optimizer": optimizer}
        model = MiniBatchSGDRegressor(**params, epochs=1000, random_state=seed)
        warned = said(model, form(X), y)
        if warned:
            n_far += 1
            assert missing(X, y, model.coef_, model.intercept_) > 0.01
        else:
            assert missing(X, y, *mean_later(model, X, y)) < 0.012
    assert n_far > 1


@FORMS
def test_noise_of_a_large_rate_is_not_missing(form):
    """Columns of similar sizes: all that single steps miss is their noise, which the mean of later ones lacks."""
    n_noisy = 0
    for seed in range(12):
        X, y, rate = in_other_units(seed, orders=0.3)
        model = MiniBatchSGDRegressor(learning_rate="constant", eta0=2.5 * rate, batch_size=8, random_state=seed)
        assert not said(model, form(X), y)
        n_noisy += missing(X, y, model.coef_, model.intercept_) > 0.01
        assert missing(X, y, *mean_later(model, X, y)) < 0.005
    assert n_noisy > 3


def test_the_model_does_not_depend_on_what_is_checked():
    """The epoch that is made to judge a fit leaves its parameters and its random numbers as they are."""
    X, y, rate = in_other_units(0, orders=2.0)
    params = {"learning_rate": "constant", "eta0": 2.0 * rate, "batch_size": 16, "random_state": 0}
    checked = MiniBatchSGDRegressor(**params, epochs=1000)
    assert said(checked, X, y)
    assert checked.stop_reason_ == "tol"
    twin = MiniBatchSGDRegressor(**params, epochs=checked.n_iter_, tol=None)
    assert not said(twin, X, y)
    for _ in range(2):
        assert_allclose(checked.coef_, twin.coef_, rtol=0)
        checked.partial_fit(X, y)
        twin.partial_fit(X, y)


def test_a_schedule_is_asked_for_no_later_rate():
    X, y, rate = in_other_units(0, orders=2.0)
    model = MiniBatchSGDRegressor(learning_rate="constant", eta0=2.0 * rate, batch_size=16, epochs=1000, random_state=0)
    assert said(model, X, y)

    def table(t):
        assert np.max(t) <= model.n_updates_
        return np.full(np.shape(t), 2.0 * rate)

    other = MiniBatchSGDRegressor(learning_rate=table, batch_size=16, epochs=1000, random_state=0)
    assert said(other, X, y)
    assert_allclose(other.coef_, model.coef_)


@pytest.mark.parametrize("seed", [74, 103])
def test_full_batches_beside_a_ridge(seed):
    """Of columns of which the ridge is most of the curvature, and a wide one that is far."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((200, 10)) * 10.0 ** rng.uniform(-3, 0, 10)
    alpha = float(10.0 ** rng.uniform(-3, 0))
    y = X / X.std(axis=0) @ rng.standard_normal(10) + rng.standard_normal(200)
    rate = float(10.0 ** rng.uniform(-3, -0.5))
    params = {"learning_rate": "constant", "eta0": rate, "penalty": "l2", "alpha": alpha, "epochs": 2000}
    ours, theirs = BatchGDRegressor(**params), Ridge(alpha=200 * alpha).fit(X, y)
    assert said(ours, X, y)
    ours, theirs = (np.mean((y - m.predict(X)) ** 2) + alpha * m.coef_ @ m.coef_ for m in (ours, theirs))
    assert ours > theirs + 0.01 * np.var(y)


@pytest.mark.parametrize("seed", [44, 100])
def test_full_batches_of_correlated_columns(seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((200, 8)) * 10.0 ** rng.uniform(-1, 0, 8) @ np.linalg.qr(rng.standard_normal((8, 8)))[0]
    y = X / X.std(axis=0) @ rng.standard_normal(8) + rng.standard_normal(200)
    rate = float(10.0 ** rng.uniform(-3, -0.5))
    model = BatchGDRegressor(learning_rate="constant", eta0=rate, epochs=2000)
    assert said(model, X, y)
    assert missing(X, y, model.coef_, model.intercept_) > 0.01


@pytest.mark.parametrize("seed", [4, 6, 10])
def test_counts_of_narrow_columns(seed):
    """By the deviance of SciPy's formula, at the minimum that SciPy finds."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((500, 3)) * [1.0, 0.1, 0.03]
    y = rng.poisson(np.exp(1 + X @ [0.3, 4, -12])).astype(float)

    def deviance(w):
        expected = np.exp(X @ w[:-1] + w[-1])
        return 2.0 * np.mean(rel_entr(y, expected) - y + expected)

    params = {"learning_rate": "constant", "eta0": 0.2, "batch_size": 8, "epochs": 1000}
    model = MiniBatchSGDRegressor("poisson", **params, random_state=0)
    assert said(model, X, y)
    assert model.stop_reason_ == "tol"
    best, constant = minimize(deviance, np.zeros(4)).fun, deviance(np.append(np.zeros(3), np.log(y.mean())))
    assert deviance(np.append(model.coef_, model.intercept_)) > best + 0.01 * constant


@pytest.mark.parametrize("name", ["torch", "array_api_strict"])
def test_tensors_are_judged_as_arrays_are(name):
    xp, warned = pytest.importorskip(name), []
    with sklearn.config_context(array_api_dispatch=True):
        for seed in range(3):
            X, y, rate = in_other_units(seed, orders=1.5, n=300)
            params = {"learning_rate": "constant", "eta0": 2.0 * rate, "batch_size": 64, "epochs": 400}
            ours, theirs = (MiniBatchSGDRegressor(**params, random_state=0) for _ in range(2))
            warned.append(said(ours, X, y))
            assert said(theirs, xp.asarray(X), xp.asarray(y)) == warned[-1]
    assert any(warned)
