"""Types of the drivers' arguments, and functions that differ between plain Python and compiled code."""

import math
from typing import Annotated, Any

# Arrays and numbers in the precision of X.
Reals = Annotated[Any, "reals"]
Real = Annotated[Any, "real"]

# Arrays and numbers in double precision.
Doubles = Annotated[Any, "doubles"]
Double = Annotated[Any, "double"]

# Integers; arrays of column indices and offsets of sparse rows; arrays of row numbers.
Integer = Annotated[Any, "integer"]
Indices = Annotated[Any, "indices"]
Rows = Annotated[Any, "rows"]

# A function of a part: an address, or the function itself in plain Python; 0 for none.
Function = Annotated[Any, "function"]


def invoke(function, numbers, sums, n, *args):
    """Call the function of a part, which returns a number in double precision."""
    return function(numbers, sums, n, *args)


def tail(array, start):
    """A view of the array from an entry on."""
    return array[start:]


def narrow(number, like):
    """Convert a number to the precision of another one."""
    return type(like)(number)


def logarithm(number):
    """The logarithm, in double precision; computed for many entries side by side, which that of `math` is not."""
    return math.log(number)


def prefetch(array, i):
    """Prefetch an entry into the second-level cache; does nothing in plain Python."""


def series(coefficients, x):
    """The sum of coefficients times powers of x, in double precision."""
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
