"""The compiled passes over the data.

All take the arguments of the passes in ``arrays`` and do the same steps:

    data: rows, targets and weights (no weights: all 1)      order: row numbers, batch after batch
    rates, mixes: one number per update (no mixes: no averaging)      batch: rows per update
    vectors: parameters, their average and the optimizer's moments, all changed in place
    parts: loss, penalty, optimizer      done: updates before these

and return the sum over the rows of weight times loss, each before its own update; ``gradient``, for ``full``, adds up
that of some rows.
"""

from functools import cache

import numpy as np
from numba import njit
from numba.extending import overload, register_jitable

from sklearn_sgd._engine import arrays, passive, reduced
from sklearn_sgd._engine.jit import FASTMATH, fingerprint, keep, prefetch, recall, shrink, sign, wire
from sklearn_sgd._engine.rows import SPAN
from sklearn_sgd._engine.step import MEMORY, TRIES

# Rows whose gradients are summed in X's own precision before the sum joins one in float64.
BLOCK = 256

# Rows of a full batch between which predictions are forgotten.
STRETCH = 4096


def written_out(function):
    """Have Numba write a function out where it is called.

    A call counts references to each array, which is dear for each row or small batch; so is compiling what is large.
    """
    overload(function, inline="always", strict=False)(lambda *args: function)
    return function


@register_jitable
def clear(a):
    """Set all to 0: in a loop, which costs a small batch less than filling a slice."""
    for j in range(a.shape[0]):
        a[j] = 0.0


@register_jitable
def accumulate(data, w, order, start, stop, loss, z, part, g):
    """Raw predictions of a batch, and the sums of its gradients, losses and squared slopes."""
    total = squares = 0.0
    offset, ahead, last = data.rows.offset(w), data.rows.ahead(), order.shape[0] - 1
    clear(g)
    for head in range(start, stop, BLOCK):
        clear(part)
        for k in range(head, min(head + BLOCK, stop)):
            i, later = order[k], order[min(k + ahead, last)]
            prefetch(data.y, later)
            p = data.rows.dot(i, w) + offset
            z[k - start] = p
            s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
            slope = loss.gradient(data.y[i], p)
            total += s * loss.value(data.y[i], p)
            squares += s * slope * slope
            data.rows.add(i, w.dtype.type(s * slope), part, later)
        data.rows.centre(part)
        for j in range(g.shape[0]):
            g[j] += part[j]
    return total, squares


@written_out
def shorten(step, fall, lean, bend, data, chunk, loss, z, along):
    """The step, or where it would pass the minimum of the batch's objective, the secant's guess of that minimum.

    ``fall`` is the slope of the objective at the start, downwards; ``lean`` and ``bend`` are the penalty's slope and
    curvature. By convexity no batch's objective rises. Each further guess takes the start for half as steep (the
    Illinois algorithm): the secants of a bent slope alone would creep up to the minimum.
    """
    steep = fall
    for _ in range(TRIES):
        slope = 0.0
        for q in range(chunk.shape[0]):
            i = chunk[q]
            s = data.weight[i] if data.weight.shape[0] else along.dtype.type(1.0)
            slope -= s * loss.gradient(data.y[i], z[q] - step * along[q]) * along[q]
        slope = slope / chunk.shape[0] - lean + step * bend
        if slope <= 1e-9 * fall:
            return step
        step *= steep / (steep + slope)
        steep *= 0.5
    return 0.0


@register_jitable
def mix_in(average, w, mix):
    """Let the average follow the parameters."""
    for j in range(w.shape[0]):
        average[j] += mix * (w[j] - average[j])


@written_out
def catch_up(j, u, a, seen, now):
    """Let column j undergo the soft thresholds, and its average the mixing in, of the updates since it was last seen.

    Of the updates so far ``now`` holds the sums of thresholds S, of shares of the average Q, and of their products.
    """
    start, size, side = seen[j, 0], abs(u[j]), sign(u[j])
    u[j] = side * max(0.0, size - (now[0] - start))
    a[j] += side * ((size + start) * (now[1] - seen[j, 1]) - (now[2] - seen[j, 2]))
    seen[j, 0], seen[j, 1], seen[j, 2] = now[0], now[1], now[2]


