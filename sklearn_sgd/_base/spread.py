"""The standard deviation of a new target, for ``predict(X, return_std=True)``."""

from typing import Any

from sklearn_sgd._namespace import dispatches, like


def predict_std(estimator: Any, X: Any) -> Any:
    """Return the standard deviation of a new target at each sample, for each of several targets, on X's device."""
    # Imported here: other predictions do not need this package, which is above `_base`.
    from sklearn_sgd.inference.prediction import standard_deviations

    found = standard_deviations(estimator, X)
    return like(found, X) if dispatches(X) else found
