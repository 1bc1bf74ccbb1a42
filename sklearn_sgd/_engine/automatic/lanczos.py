"""The largest eigenvalue of a preconditioned curvature, from a few products with it.

References
----------
Parlett, B. N., "The symmetric eigenvalue problem", SIAM, 1998: the Lanczos algorithm, and the error of its estimates.
"""

from collections.abc import Callable

import numpy as np
from scipy import linalg

# Number of products; the norm, as a share of the estimate, that is rounding: the start was in the span of few
# eigenvectors. An error says how near some eigenvalue is, which may be the second largest, so it ends no search before.
STEPS, NOTHING = 15, 1e-10


def largest_by_lanczos(
    start: np.ndarray, precondition: Callable[[np.ndarray], np.ndarray], bend: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Return an estimate that is hardly below the largest eigenvalue: by Lanczos, plus the bound of its error.

    ``bend`` returns by how much a gradient changes along a direction, ``precondition`` the direction for a gradient.
    """
    rest, before, estimate = start, np.zeros_like(start), 0.0
    diagonal, beside = list[float](), list[float]()
    while len(diagonal) < STEPS and (size := float(rest @ precondition(rest)) ** 0.5) > NOTHING * estimate:
        at = rest / size
        direction = precondition(at)
        bent = bend(direction)
        rest = bent - float(direction @ bent) * at - (size * before if diagonal else 0.0)
        beside, before = [*beside, size], at
        diagonal.append(float(direction @ bent))
        values, vectors = linalg.eigh_tridiagonal(diagonal, beside[1:])
        error = float(rest @ precondition(rest)) ** 0.5 * abs(float(vectors[-1, -1]))
        estimate = float(values[-1]) + error
    return estimate
