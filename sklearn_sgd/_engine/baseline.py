"""The best constant prediction: the unit of progress, and a bound for the loss of a fit."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.sparse import issparse

from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import doubled, host, is_foreign, like, namespace, scratch_rows, summed, take, total
from sklearn_sgd._ops import clip
from sklearn_sgd._parts import best_prediction

# Number of samples for the search of the best constant, of candidates at its start, of rows in a block, and of targets
# without their rows.
SAMPLE, CANDIDATES, BLOCK, TARGETS = 10_000, 32, 4096, 1 << 14

# Bytes of rows that are copied together, by their numbers: they fit into a cache.
COPIED = 1 << 19

# Largest relative difference of two sums that rounding may cause.
CLOSE = 1e-12

# In a typical residual, the mean loss is at most this multiple of the power mean of the losses; and how many square
# roots make the power.
OUTLIER, ROOTS = 10.0, 5

# Square from which on no quotient of squares is limited.
LEAST = 1e-296

# Distance of raw predictions from their limits, for a loss with a link; largest size of a target that counts as 0, in
# units of the mean; and relative difference of two slopes that belong to a straight line.
FREE, NEGLIGIBLE, STRAIGHT = 2.0, 1e-3, 1e-6

# Spread of the first predictions, in units of the typical residual.
SPREAD = 0.1


def best_constant(formulas: Formulas, data, used, nears_constant: bool = False) -> float:
    """The best constant raw prediction for some rows; 0 for a model without intercept, unless it comes near to one."""
    return constant_beside(formulas, data, used) if data.rows.bias or nears_constant else 0.0


def constant_beside(formulas: Formulas, data, used) -> float:
    """The best constant raw prediction for some rows, whether or not the model has an intercept."""
    if isinstance(data.rows, RemoteRows):
        return data.rows.best_constant(formulas)
    y, weight = doubled(take(data.y, used)), doubled(take(data.weight, used)) if data.weight.shape[0] else None
    return constant_of(formulas, y, weight) if y.shape[0] else 0.0


def constant_of(formulas: Formulas, y, weight, close: float = 1e-14) -> float:
    """The best constant raw prediction for targets and weights (None: all 1), in double precision.

    Where it is between two of the candidates, it is found to a share ``close`` of their distance.
    """
    loss = formulas.parts.loss
    if formulas.is_quadratic:
        return mean_target(y, weight)
    some = np.linspace(0, y.shape[0] - 1, min(y.shape[0], SAMPLE)).astype(int)
    y, weight = host(take(y, some)), np.ones(len(some)) if weight is None else host(take(weight, some))
    order = np.argsort(y)
    mass = np.cumsum(weight[order])
    some = np.searchsorted(mass, np.linspace(0.0, mass[-1], CANDIDATES))
    candidates = best_prediction(loss, np.unique(y[order[np.minimum(some, y.shape[0] - 1)]]))

    def slope(p):
        slopes = weight * loss.gradient(y, p)
        total = float(np.sum(slopes, dtype=np.float64))
        return total if abs(total) > CLOSE * np.sum(abs(slopes)) else 0.0

    # If the loss is not convex there may be several minima: the search is around all of the best candidates.
    values = np.array([weight @ loss.value(y, p) for p in candidates])
    if np.isnan(values).any():
        raise ValueError(
            f"{type(loss).__name__}.value is not a number for some targets and predictions in their range. Remedy: a "
            "formula for all predictions, and a method allows(y) that returns which targets are allowed."
        )
    good = np.flatnonzero(values <= values.min() + CLOSE * abs(values.min()))
    best, low, high = (float(candidates[i]) for i in (good[0], max(good[0] - 1, 0), min(good[-1] + 1, len(values) - 1)))
    if not slope(low) < 0.0 < slope(high):
        return best
    root = float(brentq(slope, low, high, xtol=max(close * (high - low), 1e-300), disp=False))
    return root if weight @ loss.value(y, root) <= values.min() + CLOSE * abs(values.min()) else best


def mean_target(y, weight) -> float:
    """The weighted mean of targets (None: all weights are 1); within their range in spite of rounding."""
    mean = total(y) / y.shape[0] if weight is None else total(weight * y) / total(weight)
    return min(max(mean, float(namespace(y).min(y))), float(namespace(y).max(y)))


def typical_residual(loss, data, kept, constant: float) -> float:
    """A typical residual of a constant prediction."""
    sums = constant_sums(loss, data, kept, constant)
    return float(usual_value(sums) / max(sums[2], 1e-300))


def least_square(dtype: Any, is_quadratic: bool) -> float:
    """The smallest square with all its digits in a precision, by which steps of other losses can be divided, too."""
    return max(float(np.finfo(dtype).smallest_normal), 0.0 if is_quadratic else LEAST)


def constant_losses(loss, data, kept, constant: float) -> tuple[float, float]:
    """The mean loss of a constant, and its size without the contribution of rows with extreme losses."""
    sums = constant_sums(loss, data, kept, constant)
    return float(sums[1] / sums[0]), abs(float(usual_value(sums) / sums[0]))


def is_out_of_range(loss, mean: float) -> bool:
    """Whether targets of this mean are too small or too large for a loss with a link.

    Such a loss takes targets of 0 for small ones, and limits raw predictions. Both must be far from the mean.
    """
    if not (hasattr(loss, "link") and hasattr(loss, "inverse_link") and 0.0 < mean < np.inf):
        return False
    raw = best_prediction(loss, np.float64(mean))
    beside = [float(loss.inverse_link(raw + move)) for move in (-FREE - 1.0, -FREE, FREE, FREE + 1.0)]
    middle = np.float64(loss.inverse_link(raw))
    at_0, *slopes = (float(loss.gradient(middle * size, raw)) for size in np.arange(4.0))
    falls = -np.diff(slopes)
    is_linear = falls[0] > 0.0 and abs(falls[1] - falls[0]) <= STRAIGHT * falls[0]
    least = middle * (1.0 - (at_0 - slopes[0]) / falls[0]) if is_linear else 0.0  # The target that 0 counts as.
    return bool(beside[0] == beside[1] or beside[2] == beside[3] or least > NEGLIGIBLE * mean)


def constant_sums(loss, data, kept, constant: float) -> np.ndarray:
    """`residual_sums` of a constant prediction."""
    if isinstance(data.rows, RemoteRows):
        return data.rows.residual_sums(loss, constant)
    return host(sum(residual_sums(loss, data, block, constant) for block in _blocks(data, kept, TARGETS)))


def residual_sums(loss, data, used, z) -> Any:
    """Sums over some rows with the predictions z: of weights, losses, absolute slopes and squared slopes.

    Also, over the rows whose loss is not 0, of weights and of a root of the loss. The sums stay on the device.
    """
    y, s = targets_and_weights(data, used)
    z = z + 0.0 * y
    slope, value = loss.gradient(y, z), loss.value(y, z)
    some, root = namespace(y).where(value > 0.0, s, 0.0 * s), abs(value)
    for _ in range(ROOTS):
        root = namespace(y).sqrt(root)
    return namespace(y).stack([summed(s), s @ value, s @ abs(slope), (s * slope) @ slope, summed(some), some @ root])


def usual_value(sums: Any) -> Any:
    """The sum of losses, limited by the power mean, so that a few extremely large losses do not dominate it."""
    xp, value, weight, roots = namespace(sums), sums[1], sums[4], sums[5]
    most = OUTLIER * weight * (roots / clip(weight, 1e-300, None)) ** 2.0**ROOTS
    return xp.where(weight > 0.0, xp.minimum(value, most), value)


def targets_and_weights(data, used):
    """Targets and weights of some rows, in double precision."""
    y = doubled(take(data.y, used))
    return y, doubled(take(data.weight, used)) if data.weight.shape[0] else namespace(y).ones_like(y)


def first_direction(loss, data, kept, X, mean: np.ndarray, constant: float, preconditioner) -> np.ndarray:
    """First coefficients: a step along the preconditioned gradient, until the predictions have a small spread.

    The gradient is that of the loss smoothed over a typical residual. A constant that many targets share is a kink of
    the loss itself, from which an exact descent does not move.
    """
    size = typical_residual(loss, data, kept, constant)
    g = smoothed_gradient(loss, data, kept, X, mean, constant, size) / (X.shape[0] if kept is None else len(kept))
    d = preconditioner.apply(g)
    if not d @ g > 0.0 and preconditioner.is_full:
        # If the inverse has narrow directions, rounding may make its direction ascend; its diagonal descends.
        d = preconditioner.diagonal * g
    fall = float(d @ g)
    return -SPREAD * size / np.sqrt(fall) * d if fall > 0.0 else np.zeros_like(d)


def smoothed_gradient(loss, data, kept, X, mean: np.ndarray, constant: float, size: float) -> np.ndarray:
    """Sum over rows of the gradients for predictions above and below a constant."""
    count_rows(X.shape[0] if kept is None else len(kept))
    if isinstance(X, RemoteRows):
        return X.smoothed_gradient(loss, mean, constant, size)
    g = np.zeros(X.shape[1])
    for block in _blocks(data, kept):
        y, s = targets_and_weights(data, block)
        z = constant + 0.0 * y
        slopes = s * (loss.gradient(y, z - size) + loss.gradient(y, z + size))
        g += host(like(slopes, X) @ take(X, block)) - total(slopes) * mean
    return g


def gradient_in_double(loss, data, kept, X, mean: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Gradient of the mean loss at parameters in double precision, whatever that of X is; w[-1] is at the mean."""
    g, n_rows = np.zeros(len(w)), data.y.shape[0] if kept is None else len(kept)
    count_rows(n_rows)
    constant = float(data.rows.bias * w[-1] - mean @ w[:-1])
    # SciPy copies the entries of some sparse rows to multiply by their transpose, but not those of all.
    whole = kept is None and issparse(X) and X.dtype == np.float64
    for block in _blocks(data, kept, n_rows if whole else BLOCK):
        (y, s), rows = targets_and_weights(data, block), doubled(take(X, block))
        slopes = s * loss.gradient(y, rows @ like(w[:-1], rows) + constant)
        g[:-1] += host(slopes @ rows) - total(slopes) * mean
        g[-1] += data.rows.bias * total(slopes)
    return g / n_rows


