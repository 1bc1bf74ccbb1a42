"""The fitted model: predict belongs to it, attributes are made when they are read, small calls do little."""

import copy
import pickle
import sys
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, covering, linear, theta
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor, losses
from sklearn_sgd.penalties import L1, Box

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)

RATE = {"learning_rate": "constant", "eta0": 0.01}


def counts():
    X, y = linear()
    return X, np.exp(0.1 * y)


@all_kinds
def test_parameters_set_after_fit_do_not_change_predictions(kind):
    X, y = counts()
    model = kind("poisson", epochs=2).fit(X, y)
    before = model.predict(X)
    assert (before > 0).all()
    model.set_params(loss="squared_error", penalty="l1", alpha=10.0, optimizer="adam", **RATE)
    assert_array_equal(model.predict(X), before)
    assert_array_equal(model.predict(X.tolist()), before)
    assert_array_equal(copy.deepcopy(model).predict(X), before)
    assert_allclose(np.log(before), X @ model.coef_ + model.intercept_, rtol=1e-10)
    model.fit(X, y)
    assert_allclose(model.predict(X), X @ model.coef_ + model.intercept_, rtol=1e-12)


def test_predict_after_invalid_parameters_are_set():
    X, y = linear()
    model = BatchGDRegressor(epochs=2).fit(X, y)
    before = model.predict(X)
    assert_array_equal(model.set_params(penalty="elasticnet", l1_ratio=None).predict(X), before)


# A value of each parameter that is not the default, and that some fits refuse.
OTHER = {
    "loss": "squared_error",
    "penalty": L1(0.5),
    "alpha": 10.0,
    "l1_ratio": None,
    "positive": True,
    "fit_intercept": False,
    "batch_size": 7,
    "epochs": 1,
    "shuffle": "batches",
    "drop_last": True,
    "learning_rate": "pa1",
    "eta0": 3.0,
    "power_t": 2.0,
    "optimizer": "saga",
    "average": 7,
    "tol": None,
    "n_iter_no_change": 1,
    "early_stopping": True,
    "validation_fraction": 0.5,
    "time_budget": 1e-9,
    "epsilon": 2.0,
    "quantile": 0.9,
    "half_life": 1.0,
    "inference": True,
    "warm_start": True,
    "random_state": 3,
    "verbose": 1,
}


@covering({"kind": REGRESSORS, "targets": [1, 2], "dtype": [np.float32, np.float64]})
def test_no_parameter_changes_predictions(kind, targets, dtype):
    X, y = counts()
    y = y if targets == 1 else np.column_stack([y, y + 1])
    model = kind("poisson", epochs=2, random_state=0).fit(X.astype(dtype), y)
    assert set(OTHER) == set(model.get_params())
    forms = [
        X.astype(dtype),
        X[:1].astype(dtype),
        X.tolist(),
        sparse.csr_matrix(X),
        np.vstack([X] * 1000).astype(dtype),
    ]
    expected, score = [model.predict(form) for form in forms], model.score(X, y)
    values = [{name: value} for name, value in OTHER.items()]
    more = [OTHER, {"optimizer": "adam"}, {"loss": "gamma"}, {"learning_rate": np.sqrt}, {"loss": None}]
    for params in values + more:
        model.set_params(**kind().get_params()).set_params(**params)
        for form, predictions in zip(forms, expected, strict=True):
            assert_array_equal(model.predict(form), predictions)
        assert model.score(X, y) == score
        assert_array_equal(pickle.loads(pickle.dumps(model)).predict(forms[0]), expected[0])


@all_kinds
def test_partial_fit_after_parameters_are_set_is_that_of_a_model_with_them(kind):
    """A failed call in between changes nothing; what was learned under another link goes on as raw predictions."""
    X, y = counts()
    model = kind("poisson", **RATE).partial_fit(X, y)
    learned = theta(model)
    for wrong in ({"optimizer": "adam", "learning_rate": "auto"}, {"loss": "gamma", "penalty": Box(low=[0.0, 1.0])}):
        before = model.predict(X)
        with pytest.raises(ValueError, match=r"needs a learning_rate|5 of them"):
            model.set_params(**wrong).partial_fit(X, y)
        assert_array_equal(model.predict(X), before)
        model.set_params(**kind("poisson", **RATE).get_params())
    model.set_params(loss="squared_error", eta0=0.02).partial_fit(X, y)
    twin = kind(warm_start=True, shuffle=False, epochs=1, learning_rate="constant", eta0=0.02)
    twin.coef_, twin.intercept_ = learned[:-1], float(learned[-1])
    assert_array_equal(theta(model), theta(twin.fit(X, y)))
    assert_array_equal(model.predict(X), twin.predict(X))


def test_partial_fit_takes_the_new_link():
    X, y = counts()
    model = OnlineSGDRegressor("poisson", **RATE).partial_fit(X, y)
    model.set_params(loss="squared_error").partial_fit(X, y)
    assert_allclose(model.predict(X), X @ model.coef_ + model.intercept_, rtol=1e-12)


