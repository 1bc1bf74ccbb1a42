"""Whether a stream predicts worse than the best constant: now and then a few rows show it.

The rows are some of a large call, or all of the next small calls, and are judged by the parameters that predict after
them. The constant is the best one for targets from the whole stream. Of late targets alone it would be better than any
model, if the targets rise with time.
"""

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sklearn_sgd._engine.automatic.around_zero import AroundZero, is_far
from sklearn_sgd._engine.automatic.statistics import measure, merge
from sklearn_sgd._engine.baseline import constant_of, is_out_of_range, least_square
from sklearn_sgd._engine.epochs import quiet
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.stream_scores import Scores
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.traits import allows_zero
from sklearn_sgd._namespace import dtype_of, host, take
from sklearn_sgd._parts import best_prediction

# Number of targets that are kept of as many rows as there were before, and at most of one call.
TARGETS, OF_CALL = 8, 4

# Number of rows after which the first check is due; by which factor a stream grows between two checks, and by how many
# rows at most.
FIRST, GROWTH, MOST = 100, 4, 1 << 18

# Number of rows that are judged: at least, and at most.
FEW, MANY = 64, 128

# A mean loss is higher than another one if they differ by this share and by so many standard errors, or by so many of
# the largest losses that a single row is enough.
SHARE, ERRORS, ABSURD = 0.25, 3.0, 10.0

# Rows do not represent a stream with automatic steps if their mean loss is less than this share of the recent one: rare
# targets are absent. Nor if the loss of the constant differs by this factor from that of targets from the whole stream:
# the level moves, and a model of all rows is behind it.
REPRESENT, ALIKE = 0.5, 1.5

# Numbers of rows and of updates up to which descents by a schedule are on their way from 0.
EARLY, EARLY_UPDATES = 1000, 100

# Relative error of predictions by rounding; that of the best constant, which need not be exact.
ROUNDING, CLOSE = 1e-5, 1e-2

# The fractions of its multiples are spread evenly.
GOLDEN = 0.5 * (5.0**0.5 - 1.0)


class Worse(NamedTuple):
    """The number of targets that are predicted worse than by the best constant, and than by 0, where steps begin.

    ``waits``: the descent has come nearer since its start, and has had few rows. ``is_hidden``: steps do not move along
    the spread of columns, which are too far from 0. ``n_sorted``: for how many targets early rows differ from late
    ones.
    """

    than_constant: int
    than_start: int
    waits: bool = False
    is_hidden: bool = False
    n_sorted: int = 0


class Targets(NamedTuple):
    """Targets of rows, and their weights."""

    values: np.ndarray
    weight: np.ndarray


