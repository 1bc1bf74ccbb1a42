"""The same steps as others: SGDRegressor, torch, the formula, and the oracle of this folder."""

from itertools import product

import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose, assert_array_equal
from oracle import descend
from problems import FIXED, LOSSES, PAIRS, best_step, covering, csr, linear, ridge, some_weights, theta
from sklearn import __version__ as sklearn_version
from sklearn.linear_model import ElasticNet, Lasso, LinearRegression, SGDRegressor
from sklearn.utils.fixes import parse_version

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

# Few steps, so some fits are rightly said to end worse than a constant.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

COUNTS = ["n_iter_", "n_updates_", "n_samples_seen_", "batch_size_"]
MEASURES = ["learning_rate_", "loss_curve_", "prequential_loss_"]


# scikit-learn


def as_in_scikit_learn(loss):
    """Its absolute error is the epsilon-insensitive loss without a tube."""
    return {"loss": "epsilon_insensitive", "epsilon": 0.0} if loss == "absolute_error" else {"loss": loss}


def both(loss, tol=None, their_tol=None, epochs=5, **params):
    X, y = linear()
    ours = OnlineSGDRegressor(loss, epochs=epochs, shuffle=False, tol=tol, **used(**params)).fit(X, y)
    theirs = SGDRegressor(**as_in_scikit_learn(loss), max_iter=epochs, shuffle=False, tol=their_tol, **params)
    return ours, theirs.fit(X, y)


