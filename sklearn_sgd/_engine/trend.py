"""The trend of the losses of epochs: whether they still fall, how far they may fall, whether they grow.

Five losses that are only noise descend in one of 120 cases; those of a descent with progress nearly always.
"""

from collections.abc import Sequence

import numpy as np

# Number of epochs for a trend, and for its extrapolation; number of standard errors from which a slope is significant;
# ratio to the first loss from which a loss cannot be noise.
LATEST, ENOUGH, CERTAIN, BEYOND = 5, 3, 4.0, 10.0


def latest_falls(values: Sequence[float], noise: bool) -> np.ndarray:
    """The amounts by which the latest epochs lowered the values; empty if the values did not fall steadily.

    With noise each epoch must have lowered the values, and the first epoch does not count, since its loss is mainly
    that of the start. Without noise the running minimum counts, since momentum oscillates.
    """
    curve = np.array(values[1:]) if noise else np.minimum.accumulate(values)
    falls = -np.diff(curve[-LATEST - 1 :])
    return falls if not noise or (falls > 0.0).all() else falls[:0]


def fall_to_come(falls: np.ndarray) -> float:
    """The sum of all further falls if they continue as a geometric series, with the smallest of the latest ratios.

    0 if the ratios are not known; infinity if the falls do not become smaller.
    """
    if len(falls) < ENOUGH or not (falls > 0.0).all():
        return 0.0
    ratio = float((falls[1:] / falls[:-1]).min())
    return float(falls[-1]) * ratio / (1.0 - ratio) if ratio < 1.0 else np.inf


def slopes_down(values: Sequence[float]) -> bool:
    """Whether the values of the later half of the epochs fall significantly, by Welch's test."""
    later = np.array(values[len(values) // 2 :])
    if len(later) < 2 * LATEST:
        return False
    early, late = later[: len(later) // 2], later[len(later) // 2 :]
    error = early.var(ddof=1) / len(early) + late.var(ddof=1) / len(late)
    return bool(early.mean() - late.mean() > CERTAIN * np.sqrt(error))


def rises(losses: Sequence[float]) -> bool:
    """Whether each of the latest epochs raised the losses, and the later ones by no less than the earlier."""
    steps = np.diff(losses[-LATEST - 1 :])
    return len(steps) == LATEST and bool((steps > 0.0).all() and steps[-2:].sum() >= steps[:2].sum())


def grows(losses: Sequence[float], constant: float) -> bool:
    """Whether losses have risen above the start and the best constant, steadily or by more than noise."""
    start = max(losses[0], constant)
    return losses[-1] > start + (0.0 if rises(losses) else BEYOND * abs(start))
