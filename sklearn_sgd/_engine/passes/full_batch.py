"""The full batch on all cores: one pass over X for a gradient, in segments of rows that are summed in order.

The segments depend only on the number of rows, so any number of threads gives the same bits. Compiled kernels release
the interpreter's lock.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sklearn_sgd._engine.cores import map_on_cores

# Minimum rows of a segment, maximum number of segments; minimum entries of X for segments, and for threads.
ROWS, SEGMENTS, LEAST, THREADED = 4096, 64, 1 << 15, 1 << 17


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

    def __call__(self, data, chunk, loss):
        """Return the batch for the passes of ``arrays``."""
        if data is not self.data:
            self.known = (None, None)
        self.data, self.chunk, self.loss = data, chunk, loss
        return self

    def gradient(self, w):
        """Sums of the losses and of their squared slopes, and the mean gradient."""
        if self.known[0] is None or not np.array_equal(self.known[0], w):
            total, squares, g = self.sums(w)
            self.known = w.copy(), (total, squares, g / len(self.chunk))
        total, squares, g = self.known[1]
        return total, squares, g.copy()

    def slope(self, w, d, step):
        """Return the slope of the mean loss at the end of a step, in its direction."""
        return -(self.gradient(w - w.dtype.type(step) * d)[2] @ d)


class AllRows(WholeBatch):
    """All rows in this process, in segments."""

    def __init__(self, gradient: Callable, n_rows: int, n_entries: int, compiled: bool):
        super().__init__()
        self.kernel = gradient
        self.bounds = [*range(0, n_rows, max(ROWS, -(-n_rows // SEGMENTS))), n_rows]
        # In plain Python, threads would wait for each other, and have another configuration of scikit-learn.
        self.map: Callable = map_on_cores if compiled and n_entries >= THREADED else map

    def sums(self, w: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Sums of the losses, of their squared slopes, and of the gradients, segment by segment."""
        sums = np.zeros((len(self.bounds) - 1, len(w)))
        segment = partial(self.kernel, self.data, w, self.chunk, self.loss)
        totals = np.array(list(self.map(segment, self.bounds[:-1], self.bounds[1:], sums)))
        losses, squares = totals.sum(axis=0)
        return losses, squares, sums.sum(axis=0)
