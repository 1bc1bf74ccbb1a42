"""The full batch on all cores: one pass over X for a gradient, in segments of rows that are summed in order.

The segments depend only on the number of rows, so any number of threads gives the same bits. Compiled kernels release
the interpreter's lock.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sklearn_sgd._engine.cores import map_on_cores
from sklearn_sgd._engine.passes.line_search import NEARLY
from sklearn_sgd._engine.readings import count_rows

# Minimum rows of a segment, maximum number of segments; minimum entries of X for segments, and for threads.
ROWS, SEGMENTS, LEAST, THREADED = 4096, 64, 1 << 15, 1 << 17

# Difference of two intercepts by the rounding of a move of the centre, in units of the terms; and of one that was
# computed in another way, in units of it, or of as many units in the last place.
CLOSE, SAME, PLACES = 1e-6, 1e-12, 16

# Largest ratio of the slope at the end of a step to that at its start. For the first estimate of its length: `NEARLY`.
LEVEL = 0.05

# A step shorter than this share of the expected one may be due to a few rows, and is no estimate for other directions.
# A sample may not contain such rows.
SHORT = 0.25

# Maximum number of estimates of a length; maximum ratio of an estimate to the first one; minimum share of the interval
# that an estimate moves, since secants of slopes that grow exponentially hardly move.
TRIES, LONGEST, LEAST_SHARE = 60, 8.0, 0.05


def level(slope_at: Callable[[float], float], length: float, fall: float) -> float:
    """The length where a convex function, which falls by ``fall`` at 0, is nearly level, and not higher than at 0.

    It is found by secants. The slope at the end that remains is halved each time (the Illinois algorithm).
    """
    low, high, below, above, most, enough = 0.0, np.inf, -fall, np.inf, LONGEST * length, NEARLY * fall
    for _ in range(TRIES):
        slope = slope_at(length)
        if not abs(slope) > enough and (slope <= 0.0 or slope + slope_at(0.5 * length) <= 0.0):
            return length
        enough = LEVEL * fall
        if slope > 0.0:
            below, high, above = (0.5 * below if high < np.inf else below), length, slope
        elif length >= most:
            return length
        else:
            above, low, below = (0.5 * above if low > 0.0 else above), length, slope
        if high == np.inf:
            length = min(most, length * min(4.0, fall / max(fall + slope, 1e-300)))
        else:
            share = below / (below - above) if above < np.inf else 0.5
            length = low + (high - low) * min(max(share, LEAST_SHARE), 1.0 - LEAST_SHARE)
    return low


class WholeBatch(ABC):
    """All rows as one batch: mean gradients, and slopes, which follow from gradients at another point.

    The last gradient is stored: the gradient at the end of an accepted step is that of the next epoch.
    """

    def __init__(self) -> None:
        self.data: Any = None
        self.known: tuple = (None, None)

    @abstractmethod
    def sums(self, w: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Sums of the losses, of their squared slopes, and of the gradients."""

    def __call__(self, data, order, loss):
        """Return the batch for the passes of ``arrays``."""
        if data is not self.data:
            self.known = (None, None)
        self.data, self.order, self.loss = data, order, loss
        return self

    def gradient(self, w):
        """Sums of the losses and of their squared slopes, and the mean gradient."""
        if self.known[0] is None or not np.array_equal(self.known[0], w):
            total, squares, g = self.sums(w)
            self.known = w.copy(), (total, squares, g / len(self.order))
        total, squares, g = self.known[1]
        return total, squares, g.copy()

    def slope(self, w, d, step):
        """Return the slope of the mean loss at the end of a step, in its direction."""
        return -(self.gradient(w - w.dtype.type(step) * d)[2] @ d)

    def losses_along(self, w, d, lengths: np.ndarray) -> Iterator[float]:
        """Yield the sum of the losses after a step of each length."""
        for length in lengths:
            yield self.gradient(w + w.dtype.type(length) * d)[0]


