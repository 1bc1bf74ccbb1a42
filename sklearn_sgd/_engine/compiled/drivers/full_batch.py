"""The gradient of many rows, for full batches: no step is taken."""

from sklearn_sgd._engine.compiled.drivers.batch import build_accumulate
from sklearn_sgd._engine.compiled.drivers.words import (
    Double,
    Doubles,
    Function,
    Indices,
    Integer,
    Real,
    Reals,
    Rows,
    tail,
)

# Rows between which predictions are forgotten.
STRETCH = 4096


def build(layout):
    """Return the driver for a kind of rows."""
    accumulate = build_accumulate(layout)

    def gradient(
        X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
        y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, chunk: Integer, ahead: Integer,
        start: Integer, stop: Integer, w: Reals, block: Function, loss_numbers: Doubles,
        g: Doubles, work: Reals, sums: Doubles,
    ) -> Double:  # fmt: skip
        """Add gradients of the rows from ``start`` to ``stop`` to g, and leave their losses and slopes in ``sums``."""
        rows = (X, indices, indptr, mean, centred, bias, p)
        z, targets, s, c = tail(work, 0), tail(work, STRETCH), tail(work, 2 * STRETCH), tail(work, 3 * STRETCH)
        part, whole, losses, squares = tail(work, 4 * STRETCH), tail(sums, 2), 0.0, 0.0
        head = start
        while head < stop:
            end = min(head + STRETCH, stop)
            accumulate(
                rows, y, weight, weighted, order, head, end, n, chunk, ahead, w, z, targets, s, c, part, whole, block,
                loss_numbers, sums,
            )  # fmt: skip
            losses += sums[0]
            squares += sums[1]
            for j in range(p + 1):
                g[j] += whole[j]
            head = end
        sums[0] = losses
        sums[1] = squares
        return losses

    return gradient
