"""Compile drivers to machine code: a subset of Python with flat arrays and numbers is translated to LLVM.

The drivers use assignments, ``for`` over ``range``, ``while``, ``if``, arithmetic, entries of arrays, and calls of
functions written in the same way, which are inlined. Those of `drivers.vectors`, which call NumPy, are replaced by the
loops of `drivers.loops`. The kinds of arguments are annotated; all other kinds follow. A literal gets the precision of
the other operand, as in NumPy. Conditions are evaluated completely: ``and`` and ``or`` do not stop early.
"""

import ast
import builtins
import inspect
import math
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any, get_type_hints

import numpy as np

from sklearn_sgd._engine.compiled import elementary, instructions, store
from sklearn_sgd._engine.compiled.drivers import loops, primitives, vectors
from sklearn_sgd._engine.compiled.instructions import Instructions, Value

# These sources are a part of the key of machine code.
SOURCE = store.hash_of_files(__file__, elementary.__file__, instructions.__file__, loops.__file__)

# Loops for the operations that plain Python does by NumPy.
LOOPS = {operation: getattr(loops, name) for name, operation in vars(vectors).items() if inspect.isfunction(operation)}

_trees: dict[tuple[str, int], ast.FunctionDef] = {}


def remember(module: ModuleType) -> None:
    """Read the source of a module now; later the file may belong to another version of the package."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.FunctionDef):
            _trees[str(module.__file__), node.lineno] = node


def tree_of(function: FunctionType) -> ast.FunctionDef:
    """The syntax tree of a function of a remembered module."""
    return _trees[function.__code__.co_filename, function.__code__.co_firstlineno]


def compile_driver(driver: FunctionType, kinds: dict[str, np.dtype], wide: bool) -> tuple[dict[str, str], bytes]:
    """Compile a driver; return symbols and object code.

    ``kinds`` are the dtypes of real numbers, indices and rows; for ``wide`` vectors see `store.machine`.
    """
    from llvmlite import binding

    hints = get_type_hints(driver, include_extras=True)
    hints.pop("return")
    to = Instructions(driver.__name__, {name: hint.__metadata__[0] for name, hint in hints.items()}, kinds)
    entry = to.end(_Scope(to, driver, to.given).run())
    module = binding.parse_assembly(str(to.module))
    module.verify()
    return {driver.__name__: entry}, store.optimised(module, wide)


class _Scope:
    """A function during translation: its variables, and the block to which it returns."""

    def __init__(self, to: Instructions, function: FunctionType, given: list):
        self.to, self.function = to, function
        self.tree = tree_of(function)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        self.outer = function.__globals__ | {name: cell.cell_contents for name, cell in cells.items()}
        self.slots: dict[str, Value] = {}
        # Arguments and tuples that are assigned only once are values, not variables.
        self.fixed: dict[str, Any] = {}
        names = [argument.arg for argument in self.tree.args.args]
        variables = [node for node in ast.walk(self.tree) if isinstance(node, ast.Name)]
        stores = [node.id for node in variables if isinstance(node.ctx, ast.Store)]
        for name, value in zip(names, given, strict=True):
            self.fixed[name] = value
            if name in stores:
                self._name(name, value)  # One branch may assign it, and another may not.
        self.exit = to.block("exit")
        # The variables of its results, and whether there is only one.
        self.results: list[Value] = []
        self.is_one = True
        self.loops: list[Any] = []

    def run(self) -> Any:
        """Write the function, and return its results."""
        self.body(self.tree.body)
        if not self.to.builder.block.is_terminated:
            self.to.builder.branch(self.exit)
        self.to.builder.position_at_end(self.exit)
        found = tuple(Value(result.kind, self.to.builder.load(result.ir)) for result in self.results)
        return found[0] if found and self.is_one else found or None

    def body(self, statements: list[ast.stmt]) -> None:
        """Write statements up to one that leaves the block."""
        for statement in statements:
            if self.to.builder.block.is_terminated:
                return
            getattr(self, f"_{type(statement).__name__}")(statement)

    def _Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def _Pass(self, node: ast.Pass) -> None:
        pass

    def _Assign(self, node: ast.Assign) -> None:
        (target,) = node.targets
        self.assign(target, self.value(node.value))

    def _AugAssign(self, node: ast.AugAssign) -> None:
        target = node.target
        if isinstance(target, ast.Subscript):
            array, index = self.value(target.value), self.value(target.slice)
            changed = self.to.binary(node.op, self.to.load(array, index), self.value(node.value))
            self.to.store(changed, array, index)
            return
        self.assign(target, self.to.binary(node.op, self.value(target), self.value(node.value)))

    def assign(self, target: ast.expr, value: Any) -> None:
        """Assign a value to a variable, to several, or to an entry."""
        match target:
            case ast.Tuple(elts=targets):
                for each, item in zip(targets, value, strict=True):
                    self.assign(each, item)
            case ast.Subscript(value=array, slice=index):
                self.to.store(value, self.value(array), self.value(index))
            case ast.Name(id=name):
                self._name(name, value)

    def _name(self, name: str, value: Any) -> None:
        if (isinstance(value, tuple) and not isinstance(value, Value)) or value.kind in self.to.elements:
            self.fixed[name] = value
            return
        if name not in self.slots:
            kind = value.kind
            if kind == "literal":
                kind = {bool: "boolean", int: "integer", float: "double"}[type(value.ir)]
            self.slots[name] = Value(kind, self.to.slot(kind, name))
        kind, slot = self.slots[name]
        if kind == "real" and value.kind == "double" and self.to.types["real"] != self.to.types["double"]:
            raise TypeError(f"{self.function.__name__}: {name} is of X's precision; narrow the value that it is given.")
        self.to.builder.store(self.to.cast(value, kind), slot)

    def _Return(self, node: ast.Return) -> None:
        if node.value is not None:
            value = self.value(node.value)
            self.is_one = isinstance(value, Value)
            values = [value] if self.is_one else [*value]
            if not self.results:
                kinds = ["double" if each.kind == "literal" else each.kind for each in values]
                self.results = [Value(kind, self.to.slot(kind, "result")) for kind in kinds]
            for each, result in zip(values, self.results, strict=True):
                self.to.builder.store(self.to.cast(each, result.kind), result.ir)
        self.to.builder.branch(self.exit)

    def _If(self, node: ast.If) -> None:
        then, other, after = self.to.block("then"), self.to.block("else"), self.to.block("after")
        self.to.builder.cbranch(self.to.truth(self.value(node.test)), then, other)
        for block, statements in ((then, node.body), (other, node.orelse)):
            self.to.builder.position_at_end(block)
            self.body(statements)
            if not self.to.builder.block.is_terminated:
                self.to.builder.branch(after)
        self.to.builder.position_at_end(after)

    def _While(self, node: ast.While) -> None:
        self._loop(lambda: self.to.truth(self.value(node.test)), node.body, lambda: None)

    def _For(self, node: ast.For) -> None:
        assert isinstance(node.iter, ast.Call)
        assert isinstance(node.target, ast.Name)
        name = node.target.id
        bounds = [self.to.cast(self.value(argument), "integer") for argument in node.iter.args]
        start, stop = bounds if len(bounds) == 2 else (self.to.types["integer"](0), *bounds)
        counter, builder = self.to.slot("integer", f"{name}.next"), self.to.builder
        builder.store(start, counter)

        def condition():
            current = Value("integer", builder.load(counter))
            self._name(name, current)
            return builder.icmp_signed("<", current.ir, stop)

        def advance():
            one = self.to.types["integer"](1)
            builder.store(builder.add(builder.load(counter), one, flags=("nsw", "nuw")), counter)

        self._loop(condition, node.body, advance)

    def _loop(self, condition: Callable, statements: list[ast.stmt], advance: Callable) -> None:
        head, inside, after = self.to.block("loop"), self.to.block("inside"), self.to.block("after")
        self.to.builder.branch(head)
        self.to.builder.position_at_end(head)
        self.to.builder.cbranch(condition(), inside, after)
        self.to.builder.position_at_end(inside)
        self.loops.append(after)
        self.body(statements)
        self.loops.pop()
        if not self.to.builder.block.is_terminated:
            advance()
            self.to.builder.branch(head)
        self.to.builder.position_at_end(after)

    def _Break(self, node: ast.Break) -> None:
        self.to.builder.branch(self.loops[-1])

    def value(self, node: ast.expr) -> Any:
        """The value of an expression."""
        match node:
            case ast.Constant(value=number):
                return Value("literal", number)
            case ast.Name(id=name):
                return self._lookup(name)
            case ast.Tuple(elts=items):
                return tuple(self.value(item) for item in items)
            case ast.BinOp(left=left, op=operator, right=right):
                return self.to.binary(operator, self.value(left), self.value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.to.negative(self.value(operand))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Value("boolean", self.to.builder.not_(self.to.truth(self.value(operand))))
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self.to.compare(operator, self.value(left), self.value(right))
            case ast.BoolOp(op=operator, values=values):
                return self._logic(operator, [self.to.truth(self.value(each)) for each in values])
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._choice(self.to.truth(self.value(test)), self.value(body), self.value(orelse))
            case ast.Subscript(value=array, slice=index):
                return self._entry(self.value(array), self.value(index))
            case ast.Call(func=function, args=arguments):
                return self._call(self.value(function), [self.value(argument) for argument in arguments])
        raise TypeError(f"{self.function.__name__}: {ast.unparse(node)} is not in the language of the drivers.")

    def _lookup(self, name: str) -> Any:
        if name in self.slots:
            kind, slot = self.slots[name]
            return Value(kind, self.to.builder.load(slot))
        if name in self.fixed:
            return self.fixed[name]
        known = self.outer.get(name, getattr(builtins, name, None))
        return Value("literal", known) if isinstance(known, (bool, int, float)) else known

    def _entry(self, array: Any, index: Value) -> Any:
        return array[index.ir] if not isinstance(array, Value) else self.to.load(array, index)

    def _logic(self, operator: ast.boolop, conditions: list) -> Value:
        combine = self.to.builder.and_ if isinstance(operator, ast.And) else self.to.builder.or_
        first, *others = conditions
        for other in others:
            first = combine(first, other)
        return Value("boolean", first)

    def _choice(self, test, a: Value, b: Value) -> Value:
        kind = a.kind if a.kind == b.kind != "literal" else self.to.common(a, b)
        return Value(kind, self.to.builder.select(test, self.to.cast(a, kind), self.to.cast(b, kind)))

    def _call(self, function: Any, arguments: list) -> Any:
        if function in BUILTINS:
            return BUILTINS[function](self.to, *arguments)
        return _Scope(self.to, LOOPS.get(function, function), arguments).run()


def _extreme(sign: ast.cmpop) -> Callable:
    def choose(to: Instructions, a: Value, *others: Value) -> Value:
        for b in others:
            kind = to.common(a, b)
            wins = to.compare(sign, b, a).ir
            a = Value(kind, to.builder.select(wins, to.cast(b, kind), to.cast(a, kind)))
        return a

    return choose


def _absolute(to: Instructions, a: Value) -> Value:
    suffix = "f64" if a.ir.type == to.types["double"] else "f32"
    return Value(a.kind, to.intrinsic(f"llvm.fabs.{suffix}", a.ir.type, a.ir))


def _of_double(name: str) -> Callable:
    """A function of a number in double precision."""
    return lambda to, a: Value("double", to.intrinsic(f"llvm.{name}.f64", to.types["double"], to.cast(a, "double")))


def _elementary(to: Instructions, name: str, *arguments: Any) -> Value:
    def call(intrinsic: str, *values: Any) -> Any:
        return to.intrinsic(f"{intrinsic}.f64", to.types["double"], *values)

    return Value("double", elementary.functions(to.ir, to.builder, call)[name](*arguments))


def _invoke(to: Instructions, function: Value, *arguments: Value) -> Value:
    """A call by address: arrays are pointers, the count is an integer, all other numbers are in double precision."""
    given = []
    for k, argument in enumerate(arguments):
        array = argument.kind in to.elements
        given.append(argument.ir if array else to.cast(argument, "integer" if k == 2 else "double"))
    kind = to.ir.FunctionType(to.types["double"], [value.type for value in given])
    return Value("double", to.builder.call(to.builder.inttoptr(function.ir, kind.as_pointer()), given))


def _prefetch(to: Instructions, array: Value, index: Value) -> None:
    """A prefetch for reading into the second-level cache, which can have more requests in flight than the first."""
    byte, number = to.ir.IntType(8).as_pointer(), to.ir.IntType(32)
    address = to.builder.bitcast(to.builder.gep(array.ir, [to.cast(index, "integer")]), byte)
    to.intrinsic("llvm.prefetch.p0", to.ir.VoidType(), address, number(0), number(2), number(1))


BUILTINS: dict[Any, Callable] = {
    max: _extreme(ast.Gt()),
    min: _extreme(ast.Lt()),
    abs: _absolute,
    math.exp: _of_double("exp"),
    math.log: _of_double("log"),
    math.sqrt: _of_double("sqrt"),
    int: lambda to, a: a if a.kind == "integer" else Value("integer", to.builder.fptosi(a.ir, to.types["integer"])),
    float: lambda to, a: Value("double", to.cast(a, "double")),
    primitives.invoke: _invoke,
    primitives.logarithm: lambda to, a: _elementary(to, "log", to.cast(a, "double")),
    primitives.series: lambda to, coefficients, x: _elementary(to, "series", coefficients, to.cast(x, "double")),
    primitives.narrow: lambda to, a, like: Value(like.kind, to.cast(a, like.kind)),
    primitives.tail: lambda to, array, start: Value(array.kind, to.place(array, start)),
    primitives.prefetch: _prefetch,
}
