"""How far the automatic step goes: rates from the batch size and the columns, and shares of the average.

The bound that no batch may break is in the drivers, where the batch is.

References
----------
Gower, R. M. et al., "SGD: general analysis and improved rates", ICML 2019: the base rate for a batch size.
Shamir, O. and Zhang, T., "Stochastic gradient descent for non-smooth optimization", ICML 2013: the average with
polynomial decay.
"""

from collections.abc import Callable

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Step

# Exponent of the average: an update's share grows with this power of its number.
DECAY = 3.0

# Weight of the squared length of a sparse row in its rate. A short row of common words is followed by long ones.
RARE = 2.0

# The rate starts to fall when it has forgotten the start this many times over.
BURN_IN = 10.0

# The same after which parameters of a stream scatter about the minimum. The average then loses few of its rows, and has
# forgotten a start that is a hundred times as far away as the noise of a row.
SETTLED = 6.0


def base_rate(step: Step, batch_size: int | None) -> float:
    """Base rate for steps on batches; None: on all rows there are, so without noise."""
    if batch_size is None:
        return 1.0 / step.largest
    length = step.length if step.shares is None else RARE * step.length
    return 0.5 / (step.largest * (1.0 - 1.0 / batch_size) + length / batch_size)


def automatic_rates(step: Step, batch_size: int | None, latest: float = np.inf) -> Callable:
    """From update numbers to rates; ``batch_size`` as above.

    Rare columns learn at the rate of their rows: one that fell with the number of updates would leave them behind.
    """
    noise = batch_size is not None
    return decaying_rate(base_rate(step, batch_size), noise and step.shares is None, latest)


def variance_reduced_rate(step: Step, batch_size: int, longest: float, curvature: float) -> float:
    """Rate of a variance-reduced step: a third over the smoothness that a batch may show.

    ``longest`` is the largest squared length of a row, ``curvature`` the bound on that of the loss.
    """
    return 1.0 / (3.0 * curvature * (step.largest * (1.0 - 1.0 / batch_size) + longest / batch_size))


def min_samples(step: Step, tol: float, n_rows: int) -> float:
    """Rows to visit until the noise of the average costs less than a share ``tol`` of the loss.

    On the training rows it costs length / visits; on new ones the noise meets the error of the fit itself, whose
    square is length / n_rows, so that few rows must be visited more often.
    """
    return step.length / tol * max(1.0, 1.0 / (tol * n_rows))


def decaying_rate(rate: float, noise: bool, latest: float = np.inf):
    """From update numbers to rates: constant, or with noise falling as 1 / t in the long run, to the latest."""
    fall = noise * rate / BURN_IN
    return lambda t: rate / (1.0 + fall * (t if latest == np.inf else np.minimum(t, latest)))


def averaging_weights(t: np.ndarray, settled: float = np.inf) -> np.ndarray:
    """Share of the newest parameters in the average: of later updates more, and after ``settled`` of each the same.

    The mean of equal shares has the least variance (Polyak and Juditsky, 1992), and is the last to forget the start.
    """
    if settled == np.inf:
        return (DECAY + 1.0) / (t + DECAY)
    return 1.0 / ((np.minimum(t, settled) + DECAY) / (DECAY + 1.0) + np.maximum(t - settled, 0.0))


def settled_after(rate: float) -> float:
    """The update after which parameters scatter about the minimum, and no longer approach it, for a base rate."""
    return SETTLED / rate


def decay_limit(half_life: float, batch_size: int, automatic: bool) -> float:
    """The update number past which nothing falls, lest what is known be older, on average, than a half life allows.

    The mean age of rows that count half after each half life is ``half_life / log(2)``. With the automatic step, at
    update t, that of the average is about ``t / (DECAY + 1)`` updates, and of the parameters in it ``t / BURN_IN``;
    with a schedule that of an average with shares ``1 / t`` is t.
    """
    updates = half_life / np.log(2.0) / batch_size
    return updates / (1.0 / (DECAY + 1.0) + 1.0 / BURN_IN) if automatic else updates


def automatic_batch_size(n_columns: int, n_rows: int) -> int:
    """A power of two: the rows past which more per step allow no longer step, yet at least 8 steps an epoch.

    ``n_columns`` are those that vary in a row: of sparse rows of many columns, as many as a row has entries.
    """
    most = max(1, n_rows // 8)
    return 2 ** int(np.log2(min(max(n_columns + 1, 16), 1024, most)))
