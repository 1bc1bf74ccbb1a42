"""The fast path of `partial_fit` for chunks of the same kind.

It makes the same updates as the epochs, with the same bits. What does not change between chunks is prepared once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Step
from sklearn_sgd._engine.compiled.machine import BoundCall, address
from sklearn_sgd._engine.epochs import Descent, quiet
from sklearn_sgd._engine.order import epoch_order
from sklearn_sgd._engine.passes.drivers import Pass
from sklearn_sgd._engine.passes.rows import as_rows
from sklearn_sgd._engine.passes.without_plan import add_moments
from sklearn_sgd._engine.plan import NO_MIXES, Data, Piece, Plan
from sklearn_sgd._engine.preparation.columns import GROWTH, NO_WEIGHT, Selection, learn_columns
from sklearn_sgd._engine.preparation.prepare import stream_schedule
from sklearn_sgd._engine.preparation.ridge_unit import ridge_unit
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.by_column import StatesByColumn
from sklearn_sgd._engine.streams.cuts import may_be_cut
from sklearn_sgd._engine.support import learn_slopes
from sklearn_sgd._namespace import total

# Number of updates whose rates are computed at once.
AHEAD = 4096


class Rates(NamedTuple):
    """Rates and weights of the average for the updates after ``first``, up to ``last``."""

    first: int
    last: int
    step: Step | None
    factor: float
    rates: np.ndarray
    mixes: np.ndarray

    def addresses(self, n_done: int) -> dict[str, Any]:
        """The addresses of the values after so many updates."""
        ahead = self.rates.itemsize * (n_done - self.first)
        found = {"rates": address(self.rates) + ahead}
        return found | {"mixes": address(self.mixes) + ahead} if len(self.mixes) else found


class Stream:
    """Processes chunks like the last one: the same number of dense rows and of targets, in one piece.

    Parameters
    ----------
    recipe : Recipe
        The recipe of the parameters.
    plan : Plan
        Plan of the last chunk.
    order : ndarray
        Row numbers of a chunk, in order.
    call : BoundCall
        The pass, with all arguments that do not change.
    """

    def __init__(self, recipe: Recipe, plan: Plan, order: np.ndarray, call: BoundCall):
        nothing: Any = None
        self.recipe, self.plan, self.order, self.call = recipe, plan._replace(X=None, data=nothing), order, call
        self.dtype, self.n_updates = plan.X.dtype, plan.n_updates(len(order))
        # The rates of a user's function are computed when they are needed.
        own = isinstance(recipe.params["learning_rate"], str)
        self.ahead = self.n_updates * max(1, AHEAD // self.n_updates * own)
        self.most = plan.largest_loss
        self.known: Rates | None = None
        self.merge = add_moments(self.dtype) if plan.preconditioner else None
        centred, half_life = recipe.params["fit_intercept"], recipe.params["half_life"]
        # A single row that forgets nothing is added without an object for its statistics.
        self.add_row = self.merge if len(order) == 1 and centred and not half_life else None
        # Whether values that are not finite are found only by the loss, as for the squared error.
        self.shows_not_finite = plan.formulas.is_quadratic and plan.preconditioner is None and not plan.drop_last

    @classmethod
    def of(cls, recipe: Recipe, descents: Sequence[Descent]) -> Self | None:
        """The stream for chunks like that of the descents of all targets; None if there is no fast path."""
        descent = descents[0]
        plan, state = descent.plan, descent.state
        if type(plan.X) is not np.ndarray or plan.row_indices is not None or not isinstance(descent.run, Pass):
            return None
        order = epoch_order(plan, plan.used, state.generator)
        if len(order) > plan.piece_rows(len(descents)) or descent.run.drivers.plain:
            return None
        # A user's schedule is not called for more updates than there are.
        none = np.zeros(plan.n_updates(len(order)))
        piece = Piece(order, none, none if plan.average_from else NO_MIXES, state.n_done(plan), 1.0)
        even = plan._replace(data=plan.data._replace(weight=NO_WEIGHT))
        call = descent.run.call(even, piece, state.vectors, state.window)
        return cls(recipe, plan, order, BoundCall(*call))

    def advance(
        self, X: np.ndarray, y: np.ndarray, weight: Any, known: Sequence[State] | StatesByColumn
    ) -> list[State] | None:
        """The state of each target after another chunk, whose weights are not 0; the given states are not changed.

        None if the fast path cannot be used: if a value is not finite, the epochs find and report it.
        """
        if isinstance(known, StatesByColumn):
            return None  # There were sparse rows in the meantime.
        if known[0].first_targets is not None:
            return None
        states, plan = [state.fork() for state in known], self.plan
        columns = (y,) if y.ndim == 1 else np.ascontiguousarray(y.T)
        first, *others = states
        weight = first.weigh(weight, X)
        if plan.preconditioner:
            each = float(weight[0]) if len(weight) else 1.0
            if not (self.add_row and first.add_moments(self.add_row, GROWTH, each, 1, X, y, 0, 0)):
                # In the order in memory in which the epochs have the targets, which affects the rounding of sums.
                targets = y[:, None] if y.ndim == 1 else columns.T  # type: ignore[union-attr]
                with quiet():
                    curvature = ridge_unit(self.recipe, states, X, targets, weight)
                    learn_columns(self.recipe, Selection(X, targets, weight), first, curvature, merge=self.merge)
            if first.step is None or may_be_cut(self.recipe, first, len(X)):
                return None
        for other in others:
            other.follow(first)
        for state, column in zip(states, columns, strict=True):
            if not self._advance(X, column, weight, state):
                return None
        return states

    def _advance(self, X: np.ndarray, y: np.ndarray, weight: np.ndarray, state: State) -> bool:
        """Let the state of a target learn a chunk; False if the epochs must do it."""
        if state.coef_before is not None:
            return False
        plan = self.plan
        coef, average, m, v = state.vectors
        changed = {"X": address(X), "y": address(y), "w": address(coef), "average": address(average)}
        if len(weight):
            changed |= {"weight": address(weight), "weighted": 1}
        if m is not None:
            changed |= {"m": address(m), "done": state.n_updates}
        if v is not None:
            changed["v"] = address(v)
        if plan.preconditioner:
            assert state.step is not None
            inverse = state.step.preconditioner.inverse
            centre = state.centre.astype(self.dtype, copy=False)
            changed |= {"mean": address(centre), "inverse": address(inverse), "window": address(state.window)}
        rates, n_done = self._rates(state), state.n_done(plan)
        before = None if state.began is None else average.copy()
        loss = self.call(changed | rates.addresses(n_done))
        state.predict_with(plan)
        if before is not None:
            state.update_late_averages(self._plan_with(state.step), before, len(self.order))
        if not (abs(loss) <= self.most and state.finite(plan.average_from > 0, self.most)):
            return False
        n_rows, every, used = len(self.order), float(len(X)), float(len(self.order))
        if len(weight):
            every = used = total(weight)
            if n_rows < len(weight):
                used = total(weight[:n_rows])
        loss /= used
        state.end_epoch(n_rows, self.n_updates, loss, float(rates.rates[n_done + self.n_updates - 1 - rates.first]))
        state.count_first_loss(loss, every, plan.n_rows)
        if self.recipe.finishes_with_zeros:
            data = Data(as_rows(X, self.recipe.params["fit_intercept"]), y, weight)
            with quiet():
                learn_slopes(plan.parts.loss, data, None, X, state)
        return True

    def _rates(self, state: State) -> Rates:
        """Rates that include those of the next updates."""
        known, done, step = self.known, state.n_done(self.plan), state.step if self.plan.preconditioner else None
        made_so = known and known.step is step and known.factor == state.rate_factor
        if known and made_so and known.first <= done <= known.last - self.n_updates:
            return known
        rates, mixes = self._plan_with(step).rates(done, self.ahead, state.rate_factor)
        known = self.known = Rates(done, done + self.ahead, step, state.rate_factor, rates, mixes)
        return known

    def _plan_with(self, step: Step | None) -> Plan:
        """The plan with the rates of the latest step."""
        return self.plan._replace(schedule=stream_schedule(self.plan, step)) if step else self.plan
