"""Statistics of the columns of arrays on a device: products of blocks of rows, read by one transfer."""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.statistics import FULL, ColumnStatistics, blocks_of_rows, merge
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import doubled, dtype_of, host, like, namespace, scratch_rows, summed, take


def measure_on_device(
    X, weight, centred: bool, y: Any = None, beside: Sequence[Any] = ()
) -> tuple[ColumnStatistics, list[float]]:
    """Return the same as ``statistics.measure``, and numbers that are read with the same transfer."""
    xp, p = namespace(X), X.shape[1]
    count_rows(X.shape[0])
    parts = [
        _sums(
            take(X, rows),
            doubled(take(weight, rows)) if weight.shape[0] else None,
            p <= FULL,
            centred,
            None if y is None else doubled(take(y, rows)),
        )
        for rows in _blocks(X, p <= FULL)
    ]
    numbers = [xp.reshape(number, (1,)) for number in beside]
    read = host(xp.concat([*numbers, *parts]))
    found, targets = read[len(numbers) :].reshape(len(parts), -1), 0 if y is None else y.shape[1]
    columns = reduce(merge, (_statistics(row, p, targets, p <= FULL) for row in found))
    return columns, [*map(float, read[: len(numbers)])]


def _blocks(X, full: bool) -> Iterator[Any]:
    """Yield the rows in blocks that fit into memory."""
    n, p = X.shape
    size, every = blocks_of_rows(n, p, full)
    most = max(1, scratch_rows(X) * dtype_of(X).itemsize // 8)
    if every == 1:
        yield from (slice(start, min(start + most, n)) for start in range(0, n, most))
        return
    starts, number = np.arange(0, n, size * every), max(1, most // size)
    for first in range(0, len(starts), number):
        rows = (starts[first : first + number, None] + np.arange(size)).ravel()
        yield rows[rows < n]


def _sums(X, s, full: bool, centred: bool, y) -> Any:
    """Return weight, means and moments of some rows and their targets, in one vector on their device."""
    xp, is_copy = namespace(X), X.dtype != namespace(X).float64
    Z, root = doubled(X), None if s is None else xp.sqrt(s)[:, None]
    weight = summed(xp.ones_like(X[:, 0])) if s is None else summed(s)

    def mean_of(values):
        if not centred:
            return xp.zeros_like(values[0, :])
        return (xp.sum(values, axis=0) if s is None else s @ values) / weight

    parts = [weight, mean := mean_of(Z)]
    if centred and is_copy:
        Z -= mean
    elif centred:
        Z, is_copy = Z - mean, True
    if root is not None and is_copy:
        Z *= root
    elif root is not None:
        Z = Z * root
    parts.append(Z.T @ Z if full else xp.sum(Z * Z, axis=0))
    if y is not None:
        # Within the range of the targets, so that the mean of equal targets is exact.
        middle = xp.minimum(xp.maximum(mean_of(y), xp.min(y, axis=0)), xp.max(y, axis=0)) if centred else mean_of(y)
        rest = y - middle if root is None else (y - middle) * root
        parts += [middle, Z.T @ rest, rest.T @ rest]
    return xp.concat([xp.reshape(part, (-1,)) for part in parts])


def _statistics(found: np.ndarray, p: int, targets: int, full: bool) -> ColumnStatistics:
    """Return the statistics in such a vector."""
    sizes = [1, p, p * p if full else p, targets, p * targets, targets * targets]
    (weight,), mean, moment, middle, side, spread = np.split(found, np.cumsum(sizes)[:-1])
    if full:
        moment, side = moment.reshape(p, p), side.reshape(p, targets)
        moment = np.block([[moment, side], [side.T, spread.reshape(targets, targets)]])
    return ColumnStatistics(float(weight), np.append(mean, middle), moment)


def largest_eigenvalue_on_device(
    X, weight, mean: np.ndarray, scale: np.ndarray, start: np.ndarray, powers: int
) -> float:
    """Return the norm after ``powers`` products with the correlations of X, starting from a number for each row."""
    xp, weight = namespace(X), doubled(like(weight, X))
    shares = xp.astype(weight / summed(weight), X.dtype, copy=False)
    z = shares * like(start, X)
    mean, scale = (like(vector, doubled(X[:1, 0])) for vector in (mean, scale))
    for _ in range(powers):
        v = (doubled(X.T @ z) - mean * summed(z)) * scale
        largest = xp.sqrt(v @ v)
        u = v * scale / xp.clip(largest, 1e-300, None)
        z = shares * (X @ xp.astype(u, X.dtype, copy=False) - xp.astype(mean @ u, X.dtype, copy=False))
    return float(largest)
