"""What ends a fit, and what is kept: given rows to score on, a time budget, an interrupt, lines for each epoch."""

import re

import internals
import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose, assert_array_equal
from problems import AUTO, EARLY, FIXED, REGRESSORS, covering, csr, held_out, linear, mini, ridge, some_weights, theta
from scipy.optimize import minimize
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import SquaredEpsilonInsensitive

# Few steps, so some fits are rightly said to end worse than a constant.
few_steps = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

all_kinds = pytest.mark.parametrize("kind", REGRESSORS)


# Progress of the objective


def test_slow_progress_of_full_batches_adds_up():
    """Few rows are outside of the tube, and each step changes which."""
    rng = np.random.default_rng(619)
    X = rng.standard_t(2, size=(400, 60))
    z = (X - X.mean(axis=0)) / X.std(axis=0) @ rng.normal(size=60) / 8
    y = 3 * z + 5 + rng.standard_t(3, size=400) * 0.3
    epsilon = float(np.quantile(abs(y), 0.9))

    def losses(w):
        return SquaredEpsilonInsensitive(epsilon).value(y, X @ w).mean()

    def slopes(w):
        return X.T @ SquaredEpsilonInsensitive(epsilon).gradient(y, X @ w) / 400

    model = BatchGDRegressor("squared_epsilon_insensitive", epsilon=epsilon, fit_intercept=False).fit(X, y)
    least = minimize(losses, model.coef_, jac=slopes, options={"gtol": 1e-9}).fun
    assert losses(model.coef_) - least <= 0.5 * model.tol * losses(np.zeros(60))


@pytest.mark.parametrize("form", [np.asarray, csr])
@pytest.mark.parametrize(("alpha", "rate", "tol"), [(0.1, 0.05, 1e-3), (1.0, 0.05, 1e-5), (10.0, 0.01, 1e-5)])
def test_progress_of_full_batches_is_of_loss_and_penalty_at_the_same_parameters(form, alpha, rate, tol):
    X, y = linear(60, 4)
    y = y - y.mean()
    w, best, stalled, n_epochs = np.zeros(4), np.inf, 0, 0
    while stalled < 5:
        residual = X @ w - y
        objective = 0.5 * np.mean(residual**2) + 0.5 * alpha * w @ w
        stalled = 0 if objective < best - tol * 0.5 * np.mean(y**2) else stalled + 1
        best, n_epochs = min(best, objective), n_epochs + 1
        w = w - rate * (X.T @ residual / len(y) + alpha * w)
    model = BatchGDRegressor(
        penalty="l2", alpha=alpha, learning_rate="constant", eta0=rate, tol=tol, epochs=1000, fit_intercept=False
    ).fit(form(X), y)
    assert model.n_iter_ == n_epochs
    assert_allclose(model.coef_, w, rtol=1e-9)


# One epoch, where final steps lead to the minimum


PEERS = {
    None: lambda n: LinearRegression(),
    "l2": lambda n: Ridge(0.1 * n),
    "elasticnet": lambda n: ElasticNet(0.1, l1_ratio=0.5, tol=1e-12, max_iter=100_000),
}


