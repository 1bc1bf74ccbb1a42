"""Streams of sparse rows of many columns, of which a chunk costs its entries: as if all columns were in each chunk."""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from itertools import pairwise
from threading import Thread

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering
from scipy import sparse
from sklearn.base import clone
from sklearn.preprocessing import normalize

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

P = 600


def words(n=300, filled=0, seed=1):
    """Rows of frequent and rare columns in units of their own; some may be filled, far from 0, and correlated."""
    rng = np.random.default_rng(seed)
    X = (rng.random((n, P)) < 0.5 / np.arange(1.0, P + 1.0)) * rng.exponential(size=(n, P)) * np.exp(rng.normal(size=P))
    if filled:
        X[:, 5 : 5 + filled] = rng.normal(size=(n, filled)) @ rng.normal(size=(filled, filled)) + 7.0
    return sparse.csr_array(X), X @ rng.normal(size=P) * 0.3 + rng.normal(size=n)


def streamed(model, X, y, size, weight=None, start=0):
    """The model after all chunks."""
    for place in range(start, X.shape[0], size):
        rows = slice(place, place + size)
        model.partial_fit(X[rows], y[rows], None if weight is None else weight[rows])
    return model


WAYS = {
    "plain": {},
    "l2": {"penalty": "l2", "alpha": 0.01},
    "l1": {"penalty": "l1", "alpha": 0.01},
    "elastic net": {"penalty": "elasticnet", "alpha": 0.01},
    "without average": {"average": False},
    "elastic net without average": {"average": False, "penalty": "elasticnet", "alpha": 0.01},
    "late average": {"average": 20, "penalty": "l2", "alpha": 0.01},
    "huber": {"loss": "huber"},
    "without intercept": {"fit_intercept": False},
    "constant": {"learning_rate": "constant", "eta0": 0.001},
    "constant, averaged": {"learning_rate": "constant", "eta0": 0.001, "average": 10},
    "invscaling, elastic net": {"learning_rate": "invscaling", "eta0": 0.001, "penalty": "elasticnet", "alpha": 0.1},
    "constant, l1": {"learning_rate": "constant", "eta0": 0.001, "penalty": "l1", "alpha": 0.1},
    "decays beyond 0": {"learning_rate": "constant", "eta0": 0.001, "penalty": "l2", "alpha": 1500.0},
}


