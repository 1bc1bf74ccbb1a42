"""The numbers of parts, with the ranges that they must lie in."""

from inspect import get_annotations
from numbers import Real
from typing import Annotated, Any

from sklearn_sgd._compat import Interval, validate_parameter_constraints

NotNegative = Annotated[float, Interval(Real, 0, None, closed="left")]
AboveZero = Annotated[float, Interval(Real, 0, None, closed="neither")]
AtLeastOne = Annotated[float, Interval(Real, 1, None, closed="left")]
# Of a whole, which may be all or nothing of it; of targets; of what is kept each time.
Share = Annotated[float, Interval(Real, 0, 1, closed="both")]
Level = Annotated[float, Interval(Real, 0, 1, closed="neither")]
Kept = Annotated[float, Interval(Real, 0, 1, closed="left")]


def checked(part: Any) -> Any:
    """The part itself; refused if a number is not in the range that its annotation tells."""
    kinds = get_annotations(type(part)).items()
    ranges = {name: list(kind.__metadata__) for name, kind in kinds if hasattr(kind, "__metadata__")}
    validate_parameter_constraints(ranges, {name: getattr(part, name) for name in ranges}, type(part).__name__)
    for inner in part if isinstance(part, tuple) else ():
        checked(inner)
    return part
