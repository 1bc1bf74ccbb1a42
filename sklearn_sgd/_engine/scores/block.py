"""A block of rows is added to sums."""

from functools import lru_cache
from math import isfinite
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.compiled.drivers.scores import NEW, ROWS, STEP, WORK
from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.leverage import LARGE, Leading, changes, inverse_diagonal
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.products import RIDGE, Root
from sklearn_sgd._engine.scores.sums import Sums

# Share of the second derivative of each parameter that must be left for parabolas to be computed anew.
LEFT = 0.5

# Gradient at the minimum before a block, in standard errors, from which a parabola may be wrong: a feature may be new,
# or the targets drift.
OFF = 2.0

S = TypeVar("S", bound=Sums)


class OutOfRange(ValueError):
    """Sums are not finite."""

    def __init__(self) -> None:
        super().__init__(
            "inference=True keeps squares of slopes, and some are out of the range of numbers: scale X or y, or fit "
            "with inference=False."
        )


class Block(NamedTuple):
    """Rows of a block in double precision, targets and weights.

    ``is_plain``: all weights are 1; ``n_seen``: number of rows, in which old ones count less under a ``half_life``;
    ``is_known``: all features have varied in earlier rows.
    """

    X: np.ndarray
    y: np.ndarray
    s: np.ndarray
    is_plain: bool
    n_seen: float
    is_known: bool


@lru_cache(maxsize=8)
def ones(n: int) -> np.ndarray:
    """Return so many ones, which must not be changed."""
    made = np.ones(n)
    made.flags.writeable = False
    return made


class View(NamedTuple):
    """What is seen of a block from the parameters where the sums are.

    Attributes
    ----------
    design : ndarray of shape (n_parameters, n_rows)
        Rows less the centre, by columns, and ones for the intercept.
    rows, step : ndarray of shape (ROWS, n_rows), (STEP, n_parameters)
        What the drivers keep of each row and of each parameter.
    scaled : ndarray of shape (n_parameters, n_parameters)
        The second derivative of the sums, scaled, for a step to their minimum with the block.
    found : list of float
        Sum of the logarithms of residuals, where slopes jump; else squares of residuals, predictions and targets.
    is_far : bool
        Whether that minimum is so far that parabolas may be wrong.
    """

    design: np.ndarray
    rows: np.ndarray
    step: np.ndarray
    scaled: np.ndarray
    found: list[float]
    is_far: bool

    @property
    def Z(self) -> np.ndarray:
        """The rows of the design."""
        return self.design.T

    @property
    def predictions(self) -> np.ndarray:
        """The predictions."""
        return self.rows[0]


def view_of(sums: Sums, objective: Objective, block: Block) -> View:
    """Return what is seen of a block from ``at``."""
    (n, p), k = block.X.shape, len(sums.at)
    pull, bend = objective.pull(sums.at, p)
    if objective.penalty is not None:
        pull, bend = sums.weight * pull, sums.weight * bend
    design, rows, step, scaled = np.empty((k, n)), np.empty((ROWS, n)), np.empty((STEP, k)), np.empty((k, k))
    found = np.zeros(4)
    far = objective.drivers.see(
        *(block.X, n, p, k, block.y, block.s, ones(n)),
        *(sums.centre, sums.at, sums.curvature, sums.product, sums.slope, sums.scatter, pull, bend, RIDGE),
        *(OFF, len(sums.jumps), design, rows, step, scaled, found),
    )
    return View(design, rows, step, scaled, found.tolist(), far > 0.0 and not objective.is_quadratic)


def with_block(sums: S, objective: Objective, block: Block, view: View) -> S | None:
    """Return the sums with a block; None if it moves their minimum so far that parabolas may be wrong.

    ``at`` moves towards the minimum, and the scores of the block are those there: at parameters that do not know its
    rows they would be too large. The step knows the second derivative of the rows before; that of the block limits its
    length.
    """
    if view.is_far:
        return None
    try:
        solved = Root(view.step[3], view.scaled).solve_scaled(view.step[4])
    except linalg.LinAlgError:
        return with_block_here(sums, objective, block, view)
    return _added(sums, objective, block, view, solved)


def with_block_here(sums: S, objective: Objective, block: Block, view: View, spread: second.Spread | None = None) -> S:
    """Return the sums with a block that is seen at the same parameters as the rows before it.

    Where slopes jump, kernels have the width that follows from a ``spread``; None: that of the rows so far.
    """
    return _added(sums, objective, block, view, np.zeros(len(sums.at)), spread)


