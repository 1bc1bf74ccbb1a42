"""Sums over the entries of sparse columns."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Indices, Integer, Reals, Rows


def sparse_sums(
    X: Reals, indices: Indices, indptr: Indices, order: Rows, n: Integer, weight: Reals, weighted: Integer,
    shift: Doubles, shifted: Integer, sums: Doubles,
) -> Double:  # fmt: skip
    """For each column: weights of its entries that are not 0, their sum, their sum of squares.

    A shift is subtracted from the entries before they are squared. The three lie together.
    """
    for q in range(n):
        i, s = order[q], 1.0
        if weighted:
            s = float(weight[i])
        for e in range(int(indptr[i]), int(indptr[i + 1])):
            j, value = int(indices[e]), float(X[e])
            at, moved, each = 3 * j, value, s if value != 0.0 else 0.0
            if shifted:
                moved -= shift[j]
            sums[at] += each
            sums[at + 1] += each * value
            sums[at + 2] += each * moved * moved
    return 0.0
