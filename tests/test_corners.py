"""Values of parameters, formulas and arrays that scikit-learn's and NumPy's users give now and then."""

import re
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import REGRESSORS, csr, linear
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor
from sklearn.metrics import mean_poisson_deviance
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklearn_sgd import BatchSizeDisplay, LossCurveDisplay, MiniBatchSGDRegressor, OnlineSGDRegressor, schedules
from sklearn_sgd.diagnostics import critical_batch_size, gradient_noise, objective, record_fit
from sklearn_sgd.losses import SquaredError
from sklearn_sgd.streaming import ArraySource, fit_stream

X, Y, *_ = linear(200, 4, seed=0)
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)
METHODS = ("fit", "partial_fit")

# Numbers of NumPy


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("narrow", [np.int8, np.uint8, np.int16])
def test_batch_size_of_a_narrow_type(narrow, method):
    ours, twin = (
        getattr(MiniBatchSGDRegressor(batch_size=size, random_state=0), method)(X, Y) for size in (narrow(100), 100)
    )
    assert_array_equal(ours.coef_, twin.coef_)
    assert ours.n_updates_ == twin.n_updates_
    assert_allclose(ours.coef_, LinearRegression().fit(X, Y).coef_, rtol=1e-4)


# Masked arrays: scikit-learn's checks use what the mask hides.

MASKS = {"X": np.zeros((200, 4), bool), "y": np.zeros(200, bool), "sample_weight": np.zeros(200, bool)}
for mask in MASKS.values():
    mask[7] = True


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("method", METHODS)
@all_kinds
def test_masked_values_are_refused(kind, method, name):
    given = {"X": X, "y": Y, "sample_weight": np.ones(200)}
    plain = getattr(kind(random_state=0), method)(**given)
    unmasked = {key: np.ma.array(value) for key, value in given.items()}
    assert_array_equal(getattr(kind(random_state=0), method)(**unmasked).coef_, plain.coef_)
    with pytest.raises(ValueError, match=f"^{name} has masked values"):
        getattr(kind(), method)(**given | {name: np.ma.array(given[name], mask=MASKS[name])})


def test_masked_values_are_refused_everywhere():
    masked = np.ma.array(X, mask=MASKS["X"])
    model = MiniBatchSGDRegressor(random_state=0).fit(X, Y)
    many = np.ma.array(np.tile(X, (200, 1)), mask=np.tile(MASKS["X"], (200, 1)))
    for call in (model.predict, lambda Z: model.predict(Z, return_std=True)):
        for Z in (masked, many):
            with pytest.raises(ValueError, match=r"^X has masked values"):
                call(Z)
    with pytest.raises(ValueError, match="X has masked values"):
        MiniBatchSGDRegressor(early_stopping=True).fit(X, Y, X_val=masked, y_val=Y)
    with pytest.raises(ValueError, match="X has masked values"):
        fit_stream(MiniBatchSGDRegressor(), ArraySource(masked, Y))
    targets, start = np.ma.array(Y, mask=MASKS["y"]), np.zeros((1, 5))
    for call in (gradient_noise, lambda *given: objective(*given, start)):
        for name, given in {"X": (masked, Y), "y": (X, targets)}.items():
            with pytest.raises(ValueError, match=f"^{name} has masked values"):
                call(model, *given)


# Start parameters


@all_kinds
def test_start_from_sparse_coefficients(kind):
    model = kind(random_state=0).fit(X, Y)
    params = {"learning_rate": "constant", "eta0": 1e-12, "tol": None, "epochs": 1}
    again = kind(**params).fit(X, Y, coef_init=model.sparsify().coef_, intercept_init=model.intercept_)
    assert_allclose(again.coef_, model.densify().coef_, rtol=1e-6)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"coef_init": np.full(4, np.nan)}, r"coef_init must be finite and of shape \(4,\); got NaN or infinity"),
        ({"intercept_init": np.inf}, r"intercept_init must be finite and of shape \(\); got NaN or infinity"),
        ({"coef_init": "start"}, r"coef_init must be finite numbers of shape \(4,\): could not convert"),
        ({"coef_init": np.ma.array(np.ones(4), mask=[1, 0, 0, 0])}, "coef_init has masked values"),
    ],
)
def test_errors_of_start_parameters(start, message):
    with pytest.raises(ValueError, match=message):
        MiniBatchSGDRegressor().fit(X, Y, **start)


# Learning rates


