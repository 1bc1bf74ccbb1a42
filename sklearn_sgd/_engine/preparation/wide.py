"""Least squares of dense rows of many columns: the geometry of a sample, conjugate gradients of all rows, no moments.

The covariances of a sample cost c P**3, with c rows for each column, and leave 1 / c of the distance to the minimum
with each pass over X. So c is the number for which both together cost least. The geometry need not be exact, and is
computed in single precision unless columns are nearly linear combinations of others. With no more rows than columns it
is that of the rows. Without intercept it is that about the means, and the mean itself, which hides the rest if it is
far from 0.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Self

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.around_zero import is_far
from sklearn_sgd._engine.automatic.final_step import WORTH, Minimum
from sklearn_sgd._engine.automatic.geometry import NULL, one_over_roots
from sklearn_sgd._engine.automatic.sample import best_size, sample, shows
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, about_zero, is_varying, measure
from sklearn_sgd._engine.baseline import gradient_in_double, mean_target
from sklearn_sgd._engine.passes.scaled_sample import ScaledSample, scaled_sample
from sklearn_sgd._engine.plan import DOUBLE, SINGLE, Plan
from sklearn_sgd._engine.preparation.least_squares import (
    PLAIN,
    Found,
    Known,
    SampleGeometry,
    conjugate_steps,
    spread_of_target,
)
from sklearn_sgd._namespace import doubled, dtype_of

# The time in which a pass reads an entry of X, in multiplications in single precision.
AN_ENTRY = 64

# The size of the sample is chosen for at most so many passes.
PASSES = 24

# For each column so much is added to the diagonal of the correlations, so that they have an inverse: for X in double
# and in single precision, and for correlations in single precision (there for all columns together).
SMALL, ROUGH = {DOUBLE: 1e-10, SINGLE: 1e-9}, 1e-6

# A direction is hidden if its variance is less than this number times what was added to the diagonal.
HIDDEN = 10.0

# Maximum number of passes; how often they start again where X is in single precision.
READINGS, AGAIN = 60, 3

Solve = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class KnownMinimum(Minimum):
    """Parameters at the minimum of the objective on all rows, the mean loss there, and what may be missing."""

    w: np.ndarray
    loss: float
    missing: float
    is_narrow: bool
    leaves_out: bool = False  # `Wide` has decided.

    def excess(self, w: np.ndarray) -> float:
        """Return what may be missing at the minimum; infinity elsewhere."""
        return self.missing if np.array_equal(w, self.w.astype(w.dtype)) else np.inf

    def improved(self, w: np.ndarray, enough: float) -> tuple[np.ndarray, float]:
        """Return the minimum, and what may be missing."""
        return self.w, self.missing


class Wide(NamedTuple):
    """What is common to all targets: statistics of the columns, and a sample of rows in their units, with its geometry.

    ``some`` are the numbers of its rows. ``whole`` is the geometry with the directions of nearly dependent columns, if
    there are some.
    """

    columns: ColumnStatistics
    geometry: SampleGeometry
    whole: SampleGeometry | None
    sample: ScaledSample
    some: np.ndarray

    @property
    def nears_constant(self) -> bool:
        """Whether columns far from 0 can make a model without intercept predict nearly a constant."""
        return is_far(self.sample.columns, self.geometry.ridge)

    @classmethod
    def of(cls, plan: Plan) -> Self | None:
        """Return that of the rows of a plan, which are not centred; None if squares of columns are out of range."""
        (n, p), weight, centred = (plan.n_rows, plan.X.shape[1]), plan.data.weight, bool(plan.data.rows.bias)
        size = best_size(n, p, AN_ENTRY, PASSES)
        places = np.arange(n) if size == n else sample(n, size)
        some = plan.used[places]
        scaled = partial(scaled_sample, plan.X, some, weight, True)
        rows = scaled(SINGLE)
        columns, dtype = rows.columns, dtype_of(plan.X)
        if size < n and shows(columns, rows.largest, dtype):
            share = plan.weight / columns.weight
            columns = columns._replace(weight=plan.weight, moment=columns.moment * share, sampled=True)
        elif size < n:
            columns = measure(plan.X, plan.row_indices, weight, True)
        if not np.isfinite(columns.variance).all():
            return None
        ridge = np.ones(p) * plan.parts.penalty.gradient(np.ones(p))
        mean = columns.mean.astype(dtype).astype(np.float64) if centred else columns.mean
        varies = is_varying(columns.variance, mean)
        squares = columns.variance + ridge
        if not centred:
            varies, squares = varies | (mean != 0.0), np.where(varies, squares, ridge + mean * mean)
        scale = one_over_roots(squares, varies)

        added, ridge_of_scaled = SMALL[dtype] * p, ridge * scale * scale
        solve, exact, moment = None, None, None
        if n > p:
            moment = rows.covariances(mean, scale)
            solve = _in_single(moment, ridge_of_scaled)
        represents = solve is not None and columns.sampled
        if solve is None:
            rows = scaled(DOUBLE)
            if n > p:
                moment = rows.covariances(mean, scale)
                solve, exact = by_covariances(moment, ridge_of_scaled, added)
            else:
                solve, exact = by_rows(rows.about(mean, scale), ridge_of_scaled, added)
        known = Known.of(plan, places, moment, rows.columns, mean, scale) if size < n and moment is not None else None
        if not centred:
            known, u = None, scale * mean
            of_rows = rows.about(mean, scale) if n <= p and not ridge.any() else None
            solve, exact = _with_mean(solve, u, of_rows), exact and _with_mean(exact, u, of_rows)
            columns, mean = about_zero(columns), np.zeros(p)
        geometry = SampleGeometry(
            mean, ridge, scale, solve, np.zeros(p + 1), known, size if represents and known else 0
        )
        return cls(columns, geometry, geometry._replace(solve=exact) if exact else None, rows, some)

    def minimum(self, plan: Plan, tol: float | None) -> KnownMinimum | None:
        """The minimum on the rows of a plan, by steps from that of the sample."""
        y = doubled(plan.data.y[self.some])
        s = doubled(plan.data.weight[self.some]) if plan.data.weight.shape[0] else np.ones(len(y))
        constant, bias = mean_target(y, s), plan.data.rows.bias
        side = np.append(self.sample.products_with((y - constant) * np.sqrt(s)), bias * constant)
        if not bias:
            side[:-1] += constant * self.sample.columns.mean
        found = _followed(plan, self.geometry._replace(start=self.geometry.step(side)), tol, self.nears_constant)
        if found and self.whole:
            found = self._with_hidden(plan, tol, found)
        return found and KnownMinimum(found.w, found.loss, found.missing, not found.reached)

    def _with_hidden(self, plan: Plan, tol: float | None, found: Found) -> Found:
        """Add what is missing along directions of nearly dependent columns, or follow these, if it is much."""
        assert self.whole
        rows = gradient_in_double(plan.parts.loss, plan.data, plan.row_indices, plan.X, self.whole.mean, found.w)
        g = rows * (plan.n_rows / plan.weight) + np.append(self.whole.ridge * found.w[:-1], 0.0)
        hidden = 0.5 * float(self.whole.step(g) @ g)
        if hidden >= WORTH * found.loss:
            followed = _followed(plan, self.whole._replace(start=found.w), tol, self.nears_constant)
            if followed and followed.loss < found.loss:
                return followed
        return found._replace(missing=max(found.missing, hidden), reached=False)


def _followed(plan: Plan, geometry: SampleGeometry, tol: float | None, nears_constant: bool) -> Found | None:
    """Where conjugate steps lead; in single precision, whose rounding they add up, steps from there follow."""
    variance, start = spread_of_target(plan, nears_constant)[1], geometry.start
    found = conjugate_steps(plan, geometry, tol, variance, READINGS, np.inf)
    for _ in range(AGAIN if found and dtype_of(plan.X) == SINGLE else 0):
        assert found
        again = conjugate_steps(plan, geometry._replace(start=found.w), tol, variance, READINGS, np.inf)
        if not again or (again.first > found.first and not again.reached):
            return found._replace(w=start, loss=found.first, missing=np.inf, reached=False)
        found, start = again, found.w
        if found.readings == 1:
            break
    return found


def _with_mean(solve: Solve, u: np.ndarray, rows: np.ndarray | None) -> Solve:
    """Return the function that multiplies by the inverse of what ``solve`` inverts plus the outer product of u.

    ``solve`` may have the pseudo-inverse of products of the rows, if these are given.
    """
    if rows is None:
        along = solve(u)
        split, back = u / max(float(u @ u), 1e-300), along / (1.0 + u @ along)  # By Woodbury's identity.
    else:
        outside = u
        for _ in range(2):
            outside = outside - solve(rows.T @ (rows @ outside))
        split = back = outside / max(float(outside @ outside), 1e-300)

    def product(v: np.ndarray) -> np.ndarray:
        part = split @ v  # What is along u hides the rest.
        x = solve(v - part * u)
        return x + (part - u @ x) * back

    return product


def _diagonal(correlation: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Return the diagonal of correlations with the penalty's curvature."""
    # Columns that the sample hardly shows vary as the others do.
    return np.maximum(correlation.diagonal() + ridge, 1.0)


