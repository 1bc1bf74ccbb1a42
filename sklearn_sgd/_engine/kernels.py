"""The compiled passes over the data.

All take the arguments of the passes in ``arrays`` and do the same steps:

    data: rows, targets and weights (no weights: all 1)      order: row numbers, batch after batch
    rates, mixes: one number per update (no mixes: no averaging)      batch: rows per update
    vectors: parameters, their average and the optimizer's moments, changed in place      parts: loss, penalty, optimizer

and return the sum over the rows of weight times loss, each before its own update.
"""

from functools import cache

import numpy as np
from numba import njit
from numba.extending import register_jitable

from sklearn_sgd._engine import arrays
from sklearn_sgd._engine.jit import FASTMATH, fingerprint, keep, prefetch, recall, shrink, wire
from sklearn_sgd._engine.step import MEMORY, TRIES

# Rows whose gradients are summed in X's own precision before the sum joins one in float64.
BLOCK = 256

# Bytes of shuffled rows that are asked for before their turn, and rows at most.
AHEAD, FARTHEST = 8192, 16


@register_jitable
def farsight(row, itemsize):
    """How many rows ahead to ask for one with so many entries."""
    return max(1, min(FARTHEST, AHEAD // (itemsize * row + 1)))


@register_jitable
def accumulate(data, w, order, start, stop, ahead, loss, z, part, g):
    """Raw predictions and mean gradient of a batch; the sums of its losses and of the squares of their slopes."""
    total = squares = 0.0
    offset = data.rows.offset(w)
    g[:] = 0.0
    for head in range(start, stop, BLOCK):
        part[:] = 0.0
        for k in range(head, min(head + BLOCK, stop)):
            if k + ahead < order.shape[0]:
                data.rows.fetch(order[k + ahead])
                prefetch(data.y, order[k + ahead])
            i = order[k]
            p = data.rows.dot(i, w) + offset
            z[k - start] = p
            s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
            slope = loss.gradient(data.y[i], p)
            total += s * loss.value(data.y[i], p)
            squares += s * slope * slope
            data.rows.add(i, w.dtype.type(s * slope), part)
        data.rows.centre(part)
        g += part
    g /= stop - start
    return total, squares


@register_jitable
def shorten(step, fall, lean, bend, data, chunk, loss, z, along):
    """The step, or where it would pass the minimum of the batch's objective, the secant's guess of that minimum.

    ``fall`` is the slope of the objective at the start, downwards; ``lean`` and ``bend`` are the penalty's slope and
    curvature. By convexity no batch's objective rises.
    """
    for _ in range(TRIES):
        slope = 0.0
        for q in range(chunk.shape[0]):
            i = chunk[q]
            s = data.weight[i] if data.weight.shape[0] else along.dtype.type(1.0)
            slope -= s * loss.gradient(data.y[i], z[q] - step * along[q]) * along[q]
        slope = slope / chunk.shape[0] - lean + step * bend
        if slope <= 1e-9 * fall:
            return step
        step *= fall / (fall + slope)
    return 0.0


@register_jitable
def mix_in(average, w, mix):
    """Let the average follow the parameters."""
    for j in range(w.shape[0]):
        average[j] += mix * (w[j] - average[j])


def passes(cached: bool, kind: str):
    """The passes by name: from the cache on disk, or for parts of other packages compiled anew.

    Each ``kind`` of arguments has files of its own there, so that processes that save at once cannot mix their kernels.
    """
    return _build(fingerprint(), cached, kind)


@cache
def permute():
    """The shuffle, compiled; see ``arrays``."""
    return njit(arrays.permute, cache=True, nogil=True)


@cache
def _build(sources: str, cached: bool, kind: str):
    """Passes whose cache on disk is keyed by the sources, since they mention them."""
    wire()

    def compiled(function):
        function.__qualname__ = f"{function.__name__}_{kind}"
        options = {"nogil": True, "fastmath": FASTMATH}
        try:
            return njit(function, cache=cached, **options)
        except RuntimeError:  # no folder where the cache could be written
            return njit(function, **options)

    @compiled
    def minibatch(data, order, rates, mixes, batch, vectors, parts):
        sources  # noqa: B018
        w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
        n, p, ahead = order.shape[0], w.shape[0] - 1, farsight(w.shape[0], w.itemsize)
        z, part, g = np.zeros(min(batch, n), w.dtype), np.zeros_like(w), np.zeros(p + 1)
        total = 0.0
        for k in range(rates.shape[0]):
            start, stop = k * batch, min((k + 1) * batch, n)
            total += accumulate(data, w, order, start, stop, ahead, parts.loss, z, part, g)[0]
            # Read once: inside the loop it might alias the coefficients and be read again for each.
            rate = w.dtype.type(rates[k])
            for j in range(p):
                slope = w.dtype.type(g[j] + parts.penalty.gradient(w[j]))
                d, h, first, second = parts.optimizer.step(slope, recall(m, j), recall(v, j), rate)
                keep(m, j, first)
                keep(v, j, second)
                w[j] = parts.penalty.prox(w[j] - h * d, h)
            d, h, first, second = parts.optimizer.step(w.dtype.type(g[p]), recall(m, p), recall(v, p), rate)
            keep(m, p, first)
            keep(v, p, second)
            w[p] -= h * d
            if mixes.shape[0]:
                mix_in(average, w, w.dtype.type(mixes[k]))
        return total

    @compiled
    def online(data, order, rates, mixes, batch, vectors, parts):
        sources  # noqa: B018
        w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
        n, p, ahead = order.shape[0], w.shape[0] - 1, farsight(w.shape[0], w.itemsize)
        total = 0.0
        for k in range(n):
            if k + ahead < order.shape[0]:
                data.rows.fetch(order[k + ahead])
                prefetch(data.y, order[k + ahead])
            i = order[k]
            z = data.rows.dot(i, w)
            s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
            total += s * parts.loss.value(data.y[i], z)
            c = w.dtype.type(s * parts.loss.gradient(data.y[i], z))
            rate = w.dtype.type(rates[k])
            for j in range(p):
                slope = w.dtype.type(c * data.rows.at(i, j) + parts.penalty.gradient(w[j]))
                d, h, first, second = parts.optimizer.step(slope, recall(m, j), recall(v, j), rate)
                keep(m, j, first)
                keep(v, j, second)
                w[j] = parts.penalty.prox(w[j] - h * d, h)
            d, h, first, second = parts.optimizer.step(c * data.rows.bias, recall(m, p), recall(v, p), rate)
            keep(m, p, first)
            keep(v, p, second)
            w[p] -= h * d
            if mixes.shape[0]:
                mix_in(average, w, w.dtype.type(mixes[k]))
        return total

    @compiled
    def automatic(data, order, rates, mixes, batch, vectors, parts, geometry, memory):
        sources  # noqa: B018
        w, average = vectors.coef, vectors.average
        size, p = min(batch, order.shape[0]), w.shape[0] - 1
        ahead = farsight(w.shape[0], w.itemsize)
        z, along = np.zeros(size, w.dtype), np.zeros(size, w.dtype)
        part, d, g = np.zeros_like(w), np.zeros_like(w), np.zeros(p + 1)
        total = 0.0
        for k in range(rates.shape[0]):
            chunk = order[k * batch : (k + 1) * batch]
            start = k * batch
            loss, squares = accumulate(data, w, order, start, start + chunk.shape[0], ahead, parts.loss, z, part, g)
            total += loss
            for j in range(p):
                g[j] += parts.penalty.gradient(w[j])
            geometry.direct(g, d)
            fall, lean, bend = d[p] * g[p], 0.0, 0.0
            for j in range(p):
                fall += d[j] * g[j]
                lean += d[j] * parts.penalty.gradient(w[j])
                bend += d[j] * parts.penalty.gradient(d[j])
            keep = max(0.0, 1.0 - chunk.shape[0] / MEMORY) if memory[2] else 0.0
            memory[0] = keep * memory[0] + squares
            memory[1] = keep * memory[1] + 2.0 * loss
            # A short batch steps in proportion, so that its rows count no more than others.
            step = rates[k] * (chunk.shape[0] / batch) * memory[1] / max(memory[0], 1e-300)
            if fall > 0.0 and step < np.inf:
                offset = data.rows.offset(d)
                for q in range(chunk.shape[0]):
                    along[q] = data.rows.dot(chunk[q], d) + offset
                go = w.dtype.type(shorten(step, fall, lean, bend, data, chunk, parts.loss, z, along))
                for j in range(p):
                    w[j] = parts.penalty.prox(w[j] - go * d[j], go * geometry.rate(j))
                w[p] -= go * d[p]
            if mixes.shape[0]:
                mix_in(average, w, w.dtype.type(mixes[k]))
        return total

    return {"minibatch": minibatch, "online": online, "automatic": automatic}
