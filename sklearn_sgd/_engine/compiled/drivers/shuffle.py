"""The shuffle of row numbers."""

from sklearn_sgd._engine.compiled.drivers.words import Double, Doubles, Integer, Rows


def permute(order: Rows, start: Integer, draws: Doubles, n: Integer) -> Double:
    """Swap row numbers from a place on with earlier ones, which draws between 0 and 1 choose: Fisher and Yates."""
    for q in range(n):
        i = start + q
        j = int(draws[q] * (i + 1))
        here, there = order[i], order[j]
        order[i] = there
        order[j] = here
    return 0.0
