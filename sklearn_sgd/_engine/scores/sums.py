"""Sums over the rows of a model: the objective as a parabola, and the outer products of scores.

Around the parameters ``a`` where they are seen, the losses of some rows are approximated by a parabola, with their
slope and their second derivative there. The sum of the parabolas is all that a stream remembers of its objective. Its
minimum is as good as that of the objective itself if each ``a`` was near it, because the error of a parabola decreases
with the square of the distance. A step from there to the minimum is Le Cam's one-step estimator.

References
----------
Luo, L. and Song, P. X.-K., "Renewable estimation and incremental inference in generalized linear models with streaming
data sets", Journal of the Royal Statistical Society B 82, 2020.
Schifano, E. D., Wu, J., Wang, C., Yan, J. and Chen, M.-H., "Online updating of statistical inference in the big data
setting", Technometrics 58, 2016.
Chen, X., Liu, W. and Zhang, Y., "Quantile regression under memory constraint", Annals of Statistics 47, 2019.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isfinite
from typing import NamedTuple, Self

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.scores.curvature import Jump, Spread
from sklearn_sgd._engine.scores.leverage import Leading
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.products import Root

# Rows for each parameter that the first parabola is made of; rows that are counted together, at least.
FIRST, TOGETHER = 10, 256

# Share of the variance of scores that is visible in standard errors. Excess of the distances of rows over what random
# order gives, from which neighbours are alike; and what chance adds to either, times the number of parameters.
VISIBLE, MANY, CHANCE = 0.025, 6.0, 8.0

# Share of the variance of scores above which the minimum of the parabolas is in doubt, too. A drift of coefficients by
# as much as they are large has up to 0.25.
APART = 0.3

# Steps from the last minimum on the parabolas: one, and more for penalties that are no parabolas, and for rounding.
LAST = 3

# Values of `lead` below which the minimum of the parabolas is not used, since the losses are not like parabolas, and
# below which it says nothing. Rows near each other may be alike, and the descent a little nearer to the last ones.
WORSE, ABSURDLY = -0.1, -1.0

# Number of rows for each parameter that must have a second derivative, of losses that may be straight.
BENT = 3.0

# Gain of a step, in units of that from noise alone, which shows that the parabolas contradict each other.
ABSURD = 1e4


class Sums(NamedTuple):
    """The sums of a target.

    Attributes
    ----------
    centre : ndarray of shape (n_features,)
        What is subtracted from rows; 0 without intercept.
    at : ndarray of shape (n_parameters,)
        Parameters where rows are seen, the intercept for rows less the centre.
    weight : float
        Weight of the rows in the sums, in which old ones count less under a ``half_life``.
    curvature, product : ndarray of shape (n_parameters, n_parameters), (n_parameters,)
        Sum of the second derivatives, and of their products with the parameters where they were taken. Where slopes
        jump, they follow from the density of residuals.
    slope, scatter : ndarray of shape (n_parameters,), (n_parameters, n_parameters)
        Sum of the slopes of the losses, and of the outer products of scores, which are slopes with the penalty's.
    size, square, below : float, float, ndarray of shape (n_jumps,)
        Where slopes jump, sums from which the width of kernels follows, see `curvature.Spread`.
    jumps : ndarray of shape (n_jumps, 3)
        Where the slope of the loss jumps, by how much, and from what.
    pending : list of ndarray
        Rows that wait to be counted, each with its target and its weight; forks share the list.
    n_pending, n_held : int
        How many of these are of this fork; and how many of these, the first ones, wait for others like them.
    pearson, n_seen : float
        Sum of squared Pearson residuals at ``at``, of the squared error and deviances; number of rows, in which old
        ones count less under a ``half_life``.
    moved : float
        Sum of the squared distances from ``at`` to the parameters where rows were seen, by their second derivatives.
    leading : Leading
        The rows with the largest leverage.
    squares : ndarray of shape (n_parameters,)
        Sum of the squares of what each row adds to the diagonal of the second derivatives, of losses that may be
        straight.
    unit : float
        The weight that counts as 1 in these sums: the mean of those so far. The rows in ``pending`` have their own.
    is_exact : bool
        Whether each row adds its second derivative and its outer product, which standard errors need, and not only some
        rows of a large block, in place of all.
    lead : float
        By how much the losses of the last rows, above the least possible ones, are less at the minimum of the parabolas
        than with the parameters of the descent, as a share of the latter.
    """

    centre: np.ndarray
    at: np.ndarray
    weight: float
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
    moved: float = 0.0
    leading: Leading = Leading.none(0)
    squares: np.ndarray = np.zeros(0)
    square: float = 0.0
    below: np.ndarray = np.zeros(0)
    unit: float = 1.0
    is_exact: bool = True
    lead: float = 0.0

    @classmethod
    def none(cls, n_features: int, has_intercept: bool) -> Self:
        """Return the sums of no rows."""
        k = n_features + has_intercept
        squares, vectors = (np.zeros((k, k)) for _ in range(2)), (np.zeros(k) for _ in range(3))
        C, S = squares
        at, product, slope = vectors
        none = cls(np.zeros(n_features), at, 0.0, C, product, slope, S, 0.0, np.zeros((0, 3)), [], 0)
        return none._replace(leading=Leading.none(k), squares=np.zeros(k))

    @property
    def has_intercept(self) -> bool:
        """Whether there is an intercept."""
        return len(self.at) > len(self.centre)

    @property
    def found_jumps(self) -> tuple[Jump, ...]:
        """The jumps of the slope of the loss."""
        return _jumps_of(*self.jumps.ravel().tolist())

    @property
    def spread(self) -> Spread:
        """What the width of kernels follows from, where slopes jump."""
        return Spread(self.weight, self.square, self.size, self.below)

    def with_jumps(self, found: Sequence[Jump]) -> Self:
        """Return the sums, which are empty, of a loss whose slope has such jumps."""
        return self._replace(jumps=np.array(found).reshape(-1, 3), below=np.zeros(len(found)))

    @property
    def n_rows(self) -> float:
        """How many rows are remembered, those that wait included."""
        return self.n_seen + self.n_pending

    @property
    def is_finite(self) -> bool:
        """Whether the sums are finite; where a product is not, the squares on the diagonal are not either."""
        return isfinite(self.curvature.trace() + self.scatter.trace() + self.slope.sum())

    @property
    def is_known(self) -> bool:
        """Whether there are enough rows for a minimum."""
        return self.n_rows >= FIRST * len(self.at)

    def parameters(self, w: np.ndarray, intercept: float) -> np.ndarray:
        """Return parameters in the order and about the centre of these sums."""
        w = np.asarray(w, dtype=np.float64)
        return np.append(w, intercept + self.centre @ w) if self.has_intercept else w

    def gradient(self, objective: Objective, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the slope of the objective's sum at parameters, and the second derivative of the penalty's."""
        of_rows = self.curvature @ w - self.product + self.slope
        if objective.penalty is None:
            return of_rows, np.zeros(len(w))
        slope, bend = objective.pull(w, len(self.centre))
        return of_rows + self.weight * slope, self.weight * bend

    def seen_from(self, w: np.ndarray) -> Self:
        """Return these sums with other parameters ``at``."""
        way = w - self.at
        of_way = self.curvature @ way
        from_rows = self.curvature @ self.at - self.product
        moved = self.moved + float(way @ (of_way + 2.0 * from_rows))
        pearson = self.pearson + float(way @ (of_way + 2.0 * (from_rows + self.slope)))
        return self._replace(at=w, moved=max(moved, 0.0), pearson=max(pearson, 0.0))

    def is_in_random_order(self, objective: Objective) -> bool:
        """Return whether the order of the rows left scores and parabolas as they are in random order.

        It does not if early rows differ from later ones: then they are those of other parameters.
        """
        excess, share = self._excess(objective)
        return not (share > VISIBLE and excess > 1.0 + CHANCE / len(self.at))

    @property
    def predicts(self) -> bool:
        """Whether the minimum of the parabolas is at least as good as the parameters of the descent."""
        return self.lead >= WORSE and self.bends(BENT)

    def are_far_apart(self, objective: Objective) -> bool:
        """Return whether parabolas were taken so far from the present minimum that it may be wrong, if there is one."""
        excess, share = self._excess(objective)
        return self.lead >= ABSURDLY and share > APART and excess > MANY + CHANCE / len(self.at)

    def has_alike_neighbours(self, objective: Objective) -> bool:
        """Return whether rows near each other are more alike than independent rows in random order are."""
        return self._excess(objective)[0] > MANY + CHANCE / len(self.at)

    def _excess(self, objective: Objective) -> tuple[float, float]:
        """Return the excess of `moved` over what random order gives, and its share of the variance of scores.

        In random order, `moved` is about the noise ``trace(H^-1 S)`` times a logarithm of the number of rows.
        """
        _, bend = self.gradient(objective, self.at)
        try:
            noise = max(Root.of(self.curvature, bend).noise(self.scatter), 1e-300)
        except linalg.LinAlgError:
            return 0.0, 0.0
        k, first = len(self.at), max(TOGETHER, FIRST * len(self.at))
        excess = self.moved / noise / (1.0 + np.log(max(self.n_seen / first, 1.0)))
        return excess, self.moved * k / max(noise * self.n_seen, 1e-300)

    def value(self, objective: Objective, w: np.ndarray, weight: float) -> float:
        """Return the objective's sum, less a constant, with the penalty of further rows of such a weight."""
        of_rows = float(w @ (0.5 * self.curvature @ w - self.product + self.slope))
        return of_rows + (self.weight + weight) * objective.cost(w, len(self.centre))

    def bends(self, number: float) -> bool:
        """Return whether so many rows for each parameter have a second derivative, of losses that may be straight."""
        curvature = self.curvature.diagonal()
        bent = (curvature > 0.0) & (np.square(curvature) >= number * len(self.at) * self.squares)
        return bool(bent.any())

    def minimum(self, objective: Objective) -> np.ndarray | None:
        """Return the parameters at the minimum of the parabolas; None if they have none, or contradict each other."""
        w, root = self.at, None
        try:
            for number in range(LAST):
                g, bend = self.gradient(objective, w)
                if root is None or objective.penalty is not None:
                    root = Root.of(self.curvature, bend)
                d = -root.solve(g)
                if not number and not -float(g @ d) <= ABSURD * root.noise(self.scatter):
                    return None
                w = w + d
        except (ValueError, linalg.LinAlgError):
            return None
        return w if np.isfinite(w).all() else None


@lru_cache(maxsize=64)
def _jumps_of(*numbers: float) -> tuple[Jump, ...]:
    return tuple(Jump(*numbers[k : k + 3]) for k in range(0, len(numbers), 3))
