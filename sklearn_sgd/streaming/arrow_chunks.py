"""Record batches packed into chunks: arrays, CSR arrays or frames, with missing values and categories replaced.

scikit-learn's transformers would do the same on Python objects. Here categories remain pyarrow's codes, which is
faster. For 65,536 rows of a column, on one core: one-hot of 300 levels 4 ms (OneHotEncoder 33 ms), hashing 4 ms
(FeatureHasher 135 ms), filling 20 columns of float32 0.6 ms (SimpleImputer 19 ms).
"""

from __future__ import annotations

import math
from numbers import Number
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from sklearn.utils import murmurhash3_32

from sklearn_sgd.streaming.arrow_fragments import Fragment, as_numbers, column_of
from sklearn_sgd.streaming.sources import Chunk

if TYPE_CHECKING:
    from sklearn_sgd.streaming.arrow_source import ArrowSource

# Numbers in place of that of a level; maximum number of levels whose hash is stored.
UNKNOWN, MISSING, LEVELS = -1, -2, 1 << 20


class _Packer:
    """Columns of numbers, stored as rows of a table, to which batches are added until the chunk is complete."""

    def __init__(self, source: ArrowSource, numbers: list[str]):
        self.source, self.numbers = source, numbers
        self.table = np.empty((len(numbers), source.chunk_rows), source.dtype)
        self.n, self.first, self.last = 0, "", ""

    def add(self, fragment: Fragment, rows: range | np.ndarray, batch) -> None:
        """Add the rows of a batch, which have these numbers in the fragment."""
        part = slice(self.n, self.n + batch.num_rows)
        with np.errstate(over="ignore", invalid="ignore"):
            for out, name in zip(self.table[:, part], self.numbers, strict=True):
                self.read(fragment, rows, name, column_of(batch, fragment, name), out)
            # A finite sum shows that its terms are finite, and is fast.
            if not math.isfinite(self.table[:, part].sum()):
                self.fill(fragment, rows, part)
        self.first = self.first or f"{fragment.name}, row {rows[0]}"
        self.last = f"{fragment.name}, row {rows[-1]}"
        self.n = part.stop

    def read(self, fragment: Fragment, rows: range | np.ndarray, name: str, column, out: np.ndarray) -> None:
        """Write a column of numbers."""
        out[:] = as_numbers(column)

    def fill(self, fragment: Fragment, rows: range | np.ndarray, part: slice) -> None:
        """Impute missing values; raise an error for values that are not finite after that."""
        for name, out in zip(self.numbers, self.table[:, part], strict=True):
            if name in self.source.fill:
                out[np.isnan(out)] = self.source.fill[name]
            finite = np.isfinite(out)
            if not finite.all():
                bad = int(finite.argmin())
                what = self.missing(name) if np.isnan(out[bad]) else f"a value that is not a finite {out.dtype}"
                raise ValueError(f"{fragment.name}: column {name!r} has {what}, in row {rows[bad]}")

    def missing(self, name: str) -> str:
        """Return the error message for a missing value of a column, with the remedy."""
        if name == self.source.sample_weight:
            return f"a missing value; pass fill={{{name!r}: 0.0}} to leave out such rows"
        if name not in self.source.features:
            return "a missing value; pass drop_missing_targets=True to leave out such rows"
        # If fill is a number, it is for the numeric features only.
        fill = f"fill={{{name!r}: ...}}" if self.source.fill else "fill="
        return f"a missing value; pass {fill} to impute it"

    def columns(self, names: str | list[str] | None, order: np.ndarray | None) -> np.ndarray | None:
        """Return one column of the rows so far, or an array of several."""
        if names is None:
            return None
        places = self.numbers.index(names) if isinstance(names, str) else [self.numbers.index(name) for name in names]
        return _ordered(self.table[places, : self.n].T, order)

    def finish(self, order: np.ndarray | None, X) -> Chunk:
        """Return the chunk with this X, and begin a new one."""
        y, weight = (self.columns(names, order) for names in (self.source.target, self.source.sample_weight))
        chunk = Chunk(X, y, weight, f"{self.first} to {self.last}")
        self.n, self.first = 0, ""
        return chunk


