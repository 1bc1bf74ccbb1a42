"""The passes over arrays of other libraries, on their device: the host reads an epoch once, at its end.

Parameters, average, moments and preconditioner are copied to the device in one transfer at the beginning. Their new
values are copied back in one, together with the losses, at the end. Rates and weights of the average are known before,
and are passed to the operations as plain numbers. Rows are gathered for several batches at once; rows in their own
order are not copied.
"""

from collections.abc import Iterable, Iterator
from itertools import count, repeat
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.on_device import measure_on_device
from sklearn_sgd._engine.automatic.preconditioner import Counted
from sklearn_sgd._engine.automatic.statistics import NEAR, ColumnStatistics, is_about_means
from sklearn_sgd._engine.baseline import residual_sums, step_by_curvature, targets_and_weights, weighted_curvatures
from sklearn_sgd._engine.passes.formulas import ArrayParts
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import (
    add_product,
    add_scaled,
    descend,
    device,
    doubled,
    dtype_of,
    host,
    index_like,
    is_on_host,
    mix,
    namespace,
    pieces,
    scratch_rows,
    summed,
)

# Entries of a batch up to which starting an operation takes longer than copying the batch: a column of ones saves some.
# On a device, and on the host.
SMALL, SMALL_ON_HOST = 1 << 18, 1 << 15

# Maximum number of batches that are gathered at once, and whose predictions are stored.
MANY = 1024

# Number of lengths of a step whose losses are computed for one transfer.
TOGETHER = 8


class Rows(NamedTuple):
    """Some rows of an array, with targets and weights (None: all 1); ``mean`` is subtracted (None: 0).

    If offsets are moderate, they are subtracted from sums, so that X is not copied. Otherwise ``at_once`` rows are
    centred at a time. X may have a last column of ones, for the intercept.
    """

    X: Any
    y: Any
    weight: Any
    mean: Any = None
    at_once: int | None = None
    has_ones: bool = False

    @property
    def number(self) -> int:
        """Number of rows."""
        return self.y.shape[0]

    def between(self, start: int, stop: int) -> "Rows":
        """Return the rows from one position to another, without a copy."""
        stop = min(stop, self.number)
        if start == 0 and stop == self.number:
            return self
        weight = None if self.weight is None else self.weight[start:stop]
        return Rows(self.X[start:stop, ...], self.y[start:stop], weight, self.mean, self.at_once, self.has_ones)

    def batches(self, size: int) -> Iterator["Rows"]:
        """Yield as many rows at a time, without a copy."""
        if self.number <= size:
            yield self
            return
        weights = repeat(None) if self.weight is None else pieces(self.weight, size)
        for X, y, weight in zip(pieces(self.X, size), pieces(self.y, size), weights, strict=False):
            yield Rows(X, y, weight, self.mean, self.at_once, self.has_ones)

    def weighted(self, values: Any) -> Any:
        """Return values of the rows, times their weights."""
        return values if self.weight is None else self.weight * values

    def products(self, w: Any) -> Any:
        """Return products of the rows with coefficients."""
        if self.mean is None:
            return self.X @ w
        if self.at_once is None:
            return self.X @ w - self.mean @ w
        return namespace(w).concat([X @ w for X, _ in self._centred()])

    def sum(self, c: Any) -> Any:
        """Return the sum of the rows, each times a number."""
        if self.mean is None:
            return self.X.T @ c
        if self.at_once is None:
            return self.X.T @ c - self.mean * namespace(c).sum(c)
        return sum(X.T @ c[where] for X, where in self._centred())

    def _centred(self) -> Iterator[tuple[Any, slice]]:
        assert self.at_once is not None
        for start in range(0, self.number, self.at_once):
            where = slice(start, min(start + self.at_once, self.number))
            yield self.X[where, ...] - self.mean, where


