"""scikit-learn's LinearRegression: LAPACK's least squares."""

from sklearn.linear_model import LinearRegression

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "LinearRegression"

    def make(self):
        return LinearRegression()
