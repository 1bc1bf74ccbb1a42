"""Streams of other losses than the squared error end at the minimum of the objective on all rows seen."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering
from scipy import sparse
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.inference import coefficient_table
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.streaming import ArraySource, fit_stream

REGRESSORS = [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor]
WITH_LINK = "poisson", "gamma", "tweedie"
SMOOTH = (*WITH_LINK, "huber", "logcosh", "expectile", "squared_epsilon_insensitive")
TRUTH = np.array([0.6, -0.4, 0.3, 0.5])


def rows(loss, n, seed=0):
    """Columns in different units, and targets whose expectation has a known intercept of 0.5."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4))
    raw = X @ TRUTH + 0.5
    if loss == "poisson":
        y = rng.poisson(np.exp(raw)).astype(float)
    elif loss in WITH_LINK:
        y = np.exp(raw) * rng.gamma(2.0, 0.5, n)
    else:
        y = raw + rng.standard_t(4, n)
    return X * [1.0, 100.0, 0.01, 1.0], y


def learned(model, X, y, size, s=None):
    """Learn rows in chunks of a size."""
    for start in range(0, X.shape[0], size):
        part = slice(start, start + size)
        model.partial_fit(X[part], y[part], None if s is None else s[part])
    return model


def excess(loss, X, y, s, w):
    """Return by how much the mean loss of parameters, intercept last, is above the minimum that SciPy finds."""
    Z, unit = np.column_stack((X, np.ones(len(X)))), np.array([1.0, 0.01, 100.0, 1.0, 1.0])
    share = np.full(len(y), 1.0 / len(y)) if s is None else s / s.sum()

    def objective(v):
        p = Z @ (v * unit)
        return share @ loss.value(y, p), unit * (Z.T @ (share * loss.gradient(y, p)))

    found = minimize(objective, w / unit, jac=True, method="BFGS", options={"gtol": 1e-9})
    return objective(w / unit)[0] - found.fun


@covering(
    {
        "name": SMOOTH,
        "kind": REGRESSORS,
        "size": [1, 7, 50, 400],
        "n": [250, 1000],
        "as_input": {"dense": np.asarray, "csr": sparse.csr_array, "float32": np.float32},
        "weighted": [False, True],
    },
    strength=2,
)
def test_one_pass_ends_at_the_minimum(name, kind, size, n, as_input, weighted):
    """The excess is a share of that of the true parameters, which is that of the minimum on as many other rows."""
    X, y = rows(name, n)
    s = np.random.default_rng(1).integers(1, 3, n).astype(float) if weighted else None
    model = learned(kind(name), as_input(X), y.astype(as_input(X).dtype), size, s)
    loss = LOSSES[name]()
    of_truth = excess(loss, X, y, s, np.append(TRUTH / [1.0, 100.0, 0.01, 1.0], 0.5))
    assert excess(loss, X, y, s, np.append(model.coef_, model.intercept_)) < 0.05 * abs(of_truth)


@pytest.mark.parametrize("quantile", [0.5, 0.2])
def test_one_pass_of_quantiles_ends_near_the_minimum(quantile):
    X, y = rows("quantile", 2000)
    model = learned(OnlineSGDRegressor("quantile", quantile=quantile), X, y, 20)
    exact = QuantileRegressor(quantile=quantile, alpha=0.0).fit(X, y)

    def loss(p):
        return np.maximum(quantile * (y - p), (quantile - 1.0) * (y - p)).mean()

    truth = X @ (TRUTH / [1.0, 100.0, 0.01, 1.0]) + exact.intercept_
    assert loss(model.predict(X)) - loss(exact.predict(X)) < 0.15 * (loss(truth) - loss(exact.predict(X)))


def test_reading_changes_nothing():
    """The coefficients that are read on the way, with rows that wait, leave what is learned as it is."""
    X, y = rows("poisson", 600)
    read, unread = OnlineSGDRegressor("poisson"), learned(OnlineSGDRegressor("poisson"), X, y, 1)
    before = np.zeros(4)
    for k in range(len(X)):
        read.partial_fit(X[k : k + 1], y[k : k + 1])
        assert not k or (read.coef_ != before).any()
        before = read.coef_
    assert_array_equal(read.coef_, unread.coef_)
    assert read.intercept_ == unread.intercept_
    assert_array_equal(pickle.loads(pickle.dumps(read)).coef_, read.coef_)


def test_rows_of_a_fit_are_not_forgotten():
    """A fit keeps no sums, so the average goes on, which knows its rows."""
    X, y = rows("huber", 6000)
    model = BatchGDRegressor("huber").fit(X[:5000], y[:5000])
    fitted = model.coef_
    learned(model, X[5000:5300], -3.0 * y[5000:5300], 10)
    assert_allclose(model.coef_ * [1.0, 100.0, 0.01, 1.0], fitted * [1.0, 100.0, 0.01, 1.0], atol=0.25)


def test_several_targets_as_each_alone():
    X, y = rows("huber", 700)
    together = learned(MiniBatchSGDRegressor("huber"), X, np.column_stack((y, 2.0 - y)), 30)
    for target, each in enumerate((y, 2.0 - y)):
        alone = learned(MiniBatchSGDRegressor("huber"), X, each, 30)
        assert_allclose(together.coef_[target], alone.coef_, rtol=1e-9)


@pytest.mark.parametrize("size", [5, 100])
def test_a_half_life_counts_late_rows(size):
    """Parameters that change at once: after ten half lives the first ones leave no trace."""
    X, y = rows("logcosh", 4000)
    y[:2000] = -y[:2000]
    model = learned(MiniBatchSGDRegressor("logcosh", half_life=200.0), X, y, size)
    assert_allclose(model.coef_ * [1.0, 100.0, 0.01, 1.0], TRUTH, atol=0.25)


