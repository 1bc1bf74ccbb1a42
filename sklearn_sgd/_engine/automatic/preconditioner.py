"""The preconditioner of the automatic step: the inverse of the covariance of the columns, or of its diagonal.

In the coordinates in which the columns are uncorrelated and of variance one the objective is round, whatever the units,
offsets and correlations of the columns: a few epochs suffice. A step follows ``K g``, with the gradient g of the
centred columns and the preconditioner K, which maps those coordinates back to the user's units.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.statistics import ColumnStatistics
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._namespace import dtype_of, host, like, take, total

# Spread of a column, in units of its offset, that may be the rounding of sums: it does not vary then.
ROUNDING = 1e-12

# Directions whose variance is below this share of the largest are learned more slowly, in proportion, where steps have
# noise; without noise those below the other share, per column, are not: they are not told from rounding.
FLOOR, NULL = 1e-5, 2e-15

# Variance of a direction, in units of the floor, below which steps with noise come near to the minimum too slowly.
HIDDEN = 10.0

# The same where gradients within rounding are left out.
SMALLEST = 1e-21

# Growth of a column's variance that is news.
NEWS = 2.0

# Rows and iterations for the largest eigenvalue where covariances are not kept.
SAMPLE, POWERS = 10_000, 10


class Geometry(NamedTuple):
    """The directions in which columns are uncorrelated: scales of the columns, and variances along the directions.

    The floor that keeps noise small hides what is missing in narrow directions, by a share of v / (v + floor). Here
    there is none, so that what is missing to a minimum can be known.
    """

    scale: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @property
    def null(self) -> float:
        """The variance up to which a direction is not told from one that columns do not span."""
        return NULL * len(self.values) * max(float(self.values[-1]), 1.0)

    @property
    def is_narrow(self) -> bool:
        """Whether the products of columns, in their rounding, do not tell all directions well enough."""
        return bool(((self.values > self.null) & (self.values < 1e6 * self.null)).any())

    def inverse(self, shares: np.ndarray) -> np.ndarray:
        """The inverse of the covariances whose variances along the directions are these, null ones left out."""
        return (self.vectors / shares) @ self.vectors.T * np.outer(self.scale, self.scale)

    def apply(self, g: np.ndarray, rounding: float) -> np.ndarray:
        """The Newton step for a gradient, whose parts within ``rounding`` are 0.

        The variance along a null direction is not known, only that it is small; what is missing is not underrated.
        """
        along = self.vectors.T @ (self.scale * g)
        along = np.where(abs(along) > rounding, along, 0.0)
        shares = np.where(self.values > self.null, self.values, SMALLEST * max(float(self.values[-1]), 1.0))
        return self.scale * (self.vectors @ (along / shares))


class Preconditioner(NamedTuple):
    """The inverse of a covariance matrix (P, P), or of its diagonal (P,)."""

    inverse: np.ndarray

    @property
    def is_full(self) -> bool:
        """Whether it mixes the coefficients."""
        return self.inverse.ndim == 2

    def apply(self, g: np.ndarray) -> np.ndarray:
        """The direction of a gradient, the intercept apart."""
        return self.inverse @ g if self.is_full else self.inverse * g


class Step(NamedTuple):
    """All that the automatic step takes from the columns.

    Attributes
    ----------
    preconditioner : Preconditioner
        From gradients to directions.
    largest : float
        Largest eigenvalue of the covariance of the preconditioned columns.
    length : float
        Mean squared length of a preconditioned row, the intercept's one included.
    weight : float
        Weight of the rows that it was made of.
    variance : ndarray
        Variances of the columns then.
    news : ndarray
        Variances from which on a column varies by so much more that the step should be made anew.
    geometry : Geometry or None
        What the preconditioner was made of, if it mixes the coefficients and is of all rows.
    """

    preconditioner: Preconditioner
    largest: float
    length: float
    weight: float
    variance: np.ndarray
    news: np.ndarray
    geometry: Geometry | None = None

    @property
    def hides(self) -> bool:
        """Whether steps with noise hardly reach some direction that the columns have, for its floor."""
        if self.geometry is None:
            return False
        values, null = self.geometry.values, self.geometry.null
        return bool(((values > null) & (values < HIDDEN * FLOOR * values[-1])).any())


def make_step(statistics: ColumnStatistics, X, ridge: float, separable: bool, stream: bool, noise: bool = True) -> Step:
    """The step for columns: by covariances where they were measured, unless the penalty acts on single coordinates.

    ``ridge`` is the curvature of the penalty, in the user's units. A column that does not vary gets no direction. Early
    in a stream covariances are drawn towards variances, since rows to come will not lie where few rows lay.
    """
    covariance = statistics.moment / statistics.weight if statistics.weight else statistics.moment
    full = covariance.ndim == 2
    variance = np.maximum(covariance.diagonal() if full else covariance, 0.0)
    varies = variance > (ROUNDING * statistics.mean) ** 2
    scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, variance + ridge, 1.0)), 0.0)
    dtype, news = dtype_of(X), np.maximum(NEWS * variance, (ROUNDING * statistics.mean) ** 2)
    with np.errstate(over="ignore"):
        inverse = (scale * scale).astype(dtype)
    if not (np.isfinite(variance).all() and np.isfinite(inverse).all() and inverse[varies].all()):
        raise ValueError(
            f"X has columns whose squares, or one over them, are out of the range of {dtype}: scale them"
            + (", or give X as float64." if dtype == np.float32 else ".")
        )
    if not full or separable:
        largest = largest_eigenvalue(covariance, X, statistics.mean, scale) if varies.any() else 1.0
        return Step(Preconditioner(inverse), max(largest, 1.0), varies.sum() + 1.0, statistics.weight, variance, news)
    correlation = covariance * np.outer(scale, scale)
    np.fill_diagonal(correlation, np.where(varies, 1.0, 0.0))
    values, vectors = linalg.eigh(correlation)
    geometry = Geometry(scale, np.maximum(values, 0.0), vectors)
    values = geometry.values
    if noise:
        shares = values + FLOOR * max(values[-1], 1.0) + (len(values) / statistics.weight if stream else 0.0)
    else:
        shares = np.where(values > geometry.null, values, np.inf)
    length, inverse = float(np.sum(values / shares)) + 1.0, geometry.inverse(shares)
    preconditioner = Preconditioner(np.ascontiguousarray(inverse, dtype=dtype))
    return Step(preconditioner, 1.0, length, statistics.weight, variance, news, None if stream else geometry)


def largest_eigenvalue(covariance: np.ndarray, X, mean: np.ndarray, scale: np.ndarray) -> float:
    """Largest eigenvalue of the correlation matrix; by power iteration on rows of X where it is not at hand."""
    if covariance.ndim == 2:
        return float(linalg.eigvalsh(covariance * np.outer(scale, scale))[-1])
    if isinstance(X, RemoteRows):
        return X.largest_eigenvalue(covariance, mean, scale)
    X = take(X, slice(None, None, max(1, X.shape[0] // SAMPLE)))
    v, largest = np.where(scale > 0, 1.0, 0.0), 1.0
    # Not from a vector of ones alone, which may be orthogonal to what is sought.
    v += np.sin(np.arange(len(v)))
    for _ in range(POWERS):
        u = v * scale / np.linalg.norm(v)
        z = X @ like(u, X) - float(mean @ u)
        v = (host(X.T @ z) - mean * total(z)) * scale / X.shape[0]
        largest = float(np.linalg.norm(v))
        if not largest:
            return 1.0
    return largest
