"""The minimum of a loss with kinks on all rows, with a smooth penalty: Newton steps on smoothed losses.

Where the slope l' of a loss l jumps, curvatures at the predictions do not show how far a step should go. The mean of
the loss over the predictions within a distance h is smooth. Its slope is (l(p + h) - l(p - h)) / 2h, its curvature
(l'(p + h) - l'(p - h)) / 2h. For the absolute error it is Huber's loss. Only rows with a kink within h have a
curvature, so that a step costs little more than a gradient. The minimum of the smoothed objective exceeds that of the
objective by at most h**2 / 4 times the mean curvature, which is the gap to a dual solution. So h falls until this is
little enough.

References
----------
Madsen, K. and Nielsen, H. B., "A finite smoothing algorithm for linear l1 estimation", SIAM Journal on Optimization 3,
1993.
"""

from collections.abc import Iterator
from copy import copy
from functools import partial
from typing import Any

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.geometry import Geometry
from sklearn_sgd._engine.automatic.on_device import measure_there
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, measure
from sklearn_sgd._engine.baseline import BLOCK, SAMPLE, targets_and_weights
from sklearn_sgd._engine.cores import one_blas_thread
from sklearn_sgd._engine.passes.full_batch import level
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import doubled, dtype_of, host, is_foreign, like, scratch_rows, take, total

# Largest distance, in units of the typical residual; rows with kinks within the first one, for each coefficient, if it
# is not the largest; the first one in units of that which is small enough, at least; the factor by which it falls.
FARTHEST, ROWS, LESS, FALL = 0.3, 10, 0.8, 0.2

# Maximum number of steps.
STEPS = 50

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

# Distance to the minimum of the smoothed objective, in units of what smoothing may cost, at which h falls. The cost at
# the end, as a share of what is enough: where the minimum is flat, parameters are not near it before.
NEAR, LITTLE = 0.05, 0.1


def has_smoothed_minimum(plan: Plan, state: State) -> bool:
    """Return whether the minimum can be sought in this way.

    Rows must be in this process, and their covariances kept. Reweighting decides about nearly dependent columns.
    """
    if not (plan.formulas.has_kinks and plan.formulas.is_smooth) or plan.is_remote:
        return False
    geometry = state.step and state.step.geometry
    if not geometry:
        return False
    return geometry.without_dependent(dtype_of(plan.X)).n_directions == np.count_nonzero(geometry.scale)


