"""Rows beyond all proportion: the minimum is found beside them, with losses whose curvature varies; against SciPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import REGRESSORS, covering
from scipy import sparse
from scipy.optimize import minimize, root
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import HuberRegressor

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.losses import LOSSES

FAR = {"y": 1e6, "X": 1e3}


def far_rows(loss, n_rows, where, dtype=np.float64, seed=0):
    """Return a problem of five columns, with one entry of y or X that is far from all others."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 5))
    z = X @ (0.4 * rng.standard_normal(5))
    if loss in ("poisson", "tweedie"):
        y = rng.poisson(np.exp(z)).astype(dtype)
    elif loss == "gamma":
        y = rng.gamma(2.0, np.exp(z) / 2.0).astype(dtype)
    else:
        y = (z + rng.standard_t(3, size=n_rows)).astype(dtype)
    if where == "y":
        y[n_rows // 3] = FAR["y"]
    if where == "X":
        X[n_rows // 3, 1] *= FAR["X"]
    return X.astype(dtype), y


def objectives(loss, X, y, model):
    """Return the mean losses of a model, of the minimum by SciPy, and of the mean of the targets."""
    X, y, loss = X.astype(float), y.astype(float), LOSSES[loss]()
    mean, spread = X.mean(axis=0), X.std(axis=0)
    Z = np.column_stack([(X - mean) / spread, np.ones(len(X))])

    def objective(w):
        return np.mean(loss.value(y, Z @ w)), Z.T @ loss.gradient(y, Z @ w) / len(y)

    constant = np.append(np.zeros(5), loss.link(y.mean()) if hasattr(loss, "link") else np.median(y))
    at = np.append(model.coef_ * spread, model.intercept_ + model.coef_ @ mean)
    with np.errstate(all="ignore"):
        found = [
            minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 3000, "gtol": 1e-12}).fun
            for start in (constant, at)
        ]
    return objective(at)[0], min(found), objective(constant)[0]


@covering(
    {
        "kind": REGRESSORS,
        "loss": ["gamma", "poisson", "tweedie", "epsilon_insensitive", "squared_epsilon_insensitive"],
        "where": [*FAR],
    },
    strength=2,
)
def test_the_minimum_beside_a_row_beyond_all_proportion(kind, loss, where):
    """Of few rows, which are all read in each step of a full batch; no warning, which would be an error."""
    X, y = far_rows(loss, 300, where)
    value, least, constant = objectives(loss, X, y, kind(loss, random_state=0).fit(X, y))
    assert value - least <= 2e-3 * constant


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
def test_a_row_that_a_sample_of_many_does_not_show(kind, dtype):
    X, y = far_rows("gamma", 32_768, "y", dtype, seed=1)
    value, least, constant = objectives("gamma", X, y, kind("gamma", random_state=0).fit(X, y))
    assert value - least <= 1e-3 * constant


@pytest.mark.parametrize("seed", range(2))
def test_a_step_that_a_row_in_a_flat_loss_would_stop(seed):
    """The row lies in the tube where the loss is 0, so that its curvature is seen only from outside of it."""
    X, y = far_rows("epsilon_insensitive", 30, "X", seed=seed)
    value, least, constant = objectives("epsilon_insensitive", X, y, BatchGDRegressor("epsilon_insensitive").fit(X, y))
    assert value - least <= 5e-3 * constant


def test_noisy_steps_that_diverge_come_back():
    """One row makes the loss of steps on batches infinite, but not that of the steps on all rows that follow."""
    X, y = far_rows("tweedie", 4000, "X", np.float32)
    model = MiniBatchSGDRegressor("tweedie", random_state=0).fit(X, y)
    value, least, constant = objectives("tweedie", X, y, model)
    assert model.stop_reason_ == "tol"
    assert value - least <= 1e-3 * constant


@pytest.mark.parametrize("loss", ["huber", "logcosh", "poisson", "gamma", "expectile"])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_smooth_losses_end_at_the_minimum(kind, loss):
    """Also without rows beyond all proportion: to far less than the noise of an average."""
    X, y = far_rows(loss, 500, None, seed=3)
    value, least, constant = objectives(loss, X, y, kind(loss, random_state=0).fit(X, y))
    assert value - least <= 1e-5 * constant


