"""Variance-reduced passes (SVRG, SAGA): they use the difference between the slope of a row and its stored slope."""

from collections.abc import Callable

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.passes.arrays import Batch

# Rows of a block in the pass that stores the slopes of all rows.
BLOCK = 4096


class Memory:
    """The pass with its stored values: the slope of each row's loss, and the mean gradient of these slopes."""

    def __init__(self, run: Callable, plan):
        self.run, self.refreshes = run, plan.parts.optimizer.refreshes_table
        self.preconditioner = plan.preconditioner or Preconditioner(np.ones(plan.X.shape[1], plan.data.y.dtype))
        self.slopes = self.mean = np.empty(0)

    def begin_epoch(self) -> None:
        """Discard stored slopes if the optimizer keeps them for one epoch only."""
        if self.refreshes:
            self.slopes = np.empty(0)

    def __call__(self, plan, piece, vectors, window) -> float:
        """Run the pass."""
        if not len(self.slopes):
            self.remember(plan, vectors.coef)
        renew = 0.0 if self.refreshes else 1.0 / plan.n_rows
        plan = plan._replace(preconditioner=self.preconditioner)
        return self.run(plan, piece, vectors, self.slopes, self.mean, renew)

    def remember(self, plan, w: np.ndarray) -> None:
        """Store the slopes of all rows at w."""
        data, used = plan.data, plan.used
        self.slopes, self.mean = np.zeros(data.y.shape[0], w.dtype), np.zeros(len(w))
        for start in range(0, len(used), BLOCK):
            numbers = used[start : start + BLOCK]
            rows = Batch(data, numbers, plan.parts.loss)
            self.mean += rows.gradient(w)[2] * (len(numbers) / len(used))
            self.slopes[numbers] = rows.slopes


def longest(rows, weight: np.ndarray, used: np.ndarray, preconditioner: Preconditioner) -> float:
    """Largest squared norm of a weighted, preconditioned row, including the intercept."""
    most, inverse = 0.0, preconditioner.apart
    for start in range(0, len(used), BLOCK):
        numbers = used[start : start + BLOCK]
        X, s, mean = rows.matrix(numbers), weight[numbers] if weight.shape[0] else 1.0, rows.mean
        if isinstance(X, np.ndarray):
            lengths = np.einsum("ij,ij->i", X @ inverse, X) if inverse.ndim == 2 else (X * X) @ inverse
        elif inverse.ndim == 2:
            lengths = X.multiply(X @ inverse).sum(axis=1) - 2.0 * (X @ (inverse @ mean)) + mean @ inverse @ mean
        else:
            lengths = X.multiply(X) @ inverse + X @ (-2.0 * mean * inverse) + mean * mean @ inverse
        most = max(most, float(np.max(s * (lengths + rows.bias))))
    return most
