"""Schedules: the learning rate of each update.

A schedule is a function from an array of update numbers (1, 2, ...) to an array of rates; the functions here make one.
Any NumPy function of that kind can be given as ``learning_rate``.
"""

from collections.abc import Callable

import numpy as np

__all__ = ["constant", "invscaling", "optimal"]

Schedule = Callable[[np.ndarray], np.ndarray]


def constant(eta0: float = 0.01) -> Schedule:
    """Rate ``eta0`` at every update.

    Parameters
    ----------
    eta0 : float, default=0.01
        The rate.

    Returns
    -------
    schedule : callable
        From an array of update numbers to an array of rates.

    Examples
    --------
    >>> constant(0.1)(np.array([1, 2, 3]))
    array([0.1, 0.1, 0.1])
    """
    return lambda t: np.full(np.shape(t), float(eta0))


def invscaling(eta0: float = 0.01, power_t: float = 0.25) -> Schedule:
    """Rate ``eta0 / t**power_t`` at update t.

    Parameters
    ----------
    eta0 : float, default=0.01
        Rate of the first update.
    power_t : float, default=0.25
        Exponent of the decay.

    Returns
    -------
    schedule : callable
        From an array of update numbers to an array of rates.

    Examples
    --------
    >>> invscaling(0.1, 0.5)(np.array([1, 4]))
    array([0.1 , 0.05])
    """
    return lambda t: eta0 / np.power(t, power_t, dtype=float)


def optimal(alpha: float, loss) -> Schedule:
    """Bottou's rate ``1 / (alpha * (t0 + t - 1))``, with SGDRegressor's choice of ``t0``.

    The rate that is optimal for a strongly convex objective of curvature ``alpha``. For an unpenalised or weakly
    penalised loss it starts very high: prefer another schedule there.

    Parameters
    ----------
    alpha : float
        Strength of the penalty, larger than 0.
    loss : named tuple
        The loss, of :mod:`sklearn_sgd.losses`.

    Returns
    -------
    schedule : callable
        From an array of update numbers to an array of rates.

    References
    ----------
    L. Bottou, "Stochastic Gradient Descent Tricks", in Neural Networks: Tricks of the Trade, Springer, 2012.

    Examples
    --------
    >>> from sklearn_sgd.losses import SquaredError
    >>> optimal(1.0, SquaredError())(np.array([1, 2]))
    array([1. , 0.5])
    """
    typical = np.sqrt(1.0 / np.sqrt(alpha))
    t0 = max(1.0, float(loss.gradient(1.0, -typical))) / (typical * alpha)
    return lambda t: 1.0 / (alpha * (t0 + np.asarray(t) - 1.0))
