"""Checkpoints hold plain values: none of a file can run, and what does not fit is not loaded."""

import io
import json
import os
import pickle
import re
import zipfile
from typing import NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from problems import REGRESSORS, linear, theta
from sklearn.linear_model import SGDRegressor
from sklearn.neural_network import MLPRegressor

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor, losses, optimizers, penalties, schedules
from sklearn_sgd.streaming import ArraySource, fit_stream, load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:BatchGDRegressor with batch_size=None:UserWarning")


class Shifted(NamedTuple):
    """A loss of one's own, with a link."""

    by: float = 1.0

    def value(self, y, p):
        return 0.5 * (p - y) ** 2

    def gradient(self, y, p):
        return p - y

    def inverse_link(self, p):
        return p + self.by

    def link(self, y):
        return y - self.by


class Ridge(NamedTuple):
    """A penalty of one's own."""

    def value(self, w):
        return 0.05 * w * w

    def gradient(self, w):
        return 0.1 * w

    def prox(self, w, rate, j=...):
        return w


def rate(t):
    return 0.01 / np.sqrt(t)


@pytest.fixture
def chunks():
    X, y = linear(n=100)
    return [(X[i : i + 20], y[i : i + 20]) for i in range(0, 100, 20)]


def half_and_half(make, chunks, path):
    """A model that stopped in the middle and was resumed by another, and one that did not stop."""
    fit_stream(make(), chunks, max_rows=40, checkpoint=path)
    return fit_stream(make(), chunks, checkpoint=path), fit_stream(make(), chunks)


PARAMS = {
    "defaults": {},
    "float32": {"dtype": np.float32},
    "targets": {"targets": 3},
    "poisson": {"loss": "poisson", "positive": True},
    "adam": {"learning_rate": "constant", "optimizer": optimizers.Adam(0.8)},
    "momentum": {"learning_rate": schedules.warm_up(schedules.cosine(0.01), 30), "optimizer": "nesterov"},
    "box": {"penalty": penalties.Box([0.0] * 5, np.inf, penalties.L1(0.1))},
    "loss of one's own": {"loss": Shifted(2.0)},
    "rate of one's own": {"learning_rate": rate},
    "parts in parts": {"penalty": penalties.Positive(Ridge()), "learning_rate": schedules.warm_up(rate, 10)},
    "drift": {"half_life": 50.0, "average": 3, "random_state": np.random.RandomState(3)},
}


@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize("params", PARAMS.values(), ids=PARAMS)
def test_resumed_with_the_same_bits(kind, params, chunks, tmp_path):
    params = dict(params)
    dtype, targets = params.pop("dtype", float), params.pop("targets", None)
    if params.get("loss") == "poisson":
        chunks = [(X, np.abs(np.round(y))) for X, y in chunks]
    chunks = [(X.astype(dtype), y if targets is None else np.column_stack([y] * targets)) for X, y in chunks]
    ours, theirs = half_and_half(lambda: kind(**params), chunks, tmp_path / "c")
    assert_array_equal(theta(ours), theta(theirs))
    assert_array_equal(ours.predict(chunks[0][0]), theirs.predict(chunks[0][0]))
    assert vars(ours).keys() == vars(theirs).keys()
    for name in ("loss_curve_", "prequential_loss_", "recent_loss_", "n_iter_", "n_updates_", "n_samples_seen_"):
        assert getattr(ours, name) == getattr(theirs, name)


