"""The minimum of a loss with kinks on all rows, with a smooth penalty or an L1 term: Newton steps on smoothed losses.

Where the slope l' of a loss l jumps, curvatures at the predictions do not show how far a step should go. The mean of
the loss over the predictions within a distance h is smooth. Its slope is (l(p + h) - l(p - h)) / 2h, its curvature
(l'(p + h) - l'(p - h)) / 2h. For the absolute error it is Huber's loss. Only rows with a kink within h have a
curvature, so that a step costs little more than a gradient. The minimum of the smoothed objective exceeds that of the
objective by at most h**2 / 4 times the mean curvature, which is the gap to a dual solution. So h falls until this is
little enough. An L1 term and bounds are smoothed in the same way: over a coefficient that changes predictions by h. If
this makes the objective piecewise linear, its minimum is at a vertex nearby.

With few rows for each column, most of them have a kink within h until the end. The minimum is then found by an
interior-point method, as it is where h falls too slowly, if the loss is straight between its kinks.

Other losses with bounded slopes, such as Huber's, are nearly straight where residuals are large. With few rows for each
column the epochs, which weigh rows by slopes and values, gain little from there on. So Newton steps follow there, too.

References
----------
Madsen, K. and Nielsen, H. B., "A finite smoothing algorithm for linear l1 estimation", SIAM Journal on Optimization 3,
1993.
"""

from collections.abc import Iterator
from copy import copy
from functools import partial

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Step
from sklearn_sgd._engine.automatic.statistics import BUDGET, FULL, is_varying
from sklearn_sgd._engine.baseline import SAMPLE, factor_along
from sklearn_sgd._engine.cores import one_blas_thread
from sklearn_sgd._engine.kinks.directions import Directions, Mixed, Single
from sklearn_sgd._engine.kinks.elsewhere import minimum_elsewhere, most_collected
from sklearn_sgd._engine.kinks.interior import interior_minimum
from sklearn_sgd._engine.kinks.smoothed import Rows, Smoothed
from sklearn_sgd._engine.kinks.vertex import Kinks, vertex
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.passes.full_batch import level
from sklearn_sgd._engine.plan import DOUBLE, Plan
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import dtype_of, host, total

# Largest distance, in units of the typical residual; rows with kinks within the first one, for each coefficient, if it
# is not the largest; the first one in units of that which is small enough, at least; the factor by which it falls.
FARTHEST, ROWS, LESS, FALL = 0.3, 10, 0.8, 0.2

# Number of rows for each coefficient that may have kinks nearby.
MOST_ROWS = 20

# Rows for each coefficient from which full batches of a loss without kinks need few epochs; the same with an L1 term,
# whose smoothed corners need more steps.
PLENTY, PLENTY_FOR_ZEROS = 20, 3

# Maximum number of steps; for coefficients of 0 without a vertex it is larger where X has fewer entries than the last
# number.
STEPS, MORE_STEPS, ENTRIES = 50, 150, 1e8

# Share of the mean curvature that is added in all directions, since a few rows with kinks nearby may lack some. After a
# step that was longer than this length, by the line search, it is smaller by such a factor; after shorter ones it grows
# again, but not beyond, where the decrement would not show what is missing.
SHARE, LONG, SHORT, LESS_SHARE, MORE_SHARE = 1e-4, 4.0, 0.25, 0.01, 10.0

# Amount by which coefficients of 0 may raise the objective, as a share of what is enough; the same at a vertex, where
# rounding hides them.
ZEROS, ROUNDING = 0.02, 1e-9

# Distance to the minimum of the smoothed objective, in units of what smoothing may cost, at which h falls. The cost at
# the end, as a share of what is enough: where the minimum is flat, parameters are not near it before.
# Coefficients of 0 show later than the minimum, without a vertex.
NEAR, LITTLE, LITTLE_FOR_ZEROS = 0.05, 0.1, 1e-3

# Spread along a direction that is not due to rounding, in units of the precision of its terms.
CLOSE = 8.0


def directions_to_minimum(plan: Plan, state: State) -> Directions | None:
    """Return directions in which columns have variance 1, if the minimum can be sought in this way; else None.

    Without an L1 term, and where covariances are kept, columns are also uncorrelated in them.
    """
    formulas, step = plan.formulas, state.step
    if step is None or not (formulas.has_kinks or _is_straight_for_most(plan)):
        return None
    if not formulas.is_smooth or step.geometry is None:
        return _single(plan, step, state.centre) if formulas.is_smooth or formulas.penalty.bounded_terms else None
    return Mixed(step.geometry.root(), step.geometry.null_directions())


