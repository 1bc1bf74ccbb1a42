"""A pyarrow dataset as fragments that can be read in any order, and columns as numbers."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

# Bytes of a column that are read from a Parquet file at a time.
BUFFER = 1 << 18

SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc"}


class Fragment(NamedTuple):
    """A part of a dataset that is read in order: a row group, a record batch, or a file.

    ``read`` takes the columns and the number of rows of a batch. ``constants`` are the columns of a partition. With
    ``text``, the column types are guesses, and a column of strings may contain numbers.
    """

    name: str
    schema: Any
    n_rows: int | None
    read: Callable[[list[str], int], Iterator]
    constants: Mapping[str, Any]
    is_text: bool = False


def open_dataset(data, format: str | None):
    """Return a pyarrow dataset."""
    try:
        import pyarrow as pa
        import pyarrow.dataset as ds
    except ImportError as error:
        raise ImportError("ArrowSource needs pyarrow: pip install pyarrow (the extra sklearn-sgd[stream]).") from error
    tables = ds.Dataset, pa.Table, pa.RecordBatch
    if isinstance(data, ds.Dataset):
        return data
    several = list(data) if isinstance(data, list | tuple) else [data]
    if several and all(isinstance(item, tables) for item in several):
        return ds.dataset(data)
    if not several or not all(isinstance(path, str | PathLike) for path in several):
        raise TypeError(_not_data(data))
    paths = [str(path) for path in several]
    if format is None:
        first = paths[0].removesuffix(".gz")
        format = next((name for suffix, name in SUFFIXES.items() if first.endswith(suffix)), "parquet")
    return ds.dataset(paths if isinstance(data, list | tuple) else paths[0], format=format)


def _not_data(data: Any) -> str:
    """Return the error message for invalid data of an ArrowSource, with the remedy."""
    expected = f"data must be a path, a list of paths, or a Dataset or a Table of pyarrow; got {type(data).__name__}."
    if hasattr(data, "to_arrow"):
        return f"{expected} Give it as a table: data.to_arrow()."
    if hasattr(data, "iloc"):
        return f"{expected} Give it as a table: pyarrow.Table.from_pandas(data)."
    for method in ("read_all", "to_table"):
        if hasattr(data, method):
            return f"{expected} It can be read only once; give its table: data.{method}()."
    return f"{expected} For arrays use ArraySource(X, y), or for chunks of them a list of (X, y)."


def filter_of(dataset) -> Any:
    """Return the expression that a dataset is filtered by, or None."""
    return getattr(dataset, "_scan_options", {}).get("filter")


def fragments_of(dataset, numbers: set[str], categories: set[str]) -> Iterator[Fragment]:
    """Yield the row groups of Parquet files, the record batches of IPC files, and other files as a whole.

    For a filtered dataset these are the row groups, files and tables that may have rows that pass the filter.
    """
    condition, parts = filter_of(dataset), dataset
    if condition is not None:
        # pyarrow yields fragments of datasets without a filter only.
        parts = dataset.replace_schema(dataset.schema)
        parts._scan_options = {}
    for part in parts.get_fragments(condition):
        path = getattr(part, "path", "table")
        try:
            if condition is None:
                yield from _split(part, path, dataset.schema, numbers, categories)
            else:
                yield from _split_filtered(part, path, dataset.schema, numbers, condition)
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
    elif isinstance(format, ds.CsvFileFormat):
        read = partial(_scan_csv, part, wide_schema(schema, own, numbers), numbers)
        yield Fragment(path, own, None, read, constants, is_text=True)
    else:
        yield Fragment(path, own, None, partial(_scan, part, own), constants)


def _split_filtered(part, path: str, schema, numbers: set[str], condition) -> Iterator[Fragment]:
    """Yield the fragments of a file, or of a table, with a filter; the number of rows that pass is unknown."""
    import pyarrow.dataset as ds

    own, format = part.physical_schema, getattr(part, "format", None)
    constants, pieces = ds.get_partition_keys(part.partition_expression), [(path, part)]
    if isinstance(format, ds.ParquetFileFormat):
        groups = part.split_by_row_group(condition, schema)
        pieces = [(f"{path}, row group {piece.row_groups[0].id}", piece) for piece in groups]
    elif isinstance(format, ds.CsvFileFormat):
        schema = wide_schema(schema, own, numbers)
    for name, piece in pieces:
        # Partitions are columns of the whole dataset's schema only.
        read = partial(_scan, piece, schema, condition=condition)
        yield Fragment(f"{name}, rows that pass the filter", own, None, read, constants)


def wide_schema(schema, own, numbers: set[str]):
    """Return a schema in which numbers of a CSV file have a wide type; booleans stay.

    pyarrow infers the types of CSV columns from the first rows of the first file; other rows may not fit them.
    """
    import pyarrow as pa

    def wide(field):
        if field.name not in numbers:
            return field
        found = own.field(field.name).type if field.name in own.names else field.type
        return field.with_type(pa.bool_() if pa.types.is_boolean(found) else pa.float64())

    return pa.schema([wide(field) for field in schema])


def _read_row_group(part, group: int, categories: set[str], columns: list[str], n_rows: int):
    """Yield batches of a row group, a part of each column at a time.

    A scanner of the dataset has no option for this. Even with buffered streams and without read-ahead it holds several
    row groups: with 21 columns of float32 in row groups of a million rows the process needs 621 MB at most, with this
    401 MB. Before the first row it has 302 MB. The processor time is about the same (``python benchmarks/stream.py``,
    the lines "batches of a row group" and "as the source reads").
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    # With two cores, one reads and one learns.
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


