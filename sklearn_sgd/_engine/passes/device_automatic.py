"""The automatic step on the device of arrays of other libraries: its length is found without reading a number back."""

from functools import partial
from typing import Any

import numpy as np

from sklearn_sgd._engine.compiled.drivers.automatic import MOST, WINDOW, step_length
from sklearn_sgd._engine.compiled.drivers.batch import BENT, TRIES
from sklearn_sgd._engine.passes.device import OnDevice, Rows, finish, mix
from sklearn_sgd._engine.passes.line_search import EXACT, NEARLY, Bracket

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
        """Return the vectors after an epoch with so many tries, and the tries that did not suffice.

        Also the sums of the squared slopes and of the losses of each batch.
        """
        bias, averaged, inverse = plan.data.rows.bias, mixes.size > 0, with_intercept(plan.preconditioner.apart)
        vectors = vectors if averaged else vectors._replace(average=None)
        w, average, *moments, mean, inverse, known, rates = self.up(
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
                squares.append(self.xp.sum(c * slope, dtype=self.xp.float64))
                if losses and plan.noise:
                    known, count = self.remember(known, count, squares[-1], losses[-1], rows.number)
                    step = step * known[1] / self.xp.clip(known[0], 1e-300, None)
                pull = self.wide(self.pull(w)) if self.pulls else None
                g = self.wide(self.sum_of(rows, c, bias)) / rows.number
                g = g if pull is None else g + pull
                narrow = self.xp.astype(g, w.dtype, copy=False)
                d = inverse @ narrow if inverse.ndim == 2 else inverse * narrow
                step, most = search(rows, w, z, d, g, pull, step, self.predict(rows, d, bias))
                far = self.xp.maximum(far, most) if tries else far
                step = self.xp.astype(step, w.dtype, copy=False)
                w -= self.xp.where(step > 0.0, step * d, zero)
                if self.has_prox:
                    there = self.parts.prox(w[:-1], step * inverse[:-1])
                    w[:-1] = self.xp.where(step > 0.0, there, w[:-1])
                if averaged:
                    mix(average, w, float(mixes[k]))
                k += 1
        sums = [self.xp.stack(some) if some else None for some in (squares, losses)]
        *ends, most, square, loss = self.down(w, average, *moments, far, *sums)
        return ends, float(most[0]), square, 0.5 * square if loss is None else loss

    def remember(self, known: Any, count: float, squares: Any, losses: Any, size: int) -> tuple[Any, float]:
        """Return squared slopes, losses and number of recent samples after another batch; see ``step_length``.

        Of the squared error both are the same, so that steps do not depend on them.
        """
        new, keep = self.xp.stack([squares, 2.0 * losses]), max(0.0, 1.0 - size / WINDOW)
        limit, times = MOST * size * known, new * count
        shares = self.xp.where((limit > 0.0) & (times > limit), limit / times, self.xp.ones_like(limit))
        return keep * known + new * self.xp.min(shares), keep * count + size


class LineSearch:
    """The length of a step, on the device: the given one, or a shorter one if that would pass the minimum.

    It is found as on NumPy arrays, except that a number of tries is made, whether the first ones suffice or not.

    Returns
    -------
    step, most : arrays without dimension
        The length, or 0 if the step is omitted, and the number of the last try that did not suffice.
    """

    def __init__(self, device: OnDevice, noise: bool, tries: int):
        self.device, self.parts, self.xp, self.noise, self.tries = device, device.parts, device.xp, noise, tries
        self.none = device.zeros(1)[0]
        self.one = self.none + 1.0

    def __call__(self, rows: Rows, w, z, d, g, pull, step, along) -> tuple[Any, Any]:
        """Return the length for a step along ``-d``, which changes predictions by ``along``."""
        xp, device = self.xp, self.device
        fall, lean, bend = xp.sum(d * g), 0.0, 0.0
        if pull is not None:
            there = w - xp.astype(step, w.dtype, copy=False) * d
            wide = device.wide(d)
            lean, bend = xp.sum(wide * pull), xp.sum(wide * (pull - device.wide(device.pull(there)))) / step
        weighted = rows.weighted(along)
        if not self.tries:
            bend = bend + xp.sum(along * weighted, dtype=xp.float64) / rows.number
            step = xp.where(step * bend - fall > EXACT * fall, fall / bend, step)
            return xp.where(fall > 0.0, step, self.none), self.none

        possible = (fall > 0.0) & (step > 0.0) & (step < np.inf)

        def slopes_at(lengths):
            narrow = xp.reshape(xp.astype(lengths, z.dtype, copy=False), (-1, 1))
            slopes = device.wide(self.parts.slope(rows.y, z - narrow * along) @ weighted) / -rows.number
            return slopes if pull is None else slopes + (lengths * bend - lean)

        # For the current length and half of it, if batches are not all rows.
        shares = xp.stack([self.one, 0.5 * self.one]) if self.noise else self.one[None]
        fall = xp.where(possible, fall, self.one)  # No division by 0.
        bracket, done, most = Bracket(self.none, step, fall, self.none), ~possible, self.none
        none, steep, steepest = EXACT * fall, -NEARLY * fall, -0.5 * fall
        for number in range(1, self.tries + 1):
            slopes = slopes_at(shares * step)
            slope = slopes[0]
            over = slope > none
            enough = ~over
            if self.noise:
                enough &= (slope < steepest) | (slopes[1] <= 0.5 * BENT * (slope - fall))
            elif number > 1:
                enough &= ~(slope < steep)
            bracket, guess = bracket.cut(xp.where, over, step, slope)
            done = done | enough
            if self.noise:
                guess = xp.where(over, guess, 0.5 * step)
                bracket = Bracket(self.none, guess, xp.where(over, bracket.below, fall), self.none)
                step = xp.where(done, step, guess)
            else:
                same = xp.all(w - xp.astype(guess, w.dtype, copy=False) * d == w)
                ends = ~done & (bracket.is_narrow | same)
                step = xp.where(done, step, xp.where(ends, bracket.low, guess))
                done = done | ends
            most = xp.where(done, most, self.none + number)
        return xp.where(possible, xp.where(done, step, bracket.low), self.none), most


def with_intercept(inverse: np.ndarray) -> np.ndarray:
    """Return a preconditioner, full or diagonal, with 1 for the intercept."""
    if inverse.ndim == 1:
        return np.append(inverse, inverse.dtype.type(1.0))
    whole = np.zeros((len(inverse) + 1,) * 2, inverse.dtype)
    whole[:-1, :-1], whole[-1, -1] = inverse, 1.0
    return whole
