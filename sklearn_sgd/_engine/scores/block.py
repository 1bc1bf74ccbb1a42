"""A block of rows is added to sums."""

from functools import lru_cache
from math import isfinite
from threading import local
from typing import NamedTuple, Self, TypeVar

import numpy as np

from sklearn_sgd._engine.compiled.drivers.layouts import LINE
from sklearn_sgd._engine.compiled.drivers.scores import FOUND, NEW, ROWS, SEEN, STEP, step_beside, work_size
from sklearn_sgd._engine.compiled.machine import from_line
from sklearn_sgd._engine.finish.proximal_newton import curvature_beside
from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.leverage import LARGE, Leading, changes, inverse_diagonal
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.products import RIDGE, design, squares_of_added, weighted_product
from sklearn_sgd._engine.scores.sums import Sums

# Share of the second derivative of each parameter that must be left for parabolas to be computed again.
LEFT = 0.5

# Gradient at the minimum before a block, in its standard errors, from which a parabola may be wrong: a feature may be
# new, or the targets drift. It counts from half of this on in those of the rows before.
OFF = 4.0

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

    @property
    def weight(self) -> float:
        """Total weight of the rows."""
        return float(len(self.y)) if self.is_plain else float(self.s.sum())

    def every(self, number: int) -> Self:
        """Return the block of every so many rows, with weights as if they were all."""
        X, y, s = (np.ascontiguousarray(values[::number]) for values in (self.X, self.y, self.s))
        return self._replace(X=X, y=y, s=s * (len(self.y) / len(y)), is_plain=False)


@lru_cache(maxsize=8)
def ones(n: int) -> np.ndarray:
    """Return n ones, which must not be changed."""
    made = np.ones(n)
    made.flags.writeable = False
    return made


class View(NamedTuple):
    """What is seen of a block from the parameters where the sums are.

    Attributes
    ----------
    rows, step : ndarray of shape (ROWS, n_rows), (STEP, n_parameters)
        What the drivers keep of each row and of each parameter.
    scaled : ndarray of shape (n_parameters, n_parameters)
        The second derivative of the sums, scaled, for a step to their minimum with the block.
    found : list of float
        Sum of the logarithms of residuals, where slopes jump; else squares of residuals, predictions and targets.
    is_far : bool
        Whether that minimum is so far that parabolas may be wrong.
    """

    rows: np.ndarray
    step: np.ndarray
    scaled: np.ndarray
    found: list[float]
    is_far: bool

    @property
    def predictions(self) -> np.ndarray:
        """The predictions."""
        return self.rows[0]


class Memory(NamedTuple):
    """Memory for what is seen of a block, see `View`, and for the work of the drivers."""

    rows: np.ndarray
    step: np.ndarray
    scaled: np.ndarray
    work: np.ndarray

    @classmethod
    def of(cls, n: int, k: int) -> Self:
        """Return memory for n rows and k parameters."""
        return cls(np.empty((ROWS, n)), np.empty((STEP, k)), np.empty((k, k)), from_line(np.empty(work_size(k) + LINE)))


class _Kept(local):
    """The memory of a thread, which its next block of the same size overwrites."""

    size = 0, 0
    memory = Memory.of(0, 0)


_kept = _Kept()


def _memory(n: int, k: int) -> Memory:
    """Return memory for a block, until the next one."""
    if _kept.size != (n, k):
        _kept.size, _kept.memory = (n, k), Memory.of(n, k)
    return _kept.memory


def _pull(sums: Sums, objective: Objective) -> tuple[np.ndarray, np.ndarray]:
    """Return the slope of the penalty's sum, and its second derivative."""
    pull, bend = objective.pull(sums.at, len(sums.centre))
    return (pull, bend) if objective.penalty is None else (sums.weight * pull, sums.weight * bend)


def _limit(sums: Sums, block: Block) -> float:
    """Return the gradient from which a parabola may be wrong, in standard errors of the rows before a block."""
    return OFF * max(0.5, (block.weight / max(sums.weight, 1e-300)) ** 0.5)


def view_of(sums: Sums, objective: Objective, block: Block) -> View:
    """Return what is seen of a block from ``at``."""
    (n, p), k = block.X.shape, len(sums.at)
    (rows, step, scaled, _), found = _memory(n, k), np.zeros(SEEN)
    far = objective.drivers.see(
        *(block.X, n, p, k, block.y, block.s, ones(n)),
        *(sums.centre, sums.at, sums.curvature, sums.product, sums.slope, sums.scatter, *_pull(sums, objective)),
        *(RIDGE, _limit(sums, block), len(sums.jumps), rows, step, scaled, found),
    )
    return View(rows, step, scaled, found.tolist(), far > 0.0 and not objective.is_quadratic)


