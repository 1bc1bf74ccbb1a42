"""Random sequences of calls: nothing goes wrong silently, and a call that fails changes nothing."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from problems import REGRESSORS
from scipy import sparse
from sklearn.exceptions import NotFittedError

LOSSES = ["squared_error", "huber", "absolute_error", "poisson", "gamma", "quantile"]
CHANGES = [
    {"learning_rate": "constant", "eta0": 1e-3},
    {"learning_rate": "auto"},
    {"penalty": "l2", "alpha": 1e-2},
    {"penalty": "l1", "alpha": 1e-2},
    {"penalty": None},
    {"average": True},
    {"average": "auto"},
    {"half_life": 20.0},
    {"half_life": None},
]
# Chunks that must be refused, or leave everything as it was: what is put into a good one.
FAULTS = ["nan in X", "infinity in y", "too large", "columns", "rows", "text", "three dimensions"]


class Calls(RuleBasedStateMachine):
    """A model, and a twin that never sees a call that fails."""

    @initialize(
        kind=st.sampled_from(REGRESSORS),
        loss=st.sampled_from(LOSSES),
        dtype=st.sampled_from([np.float64, np.float32]),
        scale=st.sampled_from([1e-3, 1.0, 1e4]),
        seed=st.integers(0, 5),
    )
    def begin(self, kind, loss, dtype, scale, seed):
        self.random = np.random.default_rng(seed)
        self.loss, self.dtype, self.scale = loss, dtype, scale
        self.model, self.twin = (kind(loss, random_state=0, epochs=3) for _ in range(2))
        self.fitted = False

    def chunk(self, n_rows):
        """Good rows."""
        X = self.random.standard_normal((n_rows, 3)) * self.scale + 1.0
        y = 1.0 + X.sum(axis=1) / self.scale + self.random.standard_normal(n_rows)
        if self.loss in ("poisson", "gamma"):
            y = self.random.poisson(np.exp(np.clip(0.3 * y, -3.0, 3.0))) + (self.loss == "gamma")
        return X.astype(self.dtype), y.astype(self.dtype)

    def both(self, call):
        """Make a call of both, with or without a warning."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for model in (self.model, self.twin):
                call(model)
        self.fitted = True

    @rule(
        n_rows=st.sampled_from([1, 1, 2, 30]), form=st.sampled_from([np.asarray, sparse.csr_matrix, np.ndarray.tolist])
    )
    def learn(self, n_rows, form):
        X, y = self.chunk(n_rows)
        self.both(lambda model: model.partial_fit(form(X), y))

    @rule(n_rows=st.sampled_from([2, 40]))
    def fit(self, n_rows):
        X, y = self.chunk(n_rows)
        self.both(lambda model: model.fit(X, y))

    @rule(change=st.sampled_from(CHANGES))
    def set_params(self, change):
        for model in (self.model, self.twin):
            model.set_params(**change)

    @precondition(lambda self: self.fitted)
    @rule(fault=st.sampled_from(FAULTS), method=st.sampled_from(["partial_fit", "fit"]), n_rows=st.sampled_from([1, 5]))
    def fail(self, fault, method, n_rows):
        X, y = (values.astype(np.float64) for values in self.chunk(n_rows))
        if fault == "nan in X":
            X[-1, 0] = np.nan
        elif fault == "infinity in y":
            y[-1] = np.inf
        elif fault == "too large":
            X, y = X.astype(self.dtype), np.full(n_rows, np.finfo(self.dtype).max / 4, self.dtype)
        elif fault == "columns":
            X = X[:, :2] if method == "partial_fit" else X[:, :0]
        elif fault == "rows":
            y = np.append(y, y)
        elif fault == "text":
            X = X.astype(object)
            X[0, 0] = "a"
        else:
            X = X[None]
        # A fit of targets that large is a fit, and what it says of them is its business.
        if fault == "too large" and method == "fit":
            return
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                getattr(self.model, method)(X, y)
            except (ValueError, TypeError):
                return
        assert fault == "too large", "a call with a fault was taken"
        if not any("finite" in str(warning.message) for warning in caught):
            # It was learned, then; so be it for both, if it is finite: see the invariants.
            self.twin = copy.deepcopy(self.model)

    @rule()
    def pickle(self):
        self.model = pickle.loads(pickle.dumps(self.model))

    @rule()
    def copy(self):
        self.model = copy.deepcopy(self.model)

    @invariant()
    def predictions_are_finite_and_those_of_the_twin(self):
        if not hasattr(self, "model"):
            return
        X = self.chunk(4)[0]
        if not self.fitted:
            with pytest.raises(NotFittedError):
                self.model.predict(X)
            return
        predictions = self.model.predict(X)
        assert np.isfinite(predictions).all()
        assert np.isfinite(self.model.loss_curve_).all()
        np.testing.assert_array_equal(predictions, self.twin.predict(X))
        np.testing.assert_array_equal(self.model.coef_, self.twin.coef_)
        assert self.model.n_updates_ == self.twin.n_updates_


Calls.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
test_calls = Calls.TestCase
