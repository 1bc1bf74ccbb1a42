"""The State: where a descent stands, and all that it carries from call to call."""

from dataclasses import dataclass, field
from math import exp
from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine.namespace import doubled, dtype_of, is_foreign, like, total
from sklearn_sgd._engine.step import Columns, Step, about_zero

# Rows over which the recent loss of a stream is taken.
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

    def finite(self, averaged: bool) -> bool:
        """Whether the parameters, and their average if there is one, are numbers."""
        return bool(np.isfinite(self.coef).all() and (not averaged or np.isfinite(self.average).all()))


@dataclass
class State:
    """Where a descent stands: all that the next update depends on, besides the data and the parameters.

    The intercept is the prediction at ``centre``. Of the automatic step are ``columns``, ``step``, ``since_step`` (the
    weight of the rows measured since it was made), ``memory`` (sums of
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
    faded_loss: float = 0.0
    faded_weight: float = 0.0
    columns: Columns | None = None
    step: Step | None = None
    since_step: float = 0.0
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
                w[-1] += move.dot(w[:-1])
            self.centre = centre

    def forget_intercept(self) -> None:
        """Go on as a model without intercept, which is 0, and whose columns are not centred."""
        self.recentre(np.zeros_like(self.centre))
        for vector in self.vectors:
            if vector is not None:
                vector[-1] = 0.0
        if self.columns is not None:
            self.columns = about_zero(self.columns)

    def follow(self, other: "State") -> None:
        """Take over what does not depend on the target."""
        self.weight_sum, self.weight_rows = other.weight_sum, other.weight_rows
        self.columns, self.step, self.since_step = other.columns, other.step, other.since_step
        self.recentre(other.centre)

    def predictor(self) -> tuple[np.ndarray, float]:
        """Coefficients and intercept to predict with."""
        w = self.vectors.average
        coef = w[:-1].copy()
        return coef, float(w[-1]) - float(self.centre.dot(coef))

    def sight(self, loss: float, weight: float) -> None:
        """Count the mean loss of rows of such a total weight, seen for the first time."""
        self.first_sight_loss += loss * weight
        self.first_sight_weight += weight
        keep = exp(-weight / RECENT)
        self.faded_loss = keep * self.faded_loss + (1.0 - keep) * loss
        self.faded_weight = keep * self.faded_weight + (1.0 - keep)

    def restore_prequential_loss(self, earlier: "State") -> None:
        """Take the prequential losses of an earlier state: the samples since then have been seen before."""
        self.first_sight_loss, self.first_sight_weight = earlier.first_sight_loss, earlier.first_sight_weight
        self.faded_loss, self.faded_weight = earlier.faded_loss, earlier.faded_weight

    @property
    def prequential_loss(self) -> float:
        """Mean loss at first sight."""
        return self.first_sight_loss / max(self.first_sight_weight, 1e-300)

    @property
    def recent_loss(self) -> float:
        """The same of late."""
        return self.faded_loss / max(self.faded_weight, 1e-300)

    def fall_back(self, constant: float) -> None:
        """Predict a constant."""
        for w in (self.vectors.coef, self.vectors.average):
            w[:-1], w[-1] = 0.0, constant

    def weigh(self, weight, X):
        """Weights over the mean of all non-zero ones so far, so that their scale drops out; empty if all are 1."""
        n_rows, dtype = X.shape[0], dtype_of(X)
        self.weight_sum += n_rows if weight is None else total(weight)
        self.weight_rows += n_rows if weight is None else int(total(doubled(weight != 0)))
        mean = self.weight_sum / self.weight_rows if self.weight_rows else 1.0
        if weight is None:
            return np.empty(0, dtype) if mean == 1.0 else like(np.full(n_rows, 1.0 / mean, dtype), X)
        return weight / mean if is_foreign(weight) else (weight / mean).astype(dtype, copy=False)
