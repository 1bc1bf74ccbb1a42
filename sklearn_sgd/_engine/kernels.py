"""The compiled passes over the data.

Both take the same arguments as the pass of ``arrays`` and do the same steps:

    data: rows, targets and weights (no weights: all 1)      order: row numbers, batch after batch
    rates, mixes: one number per update (no mixes: no averaging)      batch: rows per update
    vectors: parameters, their average and two moments, changed in place      parts: loss, penalty, optimizer

and return the sum over the rows of weight times loss, each before its own update.
"""

from functools import cache

import numpy as np
from numba import njit

from sklearn_sgd._engine.jit import FASTMATH, fingerprint, wire

# Rows whose gradients are summed in X's own precision before the sum joins one in float64.
BLOCK = 256

# Shuffled rows are asked for this many rows before their turn.
AHEAD = 8


def passes(cached: bool):
    """The mini-batch and the online pass: from the cache on disk, or for parts of other packages compiled anew."""
    return _build(fingerprint(), cached)


@cache
def _build(sources: str, cached: bool):
    wire()

    def compiled(function):
        options = dict(nogil=True, fastmath=FASTMATH)
        try:
            return njit(function, cache=cached, **options)
        except RuntimeError:  # no folder where the cache could be written
            return njit(function, **options)

    @compiled
    def minibatch(data, order, rates, mixes, batch, vectors, parts):
        sources  # noqa: B018  part of the key of the cached kernel
        w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
        n, p = order.shape[0], w.shape[0] - 1
        g = np.zeros_like(w)
        total_g = np.zeros(p + 1)
        total = 0.0
        for k in range(rates.shape[0]):
            start, stop = k * batch, min((k + 1) * batch, n)
            for head in range(start, stop, BLOCK):
                for q in range(head, min(head + BLOCK, stop)):
                    i = order[q]
                    z = data.rows.dot(i, w)
                    s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
                    total += s * parts.loss.value(data.y[i], z)
                    data.rows.add(i, w.dtype.type(s * parts.loss.gradient(data.y[i], z)), g)
                for j in range(p + 1):
                    total_g[j] += g[j]
                    g[j] = 0.0
            # Read once: inside the loops they might alias the coefficients and be read again for each.
            rate, scale = w.dtype.type(rates[k]), 1.0 / (stop - start)
            for j in range(p):
                slope = w.dtype.type(total_g[j] * scale + parts.penalty.gradient(w[j]))
                d, h, m[j], v[j] = parts.optimizer.step(slope, m[j], v[j], rate)
                w[j] = parts.penalty.prox(w[j] - h * d, h)
                total_g[j] = 0.0
            d, h, m[p], v[p] = parts.optimizer.step(w.dtype.type(total_g[p] * scale), m[p], v[p], rate)
            w[p] -= h * d
            total_g[p] = 0.0
            if mixes.shape[0]:
                mix = w.dtype.type(mixes[k])
                for j in range(p + 1):
                    average[j] += mix * (w[j] - average[j])
        return total

    @compiled
    def online(data, order, rates, mixes, batch, vectors, parts):
        sources  # noqa: B018  part of the key of the cached kernel
        w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
        p = w.shape[0] - 1
        total = 0.0
        n = order.shape[0]
        for k in range(n):
            i = order[k]
            if k + AHEAD < n:
                data.rows.fetch(order[k + AHEAD])
            z = data.rows.dot(i, w)
            s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
            total += s * parts.loss.value(data.y[i], z)
            c = w.dtype.type(s * parts.loss.gradient(data.y[i], z))
            rate = w.dtype.type(rates[k])
            for j in range(p):
                slope = w.dtype.type(c * data.rows.at(i, j) + parts.penalty.gradient(w[j]))
                d, h, m[j], v[j] = parts.optimizer.step(slope, m[j], v[j], rate)
                w[j] = parts.penalty.prox(w[j] - h * d, h)
            d, h, m[p], v[p] = parts.optimizer.step(c * data.rows.bias, m[p], v[p], rate)
            w[p] -= h * d
            if mixes.shape[0]:
                mix = w.dtype.type(mixes[k])
                for j in range(p + 1):
                    average[j] += mix * (w[j] - average[j])
        return total

    return minibatch, online
