"""A block of samples is added to the sums of `scores.sums`, in two parts: between them LAPACK solves for the step.

The block is stored by columns, less the centre, and with a last column of ones if there is an intercept.
"""

from sklearn_sgd._engine.compiled.drivers.loops import STRETCH
from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Function, Integer, invoke, tail
from sklearn_sgd._engine.compiled.drivers.vectors import (
    add_multiple,
    bumps,
    combine,
    count_above,
    differ,
    dot,
    lay_out,
    log_sizes,
    multiply,
    project,
    scale_symmetric,
    weighted_products,
)

# What is stored for each sample: its prediction, the slope and the second derivative of its loss, its slope after the
# step, its weighted second derivative, the square of its distance in units of parameters; and scratch memory.
ROWS = 8

# What is stored for each parameter: the slope of the block's losses; that of the parabolas of earlier samples without
# ``slope``; that of all, with the penalty's; the scale of the equations, and their right-hand side.
STEP = 5

# Results for each parameter: where the sums are, `product`, `slope` and `squares`. Scratch memory for the rest.
NEW, WORK = 4, 2 * STRETCH


def see_block(
    slopes: Function, loss_numbers: Doubles, X: Doubles, n: Integer, p: Integer, k: Integer, y: Doubles, s: Doubles,
    ones: Doubles, centre: Doubles, at: Doubles, curvature: Doubles, product: Doubles, slope: Doubles,
    scatter: Doubles, pull: Doubles, bend: Doubles, ridge: Double, limit: Double, jumps: Integer, design: Doubles,
    rows: Doubles, step: Doubles, scaled: Doubles, found: Doubles,
) -> Double:  # fmt: skip
    """Write the block, predictions and slopes at ``at``, and the equations for a step from there to the minimum.

    Return how many slopes are larger than their standard deviations times ``limit``. Write to ``found``, if there are
    ``jumps``, the sum of logarithms of residuals, else the sums of squares of residuals, predictions and targets.
    """
    predictions, g, work = rows, tail(rows, n), tail(rows, 2 * n)
    more, off, total, scale, right = step, tail(step, k), tail(step, 2 * k), tail(step, 3 * k), tail(step, 4 * k)
    lay_out(X, n, p, k, centre, design)
    combine(design, k, n, at, predictions)
    invoke(slopes, loss_numbers, found, n, y, predictions, ones, g)
    multiply(n, s, g, work)
    project(design, k, n, work, more)
    project(curvature, k, k, at, off)
    scale_symmetric(k, curvature, bend, ridge, scale, scaled)
    far = 0.0
    for j in range(k):
        off[j] -= product[j]
        total[j] = off[j] + slope[j] + more[j] + pull[j]
        right[j] = scale[j] * total[j]
        far += 1.0 if total[j] * total[j] > limit * limit * scatter[j * k + j] else 0.0
    if jumps:
        found[0] = log_sizes(n, s, y, predictions)
    else:
        add_multiple(n, y, -1.0, predictions, work)
        found[1], found[2], found[3] = dot(n, work, work), dot(n, predictions, predictions), dot(n, y, y)
    return far


def add_block(
    slopes: Function, loss_numbers: Doubles, n: Integer, k: Integer, y: Doubles, s: Doubles, ones: Doubles,
    quadratic: Integer, side: Double, jumps: Doubles, n_jumps: Integer, large: Double, at: Doubles,
    curvature: Doubles, product: Doubles, slope: Doubles, scatter: Doubles, design: Doubles, rows: Doubles,
    step: Doubles, solved: Doubles, new: Doubles, new_curvature: Doubles, new_scatter: Doubles, found: Doubles,
    work: Doubles,
) -> Double:  # fmt: skip
    """Go towards the minimum, and write the sums with the block; return how many of its samples have a large leverage.

    ``solved`` is the solution of the scaled equations. The second derivatives of the losses are 1 for the squared
    error, else differences between the predictions and a step to the ``side`` of them; if this is 0, bumps where the
    slope jumps.
    ``found`` are the squared distances by which old and new parabolas are farther away, what the sum of squared
    residuals gains by the way, the squared error of the block, and a number that is finite if all sums are.
    """
    predictions, g, c, score, weighted = rows, tail(rows, n), tail(rows, 2 * n), tail(rows, 3 * n), tail(rows, 4 * n)
    sizes, along, there = tail(rows, 5 * n), tail(rows, 6 * n), tail(rows, 7 * n)
    fall = direct(k, step, solved, new)
    combine(design, k, n, new, along)
    if quadratic:
        multiply(n, ones, ones, c)
    elif side == 0.0:
        bumps(n, y, predictions, n_jumps, jumps, c)
    else:
        add_multiple(n, predictions, side, ones, there)
        invoke(slopes, loss_numbers, found, n, y, there, ones, c)
        differ(n, c, g, there, predictions, c)
    multiply(n, s, c, weighted)
    multiply(n, weighted, along, there)
    length = length_of(fall, dot(n, there, along))
    add_multiple(n, predictions, length, along, there)
    invoke(slopes, loss_numbers, found, n, y, there, ones, score)
    multiply(n, s, score, there)
    found[3] = dot(n, there, score)
    multiply(n, there, there, there)
    inverse, squares = work, tail(new, 3 * k)
    for j in range(k):
        inverse[j] = 1.0 / curvature[j * k + j] if curvature[j * k + j] > 0.0 else 0.0
    weighted_products(
        design, k, n, weighted, there, inverse, tail(work, 3 * k), new_curvature, new_scatter, sizes, squares
    )
    move(k, length, quadratic, at, curvature, product, slope, step, new, new_curvature, found, work)
    add_multiple(k * k, curvature, 1.0, new_curvature, new_curvature)
    add_multiple(k * k, scatter, 1.0, new_scatter, new_scatter)
    found[4] = 0.0
    for j in range(k):
        found[4] += new_curvature[j * k + j] + new_scatter[j * k + j] + new[2 * k + j]
    return count_above(n, weighted, sizes, large)


def direct(k, step, solved, way):
    """Write the direction of a step, and return the decrease that it promises."""
    total, scale = tail(step, 2 * k), tail(step, 3 * k)
    fall = 0.0
    for j in range(k):
        way[j] = -scale[j] * solved[j]
        fall -= way[j] * total[j]
    return fall


def length_of(fall, bend):
    """The length of a step to the minimum, of which ``fall`` knows earlier samples only; 0 if there is none."""
    length = fall / (fall + bend) if fall > 0.0 else 0.0
    return length if length > 0.0 and length <= 1.0 else 0.0


def move(k, length, quadratic, at, curvature, product, slope, step, new, block, found, work):
    """Move the sums by a share of a way, and add the block with such a sum of second derivatives to the vectors.

    Parabolas are exact for the squared error, so that a block may as well be seen where its scores are.
    """
    more, off = step, tail(step, k)
    new_at, new_product, new_slope, way, vector = new, tail(new, k), tail(new, 2 * k), tail(work, k), tail(work, 2 * k)
    for j in range(k):
        way[j] = length * new[j]
        new_at[j] = at[j] + way[j]
    project(curvature, k, k, way, vector)
    found[0] = dot(k, way, vector) + 2.0 * dot(k, way, off)
    found[2] = found[0] + 2.0 * dot(k, way, slope)
    project(block, k, k, way, vector)
    found[1] = 0.0 if quadratic else dot(k, way, vector)
    project(block, k, k, at, way)
    for j in range(k):
        drift = vector[j] if quadratic else 0.0
        new_slope[j] = slope[j] + more[j] + drift
        new_product[j] = product[j] + way[j] + drift
