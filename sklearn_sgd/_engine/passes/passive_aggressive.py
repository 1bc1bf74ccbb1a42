"""Passive-aggressive steps: a row's step is as long as its own loss requires, and no longer."""

from typing import NamedTuple

import numpy as np


class PassiveAggressive(NamedTuple):
    """How far to go along a row with loss l and squared length q: ``min(limit, l / (q + soft))``.

    PA-I has a ``limit``, PA-II is ``soft``.

    References
    ----------
    Crammer, K., Dekel, O., Keshet, J., Shalev-Shwartz, S. and Singer, Y., "Online passive-aggressive algorithms", JMLR
    7, 2006.
    """

    limit: float
    soft: float

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 0

    @property
    def is_passive(self) -> bool:
        """Whether each row says how far to go."""
        return True


def variant(name: str, eta0: float) -> PassiveAggressive:
    """The variant that a learning rate names; ``eta0`` is what the authors call C."""
    return PassiveAggressive(eta0, 0.0) if name == "pa1" else PassiveAggressive(np.inf, 0.5 / eta0)
