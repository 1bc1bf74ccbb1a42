"""The automatic step: the geometry of the columns, and how far to go in it.

Gradient descent in the coordinates in which the columns are uncorrelated and of variance one, mapped back to the user's
units: a step follows ``K g``, with the gradient g of the centred columns and the inverse K of their covariance (where
there are many columns, of its diagonal). There the objective is round, whatever the units, offsets and correlations of
the columns; a few epochs suffice, and the length of a step follows from the number of columns and the batch size.
The bound that no batch may break is in the kernel, where the batch is.

References
----------
R. M. Gower et al., "SGD: general analysis and improved rates", ICML 2019: the base rate for a batch size.
T. F. Chan, G. H. Golub and R. J. LeVeque, "Algorithms for computing the sample variance", American Statistician 37,
1983: the merge of column statistics.
O. Shamir and T. Zhang, "Stochastic gradient descent for non-smooth optimization", ICML 2013: the average with
polynomial decay.
"""

from typing import NamedTuple

import numpy as np
from scipy import linalg, sparse

from sklearn_sgd._engine.namespace import (
    asked_of_rows,
    doubled,
    dtype_of,
    host,
    is_foreign,
    like,
    namespace,
    take,
    total,
)

# Columns up to which covariances are kept, not only variances; multiplications to spend on them; rows, or entries, of a
# block at least.
FULL, BUDGET, BLOCK, ENTRIES = 400, 2e10, 2048, 1 << 17

# Squared offset of a column, in units of its variance, up to which it is subtracted from sums instead of entries.
NEAR = 100.0

# Spread of a column, in units of its offset, that may be the rounding of sums: it does not vary then.
ROUNDING = 1e-12

# Directions whose variance is below this share of the largest are learned more slowly, in proportion.
FLOOR = 1e-5

# Exponent of the average: an update's share grows with this power of its number.
DECAY = 3.0

# The rate starts to fall when it has forgotten the start this many times over.
MEMORIES = 10.0

# Rows over which the curvature of the loss is remembered; attempts to shorten a step before it is left out.
MEMORY, TRIES = 1000.0, 60

# Geometry is made anew when a stream has grown by this share.
GROWTH = 0.1

# Rows and iterations for the largest eigenvalue where covariances are not kept.
SAMPLE, POWERS = 10_000, 10


class Columns(NamedTuple):
    """Weighted statistics of columns: total weight, means, and sums of centred squares (P,) or products (P, P)."""

    weight: float
    mean: np.ndarray
    moment: np.ndarray


class Diagonal(NamedTuple):
    """Geometry of variances alone."""

    inverse: np.ndarray

    def direct(self, g, d):
        """Write the direction of a gradient."""
        p = self.inverse.shape[0]
        for j in range(p):
            d[j] = self.inverse[j] * g[j]
        d[p] = g[p]

    def rate(self, j):
        """What the step length is multiplied by for coordinate j."""
        return self.inverse[j]


