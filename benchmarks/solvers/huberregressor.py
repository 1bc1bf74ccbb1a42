"""scikit-learn's HuberRegressor, which estimates the scale of the residuals, too, by L-BFGS."""

from sklearn.linear_model import HuberRegressor

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "HuberRegressor"

    def make(self):
        return HuberRegressor(epsilon=1.35, alpha=0, max_iter=1000)
