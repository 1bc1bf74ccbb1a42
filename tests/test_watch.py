"""Streams that predict worse than the best constant say so, and others do not."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import TweedieRegressor
from sklearn.metrics import d2_tweedie_score, r2_score

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

WORSE = "predicts worse than the best constant"


def raw_columns(n=1200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4)) * [1, 10, 30, 1]
    return X, X @ [1.0, 0.2, 0.1, 0.0] + rng.normal(size=n)


def learn(model, X, y, size, weight=None):
    """Learn from calls of this size, and return the numbers of samples after which there was a warning."""
    found = []
    for start in range(0, X.shape[0], size):
        rows = slice(start, start + size)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.partial_fit(X[rows], y[rows], *([] if weight is None else [weight[rows]]))
        found += [start + size for each in caught if WORSE in str(each.message)]
    return found


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("size", [1, 40, 600])
def test_a_rate_that_is_too_high_for_raw_columns_warns(size, kind):
    X, y = raw_columns(200 if size == 1 else 1200)
    model = OnlineSGDRegressor(learning_rate="constant", eta0=2e-3)
    found = learn(model, kind(X), y, size)
    assert found
    assert found[0] <= max(200, size)
    assert r2_score(y, model.predict(X)) < -0.5


def test_rows_of_several_kinds_are_compared():
    """Single dense rows among sparse ones, without an intercept, of which columns far from 0 take the place."""
    X, y = raw_columns(200)
    model = MiniBatchSGDRegressor(fit_intercept=False, average=True)
    for start, size in zip(range(20), [1, 19] * 10, strict=True):
        rows = slice(10 * start, 10 * start + size)
        model.partial_fit(X[rows] if size == 1 else sparse.csr_matrix(X[rows]), y[rows])
    assert r2_score(y, model.predict(X)) > 0.9


def test_the_remedy_depends_on_the_cause():
    X, y = raw_columns()
    with pytest.warns(ConvergenceWarning, match="'auto', or a smaller eta0"):
        OnlineSGDRegressor(learning_rate="constant", eta0=2e-3).partial_fit(X, y)
    with pytest.warns(ConvergenceWarning, match="'auto', more samples, or a larger eta0"):
        OnlineSGDRegressor(learning_rate="constant", eta0=1e-6).partial_fit(X, y + 100.0)
    with pytest.warns(ConvergenceWarning, match="1 of 2 targets: .* a smaller eta0"):
        OnlineSGDRegressor(learning_rate="constant", eta0=2e-3).partial_fit(X, np.c_[y, np.zeros(len(y))])


def test_sorted_samples_in_a_large_call_warn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3))
    y = rng.poisson(np.exp(X @ [0.5, 0.3, 0.0])).astype(float)
    order = np.argsort(y)
    X, y = X[order], y[order]
    model = OnlineSGDRegressor("tweedie", average=True)
    with pytest.warns(ConvergenceWarning, match="more samples, in random order"):
        model.partial_fit(X, y)
    assert d2_tweedie_score(y, model.predict(X), power=1.5) < -0.2
    # The minimum of the samples of a call does not depend on their order.
    model, peer = OnlineSGDRegressor("tweedie").partial_fit(X, y), TweedieRegressor(power=1.5, alpha=0.0).fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=0.01)


@pytest.mark.parametrize(
    ("loss", "rate", "size"),
    [("squared_error", 0.05, 1), ("huber", 0.5, 32), ("poisson", 0.01, 32), ("poisson", 0.01, 500)],
)
def test_targets_that_rise_or_repeat_do_not_warn(loss, rate, size):
    rng = np.random.default_rng(0)
    n = 1500
    X = np.c_[np.linspace(0, 1, n), np.arange(n) % 2, rng.normal(size=n)]
    mean = X @ [2.0, 1.0, 0.2]
    y = rng.poisson(np.exp(mean)).astype(float) if loss == "poisson" else mean + 0.1 * rng.normal(size=n)
    model = MiniBatchSGDRegressor(loss, batch_size=4)
    assert learn(model, X, y, size) == []
    assert r2_score(y, model.predict(X)) > 0.3
    # A rate of the user's own follows the latest samples, with which it is compared.
    follows = MiniBatchSGDRegressor(loss, batch_size=4, learning_rate="constant", eta0=rate)
    assert learn(follows, X, y, size) == []
    assert r2_score(y[-500:], follows.predict(X[-500:])) > 0.0


def test_the_warning_comes_once_until_the_stream_recovers():
    X, y = raw_columns(4800)
    model = OnlineSGDRegressor("huber", learning_rate="constant", eta0=3.0)
    assert learn(model, X[:1200], y[:1200], 200) == [200]
    assert np.abs(y - model.predict(X)).mean() > np.abs(y - np.median(y)).mean()
    assert model._fitted.watch.warned
    again = pickle.loads(pickle.dumps(model))
    assert again._fitted.watch.warned
    assert learn(again, X[1200:], y[1200:], 600) == []
    model.set_params(eta0=0.01)
    assert learn(model, X[1200:], y[1200:], 600) == []
    assert not model._fitted.watch.warned
    assert np.abs(y - model.predict(X)).mean() < np.abs(y - np.median(y)).mean()


@pytest.mark.parametrize("size", [40, 200])
def test_a_call_whose_warning_is_an_error_changes_nothing(size):
    X, y = raw_columns()
    model = OnlineSGDRegressor(learning_rate="constant", eta0=2e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, len(y), size):
            before = vars(model).copy()
            rows = slice(start, start + size)
            if start + size >= 160:
                with pytest.raises(ConvergenceWarning, match=WORSE):
                    model.partial_fit(X[rows], y[rows])
                break
            model.partial_fit(X[rows], y[rows])
    assert vars(model) == before | {"_has_warned": True}


def test_samples_that_are_collected_are_not_saved():
    X, y = raw_columns(110)
    model = OnlineSGDRegressor("huber")
    learn(model, X, y, 1)
    assert model._fitted.watch.rows
    watch = pickle.loads(pickle.dumps(model))._fitted.watch
    assert watch.rows == ()
    assert sum(map(len, watch.targets)) == sum(map(len, model._fitted.watch.targets))
    # A model that was saved without it can be loaded.
    state = model.__getstate__()
    del state["_fitted"]["watch"]
    older = OnlineSGDRegressor("huber")
    older.__setstate__(state)
    assert learn(older, X, y, 50) == []
    np.testing.assert_array_equal(older.coef_.shape, (4,))


def test_a_stream_after_a_fit_is_compared_with_the_targets_of_both():
    rng = np.random.default_rng(0)
    t = np.linspace(0.0, 1.0, 1000)
    X = np.c_[t, rng.normal(size=1000)]
    y = 10.0 * t + 0.1 * rng.normal(size=1000)
    model = OnlineSGDRegressor("huber").fit(X[:800], y[:800])
    assert learn(model, X[800:], y[800:] + 0.3, 100) == []
    _, *targets = np.concatenate(model._fitted.watch.targets).T
    assert np.min(targets) < 1.0


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("size", [1, 50])
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_targets_whose_squares_are_below_the_range_of_numbers(loss, size, kind):
    X, y = raw_columns(100)
    X, small, model = kind(X), 1e-200 * y, OnlineSGDRegressor(loss)
    with pytest.warns(ConvergenceWarning, match="so small that the squares"):
        model.partial_fit(X[:size], small[:size])
    for start in range(size, 100, size):
        model.partial_fit(X[start : start + size], small[start : start + size])  # Warnings are errors.
    with pytest.warns(ConvergenceWarning, match="1 of 2 targets: .* so small that the squares"):
        OnlineSGDRegressor(loss).partial_fit(X, np.c_[y, 1e-200 * y])


def test_targets_of_zero_or_where_steps_begin_are_not_called_small():
    X, _ = raw_columns(100)
    assert OnlineSGDRegressor("poisson").partial_fit(X[:1], np.ones(1)).predict(X[:1]) == pytest.approx(1.0)
    OnlineSGDRegressor("squared_epsilon_insensitive", epsilon=0.1).partial_fit(X[:1], np.full(1, 0.05))
    assert OnlineSGDRegressor("huber").partial_fit(X, np.zeros(100)).predict(X) == pytest.approx(0.0)


def test_other_parameters_are_soon_judged():
    X, y = raw_columns(6000)
    model = OnlineSGDRegressor("huber")
    assert not learn(model, X[:5000], y[:5000], 500)
    model.set_params(learning_rate="constant", eta0=100.0)
    assert learn(model, X[5000:], y[5000:], 200)


def test_zeros_without_a_rare_target_do_not_warn():
    """Streams of which the sampled rows lacked one were called worse in 7 of 18 draws."""
    warned = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(3000, 2))
        y = np.where(rng.random(3000) < 0.02, 50.0 + X.sum(axis=1), 0.0)
        warned += bool(learn(OnlineSGDRegressor("huber"), X, y, 100))
    assert not warned


def test_full_batches_on_their_way_from_zero_are_given_time():
    X, y = raw_columns(400)
    X = X / X.std(axis=0)
    model = BatchGDRegressor(learning_rate="constant", eta0=0.05)
    for _ in range(90):
        model.partial_fit(X, y + 100.0)  # Warnings are errors, as the first steps are worse than the constant.
    assert r2_score(y + 100.0, model.predict(X)) > 0.0
    assert learn(BatchGDRegressor(learning_rate="constant", eta0=10.0), X, y, 100)


@pytest.mark.parametrize("size", [1, 40, 600])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_a_stream_whose_warning_is_an_error_goes_on_when_the_call_is_repeated(size, kind):
    """The model is then that of a stream whose warning was shown, after one error."""
    X, y = raw_columns(200 if size == 1 else 1200)
    stream, shown = (OnlineSGDRegressor(learning_rate="constant", eta0=2e-3) for _ in range(2))
    learn(shown, kind(X), y, size)
    failed = []
    for start in range(0, len(y), size):
        rows = kind(X[start : start + size]), y[start : start + size]
        try:
            stream.partial_fit(*rows)  # Warnings are errors.
        except ConvergenceWarning as error:
            failed.append(str(error))
            stream.partial_fit(*rows)
    assert [WORSE in message for message in failed] == [True]
    np.testing.assert_array_equal(stream.coef_, shown.coef_)
    assert stream._fitted.watch.due == shown._fitted.watch.due


def test_a_first_call_whose_warning_is_an_error_leaves_the_regressor_not_fitted():
    X, y = raw_columns()
    model = OnlineSGDRegressor(learning_rate="constant", eta0=2e-3)
    with pytest.raises(ConvergenceWarning, match=WORSE):
        model.partial_fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert not hasattr(model, "coef_")
    model.partial_fit(X, y)


@pytest.mark.parametrize("seed", [2, 14])
def test_samples_at_another_level_than_the_stream_do_not_warn(seed):
    """The level of a random walk in the last samples is not that of the stream, which model and constant follow."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1500, 2))
    assert not learn(OnlineSGDRegressor("huber"), X, X.sum(axis=1) + np.cumsum(rng.normal(size=1500)), 100)
