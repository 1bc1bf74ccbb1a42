"""Kinds of rows: products of dense and sparse rows with coefficients, and their sums.

``rows`` is ``(X, indices, indptr, mean, centred, bias, p)``. The intercept is the coefficient of a last column whose
entries are ``bias``: 1, or 0 without intercept. Dense rows are centred entry by entry. Sparse rows are not centred;
``offset`` corrects predictions, and ``centre`` corrects sums.
"""

from types import SimpleNamespace

from sklearn_sgd._engine.compiled.drivers.primitives import prefetch

# Number of columns processed while as many columns of a later row are prefetched. More prefetches would have to wait.
SPAN = 128

# The same where columns of four rows are processed, and as many entries as those of two later rows prefetched.
HALF = SPAN // 2

# Number of rows that are prefetched side by side where they are processed one by one; columns from which rows are
# prefetched in shares.
BESIDE, LONG = 8, 64

# Number of entries in a cache line, for entries of eight bytes.
LINE = 8


def dense_request(rows, i, head, end):
    """Prefetch the entries ``head`` to ``end`` of row i, line by line; the last entry may be on an additional line."""
    X, p = rows[0], rows[6]
    j, stop = i * p + head, i * p + end
    while j < stop:
        prefetch(X, j)
        j += LINE
    prefetch(X, stop - 1)


