"""Losses with kinks end at the minimum of a linear program."""

import tracemalloc
import warnings
from typing import NamedTuple

import numpy as np
import pytest
from internals import end_search_of_kinks, steps_of_interior_points, with_clock
from nist import FILIP, LONGLEY
from problems import REGRESSORS, covering
from scipy import sparse
from scipy.optimize import linprog, minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import QuantileRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.penalties import L1, Box

# Distance to the minimum, in units of the best constant's loss, that the default tolerance allows.
NEAR = 5e-4


def least_of_epsilon_insensitive(X, y, epsilon, within=(None, None)):
    """The minimum of the mean loss, by SciPy's linear program for coefficients, intercept, and excesses."""
    n, p = X.shape
    both = np.vstack([np.column_stack([X, np.ones(n)]), -np.column_stack([X, np.ones(n)])])
    rows = sparse.hstack([both, -sparse.eye(2 * n)]).tocsr()
    cost = np.append(np.zeros(p + 1), np.full(2 * n, 1.0 / n))
    bounds = [within] * p + [(None, None)] + [(0.0, None)] * (2 * n)
    return linprog(cost, rows, np.append(y, -y) + epsilon, bounds=bounds).fun


def least(name, params, X, y, weight=None):
    """The minimum by a solver of scikit-learn or SciPy, and the loss of a model."""
    formula = LOSSES[name](**params)
    if name == "epsilon_insensitive":
        return least_of_epsilon_insensitive(X, y, formula.epsilon), formula
    peer = QuantileRegressor(quantile=params.get("quantile", 0.5), alpha=0.0, solver="highs")
    found = peer.fit(X, y, sample_weight=weight).predict(X)
    return np.average(formula.value(y, found), weights=weight), formula


def problem(kind, n_rows, n_columns, seed=0):
    generator = np.random.default_rng(seed)
    X = generator.standard_normal((n_rows, n_columns))
    if kind == "chain":
        for j in range(1, n_columns):
            X[:, j] = 0.999 * X[:, j - 1] + 0.045 * X[:, j]
    elif kind == "skewed":
        X = np.exp(X)
    elif kind == "integers":
        X = generator.integers(0, 4, (n_rows, n_columns)) * 1.0
    y = X @ generator.standard_normal(n_columns)
    y += 0.5 * y.std() * generator.standard_normal(n_rows)
    return X, np.round(2.0 * y / y.std()) if kind == "integers" else y


LINEAR = [
    ("absolute_error", {}),
    ("quantile", {"quantile": 0.9}),
    ("epsilon_insensitive", {"epsilon": 0.5}),
]


@covering(
    {
        "estimator": REGRESSORS,
        "name, params": LINEAR,
        "kind": ["normal", "chain", "skewed", "integers"],
        "size": {"small": (60, 3), "larger": (400, 20)},
    },
    strength=2,
)
def test_a_linear_program_has_the_same_minimum(estimator, name, params, kind, size):
    X, y = problem(kind, *size)
    reference, formula = least(name, params, X, y)
    model = estimator(name, **params, random_state=0).fit(X, y)
    constant = min(np.mean(formula.value(y, c)) for c in np.quantile(y, np.linspace(0.0, 1.0, 101)))
    assert np.mean(formula.value(y, model.predict(X))) - reference <= NEAR * constant
    assert model.stop_reason_ == "tol"


@pytest.mark.parametrize("estimator", [BatchGDRegressor, MiniBatchSGDRegressor])
@pytest.mark.parametrize("variant", ["weights", "csr", "float32", "targets"])
def test_layouts_weights_and_several_targets(estimator, variant):
    X, y = problem("skewed", 300, 8)
    weight = np.random.default_rng(1).integers(0, 4, 300) * 1.0 if variant == "weights" else None
    Y = np.column_stack([y, np.round(y)]) if variant == "targets" else y[:, None]
    given = {"csr": sparse.csr_array(X), "float32": X.astype(np.float32)}.get(variant, X)
    model = estimator("absolute_error", random_state=0).fit(given, Y, sample_weight=weight)
    for target, found in zip(Y.T, np.reshape(model.predict(given), Y.shape).T, strict=True):
        reference, formula = least("absolute_error", {}, X, target, weight)
        constant = np.average(abs(target - np.median(target)), weights=weight)
        assert np.average(formula.value(target, found), weights=weight) - reference <= NEAR * constant


