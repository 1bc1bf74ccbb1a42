"""Sums over the entries of sparse columns."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Indices, Integer, Reals, Rows


def size_of_row(X, indices, start, stop, inverse):
    """Mean square of the entries of a row that are not 0, in units of their columns.

    ``inverse`` has one over the mean square of the entries of each column; 0 for columns that do not count.
    """
    total, counted = 0.0, 0.0
    for e in range(start, stop):
        value, unit = float(X[e]), inverse[indices[e]]
        total += unit * value * value
        counted += 1.0 if unit > 0.0 and value != 0.0 else 0.0
    return total / max(counted, 1.0)


def sparse_sums(
    X: Reals, indices: Indices, indptr: Indices, order: Rows, n: Integer, weight: Reals, weighted: Integer,
    shift: Doubles, shifted: Integer, inverse: Doubles, sized: Integer, sums: Doubles,
) -> Double:  # fmt: skip
    """For each column: weights of its entries that are not 0, their sum, their sum of squares.

    A shift is subtracted from the entries before they are squared. The three lie together. If rows are ``sized``, the
    weights are multiplied by the sizes of the rows, and summed alone.
    """
    for q in range(n):
        i, s = order[q], 1.0
        if weighted:
            s = float(weight[i])
        if sized:
            s *= size_of_row(X, indices, int(indptr[i]), int(indptr[i + 1]), inverse)
        for e in range(int(indptr[i]), int(indptr[i + 1])):
            j, value = int(indices[e]), float(X[e])
            at, moved, each = 3 * j, value, s if value != 0.0 else 0.0
            sums[at] += each
            if not sized:
                if shifted:
                    moved -= shift[j]
                sums[at + 1] += each * value
                sums[at + 2] += each * moved * moved
    return 0.0
