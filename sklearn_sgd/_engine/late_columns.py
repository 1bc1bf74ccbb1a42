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

# Number of weights of averages that are computed at once.
TOGETHER = 1 << 16


def change_of_average(
    plan: Any, vectors: Vectors, before: np.ndarray, ages: np.ndarray, done: int, n_updates: int
) -> np.ndarray:
    """Return what to add to the average of each column, whose age is in updates; a negative age is that of the stream.

    The average was ``before``, and has moved by the usual share in these updates, after those ``done``. At first it is
    the last parameters, which are nearer to the minimum than their mean.
    """
    change = np.where((ages >= 0) & (ages < SOON * n_updates), (vectors.coef - vectors.average)[:-1], 0.0)
    older = np.flatnonzero(ages >= SOON * n_updates)
    if len(older):
        usual = _forgotten(plan, np.array([done]), n_updates)
        shares = _forgotten(plan, np.minimum(ages[older], done), n_updates, PATIENCE)
        change[older] = (shares / usual - 1.0) * (vectors.average - before)[older]
    return change


def _forgotten(plan: Any, done: np.ndarray, n_updates: int, patience: float = 1.0) -> np.ndarray:
    """Return the share of each average that it forgets in ``n_updates`` updates, after those done."""
    if n_updates == 1:
        return plan.mixes(done + 1, patience)
    distinct, places = np.unique(done, return_inverse=True)
    kept, size = np.ones(len(distinct)), max(1, TOGETHER // len(distinct))
    for start in range(1, n_updates + 1, size):
        updates = np.add.outer(distinct, np.arange(start, min(start + size, n_updates + 1)))
        kept *= np.prod(1.0 - plan.mixes(updates, patience), axis=1)
    return (1.0 - kept)[places]