@pytest.mark.parametrize("intercept", [True, False])
def test_with_a_penalty(intercept):
    X, y = problem("normal", 200, 6)
    model = BatchGDRegressor("absolute_error", penalty="l2", alpha=0.1, fit_intercept=intercept).fit(X, y)

    def objective(w):
        return np.mean(abs(y - X @ w[:-1] - intercept * w[-1])) + 0.05 * w[:-1] @ w[:-1]

    found = np.append(model.coef_, model.intercept_)
    polished = minimize(objective, found, method="Powell", options={"xtol": 1e-10, "ftol": 1e-14})
    assert objective(found) - polished.fun <= NEAR * np.mean(abs(y - np.median(y)))


def test_targets_without_an_error():
    X, _ = problem("normal", 50, 4)
    y = X @ [1.0, -2.0, 0.0, 3.0] + 5.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MiniBatchSGDRegressor("absolute_error", random_state=0).fit(X, y)
    assert np.mean(abs(y - model.predict(X))) <= NEAR * np.mean(abs(y - np.median(y)))


class RoundedLasso(NamedTuple):
    """The absolute value of coefficients, with a round corner: its curvature is there only."""

    alpha: float
    corner: float

    def value(self, w):
        return self.alpha * np.sqrt(w * w + self.corner * self.corner)

    def gradient(self, w):
        return self.alpha * w / np.sqrt(w * w + self.corner * self.corner)

    def prox(self, w, rate, j=...):
        return w


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
@pytest.mark.parametrize("corner", [1e-3, 0.1])
@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_a_smooth_penalty_whose_curvature_varies(kind, corner, alpha):
    """The objective is at most that of a search by Powell's method from near the minimum."""
    rng = np.random.default_rng(3)
    X, penalty = rng.standard_normal((200, 3)), RoundedLasso(alpha, corner)
    y = X @ [3.0, 1.0, 0.1] + rng.standard_normal(200)

    def objective(w):
        return np.mean(abs(y - X @ w[:-1] - w[-1])) + np.sum(penalty.value(w[:-1]))

    found = kind("absolute_error", penalty=penalty).fit(X, y)
    ends = np.append(found.coef_, found.intercept_)
    starts = ends, np.zeros(4), np.array([2.9, 0.9, 0.0, 0.0])
    options = {"xtol": 1e-10, "ftol": 1e-14}
    peer = min(minimize(objective, start, method="Powell", options=options).fun for start in starts)
    assert objective(ends) <= peer + NEAR * np.mean(abs(y - np.median(y)))


@pytest.mark.parametrize("estimator", REGRESSORS)
@pytest.mark.parametrize("unit", [2.0**-100, 2.0**-400, 2.0**400])
def test_the_unit_of_targets_of_constant_columns(estimator, unit):
    """The weighted median; moves of an intercept of any size count."""
    y, weight = np.array([-8.5, -8.25, -7.5, 3.0]), np.array([0.25, 0.5, 4.0, 0.0])
    model = estimator("absolute_error", random_state=0).fit(np.array([[1.0], [1.0], [1.0], [0.0]]), y * unit, weight)
    np.testing.assert_allclose(model.predict([[1.0]]) / unit, -7.5, rtol=1e-12)


@pytest.mark.parametrize("estimator", REGRESSORS)
@pytest.mark.parametrize(("name", "params"), LINEAR[:2])
def test_the_unit_of_targets_with_a_ridge(estimator, name, params):
    """The penalty of targets in another unit has the same ratio to the loss, and nothing else changes."""
    X, y = problem("normal", 60, 3)
    first, *others = (
        estimator(name, **params, penalty="l2", alpha=0.1 / unit, random_state=0).fit(X, y * unit).predict(X) / unit
        for unit in (1.0, 2.0**-50, 2.0**-400, 2.0**300)
    )
    for other in others:
        np.testing.assert_allclose(other, first, rtol=1e-9)


