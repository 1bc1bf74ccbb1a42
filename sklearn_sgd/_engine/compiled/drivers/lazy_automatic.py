"""The automatic step on sparse rows at the cost of each batch's non-zeros.

Each column with many zeros has a scale of its own. The ``filled`` columns, which have entries in most rows, are centred
and preconditioned together. A column without entries in a batch does not move with the gradient. The effect of a
penalty, also on its average, is applied when it next occurs, and at the end of the pass. Without a penalty the averages
of all columns move together, and less often (`step_size.joined`).

Without a penalty, the columns with many zeros may be centred, too. The gradient of the centred columns is that of the
others less a multiple of their means, and these are the same in all steps. So their part in all coefficients is one
number, the multiple ``turn`` of the scaled means ``lean``, which is subtracted at the end of the pass. The multiple for
columns that are not included is kept in the window; their share in ``reach`` moves the intercept.

The missed effects of a penalty are those of :mod:`.lazy_penalty`.
"""

from sklearn_sgd._engine.automatic.window import MEAN_TURN, PACES, STEPS, TIME, TURN
from sklearn_sgd._engine.compiled.drivers.automatic import step_length
from sklearn_sgd._engine.compiled.drivers.batch import line_search, precondition, take_row
from sklearn_sgd._engine.compiled.drivers.layouts import sparse_request_later
from sklearn_sgd._engine.compiled.drivers.lazy_penalty import (
    SMALL,
    catch_up,
    flow,
    keep_pace,
    present,
    small_decay,
)
from sklearn_sgd._engine.compiled.drivers.primitives import (
    Double,
    Doubles,
    Function,
    Indices,
    Integer,
    Real,
    Reals,
    Rows,
    invoke,
    tail,
)

# Places in a row of the table of columns: the coefficient and its scale; under a penalty also its average, and the time
# of its last visit. A row is within a cache line. WIDTH is its length, and NARROW that without a penalty.
SCALE, MEAN, SEEN, WIDTH, NARROW = 1, 2, 3, 4, 2

# Columns of a row for which the effect of a penalty is computed together; memory for their coefficients and averages.
STRETCH = 128
HELD = 2 * STRETCH


def visit(table, at, scale, now, window, ridge, lasso):
    """Apply to a column of the table the missed effect of a penalty; in most cases the pace in ``now`` applies."""
    time, since, pace = now
    start, value, mean = table[at + SEEN], table[at], table[at + MEAN]
    if time > start and (value != 0.0 or mean != 0.0):
        if start >= since:
            value, mean = flow(value, mean, time - start, pace, scale * ridge, scale * lasso)
        else:
            value, mean = catch_up(value, mean, start, scale, window, ridge, lasso)
        table[at], table[at + MEAN] = value, mean
    table[at + SEEN] = time


def visit_others(p, table, now, window, ridge, lasso):
    """Apply to all columns the missed effect of a penalty, after the filled ones, which have scales of their own.

    If a pace ends after as many entries as there are columns, this leaves fewer visits over several paces, which take
    longer.
    """
    for j in range(p):
        at = WIDTH * j
        visit(table, at, table[at + SCALE], now, window, ridge, lasso)


def visit_row(rows, i, table, held, now, window, ridge, lasso):
    """Apply to the columns of row i the missed effect of a penalty, to many at a time; return its raw prediction."""
    X, indices, indptr = rows
    first, end, raw = int(indptr[i]), int(indptr[i + 1]), 0.0
    values, means = held, tail(held, STRETCH)
    while first < end:
        size, columns = min(STRETCH, end - first), tail(indices, first)
        if follow_all(columns, size, table, values, means, now, ridge, lasso) > 0:
            for k in range(size):
                at = WIDTH * int(columns[k])
                if is_other(table[at], values[k], table[at + SEEN], table[at + SCALE], now, ridge, lasso):
                    visit(table, at, table[at + SCALE], now, window, ridge, lasso)
                    values[k], means[k] = table[at], table[at + MEAN]
        for k in range(size):
            at = WIDTH * int(columns[k])
            table[at], table[at + MEAN], table[at + SEEN] = values[k], means[k], now[0]
            raw += X[first + k] * values[k]
        first += size
    return raw


def is_other(before, value, start, scale, now, ridge, lasso):
    """Whether the missed effect is that of several paces, is more than the series is for, or takes a sign away."""
    time, since, pace = now
    crosses = lasso > 0.0 and before != 0.0 and value * before <= 0.0
    return start < since or max(pace, ridge * scale) * (time - start) > SMALL or crosses


