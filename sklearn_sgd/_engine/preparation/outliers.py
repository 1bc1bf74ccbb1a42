"""Extreme targets: losses with bounded slopes hardly follow them, but their losses would hide those of all others."""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd._engine.baseline import OUTLIER, SAMPLE, best_constant, raw_predictions
from sklearn_sgd._engine.plan import SINGLE, Data, Plan
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import doubled, dtype_of, host, is_foreign, namespace, take
from sklearn_sgd._ops import clip

# First targets of a stream that are examined; distance, in units of the usual one, from which one is extreme.
FEW, EXTREME = 30, 1000.0

# Limits of the distance of targets of a fit, in units of the usual one, in double and in single precision: sums of
# losses keep their digits.
FARTHEST, FARTHEST_SINGLE = 1e9, 1e6

# Maximum number of multiplications, to find whether a target is followed; share of a target that is rounding; squared
# length of a row along directions of its own, below which it has none; share of the distance to a target by which
# predictions follow it.
MOST, NEARLY, NULL, FOLLOWED = 1e9, 1e-6, 1e-10, 1e-3

NO_TARGETS = np.empty(0)


def limit_far_targets(plan: Plan) -> Plan:
    """Return the plan of a fit with limited targets: beside the loss of an extreme one, all others are rounding.

    The slope of the loss is the same at the limit, or almost 0 at both.
    """
    y = plan.data.y if plan.row_indices is None else take(plan.data.y, plan.row_indices)
    middle, distance = _usual(host(doubled(y[:: -(-y.shape[0] // SAMPLE)])))
    farthest = max(float(namespace(y).max(y)) - middle, middle - float(namespace(y).min(y)))
    if not farthest > OUTLIER * distance * plan.n_rows:
        return plan
    far = distance * (FARTHEST_SINGLE if dtype_of(y) == SINGLE else FARTHEST)
    y, reach = clip(plan.data.y, middle - far, middle + far), (middle - far, middle + far)
    return plan._replace(data=plan.data._replace(y=y), reach=reach)


def follows_limited_target(plan: Plan, state: State) -> bool:
    """Return whether predictions at the minimum follow a target that was limited, however far away it is.

    They do if they have followed it so far, or if some coefficients change the prediction of its row by more than those
    of all others together.
    """
    n, p = plan.n_rows, plan.X.shape[1]
    if not plan.reach or is_foreign(plan.X) or n * p * p > MOST:
        return False
    rows, weight = take(plan.X, plan.used), plan.data.weight
    X = np.column_stack((doubled(rows.toarray() if issparse(rows) else rows), np.full(n, plan.data.rows.bias)))
    s = doubled(take(weight, plan.used)) if weight.shape[0] else np.ones(n)
    size = np.max(abs(X), axis=0)
    X, y = X / np.where(size > 0.0, size, 1.0), doubled(take(plan.data.y, plan.used))
    low, high = plan.reach
    beyond = np.flatnonzero((y <= low + NEARLY * abs(low)) | (y >= high - NEARLY * abs(high)))
    coef, intercept = state.predictor()
    for row in beyond[:FEW]:
        if abs(X[row, :-1] @ (size[:-1] * coef) + intercept - 0.5 * (low + high)) > FOLLOWED * (high - low):
            return True
        others = np.delete(np.arange(n), row)
        # The least change of the others for a change of 1; none along a direction of its own.
        least = np.linalg.pinv(X[others], rcond=NULL)
        free = X[row] - least @ (X[others] @ X[row])
        d = free if free @ X[row] > NULL else least @ (least.T @ X[row])
        if s[others] @ abs(X[others] @ d) < s[row] * abs(X[row] @ d):
            return True
    return False


def limit_first_targets(plan: Plan, state: State) -> Plan:
    """Return the plan of a chunk of a young stream, some of whose first targets may be extreme.

    Such a target counts as one at the usual distance from the others. If it came before there were others, it has made
    parameters of its size, which the loss corrects slowly: the stream starts again.
    """
    if not state.fresh and state.first_targets is None:
        return plan
    before = NO_TARGETS if state.first_targets is None else state.first_targets
    first = plan.used[: max(FEW, plan.batch_size)]
    targets, constant = np.append(before, host(doubled(take(plan.data.y, first)))), None
    if len(targets) > 2:
        middle, distance = _usual(targets)
        far = EXTREME * distance
        bulk = clip(targets, middle - far, middle + far)
        if len(first) and (bulk != targets).any():
            plan = plan._replace(data=plan.data._replace(y=_nearer(plan.data.y, int(first[-1]) + 1, middle, distance)))
        if not state.fresh:
            data = Data(plan.data.rows, bulk, NO_TARGETS)
            at = best_constant(plan.formulas, data, slice(None), state.nears_constant)
            raw = host(raw_predictions(plan.data.rows, first, state.vectors.coef))
            loss, (_, losses, number, *_) = plan.parts.loss, state.window
            if np.median(abs(raw - at)) > far or losses > 2.0 * number * loss.value(at - far, at):
                constant, plan = at, plan._replace(restarts=True)
    state.remember(targets if len(before) + plan.n_rows < FEW else None, constant)
    return plan


def _usual(targets: np.ndarray) -> tuple[float, float]:
    """Return the median of targets, and the median distance of those that differ from it."""
    middle = float(np.median(targets))
    others = abs(targets - middle)[targets != middle]
    return middle, float(np.median(others)) if len(others) else np.inf


def _nearer(y: Any, number: int, middle: float, distance: float) -> Any:
    """Return targets; extreme ones among the first ``number`` are moved to a distance from the middle."""
    xp, first = namespace(y), y[:number]
    near = clip(first, middle - distance, middle + distance)
    first = xp.where(abs(first - middle) > EXTREME * distance, near, first)
    return xp.concat([first, y[number:]])
