"""Sums that a model keeps of its rows: the objective as a parabola, and the scatter of the slopes.

Around the parameters ``a`` where they are seen, the losses of some rows are a parabola, with their slope and their
curvature there. The sum of all these parabolas is what a stream remembers of its objective: its minimum is as good as
that of the objective itself if each ``a`` was near enough to it, for what a parabola is off by falls with the square of
the distance. So the first rows wait until there are ten for each parameter, and are seen at the minimum on themselves;
later ones at a minimum on almost all rows so far. A step from there to the minimum is Le Cam's one-step estimator.

References
----------
Luo, L. and Song, P. X.-K., "Renewable estimation and incremental inference in generalized linear models with streaming
data sets", Journal of the Royal Statistical Society B 82, 2020.
Schifano, E. D., Wu, J., Wang, C., Yan, J. and Chen, M.-H., "Online updating of statistical inference in the big data
setting", Technometrics 58, 2016.
Chen, X., Liu, W. and Zhang, Y., "Quantile regression under memory constraint", Annals of Statistics 47, 2019.
"""

import warnings
from math import isfinite
from typing import Any, NamedTuple, Self

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.products import Root, blocks, dense, designed, weighted_products
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd._namespace import doubled, host, take

# Rows for each parameter that the first parabola is made of; rows that are counted together, at least.
FIRST, TOGETHER = 10, 256

# Numbers in a block of rows, which is dense and in double precision.
ENTRIES = 1 << 18

# Growth of a stream after which rows are seen from a later minimum; slope of the objective, in units of its standard
# error, after which they are, too: a column may be new, or the targets drift.
GROWTH, OFF = 0.25, 2.0

# Steps to a minimum at most; what one would gain, in units of what it would gain from noise alone, that is little.
STEPS, LITTLE = 100, 0.01

# Loss, in units of a typical one, below which a row's parabola is no steeper: kinks would hold the steps up.
SMOOTHED = 0.3

# Steps from the last minimum on the parabolas: one, and more for penalties that are none, and for rounding.
LAST = 3

# Gain of a step, in units of that from noise alone, which shows that the parabolas contradict each other.
ABSURD = 1e4

# Jumps of a slope are looked for up to that many times the largest residual of the first rows.
REACH = 2.0**20

# The mean logarithm of the size of a number of the normal distribution, less that of its standard deviation.
LOG_SIZE = -0.5 * (np.euler_gamma + np.log(2.0))


# The sums in which each row counts by its weight; in the scatter by the square of it.
SUMS = ("weight", "n_seen", "curvature", "product", "slope", "size", "pearson")


class Block(NamedTuple):
    """Some rows, less the centre and with a last column for the intercept; targets and weights.

    ``is_plain``: all weights are 1; ``n_seen``: how many rows, older ones by what ``half_life`` leaves of them.
    """

    Z: np.ndarray
    y: np.ndarray
    s: np.ndarray
    is_plain: bool
    n_seen: float


