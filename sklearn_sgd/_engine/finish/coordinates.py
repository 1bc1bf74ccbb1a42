"""The minimum of the squared error of sparse rows with an L1 term or bounds, by coordinate descent.

A step moves one coefficient to the minimum over it. It reads the entries of one column, and needs no length. Rounds
over all columns find those that matter, and rounds over the coefficients that are not 0 cost little where few are.
Where these are slow, since columns are correlated, covariances lead to the minimum over them.

References
----------
Friedman, J., Hastie, T. and Tibshirani, R., "Regularization paths for generalized linear models via coordinate
descent", Journal of Statistical Software 33, 2010.
"""

from typing import Any

import numpy as np
from scipy import sparse

from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.proximal_minimum import STEPS, proximal_minimum
from sklearn_sgd._engine.automatic.statistics import is_varying
from sklearn_sgd._engine.finish.working_set import Among, is_sparse_least_squares, minimum_of_sets
from sklearn_sgd._engine.passes.rows import as_rows
from sklearn_sgd._engine.passes.without_plan import coordinates
from sklearn_sgd._engine.plan import DOUBLE, Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import take

# Maximum numbers of readings of X, and of rounds. Those over the coefficients that are not 0 are repeated while they
# gain more than this share of what the round over all columns did.
READINGS, ROUNDS, SHARE = 100, 1000, 0.1

# Rounds over the same coefficients after which covariances lead to the minimum over them; multiplications for each
# entry of X that these may take; share of entries from which columns are dense.
SLOW, WORTH, FILLED = 5, 1000, 0.1

# What may be missing at the end, as a share of what is enough: coefficients of 0 show later than the minimum. A working
# set that gains less is the last one.
LITTLE = 0.01

# Number of entries whose squares are summed together, column by column.
BLOCK = 1 << 20

# Numbers of columns, as the driver takes them.
NUMBER = np.dtype(np.uint32)


def is_by_coordinates(plan: Plan) -> bool:
    """Return whether coordinate descent applies: to sparse rows here, with a penalty whose steps are known."""
    is_sparse = plan.normal is None and sparse.issparse(plan.X) and is_sparse_least_squares(plan)
    return is_sparse and plan.formulas.penalty.bounded_terms is not None


def minimum_with_zeros(plan: Plan, constant: float, enough: float) -> tuple[np.ndarray | None, float, float | None]:
    """Return parameters at the minimum by columns of sparse rows, and by working sets, if these reach it.

    Steps by columns end slowly where few coefficients are not 0 and their columns are correlated. Sets begin there.
    The second value is the least objective that they found, the third what the latter half of the rounds gained, if
    only these have led to the parameters, and not to the minimum.
    """
    start, gain = coordinate_minimum(plan, enough) if is_by_coordinates(plan) else (None, None)
    w, least = minimum_of_sets(plan, constant, LITTLE * enough, start)
    return (w, least, None) if start is None or w is not None else (start, least, gain)


