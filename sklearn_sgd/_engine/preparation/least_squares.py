"""Least squares of many rows in a few passes over X: a preconditioner from a sample, conjugate gradients of all rows.

Covariances of all rows cost O(N P**2), those of a sample with c rows for each column O(c P**3). With the latter as
preconditioner the condition number is nearly 1. So each conjugate step, which is one pass over X, leaves about 1 / c of
the distance to the minimum. The Newton decrement measures this distance. The rows of the sample are not read again:
products with their covariances are known. Near the minimum steps need not be exact, so that the last passes read a part
of the other rows. How exact they are follows from the difference of its halves.

The automatic step then keeps the moments of the sample, corrected so that they have the minimum of all rows, its loss,
and the spread of the target. The descent depends on these moments only, and so ends at the minimum of all rows.

References
----------
Pilanci, M. and Wainwright, M. J., "Iterative Hessian sketch", Journal of Machine Learning Research 17, 2016.
Frangella, Z., Rathore, P., Zhao, S. and Udell, M., "PROMISE: preconditioned stochastic optimization methods by
incorporating scalable curvature estimates", Journal of Machine Learning Research 25, 2024.
Simoncini, V. and Szyld, D. B., "Theory of inexact Krylov subspace methods and applications to scientific computing",
SIAM Journal on Scientific Computing 25, 2003: the later a product, the less exact it must be.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.conjugate import conjugate_gradients
from sklearn_sgd._engine.automatic.geometry import NARROW, NULL
from sklearn_sgd._engine.automatic.sample import LEAST, TIMES, best_size, one_of_each, sample, shows
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics
from sklearn_sgd._engine.baseline import mean_target
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.passes.rows import Rows
from sklearn_sgd._engine.passes.scaled_sample import scaled_sample
from sklearn_sgd._engine.plan import DOUBLE, SINGLE, Plan
from sklearn_sgd._namespace import doubled, dtype_of

# Number of columns up to which covariances of all rows cost less; rows from which samples pay.
COLUMNS, ROWS = 30, TIMES * LEAST

# Multiplications in single precision in the time in which a pass reads an entry of X; passes for which the size of the
# sample is chosen, at most; price of a multiplication in double precision.
AN_ENTRY, PASSES, EXACT = 60, 6, 2.0

# Variance along all directions, in units of those of columns, from which covariances in single precision will do.
PLAIN = 1e-3

# Maximum number of passes; the share of the distance that a pass may leave.
READINGS, SLOW = 12, 0.25

# Largest distances at the end: as a share of the variance of the target, of the excess loss by the noise of the rows,
# and of the tolerance.
PRECISE, NOISE, MISSING = 5e-7, 0.02, 0.1

# The error of products of a part of the rows, as a share of the largest distance, at most; what one of them is expected
# to have of what is left of that; the largest part.
ALLOWED, EXPECTED, PART = 0.5, 0.5, 0.75

# Distance to the minimum, in units of what may be left, up to which products by moments in single precision will do.
FINE = 1e7

# Share of the decrement that a step with a product of all rows leaves, in units of that if the sample is like all rows,
# up to which it is. A few rows far from all others, which no part shows, leave more, or have a larger share than the
# third number in the squared changes of predictions. The second is the largest decrement before the last step, in
# units of what may be left.
LIKE, NEAR, SHARE = 4.0, 100.0, 1e-3


def size_for_readings(n_rows: int, n_columns: int) -> int | None:
    """Return the size of the sample; None if covariances of all rows cost no more."""
    if n_columns <= COLUMNS or n_rows < ROWS:
        return None
    size = best_size(n_rows, n_columns, AN_ENTRY, PASSES, EXACT, parts=1)
    return size if size < n_rows else None


def moments_by_readings(plan: Plan, tol: float | None, size: int) -> ColumnStatistics | None:
    """Return moments of columns and target with the minimum of all rows; None if the sample does not lead there.

    The rows of ``plan`` are not centred, and form one batch.
    """
    sampled, (constant, variance) = _geometry_of_sample(plan, size), spread_of_target(plan)
    found = sampled and conjugate_steps(plan, sampled[0], tol, variance)
    if not sampled or not found:
        return None
    (geometry, covariance), (w, loss, *_) = sampled, found
    pull = geometry.ridge * w[:-1]
    spread = variance - (constant - w[-1]) ** 2 * float(plan.data.rows.bias)
    explained = spread - 2.0 * loss - 2.0 * float(w[:-1] @ pull)
    known = float(w[:-1] @ covariance @ w[:-1])
    # Along the coefficients the sample's covariances are made those of all rows.
    covariance = covariance * (explained / known if explained > 0.0 and known > 0.0 else 1.0)
    side = (covariance @ w[:-1] + pull)[:, None]
    moment = plan.weight * np.block([[covariance, side], [side.T, np.full((1, 1), spread)]])
    return ColumnStatistics(plan.weight, np.append(geometry.mean, w[-1]), moment, sampled=True)


class Known(NamedTuple):
    """Rows whose second moments are known, so that products with a direction need no reading of them.

    The moments are those of the scaled columns about the means of a geometry, ``off`` are the means less these, and
    ``weight`` is the weight of the rows. ``others`` are the numbers of all other rows.
    """

    moment: np.ndarray
    off: np.ndarray
    weight: float
    others: np.ndarray

    @classmethod
    def of(
        cls,
        plan: Plan,
        some: np.ndarray,
        moment: np.ndarray,
        columns: ColumnStatistics,
        mean: np.ndarray,
        scale: np.ndarray,
    ) -> Self:
        """Return those of a sample, which has the rows of these places among the rows of a plan."""
        return cls(moment, (columns.mean - mean) * scale, columns.weight, np.delete(plan.used, some))

    def product(self, u: np.ndarray, intercept: float) -> np.ndarray:
        """Return the sum over the rows for a direction of the scaled columns, and of the intercept, which is last."""
        along = doubled(self.moment @ u.astype(self.moment.dtype)) + self.off * intercept
        return self.weight * np.append(along, self.off @ u + intercept)


class SampleGeometry(NamedTuple):
    """Means, scales, and directions of the columns, the penalty's curvature, and parameters to start from.

    ``solve`` multiplies a vector with the inverse covariances of scaled columns, the penalty's curvature among them.
    ``known`` are the rows of the sample. ``size`` is their number if they represent all others; 0 if the products with
    directions must be exact.
    """

    mean: np.ndarray
    ridge: np.ndarray
    scale: np.ndarray
    solve: Callable[[np.ndarray], np.ndarray]
    start: np.ndarray
    known: Known | None = None
    size: int = 0

    def step(self, g: np.ndarray) -> np.ndarray:
        """The Newton step for a gradient, that of the intercept last."""
        return np.append(self.scale * self.solve(self.scale * g[:-1]), g[-1])

    def product(self, d: np.ndarray) -> np.ndarray:
        """Return the sum over the known rows, of their products with a direction; columns of scale 0 have none."""
        assert self.known
        per_scale = np.append(np.divide(1.0, self.scale, where=self.scale > 0.0, out=np.zeros(len(self.scale))), 1.0)
        return per_scale * self.known.product((per_scale * d)[:-1], d[-1])


def _geometry_of_sample(plan: Plan, size: int) -> tuple[SampleGeometry, np.ndarray] | None:
    """Return the geometry of so many rows, and their covariances; None if they do not show all directions well."""
    X, weight, centred, dtype = plan.X, plan.data.weight, bool(plan.data.rows.bias), dtype_of(plan.X)
    some = sample(plan.n_rows, size)
    rows = plan.used[some]
    y, s = doubled(plan.data.y[rows]), doubled(weight[rows]) if weight.shape[0] else None
    constant = mean_target(y, s) if centred else 0.0
    target = (y - constant) * (1.0 if s is None else np.sqrt(s))
    ridge = np.ones(X.shape[1]) * plan.parts.penalty.gradient(np.ones(X.shape[1]))
    for kind in (SINGLE, DOUBLE):
        scaled = scaled_sample(X, rows, weight, centred, kind)
        columns = scaled.columns
        if not shows(columns, scaled.largest, dtype):
            return None
        mean = columns.mean.astype(dtype).astype(np.float64)  # As the rows are centred.
        scale = 1.0 / np.sqrt(columns.variance + ridge)
        moment = scaled.covariances(mean, scale)
        correlation = doubled(moment) + np.diag(ridge * scale * scale)
        lower, refused = linalg.lapack.dpotrf(correlation, lower=1)
        length = abs(correlation).sum(axis=0).max()
        narrow = 0.0 if refused else linalg.lapack.dpocon(lower, length, uplo="L")[0]
        if narrow * length > PLAIN:
            break
    if not narrow >= max(NARROW * NULL * (len(mean) + 1), float(np.finfo(dtype).eps) ** 0.75):
        return None
    known = Known.of(plan, some, moment, columns, mean, scale)
    solve = partial(linalg.cho_solve, (lower, True), check_finite=False)
    geometry = SampleGeometry(mean, ridge, scale, solve, np.zeros(len(mean) + 1), known, size)
    side = np.append(scaled.products_with(target), constant)
    return geometry._replace(start=geometry.step(side)), doubled(moment) / np.outer(scale, scale)


class Found(NamedTuple):
    """Parameters near the minimum on all rows, their mean loss, what is missing, and whether that is little enough.

    ``first`` is the mean loss at the start, ``readings`` the number of passes over X.
    """

    w: np.ndarray
    loss: float
    missing: float
    reached: bool
    first: float
    readings: int


def conjugate_steps(
    plan: Plan,
    geometry: SampleGeometry,
    tol: float | None,
    variance: float,
    readings: int = READINGS,
    slow: float = SLOW,
) -> Found | None:
    """Return parameters at the minimum on all rows, or near it; None if a pass leaves more than a share ``slow``.

    ``variance`` is that of the target. Each pass over X is a conjugate step; the decrement measures what it leaves.
    """
    ridge = np.append(geometry.ridge, 0.0)
    rows = plan.data.rows._replace(mean=geometry.mean.astype(dtype_of(plan.X)))
    w = geometry.start.astype(plan.data.y.dtype).astype(np.float64)
    losses, g = Reading(plan, rows, plan.data.y)(w)
    g += ridge * w
    products = Products(plan, rows, geometry)
    objective, before = losses + 0.5 * float(w @ (ridge * w)), np.inf
    precise = 0.5 * variance * min(PRECISE, np.inf if tol is None else MISSING * tol)
    rounding = float(np.finfo(np.float64).eps) * variance
    # With no more rows than columns nothing is left of the noise.
    noise = NOISE * len(g) / plan.weight if plan.n_rows > len(g) else None
    steps = conjugate_gradients(w, g, geometry.step, products)
    for number, (w, fall, gain, _) in enumerate(steps):
        products.follow(0.5 * fall)
        objective -= 0.5 * gain
        loss = objective - 0.5 * float(w @ (ridge * w))
        products.enough = max(precise if noise is None else min(precise, noise * loss), rounding)
        missing = 0.5 * fall + products.error
        reached = missing <= products.enough
        if reached or number == readings:
            break
        if not fall <= slow * before:
            return None
        before = fall
    return Found(w, loss, missing, reached, losses, 1 + number) if reached or slow == np.inf else None


class Products:
    """Products of the covariances with directions: of all rows, or of a part of them where that is exact enough.

    The rows of the geometry are not read, whose moments are known: the others are. An error of a product goes on in the
    gradients after it. ``error`` is what the errors cost, in units of the distance to the minimum, of which ``enough``
    may be left.
    """

    def __init__(self, plan: Plan, rows: Rows, geometry: SampleGeometry):
        self.plan, self.rows, self.geometry = plan, rows, geometry
        self.ridge, self.zeros = np.append(geometry.ridge, 0.0), np.zeros_like(plan.data.y)
        self.others = geometry.known.others if geometry.known else plan.used
        self.share = len(self.others) / plan.n_rows
        self.of_others, self.of_all = (Reading(plan, rows, self.zeros, some) for some in (self.others, None))
        self.last = self.of_all
        self.error, self.enough, self.missing, self.before = 0.0, 0.0, 0.0, 0.0

    def follow(self, missing: float) -> None:
        """Note the distance to the minimum before a step."""
        self.missing, self.before = missing, self.missing

    def __call__(self, d: np.ndarray, w: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Return by how much the gradient, which is g, changes along d."""
        known, size = self.geometry.known, self.geometry.size
        if not known or (known.moment.dtype == SINGLE and not self.missing <= FINE * self.enough):
            return self._of(self.of_all, d) + self.ridge * d
        exact = self.geometry.product(d) / self.plan.weight + self.ridge * d
        likely = min(LIKE * len(g) / max(size, 1) * self.before, NEAR * self.enough)
        may_be_part = size and self.missing <= likely and self.last.largest_share() <= SHARE
        product = self._of_part(d, g, exact) if may_be_part else None
        return exact + self.share * self._of(self.of_others, d) if product is None else product

    def _of(self, reading: "Reading", d: np.ndarray) -> np.ndarray:
        self.last = reading
        return reading(d)[1]

    def _of_part(self, d: np.ndarray, g: np.ndarray, exact: np.ndarray) -> np.ndarray | None:
        """Return the product by a part of the other rows; None if it would be large, or is not exact enough.

        What the known rows and the penalty have in it is ``exact``.
        """
        n_rows, left = len(self.others), ALLOWED * self.enough - self.error
        size = self.missing * len(g) * self.share**2 / max(EXPECTED * left, 1e-300)
        size = max(int(size / (1.0 + size / n_rows)), LEAST, len(g))
        if not size <= PART * n_rows:
            return None
        some = one_of_each(n_rows, size)
        parts = (self.others[some[::2]], self.others[some[1::2]])
        one, two = (self.share * Reading(self.plan, self.rows, self.zeros, part)(d)[1] for part in parts)
        product, off = exact + 0.5 * (one + two), 0.5 * (one - two)
        bend, spread = float(d @ product), float(self.geometry.step(off) @ off) * (1.0 - size / n_rows)
        error = 0.5 * spread * (float(d @ g) / bend) ** 2 if bend > 0.0 else np.inf
        if not error <= left:
            return None
        self.error += error
        return product


