"""Parameters that are set and have no effect with the values of the others: a table and a warning."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter
from typing import Any, NamedTuple

from sklearn.base import clone

from sklearn_sgd._base.parameters import CONSTRAINTS, needs_same_samples
from sklearn_sgd._engine.resolve import PASSIVE
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.penalties import PENALTIES


class Use(NamedTuple):
    """When a parameter has an effect: by the values of all parameters, and in words."""

    applies: Callable[[Mapping[str, Any]], bool]
    words: str


def one_of(name: str, *values: Any) -> Use:
    """Return the use of a parameter for some values of another one."""
    return Use(lambda params: params[name] in values, f"{name}={' or '.join(map(repr, values))}")


def number_of(role: str, table: Mapping[Any, Any], field: str) -> Use:
    """Return the use of a parameter that is a number of some parts, given by name; instances have their own numbers."""
    return one_of(role, *(name for name, part in table.items() if field in part._fields))


def either(*uses: Use) -> Use:
    """Return the use of a parameter that has several uses."""
    return Use(lambda params: any(use.applies(params) for use in uses), ", or ".join(use.words for use in uses))


def _fades(params: Mapping[str, Any]) -> bool:
    """Return whether `partial_fit` exists and uses statistics in which older samples can count less."""
    once = params["early_stopping"] or needs_same_samples(params["optimizer"])
    return not once and (params["learning_rate"] == "auto" or params["average"] not in ("auto", False))


# All other parameters always have an effect.
USES: dict[str, Use] = {
    "alpha": either(number_of("penalty", PENALTIES, "alpha"), one_of("learning_rate", "optimal")),
    "l1_ratio": number_of("penalty", PENALTIES, "l1_ratio"),
    "eta0": one_of("learning_rate", "constant", "invscaling", "adaptive", *PASSIVE),
    "power_t": one_of("learning_rate", "invscaling"),
    "n_iter_no_change": Use(lambda params: params["tol"] is not None, "a tol other than None"),
    "validation_fraction": one_of("early_stopping", True),
    "epsilon": number_of("loss", LOSSES, "epsilon"),
    "quantile": number_of("loss", LOSSES, "quantile"),
    "half_life": Use(_fades, "partial_fit with learning_rate='auto', or with an average"),
}


def unused(estimator: Any) -> Iterator[tuple[str, Any, Any, str]]:
    """Yield the parameters without effect that differ from their default: name, value, default, and purpose."""
    params, uses = {name: getattr(estimator, name) for name in CONSTRAINTS}, estimator._parameter_uses
    for name, default in estimator._parameter_defaults.items():
        value = getattr(estimator, name) if name in uses else default
        is_set = default is not Parameter.empty and value is not None and value != default
        if is_set and not uses[name].applies(params):
            yield name, value, default, uses[name].words


def warn_of_unused(estimator: Any) -> None:
    """Give a UserWarning for each parameter that is set and has no effect."""
    for name, value, _, words in unused(estimator):
        message = f"{name}={value!r} has no effect with the other parameters: it is for {words}."
        warnings.warn(f"{type(estimator).__name__}: {message}", UserWarning, stacklevel=user_stacklevel())


def clone_with(estimator: Any, **params: Any) -> Any:
    """Return a clone with these parameters; parameters without effect get their defaults.

    The constructor of a user's subclass may lack them.
    """
    cloned = clone(estimator)
    vars(cloned).update(params)
    vars(cloned).update({name: default for name, _, default, _ in unused(cloned)})
    return cloned
