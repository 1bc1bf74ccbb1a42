"""What is missing along narrow directions of many columns, which a preconditioner of variances does not show.

Where no covariances are kept, an epoch along such a direction gains next to nothing, however far the minimum is.
Conjugate gradients on a sample of rows, weighted by the curvature of their losses, lead there in a few products.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd._engine.automatic.conjugate import conjugate_gradients
from sklearn_sgd._engine.automatic.sample import sample
from sklearn_sgd._engine.automatic.statistics import BUDGET, FULL
from sklearn_sgd._engine.baseline import gradient_in_double, row_curvatures
from sklearn_sgd._engine.objective import loss_of
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.passes.rows import less_mean
from sklearn_sgd._engine.plan import DOUBLE, Plan
from sklearn_sgd._engine.preparation.wide import SMALL, by_covariances, by_rows
from sklearn_sgd._engine.reweighting import ASIDE, FARTHEST
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import doubled, dtype_of, is_foreign, take

Product = Callable[[np.ndarray], np.ndarray]


class Move(NamedTuple):
    """Where a move leads, by how much it lowers the objective, its length, and whether that is the minimum.

    The minimum is that for the rows of the sample, from where another move would lead nowhere. A whole move has the
    length 1, and would lower the objective as ``promised`` if that were a parabola, as it is near the minimum.
    """

    there: np.ndarray
    gain: float = 0.0
    promised: float = 0.0
    length: float = 1.0
    has_arrived: bool = False

    @property
    def is_short(self) -> bool:
        """Whether the objective is not like the parabola."""
        return self.length < 1.0


class Parabola(NamedTuple):
    """A gradient, a function that multiplies by the curvature, and the mean curvature of the losses.

    ``rows`` and their weights have that curvature, if these are all rows, and few.
    """

    g: np.ndarray
    product: Product
    curvature: float
    rows: np.ndarray | None = None
    weight: Any = None


# Maximum number of conjugate steps. They also end where little is missing for sure, or the decrement is below this
# share of the first one.
STEPS, LEAST = 50, 1e-8

# Maximum number of moves. A whole move is tried so many times, each time half as long as before. After a shorter one
# curvatures are those farther from the predictions, by a factor: rows without one may have it there.
MOVES, TRIES, WIDER = 40, 10, 10.0

# A sample has at least so many rows, so many rows for each column, and as many more as have this number of entries.
ROWS, GOOD, ENTRIES = 2000, 4, 1 << 22

# There is no move if a sample has fewer rows than this for each column, and so shows noise only; or more entries than
# this, and so takes too long. All rows show the objective itself.
ENOUGH, MOST = 2, 1 << 24

# Multiplications up to which the inverse of the curvature is computed, for conjugate gradients of few steps. The
# parabola of other losses than the squared error changes with each move.
PRODUCTS = BUDGET / 4.0

# Share of the rows in the sample if the others judge the move.
PART = 0.75


def hides_directions(plan: Plan) -> bool:
    """Return whether a descent had a preconditioner of variances because there are many columns.

    Remote rows have no weights by curvature here: they move for the squared error with a smooth penalty.
    """
    known = plan.preconditioner is not None and plan.X.shape[1] > FULL and not (is_foreign(plan.X) or plan.minimum)
    return known and (plan.formulas.has_linear_gradient or not plan.is_remote)


def follow_narrow(plan: Plan, state: State, others: bool, enough: float, left: float) -> tuple[bool, float, bool]:
    """Move a state along narrow directions while this lowers the objective by more than ``enough``.

    A fit that does not end with final steps is not moved. The objective is that of all rows, or of the ``others``,
    which did not lead to the move, as a test on new rows. The steps of a move end where no more than ``left`` of the
    objective is missing, if this can be known.

    Returns
    -------
    has_moved : bool
        Whether the state was moved.
    gain : float
        By how much the last move lowered the objective, made or not; 0 if no other move would.
    is_there : bool
        Whether the state is now at the minimum for all rows.
    """
    has_moved, move, aside = False, Move(state.vectors.average), ASIDE
    for _ in range(MOVES if plan.finishes else 1):
        move = _moved_along_narrow(plan, state, others, left, aside)
        is_last = move.gain <= enough and not (move.is_short and move.promised > enough and aside < FARTHEST)
        if is_last or not plan.finishes:
            break
        aside = min(max(aside * WIDER if move.is_short else aside / WIDER, ASIDE), FARTHEST)
        if move.gain > 0.0:
            state.finish(move.there)
            has_moved = True
        if move.has_arrived:
            return True, 0.0, plan.is_remote or sample_size(plan, others) == plan.n_rows
    return has_moved, max(move.gain, move.promised if move.is_short else 0.0), False


def sample_size(plan: Plan, others: bool) -> int:
    """Return the number of rows in the sample that leads to a move, if the ``others`` judge it or all rows do."""
    in_a_row = max(1, plan.n_entries // plan.X.shape[0])
    most = int(PART * plan.n_rows) if others else plan.n_rows
    return min(most, max(ROWS, ENTRIES // in_a_row, GOOD * plan.X.shape[1]))


def _moved_along_narrow(plan: Plan, state: State, others: bool, left: float, aside: float) -> Move:
    """Return a move along narrow directions; it has arrived where at most ``left`` is missing."""
    some = judges = plan.row_indices
    if not plan.is_remote:
        size, used = sample_size(plan, others), plan.used
        too_many = size * max(1, plan.n_entries // plan.X.shape[0]) > MOST
        if size < min(ENOUGH * plan.X.shape[1], plan.n_rows) or too_many:
            return Move(state.vectors.average)
        if size < plan.n_rows:
            chosen = sample(plan.n_rows, size)
            some = used[chosen]
            judges = np.delete(used, chosen) if others else judges
    state = state.fork()
    penalty, w = plan.parts.penalty, state.vectors.average.astype(np.float64)

    def objective(at: np.ndarray) -> float:
        value = loss_of(plan, state, at.astype(state.vectors.coef.dtype), rows=judges)
        return value + plan.penalty_value(at)

    with np.errstate(all="ignore"):  # A move out of the range of numbers gains nothing.
        d, promised, has_arrived = _newton_step(plan, state, some, w, left, aside)
        if not d.any():
            return Move(w, has_arrived=has_arrived)
        if others or plan.formulas.has_kinks or not plan.formulas.is_smooth:
            promised = 0.0
        before, length = objective(w), 1.0
        for _ in range(TRIES):
            there = w + length * d
            there[:-1] = penalty.prox(there[:-1], 0.0, ...)
            after = objective(there)
            if after < before:
                return Move(there, before - after, promised, length, has_arrived and length == 1.0)
            length *= 0.5
    return Move(w, 0.0, promised, 0.0)


def _newton_step(
    plan: Plan, state: State, some: np.ndarray | None, w: np.ndarray, left: float, aside: float
) -> tuple[np.ndarray, float, bool]:
    """The step to the minimum of a parabola with the slopes and curvatures of some rows, by conjugate gradients.

    It is 0 where no more than ``left`` is missing. Also return by how much it lowers the parabola, and whether it leads
    to the minimum of the objective for these rows: if this is a parabola.
    """
    penalty, bias, find = plan.parts.penalty, plan.data.rows.bias, _parabola_there if plan.is_remote else _parabola
    data = plan.data._replace(rows=less_mean(plan.data.rows, state.centre.astype(plan.data.y.dtype)))
    parabola = find(plan._replace(data=data), some, state.centre, w, aside)
    g = parabola.g
    g[:-1] += penalty.gradient(w[:-1])
    pull = np.append(penalty.gradient(np.ones(len(w) - 1)) + np.zeros(len(w) - 1), 0.0)
    assert plan.preconditioner is not None
    scale = np.append(plan.preconditioner.diagonal, float(bias)) / parabola.curvature
    change: Any = lambda d, *_: parabola.product(d) + pull * d  # noqa: E731
    # The curvature is at least that of the penalty. The intercept has none, but centred columns hardly add to it.
    least, first = float(np.min((scale * pull)[:-1][scale[:-1] > 0.0], initial=1.0)), 0.0
    precondition: Product = lambda g: scale * g  # noqa: E731
    if parabola.rows is not None:
        precondition, least = _inverse(parabola.rows, parabola.weight, scale, pull), 0.0
    for at in islice(conjugate_gradients(np.zeros_like(g), g, precondition, change, None, least), STEPS + 1):
        first = first or at.fall
        has_arrived = at.fall <= LEAST * first or 0.5 * at.missing <= left
        if has_arrived or not at.fall > 0.0:
            break
    return at.w, -0.5 * float(g @ at.w), plan.formulas.is_least_squares and has_arrived


def _parabola(plan: Plan, some: np.ndarray | None, mean: np.ndarray, w: np.ndarray, aside: float) -> Parabola:
    """Return the parabola that the mean loss of some rows is like at w."""
    data, weight, curvature = plan.data, plan.data.weight, 1.0
    if not plan.formulas.is_quadratic:
        weight, curvature, _ = row_curvatures(plan.parts.loss, data, some, w.astype(data.y.dtype), aside)
    rows: Any = slice(None) if some is None else some
    X: Any = doubled(take(plan.X, rows))
    weight = doubled(take(weight, rows)) if weight.shape[0] else np.ones(X.shape[0])
    weight, bias = curvature / X.shape[0] * weight, float(data.rows.bias)

    def product(v: np.ndarray) -> np.ndarray:
        z = weight * (X @ v[:-1] - mean @ v[:-1] + bias * v[-1])
        return np.append(X.T @ z - np.sum(z) * mean, bias * np.sum(z))

    g, rows = gradient_in_double(plan.parts.loss, data, some, plan.X, mean, w), None
    n, p = X.shape
    is_worth = n == plan.n_rows and not plan.formulas.is_quadratic
    if is_worth and n * p <= MOST and n * p * min(n, p) <= PRODUCTS:
        rows = np.column_stack(((X.toarray() if issparse(X) else X) - mean, np.full(n, bias)))
    return Parabola(g, product, curvature, rows, weight)


def _inverse(rows: np.ndarray, weight: np.ndarray, scale: np.ndarray, pull: np.ndarray) -> Product:
    """Return the function that multiplies by the inverse of the curvature of weighted rows and a penalty."""
    units = np.sqrt(scale)
    rows, ridge, added = np.sqrt(weight)[:, None] * rows * units, pull * scale, SMALL[DOUBLE] * len(units)
    few = rows.shape[0] <= rows.shape[1]
    solve = (by_rows(rows, ridge, added) if few else by_covariances(rows.T @ rows, ridge, added))[0]
    return lambda g: units * solve(units * g)


def _parabola_there(plan: Plan, some: Any, mean: np.ndarray, w: np.ndarray, aside: float) -> Parabola:
    """Return that of the squared error of all rows, in other processes: its gradient is linear."""
    rows, dtype = all_rows(plan)(plan.data, plan.used, plan.parts.loss), dtype_of(plan.X)

    def gradient(at: np.ndarray) -> np.ndarray:
        return rows.gradient(at.astype(dtype))[2].astype(np.float64)

    constant = gradient(np.zeros_like(w))
    return Parabola(gradient(w), lambda v: gradient(v) - constant, 1.0)
