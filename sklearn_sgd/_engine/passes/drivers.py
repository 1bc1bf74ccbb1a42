"""The passes of the drivers: they convert the data of a plan to arguments, for machine code or plain Python."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from sklearn_sgd._engine.compiled import functions, machine, store
from sklearn_sgd._engine.compiled.drivers.full_batch import BLOCK
from sklearn_sgd._engine.compiled.drivers.layouts import LINE
from sklearn_sgd._engine.compiled.drivers.lazy_automatic import HELD, WIDTH
from sklearn_sgd._engine.passes.rows import NO_INDEX, NOTHING, block_rows, rows_ahead
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._engine.warning import user_stacklevel


def is_plain() -> bool:
    """Whether the drivers run as plain Python: for a debugger and for coverage, or since nothing can be compiled."""
    wanted = any(
        os.environ.get(name, "0") not in ("", "0") for name in ("SKLEARN_SGD_DISABLE_JIT", "NUMBA_DISABLE_JIT")
    )
    return wanted or not can_compile()


@cache
def can_compile() -> bool:
    """Return whether anything can be compiled; give one warning with the reason if not."""
    if (reason := store.missing()) is None:
        return True
    warnings.warn(
        f"Fits run in NumPy, slower, since llvmlite cannot be imported: {reason}",
        RuntimeWarning,
        stacklevel=user_stacklevel(),
    )
    return False


class Drivers:
    """The passes for the formulas of parts, by machine code or in plain Python.

    Arrays that do not change are passed as addresses.
    """

    def __init__(self, formulas: Formulas, dtype: np.dtype, plain: bool = False):
        self.terms, self.dtype, self.plain = formulas.terms, dtype, plain or is_plain()
        if self.plain:
            self.functions = functions.python_functions(formulas.parts, formulas)
        else:
            self.functions = functions.compiled_functions(formulas, dtype)
        self.shared = self.functions._asdict()
        if not self.plain:
            # Arrays that do not change are passed as addresses; ``functions`` keeps them alive.
            numbers = {name: value for name, value in self.shared.items() if isinstance(value, np.ndarray)}
            self.shared |= {name: machine.address_of(value, value.dtype) for name, value in numbers.items()}

    def steps(self, name: str) -> "Pass":
        """A driver that makes the steps itself, as a pass."""
        return Pass(self, name)

    def variance_reduced(self, plan, piece, vectors, remembered, mean, renew: float) -> float:
        """Variance-reduced steps; if possible, only on the sparse columns that occur in a batch."""
        if not len(piece.order):
            return 0.0
        more = {"remembered": remembered, "known": mean, "renew": renew}
        if self._lags(plan, piece):
            known, rows = plan.preconditioner, plan.data.rows
            filled = np.empty(0) if known.filled is None else known.filled
            more |= {"inverse": known.diagonal, "filled": filled.astype(rows.index_dtype), "n_filled": len(filled)}
            more |= {"ridge": self.terms.ridge, "seen": np.zeros(rows.columns)}
            steps = self.stepping(plan, piece, vectors, more, batches=4, coefs=0)
            return self.call("lazy_variance_reduced", plan.data, piece.order, steps)()
        steps = self.stepping(plan, piece, vectors, _preconditioner(plan) | more, batches=4, coefs=4)
        return self.call("variance_reduced", plan.data, piece.order, steps)()

    def _lags(self, plan, piece) -> bool:
        """Whether the steps of columns without entries have a closed form: at a constant rate, without averages."""
        known, rows = plan.preconditioner, plan.data.rows
        apart = known.filled is not None or (rows.mean is None and known.inverse.ndim == 1)
        smooth = self.terms is not None and not self.terms.lasso and not len(piece.mixes)
        return rows.layout == "csr" and apart and smooth and bool((piece.rates == piece.rates[0]).all())

    def gradient(self, data, w, order, loss, predictions: np.ndarray) -> Callable[..., tuple[float, float]]:
        """A function (start, stop, g) that adds the gradients of some rows to g, and keeps their predictions.

        It returns the sums of losses and squared slopes. What all rows have in common is prepared once: segments of
        rows are many, and while Python prepares a call, other threads wait.
        """
        more = {"w": w.astype(self.dtype, copy=False), "predictions": predictions}
        call = machine.bound(self.call("gradient", data, order, more), scratch=())

        def of_rows(start: int, stop: int, g: np.ndarray) -> tuple[float, float]:
            work, sums = np.empty(3 * BLOCK + len(w), self.dtype), np.zeros(2 + len(w))
            call({"start": start, "stop": stop, "g": g, "work": work, "sums": sums})
            return float(sums[0]), float(sums[1])

        return of_rows

    def slope(self, data, order, loss, predictions: np.ndarray, along: np.ndarray) -> Callable[..., float]:
        """A function (start, stop, length) that returns the slope of the losses of some rows after a step.

        The step begins at the predictions, and the slope is in its direction.
        """
        values = self.shared | _targets(data, order) | {"predictions": predictions, "along": along}
        made = driver("slope", "dense", self.dtype, NO_INDEX, order.dtype, self.plain)
        call = machine.bound(machine.Call(made, values), scratch=())

        def of_rows(start: int, stop: int, length: float) -> float:
            memory = {"work": np.empty(4 * BLOCK, self.dtype), "sums": np.zeros(2)}
            return call({"start": start, "stop": stop, "length": length, **memory})

        return of_rows

    def stepping(self, plan, piece, vectors, more: dict[str, Any], batches: int, coefs: int) -> dict[str, Any]:
        """The arguments of a driver that makes steps, with scratch memory per row of a batch and per coefficient."""
        size, length = min(plan.batch_size, len(piece.order)), len(vectors.coef)
        averaged = piece.mixes.shape[0] > 0
        return {
            "batch": plan.batch_size,
            "rates": piece.rates,
            "mixes": piece.mixes if averaged else NOTHING,
            "updates": len(piece.rates),
            "averaged": int(averaged),
            "w": vectors.coef,
            "average": vectors.average,
            "work": np.zeros(batches * size + coefs * length, self.dtype),
            "sums": np.zeros(8 + length),
            **more,
        }

    def call(self, name: str, data, order, more: dict[str, Any]) -> machine.Call:
        """A driver together with its arguments."""
        rows = data.rows
        values = {
            **self.shared,
            **rows.arguments(),
            **_targets(data, order),
            "at_once": block_rows(rows),
            "ahead": rows_ahead(rows),
            **more,
        }
        return machine.Call(driver(name, rows.layout, self.dtype, rows.index_dtype, order.dtype, self.plain), values)


def _targets(data, order) -> dict[str, Any]:
    """The arguments for the rows, their targets and their weights."""
    return {"y": data.y} | weighted_rows(data.weight, order)


def weighted_rows(weight: np.ndarray, order: np.ndarray) -> dict[str, Any]:
    """The arguments for the numbers of rows and their weights; without weights all are 1."""
    weighted = weight.shape[0] > 0
    return {"weight": weight if weighted else NOTHING, "weighted": int(weighted), "order": order, "n": len(order)}


@dataclass(frozen=True)
class Pass:
    """A driver that makes the steps itself; called with a plan, a piece of an epoch, vectors and window."""

    drivers: Drivers
    name: str

    def __call__(self, plan, piece, vectors, window) -> float:
        """Run the driver, which changes the vectors and the window."""
        return self.call(plan, piece, vectors, window)() if len(piece.order) else 0.0

    def call(self, plan, piece, vectors, window) -> machine.Call:
        """The driver together with its arguments."""
        drivers, (more, batches, coefs) = self.drivers, OWN[self.name]
        own = more(drivers, plan, piece, vectors, window)
        return drivers.call(
            self.name, plan.data, piece.order, drivers.stepping(plan, piece, vectors, own, batches, coefs)
        )

    def work(self, batch: int, n_columns: int) -> np.ndarray:
        """Scratch memory for a call with batches of ``batch`` rows."""
        _, batches, coefs = OWN[self.name]
        return np.zeros(batches * batch + coefs * (n_columns + 1), self.drivers.dtype)


def _minibatch(drivers, plan, piece, vectors, window) -> dict[str, Any]:
    m, v = vectors.m, vectors.v
    return {"m": NOTHING if m is None else m, "v": NOTHING if v is None else v, "done": piece.n_done}


def _lazy_optimizer(drivers, plan, piece, vectors, window) -> dict[str, Any]:
    n_columns, steps = plan.X.shape[1], np.arange(len(piece.rates) + 1.0)
    left_m, left_v = (kept**steps for kept in plan.formulas.rests)
    more = {"left_m": left_m, "left_v": left_v, "seen": np.zeros(2 * n_columns), "numbers": np.zeros(n_columns)}
    return _minibatch(drivers, plan, piece, vectors, window) | more | {"moments": plan.formulas.moments}


def _automatic(drivers, plan, piece, vectors, window) -> dict[str, Any]:
    return _preconditioner(plan) | {"window": window, "noise": int(plan.noise)}


def _online(drivers, plan, piece, vectors, window) -> dict[str, Any]:
    return drivers.terms._asdict()


def _lazy_minibatch(drivers, plan, piece, vectors, window) -> dict[str, Any]:
    terms, averaged = drivers.terms, piece.mixes.shape[0] > 0
    waits, crosses = averaged or terms.lasso > 0.0, averaged and terms.lasso > 0.0
    return terms._asdict() | {
        "seen": np.zeros((3 if crosses else 1) * plan.X.shape[1]) if waits else NOTHING,
        "clock": np.zeros(3 * (len(piece.rates) + 1)) if crosses else NOTHING,
    }


def _lazy_automatic(drivers, plan, piece, vectors, window) -> dict[str, Any]:
    known, rows = plan.preconditioner, plan.data.rows
    ridge, lasso = drivers.terms
    return {
        "ridge": ridge / known.unit,
        "lasso": lasso / known.unit,
        "unit": known.unit,
        "done": piece.n_done,
        "inverse": known.inverse,
        "filled": known.filled.astype(rows.index_dtype),
        "n_filled": len(known.filled),
        "shared": known.shared,
        "full": int(known.is_full),
        "window": window,
        "noise": int(plan.noise),
        "table": column_table(rows.columns, len(known.filled), min(plan.batch_size, len(piece.order))),
        "held": np.zeros(HELD),
        **_lean(rows),
    }


def _lean(rows) -> dict[str, Any]:
    if rows.lean is None:
        return {"lean": NOTHING, "onto": NOTHING, "leans": 0, "at_means": 0, "reach": 0.0, "unit_of_means": 1.0}
    means, reach, unit = rows.lean
    numbers = {"at_means": int(rows.at_means), "reach": reach, "unit_of_means": unit}
    return {"lean": means, "onto": rows.onto, "leans": 1, **numbers}


def column_table(n_columns: int, n_filled: int, batch: int) -> np.ndarray:
    """Memory for the table of columns of the driver, each row within a cache line, and for what it keeps beside it."""
    return machine.from_line(np.zeros(table_size(n_columns, n_filled, batch) + LINE))


def table_size(n_columns: int, n_filled: int, batch: int) -> int:
    """Number of entries of that memory. Where it is small, the time of a call matters more than cache lines."""
    return WIDTH * n_columns + n_filled + batch


def _passive_aggressive(drivers, plan, piece, vectors, window) -> dict[str, Any]:
    return plan.parts.optimizer._asdict()


# For each driver that makes steps: its own arguments, and its scratch memory for each row of a batch and coefficient.
OWN: dict[str, tuple[Callable[..., dict[str, Any]], int, int]] = {
    "minibatch": (_minibatch, 4, 4),
    "automatic": (_automatic, 6, 5),
    "online_automatic": (_automatic, 6, 2),
    "online": (_online, 0, 0),
    "lazy_minibatch": (_lazy_minibatch, 4, 0),
    "lazy_optimizer": (_lazy_optimizer, 4, 6),
    "lazy_automatic": (_lazy_automatic, 7, 2),
    "passive_aggressive": (_passive_aggressive, 0, 2),
}


def _preconditioner(plan) -> dict[str, Any]:
    inverse = plan.preconditioner.apart
    return {"inverse": inverse, "full": int(inverse.ndim == 2)}


_drivers: dict[tuple, Any] = {}


def driver(name: str, layout: str, dtype, indices, order, plain: bool):
    """A driver, compiled when it is first needed."""
    key = name, layout, dtype, indices, order, plain
    if key not in _drivers:
        kind = machine.PlainDriver if plain else machine.CompiledDriver
        _drivers[key] = kind(name, layout, {"real": dtype, "indices": indices, "rows": order})
    return _drivers[key]


def penalty_functions(formulas: Formulas, dtype: np.dtype, plain: bool) -> dict[str, Any]:
    """The functions of a penalty, and its numbers, as arguments of a driver."""
    if plain:
        made = functions.python_functions(formulas.parts, formulas)
        return {"pull": made.pull, "prox": made.prox, "penalty_numbers": made.penalty_numbers}
    penalty = functions.compiled_penalty(formulas.penalty, dtype)
    return {"pull": penalty["pull"], "prox": penalty["prox"], "penalty_numbers": penalty["numbers"]}
