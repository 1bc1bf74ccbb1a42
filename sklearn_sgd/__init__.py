"""Linear regressors trained by batch, mini-batch and online gradient descent, for scikit-learn."""

from sklearn_sgd import diagnostics, displays, losses, optimizers, penalties, schedules
from sklearn_sgd.displays import BatchSizeDisplay, DescentPathDisplay, GradientNoiseDisplay, LossCurveDisplay
from sklearn_sgd.regressors import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

__version__ = "0.1.0.dev0"

__all__ = [
    "BatchGDRegressor",
    "BatchSizeDisplay",
    "DescentPathDisplay",
    "GradientNoiseDisplay",
    "LossCurveDisplay",
    "MiniBatchSGDRegressor",
    "OnlineSGDRegressor",
    "__version__",
    "diagnostics",
    "displays",
    "losses",
    "optimizers",
    "penalties",
    "schedules",
]
