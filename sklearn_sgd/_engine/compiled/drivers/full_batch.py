"""The gradient of many rows, for full batches, and slopes along a direction: no step is taken."""

from sklearn_sgd._engine.compiled.drivers.batch import build_accumulate, slope_at, take_row
from sklearn_sgd._engine.compiled.drivers.primitives import (
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

# Number of rows that are processed at once.
BLOCK = 4096


def build(layout):
    """Return the driver for a kind of rows."""
    accumulate = build_accumulate(layout)

    def gradient(
        X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
        y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, at_once: Integer, ahead: Integer,
        start: Integer, stop: Integer, w: Reals, block: Function, loss_numbers: Doubles,
        predictions: Reals, g: Doubles, work: Reals, sums: Doubles,
    ) -> Double:  # fmt: skip
        """Add gradients of the rows from ``start`` to ``stop`` to g, and leave their losses and slopes in ``sums``.

        Their predictions are left in ``predictions``.
        """
        rows = (X, indices, indptr, mean, centred, bias, p)
        targets, s, c, part = tail(work, 0), tail(work, BLOCK), tail(work, 2 * BLOCK), tail(work, 3 * BLOCK)
        whole, losses, squares = tail(sums, 2), 0.0, 0.0
        known, reading, loss = (y, weight, weighted), (order, n, at_once, ahead), (block, loss_numbers)
        head = start
        while head < stop:
            end = min(head + BLOCK, stop)
            scratch = (tail(predictions, head), targets, s, c, part)
            accumulate(rows, known, reading, head, end, w, scratch, whole, loss, sums)
            losses += sums[0]
            squares += sums[1]
            for j in range(p + 1):
                g[j] += whole[j]
            head = end
        sums[0] = losses
        sums[1] = squares
        return losses

    return gradient


def slope(
    y: Reals, weight: Reals, weighted: Integer, order: Rows, start: Integer, stop: Integer, predictions: Reals,
    along: Reals, length: Real, slopes: Function, loss_numbers: Doubles, work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """Slope of the summed losses of the rows from ``start`` to ``stop`` after a step, in its direction.

    ``predictions`` are those before the step. A step of length 1 subtracts ``along`` from them.
    """
    targets, s, c, trial = tail(work, 0), tail(work, BLOCK), tail(work, 2 * BLOCK), tail(work, 3 * BLOCK)
    total, head = 0.0, start
    while head < stop:
        size = min(BLOCK, stop - head)
        for q in range(size):
            i = order[head + q]
            take_row(i, q, y, weight, weighted, targets, s)
        z, part = tail(predictions, head), tail(along, head)
        total += size * slope_at(length, 0.0, 0.0, size, targets, z, s, c, part, trial, slopes, loss_numbers, sums)
        head += size
    return total
