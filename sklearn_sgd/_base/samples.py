"""Conversion of X to the form that the engine needs. The user's X is never changed."""

from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from sklearn_sgd._namespace import detached, dispatches

# Types of numbers that matrices of SciPy may have.
SCIPY = "?bBhHiIlLqQfd"

# Number of indices that are checked together: they fit into a cache.
BLOCK = 1 << 16


def check_samples(estimator: Any, X: Any, *, reset: bool, summed: bool = True, **form: Any) -> Any:
    """Return X validated: an array or a CSR matrix, of an allowed dtype, finite unless ``form`` allows other values.

    With ``summed``, the entries of a CSR matrix are sorted and occur only once; products do not need this.
    """
    form = {"accept_sparse": "csr"} | form
    taken = X
    if not (summed and is_canonical(X)):
        refuse_misplaced(X)
        taken = convertible(X, summed)
    if taken is X:
        return validate_data(estimator, X, reset=reset, **form)
    validate_data(estimator, X, reset=reset, skip_check_array=True)
    return check_array(taken, estimator=estimator, input_name="X", **form)


def refuse_misplaced(X: Any) -> None:
    """Raise an error if entries of a CSR or CSC matrix are outside of it: compiled loops do not check indices.

    SciPy checks them neither when a matrix is made nor in products.
    """
    if not sparse.issparse(X) or X.format not in ("csr", "csc") or X.ndim != 2:
        return
    indptr, size = X.indptr, X.shape[X.format == "csr"]
    indices = X.indices[: indptr[-1]]
    ascends = indptr[0] == 0 and indptr[-1] <= min(len(X.indices), len(X.data)) and (indptr[1:] >= indptr[:-1]).all()
    if not ascends or not are_below(indices, size):
        raise ValueError(
            f"X is not a valid {X.format.upper()} matrix: its indptr must ascend from 0, and its indices lie between 0 "
            f"and {size - 1}. X.check_format() finds the fault."
        )


def is_canonical(X: Any) -> bool:
    """Return whether X is a valid CSR matrix in which the indices of each row ascend, none twice."""
    return sparse.issparse(X) and X.format == "csr" and X.ndim == 2 and ascends(X.indices, X.indptr, X.data, X.shape[1])


def ascends(indices: np.ndarray, indptr: np.ndarray, data: np.ndarray, n_columns: int) -> bool:
    """Return the same for the arrays of a matrix.

    This is faster than the check of SciPy, whose flags may be out of date. The indices are read once, block by block.
    """
    n = len(indices)
    if indptr[0] or not indptr[-1] == n == len(data):
        return False
    if len(indptr) == 2 and n:
        return bool(indices[0] >= 0 and indices[-1] < n_columns) and not np.count_nonzero(indices[1:] <= indices[:-1])
    starts, blocks = indptr[1:-1][indptr[1:-1] < indptr[2:]], range(0, n, BLOCK)
    cuts = [*np.searchsorted(starts, blocks, "right"), len(starts)]
    return not (indptr[1:] < indptr[:-1]).any() and all(
        _descend_at_most(indices[start : start + BLOCK + 1], starts[first:last] - start, n_columns)
        for start, (first, last) in zip(blocks, pairwise(cuts), strict=True)
    )


def _descend_at_most(indices: np.ndarray, starts: np.ndarray, n_columns: int) -> bool:
    """Return whether indices are valid, and ascend except where rows start."""
    descends = indices[1:] <= indices[:-1]
    return are_below(indices, n_columns) and np.count_nonzero(descends) == np.count_nonzero(descends[starts - 1])


def are_below(indices: np.ndarray, size: int) -> bool:
    """Return whether indices are at least 0 and less than a size. Without their signs, negative ones are large."""
    return not len(indices) or bool(indices.view(indices.dtype.str.replace("i", "u")).max() < size)


def convertible(X: Any, summed: bool = True) -> Any:
    """Return X in a form that scikit-learn's checks handle correctly: X itself in most cases.

    For a frame of sparse columns, the checks may return another dtype than requested, or raise an error. They cast
    duplicate entries of a matrix, but do not sum them. They do not convert tensors that require gradients.
    """
    if sparse.issparse(X):
        # The product of a float matrix and a vector sums duplicates anyway.
        return without_duplicates(X) if summed or X.dtype.kind != "f" else X
    return matrix_of(X) if is_sparse_frame(X) else detached(supported(X, "X"))


def supported(values: Any, name: str) -> Any:
    """Return values, unless they are an array that scikit-learn's checks let pass with other values than it shows.

    Of masked arrays these use what the mask hides, of complex numbers of other libraries the real part.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{name} has masked values, which would be used as if they were not masked: leave these samples out, or "
            f"replace the values, as {name}.filled(...) does."
        )
    if dispatches(values) and "complex" in str(values.dtype):
        raise ValueError(f"Complex data not supported: {name} has dtype {values.dtype}. Use columns of real numbers.")
    if type(values).__module__.partition(".")[0] == "torch" and str(values.layout) != "torch.strided":
        raise TypeError(
            f"{name} is a sparse tensor of torch, which is not supported: use {name}.to_dense(), or a matrix of SciPy."
        )
    return values


def without_duplicates(X: Any) -> Any:
    """Return a matrix without duplicate entries, those of a row in the order of the columns; X if it has this form.

    SciPy sums duplicate entries in their own dtype. Those of COO and BSR are summed in the conversion to CSR, and other
    formats have none.
    """
    if X.format not in ("csr", "csc") or X.ndim != 2:
        return X
    if is_canonical(X):
        return X
    X = X.tocsr(copy=True)
    X.sum_duplicates()
    X.prune()  # There may be room after the last entry.
    return X


def is_sparse_frame(X: Any) -> bool:
    """Return whether X is a pandas frame with sparse columns only."""
    dtypes = getattr(X, "dtypes", ()) if hasattr(X, "iloc") else ()
    return np.ndim(dtypes) == 1 and len(dtypes) > 0 and all(hasattr(dtype, "fill_value") for dtype in dtypes)


def matrix_of(frame: Any) -> Any:
    """Return a frame of sparse columns as a matrix; as a dense frame if a fill value is not 0."""
    dtypes = set(frame.dtypes)
    if any(dtype.fill_value != 0 for dtype in dtypes):
        return frame.sparse.to_dense()
    dtype, *others = dtypes
    if others or dtype.subtype.char not in SCIPY:
        # pandas converts columns of different types, such as booleans and numbers, to objects.
        single = np.result_type(*(each.subtype for each in dtypes)) == np.float32
        frame = frame.astype(type(dtype)(np.float32 if single else np.float64, 0.0))
    return frame.sparse.to_coo()
