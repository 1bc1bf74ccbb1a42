"""The only loop over epochs. Whoever wants epochs asks for the next one; what is done with them is no matter here."""

import warnings
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine import arrays, gram
from sklearn_sgd._engine.jit import is_ours
from sklearn_sgd._engine.plan import Plan, State, reweighted
from sklearn_sgd._engine.rows import Csr, Dense
from sklearn_sgd.optimizers import SGD
from sklearn_sgd.penalties import L1, L2, ElasticNet, NoPenalty


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
    while True:
        if plan.reweighs(state):
            plan = reweighted(plan, state)
        step = [extra for extra in (plan.geometry, state.memory, plan.gram) if plan.geometry and extra is not None]
        order = plan.order(state.generator, permute)
        t = np.arange(state.n_updates + 1, state.n_updates + 1 - (-len(order) // plan.batch_size))
        rates, mixes = plan.rates(t) * state.rate_factor, plan.mixes(t)
        before = state.vectors.copy()
        with np.errstate(over="ignore", invalid="ignore"):
            total = run(plan.data, order, rates, mixes, plan.batch_size, state.vectors, plan.parts, *step)
            penalty = float(np.sum(plan.parts.penalty.value(state.vectors.coef[:-1]), dtype=np.float64))
        total, state.surprise = total + state.surprise, 0.0
        if not plan.average_from:
            state.vectors.average[:] = state.vectors.coef
        finite = bool(np.isfinite(total)) and state.vectors.finite()
        if not finite:
            state.vectors = before
        weight = plan.data.weight[order].sum(dtype=np.float64) if plan.data.weight.size else len(order)
        loss = float(total / weight) if weight else 0.0
        if len(order):
            state.fresh = False
            state.rate = float(rates[-1])
            state.loss_curve.append(loss)
        state.n_updates += len(t)
        state.n_samples += len(order)
        state.n_epochs += 1
        yield Epoch(loss, penalty, finite)


def _choose(plan: Plan):
    """The pass on the normal matrix, the compiled one where Numba is there and can read the parts, or on arrays."""
    if plan.gram:
        return gram.automatic
    name = "automatic" if plan.geometry else "minibatch"
    kernels = _kernels()
    if not (kernels and all(isinstance(part, tuple) for part in plan.parts)):
        return getattr(arrays, name)
    plain = isinstance(plan.parts.optimizer, SGD) and isinstance(plan.parts.penalty, (NoPenalty, L2, L1, ElasticNet))
    if name == "minibatch" and plain and isinstance(plan.data.rows, Csr):
        name = "sparse"
    elif name == "minibatch" and plan.batch_size == 1 and isinstance(plan.data.rows, Dense):
        name = "online"
    kinds = [plan.data.rows, plan.data.y.dtype, *plan.parts, *plan.parts.penalty, plan.geometry]
    kind = "_".join(str(k) if isinstance(k, np.dtype) else type(k).__name__ for k in kinds)
    return kernels.passes(all(map(is_ours, plan.parts)), kind)[name]


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
