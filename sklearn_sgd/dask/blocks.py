"""The blocks of samples on the workers, as seen from the client."""

from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any

import dask
import numpy as np
from dask.sizeof import sizeof
from distributed import Client, wait
from sklearn.utils import check_random_state

from sklearn_sgd.dask import workers
from sklearn_sgd.dask.workers import RowView, Summary

# Number of results that one task combines. Dask's own tree reductions build and send a graph for each sum, and take two
# to four times as long: see `sums` in benchmarks/cluster.py.
FAN = 16

# Bytes from which on an argument of many tasks is sent once.
LARGE = 50_000


class Blocks:
    """The validated samples of a fit, in the memory of the workers, and functions of them.

    Parameters
    ----------
    client : distributed.Client
        The cluster.
    model : regressor without Dask
        Its parameters say what is valid.
    partitions : list of tuple
        Partitions of X, y and perhaps sample weights, not computed.
    sync_rows : int or None
        Samples of a chain between two averages, rounded up to whole batches; None: all.
    """

    def __init__(self, client: Client, model: Any, partitions: list[tuple], sync_rows: int | None):
        self.client, self.sync_rows = client, sync_rows and int(sync_rows)
        self.generator = np.random.default_rng(check_random_state(model.random_state).randint(2**31 - 1))
        load, sent = dask.delayed(workers.load_block, pure=False), dask.delayed(model)
        self._hold(client.compute([load(sent, number, *given) for number, given in enumerate(partitions)]))
        self.is_part = False
        for name in ("n_features", "dtype"):
            if len(found := {getattr(summary, name) for summary in self.summaries}) > 1:
                raise ValueError(f"The partitions of X differ in {name}: {found}.")

    def _hold(self, futures: list) -> None:
        """Hold the blocks of these futures that have samples."""
        summaries = self.gather(self.client.map(workers.summarise, futures, pure=False))
        pairs = [pair for pair in zip(futures, summaries, strict=True) if pair[1].n_samples]
        self.futures = [future for future, _ in pairs]
        self.summaries: list[Summary] = [summary for _, summary in pairs]
        self.lengths = np.array([summary.n_samples for summary in self.summaries], dtype=int)
        self.weight = sum(summary.weight for summary in self.summaries)

    def without_part(self, part: int, parts: int) -> "tuple[Blocks, Blocks]":
        """Return the blocks without one of equal random parts of the samples, and this part; both are copies."""
        # The numbers of the samples, block by block in random order, so that parts are equal if blocks are small, too.
        order, starts, found = np.random.default_rng(0).permutation(len(self.lengths)), self.lengths.copy(), []
        starts[order] = np.cumsum(self.lengths[order]) - self.lengths[order]
        for is_left_out in (False, True):
            other = copy(self)
            vars(other).pop("chains", None)
            other.generator, other.is_part = np.random.default_rng(0), True
            constants = {"part": part, "parts": parts, "is_left_out": is_left_out}
            other._hold(self.map(workers.part_of, starts.tolist(), **constants))
            found.append(other)
        return found[0], found[1]

    @cached_property
    def n_threads(self) -> int:
        """Threads of all workers."""
        return max(1, sum(self.client.nthreads().values()))

    def gather(self, futures: list) -> list:
        """Return the results of tasks, in their order."""
        return self.client.gather(futures)

    def map(self, task: Callable, *columns: Any, **constants: Any) -> list:
        """Start a task on each block, with its entry of each sequence in ``columns``."""
        # Dask gives a large keyword argument its name as key, and a second one of that name would be taken for it.
        constants = {name: self.sent(it) if sizeof(it) > LARGE else it for name, it in constants.items()}
        return self.client.map(task, self.futures, *columns, pure=False, **constants)

    def sent(self, value: Any) -> Any:
        """Return a future with a value that many tasks need.

        It is the result of a task, not scattered data, so that it is computed again if its worker is lost.
        """
        return self.client.submit(workers.identity, value, pure=False)

    def values(self, view: RowView, function: Callable, *args: Any) -> list:
        """Return the result of a function for each block, with the samples transformed by a view."""
        return self.gather(self._apply(view, function, args))

    def reduce(self, view: RowView, function: Callable, *args: Any, combine: Callable = workers.add) -> Any:
        """Return the combined values of all blocks, in their order. While there are many, workers combine them."""
        futures = self._apply(view, function, args)
        while len(futures) > FAN:
            parts = [futures[start : start + FAN] for start in range(0, len(futures), FAN)]
            futures = [self.client.submit(combine, part, pure=False) for part in parts]
        return combine(self.gather(futures))

    def _apply(self, view: RowView, function: Callable, args: tuple) -> list:
        return self.map(workers.apply, view=view, function=function, args=args)

    @cached_property
    def chains(self) -> list[list[int]]:
        """Numbers of the blocks of each chain: each thread of a worker has one of the worker's chains."""
        wait(self.futures)
        threads, places = self.client.nthreads(), self.client.who_has(self.futures)
        held: dict[str, list[int]] = {}
        for number, future in enumerate(self.futures):
            held.setdefault(min(places.get(future.key) or [""]), []).append(number)
        return sorted(chain for place, numbers in held.items() for chain in _split(numbers, threads.get(place, 1)))

    def n_batches(self, batch_size: int, drop_last: bool) -> np.ndarray:
        """Number of batches of each block; the last one may be smaller, since a batch lies within a block."""
        return self.lengths // batch_size if drop_last else -(-self.lengths // batch_size)

    def n_updates(self, batch_size: int, drop_last: bool) -> int:
        """Updates of the longest chain in an epoch."""
        n_batches = self.n_batches(batch_size, drop_last)
        return int(max(n_batches[numbers].sum() for numbers in self.chains))

    def rounds(self, batch_size: int, drop_last: bool) -> list[tuple[int, int]]:
        """The batches at which a chain starts, and stops to be averaged."""
        longest = self.n_updates(batch_size, drop_last)
        every = -(-self.sync_rows // batch_size) if self.sync_rows else max(1, longest)
        return [(start, min(start + every, longest)) for start in range(0, longest, every)]


def _split(numbers: list[int], parts: int) -> list[list[int]]:
    """Return contiguous parts of the numbers, at most as many as requested; none is empty."""
    return [part.tolist() for part in np.array_split(numbers, min(parts, len(numbers)))]
