"""Sample weights of a descent, which count relative to their mean."""

from dataclasses import dataclass

import numpy as np

from sklearn_sgd._namespace import Elsewhere, doubled, dtype_of, is_foreign, like, total


@dataclass(kw_only=True)
class WeightRecord:
    """Sum and number of all weights so far that are not 0."""

    weight_sum: float = 0.0
    weight_rows: int = 0

    @property
    def mean_weight(self) -> float:
        """Mean of all weights so far that are not 0."""
        return self.weight_sum / self.weight_rows if self.weight_rows else 1.0

    def count_weights(self, weight, X) -> float:
        """Count the weights of new rows; return the mean before in units of that now."""
        n_rows, before = X.shape[0], self.mean_weight
        if isinstance(X, Elsewhere):
            # Remote rows include their weights, of mean 1.
            self.weight_sum, self.weight_rows = X.weight, n_rows
            return 1.0
        self.weight_sum += n_rows if weight is None else total(weight)
        self.weight_rows += n_rows if weight is None else int(total(doubled(weight != 0)))
        return before / self.mean_weight

    def relative(self, weight, X):
        """Return the weights divided by the mean of all non-zero weights so far; an empty array if all are 1."""
        if isinstance(X, Elsewhere):
            return np.empty(0, dtype_of(X))
        dtype, mean = dtype_of(X), self.mean_weight
        if weight is None:
            return np.empty(0, dtype) if mean == 1.0 else like(np.full(X.shape[0], 1.0 / mean, dtype), X)
        return weight / mean if is_foreign(weight) else (weight / mean).astype(dtype, copy=False)
