"""Plain descent on sparse rows, at the cost of the non-zeros of each batch.

Coefficients are u times a scale, which contains the decay of all columns. Soft thresholds and the average are updated
lazily: missed updates are applied to a column when it next occurs, and to every column at the end of the pass. The
averages are a times the remaining weight of the start. ``now`` has the sums of the thresholds S, of the weights Q of
the average (in units of the remaining weight), and of their products, over the updates so far. ``seen`` has the values
that are needed from the last update of each column, ``clock`` all of them after each update.
"""

from sklearn_sgd._engine.compiled.drivers.batch import take_row
from sklearn_sgd._engine.compiled.drivers.layouts import sparse_dot, sparse_request_later
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

# If the scale is below this, it is multiplied into the coefficients; a decay factor is at least this.
SMALL, LEAST = 1e-6, 1e-12


def shrink(j, u, seen, now):
    """Apply to column j the thresholds since its last update; without a branch, which would often be mispredicted."""
    threshold = now[0] - seen[j]
    u[j] -= max(-threshold, min(threshold, float(u[j])))
    seen[j] = now[0]


def follow(j, u, a, seen, now):
    """Apply to the average of column j the weights of the updates since its last one."""
    a[j] += u[j] * (now[1] - seen[j])
    seen[j] = now[1]


def shrink_and_follow(j, u, a, seen, now, clock, ticks):
    """Apply both; a coefficient that reaches zero in the meantime counts in the average until then."""
    start, shares, products = seen[3 * j], seen[3 * j + 1], seen[3 * j + 2]
    value, threshold, q, r = float(u[j]), now[0] - start, now[1], now[2]
    size = abs(value)
    if size <= threshold and size > 0.0:
        low, high = 0, ticks
        while low < high:
            middle = (low + high) // 2
            if clock[3 * middle] < start + size:
                low = middle + 1
            else:
                high = middle
        q, r = clock[3 * low - 2], clock[3 * low - 1]
    missed = (size + start) * (q - shares) - (r - products)
    a[j] += missed if value > 0.0 else (-missed if value < 0.0 else 0.0)
    u[j] = value - max(-threshold, min(threshold, value))
    seen[3 * j], seen[3 * j + 1], seen[3 * j + 2] = now[0], now[1], now[2]


def catch_up(j, u, a, seen, now, clock, ticks, averaged, lasso):
    """Apply to column j, and to its average, everything since its last update."""
    if averaged and lasso > 0.0:
        shrink_and_follow(j, u, a, seen, now, clock, ticks)
    elif averaged:
        follow(j, u, a, seen, now)
    elif lasso > 0.0:
        shrink(j, u, seen, now)


def lazy_minibatch(
    X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
    y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, ahead: Integer,
    rates: Doubles, mixes: Doubles, updates: Integer, averaged: Integer,
    w: Reals, average: Doubles, block: Function, loss_numbers: Doubles, ridge: Double, lasso: Double,
    seen: Doubles, clock: Doubles, work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass, with decay by ``ridge`` and soft thresholds by ``lasso``."""
    rows, u, a, now = (X, indices, indptr, mean, centred, bias, p), w, average, tail(sums, 2)
    most, crossing, waits = min(batch, n), averaged and lasso > 0.0, averaged or lasso > 0.0
    stamps = 3 if crossing else 1
    z, targets, s, c = tail(work, 0), tail(work, most), tail(work, 2 * most), tail(work, 3 * most)
    scale, left, follows, ticks, total = 1.0, 1.0, False, 1, 0.0
    b, mean_b = float(u[p]), float(a[p])
    u[p] = 0.0
    for k in range(updates + 1):
        last, mix = k == updates, 0.0
        if averaged:
            mix = mixes[min(k, updates - 1)]
        if last or min(abs(scale), left) < SMALL or (follows and mix < 1.0):
            for j in range(p):
                catch_up(j, u, a, seen, now, clock, ticks, averaged, lasso)
                u[j] *= scale
                if averaged:
                    a[j] = u[j] if follows else a[j] * left
            if waits:
                for j in range(stamps * p):
                    seen[j] = 0.0
            scale, left, follows, ticks = 1.0, 1.0, False, 1
            now[0], now[1], now[2] = 0.0, 0.0, 0.0
        if last:
            break
        start, stop, pull = k * batch, min((k + 1) * batch, n), 0.0
        size = stop - start
        for q in range(size):
            i = order[start + q]
            if waits:
                for e in range(int(indptr[i]), int(indptr[i + 1])):
                    catch_up(indices[e], u, a, seen, now, clock, ticks, averaged, lasso)
            z[q] = scale * sparse_dot(rows, i, u) + b * bias
            take_row(i, q, y, weight, weighted, targets, s)
        sums[0] = 0.0
        invoke(block, loss_numbers, sums, size, targets, z, s, c)
        total += sums[0]
        rate, decay = rates[k] / size, 1.0 - rates[k] * ridge
        # A scale of 0 could not be divided by.
        if abs(decay) < LEAST:
            decay = LEAST
        scale *= decay
        for q in range(size):
            i, by = order[start + q], narrow(-rate / scale * c[q], bias)
            sparse_request_later(rows, y, order, start + q, n, max(ahead, batch))
            pull += c[q]
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                u[indices[e]] += by * X[e]
        b -= rate * pull * bias
        now[0] += rates[k] * lasso / abs(scale)
        if averaged:
            mean_b += mix * (b - mean_b)
            follows = mix == 1.0
            if not follows:
                left *= 1.0 - mix
                now[1] += mix * scale / left
                now[2] += mix * scale / left * now[0]
            if crossing:
                clock[3 * ticks], clock[3 * ticks + 1], clock[3 * ticks + 2] = now[0], now[1], now[2]
                ticks += 1
    u[p], a[p] = b, mean_b
    return total
