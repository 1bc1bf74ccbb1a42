"""The minimum of the squared error of sparse rows with an L1 term or bounds, by coordinate descent.

A step moves one coefficient to the minimum over it. It reads the entries of one column, and needs no length. Rounds
over all columns find those that matter, and rounds over the coefficients that are not 0 cost little where few are.

References
----------
Friedman, J., Hastie, T. and Tibshirani, R., "Regularization paths for generalized linear models via coordinate
descent", Journal of Statistical Software 33, 2010.
"""

from typing import Any

import numpy as np
from scipy import sparse

from sklearn_sgd._engine.automatic.statistics import is_varying
from sklearn_sgd._engine.finish.working_set import is_sparse_least_squares
from sklearn_sgd._engine.passes.rows import as_rows
from sklearn_sgd._engine.passes.without_plan import coordinates
from sklearn_sgd._engine.plan import DOUBLE, Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import take

# Maximum numbers of readings of X, and of rounds. Those over the coefficients that are not 0 are repeated while they
# gain more than this share of what the round over all columns did.
READINGS, ROUNDS, SHARE = 100, 1000, 0.1

# What may be missing at the end, as a share of what is enough: coefficients of 0 show later than the minimum.
LITTLE = 0.01

# Numbers of columns, as the driver takes them.
NUMBER = np.dtype(np.uint32)


def is_by_coordinates(plan: Plan) -> bool:
    """Return whether coordinate descent applies: to sparse rows here, with a penalty whose steps are known."""
    is_sparse = plan.normal is None and sparse.issparse(plan.X) and is_sparse_least_squares(plan)
    return is_sparse and plan.formulas.penalty.bounded_terms is not None


def coordinate_minimum(plan: Plan, enough: float) -> tuple[np.ndarray | None, float | None]:
    """Return parameters at most ``enough`` above the minimum; None if they are out of range.

    If `READINGS` of X do not lead there, the second value is what the latter half of the rounds gained, else None.
    """
    with np.errstate(all="ignore"):
        problem = Coordinates(plan)
        whole = chosen = np.flatnonzero(problem.variance > 0.0).astype(NUMBER)
        gains: list[float] = []
        little, missing, least, readings = LITTLE * enough, np.inf, 0.0, 0.0
        while missing > little and readings < READINGS and len(gains) < ROUNDS:
            gains.append(problem.round_over(chosen))
            readings += problem.shares[chosen].sum()
            to_come = gains_to_come(gains)
            if chosen is whole:
                missing, least, chosen = to_come, SHARE * gains[-1], np.flatnonzero(problem.w).astype(NUMBER)
            elif to_come <= little or gains[-1] <= least:
                chosen = whole
        w = problem.parameters()
    count_rows(int(readings * plan.n_rows))
    return (w if np.isfinite(w).all() else None), (None if missing <= little else sum(gains[len(gains) // 2 :]))


def gains_to_come(gains: list[float]) -> float:
    """Return what rounds will still gain if each gains the same share of the one before; infinity if it is not less."""
    before, gain = gains[-2:] if len(gains) > 1 else 2 * gains
    return gain * gain / (before - gain) if gain < before else np.inf if gain else 0.0


class Coordinates:
    """Coefficients, from those of 0 on, or the bounds next to it; and what their steps need to know.

    ``rest`` are the predictions of the rows less their targets, without the intercept, which makes their mean 0.
    """

    def __init__(self, plan: Plan):
        rows, p, known = plan.data.rows, plan.X.shape[1], plan.formulas.penalty.bounded_terms
        assert known
        X, y, weight = (
            each if plan.row_indices is None or not each.shape[0] else take(each, plan.row_indices)
            for each in (plan.X, plan.data.y, plan.data.weight)
        )
        share = (weight if weight.shape[0] else np.ones(plan.n_rows)).astype(DOUBLE)
        share /= share.sum()
        columns, self.bias = X.T.tocsr(), float(rows.bias)
        taken, mean, self.variance = centre(columns, share, self.bias)
        self.centre = (0.0 if rows.mean is None else rows.mean.astype(DOUBLE)) - taken
        self.w = np.zeros(p)
        self.w[:] = plan.parts.penalty.prox(self.w, 0.0, ...)
        rest = columns.T @ self.w - y.astype(DOUBLE)
        self.shift = np.full(1, self.bias * (share @ rest))
        self.shares = np.diff(columns.indptr) / max(1, X.nnz)
        values = {"share": share, "mean": mean, "variance": self.variance, **known.terms._asdict()}
        values |= {"low": np.full(p, known.low, DOUBLE), "high": np.full(p, known.high, DOUBLE)}
        values |= {"w": self.w, "rest": rest, "shift": self.shift}
        self.round_over = coordinates(as_rows(columns, False), values)

    def parameters(self) -> np.ndarray:
        """Return the coefficients and the intercept, for rows centred as those of the plan are."""
        return np.append(self.w, self.bias * (self.centre @ self.w - self.shift[0]))


def centre(columns: Any, share: np.ndarray, bias: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre the columns without gaps, which may be far from 0; return what was subtracted, means and variances.

    The means are those of the result, and 0 without an intercept. Variances that are rounding are 0.
    """
    counts = np.diff(columns.indptr)
    mean = bias * (columns @ share)
    taken = np.where(counts == len(share), mean, 0.0)
    columns.data -= np.repeat(taken, counts).astype(columns.dtype)
    mean -= taken
    squares = sparse.csr_array((columns.data.astype(DOUBLE), columns.indices, columns.indptr), columns.shape)
    squares.data -= np.repeat(mean, counts)
    squares.data *= squares.data
    variance = squares @ share
    squares.data[:] = 1.0
    variance += np.maximum(1.0 - squares @ share, 0.0) * mean * mean
    return taken, mean, np.where(is_varying(variance, mean + taken), variance, 0.0)
