"""Learning from a stream: chunks of any size, empty ones too, and the losses at first sight."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import AUTO, REGRESSORS, covering, csr, learned, linear, some_weights, theta
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression, PoissonRegressor, QuantileRegressor
from sklearn.metrics import mean_absolute_error, mean_poisson_deviance
from sklearn.svm import SVR

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.penalties import Box

all_kinds = pytest.mark.parametrize("kind", REGRESSORS)


def feed(model, X, y, sizes, weight=None):
    """The rows in chunks of these sizes, over and over until there are none."""
    start = calls = 0
    while start < len(y):
        chunk = slice(start, start + sizes[calls % len(sizes)])
        model.partial_fit(X[chunk], y[chunk], None if weight is None else weight[chunk])
        start, calls = chunk.stop, calls + 1
    return model


# Empty chunks


@covering({"kind": REGRESSORS, "form": [np.asarray, csr], "params": [{}, AUTO, {"drop_last": True}]})
def test_empty_chunk_changes_nothing(kind, form, params):
    X, y = linear()
    model = kind(**params).partial_fit(form(X), y, some_weights(60))
    before = {name: np.copy(getattr(model, name)) for name in learned(model)}
    for weight in (None, [], 1.0):
        assert model.partial_fit(form(X)[:0], y[:0], weight) is model
    for name, value in before.items():
        assert_array_equal(getattr(model, name), value)


@all_kinds
def test_empty_chunk_at_the_start_fits_nothing(kind):
    X, y = linear()
    model = kind().partial_fit(X[:0], y[:0])
    with pytest.raises(NotFittedError):
        model.predict(X)
    assert_array_equal(theta(model.partial_fit(X, y)), theta(kind().partial_fit(X, y)))


@covering({"kind": REGRESSORS, "form": [np.asarray, csr], "loss": ["squared_error", "huber"], "params": [{}, AUTO]})
def test_chunk_of_weight_0_changes_nothing(kind, form, loss, params):
    """Neither what is known nor what is learned later: columns keep their centre, and the moments their targets."""
    X, y = linear()
    X[:, 0] += 1e6
    zeros = np.zeros(20)
    model, twin = (kind(loss, **params).partial_fit(form(X[:20]), y[:20], zeros + 1.0) for _ in range(2))
    model.partial_fit(form(X[20:40]), -1e3 * y[20:40], zeros)
    for known in (model, twin):
        known.partial_fit(form(X[40:]), y[40:], zeros + 1.0)
    assert_array_equal(theta(model), theta(twin))
    assert model.n_samples_seen_ == twin.n_samples_seen_


def test_empty_chunk_is_checked():
    X, y = linear()
    with pytest.raises(ValueError, match=r"4 features.*expecting 5"):
        OnlineSGDRegressor().partial_fit(X, y).partial_fit(X[:0, :4], y[:0])


# Rows like the last ones are taken sooner

PA = {"learning_rate": "pa1", "loss": "epsilon_insensitive", "eta0": 0.5}
SOONER = [
    {},
    {"loss": "huber", "penalty": "l1"},
    {"loss": "poisson"},
    {"half_life": 20, "fit_intercept": False},
    {"learning_rate": "invscaling", "optimizer": "adam", "penalty": Box(-0.5, 0.5), "average": 3},
    {"learning_rate": "constant", "half_life": 20, "average": True},
]


@covering({"params": [*SOONER, PA], "size": [1, 5], "dtype": [np.float64, np.float32]}, strength=2)
def test_rows_like_the_last_ones_go_the_same_way(params, size, dtype):
    X, y = linear()
    X, y = X.astype(dtype), np.abs(y).astype(dtype)
    sooner, usual = (OnlineSGDRegressor(**params) for _ in range(2))
    for start in range(0, 60, size):
        rows = slice(start, start + size)
        sooner.partial_fit(X[rows], y[rows])
        # With weights, which say nothing, rows are not like others.
        usual.partial_fit(X[rows], y[rows], np.ones(len(y[rows])))
        for name in learned(usual):
            assert_array_equal(getattr(sooner, name), getattr(usual, name), err_msg=name)


def test_what_changes_between_like_rows_is_seen():
    X, y = linear()
    changes = [
        lambda model: model.set_params(penalty="l2", alpha=10.0),
        lambda model: model.set_params(batch_size=3),
        lambda model: model.set_params(learning_rate="constant"),
        lambda model: model.set_params(fit_intercept=False),
        lambda model: model.fit(X[:, ::-1], y),
        lambda model: model.fit(X[:, :2], y),
        lambda model: model.fit(X.astype(np.float32), y),
        lambda model: model.fit(X, np.c_[y, -y]),
        lambda model: model.sparsify(),
    ]
    for change in changes:
        sooner, usual = (MiniBatchSGDRegressor(random_state=0) for _ in range(2))
        for model, weight in [(sooner, None), (usual, np.ones(10))]:
            for _ in range(2):
                model.partial_fit(X[:10], y[:10], weight)
            change(model)
            A, b = X[10:20, : model.n_features_in_], y[10:20]
            b = np.c_[b, b] if np.ndim(model.intercept_) else b
            for _ in range(2):
                model.partial_fit(A.astype(model.coef_.dtype), b.astype(model.coef_.dtype), weight)
        assert_array_equal(theta(sooner), theta(usual))


@pytest.mark.parametrize(
    ("row", "target", "message"),
    [
        ([[np.nan, 0, 0, 0, 0]], [1.0], "X contains NaN"),
        ([[1.0, 0, 0, 0]], [1.0], "4 features"),
        ([[1.0, 0, 0, 0, 0]], [np.inf], "y contains infinity"),
        ([[1.0, 0, 0, 0, 0]], [-1.0], "y must be"),
        ([[1.0, 0, 0, 0, 0]], [1.0, 2.0], "inconsistent numbers of samples"),
    ],
)
def test_rows_unlike_the_last_ones_are_refused(row, target, message):
    model = OnlineSGDRegressor(loss="poisson")
    for _ in range(3):
        model.partial_fit(np.ones((1, 5)), np.ones(1))
    before = theta(model).copy()
    with pytest.raises(ValueError, match=message):
        model.partial_fit(np.array(row), np.array(target))
    assert_array_equal(theta(model), before)
    assert model.n_updates_ == 3


# Chunks of any size

SCHEDULED = {"learning_rate": "invscaling", "eta0": 0.05}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("sizes", [[1], [7], [3, 0, 11, 1]], ids=str)
@pytest.mark.parametrize("params", [{}, {"average": True}, {"penalty": "elasticnet"}], ids=str)
def test_single_rows_in_chunks_of_any_size(params, sizes):
    X, y = linear()
    model = OnlineSGDRegressor(**SCHEDULED, **params)
    whole, chunks = clone(model).partial_fit(X, y), feed(clone(model), X, y, sizes)
    assert_allclose(theta(chunks), theta(whole), rtol=1e-12)
    assert chunks.n_updates_ == whole.n_updates_ == 60
    assert chunks.prequential_loss_ == pytest.approx(whole.prequential_loss_, rel=1e-12)


@pytest.mark.parametrize("sizes", [[8], [16, 0, 8]], ids=str)
def test_batches_in_chunks_of_whole_batches(sizes):
    X, y = linear()
    model = MiniBatchSGDRegressor(batch_size=8, **SCHEDULED)
    assert_allclose(theta(feed(clone(model), X, y, sizes)), theta(clone(model).partial_fit(X, y)), rtol=1e-12)


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize("sizes", [[32], [100, 0, 1], [1000]], ids=str)
def test_automatic_step_in_other_chunks_is_another_way_to_the_same_place(kind, sizes):
    X, y = linear(n=2000)
    exact = LinearRegression().fit(X, y)
    assert_allclose(theta(feed(kind(), 100 * X, y, sizes)) * [*[100] * 5, 1], theta(exact), atol=0.05)


# Loss at first sight


class Zero:
    """Learns nothing; the loss of a row is its target."""

    def value(self, y, p):
        return y + 0.0 * p

    def gradient(self, y, p):
        return 0.0 * (y + p)


@pytest.fixture
def idle():
    return OnlineSGDRegressor(Zero(), learning_rate="constant", eta0=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_recent_loss_is_a_fading_mean(idle, weighted):
    every = np.random.default_rng(0).exponential(size=3000)
    for sizes, n in (([1], 1000), ([10], 3000), ([1000], 3000)):
        losses, weight = every[:n], np.tile([1.0, 3.0], n // 2) if weighted else None
        model = feed(clone(idle), np.zeros((n, 1)), losses, sizes, weight)
        shares = np.tile([0.5, 1.5], n // 2) if weighted else np.ones(n)
        age = shares.sum() - np.cumsum(shares)
        # The later a row, the more it counts; rows of a call count alike.
        expected = np.average(losses, weights=shares * np.exp(-age / 1000))
        assert model.recent_loss_ == pytest.approx(expected, rel=0.01 if sizes[0] < 1000 else 0.05)
        assert model.prequential_loss_ == pytest.approx(np.average(losses, weights=shares), rel=0.01)


def test_recent_loss_sees_drift(idle):
    losses = np.repeat([1.0, 100.0], 5000)
    model = feed(idle, np.zeros((10_000, 1)), losses, [100])
    assert model.prequential_loss_ == pytest.approx(50.5)
    assert model.recent_loss_ == pytest.approx(100, rel=0.01)


@pytest.mark.parametrize("sizes", [[1], [7], [500]], ids=str)
def test_recent_loss_of_equal_losses_is_that_loss(idle, sizes):
    model = feed(idle, np.zeros((500, 1)), np.full(500, 2.0), sizes)
    assert model.recent_loss_ == pytest.approx(2.0, rel=1e-12)


@all_kinds
def test_recent_loss_of_a_fit_is_that_of_its_first_epoch(kind):
    fitted = kind(random_state=0).fit(*linear())
    assert fitted.recent_loss_ == pytest.approx(fitted.loss_curve_[0], rel=1e-12)
    assert fitted.recent_loss_ == pytest.approx(fitted.prequential_loss_, rel=1e-12)


# Drift


@pytest.fixture
def drifting():
    """Coefficients that walk at random, of raw columns."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 4)) * 10.0 ** np.arange(-1.0, 3.0) + 5.0
    w = rng.normal(size=4) + np.cumsum(rng.normal(size=(6000, 4)) * 0.02, axis=0)
    return X, np.sum(X / X.std(axis=0) * w, axis=1) + rng.normal(size=6000)


