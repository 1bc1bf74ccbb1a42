"""Full batches of the squared error from the normal matrix: O(P**2), however many rows.

The squared error depends on the rows only through their second moments. The automatic step computes these anyway. For a
schedule they pay off if there are many epochs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.statistics import affordable, measure
from sklearn_sgd._engine.compiled import machine
from sklearn_sgd._engine.passes import full_batch
from sklearn_sgd._engine.passes.drivers import Drivers, driver, is_plain, penalty_functions
from sklearn_sgd._engine.passes.passive_aggressive import is_passive_aggressive
from sklearn_sgd._engine.passes.rows import NO_INDEX, NOTHING

# Epochs on all rows, and columns for each further one, from which the normal matrix costs less; rows for each column.
EPOCHS, COLUMNS_AN_EPOCH, MANY_ROWS = 5, 50, 10

# Automatic steps that are in NumPy, before those by machine code.
IN_NUMPY = 100

DOUBLE = np.dtype(np.float64)


def moments(plan) -> dict[str, Any]:
    """The arguments of a driver for the normal matrix of a plan."""
    normal, p = plan.normal, plan.X.shape[1]
    return {
        "covariance": np.ascontiguousarray(normal.covariance),
        "with_target": np.ascontiguousarray(normal.with_target),
        "variance": float(normal.variance),
        "mean": np.full(p, normal.mean),
        "target": float(normal.target),
        "bias": float(plan.data.rows.bias),
        "total_weight": float(plan.weight),
        "p": p,
        "sums": np.zeros(3 + p),
    }


class Automatic:
    """The pass by the automatic step, by the driver, in double precision whatever that of the parameters is.

    The first epochs are in plain Python, that is NumPy: few epochs are not worth the time to compile.
    """

    def __init__(self, plan):
        p, inverse = plan.X.shape[1], np.ascontiguousarray(plan.preconditioner.inverse, DOUBLE)
        self.values = moments(plan) | {"inverse": inverse, "full": int(inverse.ndim == 2), "work": np.zeros(5 * p)}
        self.calls = dict[bool, Callable[[dict[str, Any]], float]]()

    def __call__(self, plan, piece, vectors, window) -> float:
        """Run one epoch, which is one step; equal to that of ``arrays``, to rounding."""
        averaged, (coef, average, *_) = piece.mixes.shape[0] > 0, vectors
        w = coef if coef.dtype == DOUBLE else coef.astype(DOUBLE)
        changed = {"rate": float(piece.rates[0]), "mix": float(piece.mixes[0]) if averaged else 0.0}
        losses = self._call(plan, piece.n_done < IN_NUMPY)(changed | {"averaged": averaged, "w": w, "average": average})
        if w is not coef:
            coef[:] = w
        return losses

    def _call(self, plan, is_early: bool) -> Callable[[dict[str, Any]], float]:
        """Return the driver."""
        if is_early not in self.calls:
            plain = is_early or is_plain()
            made = driver("normal_automatic", "dense", DOUBLE, NO_INDEX, NO_INDEX, plain)
            values = self.values | penalty_functions(plan.formulas, DOUBLE, plain)
            self.calls[is_early] = machine.bound(machine.Call(made, values), scratch=())
        return self.calls[is_early]


class Steps:
    """The pass by a schedule, by the driver. All arguments but those of an epoch are fixed: a step is a small call."""

    def __init__(self, plan, drivers: Drivers):
        values = drivers.shared | moments(plan)
        values |= {"share": plan.weight / plan.n_rows, "work": np.zeros(3 * plan.X.shape[1] + 3, drivers.dtype)}
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

    def __call__(self, data, order, loss):
        """Return the batch, which does not change."""
        return self

    def gradient(self, w):
        """Return the sum of the losses, and the mean gradient."""
        product, g, error = self.normal.gradient(w)
        loss = self.normal.loss(w[:-1].astype(np.float64), product, error)
        return self.weight * loss, None, np.append(g, self.bias * error) * (self.weight / self.n_rows)


def normals_for_schedule(recipe: Any, rows: Any, weights, batch_size: int) -> list[NormalMatrix] | None:
    """The normal matrix for each target, where a schedule's many epochs on all rows of the squared error repay it."""
    params, X, (n, p) = recipe.params, rows.X, (rows.n_rows, rows.X.shape[1])
    alone = recipe.remembers or is_passive_aggressive(recipe.parts.optimizer)
    if alone or batch_size < n or not recipe.formulas.is_quadratic or type(X) is not np.ndarray:
        return None
    targets = rows.targets.shape[1]
    is_large = n * p > full_batch.LEAST and n >= MANY_ROWS * (p + targets) and affordable(n, p + targets)
    if not is_large or params["epochs"] * targets < EPOCHS + p / COLUMNS_AN_EPOCH:
        return None
    statistics = measure(X, rows.row_indices, weights, params["fit_intercept"], rows.targets)
    if not np.isfinite(statistics.moment).all():
        return None
    return [NormalMatrix.of(statistics, p, target, statistics.mean[:p]) for target in range(targets)]
