"""Streams: the same bits as plain partial_fit, whatever the rows lie in, whatever happens on the way."""

import io
import json
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from internals import keep_losses
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, csr, linear, some_weights, theta
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.streaming import (
    ArraySource,
    ArrowSource,
    ChunkError,
    Source,
    fit_stream,
    load_checkpoint,
    predict_stream,
)
from sklearn_sgd.streaming.sources import as_source

REPOSITORY = Path(__file__).parent.parent
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)

# Of BatchGDRegressor, whose steps on chunks have a test of their own.
one_step_per_chunk = pytest.mark.filterwarnings("ignore:BatchGDRegressor with batch_size=None:UserWarning")


def chunks_of(X, y, size=20, weight=None):
    """The rows in chunks of that size."""
    rows = [slice(i, i + size) for i in range(0, len(y), size)]
    return [(X[r], y[r]) if weight is None else (X[r], y[r], weight[r]) for r in rows]


def by_hand(model, chunks):
    """Plain partial_fit over chunks."""
    for X, y, *weight in chunks:
        model.partial_fit(X, y, *weight)
    return model


def shuffled(source, epochs, random_state=0):
    """The chunks that fit_stream takes from a source, as the same seed gives them."""
    seed = np.random.RandomState(random_state).randint(2**31 - 1)
    return [(c.X, c.y) if c.sample_weight is None else c[:3] for e in range(epochs) for c in source.chunks((seed, e))]


def columns(n=300, seed=0):
    """A table of numbers, of names, and of what is of no interest."""
    rng = np.random.default_rng(seed)
    X, y = linear(n, 3, seed=seed)
    X = X.astype(np.float32)
    return {
        **{name: X[:, j] for j, name in enumerate("abc")},
        "day": rng.choice(["mon", "tue", "wed"], n),
        "of_no_interest": np.array([f"{i}" for i in range(n)]),
        "y": y.astype(np.float32),
        "weight": some_weights(n).astype(np.float32),
    }


@pytest.fixture
def parquet(pa, tmp_path):
    """A function that writes a table to a Parquet file, and answers its path."""
    import pyarrow.parquet as pq

    def write(table=None, name="rows.parquet", row_group_size=70):
        path = tmp_path / name
        pq.write_table(pa.table(columns() if table is None else table), path, row_group_size=row_group_size)
        return path

    return write


# The same as partial_fit


@one_step_per_chunk
@all_kinds
@pytest.mark.parametrize("form", [np.asarray, csr])
def test_chunks_give_what_partial_fit_gives(kind, form):
    X, y = linear(n=130)
    chunks = chunks_of(form(X), y, 20, some_weights(130))
    expected = by_hand(kind(), chunks + chunks)
    for source in (chunks, lambda: iter(chunks)):
        model = kind()
        assert fit_stream(model, source, epochs=2) is model
        assert_array_equal(theta(model), theta(expected))
        assert model.n_updates_ == expected.n_updates_


def test_goes_on_from_what_was_learned():
    chunks = chunks_of(*linear())
    halves = fit_stream(fit_stream(OnlineSGDRegressor(), chunks[:1]), iter(chunks[1:]), read_ahead=0)
    assert_array_equal(theta(halves), theta(by_hand(OnlineSGDRegressor(), chunks)))


def test_any_estimator_with_partial_fit():
    chunks = chunks_of(*linear())
    expected = by_hand(SGDRegressor(random_state=0), chunks)
    assert_array_equal(theta(fit_stream(SGDRegressor(random_state=0), chunks)), theta(expected))


@pytest.mark.parametrize("form", [np.asarray, csr])
@pytest.mark.parametrize("shuffle", [True, False])
def test_arrays(form, shuffle):
    X, y = linear(n=130)
    source = ArraySource(form(X), y, some_weights(130), chunk_rows=50, shuffle=shuffle)
    expected = by_hand(MiniBatchSGDRegressor(), shuffled(source, 3))
    model = fit_stream(MiniBatchSGDRegressor(), source, epochs=3, random_state=0)
    assert_array_equal(theta(model), theta(expected))


def test_parquet(parquet):
    source = ArrowSource(parquet(), list("abc"), "y", sample_weight="weight", chunk_rows=64)
    expected = by_hand(MiniBatchSGDRegressor(), shuffled(source, 2))
    model = fit_stream(MiniBatchSGDRegressor(), source, epochs=2, random_state=0)
    assert_array_equal(theta(model), theta(expected))
    assert model.coef_.dtype == np.float32


def test_several_targets(parquet):
    table = columns() | {"z": -2 * columns()["y"]}
    source = ArrowSource(parquet(table), list("abc"), ["y", "z"], chunk_rows=64)
    (first, *_) = source
    assert_array_equal(first.y, np.column_stack([table["y"], table["z"]])[:64])
    model = fit_stream(MiniBatchSGDRegressor(), source, epochs=2, random_state=0)
    assert_array_equal(model.coef_, by_hand(MiniBatchSGDRegressor(), shuffled(source, 2)).coef_)
    assert model.coef_.shape == (2, 3)
    assert model.prequential_loss_ == fit_stream(MiniBatchSGDRegressor(), source, random_state=0).prequential_loss_


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_prefix_in_memory(parquet, optimizer):
    source = ArrowSource(parquet(), list("abc"), "y", chunk_rows=64)
    model = MiniBatchSGDRegressor(
        batch_size=16, learning_rate="constant", eta0=0.1, optimizer=optimizer, shuffle=False, epochs=1, tol=None
    )
    chunks = shuffled(source, 1)
    X, y = (np.concatenate([chunk[i] for chunk in chunks])[:200] for i in (0, 1))
    stream = fit_stream(clone(model), source, max_rows=200, random_state=0)
    assert_array_equal(theta(stream), theta(clone(model).fit(X, y)))


@one_step_per_chunk
@all_kinds
def test_rows_are_at_first_sight_once(kind):
    chunks = chunks_of(*linear())
    once, twice = fit_stream(kind(), chunks), fit_stream(kind(), chunks, epochs=2)
    assert twice.prequential_loss_ == once.prequential_loss_
    assert twice.recent_loss_ == once.recent_loss_
    assert twice.n_samples_seen_ == 2 * once.n_samples_seen_