@pytest.mark.parametrize("saved", [False, True])
def test_a_stream_that_continues_with_another_loss_warns(saved):
    """Its average starts again; not with moments of the targets, nor with a half-life."""
    X, y = linear(n=400)
    y = np.exp(0.1 * y) + np.random.default_rng(0).exponential(size=400)

    def going_on(first, without=False, **params):
        model = OnlineSGDRegressor(first, fit_intercept=not without, random_state=0).partial_fit(X, y)
        model = pickle.loads(pickle.dumps(model)) if saved else model
        return model.set_params(**params)

    model = going_on(losses.Quantile(0.9), loss="quantile", quantile=0.1)
    with pytest.warns(ConvergenceWarning, match=r"was Quantile\(quantile=0.9\) and is now Quantile\(quantile=0.1\)"):
        model.partial_fit(X, y)
    assert np.mean(y <= model.predict(X)) < 0.2
    with pytest.warns(ConvergenceWarning, match=r"was Poisson\(\).*half_life"):
        going_on("poisson", loss=losses.SquaredError()).partial_fit(X, y)
    with pytest.warns(ConvergenceWarning, match=r"\(scale=1.0\) without intercept and is now LogCosh\(scale=1.0\): "):
        going_on("logcosh", without=True, fit_intercept=True).partial_fit(X, y)
    with warnings.catch_warnings(action="error", category=ConvergenceWarning):
        model.partial_fit(X, y)  # It is said once.
        model = going_on("squared_error", fit_intercept=False).partial_fit(X, y)
        assert_allclose(model.coef_, np.linalg.lstsq(X, y)[0], rtol=1e-3)
        model = going_on("squared_error", without=True, fit_intercept=True).partial_fit(X, y)
        assert_allclose(theta(model), np.linalg.lstsq(np.c_[X, np.ones(400)], y)[0], rtol=1e-3)
        going_on("huber", loss="absolute_error", half_life=50.0).partial_fit(X, y)
        going_on("huber", loss=losses.Huber(0.1), penalty="l2", alpha=1e-5).partial_fit(X, y)
        going_on("huber", loss="squared_error", **RATE).partial_fit(X, y)


class Doubled:
    """A user's loss, on predictions that are twice the linear function."""

    def value(self, y, p):
        return 0.5 * (2 * p - y) ** 2

    def gradient(self, y, p):
        return 2 * (2 * p - y)

    def link(self, y):
        return 0.5 * y

    def inverse_link(self, p):
        return 2 * p


@all_kinds
def test_link_of_a_users_loss_is_kept_and_pickled(kind):
    X, y = linear()
    model = kind(Doubled(), epochs=2, **RATE).fit(X, y)
    assert_allclose(model.predict(X), 2 * (X @ model.coef_ + model.intercept_), rtol=1e-12)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))


def test_attributes_are_the_same_objects_until_the_next_fit():
    X, y = linear()
    model = OnlineSGDRegressor(**RATE).partial_fit(X, y)
    first = model.coef_
    assert model.coef_ is first
    assert type(model.intercept_) is float
    model.predict(X)
    assert model.coef_ is first
    model.partial_fit(X, y)
    assert model.coef_ is not first
    assert not np.shares_memory(model.coef_, first)


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_attributes_made_late_are_those_made_at_once(targets, method):
    X, y = linear()
    y = np.column_stack([y] * targets)
    models = [getattr(MiniBatchSGDRegressor(random_state=0), method)(X, y) for _ in range(3)]
    expected = models[0].coef_.copy()
    late = pickle.loads(pickle.dumps(models[1]))
    models[2].predict(X)
    for model in (*models[1:], late):
        assert_array_equal(model.coef_, expected)
        assert model.intercept_.shape == (targets,)
    assert set(vars(models[1])) == set(vars(late))


@pytest.mark.parametrize("method", ["predict", "score", "coef_"])
def test_reading_does_not_change_the_estimator(method):
    X, y = linear()
    model = OnlineSGDRegressor(**RATE).partial_fit(X, y)
    before = dict(vars(model))
    _ = model.coef_ if method == "coef_" else getattr(model, method)(*(X, y)[: 1 + (method == "score")])
    assert vars(model) == before


def test_assigned_coefficients_are_used():
    X, y = linear()
    model = OnlineSGDRegressor(**RATE).fit(X, y)
    other = copy.copy(model)
    model.coef_, model.intercept_ = np.ones(X.shape[1]), 2.0
    assert_allclose(model.predict(X), X.sum(axis=1) + 2.0)
    assert not np.array_equal(other.coef_, model.coef_), "a copy has its own"
    model.set_params(warm_start=True, eta0=1e-300, epochs=1).fit(X, y)
    assert_allclose(theta(model), [*np.ones(X.shape[1]), 2.0])


def test_assigned_coefficients_come_back_after_an_error():
    X, y = linear()
    model = OnlineSGDRegressor(**RATE, warm_start=True).fit(X, y).sparsify()
    kept = model.coef_
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert model.coef_ is kept
    assert sparse.issparse(model.coef_)


