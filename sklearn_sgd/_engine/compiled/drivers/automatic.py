"""The automatic step on batches: preconditioned directions, and a length that does not raise the batch's objective."""

from sklearn_sgd._engine.compiled.drivers.batch import build_accumulate, line_search, mix_in, move, precondition
from sklearn_sgd._engine.compiled.drivers.primitives import (
    Double,
    Doubles,
    Function,
    Indices,
    Integer,
    Real,
    Reals,
    Rows,
    invoke,
    narrow,
    tail,
)

# Number of samples over which the curvature of the loss is averaged.
WINDOW = 1000.0

# Largest ratio of the squared slopes (or losses) of a batch, per sample, to the averages.
MOST = 100.0

# Share of the squared slopes of a batch below which such a limit is due to rounding, and none. A stream begins where
# the loss of its first batch is least: if that is one sample, its slope there is a rounding error.
ROUNDING = 1e-11


def step_length(rate, size, batch, window, noise, losses, squares):
    """The length of a step by the curvature of recent samples; ``window`` has their squared slopes, losses, number.

    Without noise the rate is the length: it is known by the curvature of all rows.

    The step of a smaller batch is shorter in proportion, so that its rows count no more than others. In the window, the
    squared slopes and losses of a batch count at most as `MOST` times the averages: otherwise one row with a million
    times the loss of others would hide the curvature of a million rows.
    """
    keep = max(0.0, 1.0 - size / WINDOW) if noise else 0.0
    known, limit, square, share = keep * window[0], MOST * size * window[0], squares * window[2], 1.0
    if noise and limit > ROUNDING * square:
        most, loss = MOST * size * window[1], 2.0 * losses * window[2]
        if square > limit:
            share = limit / square
        if most > 0.0 and loss > most:
            share = min(share, most / loss)
    window[0] = known + share * squares
    window[1] = keep * window[1] + share * 2.0 * losses
    window[2] = keep * window[2] + size
    return rate * (size / batch) * window[1] / max(window[0], 1e-300) if noise else rate


def build(layout):
    """Return the driver for a kind of rows."""
    accumulate, dot, offset = build_accumulate(layout), layout.dot, layout.offset

    def automatic(
        X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
        y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, at_once: Integer,
        ahead: Integer,
        rates: Doubles, mixes: Doubles, updates: Integer, averaged: Integer,
        w: Reals, average: Doubles, inverse: Reals, full: Integer, window: Doubles, noise: Integer,
        block: Function, slopes: Function, loss_numbers: Doubles,
        pull: Function, prox: Function, penalty_numbers: Doubles, work: Reals, sums: Doubles,
    ) -> Double:  # fmt: skip
        rows = (X, indices, indptr, mean, centred, bias, p)
        most, g, total = min(batch, n), tail(sums, 2), 0.0
        z, targets, s, c = tail(work, 0), tail(work, most), tail(work, 2 * most), tail(work, 3 * most)
        along, trial, part = tail(work, 4 * most), tail(work, 5 * most), tail(work, 6 * most)
        slope, d = tail(work, 6 * most + p + 1), tail(work, 6 * most + 2 * (p + 1))
        pulled, bent = tail(work, 6 * most + 3 * (p + 1)), tail(work, 6 * most + 4 * (p + 1))
        known, reading, loss = (y, weight, weighted), (order, n, at_once, ahead), (block, loss_numbers)
        scratch = (z, targets, s, c, part)
        for k in range(updates):
            start, stop = k * batch, min((k + 1) * batch, n)
            size = stop - start
            accumulate(rows, known, reading, start, stop, w, scratch, g, loss, sums)
            total += sums[0]
            step = step_length(rates[k], size, batch, window, noise, sums[0], sums[1])
            if pull:
                invoke(pull, penalty_numbers, sums, p, w, pulled)
            for j in range(p + 1):
                g[j] = g[j] / size + pulled[j]
                slope[j] = g[j]
            precondition(inverse, full, p, slope, d)
            fall, lean, bend = 0.0, 0.0, 0.0
            for j in range(p + 1):
                fall += d[j] * g[j]
            if pull and step > 0.0 and step < 1e308:
                # The curvature of the penalty along the whole step: the slope at the end is exact for any penalty.
                for j in range(p):
                    slope[j] = w[j] - narrow(step, bias) * d[j]
                invoke(pull, penalty_numbers, sums, p, slope, bent)
                for j in range(p):
                    lean += d[j] * pulled[j]
                    bend += d[j] * (pulled[j] - bent[j])
                bend = bend / step
            if fall > 0.0 and step < 1e308:
                shift = offset(rows, d)
                for q in range(size):
                    along[q] = dot(rows, order[start + q], d) + shift
                length = narrow(
                    line_search(
                        step, fall, lean, bend, noise, size, targets, z, s, c, along, trial, slopes, loss_numbers, sums
                    ),
                    bias,
                )
                move(p, w, length, d, inverse, bent, prox, penalty_numbers, sums)
            if averaged:
                mix_in(average, w, p + 1, mixes[k])
        return total

    return automatic
