"""What a source may be given, what it leaves out, and what it says of anything else."""

import threading
import time

import numpy as np
import pytest
from internals import look_seldom
from numpy.testing import assert_allclose, assert_array_equal
from problems import linear, theta
from scipy import sparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.streaming import (
    ArraySource,
    ArrowSource,
    Chunk,
    ChunkError,
    Source,
    fit_stream,
    load_checkpoint,
    predict_stream,
)


def write(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


def column(source, which=0):
    return np.concatenate([chunk.X[:, which] for chunk in source])


# Booleans and numbers in CSV


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("True False True", [1, 0, 1]),
        ("true FALSE TRUE", [1, 0, 1]),
        ('"True" "False" "true"', [1, 0, 1]),
        ("True NA false", [1, -1, 0]),
        ('"true" "" "FALSE"', [1, -1, 0]),
        ("1 0 true", [1, 0, 1]),
        ("True 0 1", [1, 0, 1]),
        ("NA NA NA", [-1, -1, -1]),
        ("true 0.5 7", [1, 0.5, 7]),
    ],
)
def test_booleans_in_csv(pa, tmp_path, text, values):
    rows = "\n".join(f"{value},{number},{value}" for number, value in enumerate(text.split()))
    path = write(tmp_path, "rows.csv", f"a,b,y\n{rows}\n")
    (chunk,) = ArrowSource(path, ["a", "b"], "y", fill={"a": -1, "y": -1})
    assert_array_equal(chunk.X, np.column_stack([values, range(len(values))]))
    assert_array_equal(chunk.y, values)
    if -1 in values:
        with pytest.raises(ValueError, match="column 'a' has a missing value"):
            list(ArrowSource(path, ["a", "b"]))


def test_booleans_as_levels_in_csv(pa, tmp_path):
    path = write(tmp_path, "rows.csv", "a,y\nTrue,1\nFalse,2\nTRUE,3\n")
    (chunk,) = ArrowSource(path, ["a"], "y", levels={"a": [False, True]}, sparse=False)
    assert_array_equal(chunk.X, [[0, 1], [1, 0], [0, 1]])


MANY = 300_000


@pytest.mark.parametrize(("first", "known"), [("1.5", 1.5), ("NA", -1), ("True", 1), ("7", 7)])
def test_columns_whose_type_changes_below(pa, tmp_path, first, known):
    """pyarrow infers the type from the first megabyte; below it there is something else."""
    last = ["True", "", "0.25", '"false"', " 3 ", "NaN"]
    text = "a,y\n" + f"{first},2\n" * MANY + "".join(f"{value},2\n" for value in last)
    source = ArrowSource(write(tmp_path, "rows.csv", text), ["a"], "y", fill=-1, chunk_rows=100_000, dtype="float64")
    a = column(source)
    assert_array_equal(a[:MANY], np.full(MANY, known))
    assert_array_equal(a[MANY:], [1, -1, 0.25, 0, 3, -1])


def test_the_value_that_is_no_number_is_named(pa, tmp_path):
    path = write(tmp_path, "rows.csv", "a,y\n" + "True,2\n" * MANY + "1.5,2\nperhaps,2\n")
    with pytest.raises(ValueError, match=rf"rows.csv: column 'a' is of type string.*'perhaps' in row {MANY + 1};"):
        list(ArrowSource(path, ["a"], "y", chunk_rows=100_000))


def test_columns_whose_type_differs_between_files(pa, tmp_path):
    texts = ["a,y\n,1\n", "a,y\ntrue,2\n", "a,y\n0.5,3\n", "a,y\n7,4\n"]
    paths = [write(tmp_path, f"{number}.csv", text) for number, text in enumerate(texts)]
    (chunk,) = ArrowSource(paths, ["a"], "y", fill=-1)
    assert_array_equal(chunk.X.ravel(), [-1, 1, 0.5, 7])


# Rows without a target


def with_gaps(pa, n=300, targets=1):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 2))
    y = X @ rng.standard_normal((2, targets)) + 1.0
    y[rng.random((n, targets)) < 0.3] = np.nan
    columns = {"a": X[:, 0], "b": X[:, 1], **{f"y{t}": y[:, t] for t in range(targets)}}
    # Some gaps are nulls, others NaN.
    columns["y0"] = pa.array([None if np.isnan(v) and i % 2 else v for i, v in enumerate(y[:, 0])], pa.float64())
    return pa.table(columns), X, y


