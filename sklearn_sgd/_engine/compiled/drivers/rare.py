"""The automatic step on sparse rows at the cost of each batch's non-zeros.

Columns with gaps are not centred, and each has a scale of its own; the ``filled`` ones, of which a row has most, are
centred, and preconditioned together. A column in no row of a batch does not move, but for two things that it is given
at its next visit, and at the end of the pass: the pull of the penalty, and the shares of the average.

A penalty pulls for a time, the sum of the steps' lengths, along the flow ``w' = -k (ridge w + lasso sign(w))``, with
the scale k of the column, and meanwhile the average follows by ``a' = pace (w - a)``. Both are known in closed form, so
it does not matter in how many parts. A pace is that of the shares of the average on steps of mean length, and is made
anew when the number of updates has grown by a quarter. The window holds them.
"""

from math import exp, log

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
from sklearn_sgd._engine.compiled.drivers.batch import line_search, precondition
from sklearn_sgd._engine.compiled.drivers.layouts import LINE
from sklearn_sgd._engine.compiled.drivers.words import (
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
    tail,
)

# What is left of the start of an average, below which the average is brought up to date.
LEAST = 1e-100

# Below it series are exact.
SMALL = 1.0 / 16.0

# Below it a logarithm of 1 and a number is less exact than the number.
TINY = 1e-6

# The pace of an average that is what the coefficient is.
ENDLESS = 1e200


def mean_decay(x):
    """``(1 - exp(-x)) / x``, the mean of ``exp(-x u)`` for u from 0 to 1."""
    if x < SMALL:
        small = 1.0 / 120.0 - x * (1.0 / 720.0 - x * (1.0 / 5040.0 - x / 40320.0))
        return 1.0 - x * (1.0 / 2.0 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x * small)))
    return (1.0 - exp(-x)) / x


def mean_decays(x, y):
    """The divided differences of exp at ``-x, -y`` and at ``0, -x, -y``."""
    low, high = min(x, y), max(x, y)
    flat = mean_decay(low)
    both = (1.0 - low * flat) * mean_decay(high - low)
    if high >= SMALL:
        return both, (flat - both) / high
    total, term, power, factor = 0.5, 1.0, 1.0, 0.5
    for n in range(1, 9):
        power *= -y
        term = power - x * term
        factor /= n + 2.0
        total += factor * term
    return both, total


def follow(size, mean, decay, pace, threshold):
    """The size of a coefficient that does not reach 0, and its average, after ``w' = -decay w - threshold`` for 1."""
    flat = mean_decay(decay)
    both, all_three = mean_decays(decay, pace)
    mean = (1.0 - pace * mean_decay(pace)) * mean + pace * (size * both - threshold * all_three)
    return size * (1.0 - decay * flat) - threshold * flat, mean


def flow(size, mean, time, pace, ridge, lasso):
    """The size of a coefficient, and its average in units of its sign, after a time."""
    end, after = follow(size, mean, ridge * time, pace * time, lasso * time)
    if end > 0.0 or lasso <= 0.0:
        return end, after
    until = 0.0
    if size > 0.0:
        # It reaches 0 on the way.
        until, steep = size / lasso, ridge * size / lasso
        if steep > TINY:
            until = log(1.0 + steep) / ridge
        until = min(until, time)
        _, mean = follow(size, mean, ridge * until, pace * until, lasso * until)
    rest = pace * (time - until)
    return 0.0, (1.0 - rest * mean_decay(rest)) * mean


def catch_up(j, u, a, k, seen, window, averaged, ridge, lasso):
    """Give column j of scale k, and its average, what they missed of a penalty since their last visit."""
    value, start, time, mean = float(u[j]), seen[j], window[TIME], 0.0
    if averaged:
        mean = a[j]
    seen[j] = time
    if time > start and (value != 0.0 or mean != 0.0):
        sign = -1.0 if value < 0.0 else 1.0
        size, mean, last = abs(value), sign * mean, int(window[PACES])
        c = last
        while c > 0 and window[FIRST + 2 * c] > start:
            c -= 1
        while c <= last:
            stop = time
            if c < last:
                stop = window[FIRST + 2 * (c + 1)]
            if stop > start:
                size, mean = flow(size, mean, stop - start, window[FIRST + 2 * c + 1], k * ridge, k * lasso)
                start = stop
            c += 1
        u[j] = sign * size
        if averaged:
            a[j] = sign * mean


def settle(
    p: Integer, w: Doubles, average: Doubles, scale: Doubles, seen: Doubles, window: Doubles, averaged: Integer,
    ridge: Double, lasso: Double,
) -> Double:  # fmt: skip
    """Give all columns what they missed of a penalty."""
    for j in range(p):
        catch_up(j, w, average, scale[j], seen, window, averaged, ridge, lasso)
    return 0.0


def keep_pace(window, t, mix, unit):
    """Let a pace begin with update t, if it is time, that makes ``mix`` the share of an update of mean length."""
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
    """Request a sparse row."""
    X, indices, indptr = rows
    e, end = int(indptr[i]), int(indptr[i + 1])
    while e < end:
        prefetch(X, e)
        prefetch(indices, e)
        e += LINE


