"""The normal matrix: all that the squared error of a target depends on, and steps to the minimum on it."""

from itertools import islice
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.conjugate import conjugate_gradients
from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics

# Maximum number of steps: preconditioned ones, and conjugate ones after them.
SHORT, CONJUGATE = 3, 30

# Gain of a step that is not by chance, in units of the mean gain from noise alone.
BEYOND_NOISE = 10.0


class NormalMatrix(NamedTuple):
    """The moments on which the squared error depends: covariances of columns and target, and the mean of the target.

    ``mean`` is the mean of the columns; 0 if they are centred.
    """

    covariance: np.ndarray
    with_target: np.ndarray
    variance: float
    target: float
    mean: Any = 0.0

    @classmethod
    def of(cls, statistics: ColumnStatistics, n_columns: int, target: int) -> Self:
        """Return the matrix of a target, from statistics of the columns followed by all targets."""
        t, scaled = n_columns + target, statistics.moment / statistics.weight
        return cls(scaled[:n_columns, :n_columns], scaled[:n_columns, t], scaled[t, t], statistics.mean[t])

    def gradient(self, bias: float, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the covariances times the coefficients, the gradient of the mean loss, and that of the intercept."""
        coef = w[:-1].astype(np.float64)
        product, error = self.covariance @ coef, float(bias * (w[-1] - self.target + (self.mean * coef).sum()))
        return product, product - self.with_target + error * self.mean, error

    def loss(self, coef: np.ndarray, product: np.ndarray, error: float) -> float:
        """Return the mean loss, from the coefficients, the covariances times them, and the intercept's gradient."""
        squares = self.variance - 2.0 * coef @ self.with_target + coef @ product + error * error
        return max(0.5 * float(squares), 0.0) if squares == squares else float(squares)


def conjugate_minimum(
    normal: NormalMatrix, penalty: Any, preconditioner: Preconditioner, w: np.ndarray, bias: float, weight: float
) -> np.ndarray:
    """Return parameters after a few steps towards the minimum, on moments of rows with this weight.

    Along narrow directions these steps converge slowly. Conjugate steps follow while they gain more than noise in so
    many rows would.
    """
    w = w[:-1]

    def gradient(w: np.ndarray) -> np.ndarray:
        return normal.covariance @ w - normal.with_target + penalty.gradient(w)

    def change(d: np.ndarray, *_) -> np.ndarray:
        return normal.covariance @ d + penalty.gradient(d)

    for _ in range(SHORT):
        g = gradient(w)
        d = preconditioner.apply(g)
        fall, bend = float(d @ g), float(d @ change(d))
        if not (fall > 0.0 and bend > 0.0):
            break
        w = w - min(1.0, fall / bend) * d
    steps = conjugate_gradients(w, gradient(w), preconditioner.apply, change, gradient)
    for at in islice(steps, 1, CONJUGATE + 1):
        rest = max(normal.variance - 2.0 * float(w @ normal.with_target) + float(w @ normal.covariance @ w), 0.0)
        if not at.gain > BEYOND_NOISE * rest / weight:
            break
        w = at.w
    return np.append(w, normal.target if bias else 0.0)
