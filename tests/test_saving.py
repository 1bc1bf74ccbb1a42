"""What is saved of a regressor: plain values with a version, of which the model comes back with the same bits."""

import copy
import io
import pickle
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import FIXED, REGRESSORS, csr, in_domain, linear, some_weights, theta
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor, losses, optimizers, penalties, schedules
from sklearn_sgd.schedules import constant, cosine, one_cycle, warm_up

pytestmark = pytest.mark.filterwarnings("ignore:.*worse than the best constant")

PLAIN = (type(None), bool, int, float, str, np.ndarray, np.generic)


class Half(NamedTuple):
    """A loss of one's own."""

    scale: float = 0.5

    def value(self, y, p):
        return self.scale * (p - y) ** 2

    def gradient(self, y, p):
        return 2 * self.scale * (p - y)


class Doubled(Half):
    """One with a link, of more than one level of classes."""

    def inverse_link(self, p):
        return 2 * p

    def link(self, y):
        return y / 2


class Gentle(NamedTuple):
    """A penalty of one's own."""

    alpha: float = 0.1

    def value(self, w):
        return self.alpha * w * w / 2

    def gradient(self, w):
        return self.alpha * w

    def prox(self, w, rate, j=...):
        return w


class Lion(NamedTuple):
    """An optimizer of one's own."""

    moments = 1

    def step(self, g, pull, w, m, v, rate, t):
        return np.sign(0.9 * m + 0.1 * (g + pull)), rate, 0.99 * m + 0.01 * (g + pull), v


def slow(t):
    return 0.01 / np.sqrt(t)


def is_plain(value):
    """Whether there are nothing but plain values, all the way down."""
    if isinstance(value, dict):
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return type(value) in (list, tuple) and all(map(is_plain, value))
    return isinstance(value, PLAIN) and getattr(value, "dtype", np.dtype(float)).kind in "biufU"


def modules_of(data):
    """The modules that a pickle takes something from, beside NumPy."""
    found = set()

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            found.add(module)
            return super().find_class(module, name)

    Reader(io.BytesIO(data)).load()
    return {module for module in found if module.partition(".")[0] not in ("numpy", "_codecs")}


STEPS = {"learning_rate": "constant", "eta0": 1e-3}

# Each part by name, as an instance, and parts within parts.
PARTS = {
    **{f"loss {name}": {"loss": name} for name in losses.LOSSES},
    **{f"loss {kind.__name__}": {"loss": kind()} for kind in losses.LOSSES.values()},
    **{f"penalty {name}": {"penalty": name} for name in penalties.PENALTIES},
    **{f"penalty {kind.__name__}": {"penalty": kind()} for kind in penalties.PENALTIES.values()},
    "penalty Positive": {"penalty": penalties.Positive(penalties.L1(0.1))},
    "penalty Box": {"penalty": penalties.Box([-1.0] * 5, np.full(5, 9.0), penalties.ElasticNet(0.1, 0.5))},
    "positive": {"penalty": "elasticnet", "positive": True},
    **{f"optimizer {name}": {"optimizer": name} | STEPS for name in optimizers.OPTIMIZERS},
    **{f"optimizer {kind.__name__}": {"optimizer": kind()} | STEPS for kind in optimizers.OPTIMIZERS.values()},
    **{
        f"schedule {name}": {"learning_rate": getattr(schedules, name)()}
        for name in schedules.__all__
        if name not in ("optimal", "warm_up")
    },
    "schedule optimal": {"learning_rate": schedules.optimal(0.01, losses.Huber())},
    "schedule in a schedule": {"learning_rate": warm_up(warm_up(cosine(0.01), 20), 10)},
    "passive-aggressive": {"loss": "epsilon_insensitive", "learning_rate": "pa1", "batch_size": 1},
}


def fitted(params, **more):
    """A mini-batch model of such parameters, its data, and whether it can go on with `partial_fit`."""
    X, y = linear(n=40)
    loss = params.get("loss", "squared_error")
    y = in_domain(losses.LOSSES[loss]() if isinstance(loss, str) else loss, y)
    model = MiniBatchSGDRegressor(**{"batch_size": 7, "epochs": 2, "tol": None, "random_state": 0} | params | more)
    return model.fit(X, y), X, y


@pytest.mark.parametrize("params", PARTS.values(), ids=PARTS)
def test_every_part_is_saved_as_plain_values(params):
    model, X, y = fitted(params)
    assert is_plain(model.__getstate__())
    data = pickle.dumps(model)
    assert modules_of(data) == {"sklearn_sgd.regressors"}
    twin = pickle.loads(data)
    assert repr(twin.get_params()) == repr(model.get_params())
    assert {type(value) for value in twin.get_params().values()} == {type(v) for v in model.get_params().values()}
    assert_array_equal(twin.predict(X), model.predict(X))
    if hasattr(model, "partial_fit"):
        assert_array_equal(theta(twin.partial_fit(X, y)), theta(model.partial_fit(X, y)))
    for one in (model, twin):
        one.set_params(warm_start=True).fit(X, y)
    assert_array_equal(theta(twin), theta(model))