def test_where_parabolas_mislead_the_descent_predicts():
    """Of targets in the hundreds logcosh has next to no second derivative, and columns hardly differ."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 3))
    X[:, 2] = X[:, 1] + 1e-3 * rng.standard_normal(40)
    y = 300.0 * (X[:, 0] + rng.standard_normal(40))
    model = learned(OnlineSGDRegressor("logcosh"), X, y, 7)
    assert abs(y - model.predict(X)).mean() < abs(y - np.median(y)).mean()


@pytest.mark.parametrize("name", ["huber", "quantile", "gamma"])
def test_rows_in_the_order_of_their_targets_are_reported(name):
    X, y = rows(name, 3000)
    order = np.argsort(y)
    with pytest.warns(ConvergenceWarning, match="early ones lead to other coefficients .* random order") as found:
        learned(MiniBatchSGDRegressor(name), X[order], y[order], 100)
    assert len(found) == 1
    with warnings.catch_warnings(action="error"):
        learned(MiniBatchSGDRegressor(name), X, y, 100)
        learned(MiniBatchSGDRegressor(name), X[np.argsort(X[:, 0])], y[np.argsort(X[:, 0])], 100)


def test_standard_errors_need_all_rows():
    """Most rows of a large chunk add their slopes only."""
    X, y = rows("huber", 2000)
    model = learned(MiniBatchSGDRegressor("huber"), X, y, 1000)
    with pytest.raises(ValueError, match="inference=True"):
        coefficient_table(model)
    kept = learned(MiniBatchSGDRegressor("huber", inference=True), X, y, 1000)
    errors = coefficient_table(kept).std_err
    assert (abs(model.coef_ - kept.coef_) < 0.2 * errors[:-1]).all()


@pytest.mark.parametrize("name", ["huber", "logcosh"])
def test_without_second_derivatives_the_descent_predicts(name):
    """At targets of about 2e6 next to no rows have a second derivative, so that the intercept has none, either."""
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((950, 3)), 2.0**20 * rng.standard_normal(950)
    model = learned(MiniBatchSGDRegressor(name, penalty="l2", alpha=0.1), X, y, 50)
    assert abs(y - model.predict(X)).mean() < 1.003 * abs(y - np.median(y)).mean()


@pytest.mark.parametrize("seed", [0, 3, 7])
def test_stored_rows_bend_by_their_own_size(seed):
    """Columns that grow while rows wait have more curvature than those before, also where slopes jump."""
    X, y = rows("quantile", 650, seed)
    X[450:] *= 3.0
    y[450:] += 2.0 / 3.0 * X[450:] @ (TRUTH / [1.0, 100.0, 0.01, 1.0])
    model = learned(OnlineSGDRegressor("absolute_error"), X, y, 5)
    exact = QuantileRegressor(quantile=0.5, alpha=0.0).fit(X, y)
    truth = X @ (TRUTH / [1.0, 100.0, 0.01, 1.0]) + 0.5
    least = abs(y - exact.predict(X)).mean()
    assert abs(y - model.predict(X)).mean() - least < 1.5 * (abs(y - truth).mean() - least)


@pytest.mark.parametrize("name", ["absolute_error", "quantile"])
def test_stored_rows_know_no_unit_of_the_targets(name):
    """Losses without a unit of their own: coefficients are those of the targets in any unit, also while rows wait."""
    X, y = rows(name, 1000)
    one, other = (learned(MiniBatchSGDRegressor(name), X, y * unit, 100) for unit in (1.0, 2.0**40))
    assert_allclose(other.coef_ / 2.0**40, one.coef_, rtol=1e-9)


def test_many_targets_keep_no_more_than_one():
    """Matrices of all targets together have at most as many numbers as those of one target with 400 columns."""
    X = np.random.default_rng(0).standard_normal((300, 60))
    kept, few, average = (
        learned(MiniBatchSGDRegressor("huber", average=average), X, X[:, :n] + X[:, 1:2], 50)
        for n, average in ((60, "auto"), (10, "auto"), (60, True))
    )
    assert len(pickle.dumps(kept)) < 1.1 * len(pickle.dumps(average)) < len(pickle.dumps(few))


@pytest.mark.parametrize("name", ["poisson", "huber"])
def test_later_epochs_come_nearer_to_the_minimum(name):
    """At the end of an epoch each row counts once, and is seen from a place nearer to the minimum than before."""
    X, y = rows(name, 1200)
    chunks = [(X[start : start + 100], y[start : start + 100]) for start in range(0, len(X), 100)]
    first, third = (fit_stream(MiniBatchSGDRegressor(name), chunks, epochs=epochs) for epochs in (1, 3))
    one, three = (excess(LOSSES[name](), X, y, None, np.append(m.coef_, m.intercept_)) for m in (first, third))
    assert three < 0.3 * one


def test_a_checkpoint_within_a_later_epoch_goes_on_with_the_same_bits(tmp_path):
    X, y = rows("huber", 1000)
    source, file = ArraySource(X, y, chunk_rows=100), tmp_path / "checkpoint"
    whole = fit_stream(MiniBatchSGDRegressor("huber"), source, epochs=2, random_state=0)
    options = {"epochs": 2, "random_state": 0, "checkpoint": file}
    fit_stream(MiniBatchSGDRegressor("huber"), source, max_rows=1500, **options)
    rest = fit_stream(MiniBatchSGDRegressor("huber"), source, **options)
    assert_array_equal(rest.coef_, whole.coef_)
