"""The shuffle of row numbers."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Integer, Rows


def permute(order: Rows, start: Integer, draws: Doubles, n: Integer) -> Double:
    """Fisher-Yates shuffle: swap row numbers, from a position on, with earlier ones chosen by numbers in [0, 1)."""
    for q in range(n):
        i = start + q
        j = int(draws[q] * (i + 1))
        here, there = order[i], order[j]
        order[i] = there
        order[j] = here
    return 0.0
