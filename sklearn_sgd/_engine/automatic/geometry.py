"""The directions in which columns are uncorrelated, and the inverse of their covariances.

Standard deviations of the columns are their units: correlations are inverted. Along narrow directions, of nearly
dependent columns, rounding matters, and so does what a step leaves out. A Cholesky factor shows that there are none in
a tenth of the time that the directions take.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import linalg

# With noise, directions whose variance is below this share of the largest are learned more slowly, in proportion.
# Without noise, those below the other share, times the number of columns, are omitted, because they may be rounding.
FLOOR, NULL = 1e-5, 2e-15

# Share, in units of the latter share, below which rounding makes directions too inaccurate.
NARROW = 1e6

# Variance of a direction, in units of the largest, below which columns are nearly linear combinations of each other.
# Coefficients along it belong to differences of less than 1e-5 of their spread, and new rows may differ by far more.
DEPENDENT = 1e-10

# The same in units of the precision: such a direction makes the inverse inaccurate along all others.
PRECISE = 0.1

# Variance of a direction, in units of the floor, below which steps with noise come near to the minimum too slowly.
HIDDEN = 10.0

# The same, if gradients within rounding are left out.
SMALLEST = 1e-21

# Variance along all directions, in units of those of columns, from which none of them is narrow.
WIDE = 1e-3

DOUBLE = np.dtype(np.float64)


class Geometry(ABC):
    """What final steps know of the columns: Newton steps, and directions of nearly dependent columns.

    The floor, which reduces noise, would shrink the distance to the minimum along narrow directions by v / (v + floor).
    The geometry has no floor, so that this distance can be computed.
    """

    scale: np.ndarray

    # Whether a combination of columns is nearly constant, so that a model without intercept nearly has one.
    nears_constant = False

    @property
    @abstractmethod
    def n_directions(self) -> int:
        """The number of directions."""

    @property
    @abstractmethod
    def is_narrow(self) -> bool:
        """Whether rounding of the covariances makes some directions too inaccurate."""

    @property
    @abstractmethod
    def hides(self) -> bool:
        """Whether noisy steps converge too slowly along some direction, because of the floor."""

    @abstractmethod
    def without_dependent(self, dtype: np.dtype = DOUBLE) -> "Geometry":
        """The geometry without directions along which columns are nearly linear combinations of each other."""

    @abstractmethod
    def has_dependent(self, dtype: np.dtype) -> bool:
        """Whether `without_dependent` leaves out directions along which columns differ by more than rounding."""

    @abstractmethod
    def apply(self, g: np.ndarray, rounding: float) -> np.ndarray:
        """Return the Newton step for a gradient whose rounding is at most so large in units of the columns."""

    @abstractmethod
    def inverse(self) -> np.ndarray:
        """Return the inverse covariances; null directions are omitted."""

    @abstractmethod
    def root(self) -> np.ndarray:
        """Return R with ``inverse() = R R'``: its columns are directions with variance 1; null ones are omitted."""

    @abstractmethod
    def with_floor(self, more: float) -> tuple["Geometry", float]:
        """Return the geometry for steps with noise, and the mean squared norm of rows in it.

        Variances along the directions have a floor, and are raised by ``more``.
        """

    @abstractmethod
    def null_directions(self) -> np.ndarray:
        """Return the directions that may be rounding only, as columns."""

    def factor(self) -> np.ndarray | None:
        """Return the directions that steps need because `inverse` lacks their digits; None if it does not."""
        return None

    def hidden(self, g: np.ndarray, rounding: float, dtype: np.dtype) -> float:
        """The distance to the minimum along the omitted directions, computed from a gradient."""
        return 0.5 * float(g @ (self.apply(g, rounding) - self.without_dependent(dtype).apply(g, rounding)))


