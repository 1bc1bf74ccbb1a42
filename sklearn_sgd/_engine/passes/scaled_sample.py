"""A sample of rows in the units of its columns; X is read once."""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.statistics import ColumnStatistics
from sklearn_sgd._engine.cores import map_on_cores
from sklearn_sgd._engine.passes.without_plan import in_units
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import doubled, take, total

# Number of rows for the first estimate of means and spreads; entries of a block of rows, which fits into a cache.
PILOT, BLOCK = 512, 1 << 16

# Variance of a column in the units of the first estimate, up to which, or down to one over it, that is kept.
FAR = 100.0


class ScaledSample(NamedTuple):
    """Rows less a centre, times factors, and times the roots of their weights.

    The centre is within a standard deviation of the means, and the factors are near one over the spreads. ``off`` are
    the means in these units, ``columns`` has means and sums of squares about them in those of X. ``largest`` is a bound
    for the share of one row in the squares of each column.
    """

    rows: np.ndarray
    root: Any
    factor: np.ndarray
    off: np.ndarray
    columns: ColumnStatistics
    largest: np.ndarray

    @np.errstate(all="ignore")  # As those of `scaled_sample`.
    def covariances(self, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the covariances of the columns times the scale of both, about these means, in double precision.

        Columns that are not centred have the mean 0.
        """
        weight, off = self.columns.weight, (self.columns.mean - mean) * self.factor
        products = doubled(self.rows.T @ self.rows) / weight
        products += np.outer(off, off) - np.outer(self.off, self.off)
        return products * np.outer(scale / self.factor, scale / self.factor)

    def products_with(self, target: np.ndarray) -> np.ndarray:
        """Return covariances of columns and a target of mean 0, which is multiplied by the roots of the weights."""
        return doubled(target.astype(self.rows.dtype) @ self.rows) / (self.columns.weight * self.factor)

    def about(self, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Return the rows less these means, times the scale, so that their products are `covariances`."""
        off = (mean - self.columns.mean) * self.factor + self.off
        return (self.rows - self.root * off) * (scale / self.factor) / np.sqrt(self.columns.weight)


@np.errstate(all="ignore")  # The statistics of numbers out of range are not finite.
def scaled_sample(X: np.ndarray, some: np.ndarray, weight: np.ndarray, centred: bool, kind: np.dtype) -> ScaledSample:
    """Return ``some`` rows of X, by their numbers, in a precision; without weights all are 1."""
    count_rows(len(some))
    pilot = doubled(take(X, some[:: max(1, len(some) // PILOT)]))
    centre = pilot.mean(axis=0) if centred else np.zeros(X.shape[1])
    pilot -= centre  # In place: the copy is large where columns are many.
    factor = _one_over(np.sqrt(np.einsum("ij,ij->j", pilot, pilot) / len(pilot)))
    root: Any = np.sqrt(doubled(weight[some]))[:, None] if weight.shape[0] else 1.0
    sum_of_weights = total(weight[some]) if weight.shape[0] else float(len(some))
    for _ in range(2):
        rows, sums, squares, largest = _read(X, some, weight, centre, factor, kind)
        off = sums / sum_of_weights if centred else np.zeros(X.shape[1])
        squares = squares - sum_of_weights * off * off
        mean, scale, variance = centre + off / factor, factor, squares / sum_of_weights
        is_near = (variance <= FAR) & ((variance >= 1.0 / FAR) | (variance <= 0.0))
        if (is_near & (off * off <= variance)).all():
            break
        # The first rows are unlike the others, or a column does not vary.
        centre, factor = mean, factor * _one_over(np.sqrt(variance))
    columns = ColumnStatistics(sum_of_weights, mean, squares / scale / scale)
    return ScaledSample(rows, root, scale, off, columns, (np.sqrt(largest) + np.max(root) * abs(off)) ** 2 / squares)


def _one_over(spread: np.ndarray) -> np.ndarray:
    """Return one over spreads; 1 for columns that do not vary."""
    return np.where(spread > 0.0, 1.0 / spread, 1.0)


def _read(
    X: np.ndarray, some: np.ndarray, weight: np.ndarray, centre: np.ndarray, factor: np.ndarray, kind: np.dtype
) -> tuple[np.ndarray, Any, Any, Any]:
    """Return scaled rows; for each column the weighted sum, the sum of squares, and the largest square."""
    call = in_units(X, some, weight, centre, factor)
    rows, p, step = np.empty((len(some), X.shape[1]), kind), X.shape[1], max(1, BLOCK // X.shape[1])

    @np.errstate(all="ignore")  # NumPy's setting is per thread.
    def read(start: int) -> np.ndarray:
        part, sums = rows[start : start + step], np.empty((3, p))
        out = np.empty(part.shape)
        call.driver({**call.values, "start": start, "stop": start + len(part), "out": out, "sums": sums})
        part[:] = out
        return sums

    of_blocks = np.array(list(map_on_cores(read, range(0, len(some), step))))
    return rows, *of_blocks[:, :2].sum(axis=0), of_blocks[:, 2].max(axis=0)
