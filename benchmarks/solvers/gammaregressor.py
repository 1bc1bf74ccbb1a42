"""scikit-learn's GammaRegressor by Newton's method, its fastest solver where rows are many and columns few."""

from sklearn.linear_model import GammaRegressor

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "GammaRegressor"

    def make(self):
        return GammaRegressor(alpha=0, solver="newton-cholesky")