@pytest.mark.parametrize("loss", ["logcosh", "huber"])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_little_progress_that_grows_is_no_end(kind, loss):
    """The far row is met at first; from there the loss of all others falls slowly, then faster and faster."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(20_000, 5))
    y = X @ [1.0, 2.0, 3.0, 4.0, 0.0] + rng.normal(size=20_000)
    X[7, 1], y[7] = 1e4, 0.0
    value, least, constant = objectives(loss, X, y, kind(loss, random_state=0).fit(X, y))
    assert value - least <= 1e-3 * constant


@covering(
    {
        "as_input": {"dense": np.asarray, "csr": sparse.csr_matrix},
        "n_rows, x, y": [(500, 1e6, 1e5), (500, 1e9, 1e7), (20_000, 1e9, 1e7)],
        "loss, enough": [("huber", 0.1), ("absolute_error", 0.5)],
        "kind": REGRESSORS,
    },
    strength=2,
)
def test_a_row_far_in_a_column_and_in_its_target(kind, loss, enough, n_rows, x, y, as_input):
    """It determines the coefficient of its column, and no step passes its kink: within a share of standard errors."""
    X, targets = far_rows(loss, n_rows, None)
    X[7, 1], targets[7] = x, y
    through = targets - X[:, 1] * (y / x)
    others = np.delete(X, 1, axis=1)
    start = HuberRegressor(alpha=0.0).fit(np.delete(others, 7, axis=0), np.delete(through, 7))
    model = kind(loss, random_state=0).fit(as_input(X), targets)
    formula, Z = LOSSES[loss](), np.column_stack([others, np.ones(n_rows)])

    def mean_loss(w):
        return np.mean(formula.value(through, Z @ w))

    # With that coefficient fixed, which is an upper bound for the minimum.
    first = np.append(start.coef_, start.intercept_)
    least = minimize(mean_loss, first, method="Powell", options={"xtol": 1e-8, "ftol": 1e-12}).fun
    value = np.mean(formula.value(targets, X @ model.coef_ + model.intercept_))
    assert value - least <= enough**2 * 6 / (2 * n_rows)


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize("far", [1e14, -1e14])
@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_one_target_that_the_columns_follow(loss, far, kind):
    """However far it is, the minimum meets it, if no other sample has entries in a column. It is not met in silence."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    X[:, 1] = 0.0
    X[7, 1], y[7] = 1.0, far
    with pytest.warns(ConvergenceWarning, match="a target is so far from the others"):
        model = kind(loss, random_state=0).fit(X, y)
    assert model.stop_reason_ != "tol"


@pytest.mark.parametrize("loss", ["huber", "absolute_error"])
def test_one_target_that_the_columns_do_not_follow(loss):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200, 2)), rng.normal(size=200)
    y[7] = 1e14
    model = BatchGDRegressor(loss).fit(X, y)
    assert abs(model.predict(X)).max() < 5.0
    assert model.stop_reason_ == "tol"


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize("far", [1e11, -1e11])
@pytest.mark.parametrize("quantile", [0.9, 0.99])
def test_a_quantile_that_follows_one_target(kind, far, quantile):
    """It is 1 of 10: the best constant is the target itself, or a line through it has a lower loss."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(10, 1)), rng.normal(size=10)
    y[7] = far
    with pytest.warns(ConvergenceWarning, match="a target is so far from the others"):
        model = kind("quantile", quantile=quantile if far > 0.0 else 1.0 - quantile, random_state=0).fit(X, y)
    assert model.stop_reason_ == "stalled"


@pytest.mark.parametrize("loss", ["huber", "logcosh"])
@pytest.mark.parametrize("weight", [None, 1e-3])
def test_one_target_does_not_shrink_the_steps_of_a_ridge(loss, weight):
    """The penalty counts in units of the curvature of the loss, in which one target counts for little."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 3)) * [1.0, 10.0, 0.1]
    y, s, alpha, formula = X @ [1.0, 0.3, 4.0] + rng.standard_normal(500), np.ones(500), 0.01, LOSSES[loss]()
    y[7], s[7] = 1e8, weight or 1.0

    def slope(w):
        slopes = s / s.sum() * formula.gradient(y, X @ w[:3] + w[3])
        return np.append(slopes @ X + alpha * w[:3], slopes.sum())

    peer = root(slope, np.zeros(4), tol=1e-12).x
    model = MiniBatchSGDRegressor(loss, penalty="l2", alpha=alpha, average=True, random_state=0)
    model.fit(X, y, None if weight is None else s)
    assert_allclose(model.predict(X), X @ peer[:3] + peer[3], atol=0.2)