@pytest.mark.parametrize("make", [ArraySource, None], ids=["arrays", "parquet"])
def test_shuffling_takes_each_row_once_in_another_order_in_each_epoch(make, parquet):
    n = 300
    X, y = np.arange(float(n))[:, None], np.arange(float(n))
    source = make(X, y, chunk_rows=40) if make else ArrowSource(parquet({"x": y, "y": y}), ["x"], "y", chunk_rows=40)
    epochs = [np.concatenate([chunk.y for chunk in source.chunks((0, e))]) for e in (0, 1, 0)]
    assert_array_equal(np.sort(epochs[0]), y)
    assert_array_equal(np.sort(epochs[1]), y)
    assert (epochs[0] != epochs[1]).mean() > 0.9
    assert_array_equal(epochs[0], epochs[2])
    # Both the order of the pieces and that within chunks.
    chunks = [epochs[0][i : i + 40] for i in range(0, n, 40)]
    assert any(np.diff([chunk.min() for chunk in chunks]) < 0)
    assert all((np.diff(chunk) < 0).any() for chunk in chunks)
    assert_array_equal(np.concatenate([chunk.y for chunk in source]), y)


@pytest.mark.parametrize("skip", [0, 1, 3, 5])
@pytest.mark.parametrize("kind", ["parquet", "csv", "arrays", "chunks"])
def test_reading_on_from_a_chunk(kind, skip, parquet, tmp_path, pa):
    source = {
        "parquet": lambda: ArrowSource(parquet(), list("abc"), "y", chunk_rows=64),
        "csv": lambda: ArrowSource(write_as("csv", columns(), tmp_path), list("abc"), "y", chunk_rows=64),
        "arrays": lambda: ArraySource(*linear(300), chunk_rows=64),
        "chunks": lambda: as_source(chunks_of(*linear(300), 64)),
    }[kind]()
    for key in (None, (3, 1)):
        rest, whole = list(source.chunks(key, skip)), list(source.chunks(key))
        assert len(rest) == len(whole) - skip == 5 - skip
        for a, b in zip(rest, whole[skip:], strict=True):
            assert_array_equal(a.X, b.X)
            assert_array_equal(a.y, b.y)


# Formats


