"""Streams of sparse rows with many columns by the automatic step: a faster path through `partial_fit`.

One driver applies missed updates to columns, adds the statistics of their new entries and computes their scales; no
Step is made. If columns become filled, or the step must be renewed, `Chunk` does the work instead.
"""

from collections.abc import Callable, Sequence
from math import log
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.credibility import STATISTICS
from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.automatic.statistics import FILLED, FULL, LEAST, Excerpt, by_entries, is_varying
from sklearn_sgd._engine.automatic.step_size import base_rate, joined
from sklearn_sgd._engine.automatic.window import LONG
from sklearn_sgd._engine.compiled.drivers.lazy_automatic import HELD
from sklearn_sgd._engine.compiled.machine import bound
from sklearn_sgd._engine.epochs import quiet
from sklearn_sgd._engine.passes.choose import choose
from sklearn_sgd._engine.passes.drivers import Pass, table_size
from sklearn_sgd._engine.passes.rows import NOTHING
from sklearn_sgd._engine.passes.without_plan import update_columns
from sklearn_sgd._engine.plan import NO_MIXES, RATES, Piece, Plan
from sklearn_sgd._engine.preparation.columns import GROWTH, NO_WEIGHT, Selection, remembered
from sklearn_sgd._engine.preparation.prepare import batch_size_for, build_plan
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.by_column import NO_COLUMNS, StatesByColumn, columns_of
from sklearn_sgd._engine.streams.missed import LazyRules
from sklearn_sgd._engine.vectors import Vectors
from sklearn_sgd._namespace import total

# Number of updates whose weights in the average are computed at once.
AHEAD = 256


class Template(NamedTuple):
    """Common parts of chunks with the same number of rows: plan, rows, updates, and drivers without arrays."""

    key: tuple[int, int, np.dtype]
    plan: Plan
    used: np.ndarray
    n_updates: int
    largest_loss: float
    steps: Pass
    update_columns: Callable[[dict[str, Any]], float]
    run: Callable[[dict[str, Any]], float]


