"""Streams of sparse rows with many columns by the automatic step: a faster path through `partial_fit`.

One driver applies missed updates to columns, adds the statistics of their new entries and computes their scales; no
Step is made. If columns become filled, or the step must be renewed, `Chunk` does the work instead.
"""

from collections.abc import Callable
from math import log
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.entries import STATISTICS
from sklearn_sgd._engine.automatic.preconditioner import Preconditioner, is_varying
from sklearn_sgd._engine.automatic.statistics import FILLED, FULL, LEAST, Excerpt, by_entries
from sklearn_sgd._engine.automatic.step_size import base_rate
from sklearn_sgd._engine.automatic.window import LONG
from sklearn_sgd._engine.by_column import NO_COLUMNS, StatesByColumn, Way, columns_of
from sklearn_sgd._engine.compiled.machine import bound
from sklearn_sgd._engine.epochs import quiet
from sklearn_sgd._engine.passes.choose import choose, visit
from sklearn_sgd._engine.passes.drivers import Pass, rare_table
from sklearn_sgd._engine.passes.rows import in_one_piece
from sklearn_sgd._engine.plan import NO_MIXES, RATES, Piece, Plan
from sklearn_sgd._engine.prepare import GROWTH, NO_WEIGHT, Selection, batch_size_for, build_plan, remembered
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.vectors import Vectors

# Number of updates whose weights in the average are computed at once.
AHEAD = 256


class Form(NamedTuple):
    """Common parts of chunks with the same number of rows: plan, rows, updates, and drivers without arrays."""

    key: tuple[int, int, np.dtype]
    plan: Plan
    used: np.ndarray
    n_updates: int
    steps: Pass
    visit: Callable[[dict[str, Any]], float]
    run: Callable[[dict[str, Any]], float]


