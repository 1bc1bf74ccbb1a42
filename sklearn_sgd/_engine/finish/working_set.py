"""The minimum of the squared error with a penalty that makes zeros, where there are too many columns for covariances.

Most coefficients are 0 there. So the minimum is sought over a set of columns, to which those are added whose
coefficients the gradient moves away from 0, until there are none.

References
----------
Massias, M., Gramfort, A. and Salmon, J., "Celer: a fast solver for the lasso with dual extrapolation", ICML 2018.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.proximal_minimum import STEPS, proximal_minimum
from sklearn_sgd._engine.automatic.statistics import BUDGET, measure, most_affordable
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._namespace import dtype_of, is_foreign

# Maximum number of sets; number of columns in the first one; largest ratio of a set to the non-zero coefficients,
# which is small since the columns that a set has too much return to 0 one by one; rounds of steps in each set.
SETS, FIRST, GROWTH, ROUNDS = 50, 50, 1.1, 2

# Multiplications for each entry of X that covariances may take where the search begins near the minimum.
AGAIN = 100


@dataclass(frozen=True)
class Among:
    """A penalty on the coefficients of some columns, which may have a number for each of all columns."""

    penalty: Any
    columns: np.ndarray
    n_columns: int

    def value(self, w: np.ndarray) -> np.ndarray:
        """Return the cost of each coefficient."""
        return self._of_some(self.penalty.value, w)

    def gradient(self, w: np.ndarray) -> np.ndarray:
        """Return the slope of the smooth part."""
        return self._of_some(self.penalty.gradient, w)

    def prox(self, w: np.ndarray, rate: Any, j: Any = ...) -> np.ndarray:
        """Return the coefficients after a proximal step."""
        return self.penalty.prox(w, rate, self.columns)

    def _of_some(self, formula: Callable, w: np.ndarray) -> np.ndarray:
        whole = np.zeros(self.n_columns)
        whole[self.columns] = w
        return np.broadcast_to(formula(whole), whole.shape)[self.columns]


def is_sparse_least_squares(plan: Plan) -> bool:
    """Return whether the automatic step minimises the squared error, with a penalty that makes zeros."""
    return plan.preconditioner is not None and plan.formulas.is_least_squares and not plan.formulas.is_smooth


def minimum_of_sets(
    plan: Plan, constant: float, enough: float, start: np.ndarray | None = None
) -> tuple[np.ndarray | None, float]:
    """Return parameters at the minimum, and the least objective found; no parameters where the search is given up.

    It begins at the parameters ``start``, near the minimum, or else at coefficients of 0 or the bounds next to it.
    It ends when another set gains less than ``enough``, in units of the objective. It is given up if too many
    coefficients are not 0, if rounding hides the way, after `SETS` sets, or when covariances have taken too many
    multiplications. In each set only the first steps are made: a rough minimum shows the next set as well. Single
    columns of samples in other processes or on a device are not taken.
    """
    if plan.is_remote or is_foreign(plan.X):
        return None, np.inf
    rows, penalty, dtype = all_rows(plan)(plan.data, plan.used, plan.parts.loss), plan.parts.penalty, dtype_of(plan.X)
    w = np.append(penalty.prox(np.zeros(plan.X.shape[1]), 0.0, ...), plan.data.rows.bias * constant)
    w = w if start is None else start.copy()
    last, before, budget = w, np.inf, BUDGET if start is None else float(AGAIN * plan.n_entries)
    for _ in range(SETS):
        losses, _, g = rows.gradient(w.astype(dtype))
        objective = losses / plan.n_rows + plan.penalty_value(w)
        if not before - objective > enough:
            end = w if objective <= before else last if objective <= before + enough else None
            return end, min(objective, before)
        columns, before, last = _next_set(plan, w[:-1], g[:-1]), objective, w.copy()
        if columns is None:
            break
        if not len(columns):
            return w, objective
        budget -= plan.n_rows * len(columns) ** 2
        if budget < 0.0:
            break
        found, some = measure(plan.X[:, columns], plan.row_indices, plan.data.weight, True), w[columns]
        curved = NormalMatrix.of_curvature(found, 1.0, 0.0 if plan.data.rows.bias else found.mean)
        parabola, among = curved.at(some, g[columns], objective), Among(penalty, columns, len(w) - 1)
        some = proximal_minimum(parabola, among, np.append(some, 0.0), 0.0, STEPS[:ROUNDS], dtype)
        w[columns] = some[:-1]
        w[-1] -= g[-1]
    return None, before


def _next_set(plan: Plan, w: np.ndarray, g: np.ndarray) -> np.ndarray | None:
    """Return the columns of the next set; none if no coefficient moves, None if there would be too many columns."""
    length, penalty = plan.preconditioner.diagonal, plan.parts.penalty  # type: ignore[union-attr]
    moves = np.abs(penalty.prox(w - length * (g + penalty.gradient(w)), length, ...) - w)
    moves = np.divide(moves, np.sqrt(length), out=np.zeros_like(moves), where=length > 0.0)
    kept, others = np.flatnonzero(w), np.flatnonzero((moves > 0.0) & (w == 0.0))
    size = min(most_affordable(plan.n_rows), max(FIRST, int(GROWTH * len(kept))))
    if size < len(kept) + min(len(others), 1):
        return None
    largest = others[np.argsort(-moves[others], kind="stable")[: size - len(kept)]]
    return np.sort(np.concatenate([kept, largest])) if moves.any() else kept[:0]