def _in_single(correlation: np.ndarray, ridge: np.ndarray) -> Solve | None:
    """Return the function that multiplies a vector by the inverse of the correlations, computed in single precision.

    Return None if columns are so nearly dependent that double precision is needed.
    """
    correlation = correlation.copy()
    correlation[np.diag_indices_from(correlation)] = _diagonal(correlation, ridge) + ROUGH
    size = abs(correlation).sum(axis=0).max()
    lower, refused = linalg.lapack.spotrf(correlation.T, lower=1, overwrite_a=1)
    if refused or not linalg.lapack.spocon(lower, size, uplo="L")[0] * size >= PLAIN:
        return None
    half = partial(linalg.blas.strsv, lower, lower=1, overwrite_x=1)
    return lambda v: half(half(v.astype(SINGLE)), trans=1).astype(DOUBLE)


def by_covariances(correlation: np.ndarray, ridge: np.ndarray, added: float) -> tuple[Solve, Solve | None]:
    """Return that function, computed in double precision; and a second one if ``added`` hides directions, else None.

    ``added`` is added to the diagonal of the correlations. The second function has only what their rounding needs.
    """
    diagonal, correlation = _diagonal(correlation, ridge), correlation.copy()

    def solve(more: float):
        correlation[np.diag_indices_from(correlation)] = diagonal + more
        return partial(linalg.cho_solve, linalg.cho_factor(correlation, lower=True), check_finite=False)

    first = solve(added)
    size = abs(correlation).sum(axis=0).max()
    inverse = 1.0 / (linalg.lapack.dpocon(first.args[0][0], size, uplo="L")[0] * size)
    return first, solve(NULL * len(ridge) * size) if inverse * added * HIDDEN > 1.0 else None


def by_rows(rows: np.ndarray, ridge: np.ndarray, added: float) -> tuple[Solve, Solve]:
    """Return both functions for no more rows than columns, from the products of the rows with each other.

    With a penalty the inverse follows by Woodbury's identity. Without one it does not exist; but gradients are
    combinations of the rows, and on these the pseudo-inverse is its substitute.
    """

    def penalised(more: float) -> Solve:
        root = np.sqrt(ridge + more)
        A = rows / root
        known = linalg.cho_factor(A @ A.T + np.eye(len(A)), lower=True)

        def product(v: np.ndarray) -> np.ndarray:
            u = v / root
            return (u - A.T @ linalg.cho_solve(known, A @ u, check_finite=False)) / root

        return product

    def spanned(more: float) -> Solve:
        known = linalg.cho_factor(rows @ rows.T + more * np.eye(len(rows)), lower=True)
        half = partial(linalg.cho_solve, known, check_finite=False)
        return lambda v: rows.T @ half(half(rows @ v))

    solve = penalised if ridge.any() else spanned
    return solve(added), solve(NULL * len(ridge) * float(np.sum(rows * rows)))
