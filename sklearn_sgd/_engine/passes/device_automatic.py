"""The automatic step on the device of arrays of other libraries: its length is found without reading a number back."""

from functools import partial
from typing import Any

import numpy as np

from sklearn_sgd._engine.compiled.drivers.automatic import MOST, ROUNDING, WINDOW, step_length
from sklearn_sgd._engine.compiled.drivers.batch import BENT, LEAST, TRIES
from sklearn_sgd._engine.passes.device import OnDevice, Rows, finish
from sklearn_sgd._engine.passes.line_search import EXACT, NEARLY, Bracket
from sklearn_sgd._namespace import bounded, mix

# Number of tries for the length of a step in a first epoch, with batches or with all rows; minimum number of spare
# tries in later epochs, beyond those that were not enough in the last one.
FIRST, FIRST_EXACT, SPARE = 4, 12, 2


class Automatic(OnDevice):
    """One pass of the automatic step; see the drivers for the meaning of the numbers.

    The number of tries for the length of a step is fixed for an epoch. If a step has its length, further tries do not
    change it. If the tries of some step do not suffice, the epoch, which has changed nothing, is repeated with twice as
    many. Most steps need one try; half the squared error needs none, since the minimum along a line is known.
    """

    def __init__(self, plan):
        super().__init__(plan)
        self.is_quadratic, self.tries = plan.formulas.is_quadratic, FIRST if plan.noise else FIRST_EXACT

    def __call__(self, plan, piece, vectors, window) -> float:
        """Make the steps, which change the vectors and the window; return the sum of the losses."""
        tries, order = 0 if self.is_quadratic else self.tries, self.order(plan, piece.order)
        sizes = np.diff(np.append(np.arange(0, len(piece.order), plan.batch_size), len(piece.order)))
        rates = piece.rates * (sizes / plan.batch_size)
        attempt = partial(self._attempt, plan, order, vectors, window, rates, piece.mixes)
        ends, missing, squares, losses = attempt(tries)
        while 0 < tries <= missing and tries < TRIES:
            tries = min(2 * tries, TRIES)
            ends, missing, squares, losses = attempt(tries)
        # Reduced by one per epoch: a repeated epoch costs more than an unnecessary try.
        self.tries = int(min(max(missing + SPARE, tries - 1), TRIES))
        for size, square, loss in zip(sizes.tolist(), squares.tolist(), losses.tolist(), strict=True):
            step_length(1.0, size, plan.batch_size, window, plan.noise, loss, square)
        return finish(vectors, *ends, losses)

    def _attempt(self, plan, order, vectors, window, rates, mixes, tries: int) -> tuple:
        """Return the vectors after an epoch with ``tries`` tries for each step, and the tries that did not suffice.

        Also the sums of the squared slopes and of the losses of each batch.
        """
        bias, averaged, factor = plan.data.rows.bias, mixes.size > 0, plan.preconditioner.factor
        inverse = with_intercept(plan.preconditioner.apart if factor is None else factor)
        vectors = vectors if averaged else vectors._replace(average=None)
        w, average, *moments, mean, inverse, known, rates = self.to_device(
            *vectors, plan.data.rows.mean, inverse, window[:2], rates
        )
        search, count, k, squares, losses = LineSearch(self, plan.noise, tries), float(window[2]), 0, [], []
        far, zero = search.none, self.xp.zeros_like(w)
        for _, batches in self.batches(plan, order, mean):
            for rows in batches:
                z, step = self.predict(rows, w, bias), rates[k]
                slope = self.parts.slope(rows.y, z) if self.is_quadratic else None
                if slope is None:
                    value, slope = self.parts.loss(rows.y, z)
                    losses.append(self.xp.sum(rows.weighted(value), dtype=self.xp.float64))
                c = rows.weighted(slope)
                squares.append(self.inner(c, slope))
                if losses and plan.noise:
                    known, count = self.remember(known, count, squares[-1], losses[-1], rows.number)
                    step = step * known[1] / bounded(known[0], 1e-300, None)
                pull = self.wide(self.pull(w)) if self.pulls else None
                g = self.wide(self.mean_of(rows, c, bias))
                g = g if pull is None else g + pull
                narrow = self.xp.astype(g, w.dtype, copy=False)
                narrow = narrow if factor is None else inverse.T @ narrow
                d = inverse @ narrow if inverse.ndim == 2 else inverse * narrow
                step, most = search(rows, w, z, d, g, pull, step, self.predict(rows, d, bias))
                far = self.xp.maximum(far, most) if tries else far
                step = self.xp.astype(step, w.dtype, copy=False)
                moves = step > 0.0
                w -= self.xp.where(moves, step * d, zero)
                if self.has_prox:
                    there = self.parts.prox(w[:-1], step * inverse[:-1])
                    w[:-1] = self.xp.where(moves, there, w[:-1])
                if averaged:
                    mix(average, w, float(mixes[k]))
                k += 1
        sums = [self.xp.stack(some) if some else None for some in (squares, losses)]
        *ends, most, square, loss = self.to_host(w, average, *moments, far, *sums)
        return ends, float(most[0]), square, 0.5 * square if loss is None else loss

    def remember(self, known: Any, count: float, squares: Any, losses: Any, size: int) -> tuple[Any, float]:
        """Return squared slopes, losses and number of recent samples after another batch; see ``step_length``.

        Of the squared error both are the same, so that steps do not depend on them.
        """
        new, keep = self.xp.stack([squares, 2.0 * losses]), max(0.0, 1.0 - size / WINDOW)
        limit, times = MOST * size * known, new * count
        limits = (limit > 0.0) & (limit[0] > ROUNDING * times[0])
        shares = self.xp.where(limits, limit / self.xp.maximum(limit, times), self.xp.ones_like(limit))
        return keep * known + new * self.xp.min(shares), keep * count + size