def least_with_l1(X, y, alpha, below, above, epsilon, weight=None, positive=False):
    """The coefficients at the minimum of the mean loss and an L1 term, by SciPy's linear program, and the minimum."""
    n, p = X.shape
    share = np.full(n, 1.0 / n) if weight is None else weight / weight.sum()
    both, none = np.column_stack([X, -X, np.ones(n)]), np.zeros((n, n))
    rows = np.block([[both, -np.eye(n), none], [-both, none, -np.eye(n)]])
    cost = np.concatenate([np.full(2 * p, alpha), [0.0], share * above, share * below])
    bounds = [(0.0, None)] * p + [(0.0, 0.0 if positive else None)] * p + [(None, None)] + [(0.0, None)] * (2 * n)
    found = linprog(cost, sparse.csr_array(rows), np.append(y, -y) + epsilon, bounds=bounds)
    return found.x[:p] - found.x[p : 2 * p], found.fun


@covering(
    {
        "estimator": [MiniBatchSGDRegressor, OnlineSGDRegressor],
        "name, params, below, above": [
            ("absolute_error", {}, 1.0, 1.0),
            ("quantile", {"quantile": 0.8}, 0.8, 0.2),
            ("epsilon_insensitive", {"epsilon": 0.5}, 1.0, 1.0),
        ],
        "alpha, positive": [(1e-4, False), (0.01, False), (0.1, False), (0.01, True), (0.0, True)],
        "kind": ["normal", "integers"],
        "size": [(40, 60), (60, 40), (200, 10)],
        "weighted": [False, True],
    },
    strength=2,
)
def test_a_linear_program_with_an_l1_penalty_has_the_same_vertex(
    estimator, name, params, below, above, alpha, positive, kind, size, weighted
):
    X, y = problem(kind, *size)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y)) if weighted else None
    coef, minimum = least_with_l1(X, y, alpha, below, above, params.get("epsilon", 0.0), weight, positive)
    model = estimator(name, **params, penalty="l1", alpha=alpha, positive=positive, random_state=0)
    model.fit(X, y, sample_weight=weight)
    losses = LOSSES[name](**params).value(y, model.predict(X))
    assert np.average(losses, weights=weight) + alpha * abs(model.coef_).sum() <= minimum + 1e-9 * np.std(y)
    if kind == "normal":  # Of integers there are several solutions.
        np.testing.assert_array_equal(model.coef_ != 0.0, abs(coef) > 1e-9)


class NotNegative(NamedTuple):
    """``positive=True``, by another name."""

    def value(self, w):
        return 0.0 * w

    def gradient(self, w):
        return 0.0

    def prox(self, w, rate, j=...):
        return np.maximum(w, 0.0)


class Tube(NamedTuple):
    """The loss of `epsilon_insensitive`, by another name."""

    width: float = 0.5

    def value(self, y, p):
        return np.maximum(abs(p - y) - self.width, 0.0)

    def gradient(self, y, p):
        return np.sign(p - y) * (abs(p - y) > self.width)


class Steeper(NamedTuple):
    """The absolute error, and beyond 1 twice its excess, too: three kinks."""

    def value(self, y, p):
        return abs(p - y) + 2.0 * np.maximum(abs(p - y) - 1.0, 0.0)

    def gradient(self, y, p):
        return np.sign(p - y) * (1.0 + 2.0 * (abs(p - y) > 1.0))


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("loss", ["absolute_error", "epsilon_insensitive"])
@pytest.mark.parametrize("estimator", REGRESSORS)
def test_parts_by_another_name_lead_to_the_same_vertex(estimator, loss, positive):
    X, y = problem("normal", 60, 10)
    epsilon = {"epsilon": 0.5} if loss == "epsilon_insensitive" else {}
    ours = {"positive": True} if positive else {"penalty": "l1", "alpha": 0.1}
    theirs = {"penalty": NotNegative()} if positive else ours
    model = estimator(loss, **epsilon, **ours, random_state=0).fit(X, y)
    other = estimator(Tube() if epsilon else loss, **theirs, random_state=0).fit(X, y)
    np.testing.assert_allclose(other.coef_, model.coef_, atol=1e-9)
    np.testing.assert_array_equal(other.coef_ != 0.0, model.coef_ != 0.0)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(("shape", "offset"), [((60, 5), 1e9), ((30, 40), 1e9), ((60, 5), 1e6)])
def test_columns_far_from_zero_without_intercept(shape, offset, form):
    """The same minimum as with the differences of the columns, and one of them in another unit."""
    X, y = problem("normal", *shape)
    X = X + offset
    others = np.column_stack((X[:, 0] / offset, X[:, 1:] - X[:, :1]))
    peer = QuantileRegressor(alpha=0.0, fit_intercept=False).fit(others, y).predict(others)
    model = BatchGDRegressor("absolute_error", fit_intercept=False).fit(form(X), y)
    assert np.mean(abs(y - X @ model.coef_)) <= np.mean(abs(y - peer)) + 1e-4 * np.mean(abs(y))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("estimator", [BatchGDRegressor, MiniBatchSGDRegressor])
