"""On a cluster the regressors learn what they learn on one machine, though few rows leave the workers."""

import importlib
import inspect
import os
import pickle
import signal
import traceback
from pathlib import Path

import numpy as np
import pytest
import sklearn
from internals import (
    collect_few,
    one_chain,
    one_chain_per_block,
    samples_on,
    skip_full_batches_at_the_end,
    watch_gather,
    without_dask_client,
)
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering, csr, in_domain, learned, linear, some_weights, theta
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError, UndefinedMetricWarning
from sklearn.linear_model import LinearRegression, PoissonRegressor, QuantileRegressor, SGDRegressor
from sklearn.metrics import r2_score
from sklearn.preprocessing import normalize

da = pytest.importorskip("dask.array", reason="needs the extra 'dask'")
distributed = pytest.importorskip("distributed", reason="needs the extra 'dask'")
dd = pytest.importorskip("dask.dataframe", reason="needs the extra 'dask'")
dask = pytest.importorskip("dask")
pd = pytest.importorskip("pandas")

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor  # noqa: E402
from sklearn_sgd.dask import (  # noqa: E402
    DaskBatchGDRegressor,
    DaskMiniBatchSGDRegressor,
    DaskOnlineSGDRegressor,
)
from sklearn_sgd.inference import coefficient_table  # noqa: E402
from sklearn_sgd.losses import LOSSES  # noqa: E402

LOCAL = {
    DaskBatchGDRegressor: BatchGDRegressor,
    DaskMiniBatchSGDRegressor: MiniBatchSGDRegressor,
    DaskOnlineSGDRegressor: OnlineSGDRegressor,
}

REPOSITORY = Path(__file__).parent.parent

# One worker process each.
CLUSTER = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}


