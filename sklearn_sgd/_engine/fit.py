"""The fit of one target: its descent, its stopping rule, and its end."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.around_zero import shows_far_columns
from sklearn_sgd._engine.automatic.proximal_minimum import proximal_minimum
from sklearn_sgd._engine.automatic.step_size import min_samples
from sklearn_sgd._engine.baseline import (
    best_constant,
    constant_beside,
    constant_loss,
    constant_losses,
    expected_loss,
    training_loss,
)
from sklearn_sgd._engine.epochs import Descent, Epoch
from sklearn_sgd._engine.finish.coordinates import is_by_coordinates, minimum_with_zeros
from sklearn_sgd._engine.finish.narrow import follow_narrow, hides_directions
from sklearn_sgd._engine.finish.proximal_newton import is_by_parabolas, minimum_of_parabolas
from sklearn_sgd._engine.finish.to_minimum import full_batches, minimum_of
from sklearn_sgd._engine.finish.working_set import is_sparse_least_squares
from sklearn_sgd._engine.kinks.minimum import directions_to_minimum, smoothed_minimum
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.probe import Probe, is_prone_to_noise
from sklearn_sgd._engine.sampled_start import start_on_sample
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.stopping import MISSING, Stopping
from sklearn_sgd._engine.trend import grows
from sklearn_sgd._namespace import is_foreign

# An "adaptive" rate below this does not fall any more.
SMALLEST = 1e-6

# Largest known distance to the minimum, in units of what the noise of the rows costs.
NOISY = 0.02

# Progress that counts in the final steps where no tolerance is given, in units of the best constant's loss.
TOL = 1e-3

# Number of rows on which the loss of an average is computed after each epoch.
SAMPLE = 10_000

# Loss of a nearly constant combination of columns, in units of that of the best constant, at most.
NEARLY = 2.0

# Rows for each coefficient from which full batches of a loss with kinks need few epochs.
PLENTY = 100

# Rows from which an epoch before final steps on moments has a part of them only; its share of the rows, and the least
# number of batches in it.
MANY, PART, LEAST_BATCHES = 1 << 15, 1 / 8, 8

# Reasons to stop after which a fit should be near the minimum.
COMPLETE = "epochs", "tol", "early_stopping"

# Shares of the best constant's loss by which a fit may exceed it, and one by the automatic step, with the noise of its
# average; precisions of X by which a prediction may be off.
MARGIN, NOISE, ROUNDING = 1e-3, 1e-2, 8.0


def part_of_epoch(plan: Plan) -> int:
    """Number of rows, in whole batches, of an epoch of many rows before final steps on moments.

    On another device, where a batch takes as long to start as a product with thousands of rows, there are few batches.
    """
    share = 0.0 if is_foreign(plan.X) else PART
    batches = max(LEAST_BATCHES, int(share * plan.n_rows) // plan.batch_size)
    return min(batches * plan.batch_size, plan.n_rows)


class Fit:
    """The fit of one target: its descent, its stopping rule, and the state after its last complete epoch."""

    # Whether a move along narrow directions was made, what the last one gained, made or not, and whether it led to the
    # minimum.
    has_moved, narrow_gain, is_there = False, 0.0, False

    # What the latter half of the full batches at the end gained, if these did not reach the minimum.
    last_gain: float | None = None

    # The least objective that another search found, or is known to be possible; a bound below the minimum, if known.
    least, bound = np.inf, -np.inf

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
        limit: Limit | None = None,
    ):
        """``worst`` is the mean loss of the best constant on the validation samples, if the user gave them.

        ``limit`` ends a search for the minimum.
        """
        usual, unit, size = self._learn_constant(plan, state)
        self.most = self.baseline + usual * (NOISE if plan.preconditioner and plan.noise else MARGIN)
        self.limit = limit or Limit()
        self.progress, self.worst = unit * (tol or 0.0), worst
        self.is_lost_in_rounding = 0.0 < self.progress < np.finfo(np.float64).eps * size
        final = minimum_of(plan, state, 2.0 * self.baseline)
        self.final = None if score else final
        self.is_finished = False
        self.smoothed = None if is_prone_to_noise(plan, state) else directions_to_minimum(plan, state)
        # Full batches leave out directions of nearly dependent columns. This decides about them, whatever ends the fit.
        self.decides = final if final and final.leaves_out and not plan.noise else None
        self.probe = Probe(plan, state) if tol and not score and is_prone_to_noise(plan, state) else None
        measures = bool(self.probe and self.probe.measures)
        is_sampled = state.statistics is not None and state.statistics.sampled
        # Of other losses by steps on all rows.
        self.is_sampled = is_sampled and plan.searches and not (score or plan.remembers)
        ends_at_once = plan.noise and plan.finishes and not score and self.leads_from_anywhere(plan, state)
        waits = tol and state.step and plan.average_from and not (self.probe or ends_at_once)
        self.stopping = Stopping(
            margin=None if tol is None else tol * (1.0 if score else unit),
            patience=self.probe.patience if self.probe else patience,
            least_samples=min_samples(state.step, tol, plan.n_rows) if waits else 0.0,  # type: ignore[arg-type]
            smallest_rate=SMALLEST if falls else np.inf,
            objective=self.objective,
            score=score,
            excess=self.excess if self.final or (plan.searches and not (plan.noise or score)) else None,
            has_grown=self.has_grown,
            ends_at_once=ends_at_once,
            is_exact=not (plan.noise or score),
            adds_up=measures or (plan.preconditioner is not None and not (plan.noise or score or self.probe)),
            ends_on_rise=measures,
        )
        # A stream that goes on from here finds the minimum by moments, however few updates there were.
        is_worth = plan.n_rows >= MANY and plan.shuffles and self.stopping.margin is not None
        if ends_at_once and plan.normal and is_worth:
            plan = plan._replace(part=part_of_epoch(plan))
        self.descent = Descent(plan, state)
        if plan.searches and not plan.noise:
            start_on_sample(self.descent, self.baseline)
        self.completed = state.fork()
        self.earlier, self.has_left = self.completed, False
        self.reason: str | None = None

    def _learn_constant(self, plan: Plan, state: State) -> tuple[float, float, float]:
        """Set the loss of the best constant; return its usual size, the unit of ``tol``, and the size for rounding.

        Columns far from 0 make a model without intercept nearly have one, whose constant is the unit then.
        """
        exact = plan.normal if not plan.noise else None
        kept, loss = plan.row_indices, plan.parts.loss
        used: Any = slice(None) if kept is None else kept
        self.constant = best_constant(plan.formulas, plan.data, used)
        if exact:
            self.baseline, usual = (exact.variance + (self.constant - exact.target) ** 2) / 2, np.inf
        elif plan.formulas.has_bounded_slopes:
            self.baseline, usual = constant_losses(loss, plan.data, kept, self.constant)
        else:
            self.baseline, usual = constant_loss(loss, plan.data, kept, self.constant), np.inf
        # A user's loss may be negative, although it should not be.
        size = abs(self.baseline)
        usual = min(size, usual)
        geometry = state.step and state.step.geometry
        if not (geometry.nears_constant if geometry else state.is_far_without_intercept or shows_far_columns(plan)):
            return usual, usual, size
        size = abs(constant_loss(loss, plan.data, kept, constant_beside(plan.formulas, plan.data, used)))
        # A combination of these columns comes as near as this, so a fit that ends farther away has not found it.
        self.least = NEARLY * size if plan.formulas.is_unpenalised else np.inf
        return usual, min(usual, size), size

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

    def leads_from_anywhere(self, plan: Plan, state: State) -> bool:
        """Whether the final steps lead to the minimum from anywhere, at less than the cost of some epochs."""
        on_moments = plan.normal is not None and plan.formulas.is_least_squares
        return (
            on_moments
            or self.final is not None
            or self.is_sampled
            or is_by_coordinates(plan)
            or is_by_parabolas(plan)
            or self.is_left_to_full_batches(plan, state)
        )

    def is_left_to_full_batches(self, plan: Plan, state: State) -> bool:
        """Whether full batches with the curvatures of the rows do so.

        Of losses with kinks few rows determine the minimum, so that each step changes which, unless they are smoothed.
        """
        formulas, (n_rows, n_columns) = plan.formulas, (plan.n_rows, plan.X.shape[1])
        if self.smoothed is not None:
            return True
        if plan.preconditioner is None or not plan.preconditioner.is_full or formulas.is_quadratic:
            return False
        is_slow = formulas.has_kinks and n_rows < PLENTY * (n_columns + 1)
        return not is_slow and self.needs_all_rows(plan, state)

    @property
    def rounding(self) -> float:
        """The error of a prediction by rounding, relative to its terms."""
        return ROUNDING * float(np.finfo(self.completed.vectors.coef.dtype).eps)

    def training_loss(self, state: State, rounding: float = 0.0, some: Any = None) -> float:
        """Mean loss of a state's predictor on the training rows, or on some of them."""
        plan = self.descent.plan
        rows = plan.row_indices if some is None else some
        return training_loss(plan.parts.loss, plan.data, rows, plan.X, *state.predictor(), rounding)

    def training_objective(self, state: State) -> float:
        """Mean loss of a state's predictor on the training rows, plus the penalty on it."""
        return self.training_loss(state) + self.descent.plan.penalty_value(state.vectors.average)

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
            state.count_first_epoch(epoch.loss, self.descent.plan.weight, self.descent.plan.n_rows)
        self.earlier, self.completed = self.completed, state.fork()

    def kept(self) -> State:
        """The final state if the fit ended now."""
        return self.stopping.kept(self.completed)

    def before_last_epoch(self, state: State) -> State:
        """A state with the parameters from before its last epoch."""
        return state.with_parameters(self.earlier.vectors, self.earlier.centre)

    def end(self, ended: str, finishes: bool = True) -> State:
        """Return the final state of the fit. If it has no reason of its own, it ended for that of all targets.

        Final steps are made if it ``finishes``.
        """
        state, plan = self.kept(), self.descent.plan
        if self.reason == "tol" and self.is_lost_in_rounding:
            self.reason = "stalled"
        averages = 0 < plan.average_from <= state.n_updates
        enough = MISSING * (TOL * self.baseline if self.stopping.margin is None else self.progress)
        leads_there = is_sparse_least_squares(plan) or is_by_parabolas(plan) or self.smoothed is not None
        is_near = averages or self.reason == "tol" or (self.stopping.margin is not None and leads_there)
        ends = plan.finishes and not self.stopping.score and is_near
        finishes = finishes and bool(ends or self.decides)
        missing = self._finish(state, enough, averages) if finishes else plan.hidden
        if missing > enough > 0.0:
            self.reason = "stalled"
        if self.limit.reason and not self.is_finished:
            self.reason = self.limit.reason
        is_complete = (self.reason or ended) in COMPLETE and not (self.has_left or self.stopping.score)
        if is_complete and not ends and leads_there and self.progress > 0.0:
            self.least = self._objective_after_final_steps(state, enough)
        # Without a tolerance there is no probe, which would tell progress from noise that is learned.
        is_noise = self.stopping.margin is None and is_prone_to_noise(plan, state)
        if is_complete and hides_directions(plan) and not is_noise:
            worth = TOL * abs(self.baseline) if self.stopping.margin is None else self.progress
            # On samples that did not lead to a move, small gains are noise.
            worth *= MISSING if self.probe is None else 1.0
            self.has_moved, self.narrow_gain, self.is_there = follow_narrow(
                plan, state, self.probe is not None, worth, MISSING * self.progress
            )
        if self.has_moved:
            self.is_finished = True
            state.vectors.coef[:] = state.vectors.average  # A stream goes on from here.
        return state

    def _objective_after_final_steps(self, state: State, enough: float) -> float:
        """Return the objective to which the final steps would lead, where they are left out."""
        other, known = state.fork(), (self.is_finished, self.last_gain, self.bound)
        self._finish(other, enough, averages=False)
        self.is_finished, self.last_gain, self.bound = known
        return min(self.least, self.training_objective(other))

    def _finish(self, state: State, enough: float, averages: bool) -> float:
        """Finish a state at the minimum, if a way is known; return what is missing although steps have ended."""
        plan, final, w = self.descent.plan, self.decides or self.final, state.vectors.average
        hidden, self.is_finished = plan.hidden, True
        if final:
            w, missing = final.improved(w, enough)
            if final.is_narrow and (self.decides or self.reason == "tol"):
                hidden = max(hidden, missing)
        elif plan.normal and is_sparse_least_squares(plan):
            w = proximal_minimum(plan.normal, plan.parts.penalty, w, plan.data.rows.bias)
        elif is_sparse_least_squares(plan) and (found := self._minimum_with_zeros(enough)) is not None:
            w = found
            state.vectors.coef[:] = w  # A stream goes on from here.
        elif is_by_parabolas(plan):
            self._after_parabolas(state, enough)
            w = state.vectors.average
        elif self.smoothed is not None or (averages and self.needs_all_rows(plan, state)):
            w, hidden = self._after_steps_on_all_rows(state, enough, averages)
        else:
            self.is_finished = False
        state.finish(w)
        return hidden

    def _after_steps_on_all_rows(self, state: State, enough: float, averages: bool) -> tuple[np.ndarray, float]:
        """Return parameters after steps on all rows from those of a state on, and what they leave out."""
        plan, hidden = self.descent.plan, self.descent.plan.hidden
        self.is_finished, has_kinks = False, plan.formulas.has_kinks
        if averages and not has_kinks:
            hidden = self._after_full_batches(state, enough)
        if self.smoothed is not None:
            w, missing = smoothed_minimum(plan, state, self.smoothed, enough, self.limit)
            state.finish(w)
            self._note_missing(state, missing, enough)
            hidden = 0.0 if self.is_finished else hidden
        if averages and has_kinks and not (self.is_finished or self.limit.reason):
            hidden = self._after_full_batches(state, enough)
        w = state.vectors.average
        if self.is_finished:
            state.vectors.coef[:] = w  # A stream goes on from here.
            if self.reason == "diverged":
                self.reason, self.has_left = "tol", False  # The noisy steps did, and these came back.
        return w, hidden

    def _after_parabolas(self, state: State, enough: float) -> None:
        """Finish a state by steps to the minima of parabolas of the rows."""
        w, missing = minimum_of_parabolas(self.descent.plan, state.predictor(), self.constant, enough, self.limit)
        self.is_finished = False
        if w is not None:
            state.finish(w)
            state.vectors.coef[:] = w  # A stream goes on from here.
            self._note_missing(state, missing, enough)

    def _note_missing(self, state: State, missing: float, enough: float) -> None:
        """Note whether a state is at the minimum, or else the bound below it, if at most so much is missing."""
        if missing <= enough:
            self.is_finished, self.last_gain = True, None
        if not self.is_finished:
            objective = self.training_objective(state)
            self.is_finished = missing <= self.rounding * abs(objective)
            self.bound = objective - missing

    def _after_full_batches(self, state: State, enough: float) -> float:
        """Finish a state by full batches; return what they leave out.

        A batch that gains little shows that the minimum is near, unless the loss has kinks: steps are short there.
        """
        plan, has_kinks = self.descent.plan, self.descent.plan.formulas.has_kinks
        start, before = state.vectors.average.copy(), self.training_objective(state) if has_kinks else np.inf
        w, hidden, self.last_gain = full_batches(plan, state, enough, self.constant, self.most)
        self.is_finished = self.last_gain is None and not has_kinks
        state.finish(w)
        if has_kinks:
            objective = self.training_objective(state)
            if not objective <= before:
                state.finish(start)
                return hidden
            self._note_missing(state, objective - self.bound, enough)
        return hidden

    def _minimum_with_zeros(self, enough: float) -> np.ndarray | None:
        """Return parameters at the minimum of the squared error with a penalty that makes zeros, if they are found."""
        w, self.least, self.last_gain = minimum_with_zeros(self.descent.plan, self.constant, enough)
        self.is_finished = self.last_gain is None
        return w