def write_as(format, table, folder):
    """A table in a file of that format."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    path, table = folder / f"rows.{format}", pa.table(table)
    if format == "csv":
        pa.csv.write_csv(table, path)
    elif format == "parquet":
        pa.parquet.write_table(table, path, row_group_size=70)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=70)
    return path


@pytest.mark.parametrize("format", ["parquet", "csv", "arrow"])
@pytest.mark.parametrize("chunk_rows", [64, 1000])
def test_formats(pa, tmp_path, format, chunk_rows):
    table = columns()
    path = write_as(format, table, tmp_path)
    source = ArrowSource(path, ["c", "a"], "y", sample_weight="weight", chunk_rows=chunk_rows)
    parts = list(source)
    assert [part.n_rows for part in parts] == ([64, 64, 64, 64, 44] if chunk_rows == 64 else [300])
    rtol = 1e-6 if format == "csv" else 0
    assert_allclose(np.vstack([part.X for part in parts]), np.column_stack([table["c"], table["a"]]), rtol=rtol)
    assert_allclose(np.concatenate([part.y for part in parts]), table["y"], rtol=rtol)
    assert_allclose(np.concatenate([part.sample_weight for part in parts]), table["weight"], rtol=rtol)
    assert all(part.X.flags.c_contiguous for part in parts)


def test_tables_datasets_and_lists_of_files(pa, parquet):
    import pyarrow.dataset as ds

    paths = [parquet(columns(100, seed=0), "1.parquet"), parquet(columns(150, seed=1), "2.parquet")]
    table = pa.concat_tables([pa.table(columns(100, seed=0)), pa.table(columns(150, seed=1))])
    expected = np.concatenate([table["a"], table["b"]])
    for data in (paths, [str(path) for path in paths], paths[0].parent, ds.dataset(paths), table):
        X = np.vstack([chunk.X for chunk in ArrowSource(data, ["a", "b"], chunk_rows=64)])
        assert_array_equal(np.concatenate([X[:, 0], X[:, 1]]), expected)


def test_partitions_are_columns(pa, tmp_path):
    import pyarrow.dataset as ds

    table = pa.table(columns() | {"year": np.repeat([2024, 2025], 150)})
    partitioning = ds.partitioning(pa.schema([("year", pa.int32())]), flavor="hive")
    ds.write_dataset(table, tmp_path / "rows", format="parquet", partitioning=partitioning)
    data = ds.dataset(tmp_path / "rows", partitioning=partitioning)
    X = np.vstack([chunk.X for chunk in ArrowSource(data, ["year", "a"])])
    assert_array_equal(np.sort(X[:, 0]), np.repeat([2024, 2025], 150))
    X = np.vstack([chunk.X for chunk in ArrowSource(data, ["year"], levels={"year": [2024, 2025]})])
    assert_array_equal(X.sum(axis=0), [150, 150])


def test_only_the_selected_columns_are_read(parquet, monkeypatch):
    import pyarrow.parquet as pq

    asked, read = [], pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile,
        "iter_batches",
        lambda *args, columns, **kw: asked.append(columns) or read(*args, columns=columns, **kw),
    )
    list(ArrowSource(parquet(), ["b"], "y"))
    assert asked == [["b", "y"]] * 5


@pytest.mark.parametrize(
    ("kinds", "dtype"),
    [
        (["f4", "f4"], "f4"),
        (["f4", "f8"], "f8"),
        (["f2", "i2"], "f4"),
        (["i4", "f4"], "f8"),
        (["?", "u1"], "f4"),
        (["i8", "?"], "f8"),
    ],
    ids=str,
)
def test_precision_is_what_the_columns_need(pa, kinds, dtype):
    values = np.array([0, 1, 1])
    table = pa.table({str(i): values.astype(kind) for i, kind in enumerate(kinds)})
    for given in (None, "float32", "float64"):
        (chunk,) = ArrowSource(table, dtype=given)
        assert chunk.X.dtype == (given or dtype)
        assert_array_equal(chunk.X, np.column_stack([values, values]))


def test_decimals_and_dictionaries_of_numbers(pa):
    table = pa.table(
        {"d": pa.array([1, 2], pa.decimal128(5, 2)), "n": pa.array([3.0, 4.0]).dictionary_encode(), "y": [0, 1]}
    )
    (chunk,) = ArrowSource(table, ["d", "n"], "y")
    assert_array_equal(chunk.X, [[1, 3], [2, 4]])


# Categories


@pytest.mark.parametrize("sparse_", [True, False, "auto"])
@pytest.mark.parametrize("encoded", [True, False])
def test_levels_are_indicators(pa, parquet, sparse_, encoded):
    table = columns()
    expected = OneHotEncoder(categories=[["wed", "mon", "tue"]], sparse_output=False).fit_transform(
        table["day"][:, None]
    )
    expected = np.column_stack([table["a"], expected, table["b"]])
    table["day"] = pa.array(table["day"]).dictionary_encode() if encoded else table["day"]
    source = ArrowSource(
        parquet(table), ["a", "day", "b"], "y", levels={"day": ["wed", "mon", "tue"]}, sparse=sparse_, chunk_rows=64
    )
    assert source.feature_names == ["a", "day=wed", "day=mon", "day=tue", "b"]
    parts = [chunk.X for chunk in source]
    assert all(sparse.issparse(part) == (sparse_ is True) for part in parts)
    assert_array_equal(np.vstack([part.toarray() if sparse_ is True else part for part in parts]), expected)
    model = fit_stream(MiniBatchSGDRegressor(), source, random_state=0)
    assert_array_equal(theta(model), theta(by_hand(MiniBatchSGDRegressor(), shuffled(source, 1))))


def test_levels_are_hashed_as_feature_hasher_does(parquet):
    table = columns()
    (chunk,) = ArrowSource(parquet(table), ["day"], levels={"day": 64})
    hasher = FeatureHasher(64, input_type="string", alternate_sign=False)
    assert_array_equal(chunk.X.toarray(), hasher.transform([[f"day={day}"] for day in table["day"]]).toarray())


def test_many_levels_are_sparse(pa):
    table = pa.table({"n": [1, 2, 3], "x": [0.5, 1.5, 2.5]})
    (chunk,) = ArrowSource(table, levels={"n": [1, 2, 3, 4, 5, 6, 7]})
    assert sparse.issparse(chunk.X)
    assert chunk.X.has_canonical_format
    assert_array_equal(chunk.X.toarray(), np.column_stack([np.eye(3, 7), [0.5, 1.5, 2.5]]))


def test_gap_among_unknown_levels_is_a_gap(pa):
    table = pa.table({"kind": ["?", "a", None, "a"]})
    with pytest.raises(ValueError, match="column 'kind' has a missing value; pass fill= to impute it, in row 2"):
        list(ArrowSource(table, levels={"kind": ["a"]}, unknown="ignore"))
    with pytest.raises(ValueError, match="column 'kind' has the unknown level 'b', in row 2"):
        list(ArrowSource(table, levels={"kind": ["a", "?"]}, fill={"kind": "b"}))


def test_unknown_levels(parquet):
    table = columns()
    known = {"levels": {"day": ["mon", "tue"]}}
    with pytest.raises(
        ValueError, match=r"rows.parquet, row group 0: column 'day' has the unknown level 'wed', in row"
    ):
        list(ArrowSource(parquet(table), ["day"], **known))
    (chunk,) = ArrowSource(parquet(table), ["day"], unknown="ignore", **known)
    assert_array_equal(chunk.X.sum(axis=1), table["day"] != "wed")


# Gaps and faults


def broken(fault, pa):
    """A table whose row group 2 is not as it should be, from row 7 of the group on."""
    table, row = columns(), 2 * 70 + 7
    if fault in ("null", "nan", "infinity"):
        values = table["b"].tolist()
        values[row] = {"null": None, "nan": np.nan, "infinity": np.inf}[fault]
        table["b"] = pa.array(values, pa.float32())
    elif fault == "both infinities":
        values = table["b"].tolist()
        values[row : row + 2] = np.inf, -np.inf
        table["b"] = pa.array(values, pa.float32())
    elif fault == "null level":
        table["day"] = pa.array([None if i == row else day for i, day in enumerate(table["day"])])
    elif fault == "null target":
        table["y"] = pa.array([None if i == row else y for i, y in enumerate(table["y"].tolist())], pa.float32())
    return table


@pytest.mark.parametrize(
    ("fault", "column"),
    [
        ("null", "b"),
        ("nan", "b"),
        ("infinity", "b"),
        ("both infinities", "b"),
        ("null level", "day"),
        ("null target", "y"),
    ],
)
def test_gap_is_named_and_the_model_kept(pa, parquet, fault, column):
    path = parquet(broken(fault, pa))
    source = ArrowSource(path, ["a", "b", "day"], "y", levels={"day": 4}, chunk_rows=70, shuffle=False)
    model = MiniBatchSGDRegressor()
    with pytest.raises(ChunkError) as caught:
        fit_stream(model, source)
    message = str(caught.value)
    assert message.startswith(f"Chunk 3 of epoch 1: {path}, row group 2: column '{column}' has ")
    assert message.endswith("in row 7")
    assert model.n_samples_seen_ == 140
    assert_array_equal(theta(model), theta(by_hand(MiniBatchSGDRegressor(), [c[:2] for c in islice(source, 2)])))


def test_gaps_are_filled_as_stated(pa, parquet):
    path = parquet(broken("null", pa))
    for fill in (-1.5, {"b": -1.5}):
        X = np.vstack([chunk.X for chunk in ArrowSource(path, ["a", "b"], fill=fill)])
        assert X[147, 1] == -1.5
        assert_array_equal(np.delete(X[:, 1], 147), np.delete(columns()["b"], 147))
    (chunk,) = ArrowSource(
        parquet(broken("null level", pa), "days.parquet"),
        ["day"],
        levels={"day": ["mon", "tue", "wed", "?"]},
        fill={"day": "?"},
    )
    assert_array_equal(chunk.X.toarray()[147] if sparse.issparse(chunk.X) else chunk.X[147], [0, 0, 0, 1])
    with pytest.raises(ValueError, match="column 'b' has a missing value"):
        list(ArrowSource(path, ["a", "b"], fill={"a": 0.0}))


def test_column_without_values_is_a_gap(pa):
    table = pa.table({"a": pa.nulls(3), "b": [1.0, 2.0, 3.0]})
    with pytest.raises(ValueError, match="column 'a' has a missing value"):
        list(ArrowSource(table))
    (chunk,) = ArrowSource(table, fill=0.0)
    assert_array_equal(chunk.X, [[0, 1], [0, 2], [0, 3]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table | {"b": [str(v) for v in table["b"]]}, "column 'b' is of type string, not of numbers"),
        (lambda table: {n: v for n, v in table.items() if n != "b"}, "there is no column 'b'"),
    ],
    ids=["type", "missing"],
)
@pytest.mark.parametrize("format", ["parquet", "csv", "arrow"])
def test_column_that_changes(pa, tmp_path, change, message, format):
    paths = []
    for day, table in enumerate([columns(), change(columns())]):
        if format == "csv" and "type" in message:
            table["b"] = [f"{v} kg" for v in table["b"]] if day else table["b"]
        (tmp_path / str(day)).mkdir()
        paths.append(write_as(format, table, tmp_path / str(day)))
    model = MiniBatchSGDRegressor()
    with pytest.raises(ChunkError) as caught:
        fit_stream(model, ArrowSource(paths, list("abc"), "y", chunk_rows=100, shuffle=False))
    assert message in str(caught.value)
    assert str(paths[1]) in str(caught.value)
    assert model.n_samples_seen_ == 300


def test_numbers_may_change_their_width(pa, tmp_path):
    tables = [{"x": np.array([1, 2], "i4"), "y": [1.0, 2.0]}, {"x": [2.5, 3.5], "y": [1, 2]}]
    for format in ("parquet", "csv", "arrow"):
        paths = []
        for day, table in enumerate(tables):
            (tmp_path / f"{format}{day}").mkdir()
            paths.append(write_as(format, table, tmp_path / f"{format}{day}"))
        (chunk,) = ArrowSource(paths, ["x"], "y")
        assert_array_equal(chunk.X.ravel(), [1, 2, 2.5, 3.5])


def test_text_that_does_not_parse(pa, tmp_path):
    good, bad = tmp_path / "1.csv", tmp_path / "2.csv"
    good.write_text("x,y\n" + "1.5,2\n" * 100)
    # Behind the first block, of a megabyte, from which types are inferred.
    bad.write_text("x,y\n" + f"1.5,2{'0' * 95}\n" * 20_000 + "oops,2\n")
    model = OnlineSGDRegressor()
    with pytest.raises(ChunkError, match=rf"{bad}.*oops"):
        fit_stream(model, ArrowSource([good, bad], ["x"], "y", chunk_rows=100, shuffle=False), max_rows=3_000_000)
    assert model.n_samples_seen_ >= 100


def test_damaged_row_group(parquet):
    path = parquet()
    content = bytearray(path.read_bytes())
    import pyarrow.parquet as pq

    start = pq.read_metadata(path).row_group(3).column(0).dictionary_page_offset
    content[start : start + 40] = bytes(40)
    path.write_bytes(content)
    model = MiniBatchSGDRegressor()
    with pytest.raises(ChunkError, match=rf"{path}, row group 3: "):
        fit_stream(model, ArrowSource(path, ["a"], "y", chunk_rows=70, shuffle=False))
    assert model.n_samples_seen_ == 210


def test_file_that_is_no_file(tmp_path, pa):
    (tmp_path / "rows.parquet").write_bytes(b"no table")
    with pytest.raises((ValueError, OSError), match=r"rows\.parquet"):
        fit_stream(OnlineSGDRegressor(), ArrowSource([tmp_path / "rows.parquet"], ["a"], "y"))


def test_gap_in_a_chunk_of_ones_own():
    chunks = chunks_of(*linear())
    chunks[1][0][3, 2] = np.nan
    model = OnlineSGDRegressor()
    with pytest.raises(ChunkError, match=r"Chunk 2 of epoch 1: Input X contains NaN") as caught:
        fit_stream(model, chunks)
    assert isinstance(caught.value.__cause__, ValueError)
    assert model.n_samples_seen_ == 20


def test_gap_in_an_array_is_named_by_its_block():
    X, y = linear(n=100)
    X[77, 0] = np.nan
    with pytest.raises(ChunkError, match=r"Chunk 4 of epoch 1 \(rows 60 to 79\): Input X contains NaN"):
        fit_stream(OnlineSGDRegressor(), ArraySource(X, y, chunk_rows=20, shuffle=False))


def test_what_a_generator_raises_is_the_cause():
    def chunks():
        yield from chunks_of(*linear())
        raise RuntimeError("the line is dead")

    model = OnlineSGDRegressor()
    with pytest.raises(ChunkError, match=r"Chunk 4 of epoch 1: the line is dead") as caught:
        fit_stream(model, chunks())
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert model.n_samples_seen_ == 60


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([np.eye(3)], "it has no targets"),
        ([(np.eye(3), np.ones(3), np.ones(3), 1)], "4 items"),
        ([(np.eye(3), np.ones(2))], "inconsistent"),
    ],
)
def test_chunks_that_are_none(source, message):
    with pytest.raises(ChunkError, match=message):
        fit_stream(OnlineSGDRegressor(), source)


def test_wrong_arguments(parquet):
    X, y = linear()
    with pytest.raises(ValueError, match="only once"):
        fit_stream(OnlineSGDRegressor(), iter([(X, y)]), epochs=2)
    with pytest.raises(ValueError, match="epochs must be 1 or more"):
        fit_stream(OnlineSGDRegressor(), [(X, y)], epochs=0)
    with pytest.raises(ValueError, match="no rows"):
        fit_stream(OnlineSGDRegressor(), [])
    with pytest.raises(ValueError, match="'eta0' parameter"):
        fit_stream(OnlineSGDRegressor(eta0=-1), [(X, y)])
    with pytest.raises(AttributeError, match="partial_fit"):
        fit_stream(OnlineSGDRegressor(early_stopping=True), [(X, y)])
    for source in (3, X, "rows.parquet"):
        with pytest.raises(TypeError, match="source must be"):
            fit_stream(OnlineSGDRegressor(), source)
    with pytest.raises(ValueError, match="y must have one number for each of the 60 rows"):
        ArraySource(X, y[1:])
    with pytest.raises(ValueError, match="chunk_rows must be"):
        ArraySource(X, y, chunk_rows=0)
    for wrong, message in {
        "features": "no column 'z'",
        "levels": "levels must name features; got z",
        "unknown": "unknown must be",
        "as_frame": "the transformer sees levels",
    }.items():
        values = {"features": ["z"], "levels": {"z": 3}, "unknown": "maybe", "as_frame": True}
        with pytest.raises(ValueError, match=message):
            ArrowSource(parquet(), **{"features": ["a"], "fill": 0.0} | {wrong: values[wrong]})


# The reading thread


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "sklearn_sgd-reader"]


def endless():
    """Rows without end."""
    rng = np.random.default_rng(0)
    while True:
        X = rng.standard_normal((10, 2))
        yield X, X.sum(axis=1)


@pytest.mark.parametrize("ahead", [0, 1, 4])
def test_reading_ahead_is_bounded(ahead):
    made = []

    def numbered():
        for number in count():
            made.append(number)
            yield np.ones((1, 1)), np.ones(1)

    gaps = []

    def look(now):
        time.sleep(0.01)
        gaps.append(len(made) - now.chunk)

    fit_stream(OnlineSGDRegressor(), numbered, max_rows=20, read_ahead=ahead, progress=look)
    assert max(gaps) <= ahead
    assert len(made) == 20
    assert not readers()


def test_reading_overlaps_with_learning():
    """Each waits until the other is at work: in turns, neither would ever be."""
    learning, reading = threading.Event(), threading.Event()

    class Model:
        def partial_fit(self, X, y):
            learning.set()
            assert reading.wait(10)

    def chunks():
        yield [[1.0]], [1.0]
        assert learning.wait(10)
        reading.set()
        yield [[1.0]], [1.0]

    fit_stream(Model(), chunks)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_thread_ends_with_the_caller(kind):
    def stop(now):
        if now.chunk == 3:
            raise kind

    model = OnlineSGDRegressor()
    with pytest.raises(kind):
        fit_stream(model, endless, progress=stop)
    assert not readers()
    assert model.n_samples_seen_ == 30


def test_thread_ends_with_a_prediction_that_nobody_wants():
    model = OnlineSGDRegressor().fit(*next(endless()))
    predictions = predict_stream(model, endless)
    assert next(predictions).shape == (10,)
    assert readers()
    predictions.close()
    assert not readers()


def test_rows_without_end_and_a_budget_of_rows():
    model = fit_stream(OnlineSGDRegressor(), endless, max_rows=25)
    X, y = (np.concatenate(parts) for parts in zip(*islice(endless(), 3), strict=True))
    assert model.n_samples_seen_ == 25
    chunks = [(X[:10], y[:10]), (X[10:20], y[10:20]), (X[20:25], y[20:25])]
    assert_array_equal(theta(model), theta(by_hand(OnlineSGDRegressor(), chunks)))


def test_rows_without_end_and_a_budget_of_seconds():
    start = time.monotonic()
    model = fit_stream(OnlineSGDRegressor(), endless, time_budget=0.2)
    assert model.n_samples_seen_ > 0
    assert time.monotonic() - start >= 0.2


def test_budget_of_seconds_when_nothing_comes(monkeypatch):
    monkeypatch.setattr("sklearn_sgd.streaming.prefetch.PATIENCE", 0.05)
    over = threading.Event()

    def silent():
        yield from islice(endless(), 2)
        over.wait(30)

    try:
        # Nothing is compiled within the budget.
        model = OnlineSGDRegressor().partial_fit(*next(endless()))
        fit_stream(model, silent, time_budget=0.3)
        assert model.n_samples_seen_ == 30
        # Still waiting; a process would end in spite of it.
        (reader,) = readers()
        assert reader.daemon
    finally:
        over.set()
    reader.join(10)
    assert not readers()


# What grows with the number of chunks


def test_where_no_thread_can_be_started(monkeypatch):
    """As in a browser: the caller's thread reads, and the coefficients are those of plain calls."""
    X, y = linear(120, 3)
    chunks = [(X[:50], y[:50]), (X[50:], y[50:])]

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    model, plain = fit_stream(OnlineSGDRegressor(), chunks, read_ahead=2), OnlineSGDRegressor()
    for part in chunks:
        plain.partial_fit(*part)
    assert_array_equal(model.coef_, plain.coef_)
    assert_array_equal(np.concatenate(list(predict_stream(model, chunks))), plain.predict(X))


