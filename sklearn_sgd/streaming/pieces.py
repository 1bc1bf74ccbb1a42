"""What pyarrow reads: a dataset as pieces that can be read in any order, and their columns as numbers."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

# Bytes of a column that are read from a Parquet file at a time.
BUFFER = 1 << 18

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc"}


class Piece(NamedTuple):
    """A part of a dataset that is read in order: a row group, a record batch, or a file.

    ``read`` takes columns and the number of rows of a batch; ``constants`` are columns that the name of the file tells.
    """

    name: str
    schema: Any
    n_rows: int | None
    read: Callable[[list[str], int], Iterator]
    constants: Mapping[str, Any]


def open_dataset(data, format: str | None):
    """A pyarrow dataset of whatever stands for one."""
    try:
        import pyarrow.dataset as ds
    except ImportError as error:
        raise ImportError("ArrowSource needs pyarrow: pip install pyarrow (the extra sklearn-sgd[stream]).") from error
    if isinstance(data, ds.Dataset):
        return data
    if hasattr(data, "schema"):
        return ds.dataset(data)
    paths = [str(path) for path in data] if isinstance(data, list | tuple) else str(data)
    if format is None:
        first = (paths if isinstance(paths, str) else paths[0]).removesuffix(".gz")
        format = next((name for suffix, name in SUFFIXES.items() if first.endswith(suffix)), "parquet")
    return ds.dataset(paths, format=format)


def pieces_of(dataset, numbers: set[str], categories: set[str]) -> Iterator[Piece]:
    """The pieces of a dataset: of Parquet files the row groups, of IPC files the record batches, else the files."""
    for fragment in dataset.get_fragments():
        path = getattr(fragment, "path", "table")
        try:
            yield from _pieces(fragment, path, dataset.schema, numbers, categories)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error


def _pieces(fragment, path: str, schema, numbers: set[str], categories: set[str]) -> Iterator[Piece]:
    """The pieces of a part of a dataset, such as a file."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    own, format = fragment.physical_schema, getattr(fragment, "format", None)
    constants = ds.get_partition_keys(fragment.partition_expression)
    if isinstance(format, ds.ParquetFileFormat):
        for group in fragment.row_groups:
            read = partial(_read_row_group, fragment, group.id, categories)
            yield Piece(f"{path}, row group {group.id}", own, group.num_rows, read, constants)
    elif isinstance(format, ds.IpcFileFormat):
        with fragment.open() as file:
            n = pa.ipc.open_file(file).num_record_batches
        for i in range(n):
            yield Piece(f"{path}, record batch {i}", own, None, partial(_read_batch, fragment, i), constants)
    elif format is None:
        yield Piece(path, own, None, partial(_scan, fragment, own), constants)
    else:
        # Numbers are not of the types that the first rows of the first file suggest, which others may not fit.
        wide = [field.with_type(pa.float64()) if field.name in numbers else field for field in schema]
        yield Piece(path, own, None, partial(_scan, fragment, pa.schema(wide)), constants)


def _read_row_group(fragment, group: int, categories: set[str], columns: list[str], n_rows: int):
    """Batches of a row group, a part of each column at a time: a scan of the dataset would hold the whole group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Of two cores one is for reading, one for learning.
    threads = pa.cpu_count() > 2
    options = {"pre_buffer": False, "buffer_size": BUFFER, "read_dictionary": [*categories.intersection(columns)]}
    with fragment.open() as file, pq.ParquetFile(file, metadata=fragment.metadata, **options) as parquet:
        yield from parquet.iter_batches(n_rows, row_groups=[group], columns=columns, use_threads=threads)


def _read_batch(fragment, number: int, columns: list[str], n_rows: int):
    """A record batch of an IPC file."""
    import pyarrow as pa

    with fragment.open() as file:
        names = pa.ipc.open_file(file).schema.names
    with fragment.open() as file:
        options = pa.ipc.IpcReadOptions(included_fields=[names.index(name) for name in columns])
        yield pa.ipc.open_file(file, options=options).get_batch(number)


def _scan(fragment, schema, columns: list[str], n_rows: int):
    """Batches of a file of another kind, in order."""
    yield from fragment.to_batches(
        schema=schema, columns=columns, batch_size=n_rows, batch_readahead=2, fragment_readahead=1
    )


def column_of(batch, piece: Piece, name: str):
    """A column of a batch, or of what the piece says of all its rows."""
    import pyarrow as pa

    if name in piece.constants:
        return pa.repeat(pa.scalar(piece.constants[name]), batch.num_rows)
    return batch.column(name)


def as_numbers(column) -> np.ndarray:
    """A column as floats or integers; gaps are NaN."""
    import pyarrow as pa

    if pa.types.is_floating(column.type):
        return column.to_numpy(zero_copy_only=False)
    if hasattr(column, "dictionary"):
        column = column.dictionary_decode()
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    return column.to_numpy(zero_copy_only=False)


def is_number(schema, name: str) -> bool:
    """Whether a column can be read as numbers."""
    import pyarrow.types as types

    kind = schema.field(name).type if name in schema.names else None
    kind = kind.value_type if kind is not None and types.is_dictionary(kind) else kind
    tests = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null
    return kind is not None and any(test(kind) for test in tests)


def check_number(piece: Piece, name: str) -> None:
    """Refuse what is not a number."""
    if not is_number(piece.schema, name):
        raise ValueError(
            f"{piece.name}: column {name!r} is of type {piece.schema.field(name).type}, not of numbers; of categories, "
            "name the levels"
        )


def narrowest(kinds: list) -> type:
    """The narrower one, if it holds all values of these types."""
    import pyarrow.types as types

    def narrow(kind):
        if types.is_floating(kind) or types.is_integer(kind):
            return kind.bit_width <= (32 if types.is_floating(kind) else 16)
        return types.is_boolean(kind)

    return np.float32 if kinds and all(map(narrow, kinds)) else np.float64
