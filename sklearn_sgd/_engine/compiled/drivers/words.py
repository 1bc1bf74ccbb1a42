"""The words of the drivers: kinds of arguments, and what plain Python and compiled code do in different ways."""

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

# A function of a part: an address, or in plain Python the function itself; 0 for none.
Function = Annotated[Any, "function"]


def invoke(function, numbers, sums, n, *args):
    """Call the function of a part, which returns a number in double precision."""
    return function(numbers, sums, n, *args)


def tail(array, start):
    """The array from an entry on, not copied."""
    return array[start:]


def narrow(number, like):
    """A number in the precision of another."""
    return type(like)(number)


def prefetch(array, i):
    """Request an entry for the processor's second cache; plain Python has no such request."""
