"""Sums over rows for standard errors. Rows are stored by columns, so that all loops are along rows."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Integer, tail

# Number of rows that are processed at once: their columns fit into a cache.
STRETCH = 256


def designs(
    X: Doubles, n: Integer, p: Integer, centre: Doubles, w: Doubles, offset: Double, design: Doubles,
    predictions: Doubles,
) -> Double:  # fmt: skip
    """Write n rows of p columns less the centre by columns, and their products with w plus an offset."""
    head = 0
    while head < n:
        m = min(STRETCH, n - head)
        rows, predicted = tail(X, head * p), tail(predictions, head)
        for i in range(m):
            predicted[i] = offset
        for j in range(p):
            column, middle, slope = tail(design, j * n + head), centre[j], w[j]
            for i in range(m):
                column[i] = rows[i * p + j] - middle
            for i in range(m):
                predicted[i] += slope * column[i]
        head += m
    return 0.0


def products(
    design: Doubles, n: Integer, k: Integer, c: Doubles, d: Doubles, scale: Doubles, work: Doubles, first: Doubles,
    second: Doubles, sizes: Doubles,
) -> Double:  # fmt: skip
    """Add the outer products of n rows of k columns, weighted by c, to ``first``; weighted by d, to ``second``.

    ``sizes`` gets the sum of squares of each row, times the scales. Half of the products follow from symmetry. Each
    turn computes those of two columns with four.
    """
    a, b, e, f = tail(work, 0), tail(work, STRETCH), tail(work, 2 * STRETCH), tail(work, 3 * STRETCH)
    head = 0
    while head < n:
        m = min(STRETCH, n - head)
        size, of_c, of_d = tail(sizes, head), tail(c, head), tail(d, head)
        for q in range(m):
            size[q] = 0.0
        j = 0
        while j < k:
            i = min(j + 1, k - 1)
            u, v, of_j, of_i = tail(design, j * n + head), tail(design, i * n + head), scale[j], scale[i] * (i - j)
            for q in range(m):
                size[q] += of_j * u[q] * u[q] + of_i * v[q] * v[q]
                a[q] = of_c[q] * u[q]
                b[q] = of_c[q] * v[q]
                e[q] = of_d[q] * u[q]
                f[q] = of_d[q] * v[q]
            other = 0
            while other <= i:
                other1, other2, other3 = min(other + 1, k - 1), min(other + 2, k - 1), min(other + 3, k - 1)
                z0, z1, z2, z3 = (
                    tail(design, other * n + head),
                    tail(design, other1 * n + head),
                    tail(design, other2 * n + head),
                    tail(design, other3 * n + head),
                )
                a0, a1, a2, a3 = 0.0, 0.0, 0.0, 0.0
                b0, b1, b2, b3 = 0.0, 0.0, 0.0, 0.0
                e0, e1, e2, e3 = 0.0, 0.0, 0.0, 0.0
                f0, f1, f2, f3 = 0.0, 0.0, 0.0, 0.0
                for q in range(m):
                    a0 += a[q] * z0[q]
                    a1 += a[q] * z1[q]
                    a2 += a[q] * z2[q]
                    a3 += a[q] * z3[q]
                    b0 += b[q] * z0[q]
                    b1 += b[q] * z1[q]
                    b2 += b[q] * z2[q]
                    b3 += b[q] * z3[q]
                    e0 += e[q] * z0[q]
                    e1 += e[q] * z1[q]
                    e2 += e[q] * z2[q]
                    e3 += e[q] * z3[q]
                    f0 += f[q] * z0[q]
                    f1 += f[q] * z1[q]
                    f2 += f[q] * z2[q]
                    f3 += f[q] * z3[q]
                add(first, j, i, other, k, a0, a1, a2, a3, b0, b1, b2, b3)
                add(second, j, i, other, k, e0, e1, e2, e3, f0, f1, f2, f3)
                other += 4
            j += 2
        head += m
    for j in range(k):
        for other in range(j):
            first[other * k + j] = first[j * k + other]
            second[other * k + j] = second[j * k + other]
    return 0.0


def add(sums, j, i, other, k, a0, a1, a2, a3, b0, b1, b2, b3):
    """Add numbers to two rows of a matrix, in four columns, as far as there are such rows and columns."""
    for row in range(j, i + 1):
        second = row > j
        sums[row * k + other] += b0 if second else a0
        if other + 1 < k:
            sums[row * k + other + 1] += b1 if second else a1
        if other + 2 < k:
            sums[row * k + other + 2] += b2 if second else a2
        if other + 3 < k:
            sums[row * k + other + 3] += b3 if second else a3
