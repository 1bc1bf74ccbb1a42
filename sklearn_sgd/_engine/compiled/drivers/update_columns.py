"""The update of sparse columns that have entries in a chunk of a stream, before the chunk is learned."""

from math import exp, log, sqrt

from sklearn_sgd._engine.automatic.credibility import (
    KNOWN,
    PARAMETERS,
    STATISTICS,
    SUMMED,
    WIDENING,
    after_turn,
    credibility,
    mean_square,
    scaled_mean,
    share_followed,
    share_of_rows,
    with_gaps,
)
from sklearn_sgd._engine.automatic.window import MEAN_TURN, TURN
from sklearn_sgd._engine.compiled.drivers.lazy_penalty import catch_up
from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Indices, Integer, Reals

# Places of the results among the numbers: credibilities before and after, reaches before and after, and the number of
# columns that need another way. After them come three numbers for each column.
BEFORE, AFTER, REACH_BEFORE, REACH_AFTER, OTHERS, FIRST = 0, 1, 2, 3, 4, 5


def lean_of(mean, moment, weight, count):
    """Return the `scaled_mean` of a column; 0 if it has had no entries."""
    return scaled_mean(mean, moment, weight, count) if moment + weight * mean * mean > 0.0 else 0.0


def update_columns(
    X: Reals, indices: Indices, indptr: Indices, n: Integer, shares: Reals, weighted: Integer, entries: Integer,
    p: Integer, rows: Doubles,
    centred: Integer, least: Double, earlier: Double, gained: Double, kept: Double, share: Double, left: Double,
    window: Doubles, averaged: Integer,
    ridge: Double, lasso: Double, w: Reals, average: Doubles, inverse: Reals,
    lean: Doubles, onto: Doubles, leans: Integer, unit_of_means: Double, samples: Double, numbers: Doubles,
) -> Double:  # fmt: skip
    """Bring columns up to date, add their entries in rows of weight ``gained``, and scale those that are not filled.

    ``shares`` are the weights of the entries.

    The filled columns are those whose ``inverse`` is negative at first; they have at least ``least`` entries.

    ``rows`` are those of the table of :class:`.StatesByColumn`. The chunk leaves a ``share`` of the weight of earlier
    rows. The function writes to ``numbers``: the sums of credibilities with the columns before and after; the same of
    the products of sums of entries and `scaled_mean`; and the number of columns that become filled or stop being
    filled, or whose squares or their inverses are out of range. If it ``leans``, it also writes to ``lean`` and
    ``onto``, which are as in `lazy_automatic`. There were so many ``samples`` before.
    """
    for e in range(entries):
        at, s = FIRST + 3 * int(indices[e]), 1.0
        if weighted:
            s = float(shares[e])
        numbers[at] += s
        numbers[at + 1] += s if X[e] != 0.0 else 0.0
    forgotten = log(share)
    for j in range(p):
        r, at = (STATISTICS + PARAMETERS) * j, FIRST + 3 * j
        c = r + STATISTICS
        mean, moment, count, then = rows[r], rows[r + 1], rows[r + 2], rows[r + 3]
        square, known = moment + then * mean * mean, credibility(count)
        left_of_average = exp(left - rows[c + 2]) if averaged else 1.0
        w[j] = rows[c]
        average[j] = rows[c + 1]
        if ridge > 0.0 or lasso > 0.0:
            k = known / square if square > 0.0 else 0.0
            w[j], average[j] = catch_up(rows[c], rows[c + 1], rows[c + 3], k, window, ridge, lasso)
        elif averaged:
            average[j] = float(w[j]) + left_of_average * (average[j] - float(w[j]))
        # Rows without entries since the last visit.
        fade = exp(kept - rows[r + 4])
        if inverse[j] >= 0.0:
            numbers[BEFORE] += fade * known
            if leans:
                leaning = lean_of(mean, moment, then, count)
                numbers[REACH_BEFORE] += fade * leaning * then * mean
                leaning *= share_followed(count, earlier, samples - rows[c + 3])
                now, before = (window[TURN], window[MEAN_TURN]), (rows[c + 4], rows[c + 5])
                w[j], average[j] = after_turn(float(w[j]), average[j], leaning, now, before, left_of_average)
        count *= fade
        mean, moment = with_gaps(mean, fade * moment, fade * then, earlier)
        numbers[at + 2] = 0.0
        if count > 0.0 and inverse[j] >= 0.0:
            numbers[at + 2] = mean_square(mean, moment, earlier, count) * share_of_rows(count, earlier, KNOWN)
        rest = gained - numbers[at]
        if abs(rest) < SUMMED * gained:
            rest = 0.0
        rows[r], rows[r + 1] = with_gaps(mean, share * moment, share * earlier, share * earlier + rest)
        rows[r + 2] = share * count + numbers[at + 1]
        rows[r + 3] = share * earlier + rest
        rows[r + 4] = kept + forgotten
    for e in range(entries):
        r, value, s = (STATISTICS + PARAMETERS) * int(indices[e]), float(X[e]), 1.0
        if weighted:
            s = float(shares[e])
        rows[r + 3] += s
        delta = value - rows[r]
        if centred:
            rows[r] += s * delta / rows[r + 3]
        rows[r + 1] += s * delta * (value - rows[r])
    for j in range(p):
        r, spread = (STATISTICS + PARAMETERS) * j, numbers[FIRST + 3 * j + 2]
        count, total = rows[r + 2], rows[r + 3]
        if inverse[j] < 0.0:
            inverse[j] = 1.0
            numbers[OTHERS] += 0.0 if count >= least else 1.0
        else:
            numbers[AFTER] += credibility(count)
            numbers[OTHERS] += 1.0 if count >= least else 0.0
            inverse[j] = 0.0
            if count > 0.0:
                wider = mean_square(rows[r], rows[r + 1], total, count) * share_of_rows(count, total, KNOWN)
                inverse[j] = 1.0 / wider
                numbers[OTHERS] += 0.0 if float(inverse[j]) > 0.0 and float(inverse[j]) < 1e308 else 1.0
                if spread > 0.0 and wider > WIDENING * spread:
                    factor = sqrt(spread / wider)
                    w[j] *= factor
                    average[j] *= factor
            if leans:
                leaning = lean_of(rows[r], rows[r + 1], total, count)
                numbers[REACH_AFTER] += leaning * total * rows[r]
                lean[j] = unit_of_means * leaning
        rows[r + 3] = share * earlier + gained
    if leans:
        for i in range(n):
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                onto[i] += float(X[e]) * lean[int(indices[e])]
    return 0.0