class OnDevice:
    """Base of the passes: the formulas of a plan on the device, rows batch by batch, and transfers."""

    def __init__(self, plan):
        y = plan.data.y
        self.xp, self.device = namespace(y), device(y)
        # Rows may be none: those of a chunk without weight.
        self.example = self.xp.zeros(1, dtype=y.dtype, device=self.device)
        self.parts = ArrayParts(plan.formulas, self.example)
        self.dtypes = {np.dtype(np.float32): self.xp.float32, np.dtype(np.float64): self.xp.float64}
        self.pulls, self.has_prox = not plan.formulas.penalty.has_no_pull, not plan.formulas.is_smooth
        self.at_once = scratch_rows(plan.X)
        self.small = SMALL_ON_HOST if is_on_host(plan.X) else SMALL

    def to_device(self, *vectors: np.ndarray | None) -> list[Any]:
        """Copy NumPy arrays to the device, each in its dtype, by one transfer; None stays None."""
        packed = np.concatenate([vector.ravel() for vector in vectors if vector is not None], dtype=np.float64)
        there = self.xp.asarray(packed, dtype=self.xp.float64, device=self.device)
        start, made = 0, list[Any]()
        for vector in vectors:
            if vector is None:
                made.append(None)
                continue
            part, start = there[start : start + vector.size], start + vector.size
            part = self.xp.astype(part, self.dtypes[vector.dtype], copy=False)
            made.append(part if vector.ndim == 1 else self.xp.reshape(part, vector.shape))
        return made

    def to_host(self, *arrays: Any) -> list[Any]:
        """Copy arrays to NumPy, flat and in double precision, by one transfer; None stays None."""
        flat = [None if a is None else self.wide(self.xp.reshape(a, (-1,))) for a in arrays]
        packed, start, made = host(self.xp.concat([a for a in flat if a is not None])), 0, list[Any]()
        for part in flat:
            made.append(None if part is None else packed[start : start + part.shape[0]])
            start += 0 if part is None else part.shape[0]
        return made

    def wide(self, array: Any) -> Any:
        """Return an array in double precision."""
        return array if array.dtype == self.xp.float64 else self.xp.astype(array, self.xp.float64)

    def zeros(self, number: int) -> Any:
        """Return zeros on the device, in double precision, without a transfer."""
        return self.xp.zeros(number, dtype=self.xp.float64, device=self.device)

    def order(self, plan, order: Any) -> Any:
        """Return row numbers on the device; for contiguous rows, their range."""
        n, first = len(order), int(order[0]) if len(order) else 0
        if not n or (int(order[-1]) - first == n - 1 and not (plan.shuffles and (np.diff(order) != 1).any())):
            return range(first, first + n)
        return index_like(order, plan.data.y)

    def stretches(self, plan, order: Any, size: int, mean: Any) -> Iterator[Rows]:
        """Yield the rows in this order, in whole batches, as many at once as fit into memory; at least one batch."""
        rows, y, weight = plan.data
        few = size * max(1, min(self.at_once // size, MANY))
        if isinstance(order, range):
            far, where, n = mean is not None and is_far(plan), slice(order.start, order.stop), len(order)
            there = Rows(rows.X[where, ...], y[where], weight[where] if weight.shape[0] else None, mean)
            for start in range(0, n, stretch := few if far else size * MANY):
                some = there.between(start, start + stretch)
                if far and some.number <= self.at_once:
                    # A batch needs the same entries several times, so they are centred once, if there is room.
                    some = some._replace(X=some.X - mean, mean=None)
                yield some._replace(at_once=self.at_once) if far else some
            return
        for start in range(0, order.shape[0], few):
            taken = order[start : min(start + few, order.shape[0])]
            X, targets = (self.xp.take(values, taken, axis=0) for values in (rows.X, y))
            s = self.xp.take(weight, taken, axis=0) if weight.shape[0] else None
            if mean is not None:
                X -= mean
            if rows.bias and size * X.shape[1] <= self.small:
                X = self.xp.concat([X, self.xp.ones_like(X[:, :1])], axis=1)
            yield Rows(X, targets, s, has_ones=X.shape[1] > rows.X.shape[1])

    def batches(self, plan, order: Any, mean: Any) -> Iterator[tuple[Rows, Iterator[Rows]]]:
        """Yield the same, with the batches in it."""
        size = plan.batch_size
        for some in self.stretches(plan, order, size, mean):
            yield some, some.batches(size)

    def predict(self, rows: Rows, w: Any, bias: float) -> Any:
        """Raw predictions."""
        if rows.has_ones:
            return rows.X @ w
        return rows.products(w[:-1]) + w[-1] if bias else rows.products(w[:-1])

    def sum_of(self, rows: Rows, c: Any, bias: float) -> Any:
        """Return the sum of rows, each times a number, with that of the intercept last."""
        if rows.has_ones:
            return rows.X.T @ c
        last = self.xp.sum(c) if bias else self.xp.sum(0.0 * c)
        return self.xp.concat([rows.sum(c), self.xp.reshape(last, (1,))])

    def add_sum(self, out: Any, rows: Rows, c: Any, factor: float, bias: float, keep: float = 1.0) -> None:
        """Set ``out`` to ``keep`` times itself, plus a factor times the sum of rows, each times a number."""
        if rows.has_ones:
            add_product(out, rows.X.T, c, factor, keep)
            return
        add_product(out[:-1], rows.X.T, c, factor, keep)
        if bias and keep:
            add_scaled(out[-1:], self.xp.sum(c), factor)
        elif bias:
            out[-1] = factor * self.xp.sum(c)

    def mean_of(self, rows: Rows, c: Any, bias: float) -> Any:
        """Return the same, divided by the number of rows, in an array of its own."""
        if rows.mean is not None:
            return self.sum_of(rows, c, bias) / rows.number
        new = self.xp.empty if bias else self.xp.zeros  # Without an intercept the last number stays 0.
        g = new(rows.X.shape[1] + (not rows.has_ones), dtype=c.dtype, device=self.device)
        self.add_sum(g, rows, c, 1.0 / rows.number, bias, keep=0.0)
        return g

    def inner(self, a: Any, b: Any) -> Any:
        """Return the sum of products in double precision."""
        if a.dtype == b.dtype == self.xp.float64:
            return a @ b
        return self.xp.sum(a * b, dtype=self.xp.float64)

    def pull(self, w: Any) -> Any:
        """Return the gradient of the penalty; 0 for the intercept."""
        pull, zeros = self.parts.pull(w[:-1]), self.xp.zeros_like(w)
        zeros[:-1] = pull
        return zeros


def is_far(plan) -> bool:
    """Return whether the offsets of columns, relative to their spread, would cost digits in sums of products."""
    mean, known = plan.data.rows.mean, plan.preconditioner
    return known is None or bool((mean * mean * known.diagonal > NEAR).any())


class AllRows(OnDevice):
    """Rows as one batch, whose gradients the host reads."""

    def __init__(self, plan):
        super().__init__(plan)
        self.plan = plan

    def __call__(self, data, chunk, loss) -> "AllRows":
        """Return the rows as one batch, as ``full_batch`` does."""
        self.plan, self.chunk = self.plan._replace(data=data), chunk
        return self

    def gradient(self, w: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Sums of the losses and of their squared slopes, and the mean gradient."""
        count_rows(len(self.chunk))
        data, n = self.plan.data, len(self.chunk)
        there, mean = self.to_device(w.astype(dtype_of(data.y)), data.rows.mean)
        sums = self.zeros(len(w) + 2)
        for rows in self.stretches(self.plan, self.order(self.plan, self.chunk), self.at_once, mean):
            value, slope = self.parts.loss(rows.y, self.predict(rows, there, data.rows.bias))
            c, f64 = rows.weighted(slope), self.xp.float64
            sums[0] += self.xp.sum(rows.weighted(value), dtype=f64)
            sums[1] += self.xp.sum(c * slope, dtype=f64)
            sums[2:] += self.wide(self.sum_of(rows, c, data.rows.bias))
        [found] = self.to_host(sums)
        return float(found[0]), float(found[1]), found[2:] / n

    def losses_along(self, w: np.ndarray, d: np.ndarray, lengths: np.ndarray) -> Iterator[float]:
        """Yield the sum of the losses after a step of each length; several are computed for one transfer."""
        data = self.plan.data
        for some in np.array_split(lengths, -(-len(lengths) // TOGETHER)):
            count_rows(len(self.chunk))
            there, along, mean = self.to_device(w.astype(dtype_of(data.y)), d.astype(dtype_of(data.y)), data.rows.mean)
            sums = self.zeros(len(some))
            for rows in self.stretches(self.plan, self.order(self.plan, self.chunk), self.at_once, mean):
                z, change = self.predict(rows, there, data.rows.bias), self.predict(rows, along, data.rows.bias)
                for k, length in enumerate(some):
                    value = self.parts.value(rows.y, z + float(length) * change)
                    sums[k] += self.xp.sum(rows.weighted(value), dtype=self.xp.float64)
            yield from self.to_host(sums)[0].tolist()

    def reweighted_statistics(self, w: np.ndarray, aside: float) -> tuple[ColumnStatistics, Counted, float, float]:
        """Return statistics of rows weighted by the curvature of their losses at w; see ``row_curvatures``."""
        count_rows(self.plan.n_rows)
        xp, data, every, loss = self.xp, self.plan.data, slice(None), self.plan.parts.loss
        there, mean = self.to_device(w, data.rows.mean)
        parts = self.stretches(self.plan, range(self.plan.n_rows), self.at_once, mean)
        z = doubled(xp.concat([self.predict(rows, there, data.rows.bias) for rows in parts]))
        sums = residual_sums(loss, data, every, z)
        curvatures = weighted_curvatures(loss, data, every, z, sums, aside)
        mean = summed(curvatures) / sums[0]
        _, given = targets_and_weights(data, every)
        known = (mean > 0.0) & (mean < np.inf)
        weight, mean = xp.where(known, curvatures / mean, given), xp.where(known, mean, xp.ones_like(mean))
        length = xp.where(known, step_by_curvature(sums, mean), mean)
        beside = [mean, length]
        about_means = is_about_means(data.rows.bias, self.plan.X)
        statistics, [curvature, step] = measure_on_device(self.plan.X, weight, about_means, beside=beside)
        return statistics, Counted(self.plan.X, None, weight), curvature, step


class Minibatch(OnDevice):
    """One pass by an explicit schedule.

    The raw predictions are stored, for the losses. Of the squared error, these are the residuals: one product with X
    computes them from the targets, and they are the slopes.
    """

    def __init__(self, plan):
        super().__init__(plan)
        formulas = plan.formulas
        self.is_plain, self.is_quadratic = formulas.is_plain, formulas.is_quadratic

    def __call__(self, plan, piece, vectors, window) -> float:
        """Make the steps, which change the vectors; return the sum of the losses."""
        averaged = piece.mixes.size > 0
        mixes = piece.mixes.tolist() if averaged else repeat(None)
        state = self.to_device(*vectors if averaged else vectors._replace(average=None))
        numbers = zip(piece.rates.tolist(), mixes, count(piece.n_done + 1), strict=False)
        losses = self.run(plan, self.order(plan, piece.order), state, numbers)
        return finish(vectors, *self.to_host(*state, *losses))

    def run(self, plan, order: Any, state: list, numbers: Iterable) -> list:
        """Make the steps; ``numbers`` has a rate, a weight in the average and a number for each.

        These are Python's numbers, or arrays without dimension. The parameters and the average in ``state`` are
        changed, the moments replaced. Returns sums of losses.
        """
        steps = iter(numbers)
        return [self.steps(plan, some, state, steps) for some in self.stretches(plan, order, plan.batch_size, None)]

    def steps(self, plan, some: Rows, state: list, numbers: Iterator) -> Any:
        """Make the steps of some batches; return the sum of the losses."""
        (w, average, *moments), size, bias = state, plan.batch_size, plan.data.rows.bias
        z = self.xp.asarray(some.y, copy=True)
        for rows, part, (rate, share, t) in zip(some.batches(size), pieces(z, size), numbers, strict=False):
            c = rows.weighted(self.slopes(rows, w, part, bias))
            if self.is_plain:
                if self.pulls:
                    add_scaled(w[:-1], self.parts.pull(w[:-1]), -rate)
                self.add_sum(w, rows, c, rate * (-1.0 / rows.number), bias)
                h = rate
            else:
                g = self.mean_of(rows, c, bias)  # A new one, since the optimizer may keep it.
                h, moments = self.step(w, g, moments, rate, t)
            if self.has_prox:
                w[:-1] = self.parts.prox(w[:-1], h[:-1] if getattr(h, "ndim", 0) else h)
            if average is not None:
                mix(average, w, share)
        state[2:] = moments
        value = self.parts.value_of_residual(z) if self.is_quadratic else self.parts.value(some.y, z)
        return self.xp.sum(some.weighted(value), dtype=self.xp.float64)

    def slopes(self, rows: Rows, w: Any, z: Any, bias: float) -> Any:
        """Store the predictions in z, less the targets that were in it if these are needed; return the slopes."""
        keep = -1.0 if self.is_quadratic else 0.0
        if rows.has_ones:
            add_product(z, rows.X, w, 1.0, keep)
        else:
            add_product(z, rows.X, w[:-1], 1.0, keep)
            if bias:
                z += w[-1]
        return z if self.is_quadratic else self.parts.slope(rows.y, z)

    def step(self, w: Any, g: Any, moments: list, rate: Any, t: Any) -> tuple[Any, list]:
        """Change the parameters by the optimizer; return the rate that it uses and the new moments."""
        pull = self.pull(w) if self.pulls else 0.0
        m, v = (0.0 if moment is None else moment for moment in moments)
        d, h, *after = self.parts.step(g, pull, w, m, v, rate, t)
        # An array of their own, also of the parameters before the step.
        moments = [
            None if old is None else new if hasattr(new, "shape") and new is not w else new + 0.0 * old
            for old, new in zip(moments, after, strict=True)
        ]
        descend(w, h, d)
        return h, moments


def finish(vectors, w, average, m, v, *losses) -> float:
    """Copy the results of an epoch to the vectors; return the sum of its losses."""
    for vector, found in zip(vectors, (w, average, m, v), strict=True):
        if found is not None:
            vector[:] = found
    return float(sum(some.sum() for some in losses))
