"""Full batches of the squared error of sparse rows with many columns: steps with momentum.

Such a fit stops before it learns the noise, so it is not led to the minimum, and its steps are all that it makes. After
k steps with this momentum as much is learned as after about k**2 steps without. Each step is linear in the targets, so
that a descent on noise only shows what this one learns of the noise.

References
----------
Hanke, M., "Accelerated Landweber iterations for the solution of ill-posed equations", Numerische Mathematik 60, 1991:
the nu-methods, here with nu = 1.
"""

from typing import Any

import numpy as np

# Largest curvature, in units of that along a step, which is at most as large.
WIDER = 1.05


class NuMethod:
    """A pass of one step on all rows, which remembers the step before it.

    The rate must be at most one over the largest curvature in units of the preconditioner. If the losses rise, and the
    change of the gradient shows a larger curvature, the rate becomes shorter, and the momentum begins again.
    """

    def __init__(self) -> None:
        self.n_steps, self.largest, self.losses = 0, 0.0, np.inf
        self.move: Any = 0.0
        self.pull: Any = 0.0
        self.before: Any = None

    def __call__(self, plan, piece, vectors, window, batch_of) -> float:
        """Make the step, which changes the vectors; return the sum of the losses before it."""
        w, average = vectors.coef, vectors.average
        losses, _, g = batch_of(plan.data, piece.order, plan.parts.loss).gradient(w)
        rate = float(piece.rates[0])
        if losses > self.losses:
            self._measure(plan, g - self.before, 1.0 / rate)
        self.losses, self.before = losses, g
        self.n_steps += 1
        momentum, length = nu_method(self.n_steps)
        length *= min(rate, 1.0 / max(self.largest, 1e-300))
        # The same move, as a gradient and preconditioned; in place, since there may be many columns.
        self.pull *= momentum
        self.pull -= length * g
        self.move *= momentum
        self.move -= length * plan.preconditioner.with_intercept(g)
        w += self.move.astype(w.dtype, copy=False)
        if piece.mixes.size:
            average += piece.mixes[0] * (w - average)
        return losses

    def _measure(self, plan, bent, known: float) -> None:
        """Measure the curvature along the last step, by the change of the gradient; begin again if it is too large."""
        size = float(self.move @ self.pull)
        curvature = (float(bent @ plan.preconditioner.with_intercept(bent)) / size) ** 0.5 if size > 0.0 else 0.0
        if max(self.largest, known) < curvature < np.inf:
            self.largest, self.n_steps = WIDER * curvature, 0


def nu_method(k: int) -> tuple[float, float]:
    """Return the momentum of step k = 1, 2, ..., and its length in units of the rate."""
    momentum = (k - 1) * (2 * k - 3) * (2 * k + 1) / ((k + 1) * (2 * k + 3) * (2 * k - 1))
    return momentum, 4 * k * (2 * k + 1) / ((k + 1) * (2 * k + 3))
