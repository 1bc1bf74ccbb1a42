"""When to stop, and what to keep: a consumer of epochs."""

from collections.abc import Callable

import numpy as np

from sklearn_sgd._engine.loop import Epoch
from sklearn_sgd._engine.plan import State, Vectors

# The "adaptive" rate is divided by this when progress stalls, until it is below the smallest.
DIVISOR, SMALLEST = 5.0, 1e-6


class Stopping:
    """Counts epochs without progress: of the objective, or of a score on held-out rows, whose best parameters it keeps.

    Parameters
    ----------
    margin : float or None
        Progress that counts; None: go on whatever happens.
    patience : int
        Epochs without progress to stop after.
    least_samples : float
        Rows to visit in any case.
    smallest_rate : float
        An adaptive rate above this falls instead of stopping; infinity for other rates.
    score : callable or None
        From parameters to a score on held-out rows.
    """

    def __init__(self, margin, patience: int, least_samples: float, smallest_rate: float, score: Callable | None):
        self.margin = margin
        self.patience = patience
        self.least_samples = least_samples
        self.smallest_rate = smallest_rate
        self.score = score
        self.scores: list[float] = []
        self.best = np.inf
        self.best_vectors: Vectors | None = None
        self.stalled = 0

    def reason(self, epoch: Epoch, state: State) -> str | None:
        """Why to stop after this epoch, if so; an adaptive rate that can still fall falls instead."""
        if not epoch.finite:
            return "diverged"
        current = epoch.loss + epoch.penalty
        if self.score:
            self.scores.append(self.score(*state.predictor()))
            current = -self.scores[-1]
        stalled = self.margin is not None and not current < self.best - self.margin
        self.stalled = self.stalled + 1 if stalled else 0
        if current < self.best:
            self.best = current
            self.best_vectors = state.vectors.copy() if self.score else None
        if self.stalled < self.patience or state.n_samples < self.least_samples:
            return None
        if state.rate > self.smallest_rate:
            state.rate_factor /= DIVISOR
            self.stalled = 0
            return None
        return "early_stopping" if self.score else "tol"
