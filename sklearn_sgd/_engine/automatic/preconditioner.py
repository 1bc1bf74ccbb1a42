"""The preconditioner of the automatic step: the inverse of the covariance of the columns, or of its diagonal.

In the coordinates in which the columns are uncorrelated and of variance one the objective is round, whatever the units,
offsets and correlations of the columns: a few epochs suffice. A step follows ``K g``, with the gradient g of the
centred columns and the preconditioner K, which maps those coordinates back to the user's units.

Of many sparse columns, those with gaps are in units of their entries that are not 0, and rare ones learn more slowly
than others: one over its variance would give a column a step as long as it is rare, and what it learns from a few rows
is mostly noise.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from sklearn_sgd._engine.automatic.entries import KNOWN, KNOWN_EXACTLY, NEWS, mean_length, share_of_rows
from sklearn_sgd._engine.automatic.on_device import largest_eigenvalue_there
from sklearn_sgd._engine.automatic.statistics import FULL, TYPICAL, ColumnStatistics
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._namespace import dtype_of, is_foreign, take, total

# Spread of a column, in units of its offset, that may be the rounding of sums: it does not vary then.
ROUNDING = 1e-12

# Directions whose variance is below this share of the largest are learned more slowly, in proportion, where steps have
# noise; without noise those below the other share, per column, are not: they are not told from rounding.
FLOOR, NULL = 1e-5, 2e-15

# The same, in units of that, up to which covariances do not tell directions well enough, for their rounding.
NARROW = 1e6

# Variance of a direction, in units of the largest, below which columns are nearly linear combinations of each other:
# coefficients along it are of differences of less than 1e-5 of their spread, and new rows may differ by far more.
DEPENDENT = 1e-10

# The same in units of the precision of the inverse, of which such a direction leaves little along all others.
PRECISE = 0.1

# Variance of a direction, in units of the floor, below which steps with noise come near to the minimum too slowly.
HIDDEN = 10.0

# The same where gradients within rounding are left out.
SMALLEST = 1e-21

DOUBLE = np.dtype(np.float64)

# Rows, entries of sparse ones, and iterations for the largest eigenvalue where covariances are not kept.
SAMPLE, SAMPLE_ENTRIES, POWERS = 10_000, 100_000, 10

# Rows for each filled column among sparse ones, for their covariances.
ROWS = 50


class Geometry(NamedTuple):
    """The directions in which columns are uncorrelated: scales of the columns, and variances along the directions.

    The floor that keeps noise small hides what is missing in narrow directions, by a share of v / (v + floor). Here
    there is none, so that what is missing to a minimum can be known.
    """

    scale: np.ndarray
    values: np.ndarray
    vectors: np.ndarray

    @property
    def largest(self) -> float:
        """The largest variance, or that of a column; of no direction, too."""
        return float(np.max(self.values, initial=1.0))

    @property
    def null(self) -> float:
        """The variance up to which a direction is not told from one that columns do not span."""
        return NULL * len(self.values) * self.largest

    @property
    def is_narrow(self) -> bool:
        """Whether the products of columns, in their rounding, do not tell all directions well enough."""
        return bool(((self.values > self.null) & (self.values < NARROW * self.null)).any())

    def dependent(self, dtype: np.dtype = DOUBLE) -> float:
        """The variance up to which a direction is one of nearly dependent columns, to steps of this precision."""
        return max(self.null, max(DEPENDENT, PRECISE * float(np.finfo(dtype).eps)) * self.largest)

    def without_dependent(self, dtype: np.dtype = DOUBLE) -> "Geometry":
        """The directions along which columns are no linear combinations of each other, nor nearly so."""
        wide = self.values > self.dependent(dtype)
        return self if wide.all() else Geometry(self.scale, self.values[wide], self.vectors[:, wide])

    def hidden(self, g: np.ndarray, rounding: float, dtype: np.dtype) -> float:
        """What is missing to the minimum along the other directions, by a gradient."""
        return 0.5 * float(g @ (self.apply(g, rounding) - self.without_dependent(dtype).apply(g, rounding)))

    def inverse(self, shares: np.ndarray) -> np.ndarray:
        """The inverse of the covariances whose variances along the directions are these, null ones left out."""
        return (self.vectors / shares) @ self.vectors.T * np.outer(self.scale, self.scale)

    def apply(self, g: np.ndarray, rounding: float) -> np.ndarray:
        """The Newton step for a gradient, whose parts within ``rounding`` are 0.

        The variance along a null direction is not known, only that it is small; what is missing is not underrated.
        """
        along = self.vectors.T @ (self.scale * g)
        along = np.where(abs(along) > rounding, along, 0.0)
        shares = np.where(self.values > self.null, self.values, SMALLEST * self.largest)
        return self.scale * (self.vectors @ (along / shares))


class Preconditioner(NamedTuple):
    """The inverse of a covariance matrix (P, P), or of its diagonal (P,).

    Of sparse rows of many columns it is diagonal but for the ``filled`` columns, which have a preconditioner of their
    own, ``shared``: (F, F) or (F,). ``inverse`` is 1 there. The scale of a column without new entries stays in
    proportion to the ``unit``.
    """

    inverse: np.ndarray
    filled: np.ndarray | None = None
    shared: np.ndarray | None = None
    unit: float = 1.0

    @property
    def is_full(self) -> bool:
        """Whether it mixes the coefficients."""
        return self.inverse.ndim == 2 or (self.shared is not None and self.shared.ndim == 2)

    @property
    def apart(self) -> np.ndarray:
        """The inverse, where all columns have the same kind of it; else the diagonal alone."""
        return self.inverse if self.filled is None else self.diagonal

    @property
    def diagonal(self) -> np.ndarray:
        """The diagonal alone."""
        if self.filled is None or self.shared is None:
            return self.inverse.diagonal() if self.is_full else self.inverse
        diagonal = self.inverse.copy()
        diagonal[self.filled] = self.shared.diagonal() if self.shared.ndim == 2 else self.shared
        return diagonal

    def apply(self, g: np.ndarray) -> np.ndarray:
        """The direction of a gradient, the intercept apart."""
        if self.inverse.ndim == 2:
            return self.inverse @ g
        d = self.inverse * g
        if self.filled is not None and self.shared is not None:
            d[self.filled] = self.shared @ g[self.filled] if self.shared.ndim == 2 else self.shared * g[self.filled]
        return d


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
    shares : ndarray or None
        Of sparse rows of many columns, the curvatures of the preconditioned columns, at most 1.
    """

    preconditioner: Preconditioner
    largest: float
    length: float
    weight: float
    variance: np.ndarray
    news: np.ndarray
    geometry: Geometry | None = None
    shares: np.ndarray | None = None

    @property
    def is_filled(self) -> np.ndarray:
        """Whether a column is filled, among sparse ones."""
        filled = self.preconditioner.filled
        return np.isin(np.arange(len(self.variance)), () if filled is None else filled)

    @property
    def hides(self) -> bool:
        """Whether steps with noise hardly reach some direction that the columns have, for its floor."""
        if self.geometry is None:
            return False
        values, null = self.geometry.values, self.geometry.null
        return bool(((values > null) & (values < HIDDEN * FLOOR * values[-1])).any())