@pytest.mark.parametrize(
    ("rate", "found"),
    [
        (lambda t: np.where(t > 1, np.nan, 0.1), "got nan"),
        (lambda t: 0.1 - t, "got -0.9"),
        (lambda t: "fast", "could not convert string"),
        (lambda t: 0.1 if t < 10 else 0.01, "truth value"),
        (lambda: 0.1, "takes 0 positional arguments"),
        (schedules.constant, "parameter of constant"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_own_learning_rate_that_fails(rate, found, method):
    wanted = "learning_rate, as a function, must return one finite rate >= 0 for each number of an array of updates"
    with pytest.raises(ValueError, match=f"{re.escape(wanted)}.*{found}"):
        getattr(OnlineSGDRegressor(learning_rate=rate), method)(X, Y)


@pytest.mark.parametrize(
    ("schedule", "numbers", "name"),
    [
        (schedules.constant, {"eta0": -1.0}, "eta0"),
        (schedules.constant, {"eta0": np.nan}, "eta0"),
        (schedules.invscaling, {"power_t": "fast"}, "power_t"),
        (schedules.step, {"every": 0}, "every"),
        (schedules.exponential, {"factor": -0.5}, "factor"),
        (schedules.cosine, {"updates": 0}, "updates"),
        (schedules.cosine, {"lowest": -1.0}, "lowest"),
        (schedules.one_cycle, {"rise": 2.0}, "rise"),
        (schedules.one_cycle, {"updates": -5}, "updates"),
        (schedules.warm_up, {"schedule": schedules.constant(), "updates": 0}, "updates"),
        (schedules.optimal, {"alpha": 1.0, "loss": SquaredError()}, None),
    ],
)
def test_numbers_of_schedules(schedule, numbers, name):
    if name is None:
        assert np.isfinite(schedule(**numbers)(np.arange(1, 5))).all()
        return
    with pytest.raises(ValueError, match=f"^The '{name}' parameter of"):
        schedule(**numbers)


@pytest.mark.parametrize("eta0", [1e-20, 1e-100])
@all_kinds
def test_steps_without_effect_are_not_called_long(kind, eta0):
    with pytest.warns(match=r"its loss does not change\. Remedy: .* or a larger eta0"):
        kind(learning_rate="constant", eta0=eta0, random_state=0).fit(X, Y + 5.0)


# Formulas of one's own that break a rule


class WithIf:
    def value(self, y, p):
        return abs(p - y) if p > y else (p - y) ** 2 / 2

    def gradient(self, y, p):
        return np.sign(p - y)


class Negative(NamedTuple):
    """Poisson's without its constant, and without the link that says where it is least."""

    def value(self, y, p):
        return np.exp(p) - 9.0 * abs(y) * p

    def gradient(self, y, p):
        return np.exp(p) - 9.0 * abs(y)


class NotANumber(NamedTuple):
    def value(self, y, p):
        return (p - y) ** 2 + 0.0 * np.log(p - 1e9)

    def gradient(self, y, p):
        return 2.0 * (p - y)


class WithoutDomain(NamedTuple):
    def value(self, y, p):
        return (p - y) ** 2 / 2

    def gradient(self, y, p):
        return p - y

    def allows(self, y):
        return y > 100.0


class Logistic(NamedTuple):
    """Not negative for targets of 0 and 1, and for others it is."""

    def value(self, y, p):
        return np.log(1.0 + np.exp(p)) - y * p

    def gradient(self, y, p):
        return 1.0 / (1.0 + np.exp(-p)) - y


class WithoutNumber(NamedTuple):
    def value(self, w):
        return abs(w)

    def gradient(self, w):
        return 0.0 * w

    def prox(self, w, rate):
        return w


class WithoutDefault(WithoutNumber):
    def prox(self, w, rate, j):
        return w


class ForEach(WithoutDefault):
    """Its gradient is that of all coefficients, whatever the argument."""

    def gradient(self, w):
        return np.arange(1.0, 4.0) * w

    def prox(self, w, rate, j=...):
        return w


class AsList(NamedTuple):
    def value(self, y, p):
        return [0.5 * float(v) for v in (p - y) ** 2]

    def gradient(self, y, p):
        return p - y


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"loss": AsList()}, r"^AsList\.value must take an array .* it returned a list"),
        ({"penalty": WithoutDefault()}, r"^WithoutDefault\.prox must take an array .* argument: 'j'"),
        ({"penalty": ForEach()}, r"^ForEach\.gradient must take an array as well as a number"),
        ({"loss": WithIf()}, r"^WithIf\.value must take an array .* np\.where in place of if"),
        ({"loss": Negative()}, r"^Negative: the least value of a loss must be 0 .*, but value\("),
        ({"loss": NotANumber()}, r"^NotANumber\.value is not a number for some targets"),
        ({"loss": WithoutDomain()}, r"^y must be allowed by its method allows for loss=WithoutDomain\(\)"),
        ({"penalty": WithoutNumber()}, r"^WithoutNumber\.prox must take an array .* 4 were given"),
    ],
)
@all_kinds
def test_rules_of_own_formulas(kind, part, message, method):
    with pytest.raises(ValueError, match=message):
        getattr(kind(**part), method)(X, Y)


