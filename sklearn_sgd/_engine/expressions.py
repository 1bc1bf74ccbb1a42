"""Formulas read as expressions.

The formulas of a part are called with symbols instead of numbers and arrays. The result is an expression: the same
formula as data. From it follow the machine code (:mod:`sklearn_sgd._engine.compiled`), the key of that code in the
cache, and the traits (:mod:`sklearn_sgd._engine.traits`) that determine how the descent runs. So a changed formula has
another key, wherever it is defined, and two classes with the same formula are treated alike.
"""

from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

# NumPy's functions of one or two numbers that formulas may use, with the operations that they stand for.
UFUNCS: dict[Any, str] = {
    np.add: "add", np.subtract: "sub", np.multiply: "mul", np.divide: "div", np.power: "pow", np.float_power: "pow",
    np.negative: "neg", np.absolute: "abs", np.fabs: "abs", np.sign: "sign", np.sqrt: "sqrt", np.square: "square",
    np.exp: "exp", np.expm1: "expm1", np.log: "log", np.log1p: "log1p", np.tanh: "tanh", np.cosh: "cosh",
    np.sinh: "sinh", np.sin: "sin", np.cos: "cos", np.arctan: "arctan", np.maximum: "max", np.minimum: "min",
    np.less: "lt", np.less_equal: "le", np.greater: "gt", np.greater_equal: "ge", np.equal: "eq", np.not_equal: "ne",
    np.logical_and: "and", np.logical_or: "or", np.logical_not: "not", np.bitwise_and: "and", np.bitwise_or: "or",
    np.invert: "not",
}  # fmt: skip

EVALUATE: dict[str, Callable] = {name: function for function, name in reversed(UFUNCS.items())}
EVALUATE["where"] = np.where

CONDITIONS = {"lt", "le", "gt", "ge", "eq", "ne", "and", "or", "not"}


class Untraceable(TypeError):
    """A formula cannot be read as one expression. The message gives the reason."""


class Expression:
    """An operation on expressions and numbers. Its ``value`` is known if it depends only on fields of the part."""

    __slots__ = ("args", "op", "value")

    def __init__(self, op: str, *args: Any, value: Any = None):
        self.op, self.args, self.value = op, args, value

    def __bool__(self) -> bool:
        if self.value is None:
            raise Untraceable("it branches (if, and, or, min, max) on a value that is not known before the fit")
        return bool(self.value)

    def __float__(self) -> float:
        if self.value is None:
            raise Untraceable(
                "it needs a Python number where there is a symbol; use NumPy's functions instead of math's"
            )
        return float(self.value)

    def __int__(self) -> int:
        return int(float(self))

    def __index__(self) -> int:
        if float(self) != int(self):
            raise Untraceable("it counts by a number that is not whole")
        return int(self)

    def __array__(self, *args, **kwargs):
        raise Untraceable("it calls a function that takes arrays only")

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method != "__call__" or kwargs or ufunc not in UFUNCS:
            raise Untraceable(f"it calls numpy.{ufunc.__name__} in a way that is not known here")
        return apply(UFUNCS[ufunc], *inputs)

    def __array_function__(self, function, types, args, kwargs):
        if function is np.clip:
            return _clip(*args, **kwargs)
        if function is np.where and len(args) == 3:
            return apply("where", *args)
        raise Untraceable(f"it calls numpy.{function.__name__}, which is not known here")


def _clip(a, a_min=None, a_max=None, *, min=None, max=None):
    """``numpy.clip``."""
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    a = a if low is None else apply("max", a, low)
    return a if high is None else apply("min", a, high)


def apply(op: str, *args: Any) -> Expression:
    """The expression of an operation; computed if all its arguments are known."""
    for a in args:
        if not isinstance(a, (Expression, Real, np.bool_)):
            raise Untraceable(f"it computes with {type(a).__name__}, which is neither a number nor an array")
    if op == "square":
        op, args = "mul", args * 2
    known = [a.value if isinstance(a, Expression) else a for a in args]
    value = None if any(v is None for v in known) else EVALUATE[op](*known)
    return Expression(op, *args, value=value)


def _reflected(op: str):
    return lambda self, other: apply(op, other, self)


