"""ArrowSource: tables that pyarrow reads, fragment by fragment in random order."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from sklearn_sgd.streaming.arrow_chunks import ArrayPacker, FramePacker
from sklearn_sgd.streaming.arrow_fragments import (
    Fragment,
    check_number,
    filter_of,
    fragments_of,
    narrowest_dtype,
    open_dataset,
    with_values,
)
from sklearn_sgd.streaming.sources import Source, order_of_rows, require_chunks

__all__ = ["ArrowSource"]

# Share of non-zeros up to which rows are sparse.
SPARSE = 0.25


class ArrowSource(Source):
    """Columns of Parquet, CSV or Arrow IPC files, or of any pyarrow dataset. Needs the extra ``stream``.

    Only the selected columns are read. The row groups of Parquet files come in random order (of IPC files, the record
    batches; of CSV, the files), and so do the rows within a chunk. A chunk contains several small groups, or a part of
    a large one.

    Parameters
    ----------
    data : path, list of paths, pyarrow.dataset.Dataset or pyarrow.Table
        What to read: a file, a list of files, a folder of files, or anything that :func:`pyarrow.dataset.dataset`
        returns, partitions and filters included. How many rows pass a filter is not known before they are read.
    features : list of str, default=None
        Columns of X, in this order. None: all columns except `target` and `sample_weight`.
    target : str or list of str, default=None
        Column of the targets, or several columns for multi-output; `predict_stream` needs none.
    sample_weight : str, default=None
        Column of the sample weights.
    format : {'parquet', 'csv', 'ipc'}, default=None
        Format of the files. None: the format that belongs to the suffix of the first file, or Parquet.
    levels : dict, default=None
        For each categorical feature, by name: a list of its levels, each of which becomes a column of zeros and ones,
        or a number of columns to which levels are assigned by the hash of ``"name=level"``, as
        :class:`~sklearn.feature_extraction.FeatureHasher` does with ``alternate_sign=False``. Equal numbers are one
        level, "name=1" for 1, 1.0 and true.
    unknown : {'error', 'ignore'}, default='error'
        What to do with a level that is not in the list: raise an error, or set all its columns to zero.
    fill : float or dict, default=None
        Replacement for missing values (null or NaN): a number for all numeric features, or a dict with a number or a
        level for each column. A missing value in any other column is an error.
    drop_missing_targets : bool, default=False
        Whether rows without a target (null or NaN, in any column of the targets) are left out; else they are an error.
        They are not left out of predictions.
    dtype : {'float32', 'float64'}, default=None
        Precision of X, y and the weights. None: float32 if it represents all values of the numeric features, else
        float64.
    sparse : bool or 'auto', default='auto'
        Whether X is a CSR array. 'auto': if there are `levels` and at most a quarter of the entries is non-zero.
    as_frame : bool, default=False
        Whether X is a pandas frame of the unchanged columns, missing values included, for a `transformer`.
    chunk_rows : int, default=None
        Rows in a chunk. None: as many as 4 MiB hold, between 256 and 65536; `predict_stream` takes more on a device.
    shuffle : bool, default=True
        Whether the order of the row groups, and of the rows in each chunk, is random. Each epoch has another order.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If a column does not exist or an option is invalid. Errors in the content of files are a :class:`ChunkError` of
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
        drop_missing_targets: bool = False,
        dtype: Any = None,
        sparse: bool | str = "auto",
        as_frame: bool = False,
        chunk_rows: int | None = None,
        shuffle: bool = True,
    ):
        self.dataset = open_dataset(data, format)
        schema = self.dataset.schema
        self.target = target if target is None or isinstance(target, str) else list(target)
        self.targets = [target] if isinstance(target, str) else list(target or [])
        self.sample_weight, self.drop_missing_targets = sample_weight, drop_missing_targets
        others = [*self.targets, *([] if sample_weight is None else [sample_weight])]
        self.features = [n for n in schema.names if n not in others] if features is None else list(features)
        # A feature may be the weight, too.
        self.columns = [*self.features, *(name for name in dict.fromkeys(others) if name not in self.features)]
        given = (levels or {}).items()
        self.levels = {name: int(n) if isinstance(n, int | np.integer) else list(n) for name, n in given}
        self.unknown, self.as_frame, self.shuffle = unknown, as_frame, shuffle
        self._check(fill)
        numbers = [name for name in self.features if name not in self.levels]
        self.numbers = set(others if as_frame else self.columns) - set(self.levels)
        self.fill = dict(fill) if isinstance(fill, Mapping) else {} if fill is None else dict.fromkeys(numbers, fill)
        self.dtype = np.dtype(dtype or narrowest_dtype([schema.field(name).type for name in numbers]))
        few = len(self.features) <= SPARSE * self.n_features
        self.sparse = bool(self.levels) and (few if sparse == "auto" else bool(sparse))
        self._set_chunk_rows(chunk_rows, self.dtype.itemsize * len(self.features))

    def _check(self, fill: Any) -> None:
        """Raise the errors of the arguments."""
        names = self.dataset.schema.names
        for name in self.columns:
            if name not in names:
                raise ValueError(f"There is no column {name!r}; there are {', '.join(names)}.")
            if max(self.columns.count(name), names.count(name)) > 1:
                raise ValueError(f"features must be different columns; {name!r} occurs twice.")
        if strange := set(self.levels) - set(self.features):
            raise ValueError(f"levels must name features; got {', '.join(sorted(strange))}.")
        if both := set(self.levels) & {*self.targets, self.sample_weight}:
            raise ValueError(f"target and sample_weight must be numbers; levels names {', '.join(sorted(both))}.")
        if both := set(self.features) & set(self.targets):
            raise ValueError(f"A target cannot be a feature, too; got {', '.join(sorted(both))}.")
        if self.unknown not in ("error", "ignore"):
            raise ValueError(f"unknown must be 'error' or 'ignore'; got {self.unknown!r}.")
        if self.as_frame and (self.levels or fill is not None):
            raise ValueError("With as_frame=True the transformer sees levels and missing values: omit levels and fill.")
        if not isinstance(fill, Mapping | Real | None):
            raise ValueError(f"fill must be a number, or a dict from columns to numbers and levels; got {fill!r}.")
        if strange := set(fill if isinstance(fill, Mapping) else ()) - set(self.columns):
            raise ValueError(f"fill must name columns that are read; got {', '.join(sorted(map(str, strange)))}.")
        if self.drop_missing_targets and not self.targets:
            raise ValueError("drop_missing_targets=True needs a target.")
        if self.drop_missing_targets and isinstance(fill, Mapping) and set(fill) & set(self.targets):
            raise ValueError("drop_missing_targets=True leaves out what fill would replace: omit fill for the targets.")

    @property
    def n_features(self) -> int:
        """Number of columns of X."""
        return len(self.feature_names)

    @cached_property
    def feature_names(self) -> list[str]:  # type: ignore[override]
        """Names of the columns of X, in the order of `coef_`; of a categorical feature ``"name=level"``."""
        names: list[str] = []
        for name in self.features:
            levels = self.levels.get(name)
            each = range(levels) if isinstance(levels, int) else levels
            names += [name] if each is None else [f"{name}={level}" for level in each]
        return names

    @property
    def n_rows(self) -> int | None:  # type: ignore[override]
        """Number of rows, or None if it is not known before they are read."""
        counts = [self._count(fragment) for fragment in self.pieces]
        return None if None in counts else sum(counts)  # type: ignore[arg-type]

    def _count(self, fragment: Fragment) -> int | None:
        """Return the number of rows that a fragment yields, if it is known before they are read."""
        return None if self.drop_missing_targets else fragment.n_rows

    @cached_property
    def pieces(self) -> list[Fragment]:
        """The row groups, record batches or files, in the order of the files."""
        return [*fragments_of(self.dataset, self.numbers, set(self.levels))]

    def without_targets(self):
        """Return the same rows, all of them, without targets and weights, as in :class:`Source`."""
        other = copy(self)
        other.target, other.targets, other.sample_weight, other.drop_missing_targets = None, [], None, False
        other.columns, other.numbers = self.features, self.numbers.intersection(self.features)
        return other

    def chunks(self, key=None, skip=0):
        """Yield chunks, as in :class:`Source`."""
        key = key if self.shuffle else None
        packer, number = (FramePacker if self.as_frame else ArrayPacker)(self), skip
        for fragment, rows, batch in self._rows(key, skip):
            while batch.num_rows:
                part = batch.slice(0, self.chunk_rows - packer.n)
                packer.add(fragment, rows[: part.num_rows], part)
                rows, batch = rows[part.num_rows :], batch.slice(part.num_rows)
                if packer.n == self.chunk_rows:
                    yield packer.chunk(order_of_rows(key, number, packer.n))
                    number += 1
        if packer.n:
            yield packer.chunk(order_of_rows(key, number, packer.n))

    def _rows(self, key: tuple[int, ...] | None, skip: int) -> Iterator[tuple[Fragment, range | np.ndarray, Any]]:
        """Yield fragment, numbers of rows, and batch of them, in the order of an epoch, after ``skip`` chunks."""
        fragments, left = self.pieces, skip * self.chunk_rows
        if key:
            fragments = [fragments[i] for i in np.random.default_rng(key).permutation(len(fragments))]
        for fragment in fragments:
            # If the number of rows is known, a skipped fragment is not read.
            if (known := self._count(fragment)) is not None and known <= left:
                left -= known
                continue
            first = 0
            for batch in self._batches(fragment):
                rows = range(first, first + batch.num_rows)
                first += batch.num_rows
                kept: range | np.ndarray = rows
                if self.drop_missing_targets:
                    kept, batch = with_values(fragment, self.targets, rows, batch)
                skipped = min(left, batch.num_rows)
                yield fragment, kept[skipped:], batch.slice(skipped)
                left -= skipped
        require_chunks(skip, skip - left // self.chunk_rows)

    def _batches(self, fragment: Fragment):
        """Yield the record batches of a fragment; errors name the fragment."""
        names = [name for name in self.columns if name not in fragment.constants]
        for name in names:
            if name not in fragment.schema.names:
                raise ValueError(f"{fragment.name}: there is no column {name!r}")
            if name in self.numbers:
                check_number(fragment, name)
        try:
            yield from fragment.read(names, self.chunk_rows)
        except (OSError, ValueError, TypeError, KeyError, NotImplementedError) as error:
            raise ValueError(f"{fragment.name}: {error}") from error

    def identity(self):
        """Return what a checkpoint belongs to, as in :class:`Source`."""
        names = "target", "sample_weight", "levels", "unknown", "fill", "drop_missing_targets", "as_frame", "sparse"
        condition = filter_of(self.dataset)
        return super().identity() | {
            "columns of X": self.features,
            "precision of X": self.dtype.str,
            **{name: getattr(self, name) for name in (*names, "chunk_rows", "shuffle")},
            "filter": None if condition is None else str(condition),
            "number of row groups or files": len(self.pieces),
            "number of rows": self.n_rows,
        }
