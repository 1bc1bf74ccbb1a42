"""When to stop, and which parameters to keep."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sklearn_sgd._engine.epochs import Epoch
from sklearn_sgd._engine.state import State

# The "adaptive" rate is divided by this when progress stalls.
DIVISOR = 5.0

# Largest known distance to the minimum, as a share of the tolerance.
MISSING = 0.1

# Progress, as a share of the tolerance, and growth from epoch to epoch with which it will soon count.
LITTLE, FASTER = 0.01, 1.5


@dataclass
class Stopping:
    """Counts epochs without progress of the objective, or of a value on other rows, whose best parameters it keeps.

    Attributes
    ----------
    margin : float or None
        The least progress of an epoch; None: never stop.
    patience : int
        Number of epochs without progress after which to stop.
    least_samples : float
        Number of rows to process in any case.
    smallest_rate : float
        An adaptive rate above this is reduced instead of stopping; infinity for other rates.
    objective : callable
        Function from an epoch and the state after it to the value by which progress is measured.
    score : callable or None
        Function from parameters to a score on held-out rows.
    excess : callable or None
        Function from a state to the excess of its loss over the minimum.
    has_grown : callable
        Function from the objectives of epochs and the state after them to whether the descent diverges.
    ends_at_once : bool
        Whether one epoch is enough, because final steps lead to the minimum from anywhere.
    is_exact : bool
        Whether progress has no noise, so that little progress which grows from epoch to epoch counts, too.
    adds_up : bool
        Whether the progress of all epochs of the patience counts, not that of each.
    keeps_best : bool
        Whether the parameters of the best epoch are kept, because the value is that on other rows.
    losses : list of float
        The objectives of the epochs.
    values : list of float
        The values by which progress is measured; smaller is better.
    n_at_first_rate : int
        Number of epochs before an adaptive rate fell; 0 if it did not.
    best, best_parameters : float, dict
        The least of the values; the parameters that have it, if they are kept.
    stalled : int
        Number of epochs without progress until now.
    """

    margin: float | None
    patience: int
    least_samples: float
    smallest_rate: float
    objective: Callable[[Epoch, State], float]
    score: Callable[..., float] | None
    excess: Callable[[State], float] | None
    has_grown: Callable[[list[float], State], bool]
    ends_at_once: bool
    is_exact: bool = False
    adds_up: bool = False
    keeps_best: bool = False
    losses: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    n_at_first_rate: int = 0
    best: float = np.inf
    best_parameters: dict[str, Any] = field(default_factory=dict)
    stalled: int = 0

    def reason(self, epoch: Epoch, state: State) -> str | None:
        """The reason to stop after this epoch, or None."""
        if not epoch.finite:
            return "diverged"
        return self._stalled(epoch, state)

    @property
    def scores(self) -> list[float]:
        """The scores of the epochs, if there is a score."""
        return [-value for value in self.values] if self.score else []

    def kept(self, state: State) -> State:
        """The final state of a fit that stops here: with the best parameters, where they are kept."""
        return state.with_parameters(**self.best_parameters) if self.best_parameters else state

    def _is_faster(self) -> bool:
        """Whether progress grows, as where a loss is nearly flat at first, or a row far from all others is passed."""
        if not self.is_exact or len(self.values) < 4:
            return False
        first, second, third = -np.diff(self.values[-4:])
        grows = third > FASTER * second > FASTER * FASTER * first > 0.0
        return bool(grows and third > LITTLE * (self.margin or 0.0))

    def _is_slow(self) -> bool:
        """Whether epochs with little progress have made enough together, as where few rows shape each step."""
        falls = self.adds_up and len(self.values) > self.patience
        return falls and self.best < min(self.values[: -self.patience]) - (self.margin or 0.0)

    def _stalled(self, epoch: Epoch, state: State) -> str | None:
        """The reason to stop for lack of progress, or None; an adaptive rate is reduced first, if possible."""
        current = -self.score(*state.predictor()) if self.score else self.objective(epoch, state)
        self.losses.append(epoch.loss + epoch.penalty)
        self.values.append(current)
        stalled = self.margin is not None and not current < self.best - self.margin and not self._is_faster()
        self.stalled = self.stalled + 1 if stalled else 0
        if current < self.best:
            self.best = current
            if self.keeps_best:
                self.best_parameters = {"vectors": state.vectors.copy(), "centre": state.centre}
        if state.n_samples < self.least_samples:
            return None
        if self.margin is not None:
            # The excess not after the first epoch, whose loss is mainly that of the start.
            known = self.excess if state.n_epochs > 1 else None
            if self.ends_at_once or (known and known(state) <= MISSING * self.margin):
                return "tol"
        if self.stalled < self.patience or self._is_slow():
            return None
        if state.rate > self.smallest_rate:
            state.lower_rate(DIVISOR)
            self.stalled = 0
            self.n_at_first_rate = self.n_at_first_rate or len(self.values)
            return None
        if self.has_grown(self.losses, state):
            return "diverged"
        return "early_stopping" if self.score else "tol"
