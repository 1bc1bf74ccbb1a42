"""The passes on NumPy arrays: used if nothing can be compiled, and for full batches.

They make the same steps as the drivers. A batch is a separate class, so that ``full_batch`` can replace it by all rows.
"""

import numpy as np

from sklearn_sgd._engine.compiled.drivers.automatic import step_length
from sklearn_sgd._engine.compiled.drivers.batch import BENT, TRIES
from sklearn_sgd._engine.passes.line_search import EXACT, NEARLY, Bracket, one_of
from sklearn_sgd._namespace import take, total


class Batch:
    """A batch of rows: the mean gradient of their losses, and the slope along a direction."""

    def __init__(self, data, order, loss):
        self.rows, self.loss = data.rows, loss
        self.X, self.y = data.rows.matrix(order), take(data.y, order)
        self.s = take(data.weight, order) if data.weight.shape[0] else np.ones_like(self.y)
        self.z = self.slopes = self.along = self.direction = None

    def gradient(self, w):
        """Return the sums of the losses and of their squared slopes, and the mean gradient."""
        self.z = self._predict(w)
        slopes = self.loss.gradient(self.y, self.z)
        self.slopes = self.s * slopes
        c = self.slopes.astype(w.dtype).astype(np.float64)
        g = np.append(self.X.T @ c, self.rows.bias * total(c))
        self.rows.centre(g)
        losses = total(self.s * self.loss.value(self.y, self.z))
        return losses, total(self.s * slopes * slopes), g / self.y.shape[0]

    def slope(self, w, d, step):
        """Return the slope of the mean loss at the end of a step, in its direction; needs ``gradient`` at w before."""
        if self.direction is not d:
            self.direction, self.along = d, self._predict(d)
        slopes = self.s * self.loss.gradient(self.y, self.z - step * self.along)
        return -float(np.sum(slopes * self.along)) / self.y.shape[0]

    def _predict(self, w):
        return self.X @ w[:-1] + float(self.rows.bias * w[-1] + self.rows.offset(w))


def gradient(data, w, order, loss, predictions):
    """A function that adds the gradients of some rows to g, and returns their sums of losses and squared slopes.

    It keeps their predictions.
    """

    def of_rows(start, stop, g):
        batch = Batch(data, order[start:stop], loss)
        losses, squares, mean = batch.gradient(w)
        g += mean * (stop - start)
        predictions[start:stop] = batch.z
        return losses, squares

    return of_rows


def slope(data, order, loss, predictions, along):
    """A function that returns the slope of the losses of some rows after a step from predictions, in its direction."""

    def of_rows(start, stop, length):
        numbers, some = order[start:stop], along[start:stop]
        slopes = loss.gradient(take(data.y, numbers), predictions[start:stop] - length * some)
        if data.weight.shape[0]:
            slopes = take(data.weight, numbers) * slopes
        return -float(np.sum(slopes * some))

    return of_rows


def minibatch(plan, piece, vectors, window, batch_of=Batch) -> float:
    """Run one pass by a schedule."""
    w, average, m, v = vectors
    parts, size, loss = plan.parts, plan.batch_size, 0.0
    for k, rate in enumerate(piece.rates.astype(w.dtype)):
        losses, _, g = batch_of(plan.data, piece.order[k * size : (k + 1) * size], parts.loss).gradient(w)
        loss += losses
        g, pull = g.astype(w.dtype), np.zeros_like(w)
        pull[:-1] = parts.penalty.gradient(w[:-1])
        moments = 0.0 if m is None else m, 0.0 if v is None else v
        d, h, first, second = parts.optimizer.step(g, pull, w, *moments, rate, piece.n_done + k + 1)
        for kept, moment in ((m, first), (v, second)):
            if kept is not None:
                kept[:] = moment
        w -= h * d
        w[:-1] = parts.penalty.prox(w[:-1], (h * np.ones_like(w))[:-1], ...)
        if piece.mixes.size:
            average += piece.mixes[k] * (w - average)
    return loss


def automatic(plan, piece, vectors, window, batch_of=Batch) -> float:
    """Run one pass of the automatic step."""
    w, average, penalty, preconditioner = vectors.coef, vectors.average, plan.parts.penalty, plan.preconditioner
    loss = 0.0
    for k, rate in enumerate(piece.rates):
        numbers = piece.order[k * plan.batch_size : (k + 1) * plan.batch_size]
        rows = batch_of(plan.data, numbers, plan.parts.loss)
        losses, squares, g = rows.gradient(w)
        loss += losses
        pull = penalty.gradient(w[:-1]) * np.ones_like(w[:-1])
        g[:-1] += pull
        d = preconditioner.with_intercept(g)
        fall, lean = d @ g, d[:-1] @ pull
        step = step_length(rate, len(numbers), plan.batch_size, window, plan.noise, losses, squares)
        if fall > 0.0 and 0.0 < step < np.inf:
            # The curvature of the penalty along the whole step, so that the slope at the end is exact for any penalty.
            bend = d[:-1] @ (pull - penalty.gradient(w[:-1] - w.dtype.type(step) * d[:-1])) / step
            if plan.searches and not plan.noise:
                step = rows.length(w, d, step, fall, lean, bend)
            else:
                step = _line_search(rows, w, d, step, fall, lean, bend, plan.noise)
            step = w.dtype.type(step)
            w -= step * d
            if not preconditioner.is_full:
                w[:-1] = penalty.prox(w[:-1], step * preconditioner.diagonal, ...)
        if piece.mixes.size:
            average += piece.mixes[k] * (w - average)
    return loss


def _line_search(rows, w, d, step: float, fall: float, lean: float, bend: float, noise: bool) -> float:
    """Return the length of the step, or the secant estimate of the minimum before its end; see ``line_search``."""

    def slope_at(length):
        return rows.slope(w, d, length) - lean + length * bend

    bracket = Bracket(0.0, step, fall, 0.0)
    for number in range(TRIES):
        slope = slope_at(step)
        over = slope > EXACT * fall
        if over:
            ends = False
        elif noise:
            ends = slope < -0.5 * fall or slope_at(0.5 * step) <= 0.5 * BENT * (slope - fall)
        else:
            ends = number == 0 or not slope < -NEARLY * fall
        if ends:
            return step
        bracket, guess = bracket.cut(one_of, over, step, slope)
        if noise and not over:
            bracket, guess = Bracket(0.0, step, fall, 0.0), 0.5 * step
        step = guess
        if not noise and (bracket.is_narrow or (w - (step * d).astype(w.dtype) == w).all()):
            break  # At a kink; or slopes are rounding errors, as at the minimum.
    return bracket.low