def _with_shown(plan: Plan, state: State, directions: Directions) -> Directions:
    """Return the directions with those that were left out although rows vary along them by more than rounding.

    The covariances show squares only. A triangular factor of the rows has twice as many digits. It takes longer, and is
    not needed where rows do not vary along the null directions.
    """
    if not isinstance(directions, Mixed) or not directions.null.shape[1]:
        return directions
    assert state.step is not None
    variance, centre = state.step.variance, state.centre
    sizes = CLOSE * np.finfo(np.float64).eps * _sizes(state)

    def varying(matrix: np.ndarray) -> np.ndarray:
        factor, weight = factor_along(plan.data, plan.row_indices, plan.X, centre, matrix)
        values, vectors = np.linalg.svd(factor / np.sqrt(weight), full_matrices=False)[1:]
        matrix = matrix @ vectors.T
        varies = values > np.max(values, initial=1.0) * (sizes @ abs(matrix))
        return matrix[:, varies] / values[varies]

    if not varying(directions.null).shape[1]:
        return directions
    columns = np.flatnonzero(is_varying(variance, centre))
    single = np.zeros((len(variance), len(columns)))
    single[columns, range(len(columns))] = 1.0 / np.sqrt(variance[columns])
    return Mixed(varying(single), directions.null[:, :0])


def _is_straight_for_most(plan: Plan) -> bool:
    """Return whether a loss without kinks may be nearly straight at most rows, and steps on all of them cost little."""
    formulas, n_columns = plan.formulas, plan.X.shape[1]
    few = (PLENTY if formulas.is_smooth else PLENTY_FOR_ZEROS) * (n_columns + 1)
    return formulas.has_bounded_slopes and n_columns <= FULL and plan.n_rows < few and not plan.is_remote


def _single(plan: Plan, step: Step, centre: np.ndarray) -> Single | None:
    """Return the columns that vary; None if products of the rows with kinks nearby would take too long."""
    varies = np.flatnonzero(is_varying(step.variance, centre))
    n_rows = most_collected(plan) if plan.is_remote else min(plan.n_rows, MOST_ROWS * (len(varies) + 1))
    if n_rows * len(varies) ** 2 > 2.0 * BUDGET:
        return None
    return Single(varies, np.sqrt(step.variance[varies]), len(step.variance))


def smoothed_minimum(
    plan: Plan, state: State, directions: Directions, enough: float, limit: Limit
) -> tuple[np.ndarray, float]:
    """Return parameters from those of a state on, and the amount by which they may exceed the minimum, at most.

    It is inf if no bound is known. It includes what rounding of the coefficients to the precision of X costs. At the
    limit the best parameters so far are returned.
    """
    w = host(state.vectors.average).astype(np.float64)
    with np.errstate(all="ignore"), one_blas_thread():
        directions = _with_shown(plan, state, directions)
        if plan.is_remote:
            return minimum_elsewhere(plan, state, directions, w, enough, limit, _minimum)
        problem, dtype = Smoothed(plan, Rows.of(plan), state.centre, directions, limit), dtype_of(plan.X)
        found, missing = _minimum(problem, w, enough)
        if dtype == DOUBLE:
            return found, missing
        # Along directions that rounding hides, other parameters may be better once their coefficients are rounded.
        bound = problem.objective_at(found) - missing
        least = problem.objective_at(_rounded(found, dtype))
        if least - bound > enough:
            some = directions.with_digits(_sizes(state), float(np.finfo(dtype).eps))
            problem, others = Smoothed(plan, problem.rows, state.centre, some, limit), [w]
            if some.number:
                others.append(_minimum(problem, w, enough)[0])
            for at in others:
                if (value := problem.objective_at(_rounded(at, dtype))) < least:
                    found, least = at, value
        return found, least - bound


