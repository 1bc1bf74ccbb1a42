"""Streams whose parameters change: they lead to the minimum of the objective of now, and say what they forget."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import covering
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso, PoissonRegressor, QuantileRegressor

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.inference import coefficient_table
from sklearn_sgd.penalties import Box

N, SIZES = 12_000, [50, 1000]
TRUTH = [1.0, -1.0, 0.5, 2.0]


def rows(seed=0):
    random = np.random.default_rng(seed)
    X = random.standard_normal((N, 4))
    return X, X @ TRUTH + random.standard_normal(N)


def counts():
    X, _ = rows()
    return X, np.random.default_rng(1).poisson(np.exp(0.3 * X @ TRUTH)).astype(float)


def going_on(model, X, y, size, **params):
    """Learn one half, change parameters, and learn the other half."""
    for start in range(0, N, size):
        model.partial_fit(X[start : start + size], y[start : start + size])
        if start + size == N // 2:
            model.set_params(**params)
    return model


# Standard deviations of 1 of columns and noise: the error of coefficients on half of the rows, with a factor.
NEAR = 5.0 / np.sqrt(N / 2)

HARMLESS = {
    "average": ({"average": False}, {"average": "auto"}),
    "schedule": ({"learning_rate": "constant", "eta0": 0.01}, {"learning_rate": "auto"}),
    "optimizer": ({"learning_rate": "constant", "optimizer": "adam"}, {"learning_rate": "auto", "optimizer": "sgd"}),
    "half_life": ({"half_life": 100.0}, {"half_life": None}),
    "batch_size": ({"batch_size": 256}, {"batch_size": 8}),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("change", HARMLESS)
@pytest.mark.filterwarnings("ignore:.*eta0")
def test_parameters_of_the_descent(change, size):
    """A new average counts what the former one remembers: it ended up to 90 standard errors away."""
    X, y = rows()
    before, after = HARMLESS[change]
    with warnings.catch_warnings(action="error", category=ConvergenceWarning):
        model = going_on(MiniBatchSGDRegressor("huber", **before), X, y, size, **after)
    assert_allclose(model.coef_, TRUTH, atol=NEAR)


PENALTIES = {
    "off": ({"penalty": "l2", "alpha": 0.5}, {"penalty": None, "alpha": 1e-4}),
    "smaller": ({"penalty": "l2", "alpha": 0.5}, {"alpha": 1e-6}),
    "positive": ({"positive": True}, {"positive": False}),
    "l1": ({"penalty": "l1", "alpha": 0.5}, {"penalty": None, "alpha": 1e-4}),
}


@covering(
    {
        "change": [*PENALTIES],
        "size": SIZES,
        "as_input": {"dense": np.asarray, "csr": sparse.csr_array, "float32": np.float32},
    }
)
def test_another_penalty(change, size, as_input):
    X, y = rows()
    X = as_input(X)
    before, after = PENALTIES[change]
    with pytest.warns(ConvergenceWarning, match=r"The penalty was .* and is now .* half_life") as found:
        model = going_on(MiniBatchSGDRegressor("huber", **before), X, y.astype(X.dtype), size, **after)
    assert len(found) == 1
    assert_allclose(model.coef_, TRUTH, atol=NEAR)


@pytest.mark.parametrize("regressor", [MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_counts_with_another_penalty_as_scikit_learn(regressor):
    X, y = counts()
    with pytest.warns(ConvergenceWarning, match=r"was NoPenalty\(\) and is now L2\(alpha=1.0\)"):
        model = going_on(regressor("poisson"), X, y, 1000, penalty="l2", alpha=1.0)
    assert_allclose(model.coef_, PoissonRegressor(alpha=1.0).fit(X, y).coef_, atol=0.05)


def test_an_alpha_that_falls_a_little_forgets_nothing():
    """As a prior does, whose weight falls with the number of samples."""
    X, y = rows()
    model = MiniBatchSGDRegressor("huber", penalty="l2", alpha=1e-3)
    with warnings.catch_warnings(action="error", category=ConvergenceWarning):
        for start in range(0, N, 100):
            model.set_params(alpha=1.0 / (start + 1000)).partial_fit(X[start : start + 100], y[start : start + 100])
    assert_allclose(model.coef_, TRUTH, atol=3.0 / np.sqrt(N))


@pytest.mark.parametrize("size", SIZES)
def test_moments_need_no_warning(size):
    X, y = rows()
    with warnings.catch_warnings(action="error", category=ConvergenceWarning):
        model = going_on(MiniBatchSGDRegressor(penalty="l2", alpha=0.5), X, y, size, penalty="l1", alpha=0.1)
    assert_allclose(model.coef_, Lasso(alpha=0.1).fit(X, y).coef_, atol=1e-3)


@pytest.mark.parametrize("size", SIZES)
def test_another_quantile(size):
    X, y = rows()
    with pytest.warns(ConvergenceWarning, match="earlier samples count no more"):
        model = going_on(MiniBatchSGDRegressor("quantile", quantile=0.9), X, y, size, quantile=0.2)
    exact = QuantileRegressor(quantile=0.2, alpha=0.0, solver="highs-ipm").fit(X[N // 2 :], y[N // 2 :])
    assert_allclose(model.coef_, exact.coef_, atol=NEAR)
    assert model.intercept_ == pytest.approx(exact.intercept_, abs=NEAR)


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_standard_errors_after_another_loss_are_those_of_the_samples_since(size, saved):
    X, y = rows()
    model = MiniBatchSGDRegressor("squared_error", inference=True)
    for start in range(0, N // 2, size):
        model.partial_fit(X[start : start + size], 10.0 * y[start : start + size])
    model = pickle.loads(pickle.dumps(model)) if saved else model
    model.set_params(loss="huber")
    X, y = X[N // 2 :], y[N // 2 :]
    with pytest.warns(ConvergenceWarning, match="The loss was"):
        model.partial_fit(X[:size], y[:size])
    for start in range(size, N // 2, size):
        model.partial_fit(X[start : start + size], y[start : start + size])
    twin = MiniBatchSGDRegressor("huber", inference=True)
    for start in range(0, N // 2, size):
        twin.partial_fit(X[start : start + size], y[start : start + size])
    assert_allclose(model.coef_, twin.coef_, atol=0.5 / np.sqrt(N))
    table, other = coefficient_table(model), coefficient_table(twin)
    assert table.n_samples == len(y)
    assert_allclose(table.std_err, other.std_err, rtol=0.1)


@pytest.mark.parametrize(("before", "now"), [("l1", None), (None, "l1")])
def test_directions_of_another_kind_are_made_at_once(before, now):
    """Steps by a matrix and by its diagonal are compiled apart; a stream went on with the former kind for a while."""
    X, y = rows()
    alphas = {"l1": 0.1, None: 1e-4}
    model = MiniBatchSGDRegressor("huber", penalty=before, alpha=alphas[before], half_life=1e5).partial_fit(X, y)
    model.set_params(penalty=now, alpha=alphas[now])
    for start in range(0, 400, 50):
        model.partial_fit(X[start : start + 50], y[start : start + 50])
        assert model._states[0].step.preconditioner.is_full == (now is None)


@pytest.mark.parametrize("p", [3, 1200])
def test_bounds_that_change_are_noticed(p):
    """Arrays are compared in full, and named shortly."""
    X = np.random.default_rng(0).standard_normal((200, p))
    high = np.full(p, 9.0)
    model = MiniBatchSGDRegressor("huber", penalty=Box(-9.0, high)).partial_fit(X, X[:, 0])
    high = high.copy()
    high[p // 2] = -1.0
    with pytest.warns(ConvergenceWarning, match="penalty was Box") as caught:
        model.set_params(penalty=Box(-9.0, high)).partial_fit(X, X[:, 0])
    assert all(len(str(each.message)) < 400 for each in caught)
