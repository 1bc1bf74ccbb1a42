"""Several targets: one pass for all, and each as if it were alone."""

import pickle
import tracemalloc

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import AUTO, EARLY, FIXED, REGRESSORS, covering, csr, some_weights
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_linnerud
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputRegressor

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.penalties import Box

few_steps = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)

CASES = {
    "defaults": {},
    "schedule": FIXED | {"shuffle": True},
    "schedule to the end": FIXED | {"shuffle": True, "tol": 1e-3, "epochs": 100},
    "huber": {"loss": "huber", "epsilon": 0.5},
    "averaged lasso": FIXED | {"penalty": "l1", "alpha": 0.01, "average": True},
    "bounds": FIXED | {"penalty": Box(0.0, 2.0)},
    "adam": FIXED | {"optimizer": "adam", "shuffle": "batches"},
    "early stopping": AUTO | EARLY,
    "no intercept": {"fit_intercept": False},
    "poisson": {"loss": "poisson"},
}


@pytest.fixture
def problem():
    """Three targets, of different units and noise, so that they stop after different numbers of epochs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)) * [1.0, 3.0, 0.2, 1.0] + [0.0, 1.0, 0.0, 2.0]
    return X, np.abs(X @ rng.normal(size=(4, 3)) + rng.normal(size=(300, 3)) * [0.01, 0.3, 3.0]) * [1.0, 0.1, 2.0]


@few_steps
@covering({"params": CASES, "kind": REGRESSORS, "form": [np.asarray, csr]})
def test_each_target_as_if_alone(kind, params, form, problem, monkeypatch):
    """Also where an epoch is cut into pieces; the sum of a sparse column may be rounded otherwise then."""
    internals.in_pieces(monkeypatch, entries=128)
    X, Y = problem
    X, model = form(X), kind(random_state=0, **params)
    together, alone = (
        clone(model).fit(X, Y, some_weights(300)),
        MultiOutputRegressor(model).fit(X, Y, some_weights(300)),
    )
    tolerance = {"rtol": 1e-9, "atol": 1e-12}
    assert_allclose(together.coef_, [single.coef_ for single in alone.estimators_], **tolerance)
    assert_allclose(together.intercept_, [single.intercept_ for single in alone.estimators_], **tolerance)
    assert_allclose(together.predict(X), alone.predict(X), **tolerance)
    assert together.n_iter_ == max(single.n_iter_ for single in alone.estimators_)
    assert together.n_updates_ == max(single.n_updates_ for single in alone.estimators_)
    if not together.early_stopping:
        first = [single.loss_curve_[0] for single in alone.estimators_]
        last = [single.loss_curve_[-1] for single in alone.estimators_]
        assert together.loss_curve_[0] == pytest.approx(np.mean(first), rel=1e-9)
        assert together.loss_curve_[-1] == pytest.approx(np.mean(last), rel=1e-9)
        together.partial_fit(X, Y)
        for single, y in zip(alone.estimators_, Y.T, strict=True):
            single.partial_fit(X, y)
        assert_allclose(together.coef_, [single.coef_ for single in alone.estimators_], **tolerance)
        assert together.prequential_loss_ == pytest.approx(
            np.mean([single.prequential_loss_ for single in alone.estimators_]), rel=1e-9
        )


@few_steps
@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant", "eta0": 0.05, "tol": None, "epochs": 3}])
def test_full_batch_of_many_rows(params, monkeypatch, problem):
    internals.in_segments(monkeypatch, entries=64)
    X, Y = problem
    together = BatchGDRegressor("huber", epsilon=1.0, **params).fit(X, Y)
    for coef, y in zip(together.coef_, Y.T, strict=True):
        assert_array_equal(coef, BatchGDRegressor("huber", epsilon=1.0, **params).fit(X, y).coef_)


@all_kinds
def test_shapes_are_those_of_linear_regression(kind, problem):
    X, Y = problem
    for y in (Y[:, 0], Y[:, :1], Y, Y.astype(np.float32), Y.tolist()):
        ours, theirs = kind().fit(X, y), LinearRegression().fit(X, y)
        assert ours.coef_.shape == theirs.coef_.shape
        assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
        assert ours.predict(X).shape == ours.predict(csr(X)).shape == ours.predict(X[:1].repeat(300, 0)).shape
        assert ours.predict(X).shape == theirs.predict(X).shape
        sparsified = pickle.loads(pickle.dumps(ours)).sparsify()
        assert_allclose(sparsified.predict(X), ours.predict(X), rtol=1e-12)
        assert_array_equal(sparsified.densify().coef_, ours.coef_)


@all_kinds
def test_least_squares_of_real_measurements(kind):
    """Linnerud's three physiological targets; the noise of 20 rows is small in full batches only."""
    X, Y = load_linnerud(return_X_y=True)
    ours, exact = kind(tol=1e-8, epochs=2000, random_state=0).fit(X, Y), LinearRegression().fit(X, Y)
    assert_allclose(ours.coef_, exact.coef_, rtol=1e-4)
    assert ours.score(X, Y) == pytest.approx(exact.score(X, Y), abs=1e-6)
    assert "target" not in ours.stop_reason_