def spread_of_target(plan: Plan, nears_constant: bool = False) -> tuple[float, float]:
    """The mean of the target, or 0 for a model without a constant, and the mean square of what it leaves."""
    used = slice(None) if plan.row_indices is None else plan.row_indices
    y, s = doubled(plan.data.y[used]), doubled(plan.data.weight[used]) if plan.data.weight.shape[0] else None
    constant = mean_target(y, s) if plan.data.rows.bias or nears_constant else 0.0
    rest = y - constant
    return constant, float(rest @ (rest if s is None else s * rest)) / plan.weight


class Reading:
    """The function from parameters to the mean loss and its gradient, which is one pass over X.

    It reads only ``some`` rows if their numbers are given.
    """

    def __init__(self, plan: Plan, rows: Rows, y: np.ndarray, some: np.ndarray | None = None):
        data, weight = plan.data._replace(rows=rows, y=y), plan.weight
        if some is not None:
            # By their number, not by their own weight, from which a single heavy row would be absent.
            weight *= len(some) / plan.n_rows
            plan = plan._replace(row_indices=some, n_rows=len(some))
        self.data, self.used, self.weight = data, plan.used, weight
        self.batch = all_rows(plan)(data, plan.used, plan.parts.loss)

    def __call__(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the mean loss and its gradient."""
        losses, _, g = self.batch.sums(w.astype(self.data.y.dtype))
        return float(losses) / self.weight, g / self.weight

    def largest_share(self) -> float:
        """Return the largest share of a row in the squared predictions of the last pass."""
        squares = np.square(doubled(self.batch.predictions))
        if self.data.weight.shape[0]:
            squares *= self.data.weight[self.used]
        return float(squares.max() / squares.sum())
