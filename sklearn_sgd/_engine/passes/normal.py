"""Full batches of the squared error from the normal matrix: O(P**2), however many rows.

The squared error depends on the rows only through their second moments. The automatic step computes these anyway. For a
schedule they pay off if there are many epochs.
"""

from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.statistics import affordable, measure
from sklearn_sgd._engine.compiled import machine
from sklearn_sgd._engine.passes import full_batch
from sklearn_sgd._engine.passes.drivers import Drivers, driver
from sklearn_sgd._engine.passes.rows import NO_INDEX, NOTHING

# Epochs on all rows, and columns for each further one, from which the normal matrix costs less; rows for each column.
EPOCHS, COLUMNS_AN_EPOCH, MANY_ROWS = 5, 50, 10


def automatic(plan, piece, vectors, window) -> float:
    """Run one epoch, which is one step; equal to that of ``arrays``, to rounding."""
    normal, preconditioner, penalty = plan.normal, plan.preconditioner, plan.parts.penalty
    w = vectors.coef[:-1].astype(np.float64)
    product, g, error = normal.gradient(plan.data.rows.bias, vectors.coef)
    g += penalty.gradient(w)
    d = preconditioner.apply(g)
    fall = d @ g + error * error
    bend = d @ (normal.covariance @ d + penalty.gradient(d)) + error * error
    step = min(piece.rates[0], fall / bend) if bend > 0.0 else 0.0
    before = w.copy()
    w -= step * d
    vectors.coef[:-1] = w if preconditioner.is_full else penalty.prox(w, step * preconditioner.inverse, ...)
    vectors.coef[-1] -= step * error
    if piece.mixes.size:
        vectors.average[:] += piece.mixes[0] * (vectors.coef - vectors.average)
    return plan.weight * normal.loss(before, product, error)


class Steps:
    """The pass by a schedule, by the driver. All arguments but those of an epoch are fixed: a step is a small call."""

    def __init__(self, plan, drivers: Drivers):
        normal, size = plan.normal, plan.X.shape[1] + 1
        values = drivers.shared | {
            "covariance": np.ascontiguousarray(normal.covariance),
            "with_target": np.ascontiguousarray(normal.with_target),
            "variance": float(normal.variance),
            "mean": np.full(size - 1, normal.mean),
            "target": float(normal.target),
            "bias": float(plan.data.rows.bias),
            "total_weight": plan.weight,
            "share": plan.weight / plan.n_rows,
            "p": size - 1,
            "work": np.zeros(3 * size, drivers.dtype),
            "sums": np.zeros(2 + size),
        }
        made = driver("normal", "dense", drivers.dtype, NO_INDEX, NO_INDEX, drivers.plain)
        self.call = machine.bound(machine.Call(made, values), scratch=())

    def __call__(self, plan, piece, vectors, window) -> float:
        """Run the driver, which changes the vectors."""
        w, average, m, v = vectors
        averaged = piece.mixes.shape[0] > 0
        return self.call(
            {
                "rates": piece.rates,
                "mixes": piece.mixes if averaged else NOTHING,
                "updates": len(piece.rates),
                "averaged": int(averaged),
                "done": piece.n_done,
                "w": w,
                "average": average,
                "m": NOTHING if m is None else m,
                "v": NOTHING if v is None else v,
            }
        )


class AllRows:
    """All rows as one batch, for ``arrays.minibatch``."""

    def __init__(self, plan):
        self.normal, self.bias, self.weight, self.n_rows = plan.normal, plan.data.rows.bias, plan.weight, plan.n_rows

    def __call__(self, data, chunk, loss):
        """Return the batch, which does not change."""
        return self

    def gradient(self, w):
        """Return the sum of the losses, and the mean gradient."""
        product, g, error = self.normal.gradient(self.bias, w)
        loss = self.normal.loss(w[:-1].astype(np.float64), product, error)
        return self.weight * loss, None, np.append(g, error) * (self.weight / self.n_rows)


def normals_for_schedule(recipe: Any, rows: Any, weights, batch_size: int) -> list[NormalMatrix] | None:
    """The normal matrix for each target, where a schedule's many epochs on all rows of the squared error repay it."""
    params, X, (n, p) = recipe.params, rows.X, (rows.n_rows, rows.X.shape[1])
    alone = recipe.remembers or hasattr(recipe.parts.optimizer, "is_passive")
    if alone or batch_size < n or not recipe.formulas.is_quadratic or type(X) is not np.ndarray:
        return None
    targets = rows.targets.shape[1]
    is_large = n * p > full_batch.LEAST and n >= MANY_ROWS * (p + targets) and affordable(n, p + targets)
    if not is_large or params["epochs"] * targets < EPOCHS + p / COLUMNS_AN_EPOCH:
        return None
    statistics = measure(X, rows.row_indices, weights, params["fit_intercept"], rows.targets)
    if not np.isfinite(statistics.moment).all():
        return None
    mean = statistics.mean[:p]
    return [NormalMatrix.of(statistics, p, target)._replace(mean=mean) for target in range(targets)]