class LineSearch:
    """The length of a step, on the device: the given one, or a shorter one if that would pass the minimum.

    It is found as on NumPy arrays, except that a number of tries is made, whether the first ones suffice or not, and
    that slopes are relative to that at the start.

    Returns
    -------
    step, most : arrays without dimension
        The length, or 0 if the step is omitted, and the number of the last try that did not suffice.
    """

    def __init__(self, device: OnDevice, noise: bool, tries: int):
        self.device, self.parts, self.xp, self.noise, self.tries = device, device.parts, device.xp, noise, tries
        self.none = device.zeros(1)[0]
        self.one, self.half = self.none + 1.0, self.none + 0.5
        self.shares = device.xp.stack([self.one, self.half])
        self.numbers = [self.none + number for number in range(tries + 1)]

    def __call__(self, rows: Rows, w, z, d, g, pull, step, along) -> tuple[Any, Any]:
        """Return the length for a step along ``-d``, which changes predictions by ``along``."""
        xp, device = self.xp, self.device
        fall, lean, bend, weighted = device.inner(d, g), 0.0, 0.0, rows.weighted(along)
        if pull is not None:
            there = w - xp.astype(step, w.dtype, copy=False) * d
            lean, bend = device.inner(d, pull), device.inner(d, pull - device.wide(device.pull(there))) / step
        if not self.tries:
            curvature = device.inner(along, weighted) / rows.number
            curvature = curvature if pull is None else curvature + bend
            # The slope at the end of a step that is too long is not 0. If the fall is 0 or no number, there is none.
            return xp.where(step * curvature <= (1.0 + EXACT) * fall, step, fall / curvature), self.none

        possible = (fall > 0.0) & (step > 0.0) & (step < np.inf)
        fall = xp.where(possible, fall, self.one)  # No division by 0.
        unit = -rows.number * fall

        def slopes_at(lengths):
            """Return slopes, relative to that at the start."""
            narrow = xp.reshape(xp.astype(lengths, z.dtype, copy=False), (-1, 1))
            slopes = device.wide(self.parts.slope(rows.y, z - narrow * along) @ weighted) / unit
            return slopes if pull is None else slopes + (lengths * bend - lean) / fall

        if self.noise:
            return self._of_batch(slopes_at, step, possible)
        return self._of_all(slopes_at, step, possible, lambda length: xp.all(w - length * d == w))

    def _of_batch(self, slopes_at, step, possible) -> tuple[Any, Any]:
        """Return the length for a batch: its minimum may be at infinity, so the slope must fall as that of a parabola.

        Slopes are taken at the end of a step and in its middle.
        """
        xp, going, below, most = self.xp, possible, self.one, self.none
        for number in range(1, self.tries + 1):
            slopes = slopes_at(self.shares * step)
            slope, over = slopes[0], slopes[0] > EXACT
            going = going & (over | ~((slope < -0.5) | (slopes[1] <= 0.5 * BENT * (slope - 1.0))))
            share = xp.where(over, bounded(below / (below + slope), LEAST, None), self.half)
            below = xp.where(over, 0.5 * below, self.one)
            step, most = xp.where(going, share * step, step), xp.where(going, self.numbers[number], most)
        return xp.where(possible & ~going, step, self.none), most

    def _of_all(self, slopes_at, step, possible, is_nothing) -> tuple[Any, Any]:
        """Return the length for all rows."""
        xp, done, most = self.xp, ~possible, self.none
        bracket = Bracket(self.none, step, self.one, self.none)
        for number in range(1, self.tries + 1):
            slope = slopes_at(step)[0]
            over = slope > EXACT
            enough = ~over if number == 1 else ~over & ~(slope < -NEARLY)
            bracket, guess = bracket.cut(xp.where, over, step, slope)
            done = done | enough
            ends = ~done & (bracket.is_narrow | is_nothing(guess))
            step = xp.where(done, step, xp.where(ends, bracket.low, guess))
            done = done | ends
            most = xp.where(done, most, self.numbers[number])
        return xp.where(possible, xp.where(done, step, bracket.low), self.none), most


def with_intercept(inverse: np.ndarray) -> np.ndarray:
    """Return a preconditioner, full or diagonal, or a factor of it, with 1 for the intercept."""
    if inverse.ndim == 1:
        return np.append(inverse, inverse.dtype.type(1.0))
    whole = np.zeros(np.add(inverse.shape, 1), inverse.dtype)
    whole[:-1, :-1], whole[-1, -1] = inverse, 1.0
    return whole
