"""Typed values and the instructions on them: the LLVM form of a driver's Python."""

import ast
from typing import Any, NamedTuple

import numpy as np

# Allow reassociation and contraction, but do not assume that there is no NaN or infinity: a fit must detect them.
FAST = ("reassoc", "contract", "arcp", "nsz")

# Bytes of an argument.
WORD = 8

COMPARISONS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


class Value(NamedTuple):
    """A value in the code: it has a kind of :mod:`.primitives`, or is a literal, which has no kind yet."""

    kind: str
    ir: Any


class Instructions:
    """Builder of a function: its variables, blocks and instructions, for one precision and kind of rows.

    It is called through an entry point, which takes the address of its arguments, of WORD bytes each. From Python, one
    argument is passed ten times as fast as 25.
    """

    def __init__(self, name: str, arguments: dict[str, str], kinds: dict[str, np.dtype]):
        from llvmlite import ir

        self.ir = ir
        double, integer = ir.DoubleType(), ir.IntType(64)
        real = ir.FloatType() if kinds["real"] == np.float32 else double
        self.types = {"double": double, "real": real, "integer": integer, "function": integer, "boolean": ir.IntType(1)}
        self.elements = {
            "reals": real,
            "doubles": double,
            "indices": ir.IntType(8 * np.dtype(kinds["indices"]).itemsize),
            "rows": ir.IntType(8 * np.dtype(kinds["rows"]).itemsize),
        }
        self.types |= {kind: element.as_pointer() for kind, element in self.elements.items()}
        self.module = ir.Module(name)
        signature = ir.FunctionType(double, [self.types[kind] for kind in arguments.values()])
        self.function = ir.Function(self.module, signature, name)
        self.entry = ir.IRBuilder(self.function.append_basic_block("entry"))
        self.builder = ir.IRBuilder(self.function.append_basic_block("body"))
        self.given: list[Value] = []
        for (argument, kind), value in zip(arguments.items(), self.function.args, strict=True):
            value.name = argument
            if kind in self.elements:
                # Arrays of a fit do not overlap.
                value.add_attribute("noalias")
            self.given.append(Value(kind, value))

    def end(self, result: Value) -> str:
        """Write the return of a result in double precision; return the name of the entry point."""
        self.builder.ret(self.cast(result, "double"))
        self.entry.branch(self.function.blocks[1])
        byte = self.ir.IntType(8)
        signature = self.ir.FunctionType(self.types["double"], [byte.as_pointer()])
        entry = self.ir.Function(self.module, signature, f"{self.function.name}.entry")
        builder = self.ir.IRBuilder(entry.append_basic_block())
        given = []
        for k, argument in enumerate(self.function.args):
            place = builder.gep(entry.args[0], [self.types["integer"](WORD * k)])
            given.append(builder.load(builder.bitcast(place, argument.type.as_pointer())))
        builder.ret(builder.call(self.function, given))
        return str(entry.name)

    def slot(self, kind: str, name: str):
        """A variable."""
        return self.entry.alloca(self.types[kind], name=name)

    def block(self, name: str):
        """A new block of instructions."""
        return self.function.append_basic_block(name)

    def cast(self, value: Value, kind: str):
        """A value as one of another kind."""
        have, want = value.kind, self.types[kind]
        if have == "literal":
            return want(float(value.ir) if kind in ("double", "real") else int(value.ir))
        if value.ir.type == want:
            return value.ir
        if have in ("integer", "boolean") and kind in ("double", "real"):
            convert = self.builder.sitofp if have == "integer" else self.builder.uitofp
            return convert(value.ir, want)
        if have == "boolean" and kind == "integer":
            return self.builder.zext(value.ir, want)
        if have in ("double", "real") and kind in ("double", "real"):
            return (self.builder.fpext if kind == "double" else self.builder.fptrunc)(value.ir, want)
        raise TypeError(f"{have} cannot be {kind}")

    def common(self, a: Value, b: Value) -> str:
        """The common kind of two values."""
        kinds = {a.kind, b.kind} - {"literal"}
        floating = any(v.kind == "literal" and isinstance(v.ir, float) for v in (a, b))
        for kind in ("double", "real"):
            if kind in kinds:
                return kind
        return "double" if floating else "integer"

    def binary(self, operator: ast.operator, a: Value, b: Value) -> Value:
        """An arithmetic operation."""
        kind = "double" if isinstance(operator, ast.Div) and self.common(a, b) == "integer" else self.common(a, b)
        x, y = self.cast(a, kind), self.cast(b, kind)
        if kind == "integer":
            flags = ("nsw",)
            match operator:
                case ast.Add():
                    return Value(kind, self.builder.add(x, y, flags=flags))
                case ast.Sub():
                    return Value(kind, self.builder.sub(x, y, flags=flags))
                case ast.Mult():
                    return Value(kind, self.builder.mul(x, y, flags=flags))
                case ast.FloorDiv():
                    return Value(kind, self.builder.sdiv(x, y))
        names = {ast.Add: "fadd", ast.Sub: "fsub", ast.Mult: "fmul", ast.Div: "fdiv"}
        return Value(kind, getattr(self.builder, names[type(operator)])(x, y, flags=FAST))

    def compare(self, operator: ast.cmpop, a: Value, b: Value) -> Value:
        """A comparison."""
        kind = self.common(a, b)
        x, y, sign = self.cast(a, kind), self.cast(b, kind), COMPARISONS[type(operator)]
        if kind == "integer":
            return Value("boolean", self.builder.icmp_signed(sign, x, y))
        ordered = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return Value("boolean", ordered(sign, x, y))

    def truth(self, value: Value):
        """A value as a condition."""
        if value.kind == "boolean":
            return value.ir
        if value.kind == "literal":
            return self.types["boolean"](int(bool(value.ir)))
        return self.compare(ast.NotEq(), value, Value("literal", 0)).ir

    def negative(self, value: Value) -> Value:
        """Minus a value."""
        if value.kind == "literal":
            return Value("literal", -value.ir)
        return Value(value.kind, self.builder.fneg(value.ir) if value.kind != "integer" else self.builder.neg(value.ir))

    def place(self, array: Value, index: Value):
        """The address of an entry of an array."""
        return self.builder.gep(array.ir, [self.cast(index, "integer")], inbounds=True)

    def load(self, array: Value, index: Value) -> Value:
        """An entry of an array."""
        entry = self.builder.load(self.place(array, index))
        if array.kind in ("reals", "doubles"):
            return Value(array.kind[:-1], entry)
        narrow = entry.type != self.types["integer"]
        return Value("integer", self.builder.zext(entry, self.types["integer"]) if narrow else entry)

    def store(self, value: Value, array: Value, index: Value) -> None:
        """Write an entry of an array."""
        element = self.elements[array.kind]
        if array.kind in ("reals", "doubles"):
            entry = self.cast(value, array.kind[:-1])
        else:
            entry = self.cast(value, "integer")
            entry = entry if entry.type == element else self.builder.trunc(entry, element)
        self.builder.store(entry, self.place(array, index))

    def intrinsic(self, name: str, result, *values):
        """A call of one of LLVM's own functions."""
        kind = self.ir.FunctionType(result, [value.type for value in values])
        function = self.module.globals.get(name) or self.ir.Function(self.module, kind, name)
        return self.builder.call(function, values)
