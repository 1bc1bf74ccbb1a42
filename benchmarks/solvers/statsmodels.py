"""statsmodels' Poisson regression, by iteratively reweighted least squares."""

import numpy as np

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "statsmodels"
    requirements = ("statsmodels",)

    def set_objective(self, X, y):
        self.X, self.y = np.column_stack([X, np.ones(len(y))]), y

    def run(self, epochs=None):
        from statsmodels.genmod.families import Poisson
        from statsmodels.genmod.generalized_linear_model import GLM

        self.params = GLM(self.y, self.X, family=Poisson()).fit().params

    def get_result(self):
        return self.params[:-1], self.params[-1]
