"""Rows less a centre, and multiples of rows: NumPy would process each short row separately."""

from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Integer


def designs(X: Doubles, n: Integer, p: Integer, centre: Doubles, design: Doubles) -> Double:
    """Write n rows of p columns less the centre, each with a 1 after them."""
    for i in range(n):
        read, write = i * p, i * (p + 1)
        for j in range(p):
            design[write + j] = X[read + j] - centre[j]
        design[write + p] = 1.0
    return 0.0


def multiples(
    design: Doubles, n: Integer, k: Integer, c: Doubles, d: Doubles, scale: Doubles, scaled: Doubles, sizes: Doubles
) -> Double:
    """Write c and d times n rows of k columns, side by side; and the sum of squares of each row, times the scales."""
    for i in range(n):
        read, write, a, b, total = i * k, 2 * i * k, c[i], d[i], 0.0
        for j in range(k):
            z = design[read + j]
            scaled[write + j] = a * z
            scaled[write + k + j] = b * z
        for j in range(k):
            total += scale[j] * design[read + j] * design[read + j]
        sizes[i] = total
    return 0.0
