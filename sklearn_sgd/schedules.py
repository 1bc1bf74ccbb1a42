"""Schedules: the learning rate of each update.

A schedule is a function from an array of update numbers (1, 2, ...) to an array of rates. The functions of this module
return schedules, which can be saved with a model. Any NumPy function of that kind can be passed as ``learning_rate``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sklearn_sgd._ranges import AboveZero, AtLeastOne, NotNegative, UnitInterval, check_numbers

__all__ = ["constant", "cosine", "exponential", "invscaling", "one_cycle", "optimal", "step", "warm_up"]

Schedule = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, repr=False)
class Formula:
    """A formula of this module and its numbers. Unlike a closure, it can be saved, compared and printed."""

    formula: Callable[..., np.ndarray]
    numbers: tuple[Any, ...]

    def __post_init__(self):
        check_numbers(self.formula, self.numbers, self.name)

    @property
    def name(self) -> str:
        """The name of the formula: that of the public function that returns the schedule."""
        return self.formula.__name__.strip("_")

    def __call__(self, t):
        return self.formula(*self.numbers, np.asarray(t))

    def __repr__(self):
        return f"{self.name}({', '.join(map(repr, self.numbers))})"

    def __getstate__(self):
        return {"name": self.name, "numbers": list(self.numbers)}

    def __setstate__(self, state):
        # The class is frozen, so the dictionary is changed.
        vars(self).update(vars(formula_of(state["name"], state["numbers"])))


def formula_of(name: str, numbers: Sequence[Any]) -> Formula:
    """Return the formula of that name with these numbers."""
    formulas = _constant, _invscaling, _optimal, _step, _cosine, _one_cycle, _warm_up
    known = {formula.__name__.strip("_"): formula for formula in formulas}
    if name not in known:
        raise ValueError(f"There is no schedule {name!r}; there are {', '.join(known)}.")
    return Formula(known[name], tuple(numbers))


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
    return Formula(_constant, (eta0,))


def _constant(eta0: NotNegative, t: np.ndarray) -> np.ndarray:
    rates = np.empty(t.shape)  # Faster than np.full, which matters in streams of single rows.
    rates.fill(eta0)
    return rates


def invscaling(eta0: float = 0.01, power_t: float = 0.25) -> Schedule:
    """Rate ``eta0 / t**power_t`` at update t; as :class:`~sklearn.linear_model.SGDRegressor` has it.

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
    return Formula(_invscaling, (eta0, power_t))