def follow_all(columns, n, table, values, means, now, ridge, lasso):
    """Write coefficients and averages after the missed effect of a penalty; return for how many this is wrong.

    These are those that `is_other` finds. The formulas are those of `follow`, for small numbers of both signs.
    """
    (time, _, pace), others = now, 0
    for k in range(n):
        at = WIDTH * int(columns[k])
        before, mean, scale, start = table[at], table[at + MEAN], table[at + SCALE], table[at + SEEN]
        part, far = scale * (time - start), pace * (time - start)
        more = ridge * part - far
        # The value of exp at -far, and its divided difference with that at the decay.
        left = 1.0 - far * small_decay(far)
        both = left * small_decay(more)
        value, mean = before * (left - more * both), left * mean + far * (before * both)
        if lasso > 0.0:
            # A coefficient of 0 stays there.
            sign = 0.0 if before == 0.0 else (-1.0 if before < 0.0 else 1.0)
            threshold, flat = sign * lasso * part, small_decay(ridge * part)
            value -= threshold * flat
            mean -= threshold * (flat - both)
        others += 1 if is_other(before, value, start, scale, now, ridge, lasso) else 0
        values[k] = value
        means[k] = mean
    return others


def predict(rows, i, shift, table, width):
    """Raw prediction for row i."""
    X, indices, indptr = rows
    raw = shift
    for e in range(int(indptr[i]), int(indptr[i + 1])):
        raw += X[e] * table[width * int(indices[e])]
    return raw


def descend(rows, order, start, size, c, length, table, width):
    """Move columns by a length along minus the scaled gradient of a batch."""
    X, indices, indptr = rows
    for k in range(size):
        q = size - 1 - k  # The columns of the last rows were just read, and are still in the first-level cache.
        i, slope = order[start + q], length * float(c[q]) / size
        for e in range(int(indptr[i]), int(indptr[i + 1])):
            at = width * int(indices[e])
            table[at] -= slope * float(X[e]) * table[at + SCALE]


def turned(i, turn, onto, leans):
    """A multiple of the prediction of the scaled means for row i; 0 if there are none."""
    if leans:
        return turn * onto[i]
    return 0.0


def moved(offset, length, pull, reach, toward):
    """The offset after a step of this length; ``toward`` is the product of the gradient with ``lean``."""
    return offset + length * (pull * reach - toward)


def set_aside(filled, n_filled, table, width, kept):
    """Keep the coefficients of the filled columns, and begin the sums of their moves at 0."""
    for f in range(n_filled):
        at = width * int(filled[f])
        kept[f] = table[at]
        table[at] = 0.0


def put_back(filled, n_filled, d, length, table, width, kept):
    """Write the coefficients of the filled columns after a move along their direction."""
    for f in range(n_filled):
        table[width * int(filled[f])] = kept[f] - length * float(d[f])