@few_steps
@all_kinds
def test_column_of_targets(kind, problem):
    X, Y = problem
    for method in ("fit", "partial_fit"):
        column, row = (getattr(kind(**FIXED), method)(X, y) for y in (Y[:, :1], Y[:, 0]))
        assert_array_equal(column.coef_, row.coef_[None])
        assert_array_equal(column.intercept_, [row.intercept_])
        assert_array_equal(column.partial_fit(X, Y[:, 0]).coef_, row.partial_fit(X, Y[:, :1]).coef_[None])


@few_steps
@all_kinds
def test_start_and_warm_start(kind, problem):
    X, Y = problem
    model, rng = kind(warm_start=True, **FIXED), np.random.default_rng(1)
    coef, intercept = rng.normal(size=(3, 4)), rng.normal(size=3)
    together = clone(model).fit(X, Y, coef_init=coef, intercept_init=intercept)
    alone = [clone(model).fit(X, Y[:, t], coef_init=coef[t], intercept_init=intercept[t]) for t in range(3)]
    for _ in range(2):
        assert_array_equal(together.coef_, [single.coef_ for single in alone])
        together.fit(X, Y)
        alone = [single.fit(X, y) for single, y in zip(alone, Y.T, strict=True)]


def test_validation_rows(problem):
    X, Y = problem
    model = OnlineSGDRegressor(early_stopping=True, random_state=0)
    together = clone(model).fit(X[:200], Y[:200], X_val=X[200:], y_val=Y[200:])
    alone = [clone(model).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:]) for y in Y.T]
    assert_array_equal(together.coef_, [single.coef_ for single in alone])
    assert together.validation_scores_[0] == pytest.approx(np.mean([single.validation_scores_[0] for single in alone]))
    with pytest.raises(ValueError, match="y_val must have 3 targets"):
        clone(model).fit(X, Y, X_val=X, y_val=Y[:, 0])


def test_one_target_diverges(problem):
    """The others do not suffer."""
    X, Y = problem
    Y = Y * [1.0, 1e290, 1.0]
    with pytest.warns(UserWarning, match="left the finite range"):
        model = MiniBatchSGDRegressor(**FIXED | {"eta0": 0.01, "epochs": 5}).fit(X, Y)
    assert np.isfinite(model.coef_).all()
    for t in (0, 2):
        alone = MiniBatchSGDRegressor(**FIXED | {"eta0": 0.01, "epochs": 5}).fit(X, Y[:, t])
        assert_array_equal(model.coef_[t], alone.coef_)


def test_domain_is_checked_for_each(problem):
    X, Y = problem
    with pytest.raises(ValueError, match="y must be >= 0"):
        BatchGDRegressor("poisson").fit(X, Y - [0.0, 0.0, 100.0])


@few_steps
@pytest.mark.parametrize("epochs", [1, 4])
def test_one_line_for_an_epoch(epochs, problem, capsys):
    OnlineSGDRegressor(verbose=1, **FIXED | {"epochs": epochs}).fit(*problem)
    assert len(capsys.readouterr().out.splitlines()) == epochs


@all_kinds
def test_the_step_of_each_target_with_a_ridge(kind, problem):
    """It depends on the unit of the target, in which the penalty counts."""
    X, Y = problem
    model = kind("absolute_error", penalty="l2", alpha=0.1, random_state=0)
    together, alone = clone(model).fit(X, Y), MultiOutputRegressor(model).fit(X, Y)
    assert_allclose(together.coef_, [single.coef_ for single in alone.estimators_], rtol=1e-9, atol=1e-12)


def test_memory_does_not_grow_with_the_targets():
    """Sparse samples with most entries are made dense once, not for each target."""
    rng = np.random.default_rng(0)
    X, Y = sparse.csr_array(rng.standard_normal((500, 410))), rng.standard_normal((500, 4))
    model, peaks = BatchGDRegressor("huber", penalty="l2", epochs=1, tol=None), []
    for targets in (Y[:, 0], Y):
        tracemalloc.start()
        model.fit(X, targets)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 2 * 8 * X.size