def progressive_error(model, X, y, size):
    """Mean squared error of each chunk before it is learned, over the second half."""
    squares = []
    for start in range(0, len(y), size):
        chunk = slice(start, start + size)
        if start >= len(y) // 2:
            squares.append((model.predict(X[chunk]) - y[chunk]) ** 2)
        model.partial_fit(X[chunk], y[chunk])
    return np.mean(np.concatenate(squares))


class Fading:
    """Least squares of all rows so far, each weighted by half for each half life since: what is aimed at."""

    def __init__(self, half_life):
        self.half_life, self.X, self.y = half_life, np.empty((0, 5)), np.empty(0)

    def predict(self, X):
        root = 0.5 ** (np.arange(len(self.y))[::-1] / self.half_life / 2)
        w = np.linalg.lstsq(self.X * root[:, None], self.y * root, rcond=None)[0]
        return np.column_stack([X, np.ones(len(X))]) @ w

    def partial_fit(self, X, y):
        self.X = np.vstack([self.X, np.column_stack([X, np.ones(len(X))])])
        self.y = np.append(self.y, y)


@pytest.mark.parametrize(("batch_size", "size"), [(1, 50), (16, 64), (32, 200)])
@pytest.mark.parametrize("half_life", [100, 500])
def test_half_life_follows_a_drift_like_fading_least_squares(batch_size, size, half_life, drifting):
    forgets = MiniBatchSGDRegressor(batch_size=batch_size, half_life=half_life)
    error = progressive_error(forgets, *drifting, size)
    assert error < 1.6 * progressive_error(Fading(half_life), *drifting, size)
    assert error < 0.8 * progressive_error(MiniBatchSGDRegressor(batch_size=batch_size), *drifting, size)


