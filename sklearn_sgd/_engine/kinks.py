"""The minimum of a loss with kinks on all rows, with a smooth penalty or an L1 term: Newton steps on smoothed losses.

Where the slope l' of a loss l jumps, curvatures at the predictions do not show how far a step should go. The mean of
the loss over the predictions within a distance h is smooth. Its slope is (l(p + h) - l(p - h)) / 2h, its curvature
(l'(p + h) - l'(p - h)) / 2h. For the absolute error it is Huber's loss. Only rows with a kink within h have a
curvature, so that a step costs little more than a gradient. The minimum of the smoothed objective exceeds that of the
objective by at most h**2 / 4 times the mean curvature, which is the gap to a dual solution. So h falls until this is
little enough. An L1 term is smoothed in the same way: over a coefficient that changes predictions by h. If this
makes the objective piecewise linear, its minimum is at a vertex nearby.

With few rows for each column, most of them have a kink within h until the end. The minimum is then found by an
interior-point method, as it is where h falls too slowly, if the loss is straight between its kinks.

References
----------
Madsen, K. and Nielsen, H. B., "A finite smoothing algorithm for linear l1 estimation", SIAM Journal on Optimization 3,
1993.
"""

from bisect import bisect_left
from collections.abc import Iterator
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.preconditioner import is_varying
from sklearn_sgd._engine.automatic.statistics import BUDGET
from sklearn_sgd._engine.baseline import BLOCK, SAMPLE, targets_and_weights
from sklearn_sgd._engine.cores import map_on_cores, one_blas_thread
from sklearn_sgd._engine.directions import Directions, Mixed, Single
from sklearn_sgd._engine.interior import interior_minimum
from sklearn_sgd._engine.passes.full_batch import level
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.traits import ElasticNetTerms
from sklearn_sgd._engine.vertex import Kinks, vertex
from sklearn_sgd._namespace import doubled, dtype_of, host, is_foreign, like, scratch_rows, take, total

# Largest distance, in units of the typical residual; rows with kinks within the first one, for each coefficient, if it
# is not the largest; the first one in units of that which is small enough, at least; the factor by which it falls.
FARTHEST, ROWS, LESS, FALL = 0.3, 10, 0.8, 0.2

# Entries of rows from which their products are summed in segments for threads, and maximum number of these.
SEGMENT, SEGMENTS = 1 << 18, 8

# Maximum number of steps; for coefficients of 0 without a vertex it is larger where X has fewer entries than the last
# number.
STEPS, MORE_STEPS, ENTRIES = 50, 150, 1e8

# Share of the mean curvature that is added in all directions, since a few rows with kinks nearby may lack some. After a
# step that was longer than this length, by the line search, it is smaller by such a factor; after shorter ones it grows
# again, but not beyond, where the decrement would not show what is missing.
SHARE, LONG, SHORT, LESS_SHARE, MORE_SHARE = 1e-4, 4.0, 0.25, 0.01, 10.0

# Number of rows and of places within the distance at which slopes are compared; the largest difference, as a share of
# the slopes.
FEW, PLACES, UNLIKE = 1000, 64, 0.05

# Distance within which the curvature of a penalty is measured, in units of coefficients that change predictions by the
# distance for the loss.
REACH = 1e-4

# The slope that keeps coefficients positive, in units of the largest one of the loss.
STEEP = 2.0

# Amount by which coefficients of 0 may raise the objective, as a share of what is enough; the same at a vertex, where
# rounding hides them.
ZEROS, ROUNDING = 0.02, 1e-9

# Distance to the minimum of the smoothed objective, in units of what smoothing may cost, at which h falls. The cost at
# the end, as a share of what is enough: where the minimum is flat, parameters are not near it before.
# Coefficients of 0 show later than the minimum, without a vertex.
NEAR, LITTLE, LITTLE_FOR_ZEROS = 0.05, 0.1, 1e-3


def terms_of(plan: Plan) -> ElasticNetTerms | None:
    """Return the terms of a penalty of the elastic net family, also with coefficients that must be positive."""
    formulas = plan.formulas
    return formulas.terms or (formulas.penalty.terms_above_0 if formulas.has_bounded_slopes else None)


