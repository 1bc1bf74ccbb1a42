"""What a fit says of itself at its end: divergence, averages, constants, what is missing; and what it does not say."""

import re
import warnings
from fractions import Fraction
from itertools import product

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import LINKED, REGRESSORS, covering, csr, in_domain, linear, theta
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_wine, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, PoissonRegressor
from sklearn.metrics import (
    d2_absolute_error_score,
    d2_pinball_score,
    d2_tweedie_score,
    mean_poisson_deviance,
    mean_tweedie_deviance,
    r2_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.diagnostics import gradient_noise
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.optimizers import OPTIMIZERS

all_kinds = pytest.mark.parametrize("kind", REGRESSORS)
some_warn = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def fit_of(model, *args, **kwargs):
    """The model, fitted, and what it warned of, without its name."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message=".*has no effect")
        model.fit(*args, **kwargs)
    assert all(warning.category is ConvergenceWarning for warning in caught)
    return model, [str(warning.message).partition(": ")[2] for warning in caught]


def excess(model, X, y):
    """By how much the mean squared error exceeds that of least squares, in units of the variance."""
    columns = np.column_stack([X, np.ones(len(X))])
    best = np.mean((y - columns @ np.linalg.lstsq(columns, y, rcond=None)[0]) ** 2)
    return (np.mean((y - model.predict(X)) ** 2) - best) / np.var(y)


# Streams: a call that diverges changes nothing


def learned(model):
    """All that later calls depend on, or users see."""
    names = "coef_", "intercept_", "n_iter_", "n_updates_", "n_samples_seen_", "loss_curve_", "learning_rate_"
    return [np.array(getattr(model, name)) for name in (*names, "prequential_loss_", "recent_loss_")]


STEPS = {
    "auto": {},
    "auto, no average": {"average": False},
    "ridge": {"penalty": "l2"},
    "lasso": {"penalty": "l1"},
    "constant": {"learning_rate": "constant"},
    "average": {"learning_rate": "invscaling", "average": True},
    "momentum": {"learning_rate": "constant", "optimizer": "momentum"},
    "adam": {"learning_rate": "constant", "optimizer": "adam"},
    "adagrad": {"learning_rate": "constant", "optimizer": "adagrad"},
}


@covering(
    {
        "kind": REGRESSORS,
        "form": [np.asarray, csr],
        "dtype, size": [(np.float32, 1e20), (np.float32, 3e38), (np.float64, 1e200)],
        "params": STEPS,
        "targets": [1, 2],
    },
    strength=2,
)
@pytest.mark.parametrize("calls", [0, 5])
def test_row_out_of_range_changes_nothing_and_the_next_ones_are_learned(
    kind, form, dtype, size, params, targets, calls
):
    X, y = linear(n=150)
    X, y = X.astype(dtype), np.column_stack([y, -y])[:, :targets].astype(dtype)
    y = y[:, 0] if targets == 1 else y
    model, twin = kind(**params), kind(**params)
    chunks = [(form(X[start : start + 10]), y[start : start + 10]) for start in range(0, 150, 10)]
    for chunk in chunks[:calls]:
        model.partial_fit(*chunk)
        twin.partial_fit(*chunk)
    wrong = chunks[calls][1].copy()
    wrong.flat[7] = size
    attributes = dict(vars(model))
    with pytest.warns(ConvergenceWarning, match="finite range in partial_fit, which changed nothing") as caught:
        model.partial_fit(chunks[calls][0], wrong)
    assert len(caught) == 1
    assert vars(model) == attributes
    assert hasattr(model, "coef_") == (calls > 0)
    for chunk in chunks[calls:]:
        model.partial_fit(*chunk)
        twin.partial_fit(*chunk)
    for one, other in zip(learned(model), learned(twin), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
def test_large_but_in_range_is_learned(kind):
    """No number is lost where a loss is linear."""
    X, y = linear(n=200)
    X, y = X.astype(np.float32), y.astype(np.float32)
    model = kind("huber", epsilon=1.0)
    wrong = np.append(y[:9], np.float32(1e20))
    model.partial_fit(X[:10], y[:10]).partial_fit(X[:10], wrong)
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.9


# The parameters that predict are judged


@all_kinds
def test_average_is_judged_and_not_the_last_step(kind):
    X, y = linear(n=200)
    model = kind(average=True, learning_rate="constant", eta0=0.1, epochs=20, random_state=0)
    model, [message] = fit_of(model, X, y, coef_init=np.full(5, 1e6))
    assert model.score(X, y) < -1e6
    assert "worse than the best constant" in message
    # Where steps have arrived, and only there, the average is what is wrong.
    arrived = model.loss_curve_[-1] < np.var(y) / 2
    assert ("average" in message.partition("Remedy")[2]) == arrived == (kind is OnlineSGDRegressor)


@pytest.mark.parametrize("form", [np.asarray, csr])
def test_a_sample_confirms_an_average_that_the_epochs_bound(form):
    """A bad start is in the average: then all samples are read once more, and the fit gives the warning."""
    X, y = linear(n=10_000)
    model = OnlineSGDRegressor(average=True, learning_rate="constant", tol=None, epochs=1, random_state=0)
    good, messages = fit_of(model, form(X), y)
    assert not messages
    assert good.score(form(X), y) > 0.9
    assert 1.0 <= good.n_readings_ < 1.5
    bad, [message] = fit_of(clone(model), form(X), y, coef_init=np.full(5, 1e6))
    assert bad.score(form(X), y) < 0.0
    assert "worse than the best constant" in message
    assert bad.n_readings_ >= 2.0


def test_fit_that_the_constant_replaces_has_not_reached_the_minimum():
    rng = np.random.default_rng(29)
    X, y, weight = rng.standard_cauchy((40, 2)), rng.poisson(2.0, 40), 10.0 ** rng.uniform(-8, 8, 40)
    model, [message] = fit_of(BatchGDRegressor("tweedie"), X, y, sample_weight=weight)
    assert "replaced" in message
    assert model.stop_reason_ == "stalled"
    # By scikit-learn's loss, a coefficient lowers that of the constant.
    constant, step = np.log(model.predict(X)), 1e-3 * X[:, 0] / np.ptp(X[:, 0])
    losses = [
        mean_tweedie_deviance(y, np.exp(constant + k * step), sample_weight=weight, power=1.5) for k in (-1, 0, 1)
    ]
    assert min(losses) < losses[1]


def test_average_that_is_behind_gives_a_warning():
    X, y = linear(n=200)
    params = {"learning_rate": "constant", "eta0": 0.02, "epochs": 6, "random_state": 0}
    model, [message] = fit_of(OnlineSGDRegressor(average=True, **params), X, y, coef_init=np.full(5, 50.0))
    assert 0 < model.score(X, y) < 0.9
    assert message.startswith("The average, which predict uses, is worse than the last updates")
    later, messages = fit_of(OnlineSGDRegressor(average=900, **params), X, y, coef_init=np.full(5, 50.0))
    assert not messages
    assert later.score(X, y) > 0.99


@pytest.mark.parametrize("loss", ["cauchy", "epsilon_insensitive"])
def test_constant_in_the_place_of_the_automatic_step_gives_a_warning(loss, monkeypatch):
    """On targets of which one is beyond all others some fits end worse than a constant."""
    rng, fall_backs, number = np.random.default_rng(0), internals.count_fall_backs(monkeypatch), 0
    for seed, batch_size in product(range(4), (1, 16, None)):
        X, y = rng.standard_normal((100, 5)), np.append(np.zeros(99), 1e9)
        model = MiniBatchSGDRegressor(loss, batch_size=batch_size, average=True, epochs=10, random_state=seed)
        model, messages = fit_of(model, X, y)
        replaced = len(fall_backs) > number
        assert replaced == any("replaced" in message for message in messages)
        assert not replaced or not model.coef_.any()
        number = len(fall_backs)
    assert number


@all_kinds
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_rounding_is_not_worse_than_a_constant(kind, loss):
    """One row, or targets that are all the same, leave a constant nothing to be better by."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = 10.0 ** rng.integers(-3, 4) * rng.standard_normal((1, 4)), rng.standard_normal(1)
        coef = rng.standard_normal(4)
        model = kind(loss, warm_start=True).fit(X, y, coef_init=coef, intercept_init=float(y[0] - X[0] @ coef))
        assert_allclose(model.fit(X, y).coef_, coef)
    X = rng.standard_normal((50, 3)) + 1e3
    for params in ({}, {"coef_init": np.zeros(3), "intercept_init": 0.1}):
        assert_allclose(kind(loss, warm_start=True).fit(X, np.full(50, 0.1), **params).predict(X), 0.1)


# Early stopping, by the loss of the model


def pinball(y, p, sample_weight=None):
    return d2_pinball_score(y, p, alpha=0.9, sample_weight=sample_weight)


def by_power(power):
    return lambda y, p, sample_weight=None: d2_tweedie_score(y, p, power=power, sample_weight=sample_weight)


SCORES = {
    "squared_error": r2_score,
    "absolute_error": d2_absolute_error_score,
    "quantile": pinball,
    "poisson": by_power(1),
    "gamma": by_power(2),
    "tweedie": by_power(1.5),
}


@some_warn
@covering(
    {
        "kind": REGRESSORS,
        "loss": [*SCORES],
        "learning_rate": ["auto", "constant"],
        "form": [np.asarray, csr],
        "weighted": [False, True],
    },
    strength=2,
)
def test_validation_scores_are_those_of_scikit_learn(kind, loss, learning_rate, form, weighted):
    X, y = linear(n=120)
    y = in_domain(LOSSES[loss](), y)
    weight = np.random.default_rng(1).integers(1, 4, 40) if weighted else None
    asymmetry = {"quantile": 0.9} if loss in ("quantile", "expectile") else {}
    model = kind(loss, **asymmetry, learning_rate=learning_rate, early_stopping=True, random_state=0)
    given = {"X_val": form(X[80:]), "y_val": y[80:], "sample_weight_val": weight}
    model.fit(form(X[:80]), y[:80], **given)
    expected = SCORES[loss](y[80:], model.predict(X[80:]), sample_weight=weight)
    assert max(model.validation_scores_) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_validation_scores_of_several_targets_are_means():
    X, y = linear(n=120)
    Y = np.column_stack([y, np.sin(y)])
    model = BatchGDRegressor("absolute_error", early_stopping=True, epochs=1, tol=None)
    model.fit(X, Y, X_val=X[80:], y_val=Y[80:])
    assert model.validation_scores_[0] == pytest.approx(d2_absolute_error_score(Y[80:], model.predict(X[80:])))


@all_kinds
def test_early_stopping_keeps_a_quantile(kind):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 3))
    y = X @ [1, 2, 3] + rng.exponential(size=3000)
    model = kind("quantile", quantile=0.9, early_stopping=True, random_state=0).fit(X, y)
    assert np.mean(y < model.predict(X)) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("loss", ["logcosh", "absolute_error", "quantile"])
