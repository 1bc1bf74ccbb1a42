"""Full batches with a penalty that has a proximal step, of losses whose curvature varies: proximal Newton steps.

The losses are a parabola where the descent stands, by the covariances of rows weighted by their curvature. Its minimum
with the penalty is as far as a step goes, if the objective falls along it.

References
----------
Lee, J. D., Sun, Y. and Saunders, M. A., "Proximal Newton-type methods for minimizing composite functions", SIAM Journal
on Optimization 24, 2014.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.proximal_minimum import proximal_minimum
from sklearn_sgd._namespace import dtype_of

# Share of the slope that a step must gain: a parabola gains half of it, and a step beyond a kink, to where the loss is
# the same, almost nothing. Trials of its length, each half of the last.
ENOUGH, TRIES = 0.25, 60


@dataclass(frozen=True)
class ProximalNewton:
    """One step on all rows."""

    rows: Any

    def __call__(self, plan, piece, vectors, window) -> float:
        """Make it, which changes the vectors and the window; return the sum of the losses before it."""
        w, average, penalty = vectors.coef, vectors.average, plan.parts.penalty
        w[:-1] = penalty.prox(w[:-1], 0.0, ...)  # A start may be out of bounds.
        rows = self.rows(plan.data, piece.order, plan.parts.loss)
        losses, squares, g = rows.gradient(w)
        window[:3] = squares, 2.0 * losses, len(piece.order)
        before = w.astype(np.float64)
        loss = losses / len(piece.order)
        parabola = plan.parabola.at(before[:-1], g[:-1], abs(loss))
        d = proximal_minimum(parabola, penalty, before, 0.0, dtype=dtype_of(plan.X)) - before
        d[-1] = -g[-1] / plan.curvature
        penalised = plan.penalty_value(before)
        objective, known = loss + penalised, plan.penalty_value(before + d) - penalised
        fall = float(g @ d) + known
        lengths = 0.5 ** np.arange(TRIES if fall < 0.0 else 0)
        for length, losses_there in zip(lengths, rows.losses_along(w.copy(), d.astype(w.dtype), lengths), strict=False):
            there = before + length * d
            there[:-1] = penalty.prox(there[:-1], 0.0, ...)  # Within bounds in spite of rounding.
            value = losses_there / len(piece.order) + plan.penalty_value(there)
            if value <= objective + ENOUGH * length * fall:
                w[:] = there
                break
        if piece.mixes.size:
            average += piece.mixes[0] * (w - average)
        return losses
