"""The final steps: from the end of the descent to the minimum, and the distance to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.conjugate import conjugate_gradients
from sklearn_sgd._engine.automatic.geometry import Geometry
from sklearn_sgd._engine.automatic.normal_matrix import BEYOND_NOISE

# Rounding error of a gradient, in units of the machine epsilon times the standard deviation of the target.
ROUNDING = 100.0

# Maximum number of final steps; minimum number if directions are narrow.
STEPS, SURE = 30, 6

# Share of the loss that directions of nearly dependent columns must be worth, to be followed.
WORTH = 0.5


def rounding_of(geometry: Geometry, dtype: Any, slope: float, centre: np.ndarray) -> float:
    """Gradients up to which there is none, along a direction of variance one, where rows have such slopes."""
    offset = float(np.max(abs(centre) * geometry.scale, initial=0.0))
    return ROUNDING * float(np.finfo(dtype).eps) * slope * (1.0 + offset)


def gain_by_chance(geometry: Geometry, wide: Geometry, loss: float, weight: float) -> float:
    """Return what the directions that only the first geometry has lower the mean loss by if they are noise, at most."""
    return (BEYOND_NOISE + geometry.n_directions - wide.n_directions) * loss / weight


class Minimum(ABC):
    """The minimum of the objective on all rows, as far as it is known before the descent.

    Attributes
    ----------
    is_narrow : bool
        Whether the minimum may be out of reach, because rounding hides directions.
    leaves_out : bool
        Whether `improved` has to decide about directions of nearly dependent columns, whatever ended the descent.
    """

    is_narrow: bool
    leaves_out: bool

    @abstractmethod
    def excess(self, w: np.ndarray) -> float:
        """Return how far the objective is above its minimum; infinity if that is not known."""

    @abstractmethod
    def improved(self, w: np.ndarray, enough: float) -> tuple[np.ndarray, float]:
        """Return parameters at most ``enough`` above the minimum, if possible; and how far above it they are."""


class FinalSteps(Minimum):
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
        self.is_narrow, self.leaves_out = geometry.is_narrow, self.wide is not geometry

    def excess(self, w: np.ndarray) -> float:
        """Return how far the objective is above its minimum, the directions of nearly dependent columns apart."""
        return self._missing(w, self.wide)

    def improved(self, w: np.ndarray, enough: float) -> tuple[np.ndarray, float]:
        """Return parameters after at most `STEPS`, and how far their objective is above the minimum."""
        w, missing = self._improved(w.astype(np.float64), enough, self.wide)
        if not self.leaves_out:
            return w, missing
        everywhere, loss = self._missing(w, self.geometry), self.loss(w)
        if everywhere <= gain_by_chance(self.geometry, self.wide, loss, self.weight):
            return w, missing
        missing = everywhere
        if missing <= enough or missing < WORTH * loss:
            return w, missing
        found, least = self._improved(w, enough, self.geometry)
        # Along null directions less may be missing than it seems, and steps may be of rounding alone.
        return (found, least) if self.loss(found) < loss else (w, missing)

    def _improved(self, w: np.ndarray, enough: float, geometry: Geometry) -> tuple[np.ndarray, float]:
        """Return parameters after steps along the directions of a geometry, and how far above the minimum they are."""
        best, least = w, np.inf
        # Where rounding hides directions, a gradient may look small that is not.
        sure = SURE if geometry.is_narrow else 1
        steps = conjugate_gradients(w, self._slope(w), partial(self._step, geometry), self._change, self._slope)
        for number, at in enumerate(steps):
            if 0.5 * at.fall < least:
                best, least = at.w, 0.5 * at.fall
            if number == STEPS or (least <= enough and number >= sure):
                break
        return best, least

    def _slope(self, w: np.ndarray) -> np.ndarray:
        g = np.array(self.gradient(w), dtype=np.float64)
        g[:-1] += self.penalty.gradient(w[:-1])
        return g

    def _change(self, d: np.ndarray, w: np.ndarray, g: np.ndarray) -> np.ndarray:
        return self._slope(w + d) - g

    def _step(self, geometry: Geometry, g: np.ndarray) -> np.ndarray:
        return np.append(geometry.apply(g[:-1], self.rounding), g[-1])

    def _missing(self, w: np.ndarray, geometry: Geometry) -> float:
        g = self._slope(w)
        return 0.5 * float(self._step(geometry, g) @ g)
