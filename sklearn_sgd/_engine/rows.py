"""Rows of X as parts: what a kernel asks of a matrix, dense or sparse.

The intercept is the coefficient of a last column whose every entry is ``bias``: 1, or 0 for a model without intercept.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_sgd._engine.jit import prefetch


class Dense(NamedTuple):
    """Rows of a C-ordered array."""

    X: np.ndarray
    bias: float

    def matrix(self, chunk):
        """Some rows, as an array."""
        return self.X[chunk]

    def fetch(self, i):
        """Bring row i into the cache, line by line."""
        p = self.X.shape[1]
        for j in range(i * p, (i + 1) * p, 64 // self.X.itemsize):
            prefetch(self.X, j)

    def at(self, i, j):
        """Entry of row i."""
        return self.X[i, j]

    def dot(self, i, w):
        """Raw prediction for row i."""
        p = self.X.shape[1]
        z = self.bias * w[p]
        for j in range(p):
            z += self.X[i, j] * w[j]
        return z

    def add(self, i, c, g):
        """Add c times row i to g."""
        p = self.X.shape[1]
        for j in range(p):
            g[j] += c * self.X[i, j]
        g[p] += c * self.bias


class Csr(NamedTuple):
    """Rows of a matrix in compressed sparse row format."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    bias: float
    columns: int

    def matrix(self, chunk):
        """Some rows, as a sparse array."""
        shape = self.indptr.shape[0] - 1, self.columns
        return sparse.csr_array((self.data, self.indices, self.indptr), shape=shape)[chunk]

    def dot(self, i, w):
        """Raw prediction for row i."""
        z = self.bias * w[w.shape[0] - 1]
        for q in range(self.indptr[i], self.indptr[i + 1]):
            z += self.data[q] * w[self.indices[q]]
        return z

    def add(self, i, c, g):
        """Add c times row i to g."""
        for q in range(self.indptr[i], self.indptr[i + 1]):
            g[self.indices[q]] += c * self.data[q]
        g[g.shape[0] - 1] += c * self.bias


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that a kernel cannot write to: one Numba type for memory maps and ordinary arrays alike."""
    view = np.asarray(array)[...]
    view.flags.writeable = False
    return view


def as_rows(X, fit_intercept: bool) -> Dense | Csr:
    """The rows of an array or CSR matrix, not copied."""
    bias = X.dtype.type(fit_intercept)
    if sparse.issparse(X):
        return Csr(read_only(X.data), read_only(X.indices), read_only(X.indptr), bias, X.shape[1])
    return Dense(read_only(X), bias)
