"""The pass over the data on arrays: the oracle of the kernels, and the way without Numba.

Same arguments, steps and result as the kernels.
"""

import numpy as np


def minibatch(data, order, rates, mixes, batch, vectors, parts):
    """One pass in NumPy and SciPy sparse."""
    w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
    loss, penalty, optimizer = parts
    total = 0.0
    for k, rate in enumerate(rates.astype(w.dtype)):
        chunk = order[k * batch : (k + 1) * batch]
        X, y = data.rows.matrix(chunk), data.y[chunk]
        z = X @ w[:-1] + data.rows.bias * w[-1]
        s = data.weight[chunk] if data.weight.size else np.ones_like(y)
        total += float(np.sum(s * loss.value(y, z), dtype=np.float64))
        c = (s * loss.gradient(y, z)).astype(w.dtype)
        g = np.append(X.T @ c, data.rows.bias * c.sum()) / len(chunk)
        g[:-1] += penalty.gradient(w[:-1])
        d, h, m[:], v[:] = optimizer.step(g, m, v, rate)
        w -= h * d
        w[:-1] = penalty.prox(w[:-1], (h * np.ones_like(w))[:-1])
        if mixes.size:
            average += w.dtype.type(mixes[k]) * (w - average)
    return total
