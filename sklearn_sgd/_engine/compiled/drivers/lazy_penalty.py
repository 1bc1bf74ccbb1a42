"""The effect of a penalty, and of averaging, on sparse columns while they have no entries, in closed form.

A penalty acts for a time, which is the sum of the lengths of the steps, by ``w' = -k (ridge w + lasso sign(w))``, where
k is the scale of the column. Meanwhile the average follows by ``a' = pace (w - a)``. Both have closed forms, so the
result does not depend on the number of parts of the time. The pace corresponds to the weights of the average on steps
of mean length. It is computed again whenever the number of updates has grown by a quarter. The window stores all paces.
"""

from math import exp, factorial, log

from numpy.polynomial import Chebyshev, Polynomial

from sklearn_sgd._engine.automatic.window import FIRST, GROWTH, MOST_PACES, NEXT, PACES, STEPS, TIME
from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Integer, series

# Up to SMALL, 12 terms of the series of ``(1 - exp(-x)) / x`` are exact to rounding. An average moves by less than this
# share between two visits of a column, if there have been more than a few times as many updates. Nine terms have an
# error of 4e-15 if they are economised: the last ones are left out of the same polynomial in terms of Chebyshev's.
SMALL = 0.25
TERMS = (
    Polynomial([(-1.0) ** k / factorial(k + 1) for k in range(12)])
    .convert(kind=Chebyshev, domain=[-SMALL, SMALL])
    .truncate(9)
    .convert(kind=Polynomial)
    .coef.tolist()
)
FIRST_TERMS, NEXT_TERMS, LAST_TERM = tuple(TERMS[:4]), tuple(TERMS[4:8]), TERMS[8]

# Below this value log(1 + x) is less exact than x.
TINY = 1e-6

# The pace of an average that equals the coefficient.
ENDLESS = 1e200


def mean_decay(x):
    """Return ``(1 - exp(-x)) / x``, the mean of ``exp(-x u)`` for u from 0 to 1."""
    return small_decay(x) if x < SMALL else (1.0 - exp(-x)) / x


def small_decay(x):
    """The same for a small x of any sign; groups of terms are computed side by side."""
    fourth = (x * x) * (x * x)
    return series(FIRST_TERMS, x) + fourth * (series(NEXT_TERMS, x) + fourth * LAST_TERM)


def follow(size, mean, decay, pace, threshold, flat, drop):
    """Return a size that does not reach 0, and its average, after ``w' = -decay w - threshold`` for time 1.

    ``flat`` and ``drop`` are the values of `mean_decay` at the smaller one of decay and pace, and at their difference.
    """
    near, gap = min(decay, pace), abs(pace - decay)
    # The values of exp at -near and -far, and its divided difference.
    first = 1.0 - near * flat
    both = first * drop
    second = first - gap * both
    rest = first if decay <= pace else second
    left = second if decay <= pace else first
    size, mean, gain = size * rest, left * mean, size * both
    if threshold > 0.0:
        # The divided differences at 0 and -decay, and at 0, -decay and -pace.
        per_far = 1.0 / max(decay, pace, 1e-300)
        gain -= threshold * (flat - both) * per_far
        size -= threshold * (flat if decay <= pace else (near * flat + gap * both) * per_far)
    return size, mean + pace * gain


def follow_for(time, size, mean, pace, ridge, lasso):
    """Return a size that does not reach 0, and its average, after a time."""
    decay, pace = ridge * time, pace * time
    flat, drop = mean_decay(min(decay, pace)), mean_decay(abs(pace - decay))
    return follow(size, mean, decay, pace, lasso * time, flat, drop)


def flow(value, mean, time, pace, ridge, lasso):
    """Return a coefficient and its average after a time under a penalty."""
    if lasso <= 0.0:
        return follow_for(time, value, mean, pace, ridge, 0.0)
    size, sign = abs(value), -1.0 if value < 0.0 else 1.0
    end, after = follow_for(time, size, sign * mean, pace, ridge, lasso)
    if end <= 0.0:
        until, after = 0.0, sign * mean
        if size > 0.0:
            # It reaches 0 before the end of the time.
            until, steep = size / lasso, ridge * size / lasso
            if steep > TINY:
                until = log(1.0 + steep) / ridge
            until = min(until, time)
            _, after = follow_for(until, size, sign * mean, pace, ridge, lasso)
        rest = pace * (time - until)
        end, after = 0.0, (1.0 - rest * mean_decay(rest)) * after
    return sign * end, sign * after


def catch_up(value, mean, start, scale, window, ridge, lasso):
    """Return a coefficient and its average after the missed effect of a penalty since a time, over all paces."""
    time = window[TIME]
    if time > start and (value != 0.0 or mean != 0.0):
        last = int(window[PACES])
        c = last
        while c > 0 and window[FIRST + 2 * c] > start:
            c -= 1
        while c <= last:
            stop = time
            if c < last:
                stop = window[FIRST + 2 * (c + 1)]
            if stop > start:
                value, mean = flow(value, mean, stop - start, window[FIRST + 2 * c + 1], scale * ridge, scale * lasso)
                start = stop
            c += 1
    return value, mean


def settle(
    p: Integer, w: Doubles, average: Doubles, scale: Doubles, seen: Doubles, window: Doubles,
    ridge: Double, lasso: Double,
) -> Double:  # fmt: skip
    """Apply to all columns, and their averages, the missed effect of a penalty."""
    for j in range(p):
        w[j], average[j] = catch_up(w[j], average[j], seen[j], scale[j], window, ridge, lasso)
    return 0.0


def keep_pace(window, t, mix, unit):
    """Begin a new pace with update t, if it is due, so that ``mix`` is the weight of an update of mean length."""
    place = FIRST + 2 * int(window[PACES])
    if t >= window[NEXT] or (mix == 1.0) != (window[place + 1] == ENDLESS):
        pace, until = ENDLESS, 1
        if mix < 1.0:
            pace = min(ENDLESS, -log(1.0 - mix) * window[STEPS + 1] / max(window[STEPS] * unit, 1e-300))
        while until <= t:
            until = max(until + 1, int(until * GROWTH))
        if window[PACES] < MOST_PACES - 1.0:
            window[PACES] += 1.0
            place += 2
            window[place] = window[TIME]
        window[place + 1], window[NEXT] = pace, float(until)


def present(window):
    """Return the time, the time at which the pace began, and the pace."""
    place = FIRST + 2 * int(window[PACES])
    return window[TIME], window[place], window[place + 1]
