"""The only loop over epochs: a generator that yields the loss of each epoch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.order import epoch_order
from sklearn_sgd._engine.passes.choose import choose, visits_rows
from sklearn_sgd._engine.passes.variance_reduced import Memory
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.reweighting import Reweighting
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import take, total


def quiet():
    """Suppress NumPy's warnings: a descent that diverges is reported in another way."""
    return np.errstate(all="ignore")


class Epoch(NamedTuple):
    """The mean loss of an epoch, and the penalty.

    The loss of each row is that before its update. The penalty is that at the end; of full batches it is that before
    the update, so that both are of the same parameters.
    """

    loss: float
    penalty: float
    finite: bool


class Descent:
    """The descent of one target: a plan, and the state that it changes.

    Steps are ``share`` of those of the plan's schedule.

    ``record``, if there is one, is called after each update: with the descent, the numbers of the rows of its batch,
    and the sum of their losses before it.
    """

    record: Callable[["Descent", Any, float], None] | None = None

    def __init__(self, plan: Plan, state: State):
        self.plan, self.state, self.stopped = plan, state, False
        self.run: Any = choose(plan)
        self.visits = visits_rows(plan, self.run)
        self.weight, self.share = plan.weight, 1.0
        self.joined: np.ndarray | None = None
        self.reweighting = Reweighting() if plan.is_reweighted else None

    def begin(self) -> None:
        """Prepare an epoch."""
        if isinstance(self.run, Memory):
            self.run.begin_epoch()
        if self.reweighting:
            self.plan, self.share = self.reweighting.begin(self.plan, self.state, self.was_stopped)
        self.before, self.window = self.state.vectors.copy(), self.state.window.copy()
        self.total = self.state.first_batch_excess

    def advance(self, order: Any, start: int, stop: int) -> None:
        """Process the rows from one position in the order to another; these are whole batches."""
        plan, state = self.plan, self.state
        rows = order if stop - start == len(order) else order[start:stop]
        before, first = state.n_done(plan), start // plan.batch_size
        if start == 0:
            self.joined = plan.joined(before, len(order))
        joined = None if self.joined is None else self.joined[first : first + plan.n_updates(len(rows))]
        piece = plan.piece(rows, before + first, state.rate_factor * self.share, joined)
        if len(piece.rates):
            self.rate = float(piece.rates[-1])
        if self.visits:
            count_rows(len(rows))
        losses = self.run(plan, piece, state.vectors, state.window)
        self.total += losses
        if self.record:
            self.record(self, rows, losses)

    def end(self, order: Any) -> Epoch:
        """Count the epoch, or undo it if it left the finite range."""
        plan, state = self.plan, self.state
        penalty = plan.penalty_value((state.vectors if plan.noise else self.before).coef)
        finite = abs(self.total) <= plan.largest_loss and state.finite(plan.average_from > 0, plan.largest_loss)
        if not finite:
            state.go_back_to(self.before, self.window)
        else:
            state.predict_with(plan)
            if state.began is not None:
                state.update_late_averages(plan, self.before.average, len(order))
        n_rows, weight = len(order), self.weight_of(order)
        loss = float(self.total / weight) if weight else 0.0
        state.end_epoch(n_rows, plan.n_updates(n_rows), loss, getattr(self, "rate", 0.0))
        if self.reweighting:
            self.reweighting.end(loss + penalty)
        return Epoch(loss, penalty, finite)

    @property
    def was_stopped(self) -> bool:
        """Whether the last step on all rows was stopped early, where steps show it."""
        return self.plan.searches and not self.plan.noise and self.run.rows.was_stopped

    @property
    def excess(self) -> float:
        """Excess of the objective over its minimum, if the steps on all rows show it."""
        return self.run.rows.excess if self.plan.searches and not self.plan.noise else np.inf

    def loss_at(self, w: np.ndarray) -> float:
        """Mean loss at some parameters, if the steps are on all rows."""
        return float(self.run.rows(self.plan.data, self.plan.used, self.plan.parts.loss).gradient(w)[0]) / self.weight

    def weight_of(self, order: Any) -> float:
        """The total weight of the rows of an epoch."""
        data = self.plan.data
        if not data.weight.shape[0]:
            return len(order)
        return self.weight if len(order) == self.plan.n_rows else total(take(data.weight, order))


def epochs(descents: Sequence[Descent]) -> Iterator[list[tuple[Descent, Epoch]]]:
    """Continue the descents epoch by epoch, until all are ``stopped``. The states are up to date after each epoch.

    The descents are those of several targets on the same rows. They process a piece of an epoch one after the other, so
    that the rows are read from memory once for all targets.
    """
    plan = descents[0].plan
    numbers, generator = plan.used.copy() if plan.shuffles else plan.used, descents[0].state.generator
    order = epoch_order(plan, numbers, generator)
    while going := [descent for descent in descents if not descent.stopped]:
        yield one_epoch(going, order)
        if plan.shuffles:
            order = epoch_order(plan, numbers, generator)


def one_epoch(descents: Sequence[Descent], order: Any = None) -> list[tuple[Descent, Epoch]]:
    """Continue the descents for one epoch, with the rows in this order or in their own."""
    plan = descents[0].plan
    if order is None:
        order = epoch_order(plan, plan.used.copy() if plan.shuffles else plan.used, descents[0].state.generator)
    for descent in descents:
        descent.begin()
    whole = len(order) > plan.batch_size and not any(descent.record for descent in descents)
    size = plan.piece_rows(len(descents)) if whole else plan.batch_size
    for start in range(0, len(order), size):
        for descent in descents:
            descent.advance(order, start, min(start + size, len(order)))
    return [(descent, descent.end(order)) for descent in descents]
