"""The objective of the descent, as a function of parameters with the intercept last, if there is one."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.compiled.drivers.vectors import sum_of_ratios
from sklearn_sgd._engine.passes.without_plan import score_driver
from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.traits import Formulas, LossReading, read

# Step of a difference, in units of the largest coefficient.
STEP = 1e-3


class BlockDrivers:
    """The drivers that add a block of rows to the sums of a loss. They are made when they are needed, not pickled."""

    def __init__(self, loss: Any):
        self.loss = loss

    def __reduce__(self) -> tuple:
        return type(self), (self.loss,)

    @cached_property
    def see(self) -> Callable[..., float]:
        """The first part."""
        return score_driver("see_block", read(LossReading, self.loss))

    @cached_property
    def add(self) -> Callable[..., float]:
        """The second part."""
        return score_driver("add_block", read(LossReading, self.loss))

    @cached_property
    def count(self) -> Callable[..., float]:
        """Both, in a stream."""
        return score_driver("count_block", read(LossReading, self.loss))


class Objective(NamedTuple):
    """A loss and a penalty, as the scores need them.

    Attributes
    ----------
    loss : object
        The loss.
    is_quadratic, has_link, is_deviance, is_canonical : bool
        Whether it is half the squared error; whether it has a link; whether it is a deviance under a link, which has
        Pearson residuals; and whether the second derivative of a deviance does not depend on the target.
    penalty : object or None
        A penalty that has a second derivative.
    drivers : BlockDrivers
        What adds a block of rows to the sums.
    """

    loss: Any
    is_quadratic: bool
    has_link: bool
    is_deviance: bool
    is_canonical: bool
    penalty: Any
    drivers: BlockDrivers

    @classmethod
    def of(cls, formulas: Formulas) -> "Objective":
        """Return the objective of the parts of a descent."""
        if formulas.objective is None:
            loss, penalty, _ = formulas.parts
            no_pull = formulas.is_unpenalised or (formulas.terms is not None and not any(formulas.terms))
            with np.errstate(all="ignore"):
                is_deviance = second.is_deviance(loss)
                is_canonical = is_deviance and second.has_canonical_link(loss)
            own = None if no_pull else penalty
            traits = formulas.is_quadratic, second.has_link(loss), is_deviance, is_canonical
            formulas.objective = cls(loss, *traits, own, BlockDrivers(loss))
        return formulas.objective

    @property
    def may_be_straight(self) -> bool:
        """Whether the loss may have a second derivative in some rows only, unlike the squared error and deviances."""
        return not (self.is_quadratic or self.is_deviance)

    def pearson(self, s: np.ndarray, p: np.ndarray, g: np.ndarray, c: np.ndarray) -> float:
        """Return the sum of the squared Pearson residuals of rows; 0 for losses that have none.

        Their weights are s, the slopes of their losses g and the second derivatives c.
        """
        if self.is_quadratic:
            return float((s * g) @ g)
        if not self.is_deviance:
            return 0.0
        return sum_of_ratios(len(s), s, g, c if self.is_canonical else second.expected_curvature(self.loss, p))

    def cost(self, w: np.ndarray, n_features: int) -> float:
        """Return the penalty."""
        return 0.0 if self.penalty is None else float(np.sum(self.penalty.value(w[:n_features])))

    def pull(self, w: np.ndarray, n_features: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the slope and the second derivative of the penalty, 0 for the intercept."""
        slope = np.zeros(len(w))
        if self.penalty is None:
            return slope, slope
        bend, coef = np.zeros(len(w)), w[:n_features]
        step = STEP * max(float(np.max(np.abs(coef), initial=0.0)), 1e-100)
        above, below = coef + step, coef - step
        slope[:n_features] = self.penalty.gradient(coef)
        bend[:n_features] = (self.penalty.gradient(above) - self.penalty.gradient(below)) / (above - below)
        return slope, bend
