"""Steps of an optimizer on sparse rows, at the cost of the non-zeros of each batch.

It is for optimizers that do not move a coefficient without a gradient, and whose moments then fall by constant factors,
as those of Adagrad and RMSprop. The columns of a batch are copied side by side, with the intercept as the last one, and
the optimizer makes its step on the copies. What moments fell in missed steps is applied when a column next occurs, and
at the end of the pass.
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


def lazy_optimizer(
    X: Reals, indices: Indices, indptr: Indices, mean: Reals, centred: Integer, bias: Real, p: Integer,
    y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, ahead: Integer,
    rates: Doubles, updates: Integer, done: Integer, w: Reals, m: Reals, v: Reals, moments: Integer,
    block: Function, loss_numbers: Doubles, update: Function, optimizer_numbers: Doubles,
    left_m: Doubles, left_v: Doubles, seen: Doubles, numbers: Doubles, work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass. ``seen`` has the number of the last step of each column, and the place of its copy in that step.

    ``moments`` is their number; ``left_m`` and ``left_v`` are what so many steps without a gradient leave of them.
    ``numbers`` are those of the copied columns.
    """
    rows, most, total = (X, indices, indptr, mean, centred, bias, p), min(batch, n), 0.0
    z, targets, s, c = tail(work, 0), tail(work, most), tail(work, 2 * most), tail(work, 3 * most)
    copies, g = tail(work, 4 * most), tail(sums, 2)
    slope, pulled, h = tail(copies, 0), tail(copies, p + 1), tail(copies, 2 * (p + 1))
    own, own_m, own_v = tail(copies, 3 * (p + 1)), tail(copies, 4 * (p + 1)), tail(copies, 5 * (p + 1))
    for k in range(updates):
        start, stop, pull, here = k * batch, min((k + 1) * batch, n), 0.0, 0
        size, step = stop - start, k + 1
        for q in range(size):
            z[q] = sparse_dot(rows, order[start + q], w)
            take_row(order[start + q], q, y, weight, weighted, targets, s)
        sums[0] = 0.0
        invoke(block, loss_numbers, sums, size, targets, z, s, c)
        total += sums[0]
        for q in range(size):
            i = order[start + q]
            sparse_request_later(rows, y, order, start + q, n, max(ahead, batch))
            pull += float(c[q]) * float(bias)
            for e in range(int(indptr[i]), int(indptr[i + 1])):
                j = int(indices[e])
                at = 2 * j
                if int(seen[at]) < step:
                    missed = k - int(seen[at])
                    seen[at], seen[at + 1], numbers[here] = float(step), float(here), float(j)
                    g[here], own[here] = 0.0, w[j]
                    if moments > 0:
                        own_m[here] = narrow(left_m[missed] * float(m[j]), bias)
                    if moments > 1:
                        own_v[here] = narrow(left_v[missed] * float(v[j]), bias)
                    here += 1
                g[int(seen[at + 1])] += float(c[q]) * float(X[e])
        g[here], own[here] = pull, w[p]
        if moments > 0:
            own_m[here] = m[p]
        if moments > 1:
            own_v[here] = v[p]
        share = 1.0 / size
        for r in range(here + 1):
            slope[r] = narrow(share * g[r], bias)
        invoke(
            update,
            optimizer_numbers,
            sums,
            here + 1,
            slope,
            pulled,
            own,
            own_m,
            own_v,
            h,
            rates[k],
            1.0 * (done + step),
        )
        for r in range(here + 1):
            j = p
            if r < here:
                j = int(numbers[r])
            w[j] = own[r]
            if moments > 0:
                m[j] = own_m[r]
            if moments > 1:
                v[j] = own_v[r]
    for j in range(p):
        missed = updates - int(seen[2 * j])
        if moments > 0:
            m[j] = narrow(left_m[missed] * float(m[j]), bias)
        if moments > 1:
            v[j] = narrow(left_v[missed] * float(v[j]), bias)
    return total