@pytest.mark.parametrize(
    ("shape", "share"), [((30, 5), 1e-6), ((40, 30), 1e-5), ((40, 30), 1e-6), ((40, 30), 1e-9), ((1000, 5), 1e-8)]
)
def test_nearly_equal_columns(estimator, shape, share, form):
    """The same minimum as with their difference as a feature, in a unit of its own."""
    others, y = problem("normal", *shape)
    X = others.copy()
    X[:, 1] = X[:, 0] + share * X[:, 1]
    others[:, 1] = (X[:, 1] - X[:, 0]) / share
    peer = QuantileRegressor(alpha=0.0).fit(others, y).predict(others)
    model = estimator("absolute_error", random_state=0).fit(form(X), y)
    assert np.mean(abs(y - model.predict(X))) <= np.mean(abs(y - peer)) + 1e-4 * np.mean(abs(y))


def by_orthogonal_polynomials(x, degree):
    """Powers of numbers, and orthogonal polynomials of these, which have the same span."""
    low, high = x.min(), x.max()
    others = np.polynomial.legendre.legvander((2.0 * x - low - high) / (high - low), degree)[:, 1:]
    return x[:, None] ** np.arange(1, degree + 1), others


NIST = {
    "Longley": (LONGLEY[:, 1:], StandardScaler().fit_transform(LONGLEY[:, 1:]), LONGLEY[:, 0]),
    "Filip": (*by_orthogonal_polynomials(FILIP[0], 10), FILIP[1]),
}


@pytest.mark.parametrize("degree", [5, 10])
@pytest.mark.parametrize("low", [-1.0, 0.0])
def test_powers_of_a_number(low, degree):
    """The same minimum as with orthogonal polynomials."""
    rng = np.random.default_rng(degree)
    x = rng.uniform(low, 10.0, 150)
    X, others = by_orthogonal_polynomials(x, degree)
    y = np.sin(x) + 0.1 * rng.standard_normal(150)
    peer = QuantileRegressor(alpha=0.0).fit(others, y).predict(others)
    model = BatchGDRegressor("absolute_error").fit(X, y)
    assert np.mean(abs(y - model.predict(X))) <= np.mean(abs(y - peer)) + NEAR * np.mean(abs(y - np.median(y)))