class ArrayPacker(_Packer):
    """Chunks whose X is an array, or with categories a CSR array with one entry for each feature."""

    def __init__(self, source: ArrowSource):
        super().__init__(source, source.columns)
        # Allocated once: allocating memory again would be slow.
        self.rows = np.empty((source.chunk_rows, len(source.features)), source.dtype)
        if source.levels:
            widths = [_width(source.levels.get(name)) for name in source.features]
            self.starts = np.append(0, np.cumsum(widths)).astype(np.int32)
            self.indices = np.repeat(self.starts[:-1, None], source.chunk_rows, axis=1)
            self.codes = {name: _codes(levels) for name, levels in source.levels.items()}

    def read(self, fragment, rows, name, column, out):
        """Write a 1 for a category, or a 0 if its level is unknown, and the column of X that belongs to the level."""
        if name not in self.source.levels:
            super().read(fragment, rows, name, column, out)
            return
        column = column if hasattr(column, "dictionary") else column.dictionary_encode()
        fill = self.source.fill.get(name)
        levels = [fill if _is_missing(level) else level for level in [*column.dictionary.to_pylist(), None]]
        indices = column.indices.fill_null(len(levels) - 1).to_numpy(zero_copy_only=False)
        codes = np.array([self.code(name, level) for level in levels])[indices]
        bad = int(codes.argmin())
        if codes[bad] == MISSING or (codes[bad] == UNKNOWN and self.source.unknown == "error"):
            what = f"the unknown level {levels[indices[bad]]!r}" if codes[bad] == UNKNOWN else self.missing(name)
            raise ValueError(f"{fragment.name}: column {name!r} has {what}, in row {rows[bad]}")
        out[:] = codes >= 0
        feature = self.source.features.index(name)
        self.indices[feature, self.n : self.n + len(out)] = self.starts[feature] + np.maximum(codes, 0)

    def code(self, name: str, level) -> int:
        """Return the number of a level within its feature, or UNKNOWN or MISSING."""
        if _is_missing(level):
            return MISSING
        codes, n_columns = self.codes[name], self.source.levels[name]
        if not isinstance(n_columns, int):
            return codes.get(level, UNKNOWN)
        if level not in codes:
            if len(codes) >= LEVELS:
                codes.clear()
            codes[level] = abs(murmurhash3_32(f"{name}={_plain(level)}")) % n_columns
        return codes[level]

    def chunk(self, order: np.ndarray | None) -> Chunk:
        """Return the rows so far as a chunk."""
        n, k = self.n, len(self.source.features)
        np.copyto(self.rows[:n], self.table[:k, :n].T)
        X = _ordered(self.rows[:n], order)
        if self.source.levels:
            indices = _ordered(np.ascontiguousarray(self.indices[:, :n].T), order)
            shape = n, self.source.n_features
            X = sparse.csr_array((X.ravel(), indices.ravel(), np.arange(0, n * k + 1, k, dtype=np.int32)), shape=shape)
            X = X if self.source.sparse else X.toarray()
        return self.finish(order, X)


class FramePacker(_Packer):
    """Chunks whose X is a pandas frame of the features as they are."""

    def __init__(self, source: ArrowSource):
        super().__init__(source, [name for name in source.columns if name in source.numbers])
        self.parts: list = []

    def add(self, fragment, rows, batch):
        """Add the rows of a batch; the features are kept as they are."""
        import pyarrow as pa

        super().add(fragment, rows, batch)
        columns = [column_of(batch, fragment, name) for name in self.source.features]
        self.parts.append(pa.table(columns, names=self.source.features))

    def chunk(self, order: np.ndarray | None) -> Chunk:
        """Return the rows so far as a chunk."""
        import pyarrow as pa

        X = pa.concat_tables(self.parts, promote_options="permissive").to_pandas()
        self.parts = []
        return self.finish(order, X if order is None else X.iloc[order].reset_index(drop=True))


def _width(levels) -> int:
    """Return the number of columns of X that a feature has."""
    return 1 if levels is None else levels if isinstance(levels, int) else len(levels)


def _is_missing(level) -> bool:
    """Return whether a level is null or NaN."""
    return level is None or level != level


def _plain(level):
    """Return the form of a level that all levels equal to it share: 1, 1.0, Decimal("1.00") and True are one level.

    A column of integers is one of floats in a file in which some are missing, if pandas wrote it.
    """
    if not isinstance(level, Number):
        return level
    return int(level) if level % 1 == 0 else float(level)  # type: ignore[operator, arg-type, call-overload]


def _codes(levels: list | int) -> dict:
    """Return the number of each level in a list, the first one for equal levels; hashed levels are added later."""
    return {} if isinstance(levels, int) else {level: i for i, level in reversed([*enumerate(levels)])}


def _ordered(rows: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Return a copy of the rows in an order."""
    return rows.copy() if order is None else rows.take(order, axis=0)
