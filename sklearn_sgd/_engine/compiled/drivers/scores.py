"""Centred rows, and multiples of them: NumPy would process each short row on its own."""

from sklearn_sgd._engine.compiled.drivers.words import Double, Doubles, Integer


def designs(X: Doubles, n: Integer, p: Integer, centre: Doubles, design: Doubles) -> Double:
    """Write n rows of p columns less the centre, each with a 1 after them."""
    for i in range(n):
        read, write = i * p, i * (p + 1)
        for j in range(p):
            design[write + j] = X[read + j] - centre[j]
        design[write + p] = 1.0
    return 0.0


def multiples(design: Doubles, n: Integer, k: Integer, c: Doubles, d: Doubles, scaled: Doubles) -> Double:
    """Write c and d times n rows of k columns, side by side."""
    for i in range(n):
        read, write, a, b = i * k, 2 * i * k, c[i], d[i]
        for j in range(k):
            scaled[write + j] = a * design[read + j]
        for j in range(k):
            scaled[write + k + j] = b * design[read + j]
    return 0.0
