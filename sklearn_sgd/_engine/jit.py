"""The words that formulas are written in, and how Numba reads the parts. The only magic.

A word means the same for a scalar inside a kernel and for a NumPy array outside. A part is a named tuple with formulas
as methods: Numba identifies it by its class, by name, so a kernel compiled for it can be cached on disk (functions and
closures as arguments cannot: numba issue 2956).
"""

import hashlib
import sys
import warnings
from functools import cache
from itertools import count
from pathlib import Path

import numpy as np

from sklearn_sgd._engine.namespace import namespace

# Methods that a kernel may call: formulas of losses, penalties and optimizers; what rows and geometries do.
FORMULAS = ("value", "gradient", "step", "prox")
LOOPS = ("at", "dot", "add", "ahead", "fetch", "offset", "centre", "direct", "rate")

PACKAGE = Path(__file__).parent.parent

# Without nnan and ninf: a kernel must see a NaN for what it is.
FASTMATH = {"reassoc", "contract", "arcp", "nsz"}


def sign(a):
    """-1, 0 or 1."""
    return namespace(a).sign(a)


def clip(a, low, high):
    """The nearest value between ``low`` and ``high``; None: no bound above."""
    return namespace(a).clip(a, low, high)


def exp(a):
    """Exponential."""
    return namespace(a).exp(a)


def expm1(a):
    """``exp(a) - 1``."""
    return namespace(a).expm1(a)


def log(a):
    """Logarithm."""
    return namespace(a).log(a)


def log1p(a):
    """``log(1 + a)``."""
    return namespace(a).log1p(a)


def tanh(a):
    """Hyperbolic tangent."""
    return namespace(a).tanh(a)


def shrink(a, threshold):
    """Soft threshold: towards 0 by ``threshold``, and not past it."""
    return sign(a) * clip(abs(a) - threshold, 0.0, None)


def growth(u, a):
    """``(exp(a u) - 1) / a``, and its limit u for a = 0."""
    return expm1(a * u) / a if a != 0.0 else 1.0 * u


def prefetch(array, i):
    """Ask the processor to bring the memory at flat index i into its second cache; plain Python has nothing to ask."""


def recall(moment, j):
    """A moment of coordinate j; 0 where none is kept."""
    return 0.0 if moment is None else moment[j]


def keep(moment, j, value):
    """Keep a moment of coordinate j, where one is kept."""
    if moment is not None:
        moment[j] = value


def callers_level() -> int:
    """The stack level of the user's line, for a warning given by the function that asks."""
    frame, level = sys._getframe(1), 1
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in (__name__.partition(".")[0], "sklearn"):
        frame, level = frame.f_back, level + 1
    return level


