"""The largest eigenvalue of a preconditioned curvature, from a few products with it.

References
----------
Parlett, B. N., "The symmetric eigenvalue problem", SIAM, 1998: the Lanczos algorithm, and the error of its estimates.
"""

from collections.abc import Callable

import numpy as np
from scipy import linalg

# Number of products, and the error from which there are no further ones, as a share of the estimate.
STEPS, NEAR = 12, 0.02


def largest_by_lanczos(
    start: np.ndarray, precondition: Callable[[np.ndarray], np.ndarray], bend: Callable[[np.ndarray], np.ndarray]
) -> float:
    """Return an estimate that is hardly below the largest eigenvalue: by Lanczos, plus the bound of its error.

    ``bend`` returns by how much a gradient changes along a direction, ``precondition`` the direction for a gradient.
    """
    rest, before, estimate = start, np.zeros_like(start), 0.0
    diagonal, beside = list[float](), list[float]()
    for _ in range(STEPS):
        size = float(rest @ precondition(rest)) ** 0.5
        if diagonal:
            values, vectors = linalg.eigh_tridiagonal(diagonal, beside)
            error = size * abs(float(vectors[-1, -1]))
            estimate = float(values[-1]) + error
            if error <= NEAR * estimate:
                break
            beside.append(size)
        if not size > 0.0:
            break
        at = rest / size
        direction = precondition(at)
        bent = bend(direction)
        diagonal.append(float(direction @ bent))
        rest, before = bent - diagonal[-1] * at - (size * before if beside else 0.0), at
    return estimate
