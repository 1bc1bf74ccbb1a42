"""The State: where a descent stands, and all that it carries from call to call. Only its methods change it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import exp, isfinite
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.entries import KNOWN, NEWS, mean_length
from sklearn_sgd._engine.automatic.final_step import NormalMatrix
from sklearn_sgd._engine.automatic.preconditioner import Step
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, about_zero, decayed, merge, news_for_average
from sklearn_sgd._engine.automatic.step_size import DECAY
from sklearn_sgd._engine.automatic.window import SHORT, lengthened
from sklearn_sgd._engine.vectors import Vectors
from sklearn_sgd._namespace import Elsewhere, doubled, dtype_of, is_foreign, like, total

# Samples over which the recent loss of a stream is taken, and how many losses of its chunks are kept at least.
RECENT, KEPT = 1000.0, 10_000

# Samples per column up to which a stream is young; losses of recent samples that a column which turns out to be wider
# must cost, for its coefficient to be doubted.
EARLY, MANY = 10.0, 10.0


@dataclass
class State:
    """Where a descent stands: all that the next update depends on, besides the data and the parameters.

    The intercept is the prediction at ``centre``. Of the automatic step are ``statistics``, ``step``, ``since_step``
    (the weight of the samples measured since it was made), ``window`` (see :mod:`.automatic.window`), ``news`` (of
    columns that vary more than before, the share of the last samples in their spread, and how far centres moved) and
    ``first_batch_excess`` (what the first batch cost more before the samples showed the columns), ``coef_before``
    and ``average_before`` (the parameters then, if they are others now); ``first_targets``, and for zeros ``slopes``.

    ``losses`` has one for each epoch of a fit and each chunk of a stream, without the first ``n_forgotten``. Chunks
    that are parts of one epoch count as one in ``n_epochs``.
    """

    vectors: Vectors
    centre: np.ndarray
    generator: np.random.Generator
    fresh: bool
    n_updates: int = 0
    n_epochs: int = 0
    n_chunks: int = 0
    n_samples: int = 0
    rate: float = 0.0
    rate_factor: float = 1.0
    weight_sum: float = 0.0
    weight_rows: int = 0
    losses: list[float] = field(default_factory=list)
    n_losses: int = 0
    n_forgotten: int = 0
    prequential_sum: float = 0.0
    prequential_weight: float = 0.0
    recent_sum: float = 0.0
    recent_weight: float = 0.0
    statistics: ColumnStatistics | None = None
    step: Step | None = None
    since_step: float = 0.0
    window: np.ndarray = field(default_factory=lambda: np.zeros(SHORT))
    news: np.ndarray | None = None
    first_batch_excess: float = 0.0
    coef_before: np.ndarray | None = None
    average_before: np.ndarray | None = None
    first_targets: np.ndarray | None = None
    slopes: np.ndarray | None = None

    @classmethod
    def start(cls, n_features: int, dtype, generator, coef=None, intercept=None) -> "State":
        """A new descent, from zero or from the parameters given."""
        w = np.zeros(n_features + 1, dtype=dtype)
        if coef is not None:
            w[:-1] = coef
        if intercept is not None:
            w[-1] = intercept
        return cls(
            Vectors(w, w.astype(np.float64)), np.zeros(n_features), generator, fresh=coef is None and intercept is None
        )

    def fork(self) -> "State":
        """A state that can go on without changing this one."""
        other = object.__new__(State)
        vars(other).update(vars(self))
        other.vectors, other.window = self.vectors.copy(), self.window.copy()
        return other

    def of_columns(self, w: np.ndarray, average: np.ndarray, centre: np.ndarray, statistics, step) -> "State":
        """The same state of other columns, which can go on without changing this one."""
        coef, mean, *_ = self.vectors
        vectors = Vectors(np.append(w, coef[-1]).astype(coef.dtype, copy=False), np.append(average, mean[-1]))
        window = lengthened(self.window).copy()
        return replace(self, vectors=vectors, centre=centre, statistics=statistics, step=step, window=window)

    @property
    def loss_curve(self) -> list[float]:
        """Mean loss of each epoch, or of each of the last chunks."""
        return self.losses[: self.n_losses]

    @property
    def prequential_loss(self) -> float:
        """Mean loss of samples before they were learned."""
        return self.prequential_sum / max(self.prequential_weight, 1e-300)

    @property
    def recent_loss(self) -> float:
        """The same of recent samples."""
        return self.recent_sum / max(self.recent_weight, 1e-300)

    def predictor(self, w: np.ndarray | None = None) -> tuple[np.ndarray, float]:
        """Coefficients and intercept to predict with, from these parameters or the average."""
        w, dtype = self.vectors.average if w is None else w, self.vectors.coef.dtype
        return w[:-1].astype(dtype), float(w[-1]) - float(self.centre.dot(w[:-1]))

    def weigh(self, weight, X):
        """Weights over the mean of all non-zero ones so far, so that their scale drops out; empty if all are 1."""
        n_rows, dtype = X.shape[0], dtype_of(X)
        if isinstance(X, Elsewhere):
            # They have their weights with them, already of mean 1.
            self.weight_sum, self.weight_rows = X.weight, n_rows
            return np.empty(0, dtype)
        if weight is None:
            even = self.count_rows(n_rows)
            return np.empty(0, dtype) if even else like(np.full(n_rows, self.weight_rows / self.weight_sum, dtype), X)
        self.weight_sum += total(weight)
        self.weight_rows += int(total(doubled(weight != 0)))
        mean = self.weight_sum / self.weight_rows if self.weight_rows else 1.0
        return weight / mean if is_foreign(weight) else (weight / mean).astype(dtype, copy=False)

    def count_rows(self, number: int) -> bool:
        """Count rows of weight 1; whether the mean weight so far is 1, too."""
        self.weight_sum += number
        self.weight_rows += number
        return self.weight_sum == self.weight_rows

    @property
    def is_young(self) -> bool:
        """Whether a stream has shown few rows for each column."""
        return self.statistics is None or self.statistics.weight <= EARLY * len(self.centre)

    @property
    def knows_targets(self) -> bool:
        """Whether the statistics hold the targets beside the columns."""
        return self.statistics is not None and len(self.statistics.mean) > len(self.centre)

    def normal_matrix(self, target: int) -> NormalMatrix:
        """All that the squared error of a target depends on."""
        assert self.statistics is not None
        return NormalMatrix.of(self.statistics, len(self.centre), target)

    def learn_columns(self, new: ColumnStatistics, n_columns: int, share: float, make: Callable, growth: float) -> None:
        """Count the statistics of new rows, older ones by a share, and renew the step when they have grown.

        A column that varies by much more than the step knows is news, and renews it at once. One that varies mostly in
        the new rows is news for the average alone.
        """
        known, self.news = self.statistics, None
        if known and share < 1.0:
            known = decayed(known, share)
        self.statistics = merge(known, new) if known else new
        self.window = self.window if self.statistics.counts is None else lengthened(self.window)
        self.since_step += new.weight
        grows = self.step is None or self.since_step > growth * self.step.weight
        if known and self.step and not grows and self.step.still_holds(known, self.statistics, n_columns):
            self.recentre(self.statistics.mean[:n_columns])
            return
        merged, known = self.statistics.leading(n_columns), known and known.leading(n_columns)
        if known is None or self.step is None or (merged.counts is None and self.step.shares is not None):
            self._go_on_with(make(merged), merged.centre)
            return
        if merged.counts is not None and not grows:
            # Scales of rare columns are those of all rows seen; the largest eigenvalue may be older.
            self.recentre(merged.centre)
            before, self.step = self.step, make(merged, self.step)._replace(weight=self.step.weight)
            self._keep_spreads(before, self.step)
            return
        is_news = merged.variance > self.step.news
        if grows or is_news.any():
            self._go_on_with(make(merged), merged.centre)
        self.recentre(merged.centre)
        self.news = news_for_average(known, merged, is_news)

    def learn_entries(self, weight: float, gained: float) -> None:
        """Count rows of which the statistics stand elsewhere, by column; with them the weight of all is this."""
        assert self.statistics is not None
        self.statistics = self.statistics._replace(weight=weight)
        self.since_step += gained

    def scale_rows(self, acquaintances: float, n_filled: int) -> None:
        """Know the length of rows from the sum of the acquaintances with columns, and how many filled ones vary."""
        assert self.statistics is not None
        assert self.step is not None
        preconditioner = self.step.preconditioner._replace(unit=self.statistics.weight + KNOWN)
        length = mean_length(acquaintances, self.statistics.weight) + n_filled
        self.step = self.step._replace(preconditioner=preconditioner, length=length)

    def take_over(self, vectors: Vectors) -> None:
        """Keep the intercept of vectors whose columns stand elsewhere."""
        self.vectors = Vectors(vectors.coef[-1:].copy(), vectors.average[-1:].copy())

    def _go_on_with(self, step: Step, centre: np.ndarray) -> None:
        """Go on with a new step, from another centre.

        Of a few rows a column may look narrow, and its coefficient is large then. A column that turns out to be wider
        keeps its share in the spread of predictions, not its coefficient; also with many rows, where the samples say
        so (`count_excess`).
        """
        before, self.step, self.since_step = self.step, step, 0.0
        wider = None
        if before is not None and step.shares is not None:
            self._keep_spreads(before, step)
        elif before is not None and step is not before:
            wider = step.variance > NEWS * before.variance
        if before is not None and wider is not None and wider.any():
            self.coef_before, self.average_before = self.vectors.coef.copy(), self.vectors.average.copy()
            # The prediction in the old centre stays: the new one may lie far away, by the same column.
            factor = np.sqrt(before.variance[wider] / step.variance[wider])
            for w in (self.vectors.coef, self.vectors.average):
                w[:-1][wider] *= factor
        self.recentre(centre)

    def _keep_spreads(self, before: Step, step: Step) -> None:
        """Let sparse columns whose entries prove larger keep their share in the spread of predictions.

        Of one entry its scale is a guess, and the coefficient that was learned from it, too.
        """
        old, new = before.preconditioner, step.preconditioner
        if (larger := (NEWS * new.inverse < old.inverse) & ~before.is_filled & ~step.is_filled).any():
            factor = np.sqrt(new.inverse[larger] / old.inverse[larger])
            for w in (self.vectors.coef, self.vectors.average):
                w[:-1][larger] *= factor

    def follow(self, other: "State") -> None:
        """Take over what does not depend on the target."""
        self.weight_sum, self.weight_rows = other.weight_sum, other.weight_rows
        self.statistics, self.news = other.statistics, other.news
        if len(other.window) > len(self.window):
            self.window = lengthened(self.window)
        if other.step is not None:
            self._go_on_with(other.step, other.centre)
        self.recentre(other.centre)
        self.since_step = other.since_step

    def recentre(self, centre: np.ndarray) -> None:
        """Let the intercept be the prediction at another point; no prediction changes."""
        move = centre - self.centre
        if np.count_nonzero(move):
            for w in (self.vectors.coef, self.vectors.average, self.coef_before, self.average_before):
                if w is not None:
                    w[-1] += move.dot(w[:-1])
            self.centre = centre

    def go_on_from(self, coef: np.ndarray, intercept: float) -> None:
        """Go on from other parameters."""
        self.start_at(coef, intercept + self.centre.dot(coef), self.first_batch_excess)

    def forget_columns(self) -> None:
        """Go on by a schedule, from columns as they are; the targets of the rows to come will not be known."""
        self.recentre(np.zeros_like(self.centre))
        if self.statistics is not None:
            self.statistics = self.statistics.leading(len(self.centre))

    def forget_intercept(self) -> None:
        """Go on as a model without intercept, which is 0, and whose columns are not centred."""
        self.recentre(np.zeros_like(self.centre))
        for vector in self.vectors:
            if vector is not None:
                vector[-1] = 0.0
        if self.statistics is not None:
            self.statistics = about_zero(self.statistics)

    def start_at(self, coef: np.ndarray | None, intercept: float, excess: float) -> None:
        """Begin at these parameters; ``excess`` is what the first batch costs more without them."""
        self.first_batch_excess = excess
        for w in (self.vectors.coef, self.vectors.average):
            if coef is not None:
                w[:-1] = coef
            w[-1] = intercept

    def remember(self, targets: np.ndarray | None, constant: float | None) -> None:
        """Keep the first targets of a young stream; begin anew at a constant, if any."""
        self.first_targets = targets
        if constant is not None:
            self.start_at(np.zeros(len(self.centre)), constant, self.first_batch_excess)
            self.window = np.zeros_like(self.window)

    def count_excess(self, excess: float, total: float) -> None:
        """Note what the first batch, and all, would have cost more with the parameters from before columns were known.

        After many rows these are what is known best, and are kept unless they cost many times what rows cost.
        """
        self.first_batch_excess = excess
        if not self.is_young and not total > MANY * self.recent_loss:
            assert self.coef_before is not None
            assert self.average_before is not None
            self.vectors = self.vectors._replace(coef=self.coef_before, average=self.average_before)
            self.first_batch_excess = 0.0

    def prepare(self, moments: int, penalty: Any, from_average: bool) -> None:
        """Make ready for an optimizer that keeps so many moments, inside bounds, from the average or the last step."""
        self.vectors = self.vectors.with_moments(moments)
        if getattr(penalty, "holds_at_start", False):
            for w in (self.vectors.coef, self.vectors.average):
                w[:-1] = penalty.prox(w[:-1], 0.0)
        if from_average:
            # Averaging may have been switched off on the way: go on from what predicts.
            self.vectors.coef[:] = self.vectors.average

    # During a descent

    def end_epoch(self, n_rows: int, n_updates: int, loss: float, rate: float) -> None:
        """Count an epoch. Forks share one list of losses, so that a long stream does not copy it in each call."""
        if n_rows:
            self.fresh, self.first_batch_excess, self.rate = False, 0.0, rate
            self.coef_before = self.average_before = None
            if len(self.losses) > self.n_losses:  # Another fork of the same state has gone on.
                self.losses = self.losses[: self.n_losses]
            self.losses.append(loss)
            self.n_losses += 1
            self.n_epochs += 1
        self.n_updates += n_updates
        self.n_samples += n_rows

    def go_back_to(self, vectors: Vectors) -> None:
        """Go on from earlier vectors."""
        self.vectors = vectors

    def predict_with(self, averaged: bool) -> None:
        """Predict with the average, or with the last parameters.

        The average forgets by updates. Of a column that has hardly varied before, it forgets by what the column varies,
        and its predictions at the former centre stay.
        """
        w, average, *_ = self.vectors
        if not averaged:
            average[:] = w
        elif self.news is not None:
            (part, way), self.news = self.news, None
            change = np.minimum(1.0, (DECAY + 1.0) * part) * (w[:-1] - average[:-1])
            average[:-1] += change
            average[-1] += change @ way

    def finite(self, averaged: bool, most: float, vectors: Vectors | None = None) -> bool:
        """Whether the next step can start from these vectors: all that it depends on, and its squares, are numbers."""
        return (vectors or self.vectors).finite(averaged, most) and isfinite(self.window[0] + self.window[1])

    def end_fit(self) -> None:
        """Forget what only a fit needs."""
        if self.step is not None:
            self.step = self.step._replace(geometry=None)

    def lower_rate(self, divisor: float) -> None:
        """Lower the rate."""
        self.rate_factor /= divisor

    def count_first_loss(self, loss: float, weight: float) -> None:
        """Count the mean loss of a chunk of such a total weight, seen for the first time; the last ones are kept."""
        self.prequential_sum += loss * weight
        self.prequential_weight += weight
        keep = exp(-weight / RECENT)
        self.recent_sum = keep * self.recent_sum + (1.0 - keep) * loss
        self.recent_weight = keep * self.recent_weight + (1.0 - keep)
        self.n_chunks += 1
        if self.n_losses >= 2 * KEPT:
            self.n_forgotten += self.n_losses - KEPT
            self.losses, self.n_losses = self.losses[self.n_losses - KEPT : self.n_losses], KEPT

    def count_first_epoch(self, loss: float, weight: float) -> None:
        """The same of the first epoch of a fit, which is no chunk."""
        self.count_first_loss(loss, weight)
        self.n_chunks -= 1

    def restore_prequential_loss(self, earlier: "State") -> None:
        """Take the losses of samples before they were learned from an earlier state: later ones were not new."""
        self.prequential_sum, self.prequential_weight = earlier.prequential_sum, earlier.prequential_weight
        self.recent_sum, self.recent_weight = earlier.recent_sum, earlier.recent_weight

    def stay_in_epoch(self, earlier: "State") -> None:
        """Take the chunk after an earlier state as a part of the same epoch."""
        self.n_epochs = earlier.n_epochs

    def learn_slopes(self, new: np.ndarray, share: float) -> None:
        """Count mean slopes of new rows, and where they are, by a share."""
        self.slopes = new if self.slopes is None else self.slopes + share * (new - self.slopes)

    # After a descent

    def with_parameters(self, vectors: Vectors, centre: np.ndarray) -> "State":
        """The same state with other parameters."""
        return replace(self, vectors=vectors, centre=centre)

    def finish(self, average: np.ndarray) -> None:
        """Predict with these parameters."""
        self.vectors.average[:] = average

    def fall_back(self, constant: float) -> None:
        """Predict a constant."""
        self.start_at(np.zeros(len(self.centre)), constant, 0.0)
