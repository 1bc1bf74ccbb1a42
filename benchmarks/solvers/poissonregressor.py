"""scikit-learn's PoissonRegressor by Newton's method, its fastest solver where rows are many and columns few."""

from sklearn.linear_model import PoissonRegressor

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "PoissonRegressor"

    def make(self):
        return PoissonRegressor(alpha=0, solver="newton-cholesky")
