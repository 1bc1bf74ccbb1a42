"""Products and inverses of small matrices."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import linalg, sparse

from sklearn_sgd._engine.passes.choose import score_driver
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


def designed(X: np.ndarray, centre: np.ndarray, has_intercept: bool) -> np.ndarray:
    """Return rows less the centre, which is 0 without intercept; else with a column of ones at the end."""
    if not has_intercept:
        return np.ascontiguousarray(X)
    if (driver := score_driver("designs")) is None:
        return np.column_stack((X - centre, np.ones(len(X))))
    (n, p), design = X.shape, np.empty((len(X), len(centre) + 1))
    driver({"X": np.ascontiguousarray(X), "n": n, "p": p, "centre": centre, "design": design})
    return design


def weighted_products(Z: np.ndarray, c: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sums of outer products of rows, weighted by c, and by d, from one product of matrices."""
    n, k = Z.shape
    if (driver := score_driver("multiples")) is None:
        scaled = np.column_stack((Z * c[:, None], Z * d[:, None]))
    else:
        scaled = np.empty((n, 2 * k))
        c, d = np.ascontiguousarray(c), np.ascontiguousarray(d)
        driver({"design": Z, "n": n, "k": k, "c": c, "d": d, "scaled": scaled})
    both = Z.T @ scaled
    return both[:, :k], both[:, k:]


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of so many rows; the last one may be smaller."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def dense(X: Any) -> np.ndarray:
    """Return rows as an array in double precision."""
    return doubled(X.toarray() if sparse.issparse(X) else host(X))
