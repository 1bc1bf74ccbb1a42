"""Compile formulas to machine code with LLVM: each becomes a loop over the entries of arrays.

A function reads its arrays entry by entry, computes the instructions of a program, and writes or sums its outputs.
Expressions that depend only on fields of the part are computed once, before the loop, in double precision; the rest in
the precision of the arrays. All functions return a double and take pointers, 64-bit integers and doubles.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.compiled import elementary, instructions, store
from sklearn_sgd._engine.compiled.instructions import FAST
from sklearn_sgd._engine.expressions import CONDITIONS, Program

# Operations that are LLVM's own; others are of the C library.
INTRINSICS = {"sqrt", "pow", "sin", "cos"}

# These sources are a part of the key of machine code.
SOURCE = store.hash_of_files(__file__, elementary.__file__, instructions.__file__)

COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}


class Kernel(NamedTuple):
    """The inputs, the program and the outputs of a loop.

    Attributes
    ----------
    program : Program
        Instructions; the last line names the outputs.
    n_numbers : int
        Number of scalar fields of the part; they precede the fields with a number for each coefficient.
    arrays : sequence of str
        Variables that are entries of arrays, and arrays for outputs. If there are none, there is no loop.
    scalars : sequence of str
        Variables that are scalars.
    outputs : sequence of str
        For each output: the array to write it to, or ``+k`` to add it to the k-th of the sums, or ``=`` to return that
        of the last entry.
    """

    program: Program
    n_numbers: int
    arrays: Sequence[str]
    scalars: Sequence[str]
    outputs: Sequence[str]


def compile_kernels(name: str, kernels: Mapping[str, Kernel], dtype: np.dtype) -> dict[str, int]:
    """Addresses of the functions of a part; they are compiled if necessary."""
    key = store.key_of("kernels", dtype.name, list(kernels.items()), SOURCE)
    return store.load(f"{name}-{dtype.name}-{key}", lambda: _make(kernels, dtype))


def _make(kernels: Mapping[str, Kernel], dtype: np.dtype) -> tuple[dict[str, str], bytes]:
    from llvmlite import binding, ir

    module = ir.Module("formulas")
    for role, kernel in kernels.items():
        _Loop(module, role, kernel, dtype).write()
    compiled = binding.parse_assembly(str(module))
    compiled.verify()
    return {role: role for role in kernels}, store.optimised(compiled)


class _Loop:
    """Builder of one function."""

    def __init__(self, module, role: str, kernel: Kernel, dtype: np.dtype):
        from llvmlite import ir

        self.ir, self.module, self.kernel = ir, module, kernel
        self.double, self.integer = ir.DoubleType(), ir.IntType(64)
        self.real = ir.FloatType() if dtype == np.float32 else self.double
        arrays, scalars = list(kernel.arrays), list(kernel.scalars)
        pointer, doubles = self.real.as_pointer(), self.double.as_pointer()
        kinds = [doubles, doubles, self.integer, *[pointer] * len(arrays), *[self.double] * len(scalars)]
        self.function = ir.Function(module, ir.FunctionType(self.double, kinds), role)
        self.numbers, self.sums, self.n, *rest = self.function.args
        self.arrays = dict(zip(arrays, rest, strict=False))
        self.scalars = dict(zip(scalars, rest[len(arrays) :], strict=True))
        for argument in (self.numbers, self.sums, *self.arrays.values()):
            # The drivers never pass overlapping arrays, so entries may be computed in parallel.
            argument.add_attribute("noalias")

    def write(self) -> None:
        """Write the function: first the fields, then the loop, if there are arrays, then the sums."""
        *lines, (_, *outputs) = self.kernel.program
        entry = self.function.append_basic_block("entry")
        self.before = self.inside = after = self.ir.IRBuilder(entry)
        partial: dict[int, Any] = {}
        if self.arrays:
            head, body, end = (self.function.append_basic_block(name) for name in ("head", "body", "end"))
            loop, self.inside, after = map(self.ir.IRBuilder, (head, body, end))
            self.q = loop.phi(self.integer, "q")
            partial = {k: loop.phi(self.double) for k, target in enumerate(self.kernel.outputs) if target[0] in "+="}
            loop.cbranch(loop.icmp_signed("<", self.q, self.n), body, end)
        self.lines: list[tuple[bool, Any]] = []
        for line in lines:
            self.lines.append(self._instruction(*line))
        results = {}
        for k, (target, place) in enumerate(zip(self.kernel.outputs, outputs, strict=True)):
            if target[0] not in "+=":
                self.inside.store(self._real(place), self.inside.gep(self.arrays[target], [self.q]))
                continue
            results[k] = self._double(place)
            if target[0] == "+" and self.arrays:
                results[k] = self.inside.fadd(partial[k], results[k], flags=FAST)
        if self.arrays:
            self.q.add_incoming(self.integer(0), entry)
            self.q.add_incoming(self.inside.add(self.q, self.integer(1), flags=("nuw", "nsw")), body)
            self.inside.branch(head)
            self.before.branch(head)
            for k, phi in partial.items():
                phi.add_incoming(self.double(0.0), entry)
                phi.add_incoming(results[k], body)
        returned = self.double(0.0)
        for k, result in (partial or results).items():
            if self.kernel.outputs[k] == "=":
                returned = result
                continue
            place = after.gep(self.sums, [self.integer(int(self.kernel.outputs[k][1:]))])
            after.store(after.fadd(after.load(place), result), place)
        after.ret(returned)

    def _instruction(self, op: str, *args):
        """Whether an instruction varies from entry to entry, and its value."""
        if op == "constant":
            return False, self.double(float.fromhex(args[0]))
        if op == "number":
            return False, self.before.load(self.before.gep(self.numbers, [self.integer(args[0])]))
        if op == "column":
            # After the scalar fields, one column after the other.
            start = self.inside.add(self.inside.mul(self.n, self.integer(args[0])), self.q)
            place = self.inside.gep(self.numbers, [self.inside.add(start, self.integer(self.kernel.n_numbers))])
            return True, self._narrow(self.inside, self.inside.load(place))
        if op == "variable":
            if args[0] in self.scalars:
                return False, self.scalars[args[0]]
            return True, self.inside.load(self.inside.gep(self.arrays[args[0]], [self.q]))
        varies = any(self.lines[a][0] for a in args)
        builder = self.inside if varies else self.before
        condition = [self.lines[a][1].type == self.ir.IntType(1) for a in args]
        if op in ("and", "or", "not"):
            return varies, self._logic(builder, op, [self._truth(builder, a) for a in args])
        if op == "where":
            test, *values = args
            left, right = (self._value(builder, a, varies) for a in values)
            return varies, builder.select(self._truth(builder, test), left, right)
        values = [
            self._number(builder, a, varies) if c else self._value(builder, a, varies)
            for a, c in zip(args, condition, strict=True)
        ]
        return varies, self._operation(builder, op, *values)

    def _operation(self, builder, op: str, a, b=None):
        simple = {"add": builder.fadd, "sub": builder.fsub, "mul": builder.fmul, "div": builder.fdiv}
        if op in simple:
            return simple[op](a, b, flags=FAST)
        if op in CONDITIONS:
            unordered = op == "ne"
            return (builder.fcmp_unordered if unordered else builder.fcmp_ordered)(COMPARISONS[op], a, b)
        if op == "neg":
            return builder.fneg(a)
        if op == "abs":
            return self._call(builder, "llvm.fabs", a)
        if op == "sign":
            one, zero = a.type(1.0), a.type(0.0)
            # 0 and NaN stay as they are.
            below = builder.select(builder.fcmp_ordered("<", a, zero), a.type(-1.0), a)
            return builder.select(builder.fcmp_ordered(">", a, zero), one, below)
        if op in ("max", "min"):
            # The other operand, unless this one is larger or NaN, as in numpy.maximum.
            wins = builder.fcmp_unordered(">" if op == "max" else "<", a, b)
            return builder.select(builder.and_(wins, builder.fcmp_ordered("ord", b, b)), a, b)
        return self._power(builder, a, b) if op == "pow" else self._function(builder, op, a)

    def _power(self, builder, a, b):
        exponent = getattr(b, "constant", None)
        if exponent in (0.5, 1.0, 2.0, 3.0):
            square = builder.fmul(a, a, flags=FAST)
            return {
                0.5: lambda: self._call(builder, "llvm.sqrt", a),
                1.0: lambda: a,
                2.0: lambda: square,
                3.0: lambda: builder.fmul(square, a, flags=FAST),
            }[exponent]()
        return self._call(builder, "llvm.pow", a, b)

    def _function(self, builder, op: str, a):
        written = elementary.functions(self.ir, builder, partial(self._call, builder, flags=()))
        if op in written:
            return self._as(builder, written[op](self._as(builder, a, self.double)), a.type)
        if op in INTRINSICS:
            return self._call(builder, f"llvm.{op}", a)
        name = {"arctan": "atan"}.get(op, op) + ("f" if a.type == self.ir.FloatType() else "")
        return self._call(builder, name, a, intrinsic=False)

    def _as(self, builder, value, kind):
        """A number in a precision."""
        if value.type == kind:
            return value
        return builder.fptrunc(value, kind) if value.type == self.double else builder.fpext(value, kind)

    def _call(self, builder, name: str, *args, intrinsic: bool = True, flags=FAST):
        kind = self.ir.FunctionType(args[0].type, [a.type for a in args])
        if intrinsic:
            name += ".f32" if args[0].type == self.ir.FloatType() else ".f64"
        function = self.module.globals.get(name) or self.ir.Function(self.module, kind, name)
        return builder.call(function, args, fastmath=flags)

    def _logic(self, builder, op: str, values):
        return builder.not_(*values) if op == "not" else getattr(builder, f"{op}_")(*values)

    def _truth(self, builder, place: int):
        """The value of an instruction as a condition."""
        value = self.lines[place][1]
        boolean = value.type == self.ir.IntType(1)
        return value if boolean else builder.fcmp_unordered("!=", value, value.type(0.0))

    def _number(self, builder, place: int, varies: bool):
        """A condition as 0 or 1."""
        return builder.uitofp(self.lines[place][1], self.real if varies else self.double)

    def _value(self, builder, place: int, varies: bool):
        """The value of an instruction: in the precision of the arrays if its use varies, else in double precision."""
        value = self.lines[place][1]
        if value.type == self.ir.IntType(1):
            return self._number(builder, place, varies)
        if not varies or value.type == self.real:
            return value
        if isinstance(value, self.ir.Constant):
            return self.real(float(np.float32(value.constant)))
        # Converted once, before the loop.
        return self._narrow(self.before, value)

    def _narrow(self, builder, value):
        return value if value.type == self.real else builder.fptrunc(value, self.real)

    def _real(self, place: int):
        return self._value(self.inside, place, True)

    def _double(self, place: int):
        value = self.lines[place][1]
        if value.type == self.ir.IntType(1):
            return self.inside.uitofp(value, self.double)
        return value if value.type == self.double else self.inside.fpext(value, self.double)