@written_out
def shrink_late(j, u, seen, now):
    """The same without an average."""
    u[j] = shrink(u[j], now[0] - seen[j, 0])
    seen[j, 0] = now[0]


@register_jitable
def end_at_zero(columns, u, a, seen, now, clock):
    """Catch up with those columns that reached zero on the way, which count in the average until then.

    ``clock`` holds ``now`` after each update. Apart, since it would slow the loop around ``catch_up`` down.
    """
    for j in columns:
        start, size = seen[j, 0], abs(u[j])
        if 0.0 < size <= now[0] - start:
            q, r = clock[np.searchsorted(clock[:, 0], start + size) - 1, 1:]
            a[j] += sign(u[j]) * ((size + start) * (q - seen[j, 1]) - (r - seen[j, 2]))
            u[j] = 0.0
            seen[j] = now


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
        # NumPy's division: one that might raise would have all references counted around the loop that it is in.
        options = {"nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
        try:
            return njit(function, cache=cached, **options)
        except RuntimeError:  # no folder where the cache could be written
            return njit(function, **options)

    @compiled
    def minibatch(data, order, rates, mixes, batch, vectors, parts, done):
        sources  # noqa: B018
        w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
        n, p = order.shape[0], w.shape[0] - 1
        z, part, g = np.zeros(min(batch, n), w.dtype), np.zeros_like(w), np.zeros(p + 1)
        total = 0.0
        for k in range(rates.shape[0]):
            start, stop = k * batch, min((k + 1) * batch, n)
            total += accumulate(data, w, order, start, stop, parts.loss, z, part, g)[0]
            # Read once: inside the loop it might alias the coefficients and be read again for each.
            rate, t, share = w.dtype.type(rates[k]), done + k + 1, 1.0 / (stop - start)
            for j in range(p):
                # Neither may be wider than the coefficients: the whole step would be, at half the speed.
                slope, pull = w.dtype.type(share * g[j]), w.dtype.type(parts.penalty.gradient(w[j]))
                d, h, first, second = parts.optimizer.step(slope, pull, w[j], recall(m, j), recall(v, j), rate, t)
                keep(m, j, first)
                keep(v, j, second)
                w[j] = parts.penalty.prox(w[j] - h * d, h, j)
            slope = w.dtype.type(share * g[p])
            d, h, first, second = parts.optimizer.step(slope, 0.0, w[p], recall(m, p), recall(v, p), rate, t)
            keep(m, p, first)
            keep(v, p, second)
            w[p] -= h * d
            if mixes.shape[0]:
                mix_in(average, w, w.dtype.type(mixes[k]))
        return total

    @compiled
    def online(data, order, rates, mixes, batch, vectors, parts, done):
        # One way through the coefficients for each row: each is changed, and at once asked what the next row will be
        # predicted to be, while a later row is on its way.
        sources  # noqa: B018
        w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
        p, ahead, last = w.shape[0] - 1, data.rows.ahead(), order.shape[0] - 1
        total = 0.0
        z = data.rows.dot(order[0], w) if last >= 0 else w.dtype.type(0.0)
        for k in range(last + 1):
            i, soon, later = order[k], order[min(k + 1, last)], order[min(k + ahead, last)]
            prefetch(data.y, later)
            s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
            total += s * parts.loss.value(data.y[i], z)
            c = w.dtype.type(s * parts.loss.gradient(data.y[i], z))
            rate, t = w.dtype.type(rates[k]), done + k + 1
            z = w.dtype.type(0.0)
            for head in range(0, p, SPAN):
                size = min(SPAN, p - head)
                data.rows.fetch(later, head, size)
                for q in range(size):
                    # Unsigned, lest it might count from the end, and the loop not be one of vectors.
                    j = np.uint64(head + q)
                    slope, pull = w.dtype.type(c * data.rows.at(i, j)), w.dtype.type(parts.penalty.gradient(w[j]))
                    d, h, first, second = parts.optimizer.step(slope, pull, w[j], recall(m, j), recall(v, j), rate, t)
                    keep(m, j, first)
                    keep(v, j, second)
                    w[j] = parts.penalty.prox(w[j] - h * d, h, j)
                    z += data.rows.at(soon, j) * w[j]
            slope = c * data.rows.bias
            d, h, first, second = parts.optimizer.step(slope, 0.0, w[p], recall(m, p), recall(v, p), rate, t)
            keep(m, p, first)
            keep(v, p, second)
            w[p] -= h * d
            z += data.rows.bias * w[p]
            if mixes.shape[0]:
                mix_in(average, w, w.dtype.type(mixes[k]))
        return total

    @compiled
    def sparse(data, order, rates, mixes, batch, vectors, parts, done):
        # Plain descent, at the cost of each row's non-zeros. Coefficients are u times a scale, which takes the decay of
        # all; what else a column missed since it was last seen it is given when it is seen again, and all at the end.
        # Averages are a times what is left of the start; Q counts in units of that.
        sources  # noqa: B018
        u, a, rows = vectors.coef, vectors.average, data.rows
        n, p, ahead = order.shape[0], u.shape[0] - 1, rows.ahead()
        ridge = float(parts.penalty.gradient(1.0))
        lasso = float(parts.penalty.value(1.0)) - 0.5 * ridge
        averaged = mixes.shape[0] > 0
        crossing = averaged and lasso > 0.0
        seen, now = np.zeros((p if averaged or lasso > 0.0 else 0, 3 if averaged else 1)), np.zeros(3)
        clock, ticks = np.zeros((rates.shape[0] + 1 if crossing else 1, 3)), 1
        scale, left, follows = 1.0, 1.0, False
        b, a_b, u[p] = float(u[p]), float(a[p]), 0.0
        c = np.zeros(min(batch, n), u.dtype)
        total = 0.0
        for k in range(rates.shape[0] + 1):
            mix = mixes[min(k, mixes.shape[0] - 1)] if averaged else 0.0
            if k == rates.shape[0] or min(abs(scale), left) < 1e-6 or (follows and mix < 1.0):
                if crossing:
                    end_at_zero(np.arange(p), u, a, seen, now, clock[:ticks])
                for j in range(p):
                    if averaged:
                        catch_up(j, u, a, seen, now)
                    elif lasso > 0.0:
                        shrink_late(j, u, seen, now)
                    u[j] *= scale
                    a[j] = u[j] if follows else a[j] * left
                scale, left, follows, ticks = 1.0, 1.0, False, 1
                now[:], seen[:] = 0.0, 0.0
            if k == rates.shape[0]:
                break
            start, stop = k * batch, min((k + 1) * batch, n)
            pull = 0.0
            for q in range(start, stop):
                i = order[q]
                if crossing:
                    end_at_zero(rows.indices[rows.indptr[i] : rows.indptr[i + 1]], u, a, seen, now, clock[:ticks])
                if averaged:
                    for e in range(rows.indptr[i], rows.indptr[i + 1]):
                        catch_up(rows.indices[e], u, a, seen, now)
                elif lasso > 0.0:
                    for e in range(rows.indptr[i], rows.indptr[i + 1]):
                        shrink_late(rows.indices[e], u, seen, now)
                z = u.dtype.type(scale * rows.dot(i, u) + b * rows.bias)
                s = data.weight[i] if data.weight.shape[0] else u.dtype.type(1.0)
                total += s * parts.loss.value(data.y[i], z)
                c[q - start] = s * parts.loss.gradient(data.y[i], z)
                pull += c[q - start]
            rate = rates[k] / (stop - start)
            # A decay to nothing would leave nothing to divide by.
            decay = 1.0 - rates[k] * ridge
            scale *= decay if abs(decay) > 1e-12 else 1e-12
            for q in range(start, stop):
                later = order[min(q + ahead, n - 1)]
                prefetch(data.y, later)
                rows.add(order[q], u.dtype.type(-rate / scale * c[q - start]), u, later)
            b -= rate * pull * rows.bias
            u[p] = 0.0
            now[0] += rates[k] * lasso / abs(scale)
            if averaged:
                a_b += mix * (b - a_b)
                follows = mix == 1.0
                if not follows:
                    left *= 1.0 - mix
                    now[1] += mix * scale / left
                    now[2] += mix * scale / left * now[0]
                if crossing:
                    clock[ticks] = now
                    ticks += 1
        u[p], a[p] = b, a_b
        return total

    @compiled
    def automatic(data, order, rates, mixes, batch, vectors, parts, geometry, memory):
        sources  # noqa: B018
        w, average = vectors.coef, vectors.average
        size, p = min(batch, order.shape[0]), w.shape[0] - 1
        z, along = np.zeros(size, w.dtype), np.zeros(size, w.dtype)
        part, d, g = np.zeros_like(w), np.zeros_like(w), np.zeros(p + 1)
        total = 0.0
        for k in range(rates.shape[0]):
            chunk = order[k * batch : (k + 1) * batch]
            start = k * batch
            loss, squares = accumulate(data, w, order, start, start + chunk.shape[0], parts.loss, z, part, g)
            total += loss
            for j in range(p):
                g[j] = g[j] / chunk.shape[0] + parts.penalty.gradient(w[j])
            g[p] /= chunk.shape[0]
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
                    w[j] = parts.penalty.prox(w[j] - go * d[j], go * geometry.rate(j), j)
                w[p] -= go * d[p]
            if mixes.shape[0]:
                mix_in(average, w, w.dtype.type(mixes[k]))
        return total

    @compiled
    def single(data, order, rates, mixes, batch, vectors, parts, geometry, memory):
        # Without a penalty the direction of a row is the row itself, in the geometry: what it makes of the slope of the
        # loss is one number.
        sources  # noqa: B018
        w, average = vectors.coef, vectors.average
        p, ahead, last = w.shape[0] - 1, data.rows.ahead(), order.shape[0] - 1
        chunk, z, along = np.zeros(1, order.dtype), np.zeros(1, w.dtype), np.zeros(1, w.dtype)
        x, d = np.zeros_like(w), np.zeros_like(w)
        total = 0.0
        for k in range(last + 1):
            i, later = order[k], order[min(k + ahead, last)]
            prefetch(data.y, later)
            data.rows.fetch(later, 0, p)
            raw, x[p] = data.rows.bias * w[p], data.rows.bias
            for j in range(p):
                x[j] = data.rows.at(i, j)
                raw += x[j] * w[j]
            geometry.direct(x, d)
            length = w.dtype.type(0.0)
            for j in range(p + 1):
                length += x[j] * d[j]
            s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
            slope, loss = parts.loss.gradient(data.y[i], raw), s * parts.loss.value(data.y[i], raw)
            total += loss
            keep = max(0.0, 1.0 - 1.0 / MEMORY) if memory[2] else 0.0
            memory[0] = keep * memory[0] + s * slope * slope
            memory[1] = keep * memory[1] + 2.0 * loss
            c, step = s * slope, rates[k] * memory[1] / max(memory[0], 1e-300)
            chunk[0], z[0], along[0] = i, raw, c * length
            if c * c * length > 0.0 and step < np.inf:
                go = w.dtype.type(c * shorten(step, c * c * length, 0.0, 0.0, data, chunk, parts.loss, z, along))
                for j in range(p + 1):
                    w[j] -= go * d[j]
            if mixes.shape[0]:
                mix_in(average, w, w.dtype.type(mixes[k]))
        return total

    @compiled
    def gradient(data, w, order, loss, start, stop, g):
        sources  # noqa: B018
        z, part, partial = np.zeros(STRETCH, w.dtype), np.zeros_like(w), np.zeros_like(g)
        total = squares = 0.0
        for head in range(start, stop, STRETCH):
            here = accumulate(data, w, order, head, min(head + STRETCH, stop), loss, z, part, partial)
            total += here[0]
            squares += here[1]
            g += partial
        return total, squares

    return {
        "passive": passive.build(compiled, sources),
        "reduced": reduced.build(compiled, sources),
        "gradient": gradient,
        "minibatch": minibatch,
        "online": online,
        "sparse": sparse,
        "automatic": automatic,
        "single": single,
    }
