"""From the end of the descent of a fit to the minimum on all rows."""

from collections.abc import Callable
from functools import partial

import numpy as np

from sklearn_sgd._engine.automatic.final_step import FinalSteps, Minimum, rounding_of
from sklearn_sgd._engine.automatic.step_size import decaying_rate
from sklearn_sgd._engine.baseline import gradient_in_double
from sklearn_sgd._engine.epochs import Descent, one_epoch
from sklearn_sgd._engine.objective import loss_of
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.plan import DOUBLE, SINGLE, Plan
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import dtype_of

# Number of full-batch epochs after those with noise; maximum number, if each still gains `WORTH` times what is enough.
EPOCHS, MOST_EPOCHS, WORTH = 20, 100, 10.0


def minimum_of(plan: Plan, state: State, variance: float) -> Minimum | None:
    """Return what is known of the minimum: for the squared error preconditioned by covariances, else None."""
    if plan.minimum:
        return plan.minimum
    geometry, normal = state.step and state.step.geometry, plan.normal
    if plan.preconditioner is None or geometry is None or not plan.formulas.is_least_squares:
        return None
    kind = dtype_of(plan.X)
    if normal and not geometry.is_narrow:
        units = np.append(np.ones(plan.X.shape[1]), plan.data.rows.bias)
        gradient: Callable = lambda w: units * np.append(*normal.gradient(w)[1:])  # noqa: E731
        kind = DOUBLE
    elif geometry.is_narrow and not plan.is_remote and kind == SINGLE:
        gradient = partial(gradient_in_double, plan.parts.loss, plan.data, plan.row_indices, plan.X, state.centre)
        kind = DOUBLE
    else:
        rows = all_rows(plan)(plan.data, plan.used, plan.parts.loss)
        gradient = lambda w: rows.gradient(w.astype(dtype_of(plan.X)))[2]  # noqa: E731
    rounding = rounding_of(geometry, kind, variance**0.5, state.centre)
    loss = partial(loss_of, plan, state)
    return FinalSteps(gradient, geometry, plan.parts.penalty, rounding, plan.weight, loss)


def full_batches(
    plan: Plan, state: State, enough: float, constant: float, most: float
) -> tuple[np.ndarray, float, float | None]:
    """Return parameters after epochs of full batches, what they leave out, and the gain of the latter half of them.

    The gain is None if they ended because that of the last one was less than ``enough``. Where each gains little for
    long, about as much as the latter half has gained is still missing.

    The epochs begin at the average; or at the constant, if the objective at the average exceeds ``most``. Full batches
    move along directions that are too narrow for noisy steps, are not cut short by rows far from all others, and reach
    exact zeros, which an average does not.
    """
    plan = plan._replace(
        batch_size=plan.n_rows,
        noise=False,
        shuffle=False,
        part=None,
        average_from=0,
        schedule=decaying_rate(1.0, False),
    )
    state, centre, before = state.fork(), state.centre, np.inf
    state.prepare(plan.formulas.moments, plan.parts.penalty, from_average=True)
    descent, gains, has_ended = Descent(plan, state), [np.inf], False
    for number in range(MOST_EPOCHS):
        if number >= EPOCHS and gains[-1] <= WORTH * enough:
            break
        penalty = plan.penalty_value(state.vectors.coef)  # Of the parameters that have the loss of the epoch.
        [(_, epoch)] = one_epoch([descent])
        objective = epoch.loss + penalty
        if before == np.inf and not objective <= most:
            state.start_at(np.zeros(plan.X.shape[1]), constant, 0.0)
            before = most
            continue
        has_ended = objective > before - enough and not descent.was_stopped
        gains, before = [*gains, before - objective], objective
        if has_ended or not epoch.finite:
            break
    state.recentre(centre)
    return state.vectors.average, descent.plan.hidden, None if has_ended else sum(gains[(len(gains) + 1) // 2 :])
