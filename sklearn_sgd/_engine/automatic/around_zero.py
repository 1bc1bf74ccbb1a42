"""The geometry of columns about 0, for a model without intercept, where their means are far above their spread.

Products about 0 show no digit of a spread that is 1e-8 of the means. Those about the means do. The directions are those
of the centred rows, along which the mean does not move, and one that moves the mean.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.geometry import DOUBLE, PRECISE, Geometry, geometry_of
from sklearn_sgd._engine.automatic.statistics import ROUNDING, ColumnStatistics, is_varying, measure

# Squared mean of a column, in units of its variance, from which it is far from 0.
FAR = 100.0

# Part of the squared means, in units of the columns, that is outside the directions of centred rows by more than
# rounding, as that of a column of ones is.
OUTSIDE = ROUNDING**2

# Number of rows of a sample that shows means and spreads.
SAMPLE = 1000


def is_far(columns: ColumnStatistics, ridge: Any = 0.0) -> bool:
    """Return whether the mean of some column is far above its spread, and above the curvature of the penalty."""
    return bool((columns.mean * columns.mean > FAR * (columns.variance + ridge)).any())


def shows_far_columns(plan: Any) -> bool:
    """Return whether a sample shows such columns to a model without intercept that has no covariances of all."""
    if plan.data.rows.bias or plan.preconditioner is None or type(plan.X) is not np.ndarray:
        return False
    some = plan.used[:: -(-plan.n_rows // SAMPLE)]
    return is_far(measure(plan.X[some], None, np.empty(0), True, narrow=False))


@dataclass(frozen=True)
class AroundZero(Geometry):
    """The geometry of columns about 0, from that about their means, and the means; ``units`` are those of the columns.

    Gradients are products with the means, whose rounding further steps correct.
    """

    centred: Geometry
    mean: np.ndarray
    units: np.ndarray
    is_narrow = hides = nears_constant = True

    @classmethod
    def of(cls, columns: ColumnStatistics, ridge: Any) -> Self | None:
        """Return that of statistics and the curvature of the penalty; None if no mean is far from 0."""
        variance, mean = columns.variance, columns.mean
        if not is_far(columns, ridge):
            return None
        varies = is_varying(variance + ridge, mean)
        units = np.sqrt(np.where(varies, variance + ridge, np.where(mean != 0.0, mean * mean, 1.0)))
        scale = np.where(varies, 1.0 / units, 0.0)
        correlation = columns.moment / columns.weight * np.outer(scale, scale)
        np.fill_diagonal(correlation, np.where(varies, 1.0, 0.0))
        return cls(geometry_of(scale, correlation), mean, units)

    @property
    def scale(self) -> np.ndarray:  # type: ignore[override]
        """One over the units of the columns that vary."""
        return self.centred.scale

    @property
    def n_directions(self) -> int:
        """The number of directions."""
        return self.matrix.shape[1]

    def without_dependent(self, dtype: np.dtype = DOUBLE) -> "AroundZero":
        """The geometry without directions along which centred columns are nearly linear combinations of each other."""
        wide = self.centred.without_dependent(dtype)
        return self if wide is self.centred else replace(self, centred=wide)

    def has_dependent(self, dtype: np.dtype) -> bool:
        """Whether `without_dependent` does so; coefficients in single precision lack the digits of all directions."""
        return dtype != DOUBLE or self.centred.has_dependent(dtype)

    def with_floor(self, more: float) -> tuple["AroundZero", float]:
        """Return the geometry for steps with noise, and the mean squared norm of rows in it."""
        raised, length = self.centred.with_floor(more)
        return replace(self, centred=raised), length + 1.0

    def is_matrix(self, dtype: np.dtype) -> bool:
        """Whether the `inverse` in this precision moves predictions in the directions of centred columns alone."""
        far = float(np.max(np.square(self.mean * self.scale), initial=0.0))
        return far * float(np.finfo(dtype).eps) < PRECISE

    def null_directions(self) -> np.ndarray:
        """There are none: along those of centred columns nothing moves, or the mean alone."""
        return np.empty((len(self.mean), 0))

    def inverse(self) -> np.ndarray:
        """Return the inverse products about 0, which may lack digits that `factor` has."""
        return self.matrix @ self.matrix.T

    def factor(self) -> np.ndarray:
        """Return directions along which rows have mean square 1."""
        return self.matrix

    def root(self) -> np.ndarray:
        """Return directions along which rows have mean square 1."""
        return self.matrix

    def apply(self, g: np.ndarray, rounding: float) -> np.ndarray:
        """Return the Newton step for a gradient, whose slopes along directions below ``rounding`` count as 0."""
        along = g @ self.matrix
        return self.matrix @ np.where(abs(along) > rounding, along, 0.0)

    @cached_property
    def matrix(self) -> np.ndarray:
        """The directions.

        Rows have variance 1 about their mean along those of the centred columns. One more direction moves the mean
        alone. If there is none, since centred rows span all directions, those become shorter where they move the mean.
        """
        root, mean, units = self.centred.root(), self.mean, self.units
        # A floor of the variances leaves a direction of constant columns alone, along which nothing moves.
        root = root[:, np.sum(np.square(root * units[:, None]), axis=0) > OUTSIDE]
        spanned = linalg.qr(root * units[:, None], mode="economic")[0]
        rest = mean / units
        for _ in range(2):
            rest = rest - spanned @ (spanned.T @ rest)
        moves, size = mean @ root, float(rest @ rest)
        if size > OUTSIDE * float(np.sum(np.square(mean / units))):
            along_mean = rest / units / size
            return np.column_stack((root - np.outer(along_mean, moves), along_mean))
        square = float(moves @ moves)
        share = (1.0 - 1.0 / np.sqrt(1.0 + square)) / max(square, 1e-300)
        return root - share * np.outer(root @ moves, moves)