def _rounded(w: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return parameters whose coefficients are rounded to a precision."""
    return np.append(w[:-1].astype(dtype), w[-1])


def _sizes(state: State) -> np.ndarray:
    """Return the sizes of the entries of each column."""
    assert state.step is not None
    return np.hypot(np.sqrt(state.step.variance), state.centre)


def _minimum(problem: Smoothed, w: np.ndarray, enough: float) -> tuple[np.ndarray, float]:
    """Return parameters from w on, and the amount by which they may exceed the minimum, at most; inf if unknown."""
    has_few = len(problem.y) < ROWS * (problem.directions.number + 1)
    kinks = Kinks.of(problem, problem.predictions(w)) if problem.has_corners or has_few else None
    has_vertex = kinks is not None and problem.has_corners and not problem.ridge_term
    missing = np.inf
    if kinks and has_few:
        w, missing = _better(problem, w, *interior_minimum(problem, kinks, w, LITTLE * enough), enough)
    if missing > enough:
        little = LITTLE if has_vertex or not problem.has_corners else LITTLE_FOR_ZEROS
        before, (w, other) = problem.objective_at(w), _descend(problem, w, enough, little * enough)
        missing = min(other, missing - (before - problem.objective_at(w)))
        if missing > enough and not has_few and (kinks := kinks or Kinks.of(problem, problem.predictions(w))):
            w, missing = _better(problem, w, *interior_minimum(problem, kinks, w, LITTLE * enough), enough)
    if not problem.has_corners:
        return w, missing
    most = ZEROS * enough
    if kinks and has_vertex:
        there, is_least = vertex(problem, kinks, w)
        there = problem.allowed(there)
        if is_least or problem.objective_at(there) < problem.objective_at(w):
            w, missing, most = there, 0.0 if is_least else missing, ROUNDING * enough
    return problem.with_zeros(w, most), missing


def _better(
    problem: Smoothed, w: np.ndarray, there: np.ndarray, missing: float, enough: float
) -> tuple[np.ndarray, float]:
    """Return the better ones of two parameters, and what they may miss; ``missing`` is that of the latter ones."""
    there = problem.allowed(there)
    excess = problem.objective_at(w) - problem.objective_at(there)
    w, missing = (there, missing) if excess >= 0.0 else (w, missing + excess)
    # A bound that is clearly above an objective is one of rounding.
    return w, missing if missing >= -enough else np.inf


def _descend(problem: Smoothed, w: np.ndarray, enough: float, little: float) -> tuple[np.ndarray, float]:
    """Return the best parameters of the Newton steps, and what is missing there; inf if none came near the minimum."""
    best, least, bound = w, problem.objective_at(w), problem.floor
    if least - bound > (little if problem.has_corners else enough):
        with problem.limit.noting_interrupts():
            for there, objective, below in _newton_steps(problem, w, enough, little):
                bound = max(bound, below)
                if objective < least:
                    best, least = there, objective
    return best, least - bound if least - bound <= enough else np.inf


def _newton_steps(
    problem: Smoothed, w: np.ndarray, enough: float, little: float
) -> Iterator[tuple[np.ndarray, float, float]]:
    """Yield parameters after each Newton step, their objective, and a bound below the minimum.

    The minimum is missing by at most what smoothing costs, and by half the fall along a step to the smoothed minimum.
    """
    z = problem.predictions(w)
    there, objective = w, problem.objective(w, z)
    distance, curvature, share = _first_distance(problem, z, little), 0.0, SHARE
    more = min(MORE_STEPS, int(ENTRIES / (len(z) * len(w)))) if little < LITTLE * enough else 0
    for _ in range(STEPS + more if problem.has_slopes(z, distance) else 0):
        if problem.limit.is_over():
            return
        curvatures = problem.curvatures(z, distance)
        g, sum_of_curvatures = problem.gradient(w, z, distance), total(curvatures)
        # At parameters without kinks nearby the curvature is that of before.
        curvature = sum_of_curvatures or curvature
        bends = problem.bends(w, distance)
        d = problem.newton_step(g, curvatures, problem.ridge(w, distance) + bends, share * curvature)
        costs = sum_of_curvatures + float(np.sum(np.square(problem.units) * bends))
        fall, cost = float(g @ d), 0.25 * distance * distance * costs
        if not np.isfinite(fall):
            return
        if cost + 0.5 * fall <= enough:
            yield there, objective, objective - cost - 0.5 * fall
        if 0.5 * fall <= NEAR * max(cost, little):
            if cost <= little:
                return
            distance *= FALL
            continue
        along = problem.predictions(d)
        length = level(partial(problem.slope, w, z, d, along, distance), 1.0, fall)
        share = min(SHARE, share * (LESS_SHARE if length > LONG else MORE_SHARE if length < SHORT else 1.0))
        w, z = w - length * d, z - length * along
        there = problem.allowed(w)
        objective = problem.objective_at(there) if problem.is_bounded else problem.objective(w, z)
        yield there, objective, -np.inf


def _first_distance(problem: Smoothed, z: np.ndarray, enough: float) -> float:
    """Return the distance to begin with, from a sample: that which is small enough, if it shows enough kinks."""
    every = max(1, len(z) // SAMPLE)
    some, z = copy(problem), z[::every]
    some.y, some.share = problem.y[::every], problem.share[::every] * every
    farthest = FARTHEST * some.typical_residual(z)
    curvatures = some.curvatures(z, farthest)
    near = every * int(np.count_nonzero(curvatures))
    for_rows = farthest * ROWS * (some.directions.number + 1) / max(near, 1)
    for_cost = LESS * 2.0 * np.sqrt(enough / max(total(curvatures), 1e-300))
    return min(farthest, max(for_rows, for_cost))
