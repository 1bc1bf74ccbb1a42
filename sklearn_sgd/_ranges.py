"""Types for the numbers of losses, penalties, optimizers and schedules, with their allowed ranges."""

from collections.abc import Callable, Sequence
from inspect import get_annotations
from numbers import Real
from typing import Annotated, Any

from sklearn_sgd._compat import Interval, validate_parameter_constraints

NotNegative = Annotated[float, Interval(Real, 0, None, closed="left")]
AboveZero = Annotated[float, Interval(Real, 0, None, closed="neither")]
AtLeastOne = Annotated[float, Interval(Real, 1, None, closed="left")]
# A share between 0 and 1, both included; a quantile of the targets; a decay factor per update.
UnitInterval = Annotated[float, Interval(Real, 0, 1, closed="both")]
OpenUnitInterval = Annotated[float, Interval(Real, 0, 1, closed="neither")]
RightOpenUnitInterval = Annotated[float, Interval(Real, 0, 1, closed="left")]


def checked(part: Any) -> Any:
    """Return the part; raise an error if a field is outside the range of its annotation."""
    ranges = _ranges(type(part))
    validate_parameter_constraints(ranges, {name: getattr(part, name) for name in ranges}, type(part).__name__)
    for inner in part if isinstance(part, tuple) else ():
        checked(inner)
    return part


def check_numbers(function: Callable, numbers: Sequence[Any], name: str) -> None:
    """Raise an error if one of the first arguments of a function is outside the range of its annotation."""
    ranges, given = _ranges(function), dict(zip(get_annotations(function), numbers, strict=False))
    validate_parameter_constraints(ranges, {name: given[name] for name in ranges}, name)


def _ranges(annotated: Any) -> dict[str, list]:
    kinds = get_annotations(annotated).items()
    return {name: list(kind.__metadata__) for name, kind in kinds if hasattr(kind, "__metadata__")}