@one_step_per_chunk
@all_kinds
def test_losses_of_a_long_stream_are_bounded(kind, monkeypatch, tmp_path):
    keep_losses(monkeypatch, 8)
    X, y = linear(n=100)
    model, all_, lengths, sizes = kind(), [], [], []
    for number in range(50):
        rows = slice(2 * number, 2 * number + 2)
        model.partial_fit(X[rows], y[rows])
        all_.append(model.loss_curve_[-1])
        lengths.append(len(model.loss_curve_))
        sizes.append(len(pickle.dumps(model)))
        assert model.loss_curve_ == all_[-lengths[-1] :]
        assert lengths[-1] == number + 1 if number < 15 else 8 <= lengths[-1] < 16
    assert model.n_iter_ == 50
    assert max(sizes[25:]) <= max(sizes[:25]) + 64
    # The same in a stream that is resumed.
    source = ArraySource(X, y, chunk_rows=2, shuffle=False)
    whole = fit_stream(kind(), source)
    fit_stream(kind(), source, max_rows=62, checkpoint=tmp_path / "c")
    resumed = fit_stream(kind(), source, checkpoint=tmp_path / "c")
    assert whole.loss_curve_ == resumed.loss_curve_ == model.loss_curve_


def test_losses_of_a_fit_are_all_kept(monkeypatch):
    keep_losses(monkeypatch, 8)
    model = OnlineSGDRegressor(epochs=40, tol=None).fit(*linear())
    assert len(model.loss_curve_) == 40


