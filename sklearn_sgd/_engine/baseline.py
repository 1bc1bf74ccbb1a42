"""The best constant prediction: what progress is measured by, and what a fit must not end worse than."""

from collections.abc import Iterator

import numpy as np
from scipy.optimize import brentq

from sklearn_sgd.losses import SquaredError

# Rows that the best constant is searched on, targets among which the search starts, and rows of a block in a pass over
# all of them.
SAMPLE, CANDIDATES, BLOCK = 10_000, 32, 4096

# Share up to which two sums may differ by rounding.
CLOSE = 1e-12

# Share of the typical residual aside of which the curvature of a loss is taken; spread of first predictions, likewise.
ASIDE, SPREAD = 0.01, 0.1


def best_constant(loss, data, used) -> float:
    """The raw constant of least loss on some rows that the model can predict: 0 for one without intercept."""
    y, weight = data.y[used].astype(np.float64), data.weight[used] if data.weight.size else np.ones(data.y[used].shape)
    if not data.rows.bias or not len(y):
        return 0.0
    if isinstance(loss, SquaredError):
        return float(np.clip(weight @ y / weight.sum(dtype=np.float64), y.min(), y.max()))
    some = np.linspace(0, len(y) - 1, min(len(y), SAMPLE)).astype(int)
    y, weight = y[some], weight[some]
    order = np.argsort(y)
    mass = np.cumsum(weight[order])
    some = np.searchsorted(mass, np.linspace(0.0, mass[-1], CANDIDATES))
    candidates = np.unique(y[order[np.minimum(some, len(y) - 1)]])
    if hasattr(loss, "link"):
        candidates = loss.link(candidates)

    def slope(p):
        slopes = weight * loss.gradient(y, p)
        total = float(np.sum(slopes, dtype=np.float64))
        return total if abs(total) > CLOSE * np.sum(abs(slopes)) else 0.0

    # Not convex, a loss may have minima elsewhere: the search is around the best candidates, as many as are as good.
    values = np.array([weight @ loss.value(y, p) for p in candidates])
    good = np.flatnonzero(values <= (1.0 + CLOSE) * values.min())
    best, low, high = (float(candidates[i]) for i in (good[0], max(good[0] - 1, 0), min(good[-1] + 1, len(values) - 1)))
    if not slope(low) < 0.0 < slope(high):
        return best
    root = float(brentq(slope, low, high, xtol=max(1e-14 * (high - low), 1e-300), disp=False))
    return root if weight @ loss.value(y, root) <= (1.0 + CLOSE) * values.min() else best


def typical_residual(loss, data, used, z) -> float:
    """A residual of about the size that the predictions z have for some rows."""
    y, weight = data.y[used].astype(np.float64), data.weight[used] if data.weight.size else None
    slope = np.average(np.abs(loss.gradient(y, z)), weights=weight)
    return float(np.average(loss.value(y, z), weights=weight) / max(slope, 1e-300))


def first_direction(loss, data, kept, X, mean: np.ndarray, constant: float, geometry) -> np.ndarray:
    """Coefficients to start from beside a constant: down the gradient, in the geometry, until predictions are spread.

    The gradient is that of the loss smoothed over a typical residual. A constant that many targets share is a kink of
    the loss itself, which no exact descent leaves.
    """
    size = typical_residual(loss, data, slice(None) if kept is None else kept, constant)
    g, total = np.zeros(X.shape[1]), 0.0
    for block in _blocks(data, kept):
        y, s = data.y[block].astype(np.float64), data.weight[block] if data.weight.size else 1.0
        slopes = s * (loss.gradient(y, constant - size) + loss.gradient(y, constant + size))
        g += slopes @ X[block] - slopes.sum() * mean
        total += len(y)
    g /= total
    d = geometry.inverse * g if geometry.inverse.ndim == 1 else geometry.inverse @ g
    return -SPREAD * size / np.sqrt(max(float(d @ g), 1e-300)) * d


def constant_loss(loss, data, kept: np.ndarray | None) -> float:
    """Mean loss of the best constant."""
    constant = best_constant(loss, data, slice(None) if kept is None else kept)
    return _mean_loss(loss, data, kept, lambda block: constant)


def training_loss(loss, data, kept: np.ndarray | None, X, coef: np.ndarray, intercept: float) -> float:
    """Mean loss of a model on the rows of X that it was fitted on."""
    return _mean_loss(loss, data, kept, lambda block: X[block] @ coef + intercept)


def _predict(rows, block, w: np.ndarray) -> np.ndarray:
    """Raw predictions for some rows."""
    return rows.matrix(block) @ w[:-1] + rows.bias * w[-1] + rows.offset(w)


def _blocks(data, kept: np.ndarray | None) -> Iterator:
    """The rows, block by block."""
    n = len(data.y) if kept is None else len(kept)
    for start in range(0, n, BLOCK):
        yield slice(start, start + BLOCK) if kept is None else kept[start : start + BLOCK]


def row_curvatures(loss, data, kept: np.ndarray | None, w: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights of rows by the curvature of their losses at w, and its mean.

    ``slope**2 / (2 * loss)``: the curvature of the parabola with the same slope and value, and a minimum of 0; taken at
    both sides of the prediction, at a small share of the typical residual, to see a kink for what it is.
    """
    z, weight, sums = np.empty(len(data.y)), np.zeros(len(data.y)), np.zeros(4)
    for block in _blocks(data, kept):
        z[block] = _predict(data.rows, block, w)
        weight[block] = data.weight[block] if data.weight.size else 1.0
        y = data.y[block].astype(np.float64)
        slope = loss.gradient(y, z[block])
        sums += [weight[block] @ some for some in (np.ones(len(y)), loss.value(y, z[block]), abs(slope), slope * slope)]
    total, value, slope, squares = sums
    aside, size = ASIDE * value / max(slope, 1e-300), np.sqrt(squares / total)
    mean = 0.0
    for block in _blocks(data, kept):
        y, curvature = data.y[block].astype(np.float64), 0.0
        for p in (z[block] - aside, z[block] + aside):
            slopes = loss.gradient(y, p)
            curvature += 0.25 * slopes * slopes / np.maximum(loss.value(y, p), max(aside * size, 1e-300))
        weight[block] *= curvature
        mean += weight[block].sum() / total
    if not 0.0 < mean < np.inf:
        return data.weight, 1.0
    weight /= mean
    return weight, mean


def _mean_loss(loss, data, kept, predict) -> float:
    """Mean loss of raw predictions, asked for block by block."""
    total = total_weight = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for block in _blocks(data, kept):
            y = data.y[block].astype(np.float64)
            s = data.weight[block] if data.weight.size else np.ones(len(y))
            total += float(np.sum(s * loss.value(y, predict(block)), dtype=np.float64))
            total_weight += float(s.sum(dtype=np.float64))
    return total / total_weight
