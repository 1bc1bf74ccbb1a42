"""Sums over the entries of sparse columns."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Indices, Integer, Reals, Rows


def sparse_sums(
    X: Reals, indices: Indices, indptr: Indices, order: Rows, n: Integer, weight: Reals, weighted: Integer,
    sums: Doubles,
) -> Double:  # fmt: skip
    """For each column: a number given, then weights of its entries that are not 0, their sum, their sum of squares.

    The number is subtracted from the entries before they are squared. The four lie together in a cache line.
    """
    for q in range(n):
        i, s = order[q], 1.0
        if weighted:
            s = float(weight[i])
        for e in range(int(indptr[i]), int(indptr[i + 1])):
            at, value = 4 * int(indices[e]), float(X[e])
            moved, each = value - sums[at], s if value != 0.0 else 0.0
            sums[at + 1] += each
            sums[at + 2] += each * value
            sums[at + 3] += each * moved * moved
    return 0.0
