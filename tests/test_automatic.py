"""The automatic step: raw columns in, least-squares quality out, whatever the units, the batch size and the design."""

import warnings
from itertools import product

import internals
import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose
from problems import REGRESSORS, covering, csr, in_domain
from scipy import sparse
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.linear_model import ElasticNet, LinearRegression, QuantileRegressor, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import LOSSES, Huber, Quantile

all_kinds = pytest.mark.parametrize("kind", REGRESSORS)


def real(name):
    """Real data that ship with scikit-learn, columns in the units they came in."""
    if name == "diabetes":
        return load_diabetes(return_X_y=True, scaled=False)
    if name == "digits":
        return load_digits().data, load_digits().target.astype(float)
    bunch = load_wine() if name == "wine" else load_breast_cancer()
    return np.ascontiguousarray(bunch.data[:, :-1]), bunch.data[:, -1]


@covering({"name, kind": product(["diabetes", "digits", "wine", "breast cancer"], REGRESSORS), "seed": [0, 1]})
def test_raw_columns_reach_least_squares(kind, name, seed):
    X, y = real(name)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.2, random_state=seed)
    peers = LinearRegression(), make_pipeline(StandardScaler(), Ridge(1e-6))
    best = max(peer.fit(X, y).score(X_test, y_test) for peer in peers)
    tolerance = 0.03 if kind is OnlineSGDRegressor else 0.005
    assert kind(random_state=seed).fit(X, y).score(X_test, y_test) > best - tolerance


def correlated(n, p, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ rng.standard_normal((p, p)) * 10.0 ** rng.uniform(-6, 6, p)
    return X, X / X.std(axis=0) @ rng.standard_normal(p) + rng.standard_normal(n)


@pytest.mark.parametrize("batch_size", [1, 32])
def test_five_epochs_suffice_on_many_rows(batch_size):
    X, y = correlated(10_000, 12)
    model = MiniBatchSGDRegressor(batch_size=batch_size, epochs=5, random_state=0).fit(X, y)
    assert model.score(X, y) > LinearRegression().fit(X, y).score(X, y) - 0.01


@all_kinds
@pytest.mark.parametrize("chunk", [50, 1000])
def test_one_pass_over_a_stream_reaches_least_squares(kind, chunk):
    X, y = correlated(10_000, 12)
    model = kind()
    for start in range(0, len(y), chunk):
        model.partial_fit(X[start : start + chunk], y[start : start + chunk])
    assert model.score(X, y) > LinearRegression().fit(X, y).score(X, y) - 0.01


def nasty(name, n=120):
    """Designs on which gradient descent is known to fail."""
    rng = np.random.default_rng(0)
    X, noise = rng.standard_normal((n, 5)), 0.3 * rng.standard_normal(n)
    y = X @ [1, -2, 3, 0.5, 1] + noise
    scales = 10.0 ** np.array([-9, -4, 0, 4, 9])
    levels = np.eye(n)[:, [0, 1]]
    cauchy = rng.standard_cauchy((n, 5))
    return {
        "scales": (X * scales, y),
        "offsets": (X + 1e6, y),
        "scaled offsets": ((X + 1e6) * scales, y + 1e5),
        "lognormal": (np.exp(4 * X), y),
        "cauchy columns": (cauchy, cauchy @ np.ones(5) + noise),
        "cauchy targets": (X, rng.standard_cauchy(n)),
        "rare levels": (np.hstack([X, levels]), y + levels @ [-100, 100]),
        "duplicates and constants": (np.hstack([X, X[:, :2], np.full((n, 1), 0.1)]), y),
        "nearly duplicates": (np.hstack([X, X[:, :2] + 1e-7 * rng.standard_normal((n, 2))]), y),
        "more columns than rows": (rng.standard_normal((20, 60)), y[:20]),
        "more columns than covariances": (rng.standard_normal((n, internals.MOST_COVARIANCES + 1)), y),
        "one row": (X[:1], y[:1]),
        "two rows": (X[:2], y[:2]),
        "constant columns": (np.full((n, 3), 2.5), y),
        "constant targets": (X, np.full(n, 7.7)),
        "zero targets": (X, np.zeros(n)),
        "large targets": (X, 1e12 * y),
        "small targets": (X, 1e-12 * y),
        "one spike": (X, np.append(np.zeros(n - 1), 1e9)),
        "one long row": (np.vstack([X[1:], 1e8 * X[:1]]), y),
    }[name]


NASTY = [
    *("scales", "offsets", "scaled offsets", "lognormal", "cauchy columns", "cauchy targets", "rare levels"),
    *("duplicates and constants", "nearly duplicates", "more columns than rows", "more columns than covariances"),
    *("one row", "two rows", "constant columns", "constant targets", "zero targets", "large targets", "small targets"),
    *("one spike", "one long row"),
]


# Designs on which no model is better than the constant, to rounding.
CONSTANT_IS_BEST = ["constant columns", "one spike"]


# Twenty epochs are few for some designs.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@covering(
    {
        "name": NASTY,
        "loss": [*LOSSES],
        "layout, batch_size": product([np.asarray, sparse.csr_array], [1, 8, 32, None]),
    },
    strength=2,
)
def test_never_worse_than_the_constant(name, loss, layout, batch_size, monkeypatch):
    fall_backs = internals.count_fall_backs(monkeypatch)
    X, y = nasty(name)
    part = LOSSES[loss]()
    y = in_domain(part, y)
    middles = np.mean(y), np.median(y)
    if hasattr(part, "link"):
        middles = tuple(map(part.link, middles))
    constant = min(part.value(y, middle).mean() for middle in middles)
    model = MiniBatchSGDRegressor(loss, batch_size=batch_size, epochs=20, random_state=0).fit(layout(X), y)
    assert np.isfinite(model.coef_).all()
    assert part.value(y, X @ model.coef_ + model.intercept_).mean() <= 1.01 * constant + 1e-30
    # The descent itself must end there, and not be replaced by the constant.
    assert not fall_backs or name in CONSTANT_IS_BEST or loss == "cauchy"


