"""Second derivatives of losses, from their slopes; where a slope jumps, from the density of the residuals.

Only the slope of a loss is used, so that this works for every loss, also one of a user.

References
----------
Hall, P. and Sheather, S., "On the distribution of a Studentized quantile", Journal of the Royal Statistical Society B
50, 1988: the width of the kernel.
Powell, J. L., "Estimation of monotonic regression models under quantile restrictions", in Nonparametric and
Semiparametric Methods in Econometrics, Cambridge University Press, 1991: the kernel at each residual.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.integrate import quad
from scipy.special import dawsn

from sklearn_sgd._engine.compiled.drivers.scores import LEAST
from sklearn_sgd._engine.compiled.drivers.vectors import EPSILON, bumps, log_sizes
from sklearn_sgd._engine.kinks.jumps import REACH, SMALL, Jump, has_link, level, slope_jumps

# Step of a central difference, in units of the residuals.
STEP = 1e-4

# The normal distribution, whose functions of single numbers take less time here than in SciPy; and its quantile for
# intervals of 95 %.
NORMAL = NormalDist()
TWO_SIDED = NORMAL.inv_cdf(0.975)

# Share of residuals below 0 up to which their size is known.
EDGE = 1e-6

# Distance from a jump that is rounding, in units of that of the numbers whose difference it is.
ROUNDING = 64.0


def curvature(loss: Any, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the second derivative in the raw prediction, by central differences of the slope."""
    unit = 1.0 if has_link(loss) else float(np.std(p - y))
    sizes = np.abs(p) if has_link(loss) else np.maximum(np.abs(p), np.abs(y))
    step = max(STEP * unit, LEAST * float(np.max(sizes, initial=0.0))) or 1.0
    above, below = p + step, p - step
    return (loss.gradient(y, above) - loss.gradient(y, below)) / (above - below)


def expected_curvature(loss: Any, p: np.ndarray) -> np.ndarray:
    """Return the second derivative for targets equal to the predictions: its mean, if the slope is linear in y."""
    return curvature(loss, loss.inverse_link(p) if has_link(loss) else p, p)


def is_linear_in_target(loss: Any, p: np.ndarray, unit: float) -> bool:
    """Return whether the slope is linear in the target and 0 at the prediction, as that of a deviance is.

    It is computed for targets near the predictions and far away, in units of the residuals or, with a link, of the
    predictions.
    """
    mean = loss.inverse_link(p) if has_link(loss) else p
    far = mean if has_link(loss) else (max(unit, 1e-6 * float(np.max(np.abs(p), initial=0.0))) or 1.0)
    one = loss.gradient(mean + far, p)
    small = SMALL * (np.abs(one) + 1e-300)
    sizes = (0.0, 50.0, 1e4) if has_link(loss) else (0.0, 50.0, 1e4, -1.0, -1e4)
    return all(
        bool(np.all(np.abs(loss.gradient(mean + size * far, p) - size * one) <= small * max(abs(size), 1.0)))
        for size in sizes
    )


# Raw predictions at which a loss with a link is examined.
TRIED = np.array([-1.0, 0.0, 1.0])