@cache
def fingerprint() -> str:
    """Hash of the package's sources: in the key of each cached kernel: Numba watches the kernel's own file only."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kinds(part) -> tuple[type, ...]:
    """The classes of a part and of the parts in it."""
    inner = (kinds(field) for field in part if isinstance(field, tuple)) if isinstance(part, tuple) else ()
    return (type(part), *(kind for some in inner for kind in some))


def is_ours(kind: type) -> bool:
    """Whether a class of parts is of this package: the fingerprint does not see others."""
    return issubclass(kind, tuple) and kind.__module__.partition(".")[0] == __name__.partition(".")[0]


def told_apart(part):
    """The same part as Numba can tell it from others: by name, which two classes from outside may share."""
    ours = all(map(is_ours, kinds(part)))
    return part if ours or not isinstance(part, tuple) else tuple.__new__(_renamed(type(part)), part)


@cache
def _renamed(kind: type) -> type:
    return type(f"{kind.__name__}_{next(_numbers)}", (kind,), {"__slots__": (), "__module__": kind.__module__})


_numbers = count()


# Whether parts from outside, known by their classes, can be compiled.
_compiles: dict[tuple[type, ...], bool] = {}


def compiles(parts, dtype) -> bool:
    """Whether Numba can compile the formulas of parts; one warning says where it cannot, and why."""
    classes = kinds(parts)
    if all(map(is_ours, classes)):
        return True
    if classes not in _compiles:
        reason = _refusal(parts, dtype)
        _compiles[classes] = reason is None
        if reason:
            names = [kind.__mro__[1].__name__ for kind in classes if not is_ours(kind)]
            warnings.warn(
                f"{', '.join(names)} runs in NumPy, slower, since Numba cannot compile it: {reason}",
                RuntimeWarning,
                stacklevel=callers_level(),
            )
    return _compiles[classes]


def _refusal(parts, dtype) -> str | None:
    """What Numba says against the formulas of parts."""
    from numba import config, from_dtype, njit, typeof
    from numba.core.errors import NumbaError

    if config.DISABLE_JIT:
        return None

    def formulas(parts, y, p):
        direction, rate = parts.optimizer.step(p, p, p, p, p, p, 1)[:2]
        return parts.loss.value(y, p) + parts.loss.gradient(y, p) + parts.penalty.prox(p - rate * direction, rate, 0)

    wire()
    try:
        for number in (number for part in parts for number in part):
            typeof(number)
        njit(formulas).compile((typeof(parts), from_dtype(dtype), from_dtype(dtype)))
    except (NumbaError, NotImplementedError, ValueError) as error:
        # Of the many lines that Numba may write, the innermost complaint.
        lines = [line.strip(" -") for line in str(error).splitlines()]
        said = [line for line in lines if line.startswith(("Cannot", "No ", "Un", "Use ", "Invalid", "Argument"))]
        return (said or lines)[-1]
    return None


@cache
def wire() -> None:
    """Tell Numba the words, and that a method of a named tuple is the Python function of that name on its class."""
    from numba.core import types
    from numba.extending import overload, overload_method

    def word(function):
        return overload(function, inline="always")

    @word(sign)
    def _(a):
        return lambda a: np.sign(a)

    @word(clip)
    def _(a, low, high):
        if isinstance(high, types.NoneType):
            return lambda a, low, high: max(a, low)
        return lambda a, low, high: min(max(a, low), high)

    @word(shrink)
    def _(a, threshold):
        return shrink

    @word(exp)
    def _(a):
        return lambda a: np.exp(a)

    @word(expm1)
    def _(a):
        return lambda a: np.expm1(a)

    @word(log)
    def _(a):
        return lambda a: np.log(a)

    @word(log1p)
    def _(a):
        return lambda a: np.log1p(a)

    @word(tanh)
    def _(a):
        return lambda a: np.tanh(a)

    @overload(growth)
    def _(u, a):
        return growth

    @word(recall)
    def _(moment, j):
        if isinstance(moment, types.NoneType):
            return lambda moment, j: 0.0
        return lambda moment, j: moment[j]

    @word(keep)
    def _(moment, j, value):
        if isinstance(moment, types.NoneType):
            return lambda moment, j, value: None

        def put(moment, j, value):
            moment[j] = value

        return put

    touch = _prefetch_intrinsic()

    @overload(prefetch)
    def _(array, i):
        return lambda array, i: touch(array, i)

    # Written out where it is called: Numba cannot pass an empty tuple, such as a loss without numbers; and a call would
    # count references to each array of a part, row by row. Not strict: a loss's gradient takes (y, p), a penalty's (w).
    def method(name):
        return lambda self, *args: getattr(self.instance_class, name, None)

    for name in FORMULAS + LOOPS:
        overload_method(types.BaseNamedTuple, name, inline="always", strict=False)(method(name))


def _prefetch_intrinsic():
    """LLVM's prefetch instruction for an entry of a contiguous array, which it takes as flat."""
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    @intrinsic
    def touch(typing_context, array, i):
        def codegen(context, builder, signature, args):
            view = context.make_array(signature.args[0])(context, builder, args[0])
            position = context.cast(builder, args[1], signature.args[1], types.intp)
            byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
            address = builder.bitcast(builder.gep(view.data, [position]), byte)
            kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
            fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            # Read, keep in the second level, data: more lines can be on their way to it at once than to the first.
            builder.call(fetch, [address, number(0), number(2), number(1)])
            return context.get_dummy_value()

        return types.void(array, i), codegen

    return touch
