"""Vowpal Wabbit, one row at a time, adaptive and normalised as by default; rows are parsed before the clock starts."""

import numpy as np

from solvers import BaseSolver


class Solver(BaseSolver):
    name = "Vowpal Wabbit"
    requirements = ("vowpalwabbit",)

    def set_objective(self, X, y):
        self.n_features = X.shape[1]
        self.lines = [
            f"{target} | " + " ".join(f"{j}:{x}" for j, x in enumerate(row))
            for row, target in zip(X.tolist(), y.tolist(), strict=True)
        ]

    def run(self, epochs=1):
        from vowpalwabbit import Workspace

        self.model = Workspace(quiet=True)
        examples = [self.model.parse(line) for line in self.lines]
        for _ in range(epochs):
            for example in examples:
                self.model.learn(example)

    def get_result(self):
        origin = self.model.predict("| ")
        rows = (self.model.predict(f"| {j}:1") for j in range(self.n_features))
        return np.array([value - origin for value in rows]), origin
