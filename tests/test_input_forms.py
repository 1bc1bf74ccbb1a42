"""What X means does not depend on how it is kept: frames of sparse columns, entries stored twice, tensors."""

from itertools import product

import internals
import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from problems import AUTO, FIXED, REGRESSORS, covering, csr, holey, linear, some_weights, theta
from scipy import sparse
from sklearn.linear_model import LinearRegression

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor, diagnostics
from sklearn_sgd.streaming import ArraySource, fit_stream, predict_stream

# Few steps, so some fits are rightly said to end worse than a constant.
few_steps = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)
RATES = {"auto": AUTO, "constant": FIXED}

# Frames of sparse columns

LETTERS, TENS = list("abc") * 7, np.tile([10.0, 20.0, 30.0], 7)


def dummies(dtype, fill=0):
    """Which letter it is, in three sparse columns of a dtype."""
    pd = pytest.importorskip("pandas")
    return pd.get_dummies(pd.Series(LETTERS), dtype=float).astype(dtype).astype(pd.SparseDtype(dtype, dtype(fill)))


def frames():
    """Frames of sparse columns with the same numbers."""
    yield from (dummies(dtype) for dtype in (np.bool_, np.int8, np.float16, np.float32, np.float64))
    mixed = dummies(np.bool_)
    mixed["b"], mixed["c"] = dummies(np.float64)["b"], dummies(np.int64)["c"]
    yield mixed
    pd = pytest.importorskip("pandas")
    dense = mixed.sparse.to_dense().astype(float)
    yield pd.DataFrame({name: pd.arrays.SparseArray(column, fill_value=1.0) for name, column in dense.items()})
    yield pd.DataFrame({name: pd.arrays.SparseArray(column) for name, column in dense.items()})


@all_kinds
def test_frames_of_sparse_columns(kind):
    for frame in frames():
        model = kind(random_state=0).fit(frame, TENS)
        single = all(dtype.subtype == np.float32 for dtype in frame.dtypes)
        assert model.coef_.dtype == (np.float32 if single else np.float64)
        assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
        assert_allclose(model.predict(frame), TENS, rtol=1e-5)
        assert model.score(frame, TENS) == pytest.approx(1.0, abs=1e-8)
        assert_allclose(model.predict(frame.sparse.to_dense().astype(float)), TENS, rtol=1e-5)


def test_sparse_columns_beside_others():
    """scikit-learn says that it makes them dense."""
    frame = dummies(np.bool_).assign(d=np.arange(21.0))
    with pytest.warns(UserWarning, match="DataFrame with sparse columns found"):
        assert_allclose(BatchGDRegressor().fit(frame, TENS).predict(frame), TENS, rtol=1e-6)


@all_kinds
def test_predict_for_many_rows_of_a_frame_of_sparse_columns(kind):
    pd = pytest.importorskip("pandas")
    for frame in (dummies(np.bool_), dummies(np.float32)):
        many = pd.concat([frame] * 2_500, ignore_index=True)
        model = kind(random_state=0, epochs=20).fit(frame, TENS)
        assert_allclose(model.predict(many), np.tile(TENS, 2_500), rtol=1e-3)


@pytest.mark.filterwarnings("ignore:.*(takes one step on each chunk|is for fit):UserWarning")
@few_steps
@all_kinds
@pytest.mark.parametrize("rate", RATES)
def test_chunks_of_sparse_columns(kind, rate):
    """They are learned as the matrices of the same numbers are."""
    frame = dummies(np.bool_)
    matrix, chunks = sparse.csr_matrix(frame.to_numpy(dtype=float)), [(frame, TENS), (frame[:5], TENS[:5])]
    theirs = kind(**RATES[rate])
    for _ in range(2):
        theirs.partial_fit(matrix, TENS).partial_fit(matrix[:5], TENS[:5])
    model = kind(**RATES[rate]).partial_fit(*chunks[0]).partial_fit(*chunks[1])
    model = fit_stream(model, chunks)
    assert_array_equal(theta(model), theta(theirs))
    assert_array_equal(
        np.concatenate([*predict_stream(model, chunks)]), theirs.predict(matrix[[*range(21), *range(5)]])
    )


def test_targets_and_weights_of_sparse_columns():
    X, frame = np.arange(21.0)[:, None], dummies(np.bool_)
    dense = frame.sparse.to_dense().astype(float)
    for y in (frame["a"], frame):
        model = BatchGDRegressor(tol=1e-9).fit(X, y, dummies(np.int8, 1)["b"] + 1)
        exact = LinearRegression().fit(X, dense if y is frame else dense["a"], dense["b"] + 1)
        assert_allclose(model.coef_, exact.coef_, atol=1e-9)


