"""Linear regressors trained by batch, mini-batch and online gradient descent, for scikit-learn."""

from sklearn_sgd import diagnostics, displays, inference, losses, optimizers, penalties, schedules
from sklearn_sgd._version import __version__
from sklearn_sgd.batches import Batches
from sklearn_sgd.displays import (
    BatchSizeDisplay,
    CoefficientDisplay,
    DescentPathDisplay,
    GradientNoiseDisplay,
    LossCurveDisplay,
)
from sklearn_sgd.regressors import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

__all__ = [
    "BatchGDRegressor",
    "BatchSizeDisplay",
    "Batches",
    "CoefficientDisplay",
    "DescentPathDisplay",
    "GradientNoiseDisplay",
    "LossCurveDisplay",
    "MiniBatchSGDRegressor",
    "OnlineSGDRegressor",
    "__version__",
    "diagnostics",
    "displays",
    "inference",
    "losses",
    "optimizers",
    "penalties",
    "schedules",
]
