"""Every optimizer of the package, by discovery."""

from itertools import product

import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose, assert_array_equal
from problems import FIXED, REGRESSORS, covering, csr, holey, linear, some_weights, theta
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.linear_model import Lasso, LinearRegression, Ridge

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import LOSSES, Expectile
from sklearn_sgd.optimizers import FTRL, OPTIMIZERS, SGD

# Those that remember each row, and are for fit.
REDUCED = [name for name, kind in OPTIMIZERS.items() if hasattr(kind(), "refreshes_table")]

# Few steps, so some fits are rightly said to end worse than a constant.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


FORMS = [np.asarray, csr]


@pytest.fixture(params=OPTIMIZERS)
def name(request):
    return request.param


@pytest.fixture
def optimizer(name):
    return OPTIMIZERS[name]()


def test_reaches_the_minimum(name, optimizer):
    w, target = np.zeros(3), np.array([1.0, -2.0, 0.5])
    m, v = np.zeros(3), np.zeros(3)
    for t in range(1, 20_001):
        rate = {"adagrad": 1.0, "adadelta": 1.0, "ftrl": 1.0}.get(name, min(0.05, 10.0 / t))
        direction, rate, m, v = optimizer.step(w - target, 0.0, w, m, v, rate, t)
        w = w - rate * direction
    assert_allclose(w, target, atol=1e-3)


def test_scalar_is_array(optimizer):
    g, pull, w = np.array([1.0, -2.0]), np.array([0.25, -0.5]), np.array([2.0, -1.0])
    m, v = np.array([0.5, 0.25]), np.array([0.1, 0.2])
    both = [np.broadcast_to(answer, 2) for answer in optimizer.step(g, pull, w, m, v, 0.1, 3)]
    for i in range(2):
        assert_allclose([answer[i] for answer in both], optimizer.step(g[i], pull[i], w[i], m[i], v[i], 0.1, 3), 1e-15)


def test_moments_are_those_kept(optimizer):
    answers = {}
    for m, v in [(0.5, 0.25), (0.5, 7.0), (3.0, 0.25)]:
        d, rate, *_ = optimizer.step(1.0, 0.25, 2.0, m, v, 0.1, 3)
        answers[m, v] = float(d), float(rate)
    uses = [answers[0.5, 0.25] != answers[3.0, 0.25], answers[0.5, 0.25] != answers[0.5, 7.0]]
    assert uses == [optimizer.moments > 0, optimizer.moments > 1]


def test_dtype_kept(optimizer):
    half = np.full(3, 0.5, dtype=np.float32)
    d, rate, m, v = optimizer.step(half, half, half, half, half, np.float32(0.1), 3)
    assert (half - rate * d).dtype == np.float32
    assert np.asarray(m).dtype == np.asarray(v).dtype == np.float32


def test_name_is_instance(name, optimizer):
    X, y = linear()
    by_name = MiniBatchSGDRegressor(optimizer=name, **FIXED).fit(X, y)
    by_instance = MiniBatchSGDRegressor(optimizer=optimizer, **FIXED).fit(X, y)
    assert_array_equal(theta(by_name), theta(by_instance))


def test_rate_of_zero_goes_nowhere(optimizer):
    X, y = linear()
    model = MiniBatchSGDRegressor(optimizer=optimizer, **used(**FIXED | {"learning_rate": np.zeros_like}))
    assert_allclose(theta(model.fit(X, y)), 0.0, atol=1e-20)


def test_sgd_follows_the_gradient():
    assert SGD().step(2.0, 1.0, 3.0, 0.5, 0.25, 0.1, 1) == (3.0, 0.1, 0.5, 0.25)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_the_automatic_step_takes_no_optimizer(kind):
    X, y = linear()
    for name in OPTIMIZERS:
        model = kind(optimizer=name)
        if name == "sgd" or name in REDUCED:
            model.fit(X, y)
            continue
        for call in (model.fit, model.partial_fit):
            with pytest.raises(ValueError, match=f"optimizer='{name}'.*learning_rate"):
                call(X, y)
        assert not hasattr(model, "coef_")


