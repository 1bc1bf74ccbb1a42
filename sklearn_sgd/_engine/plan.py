"""The Plan: what is done, a recipe married to data; the State learns what data tell before the descent."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd import schedules
from sklearn_sgd._engine import reduced
from sklearn_sgd._engine.baseline import best_constant, first_direction, row_curvatures
from sklearn_sgd._engine.gram import Gram, split
from sklearn_sgd._engine.namespace import doubled, dtype_of, host, is_foreign, like, namespace, take, total
from sklearn_sgd._engine.passive import PassiveAggressive
from sklearn_sgd._engine.recipe import Parts, Recipe
from sklearn_sgd._engine.rows import CentredDense, Dense, Rows, as_rows, less_mean, read_only
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.step import (
    GROWTH,
    Columns,
    Diagonal,
    Full,
    Step,
    affordable,
    automatic_batch_size,
    faded,
    falling_rates,
    late_mixes,
    latest_update,
    make_step,
    measure,
    merge,
)
from sklearn_sgd.losses import SquaredError
from sklearn_sgd.penalties import L1, Box, ElasticNet, Positive

# Entries of X that are taken for one target after the other; updates of one target that rates are asked for at once.
PIECE, RATES = 1 << 15, 1 << 16

# Shares of an average that there is not.
NO_MIXES = np.empty(0)


class Data(NamedTuple):
    """Rows, targets, and weights of mean 1 (empty: all are 1)."""

    rows: Rows
    y: np.ndarray
    weight: np.ndarray


class Plan(NamedTuple):
    """What one epoch does with the rows of X, or the ``kept`` ones.

    ``data`` are these rows for the kernel, ``kinds`` the classes of the parts; ``geometry`` is that of the automatic
    step, ``gram`` all that its descent needs to know of the rows, if that is little.
    """

    X: Any
    data: Data
    kept: np.ndarray | None
    n_rows: int
    schedule: schedules.Schedule
    geometry: Diagonal | Full | None
    gram: Gram | None
    parts: Parts
    kinds: tuple[type, ...]
    batch_size: int
    shuffle: bool | str
    drop_last: bool
    average_from: int
    latest: float

    @property
    def n_entries(self) -> int:
        """Entries of X, of a sparse one those that are stored."""
        return self.X.nnz if issparse(self.X) else self.X.shape[0] * self.X.shape[1]

    @property
    def used(self) -> np.ndarray:
        """Numbers of the rows."""
        return row_numbers(self.n_rows) if self.kept is None else self.kept

    @property
    def remembers(self) -> bool:
        """Whether each row's last slope is remembered."""
        return hasattr(self.parts.optimizer, "anew") and self.batch_size < self.n_rows

    @property
    def weight(self) -> float:
        """Total weight of the rows."""
        return total(self.data.weight) if self.data.weight.shape[0] else float(self.n_rows)

    def piece(self, targets: int) -> int:
        """Rows, in whole batches, that are taken at once: of several targets so many as stay in the cache for each.

        Rates of more would not. Each piece of sparse rows costs O(P).
        """
        if self.remembers:
            return self.n_rows
        rows, columns = self.X.shape
        size = max(PIECE, 4 * columns) * rows // max(1, self.n_entries)
        if targets == 1:
            size = max(RATES * self.batch_size, 16 * size)
        return max(1, size // self.batch_size) * self.batch_size

    def least_samples(self, tol: float | None, state: State) -> float:
        """Rows to visit before progress is judged by ``tol``."""
        return state.step.visits(tol, self.n_rows) if tol and state.step and self.average_from else 0.0

    def reweighs(self, state: State) -> bool:
        """Whether rows should be weighted anew: in full batches of a loss whose curvature varies."""
        return bool(self.geometry and not isinstance(self.parts.loss, SquaredError) and not state.memory[2])

    @property
    def shuffles(self) -> bool:
        """Whether each epoch takes the rows in another order."""
        return bool(self.shuffle) and self.batch_size < self.n_rows

    def order(self, numbers: np.ndarray, generator: np.random.Generator, permute: Callable) -> np.ndarray:
        """Numbers of rows, batch after batch, shuffled in their place; not where that changes nothing."""
        n, b = self.n_rows, self.batch_size
        if self.shuffle == "batches":
            numbers = _shuffle_runs(numbers, b if b > 1 else min(256, max(1, n // 64)), generator)
        elif self.shuffles:
            permute(numbers, generator)
        return numbers[: n // b * b] if self.drop_last else numbers

    def mixes(self, t: np.ndarray) -> np.ndarray:
        """Share of the newest parameters in the average at each update: 1 before it starts; none without average.

        It falls up to the ``latest`` update number.
        """
        if not self.average_from:
            return NO_MIXES
        if self.average_from > 1:
            t = np.maximum(t - self.average_from + 1, 1)
        if self.latest < np.inf:
            t = np.minimum(t, self.latest)
        return late_mixes(t) if self.geometry else 1.0 / t


def row_numbers(n_rows: int) -> np.ndarray:
    """0, 1, 2, ...; in 32 bits where they fit, as a shuffle of what the caches hold is several times faster."""
    return np.arange(n_rows, dtype=np.uint32 if n_rows <= 1 << 32 else np.int64)


def _shuffle_runs(order: np.ndarray, run: int, generator: np.random.Generator) -> np.ndarray:
    """Contiguous runs in random order; a last short one stays last, so that batches stay whole."""
    whole = len(order) // run * run
    runs, shuffled = order[:whole].reshape(-1, run), order.copy()
    np.take(runs, generator.permutation(len(runs)), axis=0, out=shuffled[:whole].reshape(-1, run), mode="clip")
    return shuffled


def make_plans(
    recipe: Recipe,
    X,
    targets: np.ndarray,
    weight: np.ndarray | None,
    states: Sequence[State],
    train: np.ndarray | None = None,
    stream: bool = False,
) -> list[Plan]:
    """Marry a recipe to data: all rows, or those to ``train`` on, or a part of a ``stream``; a plan for each target.

    The states learn what data tell before the descent: the scale of weights and, for the automatic step, the columns.
    """
    kept = train
    if weight is not None and train is not None:
        among = np.isin(np.arange(X.shape[0]), train)
        weight = namespace(weight).where(among if not is_foreign(X) else like(among, X) > 0, weight, like(0.0, weight))
    if weight is not None and not bool(namespace(weight).all(weight != 0)):
        kept = np.flatnonzero(host(weight != 0))
    if kept is not None:
        kept = kept.astype(row_numbers(X.shape[0]).dtype)
    if kept is not None and is_foreign(X):
        # Elsewhere rows are not left out by their numbers, but once.
        X, targets, weight = take(X, kept), take(targets, kept), None if weight is None else take(weight, kept)
        kept = None
    n_rows = X.shape[0] if kept is None else len(kept)
    params, parts = recipe.params, recipe.parts
    reduces = hasattr(parts.optimizer, "anew")
    if is_foreign(X) and (reduces or isinstance(parts.optimizer, PassiveAggressive)):
        raise ValueError(
            f"optimizer={params['optimizer']!r} with learning_rate={params['learning_rate']!r} goes row by row, which "
            "is for arrays of NumPy and SciPy: use another, or convert X and y."
        )
    batch_size = _batch_size(params, X.shape[1], n_rows)
    if not params["fit_intercept"]:
        for state in states:
            state.forget_intercept()
    first, *others = states
    dtype = dtype_of(X)
    rows, weight = as_rows(X, params["fit_intercept"]), read_only(first.weigh(weight, X))
    half_life = params["half_life"] if stream else None
    latest = latest_update(half_life, batch_size, recipe.automatic) if half_life else np.inf
    automatic, noise = recipe.automatic and n_rows > 0, stream or batch_size < n_rows
    schedule, geometry, grams, average = recipe.schedule, None, None, params["average"]
    if average == "auto":
        average = recipe.automatic and noise and not reduces
    if automatic:
        share = n_rows // getattr(X, "workers", 1)
        normal = not noise and isinstance(parts.loss, SquaredError) and affordable(share, X.shape[1] + len(states))
        y = targets if normal else None
        learned, grams = _learn_step(X, y, kept, weight, bool(rows.bias), parts.penalty, first, stream, half_life)
        schedule = falling_rates(learned.rate(batch_size if noise else None), noise, latest)
        geometry = learned.geometry
    else:
        first.recentre(np.zeros(X.shape[1]))
    for other in others:
        other.follow(first)
    centred = less_mean(rows, first.centre.astype(dtype))
    if geometry and noise and reduces:
        used = row_numbers(n_rows) if kept is None else kept
        steepest = reduced.longest(centred, weight, used, geometry)
        schedule = schedules.constant(learned.reduced_rate(batch_size, steepest, parts.loss.curvature))
    plans = []
    for target, state in enumerate(states):
        data = Data(rows, read_only(targets[:, target]), weight)
        # An optimizer that does not say keeps both.
        state.vectors = state.vectors.with_moments(getattr(parts.optimizer, "moments", 2))
        if automatic:
            if state.fresh:
                _start(X, parts.loss, data, kept, batch_size, noise, stream, state)
            state.memory[2] = noise
            data = data._replace(rows=centred)
        if isinstance(parts.penalty, Box):
            for w in (state.vectors.coef, state.vectors.average):
                w[:-1] = parts.penalty.prox(w[:-1], 0.0)
        if not average:
            # Averaging may have been switched off on the way: go on from what predicts.
            state.vectors.coef[:] = state.vectors.average
        plans.append(
            Plan(
                X,
                data,
                kept,
                n_rows,
                schedule,
                geometry,
                grams and grams[target],
                parts,
                recipe.kinds,
                batch_size,
                False if stream else params["shuffle"],
                params["drop_last"],
                int(average),
                latest,
            )
        )
    return plans


def _start(
    X, loss, data: Data, kept: np.ndarray | None, batch_size: int, noise: bool, stream: bool, state: State
) -> None:
    """Start from the best constant; in a stream, where rows are tested before they train, of the first batch only.

    Without noise, and with another loss than the squared error, from beside it.
    """
    first = slice(None) if kept is None else kept
    if stream:
        first = slice(batch_size) if kept is None else kept[:batch_size]
    constant = best_constant(loss, data, first)
    for w in (state.vectors.coef, state.vectors.average):
        if not noise and not isinstance(loss, SquaredError) and state.step:
            w[:-1] = first_direction(loss, data, kept, X, state.centre, constant, state.step.geometry)
        w[-1] = constant
    if stream:
        s, y = take(data.weight, first) if data.weight.shape[0] else 1.0, doubled(take(data.y, first))
        state.surprise = total(s * (loss.value(y, 0.0 * y) - loss.value(y, constant + 0.0 * y)))


def next_plan(plan: Plan, recipe: Recipe, X: np.ndarray, y: np.ndarray, state: State) -> Plan:
    """The plan of a stream for its next rows, if they are as many as the last ones, and without weights.

    What `make_plans` would answer, sooner: all but the rows is as it was.
    """
    plain, bias, weight = read_only(X), X.dtype.type(recipe.params["fit_intercept"]), state.weigh(None, X)
    rows: Rows = Dense(plain, bias)
    schedule, geometry = plan.schedule, plan.geometry
    if geometry:
        half_life, centred = recipe.params["half_life"], recipe.params["fit_intercept"]
        learned, _ = _learn_step(X, None, None, weight, centred, plan.parts.penalty, state, True, half_life)
        schedule, geometry = falling_rates(learned.rate(plan.batch_size), True, plan.latest), learned.geometry
        rows = CentredDense(plain, bias, state.centre.astype(X.dtype, copy=False))
    return Plan(X, Data(rows, read_only(y), read_only(weight)), None, len(y), schedule, geometry, *plan[6:])


def _batch_size(params, n_columns: int, n_rows: int) -> int:
    """Rows in a step."""
    size = params["batch_size"]
    if size == "auto":
        size = automatic_batch_size(n_columns, n_rows)
    if params["drop_last"] and n_rows < (size or 1):
        raise ValueError(
            f"drop_last=True leaves no batch: batch_size={size} is more than the {n_rows} rows. "
            "Use a smaller batch_size, or drop_last=False."
        )
    return max(1, min(size or n_rows, n_rows))


def _learn_step(
    X,
    y,
    kept: np.ndarray | None,
    weight,
    centred: bool,
    penalty,
    state: State,
    stream: bool,
    half_life: float | None,
):
    """The statistics of the columns go on, parameters are centred on their means, the step follows when they grew.

    What was known fades by ``half_life``. With the normal matrix of each target in ``y``, if there are any.
    """
    columns, grams = measure(X, kept, weight, centred, y), None
    if y is not None:
        columns, grams = split(columns, y.shape[1])
    state.since_step += columns.weight
    known = state.columns
    if known and half_life:
        known = faded(known, 0.5 ** ((X.shape[0] if kept is None else len(kept)) / half_life))
    state.columns = merge(known, columns) if known else columns
    state.recentre(state.columns.mean)
    if state.step is None or state.since_step > GROWTH * state.step.weight:
        state.step, state.since_step = _make_step(state.columns, X, penalty, stream), 0.0
    return state.step, grams


def _make_step(columns: Columns, X, penalty, stream: bool = False, curvature: float = 1.0) -> Step:
    """The step for columns and a penalty, in units of the loss's curvature."""
    separable = isinstance(penalty, (L1, ElasticNet, Positive, Box))
    return make_step(columns, X, float(penalty.gradient(1.0)) / curvature, separable, stream)


def reweighted(plan: Plan, state: State) -> Plan:
    """The plan in the geometry of rows weighted by the curvature of their losses, where the descent stands now.

    As in iteratively reweighted least squares: a row that the loss hardly sees should not shape the step.
    """
    weight, curvature = row_curvatures(plan.parts.loss, plan.data, plan.kept, state.vectors.average)
    columns = measure(plan.X, plan.kept, weight, centred=bool(plan.data.rows.bias))
    state.recentre(columns.mean)
    rows = less_mean(as_rows(plan.X, bool(plan.data.rows.bias)), columns.mean.astype(dtype_of(plan.X)))
    step = _make_step(columns, plan.X, plan.parts.penalty, curvature=curvature)
    return plan._replace(data=plan.data._replace(rows=rows), geometry=step.geometry)
