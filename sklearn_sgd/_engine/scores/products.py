"""Products and inverses of small matrices."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import linalg, sparse

from sklearn_sgd._namespace import doubled, host

# Added to the diagonal of a scaled matrix, so that dependent columns are harmless.
RIDGE = 1e-12


class Root:
    """The Cholesky factor of a matrix scaled by its diagonal; a LinAlgError if there is none."""

    def __init__(self, A: np.ndarray):
        size = np.sqrt(np.maximum(A.diagonal(), 0.0))
        self.scale = np.where(size > 0.0, 1.0 / np.where(size > 0.0, size, 1.0), 0.0)
        scaled = A * np.multiply.outer(self.scale, self.scale)
        np.fill_diagonal(scaled, 1.0 + RIDGE)
        self.factor = linalg.cho_factor(scaled, lower=True)

    def solve(self, g: np.ndarray) -> np.ndarray:
        """Return the product of the inverse with a vector."""
        return self.scale * linalg.cho_solve(self.factor, self.scale * g)

    def noise(self, scatter: np.ndarray) -> float:
        """Return twice the mean gain of a step from noise with this covariance."""
        scaled = scatter * np.multiply.outer(self.scale, self.scale)
        return float(np.trace(linalg.cho_solve(self.factor, scaled)))


def product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return ``A @ B.T`` as the product of any two matrices: that of a low one with itself would take longer."""
    return linalg.blas.dgemm(1.0, B.T, A.T, trans_a=True).T


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of so many rows; the last one may be smaller."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def dense(X: Any) -> np.ndarray:
    """Return rows as an array in double precision."""
    return doubled(X.toarray() if sparse.issparse(X) else host(X))
