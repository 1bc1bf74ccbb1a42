"""Parts (losses, penalties, optimizers) by name, or as the user gave them."""

from collections.abc import Mapping
from typing import Any

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
