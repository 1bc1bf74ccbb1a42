"""The sums that a model keeps of its rows, for standard errors; in streams also for the coefficients.

The first rows are stored until there are ten for each parameter, and seen at the minimum on themselves. Later blocks
are seen at the minimum on almost all rows before them.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.block import (
    Block,
    OutOfRange,
    design_of,
    ones,
    settled,
    view_of,
    with_block,
    with_block_here,
    with_slopes,
)
from sklearn_sgd._engine.scores.leverage import Leading
from sklearn_sgd._engine.scores.newton import minimum_with
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.products import blocks, dense
from sklearn_sgd._engine.scores.sums import FIRST, TOGETHER, WORSE, Sums
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd._engine.weights import left_after, left_of
from sklearn_sgd._namespace import doubled, host, take
from sklearn_sgd._parts import best_prediction

# Numbers in a block of rows, which is dense and in double precision; if most rows add only their slopes.
ENTRIES, MORE_ENTRIES = 1 << 17, 1 << 18

# If only the coefficients matter: number of rows of a block whose second derivatives stand for those of all, at most,
# and multiplications for them; up to which it takes longer to choose them.
SOME, WORK, QUICK = 1 << 10, 1 << 24, 1 << 20

# Weight of a block, in units of that of the rows before it, from which their minimum is computed together, by several
# steps, for exact standard errors; for coefficients it is 1.
GROWTH = 0.25

# The sums in which each row counts by its weight; those in which it counts by the square of it.
SUMS = "weight", "curvature", "product", "slope", "size", "below", "pearson", "moved"
SQUARED = "scatter", "squares", "square"

# The function that returns coefficients and an intercept.
Start = Callable[[], tuple[np.ndarray, float]]

# All sums that are added when those of other rows are.
ADDED = *SUMS, *SQUARED, "n_seen"


class Scores(Sums):
    """The sums of a target, to which rows are added."""

    @np.errstate(all="ignore")
    def after(
        self, objective: Objective, X: Any, y: Any, s: Any, unit: float, start: Start, half_life: float | None
    ) -> Self:
        """Return the sums after more rows, whose weights are in a ``unit``.

        The search for the first minimum begins at what ``start`` returns, which predicts now.
        """
        least = TOGETHER if self.weight else max(TOGETHER, FIRST * len(self.at))
        n = X.shape[0]
        if n < least:
            known = self._waiting(X, y, s, unit)
            if known.n_pending - known.n_held < least:
                return known
            return known.in_unit(unit).counted(objective, start, half_life, everything=False)
        known = self.in_unit(unit)
        if self.n_pending:
            X, y, s = np.vstack((known._rows[:, :-2], dense(X))), *known._with_pending(y, s)
            n, known = X.shape[0], known._without_pending
        size = max(least, (ENTRIES if self.is_exact else MORE_ENTRIES) // len(self.at))
        if n < 2 * size:
            return known._counting(objective, X, y, s, start, half_life)
        ends = [*range(size, n - size + 1, size), n]  # The last block is no smaller than others.
        for rows in map(slice, [0, *ends[:-1]], ends):
            weight = None if s is None else take(s, rows)
            known = known._counting(objective, take(X, rows), take(y, rows), weight, start, half_life)
        return known

    @np.errstate(all="ignore")
    def counted(self, objective: Objective, start: Start, half_life: float | None, everything: bool = True) -> Self:
        """Return the sums with the stored rows; or with those of them that need not wait for others."""
        if not self.n_pending:
            return self
        rows = self._rows[:, :-2], self._rows[:, -2], self._rows[:, -1]
        return self._without_pending._counting(objective, *rows, start, half_life, everything)

    @np.errstate(all="ignore")
    def predictor(self, objective: Objective, start: Start, half_life: float | None) -> tuple[np.ndarray, float] | None:
        """Return coefficients and intercept at the minimum of all rows; None if those of the descent may be better.

        Stored rows are seen from the same place as those before them, unless columns begin to vary in them. It takes a
        fraction of the time of `counted`.
        """
        if not self.n_pending:
            known = self
        elif not self.weight or self._news(self._rows[:, :-2])[0]:
            known = self.counted(objective, start, half_life)
        else:
            known = self._with_stored(objective, start, half_life)
        known = settled(known, objective)
        w = known.minimum(objective) if known.predicts else None
        if w is None:
            return None
        coef = w[: len(known.centre)]
        return coef, float(w[-1] - known.centre @ coef) if known.has_intercept else 0.0

    def _with_stored(self, objective: Objective, start: Start, half_life: float | None) -> Self:
        X, y, s, known = self._rows[:, :-2], self._rows[:, -2], self._rows[:, -1], self
        if half_life:
            share, left = left_after(len(y), half_life), left_of(len(y), half_life)
            known, s = known._weighted(share), s * left
        block = Block(np.ascontiguousarray(X), y.copy(), s.copy(), False, float(len(y)), True)
        after = with_slopes(known, objective, block)
        if after is None:
            return self.counted(objective, start, half_life)
        after = after._compared(objective, design_of(after, X), y, s, start)
        # What the last block has shown holds until the next one: few rows cannot refute it.
        return after._replace(lead=min(self.lead, after.lead))

    def in_unit(self, unit: float) -> Self:
        """Return the same sums with weights in another unit."""
        if unit == self.unit:
            return self
        known = self._weighted(self.unit / unit) if self.weight else self  # Squares of the ratio may be out of range.
        return known._replace(unit=unit)

    @property
    def _rows(self) -> np.ndarray:
        rows = np.concatenate(self.pending[: self.n_pending]).reshape(self.n_pending, -1)
        rows[:, -1] /= self.unit
        return rows

    @property
    def _without_pending(self) -> Self:
        return self._replace(pending=[], n_pending=0, n_held=0)

    def _with_pending(self, y: Any, s: Any) -> tuple[np.ndarray, np.ndarray]:
        y, rows = doubled(host(y)), self._rows
        s = np.ones(len(y)) if s is None else doubled(host(s))
        return np.append(rows[:, -2], y), np.append(rows[:, -1], s)

    def _waiting(self, X: Any, y: Any, s: Any, unit: float) -> Self:
        rows = np.empty((X.shape[0], X.shape[1] + 2))
        rows[:, :-2], rows[:, -2], rows[:, -1] = dense(X), host(y), unit
        if s is not None:
            rows[:, -1] *= host(s)
        # Another fork of the same sums may have gone on.
        pending = self.pending if len(self.pending) == self.n_pending else self.pending[: self.n_pending]
        pending.extend(rows)
        return self._replace(pending=pending, n_pending=len(pending))

    def _counting(
        self, objective: Objective, X: Any, y: Any, s: Any, start: Start, half_life: float | None, everything=False
    ) -> Self:
        """Return the sums with a block of rows."""
        known, X, y = self, dense(X), dense(y)
        is_known = np.count_nonzero(known.curvature.diagonal()) == len(self.at)
        is_first, widened = not known.weight, False
        if is_first and self.has_intercept:
            known = known._replace(centre=np.where(np.ptp(X, axis=0) > 0.0, X.mean(axis=0), X[0]))
        elif not (is_first or is_known):
            widened, held = known._news(X)
            if held.any() and not everything:
                rows = X[held], y[held], None if s is None else s[held]
                known = known._waiting(*rows, known.unit)
                known = known._replace(n_held=known.n_pending)
                X, y, s = X[~held], y[~held], None if s is None else s[~held]
                if not len(y):
                    return known
        is_plain = s is None and not half_life
        s, n_seen = ones(len(y)) if s is None else dense(s), float(len(y))
        if half_life:
            share, left = left_after(len(y), half_life), left_of(len(y), half_life)
            known = known._weighted(share)._replace(n_seen=known.n_seen * share)
            s, n_seen = s * left, float(left.sum())
        if is_first:
            known = known._replace(at=known.parameters(*start()))
        block = Block(X, y, s, is_plain, n_seen, is_known)
        try:
            if is_first or widened or block.weight > (GROWTH if known.is_exact else 1.0) * known.weight:
                after = None
            elif known.is_exact or len(y) * len(known.at) ** 2 <= QUICK:
                after = with_block(known, objective, block)
            else:
                some = max(TOGETHER, min(SOME, WORK // len(known.at) ** 2))
                after = with_slopes(known, objective, block, max(1, len(y) // some))
            if is_first:
                p = view_of(known, objective, block).predictions
                known = known.with_jumps(second.jumps(objective.loss, y, p, second.REACH))
            if after is None:
                known = known.seen_from(minimum_with(known, objective, block))
                after = with_block_here(known, objective, block, view_of(known, objective, block))
            if len(after.leading.y) > len(known.leading.y) and not (after := settled(after, objective)).is_finite:
                raise OutOfRange
            if objective.is_quadratic:
                return after  # Moments predict.
            X, y, s = (values[-TOGETHER:] for values in block[:3])
            return after._compared(objective, design_of(after, X), y, s, start)
        except OutOfRange:
            warnings.warn(
                f"{len(y)} samples are not counted in standard errors, and for losses other than the squared error in "
                "coefficients, since the squares of some slopes are out of the range of numbers. Remedy: scale X or y.",
                RuntimeWarning,
                stacklevel=user_stacklevel(),
            )
        return self._replace(pending=known.pending, n_pending=known.n_pending, n_held=known.n_held)

    def _compared(self, objective: Objective, Z: np.ndarray, y: np.ndarray, s: np.ndarray, start: Start) -> Self:
        """Return the sums with what a comparison with the descent shows, on rows that both know.

        Sums that some rows add to are then seen from their minimum, if it is not worse.
        """
        w = self.minimum(objective)
        if w is None:
            return self._replace(lead=-np.inf)
        loss, best = objective.loss, best_prediction(objective.loss, y)
        p, of_descent = Z @ w, Z @ self.parameters(*start())
        least, now, before = (float(s @ loss.value(y, each)) for each in (best, p, of_descent))
        lead = 1.0 - (now - least) / (before - least) if before > least else -float(now > least)
        lead = lead if np.isfinite(lead) else -np.inf
        after = self if self.is_exact or lead < WORSE else self.seen_from(w)
        return after._replace(lead=lead)

    def _news(self, X: np.ndarray) -> tuple[bool, np.ndarray]:
        """Return whether columns vary that did not before, and which rows have other values in those of few such rows.

        Such rows wait for others: a coefficient that is not known yet is far from its minimum.
        """
        number = len(self.centre)
        new = np.flatnonzero(self.curvature.diagonal()[:number] == 0.0)
        shown = X[:, new] != self.centre[new]
        counts = shown.sum(axis=0)
        return bool(counts.any()), shown[:, counts < FIRST].any(axis=1)

    def _weighted(self, share: float) -> Self:
        """Return the sums with such a share of the weight of each row."""
        rows, squared = self.leading._replace(s=self.leading.s * share), self._times(share * share, SQUARED)
        return self._replace(leading=rows, **self._times(share, SUMS), **squared)

    def _times(self, share: float, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: getattr(self, name) * share for name in names}

    def _blocks(self, X: Any, y: Any, s: Any) -> Iterator[Block]:
        """Yield rows in blocks; all weights are 1 if there are none."""
        for rows in blocks(len(y), max(1, ENTRIES // len(self.at))):
            part = doubled(s[rows]) if len(s) else ones(len(y[rows]))
            yield Block(dense(X[rows]), dense(y[rows]), part, not len(s), float(np.count_nonzero(part)), False)

    def spread_at(self, objective: Objective, X: Any, y: Any, s: Any) -> second.Spread:
        """Return what the width of kernels follows from, of rows that are seen where these sums are."""
        found = self.spread
        for block in self._blocks(X, y, s):
            p = view_of(self, objective, block).predictions
            found = found.plus(second.spread_of(self.found_jumps, block.y, p, block.s))
        return found

    def counted_at(self, objective: Objective, X: Any, y: Any, s: Any, spread: second.Spread | None) -> Self:
        """Return the sums with rows that are seen where these sums are; kernels are as wide as a ``spread`` has it."""
        known = self
        for block in self._blocks(X, y, s):
            known = with_block_here(known, objective, block, view_of(known, objective, block), spread)
        return known._replace(leading=Leading.none(len(self.at)))

    def merged(self, other: Self) -> Self:
        """Return the sums of the rows of both, which are seen from the same place."""
        added = {name: getattr(self, name) + getattr(other, name) for name in ADDED}
        return self._replace(**added)

    def seen_again(self, before: Self, unseen: Self) -> tuple[Self, Self]:
        """Return these sums, in which rows that those ``before`` know take the place of ``unseen`` ones; those left.

        The unseen rows are those that an epoch is still to see again, so that at its end each row counts once.
        """
        before, unseen = before.in_unit(self.unit), unseen.in_unit(self.unit)
        share = min((self.weight - before.weight) / unseen.weight, 1.0) if unseen.weight else 0.0
        if not share > 0.0:
            return self, unseen
        if unseen.weight == before.weight and not before.bends(FIRST):
            return before, before  # Few second derivatives, from places that move between them, would say less.
        gone = unseen.seen_from(self.at)._times(share, ADDED)
        left = {name: getattr(self, name) - value for name, value in gone.items()}
        known = self._replace(leading=Leading.none(len(self.at)), **left)
        return known, unseen._replace(**unseen._times(1.0 - share, ADDED))
