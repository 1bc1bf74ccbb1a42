"""The normal matrix: all that the squared error of a target depends on, and steps to the minimum on it."""

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.conjugate import conjugate_gradients
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics

# Maximum number of steps: preconditioned ones, and conjugate ones after them.
SHORT, CONJUGATE = 3, 30

# Gain of a step that is not by chance, in units of the mean gain from noise alone; and that is not of rounding errors
# of moments, in units of the mean square of the target.
BEYOND_NOISE, ROUNDING = 10.0, 1e-14


class NormalMatrix(NamedTuple):
    """The moments on which the squared error depends: covariances of columns and target, and the mean of the target.

    ``mean`` is the mean of the columns, relative to the point at which the intercept is the prediction.
    """

    covariance: np.ndarray
    with_target: Any
    variance: float
    target: float
    mean: Any = 0.0

    @classmethod
    def of(cls, statistics: ColumnStatistics, n_columns: int, target: int, mean: Any = 0.0) -> Self:
        """Return the matrix of a target, from statistics of the columns followed by all targets."""
        t, scaled = n_columns + target, statistics.moment / statistics.weight
        return cls(scaled[:n_columns, :n_columns], scaled[:n_columns, t], scaled[t, t], statistics.mean[t], mean)

    @classmethod
    def of_curvature(cls, columns: ColumnStatistics, curvature: float, mean: Any) -> Self:
        """Return that of columns, of which the squares have this curvature; `at` sets the rest."""
        return cls(columns.moment * (curvature / columns.weight), 0.0, 0.0, 0.0, np.sqrt(curvature) * mean)

    def at(self, coef: np.ndarray, g: np.ndarray, loss: float) -> Self:
        """Return the parabola with the same curvature that has this loss and gradient at coefficients.

        What the gradient has in proportion to the means becomes the mean error, since it hides the rest.
        """
        mean = self.mean + np.zeros_like(coef)
        squares = self.covariance.diagonal() + mean * mean
        shares = np.divide(mean, squares, out=np.zeros_like(mean), where=squares > 0.0)
        error = float(shares @ g) / max(float(shares @ mean), 1e-300)
        return self._replace(
            with_target=self.covariance @ coef - (g - error * mean),
            variance=2.0 * loss,
            target=float(mean @ coef) - error,
        )

    def gradient(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the covariances times the coefficients, the gradient of the mean loss, and that of an intercept."""
        coef = w[:-1].astype(np.float64)
        product, error = self.covariance @ coef, float(w[-1] - self.target + (self.mean * coef).sum())
        return product, product - self.with_target + error * self.mean, error

    def product(self, d: np.ndarray) -> np.ndarray:
        """Return by how much the gradient changes along coefficients d, without intercept."""
        return self.covariance @ d + (self.mean * d).sum() * self.mean

    def loss(self, coef: np.ndarray, product: np.ndarray, error: float) -> float:
        """Return the mean loss, from the coefficients, the covariances times them, and the intercept's gradient."""
        squares = self.variance - 2.0 * coef @ self.with_target + coef @ product + error * error
        return max(0.5 * float(squares), 0.0) if squares == squares else float(squares)


class Slopes(NamedTuple):
    """The gradient of the objective on moments, with this intercept: that of the mean, or 0 if there is none."""

    normal: NormalMatrix
    penalty: Any
    intercept: float

    def at(self, w: np.ndarray) -> np.ndarray:
        """Return the gradient for coefficients."""
        return self.normal.gradient(np.append(w, self.intercept))[1] + self.penalty.gradient(w)

    def change(self, d: np.ndarray, *_) -> np.ndarray:
        """Return by how much it changes along d."""
        return self.normal.product(d) + self.penalty.gradient(d)

    def follow(self, w: np.ndarray, precondition: Callable, weight: float) -> np.ndarray:
        """Return coefficients after conjugate steps, which gain more than noise in rows of this weight, or rounding."""
        normal = self.normal
        for found in islice(conjugate_gradients(w, self.at(w), precondition, self.change, self.at), 1, CONJUGATE + 1):
            product, _, error = normal.gradient(np.append(w, self.intercept))
            rest = 2.0 * normal.loss(w, product, error)
            if not found.gain > max(BEYOND_NOISE * rest / weight, ROUNDING * normal.variance):
                break
            w = found.w
        return w


def conjugate_minimum(
    normal: NormalMatrix, penalty: Any, precondition: Callable, w: np.ndarray, bias: float, weight: float
) -> np.ndarray:
    """Return parameters after a few steps towards the minimum, on moments of rows with this weight.

    Along narrow directions these steps converge slowly. Conjugate steps follow while they gain more than noise in
    rows of this weight would.
    """
    w, slopes = w[:-1], Slopes(normal, penalty, normal.target if bias else 0.0)
    for _ in range(SHORT):
        g = slopes.at(w)
        d = precondition(g)
        fall, bend = float(d @ g), float(d @ slopes.change(d))
        if not (fall > 0.0 and bend > 0.0):
            break
        w = w - min(1.0, fall / bend) * d
    return np.append(slopes.follow(w, precondition, weight), slopes.intercept)