@pytest.mark.parametrize("optimizer", [OPTIMIZERS["adagrad"](), OPTIMIZERS["rmsprop"](0.9), OPTIMIZERS["rmsprop"](0.0)])
@pytest.mark.parametrize("size", [1, 16])
def test_columns_without_entries_rest(optimizer, size):
    """On sparse rows an update touches the columns of its batch; the formula for single coordinates gives the same."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 40)) * (rng.random((200, 40)) < 0.05)
    y = X @ rng.standard_normal(40) + rng.standard_normal(200)
    model = MiniBatchSGDRegressor(
        optimizer=optimizer, learning_rate="constant", eta0=0.05, batch_size=size, shuffle=False, tol=None, epochs=3
    )
    Z, w, m = np.column_stack([X, np.ones(200)]), np.zeros(41), np.zeros(41)
    for t, start in enumerate([*range(0, 200, size)] * 3, start=1):
        rows, target = Z[start : start + size], y[start : start + size]
        d, h, m, _ = optimizer.step(rows.T @ (rows @ w - target) / len(rows), 0.0, w, m, 0.0, 0.05, t)
        w = w - h * d
    assert_allclose(theta(model.fit(csr(X), y)), w, rtol=1e-9, atol=1e-12)


def torch_optimizer(torch, name, weights, bias, rate, decay):
    groups = [{"params": [weights], "weight_decay": decay}, {"params": [bias]}]
    classes, options = torch.optim, {"lr": rate, "weight_decay": 0.0}
    return {
        "sgd": lambda: classes.SGD(groups, **options),
        "momentum": lambda: classes.SGD(groups, momentum=0.9, **options),
        "nesterov": lambda: classes.SGD(groups, momentum=0.9, nesterov=True, **options),
        "adagrad": lambda: classes.Adagrad(groups, **options),
        "rmsprop": lambda: classes.RMSprop(groups, **options),
        "adam": lambda: classes.Adam(groups, **options),
        "adamw": lambda: classes.AdamW(groups, **options),
        "adadelta": lambda: classes.Adadelta(groups, **options),
    }[name]()


@covering(
    {
        "name": sorted(OPTIMIZERS.keys() - {"ftrl", *REDUCED}),
        "batch_size, form": product([1, 7, 60], FORMS),
        "penalty": [None, "l2"],
    }
)
def test_torch(name, batch_size, penalty, form):
    torch = pytest.importorskip("torch")
    X, y = holey()
    rate, alpha = (0.5 if name in ("adadelta", "adagrad") else 0.01), 0.1
    model = MiniBatchSGDRegressor(**used(penalty=penalty, alpha=alpha), batch_size=batch_size, optimizer=name)
    model.set_params(**FIXED | {"eta0": rate}).fit(form(X), y)
    w = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    b = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch_optimizer(torch, name, w, b, rate, alpha if penalty else 0.0)
    rows, targets = torch.from_numpy(X), torch.from_numpy(y)
    for _ in range(FIXED["epochs"]):
        for start in range(0, len(y), batch_size):
            optimizer.zero_grad()
            residual = rows[start : start + batch_size] @ w + b - targets[start : start + batch_size]
            (0.5 * residual.square().mean()).backward()
            optimizer.step()
    expected = np.append(w.detach().numpy(), b.detach().numpy())
    assert_allclose(theta(model), expected, rtol=1e-9, atol=1e-12)


def follow_the_leader(X, y, rate, l1, epochs, beta=1.0):
    """McMahan et al., algorithm 1, row by row, with its sums z and n; the last column is an intercept without L1."""
    X, thresholds = np.column_stack([X, np.ones(len(X))]), np.append(np.full(X.shape[1], l1), 0.0)
    z, n = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for _ in range(epochs):
        for x, target in zip(X, y, strict=True):
            w = -np.sign(z) * np.maximum(0.0, np.abs(z) - thresholds) * rate / (beta + np.sqrt(n))
            g = (w @ x - target) * x
            z += g - (np.sqrt(n + g * g) - np.sqrt(n)) / rate * w
            n += g * g
    return -np.sign(z) * np.maximum(0.0, np.abs(z) - thresholds) * rate / (beta + np.sqrt(n))


@pytest.mark.parametrize("form", [np.asarray, csr], ids=["dense", "csr"])
@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_ftrl_is_the_published_algorithm(alpha, form):
    X, y = holey()
    model = MiniBatchSGDRegressor(optimizer=FTRL(), penalty="l1", alpha=alpha, batch_size=1)
    model.set_params(**FIXED | {"eta0": 0.5}).fit(form(X), y)
    expected = follow_the_leader(X, y, 0.5, alpha, FIXED["epochs"])
    assert_allclose(theta(model), expected, rtol=1e-9, atol=1e-12)
    assert_array_equal(model.coef_ == 0, expected[:-1] == 0)


@covering({"name": [*OPTIMIZERS], "batch_size": [1, 7, 60]})
def test_passes_agree(name, batch_size, on_arrays):
    X, y = holey()
    model = MiniBatchSGDRegressor(optimizer=name, penalty="elasticnet", alpha=0.3, l1_ratio=0.5, batch_size=batch_size)
    model.set_params(**FIXED).fit(X, y)
    compiled = theta(model)
    assert_allclose(theta(model.fit(csr(X), y)), compiled, rtol=1e-9, atol=1e-12)
    assert_allclose(theta(on_arrays(model, X, y)), compiled, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.keys() - REDUCED))
def test_clock_and_moments_go_on(name):
    X, y = linear()
    model = MiniBatchSGDRegressor(optimizer=name, batch_size=7, **FIXED)
    whole = theta(model.fit(X, y))
    parts = MiniBatchSGDRegressor(optimizer=name, batch_size=7, **FIXED)
    for _ in range(FIXED["epochs"]):
        parts.partial_fit(X, y)
    assert_array_equal(theta(parts), whole)


# Variance reduction


def reduced_twin(X, y, weight, order, rate, alpha, anew):
    """Algorithm of the papers, one row or batch after the other, with a table of all rows' gradients."""
    X = np.column_stack([X, np.ones(len(X))])
    weight, ridge = weight / weight.mean(), np.append(np.full(X.shape[1] - 1, alpha), 0.0)
    w, table = np.zeros(X.shape[1]), None
    for epoch in order:
        if table is None or anew:
            table = ((X @ w - y) * weight)[:, None] * X
        mean = table.mean(axis=0)
        for rows in epoch:
            new = ((X[rows] @ w - y[rows]) * weight[rows])[:, None] * X[rows]
            g = (new - table[rows]).mean(axis=0) + mean
            if not anew:
                table[rows] = new
                mean = table.mean(axis=0)
            w = w - rate * (g + ridge * w)
    return w


