"""The full-batch pass of the automatic step for the squared error, from the normal matrix: O(P**2), however many rows.

The rows enter the squared error by their second moments alone, which the automatic step measures anyway.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine.namespace import total
from sklearn_sgd._engine.step import Columns


class Gram(NamedTuple):
    """Covariances of the columns, with the target, and of it; its mean."""

    covariance: np.ndarray
    with_target: np.ndarray
    variance: float
    target: float


def split(columns: Columns, targets: int) -> tuple[Columns, list[Gram]]:
    """Statistics of columns of which the last are targets: of the others, and what the descent to each target needs."""
    weight, mean, moment = columns
    p = len(mean) - targets
    scaled = moment / weight
    grams = [Gram(scaled[:p, :p], scaled[:p, t], scaled[t, t], mean[t]) for t in range(p, p + targets)]
    return Columns(weight, mean[:p], moment[:p, :p]), grams


def gradient(gram, bias, w):
    """Products of the covariances with the coefficients, gradient of the mean loss, and that of the intercept."""
    pull = gram.covariance @ w[:-1].astype(np.float64)
    return pull, pull - gram.with_target, bias * (w[-1] - gram.target)


def automatic(data, order, rates, mixes, batch, vectors, parts, geometry, memory, gram):
    """One epoch, which is one step; as in ``arrays``, to rounding."""
    w, penalty = vectors.coef[:-1].astype(np.float64), parts.penalty
    pull, g, error = gradient(gram, data.rows.bias, vectors.coef)
    g += penalty.gradient(w)
    d = geometry.inverse * g if geometry.inverse.ndim == 1 else geometry.inverse @ g
    fall = d @ g + error * error
    bend = d @ (gram.covariance @ d + penalty.gradient(d)) + error * error
    step = min(rates[0], fall / bend) if bend > 0.0 else 0.0
    w -= step * d
    vectors.coef[:-1] = penalty.prox(w, step * geometry.inverse, ...) if geometry.inverse.ndim == 1 else w
    vectors.coef[-1] -= step * error
    loss = 0.5 * (gram.variance - 2.0 * (w + step * d) @ gram.with_target + (w + step * d) @ pull + error * error)
    weight = total(data.weight) if data.weight.shape[0] else len(order)
    return weight * max(loss, 0.0)
