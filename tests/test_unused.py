"""A parameter that is set, and has no effect with the values of the others, gives a warning; and no other does."""

import warnings

import numpy as np
import pytest
from problems import REGRESSORS, linear, theta
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor, diagnostics
from sklearn_sgd.losses import LOSSES, Huber
from sklearn_sgd.penalties import L1, Box
from sklearn_sgd.schedules import constant
from sklearn_sgd.streaming import fit_stream

# Few steps, so some fits are rightly said to end worse than a constant.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)

X, Y = linear()
Y = abs(Y) + 0.1  # which every loss allows

# What a value of a parameter other than its default is for.
VALUES = {
    "alpha": 0.7,
    "l1_ratio": 0.9,
    "eta0": 0.03,
    "power_t": 0.9,
    "n_iter_no_change": 1,
    "validation_fraction": 0.4,
    "epsilon": 0.9,
    "quantile": 0.9,
    "half_life": 20.0,
}
# Parameters that may give them a use, each in turn with others.
CONTEXTS = [
    {},
    {"penalty": "l2"},
    {"penalty": "l1", "learning_rate": "constant"},
    {"penalty": "elasticnet", "learning_rate": "invscaling"},
    {"penalty": L1(0.1), "learning_rate": "optimal"},
    {"penalty": Box(-9.0, 9.0), "learning_rate": constant(0.01)},
    {"learning_rate": "adaptive", "tol": 0.5},
    {"learning_rate": "constant", "average": True, "tol": None},
    {"average": False},
    {"early_stopping": True, "tol": 0.05},
    {"early_stopping": True, "tol": None},
    {"optimizer": "saga"},
    {"learning_rate": "constant", "optimizer": "adam"},
    *({"loss": loss} for loss in LOSSES),
    {"loss": Huber(0.5), "positive": True},
]