@few_steps
def test_rows_to_score_on_of_sparse_columns():
    frame, model = dummies(np.bool_), MiniBatchSGDRegressor(early_stopping=True, random_state=0)
    theirs = sparse.csr_matrix(frame.to_numpy(dtype=float))
    scores = [model.fit(X, TENS, X_val=X, y_val=TENS).validation_scores_ for X in (frame, theirs)]
    assert scores[0] == scores[1]


def test_diagnostics_of_sparse_columns():
    frame = dummies(np.bool_)
    at = [[1.0, 2.0, 3.0, 4.0]]
    expected = np.mean((frame.to_numpy(dtype=float) @ at[0][:3] + 4.0 - TENS) ** 2) / 2
    assert_allclose(diagnostics.objective(BatchGDRegressor(), frame, TENS, at), expected)


@all_kinds
def test_missing_values_of_sparse_columns_are_named(kind):
    pd = pytest.importorskip("pandas")
    for fill in (0.0, np.nan):
        frame = pd.DataFrame({"a": pd.arrays.SparseArray(np.r_[np.nan, np.ones(20)], fill_value=fill)})
        with pytest.raises(ValueError, match="X contains NaN"):
            kind().fit(frame, TENS)


# Entries that are stored several times, or in another order


def doubled(X, dtype=np.float64, seed=0):
    """A matrix that stores X in two parts, entries of a row in any order; its hash must never change."""
    rng, rows = np.random.default_rng(seed), []
    for row in np.asarray(X, dtype=float):
        columns = np.flatnonzero(row)
        twice = rng.permutation(np.repeat(columns, 2))
        share = np.where(np.arange(len(twice)) == [np.flatnonzero(twice == c)[0] for c in twice], 0.25, 0.75)
        rows.append((row[twice] * share, twice))
    data, indices = (np.concatenate([row[k] for row in rows]) for k in (0, 1))
    ends = np.cumsum([0, *(len(row[0]) for row in rows)])
    return sparse.csr_matrix((data.astype(dtype), indices, ends), shape=np.shape(X))


def unsorted(X):
    """The same numbers, each once, the columns of a row from the last to the first."""
    matrix = csr(X)
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        matrix.indices[start:stop], matrix.data[start:stop] = (
            array[start:stop][::-1].copy() for array in (matrix.indices, matrix.data)
        )
    matrix.has_sorted_indices = False
    return matrix


def summed(X):
    X = sparse.csr_matrix(X, copy=True)
    X.sum_duplicates()
    return X


STORED = {
    "twice": doubled,
    "twice, columns": lambda X: doubled(X.T).T,
    "twice, an array": lambda X: sparse.csr_array(doubled(X)),
    "unsorted": unsorted,
}
STEPS = {
    "automatic": {},
    "constant": FIXED,
    "lasso": {"penalty": "l1", "alpha": 0.1},
    "lasso, constant": FIXED | {"penalty": "l1", "alpha": 0.1, "average": True},
    "saga": {"optimizer": "saga", "epochs": 30},
    "svrg": {"optimizer": "svrg", "epochs": 5},
    "adam": FIXED | {"optimizer": "adam"},
    "huber": {"loss": "huber", "epochs": 5},
}


@few_steps
@covering({"stored": STORED, "params": STEPS, "kind": REGRESSORS}, strength=2)
def test_entries_are_summed_in_fit(kind, params, stored):
    X, y = holey()
    X = X.round(3)
    given, weight = stored(X), some_weights(len(y))
    before = joblib.hash(given)
    model, expected = (kind(random_state=0, **params).fit(rows, y, weight) for rows in (given, summed(given)))
    assert_array_equal(theta(model), theta(expected))
    assert_array_equal(model.loss_curve_, expected.loss_curve_)
    assert_allclose(model.predict(given), X @ model.coef_ + model.intercept_, rtol=1e-9)
    assert joblib.hash(given) == before


@pytest.mark.filterwarnings("ignore:.*(takes one step on each chunk|is for fit):UserWarning")
@few_steps
@covering({"stored": STORED, "params": RATES, "kind": REGRESSORS}, strength=2)
def test_entries_are_summed_in_streams(kind, params, stored):
    X, y = holey()
    given, expected, model = stored(X), kind(**params), kind(**params)
    before = joblib.hash(given)
    for start in (0, 30, 10):
        expected.partial_fit(summed(given)[start : start + 30], y[start : start + 30])
        model.partial_fit(sparse.csr_matrix(given)[start : start + 30], y[start : start + 30])
    assert_array_equal(theta(model), theta(expected))
    matrix, options = summed(given), {"epochs": 2, "random_state": 0}
    sources = (ArraySource(rows, y, chunk_rows=20) for rows in (given, matrix))
    streamed, expected = (fit_stream(kind(**params), source, **options) for source in sources)
    assert_array_equal(theta(streamed), theta(expected))
    assert joblib.hash(given) == before


