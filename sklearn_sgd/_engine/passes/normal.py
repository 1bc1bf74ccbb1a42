"""The full-batch pass of the automatic step for the squared error, from the normal matrix: O(P**2), however many rows.

The rows enter the squared error by their second moments alone, which the automatic step measures anyway.
"""

import numpy as np


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
