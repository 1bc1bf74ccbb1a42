"""Bad input: the message names what is wrong, and the estimator stays as it was."""

import pickle
import re
from itertools import product
from typing import NamedTuple

import joblib
import numpy as np
import pytest
from internals import forget_warnings, interrupt_compilation
from numpy.testing import assert_allclose, assert_array_equal
from problems import FIXED, REGRESSORS, covering, csr, learned, linear, theta
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import validate_data

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import LOSSES, Huber
from sklearn_sgd.optimizers import OPTIMIZERS, Adam
from sklearn_sgd.penalties import L1, PENALTIES, Box, Positive

X, Y = linear()


def spoiled(array, value):
    array = array.copy()
    array.flat[7] = value
    return array


def refuses(model, match, *args, method="fit", error=ValueError, **kwargs):
    """That the call fails with such a message, on a model fresh and fitted, and changes nothing."""
    args = args or (X, Y)
    params = model.get_params()
    fitted = type(model)(**FIXED).fit(X, Y).set_params(**params)
    for estimator in (model, fitted):
        names, before = list(vars(estimator)), joblib.hash(vars(estimator))
        with pytest.raises(error, match=match):
            getattr(estimator, method)(*args, **kwargs)
        assert list(vars(estimator)) == names
        assert joblib.hash(vars(estimator)) == before
    fitted.set_params(**type(model)(**FIXED).get_params()).partial_fit(X, Y)
    assert_array_equal(theta(fitted), theta(type(model)(**FIXED).fit(X, Y).partial_fit(X, Y)))


METHODS = ["fit", "partial_fit"]
both_methods = pytest.mark.parametrize("method", ["fit", "partial_fit"])
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)


# Data: X and y. Messages are scikit-learn's own where it has one, as users know them.

DATA = {
    "X of one dimension": (X[:, 0], Y, "Expected 2D array"),
    "X of three dimensions": (X[:, :, None], Y, "array with dim 3"),
    "scalar X": (1.0, Y, "Expected 2D array"),
    "X without rows": (X[:0], Y, r"inconsistent.*\[0, 60\]|0 sample"),
    "X without columns": (X[:, :0], Y, "0 feature"),
    "sparse X without rows": (csr(X)[:0], Y, r"inconsistent.*\[0, 60\]|0 sample"),
    "X with NaN": (spoiled(X, np.nan), Y, "X contains NaN"),
    "X with infinity": (spoiled(X, np.inf), Y, "X contains infinity"),
    "sparse X with NaN": (csr(spoiled(X, np.nan)), Y, "X contains NaN"),
    "sparse X with infinity": (csr(spoiled(X, -np.inf)), Y, "X contains infinity"),
    "complex X": (X * 1j, Y, "Complex data"),
    "X of words": (np.full(X.shape, "a"), Y, "could not convert string"),
    "ragged X": ([[1.0, 2.0], [3.0]], [1.0, 2.0], "inhomogeneous"),
    "y too short": (X, Y[:-1], r"inconsistent.*\[60, 59\]"),
    "y too long": (X, np.append(Y, 0), r"inconsistent.*\[60, 61\]"),
    "y of three dimensions": (X, Y[:, None, None], "array with dim 3"),
    "y without columns": (X, np.empty((60, 0)), "0 feature"),
    "scalar y": (X, 1.0, "y must have one target per sample"),
    "y with NaN": (X, spoiled(Y, np.nan), "y contains NaN"),
    "y with infinity": (X, spoiled(Y, np.inf), "y contains infinity"),
    "y of words": (X, np.full(60, "a"), "could not convert string"),
    "no y": (X, None, "requires y"),
    "sparse y": (X, sparse.csr_matrix(Y[:, None]), "y.*dense|[Ss]parse"),
}


@covering({"rows, targets, match": DATA, "method": METHODS, "kind": REGRESSORS}, strength=2)
def test_data(kind, method, rows, targets, match):
    error = (ValueError, TypeError) if sparse.issparse(targets) else ValueError
    refuses(kind(), match, rows, targets, method=method, error=error)


