"""The best constant prediction: what progress is measured by, and what a fit must not end worse than."""

import numpy as np
from scipy.optimize import brentq

# Rows that the best constant is searched on, and rows of a block in a pass over all of them.
SAMPLE, BLOCK = 10_000, 4096


def best_constant(loss, data, kept: np.ndarray | None) -> float:
    """The constant of least loss that the model can predict: 0 for one without intercept."""
    n = len(data.y) if kept is None else len(kept)
    if not data.rows.bias or not n:
        return 0.0
    some = np.linspace(0, n - 1, min(n, SAMPLE)).astype(int)
    some = some if kept is None else kept[some]
    y, weight = data.y[some].astype(np.float64), data.weight[some] if data.weight.size else 1.0
    low, high = float(y.min()), float(y.max())

    def slope(p):
        return float(np.sum(weight * loss.gradient(y, p), dtype=np.float64))

    if slope(low) >= 0.0:
        return low
    if slope(high) <= 0.0:
        return high
    return float(brentq(slope, low, high, xtol=max(1e-9 * (high - low), 1e-300), disp=False))


def constant_loss(loss, data, kept: np.ndarray | None) -> float:
    """Mean loss of the best constant."""
    constant = best_constant(loss, data, kept)
    return _mean_loss(loss, data, kept, lambda block: constant)


def training_loss(loss, data, kept: np.ndarray | None, w: np.ndarray) -> float:
    """Mean loss of parameters."""
    rows, offset = data.rows, data.rows.offset(w)
    return _mean_loss(loss, data, kept, lambda block: rows.matrix(block) @ w[:-1] + rows.bias * w[-1] + offset)


def _mean_loss(loss, data, kept, predict) -> float:
    """Mean loss of raw predictions, asked for block by block."""
    n = len(data.y) if kept is None else len(kept)
    total = total_weight = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, n, BLOCK):
            block = slice(start, start + BLOCK) if kept is None else kept[start : start + BLOCK]
            y = data.y[block].astype(np.float64)
            s = data.weight[block] if data.weight.size else np.ones(len(y))
            total += float(np.sum(s * loss.value(y, predict(block)), dtype=np.float64))
            total_weight += float(s.sum(dtype=np.float64))
    return total / total_weight