@covering({"params": WAYS, "size": [1, 13], "filled": [0, 1, 3]})
def test_as_if_all_columns_were_in_each_chunk(monkeypatch, params, size, filled):
    """To rounding; also after a fit, and with weights."""
    X, y = words(150 if size == 1 else 300, filled=filled)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    kind = OnlineSGDRegressor if size == 1 else MiniBatchSGDRegressor
    found = []
    for whole in (False, True):
        if whole:
            internals.with_all_columns(monkeypatch)
        model = kind(random_state=0, epochs=2, tol=None, **params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if size > 1:
                model.fit(X[:100], y[:100])
            streamed(model, X, y, size, weight, start=100 if size > 1 else 0)
        assert internals.is_by_column(model) != whole
        found.append(model)
    here, there = found
    assert_allclose(here.coef_, there.coef_, rtol=1e-9, atol=1e-9 * abs(there.coef_).max())
    assert_allclose(here.intercept_, there.intercept_, rtol=1e-9, atol=1e-12)
    for name in ("recent_loss_", "prequential_loss_", "learning_rate_", "n_updates_", "n_samples_seen_"):
        assert_allclose(getattr(here, name), getattr(there, name), rtol=1e-9)


@pytest.mark.parametrize("size", [1, 50, 600])
def test_texts_are_learned_as_by_an_epoch_of_a_fit(size):
    """A stream centres all columns, which matters where most words say little."""
    rng = np.random.default_rng(1)
    lengths = np.exp(rng.normal(3.0, 0.8, 3000)).astype(int) + 3
    words = (3000 * rng.power(0.25, lengths.sum())).astype(int)
    X = sparse.csr_array((np.ones(len(words)), words, np.r_[0, np.cumsum(lengths)]), shape=(3000, 3000))
    X = normalize(X)
    y = 5.0 + np.log(lengths) + X @ rng.normal(size=3000) + 0.3 * rng.normal(size=3000)
    fitted = OnlineSGDRegressor(epochs=1, tol=None, shuffle=False).fit(X[:2400], y[:2400])
    model = streamed(OnlineSGDRegressor(), X[:2400], y[:2400], size)
    assert model.score(X[2400:], y[2400:]) > fitted.score(X[2400:], y[2400:]) - 0.02


@pytest.mark.parametrize(("half_life", "size"), [(None, 20), (500, 20), (500, 1)])
def test_columns_that_are_gone_do_not_follow_the_others(half_life, size):
    """When the level rises after them, that says nothing about them; when they come back, they count as before."""
    rng = np.random.default_rng(0)
    X = (rng.random((8000, 500)) < 0.02) * 1.0
    X[:, :20] = rng.random((8000, 20)) < 0.1
    X[2000:, :20] = 0.0
    y = 2.0 * X[:, 0] + 0.1 * rng.normal(size=8000)
    y[4000:] += 10.0
    X, kind = sparse.csr_array(X), OnlineSGDRegressor if size == 1 else MiniBatchSGDRegressor
    model = streamed(kind(half_life=half_life), X[:2000], y[:2000], size)
    before = model.coef_[:20]
    assert before[0] > 1.4
    assert abs(streamed(model, X, y, size, start=2000).coef_[:20] - before).max() < 0.25


def test_a_constant_column_and_one_that_fills_up(monkeypatch):
    """The first is filled when it has entries enough, and then gets no direction; the other when it is in most rows."""
    X, y = words(filled=2)
    X = X.tolil()
    X[:, 20], X[:150, 21], X[150:, 21] = 4.0, 0.0, 2.0 + np.random.default_rng(0).normal(size=(150, 1))
    X = sparse.csr_array(X)
    model = OnlineSGDRegressor(half_life=100)
    here = streamed(clone(model), X, y, 1)
    assert internals.filled_columns(here).tolist() == [5, 6, 20, 21]
    internals.with_all_columns(monkeypatch)
    there = streamed(clone(model), X, y, 1)
    assert abs(here.coef_ - there.coef_).max() < 0.02 * abs(there.coef_).max()


def test_passive_aggressive(monkeypatch):
    X, y = words()
    model = OnlineSGDRegressor("epsilon_insensitive", learning_rate="pa1", eta0=0.1)
    here = streamed(clone(model), X, y, 1)
    internals.with_all_columns(monkeypatch)
    assert_allclose(here.coef_, streamed(clone(model), X, y, 1).coef_, rtol=1e-9, atol=1e-12)


def test_targets(monkeypatch):
    """Several targets share the statistics of the columns; each has its own average and time."""
    X, y = words()
    Y = np.column_stack([y, y[::-1] ** 2])
    model = MiniBatchSGDRegressor(penalty="elasticnet", alpha=0.01)
    here = streamed(clone(model), X, Y, 7)
    internals.with_all_columns(monkeypatch)
    assert_allclose(here.coef_, streamed(clone(model), X, Y, 7).coef_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("half_life", [5, 150])
@pytest.mark.parametrize("params", [{}, {"penalty": "l2", "alpha": 0.01}], ids=str)
def test_half_life(monkeypatch, params, half_life):
    """What columns are forgotten by is a sum of what each is forgotten by, so this is nearly the same."""
    X, y = words()
    model = MiniBatchSGDRegressor(half_life=half_life, **params)
    here = streamed(clone(model), X, y, 5)
    internals.with_all_columns(monkeypatch)
    there = streamed(clone(model), X, y, 5)
    assert abs(here.coef_ - there.coef_).max() < 2e-3 * abs(there.coef_).max()
    assert here.recent_loss_ == pytest.approx(there.recent_loss_, rel=1e-4)


def test_float32():
    X, y = words()
    here = streamed(OnlineSGDRegressor(penalty="l2", alpha=0.01), X.astype(np.float32), y, 1)
    there = streamed(OnlineSGDRegressor(penalty="l2", alpha=0.01), X, y, 1)
    assert here.coef_.dtype == np.float32
    assert_allclose(here.coef_, there.coef_, rtol=1e-3, atol=1e-4)


def assert_same_with_all_columns(monkeypatch, made):
    """Assert that a stream has the coefficients that it has if all columns are stored together."""
    here = made()
    internals.with_all_columns(monkeypatch)
    there = made()
    assert_allclose(here.coef_, there.coef_, rtol=1e-9, atol=1e-9 * abs(there.coef_).max())
    assert here.intercept_ == pytest.approx(there.intercept_, rel=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"penalty": "l1", "alpha": 0.01},
        {"learning_rate": "constant", "eta0": 1e-3},
        {"average": False},
        {"fit_intercept": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("filled", [0, 3])
@pytest.mark.filterwarnings("ignore:.*The (loss|penalty) was")
def test_parameters_may_change_on_the_way(monkeypatch, filled, change):
    """What columns have missed is by the parameters of the time."""
    X, y = words(filled=filled)

    def made():
        model = streamed(MiniBatchSGDRegressor(penalty="l2", alpha=0.01, average=10), X[:150], y[:150], 5)
        streamed(model.set_params(**change), X[150:200], y[150:200], 5)
        model.set_params(**{name: getattr(MiniBatchSGDRegressor(), name) for name in change})
        return streamed(model, X[200:], y[200:], 5)

    assert_same_with_all_columns(monkeypatch, made)


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.filterwarnings("ignore:.*half_life=100 has no effect")
def test_filled_columns_stay_filled_while_a_schedule_learns(n_targets, size):
    """It measures no columns, so it forgets none, and such a stream can be saved."""
    X, y = words(filled=3)
    y = y if n_targets == 1 else np.column_stack([y, -y])
    model = streamed(MiniBatchSGDRegressor(half_life=100), X[:150], y[:150], 5)
    filled = internals.filled_columns(model)
    streamed(model.set_params(learning_rate="constant", eta0=1e-5), X[150:], y[150:], size)
    assert_array_equal(internals.filled_columns(model), filled)
    assert len(filled) > 2
    other = pickle.loads(pickle.dumps(model))
    for each in (model, other):
        streamed(each.set_params(learning_rate="auto", eta0=MiniBatchSGDRegressor().eta0), X[:50], y[:50], 5)
    assert_array_equal(model.coef_, other.coef_)


@pytest.mark.filterwarnings("ignore:.*The (loss|penalty|fit_intercept) was", "ignore:.*fit_intercept")
def test_a_stream_whose_step_was_forgotten_can_be_saved():
    """As where another intercept is followed by a schedule, with columns that are filled."""
    X, y = words(filled=3)
    model = streamed(MiniBatchSGDRegressor(), X[:100], y[:100], 5)
    streamed(model.set_params(fit_intercept=False, learning_rate="constant", eta0=1e-5), X[100:150], y[100:150], 5)
    other = pickle.loads(pickle.dumps(model))
    for each in (model, other):
        streamed(each.set_params(learning_rate="auto", eta0=MiniBatchSGDRegressor().eta0), X[150:], y[150:], 5)
    assert_array_equal(model.coef_, other.coef_)


def test_indices_in_another_byte_order():
    X, y = words(50)
    other = X.copy()
    other.indices = X.indices.astype(X.indices.dtype.newbyteorder())
    here, there = (BatchGDRegressor().fit(rows, y) for rows in (X, other))
    assert_allclose(there.coef_, here.coef_, rtol=1e-12)


def test_chunks_without_weight_or_entries(monkeypatch):
    X, y = words(filled=3)
    empty = sparse.csr_array((4, P))

    def made():
        model = streamed(MiniBatchSGDRegressor(penalty="l2", alpha=0.01), X[:100], y[:100], 10)
        model.partial_fit(X[:3], y[:3], np.zeros(3)).partial_fit(empty, np.ones(4)).partial_fit(X[:0], y[:0])
        return streamed(model, X[100:], y[100:], 10)

    assert_same_with_all_columns(monkeypatch, made)


@covering(
    {
        "first": ["array", "matrix"],
        "params": {"automatic": {}, "constant": {"learning_rate": "constant", "eta0": 1e-3}},
        "size": [1, 5],
        "weighted": [None, "array", "matrix"],
    },
    strength=2,
)
def test_dense_chunks_between(monkeypatch, first, params, size, weighted):
    """Arrays and matrices may come in turn, whichever come first, and whatever the last chunks were."""
    X, y = words(60 * size, filled=3)

    def made():
        model = MiniBatchSGDRegressor(**params)
        for number, place in enumerate(range(0, len(y), size)):
            rows = slice(place, place + size)
            kind = first if number // 3 % 2 == 0 else {"array": "matrix", "matrix": "array"}[first]
            weight = [np.ones(len(y[rows]))] if kind == weighted else []
            model.partial_fit(X[rows].toarray() if kind == "array" else X[rows], y[rows], *weight)
        return model

    assert_same_with_all_columns(monkeypatch, made)


def _with_room(X):
    """The same matrix with room after its last entry."""
    X.data, X.indices = np.append(X.data, [1e3, 1e3]), np.append(X.indices, [P - 1, P - 1]).astype(X.indices.dtype)
    return X


def _in_pieces(X):
    """The same matrix with other numbers between its own."""
    X.data, X.indices = (np.stack([own, 0 * own + 7], axis=1)[:, 0] for own in (X.data, X.indices))
    return X


def _unsorted(X):
    """The same matrix with each entry in two parts, the last one first."""
    order = np.concatenate([np.repeat(np.arange(b)[a:][::-1], 2) for a, b in pairwise(X.indptr)])
    return sparse.csr_array((X.data[order] / 2.0, X.indices[order], 2 * X.indptr), shape=X.shape)


def _long(X):
    """The same matrix with long indices."""
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize("form", [_with_room, _in_pieces, _unsorted, _long, sparse.csr_matrix, sparse.csc_array])
def test_forms_of_a_matrix(form, size):
    X, y = words(n=120)
    here, there = OnlineSGDRegressor(), streamed(OnlineSGDRegressor(), X, y, size)
    for place in range(0, len(y), size):
        here.partial_fit(form(X[place : place + size]), y[place : place + size])
    assert_allclose(here.coef_, there.coef_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize(
    ("name", "place", "value"), [("indices", -1, P), ("indices", 0, -1), ("indptr", 1, 10**8), ("indptr", -1, 10**8)]
)
def test_matrices_with_entries_outside_are_refused(name, place, value, size):
    X, y = words(n=120)
    model = streamed(OnlineSGDRegressor(), X[:60], y[:60], size)
    before, rows = model.coef_.copy(), X[61 : 61 + size]
    getattr(rows, name)[place] = value
    for call in (model.partial_fit, BatchGDRegressor().fit):
        with pytest.raises(ValueError, match="not a valid CSR"):
            call(rows, y[61 : 61 + size])
    with pytest.raises(ValueError, match="not a valid CSR"):
        model.predict(rows)
    assert_array_equal(model.coef_, before)


def test_constant_columns_with_weights():
    """Sums of weights differ by their order, but a filled column that does not vary has no direction for that."""
    X, y = words()
    X = sparse.csr_array(sparse.hstack([X, np.full((len(y), 1), 3.0)]))
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    model = streamed(MiniBatchSGDRegressor(), X[:65], y[:65], 13, weight)
    before = internals.state_of(model).vectors.coef[P]
    streamed(model, X, y, 13, weight, start=65)
    assert internals.state_of(model).vectors.coef[P] == before


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_copies_go_on_by_themselves(copied):
    X, y = words()
    model = streamed(OnlineSGDRegressor(penalty="l2", alpha=0.01), X[:100], y[:100], 1)
    other, before = copied(model), model.coef_.copy()
    streamed(other, X[100:], y[100:], 1)
    assert_array_equal(model.coef_, before)
    assert_array_equal(streamed(model, X[100:], y[100:], 1).coef_, other.coef_)


def test_copies_continue_with_other_parameters():
    X, y = words()
    model = streamed(MiniBatchSGDRegressor(), X[:100], y[:100], 5)
    other = pickle.loads(pickle.dumps(model))
    for each in (model, other):
        streamed(each.set_params(average=False), X[100:], y[100:], 5)
    assert_array_equal(other.coef_, model.coef_)


def test_a_failed_call_changes_nothing():
    X, y = words()
    model = streamed(OnlineSGDRegressor(), X[:50], y[:50], 1)
    twin = copy.deepcopy(model)
    broken = X[50:51].copy()
    broken.data[:] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(broken, y[50:51])
    with pytest.raises(ValueError, match="600"):
        model.partial_fit(X[50:51, :7], y[50:51])
    broken.data[:] = 1e200
    with pytest.raises(ValueError, match="squares"):
        model.partial_fit(broken, y[50:51])
    model.set_params(learning_rate="constant", eta0=1e308)
    with pytest.warns(match="changed nothing"):
        model.partial_fit(X[50:60], 1e200 * y[50:60])
    model.set_params(learning_rate="auto", eta0=twin.eta0)
    assert_array_equal(model.coef_, twin.coef_)
    assert_array_equal(streamed(model, X[50:], y[50:], 1).coef_, streamed(twin, X[50:], y[50:], 1).coef_)


def test_an_interrupted_call_changes_nothing(monkeypatch):
    """Also if it is interrupted while its table is changed."""
    X, y = words()
    X = X[:, 1:]
    model, twin = (streamed(OnlineSGDRegressor(), X[:100], y[:100], 1) for _ in range(2))
    with monkeypatch.context() as patch:
        internals.interrupt_tables(patch)
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X[100:101], y[100:101])
    assert_array_equal(model.coef_, twin.coef_)


def test_matrices_may_be_used_again():
    """What users do with their arrays after a call makes no difference to earlier models."""
    X, y = words()
    X = X[:, 1:]
    model, twin = (streamed(OnlineSGDRegressor(), X[:100], y[:100], 1) for _ in range(2))
    kept = model._fitted
    for place in range(100, 110):
        row = X[place : place + 1]
        model.partial_fit(row, y[place : place + 1])
        row.indices[:] = 0
    assert_array_equal(kept.coef, twin.coef_)


def test_a_fitted_model_is_a_value():
    """One that is kept, or is read by another thread, does not change when its stream goes on."""
    X, y = words()
    model = streamed(OnlineSGDRegressor(), X[:100], y[:100], 1)
    kept = [model._fitted]
    expected = [copy.deepcopy(model).coef_]
    for place in range(100, 130):
        model.partial_fit(X[place : place + 1], y[place : place + 1])
        kept.append(model._fitted)
        expected.append(copy.deepcopy(model).coef_)
    found = [None] * len(kept)

    def read(start):
        for place in range(start, len(kept), 2):
            found[place] = kept[place].coef

    threads = [Thread(target=read, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_predictions_of_few_rows(kind):
    """They are made of the columns of these rows, and are those of the coefficients."""
    X, y = words(filled=3)
    model = streamed(kind(), X, y, 50)
    few = [model.predict(X[place : place + 2]) for place in range(0, 10, 2)]
    assert_allclose(np.concatenate(few), X[:10] @ model.coef_ + model.intercept_, rtol=1e-9)


def test_predictions_of_few_rows_with_an_assigned_intercept():
    X, y = words()
    model = streamed(OnlineSGDRegressor(), X, y, 50)
    model.intercept_ = 100.0
    assert_allclose(model.predict(X[:2]), X[:2] @ model.coef_ + 100.0, rtol=1e-9)


def test_state_needs_no_llvm(monkeypatch):
    X, y = words(n=60)
    model = MiniBatchSGDRegressor(penalty="elasticnet", alpha=0.01)
    here = streamed(clone(model), X, y, 6)
    internals.without_kernels(monkeypatch)
    assert_allclose(streamed(clone(model), X, y, 6).coef_, here.coef_, rtol=1e-9, atol=1e-12)


FORKED = """
import os, sys, warnings
import numpy as np
from scipy import sparse
from sklearn_sgd import OnlineSGDRegressor
import internals

warnings.simplefilter("ignore")
X = sparse.random(50, 1000, 0.01, "csr", random_state=0)
model = OnlineSGDRegressor().partial_fit(X, np.arange(50.0))
with internals.lock_of_tables():
    child = os.fork()
    if not child:
        os._exit(0 if np.isfinite(model.partial_fit(X, np.arange(50.0)).coef_).all() else 1)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_process_does_not_wait_for_a_thread_that_it_has_not():
    """A lock that another thread held at that moment would never be released there."""
    subprocess.run([sys.executable, "-c", FORKED], cwd=os.path.dirname(__file__), check=True, timeout=120)
