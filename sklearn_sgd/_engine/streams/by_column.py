"""States of streams of sparse rows with many columns: the cost of a chunk depends on its entries, not on all columns.

A chunk is learned as if there were no other columns than the filled ones and those with entries in it. Their states are
taken as an excerpt, continue like any other state, and are then stored again. Missed updates of the other columns are
applied when they are next in an excerpt: rows without entries in the statistics, the penalty, and the averaging.
"""

from collections.abc import Sequence
from math import exp, log
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.credibility import PARAMETERS, STATISTICS, credibility, with_gaps
from sklearn_sgd._engine.automatic.preconditioner import Counted, Preconditioner, Step, make_step
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, Excerpt, by_entries
from sklearn_sgd._engine.automatic.window import TIME
from sklearn_sgd._engine.passes.passive_aggressive import is_passive_aggressive
from sklearn_sgd._engine.passes.without_plan import settle
from sklearn_sgd._engine.plan import Plan, row_numbers
from sklearn_sgd._engine.preparation.columns import remembered
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.table import Table
from sklearn_sgd._engine.traits import ElasticNetTerms
from sklearn_sgd._engine.vectors import Vectors

# Used as the logarithm of 0, so that differences are finite.
NOTHING_LEFT = -800.0
LEAST_LEFT = exp(NOTHING_LEFT / 2.0)

NO_COLUMNS = np.empty(0, np.intp)


class Clock(NamedTuple):
    """Sums over the updates of a target since the start, from which the missed updates of a column follow.

    Attributes
    ----------
    left : float
        Logarithm of what is left of the start in the average.
    decay : float
        Of a schedule the logarithm of what decays have left of a coefficient, without the sign.
    threshold : float
        Of a schedule the sum of thresholds, each with the decays that came after it.
    sign : float
        The sign of all decays.
    """

    left: float = 0.0
    decay: float = 0.0
    threshold: float = 0.0
    sign: float = 1.0


