"""The fit of one target: its descent, its stopping rule, and its end."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.step_size import min_samples
from sklearn_sgd._engine.epochs import Descent, Epoch
from sklearn_sgd._engine.finish.ending import Ending
from sklearn_sgd._engine.finish.narrow import hides_directions
from sklearn_sgd._engine.finish.ways import Ways, part_of_epoch
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.objective import loss_of, objective_of, rounding_of_predictions
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.probe import PATIENCE, Probe, is_prone_to_noise
from sklearn_sgd._engine.reference import Reference
from sklearn_sgd._engine.sampled_start import start_on_sample
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.stopping import MISSING, Stopping
from sklearn_sgd._engine.trend import grows

# An "adaptive" rate below this does not fall any more.
SMALLEST = 1e-6

# Largest known distance to the minimum, in units of what the noise of the rows costs.
NOISY = 0.02

# Progress that counts in the final steps where no tolerance is given, in units of the best constant's loss.
TOL = 1e-3

# Reasons to stop after which a fit should be near the minimum.
COMPLETE = "epochs", "tol", "early_stopping"


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
        plan_of: Callable[[Any, State], Plan],
        worst: float | None = None,
        limit: Limit | None = None,
    ):
        """``worst`` is the mean loss of the best constant on the validation samples, if the user gave them.

        ``limit`` ends a search for the minimum. ``plan_of`` is that of :class:`.Probe`.
        """
        self.reference, self.worst, self.limit = Reference.of(plan, state), worst, limit or Limit()
        unit = self.reference.unit
        self.progress = unit * (tol or 0.0)
        self.is_lost_in_rounding = 0.0 < self.progress < np.finfo(np.float64).eps * self.reference.size
        self.is_prone = is_prone_to_noise(plan, state)
        has_probe = self.is_prone and tol is not None and not score and plan.n_rows > 1
        self.probe = Probe(plan, state, plan_of) if has_probe else None
        self.ways = Ways(plan, state, self.reference, has_score=bool(score), is_prone=self.is_prone)
        ends_at_once = self.ways.end_at_once(plan, state)
        waits = tol and state.step and plan.average_from and not (self.probe or ends_at_once)
        self.stopping = Stopping(
            margin=None if tol is None else tol * (1.0 if score else unit),
            patience=PATIENCE if self.probe else patience,
            least_samples=min_samples(state.step, tol, plan.n_rows) if waits else 0.0,  # type: ignore[arg-type]
            smallest_rate=SMALLEST if falls else np.inf,
            objective=self.objective,
            score=score,
            excess=self.excess if self.ways.minimum or (plan.searches and not (plan.noise or score)) else None,
            has_grown=self.has_grown,
            ends_at_once=ends_at_once,
            is_exact=not (plan.noise or score),
            keeps_best=bool(score or self.probe),
            adds_up=bool(self.probe) or (plan.preconditioner is not None and not (plan.noise or score)),
        )
        if ends_at_once and tol is not None:
            plan = plan._replace(part=part_of_epoch(plan))
        self.descent = Descent(plan, state)
        if plan.searches and not plan.noise:
            start_on_sample(self.descent, self.reference.loss)
        self.completed = state.fork()
        self.earlier, self.has_left = self.completed, False
        self.reason: str | None = None

    def excess(self, state: State) -> float:
        """How much the loss of a state's predictor exceeds the minimum, where that is known.

        What is much more than the noise of the rows costs is worth another epoch, whatever the tolerance.
        """
        if self.ways.minimum:
            return self.ways.minimum.excess(state.vectors.average)
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
            return self.probe.expected_loss()
        if not plan.remembers:
            return epoch.loss + epoch.penalty
        if self.ways.minimum:
            return self.excess(state)
        return loss_of(plan, state) + epoch.penalty

    def exceeds(self, most: float, state: State, loss: float) -> bool:
        """Whether the loss of a state's predictor exceeds another one by more than rounding."""
        if loss <= most:
            return False
        return not loss_of(self.descent.plan, state, rounding=rounding_of_predictions(state)) <= most

    def has_grown(self, losses: list[float], state: State) -> bool:
        """Whether the descent diverges, judged by the objectives of its epochs and the predictor."""
        return grows(losses, self.reference.loss) and self.exceeds(self.reference.most, state, np.inf)

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
        has_average = 0 < plan.average_from <= state.n_updates
        enough = MISSING * (self.progress if self.has_tolerance else TOL * self.reference.loss)
        ending = self.ending = Ending(self.ways, plan, self.reference, enough, self.limit)
        leads_there = self.ways.lead_there(plan)
        may_finish = has_average or self.reason == "tol" or (self.has_tolerance and leads_there)
        ends = plan.finishes and may_finish and not self.stopping.score
        missing = plan.hidden
        if finishes and (ends or self.ways.decides):
            missing = ending.finish(state, has_average=has_average, is_near=self.reason == "tol")
        if ending.has_come_back and self.reason == "diverged":
            self.reason, self.has_left = "tol", False
        if missing > enough > 0.0:
            self.reason = "stalled"
        if self.limit.reason and not ending.is_finished:
            self.reason = self.limit.reason
        if (self.reason or ended) in COMPLETE and not (self.has_left or self.stopping.score):
            if leads_there and not ends and self.progress > 0.0:
                ending.least = self._objective_if_finished(state, enough)
            self._follow_narrow(state)
        return state

    @property
    def has_tolerance(self) -> bool:
        """Whether progress ends the fit."""
        return self.stopping.margin is not None

    def _objective_if_finished(self, state: State, enough: float) -> float:
        """Return the objective to which the final steps would lead, where they are left out."""
        plan, other = self.descent.plan, state.fork()
        trial = Ending(self.ways, plan, self.reference, enough, self.limit)
        trial.finish(other, has_average=False, is_near=self.reason == "tol")
        return min(trial.least, objective_of(plan, other))

    def _follow_narrow(self, state: State) -> None:
        """Move a state along narrow directions, if its descent does not show them.

        Without a tolerance there is no probe, which would tell progress from noise that is learned; of remote samples
        all lead to a move. On samples that did not, small gains are noise.
        """
        plan = self.descent.plan
        learns_noise = self.is_prone and (plan.is_remote or not self.has_tolerance)
        if learns_noise or not hides_directions(plan):
            return
        worth = self.progress if self.has_tolerance else TOL * abs(self.reference.loss)
        worth *= MISSING if self.probe is None else 1.0
        self.ending.follow_narrow(state, self.probe is not None, worth, MISSING * self.progress)
