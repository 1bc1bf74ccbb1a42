"""Sums over rows in blocks, from which the covariance of the coefficients is computed.

Columns are centred, so that an offset costs no digits. The intercept is then the prediction at the means.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.compiled.drivers.layouts import LINE
from sklearn_sgd._engine.compiled.drivers.scores import work_size
from sklearn_sgd._engine.compiled.machine import from_line
from sklearn_sgd._engine.passes.without_plan import sum_block
from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.products import blocks, dense, design
from sklearn_sgd._namespace import take

# Number of entries in a block of rows, which is dense and in double precision.
ENTRIES = 1 << 17

# Difference of a leverage from 1 that is rounding, in units of that of the products it is a sum of; and a slope that
# is rounding, in units of the others.
LEAST_LEFT, LEAST_SLOPE = 1e4 * float(np.finfo(np.float64).eps), 1e-4


class Rows(NamedTuple):
    """Validated rows: samples, targets (n, targets), weights, and numbers of their groups, or None."""

    X: Any
    y: np.ndarray
    weight: np.ndarray
    groups: np.ndarray | None

    @property
    def counted(self) -> np.ndarray:
        """Whether a row has a weight."""
        return self.weight > 0.0

    @property
    def used(self) -> np.ndarray | slice:
        """Which rows have a weight: a slice if all have, since selecting takes time."""
        counted = self.counted
        return slice(None) if counted.all() else counted

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield blocks of the samples, dense."""
        size = max(1, ENTRIES // (self.X.shape[1] + 1))
        for rows in blocks(self.X.shape[0], size):
            yield rows, dense(take(self.X, rows))

    def predict(self, coef: np.ndarray, intercept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the weighted means of the columns, and raw predictions, in one pass."""
        mean, p = np.zeros(self.X.shape[1]), np.empty(self.y.shape)
        for rows, block in self.blocks():
            mean += self.weight[rows] @ block
            p[rows] = block @ coef.T + intercept
        return mean / self.weight.sum(), p

    def designs(self, mean: np.ndarray | None) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield blocks of the centred samples, with a column of ones; without means, the samples as they are."""
        for rows, block in self.blocks():
            yield rows, design(block, mean)


class RowSlopes(NamedTuple):
    """Second derivatives and slopes of rows, without weights, and the jumps of the slope of the loss."""

    curvature: np.ndarray
    slope: np.ndarray
    jumps: list[second.Jump]


def row_slopes(loss: Any, y: np.ndarray, p: np.ndarray, data: Rows, is_quadratic: bool = False) -> RowSlopes:
    """Return second derivatives and slopes for the targets ``y`` and the raw predictions ``p``.

    ``is_quadratic``: the loss is half the squared error.
    """
    used = data.used
    if not isinstance(used, slice):  # Targets of rows without weight may be ones that the loss does not allow.
        y = np.where(used, y, y[used][0])
    g = np.asarray(loss.gradient(y, p), dtype=np.float64)
    if is_quadratic:
        return RowSlopes(np.ones(len(y)), g, [])
    found = second.jumps(loss, y[used], p[used])
    if not found:
        return RowSlopes(second.curvature(loss, y, p), g, found)
    curvature = np.zeros(len(y))
    curvature[used] = second.curvature_of_jumps(found, y[used], p[used], data.weight[used])
    return RowSlopes(curvature, second.slopes_of_both_sides(found, y, p, g), found)


@dataclass
class Sums:
    """Sums of one target: the curvature, the outer products of the scores, the scores, and those of each group.

    A score is the weighted slope of a row's objective. ``squares`` is the sum of the squares of what each row adds to
    the diagonal of the curvature.
    """

    curvature: np.ndarray
    scatter: np.ndarray
    score: np.ndarray
    squares: np.ndarray
    of_groups: np.ndarray | None = field(default=None)

    @classmethod
    def zeros(cls, n_parameters: int, n_groups: int | None) -> "Sums":
        """Return empty sums."""
        square = (n_parameters, n_parameters)
        groups = None if n_groups is None else np.zeros((n_groups, n_parameters))
        return cls(np.zeros(square), np.zeros(square), np.zeros(n_parameters), np.zeros(n_parameters), groups)

    def add(self, X: np.ndarray, mean: np.ndarray | None, target: "Target", groups: np.ndarray | None) -> None:
        """Add a block of rows to the sums."""
        (n, p), k, (c, g, weight, pull) = X.shape, len(self.score), target
        first, second, score, squares = np.empty((k, k)), np.empty((k, k)), np.empty(k), np.empty(k)
        centre, work = np.zeros(p) if mean is None else mean, from_line(np.empty(work_size(k) + LINE))
        sum_block(X, n, p, k, centre, c, g * g, g, np.zeros(k), work, first, second, score, np.empty(n), squares)
        if pull.any():
            mixed = np.multiply.outer((weight * g) @ design(X, mean) + 0.5 * float(weight @ weight) * pull, pull)
            second += mixed + mixed.T
        self.curvature += first
        self.scatter += second
        self.score += score + weight.sum() * pull
        self.squares += squares
        if self.of_groups is not None and groups is not None:
            np.add.at(self.of_groups, groups, target.scores(design(X, mean)))


class Target(NamedTuple):
    """Weighted second derivatives and slopes of the rows of a target, weights, and the penalty's slope at weight 1."""

    curvature: np.ndarray
    slope: np.ndarray
    weight: np.ndarray
    pull: np.ndarray

    def of(self, rows: slice) -> "Target":
        """Return those of a block of rows."""
        return Target(self.curvature[rows], self.slope[rows], self.weight[rows], self.pull)

    def scores(self, Z: np.ndarray) -> np.ndarray:
        """Return the scores of its rows, whose features are Z."""
        return Z * self.slope[:, None] + np.multiply.outer(self.weight, self.pull)


def add_up(data: Rows, mean: np.ndarray | None, targets: list[Target]) -> list[Sums]:
    """Return the sums of each target, in one pass."""
    n_groups = None if data.groups is None else int(data.groups.max()) + 1
    sums = [Sums.zeros(len(targets[0].pull), n_groups) for _ in targets]
    for rows, X in data.blocks():
        groups = None if data.groups is None else data.groups[rows]
        for target, of_target in zip(targets, sums, strict=True):
            of_target.add(X, mean, target.of(rows), groups)
    return sums


def scatter_by_leverage(
    data: Rows, mean: np.ndarray | None, targets: list[Target], breads: list[np.ndarray], power: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return outer products of the scores divided by ``(1 - leverage)**power``, and which rows have a leverage of 1.

    If the fit passes through such a row, its residual is 0, and the quotient is rounding. It is 0 here. Losses without
    a second derivative in all rows have other rows of this kind, and the quotient does not exist.
    """
    scatters, alone = [np.zeros_like(bread) for bread in breads], np.zeros(len(data.y), dtype=bool)
    for rows, Z in data.designs(mean):
        for target, bread, scatter in zip(targets, breads, scatters, strict=True):
            leverage = target.curvature[rows] * np.einsum("ij,jk,ik->i", Z, bread, Z, optimize=True)
            sizes = target.curvature[rows] * np.einsum("ij,jk,ik->i", abs(Z), abs(bread), abs(Z), optimize=True)
            left = 1.0 - leverage
            is_alone = left < LEAST_LEFT * np.maximum(sizes, 1.0)
            if (abs(target.slope[rows][is_alone]) > LEAST_SLOPE * np.sqrt(np.mean(target.slope**2))).any():
                raise ValueError(
                    "'HC2' and 'HC3' are not defined: a row has a leverage of 1, but its residual is not 0, since the "
                    "loss has no second derivative in rows like it. Use robust=True."
                )
            alone[rows] |= is_alone
            left = np.where(is_alone, np.inf, left)
            each = target.of(rows).scores(Z) / (left ** (0.5 * power))[:, None]
            scatter += each.T @ each
    return scatters, alone
