"""The functions of parts, as the drivers call them: compiled from their formulas, or as plain Python.

Loss, optimizer and penalty are compiled apart, each for a precision, and take their numbers as data. All functions have
the arguments ``(numbers, sums, n, *arrays, *scalars)``.
"""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.compiled import emit
from sklearn_sgd._engine.expressions import apply, program, variable
from sklearn_sgd._engine.traits import Formulas

NONE = np.zeros(0)


class Functions(NamedTuple):
    """What the drivers call: addresses, or Python functions; 0 where there is nothing to do.

    Attributes
    ----------
    block : function (numbers, sums, n, y, z, s, c)
        Adds to ``sums`` the losses and squared slopes of rows with targets y, predictions z and weights s, and writes
        weight times slope to c.
    slopes : function (numbers, sums, n, y, z, s, c)
        Writes weight times slope to c.
    row : function (numbers, sums, n, y, z, s)
        Returns weight times slope of one row, and adds its loss to ``sums``.
    update : function (numbers, sums, n, g, pull, w, m, v, h, rate, t)
        Steps along a gradient, and writes the rate of each coefficient to h.
    pull : function (numbers, sums, n, w, pull)
        Writes the gradient of the penalty.
    prox : function (numbers, sums, n, w, h)
        The proximal step of the penalty.
    loss_numbers, optimizer_numbers, penalty_numbers : ndarray
        Their numbers.
    """

    block: Any
    slopes: Any
    row: Any
    loss_numbers: np.ndarray
    update: Any
    optimizer_numbers: np.ndarray
    pull: Any
    prox: Any
    penalty_numbers: np.ndarray


def compiled_functions(formulas: Formulas, dtype: np.dtype) -> Functions:
    """Addresses of the machine code of formulas."""
    loss = emit.compile_kernels("loss", _loss_kernels(formulas), dtype)
    update = emit.compile_kernels("optimizer", {"update": _update_kernel(formulas)}, dtype)
    kernels = _penalty_kernels(formulas)
    penalty = emit.compile_kernels("penalty", kernels, dtype) if kernels else {}
    return Functions(
        loss["block"],
        loss["slopes"],
        loss["row"],
        formulas.loss.values(),
        update["update"],
        formulas.optimizer.values(),
        penalty.get("pull", 0),
        penalty.get("prox", 0),
        formulas.penalty.values(),
    )


def _loss_kernels(formulas: Formulas) -> dict[str, emit.Kernel]:
    s, count = variable("s"), len(formulas.loss.numbers)
    loss, slope = apply("mul", s, formulas.value), apply("mul", s, formulas.slope)
    square = apply("mul", slope, formulas.slope)
    arrays = ("y", "p", "s", "c")
    return {
        "block": emit.Kernel(program(slope, loss, square), count, arrays, (), ("c", "+0", "+1")),
        "slopes": emit.Kernel(program(slope), count, arrays, (), ("c",)),
        "row": emit.Kernel(program(slope, loss), count, (), ("y", "p", "s"), ("=", "+0")),
    }


def _update_kernel(formulas: Formulas) -> emit.Kernel:
    direction, rate, m, v = formulas.step
    moved = apply("sub", variable("w"), apply("mul", rate, direction))
    outputs = {"w": moved, "h": rate}
    if formulas.moments > 0:
        outputs["m"] = m
    if formulas.moments > 1:
        outputs["v"] = v
    arrays = ("g", "pull", "w", "m", "v", "h")
    return emit.Kernel(
        program(*outputs.values()), len(formulas.optimizer.numbers), arrays, ("rate", "t"), tuple(outputs)
    )


def _penalty_kernels(formulas: Formulas) -> dict[str, emit.Kernel]:
    kernels, count = {}, len(formulas.penalty.numbers)
    if not formulas.is_unpulled:
        kernels["pull"] = emit.Kernel(program(formulas.pull), count, ("w", "pull"), (), ("pull",))
    if not formulas.is_smooth:
        kernels["prox"] = emit.Kernel(program(formulas.prox), count, ("w", "rate"), (), ("w",))
    return kernels


def python_functions(parts: Any, formulas: Formulas) -> Functions:
    """The same on arrays, in plain Python."""
    loss, penalty, optimizer = parts

    def slopes(numbers, sums, n, y, z, s, c):
        c[:n] = s[:n] * loss.gradient(y[:n], z[:n])

    def block(numbers, sums, n, y, z, s, c):
        slope = loss.gradient(y[:n], z[:n])
        c[:n] = s[:n] * slope
        sums[0] += np.sum(s[:n] * loss.value(y[:n], z[:n]), dtype=np.float64)
        sums[1] += np.sum(c[:n] * slope, dtype=np.float64)

    def row(numbers, sums, n, y, z, s):
        sums[0] += s * loss.value(y, z)
        return s * loss.gradient(y, z)

    def update(numbers, sums, n, g, pull, w, m, v, h, rate, t):
        moments = (m[:n] if formulas.moments > 0 else 0.0), (v[:n] if formulas.moments > 1 else 0.0)
        d, h[:n], first, second = optimizer.step(g[:n], pull[:n], w[:n], *moments, rate, t)
        if formulas.moments > 0:
            m[:n] = first
        if formulas.moments > 1:
            v[:n] = second
        w[:n] -= h[:n] * d

    def pull(numbers, sums, n, w, out):
        out[:n] = penalty.gradient(w[:n])

    def prox(numbers, sums, n, w, h):
        w[:n] = penalty.prox(w[:n], h[:n], ...)

    return Functions(
        block,
        slopes,
        row,
        NONE,
        update,
        NONE,
        0 if formulas.is_unpulled else pull,
        0 if formulas.is_smooth else prox,
        NONE,
    )