def lazy_automatic(
    X: Reals, indices: Indices, indptr: Indices, mean: Reals, bias: Real, p: Integer,
    y: Reals, weight: Reals, weighted: Integer, order: Rows, n: Integer, batch: Integer, ahead: Integer,
    rates: Doubles, mixes: Doubles, updates: Integer, averaged: Integer,
    w: Reals, average: Doubles, inverse: Reals, filled: Indices, n_filled: Integer, shared: Reals, full: Integer,
    window: Doubles, noise: Integer, block: Function, slopes: Function, loss_numbers: Doubles,
    ridge: Double, lasso: Double, unit: Double, done: Integer, table: Doubles, held: Doubles,
    lean: Doubles, onto: Doubles, leans: Integer, at_means: Integer,
    reach: Double, unit_of_means: Double,
    work: Reals, sums: Doubles,
) -> Double:  # fmt: skip
    """One pass. ``filled``: numbers of the filled columns; ``shared``: their preconditioner; their ``inverse`` is 1.

    If it ``leans``, all columns are centred; ``onto`` has the prediction of `lean` for each row of X, not centred, and
    ``reach`` is its product with the means. The intercept is that ``at_means``, or else that at the means of the filled
    columns and at 0 of the others. ``unit_of_means`` is the unit of the turn that the window keeps, from any number on.
    The numbers of the penalty are per unit of time; ``done`` is the number of updates before the pass. Without a
    penalty the average moves where its weight is not 0, which costs the number of columns.

    Each step is taken at its whole length before the line search. Predictions before and after it give those for its
    direction, so that the entries of a batch are read three times. Only a step that is shortened takes a fourth.
    """
    most, pulls = min(batch, n), ridge > 0.0 or lasso > 0.0
    rows, kept = (X, indices, indptr), tail(table, WIDTH * p)
    before, width = tail(kept, n_filled), WIDTH if pulls else NARROW
    z, targets, s, c = tail(work, 0), tail(work, most), tail(work, 2 * most), tail(work, 3 * most)
    along, trial, ends = tail(work, 4 * most), tail(work, 5 * most), tail(work, 6 * most)
    part = tail(work, 7 * most)
    d = tail(part, n_filled + 1)
    total, entries = 0.0, 0
    # The offset is the product of the means of the columns that lean with their coefficients; if the intercept is not
    # that at their means, the change of this product.
    turn, mean_turn, offset, mean_offset = 0.0, 0.0, 0.0, 0.0
    if leans and at_means:
        for j in range(p):
            if lean[j] != 0.0:
                offset += float(mean[j]) * float(w[j])
    time, since, pace = present(window)
    for j in range(p):
        at = width * j
        table[at], table[at + SCALE] = float(w[j]), float(inverse[j])
        if pulls:
            table[at + MEAN], table[at + SEEN] = average[j], time
    for k in range(updates):
        mix = 0.0
        if averaged:
            mix = mixes[k]
        start, stop = k * batch, min((k + 1) * batch, n)
        size, pull, fall, toward = stop - start, 0.0, 0.0, 0.0
        shift = float(bias) * float(w[p]) - offset
        for f in range(n_filled):
            at = width * int(filled[f])
            if pulls:
                visit(table, at, float(shared[f]), (time, since, pace), window, ridge, lasso)
            shift -= float(mean[filled[f]]) * table[at]
        for q in range(size):
            i = order[start + q]
            if pulls:
                before[q] = shift + visit_row(rows, i, table, held, (time, since, pace), window, ridge, lasso)
            else:
                before[q] = predict(rows, i, shift - turned(i, turn, onto, leans), table, width)
            z[q] = before[q]
            take_row(i, q, y, weight, weighted, targets, s)
            sparse_request_later(rows, y, order, start + q, n, max(ahead, batch))
        sums[0] = 0.0
        sums[1] = 0.0
        invoke(block, loss_numbers, sums, size, targets, z, s, c)
        total += sums[0]
        step = step_length(rates[k], size, batch, window, noise, sums[0], sums[1])
        for q in range(size):
            i = order[start + q]
            entries += int(indptr[i + 1]) - int(indptr[i])
            pull += float(c[q]) * float(bias) / size
            toward += turned(i, float(c[q]) / size, onto, leans)
        go = 0.0
        if step > 0.0 and step < 1e308:
            set_aside(filled, n_filled, table, width, kept)
            descend(rows, order, start, size, c, step, table, width)
            for f in range(n_filled):
                part[f] = -table[width * int(filled[f])] / step - float(mean[filled[f]]) * pull
            precondition(shared, full, n_filled, part, d)
            put_back(filled, n_filled, d, step, table, width, kept)
            shift = float(bias) * (float(w[p]) - step * pull) - moved(offset, step, pull, reach, toward)
            for f in range(n_filled):
                shift -= float(mean[filled[f]]) * table[width * int(filled[f])]
            for q in range(size):
                i = order[start + q]
                after = predict(rows, i, shift - turned(i, turn - step * pull, onto, leans), table, width)
                move = (before[q] - after) / step
                along[q] = move
                fall += float(c[q]) / size * move
            if fall > 0.0:
                go = line_search(
                    step, fall, 0.0, 0.0, noise, size, targets, z, s, ends, along, trial, slopes, loss_numbers, sums
                )
            if go < step:
                descend(rows, order, start, size, c, go - step, table, width)
                put_back(filled, n_filled, d, go, table, width, kept)
        w[p] -= go * pull
        if leans:
            turn -= go * pull
            offset = moved(offset, go, pull, reach, toward)
        if go > 0.0:
            step = go
        if pulls and averaged:
            paces = window[PACES]
            keep_pace(window, done + k + 1, mix, unit)
            if window[PACES] > paces:
                if entries >= p:
                    visit_others(p, table, (time, since, pace), window, ridge, lasso)
                entries = 0
        if step < 1e308:
            window[STEPS] += step
            window[STEPS + 1] += 1.0
            window[TIME] += step * unit
        time, since, pace = present(window)
        if averaged:
            average[p] += mix * (float(w[p]) - average[p])
            if leans:
                mean_turn += mix * (turn - mean_turn)
                mean_offset += mix * (offset - mean_offset)
                window[MEAN_TURN] += mix * (window[TURN] + unit_of_means * turn - window[MEAN_TURN])
        if pulls == 0 and mix > 0.0:
            for j in range(p):
                average[j] += mix * (table[width * j] - average[j])
    if pulls:
        for f in range(n_filled):
            visit(table, WIDTH * int(filled[f]), float(shared[f]), (time, since, pace), window, ridge, lasso)
        visit_others(p, table, (time, since, pace), window, ridge, lasso)
    for j in range(p):
        at = width * j
        w[j] = table[at]
        if pulls and averaged:
            average[j] = table[at + MEAN]
    if leans:
        for j in range(p):
            w[j] -= turn * lean[j]
            if averaged:
                average[j] -= mean_turn * lean[j]
        window[TURN] += unit_of_means * turn
        if at_means == 0:
            w[p] -= offset
            average[p] -= mean_offset
    return total
