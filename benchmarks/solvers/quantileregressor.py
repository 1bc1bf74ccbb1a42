"""scikit-learn's QuantileRegressor, a linear program."""

from sklearn.linear_model import QuantileRegressor

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "QuantileRegressor"

    def make(self):
        return QuantileRegressor(alpha=0, solver="highs")
