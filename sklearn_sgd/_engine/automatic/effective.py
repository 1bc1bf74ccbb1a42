"""How much of the noise of its training rows a descent has learned: the effective number of parameters, by a formula.

For columns with the curvatures s, steps of total length t fit a share ``1 - exp(-t s)`` of what each column could fit.
The sum of these shares over the columns, divided by the number of rows, is also the share x of the noise of the rows
that has been learned. The residuals become smaller as more is learned, which slows down all columns alike. So x is the
solution of ``x = sum(1 - exp(-t (1 - x) s)) / n``. The share of a column belongs to its rows in proportion to their
weights times the squares of their entries: rows with large or rare entries learn more of their own noise than others.

References
----------
Yao, Y., Rosasco, L. and Caponnetto, A., "On early stopping in gradient descent learning", Constructive Approximation
26, 2007: the length of a descent as a parameter of regularisation.
"""

from typing import Any, NamedTuple, Self

import numpy as np
from scipy.optimize import brentq

from sklearn_sgd._engine.automatic.balance import squares_of_entries
from sklearn_sgd._engine.automatic.step_size import DECAY
from sklearn_sgd._engine.readings import count_rows

# Age of the averaged parameters, as a share of the total length of the steps.
AVERAGE = (DECAY + 1.0) / (DECAY + 2.0)

# Largest number of groups of rows; least number of rows in each, unless there is one group.
GROUPS, MEMBERS = 10, 50


def groups_by_size(X: Any, weight: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Return a group for each row, by the rank of its squared norm in units of the preconditioner, times its weight."""
    count_rows(X.shape[0])
    sizes = weight * np.concatenate([block @ inverse for block in squares_of_entries(X)])
    n_rows = len(sizes)
    ranks = np.argsort(np.argsort(sizes, kind="stable"), kind="stable")
    return ranks * int(np.clip(n_rows // MEMBERS, 1, GROUPS)) // n_rows


class Effective(NamedTuple):
    """Distinct curvatures of columns, and how the columns with each of them belong to groups of rows.

    Attributes
    ----------
    curvatures, numbers : ndarray of shape (n_curvatures,)
        Distinct curvatures, and the number of columns with each of them.
    parts : ndarray of shape (n_groups, n_curvatures)
        What a row of each group learns of its noise, on average, if these columns fit all that they can.
    n_rows : float
        Number of rows.
    """

    curvatures: np.ndarray
    numbers: np.ndarray
    parts: np.ndarray
    n_rows: float

    @classmethod
    def of(
        cls, X: Any, weight: np.ndarray, groups: np.ndarray, inverse: np.ndarray, shares: np.ndarray, n_rows: float
    ) -> Self:
        """Return the value for columns with these scales and curvatures, by some rows, their weights and groups."""
        count_rows(X.shape[0])
        curvatures, of_column, numbers = np.unique(shares, return_inverse=True, return_counts=True)
        counts, size, start = np.bincount(groups), len(curvatures), 0
        sums = np.zeros(len(counts) * size)
        for block in squares_of_entries(X):
            stop, lengths = start + block.shape[0], np.diff(block.indptr)
            places = np.repeat(groups[start:stop] * size, lengths) + of_column[block.indices]
            parts = block.data * inverse[block.indices] * np.repeat(weight[start:stop], lengths)
            sums += np.bincount(places, parts, len(sums))
            start = stop
        parts = sums.reshape(-1, size) / counts[:, None]
        # Columns without entries in these rows, and those that all rows have, are a part of all rows alike.
        total = counts @ parts / len(groups)
        parts = np.divide(parts, total, out=np.ones_like(parts), where=total > 0.0) * numbers / n_rows
        occurs = curvatures > 0.0
        return cls(curvatures[occurs], numbers[occurs], parts[:, occurs], n_rows)

    def learned(self, time: float) -> np.ndarray:
        """Return the share of the noise of a row of each group that is learned by steps of this total length."""

        def excess(x: float) -> float:
            return float(self.numbers @ fitted(x)) / self.n_rows - x

        def fitted(x: float) -> np.ndarray:
            return -np.expm1(-time * (1.0 - x) * self.curvatures)

        x = float(brentq(excess, 0.0, 1.0)) if excess(0.0) > 0.0 else 0.0
        return self.parts @ fitted(x)
