"""Squares of the entries of sparse columns, by which these are scaled, from all columns and rows.

The mean square of a column's entries depends on the rows in which they are: those of short texts, whose words are
divided by the norm of the row, are larger than those of long ones. A rare column has few entries, and its mean square
says more about their rows than about the column. So it is divided by the mean size of the rows of its entries. The size
of a row is the mean of its squares, in units of the columns. This is one step of the balancing of rows and columns by
turns. Like the mean squares, these sizes do not depend on the units of the columns.

The few entries of a rare column may also be small or large by chance. A column's square is a mean of its own and that
of all columns, on a logarithmic scale, with its credibility as weight: how much the columns differ, compared with how
much the entries of a column do. Where columns have different units, they differ by far more, and keep their own.

References
----------
Buhlmann, H., "Experience rating and credibility", ASTIN Bulletin 4, 1967.

Sinkhorn, R. and Knopp, P., "Concerning nonnegative matrices and doubly stochastic matrices", Pacific Journal of
Mathematics 21, 1967: the balancing by turns.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import optimize, sparse

from sklearn_sgd._engine.automatic.statistics import ColumnStatistics
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import take

# Number of entries of the rows that are read together.
ENTRIES = 1 << 20


def balanced(statistics: ColumnStatistics, X: Any, kept: np.ndarray | None, weight: np.ndarray) -> ColumnStatistics:
    """Return the statistics of sparse columns with such squares of their entries. Filled columns stay as they are."""
    assert statistics.counts is not None
    counts, square = statistics.counts, statistics.entry_square
    some = (counts > 0.0) & (square > 0.0) & ~statistics.filled
    if not some.any():
        return statistics
    sizes = _sizes_of_entries(X, kept, weight, np.divide(1.0, square, out=np.zeros_like(square), where=some))
    some &= np.isfinite(sizes) & (sizes > 0.0)
    square[some] = credible(counts[some] * square[some] / sizes[some], counts[some])
    moment = counts * square - statistics.weight * statistics.mean**2
    return statistics._replace(moment=np.where(some, moment, statistics.moment))


def _sizes_of_entries(X: Any, kept: np.ndarray | None, weight: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Return for each column the weighted sum of the sizes of the rows of its entries.

    ``inverse`` has one over the mean square of each column's entries; 0 for columns that do not count.
    """
    n_rows = X.shape[0] if kept is None else len(kept)
    count_rows(n_rows)
    start, sums, is_counted = 0, np.zeros(X.shape[1]), (inverse > 0.0).astype(np.float64)
    for squares in squares_of_entries(X, kept):
        stop = start + squares.shape[0]
        ones = (squares.data != 0.0).astype(np.float64)
        entries = sparse.csr_array((ones, squares.indices, squares.indptr), shape=squares.shape)
        sizes = (squares @ inverse) / np.maximum(entries @ is_counted, 1.0)
        if weight.shape[0]:
            sizes *= weight[start:stop] if kept is None else weight[kept[start:stop]]
        sums += entries.T @ sizes
        start = stop
    return sums


def squares_of_entries(X: Any, kept: np.ndarray | None = None) -> Iterator[Any]:
    """Yield the squares of the entries of sparse rows, all or those ``kept``, in double precision, block by block."""
    n_rows, size = X.shape[0] if kept is None else len(kept), max(1, ENTRIES * X.shape[0] // (X.nnz + 1))
    for start in range(0, n_rows, size):
        stop = min(start + size, n_rows)
        block = take(X, slice(start, stop) if kept is None else kept[start:stop]).astype(np.float64)
        block.data *= block.data
        yield block


def credible(squares: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return squares of columns with these numbers of entries, shrunk towards that of all columns.

    The variance of the logarithm of a square is that between columns, plus that within a column over its number.
    """
    logarithms = np.log(squares)
    middle = logarithms.mean()
    terms = np.column_stack((np.ones(len(counts)), 1.0 / np.maximum(counts, 1.0)))
    between, within = optimize.nnls(terms.T @ terms, terms.T @ (logarithms - middle) ** 2)[0]
    if not within > 0.0:
        return squares
    return np.exp(middle + (logarithms - middle) * (between / (between + within * terms[:, 1])))
