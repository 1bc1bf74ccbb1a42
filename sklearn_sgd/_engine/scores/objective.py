"""The objective of the descent, as a function of parameters with the intercept last, if there is one."""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.scores import curvature as second

# Step of a difference, in units of the largest coefficient.
STEP = 1e-3


class Objective(NamedTuple):
    """A loss, whether it is half the squared error, and a penalty that has a second derivative, or None."""

    loss: Any
    is_quadratic: bool
    penalty: Any

    @classmethod
    def of(cls, formulas: Any) -> "Objective":
        """Return the objective of the parts of a descent."""
        no_pull = formulas.is_unpenalised or (formulas.terms is not None and not any(formulas.terms))
        return cls(formulas.parts.loss, formulas.is_quadratic, None if no_pull else formulas.parts.penalty)

    @property
    def is_deviance(self) -> bool:
        """Whether the loss is a deviance under a link, which has Pearson residuals."""
        return second.is_deviance(self.loss)

    @property
    def may_be_straight(self) -> bool:
        """Whether the loss may have a second derivative in some rows only, unlike the squared error and deviances."""
        return not (self.is_quadratic or self.is_deviance)

    def pearson(self, s: np.ndarray, p: np.ndarray, g: np.ndarray, c: np.ndarray | None) -> float:
        """Return the sum of the squared Pearson residuals of rows; 0 for losses that have none.

        Their weights are s, the slopes of their losses g and the second derivatives c, None where these are 1.
        """
        if self.is_quadratic:
            return float((s * g) @ g)
        return float(s @ second.pearson(self.loss, p, g, c)) if c is not None and self.is_deviance else 0.0

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
