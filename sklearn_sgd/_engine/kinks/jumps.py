"""Where the slope of a loss jumps: found from the slopes, for every loss, also one of a user."""

from typing import Any, NamedTuple

import numpy as np

# Jumps of a slope are looked for up to that many times the largest residual, where others will come.
REACH = 2.0**20

# Halvings of an interval that contains a jump of the slope; relative change of a slope that is not rounding.
HALVINGS, SMALL = 60, 1e-6


def has_link(loss: Any) -> bool:
    """Return whether the loss has a link. Raw predictions then have the unit 1, and not that of the targets."""
    return hasattr(loss, "inverse_link")


class Jump(NamedTuple):
    """A jump of the slope: the value of ``p - y``, the height, and the slope below the jump."""

    at: float
    size: float
    below: float


def slope_jumps(loss: Any, y: np.ndarray, p: np.ndarray, reach: float) -> tuple[list[Jump], bool]:
    """Return where the slope jumps, and whether it is constant between; no jumps for a loss with a second derivative.

    The search covers residuals up to ``reach`` times the largest one. Its intervals are smaller near 0. Each is halved,
    towards the larger change of the slope: the change vanishes unless there is a jump.
    """
    if has_link(loss):
        return [], False
    largest = reach * float(np.max(np.abs(p - y), initial=0.0)) or 1.0
    sizes = largest * 0.5 ** np.arange(60.0 + np.log2(max(reach, 1.0)))
    points = np.concatenate((-sizes, [0.0], sizes[::-1]))
    target = y[:1] if hasattr(loss, "allows") else np.zeros(1)

    def slope(r):
        return np.asarray(loss.gradient(np.repeat(target, len(r)), target + r), dtype=np.float64)

    low, high = points[:-1], points[1:]
    low_slope, high_slope = slope(low), slope(high)
    whole = float(np.abs(high_slope - low_slope).sum())
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        middle_slope = slope(middle)
        right = np.abs(high_slope - middle_slope) > np.abs(middle_slope - low_slope)
        low, low_slope = np.where(right, middle, low), np.where(right, middle_slope, low_slope)
        high, high_slope = np.where(right, high, middle), np.where(right, high_slope, middle_slope)
    found: list[Jump] = []
    for number in np.flatnonzero(np.abs(high_slope - low_slope) > SMALL * whole):
        jump = Jump(float(high[number]), float(high_slope[number] - low_slope[number]), float(low_slope[number]))
        if found and jump.at - found[-1].at <= 1e-9 * largest:
            # One jump found from both sides, since the slope at the kink lies between.
            jump = Jump(found[-1].at, found[-1].size + jump.size, found[-1].below)
            del found[-1]
        found.append(jump)
    return found, sum(abs(jump.size) for jump in found) >= (1.0 - SMALL) * whole


def level(jump: Jump) -> float:
    """Return the share of targets below the prediction, at the minimum of a loss with one jump."""
    return -jump.below / jump.size
