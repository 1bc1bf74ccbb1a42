"""The State of a descent: everything that it keeps from call to call. Only its methods change it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.column_record import ColumnRecord
from sklearn_sgd._engine.automatic.credibility import KNOWN, WIDENING, mean_length
from sklearn_sgd._engine.automatic.preconditioner import Preconditioner, Step
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, about_zero, begins_to_vary, decayed, merge
from sklearn_sgd._engine.automatic.window import SHORT, lengthened
from sklearn_sgd._engine.average_memory import AverageMemory
from sklearn_sgd._engine.late_columns import change_of_average
from sklearn_sgd._engine.loss_record import LossRecord
from sklearn_sgd._engine.vectors import Vectors
from sklearn_sgd._engine.weights import WeightRecord

# Factor by which a wider column must raise the recent loss for its coefficient to be reduced.
MANY = 10.0


@dataclass
class State(LossRecord, WeightRecord, AverageMemory, ColumnRecord):
    """State of a descent: everything that the next update depends on, besides the data and the Recipe.

    These fields belong to the automatic step: ``step``; ``since_step``, the weight of the samples that were measured
    after the step was made; ``window``, see :mod:`.automatic.window`; ``began``, the number of samples before each
    column began to vary, None if that is 0 for all; ``former_centre``, that before the last samples, until they have
    been learned; ``first_batch_excess``, the additional loss of the first batch at the parameters before the samples
    were measured; ``coef_before`` and ``average_before``, these parameters, if they were changed. ``first_targets`` is
    for robust losses, and ``slopes`` for exact zeros.
    """

    vectors: Vectors
    generator: np.random.Generator
    fresh: bool
    n_updates: int = 0
    n_samples: int = 0
    rate: float = 0.0
    rate_factor: float = 1.0
    since_step: float = 0.0
    window: np.ndarray = field(default_factory=lambda: np.zeros(SHORT))
    began: np.ndarray | None = None
    former_centre: np.ndarray | None = None
    first_batch_excess: float = 0.0
    coef_before: np.ndarray | None = None
    average_before: np.ndarray | None = None
    first_targets: np.ndarray | None = None
    slopes: np.ndarray | None = None

    @classmethod
    def start(cls, n_features: int, dtype, generator, coef=None, intercept=None) -> "State":
        """Return a new descent, which starts at zero or at the given parameters."""
        w = np.zeros(n_features + 1, dtype=dtype)
        w[:-1], w[-1] = 0.0 if coef is None else coef, 0.0 if intercept is None else intercept
        fresh = coef is None and intercept is None
        return cls(Vectors(w, w.astype(np.float64)), generator, fresh, centre=np.zeros(n_features))

    def fork(self) -> "State":
        """Return a copy that can continue without changing this state."""
        other = self.fork_except_vectors()
        other.vectors = self.vectors.copy()
        return other

    def fork_except_vectors(self) -> "State":
        """Return such a copy whose vectors are to be replaced, not changed."""
        other = object.__new__(State)
        vars(other).update(vars(self))
        other.window = self.window.copy()
        return other

    def of_columns(self, w: np.ndarray, average: np.ndarray, centre: np.ndarray, statistics, step) -> "State":
        """Return the state for other columns; it can continue without changing this state."""
        coef, mean, *_ = self.vectors
        vectors = Vectors(np.append(w, coef[-1]).astype(coef.dtype, copy=False), np.append(average, mean[-1]))
        window = lengthened(self.window).copy()
        kept = {"statistics": statistics, "step": step, "window": window, "began": None}
        return replace(self, vectors=vectors, centre=centre, **kept)

    def predictor(self, w: np.ndarray | None = None) -> tuple[np.ndarray, float]:
        """Return coefficients and intercept for predictions, from these parameters or from the average."""
        w = self.vectors.average if w is None else w
        # The intercept belongs to the coefficients as they are rounded, far from 0, too.
        coef = w[:-1].astype(self.vectors.coef.dtype)
        return coef, float(w[-1]) - float(self.centre.dot(coef))

    def weigh(self, weight, X):
        """Count the weights of new rows, and return them as `relative` does; sums of weighted numbers follow."""
        factor = self.count_weights(weight, X)
        if factor != 1.0:
            self._rescale(factor)
        return self.relative(weight, X)

    def _rescale(self, factor: float) -> None:
        """Multiply the weights in all sums: they are relative to a mean that has changed.

        Those of sparse columns only shape the step, and stay as they are.
        """
        self.prequential_sum, self.prequential_weight = factor * self.prequential_sum, factor * self.prequential_weight
        if self.statistics is not None and self.statistics.counts is None:
            self.statistics = decayed(self.statistics, factor)

    def learn_columns(
        self,
        new: ColumnStatistics,
        n_columns: int,
        share: float,
        make: Callable,
        growth: float,
        add_moments: Callable | None,
    ) -> None:
        """Add the statistics of new rows, older ones times a share; renew the step if they have grown enough.

        A column that varies by much more than in the step renews the step at once. A column that varies mostly in the
        new rows begins with them: its average forgets as that of a stream does that begins there. The driver
        ``add_moments`` makes small calls faster.
        """
        known, self.former_centre = self.statistics, self.centre
        if known and share < 1.0:
            known = self.statistics = decayed(known, share)
        if known and add_moments and new.moment.shape == known.moment.shape:
            moments = np.ascontiguousarray(new.mean), np.ascontiguousarray(new.moment)
            if self.add_moments(add_moments, growth, new.weight, 0, 0, 0, *moments):
                return
        self.since_step += new.weight
        grows = self.step is None or self.since_step > growth * self.step.weight
        self.statistics = merge(known, new) if known else new
        self.window = self.window if self.statistics.counts is None else lengthened(self.window)
        if known and self.step and not grows and self.step.still_holds(known, self.statistics, n_columns):
            self.recentre(self.centre_by(self.statistics))
            return
        merged, known = self.statistics.leading(n_columns), known and known.leading(n_columns)
        if known is None or self.step is None or (merged.counts is None and self.step.shares is not None):
            self._continue_with(make(merged), self.centre_by(merged))
            return
        if merged.counts is not None and not grows:
            # The scales of rare columns are computed from all rows so far; the largest eigenvalue may be older.
            self.recentre(self.centre_by(merged))
            before, self.step = self.step, make(merged, self.step)._replace(weight=self.step.weight)
            self._keep_spreads(before, self.step)
            return
        begins = begins_to_vary(*(some if self.has_intercept else about_zero(some) for some in (known, merged)))
        if merged.counts is None and np.count_nonzero(begins):
            self.began = np.where(begins, self.n_samples, 0 if self.began is None else self.began)
        if grows or (merged.variance > self.step.most_variance).any():
            self._continue_with(make(merged), self.centre_by(merged))
        self.recentre(self.centre_by(merged))

    def add_moments(self, driver: Callable, growth: float, weight: float, *new: Any) -> bool:
        """Add the moments of new rows by a driver, of which ``new`` are arguments, and return True, if the step stays.

        A single row can be passed as it is, and needs no object for its statistics.
        """
        known, since = self.statistics, self.since_step + weight
        if known is None or self.step is None or since > growth * self.step.weight or self.coef_before is not None:
            return False
        merged = self.step.merged(driver, known, weight, self.vectors, *new)
        if merged is not None:
            self.statistics, self.former_centre, self.centre = merged, self.centre, self.centre_by(merged)
            self.since_step = since
            if not self.has_intercept:
                self.vectors.coef[-1] = self.vectors.average[-1] = 0.0  # The driver moved it with the means.
        return merged is not None

    def forget_step(self) -> None:
        """Let the next step be computed from all statistics."""
        self.step = None

    def learn_entries(self, weight: float, gained: float) -> None:
        """Count rows whose statistics are stored by column; ``weight`` is the weight of all rows with them."""
        assert self.statistics is not None
        self.statistics = ColumnStatistics(weight, *self.statistics[1:])  # In half the time of `_replace`.
        self.since_step += gained

    def scale_rows(self, credibilities: float, n_filled: int) -> None:
        """Set the mean length of rows by the sum of credibilities with columns and the varying filled columns."""
        assert self.statistics is not None
        assert self.step is not None
        step, weight = self.step, self.statistics.weight
        preconditioner = Preconditioner(*step.preconditioner[:3], weight + KNOWN, step.preconditioner.factor)
        length = mean_length(credibilities, weight) + n_filled
        self.step = Step(preconditioner, step.largest, length, *step[3:])

    def take_over(self, vectors: Vectors) -> None:
        """Keep the intercept of vectors whose columns are stored elsewhere."""
        self.vectors = Vectors(vectors.coef[-1:].copy(), vectors.average[-1:].copy())

    def _continue_with(self, step: Step, centre: np.ndarray) -> None:
        """Continue with a new step and another centre.

        After few rows a column may seem narrow, and its coefficient is then large. If the column turns out to be wider,
        its share in the spread of predictions is kept, and the coefficient becomes smaller. After many rows this is
        undone unless the samples confirm it (`count_excess`).
        """
        before, self.step, self.since_step = self.step, step, 0.0
        wider = None
        if before is not None and step.shares is not None:
            self._keep_spreads(before, step)
        elif before is not None and step is not before:
            wider = step.variance > WIDENING * before.variance
        if before is not None and wider is not None and wider.any():
            self.coef_before, self.average_before = self.vectors.coef.copy(), self.vectors.average.copy()
            # The prediction at the old centre is kept, because the new centre may be far away along the same column.
            factor = np.sqrt(before.variance[wider] / step.variance[wider])
            for w in (self.vectors.coef, self.vectors.average):
                w[:-1][wider] *= factor
        self.recentre(centre)

    def _keep_spreads(self, before: Step, step: Step) -> None:
        """Keep the share of sparse columns in the spread of predictions, if later entries are larger than the first."""
        old, new = before.preconditioner, step.preconditioner
        if (larger := (WIDENING * new.inverse < old.inverse) & ~before.is_filled & ~step.is_filled).any():
            factor = np.sqrt(new.inverse[larger] / old.inverse[larger])
            for w in (self.vectors.coef, self.vectors.average):
                w[:-1][larger] *= factor

    def follow(self, other: "State") -> None:
        """Copy everything that does not depend on the target from the state of another target."""
        if self.mean_weight != other.mean_weight:
            self._rescale(self.mean_weight / other.mean_weight)
        self.weight_sum, self.weight_rows = other.weight_sum, other.weight_rows
        self.left_sum, self.left_rows = other.left_sum, other.left_rows
        self.statistics, self.began, self.former_centre = other.statistics, other.began, self.centre
        if len(other.window) > len(self.window):
            self.window = lengthened(self.window)
        if other.step is not None:
            self._continue_with(other.step, other.centre)
        self.recentre(other.centre)
        self.since_step = other.since_step

    def recentre(self, centre: np.ndarray) -> None:
        """Change the point at which the intercept is the prediction; no prediction changes."""
        move = centre - self.centre
        if np.count_nonzero(move):
            for w in (self.vectors.coef, self.vectors.average, self.coef_before, self.average_before):
                if w is not None:
                    w[-1] += move.dot(w[:-1])
            self.centre = centre

    def continue_from(self, coef: np.ndarray, intercept: float) -> None:
        """Continue from other parameters."""
        self.start_at(coef, intercept + self.centre.dot(coef), self.first_batch_excess)

    def forget_columns(self) -> None:
        """Continue by a schedule, without centring; the statistics of the targets are dropped."""
        self.recentre(np.zeros_like(self.centre))
        self.began = None
        if self.statistics is not None:
            self.statistics = self.statistics.leading(len(self.centre))

    def keep_intercept(self, has_intercept: bool) -> None:
        """Continue as a model with an intercept, or without: then it becomes 0, and columns are not centred."""
        if has_intercept != self.has_intercept:
            self.has_intercept = has_intercept
            self.recentre(np.zeros_like(self.centre))
            for w in (self.vectors.coef, self.vectors.average) if self.nears_constant else ():
                # Columns far from 0 replace the intercept.
                w[:-1] += self.nearly_constant(self.step.preconditioner, float(w[-1]))  # type: ignore[union-attr]
            self.forget_step()
        if has_intercept:
            return
        for vector in self.vectors:
            if vector is not None:
                vector[-1] = 0.0
        if self.statistics is not None and self.statistics.moment.ndim == 1:
            self.statistics = about_zero(self.statistics)

    def start_at(self, coef: np.ndarray | None, intercept: float, excess: float) -> None:
        """Set the parameters; ``excess`` is the additional loss of the first batch at the parameters before."""
        self.first_batch_excess = excess
        if intercept and self.nears_constant:
            coef, intercept = self.nearly_constant(self.step.preconditioner, intercept), 0.0  # type: ignore[union-attr]
        for w in (self.vectors.coef, self.vectors.average):
            if coef is not None:
                w[:-1] = coef
            w[-1] = intercept

    def remember(self, targets: np.ndarray | None, constant: float | None) -> None:
        """Store the first targets of a young stream; if there is a constant, start again from it."""
        self.first_targets = targets
        if constant is not None:
            self.start_at(np.zeros(len(self.centre)), constant, self.first_batch_excess)
            self.window = np.zeros_like(self.window)

    def count_excess(self, excess: float, most: float) -> None:
        """Store the additional loss of the first batch at the parameters before the columns were measured.

        After many rows these are restored, unless ``most``, that of all rows or of one, is many times the recent loss.
        """
        self.first_batch_excess = excess
        if not self.is_young and not most > MANY * self.recent_loss:
            assert self.coef_before is not None
            assert self.average_before is not None
            self.vectors = self.vectors._replace(coef=self.coef_before, average=self.average_before)
            self.first_batch_excess = 0.0

    def prepare(self, moments: int, penalty: Any, from_average: bool) -> None:
        """Prepare for an optimizer with these moments, inside bounds, from the average or the last parameters."""
        self.vectors = self.vectors.with_moments(moments)
        if getattr(penalty, "holds_at_start", False):
            for w in (self.vectors.coef, self.vectors.average):
                w[:-1] = penalty.prox(w[:-1], 0.0)
        if from_average:
            self.vectors.coef[:] = self.vectors.average  # Averaging may have been turned off since.
        else:
            self.count_from_memory(self.n_samples)

    # During a descent

    def n_done(self, plan: Any) -> int:
        """Return the number of updates by which rates and weights of the average go on.

        With the automatic step those in which the rows so far would be, if their batches had been as small as the next
        ones. A few small chunks would otherwise count as much as the many rows of a fit.
        """
        if plan.preconditioner is None or plan.is_remote or self.step is None or self.step.shares is not None:
            return self.n_updates
        done = (self.n_samples - self.n_forgotten_samples) // plan.batch_size
        return done if self.n_forgotten_samples else max(self.n_updates, done)

    def end_epoch(self, n_rows: int, n_updates: int, loss: float, rate: float) -> None:
        """Count an epoch."""
        if n_rows:
            self.fresh, self.first_batch_excess, self.rate = False, 0.0, rate
            self.coef_before = self.average_before = self.former_centre = None
            self.append_loss(loss)
            self.n_epochs += 1
        self.n_updates += n_updates
        self.n_samples += n_rows

    def go_back_to(self, vectors: Vectors, window: np.ndarray) -> None:
        """Restore earlier vectors, and the window of that time."""
        self.vectors, self.window = vectors, window

    def predict_with(self, plan: Any) -> None:
        """Predict with the average, or with the last parameters."""
        if not plan.average_from:
            self.vectors.average[:], self.memory = self.vectors.coef, 0.0
        elif plan.decay_limit < np.inf:
            self.memory = plan.decay_limit * plan.batch_size

    def update_late_averages(self, plan: Any, before: np.ndarray, n_rows: int) -> None:
        """Let the average of columns that began later change faster in these rows, before which it was ``before``.

        Predictions at the former centre stay.
        """
        assert self.began is not None
        if plan.average_from and n_rows:
            ages = np.where(self.began > 0, (self.n_samples - self.began) // plan.batch_size, -1)
            change = change_of_average(plan, self.vectors, before, ages, self.n_done(plan), plan.n_updates(n_rows))
            self.vectors.average[:-1] += change
            if self.former_centre is not None:
                self.vectors.average[-1] += change @ (self.centre - self.former_centre)
            later = np.where(2 * self.began > self.n_samples, self.began, 0)
            self.began = later if later.any() else None

    def finite(self, averaged: bool, most: float, vectors: Vectors | None = None) -> bool:
        """Return whether the next step can start from these vectors: they, their squares and the window are finite."""
        return (vectors or self.vectors).finite(averaged, most) and isfinite(self.window[0] + self.window[1])

    def end_fit(self) -> None:
        """Drop what is needed during `fit` only. A stream goes on by the number of samples, whatever the epochs."""
        self.memory = float(self.prequential_rows)
        if self.step is not None:
            self.step = self.step.without_geometry()
        if self.statistics is not None and self.statistics.centred:
            # In streams, the intercept is that at the means of the filled ones of sparse columns only.
            self.statistics = self.statistics._replace(centred=False)
            self.recentre(self.statistics.centre)

    def lower_rate(self, divisor: float) -> None:
        """Continue at a lower rate."""
        self.rate_factor /= divisor

    def stay_in_epoch(self, earlier: "State") -> None:
        """Count the chunk after an earlier state as a part of the same epoch."""
        self.n_epochs = earlier.n_epochs

    def learn_slopes(self, new: np.ndarray, share: float) -> None:
        """Count mean slopes of new rows, and where they are, by a share."""
        self.slopes = new if self.slopes is None else self.slopes + share * (new - self.slopes)

    # After a descent

    def with_parameters(self, vectors: Vectors, centre: np.ndarray) -> "State":
        """Return the state with other parameters."""
        return replace(self, vectors=vectors, centre=centre)

    def finish(self, average: np.ndarray) -> None:
        """Predict with these parameters."""
        self.vectors.average[:] = average

    def fall_back(self, constant: float) -> None:
        """Predict a constant."""
        self.start_at(np.zeros(len(self.centre)), constant, 0.0)