def with_block(sums: S, objective: Objective, block: Block) -> S | None:
    """Return the sums with a block; None if it moves their minimum so far that parabolas may be wrong.

    ``at`` moves towards the minimum, and the scores of the block are those there: at parameters that do not know its
    rows they would be too large. The step knows the second derivative of the rows before; that of the block limits its
    length.
    """
    if len(sums.jumps) > 1:
        view = view_of(sums, objective, block)
        return None if view.is_far else _added(sums, objective, block, view, True)
    (n, p), k, (_, y, s, *_) = block.X.shape, len(sums.at), block
    found_jumps, jumps, size = sums.found_jumps, sums.jumps, 0.0
    now = _counted(sums, block, found_jumps, y, 0.0)
    if found_jumps:
        jumps, size = now.bumps_in_unit(found_jumps, 1.0), now.size - now.weight * second.typical_log(found_jumps)
    (rows, step, scaled, work), made, limit = _memory(n, k), _results(k), _limit(sums, block)
    n_large = objective.drivers.count(
        *(block.X, n, p, k, y, s, ones(n), sums.centre, sums.at, sums.curvature, sums.product, sums.slope),
        *(sums.scatter, sums.squares, *_pull(sums, objective), RIDGE, limit, LARGE, objective.is_quadratic),
        *(objective.has_link, objective.is_canonical, jumps, len(jumps), size, now.weight),
        *(rows, step, scaled, *made, work),
    )
    seen = made[3][FOUND : FOUND + SEEN].tolist()
    view = View(rows, step, scaled, seen, n_large < 0.0)
    if view.is_far:
        return None
    if found_jumps:
        now = second.Spread(now.weight, now.square, now.size + seen[0], now.below)
    return _with_results(sums, objective, block, view, now, made, n_large)


def with_slopes(sums: S, objective: Objective, block: Block, every: int = 1) -> S | None:
    """Return the sums with a block that is seen from the same parameters; None if their minimum moves far.

    All rows add their slopes, and every so many the second derivatives of all and the products of their scores: errors
    of these matter little near the minimum, and they take most of the time.
    """
    view = view_of(sums, objective, block)
    if view.is_far:
        return None
    slope = sums.slope + view.step[0]
    spread = sums.spread.plus(second.spread_of(sums.found_jumps, block.y, view.predictions, block.s))
    known, Z = sums._replace(**spread._asdict()), design_of(sums, block.X[::every])
    y, s, p = (values[::every].copy() for values in (block.y, block.s, view.predictions))
    times, (g, c) = block.weight / float(s.sum()), slopes_of(known, objective, y, p)
    c = s if c is None else s * c
    curvature = times * weighted_product(Z, c)
    return known._replace(
        n_seen=sums.n_seen + block.n_seen,
        curvature=sums.curvature + curvature,
        product=sums.product + curvature @ sums.at,
        slope=slope,
        scatter=sums.scatter + times * weighted_product(Z, np.square(s * g)),
        squares=sums.squares + times * squares_of_added(Z, c) if objective.may_be_straight else sums.squares,
    )


def with_block_here(sums: S, objective: Objective, block: Block, view: View, spread: second.Spread | None = None) -> S:
    """Return the sums with a block that is seen at the same parameters as the rows before it.

    Where slopes jump, kernels have the width that follows from a ``spread``; None: that of the rows so far.
    """
    return _added(sums, objective, block, view, False, spread)


def _counted(
    sums: Sums, block: Block, found_jumps: tuple[second.Jump, ...], predictions: np.ndarray, logarithms: float
) -> second.Spread:
    """Return the sums for the width of kernels with a block; the predictions matter if there are several jumps."""
    if found_jumps:
        each = None if block.is_plain else block.s
        return sums.spread.after(found_jumps, block.y, predictions, each, logarithms)
    return second.Spread(sums.weight + block.weight, sums.square, sums.size, sums.below)


def _results(k: int) -> tuple[np.ndarray, ...]:
    """Return memory for new sums, and what is found beside them."""
    return np.empty(NEW * k), np.empty((k, k)), np.empty((k, k)), np.empty(FOUND + SEEN)


