"""A block of samples is added to the sums of `scores.sums`, in two parts: between them the width of kernels is found.

Samples are seen less the centre, and with a last feature of 1 if there is an intercept.
"""

from math import exp, sqrt

from sklearn_sgd._engine.compiled.drivers.loops import BLOCK
from sklearn_sgd._engine.compiled.drivers.primitives import Double, Doubles, Function, Integer, invoke, tail
from sklearn_sgd._engine.compiled.drivers.vectors import (
    add_multiple,
    bumps,
    count_above,
    differ,
    dot,
    gather,
    log_sizes,
    multiply,
    predict,
    project,
    scale_symmetric,
    solve_symmetric,
    sum_of_ratios,
    weighted_products,
)

# What is stored for each sample: its prediction, the slope and the second derivative of its loss, its slope after the
# step, its weighted second derivative, the square of its distance in units of parameters; and scratch memory.
ROWS = 8

# What is stored for each parameter: the slope of the block's losses; that of the parabolas of earlier samples without
# ``slope``; that of all, with the penalty's; the scale of the equations, and their right-hand side.
STEP = 5

# Results, of the first part and of the second.
SEEN, FOUND = 4, 5

# Step of a difference on one side, in units of the residuals; the least step, in units of the numbers that are
# subtracted.
BESIDE, LEAST = 1e-6, 1e-11

# Results for each parameter: where the sums are, `product`, `slope` and `squares`.
NEW = 4


def work_size(k: int) -> int:
    """Size of the scratch memory for k parameters."""
    return work_of_products(k) + 2 * k


def work_of_products(k: int) -> int:
    """The part of it for products."""
    return (6 + k) * BLOCK


def sum_block(
    X: Doubles, n: Integer, p: Integer, k: Integer, centre: Doubles, c: Doubles, d: Doubles, g: Doubles,
    inverse: Doubles, work: Doubles, first: Doubles, second: Doubles, score: Doubles, sizes: Doubles, squares: Doubles,
) -> Double:  # fmt: skip
    """Write the sums of a block of samples for numbers g, and those of `weighted_products`; return 0."""
    gather(X, n, p, k, centre, g, score)
    weighted_products(X, n, p, k, centre, c, d, inverse, work, first, second, sizes, squares)
    return 0.0


def see_block(
    slopes: Function, loss_numbers: Doubles, X: Doubles, n: Integer, p: Integer, k: Integer, y: Doubles, s: Doubles,
    ones: Doubles, centre: Doubles, at: Doubles, curvature: Doubles, product: Doubles, slope: Doubles,
    scatter: Doubles, pull: Doubles, bend: Doubles, ridge: Double, limit: Double, jumps: Integer, rows: Doubles,
    step: Doubles, scaled: Doubles, found: Doubles,
) -> Double:  # fmt: skip
    """Write predictions and slopes at ``at``, and the equations for a step from there to the minimum.

    Return how many slopes are larger than their standard deviations times ``limit``. Write to ``found``, if there are
    ``jumps``, the sum of logarithms of residuals, else the sums of squares of residuals, predictions and targets.
    """
    predictions, g, work = rows, tail(rows, n), tail(rows, 2 * n)
    more, off, total, scale, right = step, tail(step, k), tail(step, 2 * k), tail(step, 3 * k), tail(step, 4 * k)
    predict(X, n, p, k, centre, at, predictions)
    invoke(slopes, loss_numbers, found, n, y, predictions, ones, g)
    multiply(n, s, g, work)
    gather(X, n, p, k, centre, work, more)
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
    slopes: Function, loss_numbers: Doubles, X: Doubles, n: Integer, p: Integer, k: Integer, y: Doubles, s: Doubles,
    ones: Doubles, centre: Doubles, moves: Integer, quadratic: Integer, canonical: Integer, side: Double,
    jumps: Doubles, n_jumps: Integer, large: Double, at: Doubles, curvature: Doubles, product: Doubles,
    slope: Doubles, scatter: Doubles, squares: Doubles, rows: Doubles, step: Doubles, scaled: Doubles, new: Doubles,
    new_curvature: Doubles, new_scatter: Doubles, found: Doubles, work: Doubles,
) -> Double:  # fmt: skip
    """Go towards the minimum, and write the sums with the block; return how many of its samples have a large leverage.

    No parameter moves if ``moves`` is 0, or if the sums have no minimum. The second derivatives of the losses are 1 for
    the squared error, else differences between the predictions and a step to the ``side`` of them; if this is 0, bumps
    where the slope jumps.
    ``found`` are the squared distances by which old and new parabolas are farther away, what the sum of squared
    residuals gains by the way, the squared Pearson residuals of the block for the squared error and losses with a
    ``canonical`` link, and a number that is finite if all sums are.
    """
    predictions, g, c, score, weighted = rows, tail(rows, n), tail(rows, 2 * n), tail(rows, 3 * n), tail(rows, 4 * n)
    sizes, along, there = tail(rows, 5 * n), tail(rows, 6 * n), tail(rows, 7 * n)
    fall = direct(k, moves, step, scaled, new_curvature, new)
    predict(X, n, p, k, centre, new, along)
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
    found[3] = dot(n, there, score) if quadratic else 0.0
    if canonical:
        found[3] = sum_of_ratios(n, s, g, c)
    multiply(n, there, there, there)
    inverse, new_squares = tail(work, work_of_products(k)), tail(new, 3 * k)
    for j in range(k):
        inverse[j] = 1.0 / curvature[j * k + j] if curvature[j * k + j] > 0.0 else 0.0
    weighted_products(
        X, n, p, k, centre, weighted, there, inverse, work, new_curvature, new_scatter, sizes, new_squares
    )
    move(k, length, quadratic, at, curvature, product, slope, step, new, new_curvature, found, work)
    add_multiple(k * k, curvature, 1.0, new_curvature, new_curvature)
    add_multiple(k * k, scatter, 1.0, new_scatter, new_scatter)
    add_multiple(k, squares, 1.0, new_squares, new_squares)
    found[4] = 0.0
    for j in range(k):
        found[4] += new_curvature[j * k + j] + new_scatter[j * k + j] + new[2 * k + j]
    return count_above(n, weighted, sizes, large)


