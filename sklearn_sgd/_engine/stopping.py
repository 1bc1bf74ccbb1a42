"""When to stop, and what to keep: a consumer of epochs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.final_step import NewtonDecrement
from sklearn_sgd._engine.automatic.step_size import min_samples
from sklearn_sgd._engine.baseline import constant_loss, training_loss
from sklearn_sgd._engine.epochs import Descent, Epoch
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.plan import Plan
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
    objective : callable
        From an epoch and the state after it to what progress is measured by.
    score : callable or None
        From parameters to a score on held-out rows.
    excess : callable or None
        From a state to what its loss exceeds the minimum by.
    """

    def __init__(
        self,
        margin,
        patience: int,
        least_samples: float,
        smallest_rate: float,
        objective: Callable,
        score: Callable | None,
        excess: Callable | None,
    ):
        self.margin = margin
        self.patience = patience
        self.least_samples = least_samples
        self.smallest_rate = smallest_rate
        self.objective = objective
        self.score = score
        self.excess = excess
        self.scores: list[float] = []
        self.best = np.inf
        self.best_parameters: dict[str, Any] = {}
        self.stalled = 0

    def reason(self, epoch: Epoch, state: State) -> str | None:
        """Why to stop after this epoch, if so."""
        if not epoch.finite:
            return "diverged"
        return self._stalled(epoch, state)

    def kept(self, state: State) -> State:
        """The state that a fit which stops here ends in: with the best parameters, if there is a score."""
        return state.with_parameters(**self.best_parameters) if self.best_parameters else state

    def _stalled(self, epoch: Epoch, state: State) -> str | None:
        """Why to stop for lack of progress, if so; an adaptive rate that can still fall falls instead."""
        if self.score:
            self.scores.append(self.score(*state.predictor()))
            current = -self.scores[-1]
        else:
            current = self.objective(epoch, state)
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
            state.lower_rate(DIVISOR)
            self.stalled = 0
            return None
        return "early_stopping" if self.score else "tol"


def newton_decrement(plan: Plan) -> NewtonDecrement | None:
    """What is missing to the minimum, where it is known: for the squared error preconditioned by covariances."""
    preconditioner, normal = plan.preconditioner, plan.normal
    if preconditioner is None or not preconditioner.is_full or not plan.formulas.is_quadratic:
        return None
    if normal:
        bias = plan.data.rows.bias
        return NewtonDecrement(lambda w: np.append(*normal.gradient(bias, w)[1:]), preconditioner, plan.parts.penalty)
    rows = all_rows(plan)(plan.data, plan.used, plan.parts.loss)
    return NewtonDecrement(lambda w: rows.gradient(w)[2], preconditioner, plan.parts.penalty)


class Fit:
    """The fit of one target: its descent, when that stops and why, and the state after its last whole epoch."""

    def __init__(self, plan: Plan, state: State, *, tol: float | None, patience: int, falls: bool, score):
        exact = plan.normal if not plan.noise else None
        self.baseline = exact.variance / 2 if exact else constant_loss(plan.formulas, plan.data, plan.row_indices)
        self.newton = None if score else newton_decrement(plan)
        waits = tol and state.step and plan.average_from
        self.stopping = Stopping(
            margin=None if tol is None else tol * (1.0 if score else self.baseline),
            patience=patience,
            least_samples=min_samples(state.step, tol, plan.n_rows) if waits else 0.0,  # type: ignore[arg-type]
            smallest_rate=SMALLEST if falls else np.inf,
            objective=self.objective,
            score=score,
            excess=self.excess if self.newton else None,
        )
        self.descent, self.completed = Descent(plan, state), state.fork()
        self.reason: str | None = None

    def excess(self, state: State) -> float:
        """How much the loss of a state's predictor exceeds the minimum, where that is known."""
        assert self.newton is not None
        return self.newton.measure(state.vectors.average)[0]

    def objective(self, epoch: Epoch, state: State) -> float:
        """What progress is measured by: the mean loss on the way; where noise ends at the minimum, the loss there."""
        plan = self.descent.plan
        if not plan.remembers:
            return epoch.loss + epoch.penalty
        if self.newton:
            return self.excess(state)
        return training_loss(plan.parts.loss, plan.data, plan.row_indices, plan.X, *state.predictor()) + epoch.penalty

    def end_epoch(self, epoch: Epoch) -> None:
        """Count an epoch of the descent, which is over if there is a reason to stop."""
        state, first = self.descent.state, not self.completed.n_epochs
        self.reason = self.stopping.reason(epoch, state)
        self.descent.stopped = self.reason is not None
        if first:
            state.count_first_epoch(epoch.loss, self.descent.plan.weight)
        self.completed = state.fork()

    def kept(self) -> State:
        """The state that the fit would end in now."""
        return self.stopping.kept(self.completed)

    def end(self) -> State:
        """The state that the fit ends in."""
        state = self.kept()
        if self.newton and 0 < self.descent.plan.average_from <= state.n_updates:
            state.finish(self.newton.improved(state.vectors.average))
        return state
