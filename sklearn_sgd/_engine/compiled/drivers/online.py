"""Plain descent on single dense rows by a schedule: one pass over the coefficients for each row.

Each coefficient is updated, and at once multiplied with the next row, while a later row is prefetched.
"""

from sklearn_sgd._engine.compiled.drivers.batch import mix_in
from sklearn_sgd._engine.compiled.drivers.layouts import BESIDE, SPAN, dense_request_shares
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
)


def online(
    X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
    y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, ahead: Integer,
    rates: Doubles, mixes: Doubles, averaged: Integer,
    w: Reals, average: Doubles, row: Function, loss_numbers: Doubles, ridge: Double, lasso: Double, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass, with decay by ``ridge`` and soft thresholds by ``lasso``."""
    rows = (X, indices, indptr, mean, centred, bias, p)
    zero = bias - bias
    z, b = zero, w[p]
    sums[0] = 0.0
    for j in range(p):
        z += X[order[0] * p + j] * w[j]
    z += bias * b
    for k in range(n):
        i, later = order[k], order[min(k + ahead, n - 1)]
        start, soon, turn = i * p, order[min(k + 1, n - 1)] * p, k - k // BESIDE * BESIDE
        distant = k - turn + BESIDE + ahead
        prefetch(y, later)
        rate, weigh = rates[k], 1.0
        if weighted:
            weigh = float(weight[i])
        slope = rate * invoke(row, loss_numbers, sums, 1, y[i], z, weigh)
        c, decay, threshold = narrow(slope, bias), narrow(1.0 - rate * ridge, bias), narrow(rate * lasso, bias)
        z = zero
        head = 0
        while head < p:
            end = min(head + SPAN, p)
            dense_request_shares(rows, order, distant, n - 1, BESIDE, turn, BESIDE, head, end)
            if lasso > 0.0:
                for j in range(head, end):
                    u = w[j] * decay - c * X[start + j]
                    u = max(u - threshold, zero) - max(-u - threshold, zero)
                    w[j] = u
                    z += X[soon + j] * u
            elif ridge == 0.0:
                for j in range(head, end):
                    u = w[j] - c * X[start + j]
                    w[j] = u
                    z += X[soon + j] * u
            else:
                for j in range(head, end):
                    u = w[j] * decay - c * X[start + j]
                    w[j] = u
                    z += X[soon + j] * u
            head = end
        b -= c * bias
        w[p] = b
        z += bias * b
        if averaged:
            mix_in(average, w, p + 1, mixes[k])
    return sums[0]
