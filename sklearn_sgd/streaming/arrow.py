"""Tables that pyarrow reads, as a source: pieces of files in random order, packed into arrays chunk by chunk."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import murmurhash3_32

from sklearn_sgd.streaming.pieces import Piece, as_numbers, check_number, column_of, narrowest, open_dataset, pieces_of
from sklearn_sgd.streaming.sources import Chunk, Source, missing, order_of_rows, rows_of_chunk

__all__ = ["ArrowSource"]

# Share of non-zeros below which rows are sparse.
SPARSE = 0.25

# What stands for the number of a level where there is none.
UNKNOWN, GAP = -1, -2

GAP_TOLD = "a gap; fill says what may stand for it"


class ArrowSource(Source):
    """Columns of Parquet, CSV or Arrow IPC files, or of any pyarrow dataset. Needs the extra ``stream``.

    Only the columns asked for are read. Row groups of Parquet (of IPC, record batches; of CSV, files) come in random
    order, and so do the rows within a chunk, which may hold several small groups, or a part of a large one.

    Parameters
    ----------
    data : path, list of paths, pyarrow.dataset.Dataset or pyarrow.Table
        What to read: a file, files, a folder of files, or all that :func:`pyarrow.dataset.dataset` makes, partitions
        included.
    features : list of str, default=None
        Columns that make X, in this order. None: all but `target` and `sample_weight`.
    target : str or list of str, default=None
        Column of the targets, or columns of several targets; `predict_stream` needs none.
    sample_weight : str, default=None
        Column of the weights.
    format : {'parquet', 'csv', 'ipc'}, default=None
        Format of the files. None: what the suffix of the first one says, else Parquet.
    levels : dict, default=None
        Of features that are categories, by name: the list of the levels, each of which becomes a column of zeros and
        ones, or a number of columns over which levels are spread by the hash of ``"name=level"``, as
        :class:`~sklearn.feature_extraction.FeatureHasher` does with ``alternate_sign=False``.
    unknown : {'error', 'ignore'}, default='error'
        What a level means that is not in the list: an error, or zeros in all columns.
    fill : float or dict, default=None
        What stands for a gap (null or NaN): a number for all features that are numbers, or for each column by its
        name a number or a level. None, or a column not named: a gap is an error.
    dtype : {'float32', 'float64'}, default=None
        Precision of X, y and weights. None: float32 if no number in X needs more, else float64.
    sparse : bool or 'auto', default='auto'
        Whether X is a CSR array. 'auto': if a quarter of it or less would be non-zero, with `levels`.
    as_frame : bool, default=False
        Whether X is a pandas frame of the columns as they are, gaps included, for a `transformer`.
    chunk_rows : int, default=None
        Rows in a chunk, in which rows are shuffled. None: as many as 4 MiB hold, between 256 and 65536.
    shuffle : bool, default=True
        Whether the order of pieces, and of the rows in a chunk, is random, anew in each epoch.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If a column is not there or an option makes no sense. What is wrong inside the files is a :class:`ChunkError` of
        `fit_stream`, which names file, row group, column and row.

    Examples
    --------
    >>> from sklearn_sgd import MiniBatchSGDRegressor
    >>> from sklearn_sgd.streaming import ArrowSource, fit_stream
    >>> flights = ArrowSource(  # doctest: +SKIP
    ...     "flights/", ["dep_delay", "distance", "carrier"], "arr_delay", levels={"carrier": 32}, fill={"distance": 0}
    ... )
    >>> model = fit_stream(MiniBatchSGDRegressor(), flights, progress=True)  # doctest: +SKIP
    """

    def __init__(
        self,
        data: Any,
        features: Sequence[str] | None = None,
        target: str | Sequence[str] | None = None,
        *,
        sample_weight: str | None = None,
        format: str | None = None,
        levels: Mapping[str, Sequence | int] | None = None,
        unknown: str = "error",
        fill: Any = None,
        dtype: Any = None,
        sparse: bool | str = "auto",
        as_frame: bool = False,
        chunk_rows: int | None = None,
        shuffle: bool = True,
    ):
        self.dataset = open_dataset(data, format)
        target = target if target is None or isinstance(target, str) else list(target)
        schema, columns = self.dataset.schema, [*([target] if isinstance(target, str) else target or [])]
        columns += [] if sample_weight is None else [sample_weight]
        self.features = [n for n in schema.names if n not in columns] if features is None else list(features)
        self.target, self.sample_weight = target, sample_weight
        self.columns = [*self.features, *columns]
        for name in self.columns:
            if name not in schema.names:
                raise ValueError(f"There is no column {name!r}; there are {', '.join(schema.names)}.")
        given = (levels or {}).items()
        self.levels = {name: int(n) if isinstance(n, int | np.integer) else list(n) for name, n in given}
        if strange := set(self.levels) - set(self.features):
            raise ValueError(f"levels are of features; {', '.join(sorted(strange))} is none.")
        if unknown not in ("error", "ignore"):
            raise ValueError(f"unknown must be 'error' or 'ignore'; got {unknown!r}.")
        if as_frame and (levels or fill is not None):
            raise ValueError("With as_frame=True the transformer sees levels and gaps: leave out levels and fill.")
        self.unknown, self.as_frame, self.shuffle = unknown, as_frame, shuffle
        numbers = [name for name in self.features if name not in self.levels]
        self.numbers = set(self.columns[len(self.features) :] if as_frame else self.columns) - set(self.levels)
        self.fill = dict(fill) if isinstance(fill, Mapping) else {} if fill is None else dict.fromkeys(numbers, fill)
        self.dtype = np.dtype(dtype or narrowest([schema.field(name).type for name in numbers]))
        self.sparse = bool(self.levels) and (
            len(self.features) <= SPARSE * self.n_features if sparse == "auto" else bool(sparse)
        )
        self.chunk_rows = rows_of_chunk(chunk_rows, self.dtype.itemsize * len(self.features))

    @property
    def n_features(self) -> int:
        """Columns of X."""
        return len(self.feature_names)

    @cached_property
    def feature_names(self) -> list[str]:
        """Names of the columns of X, with those of indicators: what the entries of `coef_` belong to."""
        names: list[str] = []
        for name in self.features:
            levels = self.levels.get(name)
            each = range(levels) if isinstance(levels, int) else levels
            names += [name] if each is None else [f"{name}={level}" for level in each]
        return names

    @property
    def n_rows(self) -> int | None:  # type: ignore[override]
        """Rows in all, if the files tell without being read."""
        counts = [piece.n_rows for piece in self.pieces]
        return None if None in counts else sum(counts)  # type: ignore[arg-type]

    @cached_property
    def pieces(self) -> list[Piece]:
        """What is read in one go, in the order of the files."""
        return [*pieces_of(self.dataset, self.numbers, set(self.levels))]

    def chunks(self, key=None, skip=0):
        """Chunks, as in :class:`Source`."""
        pieces, key = self.pieces, key if self.shuffle else None
        if key:
            pieces = [pieces[i] for i in np.random.default_rng(key).permutation(len(pieces))]
        ahead, number = skip * self.chunk_rows, skip
        pack = (_Frames if self.as_frame else _Arrays)(self)
        for piece in pieces:
            if piece.n_rows is not None and piece.n_rows <= ahead:
                ahead -= piece.n_rows
                continue
            row = 0
            for batch in self._batches(piece):
                passed = min(ahead, batch.num_rows)
                ahead, row, batch = ahead - passed, row + passed, batch.slice(passed)
                while batch.num_rows:
                    part = batch.slice(0, self.chunk_rows - pack.n)
                    pack.add(piece, row, part)
                    row, batch = row + part.num_rows, batch.slice(part.num_rows)
                    if pack.n == self.chunk_rows:
                        yield pack.chunk(order_of_rows(key, number, pack.n))
                        number += 1
        missing(skip, skip - ahead // self.chunk_rows)
        if pack.n:
            yield pack.chunk(order_of_rows(key, number, pack.n))

    def _batches(self, piece: Piece):
        """The record batches of a piece, if it has the columns; what fails is said of the piece."""
        names = [name for name in self.columns if name not in piece.constants]
        for name in names:
            if name not in piece.schema.names:
                raise ValueError(f"{piece.name}: there is no column {name!r}")
            if name in self.numbers:
                check_number(piece, name)
        try:
            yield from piece.read(names, self.chunk_rows)
        except (OSError, ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise ValueError(f"{piece.name}: {error}") from error

    def identity(self):
        """What a checkpoint belongs to, as in :class:`Source`."""
        names = "target", "sample_weight", "levels", "unknown", "fill", "as_frame", "sparse", "chunk_rows", "shuffle"
        return super().identity() | {
            "columns of X": self.features,
            "precision of X": self.dtype.str,
            **{name: getattr(self, name) for name in names},
            "number of row groups or files": len(self.pieces),
            "number of rows": self.n_rows,
        }


class _Columns:
    """Columns of numbers that grow batch by batch, each row of a table of its own, until they are a chunk."""

    def __init__(self, source: ArrowSource, numbers: list[str]):
        self.source, self.numbers = source, numbers
        self.table = np.empty((len(numbers), source.chunk_rows), source.dtype)
        self.n, self.first, self.last = 0, "", ""

    def add(self, piece: Piece, row: int, batch) -> None:
        """Take the rows of a batch, the first of which is that row of the piece."""
        rows = slice(self.n, self.n + batch.num_rows)
        with np.errstate(over="ignore", invalid="ignore"):
            for table, name in zip(self.table, self.numbers, strict=True):
                self.read(piece, row, name, column_of(batch, piece, name), table[rows], rows)
            # A sum that is finite says so of its terms, and is fast.
            if not math.isfinite(self.table[:, rows].sum()):
                self.fill(piece, row, rows)
        self.first = self.first or f"{piece.name}, row {row}"
        self.last = f"{piece.name}, row {row + batch.num_rows - 1}"
        self.n = rows.stop

    def read(self, piece: Piece, row: int, name: str, column, out: np.ndarray, rows: slice) -> None:
        """Write a column of numbers."""
        out[:] = as_numbers(column)

    def fill(self, piece: Piece, row: int, rows: slice) -> None:
        """Fill gaps; any number that is not finite then is an error."""
        for name, out in zip(self.numbers, self.table[:, rows], strict=True):
            if name in self.source.fill:
                out[np.isnan(out)] = self.source.fill[name]
            finite = np.isfinite(out)
            if not finite.all():
                bad = int(finite.argmin())
                kind = GAP_TOLD if np.isnan(out[bad]) else f"not a finite {out.dtype}"
                raise ValueError(f"{piece.name}: column {name!r} has {kind}, in row {row + bad}")

    def place(self, name: str) -> int:
        """The row of the table that a column is."""
        return self.numbers.index(name)

    def columns(self, names: str | list[str] | None, order: np.ndarray | None) -> np.ndarray | None:
        """One column of the rows so far, or an array of some."""
        if names is None:
            return None
        places = self.place(names) if isinstance(names, str) else [*map(self.place, names)]
        return _ordered(self.table[places, : self.n].T, order)

    def finish(self, order: np.ndarray | None, X) -> Chunk:
        """The chunk, from its X; then nothing is left."""
        y, weight = (self.columns(names, order) for names in (self.source.target, self.source.sample_weight))
        chunk = Chunk(X, y, weight, f"{self.first} to {self.last}")
        self.n, self.first = 0, ""
        return chunk


class _Arrays(_Columns):
    """The features as numbers, too: an array, or with categories a CSR array of one entry for each feature."""

    def __init__(self, source: ArrowSource):
        super().__init__(source, source.columns)
        # Made once: memory that is given back is slow to come by again.
        self.rows = np.empty((source.chunk_rows, len(source.features)), source.dtype)
        if source.levels:
            widths = [_width(source.levels.get(name)) for name in source.features]
            self.starts = np.append(0, np.cumsum(widths)).astype(np.int32)
            self.indices = np.repeat(self.starts[:-1, None], source.chunk_rows, axis=1)
            self.known: dict[str, dict] = {name: {} for name in source.levels}

    def read(self, piece, row, name, column, out, rows):
        """A category is a 1, or for an unknown level a 0, in the column of its level."""
        levels = self.source.levels.get(name)
        if levels is None:
            super().read(piece, row, name, column, out, rows)
            return
        column = column if hasattr(column, "dictionary") else column.dictionary_encode()
        names = [
            self.source.fill.get(name) if level is None else level for level in [*column.dictionary.to_pylist(), None]
        ]
        codes = column.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
        found = np.array([self.level(name, levels, level) for level in names])[codes]
        bad = int(found.argmin())
        if found[bad] == GAP or (found[bad] == UNKNOWN and self.source.unknown == "error"):
            what = f"the unknown level {names[codes[bad]]!r}" if found[bad] == UNKNOWN else GAP_TOLD
            raise ValueError(f"{piece.name}: column {name!r} has {what}, in row {row + bad}")
        out[:] = found >= 0
        self.indices[self.place(name), rows] = self.starts[self.place(name)] + np.maximum(found, 0)

    def level(self, name: str, levels, level) -> int:
        """The number of a level among those of its feature, if it is one."""
        if level is None:
            return GAP
        known = self.known[name]
        if level not in known:
            if isinstance(levels, int):
                known[level] = abs(murmurhash3_32(f"{name}={level}")) % levels
            else:
                known[level] = levels.index(level) if level in levels else UNKNOWN
        return known[level]

    def chunk(self, order):
        """The rows so far, as a chunk."""
        n, k = self.n, len(self.source.features)
        np.copyto(self.rows[:n], self.table[:k, :n].T)
        X = _ordered(self.rows[:n], order)
        if self.source.levels:
            indices = _ordered(np.ascontiguousarray(self.indices[:, :n].T), order)
            shape = n, self.source.n_features
            X = sparse.csr_array((X.ravel(), indices.ravel(), np.arange(0, n * k + 1, k, dtype=np.int32)), shape=shape)
            X = X if self.source.sparse else X.toarray()
        return self.finish(order, X)


class _Frames(_Columns):
    """The features as they are, in a pandas frame."""

    def __init__(self, source: ArrowSource):
        super().__init__(source, source.columns[len(source.features) :])
        self.parts: list = []

    def add(self, piece, row, batch):
        """As for numbers; the features are kept until then."""
        import pyarrow as pa

        super().add(piece, row, batch)
        columns = [column_of(batch, piece, name) for name in self.source.features]
        self.parts.append(pa.table(columns, names=self.source.features))

    def chunk(self, order):
        """The rows so far, as a chunk."""
        import pyarrow as pa

        X = pa.concat_tables(self.parts, promote_options="permissive").to_pandas()
        self.parts = []
        return self.finish(order, X if order is None else X.iloc[order].reset_index(drop=True))


def _width(levels) -> int:
    """Columns of X that a feature makes."""
    return 1 if levels is None else levels if isinstance(levels, int) else len(levels)


def _ordered(rows: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Rows in an order; copied."""
    return rows.copy() if order is None else rows.take(order, axis=0)
