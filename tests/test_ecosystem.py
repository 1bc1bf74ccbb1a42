"""Life among others: scikit-learn's tools, joblib, data frames, memory maps, pickles."""

import io
import pickle
import tracemalloc
from itertools import product

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import AUTO, FIXED, REGRESSORS, OwnPoisson, csr, holey, learned, linear, some_weights, theta
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Lasso, LinearRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, KFold, cross_val_score, cross_validate
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_sgd.onnx
from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor, losses
from sklearn_sgd.schedules import cosine, warm_up

# Few steps, so some fits are rightly said to end worse than a constant.
few_steps = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


STEPS = {"constant": {**FIXED, "average": True}, "auto": AUTO}


def low_rate(model, rate):
    """A rate, for a model that takes one."""
    return {} if model.learning_rate == "auto" else {"eta0": rate}


CASES = {(BatchGDRegressor, "auto"), (MiniBatchSGDRegressor, "constant"), (OnlineSGDRegressor, "auto")}


@pytest.fixture(
    params=[
        pytest.param(case, id=f"{case[0].__name__}-{case[1]}", marks=[] if case in CASES else [pytest.mark.matrix])
        for case in product(REGRESSORS, STEPS)
    ]
)
def model(request):
    kind, step = request.param
    return kind(random_state=0, penalty="l2", **STEPS[step])


def pipeline(**params):
    columns = ColumnTransformer([("scale", StandardScaler(), [0, 1, 2]), ("keep", "passthrough", [3, 4])])
    return make_pipeline(columns, MiniBatchSGDRegressor(random_state=0, **params))


# scikit-learn


def test_grid_search_over_batch_sizes_in_two_processes():
    X, y = linear(n=300)
    grid = {"minibatchsgdregressor__batch_size": [1, 8, None]}
    search = GridSearchCV(pipeline(), grid, n_jobs=2, cv=3).fit(X, y)
    assert search.best_score_ > 0.99
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    alone = GridSearchCV(pipeline(), grid, cv=3).fit(X, y)
    assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_grid_search_over_parts():
    X, y = linear(n=300)
    y[::10] += 100
    grid = {"loss": [losses.Huber(1.35), losses.SquaredError()]}
    scoring = "neg_median_absolute_error"
    search = GridSearchCV(MiniBatchSGDRegressor(random_state=0), grid, cv=3, scoring=scoring).fit(X, y)
    assert isinstance(search.best_params_["loss"], losses.Huber)


@pytest.mark.matrix
def test_grid_search_on_california_housing(shared_data):
    import pandas as pd

    frame = pd.read_csv(shared_data / "california_housing.csv")
    target = next(name for name in frame if "value" in name.lower())
    X, y = frame.drop(columns=target).select_dtypes("number").dropna(axis=1), frame[target]
    y = y / y.std()
    columns = ColumnTransformer([("scale", StandardScaler(), list(X))])
    search = GridSearchCV(
        make_pipeline(columns, MiniBatchSGDRegressor(random_state=0, epochs=30)),
        {"minibatchsgdregressor__batch_size": [1, 8, 32, 128, 512, None]},
        n_jobs=2,
        cv=KFold(3, shuffle=True, random_state=0),
    ).fit(X, y)
    exact = cross_val_score(make_pipeline(columns, LinearRegression()), X, y, cv=search.cv).mean()
    assert search.best_score_ > exact - 0.02


@few_steps
def test_cross_val_score(model):
    X, y = linear()
    expected = []
    for train, test in KFold(3).split(X):
        expected.append(clone(model).fit(X[train], y[train]).score(X[test], y[test]))
    assert_array_equal(cross_val_score(model, X, y, cv=KFold(3)), expected)


@few_steps
def test_clone_is_unfitted_and_fits_alike(model):
    X, y = linear()
    copy = clone(model.fit(X, y))
    assert not hasattr(copy, "coef_")
    assert copy.get_params() == model.get_params()
    assert_array_equal(theta(copy.fit(X, y)), theta(model))


