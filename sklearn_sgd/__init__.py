"""Linear regressors trained by batch, mini-batch and online gradient descent, for scikit-learn."""

from sklearn_sgd import losses, optimizers, penalties, schedules
from sklearn_sgd.regressors import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

__version__ = "0.1.0.dev0"

__all__ = [
    "BatchGDRegressor",
    "MiniBatchSGDRegressor",
    "OnlineSGDRegressor",
    "__version__",
    "losses",
    "optimizers",
    "penalties",
    "schedules",
]
