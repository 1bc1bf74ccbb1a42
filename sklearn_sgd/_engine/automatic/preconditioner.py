"""The preconditioner of the automatic step: the inverse of the covariance of the columns, or of its diagonal.

In coordinates in which the columns are uncorrelated and have variance 1, the contours of the objective are circles,
for any units, offsets and correlations of the columns. So a few epochs suffice. A step is along ``K g``, with
the gradient g of the centred columns and the preconditioner K, which maps these coordinates back to the user's units.

If there are many sparse columns, those with gaps are scaled by the square of their entries (see `balance`; in streams
the mean square), and rare ones learn more slowly. The inverse variance would give very long steps to rare columns,
which learn mostly noise from few rows.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, sparse

from sklearn_sgd._engine.automatic.around_zero import AroundZero
from sklearn_sgd._engine.automatic.credibility import KNOWN, KNOWN_EXACTLY, WIDENING, mean_length, share_of_rows
from sklearn_sgd._engine.automatic.geometry import Directions, Geometry, geometry_of, one_over_roots
from sklearn_sgd._engine.automatic.lanczos import largest_by_lanczos
from sklearn_sgd._engine.automatic.on_device import largest_eigenvalue_on_device
from sklearn_sgd._engine.automatic.statistics import (
    FULL,
    ROUNDING,
    TYPICAL,
    ColumnStatistics,
    about_zero,
    has_widened,
    is_varying,
    usual_gain,
)
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._engine.vectors import Vectors
from sklearn_sgd._namespace import doubled, dtype_of, is_foreign, take, total

# Number of rows, also where the minimum is known, entries of sparse rows, and iterations for the largest eigenvalue, if
# there are no covariances.
SAMPLE, SMALL_SAMPLE, SAMPLE_ENTRIES, POWERS = 10_000, 1000, 100_000, 10

# Number of rows per filled column for the covariances of filled columns among sparse ones.
ROWS = 50

# Rows for each column up to which a stream is young: means and covariances do not show yet what moves predictions far
# from 0.
YOUNG = 10.0


class Counted(NamedTuple):
    """The rows of X that count: all, or those ``kept``; ``weight`` has a number for each row of X, or none at all."""

    X: Any
    kept: np.ndarray | None = None
    weight: Any = np.empty(0)

    def some(self, number: int) -> tuple[Any, Any]:
        """Return about ``number`` of them, evenly spaced, and their weights."""
        if isinstance(self.X, RemoteRows):
            return self.X.some(number, self.weight)
        n_rows = self.X.shape[0] if self.kept is None else len(self.kept)
        every: Any = slice(None, None, max(1, n_rows // number))
        if self.kept is not None:
            every = self.kept[every]
        X = take(self.X, every)
        return X, doubled(take(self.weight, every)) if self.weight.shape[0] else np.ones(X.shape[0])


class Preconditioner(NamedTuple):
    """The inverse of a covariance matrix (P, P), or of its diagonal (P,).

    For sparse rows with many columns it is diagonal, except for the ``filled`` columns, which have their own
    preconditioner ``shared`` of shape (F, F) or (F,). ``inverse`` is 1 there. The scale of a column without new entries
    stays in proportion to ``unit``. Full batches multiply gradients by the product of a ``factor`` and its transpose
    where the inverse lacks digits.
    """

    inverse: np.ndarray
    filled: np.ndarray | None = None
    shared: np.ndarray | None = None
    unit: float = 1.0
    factor: np.ndarray | None = None

    @property
    def is_full(self) -> bool:
        """Whether the preconditioner is a matrix that combines coefficients."""
        return self.inverse.ndim == 2 or (self.shared is not None and self.shared.ndim == 2)

    @property
    def apart(self) -> np.ndarray:
        """The inverse, if all columns have the same kind; else the diagonal only."""
        return self.inverse if self.filled is None else self.diagonal

    @property
    def diagonal(self) -> np.ndarray:
        """The diagonal only."""
        if self.filled is None or self.shared is None:
            return self.inverse.diagonal() if self.is_full else self.inverse
        diagonal = self.inverse.copy()
        diagonal[self.filled] = self.shared.diagonal() if self.shared.ndim == 2 else self.shared
        return diagonal

    def apply(self, g: np.ndarray) -> np.ndarray:
        """Return the direction for a gradient, without the intercept."""
        if self.factor is not None:
            return self.factor @ (self.factor.T @ g)
        if self.inverse.ndim == 2:
            return self.inverse @ g
        d = self.inverse * g
        if self.filled is not None and self.shared is not None:
            d[self.filled] = self.shared @ g[self.filled] if self.shared.ndim == 2 else self.shared * g[self.filled]
        return d

    def with_intercept(self, g: np.ndarray) -> np.ndarray:
        """Return the direction for a gradient whose last entry is that of the intercept, which has the unit 1."""
        return np.append(self.apply(g[:-1]), g[-1])


class Step(NamedTuple):
    """The values that the automatic step derives from the columns.

    Attributes
    ----------
    preconditioner : Preconditioner
        The map from gradients to directions.
    largest : float
        Largest eigenvalue of the covariance of the preconditioned columns.
    length : float
        Mean squared norm of a preconditioned row, including the intercept.
    weight : float
        Weight of the rows from which the step was computed.
    variance : ndarray
        Variances of the columns at that time.
    most_variance : ndarray
        Variances from which the step should be computed again, because the column varies by much more.
    geometry : Geometry or None
        The source of the preconditioner, if it is a full matrix from all rows.
    shares : ndarray or None
        For sparse rows with many columns, the curvatures of the preconditioned columns, at most 1.
    """

    preconditioner: Preconditioner
    largest: float
    length: float
    weight: float
    variance: np.ndarray
    most_variance: np.ndarray
    geometry: Geometry | None = None
    shares: np.ndarray | None = None

    def without_geometry(self) -> "Step":
        """Return the step without what only full batches and final steps need."""
        known = self.preconditioner
        return self._replace(
            geometry=None, preconditioner=known if known.factor is None else known._replace(factor=None)
        )

    def still_holds(self, known: ColumnStatistics, merged: ColumnStatistics, n_columns: int) -> bool:
        """Return whether the step is still valid for dense columns after new rows, as in most small calls."""
        return (
            merged.counts is None
            and self.shares is None
            and not has_widened(known, merged, self.most_variance, n_columns)
        )

    def merged(
        self, add_moments: Callable, known: ColumnStatistics, weight: float, vectors: Vectors, *new: Any
    ) -> ColumnStatistics | None:
        """Return the statistics of all rows, by a driver, if the step is still valid for them; else None.

        Then the vectors are changed, too: the intercepts move with the means. The driver makes in one call what
        `merge`, `still_holds` and ``State.recentre`` make in many, which take longer than a step on a row. ``new`` are
        its arguments for the new rows, which have this ``weight``.
        """
        k, total = len(known.mean), known.weight + weight
        if known.moment.ndim != 2 or self.shares is not None:
            return None
        mean, moment = np.empty(k), np.empty((k, k))
        before = self.most_variance, np.ascontiguousarray(known.mean), np.ascontiguousarray(known.moment)
        numbers = k, len(self.most_variance), known.weight, total, usual_gain(known.weight, total)
        widened = add_moments(*numbers, *before, *new, mean, moment, vectors.coef, vectors.average)
        return None if widened else ColumnStatistics(total, mean, moment, None, known.left_out, known.sampled)

    @property
    def is_filled(self) -> np.ndarray:
        """Whether each column is filled, for sparse rows with many columns."""
        filled = self.preconditioner.filled
        return np.isin(np.arange(len(self.variance)), () if filled is None else filled)

    @property
    def hides(self) -> bool:
        """Whether noisy steps converge too slowly along some direction, because of the floor."""
        return self.geometry is not None and self.geometry.hides


def make_step(
    statistics: ColumnStatistics,
    rows: Counted,
    ridge: float,
    separable: bool,
    stream: bool,
    noise: bool = True,
    known: Step | None = None,
    follows: bool = False,
    is_found: bool = False,
    has_intercept: bool = True,
    momentum: bool = False,
) -> Step:
    """Return the step for columns: by covariances, if known, unless the penalty acts on single coordinates.

    ``ridge`` is the curvature of the penalty, in the user's units. A column that does not vary gets no direction. Early
    in a stream covariances are shrunk towards variances, because later rows may lie in other directions than the
    first. ``known`` is an earlier step for sparse columns, of which the largest eigenvalue and correlations may
    still be used. Steps without noise leave out directions of nearly dependent columns, unless the descent
    ``follows`` these. If the minimum ``is_found`` before the descent, its rate may be rough.
    A model without intercept depends on products about 0. Steps with ``momentum`` on sparse rows must not be too long.
    """
    about_means = None if has_intercept else statistics
    statistics = statistics if has_intercept else about_zero(statistics)
    covariance = statistics.moment / statistics.weight if statistics.weight else statistics.moment
    full, by_entries = covariance.ndim == 2, statistics.counts is not None
    variance = np.maximum(covariance.diagonal() if full else covariance, 0.0)
    squares, curvatures = variance, np.ones(len(variance))
    if by_entries:
        squares, curvatures = _of_entries(statistics, variance, KNOWN if noise or momentum else KNOWN_EXACTLY)
    varies = is_varying(squares, statistics.centre)
    scale = one_over_roots(squares + (0.0 if by_entries else ridge), varies)
    dtype, most_variance = dtype_of(rows.X), np.maximum(WIDENING * variance, (ROUNDING * statistics.mean) ** 2)
    with np.errstate(over="ignore"):
        inverse = (scale * scale).astype(dtype)
    _check_range(statistics, squares, inverse, varies)
    if not full or separable:
        largest = known.largest if known else 1.0
        # Without noise one step leads to a minimum that is found, and needs no rate. Steps with momentum need a bound.
        if not (known or (is_found and not noise) or (by_entries and momentum)) and varies.any():
            number = SMALL_SAMPLE if is_found else SAMPLE
            largest = largest_eigenvalue(covariance, rows, statistics.centre, scale, number)
        step = Step(
            Preconditioner(inverse), max(largest, 1.0), varies.sum() + 1.0, statistics.weight, variance, most_variance
        )
        if not by_entries:
            return step
        step = _for_entries(step, statistics, scale, curvatures, None if separable else rows, known)
        if not momentum or known:
            return step
        return step._replace(largest=_largest_of_entries(rows, step.preconditioner, statistics.centre, has_intercept))
    correlation = covariance * np.outer(scale, scale)
    np.fill_diagonal(correlation, np.where(varies, 1.0, 0.0))
    knows_means = not stream or statistics.weight > YOUNG * len(scale)
    around_zero = AroundZero.of(about_means, ridge) if about_means and knows_means else None
    if noise:
        found: Geometry = Directions.of(scale, correlation)
        geometry, more = _known_to_rounding(found, around_zero), len(scale) / statistics.weight if stream else 0.0
        used = around_zero if around_zero and around_zero.is_matrix(dtype) else found
        kept, length = used.with_floor(more)
        inverse, factor = kept.inverse(), None
    else:
        geometry = _known_to_rounding(geometry_of(scale, correlation), around_zero)
        kept = geometry if follows else geometry.without_dependent(dtype)
        length, inverse, factor = float(kept.n_directions), kept.inverse(), kept.factor()
    factor = None if factor is None else factor.astype(dtype)
    preconditioner = Preconditioner(np.ascontiguousarray(inverse, dtype=dtype), factor=factor)
    known_to = None if stream else geometry
    return Step(preconditioner, 1.0, length + 1.0, statistics.weight, variance, most_variance, known_to)


def _known_to_rounding(geometry: Geometry, around_zero: AroundZero | None) -> Geometry:
    """Return the geometry; by statistics about the means, where products about 0 lack digits of some directions."""
    lacks_some = geometry.is_narrow or geometry.without_dependent().n_directions < len(geometry.scale)
    return around_zero if around_zero and lacks_some else geometry


def _check_range(statistics: ColumnStatistics, squares: np.ndarray, inverse: np.ndarray, varies: np.ndarray) -> None:
    """Raise an error if squares of columns, or their inverses in the precision of X, are out of range."""
    # Squares of tiny numbers are 0, as if the column did not vary.
    is_tiny = bool(((statistics.mean != 0.0) & (statistics.mean**2 == 0.0) & ~varies).any())
    if is_tiny or not (np.isfinite(squares).all() and np.isfinite(inverse).all() and inverse[varies].all()):
        raise ValueError(
            f"X has columns whose squares, or one over them, are out of the range of {inverse.dtype}: scale them"
            + (", or give X as float64." if inverse.dtype == np.float32 else ".")
        )


def _of_entries(statistics: ColumnStatistics, variance: np.ndarray, known: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the squares that scale columns, and their curvatures in these units; ``known`` as in `share_of_rows`."""
    assert statistics.counts is not None
    shares = share_of_rows(statistics.counts, statistics.weight, known)
    squares = np.where(statistics.filled, variance, np.maximum(statistics.entry_square, 0.0) * shares)
    return squares, np.where(statistics.filled, 1.0, statistics.counts / max(statistics.weight, 1e-300) / shares)


