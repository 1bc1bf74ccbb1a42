"""Predictions, losses and gradient of a batch, and the functions that all drivers share."""

from sklearn_sgd._engine.compiled.drivers.primitives import invoke, prefetch, tail

# Number of rows whose gradients are summed in the precision of X; more, if they have fewer entries than columns.
MOST = 256


def build_accumulate(layout):
    """Return the function that computes the sums of a batch, for a kind of rows."""
    predict, collect, offset, centre = layout.predict, layout.collect, layout.offset, layout.centre
    entries = layout.entries

    def accumulate(rows, known, reading, start, stop, w, scratch, g, loss, sums):
        """Predictions z, targets and weights of a batch, its losses and squared slopes in ``sums``, its gradient in g.

        ``known`` is ``(y, weight, weighted)``, ``scratch`` is ``(z, targets, s, c, part)``, and ``loss`` is ``(block,
        numbers)``. ``reading`` is ``(order, n, at_once, ahead)``: numbers of rows, how many there are, how many are
        processed at once, and by how many prefetches are ahead.

        Blocks of rows that fit into the first-level cache are read twice: for predictions and for the gradient. The
        gradients of about `MOST` rows are summed in the precision of X, and these sums in double precision. Adding the
        sums of sparse rows costs the number of columns, so they are of at least as many entries.
        """
        y, weight, weighted = known
        order, n, at_once, ahead = reading
        z, targets, s, c, part = scratch
        block, numbers = loss
        p, batch, last = rows[6], tail(order, start), n - 1 - start
        for j in range(p + 1):
            g[j] = 0.0
        sums[0] = 0.0
        sums[1] = 0.0
        shift = offset(rows, w)
        head, size, summed, read = 0, stop - start, 0, 0
        while head < size:
            end = min(head + at_once, size)
            predict(rows, batch, head, end, ahead, last, w, z)
            for q in range(head, end):
                z[q] += shift
                prefetch(y, batch[min(q + ahead, last)])
                take_row(batch[q], q, y, weight, weighted, targets, s)
            invoke(block, numbers, sums, end - head, tail(targets, head), tail(z, head), tail(s, head), tail(c, head))
            if summed == 0:
                for j in range(p + 1):
                    part[j] = 0.0
            collect(rows, batch, head, end, ahead, last, c, part)
            summed += end - head
            read += entries(rows, batch, head, end)
            head = end
            if (summed >= MOST and read >= p) or head == size:
                centre(rows, part)
                for j in range(p + 1):
                    g[j] += part[j]
                summed, read = 0, 0

    return accumulate


def take_row(i, q, y, weight, weighted, targets, s):
    """Write the target and the weight of row i to place q."""
    targets[q] = y[i]
    s[q] = 1.0
    if weighted:
        s[q] = weight[i]


def four(g, i):
    """Four numbers from a place on. They are read before a loop that writes elsewhere."""
    return g[i], g[i + 1], g[i + 2], g[i + 3]


def sum_of_four(numbers, matrix, place, p):
    """Sum of four numbers times four entries of a column of a matrix, from a place on."""
    a, b, c, d = numbers
    return a * matrix[place] + b * matrix[place + p] + c * matrix[place + 2 * p] + d * matrix[place + 3 * p]


def precondition(inverse, full, p, g, d):
    """Multiply a gradient by the preconditioner: eight rows of the symmetric matrix at a time, or the diagonal."""
    if full:
        for j in range(p):
            d[j] = 0.0
        i = 0
        while i + 7 < p:
            u, v, first, later = four(g, i), four(g, i + 4), i * p, (i + 4) * p
            for j in range(p):
                d[j] += sum_of_four(u, inverse, first + j, p) + sum_of_four(v, inverse, later + j, p)
            i += 8
        while i + 3 < p:
            u, first = four(g, i), i * p
            for j in range(p):
                d[j] += sum_of_four(u, inverse, first + j, p)
            i += 4
        while i < p:
            a = g[i]
            for j in range(p):
                d[j] += a * inverse[i * p + j]
            i += 1
    else:
        for j in range(p):
            d[j] = inverse[j] * g[j]
    d[p] = g[p]


def move(p, w, length, d, inverse, h, prox, penalty_numbers, sums):
    """Move the parameters along a preconditioned direction, then make the penalty's proximal step.

    With such a penalty the preconditioner is diagonal, so each coefficient has its own length, in ``h``.
    """
    for j in range(p + 1):
        w[j] -= length * d[j]
    if prox:
        for j in range(p):
            h[j] = length * inverse[j]
        invoke(prox, penalty_numbers, sums, p, w, h)


def mix_in(average, w, size, mix):
    """Update the average with the parameters."""
    for j in range(size):
        average[j] += mix * (w[j] - average[j])


# Number of attempts to shorten a step before it is omitted, and the share of a length that an attempt leaves, at least:
# the secants of slopes that grow exponentially would leave next to nothing.
TRIES, LEAST = 60, 0.1


# The slope in the middle of a step must be at least this share of the mean slope. If it is smaller, the slope did not
# fall linearly, as the step assumes, but at the beginning, and the rest of the step is along a flat tail.
BENT = 0.5


def slope_at(length, lean, bend, n, targets, z, s, c, along, trial, slopes, numbers, sums):
    """Slope of the batch's objective at the end of a step, in its direction."""
    for q in range(n):
        trial[q] = z[q] - length * along[q]
    invoke(slopes, numbers, sums, n, targets, trial, s, c)
    slope = 0.0
    for q in range(n):
        slope -= c[q] * along[q]
    return slope / n - lean + length * bend


def line_search(step, fall, lean, bend, noise, n, targets, z, s, c, along, trial, slopes, numbers, sums):
    """The length of a step; if it would pass the minimum of the batch's objective, the secant estimate of that.

    ``fall`` is the descent rate at the start; ``lean`` and ``bend`` are the slope and the curvature of the penalty. If
    the objective is convex, it does not rise. For each further estimate the slope at the start is halved (the Illinois
    algorithm), because the secants of a curved slope alone would converge slowly.

    A batch that is not all rows may have its minimum at infinity, for example counts of 0 with the log link. Its step
    is halved until the slope falls along it nearly as that of a parabola does (see `BENT`).
    """
    steep, length = fall, step
    for _ in range(TRIES):
        slope = slope_at(length, lean, bend, n, targets, z, s, c, along, trial, slopes, numbers, sums)
        if slope > 1e-9 * fall:
            length *= max(LEAST, steep / (steep + slope))
            steep *= 0.5
        else:
            if noise == 0 or slope < -0.5 * fall:
                return length
            half = slope_at(0.5 * length, lean, bend, n, targets, z, s, c, along, trial, slopes, numbers, sums)
            if half <= 0.5 * BENT * (slope - fall):
                return length
            length *= 0.5
            steep = fall
    return 0.0
