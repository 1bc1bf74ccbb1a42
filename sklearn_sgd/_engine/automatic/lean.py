"""The centring of sparse columns with many zeros, at the cost of a batch's entries.

The gradient of centred columns is that of the others less a multiple of their means. So a step moves all of them along
one vector, the means times the scales; `Lean` has it, and :mod:`.compiled.drivers.lazy_automatic` its multiple.

In a stream the vector of a column changes only with its entries, in units that are the same for all columns
(`scaled_mean`). So what a column has missed is also a multiple of its own vector, however many rows there were. A
column that is gone (`patience_of`) follows no longer.
"""

from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.credibility import units_of_means
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics


class Lean(NamedTuple):
    """What centres sparse columns with many zeros.

    Attributes
    ----------
    means : ndarray of shape (n_columns,)
        The means of the columns times their scales; 0 for filled columns.
    reach : float
        Product of these with the means.
    unit : float
        Unit of `scaled_mean`.
    """

    means: np.ndarray
    reach: float = 0.0
    unit: float = 1.0

    @classmethod
    def of(cls, statistics: ColumnStatistics, inverse: np.ndarray, prior: float) -> "Lean":
        """Return the same for columns, of which ``inverse`` has the scales; ``prior`` as in `units_of_means`."""
        weight = statistics.weight
        mean = statistics.mean * (weight / (weight + prior) if prior else 1.0)
        means = np.where(statistics.filled, 0.0, mean * inverse.astype(np.float64))
        unit, of_reach = units_of_means(weight, prior)
        return cls(means, float(mean @ means) + of_reach * statistics.left_reach, unit)