class Scores(NamedTuple):
    """The sums of a target.

    Attributes
    ----------
    centre : ndarray of shape (n_features,)
        What is subtracted from rows; 0 without intercept.
    at : ndarray of shape (n_parameters,)
        Parameters where rows are seen, the intercept for rows less the centre.
    weight, since : float
        Weight of the rows in the sums, older ones by what ``half_life`` leaves of them; rows since ``at`` was set.
    curvature, product : ndarray of shape (n_parameters, n_parameters), (n_parameters,)
        Sum of the second derivatives, and of their products with the parameters where they were taken. Where slopes
        jump, these are by the density of residuals.
    slope, scatter : ndarray of shape (n_parameters,), (n_parameters, n_parameters)
        Sum of the slopes of the losses, and of the outer products of scores, which are slopes with the penalty's.
    size : float
        Sum of logarithms of residuals, where slopes jump.
    jumps : ndarray of shape (n_jumps, 3)
        Where the slope of the loss jumps, by how much, and from what.
    pending : list of ndarray
        Rows that wait to be counted, each with its target and its weight; forks share the list.
    n_pending, n_held : int
        How many of these are of this fork; and how many of these, the first ones, wait for others like them.
    pearson, n_seen : float
        Sum of squared Pearson residuals, of the squared error and deviances; number of rows, by what is left of them.
    """

    centre: np.ndarray
    at: np.ndarray
    weight: float
    since: float
    curvature: np.ndarray
    product: np.ndarray
    slope: np.ndarray
    scatter: np.ndarray
    size: float
    jumps: np.ndarray
    pending: list[np.ndarray]
    n_pending: int
    n_held: int = 0
    pearson: float = 0.0
    n_seen: float = 0.0

    @classmethod
    def none(cls, n_features: int, has_intercept: bool) -> Self:
        """Return the sums of no rows."""
        k = n_features + has_intercept
        squares, vectors = (np.zeros((k, k)) for _ in range(2)), (np.zeros(k) for _ in range(3))
        C, S = squares
        at, product, slope = vectors
        return cls(np.zeros(n_features), at, 0.0, 0.0, C, product, slope, S, 0.0, np.zeros((0, 3)), [], 0)

    @property
    def has_intercept(self) -> bool:
        """Whether there is an intercept."""
        return len(self.at) > len(self.centre)

    @property
    def n_rows(self) -> float:
        """How many rows are remembered, those that wait included."""
        return self.n_seen + self.n_pending

    @property
    def is_finite(self) -> bool:
        """Whether the sums are numbers; where a product is none, the squares on the diagonal are none either."""
        return isfinite(self.curvature.trace() + self.scatter.trace() + self.slope.sum())

    @property
    def is_known(self) -> bool:
        """Whether there are enough rows for a minimum."""
        return self.n_rows >= FIRST * len(self.at)

    def parameters(self, w: np.ndarray, intercept: float) -> np.ndarray:
        """Return parameters in the order and about the centre of these sums."""
        w = np.asarray(w, dtype=np.float64)
        return np.append(w, intercept + self.centre @ w) if self.has_intercept else w

    # Rows

    @np.errstate(all="ignore")
    def after(self, objective: Objective, X: Any, y: Any, s: Any, start: tuple, half_life: float | None) -> Self:
        """Return the sums after more rows, whose first minimum is looked for from ``start``, which predicts now."""
        least = TOGETHER if self.weight else max(TOGETHER, FIRST * len(self.at))
        n, known = X.shape[0], self
        if n < least:
            known = self._waiting(X, y, s)
            is_enough = known.n_pending - known.n_held >= least
            return known.counted(objective, start, half_life, everything=False) if is_enough else known
        if self.n_pending:
            X, y, s = np.vstack((self._rows[:, :-2], dense(X))), *self._with_pending(y, s)
            n, known = X.shape[0], self._without_pending
        size = max(least, ENTRIES // len(self.at))
        if n < 2 * size:
            return known._counting(objective, X, y, s, start, half_life)
        ends = [*range(size, n - size + 1, size), n]  # The last block is no smaller than others.
        for rows in map(slice, [0, *ends[:-1]], ends):
            weight = None if s is None else take(s, rows)
            known = known._counting(objective, take(X, rows), take(y, rows), weight, start, half_life)
        return known

    @np.errstate(all="ignore")
    def counted(self, objective: Objective, start: tuple, half_life: float | None, everything: bool = True) -> Self:
        """Return the sums with the rows that wait; or those of them that need not wait for others."""
        if not self.n_pending:
            return self
        rows = self._rows[:, :-2], self._rows[:, -2], self._rows[:, -1]
        return self._without_pending._counting(objective, *rows, start, half_life, everything)

    @property
    def _rows(self) -> np.ndarray:
        return np.array(self.pending[: self.n_pending])

    @property
    def _without_pending(self) -> Self:
        return self._replace(pending=[], n_pending=0, n_held=0)

    def _with_pending(self, y: Any, s: Any) -> tuple[np.ndarray, np.ndarray]:
        y, rows = doubled(host(y)), self._rows
        s = np.ones(len(y)) if s is None else doubled(host(s))
        return np.append(rows[:, -2], y), np.append(rows[:, -1], s)

    def _waiting(self, X: Any, y: Any, s: Any) -> Self:
        s = np.ones(X.shape[0]) if s is None else doubled(host(s))
        rows = np.column_stack([dense(X), doubled(host(y)), s])
        # Another fork of the same sums may have gone on.
        pending = self.pending if len(self.pending) == self.n_pending else self.pending[: self.n_pending]
        pending.extend(rows)
        return self._replace(pending=pending, n_pending=len(pending))

    def _counting(
        self, objective: Objective, X: Any, y: Any, s: Any, start: tuple, half_life: float | None, everything=False
    ) -> Self:
        """Return the sums with a block of rows."""
        known, X, y = self, dense(X), doubled(host(y))
        is_first, is_news = not known.weight, False
        if is_first and self.has_intercept:
            known = known._replace(centre=np.where(np.ptp(X, axis=0) > 0.0, X.mean(axis=0), X[0]))
        elif not is_first and not known.curvature.diagonal().all():
            is_news, held = known._news(X)
            if held.any() and not everything:
                rows = X[held], y[held], None if s is None else s[held]
                known = known._waiting(*rows)
                known = known._replace(n_held=known.n_pending)
                X, y, s = X[~held], y[~held], None if s is None else s[~held]
                if not len(y):
                    return known
        is_plain = s is None and not half_life
        s, n_seen = np.ones(len(y)) if s is None else doubled(host(s)), float(len(y))
        if half_life:
            known = known._faded(0.5 ** (len(y) / half_life))
            left = 0.5 ** (np.arange(len(y))[::-1] / half_life)
            s, n_seen = s * left, float(left.sum())
        block = known._block(X, y, s, is_plain, n_seen)
        if is_first:
            at = known.parameters(*start)
            found = second.jumps(objective.loss, y, block.Z @ at, REACH)
            known = known._replace(at=at, jumps=np.array(found).reshape(-1, 3))
        known = known._replace(since=known.since + len(y))
        if is_first or is_news or known.since > GROWTH * known.weight or known._is_off(objective):
            known = known._replace(at=known._minimum_with(objective, block), since=0.0)
        after = known._added(objective, block)
        if after.is_finite:
            return after
        warnings.warn(
            f"inference=True: {len(y)} rows are not counted in standard errors, since the squares of some slopes are "
            "out of the range of numbers. Remedy: scale X or y.",
            RuntimeWarning,
            stacklevel=user_stacklevel(),
        )
        return self._replace(pending=known.pending, n_pending=known.n_pending, n_held=known.n_held)

    def _news(self, X: np.ndarray) -> tuple[bool, np.ndarray]:
        """Whether columns vary that did not so far, and which rows show some that vary in few rows.

        Such rows wait for others: a coefficient that is not known yet is far from its minimum.
        """
        number = len(self.centre)
        new = np.flatnonzero(self.curvature.diagonal()[:number] == 0.0)
        shown = X[:, new] != self.centre[new]
        counts = shown.sum(axis=0)
        return bool(counts.any()), shown[:, counts < FIRST].any(axis=1)

    def _is_off(self, objective: Objective) -> bool:
        """Whether the minimum is elsewhere, by far."""
        slope, _ = self.gradient(objective, self.at)
        return bool((slope * slope > OFF * OFF * self.scatter.diagonal()).any())

    def _block(self, X: np.ndarray, y: np.ndarray, s: np.ndarray, is_plain: bool, n_seen: float) -> Block:
        return Block(designed(X, self.centre, self.has_intercept), y, s, is_plain, n_seen)

    def _faded(self, share: float) -> Self:
        """Return the sums with such a share of the weight of each row, which counts squared in the scatter."""
        return self._replace(scatter=self.scatter * (share * share), **self._times(share))

    def _times(self, share: float) -> dict[str, Any]:
        return {name: getattr(self, name) * share for name in SUMS}

    def _added(self, objective: Objective, block: Block) -> Self:
        Z, y, s, is_plain, n_seen = block
        p = Z @ self.at
        g = np.asarray(objective.loss.gradient(y, p), dtype=np.float64)
        slopes = g if is_plain else s * g
        weight, size, pearson = self.weight + (len(s) if is_plain else float(s.sum())), self.size, self.pearson
        if len(self.jumps):
            e = y - p
            tiny = np.finfo(np.float64).eps * (np.abs(y) + np.abs(p)) + 1e-300
            size += float(s @ np.log(np.maximum(np.abs(e), tiny)))
            found = [second.Jump(*jump) for jump in self.jumps.tolist()]
            c = second.curvature_of_jumps(found, e, float(np.exp(size / weight - LOG_SIZE)), weight)
        elif objective.is_quadratic:
            c = np.ones(len(y))
            pearson += float(slopes @ g)
        else:
            c = second.curvature_beside(objective.loss, y, p, g)
            if objective.is_deviance:
                pearson += float(s @ second.pearson(objective.loss, p, g, c))
        curvature, scatter = weighted_products(Z, c if is_plain else s * c, slopes * slopes)
        if objective.penalty is not None:
            # That of scores, which are slopes with the penalty's.
            pull = objective.pull(self.at, len(self.centre))[0]
            mixed = np.multiply.outer((slopes * s) @ Z + 0.5 * float(s @ s) * pull, pull)
            scatter = scatter + mixed + mixed.T
        return self._replace(
            weight=weight,
            curvature=self.curvature + curvature,
            product=self.product + curvature @ self.at,
            slope=self.slope + slopes @ Z,
            scatter=self.scatter + scatter,
            size=size,
            pearson=pearson,
            n_seen=self.n_seen + n_seen,
        )

    def counted_at(self, objective: Objective, X: Any, y: Any, s: Any) -> Self:
        """Return the sums with rows that are seen where these sums are; all weights are 1 if there are none."""
        known, size = self, max(1, ENTRIES // len(self.at))
        for rows in blocks(len(y), size):
            part = doubled(s[rows]) if len(s) else np.ones(len(y[rows]))
            n_seen = float(np.count_nonzero(part))
            known = known._added(objective, known._block(dense(X[rows]), doubled(y[rows]), part, not len(s), n_seen))
        return known

    def merged(self, other: Self) -> Self:
        """Return the sums of the rows of both, which are seen from the same place."""
        added = {name: getattr(self, name) + getattr(other, name) for name in (*SUMS, "scatter")}
        return self._replace(**added)

    def seen_again(self, before: Self) -> Self:
        """Return these sums, of rows that those ``before`` know: they take the place of a share of them."""
        share = (self.weight - before.weight) / before.weight if before.weight else 0.0
        if not share > 0.0:
            return self
        left = before._times(min(share, 1.0)) | {"scatter": before.scatter * min(share, 1.0)}
        return self._replace(**{name: getattr(self, name) - value for name, value in left.items()})

    # What they say

    def gradient(self, objective: Objective, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the slope of the objective's sum at parameters, and the second derivative of the penalty's."""
        slope, bend = objective.pull(w, len(self.centre))
        return (
            self.curvature @ w - self.product + self.slope + self.weight * slope,
            self.weight * bend,
        )

    def _value(self, objective: Objective, w: np.ndarray, weight: float) -> float:
        """Return the objective's sum, less a constant, with the penalty of further rows of such a weight."""
        of_rows = float(w @ (0.5 * self.curvature @ w - self.product + self.slope))
        return of_rows + (self.weight + weight) * objective.cost(w, len(self.centre))

    def minimum(self, objective: Objective) -> np.ndarray | None:
        """Return the parameters where the sum of the parabolas is least; None if it says nothing, or nonsense."""
        w = self.at
        try:
            for number in range(LAST):
                g, bend = self.gradient(objective, w)
                half = Root(self.curvature + np.diag(bend))
                d = -half.solve(g)
                if not number and not -float(g @ d) <= ABSURD * half.noise(self.scatter):
                    return None
                w = w + d
        except (ValueError, linalg.LinAlgError):
            return None
        return w if np.isfinite(w).all() else None

    def _minimum_with(self, objective: Objective, block: Block) -> np.ndarray:
        """Return the parameters where the parabolas and the losses of further rows are least together.

        Newton's steps, none of which raises the objective; the rows' curvature is at least that of parabolas with a
        minimum of 0, ``slope**2 / (2 * loss)``, so that far rows and kinks have one.
        """
        (Z, y, s, *_), loss, w, weight = block, objective.loss, self.at, float(block.s.sum())
        for _ in range(STEPS):
            p = Z @ w
            g, v = (np.asarray(values, dtype=np.float64) for values in (loss.gradient(y, p), loss.value(y, p)))
            typical = float(np.mean(v)) / max(float(np.mean(np.abs(g))), 1e-300) * float(np.sqrt(np.mean(g * g)))
            c = g * g / (2.0 * np.maximum(v, max(SMOOTHED * typical, 1e-300)))
            if not len(self.jumps):
                c = np.maximum(c, second.curvature_beside(loss, y, p, g))
            pull, bend = objective.pull(w, len(self.centre))
            slope = self.gradient(objective, w)[0] + (s * g) @ Z + weight * pull
            curvature, scatter = weighted_products(Z, s * c, np.square(s * g))
            try:
                half = Root(self.curvature + curvature + np.diag((self.weight + weight) * bend))
                d, noise = -half.solve(slope), half.noise(self.scatter + scatter)
            except (ValueError, linalg.LinAlgError):
                return w
            fall = -float(slope @ d)
            if not fall > LITTLE * noise:
                return w
            along, now, length = Z @ d, self._value(objective, w, weight) + float(s @ v), 1.0
            while True:
                after = self._value(objective, w + length * d, weight) + float(s @ loss.value(y, p + length * along))
                if after <= now - 1e-4 * length * fall:
                    break
                length *= 0.5
                if length < 1e-6:
                    return w
            w = w + length * d
        return w