@pytest.mark.parametrize("format", ["table", "parquet", "csv", "frame"])
@pytest.mark.parametrize("targets", [1, 2])
def test_rows_without_a_target_are_left_out(pa, tmp_path, format, targets):
    import pyarrow.csv
    import pyarrow.parquet  # noqa: F401

    table, X, y = with_gaps(pa, targets=targets)
    data, names = table, ["y0", "y1"][:targets] if targets > 1 else "y0"
    if format == "parquet":
        data = tmp_path / "rows.parquet"
        pa.parquet.write_table(table, data, row_group_size=70)
    elif format == "csv":
        data = tmp_path / "rows.csv"
        pa.csv.write_csv(table, data)
    there = ~np.isnan(y).any(axis=1)
    options = {"drop_missing_targets": True, "chunk_rows": 40, "as_frame": format == "frame"}
    source = ArrowSource(data, ["a", "b"], names, **options)
    assert source.n_rows is None
    chunks = list(source)
    assert [chunk.n_rows for chunk in chunks[:-1]] == [40] * (len(chunks) - 1)
    assert_allclose(np.vstack([np.asarray(chunk.X) for chunk in chunks]), X[there], rtol=1e-12)
    found = np.concatenate([chunk.y for chunk in chunks])
    assert_allclose(found, y[there] if targets > 1 else y[there, 0], rtol=1e-12)
    key = (0, 1)
    shuffled = list(source.chunks(key))
    assert_allclose(np.sort(np.concatenate([chunk.y for chunk in shuffled]), axis=0), np.sort(found, axis=0))
    rest = list(source.chunks(key, 2))
    assert len(rest) == len(shuffled) - 2
    for one, other in zip(rest, shuffled[2:], strict=True):
        assert_array_equal(np.asarray(one.X), np.asarray(other.X))
    if format == "frame":
        return
    model = MiniBatchSGDRegressor(random_state=0)
    fit_stream(model, source, max_rows=80, checkpoint=tmp_path / "c", random_state=0)
    model = fit_stream(MiniBatchSGDRegressor(), source, checkpoint=tmp_path / "c")
    assert model.n_samples_seen_ == there.sum()
    assert_array_equal(model.coef_, fit_stream(MiniBatchSGDRegressor(), source, random_state=0).coef_)
    # All rows get a prediction.
    assert_allclose(np.concatenate(list(predict_stream(model, source))), model_on(model, X), rtol=1e-9)


def model_on(model, X):
    return X @ model.coef_.T + model.intercept_


def test_the_rest_of_a_chunk_that_was_cut_is_not_lost(tmp_path):
    X, y = linear(n=100)
    source = ArraySource(X, y, chunk_rows=40, shuffle=False)
    for rows in (25, 50, 70, 100, 130, 200):
        model = fit_stream(OnlineSGDRegressor(), source, epochs=2, max_rows=rows, checkpoint=tmp_path / "c")
        assert model.n_samples_seen_ == load_checkpoint(tmp_path / "c").n_rows == rows
        assert model.n_iter_ == 1 + (rows > 100)
    expected = OnlineSGDRegressor()
    for start, stop in (
        (0, 25),
        (25, 40),
        (40, 50),
        (50, 70),
        (70, 80),
        (80, 100),
        (0, 30),
        (30, 40),
        (40, 80),
        (80, 100),
    ):
        expected.partial_fit(X[start:stop], y[start:stop])
    assert_array_equal(theta(model), theta(expected))


def test_a_missing_target_names_what_helps(pa):
    table, X, _ = with_gaps(pa)
    for fill in (None, 0.0, {"a": 0.0}):
        source = ArrowSource(table, ["a", "b"], "y0", fill=fill, shuffle=False)
        with pytest.raises(ChunkError, match=r"'y0' has a missing value; pass drop_missing_targets=True"):
            fit_stream(OnlineSGDRegressor(), source)
        # Nothing is asked of targets in predictions.
        model = OnlineSGDRegressor().fit(X, X[:, 0])
        assert len(next(predict_stream(model, source))) == 300


def test_rows_are_named_as_they_are_in_the_file(pa):
    table = pa.table({"a": [1.0, 2.0, 3.0, None], "y": [None, 2.0, None, 4.0]})
    with pytest.raises(ValueError, match=r"column 'a' has a missing value; .* in row 3"):
        list(ArrowSource(table, ["a"], "y", drop_missing_targets=True))


def test_a_missing_weight_names_what_helps(pa):
    table = pa.table({"a": [1.0, 2.0], "y": [1.0, 2.0], "w": [1.0, None]})
    with pytest.raises(ValueError, match=r"'w' has a missing value; pass fill={'w': 0.0} to leave out such rows"):
        list(ArrowSource(table, ["a"], "y", sample_weight="w", fill=0.0))
    (chunk,) = ArrowSource(table, ["a"], "y", sample_weight="w", fill={"w": 0.0})
    assert_array_equal(chunk.sample_weight, [1, 0])


