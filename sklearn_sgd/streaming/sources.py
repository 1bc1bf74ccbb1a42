"""Sources: they yield chunks of rows, in an order that a key determines, and name them for errors."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import islice
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

__all__ = ["ArraySource", "Chunk", "ChunkError", "Source"]

# Default size of a chunk in bytes, and limits of its number of rows.
CHUNK_BYTES, MIN_ROWS, MAX_ROWS = 1 << 22, 1 << 8, 1 << 16


class ChunkError(ValueError):
    """A chunk cannot be read or learned from. The message names the chunk, and the file and row group if there are any.

    The estimator keeps what it learned from the chunks before. The original exception is the ``__cause__``.

    Examples
    --------
    >>> from sklearn_sgd import OnlineSGDRegressor
    >>> from sklearn_sgd.streaming import ChunkError, fit_stream
    >>> try:
    ...     fit_stream(OnlineSGDRegressor(), [([[1.0]], [2.0]), ([[float("nan")]], [2.0])])
    ... except ChunkError as error:
    ...     print(str(error).splitlines()[0])
    Chunk 2 of epoch 1: Input X contains NaN.
    """


class Chunk(NamedTuple):
    """Some rows of a :class:`Source`.

    Parameters
    ----------
    X : {ndarray, CSR array, frame} of shape (n_rows, n_features)
        Samples.
    y : ndarray of shape (n_rows,) or None
        Targets.
    sample_weight : ndarray of shape (n_rows,) or None
        Sample weights.
    where : str
        Name of the rows in error messages.

    Examples
    --------
    >>> from sklearn_sgd.streaming import Chunk
    >>> Chunk([[1.0], [2.0]], [3.0, 4.0]).n_rows
    2
    """

    X: Any
    y: Any = None
    sample_weight: Any = None
    where: str = ""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.X.shape[0] if hasattr(self.X, "shape") else len(self.X)

    def part(self, start: int, stop: int | None) -> "Chunk":
        """Return some of the rows.

        Parameters
        ----------
        start, stop : int or None
            Number of the first row, and of the row after the last one.

        Returns
        -------
        chunk : Chunk
            The rows between.
        """
        X, y, weight = (a if a is None else _part(a, slice(start, stop)) for a in self[:3])
        return Chunk(X, y, weight, self.where)


class Source:
    """Base class of sources, which can be read repeatedly, in an order that a key determines, from any chunk on.

    A subclass needs the method `chunks`. The attribute `n_rows` is used for progress, `identity` for checkpoints, and
    `feature_names`, of the columns of arrays, become `feature_names_in_` of the estimator. Any iterable of chunks is a
    source too, but to resume from a later chunk it is read from its beginning.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import OnlineSGDRegressor
    >>> from sklearn_sgd.streaming import Chunk, Source, fit_stream
    >>> class Days(Source):
    ...     def chunks(self, key=None, skip=0):
    ...         for day in range(skip, 30):
    ...             X = np.random.default_rng(day).standard_normal((100, 2))
    ...             yield Chunk(X, X @ [1.0, 2.0], where=f"day {day}")
    >>> fit_stream(OnlineSGDRegressor(), Days()).coef_.round(2)
    array([1., 2.])
    """

    n_rows: int | None = None
    feature_names: Sequence[str] | None = None
    _bytes_of_row: float | None = None

    def chunks(self, key: tuple[int, ...] | None = None, skip: int = 0) -> Iterator[Chunk]:
        """Yield all chunks except the first ones.

        Parameters
        ----------
        key : tuple of int or None, default=None
            Seed of the order: the same key gives the same chunks. None: the rows come in their own order.
        skip : int, default=0
            Number of chunks to omit.

        Yields
        ------
        Chunk
            Samples, targets, sample weights, and their name.
        """
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """Return what must be equal for a checkpoint to belong to this source.

        Returns
        -------
        identity : dict
            Plain values, by the names that error messages use.
        """
        return {"source": type(self).__name__}

    def without_targets(self) -> "Source":
        """Return the source that `predict_stream` reads, which needs no targets.

        Returns
        -------
        source : Source
            The same rows; by default the source itself.
        """
        return self

    def of_chunks(self, size: int | None) -> "Source":
        """Return the source with chunks of another size.

        Parameters
        ----------
        size : int or None
            Bytes of a chunk. None: as they are.

        Returns
        -------
        source : Source
            The same rows; the source itself if the user has chosen a number of rows.
        """
        if size is None or self._bytes_of_row is None:
            return self
        other = copy(self)
        other._set_chunk_rows(None, self._bytes_of_row, size)
        return other

    def _set_chunk_rows(self, given: int | None, bytes_of_row: float, size: int = CHUNK_BYTES) -> None:
        """Set the number of rows in a chunk: the given one, or as many as have this size."""
        self.chunk_rows = chunk_rows_for(given, bytes_of_row, size)
        self._bytes_of_row = bytes_of_row if given is None else None

    def __iter__(self) -> Iterator[Chunk]:
        """Iterate over all chunks, in the order of the rows."""
        return self.chunks()


class ArraySource(Source):
    """Arrays in memory or memory maps, in contiguous blocks; the blocks and the rows within each are shuffled.

    Of a memory map only a few blocks are in memory at a time.

    Parameters
    ----------
    X : {ndarray, memmap, sparse matrix} of shape (n_samples, n_features)
        Samples. A sparse matrix that is not in CSR format is converted once.
    y : ndarray of shape (n_samples,), default=None
        Targets; `predict_stream` needs none.
    sample_weight : ndarray of shape (n_samples,), default=None
        Sample weights.
    chunk_rows : int, default=None
        Rows in a block. None: as many as 4 MiB hold, between 256 and 65536; `predict_stream` takes more on a device.
    shuffle : bool, default=True
        Whether the order of the blocks, and of the rows in each, is random. Each epoch has another order.

    Raises
    ------
    TypeError
        If X is a data frame or a list.
    ValueError
        If the arrays have different lengths.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import MiniBatchSGDRegressor
    >>> from sklearn_sgd.streaming import ArraySource, fit_stream
    >>> X = np.random.default_rng(0).standard_normal((10_000, 3)).astype(np.float32)  # or np.load(..., mmap_mode="r")
    >>> source = ArraySource(X, X @ [1.0, 2.0, 3.0], chunk_rows=1000)
    >>> fit_stream(MiniBatchSGDRegressor(), source, epochs=2, random_state=0).coef_.round(3)
    array([1., 2., 3.], dtype=float32)
    """

    def __init__(self, X, y=None, sample_weight=None, *, chunk_rows: int | None = None, shuffle: bool = True):
        X = _rows_of_array(X)
        # Rows of a pandas Series would be found by its index.
        y, sample_weight = (
            a if a is None or (hasattr(a, "dtype") and not _is_frame(a)) else np.asarray(a) for a in (y, sample_weight)
        )
        self.arrays = X, y, sample_weight
        self.n_rows = X.shape[0]
        for name, column in (("y", y), ("sample_weight", sample_weight)):
            if column is not None and (n := column.shape[0] if column.shape else 0) != self.n_rows:
                raise ValueError(f"{name} must have one number for each of the {self.n_rows} rows; got {n}.")
        entries = X.nnz / max(1, self.n_rows) if sparse.issparse(X) else X.shape[1]
        self._set_chunk_rows(chunk_rows, X.dtype.itemsize * entries)
        self.shuffle = shuffle

    def chunks(self, key=None, skip=0):
        """Yield chunks, as in :class:`Source`."""
        starts = np.arange(0, self.n_rows, self.chunk_rows)
        if key and self.shuffle:
            starts = np.random.default_rng(key).permutation(starts)
        for number, start in enumerate(starts[skip:].tolist(), skip):
            stop = min(start + self.chunk_rows, self.n_rows)
            order = order_of_rows(key if self.shuffle else None, number, stop - start)
            X, y, weight = (a if a is None else _block(a, start, stop, order) for a in self.arrays)
            yield Chunk(X, y, weight, f"rows {start} to {stop - 1}")

    def identity(self):
        """Return what a checkpoint belongs to, as in :class:`Source`."""
        X, y, weight = self.arrays
        return super().identity() | {
            "shape of X": tuple(X.shape),
            "precision of X": X.dtype.str,
            "targets": None if y is None else tuple(y.shape),
            "weights": weight is not None,
            "chunk_rows": self.chunk_rows,
            "shuffle": self.shuffle,
        }


class IterableSource(Source):
    """Chunks of an iterable of the user, or of a function that makes one."""

    def __init__(self, chunks: Iterable | Callable[[], Iterable]):
        self.iterable = chunks

    @property
    def once(self) -> bool:
        """Whether it can be read only once."""
        return isinstance(self.iterable, Iterator)

    def chunks(self, key=None, skip=0):
        """Yield chunks, as in :class:`Source`."""
        iterator = iter(self.iterable() if callable(self.iterable) else self.iterable)
        require_chunks(skip, sum(1 for _ in islice(iterator, skip)))
        yield from map(as_chunk, iterator)


def require_chunks(wanted: int, there: int) -> None:
    """Raise an error if a checkpoint points past the end of a source."""
    if there < wanted:
        raise ValueError(
            f"The checkpoint points past the end of the source (chunk {wanted} of {there}): this is a different source."
        )


def as_chunk(item) -> Chunk:
    """Return a chunk from an item of an iterable: a tuple that starts with X, or X alone."""
    if isinstance(item, Chunk):
        return item
    if isinstance(item, tuple):
        if not 1 <= len(item) <= 3:
            raise ValueError(f"a chunk must be (X, y) or (X, y, sample_weight); got {len(item)} items")
        return Chunk(*item)
    if not (hasattr(item, "shape") or hasattr(item, "__len__")):
        raise ValueError(f"a chunk must be (X, y) or (X, y, sample_weight); got {item!r}")
    return Chunk(item)


def as_source(source, learn: bool = False) -> Source:
    """Return a source from an iterable, a function that makes one, or a source; ``learn``: its chunks need targets."""
    if isinstance(source, Source):
        return source
    expected = (
        "source must be a Source, an iterable of chunks (X, y) or (X, y, sample_weight), or a function that makes one"
    )
    if _is_one_chunk(source, learn):
        raise TypeError(f"{expected}; got (X, y) itself. Give [(X, y)] for one chunk, or ArraySource(X, y) for many.")
    # The rows of an array, the letters of a path and the names of a dictionary are not chunks.
    rows = isinstance(source, str | bytes | Mapping) or hasattr(source, "shape")
    if callable(source) or (isinstance(source, Iterable) and not rows):
        return IterableSource(source)
    raise TypeError(
        f"{expected}; got {type(source).__name__}. For files and tables use ArrowSource, for arrays ArraySource, for a "
        "data frame [(frame, y)]."
    )


def _is_one_chunk(source, learn: bool) -> bool:
    """Return whether a tuple or list is X and y, and perhaps weights, instead of chunks."""
    if isinstance(source, Chunk):
        return True
    if not isinstance(source, tuple | list) or not 2 <= len(source) <= 3 or isinstance(source[0], tuple):
        return False
    # Chunks to predict for may be X alone; a column is y.
    y = source[1]
    if hasattr(y, "shape"):
        return learn or len(y.shape) == 1
    return learn or (isinstance(y, list | tuple) and all(isinstance(value, Real) for value in y))


def chunk_rows_for(given: int | None, bytes_of_row: float, size: int) -> int:
    """Return the number of rows of a chunk: the given one, or a power of two that fills some megabytes."""
    if given is None:
        most = max(MIN_ROWS, MAX_ROWS * size // CHUNK_BYTES)
        return 2 ** int(np.log2(min(max(size / max(bytes_of_row, 1), MIN_ROWS), most)))
    if not isinstance(given, Integral) or given < 1:
        raise ValueError(f"chunk_rows must be a positive int or None; got {given!r}.")
    return int(given)


def order_of_rows(key: tuple[int, ...] | None, number: int, n_rows: int) -> np.ndarray | None:
    """Return a random order of the rows of a chunk. It depends only on the key and on the number of the chunk."""
    return None if key is None else np.random.default_rng((*key, number + 1)).permutation(n_rows)


def _is_frame(values) -> bool:
    """Return whether values have an index or columns with names, as those of pandas and polars."""
    return hasattr(values, "iloc") or hasattr(values, "to_arrow")


def _rows_of_array(X):
    """Return X with rows that can be sliced; an error if it is no array."""
    if _is_frame(X) or not all(hasattr(X, name) for name in ("shape", "dtype")):
        kind = "a data frame" if _is_frame(X) else f"of type {type(X).__name__}"
        raise TypeError(
            f"X must be an array or a CSR matrix; got {kind}. Give numpy.asarray(X), or chunks of frames: [(X, y)]."
        )
    if len(X.shape) != 2:
        raise ValueError(f"X must have two dimensions; got shape {tuple(X.shape)}.")
    return X.tocsr() if sparse.issparse(X) else X


def _part(rows, which: slice):
    """Return some rows of an array, a frame or a list."""
    return rows.iloc[which] if hasattr(rows, "iloc") else rows[which]


def _block(array, start: int, stop: int, order: np.ndarray | None):
    """Return a block of rows in an order. A memory map is read in one piece, which is fast on a disk."""
    block = array[start:stop]
    return block if order is None else block[order]