def _added(
    sums: S, objective: Objective, block: Block, view: View, solved: np.ndarray, spread: second.Spread | None = None
) -> S:
    """Return the sums with a block, after a step with such a solution of the scaled equations."""
    _, y, s, is_plain, n_seen, is_known = block
    n, k, jumps, side, (logarithms, *squares_seen) = len(y), len(sums.at), sums.jumps, 0.0, view.found
    if len(jumps):
        found_jumps = sums.found_jumps
        now = sums.spread.after(found_jumps, y, view.predictions, None if is_plain else s, logarithms)
        jumps = (spread or now).bumps(found_jumps)
    else:
        now = second.Spread(sums.weight + (n if is_plain else float(s.sum())), sums.square, sums.size, sums.below)
        side = 0.0 if objective.is_quadratic else second.step_beside(objective.loss, n, *squares_seen)
    new, (curvature, scatter), found = np.empty((NEW, k)), np.empty((2, k, k)), np.empty(5)
    n_large = objective.drivers.add(
        *(n, k, y, s, ones(n), objective.is_quadratic, side, jumps, len(jumps), LARGE),
        *(sums.at, sums.curvature, sums.product, sums.slope, sums.scatter, view.design, view.rows, view.step),
        *(solved, new, curvature, scatter, found, np.empty(3 * k + WORK)),
    )
    at, product, slope, squares = new
    moved, apart, residuals, errors, all_sums = found.tolist()
    if not is_known:
        view.rows[5] = np.square(view.Z) @ inverse_diagonal(curvature)
    leading = sums.leading
    if n_large or not is_known:
        leading = leading.and_those(_leading(block, view, at if objective.is_quadratic else None))
    if objective.penalty is not None:
        pull = objective.pull(at, len(sums.centre))[0]
        mixed = np.multiply.outer((s * s * view.rows[3]) @ view.Z + 0.5 * float(s @ s) * pull, pull)
        scatter += mixed + mixed.T
        all_sums += float(np.trace(mixed))
    if not isfinite(all_sums):
        raise OutOfRange
    if not objective.is_quadratic:
        errors = objective.pearson(s, *view.rows[:3]) if objective.is_deviance else 0.0
    return sums._replace(
        at=at,
        weight=now.weight,
        square=now.square,
        size=now.size,
        below=now.below,
        curvature=curvature,
        product=product,
        slope=slope,
        scatter=scatter,
        pearson=max(sums.pearson + residuals, 0.0) + errors,
        n_seen=sums.n_seen + n_seen,
        moved=max(sums.moved + moved, 0.0) + apart,
        leading=leading,
        squares=sums.squares + squares if objective.may_be_straight else sums.squares,
    )


def _leading(block: Block, view: View, at: np.ndarray | None) -> Leading:
    """Return the rows of a block with a large leverage; with ``at``, as they are seen from there."""
    p, g, c, score, weighted, sizes, *_ = view.rows
    some = np.flatnonzero(weighted * sizes > LARGE)
    rows = Leading(view.Z, block.y, block.s, p, g, c, score).taken(some)
    return rows if at is None else rows._replace(p=rows.Z @ at, g=rows.score)


def slopes_of(sums: S, objective: Objective, y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return slopes and second derivatives of losses; None for second derivatives that are all 1."""
    g = np.asarray(objective.loss.gradient(y, p), dtype=np.float64)
    if objective.is_quadratic:
        return g, None
    if not len(sums.jumps):
        return g, second.curvature_beside(objective.loss, y, p, g)
    return g, second.sum_of_bumps(sums.spread.bumps(sums.found_jumps), y, p)


def settled(sums: S, objective: Objective) -> S:
    """Return the sums with the rows of the largest leverage as they are at ``at``."""
    rows = sums.leading
    if not len(rows.y):
        return sums
    p = rows.Z @ sums.at
    g, c = slopes_of(sums, objective, rows.y, p)
    pull, _ = objective.pull(sums.at, len(sums.centre))
    now, more = changes(rows, p, g, np.ones(len(p)) if c is None else c, pull)
    curvature, known = sums.curvature + more.curvature, sums._replace(scatter=sums.scatter + more.scatter)
    if (curvature.diagonal() < LEFT * sums.curvature.diagonal()).any():
        # Nothing else is known of some parameters: their parabolas stay as they are.
        return known._replace(leading=rows._replace(score=now.score).largest(sums.curvature))
    return known._replace(
        curvature=curvature,
        product=sums.product + more.product,
        slope=sums.slope + more.slope,
        squares=sums.squares + more.squares,
        moved=max(sums.moved + more.moved, 0.0),
        leading=now.largest(curvature),
    )
