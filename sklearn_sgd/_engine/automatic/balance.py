"""Squares of the entries of sparse columns, by which these are scaled, from all columns and rows.

The mean square of a column's entries depends on the rows in which they are: those of short texts, whose words are
divided by the norm of the row, are larger than those of long ones. A rare column has few entries, and its mean square
says more about their rows than about the column. So it is divided by the mean size of the rows of its entries. The size
of a row is the mean of its squares, in units of the columns. This is one step of the balancing of rows and columns by
turns. Like the mean squares, these sizes do not depend on the units of the columns.

The few entries of a rare column may also be small or large by chance. A column's square is a mean of its own and that
of all columns, on a logarithmic scale, with its credibility as weight: how much the columns differ, compared with how
much the entries of a column do. Columns in units of their own differ by far more, and nearly keep their own.

References
----------
Buhlmann, H., "Experience rating and credibility", ASTIN Bulletin 4, 1967.

Sinkhorn, R. and Knopp, P., "Concerning nonnegative matrices and doubly stochastic matrices", Pacific Journal of
Mathematics 21, 1967: the balancing by turns.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.statistics import ColumnStatistics

# Number of entries of the rows by which their spread is measured.
SOME = 1 << 15

# Distance of the quartiles of normal numbers, and the largest difference by chance, in standard deviations.
QUARTILES, FAR = 1.349, 6.0

# Number of sweeps in which the means of rows and columns are subtracted.
SWEEPS = 3


def balanced(
    statistics: ColumnStatistics, some_of: Callable[[int], Any], sums: Callable[..., np.ndarray]
) -> ColumnStatistics:
    """Return the statistics of sparse columns with such squares of their entries. Filled columns stay as they are.

    ``sums`` maps the inverse squares of columns to sums over their entries of the sizes of rows, and ``some_of`` a
    number to about so many rows.
    """
    assert statistics.counts is not None
    counts, square = statistics.counts, statistics.entry_square
    some = (counts > 0.0) & (square > 0.0) & ~statistics.filled
    if not some.any():
        return statistics
    sizes = sums(inverse=np.divide(1.0, square, out=np.zeros_like(square), where=some))[0]
    some &= np.isfinite(sizes) & (sizes > 0.0)
    block = some_of(max(1, min(SOME, int(SOME * statistics.weight / (counts.sum() + 1.0)))))
    square[some] = credible(counts[some] * square[some] / sizes[some], counts[some], _spread_within(block))
    moment = counts * square - statistics.weight * statistics.mean**2
    return statistics._replace(moment=np.where(some, moment, statistics.moment))


def _spread_within(block: Any) -> float:
    """Return the variance of the logarithms of the squares within a column, in some rows, less that of these rows."""
    squares = np.square(block.data, dtype=np.float64)
    rows, known = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)), squares > 0.0
    rows, columns, logarithms = rows[known], block.indices[known], np.log(squares[known])
    counts = [(places, np.bincount(places)) for places in (rows, columns)]
    for places, numbers in SWEEPS * counts:
        logarithms -= (np.bincount(places, logarithms) / np.maximum(numbers, 1))[places]
    free = len(rows) - sum(int(np.count_nonzero(numbers)) for _, numbers in counts)
    return float(logarithms @ logarithms) / float(max(free, 1))


def credible(squares: np.ndarray, counts: np.ndarray, spread: float) -> np.ndarray:
    """Return squares of columns with these numbers of entries, moved towards the median of all columns.

    ``spread`` is the variance of logarithms of squares within a column. That between columns is by quartiles, so that
    some columns in other units do not matter. No column moves by more than its entries may differ by chance.
    """
    logarithms, noise = np.log(squares), spread / np.maximum(counts, 1.0)
    low, middle, high = np.percentile(logarithms, (25, 50, 75))
    between = max(((high - low) / QUARTILES) ** 2 - float(np.median(noise)), 0.0)
    share, most = np.divide(noise, between + noise, out=np.zeros_like(noise), where=noise > 0.0), FAR * np.sqrt(noise)
    return np.exp(logarithms - np.clip(share * (logarithms - middle), -most, most))
