"""The passes of the drivers: their arguments made of a plan's data, for machine code or plain Python."""

import os
from typing import Any

import numpy as np

from sklearn_sgd._engine.compiled import functions, machine
from sklearn_sgd._engine.compiled.drivers.full_batch import STRETCH
from sklearn_sgd._engine.passes.rows import NOTHING, block_rows, rows_ahead
from sklearn_sgd._engine.traits import ElasticNetTerms, Formulas


def is_plain() -> bool:
    """Whether the drivers run as plain Python, for a debugger and for coverage."""
    return any(os.environ.get(name, "0") not in ("", "0") for name in ("SKLEARN_SGD_DISABLE_JIT", "NUMBA_DISABLE_JIT"))


class Drivers:
    """The passes for the formulas of parts, by machine code or in plain Python.

    Each takes a plan, a piece of an epoch, the vectors, which it changes, and the window of recent curvatures.
    """

    def __init__(self, formulas: Formulas, dtype: np.dtype, plain: bool = False):
        self.terms, self.dtype, self.plain = formulas.terms, dtype, plain or is_plain()
        if self.plain:
            self.functions = functions.python_functions(formulas.parts, formulas)
        else:
            self.functions = functions.compiled_functions(formulas, dtype)
        self.shared = self.functions._asdict()
        if not self.plain:
            # Arrays that stay are given by their addresses; ``functions`` keeps them.
            numbers = {name: value for name, value in self.shared.items() if isinstance(value, np.ndarray)}
            self.shared |= {name: machine.address_of(value, value.dtype) for name, value in numbers.items()}

    def minibatch(self, plan, piece, vectors, window) -> float:
        """Steps on batches by a schedule."""
        m, v = vectors.m, vectors.v
        kept = {"m": NOTHING if m is None else m, "v": NOTHING if v is None else v, "done": piece.n_done}
        return self._steps("minibatch", plan, piece, vectors, kept, batches=4, coefs=4)

    def automatic(self, plan, piece, vectors, window) -> float:
        """Steps on batches by the automatic step."""
        return self._steps("automatic", plan, piece, vectors, _automatic(plan, window), batches=6, coefs=5)

    def single(self, plan, piece, vectors, window) -> float:
        """The same on single rows, without penalty."""
        return self._steps("single", plan, piece, vectors, _automatic(plan, window), batches=6, coefs=2)

    def online(self, plan, piece, vectors, window) -> float:
        """Plain descent over single dense rows."""
        return self._steps("online", plan, piece, vectors, self._terms()._asdict())

    def lazy(self, plan, piece, vectors, window) -> float:
        """Plain descent over sparse rows."""
        terms, averaged = self._terms(), piece.mixes.shape[0] > 0
        waits, crosses = averaged or terms.lasso > 0.0, averaged and terms.lasso > 0.0
        more = terms._asdict() | {
            "seen": np.zeros(3 * plan.X.shape[1]) if waits else NOTHING,
            "clock": np.zeros(3 * (len(piece.rates) + 1)) if crosses else NOTHING,
        }
        return self._steps("lazy", plan, piece, vectors, more, batches=4)

    def variance_reduced(self, plan, piece, vectors, remembered, mean, renew: float) -> float:
        """Steps of reduced variance."""
        more = _preconditioner(plan) | {"remembered": remembered, "known": mean, "renew": renew}
        return self._steps("variance_reduced", plan, piece, vectors, more, batches=4, coefs=4)

    def passive_aggressive(self, plan, piece, vectors, window, squares: np.ndarray) -> float:
        """Passive-aggressive steps on single rows."""
        more = plan.parts.optimizer._asdict() | {"squares": squares}
        return self._steps("passive_aggressive", plan, piece, vectors, more, coefs=2)

    def gradient(self, data, w, order, loss, start: int, stop: int, g: np.ndarray) -> tuple[float, float]:
        """Add the gradients of some rows to g; the sums of their losses and squared slopes."""
        sums = np.zeros(2 + len(w))
        more = {"start": start, "stop": stop, "w": w.astype(self.dtype, copy=False), "g": g, "sums": sums}
        self._run("gradient", data, order, more | {"work": np.empty(4 * STRETCH + len(w), self.dtype)})
        return float(sums[0]), float(sums[1])

    def _terms(self) -> ElasticNetTerms:
        """The numbers of a penalty that can be applied late."""
        assert self.terms is not None
        return self.terms

    def _steps(self, name: str, plan, piece, vectors, more: dict[str, Any], batches: int = 0, coefs: int = 0) -> float:
        """Run a driver that steps, with memory for numbers of each row of a batch and of each coefficient."""
        size, length = min(plan.batch_size, len(piece.order)), len(vectors.coef)
        averaged = piece.mixes.shape[0] > 0
        steps = {
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
        return self._run(name, plan.data, piece.order, steps)

    def _run(self, name: str, data, order, more: dict[str, Any]) -> float:
        if not len(order):
            return 0.0
        rows, weighted = data.rows, data.weight.shape[0] > 0
        values = {
            **self.shared,
            **rows.arguments(),
            "y": data.y,
            "weight": data.weight if weighted else NOTHING,
            "weighted": int(weighted),
            "order": order,
            "n": len(order),
            "chunk": block_rows(rows),
            "ahead": rows_ahead(rows),
            **more,
        }
        return driver(name, rows.layout, self.dtype, rows.index_dtype, order.dtype, self.plain)(values)


def _preconditioner(plan) -> dict[str, Any]:
    return {"inverse": plan.preconditioner.inverse, "full": int(plan.preconditioner.is_full)}


def _automatic(plan, window: np.ndarray) -> dict[str, Any]:
    return _preconditioner(plan) | {"window": window, "noise": int(plan.noise)}


_drivers: dict[tuple, Any] = {}


def driver(name: str, layout: str, dtype, indices, order, plain: bool):
    """A driver, compiled when it is first needed."""
    key = name, layout, dtype, indices, order, plain
    if key not in _drivers:
        kind = machine.PlainDriver if plain else machine.CompiledDriver
        _drivers[key] = kind(name, layout, {"real": dtype, "indices": indices, "rows": order})
    return _drivers[key]


# Random numbers that are drawn at once.
DRAWS = 8192


def permute(order: np.ndarray, generator: np.random.Generator, plain: bool) -> None:
    """Shuffle row numbers in place: Fisher and Yates. Many draws at once cost a third of single ones."""
    kinds = np.dtype(np.float64), np.dtype(np.uint32), order.dtype
    shuffle = None if plain else driver("permute", "dense", *kinds, plain)
    for start in range(1, len(order), DRAWS):
        draws = generator.random(min(DRAWS, len(order) - start))
        if shuffle:
            shuffle({"order": order, "start": start, "draws": draws, "n": len(draws)})
        else:
            machine.source("permute", "dense")(order, start, draws, len(draws))
