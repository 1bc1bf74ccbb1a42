"""The functions of parts that drivers call: compiled from their formulas, or plain Python.

Loss, optimizer and penalty are compiled separately, each for a precision. Their fields are arguments. All functions
have the arguments ``(numbers, sums, n, *arrays, *scalars)``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.compiled import emit
from sklearn_sgd._engine.expressions import apply, program, variable
from sklearn_sgd._engine.traits import Formulas, LossReading, OptimizerReading, PenaltyReading

NONE = np.zeros(0)


class Functions(NamedTuple):
    """Functions that the drivers call: addresses, or Python functions; 0 if there is nothing to do.

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
        Values of their fields.
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


def compiled_loss(loss: LossReading, dtype: np.dtype) -> dict[str, Any]:
    """Addresses of the machine code of a loss, by name, and the values of its fields."""
    return _compiled("loss", loss, _loss_kernels, dtype)


def compiled_penalty(penalty: PenaltyReading, dtype: np.dtype) -> dict[str, Any]:
    """The functions and numbers of a penalty; functions are 0 where there is nothing to do."""
    return {"pull": 0, "prox": 0} | _compiled("penalty", penalty, _penalty_kernels, dtype)


def compiled_functions(formulas: Formulas, dtype: np.dtype) -> Functions:
    """Addresses of the machine code of formulas."""
    loss = compiled_loss(formulas.loss, dtype)
    optimizer = _compiled("optimizer", formulas.optimizer, _update_kernel, dtype)
    penalty = compiled_penalty(formulas.penalty, dtype)
    return Functions(
        loss["block"],
        loss["slopes"],
        loss["row"],
        loss["numbers"],
        optimizer["update"],
        optimizer["numbers"],
        penalty["pull"],
        penalty["prox"],
        penalty["numbers"],
    )


def _compiled(name: str, reading: Any, kernels: Callable, dtype: np.dtype) -> dict[str, Any]:
    """Addresses of the functions of a part, and the values of its fields."""
    if dtype not in reading.compiled:
        made = kernels(reading, len(reading.symbols.numbers))
        addresses = emit.compile_kernels(name, made, dtype) if made else {}
        reading.compiled[dtype] = addresses | {"numbers": reading.symbols.values()}
    return reading.compiled[dtype]


def _loss_kernels(loss: LossReading, count: int) -> dict[str, emit.Kernel]:
    s = variable("s")
    cost, slope = apply("mul", s, loss.value), apply("mul", s, loss.slope)
    square, arrays = apply("mul", slope, loss.slope), ("y", "p", "s", "c")
    return {
        "block": emit.Kernel(program(slope, cost, square), count, arrays, (), ("c", "+0", "+1")),
        "slopes": emit.Kernel(program(slope), count, arrays, (), ("c",)),
        "row": emit.Kernel(program(slope, cost), count, (), ("y", "p", "s"), ("=", "+0")),
    }


def _update_kernel(optimizer: OptimizerReading, count: int) -> dict[str, emit.Kernel]:
    direction, rate, m, v = optimizer.step
    moved = apply("sub", variable("w"), apply("mul", rate, direction))
    outputs = {"w": moved, "h": rate, "m": m, "v": v}
    kept = list(outputs)[: 2 + optimizer.moments]
    arrays = ("g", "pull", "w", "m", "v", "h")
    made = program(*(outputs[name] for name in kept))
    return {"update": emit.Kernel(made, count, arrays, ("rate", "t"), tuple(kept))}


def _penalty_kernels(penalty: PenaltyReading, count: int) -> dict[str, emit.Kernel]:
    kernels = {}
    if not penalty.has_no_pull:
        kernels["pull"] = emit.Kernel(program(penalty.pull), count, ("w", "pull"), (), ("pull",))
    if not penalty.is_smooth:
        kernels["prox"] = emit.Kernel(program(penalty.prox), count, ("w", "rate"), (), ("w",))
    return kernels


def python_slopes(loss: Any) -> Callable:
    """The function `slopes` in plain Python, on arrays."""

    def slopes(numbers, sums, n, y, z, s, c):
        c[:n] = s[:n] * loss.gradient(y[:n], z[:n])

    return slopes


def python_functions(parts: Any, formulas: Formulas) -> Functions:
    """The functions of all parts in plain Python, on arrays."""
    loss, penalty, optimizer = parts

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
        python_slopes(loss),
        row,
        NONE,
        update,
        NONE,
        0 if formulas.penalty.has_no_pull else pull,
        0 if formulas.is_smooth else prox,
        NONE,
    )
