"""Rows with a large leverage: a model keeps some of them, and computes again what they add to its sums.

The parabola and the score of a row are those at the parameters when it came. A row with a large leverage determines
some of these parameters itself, and later rows change them by much. So its score would be far from that at the end.
"""

from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.scores.products import squares_of_added, weighted_product

# Leverage from which a row is kept; rows that are kept at most, for each parameter, and in any case.
LARGE, EACH, LEAST = 0.1, 2, 32


class Leading(NamedTuple):
    """Rows with a large leverage, and what the sums contain of them.

    Attributes
    ----------
    Z : ndarray of shape (n_rows, n_parameters)
        Rows less the centre, with a last column for the intercept.
    y, s : ndarray of shape (n_rows,)
        Targets and weights.
    p, g, c : ndarray of shape (n_rows,)
        Prediction, slope and second derivative of the loss in the sums of the parabolas.
    score : ndarray of shape (n_rows,)
        Slope of the loss in the sum of the outer products of scores.
    """

    Z: np.ndarray
    y: np.ndarray
    s: np.ndarray
    p: np.ndarray
    g: np.ndarray
    c: np.ndarray
    score: np.ndarray

    @classmethod
    def none(cls, n_parameters: int) -> Self:
        """Return no rows."""
        nothing = np.zeros(0)
        return cls(np.zeros((0, n_parameters)), *(nothing,) * 6)

    def taken(self, numbers: Any) -> Self:
        """Return some of the rows."""
        return type(self)(*(values[numbers] for values in self))

    def and_those(self, other: Self) -> Self:
        """Return the rows of both."""
        return type(self)(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    @property
    def squares(self) -> np.ndarray:
        """The sum of the squares of what each row adds to the diagonal of the second derivatives."""
        return squares_of_added(self.Z, self.s * self.c)

    def largest(self, curvature: np.ndarray) -> Self:
        """Return those with the largest leverage, as many as are kept."""
        most = max(LEAST, EACH * self.Z.shape[1])
        if len(self.y) <= most:
            return self
        sizes = self.s * self.c * (np.square(self.Z) @ inverse_diagonal(curvature))
        return self.taken(np.sort(np.argpartition(-sizes, most)[:most]))


class Change(NamedTuple):
    """What is to be added to the sums of a model when rows are seen at other parameters."""

    curvature: np.ndarray
    product: np.ndarray
    slope: np.ndarray
    scatter: np.ndarray
    squares: np.ndarray
    moved: float


def inverse_diagonal(curvature: np.ndarray) -> np.ndarray:
    """Return the inverse of each number of the diagonal; 0 for a feature that has not varied."""
    diagonal = curvature.diagonal()
    return np.divide(1.0, diagonal, out=np.zeros(len(diagonal)), where=diagonal > 0.0)


def changes(rows: Leading, p: np.ndarray, g: np.ndarray, c: np.ndarray, pull: np.ndarray) -> tuple[Leading, Change]:
    """Return rows with other predictions, slopes and second derivatives, and how the sums change.

    ``pull`` is the slope of the penalty, which is a part of the scores.
    """
    Z, s = rows.Z, rows.s
    scatter = weighted_product(Z, s * s * (g * g - rows.score * rows.score))
    if pull.any():
        mixed = np.multiply.outer((s * s * (g - rows.score)) @ Z, pull)
        scatter = scatter + mixed + mixed.T
    now = rows._replace(p=p, g=g, c=c, score=g)
    change = Change(
        weighted_product(Z, s * (c - rows.c)),
        (s * (c * p - rows.c * rows.p)) @ Z,
        (s * (g - rows.g)) @ Z,
        scatter,
        now.squares - rows.squares,
        -float(s @ (rows.c * np.square(p - rows.p))),
    )
    return now, change
