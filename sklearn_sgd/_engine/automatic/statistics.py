"""Statistics of the columns: weighted means, and covariances or variances; the rows may come in several parts.

References
----------
Chan, T. F., Golub, G. H. and LeVeque, R. J., "Algorithms for computing the sample variance", American Statistician 37,
1983: the merge of statistics.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sklearn_sgd._engine.automatic.credibility import SUMMED, mean_square
from sklearn_sgd._engine.cores import map_on_cores, one_blas_thread
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._namespace import doubled, take, total
from sklearn_sgd._ops import clip

# Maximum number of columns for covariances; maximum number of multiplications for them; minimum rows, and entries, of a
# block.
FULL, BUDGET, BLOCK, ENTRIES = 400, 2e10, 2048, 1 << 18

# Share of entries that are not 0 above which products of dense rows cost less than those of sparse ones; by what
# factor their blocks, which are copies, are smaller.
DENSE, COPIED = 0.2, 4

# Minimum rows of a segment, maximum number of segments.
SEGMENT, SEGMENTS = 1 << 14, 16

# Minimum share and number of non-zero entries of a filled column.
FILLED, LEAST = 0.5, 30.0

# Rows for a first estimate of the means.
TYPICAL = 1000

# Squared offset of a column, in units of its variance, up to which it is subtracted from sums instead of entries.
NEAR = 100.0

# A column does not vary if its standard deviation, in units of its offset, is below this: it may be rounding.
ROUNDING = 1e-12

# Minimum ratio of the mean squares of new and earlier rows about their means for a column that begins to vary.
ABOVE = 4.0


class Excerpt(sparse.csr_array):
    """Selected columns of a sparse matrix with many columns; they are treated as columns of the whole matrix."""


def by_entries(X) -> bool:
    """Return whether X is sparse with many columns: then statistics of entries are measured instead of covariances."""
    return sparse.issparse(X) and (X.shape[1] > FULL or isinstance(X, Excerpt))


class ColumnStatistics(NamedTuple):
    """Weighted statistics of columns: total weight, means, and sums of centred squares (P,) or products (P, P).

    For sparse rows with many columns, ``counts`` has the weight of the non-zero entries of each column. Of a fit, the
    ``moment`` of columns with many zeros is such that `entry_square` is the square of `balance`. If only some of the
    columns are included, ``left_out`` and ``left_reach`` are sums over the others: of `credibility`, and of their sums
    of entries times their `scaled_mean`. ``sampled``: whether these are the statistics of a sample, shifted so that
    their minimum is that of all rows. ``centred``: whether the intercept is the prediction at the means of sparse
    columns with many zeros, too; not in streams.
    """

    weight: float
    mean: np.ndarray
    moment: np.ndarray
    counts: np.ndarray | None = None
    left_out: float = 0.0
    sampled: bool = False
    centred: bool = False
    left_reach: float = 0.0

    def leading(self, number: int) -> "ColumnStatistics":
        """Return the statistics of the first columns; the targets may follow them."""
        if len(self.mean) == number:
            return self
        moment = self.moment[:number, :number] if self.moment.ndim == 2 else self.moment[:number]
        return ColumnStatistics(self.weight, self.mean[:number], moment)

    @property
    def filled(self) -> np.ndarray:
        """Whether a column has few zeros, so that it is always centred; all columns if zeros were not counted."""
        if self.counts is None:
            return np.ones(len(self.mean), bool)
        return self.counts >= max(FILLED * self.weight, LEAST)

    @property
    def centre(self) -> np.ndarray:
        """Means of the columns that are centred, 0 for the others."""
        return self.mean if self.counts is None or self.centred else np.where(self.filled, self.mean, 0.0)

    @property
    def entry_square(self) -> np.ndarray:
        """Mean squares of the non-zero entries of each column, if these were counted."""
        assert self.counts is not None
        return mean_square(self.mean, self.moment, self.weight, np.where(self.counts > 0.0, self.counts, 1.0))

    @property
    def variance(self) -> np.ndarray:
        """Variances of the columns."""
        return self.squares / self.weight if self.weight else self.squares

    @property
    def squares(self) -> np.ndarray:
        """Sums of the squares of the columns about their means."""
        return self.moment.diagonal() if self.moment.ndim == 2 else self.moment


def affordable(n_rows: int, n_columns: int) -> bool:
    """Return whether covariances are kept, and measured on all rows."""
    return n_columns <= most_affordable(n_rows)


def most_affordable(n_rows: int) -> int:
    """Return the largest number of columns whose covariances are measured on all of ``n_rows`` rows."""
    return min(FULL, int((2.0 * BUDGET / max(n_rows, 1)) ** 0.5))


def blocks_of_rows(n: int, p: int, full: bool) -> tuple[int, int]:
    """Return the rows of a block, and k if every k-th block is measured, because all of them would take too long."""
    return max(BLOCK, min(SEGMENT, ENTRIES // (p + 1))), max(1, int(n * p * p / BUDGET)) if full else 1


def measure(
    X, kept: np.ndarray | None, weight: np.ndarray, centred: bool, y: np.ndarray | None = None, narrow: bool = True
) -> ColumnStatistics:
    """Return the statistics of columns and targets, for all rows or those in ``kept``; without weights all are 1.

    Covariances only if X is ``narrow``.
    """
    if type(X) is np.ndarray and kept is None and X.shape[0] == 1 and centred:
        row = doubled(X[0])
        row = row if y is None else np.concatenate((row, doubled(y[0])))
        return _one_row(row, float(weight[0]) if weight.shape[0] else 1.0, narrow and X.shape[1] <= FULL)
    if isinstance(X, RemoteRows):
        count_rows(X.shape[0])
        return X.measure(weight, centred, y is not None)
    n, p = X.shape if kept is None else (len(kept), X.shape[1])
    full = narrow and p <= FULL and not by_entries(X)
    size, every = blocks_of_rows(n, p, full)
    count_rows(n // every)
    is_dense = full and sparse.issparse(X) and X.nnz > DENSE * X.shape[0] * p
    if is_dense:
        size = max(BLOCK, size // COPIED)
    elif sparse.issparse(X):
        # With many columns, a block has many entries for each of them.
        size = max(1, int((4 * BLOCK if full else max(ENTRIES, 16 * p)) * X.shape[0] / (X.nnz + 1)))
    # Many blocks are divided into segments for threads.
    starts = range(0, n, size * every)
    length = max(-(-SEGMENT // size), -(-len(starts) // SEGMENTS))
    segments = [starts[k : k + length] for k in range(0, len(starts), length)]

    def of_segment(starts: range) -> ColumnStatistics:
        columns, near = None, True
        for start in starts:
            rows = slice(start, min(start + size, n)) if kept is None else kept[start : start + size]
            block, target = take(X, rows), None if y is None else doubled(take(y, rows))
            s = doubled(take(weight, rows)) if weight.shape[0] else None
            block = block.toarray() if is_dense else block
            # NumPy's setting is per thread. Columns out of range are refused when a step is made.
            with np.errstate(all="ignore"):
                if sparse.issparse(block):
                    block = block if target is None else sparse.hstack([block, target])
                    new = _measure_sparse(block, np.ones(block.shape[0]) if s is None else s, full, centred)
                else:
                    new, near = _measure_dense(block, s, full, centred, target, near)
                columns = new if columns is None else merge(columns, new)
        assert columns is not None
        return columns

    with one_blas_thread():
        return reduce(merge, (map_on_cores if len(segments) > 1 else map)(of_segment, segments))


def measure_entries(
    X, kept: np.ndarray | None, weight: np.ndarray, centred: bool, sums: Callable[..., np.ndarray]
) -> ColumnStatistics:
    """Return the same for sparse rows with many columns; ``sums`` maps shifts to sums over entries."""
    n = X.shape[0] if kept is None else len(kept)
    s = weight if kept is None or not weight.shape[0] else weight[kept]
    total = float(s.sum(dtype=np.float64)) if weight.shape[0] else float(n)
    return _from_sums(total, centred, sums, _typical(take(X, slice(TYPICAL))) if centred else np.zeros(X.shape[1]))


def _typical(X) -> np.ndarray:
    """Return the means of the columns with few zeros in a few rows; 0 for the others."""
    n, p = X.shape
    counts = np.bincount(X.indices, minlength=p)
    return np.where(counts >= FILLED * n, np.bincount(X.indices, X.data, p) / max(n, 1), 0.0)


def _from_sums(
    weight: float, centred: bool, sums: Callable[[np.ndarray], np.ndarray], guess: np.ndarray
) -> ColumnStatistics:
    """Return the statistics from sums over the entries that are not 0: of weights, entries, and their squares.

    From columns with few zeros a number near their mean, ``shift``, is subtracted before squaring; otherwise small
    spreads would be lost in large means. The number is ``guess``, the mean in a few rows, if it is near enough; else
    the mean of all rows, in another pass.
    """
    shift, none = guess, np.zeros(len(guess))
    counts, totals, squares = sums(shift)
    mean, gaps = totals / weight if centred and weight else none, weight - counts
    gaps[abs(gaps) <= SUMMED * weight] = 0.0  # Sums of weights depend on their order.

    def moments() -> np.ndarray:
        return squares + gaps * shift * shift - weight * (mean - shift) ** 2

    filled, moment = counts >= FILLED * weight, moments()
    if centred and (filled & (weight * (mean - shift) ** 2 > NEAR * np.maximum(moment, 0.0))).any():
        shift = np.where(filled, mean, 0.0)
        squares = sums(shift)[2]
        moment = moments()
    return ColumnStatistics(weight, mean, moment, counts)


def _one_row(row: np.ndarray, weight: float, full: bool) -> ColumnStatistics:
    """Return the statistics of a single row, whose mean is the row, and whose spread is 0."""
    return ColumnStatistics(weight, row, np.zeros((len(row),) * (1 + full)))


def merge(a: ColumnStatistics, b: ColumnStatistics) -> ColumnStatistics:
    """Return the statistics of the rows of both."""
    weight = a.weight + b.weight
    if not weight:
        return a
    delta, share, counts = b.mean - a.mean, b.weight / weight, None
    if a.counts is not None and b.counts is not None:
        counts = a.counts + b.counts
    product = np.multiply.outer if a.moment.ndim == 2 else np.multiply
    moment = product(a.weight * share * delta, delta)
    moment += a.moment
    moment += b.moment
    sampled = a.sampled or b.sampled
    return ColumnStatistics(
        weight, a.mean + share * delta, moment, counts, a.left_out, sampled, left_reach=a.left_reach
    )


def _measure_dense(X, s, full: bool, centred: bool, y, near: bool):
    """Return the statistics of a block of rows, and whether the columns are near enough to 0 to be centred afterwards.

    If the mean is subtracted from sums instead of entries, no copy is needed. This is as exact if the means are not
    large.
    """
    ones, weight = np.ones(X.shape[0]) if s is None else s, X.shape[0] * 1.0 if s is None else total(s)
    root = None if s is None or bool(np.all(s == 1.0)) else np.sqrt(s)[:, None]
    Z = doubled(X)
    mean = means(Z, ones, weight) if centred else np.zeros(X.shape[1])
    if not near:
        Z = Z - mean
    if root is not None:
        Z = Z * root
    moment = Z.T @ Z if full else np.einsum("ij,ij->j", Z, Z)
    if near:
        moment -= weight * (np.outer(mean, mean) if full else mean * mean)
        if (weight * mean * mean > NEAR * (moment.diagonal() if full else moment)).any():
            return _measure_dense(X, s, full, centred, y, near=False)
    if y is None:
        return ColumnStatistics(weight, mean, moment), near
    # Within the range of the targets, so that the mean of equal targets is exact.
    middle = clip(means(y, ones, weight), y.min(axis=0), y.max(axis=0)) if centred else np.zeros(y.shape[1])
    rest = y - middle if root is None else (y - middle) * root
    p = X.shape[1]
    both = np.empty((p + y.shape[1],) * 2)
    both[:p, :p], both[:p, p:], both[p:, p:] = moment, Z.T @ rest, rest.T @ rest
    both[p:, :p] = both[:p, p:].T
    return ColumnStatistics(weight, np.concatenate((mean, middle)), both), near


def means(X, weight, sum_of_weights: float) -> np.ndarray:
    """Return the weighted means of columns; 0 if all weights are 0, as curvatures of the rows of a block may be."""
    return weight @ X / (sum_of_weights or 1.0)


def _measure_sparse(X, s: np.ndarray, full: bool, centred: bool) -> ColumnStatistics:
    """Return the statistics of a block of sparse rows; only columns without zeros can be centred before squaring."""
    weight, p = float(s.sum()), X.shape[1]
    if not full:
        return _measure_entries(X, s, weight, centred)
    X, shift = sparse.csr_array(X, dtype=np.float64), np.zeros(p)
    if centred:
        gapless = np.bincount(X.indices, minlength=p) == X.shape[0]
        shift = np.where(gapless, means(X, s, weight), 0.0)
        X = sparse.csr_array((X.data - shift[X.indices], X.indices, X.indptr), shape=X.shape)
    weighted = X.multiply(s[:, None]).tocsr()
    moment = (X.T @ weighted).toarray()
    if not centred:
        return ColumnStatistics(weight, shift, moment)
    rest = means(X, s, weight)
    return ColumnStatistics(weight, shift + rest, moment - weight * np.outer(rest, rest))


def _measure_entries(X, s: np.ndarray, weight: float, centred: bool) -> ColumnStatistics:
    """Return the same for many columns, at the cost of the entries."""
    p, values = X.shape[1], doubled(X.data)
    each = np.repeat(s, np.diff(X.indptr)) * (values != 0.0)

    def sums(shift: np.ndarray) -> np.ndarray:
        moved = values - shift[X.indices]
        terms = each, each * values, each * moved * moved
        return np.array([np.bincount(X.indices, term, p) for term in terms])

    return _from_sums(weight, centred, sums, _typical(take(X, slice(TYPICAL))) if centred else np.zeros(p))


def is_about_means(has_intercept: Any, X) -> bool:
    """Return whether the statistics of X are about the means of columns.

    Those of a model without intercept are, too, if they are covariances, from which `about_zero` makes products.
    """
    return bool(has_intercept) or (X.shape[1] <= FULL and not by_entries(X))


def about_zero(columns: ColumnStatistics) -> ColumnStatistics:
    """Return the same statistics about 0 instead of the means."""
    weight, mean, moment, *_ = columns
    spread = np.outer(mean, mean) if moment.ndim == 2 else mean * mean
    return columns._replace(mean=np.zeros_like(mean), moment=moment + weight * spread)


def is_varying(variance: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Whether columns vary by more than the rounding of sums."""
    return variance > (ROUNDING * centre) ** 2


