"""The final steps of a fit, and where they have led."""

import numpy as np

from sklearn_sgd._engine.automatic.proximal_minimum import proximal_minimum
from sklearn_sgd._engine.finish.accelerated import accelerated_minimum, is_accelerated
from sklearn_sgd._engine.finish.coordinates import minimum_with_zeros
from sklearn_sgd._engine.finish.narrow import follow_narrow
from sklearn_sgd._engine.finish.proximal_newton import is_by_parabolas, minimum_of_parabolas
from sklearn_sgd._engine.finish.to_minimum import full_batches
from sklearn_sgd._engine.finish.ways import Ways
from sklearn_sgd._engine.finish.working_set import is_sparse_least_squares
from sklearn_sgd._engine.kinks.minimum import smoothed_minimum
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.objective import objective_of, rounding_of_predictions
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.reference import Reference
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.stopping import MISSING


class Ending:
    """Moves states of a plan to the minimum, up to ``enough``, and notes where this has led.

    Attributes
    ----------
    is_finished : bool
        Whether the minimum is known, and was reached.
    has_come_back : bool
        Whether steps on all rows have reached it, even if the epochs before them have diverged.
    last_gain : float or None
        What the latter half of the last steps gained, if these did not reach the minimum.
    least, bound : float
        The least objective that another search found, or is known to be possible; a bound below the minimum, if known.
    has_moved, narrow_gain, is_there : bool, float, bool
        Whether a move along narrow directions was made, what the last one gained, made or not, and whether it led to
        the minimum.
    """

    def __init__(self, ways: Ways, plan: Plan, reference: Reference, enough: float, limit: Limit):
        self.ways, self.plan, self.reference, self.enough, self.limit = ways, plan, reference, enough, limit
        self.is_finished, self.has_come_back = False, False
        self.last_gain: float | None = None
        self.least, self.bound = reference.least, -np.inf
        self.has_moved, self.narrow_gain, self.is_there = False, 0.0, False

    def finish(self, state: State, *, has_average: bool, is_near: bool) -> float:
        """Finish a state at the minimum, if a way is known; return what is missing although steps have ended.

        ``has_average`` is whether the state is the mean of its iterates, from where steps on all rows may begin.
        ``is_near`` is whether epochs without progress have led to it, so that what is missing is hidden by rounding.
        """
        plan, ways, hidden = self.plan, self.ways, self.plan.hidden
        if known := ways.decides or ways.minimum:
            w, missing = known.improved(state.vectors.average, self.enough)
            state.finish(w)
            self.is_finished = True
            return max(hidden, missing) if known.is_narrow and (ways.decides or is_near) else hidden
        if is_sparse_least_squares(plan) and self._found_zeros(state):
            return hidden
        if is_by_parabolas(plan):
            self._follow_parabolas(state)
        elif is_accelerated(plan):
            w, self.last_gain = accelerated_minimum(plan, state, self.reference.constant, self.enough, self.limit)
            self.is_finished = self.last_gain is None or MISSING * self.last_gain <= self.enough
            finish_stream(state, w)
        elif ways.smoothed is not None or (has_average and ways.need_all_rows(plan, state)):
            return self._step_on_all_rows(state, has_average)
        return hidden

    def _found_zeros(self, state: State) -> bool:
        """Finish a state of the squared error with a penalty that makes zeros; return whether parameters were found."""
        plan = self.plan
        if plan.normal:
            state.finish(proximal_minimum(plan.normal, plan.parts.penalty, state.vectors.average, plan.data.rows.bias))
            self.is_finished = True
            return True
        w, self.least, self.last_gain = minimum_with_zeros(plan, self.reference.constant, self.enough)
        if w is None:
            return False
        self.is_finished = self.last_gain is None
        finish_stream(state, w)
        return True

    def _follow_parabolas(self, state: State) -> None:
        """Finish a state by steps to the minima of parabolas of the rows."""
        constant = self.reference.constant
        w, missing = minimum_of_parabolas(self.plan, state.predictor(), constant, self.enough, self.limit)
        if w is not None:
            finish_stream(state, w)
            self._note_missing(state, missing)

    def _step_on_all_rows(self, state: State, has_average: bool) -> float:
        """Finish a state by steps on all rows; return what they leave out.

        Full batches of losses with kinks are short, so smoothed losses come first there.
        """
        plan, hidden, has_kinks = self.plan, self.plan.hidden, self.plan.formulas.has_kinks
        if has_average and not has_kinks:
            hidden = self._run_full_batches(state)
        if self.ways.smoothed is not None:
            w, missing = smoothed_minimum(plan, state, self.ways.smoothed, self.enough, self.limit)
            state.finish(w)
            self._note_missing(state, missing)
            hidden = 0.0 if self.is_finished else hidden
        if has_average and has_kinks and not (self.is_finished or self.limit.reason):
            hidden = self._run_full_batches(state)
        if self.is_finished:
            self.has_come_back = True
            finish_stream(state, state.vectors.average)
        return hidden

    def _run_full_batches(self, state: State) -> float:
        """Finish a state by full batches; return what they leave out.

        A batch that gains little shows that the minimum is near, unless the loss has kinks: steps are short there.
        """
        plan, reference, has_kinks = self.plan, self.reference, self.plan.formulas.has_kinks
        start, before = state.vectors.average.copy(), objective_of(plan, state) if has_kinks else np.inf
        w, hidden, self.last_gain = full_batches(plan, state, self.enough, reference.constant, reference.most)
        self.is_finished = self.last_gain is None and not has_kinks
        state.finish(w)
        if has_kinks:
            objective = objective_of(plan, state)
            if not objective <= before:
                state.finish(start)
                return hidden
            self._note_missing(state, objective - self.bound)
        return hidden

    def _note_missing(self, state: State, missing: float) -> None:
        """Note whether a state is at the minimum, or else the bound below it, if at most so much is missing."""
        if missing <= self.enough:
            self.is_finished, self.last_gain = True, None
        if not self.is_finished:
            objective = objective_of(self.plan, state)
            self.is_finished = missing <= rounding_of_predictions(state) * abs(objective)
            self.bound = objective - missing

    def follow_narrow(self, state: State, others: bool, worth: float, left: float) -> None:
        """Move a state along narrow directions of many columns, while each move is worth it."""
        self.has_moved, self.narrow_gain, self.is_there = follow_narrow(self.plan, state, others, worth, left)
        if self.has_moved:
            self.is_finished = True
            finish_stream(state, state.vectors.average)


def finish_stream(state: State, w: np.ndarray) -> None:
    """Predict with these parameters, and let a stream go on from them."""
    state.finish(w)
    state.vectors.coef[:] = w
