"""The only loop over epochs. Whoever wants epochs asks for the next one; what is done with them is no matter here."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine import arrays, full, gram, passive, reduced
from sklearn_sgd._engine.jit import callers_level, compiles, is_ours
from sklearn_sgd._engine.namespace import asked_of_rows, is_foreign, take, total
from sklearn_sgd._engine.plan import Plan, next_plan, reweighted
from sklearn_sgd._engine.recipe import Recipe
from sklearn_sgd._engine.rows import CentredDense, Csr, Dense
from sklearn_sgd._engine.state import State, Vectors
from sklearn_sgd._engine.step import Full
from sklearn_sgd.losses import SquaredError
from sklearn_sgd.penalties import NoPenalty

# Random numbers that are drawn at once.
DRAWS = 8192


def quiet():
    """No warnings of NumPy's: a descent that diverges says so itself."""
    return np.errstate(over="ignore", invalid="ignore")


class Epoch(NamedTuple):
    """What an epoch tells: its mean loss, each row's taken before its own update, and the penalty at its end."""

    loss: float
    penalty: float
    finite: bool


class Descent:
    """The way of one target: a plan, and the state that goes on by it."""

    def __init__(self, plan: Plan, state: State, run: Callable | None = None, before: Vectors | None = None):
        self.plan, self.state, self.run, self.stopped = plan, state, run or _choose(plan), False
        self.before = before
        # Compiled loops do not warn, and a small call would rather not ask for silence.
        self.go_over = self.run if hasattr(self.run, "py_func") else quiet()(self.run)

    def begin(self) -> None:
        """Make ready for an epoch."""
        plan, state = self.plan, self.state
        if plan.reweighs(state):
            self.plan = plan = reweighted(plan, state)
        if self.before is None:
            self.before = state.vectors.copy()
        self.total = state.surprise

    def go(self, order: np.ndarray, start: int, stop: int) -> None:
        """Take the rows from one place in the order to another, which are whole batches."""
        plan, state = self.plan, self.state
        if stop - start < len(order):
            order = order[start:stop]
        done = state.n_updates + start // plan.batch_size
        t = np.arange(done + 1, done + 1 - (-len(order) // plan.batch_size))
        rates, mixes = plan.schedule(t), plan.mixes(t)
        if state.rate_factor != 1.0:
            rates = rates * state.rate_factor
        if len(rates):
            self.rate = float(rates[-1])
        extras: tuple = (done,)
        if plan.geometry:
            extras = (plan.geometry, state.memory, plan.gram) if plan.gram else (plan.geometry, state.memory)
        self.total += self.go_over(plan.data, order, rates, mixes, plan.batch_size, state.vectors, plan.parts, *extras)

    def end(self, order: np.ndarray) -> Epoch:
        """Count the epoch; one that left the finite range is undone."""
        plan, state = self.plan, self.state
        penalty = 0.0
        if not isinstance(plan.parts.penalty, NoPenalty):
            with quiet():
                penalty = float(np.sum(plan.parts.penalty.value(state.vectors.coef[:-1]), dtype=float))
        finite = isfinite(self.total) and state.vectors.finite(bool(plan.average_from))
        if not finite and self.before:
            state.vectors = self.before
        elif not plan.average_from:
            state.vectors.average[:] = state.vectors.coef
        self.before = None
        n_rows = len(order)
        weight = total(take(plan.data.weight, order)) if plan.data.weight.shape[0] else n_rows
        loss = float(self.total / weight) if weight else 0.0
        if n_rows:
            state.fresh, state.surprise = False, 0.0
            state.rate = self.rate
            state.record(loss)
            state.n_epochs += 1
        state.n_updates += -(-n_rows // plan.batch_size)
        state.n_samples += n_rows
        return Epoch(loss, penalty, finite)


class Stream:
    """A descent that is to go on through rows like its last ones: as many, dense, without weights, of one target."""

    def __init__(self, recipe: Recipe, descent: Descent):
        nothing: Any = None
        self.recipe, self.plan = recipe, descent.plan._replace(X=None, data=nothing)
        self.n_rows, self.order = self.plan.n_rows, self.plan.order(self.plan.used, descent.state.generator, permute)
        # Whether rows that are not finite show in the loss, as those of a squared error do, and nowhere before.
        squared = isinstance(self.plan.parts.loss, SquaredError)
        self.tells = squared and not self.plan.geometry and not self.plan.drop_last
        # A partial one was told of its own rows.
        self.run = None if isinstance(descent.run, partial) else descent.run

    def descent(self, X: np.ndarray, y: np.ndarray, known: State) -> Descent:
        """The descent through the next rows, from a state that is not changed."""
        state = known.fork()
        plan = next_plan(self.plan, self.recipe, X, y, state)
        return Descent(plan, state, self.run, before=None if plan.geometry else known.vectors)


def epochs(descents: Sequence[Descent]) -> Iterator[list[tuple[Descent, Epoch]]]:
    """Go on from where the descents stand, epoch by epoch, until all are ``stopped``; states are up to date then.

    The descents are those of several targets on the same rows. They take turns at pieces of an epoch, so that rows come
    from memory once for all targets.
    """
    plan = descents[0].plan
    numbers, generator = plan.used.copy() if plan.shuffles else plan.used, descents[0].state.generator
    order = plan.order(numbers, generator, permute)
    while going := [descent for descent in descents if not descent.stopped]:
        yield one_epoch(going, order)
        if plan.shuffles:
            order = plan.order(numbers, generator, permute)


def one_epoch(descents: Sequence[Descent], order: np.ndarray | None = None) -> list[tuple[Descent, Epoch]]:
    """Go on over the rows of the plans, in this order or their own."""
    if order is None:
        order = descents[0].plan.order(descents[0].plan.used, descents[0].state.generator, permute)
    for descent in descents:
        descent.begin()
    plan = descents[0].plan
    size = plan.piece(len(descents)) if len(order) > plan.batch_size else plan.batch_size
    for start in range(0, len(order), size):
        for descent in descents:
            descent.go(order, start, min(start + size, len(order)))
    return [(descent, descent.end(order)) for descent in descents]


class Newton:
    """What all rows say of a predictor: by how much its loss exceeds the minimum, and the step that leads there.

    In the geometry of covariances the squared error is round: a step along the direction of the whole gradient ends in
    the minimum, half its product with the gradient (the Newton decrement) above it. Epochs with noise come near; a last
    step by it is Le Cam's one-step estimator (A. W. van der Vaart, "Asymptotic Statistics", 1998, section 5.7).
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        if not plan.gram:
            self.rows = _all_rows(plan)(plan.data, plan.used, plan.parts.loss)

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


@asked_of_rows
def _choose(plan: Plan):
    """The pass on the normal matrix, the compiled one where Numba is there and can read the parts, or on arrays."""
    name, rows, parts = "automatic" if plan.geometry else "minibatch", plan.data.rows, plan.parts
    if plan.gram:
        return gram.automatic
    if isinstance(parts.optimizer, passive.PassiveAggressive):
        return partial(_compiled(plan)["passive"], squares=passive.squares(plan.X))
    if plan.remembers:
        return reduced.Memory(_compiled(plan)["reduced"], parts.optimizer, plan.used, plan.geometry)
    if plan.batch_size == plan.n_rows and plan.n_entries > full.LEAST:
        return partial(getattr(arrays, name), look=_all_rows(plan))
    compiled = _compiled(plan)
    if compiled is PLAIN:
        return compiled[name]
    if isinstance(rows, Csr) and parts.is_plain():
        name = "sparse"
    elif isinstance(rows, Dense) and plan.batch_size == 1:
        name = "online"
    elif isinstance(rows, CentredDense) and plan.batch_size == 1 and isinstance(parts.penalty, NoPenalty):
        name = "single"
    return compiled[name]


@asked_of_rows
def _all_rows(plan: Plan) -> full.AllRows:
    """All rows as one batch."""
    compiled = _compiled(plan)
    return full.AllRows(compiled["gradient"], plan.n_rows, plan.n_entries, compiled is not PLAIN)


def _compiled(plan: Plan) -> Mapping[str, Callable]:
    """The passes by name: compiled where Numba is there and can read the parts, or on arrays."""
    kernels = None if is_foreign(plan.X) else _kernels()
    if not kernels:
        return PLAIN
    key = plan.kinds, type(plan.data.rows), type(plan.geometry), plan.data.y.dtype
    if key not in _known:
        _known[key] = PLAIN
        if all(isinstance(part, tuple) for part in plan.parts) and compiles(plan.parts, plan.data.y.dtype):
            name = "_".join(getattr(kind, "__name__", str(kind)) for kind in (*key[1:], *plan.kinds[1:]))
            _known[key] = kernels.passes(all(map(is_ours, plan.kinds)), name)
    return _known[key]


# The passes for classes of parts, rows and geometry, and a precision.
_known: dict[tuple, Mapping[str, Callable]] = {}


# The passes on arrays, and as plain Python.
PLAIN: Mapping[str, Callable] = {
    **vars(arrays),
    "passive": passive.build(lambda function: function, None),
    "reduced": reduced.build(lambda function: function, None),
}


def permute(order: np.ndarray, generator: np.random.Generator) -> None:
    """Shuffle row numbers in place: Fisher and Yates. Many draws at once cost a third of single ones."""
    kernels = _kernels()
    shuffle = kernels.permute() if kernels else arrays.permute
    for start in range(1, len(order), DRAWS):
        shuffle(order, start, generator.random(min(DRAWS, len(order) - start)))


@cache
def _kernels():
    """The module of compiled passes, imported when first needed; None, with one warning, where Numba cannot be."""
    try:
        from sklearn_sgd._engine import kernels
    except ImportError as error:
        warnings.warn(
            f"Fits run in NumPy, slower, since Numba cannot be imported: {error}",
            RuntimeWarning,
            stacklevel=callers_level(),
        )
        return None
    return kernels
