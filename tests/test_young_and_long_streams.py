"""Streams whose first rows say little of later ones: first counts of 0, heavy columns, columns that begin to vary."""

import copy
from types import SimpleNamespace

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, covering, theta
from scipy import sparse
from sklearn import config_context
from sklearn.linear_model import HuberRegressor, LinearRegression
from sklearn.metrics import mean_poisson_deviance, mean_tweedie_deviance

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor


def counts(seed, n_samples=2000, n_features=10):
    """Correlated columns, and counts of which many are 0."""
    random = np.random.default_rng(seed)
    covariance = 0.5 ** abs(np.subtract.outer(np.arange(n_features), np.arange(n_features)))
    X = random.multivariate_normal(np.zeros(n_features), covariance, n_samples)
    return X, random.poisson(np.exp(X @ np.linspace(0, 0.3, n_features))).astype(float)


def stream(model, X, y, size):
    """Learn chunk by chunk."""
    for start in range(0, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size])
    return model


@covering({"seed": range(12), "size": [1, 500]})
def test_counts_row_by_row_from_the_first_row_on(seed, size):
    X, y = counts(seed)
    model = stream(OnlineSGDRegressor("poisson"), X, y, size)
    # The coefficients that the counts were drawn with, and the deviance of the mean.
    assert np.abs(model.coef_ - np.linspace(0, 0.3, 10)).max() < 0.2
    assert mean_poisson_deviance(y, model.predict(X)) < mean_poisson_deviance(y, np.full_like(y, y.mean()))
    # Of the first rows one by one, less than one for each column, no model can predict the next.
    assert size == 1 or model.recent_loss_ < 2.0


@pytest.mark.parametrize("dispatch", [False, True], ids=["NumPy", "torch"])
@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_rounding_errors_of_the_first_slopes_do_not_limit_the_next(loss, dispatch):
    """A stream starts at its first target, so that slopes of equal targets are rounding errors; for 1 they are 0.

    With a log link a factor of the targets changes the intercept alone.
    """
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 3))
    y = np.exp(X @ [0.5, -0.3, 0.2] + 0.3 * rng.standard_normal(30))
    y[:3] = 1.0
    of = pytest.importorskip("torch").asarray if dispatch else np.asarray
    with config_context(array_api_dispatch=dispatch):
        models = [stream(OnlineSGDRegressor(loss), of(X), of(factor * y), 1) for factor in (1.0, 7.0)]
    assert_allclose(internals.namespace.host(models[1].coef_), internals.namespace.host(models[0].coef_), rtol=1e-9)
    assert float(models[1].intercept_) == pytest.approx(float(models[0].intercept_) + np.log(7.0), rel=1e-9)


@pytest.mark.parametrize("first", [0.0, 100.0])
@pytest.mark.parametrize("loss", ["poisson", "tweedie"])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_a_first_target_far_from_the_others(kind, loss, first):
    X, y = counts(1)
    y[: 40 if first == 0 else 1] = first
    model = stream(kind(loss), X, y, 20)
    power = {"poisson": 1.0, "tweedie": 1.5}[loss]
    rest = slice(500, None)
    mean = np.full_like(y[rest], y[rest].mean())
    assert mean_tweedie_deviance(y[rest], model.predict(X[rest]), power=power) < mean_tweedie_deviance(
        y[rest], mean, power=power
    )