@all_kinds
@pytest.mark.parametrize("name", ["diabetes", "wine"])
def test_units_do_not_matter(kind, name):
    X, y = real(name)
    rng = np.random.default_rng(0)
    units = 10.0 ** rng.uniform(-6, 6, X.shape[1])
    offsets = rng.uniform(-1e3, 1e3, X.shape[1]) * X.std(axis=0) * units
    model = kind(random_state=0, epochs=30)
    expected = model.fit(X, y).predict(X)
    other = X * units + offsets
    assert_allclose(model.fit(other, y).predict(other), expected, rtol=1e-6)
    assert_allclose((model.fit(X, 1e-4 * y + 3).predict(X) - 3) * 1e4, expected, rtol=1e-6)


@covering({"kind": REGRESSORS, "quantile": [0.2, 0.5, 0.8]})
def test_quantiles(kind, quantile):
    X, y = real("diabetes")
    scaled = StandardScaler().fit_transform(X)
    loss = Quantile(quantile)
    best = loss.value(y, QuantileRegressor(quantile=quantile, alpha=0).fit(scaled, y).predict(scaled)).mean()
    model = kind("quantile", quantile=quantile, random_state=0).fit(X, y)
    assert loss.value(y, model.predict(X)).mean() < 1.005 * best


@covering({"kind": REGRESSORS, "epsilon": [1.0, 30.0, 100.0]})
def test_huber(kind, epsilon):
    X, y = real("diabetes")
    design = np.column_stack([StandardScaler().fit_transform(X), np.ones(len(y))])
    loss = Huber(epsilon)

    def objective(w):
        return loss.value(y, design @ w).mean(), design.T @ loss.gradient(y, design @ w) / len(y)

    start = np.append(np.zeros(X.shape[1]), np.median(y))
    best = minimize(objective, start, jac=True, options={"maxiter": 5000, "gtol": 1e-9}).fun
    model = kind("huber", epsilon=epsilon, random_state=0).fit(X, y)
    assert loss.value(y, model.predict(X)).mean() < 1.001 * best


@pytest.mark.parametrize("batch_size", [8, None])
@pytest.mark.parametrize("alpha", [1e-3, 10.0])
def test_l2_acts_in_the_users_units(alpha, batch_size):
    X, y = correlated(200, 4)
    X = X / X.std(axis=0) * [1, 3, 0.3, 1]
    model = MiniBatchSGDRegressor(
        penalty="l2", alpha=alpha, batch_size=batch_size, random_state=0, epochs=3000, tol=None
    )
    expected = Ridge(alpha * len(y)).fit(X, y)
    tolerance = 1e-8 if batch_size is None else 0.01 * np.abs(expected.coef_).max()
    assert_allclose(model.fit(X, y).coef_, expected.coef_, atol=tolerance)


