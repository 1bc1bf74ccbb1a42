"""The automatic step on single rows, without penalty: the direction is the preconditioned row.

The slope of the loss is only a factor, so no gradient is computed.
"""

from sklearn_sgd._engine.compiled.drivers.automatic import step_length
from sklearn_sgd._engine.compiled.drivers.batch import line_search, mix_in, precondition, take_row
from sklearn_sgd._engine.compiled.drivers.layouts import dense_request
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
    prefetch,
    tail,
)


def online_automatic(
    X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
    y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, ahead: Integer,
    rates: Doubles, mixes: Doubles, averaged: Integer,
    w: Reals, average: Doubles, inverse: Reals, full: Integer, window: Doubles, noise: Integer,
    block: Function, slopes: Function, loss_numbers: Doubles, work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass over dense rows, centred."""
    rows = (X, indices, indptr, mean, centred, bias, p)
    z, target, s, c, along, trial = (
        tail(work, 0),
        tail(work, 1),
        tail(work, 2),
        tail(work, 3),
        tail(work, 4),
        tail(work, 5),
    )
    x, d, total = tail(work, 6), tail(work, 7 + p), 0.0
    for k in range(n):
        i, later = order[k], order[min(k + ahead, n - 1)]
        prefetch(y, later)
        dense_request(rows, later, 0, p)
        raw, start = bias * w[p], i * p
        x[p] = bias
        for j in range(p):
            x[j] = X[start + j] - mean[j]
            raw += x[j] * w[j]
        precondition(inverse, full, p, x, d)
        length = bias * d[p]
        for j in range(p):
            length += x[j] * d[j]
        z[0] = raw
        take_row(i, 0, y, weight, weighted, target, s)
        sums[0] = 0.0
        sums[1] = 0.0
        invoke(block, loss_numbers, sums, 1, target, z, s, c)
        total += sums[0]
        step, slope = step_length(rates[k], 1, 1, window, noise, sums[0], sums[1]), c[0]
        along[0] = slope * length
        fall = slope * along[0]
        if fall > 0.0 and step < 1e308:
            go = line_search(step, fall, 0.0, 0.0, noise, 1, target, z, s, c, along, trial, slopes, loss_numbers, sums)
            go = narrow(slope * go, bias)
            for j in range(p + 1):
                w[j] -= go * d[j]
        if averaged:
            mix_in(average, w, p + 1, mixes[k])
    return total