def count_block(
    slopes: Function, loss_numbers: Doubles, X: Doubles, n: Integer, p: Integer, k: Integer, y: Doubles, s: Doubles,
    ones: Doubles, centre: Doubles, at: Doubles, curvature: Doubles, product: Doubles, slope: Doubles,
    scatter: Doubles, squares: Doubles, pull: Doubles, bend: Doubles, ridge: Double, limit: Double, large: Double,
    quadratic: Integer, linked: Integer, canonical: Integer, jumps: Doubles, n_jumps: Integer, size: Double,
    weight: Double, rows: Doubles, step: Doubles, scaled: Doubles, new: Doubles, new_curvature: Doubles,
    new_scatter: Doubles, found: Doubles, work: Doubles,
) -> Double:  # fmt: skip
    """Both parts at once, for slopes with one jump at most; return -1 after the first part if the minimum is far.

    It is if parabolas may be wrong there. The widths of the ``jumps`` are in a unit of the residuals; its logarithm is
    ``size`` and the sum over the block, divided by the ``weight`` of all samples.
    """
    seen, side = tail(found, FOUND), 0.0
    far = see_block(
        slopes, loss_numbers, X, n, p, k, y, s, ones, centre, at, curvature, product, slope, scatter, pull, bend, ridge,
        limit, n_jumps, rows, step, scaled, seen,
    )  # fmt: skip
    if far > 0.0 and not quadratic:
        return -1.0
    if n_jumps:
        unit = exp((size + seen[0]) / weight)
        for j in range(n_jumps):
            jumps[3 * j + 1] *= unit
            jumps[3 * j + 2] *= 1.0 / unit
    elif not quadratic:
        side = step_beside(linked, n, seen[1], seen[2], seen[3])
    return add_block(
        slopes, loss_numbers, X, n, p, k, y, s, ones, centre, 1, quadratic, canonical, side, jumps, n_jumps, large, at,
        curvature, product, slope, scatter, squares, rows, step, scaled, new, new_curvature, new_scatter, found, work,
    )  # fmt: skip


def step_beside(linked, n, of_residuals, of_predictions, of_targets):
    """The length of a step from predictions, for a difference on one side, from sums of squares of n samples.

    With a link, raw predictions have the unit 1, and not that of the targets.
    """
    if linked:
        return max(BESIDE, LEAST * sqrt(of_predictions))
    step = max(BESIDE * sqrt(of_residuals / n), LEAST * sqrt(max(of_predictions, of_targets)))
    return step if step > 0.0 else 1.0


def direct(k, moves, step, scaled, work, way):
    """Write the direction of a step, and return the decrease that it promises."""
    total, scale, right = tail(step, 2 * k), tail(step, 3 * k), tail(step, 4 * k)
    fall, is_solved = 0.0, 0.0
    if moves:
        is_solved = solve_symmetric(k, scaled, right, work, way)
    for j in range(k):
        way[j] = -scale[j] * way[j] if is_solved else 0.0
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
    new_at, new_product, new_slope, way, vector = new, tail(new, k), tail(new, 2 * k), work, tail(work, k)
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
