"""Parts (losses, penalties, optimizers) by name, or as the user gave them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sklearn_sgd._ranges import checked

# Parameters of the estimators that are fields of a part.
FIELDS = ("alpha", "l1_ratio", "epsilon", "quantile")


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


def try_loss(loss: Any, y: np.ndarray) -> None:
    """Raise an error if a loss cannot be computed for an array of targets, or is below 0 for some of them.

    Its gradient is called for batches only, so that a loss may record these.
    """
    p = loss.link(y) if hasattr(loss, "link") else y
    value, near = _called(loss, (loss.value, y, p), (loss.value, y, p + 1e-3))
    below = value < -1e-3 * abs(near - value)  # By more than rounding.
    if below.any():
        raise ValueError(
            f"{type(loss).__name__}: the least value of a loss must be 0 for each target, but "
            f"value({y[below][0]:.3g}, {p[below][0]:.3g}) is {value[below][0]:.3g}. Remedy: subtract the least value, "
            "which may depend on the target."
        )


def try_penalty(penalty: Any, n_features: int) -> None:
    """Raise an error if a penalty cannot be computed for an array of coefficients."""
    w = np.ones(n_features)
    _called(penalty, (penalty.value, w), (penalty.gradient, w), (penalty.prox, w, 0.5, ...))


def _called(part: Any, *calls: tuple) -> list[np.ndarray]:
    """Return what methods of a part return for arguments of which the first is an array, spread to its shape."""
    results = []
    for method, first, *others in calls:
        try:
            with np.errstate(all="ignore"):
                results.append(np.broadcast_to(method(first, *others), first.shape))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{type(part).__name__}.{method.__name__} must take an array as well as a number, and return as many "
                f"numbers: {error}. Remedy: np.where in place of if, and the arguments of the package's own formulas."
            ) from error
    return results
