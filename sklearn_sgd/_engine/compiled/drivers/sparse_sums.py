"""Sums over the entries of sparse columns."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Indices, Integer, Reals, Rows


def sparse_sums(
    X: Reals, indices: Indices, indptr: Indices, order: Rows, n: Integer, weight: Reals, weighted: Integer,
    shift: Doubles, sums: Doubles,
) -> Double:  # fmt: skip
    """For each column: weights of its entries, weights of those that are not 0, their sum, their sum of squares.

    ``shift`` is subtracted from the entries before they are squared.
    """
    for q in range(n):
        i, s = order[q], 1.0
        if weighted:
            s = float(weight[i])
        for e in range(int(indptr[i]), int(indptr[i + 1])):
            j, value = indices[e], float(X[e])
            moved = value - shift[j]
            sums[4 * j] += s
            sums[4 * j + 1] += s if value != 0.0 else 0.0
            sums[4 * j + 2] += s * value
            sums[4 * j + 3] += s * moved * moved
    return 0.0
