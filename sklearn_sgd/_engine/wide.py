"""Least squares of dense rows of many columns: the geometry of a sample, conjugate gradients of all rows, no moments.

The covariances of a sample cost c P**3, with c rows for each column. Where that is more than some readings of X, they
are taken as a few directions of large variance, and one variance for all others. No column must be seen in the sample:
its scale is that of all rows then, or of none, and a step more finds what it does.

References
----------
Frangella, Z., Tropp, J. A. and Udell, M., "Randomized Nystrom preconditioning", SIAM Journal on Matrix Analysis and
Applications 44, 2023.
"""

from functools import partial
from typing import NamedTuple, Self

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.final_step import WORTH
from sklearn_sgd._engine.automatic.preconditioner import NULL, is_varying
from sklearn_sgd._engine.automatic.sample import sample, shows
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, measure
from sklearn_sgd._engine.baseline import gradient_in_double, mean_target
from sklearn_sgd._engine.least_squares import Found, SampleGeometry, conjugate_steps
from sklearn_sgd._engine.plan import DOUBLE, SINGLE, Plan
from sklearn_sgd._namespace import doubled, dtype_of, take

# Rows of a sample for each column, and at least.
PER_COLUMN, LEAST = 6, 4096

# Columns, squared, for each row, up to which covariances of a sample cost less than the readings that they spare; and
# columns up to which they cost little anyway.
PAYS, FEW = 150, 2000

# Directions of large variance, and rows that they are found in, for each.
DIRECTIONS, ROWS = 100, 20

# What is added to variances along directions, in units of those of columns and by the precision of X; times as much
# below which it hides what is missing along a direction.
SMALL, HIDDEN = {DOUBLE: 1e-10, SINGLE: 1e-9}, 10.0

# Readings at most.
READINGS = 60


class KnownMinimum(NamedTuple):
    """Parameters at the minimum of the objective on all rows, the mean loss there, and what may be missing.

    It takes the place of `FinalSteps` where moments are not kept.
    """

    w: np.ndarray
    loss: float
    missing: float
    is_narrow: bool

    @property
    def leaves_out(self) -> bool:
        """Whether something is left to decide: `Wide` has decided."""
        return False

    def excess(self, w: np.ndarray) -> float:
        """How far the objective is above its minimum; infinity if that is not known."""
        return self.missing if np.array_equal(w, self.w.astype(w.dtype)) else np.inf

    def improved(self, w: np.ndarray, enough: float) -> tuple[np.ndarray, float]:
        """The parameters, and what is missing."""
        return self.w, self.missing