class Smoothed:
    """The smoothed objective of a plan, with parameters in the centre of a state.

    X stays on its device. Predictions and slopes of the rows are computed in NumPy.
    """

    def __init__(self, plan: Plan, state: State, geometry: Geometry):
        self.plan, self.loss, self.penalty = plan, plan.parts.loss, plan.parts.penalty
        self.centre, self.bias = state.centre, float(plan.data.rows.bias)
        self.y, s = map(host, targets_and_weights(plan.data, plan.used))
        self.share = s / total(s)
        # Directions in which the columns are uncorrelated and have variance 1.
        self.directions = geometry.without_dependent(dtype_of(plan.X)).root()

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
        slopes, g = self._slopes(z, distance), np.zeros(len(w))
        for some, rows in self._blocks():
            g[:-1] += host(like(slopes[some], rows) @ rows)
        sum_of_slopes = total(slopes)
        g[:-1] += self.penalty.gradient(w[:-1]) - sum_of_slopes * self.centre
        g[-1] = self.bias * sum_of_slopes
        return g

    def slope(
        self, w: np.ndarray, z: np.ndarray, d: np.ndarray, along: np.ndarray, distance: float, length: float
    ) -> float:
        """Return the slope of the smoothed objective after a step, in its direction."""
        pull = self.penalty.gradient(w[:-1] - length * d[:-1])
        return -float(self._slopes(z - length * along, distance) @ along + np.sum(pull * d[:-1]))

    def _columns(self, bent: np.ndarray, curvatures: np.ndarray) -> ColumnStatistics:
        """Return the statistics of some rows, by their numbers, with such weights."""
        X, centred = self.plan.X, bool(self.bias)
        if is_foreign(X):
            rows = take(X, bent)
            return measure_there(rows, like(curvatures, doubled(rows[:1, 0])), centred)[0]
        weight = np.zeros(X.shape[0])
        weight[bent] = curvatures
        return measure(X, bent, weight, centred)

    def ridge(self, w: np.ndarray, reach: float) -> np.ndarray:
        """Return the curvature of the penalty; a user's may depend on the coefficients."""
        if self.plan.formulas.pulls_linearly:
            return self.penalty.gradient(np.ones(len(w) - 1)) * np.ones(len(w) - 1)
        near = REACH * (abs(w[:-1]) + reach * np.sqrt(np.sum(np.square(self.directions), axis=1)))
        return (self.penalty.gradient(w[:-1] + near) - self.penalty.gradient(w[:-1] - near)) / (2.0 * near)

    def newton_step(self, g: np.ndarray, curvatures: np.ndarray, ridge: np.ndarray, added: float) -> np.ndarray:
        """Return the Newton step for a gradient, with a curvature added in all directions; NaN if rounding hides it."""
        bent, kept, k = np.flatnonzero(curvatures), self.plan.row_indices, self.directions.shape[1]
        system = added * np.eye(k + 1)
        if len(bent):
            columns = self._columns(bent if kept is None else kept[bent], curvatures[bent])
            aside = self.bias * np.append((columns.mean - self.centre) @ self.directions, 1.0)
            system[:k, :k] += self.directions.T @ columns.moment @ self.directions
            system += columns.weight * np.outer(aside, aside)
        system[:k, :k] += self.directions.T @ (ridge[:, None] * self.directions)
        side = np.append(g[:-1] @ self.directions, g[-1])
        _, d, refused = linalg.lapack.dposv(system, side)
        if refused:
            return np.full(len(g), np.nan)
        return np.append(self.directions @ d[:k], d[k])


def smoothed_minimum(plan: Plan, state: State, enough: float) -> tuple[np.ndarray, bool]:
    """Return parameters from those of a state on, and whether they are at most ``enough`` above the minimum."""
    assert state.step is not None
    assert state.step.geometry is not None
    problem, w = Smoothed(plan, state, state.step.geometry), host(state.vectors.average).astype(np.float64)
    with np.errstate(all="ignore"), one_blas_thread():
        z = problem.predictions(w)
        best, least = w, problem.objective(w, z)
        little, is_near = LITTLE * enough, False
        distance, curvature, share = _first_distance(problem, z, little), 0.0, SHARE
        if not problem.has_slopes(z, distance):
            return w, False
        for _ in range(STEPS if least > enough else 0):
            curvatures = problem.curvatures(z, distance)
            g, sum_of_curvatures = problem.gradient(w, z, distance), total(curvatures)
            # At parameters without kinks nearby the curvature is that of before.
            curvature = sum_of_curvatures or curvature
            d = problem.newton_step(g, curvatures, problem.ridge(w, distance), share * curvature)
            fall, cost = float(g @ d), 0.25 * distance * distance * sum_of_curvatures
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
            if (objective := problem.objective(w, z)) < least:
                best, least = w, objective
    return best, is_near or least <= enough


def _first_distance(problem: Smoothed, z: np.ndarray, enough: float) -> float:
    """Return the distance to begin with, from a sample: that which is small enough, if it shows enough kinks."""
    every = max(1, len(z) // SAMPLE)
    some, z = copy(problem), z[::every]
    some.y, some.share = problem.y[::every], problem.share[::every] * every
    farthest = FARTHEST * some.typical_residual(z)
    curvatures = some.curvatures(z, farthest)
    for_rows = farthest * ROWS * (some.directions.shape[1] + 1) / max(every * np.count_nonzero(curvatures), 1)
    for_cost = LESS * 2.0 * np.sqrt(enough / max(total(curvatures), 1e-300))
    return min(farthest, max(for_rows, for_cost))
