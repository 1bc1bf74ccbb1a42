"""Where a call of `partial_fit` is cut, because columns begin to vary in it late in a stream.

The average of a stream weighs all its rows alike. That of a column which begins to vary in the middle of a large call
must forget the rows before: from there on the call is processed like several small ones.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd._engine.automatic.preconditioner import YOUNG
from sklearn_sgd._engine.automatic.statistics import ABOVE, ROUNDING, by_entries, is_varying, usual_gain
from sklearn_sgd._engine.late_columns import SOON
from sklearn_sgd._engine.preparation.columns import is_worth_targets
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.by_column import StatesByColumn
from sklearn_sgd._namespace import doubled, host, index_like, is_foreign, like, namespace, take

# Number of rows of a block, which is never cut; number of entries that are summed at once, and stay in a near cache.
LEAST, ENTRIES, NEAR = 64, 1 << 17, 1 << 14

# Length of rows before a stretch, in units of its own, in which fewer columns begin to vary by chance.
STRETCH = 4

# Logarithm of a ratio of likelihoods from which a column begins late, and is not only rare.
EVIDENCE = 10.0


def parts_of(
    recipe: Recipe, position: Sequence[State] | StatesByColumn, X: Any, targets: Any, weight: Any
) -> list[slice]:
    """Return the parts of a call: one, unless columns begin to vary, or have begun lately, and an average predicts."""
    n, params = X.shape[0], recipe.params
    whole = [slice(0, n)]
    if n <= LEAST or isinstance(position, StatesByColumn) or by_entries(X):
        return whole
    averages = recipe.automatic and recipe.average_from(noise=True) and not recipe.finishes_by_scores
    if not averages or params["batch_size"] is None or params["drop_last"]:
        return whole
    state = position[0]
    known = state.knows_targets if state.statistics is not None else is_worth_targets(recipe, X, targets, True)
    if recipe.finishes_streams and known:
        return whole
    kept = None if weight is None or namespace(weight).all(weight != 0) else np.flatnonzero(host(weight))
    X = X if kept is None else take(X, kept)
    late = _begins(X, state)
    if not len(late):
        return whole
    ends = _ends(X.shape[0], late, 1 if params["batch_size"] == "auto" else params["batch_size"])
    return [slice(*rows) for rows in pairwise(ends if kept is None else [0, *kept[ends[1:-1]].tolist(), n])]


def may_be_cut(recipe: Recipe, state: State, n_rows: int) -> bool:
    """Return whether a column of a state began so lately that a call of so many rows may have to be cut."""
    if state.began is None or n_rows <= LEAST or (recipe.finishes_streams and state.knows_targets):
        return False
    return state.n_samples - int(state.began.max()) < 2 * SOON * n_rows


def _ends(n: int, late: np.ndarray, batch_size: int) -> list[int]:
    """Return where parts end, given the rows in which columns begin, ascending; negative ones are in earlier calls."""
    ends, least = [0], -(-LEAST // batch_size) * batch_size
    while (at := ends[-1]) < n:
        begun, later = late[late <= at], late[late > at]
        stop = n
        if len(later):
            stop = max(int(later[0]), at + least)
        if len(begun):
            # Shorter than the age of the column by more than a factor of `SOON`, after which its average is one.
            share = (at - int(begun[-1])) // (2 * SOON)
            stop = min(stop, at + max(least, share // batch_size * batch_size))
        ends.append(stop if n - stop >= least else n)
    return ends


def _begins(X: Any, state: State) -> np.ndarray:
    """Return the first rows of blocks in which late columns begin, ascending; negative ones are in earlier calls."""
    p, known, began = X.shape[1], state.statistics, state.began
    if known is None or not known.weight:
        mean, spread, earlier = doubled(host(_dense(take(X, slice(0, 1)))))[0], np.zeros(p), 0.0
    else:
        mean, spread, earlier = known.mean[:p], known.squares[:p], known.weight
    some = _candidates(X, mean, spread, earlier)
    some = some if began is None else np.union1d(some, np.flatnonzero(began))
    if not len(some):
        return some
    blocks = _Blocks.of(X, some, mean[some], spread[some], earlier)
    late = blocks.late(YOUNG * p)
    if began is not None:
        late += [start - state.n_samples for start in blocks.late_before(began[some], state.n_samples)]
    return np.unique(np.array(late, np.intp))


class _Blocks(NamedTuple):
    """Blocks of rows, and of some columns the sums of deviations from a mean, in each block, and of their squares.

    ``spread`` has the squares of ``earlier`` rows, in other calls, about their mean.
    """

    mean: np.ndarray
    spread: np.ndarray
    earlier: float
    rows: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, X: Any, some: np.ndarray, mean: np.ndarray, spread: np.ndarray, earlier: float) -> "_Blocks":
        """Return the blocks of X."""
        rows = np.diff([*range(0, X.shape[0], LEAST), X.shape[0]])
        return cls(mean, spread, earlier, rows[:, None], *_sums_of_blocks(X, some, mean))

    def late(self, young: float) -> list[int]:
        """Return the first rows of blocks in which columns begin after so many rows, and are not only rare."""
        rows, number = self.rows, len(self.rows)
        after, sums = self.earlier + np.cumsum(rows, axis=0), np.cumsum(self.sums, axis=0)
        before, moved = after - rows, sums - self.sums
        moment = self.spread + np.cumsum(self.squares, axis=0) - sums * sums / after
        moment_before = np.vstack([self.spread, moment[:-1]])
        gain = usual_gain(before, after, np.maximum)
        begins = (moment - moment_before > gain * moment_before) & (before > young)
        found = []
        for block, j in zip(*np.nonzero(begins), strict=True):
            # The squares about the mean before, and the usual ones, of blocks of that many rows.
            move = moved[block, j] / before[block, 0]
            squares = self.squares[:, j] - move * (2.0 * self.sums[:, j] - move * rows[:, 0])
            usual = ABOVE * moment_before[block, j] / before[block, 0] * rows[:, 0]
            active = is_varying(squares / rows[:, 0], self.mean[j]) & (squares > usual)
            counts = active[:block].sum(), active[block:].sum()
            if _evidence(*counts, before[block, 0] / LEAST, number - block) > EVIDENCE:
                found.append(LEAST * int(block))
        return found

    def late_before(self, began: np.ndarray, n_samples: int) -> list[int]:
        """Return when columns began in earlier calls, if they are not only rare."""
        rows, number, found = self.rows, len(self.rows), []
        inside = self.squares - self.sums * self.sums / rows
        active = (is_varying(inside / rows, self.mean) & (inside > ROUNDING * self.squares)).sum(axis=0)
        total, blocks_since = inside.sum(axis=0), (n_samples - began) / LEAST
        for j in np.flatnonzero((began > 0) & (active > 0)):
            # By the squares of active blocks, as many as were active before the column began.
            some = max(0.0, self.spread[j] - total[j] / number * blocks_since[j]) / (total[j] / active[j])
            if _evidence(some, active[j], began[j] / LEAST, number) > EVIDENCE:
                found.append(int(began[j]))
        return found


def _evidence(some: float, others: float, number: float, number_of_others: float) -> float:
    """Return how much likelier two numbers of active blocks, of so many, are by rates of their own than by one rate."""
    both = some + others
    counts = np.array([(some, number), (others, number_of_others), (both, number + number_of_others)])
    terms = [count * log(count / total) if count else 0.0 for count, total in counts]
    return terms[0] + terms[1] - terms[2]


def _candidates(X: Any, mean: np.ndarray, spread: np.ndarray, earlier: float) -> np.ndarray:
    """Return columns whose squares in a stretch of rows exceed those before, though it is much shorter."""
    (n, p), at, found = X.shape, 0, np.zeros(len(mean), bool)
    young = YOUNG * p
    while at < n:
        stop = min(n, at + max(LEAST, int((earlier + at) / STRETCH), int(young - earlier)))
        squares = _squares(take(X, slice(at, stop)), mean)
        if earlier + at > young:
            found |= squares > spread
        spread, at = spread + squares, stop
    return np.flatnonzero(found)


def _squares(X: Any, mean: np.ndarray) -> np.ndarray:
    """Return the sums of the squared deviations of columns from these means."""
    if issparse(X):
        values, p = doubled(X.data), X.shape[1]
        entries, squares = (np.bincount(X.indices, terms, p) for terms in (values, values * values))
        return squares - 2.0 * mean * entries + X.shape[0] * mean * mean
    if is_foreign(X):
        Z = doubled(X) - like(mean, doubled(X))
        return host(namespace(Z).sum(Z * Z, axis=0))
    total, size = np.zeros(len(mean)), max(1, NEAR // len(mean))
    for start in range(0, len(X), size):
        Z = X[start : start + size] - mean
        total += np.einsum("ij,ij->j", Z, Z)
    return total


def _sums_of_blocks(X: Any, columns: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sums over the rows of each block of deviations of some columns, and of their squares."""
    n, sums, squares = X.shape[0], [], []
    size = max(1, ENTRIES // (LEAST * X.shape[1])) * LEAST
    for start in range(0, n, size):
        block = take(X, slice(start, min(start + size, n)))
        block = host(namespace(X).take(block, index_like(columns, X), axis=1)) if is_foreign(X) else block[:, columns]
        Z, starts = doubled(_dense(block)) - mean, np.arange(0, block.shape[0], LEAST)
        sums.append(np.add.reduceat(Z, starts, axis=0))
        squares.append(np.add.reduceat(Z * Z, starts, axis=0))
    return np.vstack(sums), np.vstack(squares)


def _dense(X: Any) -> Any:
    return X.toarray() if issparse(X) else X
