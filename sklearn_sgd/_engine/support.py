"""Exact zeros in streams: which coefficients are 0 at the minimum, where the average of a descent has none that are.

An average is near the minimum, but not on the edges of the penalty, since its iterates leave them now and then. A
proximal step from there by the mean slope of all rows leads to the edges: noise moves a coefficient off 0 only if it
makes its slope larger than the threshold. The mean slope at the average of today follows from those at earlier
averages, by the covariances of the columns. As in regularised dual averaging, the threshold acts on the mean of all
slopes.

References
----------
Xiao, L., "Dual averaging methods for regularized stochastic learning and online optimization", Journal of Machine
Learning Research 11, 2010.
"""

from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.proximal_minimum import proximal_minimum
from sklearn_sgd._engine.baseline import gradient_in_double
from sklearn_sgd._engine.plan import Data, Plan
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import take, total

# Weight of the newest rows in mean slopes, in units of their share of all rows: the first averages were far away.
NEWEST = 2.0


class SupportFinish(NamedTuple):
    """The average, with a 0 for each coefficient that is 0 at the minimum by the mean slope of the rows."""

    penalty: Any

    @classmethod
    def of(cls, recipe: Recipe) -> Self | None:
        """Return the final step for a recipe; None if its coefficients are not 0, or are known to be otherwise."""
        return cls(recipe.parts.penalty) if recipe.finishes_with_zeros else None

    def __call__(self, state: State, target: int, scores: Any = None) -> tuple[np.ndarray, float]:
        """Return coefficients and intercept with which a target is predicted."""
        average, slopes, columns = state.vectors.average, state.slopes, state.statistics
        if slopes is None or state.is_young or columns is None or columns.moment.ndim < 2:
            return state.predictor()
        columns = state.about_centre
        (slope, before), coef = slopes, average[:-1]
        p, losses = len(coef), state.window[1]
        curvature = state.window[0] / losses if losses > 0.0 else 1.0
        covariance = columns.moment[:p, :p] * (curvature / columns.weight)
        # The parabola of that curvature, of which the slope at the average is the mean slope.
        normal = NormalMatrix(covariance, covariance @ before - slope, coef @ covariance @ coef, 0.0)
        found = proximal_minimum(normal, self.penalty, average, 0.0)
        return state.predictor(np.append(np.where(found[:-1] == 0.0, 0.0, coef), average[-1]))


def learn_slopes_of_fit(plan: Plan, state: State) -> None:
    """Let the state at the end of a fit learn the mean slope of all rows, with which a stream may go on."""
    if plan.finishes and plan.formulas.hides_zeros and not plan.is_remote:
        learn_slopes(plan.parts.loss, plan.data, plan.row_indices, plan.X, state)


def learn_slopes(loss: Any, data: Data, kept: Any, X: Any, state: State) -> None:
    """Let a state learn the mean slope of some rows at its average."""
    number = X.shape[0] if kept is None else len(kept)
    if not number or state.statistics is None or state.statistics.moment.ndim < 2:
        return
    average, weight = state.vectors.average, float(number)
    if data.weight.shape[0]:
        weight = total(data.weight if kept is None else take(data.weight, kept))
    slope = gradient_in_double(loss, data, kept, X, state.centre, average)[:-1] * (number / weight)
    if np.isfinite(slope).all():
        state.learn_slopes(np.array([slope, average[:-1]]), min(1.0, NEWEST * weight / state.statistics.weight))
