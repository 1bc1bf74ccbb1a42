"""Products and inverses of small matrices."""

from collections.abc import Iterator
from math import isfinite
from typing import Any

import numpy as np
from scipy import linalg, sparse

from sklearn_sgd._engine.compiled.drivers.scores import STRETCH
from sklearn_sgd._engine.passes.choose import score_driver
from sklearn_sgd._namespace import doubled, host

# Added to the diagonal of a scaled matrix, so that dependent columns are harmless.
RIDGE = 1e-12


class Root:
    """The Cholesky factor of a matrix scaled by its diagonal; a LinAlgError if there is none."""

    def __init__(self, A: np.ndarray):
        with np.errstate(all="ignore"):
            scale = 1.0 / np.sqrt(A.diagonal())
        self.scale = scale if np.isfinite(scale).all() else np.where(np.isfinite(scale), scale, 0.0)
        scaled = A * self.scale[:, None] * self.scale
        scaled.flat[:: len(scaled) + 1] = 1.0 + RIDGE
        # The functions of SciPy that call LAPACK take several times as long for small matrices.
        self.factor, failed = linalg.lapack.dpotrf(scaled.T, lower=1, clean=0, overwrite_a=1)
        if failed or not isfinite(self.factor.trace()):
            raise linalg.LinAlgError("The matrix is not positive definite.")

    def solve(self, g: np.ndarray) -> np.ndarray:
        """Return the product of the inverse with a vector."""
        return self.scale * linalg.lapack.dpotrs(self.factor, self.scale * g, lower=1)[0]

    def noise(self, scatter: np.ndarray) -> float:
        """Return twice the mean gain of a step from noise with this covariance."""
        scaled = scatter * np.multiply.outer(self.scale, self.scale)
        return float(np.trace(linalg.lapack.dpotrs(self.factor, scaled, lower=1)[0]))


def designed(X: np.ndarray, centre: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows less the centre, stored by columns, and their products with w.

    If w has an entry more than the centre, there is an intercept, and a column of ones is the last.
    """
    (n, p), k, driver = X.shape, len(w), score_driver("designs")
    design = np.empty((k, n))
    if k > p:
        design[p] = 1.0
    if driver is None:
        np.subtract(X, centre, out=design[:p].T)
        return design.T, design.T @ w
    predictions = np.empty(n)
    driver(
        {"X": np.ascontiguousarray(X), "n": n, "p": p, "centre": centre, "w": np.ascontiguousarray(w)}
        | {"offset": float(w[p]) if k > p else 0.0, "design": design, "predictions": predictions}
    )
    return design.T, predictions


def weighted_product(Z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the sum of the outer products of rows, weighted by c."""
    return Z.T @ (Z * c[:, None])


def squares_of_added(Z: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the sum of the squares of what each row adds to the diagonal of `weighted_product`."""
    each = np.square(Z)
    each *= c[:, None]
    return np.einsum("ij,ij->j", each, each)


def weighted_products(
    Z: np.ndarray, c: np.ndarray, d: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sums of the outer products of rows of a design, weighted by c, and by d.

    Also return the sum of ``scale * z**2`` of each row z.
    """
    if (driver := score_driver("products")) is None:
        return weighted_product(Z, c), weighted_product(Z, d), np.square(Z) @ scale
    (n, k), c, d = Z.shape, np.ascontiguousarray(c), np.ascontiguousarray(d)
    products, sizes, work = np.zeros((2, k, k)), np.empty(n), np.empty(4 * STRETCH)
    first, second = products
    driver(
        {"design": Z.T, "n": n, "k": k, "c": c, "d": d, "scale": scale}
        | {"first": first, "second": second, "sizes": sizes, "work": work}
    )
    return first, second, sizes


def blocks(n: int, size: int) -> Iterator[slice]:
    """Yield slices of so many rows; the last one may be smaller."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def dense(X: Any) -> np.ndarray:
    """Return rows as an array in double precision."""
    return doubled(X.toarray() if sparse.issparse(X) else host(X))