def rare(
    X: Reals, indices: Indices, indptr: Indices, mean: Reals, bias: Real, p: Integer,
    y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, ahead: Integer,
    rates: Doubles, mixes: Doubles, updates: Integer, averaged: Integer,
    w: Reals, average: Doubles, inverse: Reals, filled: Indices, n_filled: Integer, shared: Reals, full: Integer,
    window: Doubles, noise: Integer, block: Function, slopes: Function, loss_numbers: Doubles,
    ridge: Double, lasso: Double, unit: Double, done: Integer, seen: Doubles, work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass. ``filled`` are the numbers of the filled columns, ``shared`` their preconditioner, ``inverse`` 1 there.

    The numbers of the penalty are in units of time; ``done`` updates came before.
    The array g, all 0 between updates, is the gradient of filled columns, and the direction of all others. Without a
    penalty the average is ``left`` times what is kept of it plus the shares so far of the parameters.
    """
    most, pulls, g = min(batch, n), ridge > 0.0 or lasso > 0.0, work
    z, targets, s, c = tail(work, p), tail(work, p + most), tail(work, p + 2 * most), tail(work, p + 3 * most)
    along, trial, part = tail(work, p + 4 * most), tail(work, p + 5 * most), tail(work, p + 6 * most)
    d = tail(part, n_filled + 1)
    left, shares, follows, total = 1.0, 0.0, False, 0.0
    for k in range(updates + 1):
        last, mix = k == updates, 0.0
        if averaged:
            mix = mixes[min(k, updates - 1)]
        if pulls and last:
            for f in range(n_filled):
                catch_up(filled[f], w, average, shared[f], seen, window, averaged, ridge, lasso)
            for j in range(p):
                catch_up(j, w, average, inverse[j], seen, window, averaged, ridge, lasso)
        if averaged and pulls == 0 and (last or left < LEAST or (follows and mix < 1.0)):
            for j in range(p):
                average[j] = w[j] if follows else left * (average[j] + shares * w[j])
            left, shares = 1.0, 0.0
        if last:
            break
        start, stop = k * batch, min((k + 1) * batch, n)
        size, shift, pull, fall = stop - start, bias * w[p], 0.0, 0.0
        single = size == 1 and n_filled == 0
        for f in range(n_filled):
            j = filled[f]
            if pulls:
                catch_up(j, w, average, shared[f], seen, window, averaged, ridge, lasso)
            shift -= mean[j] * w[j]
        for q in range(size):
            i = order[start + q]
            raw = shift
            if pulls:
                for e in range(int(indptr[i]), int(indptr[i + 1])):
                    j = indices[e]
                    catch_up(j, w, average, inverse[j], seen, window, averaged, ridge, lasso)
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                raw += X[e] * w[indices[e]]
            z[q] = raw
            targets[q] = y[i]
            s[q] = 1.0
            if weighted:
                s[q] = weight[i]
        sums[0] = 0.0
        sums[1] = 0.0
        invoke(block, loss_numbers, sums, size, targets, z, s, c)
        total += sums[0]
        step = step_length(rates[k], size, batch, window, noise, sums[0], sums[1])
        for q in range(size):
            later = order[min(start + q + ahead, n - 1)]
            prefetch(y, later)
            request((X, indices, indptr), later)
            pull += float(c[q]) * bias / size
        if single:
            i, length = order[start], bias * bias
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                length += X[e] * X[e] * inverse[indices[e]]
            along[0] = c[0] * length
            fall = c[0] * along[0]
        else:
            for q in range(size):
                i, slope = order[start + q], narrow(c[q] / size, bias)
                for e in range(int(indptr[i]), int(indptr[i + 1])):
                    g[indices[e]] += slope * X[e] * inverse[indices[e]]
            for f in range(n_filled):
                part[f] = g[filled[f]] - mean[filled[f]] * narrow(pull, bias)
            if n_filled > 0:
                precondition(shared, full, n_filled, part, d)
            shift = bias * narrow(pull, bias)
            for f in range(n_filled):
                g[filled[f]] = d[f]
                shift -= mean[filled[f]] * d[f]
            for q in range(size):
                i = order[start + q]
                raw = shift
                for e in range(int(indptr[i]), int(indptr[i + 1])):
                    raw += X[e] * g[indices[e]]
                along[q] = raw
                fall += float(c[q]) / size * raw
        slope, go = narrow(c[0], bias), 0.0
        if fall > 0.0 and step < 1e308:
            go = line_search(
                step, fall, 0.0, 0.0, noise, size, targets, z, s, c, along, trial, slopes, loss_numbers, sums
            )
        far = narrow(go, bias)
        if single:
            i = order[start]
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                j, by = indices[e], far * slope * X[e] * inverse[indices[e]]
                w[j] -= by
                if averaged and pulls == 0:
                    average[j] += shares * by
        else:
            for f in range(n_filled):
                j = filled[f]
                w[j] -= far * g[j]
                if averaged and pulls == 0:
                    average[j] += shares * (far * g[j])
                g[j] = 0.0
            for q in range(size):
                i = order[start + q]
                for e in range(int(indptr[i]), int(indptr[i + 1])):
                    j, by = indices[e], far * g[indices[e]]
                    w[j] -= by
                    if averaged and pulls == 0:
                        average[j] += shares * by
                    g[j] = 0.0
        w[p] -= far * narrow(pull, bias)
        if go > 0.0:
            step = go
        if pulls and averaged:
            keep_pace(window, done + k + 1, mix, unit)
        if step < 1e308:
            window[RELATIVE_TIME] += step * window[0] / max(window[1], 1e-300)
            window[STEPS] += step
            window[STEPS + 1] += 1.0
            window[TIME] += step * unit
        if averaged:
            average[p] += mix * (w[p] - average[p])
            follows = mix == 1.0
            if not follows:
                left *= 1.0 - mix
                shares += mix / left
    return total