def test_a_missing_level_names_what_helps(pa):
    table = pa.table({"kind": ["a", None], "x": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"'kind' has a missing value; pass fill={'kind': ...} to impute it"):
        list(ArrowSource(table, ["kind", "x"], levels={"kind": ["a"]}, fill=0.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": "0"}, "fill must be a number, or a dict"),
        ({"fill": {"z": 0.0}}, "fill must name columns that are read; got z"),
        ({"drop_missing_targets": True}, "drop_missing_targets=True needs a target"),
        ({"drop_missing_targets": True, "target": "y0", "fill": {"y0": 0}}, "omit fill for the targets"),
    ],
)
def test_options_that_contradict_each_other(pa, options, message):
    with pytest.raises(ValueError, match=message):
        ArrowSource(with_gaps(pa)[0], ["a", "b"], **options)


def test_a_level_that_is_nan_is_missing(pa):
    table = pa.table({"kind": [1.0, float("nan"), 2.0]})
    for levels in (8, [1.0, 2.0]):
        with pytest.raises(ValueError, match=r"'kind' has a missing value; pass fill= to impute it, in row 1"):
            list(ArrowSource(table, levels={"kind": levels}, unknown="ignore"))
        (chunk,) = ArrowSource(table, levels={"kind": levels}, fill={"kind": 2.0}, sparse=False)
        assert_array_equal(chunk.X[1], chunk.X[2])


def test_equal_numbers_are_one_level(pa):
    """A column of integers is one of floats in a file with missing values that pandas wrote."""
    columns = [pa.array([1, 0]), pa.array([1.0, 0.0]), pa.array([True, False])]
    columns.append(pa.array([1, 0], pa.int64()).cast(pa.decimal128(21, 2)))
    made = [next(iter(ArrowSource(pa.table({"k": c}), levels={"k": 64}, sparse=False))).X for c in columns]
    expected = FeatureHasher(64, input_type="string", alternate_sign=False).transform([["k=1"], ["k=0"]]).toarray()
    for X in made:
        assert_array_equal(X, expected)


def test_a_column_that_is_named_twice(pa):
    table = pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    with pytest.raises(ValueError, match="features must be different columns; 'a' occurs twice"):
        ArrowSource(table, ["a", "a"], "b")
    with pytest.raises(ValueError, match="target and sample_weight must be numbers; levels names a"):
        ArrowSource(table, ["a"], "a", levels={"a": [1.0, 2.0]})
    with pytest.raises(ValueError, match="A target cannot be a feature, too; got a"):
        ArrowSource(table, ["a", "b"], "a")


@pytest.mark.parametrize("as_frame", [False, True])
def test_a_feature_may_be_the_weight_too(pa, as_frame):
    table = pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0], "y": [5.0, 6.0]})
    (chunk,) = ArrowSource(table, ["a", "b"], ["y", "y"], sample_weight="a", as_frame=as_frame)
    assert_array_equal(chunk.X, [[1, 3], [2, 4]])
    assert_array_equal(chunk.y, [[5, 5], [6, 6]])
    assert_array_equal(chunk.sample_weight, [1, 2])


def test_levels_by_hash_stay_within_memory(pa, monkeypatch):
    """Of names that never come again, such as those of users, only some are remembered."""
    monkeypatch.setattr("sklearn_sgd.streaming.arrow_chunks.LEVELS", 50)
    names = [f"user {i % 120}" for i in range(600)]
    table = pa.table({"user": names})
    few = np.vstack([chunk.X.toarray() for chunk in ArrowSource(table, levels={"user": 32}, chunk_rows=64)])
    monkeypatch.undo()
    (all_,) = ArrowSource(table, levels={"user": 32}, chunk_rows=600)
    assert_array_equal(few, all_.X.toarray())


# Datasets with a filter


