"""The final steps: from the end of the descent to the minimum, and the distance to it."""

from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Geometry, Preconditioner
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics

# Rounding error of a gradient, in units of the machine epsilon times the standard deviation of the target.
ROUNDING = 100.0

# Maximum number of final steps: on all rows; on moments without, and with a penalty that has a proximal step.
STEPS, SHORT, LONG = 30, 3, 1000

# Gain of a step that is not by chance, in units of the mean gain from noise alone.
BEYOND_NOISE = 10.0

# Minimum number of final steps if directions are narrow.
SURE = 6

# Share of the loss that directions of nearly dependent columns must be worth, to be followed.
WORTH = 0.5


def rounding_of(geometry: Geometry, kind: Any, slope: float, centre: np.ndarray) -> float:
    """Gradients up to which there is none, along a direction of variance one, where rows have such slopes."""
    offset = float(np.max(abs(centre) * geometry.scale, initial=0.0))
    return ROUNDING * float(np.finfo(kind).eps) * slope * (1.0 + offset)


def gain_by_chance(geometry: Geometry, wide: Geometry, loss: float, weight: float) -> float:
    """Return what the directions that only the first geometry has lower the mean loss by if they are noise, at most."""
    return (BEYOND_NOISE + len(geometry.values) - len(wide.values)) * loss / weight


