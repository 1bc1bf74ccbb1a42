"""The standard deviation of a new target, for ``predict(X, return_std=True)``."""

from typing import Any

import numpy as np


def predict_std(estimator: Any, X: Any) -> np.ndarray:
    """Return the standard deviation of a new target at each sample; of each target for several."""
    # What a fit knows of its errors is in a package above this one, which other predictions do not need.
    from sklearn_sgd.inference.prediction import standard_deviations

    return standard_deviations(estimator, X)