def has_widened(known: ColumnStatistics, merged: ColumnStatistics, most: np.ndarray, n_columns: int) -> bool:
    """Return whether one of the first columns varies by more than ``most``, or begins to vary in new rows."""
    widened = begins_to_vary(known, merged)[:n_columns] | (merged.squares[:n_columns] > most * merged.weight)
    return bool(np.count_nonzero(widened))


def begins_to_vary(known: ColumnStatistics, merged: ColumnStatistics) -> np.ndarray:
    """Return which columns vary mostly in new rows, and by much more for each of them."""
    return merged.squares - known.squares > usual_gain(known.weight, merged.weight) * known.squares


def usual_gain(before: Any, now: Any, largest: Callable = max) -> Any:
    """Return the largest gain in the spread of a column, in units of that before, with which it does not begin to vary.

    It depends on the weight of the rows before, and now. Of arrays, ``largest`` is a function of arrays.
    """
    return largest(1.0, ABOVE * (now - before) / largest(before, 1e-300))


def decayed(columns: ColumnStatistics, share: float) -> ColumnStatistics:
    """Return the same statistics with all weights multiplied by a share."""
    weight, mean, moment, counts, left_out, sampled, _, reach = columns
    counts = None if counts is None else counts * share
    return ColumnStatistics(
        weight * share, mean, moment * share, counts, left_out * share, sampled, left_reach=reach * share
    )