class AllRows(WholeBatch):
    """All rows in this process, in segments.

    Their predictions are stored, too. So X is read only for the first slope along a direction.
    """

    def __init__(self, passes: Any, n_rows: int, n_entries: int, compiled: bool):
        """``passes`` has functions that make those of some rows: their gradient, and their slope."""
        super().__init__()
        self.passes = passes
        self.bounds = [*range(0, n_rows, max(ROWS, -(-n_rows // SEGMENTS))), n_rows]
        # In plain Python, threads would wait for each other, and have another configuration of scikit-learn.
        self.map: Callable = map_on_cores if compiled and n_entries >= THREADED else map
        self.direction: Any = None
        self.rounding = 0.0
        self.share, self.missing, self.before_that = 1.0, np.inf, np.inf

    def __call__(self, data, order, loss):
        """Return the rows. If only their centre has changed, the stored values are kept."""
        w, sums = self.known
        moves = self.data is not None and data is not self.data and data.y is self.data.y
        if w is not None and moves and data.rows.mean is not None and self.data.rows.mean is not None:
            total, squares, g = sums
            move = data.rows.mean - self.data.rows.mean
            self.known = (
                np.append(w[:-1], w[-1] + move @ w[:-1]),
                (total, squares, np.append(g[:-1] - g[-1] * move, g[-1])),
            )
            self.rounding = CLOSE * float(abs(w[-1]) + abs(move) @ abs(w[:-1]))
            self.data = data
        return super().__call__(data, order, loss)

    def gradient(self, w):
        """Sums of the losses and of their squared slopes, and the mean gradient."""
        known = self.known[0]
        if known is not None and np.array_equal(known[:-1], w[:-1]):
            same = max(SAME, PLACES * np.finfo(w.dtype).eps) * abs(float(w[-1]))
            if abs(known[-1] - w[-1]) <= max(self.rounding, same):
                self.known = w.copy(), self.known[1]
        self.rounding = 0.0
        return super().gradient(w)

    def length(self, w, d, step: float, fall: float, lean: float, bend: float) -> float:
        """The step to where the objective along a direction is nearly level.

        The first estimate is the share of ``step`` that was right in the epoch before.
        """
        length = level(lambda t: self.slope(w, d, t) - lean + t * bend, step * self.share, fall)
        if length > 0.0:
            self.share = length / step
            self.before_that, self.missing = self.missing, 0.5 * fall * max(length, SHORT * step)
        return length

    @property
    def was_stopped(self) -> bool:
        """Whether the last step was stopped early, perhaps by a few rows."""
        return self.share < SHORT

    @property
    def excess(self) -> float:
        """Return the expected excess of the objective over its minimum, if it continues to fall at the same ratio."""
        return self.missing * min(1.0, self.missing / self.before_that) if self.before_that < np.inf else np.inf

    def sums(self, w: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Sums of the losses, of their squared slopes, and of the gradients, segment by segment."""
        count_rows(len(self.order))
        sums, self.predictions = np.zeros((len(self.bounds) - 1, len(w))), np.empty(len(self.order), self.data.y.dtype)
        segment = self.passes.gradient(self.data, w, self.order, self.loss, self.predictions)
        totals = np.array(list(self.map(segment, self.bounds[:-1], self.bounds[1:], sums)))
        losses, squares = totals.sum(axis=0)
        return losses, squares, sums.sum(axis=0)

    def slope(self, w, d, step):
        """Slope of the mean loss at the end of a step, in its direction; after ``gradient`` at w."""
        if self.direction is not d:
            self.direction, before = d, self.predictions
            slope = super().slope(w, d, step)
            along = (before - self.predictions) / before.dtype.type(step)
            self.segment = self.passes.slope(self.data, self.order, self.loss, before, along)
            return slope
        lengths = [step] * len(self.bounds)
        slopes = self.map(self.segment, self.bounds[:-1], self.bounds[1:], lengths)
        return float(np.sum(list(slopes))) / len(self.order)