@all_kinds
def test_unfitted(kind):
    model = kind()
    for name in ("coef_", "intercept_", "n_iter_", "loss_curve_"):
        with pytest.raises(AttributeError, match="not fitted yet"):
            getattr(model, name)
    with pytest.raises(NotFittedError):
        model.predict([[1.0]])
    assert not hasattr(clone(kind().fit(*linear())), "coef_")


@all_kinds
def test_attributes_that_only_some_fits_set(kind):
    X, y = linear()
    model = kind(epochs=2)
    cases = {
        "stop_reason_": "fit, and not by partial_fit",
        "n_readings_": "fit, and not by partial_fit",
        "validation_scores_": "fit with early_stopping=True",
    }
    for fitted, state in ((kind(), "not fitted yet"), (model.partial_fit(X, y), "")):
        for name, condition in cases.items():
            assert not hasattr(fitted, name)
            with pytest.raises(AttributeError, match=f"has no {name}.*{state}: it is set by {condition}"):
                getattr(fitted, name)
    assert model.fit(X, y).stop_reason_ in ("epochs", "tol")
    assert pickle.loads(pickle.dumps(model)).stop_reason_ == model.stop_reason_
    assert not hasattr(model, "validation_scores_")
    assert len(model.set_params(early_stopping=True).fit(X, y).validation_scores_) == model.n_iter_
    assert not hasattr(clone(model), "stop_reason_")


@all_kinds
def test_readings_of_a_schedule(kind):
    """Each epoch reads X once, and the verdict at most once more for each of the loss and the average."""
    X, y = linear()
    model = kind(learning_rate="constant", eta0=1e-3, epochs=7, tol=None).fit(X, y)
    assert 7.0 <= model.n_readings_ <= 9.0
    pairs = kind(learning_rate="constant", eta0=1e-3, epochs=7, tol=None).fit(X, np.column_stack([y, y]))
    assert pairs.n_readings_ == 2.0 * model.n_readings_
    assert kind().fit(X, y, np.arange(len(y)) % 2).n_readings_ == kind().fit(X[1::2], y[1::2]).n_readings_


def test_cache_of_a_stream_notices_parameters_and_other_chunks():
    """A chunk like the last one is taken as any chunk is, whatever came between."""
    X, y = linear()
    fast, slow = OnlineSGDRegressor(**RATE), OnlineSGDRegressor(**RATE)
    steps = [
        (X[:1], y[:1], {}),
        (X[1:2], y[1:2], {"eta0": 0.02}),
        (X[2:3], y[2:3], {"penalty": "l2", "alpha": 0.1}),
        (X[3:6], y[3:6], {}),
        (X[6:9], y[6:9], {}),
        (np.asfortranarray(X[9:12]), y[9:12], {}),
        (X[12:15], np.repeat(y[12:15], 2)[::2], {}),
        (X[15:18].tolist(), y[15:18], {}),
    ]
    for rows, targets, params in steps:
        fast.set_params(**params).partial_fit(rows, targets)
        slow = pickle.loads(pickle.dumps(slow.set_params(**params))).partial_fit(rows, targets)
        assert_array_equal(theta(fast), theta(slow))
        assert fast.n_updates_ == slow.n_updates_
    with pytest.raises(ValueError, match="eta0"):
        fast.set_params(eta0=-1.0).partial_fit(*steps[4][:2])
    with pytest.raises(ValueError, match=r"infinity|NaN"):
        slow.partial_fit(*steps[4][:2]).partial_fit(np.full((3, X.shape[1]), np.inf), y[:3])


def calls(function, *args, modules="sklearn_sgd._base"):
    """Python functions of these modules, by default the package's outer ones, that a call runs, by name."""
    names = []

    def trace(frame, event, arg):
        if event == "call" and frame.f_globals.get("__name__", "").startswith(modules):
            names.append(frame.f_code.co_name)

    sys.setprofile(trace)
    try:
        function(*args)
    finally:
        sys.setprofile(None)
    return names


@pytest.mark.parametrize("params", [{}, RATE])
def test_a_small_call_runs_few_functions(params):
    X, y = linear()
    model = OnlineSGDRegressor(**params)
    for row in range(20):
        model.partial_fit(X[row : row + 1], y[row : row + 1])
    assert len(calls(model.partial_fit, X[20:21], y[20:21])) <= 6
    assert len(calls(model.predict, X[3:4])) <= 7
    assert len(calls(model.predict, X[3:4])) <= 6, "the coefficients are made once"


def test_a_small_call_on_sparse_rows_runs_few_functions():
    X = sparse.random(30, 1000, density=0.02, format="csr", random_state=0)
    y, model = X @ np.ones(1000), OnlineSGDRegressor()
    rows = [(X[row : row + 1], y[row : row + 1]) for row in range(30)]
    # Some calls take longer, since they compute the step again.
    names = min((calls(model.partial_fit, *row, modules="sklearn_sgd") for row in rows), key=len)
    assert "advance" in names
    assert len(names) <= 55