def dense_request_shares(rows, order, q, last, beside, turn, turns, head, end):
    """Prefetch share ``turn`` of ``turns`` of ``beside`` rows from q on; if rows are short, so many whole rows.

    These are as many entries as ``beside / turns`` rows have from ``head`` to ``end``. Memory delivers several rows
    side by side faster than one after the other.
    """
    p = rows[6]
    if p < LONG:
        for k in range(turn * beside // turns, (turn + 1) * beside // turns):
            dense_request(rows, order[min(q + k, last)], head, end)
    else:
        first, stop = (turn * p + head) // turns, (turn * p + end) // turns
        for k in range(beside):
            dense_request(rows, order[min(q + k, last)], first, stop)


def dense_dot(rows, i, w):
    """Raw prediction for row i."""
    X, _, _, mean, centred, bias, p = rows
    z, start = bias * w[p], i * p
    if centred:
        for j in range(p):
            z += (X[start + j] - mean[j]) * w[j]
    else:
        for j in range(p):
            z += X[start + j] * w[j]
    return z


def dense_add(rows, i, c, g, later):
    """Add c times row i to g, and prefetch a later row."""
    X, _, _, mean, centred, bias, p = rows
    start, head = i * p, 0
    while head < p:
        end = min(head + SPAN, p)
        dense_request(rows, later, head, end)
        if centred:
            for j in range(head, end):
                g[j] += c * (X[start + j] - mean[j])
        else:
            for j in range(head, end):
                g[j] += c * X[start + j]
        head = end
    g[p] += c * bias


def dense_predict(rows, batch, head, end, ahead, last, w, z):
    """Write raw predictions for the rows ``head`` to ``end`` of a batch, of which four share the coefficients."""
    q = head
    while q + 3 < end:
        dense_dots(rows, batch, q, ahead, last, w, z)
        q += 4
    while q < end:
        z[q] = dense_dot(rows, batch[q], w)
        q += 1


def dense_dots(rows, batch, q, ahead, last, w, z):
    """Write raw predictions for four rows, and prefetch one half of four later ones."""
    X, _, _, mean, centred, bias, p = rows
    a, b, c, d = batch[q] * p, batch[q + 1] * p, batch[q + 2] * p, batch[q + 3] * p
    of_a, of_b, of_c, of_d = bias * w[p], bias * w[p], bias * w[p], bias * w[p]
    head = 0
    while head < p:
        end = min(head + HALF, p)
        dense_request_shares(rows, batch, q + ahead, last, 4, 0, 2, head, end)
        if centred:
            for j in range(head, end):
                of_a += (X[a + j] - mean[j]) * w[j]
                of_b += (X[b + j] - mean[j]) * w[j]
                of_c += (X[c + j] - mean[j]) * w[j]
                of_d += (X[d + j] - mean[j]) * w[j]
        else:
            for j in range(head, end):
                of_a += X[a + j] * w[j]
                of_b += X[b + j] * w[j]
                of_c += X[c + j] * w[j]
                of_d += X[d + j] * w[j]
        head = end
    z[q] = of_a
    z[q + 1] = of_b
    z[q + 2] = of_c
    z[q + 3] = of_d


def dense_collect(rows, batch, head, end, ahead, last, c, g):
    """Add multiples of the rows ``head`` to ``end`` of a batch to g, four at a time, and prefetch later rows."""
    q = head
    while q + 3 < end:
        dense_adds(rows, batch, q, ahead, last, c, g)
        q += 4
    while q < end:
        dense_add(rows, batch[q], c[q], g, batch[min(q + ahead, last)])
        q += 1


def dense_adds(rows, batch, q, ahead, last, factors, g):
    """Add multiples of four rows to g, and prefetch the other half of four later ones."""
    X, _, _, mean, centred, bias, p = rows
    a, b, c, d = batch[q] * p, batch[q + 1] * p, batch[q + 2] * p, batch[q + 3] * p
    of_a, of_b, of_c, of_d = factors[q], factors[q + 1], factors[q + 2], factors[q + 3]
    head = 0
    while head < p:
        end = min(head + HALF, p)
        dense_request_shares(rows, batch, q + ahead, last, 4, 1, 2, head, end)
        if centred:
            for j in range(head, end):
                first = of_a * (X[a + j] - mean[j]) + of_b * (X[b + j] - mean[j])
                g[j] += first + of_c * (X[c + j] - mean[j]) + of_d * (X[d + j] - mean[j])
        else:
            for j in range(head, end):
                g[j] += of_a * X[a + j] + of_b * X[b + j] + of_c * X[c + j] + of_d * X[d + j]
        head = end
    g[p] += (of_a + of_b + of_c + of_d) * bias


def dense_entries(rows, batch, head, end):
    """Number of entries of the rows ``head`` to ``end`` of a batch."""
    return (end - head) * rows[6]


def dense_square(rows, i):
    """Squared norm of row i, not centred, without the intercept's column."""
    X, p = rows[0], rows[6]
    total, start = rows[5] - rows[5], i * p
    for j in range(p):
        total += X[start + j] * X[start + j]
    return total


def dense_offset(rows, w):
    """The correction of raw predictions for centring: 0, since the entries are centred."""
    return rows[5] - rows[5]


def dense_centre(rows, g):
    """Centre a sum of rows: nothing to do."""


def sparse_dot(rows, i, w):
    """Raw prediction for row i, without the offset."""
    X, indices, indptr, _, _, bias, p = rows
    z = bias * w[p]
    for q in range(int(indptr[i]), int(indptr[i + 1])):
        z += X[q] * w[indices[q]]
    return z


def sparse_request_start(rows, i):
    """Prefetch where row i starts. The entries of a row cannot be prefetched before that has arrived."""
    prefetch(rows[2], i)


def sparse_request(rows, i):
    """Prefetch the entries of row i."""
    X, indices, indptr = rows[0], rows[1], rows[2]
    q, stop = int(indptr[i]), int(indptr[i + 1])
    while q < stop:
        prefetch(X, q)
        prefetch(indices, q)
        q += LINE


def sparse_request_later(rows, y, order, place, n, ahead):
    """Prefetch the row that is ``ahead`` places later in the order, its target, and where one twice as far starts.

    If a batch is predicted before this, only rows of later batches are worth it: ``ahead`` is at least its size.
    """
    later = order[min(place + ahead, n - 1)]
    prefetch(y, later)
    sparse_request_start(rows, order[min(place + 2 * ahead, n - 1)])
    sparse_request(rows, later)


def sparse_add(rows, i, c, g, later):
    """Add c times row i to g, and prefetch a later row of the matrix."""
    X, indices, indptr, _, _, bias, p = rows
    sparse_request(rows, later)
    for q in range(int(indptr[i]), int(indptr[i + 1])):
        g[indices[q]] += c * X[q]
    g[p] += c * bias


def sparse_predict(rows, batch, head, end, ahead, last, w, z):
    """Write raw predictions for the rows ``head`` to ``end`` of a batch, without the offset."""
    for q in range(head, end):
        z[q] = sparse_dot(rows, batch[q], w)


def sparse_collect(rows, batch, head, end, ahead, last, c, g):
    """Add multiples of the rows ``head`` to ``end`` of a batch to g, and prefetch later rows."""
    for q in range(head, end):
        sparse_request_start(rows, batch[min(q + 2 * ahead, last)])
        sparse_add(rows, batch[q], c[q], g, batch[min(q + ahead, last)])


def sparse_entries(rows, batch, head, end):
    """Number of entries of the rows ``head`` to ``end`` of a batch."""
    indptr, total = rows[2], 0
    for q in range(head, end):
        total += int(indptr[batch[q] + 1]) - int(indptr[batch[q]])
    return total


def sparse_square(rows, i):
    """Squared norm of row i, without the intercept's column."""
    X, indptr = rows[0], rows[2]
    total = rows[5] - rows[5]
    for q in range(int(indptr[i]), int(indptr[i + 1])):
        total += X[q] * X[q]
    return total


def sparse_offset(rows, w):
    """The correction of raw predictions for centring."""
    _, _, _, mean, centred, bias, p = rows
    z = bias - bias
    if centred:
        for j in range(p):
            z -= mean[j] * w[j]
    return z


def sparse_centre(rows, g):
    """Centre a sum of rows."""
    _, _, _, mean, centred, _, p = rows
    if centred:
        for j in range(p):
            g[j] -= mean[j] * g[p]


LAYOUTS = {
    "dense": SimpleNamespace(
        dot=dense_dot,
        add=dense_add,
        predict=dense_predict,
        collect=dense_collect,
        entries=dense_entries,
        square=dense_square,
        offset=dense_offset,
        centre=dense_centre,
    ),
    "csr": SimpleNamespace(
        dot=sparse_dot,
        add=sparse_add,
        predict=sparse_predict,
        collect=sparse_collect,
        entries=sparse_entries,
        square=sparse_square,
        offset=sparse_offset,
        centre=sparse_centre,
    ),
}