class SparseStream:
    """Goes on through chunks of sparse rows of one target.

    Parameters
    ----------
    recipe : Recipe
        What the parameters were resolved to.
    rules : LazyRules
        The same for columns without entries.
    """

    def __init__(self, recipe: Recipe, rules: LazyRules):
        self.recipe, self.rules = recipe, rules
        self.known: Template | None = None
        # The number of updates before those whose weights in the average are stored, and these weights.
        self.ahead = 0, NO_MIXES

    @classmethod
    def of(cls, recipe: Recipe, X: Any) -> Self | None:
        """Return the stream for a recipe and chunks like X; None if the faster path does not apply."""
        rules = LazyRules.of(recipe) if by_entries(X) and not recipe.params["drop_last"] else None
        return None if rules is None else cls(recipe, rules)

    @quiet()
    def advance(
        self, X: Any, y: np.ndarray, weight: Any, known: StatesByColumn | Sequence[State]
    ) -> StatesByColumn | None:
        """Return the states after another chunk, given those before it; None if `Chunk` must be used."""
        if not isinstance(known, StatesByColumn):
            return None  # Dense chunks came in between.
        (bare, *others), n, rules = known.states, X.shape[0], self.rules
        filled = known.filled if rules.automatic else NO_COLUMNS
        if others or bare.first_targets is not None or len(filled) > FULL or known.rules != rules or not 0 < n <= RATES:
            return None
        state, share, template = bare.fork_except_vectors(), remembered(self.recipe, n), self.template(X)
        if not share or not (weight is None or weight.all()):
            return None
        weight = state.weigh(weight, X)
        gained = total(weight) if len(weight) else float(n)
        (numbers, places), data = columns_of(X, filled), np.ascontiguousarray(X.data)
        p, plan, kept, clock = len(numbers), template.plan, known.kept + log(share), known.clocks[0]
        rows, w, average = known.columns.take(numbers), np.empty(p + 1, data.dtype), np.empty(p + 1)
        w[p], average[p] = bare.vectors.coef[0], bare.vectors.average[0]
        entries: dict[str, Any] = {"X": data, "indices": places, "p": p, "w": w, "average": average}
        if len(weight):
            entries |= {"weight": weight, "shares": np.repeat(weight, np.diff(X.indptr)), "weighted": 1}
        entries["window"], credibilities, shared = state.window, known.known, known.shared
        if rules.automatic:
            entries["inverse"] = np.zeros(p, data.dtype)
            entries |= {"rows": rows, "kept": known.kept, "left": clock.left, "share": share}
            among = np.searchsorted(numbers, filled) if len(filled) else NO_COLUMNS
            if len(filled):
                entries["inverse"][among], before = -1.0, rows[among, 0]
            sums = self._update_columns(template, state, entries, gained, share)
            if sums is None:
                return None
            credibilities = share * max(0.0, known.known - float(sums[0])) + float(sums[1])
            n_varying = 0
            if len(filled):
                shared, n_varying = self._shared(rows[among], state, shared)
                for vector in (w, average):
                    vector[p] += (rows[among, 0] - before) @ vector[among]
                entries |= {"filled": among.astype(np.uint32), "n_filled": len(among), "shared": shared}
                entries |= {"full": int(shared.ndim == 2), "mean": rows[:, 0].astype(data.dtype)}
            state.scale_rows(credibilities, n_varying)
        else:
            w[:p], average[:p] = rules.catch_up(rows[:, STATISTICS:], clock, state.window, rows)
        piece = self._piece(template, state)
        if len(piece.mixes) > 1 and rules.automatic and not any(rules.terms):
            piece = piece._replace(mixes=joined(piece.mixes, p, len(places)))
        loss = self._run(template, state, entries, piece, X, y)
        if not rules.averaged:
            average[:] = w
        vectors, most = Vectors(w, average), template.largest_loss
        if not (abs(loss) <= most and state.finite(rules.averaged, most, vectors)):
            return None
        state.take_over(vectors)
        state.end_epoch(n, len(piece.rates), loss / gained, float(piece.rates[-1]))
        state.count_first_loss(loss / gained, gained, n)
        clock = rules.mixed(clock, piece.mixes) if rules.automatic else rules.after(clock, plan, bare, state)
        rules.note(rows, 0, vectors, state.window, clock)
        columns = known.columns.replaced(numbers, rows)
        return StatesByColumn(
            *(rules, known.n_columns, (state,), known.filled, shared, columns, (clock,), kept, credibilities)
        )

    def _update_columns(
        self, template: Template, state: State, given: dict[str, Any], gained: float, share: float
    ) -> np.ndarray | None:
        """Update columns and the state by the entries of new rows; return the credibilities before and after.

        None if `Chunk` must be used.
        """
        statistics, step, places = state.statistics, state.step, given["indices"]
        if statistics is None or step is None or state.since_step + gained > GROWTH * step.weight:
            return None
        everything, sums = share * statistics.weight + gained, np.zeros(3 + 3 * given["p"])
        given |= {"earlier": statistics.weight, "gained": gained, "least": max(FILLED * everything, LEAST)}
        given |= {"entries": len(places), "numbers": sums}
        template.update_columns(given)
        state.learn_entries(everything, gained)
        return None if sums[2] else sums

    def _shared(self, rows: np.ndarray, state: State, known: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the preconditioner of filled columns with these statistics, and how many of them vary."""
        assert state.statistics is not None
        variance, mean = np.maximum(rows[:, 1] / state.statistics.weight, 0.0), rows[:, 0]
        varies = is_varying(variance, mean)
        if any(self.rules.terms) or len(known) == 1:
            known = np.where(varies, 1.0 / np.where(varies, variance, 1.0), 0.0).astype(known.dtype)
        return known, int(varies.sum())

    def _run(
        self, template: Template, state: State, given: dict[str, Any], piece: Piece, X: Any, y: np.ndarray
    ) -> float:
        """Run the pass, which changes the given vectors; return the sum of the losses."""
        p = given["p"]
        given |= {
            "y": y,
            "indptr": X.indptr.astype(np.uint32),
            "work": template.steps.work(template.plan.batch_size, p),
            "sums": np.zeros(8 + p),
            "rates": piece.rates,
            "mixes": piece.mixes,
            "done": piece.n_done,
        }
        if self.rules.automatic:
            assert state.step is not None
            (ridge, lasso), unit = self.rules.terms, state.step.preconditioner.unit
            given |= {"ridge": ridge / unit, "lasso": lasso / unit, "unit": unit}
            given["table"] = np.zeros(table_size(p, given.get("n_filled", 0), template.plan.batch_size))
            if ridge or lasso:
                given["held"] = np.zeros(HELD)
        else:
            given["seen"] = np.zeros(p)
        return template.run(given)

    def _piece(self, template: Template, state: State) -> Piece:
        """Return the piece of an epoch for a chunk; weights of the average are computed for many chunks at once."""
        plan, used, number, done = template.plan, template.used, template.n_updates, state.n_updates
        if not self.rules.automatic:
            return plan.piece(used, done, state.rate_factor)
        assert state.step is not None
        rates, mixes = np.empty(number), NO_MIXES
        rates.fill(base_rate(state.step, plan.batch_size) * state.rate_factor)
        if self.rules.averaged:
            first, known = self.ahead
            if not first <= done <= first + len(known) - number:
                first, known = done, plan.mixes(np.arange(done + 1, done + 1 + max(number, AHEAD)))
                self.ahead = first, known
            mixes = known[done - first : done - first + number]
        return Piece(used, rates, mixes, done, state.rate_factor)

    def template(self, X: Any) -> Template:
        """Return what chunks like X have in common."""
        size = batch_size_for(self.recipe.params, X, X.shape[0])
        key = X.shape[0], size, X.dtype
        known = self.known
        if known is None or known.key != key:
            known, self.ahead = self._made(*key), (0, NO_MIXES)
            self.known = known  # Another thread may replace it at any time.
        return known

    def _made(self, n_rows: int, size: int, dtype: np.dtype) -> Template:
        """Return the template of chunks with this number of rows and this batch size; its arrays have one column."""
        X = Excerpt((n_rows, 1), dtype=dtype)
        plan = build_plan(self.recipe, Selection(X, None, None, None), NO_WEIGHT, size, True, None, np.zeros(1))
        plan = plan._replace(data=plan.data._replace(y=np.zeros(n_rows, dtype)))
        if self.rules.automatic:
            one = np.ones(1, dtype)
            plan = plan._replace(preconditioner=Preconditioner(one, NO_COLUMNS, one[:0]))
        vectors, rates = Vectors(np.zeros(2, dtype), np.zeros(2)), np.zeros(plan.n_updates(n_rows))
        piece = Piece(plan.used, rates, rates if plan.average_from else NO_MIXES, 0, 1.0)
        steps: Any = choose(plan)
        run = bound(steps.call(plan, piece, vectors, np.zeros(LONG)), scratch=())
        stays = {"centred": int(self.recipe.params["fit_intercept"]), "averaged": int(self.rules.averaged)}
        stays |= {"shares": NOTHING, "weighted": 0}
        first = update_columns(stays | self.rules.terms._asdict(), dtype)
        key = n_rows, size, dtype
        return Template(key, plan, plan.used, len(rates), plan.largest_loss, steps, first, run)