def _invscaling(eta0: NotNegative, power_t: NotNegative, t: np.ndarray) -> np.ndarray:
    return eta0 / np.power(t, power_t, dtype=float)


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
    Bottou, L., "Stochastic Gradient Descent Tricks", in Neural Networks: Tricks of the Trade, Springer, 2012.

    Examples
    --------
    >>> from sklearn_sgd.losses import SquaredError
    >>> optimal(1.0, SquaredError())(np.array([1, 2]))
    array([1. , 0.5])
    """
    typical = np.sqrt(1.0 / np.sqrt(alpha))
    t0 = max(1.0, float(loss.gradient(1.0, -typical))) / (typical * alpha)
    return Formula(_optimal, (alpha, t0))


def _optimal(alpha: AboveZero, t0: NotNegative, t: np.ndarray) -> np.ndarray:
    return 1.0 / (alpha * (t0 + t - 1.0))


def step(eta0: float = 0.01, every: int = 1000, factor: float = 0.1) -> Schedule:
    """Rate ``eta0``, multiplied by ``factor`` after each ``every`` updates; as ``torch.optim.lr_scheduler.StepLR``.

    Parameters
    ----------
    eta0 : float, default=0.01
        Rate of the first updates.
    every : int, default=1000
        Updates at the same rate.
    factor : float, default=0.1
        What the rate is multiplied by.

    Returns
    -------
    schedule : callable
        From an array of update numbers to an array of rates.

    Examples
    --------
    >>> step(0.1, every=2, factor=0.5)(np.array([1, 2, 3, 4, 5]))
    array([0.1  , 0.1  , 0.05 , 0.05 , 0.025])
    """
    return Formula(_step, (eta0, every, factor))


def _step(eta0: NotNegative, every: AtLeastOne, factor: NotNegative, t: np.ndarray) -> np.ndarray:
    return eta0 * np.power(factor, (t - 1) // every, dtype=float)


def exponential(eta0: float = 0.01, factor: float = 0.999) -> Schedule:
    """Rate ``eta0 * factor**(t - 1)`` at update t; as ``torch.optim.lr_scheduler.ExponentialLR``.

    Parameters
    ----------
    eta0 : float, default=0.01
        Rate of the first update.
    factor : float, default=0.999
        What the rate is multiplied by after each update.

    Returns
    -------
    schedule : callable
        From an array of update numbers to an array of rates.

    Examples
    --------
    >>> exponential(0.1, 0.5)(np.array([1, 2, 3]))
    array([0.1  , 0.05 , 0.025])
    """
    return step(eta0, 1, factor)


def cosine(eta0: float = 0.01, updates: int = 1000, lowest: float = 0.0) -> Schedule:
    """Rate that falls from ``eta0`` to ``lowest`` along half a cosine wave, and then stays constant.

    ``lowest + (eta0 - lowest) * (1 + cos(pi * (t - 1) / updates)) / 2`` at update t: torch's ``CosineAnnealingLR``,
    which rises again after as many updates.

    Parameters
    ----------
    eta0 : float, default=0.01
        Rate of the first update.
    updates : int, default=1000
        Updates until the lowest rate.
    lowest : float, default=0.0
        The lowest rate.

    Returns
    -------
    schedule : callable
        From an array of update numbers to an array of rates.

    References
    ----------
    Loshchilov, I. and Hutter, F., "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Examples
    --------
    >>> cosine(0.1, updates=2)(np.array([1, 2, 3, 4]))
    array([0.1 , 0.05, 0.  , 0.  ])
    """
    return Formula(_cosine, (eta0, updates, lowest))


def _cosine(eta0: NotNegative, updates: AtLeastOne, lowest: NotNegative, t: np.ndarray) -> np.ndarray:
    return _half_wave(eta0, lowest, (t - 1.0) / updates)


def _half_wave(start: float, end: float, share: np.ndarray) -> np.ndarray:
    """A value between start and end, for a share from 0 to 1."""
    return end + (start - end) * 0.5 * (1.0 + np.cos(np.pi * np.clip(share, 0.0, 1.0)))


def one_cycle(
    eta_max: float = 0.1, updates: int = 1000, rise: float = 0.3, start: float = 0.04, end: float = 4e-6
) -> Schedule:
    """Rate that rises to ``eta_max``, falls almost to 0, both along half cosine waves, and then stays constant.

    torch's ``OneCycleLR``: with its ``div_factor`` 1 / start and ``final_div_factor`` start / end.

    Parameters
    ----------
    eta_max : float, default=0.1
        The highest rate.
    updates : int, default=1000
        Total number of updates.
    rise : float, default=0.3
        Share of the updates in which the rate rises.
    start : float, default=0.04
        First rate, as a share of the highest.
    end : float, default=4e-6
        Last rate, as a share of the highest.

    Returns
    -------
    schedule : callable
        From an array of update numbers to an array of rates.

    References
    ----------
    Smith, L. N. and Topin, N., "Super-convergence: very fast training of neural networks using large learning rates",
    arXiv:1708.07120, 2017.

    Examples
    --------
    >>> one_cycle(1.0, updates=5, rise=0.6, start=0.5, end=0.0)(np.array([1, 2, 3, 4, 5]))
    array([0.5 , 0.75, 1.  , 0.5 , 0.  ])
    """
    return Formula(_one_cycle, (eta_max, updates, rise, start, end))


def _one_cycle(
    eta_max: NotNegative, updates: AtLeastOne, rise: UnitInterval, start: NotNegative, end: NotNegative, t: np.ndarray
) -> np.ndarray:
    t, top = t - 1.0, max(rise * updates - 1.0, 1e-9)
    fall = max(updates - 1.0 - top, 1e-9)
    falling = _half_wave(eta_max, end * eta_max, (t - top) / fall)
    return np.where(t <= top, _half_wave(start * eta_max, eta_max, t / top), falling)


def warm_up(schedule: Schedule, updates: int = 100, start: float = 1 / 3) -> Schedule:
    """Another schedule, multiplied by a factor that rises linearly from ``start`` to 1; as torch's ``LinearLR``.

    Parameters
    ----------
    schedule : callable
        From an array of update numbers to an array of rates.
    updates : int, default=100
        Updates until the factor is 1.
    start : float, default=1/3
        The factor of the first update.

    Returns
    -------
    schedule : callable
        From an array of update numbers to an array of rates.

    References
    ----------
    Goyal, P. et al., "Accurate, large minibatch SGD: training ImageNet in 1 hour", arXiv:1706.02677, 2017.

    Examples
    --------
    >>> warm_up(constant(0.1), updates=2, start=0.5)(np.array([1, 2, 3, 4]))
    array([0.05 , 0.075, 0.1  , 0.1  ])
    """
    return Formula(_warm_up, (schedule, updates, start))


def _warm_up(schedule: Schedule, updates: AtLeastOne, start: NotNegative, t: np.ndarray) -> np.ndarray:
    return schedule(t) * np.minimum(1.0, start + (1.0 - start) * (t - 1.0) / updates)
