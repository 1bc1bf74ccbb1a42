"""The objective of rows with a loss that has kinks, smoothed over a distance of the predictions."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.baseline import BLOCK, targets_and_weights
from sklearn_sgd._engine.cores import map_on_cores
from sklearn_sgd._engine.kinks.directions import Directions
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import doubled, host, is_foreign, like, scratch_rows, take, total

# Entries of rows from which their products are summed in segments for threads, and maximum number of these.
SEGMENT, SEGMENTS = 1 << 18, 8

# Maximum number of entries of rows along the directions that are kept, so that they are computed once.
KEPT = 1 << 23

# Number of rows and of places within the distance at which slopes are compared; the largest difference, as a share of
# the slopes.
FEW, PLACES, UNLIKE = 1000, 64, 0.05

# Distance within which the curvature of a penalty is measured, in units of coefficients that change predictions by the
# distance for the loss.
REACH = 1e-4

# The slope beyond a bound, in units of the largest one of the loss.
STEEP = 2.0


class Corner(NamedTuple):
    """Corners of a penalty, one of each coefficient: their places, and the slopes that they add below and above."""

    places: np.ndarray
    below: np.ndarray
    above: np.ndarray


class Rows(NamedTuple):
    """Rows of X in this process, their targets, and their shares of the total weight.

    The loss of all other rows is linear: ``rest`` is its gradient with respect to coefficients and intercept.
    """

    X: Any
    kept: np.ndarray | None
    y: np.ndarray
    share: np.ndarray
    rest: np.ndarray | float = 0.0
    constant: float = 0.0

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Return the rows of a plan."""
        y, s = map(host, targets_and_weights(plan.data, plan.used))
        return cls(plan.X, plan.row_indices, y, s / total(s))


class Smoothed:
    """The smoothed objective of rows with the parts of a plan; parameters are in a centre.

    X stays on its device. Predictions and slopes of the rows are computed in NumPy.
    """

    def __init__(self, plan: Plan, rows: Rows, centre: np.ndarray, directions: Directions, limit: Limit):
        self.limit = limit
        self.along: np.ndarray | None = None
        self.plan, self.loss, self.penalty = plan, plan.parts.loss, plan.parts.penalty
        self.centre, self.bias = centre, float(plan.data.rows.bias)
        self.rows, self.y, self.share, self.directions = rows, rows.y, rows.share, directions
        self.rest = rows.rest + np.zeros(len(centre) + 1)
        # No loss is below 0, but the tangents of other rows may be.
        self.floor = -np.inf if self.rest.any() else 0.0
        # Changes of the coefficients that change predictions by 1.
        self.units = directions.units
        self.has_corners, n_columns = not plan.formulas.is_smooth, len(centre)
        known = plan.formulas.penalty.bounded_terms if self.has_corners else None
        (self.ridge_term, lasso), low, high = known or ((0.0, 0.0), -np.inf, np.inf)
        self.low, self.high = (np.full(n_columns, bound) for bound in (low, high))
        self.is_bounded = bool(np.isfinite(np.append(self.low, self.high)).any())
        self.corners = self._corners(lasso) if self.has_corners else []

    def _corners(self, lasso: float) -> "list[Corner]":
        """Return the corners of an L1 term inside bounds, beyond which the penalty rises faster than any loss falls."""
        far = 1.0 + np.max(abs(self.y))
        steepest = max(np.max(abs(self.loss.gradient(self.y, self.y + place))) for place in (-far, far))
        steep = np.divide(STEEP * steepest, self.units, out=np.zeros(len(self.units)), where=self.units > 0.0)
        has_low, has_high = np.isfinite(self.low), np.isfinite(self.high)
        # Where 0 is no inner point, the slope of the L1 term is the same everywhere, and counts at a bound.
        inside = lasso * ((self.low < 0.0) & (self.high > 0.0))
        return [
            Corner(np.zeros(len(steep)), -inside, inside),
            Corner(np.where(has_low, self.low, 0.0), -steep * has_low, lasso * (self.low >= 0.0)),
            Corner(np.where(has_high, self.high, 0.0), -lasso * (self.high <= 0.0), steep * has_high),
        ]

    def _blocks(self) -> Iterator[tuple[slice, Any]]:
        """Yield the positions of some rows, and the rows in double precision."""
        n = len(self.y)
        count_rows(n)
        X, kept = self.rows.X, self.rows.kept
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
        loss = float(self.share @ self.loss.value(self.y, z) + self.rest @ w) + self.rows.constant
        return loss + self.plan.penalty_value(w)

    def objective_at(self, w: np.ndarray) -> float:
        """Return the objective, not smoothed, of parameters that are allowed."""
        return self.objective(w, self.predictions(w))

    def allowed(self, w: np.ndarray) -> np.ndarray:
        """Return the nearest parameters that are allowed."""
        return np.append(np.clip(w[:-1], self.low, self.high), w[-1]) if self.is_bounded else w

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
        g = self.pulled(self._slopes(z, distance)) + self.rest
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
        return -float(self._slopes(z - length * along, distance) @ along + self.rest @ d + np.sum(pull * d[:-1]))

    def pull(self, w: np.ndarray, distance: float) -> np.ndarray:
        """Return the gradient of the smoothed penalty."""
        reach, g = distance * self.units, self.penalty.gradient(w) + np.zeros(len(w))
        for places, below, above in self.corners:
            share = np.divide(w - places, reach, out=np.zeros(len(w)), where=reach > 0.0)
            g += 0.5 * (above + below + (above - below) * np.clip(share, -1.0, 1.0))
        return g

    def bends(self, w: np.ndarray, distance: float) -> np.ndarray:
        """Return the curvatures of the smoothed corners."""
        reach, bends = distance * self.units, np.zeros(len(self.units))
        for places, below, above in self.corners:
            near = (abs(w[:-1] - places) < reach) & (reach > 0.0)
            bends += np.divide(0.5 * (above - below), reach, where=near, out=np.zeros(len(reach)))
        return bends

    def with_zeros(self, w: np.ndarray, most: float) -> np.ndarray:
        """Return parameters with as many of the smallest coefficients at 0 as raise the objective by ``most``."""
        sizes = np.divide(abs(w[:-1]), self.units, out=np.zeros(len(w) - 1), where=self.units > 0.0)
        order, least = np.argsort(sizes, kind="stable"), self.objective_at(w)

        def with_some(number: int) -> np.ndarray:
            zeros = w.copy()
            zeros[order[:number]] = 0.0
            return self.allowed(zeros)

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

        system, starts = np.zeros((k, k)), range(0, len(bent), size)
        # Other threads have another configuration of scikit-learn, which arrays of other libraries need.
        for part in (map if is_foreign(self.rows.X) or len(starts) < 2 else map_on_cores)(of_segment, starts):
            system += part
        return system

    def rows_along(self, some: np.ndarray) -> np.ndarray:
        """Return some rows along the directions, and the intercept."""
        if len(self.y) * (self.directions.number + 1) > KEPT:
            return self._rows_along(some)
        if self.along is None:
            self.along = self._rows_along(np.arange(len(self.y)))
        return self.along[some]

    def _rows_along(self, some: np.ndarray) -> np.ndarray:
        kept = self.rows.kept
        rows = doubled(take(self.rows.X, some if kept is None else kept[some]))
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