def coordinate_minimum(plan: Plan, enough: float) -> tuple[np.ndarray | None, float | None]:
    """Return parameters at most ``enough`` above the minimum; None if they are out of range.

    If `READINGS` of X do not lead there, the second value is what the latter half of the rounds gained, else None.
    """
    with np.errstate(all="ignore"):
        problem, little = Coordinates(plan), LITTLE * enough
        problem.take_parabola(problem.share, problem.columns.T @ problem.w - problem.y)
        gains, missing = problem.minimise(little)
        w = problem.parameters(-problem.shift[0])
    count_rows(int(problem.readings * plan.n_rows))
    return (w if np.isfinite(w).all() else None), (None if missing <= little else sum(gains[len(gains) // 2 :]))


def gains_to_come(gains: list[float]) -> float:
    """Return what rounds will still gain if each gains the same share of the one before; infinity if it is not less."""
    before, gain = gains[-2:] if len(gains) > 1 else 2 * gains
    return gain * gain / (before - gain) if gain < before else np.inf if gain else 0.0


class Coordinates:
    """Coefficients, from those of 0 on, or the bounds next to it; and what their steps need to know.

    The steps are those of a parabola for each row, `take_parabola`. Columns without gaps, which may be far from 0, are
    ``taken`` off. ``share`` are the weights of the rows, with the sum 1.
    """

    # Number of readings of X so far.
    readings = 0.0

    def __init__(self, plan: Plan):
        rows, p, known = plan.data.rows, plan.X.shape[1], plan.formulas.penalty.bounded_terms
        assert known
        X, y, weight = (
            each if plan.row_indices is None or not each.shape[0] else take(each, plan.row_indices)
            for each in (plan.X, plan.data.y, plan.data.weight)
        )
        share = (weight if weight.shape[0] else np.ones(plan.n_rows)).astype(DOUBLE)
        self.y, self.share = y.astype(DOUBLE), share / share.sum()
        self.columns, self.bias = by_columns(X), float(rows.bias)
        self.taken = centre(self.columns, self.share, self.bias)
        self.mean = 0.0 if rows.mean is None else rows.mean.astype(DOUBLE)
        self.w = np.zeros(p)
        self.w[:] = plan.parts.penalty.prox(self.w, 0.0, ...)
        self.shares = np.diff(self.columns.indptr) / max(1, self.columns.nnz)
        self.penalty, self.bounded = plan.parts.penalty, known.terms._asdict()
        self.bounded |= {"low": np.full(p, known.low, DOUBLE), "high": np.full(p, known.high, DOUBLE)}

    def take_parabola(self, share: np.ndarray, rest: np.ndarray) -> None:
        """Set what is minimised: ``share / 2`` times the squares of ``rest``, which the coefficients move.

        For the squared error ``rest`` are the predictions less the targets, without the intercept.
        """
        self.root, self.of_rows = float(share.sum()) ** 0.5, share
        mean, self.variance = moments(self.columns, share, self.bias, self.taken)
        self.sums = self.root * mean
        self.rest, self.shift = rest, np.full(1, self.bias * (share @ rest) / self.root)
        values = {"share": share, "mean": self.sums, "variance": self.variance, **self.bounded}
        values |= {"w": self.w, "rest": self.rest, "shift": self.shift}
        self.round_over = coordinates(as_rows(self.columns, False), values)

    def minimise(self, little: float, part: float = 0.0) -> tuple[list[float], float]:
        """Make rounds up to `READINGS` of X; return what they gained, and what is missing.

        They end where at most ``little``, or a part of what they have gained, is missing.
        """
        whole = chosen = np.flatnonzero(self.variance > 0.0).astype(NUMBER)
        gains: list[float] = []
        missing, least, rounds, most = np.inf, 0.0, 0, self.readings + READINGS
        while missing > max(little, part * sum(gains)) and self.readings < most and len(gains) < ROUNDS:
            gains.append(self.round_over(chosen))
            self.readings += self.shares[chosen].sum()
            to_come, rounds = gains_to_come(gains), rounds + 1
            if chosen is whole:
                missing, least, chosen, rounds = to_come, SHARE * gains[-1], np.flatnonzero(self.w).astype(NUMBER), 0
            elif to_come <= max(little, part * sum(gains)) or gains[-1] <= least:
                chosen = whole
            elif rounds == SLOW and len(chosen) ** 2 * sum(self.columns.shape) <= WORTH * self.columns.nnz:
                gains[-1] += self.go_to_minimum(chosen)
                chosen = whole
        return gains, missing

    def go_to_minimum(self, chosen: np.ndarray) -> float:
        """Move some coefficients to the minimum over all of them, by their covariances; return what it gains."""
        columns, before = self.columns[chosen].astype(DOUBLE), self.value()
        some, mean = self.w[chosen], self.sums[chosen]
        self.readings += self.shares[chosen].sum()
        if columns.nnz > FILLED * len(chosen) * columns.shape[1]:
            columns = columns.toarray()
        weighted = columns * self.of_rows
        covariance = weighted @ columns.T
        covariance = (covariance.toarray() if sparse.issparse(covariance) else covariance) - np.outer(mean, mean)
        slope = weighted @ self.rest - mean * self.shift
        parabola = NormalMatrix(covariance, covariance @ some - slope, self.of_rows @ self.rest**2, 0.0)
        penalty = Among(self.penalty, chosen, len(self.w))
        found = proximal_minimum(parabola, penalty, np.append(some, 0.0), 0.0, STEPS[:2])[:-1]
        self.w[chosen] = found
        self.rest += columns.T @ (found - some)
        self.shift += mean @ (found - some)
        return before - self.value()

    def value(self) -> float:
        """Return the objective of the parabolas."""
        squares = self.of_rows @ (self.rest * self.rest) - float(self.shift[0]) ** 2
        terms = self.bounded["ridge"] * (self.w @ self.w) + 2.0 * self.bounded["lasso"] * np.sum(np.abs(self.w))
        return 0.5 * float(squares + terms)

    def parameters(self, intercept: float) -> np.ndarray:
        """Return the coefficients and the intercept, for rows centred as those of the plan are."""
        return np.append(self.w, self.bias * (np.sum((self.mean - self.taken) * self.w) + intercept))


def by_columns(X: Any) -> Any:
    """Return a copy whose rows are the columns of X; those of dense X have no gaps."""
    if sparse.issparse(X):
        return X.T.tocsr()
    (n, p), data = X.shape, X.T.flatten()
    # Offsets of another type would let SciPy copy the row numbers.
    rows, offsets = np.tile(np.arange(n, dtype=np.int32), p), n * np.arange(p + 1, dtype=np.int32)
    return sparse.csr_array((data, rows, offsets), shape=(p, n))


def centre(columns: Any, share: np.ndarray, bias: float) -> np.ndarray:
    """Centre the columns without gaps, which may be far from 0; return what was subtracted."""
    counts = np.diff(columns.indptr)
    taken = np.where(counts == len(share), bias * (columns @ share), 0.0)
    for column in np.flatnonzero(taken):
        columns.data[slice(*columns.indptr[column : column + 2])] -= taken[column]
    return taken


def moments(columns: Any, share: np.ndarray, bias: float, taken: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means, 0 without an intercept, and sums of weighted squares about them; those that are rounding are 0."""
    weight = share.sum()
    mean, variance = bias * (columns @ share) / weight, np.empty(columns.shape[0])
    size = max(1, BLOCK * columns.shape[0] // max(1, columns.nnz))
    for start in range(0, len(mean), size):
        some, of_some = slice(start, start + size), mean[start : start + size]
        squares = columns[some].astype(DOUBLE)
        squares.data -= np.repeat(of_some, np.diff(squares.indptr))
        squares.data *= squares.data
        variance[some] = squares @ share
        squares.data[:] = 1.0
        variance[some] += np.maximum(weight - squares @ share, 0.0) * of_some * of_some
    return mean, np.where(is_varying(variance / weight, mean + taken), variance, 0.0)