def test_columns_that_drift_are_measured_again():
    """Units that change on the way, by a factor of 1000: what was known of the old ones fades."""
    rng = np.random.default_rng(0)
    X, models = rng.normal(size=(4000, 3)), []
    y = X @ [1.0, 2.0, 3.0]
    X[2000:] *= 1000.0
    for half_life in (None, 100):
        models.append(feed(OnlineSGDRegressor(half_life=half_life), X[:2000], y[:2000], [50]))
        feed(models[-1], X[2000:], y[2000:], [50])
    never, forgets = (np.mean((model.predict(X[2000:]) - y[2000:]) ** 2) for model in models)
    assert forgets < 0.01 * np.var(y)
    assert forgets < 0.1 * never


@all_kinds
@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant", "average": True}], ids=str)
def test_a_half_life_without_end_forgets_nothing(kind, params):
    X, y = linear()
    never = feed(kind(**params), X, y, [7])
    assert_allclose(theta(feed(kind(half_life=1e15, **params), X, y, [7])), theta(never), rtol=1e-10)


def test_average_of_a_schedule_is_one_of_late():
    """Shares that stop falling at the half life make an exponential mean of the parameters."""
    X, y = linear()
    params = {"learning_rate": "constant", "eta0": 0.02}
    averaged = feed(OnlineSGDRegressor(average=True, half_life=5, **params), X, y, [1])
    plain, mean = OnlineSGDRegressor(**params), 0.0
    for t in range(1, 61):
        feed(plain, X[t - 1 : t], y[t - 1 : t], [1])
        mean += max(1 / t, np.log(2) / 5) * (theta(plain) - mean)
    assert_allclose(theta(averaged), mean, rtol=1e-10)


