"""Sample weights of a descent, which count relative to their mean."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_sgd._namespace import RemoteObject, doubled, dtype_of, is_foreign, like, total


def left_after(age: Any, half_life: float) -> Any:
    """Return how much a row counts after ``age`` later ones."""
    return 0.5 ** (age / half_life)


def left_of(n_rows: int, half_life: float) -> np.ndarray:
    """Return how much each of ``n_rows`` rows counts when the last of them has come."""
    return left_after(np.arange(n_rows - 1.0, -1.0, -1.0), half_life)


@dataclass(kw_only=True)
class WeightRecord:
    """Sum and number of all weights so far that are not 0; and what a half life has left of both."""

    weight_sum: float = 0.0
    weight_rows: int = 0
    left_sum: float = 0.0
    left_rows: float = 0.0

    @property
    def mean_weight(self) -> float:
        """Mean of all weights so far that are not 0."""
        return self.weight_sum / self.weight_rows if self.weight_rows else 1.0

    def count_weights(self, weight, X) -> float:
        """Count the weights of new rows; return the mean before in units of that now."""
        n_rows, before = X.shape[0], self.mean_weight
        if isinstance(X, RemoteObject):
            # Remote rows include their weights, of mean 1.
            self.weight_sum, self.weight_rows = X.weight, n_rows
            self.left_sum, self.left_rows = X.weight, n_rows
            return 1.0
        weights = n_rows if weight is None else total(weight)
        rows = n_rows if weight is None else int(total(doubled(weight != 0)))
        self.weight_sum, self.weight_rows = self.weight_sum + weights, self.weight_rows + rows
        self.left_sum, self.left_rows = self.left_sum + weights, self.left_rows + rows
        if not math.isfinite(self.weight_sum):
            raise ValueError(
                "The sum of sample_weight, of this and all earlier calls, is out of the range of numbers. Remedy: "
                "divide all weights by a constant, since only their ratios matter."
            )
        return before / self.mean_weight

    def faded(self, weight, X, kept: np.ndarray | None, left: np.ndarray, share: float):
        """Let earlier rows count by a share, and return the relative weights of new ones times what is left of each.

        ``kept`` has the numbers of those that have a weight; None are all.
        """
        rows, n_new = float(left.sum()), len(left)
        if kept is not None:
            every = np.zeros(X.shape[0])
            every[kept] = left
            left = every
        faded = like(left, X) * weight if weight.shape[0] else like(left, X)
        before, after = (total(weight), total(faded)) if weight.shape[0] else (n_new, rows)
        self.left_sum = share * (self.left_sum - self.mean_weight * before) + self.mean_weight * after
        self.left_rows = share * (self.left_rows - n_new) + rows
        return faded

    def rows_of(self, weight: float) -> float:
        """Return the number of rows of a sum of relative weights, in which both count as a half life leaves them."""
        return weight * self.mean_weight * self.left_rows / self.left_sum if self.left_sum else weight

    def relative(self, weight, X):
        """Return the weights divided by the mean of all non-zero weights so far; an empty array if all are 1."""
        if isinstance(X, RemoteObject):
            return np.empty(0, dtype_of(X))
        dtype, mean = dtype_of(X), self.mean_weight
        if weight is None:
            return np.empty(0, dtype) if mean == 1.0 else like(np.full(X.shape[0], 1.0 / mean, dtype), X)
        return weight / mean if is_foreign(weight) else (weight / mean).astype(dtype, copy=False)