def test_nothing_in_a_model_grows_with_the_number_of_calls(monkeypatch):
    """By the pickled size of each attribute and of the state; numbers may need some bytes more."""
    keep_losses(monkeypatch, 8)
    X, y = linear(n=20)
    model, sizes = OnlineSGDRegressor(half_life=50.0), {}
    for number in range(1, 1001):
        model.partial_fit(X, y)
        if number in (100, 1000):
            state = model.__getstate__()
            fitted = state.pop("_fitted")
            parts = {**state, **fitted, **fitted.pop("states")[0]} | {"parameters": model._fitted.parameters._recipes}
            sizes[number] = {
                name: len(value) if name == "parameters" else len(pickle.dumps(value)) for name, value in parts.items()
            }
    del sizes[100]["losses"], sizes[1000]["losses"]
    for name, size in sizes[1000].items():
        assert size <= sizes[100][name] + 16, name


# Before and after the estimator


def test_transformer_stands_before(parquet):
    X, y = linear(n=100)
    scaler = StandardScaler().fit(100 * X)
    source = ArraySource(100 * X, y, chunk_rows=30)
    model = fit_stream(MiniBatchSGDRegressor(), source, transformer=scaler, random_state=0)
    expected = by_hand(MiniBatchSGDRegressor(), [(scaler.transform(X), y) for X, y in shuffled(source, 1)])
    assert_array_equal(theta(model), theta(expected))
    y_pred = np.concatenate(list(predict_stream(model, source, transformer=scaler)))
    assert_allclose(y_pred, model.predict(scaler.transform(100 * X)), rtol=1e-12)


