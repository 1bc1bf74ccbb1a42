"""The length of the automatic step: rates from the batch size and the columns, and weights of the average.

The drivers, which have the batch, ensure that no step raises its objective.

References
----------
Gower, R. M. et al., "SGD: general analysis and improved rates", ICML 2019: the base rate for a batch size.
Shamir, O. and Zhang, T., "Stochastic gradient descent for non-smooth optimization", ICML 2013: the average with
polynomial decay.
"""

from collections.abc import Callable

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Step

# Exponent of the average: the weight of an update grows with this power of its number.
DECAY = 3.0

# Factor of the mean squared norm of sparse rows in their rate, because some rows are much longer than the mean.
RARE = 2.0

# The rate starts to fall after this number of times 1 / rate updates, in which a step forgets the start.
BURN_IN = 10.0

# The same for the update after which parameters of a stream fluctuate around the minimum. The average then loses few of
# its rows, and has forgotten a start that is a hundred times as far away as the noise of a row.
SETTLED = 6.0

# An average of sparse columns moves once while this number of entries is read for each column, but this often in an
# epoch, at least.
ENTRIES, MOVES = 4.0, 16


def base_rate(step: Step, batch_size: int | None) -> float:
    """Return the first rate of steps on batches; ``batch_size`` None is for steps on all rows, which have no noise."""
    if batch_size is None:
        return 1.0 / step.largest
    length = step.length if step.shares is None else RARE * step.length
    return 0.5 / (step.largest * (1.0 - 1.0 / batch_size) + length / batch_size)


def automatic_rates(step: Step, batch_size: int | None, latest: float = np.inf) -> Callable:
    """Return the function from update numbers to rates; ``batch_size`` as in `base_rate`.

    With rare columns the rate does not fall with the number of updates, because they would learn too little.
    """
    noise = batch_size is not None
    return decaying_rate(base_rate(step, batch_size), noise and step.shares is None, latest)


def variance_reduced_rate(step: Step, batch_size: int, longest: float, curvature: float) -> float:
    """Return the rate of a variance-reduced step: 1 / 3 over the largest smoothness of a batch.

    ``longest`` is the largest squared norm of a row, ``curvature`` the bound on the curvature of the loss.
    """
    return 1.0 / (3.0 * curvature * (step.largest * (1.0 - 1.0 / batch_size) + longest / batch_size))


def min_samples(step: Step, tol: float, n_rows: int) -> float:
    """Return the number of visits of rows after which the noise of the average costs less than ``tol`` times the loss.

    On the training rows it costs length / visits. On new rows the noise adds to the error of the fit, whose square is
    length / n_rows, so that few rows must be visited more often.
    """
    return step.length / tol * max(1.0, 1.0 / (tol * n_rows))


def decaying_rate(rate: float, noise: bool, latest: float = np.inf):
    """Return a function from update numbers to rates: constant, or with noise as 1 / t up to update ``latest``."""
    fall = noise * rate / BURN_IN
    return lambda t: rate / (1.0 + fall * (t if latest == np.inf else np.minimum(t, latest)))


def averaging_weights(t: np.ndarray, settled: float = np.inf) -> np.ndarray:
    """Return the weight of the newest parameters in the average: later updates weigh more, up to ``settled``.

    The mean with equal weights has the least variance (Polyak and Juditsky, 1992), but is the slowest to forget the
    start.
    """
    if settled == np.inf:
        return (DECAY + 1.0) / (t + DECAY)
    return 1.0 / ((np.minimum(t, settled) + DECAY) / (DECAY + 1.0) + np.maximum(t - settled, 0.0))


def joined(weights: np.ndarray, n_columns: int, n_entries: float) -> np.ndarray:
    """Return weights of an average of sparse columns that moves less often, and forgets as much.

    A move costs the number of columns. So updates that together read several times as many entries, out of those of all
    updates, make one move: the parameters in the middle of them have the weight of all.
    """
    n_updates = len(weights)
    every = min(int(ENTRIES * n_columns * n_updates / max(n_entries, 1.0)), n_updates // MOVES)
    if every <= 1:
        return weights
    # Before an average begins, its weights are 1, and the last one is enough.
    began, moves = int(np.count_nonzero(weights == 1.0)), np.zeros(n_updates)
    moves[:began][-1:] = 1.0
    starts = np.arange(began, n_updates, every)
    if len(starts):
        moves[(starts + np.minimum(starts + every, n_updates)) // 2] = 1.0 - np.multiply.reduceat(1.0 - weights, starts)
    return moves


def settled_after(rate: float) -> float:
    """Return the update after which the parameters only fluctuate around the minimum, for a base rate."""
    return SETTLED / rate


def decay_limit(half_life: float, batch_size: int, automatic: bool) -> float:
    """Return the update number after which rates and weights stop falling, by the mean age for a half life.

    The mean age of rows whose weights halve with each half life is ``half_life / log(2)``. With the automatic step, at
    update t, the mean age of the average is about ``t / (DECAY + 1)`` updates, and that of the parameters in it ``t /
    BURN_IN``. With a schedule the mean age of an average with weights ``1 / t`` is t.
    """
    updates = half_life / np.log(2.0) / batch_size
    return updates / (1.0 / (DECAY + 1.0) + 1.0 / BURN_IN) if automatic else updates


def automatic_batch_size(n_columns: int, n_rows: int) -> int:
    """Return a power of two: a larger batch would not allow longer steps, or have less than 8 steps per epoch.

    ``n_columns`` is the number of columns that vary in a row: for sparse rows with many columns, the entries of a row.
    """
    most = max(1, n_rows // 8)
    return 2 ** int(np.log2(min(max(n_columns + 1, 16), 1024, most)))