def _operators() -> None:
    """Define Python's operators as these operations."""
    binary = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "pow": "pow", "and": "and", "or": "or"}
    for name, op in binary.items():
        setattr(Expression, f"__{name}__", lambda self, other, op=op: apply(op, self, other))
        setattr(Expression, f"__r{name}__", _reflected(op))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Expression, f"__{name}__", lambda self, other, op=name: apply(op, self, other))
    for name, op in {"neg": "neg", "abs": "abs", "invert": "not"}.items():
        setattr(Expression, f"__{name}__", lambda self, op=op: apply(op, self))
    setattr(Expression, "__pos__", lambda self: self)  # noqa: B010
    setattr(Expression, "__hash__", object.__hash__)  # noqa: B010


_operators()


class Index:
    """Symbol for the number j of the current coefficient. It can only be used to index fields."""

    def __eq__(self, other: object) -> bool:
        raise Untraceable("it computes with the number of a coefficient, which may only index a field")

    __lt__ = __le__ = __gt__ = __ge__ = __ne__ = __eq__
    __hash__ = object.__hash__


class Column:
    """A field with a number for each coefficient: ``field[j]`` is that of the current one."""

    __iter__ = None

    def __init__(self, number: int):
        self.number = number

    def __getitem__(self, j: Any) -> Expression:
        if not (isinstance(j, Index) or j is ...):
            raise Untraceable("it takes single entries of a field that holds an array; index it by j")
        return Expression("column", self.number)


class Symbols(NamedTuple):
    """A part whose fields are symbols; their numbers; and the fields with a number for each coefficient."""

    part: Any
    numbers: list[float]
    columns: list[np.ndarray]

    def values(self) -> np.ndarray:
        """All numbers in the order in which machine code reads them."""
        return np.concatenate([np.array(self.numbers, dtype=np.float64), *self.columns])


def symbols(part) -> Symbols:
    """Replace the fields of a part by symbols, also those of parts inside it."""
    numbers: list[float] = []
    columns: list[np.ndarray] = []
    return Symbols(_symbol(part, numbers, columns), numbers, columns)


def _symbol(field: Any, numbers: list[float], columns: list[np.ndarray]) -> Any:
    """The symbol of a field; a value that is neither a number nor a part is returned as it is."""
    if isinstance(field, tuple):
        return tuple.__new__(type(field), [_symbol(inner, numbers, columns) for inner in field])
    if isinstance(field, (bool, np.bool_)) or not isinstance(field, (Real, np.ndarray)):
        return field
    if isinstance(field, np.ndarray) and (field.ndim > 1 or field.dtype.kind not in "biuf"):
        return field
    if isinstance(field, np.ndarray) and field.ndim:
        columns.append(field.astype(np.float64).ravel())
        return Column(len(columns) - 1)
    numbers.append(float(field))
    return Expression("number", len(numbers) - 1, value=float(field))


def variable(name: str) -> Expression:
    """A variable: a value that is not known before the fit."""
    return Expression("variable", name)


Program = tuple[tuple, ...]


def program(*outputs: Any) -> Program:
    """Expressions as a list of instructions without repetitions, outputs last; equal for equal formulas."""
    lines: dict[tuple, int] = {}
    seen: dict[int, int] = {}

    def place(e: Any) -> int:
        if not isinstance(e, Expression):
            return lines.setdefault(("constant", float(e).hex()), len(lines))
        if id(e) not in seen:
            leaf = e.op in ("variable", "number", "column")
            line = (e.op, *e.args) if leaf else (e.op, *map(place, e.args))
            seen[id(e)] = lines.setdefault(line, len(lines))
        return seen[id(e)]

    last = ("outputs", *map(place, outputs))
    return (*lines, last)


def evaluate(formula: Callable, *args, outputs: int = 1) -> Any:
    """The expressions that a formula returns for symbols; an Untraceable error if it cannot be read."""
    try:
        result = formula(*args)
    except Untraceable:
        raise
    except Exception as error:
        raise Untraceable(f"{type(error).__name__}: {error}") from error
    several = result if outputs > 1 else (result,)
    if not isinstance(several, tuple) or len(several) != outputs:
        raise Untraceable(f"{formula.__name__} does not return {outputs} numbers")
    for one in several:
        if not isinstance(one, (Expression, Real, np.bool_)):
            raise Untraceable(f"{formula.__name__} returns {type(one).__name__} instead of a number")
    return result