def test_transformer_of_frames(parquet):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(columns())
    encoder = ColumnTransformer([("numbers", StandardScaler(), ["a", "b"]), ("names", OneHotEncoder(), ["day"])])
    encoder.fit(frame)
    source = ArrowSource(parquet(), ["day", "b", "a"], "y", as_frame=True, chunk_rows=64)
    model = fit_stream(MiniBatchSGDRegressor(), source, epochs=3, transformer=encoder, random_state=0)
    expected = by_hand(MiniBatchSGDRegressor(), [(encoder.transform(X), y) for X, y in shuffled(source, 3)])
    assert_array_equal(theta(model), theta(expected))
    whole = make_pipeline(encoder, model)
    y_pred = np.concatenate(list(predict_stream(model, source, transformer=encoder)))
    assert_allclose(y_pred, whole.predict(frame), rtol=1e-5)


@pytest.mark.parametrize("form", [list, iter])
def test_predictions_come_in_the_order_of_the_rows(form):
    X, y = linear(n=100)
    model = MiniBatchSGDRegressor().fit(X, y)
    expected = model.predict(X)
    parts = [X[:30], X[30:31], X[31:]]
    assert_allclose(np.concatenate(list(predict_stream(model, form(parts)))), expected, rtol=1e-12)
    assert_allclose(np.concatenate(list(predict_stream(model, ArraySource(X, chunk_rows=7)))), expected, rtol=1e-12)


def test_prediction_names_what_fails(parquet, pa):
    model = OnlineSGDRegressor().fit(np.eye(2), [1, 2])
    with pytest.raises(ChunkError, match=r"Chunk 1 of epoch 1: .*row group 2: column 'b' has a missing value"):
        list(predict_stream(model, ArrowSource(parquet(broken("nan", pa)), ["a", "b"])))
    with pytest.raises(ChunkError, match="3 features"):
        list(predict_stream(model, [np.ones((2, 3))]))


# Progress


def test_progress_is_reported():
    X, y = linear(n=90)
    reports = []
    model = fit_stream(OnlineSGDRegressor(), ArraySource(X, y, chunk_rows=20), epochs=2, progress=reports.append)
    assert [(now.epoch, now.chunk) for now in reports] == [(e, c) for e in (1, 2) for c in (1, 2, 3, 4, 5)]
    assert reports[-1].n_rows == 180
    assert reports[-1].share == 1.0
    assert reports[4].loss == reports[-1].loss == model.prequential_loss_
    assert reports[0].share == pytest.approx(20 / 180, abs=0.06)


def test_progress_bar(capsys, monkeypatch):
    X, y = linear(n=90)
    fit_stream(OnlineSGDRegressor(), ArraySource(X, y, chunk_rows=20), progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert "[########################] 100 %  epoch 1  90 rows" in lines[-1]
    assert len(lines) == 2
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fit_stream(OnlineSGDRegressor(), endless, progress=True, max_rows=100)
    err = capsys.readouterr().err
    assert err.count("\r") >= 2
    assert err.endswith("\n")
    assert " 10 %  epoch 1  10 rows" in err
    fit_stream(OnlineSGDRegressor(), endless, progress=True, time_budget=0.1)
    assert "%" not in capsys.readouterr().err


# Checkpoints


class Crash(Exception):
    """A process that ends, in a test."""


def crash_after(chunks):
    """A progress function that ends all after that many chunks."""
    left = iter(range(chunks - 1))

    def crash(now):
        if next(left, None) is None:
            raise Crash

    return crash


@pytest.fixture
def source(parquet):
    return ArrowSource(parquet(), list("abc"), "y", sample_weight="weight", chunk_rows=64)


@one_step_per_chunk
@all_kinds
@pytest.mark.parametrize("params", [{}, {"optimizer": "adam", "learning_rate": "invscaling"}], ids=["auto", "adam"])
def test_resumed_after_any_chunk(kind, params, source, tmp_path):
    expected = fit_stream(kind(**params), source, epochs=2, random_state=0)
    for chunks in range(1, 11):
        path = tmp_path / f"{chunks}.checkpoint"
        with pytest.raises(Crash):
            fit_stream(kind(**params), source, epochs=2, random_state=0, checkpoint=path, progress=crash_after(chunks))
        epochs, rest = divmod(chunks - 1, 5)
        assert load_checkpoint(path)[1:4] == (epochs, rest + 1, 300 * epochs + min(64 * (rest + 1), 300))
        model = fit_stream(kind(**params), source, epochs=2, checkpoint=path)
        assert_array_equal(theta(model), theta(expected))
        assert model.loss_curve_ == expected.loss_curve_
        assert model.prequential_loss_ == expected.prequential_loss_


def test_resumed_chunks_of_ones_own(tmp_path):
    chunks = chunks_of(*linear())
    expected = by_hand(OnlineSGDRegressor(), chunks * 2)
    for after in range(1, 6):
        path = tmp_path / f"{after}"
        with pytest.raises(Crash):
            fit_stream(OnlineSGDRegressor(), chunks, epochs=2, checkpoint=path, progress=crash_after(after))
        assert_array_equal(theta(fit_stream(OnlineSGDRegressor(), chunks, epochs=2, checkpoint=path)), theta(expected))
    with pytest.raises(ValueError, match=r"points past the end of the source \(chunk 3 of 1\)"):
        fit_stream(OnlineSGDRegressor(), chunks[:1], epochs=2, checkpoint=tmp_path / "1")


def test_finished_is_finished(source, tmp_path):
    path = tmp_path / "checkpoint"
    first = fit_stream(OnlineSGDRegressor(), source, checkpoint=path)
    again = fit_stream(OnlineSGDRegressor(), source, checkpoint=path)
    assert_array_equal(theta(again), theta(first))
    assert again.n_samples_seen_ == 300
    assert fit_stream(OnlineSGDRegressor(), source, epochs=2, checkpoint=path).n_samples_seen_ == 600


def test_budget_of_rows_counts_those_before(source, tmp_path):
    path = tmp_path / "checkpoint"
    for _ in range(2):
        assert fit_stream(OnlineSGDRegressor(), source, max_rows=100, checkpoint=path).n_samples_seen_ == 100


def test_seldom_checkpoints_keep_the_last_chunk(source, tmp_path):
    path = tmp_path / "checkpoint"
    fit_stream(OnlineSGDRegressor(), source, checkpoint=path, checkpoint_every=4)
    assert load_checkpoint(path).chunk == 5
    with pytest.raises(Crash):
        fit_stream(OnlineSGDRegressor(), source, checkpoint=tmp_path / "2", checkpoint_every=4, progress=crash_after(3))
    assert load_checkpoint(tmp_path / "2").chunk == 3


def test_interrupt_keeps_the_last_checkpoint(source, tmp_path):
    path = tmp_path / "checkpoint"

    def interrupt(now):
        if now.chunk == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_stream(OnlineSGDRegressor(), source, checkpoint=path, checkpoint_every=2, progress=interrupt)
    assert load_checkpoint(path).chunk == 2


def test_fault_keeps_what_was_learned_before(pa, parquet, tmp_path):
    path = tmp_path / "checkpoint"
    source = ArrowSource(parquet(broken("nan", pa)), ["a", "b"], "y", chunk_rows=70, shuffle=False)
    with pytest.raises(ChunkError):
        fit_stream(MiniBatchSGDRegressor(), source, checkpoint=path, checkpoint_every=100)
    mended = ArrowSource(parquet(), ["a", "b"], "y", chunk_rows=70, shuffle=False)
    model = fit_stream(MiniBatchSGDRegressor(), mended, checkpoint=path)
    assert_array_equal(theta(model), theta(fit_stream(MiniBatchSGDRegressor(), mended)))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "other", "archive", "empty", "version", "earlier"])