@few_steps
def test_set_params_is_constructor(model):
    X, y = linear()
    params = {"loss": "huber", "epsilon": 0.5, "penalty": "l1", "alpha": 0.1, "epochs": 7, "fit_intercept": False}
    constructed = type(model)(**model.get_params() | params)
    assert_array_equal(theta(clone(model).set_params(**params).fit(X, y)), theta(constructed.fit(X, y)))


@few_steps
def test_constructor_keeps_what_it_is_given(model):
    schedule, loss = (lambda t: 0.01 / t), losses.Huber(1.0)
    other = type(model)(loss, learning_rate=schedule)
    assert other.loss is loss
    assert other.learning_rate is schedule


@few_steps
def test_multi_output(model):
    X, y = linear()
    both = MultiOutputRegressor(model).fit(X, np.column_stack([y, -y]))
    assert_allclose(both.predict(X)[:, 0], -both.predict(X)[:, 1])


@few_steps
def test_metadata_routing(model):
    X, y = linear()
    weight = np.where(np.arange(60) % 3 == 0, 0.0, some_weights(60))
    with config_context(enable_metadata_routing=True):
        routed = clone(model).set_fit_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        scorer = get_scorer("r2").set_score_request(sample_weight=True)
        options = {"params": {"sample_weight": weight}, "cv": KFold(3), "scoring": scorer, "return_estimator": True}
        result = cross_validate(make_pipeline(scaler, routed), X, y, **options)
        for (train, _), fitted in zip(KFold(3).split(X), result["estimator"], strict=True):
            scaled = StandardScaler().fit_transform(X[train])
            assert_allclose(theta(fitted[-1]), theta(clone(model).fit(scaled, y[train], weight[train])), rtol=1e-12)


@few_steps
@pytest.mark.parametrize("kind", REGRESSORS)
def test_halving_over_epochs(kind):
    """The resource is what a candidate may spend; the last round has the largest epochs."""
    X, y = linear(n=100)
    model = kind(learning_rate="constant", tol=None, random_state=0)
    rates = [1e-5, 1e-4, 1e-3, 1e-2]
    options = {"resource": "epochs", "min_resources": 2, "max_resources": 8, "factor": 2, "cv": 3}
    search = HalvingGridSearchCV(model, {"eta0": rates}, **options).fit(X, y)
    assert search.n_resources_ == [2, 4, 8]
    assert search.best_params_ == {"eta0": 1e-2, "epochs": 8}
    assert search.best_estimator_.n_iter_ == 8


@pytest.mark.parametrize("kind", REGRESSORS)
def test_bagging(kind):
    X, y = linear(n=200)
    ours, theirs = (
        BaggingRegressor(model, n_estimators=5, random_state=0).fit(X, y, sample_weight=some_weights(200))
        for model in (kind(), LinearRegression())
    )
    assert_allclose(ours.predict(X), theirs.predict(X), atol=0.1)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_transformed_targets(kind):
    X, y = linear(n=200)
    model = TransformedTargetRegressor(kind(random_state=0), func=np.log, inverse_func=np.exp).fit(X, np.exp(y / 10))
    assert_allclose(np.log(model.predict(X)), kind(random_state=0).fit(X, y / 10).predict(X), rtol=1e-10)


def test_selection_of_columns_is_that_of_exact_solvers():
    X, y = linear(n=200)
    noise = np.random.default_rng(1).standard_normal((200, 4))
    X = np.hstack([noise[:, :2], X, noise[:, 2:]])
    lasso = BatchGDRegressor(penalty="l1", alpha=0.5, tol=None, epochs=300)
    ours, theirs = SelectFromModel(lasso).fit(X, y), SelectFromModel(Lasso(0.5)).fit(X, y)
    assert_array_equal(ours.get_support(), theirs.get_support())
    assert 0 < ours.get_support().sum() < 9
    ranks = [
        RFE(model, n_features_to_select=3).fit(X, y).ranking_ for model in (BatchGDRegressor(), LinearRegression())
    ]
    assert_array_equal(*ranks)


