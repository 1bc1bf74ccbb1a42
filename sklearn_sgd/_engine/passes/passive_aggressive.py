"""Passive-aggressive steps: the loss of a row determines the length of its step."""

from typing import Any, NamedTuple

import numpy as np


class PassiveAggressive(NamedTuple):
    """The length of the step along a row with loss l and squared norm q: ``min(limit, l / (q + soft))``.

    PA-I uses ``limit``, and PA-II uses ``soft``.

    References
    ----------
    Crammer, K., Dekel, O., Keshet, J., Shalev-Shwartz, S. and Singer, Y., "Online passive-aggressive algorithms", JMLR
    7, 2006.
    """

    limit: float
    soft: float

    @property
    def moments(self) -> int:
        """The number of moments."""
        return 0

    @property
    def is_passive(self) -> bool:
        """Whether the length of a step depends on the loss of its row."""
        return True


def is_passive_aggressive(optimizer: Any) -> bool:
    """Return whether the length of a step depends on the loss of its row."""
    return hasattr(optimizer, "is_passive")


def variant(name: str, eta0: float) -> PassiveAggressive:
    """Return the variant for the name of a learning rate; ``eta0`` is the authors' C."""
    return PassiveAggressive(eta0, 0.0) if name == "pa1" else PassiveAggressive(np.inf, 0.5 / eta0)