@covering(
    {
        "params": [
            {},
            {"penalty": "elasticnet", "positive": True},
            {"fit_intercept": False},
            {"optimizer": "saga"},
            {"learning_rate": "constant"},
            {"learning_rate": "constant", "optimizer": "adam", "positive": True, "average": True},
            {"learning_rate": "constant", "shuffle": "batches", "penalty": "l2"},
        ],
        "shape, kind": product([(60, 3), (9000, 5), (20, 450)], REGRESSORS),
        "form": [np.array, csr],
    }
)
def test_not_finite_is_seen_without_a_look_at_all_rows(kind, shape, form, params):
    """Where statistics or the first loss tell, X is not read to check it; the error is the same."""
    rng = np.random.default_rng(0)
    rows, targets = rng.standard_normal(shape), rng.standard_normal((shape[0], 2))
    for place, value in (((0, 0), np.nan), ((-1, -1), np.inf), ((shape[0] // 2, 1), -np.inf)):
        bad = rows.copy()
        bad[place] = value
        refuses(kind(**params), "Input X contains (NaN|infinity)", form(bad), targets)
    model = kind(**params)
    model.set_params(learning_rate="constant", eta0=1e200, optimizer="sgd")
    with pytest.warns(ConvergenceWarning, match="left the finite range|worse than the best constant"):
        model.fit(form(rows), targets)


@pytest.mark.parametrize("form", [np.array, csr])
def test_entries_of_a_fit_are_not_read_to_check_them(form, monkeypatch):
    finite = []

    def recorded(estimator, X, **form):
        finite.append(form["ensure_all_finite"])
        return validate_data(estimator, X, **form)

    monkeypatch.setattr("sklearn_sgd._base.samples.validate_data", recorded)
    for model in (MiniBatchSGDRegressor(random_state=0), MiniBatchSGDRegressor("huber", random_state=0)):
        model.fit(form(X), Y)
    assert finite == [False, True]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("learning_rate", ["constant", "auto"])
def test_not_finite_in_rows_like_the_last_ones(learning_rate, drop_last):
    """Also in those that drop_last leaves out."""
    model = MiniBatchSGDRegressor(batch_size=7, learning_rate=learning_rate, drop_last=drop_last, random_state=0)
    model.partial_fit(X[:20], Y[:20]).partial_fit(X[:20], Y[:20])
    before = [np.copy(getattr(model, name)) for name in learned(model)]
    for place in (0, 10, 19):
        for value in (np.nan, np.inf):
            rows, targets = X[:20].copy(), Y[:20].copy()
            rows[place, 1] = targets[place] = value
            with pytest.raises(ValueError, match="X contains"):
                model.partial_fit(rows, Y[:20])
            with pytest.raises(ValueError, match="y contains"):
                model.partial_fit(X[:20], targets)
            for name, value_before in zip(learned(model), before, strict=True):
                assert_array_equal(getattr(model, name), value_before)


@both_methods
@all_kinds
def test_weights(kind, method):
    for weight, match in {
        "NaN": (spoiled(np.ones(60), np.nan), "sample_weight contains NaN"),
        "infinity": (spoiled(np.ones(60), np.inf), "sample_weight contains infinity"),
        "negative": (spoiled(np.ones(60), -1.0), "sample_weight"),
        "too short": (np.ones(59), "sample_weight"),
        "too long": (np.ones(61), "sample_weight"),
        "two-dimensional": (np.ones((60, 1)), "[Ss]ample.?weight"),
    }.values():
        refuses(kind(), match, X, Y, weight, method=method)


@all_kinds
def test_weights_all_zero(kind):
    refuses(kind(), "[Ss]ample.?weight", X, Y, np.zeros(60))


@both_methods
@all_kinds
def test_weights_too_small_for_single_precision(kind, method):
    """Only ratios of weights matter, so a constant is the remedy."""
    weight = np.linspace(1e-47, 1e-46, 60)
    with pytest.raises(ValueError, match=r"sample_weight is 0 .*float32: multiply it by a constant"):
        getattr(kind(), method)(X.astype(np.float32), Y, weight)
    learn = getattr(kind(random_state=0), method)
    assert_allclose(learn(X, Y, weight).coef_, getattr(kind(random_state=0), method)(X, Y, 1e47 * weight).coef_)


@both_methods
@all_kinds
def test_too_large_for_single_precision(kind, method):
    """What is finite in double precision, but not in that of X."""
    model = kind()
    before = joblib.hash(vars(model))
    with pytest.raises(ValueError, match=r"\by\b.*(infinity|large)"):
        getattr(model, method)(X.astype(np.float32), spoiled(Y, 1e300))
    assert joblib.hash(vars(model)) == before


@all_kinds
def test_another_number_of_targets(kind):
    for before, now in ((Y, np.c_[Y, Y]), (np.c_[Y, Y], Y), (np.c_[Y, Y], np.c_[Y, Y, Y])):
        model = kind(**FIXED).fit(X, before)
        state = joblib.hash(vars(model))
        with pytest.raises(ValueError, match=f"y must have {before.size // 60} targets"):
            model.partial_fit(X, now)
        with pytest.raises(ValueError, match="coef_, which must be finite and of shape"):
            model.set_params(warm_start=True).fit(X, now)
        assert joblib.hash(vars(model.set_params(warm_start=False))) == state


@all_kinds
def test_starting_point(kind):
    for init, match in {
        "coef too short": ({"coef_init": np.zeros(4)}, "coef_init"),
        "coef of two dimensions": ({"coef_init": np.zeros((2, 5))}, "coef_init"),
        "coef with NaN": ({"coef_init": spoiled(np.zeros(8), np.nan)[3:]}, "coef_init"),
        "two intercepts": ({"intercept_init": [0.0, 1.0]}, "intercept_init"),
        "intercept infinite": ({"intercept_init": np.inf}, "intercept_init"),
    }.values():
        refuses(kind(), match, **init)


@pytest.mark.parametrize("form", [np.asarray, csr])
@all_kinds
def test_fit_needs_rows(kind, form):
    refuses(kind(), "0 sample", form(X)[:0], Y[:0])


@all_kinds
def test_other_number_of_columns(kind):
    model = kind(**FIXED).fit(X, Y)
    before = joblib.hash(vars(model))
    for call in (lambda: model.predict(X[:, :4]), lambda: model.partial_fit(X[:, :4], Y)):
        with pytest.raises(ValueError, match=r"4 features.*expecting 5"):
            call()
    assert joblib.hash(vars(model)) == before
    with pytest.raises(ValueError, match="X contains NaN"):
        model.predict(spoiled(X, np.nan))


@all_kinds
def test_not_fitted(kind):
    with pytest.raises(NotFittedError):
        kind().predict(X)


# Parameters

WRONG = {
    "loss": ["squared", 1, None, {}],
    "penalty": ["L2", 1, False],
    "alpha": [-1e-9, "a", None, np.nan, np.inf],
    "l1_ratio": [-0.1, 1.1, "a", np.nan],
    "positive": ["yes", None, 2],
    "fit_intercept": ["no", None, 2],
    "epochs": [0, -1, 2.0, None],
    "shuffle": ["batch", None, 2],
    "drop_last": ["no", None, 2],
    "learning_rate": ["Constant", 0.1, None],
    "eta0": [0.0, -1.0, None, np.nan, np.inf],
    "power_t": ["a", None, np.nan],
    "optimizer": ["SGD", 1, None, {}],
    "average": [-1, 0.5, "yes", None],
    "tol": [-1e-9, "a", np.nan],
    "n_iter_no_change": [0, 1.5, None],
    "early_stopping": ["no", None, 2],
    "validation_fraction": [0.0, 1.0, -0.1, None],
    "time_budget": [0.0, -1.0, "a", np.nan],
    "epsilon": [-1e-9, None, np.nan],
    "quantile": [0.0, 1.0, -0.1, None, np.nan],
    "half_life": [0.0, -1.0, "a", np.nan],
    "inference": ["no", None, 2],
    "warm_start": ["no", None, 2],
    "random_state": ["a", -1, 0.5],
    "verbose": [-1, "a", None],
}


@covering({"name, value": [(name, value) for name in WRONG for value in WRONG[name]], "method": METHODS})
def test_parameter(name, value, method):
    refuses(MiniBatchSGDRegressor(**{name: value}), rf"'{name}' parameter|^{name}=", method=method)


def test_every_parameter_is_tried():
    assert set(WRONG) | {"batch_size"} == set(MiniBatchSGDRegressor().get_params())


@covering({"batch_size": [0, -1, 2.0, 0.5, "all", np.nan], "method, kind": product(METHODS, REGRESSORS)})
def test_batch_size(kind, batch_size, method):
    refuses(kind(batch_size=batch_size), "batch_size", method=method)


@both_methods
def test_batch_size_of_another_class(method):
    remedy = "batch_size.*MiniBatchSGDRegressor"
    for kind, batch_size in ((BatchGDRegressor, 3), (OnlineSGDRegressor, 2), (OnlineSGDRegressor, None)):
        refuses(kind(batch_size=batch_size), remedy, method=method)


@pytest.mark.parametrize("form", [np.asarray, csr])
@both_methods
def test_drop_last_that_drops_all(method, form):
    model = MiniBatchSGDRegressor(batch_size=61, drop_last=True)
    refuses(model, r"drop_last.*batch_size", form(X), Y, method=method)
    mostly_absent = np.where(np.arange(60) < 6, 1.0, 0.0)
    refuses(model.set_params(batch_size=7), r"drop_last.*batch_size", form(X), Y, mostly_absent, method=method)


@both_methods
def test_optimal_needs_alpha(method):
    refuses(MiniBatchSGDRegressor(learning_rate="optimal", alpha=0.0), "alpha", method=method)


TABLES = {"loss": LOSSES, "penalty": PENALTIES, "optimizer": OPTIMIZERS}
PART_NUMBERS = [(role, kind, n) for role in TABLES for kind in TABLES[role].values() for n in kind._fields]


@covering({"role, kind, number": PART_NUMBERS, "value": [-1.0, np.nan, np.inf, "a"]})
def test_numbers_of_parts(role, kind, number, value):
    model = MiniBatchSGDRegressor(**{role: kind(**{number: value})}, learning_rate="constant")
    refuses(model, f"'{number}' parameter of {kind.__name__} ")


def test_numbers_of_parts_inside_parts():
    for penalty in (Positive(PENALTIES["l1"](-1.0)), Box(0.0, 1.0, PENALTIES["l2"](-1.0))):
        refuses(MiniBatchSGDRegressor(penalty=penalty), "'alpha' parameter of L")


@both_methods
def test_huber_that_is_nowhere_a_square(method):
    refuses(MiniBatchSGDRegressor(loss="huber", epsilon=0.0), "'epsilon' parameter of Huber", method=method)


class OwnHuber(Huber):
    pass


@both_methods
def test_class_instead_of_instance(method):
    for name, kind in {"loss": Huber, "penalty": L1, "optimizer": Adam}.items():
        model = MiniBatchSGDRegressor(**{name: kind})
        refuses(model, rf"Give an instance, not the class: {name}={kind.__name__}\(\)", method=method)
    refuses(MiniBatchSGDRegressor(OwnHuber), r"Give an instance, not the class: loss=OwnHuber\(\)", method=method)


def test_early_stopping_is_for_fit():
    """As scikit-learn's MLPRegressor: the method is not there, and the cause says why."""
    model = MiniBatchSGDRegressor(early_stopping=True)
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit") as failure:
        model.partial_fit(X, Y)
    assert "early_stopping" in str(failure.value.__cause__)


@pytest.mark.parametrize("fraction", [1e-6, 0.999999])
def test_split_that_leaves_nothing(fraction):
    model = MiniBatchSGDRegressor(early_stopping=True, validation_fraction=fraction)
    refuses(model, "validation_fraction", X[:20], Y[:20])
    refuses(model.set_params(validation_fraction=0.5), "early_stopping|validation_fraction", X[:1], Y[:1])


def out_of_luck(t):
    raise RuntimeError("broken schedule")


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@covering(
    {
        "dtype, scale, match": [
            (np.float32, 1e-25, "range of float32.*as float64"),
            (np.float32, 1e25, "range of float32.*as float64"),
            (np.float64, 1e-160, "range of float64: scale them.$"),
            (np.float64, 1e160, "range of float64: scale them.$"),
        ],
        "penalty, kind": product([None, "l1"], REGRESSORS),
    },
)
def test_columns_whose_squares_have_no_number(kind, dtype, scale, match, penalty):
    with pytest.raises(ValueError, match=match):
        kind(penalty=penalty).fit((X * scale).astype(dtype), Y)


@both_methods
def test_error_in_own_schedule(method):
    refuses(MiniBatchSGDRegressor(learning_rate=out_of_luck), "broken schedule", method=method, error=RuntimeError)


class BrokenLoss:
    """Fails in the middle of a fit."""

    def value(self, y, p):
        return 0.5 * (p - y) ** 2

    def gradient(self, y, p):
        if np.abs(p).max() > 0:
            raise RuntimeError("broken loss")
        return p - y


@both_methods
def test_error_in_own_loss(method):
    refuses(MiniBatchSGDRegressor(BrokenLoss(), batch_size=7), "broken loss", method=method, error=RuntimeError)


class Interrupting(BrokenLoss):
    def gradient(self, y, p):
        raise KeyboardInterrupt


def test_interrupt_leaves_the_estimator_as_it_was():
    refuses(MiniBatchSGDRegressor(Interrupting()), None, error=KeyboardInterrupt)


@pytest.mark.parametrize(
    ("parameter", "value", "hint"),
    [
        ("learning_rate", 0.1, "use learning_rate='constant', eta0=0.1."),
        ("learning_rate", np.float32(0.1), "use learning_rate='constant', eta0=0.1."),
        ("learning_rate", "adam", "use optimizer='adam'."),
        ("optimizer", "auto", "use learning_rate='auto'."),
        ("penalty", 0.01, "use penalty='l2', alpha=0.01."),
        ("penalty", "none", "use penalty=None."),
        ("loss", "mse", "loss='squared_error'."),
        ("loss", Huber, "loss=Huber()."),
        ("loss", "Huber", "Its name here is loss='huber'."),
        ("optimizer", "Adam", "Its name here is optimizer='adam'."),
        ("penalty", "Ridge", "Its name here is penalty='l2'."),
        ("penalty", "lasso", "Its name here is penalty='l1'."),
    ],
)
@both_methods
def test_hints(parameter, value, hint, method):
    """The error is scikit-learn's, with what was probably meant; what it proposes passes the checks."""
    model = OnlineSGDRegressor(**{parameter: value})
    message = rf"^The '{parameter}' parameter of OnlineSGDRegressor must be .* instead\. .*{re.escape(hint)}$"
    refuses(model, message, method=method)
    proposed = re.search(r"(\w+=.*)\.$", hint)[1]
    eval(f"OnlineSGDRegressor({proposed})")._validate_params()


@pytest.mark.parametrize("value", [-0.1, 0, True, "nonsense", np.zeros(2), None])
@pytest.mark.parametrize("parameter", ["learning_rate", "optimizer", "loss"])
def test_no_hint_where_nothing_is_known(parameter, value):
    with pytest.raises(ValueError, match=rf"'{parameter}' parameter of .* instead\.$"):
        OnlineSGDRegressor(**{parameter: value}).fit(X, Y)


def test_a_hint_is_only_for_the_parameter_that_is_refused():
    with pytest.raises(ValueError, match=r"'alpha' parameter of .* instead\.$"):
        OnlineSGDRegressor(alpha=-1.0, learning_rate=0.1).fit(X, Y)


# What fails again fails alike: a failed call leaves no trace, in the estimator or elsewhere.


def one_too_many(t):
    return np.ones(len(t) + 1)


FAILING = {
    "schedule": ({"learning_rate": one_too_many}, {}, "must return one finite rate"),
    "loss": ({"loss": BrokenLoss(), "batch_size": 7}, {}, "broken loss"),
    "range": ({}, {"X": X * 1e160}, "out of the range of float64"),
    "tiny": ({}, {"X": X * 1e-200}, "out of the range of float64"),
    "bounds": ({"penalty": Box(low=[0.0, 1.0])}, {}, "5 of them"),
    "contradiction": ({"optimizer": "adam"}, {}, "optimizer='adam' needs a learning_rate"),
    "weights": ({}, {"sample_weight": -np.ones(60)}, "sample_weight has negative values"),
    "targets": ({"loss": "poisson"}, {"y": -np.ones(60)}, "y must be >= 0"),
    "missing value": ({}, {"X": spoiled(X, np.nan)}, "X contains NaN"),
    "names": ({}, {"X": np.full((60, 5), "a")}, "could not convert string"),
}


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@covering({"case": FAILING, "method": METHODS, "kind": REGRESSORS}, strength=2)
def test_the_second_error_is_the_first(kind, case, method):
    params, given, match = case
    if "batch_size" in params:
        kind = MiniBatchSGDRegressor
    model, twin = (kind(random_state=np.random.RandomState(7), **params) for _ in range(2))
    good = {"learning_rate": "constant", "loss": "squared_error", "penalty": None, "optimizer": "sgd"}
    errors, before = [], list(vars(model))
    for _ in range(2):
        with pytest.raises((ValueError, RuntimeError), match=match) as error:
            getattr(model, method)(**{"X": X, "y": Y} | given)
        errors.append(error)
        assert list(vars(model)) == before
        assert not hasattr(model, "coef_")
    assert errors[0].type is errors[1].type
    assert str(errors[0].value) == str(errors[1].value)
    model, twin = (getattr(each.set_params(**good), method)(X, Y) for each in (model, twin))
    assert_array_equal(theta(model), theta(twin))
    assert model.random_state.randint(1000) == twin.random_state.randint(1000)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_second_error_of_a_warning_is_the_first(monkeypatch):
    """Where warnings are errors; a formula that cannot be compiled warns once, when it runs."""
    pytest.importorskip("llvmlite")
    forget_warnings(monkeypatch)

    class Bisquare(NamedTuple):
        def value(self, y, p):
            return np.arctan2(p - y, 1.0) ** 2

        def gradient(self, y, p):
            return 2 * np.arctan2(p - y, 1.0) / (1.0 + (p - y) ** 2)

    for method in METHODS:
        model = MiniBatchSGDRegressor(Bisquare(), **FIXED)
        for _ in range(2):
            with pytest.raises(RuntimeWarning, match="Bisquare runs in NumPy"):
                getattr(model, method)(X, Y)
            assert not hasattr(model, "n_features_in_")
        with pytest.warns(RuntimeWarning, match="Bisquare runs in NumPy"):
            getattr(model, method)(X, Y)
        getattr(model, method)(X, Y)
        forget_warnings(monkeypatch)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@both_methods
@all_kinds
def test_interrupt_while_compiling(kind, method, monkeypatch, tmp_path):
    """A cold cache and a formula that no other test has: the next call compiles, and learns as if it were the first."""
    pytest.importorskip("llvmlite")
    monkeypatch.setenv("SKLEARN_SGD_CACHE_DIR", str(tmp_path))
    factor = 1.0 + (1 + REGRESSORS.index(kind) + 3 * METHODS.index(method)) / 1e6

    class Own(NamedTuple):
        def value(self, y, p):
            return 0.5 * factor * (p - y) ** 2

        def gradient(self, y, p):
            return factor * (p - y)

    model = kind(Own(), random_state=0, epochs=3)
    interrupt_compilation(monkeypatch, calls=2)
    for _ in range(2):
        before = dict(vars(model))
        with pytest.raises(KeyboardInterrupt):
            getattr(model, method)(X, Y)
        assert vars(model) == before
    monkeypatch.undo()
    twin = getattr(kind(Own(), random_state=0, epochs=3), method)(X, Y)
    assert_array_equal(theta(getattr(model, method)(X, Y)), theta(twin))
    again = pickle.loads(pickle.dumps(model.set_params(loss="squared_error")))
    assert_array_equal(theta(again), theta(twin))
