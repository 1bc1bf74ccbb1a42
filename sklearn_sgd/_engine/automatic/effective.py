"""The effective number of parameters of a descent.

For columns with the curvatures s, steps of total length t fit a share ``1 - exp(-t s)`` of what each column could fit.
The sum of these shares over the columns, divided by the number of rows, is also the share x of the noise of the rows
that has been learned. The residuals become smaller as more is learned, which slows down all columns alike. So x is the
solution of ``x = sum(1 - exp(-t (1 - x) s)) / n``.

References
----------
Yao, Y., Rosasco, L. and Caponnetto, A., "On early stopping in gradient descent learning", Constructive Approximation
26, 2007: the length of a descent as a parameter of regularisation.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from sklearn_sgd._engine.automatic.step_size import DECAY

# Age of the averaged parameters, as a share of the total length of the steps.
AVERAGE = (DECAY + 1.0) / (DECAY + 2.0)


class Effective(NamedTuple):
    """The distinct curvatures of the columns, their multiplicities, and the number of rows."""

    shares: np.ndarray
    numbers: np.ndarray
    n_rows: float

    @classmethod
    def of(cls, shares: np.ndarray, n_rows: float) -> "Effective":
        """Return the value for columns with these shares of the rows."""
        return cls(*np.unique(shares[shares > 0.0], return_counts=True), n_rows)

    def share(self, time: float) -> float:
        """Return the effective number of parameters after steps of this total length, divided by the number of rows."""

        def excess(x: float) -> float:
            return -float(self.numbers @ np.expm1(-time * (1.0 - x) * self.shares)) / self.n_rows - x

        return float(brentq(excess, 0.0, 1.0)) if excess(0.0) > 0.0 else 0.0
