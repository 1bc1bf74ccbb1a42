"""The objective of a regressor: its parts, its penalty for given coefficients, and its gradient."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd._base.fitted import densified
from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._engine.resolve import Parts, make_parts
from sklearn_sgd._engine.traits import PenaltyReading, read

# Length of the proximal step from which a subgradient is computed, as a share of a coefficient.
NEARBY = 1e-7

# Relative amount by which rounding may exceed a bound.
ROUNDING = 1e-6


def check_regressor(estimator: Any) -> None:
    """Raise an error unless an estimator is a regressor of this package itself."""
    if not hasattr(estimator, "_parameter_values"):
        hint = ": give pipeline[-1], and the samples as it gets them, pipeline[:-1].transform(X)"
        raise TypeError(
            f"estimator must be a regressor of this package; got {type(estimator).__name__}"
            f"{hint if hasattr(estimator, 'steps') else ''}."
        )


def parameters_of(estimator: Any) -> tuple[np.ndarray, float]:
    """Return the coefficients and the intercept of a regressor that was fitted to one target."""
    check_regressor(estimator)
    check_is_fitted(estimator)
    coef, intercept = densified(estimator.coef_, estimator.intercept_), np.ravel(estimator.intercept_)
    if len(intercept) > 1:
        raise ValueError(f"estimator must be fitted to one target; it has {len(intercept)}. Fit one for each.")
    return np.ravel(coef).astype(float), float(intercept[0])


def parts_of(estimator: Any, X: Any) -> Parts:
    """Return the loss, the penalty and the optimizer that `fit` uses for X."""
    check_regressor(estimator)
    return make_parts(ResolvedParameters(estimator).params, np.dtype(np.float64), X.shape[1], foreign=False)


def cost_of(penalty: Any, w: np.ndarray) -> np.ndarray:
    """Return the penalty for each row of coefficients; infinity if one of them is not allowed."""
    allowed = np.isclose(penalty.prox(w, 0.0, ...), w, rtol=ROUNDING, atol=0.0, equal_nan=True)
    return np.where(allowed.all(axis=-1), (penalty.value(w) + 0.0 * w).sum(axis=-1), np.inf)


def slopes_of(estimator: Any, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the slope of each sample's loss, the mean gradient, the gradient of the penalty, and 1.

    The last number is 0 if there is no intercept.
    """
    (coef, intercept), ones = parameters_of(estimator), float(estimator.fit_intercept)
    loss, penalty, _ = parts_of(estimator, X)
    slopes = loss.gradient(y, X @ coef + intercept)
    full = np.append(X.T @ slopes, ones * slopes.sum()) / len(y)
    return slopes, full, np.append(_subgradient(penalty, coef, full[:-1]), 0.0), ones


def _subgradient(penalty: Any, w: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return the subgradient of the penalty whose sum with the gradient g of the loss is smallest.

    The sum is the displacement of a short proximal step divided by its length. It is 0 for a coefficient that the
    penalty holds at 0 or at a bound.
    """
    pull = penalty.gradient(w) + 0.0 * w
    if read(PenaltyReading, penalty, len(w)).is_smooth:
        return pull
    whole = g + pull
    step = NEARBY * np.where(w == 0.0, 1.0, abs(w)) / (abs(whole) + max(abs(whole).max(), 1.0))
    return (w - penalty.prox(w - step * whole, step, ...)) / step - g
