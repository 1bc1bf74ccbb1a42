"""Steps on all rows by a schedule, for the squared error from its moments: the rows are not read."""

from sklearn_sgd._engine.compiled.drivers.batch import mix_in, precondition
from sklearn_sgd._engine.compiled.drivers.minibatch import take_step
from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Function, Integer, Reals, tail


def normal(
    covariance: Doubles, with_target: Doubles, variance: Double, mean: Doubles, target: Double, bias: Double,
    total_weight: Double, share: Double, p: Integer,
    rates: Doubles, mixes: Doubles, updates: Integer, averaged: Integer, done: Integer,
    w: Reals, average: Doubles, m: Reals, v: Reals,
    update: Function, optimizer_numbers: Doubles, pull: Function, prox: Function, penalty_numbers: Doubles,
    work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """Make steps along ``share`` times the mean gradient; return the sum of the losses before them."""
    slope, pulled, h, product = tail(work, 0), tail(work, p + 1), tail(work, 2 * (p + 1)), tail(sums, 2)
    total = 0.0
    for k in range(updates):
        precondition(covariance, 1, p, w, product)
        error = w[p] - target
        for j in range(p):
            error += mean[j] * w[j]
        error *= bias
        squares = variance + error * error
        for j in range(p):
            squares += w[j] * (product[j] - 2.0 * with_target[j])
            slope[j] = share * (product[j] - with_target[j] + error * mean[j])
        slope[p] = share * error
        if squares < 0.0:
            squares = 0.0
        total += 0.5 * total_weight * squares
        take_step(
            p, w, m, v, slope, pulled, h, rates[k], done + k + 1, update, optimizer_numbers, pull, prox,
            penalty_numbers, sums,
        )  # fmt: skip
        if averaged:
            mix_in(average, w, p + 1, mixes[k])
    return total
