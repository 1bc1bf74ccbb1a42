"""What columns of sparse rows are given when a chunk of a stream has entries in them, before it is learned."""

from math import exp, sqrt

from sklearn_sgd._engine.automatic.entries import KNOWN, NEWS, acquaintance, share_of_rows
from sklearn_sgd._engine.compiled.drivers.rare import catch_up
from sklearn_sgd._engine.compiled.drivers.words import Double, Doubles, Indices, Integer, Reals, tail


def visit(
    X: Reals, indices: Indices, entries: Integer, p: Integer, rows: Doubles, parameters: Doubles,
    centred: Integer, weight: Double, gained: Double, kept: Double, share: Double, left: Double, window: Doubles,
    averaged: Integer,
    ridge: Double, lasso: Double, w: Reals, average: Doubles, inverse: Reals, numbers: Doubles, sums: Doubles,
) -> Double:  # fmt: skip
    """Bring columns that are not filled up to date, learn their entries in ``gained`` rows, and scale them.

    ``rows`` and ``parameters`` are those of :class:`.StatesByColumn`, before a chunk that leaves a ``share`` of the
    weight of earlier rows. In ``sums`` are the acquaintances with the columns before, and after; the largest count;
    and how many squares, or one over them, are out of range.
    """
    seen = tail(numbers, 3 * p)
    for e in range(entries):
        place, value = 3 * int(indices[e]), float(X[e])
        numbers[place] += 1.0 if value != 0.0 else 0.0
        numbers[place + 1] += value
        numbers[place + 2] += value * value
    total = share * weight + gained
    for j in range(p):
        r, c = 5 * j, 6 * j
        mean, count, then = rows[r], rows[r + 2], rows[r + 3]
        square = rows[r + 1] + then * mean * mean
        before = acquaintance(count)
        sums[0] += before
        w[j] = parameters[c]
        average[j] = parameters[c + 1]
        if ridge > 0.0 or lasso > 0.0:
            seen[j] = parameters[c + 3]
            k = before / square if square > 0.0 else 0.0
            catch_up(j, w, average, k, seen, window, averaged, ridge, lasso)
        elif averaged:
            average[j] = float(w[j]) + exp(left - parameters[c + 2]) * (average[j] - float(w[j]))
        fade = exp(kept - rows[r + 4])
        count *= fade
        square *= fade
        spread = 0.0
        if count > 0.0:
            spread = square / count * share_of_rows(count, weight, KNOWN)
        amount = share * fade * then * mean + numbers[3 * j + 1]
        count = share * count + numbers[3 * j]
        square = share * square + numbers[3 * j + 2]
        sums[1] += acquaintance(count)
        sums[2] = max(sums[2], count)
        inverse[j] = 0.0
        if count > 0.0:
            wider = square / count * share_of_rows(count, total, KNOWN)
            inverse[j] = 1.0 / wider
            sums[3] += 0.0 if float(inverse[j]) > 0.0 and float(inverse[j]) < 1e308 else 1.0
            if spread > 0.0 and wider > NEWS * spread:
                factor = sqrt(spread / wider)
                w[j] *= factor
                average[j] *= factor
        mean = amount / total if centred else 0.0
        rows[r], rows[r + 1], rows[r + 2] = mean, max(0.0, square - total * mean * mean), count
    return 0.0