@covering({"name": REDUCED, "batch_size": [1, 7], "form": FORMS}, strength=2)
def test_is_the_published_algorithm(name, batch_size, form):
    X, y = holey()
    weight = some_weights(60)
    model = MiniBatchSGDRegressor(optimizer=name, penalty="l2", alpha=0.1, batch_size=batch_size)
    model.set_params(**FIXED).fit(form(X), y, weight)
    epoch = np.split(np.arange(60), range(batch_size, 60, batch_size))
    expected = reduced_twin(X, y, weight, [epoch] * FIXED["epochs"], 0.02, 0.1, OPTIMIZERS[name]().refreshes_table)
    assert_allclose(theta(model), expected, rtol=1e-10)


@covering({"name": REDUCED, "batch_size": [1, 16], "form": FORMS}, strength=2)
def test_reaches_the_minimiser_of_raw_columns_at_a_linear_rate(name, batch_size, form):
    """The excess over ridge's closed form falls by the same factor again and again, down to rounding."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6)) * 10.0 ** np.arange(-2, 4) + 100.0
    y, weight = X @ 10.0 ** -np.arange(-2.0, 4) + rng.normal(size=400), some_weights(400)
    exact = Ridge(alpha=1e-3 * weight.sum()).fit(X, y, weight)

    def objective(model):
        return np.average((model.predict(X) - y) ** 2, weights=weight) / 2 + 5e-4 * model.coef_ @ model.coef_

    excess = []
    for epochs in (10, 20, 30):
        model = MiniBatchSGDRegressor(
            optimizer=name, penalty="l2", alpha=1e-3, batch_size=batch_size, epochs=epochs, tol=None, random_state=0
        )
        excess.append(objective(model.fit(form(X), y, weight)) / objective(exact) - 1)
    assert excess[0] < 1e-3
    assert excess[1] < max(1e-2 * excess[0], 1e-12)
    assert excess[2] < max(1e-2 * excess[1], 1e-12)
    model.set_params(epochs=100).fit(form(X), y, weight)
    assert_allclose(model.coef_, exact.coef_, rtol=1e-8)
    assert model.intercept_ == pytest.approx(exact.intercept_, rel=1e-8)


@covering({"loss": ["logcosh", "expectile", "squared_epsilon_insensitive"], "name": REDUCED})
def test_other_smooth_losses(name, loss):
    """Against the minimum that SciPy finds."""
    X, y = linear()
    params = used(loss=loss, quantile=0.3) | {"epochs": 200, "tol": None, "random_state": 0}
    model = OnlineSGDRegressor(optimizer=name, **params).fit(X, y)
    formulas = Expectile(0.3) if loss == "expectile" else LOSSES[loss]()

    def objective(w):
        p = X @ w[:-1] + w[-1]
        slopes = formulas.gradient(y, p) / len(y)
        return np.mean(formulas.value(y, p)), np.append(slopes @ X, slopes.sum())

    best = minimize(objective, theta(model) + 0.1, jac=True, method="BFGS", options={"gtol": 1e-12})
    assert objective(theta(model))[0] <= best.fun * (1 + 1e-8)


@pytest.mark.parametrize("name", REDUCED)
def test_lasso(name):
    X, y = linear()
    exact = Lasso(alpha=0.5, tol=1e-12).fit(X, y)
    model = MiniBatchSGDRegressor(optimizer=name, penalty="l1", alpha=0.5, batch_size=4, epochs=300, tol=None)
    assert_allclose(model.fit(X, y).coef_, exact.coef_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", REDUCED)
def test_stops_by_itself_where_the_minimum_is_near(name):
    X, y = linear()
    model = OnlineSGDRegressor(optimizer=name, tol=1e-12, random_state=0).fit(X, y)
    assert model.stop_reason_ == "tol"
    assert_allclose(model.predict(X), LinearRegression().fit(X, y).predict(X), atol=1e-4)
    other = OnlineSGDRegressor("logcosh", optimizer=name, tol=1e-12, random_state=0).fit(X, y)
    assert other.stop_reason_ == "tol"
    further = clone(other).set_params(tol=None, epochs=300).fit(X, y)
    assert_allclose(other.predict(X), further.predict(X), atol=1e-4)


@pytest.mark.parametrize("name", REDUCED)
def test_all_rows_at_once_have_no_variance(name):
    X, y = linear()
    for params in ({}, FIXED):
        assert_array_equal(
            theta(BatchGDRegressor(optimizer=name, **params).fit(X, y)), theta(BatchGDRegressor(**params).fit(X, y))
        )


@pytest.mark.parametrize("name", REDUCED)
def test_is_for_fit_and_smooth_losses(name):
    X, y = linear()
    for optimizer in (name, OPTIMIZERS[name]()):
        with pytest.raises(AttributeError) as refused:
            OnlineSGDRegressor(optimizer=optimizer).partial_fit(X, y)
        assert "needs the same samples again" in str(refused.value.__cause__)
    with pytest.raises(ValueError, match=f"optimizer='{name}' needs a learning_rate for loss='quantile'"):
        OnlineSGDRegressor("quantile", optimizer=name).fit(X, y)
    OnlineSGDRegressor("quantile", optimizer=name, **FIXED).fit(X, y)
