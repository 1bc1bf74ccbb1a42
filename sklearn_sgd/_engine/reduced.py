"""The pass of the variance-reduced optimizers: a row tells only how its slope differs from the one remembered of it.

Written once, for Numba and for plain Python.
"""

import numpy as np

from sklearn_sgd._engine.arrays import Batch
from sklearn_sgd._engine.step import Diagonal

# Rows of a block in a look at all of them.
BLOCK = 4096


class Memory:
    """The pass together with what it remembers: the slope of each row's loss, and the mean gradient that they make."""

    def __init__(self, run, optimizer, used: np.ndarray, geometry):
        self.run, self.anew, self.used, self.geometry = run, optimizer.anew, used, geometry
        self.slopes = self.mean = np.empty(0)

    def __call__(self, data, order, rates, mixes, batch, vectors, parts, *extras):
        if not len(self.slopes) or self.anew:
            self.look(data, parts.loss, vectors.coef)
        geometry = self.geometry or Diagonal(np.ones(len(vectors.coef) - 1, vectors.coef.dtype))
        kept = self.slopes, self.mean, 0.0 if self.anew else 1.0 / len(self.used)
        return self.run(data, order, rates, mixes, batch, vectors, parts, geometry, *kept)

    def look(self, data, loss, w) -> None:
        """Remember all rows as they are seen from w."""
        self.slopes, self.mean = np.zeros(data.y.shape[0], w.dtype), np.zeros(len(w))
        for start in range(0, len(self.used), BLOCK):
            chunk = self.used[start : start + BLOCK]
            rows = Batch(data, chunk, loss)
            self.mean += rows.gradient(w)[2] * (len(chunk) / len(self.used))
            self.slopes[chunk] = rows.slopes


def longest(rows, weight: np.ndarray, used: np.ndarray, geometry) -> float:
    """Largest squared length of a weighted row in a geometry, the intercept's one included."""
    most, diagonal = 0.0, geometry.inverse.ndim == 1
    for start in range(0, len(used), BLOCK):
        chunk = used[start : start + BLOCK]
        X, s, mean = rows.matrix(chunk), weight[chunk] if weight.shape[0] else 1.0, rows.mean
        if isinstance(X, np.ndarray):
            lengths = (X * X) @ geometry.inverse if diagonal else np.einsum("ij,ij->i", X @ geometry.inverse, X)
        elif diagonal:
            lengths = X.multiply(X) @ geometry.inverse + X @ (-2.0 * mean * geometry.inverse)
            lengths += mean * mean @ geometry.inverse
        else:
            lengths = X.multiply(X @ geometry.inverse).sum(axis=1) - 2.0 * (X @ (geometry.inverse @ mean))
            lengths += mean @ geometry.inverse @ mean
        most = max(most, float(np.max(s * (lengths + rows.bias))))
    return most


def build(compiled, sources):
    """The pass, as others are compiled."""

    @compiled
    def reduced(data, order, rates, mixes, batch, vectors, parts, geometry, slopes, mean, renew):
        sources  # noqa: B018
        w, average, n, p = vectors.coef, vectors.average, order.shape[0], vectors.coef.shape[0] - 1
        change, g, d = np.zeros(min(batch, n), w.dtype), np.zeros(p + 1), np.zeros_like(w)
        total, ahead = 0.0, data.rows.ahead()
        for k in range(rates.shape[0]):
            start, stop = k * batch, min((k + 1) * batch, n)
            offset = data.rows.offset(w)
            g[:] = 0.0
            for q in range(start, stop):
                i = order[q]
                z = data.rows.dot(i, w) + offset
                s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
                total += s * parts.loss.value(data.y[i], z)
                change[q - start] = s * parts.loss.gradient(data.y[i], z) - slopes[i]
                data.rows.add(i, change[q - start], g, order[min(q + ahead, n - 1)])
                if renew > 0.0:
                    slopes[i] += change[q - start]
            data.rows.centre(g)
            for j in range(p + 1):
                news = g[j]
                g[j] = news / (stop - start) + mean[j]
                mean[j] += renew * news
            for j in range(p):
                g[j] += parts.penalty.gradient(w[j])
            geometry.direct(g, d)
            rate = w.dtype.type(rates[k])
            for j in range(p):
                w[j] = parts.penalty.prox(w[j] - rate * d[j], rate * geometry.rate(j), j)
            w[p] -= rate * d[p]
            if mixes.shape[0]:
                mix = w.dtype.type(mixes[k])
                for j in range(p + 1):
                    average[j] += mix * (w[j] - average[j])
        return total

    return reduced
