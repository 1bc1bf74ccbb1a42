"""A pyarrow dataset as fragments that can be read in any order, and columns as numbers."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

# Bytes of a column that are read from a Parquet file at a time.
BUFFER = 1 << 18

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc"}


class Fragment(NamedTuple):
    """A part of a dataset that is read in order: a row group, a record batch, or a file.

    ``read`` takes the columns and the number of rows of a batch. ``constants`` are the columns of a partition.
    """

    name: str
    schema: Any
    n_rows: int | None
    read: Callable[[list[str], int], Iterator]
    constants: Mapping[str, Any]


def open_dataset(data, format: str | None):
    """Return a pyarrow dataset."""
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


def fragments_of(dataset, numbers: set[str], categories: set[str]) -> Iterator[Fragment]:
    """Yield the row groups of Parquet files, the record batches of IPC files, and other files as a whole."""
    for part in dataset.get_fragments():
        path = getattr(part, "path", "table")
        try:
            yield from _split(part, path, dataset.schema, numbers, categories)
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error


def _split(part, path: str, schema, numbers: set[str], categories: set[str]) -> Iterator[Fragment]:
    """Yield the fragments of a file, or of a table."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    own, format = part.physical_schema, getattr(part, "format", None)
    constants = ds.get_partition_keys(part.partition_expression)
    if isinstance(format, ds.ParquetFileFormat):
        for group in part.row_groups:
            read = partial(_read_row_group, part, group.id, categories)
            yield Fragment(f"{path}, row group {group.id}", own, group.num_rows, read, constants)
    elif isinstance(format, ds.IpcFileFormat):
        with part.open() as file:
            n = pa.ipc.open_file(file).num_record_batches
        for i in range(n):
            yield Fragment(f"{path}, record batch {i}", own, None, partial(_read_batch, part, i), constants)
    elif format is None:
        yield Fragment(path, own, None, partial(_scan, part, own), constants)
    else:
        # pyarrow infers the types of CSV columns from the first rows of the first file; other files may not fit them.
        wide = [field.with_type(pa.float64()) if field.name in numbers else field for field in schema]
        yield Fragment(path, own, None, partial(_scan, part, pa.schema(wide)), constants)


def _read_row_group(part, group: int, categories: set[str], columns: list[str], n_rows: int):
    """Yield batches of a row group, a part of each column at a time.

    A scanner of the dataset has no option for this. Even with buffered streams and without read-ahead it holds several
    row groups: with 21 columns of float32 in row groups of a million rows the process needs 621 MB at most, with this
    401 MB. Before the first row it has 302 MB. The processor time is about the same (``python benchmarks/stream.py``,
    the lines "batches of a row group" and "as the source reads").
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Of two cores one is for reading, one for learning.
    threads = pa.cpu_count() > 2
    options = {"pre_buffer": False, "buffer_size": BUFFER, "read_dictionary": [*categories.intersection(columns)]}
    with part.open() as file, pq.ParquetFile(file, metadata=part.metadata, **options) as parquet:
        yield from parquet.iter_batches(n_rows, row_groups=[group], columns=columns, use_threads=threads)


def _read_batch(part, number: int, columns: list[str], n_rows: int):
    """Yield a record batch of an IPC file. A scanner reads record batches in the order of the file only."""
    import pyarrow as pa

    with part.open() as file:
        names = pa.ipc.open_file(file).schema.names
    with part.open() as file:
        options = pa.ipc.IpcReadOptions(included_fields=[names.index(name) for name in columns])
        yield pa.ipc.open_file(file, options=options).get_batch(number)


def _scan(part, schema, columns: list[str], n_rows: int):
    """Yield batches of a file of another format, in order."""
    yield from part.to_batches(
        schema=schema, columns=columns, batch_size=n_rows, batch_readahead=2, fragment_readahead=1
    )


def column_of(batch, fragment: Fragment, name: str):
    """Return a column of a batch, or a constant column of the fragment."""
    import pyarrow as pa

    if name in fragment.constants:
        return pa.repeat(pa.scalar(fragment.constants[name]), batch.num_rows)
    return batch.column(name)


def as_numbers(column) -> np.ndarray:
    """Return a column as floats or integers; missing values are NaN."""
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


def check_number(fragment: Fragment, name: str) -> None:
    """Raise an error unless a column of the fragment can be read as numbers."""
    import pyarrow.types as types

    type_ = fragment.schema.field(name).type
    value = type_.value_type if types.is_dictionary(type_) else type_
    tests = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null
    if not any(test(value) for test in tests):
        raise ValueError(
            f"{fragment.name}: column {name!r} is of type {type_}, not of numbers; of categories, name the levels"
        )


def narrowest_dtype(types_: list) -> type:
    """Return float32 if it represents all values of these types, else float64."""
    import pyarrow.types as types

    def narrow(type_):
        if types.is_floating(type_) or types.is_integer(type_):
            return type_.bit_width <= (32 if types.is_floating(type_) else 16)
        return types.is_boolean(type_)

    return np.float32 if types_ and all(map(narrow, types_)) else np.float64
