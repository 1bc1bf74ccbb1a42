"""The minimum with many columns where only gradients of all rows are at hand: proximal steps with momentum.

Rows in other processes or on a device show no single columns, and covariances of many columns take too long. The
distance to the minimum falls with the square of the number of steps, at least, also where columns are correlated. The
momentum ends where it leads upwards.

References
----------
Beck, A. and Teboulle, M., "A fast iterative shrinkage-thresholding algorithm for linear inverse problems", SIAM Journal
on Imaging Sciences 2, 2009.
O'Donoghue, B. and Candès, E., "Adaptive restart for accelerated gradient schemes", Foundations of Computational
Mathematics 15, 2015.
"""

import numpy as np

from sklearn_sgd._engine.automatic.statistics import FULL
from sklearn_sgd._engine.finish.coordinates import gains_to_come
from sklearn_sgd._engine.finish.proximal_newton import is_by_parabolas
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import dtype_of, is_foreign

# Maximum number of readings of X; number of steps before which they do not end.
READINGS, LEAST = 500, 20

# Factors of the curvature after a step and after one that was too long; rounding errors of a loss, in precisions of X.
LESS, MORE, ROUNDING = 0.9, 2.0, 8.0


def is_accelerated(plan: Plan) -> bool:
    """Return whether such steps apply: if slopes have no jumps, and no parabola of all rows is known.

    With a smooth penalty, rows here show directions that hardly vary. The squared error has other steps then, and of
    sparse rows without a penalty the minimum would be one of noise.
    """
    formulas, is_wide = plan.formulas, plan.X.shape[1] > FULL
    if plan.preconditioner is None or formulas.has_kinks or is_by_parabolas(plan):
        return False
    if formulas.is_smooth:
        is_elsewhere = plan.is_remote or is_foreign(plan.X)
        is_noise = formulas.is_unpenalised and plan.preconditioner.filled is not None
        return is_wide and is_elsewhere and not (formulas.is_quadratic or is_noise)
    return is_wide or not formulas.pulls_linearly


def accelerated_minimum(
    plan: Plan, state: State, constant: float, enough: float, limit: Limit
) -> tuple[np.ndarray, float | None]:
    """Return the best parameters of the steps, and what is missing, if it may be more than ``enough``.

    It is not where the latter half of the steps gained less. Otherwise it follows from what both quarters of that half
    gained. The steps begin at the average of a state, or at the constant if the objective is less there.
    """
    descent = Accelerated(plan)
    starts = state.vectors.average.astype(np.float64), np.append(np.zeros(plan.X.shape[1]), constant)
    with np.errstate(all="ignore"):
        descent.begin(*starts)
        values, gained = [descent.least], np.inf
        while gained > enough and descent.readings < READINGS and not limit.is_over():
            if not descent.step():
                break
            values.append(descent.least)
            gained = values[len(values) // 2] - values[-1] if len(values) > LEAST else np.inf
        quarter = max(1, len(values) // 4)
        gains = -np.diff(values[::-quarter][:3][::-1])
    return descent.best, gains_to_come(gains.tolist()) if gained > enough and len(gains) else None


class Accelerated:
    """Parameters, those from which the next step starts, and the best ones. Columns have variance 1 in the steps."""

    def __init__(self, plan: Plan):
        self.plan, self.penalty, self.bias = plan, plan.parts.penalty, float(plan.data.rows.bias)
        self.rows = all_rows(plan)(plan.data, plan.used, plan.parts.loss)
        assert plan.preconditioner is not None
        self.scale = np.append(plan.preconditioner.diagonal, self.bias)
        self.inverse = np.divide(1.0, self.scale, out=np.zeros_like(self.scale), where=self.scale > 0.0)
        self.dtype, self.readings, self.least = dtype_of(plan.X), 0, np.inf

    def loss(self, w: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Return the mean loss, the mean squared slope and the gradient, and note the best parameters."""
        self.readings += 1
        losses, squares, g = self.rows.gradient(w.astype(self.dtype))
        return losses / self.plan.n_rows, squares / self.plan.n_rows, g

    def note(self, w: np.ndarray, loss: float) -> None:
        """Keep parameters if they are the best ones."""
        objective = loss + self.plan.penalty_value(w)
        if objective < self.least:
            self.best, self.least = w, objective

    def begin(self, *starts: np.ndarray) -> None:
        """Start at the best of some parameters, with a curvature that follows from losses and slopes there."""
        for w in starts:
            w[:-1] = self.penalty.prox(w[:-1], 0.0, ...)
            loss, squares, _ = self.loss(w)
            self.note(w, loss)
            if w is self.best:
                self.curvature = squares / max(2.0 * loss, 1e-300)
        self.w = self.start = self.best
        self.momentum = 1.0

    def step(self) -> bool:
        """Make a step; return whether one was found."""
        start = self.start
        loss, _, g = self.loss(start)
        pull = np.append(self.penalty.gradient(start[:-1]) + np.zeros(len(start) - 1), 0.0)
        rounding = ROUNDING * float(np.finfo(self.dtype).eps) * abs(loss)
        while self.readings < READINGS and 0.0 < self.curvature < np.inf:
            lengths = self.scale / self.curvature
            w = start - lengths * (g + pull)
            w[:-1] = self.penalty.prox(w[:-1], lengths[:-1], ...)
            d, there = w - start, self.loss(w)[0]
            bend = there - loss - g @ d
            bend += 0.5 * d[:-1] @ (self.penalty.gradient(w[:-1]) - pull[:-1])
            if bend <= 0.5 * self.curvature * (d @ (self.inverse * d)) + rounding:
                self.note(w, there)
                self._continue(w)
                return True
            self.curvature *= MORE
        return False

    def _continue(self, w: np.ndarray) -> None:
        """Go on from these parameters, with the momentum of the last move, unless the step went back."""
        move, before = w - self.w, self.momentum
        goes_back = (self.start - w) @ (self.inverse * move) > 0.0
        self.momentum = 1.0 if goes_back else 0.5 * (1.0 + (1.0 + 4.0 * before * before) ** 0.5)
        share = 0.0 if goes_back else (before - 1.0) / self.momentum
        self.w, self.start = w, w + share * move
        self.curvature *= LESS
