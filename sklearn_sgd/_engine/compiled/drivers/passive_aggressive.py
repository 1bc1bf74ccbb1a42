"""Passive-aggressive steps on single rows: the loss of the row determines the length of the step."""

from sklearn_sgd._engine.compiled.drivers.batch import mix_in
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


def build(layout):
    """Return the driver for a kind of rows."""
    dot, add, square = layout.dot, layout.add, layout.square

    def passive_aggressive(
        X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
        y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, ahead: Integer,
        rates: Doubles, mixes: Doubles, averaged: Integer, w: Reals, average: Doubles,
        limit: Double, soft: Double,
        row: Function, loss_numbers: Doubles, pull: Function, prox: Function, penalty_numbers: Doubles,
        work: Reals, sums: Doubles,
    ) -> Double:  # fmt: skip
        """One pass."""
        rows, total = (X, indices, indptr, mean, centred, bias, p), 0.0
        pulled, h = tail(work, 0), tail(work, p + 1)
        for k in range(n):
            i, rate = order[k], narrow(rates[k], bias)
            sums[0] = 0.0
            slope = invoke(row, loss_numbers, sums, 1, y[i], dot(rows, i, w), 1.0)
            loss, weigh, bound = sums[0], 1.0, float(square(rows, i)) + soft
            if weighted:
                weigh = float(weight[i])
            total += weigh * loss
            step = 0.0
            if bound > 0.0:
                step = min(limit, loss / bound)
            if pull:
                invoke(pull, penalty_numbers, sums, p, w, pulled)
                for j in range(p):
                    w[j] -= rate * pulled[j]
            add(rows, i, narrow(-weigh * step * slope, bias), w, order[min(k + ahead, n - 1)])
            if prox:
                for j in range(p):
                    h[j] = rate
                invoke(prox, penalty_numbers, sums, p, w, h)
            if averaged:
                mix_in(average, w, p + 1, mixes[k])
        return total

    return passive_aggressive