def test_permutation_importance():
    X, y = linear(n=200)
    ours, theirs = (
        permutation_importance(model.fit(X, y), X, y, random_state=0)
        for model in (MiniBatchSGDRegressor(random_state=0), LinearRegression())
    )
    assert_allclose(ours.importances_mean, theirs.importances_mean, rtol=0.02)


# Sparse coefficients


@few_steps
@pytest.mark.parametrize("form", [np.asarray, csr])
def test_sparsify(model, form):
    X, y = holey()
    model.set_params(penalty="l1", alpha=1.0, warm_start=True).fit(form(X), y)
    twin = pickle.loads(pickle.dumps(model))
    coef, predictions = model.coef_.copy(), model.predict(form(X))
    assert model.sparsify() is model
    assert model.coef_.format == "csr"
    assert model.coef_.shape == (1, 6)
    assert model.coef_.nnz == np.count_nonzero(coef) < 6
    assert_allclose(model.predict(form(X)), predictions, rtol=1e-12)
    assert_array_equal(model.densify().coef_, coef)
    assert_array_equal(model.densify().coef_, coef)
    for method in ("partial_fit", "fit"):
        getattr(model.sparsify(), method)(form(X), y)
        assert_array_equal(theta(model), theta(getattr(twin, method)(form(X), y)))


def test_sparsify_needs_a_fit(model):
    for method in (model.sparsify, model.densify):
        with pytest.raises(NotFittedError):
            method()


# Its picture


def test_picture_links_to_the_reference(model):
    link = f"generated/sklearn_sgd.{type(model).__name__}.html"
    assert model._get_doc_link().endswith(link)
    assert link in model._repr_html_()
    assert "scikit-learn.org" in make_pipeline(StandardScaler(), model)._repr_html_()


# Pickles and processes


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def by_cloudpickle(model):
    cloudpickle = pytest.importorskip("cloudpickle")
    return cloudpickle.loads(cloudpickle.dumps(model))


def by_skops(model):
    """Nothing is to be trusted but the class of the model."""
    skops = pytest.importorskip("skops.io")
    data = skops.dumps(model)
    unknown = skops.get_untrusted_types(data=data)
    assert unknown == [f"sklearn_sgd.regressors.{type(model).__name__}"]
    return skops.loads(data, trusted=unknown)


@few_steps
@pytest.mark.parametrize("save", [by_pickle, by_joblib, by_cloudpickle, by_skops])
def test_saved_model_is_the_same_and_goes_on(model, save):
    X, y = linear()
    model.set_params(loss=losses.Huber(1.0)).fit(X, y)
    copy = save(model)
    assert copy.get_params() == model.get_params()
    assert_equal_and_goes_on(copy, model, X, y)


@few_steps
@pytest.mark.parametrize("save", [by_pickle, by_joblib, by_cloudpickle, by_skops])
def test_saved_model_with_a_schedule_is_the_same_and_goes_on(save):
    X, y = linear()
    model = OnlineSGDRegressor(learning_rate=warm_up(cosine(0.05, updates=90), 30), epochs=1, random_state=0).fit(X, y)
    assert_equal_and_goes_on(save(model), model, X, y)


def assert_equal_and_goes_on(copy, model, X, y):
    assert_array_equal(copy.predict(X), model.predict(X))
    assert_array_equal(theta(copy.partial_fit(X, y)), theta(model.partial_fit(X, y)))
    assert_array_equal(theta(copy.fit(X, y)), theta(model.fit(X, y)))


@few_steps
@pytest.mark.parametrize("form", [np.asarray, csr])
def test_pickle_resumes_exactly(model, form):
    X, y = holey()
    model.fit(form(X), y).partial_fit(form(X[:20]), y[:20])
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict(X), model.predict(X))
    for fitted in (model, copy):
        fitted.partial_fit(form(X), y, some_weights(60)).partial_fit(form(X), y)
    assert_array_equal(theta(copy), theta(model))
    for name in learned(model):
        assert_array_equal(getattr(copy, name), getattr(model, name))