@pytest.fixture(scope="module")
def cluster():
    """A client of two processes, for all tests of this file."""
    with distributed.LocalCluster(**CLUSTER) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(params=LOCAL, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


def raw(n=2000, p=6, seed=0):
    """Columns in very different units, and not centred."""
    X, y = linear(n, p, noise=1.0, seed=seed)
    return X * 10.0 ** np.arange(-2, p - 2) + 3, y


def spread(*arrays, rows=300):
    """The same as Dask arrays, in chunks of so many rows."""
    return [da.from_array(array, chunks=(rows, *array.shape[1:])) for array in arrays]


def california(folder):
    frame = pd.read_csv(folder / "california_housing.csv")
    y = frame.pop("median_house_value").to_numpy(np.float64)
    frame = pd.get_dummies(frame, columns=["ocean_proximity"], dtype=float)
    return frame.fillna(frame.median()).to_numpy(), y


def flights(folder):
    frame = pd.read_csv(folder / "nycflights13_flights.csv.gz").dropna(subset=["arr_delay"])
    y = frame.pop("arr_delay").to_numpy(np.float64)
    frame = pd.get_dummies(frame.drop(columns=["arr_time", "air_time", "year", "tailnum", "dest"]), dtype=float)
    frame = frame.select_dtypes("number")
    return frame.fillna(frame.median()).to_numpy(np.float64), y


def on_workers(load, folder, n, p, rows):
    """What a worker reads itself, in chunks."""
    data = dask.delayed(load)(folder)
    X, y = (da.from_delayed(data[k], (n, p)[: 2 - k], np.float64) for k in range(2))
    return X.rechunk((rows, p)), y.rechunk(rows)


# The same model


@covering(
    {
        "params": [
            {},
            {"penalty": "elasticnet", "alpha": 0.1},
            {"fit_intercept": False},
            {"loss": "huber"},
            {"learning_rate": "constant", "eta0": 1e-10, "epochs": 3},
        ],
        "weighted": [False, True],
    }
)
@pytest.mark.filterwarnings("ignore:.*worse than the best constant")
def test_full_batches_are_those_of_one_machine(cluster, params, weighted):
    X, y = raw()
    weights = [some_weights(2000) * (np.arange(2000) % 7 > 0)] if weighted else []
    ours = DaskBatchGDRegressor(**params).fit(*spread(X, y, *weights))
    theirs = BatchGDRegressor(**params).fit(X, y, *weights)
    assert_allclose(theta(ours), theta(theirs), rtol=1e-10, atol=1e-12)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-10)
    for name in ("n_iter_", "n_updates_", "n_samples_seen_", "stop_reason_", "batch_size_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.n_readings_ >= 1.0


@pytest.mark.parametrize("loss", ["quantile", "poisson"])
def test_full_batches_of_other_losses(cluster, loss):
    X, y = linear(2000)
    y = in_domain(LOSSES[loss](), y)
    ours, theirs = DaskBatchGDRegressor(loss).fit(*spread(X, y)), BatchGDRegressor(loss).fit(X, y)
    assert_allclose(theta(ours), theta(theirs), rtol=1e-8)


def test_a_target_beyond_all_proportion(cluster, kind):
    """A robust loss hardly follows it; it cut the steps for all others short."""
    X, y = raw(2000, 4)
    clean = BatchGDRegressor("huber").fit(X, y)
    y[700] = 1e12
    model = kind("huber", random_state=0).fit(*spread(X, y))
    assert_allclose(X @ model.coef_ + model.intercept_, clean.predict(X), atol=0.02 * np.std(y[:700]))


@pytest.mark.parametrize("name", ["epsilon_insensitive", "squared_epsilon_insensitive"])
def test_a_block_without_curvature(cluster, kind, name):
    """All samples of the first block lie within the tube, where the loss is 0."""
    X, y = linear(600, 2, noise=0.3)
    y[:100] = X[:100] @ [1.0, 2.0] + 3.0
    models = kind(name, random_state=0).fit(*spread(X, y, rows=100)), LOCAL[kind](name, random_state=0).fit(X, y)
    size, power = LOSSES[name]().epsilon, 2 if name.startswith("squared") else 1
    ours, theirs = (np.mean(np.maximum(abs(y - model.predict(X)) - size, 0.0) ** power) for model in models)
    assert_allclose(ours, theirs, rtol=1e-3)


def test_standard_errors(cluster):
    """The moments of columns and targets are there, from all workers."""
    X, y = linear(2000)
    ours, theirs = DaskBatchGDRegressor().fit(*spread(X, y)), BatchGDRegressor().fit(X, y)
    there, here = (coefficient_table(model, robust=False) for model in (ours, theirs))
    assert_allclose(there.std_err, here.std_err, rtol=1e-8)
    assert_allclose(coefficient_table(ours, X, y).std_err, coefficient_table(theirs, X, y).std_err, rtol=1e-8)
    with pytest.raises(TypeError, match="compute"):
        coefficient_table(ours, *spread(X, y))


def test_scores_are_sums_over_workers(cluster):
    X, y = linear(2000)
    y = np.round(np.exp((y - y.mean()) / y.std()))
    s = np.random.default_rng(0).uniform(0.0, 2.0, 2000)
    model = DaskBatchGDRegressor("poisson", inference=True).fit(*spread(X, y, s))
    table, whole = coefficient_table(model), coefficient_table(model.to_local(), X, y, s)
    assert table.n_samples == whole.n_samples
    assert_allclose(table.std_err, whole.std_err, rtol=1e-3)


def test_kernels_do_not_depend_on_partitions(cluster):
    """They are as wide as follows from all samples; weights are precisions, of which only ratios matter.

    No sample is at a kink but for rounding, which would decide about its slope.
    """
    rng = np.random.default_rng(4)
    X, s = rng.standard_normal((2000, 2)), rng.uniform(0.1, 1.0, 2000)
    y = X @ [1.0, -1.0] + rng.standard_normal(2000)
    parts, whole = (
        DaskBatchGDRegressor("epsilon_insensitive", epsilon=0.5, inference=True).fit(*spread(X, y, weight, rows=size))
        for weight, size in ((s, 500), (10.0 * s, 2000))
    )
    table = coefficient_table(parts)
    assert_allclose(coefficient_table(whole).std_err, table.std_err, rtol=1e-5)
    assert_allclose(table.std_err, coefficient_table(parts.to_local(), X, y, s).std_err, rtol=0.06)


def test_coefficients_that_few_samples_determine(cluster):
    """Of the samples of a level few are within epsilon."""
    rng = np.random.default_rng(0)
    X = np.column_stack((rng.standard_normal(1000), np.arange(1000) % 20 == 0))
    y = X @ [0.5, 1.0] + rng.standard_normal(1000)
    coefficient_table(DaskBatchGDRegressor("huber", epsilon=1.0, inference=True).fit(*spread(X, y)))
    model = DaskBatchGDRegressor("huber", epsilon=0.1, inference=True).fit(*spread(X, y))
    with pytest.warns(UserWarning, match=r"along x1 is that of about [1-7] rows"):
        coefficient_table(model)


@pytest.mark.parametrize("scale", [1.0, 1e-9], ids=["dependent", "nearly"])
def test_dependent_columns_of_other_losses(cluster, scale):
    """The columns of all levels add up to the intercept. Nearly so, the difference is hidden by rounding."""
    rng = np.random.default_rng(0)
    level, a, e = rng.integers(0, 3, 1000), *rng.standard_normal((2, 1000))
    X = np.c_[level[:, None] == np.arange(3), a, a + (scale % 1.0) * e]
    y = rng.poisson(np.exp(np.array([0.0, 0.5, 1.0])[level] + 0.3 * a)).astype(float)
    peer = PoissonRegressor(alpha=0.0, solver="newton-cholesky").fit(X[:, 1:4], y)
    model, args = DaskBatchGDRegressor("poisson", tol=1e-8), spread(X, y)
    if scale == 1.0:
        model.fit(*args)
        assert model.stop_reason_ == "tol"
    else:
        with pytest.warns(ConvergenceWarning, match="nearly linear combinations"):
            model.fit(*args)
    assert_allclose(np.exp(X @ model.coef_ + model.intercept_), peer.predict(X[:, 1:4]), rtol=1e-3)


@pytest.mark.filterwarnings("ignore:.*All 5 epochs were run")
def test_many_columns(cluster):
    """Where variances alone are kept, and the largest eigenvalue is that of some rows: locally with a lasso.

    Without final steps, of which a cluster has fewer.
    """
    X, y = linear(405, 410)
    params = {"penalty": "l1", "alpha": 1e-6, "epochs": 5, "average": True}
    ours, theirs = DaskBatchGDRegressor(**params).fit(*spread(X, y)), BatchGDRegressor(**params).fit(X, y)
    assert_allclose(theta(ours), theta(theirs), rtol=1e-8)


def test_many_columns_that_are_correlated(cluster):
    X, y = linear(600, 410)
    X += 2.0 * X[:, :1]
    model = DaskBatchGDRegressor().fit(*spread(X, y))
    least = np.mean((y - LinearRegression().fit(X, y).predict(X)) ** 2)
    assert np.mean((y - model.predict(X)) ** 2) - least < 1e-3 * np.var(y)


@pytest.mark.parametrize(
    ("load", "rows"), [(california, 3000), pytest.param(flights, 50_000, marks=pytest.mark.matrix)]
)
def test_real_data(cluster, shared_data, load, rows):
    X, y = load(shared_data)
    dX, dy = on_workers(load, shared_data, *X.shape, rows)
    ours, theirs = DaskBatchGDRegressor().fit(dX, dy), BatchGDRegressor().fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=1e-10 * np.std(y))
    mini = DaskMiniBatchSGDRegressor(random_state=0).fit(dX, dy)
    score = MiniBatchSGDRegressor(random_state=0).fit(X, y).score(X, y)
    assert mini.score(dX, dy) == pytest.approx(score, abs=0.002)


@covering(
    {
        "params": [{}, {"loss": "huber"}, {"sync_rows": 400, "average": False}],
        "kind": [DaskMiniBatchSGDRegressor, DaskOnlineSGDRegressor],
    }
)
def test_small_batches_are_as_good(cluster, kind, params):
    X, y = raw(6000)
    ours = kind(random_state=0, **params).fit(*spread(X, y, rows=700))
    theirs = LOCAL[kind](**{name: value for name, value in params.items() if name != "sync_rows"}, random_state=0)
    assert ours.score(X, y) == pytest.approx(theirs.fit(X, y).score(X, y), abs=0.002)
    assert ours.n_samples_seen_ == 6000 * ours.n_iter_
    assert ours.batch_size_ == ours.batch_size


@pytest.fixture
def one_block_each(monkeypatch):
    """Chains that do not depend on where the blocks came to lie."""
    one_chain_per_block(monkeypatch)


