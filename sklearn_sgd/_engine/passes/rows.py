"""Rows of X, dense or sparse, centred or not.

The intercept is the coefficient of a last column whose entries are ``bias``: 1, or 0 for a model without intercept.
Sparse rows are never centred themselves; ``offset`` and ``centre`` correct predictions and sums.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sklearn_sgd._engine.automatic.lean import Lean
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._namespace import doubled, dtype_of, is_foreign, like, take

# Maximum bytes of rows that a driver reads twice, and maximum rows; small, so that reading and computing overlap.
BLOCK_BYTES, BLOCK_ROWS = 1 << 11, 256

# Number of dense rows that are multiplied together, since they share the entries of a vector.
SHARED = 4

# Maximum bytes of shuffled rows that are prefetched, and maximum rows.
AHEAD_BYTES, AHEAD_ROWS = 32768, 32

# A placeholder for an array that a driver does not read.
NOTHING = 0

NO_INDEX = np.dtype(np.uint32)


class Dense(NamedTuple):
    """Rows of an array; if ``mean`` is given, it is subtracted. It is a NumPy array."""

    X: Any
    bias: Any
    mean: Any = None

    @property
    def layout(self) -> str:
        """The kind of rows, as the drivers call it."""
        return "dense"

    def matrix(self, order):
        """Some rows, as an array."""
        X = take(self.X, order)
        return X if self.mean is None else X - like(self.mean, X)

    def offset(self, w):
        """What centring adds to each raw prediction: nothing, since the entries are centred."""
        return 0.0

    def centre(self, g):
        """Centre a sum of rows, which is centred."""

    @property
    def index_dtype(self) -> np.dtype:
        """The type of the indices, if there were any."""
        return NO_INDEX

    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.X.itemsize * self.X.shape[1]

    def arguments(self) -> dict[str, Any]:
        """The rows as the drivers take them."""
        return {
            "X": self.X,
            "indices": NOTHING,
            "indptr": NOTHING,
            "mean": NOTHING if self.mean is None else self.mean,
            "centred": int(self.mean is not None),
            "bias": self.bias,
            "p": self.X.shape[1],
        }


class Csr(NamedTuple):
    """Rows of a CSR matrix. If ``mean`` is given, it is subtracted, but never from single rows.

    ``lean`` is what centres the columns with many zeros, if these are centred, and ``onto`` has the products of its
    means with the rows. ``at_means``: whether the intercept is the prediction at the means of these columns, too.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    bias: Any
    columns: int
    mean: Any = None
    lean: Any = None
    onto: Any = None
    at_means: bool = True

    def leaning(self, lean: Lean, at_means: bool) -> "Csr":
        """Return the same rows with ``lean``."""
        count_rows(self.indptr.shape[0] - 1)
        onto = doubled(self.whole @ lean.means.astype(self.data.dtype))
        return self._replace(lean=lean, onto=onto, at_means=at_means)

    @property
    def layout(self) -> str:
        """The kind of rows, as the drivers call it."""
        return "csr"

    @property
    def whole(self):
        """All rows, as a sparse array, not centred; nothing is copied."""
        shape = self.indptr.shape[0] - 1, self.columns
        return sparse.csr_array((self.data, signed(self.indices), signed(self.indptr)), shape=shape)

    def matrix(self, order):
        """Some rows, as a sparse array, not centred."""
        return self.whole[order]

    def offset(self, w):
        """What centring adds to each raw prediction."""
        return 0.0 if self.mean is None else -np.sum(self.mean * w[:-1])

    def centre(self, g):
        """Centre a sum of rows."""
        if self.mean is not None:
            g[:-1] -= self.mean * g[-1]

    @property
    def index_dtype(self) -> np.dtype:
        """The type of the indices."""
        return self.indices.dtype

    def row_bytes(self) -> int:
        """Bytes of a row, on average."""
        return 12 * self.data.shape[0] // max(1, self.indptr.shape[0] - 1)

    def arguments(self) -> dict[str, Any]:
        """The rows as the drivers take them."""
        return {
            "X": self.data,
            "indices": self.indices,
            "indptr": self.indptr,
            "mean": NOTHING if self.mean is None else self.mean,
            "centred": int(self.mean is not None),
            "bias": self.bias,
            "p": self.columns,
        }


Rows = Dense | Csr


def block_rows(rows: Rows) -> int:
    """Number of rows that a driver processes together."""
    number = max(1, min(BLOCK_ROWS, BLOCK_BYTES // (rows.row_bytes() + 1)))
    return number if rows.layout == "csr" else max(SHARED, number - number % SHARED)


def rows_ahead(rows: Rows) -> int:
    """Number of rows by which prefetches are ahead."""
    return max(1, min(AHEAD_ROWS, AHEAD_BYTES // (rows.row_bytes() + 1)))


def as_rows(X, fit_intercept: bool) -> Any:
    """Return the rows of an array or CSR matrix, without a copy."""
    if isinstance(X, RemoteRows):
        return X.with_intercept(fit_intercept)
    bias = dtype_of(X).type(fit_intercept)
    if sparse.issparse(X):
        indices, indptr = unsigned(X.indices), unsigned(X.indptr)
        if indices.dtype != indptr.dtype:
            indices, indptr = indices.astype(np.int64), indptr.astype(np.int64)
        return Csr(in_one_piece(X.data), indices, indptr, bias, X.shape[1])
    return Dense(in_one_piece(X), bias)


def less_mean(rows: Any, mean: np.ndarray) -> Any:
    """Return the same rows, centred."""
    if isinstance(rows, RemoteRows):
        return rows.centred(mean)
    return rows._replace(mean=mean)


def unsigned(indices: np.ndarray) -> np.ndarray:
    """Return a view as unsigned 32-bit integers; 64-bit integers are returned as they are."""
    return in_one_piece(indices.view(np.uint32) if indices.dtype == np.int32 else indices)


def signed(indices: np.ndarray) -> np.ndarray:
    """Undo the view, for SciPy."""
    return indices.view(np.int32) if indices.dtype == np.uint32 else indices


def in_one_piece(array: Any) -> Any:
    """Return the array in C order, without a copy if possible."""
    return array if is_foreign(array) else np.ascontiguousarray(array)