@covering(
    {
        "kind": [MiniBatchSGDRegressor, OnlineSGDRegressor],
        "penalty": list(PEERS),
        "form": [np.asarray, csr],
        "dtype": [np.float64, np.float32],
        "weighted": [False, True],
        "targets": [1, 3],
        "n": [50, 4000],
    },
    strength=2,
)
def test_one_epoch_and_the_final_step_are_least_squares(kind, penalty, form, dtype, weighted, targets, n):
    X, y = linear(n, noise=2.0)
    X = (X * 10.0 ** np.arange(-2, 3) + 1.0 if penalty is None else X).astype(dtype)
    Y = np.column_stack([y, y**2, -y])[:, :targets].astype(dtype)
    weight = some_weights(n) if weighted else None
    params = {} if penalty is None else {"penalty": penalty, "alpha": 0.1}
    if penalty == "elasticnet":
        params["l1_ratio"] = 0.5
    model = kind(**params, random_state=0).fit(form(X), Y, weight)
    total = n if weight is None else weight.sum()
    assert (model.n_iter_, model.stop_reason_, len(model.loss_curve_)) == (1, "tol", 1)
    assert model.n_samples_seen_ == n
    for target in range(targets):
        peer = PEERS[penalty](total).fit(X.astype(float), Y[:, target], weight)
        found = model.predict(X).reshape(n, -1)[:, target]
        assert_allclose(found, peer.predict(X.astype(float)), atol=2e-4 * Y[:, target].std())


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_many_rows_need_a_part_of_an_epoch(kind):
    X, y = linear(40_000, noise=2.0)
    model = kind(random_state=0).fit(X, y)
    assert (model.n_iter_, model.n_samples_seen_) == (1, 5_000 // model.batch_size_ * model.batch_size_)
    assert_allclose(theta(model), ridge(X, y), rtol=1e-10)
    assert kind(random_state=0, shuffle=False).fit(X, y).n_samples_seen_ == 40_000


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize("params", [{"tol": None}, {"average": True}, {"early_stopping": True}, {"average": False}])
def test_what_asks_for_more_than_one_epoch(kind, params):
    X, y = linear(400, noise=2.0)
    model = kind(**params, epochs=7, random_state=0).fit(X, y)
    assert model.n_iter_ > 1
    assert params.get("tol", 1) is not None or (model.n_iter_, model.stop_reason_) == (7, "epochs")


# Rows to score on, given by the user


@few_steps
@covering({"batch_size": [1, 7, None], "average": [False, True], "form": [np.asarray, csr]}, strength=2)
def test_given_rows_are_as_rows_held_out(spy_on, batch_size, average, form):
    X, y = linear(n=120)
    weight = some_weights(120)
    model = mini(batch_size, average=average, **EARLY)
    held = held_out(spy_on, model, 120)
    train = np.setdiff1d(np.arange(120), held)
    drawn = clone(model).fit(form(X), y, weight)
    given = {"X_val": form(X[held]), "y_val": y[held], "sample_weight_val": weight[held]}
    model.fit(form(X[train]), y[train], weight[train], **given)
    score = r2_score(y[held], model.predict(X[held]), sample_weight=weight[held])
    assert max(model.validation_scores_) == pytest.approx(score, rel=1e-12)
    if batch_size is None:
        assert_allclose(theta(model), theta(drawn), rtol=1e-10)
        assert_allclose(model.validation_scores_, drawn.validation_scores_, rtol=1e-10)


@few_steps
@all_kinds
def test_all_rows_train_when_others_are_given(kind):
    X, y = linear()
    alone = kind(**FIXED).fit(X, y)
    watched = kind(early_stopping=True, **FIXED).fit(X, y, X_val=X, y_val=y)
    assert watched.n_samples_seen_ == alone.n_samples_seen_ == 180
    assert_array_equal(watched.loss_curve_, alone.loss_curve_)
    assert len(watched.validation_scores_) == 3


def test_best_parameters_are_kept_and_score_is_of_what_predicts():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 50)), rng.standard_normal(60)
    X_val, y_val = rng.standard_normal((40, 50)), rng.standard_normal(40)
    model = mini(1, early_stopping=True, average=True).set_params(epochs=30).fit(X, y, X_val=X_val, y_val=y_val)
    best = int(np.argmax(model.validation_scores_))
    assert best < 29
    assert model.score(X_val, y_val) == pytest.approx(model.validation_scores_[best], rel=1e-12)
    shorter = clone(model).set_params(epochs=best + 1).fit(X, y, X_val=X_val, y_val=y_val)
    assert_array_equal(theta(shorter), theta(model))