def test_elastic_net_acts_in_the_users_units():
    X, y = correlated(200, 6)
    X = X / X.std(axis=0) * [1, 3, 0.3, 1, 10, 1]
    expected = ElasticNet(alpha=0.3, l1_ratio=0.7, tol=1e-12, max_iter=100_000).fit(X, y)
    model = BatchGDRegressor(penalty="elasticnet", alpha=0.3, l1_ratio=0.7, epochs=2000, tol=None).fit(X, y)
    assert_allclose(model.coef_, expected.coef_, atol=1e-6)
    assert (model.coef_ == 0).tolist() == (expected.coef_ == 0).tolist()
    positive = ElasticNet(alpha=0.3, l1_ratio=0.7, tol=1e-12, max_iter=100_000, positive=True).fit(X, y)
    model.set_params(positive=True).fit(X, y)
    assert_allclose(model.coef_, positive.coef_, atol=1e-6)


@pytest.mark.parametrize("columns", [5, internals.MOST_COVARIANCES + 1])
def test_statistics_are_numpys(columns):
    rng = np.random.default_rng(0)
    X, weight = rng.standard_normal((5000, columns)) + 100, rng.uniform(0, 2, 5000)
    kept = np.flatnonzero(weight > 0.5)
    for matrix in (X, sparse.csr_array(X)):
        for rows_used in (None, kept):
            found = internals.measure(matrix, rows_used, weight, centred=True)
            rows = slice(None) if rows_used is None else rows_used
            covariance = np.cov(X[rows].T, aweights=weight[rows], ddof=0)
            assert_allclose(found.mean, np.average(X[rows], axis=0, weights=weight[rows]))
            moment = covariance if columns <= internals.MOST_COVARIANCES else np.diag(covariance)
            assert_allclose(found.moment / found.weight, moment, atol=1e-10)


def test_automatic_batch_size():
    X, y = correlated(2000, 40)
    model = MiniBatchSGDRegressor(batch_size="auto", random_state=0).fit(X, y)
    assert model.batch_size_ == 32
    assert model.fit(X[:40], y[:40]).batch_size_ == 4
    assert model.score(X, y) > 0


@all_kinds
def test_divergence_of_explicit_rates_warns_with_the_remedy_and_auto_is_one(kind):
    X, y = correlated(100, 5)
    with pytest.warns(UserWarning, match="learning_rate='auto'"):
        kind(learning_rate="constant", eta0=1.0, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kind(random_state=0).fit(X, y).score(X, y) > 0.3


@covering(
    {
        "penalty": [None, "l2", "elasticnet"],
        "layout": [np.asarray, sparse.csr_array],
        "fit_intercept": [True, False],
    },
    strength=2,
)
def test_normal_matrix_is_the_pass_over_the_rows(monkeypatch, layout, penalty, fit_intercept):
    X, y = correlated(300, 6)
    X, weight = X / X.std(axis=0), np.random.default_rng(0).integers(0, 3, 300)
    params = used(penalty=penalty, alpha=0.1, fit_intercept=fit_intercept)
    model = BatchGDRegressor(**params, epochs=10, tol=None)
    short = model.fit(layout(X), y, sample_weight=weight)
    coef, intercept, losses = short.coef_, short.intercept_, short.loss_curve_
    internals.without_normal_matrix(monkeypatch)
    long = model.fit(layout(X), y, sample_weight=weight)
    assert_allclose(coef, long.coef_, rtol=1e-9, atol=1e-12)
    assert_allclose(intercept, long.intercept_, rtol=1e-9, atol=1e-12)
    assert_allclose(losses, long.loss_curve_, rtol=1e-9)


@covering(
    {"batch_size": [1, 32], "penalty": [None, "l2"], "form": [np.asarray, csr], "weighted": [False, True]}, strength=2
)
def test_one_last_step_ends_in_the_minimum(batch_size, penalty, form, weighted):
    # Epochs with noise come near; the rest is one step along the gradient of all rows.
    X, y = load_diabetes(return_X_y=True)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y)) if weighted else None
    params = used(penalty=penalty, alpha=1e-3)
    model = MiniBatchSGDRegressor(**params, batch_size=batch_size, epochs=3, random_state=0)
    model.fit(form(X), y, weight)
    strength = 1e-3 * (len(y) if weight is None else weight.sum()) if penalty else 1e-12
    exact = Ridge(strength, tol=1e-12).fit(X, y, weight)
    assert_allclose(model.predict(form(X)), exact.predict(X), atol=2e-3 * y.std())