PLAIN = {"shuffle": False, "learning_rate": "constant", "eta0": 0.1, "tol": None}


def test_one_chain_goes_the_way_of_one_machine(cluster, one_block_each):
    """With no one to average with, each step is that of the local class."""
    X, y = linear(200)
    params = PLAIN | {"optimizer": "adam", "learning_rate": "invscaling", "epochs": 30}
    ours = DaskMiniBatchSGDRegressor(**params).fit(*spread(X, y))
    theirs = MiniBatchSGDRegressor(**params).fit(X, y)
    assert_array_equal(theta(ours), theta(theirs))
    assert ours.n_updates_ == theirs.n_updates_
    assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-12)


def test_chains_are_averaged_by_rows(cluster, one_block_each):
    """After one epoch, the mean of what each learns alone; from there, if asked, they go on in the middle of it."""
    X, y = linear(300)
    parts = [slice(0, 200), slice(200, 300)]
    dX, dy = da.from_array(X, chunks=((200, 100), 5)), da.from_array(y, chunks=((200, 100),))
    alone = [theta(MiniBatchSGDRegressor(epochs=1, **PLAIN).fit(X[part], y[part])) for part in parts]
    ours = DaskMiniBatchSGDRegressor(epochs=1, **PLAIN).fit(dX, dy)
    assert_allclose(theta(ours), np.average(alone, axis=0, weights=[2, 1]), rtol=1e-12)

    first = [MiniBatchSGDRegressor(**PLAIN).partial_fit(X[a : a + 64], y[a : a + 64]) for a in (0, 200)]
    shares = [1, 1]
    for turns in [((64, 128), (264, 300)), ((128, 192),), ((192, 200),)]:
        middle = np.average([theta(model) for model in first], axis=0, weights=shares)
        first = [
            MiniBatchSGDRegressor(epochs=1, **PLAIN).fit(
                X[slice(*turn)], y[slice(*turn)], coef_init=middle[:-1], intercept_init=middle[-1]
            )
            for turn in turns
        ]
        shares = [np.diff(turn)[0] for turn in turns]
    ours = DaskMiniBatchSGDRegressor(epochs=1, sync_rows=64, **PLAIN).fit(dX, dy)
    assert_allclose(theta(ours), theta(first[0]), rtol=1e-12)


@covering({"sync_rows": [None, 1, 32, 50, 64, 1000], "drop_last": [False, True]})
def test_averages_come_between_whole_batches(cluster, monkeypatch, sync_rows, drop_last):
    """With no one to average with, sync_rows changes nothing: the steps are those of one machine, block after block."""
    one_chain(monkeypatch)
    X, y = linear(200)
    params = PLAIN | {"batch_size": 32, "drop_last": drop_last, "optimizer": "momentum"}
    ours = DaskMiniBatchSGDRegressor(epochs=2, sync_rows=sync_rows, **params).fit(*spread(X, y, rows=40))
    theirs = MiniBatchSGDRegressor(**params)
    for _ in range(2):
        for start in range(0, 200, 40):
            theirs.partial_fit(X[start : start + 40], y[start : start + 40])
    assert_array_equal(theta(ours), theta(theirs))
    assert ours.n_updates_ == theirs.n_updates_ == (10 if drop_last else 20)
    assert ours.n_samples_seen_ == theirs.n_samples_seen_ == (320 if drop_last else 400)
    losses = np.array(theirs.loss_curve_).reshape(2, 5)
    assert_allclose(ours.loss_curve_, losses.mean(axis=1), rtol=1e-12)