def test_loss_that_is_right_for_its_targets():
    labels = Y + np.random.default_rng(0).normal(0, 5, 200) > 3.0
    model = MiniBatchSGDRegressor(Logistic(), random_state=0).fit(X, labels)
    expected = LogisticRegression(C=np.inf, tol=1e-8).fit(X, labels)
    assert_allclose(model.coef_, expected.coef_[0], rtol=1e-2, atol=1e-2)


# Displays and diagnostics


@pytest.mark.parametrize("given", [(), (X, Y)])
def test_records_are_for_regressors_of_this_package(given):
    pytest.importorskip("matplotlib")
    for model in (LinearRegression().fit(X, Y), make_pipeline(LinearRegression()).fit(X, Y)):
        with pytest.raises(TypeError, match=r"^estimator must be a regressor of this package; got LinearRegression\.$"):
            LossCurveDisplay.from_estimator(model, *given)
    with pytest.raises(TypeError, match="must be a regressor of this package"):
        record_fit(LinearRegression(), X, Y)
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MiniBatchSGDRegressor())


def test_batch_sizes_that_are_no_numbers():
    pytest.importorskip("matplotlib")
    search = GridSearchCV(MiniBatchSGDRegressor(random_state=0), {"batch_size": ["auto", 64, None, 8]}, cv=2)
    with pytest.raises(NotFittedError):
        BatchSizeDisplay.from_search(search)
    display = BatchSizeDisplay.from_search(search.fit(X, Y))
    assert [label.get_text() for label in display.axes_[0].get_xticklabels()] == ["8", "64", "all", "auto"]
    places = display.lines_["score"].get_xdata()
    assert (np.diff(places) > 0.0).all()
    shown = [search.cv_results_["mean_test_score"][number] for number in (3, 1, 2, 0)]
    assert_array_equal(display.lines_["score"].get_ydata(), shown)


@pytest.mark.parametrize(
    ("sizes", "updates", "message"),
    [
        ([1, 2, 4], [9.0, np.nan, 5.0], "finite and above 0"),
        ([0, 2, 4], [9.0, 6.0, 5.0], "finite and above 0"),
        ([1, 2, 4], [9.0, 6.0], "as many numbers"),
        ([1, 2, 4], [9.0, 9.0, 9.0], "No critical batch size"),
    ],
)
def test_critical_batch_size_that_does_not_exist(sizes, updates, message):
    with pytest.raises(ValueError, match=message):
        critical_batch_size(sizes, updates)


# Counts that are 0 wherever a level occurs: its coefficient goes to minus infinity.


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-6])
@pytest.mark.parametrize("form", [np.asarray, csr])
@all_kinds
def test_level_without_counts_in_single_precision(kind, form, scale):
    rng = np.random.default_rng(2)
    numbers, level = rng.normal(size=(500, 3)), rng.integers(0, 12, 500)
    levels = (level[:, None] == np.arange(1, 12)) * 1.0
    counts = np.where(level == 3, 0, rng.poisson(np.exp(0.3 * numbers[:, 0]))).astype(float)
    features = np.hstack([numbers, scale * levels]).astype(np.float32)
    model = kind("poisson", random_state=0).fit(form(features), counts)
    assert model.predict(form(features))[level == 3].max() < 1e-3
    others = np.hstack([numbers, np.delete(levels, 2, axis=1)])[level != 3], counts[level != 3]
    peer = PoissonRegressor(alpha=0.0, solver="newton-cholesky").fit(*others)
    least = mean_poisson_deviance(others[1], peer.predict(others[0])) * np.mean(level != 3)
    assert mean_poisson_deviance(counts, model.predict(form(features))) < least + 1e-4
