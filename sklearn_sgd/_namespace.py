"""Arrays of NumPy and of other libraries: the few functions in which they differ.

Arrays of torch, CuPy and others follow the array API standard. The rows stay where they are. Between two epochs
parameters, preconditioner and counts are NumPy's: O(P) or O(P**2) numbers go to the device before an epoch, and O(P)
come back after it.

References
----------
Consortium for Python Data API Standards, "Python array API standard", 2024.12.
"""

import sys
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config

from sklearn_sgd._compat import check_same_namespace, convert_to_numpy, device, get_namespace

# Share of the free memory of a graphics card that copies of rows may take at a time, and bytes where that is not known:
# of a card, and of the host, whose caches should hold some of them.
FREE, CARD, HOST = 1 / 8, 1 << 28, 1 << 24

# The functions for a type of arrays, and whether they are dispatched: to find them anew takes as long as ten products.
_functions: dict[tuple[type, bool], Any] = {}


class Elsewhere:
    """Base of what stands for rows that are not in this process; ``weight`` is their total weight."""

    weight: float


def is_foreign(array) -> bool:
    """Whether an array is of another library than NumPy and SciPy."""
    return not (isinstance(array, (np.ndarray, Elsewhere)) or sparse.issparse(array))


def dispatches(values) -> bool:
    """Whether what a user gave is an array of another library, and scikit-learn is told to leave it there."""
    return (
        not isinstance(values, np.ndarray)
        and hasattr(values, "shape")
        and get_config()["array_api_dispatch"]
        and (get_namespace(values)[1] and not isinstance(values, np.generic))
    )


def refuse_elsewhere(X, estimator, method: str) -> None:
    """Refuse rows that are not where `coef_` is; scikit-learn before 1.9 has no word for that."""
    if get_config()["array_api_dispatch"] and not sparse.issparse(estimator.coef_):
        check_same_namespace(X, estimator, attribute="coef_", method=method)


def floats(values, only=None) -> Any:
    """The precisions that rows may have, or the one of that name, for an array such as this."""
    xp = get_namespace(values)[0] if dispatches(values) else np
    return [xp.float64, xp.float32] if only is None else getattr(xp, only.name)


def namespace(array) -> Any:
    """The functions for an array or a number."""
    if not hasattr(array, "shape") or not is_foreign(array):
        return np
    key = type(array), get_config()["array_api_dispatch"]
    if key not in _functions:
        _functions[key] = get_namespace(array)[0]
    return _functions[key]


def mover(array):
    """A function that brings rows of NumPy to the device of an array, in their precision; None: they are there.

    It may be called in another thread, whose configuration is another.
    """
    if array is None or sparse.issparse(array) or not dispatches(array):
        return None
    asarray, there = namespace(array).asarray, device(array)
    return lambda X: asarray(X, device=there) if isinstance(X, np.ndarray) else X


def scratch_rows(X) -> int:
    """How many rows of X may be copied at once: as many as fill a share of the memory that is free on their device.

    The same number bounds what is computed of rows in one go, on any device.
    """
    kind = type(X).__module__.partition(".")[0]
    free = None
    if kind == "torch" and X.is_cuda:
        free = sys.modules["torch"].cuda.mem_get_info(X.device)[0]
    elif kind == "cupy":
        free = X.device.mem_info[0]
    on_host = kind == "torch" and X.device.type == "cpu"
    size = HOST if on_host or not is_foreign(X) else CARD if free is None else int(FREE * free)
    return max(1, size // max(1, dtype_of(X).itemsize * X.shape[1]))


def dtype_of(array) -> np.dtype:
    """The precision of an array, as NumPy calls it."""
    return np.dtype(str(array.dtype).rpartition(".")[2]) if is_foreign(array) else array.dtype


def like(values, array):
    """Numbers in the namespace, on the device and in the precision of an array."""
    if not is_foreign(array):
        return values
    if hasattr(values, "shape") and type(values) is not type(array):
        values = host(values)  # Of a third library.
    return namespace(array).asarray(values, dtype=array.dtype, device=device(array))


def host(array) -> np.ndarray:
    """Numbers for NumPy, in their precision: of few, or of sums."""
    if not is_foreign(array):
        return array
    return convert_to_numpy(array, namespace(array))


def detached(array):
    """The same numbers outside the graph of automatic derivatives, which torch keeps for tensors that require them."""
    return array.detach() if getattr(array, "requires_grad", False) is True else array


def take(array, rows):
    """Some rows: a slice, or row numbers; a view where they lie in one piece."""
    if isinstance(array, np.ndarray) and isinstance(rows, np.ndarray):
        return array.take(rows, axis=0)  # Several times as fast as by index.
    if isinstance(rows, slice) and getattr(array, "format", None) == "csr":
        return _stretch(array, rows)
    if not is_foreign(array):
        return array[rows]
    if isinstance(rows, slice):
        return array[rows, ...]
    if len(rows) and int(rows[-1]) - int(rows[0]) == len(rows) - 1 and (np.diff(rows) == 1).all():
        return array[int(rows[0]) : int(rows[-1]) + 1, ...]
    return namespace(array).take(array, index_like(rows, array), axis=0)


def _stretch(X, rows: slice):
    """Consecutive rows of a CSR matrix; the entries are not copied, as SciPy does, also when it is given views."""
    start, stop, step = rows.indices(X.shape[0])
    if step != 1:
        return X[rows]
    indptr = X.indptr[start : max(start, stop) + 1]
    first, last = indptr[0], indptr[-1]
    part = type(X)((len(indptr) - 1, X.shape[1]), dtype=X.dtype)
    part.data, part.indices, part.indptr = X.data[first:last], X.indices[first:last], indptr - first
    return part


def index_like(rows: np.ndarray, array):
    """Row numbers in the namespace and on the device of an array; short ones become long ones there."""
    xp, short = namespace(array), rows.dtype == np.uint32 and array.shape[0] <= np.iinfo(np.int32).max
    numbers = rows.view(np.int32) if short else rows.astype(np.int64, copy=False)
    return xp.astype(xp.asarray(numbers, device=device(array)), xp.int64, copy=False)


def doubled(array):
    """The same numbers in double precision."""
    if not is_foreign(array):
        return array.astype(np.float64, copy=False)
    return namespace(array).astype(array, namespace(array).float64, copy=False)


def summed(array):
    """The sum, in double precision, where the array is."""
    return namespace(array).sum(array, dtype=namespace(array).float64)


def total(array) -> float:
    """The sum, in double precision."""
    return float(summed(array))
