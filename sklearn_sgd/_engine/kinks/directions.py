"""Directions in which rows have variance 1: the columns in their units, or combinations of them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd._engine.baseline import less_along
from sklearn_sgd._namespace import host

# Change of predictions by rounding of coefficients, in units of that by a move along a direction, that is small.
HARDLY = 0.01


class Directions(ABC):
    """Directions; coefficients along them move all others."""

    @property
    @abstractmethod
    def number(self) -> int:
        """Number of directions."""

    @property
    @abstractmethod
    def units(self) -> np.ndarray:
        """Changes of the coefficients that change predictions by 1."""

    @abstractmethod
    def with_digits(self, sizes: np.ndarray, precision: float) -> "Directions":
        """Return those along which rounding of the coefficients to a precision hardly changes predictions.

        ``sizes`` are those of the entries of each column.
        """

    @abstractmethod
    def rows(self, rows: Any, centre: np.ndarray) -> np.ndarray:
        """Return rows, less their centre, along the directions."""

    @abstractmethod
    def slopes(self, g: np.ndarray) -> np.ndarray:
        """Return the slopes along the directions for a gradient."""

    @abstractmethod
    def coefficients(self, v: np.ndarray) -> np.ndarray:
        """Return the coefficients of a move along the directions."""

    @abstractmethod
    def along(self, w: np.ndarray) -> np.ndarray:
        """Return the move along the directions for coefficients; it changes predictions as these do."""

    @abstractmethod
    def curvatures(self, ridge: np.ndarray) -> np.ndarray:
        """Return the second derivatives along the directions for those of the coefficients."""


@dataclass(frozen=True)
class Mixed(Directions):
    """Combinations of all columns: those of a matrix.

    Along the ``null`` ones rows hardly vary, by an amount of which the covariances show no digit.
    """

    matrix: np.ndarray
    null: np.ndarray

    @property
    def number(self) -> int:
        """Number of directions."""
        return self.matrix.shape[1]

    @property
    def units(self) -> np.ndarray:
        """Changes of the coefficients that change predictions by 1."""
        return np.sqrt(np.sum(np.square(self.matrix), axis=1))

    def with_digits(self, sizes: np.ndarray, precision: float) -> "Mixed":
        """Return those along which rounding of the coefficients to a precision hardly changes predictions."""
        return Mixed(self.matrix[:, precision * (sizes @ abs(self.matrix)) < HARDLY], self.null)

    def rows(self, rows: Any, centre: np.ndarray) -> np.ndarray:
        """Return rows, less their centre, along the directions."""
        return less_along(rows, centre, self.matrix)

    def slopes(self, g: np.ndarray) -> np.ndarray:
        """Return the slopes along the directions for a gradient."""
        return g @ self.matrix

    def coefficients(self, v: np.ndarray) -> np.ndarray:
        """Return the coefficients of a move along the directions."""
        return self.matrix @ v

    def along(self, w: np.ndarray) -> np.ndarray:
        """Return the move along the directions for coefficients; it changes predictions as these do."""
        return np.linalg.lstsq(self.matrix, w)[0]

    def curvatures(self, ridge: np.ndarray) -> np.ndarray:
        """Return the second derivatives along the directions for those of the coefficients."""
        return self.matrix.T @ (ridge[:, None] * self.matrix)


@dataclass(frozen=True)
class Single(Directions):
    """The columns that vary, divided by their scales."""

    columns: np.ndarray
    scales: np.ndarray
    n_columns: int

    @property
    def number(self) -> int:
        """Number of directions."""
        return len(self.columns)

    @property
    def units(self) -> np.ndarray:
        """Changes of the coefficients that change predictions by 1; 0 for columns that do not vary."""
        return self.coefficients(np.ones(self.number))

    def with_digits(self, sizes: np.ndarray, precision: float) -> "Single":
        """Return those along which rounding of the coefficients to a precision hardly changes predictions."""
        some = precision * sizes[self.columns] < HARDLY * self.scales
        return Single(self.columns[some], self.scales[some], self.n_columns)

    def rows(self, rows: Any, centre: np.ndarray) -> np.ndarray:
        """Return rows, less their centre, along the directions."""
        some = rows[:, self.columns].toarray() if issparse(rows) else host(rows).take(self.columns, axis=1)
        some -= centre[self.columns]
        some /= self.scales
        return some

    def slopes(self, g: np.ndarray) -> np.ndarray:
        """Return the slopes along the directions for a gradient."""
        return g[self.columns] / self.scales

    def coefficients(self, v: np.ndarray) -> np.ndarray:
        """Return the coefficients of a move along the directions."""
        w = np.zeros(self.n_columns)
        w[self.columns] = v / self.scales
        return w

    def along(self, w: np.ndarray) -> np.ndarray:
        """Return the move along the directions for coefficients; it changes predictions as these do."""
        return w[self.columns] * self.scales

    def curvatures(self, ridge: np.ndarray) -> np.ndarray:
        """Return the second derivatives along the directions for those of the coefficients."""
        return np.diag(ridge[self.columns] / np.square(self.scales))