def datasets(pa, folder):
    """The same rows in every kind of dataset."""
    import pyarrow.csv
    import pyarrow.dataset as ds
    import pyarrow.parquet  # noqa: F401

    n = 300
    table = pa.table(
        {
            "a": np.arange(float(n)),
            "y": np.arange(float(n)) * 2,
            "kind": ["x", "z"] * (n // 2),
            "flag": np.arange(n) % 3 == 0,
        }
    )
    pa.parquet.write_table(table, folder / "rows.parquet", row_group_size=70)
    pa.csv.write_csv(table, folder / "rows.csv")
    with pa.OSFile(str(folder / "rows.arrow"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=70)
    by_kind = ds.partitioning(pa.schema([("kind", pa.string())]), flavor="hive")
    ds.write_dataset(table, folder / "parts", format="parquet", partitioning=by_kind)
    return {
        "parquet": ds.dataset(folder / "rows.parquet"),
        "csv": ds.dataset(folder / "rows.csv", format="csv"),
        "ipc": ds.dataset(folder / "rows.arrow", format="ipc"),
        "table": ds.dataset(table),
        "union": ds.dataset([ds.dataset(table), ds.dataset(folder / "rows.parquet")]),
        "partitions": ds.dataset(folder / "parts", partitioning=by_kind),
    }


@pytest.mark.parametrize("kind", ["parquet", "csv", "ipc", "table", "union", "partitions"])
def test_filtered_datasets(pa, tmp_path, kind):
    import pyarrow.dataset as ds

    data = datasets(pa, tmp_path)[kind]
    few, some, flag = ds.field("a") > 100, ds.field("kind") == "x", ds.field("flag")
    for condition in (few, some, flag, few & some, ds.field("a") < 0):
        filtered = data.filter(condition)
        expected = np.sort(filtered.to_table()["a"].to_numpy())
        source = ArrowSource(filtered, ["a", "flag", "kind"], "y", levels={"kind": ["x", "z"]}, chunk_rows=64)
        assert source.n_rows is None or not len(expected)
        for key in (None, (0, 1)):
            chunks = list(source.chunks(key))
            X = np.vstack([np.empty((0, 4)), *(chunk.X for chunk in chunks)])
            assert_array_equal(np.sort(X[:, 0]), expected)
            assert_array_equal(X[:, 1], X[:, 0] % 3 == 0)
            assert_array_equal(X[:, 2], X[:, 0] % 2 == 0)
            assert_array_equal(np.concatenate([[], *(chunk.y for chunk in chunks)]), 2 * X[:, 0])
        if len(expected) > 64:
            assert_array_equal(column(source.chunks((0, 1), 1)), X[64:, 0])
    assert source.identity() != ArrowSource(data, ["a", "flag", "kind"], "y", levels={"kind": ["x", "z"]}).identity()


def test_filtered_row_groups_are_shuffled_and_named(pa, tmp_path):
    import pyarrow.dataset as ds

    data = datasets(pa, tmp_path)["parquet"].filter(ds.field("flag"))
    orders = {tuple(column(ArrowSource(data, ["a"]).chunks((0, epoch)))) for epoch in range(4)}
    assert len(orders) == 4
    (chunk,) = ArrowSource(data, ["a"])
    assert "row group 0, rows that pass the filter, row 0 to" in chunk.where


def test_a_checkpoint_belongs_to_a_filter(pa, tmp_path):
    import pyarrow.dataset as ds

    data = datasets(pa, tmp_path)["parquet"]
    sources = [ArrowSource(data.filter(ds.field("a") > least), ["a"], "y") for least in (10, 20)]
    fit_stream(OnlineSGDRegressor(), sources[0], checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match=r"belongs to another source \(filter: \(a > 10\) there, \(a > 20\) here\)"):
        fit_stream(OnlineSGDRegressor(), sources[1], checkpoint=tmp_path / "c")


# What is given where it does not belong


def frame_of(kind, X):
    library = pytest.importorskip(kind)
    return library.DataFrame(X, **{"columns" if kind == "pandas" else "schema": list("abcde")})


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_are_named_with_what_to_give(pa, kind):
    """The message names the remedy, which works, and does not print the frame."""
    X, y = linear(n=30)
    frame = frame_of(kind, X)
    table = pa.Table.from_pandas(frame) if kind == "pandas" else frame.to_arrow()
    with pytest.raises(
        TypeError, match=r"got DataFrame. Give it as a table: (pyarrow.Table.from_pandas|data.to_arrow)\("
    ):
        ArrowSource(frame, list("abcde"))
    assert sum(chunk.n_rows for chunk in ArrowSource(table, list("abcde"))) == 30
    with pytest.raises(
        TypeError, match=r"got a data frame\. Give numpy.asarray\(X\), or chunks of frames: \[\(X, y\)\]"
    ):
        ArraySource(frame, y)
    model = OnlineSGDRegressor().fit(X, y)
    for learn in (lambda source: fit_stream(OnlineSGDRegressor(), source), lambda s: list(predict_stream(model, s))):
        with pytest.raises(TypeError, match=r"source must be .*; got DataFrame.*ArrowSource.*\[\(frame, y\)\]"):
            learn(frame)
    learned = fit_stream(OnlineSGDRegressor(), [(frame, y)])
    assert_array_equal(theta(learned), theta(OnlineSGDRegressor().partial_fit(X, y)))
    if kind == "pandas":
        assert learned.feature_names_in_.tolist() == list("abcde")


@pytest.mark.parametrize(
    "data",
    [None, 3, [], {}, np.ones((3, 2)), (np.ones((3, 2)), np.ones(3)), [1, 2], iter([]), OnlineSGDRegressor(), b"rows"],
    ids=lambda data: type(data).__name__,
)
def test_what_is_no_data_for_an_arrow_source(pa, data):
    with pytest.raises(TypeError, match=r"data must be a path, a list of paths, .*ArraySource\(X, y\)"):
        ArrowSource(data)


def test_what_can_be_read_once_only(pa):
    table = pa.table({"a": [1.0, 2.0]})
    import pyarrow.dataset as ds

    for once, method in ((table.to_reader(), "read_all"), (ds.dataset(table).scanner(), "to_table")):
        with pytest.raises(TypeError, match=rf"only once; give its table: data.{method}\(\)"):
            ArrowSource(once)
        assert len(list(ArrowSource(getattr(once, method)()))) == 1
    for several in ([table, table], [ds.dataset(table), ds.dataset(table)], table.to_batches()):
        assert sum(chunk.n_rows for chunk in ArrowSource(several)) in (2, 4)


@pytest.mark.parametrize(
    "pair",
    [
        lambda X, y: (X, y),
        lambda X, y: [X, y],
        lambda X, y: (X, y, np.ones(len(y))),
        lambda X, y: (X.tolist(), y.tolist()),
        lambda X, y: (sparse.csr_matrix(X), y),
        lambda X, y: Chunk(X, y),
        lambda X, y: (X, np.column_stack([y, y])),
        lambda X, y: (pytest.importorskip("pandas").DataFrame(X), pytest.importorskip("pandas").Series(y)),
    ],
)
def test_x_and_y_are_not_chunks(pair):
    X, y = linear(n=30)
    with pytest.raises(
        TypeError, match=r"got \(X, y\) itself\. Give \[\(X, y\)\] for one chunk, or ArraySource\(X, y\)"
    ):
        fit_stream(OnlineSGDRegressor(), pair(X, y))
    expected = OnlineSGDRegressor().partial_fit(X, y)
    assert_array_equal(theta(fit_stream(OnlineSGDRegressor(), [(X, y)])), theta(expected))
    if np.ndim(pair(X, y)[1]) == 1:
        with pytest.raises(TypeError, match="itself"):
            list(predict_stream(expected, pair(X, y)))


def test_rows_to_predict_for_may_come_in_a_tuple():
    X, y = linear(n=30)
    model = OnlineSGDRegressor().fit(X, y)
    for chunks in ((X[:10], X[10:]), [X[:10], X[10:]], ((X[:10], y[:10]), (X[10:], y[10:])), (X,)):
        assert_allclose(np.concatenate(list(predict_stream(model, chunks))), model.predict(X), rtol=1e-12)


def test_estimators_that_cannot_learn_from_chunks():
    X, y = linear(n=30)
    pipeline = make_pipeline(StandardScaler(), OnlineSGDRegressor()).fit(X, y)
    with pytest.raises(TypeError, match=r"a Pipeline has none.*transformer=.*fit_stream\(pipeline\[-1\], source, "):
        fit_stream(pipeline, [(X, y)])
    fit_stream(pipeline[-1], [(X, y)], transformer=pipeline[:-1])
    for estimator in (Ridge(), GridSearchCV(OnlineSGDRegressor(), {}), TransformedTargetRegressor(), 3):
        with pytest.raises(TypeError, match=f"must have partial_fit; {type(estimator).__name__} has none"):
            fit_stream(estimator, [(X, y)])
    with pytest.raises(TypeError, match=r"instance, not a class: give OnlineSGDRegressor\(\)"):
        fit_stream(OnlineSGDRegressor, [(X, y)])
    # Its own reason is better.
    with pytest.raises(AttributeError, match="early_stopping=True needs several epochs"):
        fit_stream(OnlineSGDRegressor(early_stopping=True), [(X, y)])


def test_transformers_that_are_none():
    X, y = linear(n=30)
    pipeline = make_pipeline(StandardScaler(), OnlineSGDRegressor()).fit(X, y)
    for transformer, hint in ((pipeline, r"pipeline\[:-1\]"), (StandardScaler, "got a class"), (np.log, "got ufunc")):
        with pytest.raises(TypeError, match=rf"transformer must be a fitted object with the method transform.*{hint}"):
            fit_stream(OnlineSGDRegressor(), [(X, y)], transformer=transformer)
        with pytest.raises(TypeError, match="transformer must be"):
            list(predict_stream(pipeline[-1], [X], transformer=transformer))


@pytest.mark.parametrize(
    "wrong",
    [{"max_rows": 0}, {"read_ahead": -1}, {"epochs": 1.5}, {"checkpoint_every": 0}, {"time_budget": 0}],
    ids=str,
)
def test_limits_that_are_none(wrong):
    with pytest.raises(ValueError, match=rf"{next(iter(wrong))} must be"):
        fit_stream(OnlineSGDRegressor(), [linear()], **wrong)


@pytest.mark.parametrize("progress", ["yes", 1, None], ids=str)
def test_progress_that_cannot_be_called(progress):
    model = OnlineSGDRegressor()
    with pytest.raises(TypeError, match="progress must be True, False or a function"):
        fit_stream(model, [linear()], progress=progress)
    assert not hasattr(model, "coef_")


@pytest.mark.parametrize("item", [None, 3.0], ids=str)
def test_items_that_are_no_chunks(item):
    with pytest.raises(ChunkError, match=rf"Chunk 2 of epoch 1: a chunk must be \(X, y\) .*; got {item}"):
        fit_stream(OnlineSGDRegressor(), [linear(), item])


# Arrays


def test_columns_with_an_index_of_their_own():
    """A Series is read by position, whatever its index says."""
    pd = pytest.importorskip("pandas")
    X, y = linear(n=60)
    weight = np.arange(1.0, 61)
    given = [pd.Series(values, index=np.arange(60)[::-1]) for values in (y, weight)]
    ours = fit_stream(OnlineSGDRegressor(), ArraySource(X, *given, chunk_rows=20), random_state=0)
    theirs = fit_stream(OnlineSGDRegressor(), ArraySource(X, y, weight, chunk_rows=20), random_state=0)
    assert_array_equal(theta(ours), theta(theirs))
    ours = fit_stream(OnlineSGDRegressor(), ArraySource(X, y.tolist(), weight.tolist(), chunk_rows=20), random_state=0)
    assert_array_equal(theta(ours), theta(theirs))


@pytest.mark.parametrize("form", [sparse.csc_matrix, sparse.coo_array])
def test_other_sparse_matrices(form):
    X, y = linear(n=60)
    ours = fit_stream(OnlineSGDRegressor(), ArraySource(form(X), y, chunk_rows=20), random_state=0)
    theirs = fit_stream(OnlineSGDRegressor(), ArraySource(sparse.csr_matrix(X), y, chunk_rows=20), random_state=0)
    assert_array_equal(theta(ours), theta(theirs))


def test_what_is_no_array():
    X, y = linear(n=30)
    with pytest.raises(TypeError, match="got of type list"):
        ArraySource(X.tolist(), y)
    with pytest.raises(ValueError, match=r"two dimensions; got shape \(30,\)"):
        ArraySource(y, y)


# The reading thread


def test_a_source_may_be_silent_for_longer_than_a_wait(monkeypatch):
    """A wait that ends is not the end of the source."""
    look_seldom(monkeypatch, 0.01)
    X, y = linear(n=40)

    def slow():
        for start in (0, 20):
            time.sleep(0.2)
            yield X[start : start + 20], y[start : start + 20]

    assert fit_stream(OnlineSGDRegressor(), slow).n_samples_seen_ == 40


def test_a_thread_that_is_gone_is_an_error(monkeypatch):
    look_seldom(monkeypatch, 0.01)
    monkeypatch.setattr(threading.Thread, "start", lambda self: None)
    monkeypatch.setattr(threading.Thread, "is_alive", lambda self: False)
    monkeypatch.setattr(threading.Thread, "join", lambda self, timeout=None: None)
    with pytest.raises(RuntimeError, match="ended without a result"):
        fit_stream(OnlineSGDRegressor(), [linear()])


# What the estimator gets, and what is counted


def test_epochs_and_time_budget_of_the_estimator_are_for_fit():
    X, y = linear(n=40)
    chunks = [(X[:20], y[:20]), (X[20:], y[20:])]
    with pytest.warns(
        UserWarning, match=r"OnlineSGDRegressor\(epochs=5\) is for fit.*fit_stream\(..., epochs=5\)"
    ) as caught:
        model = fit_stream(OnlineSGDRegressor(epochs=5), chunks)
    assert caught[0].filename == __file__
    assert model.n_samples_seen_ == 40
    with pytest.warns(UserWarning, match=r"time_budget=9\) is for fit"):
        fit_stream(OnlineSGDRegressor(time_budget=9), chunks)
    # Nothing to say where the call says it, or both say the same; warnings are errors here.
    assert fit_stream(OnlineSGDRegressor(epochs=5), chunks, epochs=2).n_samples_seen_ == 80
    fit_stream(OnlineSGDRegressor(epochs=1), chunks)
    fit_stream(OnlineSGDRegressor(time_budget=9), chunks, time_budget=100)


def test_full_batches_step_once_per_chunk_and_say_so():
    X, y = linear(n=60)
    chunks = [(X[i : i + 20], y[i : i + 20]) for i in (0, 20, 40)]
    for model in (BatchGDRegressor(), MiniBatchSGDRegressor(batch_size=None)):
        with pytest.warns(UserWarning, match=r"takes one step on each chunk.*MiniBatchSGDRegressor\(batch_size="):
            fit_stream(model, chunks, epochs=2)
        assert (model.n_updates_, model.n_iter_) == (6, 2)
    assert fit_stream(MiniBatchSGDRegressor(batch_size=20), chunks).n_updates_ == 3


def test_the_seed_is_that_of_the_estimator():
    source = ArraySource(*linear(n=200), chunk_rows=20)
    models = [
        fit_stream(MiniBatchSGDRegressor(random_state=3), source, random_state=seed) for seed in (None, None, 3, 4)
    ]
    assert_array_equal(theta(models[0]), theta(models[1]))
    assert_array_equal(theta(models[0]), theta(models[2]))
    assert (theta(models[0]) != theta(models[3])).any()


@pytest.mark.parametrize("stop", [2, 5, 7])
def test_passes_are_counted_not_chunks(stop, tmp_path):
    X, y = linear(n=100)
    source = ArraySource(X, y, chunk_rows=20)
    model = fit_stream(MiniBatchSGDRegressor(), source, epochs=3, random_state=0)
    assert model.n_iter_ == 3
    assert len(model.loss_curve_) == 15
    fit_stream(MiniBatchSGDRegressor(), source, epochs=3, random_state=0, max_rows=20 * stop, checkpoint=tmp_path / "c")
    assert load_checkpoint(tmp_path / "c").estimator.n_iter_ == -(-stop // 5)
    assert fit_stream(MiniBatchSGDRegressor(), source, epochs=3, checkpoint=tmp_path / "c").n_iter_ == 3
    # Chunks without rows are no pass, and each other call counts.
    empty = [(X[:0], y[:0]), (X[:20], y[:20]), (X[:0], y[:0]), (X[20:], y[20:])]
    assert fit_stream(model, empty).n_iter_ == 4
    assert model.partial_fit(X, y).n_iter_ == 5


class Named(Source):
    """Arrays whose columns have names."""

    def __init__(self, X, y, names):
        self.X, self.y, self.feature_names = X, y, names

    def chunks(self, key=None, skip=0):
        for start in range(20 * skip, len(self.y), 20):
            yield Chunk(self.X[start : start + 20], self.y[start : start + 20])


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, SGDRegressor])
def test_names_of_the_source_are_those_of_the_features(kind, tmp_path):
    pd = pytest.importorskip("pandas")
    X, y = linear(n=60)
    names, params = list("abcde"), {"random_state": 0}
    plain = fit_stream(kind(**params), Named(X, y, None), epochs=2)
    assert not hasattr(plain, "feature_names_in_")
    model = fit_stream(kind(**params), Named(X, y, names), epochs=2, checkpoint=tmp_path / "c")
    assert model.feature_names_in_.tolist() == names
    assert model.feature_names_in_.dtype == object
    assert_array_equal(theta(model), theta(plain))
    # A frame with these names is known, another is not, and nobody warns of arrays of the same source.
    assert_allclose(model.predict(pd.DataFrame(X, columns=names)), plain.predict(X), rtol=1e-12)
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(pd.DataFrame(X, columns=names[::-1]))
    assert_allclose(np.concatenate(list(predict_stream(model, Named(X, y, names)))), plain.predict(X), rtol=1e-12)
    for other, message in ((names[::-1], "they have another order"), (list("abcdz"), "new: z; missing: e")):
        for use in (fit_stream, lambda model, source: list(predict_stream(model, source))):
            with pytest.raises(ValueError, match=rf"columns of the source are not those that .* \({message}"):
                use(model, Named(X, y, other))
    twin = load_checkpoint(tmp_path / "c", kind(**params)).estimator
    assert twin.feature_names_in_.tolist() == names
    fit_stream(twin, Named(X, y, names))
    # Elsewhere an array without names is what it always was.
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.partial_fit(X[:20], y[:20])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(X)


def test_names_of_files_and_frames(pa):
    pytest.importorskip("pandas")
    table = pa.table({"a": [1.0, 2.0, 3.0], "kind": ["x", "z", "x"], "y": [1.0, 2.0, 3.0]})
    levels = {"kind": ["x", "z"]}
    model = fit_stream(OnlineSGDRegressor(), ArrowSource(table, ["a", "kind"], "y", levels=levels))
    assert model.feature_names_in_.tolist() == ["a", "kind=x", "kind=z"]
    frame = ArrowSource(table, ["a"], "y", as_frame=True)
    model = fit_stream(OnlineSGDRegressor(), frame)
    assert model.feature_names_in_.tolist() == ["a"]
    assert len(np.concatenate(list(predict_stream(model, frame)))) == 3
    scaler = StandardScaler().fit(np.arange(3.0)[:, None])
    # A transformer makes columns of its own.
    model = fit_stream(OnlineSGDRegressor(), ArrowSource(table, ["a"], "y"), transformer=scaler)
    assert not hasattr(model, "feature_names_in_")


def test_names_that_are_not_those_of_the_columns():
    X, y = linear(n=60)
    model = OnlineSGDRegressor()
    with pytest.raises(ChunkError, match="5 columns, but the source has 2 feature_names"):
        fit_stream(model, Named(X, y, ["a", "b"]))
    assert not hasattr(model, "n_features_in_")
    X[30, 1] = np.nan
    with pytest.raises(ChunkError, match="NaN"):
        fit_stream(model, Named(X, y, list("abcde")))
    assert model.feature_names_in_.tolist() == list("abcde")


def numbered_chunks(size=10, number=6):
    """Yield chunks of numbered samples, in which the target shows which samples were learned."""
    rng = np.random.default_rng(0)
    for start in range(0, size * number, size):
        X = rng.normal(size=(size, 2))
        yield X, X @ [1.0, 2.0] + np.arange(start, start + size)


@pytest.mark.parametrize("kind", [list, lambda chunks: numbered_chunks])
def test_a_chunk_that_max_rows_cuts_goes_on_with_the_next_row(tmp_path, kind):
    chunks, path = [*numbered_chunks()], tmp_path / "c"
    source = kind(chunks)
    fit_stream(OnlineSGDRegressor(), source, max_rows=24, checkpoint=path)
    resumed = fit_stream(OnlineSGDRegressor(), source, checkpoint=path)
    (X, y), parts = chunks[2], [slice(4), slice(4, None)]
    by_hand = OnlineSGDRegressor()
    for X, y in [*chunks[:2], *((X[rows], y[rows]) for rows in parts), *chunks[3:]]:
        by_hand.partial_fit(X, y)
    assert_array_equal(resumed.coef_, by_hand.coef_)
    X, y = (np.concatenate(arrays) for arrays in zip(*chunks, strict=True))
    assert_allclose(resumed.coef_, np.linalg.lstsq(np.c_[X, np.ones(60)], y)[0][:2], rtol=1e-3)
    whole = fit_stream(OnlineSGDRegressor(), source)
    fit_stream(OnlineSGDRegressor(), source, max_rows=30, checkpoint=tmp_path / "d")
    assert_array_equal(fit_stream(OnlineSGDRegressor(), source, checkpoint=tmp_path / "d").coef_, whole.coef_)


def test_rows_of_an_iterator_that_max_rows_loses_are_named(tmp_path):
    with pytest.warns(UserWarning, match="cut chunk 3 after 4 of its rows"):
        fit_stream(OnlineSGDRegressor(), numbered_chunks(), max_rows=24)
    chunks = numbered_chunks()
    model = fit_stream(OnlineSGDRegressor(), chunks, max_rows=20)  # Warnings are errors.
    assert fit_stream(model, chunks).n_samples_seen_ == 60
    # A generator that has begun is not skipped for a second time.
    chunks, path = numbered_chunks(), tmp_path / "c"
    model = fit_stream(OnlineSGDRegressor(), chunks, max_rows=24, checkpoint=path)
    model.partial_fit(*next(numbered_chunks()))
    with pytest.raises(ValueError, match="this generator has given some already"):
        fit_stream(model, chunks, checkpoint=path)
    assert model.n_samples_seen_ == 34  # It is left as it was.
    assert fit_stream(OnlineSGDRegressor(), chunks, max_rows=24, checkpoint=path).n_samples_seen_ == 24
    assert fit_stream(model, numbered_chunks(), checkpoint=path).n_samples_seen_ == 60