def test_half_life_is_for_streams():
    X, y = linear()
    assert_array_equal(*(theta(OnlineSGDRegressor(half_life=h, random_state=0).fit(X, y)) for h in (None, 3)))


def counts(n):
    """Counts of events, whose logarithm is linear but for noise."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5))
    return X, rng.poisson(np.exp(X @ [0.3, -0.2, 0.1, 0.2, -0.1] + 0.5)).astype(float)


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize(("n", "chunk"), [(310, 1), (330, 3), (600, 30), (600, 300)])
def test_a_stream_goes_on_from_the_minimum_of_a_short_fit(kind, n, chunk):
    """A fit of few updates, and small chunks after it, count by their samples."""
    X, y = counts(n)
    model = kind("poisson", random_state=0).fit(X[:300], y[:300])
    assert model.n_iter_ == 1
    peer = PoissonRegressor(alpha=0.0, tol=1e-9)
    for stop in (300, n):
        least = mean_poisson_deviance(y[:stop], peer.fit(X[:stop], y[:stop]).predict(X[:stop]))
        ends = mean_poisson_deviance(y[:stop], model.predict(X[:stop]))
        assert ends < (1.0 + (1e-4 if stop == 300 else 5e-3)) * least
        for start in range(300, n, chunk):
            model.partial_fit(X[start : start + chunk], y[start : start + chunk])


@covering(
    {
        "kind": [MiniBatchSGDRegressor, OnlineSGDRegressor],
        "loss": ["absolute_error", "epsilon_insensitive", "quantile"],
    }
)
def test_a_stream_goes_on_from_a_fit_of_many_epochs_by_its_samples(kind, loss):
    """Epochs over few samples do not make the steps on many new ones small: the median on all rows is found."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((5000, 3))
    y = X @ [1.0, -1.0, 0.5] + rng.laplace(size=5000)
    y[:100] += 2.0
    model = kind(loss, random_state=0, tol=None, epochs=50).fit(X[:200], y[:200])
    assert model.n_iter_ == 50
    for start in range(200, 5000, 300):
        model.partial_fit(X[start : start + 300], y[start : start + 300])
    peer = QuantileRegressor(alpha=0.0, solver="highs-ipm").fit(X, y)
    least, ends = (mean_absolute_error(y, each.predict(X)) for each in (peer, model))
    assert ends < 1.002 * least


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_after_a_fit_that_diverged_at_once(dtype):
    """They were NaN for ever. The parameters are 0 again, at which the loss is known."""
    X, y = (values.astype(dtype) for values in linear())
    model = OnlineSGDRegressor(learning_rate="constant", eta0=1e200)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    assert not np.isfinite(model.prequential_loss_)
    model.set_params(eta0=0.01).partial_fit(X[:1], y[:1])
    for loss in (model.prequential_loss_, model.recent_loss_):
        assert_allclose(loss, y[0] ** 2 / 2, rtol=1e-5)


