"""Products and inverses of small matrices."""

from collections.abc import Iterator
from math import isfinite
from typing import Any, Self

import numpy as np
from scipy import linalg, sparse

from sklearn_sgd._engine.compiled.drivers.vectors import scale_symmetric
from sklearn_sgd._namespace import host

# Added to the diagonal of a scaled matrix, so that dependent columns are harmless.
RIDGE = 1e-12


class Root:
    """The Cholesky factor of a matrix scaled by its diagonal, which is overwritten; a LinAlgError if there is none."""

    def __init__(self, scale: np.ndarray, scaled: np.ndarray):
        self.scale = scale
        # The functions of SciPy that call LAPACK take several times as long for small matrices.
        self.factor, failed = linalg.lapack.dpotrf(scaled.T, lower=1, clean=0, overwrite_a=1)
        # The last pivot depends on all others.
        if failed or not isfinite(self.factor[-1, -1]):
            raise linalg.LinAlgError("The matrix is not positive definite.")

    @classmethod
    def of(cls, A: np.ndarray, more: np.ndarray | float = 0.0) -> Self:
        """Return the factor of a matrix with numbers added to its diagonal."""
        k = len(A)
        scale, scaled = np.empty(k), np.empty((k, k))
        scale_symmetric(k, A.ravel(), np.broadcast_to(more, k), RIDGE, scale, scaled.reshape(-1))
        return cls(scale, scaled)

    def solve_scaled(self, right: np.ndarray) -> np.ndarray:
        """Return the solution of the scaled equations."""
        return linalg.lapack.dpotrs(self.factor, right, lower=1)[0]

    def solve(self, g: np.ndarray) -> np.ndarray:
        """Return the product of the inverse with a vector."""
        return self.scale * self.solve_scaled(self.scale * g)

    def noise(self, scatter: np.ndarray) -> float:
        """Return twice the mean gain of a step from noise with this covariance."""
        scaled = scatter * np.multiply.outer(self.scale, self.scale)
        return float(np.trace(linalg.lapack.dpotrs(self.factor, scaled, lower=1)[0]))


def weighted_product(Z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the sum of the outer products of rows, weighted by c."""
    return Z.T @ (Z * c[:, None])


def squares_of_added(Z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the sum of the squares of what each row adds to the diagonal of `weighted_product`."""
    each = np.square(Z)
    each *= c[:, None]
    return np.einsum("ij,ij->j", each, each)


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of ``size`` rows; the last one may be smaller."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def dense(X: Any) -> np.ndarray:
    """Return rows, or numbers of rows, as a contiguous array in double precision."""
    if type(X) is not np.ndarray:
        X = X.toarray() if sparse.issparse(X) else host(X)
    return X.astype(np.float64, order="C", copy=False)


def design(X: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
    """Return samples centred, with a column of ones; without means, the samples as they are."""
    return X if mean is None else np.column_stack((X - mean, np.ones(len(X))))
