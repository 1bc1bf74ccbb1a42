"""The minimum of the squared error on moments, with a penalty that has a proximal step."""

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.geometry import DOUBLE, one_over_roots
from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.statistics import is_varying

# Numbers of proximal steps before each round of Newton steps; maximum number of Newton steps in a round.
STEPS, HELD = (100, 50, 50, 50, 50, 100, 200, 400), 30

# Move, in units of the target's deviation, at which the minimum is reached; relative change of a coefficient that shows
# whether the penalty holds it.
SMALL, NEARBY = 1e-10, 1e-7

# Maximum number of trials for the mean error after a proximal step, and the rounding of their sums.
TRIALS, ROUNDING = 60, 4.0 * float(np.finfo(np.float64).eps)

# Variance along a direction, in units of the largest, below which a Newton step is shorter: rounding is not much less.
# It is that of the covariances, or of a gradient in single precision. Where it is more, ten times as much, up to so
# many times.
NARROWEST, NARROWER = {DOUBLE: 1e-13, np.dtype(np.float32): 1e-6}, 6


def proximal_minimum(
    normal: NormalMatrix,
    penalty: Any,
    w: np.ndarray,
    bias: float,
    steps: Sequence[int] = STEPS,
    dtype: np.dtype = DOUBLE,
) -> np.ndarray:
    """Return parameters at the minimum on moments, with a penalty that has a proximal step.

    By accelerated proximal gradient steps, restarted when the objective would rise (B. O'Donoghue and E. Candes,
    "Adaptive restart for accelerated gradient schemes", Foundations of Computational Mathematics 15, 2015). They find
    which coefficients the penalty holds, but converge slowly where columns are correlated. So after some of them,
    Newton steps follow for the coefficients that are free. ``steps`` are the numbers of steps before each of these.
    The squared mean error, whose curvature exceeds all others if columns are far from 0, is a part of the proximal step
    (S. Becker and J. Fadili, "A quasi-Newton proximal splitting method", NeurIPS 2012).
    ``dtype`` is the precision of the gradient from which the products with the target come.
    """
    intercept = normal.target if bias else 0.0
    problem, w = Problem(normal, penalty, intercept, NARROWEST[dtype]), w[:-1].astype(np.float64)
    for number in steps:
        w, is_minimum = problem.accelerated(w, number)
        if is_minimum:
            break
        w = problem.newton(w)
    return np.append(w, intercept)


