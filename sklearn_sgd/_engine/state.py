"""The State: where a descent stands, and all that it carries from call to call. Only its methods change it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import exp, isfinite
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Step
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, about_zero, decayed, merge
from sklearn_sgd._namespace import Elsewhere, doubled, dtype_of, is_foreign, like, total

# Samples over which the recent loss of a stream is taken.
RECENT = 1000.0


class Vectors(NamedTuple):
    """Parameters with the intercept last, their average, and what moments the optimizer keeps."""

    coef: np.ndarray
    average: np.ndarray
    m: np.ndarray | None = None
    v: np.ndarray | None = None

    def copy(self) -> "Vectors":
        """The same numbers in arrays of their own."""
        m, v = self.m, self.v
        moments = None if m is None else m.copy(), None if v is None else v.copy()
        return Vectors(self.coef.copy(), self.average.copy(), *moments)

    def with_moments(self, number: int) -> "Vectors":
        """With so many moments, 0 at first."""
        if (number > 0) == (self.m is not None) and (number > 1) == (self.v is not None):
            return self
        m, v = (np.zeros_like(self.coef) if a is None else a for a in (self.m, self.v))
        return self._replace(m=m if number > 0 else None, v=v if number > 1 else None)

    def finite(self, averaged: bool, most: float) -> bool:
        """Whether parameters, and their average if there is one, have squares of no larger sum; moments are numbers.

        Predictions are in range, too, then.
        """
        return (
            _within(self.coef, most)
            and (not averaged or _within(self.average, most))
            and (self.m is None or _are_numbers(self.m))
            and (self.v is None or _are_numbers(self.v))
        )


def _within(vector: np.ndarray, most: float) -> bool:
    """Whether the sum of squares is no more, in the precision of the vector if possible, which is found sooner."""
    return isfinite(vector.dot(vector)) or bool(np.square(vector, dtype=np.float64).sum() <= most)


def _are_numbers(vector: np.ndarray) -> bool:
    return isfinite(vector.dot(vector)) or bool(np.isfinite(vector).all())


@dataclass
class State:
    """Where a descent stands: all that the next update depends on, besides the data and the parameters.

    The intercept is the prediction at ``centre``. Of the automatic step are ``statistics``, ``step``, ``since_step``
    (the weight of the samples measured since it was made), ``window`` (sums of recent squared slopes and losses) and
    ``first_batch_excess`` (what the first batch of a stream cost before anything was known).
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
    prequential_sum: float = 0.0
    prequential_weight: float = 0.0
    recent_sum: float = 0.0
    recent_weight: float = 0.0
    statistics: ColumnStatistics | None = None
    step: Step | None = None
    since_step: float = 0.0
    window: np.ndarray = field(default_factory=lambda: np.zeros(2))
    first_batch_excess: float = 0.0

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
        other.vectors, other.window = self.vectors.copy(), self.window.copy()
        return other

    @property
    def loss_curve(self) -> list[float]:
        """Mean loss of each epoch."""
        return self.losses[: self.n_losses]

    @property
    def prequential_loss(self) -> float:
        """Mean loss of samples before they were learned."""
        return self.prequential_sum / max(self.prequential_weight, 1e-300)

    @property
    def recent_loss(self) -> float:
        """The same of recent samples."""
        return self.recent_sum / max(self.recent_weight, 1e-300)

    def predictor(self) -> tuple[np.ndarray, float]:
        """Coefficients and intercept to predict with."""
        w = self.vectors.average
        coef = w[:-1].copy()
        return coef, float(w[-1]) - float(self.centre.dot(coef))

    # Before a descent

    def weigh(self, weight, X):
        """Weights over the mean of all non-zero ones so far, so that their scale drops out; empty if all are 1."""
        n_rows, dtype = X.shape[0], dtype_of(X)
        if isinstance(X, Elsewhere):
            # They have their weights with them, already of mean 1.
            self.weight_sum, self.weight_rows = X.weight, n_rows
            return np.empty(0, dtype)
        self.weight_sum += n_rows if weight is None else total(weight)
        self.weight_rows += n_rows if weight is None else int(total(doubled(weight != 0)))
        mean = self.weight_sum / self.weight_rows if self.weight_rows else 1.0
        if weight is None:
            return np.empty(0, dtype) if mean == 1.0 else like(np.full(n_rows, 1.0 / mean, dtype), X)
        return weight / mean if is_foreign(weight) else (weight / mean).astype(dtype, copy=False)

    def learn_columns(self, new: ColumnStatistics, share: float, make: Callable, growth: float) -> None:
        """Count the statistics of new rows, older ones by a share, and renew the step when they have grown."""
        known = self.statistics
        if known and share < 1.0:
            known = decayed(known, share)
        self.statistics = merge(known, new) if known else new
        self.since_step += new.weight
        self.recentre(self.statistics.mean)
        if self.step is None or self.since_step > growth * self.step.weight:
            self.step, self.since_step = make(self.statistics), 0.0

    def follow(self, other: "State") -> None:
        """Take over what does not depend on the target."""
        self.weight_sum, self.weight_rows = other.weight_sum, other.weight_rows
        self.statistics, self.step, self.since_step = other.statistics, other.step, other.since_step
        self.recentre(other.centre)

    def recentre(self, centre: np.ndarray) -> None:
        """Let the intercept be the prediction at another point; no prediction changes."""
        move = centre - self.centre
        if move.any():
            for w in (self.vectors.coef, self.vectors.average):
                w[-1] += move.dot(w[:-1])
            self.centre = centre

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
            self.losses[self.n_losses :] = [loss]
            self.n_losses += 1
            self.n_epochs += 1
        self.n_updates += n_updates
        self.n_samples += n_rows

    def predict_with(self, vectors: Vectors | None) -> None:
        """Go back to these vectors; None: predict with the last parameters, not with an average."""
        if vectors is not None:
            self.vectors = vectors
        else:
            self.vectors.average[:] = self.vectors.coef

    def finite(self, averaged: bool, most: float) -> bool:
        """Whether the next step can start from here: all that it depends on is a number, and its squares are."""
        return self.vectors.finite(averaged, most) and isfinite(self.window[0] + self.window[1])

    def lower_rate(self, divisor: float) -> None:
        """Go on at a lower rate."""
        self.rate_factor /= divisor

    def count_first_loss(self, loss: float, weight: float) -> None:
        """Count the mean loss of samples of such a total weight, seen for the first time."""
        self.prequential_sum += loss * weight
        self.prequential_weight += weight
        keep = exp(-weight / RECENT)
        self.recent_sum = keep * self.recent_sum + (1.0 - keep) * loss
        self.recent_weight = keep * self.recent_weight + (1.0 - keep)

    def restore_prequential_loss(self, earlier: "State") -> None:
        """Take the losses of samples before they were learned from an earlier state: later ones were not new."""
        self.prequential_sum, self.prequential_weight = earlier.prequential_sum, earlier.prequential_weight
        self.recent_sum, self.recent_weight = earlier.recent_sum, earlier.recent_weight

    # After a descent

    def with_parameters(self, vectors: Vectors, centre: np.ndarray) -> "State":
        """The same state with other parameters."""
        return replace(self, vectors=vectors, centre=centre)

    def finish(self, average: np.ndarray) -> None:
        """Predict with these parameters."""
        self.vectors.average[:] = average

    def fall_back(self, constant: float) -> None:
        """Predict a constant."""
        for w in (self.vectors.coef, self.vectors.average):
            w[:-1], w[-1] = 0.0, constant
