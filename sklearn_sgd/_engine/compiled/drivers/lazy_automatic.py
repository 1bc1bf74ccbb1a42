"""The automatic step on sparse rows at the cost of each batch's non-zeros.

Columns with many zeros are not centred, and each has a scale of its own. The ``filled`` columns, which have entries in
most rows, are centred and preconditioned together. A column without entries in a batch does not move with the gradient.
The effects of the penalty and of averaging are applied when it next occurs, and at the end of the pass.

A penalty acts for a time, which is the sum of the lengths of the steps, by ``w' = -k (ridge w + lasso sign(w))``, where
k is the scale of the column. Meanwhile the average follows by ``a' = pace (w - a)``. Both have closed forms, so the
result does not depend on the number of parts of the time. The pace corresponds to the weights of the average on steps
of mean length. It is computed again whenever the number of updates has grown by a quarter. The window stores all paces.
"""

from math import exp, factorial, log

from sklearn_sgd._engine.automatic.window import (
    FIRST,
    GROWTH,
    MOST_PACES,
    NEXT,
    PACES,
    RELATIVE_TIME,
    STEPS,
    TIME,
)
from sklearn_sgd._engine.compiled.drivers.automatic import step_length
from sklearn_sgd._engine.compiled.drivers.batch import line_search, precondition, take_row
from sklearn_sgd._engine.compiled.drivers.layouts import LINE
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
    prefetch,
    series,
    tail,
)

# Remaining weight of the start of an average, below which the average is brought up to date.
LEAST = 1e-100

# Below this value the series are exact to rounding.
SMALL = 1.0 / 16.0

# Up to MODERATE, so is this one in x for ``(1 - exp(-x)) / x``. An average moves by less than this share within a pace.
MODERATE = 1.0
MEAN_DECAY = tuple((-1.0) ** k / factorial(k + 1) for k in range(18))

# Below this value log(1 + x) is less exact than x.
TINY = 1e-6

# The pace of an average that equals the coefficient.
ENDLESS = 1e200


# Places in a row of the table of columns, which is half a cache line: the coefficient, its average, its scale, and the
# time of the last visit, which matters under a penalty.
MEAN, SCALE, SEEN, WIDTH = 1, 2, 3, 4

# Columns of a row for which the effect of a penalty is computed together, LANES at a time, and the memory for it.
STRETCH, LANES = 256, 8
HELD = 6 * STRETCH


def mean_decay(x, moderate):
    """Return ``(1 - exp(-x)) / x``, the mean of ``exp(-x u)`` for u from 0 to 1; without a branch if x is moderate."""
    if moderate:
        return series(MEAN_DECAY, x)
    if x < SMALL:
        square = x * x  # In pairs, so that terms are computed in parallel.
        last = 1.0 / 120.0 - x / 720.0 + square * (1.0 / 5040.0 - x / 40320.0)
        return 1.0 - x / 2.0 + square * (1.0 / 6.0 - x / 24.0 + square * last)
    return (1.0 - exp(-x)) / x


def follow(size, mean, decay, pace, threshold, moderate):
    """Return a size that does not reach 0, and its average, after ``w' = -decay w - threshold`` for time 1."""
    near, far, gap = min(decay, pace), max(decay, pace), abs(pace - decay)
    flat, drop = mean_decay(near, moderate), mean_decay(gap, moderate)
    # The values of exp at -near and -far, and its divided difference.
    first = 1.0 - near * flat
    both = first * drop
    second = first - gap * both
    rest = first if decay <= pace else second
    left = second if decay <= pace else first
    size, mean, gain = size * rest, left * mean, size * both
    if threshold > 0.0:
        # The divided differences at 0 and -decay, and at 0, -decay and -pace.
        per_far = 1.0 / max(far, 1e-300)
        gain -= threshold * (flat - both) * per_far
        size -= threshold * (flat if decay <= pace else (near * flat + gap * both) * per_far)
    return size, mean + pace * gain


