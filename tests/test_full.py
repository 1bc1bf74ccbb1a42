"""The full batch in segments: the numbers of the pass on arrays, and the same bits on any number of threads."""

import internals
import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from problems import AUTO, FIXED, LOSSES, covering, csr, some_weights, theta
from sklearn.model_selection import GridSearchCV

from sklearn_sgd import BatchGDRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif("not __import__('importlib.util').util.find_spec('llvmlite')", reason="needs llvmlite"),
]

N, P = 9000, 5  # three segments


def problem():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, P)) * [1, 2, 0.5, 1, 3] + 1
    X[rng.random(X.shape) < 0.3] = 0.0
    return X, X @ [1.0, -2.0, 0.0, 1.0, 0.5] + rng.standard_t(3, size=N)


@pytest.fixture(autouse=True)
def always(monkeypatch):
    internals.in_segments(monkeypatch, entries=0, for_threads=0)


STEPS, FORMS = {"constant": FIXED, "auto": AUTO}, [np.asarray, csr]


@covering({"loss": LOSSES, "steps": STEPS, "form": FORMS, "weighted": [False, True]}, strength=2)
def test_segments_are_arrays(monkeypatch, on_arrays, loss, steps, form, weighted):
    X, y = problem()
    weight = np.where(np.arange(N) % 7 == 3, 0.0, some_weights(N)) if weighted else None
    params = steps | {"penalty": "elasticnet", "alpha": 0.01, "eta0": 0.01, "epochs": 4}
    internals.without_normal_matrix(monkeypatch)
    internals.on_threads(monkeypatch, 2)
    fitted = BatchGDRegressor(loss, **params).fit(form(X), y, weight)
    plain = on_arrays(BatchGDRegressor(loss, **params), form(X), y, weight)
    assert_allclose(theta(fitted), theta(plain), rtol=1e-9, atol=1e-11)
    assert_allclose(fitted.loss_curve_, plain.loss_curve_, rtol=1e-9)
    assert fitted.n_updates_ == plain.n_updates_


@covering({"steps": STEPS, "form": FORMS, "dtype": [np.float64, np.float32]}, strength=2)
def test_threads_change_no_bit(monkeypatch, steps, form, dtype):
    X, y = problem()
    fits = []
    for number in (1, 2, 3):
        internals.on_threads(monkeypatch, number)
        fits.append(BatchGDRegressor("huber", **steps | {"epochs": 4}).fit(form(X.astype(dtype)), y))
    for other in fits[1:]:
        assert_array_equal(theta(other), theta(fits[0]))
        assert other.loss_curve_ == fits[0].loss_curve_


@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_steps_at_the_minimum_are_not_searched(monkeypatch, loss):
    """There slopes are rounding errors: steps are shortened until they change no parameter, not further."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2000, 3))
    y = rng.poisson(np.exp(0.5 + X @ [0.1, -0.2, 0.3])).astype(float)
    lengths = internals.count_slopes(monkeypatch)
    model = BatchGDRegressor(loss, epochs=100, tol=1e-12).fit(X, y)
    assert len(lengths) < 16 * model.n_iter_
    p = X @ model.coef_ + model.intercept_
    slopes = np.exp(p) - y if loss == "poisson" else np.clip(p - y, -model.epsilon, model.epsilon)
    gradient = X.T @ slopes / len(y)
    assert_allclose(gradient, np.zeros(3), atol=1e-9)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_in_grid_search(backend):
    X, y = problem()
    grid = {"alpha": [0.001, 0.1, 10.0]}

    def search(n_jobs):
        model = BatchGDRegressor("huber", penalty="l2", learning_rate="constant", epochs=3, tol=None)
        return GridSearchCV(model, grid, cv=2, n_jobs=n_jobs).fit(X, y).cv_results_["mean_test_score"]

    with parallel_config(backend):
        assert_array_equal(search(2), search(1))


def test_one_thread_inside_threads():
    assert Parallel(2, backend="threading")(delayed(internals.threads)() for _ in range(2)) == [1, 1]
    assert internals.threads() >= 1