def factor_along(data, kept, X, mean: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, float]:
    """Triangular factor of the weighted squares of rows along directions, and the total weight.

    Its singular values have all digits of the rows, where those of their squares would have half as many.
    """
    count_rows(X.shape[0] if kept is None else len(kept))
    if isinstance(X, RemoteRows):
        return X.factor_along(mean, directions)
    factor, weight = np.zeros((0, directions.shape[1])), 0.0
    for block in _blocks(data, kept):
        s = targets_and_weights(data, block)[1]
        along = less_along(doubled(take(X, block)), mean, directions)
        factor, weight = triangle((factor, along * np.sqrt(host(s))[:, None])), weight + total(s)
    return factor, weight


def less_along(rows, mean: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Rows, less their mean, along directions; differences of dense rows have all digits."""
    if issparse(rows):
        return rows @ directions - mean @ directions
    return host((rows - like(mean, rows)) @ like(directions, rows))


def triangle(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Triangular factor of the rows of all parts."""
    return np.asarray(np.linalg.qr(np.vstack(parts), mode="r"))


def constant_loss(loss, data, kept: np.ndarray | None, constant: float) -> float:
    """Mean loss of a constant."""
    if isinstance(data.rows, RemoteRows):
        return data.rows.training_loss(loss, np.zeros(data.rows.shape[1], data.rows.dtype), constant)
    return _mean_loss(loss, data, kept, lambda block, y: constant)


def training_loss(
    loss, data, kept: np.ndarray | None, X, coef: np.ndarray, intercept: float, rounding: float = 0.0
) -> float:
    """Mean loss of a model on its training rows.

    Each prediction may have an error of ``rounding`` times the sizes of its terms. It is assumed to be in favour of the
    model.
    """
    count_rows(data.y.shape[0] if kept is None else len(kept))
    if isinstance(data.rows, RemoteRows):
        return data.rows.training_loss(loss, coef, intercept, rounding)

    def predict(block, y):
        rows = take(X, block)
        z = rows @ like(coef, X) + intercept
        if not rounding:
            return z
        size = rounding * (abs(rows) @ like(abs(coef), X) + abs(intercept))
        return clip(best_prediction(loss, y), z - size, z + size)

    return _mean_loss(loss, data, kept, predict)


def raw_predictions(rows, block, w: np.ndarray) -> np.ndarray:
    """Raw predictions for some rows."""
    X = rows.matrix(block)
    return X @ like(w[:-1], X) + float(rows.bias * w[-1] + rows.offset(w))


def _blocks(data, kept: np.ndarray | None, size: int = BLOCK) -> Iterator:
    """The rows, block by block; on a device, blocks are as large as memory allows."""
    n = data.y.shape[0] if kept is None else len(kept)
    size = max(size, scratch_rows(data.rows.X)) if is_foreign(data.y) else size
    for start in range(0, n, size):
        yield slice(start, min(start + size, n)) if kept is None else kept[start : start + size]


def step_by_curvature(sums, mean):
    """The length of a step for rows of this mean curvature: at least that by the rows with most loss.

    ``sums`` are `residual_sums`. An extreme target does not make it longer.
    """
    xp = namespace(sums)
    return xp.maximum(2.0 * usual_value(sums) / clip(sums[3], 1e-300, None), 1.0 / mean)


def row_curvatures(loss, data, kept: np.ndarray | None, w: np.ndarray, aside: float) -> tuple[np.ndarray, float, float]:
    """Weights of rows by the curvature of their losses at w, the mean curvature, and the length of a step by it.

    ``slope**2 / (2 * loss)`` is the curvature of the parabola with the same slope and value, and a minimum of 0. It is
    evaluated on both sides of the prediction, ``aside`` of typical residuals from it, so that kinks are included.
    """
    count_rows(data.rows.shape[0] if isinstance(data.rows, RemoteRows) else len(data.y if kept is None else kept))
    if isinstance(data.rows, RemoteRows):
        return data.rows.row_curvatures(loss, w, aside)
    z, weight, sums = [], [], np.zeros(6)
    for block in _blocks(data, kept):
        z.append(doubled(raw_predictions(data.rows, block, w)))
        sums += residual_sums(loss, data, block, z[-1])
    mean = 0.0
    for number, block in enumerate(_blocks(data, kept)):
        weight.append(weighted_curvatures(loss, data, block, z[number], sums, aside))
        mean += total(weight[number]) / float(sums[0])
    if not 0.0 < mean < np.inf:
        return data.weight, 1.0, 1.0
    whole = np.concatenate(weight) / mean
    if kept is not None:
        spread = np.zeros(data.y.shape[0])
        spread[kept] = whole
        whole = spread
    return whole, mean, float(step_by_curvature(sums, mean))


def weighted_curvatures(loss, data, used, z, sums, aside: float):
    """The curvatures of some rows times their weights, scaled by the sums over all rows."""
    aside, size = aside * usual_value(sums) / clip(sums[2], 1e-300, None), (sums[3] / sums[0]) ** 0.5
    (y, s), curvature = targets_and_weights(data, used), 0.0
    before, after = z - aside, z + aside
    for p in (before, after):
        slopes = loss.gradient(y, p)
        curvature += 0.25 * slopes * slopes / namespace(y).maximum(loss.value(y, p), clip(aside * size, 1e-300, None))
    if hasattr(loss, "link"):
        # Where predictions are near 0, losses are below the limit, and second derivatives far above that quotient.
        bend = (loss.gradient(y, after) - loss.gradient(y, before)) / clip(after - before, 1e-300, None)
        curvature = namespace(y).maximum(curvature, bend)
    return curvature * s


def _mean_loss(loss, data, kept, predict) -> float:
    """Mean loss of raw predictions for some rows and their targets, computed block by block."""
    losses, weight, size = 0.0, 0.0, BLOCK
    if kept is not None and not is_foreign(data.y) and data.rows.layout == "dense":
        size = max(1, min(BLOCK, COPIED // data.rows.row_bytes()))
    for block in _blocks(data, kept, size):
        y, s = targets_and_weights(data, block)
        losses += sum_of_losses(loss, y, predict(block, y), s)
        weight += total(s)
    return losses / weight


def sum_of_losses(loss, y, z, weight) -> float:
    """Weighted sum of the losses of raw predictions, in double precision."""
    return total(weight * loss.value(y, z + 0.0 * y))
