"""The batches that `fit` uses, for your own training loops."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, check_random_state

from sklearn_sgd._compat import num_samples, safe_indexing
from sklearn_sgd._engine.order import next_order, seeded
from sklearn_sgd._engine.plan import row_numbers

__all__ = ["Batches"]


class Batches:
    """Batches of samples: those that `fit` uses for the same parameters.

    Each iteration is an epoch: it yields all batches, and the next one yields the batches of the next epoch. The first
    iteration is the first epoch of `fit`, the second one its second epoch, and so on, sample by sample. (With
    ``early_stopping=True`` and with sample weights of 0, `fit` leaves samples out beforehand.)

    Parameters
    ----------
    *arrays : array-like, sparse matrix or data frame of shape (n_samples, ...)
        Arrays to cut into batches, for example X and y. For a single array, each batch is a part of it, not a tuple.
    batch_size : int or None, default=32
        Samples per batch; None: all samples.
    shuffle : bool or 'batches', default=True
        If True, the samples are in a new random order in each epoch. If 'batches', only the order of contiguous batches
        is random. If False, the samples keep their order.
    drop_last : bool, default=False
        If True, a last batch of fewer than `batch_size` samples is left out.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling. Pass an int for the batches of a `fit` with the same int.

    Raises
    ------
    ValueError
        If there is no array or no sample, the lengths of arrays differ, `batch_size` or `shuffle` is none of these
        values, or `drop_last` leaves no batch.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import Batches
    >>> batches = Batches(np.arange(8), batch_size=3, random_state=0)
    >>> len(batches)
    3
    >>> [batch.tolist() for batch in batches]
    [[1, 2, 6], [3, 5, 7], [4, 0]]
    >>> [batch.tolist() for batch in batches]  # the next epoch
    [[1, 3, 5], [0, 2, 4], [7, 6]]
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int | None = 32,
        shuffle: bool | str = True,
        drop_last: bool = False,
        random_state: Any = None,
    ) -> None:
        if not arrays:
            raise ValueError("Batches needs at least one array: for example Batches(X, y, batch_size=32).")
        if batch_size is not None and not (isinstance(batch_size, (int, np.integer)) and batch_size >= 1):
            raise ValueError(f"batch_size must be an int of at least 1, or None for all samples; got {batch_size!r}.")
        if shuffle not in (True, False, "batches"):
            raise ValueError(f"shuffle must be True, False or 'batches'; got {shuffle!r}.")
        check_consistent_length(*arrays)
        self.arrays, n_samples = arrays, num_samples(arrays[0])
        if not n_samples:
            raise ValueError("Batches needs at least one sample; the arrays have none.")
        self.batch_size = int(min(batch_size or n_samples, n_samples))
        if drop_last and n_samples < (batch_size or 1):
            raise ValueError(
                f"drop_last=True leaves no batch: batch_size={batch_size} is more than the {n_samples} samples. "
                "Use a smaller batch_size, or drop_last=False."
            )
        self.shuffle, self.drop_last = shuffle if self.batch_size < n_samples else False, drop_last
        self.numbers, self.generator = row_numbers(n_samples), seeded(check_random_state(random_state))

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(len(self.numbers), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches of the next epoch: a tuple with a part of each array, or the part of a single array."""
        order = next_order(self.numbers, self.batch_size, self.shuffle, self.drop_last, self.generator).copy()
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size].astype(np.intp)
            parts = tuple(safe_indexing(array, batch) for array in self.arrays)
            yield parts if len(parts) > 1 else parts[0]