class Wide(NamedTuple):
    """What is common to all targets: statistics of the columns, and a sample of rows in their units, with its geometry.

    ``some`` are the numbers of its rows; each is divided by the root of their number. ``whole`` is the geometry with
    the directions of nearly dependent columns, if there are some.
    """

    columns: ColumnStatistics
    geometry: SampleGeometry
    whole: SampleGeometry | None
    rows: np.ndarray
    some: np.ndarray

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """That of the rows of a plan, which are not centred."""
        p, weight, centred = plan.X.shape[1], plan.data.weight, bool(plan.data.rows.bias)
        pays = p <= max(FEW, (PAYS * plan.n_rows) ** 0.5)
        size = min(max(PER_COLUMN * p, LEAST) if pays else ROWS * DIRECTIONS, plan.n_rows)
        some = plan.used if size == plan.n_rows else plan.used[sample(plan.n_rows, size)]
        rows, weight = doubled(take(plan.X, some)), weight[some] if weight.shape[0] else weight
        columns = measure(rows, None, weight, centred)
        if shows(rows, weight, columns, dtype_of(plan.X)):
            share = plan.weight / columns.weight
            columns = columns._replace(weight=plan.weight, moment=columns.moment * share, sampled=True)
        else:
            columns = measure(plan.X, plan.row_indices, plan.data.weight, centred)
        ridge = np.ones(p) * plan.parts.penalty.gradient(np.ones(p))
        mean = columns.centre.astype(dtype_of(plan.X)).astype(np.float64)
        varies = is_varying(columns.variance, mean)
        scale = np.where(varies, 1.0 / np.sqrt(np.where(varies, columns.variance + ridge, 1.0)), 0.0)
        rows = (rows - mean) * (scale * np.sqrt(1.0 / size))
        if weight.shape[0]:
            rows *= np.sqrt(weight)[:, None]
        added = SMALL[dtype_of(plan.X)] * p
        solve, exact = (_by_covariances if pays else _by_directions)(rows, ridge * scale * scale, added)
        geometry = SampleGeometry(mean, ridge, scale, solve, np.zeros(p + 1))
        return cls(columns, geometry, geometry._replace(solve=exact) if exact else None, rows, some)

    def minimum(self, plan: Plan, tol: float | None) -> KnownMinimum | None:
        """The minimum on the rows of a plan, by steps from that of the sample."""
        y = doubled(plan.data.y[self.some])
        s = doubled(plan.data.weight[self.some]) if plan.data.weight.shape[0] else np.ones(len(y))
        constant = mean_target(y, s) if plan.data.rows.bias else 0.0
        along = self.rows.T @ ((y - constant) * np.sqrt(s / len(y)))
        start = np.append(self.geometry.scale * self.geometry.solve(along), constant)
        found = conjugate_steps(plan, self.geometry._replace(start=start), tol, READINGS, np.inf)
        if found and self.whole:
            found = self._with_hidden(plan, tol, found)
        return found and KnownMinimum(found.w, found.loss, found.missing, not found.reached)

    def _with_hidden(self, plan: Plan, tol: float | None, found: Found) -> Found:
        """The same with what is missing along directions of nearly dependent columns; at the minimum, if it is much."""
        assert self.whole
        rows = gradient_in_double(plan.parts.loss, plan.data, plan.row_indices, plan.X, self.whole.mean, found.w)
        g = rows * (plan.n_rows / plan.weight) + np.append(self.whole.ridge * found.w[:-1], 0.0)
        hidden = 0.5 * float(self.whole.step(g) @ g)
        if hidden >= WORTH * found.loss:
            followed = conjugate_steps(plan, self.whole._replace(start=found.w), tol, READINGS, np.inf)
            if followed and followed.loss < found.loss:
                return followed
        return found._replace(missing=max(found.missing, hidden), reached=False)


def _by_covariances(rows: np.ndarray, ridge: np.ndarray, added: float):
    """From a vector to its product with the inverse covariances of scaled rows.

    And the same with less added to these, where that hides directions; else None.
    """
    correlation = rows.T @ rows
    # Columns that the sample hardly shows vary as the others do.
    diagonal = np.maximum(correlation.diagonal() + ridge, 1.0)

    def solve(more: float):
        correlation[np.diag_indices_from(correlation)] = diagonal + more
        return partial(linalg.cho_solve, linalg.cho_factor(correlation, lower=True), check_finite=False)

    first = solve(added)
    size = abs(correlation).sum(axis=0).max()
    inverse = 1.0 / (linalg.lapack.dpocon(first.args[0][0], size, uplo="L")[0] * size)
    return first, solve(NULL * len(ridge) * size) if inverse * added * HIDDEN > 1.0 else None


def _by_directions(rows: np.ndarray, ridge: np.ndarray, added: float):
    """The same from the directions in which they vary most, found by a product with random ones."""
    p = rows.shape[1]
    random = linalg.qr(np.random.default_rng(p).standard_normal((p, DIRECTIONS)), mode="economic")[0]
    for _ in range(2):
        random = linalg.qr(rows.T @ (rows @ random), mode="economic")[0]
    _, values, vectors = linalg.svd(rows @ random, full_matrices=False)
    directions, values = random @ vectors.T, values * values + added
    rest = max((float(np.sum(rows * rows)) - float(values.sum())) / (p - DIRECTIONS), added) + float(ridge.mean())
    shares = 1.0 / np.maximum(values + float(ridge.mean()), rest) - 1.0 / rest
    return lambda v: v / rest + directions @ (shares * (directions.T @ v)), None
