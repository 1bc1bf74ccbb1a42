"""The full-batch pass of the automatic step for the squared error, from the normal matrix: O(P**2), however many rows.

The rows enter the squared error by their second moments alone, which the automatic step measures anyway.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.statistics import ColumnStatistics


class NormalMatrix(NamedTuple):
    """Covariances of the columns, with the target, and of it; its mean."""

    covariance: np.ndarray
    with_target: np.ndarray
    variance: float
    target: float

    def gradient(self, bias: float, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Products of the covariances with the coefficients, gradient of the mean loss, and that of the intercept."""
        product = self.covariance @ w[:-1].astype(np.float64)
        return product, product - self.with_target, float(bias * (w[-1] - self.target))


def split(statistics: ColumnStatistics, targets: int) -> tuple[ColumnStatistics, list[NormalMatrix]]:
    """Statistics of columns of which the last are targets: of the others, and what the descent to each target needs."""
    weight, mean, moment = statistics
    p = len(mean) - targets
    scaled = moment / weight
    normals = [NormalMatrix(scaled[:p, :p], scaled[:p, t], scaled[t, t], mean[t]) for t in range(p, p + targets)]
    return ColumnStatistics(weight, mean[:p], moment[:p, :p]), normals


def automatic(plan, piece, vectors, window) -> float:
    """One epoch, which is one step; that of ``arrays``, to rounding."""
    normal, preconditioner, penalty = plan.normal, plan.preconditioner, plan.parts.penalty
    w = vectors.coef[:-1].astype(np.float64)
    product, g, error = normal.gradient(plan.data.rows.bias, vectors.coef)
    g += penalty.gradient(w)
    d = preconditioner.apply(g)
    fall = d @ g + error * error
    bend = d @ (normal.covariance @ d + penalty.gradient(d)) + error * error
    step = min(piece.rates[0], fall / bend) if bend > 0.0 else 0.0
    before = w.copy()
    w -= step * d
    vectors.coef[:-1] = w if preconditioner.is_full else penalty.prox(w, step * preconditioner.inverse, ...)
    vectors.coef[-1] -= step * error
    if piece.mixes.size:
        vectors.average[:] += piece.mixes[0] * (vectors.coef - vectors.average)
    loss = 0.5 * (normal.variance - 2.0 * before @ normal.with_target + before @ product + error * error)
    return plan.weight * max(loss, 0.0)