class SparseStream:
    """Goes on through chunks of sparse rows, without weights, of one target.

    Parameters
    ----------
    recipe : Recipe
        What the parameters were resolved to.
    way : Way
        The same for columns without entries.
    """

    def __init__(self, recipe: Recipe, way: Way):
        self.recipe, self.way = recipe, way
        self.known: Form | None = None
        # The number of updates before those whose weights in the average are stored, and these weights.
        self.ahead = 0, NO_MIXES

    @classmethod
    def of(cls, recipe: Recipe, X: Any) -> Self | None:
        """Return the stream for a recipe and chunks like X; None if the faster path does not apply."""
        way = Way.of(recipe) if by_entries(X) and not recipe.params["drop_last"] else None
        return None if way is None else cls(recipe, way)

    @quiet()
    def advance(self, X: Any, y: np.ndarray, known: StatesByColumn | State) -> StatesByColumn | None:
        """Return the states after another chunk, given those before it; None if `Chunk` must be used."""
        if not isinstance(known, StatesByColumn):
            return None  # Dense chunks came in between.
        (bare, *others), n, way = known.states, X.shape[0], self.way
        filled = known.filled if way.automatic else NO_COLUMNS
        if others or bare.first_targets is not None or len(filled) > FULL or known.way != way or not 0 < n <= RATES:
            return None
        state, share, form = bare.fork(), remembered(self.recipe, n), self.form(X)
        if not state.count_rows(n) or not share:
            return None
        numbers, places = columns_of(X, filled)
        p, plan, kept, clock = len(numbers), form.plan, known.kept + log(share), known.clocks[0]
        rows, w, average = known.columns.take(numbers), np.empty(p + 1, X.dtype), np.empty(p + 1)
        w[p], average[p] = bare.vectors.coef[0], bare.vectors.average[0]
        entries = {"X": in_one_piece(X.data), "indices": places, "p": p, "w": w, "average": average}
        entries["window"], acquaintances, shared = state.window, known.known, known.shared
        if way.automatic:
            entries["inverse"] = np.zeros(p, X.dtype)
            missed = {"rows": rows, "kept": known.kept, "left": clock.left, "share": share}
            among = np.searchsorted(numbers, filled) if len(filled) else NO_COLUMNS
            if len(filled):
                entries["inverse"][among], before = -1.0, rows[among, 0]
            sums = self._visit(form, state, entries | missed, n, share)
            if sums is None:
                return None
            acquaintances = share * max(0.0, known.known - float(sums[0])) + float(sums[1])
            n_varying = 0
            if len(filled):
                shared, n_varying = self._shared(rows[among], state, shared)
                for vector in (w, average):
                    vector[p] += (rows[among, 0] - before) @ vector[among]
                entries |= {"filled": among.astype(np.uint32), "n_filled": len(among), "shared": shared}
                entries |= {"full": int(shared.ndim == 2), "mean": rows[:, 0].astype(X.dtype)}
            state.scale_rows(acquaintances, n_varying)
        else:
            w[:p], average[:p] = way.catch_up(rows[:, STATISTICS:], clock, state.window, rows)
        piece = self._piece(form, state)
        loss = self._run(form, state, entries, piece, X, y)
        if not way.averaged:
            average[:] = w
        vectors, most = Vectors(w, average), plan.largest_loss
        if not (abs(loss) <= most and state.finite(way.averaged, most, vectors)):
            return None
        state.take_over(vectors)
        state.end_epoch(n, len(piece.rates), loss / n, float(piece.rates[-1]))
        state.count_first_loss(loss / n, float(n))
        clock = way.mixed(clock, piece.mixes) if way.automatic else way.after(clock, plan, bare, state)
        way.note(rows, 0, vectors, state.window, clock)
        columns = known.columns.replaced(numbers, rows)
        return StatesByColumn(
            *(way, known.n_columns, (state,), known.filled, shared, columns, (clock,), kept, acquaintances)
        )

    def _visit(self, form: Form, state: State, given: dict[str, Any], n: int, share: float) -> np.ndarray | None:
        """Update columns and the state by the entries of n rows; return the acquaintances before and after.

        None if `Chunk` must be used.
        """
        statistics, step, places = state.statistics, state.step, given["indices"]
        if statistics is None or step is None or state.since_step + n > GROWTH * step.weight:
            return None
        total, sums = share * statistics.weight + n, np.zeros(3 + 3 * given["p"])
        given |= {"weight": statistics.weight, "gained": float(n), "least": max(FILLED * total, LEAST)}
        form.visit(given | {"entries": len(places), "numbers": sums})
        state.learn_entries(total, n)
        return None if sums[2] else sums

    def _shared(self, rows: np.ndarray, state: State, known: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the preconditioner of filled columns with these statistics, and how many of them vary."""
        assert state.statistics is not None
        variance, mean = np.maximum(rows[:, 1] / state.statistics.weight, 0.0), rows[:, 0]
        varies = is_varying(variance, mean)
        if any(self.way.terms) or len(known) == 1:
            known = np.where(varies, 1.0 / np.where(varies, variance, 1.0), 0.0).astype(known.dtype)
        return known, int(varies.sum())

    def _run(self, form: Form, state: State, given: dict[str, Any], piece: Piece, X: Any, y: np.ndarray) -> float:
        """Run the pass, which changes the given vectors; return the sum of the losses."""
        p, given = given["p"], given | {"y": y, "indptr": X.indptr.astype(np.uint32)}
        given |= {"work": form.steps.work(form.plan.batch_size, p), "sums": np.zeros(8 + p)}
        given |= {"rates": piece.rates, "mixes": piece.mixes, "done": piece.n_done}
        if not self.way.automatic:
            return form.run(given | {"seen": np.zeros(p)})
        assert state.step is not None
        (ridge, lasso), unit = self.way.terms, state.step.preconditioner.unit
        scaled = {"ridge": ridge / unit, "lasso": lasso / unit, "unit": unit}
        return form.run(given | scaled | {"table": rare_table(p, self.way.terms)})

    def _piece(self, form: Form, state: State) -> Piece:
        """Return the piece of an epoch for a chunk; weights of the average are computed for many chunks at once."""
        plan, used, number, done = form.plan, form.used, form.n_updates, state.n_updates
        if not self.way.automatic:
            return plan.piece(used, done, state.rate_factor)
        assert state.step is not None
        rates, mixes = np.full(number, base_rate(state.step, plan.batch_size) * state.rate_factor), NO_MIXES
        if self.way.averaged:
            first, known = self.ahead
            if not first <= done <= first + len(known) - number:
                first, known = done, plan.mixes(np.arange(done + 1, done + 1 + max(number, AHEAD)))
                self.ahead = first, known
            mixes = known[done - first : done - first + number]
        return Piece(used, rates, mixes, done, state.rate_factor)

    def form(self, X: Any) -> Form:
        """Return what chunks like X have in common."""
        size = batch_size_for(self.recipe.params, X, X.shape[0])
        key = X.shape[0], size, X.dtype
        if self.known is None or self.known.key != key:
            self.known, self.ahead = self._made(*key), (0, NO_MIXES)
        return self.known

    def _made(self, n_rows: int, size: int, dtype: np.dtype) -> Form:
        """Return the form of chunks with this number of rows and this batch size; its arrays have one column."""
        X = Excerpt((n_rows, 1), dtype=dtype)
        plan = build_plan(self.recipe, Selection(X, None, None, None), NO_WEIGHT, size, True, None, np.zeros(1))
        plan = plan._replace(data=plan.data._replace(y=np.zeros(n_rows, dtype)))
        if self.way.automatic:
            one = np.ones(1, dtype)
            plan = plan._replace(preconditioner=Preconditioner(one, NO_COLUMNS, one[:0]))
        vectors, rates = Vectors(np.zeros(2, dtype), np.zeros(2)), np.zeros(plan.n_updates(n_rows))
        piece = Piece(plan.used, rates, rates if plan.average_from else NO_MIXES, 0, 1.0)
        steps: Any = choose(plan)
        run = bound(steps.call(plan, piece, vectors, np.zeros(LONG)), scratch=())
        stays = {"centred": int(self.recipe.params["fit_intercept"]), "averaged": int(self.way.averaged)}
        first = visit(stays | self.way.terms._asdict(), dtype)
        return Form((n_rows, size, dtype), plan, plan.used, len(rates), steps, first, run)
