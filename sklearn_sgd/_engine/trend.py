"""What the losses of epochs tell: whether they still fall, how far they may fall yet, whether they grow.

Five epochs of noise alone fall one below the other once in 120 times; those of a descent on its way do nearly always.
"""

from collections.abc import Sequence

import numpy as np

# Epochs whose losses tell where a descent goes, and how many of them foretell the next ones; standard errors past which
# a slope is none of noise; times the start past which a loss is beyond all noise.
LATEST, ENOUGH, CERTAIN, BEYOND = 5, 3, 4.0, 10.0


def latest_falls(values: Sequence[float], noise: bool) -> np.ndarray:
    """By how much each of the latest epochs lowered the values; empty if they did not fall steadily.

    With noise each epoch must have lowered them, and the first does not count, since its loss tells of the start.
    Without noise the lowest so far count, since momentum goes up and down.
    """
    curve = np.array(values[1:]) if noise else np.minimum.accumulate(values)
    falls = -np.diff(curve[-LATEST - 1 :])
    return falls if not noise or (falls > 0.0).all() else falls[:0]


def fall_to_come(falls: np.ndarray) -> float:
    """How far values fall yet if each fall is to the one before as the latest were, by the smallest of their ratios.

    0 if these are not known; infinite if the falls do not become smaller.
    """
    if len(falls) < ENOUGH or not (falls > 0.0).all():
        return 0.0
    ratio = float((falls[1:] / falls[:-1]).min())
    return float(falls[-1]) * ratio / (1.0 - ratio) if ratio < 1.0 else np.inf


def slopes_down(values: Sequence[float]) -> bool:
    """Whether the values of the later half of the epochs fall, by Welch's test, in the noise that they have."""
    later = np.array(values[len(values) // 2 :])
    if len(later) < 2 * LATEST:
        return False
    early, late = later[: len(later) // 2], later[len(later) // 2 :]
    error = early.var(ddof=1) / len(early) + late.var(ddof=1) / len(late)
    return bool(early.mean() - late.mean() > CERTAIN * np.sqrt(error))


def rises(losses: Sequence[float]) -> bool:
    """Whether each of the latest epochs raised the losses, and the later ones no less than the earlier."""
    steps = np.diff(losses[-LATEST - 1 :])
    return len(steps) == LATEST and bool((steps > 0.0).all() and steps[-2:].sum() >= steps[:2].sum())


def grows(losses: Sequence[float], constant: float) -> bool:
    """Whether losses have risen above the start and the best constant, steadily or beyond all noise."""
    start = max(losses[0], constant)
    return losses[-1] > start + (0.0 if rises(losses) else BEYOND * abs(start))