def _added(
    sums: S, objective: Objective, block: Block, view: View, moves: bool, spread: second.Spread | None = None
) -> S:
    """Return the sums with a block; if ``at`` ``moves``, after a step."""
    (n, p), k, found_jumps, jumps, side = block.X.shape, len(sums.at), sums.found_jumps, sums.jumps, 0.0
    now = _counted(sums, block, found_jumps, view.predictions, view.found[0])
    if found_jumps:
        jumps = (spread or now).bumps(found_jumps)
    elif not objective.is_quadratic:
        side = step_beside(objective.has_link, n, *view.found[1:])
    made = _results(k)
    n_large = objective.drivers.add(
        *(block.X, n, p, k, block.y, block.s, ones(n), sums.centre, moves),
        *(objective.is_quadratic, objective.is_canonical, side, jumps, len(jumps), LARGE),
        *(sums.at, sums.curvature, sums.product, sums.slope, sums.scatter, sums.squares),
        *(view.rows, view.step, view.scaled, *made, _memory(n, k).work),
    )
    return _with_results(sums, objective, block, view, now, made, n_large)


def _with_results(
    sums: S,
    objective: Objective,
    block: Block,
    view: View,
    now: second.Spread,
    made: tuple[np.ndarray, ...],
    n_large: float,
) -> S:
    """Return the sums with the results of the drivers."""
    (_, _, s, _, n_seen, is_known), k = block, len(sums.at)
    new, curvature, scatter, found = made
    at, product, slope, squares = new[:k], new[k : 2 * k], new[2 * k : 3 * k], new[3 * k :]
    moved, apart, residuals, errors, all_sums = found[:FOUND].tolist()
    if not is_known:
        view.rows[5] = np.square(design_of(sums, block.X)) @ inverse_diagonal(curvature)
    leading = sums.leading
    if n_large or not is_known:
        leading = leading.and_those(_leading(sums, block, view, at if objective.is_quadratic else None))
    if objective.penalty is not None:
        pull = objective.pull(at, len(sums.centre))[0]
        mixed = np.multiply.outer((s * s * view.rows[3]) @ design_of(sums, block.X) + 0.5 * float(s @ s) * pull, pull)
        scatter += mixed + mixed.T
        all_sums += float(np.trace(mixed))
    if not isfinite(all_sums):
        raise OutOfRange
    if objective.is_deviance and not objective.is_canonical:
        errors = objective.pearson(s, *view.rows[:3])
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
        lead=0.0,  # What a comparison has shown is of the sums before.
        squares=squares if objective.may_be_straight else sums.squares,
    )


def design_of(sums: Sums, X: np.ndarray) -> np.ndarray:
    """Return rows less the centre, with a last column of ones if there is an intercept."""
    return design(X, sums.centre if sums.has_intercept else None)


def _leading(sums: Sums, block: Block, view: View, at: np.ndarray | None) -> Leading:
    """Return the rows of a block with a large leverage; with ``at``, as they are seen from there."""
    some = np.flatnonzero(view.rows[4] * view.rows[5] > LARGE)
    rows = Leading(design_of(sums, block.X[some]), block.y[some], block.s[some], *view.rows[:4, some])
    return rows if at is None else rows._replace(p=rows.Z @ at, g=rows.score)


def slopes_of(sums: S, objective: Objective, y: np.ndarray, p: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return slopes and second derivatives of losses; None for second derivatives that are all 1."""
    g = np.asarray(objective.loss.gradient(y, p), dtype=np.float64)
    if objective.is_quadratic:
        return g, None
    if not len(sums.jumps):
        return g, curvature_beside(objective.loss, y, p, g)
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
    is_straight = objective.may_be_straight and not len(sums.jumps)
    if is_straight or (curvature.diagonal() < LEFT * sums.curvature.diagonal()).any():
        # Rows are kept where the loss had a second derivative: rows where it has one now, and had none, are not known,
        # so that parabolas of the former alone would lose it. Or nothing else is known of some parameters.
        return known._replace(leading=rows._replace(score=now.score).largest(sums.curvature))
    return known._replace(
        curvature=curvature,
        product=sums.product + more.product,
        slope=sums.slope + more.slope,
        squares=sums.squares + more.squares,
        moved=max(sums.moved + more.moved, 0.0),
        leading=now.largest(curvature),
    )
