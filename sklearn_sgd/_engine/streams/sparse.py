"""Streams of sparse rows with many columns by the automatic step: a faster path through `partial_fit`.

One driver applies missed updates to columns, adds the statistics of their new entries and computes their scales; no
Step is made. If columns become filled, or the step must be renewed, `Chunk` does the work instead.
"""

from collections.abc import Callable, Sequence
from math import log
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.credibility import units_of_means
from sklearn_sgd._engine.automatic.lean import Lean
from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.automatic.statistics import FILLED, FULL, LEAST, Excerpt, by_entries, is_varying
from sklearn_sgd._engine.automatic.step_size import base_rate, joined
from sklearn_sgd._engine.automatic.window import LONG
from sklearn_sgd._engine.compiled.drivers.lazy_automatic import HELD
from sklearn_sgd._engine.compiled.drivers.update_columns import (
    AFTER,
    BEFORE,
    FIRST,
    OTHERS,
    REACH_AFTER,
    REACH_BEFORE,
)
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
    """Common parts of chunks with the same number of rows: plan, rows, updates, and drivers without arrays.

    ``share`` is what they leave of the weight of earlier rows.
    """

    key: tuple[int, int, np.dtype]
    share: float
    plan: Plan
    used: np.ndarray
    n_updates: int
    largest_loss: float
    steps: Pass
    update_columns: Callable[[dict[str, Any]], float]
    run: Callable[[dict[str, Any]], float]


