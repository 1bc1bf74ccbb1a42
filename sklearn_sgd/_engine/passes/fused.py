"""Several operations of a formula by one of torch: of small arrays, an operation takes the time of its start."""

from collections.abc import Callable, Collection, Mapping

# A line of a program: an operation, and the numbers of the lines that are its arguments.
Line = tuple[str, tuple]


def fused(
    op: str, args: tuple[int, ...], lines: Mapping[int, Line], arrays: Collection[int]
) -> tuple[Callable, tuple[int, ...]] | None:
    """Return a function that does an operation with one before it, and the lines that it needs; None if there is none.

    Sums with a product (two arrays and a number, at most), and an upper bound of what has a lower bound.
    """
    sign = -1.0 if op == "sub" else 1.0
    orders = {"add": [args, args[::-1]], "min": [args, args[::-1]], "sub": [args]}
    for a, b in orders.get(op, []):
        before, terms = lines[b]
        if op == "min" and before == "max" and a not in arrays:
            x, low = terms if terms[0] in arrays else terms[::-1]
            if low not in arrays:
                return (lambda x, low, high: x.clamp(low, high)), (x, low, a)
        elif op != "min" and before == "mul" and a in arrays:
            x, y = terms if terms[1] in arrays else terms[::-1]
            if y not in arrays:
                continue
            if x not in arrays:
                return (lambda a, y, factor: a.add(y, alpha=sign * factor)), (a, y, x)
            inner, factors = lines[x]
            number, z = factors if inner == "mul" and factors[1] in arrays else (None, x)
            if number is not None and number not in arrays:
                return (lambda a, y, z, factor: a.addcmul(y, z, value=sign * factor)), (a, y, z, number)
            return (lambda a, x, y: a.addcmul(x, y, value=sign)), (a, x, y)
    return None
