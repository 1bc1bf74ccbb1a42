"""When to stop, and which parameters to keep."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.final_step import FinalSteps, proximal_finish, rounding_of
from sklearn_sgd._engine.automatic.step_size import decaying_rate, min_samples
from sklearn_sgd._engine.baseline import (
    best_constant,
    constant_loss,
    expected_loss,
    gradient_in_double,
    training_loss,
    usual_loss,
)
from sklearn_sgd._engine.epochs import Descent, Epoch, one_epoch
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.plan import DOUBLE, SINGLE, Plan
from sklearn_sgd._engine.probe import Probe
from sklearn_sgd._engine.sampled_start import start_on_sample
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.trend import grows
from sklearn_sgd._engine.wide import KnownMinimum
from sklearn_sgd._namespace import dtype_of

# The "adaptive" rate is divided by this when progress stalls, until it is below the smallest.
DIVISOR, SMALLEST = 5.0, 1e-6

# Largest known distance to the minimum, as a share of the tolerance.
MISSING = 0.1

# The same in units of what the noise of the rows costs.
NOISY = 0.02

# Progress that counts in the final steps where no tolerance is given, in units of the best constant's loss.
TOL = 1e-3

# Number of rows on which the loss of an average is computed after each epoch.
SAMPLE = 10_000

# Maximum number of full-batch epochs after those with noise.
MOST_EPOCHS = 20
# Shares of the best constant's loss by which a fit may exceed it, and one by the automatic step, with the noise of its
# average; precisions of X by which a prediction may be off.
MARGIN, NOISE, ROUNDING = 1e-3, 1e-2, 8.0


class Stopping:
    """Counts epochs without progress of the objective, or of a score on held-out rows, whose best parameters it keeps.

    ``losses`` are the objectives of the epochs; ``values`` are the values by which progress is measured, smaller is
    better; ``n_at_first_rate`` is the number of epochs before an adaptive rate fell, if it did.

    Parameters
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
        Whether one epoch is enough: the minimum is known from a few passes over X, so that a noisy epoch more would
        cost more than the rest of the fit.
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
        has_grown: Callable,
        ends_at_once: bool,
    ):
        self.margin = margin
        self.patience = patience
        self.least_samples = least_samples
        self.smallest_rate = smallest_rate
        self.objective = objective
        self.score = score
        self.excess = excess
        self.has_grown = has_grown
        self.ends_at_once = ends_at_once
        self.losses: list[float] = []
        self.values: list[float] = []
        self.n_at_first_rate = 0
        self.best = np.inf
        self.best_parameters: dict[str, Any] = {}
        self.stalled = 0

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
        """The final state of a fit that stops here: with the best parameters, if there is a score."""
        return state.with_parameters(**self.best_parameters) if self.best_parameters else state

    def _stalled(self, epoch: Epoch, state: State) -> str | None:
        """The reason to stop for lack of progress, or None; an adaptive rate is reduced first, if possible."""
        current = -self.score(*state.predictor()) if self.score else self.objective(epoch, state)
        self.losses.append(epoch.loss + epoch.penalty)
        self.values.append(current)
        stalled = self.margin is not None and not current < self.best - self.margin
        self.stalled = self.stalled + 1 if stalled else 0
        if current < self.best:
            self.best = current
            if self.score:
                self.best_parameters = {"vectors": state.vectors.copy(), "centre": state.centre}
        if state.n_samples < self.least_samples:
            return None
        if self.ends_at_once and self.margin is not None:
            return "tol"
        # Not after the first epoch, whose loss is mainly that of the start.
        known = self.excess if self.margin is not None and state.n_epochs > 1 else None
        if known and known(state) <= MISSING * self.margin:
            return "tol"
        if self.stalled < self.patience:
            return None
        if state.rate > self.smallest_rate:
            state.lower_rate(DIVISOR)
            self.stalled = 0
            self.n_at_first_rate = self.n_at_first_rate or len(self.values)
            return None
        if self.has_grown(self.losses, state):
            return "diverged"
        return "early_stopping" if self.score else "tol"


def final_steps(plan: Plan, state: State, variance: float) -> FinalSteps | KnownMinimum | None:
    """What is missing to the minimum, where it is known: for the squared error preconditioned by covariances."""
    if plan.minimum:
        return plan.minimum
    geometry, normal = state.step and state.step.geometry, plan.normal
    formulas = plan.formulas
    if plan.preconditioner is None or geometry is None or not (formulas.is_quadratic and formulas.pulls_linearly):
        return None
    kind = dtype_of(plan.X)
    if normal and not geometry.is_narrow:
        bias = plan.data.rows.bias
        gradient: Callable = lambda w: np.append(*normal.gradient(bias, w)[1:])  # noqa: E731
        kind = DOUBLE
    elif geometry.is_narrow and not plan.is_remote and kind == SINGLE:
        gradient = partial(gradient_in_double, plan.parts.loss, plan.data, plan.row_indices, plan.X, state.centre)
        kind = DOUBLE
    else:
        rows = all_rows(plan)(plan.data, plan.used, plan.parts.loss)
        gradient = lambda w: rows.gradient(w.astype(dtype_of(plan.X)))[2]  # noqa: E731
    rounding = rounding_of(geometry, kind, variance**0.5, state.centre)
    loss = partial(_loss_at, plan, state)
    return FinalSteps(gradient, geometry, plan.parts.penalty, rounding, plan.weight, loss)