class Problem:
    """The squared error on moments, plus a penalty with a proximal step and a linear gradient."""

    def __init__(self, normal: NormalMatrix, penalty: Any, intercept: float, narrowest: float):
        self.normal, self.penalty, self.intercept, self.narrowest = normal, penalty, intercept, narrowest
        variance = np.maximum(normal.covariance.diagonal(), 0.0)
        self.mean = np.full(len(variance), normal.mean)
        variance = np.where(is_varying(variance, self.mean), variance, self.mean * self.mean)
        self.scale = one_over_roots(variance, variance > 0.0)
        self.ridge = penalty.gradient(self.scale * self.scale) + 0.0 * variance
        self.correlation = normal.covariance * np.outer(self.scale, self.scale)
        self.largest = max(float(np.linalg.eigvalsh(self.correlation)[-1]), 1.0)
        self.length = self.scale * self.scale / (self.largest + self.ridge)
        self.deviation, self.small = np.sqrt(variance), SMALL * np.sqrt(max(normal.variance, 0.0))
        self.along_mean = self.length * self.mean
        self.error, self.steepest = 0.0, 1.0 + float(self.mean @ self.along_mean)
        self.fall = self.steepest

    def gradient(self, w: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the gradient of the smooth part without the squared mean error, and the mean error."""
        product, _, error = self.normal.gradient(np.append(w, self.intercept))
        return product - self.normal.with_target + self.penalty.gradient(w), error

    def prox(self, before: np.ndarray) -> np.ndarray:
        """Return where the proximal step of the penalty leads."""
        return np.asarray(self.penalty.prox(before, self.length, ...))

    def step(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where a gradient step leads, before and after the proximal step, which has the mean error as well."""
        before = w - self.length * self.gradient(w)[0]
        if self.steepest > 1.0:
            before = before - self.error_after(before) * self.along_mean
        return before, self.prox(before)

    def error_after(self, before: np.ndarray) -> float:
        """Return the mean error after a proximal step, by secants: it is the root of a falling function."""
        low, high, error = -np.inf, np.inf, self.error
        left, rounding = self._left(before, error)
        for _ in range(TRIALS):
            bounds = error + left / self.steepest, error + left
            low, high = max(low, min(bounds)), min(high, max(bounds))
            there = error + left / self.fall
            if not low <= there <= high:
                there = 0.5 * (low + high)
            if there == error or abs(left) <= rounding:
                break
            last, (left, rounding) = left, self._left(before, there)
            self.fall = min(max((last - left) / (there - error), 1.0), self.steepest)
            error = there
        self.error = error
        return error

    def _left(self, before: np.ndarray, error: float) -> tuple[float, float]:
        """Return by how much the mean error is more than this one, if the proximal step has this one; and rounding."""
        terms = self.mean * self.prox(before - error * self.along_mean)
        return float(np.sum(terms)) + self.intercept - self.normal.target - error, ROUNDING * float(np.sum(abs(terms)))

    def accelerated(self, w: np.ndarray, steps: int) -> tuple[np.ndarray, bool]:
        """Return coefficients after some accelerated proximal steps, and whether they are at the minimum."""
        there, speed = w, 1.0
        for _ in range(steps):
            _, after = self.step(there)
            move = after - w
            if float((there - after) @ move) > 0.0:
                speed = 1.0
            faster = 0.5 + 0.5 * np.sqrt(1.0 + 4.0 * speed * speed)
            there, w = after + (speed - 1.0) / faster * move, after
            speed = faster
            if np.max(np.abs(move) * self.deviation, initial=0.0) <= self.small:
                return w, True
        return w, False

    def newton(self, w: np.ndarray) -> np.ndarray:
        """Return coefficients after a proximal step, and Newton steps of those that the penalty does not hold.

        A step ends at the coefficient of 0, or at the bound, where the objective is least. That one is then held, too.
        """
        before, w = self.step(w)
        pull = np.divide(before - w, self.length, out=np.zeros_like(w), where=self.length > 0.0)
        nudge = NEARBY * np.abs(before)
        high, low = (self.prox(before + side) for side in (nudge, -nudge))
        free = np.flatnonzero(high - low > nudge)
        factor = self._factor(free)
        for _ in range(HELD if len(factor) else 0):
            w, reached = self._least(w, self._direction(w, pull, free, factor))
            if reached is None or len(free) == 1:
                break
            held = int(np.searchsorted(free, reached))
            free, factor = np.delete(free, held), without(factor, held)
        return w

    def _factor(self, free: np.ndarray) -> np.ndarray:
        """Return the Cholesky factor of the curvature of some coefficients, in their scales; empty if there is none.

        It is without the squared mean error.
        """
        system = self.correlation[np.ix_(free, free)] + np.diag(self.ridge[free])
        for narrowest in self.narrowest * self.largest * 10.0 ** np.arange(NARROWER if len(free) else 0):
            with suppress(linalg.LinAlgError):
                return linalg.cholesky(system + narrowest * np.eye(len(free)), check_finite=False)
        return np.empty((0, 0))

    def _direction(self, w: np.ndarray, pull: np.ndarray, free: np.ndarray, factor: np.ndarray) -> np.ndarray:
        """Return the move to the minimum over some coefficients, while the pull of the penalty is what it is here.

        It was ``pull`` at the last proximal step.
        """
        g, error = self.gradient(w)
        there = w + self.length * pull
        slope = g[free] + (there - self.prox(there))[free] / self.length[free]
        scale, d = self.scale[free], np.zeros_like(w)
        mean = scale * self.mean[free]
        x, along = linalg.cho_solve((factor, False), np.column_stack((scale * slope, mean)), check_finite=False).T
        # By Woodbury's identity, as the squared mean error adds a product of the means to the curvature.
        d[free] = -scale * (x + (error - mean @ x) / (1.0 + mean @ along) * along)
        return d

    def _least(self, w: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, int | None]:
        """Return the best of w, w + d, and the points between them where a coefficient becomes 0 or reaches a bound.

        The number of this coefficient follows; None if it is another point.
        """
        whole = w + d
        within = self.penalty.prox(whole, 0.0, ...)
        moves = np.where(d == 0.0, np.inf, d)
        lengths, numbers = np.append(-w / moves, 1.0), np.arange(len(w) + 1)
        bounds = np.where(within == whole, np.inf, (within - w) / moves)
        first = int(np.argmin(bounds))
        if bounds[first] < 1.0:
            lengths, numbers = np.append(lengths, bounds[first]), np.append(numbers, first)
        inside = (lengths > 0.0) & (lengths <= min(1.0, bounds[first]))
        if not inside.any():
            return w, None
        lengths, numbers = lengths[inside], numbers[inside]
        order = np.argsort(lengths, kind="stable")
        slope = float(d @ self.normal.gradient(np.append(w, self.intercept))[1])
        bend, before = float(d @ self.normal.product(d)), self.penalty.value(w)

        def change(k: int) -> float:
            length = lengths[order[k]]
            penalties = np.sum(self.penalty.value(w + length * d) - before)
            return float(length * (slope + 0.5 * length * bend) + penalties)

        # The objective is convex along the move.
        k = bisect_left(range(len(order) - 1), True, key=lambda k: not change(k + 1) < change(k))
        if not change(k) < 0.0:
            return w, None
        length, reached = lengths[order[k]], int(numbers[order[k]])
        w = w + length * d
        if reached == len(w):
            return w, None
        w[reached] = within[reached] if reached == first and length == bounds[first] else 0.0
        return w, reached


def without(factor: np.ndarray, i: int) -> np.ndarray:
    """Return the Cholesky factor of a matrix without a row and its column, from that of the matrix."""
    return linalg.qr_delete(np.eye(len(factor)), factor, i, which="col", check_finite=False)[1][:-1]