@pytest.mark.parametrize(
    "params", [{}, {"half_life": 300.0}, {"inference": True}, {"penalty": "l1", "alpha": 0.01}], ids=str
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_is_not_saved_changes_no_bit(params, dtype):
    """A chunk like the last one takes a faster way, which is not saved."""
    X, y = linear(n=600, p=5, noise=0.3)
    X[:300, 2], y = 0.0, np.column_stack((y, -y, y[::-1]))
    ours, theirs = (OnlineSGDRegressor(random_state=0, **params) for _ in range(2))
    for i in range(0, 600, 100):
        chunk = X[i : i + 100].astype(dtype), y[i : i + 100].astype(dtype)
        ours = pickle.loads(pickle.dumps(ours.partial_fit(*chunk)))
        assert_array_equal(theta(ours), theta(theirs.partial_fit(*chunk)))


def entries(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_another_seed_is_refused(chunks, tmp_path):
    """The order of the samples goes on, so that a run that resumes is like one without a break."""
    path = tmp_path / "c"
    fit_stream(MiniBatchSGDRegressor(), chunks, checkpoint=path, random_state=0, max_rows=40)
    with pytest.raises(ValueError, match="another random_state than 1"):
        fit_stream(MiniBatchSGDRegressor(), chunks, checkpoint=path, random_state=1)
    whole = fit_stream(MiniBatchSGDRegressor(), chunks, random_state=0)
    for number, seed in enumerate((0, None, np.random.RandomState(5))):
        other = tmp_path / f"{number}"
        other.write_bytes(path.read_bytes())
        model = fit_stream(MiniBatchSGDRegressor(), chunks, checkpoint=other, random_state=seed)
        assert_array_equal(model.coef_, whole.coef_)


def test_a_file_is_json_and_arrays(chunks, tmp_path):
    fit_stream(MiniBatchSGDRegressor("huber"), chunks, checkpoint=tmp_path / "c", random_state=0)
    with np.load(tmp_path / "c", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files if name != "checkpoint.json"}
        content = json.loads(file["checkpoint.json"])
    assert all(array.dtype.kind in "fiu" for array in arrays.values())
    assert content["class"] == "sklearn_sgd.regressors.MiniBatchSGDRegressor"
    assert (content["epoch"], content["chunk"], content["n_rows"]) == (0, 5, 100)
    whole = (tmp_path / "c").read_bytes()
    # The marks of a pickle: its first and its last byte around an instruction that takes something from a module.
    assert not any(part.startswith(b"\x80") for part in entries(tmp_path / "c").values())
    assert b"sklearn_sgd._" not in whole


def test_parts_of_ones_own_are_not_in_the_file(chunks, tmp_path):
    path = tmp_path / "c"
    model = fit_stream(OnlineSGDRegressor(Shifted(5.0)), chunks, checkpoint=path)
    with pytest.raises(ValueError, match=r"does not hold the parameter loss, a Shifted: give an estimator"):
        load_checkpoint(path)
    with pytest.raises(ValueError, match=r"was learned with loss=Shifted\(...\): give an estimator with it"):
        load_checkpoint(path, OnlineSGDRegressor())
    twin = OnlineSGDRegressor(Shifted(5.0), alpha=7.0)
    assert load_checkpoint(path, estimator=twin).estimator is twin
    assert_array_equal(twin.predict(chunks[0][0]), model.predict(chunks[0][0]))
    assert twin.alpha == 7.0


def test_parts_of_the_package_are_in_the_file(chunks, tmp_path):
    path = tmp_path / "c"
    params = {
        "loss": losses.Tweedie(1.3),
        "penalty": penalties.Positive(penalties.L2(0.5)),
        "learning_rate": schedules.one_cycle(0.01, 100),
        "optimizer": optimizers.Momentum(0.5),
    }
    chunks = [(X, np.abs(y)) for X, y in chunks]
    model = fit_stream(OnlineSGDRegressor(**params), chunks, checkpoint=path)
    twin = load_checkpoint(path).estimator
    assert twin.get_params() == model.get_params()
    assert [type(twin.get_params()[name]) for name in params] == [type(value) for value in params.values()]
    assert_array_equal(twin.predict(chunks[0][0]), model.predict(chunks[0][0]))
    assert_array_equal(theta(twin.partial_fit(*chunks[0])), theta(model.partial_fit(*chunks[0])))


@pytest.mark.parametrize("params", [{}, {"average": 3, "learning_rate": "adaptive"}], ids=str)
def test_estimators_of_others(params, chunks, tmp_path):
    path = tmp_path / "c"

    def make():
        return SGDRegressor(random_state=0, **params)

    ours, theirs = half_and_half(make, chunks, path)
    assert_array_equal(theta(ours), theta(theirs))
    assert ours.t_ == theirs.t_
    with pytest.raises(ValueError, match=r"of the class sklearn.*SGDRegressor: give an estimator"):
        load_checkpoint(path)
    assert_array_equal(theta(load_checkpoint(path, make()).estimator), theta(theirs))
    with pytest.raises(ValueError, match="is of a SGDRegressor, not of a OnlineSGDRegressor"):
        load_checkpoint(path, OnlineSGDRegressor())


def test_estimators_of_others_that_keep_objects(chunks, tmp_path):
    with pytest.raises(
        TypeError, match=r"A MLPRegressor cannot be saved.*_optimizer'\] is of type \w+.*checkpoint=None"
    ):
        fit_stream(MLPRegressor(hidden_layer_sizes=3), chunks, checkpoint=tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_a_failed_resumption_leaves_the_estimator(chunks, tmp_path):
    fit_stream(OnlineSGDRegressor(), chunks, checkpoint=tmp_path / "c")
    model = OnlineSGDRegressor().partial_fit(np.eye(5), np.arange(5.0))
    before = dict(vars(model))
    with pytest.raises(ValueError, match="belongs to another source"):
        fit_stream(model, ArraySource(np.eye(5), np.ones(5)), checkpoint=tmp_path / "c")
    assert vars(model) == before


# Files that others made


class Bomb:
    """Runs when it is loaded as a pickle."""

    def __reduce__(self):
        return os.system, ("exit 1",)


def rewritten(path, change):
    """The archive with other contents."""
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment
    content = change(entries(path))
    with zipfile.ZipFile(path, "w", content.pop("compression", zipfile.ZIP_STORED)) as archive:
        archive.comment = comment
        for name, data in content.items():
            archive.writestr(name, data)


def array_file(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def with_json(change):
    """A change of the tree of values."""

    def rewrite(files):
        tree = json.loads(files["checkpoint.json"])
        change(tree)
        return files | {"checkpoint.json": json.dumps(tree)}

    return rewrite


def largest(files):
    """The name of the longest array: the covariances."""
    return max((name for name in files if name.endswith(".npy")), key=lambda name: len(files[name]))


HOSTILE = {
    "pickled array": lambda files: files | {largest(files): array_file(np.array([Bomb()]), allow_pickle=True)},
    "pickle": lambda files: files | {"checkpoint.json": pickle.dumps(Bomb())},
    "short array": lambda files: files | {largest(files): array_file(np.zeros(3))},
    "array of another size": lambda files: files | {largest(files): files[largest(files)][:-8]},
    "array of another precision": lambda files: files | {largest(files): array_file(np.zeros((5, 5), np.float16))},
    "lost array": lambda files: {name: data for name, data in files.items() if name != largest(files)},
    "compressed": lambda files: files | {"compression": zipfile.ZIP_DEFLATED},
    "no tree": lambda files: {name: data for name, data in files.items() if name != "checkpoint.json"},
    "other class": with_json(lambda tree: tree.update({"class": "os.system"})),
    "no class": with_json(lambda tree: tree.pop("class")),
    "strange type": with_json(lambda tree: tree["state"].update(strange={"object": "os.system"})),
    "strange part": with_json(
        lambda tree: tree["state"]["dict"].append(["loss", {"dict": [["part of sklearn_sgd", "os"], ["fields", []]]}])
    ),
    "negative": with_json(lambda tree: tree.update(chunk=-1)),
    "text": with_json(lambda tree: tree.update(seed="1")),
    "deep": lambda files: files | {"checkpoint.json": "[" * 100_000 + "]" * 100_000},
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_do_nothing(change, chunks, tmp_path):
    path = tmp_path / "c"
    fit_stream(OnlineSGDRegressor(), chunks, checkpoint=path)
    rewritten(path, change)
    for load in (load_checkpoint, lambda path: fit_stream(OnlineSGDRegressor(), chunks, epochs=2, checkpoint=path)):
        with pytest.raises(ValueError, match=r"c: This OnlineSGDRegressor|c is (damaged|of)"):
            load(path)


def test_a_header_may_not_ask_for_more_than_there_is(chunks, tmp_path):
    path = tmp_path / "c"
    fit_stream(OnlineSGDRegressor(), chunks, checkpoint=path)

    def lie(files):
        name = largest(files)
        lied, n = re.subn(rb"\((\d), (\d)\), } {10}", rb"(\g<1>0000000000, \2), }", files[name])
        assert n == 1
        return files | {name: lied}

    rewritten(path, lie)
    with pytest.raises(ValueError, match="damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize("number", [1, 2, 9])
def test_other_forms_are_named(number, chunks, tmp_path):
    path = tmp_path / "c"
    if number == 1:
        path.write_bytes(b"sklearn_sgd checkpoint 1 of version 0.1.0\n" + pickle.dumps(Bomb()))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.comment = b"sklearn_sgd checkpoint %d, version 0.1.0" % number
            archive.writestr("checkpoint.pickle", pickle.dumps(Bomb()))
    for load in (load_checkpoint, lambda path: fit_stream(OnlineSGDRegressor(), chunks, checkpoint=path)):
        with pytest.raises(
            ValueError, match=rf"c is of another version: its form is number {number}, and .* Delete it"
        ):
            load(path)
