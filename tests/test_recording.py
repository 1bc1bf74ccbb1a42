"""Records of fits, and the batches of fits, against descents written out here, step by step."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering, linear, theta
from scipy import sparse
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import Batches, BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.diagnostics import descent_path, record_fit

PLAIN = {"learning_rate": "constant", "eta0": 0.1, "average": False}


@covering(
    {
        "batch_size": [1, 7, None],
        "shuffle": [True, "batches", False],
        "drop_last": [False, True],
        "form": [np.asarray, sparse.csr_matrix],
    }
)
def test_loop_over_batches_is_the_path_of_fit(batch_size, shuffle, drop_last, form):
    """Plain descent on the batches, in three lines of NumPy."""
    X, y = linear()
    order = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last, "random_state": 5}
    model = MiniBatchSGDRegressor(**order, epochs=3, tol=None, **PLAIN | {"eta0": 0.02})
    w, b, path, losses, batches = (
        np.zeros(X.shape[1]),
        0.0,
        [np.zeros(X.shape[1] + 1)],
        [],
        Batches(form(X), y, **order),
    )
    for _ in range(3):
        for some, targets in batches:
            error = some @ w + b - targets
            losses.append(np.mean(error**2) / 2)
            w, b = w - 0.02 * (some.T @ error) / len(error), b - 0.02 * np.mean(error)
            path.append(np.append(w, b))
    record = record_fit(model, form(X), y)
    assert_allclose(record.path, path, atol=1e-12)
    assert_allclose(record.losses, losses, atol=1e-12)
    assert_allclose(path[-1], theta(model.fit(form(X), y)), atol=1e-12)
    assert len(path) == model.n_updates_ + 1 == 3 * len(batches) + 1
    numbers = Batches(np.arange(len(y)), **order)
    assert_array_equal(np.concatenate(record.batches), np.concatenate([part for _ in range(3) for part in numbers]))


FITS = {
    "default": MiniBatchSGDRegressor(),
    "full": BatchGDRegressor(),
    "online": OnlineSGDRegressor(),
    "huber": BatchGDRegressor("huber"),
    "lasso": MiniBatchSGDRegressor(penalty="l1", alpha=0.5),
    "validation": MiniBatchSGDRegressor(early_stopping=True, **PLAIN | {"eta0": 0.02}),
    "svrg": MiniBatchSGDRegressor(batch_size=5, optimizer="svrg"),
    "saga": MiniBatchSGDRegressor(batch_size=5, optimizer="saga"),
    "adam": MiniBatchSGDRegressor(optimizer="adam", **PLAIN),
    "float32": MiniBatchSGDRegressor(batch_size=9, average=True, learning_rate="invscaling"),
    "auto": MiniBatchSGDRegressor(batch_size="auto", tol=1e-9),
}


@pytest.mark.parametrize("model", FITS.values(), ids=FITS)
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_record_ends_as_fit(model, form, request):
    X, y = linear(noise=1.0)
    X = form(X.astype(np.float32 if "float32" in request.node.callspec.id else np.float64))
    model.set_params(random_state=3, epochs=6)
    record, fitted = record_fit(model, X, y), model.fit(X, y)
    tolerance = 1e-5 if X.dtype == np.float32 else 1e-10
    assert_allclose(record.path[-1], theta(fitted), rtol=tolerance)
    assert_allclose(theta(record.model), theta(fitted), rtol=tolerance)
    assert len(record.losses) == len(record.batches) == fitted.n_updates_
    assert len(record.path) - 1 - fitted.n_updates_ in (0, 1)
    assert record.model.stop_reason_ == fitted.stop_reason_


def test_weighted_losses_are_means():
    X, y = linear(n=12)
    weight = np.array([0.0, 1.0, 2.0] * 4)
    model = MiniBatchSGDRegressor(batch_size=3, epochs=2, tol=None, random_state=0, **PLAIN)
    record = record_fit(model, X, y, weight)
    for at, rows, loss in zip(record.path, record.batches, record.losses, strict=False):
        error = X[rows] @ at[:-1] + at[-1] - y[rows]
        assert_allclose(loss, np.average(error**2 / 2, weights=weight[rows]))
        assert (weight[rows] > 0).all()


def test_a_pipeline_and_its_last_step():
    X, y = linear()
    pipeline = make_pipeline(StandardScaler(), MiniBatchSGDRegressor(random_state=0, epochs=2, tol=None, **PLAIN))
    path = descent_path(pipeline, X, y)
    assert_allclose(path[-1], theta(pipeline.fit(X, y)[-1]))
    assert len(descent_path(pipeline, X, y, epochs=5)) == 1 + 5 * 2


def test_what_cannot_be_recorded():
    X, y = linear()
    with pytest.raises(ValueError, match="one column"):
        record_fit(BatchGDRegressor(), X, np.column_stack([y, y]))


def test_batches_of_frames_keep_their_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"hours": np.arange(5.0), "mark": np.arange(5.0)})
    parts = list(Batches(frame, batch_size=2, random_state=0))
    assert [list(part.columns) for part in parts] == [["hours", "mark"]] * 3
    assert_array_equal(pandas.concat(parts).sort_index(), frame)


def test_batches_feed_other_estimators():
    """An epoch of SGDRegressor, a batch of one sample at a time, is its own epoch on the samples in that order."""
    X, y = linear()
    whole, parts = (SGDRegressor(learning_rate="constant", eta0=0.01, shuffle=False, max_iter=1) for _ in range(2))
    batches = list(Batches(X, y, batch_size=1, random_state=0))
    for some, target in batches:
        parts.partial_fit(some, target)
    whole.partial_fit(np.concatenate([some for some, _ in batches]), np.concatenate([target for _, target in batches]))
    assert_allclose(parts.coef_, whole.coef_)


@pytest.mark.parametrize(
    ("arrays", "options", "match"),
    [
        ([], {}, "at least one array"),
        ([np.ones(0)], {}, "at least one sample"),
        ([np.ones(3)], {"batch_size": 0}, "batch_size must be"),
        ([np.ones(3)], {"batch_size": 1.5}, "batch_size must be"),
        ([np.ones(3)], {"shuffle": "rows"}, "shuffle must be"),
        ([np.ones(3)], {"batch_size": 4, "drop_last": True}, "leaves no batch"),
        ([np.ones(3), np.ones(4)], {}, "inconsistent numbers of samples"),
    ],
)
def test_batches_that_cannot_be(arrays, options, match):
    with pytest.raises(ValueError, match=match):
        Batches(*arrays, **options)
