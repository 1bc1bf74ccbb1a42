"""scikit-learn's MLPRegressor without hidden layers: linear regression by mini-batches."""

from sklearn.neural_network import MLPRegressor

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "MLPRegressor"

    def make(self):
        steps = {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.01, "alpha": 0.0}
        return MLPRegressor(
            hidden_layer_sizes=(), batch_size=32, tol=0.0, n_iter_no_change=10_000, random_state=0, **steps
        )

    def get_result(self):
        return self.model.coefs_[0].ravel(), self.model.intercepts_[0][0]