OWN = {
    "loss": {"loss": Half()},
    "link": {"loss": Doubled()},
    "penalty": {"penalty": Gentle()},
    "within": {"penalty": penalties.Positive(Gentle())},
    "optimizer": {"optimizer": Lion()} | STEPS,
    "schedule": {"learning_rate": slow},
    "schedule within": {"learning_rate": warm_up(slow)},
}


@pytest.mark.parametrize("params", OWN.values(), ids=OWN)
def test_parts_of_ones_own_are_all_that_is_not_plain(params):
    model, X, y = fitted(params)
    data = pickle.dumps(model)
    assert modules_of(data) == {"sklearn_sgd.regressors", __name__}
    twin = pickle.loads(data)
    assert_array_equal(twin.predict(X), model.predict(X))
    assert_array_equal(theta(twin.partial_fit(X, y)), theta(model.partial_fit(X, y)))


# skops


def by_skops(model, *trusted):
    """A model saved and loaded, of which no type needs to be trusted but its own, and those of one's own parts."""
    skops = pytest.importorskip("skops.io", reason="needs skops")
    data = skops.dumps(model)
    own = f"{type(model).__module__}.{type(model).__name__}"
    needed = skops.get_untrusted_types(data=data)
    assert set(needed) == {*trusted} | ({own} if own.startswith("sklearn_sgd") else set())
    return skops.loads(data, trusted=needed)


SAMPLE = ["loss poisson", "loss Tweedie", "penalty Box", "optimizer Adam", "optimizer saga", "schedule in a schedule"]


