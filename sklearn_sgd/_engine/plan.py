"""From parameters and data to a Plan (what is done) and a State (where it stands); a name becomes a part only here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from math import exp, isfinite
from types import NoneType
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd import schedules
from sklearn_sgd._engine.baseline import best_constant, first_direction, row_curvatures
from sklearn_sgd._engine.gram import Gram, split
from sklearn_sgd._engine.jit import told_apart
from sklearn_sgd._engine.passive import variant
from sklearn_sgd._engine.rows import Rows, as_rows, less_mean, read_only
from sklearn_sgd._engine.step import (
    GROWTH,
    Columns,
    Diagonal,
    Full,
    Step,
    affordable,
    automatic_batch_size,
    falling_rates,
    late_mixes,
    make_step,
    measure,
    merge,
)
from sklearn_sgd.losses import LOSSES, EpsilonInsensitive, SquaredError
from sklearn_sgd.optimizers import OPTIMIZERS, SGD
from sklearn_sgd.penalties import L1, L2, PENALTIES, Box, ElasticNet, NoPenalty, Positive

# Parameters that parts are made of.
MAKE_PARTS = ("loss", "penalty", "optimizer", "positive", "alpha", "l1_ratio", "epsilon", "quantile")

# Learning rates that ask each row how far to go.
PASSIVE = ("pa1", "pa2")

# Rows over which the recent loss of a stream is taken.
RECENT = 1000.0


class Data(NamedTuple):
    """Rows, targets, and weights of mean 1 (empty: all are 1)."""

    rows: Rows
    y: np.ndarray
    weight: np.ndarray


class Parts(NamedTuple):
    """The parts that a kernel is compiled for."""

    loss: Any
    penalty: Any
    optimizer: Any

    def is_plain(self) -> bool:
        """Whether a column that a row has not is changed by decay and threshold alone."""
        return isinstance(self.optimizer, SGD) and isinstance(self.penalty, (NoPenalty, L2, L1, ElasticNet))


class Vectors(NamedTuple):
    """Parameters with the intercept last, their average, and what moments the optimizer keeps."""

    coef: np.ndarray
    average: np.ndarray
    m: np.ndarray | None = None
    v: np.ndarray | None = None

    def copy(self) -> "Vectors":
        """The same numbers in arrays of their own."""
        m, v = (a if a is None else a.copy() for a in (self.m, self.v))
        return Vectors(self.coef.copy(), self.average.copy(), m, v)

    def with_moments(self, number: int) -> "Vectors":
        """With so many moments, 0 at first."""
        if (number > 0) == (self.m is not None) and (number > 1) == (self.v is not None):
            return self
        m, v = (np.zeros_like(self.coef) if a is None else a for a in (self.m, self.v))
        return self._replace(m=m if number > 0 else None, v=v if number > 1 else None)

    def finite(self) -> bool:
        """Whether the parameters, and so their average, are numbers; their squares are asked first, which is faster."""
        return all(isfinite(w @ w) or bool(np.isfinite(w).all()) for w in (self.coef, self.average))


@dataclass
class State:
    """Where a descent stands: all that the next update depends on, besides the data and the parameters.

    The intercept is the prediction at ``centre``. Of the automatic step are ``columns``, ``step``, ``memory`` (sums of
    squared slopes and of losses of late, and whether to remember more than a batch) and ``surprise`` (what the first
    batch of a stream cost before anything was known).
    """

    vectors: Vectors
    centre: np.ndarray
    generator: np.random.Generator
    fresh: bool
    n_updates: int = 0
    n_epochs: int = 0
    n_samples: int = 0
    rate: float = 0.0
    rate_factor: float = 1.0
    weight_sum: float = 0.0
    weight_rows: int = 0
    losses: list[float] = field(default_factory=list)
    n_losses: int = 0
    first_sight_loss: float = 0.0
    first_sight_weight: float = 0.0
    recent_loss: float = 0.0
    recent_weight: float = 0.0
    columns: Columns | None = None
    step: Step | None = None
    memory: np.ndarray = field(default_factory=lambda: np.zeros(3))
    surprise: float = 0.0

    @classmethod
    def start(cls, n_features: int, dtype, generator, coef=None, intercept=None) -> "State":
        """A new descent, from zero or from the parameters given."""
        w = np.zeros(n_features + 1, dtype=dtype)
        if coef is not None:
            w[:-1] = coef
        if intercept is not None:
            w[-1] = intercept
        return cls(Vectors(w, w.copy()), np.zeros(n_features), generator, fresh=coef is None and intercept is None)

    def fork(self) -> "State":
        """A state that can go on without changing this one."""
        other = object.__new__(State)
        vars(other).update(vars(self))
        other.vectors, other.memory = self.vectors.copy(), self.memory.copy()
        return other

    @property
    def loss_curve(self) -> list[float]:
        """Mean loss of each epoch."""
        return self.losses[: self.n_losses]

    def record(self, loss: float) -> None:
        """Add the mean loss of an epoch. Forks share one list, so that a long stream does not copy it in each call."""
        self.losses[self.n_losses :] = [loss]
        self.n_losses += 1

    def recentre(self, centre: np.ndarray) -> None:
        """Let the intercept be the prediction at another point; no prediction changes."""
        move = centre - self.centre
        if move.any():
            for w in (self.vectors.coef, self.vectors.average):
                w[-1] += move @ w[:-1].astype(np.float64)
            self.centre = centre

    def predictor(self) -> tuple[np.ndarray, float]:
        """Coefficients and intercept to predict with."""
        w = self.vectors.average
        return w[:-1].copy(), float(w[-1]) - float(self.centre @ w[:-1].astype(np.float64))

    def sight(self, loss: float, weight: float) -> None:
        """Count the mean loss of rows of such a total weight, seen for the first time."""
        self.first_sight_loss += loss * weight
        self.first_sight_weight += weight
        keep = exp(-weight / RECENT)
        self.recent_loss = keep * self.recent_loss + (1.0 - keep) * loss
        self.recent_weight = keep * self.recent_weight + (1.0 - keep)

    def fall_back(self, constant: float) -> None:
        """Predict a constant."""
        for w in (self.vectors.coef, self.vectors.average):
            w[:-1], w[-1] = 0.0, constant

    def weigh(self, weight: np.ndarray | None, n_rows: int, dtype) -> np.ndarray:
        """Weights over the mean of all non-zero ones so far, so that their scale drops out; empty if all are 1."""
        self.weight_sum += n_rows if weight is None else float(weight.sum(dtype=np.float64))
        self.weight_rows += n_rows if weight is None else int(np.count_nonzero(weight))
        mean = self.weight_sum / self.weight_rows if self.weight_rows else 1.0
        if weight is None:
            return np.empty(0, dtype) if mean == 1.0 else np.full(n_rows, 1.0 / mean, dtype)
        return (weight / mean).astype(dtype, copy=False)


class Plan(NamedTuple):
    """What one epoch does with the rows of X, or the ``kept`` ones.

    ``data`` are these rows for the kernel; ``geometry`` is that of the automatic step, ``gram`` all that its descent
    needs to know of the rows, if that is little.
    """

    X: Any
    data: Data
    kept: np.ndarray | None
    n_rows: int
    parts: Parts
    schedule: schedules.Schedule
    batch_size: int
    shuffle: bool | str
    drop_last: bool
    average_from: int
    geometry: Diagonal | Full | None
    gram: Gram | None
    threads: int

    @property
    def n_entries(self) -> int:
        """Entries of X, of a sparse one those that are stored."""
        return self.X.nnz if issparse(self.X) else self.X.size

    @property
    def weight(self) -> float:
        """Total weight of the rows."""
        return float(self.data.weight.sum(dtype=np.float64)) if self.data.weight.size else float(self.n_rows)

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

    def order(self, generator: np.random.Generator, permute: Callable) -> np.ndarray:
        """Row numbers, batch after batch; shuffling is left out where it changes nothing."""
        n, b = self.n_rows, self.batch_size
        order = np.arange(n)
        if self.shuffle == "batches":
            order = _shuffle_runs(order, b if b > 1 else min(256, max(1, n // 64)), generator)
        elif self.shuffle and b < n:
            permute(order, generator)
        if self.drop_last:
            order = order[: n // b * b]
        return order if self.kept is None else self.kept[order]

    def mixes(self, t: np.ndarray) -> np.ndarray:
        """Share of the newest parameters in the average at each update: 1 before it starts; none without average."""
        if not self.average_from:
            return np.empty(0)
        t = np.maximum(t - self.average_from + 1.0, 1.0)
        return late_mixes(t) if self.geometry else 1.0 / t


def _shuffle_runs(order: np.ndarray, run: int, generator: np.random.Generator) -> np.ndarray:
    """Contiguous runs in random order; a last short one stays last, so that batches stay whole."""
    whole = len(order) // run * run
    runs = order[:whole].reshape(-1, run)
    return np.concatenate([generator.permutation(runs).ravel(), order[whole:]])


def make_plan(
    params: dict,
    X,
    y,
    weight: np.ndarray | None,
    state: State,
    train: np.ndarray | None = None,
    stream: bool = False,
    threads: int = 1,
) -> Plan:
    """Marry the estimator's parameters to data: all rows, or those to ``train`` on, or a part of a ``stream``.

    The state learns what data tell before the descent: the scale of weights and, for the automatic step, the columns.
    """
    kept = train
    if weight is not None and train is not None:
        weight = np.where(np.isin(np.arange(len(weight)), train), weight, 0)
    if weight is not None and not weight.all():
        kept = np.flatnonzero(weight)
    n_rows = X.shape[0] if kept is None else len(kept)
    parts = make_parts(params, X.dtype, X.shape[1])
    # An optimizer that does not say keeps both.
    state.vectors = state.vectors.with_moments(getattr(parts.optimizer, "moments", 2))
    if params["learning_rate"] == "auto" and not isinstance(parts.optimizer, SGD):
        raise ValueError(
            f"optimizer={params['optimizer']!r} needs a learning_rate: 'auto' is a step of its own. Give, say, "
            "learning_rate='constant' and eta0, or optimizer='sgd'."
        )
    batch_size = params["batch_size"]
    if params["learning_rate"] in PASSIVE:
        parts = make_passive(params, parts, batch_size)
    if batch_size == "auto":
        batch_size = automatic_batch_size(X.shape[1], n_rows)
    if params["drop_last"] and n_rows < (batch_size or 1):
        raise ValueError(
            f"drop_last=True leaves no batch: batch_size={batch_size} is more than the {n_rows} rows. "
            "Use a smaller batch_size, or drop_last=False."
        )
    batch_size = max(1, min(batch_size or n_rows, n_rows))
    rows, weight = as_rows(X, params["fit_intercept"]), state.weigh(weight, X.shape[0], X.dtype)
    data = Data(rows, read_only(y), read_only(weight))
    automatic, noise = params["learning_rate"] == "auto", stream or batch_size < n_rows
    schedule, geometry, gram, average = None, None, None, params["average"]
    if average == "auto":
        average = automatic and noise
    if automatic and n_rows:
        normal = not noise and isinstance(parts.loss, SquaredError) and affordable(n_rows, X.shape[1])
        learned, gram = _learn_step(X, data, kept, parts.penalty, state, stream, normal)
        if state.fresh:
            _start(X, parts.loss, data, kept, batch_size, noise, stream, state)
        state.memory[2] = noise
        data = data._replace(rows=less_mean(rows, state.centre.astype(X.dtype)))
        schedule = falling_rates(learned.rate(batch_size if noise else None), noise)
        geometry = learned.geometry
    else:
        state.recentre(np.zeros(X.shape[1]))
    if isinstance(parts.penalty, Box):
        for w in (state.vectors.coef, state.vectors.average):
            w[:-1] = parts.penalty.prox(w[:-1], 0.0)
    if not average:
        # Averaging may have been switched off on the way: go on from what predicts.
        state.vectors.coef[:] = state.vectors.average
    return Plan(
        X,
        data,
        kept,
        n_rows,
        parts,
        schedule or make_schedule(params, parts.loss),
        batch_size,
        False if stream else params["shuffle"],
        params["drop_last"],
        int(average),
        geometry,
        gram,
        threads,
    )


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
        s, y = data.weight[first] if data.weight.size else 1.0, data.y[first].astype(np.float64)
        state.surprise = float(np.sum(s * (loss.value(y, 0.0) - loss.value(y, constant))))


def _learn_step(X, data: Data, kept: np.ndarray | None, penalty, state: State, stream: bool, normal: bool):
    """The statistics of the columns go on, parameters are centred on their means, the step follows when they grew.

    With the ``normal`` matrix if all that the descent asks of the rows are their second moments.
    """
    gram = None
    if normal:
        columns, gram = split(measure(X, kept, data.weight, bool(data.rows.bias), data.y))
    else:
        columns = measure(X, kept, data.weight, bool(data.rows.bias))
    state.columns = columns if state.columns is None else merge(state.columns, columns)
    state.recentre(state.columns.mean)
    if state.step is None or state.columns.weight > (1.0 + GROWTH) * state.step.weight:
        state.step = _make_step(state.columns, X, penalty, stream)
    return state.step, gram


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
    rows = less_mean(as_rows(plan.X, bool(plan.data.rows.bias)), columns.mean.astype(plan.X.dtype))
    step = _make_step(columns, plan.X, plan.parts.penalty, curvature=curvature)
    return plan._replace(data=plan.data._replace(rows=rows), geometry=step.geometry)


def make_parts(params: Mapping[str, Any], dtype, n_features: int) -> Parts:
    """Loss, penalty and optimizer, from names or as they are."""
    chosen = {name: params[name] for name in MAKE_PARTS}
    if isinstance(chosen["penalty"], Box):
        chosen["penalty"] = chosen["penalty"].spread(n_features, dtype)
    named = all(isinstance(chosen[name], (str, NoneType)) for name in ("loss", "penalty", "optimizer"))
    return (_known_parts if named else _known_parts.__wrapped__)(dtype, **chosen)


def make_passive(params: Mapping[str, Any], parts: Parts, batch_size: int | None) -> Parts:
    """The parts with a passive-aggressive step in the place of the optimizer, which asks for one row at a time."""
    name = params["learning_rate"]
    if not (isinstance(parts.loss, EpsilonInsensitive) and isinstance(parts.optimizer, SGD)):
        raise ValueError(f"learning_rate={name!r} is for loss='epsilon_insensitive' and optimizer='sgd'.")
    if batch_size != 1:
        raise ValueError(
            f"learning_rate={name!r} takes one row in each step; got batch_size={batch_size}. Use OnlineSGDRegressor."
        )
    return parts._replace(optimizer=variant(name, float(params["eta0"])))


@lru_cache(typed=True)
def _known_parts(dtype, **params) -> Parts:
    """Parts by name are made once: a stream asks for them with each row."""
    penalty = _part(params["penalty"], PENALTIES, params)
    if params["positive"]:
        penalty = Positive(penalty)
    parts = _part(params["loss"], LOSSES, params), penalty, _part(params["optimizer"], OPTIMIZERS, params)
    return Parts(*(told_apart(_in_precision(part, dtype)) for part in parts))


def _in_precision(part, dtype):
    """A part whose numbers are of X's precision, lest a kernel convert each coefficient to a wider one and back."""
    if isinstance(part, tuple):
        return type(part)(*(_in_precision(field, dtype) for field in part))
    return dtype.type(part) if isinstance(part, float) else part


def _part(choice, table: dict, params: dict):
    """The part that a name stands for, with the numbers that are parameters of the same names; a part as it is."""
    if choice is not None and not isinstance(choice, str):
        return choice
    kind = table[choice]
    return kind(**{name: float(params[name]) for name in kind._fields if name in params})


def _checked_rates(schedule: schedules.Schedule, t: np.ndarray) -> np.ndarray:
    """The answer of a schedule that is not ours."""
    rates = np.ascontiguousarray(schedule(t), dtype=np.float64)
    if rates.shape != t.shape or not np.isfinite(rates).all() or (rates < 0).any():
        raise ValueError(
            "learning_rate, as a function, must answer an array of update numbers with as many finite rates >= 0; "
            f"got shape {rates.shape} for {t.shape}."
        )
    return rates


def make_schedule(params: dict, loss) -> schedules.Schedule:
    """The function from update numbers to rates."""
    choice = params["learning_rate"]
    if callable(choice):
        return partial(_checked_rates, choice)
    if choice == "invscaling":
        return schedules.invscaling(params["eta0"], params["power_t"])
    if choice == "optimal":
        return schedules.optimal(params["alpha"], loss)
    return schedules.constant(params["eta0"])
