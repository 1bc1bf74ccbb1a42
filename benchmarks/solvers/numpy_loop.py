"""Mini-batches in NumPy: select the rows, two products, a step."""

import numpy as np

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "NumPy loop"

    def run(self, epochs=1):
        rate, size = self.settings.get("eta0", 0.01), self.settings.get("batch_size", 32)
        rng, w, b = np.random.default_rng(0), np.zeros(self.X.shape[1], self.X.dtype), self.X.dtype.type(0)
        rate = self.X.dtype.type(rate)
        for _ in range(epochs):
            order = rng.permutation(len(self.y))
            for start in range(0, len(order), size):
                rows = order[start : start + size]
                block = self.X[rows]
                error = block @ w + b - self.y[rows]
                w -= rate / len(rows) * (block.T @ error)
                b -= rate * error.mean()
        self.result = w, b

    def get_result(self):
        return self.result
