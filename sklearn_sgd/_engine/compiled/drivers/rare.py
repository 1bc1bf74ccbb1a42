"""The automatic step on sparse rows at the cost of each batch's non-zeros.

Columns with gaps are not centred, and each has a scale of its own; the ``filled`` ones, of which a row has most, are
centred, and preconditioned together. A column in no row of a batch does not move, but for two things that it is given
at its next visit, and at the end of the pass: the pull of the penalty, and the shares of the average.

The pull of an elastic net is followed exactly: for a time t, the sum of the steps' lengths, along the flow
``w' = -k (ridge w + lasso sign(w))``, with the scale k of the column. So it does not matter in how many parts. The
average takes the mean of that way, with the shares of the updates in between: not each of their parameters by its own
share, which would need all columns at each update.
"""

from math import exp, log

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

# Below it a series is exact; and a logarithm of 1 and such a number is less exact than the number.
SMALL, TINY = 1e-2, 1e-6


def decay(x):
    """``e = exp(-x)``, ``f = (1 - e) / x`` and ``(1 - f) / x``: by a series where x is small."""
    if x < SMALL:
        second = 1.0 / 2.0 - x * (1.0 / 6.0 - x * (1.0 / 24.0 - x * (1.0 / 120.0 - x / 720.0)))
        first = 1.0 - x * second
        return 1.0 - x * first, first, second
    rest = exp(-x)
    first = (1.0 - rest) / x
    return rest, first, (1.0 - first) / x


def flow(size, time, ridge, lasso):
    """The size of a coefficient after a time, and its mean until then."""
    rest, first, second = decay(ridge * time)
    end = size * rest - lasso * time * first
    if end > 0.0 or size <= 0.0:
        return max(0.0, end), size * first - lasso * time * second
    # It has reached 0 on the way.
    until, steep = size / lasso, ridge * size / lasso
    if steep > TINY:
        until = log(1.0 + steep) / ridge
    _, first, second = decay(ridge * until)
    return 0.0, (size * first - lasso * until * second) * (until / time)


def catch_up(j, u, a, k, seen, time, left, averaged, ridge, lasso):
    """Give column j of scale k what it, and its average, missed of a penalty since its last visit."""
    value, gap = float(u[j]), time - seen[2 * j]
    mean = value
    if gap > 0.0:
        end, size = flow(abs(value), gap, k * ridge, k * lasso)
        u[j] = end if value > 0.0 else -end
        mean = size if value > 0.0 else -size
    if averaged:
        a[j] = mean + left * seen[2 * j + 1] * (a[j] - mean)
    seen[2 * j], seen[2 * j + 1] = time, 1.0 / left


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
    ridge: Double, lasso: Double, seen: Doubles, work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass. ``filled`` are the numbers of the filled columns, ``shared`` their preconditioner, ``inverse`` 1 there.

    The array g, all 0 between updates, is the gradient of filled columns, and the direction of all others. Without a
    penalty the average is ``left`` times what is kept of it plus the shares so far of the parameters.
    """
    most, pulls, g = min(batch, n), ridge > 0.0 or lasso > 0.0, work
    z, targets, s, c = tail(work, p), tail(work, p + most), tail(work, p + 2 * most), tail(work, p + 3 * most)
    along, trial, part = tail(work, p + 4 * most), tail(work, p + 5 * most), tail(work, p + 6 * most)
    d = tail(part, n_filled + 1)
    time, left, shares, follows, total = 0.0, 1.0, 0.0, False, 0.0
    for k in range(updates + 1):
        last, mix = k == updates, 0.0
        if averaged:
            mix = mixes[min(k, updates - 1)]
        if last or left < LEAST or (follows and mix < 1.0):
            if pulls:
                for f in range(n_filled):
                    catch_up(filled[f], w, average, shared[f], seen, time, left, averaged, ridge, lasso)
                for j in range(p):
                    catch_up(j, w, average, inverse[j], seen, time, left, averaged, ridge, lasso)
                    seen[2 * j], seen[2 * j + 1] = 0.0, 1.0
            elif averaged:
                for j in range(p):
                    average[j] = left * (average[j] + shares * w[j])
            if follows:
                for j in range(p + 1):
                    average[j] = w[j]
            time, left, shares, follows = 0.0, 1.0, 0.0, False
        if last:
            break
        start, stop = k * batch, min((k + 1) * batch, n)
        size, shift, pull, fall = stop - start, bias * w[p], 0.0, 0.0
        single = size == 1 and n_filled == 0
        for f in range(n_filled):
            j = filled[f]
            if pulls:
                catch_up(j, w, average, shared[f], seen, time, left, averaged, ridge, lasso)
            shift -= mean[j] * w[j]
        for q in range(size):
            i = order[start + q]
            raw = shift
            if pulls:
                for e in range(int(indptr[i]), int(indptr[i + 1])):
                    j = indices[e]
                    catch_up(j, w, average, inverse[j], seen, time, left, averaged, ridge, lasso)
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
        if step < 1e308:
            time += step
            window[3] += step * window[0] / max(window[1], 1e-300)
        if averaged:
            average[p] += mix * (w[p] - average[p])
            follows = mix == 1.0
            if not follows:
                left *= 1.0 - mix
                shares += mix / left
    return total
