"""Rows of a sample in the units of their columns."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Integer, Reals, Rows
from sklearn_sgd._engine.compiled.drivers.vectors import scale_rows


def in_units(
    X: Reals, p: Integer, order: Rows, start: Integer, stop: Integer, n: Integer, ahead: Integer, weight: Reals,
    weighted: Integer, centre: Doubles, factor: Doubles, out: Doubles, sums: Doubles,
) -> Double:  # fmt: skip
    """Write the rows from ``start`` to ``stop`` less the centre, times the factors and the roots of their weights.

    ``sums`` gets for each column the sum of what is written times that root, that of its squares, and the largest one.
    """
    scale_rows(X, p, order, start, stop, n, ahead, weight, weighted, centre, factor, out, sums)
    return 0.0
