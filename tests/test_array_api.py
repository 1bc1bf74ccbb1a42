"""Arrays of other libraries, where they are, under scikit-learn's array API dispatch."""

import pickle
from itertools import product

import internals
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from problems import AUTO, EARLY, FIXED, REGRESSORS, covering, in_domain, linear, some_weights, theta
from sklearn.base import clone
from sklearn.utils import _array_api
from sklearn.utils.fixes import parse_version

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.streaming import fit_stream, load_checkpoint

pytestmark = [
    pytest.mark.skipif(
        parse_version(sklearn.__version__) < parse_version("1.7"), reason="array API dispatch needs scikit-learn 1.7"
    ),
    # Few steps, so some fits are rightly said to end worse than a constant.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)


@pytest.fixture(params=["torch", "torch on a card", "array_api_strict"])
def library(request):
    """The functions of a library, a device and scikit-learn configured to leave arrays there."""
    xp = pytest.importorskip(request.param.split()[0])
    device = None
    if "card" in request.param:
        if not xp.cuda.is_available():
            pytest.skip("no graphics card here")
        device = "cuda"
    with sklearn.config_context(array_api_dispatch=True):
        yield lambda array: xp.asarray(array, device=device)


def to_numpy(array):
    """Copy an array of any library, on any device, to NumPy."""
    return array.cpu().numpy() if hasattr(array, "cpu") else np.asarray(array)


def check_like_numpy(model, library, X, y, weight=None, *, rtol=1e-9, **fit):
    """That a fit, and a call of partial_fit, give what NumPy's arrays do, as arrays of the library."""
    ours = clone(model).fit(X, y, weight, **fit)
    there = None if weight is None else library(weight)
    theirs = clone(model).fit(library(X), library(y), there, **{k: library(v) for k, v in fit.items()})
    for _ in range(1 if model.early_stopping else 2):
        assert type(theirs.coef_) is type(theirs.predict(library(X))) is type(library(X))
        assert theirs.coef_.dtype == library(X).dtype
        assert_allclose(to_numpy(theirs.coef_), ours.coef_, rtol, rtol)
        assert_allclose(to_numpy(theirs.intercept_), ours.intercept_, rtol, rtol)
        assert_allclose(to_numpy(theirs.predict(library(X))), ours.predict(X), rtol * 10, rtol * 10)
        assert theirs.score(library(X), library(y)) == pytest.approx(ours.score(X, y), rel=1e-3)
        for name in ("n_iter_", "n_updates_", "n_samples_seen_", "batch_size_"):
            assert getattr(theirs, name) == getattr(ours, name)
        assert_allclose(theirs.loss_curve_, ours.loss_curve_, rtol * 10)
        if not model.early_stopping:
            ours.partial_fit(X, y, weight)
            theirs.partial_fit(library(X), library(y), there)


STEPS = {"automatic": AUTO, "schedule": FIXED | {"shuffle": True}}


@covering({"loss": [*LOSSES], "params": STEPS, "batch_size": [8, None]})
def test_losses(batch_size, loss, params, library):
    """With weights, some of them 0."""
    X, y = linear()
    X, y = X[:40], in_domain(LOSSES[loss](), y[:40])
    weight = np.where(np.arange(40) % 5 == 1, 0.0, some_weights(40))
    model = MiniBatchSGDRegressor(loss, batch_size=batch_size, random_state=0, **params)
    check_like_numpy(model, library, X, y, weight, rtol=1e-6)


OPTIONS = {
    "defaults": {},
    "ridge": {"penalty": "l2", "alpha": 0.1},
    "elastic net": {"penalty": "elasticnet", "alpha": 0.1},
    "positive": {"positive": True},
    "no intercept": {"fit_intercept": False},
    "early stopping": AUTO | EARLY,
    "adam": FIXED | {"optimizer": "adam"},
    "averaged": FIXED | {"shuffle": "batches", "average": True, "drop_last": True},
}


@covering({"params": OPTIONS, "kind": REGRESSORS})
def test_parameters(kind, params, library):
    X, y = linear()
    check_like_numpy(kind(random_state=0, **{"epochs": 5} | params), library, X, y)


@all_kinds
def test_single_precision(kind, library):
    X, y = (array.astype(np.float32) for array in linear())
    check_like_numpy(kind(random_state=0, epochs=5), library, X, y, rtol=2e-4)


@all_kinds
def test_several_targets(kind, library):
    X, y = linear()
    check_like_numpy(kind(random_state=0, epochs=5), library, X, np.column_stack([y, 2 * y + X[:, 0]]))


@all_kinds
def test_rows_to_score_on(kind, library):
    X, y = linear()
    model = kind(random_state=0, **AUTO | EARLY)
    check_like_numpy(model, library, X[:40], y[:40], X_val=X[40:], y_val=y[40:])


@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant", "tol": None, "epochs": 3}], ids=str)
def test_full_batch_of_many_rows(params, library, monkeypatch):
    internals.in_segments(monkeypatch, entries=64)
    X, y = linear()
    check_like_numpy(BatchGDRegressor("huber", epsilon=1.0, **params), library, X, y, some_weights(60), rtol=1e-7)


def test_many_columns(library):
    """Variances alone, and the largest eigenvalue from rows; without final steps, which NumPy's arrays have alone."""
    X, model = np.random.default_rng(0).normal(size=(60, 450)) + 3.0, MiniBatchSGDRegressor(random_state=0, epochs=5)
    check_like_numpy(model.set_params(average=True), library, X, X[:, 0] - X[:, 1], rtol=1e-7)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
@pytest.mark.parametrize("batch_size", [4000, None])
def test_rows_stay_where_they_are(batch_size, loss, library, monkeypatch):
    """What comes to the host is sums: nothing as long as the rows, but for a sample of targets."""
    sizes = []
    X, y = np.random.default_rng(0).normal(size=(12_000, 3)), np.ones(12_000)
    y[::3] = 3.0
    internals.watch_the_host(monkeypatch, lambda array: sizes.append(np.prod(array.shape)))
    MiniBatchSGDRegressor(loss, batch_size=batch_size, epochs=2).fit(library(X), library(y))
    assert 0 < max(sizes) <= 10_000


def test_numpy_and_others_take_turns(library):
    """A model learned here goes on there, and back; it predicts where it learned last."""
    X, y = linear()
    model, ours = OnlineSGDRegressor(**FIXED).fit(X, y), OnlineSGDRegressor(**FIXED).fit(X, y)
    model.partial_fit(library(X), y)
    ours.partial_fit(X, y)
    assert_allclose(to_numpy(model.predict(library(X))), ours.predict(X), rtol=1e-12)
    if hasattr(_array_api, "check_same_namespace"):
        with pytest.raises(ValueError, match="must use the same namespace"):
            model.predict(X)
    model.partial_fit(X, library(y))
    assert_allclose(theta(model), theta(ours.partial_fit(X, y)), rtol=1e-12)


@pytest.mark.parametrize("targets", [1, 2])
def test_sparsified_model_predicts_where_the_rows_are(targets, library):
    X, y = linear()
    y = y if targets == 1 else np.column_stack([y, -y])
    model = OnlineSGDRegressor(random_state=0, epochs=3).fit(library(X), library(y))
    expected = to_numpy(model.predict(library(X)))
    predictions = model.sparsify().predict(library(X))
    assert type(predictions) is type(library(X))
    assert_allclose(to_numpy(predictions), expected, rtol=1e-12)
    copy = pickle.loads(pickle.dumps(model.sparsify()))
    for dense in (model.densify(), copy.densify()):
        assert type(dense.coef_) is type(library(X))
        assert_allclose(to_numpy(dense.predict(library(X))), expected, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["svrg", "saga"])
def test_row_by_row_is_for_numpy(optimizer, library):
    X, y = linear()
    with pytest.raises(ValueError, match=f"optimizer='{optimizer}'.*NumPy"):
        OnlineSGDRegressor(optimizer=optimizer).fit(library(X), library(y))


@all_kinds
def test_bad_input(kind, library):
    X, y = linear()
    for spoil, name in ((X, "X"), (y, "y")):
        bad = spoil.copy()
        bad.flat[7] = np.nan
        with pytest.raises(ValueError, match=f"{name} contains NaN"):
            kind().fit(library(bad if name == "X" else X), library(bad if name == "y" else y))
    with pytest.raises(ValueError, match="sample_weight has negative"):
        kind().fit(library(X), library(y), library(-np.ones(60)))
    with pytest.raises(ValueError, match="inconsistent"):
        kind().fit(library(X), library(y[:-1]))


@covering(
    {
        "name, kind": product(["torch", "array_api_strict", "numpy"], REGRESSORS),
        "dtype": ["float64", "float32"],
        "weighted": [False, True],
    }
)
def test_scikit_learns_own_check(kind, name, dtype, weighted):
    pytest.importorskip(name)
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    options = {"check_sample_weight": weighted}
    # Row by row in Python an epoch takes a fifth of a second: a few of them check as much.
    few = {"epochs": 5, "tol": None} if kind is OnlineSGDRegressor else {}
    checks.check_array_api_input(kind.__name__, kind(**few), name, None, dtype, **options)
    # Its columns depend on each other: only a penalty makes coefficients of them unique, up to the rounding of float32.
    model = kind(penalty="l2", alpha=0.01, **few)
    checks.check_array_api_input(kind.__name__, model, name, None, dtype, check_values=True, **options)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_targets_and_weights_follow_the_rows(method):
    """They may be on another device, as they may be of another library."""
    xp = pytest.importorskip("array_api_strict")
    there, elsewhere = xp.Device("device1"), xp.Device("CPU_DEVICE")
    (X, y), weight, model = linear(), some_weights(60), MiniBatchSGDRegressor(random_state=0, **FIXED)
    expected = getattr(clone(model), method)(X, y, sample_weight=weight).coef_
    with sklearn.config_context(array_api_dispatch=True):
        X, y = xp.asarray(X, device=there), xp.asarray(y, device=elsewhere)
        getattr(model, method)(X, y, sample_weight=xp.asarray(weight, device=elsewhere))
        assert model.coef_.device == there
        assert_allclose(internals.namespace.host(model.coef_), expected, 1e-12)


def test_chunks_without_weight_change_nothing(library):
    (X, y), model = linear(), MiniBatchSGDRegressor("huber", random_state=0)
    expected = clone(model).partial_fit(X, y).partial_fit(X, y)
    X, y = library(X), library(y)
    for weight in (0.0 * y, None, 0.0 * y, None):
        model.partial_fit(X, y, weight)
    assert_allclose(to_numpy(model.coef_), expected.coef_, 1e-12)


def test_tensors_that_have_no_rows_of_real_numbers():
    torch = pytest.importorskip("torch")
    X, y = map(torch.from_numpy, linear())
    with sklearn.config_context(array_api_dispatch=True):
        with pytest.raises(ValueError, match="Complex data not supported: X has"):
            BatchGDRegressor().fit(X.to(torch.complex64), y)
        with pytest.raises(ValueError, match="Complex data not supported: y has"):
            BatchGDRegressor().fit(X, y.to(torch.complex64))
        with pytest.raises(TypeError, match=r"X is a sparse tensor of torch.*X.to_dense\(\)"):
            BatchGDRegressor().fit(X.to_sparse(), y)


def test_predictions_for_half_precision():
    torch = pytest.importorskip("torch")
    X, y = map(torch.from_numpy, linear())
    with sklearn.config_context(array_api_dispatch=True):
        model = BatchGDRegressor().fit(X, y)
        for dtype in (torch.bfloat16, torch.float16):
            assert_allclose(model.predict(X.to(dtype)), model.predict(X.to(dtype).double()), 1e-12)


def test_many_rows(library, monkeypatch):
    """So many that a compiled pass would be in threads, which know nothing of the dispatch.

    Of NumPy's arrays the curvature is that of a sample, so that the way is another one, to the same minimum.
    """
    X, y = linear(n=internals.ENTRIES_FOR_THREADS // 3, p=6)
    minimum = BatchGDRegressor("huber", epochs=40, tol=1e-12).fit(X, y).coef_
    internals.without_samples(monkeypatch)
    check_like_numpy(BatchGDRegressor("huber", epochs=3), library, X, y)
    there = BatchGDRegressor("huber", epochs=40, tol=1e-12).fit(library(X), library(y))
    assert_allclose(to_numpy(there.coef_), minimum, rtol=1e-6)


def test_streams_and_what_is_saved(library, tmp_path):
    """A checkpoint has the coefficients on the host; a stream goes on where its arrays are, with the same bits."""
    X, y = linear(100)
    chunks = [(library(X[i : i + 20]), library(y[i : i + 20])) for i in range(0, 100, 20)]
    fit_stream(MiniBatchSGDRegressor(), chunks, max_rows=40, checkpoint=tmp_path / "c")
    assert isinstance(load_checkpoint(tmp_path / "c").estimator.coef_, np.ndarray)
    resumed, whole = (fit_stream(MiniBatchSGDRegressor(), chunks, checkpoint=c) for c in (tmp_path / "c", None))
    copy = pickle.loads(pickle.dumps(whole))
    for model in (resumed, copy):
        assert type(model.coef_) is type(library(X))
        assert (to_numpy(model.predict(library(X))) == to_numpy(whole.predict(library(X)))).all()
