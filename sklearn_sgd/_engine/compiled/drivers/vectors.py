"""Operations on vectors and matrices, which plain Python does by NumPy; machine code by the functions of `loops`.

A matrix of k rows and n columns is a flat array. Its rows are the columns of samples, so that loops are along samples.
"""

import numpy as np

# A rounding error, and a size that is added to it.
EPSILON, LEAST = 2.0**-52, 1e-300


def predict(X, n, p, k, centre, w, out):
    """Linear functions of n samples less the centre; the last coefficient is the intercept, if k exceeds p."""
    out[:n] = (X[: n * p].reshape(n, p) - centre[:p]) @ w[:p] + w[p:k].sum()


def gather(X, n, p, k, centre, v, out):
    """Sum of n samples less the centre, times numbers; and of these numbers, if k exceeds p."""
    out[:p], out[p:k] = v[:n] @ (X[: n * p].reshape(n, p) - centre[:p]), v[:n].sum()


def project(D, k, n, v, out):
    """Products of the rows of a matrix with a vector."""
    out[:k] = D[: k * n].reshape(k, n) @ v[:n]


def dot(n, a, b):
    """Product of two vectors."""
    return float(a[:n] @ b[:n])


def multiply(n, a, b, out):
    """Product of each entry."""
    np.multiply(a[:n], b[:n], out=out[:n])


def add_multiple(n, start, length, way, out):
    """Sum of a vector and a multiple of another one."""
    np.add(start[:n], length * way[:n], out=out[:n])


def differ(n, high, low, above, below, out):
    """Differences of one pair of vectors, divided by those of another one."""
    out[:n] = (high[:n] - low[:n]) / (above[:n] - below[:n])


def scale_symmetric(k, A, more, ridge, scale, out):
    """Scale a matrix with ``more`` on its diagonal to a diagonal of 1, and add a ridge; keep the scales.

    A scale is 0 where the diagonal has no positive number.
    """
    A = A[: k * k].reshape(k, k)
    diagonal = A.diagonal() + more[:k]
    is_positive = diagonal > 0.0
    scale[:k] = np.divide(1.0, np.sqrt(diagonal, where=is_positive, out=np.ones(k)), where=is_positive, out=np.zeros(k))
    out = out[: k * k].reshape(k, k)
    np.multiply(A, scale[:k, None], out=out)
    out *= scale[:k]
    out.flat[:: k + 1] = 1.0 + ridge


def solve_symmetric(k, A, b, work, out):
    """Solve equations by Cholesky's factor of the matrix, written to ``work``; return 0 if there is none, else 1."""
    try:
        factor = np.linalg.cholesky(A[: k * k].reshape(k, k))
    except np.linalg.LinAlgError:
        return 0.0
    out[:k] = np.linalg.solve(factor.T, np.linalg.solve(factor, b[:k]))
    return float(np.isfinite(factor[-1, -1]))


def weighted_products(X, n, p, k, centre, c, d, inverse, work, first, second, sizes, squares):
    """Sums over samples less the centre of their outer products, weighted by c in ``first``, by d in ``second``.

    A sample ends with a 1 if k exceeds p. ``sizes`` gets the sum of ``inverse * z**2`` of each sample z; ``squares``
    that of ``(c * z**2)**2`` of each column.
    """
    D = np.ones((k, n))
    np.subtract(X[: n * p].reshape(n, p).T, centre[:p, None], out=D[:p])
    weighted = D * c[:n]
    first[: k * k] = (weighted @ D.T).ravel()
    np.square(np.multiply(weighted, D, out=weighted), out=weighted).sum(axis=1, out=squares[:k])
    second[: k * k] = (np.multiply(D, d[:n], out=weighted) @ D.T).ravel()
    sizes[:n] = inverse[:k] @ np.square(D, out=weighted)


def log_sizes(n, s, y, p):
    """Sum of logarithms of residuals, times s; those that are rounding errors count as the largest such ones."""
    tiny = EPSILON * (np.abs(y[:n]) + np.abs(p[:n])) + LEAST
    return float(s[:n] @ np.log(np.maximum(np.abs(y[:n] - p[:n]), tiny)))


def bumps(n, y, p, number, jumps, out):
    """Sum of parabolas of the residual, each with its place, width and height, as far as they are positive."""
    out[:n] = 0.0
    for k in range(number):
        at, width, height = jumps[3 * k : 3 * k + 3]
        u = (y[:n] - p[:n] + at) / width
        out[:n] += height * np.maximum(1.0 - u * u, 0.0)


def sum_of_ratios(n, s, a, b):
    """Sum of the squares of one vector divided by another one, times s."""
    return float((s[:n] * a[:n]) @ (a[:n] / b[:n]))


def count_above(n, a, b, least):
    """How many products of entries exceed a number."""
    return int(np.count_nonzero(a[:n] * b[:n] > least))


def scale_rows(X, p, order, start, stop, n, ahead, weight, weighted, centre, factor, out, sums):
    """Rows of a sample less the centre, times the factors and the roots of their weights; see the driver."""
    some, root = order[start:stop], 1.0
    if weighted:
        root = np.sqrt(weight[some].astype(np.float64))[:, None]
    rows = out[: len(some) * p].reshape(len(some), p)
    np.multiply((X.reshape(-1, p)[some] - centre) * factor, root, out=rows)
    squares = rows * rows
    sums[:p], sums[p : 2 * p], sums[2 * p :] = (rows * root).sum(axis=0), squares.sum(axis=0), squares.max(axis=0)
