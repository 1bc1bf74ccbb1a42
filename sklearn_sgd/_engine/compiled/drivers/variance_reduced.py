"""Variance-reduced steps (SVRG, SAGA): they use the difference between the slope of a row and its stored slope."""

from sklearn_sgd._engine.compiled.drivers.batch import mix_in, move, precondition, take_row
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
    dot, add, offset, centre = layout.dot, layout.add, layout.offset, layout.centre

    def variance_reduced(
        X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
        y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, ahead: Integer,
        rates: Doubles, mixes: Doubles, updates: Integer, averaged: Integer,
        w: Reals, average: Doubles, inverse: Reals, full: Integer, remembered: Reals, known: Doubles, renew: Double,
        block: Function, loss_numbers: Doubles, pull: Function, prox: Function, penalty_numbers: Doubles,
        work: Reals, sums: Doubles,
    ) -> Double:  # fmt: skip
        """One pass; ``known`` is the mean gradient for the stored slopes of all rows."""
        rows = (X, indices, indptr, mean, centred, bias, p)
        most, total, g = min(batch, n), 0.0, tail(sums, 2)
        z, targets, s, c = tail(work, 0), tail(work, most), tail(work, 2 * most), tail(work, 3 * most)
        part, d = tail(work, 4 * most), tail(work, 4 * most + p + 1)
        pulled, h = tail(work, 4 * most + 2 * (p + 1)), tail(work, 4 * most + 3 * (p + 1))
        for k in range(updates):
            start, stop = k * batch, min((k + 1) * batch, n)
            size, shift = stop - start, offset(rows, w)
            for q in range(size):
                i = order[start + q]
                z[q] = dot(rows, i, w) + shift
                take_row(i, q, y, weight, weighted, targets, s)
            sums[0] = 0.0
            invoke(block, loss_numbers, sums, size, targets, z, s, c)
            total += sums[0]
            for j in range(p + 1):
                part[j] = 0.0
            for q in range(size):
                i = order[start + q]
                change = c[q] - remembered[i]
                add(rows, i, change, part, order[min(start + q + ahead, n - 1)])
                if renew > 0.0:
                    remembered[i] = remembered[i] + change
            centre(rows, part)
            if pull:
                invoke(pull, penalty_numbers, sums, p, w, pulled)
            for j in range(p + 1):
                g[j] = part[j]
                part[j] = g[j] / size + known[j] + pulled[j]
                known[j] += renew * g[j]
            precondition(inverse, full, p, part, d)
            rate = narrow(rates[k], bias)
            move(p, w, rate, d, inverse, h, prox, penalty_numbers, sums)
            if averaged:
                mix_in(average, w, p + 1, mixes[k])
        return total

    return variance_reduced
