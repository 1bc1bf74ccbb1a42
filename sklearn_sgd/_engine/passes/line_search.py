"""The length of a step, where slopes along it are known: one rule for numbers and for arrays on a device.

If a step would pass the minimum along it, its length is estimated by secants. The first estimates are those of the
drivers. At a kink the slope jumps, and a secant falls short of it by far. Of all rows, the length is then sought on
both sides.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from sklearn_sgd._engine.compiled.drivers.batch import LEAST

# Share of the slope at the start below which a slope counts as 0, and below which a shortened step ends.
EXACT, NEARLY = 1e-9, 0.25

# Distance of two lengths, as a share of the longer one, at which there is a kink between them. A step ends before it:
# slopes at a kink are due to rounding.
NARROW = 1e-3


class Bracket(NamedTuple):
    """Two lengths, before and after the minimum, and the slopes there, both as positive numbers.

    A slope that remains is halved after each estimate (the Illinois algorithm).
    """

    low: Any
    high: Any
    below: Any
    above: Any

    def cut(self, where: Callable, over: Any, length: Any, slope: Any) -> tuple["Bracket", Any]:
        """Return the bracket with a length, which is ``over`` the minimum or not, as an end; and the next estimate."""
        low, high, below, above = self
        low, high = where(over, low, length), where(over, length, high)
        below, above = where(slope < 0.0, -slope, below), where(over, slope, above)
        share = below / (below + above)
        length = low + where(share > LEAST, share, 0.0 * share + LEAST) * (high - low)
        return Bracket(low, high, where(over, 0.5 * below, below), where(over, above, 0.5 * above)), length

    @property
    def is_narrow(self) -> Any:
        """Whether there is a kink between the lengths."""
        return self.high - self.low <= NARROW * self.high


def one_of(condition: bool, one: float, other: float) -> float:
    """Return one of two numbers, as ``where`` does of arrays."""
    return one if condition else other
