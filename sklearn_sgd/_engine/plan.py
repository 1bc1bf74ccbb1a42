"""The Plan: an immutable description of what an epoch does with the rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.automatic.statistics import FULL
from sklearn_sgd._engine.automatic.step_size import averaging_weights, joined, settled_after
from sklearn_sgd._engine.resolve import Parts
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import RemoteObject, dtype_of, is_foreign, total
from sklearn_sgd._parts import stores_slopes

# Number of entries of X that are processed for one target after the other; number of rates computed at once.
PIECE, RATES = 1 << 15, 1 << 16

# The weights of an average that does not exist.
NO_MIXES = np.empty(0)

# The largest sum of losses for each precision. The sum of squares, which is twice as large, must also be finite.
DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)
LARGEST = {kind: float(np.finfo(kind).max) / 4.0 for kind in (DOUBLE, SINGLE)}


class Data(NamedTuple):
    """Rows, targets, and weights of mean 1 (empty: all are 1)."""

    rows: Any
    y: Any
    weight: Any


class Piece(NamedTuple):
    """A part of an epoch: row numbers in their order, and for each update a rate and a weight in the average.

    ``n_done`` is the number of updates before it. The rates are those of the schedule times ``rate_factor``.
    """

    order: np.ndarray
    rates: np.ndarray
    mixes: np.ndarray
    n_done: int
    rate_factor: float


class Plan(NamedTuple):
    """Describes what one epoch does with the rows of X, or with those of ``row_indices``.

    Attributes
    ----------
    X : array, matrix or RemoteRows
        All rows.
    data : Data
        The same for the passes.
    row_indices : ndarray or None
        Numbers of the rows to use; None: all.
    schedule : callable
        Function from update numbers to rates.
    preconditioner : Preconditioner or None
        That of the automatic step.
    normal : NormalMatrix or None
        All that the squared error depends on, if it was measured.
    minimum : KnownMinimum or None
        The minimum on all rows, where it was found beforehand.
    searches : bool
        Whether the length of steps on all rows is found by a line search on stored predictions.
    parts, formulas : Parts, Formulas
        Loss, penalty and optimizer, and their formulas.
    finishes : bool
        Whether final steps on all rows may follow the descent.
    noise : bool
        Whether a step uses less than all rows.
    average_from : int
        Number of the first update in the average; 0: no average.
    decay_limit : float
        Update number after which rates and weights of the average do not fall.
    settles : bool
        Whether the average is uniform once the parameters scatter about the minimum: in streams without final steps.
    restarts : bool
        Whether the stream has started again, so that columns without entries in these rows are forgotten, too.
    part : int or None
        Number of rows of an epoch; None: all.
    reach : tuple of float or None
        Bounds to which extreme targets were limited.
    parabola, curvature : NormalMatrix or None, float
        Covariances and means of the columns by the curvature of the rows' losses, and the mean curvature, for penalties
        that have a proximal step.
    follows : bool
        Whether steps follow the directions of nearly dependent columns.
    hidden : float
        What is missing to the minimum along directions of nearly dependent columns, where these are left out.
    """

    X: Any
    data: Data
    row_indices: np.ndarray | None
    n_rows: int
    schedule: Callable[[np.ndarray], np.ndarray]
    preconditioner: Preconditioner | None
    normal: NormalMatrix | None
    parts: Parts
    formulas: Formulas
    finishes: bool
    batch_size: int
    noise: bool
    shuffle: bool | str
    drop_last: bool
    average_from: int
    decay_limit: float
    settles: bool = False
    restarts: bool = False
    minimum: Any = None
    follows: bool = False
    hidden: float = 0.0
    parabola: NormalMatrix | None = None
    curvature: float = 1.0
    searches: bool = False
    part: int | None = None
    reach: tuple[float, float] | None = None

    @property
    def n_entries(self) -> int:
        """Number of entries of X; for sparse X, of stored entries."""
        return self.X.nnz if issparse(self.X) else self.X.shape[0] * self.X.shape[1]

    @property
    def is_remote(self) -> bool:
        """Whether the rows are in other processes. They have no order here, and an epoch uses all of them at once."""
        return isinstance(self.X, RemoteObject)

    @property
    def used(self) -> Any:
        """Numbers of the rows in use."""
        if self.is_remote:
            return range(self.n_rows)
        return row_numbers(self.n_rows) if self.row_indices is None else self.row_indices

    @property
    def remembers(self) -> bool:
        """Whether the last slope of each row is stored."""
        return stores_slopes(self.parts.optimizer) and self.batch_size < self.n_rows

    @property
    def has_momentum(self) -> bool:
        """Whether steps on all rows have momentum: of the squared error of sparse rows with many columns."""
        by_entries = self.preconditioner is not None and self.preconditioner.filled is not None
        return by_entries and not self.noise and self.formulas.allow_momentum

    @property
    def is_reweighted(self) -> bool:
        """Whether rows get new weights in each epoch: in full batches of a loss whose curvature varies."""
        return self.preconditioner is not None and not self.formulas.is_quadratic and not self.noise

    @property
    def is_parabola(self) -> bool:
        """Whether a step on all rows goes to the minimum of a parabola with a penalty that has a proximal step."""
        is_proximal = self.formulas.pulls_linearly and not self.formulas.is_smooth
        return self.is_reweighted and is_proximal and self.X.shape[1] <= FULL

    @property
    def shuffles(self) -> bool:
        """Whether each epoch has another order of the rows."""
        return bool(self.shuffle) and self.batch_size < self.n_rows and not self.is_remote

    @property
    def weight(self) -> float:
        """Total weight of the rows."""
        return total(self.data.weight) if self.data.weight.shape[0] else float(self.n_rows)

    @property
    def largest_loss(self) -> float:
        """The largest sum of losses. A larger one has no finite gradient in the precision of X."""
        # The normal matrix is always in double precision.
        return LARGEST[DOUBLE if self.normal and not self.noise else dtype_of(self.X)]

    def penalty_value(self, w: np.ndarray) -> float:
        """The penalty on the parameters, without the intercept."""
        if self.formulas.is_unpenalised:
            return 0.0
        return float(np.sum(self.parts.penalty.value(w[:-1]), dtype=float))

    def n_updates(self, n_rows: int) -> int:
        """Number of updates for ``n_rows`` rows; for remote rows, that of an epoch."""
        if self.is_remote:
            return self.X.n_updates(self)
        return -(-n_rows // self.batch_size)

    def piece_rows(self, targets: int) -> int:
        """Number of rows, in whole batches, that form a piece.

        For several targets, a piece of the rows and its rates must stay in the cache. Each piece of sparse rows costs
        O(P). On another device a piece costs transfers.
        """
        if self.remembers or self.is_remote or is_foreign(self.X):
            return self.n_rows
        rows, columns = self.X.shape
        size = max(PIECE, 4 * columns) * rows // max(1, self.n_entries)
        if targets == 1:
            size = max(RATES * self.batch_size, 16 * size)
        return max(1, size // self.batch_size) * self.batch_size

    def piece(
        self, order: np.ndarray, n_done: int, rate_factor: float = 1.0, joined: np.ndarray | None = None
    ) -> Piece:
        """The piece with these rows, after ``n_done`` updates; ``joined`` has its share of the weights of an epoch."""
        rates, mixes = self.rates(n_done, self.n_updates(len(order)), rate_factor)
        joined = self.joined(n_done, len(order)) if joined is None else joined
        return Piece(order, rates, mixes if joined is None else joined, n_done, rate_factor)

    def joined(self, n_done: int, n_rows: int) -> np.ndarray | None:
        """Weights of the average in an epoch of ``n_rows`` rows, if it may move less often than at each update.

        They do not depend on the pieces of the epoch.
        """
        by_entries = self.preconditioner is not None and self.preconditioner.filled is not None
        if not (by_entries and self.formulas.is_unpenalised and self.average_from):
            return None
        share, t = n_rows / self.X.shape[0], np.arange(n_done + 1, n_done + 1 + self.n_updates(n_rows))
        return joined(self.mixes(t), self.X.shape[1], share * self.n_entries)

    def rates(self, n_done: int, n_updates: int, rate_factor: float) -> tuple[np.ndarray, np.ndarray]:
        """Rates and weights of the average for ``n_updates`` updates, after those done."""
        t = np.arange(n_done + 1, n_done + 1 + n_updates)
        rates = self.schedule(t)
        return rates if rate_factor == 1.0 else rates * rate_factor, self.mixes(t)

    def mixes(self, t: np.ndarray, patience: float = 1.0) -> np.ndarray:
        """Weight of the newest parameters in the average at each update: 1 before it starts; empty without average.

        It falls up to the update number ``decay_limit``. The average becomes uniform after ``patience`` times the usual
        number of updates.
        """
        if not self.average_from:
            return NO_MIXES
        if self.average_from > 1:
            t = np.maximum(t - self.average_from + 1, 1)
        if self.decay_limit < np.inf:
            t = np.minimum(t, self.decay_limit)
        if not self.preconditioner:
            return 1.0 / t
        settled = settled_after(float(self.schedule(np.zeros(1))[0])) if self.settles else np.inf
        return averaging_weights(t, patience * settled)


def row_numbers(n_rows: int) -> np.ndarray:
    """0, 1, 2, ...; in 32 bits if possible, because a shuffle within the caches is several times faster."""
    return np.arange(n_rows, dtype=np.uint32 if n_rows <= 1 << 32 else np.int64)
