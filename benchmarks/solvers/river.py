"""river's LinearRegression, one row at a time; rows are turned to dicts before the clock starts."""

import numpy as np

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "river"
    requirements = ("river",)

    def set_objective(self, X, y):
        self.X, self.y = [dict(enumerate(row)) for row in X.tolist()], y.tolist()

    def run(self, epochs=1):
        from river import linear_model, optim

        rate = self.settings.get("eta0", 0.01)
        self.model = linear_model.LinearRegression(optim.SGD(rate / 2), intercept_lr=rate / 2, intercept_init=0.0)
        for _ in range(epochs):
            for x, y in zip(self.X, self.y, strict=True):
                self.model.learn_one(x, y)

    def get_result(self):
        return np.array([self.model.weights[j] for j in range(len(self.X[0]))]), self.model.intercept
