"""scikit-learn's SGDRegressor, one row at a time; without the stopping rule, so that epochs can be compared."""

from sklearn.linear_model import SGDRegressor

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "SGDRegressor"

    def make(self):
        return SGDRegressor(penalty=None, tol=None, random_state=0)
