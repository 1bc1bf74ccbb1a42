"""Formulas on arrays of another library: the expressions of a part are evaluated by the functions of that library.

So formulas that use NumPy functions also run on a device, and a subexpression that occurs twice is computed once. A
part that cannot be read is called with the arrays themselves.
"""

import operator
from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn_sgd._engine.expressions import CONDITIONS, EVALUATE, program
from sklearn_sgd._engine.passes.fused import fused
from sklearn_sgd._engine.traits import Formulas, Reading
from sklearn_sgd._namespace import bounded, like, namespace

# Python's operations, and functions with another name in the array API standard than in the expressions.
OPERATORS: dict[str, Callable] = {
    name: getattr(operator, python)
    for name, python in {"div": "truediv", **{op: op for op in ("add", "sub", "mul", "pow", "neg", "abs")}}.items()
} | {name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")}
NAMES = {"arctan": "atan"}


class Formula:
    """Expressions as a function of their variables: Python numbers, and arrays of the dtype of ``example``.

    Parameters
    ----------
    reading : Reading
        The part to which the expressions belong.
    outputs : tuple
        The outputs to return.
    example : array of one dimension
        An array of the library, the device and the dtype.
    known : dict
        Variables with a constant value.
    """

    def __init__(self, reading: Reading, outputs: tuple, example: Any, **known: float):
        *lines, (_, *self.outputs) = program(*outputs)
        self.xp, self.example, symbols = namespace(example), example, reading.symbols
        self.values: list[Any] = [None] * len(lines)
        self.variables: list[tuple[int, str]] = []
        self.steps: list[tuple[int, str, tuple[int, ...]]] = []
        self.lines = {number: (op, tuple(args)) for number, (op, *args) in enumerate(lines)}
        self.can_fuse = hasattr(example, "addcmul")  # As torch.
        self.conditions = {number for number, (op, *_) in enumerate(lines) if op in CONDITIONS}
        self.columns = {number for number, (op, *_) in enumerate(lines) if op == "column"}
        # The functions to call in order, for each set of variables that are arrays.
        self.functions: dict[tuple[bool, ...], list[tuple[int, Callable, tuple[int, ...]]]] = {}
        for number, (op, *args) in enumerate(lines):
            if op == "constant":
                self.values[number] = float.fromhex(args[0])
            elif op == "number":
                self.values[number] = symbols.numbers[args[0]]
            elif op == "column":
                self.values[number] = like(symbols.columns[args[0]], example)
            elif op == "variable" and args[0] in known:
                self.values[number] = known[args[0]]
            elif op == "variable":
                self.variables.append((number, args[0]))
            else:
                self.steps.append((number, op, tuple(args)))

    def __call__(self, **variables: Any) -> tuple:
        """Return the values of the outputs."""
        values = self.values.copy()
        for number, name in self.variables:
            values[number] = variables[name]
        kinds = tuple(hasattr(values[number], "shape") for number, _ in self.variables)
        for number, function, args in self.functions.get(kinds) or self._functions(kinds):
            values[number] = function(*[values[k] for k in args])
        return tuple(values[number] for number in self.outputs)

    def _functions(self, kinds: tuple[bool, ...]) -> list[tuple[int, Callable, tuple[int, ...]]]:
        """Return the functions to call if these variables are arrays; NumPy computes with numbers only."""
        arrays = self.columns | {number for (number, _), kind in zip(self.variables, kinds, strict=True) if kind}
        made = self.functions[kinds] = []
        for number, op, args in self.steps:
            if arrays.isdisjoint(args):
                made.append((number, lambda *terms, of=EVALUATE[op]: float(of(*terms)), args))
            else:
                arrays.add(number)
                several = fused(op, args, self.lines, arrays) if self.can_fuse else None
                if several is None or not self.conditions.isdisjoint(several[1]):
                    several = self._function(op, args, arrays), args
                made.append((number, *several))
        needed = set(self.outputs)
        for line in reversed(made.copy()):
            if line[0] in needed:
                needed.update(line[2])
            else:
                made.remove(line)  # It is part of another one.
        return made

    def _function(self, op: str, args: tuple[int, ...], arrays: set[int]) -> Callable:
        """Return the function for an operation on arrays and numbers."""
        xp, example = self.xp, self.example
        if op == "where":
            return lambda condition, *terms: xp.where(condition, *map(self._array, terms))
        if op in ("and", "or", "not"):
            return getattr(xp, "logical_" + op)
        if op == "add" and 0.0 in [self.values[k] for k in args if k not in arrays]:
            return lambda a, b: a if hasattr(a, "shape") else b
        if op == "sub" and self.values[args[1]] == 0.0 and args[1] not in arrays:
            return lambda a, b: a
        if op in ("max", "min"):
            function: Callable = partial(self._extreme, op)
        elif op == "sign" and hasattr(example, "sign"):
            # One operation of torch instead of three. It is 0 where no number is, but the loss there is no number.
            function = type(example).sign
        else:
            function = OPERATORS[op] if op in OPERATORS else getattr(xp, NAMES.get(op, op))
        if not (self.conditions & arrays).intersection(args):
            return function
        # A condition counts as a number, 0 or 1.
        truths = [k in self.conditions and k in arrays for k in args]
        return lambda *terms: function(
            *(xp.astype(term, example.dtype) if truth else term for term, truth in zip(terms, truths, strict=True))
        )

    def _extreme(self, op: str, a: Any, b: Any) -> Any:
        """Return the larger or smaller of two values, one of which may be a number."""
        if hasattr(a, "shape") and hasattr(b, "shape"):
            return (self.xp.maximum if op == "max" else self.xp.minimum)(a, b)
        array, bound = (a, b) if hasattr(a, "shape") else (b, a)
        return bounded(array, bound, None) if op == "max" else bounded(array, None, bound)

    def _array(self, value: Any) -> Any:
        """Return a number as an array: for two numbers, some libraries cannot infer the dtype."""
        return value if hasattr(value, "shape") else self.xp.full_like(self.example[:1], value)[0]


class ArrayParts:
    """Loss, penalty and optimizer on the arrays of a device.

    Parameters
    ----------
    formulas : Formulas
        The formulas of the parts.
    example : array of one dimension
        An array of the library, the device and the dtype.
    """

    def __init__(self, formulas: Formulas, example: Any):
        loss, penalty, optimizer = formulas.parts
        make = partial(Formula, example=example)
        if formulas.loss.refusal is None:
            value, slope = formulas.loss.value, formulas.loss.slope
            both = make(formulas.loss, (value, slope))
            of_value, of_slope = make(formulas.loss, (value,)), make(formulas.loss, (slope,))
            self.loss: Callable = lambda y, p: both(y=y, p=p)
            self.value: Callable = lambda y, p: of_value(y=y, p=p)[0]
            self.slope: Callable = lambda y, p: of_slope(y=y, p=p)[0]
            # For losses that depend on the difference only.
            of_residual = make(formulas.loss, (value,), y=0.0)
            self.value_of_residual: Callable = lambda residual: of_residual(p=residual)[0]
        else:
            self.value, self.slope = loss.value, loss.gradient
            self.loss = lambda y, p: (loss.value(y, p), loss.gradient(y, p))
        if formulas.penalty.refusal is None:
            pull, prox = formulas.penalty.pull, formulas.penalty.prox
            of_pull, of_prox = make(formulas.penalty, (pull,)), make(formulas.penalty, (prox,))
            self.pull: Callable = lambda w: of_pull(w=w)[0]
            self.prox: Callable = lambda w, rate: of_prox(w=w, rate=rate)[0]
            if formulas.terms is not None:  # The soft threshold, by fewer operations.
                lasso = formulas.terms.lasso
                self.prox = lambda w, rate: w - bounded(w, -(rate * lasso), rate * lasso)
        else:
            self.pull, self.prox = penalty.gradient, lambda w, rate: penalty.prox(w, rate, ...)
        if formulas.optimizer.refusal is None:
            known = {"pull": 0.0} if formulas.penalty.has_no_pull else {}
            of_step = make(formulas.optimizer, formulas.optimizer.step, **known)
            self.step: Callable = lambda g, pull, w, m, v, rate, t: of_step(
                g=g, pull=pull, w=w, m=m, v=v, rate=rate, t=t
            )
        else:
            self.step = optimizer.step
