"""Checks of the arguments of `fit_stream`: invalid ones raise an error, ones without effect give a warning."""

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sklearn_sgd._base.estimator import BaseGDRegressor
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd.streaming.sources import IterableSource, Source

# The defaults of `fit_stream`, if neither is given.
DEFAULTS = {"epochs": 1, "time_budget": None}


def check_estimator(estimator: Any) -> None:
    """Raise an error unless an estimator can learn from chunks."""
    if isinstance(estimator, type):
        raise TypeError(f"estimator must be an instance, not a class: give {estimator.__name__}().")
    if isinstance(estimator, Pipeline):
        raise TypeError(
            "estimator must have partial_fit, but a Pipeline has none. Fit its transformers to some rows, and pass "
            "them as transformer=: fit_stream(pipeline[-1], source, transformer=pipeline[:-1])."
        )
    if not hasattr(type(estimator), "partial_fit") and not hasattr(estimator, "partial_fit"):
        raise TypeError(f"estimator must have partial_fit; {type(estimator).__name__} has none.")
    try:
        _ = estimator.partial_fit
    except AttributeError as error:
        # The parameters do not allow it; the cause of scikit-learn's error names them.
        raise AttributeError(f"{error.__cause__ or error}") from error


def check_transformer(transformer: Any) -> None:
    """Raise an error unless a transformer has transform."""
    if transformer is None or (hasattr(transformer, "transform") and not isinstance(transformer, type)):
        return
    what = "a class" if isinstance(transformer, type) else type(transformer).__name__
    hint = " Of a pipeline that ends in a regressor take pipeline[:-1]." if isinstance(transformer, Pipeline) else ""
    raise TypeError(f"transformer must be a fitted object with the method transform; got {what}.{hint}")


def check_progress(progress: Any) -> None:
    """Raise an error unless progress is shown, or not, or passed to a function."""
    if not (isinstance(progress, bool) or callable(progress)):
        raise TypeError(f"progress must be True, False or a function of one argument; got {progress!r}.")


def check_limits(source: Source, epochs: int, **limits: Any) -> None:
    """Raise an error for limits that are out of range; None means no limit."""
    for name, value in {"epochs": epochs, **limits}.items():
        if value is None or name == "time_budget":
            continue
        least = 0 if name == "read_ahead" else 1
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be {least} or more, an int; got {value!r}.")
    if limits["time_budget"] is not None and not limits["time_budget"] > 0:
        raise ValueError(f"time_budget must be a positive number of seconds; got {limits['time_budget']!r}.")
    if is_once(source) and epochs > 1:
        raise ValueError("An iterator can be read only once: for more epochs, give a function that makes one.")


def is_once(source: Source) -> bool:
    """Return whether a source is an iterator, which gives each chunk once."""
    return isinstance(source, IterableSource) and source.once


def refuse_begun(source: Source) -> None:
    """Raise an error if a checkpoint is to go on with a generator that has given some of its chunks."""
    chunks: Any = getattr(source, "iterable", None)
    if inspect.isgenerator(chunks) and inspect.getgeneratorstate(chunks) != inspect.GEN_CREATED:
        raise ValueError(
            "A checkpoint counts chunks from the first one of the source, but this generator has given some already: "
            "give a function that makes a new one."
        )


def warn_of_lost_rows(number: int, cut: int) -> None:
    """Warn if a chunk of an iterator was cut after some rows, and not used up."""
    if cut:
        _warn(
            f"max_rows has cut chunk {number} after {cut} of its rows. The iterator has given the whole chunk, so a "
            "later call will not see the others. Give a function that makes the iterator, with checkpoint=..., or "
            "max_rows at the end of a chunk."
        )


def warn_of_ignored(estimator: Any, **given: Any) -> None:
    """Warn of parameters of the regressor that are for `fit` only, if `fit_stream` got no argument of that name."""
    if not isinstance(estimator, BaseGDRegressor):
        return
    kind = type(estimator).__name__
    defaults = inspect.signature(type(estimator).__init__).parameters
    for name, value in given.items():
        theirs = getattr(estimator, name, None)
        if value is None and name in defaults and theirs not in (defaults[name].default, DEFAULTS[name]):
            instead = "one pass" if name == "epochs" else "no limit"
            _warn(
                f"{kind}({name}={theirs!r}) is for fit, and has no effect on fit_stream, which has a parameter of that "
                f"name; its default is {instead}. Give fit_stream(..., {name}={theirs!r})."
            )
    if estimator.batch_size is None:
        _warn(
            f"{kind} with batch_size=None takes one step on each chunk of the source, along the gradient of that "
            "chunk, not of all rows. For steps on batches use MiniBatchSGDRegressor(batch_size=...); the gradient of "
            "all rows needs fit."
        )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=user_stacklevel())


# Names of features


def names_of(source: Source, transformer: Any) -> list[str] | None:
    """Return the names of the columns that the estimator gets, if the source knows them."""
    names = source.feature_names
    return None if names is None or transformer is not None else [*names]


def check_names(estimator: Any, names: list[str] | None) -> None:
    """Raise an error if the estimator has learned from columns with other names, or in another order."""
    known = getattr(estimator, "feature_names_in_", None)
    if names is None or known is None or list(known) == names:
        return
    parts = {"new": set(names) - set(known), "missing": set(known) - set(names)}
    what = "; ".join(f"{how}: {', '.join(sorted(map(str, which))[:5])}" for how, which in parts.items() if which)
    raise ValueError(
        f"The columns of the source are not those that {type(estimator).__name__} learned from "
        f"({what or 'they have another order'}): select them by features=."
    )


@contextmanager
def named_features(estimator: Any, names: list[str] | None, X: Any) -> Iterator[None]:
    """Let an estimator learn from an array whose columns have these names. A new estimator gets the names afterwards.

    During the call the estimator has no names, because scikit-learn would warn that the array has none.
    """
    if names is None or hasattr(X, "columns") or not isinstance(estimator, BaseEstimator):
        yield
        return
    if len(names) != X.shape[1]:
        raise ValueError(f"it has {X.shape[1]} columns, but the source has {len(names)} feature_names")
    attributes = vars(estimator)
    is_new, known = "n_features_in_" not in attributes, attributes.pop("feature_names_in_", None)
    try:
        yield
    finally:
        if is_new and "n_features_in_" in attributes:
            known = np.asarray(names, dtype=object)
        if known is not None:
            attributes["feature_names_in_"] = known
        if (model := attributes.get("_fitted")) is not None and isinstance(estimator, BaseGDRegressor):
            # The stream cache must not accept an array without names.
            attributes["_fitted"] = model.replace(stream_cache=None)


def without_names(estimator: Any, names: list[str] | None, X: Any) -> Any:
    """Return the estimator, or a copy without names if the columns of the array have its names."""
    if names is None or hasattr(X, "columns") or "feature_names_in_" not in getattr(estimator, "__dict__", {}):
        return estimator
    twin = object.__new__(type(estimator))
    vars(twin).update({name: value for name, value in vars(estimator).items() if name != "feature_names_in_"})
    return twin
