"""Exact minimisation of the squared error with an L1 term over one coefficient after the other."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Indices, Integer, Reals, Rows


def coordinates(
    X: Reals, indices: Indices, indptr: Indices, order: Rows, n: Integer, share: Doubles, mean: Doubles,
    variance: Doubles, ridge: Double, lasso: Double, low: Doubles, high: Doubles, w: Doubles, rest: Doubles,
    shift: Doubles,
) -> Double:  # fmt: skip
    """Move the coefficients of some columns to the minimum, in this order; return what the objective gains.

    ``X`` holds the entries by columns. ``share`` are the weights of the rows. ``rest`` are the predictions of the rows
    less their targets, without the intercept, and ``shift`` is their mean: the intercept cancels it. Both means are
    multiplied by the root of the sum of the weights. Without an intercept they are 0.
    """
    gain = 0.0
    for q in range(n):
        j = int(order[q])
        bend, before, slope = variance[j] + ridge, w[j], 0.0
        if variance[j] > 0.0:
            for e in range(int(indptr[j]), int(indptr[j + 1])):
                i = int(indices[e])
                slope += share[i] * rest[i] * float(X[e])
            slope += ridge * before - mean[j] * shift[0]
            there, held = before - slope / bend, lasso / bend
            there = max(there - held, 0.0) + min(there + held, 0.0)
            there = min(max(there, low[j]), high[j])
            move = there - before
            if move != 0.0:
                gain -= move * (slope + 0.5 * bend * move) + lasso * (abs(there) - abs(before))
                w[j] = there
                shift[0] += mean[j] * move
                for e in range(int(indptr[j]), int(indptr[j + 1])):
                    rest[int(indices[e])] += move * float(X[e])
    return gain
