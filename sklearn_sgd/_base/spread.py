"""The standard deviation of a new target, for ``predict(X, return_std=True)``."""

from typing import Any

from sklearn_sgd._namespace import dispatches, like


def predict_std(estimator: Any, X: Any) -> Any:
    """Return the standard deviation of a new target at each sample; of each target for several; where X is."""
    # What a fit knows of its errors is in a package above this one, which other predictions do not need.
    from sklearn_sgd.inference.prediction import standard_deviations

    found = standard_deviations(estimator, X)
    return like(found, X) if dispatches(X) else found
