"""Rows of X as parts: what a kernel asks of a matrix, dense or sparse, as it is or less the mean of its columns.

The intercept is the coefficient of a last column whose every entry is ``bias``: 1, or 0 for a model without intercept.
Sparse rows are never centred themselves: what is missing is added to sums of them, by ``offset`` and ``centre``.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from sklearn_sgd._engine.jit import prefetch
from sklearn_sgd._engine.namespace import asked_of_rows, dtype_of, is_foreign, like, take

# Bytes of shuffled rows that are asked for before their turn, and rows at most.
AHEAD, FARTHEST = 32768, 32

# Columns that are worked on while as many of a later row are asked for: more requests at once would keep waiting.
SPAN = 128


def _dense_dot(self, i, w):
    """Raw prediction for row i."""
    p = w.shape[0] - 1
    z = self.bias * w[p]
    for j in range(p):
        z += self.at(i, j) * w[j]
    return z


def _dense_add(self, i, c, g, later):
    """Add c times row i to g, and meanwhile ask for a later row."""
    p = g.shape[0] - 1
    for head in range(0, p, SPAN):
        size = min(SPAN, p - head)
        self.fetch(later, head, size)
        for q in range(size):
            j = np.uint64(head + q)
            g[j] += c * self.at(i, j)
    g[p] += c * self.bias


def _dense_ahead(self):
    """How many rows ahead to ask for one."""
    return max(1, min(FARTHEST, AHEAD // (self.X.itemsize * self.X.shape[1] + 1)))


def _dense_fetch(self, i, head, size):
    """Bring entries of row i into the cache, line by line; the last one may lie on one line more."""
    # No range: one with a stride might raise, and Numba would count references around each batch; others are unrolled.
    j, line = i * self.X.shape[1] + head, 8 if self.X.itemsize == 8 else 16
    stop = j + size
    while j < stop:
        prefetch(self.X, j)
        j += line
    prefetch(self.X, stop - 1)


def _no_offset(self, w):
    """What the centring adds to each raw prediction: it is in the row."""
    return self.bias * 0


def _no_centre(self, g):
    """Centre a sum of rows: they were."""


class Dense(NamedTuple):
    """Rows of an array, in a kernel C-ordered."""

    X: np.ndarray
    bias: float

    def matrix(self, chunk):
        """Some rows, as an array."""
        return take(self.X, chunk)

    def at(self, i, j):
        """Entry of row i."""
        return self.X[i, j]

    dot, add, fetch, ahead = _dense_dot, _dense_add, _dense_fetch, _dense_ahead  # type: ignore[misc]
    offset, centre = _no_offset, _no_centre  # type: ignore[misc]


class CentredDense(NamedTuple):
    """Rows of an array, in a kernel C-ordered, less a mean."""

    X: np.ndarray
    bias: float
    mean: np.ndarray

    def matrix(self, chunk):
        """Some rows, as an array."""
        return take(self.X, chunk) - self.mean

    def at(self, i, j):
        """Entry of row i."""
        return self.X[i, j] - self.mean[j]

    dot, add, fetch, ahead = _dense_dot, _dense_add, _dense_fetch, _dense_ahead  # type: ignore[misc]
    offset, centre = _no_offset, _no_centre  # type: ignore[misc]


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
        return sparse.csr_array((self.data, signed(self.indices), signed(self.indptr)), shape=shape)[chunk]

    def dot(self, i, w):
        """Raw prediction for row i."""
        z = self.bias * w[self.columns]
        for q in range(self.indptr[i], self.indptr[i + 1]):
            z += self.data[q] * w[self.indices[q]]
        return z

    def add(self, i, c, g, later):
        """Add c times row i to g, and ask for a later row, line by line; its last entry may lie on one line more."""
        q, stop, size = self.indptr[later], self.indptr[later + 1], self.data.itemsize
        while q < stop:
            prefetch(self.data, q)
            prefetch(self.indices, q)
            q += 8 if size == 8 else 16
        prefetch(self.data, stop - 1)
        prefetch(self.indices, stop - 1)
        for q in range(self.indptr[i], self.indptr[i + 1]):
            g[self.indices[q]] += c * self.data[q]
        g[self.columns] += c * self.bias

    def ahead(self):
        """How many rows ahead to ask for one."""
        return max(1, min(FARTHEST, AHEAD * self.indptr.shape[0] // (12 * self.data.shape[0] + 1)))

    offset, centre = _no_offset, _no_centre  # type: ignore[misc]


class CentredCsr(NamedTuple):
    """Rows of a matrix in compressed sparse row format less a mean, which is never subtracted from a row."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    bias: float
    columns: int
    mean: np.ndarray

    def offset(self, w):
        """What the centring adds to each raw prediction."""
        return -np.sum(self.mean * w[:-1])

    def centre(self, g):
        """Centre a sum of rows."""
        g[:-1] -= self.mean * g[-1]

    matrix, dot, add, ahead = Csr.matrix, Csr.dot, Csr.add, Csr.ahead  # type: ignore[misc]


Rows = Dense | CentredDense | Csr | CentredCsr


@asked_of_rows
def as_rows(X, fit_intercept: bool) -> Dense | Csr:
    """The rows of an array or CSR matrix, not copied."""
    bias = dtype_of(X).type(fit_intercept)
    if sparse.issparse(X):
        return Csr(read_only(X.data), unsigned(X.indices), unsigned(X.indptr), bias, X.shape[1])
    return Dense(read_only(X), bias)


@asked_of_rows
def less_mean(rows: Dense | Csr, mean: np.ndarray) -> CentredDense | CentredCsr:
    """The same rows, centred."""
    return CentredCsr(*rows, mean) if isinstance(rows, Csr) else CentredDense(*rows, like(mean, rows.X))


def unsigned(indices: np.ndarray) -> np.ndarray:
    """A read-only view as unsigned integers, which a kernel need not ask whether they count from the end.

    Not of long ones, which Numba would mix with signed ones to floats.
    """
    return read_only(indices.view(np.uint32) if indices.dtype == np.int32 else indices)


def signed(indices: np.ndarray) -> np.ndarray:
    """The view undone, for SciPy."""
    return indices.view(np.int32) if indices.dtype == np.uint32 else indices


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that a kernel cannot write to: one Numba type for memory maps and ordinary arrays alike."""
    if is_foreign(array):
        return array
    view = array.view(np.ndarray)
    view.setflags(write=False)
    return view
