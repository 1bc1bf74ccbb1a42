"""The choice of the pass, by the traits of the formulas, the kind of rows, and whether they can be compiled."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sklearn_sgd._engine.passes import (
    arrays,
    device,
    device_automatic,
    full_batch,
    graph,
    minimum,
    normal,
    proximal,
    variance_reduced,
)
from sklearn_sgd._engine.passes import drivers as native
from sklearn_sgd._engine.passes.nu_method import NuMethod
from sklearn_sgd._engine.passes.passive_aggressive import is_passive_aggressive
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd._namespace import is_foreign

# Passes that only drivers make.
NOT_ON_ARRAYS = "passive_aggressive", "lazy_automatic"


def choose(plan) -> Callable[..., float]:
    """Return the pass for a plan: on the normal matrix, on arrays, or by a driver."""
    if isinstance(plan.X, RemoteRows):
        return plan.X.choose(plan)
    name = "automatic" if plan.preconditioner else "minibatch"
    if plan.normal and not plan.preconditioner:
        if drivers := drivers_of(plan):
            return normal.Steps(plan, drivers)
        return partial(arrays.minibatch, batch_of=normal.AllRows(plan))
    if plan.normal and not plan.noise and plan.formulas.pulls_linearly:
        return normal.Automatic(plan)
    if plan.minimum and not plan.noise:
        return minimum.Arrival(all_rows(plan))
    if plan.is_parabola:
        return proximal.ProximalNewton(all_rows(plan))
    if is_foreign(plan.X):
        return (device_automatic.Automatic if plan.preconditioner else graph.minibatch)(plan)
    drivers = drivers_of(plan)
    if plan.remembers:
        return variance_reduced.Memory((drivers or in_python(plan)).variance_reduced, plan)
    if plan.has_momentum:
        return WholeEpoch(NuMethod(), all_rows(plan))
    driver_name = _driver_name(plan, name)
    if driver_name in NOT_ON_ARRAYS:
        return (drivers or in_python(plan)).steps(driver_name)
    by_entries = plan.preconditioner is not None and plan.preconditioner.filled is not None
    # Drivers do not seek lengths on both sides of a kink, so that few rows go this way, too.
    may_bend = plan.is_reweighted and plan.n_rows > 1
    if plan.batch_size == plan.n_rows and (plan.n_entries > full_batch.LEAST or by_entries or may_bend):
        return WholeEpoch(getattr(arrays, name), all_rows(plan))
    return drivers.steps(driver_name) if drivers else getattr(arrays, name)


def visits_rows(plan, run: Callable[..., float]) -> bool:
    """Whether a pass visits each row of its epoch, or has others read them, if they are read at all."""
    known = plan.normal and not plan.noise
    whole = plan.is_remote and plan.batch_size >= plan.n_rows
    return not (known or whole or isinstance(run, (WholeEpoch, minimum.Arrival)))


@dataclass(frozen=True)
class WholeEpoch:
    """A pass on arrays over all rows as one batch."""

    run: Callable[..., float]
    rows: Any

    def __call__(self, plan, piece, vectors, window) -> float:
        """Run it, which changes the vectors and the window."""
        return self.run(plan, piece, vectors, window, self.rows)


def _driver_name(plan, name: str) -> str:
    """Return the name of the driver that reads each row once, if there is one."""
    if is_passive_aggressive(plan.parts.optimizer):
        return "passive_aggressive"
    lazy, sparse, single = plan.formulas.is_lazy, plan.data.rows.layout == "csr", plan.batch_size == 1
    if plan.preconditioner:
        if plan.preconditioner.filled is not None and plan.noise and lazy:
            return "lazy_automatic"
        return "online_automatic" if single and not sparse and plan.formulas.is_unpenalised else name
    if sparse:
        if plan.formulas.rests and not (lazy or plan.average_from):
            return "lazy_optimizer"
        return "lazy_minibatch" if lazy else name
    return "online" if single and lazy else name


def all_rows(plan) -> Any:
    """Return all rows as one batch."""
    if isinstance(plan.X, RemoteRows):
        return plan.X.all_rows(plan)
    if is_foreign(plan.X):
        return device.AllRows(plan)
    drivers = drivers_of(plan)
    return full_batch.AllRows(drivers or arrays, plan.n_rows, plan.n_entries, drivers is not None)


def drivers_of(plan) -> native.Drivers | None:
    """Return the drivers for the formulas of a plan; None if they cannot be compiled."""
    if not native.can_compile() or not _is_readable(plan.formulas):
        return None
    known, dtype = plan.formulas.drivers, plan.data.y.dtype
    if dtype not in known:
        known[dtype] = native.Drivers(plan.formulas, dtype)
    return known[dtype]


def in_python(plan) -> native.Drivers:
    """Return the drivers in plain Python, for passes that do not exist on arrays."""
    return native.Drivers(plan.formulas, plan.data.y.dtype, plain=True)


def _is_readable(formulas: Formulas) -> bool:
    """Return whether formulas can be compiled; give one warning with the reason if a named tuple cannot."""
    if formulas.refusal is None:
        return True
    parts = tuple(type(part) for part in formulas.parts)
    if parts not in _warned and all(issubclass(part, tuple) for part in parts):
        refused = type(formulas.refused.part).__name__ if formulas.refused else ""
        warnings.warn(
            f"{refused} runs in NumPy, slower, since it cannot be compiled: {formulas.refusal}",
            RuntimeWarning,
            stacklevel=user_stacklevel(),
        )
        # Not before the warning: if warnings are errors, the next call must fail like the first.
        _warned.add(parts)
    return False


_warned: set[tuple[type, ...]] = set()
