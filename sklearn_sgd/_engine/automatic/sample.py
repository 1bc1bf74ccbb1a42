"""Samples of rows, which show the geometry of the columns at a price that does not depend on the number of all rows."""

import numpy as np

from sklearn_sgd._engine.automatic.statistics import ColumnStatistics

# Rows of a sample for each column, and at least; times as many rows from which on one is taken.
PER_COLUMN, LEAST, TIMES = 50, 4096, 8

# Share of the spread of a column that one row may make; spread in units of the rounding of an offset that is one.
HEAVY, SPREAD = 0.1, 1e3


def sample_size(n_rows: int, n_columns: int) -> int | None:
    """Rows that show the geometry of so many columns; None if there are not many more."""
    size = max(PER_COLUMN * n_columns, LEAST)
    return size if n_rows >= TIMES * size else None


def sample(n_rows: int, size: int) -> np.ndarray:
    """Numbers of so many rows, the same in each fit; by chance, since every k-th row may be of a kind."""
    return np.sort(np.random.default_rng(n_rows).choice(n_rows, size, replace=False, shuffle=False))


def shows(rows: np.ndarray, weight: np.ndarray, columns: ColumnStatistics, dtype: np.dtype) -> bool:
    """Whether columns vary in some rows, and not by a few of them alone; no weights: all 1."""
    mean, variance = columns.mean, columns.variance
    if not (np.sqrt(variance) > SPREAD * float(np.finfo(dtype).eps) * abs(mean)).all():
        return False
    if weight.shape[0]:
        largest = np.max(weight[:, None] * (rows - mean) ** 2, axis=0)
    else:
        largest = np.maximum(rows.max(axis=0) - mean, mean - rows.min(axis=0)) ** 2
    return bool((largest <= HEAVY * columns.weight * variance).all())