def test_descent_starts_where_there_are_numbers(loss):
    """Of columns that are nearly the same, as few float32 digits show, in fewer rows than columns."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X = (1000 + 1e-3 * rng.standard_normal((5, 12))).astype(np.float32)
        y = (5 + rng.standard_normal(5)).astype(np.float32)
        for intercept, average in product((False, True), (False, True)):
            model, messages = fit_of(BatchGDRegressor(loss, fit_intercept=intercept, average=average, epochs=2), X, y)
            assert np.isfinite(model.predict(X)).all()
            assert not any("finite range" in message for message in messages)


@all_kinds
def test_score_is_not_lost_in_a_large_mean(kind):
    X, y = linear(n=200, noise=2.0)
    model = kind(early_stopping=True, random_state=0)
    far, near = (clone(model).fit(X, y + far, X_val=X[:50], y_val=y[:50] + far) for far in (1e9, 0.0))
    assert_allclose(far.validation_scores_[-1], near.validation_scores_[-1], atol=1e-6)


@pytest.mark.parametrize("form", [np.asarray, csr])
def test_gradient_noise_is_not_lost_in_a_large_mean(form):
    rng = np.random.default_rng(0)
    X, y = np.ones((50, 2)), 1e9 + np.round(rng.standard_normal(50), 3)
    X[::5, 1] = 0.0
    model = BatchGDRegressor(learning_rate="constant", eta0=1e-30).partial_fit(X, y)
    slopes = [-Fraction(value) for value in y]
    gradients = [[s, s * int(x), s] for s, x in zip(slopes, X[:, 1], strict=True)]
    means = [sum(column) / 50 for column in zip(*gradients, strict=True)]
    exact = sum((g - mean) ** 2 for row in gradients for g, mean in zip(row, means, strict=True)) / 50
    # A product with zeros has a variance of its own, beside which those of the noise are as nothing.
    assert gradient_noise(model, form(X), y).variance == pytest.approx(float(exact), rel=1e-12)
    X[:, 1] = 1.0
    assert gradient_noise(model, form(X), y).variance == pytest.approx(3 * np.var(y - 1e9), rel=1e-6)


@all_kinds
def test_mean_of_iterates_is_scored(kind):
    """The automatic step on all rows averages, too, where asked to."""
    X, y = linear(n=200)
    model = kind(average=True, early_stopping=True, random_state=0).fit(X, y, X_val=X, y_val=y)
    assert model.score(X, y) > 0.9


# Which way to go

DIABETES = load_diabetes(return_X_y=True, scaled=False)
REGRESSION = make_regression(1000, 5, noise=10, random_state=0)


@some_warn
@pytest.mark.parametrize(
    "params", [{}, {"average": True}, {"early_stopping": True}, {"optimizer": "momentum"}], ids=str
)
def test_growth_is_not_progress_by_tol(params):
    model, [message] = fit_of(BatchGDRegressor(learning_rate="constant", random_state=0, **params), *DIABETES)
    assert model.stop_reason_ == "diverged"
    assert np.isfinite(theta(model)).all()
    assert "smaller eta0" in message
    assert "larger" not in message


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (BatchGDRegressor(learning_rate="constant"), "epochs"),
        (BatchGDRegressor(learning_rate="constant", early_stopping=True), "epochs"),
        (MiniBatchSGDRegressor(learning_rate="constant", eta0=1e-6), "tol"),
        (MiniBatchSGDRegressor(learning_rate="constant", eta0=1e-9), "tol"),
        (MiniBatchSGDRegressor(learning_rate="constant", eta0=1e-6, early_stopping=True), "early_stopping"),
        (OnlineSGDRegressor(learning_rate="adaptive", eta0=1e-7), "tol"),
        (OnlineSGDRegressor(learning_rate="constant", eta0=1e-7, average=True), "tol"),
        (OnlineSGDRegressor(learning_rate="constant", eta0=1e-6, optimizer="adam"), "tol"),
        (OnlineSGDRegressor("huber", learning_rate="constant", eta0=1e-6), "tol"),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", [np.asarray, csr])
def test_steps_that_are_too_short_give_a_warning(model, reason, form):
    X, y = REGRESSION
    model, [message] = fit_of(clone(model).set_params(random_state=0), form(X), y)
    assert model.stop_reason_ == reason
    assert model.score(X, y) < 0.9
    assert "larger eta0" in message
    assert "smaller eta0" not in message
    assert ("smaller tol" in message) == (reason != "epochs")


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"learning_rate": lambda t: 1e-6 / t}, "larger rates of the schedule"),
        ({"learning_rate": "optimal", "alpha": 1e5}, "smaller alpha"),
        ({"learning_rate": "invscaling", "eta0": 1e-6}, "larger eta0"),
        ({"learning_rate": "constant", "eta0": 1e-6, "optimizer": "adagrad"}, "with optimizer='sgd'"),
    ],
)
def test_remedy_is_one_of_the_parameters_in_use(params, word):
    _, [message] = fit_of(MiniBatchSGDRegressor(random_state=0, **params), *REGRESSION)
    assert word in message


def test_short_steps_from_afar_are_not_called_long():
    """Worse than a constant, and on the way down."""
    X, y = linear(n=200)
    for epochs in (1, 3, 20):
        model = BatchGDRegressor(learning_rate="constant", epochs=epochs)
        _, [message] = fit_of(model, X, y, coef_init=np.full(5, 1e6))
        assert "still falls" in message
        assert "larger eta0" in message
    _, [message] = fit_of(OnlineSGDRegressor(learning_rate="constant", eta0=1.0, epochs=1, random_state=0), X, y)
    assert "smaller eta0" in message


@all_kinds
@pytest.mark.parametrize(
    "params", [{}, {"penalty": "l2"}, {"average": True}, {"loss": "huber"}, {"early_stopping": True}]
)
def test_defaults_are_silent(kind, params):
    wine = load_wine()
    for X, y in (DIABETES, REGRESSION, linear(n=300), (wine.data[:, :-1], wine.data[:, -1])):
        _, messages = fit_of(kind(random_state=0, **params), X, y)
        assert not messages
    # Noise alone, which no column explains.
    rng = np.random.default_rng(0)
    _, messages = fit_of(kind(random_state=0, **params), rng.standard_normal((2000, 3)), rng.standard_normal(2000))
    assert not messages


@covering(
    {
        "kind": REGRESSORS,
        "form": [np.asarray, csr],
        "params": [{}, {"loss": "huber"}, {"early_stopping": True}, {"learning_rate": "constant", "eta0": 1e-9}],
        "weighted": [False, True],
    },
    strength=2,
)
def test_many_rows_are_judged_by_some(kind, form, params, weighted):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((25_000, 3))
    y = X @ [1, 2, 3] + 5 + rng.standard_normal(25_000)
    weight = rng.integers(0, 3, 25_000) if weighted else None
    model, messages = fit_of(kind(random_state=0, n_iter_no_change=3, **params), form(X), y, weight)
    assert len(messages) == ("eta0" in params)
    assert ("eta0" in params) == (model.score(X, y) < 0.5)


@all_kinds
def test_all_requested_epochs_give_no_warning(kind):
    _, messages = fit_of(kind(learning_rate="constant", eta0=1e-3, tol=None, epochs=20, random_state=0), *REGRESSION)
    assert not messages


@pytest.mark.parametrize("eta0", [0.005, 0.05, 0.2])
@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_noise_alone_is_silent(kind, eta0):
    X, y = linear(n=300, noise=1.0)
    for seed in range(5):
        for patience in (5, 200):
            model = kind(learning_rate="constant", eta0=eta0, n_iter_no_change=patience, random_state=seed)
            _, messages = fit_of(model, X, y)
            assert not messages


def test_warnings_are_true():
    """Of fits with schedules at random: what is called far is, and nearly all that is far gives a warning."""
    far, quiet = [], []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((200, 4)) @ rng.standard_normal((4, 4)) + rng.choice([0.0, 2.0])
        y = X @ rng.standard_normal(4) + rng.choice([0.1, 1.0]) * rng.standard_normal(200)
        kind, rate = rng.choice(REGRESSORS), rng.choice(["constant", "invscaling", "adaptive"])
        model = kind(learning_rate=str(rate), eta0=10.0 ** rng.uniform(-5, -1), random_state=0)
        model, messages = fit_of(model, X, y)
        near = [message for message in messages if re.search("far|were run, while", message)]
        (far if near else quiet if not messages else []).append(excess(model, X, y))
    assert len(far) > 20 < len(quiet)
    assert min(far) > 1e-3
    assert np.quantile(quiet, 0.9) < 0.05


def test_noise_falls_seldom():
    rng = np.random.default_rng(0)
    curves = rng.standard_normal((20_000, 6))
    steady = np.mean([len(internals.latest_falls(curve, noise=True)) > 0 for curve in curves])
    # Five numbers in the order of their size, the first of six left out.
    assert steady == pytest.approx(1 / 120, rel=0.2)
    assert np.mean([internals.slopes_down(curve) for curve in rng.standard_normal((5000, 50))]) < 2e-3
    assert internals.slopes_down(rng.standard_normal(50) - np.arange(50) / 2)


# Validation samples


@all_kinds
@pytest.mark.parametrize("params", [{}, {"loss": "huber", "epsilon": 10.0}])
def test_samples_that_were_not_transformed_give_a_warning(kind, params):
    X, y = DIABETES
    model = make_pipeline(StandardScaler(), kind(early_stopping=True, random_state=0, **params))
    step = model.steps[-1][0]
    scaled = StandardScaler().fit(X[:300]).transform(X[300:])
    for given, silent in ((X[300:], False), (scaled, True)):
        _, messages = fit_of(model, X[:300], y[:300], **{f"{step}__X_val": given, f"{step}__y_val": y[300:]})
        assert silent == (not messages)
        assert silent or "X_val transformed as X is" in messages[0]


@all_kinds
def test_later_samples_are_not_unlike(kind):
    """Of targets that hardly vary on the validation samples, and are not met before the fit has found the slope."""
    X = np.linspace(0, 1, 60)[:, None]
    y = 3 * X[:, 0] + 1
    _, messages = fit_of(kind(early_stopping=True, random_state=0), X[:50], y[:50], X_val=X[50:], y_val=y[50:])
    assert not messages


# NumPy's own warnings


def random_fit(seed):
    """A tiny fit of anything, and its data; some rates are far too long."""
    rng = np.random.default_rng(seed)

    def pick(*values):
        return values[rng.integers(len(values))]

    rows, columns, targets, dtype = pick(2, 5, 20), pick(1, 3, 8), pick(0, 0, 2), pick(np.float32, np.float64)
    X = pick(1.0, 1.0, 1e3) * rng.standard_normal((rows, columns))
    y = pick(1.0, 1e4) * rng.standard_normal((rows, targets) if targets else rows)
    loss, optimizer = pick(*LOSSES), pick("sgd", "sgd", *OPTIMIZERS)
    rates = "constant", "invscaling", "adaptive", "optimal", lambda t: 10.0 / t
    model = pick(*REGRESSORS)(
        loss,
        penalty=pick(None, "l2", "l1", "elasticnet"),
        alpha=pick(1e-4, 1.0, 100.0),
        learning_rate=pick("auto", *rates) if optimizer == "sgd" else pick(*rates),
        eta0=pick(0.01, 1.0, 1e3),
        optimizer=optimizer,
        average=pick("auto", True),
        epochs=pick(2, 20),
        early_stopping=rows == 20 and pick(True, False),
        positive=pick(False, False, True),
        fit_intercept=pick(True, False),
        random_state=0,
    )
    return model, pick(np.asarray, csr)(X.astype(dtype)), in_domain(LOSSES[loss](), y).astype(dtype)


def check_quiet(model, X, y):
    """No number out of range leaves a fit but in the one warning of the package; predictions are numbers."""
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        model, messages = fit_of(model, X, y)
        assert np.isfinite(model.predict(X)).all()
    assert len(messages) < 2
    assert np.isfinite(model.coef_).all()
    return messages


def test_numpy_does_not_warn():
    assert sum(len(check_quiet(*random_fit(seed))) for seed in range(250)) > 60


@pytest.mark.filterwarnings("ignore:.*runs in NumPy:RuntimeWarning")
def test_numpy_does_not_warn_where_nothing_is_compiled(monkeypatch):
    internals.without_kernels(monkeypatch)
    assert sum(len(check_quiet(*random_fit(seed))) for seed in range(40)) > 8


@pytest.mark.matrix
def test_numpy_does_not_warn_in_many_fits():
    for seed in range(250, 20_000):
        check_quiet(*random_fit(seed))


def test_the_case_that_leaked():
    X, Y = (np.random.default_rng(seed).random((20, 2), dtype=np.float32) for seed in (0, 1))
    params = {"penalty": "elasticnet", "learning_rate": "adaptive", "early_stopping": True, "eta0": 1e3}
    for loss in LINKED:
        check_quiet(OnlineSGDRegressor(loss, random_state=0, **params), X, 1.0 + Y)


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize("loss", ["huber", "absolute_error", "logcosh"])
def test_one_target_out_of_all_proportion(kind, loss):
    """A loss that is made for outliers is not thrown off by one of 1e20, in a fit or in the middle of a stream."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1000, 3))
    y = X @ [1.0, 2.0, 3.0] + 0.1 * rng.standard_normal(1000)
    far = y.copy()
    far[500] = 1e20
    stream = kind(loss)
    for start in range(0, 1000, 10):
        stream.partial_fit(X[start : start + 10], far[start : start + 10])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = stream, kind(loss, random_state=0).fit(X, far)
    # `tol` is in units of the best constant's loss, which one such target makes large: full batches stop early.
    for model, least in zip(models, (0.9, 0.3), strict=True):
        assert model.score(X, y) > least


