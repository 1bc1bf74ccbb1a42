"""Parts (losses, penalties, optimizers) by name, or as the user gave them."""

from collections.abc import Mapping
from functools import lru_cache
from types import new_class
from typing import Any

import numpy as np

from sklearn_sgd._namespace import namespace
from sklearn_sgd._ops import clip
from sklearn_sgd._ranges import checked

# Parameters of the estimators that are fields of a part.
FIELDS = ("alpha", "l1_ratio", "epsilon", "quantile")

# Targets for which an own loss is examined; distances from the best predictions, where it must not be less; a share of
# the losses at the first three that is rounding; and the raw prediction that stands for an infinite one.
TARGETS = np.array([-30.0, -3.0, -0.3, 0.03, 0.3, 1.0, 3.0, 30.0, 300.0])
STEPS = np.concatenate([[0.0], np.outer([1.0, 0.25, 0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0], [1.0, -1.0]).ravel()])
ROUNDING = 1e-9
INFINITE = 80.0


def part_class(choice: Any, table: Mapping) -> Any:
    """Return the class for a name, or the part itself. Traits can be read from both."""
    return table.get(choice) if isinstance(choice, str) else choice


def stores_slopes(optimizer: Any) -> bool:
    """Return whether an optimizer, or its class, stores a slope of each sample, so that it needs the samples again."""
    return hasattr(optimizer, "refreshes_table")


def make_part(choice: Any, table: Mapping, params: Mapping[str, Any]) -> Any:
    """Return the part for a name, with its fields set from the parameters; a part is returned as it is."""
    if choice is not None and not isinstance(choice, str):
        return checked(choice)
    kind = table[choice]
    return checked(kind(**{name: float(params[name]) for name in kind._fields if name in FIELDS}))


class FromLeast:
    """A loss less its least value for each target: the base of a class made from that of an own loss."""

    __slots__ = ()

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true, from the least one."""
        value = super().value  # type: ignore[misc]
        return value(y, p) - value(y, best_prediction(self, y))

    def __reduce_ex__(self, protocol):
        """Return how to make it again: no module has its class."""
        given = type(self).__bases__[1]
        return from_least, (_with_class(self, given),)


def from_least(loss: Any) -> Any:
    """Return an own loss, measured from its least values: the same loss, with the formulas of its class."""
    kind: Any = type(loss)
    return _with_class(loss, _class_from_least(kind))


@lru_cache(maxsize=64)
def _class_from_least(kind: type) -> type:
    """Return the class of the losses of a class, measured from their least values."""
    names = {"__module__": kind.__module__, "__slots__": ()}
    return new_class(kind.__name__, (FromLeast, kind), {}, lambda body: body.update(names))


def _with_class(loss: Any, kind: type) -> Any:
    """Return a loss as one of another class: the same numbers, and the same attributes, which may change later."""
    made: Any = tuple.__new__(kind, loss) if isinstance(loss, tuple) else object.__new__(kind)
    if hasattr(loss, "__dict__"):
        object.__setattr__(made, "__dict__", loss.__dict__)  # Also of a class that is frozen.
    return made


def best_prediction(loss: Any, y: Any) -> Any:
    """Return the raw predictions whose loss is least: the link of the targets, or the targets themselves."""
    if not hasattr(loss, "link"):
        return y
    p = loss.link(y)
    return namespace(p).where(abs(p) < np.inf, p, clip(p, -INFINITE, INFINITE))


def measured_from_least(loss: Any) -> Any:
    """Return an own loss measured from its least values, if they are not 0 and at the best predictions.

    Automatic steps and `tol` measure losses from 0. A likelihood may have another constant for each target.
    """
    if not isinstance(loss, tuple) and not hasattr(loss, "__dict__"):
        return loss  # What it holds cannot be shared.
    try:
        allowed = loss.allows(TARGETS) if hasattr(loss, "allows") else True
        values = _values_around(loss, TARGETS[np.broadcast_to(allowed, TARGETS.shape)])
    except (AttributeError, TypeError, ValueError):
        return loss  # `try_loss` has the error, where the loss is called in this way.
    values = values[:, np.isfinite(values[0])]
    size = ROUNDING * _finite_size(values)
    differs, is_least = abs(values[0]) > size, ~(values < values[0] - size).any(axis=0)
    is_least &= (values > values[0] + size).any(axis=0)
    return from_least(loss) if differs.any() and is_least.all() else loss


def try_loss(loss: Any, y: np.ndarray) -> None:
    """Raise an error if a loss cannot be computed for an array of targets, or is below 0 for some of them.

    Its gradient is called for batches only, so that a loss may record these.
    """
    values = _values_around(loss, y)
    below = values < -ROUNDING * _finite_size(values)
    if below.any():
        step, row = np.argwhere(below)[0]
        p = _around(best_prediction(loss, y))[step, row]
        raise ValueError(
            f"{type(loss).__name__}: the least value of a loss must be 0 for each target, but "
            f"value({y[row]:.3g}, {p:.3g}) is {values[step, row]:.3g}. Remedy: a method link(y) that returns the "
            "predictions with the least loss, or a value less the least one."
        )


def _around(p: np.ndarray) -> np.ndarray:
    """Return raw predictions, and in further rows others on both sides of them."""
    return p + np.outer(STEPS, np.maximum(abs(p), 1.0))


def _values_around(loss: Any, y: np.ndarray) -> np.ndarray:
    """Return the losses of the best predictions for some targets, and in further rows of others around them."""
    with np.errstate(all="ignore"):
        p = _around(best_prediction(loss, y))
        return _called(loss, (loss.value, np.tile(y, len(p)), p.ravel()))[0].reshape(p.shape)


def _finite_size(values: np.ndarray) -> np.ndarray:
    """Return the size of the losses next to the best predictions, by which rounding of each target is measured."""
    near = abs(values[:3])
    return np.where(np.isfinite(near), near, 0.0).max(axis=0)


def try_penalty(penalty: Any, n_features: int) -> None:
    """Raise an error if a penalty cannot be computed for an array of coefficients."""
    w, number = np.ones(n_features), np.ones(())
    slopes = (penalty.gradient, w), (penalty.gradient, number)
    _called(penalty, (penalty.value, w), *slopes, (penalty.prox, w, 0.5), (penalty.prox, w, 0.5, ...))


def _called(part: Any, *calls: tuple) -> list[np.ndarray]:
    """Return what methods of a part return for arguments of which the first is an array, spread to its shape."""
    results = []
    for method, first, *others in calls:
        try:
            with np.errstate(all="ignore"):
                result = method(first, *others)
                if isinstance(result, list | tuple):
                    raise TypeError(f"it returned a {type(result).__name__}")
                results.append(np.broadcast_to(result, first.shape))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{type(part).__name__}.{method.__name__} must take an array as well as a number, and return as many "
                f"numbers: {error}. Remedy: np.where in place of if, and the arguments of the package's own formulas."
            ) from error
    return results