class LazyRules(NamedTuple):
    """How a descent treats columns of which a row has no entries: by an average, and by a penalty.

    Attributes
    ----------
    automatic : bool
        Whether the step is automatic.
    averaged : bool
        Whether there is an average of parameters.
    centred : bool
        Whether there is an intercept.
    terms : ElasticNetTerms
        The penalty.
    """

    automatic: bool
    averaged: bool
    centred: bool
    terms: ElasticNetTerms

    @classmethod
    def of(cls, recipe: Recipe) -> "LazyRules | None":
        """Return the rules for a recipe; None if the missed updates of a column do not follow from clocks."""
        formulas, averaged = recipe.formulas, recipe.average_from(noise=True) > 0
        passive = is_passive_aggressive(recipe.parts.optimizer)
        if formulas.terms is None or recipe.remembers or not (formulas.is_lazy or passive):
            return None
        if (passive or (averaged and not recipe.automatic)) and any(formulas.terms):
            return None
        return cls(recipe.automatic, averaged, bool(recipe.params["fit_intercept"]), formulas.terms)

    def after(self, clock: Clock, plan: Plan, before: State, state: State) -> Clock:
        """The clock after a descent from one state to another."""
        t, (ridge, lasso) = np.arange(before.n_updates + 1, state.n_updates + 1), self.terms
        clock = self.mixed(clock, plan.mixes(t))
        if self.automatic or not (any(self.terms) and len(t)):
            return clock
        rates, _ = plan.rates(before.n_updates, len(t), state.rate_factor)
        decays = _logarithms(abs(1.0 - rates * ridge))
        done = float(decays.sum())
        return clock._replace(
            decay=clock.decay + done,
            threshold=float(clock.threshold * np.exp(done) + lasso * (rates @ np.exp(done - np.cumsum(decays)))),
            sign=float(clock.sign * np.prod(np.where(rates * ridge > 1.0, -1.0, 1.0))),
        )

    def mixed(self, clock: Clock, mixes: np.ndarray) -> Clock:
        """The clock after updates of the average by these shares."""
        left, *others = clock
        return Clock(left + _logarithm(mixes), *others) if self.averaged else clock

    def catch_up(
        self, rows: np.ndarray, clock: Clock, window: np.ndarray, scale: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return parameters and averages, brought up to date; ``rows`` have their last values, and the times of these.

        ``scale`` is that of the automatic step for each column, divided by its unit.
        """
        w, average, left, time, decay, threshold = rows.T
        if self.automatic and any(self.terms):
            w, average = w.copy(), average.copy()
            columns = {"p": len(w), "w": w, "average": average, "scale": scale, "seen": time.copy()}
            settle(**columns, **self.terms._asdict(), window=window)
        elif any(self.terms):
            fade = np.exp(clock.decay - decay)
            w = clock.sign * np.sign(w) * np.maximum(abs(w) * fade - (clock.threshold - threshold * fade), 0.0)
        elif self.averaged:
            average = w + np.exp(clock.left - left) * (average - w)
        return w, average if self.averaged else w

    def note(self, rows: np.ndarray, target: int, vectors: Vectors, window: np.ndarray, clock: Clock) -> None:
        """Write parameters that are up to date into rows of the table."""
        (w, average, *_), at = vectors, STATISTICS + PARAMETERS * target
        # Averaging may have been turned off since: continue from the parameters that predict.
        w = (w if self.averaged else average)[:-1]
        rows[:, at], rows[:, at + 1] = w if clock.sign == 1.0 else w * clock.sign, average[:-1]
        time = window[TIME] if len(window) > TIME else 0.0
        rows[:, at + 2 : at + PARAMETERS] = clock.left, time, clock.decay, clock.threshold


def _logarithm(mixes: np.ndarray) -> float:
    """The logarithm of what updates by these shares leave."""
    if len(mixes) == 1:
        return log(max(1.0 - float(mixes[0]), LEAST_LEFT))
    return float(_logarithms(1.0 - mixes).sum())


def _logarithms(numbers: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(numbers, LEAST_LEFT))


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
        were last part of a chunk: the clock, without its sign, and the time of the driver.
    clocks : tuple of Clock
        The clock of each target.
    kept : float
        Logarithm of what is left of the weight of the first row.
    known : float
        Sum of the credibility with columns that are not filled; each as it was, less what has been forgotten since.
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
        (filled, known), shared = (NO_COLUMNS, 0.0), _shared(first)
        if first.statistics is not None:
            filled, known = _filled(first.statistics)
        bare = tuple(map(_bare, states))
        return cls(rules, p, bare, filled, shared, Table(_rows(rules, states, clocks, 0.0)), clocks, 0.0, known)

    def whole(self) -> tuple[State, ...]:
        """Return ordinary states, with all columns."""
        return tuple(self.excerpt(np.arange(self.n_columns)))

    def excerpt(self, numbers: np.ndarray) -> list[State]:
        """Return states of these columns, which include the filled ones. They may be changed."""
        rows, first = self.columns.take(numbers), self.states[0]
        statistics, step, scale = None, None, np.zeros(len(numbers))
        if first.statistics is not None:
            mean, moment, counts, weight = rows[:, :4].T
            squares = moment + weight * mean * mean
            scale = np.where(squares > 0.0, credibility(counts) / np.where(squares > 0.0, squares, 1.0), 0.0)
            statistics = self._statistics(rows, first.statistics.weight, np.searchsorted(numbers, self.filled))
            step = first.step and self._step(statistics, first.step, first.vectors.coef)
        states = []
        for target, (state, clock) in enumerate(zip(self.states, self.clocks, strict=True)):
            at = STATISTICS + PARAMETERS * target
            w, average = self.rules.catch_up(rows[:, at : at + PARAMETERS], clock, state.window, scale)
            centre = statistics.centre if statistics and self.rules.automatic else np.zeros(len(numbers))
            states.append(state.of_columns(w, average, centre, statistics, step))
        return states

    def of_entries(self, X) -> tuple[Excerpt, list[State]]:
        """Return X without columns that have no entries, and the states of the others; filled columns remain."""
        X, numbers = _excerpt_of(X, self.filled)
        return X, self.excerpt(numbers)

    def _statistics(self, rows: np.ndarray, total: float, filled: np.ndarray) -> ColumnStatistics:
        """Return the current statistics of columns that have had no entries since the times of the stored ones."""
        mean, moment, counts, weight, kept = rows[:, :STATISTICS].T
        share = np.exp(self.kept - kept)
        left_out = share * credibility(counts)
        left_out[filled] = 0.0
        mean, moment = with_gaps(mean, share * moment, share * weight, total)
        return ColumnStatistics(total, mean, moment, share * counts, max(0.0, self.known - left_out.sum()))

    def _step(self, statistics: ColumnStatistics, known: Step, like: np.ndarray) -> Step:
        """Return the step for these columns."""
        step = make_step(statistics, Counted(like), 0.0, separable=True, stream=True, known=known)
        return step._replace(preconditioner=step.preconditioner._replace(shared=self.shared), weight=known.weight)

    def after(
        self, recipe: Recipe, plans: Sequence[Plan], numbers: np.ndarray, states: Sequence[State]
    ) -> "StatesByColumn":
        """Return the states after a chunk, given the states of its columns."""
        first, share = states[0], max(remembered(recipe, plans[0].n_rows), 1e-300)
        columns, filled, known, kept = self.columns, self.filled, self.known, float(self.kept + np.log(share))
        if self.rules.automatic and first.statistics is not None:
            local, known = _filled(first.statistics)
            filled = numbers[local]
        clocks = tuple(map(self.rules.after, self.clocks, plans, self.states, states))
        if restarts := [target for target, plan in enumerate(plans) if plan.restarts]:
            rows = columns.numbers()
            for target in restarts:
                rows[:, STATISTICS + PARAMETERS * target :][:, :PARAMETERS] = 0.0
            columns = Table(rows)
        columns = columns.replaced(numbers, _rows(self.rules, states, clocks, kept))
        bare = tuple(map(_bare, states))
        return StatesByColumn(self.rules, self.n_columns, bare, filled, _shared(first), columns, clocks, kept, known)


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


def _shared(state: State) -> np.ndarray:
    """The preconditioner of the filled columns."""
    shared = state.step and state.step.preconditioner.shared
    return np.empty(0, state.vectors.coef.dtype) if shared is None else shared


def _rows(rules: LazyRules, states: Sequence[State], clocks: Sequence[Clock], kept: float) -> np.ndarray:
    """The rows of columns of which these are the states."""
    statistics, p = states[0].statistics, len(states[0].centre)
    rows = np.zeros((p, STATISTICS + PARAMETERS * len(states)))
    if statistics is not None:
        assert statistics.counts is not None
        rows[:, :STATISTICS] = np.column_stack(
            [statistics.mean, statistics.moment, statistics.counts, np.full(p, statistics.weight), np.full(p, kept)]
        )
    for target, (state, clock) in enumerate(zip(states, clocks, strict=True)):
        rules.note(rows, target, state.vectors, state.window, clock)
    return rows


def _filled(statistics: ColumnStatistics) -> tuple[np.ndarray, float]:
    """Return which columns are filled, and the sum of the credibility with all others."""
    filled = statistics.filled
    assert statistics.counts is not None
    return np.flatnonzero(filled), statistics.left_out + float(credibility(statistics.counts)[~filled].sum())


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
