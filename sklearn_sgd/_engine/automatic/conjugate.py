"""Conjugate gradients with a preconditioner: steps to the minimum of a parabola.

Those who take the steps decide when to stop, since each of them knows in another way how near is near enough.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np


class Iterate(NamedTuple):
    """Where the steps are.

    ``fall`` is the product of the gradient and its preconditioned direction. If the preconditioner is the inverse
    curvature, half of it is the distance to the minimum. Half of ``gain`` is by how much the last step lowered the
    objective. Half of ``missing`` is an upper bound of the distance to the minimum; it is infinite if none is known.
    """

    w: np.ndarray
    fall: float
    gain: float
    missing: float


def conjugate_gradients(
    w: np.ndarray,
    g: np.ndarray,
    precondition: Callable[[np.ndarray], np.ndarray],
    change: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    gradient: Callable[[np.ndarray], np.ndarray] | None = None,
    least: float = 0.0,
) -> Iterator[Iterate]:
    """Yield the start, and where each step leads, as long as the objective falls and is bent along the next direction.

    Parameters
    ----------
    w, g : ndarray
        The start, and the gradient there.
    precondition : callable
        Function from a gradient to a direction.
    change : callable
        Function (d, w, g) that returns by how much the gradient, g at w, changes along d.
    gradient : callable or None
        Function from parameters to the gradient, which is computed again after each step. By default it follows from
        its changes; their rounding errors add up.
    least : float
        A lower bound of the eigenvalues of the preconditioned curvature, from which ``missing`` follows; 0 for none.

    References
    ----------
    Meurant, G. and Tichý, P., "On computing quadrature-based bounds for the A-norm of the error in conjugate
    gradients", Numerical Algorithms 62, 2013.
    """
    d, before, gain, reach = np.zeros_like(g), np.inf, 0.0, 1.0 / least if least > 0.0 else np.inf
    while True:
        step = precondition(g)
        fall = float(step @ g)
        if reach < np.inf and before < np.inf:
            # The rule of Gauss and Radau with a node at the lower bound.
            rest = reach - gain / before
            reach = rest / max(least * rest + fall / before, 1e-300) if rest > 0.0 else np.inf
        yield Iterate(w, fall, gain, reach * fall)
        if not fall > 0.0:
            return
        d = step + fall / before * d
        bent = change(d, w, g)
        slope, bend = float(d @ g), float(d @ bent)
        if not 0.0 < bend < np.inf:
            return
        length, before = slope / bend, fall
        w = w - length * d
        g = gradient(w) if gradient else g - length * bent
        gain = length * slope
