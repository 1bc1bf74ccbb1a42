"""The only loop over epochs: a generator that yields what each epoch cost."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.order import epoch_order
from sklearn_sgd._engine.passes.choose import choose
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.prepare import next_plan, reweighted
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State, Vectors
from sklearn_sgd._namespace import take, total


def quiet():
    """No warnings of NumPy: a descent that diverges is reported as such."""
    return np.errstate(all="ignore")


class Epoch(NamedTuple):
    """The mean loss of an epoch, each row's taken before its own update, and the penalty at its end."""

    loss: float
    penalty: float
    finite: bool


class Descent:
    """The way of one target: a plan, and the state that goes on by it."""

    def __init__(self, plan: Plan, state: State, run: Callable | None = None, before: Vectors | None = None):
        self.plan, self.state, self.run, self.stopped = plan, state, run or choose(plan), False
        self.before = before

    def begin(self) -> None:
        """Make ready for an epoch."""
        if self.plan.is_reweighted:
            self.plan = reweighted(self.plan, self.state)
        if self.before is None:
            self.before = self.state.vectors.copy()
        self.total = self.state.first_batch_excess

    def advance(self, order: Any, start: int, stop: int) -> None:
        """Take the rows from one place in the order to another, which are whole batches."""
        plan, state = self.plan, self.state
        rows = order if stop - start == len(order) else order[start:stop]
        piece = plan.piece(rows, state.n_updates + start // plan.batch_size, state.rate_factor)
        if len(piece.rates):
            self.rate = float(piece.rates[-1])
        self.total += self.run(plan, piece, state.vectors, state.window)

    def end(self, order: Any) -> Epoch:
        """Count the epoch; one that left the finite range is undone."""
        plan, state = self.plan, self.state
        penalty = plan.penalty_value(state.vectors.coef)
        finite = abs(self.total) <= plan.largest_loss and state.finite(plan.average_from > 0, plan.largest_loss)
        if not finite:
            state.predict_with(self.before)
        elif not plan.average_from:
            state.predict_with(None)
        self.before = None
        n_rows = len(order)
        weight = total(take(plan.data.weight, order)) if plan.data.weight.shape[0] else n_rows
        loss = float(self.total / weight) if weight else 0.0
        state.end_epoch(n_rows, plan.n_updates(n_rows), loss, getattr(self, "rate", 0.0))
        return Epoch(loss, penalty, finite)


class Stream:
    """A descent that is to go on through rows like its last ones: as many, dense, without weights, of one target."""

    def __init__(self, recipe: Recipe, descent: Descent):
        nothing: Any = None
        self.recipe, self.plan = recipe, descent.plan._replace(X=None, data=nothing)
        self.n_rows, self.order = self.plan.n_rows, epoch_order(self.plan, self.plan.used, descent.state.generator)
        # Whether rows that are not finite show in the loss, as those of a squared error do, and nowhere before.
        explicit = self.plan.preconditioner is None and not self.plan.drop_last
        self.shows_not_finite = self.plan.formulas.is_quadratic and explicit
        # A partial one holds something of its own rows.
        self.run = None if isinstance(descent.run, partial) else descent.run

    def descent(self, X: np.ndarray, y: np.ndarray, known: State) -> Descent:
        """The descent through the next rows, from a state that is not changed."""
        state = known.fork()
        plan = next_plan(self.plan, self.recipe, X, y, state)
        return Descent(plan, state, self.run, before=None if plan.preconditioner else known.vectors)


def epochs(descents: Sequence[Descent]) -> Iterator[list[tuple[Descent, Epoch]]]:
    """Go on from where the descents stand, epoch by epoch, until all are ``stopped``; states are up to date then.

    The descents are those of several targets on the same rows. They take turns at pieces of an epoch, so that rows come
    from memory once for all targets.
    """
    plan = descents[0].plan
    numbers, generator = plan.used.copy() if plan.shuffles else plan.used, descents[0].state.generator
    order = epoch_order(plan, numbers, generator)
    while going := [descent for descent in descents if not descent.stopped]:
        yield one_epoch(going, order)
        if plan.shuffles:
            order = epoch_order(plan, numbers, generator)


def one_epoch(descents: Sequence[Descent], order: Any = None) -> list[tuple[Descent, Epoch]]:
    """Go on over the rows of the plans, in this order or their own."""
    plan = descents[0].plan
    if order is None:
        order = epoch_order(plan, plan.used, descents[0].state.generator)
    for descent in descents:
        descent.begin()
    size = plan.piece_rows(len(descents)) if len(order) > plan.batch_size else plan.batch_size
    for start in range(0, len(order), size):
        for descent in descents:
            descent.advance(order, start, min(start + size, len(order)))
    return [(descent, descent.end(order)) for descent in descents]