@pytest.mark.parametrize("name", SAMPLE)
def test_skops_trusts_the_class_alone(name):
    model, X, y = fitted(PARTS[name])
    twin = by_skops(model)
    assert repr(twin.get_params()) == repr(model.get_params())
    assert_array_equal(twin.predict(X), model.predict(X))
    for one in (model, twin):
        one.set_params(warm_start=True).fit(X, y)
    assert_array_equal(theta(twin), theta(model))


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize(
    "form",
    [np.asarray, csr, np.float32, "targets", "names", "stream"],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_skops_gives_the_same_bits(kind, form):
    X, y = linear(n=60)
    Z = X
    if form == "names":
        Z = pytest.importorskip("pandas").DataFrame(X, columns=list("abcde"))
    elif form == "targets":
        y = np.column_stack([y, -(y**2), y])
    elif callable(form):
        Z = form(X)
    model = kind(epochs=3, random_state=0)
    model = model.partial_fit(Z[:30], y[:30], some_weights(30)) if form == "stream" else model.fit(Z, y)
    twin = by_skops(model)
    assert_array_equal(twin.predict(Z), model.predict(Z))
    assert vars(twin).keys() == vars(model).keys()
    for one in (model, twin):
        one.partial_fit(Z, y).partial_fit(Z, y)
    assert_array_equal(twin.coef_, model.coef_)
    assert_array_equal(twin.intercept_, model.intercept_)
    assert twin.loss_curve_ == model.loss_curve_


def test_skops_of_sparse_coefficients_unfitted_models_and_pipelines():
    X, y = linear(n=60)
    model = OnlineSGDRegressor(penalty="l1", alpha=2.0, epochs=3).fit(X, y)
    twin = by_skops(model.sparsify())
    assert twin.coef_.format == "csr"
    assert_array_equal(twin.coef_.toarray(), model.coef_.toarray())
    assert repr(by_skops(OnlineSGDRegressor(alpha=2.0))) == "OnlineSGDRegressor(alpha=2.0)"
    own = "sklearn_sgd.regressors.OnlineSGDRegressor"
    pipeline = make_pipeline(StandardScaler(), OnlineSGDRegressor(epochs=2)).fit(X, y)
    assert_array_equal(by_skops(pipeline, own).predict(X), pipeline.predict(X))


def test_skops_of_a_schedule_in_a_grid():
    """Outside of a regressor a schedule is an object of a public class, whose state is plain."""
    grid = {"learning_rate": [one_cycle(0.1), warm_up(constant(0.2))]}
    own = {"sklearn_sgd.regressors.OnlineSGDRegressor", "sklearn_sgd.schedules.Formula"}
    twin = by_skops(GridSearchCV(OnlineSGDRegressor(), grid), *own)
    assert twin.param_grid == grid
    assert is_plain(one_cycle(0.1).__getstate__())


# Versions, and what was changed on the way


def test_earlier_versions_are_refused_with_a_remedy():
    """They kept objects of private classes, without a schema."""
    model, *_ = fitted({})
    early = object.__new__(MiniBatchSGDRegressor)
    with pytest.raises(ValueError, match=r"saved by an earlier version of sklearn_sgd.*fit it again"):
        early.__setstate__(dict(vars(model)))
    with pytest.raises(ValueError, match="earlier version"):
        early.__setstate__({**OnlineSGDRegressor().get_params(), "n_features_in_": 3})
    # Parameters alone are what they were.
    early.__setstate__(OnlineSGDRegressor(alpha=3.0).get_params())
    assert early.alpha == 3.0


def changed(state, change):
    """The state with a change in the fitted model, or the state of its first target."""
    state = copy.deepcopy(state)
    change(state, state["_fitted"], state["_fitted"]["states"][0])
    return state


CHANGES = {
    "later": (lambda all, model, state: all.update(_schema=99, _version="9.9"), r"version 9\.9.*schema 99"),
    "new field": (lambda all, model, state: state.update(extra=1.0), "other fields: extra"),
    "lost field": (lambda all, model, state: state.pop("window"), "other fields: window"),
    "lost model": (lambda all, model, state: model.pop("link"), "link"),
    "strange part": (
        lambda all, model, state: all.update(loss={"part of sklearn_sgd": "os.system", "fields": {}}),
        "os",
    ),
    "strange schedule": (
        lambda all, model, state: all.update(learning_rate={"schedule of sklearn_sgd": "exec", "numbers": []}),
        "no schedule 'exec'",
    ),
    "short coefficients": (lambda all, model, state: state["vectors"].update(coef=np.zeros(3)), "coef of 5 features"),
    "other precision": (
        lambda all, model, state: state["vectors"].update(average=np.zeros(6, np.float32)),
        "average of 5 features cannot be float32",
    ),
    "short window": (lambda all, model, state: state.update(window=np.zeros(1)), "window"),
    "small covariances": (
        lambda all, model, state: state["statistics"].update(moment=np.zeros((2, 2))),
        r"covariances of 5 features cannot be float64 of shape \(2, 2\)",
    ),
    "large covariances": (
        lambda all, model, state: state["statistics"].update(mean=np.zeros(9), moment=np.zeros((9, 9))),
        r"covariances of 5 features cannot be float64 of shape \(9, 9\)",
    ),
    "other variances": (
        lambda all, model, state: state["step"].update(most_variance=np.ones(5, np.int64)),
        "variances of 5 features cannot be int64",
    ),
    "small inverse": (
        lambda all, model, state: state["step"]["preconditioner"].update(inverse=np.zeros((9, 9))),
        "preconditioner of 5 features",
    ),
    "more features": (lambda all, model, state: all.update(n_features_in_=6), "of 6 features"),
    "objects": (lambda all, model, state: state.update(centre=np.array([None] * 5)), "place of an array"),
    "text": (lambda all, model, state: state.update(n_updates="many"), "place of a number"),
    "another generator": (lambda all, model, state: state["generator"].update(bit_generator="MT19937"), "PCG64"),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_what_does_not_fit_is_refused(change, message):
    """Compiled loops believe the lengths of arrays, so a file must not say something else than they have."""
    model, *_ = fitted({})
    state = changed(model.__getstate__(), change)
    with pytest.raises(ValueError, match=message) as caught:
        object.__new__(MiniBatchSGDRegressor).__setstate__(state)
    assert "fit it again" in str(caught.value)


def test_targets_share_what_they_shared():
    X, y = linear(n=50, p=30)
    sizes = []
    for targets in (2, 8):
        model = MiniBatchSGDRegressor(epochs=1, random_state=0).fit(X, np.column_stack([y] * targets))
        sizes.append(len(pickle.dumps(model)))
        states = pickle.loads(pickle.dumps(model))._fitted.states
        assert len({id(state.statistics) for state in states}) == len({id(state.generator) for state in states}) == 1
    # Six targets more are some vectors each, not the covariances.
    assert sizes[1] - sizes[0] < 6 * 3000


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_copies_go_on_by_themselves(make):
    X, y = linear()
    model = OnlineSGDRegressor().partial_fit(X, y)
    twin = make(model)
    twin.partial_fit(X[:10], y[:10])
    model.partial_fit(X[10:30], y[10:30])
    once = OnlineSGDRegressor().partial_fit(X, y).partial_fit(X[10:30], y[10:30])
    assert_array_equal(theta(model), theta(once))
    assert model.loss_curve_ == once.loss_curve_ != twin.loss_curve_


def test_a_subclass_keeps_what_it_has():
    class Mine(OnlineSGDRegressor):
        pass

    Mine.__qualname__, Mine.__module__ = "Mine", __name__
    globals()["Mine"] = Mine
    X, y = linear()
    model = Mine(**FIXED).fit(X, y)
    model.note_, model.parts = {"a": [1, 2]}, (losses.Huber(2.0), "text")
    twin = pickle.loads(pickle.dumps(model))
    assert (twin.note_, twin.parts) == (model.note_, model.parts)
    assert_array_equal(twin.predict(X), model.predict(X))