def _remembered(trait: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return the same function of losses with a cache; for losses that cannot be hashed, without one."""
    known = lru_cache(maxsize=64, typed=True)(trait)  # Poisson() == Gamma(), but for their types.

    def look(loss: Any) -> bool:
        try:
            return known(loss)
        except TypeError:
            return trait(loss)

    return look


@_remembered
def is_deviance(loss: Any) -> bool:
    """Return whether a loss has a link and a slope that is linear in the target, as those of poisson and gamma."""
    return has_link(loss) and is_linear_in_target(loss, TRIED, 1.0)


@_remembered
def has_canonical_link(loss: Any) -> bool:
    """Return whether the second derivative of a deviance does not depend on the target."""
    expected = expected_curvature(loss, TRIED)
    return bool(np.allclose(curvature(loss, 2.0 * loss.inverse_link(TRIED), TRIED), expected, rtol=SMALL))


def jumps(loss: Any, y: np.ndarray, p: np.ndarray, reach: float = 1.25) -> list[Jump]:
    """Return where the slope jumps, for residuals up to ``reach`` times the largest one; see `slope_jumps`."""
    found, is_constant_between = slope_jumps(loss, y, p, reach)
    if found and not is_constant_between:
        raise ValueError(
            "The slope of this loss has jumps, and changes between them, too: its standard errors are not known. Use a "
            "loss whose slope does only one of both, such as 'huber' or 'quantile'."
        )
    return found


@_remembered
def has_jumps(loss: Any) -> bool:
    """Return whether the slope of a loss jumps, for residuals of any usual size."""
    return bool(jumps(loss, np.zeros(1), np.ones(1), REACH))


def share_above(jump: Jump, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return 1 for rows above a jump, 0 for those below, and 1/2 for those at it, whose side is rounding's choice."""
    above, size = p - y - jump.at, np.abs(p)
    # Predictions near 0 have the rounding of their terms, which are as large as other predictions.
    rounding = ROUNDING * EPSILON * (np.abs(y) + size + np.median(size) + abs(jump.at))
    return np.where(np.abs(above) <= rounding, 0.5, above > 0.0)


def slopes_of_both_sides(found: Sequence[Jump], y: np.ndarray, p: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return the slopes of rows; of those at a jump with the mean square of both sides.

    A fit passes through rows, and its rounding should not choose their sides.
    """
    for jump in found:
        below, above = jump.below, jump.below + jump.size
        mean = np.copysign(np.sqrt(0.5 * (below * below + above * above)), below + above)
        slope = np.where(share_above(jump, y, p) == 0.5, mean, slope)
    return slope


class Spread(NamedTuple):
    """Sums over rows from which the width of a kernel follows, where slopes jump.

    Attributes
    ----------
    weight, square : float
        Sum of the weights, and of their squares.
    size : float
        Sum of the logarithms of residuals.
    below : ndarray of shape (n_jumps,)
        Weight of the targets below each jump, if there are several.
    """

    weight: float
    square: float
    size: float
    below: np.ndarray

    def after(
        self, found: Sequence[Jump], y: np.ndarray, p: np.ndarray, weight: np.ndarray | None, size: float
    ) -> Self:
        """Return the sums with further rows, all of weight 1 if there are none, and with their sum of logarithms."""
        below = self.below
        if len(found) > 1:
            each = np.array([share_above(jump, y, p) for jump in found])
            below = below + (each.sum(axis=1) if weight is None else each @ weight)
        new, square = (len(y), len(y)) if weight is None else (float(weight.sum()), float(weight @ weight))
        return type(self)(self.weight + new, self.square + square, self.size + size, below)

    def plus(self, other: Self) -> Self:
        """Return the sums of the rows of both."""
        weight, square, size, below = other
        return type(self)(self.weight + weight, self.square + square, self.size + size, self.below + below)

    @property
    def n_rows(self) -> float:
        """How many rows of equal weights are as precise (Kish)."""
        return self.weight**2 / self.square

    def shares(self, found: Sequence[Jump]) -> list[float]:
        """Return the share of targets below each jump: for one jump, as at the minimum of the loss."""
        return [level(found[0])] if len(found) == 1 else (self.below / self.weight).tolist()

    def bumps(self, found: Sequence[Jump]) -> np.ndarray:
        """Return the second derivative as bumps, in units of residuals that are normal and as large in the mean."""
        return self.bumps_in_unit(found, exp(self.size / self.weight - typical_log(tuple(found))))

    def bumps_in_unit(self, found: Sequence[Jump], unit: float) -> np.ndarray:
        """Return the second derivative as bumps with a place, a width and a height: of a jump times a kernel around it.

        The kernel is Epanechnikov's, with the bandwidth of Hall and Sheather, in a unit of the residuals.
        """
        made: list[float] = []
        n = self.n_rows
        per_row, least = n ** (-1 / 3), 1.0 / n
        for (at, size, _), share in zip(found, self.shares(found), strict=True):
            share = min(max(share, least), 1.0 - least)
            width = min(per_row * _width_of_one_row(share), 0.99 * share, 0.99 * (1.0 - share))
            h = unit * (NORMAL.inv_cdf(share + width) - NORMAL.inv_cdf(share - width))
            if h > 0.0:
                made += at, h, 0.75 * size / h
        return np.array(made).reshape(-1, 3)


@lru_cache(maxsize=64)
def typical_log(found: tuple[Jump, ...]) -> float:
    """Return `log_size` for the residuals at the minimum of a loss with such jumps."""
    return log_size(min(max(level(found[0]), EDGE), 1.0 - EDGE) if len(found) == 1 else 0.5)


def log_size(share: float) -> float:
    """Return the mean logarithm of the size of residuals that are normal, of variance 1, and a share of them below 0.

    Its slope in their mean is Dawson's function, times a constant.
    """
    return 2.0 * quad(dawsn, 0.0, abs(NORMAL.inv_cdf(share)) / sqrt(2.0))[0] - 0.5 * (np.euler_gamma + log(2.0))


def curvature_of_jumps(found: Sequence[Jump], y: np.ndarray, p: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the second derivative of each row: the heights of jumps times the kernel at its residual.

    The weighted sum of ``z z'`` with it is Powell's estimate of the curvature, for which the density of the residuals
    may depend on the row. The unit of the residuals is that of QuantReg in statsmodels. Weights w count as
    ``sum(w)**2 / sum(w**2)`` rows (Kish). The result is 0 if half of the residuals are equal.
    """
    unit = min(float(np.sqrt(np.cov(y, aweights=weight, ddof=0))), _quartile_range(y - p, weight) / 1.34)
    return sum_of_bumps(spread_of(found, y, p, weight).bumps_in_unit(found, unit), y, p)


def spread_of(found: Sequence[Jump], y: np.ndarray, p: np.ndarray, weight: np.ndarray) -> Spread:
    """Return the sums of rows from which the width of a kernel follows."""
    logarithms = log_sizes(len(y), weight, y, p) if len(found) else 0.0
    return Spread(0.0, 0.0, 0.0, np.zeros(len(found))).after(found, y, p, weight, logarithms)


def _quartile_range(e: np.ndarray, weight: np.ndarray) -> float:
    """Return the distance of the weighted quartiles; for equal weights, those of NumPy."""
    order = np.argsort(e)
    middle = np.cumsum(weight[order]) - 0.5 * weight[order]
    ends = middle[0] + np.array([0.25, 0.75]) * (middle[-1] - middle[0])
    return float(np.diff(np.interp(ends, middle, e[order]))[0])


def sum_of_bumps(made: np.ndarray, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the sum of bumps in each row."""
    total = np.empty(len(y))
    bumps(len(y), y, p, len(made), made.reshape(-1), total)
    return total


@lru_cache(maxsize=64)
def _width_of_one_row(share: float) -> float:
    """Return the bandwidth of Hall and Sheather for intervals of 95 % and a single row, as a share of the rows."""
    z = NORMAL.inv_cdf(share)
    density = NORMAL.pdf(z)
    return TWO_SIDED ** (2 / 3) * (1.5 * density**2 / (2.0 * z * z + 1.0)) ** (1 / 3)
