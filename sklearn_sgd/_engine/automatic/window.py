"""The window of the automatic step: the numbers that its drivers keep from batch to batch, in one array.

The first three are sums of squared slopes and of losses of recent samples, and how many samples they are of. The fourth
is the sum of the lengths of steps in units of the curvature.

A long window has room for more, of sparse rows of many columns: the sum of the lengths, and their number; the time,
which is the sum of the lengths times the unit of the scales; the update at which the pace of the average ends; how many
paces there are after the first; and of each since when it is, and itself.
"""

import numpy as np

RELATIVE_TIME, STEPS, TIME, NEXT, PACES, FIRST = 3, 4, 6, 7, 8, 9

# Paces at most, which are enough for 2e9 updates; growth of the number of updates until the next.
MOST_PACES, GROWTH = 100, 1.25

SHORT, LONG = 4, FIRST + 2 * MOST_PACES


def lengthened(window: np.ndarray) -> np.ndarray:
    """The same window with room for all."""
    return window if len(window) == LONG else np.append(window, np.zeros(LONG - len(window)))
