"""What a state learns of the columns of X: their statistics, and the automatic step that follows from these."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.balance import balanced
from sklearn_sgd._engine.automatic.credibility import KNOWN
from sklearn_sgd._engine.automatic.on_device import measure_on_device
from sklearn_sgd._engine.automatic.preconditioner import Counted, Step, make_step
from sklearn_sgd._engine.automatic.statistics import (
    FULL,
    ColumnStatistics,
    affordable,
    by_entries,
    is_about_means,
    measure,
    measure_entries,
)
from sklearn_sgd._engine.cores import one_blas_thread
from sklearn_sgd._engine.passes.rows import as_rows
from sklearn_sgd._engine.passes.without_plan import add_moments, sums_of_entries
from sklearn_sgd._engine.plan import row_numbers
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._engine.weights import left_after, left_of
from sklearn_sgd._namespace import is_foreign, take
from sklearn_sgd._parts import stores_slopes

# The preconditioner is computed again when a stream has grown by this share.
GROWTH = 0.1

# Number of targets whose moments cost next to nothing, however few columns there are.
FEW = 16

NO_WEIGHT = np.empty(0)


class Selection(NamedTuple):
    """The rows that count: X, targets, weights, and their numbers in X if they are not all."""

    X: Any
    targets: Any
    weight: Any
    row_indices: np.ndarray | None = None

    @property
    def n_rows(self) -> int:
        """How many there are."""
        return self.X.shape[0] if self.row_indices is None else len(self.row_indices)


def learn_columns(
    recipe: Recipe,
    rows: Selection,
    state: State,
    curvature: float = 1.0,
    stream: bool = True,
    noise: bool = True,
    found: ColumnStatistics | None = None,
    merge: Callable | None = None,
) -> None:
    """Let a state learn the columns of X; for the squared error with the targets, where they can be afforded.

    They may have been ``found`` before. ``curvature`` is that of the loss, as `StepMaker` needs it. ``merge`` is the
    driver that adds moments, if it is known.
    """
    (X, targets, weight, kept), n_rows = rows, rows.n_rows
    known = state.knows_targets if state.statistics is not None else is_worth_targets(recipe, X, targets, stream)
    has_intercept = recipe.params["fit_intercept"]
    about_means = is_about_means(has_intercept, X)
    share = remembered(recipe, n_rows) if stream else 1.0
    if share < 1.0 and not by_entries(X):
        weight = state.faded(weight, X, kept, left_of(n_rows, recipe.params["half_life"]), share)
    if found is not None:
        new = found
    elif by_entries(X):
        new = measure_entries(X, kept, weight, about_means, _sums_of(X, kept, weight))
    elif is_foreign(X):
        new, _ = measure_on_device(X, weight, about_means, targets if known else None)
    else:
        new = measure(X, kept, weight, about_means, targets if known else None)
    if found is None and new.counts is not None and not stream:
        new = balanced_columns(new, X, kept, weight)
        new = new._replace(centred=has_intercept and not _acts_on_single(recipe.formulas, new))
    if state.step is not None and new.counts is None:
        # Another penalty may act on single coordinates, unlike the one before, or the other way round.
        is_full = new.moment.ndim == 2 and not _acts_on_single(recipe.formulas, new)
        if state.step.shares is None and state.step.preconditioner.is_full != is_full:
            state.forget_step()
    counted = Counted(X, kept, weight)
    make = StepMaker(counted, recipe.formulas, has_intercept, curvature, stream, stream or noise, found is not None)
    if merge is None and stream and state.statistics is not None:
        merge = add_moments(state.vectors.coef.dtype)
    state.learn_columns(new, X.shape[1], share, make, GROWTH, merge)


def _sums_of(X, kept: np.ndarray | None, weight: Any) -> Callable[..., np.ndarray]:
    """The function to sums over the entries of sparse columns, in all rows or those in ``kept``."""
    if isinstance(X, RemoteRows):
        return X.sums_of_entries(weight)
    return sums_of_entries(as_rows(X, False), row_numbers(X.shape[0]) if kept is None else kept, weight)


def balanced_columns(statistics: ColumnStatistics, X, kept: np.ndarray | None, weight: Any) -> ColumnStatistics:
    """Return the statistics of sparse columns with squares that are `balanced`."""

    def some(number: int) -> Any:
        if isinstance(X, RemoteRows):
            return X.some(number, weight)[0]
        return take(X, slice(number) if kept is None else kept[:number])

    return balanced(statistics, some, _sums_of(X, kept, weight))


@dataclass(frozen=True)
class StepMaker:
    """Makes the step for columns and a penalty, in units of the loss's curvature."""

    rows: Counted
    formulas: Formulas
    has_intercept: bool
    curvature: float = 1.0
    stream: bool = False
    noise: bool = False
    is_found: bool = False

    def __call__(self, statistics: ColumnStatistics, known: Step | None = None, follows: bool = False) -> Step:
        """Return the step; see `make_step`."""
        ridge = float(self.formulas.parts.penalty.gradient(1.0)) / self.curvature
        with one_blas_thread():  # More would round otherwise: a stream renews its step inside and outside of `cores`.
            separable, given = _acts_on_single(self.formulas, statistics), (self.stream, self.noise, known, follows)
            momentum = self.formulas.allow_momentum and not self.noise
            return make_step(
                statistics, self.rows, ridge, separable, *given, self.is_found, self.has_intercept, momentum
            )


def _acts_on_single(formulas: Formulas, statistics: ColumnStatistics) -> bool:
    """Whether coordinates must keep their directions: of sparse columns also for a decay, or remembered slopes."""
    if statistics.counts is None:
        return not formulas.is_smooth
    return _acts_on_single_sparse(formulas)


def _acts_on_single_sparse(formulas: Formulas) -> bool:
    return not formulas.is_unpenalised or stores_slopes(formulas.parts.optimizer)


def leans(recipe: Recipe) -> bool:
    """Whether sparse columns with many zeros are centred, too, in automatic steps with noise."""
    return recipe.automatic and bool(recipe.params["fit_intercept"]) and not _acts_on_single_sparse(recipe.formulas)


def remembered(recipe: Recipe, n_rows: int) -> float:
    """Return what is left of the weight of earlier rows of a stream after ``n_rows`` rows."""
    half_life = recipe.params["half_life"]
    return left_after(n_rows, half_life) if half_life else 1.0


def prior_of_means(recipe: Recipe) -> float:
    """Return the weight of rows without entries that the means of sparse columns in a stream include.

    If rows are forgotten, the scaled mean of a rare column without entries fades. Near 0 this hardly matters.
    """
    return KNOWN if recipe.params["half_life"] else 0.0


def is_worth_targets(recipe: Recipe, X, targets, stream: bool) -> bool:
    """Whether the squared error on moments of columns and targets costs no more than the moments of the columns do."""
    (n_rows, n_columns), n_targets = X.shape, targets.shape[1]
    if stream:
        return recipe.formulas.is_quadratic and n_columns <= FULL and n_targets <= max(n_columns + 1, FEW)
    share = n_rows // getattr(X, "n_workers", 1)
    return recipe.formulas.is_quadratic and affordable(share, n_columns + n_targets)