def test_damaged_checkpoint_is_not_loaded(source, tmp_path, damage):
    path = tmp_path / "checkpoint"
    fit_stream(OnlineSGDRegressor(), source, checkpoint=path)
    whole, archive = path.read_bytes(), io.BytesIO()
    np.savez(archive, a=np.ones(3))
    flipped = bytearray(whole)
    flipped[whole.index(b"NUMPY") + 130] ^= 1  # Among the numbers of an array.
    path.write_bytes(
        {
            "truncated": whole[: len(whole) // 2],
            "flipped": bytes(flipped),
            "other": pickle.dumps(3),
            "archive": archive.getvalue(),
            "empty": b"",
            "version": whole.replace(b"checkpoint 3", b"checkpoint 9", 1),
            "earlier": b"sklearn_sgd checkpoint 1 of version 0.1.0\n" + pickle.dumps(3),
        }[damage]
    )
    with pytest.raises(ValueError, match=r"checkpoint is (damaged|not a checkpoint|of another version).*Delete it"):
        fit_stream(OnlineSGDRegressor(), source, checkpoint=path)


def test_checkpoint_of_another_version_but_the_same_form_is_loaded(source, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint"
    model = fit_stream(OnlineSGDRegressor(), source, checkpoint=path)
    monkeypatch.setattr("sklearn_sgd.streaming.checkpoints.__version__", "9.9")
    assert_array_equal(theta(load_checkpoint(path).estimator), theta(model))


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_failed_save_leaves_the_one_before(source, tmp_path, monkeypatch, fails):
    path = tmp_path / "checkpoint"
    fit_stream(OnlineSGDRegressor(), source, checkpoint=path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, fails, fail)
    with pytest.raises(OSError, match="disk full"):
        fit_stream(OnlineSGDRegressor(), source, epochs=2, checkpoint=path)
    assert path.read_bytes() == before
    monkeypatch.undo()
    assert load_checkpoint(path).n_rows == 300
    assert fit_stream(OnlineSGDRegressor(), source, epochs=2, checkpoint=path).n_samples_seen_ == 600


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"features": ["a", "c", "b"]}, "columns of X"),
        ({"chunk_rows": 65}, "chunk_rows"),
        ({"target": "weight"}, "target"),
        ({"shuffle": False}, "shuffle"),
        ({"dtype": "float64"}, "precision of X"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_checkpoint_belongs_to_a_source(parquet, tmp_path, other, message):
    path, file = tmp_path / "checkpoint", parquet()
    mine = {"features": list("abc"), "target": "y", "chunk_rows": 64}
    fit_stream(OnlineSGDRegressor(), ArrowSource(file, **mine), checkpoint=path)
    with pytest.raises(ValueError, match=rf"belongs to another source \({message}"):
        fit_stream(OnlineSGDRegressor(), ArrowSource(file, **mine | other), checkpoint=path)
    more = parquet(columns(400))
    with pytest.raises(
        ValueError, match=r"number of row groups.*: 5 there, 6 here; number of rows: 300 there, 400 here"
    ):
        fit_stream(OnlineSGDRegressor(), ArrowSource(more, **mine), checkpoint=path)
    with pytest.raises(ValueError, match=r"source: ArrowSource there, ArraySource here"):
        fit_stream(OnlineSGDRegressor(), ArraySource(*linear()), checkpoint=path)


def test_checkpoint_belongs_to_a_kind_of_estimator(source, tmp_path):
    path = tmp_path / "checkpoint"
    fit_stream(OnlineSGDRegressor(), source, checkpoint=path)
    with pytest.raises(ValueError, match="is of a OnlineSGDRegressor, not of a BatchGDRegressor"):
        fit_stream(BatchGDRegressor(), source, checkpoint=path)


def test_parameters_are_those_of_the_estimator_given(source, tmp_path):
    path = tmp_path / "checkpoint"
    fit_stream(OnlineSGDRegressor(), source, checkpoint=path)
    model = fit_stream(OnlineSGDRegressor(half_life=500.0), source, epochs=2, checkpoint=path)
    assert model.half_life == 500.0
    assert load_checkpoint(path).estimator.half_life == 500.0


def process(program, *arguments):
    """Another Python, with this package."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def learn_in_another_process(file, checkpoint, result, pause=0.0):
    """Write what eight epochs learn."""
    source = ArrowSource(file, list("abc"), "y", chunk_rows=50)
    options = {"epochs": 8, "random_state": 0, "checkpoint": checkpoint, "progress": lambda now: time.sleep(pause)}
    model = fit_stream(MiniBatchSGDRegressor(), source, **options)
    result.write_text(f"{model.coef_.tobytes().hex()} {model.intercept_.hex()} {model.loss_curve_} {model.n_iter_}")


@pytest.fixture
def start(parquet, tmp_path):
    """A function that lets another process learn.

    Not this one, which may have compiled what the others load: sums may be rounded otherwise.
    """
    file = parquet(columns(2000))
    fit_stream(MiniBatchSGDRegressor(), ArrowSource(file, list("abc"), "y", chunk_rows=50), max_rows=100)
    # Processes that are forked from one that has imported the package start in a fraction of the time.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["llvmlite.binding", "pyarrow.dataset", "pyarrow.parquet", "sklearn_sgd.streaming"]
    )

    def start(checkpoint, result, pause=0.0):
        arguments = file, checkpoint, tmp_path / result, pause
        child = processes.Process(target=learn_in_another_process, args=arguments)
        child.start()
        return child

    return start


def assert_resumed_as_whole(start, path):
    """A run that was killed ends as one that was not."""
    for checkpoint, result in ((None, "whole"), (path, "resumed")):
        child = start(checkpoint, result)
        child.join()
        assert child.exitcode == 0
    assert path.with_name("resumed").read_text() == path.with_name("whole").read_text()


@pytest.mark.matrix
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_after_a_checkpoint(start, tmp_path):
    path, stands = tmp_path / "checkpoint", [0]
    for _ in range(2):
        child = start(path, "killed")
        while child.is_alive() and not (path.exists() and load_checkpoint(path).n_rows > stands[-1]):
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.1))
        child.kill()
        child.join()
        stands.append(load_checkpoint(path).n_rows)
    assert 0 < stands[1] < stands[2] < 16_000
    assert_resumed_as_whole(start, path)


@pytest.mark.matrix
@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_killed_at_twenty_random_moments(start, tmp_path):
    """Before the first chunk, while a chunk is learned or a checkpoint is written: whatever is there can be loaded."""
    path, stands, alive = tmp_path / "checkpoint", [0], 0
    for number in range(20):
        child = start(path, "killed", pause=0.01)
        # Of 320 chunks some more are learned, or none: the process may not even have begun.
        goal = stands[-1] + 50 * random.randrange(12) * (number % 4 > 0)
        while child.is_alive() and goal and not (path.exists() and load_checkpoint(path).n_rows >= goal):
            time.sleep(0.001)
        child.join(random.uniform(0.0, 0.03 if goal else 0.5))
        alive += child.is_alive()
        child.kill()
        child.join()
        stands.append(load_checkpoint(path).n_rows if path.exists() else 0)
        assert stands[-1] >= stands[-2]
        assert stands[-1] % 50 == 0
    assert alive >= 10
    assert stands[-1] > 0
    assert_resumed_as_whole(start, path)


# Larger than memory

LARGE = """
import json, resource, sys
import numpy as np
from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.streaming import ArraySource, fit_stream

model = MiniBatchSGDRegressor()
fit_stream(model, ArraySource(np.ones((64, 50)), np.ones(64)))
model = MiniBatchSGDRegressor()
in_use = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) << 10
allowed = in_use + (64 << 20)
resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
n = 2 * allowed // (50 * 8)
X = np.memmap(sys.argv[1], np.float64, "r+", shape=(n, 50))
block = np.random.default_rng(0).standard_normal((10_000, 50))
y = np.empty(n)
for start in range(0, n, len(block)):
    part = X[start : start + len(block)]
    part[:] = block[: len(part)]
    y[start : start + len(part)] = part @ np.arange(50.0)
