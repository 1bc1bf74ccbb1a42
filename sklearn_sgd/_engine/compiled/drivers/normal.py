"""Steps on all rows, by a schedule or automatic, for the squared error from its moments: the rows are not read."""

from sklearn_sgd._engine.compiled.drivers.batch import mix_in, precondition
from sklearn_sgd._engine.compiled.drivers.minibatch import take_step
from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Function, Integer, Reals, invoke, tail
from sklearn_sgd._engine.compiled.drivers.vectors import add_multiple, dot, multiply, project


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
    optimizer, penalty, total = (update, optimizer_numbers), (pull, prox, penalty_numbers), 0.0
    for k in range(updates):
        precondition(covariance, 1, p, w, product)
        error = w[p] - target
        for j in range(p):
            error += mean[j] * w[j]
        squares = variance + error * error
        for j in range(p):
            squares += w[j] * (product[j] - 2.0 * with_target[j])
            slope[j] = share * (product[j] - with_target[j] + error * mean[j])
        slope[p] = share * bias * error
        if squares < 0.0:
            squares = 0.0
        total += 0.5 * total_weight * squares
        take_step(p, (w, m, v), slope, (pulled, h), rates[k], done + k + 1, optimizer, penalty, sums)
        if averaged:
            mix_in(average, w, p + 1, mixes[k])
    return total


def normal_automatic(
    covariance: Doubles, with_target: Doubles, variance: Double, mean: Doubles, target: Double, bias: Double,
    total_weight: Double, p: Integer, inverse: Doubles, full: Integer,
    rate: Double, mix: Double, averaged: Integer, w: Doubles, average: Doubles,
    pull: Function, prox: Function, penalty_numbers: Doubles, work: Doubles, sums: Doubles,
) -> Double:  # fmt: skip
    """Make one automatic step, to the minimum along its direction at most; return the sum of the losses before it."""
    product, g, d = tail(work, 0), tail(work, p), tail(work, 2 * p)
    pulled, along = tail(work, 3 * p), tail(work, 4 * p)
    project(covariance, p, p, w, product)
    error = w[p] - target + dot(p, mean, w)
    squares = variance + error * error + dot(p, w, product) - 2.0 * dot(p, w, with_target)
    add_multiple(p, product, -1.0, with_target, g)
    add_multiple(p, g, error, mean, g)
    if pull:
        invoke(pull, penalty_numbers, sums, p, w, pulled)
        add_multiple(p, g, 1.0, pulled, g)
    if full:
        project(inverse, p, p, g, d)
    else:
        multiply(p, inverse, g, d)
    project(covariance, p, p, d, along)
    moves = dot(p, mean, d) + bias * error
    fall, bend = dot(p, d, g) + bias * error * error, dot(p, d, along) + moves * moves
    if pull:
        invoke(pull, penalty_numbers, sums, p, d, pulled)
        bend += dot(p, d, pulled)
    step = 0.0
    if bend > 0.0:
        step = rate
        if fall < rate * bend:
            step = fall / bend
    add_multiple(p, w, -step, d, w)
    w[p] -= step * bias * error
    if prox and full == 0:
        for j in range(p):
            pulled[j] = step * inverse[j]
        invoke(prox, penalty_numbers, sums, p, w, pulled)
    if averaged:
        mix_in(average, w, p + 1, mix)
    if squares < 0.0:
        squares = 0.0
    return 0.5 * total_weight * squares