def flow(value, mean, time, pace, ridge, lasso):
    """Return a coefficient and its average after a time under a penalty."""
    if lasso <= 0.0:
        return follow(value, mean, ridge * time, pace * time, 0.0, False)
    size, sign = abs(value), -1.0 if value < 0.0 else 1.0
    end, after = follow(size, sign * mean, ridge * time, pace * time, lasso * time, False)
    if end <= 0.0:
        until, after = 0.0, sign * mean
        if size > 0.0:
            # It reaches 0 before the end of the time.
            until, steep = size / lasso, ridge * size / lasso
            if steep > TINY:
                until = log(1.0 + steep) / ridge
            until = min(until, time)
            _, after = follow(size, sign * mean, ridge * until, pace * until, lasso * until, False)
        rest = pace * (time - until)
        end, after = 0.0, (1.0 - rest * mean_decay(rest, False)) * after
    return sign * end, sign * after


def catch_up(value, mean, start, scale, window, ridge, lasso):
    """Return a coefficient and its average after the missed effect of a penalty since a time, over all paces."""
    time = window[TIME]
    if time > start and (value != 0.0 or mean != 0.0):
        last = int(window[PACES])
        c = last
        while c > 0 and window[FIRST + 2 * c] > start:
            c -= 1
        while c <= last:
            stop = time
            if c < last:
                stop = window[FIRST + 2 * (c + 1)]
            if stop > start:
                value, mean = flow(value, mean, stop - start, window[FIRST + 2 * c + 1], scale * ridge, scale * lasso)
                start = stop
            c += 1
    return value, mean


def settle(
    p: Integer, w: Doubles, average: Doubles, scale: Doubles, seen: Doubles, window: Doubles,
    ridge: Double, lasso: Double,
) -> Double:  # fmt: skip
    """Apply to all columns, and their averages, the missed effect of a penalty."""
    for j in range(p):
        w[j], average[j] = catch_up(w[j], average[j], seen[j], scale[j], window, ridge, lasso)
    return 0.0


def keep_pace(window, t, mix, unit):
    """Begin a new pace with update t, if it is due, so that ``mix`` is the weight of an update of mean length."""
    place = FIRST + 2 * int(window[PACES])
    if t >= window[NEXT] or (mix == 1.0) != (window[place + 1] == ENDLESS):
        pace, until = ENDLESS, 1
        if mix < 1.0:
            pace = min(ENDLESS, -log(1.0 - mix) * window[STEPS + 1] / max(window[STEPS] * unit, 1e-300))
        while until <= t:
            until = max(until + 1, int(until * GROWTH))
        if window[PACES] < MOST_PACES - 1.0:
            window[PACES] += 1.0
            place += 2
            window[place] = window[TIME]
        window[place + 1], window[NEXT] = pace, float(until)


def request(rows, i):
    """Prefetch a sparse row."""
    X, indices, indptr = rows
    e, end = int(indptr[i]), int(indptr[i + 1])
    while e < end:
        prefetch(X, e)
        prefetch(indices, e)
        e += LINE


def visit(table, at, scale, now, window, ridge, lasso):
    """Apply to a column of the table the missed effect of a penalty; in most cases the pace in ``now`` applies."""
    time, since, pace = now
    start, value, mean = table[at + SEEN], table[at], table[at + MEAN]
    if time > start and (value != 0.0 or mean != 0.0):
        if start >= since:
            value, mean = flow(value, mean, time - start, pace, scale * ridge, scale * lasso)
        else:
            value, mean = catch_up(value, mean, start, scale, window, ridge, lasso)
        table[at], table[at + MEAN] = value, mean
    table[at + SEEN] = time


