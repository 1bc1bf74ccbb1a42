"""Local descent: each thread of each worker descends over its own chain of blocks, and the results are averaged.

References
----------
Zinkevich, M., Weimer, M., Smola, A. and Li, L., "Parallelized stochastic gradient descent", NeurIPS 2010.
"""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.epochs import quiet
from sklearn_sgd._engine.order import epoch_order
from sklearn_sgd._engine.passes.choose import choose
from sklearn_sgd._engine.plan import Piece, Plan
from sklearn_sgd._engine.state import Vectors
from sklearn_sgd.dask.blocks import Blocks
from sklearn_sgd.dask.workers import Block, RowView, SentPlan


class Start(NamedTuple):
    """What all chains start from after an average, and which of its samples each takes, up to the next one."""

    vectors: Vectors
    window: np.ndarray
    n_done: int
    rate_factor: float
    seed: int
    start: int
    stop: int


class End(NamedTuple):
    """What a chain ends with: the sum of its losses, the samples that it took, and what it learned."""

    loss: float
    n_samples: int
    vectors: Vectors
    window: np.ndarray


class LocalDescent:
    """The pass in which all chains descend on their own, and are averaged by their numbers of samples."""

    def __init__(self, blocks: Blocks, plan: Plan):
        self.blocks, self.sent = blocks, SentPlan.of(plan)
        # The result of a task, not scattered data, so that it is computed again if its worker is lost.
        self.preconditioner = blocks.client.submit(_identity, plan.preconditioner, pure=False)

    def __call__(self, plan: Plan, piece: Piece, vectors: Vectors, window: np.ndarray) -> float:
        """Run an epoch, and return the sum of the losses."""
        loss, n_done, seed = 0.0, piece.n_done, int(self.blocks.generator.integers(2**63))
        for segment in self.blocks.segments:
            ends = self._run(plan.data.rows.view, Start(vectors, window, n_done, piece.rate_factor, seed, *segment))
            loss += sum(end.loss for end in ends)
            n_samples = np.array([end.n_samples for end in ends])
            if n_samples.any():
                average(vectors, window, ends, n_samples / n_samples.sum())
            n_done += -(-int(n_samples.max()) // plan.batch_size)
        return loss

    def _run(self, view: RowView, start: Start) -> list[End]:
        """Let all chains descend from a start."""
        submit, futures = self.blocks.client.submit, self.blocks.futures
        rest = view, self.sent, self.preconditioner, start
        return self.blocks.gather(
            [submit(descend, [futures[k] for k in chain], chain, *rest, pure=False) for chain in self.blocks.chains]
        )


def average(vectors: Vectors, window: np.ndarray, ends: list[End], shares: np.ndarray) -> None:
    """Set vectors and window to the means of those of all chains, by their shares."""
    for mean, *learned in zip(vectors, *(end.vectors for end in ends), strict=True):
        if mean is not None:
            mean[:] = shares @ np.array(learned, dtype=np.float64)
    window[:] = shares @ np.array([end.window for end in ends])


# On a worker


def descend(
    blocks: list[Block],
    numbers: list[int],
    view: RowView,
    sent: SentPlan,
    preconditioner: Preconditioner | None,
    start: Start,
) -> End:
    """Descend over a part of a chain, block by block, in an order that depends on the seed and the blocks alone."""
    vectors, window, n_done = start.vectors.copy(), start.window.copy(), start.n_done
    loss, n_samples, position = 0.0, 0, 0
    turns = np.arange(len(blocks))
    if sent.plan.shuffle:
        turns = np.random.default_rng([start.seed, *numbers]).permutation(turns)
    for turn in turns:
        block = blocks[turn]
        first, last = (min(max(place - position, 0), len(block.y)) for place in (start.start, start.stop))
        position += len(block.y)
        if first == last:
            continue
        plan = sent.on(block, block.data(view))._replace(preconditioner=preconditioner)
        order = epoch_order(plan, plan.used, np.random.default_rng([start.seed, numbers[turn]]))[first:last]
        if not len(order):
            continue  # drop_last
        # A pass over all samples of a plan must find all of them in the order.
        plan = plan._replace(n_rows=len(order))
        piece = plan.piece(order, n_done, start.rate_factor)
        with quiet():
            loss += choose(plan)(plan, piece, vectors, window)
        n_done, n_samples = n_done + len(piece.rates), n_samples + len(order)
    return End(loss, n_samples, vectors, window)


def _identity(value: Any) -> Any:
    return value