def test_lists_frames_and_other_precisions_are_taken():
    X, y = linear()
    model = mini(early_stopping=True).set_params(epochs=5)
    expected = clone(model).fit(X, y, X_val=X[:20], y_val=y[:20]).validation_scores_
    scores = (
        clone(model).fit(X, y, X_val=X[:20].tolist(), y_val=y[:20].tolist(), sample_weight_val=2).validation_scores_
    )
    assert_allclose(scores, expected, rtol=1e-12)
    single = clone(model).fit(X.astype(np.float32), y, X_val=X[:20], y_val=y[:20])
    assert single.coef_.dtype == np.float32
    assert_allclose(single.validation_scores_, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"X_val": [[0.0] * 5] * 2}, "y_val"),
        ({"y_val": [0.0] * 2}, "X_val"),
        ({"sample_weight_val": [1.0] * 2}, "X_val"),
        ({"X_val": [[0.0] * 4] * 2, "y_val": [0.0] * 2}, "4 features.*expecting 5"),
        ({"X_val": [[0.0] * 5] * 2, "y_val": [0.0] * 3}, "inconsistent"),
        ({"X_val": [[0.0] * 5], "y_val": [0.0]}, "minimum of 2"),
        ({"X_val": [[np.nan] * 5] * 2, "y_val": [0.0] * 2}, "NaN"),
        ({"X_val": [[0.0] * 5] * 2, "y_val": [0.0] * 2, "sample_weight_val": [0.0, 0.0]}, "sample_weight_val"),
        ({"X_val": [[0.0] * 5] * 2, "y_val": [0.0] * 2, "sample_weight_val": [1.0, -1.0]}, "sample_weight_val"),
        ({"X_val": [[0.0] * 5] * 2, "y_val": [0.0] * 2, "sample_weight_val": [1.0]}, "sample_weight_val"),
    ],
)
@all_kinds
def test_given_rows_that_are_wrong(kind, given, match):
    model = kind(early_stopping=True, **FIXED)
    with pytest.raises(ValueError, match=match):
        model.fit(*linear(), **given)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"X_val": [[0.0] * 5], "y_val": [0.0]}, r"X_val or y_val .* 1 sample"),
        ({"X_val": [["a"] * 5] * 2, "y_val": [0.0] * 2}, "X_val or y_val .* could not convert"),
        ({"X_val": [[0.0] * 5] * 2, "y_val": [-1.0] * 2}, "y_val must be >= 0 for loss='poisson'"),
    ],
)
def test_errors_of_given_rows_name_them(given, match):
    X, y = linear()
    with pytest.raises(ValueError, match=match):
        BatchGDRegressor("poisson", early_stopping=True).fit(X, abs(y), **given)


@few_steps
@pytest.mark.parametrize(("loss", "of"), [("squared_error", np.square), ("absolute_error", np.abs)])
@pytest.mark.parametrize("weighted", [False, True])
def test_given_targets_that_are_all_the_same(loss, of, weighted):
    """No constant is worse than them, so scores compare with the first epoch; the fit goes on while they rise."""
    rng = np.random.default_rng(0)
    coef, X = np.array([1.0, -2.0, 0.5]), rng.standard_normal((300, 3))
    # Samples of which all have the target 2.
    X_val = rng.standard_normal((40, 3))
    X_val += np.outer(2.0 - X_val @ coef, coef) / (coef @ coef)
    y_val, given = np.full(40, 2.0), {}
    counted = 40 - weighted
    if weighted:
        y_val[-1], given["sample_weight_val"] = 9.0, np.append(np.ones(39), 0.0)
    params = {"learning_rate": "constant", "eta0": 0.01, "average": False, "tol": 1e-4, "random_state": 0}
    fits = []
    for epochs in (1, 1000):
        model = MiniBatchSGDRegressor(loss, early_stopping=True, epochs=epochs, **params)
        with pytest.warns(ConvergenceWarning, match="y_val is the same for all samples"):
            fits.append(model.fit(X, X @ coef, X_val=X_val, y_val=y_val, **given))
    first, last = (of(model.predict(X_val) - 2.0)[:counted].mean() for model in fits)
    assert max(fits[1].validation_scores_) == pytest.approx(1.0 - last / first, rel=1e-9)
    assert_allclose(fits[1].coef_, coef, atol=0.05)


def test_given_rows_without_early_stopping_are_refused():
    X, y = linear()
    with pytest.raises(ValueError, match="early_stopping"):
        MiniBatchSGDRegressor().fit(X, y, X_val=X, y_val=y)


def test_given_rows_pass_through_a_pipeline():
    X, y = linear(n=200)
    X = 1000 * X + 5
    model = MiniBatchSGDRegressor(random_state=0, early_stopping=True, learning_rate="constant", eta0=0.01)
    with config_context(enable_metadata_routing=True):
        routed = clone(model).set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(StandardScaler(), routed, transform_input=["X_val"])
        pipeline.fit(X[:150], y[:150], X_val=X[150:], y_val=y[150:])
    assert max(pipeline[-1].validation_scores_) == pytest.approx(pipeline.score(X[150:], y[150:]), rel=1e-12)
    assert pipeline.score(X[150:], y[150:]) > 0.99


