"""The minimum of a piecewise linear objective by an interior-point method, with a bound on the distance to it.

Kinks with the normals N, the places t and the jumps J of the slope, and the slope g below all of them, make the linear
program: minimise ``g'v + J'r`` for ``r - q = N v - t`` and ``r, q >= 0``. Its dual is: maximise ``-t'm`` for
``g + N'm = 0`` and ``0 <= m <= J``. Newton steps lead to both at once, in some tens of iterations however many columns
there are. The difference of their values bounds the distance to the minimum. The smooth part of a penalty, which is
convex, is at least its tangent, and adds its curvature to the steps.

References
----------
Portnoy, S. and Koenker, R., "The Gaussian hare and the Laplacian tortoise: computability of squared-error versus
absolute-error estimators", Statistical Science 12, 1997.
Mehrotra, S., "On the implementation of a primal-dual interior point method", SIAM Journal on Optimization 2, 1992.
"""

from typing import Any

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.kinks.vertex import Kinks, LinearProgram

# Maximum number of iterations, and of those without progress; part of the way to the bounds that a step goes.
ITERATIONS, WITHOUT, PART = 60, 5, 0.99

# The multipliers begin inside this margin, in units of the jumps; share of the diagonal that is added to a system.
MARGIN, ADDED = 0.05, 1e-14

# Sum of slopes that is due to rounding, in units of the sum of the jumps.
LEFT = 2e-15


class Interior:
    """Parameters v, their distances r and q above and below the kinks, and the multipliers of the kinks."""

    def __init__(self, problem: Any, kinks: Kinks, w: np.ndarray):
        self.program = LinearProgram(problem, kinks)
        self.jumps = kinks.above - kinks.below
        self.v = self.program.along(w)
        # Coefficients of columns that do not vary are kept, unless they cost something.
        self.kept = np.append(np.where((problem.units > 0.0) | problem.has_corners, 0.0, w[:-1]), 0.0)
        self.base = self.program.pulled(kinks.below)
        distances = self._distances(self.program.normal_products(self.v))
        near = np.mean(abs(distances))
        self.above, self.below = np.maximum(distances, 0.0) + near, np.maximum(-distances, 0.0) + near
        # Those that make the slope of each row and each coefficient 0.
        sums = (kinks.summed(each, self.program.n_columns) for each in (kinks.below, self.jumps))
        level = kinks.spread(*(-below / jumps for below, jumps in zip(*sums, strict=True)))
        self.multipliers = self.jumps * np.clip(level, MARGIN, 1.0 - MARGIN)
        self.best, self.gap = w, np.inf

    def _distances(self, products: np.ndarray) -> np.ndarray:
        return products - self.program.kinks.places

    def minimise(self, enough: float) -> None:
        """Iterate until the best parameters are at most ``enough`` above the minimum, or while they improve."""
        without = 0
        for _ in range(ITERATIONS):
            distances = self._distances(self.program.normal_products(self.v))
            base = self.base + self.program.pull(self.v)
            missing = base + self.program.pulled(self.multipliers)
            value = base @ self.v + self.jumps @ np.maximum(distances, 0.0)
            gap = float(value + self.program.kinks.places @ self.multipliers - missing @ self.v)
            # The slopes that multipliers leave over by more than rounding, times about the distance to the minimum.
            left = max(float(np.sqrt(missing @ missing)) - LEFT * float(np.sum(self.jumps)), 0.0)
            gap += left * float(np.sqrt(np.mean(np.square(distances))))
            without = 0 if gap < 0.9 * self.gap else without + 1
            if gap < self.gap:
                self.best, self.gap = self.kept + self.program.parameters(self.v), gap
            ends = self.gap <= enough or without > WITHOUT or not np.isfinite(gap)
            if ends or self.program.problem.limit.is_over() or not self._step(distances, missing):
                break

    def _step(self, distances: np.ndarray, missing: np.ndarray) -> bool:
        """Move by a predicted and corrected Newton step; False if rounding hides it."""
        above, below, low, high = self.above, self.below, self.multipliers, self.jumps - self.multipliers
        weights = 1.0 / (above / high + below / low)
        system = self.program.system(self.v, weights)
        system[np.diag_indices_from(system)] *= 1.0 + ADDED
        lower, refused = linalg.lapack.dpotrf(system, lower=1)
        if refused:
            return False
        gaps = distances - (above - below)

        def move(products_above: Any, products_below: Any) -> tuple[np.ndarray, ...]:
            side = gaps - products_above / high + products_below / low
            dv = linalg.cho_solve((lower, True), -missing - self.program.pulled(weights * side), check_finite=False)
            change = weights * (self.program.normal_products(dv) + side)
            return dv, change, (products_above + above * change) / high, (products_below - below * change) / low

        mean = float(above @ high + below @ low) / (2.0 * len(low))
        _, change, up, down = move(-above * high, -below * low)
        part, share = self._lengths(change, up, down)
        left = (above + part * up) @ (high - share * change) + (below + part * down) @ (low + share * change)
        target = mean * (left / (2.0 * len(low)) / mean) ** 3
        dv, change, up, down = move(target - above * high + up * change, target - below * low - down * change)
        if not np.isfinite(dv).all():
            return False
        part, share = (min(1.0, PART * length) for length in self._lengths(change, up, down))
        self.v = self.v + part * dv
        self.above, self.below = above + part * up, below + part * down
        self.multipliers = low + share * change
        return True

    def _lengths(self, change: np.ndarray, up: np.ndarray, down: np.ndarray) -> tuple[float, float]:
        """Return the lengths, at most about 1, at which a distance or a multiplier reaches its bound."""
        distances = _longest(np.append(self.above, self.below), np.append(up, down))
        low = self.multipliers
        return distances, _longest(np.append(low, self.jumps - low), np.append(change, -change))


def _longest(values: np.ndarray, changes: np.ndarray) -> float:
    """Return the largest multiple of changes that keeps values positive, at most 1 / PART."""
    return float(min(np.min(-values[changes < 0.0] / changes[changes < 0.0], initial=1.0 / PART), 1.0 / PART))


def interior_minimum(problem: Any, kinks: Kinks, w: np.ndarray, enough: float) -> tuple[np.ndarray, float]:
    """Return parameters, searched for from w on, and by how much at most their objective exceeds the minimum."""
    interior = Interior(problem, kinks, w)
    with problem.limit.noting_interrupts():
        interior.minimise(enough)
    return interior.best, interior.gap
