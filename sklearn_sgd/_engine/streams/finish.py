"""The coefficients of a stream: by a final step from what its states know of all rows, or the average itself.

A final step is computed when coefficients are read, and does not change the state.
"""

from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.around_zero import AroundZero
from sklearn_sgd._engine.automatic.normal_matrix import conjugate_minimum
from sklearn_sgd._engine.automatic.proximal_minimum import proximal_minimum
from sklearn_sgd._engine.cores import one_blas_thread
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.support import SupportFinish


class StreamFinish(NamedTuple):
    """The final step of a stream of the squared error: from running moments to the minimum on all rows seen.

    An average of the parameters alone would be as accurate as the minimum on half of the rows.
    """

    penalty: Any
    smooth: bool
    bias: float

    @classmethod
    def of(cls, recipe: Recipe) -> Self | None:
        """The final step for a recipe; None if predictions are those of the descent itself."""
        if not recipe.finishes_streams:
            return None
        return cls(recipe.parts.penalty, recipe.formulas.is_smooth, float(recipe.params["fit_intercept"]))

    @one_blas_thread()  # One BLAS thread: the same bits in a program with several threads.
    def __call__(self, state: State, target: int, scores: Any = None) -> tuple[np.ndarray, float]:
        """Coefficients and intercept with which a target is predicted."""
        if not state.knows_targets or state.step is None:
            return state.predictor()
        normal, w = state.normal_matrix(target), state.vectors.average
        if self.smooth:
            w = self._smooth_minimum(state, target, w)
        elif state.is_far_without_intercept or not state.is_young:
            w = proximal_minimum(normal, self.penalty, w, self.bias)
        return state.predictor(w)

    def _smooth_minimum(self, state: State, target: int, w: np.ndarray) -> np.ndarray:
        """Return parameters near the minimum; of columns far from 0, on moments about their means."""
        assert state.statistics is not None
        assert state.step is not None
        normal, columns = state.normal_matrix(target), state.statistics.leading(len(state.centre))
        precondition: Any = state.step.preconditioner.apply
        if not state.has_intercept:
            geometry = AroundZero.of(columns, self.penalty.gradient(np.ones(len(w) - 1)))
            if geometry:
                precondition = partial(geometry.apply, rounding=0.0)
        return conjugate_minimum(normal, self.penalty, precondition, w, self.bias, columns.weight)


class ScoreFinish(NamedTuple):
    """The final step of a stream of other losses: from its scores to the minimum of the parabolas of all rows seen."""

    objective: Objective
    half_life: float | None

    def __call__(self, state: State, target: int, scores: Any = None) -> tuple[np.ndarray, float]:
        """Return the coefficients and the intercept with which a target is predicted."""
        if scores is None or not scores.is_known:
            return state.predictor()
        found = scores.in_unit(state.mean_weight).predictor(self.objective, state.predictor, self.half_life)
        if found is None:
            return state.predictor()
        coef, intercept = found
        return coef.astype(state.vectors.coef.dtype), intercept


def finishes(recipe: Recipe) -> bool:
    """Return whether there is a final step of a stream."""
    return recipe.finishes_streams or recipe.finishes_by_scores or recipe.finishes_with_zeros


def finish_of(recipe: Recipe) -> StreamFinish | ScoreFinish | SupportFinish | None:
    """Return the function from states to coefficients of a stream; None if they are those of the descent itself."""
    if recipe.finishes_by_scores:
        return ScoreFinish(Objective.of(recipe.formulas), recipe.params["half_life"])
    return SupportFinish.of(recipe) or StreamFinish.of(recipe)
