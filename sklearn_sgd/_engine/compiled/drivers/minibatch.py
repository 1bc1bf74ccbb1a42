"""Steps on batches by a schedule, with any loss, penalty and optimizer."""

from sklearn_sgd._engine.compiled.drivers.batch import build_accumulate, mix_in
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
    tail,
)


def take_step(p, vectors, slope, scratch, rate, number, optimizer, penalty, sums):
    """The update of that number, along a mean gradient: the step of the optimizer, and the penalty's proximal step.

    ``vectors`` is ``(w, m, v)``, the parameters and their moments, and ``scratch`` is ``(pulled, h)``. ``optimizer`` is
    ``(update, numbers)``, ``penalty`` is ``(pull, prox, numbers)``.
    """
    w, m, v = vectors
    pulled, h = scratch
    update, optimizer_numbers = optimizer
    pull, prox, penalty_numbers = penalty
    if pull:
        invoke(pull, penalty_numbers, sums, p, w, pulled)
    # The rate is always in the precision of X, as in the optimizer.
    invoke(update, optimizer_numbers, sums, p + 1, slope, pulled, w, m, v, h, rate, 1.0 * number)
    if prox:
        invoke(prox, penalty_numbers, sums, p, w, h)


def build(layout):
    """Return the driver for a kind of rows."""
    accumulate = build_accumulate(layout)

    def minibatch(
        X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
        y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, at_once: Integer,
        ahead: Integer,
        rates: Doubles, mixes: Doubles, updates: Integer, averaged: Integer, done: Integer,
        w: Reals, average: Doubles, m: Reals, v: Reals,
        block: Function, loss_numbers: Doubles, update: Function, optimizer_numbers: Doubles,
        pull: Function, prox: Function, penalty_numbers: Doubles, work: Reals, sums: Doubles,
    ) -> Double:  # fmt: skip
        rows = (X, indices, indptr, mean, centred, bias, p)
        size, g, total = min(batch, n), tail(sums, 2), 0.0
        z, targets, s, c = tail(work, 0), tail(work, size), tail(work, 2 * size), tail(work, 3 * size)
        part, slope = tail(work, 4 * size), tail(work, 4 * size + p + 1)
        pulled, h = tail(work, 4 * size + 2 * (p + 1)), tail(work, 4 * size + 3 * (p + 1))
        known, reading, loss = (y, weight, weighted), (order, n, at_once, ahead), (block, loss_numbers)
        scratch, optimizer = (z, targets, s, c, part), (update, optimizer_numbers)
        penalty = (pull, prox, penalty_numbers)
        for k in range(updates):
            start, stop = k * batch, min((k + 1) * batch, n)
            accumulate(rows, known, reading, start, stop, w, scratch, g, loss, sums)
            total += sums[0]
            share = 1.0 / (stop - start)
            for j in range(p + 1):
                slope[j] = share * g[j]
            take_step(p, (w, m, v), slope, (pulled, h), rates[k], done + k + 1, optimizer, penalty, sums)
            if averaged:
                mix_in(average, w, p + 1, mixes[k])
        return total

    return minibatch
