"""Full batches of the squared error whose minimum was found beforehand: an epoch ends there."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_sgd._engine.baseline import constant_loss


@dataclass(frozen=True)
class Arrival:
    """A pass of one step, from where the parameters are to the minimum."""

    rows: Any

    def __call__(self, plan, piece, vectors, window) -> float:
        """Take the step, which changes the vectors. The loss before it may need a pass over X."""
        w, there = vectors.coef, plan.minimum.w.astype(vectors.coef.dtype)
        if np.array_equal(w, there):
            loss = plan.weight * plan.minimum.loss
        elif not w[:-1].any():
            loss = plan.weight * constant_loss(plan.parts.loss, plan.data, plan.row_indices, w[-1])
        else:
            loss = self.rows(plan.data, plan.used, plan.parts.loss).gradient(w)[0]
        w[:] = there
        if piece.mixes.size:
            vectors.average[:] += piece.mixes[0] * (w - vectors.average)
        return loss