class Full(NamedTuple):
    """Geometry of covariances."""

    inverse: np.ndarray

    def direct(self, g, d):
        """Write the direction of a gradient: rows of the inverse, which is symmetric, four at a time."""
        p = self.inverse.shape[0]
        for j in range(p):
            d[j] = 0.0
        for i in range(0, p - 3, 4):
            a, b, c, e = g[i], g[i + 1], g[i + 2], g[i + 3]
            for j in range(p):
                d[j] += (
                    a * self.inverse[i, j]
                    + b * self.inverse[i + 1, j]
                    + c * self.inverse[i + 2, j]
                    + e * self.inverse[i + 3, j]
                )
        for i in range(p // 4 * 4, p):
            a = g[i]
            for j in range(p):
                d[j] += a * self.inverse[i, j]
        d[p] = g[p]

    def rate(self, j):
        """Not one number; but no proximal step is taken in this geometry."""
        return self.inverse[j, j]


def affordable(n_rows: int, n_columns: int) -> bool:
    """Whether covariances are kept, and measured on all rows."""
    return n_columns <= FULL and n_rows * n_columns**2 < 2 * BUDGET


@asked_of_rows
def measure(X, kept: np.ndarray | None, weight: np.ndarray, centred: bool, y: np.ndarray | None = None) -> Columns:
    """Statistics of the columns of a matrix and of targets, all rows or those kept; no weights: all 1."""
    n, p = X.shape if kept is None else (len(kept), X.shape[1])
    full = p <= FULL
    size = max(1, int(8 * BLOCK * X.shape[0] / (X.nnz + 1))) if sparse.issparse(X) else max(BLOCK, ENTRIES // (p + 1))
    columns, near = None, True
    # Evenly spaced blocks where all would cost too much.
    for start in range(0, n, size * (max(1, int(n * p * p / BUDGET)) if full else 1)):
        rows = slice(start, min(start + size, n)) if kept is None else kept[start : start + size]
        block, target = take(X, rows), None if y is None else doubled(take(y, rows))
        s = doubled(take(weight, rows)) if weight.shape[0] else None
        if sparse.issparse(X):
            block = block if target is None else sparse.hstack([block, target])
            new = _measure_sparse(block, np.ones(block.shape[0]) if s is None else s, full, centred)
        else:
            new, near = _measure_dense(block, s, full, centred, target, near)
        columns = new if columns is None else merge(columns, new)
    assert columns is not None
    return columns


def merge(a: Columns, b: Columns) -> Columns:
    """Statistics of the rows of both."""
    weight = a.weight + b.weight
    if not weight:
        return a
    delta, share = b.mean - a.mean, b.weight / weight
    moment = (a.weight * share * delta)[:, None] * delta if a.moment.ndim == 2 else a.weight * share * delta * delta
    moment += a.moment
    moment += b.moment
    return Columns(weight, a.mean + share * delta, moment)


def _measure_dense(X, s, full: bool, centred: bool, y, near: bool):
    """Statistics of a few rows of an array, and whether these are near enough to 0 to be centred afterwards.

    To subtract the mean from sums, not entries, spares a copy, and is as good while spreads are not lost in offsets.
    """
    if X.shape[0] == 1 and centred and y is None:
        row = doubled(host(X)[0])
        return Columns(1.0 if s is None else float(s[0]), row, np.zeros((len(row),) * (1 + full))), near
    xp = namespace(X)
    ones, weight = doubled(xp.ones_like(X[:, 0])) if s is None else s, X.shape[0] * 1.0 if s is None else total(s)
    root = None if s is None or bool(xp.all(s == 1.0)) else xp.sqrt(s)[:, None]
    Z = doubled(X)
    mean = means(Z, ones, weight) if centred else np.zeros(X.shape[1])
    if not near:
        Z = Z - like(mean, Z)
    if root is not None:
        Z = Z * root
    moment = host(Z.T @ Z if full else np.einsum("ij,ij->j", Z, Z) if xp is np else xp.sum(Z * Z, axis=0))
    if near:
        moment -= weight * (np.outer(mean, mean) if full else mean * mean)
        if (weight * mean * mean > NEAR * (moment.diagonal() if full else moment)).any():
            return _measure_dense(X, s, full, centred, y, near=False)
    if y is None:
        return Columns(weight, mean, moment), near
    # Within the targets, so that targets that are all the same are met.
    low, high = host(xp.min(y, axis=0)), host(xp.max(y, axis=0))
    middle = np.clip(means(y, ones, weight), low, high) if centred else np.zeros(y.shape[1])
    rest = y - like(middle, y) if root is None else (y - like(middle, y)) * root
    side, spread = host(Z.T @ rest), host(rest.T @ rest)
    return Columns(weight, np.append(mean, middle), np.block([[moment, side], [side.T, spread]])), near


def means(X, weight, sum_of_weights: float) -> np.ndarray:
    """Weighted means of columns."""
    return host(weight @ X if not is_foreign(X) else doubled(weight) @ doubled(X)) / sum_of_weights


def _measure_sparse(X, s: np.ndarray, full: bool, centred: bool) -> Columns:
    """Statistics of a few sparse rows: centring would fill gaps, but columns without gaps can be, and may need it."""
    weight, p = float(s.sum()), X.shape[1]
    X, shift = sparse.csr_array(X, dtype=np.float64), np.zeros(p)
    if centred:
        gapless = np.bincount(X.indices, minlength=p) == X.shape[0]
        shift = np.where(gapless, s @ X / weight, 0.0)
        X = sparse.csr_array((X.data - shift[X.indices], X.indices, X.indptr), shape=X.shape)
    weighted = X.multiply(s[:, None]).tocsr()
    moment = (X.T @ weighted).toarray() if full else np.asarray(X.multiply(weighted).sum(axis=0)).ravel()
    if not centred:
        return Columns(weight, shift, moment)
    rest = s @ X / weight
    return Columns(weight, shift + rest, moment - weight * (np.outer(rest, rest) if full else rest * rest))


def about_zero(columns: Columns) -> Columns:
    """The same statistics about 0 instead of the means."""
    weight, mean, moment = columns
    spread = np.outer(mean, mean) if moment.ndim == 2 else mean * mean
    return Columns(weight, np.zeros_like(mean), moment + weight * spread)


def faded(columns: Columns, share: float) -> Columns:
    """The same statistics, of rows that count as such a share of what they did."""
    return Columns(columns.weight * share, columns.mean, columns.moment * share)


class Step(NamedTuple):
    """All that the automatic step takes from the columns.

    Attributes
    ----------
    geometry : Diagonal or Full
        From gradients to directions.
    largest : float
        Largest eigenvalue of the covariance of the columns in that geometry.
    length : float
        Mean squared length of a row in it, the intercept's one included.
    weight : float
        Weight of the rows that it was made of.
    """

    geometry: Diagonal | Full
    largest: float
    length: float
    weight: float

    def rate(self, batch_size: int | None) -> float:
        """Base rate for steps on batches; None: on all rows there are, so without noise."""
        if batch_size is None:
            return 1.0 / self.largest
        return 0.5 / (self.largest * (1.0 - 1.0 / batch_size) + self.length / batch_size)

    def reduced_rate(self, batch_size: int, longest: float, curvature: float) -> float:
        """Rate of a variance-reduced step: a third over the smoothness that a batch may show.

        ``longest`` is the largest squared length of a row, ``curvature`` the bound on that of the loss.
        """
        return 1.0 / (3.0 * curvature * (self.largest * (1.0 - 1.0 / batch_size) + longest / batch_size))

    def visits(self, tol: float, n_rows: int) -> float:
        """Rows to visit until the noise of the average costs less than a share ``tol`` of the loss.

        On the training rows it costs length / visits; on new ones the noise meets the error of the fit itself, whose
        square is length / n_rows, so that few rows must be visited more often.
        """
        return self.length / tol * max(1.0, 1.0 / (tol * n_rows))


def falling_rates(rate: float, noise: bool, latest: float = np.inf):
    """From update numbers to rates: constant, or with noise falling as 1 / t in the long run, to the latest."""
    fall = noise * rate / MEMORIES
    return lambda t: rate / (1.0 + fall * (t if latest == np.inf else np.minimum(t, latest)))


def late_mixes(t: np.ndarray) -> np.ndarray:
    """Share of the newest parameters in the average."""
    return (DECAY + 1.0) / (t + DECAY)


def latest_update(half_life: float, batch_size: int, automatic: bool) -> float:
    """The update number past which nothing falls, lest what is known be older, on average, than a half life allows.

    The mean age of rows that count half after each half life is ``half_life / log(2)``. With the automatic step, at
    update t, that of the average is about ``t / (DECAY + 1)`` updates, and of the parameters in it ``t / MEMORIES``;
    with a schedule that of an average with shares ``1 / t`` is t.
    """
    updates = half_life / np.log(2.0) / batch_size
    return updates / (1.0 / (DECAY + 1.0) + 1.0 / MEMORIES) if automatic else updates


def automatic_batch_size(n_columns: int, n_rows: int) -> int:
    """A power of two: the rows past which more per step allow no longer step, yet at least 8 steps an epoch."""
    most = max(1, n_rows // 8)
    return 2 ** int(np.log2(min(max(n_columns + 1, 16), 1024, most)))


def make_step(columns: Columns, X, ridge: float, separable: bool, stream: bool) -> Step:
    """The step for columns: by covariances where they were measured, unless the penalty acts on single coordinates.

    ``ridge`` is the curvature of the penalty, in the user's units. A column that does not vary gets no direction. Early
    in a stream covariances are drawn towards variances, since rows to come will not lie where few rows lay.
    """
    covariance = columns.moment / columns.weight if columns.weight else columns.moment
    full = covariance.ndim == 2
    variance = np.maximum(covariance.diagonal() if full else covariance, 0.0)
    varies = variance > (ROUNDING * columns.mean) ** 2
    scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, variance + ridge, 1.0)), 0.0)
    dtype = dtype_of(X)
    with np.errstate(over="ignore"):
        inverse = (scale * scale).astype(dtype)
    if not (np.isfinite(variance).all() and np.isfinite(inverse).all() and inverse[varies].all()):
        raise ValueError(
            f"X has columns whose squares, or one over them, are out of the range of {dtype}: scale them"
            + (", or give X as float64." if dtype == np.float32 else ".")
        )
    if not full or separable:
        largest = _largest(covariance, X, columns.mean, scale) if varies.any() else 1.0
        return Step(Diagonal(inverse), max(largest, 1.0), varies.sum() + 1.0, columns.weight)
    correlation = covariance * np.outer(scale, scale)
    np.fill_diagonal(correlation, np.where(varies, 1.0, 0.0))
    values, vectors = linalg.eigh(correlation)
    values = np.maximum(values, 0.0)
    shares = values + FLOOR * max(values[-1], 1.0) + (len(values) / columns.weight if stream else 0.0)
    inverse = (vectors / shares) @ vectors.T * np.outer(scale, scale)
    length = float(np.sum(values / shares)) + 1.0
    return Step(Full(np.ascontiguousarray(inverse, dtype=dtype)), 1.0, length, columns.weight)


@asked_of_rows
def _largest(covariance: np.ndarray, X, mean: np.ndarray, scale: np.ndarray) -> float:
    """Largest eigenvalue of the correlation matrix; by power iteration on rows of X where it is not at hand."""
    if covariance.ndim == 2:
        return float(linalg.eigvalsh(covariance * np.outer(scale, scale))[-1])
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
