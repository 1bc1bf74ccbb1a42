"""The columns of sparse rows that occur: a fit works on these, so that its cost depends on the entries of the rows.

Hashed texts have few words in many columns. The coefficient of a column without entries stays 0, and all that is known
of the column is that it has none. So the states at the end are those of all columns, with zeros for the others.
"""

from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._engine.automatic.statistics import FILLED, FULL, by_entries
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.traits import Formulas

# Share of the columns that occur up to which the excerpt costs less than it saves.
SHARE = 0.5

# Number of entries after which it may be known that this is too many.
FEW = 1 << 16

# The statistics that have a number for each column.
OF_STATISTICS = "mean", "moment", "counts"


class Occurring(NamedTuple):
    """The numbers of the columns that a fit works on, None if these are all, and how many there are."""

    numbers: np.ndarray | None
    n_columns: int

    @classmethod
    def of(cls, formulas: Formulas, X: Any, states: list[State]) -> Self:
        """Return the columns for a fit of X from these states: those with entries, or a coefficient to start from."""
        n_columns = X.shape[1]
        if not (by_entries(X) and formulas.keep_zero):
            return cls(None, n_columns)
        occurs, first, last = np.zeros(n_columns, bool), 0, FEW
        occurs[: FULL + 1] = True  # With fewer columns, a fit would go other ways.
        for state in states:
            if not state.fresh:
                occurs |= state.vectors.average[:-1] != 0.0
        while first < len(X.indices):
            occurs[X.indices[first:last]] = True
            if np.count_nonzero(occurs) > SHARE * n_columns:
                return cls(None, n_columns)
            first, last = last, 2 * last
        numbers = np.flatnonzero(occurs)
        is_filled = X.nnz >= FILLED * X.shape[0] * len(numbers)
        return cls(None if is_filled else numbers, n_columns)

    def rows(self, X: Any) -> Any:
        """Return the rows of the fit with these columns; its entries are those of X."""
        if self.numbers is None:
            return X
        places = np.zeros(self.n_columns, X.indices.dtype)
        places[self.numbers] = np.arange(len(self.numbers))
        return type(X)((X.data, places[X.indices], X.indptr), shape=(X.shape[0], len(self.numbers)))

    def some(self, states: list[State]) -> list[State]:
        """Return the states of these columns."""
        if (numbers := self.numbers) is None:
            return states
        among = np.append(numbers, self.n_columns)
        return [
            replace(state, centre=state.centre[numbers], vectors=state.vectors.each(lambda vector: vector[among]))
            for state in states
        ]

    def whole(self, state: State) -> State:
        """Return the state of all columns, given that of these."""
        if (numbers := self.numbers) is None:
            return state
        among, statistics, step = np.append(numbers, self.n_columns), state.statistics, state.step

        def spread(some: Any, others: float = 0.0) -> Any:
            return None if some is None else _spread(some, numbers, self.n_columns, others)

        if statistics is not None:
            statistics = statistics._replace(**{name: spread(getattr(statistics, name)) for name in OF_STATISTICS})
        if step is not None:
            known = step.preconditioner
            filled = None if known.filled is None else numbers[known.filled]
            step = step._replace(
                preconditioner=known._replace(inverse=spread(known.inverse), filled=filled),
                variance=spread(step.variance),
                most_variance=spread(step.most_variance, np.inf),
                shares=spread(step.shares),
            )
        vectors = state.vectors.each(lambda vector: _spread(vector, among, self.n_columns + 1))
        others = {name: spread(getattr(state, name)) for name in ("centre", "began", "former_centre")}
        return replace(state, vectors=vectors, statistics=statistics, step=step, **others)


def _spread(some: np.ndarray, places: np.ndarray, size: int, others: float = 0.0) -> np.ndarray:
    """Return a vector of this size with some numbers at these places."""
    whole = np.full(size, others, some.dtype) if others else np.zeros(size, some.dtype)
    whole[places] = some
    return whole