def learn(kind, **params):
    """All numbers of a fit and, where there is one, of a stream; and what was said of parameters."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        numbers, model = [], kind(random_state=0, epochs=12, **params)
        for method, rows in (("fit", [slice(None)]), ("partial_fit", [slice(20), slice(20, 60)])):
            if hasattr(model, method):
                fresh = clone(model)
                for some in rows:
                    getattr(fresh, method)(X[some], Y[some])
                numbers += [theta(fresh), fresh.loss_curve_]
    texts = [str(warning.message) for warning in said if warning.category is UserWarning]
    return np.concatenate(numbers), {text.partition("=")[0].rpartition(" ")[2] for text in texts if "no effect" in text}


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor])
@pytest.mark.parametrize("context", CONTEXTS, ids=str)
def test_warnings_name_the_parameters_without_effect(kind, context):
    """Exactly the parameters that change nothing are named."""
    before, said = learn(kind, **context)
    assert said == set()
    for name, value in VALUES.items():
        after, said = learn(kind, **context, **{name: value})
        alike = len(before) == len(after) and np.array_equal(before, after)
        if name == "n_iter_no_change" and alike and context.get("tol", 1) is not None:
            continue  # Here the fits end for other reasons.
        assert said == ({name} if alike else set()), name


@all_kinds
@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"alpha": 0.9, "loss": "quantile"},
            "alpha=0.9 has no effect.*'l2' or 'l1' or 'elasticnet'.*'optimal'",
        ),
        ({"alpha": 0.9, "penalty": L1(0.1)}, "alpha=0.9 has no effect"),
        (
            {"eta0": 0.5},
            "eta0=0.5 has no effect.*learning_rate='constant' or 'invscaling' or 'adaptive' or 'pa1' or 'pa2'",
        ),
        ({"eta0": 0.5, "learning_rate": np.sqrt}, "eta0=0.5 has no effect"),
        ({"quantile": 0.9}, "quantile=0.9 has no effect.*loss='quantile' or 'expectile'"),
        ({"epsilon": 0.9, "loss": Huber(2.0)}, "epsilon=0.9 has no effect.*loss='huber'"),
        ({"power_t": 0.9, "learning_rate": "constant"}, "power_t=0.9 has no effect.*'invscaling'"),
        ({"l1_ratio": 0.5, "penalty": "l1"}, "l1_ratio=0.5 has no effect.*penalty='elasticnet'"),
    ],
    ids=str,
)
def test_message(kind, params, message):
    """One for each parameter, a UserWarning as those of scikit-learn, at the line of the user; for fit and streams."""
    for method in ("fit", "partial_fit"):
        model = kind(**params)
        with pytest.warns(UserWarning, match=f"^{kind.__name__}: {message}") as said:
            getattr(model, method)(X, Y)
        said = [warning for warning in said if "no effect" in str(warning.message)]
        assert len(said) == 1
        assert said[0].category is UserWarning
        assert said[0].filename == __file__


def test_several_at_once():
    with pytest.warns(UserWarning, match="no effect") as said:
        BatchGDRegressor(eta0=0.5, alpha=1.0, quantile=0.2).fit(X, Y)
    assert [str(warning.message).split("=")[0].split()[-1] for warning in said] == ["alpha", "eta0", "quantile"]


@pytest.mark.parametrize(
    "params",
    [
        {"l1_ratio": None},
        {"alpha": 1e-4, "eta0": 0.01, "quantile": 0.5, "epsilon": 0.1, "power_t": 0.25},
        {"learning_rate": "optimal", "alpha": 2.0},
        {"penalty": "l2", "alpha": 0.0},
        {"shuffle": False, "drop_last": False, "random_state": 3, "verbose": 0, "warm_start": True},
    ],
    ids=str,
)
@all_kinds
def test_nothing_is_said(kind, params):
    kind(**params).fit(X, Y)
    kind(**params).partial_fit(X, Y)


def test_a_stream_warns_once():
    model = OnlineSGDRegressor(quantile=0.9)
    with pytest.warns(UserWarning, match="quantile=0.9 has no effect"):
        model.partial_fit(X, Y)
    for _ in range(3):
        model.partial_fit(X, Y)
    with pytest.warns(UserWarning, match="epsilon=0.7 has no effect"):
        model.set_params(quantile=0.5, epsilon=0.7).partial_fit(X, Y)
    with pytest.warns(UserWarning, match="alpha=0.7 has no effect"):
        fit_stream(OnlineSGDRegressor(alpha=0.7), [(X[:30], Y[:30]), (X[30:], Y[30:])])


def test_a_warning_that_is_an_error_changes_nothing():
    model = OnlineSGDRegressor(quantile=0.9)
    for method in ("fit", "partial_fit", "fit"):
        before = dict(vars(model))
        with warnings.catch_warnings(action="error"), pytest.raises(UserWarning, match="no effect"):
            getattr(model, method)(X, Y)
        assert vars(model) == before


def test_searches():
    """A grid of all pairs tells which of them are the same fit; a list of grids has none of those."""
    model = MiniBatchSGDRegressor(epochs=5, random_state=0)
    pairs = {"penalty": [None, "l2"], "alpha": [0.01, 0.1]}
    with pytest.warns(UserWarning, match="has no effect") as said:
        search = GridSearchCV(model, pairs, cv=2).fit(X, Y)
    assert {str(warning.message).split()[1] for warning in said} == {"alpha=0.01", "alpha=0.1"}
    assert all(warning.filename == __file__ for warning in said)
    grids = [{"penalty": [None]}, {"penalty": ["l2"], "alpha": [0.01, 0.1]}]
    assert GridSearchCV(model, grids, cv=2).fit(X, Y).best_score_ == search.best_score_


class Ridge(MiniBatchSGDRegressor):
    """Other defaults, and a parameter that must be given."""

    def __init__(self, alpha, penalty="l2", eta0=0.5, learning_rate="auto"):
        super().__init__(penalty=penalty, alpha=alpha, eta0=eta0, learning_rate=learning_rate)


def test_defaults_are_those_of_the_class():
    Ridge(0.3).fit(X, Y)
    Ridge(0.3, penalty=None).fit(X, Y)
    with pytest.warns(UserWarning, match=r"Ridge: eta0=0.01 has no effect"):
        Ridge(0.3, eta0=0.01).fit(X, Y)


def test_diagnostics_set_parameters_of_their_own():
    """A clone that needs no early stopping is not said to have a needless share of validation samples."""
    model = MiniBatchSGDRegressor(early_stopping=True, validation_fraction=0.3, n_iter_no_change=2, epochs=2)
    before = model.get_params()
    assert len(diagnostics.descent_path(model.set_params(batch_size="auto"), X, Y)) > 1
    assert diagnostics.measure_cost(model, X, Y, epochs=1, repeats=1).updates_per_epoch >= 1
    assert model.get_params() == before | {"batch_size": "auto"}
    assert len(diagnostics.record_fit(Ridge(0.3), X, Y, epochs=1).losses) == 2
    assert diagnostics.measure_cost(Ridge(0.3), X, Y, epochs=1, repeats=1).updates_per_epoch == 2
