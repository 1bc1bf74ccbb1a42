"""Classes of a user that extend the regressors as scikit-learn's guide says: constraints, parameters, or both."""

import pickle
from numbers import Integral

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import linear, theta
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import Interval

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor, diagnostics
from sklearn_sgd.streaming import fit_stream

# Few steps, so some fits are rightly said to end worse than a constant.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = linear()


class Stricter(OnlineSGDRegressor):
    """No parameter of its own, but a constraint on one that there is."""

    _parameter_constraints = OnlineSGDRegressor._parameter_constraints | {
        "epochs": [Interval(Integral, 1, 50, closed="both")]
    }


class Repeated(MiniBatchSGDRegressor):
    """A parameter of its own with a constraint, which `partial_fit` obeys, and few others."""

    _parameter_constraints = {
        **MiniBatchSGDRegressor._parameter_constraints,
        "times": [Interval(Integral, 1, 9, closed="both")],
    }

    def __init__(self, loss="huber", *, times=1, epochs=5, random_state=None):
        super().__init__(loss, epochs=epochs, random_state=random_state)
        self.times = times

    def partial_fit(self, X, y, sample_weight=None):
        for _ in range(self.times):
            super().partial_fit(X, y, sample_weight)
        return self


class Unconstrained(BatchGDRegressor):
    """A parameter of its own without a constraint."""

    def __init__(self, loss="squared_error", name="n", tol=1e-3):
        super().__init__(loss, tol=tol)
        self.name = name


class Computed(OnlineSGDRegressor):
    """A parameter that follows from another one."""

    def __init__(self, strength=2, learning_rate="constant"):
        self.strength = strength
        self.learning_rate = learning_rate
        theirs = OnlineSGDRegressor(learning_rate=learning_rate).get_params()
        vars(self).update({name: value for name, value in theirs.items() if name != "eta0"})

    @property
    def eta0(self):
        return 0.01 * self.strength


SAME = [
    (Stricter(epochs=5, random_state=0), OnlineSGDRegressor(epochs=5, random_state=0)),
    (Repeated(random_state=0), MiniBatchSGDRegressor("huber", epochs=5, random_state=0)),
    (Unconstrained("huber", name="other"), BatchGDRegressor("huber")),
    (Computed(3), OnlineSGDRegressor(learning_rate="constant", eta0=0.03)),
]
same = pytest.mark.parametrize(("own", "ours"), SAME, ids=[type(own).__name__ for own, _ in SAME])


@same
def test_fits_like_the_class_that_it_extends(own, ours):
    own, ours = clone(own), clone(ours)
    if isinstance(own, Computed):
        own.random_state = ours.random_state = 0
    assert_array_equal(theta(own.fit(X, Y)), theta(ours.fit(X, Y)))
    assert_array_equal(own.predict(X), ours.predict(X))
    for rows in (slice(0, 7), slice(7, 14), slice(14, 21), slice(0, 60)):
        own.partial_fit(X[rows], Y[rows])
        ours.partial_fit(X[rows], Y[rows])
        assert_array_equal(theta(own), theta(ours))
        own, ours = pickle.loads(pickle.dumps(own)), pickle.loads(pickle.dumps(ours))
    at = np.ones((1, 6))
    assert_array_equal(diagnostics.objective(own, X, Y, at), diagnostics.objective(ours, X, Y, at))


def test_a_stream_notices_that_a_parameter_was_set():
    """Its own parameters are read, and checked, as those of the package are."""
    model, steps = Repeated(), [(X[:3], Y[:3]), (X[3:6], Y[3:6]), (X[6:9], Y[6:9])]
    fit_stream(model, steps)
    assert model.n_updates_ == 3
    model.set_params(times=2).partial_fit(*steps[0])
    assert model.n_updates_ == 5
    before = theta(model)
    with pytest.raises(ValueError, match="'times' parameter of Repeated must be"):
        model.set_params(times=1.5).fit(X, Y)
    assert_array_equal(theta(model), before)
    stepwise = MiniBatchSGDRegressor.partial_fit
    with pytest.raises(ValueError, match="'times' parameter of Repeated must be"):
        stepwise(model, *steps[1])
    assert_array_equal(theta(model), before)


def test_constraints_are_those_of_the_class():
    Stricter(epochs=50).fit(X, Y)
    OnlineSGDRegressor(epochs=51).fit(X, Y)
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="'epochs' parameter of Stricter must be"):
            getattr(Stricter(epochs=51), method)(X, Y)


def test_search_over_a_parameter_of_its_own():
    search = GridSearchCV(Unconstrained(), {"name": ["a", "b"]}, cv=2).fit(X, Y)
    assert search.best_score_ > 0.9
    assert set(search.best_estimator_.get_params()) == {"loss", "name", "tol"}
