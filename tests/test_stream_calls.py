"""The short way through `partial_fit`, for chunks that look alike, against the long way: same bits, same errors."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import internals
import numpy as np
import pytest
from problems import REGRESSORS, covering
from scipy import sparse

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.inference import coefficient_table


def harmonic(t):
    """A schedule of the user's."""
    return 0.01 / t


WAYS = {
    "default": {},
    "half_life": {"half_life": 50.0},
    "huber": {"loss": "huber"},
    "inference": {"loss": "huber", "epsilon": 1.35, "inference": True},
    "l2": {"penalty": "l2", "average": False},
    "l1": {"penalty": "l1", "learning_rate": "constant", "eta0": 0.01},
    "adam": {"optimizer": "adam", "learning_rate": "invscaling", "average": True},
    "momentum": {"optimizer": "momentum", "learning_rate": "constant", "eta0": 0.001},
    "pa1": {"learning_rate": "pa1", "loss": "epsilon_insensitive"},
    "own schedule": {"learning_rate": harmonic},
    "without intercept": {"fit_intercept": False},
}


def chunks(n_rows, dtype, number=40, seed=0):
    """Chunks of a stream whose columns have units and offsets."""
    random = np.random.default_rng(seed)
    for _ in range(number):
        X = random.standard_normal((n_rows, 5)) * [1, 2, 0.5, 1, 3] + [0, 1, 0, -2, 0]
        yield X.astype(dtype), (X @ [1, 2, 3, 4, 5] + random.standard_normal(n_rows)).astype(dtype)


