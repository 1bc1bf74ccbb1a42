"""The order of the rows in an epoch."""

from typing import Any

import numpy as np

from sklearn_sgd._engine.passes.choose import permute
from sklearn_sgd._engine.plan import Plan

# Rows in a run that stays together, where the order of single rows is that of contiguous runs.
RUN = 256


def epoch_order(plan: Plan, numbers: Any, generator: np.random.Generator) -> Any:
    """Numbers of rows, batch after batch, shuffled in their place; not where that changes nothing."""
    if plan.is_remote:
        return plan.X.epoch(plan)
    n, b = plan.n_rows, plan.batch_size
    if plan.shuffle == "batches":
        numbers = _shuffled_runs(numbers, b if b > 1 else min(RUN, max(1, n // 64)), generator)
    elif plan.shuffles:
        permute(numbers, generator)
    return numbers[: n // b * b] if plan.drop_last else numbers


def _shuffled_runs(numbers: np.ndarray, run: int, generator: np.random.Generator) -> np.ndarray:
    """Contiguous runs in random order; a last short one stays last, so that batches stay whole."""
    whole = len(numbers) // run * run
    runs, order = numbers[:whole].reshape(-1, run), numbers.copy()
    np.take(runs, generator.permutation(len(runs)), axis=0, out=order[:whole].reshape(-1, run), mode="clip")
    return order
