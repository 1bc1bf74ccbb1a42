"""What is missing along narrow directions of many columns, which a preconditioner of variances does not show.

Where no covariances are kept, an epoch along such a direction gains next to nothing, however far the minimum is.
Conjugate gradients on a sample of rows, weighted by the curvature of their losses, lead there in a few products.
"""

from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.sample import sample
from sklearn_sgd._engine.automatic.statistics import FULL
from sklearn_sgd._engine.baseline import gradient_in_double, row_curvatures, training_loss
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.reweighting import ASIDE
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import doubled, is_foreign, take

# Conjugate steps; least fall of one, in units of the first; trials of the length of the whole move, each half the last.
STEPS, LEAST, TRIES = 50, 1e-8, 3

# Rows of the sample, at least; entries that it may have, and that it may have where fewer show nothing; rows for each
# column, and those without which a sample shows noise only.
ROWS, ENTRIES, MOST, GOOD, ENOUGH = 2000, 1 << 22, 1 << 24, 4, 2

# Share of the rows in the sample if the others judge the move.
PART = 0.75


def hides_directions(plan: Plan) -> bool:
    """Return whether a descent had a preconditioner of variances because there are many columns."""
    known = plan.preconditioner is not None and plan.X.shape[1] > FULL
    return known and not (plan.is_remote or is_foreign(plan.X) or plan.minimum)


def gain_along_narrow(plan: Plan, state: State, others: bool) -> float:
    """Return by how much a move along narrow directions lowers the objective.

    The objective is that of all rows, or of the ``others``, which did not lead to the move, as a test on new rows.
    """
    p, used = plan.X.shape[1], plan.used
    in_a_row = max(1, plan.n_entries // plan.X.shape[0])
    size = min(int(PART * plan.n_rows) if others else plan.n_rows, max(ROWS, ENTRIES // in_a_row, GOOD * p))
    if size < ENOUGH * p or size * in_a_row > MOST:
        return 0.0
    chosen = sample(plan.n_rows, size)
    some = used[chosen]
    judges = np.delete(used, chosen) if others else used
    state = state.fork()
    penalty, loss, w = plan.parts.penalty, plan.parts.loss, state.vectors.average.astype(np.float64)

    def objective(at: np.ndarray) -> float:
        value = training_loss(loss, plan.data, judges, plan.X, *state.predictor(at.astype(state.vectors.coef.dtype)))
        return value + plan.penalty_value(at)

    with np.errstate(all="ignore"):  # A move out of the range of numbers gains nothing.
        before = objective(w)
        d = _newton_step(plan, state, some, w)
        for _ in range(TRIES):
            there = w + d
            there[:-1] = penalty.prox(there[:-1], 0.0, ...)
            after = objective(there)
            if after < before:
                return before - after
            d *= 0.5
    return 0.0


def _newton_step(plan: Plan, state: State, some: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The step to the minimum of a parabola with the slopes and curvatures of some rows, by conjugate gradients."""
    penalty, mean, bias = plan.parts.penalty, state.centre, float(plan.data.rows.bias)
    data = plan.data._replace(rows=plan.data.rows._replace(mean=mean.astype(plan.data.y.dtype)))
    weight, curvature, _ = row_curvatures(plan.parts.loss, data, some, w.astype(plan.data.y.dtype), ASIDE)
    weight = curvature * weight[some] / len(some) if weight.shape[0] else np.full(len(some), curvature / len(some))
    X: Any = doubled(take(plan.X, some))
    pull = penalty.gradient(np.ones(len(w) - 1))
    g = gradient_in_double(plan.parts.loss, plan.data, some, plan.X, mean, w)
    g[:-1] += penalty.gradient(w[:-1])

    def product(v: np.ndarray) -> np.ndarray:
        z = weight * (X @ v[:-1] - mean @ v[:-1] + bias * v[-1])
        return np.append(X.T @ z - np.sum(z) * mean + pull * v[:-1], bias * np.sum(z))

    assert plan.preconditioner is not None
    scale = np.append(plan.preconditioner.diagonal, bias) / curvature
    step, d, first, fall = np.zeros_like(g), np.zeros_like(g), 0.0, np.inf
    for number in range(STEPS):
        along = scale * g
        before, fall = fall, float(along @ g)
        first = first or fall
        if not fall > LEAST * first:
            break
        d = along + (fall / before * d if number else 0.0)
        change = product(d)
        bend = float(d @ change)
        if not 0.0 < bend < np.inf:
            break
        step -= fall / bend * d
        g = g - fall / bend * change
    return step
