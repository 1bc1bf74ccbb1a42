"""Standard errors, tests and intervals of coefficients, and intervals of predictions.

A table is about the parameters that the model predicts with, which are the minimum of the objective on the samples.
Their covariance is the sandwich ``H^-1 S H^-1`` of the curvature H of the objective and the sum S of products of the
gradients.
"""

from sklearn_sgd.inference.coefficients import coefficient_table
from sklearn_sgd.inference.prediction import PredictionInterval, predict_interval
from sklearn_sgd.inference.table import CoefficientTable

__all__ = ["CoefficientTable", "PredictionInterval", "coefficient_table", "predict_interval"]