def test_no_warning_at_the_minimum_of_many_rows():
    """The minimum of some rows is elsewhere, by more than the tolerance: most rows have hardly any loss."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((33_000, 8))
    y = rng.gamma(2.0, np.exp(0.3 * X[:, 0]) / 2.0)
    y[rng.random(len(y)) < 0.9] = 1.0
    assert BatchGDRegressor("gamma").fit(X, y).stop_reason_ == "tol"


def test_full_batches_do_not_alternate_beside_a_kink():
    """Coefficients that meet all targets exist, and are at the minimum but for the shrinkage."""
    X = np.array(
        [
            [0.42, -0.81, -0.93, -0.3, -0.34],
            [0.1, 0.24, -0.7, 0.9, -0.43],
            [0.61, 1.26, 0.33, -1.17, -0.13],
            [1.05, -0.33, 0.35, 1.12, -2.1],
            [0.63, 1.54, -1.53, -0.55, -0.73],
        ]
    )
    y, weight = np.array([10000.91, 10001.6, 10000.01, 10001.49, 10001.93]), [1.0, 0.67, 0.39, 0.85, 0.62]
    met = np.linalg.solve(X, y)
    model = BatchGDRegressor("huber", penalty="l1", alpha=3.4e-4, fit_intercept=False)
    model.fit(X, y, weight)
    losses = np.average(LOSSES["huber"]().value(y, model.predict(X)), weights=weight)
    objective = losses + 3.4e-4 * abs(model.coef_).sum()
    assert objective < (1.0 + 1e-5) * 3.4e-4 * abs(met).sum()


@pytest.mark.parametrize("form", [np.asarray, csr], ids=["dense", "csr"])
@pytest.mark.parametrize("params", [{}, {"loss": "huber", "epsilon": 1e9}, {"loss": "expectile"}])
@all_kinds
def test_targets_whose_squares_are_below_the_range_of_numbers(kind, params, form):
    X, y = linear(300, noise=0.5)
    model = LinearRegression().fit(X, y)
    rest = {"epsilon": 1e9 * 1e-120} if "epsilon" in params else {}
    small, said = fit_of(kind(random_state=0, **(params | rest)), form(X), 1e-120 * y)
    assert not said
    assert_allclose(small.coef_ / 1e-120, model.coef_, atol=1e-3)
    lost, said = fit_of(kind(random_state=0, **params), form(X), 1e-200 * y)
    assert lost.stop_reason_ == "stalled"
    assert len(said) == 1
    assert "so small that the squares" in said[0]
    # Here squares are in the range, but few quotients of them: a minimum of squares that is met without quotients is.
    edge, said = fit_of(kind(random_state=0, **params), form(X), 1e-151 * y)
    assert said or np.allclose(edge.coef_ / 1e-151, model.coef_, atol=1e-3)
    assert not fit_of(kind(random_state=0, **params), form(X), np.full(300, 1e-200))[1]
    # All slopes are 0, but not lost: the minimum is at 0.
    tube, said = fit_of(kind("epsilon_insensitive", epsilon=100.0, random_state=0), form(X), y)
    assert tube.stop_reason_ == "tol"
    assert not said


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_small_targets_in_single_precision(kind):
    X, y = (array.astype(np.float32) for array in linear(300, noise=0.5))
    _, said = fit_of(kind("huber", epsilon=1e-24, random_state=0), X, np.float32(1e-25) * y)
    assert "so small that the squares" in said[0]
    small, said = fit_of(kind("huber", epsilon=1e-10, random_state=0), X, np.float32(1e-10) * y)
    assert not said
    assert_allclose(small.coef_ / 1e-10, kind("huber", epsilon=1.0, random_state=0).fit(X, y).coef_, atol=1e-2)


@pytest.mark.parametrize("seed", [0, 3])
def test_full_batches_that_gain_little_for_long_give_a_warning(seed):
    """A few samples with large weights, far from all others: each epoch gains little, and much is missing."""
    rng = np.random.default_rng(seed)
    X = rng.standard_t(1.5, (120, 10))
    z = X @ rng.standard_normal(10)
    y = 1.0 * rng.poisson(np.exp(np.clip(z / z.std() + 0.9 * rng.standard_t(1.5, 120), -3, 6)))
    weight = 10.0 ** rng.uniform(-8, 8, 120)
    model, said = fit_of(MiniBatchSGDRegressor("poisson", random_state=0), X, y, weight)
    peer = PoissonRegressor(alpha=0.0, solver="newton-cholesky", max_iter=1000).fit(X, y, weight)
    ours, theirs, constant = (
        mean_poisson_deviance(y, predicted, sample_weight=weight)
        for predicted in (model.predict(X), peer.predict(X), np.full(120, np.average(y, weights=weight)))
    )
    assert ours <= theirs + 0.01 * constant or "the minimum is far" in said[0]
