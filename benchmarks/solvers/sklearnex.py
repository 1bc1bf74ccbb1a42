"""scikit-learn-intelex: least squares by oneDAL, from the normal equations."""

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "scikit-learn-intelex"
    requirements = ("sklearnex",)

    def make(self):
        from sklearnex.linear_model import LinearRegression

        return LinearRegression()