def directions_to_minimum(plan: Plan, state: State) -> Directions | None:
    """Return directions in which columns have variance 1, if the minimum can be sought in this way; else None.

    Rows must be in this process. Without an L1 term, and where covariances are kept, columns are also uncorrelated in
    them: reweighting decides about nearly dependent columns.
    """
    formulas, step = plan.formulas, state.step
    if plan.is_remote or step is None or not formulas.has_kinks:
        return None
    if not formulas.is_smooth or step.geometry is None:
        varies = np.flatnonzero(is_varying(step.variance, state.centre))
        if not (formulas.is_smooth or terms_of(plan)) or plan.n_rows * len(varies) ** 2 > 2.0 * BUDGET:
            return None
        return Single(varies, np.sqrt(step.variance[varies]), len(step.variance))
    if step.geometry.has_dependent(dtype_of(plan.X)):
        return None
    return Mixed(step.geometry.without_dependent(dtype_of(plan.X)).root())


class Smoothed:
    """The smoothed objective of a plan, with parameters in the centre of a state.

    X stays on its device. Predictions and slopes of the rows are computed in NumPy.
    """

    def __init__(self, plan: Plan, state: State, directions: Directions):
        self.plan, self.loss, self.penalty = plan, plan.parts.loss, plan.parts.penalty
        self.centre, self.bias = state.centre, float(plan.data.rows.bias)
        self.y, s = map(host, targets_and_weights(plan.data, plan.used))
        self.share = s / total(s)
        self.directions = directions
        # Changes of the coefficients that change predictions by 1.
        self.units = directions.units
        # Slopes of the penalty below and above 0, where it has a corner. Below the least positive coefficient it rises
        # faster than any loss falls.
        formulas = plan.formulas
        self.is_positive, self.has_corners = formulas.penalty.terms_above_0 is not None, not formulas.is_smooth
        terms = terms_of(plan) if self.has_corners else None
        self.ridge_term, lasso = terms or (0.0, 0.0)
        self.above = np.full(len(self.units), lasso)
        self.below = -self.above
        if self.is_positive:
            far = 1.0 + np.max(abs(self.y))
            steepest = max(np.max(abs(self.loss.gradient(self.y, self.y + place))) for place in (-far, far))
            self.below = -np.divide(STEEP * steepest, self.units, out=-self.below, where=self.units > 0.0)

    def _blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield the positions of some rows, and the rows in double precision."""
        n = len(self.y)
        count_rows(n)
        X, kept = self.plan.X, self.plan.row_indices
        size = max(BLOCK, scratch_rows(X)) if is_foreign(X) else BLOCK
        for start in range(0, n, size):
            some = slice(start, min(start + size, n))
            yield some, doubled(take(X, some if kept is None else kept[some]))

    def predictions(self, w: np.ndarray) -> np.ndarray:
        """Return the raw predictions of all rows."""
        constant = self.bias * w[-1] - self.centre @ w[:-1]
        return np.concatenate([host(rows @ like(w[:-1], rows)) + constant for _, rows in self._blocks()])

    def objective(self, w: np.ndarray, z: np.ndarray) -> float:
        """Return the objective, not smoothed, of parameters with the predictions z."""
        return float(self.share @ self.loss.value(self.y, z)) + self.plan.penalty_value(w)

    def objective_at(self, w: np.ndarray) -> float:
        """Return the objective, not smoothed, of parameters that are allowed."""
        return self.objective(w, self.predictions(w))

    def allowed(self, w: np.ndarray) -> np.ndarray:
        """Return the nearest parameters that are allowed."""
        return np.append(np.maximum(w[:-1], 0.0), w[-1]) if self.is_positive else w

    def typical_residual(self, z: np.ndarray) -> float:
        """Return the ratio of the mean loss to its mean slope."""
        slope = float(self.share @ abs(self.loss.gradient(self.y, z)))
        return float(self.share @ self.loss.value(self.y, z)) / max(slope, 1e-300)

    def has_slopes(self, z: np.ndarray, distance: float) -> bool:
        """Return whether the gradients of the loss are slopes of its values; a user's loss may have others."""
        y, p = self.y[:: max(1, len(z) // FEW)], z[:: max(1, len(z) // FEW)]
        places = distance * (2.0 * (np.arange(PLACES) + 0.5) / PLACES - 1.0)
        slopes = np.array([self.loss.gradient(y, p + place) for place in places])
        rises = (self.loss.value(y, p + distance) - self.loss.value(y, p - distance)) / (2.0 * distance)
        return bool(np.sum(abs(slopes.mean(axis=0) - rises)) <= UNLIKE * np.sum(abs(slopes)) / PLACES)

    def curvatures(self, z: np.ndarray, distance: float) -> np.ndarray:
        """Return the curvatures of the rows' smoothed losses."""
        bends = self.loss.gradient(self.y, z + distance) - self.loss.gradient(self.y, z - distance)
        return self.share * np.maximum(bends, 0.0) / (2.0 * distance)

    def _slopes(self, z: np.ndarray, distance: float) -> np.ndarray:
        rises = self.loss.value(self.y, z + distance) - self.loss.value(self.y, z - distance)
        return self.share * rises / (2.0 * distance)

    def gradient(self, w: np.ndarray, z: np.ndarray, distance: float) -> np.ndarray:
        """Return the gradient of the smoothed objective."""
        g = self.pulled(self._slopes(z, distance))
        g[:-1] += self.pull(w[:-1], distance)
        return g

    def pulled(self, slopes: np.ndarray) -> np.ndarray:
        """Return the gradient of the loss for slopes of the rows."""
        sum_of_slopes = total(slopes)
        g = np.append(-sum_of_slopes * self.centre, self.bias * sum_of_slopes)
        for some, rows in self._blocks():
            g[:-1] += host(like(slopes[some], rows) @ rows)
        return g

    def slope(
        self, w: np.ndarray, z: np.ndarray, d: np.ndarray, along: np.ndarray, distance: float, length: float
    ) -> float:
        """Return the slope of the smoothed objective after a step, in its direction."""
        pull = self.pull(w[:-1] - length * d[:-1], distance)
        return -float(self._slopes(z - length * along, distance) @ along + np.sum(pull * d[:-1]))

    def pull(self, w: np.ndarray, distance: float) -> np.ndarray:
        """Return the gradient of the smoothed penalty."""
        reach = distance * self.units
        share = np.clip(np.divide(w, reach, out=np.zeros(len(w)), where=reach > 0.0), -1.0, 1.0)
        return self.penalty.gradient(w) + 0.5 * (self.above + self.below + (self.above - self.below) * share)

    def bends(self, w: np.ndarray, distance: float) -> np.ndarray:
        """Return the curvatures of the smoothed corners."""
        reach = distance * self.units
        near = (abs(w[:-1]) < reach) & (reach > 0.0)
        return np.divide(0.5 * (self.above - self.below), reach, where=near, out=np.zeros(len(reach)))

    def with_zeros(self, w: np.ndarray, most: float) -> np.ndarray:
        """Return parameters with as many of the smallest coefficients at 0 as raise the objective by ``most``."""
        sizes = np.divide(abs(w[:-1]), self.units, out=np.zeros(len(w) - 1), where=self.units > 0.0)
        order, least = np.argsort(sizes, kind="stable"), self.objective_at(w)

        def with_some(number: int) -> np.ndarray:
            zeros = w.copy()
            zeros[order[:number]] = 0.0
            return zeros

        def rises(number: int) -> bool:
            return not self.objective_at(with_some(number)) <= least + most

        return with_some(bisect_left(range(1, len(w)), True, key=rises))

    def ridge(self, w: np.ndarray, reach: float) -> np.ndarray:
        """Return the curvature of the penalty; a user's may depend on the coefficients."""
        if self.plan.formulas.pulls_linearly:
            return self.penalty.gradient(np.ones(len(w) - 1)) * np.ones(len(w) - 1)
        near = REACH * (abs(w[:-1]) + reach * self.units)
        return (self.penalty.gradient(w[:-1] + near) - self.penalty.gradient(w[:-1] - near)) / (2.0 * near)

    def system_of_rows(self, curvatures: np.ndarray) -> np.ndarray:
        """Return the second derivatives of the losses along the directions and the intercept."""
        bent, k = np.flatnonzero(curvatures), self.directions.number + 1
        size = max(SEGMENT // k, -(-len(bent) // SEGMENTS))

        def of_segment(start: int) -> np.ndarray:
            system = np.zeros((k, k))
            for first in range(start, min(start + size, len(bent)), BLOCK):
                some = bent[first : min(first + BLOCK, start + size)]
                along = self.rows_along(some)
                along *= np.sqrt(curvatures[some, None])
                system += along.T @ along
            return system

        system = np.zeros((k, k))
        for part in map_on_cores(of_segment, range(0, len(bent), size)):
            system += part
        return system

    def rows_along(self, some: np.ndarray) -> np.ndarray:
        """Return some rows along the directions, and the intercept."""
        kept = self.plan.row_indices
        rows = doubled(take(self.plan.X, some if kept is None else kept[some]))
        return np.column_stack((self.directions.rows(rows, self.centre), np.full(len(some), self.bias)))

    def newton_step(self, g: np.ndarray, curvatures: np.ndarray, ridge: np.ndarray, added: float) -> np.ndarray:
        """Return the Newton step for a gradient, with a curvature added in all directions; NaN if rounding hides it."""
        k = self.directions.number
        system = added * np.eye(k + 1) + self.system_of_rows(curvatures)
        system[:k, :k] += self.directions.curvatures(ridge)
        side = np.append(self.directions.slopes(g[:-1]), g[-1])
        _, d, refused = linalg.lapack.dposv(system, side)
        if refused:
            return np.full(len(g), np.nan)
        return np.append(self.directions.coefficients(d[:k]), d[k])


def smoothed_minimum(plan: Plan, state: State, directions: Directions, enough: float) -> tuple[np.ndarray, float]:
    """Return parameters from those of a state on, and the amount by which they may exceed the minimum, at most."""
    problem, w = Smoothed(plan, state, directions), host(state.vectors.average).astype(np.float64)
    with np.errstate(all="ignore"), one_blas_thread():
        has_few = len(problem.y) < ROWS * (directions.number + 1)
        kinks = Kinks.of(problem, problem.predictions(w)) if problem.has_corners or has_few else None
        has_vertex = kinks is not None and problem.has_corners and not problem.ridge_term
        missing = np.inf
        if kinks and has_few:
            w, missing = _better(problem, w, *interior_minimum(problem, kinks, w, LITTLE * enough))
        if missing > enough:
            little = LITTLE if has_vertex or not problem.has_corners else LITTLE_FOR_ZEROS
            w, is_near = _descend(problem, w, enough, little * enough)
            missing = enough if is_near else np.inf
            if not (is_near or has_few) and (kinks := kinks or Kinks.of(problem, problem.predictions(w))):
                w, missing = _better(problem, w, *interior_minimum(problem, kinks, w, LITTLE * enough))
        if not problem.has_corners:
            return w, missing
        most = ZEROS * enough
        if kinks and has_vertex:
            there, is_least = vertex(problem, kinks, w)
            there = problem.allowed(there)
            if is_least or problem.objective_at(there) < problem.objective_at(w):
                w, missing, most = there, 0.0 if is_least else missing, ROUNDING * enough
        return problem.with_zeros(w, most), missing


def _better(problem: Smoothed, w: np.ndarray, there: np.ndarray, missing: float) -> tuple[np.ndarray, float]:
    """Return the better ones of two parameters, and what they may miss; ``missing`` is that of the latter ones."""
    there = problem.allowed(there)
    excess = problem.objective_at(w) - problem.objective_at(there)
    return (w, missing + excess) if excess < 0.0 else (there, missing)


def _descend(problem: Smoothed, w: np.ndarray, enough: float, little: float) -> tuple[np.ndarray, bool]:
    """Return the best parameters of the Newton steps, and whether they are near enough."""
    z = problem.predictions(w)
    best, least = w, problem.objective(w, z)
    distance, curvature, share, is_near = _first_distance(problem, z, little), 0.0, SHARE, False
    if not problem.has_slopes(z, distance):
        return w, False
    more = min(MORE_STEPS, int(ENTRIES / (len(z) * len(w)))) if little < LITTLE * enough else 0
    for _ in range(STEPS + more if least > (little if problem.has_corners else enough) else 0):
        curvatures = problem.curvatures(z, distance)
        g, sum_of_curvatures = problem.gradient(w, z, distance), total(curvatures)
        # At parameters without kinks nearby the curvature is that of before.
        curvature = sum_of_curvatures or curvature
        bends = problem.bends(w, distance)
        d = problem.newton_step(g, curvatures, problem.ridge(w, distance) + bends, share * curvature)
        costs = sum_of_curvatures + float(np.sum(np.square(problem.units) * bends))
        fall, cost = float(g @ d), 0.25 * distance * distance * costs
        if not np.isfinite(fall):
            break
        is_near = is_near or (cost <= enough and 0.5 * fall <= NEAR * enough)
        if 0.5 * fall <= NEAR * max(cost, little):
            if cost <= little:
                return best, True
            distance *= FALL
            continue
        along = problem.predictions(d)
        length = level(partial(problem.slope, w, z, d, along, distance), 1.0, fall)
        share = min(SHARE, share * (LESS_SHARE if length > LONG else MORE_SHARE if length < SHORT else 1.0))
        w, z = w - length * d, z - length * along
        there = problem.allowed(w)
        objective = problem.objective_at(there) if problem.is_positive else problem.objective(w, z)
        if objective < least:
            best, least = there, objective
    return best, is_near or least <= enough


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