@pytest.mark.parametrize("form", [np.asarray, csr])
@pytest.mark.parametrize("size", [1, 50, 300])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_more_targets_than_features(kind, size, form):
    """The squared error of few targets ends at least squares, however few features there are."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 1))
    Y = X * [[1.0, -2.0, 0.5]] + rng.standard_normal((300, 3))
    peer = LinearRegression().fit(X, Y)
    assert_allclose(theta(feed(kind(), form(X), Y, [size])), theta(peer), rtol=1e-6)


def laplace(n):
    """Samples with noise of Laplace's distribution, for which the median is efficient."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 3))
    return X, X @ [1.0, -1.0, 0.5] + 0.3 * rng.laplace(size=n)


@pytest.mark.parametrize("size", [10, 200, 2000])
@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize("loss", ["epsilon_insensitive", "huber"])
def test_a_ridge_and_targets_in_the_thousands(kind, loss, size):
    """The penalty is small beside the squares of the columns, but not beside the curvature of such a loss."""
    (X, y), alpha, unit = laplace(2000), 1e-4, 1e4
    X[:, 2] *= 0.01
    width = 1e3 if loss == "epsilon_insensitive" else 0.1  # Huber's loss is the absolute error of such targets.
    slope, tube = (1.0, width / unit) if loss == "epsilon_insensitive" else (width, 0.0)
    model = feed(kind(loss, penalty="l2", alpha=alpha, epsilon=width), X, unit * y, [size])
    peer = SVR(kernel="linear", C=slope / (len(y) * alpha * unit), epsilon=tube, tol=1e-5).fit(X, y)

    def objective(coef, intercept):
        r = np.maximum(abs(X @ coef + intercept - unit * y) - tube * unit, 0.0)
        return slope * r.mean() + alpha / 2 * coef @ coef

    least = objective(unit * peer.coef_[0], unit * peer.intercept_)
    assert objective(model.coef_, model.intercept_) - least < 1e-3 * objective(np.zeros(3), unit * np.median(y))


@covering(
    {
        "kind": [MiniBatchSGDRegressor, OnlineSGDRegressor],
        "loss": ["absolute_error", "quantile", "epsilon_insensitive"],
        "size": [10, 200, 2000],
    }
)
def test_a_ridge_and_targets_of_a_ten_thousandth(kind, loss, size):
    """The penalty is large beside the squares of a column, and negligible beside the curvature of such a loss."""
    (X, y), scale, unit = laplace(4000), np.array([1.0, 0.01, 1.0]), 1e-4
    params = {"epsilon": 0.0} if loss == "epsilon_insensitive" else {}
    model = feed(kind(loss, penalty="l2", alpha=1e-3, **params), X * scale, unit * y, [size])
    peer = QuantileRegressor(alpha=0.0, solver="highs-ipm").fit(X, y)
    assert_allclose(model.coef_ * scale / unit, peer.coef_, atol=0.03)
