"""What is done with a batch: its predictions, losses and gradient; and the steps that all drivers share."""

from sklearn_sgd._engine.compiled.drivers.words import invoke, prefetch, tail

# Rows whose gradients are summed in X's precision.
MOST = 256


def build_accumulate(layout):
    """The sums of a batch, for a kind of rows."""
    dot, add, offset, centre = layout.dot, layout.add, layout.offset, layout.centre

    def accumulate(
        rows,
        y,
        weight,
        weighted,
        order,
        start,
        stop,
        n,
        chunk,
        ahead,
        w,
        z,
        targets,
        s,
        c,
        part,
        g,
        block,
        numbers,
        sums,
    ):
        """Predictions z, targets and weights of a batch, its losses and squared slopes in ``sums``, its gradient in g.

        Chunks of rows, which the first cache holds, are read twice: for predictions and for the gradient. Gradients of
        up to `MOST` rows or so are summed in X's precision before the sum joins one in double precision.
        """
        p = rows[6]
        for j in range(p + 1):
            g[j] = 0.0
        sums[0] = 0.0
        sums[1] = 0.0
        shift = offset(rows, w)
        head, size, summed = 0, stop - start, 0
        while head < size:
            end = min(head + chunk, size)
            for q in range(head, end):
                i = order[start + q]
                z[q] = dot(rows, i, w) + shift
                targets[q] = y[i]
                s[q] = 1.0
                if weighted:
                    s[q] = weight[i]
            invoke(block, numbers, sums, end - head, tail(targets, head), tail(z, head), tail(s, head), tail(c, head))
            if summed == 0:
                for j in range(p + 1):
                    part[j] = 0.0
            for q in range(head, end):
                later = order[min(start + q + ahead, n - 1)]
                prefetch(y, later)
                add(rows, order[start + q], c[q], part, later)
            summed += end - head
            head = end
            if summed >= MOST or head == size:
                centre(rows, part)
                for j in range(p + 1):
                    g[j] += part[j]
                summed = 0

    return accumulate


def precondition(inverse, full, p, g, d):
    """The direction of a gradient: rows of the inverse, which is symmetric, four at a time; or its diagonal."""
    if full:
        for j in range(p):
            d[j] = 0.0
        i = 0
        while i + 3 < p:
            a, b, c, e = g[i], g[i + 1], g[i + 2], g[i + 3]
            first = i * p
            for j in range(p):
                d[j] += (
                    a * inverse[first + j]
                    + b * inverse[first + p + j]
                    + c * inverse[first + 2 * p + j]
                    + e * inverse[first + 3 * p + j]
                )
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


def mix_in(average, w, size, mix):
    """Let the average follow the parameters."""
    for j in range(size):
        average[j] += mix * (w[j] - average[j])


# Attempts to shorten a step before it is left out.
TRIES = 60


# Share of the mean slope of a step that its middle must have at least. Where it has less, the slope has not fallen
# along a line, as the step takes it to do, but at once; the rest of the step goes along a tail that does not hold it.
BENT = 0.5


def slope_at(length, lean, bend, n, targets, z, s, c, along, trial, slopes, numbers, sums):
    """Slope of the batch's objective after a step, in its direction: falling, if it is negative."""
    for q in range(n):
        trial[q] = z[q] - length * along[q]
    invoke(slopes, numbers, sums, n, targets, trial, s, c)
    slope = 0.0
    for q in range(n):
        slope -= c[q] * along[q]
    return slope / n - lean + length * bend


def line_search(step, fall, lean, bend, noise, n, targets, z, s, c, along, trial, slopes, numbers, sums):
    """The step, or where it would pass the minimum of the batch's objective, the secant's guess of that minimum.

    ``fall`` is the slope of the objective at the start, downwards; ``lean`` and ``bend`` are the penalty's slope and
    curvature. By convexity no batch's objective rises. Each further guess takes the start for half as steep (the
    Illinois algorithm): the secants of a bent slope alone would creep up to the minimum.

    A batch that is not all rows may have its minimum at infinity, as counts of 0 under a logarithmic link have. Its
    step is halved until the slope falls along it as that of a parabola does, or nearly (see `BENT`).
    """
    steep, length = fall, step
    for _ in range(TRIES):
        slope = slope_at(length, lean, bend, n, targets, z, s, c, along, trial, slopes, numbers, sums)
        if slope > 1e-9 * fall:
            length *= steep / (steep + slope)
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
