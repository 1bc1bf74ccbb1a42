"""When to stop, and what to keep: a consumer of epochs."""

import numpy as np
from scipy.optimize import brentq

from sklearn_sgd._engine.loop import Epoch
from sklearn_sgd._engine.plan import Plan, State

# Rows that the best constant is searched on, and rows of a block in a pass over all of them.
SAMPLE, BLOCK = 10_000, 65_536

# The "adaptive" rate is divided by this when progress stalls, until it is below the smallest.
DIVISOR, SMALLEST = 5.0, 1e-6


class Stopping:
    """Counts epochs without progress: of the objective, or of a score on held-out rows, whose best parameters it keeps.

    ``tol`` is in units of ``scale``, None to go on whatever happens.
    """

    def __init__(self, tol, patience: int, scale: float, smallest_rate_factor: float, score=None):
        self.margin = None if tol is None else tol * scale
        self.patience = patience
        self.smallest_rate_factor = smallest_rate_factor
        self.score = score
        self.scores: list[float] = []
        self.best = np.inf
        self.best_vectors = None
        self.stalled = 0

    def reason(self, epoch: Epoch, state: State) -> str | None:
        """Why to stop after this epoch, if so; an adaptive rate that can still fall falls instead."""
        if not epoch.finite:
            return "diverged"
        current = epoch.loss + epoch.penalty
        if self.score:
            self.scores.append(self.score(state.vectors.average))
            current = -self.scores[-1]
        stalled = self.margin is not None and current > self.best - self.margin
        self.stalled = self.stalled + 1 if stalled else 0
        if current < self.best:
            self.best = current
            self.best_vectors = state.vectors.copy() if self.score else None
        if self.stalled < self.patience:
            return None
        if state.rate_factor > self.smallest_rate_factor:
            state.rate_factor /= DIVISOR
            self.stalled = 0
            return None
        return "early_stopping" if self.score else "tol"


def constant_loss(plan: Plan) -> float:
    """Mean loss of the best constant that the model can predict: 0 for one without intercept."""
    loss, (rows, y, weight) = plan.parts.loss, plan.data
    kept = np.arange(len(y)) if plan.kept is None else plan.kept
    constant = 0.0
    if rows.bias:
        some = kept[np.linspace(0, len(kept) - 1, min(len(kept), SAMPLE)).astype(int)]
        constant = _best_constant(loss, y[some], weight[some] if weight.size else 1.0)
    return mean_loss(plan, lambda block: constant)


def training_loss(plan: Plan, w: np.ndarray) -> float:
    """Mean loss of parameters on the rows that they were fitted on."""
    rows = plan.data.rows
    return mean_loss(plan, lambda block: rows.matrix(block) @ w[:-1] + rows.bias * w[-1])


def mean_loss(plan: Plan, predict) -> float:
    """Mean loss of raw predictions, asked for block by block of row numbers."""
    y, weight = plan.data.y, plan.data.weight
    kept = np.arange(len(y)) if plan.kept is None else plan.kept
    total = total_weight = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(kept), BLOCK):
            block = kept[start : start + BLOCK]
            s = weight[block] if weight.size else np.ones(len(block))
            total += float(np.sum(s * plan.parts.loss.value(y[block], predict(block)), dtype=np.float64))
            total_weight += float(s.sum(dtype=np.float64))
    return total / total_weight


def _best_constant(loss, y: np.ndarray, weight) -> float:
    """Minimiser of a convex loss over constants: where the mean slope changes sign."""
    low, high = float(y.min()), float(y.max())

    def slope(p):
        return float(np.sum(weight * loss.gradient(y, p), dtype=np.float64))

    if slope(low) >= 0.0:
        return low
    if slope(high) <= 0.0:
        return high
    return brentq(slope, low, high, xtol=max(1e-9 * (high - low), 1e-300), disp=False)
