"""The only loop over epochs. Whoever wants epochs asks for the next one; what is done with them is no matter here."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from math import isfinite
from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine import arrays, full, gram
from sklearn_sgd._engine.jit import compiles, is_ours
from sklearn_sgd._engine.passive import PassiveAggressive, squares
from sklearn_sgd._engine.plan import Plan, reweighted
from sklearn_sgd._engine.rows import Csr, Dense
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.step import Full
from sklearn_sgd.losses import SquaredError
from sklearn_sgd.penalties import NoPenalty


class Epoch(NamedTuple):
    """What an epoch tells: its mean loss, each row's taken before its own update, and the penalty at its end."""

    loss: float
    penalty: float
    finite: bool


def epochs(plan: Plan, state: State) -> Iterator[Epoch]:
    """Go on from a state, epoch by epoch, without end; the state is up to date at each yield.

    An epoch that leaves the finite range is undone.
    """
    run, order, free = _choose(plan), plan.order(state.generator, _permute), isinstance(plan.parts.penalty, NoPenalty)
    while True:
        if plan.reweighs(state):
            plan = reweighted(plan, state)
        extras: list = [state.n_updates]
        if plan.geometry:
            extras = [extra for extra in (plan.geometry, state.memory, plan.gram) if extra is not None]
        t = np.arange(state.n_updates + 1, state.n_updates + 1 - (-len(order) // plan.batch_size))
        rates, mixes = plan.schedule(t) * state.rate_factor, plan.mixes(t)
        before = state.vectors.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            total = run(plan.data, order, rates, mixes, plan.batch_size, state.vectors, plan.parts, *extras)
            penalty = 0.0 if free else float(np.sum(plan.parts.penalty.value(state.vectors.coef[:-1]), dtype=float))
            total, state.surprise = total + state.surprise, 0.0
            if not plan.average_from:
                state.vectors.average[:] = state.vectors.coef
            finite = isfinite(total) and state.vectors.finite()
        if not finite:
            state.vectors = before
        weight = plan.data.weight[order].sum(dtype=np.float64) if plan.data.weight.size else len(order)
        loss = float(total / weight) if weight else 0.0
        if len(order):
            state.fresh = False
            state.rate = float(rates[-1])
            state.record(loss)
        state.n_updates += len(t)
        state.n_samples += len(order)
        state.n_epochs += 1
        yield Epoch(loss, penalty, finite)
        if plan.shuffles:
            order = plan.order(state.generator, _permute)


class Newton:
    """What all rows say of a predictor: by how much its loss exceeds the minimum, and the step that leads there.

    In the geometry of covariances the squared error is round: a step along the direction of the whole gradient ends in
    the minimum, half its product with the gradient (the Newton decrement) above it. Epochs with noise come near; a last
    step by it is Le Cam's one-step estimator (A. W. van der Vaart, "Asymptotic Statistics", 1998, section 5.7).
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        if not plan.gram:
            order = np.arange(plan.n_rows) if plan.kept is None else plan.kept
            self.rows = _all_rows(plan)(plan.data, order, plan.parts.loss)

    @staticmethod
    def knows(plan: Plan) -> bool:
        """Whether the plan is such a one."""
        return isinstance(plan.geometry, Full) and isinstance(plan.parts.loss, SquaredError)

    def look(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """The excess of parameters, and the step."""
        if self.plan.gram:
            _, g, error = gram.gradient(self.plan.gram, self.plan.data.rows.bias, w)
        else:
            whole = self.rows.gradient(w)[2]
            g, error = whole[:-1], whole[-1]
        g = g + self.plan.parts.penalty.gradient(w[:-1])
        step = np.append(self.plan.geometry.inverse @ g, error)  # type: ignore[union-attr]
        return 0.5 * float(step[:-1] @ g + error * error), step

    def excess(self, state: State) -> float:
        """How much the loss of a state's predictor exceeds the minimum."""
        return self.look(state.vectors.average)[0]

    def finish(self, state: State) -> None:
        """Let an averaged predictor take the step, if it helps; one that is not averaged is the last update's."""
        if not 0 < self.plan.average_from <= state.n_updates:
            return
        before, step = self.look(state.vectors.average)
        there = (state.vectors.average - step).astype(state.vectors.average.dtype)
        if self.look(there)[0] < before:
            state.vectors.average[:] = there


def _choose(plan: Plan):
    """The pass on the normal matrix, the compiled one where Numba is there and can read the parts, or on arrays."""
    name, rows, parts = "automatic" if plan.geometry else "minibatch", plan.data.rows, plan.parts
    if plan.gram:
        return gram.automatic
    if isinstance(parts.optimizer, PassiveAggressive):
        return partial(_compiled(plan)["passive"], squares=squares(plan.X))
    if plan.batch_size == plan.n_rows and plan.n_entries > full.LEAST:
        return partial(getattr(arrays, name), look=_all_rows(plan))
    compiled = _compiled(plan)
    if name == "minibatch" and compiled is not vars(arrays):
        if isinstance(rows, Csr) and parts.is_plain():
            name = "sparse"
        elif isinstance(rows, Dense) and plan.batch_size == 1:
            name = "online"
    return compiled[name]


def _all_rows(plan: Plan) -> full.AllRows:
    """All rows as one batch."""
    return full.AllRows(_compiled(plan)["gradient"], plan.n_rows, plan.n_entries, plan.threads)


def _compiled(plan: Plan) -> Mapping[str, Callable]:
    """The passes by name: compiled where Numba is there and can read the parts, or on arrays."""
    kernels = _kernels()
    if not kernels:
        return vars(arrays)
    key = plan.kinds, type(plan.data.rows), type(plan.geometry), plan.data.y.dtype
    if key not in _known:
        _known[key] = vars(arrays)
        if all(isinstance(part, tuple) for part in plan.parts) and compiles(plan.parts, plan.data.y.dtype):
            name = "_".join(getattr(kind, "__name__", str(kind)) for kind in (*key[1:], *plan.kinds[1:]))
            _known[key] = kernels.passes(all(map(is_ours, plan.kinds)), name)
    return _known[key]


# The passes for classes of parts, rows and geometry, and a precision.
_known: dict[tuple, Mapping[str, Callable]] = {}


def _permute(order: np.ndarray, generator: np.random.Generator) -> None:
    """Shuffle row numbers in place."""
    kernels = _kernels()
    (kernels.permute() if kernels else arrays.permute)(order, generator)


@cache
def _kernels():
    """The module of compiled passes, imported when first needed; None, with one warning, where Numba cannot be."""
    try:
        from sklearn_sgd._engine import kernels
    except ImportError as error:
        warnings.warn(
            f"Fits run in NumPy, slower, since Numba cannot be imported: {error}", RuntimeWarning, stacklevel=6
        )
        return None
    return kernels
