"""States of streams of sparse rows with many columns: the cost of a chunk depends on its entries, not on all columns.

A chunk is learned as if there were no other columns than the filled ones and those with entries in it. Their states are
taken as an excerpt, continue like any other state, and are then stored again. Missed updates of the other columns are
applied when they are next in an excerpt: rows without entries in the statistics, the penalty, the averaging, and the
centring.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.credibility import PARAMETERS, STATISTICS, credibility, with_gaps
from sklearn_sgd._engine.automatic.preconditioner import Counted, Preconditioner, Step, make_step
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, Excerpt, by_entries
from sklearn_sgd._engine.plan import Plan, row_numbers
from sklearn_sgd._engine.preparation.columns import remembered
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.missed import Clock, LazyRules
from sklearn_sgd._engine.streams.table import Table

NO_COLUMNS = np.empty(0, np.intp)


class StatesByColumn(NamedTuple):
    """The states of all targets, by their columns.

    Attributes
    ----------
    rules : LazyRules
        The rules of the last descent.
    n_columns : int
        How many columns there are.
    states : tuple of State
        The states, without columns.
    filled, shared : ndarray of shape (n_filled,), and (n_filled,) or (n_filled, n_filled)
        Numbers of the filled columns, and their preconditioner.
    columns : Table of shape (n_columns, 5 + 6 * n_targets)
        Mean, sum of centred squares and count of entries of each column, and when it was last part of a chunk: the
        weight of all rows, and ``kept`` then. After them, of each target, the parameter, its average, and when they
        were last part of a chunk: the clock, without its sign, and the time of the driver. Where `LazyRules.leans`: the
        clock's ``left``, the number of samples, and the two turns of the window.
    clocks : tuple of Clock
        The clock of each target.
    kept : float
        Logarithm of what is left of the weight of the first row.
    known, reach : float
        Sums over the columns that are not filled, of the credibility with each, and of its sum of entries times its
        scaled mean; each as it was, less what has been forgotten since.
    """

    rules: LazyRules
    n_columns: int
    states: tuple[State, ...]
    filled: np.ndarray
    shared: np.ndarray
    columns: Table
    clocks: tuple[Clock, ...]
    kept: float
    known: float
    reach: float

    @classmethod
    def of(cls, rules: LazyRules, states: Sequence[State]) -> "StatesByColumn":
        """Return the states, stored by column."""
        for state in states:
            state.keep_intercept(bool(rules.centred))
            if not rules.automatic:
                state.forget_columns()
            elif state.statistics is not None:
                state.recentre(state.statistics.centre)
        first, p, clocks = states[0], len(states[0].centre), (Clock(),) * len(states)
        rows, filled, known, reach = _rows(rules, states, clocks, 0.0)
        shared = _shared(first, len(filled))
        bare = tuple(map(_bare, states))
        return cls(rules, p, bare, filled, shared, Table(rows), clocks, 0.0, known, reach)

    def whole(self) -> tuple[State, ...]:
        """Return ordinary states, with all columns."""
        return tuple(self.excerpt(np.arange(self.n_columns)))

    def excerpt(self, numbers: np.ndarray) -> list[State]:
        """Return states of these columns, which include the filled ones. They may be changed."""
        rows, first = self.columns.take(numbers), self.states[0]
        statistics, step, scale = None, None, np.zeros(len(numbers))
        if first.statistics is not None:
            filled = np.searchsorted(numbers, self.filled)
            scale = self.rules.lags(rows, filled)
            statistics = self._statistics(rows, first.statistics.weight, filled, scale)
            step = first.step and self._step(statistics, first.step, first.vectors.coef)
        states = []
        for target, (state, clock) in enumerate(zip(self.states, self.clocks, strict=True)):
            w, average = self.rules.catch_up(rows, target, clock, state, scale)
            centre = statistics.centre if statistics and self.rules.automatic else np.zeros(len(numbers))
            states.append(state.of_columns(w, average, centre, statistics, step))
        return states

    def of_entries(self, X) -> tuple[Excerpt, list[State]]:
        """Return X without columns that have no entries, and the states of the others; filled columns remain."""
        X, numbers = _excerpt_of(X, self.filled)
        return X, self.excerpt(numbers)

    def _statistics(self, rows: np.ndarray, total: float, filled: np.ndarray, scale: np.ndarray) -> ColumnStatistics:
        """Return the current statistics of columns that have had no entries since the times of the stored ones."""
        mean, moment, counts, weight, kept = rows[:, :STATISTICS].T
        share = np.exp(self.kept - kept)
        here, reach = share * credibility(counts), float(share @ (weight * mean * scale)) if self.rules.leans else 0.0
        here[filled] = 0.0
        left = {"left_out": max(0.0, self.known - here.sum()), "left_reach": max(0.0, self.reach - reach)}
        mean, moment = with_gaps(mean, share * moment, share * weight, total)
        return ColumnStatistics(total, mean, moment, share * counts, **left)

    def _step(self, statistics: ColumnStatistics, known: Step, like: np.ndarray) -> Step:
        """Return the step for these columns."""
        step = make_step(statistics, Counted(like), 0.0, separable=True, stream=True, known=known)
        return step._replace(preconditioner=step.preconditioner._replace(shared=self.shared), weight=known.weight)

    def after(
        self, recipe: Recipe, plans: Sequence[Plan], numbers: np.ndarray, states: Sequence[State]
    ) -> "StatesByColumn":
        """Return the states after a chunk, given the states of its columns."""
        first, columns, kept = states[0], self.columns, self.kept
        if self.rules.automatic:
            kept += float(np.log(max(remembered(recipe, plans[0].n_rows), 1e-300)))
        clocks = tuple(map(self.rules.after, self.clocks, plans, self.states, states))
        if restarts := [target for target, plan in enumerate(plans) if plan.restarts]:
            rows = columns.numbers()
            for target in restarts:
                rows[:, STATISTICS + PARAMETERS * target :][:, :PARAMETERS] = 0.0
            columns = Table(rows)
        rows, filled, *sums = _rows(self.rules, states, clocks, kept)
        columns, filled, bare = columns.replaced(numbers, rows), numbers[filled], tuple(map(_bare, states))
        shared = _shared(first, len(filled))
        return StatesByColumn(self.rules, self.n_columns, bare, filled, shared, columns, clocks, kept, *sums)


def _bare(state: State) -> State:
    """Return the same state without columns."""
    none, statistics, step = np.empty(0), state.statistics, state.step
    if statistics is not None:
        statistics = ColumnStatistics(statistics.weight, none, none, none)
    if step is not None:
        inverse = step.preconditioner.inverse[:0]
        preconditioner = Preconditioner(inverse, NO_COLUMNS, inverse, step.preconditioner.unit)
        step = step._replace(preconditioner=preconditioner, variance=none, most_variance=none, shares=none)
    return state.of_columns(none, none, none, statistics, step)


def _shared(state: State, n_filled: int) -> np.ndarray:
    """The preconditioner of the filled columns; 0 if there is no step, and none is used before there is one."""
    shared = state.step and state.step.preconditioner.shared
    return np.zeros(n_filled, state.vectors.coef.dtype) if shared is None else shared


def _rows(
    rules: LazyRules, states: Sequence[State], clocks: Sequence[Clock], kept: float
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """The rows of columns of which these are the states, which are filled, and the sums over all others."""
    statistics, p, filled, known, reach = states[0].statistics, len(states[0].centre), NO_COLUMNS, 0.0, 0.0
    rows, scale = np.zeros((p, STATISTICS + PARAMETERS * len(states))), np.zeros(p)
    if statistics is not None:
        weight, mean, moment, counts, is_filled = *statistics[:4], statistics.filled
        assert counts is not None
        rows[:, :STATISTICS] = np.column_stack([mean, moment, counts, np.full(p, weight), np.full(p, kept)])
        filled, scale = np.flatnonzero(is_filled), rules.lags(rows, is_filled)
        known = statistics.left_out + float(credibility(counts)[~is_filled].sum())
        reach = statistics.left_reach + float(scale @ (weight * mean)) * rules.leans
    for target, (state, clock) in enumerate(zip(states, clocks, strict=True)):
        rules.note(rows, target, state.vectors, state, clock)
    return rows, filled, known, reach


class Chunk(NamedTuple):
    """A chunk of a stream, and the states that learn from it.

    Attributes
    ----------
    X : array or matrix
        The rows, of some columns if ``whole`` is given.
    states : list of State
        States to be changed, of the columns of X.
    whole : StatesByColumn or None
        States of all columns.
    numbers : ndarray
        Numbers of the columns of X in those.
    """

    X: Any
    states: list[State]
    whole: StatesByColumn | None = None
    numbers: np.ndarray = NO_COLUMNS

    @classmethod
    def of(cls, recipe: Recipe, X: Any, position: Sequence[State] | StatesByColumn) -> "Chunk":
        """Return the chunk of X for states that may be changed, or are stored by column."""
        rules = LazyRules.of(recipe) if by_entries(X) else None
        if isinstance(position, StatesByColumn) and position.rules == rules:
            whole = position
        else:
            states = list(position.whole() if isinstance(position, StatesByColumn) else position)
            statistics = states[0].statistics
            if rules is None or (statistics is not None and statistics.counts is None):
                return cls(X, states)  # The second case is a stream that began with arrays.
            whole = StatesByColumn.of(rules, states)
        X, numbers = _excerpt_of(X, whole.filled)
        return cls(X, whole.excerpt(numbers), whole, numbers)

    def end(self, recipe: Recipe, plans: Sequence[Plan]) -> "tuple[State, ...] | StatesByColumn":
        """Return the states of the chunk after the descents by these plans."""
        return tuple(self.states) if self.whole is None else self.whole.after(recipe, plans, self.numbers, self.states)


def columns_of(X, filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of columns that are ``filled`` or have entries in X, and the entries' places among them.

    The numbers have NumPy's own type of indices, which it need not convert each time.
    """
    if X.shape[0] == 1 and not len(filled):
        return X.indices.astype(np.intp), row_numbers(len(X.indices))  # A copy, because users may change their matrix.
    numbers, places = np.unique(X.indices, return_inverse=True)
    if len(filled):
        numbers = np.union1d(numbers, filled)
        places = np.searchsorted(numbers, X.indices)
    return numbers.astype(np.intp, copy=False), places.astype(np.uint32)


def _excerpt_of(X, filled: np.ndarray) -> tuple[Excerpt, np.ndarray]:
    """Return X without columns that have no entries, and the numbers of the others; ``filled`` columns remain."""
    numbers, places = columns_of(X, filled)
    indices = places.astype(X.indices.dtype)
    return Excerpt((X.data, indices, X.indptr), shape=(X.shape[0], len(numbers))), numbers