# A time budget


class Clock:
    """Seconds pass, one for each look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


@few_steps
@all_kinds
def test_time_budget(kind, monkeypatch):
    """Fit looks at its start, and after each epoch."""
    X, y = linear()
    clock = Clock()
    internals.with_clock(monkeypatch, clock)
    model = kind(**FIXED | {"epochs": 10}, time_budget=4.0).fit(X, y)
    assert model.n_iter_ == 4
    assert model.stop_reason_ == "time_budget"
    assert_array_equal(theta(model), theta(kind(**FIXED | {"epochs": 4}).fit(X, y)))
    assert model.set_params(time_budget=None).fit(X, y).n_iter_ == 10
    assert model.set_params(time_budget=100.0).fit(X, y).stop_reason_ == "epochs"


@few_steps
def test_time_budget_leaves_at_least_one_epoch():
    assert OnlineSGDRegressor(**FIXED, time_budget=1e-9).fit(*linear()).n_iter_ == 1


# Ctrl-C


class InterruptAt:
    """A schedule in which the user loses patience."""

    def __init__(self, epoch):
        self.epoch, self.calls = epoch, 0

    def __call__(self, t):
        self.calls += 1
        if self.calls == self.epoch:
            raise KeyboardInterrupt
        return np.full(t.shape, 0.02)


@few_steps
@all_kinds
def test_interrupt_keeps_the_epochs_completed(kind):
    X, y = linear()
    schedule = InterruptAt(4)
    model = kind(**used(**FIXED | {"epochs": 10, "learning_rate": schedule}), average=True)
    with pytest.warns(ConvergenceWarning, match=r"[Ii]nterrupted.*3 of 10"):
        model.fit(X, y)
    assert model.stop_reason_ == "interrupted"
    expected = kind(**FIXED, average=True).fit(X, y)
    for name in ("coef_", "intercept_", "n_iter_", "n_updates_", "loss_curve_", "prequential_loss_"):
        assert_array_equal(getattr(model, name), getattr(expected, name))
    assert_array_equal(theta(model.partial_fit(X, y)), theta(expected.partial_fit(X, y)))


class InterruptInside:
    """A loss in the middle of whose pass the user loses patience: some batches of the epoch have been learned."""

    def __init__(self, call):
        self.call, self.calls = call, 0

    def value(self, y, p):
        return 0.5 * (p - y) ** 2

    def gradient(self, y, p):
        self.calls += np.ndim(p) > 0
        if self.calls == self.call:
            raise KeyboardInterrupt
        return p - y


def test_interrupt_inside_an_epoch():
    X, y = linear()
    calls = InterruptInside(-1)
    mini(10, loss=calls).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="[Ii]nterrupted"):
        model = mini(10, loss=InterruptInside(calls.calls - 2)).set_params(epochs=4).fit(X, y)
    assert model.n_iter_ == 2
    assert_array_equal(theta(model), theta(mini(10, loss=InterruptInside(-1)).set_params(epochs=2).fit(X, y)))


def test_interrupt_keeps_the_best_parameters():
    X, y = linear()
    model = BatchGDRegressor(**used(**FIXED | {"epochs": 9, "learning_rate": InterruptAt(5)}), early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="[Ii]nterrupted"):
        model.fit(X, y, X_val=X, y_val=y)
    assert model.score(X, y) == pytest.approx(max(model.validation_scores_), rel=1e-12)
    assert len(model.validation_scores_) == 4


# Lines


@all_kinds
def test_lines_have_epoch_loss_rate_and_score(kind, capsys):
    X, y = linear()
    fitted = kind(verbose=1, early_stopping=True, **AUTO, random_state=0).fit(X, y, X_val=X, y_val=y)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == fitted.n_iter_ == 3
    for number, line in enumerate(lines):
        match = re.fullmatch(rf"{kind.__name__}: epoch +(\d+)  loss (\S+)  rate (\S+)  validation R² (\S+)", line)
        epoch, loss, _, score = map(float, match.groups())
        assert epoch == number + 1
        assert loss == pytest.approx(fitted.loss_curve_[number], rel=1e-5)
        assert score == pytest.approx(fitted.validation_scores_[number], abs=1e-4)
