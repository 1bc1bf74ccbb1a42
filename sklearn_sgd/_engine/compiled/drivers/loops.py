"""The operations of `vectors` as loops, for machine code."""

from math import sqrt

from sklearn_sgd._engine.compiled.drivers.layouts import HALF, LINE
from sklearn_sgd._engine.compiled.drivers.primitives import logarithm, prefetch, tail
from sklearn_sgd._engine.compiled.drivers.vectors import EPSILON, LEAST

# Number of samples that are processed at once: their columns fit into a cache.
BLOCK = 128


def predict(X, n, p, k, centre, w, out):
    """As in `vectors`."""
    # Four samples at once: their sums are independent.
    last, i = 0.0, 0
    if k > p:
        last = w[p]
    while i + 3 < n:
        row0, row1, row2, row3 = row(X, p, i), row(X, p, i + 1), row(X, p, i + 2), row(X, p, i + 3)
        a0, a1, a2, a3 = last, last, last, last
        for j in range(p):
            a0 += w[j] * (row0[j] - centre[j])
            a1 += w[j] * (row1[j] - centre[j])
            a2 += w[j] * (row2[j] - centre[j])
            a3 += w[j] * (row3[j] - centre[j])
        out[i] = a0
        out[i + 1] = a1
        out[i + 2] = a2
        out[i + 3] = a3
        i += 4
    for q in range(i, n):
        row0, a0 = row(X, p, q), last
        for j in range(p):
            a0 += w[j] * (row0[j] - centre[j])
        out[q] = a0


def gather(X, n, p, k, centre, v, out):
    """As in `vectors`."""
    clear(k, out)
    i = 0
    while i + 3 < n:
        row0, row1, row2, row3 = row(X, p, i), row(X, p, i + 1), row(X, p, i + 2), row(X, p, i + 3)
        for j in range(p):
            new = v[i] * (row0[j] - centre[j]) + v[i + 1] * (row1[j] - centre[j])
            out[j] += new + v[i + 2] * (row2[j] - centre[j]) + v[i + 3] * (row3[j] - centre[j])
        i += 4
    for q in range(i, n):
        row0 = row(X, p, q)
        for j in range(p):
            out[j] += v[q] * (row0[j] - centre[j])
    if k > p:
        for q in range(n):
            out[p] += v[q]


def row(X, p, i):
    """The features of a sample."""
    return tail(X, i * p)


def project(D, k, n, v, out):
    """As in `vectors`."""
    for j in range(k):
        out[j] = dot(n, tail(D, j * n), v)


def dot(n, a, b):
    """As in `vectors`."""
    total = 0.0
    for i in range(n):
        total += a[i] * b[i]
    return total


def multiply(n, a, b, out):
    """As in `vectors`."""
    for i in range(n):
        out[i] = a[i] * b[i]


def add_multiple(n, start, length, way, out):
    """As in `vectors`."""
    for i in range(n):
        out[i] = start[i] + length * way[i]


def differ(n, high, low, above, below, out):
    """As in `vectors`."""
    for i in range(n):
        out[i] = (high[i] - low[i]) / (above[i] - below[i])


def scale_symmetric(k, A, more, ridge, scale, out):
    """As in `vectors`."""
    for j in range(k):
        diagonal = A[j * k + j] + more[j]
        scale[j] = 0.0
        if diagonal > 0.0:
            scale[j] = 1.0 / sqrt(diagonal)
    for j in range(k):
        of_row, row, scaled = scale[j], tail(A, j * k), tail(out, j * k)
        for i in range(k):
            scaled[i] = row[i] * of_row * scale[i]
        scaled[j] = 1.0 + ridge


def solve_symmetric(k, A, b, work, out):
    """As in `vectors`. The factor's diagonal is stored as its inverse."""
    for j in range(k):
        given, row = tail(A, j * k), tail(work, j * k)
        for i in range(j):
            other = tail(work, i * k)
            row[i] = (given[i] - dot(i, row, other)) * other[i]
        pivot = given[j] - dot(j, row, row)
        if pivot > 0.0:
            row[j] = 1.0 / sqrt(pivot)
        else:
            return 0.0
        out[j] = (b[j] - dot(j, row, out)) * row[j]
    for i in range(k):
        j = k - 1 - i
        row = tail(work, j * k)
        out[j] *= row[j]
        for other in range(j):
            out[other] -= out[j] * row[other]
    return 1.0


