"""The minimum for rows in other processes, of a loss with kinks: few of them determine it.

Those with a kink near their predictions are collected, and the loss of each other row is replaced by its tangent. A
tangent is nowhere above a convex loss. So the minimum that is found is a bound, and it is that of all rows if no other
row has passed a kink. If some have, rows are collected again, near the better parameters.

References
----------
Portnoy, S. and Koenker, R., "The Gaussian hare and the Laplacian tortoise: computability of squared-error versus
absolute-error estimators", Statistical Science 12, 1997.
"""

from collections.abc import Callable

import numpy as np

from sklearn_sgd._engine.kinks.directions import Directions
from sklearn_sgd._engine.kinks.smoothed import Rows, Smoothed
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.objective import objective_of
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.state import State

# Number of entries of X that are collected at once; maximum number of collections; parts of the way to the minimum for
# the rows collected that are tried.
ENTRIES, COLLECTIONS, PARTS = 1 << 23, 8, (1.0, 0.5, 0.2, 0.05)


def most_collected(plan: Plan) -> int:
    """Return the maximum number of rows that are collected at once."""
    return min(plan.n_rows, ENTRIES // max(1, plan.X.shape[1]))


def minimum_elsewhere(
    plan: Plan, state: State, directions: Directions, w: np.ndarray, enough: float, limit: Limit, minimum: Callable
) -> tuple[np.ndarray, float]:
    """Return parameters from w on, and the amount by which they may exceed the minimum, at most; inf if none is known.

    ``minimum`` does the same for a problem of rows in this process. No row is near where more have the same kink than
    can be collected, and the tangents may have no minimum.
    """
    rows, loss = plan.data.rows.centred(state.centre.astype(plan.X.dtype)), plan.parts.loss

    # No loss is below 0.
    best, least, bound = w, objective_of(plan, state, w), 0.0
    for _ in range(COLLECTIONS if least > enough else 0):
        if limit.is_over():
            break
        found: Rows = rows.near_kinks(loss, best, most_collected(plan))
        if not len(found.y):
            break
        problem = Smoothed(plan, found, state.centre, directions, limit)
        there, missing = minimum(problem, best, 0.5 * enough)
        bound = max(bound, problem.objective_at(there) - missing)
        start, before = best, least
        for part in PARTS:
            at = start + part * (there - start)
            if (value := objective_of(plan, state, at)) < before:
                best, least = at, value
                break
        if least - bound <= enough or least == before:
            break
    return best, least - bound if bound > 0.0 or least <= enough else np.inf
