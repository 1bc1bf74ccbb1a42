"""Fits of sparse rows with many columns of which few occur: the same as with all, at the cost of the entries."""

from dataclasses import fields, is_dataclass

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, covering
from scipy import sparse
from sklearn.linear_model import Ridge

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.diagnostics import record_fit
from sklearn_sgd.penalties import L2

P, OCCUR = 3000, 600


def texts(n=80, seed=0, n_columns=P):
    """Rows of twelve words, and two numbers, one of them not about 0, in the last columns but some."""
    rng = np.random.default_rng(seed)
    occur = np.sort(np.random.default_rng(5).choice(n_columns - 100, OCCUR, replace=False))
    words = occur[(OCCUR * rng.power(0.3, (n, 12))).astype(int)]
    numbers = np.c_[rng.standard_normal(n) + 2.0, rng.standard_normal(n)]
    places = np.c_[words, np.tile([n_columns - 90, n_columns - 3], (n, 1))]
    X = sparse.csr_matrix(
        (np.c_[rng.random((n, 12)), numbers].ravel(), (np.repeat(np.arange(n), 14), places.ravel())),
        shape=(n, n_columns),
    )
    coef = np.random.default_rng(6).standard_normal(n_columns) * 0.3
    return X, X @ coef + 0.2 * rng.standard_normal(n)


def assert_same(a, b, path="state"):
    """Compare all numbers of two states."""
    if is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{path}.{field.name}")
    elif isinstance(a, tuple | list):
        assert len(a) == len(b), path
        for number, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{path}[{number}]")
    elif isinstance(a, np.ndarray | float | int):
        size = np.max(np.abs(b), where=np.isfinite(b), initial=0.0)
        assert_allclose(a, b, rtol=1e-7, atol=1e-7 * size + 1e-12, err_msg=path)
    elif not isinstance(a, np.random.Generator):
        assert a == b, path


EXPLICIT = {"learning_rate": "constant", "eta0": 0.01, "epochs": 6, "tol": None}
CASES = [
    {},
    {"fit_intercept": False},
    {"loss": "huber", "penalty": "l1", "alpha": 0.1},
    {"penalty": "elasticnet", "alpha": 0.1, "loss": "squared_epsilon_insensitive"},
    EXPLICIT,
    EXPLICIT | {"loss": "huber", "penalty": "l2", "alpha": 0.1},
    EXPLICIT | {"penalty": "l1", "alpha": 0.01},
    EXPLICIT | {"optimizer": "momentum", "average": True},
    EXPLICIT | {"optimizer": "adam", "positive": True},
    EXPLICIT | {"optimizer": "ftrl"},
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@covering({"kind": REGRESSORS, "params": CASES, "targets": [1, 2]})
def test_states_are_those_of_fits_with_all_columns(monkeypatch, kind, params, targets):
    (X, y), (Z, z) = texts(), texts(15, seed=1)
    weight = np.arange(len(y)) % 3.0
    if targets == 2:
        y, z = np.c_[y, -2.0 * y], np.c_[z, -2.0 * z]

    def fitted():
        model = kind(**({} if kind is BatchGDRegressor else {"random_state": 0}), **params).fit(X, y, weight)
        known = internals.state_of(model, targets - 1)
        model.partial_fit(Z, z).partial_fit(Z[:1], z[:1])
        return known, internals.state_of(model, targets - 1), model.coef_

    found = fitted()
    internals.fit_all_columns(monkeypatch)
    expected = fitted()
    assert found[-1].shape == (*y.shape[1:], P)
    assert_same(found, expected)


@pytest.mark.parametrize("optimizer", ["svrg", "saga"])
def test_remembered_slopes_and_validation_rows(monkeypatch, optimizer):
    (X, y), (Z, z) = texts(), texts(30, seed=1)
    model = MiniBatchSGDRegressor(optimizer=optimizer, epochs=4, early_stopping=True, tol=None, random_state=0)

    def fitted(**given):
        model.fit(X, y, **given)
        return internals.state_of(model), model.validation_scores_

    ways = {}, {"X_val": Z, "y_val": z}, {"X_val": Z.toarray(), "y_val": z}
    found = [fitted(**given) for given in ways]
    internals.fit_all_columns(monkeypatch)
    assert_same(found, [fitted(**given) for given in ways])


@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_coefficients_to_start_from_are_kept_or_decay(ridge):
    X, y = texts()
    start = np.where(np.arange(P) % 7 == 0, 0.1, 0.0)
    params = {"penalty": "l2", "alpha": ridge} if ridge else {}
    model = BatchGDRegressor(learning_rate="constant", eta0=0.05, epochs=20, tol=None, **params)
    absent = np.setdiff1d(np.arange(P), X.indices)
    found = model.fit(X, y, coef_init=start).coef_[absent]
    assert_allclose(found, start[absent] * (1.0 - 0.05 * ridge) ** 20, rtol=1e-12)


def test_the_minimum_is_that_of_scikit_learn():
    X, y = texts()
    model = BatchGDRegressor(penalty="l2", alpha=0.05, tol=1e-8, epochs=500).fit(X, y)
    ridge = Ridge(alpha=0.05 * len(y)).fit(X.toarray(), y)
    assert_allclose(model.coef_, ridge.coef_, atol=1e-4 * abs(ridge.coef_).max())
    assert not model.coef_[np.setdiff1d(np.arange(P), X.indices)].any()


class Recorded(L2):
    """The ridge penalty, which notes how many coefficients it is asked about."""

    sizes: list[int] = []

    def value(self, w):
        self.sizes.append(np.size(w))
        return super().value(w)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_epochs_work_on_the_columns_that_occur(kind):
    X, y = texts(n_columns=1 << 17)
    sizes = Recorded.sizes = []
    kind(penalty=Recorded(0.01), epochs=5, tol=None).fit(X, y)
    assert sizes.count(1 << 17) <= 1 < len(sizes)  # Before the fit, each penalty is tried once.


def test_a_record_has_all_columns():
    X, y = texts(20)
    record = record_fit(OnlineSGDRegressor(random_state=0), X, y, epochs=2)
    assert record.path.shape[1] == P + 1
    assert_array_equal(record.path[-1, :-1], record.model.coef_)
