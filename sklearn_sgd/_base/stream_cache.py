"""A cache that lets `partial_fit` skip work if the next chunk is like the last one."""

from abc import ABC, abstractmethod
from operator import is_
from typing import Any

import numpy as np

from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._base.samples import ascends
from sklearn_sgd._base.validation import all_finite
from sklearn_sgd._engine.streams.sparse import SparseStream
from sklearn_sgd._engine.streams.stream import Stream


class StreamCache(ABC):
    """Recognises a chunk of the same kind as the last one, which needs no validation and no new plan.

    No parameter has changed since. Samples of weight 0 need another plan.
    """

    def __init__(self, parameters: ResolvedParameters, stream: Any, X: Any):
        self.stream, self.values, self.kind, self.dtype = stream, parameters.values, type(X), X.dtype
        self.loss = stream.recipe.parts.loss
        self.has_domain = hasattr(self.loss, "allows")

    @staticmethod
    def of(
        estimator: Any, parameters: ResolvedParameters, stream: Stream | SparseStream | None, X: Any, shape: tuple
    ) -> "StreamCache | None":
        """Return the cache for chunks like X, with targets of this shape; None if there cannot be one."""
        if stream is None or hasattr(estimator, "feature_names_in_"):
            return None
        if isinstance(stream, Stream):
            return _ArrayCache(parameters, stream, X, shape)
        return _MatrixCache(parameters, stream, X)

    @abstractmethod
    def accepts(self, values: tuple, X: Any, y: Any, weight: Any) -> bool:
        """Return whether the chunk has the form of the last one, and the parameters are the same objects."""

    def takes_weights(self, weight: Any, y: np.ndarray) -> bool:
        """Return whether sample weights are valid, in the precision of the targets, and none is 0."""
        return (
            type(weight) is np.ndarray
            and weight.shape == y.shape[:1]
            and weight.dtype == y.dtype
            and weight.flags.c_contiguous
            and bool(weight.min() > 0.0)
            and bool(weight.max() < np.inf)
        )


class _ArrayCache(StreamCache):
    """For arrays with the shape of the last one."""

    def __init__(self, parameters: ResolvedParameters, stream: Stream, X: np.ndarray, shape: tuple):
        super().__init__(parameters, stream, X)
        self.shape, self.of_targets = X.shape, X.shape[:1] + shape
        # If a value that is not finite shows in the loss, the chunk need not be checked before.
        self.finite = stream.shows_not_finite

    def accepts(self, values: tuple, X: Any, y: Any, weight: Any) -> bool:
        return (
            type(X) is type(y) is np.ndarray
            and X.shape == self.shape
            and y.shape == self.of_targets
            and X.dtype == y.dtype == self.dtype
            and X.flags.c_contiguous
            and y.flags.c_contiguous
            and all(map(is_, values, self.values))
            and (self.finite or (all_finite(X) and all_finite(y)))
            and (weight is None or self.takes_weights(weight, y))
        )


class _MatrixCache(StreamCache):
    """For CSR matrices of any number of rows, in which each entry occurs once, in order."""

    def __init__(self, parameters: ResolvedParameters, stream: SparseStream, X: Any):
        super().__init__(parameters, stream, X)
        self.n_columns = X.shape[1]

    def accepts(self, values: tuple, X: Any, y: Any, weight: Any) -> bool:
        if type(X) is not self.kind or type(y) is not np.ndarray:
            return False
        shape, data = X.shape, X.data  # Properties of matrices take their time.
        return (
            shape[1:] == (self.n_columns,)
            and y.shape == shape[:1] != (0,)
            and data.dtype == y.dtype == self.dtype
            and data.flags.c_contiguous
            and y.flags.c_contiguous
            and all(map(is_, values, self.values))
            and len(data) > 0
            and ascends(X.indices, X.indptr, data, self.n_columns)
            and all_finite(data)
            and all_finite(y)
            and (weight is None or self.takes_weights(weight, y))
        )