def _scan(part, schema, columns: list[str], n_rows: int, condition=None):
    """Yield batches of a file of another format, in order, with the rows that pass a condition."""
    yield from part.to_batches(
        schema=schema, columns=columns, filter=condition, batch_size=n_rows, batch_readahead=2, fragment_readahead=1
    )


def _scan_csv(part, schema, numbers: set[str], columns: list[str], n_rows: int):
    """Yield batches of a CSV file, in order.

    If a value does not have the type of its column, such as a boolean in a column of numbers, the columns of numbers
    are read as text from this place on. This always works, but is slower.
    """
    import pyarrow as pa

    n = 0
    try:
        for batch in _scan(part, schema, columns, n_rows):
            yield batch
            n += batch.num_rows
        return
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise
    texts = [field.with_type(pa.string()) if field.name in numbers else field for field in schema]
    options, row = part.format.default_fragment_scan_options.convert_options, 0
    for batch in _scan(part, pa.schema(texts), columns, n_rows):
        new = batch.slice(min(max(n - row, 0), batch.num_rows))
        row += batch.num_rows
        if new.num_rows:
            first = row - new.num_rows
            read = [
                numbers_of_text(column, name, options, first) if name in numbers else column
                for name, column in zip(columns, new.columns, strict=True)
            ]
            yield pa.RecordBatch.from_arrays(read, names=columns)


def numbers_of_text(column, name: str, options, first: int):
    """Return a column of text as numbers, by the values of pyarrow's options that are true, false or missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = pc.utf8_trim_whitespace(column)
    if options.decimal_point != ".":
        text = pc.replace_substring(text, options.decimal_point, ".")
    for value, meanings in (("1", options.true_values), ("0", options.false_values), (None, options.null_values)):
        text = pc.if_else(pc.is_in(text, pa.array(meanings, pa.string())), pa.scalar(value, pa.string()), text)
    try:
        return text.cast(pa.float64())
    except pa.ArrowInvalid:
        for row, value in enumerate(text.to_pylist(), first):
            try:
                float("nan" if value is None else value)
            except ValueError as error:
                raise ValueError(
                    f"column {name!r} is of type string, not of numbers: it has {value!r} in row {row}; of categories, "
                    "name the levels"
                ) from error
        raise


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


def with_values(fragment: Fragment, names: list[str], rows: range, batch) -> tuple[np.ndarray, Any]:
    """Return the rows of a batch in which no column of these names has a missing value, and their numbers."""
    import pyarrow as pa

    missing = np.zeros(batch.num_rows, dtype=bool)
    for name in names:
        missing |= np.isnan(as_numbers(column_of(batch, fragment, name)).astype(np.float64))
    return np.asarray(rows)[~missing], batch.filter(pa.array(~missing)) if missing.any() else batch


def check_number(fragment: Fragment, name: str) -> None:
    """Raise an error unless a column of the fragment can be read as numbers."""
    import pyarrow.types as types

    type_ = fragment.schema.field(name).type
    value = type_.value_type if types.is_dictionary(type_) else type_
    tests = types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_null
    if not any(test(value) for test in tests) and not (fragment.is_text and types.is_string(value)):
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