@few_steps
def test_pickle_is_small(model):
    X, y = linear(n=5000)
    assert len(pickle.dumps(model.fit(X, y))) < 5000


def fit(model, X, y, seed):
    return theta(clone(model).set_params(random_state=seed, shuffle=True).fit(X, y))


@few_steps
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_joblib_gives_the_same_bits(backend):
    X, y = linear(n=500)
    model = MiniBatchSGDRegressor(batch_size=7, **FIXED)
    fits = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(fit)(model, X, y, seed) for seed in range(8))
    assert_array_equal(fits, [fit(model, X, y, seed) for seed in range(8)])


@few_steps
def test_threads_that_start_at_once():
    """Each with parts of its own, so that all have to be made ready at the same time."""
    X, y = linear(n=5000)
    models = [kind(penalty=penalty, **FIXED) for kind in REGRESSORS for penalty in (None, "l2")]
    fits = joblib.Parallel(n_jobs=6, backend="threading")(joblib.delayed(fit)(model, X, y, 0) for model in models)
    assert_array_equal(fits, [fit(model, X, y, 0) for model in models])


# Data frames


@few_steps
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(model, library):
    frames = pytest.importorskip(library)
    X, y = linear()
    names = ["layout", "dtype", "device", "requires_grad", "values"]  # As attributes of arrays are named.
    frame = frames.DataFrame(dict(zip(names, X.T, strict=True)))
    fitted = clone(model).fit(frame, frames.Series(y), some_weights(60)).partial_fit(frame, frames.Series(y))
    assert_array_equal(theta(fitted), theta(model.fit(X, y, some_weights(60)).partial_fit(X, y)))
    assert_allclose(fitted.predict(frame), model.predict(X), rtol=1e-12)
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        pytest.skip(f"this scikit-learn does not see the names of {library}")
    assert_array_equal(fitted.feature_names_in_, names)
    wrong = frame[names[::-1]]
    for call in (lambda: fitted.predict(wrong), lambda: fitted.partial_fit(wrong, y)):
        with pytest.raises(ValueError, match="feature names"):
            call()
    with pytest.warns(UserWarning, match="feature names"):
        fitted.predict(X)


@few_steps
def test_single_precision_frame(model):
    pd = pytest.importorskip("pandas")
    X, y = linear()
    fitted = model.fit(pd.DataFrame(X.astype(np.float32)).rename(columns=str), pd.Series(y))
    assert fitted.coef_.dtype == np.float32


@few_steps
def test_weights_as_series(model):
    pd = pytest.importorskip("pandas")
    X, y = linear()
    index = np.arange(60)[::-1]
    expected = theta(clone(model).fit(X, y, some_weights(60)))
    assert_array_equal(theta(model.fit(X, pd.Series(y, index), pd.Series(some_weights(60), index))), expected)


# Memory maps


