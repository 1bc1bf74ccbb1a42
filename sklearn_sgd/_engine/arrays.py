"""The passes over the data on arrays: the oracle of the kernels, and the way without Numba.

Same arguments, steps and results as the kernels. What is asked of a batch stands apart, so that ``full`` can answer it
for all rows at once.
"""

import numpy as np

from sklearn_sgd._engine.jit import keep, recall
from sklearn_sgd._engine.namespace import host, is_foreign, like, namespace, take, total
from sklearn_sgd._engine.step import MEMORY, TRIES


class Batch:
    """Some rows: mean gradients of their loss, and slopes of it along a direction."""

    def __init__(self, data, chunk, loss):
        self.rows, self.loss = data.rows, loss
        self.X, self.y = data.rows.matrix(chunk), take(data.y, chunk)
        self.s = take(data.weight, chunk) if data.weight.shape[0] else namespace(self.y).ones_like(self.y)
        self.z = self.slopes = self.along = self.direction = None

    def gradient(self, w):
        """Sums of the losses and of their squared slopes, and the mean gradient."""
        self.z = self._predict(w)
        slopes = self.loss.gradient(self.y, self.z)
        self.slopes = self.s * slopes
        # NumPy multiplies in double precision by itself; elsewhere X would have to be converted.
        c = self.slopes if is_foreign(self.X) else self.slopes.astype(w.dtype).astype(np.float64)
        g = np.append(host(self.X.T @ c), self.rows.bias * total(c)).astype(np.float64)
        self.rows.centre(g)
        losses = total(self.s * self.loss.value(self.y, self.z))
        return losses, total(self.s * slopes * slopes), g / self.y.shape[0]

    def slope(self, w, d, step):
        """Slope of the mean loss at the end of a step, in its direction; after ``gradient`` at w."""
        if self.direction is not d:
            self.direction, self.along = d, self._predict(d)
        slopes = self.s * self.loss.gradient(self.y, self.z - like(step, self.z) * self.along)
        return -float(namespace(self.y).sum(slopes * self.along)) / self.y.shape[0]

    def _predict(self, w):
        return self.X @ like(w[:-1], self.X) + float(self.rows.bias * w[-1] + self.rows.offset(w))


def gradient(data, w, order, loss, start, stop, g):
    """Add the gradients of some rows to g; the sums of their losses and squared slopes."""
    losses, squares, mean = Batch(data, order[start:stop], loss).gradient(w)
    g += mean * (stop - start)
    return losses, squares


def permute(order, start, draws):
    """Swap row numbers from a place on with earlier ones, which draws between 0 and 1 choose."""
    for q in range(len(draws)):
        i = start + q
        j = int(draws[q] * (i + 1))
        order[i], order[j] = order[j], order[i]


def minibatch(data, order, rates, mixes, batch, vectors, parts, done, look=Batch):
    """One pass by an explicit schedule."""
    w, average, m, v = vectors.coef, vectors.average, vectors.m, vectors.v
    loss = 0.0
    for k, rate in enumerate(rates.astype(w.dtype)):
        losses, _, g = look(data, order[k * batch : (k + 1) * batch], parts.loss).gradient(w)
        loss += losses
        g, pull = g.astype(w.dtype), np.zeros_like(w)
        pull[:-1] = parts.penalty.gradient(w[:-1])
        d, h, first, second = parts.optimizer.step(g, pull, w, recall(m, ...), recall(v, ...), rate, done + k + 1)
        keep(m, ..., first)
        keep(v, ..., second)
        w -= h * d
        w[:-1] = parts.penalty.prox(w[:-1], (h * np.ones_like(w))[:-1], ...)
        if mixes.size:
            average += w.dtype.type(mixes[k]) * (w - average)
    return loss


def automatic(data, order, rates, mixes, batch, vectors, parts, geometry, memory, look=Batch):
    """One pass by the automatic step."""
    w, average, penalty = vectors.coef, vectors.average, parts.penalty
    diagonal = geometry.inverse.ndim == 1
    loss = 0.0
    for k, rate in enumerate(rates):
        chunk = order[k * batch : (k + 1) * batch]
        rows = look(data, chunk, parts.loss)
        losses, squares, g = rows.gradient(w)
        loss += losses
        pull = penalty.gradient(w[:-1]) * np.ones_like(w[:-1])
        g[:-1] += pull
        d = np.append(geometry.inverse * g[:-1] if diagonal else geometry.inverse @ g[:-1], g[-1])
        fall, lean, bend = d @ g, d[:-1] @ pull, np.sum(d[:-1] * penalty.gradient(d[:-1]))
        memory[:2] *= max(0.0, 1.0 - len(chunk) / MEMORY) if memory[2] else 0.0
        memory[:2] += squares, 2.0 * losses
        step = rate * (len(chunk) / batch) * memory[1] / max(memory[0], 1e-300)
        if fall > 0.0 and step < np.inf:
            steep = fall
            for _ in range(TRIES):
                slope = rows.slope(w, d, step) - lean + step * bend
                if slope <= 1e-9 * fall:
                    break
                step *= steep / (steep + slope)
                steep *= 0.5
            else:
                step = 0.0
            step = w.dtype.type(step)
            w -= step * d
            if diagonal:
                w[:-1] = penalty.prox(w[:-1], step * geometry.inverse, ...)
        if mixes.size:
            average += w.dtype.type(mixes[k]) * (w - average)
    return loss