@covering(
    {
        "kind": REGRESSORS,
        "params": WAYS,
        "dtype, n_rows, weighted, n_targets": [
            (np.float64, 1, False, None),
            (np.float32, 7, False, None),
            (np.float64, 7, True, None),
            (np.float32, 1, True, None),
            (np.float64, 7, True, 3),
            (np.float32, 1, False, 3),
        ],
    },
    strength=2,
)
def test_same_bits_as_the_long_way(kind, params, n_rows, dtype, weighted, n_targets, monkeypatch):
    """Some of the chunks have weights; a weight of 0 needs the long way."""
    if "pa1" in str(params) and kind is not OnlineSGDRegressor:
        pytest.skip("single rows only")
    if kind is MiniBatchSGDRegressor:
        params = params | {"batch_size": 4}
    short, long = kind(**params), kind(**params)
    calls, random = internals.count_short_calls(monkeypatch), np.random.default_rng(1)
    for number, (X, y) in enumerate(chunks(n_rows, dtype)):
        weight = random.uniform(0.5, 2.0, n_rows).astype(dtype) if weighted and number % 4 else None
        if weighted and number == 35:
            weight[0] = 0.0
        if n_targets:
            y = np.stack([y * (k + 1) + k for k in range(n_targets)], axis=1)
        short.partial_fit(X, y, weight)
        known = len(calls)
        long.partial_fit(np.repeat(X, 2, axis=1)[:, ::2], y, weight)
        assert len(calls) == known
        # The steps, too, which exact coefficients hide.
        for a, b in zip(internals.state_of(short).vectors, internals.state_of(long).vectors, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(calls) >= 8  # Of robust losses the first 30 samples take the long way, and so does a weight of 0.
    np.testing.assert_array_equal(short.coef_, long.coef_)
    np.testing.assert_array_equal(short.intercept_, long.intercept_)
    np.testing.assert_array_equal(short.loss_curve_, long.loss_curve_)
    np.testing.assert_array_equal(short.recent_loss_, long.recent_loss_)
    np.testing.assert_array_equal(short.prequential_loss_, long.prequential_loss_)
    if params.get("inference") and n_rows > 1:  # There are too few samples otherwise.
        tables = zip(*(np.atleast_1d(coefficient_table(model)) for model in (short, long)), strict=True)
        for of_short, of_long in tables:
            np.testing.assert_array_equal(of_short.covariance, of_long.covariance)
    assert (short.n_updates_, short.n_iter_) == (long.n_updates_, long.n_iter_)


@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant", "eta0": 0.01}], ids=str)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_a_chunk_that_is_not_finite_is_refused_and_changes_nothing(kind, params):
    first, second, third = chunks(3, np.float64, 3)
    model, twin = kind(**params), kind(**params)
    for each in (model, twin):
        each.partial_fit(*first).partial_fit(*second)
    for place in range(3):
        X, y = third[0].copy(), third[1].copy()
        (X[place], y[:])[place == 2][...] = np.nan if place else np.inf
        with pytest.raises(ValueError, match=r"contains (NaN|infinity)"):
            model.partial_fit(X, y)
    np.testing.assert_array_equal(model.partial_fit(*third).coef_, twin.partial_fit(*third).coef_)
    assert model.recent_loss_ == twin.recent_loss_


def with_value(array, value):
    """A copy of an array with this value in the middle."""
    array = array.copy()
    array.flat[array.size // 2] = value
    return array


BAD = {
    "missing value": lambda X, y: (with_value(X, np.nan), y),
    "infinite target": lambda X, y: (X, with_value(y, np.inf)),
    "far too large": lambda X, y: (with_value(X, 1e300), y),
    "target far too large": lambda X, y: (X, with_value(y, 1e300)),
    "fewer targets": lambda X, y: (X, y[:-1]),
    "more targets": lambda X, y: (X, np.c_[y, y]),
    "fewer weights": lambda X, y: (X, y, np.ones(len(y) - 1)),
    "negative weights": lambda X, y: (X, y, -np.ones(len(y))),
    "fewer columns": lambda X, y: (X[:, 1:], y),
    "sparse": lambda X, y: (sparse.csr_matrix(with_value(X, np.nan)), y),
}


@pytest.mark.filterwarnings("ignore:.*which changed nothing:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant", "eta0": 0.01}], ids=str)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_the_saved_form_after_a_failed_call_is_that_before(kind, params, bad):
    model = kind(**params)
    for X, y in chunks(7, np.float64, 3):
        model.partial_fit(X, y)
    before = pickle.dumps(model)
    try:
        model.partial_fit(*BAD[bad](X, y))
    except ValueError:
        pass
    else:
        # What the descent itself finds to be too large is a warning.
        assert bad.endswith("too large")
    assert pickle.dumps(model) == before


def test_two_threads_on_copies_of_a_model():
    """A copy shares what the model knows of the last chunk; nothing that one call writes is read by another."""
    rows = [*chunks(4, np.float64, 300)]
    start = MiniBatchSGDRegressor(batch_size=2).partial_fit(*rows[0]).partial_fit(*rows[1])
    copies = [copy.copy(start) for _ in range(4)]

    def learn(model):
        for chunk in rows:
            model.partial_fit(*chunk)
        return model.coef_

    with ThreadPoolExecutor(4) as pool:
        coefs = [*pool.map(learn, copies)]
    alone = learn(copy.copy(start))
    for coef in coefs:
        np.testing.assert_array_equal(coef, alone)


def test_calls_of_two_threads_at_once_are_reported():
    """The second call begins and ends while the first one converts its targets."""
    X, y = np.arange(20.0)[:, None], np.arange(20.0)
    model = OnlineSGDRegressor(random_state=0).partial_fit(X, y)

    class Targets(list):
        """Targets that take some time."""

        def __array__(self, dtype=None, copy=None):
            if not done:
                done.append(True)
                with ThreadPoolExecutor(1) as pool:
                    pool.submit(model.partial_fit, X, y).result()
            return np.array(list(self), dtype)

    done: list[bool] = []
    with pytest.warns(RuntimeWarning, match="another thread"):
        model.partial_fit(X, Targets(y))
    assert model.n_samples_seen_ == 40
    model.partial_fit(X, y)