X = np.memmap(sys.argv[1], np.float64, "r", shape=(n, 50))
try:
    np.array(X)
except MemoryError:
    refused = True
fit_stream(model, ArraySource(X, y), random_state=0)
print(json.dumps([allowed, X.nbytes, refused, model.n_samples_seen_, n, np.abs(model.coef_ - np.arange(50.0)).max()]))
"""


@pytest.mark.matrix
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's limit on a process's own memory")
def test_memory_map_twice_as_large_as_the_memory_allowed(tmp_path):
    """The limit is on what a process has for itself; of a file that is mapped it has what the system lends."""
    path = tmp_path / "X"
    with path.open("wb") as file:
        file.truncate(4 << 30)
    child = process(LARGE, path)
    out, err = child.communicate()
    assert child.returncode == 0, err
    allowed, size, too_large, seen, n, error = json.loads(out)
    assert size >= 2 * allowed - 400
    assert too_large
    assert seen == n
    assert error < 1e-6


@pytest.mark.matrix
def test_the_benchmark_in_small(pa, tmp_path, monkeypatch, capsys):
    """One way to read is measured in a process of its own, as all are; the others in this one."""
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    import stream

    measured = stream.measured

    def measured_here(way, path):
        if way == "learn":
            return measured(way, path)
        results = stream.WAYS[way](path)
        assert results["rows"] == 200_000
        return results | {"seconds": 1.0, "cpu": 1.0, "start": 0.0, "peak": 0.0}

    monkeypatch.setattr(stream, "measured", measured_here)
    monkeypatch.setattr(sys, "argv", ["stream.py", "--rows", "200000", "--laps", "1", "--folder", str(tmp_path)])
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    stream.main()
    out = capsys.readouterr().out
    assert "200,000 rows" in out
    peak = float(out.split("peak memory")[1].split()[0])
    assert 50 < peak < 600
    assert not list(tmp_path.iterdir())


def test_a_source_of_the_user():
    with pytest.raises(NotImplementedError):
        next(iter(Source().chunks()))