@dataclass(frozen=True)
class Directions(Geometry):
    """Scales of the columns, and variances along the directions, from the smallest."""

    scale: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @classmethod
    def of(cls, scale: np.ndarray, correlation: np.ndarray) -> Self:
        """Return the directions of correlations."""
        values, vectors = np.linalg.eigh(correlation)
        return cls(scale, np.maximum(values, 0.0), vectors)

    @property
    def n_directions(self) -> int:
        """The number of directions."""
        return len(self.values)

    @property
    def largest(self) -> float:
        """The largest variance; at least 1, the variance of a single column."""
        return float(np.max(self.values, initial=1.0))

    @property
    def null(self) -> float:
        """The variance up to which a direction may be rounding only."""
        return NULL * len(self.values) * self.largest

    @property
    def is_narrow(self) -> bool:
        """Whether rounding of the covariances makes some directions too inaccurate."""
        return bool(((self.values > self.null) & (self.values < NARROW * self.null)).any())

    @property
    def hides(self) -> bool:
        """Whether noisy steps converge too slowly along some direction, because of the floor."""
        return bool(((self.values > self.null) & (self.values < HIDDEN * FLOOR * self.values[-1])).any())

    def dependent(self, dtype: np.dtype = DOUBLE) -> float:
        """The variance up to which a direction belongs to nearly dependent columns, for steps of this precision."""
        return max(self.null, max(DEPENDENT, PRECISE * float(np.finfo(dtype).eps)) * self.largest)

    def without_dependent(self, dtype: np.dtype = DOUBLE) -> "Directions":
        """The geometry without directions along which columns are nearly linear combinations of each other."""
        wide = self.values > self.dependent(dtype)
        return self if wide.all() else Directions(self.scale, self.values[wide], self.vectors[:, wide])

    def has_dependent(self, dtype: np.dtype) -> bool:
        """Whether `without_dependent` leaves out directions along which columns differ by more than rounding."""
        return bool(((self.values > self.null) & (self.values <= self.dependent(dtype))).any())

    def inverse(self) -> np.ndarray:
        """Return the inverse covariances; null directions are omitted."""
        return self.divided_by(np.where(self.values > self.null, self.values, np.inf))

    def root(self) -> np.ndarray:
        """Return the directions, divided by their standard deviations."""
        is_null = self.values <= self.null
        return self.scale[:, None] * self.vectors[:, ~is_null] / np.sqrt(self.values[~is_null])

    def null_directions(self) -> np.ndarray:
        """Return the directions that may be rounding only, as columns."""
        return self.scale[:, None] * self.vectors[:, self.values <= self.null]

    def with_floor(self, more: float) -> tuple["Directions", float]:
        """Return the geometry for steps with noise, and the mean squared norm of rows in it."""
        raised = self.values + FLOOR * max(self.values[-1], 1.0) + more
        return Directions(self.scale, raised, self.vectors), float(np.sum(self.values / raised))

    def divided_by(self, shares: np.ndarray) -> np.ndarray:
        """Return the inverse covariances for these variances along the directions."""
        return (self.vectors / shares) @ self.vectors.T * np.outer(self.scale, self.scale)

    def apply(self, g: np.ndarray, rounding: float) -> np.ndarray:
        """Return the Newton step for a gradient, whose components below ``rounding`` count as 0.

        The variance along a null direction is only known to be small, so the distance is not underestimated.
        """
        along = self.vectors.T @ (self.scale * g)
        along = np.where(abs(along) > rounding, along, 0.0)
        shares = np.where(self.values > self.null, self.values, SMALLEST * self.largest)
        return self.scale * (self.vectors @ (along / shares))


@dataclass(frozen=True)
class WideGeometry(Geometry):
    """The geometry of columns none of which is nearly a combination of others, by a Cholesky factor of correlations."""

    scale: np.ndarray
    lower: np.ndarray
    is_narrow = hides = False

    @classmethod
    def of(cls, scale: np.ndarray, correlation: np.ndarray) -> Self | None:
        """Return the factor of correlations; None if some direction is narrow."""
        lower, refused = linalg.lapack.dpotrf(correlation, lower=1)
        size = abs(correlation).sum(axis=0).max(initial=0.0)
        is_wide = not refused and size and linalg.lapack.dpocon(lower, size, uplo="L")[0] * size > WIDE
        return cls(scale, lower) if is_wide else None

    @property
    def n_directions(self) -> int:
        """The number of directions."""
        return len(self.scale)

    def without_dependent(self, dtype: np.dtype = DOUBLE) -> Self:
        """The geometry itself."""
        return self

    def has_dependent(self, dtype: np.dtype) -> bool:
        """There are none."""
        return False

    def with_floor(self, more: float) -> tuple[Directions, float]:
        """Return the geometry for steps with noise, and the mean squared norm of rows in it."""
        lower = np.tril(self.lower)
        return Directions.of(self.scale, lower @ lower.T).with_floor(more)

    def inverse(self) -> np.ndarray:
        """Return the inverse covariances."""
        half = np.tril(linalg.lapack.dpotri(self.lower, lower=1)[0])
        return (half + np.tril(half, -1).T) * np.outer(self.scale, self.scale)

    def root(self) -> np.ndarray:
        """Return the transposed inverse of the factor, in the units of the columns."""
        return self.scale[:, None] * linalg.lapack.dtrtri(self.lower, lower=1)[0].T

    def null_directions(self) -> np.ndarray:
        """There are none."""
        return np.empty((len(self.scale), 0))

    def apply(self, g: np.ndarray, rounding: float) -> np.ndarray:
        """Return the Newton step for a gradient, whose entries below ``rounding`` count as 0."""
        scaled = self.scale * g
        scaled = np.where(abs(scaled) > rounding, scaled, 0.0)
        return self.scale * linalg.cho_solve((self.lower, True), scaled, check_finite=False)


def one_over_roots(squares: np.ndarray, varies: np.ndarray) -> np.ndarray:
    """Return the scales of columns: one over the root of a square; 0 for a column that does not vary."""
    return np.where(varies, 1.0 / np.sqrt(np.where(varies, squares, 1.0)), 0.0)


def geometry_of(scale: np.ndarray, correlation: np.ndarray) -> Geometry:
    """Return the geometry of columns with these scales and correlations."""
    return WideGeometry.of(scale, correlation) or Directions.of(scale, correlation)
