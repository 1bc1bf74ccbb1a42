"""Variance-reduced steps on sparse rows, at the cost of the non-zeros of each batch.

The coefficient of a column that does not occur in a batch changes by the stored mean gradient, which is constant in the
meantime, and by decay. So n such steps equal one, by the sum of a geometric series. It is applied when the column next
occurs, and at the end of the pass.

References
----------
Schmidt, M., Le Roux, N. and Bach, F., "Minimizing finite sums with the stochastic average gradient", Mathematical
Programming 162, 2017: section 4.1, the lagged updates.
"""

from sklearn_sgd._engine.compiled.drivers.batch import take_row
from sklearn_sgd._engine.compiled.drivers.layouts import sparse_request_later
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


def series(a, n):
    """The power ``a**n``, and the sum of ``a**0`` to ``a**(n - 1)``."""
    power, total, base, sums = 1.0, 0.0, a, 1.0
    while n > 0:
        if n - 2 * (n // 2) == 1:
            total = total + power * sums
            power = power * base
        sums = sums * (1.0 + base)
        base = base * base
        n = n // 2
    return power, total


def catch_up(j, k, w, inverse, known, seen, rate, ridge):
    """Apply to column j the missed steps up to number k."""
    missed = k - int(seen[j])
    if missed > 0:
        step = rate * float(inverse[j])
        power, total = series(1.0 - step * ridge, missed)
        w[j] = power * float(w[j]) - step * known[j] * total
        seen[j] = float(k)


def lazy_variance_reduced(
    X: Reals, indices: Indices, indptr: Indices, mean: Reals, bias: Real, p: Integer,
    y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, ahead: Integer,
    rates: Doubles, updates: Integer, w: Reals, inverse: Reals, filled: Indices, n_filled: Integer,
    remembered: Reals, known: Doubles, renew: Double, block: Function, loss_numbers: Doubles, ridge: Double,
    seen: Doubles, work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass at a constant rate; ``known`` is the mean gradient for the stored slopes of all rows.

    The ``filled`` columns are centred. The array g is 0 between updates.
    """
    rows, most, total, rate, g = (X, indices, indptr), min(batch, n), 0.0, rates[0], tail(sums, 2)
    z, targets, s, c = tail(work, 0), tail(work, most), tail(work, 2 * most), tail(work, 3 * most)
    for k in range(updates):
        start, stop = k * batch, min((k + 1) * batch, n)
        size, shift, pull = stop - start, float(bias) * float(w[p]), 0.0
        for f in range(n_filled):
            j = filled[f]
            catch_up(j, k, w, inverse, known, seen, rate, ridge)
            shift -= float(mean[j]) * float(w[j])
        for q in range(size):
            i = order[start + q]
            raw = shift
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                j = indices[e]
                catch_up(j, k, w, inverse, known, seen, rate, ridge)
                raw += float(X[e]) * float(w[j])
            z[q] = raw
            take_row(i, q, y, weight, weighted, targets, s)
        sums[0] = 0.0
        invoke(block, loss_numbers, sums, size, targets, z, s, c)
        total += sums[0]
        for q in range(size):
            i = order[start + q]
            sparse_request_later(rows, y, order, start + q, n, max(ahead, batch))
            change = float(c[q]) - float(remembered[i])
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                g[indices[e]] += change * float(X[e])
            pull += change * float(bias)
            if renew > 0.0:
                remembered[i] = narrow(c[q], bias)
        for f in range(n_filled):
            g[filled[f]] -= float(mean[filled[f]]) * pull
            move(filled[f], k, size, w, inverse, known, seen, rate, ridge, renew, g)
        for q in range(size):
            i = order[start + q]
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                move(indices[e], k, size, w, inverse, known, seen, rate, ridge, renew, g)
        w[p] -= rate * (pull / size + known[p])
        known[p] += renew * pull
    for j in range(p):
        catch_up(j, updates, w, inverse, known, seen, rate, ridge)
    return total


def move(j, k, size, w, inverse, known, seen, rate, ridge, renew, g):
    """Make step number k of column j, unless it was made before."""
    if int(seen[j]) == k:
        step = rate * float(inverse[j])
        w[j] -= step * (g[j] / size + known[j] + ridge * float(w[j]))
        known[j] += renew * g[j]
        g[j] = 0.0
        seen[j] = float(k + 1)