def is_varying(variance: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Whether columns vary by more than the rounding of sums."""
    return variance > (ROUNDING * centre) ** 2


def make_step(
    statistics: ColumnStatistics,
    X,
    ridge: float,
    separable: bool,
    stream: bool,
    noise: bool = True,
    known: Step | None = None,
    follows: bool = False,
) -> Step:
    """The step for columns: by covariances where they were measured, unless the penalty acts on single coordinates.

    ``ridge`` is the curvature of the penalty, in the user's units. A column that does not vary gets no direction. Early
    in a stream covariances are drawn towards variances, since rows to come will not lie where few rows lay. ``known``
    is an earlier step for sparse columns, of which the largest eigenvalue and correlations may still be used. Steps
    without noise leave out directions of nearly dependent columns, unless the descent ``follows`` these.
    """
    covariance = statistics.moment / statistics.weight if statistics.weight else statistics.moment
    full, by_entries = covariance.ndim == 2, statistics.counts is not None
    variance = np.maximum(covariance.diagonal() if full else covariance, 0.0)
    squares, curvatures = variance, np.ones(len(variance))
    if statistics.counts is not None:
        known_half = KNOWN if noise else KNOWN_EXACTLY
        shares = share_of_rows(statistics.counts, statistics.weight, known_half)
        squares = np.where(statistics.filled, variance, np.maximum(statistics.entry_square, 0.0) * shares)
        curvatures = np.where(statistics.filled, 1.0, statistics.counts / max(statistics.weight, 1e-300) / shares)
    varies = is_varying(squares, statistics.centre)
    scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, squares + (0.0 if by_entries else ridge), 1.0)), 0.0)
    dtype, news = dtype_of(X), np.maximum(NEWS * variance, (ROUNDING * statistics.mean) ** 2)
    with np.errstate(over="ignore"):
        inverse = (scale * scale).astype(dtype)
    if not (np.isfinite(squares).all() and np.isfinite(inverse).all() and inverse[varies].all()):
        raise ValueError(
            f"X has columns whose squares, or one over them, are out of the range of {dtype}: scale them"
            + (", or give X as float64." if dtype == np.float32 else ".")
        )
    if not full or separable:
        largest = known.largest if known else 1.0
        # Known minima need no rate.
        if not known and varies.any() and not (statistics.sampled and not noise):
            largest = largest_eigenvalue(covariance, X, statistics.centre, scale)
        step = Step(Preconditioner(inverse), max(largest, 1.0), varies.sum() + 1.0, statistics.weight, variance, news)
        if not by_entries:
            return step
        return _for_entries(step, statistics, scale, curvatures, None if separable else X, known)
    correlation = covariance * np.outer(scale, scale)
    np.fill_diagonal(correlation, np.where(varies, 1.0, 0.0))
    values, vectors = linalg.eigh(correlation)
    geometry = Geometry(scale, np.maximum(values, 0.0), vectors)
    values = geometry.values
    if noise:
        shares = values + FLOOR * max(values[-1], 1.0) + (len(values) / statistics.weight if stream else 0.0)
    else:
        shares = np.where(values > (geometry.null if follows else geometry.dependent(dtype)), values, np.inf)
    length, inverse = float(np.sum(values / shares)) + 1.0, geometry.inverse(shares)
    preconditioner = Preconditioner(np.ascontiguousarray(inverse, dtype=dtype))
    return Step(preconditioner, 1.0, length, statistics.weight, variance, news, None if stream else geometry)


def _for_entries(
    step: Step, statistics: ColumnStatistics, scale: np.ndarray, curvatures: np.ndarray, X, known: Step | None
) -> Step:
    """The step for sparse rows of many columns, from that by the diagonal; without X the filled ones have one, too."""
    shares = curvatures * (scale > 0.0)
    filled, inverse = np.flatnonzero(statistics.filled), step.preconditioner.inverse
    shared = inverse[filled]
    inverse[filled] = 1.0
    if X is not None and not isinstance(X, RemoteRows) and 1 < len(filled) <= FULL:
        before = known.preconditioner if known else None
        if before is None:
            shared = _of_filled(X, filled, statistics.mean[filled], scale[filled]).astype(shared.dtype)
        elif before.filled is not None and before.shared is not None and np.array_equal(before.filled, filled):
            shared = before.shared
    # A column that is new to a stream is in the next step, so there is no news.
    news = np.full(len(shares), np.inf)
    length = float(shares.sum()) + mean_length(statistics.left_out, statistics.weight)
    preconditioner = Preconditioner(inverse, filled, shared, statistics.weight + KNOWN)
    return step._replace(preconditioner=preconditioner, length=length, news=news, shares=shares)


def _of_filled(X, filled: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The preconditioner of filled columns among sparse ones: the inverse of their covariances in some rows.

    Their correlations are drawn towards none where rows are few.
    """
    number = min(SAMPLE, max(TYPICAL, ROWS * len(filled)))
    rows = take(X, slice(None, None, max(1, X.shape[0] // number)))[:, filled].toarray()
    n, p = rows.shape
    Z = (rows - mean) * scale
    correlation = Z.T @ Z / n
    np.fill_diagonal(correlation, np.where(scale > 0.0, 1.0, 0.0))
    values, vectors = linalg.eigh(correlation)
    values = np.maximum(values, 0.0)
    shares = (values + FLOOR * max(values[-1], 1.0) + p / n) / (1.0 + p / n)
    return np.ascontiguousarray(Geometry(scale, values, vectors).inverse(shares))


def largest_eigenvalue(covariance: np.ndarray, X, mean: np.ndarray, scale: np.ndarray) -> float:
    """Largest eigenvalue of the correlation matrix; by power iteration on rows of X where it is not at hand."""
    if covariance.ndim == 2:
        return float(linalg.eigvalsh(covariance * np.outer(scale, scale))[-1])
    if isinstance(X, RemoteRows):
        return X.largest_eigenvalue(covariance, mean, scale)
    rows = max(1, min(SAMPLE, SAMPLE_ENTRIES * X.shape[0] // (X.nnz + 1))) if sparse.issparse(X) else SAMPLE
    X = take(X, slice(None, None, max(1, X.shape[0] // rows)))
    # Columns without entries make no difference. Ones alone may be orthogonal to what is sought.
    z, largest = 1.0 + np.sin(np.arange(X.shape[0])), 1.0
    if is_foreign(X):
        return largest_eigenvalue_there(X, mean, scale, z, POWERS + 1) or 1.0
    z = z.astype(X.dtype, copy=False)
    for _ in range(POWERS + 1):
        v = (X.T @ z - mean * total(z)) * scale / X.shape[0]
        largest = float(np.linalg.norm(v))
        if not largest:
            return 1.0
        u = v * scale / largest
        z = X @ u.astype(X.dtype, copy=False) - float(mean @ u)
    return largest
