"""The three regressors of this package; ``batch_size`` chooses among them."""

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from solvers import BaseSolver


class Solver(BaseSolver):
    name = "sklearn_sgd"
    epochs = "epochs"

    def make(self):
        size = self.settings.get("batch_size", 32)
        return {None: BatchGDRegressor, 1: OnlineSGDRegressor}.get(size, MiniBatchSGDRegressor)(random_state=0)
