"""The operations of `vectors` as loops, for machine code."""

from math import sqrt

from sklearn_sgd._engine.compiled.drivers.layouts import LINE
from sklearn_sgd._engine.compiled.drivers.primitives import logarithm, prefetch, tail
from sklearn_sgd._engine.compiled.drivers.vectors import EPSILON, LEAST

# Number of samples that are processed at once: their columns fit into a cache.
STRETCH = 128


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
    # Half of the products follow from symmetry. Each turn computes those of a column with six, for both weights: twelve
    # sums and two columns are as many as fit into registers.
    a, b, D = tail(work, 0), tail(work, STRETCH), tail(work, 2 * STRETCH)
    clear(k, squares)
    clear(k * k, first)
    clear(k * k, second)
    head = 0
    while head < n:
        m = min(STRETCH, n - head)
        size, of_c, of_d = tail(sizes, head), tail(c, head), tail(d, head)
        lay_out(row(X, p, head), m, p, k, centre, D)
        clear(m, size)
        for j in range(k):
            u, of_j, square = tail(D, j * STRETCH), inverse[j], 0.0
            for q in range(m):
                a[q] = of_c[q] * u[q]
                b[q] = of_d[q] * u[q]
                size[q] += of_j * u[q] * u[q]
                square += (of_c[q] * u[q] * u[q]) * (of_c[q] * u[q] * u[q])
            squares[j] += square
            other = 0
            while other <= j:
                z0, z1, z2 = column(D, k, other), column(D, k, other + 1), column(D, k, other + 2)
                z3, z4, z5 = column(D, k, other + 3), column(D, k, other + 4), column(D, k, other + 5)
                a0, a1, a2, a3, a4, a5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                b0, b1, b2, b3, b4, b5 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
                for q in range(m):
                    a0 += a[q] * z0[q]
                    b0 += b[q] * z0[q]
                    a1 += a[q] * z1[q]
                    b1 += b[q] * z1[q]
                    a2 += a[q] * z2[q]
                    b2 += b[q] * z2[q]
                    a3 += a[q] * z3[q]
                    b3 += b[q] * z3[q]
                    a4 += a[q] * z4[q]
                    b4 += b[q] * z4[q]
                    a5 += a[q] * z5[q]
                    b5 += b[q] * z5[q]
                add(first, j, other, k, a0, a1, a2, a3, a4, a5)
                add(second, j, other, k, b0, b1, b2, b3, b4, b5)
                other += 6
        head += m
    mirror(k, first)
    mirror(k, second)


def lay_out(X, n, p, k, centre, D):
    """Write a stretch of samples less the centre by columns, and a last column of ones if k exceeds p."""
    i = 0
    while i + 3 < n:
        row0, row1, row2, row3 = row(X, p, i), row(X, p, i + 1), row(X, p, i + 2), row(X, p, i + 3)
        for j in range(p):
            out, middle = tail(D, j * STRETCH + i), centre[j]
            out[0] = row0[j] - middle
            out[1] = row1[j] - middle
            out[2] = row2[j] - middle
            out[3] = row3[j] - middle
        i += 4
    for q in range(i, n):
        for j in range(p):
            D[j * STRETCH + q] = X[q * p + j] - centre[j]
    for j in range(p, k):
        out = tail(D, j * STRETCH)
        for i in range(n):
            out[i] = 1.0


def column(D, k, j):
    """A column of a stretch; the last one if there is no such column."""
    return tail(D, min(j, k - 1) * STRETCH)


def clear(n, out):
    """Write zeros."""
    for i in range(n):
        out[i] = 0.0


def mirror(k, A):
    """Copy the lower half of a matrix to the upper one."""
    for j in range(k):
        for other in range(j):
            A[other * k + j] = A[j * k + other]


def add(sums, j, other, k, a0, a1, a2, a3, a4, a5):
    """Add numbers to a row of a matrix, in six columns, as far as there are such columns."""
    row = tail(sums, j * k)
    row[other] += a0
    if other + 1 < k:
        row[other + 1] += a1
    if other + 2 < k:
        row[other + 2] += a2
    if other + 3 < k:
        row[other + 3] += a3
    if other + 4 < k:
        row[other + 4] += a4
    if other + 5 < k:
        row[other + 5] += a5


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
    """As in `vectors`."""
    squares, largest = tail(sums, p), tail(sums, 2 * p)
    clear(3 * p, sums)
    for q in range(start, stop):
        row, later, root = tail(X, order[q] * p), tail(X, order[min(q + ahead, n - 1)] * p), 1.0
        z = tail(out, (q - start) * p)
        if weighted:
            root = sqrt(float(weight[order[q]]))
        line = 0
        while line < p:
            prefetch(later, line)
            line += LINE
        for j in range(p):
            value = (float(row[j]) - centre[j]) * factor[j] * root
            z[j] = value
            sums[j] += value * root
            squares[j] += value * value
            largest[j] = max(largest[j], value * value)
