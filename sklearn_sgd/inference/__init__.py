"""What coefficients are worth: standard errors, tests and intervals of a fit, and intervals of its predictions.

A table belongs to the parameters that the model predicts with. They are the minimum of the objective on a sample, and
its covariance is that of the sandwich ``H^-1 S H^-1``: the curvature of the objective, and the scatter of the slopes.
"""

from sklearn_sgd.inference.coefficients import coefficient_table
from sklearn_sgd.inference.prediction import PredictionInterval, predict_interval
from sklearn_sgd.inference.table import CoefficientTable

__all__ = ["CoefficientTable", "PredictionInterval", "coefficient_table", "predict_interval"]
