"""The passes over the data on arrays: the oracle of the kernels, and the way without Numba.

Same arguments, steps and results as the kernels.
"""

import numpy as np

from sklearn_sgd._engine.jit import keep, recall
from sklearn_sgd._engine.step import MEMORY, TRIES


def permute(order, generator):
    """Shuffle row numbers in place: Fisher and Yates, three times as fast as NumPy's when compiled."""
    for i in range(1, len(order)):
        j = int(generator.random() * (i + 1))
        order[i], order[j] = order[j], order[i]


def minibatch(data, order, rates, mixes, batch, vectors, parts):
    """One pass by an explicit schedule."""
    w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
    total = 0.0
    for k, rate in enumerate(rates.astype(w.dtype)):
        *_, losses, _, g = _batch(data, order[k * batch : (k + 1) * batch], w, parts.loss)
        total += losses
        g[:-1] += parts.penalty.gradient(w[:-1])
        d, h, first, second = parts.optimizer.step(g.astype(w.dtype), recall(m, ...), recall(v, ...), rate)
        keep(m, ..., first)
        keep(v, ..., second)
        w -= h * d
        w[:-1] = parts.penalty.prox(w[:-1], (h * np.ones_like(w))[:-1])
        if mixes.size:
            average += w.dtype.type(mixes[k]) * (w - average)
    return total


def automatic(data, order, rates, mixes, batch, vectors, parts, geometry, memory):
    """One pass by the automatic step."""
    w, average, penalty, loss = vectors.coef, vectors.average, parts.penalty, parts.loss
    diagonal = geometry.inverse.ndim == 1
    total = 0.0
    for k, rate in enumerate(rates):
        chunk = order[k * batch : (k + 1) * batch]
        X, y, s, z, losses, squares, g = _batch(data, chunk, w, loss)
        total += losses
        pull = penalty.gradient(w[:-1]) * np.ones_like(w[:-1])
        g[:-1] += pull
        d = np.append(geometry.inverse * g[:-1] if diagonal else geometry.inverse @ g[:-1], g[-1])
        fall, lean, bend = d @ g, d[:-1] @ pull, np.sum(d[:-1] * penalty.gradient(d[:-1]))
        memory[:2] *= max(0.0, 1.0 - len(chunk) / MEMORY) if memory[2] else 0.0
        memory[:2] += squares, 2.0 * losses
        step = rate * (len(chunk) / batch) * memory[1] / max(memory[0], 1e-300)
        if fall > 0.0 and step < np.inf:
            along = _predict(data.rows, X, d)
            for _ in range(TRIES):
                slope = -np.sum(s * loss.gradient(y, z - step * along) * along) / len(chunk) - lean + step * bend
                if slope <= 1e-9 * fall:
                    break
                step *= fall / (fall + slope)
            else:
                step = 0.0
            step = w.dtype.type(step)
            w -= step * d
            if diagonal:
                w[:-1] = penalty.prox(w[:-1], step * geometry.inverse)
        if mixes.size:
            average += w.dtype.type(mixes[k]) * (w - average)
    return total


def _predict(rows, X, w):
    return X @ w[:-1] + rows.bias * w[-1] + rows.offset(w)


def _batch(data, chunk, w, loss):
    """Rows, targets and weights of a batch, raw predictions, sums of losses and of squared slopes, mean gradient."""
    X, y = data.rows.matrix(chunk), data.y[chunk]
    s = data.weight[chunk] if data.weight.size else np.ones_like(y)
    z = _predict(data.rows, X, w)
    slopes = loss.gradient(y, z)
    c = (s * slopes).astype(w.dtype).astype(np.float64)
    g = np.append(X.T @ c, data.rows.bias * c.sum())
    data.rows.centre(g)
    total = float(np.sum(s * loss.value(y, z), dtype=np.float64))
    return X, y, s, z, total, float(np.sum(s * slopes * slopes, dtype=np.float64)), g / len(chunk)