@pytest.mark.parametrize("level", [-4.0, 0.0, 4.0])
@pytest.mark.parametrize("loss", ["poisson", "tweedie", "gamma"])
def test_rows_of_very_different_length_one_by_one(loss, level):
    random = np.random.default_rng(0)
    X, _ = counts(0, n_features=6)
    X *= np.exp(random.standard_normal((len(X), 1)))
    mean = np.exp(np.clip(X @ np.linspace(0, 0.4, 6), -3, 3) + level)
    y = random.poisson(mean).astype(float) if loss != "gamma" else random.gamma(1.0, mean) + 1e-12
    model, half = stream(OnlineSGDRegressor(loss), X, y, 1), slice(len(X) // 2, None)
    power = {"poisson": 1.0, "tweedie": 1.5, "gamma": 2.0}[loss]
    constant = mean_tweedie_deviance(y[half], np.full_like(y[half], y[half].mean()), power=power)
    assert mean_tweedie_deviance(y[half], model.predict(X[half]), power=power) < 1.1 * constant


@covering(
    {
        "kind": REGRESSORS,
        "loss, calls": [("squared_error", 1), ("huber", 4), ("absolute_error", 4)],
        "history": {"short": [50] * 20, "long": [200] * 100},
        "as_input": {"dense": np.asarray, "csr": sparse.csr_matrix},
    },
    strength=2,
)
def test_a_column_that_begins_to_vary_is_learned_at_once(kind, loss, calls, history, as_input):
    random = np.random.default_rng(0)

    def chunk(varies, n_rows=50):
        a, z = random.standard_normal(n_rows), random.integers(0, 2, n_rows) * varies
        return as_input(np.c_[a, z]), a + 10 * z + 0.1 * random.standard_normal(n_rows)

    model = kind(loss)
    for n_rows in history:
        model.partial_fit(*chunk(0, n_rows))
    assert model.coef_[1] == 0.0
    for _ in range(calls):
        X, y = chunk(1)
        predictions = model.predict(X)
        assert abs(predictions).max() < 20.0
        model.partial_fit(X, y)
    assert model.coef_[1] == pytest.approx(10.0, abs=0.6)
    assert model.coef_[0] == pytest.approx(1.0, abs=0.1)


def test_a_constant_column_is_no_news(monkeypatch):
    """Rounding makes a variance of a constant column, which must not renew the step in each call."""
    random, made = np.random.default_rng(0), []
    model = OnlineSGDRegressor()
    for _ in range(300):
        X = np.c_[random.standard_normal(5), np.full(5, 0.1)]
        made.append(id(model.partial_fit(X, X[:, 0])._states[0].step))
    assert len(set(made[200:])) <= 6
    assert model.coef_[1] == 0.0


@pytest.mark.parametrize("as_input", [np.asarray, sparse.csr_matrix], ids=["dense", "csr"])
def test_the_average_of_a_long_float32_stream_does_not_stand_still(as_input):
    """Shares of an average of millions of updates are less than a float32 holds."""
    random = np.random.default_rng(0)
    X = random.standard_normal((500_000, 2)).astype(np.float32)
    model = OnlineSGDRegressor(learning_rate="constant", eta0=0.01, average=True, fit_intercept=False)
    for truth in (1.0, 1.1):
        y = (X @ [truth, 1.0]).astype(np.float32)
        for _ in range(5):
            model.partial_fit(as_input(X), y)
    # The mean of the iterates, which spend half of the updates at each value.
    np.testing.assert_allclose(model.coef_, [1.05, 1.0], atol=2e-4)
    assert model.coef_.dtype == np.float32


def plane(n_samples=250, seed=0):
    """Three columns, and targets that are nearly linear in them."""
    random = np.random.default_rng(seed)
    X = random.standard_normal((n_samples, 3))
    return X, X @ [1.0, -2.0, 0.5] + 1.0 + 0.1 * random.standard_normal(n_samples)


def mean_error(model, X, y):
    """Mean absolute error of a model, in the precision of y."""
    return np.abs(X @ model.coef_.astype(y.dtype).T + model.intercept_ - y).mean()


@covering(
    {
        "kind": REGRESSORS,
        "loss, far": [("squared_error", 1e100), ("huber", 1e10), ("absolute_error", 1e10), ("expectile", 1e10)],
        "as_input, size": {"dense": (np.asarray, 1), "csr": (sparse.csr_matrix, 40), "float32": (np.float32, 40)},
    },
    strength=2,
)
def test_a_row_far_away_leaves_predictions_of_others(kind, loss, far, size, as_input):
    X, y = plane()
    X[150, 1] = min(far, 1e15) if as_input is np.float32 else far
    model = stream(kind(loss), as_input(X), y.astype(as_input(X).dtype), size)
    X, y = plane(seed=1)
    # That row says that its column has next to no effect, and so the least squares on all rows; it must not say more.
    assert mean_error(model, X, y) < 1.05 * np.abs(y - y.mean()).mean()


@pytest.mark.parametrize("size", [1, 40])
@pytest.mark.parametrize("loss", ["huber", "expectile"])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_a_column_that_becomes_wider_with_its_effect_keeps_it(kind, loss, size):
    X, y = plane()
    model = stream(kind(loss), X, y, size)
    X, y = plane(seed=1)
    X[:40] *= [1.0, 1000.0, 1.0]
    y = X @ [1.0, -2.0, 0.5] + 1.0
    stream(model, X[:40], y[:40], size)
    assert model.coef_[1] == pytest.approx(-2.0, abs=0.1)


def test_rows_far_away_are_compared_for_each_target():
    X, y = plane()
    X[150, 1] = 1e6
    Y = np.c_[y, y]
    Y[150] = y[150], X[150] @ [1.0, -2.0, 0.5] + 1.0
    together, alone = stream(OnlineSGDRegressor("huber"), X, Y, 20), stream(OnlineSGDRegressor("huber"), X, y, 20)
    np.testing.assert_allclose(together.coef_[0], alone.coef_, rtol=1e-9)
    assert abs(alone.coef_[1]) < 0.1
    np.testing.assert_allclose(together.coef_[1], [1.0, -2.0, 0.5], atol=0.1)


ROBUST = ["huber", "absolute_error", "quantile", "logcosh", "cauchy"]
# Regressors by the rows of their calls; the last two take steps on more than one of them.
CALLS = [(OnlineSGDRegressor, 1), (OnlineSGDRegressor, 50), (MiniBatchSGDRegressor, 10), (MiniBatchSGDRegressor, 100)]
CALLS += [(BatchGDRegressor, 20)]


def rows_with_a_far_target(place, as_input=np.asarray):
    """Five columns that matter, and of sparse rows 600 more that hardly do; a target of 1e20."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 5))
    y = X @ np.arange(1.0, 6.0) + 3.0 + rng.normal(size=2000)
    y[place] = 1e20
    if as_input is sparse.csr_matrix:
        rare = sparse.random(2000, 600, 0.02, random_state=0, format="csr")
        return sparse.hstack([sparse.csr_matrix(X), rare], format="csr"), y
    return as_input(X), as_input(y)


def check_ones_own_plane(model):
    """Coefficients are those of all other targets."""
    assert_allclose(np.asarray(model.coef_)[:5], np.arange(1.0, 6.0), atol=0.5)
    assert float(model.intercept_) == pytest.approx(3.0, abs=1.5)


@covering(
    {
        "loss": ROBUST,
        "calls": {f"{kind.__name__}-{size}": (kind, size) for kind, size in CALLS},
        "place": [0, 1, 15],
    }
)
def test_one_of_the_first_targets_is_beyond_all_proportion(loss, calls, place):
    """Robust losses do not follow it. Among others it counts for little; if it came first, the stream starts again."""
    kind, size = calls
    check_ones_own_plane(stream(kind(loss), *rows_with_a_far_target(place), size))


@covering(
    {
        "loss, place": [("huber", 0), ("huber", 1), ("huber", 5), ("cauchy", 0), ("logcosh", 1)],
        "calls": {f"{kind.__name__}-{size}": (kind, size) for kind, size in CALLS},
    }
)
def test_one_of_the_first_targets_of_sparse_rows_is_beyond_all_proportion(loss, place, calls):
    kind, size = calls
    check_ones_own_plane(stream(kind(loss), *rows_with_a_far_target(place, sparse.csr_matrix), size))


@pytest.mark.parametrize("place", [0, 5])
@pytest.mark.parametrize("size", [10, 100])
def test_one_of_the_first_targets_on_a_device_is_beyond_all_proportion(size, place):
    torch = pytest.importorskip("torch")
    with config_context(array_api_dispatch=True):
        X, y = rows_with_a_far_target(place, torch.asarray)
        check_ones_own_plane(stream(MiniBatchSGDRegressor("huber"), X[:300], y[:300], size))


def test_a_sparse_stream_that_starts_again_forgets_columns_that_are_not_there(monkeypatch):
    """They are then only moved by the centring, as if all columns were in each chunk."""
    X, y = rows_with_a_far_target(1, sparse.csr_matrix)
    gone = (X[1].toarray().ravel() != 0.0) & ~(X[2:30].toarray() != 0.0).any(axis=0)
    found = []
    for whole in (False, True):
        if whole:
            internals.with_all_columns(monkeypatch)
        model = stream(OnlineSGDRegressor("huber"), X[:2], y[:2], 1)
        assert abs(model.coef_[gone]).max() > 1e10
        found.append(stream(model, X[2:30], y[2:30], 1).coef_)
    assert abs(found[0][gone]).max() < 0.1
    assert_allclose(found[0], found[1], rtol=1e-9, atol=1e-12)


@covering({"loss": ROBUST, "kind": REGRESSORS, "far": [1e8, 1e20]}, strength=2)
def test_one_target_of_a_fit_is_beyond_all_proportion(loss, kind, far):
    """Neither the unit of `tol` nor the length of a step is that of the one target."""
    X, y = rows_with_a_far_target(100)
    y[100] = far
    check_ones_own_plane(kind(loss, random_state=0).fit(X[:300], y[:300]))
    y[100], weight = X[100] @ np.arange(1.0, 6.0) + 3.0, np.where(np.arange(300) == 100, 0.0, 1.0)
    as_others = kind(loss, random_state=0).fit(X[:300], y[:300], weight)
    y[100] = far
    alone = kind(loss, random_state=0).fit(X[:300], y[:300], weight)
    assert_array_equal(alone.coef_, as_others.coef_)


@pytest.mark.parametrize("share_of_zeros", [0.0, 0.7])
def test_ordinary_first_targets_restart_nothing(monkeypatch, share_of_zeros):
    """Not even if most of them are the same."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 5))
    y = np.where(rng.random(100) < share_of_zeros, 0.0, 1e6 + X @ np.arange(1.0, 6.0) + rng.normal(size=100))
    found = []
    for restarts in (True, False):
        if not restarts:
            internals.without_restarts(monkeypatch)
        model = OnlineSGDRegressor("huber")
        for row in range(100):
            model.partial_fit(X[row : row + 1], y[row : row + 1])
        found.append(model.coef_)
    assert_array_equal(*found)


@covering({"size": [1, 20, 100], "loss": ROBUST, "kind": [OnlineSGDRegressor, MiniBatchSGDRegressor]})
def test_a_column_that_begins_to_vary_is_soon_known_to_robust_losses(kind, loss, size):
    """What predicts is an average, which must not keep the coefficient from before, nor move by the stream's length."""
    rng, noise, n_new = np.random.default_rng(0), 0.1, 1000
    before, varies = np.zeros(20_000), rng.integers(0, 2, n_new)
    X = np.c_[rng.normal(size=(20_000 + n_new, 3)), np.append(before, varies)]
    y = X @ [1.0, 0.0, 0.0, 10.0] + noise * rng.normal(size=len(X))
    model = stream(kind(loss), X[:20_000], y[:20_000], 1000)
    for start in range(20_000, len(X), size):
        model.partial_fit(X[start : start + size], y[start : start + size])
        assert -1.0 < model.coef_[3] < 13.0
    # Five standard errors of the median, from the rows that show the column.
    error = noise * np.sqrt(np.pi / 2 / (n_new * varies.var()))
    assert model.coef_[3] == pytest.approx(HuberRegressor(alpha=0.0).fit(X, y).coef_[3], abs=5 * error)
    assert_allclose(model.coef_[:3], [1.0, 0.0, 0.0], atol=0.01)


@pytest.mark.parametrize("size", [1, 10])
@pytest.mark.parametrize("loss", ["huber", "squared_error"])
@pytest.mark.parametrize("kind", [OnlineSGDRegressor, MiniBatchSGDRegressor])
def test_columns_that_begin_to_vary_have_the_same_bits_in_the_fast_path(kind, loss, size):
    """The first call after a copy has no fast path."""
    X, y = plane(400)
    X[:200, 2], X[:250, 1] = 0.0, 3.0
    fast, slow = stream(kind(loss), X[:200], y[:200], 10), stream(kind(loss), X[:200], y[:200], 10)
    for start in range(200, 400, size):
        fast.partial_fit(X[start : start + size], y[start : start + size])
        slow = copy.deepcopy(slow).partial_fit(X[start : start + size], y[start : start + size])
        assert_array_equal(fast.coef_, slow.coef_)
        assert fast.intercept_ == slow.intercept_


@pytest.mark.parametrize("n_updates", [1, 63, 30_000])
def test_the_average_of_each_late_column_forgets_by_its_own_age(n_updates):
    """A mean with equal weights of ``a + k`` updates has k of them from the last k. Its weights are 1 / t."""
    rng, done = np.random.default_rng(0), 30 * n_updates
    ages = n_updates * np.array([-1, 3, 4, 7, 4, 20, 10, 100])
    before, average, last = rng.normal(size=(3, len(ages) + 1))
    vectors = SimpleNamespace(coef=last, average=average)

    def mixes(t, patience=1.0):
        """The average of the stream keeps half of itself in each update."""
        return 1.0 / t if patience == internals.PATIENCE else np.full(t.shape, 0.5)

    plan = SimpleNamespace(mixes=mixes)
    found = average[:-1] + internals.change_of_average(plan, vectors, before, ages, done, n_updates)
    # No column is older than the stream.
    usual, share = 1.0 - 0.5**n_updates, n_updates / (np.clip(ages, 0, done) + n_updates)
    expected = before[:-1] + share / usual * (average - before)[:-1]
    expected[:2] = average[0], last[1]  # As old as the stream, and younger than four calls.
    assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize(("loss", "penalty"), [("squared_error", None), ("squared_error", "l1"), ("huber", None)])
def test_many_columns_begin_to_vary_one_after_the_other(loss, penalty, size):
    rng, n_late, n_rows = np.random.default_rng(0), 20, 4000
    X = rng.normal(size=(n_rows, 3 + n_late))
    starts = np.linspace(1000, 2000, n_late).astype(int)
    X[:, 3:] = np.where(np.arange(n_rows)[:, None] < starts, 0.0, X[:, 3:] + 5.0)
    y = X @ np.linspace(1.0, 3.0, 3 + n_late) + rng.normal(size=n_rows)
    params = {"penalty": penalty, "alpha": 1e-6} if penalty else {}
    model = stream(OnlineSGDRegressor(loss, **params), X[:1000], y[:1000], 500)
    stream(model, X[1000:], y[1000:], size)
    squared = loss == "squared_error"
    exact = (LinearRegression() if squared else HuberRegressor(alpha=0.0)).fit(X, y)
    # Standard errors are about 1 / sqrt(2000).
    assert_allclose(model.coef_, exact.coef_, atol=0.003 if squared else 0.1)
    assert model.intercept_ == pytest.approx(exact.intercept_, abs=0.01 if squared else 0.2)


@pytest.mark.parametrize("size", [1, 20])
def test_columns_that_begin_to_vary_for_several_targets_as_for_each(size):
    X, _ = plane(400)
    X[:, 1:] = np.where(np.arange(400)[:, None] < [200, 250], 0.0, X[:, 1:] + 50.0)
    Y = X @ [[1.0, 3.0], [-2.0, 0.0], [0.5, 1.0]]
    together = stream(OnlineSGDRegressor("huber"), X, Y, size)
    for target, y in enumerate(Y.T):
        alone = stream(OnlineSGDRegressor("huber"), X, y, size)
        assert_allclose(together.coef_[target], alone.coef_, rtol=1e-9, atol=1e-12)  # One of them is 0.
        assert together.intercept_[target] == pytest.approx(alone.intercept_, rel=1e-9)


def test_an_average_by_a_schedule_has_equal_weights_after_a_column_that_began_late():
    """It knows neither when columns began, nor where they were centred by the automatic step."""
    X, _ = plane(300)
    X[:, 2] = np.where(np.arange(300) < 200, 0.0, X[:, 2] + 50.0)
    y = X @ [1.0, -2.0, 0.5]
    model = stream(OnlineSGDRegressor("huber"), X[:220], y[:220], 1)
    stream(model.set_params(learning_rate="constant", eta0=1e-4, average=False), X[220:225], y[220:225], 1)
    last = copy.deepcopy(model)
    model.set_params(average=True)
    mean = theta(model)
    for row in range(225, 300):
        stream(last, X[row : row + 1], y[row : row + 1], 1)
        stream(model, X[row : row + 1], y[row : row + 1], 1)
        mean += (theta(last) - mean) / (row + 1)
        assert_allclose(theta(model), mean, rtol=1e-9)


@covering({"kind": REGRESSORS, "far": [1e4, 1e10], "size": [1, 10, 100]}, strength=2)
def test_a_row_far_away_leaves_the_intercept_of_others(kind, far, size):
    """The average of a coefficient moves about the former mean of its column, not about the new one."""
    X, y = plane(1000)
    X[500, 1] = far
    model = stream(kind("cauchy"), X, y, size)
    X, y = plane(seed=1)
    assert mean_error(model, X, y) < 1.05 * np.abs(y - y.mean()).mean()