class Watch(NamedTuple):
    """What is known for the next check of a stream; a value.

    ``due`` is the number of rows of the stream from which a call is of interest; from ``check`` rows on the next check
    is due, for which ``rows`` are collected. ``targets`` has blocks with weights and targets of some rows. Weights
    include the number of rows for which one counts, and the last of these were ``known`` rows. ``warned``: the last
    check found the stream to be worse than a constant, or columns too far from 0.
    """

    due: int
    check: int
    known: int
    targets: tuple[np.ndarray, ...] = ()
    warned: bool = False
    rows: tuple[Any, ...] = ()

    @classmethod
    def start(cls, n_samples: int) -> "Watch":
        """Return what is known before the first call of a stream, after so many rows of a fit."""
        return cls(0, n_samples + FIRST, n_samples)

    @classmethod
    def after_fit(cls, plans: Sequence[Plan], state: State) -> "Watch | None":
        """Return what is known after a fit."""
        (plan, *_), n = plans, state.n_samples
        if plan.is_remote:
            return None
        some = _places(plan.n_rows, 2 * TARGETS)
        some = some if plan.row_indices is None else plan.row_indices[some]
        weight = host(take(plan.data.weight, some)) if plan.data.weight.shape[0] else np.ones(len(some))
        columns = [weight * (state.mean_weight * n / len(some)), *(host(take(plan.data.y, some)) for plan in plans)]
        return cls.start(n)._replace(targets=(np.stack(columns, axis=1, dtype=np.float64),))

    def learn(self, targets: Any, weight: Any, n_samples: int) -> "Watch":
        """Return what is known with some targets of a call, after which there are so many rows."""
        new = _columns(targets, weight, OF_CALL)
        new[:, 0] *= (n_samples - self.known) / len(new)
        due = n_samples + max(1, len(new) * n_samples // TARGETS)
        return Watch(min(due, self.check), self.check, n_samples, (*self.targets, new), self.warned, self.rows)

    def collect(self, X: Any, targets: Any, weight: Any, n_samples: int) -> "Watch":
        """Return what is known with some rows of a call, for the check."""
        new = take(X, _places(X.shape[0], MANY)), _columns(targets, weight, MANY)
        return Watch(n_samples + 1, self.check, self.known, self.targets, self.warned, (*self.rows, new))

    def judged(self, n_samples: int, worse: Worse) -> "Watch":
        """Return what is known after a check."""
        grows = (GROWTH - 1) * n_samples if not worse.than_constant else 0
        check = n_samples + min(max(grows, EARLY), MOST)
        check = max(EARLY, 2 * n_samples) if worse.waits else check
        due = min(check, n_samples + max(1, n_samples // TARGETS))
        warned = worse.than_constant > 0 or worse.is_hidden or worse.n_sorted > 0
        return Watch(due, check, self.known, (np.concatenate(self.targets),), warned)

    def with_other_parameters(self, n_samples: int) -> "Watch":
        """Return what is known when the parameters of the stream were changed, after so many rows."""
        return self if self.due == sys.maxsize else self._replace(due=0, check=min(self.check, n_samples + FIRST))

    def saved(self) -> "Watch":
        """Return what is saved: not the collected rows, which are data of the user."""
        return self._replace(rows=(), targets=(np.concatenate(self.targets),) if self.targets else ())


NEVER = Watch(sys.maxsize, sys.maxsize, 0)
FINE = Worse(0, 0)


def watched(
    watch: Watch | None,
    recipe: Recipe,
    states: Sequence[State],
    scores: Sequence[Scores],
    predict: Callable[[Any], Any],
    chunk: tuple[Any, Any, Any],
) -> tuple[Watch, Worse]:
    """Return what is known after a call, and the result of a check that is new.

    ``predict`` returns raw predictions; a chunk has samples, targets and weights.
    """
    X, targets, weight = chunk
    state = states[0]
    if recipe.finishes_streams and state.knows_targets:
        return NEVER, FINE  # The minimum on all rows predicts.
    n, n_rows = state.n_samples, X.shape[0]
    if watch is None or watch.due == sys.maxsize:
        watch = Watch.start(n - n_rows)
    if n < watch.due or not n_rows:
        return watch, FINE
    if n < watch.check:
        return watch.learn(targets, weight, n), FINE
    watch = watch.collect(X, targets, weight, n)
    if sum(len(columns) for _, columns in watch.rows) < FEW:
        return watch, FINE
    watch = watch.learn(targets, weight, n)
    worse = _compare(recipe, watch, states, predict) if allows_zero(recipe.parts.penalty, X.shape[1]) else FINE
    worse = worse._replace(is_hidden=_hides_spread(recipe, state, dtype_of(X)), n_sorted=_n_sorted(recipe, scores))
    return watch.judged(n, worse), FINE if watch.warned else worse


@quiet()
def number_of_small_targets(recipe: Recipe, state: State, X: Any, targets: Any) -> int:
    """Return for how many of several targets the squares of slopes are below the range of numbers, where not 0."""
    if not recipe.automatic:
        return 0  # The steps of a schedule need no squares.
    y, on_moments = _as_columns(targets).astype(np.float64), recipe.finishes_streams and state.knows_targets
    # Slopes are 0 also where 0 is the right prediction, of which the targets are not small.
    sizes = np.maximum(np.abs(recipe.parts.loss.gradient(y, 0.0 * y)), np.abs(y)).max(axis=0)
    least = least_square(np.float64 if on_moments else dtype_of(X), recipe.formulas.is_quadratic)
    return int(np.sum((sizes <= least**0.5) & (sizes > 0.0)))


def number_out_of_range(recipe: Recipe, targets: Any) -> int:
    """Return how many of several targets are too small or too large for a loss with a link."""
    means = _as_columns(targets).astype(np.float64).mean(axis=0)
    return sum(is_out_of_range(recipe.parts.loss, mean) for mean in means)


@quiet()
def _compare(recipe: Recipe, watch: Watch, states: Sequence[State], predict: Callable[[Any], Any]) -> Worse:
    """Compare the predictions of the collected rows with the best constant, and with 0."""
    rows = [*_joined([X for X, _ in watch.rows])]
    has_constant = recipe.params["fit_intercept"] or (recipe.formulas.is_unpenalised and _is_far(rows))
    raw = np.concatenate([_as_columns(predict(X)).astype(np.float64) for X in rows])
    columns = np.concatenate([columns for _, columns in watch.rows])
    known = np.concatenate(watch.targets)
    weight, seen = columns[:, 0], known[known[:, 0] > 0.0]
    if not (weight.any() and len(seen)):
        return FINE
    found = []
    for state, z, y, targets in zip(states, raw.T, columns.T[1:], seen.T[1:], strict=True):
        some, stream = Targets(y, weight), Targets(targets, seen[:, 0])
        found.append(worse_than_constant(recipe, has_constant, z, some, stream, state.recent_loss))
    than_constant, than_start = map(sum, zip(*found, strict=True))
    is_early = states[0].n_samples < EARLY or states[0].n_updates < EARLY_UPDATES
    if than_start < than_constant and is_early and not recipe.automatic:
        return Worse(than_start, than_start, waits=True)
    return Worse(than_constant, than_start)


def _hides_spread(recipe: Recipe, state: State, dtype: np.dtype) -> bool:
    """Return whether columns are so far from 0 that steps of this precision do not move along their spread."""
    formulas = recipe.formulas
    if not (recipe.automatic and formulas.is_smooth and state.nears_constant):
        return False
    assert state.statistics is not None
    columns = state.statistics.leading(len(state.centre))
    geometry = AroundZero.of(columns, recipe.parts.penalty.gradient(np.ones(len(columns.mean))))
    # The sums that predict are in double precision.
    return geometry is not None and not geometry.is_matrix(np.dtype(float) if recipe.finishes_by_scores else dtype)


def _n_sorted(recipe: Recipe, scores: Sequence[Scores]) -> int:
    """Return for how many targets the sums of early rows were taken far from the minimum of now."""
    if not recipe.finishes_by_scores or recipe.params["half_life"]:
        return 0
    return sum(each.are_far_apart(Objective.of(recipe.formulas)) for each in scores)


def _is_far(rows: Sequence[Any]) -> bool:
    """Return whether some column of these rows is so far from 0 that it stands for an intercept."""
    return is_far(reduce(merge, (measure(host(X), None, np.empty(0), True, narrow=False) for X in rows)))


def worse_than_constant(
    recipe: Recipe, has_constant: bool, z: np.ndarray, some: Targets, stream: Targets, recent_loss: float
) -> tuple[bool, bool]:
    """Return whether raw predictions z of some rows are clearly worse than the best constant of a stream, and than 0.

    With automatic steps the rows must represent the stream, which has this recent loss.
    """
    loss, (y, weight), (targets, weights) = recipe.parts.loss, some, stream
    if targets.min() == targets.max():
        return False, False  # Nothing to measure the losses by.
    constant = constant_of(recipe.formulas, targets, weights, CLOSE) if has_constant else 0.0
    size = ROUNDING * (np.abs(z) + abs(constant))
    losses = loss.value(y, np.clip(best_prediction(loss, y), z - size, z + size))
    others, share = loss.value(y, constant + 0.0 * y), weight / weight.sum()
    mean, usual = share @ losses, share @ others
    more, whole = mean - usual, weights @ loss.value(targets, constant + 0.0 * targets) / weights.sum()
    low, high = sorted((abs(usual), abs(whole)))
    are_others = recipe.automatic and (mean < REPRESENT * recent_loss or high > ALIKE * low)
    if more <= SHARE * abs(usual) or are_others:
        return False, False
    error = np.sqrt(np.sum((share * (losses - others - more)) ** 2))
    largest = max(np.abs(loss.value(part, constant + 0.0 * part)).max() for part in (y, targets))
    is_clear = not more <= ERRORS * error or more > ABSURD * largest
    return bool(is_clear), bool(is_clear and not mean <= share @ loss.value(y, 0.0 * y))


@lru_cache(32)
def _places(number: int, most: int) -> np.ndarray:
    """Return the numbers of at most so many rows, spread evenly, but without a period."""
    if number <= most:
        return np.arange(number)
    blocks = np.arange(most)
    return ((blocks + blocks * GOLDEN % 1.0) * (number / most)).astype(np.intp)


def _columns(targets: Any, weight: Any, most: int) -> np.ndarray:
    """Return weights and targets of at most so many rows."""
    if targets.shape[0] > most:
        some = _places(targets.shape[0], most)
        targets, weight = take(targets, some), None if weight is None else take(weight, some)
    y = _as_columns(targets)
    columns = np.empty((len(y), y.shape[1] + 1))
    columns[:, 0], columns[:, 1:] = 1.0 if weight is None else host(weight), y
    return columns


def _as_columns(values: Any) -> np.ndarray:
    values = host(values)
    return values[:, None] if values.ndim == 1 else values


def _joined(blocks: list) -> list:
    """Return blocks of rows in one piece, if all are of the same kind."""
    if len(blocks) == 1:
        return blocks
    if all(isinstance(X, np.ndarray) for X in blocks):
        return [np.concatenate(blocks)]
    return [sparse.vstack(blocks, format="csr")] if all(map(sparse.issparse, blocks)) else blocks
