"""What `partial_fit` may skip when the next chunk looks like the last one."""

from operator import is_
from typing import Any, Self

import numpy as np

from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._base.validation import all_finite
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.sparse_stream import SparseStream
from sklearn_sgd._engine.stream import Stream


class StreamCache:
    """Knows the last chunk of a stream, and recognises a like chunk, which needs no validation and no new plan.

    A like chunk has the dtype and the memory layout of the last one, and of arrays the shape; the last one had one
    target and no sample weights. And no parameter has changed since.
    """

    def __init__(self, parameters: ResolvedParameters, recipe: Recipe, stream: Stream | SparseStream, X: Any):
        self.stream = stream
        self.form = _Array(X, stream.shows_not_finite) if isinstance(stream, Stream) else _Matrix(X)
        self.values = parameters.values
        self.loss = recipe.parts.loss
        self.has_domain = hasattr(self.loss, "allows")

    @classmethod
    def of(
        cls,
        estimator: Any,
        parameters: ResolvedParameters,
        recipe: Recipe,
        stream: Stream | SparseStream | None,
        X: Any,
    ) -> Self | None:
        """Return the cache for chunks like X, or None if there cannot be one."""
        if stream is None or hasattr(estimator, "feature_names_in_"):
            return None
        return cls(parameters, recipe, stream, X)

    def accepts(self, values: tuple, X: Any, y: Any) -> bool:
        """Return whether X and y look like the last chunk, and the values of the parameters are the same objects."""
        return self.form.accepts(X, y) and all(map(is_, values, self.values))


class _Array:
    """The form of an array X."""

    def __init__(self, X: np.ndarray, finite: bool):
        self.shape, self.column, self.dtype = X.shape, X.shape[:1], X.dtype
        # If a value that is not finite shows in the loss, the chunk need not be read for that before.
        self.finite = finite

    def accepts(self, X: Any, y: Any) -> bool:
        """Return whether X and y have this form, and are finite."""
        return (
            type(X) is type(y) is np.ndarray
            and X.shape == self.shape
            and y.shape == self.column
            and X.dtype == y.dtype == self.dtype
            and X.flags.c_contiguous
            and y.flags.c_contiguous
            and (self.finite or (all_finite(X) and all_finite(y)))
        )


class _Matrix:
    """The form of a CSR matrix X, of any number of rows."""

    def __init__(self, X: Any):
        self.kind, self.n_columns, self.dtype = type(X), X.shape[1], X.dtype

    def accepts(self, X: Any, y: Any) -> bool:
        """Return whether X and y have this form, are finite, and each entry of X occurs once, in order."""
        return (
            type(X) is self.kind
            and type(y) is np.ndarray
            and X.shape[1] == self.n_columns
            and y.shape == X.shape[:1] != (0,)
            and X.dtype == y.dtype == self.dtype
            and X.data.flags.c_contiguous
            and y.flags.c_contiguous
            and self._is_canonical(X)
            and all_finite(X.data)
            and all_finite(y)
        )

    def _is_canonical(self, X: Any) -> bool:
        """Return whether the columns of each row are in the matrix, and in ascending order."""
        indices, indptr = X.indices, X.indptr
        if len(X.data) != len(indices) or indptr[-1] != len(indices) or not len(indices):
            return False
        ascends = indices[1:] > indices[:-1]
        if len(indptr) == 2:
            return bool(ascends.all()) and indices[0] >= 0 and indices[-1] < self.n_columns
        starts = indptr[1:-1]
        ascends[starts[(starts > 0) & (starts < len(indices))] - 1] = True
        return bool(ascends.all()) and bool(indices.min() >= 0) and bool(indices.max() < self.n_columns)
