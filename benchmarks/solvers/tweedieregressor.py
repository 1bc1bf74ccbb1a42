"""scikit-learn's TweedieRegressor by Newton's method, its fastest solver where rows are many and columns few."""

from sklearn.linear_model import TweedieRegressor

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "TweedieRegressor"

    def make(self):
        return TweedieRegressor(power=1.5, alpha=0, link="log", solver="newton-cholesky")
