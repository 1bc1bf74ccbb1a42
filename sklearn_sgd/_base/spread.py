"""The standard deviation of a new target, for ``predict(X, return_std=True)``."""

from typing import Any

import numpy as np


def predict_std(estimator: Any, X: Any) -> np.ndarray:
    """Return the standard deviation of a new target for each sample; for several targets, of each."""
    # Imported here, because `inference` is above `_base`, and other predictions do not need it.
    from sklearn_sgd.inference.prediction import standard_deviations

    return standard_deviations(estimator, X)
