"""Squares of the entries of sparse columns, by which these are scaled, from all columns and rows.

The mean square of a column's entries depends on the rows in which they are: those of short texts, whose words are
divided by the norm of the row, are larger than those of long ones. A rare column has few entries, and its mean square
says more about their rows than about the column. So squares of entries are divided by the size of their row: its mean
square, in units of the columns. This is one step of the balancing of rows and columns by turns.

The few entries of a rare column may also be small or large by chance. A column's square is a mean of its own and that
of all columns, on a logarithmic scale, with its credibility as weight: how much the columns differ, compared with how
much the entries of a column do. Where columns have different units, they differ by far more, and keep their own.

References
----------
Buhlmann, H., "Experience rating and credibility", ASTIN Bulletin 4, 1967.

Ruiz, D., "A scaling algorithm to equilibrate both rows and columns norms in matrices", Rutherford Appleton Laboratory
technical report RAL-TR-2001-034, 2001.
"""

from typing import Any

import numpy as np
from scipy import optimize, sparse

from sklearn_sgd._engine.automatic.statistics import ColumnStatistics
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
    every, sums, is_counted = max(1, ENTRIES * X.shape[0] // (X.nnz + 1)), np.zeros(X.shape[1]), inverse > 0.0
    for start in range(0, n_rows, every):
        rows = slice(start, min(start + every, n_rows)) if kept is None else kept[start : start + every]
        block = take(X, rows)
        squares = block.astype(np.float64)
        squares.data *= squares.data
        entries = sparse.csr_array(((block.data != 0.0).astype(np.float64), block.indices, block.indptr), block.shape)
        sizes = (squares @ inverse) / np.maximum(entries @ is_counted.astype(np.float64), 1.0)
        sums += entries.T @ (sizes * weight[rows] if weight.shape[0] else sizes)
    return sums


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
