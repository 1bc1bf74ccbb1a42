"""Rows that are not in this process."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import Elsewhere


class RemoteRows(Elsewhere, ABC):
    """Rows elsewhere, in the place of X and of the rows of a plan: what the engine must know of all rows at once.

    Each method does what the function of that name in the engine does for rows in this process. The rows are not
    numbered here: an epoch has no order, and its pass takes all that it has.

    Attributes
    ----------
    shape : tuple of int
        Numbers of rows, none of which has the weight 0, and of columns.
    dtype : dtype
        Precision of all rows.
    weight : float
        Total weight, as the user gave it. The rows themselves count with weights of mean 1.
    bias : number
        Entry of the last column: 1, or 0 without intercept.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    weight: float
    bias: Any

    @property
    @abstractmethod
    def n_workers(self) -> int:
        """Threads that share the work."""

    @abstractmethod
    def with_intercept(self, fit_intercept: bool) -> Self:
        """The rows with a last column of ones, or of zeros."""

    @abstractmethod
    def centred(self, mean: np.ndarray) -> Self:
        """The rows less the mean of their columns."""

    @abstractmethod
    def measure(self, weight: Any, centred: bool, with_target: bool) -> Any:
        """Statistics of the columns, and of the target."""

    @abstractmethod
    def largest_eigenvalue(self, covariance: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> float:
        """Largest eigenvalue of the covariance of the scaled columns."""

    @abstractmethod
    def best_constant(self, formulas: Formulas) -> float:
        """The raw constant of least loss."""

    @abstractmethod
    def residual_sums(self, loss: Any, constant: float) -> np.ndarray:
        """Sums of weights, losses, and slopes, absolute and squared, beside a constant."""

    @abstractmethod
    def smoothed_gradient(self, loss: Any, mean: np.ndarray, constant: float, size: float) -> np.ndarray:
        """Sum of the gradients on both sides of a constant."""

    @abstractmethod
    def scores(self, objective: Any, none: Any) -> Any:
        """The scores of all rows, from those of none."""

    @abstractmethod
    def training_loss(self, loss: Any, coef: np.ndarray, intercept: float, rounding: float = 0.0) -> float:
        """Mean loss of a model."""

    @abstractmethod
    def row_curvatures(self, loss: Any, w: np.ndarray) -> tuple[Any, float]:
        """Weights of rows by the curvature of their losses, and its mean."""

    @abstractmethod
    def epoch(self, plan: Any) -> range:
        """As many numbers as rows that an epoch takes."""

    @abstractmethod
    def n_updates(self, plan: Any) -> int:
        """Updates in an epoch."""

    @abstractmethod
    def choose(self, plan: Any) -> Callable:
        """The pass over the rows."""

    @abstractmethod
    def all_rows(self, plan: Any) -> Any:
        """All rows as one batch."""