def weighted_products(X, n, p, k, centre, c, d, inverse, work, first, second, sizes, squares):
    """As in `vectors`."""
    # Half of the products follow from symmetry. Each turn computes those of three columns with two, for both weights:
    # twelve sums and their factors are as many as fit into registers.
    a0, a1, a2 = tail(work, 0), tail(work, BLOCK), tail(work, 2 * BLOCK)
    b0, b1, b2 = tail(work, 3 * BLOCK), tail(work, 4 * BLOCK), tail(work, 5 * BLOCK)
    D = tail(work, 6 * BLOCK)
    clear(k, squares)
    clear(k * k, first)
    clear(k * k, second)
    head = 0
    while head < n:
        m = min(BLOCK, n - head)
        size, of_c, of_d = tail(sizes, head), tail(c, head), tail(d, head)
        lay_out(row(X, p, head), m, p, k, centre, D)
        clear(m, size)
        j = 0
        while j < k:
            u0, u1, u2 = column(D, k, j), column(D, k, j + 1), column(D, k, j + 2)
            i0, i1, i2 = inverse[j], beyond(inverse, k, j + 1), beyond(inverse, k, j + 2)
            s0, s1, s2 = 0.0, 0.0, 0.0
            for q in range(m):
                a0[q] = of_c[q] * u0[q]
                a1[q] = of_c[q] * u1[q]
                a2[q] = of_c[q] * u2[q]
                b0[q] = of_d[q] * u0[q]
                b1[q] = of_d[q] * u1[q]
                b2[q] = of_d[q] * u2[q]
                size[q] += i0 * u0[q] * u0[q] + i1 * u1[q] * u1[q] + i2 * u2[q] * u2[q]
                s0 += (of_c[q] * u0[q] * u0[q]) * (of_c[q] * u0[q] * u0[q])
                s1 += (of_c[q] * u1[q] * u1[q]) * (of_c[q] * u1[q] * u1[q])
                s2 += (of_c[q] * u2[q] * u2[q]) * (of_c[q] * u2[q] * u2[q])
            add(squares, 0, j, k, s0, s1, s2)
            other = 0
            while other < min(j + 3, k):
                z0, z1 = column(D, k, other), column(D, k, other + 1)
                a00, a01, a10, a11, a20, a21 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                b00, b01, b10, b11, b20, b21 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                for q in range(m):
                    a00 += a0[q] * z0[q]
                    b00 += b0[q] * z0[q]
                    a10 += a1[q] * z0[q]
                    b10 += b1[q] * z0[q]
                    a20 += a2[q] * z0[q]
                    b20 += b2[q] * z0[q]
                    a01 += a0[q] * z1[q]
                    b01 += b0[q] * z1[q]
                    a11 += a1[q] * z1[q]
                    b11 += b1[q] * z1[q]
                    a21 += a2[q] * z1[q]
                    b21 += b2[q] * z1[q]
                add(first, other, j, k, a00, a10, a20)
                add(second, other, j, k, b00, b10, b20)
                if other + 1 < k:
                    add(first, other + 1, j, k, a01, a11, a21)
                    add(second, other + 1, j, k, b01, b11, b21)
                other += 2
            j += 3
        head += m
    mirror(k, first)
    mirror(k, second)


def lay_out(X, n, p, k, centre, D):
    """Write a block of samples less the centre by columns, and a last column of ones if k exceeds p."""
    i = 0
    while i + 3 < n:
        row0, row1, row2, row3 = row(X, p, i), row(X, p, i + 1), row(X, p, i + 2), row(X, p, i + 3)
        for j in range(p):
            out, middle = tail(D, j * BLOCK + i), centre[j]
            out[0] = row0[j] - middle
            out[1] = row1[j] - middle
            out[2] = row2[j] - middle
            out[3] = row3[j] - middle
        i += 4
    for q in range(i, n):
        for j in range(p):
            D[j * BLOCK + q] = X[q * p + j] - centre[j]
    for j in range(p, k):
        out = tail(D, j * BLOCK)
        for i in range(n):
            out[i] = 1.0


def column(D, k, j):
    """A column of a block; the last one if there is no such column."""
    return tail(D, min(j, k - 1) * BLOCK)