@covering(
    {
        "loss": LOSSES,
        "penalty": [None, "l2"],
        "learning_rate, average": product(["constant", "invscaling", "optimal", "adaptive"], [False, True, 100]),
    }
)
def test_sgd_regressor(loss, penalty, learning_rate, average):
    # "optimal" with less starts at rates that make finite garbage, of which no digit can be compared.
    alpha = 1.0 if learning_rate == "optimal" else 0.05
    ours, theirs = both(loss, penalty=penalty, alpha=alpha, learning_rate=learning_rate, average=average)
    assert_allclose(theta(ours), theta(theirs), rtol=1e-9)
    assert ours.n_updates_ == theirs.t_ - 1 == 300


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("p", [40, 64, 65, 150, 500])
def test_batches_of_wide_rows(p, dtype):
    """Four rows are multiplied together, in pieces; neither number divides that of the rows or columns."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((61, p)).astype(dtype), rng.standard_normal(61).astype(dtype)
    model = MiniBatchSGDRegressor(batch_size=11, learning_rate="constant", eta0=1e-3, epochs=1, tol=None, shuffle=False)
    model.fit(X, y)
    w, A = np.zeros(p + 1), np.column_stack((X, np.ones(61))).astype(float)
    for start in range(0, 61, 11):
        some, rest = A[start : start + 11], y[start : start + 11]
        w -= 1e-3 / len(rest) * some.T @ (some @ w - rest)
    assert_allclose(theta(model), w, rtol=1e-9 if dtype == np.float64 else 1e-4, atol=1e-7)


@covering({"loss": LOSSES, "penalty": [None, "l2"], "average": [False, True]})
def test_sgd_regressor_falling_rate(loss, penalty, average):
    params = {"penalty": penalty, "alpha": 0.05, "average": average, "learning_rate": "adaptive", "n_iter_no_change": 1}
    ours, theirs = both(loss, tol=1e6, their_tol=1e9, **params)
    assert_allclose(theta(ours), theta(theirs), rtol=1e-9)
    assert ours.learning_rate_ == pytest.approx(0.01 / 5**3)
    assert ours.n_iter_ == theirs.n_iter_ == 5


@pytest.mark.parametrize("eta0", [1e-2, 1e-5])
@pytest.mark.parametrize("n_iter_no_change", [1, 3])
def test_sgd_regressor_falling_rate_to_the_end(eta0, n_iter_no_change):
    params = {"learning_rate": "adaptive", "eta0": eta0, "n_iter_no_change": n_iter_no_change, "epochs": 100}
    ours, theirs = both("squared_error", tol=1e6, their_tol=1e9, penalty=None, **params)
    assert ours.n_iter_ == theirs.n_iter_ < 100
    assert ours.stop_reason_ == "tol"
    assert_allclose(theta(ours), theta(theirs), rtol=1e-9)


def test_sgd_regressor_without_intercept():
    ours, theirs = both("squared_error", penalty="l2", learning_rate="invscaling", fit_intercept=False)
    assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9)
    assert ours.intercept_ == theirs.intercept_[0] == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_sgd_regressor_partial_fit(loss):
    X, y = linear()
    ours = OnlineSGDRegressor(loss, learning_rate="invscaling")
    theirs = SGDRegressor(**as_in_scikit_learn(loss), penalty=None, shuffle=False)
    for rows in (slice(0, 7), slice(7, 8), slice(8, 60), slice(0, 60)):
        ours.partial_fit(X[rows], y[rows])
        theirs.partial_fit(X[rows], y[rows])
        assert_allclose(theta(ours), theta(theirs), rtol=1e-9)


# torch

EPSILON = 0.1
HUBER = EPSILON**2 / 2
TORCH_LOSSES = {
    "squared_error": lambda r: r.square() / 2,
    "absolute_error": lambda r: r.abs(),
    "huber": lambda r: (r.abs() <= EPSILON) * r.square() / 2 + (r.abs() > EPSILON) * (EPSILON * r.abs() - HUBER),
    "epsilon_insensitive": lambda r: (r.abs() - EPSILON).relu(),
    "squared_epsilon_insensitive": lambda r: (r.abs() - EPSILON).relu().square(),
}


@covering(
    {
        "loss": LOSSES,
        "batch_size, learning_rate": product([2, 32, None], ["constant", "invscaling"]),
        "penalty": [None, "l2"],
    }
)
def test_torch_sgd(loss, batch_size, penalty, learning_rate):
    torch = pytest.importorskip("torch")
    X, y = linear(n=71)
    params = FIXED | {"learning_rate": learning_rate, "penalty": penalty, "alpha": 0.1}
    ours = MiniBatchSGDRegressor(loss, batch_size=batch_size, **used(**params)).fit(X, y)

    layer = torch.nn.Linear(5, 1, dtype=torch.float64)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    decay = {"params": [layer.weight], "weight_decay": 0.1 if penalty else 0.0}
    optimizer = torch.optim.SGD([decay, {"params": [layer.bias]}], lr=0.02)
    power = 0.25 if learning_rate == "invscaling" else 0.0
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: (k + 1) ** -power)
    for _ in range(3):
        for rows in torch.arange(71).split(batch_size or 71):
            optimizer.zero_grad()
            residual = layer(torch.from_numpy(X)[rows])[:, 0] - torch.from_numpy(y)[rows]
            TORCH_LOSSES[loss](residual).mean().backward()
            optimizer.step()
            schedule.step()

    assert_allclose(ours.coef_, layer.weight.detach().numpy()[0], rtol=1e-10)
    assert_allclose(ours.intercept_, layer.bias.item(), rtol=1e-10)


# The formula


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("penalty", [None, "l2"])
def test_full_batch_is_the_formula(penalty, weighted):
    X, y = linear()
    s = some_weights(60) if weighted else np.ones(60)
    w, b, alpha = np.zeros(5), 0.0, 0.1 if penalty else 0.0
    for _ in range(20):
        r = X @ w + b - y
        w, b = w - 0.05 * (X.T @ (s * r) / s.sum() + alpha * w), b - 0.05 * (s @ r / s.sum())
    params = {"penalty": penalty, "learning_rate": "constant", "eta0": 0.05, "epochs": 20, "tol": None}
    params |= {"alpha": alpha} if penalty else {}
    for kind in (BatchGDRegressor, MiniBatchSGDRegressor):
        model = kind(batch_size=None, **params).fit(X, y, s if weighted else None)
        assert_allclose(theta(model), np.append(w, b), rtol=1e-12)


# The optimum


def converged(X, y, **params):
    params = used(**params) | {"learning_rate": "constant", "eta0": best_step(X), "epochs": 800, "tol": None}
    model = BatchGDRegressor(**params)
    return model.fit(X, y)


@covering({"penalty": ["l1", "elasticnet"], "alpha": [0.01, 0.3, 1.5], "positive": [False, True]}, strength=2)
def test_optimum_of_lasso_and_elastic_net(penalty, alpha, positive):
    X, y = linear(noise=2.0)
    X[:, 0] *= -1
    kind = Lasso(alpha) if penalty == "l1" else ElasticNet(alpha, l1_ratio=0.5)
    theirs = kind.set_params(tol=1e-14, max_iter=100_000, positive=positive).fit(X, y)
    ours = converged(X, y, penalty=penalty, alpha=alpha, l1_ratio=0.5, positive=positive)
    assert_allclose(theta(ours), theta(theirs), atol=1e-6)
    assert_array_equal(ours.coef_ == 0, theirs.coef_ == 0)


def test_some_of_those_optima_have_zeros():
    X, y = linear(noise=2.0)
    assert 0 < np.count_nonzero(converged(X, y, penalty="l1", alpha=1.5).coef_) < 5


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_optimum_of_ridge(alpha):
    X, y = linear()
    assert_allclose(theta(converged(X, y, penalty="l2", alpha=alpha)), ridge(X, y, alpha), rtol=1e-9)


def test_positive_alone_is_non_negative_least_squares():
    X, y = linear()
    X[:, 1] *= -1
    ours, theirs = converged(X, y, positive=True), LinearRegression(positive=True).fit(X, y)
    assert_allclose(theta(ours), theta(theirs), atol=1e-9)
    assert ours.coef_[1] == 0


# The oracle


def check_oracle(model, X, y, orders=None, sample_weight=None, **init):
    model.fit(X, y, sample_weight, **init)
    params = model.get_params()
    untold = "optimizer early_stopping validation_fraction time_budget half_life inference warm_start random_state"
    for name in [*untold.split(), "verbose"]:
        del params[name]
    expected = descend(X, y, orders, sample_weight=sample_weight, **params, **init)
    assert_allclose(theta(model), expected.theta, rtol=1e-10, atol=1e-12)
    for name in MEASURES:
        assert_allclose(getattr(model, name), getattr(expected, name), rtol=1e-10, err_msg=name)
    for name in [*COUNTS, "stop_reason_"]:
        assert getattr(model, name) == getattr(expected, name), name


@covering({"loss, penalty": PAIRS, "batch_size": [1, 7, None]})
def test_oracle_parts(loss, penalty, batch_size):
    params = FIXED | {"alpha": 0.3, "l1_ratio": 0.4, "quantile": 0.7}
    model = MiniBatchSGDRegressor(batch_size=batch_size, **used(loss=loss, penalty=penalty, **params))
    check_oracle(model, *linear())


@covering(
    {
        "batch_size": [1, 7, 20, None],
        "shuffle": [True, False, "batches"],
        "drop_last": [False, True],
        "weighted": [False, True],
    },
    strength=2,
)
def test_oracle_batches(spy_on, batch_size, shuffle, drop_last, weighted):
    X, y = linear()
    weight = np.where(np.arange(60) % 9 == 4, 0.0, some_weights(60)) if weighted else None
    model = MiniBatchSGDRegressor(
        batch_size=batch_size,
        drop_last=drop_last,
        penalty="elasticnet",
        alpha=0.1,
        average=5,
        random_state=3,
        **FIXED | {"shuffle": shuffle},
    )
    orders = spy_on(model, 60, weight).epochs(3)
    check_oracle(model, X, y, orders, weight)


@covering(
    {
        "learning_rate": ["constant", "invscaling", "optimal", "adaptive"],
        "average": [False, True, 20],
        "fit_intercept": [True, False],
    },
    strength=2,
)
def test_oracle_rates(learning_rate, average, fit_intercept):
    model = MiniBatchSGDRegressor(
        batch_size=7,
        penalty="elasticnet",
        alpha=0.5,
        average=average,
        fit_intercept=fit_intercept,
        **used(**FIXED | {"learning_rate": learning_rate, "power_t": 0.6}),
    )
    check_oracle(model, *linear())


@covering(
    {
        "loss": LOSSES,
        "learning_rate": ["constant", "adaptive"],
        "tol": [1e-3, 0.03, 1.0],
        "n_iter_no_change": [1, 3],
    },
    strength=2,
)
def test_oracle_stopping(loss, learning_rate, tol, n_iter_no_change):
    model = MiniBatchSGDRegressor(
        loss,
        batch_size=7,
        penalty="elasticnet",
        alpha=0.01,
        n_iter_no_change=n_iter_no_change,
        **FIXED | {"learning_rate": learning_rate, "tol": tol, "epochs": 60},
    )
    check_oracle(model, *linear(n=40, p=2))


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_oracle_starting_point(positive, batch_size):
    model = MiniBatchSGDRegressor(batch_size=batch_size, positive=positive, **FIXED)
    check_oracle(model, *linear(), coef_init=[5.0, 4.0, 0.01, -2.0, 1.0], intercept_init=-1.0)


# Passive-aggressive steps


@pytest.mark.skipif(parse_version(sklearn_version) < parse_version("1.9"), reason="SGDRegressor's eta0 was not yet C")
@covering(
    {
        "learning_rate": ["pa1", "pa2"],
        "penalty": [None, "l2"],
        "average": [False, 20],
        "weighted": [False, True],
        "form": [np.asarray, csr],
    },
    strength=2,
)
def test_passive_aggressive(learning_rate, penalty, average, weighted, form):
    X, y = linear()
    weight = some_weights(60) if weighted else np.ones(60)
    weight /= weight.mean()
    params = {"learning_rate": learning_rate, "eta0": 0.3, "penalty": penalty, "alpha": 0.05, "average": average}
    params |= {"loss": "epsilon_insensitive", "epsilon": 0.2, "shuffle": False, "tol": None}
    ours = OnlineSGDRegressor(epochs=3, **used(**params)).fit(form(X), y, sample_weight=weight)
    theirs = SGDRegressor(max_iter=3, **params).fit(X, y, sample_weight=weight)
    assert_allclose(theta(ours), theta(theirs), rtol=1e-9)


def test_passive_aggressive_on_arrays(on_arrays):
    X, y = linear()
    X[3] = 0
    model = OnlineSGDRegressor("epsilon_insensitive", learning_rate="pa1", eta0=0.3, epochs=3, tol=None, shuffle=False)
    compiled = theta(model.fit(X, y))
    assert_allclose(theta(on_arrays(model, X, y)), compiled, rtol=1e-12)
    assert_allclose(theta(on_arrays(model, csr(X), y)), compiled, rtol=1e-12)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (OnlineSGDRegressor("huber", learning_rate="pa1"), "'pa1' is for loss='epsilon_insensitive'"),
        (MiniBatchSGDRegressor("epsilon_insensitive", learning_rate="pa2"), "one sample.*batch_size=32"),
        (BatchGDRegressor("epsilon_insensitive", learning_rate="pa2"), "one sample.*batch_size=None"),
    ],
    ids=["loss", "batches", "all rows"],
)
def test_passive_aggressive_takes_single_rows_of_its_loss(model, message):
    X, y = linear()
    for call in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            call(X, y)
