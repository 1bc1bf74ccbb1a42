"""glum's Poisson regression, without a penalty and without copies or checks that it does not need."""

import numpy as np

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "glum"
    requirements = ("glum",)

    def make(self):
        from glum import GeneralizedLinearRegressor

        return GeneralizedLinearRegressor(family="poisson", alpha=0, solver="irls-ls", copy_X=False, check_input=False)

    def set_objective(self, X, y):
        # It is made for columns in one piece.
        super().set_objective(np.asfortranarray(X), y)