def _for_entries(
    step: Step,
    statistics: ColumnStatistics,
    scale: np.ndarray,
    curvatures: np.ndarray,
    rows: Counted | None,
    known: Step | None,
) -> Step:
    """Return the step for sparse rows with many columns, from the diagonal one; without rows it stays diagonal."""
    shares = curvatures * (scale > 0.0)
    filled, inverse = np.flatnonzero(statistics.filled), step.preconditioner.inverse
    shared = inverse[filled]
    inverse[filled] = 1.0
    if rows is not None and 1 < len(filled) <= FULL:
        before = known.preconditioner if known else None
        if before is None:
            shared = _of_filled(rows, filled, statistics.mean[filled], scale[filled]).astype(shared.dtype)
        elif before.filled is not None and before.shared is not None and np.array_equal(before.filled, filled):
            shared = before.shared
    # A column that is new to a stream is a part of the next step, so it does not renew this one.
    most_variance = np.full(len(shares), np.inf)
    length = float(shares.sum()) + mean_length(statistics.left_out, statistics.weight)
    preconditioner = Preconditioner(inverse, filled, shared, statistics.weight + KNOWN)
    return step._replace(preconditioner=preconditioner, length=length, most_variance=most_variance, shares=shares)


def _of_filled(counted: Counted, filled: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the preconditioner of filled columns among sparse ones: the inverse of their covariances in some rows.

    If there are few rows, the correlations are shrunk towards 0.
    """
    number = min(SAMPLE, max(TYPICAL, ROWS * len(filled)))
    X, weight = counted.some(number)
    n, p = X.shape[0], len(filled)
    Z = (X[:, filled].toarray() - mean) * scale
    correlation = Z.T @ (weight[:, None] * Z) / total(weight)
    np.fill_diagonal(correlation, np.where(scale > 0.0, 1.0, 0.0))
    found = Directions.of(scale, correlation)
    return np.ascontiguousarray(found.with_floor(p / n)[0].inverse() * (1.0 + p / n))


def _largest_of_entries(
    counted: Counted, preconditioner: Preconditioner, centre: np.ndarray, has_intercept: bool
) -> float:
    """Return the largest eigenvalue for all sparse rows, with their filled columns and the intercept."""
    if isinstance(remote := counted.X, RemoteRows):
        along = partial(remote.with_intercept(has_intercept).mean_along, centre)
        return largest_by_lanczos(along(), preconditioner.with_intercept, along) or 1.0
    X, weight = counted.some(counted.X.shape[0])
    shares, bias = weight / total(weight), float(has_intercept)

    def gradient(slopes: np.ndarray) -> np.ndarray:
        z = shares * slopes
        return np.append(X.T @ z - centre * total(z), bias * total(z))

    def bend(d: np.ndarray) -> np.ndarray:
        count_rows(X.shape[0])
        return gradient(X @ d[:-1] - centre @ d[:-1] + bias * d[-1])

    return largest_by_lanczos(gradient(1.0 + np.sin(np.arange(X.shape[0]))), preconditioner.with_intercept, bend) or 1.0


def largest_eigenvalue(
    covariance: np.ndarray, counted: Counted, mean: np.ndarray, scale: np.ndarray, number: int = SAMPLE
) -> float:
    """Return the largest eigenvalue of the correlation matrix; by power iteration on X if the matrix is unknown."""
    X = counted.X
    if covariance.ndim == 2:
        return float(linalg.eigvalsh(covariance * np.outer(scale, scale))[-1])
    if isinstance(X, RemoteRows):
        return X.largest_eigenvalue(covariance, mean, scale, counted.weight)
    if sparse.issparse(X):
        number = max(1, min(SAMPLE, SAMPLE_ENTRIES * X.shape[0] // (X.nnz + 1)))
    X, weight = counted.some(number)
    # Columns without entries do not matter. A vector of ones could be orthogonal to the eigenvector.
    z, largest = 1.0 + np.sin(np.arange(X.shape[0])), 1.0
    if is_foreign(X):
        return largest_eigenvalue_on_device(X, weight, mean, scale, z, POWERS + 1) or 1.0
    shares = (weight / total(weight)).astype(X.dtype)
    z, columns, squares = shares * z.astype(X.dtype, copy=False), X.T, scale * scale
    for power in range(POWERS + 1):
        v = doubled(columns @ z) - mean * total(z)
        u = squares * v
        before, largest = largest, float(v @ u) ** 0.5
        if not largest:
            return 1.0
        if power > 1 and largest <= before:
            break  # Estimates rise until they are exact to rounding; those of a single row are soon.
        u /= largest
        z = shares * (X @ u.astype(X.dtype, copy=False) - X.dtype.type(mean @ u))
    return largest
