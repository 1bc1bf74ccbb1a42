"""The only loop over epochs. Whoever wants epochs asks for the next one; what is done with them is no matter here."""

import warnings
from collections.abc import Iterator
from functools import cache
from math import isfinite
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd._engine import arrays, full, gram
from sklearn_sgd._engine.jit import is_ours, kinds
from sklearn_sgd._engine.plan import Plan, State, reweighted
from sklearn_sgd._engine.rows import Csr, Dense
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
    run, kernels = _choose(plan), _kernels()
    permute = kernels.permute() if kernels else arrays.permute
    order, free = plan.order(state.generator, permute), isinstance(plan.parts.penalty, NoPenalty)
    while True:
        if plan.reweighs(state):
            plan = reweighted(plan, state)
        step = [extra for extra in (plan.geometry, state.memory, plan.gram) if plan.geometry and extra is not None]
        t = np.arange(state.n_updates + 1, state.n_updates + 1 - (-len(order) // plan.batch_size))
        rates, mixes = plan.schedule(t) * state.rate_factor, plan.mixes(t)
        before = state.vectors.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            total = run(plan.data, order, rates, mixes, plan.batch_size, state.vectors, plan.parts, *step)
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
            order = plan.order(state.generator, permute)


def _choose(plan: Plan):
    """The pass on the normal matrix, the compiled one where Numba is there and can read the parts, or on arrays."""
    if plan.gram:
        return gram.automatic
    name, rows, parts = "automatic" if plan.geometry else "minibatch", plan.data.rows, plan.parts
    if not (_kernels() and all(isinstance(part, tuple) for part in parts)):
        return getattr(arrays, name)
    compiled = _compiled(kinds(parts), type(rows), type(plan.geometry), plan.data.y.dtype)  # type: ignore[arg-type]
    n_entries = plan.X.nnz if issparse(plan.X) else plan.X.size
    if plan.batch_size == plan.n_rows and n_entries > full.LEAST:
        return full.passes(name, compiled["gradient"], plan.n_rows, n_entries, plan.threads)
    if name == "minibatch" and isinstance(rows, Csr) and parts.is_plain():
        name = "sparse"
    elif name == "minibatch" and isinstance(rows, Dense) and plan.batch_size == 1:
        name = "online"
    return compiled[name]


@cache
def _compiled(parts: tuple[type, ...], rows: Any, geometry: Any, dtype: np.dtype):
    """The compiled passes for such arguments."""
    name = "_".join(getattr(kind, "__name__", str(kind)) for kind in (rows, dtype, *parts[1:], geometry))
    return _kernels().passes(all(map(is_ours, parts)), name)


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
