"""A block of rows is added to sums."""

from typing import NamedTuple, TypeVar

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.leverage import LARGE, Leading, changes, inverse_diagonal
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.products import Root, squares_of_added, weighted_products
from sklearn_sgd._engine.scores.sums import Sums

# The mean logarithm of the size of a number of the normal distribution, less that of its standard deviation.
LOG_SIZE = -0.5 * (np.euler_gamma + np.log(2.0))

# Share of the second derivative of each parameter that must be left for parabolas to be computed anew.
LEFT = 0.5

# Gradient at the minimum before a block, in standard errors, from which a parabola may be wrong: a feature may be new,
# or the targets drift.
OFF = 2.0

S = TypeVar("S", bound=Sums)


class Block(NamedTuple):
    """Rows of a block, less the centre and with a last column for the intercept; targets and weights.

    ``is_plain``: all weights are 1; ``n_seen``: number of rows, in which old ones count less under a ``half_life``;
    ``p``: predictions where the sums are when the block comes.
    """

    Z: np.ndarray
    y: np.ndarray
    s: np.ndarray
    is_plain: bool
    n_seen: float
    p: np.ndarray


def with_block(sums: S, objective: Objective, block: Block) -> S | None:
    """Return the sums with a block; None if it moves their minimum so far that parabolas may be wrong.

    ``at`` moves towards the minimum, and the scores of the block are those there: at parameters that do not know its
    rows they would be too large.
    """
    Z, y, s, is_plain, _, p = block
    known = _counted(sums, block, p)
    g, c = slopes_of(known, objective, y, p)
    slope = (g if is_plain else s * g) @ Z
    step = _step(sums, objective, slope)
    if step is None:
        return None
    d, fall = step
    along = Z @ d
    weighted = along if c is None else c * along
    length = fall / (fall + float((weighted if is_plain else s * weighted) @ along))
    length = length if 0.0 < length <= 1.0 else 0.0
    w, p_there = sums.at + length * d, p + length * along
    score = np.asarray(objective.loss.gradient(y, p_there), dtype=np.float64)
    if objective.is_quadratic:
        # The parabolas are exact, so that the rows may as well be seen where their scores are.
        return _added(known.seen_from(w), objective, block, p_there, score, c, score, slope=slope, drift=length * d)
    return _added(known.seen_from(w), objective, block, p, g, c, score, w - sums.at, slope)


def with_block_here(sums: S, objective: Objective, block: Block) -> S:
    """Return the sums with a block that is seen at the same parameters as the rows before it."""
    known = _counted(sums, block, p := block.Z @ sums.at)
    g, c = slopes_of(known, objective, block.y, p)
    return _added(known, objective, block, p, g, c, g)


def _counted(sums: S, block: Block, p: np.ndarray) -> S:
    """Return the sums with what must be known of a block before its second derivatives are."""
    _, y, s, is_plain, n_seen, _ = block
    weight, size = sums.weight + (len(s) if is_plain else float(s.sum())), sums.size
    if len(sums.jumps):
        tiny = np.finfo(np.float64).eps * (np.abs(y) + np.abs(p)) + 1e-300
        size += float(s @ np.log(np.maximum(np.abs(y - p), tiny)))
    return sums._replace(weight=weight, n_seen=sums.n_seen + n_seen, size=size)


def _step(sums: S, objective: Objective, slope: np.ndarray) -> tuple[np.ndarray, float] | None:
    """Return the step to the minimum with further rows of such a slope, and the decrease it promises; None if far.

    It knows the second derivative of the rows before only. That of the further rows limits its length.
    """
    g, bend = sums.gradient(objective, sums.at)
    g = g + slope
    if not objective.is_quadratic and (g * g > OFF * OFF * sums.scatter.diagonal()).any():
        return None
    try:
        root = Root(sums.curvature + np.diag(bend) if objective.penalty is not None else sums.curvature)
    except linalg.LinAlgError:
        return np.zeros(len(g)), 0.0
    d = -root.solve(g)
    return d, -float(g @ d)


def _added(
    sums: S,
    objective: Objective,
    block: Block,
    p: np.ndarray,
    g: np.ndarray,
    c: np.ndarray | None,
    score: np.ndarray,
    way: np.ndarray | None = None,
    slope: np.ndarray | None = None,
    drift: np.ndarray | None = None,
) -> S:
    """Return the sums with predictions, slopes, second derivatives and scores of a block.

    ``way`` is from the parameters where the block is seen to ``at``. ``slope`` is the sum of the slopes, if it is
    known; of parabolas, at a distance of ``drift`` before.
    """
    Z, y, s, is_plain, *_ = block
    scores = score if is_plain else s * score
    weighted = s if c is None else c if is_plain else s * c
    scale = inverse_diagonal(sums.curvature)
    curvature, scatter, sizes = weighted_products(Z, weighted, scores * scores, scale)
    if not scale.all():
        sizes = np.square(Z) @ inverse_diagonal(sums.curvature + curvature)
    if objective.penalty is not None:
        pull = objective.pull(sums.at, len(sums.centre))[0]
        mixed = np.multiply.outer((scores * s) @ Z + 0.5 * float(s @ s) * pull, pull)
        scatter = scatter + mixed + mixed.T
    if slope is None:
        slope = (g if is_plain else s * g) @ Z
    elif drift is not None:
        slope = slope + curvature @ drift
    squares, moved, leading, seen = sums.squares, sums.moved, sums.leading, sums.at
    if objective.may_be_straight:
        squares = squares + squares_of_added(Z, weighted)
    if way is not None:
        seen = seen - way
        moved += float(way @ (curvature @ way))
    is_large = (sizes if c is None and is_plain else weighted * sizes) > LARGE
    if np.count_nonzero(is_large):
        more = Leading(Z, y, s, p, g, np.ones(len(y)) if c is None else c, score).taken(is_large)
        leading = leading.and_those(more)
    return sums._replace(
        curvature=sums.curvature + curvature,
        product=sums.product + curvature @ seen,
        slope=sums.slope + slope,
        scatter=sums.scatter + scatter,
        squares=squares,
        pearson=sums.pearson + objective.pearson(s, p, g, c),
        moved=moved,
        leading=leading,
    )


def slopes_of(sums: S, objective: Objective, y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return slopes and second derivatives of losses; None for second derivatives that are all 1."""
    g = np.asarray(objective.loss.gradient(y, p), dtype=np.float64)
    if objective.is_quadratic:
        return g, None
    if not len(sums.jumps):
        return g, second.curvature_beside(objective.loss, y, p, g)
    found = [second.Jump(*jump) for jump in sums.jumps.tolist()]
    unit = float(np.exp(sums.size / sums.weight - LOG_SIZE))
    return g, second.curvature_of_jumps(found, y - p, unit, sums.weight)


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