def _loss_at(plan: Plan, state: State, w: np.ndarray) -> float:
    """The mean loss of parameters, in the centre of a state."""
    return training_loss(plan.parts.loss, plan.data, plan.row_indices, plan.X, *state.predictor(w))


def is_prone_to_noise(plan: Plan, state: State) -> bool:
    """Whether a longer descent would learn noise: on sparse rows with many columns and without a penalty."""
    by_entries = plan.preconditioner is not None and state.step is not None and state.step.shares is not None
    return by_entries and plan.formulas.is_unpenalised and not (plan.remembers or plan.is_remote)


class Fit:
    """The fit of one target: its descent, its stopping rule, and the state after its last complete epoch."""

    def __init__(
        self,
        plan: Plan,
        state: State,
        *,
        tol: float | None,
        patience: int,
        falls: bool,
        score: Callable | None,
        worst: float | None = None,
    ):
        """``worst`` is the mean loss of the best constant on the validation samples, if the user gave them."""
        exact = plan.normal if not plan.noise else None
        kept, loss = plan.row_indices, plan.parts.loss
        used: Any = slice(None) if kept is None else kept
        self.constant = best_constant(plan.formulas, plan.data, used)
        if exact:
            self.baseline = (exact.variance + (self.constant - exact.target) ** 2) / 2
        else:
            self.baseline = constant_loss(loss, plan.data, kept, self.constant)
        # A user's loss may be negative, although it should not be.
        unit = abs(self.baseline)
        if plan.formulas.has_bounded_slopes:
            unit = min(unit, usual_loss(loss, plan.data, used, self.constant))
        self.most = self.baseline + unit * (NOISE if plan.preconditioner and plan.noise else MARGIN)
        self.progress, self.worst = unit * (tol or 0.0), worst
        self.is_lost_in_rounding = 0.0 < self.progress < np.finfo(np.float64).eps * abs(self.baseline)
        final = final_steps(plan, state, 2.0 * self.baseline)
        self.final, self.is_finished = None if score else final, False
        # Full batches leave out directions of nearly dependent columns. This decides about them, whatever ends the fit.
        self.decides = final if final and final.leaves_out and not plan.noise else None
        self.probe = Probe(plan, state) if tol and not score and is_prone_to_noise(plan, state) else None
        is_sampled = state.statistics is not None and state.statistics.sampled
        # Of other losses by steps on all rows.
        self.is_sampled = is_sampled and plan.searches and not (score or plan.remembers)
        is_known = self.final is not None and (is_sampled or plan.minimum is not None)
        ends_at_once = (is_known or self.is_sampled) and plan.noise and plan.finishes
        waits = tol and state.step and plan.average_from and not (self.probe or ends_at_once)
        self.stopping = Stopping(
            margin=None if tol is None else tol * (1.0 if score else unit),
            patience=1 if self.probe else patience,
            least_samples=min_samples(state.step, tol, plan.n_rows) if waits else 0.0,  # type: ignore[arg-type]
            smallest_rate=SMALLEST if falls else np.inf,
            objective=self.objective,
            score=score,
            excess=self.excess if self.final or (plan.searches and not (plan.noise or score)) else None,
            has_grown=self.has_grown,
            ends_at_once=ends_at_once,
        )
        self.descent = Descent(plan, state)
        if plan.searches and not plan.noise:
            start_on_sample(self.descent, self.baseline)
        self.completed = state.fork()
        self.earlier, self.has_left = self.completed, False
        self.reason: str | None = None

    def excess(self, state: State) -> float:
        """How much the loss of a state's predictor exceeds the minimum, where that is known.

        What is much more than the noise of the rows costs is worth another epoch, whatever the tolerance.
        """
        if self.final:
            return self.final.excess(state.vectors.average)
        plan, excess = self.descent.plan, self.descent.excess
        worth = NOISY * (plan.X.shape[1] + 1) / plan.n_rows * abs(self.stopping.losses[-1])
        return excess * max(1.0, MISSING * self.progress / max(worth, 1e-300))

    def objective(self, epoch: Epoch, state: State) -> float:
        """The value by which progress is measured.

        It is the mean loss of the epoch; if final steps lead to the minimum, the loss there; and for sparse rows with
        many columns and no penalty, the loss expected on new rows.
        """
        plan = self.descent.plan
        if self.probe:
            some = np.ascontiguousarray(plan.used[:: -(-plan.n_rows // SAMPLE)])
            share = self.probe.share(state)
            return expected_loss(plan.parts.loss, plan.data, some, plan.X, *state.predictor(), share)
        if not plan.remembers:
            return epoch.loss + epoch.penalty
        if self.final:
            return self.excess(state)
        return self.training_loss(state) + epoch.penalty

    def needs_all_rows(self, plan: Plan, state: State) -> bool:
        """Whether the minimum is reached by steps on all rows, or by no other final steps."""
        if self.probe:
            return False
        hides = state.step is not None and state.step.hides
        return not (plan.formulas.is_smooth and plan.formulas.is_quadratic) or hides

    @property
    def rounding(self) -> float:
        """The error of a prediction by rounding, relative to its terms."""
        return ROUNDING * float(np.finfo(self.completed.vectors.coef.dtype).eps)

    def training_loss(self, state: State, rounding: float = 0.0, some: Any = None) -> float:
        """Mean loss of a state's predictor on the training rows, or on some of them."""
        plan = self.descent.plan
        rows = plan.row_indices if some is None else some
        return training_loss(plan.parts.loss, plan.data, rows, plan.X, *state.predictor(), rounding)

    def exceeds(self, most: float, state: State, loss: float) -> bool:
        """Whether the loss of a state's predictor exceeds another one by more than rounding."""
        return not (loss <= most or self.training_loss(state, self.rounding) <= most)

    def has_grown(self, losses: list[float], state: State) -> bool:
        """Whether the descent diverges, judged by the objectives of its epochs and the predictor."""
        return grows(losses, self.baseline) and self.exceeds(self.most, state, np.inf)

    def end_epoch(self, epoch: Epoch) -> None:
        """Count an epoch of the descent; it ends if there is a reason to stop."""
        state, first = self.descent.state, not self.completed.n_epochs
        self.has_left = not epoch.finite
        self.reason = self.stopping.reason(epoch, state)
        self.descent.stopped = self.reason is not None
        if first:
            state.count_first_epoch(epoch.loss, self.descent.plan.weight)
        self.earlier, self.completed = self.completed, state.fork()

    def kept(self) -> State:
        """The final state if the fit ended now."""
        return self.stopping.kept(self.completed)

    def before_last_epoch(self, state: State) -> State:
        """A state with the parameters from before its last epoch."""
        return state.with_parameters(self.earlier.vectors, self.earlier.centre)

    def end(self) -> State:
        """The final state of the fit."""
        state, plan, final = self.kept(), self.descent.plan, self.decides or self.final
        if self.reason == "tol" and self.is_lost_in_rounding:
            self.reason = "stalled"
        averages = 0 < plan.average_from <= state.n_updates
        enough = MISSING * (TOL * self.baseline if self.stopping.margin is None else self.progress)
        ends = plan.finishes and not self.stopping.score and (averages or self.reason == "tol")
        if not (ends or self.decides):
            if plan.hidden > enough > 0.0:
                self.reason = "stalled"
            return state
        self.is_finished = True
        if final:
            w, missing = final.improved(state.vectors.average, enough)
            state.finish(w)
            if (self.decides or self.reason == "tol") and final.is_narrow and missing > enough > 0.0:
                self.reason = "stalled"
        elif plan.normal and not plan.formulas.is_smooth and plan.formulas.pulls_linearly:
            state.finish(proximal_finish(plan.normal, plan.parts.penalty, state.vectors.average, plan.data.rows.bias))
        elif averages and self.needs_all_rows(plan, state):
            w, plan, self.is_finished = finished_on_all_rows(plan, state, enough, self.constant, self.most)
            state.finish(w)
            if self.is_finished and self.reason == "diverged":
                self.reason = "tol"  # The noisy steps did, and these came back.
        else:
            self.is_finished = False
        if plan.hidden > enough > 0.0:
            self.reason = "stalled"
        return state


def finished_on_all_rows(
    plan: Plan, state: State, enough: float, constant: float, most: float
) -> tuple[np.ndarray, Plan, bool]:
    """Parameters after epochs of full batches, the plan of these, and whether their progress has ended.

    They begin at the average, or if its objective is more than ``most``, at a constant.

    These move along directions that are too narrow for noisy steps, follow rows beyond all proportion, by which noisy
    steps are cut short, and reach exact zeros, which an average lacks.
    """
    plan = plan._replace(
        batch_size=plan.n_rows, noise=False, shuffle=False, average_from=0, schedule=decaying_rate(1.0, False)
    )
    state, centre, before = state.fork(), state.centre, np.inf
    state.prepare(plan.formulas.moments, plan.parts.penalty, from_average=True)
    descent, has_ended = Descent(plan, state), False
    for _ in range(MOST_EPOCHS):
        [(_, epoch)] = one_epoch([descent])
        objective = epoch.loss + epoch.penalty
        if before == np.inf and not objective <= most:
            state.start_at(np.zeros(plan.X.shape[1]), constant, 0.0)
            before = most
            continue
        has_ended = objective > before - enough and not descent.was_stopped
        if has_ended or not epoch.finite:
            break
        before = objective
    state.recentre(centre)
    return state.vectors.average, descent.plan, has_ended