def beyond(v, k, j):
    """An entry of a vector; 0 if there is no such entry."""
    return v[min(j, k - 1)] if j < k else 0.0


def clear(n, out):
    """Write zeros."""
    for i in range(n):
        out[i] = 0.0


def mirror(k, A):
    """Copy the upper half of a matrix to the lower one."""
    for j in range(k):
        for other in range(j):
            A[j * k + other] = A[other * k + j]


def add(sums, row, j, k, a0, a1, a2):
    """Add numbers to a row of a matrix, in three columns, as far as there are such columns."""
    found = tail(sums, row * k)
    found[j] += a0
    if j + 1 < k:
        found[j + 1] += a1
    if j + 2 < k:
        found[j + 2] += a2


def log_sizes(n, s, y, p):
    """As in `vectors`."""
    total = 0.0
    for i in range(n):
        tiny = EPSILON * (abs(y[i]) + abs(p[i])) + LEAST
        total += s[i] * logarithm(max(abs(y[i] - p[i]), tiny))
    return total


def bumps(n, y, p, number, jumps, out):
    """As in `vectors`."""
    clear(n, out)
    for k in range(number):
        at, per_width, height = jumps[3 * k], 1.0 / jumps[3 * k + 1], jumps[3 * k + 2]
        for i in range(n):
            u = (y[i] - p[i] + at) * per_width
            out[i] += height * max(1.0 - u * u, 0.0)


def sum_of_ratios(n, s, a, b):
    """As in `vectors`."""
    total = 0.0
    for i in range(n):
        total += s[i] * a[i] * a[i] / b[i]
    return total


def count_above(n, a, b, least):
    """As in `vectors`."""
    number = 0
    for i in range(n):
        if a[i] * b[i] > least:
            number += 1
    return number


def scale_rows(X, p, order, start, stop, n, ahead, weight, weighted, centre, factor, out, sums):
    """As in `vectors`. Four rows share the sums."""
    squares, largest, last, q = tail(sums, p), tail(sums, 2 * p), n - 1, start
    clear(3 * p, sums)
    while q + 3 < stop:
        row0, row1, row2, row3 = four_rows(X, p, order, q, last)
        s0, s1 = root_of(weight, weighted, order[q]), root_of(weight, weighted, order[q + 1])
        s2, s3 = root_of(weight, weighted, order[q + 2]), root_of(weight, weighted, order[q + 3])
        z0, z1, z2, z3 = (
            row(out, p, q - start),
            row(out, p, q - start + 1),
            row(out, p, q - start + 2),
            row(out, p, q - start + 3),
        )
        later0, later1, later2, later3 = four_rows(X, p, order, q + ahead, last)
        head = 0
        while head < p:
            end, line = min(head + HALF, p), head
            while line < end:
                prefetch(later0, line)
                prefetch(later1, line)
                prefetch(later2, line)
                prefetch(later3, line)
                line += LINE
            for j in range(head, end):
                middle, by = centre[j], factor[j]
                a, b = (float(row0[j]) - middle) * by * s0, (float(row1[j]) - middle) * by * s1
                c, d = (float(row2[j]) - middle) * by * s2, (float(row3[j]) - middle) * by * s3
                z0[j] = a
                z1[j] = b
                z2[j] = c
                z3[j] = d
                sums[j] += a * s0 + b * s1 + c * s2 + d * s3
                squares[j] += a * a + b * b + c * c + d * d
                largest[j] = max(largest[j], max(max(a * a, b * b), max(c * c, d * d)))
            head = end
        q += 4
    while q < stop:
        x, root, z = row(X, p, order[q]), root_of(weight, weighted, order[q]), row(out, p, q - start)
        for j in range(p):
            value = (float(x[j]) - centre[j]) * factor[j] * root
            z[j] = value
            sums[j] += value * root
            squares[j] += value * value
            largest[j] = max(largest[j], value * value)
        q += 1


def four_rows(X, p, order, q, last):
    """The features of four samples of an order from place q on, or of its last one."""
    first, second = row(X, p, order[min(q, last)]), row(X, p, order[min(q + 1, last)])
    return first, second, row(X, p, order[min(q + 2, last)]), row(X, p, order[min(q + 3, last)])


def root_of(weight, weighted, i):
    """The root of a weight; 1 without weights."""
    root = 1.0
    if weighted:
        root = sqrt(float(weight[i]))
    return root
