"""Optimizers: from a gradient to a direction and the rate to go along it.

An optimizer is a named tuple of its numbers with one formula for one coordinate (or an array of them):
``step(g, m, v, rate) -> direction, rate, m, v`` with the gradient ``g``, two moments ``m`` and ``v`` that it keeps, and
the rate of the schedule. It answers the rate with which it goes, since the proximal step of the penalty must be taken
at that same rate to keep the minimiser of the objective a fixed point.
"""

from typing import NamedTuple

__all__ = ["OPTIMIZERS", "SGD"]


class SGD(NamedTuple):
    """Plain gradient descent, ``w <- w - rate * g``.

    References
    ----------
    H. Robbins and S. Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> SGD().step(g=2.0, m=0.0, v=0.0, rate=0.1)
    (2.0, 0.1, 0.0, 0.0)
    """

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 0

    def step(self, g, m, v, rate):
        """Direction, rate and moments of one coordinate."""
        return g, rate, m, v


OPTIMIZERS = {"sgd": SGD}