@pytest.mark.parametrize("estimator", REGRESSORS)
@pytest.mark.parametrize(("name", "params"), LINEAR[:2])
@pytest.mark.parametrize("data", NIST)
def test_data_of_nist(data, name, params, estimator):
    X, others, y = NIST[data]
    best, formula = least(name, params, others, y)
    model = estimator(name, **params, random_state=0).fit(X, y)
    constant = np.mean(formula.value(y, np.quantile(y, params.get("quantile", 0.5))))
    assert np.mean(formula.value(y, model.predict(X))) <= best + NEAR * constant
    assert model.stop_reason_ == "tol"


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize(("share", "offset", "reached"), [(1e-2, 1e5, True), (1e-4, 0.0, False), (1e-6, 0.0, False)])
def test_nearly_equal_columns_in_single_precision(share, offset, reached, form):
    """At the minimum, but where coefficients in single precision cannot be there; then the fit says so."""
    X, y = problem("normal", 40, 30)
    X[:, 1] = X[:, 0] + share * X[:, 1]
    X = (X + offset).astype(np.float32)
    others = X.astype(np.float64) - offset
    others[:, 1] = (others[:, 1] - others[:, 0]) / share
    best = np.mean(abs(y - QuantileRegressor(alpha=0.0).fit(others, y).predict(others)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = BatchGDRegressor("absolute_error").fit(form(X), y)
    ours = np.mean(abs(y - X.astype(np.float64) @ model.coef_.astype(np.float64) - model.intercept_))
    near = ours <= best + 1e-3 * np.mean(abs(y - np.median(y)))
    assert (near, model.stop_reason_) in [(True, "tol"), (reached, "stalled")]
    assert bool(caught) == (model.stop_reason_ == "stalled")


def test_a_bound_shows_that_the_minimum_was_not_reached(monkeypatch):
    X, y = problem("normal", 60, 40)
    minimum, _ = least("absolute_error", {}, X, y)
    end_search_of_kinks(monkeypatch)
    with pytest.warns(ConvergenceWarning, match="may exceed it by more than tol"):
        model = MiniBatchSGDRegressor("absolute_error", random_state=0).fit(X, y)
    assert model.stop_reason_ == "stalled"
    assert np.mean(abs(y - model.predict(X))) - minimum > 1e-3 * np.mean(abs(y - np.median(y)))


def end_of_search(monkeypatch, before, **params):
    """The loss of a fit whose interior points a function watches, and the reason why it ended."""
    X, y = problem("normal", 60, 40)
    with monkeypatch.context() as patch:
        steps_of_interior_points(patch, before)
        model = MiniBatchSGDRegressor("absolute_error", random_state=0, **params).fit(X, y)
    return np.mean(abs(y - model.predict(X))), model.stop_reason_


def test_the_time_budget_ends_a_search_at_its_best_parameters(monkeypatch):
    losses = []
    for last in (0, 3):
        now = [0.0]
        with_clock(monkeypatch, lambda now=now: now[0])
        passes = lambda number, now=now, last=last: now.__setitem__(0, float(number >= last))  # noqa: E731
        loss, reason = end_of_search(monkeypatch, passes, time_budget=0.5)
        assert reason == "time_budget"
        losses.append(loss)
    assert losses[1] < losses[0]


def test_no_search_begins_after_the_time_budget(monkeypatch):
    times = iter([0.0] + [1.0] * 99)
    with_clock(monkeypatch, lambda: next(times))
    assert end_of_search(monkeypatch, lambda number: pytest.fail("a search"), time_budget=0.5)[1] == "time_budget"


def test_an_interrupt_ends_a_search_at_its_best_parameters(monkeypatch):
    losses = []
    for last in (0, 3):

        def interrupt(number, last=last):
            if number == last:
                raise KeyboardInterrupt

        with pytest.warns(ConvergenceWarning, match="Interrupted"):
            loss, reason = end_of_search(monkeypatch, interrupt)
        assert reason == "interrupted"
        losses.append(loss)
    assert losses[1] < losses[0]


class Between(NamedTuple):
    """A box, by another name."""

    def value(self, w):
        return 0.0 * w

    def gradient(self, w):
        return 0.0

    def prox(self, w, rate, j=...):
        return np.maximum(-0.2, np.minimum(w, 0.3))


@pytest.mark.parametrize(
    ("penalty", "low", "high"),
    [(Box(-0.2, 0.3), -0.2, 0.3), (Box(0.1, np.inf), 0.1, None), (Box(-1.0, -0.1), -1.0, -0.1), (Between(), -0.2, 0.3)],
)
@pytest.mark.parametrize("shape", [(60, 40), (200, 10), (30, 40)])
def test_bounds_lead_to_the_vertex_of_the_linear_program(penalty, low, high, shape):
    X, y = problem("normal", *shape)
    minimum = least_of_epsilon_insensitive(X, y, 0.0, (low, high))
    model = MiniBatchSGDRegressor("absolute_error", penalty=penalty, random_state=0).fit(X, y)
    assert np.mean(abs(y - model.predict(X))) <= minimum + 1e-9 * np.std(y)
    assert (model.coef_ >= low).all()
    assert high is None or (model.coef_ <= high).all()
    assert low in model.coef_ or high in model.coef_


def test_bounds_of_single_features():
    """Each has its own, with an L1 term inside: a search by Powell's method from the end finds nothing better."""
    X, y = problem("normal", 100, 8)
    low, high = np.array([-np.inf, 0.0, 0.5, -1.0] * 2), np.array([np.inf, np.inf, 1.0, -0.5] * 2)
    model = BatchGDRegressor("absolute_error", penalty=Box(low, high, L1(0.05))).fit(X, y)

    def objective(theta):
        coef = np.clip(theta[:8], low, high)
        return np.mean(abs(y - X @ coef - theta[8])) + 0.05 * abs(coef).sum()

    ours, options = np.append(model.coef_, model.intercept_), {"xtol": 1e-10, "ftol": 1e-14}
    peer = minimize(objective, ours, method="Powell", options=options).fun
    assert objective(ours) <= peer + 1e-9 * np.std(y)


class Truncated(NamedTuple):
    """The absolute error up to 1: kinks, but not convex."""

    def value(self, y, p):
        return np.minimum(abs(p - y), 1.0)

    def gradient(self, y, p):
        return np.sign(p - y) * (abs(p - y) < 1.0)


@pytest.mark.parametrize("seed", [1, 5, 9])
def test_a_loss_that_is_not_convex_is_no_linear_program(seed):
    """Its fit is better than the coefficients that the targets were drawn with."""
    rng, truth = np.random.default_rng(seed), np.arange(1, 21) * 0.1
    X = rng.standard_normal((60, 20))
    y = X @ truth + 0.2 * rng.standard_normal(60)
    y[::9] += 3.0
    model = MiniBatchSGDRegressor(Truncated(), penalty="l1", alpha=0.003, random_state=0).fit(X, y)

    def objective(coef, intercept):
        return np.mean(Truncated().value(y, X @ coef + intercept)) + 0.003 * abs(coef).sum()

    assert objective(model.coef_, model.intercept_) <= objective(truth, 0.0)


class Bent(NamedTuple):
    """The absolute error and half of Huber's loss: a kink, and a second derivative beside it."""

    def value(self, y, p):
        size = abs(p - y)
        return size + 0.5 * np.where(size < 1.0, 0.5 * size * size, size - 0.5)

    def gradient(self, y, p):
        return np.sign(p - y) * (1.0 + 0.5 * np.minimum(abs(p - y), 1.0))


def test_a_loss_that_is_not_straight_has_no_vertex():
    X, y = problem("normal", 60, 3)
    model = MiniBatchSGDRegressor(Bent(), penalty="l1", alpha=0.1, random_state=0).fit(X, y)

    def objective(theta):
        return np.mean(Bent().value(y, X @ theta[:3] + theta[3])) + 0.1 * abs(theta[:3]).sum()

    ours, options = np.append(model.coef_, model.intercept_), {"xtol": 1e-10, "ftol": 1e-14}
    peer = min(minimize(objective, start, method="Powell", options=options).fun for start in (ours, 0.0 * ours))
    assert objective(ours) <= peer + NEAR * np.mean(Bent().value(y, np.median(y)))


def test_a_loss_with_three_kinks_ends_at_a_vertex():
    (X, y), (n, p), alpha = problem("normal", 100, 20), (100, 20), 0.05
    both, one, none = np.column_stack([X, -X, np.ones(n)]), np.eye(n), np.zeros((n, n))
    cost = np.concatenate([np.full(2 * p, alpha), [0.0], np.full(n, 1.0 / n), np.full(n, 2.0 / n)])
    rows = np.block([[s * both, -one, none] for s in (1.0, -1.0)] + [[s * both, none, -one] for s in (1.0, -1.0)])
    right = np.concatenate([y, -y, y + 1.0, 1.0 - y])
    bounds = [(0.0, None)] * (2 * p) + [(None, None)] + [(0.0, None)] * (2 * n)
    peer = linprog(cost, sparse.csr_array(rows), right, bounds=bounds)
    model = MiniBatchSGDRegressor(Steeper(), penalty="l1", alpha=alpha, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.coef_, peer.x[:p] - peer.x[p : 2 * p], atol=1e-8)


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_zeros_of_small_and_of_exact_coefficients(estimator):
    """Small coefficients of many rows are not 0; rows that all lie on a plane leave no others."""
    X, _ = problem("normal", 2000, 30)
    noise = np.random.default_rng(1).laplace(size=2000)
    slopes = 0.8 ** np.arange(30)
    peer = QuantileRegressor(alpha=5e-4).fit(X[:500], X[:500] @ slopes + noise[:500])
    model = estimator("quantile", penalty="l1", alpha=5e-4, random_state=0)
    model.fit(X[:500], X[:500] @ slopes + noise[:500])
    np.testing.assert_allclose(model.coef_, peer.coef_, atol=1e-8)
    model.fit(X, 3.0 * X[:, 0] + 1.0)
    assert list(np.flatnonzero(model.coef_)) == [0]


@pytest.mark.parametrize("form", [np.asfortranarray, np.float32, sparse.csr_matrix])
def test_zeros_of_a_linear_program_in_other_layouts(form):
    X, y = problem("normal", 200, 10)
    first = BatchGDRegressor("absolute_error", penalty="l1", alpha=0.1).fit(X, y)
    other = BatchGDRegressor("absolute_error", penalty="l1", alpha=0.1).fit(form(X), y)
    np.testing.assert_allclose(other.coef_, first.coef_, atol=1e-6)
    np.testing.assert_array_equal(other.coef_ != 0.0, first.coef_ != 0.0)


def test_zeros_of_a_linear_program_with_many_constant_columns():
    """Memory is for the columns that vary: a square matrix of all would take 72 MB."""
    X, y = problem("normal", 60, 3)
    few, many = (BatchGDRegressor("absolute_error", penalty="l1", alpha=0.1) for _ in range(2))
    few.fit(X, y)
    tracemalloc.start()
    many.fit(np.pad(X, ((0, 0), (0, 3000))), y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
    np.testing.assert_allclose(many.coef_[:3], few.coef_, atol=1e-3)
    assert not many.coef_[3:].any()


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_rounding_of_a_bound_is_no_distance(estimator):
    """One target differs from the others, so that the tolerance is next to 0. The minimum is the constant."""
    X, _ = problem("normal", 150, 1)
    y = np.append(np.zeros(149), 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = estimator("quantile", quantile=0.9, penalty="l2", alpha=0.1, random_state=0).fit(X, y)
    assert np.mean(LOSSES["quantile"](0.9).value(y, model.predict(X))) <= 0.9 / 150 + 1e-12


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_no_coefficient_at_all(estimator):
    """Columns of zeros without intercept: nothing predicts."""
    model = estimator("absolute_error", penalty="l1", alpha=0.1, fit_intercept=False).fit(
        np.zeros((5, 2)), np.arange(5.0)
    )
    assert not model.coef_.any()


@pytest.mark.parametrize(("average", "far"), [(True, True), ("auto", False)])
def test_an_average_that_ends_far_from_the_minimum_says_so(average, far):
    """With more features than samples the minimum is 0. ``average=True`` omits the steps that lead there."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 60))
    y = X @ rng.standard_normal(60) + 100.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MiniBatchSGDRegressor("absolute_error", average=average, random_state=0).fit(X, y)
    assert (np.mean(abs(y - model.predict(X))) > 0.01 * np.mean(abs(y - np.median(y)))) == far
    assert ["the minimum is far" in str(each.message) for each in caught] == [True] * far


def groups(n_groups, seed=0):
    """Indicators of groups, and three targets of each."""
    rng = np.random.default_rng(seed)
    y = 3.0 * rng.standard_normal((n_groups, 1)) + rng.standard_normal((n_groups, 3))
    return np.kron(np.eye(n_groups), np.ones((3, 1))), y.ravel()


@pytest.mark.parametrize(
    ("estimator", "name", "params"), [(BatchGDRegressor, *LINEAR[0]), (MiniBatchSGDRegressor, *LINEAR[1])]
)
def test_the_minimum_with_many_columns(estimator, name, params):
    """The features span the indicators of groups, so the minimum is at the quantiles: median or largest of three."""
    indicators, y = groups(410)
    X = indicators + 0.5 * np.roll(indicators, 1, axis=1)
    best = np.repeat((np.max if params else np.median)(y.reshape(-1, 3), axis=1), 3)
    model, formula = estimator(name, **params, random_state=0).fit(X, y), LOSSES[name](**params)
    constant = np.mean(formula.value(y, np.quantile(y, params.get("quantile", 0.5))))
    assert np.mean(formula.value(y, model.predict(X))) <= np.mean(formula.value(y, best)) + 1e-4 * constant


@pytest.mark.parametrize("form", [sparse.csr_array, np.float32, np.asarray])
def test_zeros_of_many_columns(form):
    """With indicators of groups as features, each coefficient has a minimum of its own, at one of its kinks."""
    indicators, y = groups(410)
    alpha, each = 0.5 / len(y), y.reshape(-1, 3)
    kinks = np.column_stack((np.zeros(410), each))
    costs = np.mean(abs(each[:, :, None] - kinks[:, None, :]), axis=1) / 410 + alpha * abs(kinks)
    best = kinks[np.arange(410), np.argmin(costs, axis=1)]
    model = BatchGDRegressor("absolute_error", penalty="l1", alpha=alpha, fit_intercept=False)
    np.testing.assert_allclose(model.fit(form(indicators), y).coef_, best, atol=1e-5)
