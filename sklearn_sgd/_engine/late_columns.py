"""The average of columns that begin to vary late in a stream.

An average moves towards the mean of new parameters by a share that falls with the number of updates. That of a column
that begins later forgets as the average of a stream does that begins with it.
"""

from typing import Any

import numpy as np

from sklearn_sgd._engine.vectors import Vectors

# How many times as late the average of such a column becomes uniform: its coefficient starts at 0, and rows may show it
# rarely.
PATIENCE = 10.0

# Number of calls of the same size in which the parameters of such a column still approach the minimum.
SOON = 4


def change_of_average(
    plan: Any, vectors: Vectors, before: np.ndarray, ages: np.ndarray, done: int, n_updates: int
) -> np.ndarray:
    """Return what to add to the average of each column, whose age is in updates; a negative age is that of the stream.

    The average was ``before``, and has moved by the usual share in these updates, after those ``done``. At first it is
    the last parameters, which are nearer to the minimum than their mean.
    """
    usual, change = _forgotten(plan, done, n_updates), np.zeros(len(ages))
    for age in np.unique(ages[ages >= 0]):
        those = np.flatnonzero(ages == age)
        if age < SOON * n_updates:
            change[those] = (vectors.coef - vectors.average)[those]
        else:
            share = _forgotten(plan, min(int(age), done), n_updates, PATIENCE)
            change[those] = (share / usual - 1.0) * (vectors.average - before)[those]
    return change


def _forgotten(plan: Any, done: int, n_updates: int, patience: float = 1.0) -> float:
    """Return the share of an average that it forgets in so many updates, after those done."""
    return 1.0 - float(np.prod(1.0 - plan.mixes(np.arange(done + 1, done + 1 + n_updates), patience)))
