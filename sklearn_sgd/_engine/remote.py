"""Rows that are in other processes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import RemoteObject


class RemoteRows(RemoteObject, ABC):
    """Rows of other processes, used instead of X and of the rows of a plan. Its methods return values over all rows.

    Each method does the same as the function of that name in the engine for rows in this process. The rows have no
    numbers here: an epoch has no order, and its pass uses all rows.

    Attributes
    ----------
    shape : tuple of int
        Number of rows, all with a weight above 0, and number of columns.
    dtype : dtype
        Precision of all rows.
    weight : float
        Total weight, as given by the user. The rows have weights of mean 1.
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
        """Number of threads that share the work."""

    @abstractmethod
    def with_intercept(self, fit_intercept: bool) -> Self:
        """The rows with a last column of ones, or of zeros."""

    @abstractmethod
    def centred(self, mean: np.ndarray) -> Self:
        """The rows with the mean of each column subtracted."""

    @abstractmethod
    def leaning(self, lean: Any, at_means: bool) -> Self:
        """The rows with what centres sparse columns with many zeros."""

    @abstractmethod
    def split(self, parts: int, most: int) -> Iterator[tuple[Self, Self]]:
        """The rows without one of equal random parts of them, and this part, for at most so many parts."""

    @abstractmethod
    def sums_of_entries(self, weight: Any) -> Callable[..., np.ndarray]:
        """The function from inverse squares to sums over the entries of sparse columns."""

    @abstractmethod
    def mean_along(self, centre: np.ndarray, d: np.ndarray | None = None) -> np.ndarray:
        """Mean of the centred rows, each times its product with d, or with numbers of its own."""

    @abstractmethod
    def some(self, number: int, weight: Any) -> tuple[Any, np.ndarray]:
        """About so many rows, evenly spaced, and their weights, in this process."""

    @abstractmethod
    def measure(self, weight: Any, centred: bool, with_target: bool) -> Any:
        """Statistics of the columns, and of the target."""

    @abstractmethod
    def largest_eigenvalue(self, covariance: np.ndarray, mean: np.ndarray, scale: np.ndarray, weight: Any) -> float:
        """Largest eigenvalue of the covariance of the scaled columns."""

    @abstractmethod
    def best_constant(self, formulas: Formulas) -> float:
        """The best constant raw prediction."""

    @abstractmethod
    def residual_sums(self, loss: Any, constant: float) -> np.ndarray:
        """Sums of weights, losses, absolute slopes and squared slopes, for predictions next to a constant."""

    @abstractmethod
    def smoothed_gradient(self, loss: Any, mean: np.ndarray, constant: float, size: float) -> np.ndarray:
        """Sum of the gradients for predictions above and below a constant."""

    @abstractmethod
    def factor_along(self, mean: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, float]:
        """Triangular factor of the weighted squares of rows along directions, and the total weight."""

    @abstractmethod
    def scores(self, objective: Any, none: Any) -> Any:
        """The scores of all rows, starting from empty scores."""

    @abstractmethod
    def training_loss(self, loss: Any, coef: np.ndarray, intercept: float, rounding: float = 0.0) -> float:
        """Mean loss of a model."""

    @abstractmethod
    def row_curvatures(self, loss: Any, w: np.ndarray, aside: float) -> tuple[Any, float, float]:
        """Weights of rows by the curvature of their losses, and its mean."""

    @abstractmethod
    def near_kinks(self, loss: Any, w: np.ndarray, most: int) -> Any:
        """At most ``most`` rows, those whose loss has a kink next to their predictions; the tangents of the others."""

    @abstractmethod
    def epoch(self, plan: Any) -> range:
        """A range over the rows of an epoch."""

    @abstractmethod
    def n_updates(self, plan: Any) -> int:
        """Number of updates in an epoch."""

    @abstractmethod
    def choose(self, plan: Any) -> Callable:
        """The pass over the rows."""

    @abstractmethod
    def all_rows(self, plan: Any) -> Any:
        """All rows as one batch."""