class Learned(NamedTuple):
    """What follows from the columns of a chunk: three fields of `StatesByColumn`, and arguments of the pass."""

    shared: np.ndarray
    known: float
    reach: float
    given: dict[str, Any] = {}


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
        state, template = bare.fork_except_vectors(), self.template(X)
        share = template.share
        if not share or not (weight is None or weight.all()):
            return None
        weight = state.weigh(weight, X)
        gained = total(weight) if len(weight) else float(n)
        (numbers, places), data = columns_of(X, filled), np.ascontiguousarray(X.data)
        p, plan, kept, clock = len(numbers), template.plan, known.kept + log(share), known.clocks[0]
        rows, w, average = known.columns.take(numbers), np.empty(p + 1, data.dtype), np.empty(p + 1)
        w[p], average[p] = bare.vectors.coef[0], bare.vectors.average[0]
        # The arguments of both drivers.
        given: dict[str, Any] = {"X": data, "indices": places, "indptr": X.indptr.astype(np.uint32), "p": p}
        given |= {"w": w, "average": average, "window": state.window}
        learned, more = Learned(known.shared, known.known, known.reach), dict[str, Any](y=y)
        if len(weight):
            more |= {"weight": weight, "weighted": 1}
        if rules.automatic:
            among = np.searchsorted(numbers, filled) if len(filled) else NO_COLUMNS
            shares = np.repeat(weight, np.diff(X.indptr)) if len(weight) else None
            found = self._learn_columns(template, state, known, rows, among, given, shares, gained, share)
            if found is None:
                return None
            learned, more = found, more | found.given
        else:
            w[:p], average[:p] = rules.catch_up(rows, 0, clock, state, rows)
        piece = self._piece(template, state)
        if len(piece.mixes) > 1 and rules.automatic and not any(rules.terms):
            piece = piece._replace(mixes=joined(piece.mixes, p, len(places)))
        loss = self._run(template, state, given | more, piece)
        if not rules.averaged:
            average[:] = w
        vectors, most = Vectors(w, average), template.largest_loss
        if not (abs(loss) <= most and state.finite(rules.averaged, most, vectors)):
            return None
        state.take_over(vectors)
        state.end_epoch(n, len(piece.rates), loss / gained, float(piece.rates[-1]))
        state.count_first_loss(loss / gained, gained, n)
        clock = rules.mixed(clock, piece.mixes) if rules.automatic else rules.after(clock, plan, bare, state)
        rules.note(rows, 0, vectors, state, clock)
        columns, (shared, *sums) = known.columns.replaced(numbers, rows), learned[:3]
        return StatesByColumn(rules, known.n_columns, (state,), known.filled, shared, columns, (clock,), kept, *sums)

    def _learn_columns(
        self,
        template: Template,
        state: State,
        known: StatesByColumn,
        rows: np.ndarray,
        filled: np.ndarray,
        given: dict[str, Any],
        shares: np.ndarray | None,
        gained: float,
        share: float,
    ) -> "Learned | None":
        """Let rows of the table and the state learn the entries of new rows, with these ``shares`` of their weight.

        None if `Chunk` must be used.
        """
        statistics, step, p, leans = state.statistics, state.step, given["p"], self.rules.leans
        if statistics is None or step is None or state.since_step + gained > GROWTH * step.weight:
            return None
        earlier, everything = statistics.weight, share * statistics.weight + gained
        numbers, inverse, before = np.zeros(FIRST + 3 * p), np.zeros(p, given["w"].dtype), NO_COLUMNS
        if len(filled):
            inverse[filled], before = -1.0, rows[filled, 0]
        own: dict[str, Any] = {"inverse": inverse}
        if leans:
            own["samples"] = float(state.n_samples)
            own |= {"lean": np.zeros(p), "onto": np.zeros(len(template.used))}
            own["unit_of_means"], of_reach = units_of_means(everything, self.rules.prior)
        new = {"rows": rows, "kept": known.kept, "left": known.clocks[0].left, "share": share, "numbers": numbers}
        new |= {"earlier": earlier, "gained": gained, "least": max(FILLED * everything, LEAST)}
        new["entries"] = len(given["indices"])
        if shares is not None:
            new |= {"shares": shares, "weighted": 1}
        template.update_columns(given | own | new)
        if numbers[OTHERS]:
            return None
        state.learn_entries(everything, gained)
        credibilities = share * max(0.0, known.known - float(numbers[BEFORE])) + float(numbers[AFTER])
        reach, shared, n_varying = known.reach, known.shared, 0
        if leans:
            reach = share * max(0.0, reach - float(numbers[REACH_BEFORE])) + float(numbers[REACH_AFTER])
            own["reach"] = of_reach * reach
        if len(filled):
            shared, n_varying = self._shared(rows[filled], state, shared)
            for vector in given["w"], given["average"]:
                vector[p] += (rows[filled, 0] - before) @ vector[filled]
            own |= {"filled": filled.astype(np.uint32), "n_filled": len(filled), "shared": shared}
            own |= {"full": int(shared.ndim == 2), "mean": rows[:, 0].astype(inverse.dtype)}
        state.scale_rows(credibilities, n_varying)
        return Learned(shared, credibilities, reach, own)

    def _shared(self, rows: np.ndarray, state: State, known: np.ndarray) -> tuple[np.ndarray, int]:
        """Return the preconditioner of filled columns with these statistics, and how many of them vary."""
        assert state.statistics is not None
        variance, mean = np.maximum(rows[:, 1] / state.statistics.weight, 0.0), rows[:, 0]
        varies = is_varying(variance, mean)
        if any(self.rules.terms) or len(known) == 1:
            known = np.where(varies, 1.0 / np.where(varies, variance, 1.0), 0.0).astype(known.dtype)
        return known, int(varies.sum())

    def _run(self, template: Template, state: State, given: dict[str, Any], piece: Piece) -> float:
        """Run the pass, which changes the given vectors; return the sum of the losses."""
        p = given["p"]
        given |= {
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
        plan = build_plan(self.recipe, Selection(X, None, None, None), NO_WEIGHT, size, True)
        rows, one = plan.data.rows, np.ones(1, dtype)
        if self.rules.leans:
            rows = rows._replace(lean=Lean(np.zeros(1)), onto=np.zeros(n_rows), at_means=False)
        plan = plan._replace(data=plan.data._replace(rows=rows, y=np.zeros(n_rows, dtype)))
        if self.rules.automatic:
            plan = plan._replace(preconditioner=Preconditioner(one, NO_COLUMNS, one[:0]))
        vectors, rates = Vectors(np.zeros(2, dtype), np.zeros(2)), np.zeros(plan.n_updates(n_rows))
        piece = Piece(plan.used, rates, rates if plan.average_from else NO_MIXES, 0, 1.0)
        steps: Any = choose(plan)
        run = bound(steps.call(plan, piece, vectors, np.zeros(LONG)), scratch=())
        stays = {"centred": int(self.recipe.params["fit_intercept"]), "averaged": int(self.rules.averaged)}
        stays |= {"shares": NOTHING, "weighted": 0, "leans": int(self.rules.leans), "n": n_rows}
        first = update_columns(stays | self.rules.terms._asdict(), dtype)
        key, share = (n_rows, size, dtype), remembered(self.recipe, n_rows) if self.rules.automatic else 1.0
        return Template(key, share, plan, plan.used, len(rates), plan.largest_loss, steps, first, run)
