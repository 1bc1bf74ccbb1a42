"""The saved form of a regressor: numbers, strings, lists, dictionaries, NumPy arrays, and objects of the user.

pickle, joblib, cloudpickle and skops get it from ``__getstate__``, and a checkpoint of a stream writes it as JSON and
arrays. It contains no class of this package. So a reader has to trust the regressor's class only, and private modules
can be moved. Everything that is read is checked, because compiled loops do not check lengths and dtypes of arrays.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
from scipy import sparse

from sklearn_sgd import losses, optimizers, penalties
from sklearn_sgd._base.fitted import FittedModel
from sklearn_sgd._engine.automatic.credibility import PARAMETERS, STATISTICS
from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.automatic.window import LONG, SHORT
from sklearn_sgd._engine.scores.stream_scores import Scores
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.by_column import StatesByColumn
from sklearn_sgd._engine.streams.table import Table
from sklearn_sgd._engine.streams.watch import Watch
from sklearn_sgd._version import __version__
from sklearn_sgd.schedules import Formula, formula_of

# Raise this when the meaning of what is saved changes. Names that come or go are noticed without it.
SCHEMA = 11

# Keys for the schema and the version. They and the key of the model are the only private ones.
SCHEMA_KEY, VERSION_KEY = "_schema", "_version"
KEYS = SCHEMA_KEY, VERSION_KEY, "_fitted"

# The keys for a part or a schedule of this package.
PART, SCHEDULE = "part of sklearn_sgd", "schedule of sklearn_sgd"

CLASSES: dict[str, type] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module in (losses, penalties, optimizers)
    for name in module.__all__
    if isinstance(getattr(module, name), type)
}
NAMES = {kind: name for name, kind in CLASSES.items()}


class NotReadable(ValueError):
    """The saved form cannot be read by this version. The message gives the reason."""


def saved(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the saved form of the parameters and the fitted attributes of a regressor."""
    state = {name: saved_part(value) for name, value in attributes.items() if name != "_fitted"}
    if "_fitted" in attributes:
        state["_fitted"] = _saved_model(attributes["_fitted"])
    return state | {SCHEMA_KEY: SCHEMA, VERSION_KEY: __version__}


