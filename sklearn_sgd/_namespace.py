"""Functions for arrays of NumPy and of other libraries.

Arrays of torch, CuPy and others follow the array API standard. Samples stay on their device. Between epochs,
parameters, preconditioner and counts are NumPy arrays: O(P) or O(P**2) numbers are copied to the device before an
epoch, and O(P) are copied back after it.

References
----------
Consortium for Python Data API Standards, "Python array API standard", 2024.12.
"""

import sys
from functools import cache
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config

from sklearn_sgd._compat import check_same_namespace, convert_to_numpy, device, get_namespace

# Limits for copies of rows: a share of the free memory of a graphics card, bytes on a card whose free memory is
# unknown, and bytes on the host, few enough for its caches.
FREE_SHARE, CARD_BYTES, HOST_BYTES = 1 / 8, 1 << 28, 1 << 22

# The number of the host's memory in the DLPack protocol, which the array API standard includes.
DLPACK_HOST = 1

# The namespace for a type of arrays, with and without dispatch. To find it takes as long as ten products.
_functions: dict[tuple[type, bool], Any] = {}


class RemoteObject:
    """Base class of objects that represent rows of other processes; ``weight`` is their total weight."""

    weight: float


def is_foreign(array) -> bool:
    """Whether an array is of another library than NumPy and SciPy."""
    return not (isinstance(array, (np.ndarray, RemoteObject)) or sparse.issparse(array))


def dispatches(values) -> bool:
    """Whether an input is an array of another library, and array API dispatch is enabled."""
    return (
        not isinstance(values, np.ndarray)
        and hasattr(values, "shape")
        and get_config()["array_api_dispatch"]
        and get_namespace(values)[1]
        and not isinstance(values, np.generic)
    )


def check_place(X, estimator, method: str) -> None:
    """Raise an error if X is not on the device of `coef_`; before version 1.9 scikit-learn has no such check."""
    if get_config()["array_api_dispatch"] and not sparse.issparse(estimator.coef_):
        check_same_namespace(X, estimator, attribute="coef_", method=method)


def floats(values) -> list[Any]:
    """The float dtypes of an array's library."""
    xp = get_namespace(values)[0] if dispatches(values) else np
    return [xp.float64, xp.float32]


def dtype_there(values, dtype: np.dtype) -> Any:
    """The dtype of that name in an array's library."""
    return getattr(get_namespace(values)[0] if dispatches(values) else np, dtype.name)


def namespace(array) -> Any:
    """The namespace of an array or a number."""
    if not hasattr(array, "shape") or not is_foreign(array):
        return np
    key = type(array), get_config()["array_api_dispatch"]
    if key not in _functions:
        _functions[key] = get_namespace(array)[0]
    return _functions[key]


def on_device(array, place):
    """Copy an array to another device of its library."""
    return array.to(place) if hasattr(array, "to") else array.to_device(place)


def _library(array) -> str:
    return type(array).__module__.partition(".")[0]


def is_on_host(array) -> bool:
    """Whether an array is known to be in the memory of the host: of NumPy, or a tensor of torch there."""
    return not is_foreign(array) or (_library(array) == "torch" and array.device.type == "cpu")


def has_graphs(array) -> bool:
    """Whether operations on an array can be recorded as a graph: on tensors of torch on a graphics card."""
    return is_foreign(array) and _library(array) == "torch" and array.is_cuda


def is_in_host_memory(array) -> bool:
    """Return whether rows are in the memory of this process: of NumPy and SciPy, or of a library that says so."""
    if isinstance(array, RemoteObject):
        return False
    return not is_foreign(array) or array.__dlpack_device__()[0] == DLPACK_HOST


def scratch_bytes(array) -> int:
    """Bytes of copies that may be made at once on the device of an array: a share of its free memory, if it is known.

    The same number limits one computation, on any device.
    """
    if is_on_host(array):
        return HOST_BYTES
    kind, free = _library(array), None
    if kind == "torch" and array.is_cuda:
        free = sys.modules["torch"].cuda.mem_get_info(array.device)[0]
    elif kind == "cupy":
        free = array.device.mem_info[0]
    return CARD_BYTES if free is None else int(FREE_SHARE * free)


