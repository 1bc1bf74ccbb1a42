"""How many parameters a descent has made use of so far.

Steps of total length t on columns of curvatures s, which are shares of the rows, fit a share ``1 - exp(-t s)`` of what
each column could. Their sum over the columns, in units of the number of rows, is the share x of the rows' noise that
has been learned, too. As more is learned less is left to learn from, which slows all columns down alike: x solves
``x = sum(1 - exp(-t (1 - x) s)) / n``.

References
----------
Yao, Y., Rosasco, L. and Caponnetto, A., "On early stopping in gradient descent learning", Constructive Approximation
26, 2007: the length of a descent as a parameter of regularisation.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from sklearn_sgd._engine.automatic.step_size import DECAY

# Age of the parameters in an average, as a share of the way.
AVERAGE = (DECAY + 1.0) / (DECAY + 2.0)


class Effective(NamedTuple):
    """Curvatures of the columns, each once, how often they occur, and the number of rows."""

    shares: np.ndarray
    numbers: np.ndarray
    n_rows: float

    @classmethod
    def of(cls, shares: np.ndarray, n_rows: float) -> "Effective":
        """Those of columns with such shares of the rows."""
        return cls(*np.unique(shares[shares > 0.0], return_counts=True), n_rows)

    def share(self, time: float) -> float:
        """The effective number of parameters after steps of this total length, in units of the number of rows."""

        def excess(x: float) -> float:
            return -float(self.numbers @ np.expm1(-time * (1.0 - x) * self.shares)) / self.n_rows - x

        return float(brentq(excess, 0.0, 1.0)) if excess(0.0) > 0.0 else 0.0
