"""The best constant and its loss: what a fit is measured by."""

from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.around_zero import shows_far_columns
from sklearn_sgd._engine.baseline import best_constant, constant_beside, constant_loss, constant_losses
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.state import State

# Shares of the best constant's loss by which a fit may exceed it, and one by the automatic step, with the noise of its
# average.
MARGIN, NOISE = 1e-3, 1e-2

# Loss of a nearly constant combination of columns, in units of that of the best constant, at most.
NEARLY = 2.0


class Reference(NamedTuple):
    """The best constant of a target, and the losses that follow from it.

    Attributes
    ----------
    constant : float
        The raw prediction.
    loss : float
        Its mean loss.
    unit : float
        Unit of ``tol``.
    size : float
        Size of the losses, for rounding.
    most : float
        The largest loss with which a fit is as good as the constant.
    least : float
        The loss to which a fit comes for sure, unless it stops too early; infinity if none is known.
    """

    constant: float
    loss: float
    unit: float
    size: float
    most: float
    least: float = np.inf

    @classmethod
    def of(cls, plan: Plan, state: State) -> Self:
        """Return the reference of a target, on the rows of a plan.

        Columns far from 0 make a model without intercept nearly have one, whose constant is the unit then.
        """
        used: Any = slice(None) if plan.row_indices is None else plan.row_indices
        constant = best_constant(plan.formulas, plan.data, used)
        loss, usual = _losses(plan, constant)
        # A user's loss may be negative, although it should not be.
        size, least = abs(loss), np.inf
        unit = usual = min(size, usual)
        geometry = state.step and state.step.geometry
        if geometry.nears_constant if geometry else state.is_far_without_intercept or shows_far_columns(plan):
            beside = constant_beside(plan.formulas, plan.data, used)
            size = abs(constant_loss(plan.parts.loss, plan.data, plan.row_indices, beside))
            unit = min(usual, size)
            # A combination of these columns comes as near as this, so a fit that ends farther away has not found it.
            least = NEARLY * size if plan.formulas.is_unpenalised else np.inf
        most = loss + usual * (NOISE if plan.preconditioner and plan.noise else MARGIN)
        return cls(constant, loss, unit, size, most, least)


def _losses(plan: Plan, constant: float) -> tuple[float, float]:
    """Return the mean loss of a constant, and its size without rows with extreme losses, if the loss limits these."""
    loss, kept, normal = plan.parts.loss, plan.row_indices, plan.normal if not plan.noise else None
    if normal:
        return (normal.variance + (constant - normal.target) ** 2) / 2, np.inf
    if plan.formulas.has_bounded_slopes:
        return constant_losses(loss, plan.data, kept, constant)
    return constant_loss(loss, plan.data, kept, constant), np.inf