def restored(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return parameters and fitted attributes from their saved form; an error if it is of another version."""
    attributes = {key: value for key, value in state.items() if key not in KEYS}
    schema, version = (state.get(key) for key in (SCHEMA_KEY, VERSION_KEY))
    # The saved form of an estimator that is not fitted has never changed.
    if schema != SCHEMA and (schema is not None or any(key.endswith("_") for key in attributes) or "_fitted" in state):
        theirs = "an earlier version" if schema is None else f"version {version}"
        raise NotReadable(
            f"This {name} was saved by {theirs} of sklearn_sgd, in a form (schema {schema}) that version {__version__} "
            f"(schema {SCHEMA}) does not read: load it with the version that saved it, or fit it again."
        )
    try:
        attributes = {key: restored_part(value) for key, value in attributes.items()}
        if "_fitted" in state:
            attributes["_fitted"] = _restored_model(state["_fitted"], attributes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotReadable(
            f"This {name}, saved by version {version} of sklearn_sgd, cannot be read by version {__version__}: "
            f"{error}. Load it with the version that saved it, or fit it again."
        ) from error
    return attributes


# Parts and schedules


def saved_part(value: Any) -> Any:
    """Return a part or a schedule of this package as its name and its fields; any other value as it is."""
    if type(value) in NAMES:
        return {PART: NAMES[type(value)], "fields": {name: saved_part(getattr(value, name)) for name in value._fields}}
    if type(value) is Formula:
        return {SCHEDULE: value.name, "numbers": [saved_part(number) for number in value.numbers]}
    return value


def restored_part(value: Any) -> Any:
    """Return a part or a schedule from its saved form; any other value as it is."""
    if type(value) is not dict:
        return value
    if PART in value:
        return CLASSES[value[PART]](**{name: restored_part(field) for name, field in value["fields"].items()})
    if SCHEDULE in value:
        return formula_of(value[SCHEDULE], [restored_part(number) for number in value["numbers"]])
    return value


# The fitted model


def _saved_model(model: FittedModel | None) -> dict[str, Any] | None:
    if model is None:
        return None
    known: dict[int, Any] = {}
    form = model.__getstate__() | {"link": saved_part(model.link), "shape": list(model.shape)}
    # States by column are saved unchanged, so that a stream continues with the same bits.
    form["states"] = _plain(model.states if model.by_column is None else (), known)
    form["by_column"] = _plain(model.by_column, known)
    form["scores"], form["unseen"] = _plain(model.scores, known), _plain(model.unseen, known)
    form["watch"] = model.watch and _plain(model.watch.saved(), known)
    form["is_sparse"] = sparse.issparse(form.get("coef"))
    return form | {"coef": form["coef"].toarray()} if form["is_sparse"] else form


def _restored_model(form: dict[str, Any] | None, attributes: Mapping[str, Any]) -> FittedModel | None:
    if form is None:
        return None
    known: dict[int, Any] = {}
    states = _rebuilt(tuple[State, ...], form["states"], known)
    for state in states:
        _check(state, attributes["n_features_in_"], len(states))
    by_column = _rebuilt(StatesByColumn | None, form["by_column"], known)
    if by_column is not None:
        _check_columns(by_column, attributes["n_features_in_"])
    made = {name: value for name, value in form.items() if name not in ("is_sparse", "states", "by_column")}
    made |= {"link": restored_part(form["link"]), "shape": tuple(form["shape"])}
    for name in ("scores", "unseen"):
        made[name] = _rebuilt(tuple[Scores, ...], form.get(name, []), known)
    made["watch"] = _rebuilt(Watch | None, form.get("watch"), known)
    if form["is_sparse"]:
        made["coef"] = sparse.csr_matrix(made["coef"])
    return FittedModel(states if by_column is None else by_column).replace(**made)


def _plain(value: Any, known: dict[int, Any]) -> Any:
    """Return a value of the engine without its classes. Objects that targets share are shared in the result."""
    if id(value) in known:
        return known[id(value)]
    made = value
    if isinstance(value, np.random.Generator):
        made = value.bit_generator.state
    elif is_dataclass(value):
        made = {field.name: _plain(getattr(value, field.name), known) for field in fields(value)}
        if isinstance(value, State):
            made["losses"] = np.array(value.loss_curve)  # The list may have one more loss, of a chunk that was undone.
    elif isinstance(value, Table):
        made = value.numbers()
    elif hasattr(value, "_asdict"):
        made = {name: _plain(item, known) for name, item in value._asdict().items()}
    elif isinstance(value, list):
        made = np.array(value, dtype=np.float64)
    elif isinstance(value, tuple):
        made = [_plain(item, known) for item in value]
    known[id(value)] = made
    return made


def _rebuilt(kind: Any, value: Any, known: dict[int, Any]) -> Any:
    """Return the value of the engine of that type, built by the annotations of its fields."""
    if get_origin(kind) in (Union, UnionType):
        if value is None:
            return None
        (kind,) = (option for option in get_args(kind) if option is not NoneType)
    if id(value) in known:
        return known[id(value)]
    if kind is np.random.Generator:
        made: Any = np.random.default_rng()
        made.bit_generator.state = value
    elif kind is np.ndarray:
        made = _array(value)
    elif kind is Table:
        made = Table(_array(value).copy())  # A copy, because streams change the table.
    elif get_origin(kind) is tuple:
        made = tuple(_rebuilt(get_args(kind)[0], item, known) for item in value)
    elif get_origin(kind) is list:
        made = _array(value).tolist()
    elif is_dataclass(kind) or hasattr(kind, "_fields"):
        hints = _hints_of(kind)
        if value.keys() != hints.keys():
            raise ValueError(f"it has other fields: {', '.join(sorted(value.keys() ^ hints.keys()))}")
        made = kind(**{name: _rebuilt(hint, value[name], known) for name, hint in hints.items()})
    elif isinstance(value, int | float | np.generic):
        made = value
    else:
        raise ValueError(f"{value!r} is in the place of a number")
    if not isinstance(value, int | float):
        known[id(value)] = made
    return made


@cache
def _hints_of(kind: Any) -> dict[str, Any]:
    """Return the types of the fields of a class, which are read once: a model may be restored for each row."""
    return get_type_hints(kind)


def _array(value: Any) -> np.ndarray:
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
        raise ValueError(f"{type(value).__name__} is in the place of an array of numbers")
    # Matrices keep their memory order, which affects the rounding of products.
    return np.ascontiguousarray(value) if value.ndim == 1 else value


def _check(state: State, n_features: int, n_targets: int) -> None:
    """Raise an error unless the arrays that compiled loops read have the shapes and dtypes of a new state."""
    vectors = state.vectors
    if vectors.coef.dtype not in (np.float32, np.float64) or vectors.coef.shape != (n_features + 1,):
        raise ValueError(f"coef of {n_features} features cannot be {_described(vectors.coef)}")
    new = State.start(n_features, vectors.coef.dtype, state.generator)
    pairs = {
        "centre": (state.centre, new.centre),
        "window": (state.window, np.zeros(LONG if len(state.window) > SHORT else SHORT)),
    }
    for name, vector in vectors._asdict().items():
        like = getattr(new.vectors, name)
        pairs[name] = vector, new.vectors.coef if like is None else like
    for name, (array, like) in pairs.items():
        if array is not None and not (array.dtype == like.dtype and array.shape == like.shape):
            raise ValueError(f"{name} of {n_features} features cannot be {_described(array)}")
    if state.step is not None:
        inverse, shape = state.step.preconditioner.inverse, new.centre.shape
        is_plain = inverse.dtype == vectors.coef.dtype and inverse.flags.c_contiguous
        if not is_plain or inverse.shape not in (shape, 2 * shape):
            raise ValueError(f"preconditioner of {n_features} features cannot be {_described(inverse)}")
        _check_filled(state.step.preconditioner, n_features)
        most = state.step.most_variance
        if most.dtype != np.float64 or most.shape != shape:
            raise ValueError(f"variances of {n_features} features cannot be {_described(most)}")
    if state.statistics is not None:
        # The targets may follow the columns.
        mean, moment = state.statistics.mean, state.statistics.moment
        counts = state.statistics.counts
        is_whole = mean.shape in ((n_features,), (n_features + n_targets,))
        is_whole &= moment.shape in (mean.shape, 2 * mean.shape)
        is_whole &= counts is None or counts.shape == mean.shape
        if not is_whole or {mean.dtype, moment.dtype} != {new.centre.dtype}:
            raise ValueError(f"covariances of {n_features} features cannot be {_described(moment)}")


def _check_columns(by_column: StatesByColumn, n_features: int) -> None:
    """Check states by column in the same way."""
    for state in by_column.states:
        _check(state, 0, 0)
    rows, width = by_column.columns.numbers(), STATISTICS + PARAMETERS * len(by_column.states)
    if rows.shape != (n_features, width) or rows.dtype != np.float64 or not rows.flags.c_contiguous:
        raise ValueError(f"columns of {n_features} features cannot be {_described(rows)}")
    numbers = len(by_column.states), len(by_column.clocks)
    if by_column.n_columns != n_features or len(set(numbers)) != 1 or not numbers[0]:
        raise ValueError(f"{n_features} features cannot be {by_column.n_columns}, of {numbers} targets")
    inverse = np.ones(n_features, by_column.states[0].vectors.coef.dtype)
    _check_filled(Preconditioner(inverse, by_column.filled, by_column.shared), n_features)


def _check_filled(preconditioner: Preconditioner, n_features: int) -> None:
    """Check the filled columns in the same way: compiled loops use their numbers as indices."""
    filled, shared = preconditioner.filled, preconditioner.shared
    if filled is None or shared is None:
        if filled is not shared:
            raise ValueError("preconditioner of filled columns cannot be without their numbers, nor these without it")
        return
    numbers = filled.dtype.kind == "i" and filled.ndim == 1 and np.isin(filled, np.arange(n_features)).all()
    is_plain = shared.dtype == preconditioner.inverse.dtype and shared.flags.c_contiguous
    is_plain &= preconditioner.inverse.ndim == 1 and shared.shape in (filled.shape, 2 * filled.shape)
    if not (numbers and is_plain):
        raise ValueError(f"preconditioner of {len(filled)} filled columns cannot be {_described(shared)}")


def _described(array: np.ndarray) -> str:
    return f"{array.dtype} of shape {array.shape}"


class SavedForm:
    """A regressor whose pickled state is its saved form."""

    def __getstate__(self) -> dict[str, Any]:
        return saved(super().__getstate__())  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(restored(state, type(self).__name__))  # type: ignore[misc]