def test_averages_of_unequal_blocks_come_between_whole_batches(cluster, one_block_each):
    """A chain that has no batch left waits; the others go on."""
    X, y = linear(250)
    parts = [slice(0, 130), slice(130, 250)]
    dX, dy = da.from_array(X, chunks=((130, 120), 5)), da.from_array(y, chunks=((130, 120),))
    params = PLAIN | {"batch_size": 32}
    ours = DaskMiniBatchSGDRegressor(epochs=1, sync_rows=100, **params).fit(dX, dy)
    assert ours.n_updates_ == 5
    middle, places = np.zeros(6), [0, 0]
    for batches in (4, 1):
        ends, counts = [], []
        for number, part in enumerate(parts):
            rows = slice(part.start + places[number], min(part.start + places[number] + 32 * batches, part.stop))
            places[number] = rows.stop - part.start
            counts.append(rows.stop - rows.start)
            if counts[-1]:
                model = MiniBatchSGDRegressor(epochs=1, **params)
                model.fit(X[rows], y[rows], coef_init=middle[:-1], intercept_init=middle[-1])
                ends.append(theta(model))
        middle = np.average(ends, axis=0, weights=[count for count in counts if count])
    assert places == [130, 120]
    assert_allclose(theta(ours), middle, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_drop_last_leaves_out_the_end_of_each_block(cluster, monkeypatch, weighted):
    one_chain(monkeypatch)
    X, y = linear(100)
    kept, weights = np.r_[0:32, 50:82], []
    if weighted:
        # Of mean 1, also in what is kept.
        weights = [np.tile([0.5, 1.5], 50)]
    params = PLAIN | {"batch_size": 32, "epochs": 1}
    ours = DaskMiniBatchSGDRegressor(drop_last=True, **params).fit(*spread(X, y, *weights, rows=50))
    theirs = MiniBatchSGDRegressor(**params).fit(X[kept], y[kept], *(s[kept] for s in weights))
    assert_array_equal(theta(ours), theta(theirs))
    assert ours.loss_curve_ == pytest.approx(theirs.loss_curve_, rel=1e-12)
    assert (ours.n_samples_seen_, ours.n_updates_) == (64, 2)


@pytest.mark.filterwarnings("ignore:.*worse than the best constant")
def test_losses_of_what_is_kept_by_weight(cluster, monkeypatch):
    """What is left out has most of the weight: the mean loss is that of the rest, by its own weight."""
    one_chain(monkeypatch)
    X, y = linear(50)
    weights = np.where(np.arange(50) < 32, 1.0, 9.0)
    params = PLAIN | {"batch_size": 32, "epochs": 1, "eta0": 1e-12}
    ours = DaskMiniBatchSGDRegressor(drop_last=True, **params).fit(*spread(X, y, weights, rows=50))
    assert ours.loss_curve_[0] == pytest.approx(0.5 * np.mean(y[:32] ** 2), rel=1e-9)


@pytest.mark.filterwarnings("ignore:.*worse than the best constant")
@pytest.mark.parametrize("params", [{}, {"loss": "huber"}, {"learning_rate": "constant"}], ids=str)
def test_drop_last_without_a_whole_batch(cluster, params):
    model = DaskMiniBatchSGDRegressor(drop_last=True, epochs=2, tol=None, **params)
    with pytest.raises(ValueError, match=r"leaves no batch: batch_size=32 is more than the 20 samples of the largest"):
        model.fit(*spread(*linear(100), rows=20))
    assert not hasattr(model, "coef_")
    X, y = linear(100)
    with pytest.warns(UserWarning, match="leaves out 2 of 3 partitions, which have fewer samples than batch_size=32"):
        model.fit(da.from_array(X, chunks=((20, 60, 20), 5)), da.from_array(y, chunks=((20, 60, 20),)))
    assert np.isfinite(theta(model)).all()
    assert model.n_samples_seen_ == 32 * model.n_iter_


def test_batches_larger_than_blocks_are_reported(cluster):
    with pytest.warns(UserWarning, match="batch_size=64 is more than the 20 samples of the largest partition"):
        DaskMiniBatchSGDRegressor(batch_size=64, epochs=2, tol=None).fit(*spread(*linear(100), rows=20))


def test_passive_aggressive_steps(cluster, one_block_each):
    """Their parts are not those whose formulas are read."""
    X, y = linear(200)
    params = {"loss": "epsilon_insensitive", "learning_rate": "pa1", "shuffle": False, "epochs": 2}
    ours, theirs = DaskOnlineSGDRegressor(**params).fit(*spread(X, y)), OnlineSGDRegressor(**params).fit(X, y)
    assert_array_equal(theta(ours), theta(theirs))


def test_parameters_without_use_here(cluster):
    """Which validation samples are held out nobody asks here, and full batches are not averaged."""
    X, y = linear(300)
    held_out = {"X_val": X, "y_val": y}
    model = DaskMiniBatchSGDRegressor(early_stopping=True, validation_fraction=0.3, epochs=2)
    with pytest.warns(UserWarning, match="validation_fraction=0.3 has no effect.*without Dask") as caught:
        model.fit(*spread(X, y), **held_out)
    assert caught[0].filename == __file__
    model = DaskMiniBatchSGDRegressor(batch_size=None, sync_rows=50, epochs=2)
    with pytest.warns(UserWarning, match="sync_rows=50 has no effect.*batch_size"):
        model.fit(*spread(X, y))
    model.set_params(batch_size=7, tol=None).fit(*spread(X, y))
    with pytest.warns(UserWarning, match="DaskOnlineSGDRegressor: alpha=0.5 has no effect"):
        DaskOnlineSGDRegressor(alpha=0.5, epochs=1).fit(*spread(X, y))


# What is given


def as_frames(X, y, s, n=2000):
    names = [f"column {j}" for j in range(X.shape[1])]
    frame = pd.DataFrame(X, columns=names).assign(y=y, s=s, row=np.arange(len(y)))
    frame = dd.from_pandas(frame, npartitions=8)
    frame = frame[frame["row"] < n]
    return frame[names], frame["y"], frame["s"]


def as_unknown(X, y, s):
    """Of a filter, the lengths are not known, and the last partition is empty."""
    return [frame.to_dask_array() for frame in as_frames(X, y, s, n=1700)]


def as_column_chunks(X, y, s):
    return da.from_array(X, chunks=(300, 2)), *spread(y, s, rows=500)


def as_sparse(X, y, s, form=csr):
    X, y, s = spread(X, y, s)
    return X.map_blocks(form), y, s


def stored_twice(X):
    """Each entry as two halves."""
    X = csr(X)
    return sparse.csr_matrix((X.data.repeat(2) / 2, X.indices.repeat(2), 2 * X.indptr), shape=X.shape)


def as_stored_twice(X, y, s):
    return as_sparse(X, y, s, stored_twice)


@pytest.mark.parametrize("form", [as_frames, as_unknown, as_column_chunks, as_sparse, as_stored_twice])
@pytest.mark.parametrize("kind", [DaskBatchGDRegressor, DaskMiniBatchSGDRegressor])
def test_collections(cluster, kind, form):
    if form in (as_sparse, as_stored_twice) and kind is DaskMiniBatchSGDRegressor:
        pytest.skip("takes long to compile, and no other way than with full batches")
    X, y = raw()
    s, n = some_weights(2000), 1700 if form is as_unknown else 2000
    given = form(X, y, s)
    model = kind(random_state=0).fit(*given)
    local = LOCAL[kind](random_state=0).fit(X[:n], y[:n], s[:n])
    assert_allclose(theta(model), theta(local), rtol=1e-8 if kind is DaskBatchGDRegressor else 1e-3)
    assert hasattr(model, "feature_names_in_") == (form is as_frames)
    lazy = model.predict(given[0])
    assert dask.is_dask_collection(lazy)
    predictions = lazy.compute()
    assert_allclose(predictions, X[:n] @ model.coef_ + model.intercept_, rtol=1e-9)
    if form is as_frames:
        assert_array_equal(predictions.index, given[1].compute().index)


def texts(n, p=15_000, seed=1):
    """Rows of words, divided by their norms. Of so many columns Dask sends a vector as a task of its own."""
    rng = np.random.default_rng(seed)
    lengths = np.exp(rng.normal(3.0, 0.8, n)).astype(int) + 3
    words = (p * rng.power(0.25, lengths.sum())).astype(int)
    X = normalize(sparse.csr_matrix((np.ones(len(words)), words, np.r_[0, np.cumsum(lengths)]), shape=(n, p)))
    return X, np.log(lengths) + X @ rng.normal(size=p) + 0.3 * rng.normal(size=n)


def spread_sparse(X, y, rows):
    """The same as Dask arrays, in chunks of so many rows."""
    starts = range(0, X.shape[0], rows)
    chunks = [dask.delayed(X[start : start + rows]) for start in starts]
    shapes = [(min(rows, X.shape[0] - start), X.shape[1]) for start in starts]
    given = [
        da.from_delayed(chunk, shape, dtype=X.dtype, meta=X[:0]) for chunk, shape in zip(chunks, shapes, strict=True)
    ]
    return da.concatenate(given), da.from_array(y, chunks=rows)


@pytest.mark.parametrize(
    ("kind", "loss"),
    [
        (DaskBatchGDRegressor, "squared_error"),
        (DaskMiniBatchSGDRegressor, "squared_error"),
        (DaskMiniBatchSGDRegressor, "huber"),
        (DaskOnlineSGDRegressor, "poisson"),
    ],
)
def test_sparse_samples_of_many_columns(cluster, kind, loss):
    """As good on new samples as on one machine, where the minimum on these would be worse than a constant."""
    X, y = texts(1500)
    y = np.random.default_rng(0).poisson(np.exp(y - 2.0)) if loss == "poisson" else y
    train, test = slice(1200), slice(1200, None)
    ours = kind(loss, random_state=0).fit(*spread_sparse(X[train], y[train], 350))
    theirs = LOCAL[kind](loss, random_state=0).fit(X[train], y[train])
    scores = [r2_score(y[test], model.predict(X[test])) for model in (ours, theirs)]
    assert scores[0] > scores[1] - 0.03
    assert scores[0] > 0.1


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("kind", list(LOCAL))
@pytest.mark.filterwarnings("ignore:.*All 3 epochs were run")
def test_one_chain_of_sparse_samples_goes_the_way_of_one_machine(cluster, kind, loss):
    X, y = texts(400, 1500)
    params = {"epochs": 3, "tol": None} | ({} if kind is DaskBatchGDRegressor else {"shuffle": False})
    ours = kind(loss, **params).fit(*spread_sparse(X, y, 400))
    theirs = LOCAL[kind](loss, **params).fit(X, y)
    assert_allclose(theta(ours), theta(theirs), rtol=1e-8, atol=1e-10)


def test_full_batches_of_sparse_samples_find_another_intercept(cluster):
    """The largest curvature includes that of the intercept, which starts far from where the targets are now."""
    X, y = texts(600, 1500)
    params = {"epochs": 20, "tol": None, "warm_start": True}
    ours, theirs = DaskBatchGDRegressor(**params), BatchGDRegressor(**params)
    for shift in (0.0, 100.0):
        ours.fit(*spread_sparse(X, y + shift, 600))
        theirs.fit(X, y + shift)
    assert ours.score(X, y + 100.0) > theirs.score(X, y + 100.0) - 1e-6 > 0.5


@pytest.mark.parametrize("kind", [DaskBatchGDRegressor, DaskMiniBatchSGDRegressor])
def test_correlated_numbers_beside_sparse_features(cluster, kind):
    """Their covariances are those of some samples, as without Dask."""
    rng = np.random.default_rng(3)
    X, common = sparse.random(2000, 1000, 0.02, "lil", random_state=1), rng.normal(size=(2000, 1))
    numbers = common + 0.05 * rng.normal(size=(2000, 8))
    X[:, :8] = numbers * np.arange(1, 9) + 20.0
    X = sparse.csr_matrix(X)
    y = (numbers - common) @ rng.normal(size=8) * 20.0 + 0.3 * X[:, 8:] @ rng.normal(size=992) + rng.normal(size=2000)
    train, test = slice(1600), slice(1600, None)
    ours = kind(random_state=0).fit(*spread_sparse(X[train], y[train], 400))
    theirs = LOCAL[kind](random_state=0).fit(X[train], y[train])
    assert r2_score(y[test], ours.predict(X[test])) > theirs.score(X[test], y[test]) - 0.03 > 0.5


def test_parts_that_further_descents_leave_out(cluster):
    """Each sample is in one of them, and they are about equal, also of blocks of a few samples."""
    X = np.arange(53.0)[:, None]
    for rows in (1, 7, 53):
        samples = samples_on(cluster, DaskBatchGDRegressor(), X, X[:, 0], rows)
        found = [[np.sort(part.some(1000, None)[0][:, 0]) for part in pair] for pair in samples.split(5, 5)]
        for others, left_out in found:
            assert_array_equal(np.sort(np.r_[others, left_out]), X[:, 0])
        assert_array_equal(np.sort(np.concatenate([left_out for _, left_out in found])), X[:, 0])
        assert {len(left_out) for _, left_out in found} == {10, 11}


def test_frames_of_sparse_columns(cluster):
    frame, y = pd.get_dummies(pd.Series(list("abc") * 40), sparse=True), np.tile([10.0, 20.0, 30.0], 40)
    rows, targets = dd.from_pandas(frame, npartitions=3), dd.from_pandas(pd.Series(y), npartitions=3)
    model = DaskBatchGDRegressor().fit(rows, targets)
    assert_allclose(model.predict(rows).compute(), y, rtol=1e-8)
    assert model.score(rows, targets) == pytest.approx(1.0)


@pytest.mark.parametrize("dtype", ["Float64", "Int64", "boolean"])
def test_frames_of_nullable_columns(cluster, dtype):
    X, y = np.tile(np.eye(3), (40, 1)), np.tile([10.0, 20.0, 30.0], 40)
    rows = dd.from_pandas(pd.DataFrame(X, columns=list("abc")).astype(dtype), npartitions=3)
    targets = dd.from_pandas(pd.Series(y).astype("Float64"), npartitions=3)
    model = DaskBatchGDRegressor().fit(rows, targets)
    assert model.predict(rows).dtype == np.float64
    assert_allclose(model.predict(rows).compute(), y, rtol=1e-8)
    assert model.score(rows, targets) == pytest.approx(1.0)


def test_single_precision(cluster):
    X, y = linear(2000)
    X = X.astype(np.float32)
    dX, dy = spread(X, y)
    ours, theirs = DaskBatchGDRegressor().fit(dX, dy), BatchGDRegressor().fit(X, y)
    assert ours.coef_.dtype == np.float32
    assert_allclose(theta(ours), theta(theirs), rtol=1e-5)
    assert ours.predict(dX).dtype == ours.predict(dX).compute().dtype == np.float32


def test_score(cluster):
    X, y = raw()
    y, s = y + 1e3, some_weights(2000)
    model = DaskBatchGDRegressor().fit(*spread(X, y))
    assert model.score(*spread(X, y)) == pytest.approx(r2_score(y, model.predict(X)), rel=1e-12)
    assert model.score(*spread(X, y, s)) == pytest.approx(r2_score(y, model.predict(X), sample_weight=s), rel=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12, 1e15])