def visit_row(indices, first, end, table, held, now, window, ridge, lasso):
    """Apply to the columns of a row the missed effect of a penalty, to many at a time if it is of one pace."""
    time, since, pace = now
    values, means, decays = tail(held, STRETCH), tail(held, 2 * STRETCH), tail(held, 3 * STRETCH)
    paces, thresholds = tail(held, 4 * STRETCH), tail(held, 5 * STRETCH)
    while first < end:
        last, n, large = min(first + STRETCH, end), 0, 0
        for e in range(first, last):
            at = WIDTH * int(indices[e])
            start = table[at + SEEN]
            if start < since:
                visit(table, at, table[at + SCALE], now, window, ridge, lasso)
            else:
                held[n], values[n], means[n] = float(at), table[at], table[at + MEAN]
                part = table[at + SCALE] * (time - start)
                decays[n], paces[n], thresholds[n] = ridge * part, pace * (time - start), lasso * part
                large += 1 if max(decays[n], paces[n]) > MODERATE else 0
                n += 1 if start < time else 0
                table[at + SEEN] = time
        if large == 0:
            # Up to a multiple of LANES, so that none is left over; the results of more than n are not used.
            follow_all(LANES * ((n + LANES - 1) // LANES), values, means, decays, paces, thresholds, lasso)
        for k in range(n):
            at = int(held[k])
            if large > 0 or (lasso > 0.0 and values[k] * table[at] <= 0.0):
                values[k], means[k] = flow(table[at], table[at + MEAN], 1.0, paces[k], decays[k], thresholds[k])
            table[at], table[at + MEAN] = values[k], means[k]
        first = last


def follow_all(n, values, means, decays, paces, thresholds, lasso):
    """Follow coefficients and averages for time 1; a coefficient that reaches 0 gets another sign."""
    if lasso > 0.0:
        for k in range(n):
            sign = -1.0 if values[k] < 0.0 else 1.0
            end, after = follow(abs(values[k]), sign * means[k], decays[k], paces[k], thresholds[k], True)
            values[k], means[k] = sign * end, sign * after
    else:
        for k in range(n):
            values[k], means[k] = follow(values[k], means[k], decays[k], paces[k], 0.0, True)


def present(window):
    """Return the time, the time at which the pace began, and the pace."""
    place = FIRST + 2 * int(window[PACES])
    return window[TIME], window[place], window[place + 1]


def predict(rows, i, shift, table):
    """Raw prediction for row i."""
    X, indices, indptr = rows
    raw = shift
    for e in range(int(indptr[i]), int(indptr[i + 1])):
        raw += X[e] * table[WIDTH * int(indices[e])]
    return raw


def descend(rows, order, start, size, c, length, shares, table):
    """Move columns by a length along minus the scaled gradient of a batch."""
    X, indices, indptr = rows
    for k in range(size):
        q = size - 1 - k  # The columns of the last rows were just read, and are still in the first-level cache.
        i, slope = order[start + q], length * float(c[q]) / size
        for e in range(int(indptr[i]), int(indptr[i + 1])):
            at = WIDTH * int(indices[e])
            by = slope * float(X[e]) * table[at + SCALE]
            table[at] -= by
            table[at + MEAN] += shares * by


def set_aside(filled, n_filled, table, kept):
    """Keep the coefficients of the filled columns and their averages, and begin the sums of their moves at 0."""
    for f in range(n_filled):
        at = WIDTH * int(filled[f])
        kept[2 * f], kept[2 * f + 1] = table[at], table[at + MEAN]
        table[at] = 0.0


def put_back(filled, n_filled, d, length, shares, table, kept):
    """Write the coefficients of the filled columns, and their averages, after a move along their direction."""
    for f in range(n_filled):
        at, by = WIDTH * int(filled[f]), length * float(d[f])
        table[at], table[at + MEAN] = kept[2 * f] - by, kept[2 * f + 1] + shares * by


def lazy_automatic(
    X: Reals, indices: Indices, indptr: Indices, mean: Reals, bias: Real, p: Integer,
    y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, ahead: Integer,
    rates: Doubles, mixes: Doubles, updates: Integer, averaged: Integer,
    w: Reals, average: Doubles, inverse: Reals, filled: Indices, n_filled: Integer, shared: Reals, full: Integer,
    window: Doubles, noise: Integer, block: Function, slopes: Function, loss_numbers: Doubles,
    ridge: Double, lasso: Double, unit: Double, done: Integer, table: Doubles, work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass. ``filled``: numbers of the filled columns; ``shared``: their preconditioner; their ``inverse`` is 1.

    The numbers of the penalty are per unit of time; ``done`` is the number of updates before the pass. Without a
    penalty the average is ``left`` times its stored value, plus the weights so far times the parameters.

    Each step is taken at its whole length before the line search. Predictions before and after it give those for its
    direction, so that the entries of a batch are read three times. Only a step that is shortened takes a fourth.
    """
    most, pulls = min(batch, n), ridge > 0.0 or lasso > 0.0
    rows, kept = (X, indices, indptr), tail(table, WIDTH * p)
    before = tail(kept, 2 * n_filled)
    held = tail(before, most)
    z, targets, s, c = tail(work, 0), tail(work, most), tail(work, 2 * most), tail(work, 3 * most)
    along, trial, ends = tail(work, 4 * most), tail(work, 5 * most), tail(work, 6 * most)
    part = tail(work, 7 * most)
    d = tail(part, n_filled + 1)
    left, shares, follows, total = 1.0, 0.0, False, 0.0
    time, since, pace = present(window)
    for j in range(p):
        at = WIDTH * j
        table[at], table[at + MEAN] = float(w[j]), average[j]
        table[at + SCALE], table[at + SEEN] = float(inverse[j]), time
    for k in range(updates + 1):
        last, mix = k == updates, 0.0
        if averaged:
            mix = mixes[min(k, updates - 1)]
        if averaged and pulls == 0 and (last or left < LEAST or (follows and mix < 1.0)):
            for j in range(p):
                at = WIDTH * j
                table[at + MEAN] = table[at] if follows else left * (table[at + MEAN] + shares * table[at])
            left, shares = 1.0, 0.0
        if last:
            break
        start, stop = k * batch, min((k + 1) * batch, n)
        size, pull, fall = stop - start, 0.0, 0.0
        shift = float(bias) * float(w[p])
        for f in range(n_filled):
            at = WIDTH * int(filled[f])
            if pulls:
                visit(table, at, float(shared[f]), (time, since, pace), window, ridge, lasso)
            shift -= float(mean[filled[f]]) * table[at]
        for q in range(size):
            i = order[start + q]
            if pulls:
                first, end = int(indptr[i]), int(indptr[i + 1])
                visit_row(indices, first, end, table, held, (time, since, pace), window, ridge, lasso)
            before[q] = predict(rows, i, shift, table)
            z[q] = before[q]
            take_row(i, q, y, weight, weighted, targets, s)
        sums[0] = 0.0
        sums[1] = 0.0
        invoke(block, loss_numbers, sums, size, targets, z, s, c)
        total += sums[0]
        step = step_length(rates[k], size, batch, window, noise, sums[0], sums[1])
        for q in range(size):
            later = order[min(start + q + ahead, n - 1)]
            prefetch(y, later)
            request(rows, later)
            pull += float(c[q]) * float(bias) / size
        go = 0.0
        if step > 0.0 and step < 1e308:
            set_aside(filled, n_filled, table, kept)
            descend(rows, order, start, size, c, step, shares, table)
            for f in range(n_filled):
                part[f] = -table[WIDTH * int(filled[f])] / step - float(mean[filled[f]]) * pull
            precondition(shared, full, n_filled, part, d)
            put_back(filled, n_filled, d, step, shares, table, kept)
            shift = float(bias) * (float(w[p]) - step * pull)
            for f in range(n_filled):
                shift -= float(mean[filled[f]]) * table[WIDTH * int(filled[f])]
            for q in range(size):
                move = (before[q] - predict(rows, order[start + q], shift, table)) / step
                along[q] = move
                fall += float(c[q]) / size * move
            if fall > 0.0:
                go = line_search(
                    step, fall, 0.0, 0.0, noise, size, targets, z, s, ends, along, trial, slopes, loss_numbers, sums
                )
            if go < step:
                descend(rows, order, start, size, c, go - step, shares, table)
                put_back(filled, n_filled, d, go, shares, table, kept)
        w[p] -= go * pull
        if go > 0.0:
            step = go
        if pulls and averaged:
            keep_pace(window, done + k + 1, mix, unit)
        if step < 1e308:
            window[RELATIVE_TIME] += step * window[0] / max(window[1], 1e-300)
            window[STEPS] += step
            window[STEPS + 1] += 1.0
            window[TIME] += step * unit
        time, since, pace = present(window)
        if averaged:
            average[p] += mix * (float(w[p]) - average[p])
            follows = mix == 1.0
            if pulls == 0 and not follows:
                left *= 1.0 - mix
                shares += mix / left
    if pulls:
        for f in range(n_filled):
            visit(table, WIDTH * int(filled[f]), float(shared[f]), (time, since, pace), window, ridge, lasso)
    for j in range(p):
        at = WIDTH * j
        if pulls:
            visit(table, at, table[at + SCALE], (time, since, pace), window, ridge, lasso)
        w[j] = table[at]
        if averaged:
            average[j] = table[at + MEAN]
    return total
