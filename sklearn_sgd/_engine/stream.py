"""A stream of small chunks that look alike: the short way through `partial_fit`.

It takes the steps that the epochs take, with the same bits, and does before the first of them what does not change.
"""

from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.final_step import proximal_finish, short_finish
from sklearn_sgd._engine.automatic.preconditioner import Step
from sklearn_sgd._engine.by_column import StatesByColumn
from sklearn_sgd._engine.compiled.machine import BoundCall, address
from sklearn_sgd._engine.cores import one_blas_thread
from sklearn_sgd._engine.epochs import Descent, quiet
from sklearn_sgd._engine.order import epoch_order
from sklearn_sgd._engine.passes.drivers import Pass
from sklearn_sgd._engine.plan import NO_MIXES, Piece, Plan
from sklearn_sgd._engine.prepare import NO_WEIGHT, learn_columns, stream_schedule
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State

# Updates whose rates are made at once.
AHEAD = 256


class Rates(NamedTuple):
    """Rates and shares of the average for the updates after ``first``, up to ``last``, made by a step and a factor."""

    first: int
    last: int
    step: Step | None
    factor: float
    rates: np.ndarray
    mixes: np.ndarray

    def addresses(self, n_done: int) -> dict[str, Any]:
        """Where those after so many updates are."""
        ahead = self.rates.itemsize * (n_done - self.first)
        found = {"rates": address(self.rates) + ahead}
        return found | {"mixes": address(self.mixes) + ahead} if len(self.mixes) else found


class Stream:
    """Goes on through chunks like the last one: as many dense rows, without weights, of one target, in one piece.

    Parameters
    ----------
    recipe : Recipe
        What the parameters were resolved to.
    plan : Plan
        Plan of the last chunk.
    order : ndarray
        Numbers of the rows of a chunk, in their order.
    call : BoundCall
        The pass, with all arguments that stay.
    """

    def __init__(self, recipe: Recipe, plan: Plan, order: np.ndarray, call: BoundCall):
        nothing: Any = None
        self.recipe, self.plan, self.order, self.call = recipe, plan._replace(X=None, data=nothing), order, call
        self.dtype, self.n_updates = plan.X.dtype, plan.n_updates(len(order))
        # Rates of a function of the user's are made when they are due.
        own = isinstance(recipe.params["learning_rate"], str)
        self.ahead = self.n_updates * max(1, AHEAD // self.n_updates * own)
        self.most = plan.largest_loss
        self.known: Rates | None = None
        # Whether values that are not finite show in the loss, as those of a squared error do, and nowhere before.
        self.shows_not_finite = plan.formulas.is_quadratic and plan.preconditioner is None and not plan.drop_last

    @classmethod
    def of(cls, recipe: Recipe, descent: Descent) -> Self | None:
        """The stream of chunks like that of a descent; None where there is no short way."""
        plan, state = descent.plan, descent.state
        if type(plan.X) is not np.ndarray or plan.data.weight.shape[0] or not isinstance(descent.run, Pass):
            return None
        order = epoch_order(plan, plan.used, state.generator)
        if len(order) > plan.piece_rows(1) or descent.run.drivers.plain:
            return None
        # A schedule of the user's is not called for numbers that change with each chunk.
        none = np.zeros(plan.n_updates(len(order)))
        piece = Piece(order, none, none if plan.average_from else NO_MIXES, state.n_updates, 1.0)
        call = descent.run.call(plan, piece, state.vectors, state.window)
        return cls(recipe, plan, order, BoundCall(*call))

    def advance(self, X: np.ndarray, y: np.ndarray, known: State | StatesByColumn) -> State | None:
        """The state after another chunk, from one that is not changed.

        None where there is more to do: if something is not finite, the epochs find out what, and report it.
        """
        if not isinstance(known, State):
            return None  # There were sparse rows in between.
        if known.first_targets is not None:
            return None
        state, dtype, plan = known.fork(), self.dtype, self.plan
        if not state.count_rows(len(X)):
            return None
        coef, average, m, v = state.vectors
        changed = {"X": address(X), "y": address(y), "w": address(coef), "average": address(average)}
        if m is not None:
            changed |= {"m": address(m), "done": state.n_updates}
        if v is not None:
            changed["v"] = address(v)
        if plan.preconditioner:
            with quiet():
                learn_columns(self.recipe, X, y[:, None], NO_WEIGHT, state)
            if state.coef_before is not None or state.step is None:
                return None
            inverse = state.step.preconditioner.inverse
            centre = state.centre.astype(dtype, copy=False)
            changed |= {"mean": address(centre), "inverse": address(inverse), "window": address(state.window)}
        rates, n_done = self._rates(state), state.n_updates
        loss = self.call(changed | rates.addresses(n_done))
        state.predict_with(averaged=bool(plan.average_from))
        if not (abs(loss) <= self.most and state.finite(plan.average_from > 0, self.most)):
            return None
        n_rows = len(self.order)
        loss /= n_rows
        state.end_epoch(n_rows, self.n_updates, loss, float(rates.rates[n_done + self.n_updates - 1 - rates.first]))
        state.count_first_loss(loss, float(plan.n_rows))
        return state

    def _rates(self, state: State) -> Rates:
        """Rates that hold those of the next updates."""
        known, done, step = self.known, state.n_updates, state.step if self.plan.preconditioner else None
        made_so = known and known.step is step and known.factor == state.rate_factor
        if known and made_so and known.first <= done <= known.last - self.n_updates:
            return known
        plan = self.plan._replace(schedule=stream_schedule(self.plan, step)) if step else self.plan
        rates, mixes = plan.rates(done, self.ahead, state.rate_factor)
        self.known = Rates(done, done + self.ahead, step, state.rate_factor, rates, mixes)
        return self.known


class StreamFinish(NamedTuple):
    """The final step of a stream of the squared error: from running moments to the minimum on all rows seen.

    It is made when coefficients are asked for, and changes nothing in the state. An average of iterates alone is worth
    half of its rows.
    """

    penalty: Any
    smooth: bool
    bias: float

    @classmethod
    def of(cls, recipe: Recipe) -> Self | None:
        """That of a recipe; None where predictions are those of the descent itself."""
        if not recipe.finishes_streams:
            return None
        return cls(recipe.parts.penalty, recipe.formulas.is_smooth, float(recipe.params["fit_intercept"]))

    @one_blas_thread()  # The same bits in a program that has more.
    def __call__(self, state: State, target: int, scores: Any = None) -> tuple[np.ndarray, float]:
        """Coefficients and intercept of a target to predict with."""
        if not state.knows_targets or state.step is None:
            return state.predictor()
        normal, w = state.normal_matrix(target), state.vectors.average
        if self.smooth:
            weight = state.statistics.weight if state.statistics else 1.0
            return state.predictor(short_finish(normal, self.penalty, state.step.preconditioner, w, self.bias, weight))
        if state.is_young:
            return state.predictor()
        return state.predictor(proximal_finish(normal, self.penalty, w, self.bias))