class NormalMatrix(NamedTuple):
    """The moments on which the squared error depends: covariances of columns and target, and the mean of the target.

    ``mean`` is the mean of the columns; 0 if they are centred.
    """

    covariance: np.ndarray
    with_target: np.ndarray
    variance: float
    target: float
    mean: Any = 0.0

    @classmethod
    def of(cls, statistics: ColumnStatistics, n_columns: int, target: int) -> Self:
        """Return the matrix of a target, from statistics of the columns followed by all targets."""
        t, scaled = n_columns + target, statistics.moment / statistics.weight
        return cls(scaled[:n_columns, :n_columns], scaled[:n_columns, t], scaled[t, t], statistics.mean[t])

    def gradient(self, bias: float, w: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Return the covariances times the coefficients, the gradient of the mean loss, and that of the intercept."""
        coef = w[:-1].astype(np.float64)
        product, error = self.covariance @ coef, float(bias * (w[-1] - self.target + np.sum(self.mean * coef)))
        return product, product - self.with_target + error * self.mean, error

    def loss(self, coef: np.ndarray, product: np.ndarray, error: float) -> float:
        """Return the mean loss, from the coefficients, the covariances times them, and the intercept's gradient."""
        squares = self.variance - 2.0 * coef @ self.with_target + coef @ product + error * error
        return max(0.5 * float(squares), 0.0) if squares == squares else float(squares)


class FinalSteps:
    """Newton steps on all rows, at least one, until the distance to the minimum is small enough.

    With the inverse covariance as preconditioner, one step along the gradient of all rows ends at the minimum. Half its
    product with the gradient (the Newton decrement) is the distance to the minimum. Epochs with noise end near the
    minimum; a last step from there is Le Cam's one-step estimator (A. W. van der Vaart, "Asymptotic Statistics", 1998,
    section 5.7). If directions are so narrow that the rounding of their covariances matters, further conjugate steps
    follow.

    Where columns are nearly linear combinations of each other, a prediction by their differences goes astray as soon as
    a new row differs by more than all rows did. These directions are followed only if they are worth `WORTH` of the
    loss: the target is about them then.

    Parameters
    ----------
    gradient : callable
        Function from parameters to the gradient of the mean loss, with that of the intercept last.
    geometry : Geometry
        The directions and variances of the columns.
    penalty : part
        The penalty, which is smooth.
    rounding : float
        Gradients up to which there is none, along a direction of variance one.
    weight : float
        Total weight of the rows.
    loss : callable
        From parameters to the mean loss.
    """

    def __init__(
        self,
        gradient: Callable[[np.ndarray], np.ndarray],
        geometry: Geometry,
        penalty: Any,
        rounding: float,
        weight: float,
        loss: Callable[[np.ndarray], float],
    ):
        self.gradient, self.geometry, self.penalty, self.rounding = gradient, geometry, penalty, rounding
        self.weight, self.loss, self.wide = weight, loss, geometry.without_dependent()

    @property
    def is_narrow(self) -> bool:
        """Whether rounding hides directions, so that the minimum may be out of reach."""
        return self.geometry.is_narrow

    @property
    def leaves_out(self) -> bool:
        """Whether there are directions of nearly dependent columns."""
        return self.wide is not self.geometry

    def excess(self, w: np.ndarray) -> float:
        """How far the objective is above its minimum, the directions of nearly dependent columns apart."""
        return self._step(self._slope(w), self.wide)[0]

    def improved(self, w: np.ndarray, enough: float) -> tuple[np.ndarray, float]:
        """Parameters whose objective is so little above the minimum, or after `STEPS`; and how much it is."""
        w, missing = self._improved(w.astype(np.float64), enough, self.wide)
        if not self.leaves_out:
            return w, missing
        everywhere, loss = self._step(self._slope(w), self.geometry)[0], self.loss(w)
        if everywhere <= gain_by_chance(self.geometry, self.wide, loss, self.weight):
            return w, missing
        missing = everywhere
        if missing <= enough or missing < WORTH * loss:
            return w, missing
        found, least = self._improved(w, enough, self.geometry)
        # Along null directions less may be missing than it seems, and steps may be of rounding alone.
        return (found, least) if self.loss(found) < loss else (w, missing)

    def _improved(self, w: np.ndarray, enough: float, geometry: Geometry) -> tuple[np.ndarray, float]:
        """The same along the directions of a geometry."""
        g = self._slope(w)
        missing, step = self._step(g, geometry)
        best, least = w, missing
        d, gained = np.zeros_like(w), np.inf
        for number in range(STEPS):
            # Where rounding hides directions, a gradient may look small that is not.
            if least <= enough and number >= (SURE if geometry.is_narrow else 1):
                break
            d = step + max(0.0, 2.0 * missing / gained) * d if gained < np.inf else step
            change = self._slope(w + d) - g
            bend = float(d @ change)
            if not bend > 0.0:
                break
            w = w - float(g @ d) / bend * d
            gained, g = 2.0 * missing, self._slope(w)
            missing, step = self._step(g, geometry)
            if missing < least:
                best, least = w, missing
        return best, least

    def _slope(self, w: np.ndarray) -> np.ndarray:
        g = np.array(self.gradient(w), dtype=np.float64)
        g[:-1] += self.penalty.gradient(w[:-1])
        return g

    def _step(self, g: np.ndarray, geometry: Geometry) -> tuple[float, np.ndarray]:
        step = np.append(geometry.apply(g[:-1], self.rounding), g[-1])
        return 0.5 * float(step @ g), step


def short_finish(
    normal: NormalMatrix, penalty: Any, preconditioner: Preconditioner, w: np.ndarray, bias: float, weight: float
) -> np.ndarray:
    """Return parameters after a few steps towards the minimum, on moments of rows with this weight.

    Along narrow directions these steps converge slowly. Conjugate steps follow while they gain more than noise in so
    many rows would.
    """
    w = w[:-1]
    for _ in range(SHORT):
        g = normal.covariance @ w - normal.with_target + penalty.gradient(w)
        d = preconditioner.apply(g)
        fall, bend = float(d @ g), float(d @ (normal.covariance @ d + penalty.gradient(d)))
        if not (fall > 0.0 and bend > 0.0):
            break
        w = w - min(1.0, fall / bend) * d
    d, before = np.zeros_like(w), np.inf
    for _ in range(STEPS):
        product = normal.covariance @ w
        g = product - normal.with_target + penalty.gradient(w)
        step = preconditioner.apply(g)
        fall = float(step @ g)
        d = step + fall / before * d
        slope, bend = float(d @ g), float(d @ (normal.covariance @ d + penalty.gradient(d)))
        rest = max(normal.variance - 2.0 * float(w @ normal.with_target) + float(w @ product), 0.0)
        if not (slope > 0.0 and bend > 0.0 and slope * slope > BEYOND_NOISE * rest / weight * bend):
            break
        w, before = w - slope / bend * d, fall
    return np.append(w, normal.target if bias else 0.0)


def proximal_finish(normal: NormalMatrix, penalty: Any, w: np.ndarray, bias: float) -> np.ndarray:
    """Return parameters at the minimum on moments, with a penalty that has a proximal step.

    By accelerated proximal gradient steps, restarted when the objective would rise (B. O'Donoghue and E. Candes,
    "Adaptive restart for accelerated gradient schemes", Foundations of Computational Mathematics 15, 2015).
    """
    variance = np.maximum(normal.covariance.diagonal(), 0.0)
    scale = np.where(variance > 0.0, 1.0 / np.sqrt(np.where(variance > 0.0, variance, 1.0)), 0.0)
    largest = np.linalg.eigvalsh(normal.covariance * np.outer(scale, scale))[-1]
    length = scale * scale / (max(float(largest), 1.0) + penalty.gradient(scale * scale))
    w = w[:-1]
    there, speed, small = w, 1.0, 1e-10 * np.sqrt(max(normal.variance, 0.0))
    for _ in range(LONG):
        g = normal.covariance @ there - normal.with_target + penalty.gradient(there)
        after = np.asarray(penalty.prox(there - length * g, length, ...))
        move = after - w
        if float((there - after) @ move) > 0.0:
            speed = 1.0
        faster = 0.5 + 0.5 * np.sqrt(1.0 + 4.0 * speed * speed)
        there, w = after + (speed - 1.0) / faster * move, after
        speed = faster
        if np.max(np.abs(move) * np.sqrt(variance), initial=0.0) <= small:
            break
    return np.append(w, normal.target if bias else 0.0)
