"""The window of the automatic step: the numbers that its drivers keep from batch to batch, in one array.

The first three are the sums of squared slopes and of losses of recent samples, and the number of these samples.

A long window, for sparse rows with many columns, also has: the sum of the lengths of the steps, and their number; the
time, which is this sum times the unit of the scales; the update at which the pace of the average ends; the number of
paces after the first one; the multiple of `scaled_mean` that is to be subtracted from coefficients, and that for their
averages (see :mod:`.compiled.drivers.lazy_automatic`); and for each pace its start and its value.
"""

import numpy as np

STEPS, TIME, NEXT, PACES, TURN, MEAN_TURN, FIRST = 3, 5, 6, 7, 8, 9, 10

# Maximum number of paces, enough for 2e9 updates; growth of the number of updates until the next pace.
MOST_PACES, GROWTH = 100, 1.25

SHORT, LONG = 3, FIRST + 2 * MOST_PACES


def lengthened(window: np.ndarray) -> np.ndarray:
    """Return the same window as a long one."""
    return window if len(window) == LONG else np.append(window, np.zeros(LONG - len(window)))