@pytest.fixture
def mapped(tmp_path):
    """A read-only map of 16 MB, with targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50_000, 40))
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r"), X[:, 0] + 1


@few_steps
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("partial_fit", {}),
        ("fit", {}),
        ("fit", {"shuffle": True}),
        ("fit", {"shuffle": "batches"}),
        ("fit", {"early_stopping": True}),
    ],
    ids=str,
)
def test_memory_map_is_not_copied(model, mapped, method, params):
    X, y = mapped
    model.set_params(**low_rate(model, 1e-3), **params)
    # LLVM's own memory is not counted: enough rows for the same pass as all.
    getattr(clone(model), method)(np.array(X[:2000]), y[:2000])
    tracemalloc.start()
    getattr(model, method)(X, y)
    model.predict(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    held = 0.1 * X.nbytes if params.get("early_stopping") else 0
    # The automatic step looks at a part of the samples, here at a sixth of them, in double and single precision.
    assert peak - held < 0.4 * X.nbytes
    assert_array_equal(theta(model), theta(getattr(clone(model), method)(np.array(X), y)))


@few_steps
def test_sparse_rows_are_not_copied(model):
    X, y = holey(n=20_000, p=50)
    S = csr(X)
    model.set_params(**low_rate(model, 1e-3)).fit(S, y)
    tracemalloc.start()
    model.fit(S, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * (S.data.nbytes + S.indices.nbytes)


@few_steps
def test_stream_of_generator_batches():
    """What is fed to partial_fit may be freed at once: nothing of it is kept."""
    model = OnlineSGDRegressor()
    for seed in range(5):
        X, y = linear(seed=seed)
        model.partial_fit(X, y)
        X[:], y[:] = np.nan, np.nan
    assert np.isfinite(theta(model)).all()
    assert model.n_samples_seen_ == 300


# ONNX


@pytest.fixture
def in_onnx():
    """What a model predicts in onnxruntime for some rows."""
    skl2onnx, runtime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    sklearn_sgd.onnx.register()

    def predict(model, X):
        session = runtime.InferenceSession(
            skl2onnx.to_onnx(model, X[:1]).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        return session.run(None, {"X": X})[0]

    return predict


@few_steps
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_onnx(model, in_onnx, dtype):
    X, y = linear()
    X = (10 * X).astype(dtype)
    predictions = in_onnx(model.set_params(**low_rate(model, 1e-4)).fit(X, y), X)
    assert predictions.dtype == (np.float32 if dtype == np.int64 else dtype)
    assert_allclose(predictions, model.predict(X)[:, None], rtol=1e-5, atol=1e-5)
    assert_allclose(in_onnx(model.sparsify(), X), predictions, rtol=1e-12)


class Borrowing(OwnPoisson):
    inverse_link = losses.Poisson.inverse_link


@few_steps
@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie", Borrowing()])
def test_onnx_of_a_link(loss, in_onnx):
    X, y = linear()
    Y = np.exp(np.column_stack([y, -y]) / 9)
    fitted = BatchGDRegressor(loss).fit(X, Y)
    assert_allclose(in_onnx(fitted, X), fitted.predict(X), rtol=1e-5)


@few_steps
def test_onnx_of_an_unknown_link_is_refused(in_onnx):
    X, y = linear()
    with pytest.raises(NotImplementedError, match=r"loss=OwnPoisson.*link"):
        in_onnx(BatchGDRegressor(OwnPoisson()).fit(X, np.exp(y / 9)), X)


def test_onnx_in_a_pipeline(in_onnx):
    X, y = linear()
    X = (1000 * X).astype(np.float32)
    fitted = make_pipeline(StandardScaler(), OnlineSGDRegressor(random_state=0)).fit(X, y)
    assert_allclose(in_onnx(fitted, X), fitted.predict(X)[:, None], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: make_pipeline(StandardScaler(), model)])
def test_onnx_names_what_registers_the_converter(kind, wrap, in_onnx, monkeypatch):
    from skl2onnx import _supported_operators as known
    from skl2onnx import to_onnx

    X, y = linear()
    fitted = wrap(kind()).fit(X, y)
    assert_allclose(in_onnx(fitted, X), fitted.predict(X)[:, None], rtol=1e-5, atol=1e-5)
    monkeypatch.delitem(known.sklearn_operator_name_map, kind)
    with pytest.raises(RuntimeError, match=rf"{kind.__name__}.*sklearn_sgd\.onnx\.register\(\)"):
        to_onnx(fitted, X[:1])


def test_onnx_of_a_subclass_is_left_to_skl2onnx(in_onnx):
    from skl2onnx.common.exceptions import MissingShapeCalculator

    class Model(BatchGDRegressor):
        pass

    X, y = linear()
    with pytest.raises(MissingShapeCalculator, match="Model"):
        in_onnx(Model().fit(X, y), X)
