"""Samples of rows, which represent the covariances of the columns at a cost independent of the number of rows."""

import numpy as np

from sklearn_sgd._engine.automatic.statistics import ColumnStatistics

# Rows of a sample for each column, and minimum; least ratio of all rows to it, for a sample to be drawn.
PER_COLUMN, LEAST, TIMES = 50, 4096, 8

# Largest share of the variance of a column that one row may contribute; smallest spread in units of rounding.
HEAVY, SPREAD = 0.1, 1e3

# By how much passes over X reduce the distance to the minimum; passes in the time in which rows are copied and centred,
# in their order, and random ones.
REMAINS, ORDERED, RANDOM = 4e6, 3.5, 6.5


def sample_size(n_rows: int, n_columns: int) -> int | None:
    """Return the number of rows of a sample; None if there are not many more rows."""
    size = max(PER_COLUMN * n_columns, LEAST)
    return size if n_rows >= TIMES * size else None


def sample(n_rows: int, size: int) -> np.ndarray:
    """Return random row numbers, the same in each fit. Every k-th row might be of one kind."""
    return np.sort(np.random.default_rng(n_rows).choice(n_rows, size, replace=False, shuffle=False))


def one_of_each(n_rows: int, size: int) -> np.ndarray:
    """Return one random row number of each of ``size`` parts of the rows, the same in each fit."""
    bounds = np.arange(size + 1) * n_rows // size
    return bounds[:-1] + (np.random.default_rng(n_rows).random(size) * np.diff(bounds)).astype(np.intp)


def shows(columns: ColumnStatistics, largest: np.ndarray, dtype: np.dtype) -> bool:
    """Return whether each column varies in the sample, and not only in a few rows.

    ``largest`` is the largest share of a row in the squares of each column.
    """
    spread = SPREAD * float(np.finfo(dtype).eps) * abs(columns.mean)
    return bool(((np.sqrt(columns.variance) > spread) & (largest <= HEAVY)).all())


def best_size(n_rows: int, n_columns: int, an_entry: int, most: int, exact: float = 1.0, parts: int = 0) -> int:
    """Return the size of the sample with which its covariances, and the passes over X that they leave, cost least.

    A pass costs ``an_entry`` multiplications for each entry of X. With c rows for each column it leaves 1 / c of the
    distance to the minimum; there are at most ``most``. After the first two, as many as ``parts`` read few rows.
    Covariances of all rows leave nothing; their multiplications cost ``exact`` times as much as those for a sample.
    """
    passes = np.arange(2, most + 1)
    sizes = np.maximum(n_columns * REMAINS ** (1.0 / passes), LEAST).astype(int)
    whole = np.maximum(passes - parts, 2)
    costs = sizes * (n_columns + RANDOM * an_entry) + whole * float(an_entry) * n_rows
    best = int(np.argmin(costs))
    covariances = n_rows * (exact * n_columns + ORDERED * an_entry)
    return int(sizes[best]) if sizes[best] < n_rows and costs[best] < covariances else n_rows