def scratch_rows(X) -> int:
    """Number of rows of X that may be copied at once."""
    # NumPy does not know all dtypes of torch.
    itemsize = getattr(X.dtype, "itemsize", None) or dtype_of(X).itemsize
    return max(1, scratch_bytes(X) // max(1, itemsize * X.shape[1]))


def dtype_of(array) -> np.dtype:
    """The dtype of an array, as NumPy's dtype."""
    dtype = array.dtype
    return dtype if isinstance(dtype, np.dtype) else _dtype_named(dtype)


@cache
def _dtype_named(dtype) -> np.dtype:
    return np.dtype(str(dtype).rpartition(".")[2])


def like(values, array):
    """Convert values to the library, the device and the dtype of an array."""
    if not is_foreign(array):
        return values
    if hasattr(values, "shape") and type(values) is not type(array):
        values = host(values)  # From a third library.
    return namespace(array).asarray(values, dtype=array.dtype, device=device(array))


def host(array) -> np.ndarray:
    """Convert an array to NumPy; for small arrays and sums."""
    if not is_foreign(array):
        return array
    return convert_to_numpy(array, namespace(array))


def detached(array):
    """Detach a torch tensor from the graph of automatic differentiation."""
    return array.detach() if getattr(array, "requires_grad", False) is True else array


def pieces(array, size: int):
    """Consecutive rows, ``size`` at a time, as views; for torch in a fraction of the time of slices."""
    if array.shape[0] <= size:
        return [array]
    if hasattr(array, "split"):
        return array.split(size)
    n = array.shape[0]
    return [array[start : min(start + size, n), ...] for start in range(0, n, size)]


def add_scaled(out, array, factor) -> None:
    """Add a factor times an array, or a number, in place; for torch by one operation, also of another precision."""
    if hasattr(out, "add_") and hasattr(factor, "shape"):
        out.addcmul_(array, factor)
    elif hasattr(out, "add_"):
        out.add_(array, alpha=factor)
    else:
        out += factor * (namespace(out).astype(array, out.dtype, copy=False) if hasattr(array, "shape") else array)


def descend(w, step, d) -> None:
    """Subtract a step, a number or an array, times a direction, in place; for torch by one operation."""
    if hasattr(w, "addcmul_") and hasattr(step, "shape"):
        w.addcmul_(step, d, value=-1.0)
    elif hasattr(step, "shape"):
        w -= step * d
    else:
        add_scaled(w, d, -step)


def mix(average, w, share) -> None:
    """Let the newest parameters have this share of their average, in place; for torch by one operation."""
    if hasattr(average, "lerp_") and average.dtype == w.dtype:
        average.lerp_(w, share)
        return
    average *= 1.0 - share
    add_scaled(average, w, share)


def bounded(array, low, high):
    """The nearest values within bounds, numbers or arrays or None; for torch by one operation."""
    if hasattr(array, "clamp"):
        return array.clamp(min=low, max=high)
    return namespace(array).clip(array, low, high)


def add_product(out, matrix, vector, factor, keep: float) -> None:
    """Set a vector to ``keep`` times itself, plus a factor times a product, in place; for torch by one operation.

    If ``keep`` is 0, it does not matter what was in the vector.
    """
    if hasattr(out, "addmv_"):
        if hasattr(factor, "shape"):
            vector, factor = factor * vector, 1.0
        out.addmv_(matrix, vector, beta=keep, alpha=factor)
        return
    product = factor * (matrix @ vector)
    out[...] = keep * out + product if keep else product


def take(array, rows):
    """Some rows, by a slice or by row numbers; a view if the rows are contiguous."""
    if isinstance(array, np.ndarray) and isinstance(rows, np.ndarray):
        return array.take(rows, axis=0)  # Several times as fast as by index.
    if isinstance(rows, slice) and getattr(array, "format", None) == "csr":
        return _consecutive(array, rows)
    if not is_foreign(array):
        return array[rows]
    if isinstance(rows, slice):
        return array[rows, ...]
    if len(rows) and int(rows[-1]) - int(rows[0]) == len(rows) - 1 and (np.diff(rows) == 1).all():
        return array[int(rows[0]) : int(rows[-1]) + 1, ...]
    return namespace(array).take(array, index_like(rows, array), axis=0)


def _consecutive(X, rows: slice):
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
    """Convert row numbers to the library and the device of an array, as 64-bit integers."""
    xp, short = namespace(array), rows.dtype == np.uint32 and array.shape[0] <= np.iinfo(np.int32).max
    numbers = rows.view(np.int32) if short else rows.astype(np.int64, copy=False)
    return xp.astype(xp.asarray(numbers, device=device(array)), xp.int64, copy=False)


def doubled(array):
    """Convert an array to double precision."""
    if not is_foreign(array):
        return array.astype(np.float64, copy=False)
    return namespace(array).astype(array, namespace(array).float64, copy=False)


def summed(array):
    """The sum, in double precision, on the device of the array."""
    return namespace(array).sum(array, dtype=namespace(array).float64)


def total(array) -> float:
    """The sum, in double precision."""
    if type(array) is np.ndarray:
        return float(array.sum(dtype=np.float64))  # In small calls the choice of the library would take longer.
    return float(summed(array))
