"""When to stop, and what to keep: a consumer of epochs."""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

import numpy as np

from sklearn_sgd._engine.loop import Epoch
from sklearn_sgd._engine.state import State

# The "adaptive" rate is divided by this when progress stalls, until it is below the smallest.
DIVISOR, SMALLEST = 5.0, 1e-6

# Share of the progress that counts which may be missing to the minimum where that is known.
MISSING = 0.1


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
    deadline : float
        Reading of the monotonic clock, in seconds, after which no epoch begins.
    excess : callable or None
        From a state to what its loss exceeds the minimum by.
    """

    def __init__(
        self,
        margin,
        patience: int,
        least_samples: float,
        smallest_rate: float,
        score: Callable | None,
        deadline: float,
        excess: Callable | None,
    ):
        self.margin = margin
        self.patience = patience
        self.least_samples = least_samples
        self.smallest_rate = smallest_rate
        self.score = score
        self.deadline = deadline
        self.excess = excess
        self.scores: list[float] = []
        self.best = np.inf
        self.best_parameters: dict[str, Any] = {}
        self.stalled = 0

    def reason(self, epoch: Epoch, state: State) -> str | None:
        """Why to stop after this epoch, if so."""
        if not epoch.finite:
            return "diverged"
        return self._stalled(epoch, state) or ("time_budget" if monotonic() >= self.deadline else None)

    def kept(self, state: State) -> State:
        """The state that a fit which stops here ends in: with the best parameters, if there is a score."""
        return replace(state, **self.best_parameters) if self.best_parameters else state

    def _stalled(self, epoch: Epoch, state: State) -> str | None:
        """Why to stop for lack of progress, if so; an adaptive rate that can still fall falls instead."""
        current = epoch.loss + epoch.penalty
        if self.score:
            self.scores.append(self.score(*state.predictor()))
            current = -self.scores[-1]
        stalled = self.margin is not None and not current < self.best - self.margin
        self.stalled = self.stalled + 1 if stalled else 0
        if current < self.best:
            self.best = current
            if self.score:
                self.best_parameters = {"vectors": state.vectors.copy(), "centre": state.centre}
        if state.n_samples < self.least_samples:
            return None
        # Not after the first epoch, whose loss tells of the start: a curve has two ends.
        known = self.excess if self.margin is not None and state.n_epochs > 1 else None
        if known and known(state) <= MISSING * self.margin:
            return "tol"
        if self.stalled < self.patience:
            return None
        if state.rate > self.smallest_rate:
            state.rate_factor /= DIVISOR
            self.stalled = 0
            return None
        return "early_stopping" if self.score else "tol"
