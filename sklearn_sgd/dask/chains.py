"""Local descent: each thread of each worker makes updates on its own chain of blocks, and the results are averaged.

References
----------
Zinkevich, M., Weimer, M., Smola, A. and Li, L., "Parallelized stochastic gradient descent", NeurIPS 2010.
"""

import warnings
from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.automatic.window import NEXT
from sklearn_sgd._engine.epochs import quiet
from sklearn_sgd._engine.order import epoch_order
from sklearn_sgd._engine.passes.choose import choose
from sklearn_sgd._engine.plan import Piece, Plan
from sklearn_sgd._engine.vectors import Vectors
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd.dask.blocks import Blocks
from sklearn_sgd.dask.workers import Block, RowView, SentPlan


class Start(NamedTuple):
    """The parameters from which all chains start, and the batches of each chain up to the next average."""

    vectors: Vectors
    window: np.ndarray
    n_done: int
    rate_factor: float
    seed: int
    start: int
    stop: int


class End(NamedTuple):
    """The result of a chain: the sum of its losses, its number of samples and their weight, and its parameters."""

    loss: float
    n_samples: int
    weight: float
    vectors: Vectors
    window: np.ndarray


class LocalDescent:
    """The pass in which all chains make updates independently, and are then averaged by numbers of samples."""

    def __init__(self, blocks: Blocks, plan: Plan):
        if not blocks.is_part:
            _check_batches(blocks, plan)
        self.blocks, self.sent = blocks, SentPlan.of(plan)
        self.rounds = blocks.rounds(plan.batch_size, plan.drop_last)
        self.view, self.preconditioner = blocks.sent(plan.data.rows.view), blocks.sent(plan.preconditioner)

    def __call__(self, plan: Plan, piece: Piece, vectors: Vectors, window: np.ndarray) -> float:
        """Run an epoch, and return the sum of the losses."""
        loss, weight, seed = 0.0, 0.0, int(self.blocks.generator.integers(2**63))
        for start, stop in self.rounds:
            here = Start(vectors, window, piece.n_done + start, piece.rate_factor, seed, start, stop)
            ends = self._run(here)
            loss += sum(end.loss for end in ends)
            weight += sum(end.weight for end in ends)
            n_samples = np.array([end.n_samples for end in ends])
            average(vectors, window, ends, n_samples / n_samples.sum())
        # If samples are left out, the mean weight of the others is not 1.
        return loss * len(piece.order) / weight if plan.drop_last and weight else loss

    def _run(self, start: Start) -> list[End]:
        """Run all chains from a start."""
        submit, futures = self.blocks.client.submit, self.blocks.futures
        rest = self.view, self.sent, self.preconditioner, start
        return self.blocks.gather(
            [submit(descend, [futures[k] for k in chain], chain, *rest, pure=False) for chain in self.blocks.chains]
        )


def _check_batches(blocks: Blocks, plan: Plan) -> None:
    """Raise an error if no block has a whole batch; warn if some blocks have none, or are smaller than a batch."""
    size, lengths = plan.batch_size, blocks.lengths
    remedy = "Use a smaller batch_size, or larger chunks: X.rechunk, or frame.repartition"
    if plan.drop_last and lengths.max() < size:
        raise ValueError(
            f"drop_last=True leaves no batch: batch_size={size} is more than the {lengths.max()} samples of the "
            f"largest partition, and batches are taken within partitions. {remedy}, or drop_last=False."
        )
    if plan.drop_last and (lengths < size).any():
        message = (
            f"drop_last=True leaves out {(lengths < size).sum()} of {len(lengths)} partitions, which have fewer "
            f"samples than batch_size={size}. {remedy}."
        )
    elif lengths.max() < size:
        message = (
            f"batch_size={size} is more than the {lengths.max()} samples of the largest partition: a step uses "
            f"the samples of one partition at most. {remedy}."
        )
    else:
        return
    warnings.warn(message, UserWarning, stacklevel=user_stacklevel())


def average(vectors: Vectors, window: np.ndarray, ends: list[End], shares: np.ndarray) -> None:
    """Set vectors and window to the weighted means of those of all chains."""
    for mean, *learned in zip(vectors, *(end.vectors for end in ends), strict=True):
        if mean is not None:
            mean[:] = shares @ np.array(learned, dtype=np.float64)
    # The counters of updates differ between chains; those of one chain are kept. No chain reads the other numbers.
    window[:NEXT] = shares @ np.array([end.window[:NEXT] for end in ends])
    window[NEXT:] = ends[0].window[NEXT:]


# On a worker


def descend(
    blocks: list[Block],
    numbers: list[int],
    view: RowView,
    sent: SentPlan,
    preconditioner: Preconditioner | None,
    start: Start,
) -> End:
    """Make the updates of a part of a chain, block by block; their order depends only on the seed and the blocks."""
    vectors, window, n_done = start.vectors.copy(), start.window.copy(), start.n_done
    loss, n_samples, weight, position, size = 0.0, 0, 0.0, 0, sent.plan.batch_size
    turns = np.arange(len(blocks))
    if sent.plan.shuffle:
        turns = np.random.default_rng([start.seed, *numbers]).permutation(turns)
    for turn in turns:
        block = blocks[turn]
        n_batches = len(block.y) // size if sent.plan.drop_last else -(-len(block.y) // size)
        first, last = (min(max(place - position, 0), n_batches) for place in (start.start, start.stop))
        position += n_batches
        if first == last:
            continue
        data = block.data(view)
        if view.lean is not None:
            data = data._replace(rows=data.rows.leaning(view.lean, view.at_means))
        plan = sent.on(block, data)._replace(preconditioner=preconditioner)
        order = epoch_order(plan, plan.used, np.random.default_rng([start.seed, numbers[turn]]))
        order = order[first * size : last * size]
        # A pass over all samples of a plan must find all of them in the order.
        plan = plan._replace(n_rows=len(order))
        piece = plan.piece(order, n_done, start.rate_factor)
        with quiet():
            loss += choose(plan)(plan, piece, vectors, window)
        n_done, n_samples = n_done + len(piece.rates), n_samples + len(order)
        weights = plan.data.weight
        weight += float(weights[order].sum(dtype=np.float64)) if weights.size else len(order)
    return End(loss, n_samples, weight, vectors, window)