@few_steps
@all_kinds
@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.float32])
def test_entries_are_summed_in_the_dtype_of_the_matrix(kind, dtype):
    """As SciPy does it: true and true is true, and not 2."""
    rng = np.random.default_rng(0)
    indices, ends = rng.integers(0, 3, 80), np.arange(0, 81, 2)
    given = sparse.csr_matrix((np.full(80, 100).astype(dtype), indices, ends), shape=(40, 3))
    y = given.toarray().astype(float) @ [1.0, 2.0, 3.0]
    given.has_canonical_format = False
    model = kind(random_state=0).fit(given, y)
    expected = kind(random_state=0).fit(csr(given.toarray().astype(model.coef_.dtype)), y)
    assert_array_equal(theta(model), theta(expected))
    for _ in range(2):
        assert_array_equal(model.predict(given), expected.predict(csr(given.toarray())))
        model, expected = (m.partial_fit(rows, y) for m, rows in ((model, given), (expected, csr(given.toarray()))))
    assert_array_equal(theta(model), theta(expected))


@pytest.mark.parametrize("size", [1, 3, 1 << 16])
def test_the_form_of_a_matrix_is_that_of_scipys_checks(monkeypatch, size):
    internals.check_in_blocks(monkeypatch, size)
    rng, found = np.random.default_rng(0), set()
    for seed in range(200):
        shape = n, p = rng.integers(1, 6, 2)
        X = sparse.random(n, p, rng.random(), format="csr", random_state=seed)
        if X.nnz and rng.random() < 0.6:
            X.indices[rng.integers(X.nnz)] = rng.integers(-1, p + 1)
        elif rng.random() < 0.3:
            X.indptr[rng.integers(n + 1)] += rng.integers(-1, 2)
        try:
            X.check_format()
            expected = sparse.csr_matrix((X.data, X.indices, X.indptr), shape=shape).has_canonical_format
        except ValueError:
            expected = False
        assert internals.is_canonical(X) == (expected and X.nnz == len(X.indices))
        found.add(expected)
    assert found == {False, True}


def test_the_smallest_case():
    """Even samples store 1 twice."""
    X = sparse.csr_matrix((np.ones(12), np.zeros(12, int), np.cumsum([0, 2, 1, 2, 1, 2, 1, 2, 1])), shape=(8, 1))
    y = 3 * X.toarray().ravel() + 1
    for kind, params in product(REGRESSORS, ({}, {"optimizer": "saga", "epochs": 1000, "tol": 1e-9})):
        assert_allclose(theta(kind(random_state=0, **params).fit(X, y)), [3, 1], rtol=1e-3)


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "lil", "dok", "dia"])
def test_a_source_of_any_sparse_format(form):
    X, y = holey()
    expected, model = (
        fit_stream(OnlineSGDRegressor(), ArraySource(rows, y, chunk_rows=16), random_state=0)
        for rows in (csr(X), sparse.coo_matrix(X).asformat(form))
    )
    assert_array_equal(theta(model), theta(expected))


# Tensors that keep a graph


@pytest.fixture(params=[False, True], ids=["converted", "dispatched"])
def tensor(request):
    """A function from arrays to tensors that require gradients, under scikit-learn's dispatch or not."""
    torch = pytest.importorskip("torch")
    with sklearn.config_context(array_api_dispatch=request.param):
        yield lambda array: torch.asarray(array, dtype=torch.float64).requires_grad_()


@few_steps
def test_tensors_that_require_gradients(tensor):
    X, y = linear()
    w = some_weights(len(y))
    rows, targets, weights = map(tensor, (X, y, w))
    for kind in REGRESSORS:
        held_out = {"X_val": X, "y_val": y, "sample_weight_val": w, "coef_init": np.ones(5), "intercept_init": 1.0}
        for method, given in (("fit", {}), ("partial_fit", {}), ("fit", held_out)):
            early = {"early_stopping": bool(given), "epochs": 3}
            model = kind(random_state=0, **early)
            getattr(model, method)(rows, targets, weights, **{name: tensor(value) for name, value in given.items()})
            expected = getattr(kind(random_state=0, **early), method)(X, y, w, **given)
            assert_allclose(np.asarray(model.coef_), expected.coef_, rtol=1e-9)
            predictions = model.predict(rows)
            assert not getattr(predictions, "requires_grad", False)
            assert_allclose(np.asarray(predictions), expected.predict(X), rtol=1e-9)


@all_kinds
def test_single_rows_that_require_gradients(kind, tensor):
    X, y = linear()
    model, expected = kind(), kind()
    for row in range(5):
        model.partial_fit(tensor(X[row : row + 1]), tensor(y[row : row + 1]))
        expected.partial_fit(X[row : row + 1], y[row : row + 1])
    assert_allclose(np.asarray(model.coef_), expected.coef_, rtol=1e-9)
