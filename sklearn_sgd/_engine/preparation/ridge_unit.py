"""The curvature of a loss, in units of which a ridge penalty counts in the preconditioner.

Losses with kinks have the curvature of their spread: it has the unit of one over y, and so has the penalty.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sklearn_sgd._engine.baseline import SAMPLE, constant_of, residual_sums, usual_value
from sklearn_sgd._engine.plan import Data
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import doubled, host, take


def depends_on_targets(formulas: Formulas) -> bool:
    """Return whether the unit is not 1: where there is a ridge, and the loss is not the squared error."""
    return not formulas.is_quadratic and formulas.parts.penalty.gradient(1.0) > 0.0


def ridge_unit(
    recipe: Recipe, states: Sequence[State], X: Any, targets: Any, weight: Any, kept: np.ndarray | None = None
) -> float:
    """Return the curvature of recent batches, or at first that of the targets at the best constant.

    Of several targets the least: with a larger one the penalty would shorten the steps of the intercept. It is 1 for
    the squared error, and where there is no ridge.
    """
    formulas = recipe.formulas
    if not depends_on_targets(formulas):
        return 1.0
    if isinstance(X, RemoteRows):
        return _of_sums(X.residual_sums(formulas.parts.loss, _constant(recipe, X.best_constant, formulas)))
    return min(
        _of_parabola(state.window[0], state.window[1]) or _at_constant(recipe, targets[:, target], weight, kept)
        for target, state in enumerate(states)
    )


def _at_constant(recipe: Recipe, y: Any, weight: Any, kept: np.ndarray | None) -> float:
    """Return the curvature at the best constant for a sample of targets."""
    used = np.arange(y.shape[0]) if kept is None else kept
    some = used[:: -(-len(used) // SAMPLE)]
    y, weight = (host(doubled(take(values, some))) if values.shape[0] else values for values in (y, weight))
    constant = _constant(recipe, constant_of, recipe.formulas, y, weight if weight.shape[0] else None)
    return _of_sums(residual_sums(recipe.parts.loss, Data(None, y, weight), slice(None), constant))


def _of_sums(sums: np.ndarray) -> float:
    """Return the curvature by `residual_sums`; 1 where they do not show it. A few extreme losses hardly count."""
    return _of_parabola(float(sums[3]), 2.0 * float(usual_value(sums))) or 1.0


def _constant(recipe: Recipe, best: Callable[..., float], *args: Any) -> float:
    """Return the best constant prediction; 0 for a model without intercept."""
    return best(*args) if recipe.params["fit_intercept"] else 0.0


def _of_parabola(squares: float, losses: float) -> float:
    """Return the curvature of a parabola with these squared slopes and twice these losses; 0 if it is not known."""
    return float(squares / losses) if squares > 0.0 and losses > 0.0 else 0.0
