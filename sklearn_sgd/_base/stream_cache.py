"""What `partial_fit` may skip when the next chunk looks like the last one."""

from operator import is_
from typing import Any, Self

import numpy as np

from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._base.validation import all_finite
from sklearn_sgd._engine.epochs import Descent
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.stream import Stream


class StreamCache:
    """Knows the last chunk of a stream, and recognises a like chunk, which needs no validation and no new plan.

    A like chunk has the shape, the dtype and the memory layout of the last one, which had one target and no sample
    weights; and no parameter has changed since.
    """

    def __init__(self, parameters: ResolvedParameters, recipe: Recipe, stream: Stream, X: np.ndarray):
        self.stream = stream
        # If a value that is not finite shows in the loss, the chunk need not be read for that before.
        self.finite = stream.shows_not_finite
        self.values = parameters.values
        self.shape, self.column, self.dtype = X.shape, X.shape[:1], X.dtype
        self.loss = recipe.parts.loss
        self.has_domain = hasattr(self.loss, "allows")

    @classmethod
    def of(
        cls, estimator: Any, parameters: ResolvedParameters, recipe: Recipe, descent: Descent, X: Any
    ) -> Self | None:
        """Return the cache for chunks like X, or None if there cannot be one."""
        if hasattr(estimator, "feature_names_in_") or not (stream := Stream.of(recipe, descent)):
            return None
        return cls(parameters, recipe, stream, X)

    def accepts(self, values: tuple, X: Any, y: Any) -> bool:
        """Return whether X and y look like the last chunk, and the values of the parameters are the same objects."""
        return (
            type(X) is type(y) is np.ndarray
            and X.shape == self.shape
            and y.shape == self.column
            and X.dtype == y.dtype == self.dtype
            and X.flags.c_contiguous
            and y.flags.c_contiguous
            and all(map(is_, values, self.values))
            and (self.finite or (all_finite(X) and all_finite(y)))
        )
