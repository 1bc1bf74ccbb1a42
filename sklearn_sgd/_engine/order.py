"""The order of the rows in an epoch."""

from typing import Any

import numpy as np

from sklearn_sgd._engine.passes.without_plan import permute
from sklearn_sgd._engine.plan import Plan

# Number of rows in a contiguous run, for shuffle='batches' with single rows.
RUN = 256


def seeded(random_state: np.random.RandomState) -> np.random.Generator:
    """The generator of a fit, seeded by its random state. It determines all orders of the rows."""
    return np.random.default_rng(random_state.randint(2**31 - 1))


def epoch_order(plan: Plan, numbers: Any, generator: np.random.Generator) -> Any:
    """Row numbers, batch by batch, shuffled in place; not shuffled if this changes nothing."""
    if plan.is_remote:
        return plan.X.epoch(plan)
    order = next_order(numbers, plan.batch_size, plan.shuffle if plan.shuffles else False, plan.drop_last, generator)
    return order[: plan.part]


def next_order(
    numbers: np.ndarray, batch_size: int, shuffle: bool | str, drop_last: bool, generator: np.random.Generator
) -> np.ndarray:
    """Row numbers of the next epoch, batch by batch; those of the last one are shuffled in place."""
    n = len(numbers)
    if shuffle == "batches":
        run = batch_size if batch_size > 1 else min(RUN, max(1, n // 64))
        numbers = _shuffled_runs(numbers, run, generator)
    elif shuffle:
        permute(numbers, generator)
    return numbers[: n // batch_size * batch_size] if drop_last else numbers


def _shuffled_runs(numbers: np.ndarray, run: int, generator: np.random.Generator) -> np.ndarray:
    """Contiguous runs in random order; a shorter last one stays last, so that batches stay whole."""
    whole = len(numbers) // run * run
    runs, order = numbers[:whole].reshape(-1, run), numbers.copy()
    np.take(runs, generator.permutation(len(runs)), axis=0, out=order[:whole].reshape(-1, run), mode="clip")
    return order
