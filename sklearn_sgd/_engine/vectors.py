"""The vectors of a descent: parameters, their average, and moments."""

from collections.abc import Callable
from math import isfinite
from typing import NamedTuple

import numpy as np


class Vectors(NamedTuple):
    """Parameters with the intercept last, their average, and the moments of the optimizer.

    The average is in double precision: in a long stream, the weight of an update is below the precision of float32.
    """

    coef: np.ndarray
    average: np.ndarray
    m: np.ndarray | None = None
    v: np.ndarray | None = None

    def copy(self) -> "Vectors":
        """A copy with its own arrays."""
        return self.each(np.ndarray.copy)

    def each(self, change: Callable[[np.ndarray], np.ndarray]) -> "Vectors":
        """The vectors that a function makes of these."""
        return Vectors(*(None if vector is None else change(vector) for vector in self))  # type: ignore[arg-type]

    def with_moments(self, number: int) -> "Vectors":
        """The vectors with ``number`` moments, which are 0 at first."""
        if (number > 0) == (self.m is not None) and (number > 1) == (self.v is not None):
            return self
        m, v = (np.zeros_like(self.coef) if a is None else a for a in (self.m, self.v))
        return self._replace(m=m if number > 0 else None, v=v if number > 1 else None)

    def finite(self, averaged: bool, most: float) -> bool:
        """Whether the sums of squares of parameters and average are within the limit, and no moment is NaN.

        Then predictions are in range, too.
        """
        return (
            _within(self.coef, most)
            and (not averaged or _within(self.average, most))
            and (self.m is None or _are_numbers(self.m))
            and (self.v is None or _are_numbers(self.v))
        )


def _within(vector: np.ndarray, most: float) -> bool:
    """Whether the sum of squares is within the limit; in the precision of the vector if possible, which is faster.

    Unlike other products of NumPy, this one does not warn of values that are not finite.
    """
    return bool(np.vdot(vector, vector) <= most) or bool(np.square(vector, dtype=np.float64).sum() <= most)


def _are_numbers(vector: np.ndarray) -> bool:
    return isfinite(np.vdot(vector, vector)) or bool(np.isfinite(vector).all())
