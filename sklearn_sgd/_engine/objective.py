"""The mean loss and the objective of a state's predictor on the rows of a plan."""

from typing import Any

import numpy as np

from sklearn_sgd._engine.baseline import training_loss
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.state import State

# Precisions of X by which a prediction may be off.
ROUNDING = 8.0


def loss_of(plan: Plan, state: State, w: np.ndarray | None = None, *, rows: Any = None, rounding: float = 0.0) -> float:
    """Return the mean loss on the rows of a plan, or on some of them, of a state's average or of other parameters.

    Each prediction may be off by ``rounding`` times the sizes of its terms, in favour of the predictor.
    """
    kept = plan.row_indices if rows is None else rows
    return training_loss(plan.parts.loss, plan.data, kept, plan.X, *state.predictor(w), rounding)


def objective_of(plan: Plan, state: State, w: np.ndarray | None = None, *, rows: Any = None) -> float:
    """Return the mean loss plus the penalty, of a state's average or of other parameters."""
    w = state.vectors.average if w is None else w
    return loss_of(plan, state, w, rows=rows) + plan.penalty_value(w)


def rounding_of_predictions(state: State) -> float:
    """Return the error of a prediction by rounding, relative to its terms."""
    return ROUNDING * float(np.finfo(state.vectors.coef.dtype).eps)
