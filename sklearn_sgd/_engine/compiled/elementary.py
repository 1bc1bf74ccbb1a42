"""Exponential, logarithm and related functions, as instructions that LLVM computes for many entries side by side.

Calls of the C library process one entry at a time, and take longer than reading the samples. Here an argument is
reduced to a short interval around 0, where a Taylor series is exact to rounding. Results differ from the C library's in
the last digit or two; numbers below the smallest normal one are 0. All is in double precision.
"""

from collections.abc import Callable
from math import factorial
from typing import Any

# Added to a number, it rounds the number to an integer, which the last bits of the sum then contain.
ROUNDER = 1.5 * 2.0**52

# log 2 as a sum of two parts, of which integer multiples of the first are exact; and 1 / log 2.
LOG_2, REST, PER_LOG_2 = (
    float.fromhex("0x1.62e42fee00000p-1"),
    float.fromhex("0x1.a39ef35793c76p-33"),
    1.4426950408889634,
)

# Range of the exponential; powers of two that make small numbers normal.
LEAST, MOST, SMALLEST, LIFT = -707.7, 710.0, 2.0**-1022, 54

# From here on a hyperbolic tangent is 1 to rounding.
ONE = 20.0

MANTISSA, BIAS, ROOT_HALF = 52, 1023, 0x3FE6A09E667F3BCD

EXPONENTIAL = [1.0 / factorial(k) for k in range(2, 14)]
LOGARITHM = [2.0 / (2 * k + 1) for k in range(1, 12)]


def functions(ir, builder, call: Callable) -> dict[str, Callable]:
    """The functions by name, which write instructions with a builder; ``call`` calls an intrinsic of LLVM."""
    write = _Writer(ir, builder, call)
    return {
        "exp": lambda x: write.exponential(x, less=False),
        "expm1": lambda x: write.exponential(x, less=True),
        "log": write.log,
        "log1p": write.log1p,
        "tanh": write.tanh,
        "series": write.series,
    }


class _Writer:
    """Writer of instructions. They must not be reordered: the functions depend on how each of them rounds."""

    def __init__(self, ir, builder, call: Callable):
        self.ir, self.to, self.call = ir, builder, call
        self.double, self.integer = ir.DoubleType(), ir.IntType(64)

    def series(self, coefficients: list[float], x: Any) -> Any:
        """The sum of coefficients times powers of x."""
        total = self.double(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            total = self.call("llvm.fmuladd", total, x, self.double(coefficient))
        return total

    def exponential(self, x: Any, less: bool) -> Any:
        """``exp(x)``, or with ``less`` ``exp(x) - 1``: for ``x = k log 2 + r``, ``2**k (exp(r) - 1) + 2**k``."""
        to, double = self.to, self.double
        below = to.fcmp_ordered("<", x, double(LEAST))
        x = to.select(below, double(LEAST), x)
        x = to.select(to.fcmp_ordered(">", x, double(MOST)), double(MOST), x)
        rounded = to.fadd(to.fmul(x, double(PER_LOG_2)), double(ROUNDER))
        k = to.fsub(rounded, double(ROUNDER))
        r = to.fsub(to.fsub(x, to.fmul(k, double(LOG_2))), to.fmul(k, double(REST)))
        rest = self.call("llvm.fmuladd", to.fmul(r, r), self.series(EXPONENTIAL, r), r)
        # Half of the power, which is in range.
        power = to.shl(to.bitcast(rounded, self.integer), self.integer(MANTISSA))
        half = to.bitcast(to.add(power, self.integer((BIAS - 1) << MANTISSA)), double)
        added = to.fsub(half, double(0.5)) if less else half
        result = to.fmul(to.fadd(to.fmul(half, rest), added), double(2.0))
        return result if less else to.select(below, double(0.0), result)

    def log(self, x: Any) -> Any:
        """``log(x)``: for ``x = 2**k (1 + f)`` and ``s = f / (2 + f)``, ``k log 2 + log((1 + s) / (1 - s))``."""
        to, double, integer = self.to, self.double, self.integer
        small = to.fcmp_ordered("<", x, double(SMALLEST))
        bits = to.bitcast(to.select(small, to.fmul(x, double(2.0**LIFT)), x), integer)
        # Counted from the power whose mantissas are around 1.
        k = to.ashr(to.sub(bits, integer(ROOT_HALF)), integer(MANTISSA))
        f = to.fsub(to.bitcast(to.sub(bits, to.shl(k, integer(MANTISSA))), double), double(1.0))
        known = to.bitcast(double(ROUNDER), integer)
        k = to.fsub(to.bitcast(to.add(k, known), double), double(ROUNDER))
        k = to.fsub(k, to.select(small, double(float(LIFT)), double(0.0)))
        s = to.fdiv(f, to.fadd(double(2.0), f))
        square = to.fmul(s, s)
        series = to.fmul(square, self.series(LOGARITHM, square))
        rest = to.fsub(to.fmul(s, to.fsub(f, series)), to.fmul(k, double(REST)))
        result = to.fadd(to.fmul(k, double(LOG_2)), to.fsub(f, rest))
        outside = to.select(to.fcmp_ordered("==", x, double(0.0)), double(float("-inf")), double(float("nan")))
        outside = to.select(to.fcmp_ordered("==", x, double(float("inf"))), x, outside)
        inside = to.and_(to.fcmp_ordered(">", x, double(0.0)), to.fcmp_ordered("<", x, double(float("inf"))))
        return to.select(inside, result, outside)

    def log1p(self, x: Any) -> Any:
        """``log(1 + x)``, corrected for the rounding of the sum."""
        to, double = self.to, self.double
        u = to.fadd(x, double(1.0))
        inside = to.and_(to.fcmp_ordered(">", u, double(0.0)), to.fcmp_ordered("<", u, double(float("inf"))))
        lost = to.fdiv(to.fsub(x, to.fsub(u, double(1.0))), u)
        return to.fadd(self.log(u), to.select(inside, lost, double(0.0)))

    def tanh(self, x: Any) -> Any:
        """``tanh(x)``, from ``t = exp(2 |x|) - 1`` as ``t / (t + 2)``."""
        to, double = self.to, self.double
        size = self.call("llvm.fabs", x)
        size = to.select(to.fcmp_ordered(">", size, double(ONE)), double(ONE), size)
        t = self.exponential(to.fmul(double(2.0), size), less=True)
        return self.call("llvm.copysign", to.fdiv(t, to.fadd(t, double(2.0))), x)