@pytest.mark.parametrize("rows", [30, 2000])
def test_score_of_targets_far_from_zero(cluster, offset, rows):
    """No large numbers are subtracted; scikit-learn's own score of what is left of targets and predictions."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 3))
    y = offset + X @ [1.0, 2.0, 3.0] + rng.standard_normal(200)
    weights = some_weights(200) * (np.arange(200) % 5 > 0)
    model = DaskBatchGDRegressor()
    model.coef_, model.intercept_, model.n_features_in_ = np.array([1.0, 2.0, 2.0]), offset, 3
    y_pred = model.predict(X)
    for s in ([], [weights]):
        expected = r2_score(y - offset, y_pred - offset, sample_weight=s[0] if s else None)
        assert model.score(*spread(X, y, *s, rows=rows)) == pytest.approx(expected, rel=1e-9)


def test_score_where_it_is_not_defined(cluster):
    X = np.eye(3)
    model = DaskBatchGDRegressor()
    model.coef_, model.intercept_, model.n_features_in_ = np.zeros(3), 0.1, 3
    for y in (np.full(3, 0.1), np.full(3, 7.3)):
        assert model.score(*spread(X, y, rows=2)) == r2_score(y, model.predict(X))
    with pytest.warns(UndefinedMetricWarning, match="less than two samples"):
        assert np.isnan(model.score(*spread(X[:1], np.ones(1))))


def test_goes_on(cluster):
    """A warm start on the cluster, and partial_fit here, on rows in memory."""
    X, y = linear(1000)
    few = {"learning_rate": "constant", "eta0": 0.5, "epochs": 2, "tol": None, "warm_start": True}
    ours, theirs = DaskBatchGDRegressor(**few), BatchGDRegressor(**few)
    for _ in range(2):
        ours.fit(*spread(X, y))
        theirs.fit(X, y)
    assert_allclose(theta(ours), theta(theirs), rtol=1e-10)
    assert_allclose(theta(ours.partial_fit(X[:50], y[:50])), theta(theirs.partial_fit(X[:50], y[:50])), rtol=1e-10)


@pytest.mark.parametrize("loss", ["squared_error", "quantile"])
def test_early_stopping_on_rows_in_memory(cluster, loss):
    X, y = raw()
    held = {"X_val": X[:200], "y_val": y[:200]}
    params = {"loss": loss, "early_stopping": True} | ({"quantile": 0.9} if loss == "quantile" else {})
    ours = DaskBatchGDRegressor(**params).fit(*spread(X, y), **held)
    theirs = BatchGDRegressor(**params).fit(X, y, **held)
    assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "params", "match"),
    [
        (DaskBatchGDRegressor, {"eta0": 10.0}, "finite range|too long.*smaller eta0"),
        (DaskMiniBatchSGDRegressor, {"eta0": 1e-7}, "far.*larger eta0"),
        (DaskOnlineSGDRegressor, {"eta0": 1e-3, "average": True, "epochs": 5}, "worse than the best constant"),
    ],
)
def test_warnings_name_how_a_fit_ended(cluster, kind, params, match):
    X, y = linear(400)
    start = {"coef_init": np.full(5, 1e3)} if "average" in params else {}
    model = kind(learning_rate="constant", random_state=0, **params)
    with pytest.warns(ConvergenceWarning, match=match) as caught:
        model.fit(*spread(X, y - y.mean()), **start)
    assert len(caught) == 1


# The class without Dask


def test_to_local(cluster, kind):
    X, y = raw()
    model = kind(random_state=0).fit(*spread(X, y))
    local, plain = model.to_local(), LOCAL[kind](random_state=0).fit(X, y)
    assert type(local) is LOCAL[kind]
    assert_array_equal(local.predict(X), model.predict(X))
    assert local.get_params() == plain.get_params()
    assert learned(local) == learned(plain)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_parameters(kind):
    own = {"client"} if kind is DaskBatchGDRegressor else {"client", "sync_rows"}
    assert kind().get_params().keys() - LOCAL[kind]().get_params().keys() == own
    doc = inspect.getdoc(kind)
    for name, value in kind().get_params().items():
        assert f"\n{name} : " in doc
        assert value == (None if name in own else LOCAL[kind]().get_params()[name])


class Named(DaskBatchGDRegressor):
    """A class of a user with a parameter of its own, and without most of the others."""

    _parameter_constraints = DaskBatchGDRegressor._parameter_constraints | {"name": [str]}

    def __init__(self, loss="huber", name="n", client=None):
        super().__init__(loss, client=client)
        self.name = name


def test_subclass_of_a_user(cluster):
    X, y = linear(300)
    with sklearn.config_context(enable_metadata_routing=True):
        model = clone(Named(name="m", client=cluster).set_fit_request(sample_weight=True))
        assert (model.name, model.client) == ("m", cluster)
        assert model.get_metadata_routing().fit.requests["sample_weight"]
    model.fit(*spread(X, y))
    assert_allclose(theta(model), theta(DaskBatchGDRegressor("huber").fit(*spread(X, y))), rtol=1e-12)
    local = model.to_local()
    assert type(local) is BatchGDRegressor
    assert_allclose(local.predict(X), model.predict(X), rtol=1e-12)
    assert not hasattr(local, "name")
    with pytest.raises(ValueError, match="'name' parameter"):
        model.set_params(name=1).fit(*spread(X, y))


def test_a_client_is_not_copied(cluster, kind):
    model = kind(client=cluster, epochs=3)
    assert clone(model).client is cluster
    assert clone(model).epochs == 3
    assert pickle.loads(pickle.dumps(model)).client is None
    assert cluster.status == "running"


# Faults


@pytest.fixture
def killer(cluster, monkeypatch):
    """Kills a worker when results are waited for that often; says whom."""

    def arm(turn):
        turns, killed = iter(range(10_000)), []

        def deadly():
            if next(turns) == turn:
                killed.append(next(iter(cluster.run(os.getpid).values())))
                os.kill(killed[0], signal.SIGKILL)

        watch_gather(monkeypatch, deadly)
        return killed

    yield arm
    cluster.wait_for_workers(2)


def test_a_worker_killed_changes_nothing(cluster, killer):
    X, y = raw()
    params = {"loss": "huber", "tol": None, "epochs": 6}
    untouched = DaskBatchGDRegressor(**params).fit(*spread(X, y))
    killed = killer(8)
    assert_array_equal(theta(DaskBatchGDRegressor(**params).fit(*spread(X, y))), theta(untouched))
    assert len(killed) == 1
    assert killed[0] not in cluster.run(os.getpid).values()


def test_a_worker_killed_between_averages(cluster, killer):
    X, y = raw()
    local = MiniBatchSGDRegressor(random_state=0).fit(X, y)
    killed = killer(6)
    model = DaskMiniBatchSGDRegressor(random_state=0).fit(*spread(X, y))
    assert len(killed) == 1
    assert model.score(X, y) == pytest.approx(local.score(X, y), abs=0.002)


@pytest.mark.matrix
def test_a_worker_killed_in_each_phase(cluster, one_block_each, monkeypatch, kind):
    """Where results are waited for, in fit, score and predict; with chains of one block the bits are the same."""
    X, y = raw()
    data = spread(X, y)
    places, deadly, gather = [], [], distributed.Client.gather

    def watched(self, *args, **kwargs):
        if len(places) in deadly:
            # The older of the two: a nanny may not notice the end of a worker that it has just started.
            names = {address: worker["name"] for address, worker in cluster.scheduler_info()["workers"].items()}
            pids = {names[address]: pid for address, pid in cluster.run(os.getpid).items()}
            os.kill(pids[len(killed) % 2], signal.SIGKILL)
            killed.append(deadly.pop())
        places.append([frame.name for frame in traceback.extract_stack() if "sklearn_sgd" in frame.filename][-4:])
        return gather(self, *args, **kwargs)

    def learned():
        places.clear()
        model = kind(loss="huber", tol=None, epochs=2, random_state=0, client=cluster).fit(*data)
        return *theta(model), *model.loss_curve_, model.score(*data), *model.predict(data[0]).compute()

    killed = []
    monkeypatch.setattr(distributed.Client, "gather", watched)
    expected = learned()
    # The first time of each.
    phases = [number for number, place in enumerate(places) if place not in places[:number]]
    assert len(phases) >= 6
    for phase in phases:
        deadly.append(phase)
        assert_array_equal(learned(), expected)
        cluster.wait_for_workers(2)
    assert killed == phases


# What travels


@pytest.fixture
def traffic(cluster, monkeypatch):
    """Bytes so far that came to or left this process, where client and scheduler are, and between the workers."""
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    benchmark = importlib.import_module("cluster")
    with benchmark.traffic() as here:

        def read():
            between = cluster.run(lambda dask_worker: dask_worker.transfer_outgoing_bytes_total)
            return here(), sum(between.values())

        yield read


@pytest.mark.parametrize("kind", [DaskBatchGDRegressor, DaskMiniBatchSGDRegressor])
def test_an_epoch_moves_parameters_not_rows(cluster, traffic, kind):
    p, per_epoch = 50, {}
    for n in (4000, 64_000):
        X = da.random.default_rng(0).standard_normal((n, p), chunks=(n // 4, p))
        y = X.sum(axis=1)
        seen = []
        for epochs in (2, 12):
            before = traffic()
            model = kind(learning_rate="constant", eta0=1e-3, tol=None, epochs=epochs, random_state=0).fit(X, y)
            seen.append(np.subtract(traffic(), before))
            assert model.n_iter_ == epochs
        per_epoch[n] = (seen[1] - seen[0]) / 10
    # Sixteen times the rows; Dask may have given the few of them all to one of the two workers.
    assert per_epoch[64_000][0] < 3 * per_epoch[4000][0]
    # Four blocks there and back, some vectors of P numbers each, and some kilobytes that say what is to be done.
    assert 4 * 8 * p < per_epoch[64_000][0] < 4 * (10 * 8 * p + 10_000)
    # Dask may move a block once in ten epochs, from a busy worker to an idle one.
    assert per_epoch[64_000][0] < 0.05 * 64_000 * p * 8
    assert per_epoch[64_000][1] < 0.05 * 64_000 * p * 8


# Errors


def test_no_client(monkeypatch):
    without_dask_client(monkeypatch)
    with pytest.raises(ValueError, match=r"No Dask client: start one.*client="):
        DaskBatchGDRegressor().fit(*spread(*linear()))


def test_collections_that_do_not_belong_together(cluster, kind):
    X, y = linear(400)
    dX, dy = spread(X, y)
    with pytest.raises(ValueError, match="y must have one number for each of the 400 samples of X; got 300"):
        kind().fit(dX, dy[:300])
    frames = (
        dd.from_pandas(pd.DataFrame(X).rename(columns=str), npartitions=4),
        dd.from_pandas(pd.Series(y), npartitions=3),
    )
    with pytest.raises(ValueError, match="X has 4 partitions and y has 3: take both from one data frame"):
        kind().fit(*frames)
    with pytest.raises(TypeError, match="y must be a Dask array or data frame; got ndarray"):
        kind().fit(dX, y)
    with pytest.raises(TypeError, match="X must be a Dask array or data frame; got ndarray"):
        kind().fit(X, y)


def test_bad_rows_are_reported_with_their_partition(cluster, kind):
    X, y = linear(1000)
    X[700, 2] = np.nan
    with pytest.raises(ValueError, match="Partition 2 of the data: Input X contains NaN"):
        kind().fit(*spread(X, y))
    X[700, 2] = 0
    with pytest.raises(ValueError, match="sample_weight is zero"):
        kind().fit(*spread(X, y, np.zeros(1000)))
    with pytest.raises(ValueError, match=r"Partition \d of the data: y must be"):
        kind(loss="gamma").fit(*spread(X, -abs(y)))
    with pytest.raises(ValueError, match=r"Partition \d of the data: y has 2 columns: fit a regressor for each"):
        kind().fit(*spread(X, np.column_stack([y, y])))


def test_errors_name_what_does_not_work_with_dask(cluster, kind):
    X, y = spread(*linear(400))
    with pytest.raises(ValueError, match="early_stopping=True on a cluster needs validation samples in memory"):
        kind(early_stopping=True).fit(X, y)
    with pytest.raises(TypeError, match="must be in memory"):
        kind(early_stopping=True).fit(X, y, X_val=X, y_val=y)
    with pytest.raises(TypeError, match=r"partial_fit needs samples in memory.*Incremental"):
        kind().partial_fit(X, y)
    with pytest.raises(NotFittedError):
        kind().predict(X)
    if kind is not DaskBatchGDRegressor:
        with pytest.raises(ValueError, match="needs the same samples again"):
            kind(optimizer="saga").fit(X, y)
        with pytest.raises(ValueError, match="sync_rows"):
            kind(sync_rows=0).fit(X, y)


# Tools of others, with the classes without Dask


def test_incremental(cluster):
    wrappers = pytest.importorskip("dask_ml.wrappers", reason="needs dask_ml")
    X, y = linear(1000)
    model = wrappers.Incremental(OnlineSGDRegressor(), shuffle_blocks=False).fit(*spread(X, y))
    plain = OnlineSGDRegressor()
    for start in range(0, 1000, 300):
        plain.partial_fit(X[start : start + 300], y[start : start + 300])
    assert_array_equal(theta(model.estimator_), theta(plain))


def test_hyperband(cluster):
    search = pytest.importorskip("dask_ml.model_selection", reason="needs dask_ml")
    X, y = linear(1000)
    X, y = spread(X, y)
    space, options = {"eta0": [1e-7, 1e-6, 1e-5, 1e-1]}, {"max_iter": 4, "random_state": 0}
    try:
        search.HyperbandSearchCV(SGDRegressor(), space, **options).fit(X, y)
    except RuntimeError as error:
        pytest.skip(f"this dask_ml fails with this Dask, also with SGDRegressor: {error}")
    found = search.HyperbandSearchCV(OnlineSGDRegressor(learning_rate="constant"), space, **options).fit(X, y)
    assert found.best_params_["eta0"] == 1e-1


def test_losses_that_are_lost_in_the_rounding_of_one_give_a_warning(cluster):
    X, y = np.random.default_rng(0).standard_normal((2, 200, 1))
    y[7] = 1e20
    model = DaskBatchGDRegressor("huber")
    with pytest.warns(ConvergenceWarning, match="a target is so far from the others"):
        model.fit(da.from_array(X, chunks=(100, 1)), da.from_array(y.ravel(), chunks=100))
    assert model.stop_reason_ == "stalled"


@pytest.mark.parametrize("name", [DaskMiniBatchSGDRegressor, DaskOnlineSGDRegressor])
def test_l1_has_zeros_with_another_loss(cluster, name):
    """The last steps are on all samples, as those of one machine are: an average has no zeros."""
    random = np.random.default_rng(0)
    X = random.standard_normal((1000, 12))
    y = X[:, :3] @ [1.0, 2.0, 3.0] + random.standard_normal(1000)
    params = {"loss": "absolute_error", "penalty": "l1", "alpha": 0.1, "random_state": 0}
    model = name(**params).fit(da.from_array(X, chunks=(250, 12)), da.from_array(y, chunks=250))
    np.testing.assert_array_equal(model.coef_ != 0, BatchGDRegressor(**params).fit(X, y).coef_ != 0)
    assert np.count_nonzero(model.coef_) < 6


@pytest.mark.parametrize(("n", "p", "entries"), [(60, 40, 10_000), (1500, 4, 2000)], ids=["all", "some"])
@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_losses_with_kinks_reach_the_minimum_of_the_linear_program(cluster, monkeypatch, quantile, n, p, entries):
    """Samples near the kinks are collected: here all of them, or few."""
    collect_few(monkeypatch, entries)
    X, y = linear(n, p, noise=5.0)
    model = DaskMiniBatchSGDRegressor("quantile", quantile=quantile, batch_size=4, random_state=0)
    model.fit(*spread(X, y, rows=n // 3))
    peer, formula = QuantileRegressor(quantile=quantile, alpha=0.0).fit(X, y), LOSSES["quantile"](quantile)
    ours, theirs = (np.mean(formula.value(y, X @ each.coef_ + each.intercept_)) for each in (model, peer))
    assert ours - theirs <= 1e-4 * np.mean(formula.value(y, np.quantile(y, quantile)))


@pytest.mark.parametrize("penalty", [None, "l1"])
@pytest.mark.parametrize("kind", ["zeros", "within"])
def test_kinks_of_more_samples_than_can_be_collected(cluster, monkeypatch, kind, penalty):
    """The constant 0 is a minimum: the median of most targets, or within epsilon of all."""
    collect_few(monkeypatch, 400)
    skip_full_batches_at_the_end(monkeypatch)
    X, y = linear(600, 4)
    X = np.random.default_rng(1).permutation(X)
    name = "epsilon_insensitive" if kind == "within" else "absolute_error"
    y = np.maximum(0.0, y - np.quantile(y, 0.7)) if kind == "zeros" else 1e-3 * y / np.ptp(y)
    model = DaskMiniBatchSGDRegressor(name, penalty=penalty, random_state=0).fit(*spread(X, y))
    formula = LOSSES[name]()
    least = np.mean(formula.value(y, np.zeros(600)))
    assert np.mean(formula.value(y, X @ model.coef_ + model.intercept_)) <= 1.001 * least
    assert model.stop_reason_ == "tol"


@pytest.mark.parametrize("name", ["logcosh", "squared_error"])
def test_zeros_among_many_features(cluster, name):
    """As the minimum of the class without Dask, which moves single coefficients."""
    rng, loss = np.random.default_rng(0), LOSSES[name]()
    X = rng.standard_normal((80, 402))
    y = X[:, :4] @ rng.standard_normal(4) + 0.1 * rng.standard_normal(80)
    params = {"loss": name, "penalty": "l1", "alpha": 0.1, "epochs": 2, "random_state": 0}
    models = DaskBatchGDRegressor(**params).fit(*spread(X, y, rows=50)), MiniBatchSGDRegressor(**params).fit(X, y)
    ours, theirs = (np.mean(loss.value(y, X @ m.coef_ + m.intercept_)) + 0.1 * np.sum(abs(m.coef_)) for m in models)
    assert ours - theirs <= 1e-4 * np.mean(loss.value(y, np.mean(y)))
    assert np.count_nonzero(models[0].coef_) < 100


def test_targets_whose_squares_are_below_the_range_of_numbers(cluster):
    X, y = linear(300)
    with pytest.warns(ConvergenceWarning, match="so small that the squares"):
        DaskBatchGDRegressor().fit(*spread(X, 1e-175 * y))
