"""The minimum of the losses of a block of rows and of the sums of earlier rows, by Newton's method."""

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.finish.proximal_newton import curvature_beside, steepness
from sklearn_sgd._engine.scores.block import Block, design_of
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.products import Root, weighted_product
from sklearn_sgd._engine.scores.sums import FIRST, TOGETHER, Sums

# Steps to a minimum at most; gain of a step, in units of what noise alone would gain, at which it is reached, for exact
# standard errors and for coefficients, which are improved later.
STEPS, LITTLE, ROUGH = 100, 0.01, 0.1

# Share of the decrease that the slope promises, which a step must reach; length of a step that is too short to go on.
ENOUGH, SHORT = 1e-4, 1e-6


def minimum_with(sums: Sums, objective: Objective, block: Block) -> np.ndarray:
    """Return the parameters at the minimum of the parabolas of earlier rows and the losses of a block.

    No step raises the objective. The second derivative of a row is at least that of the parabola with a minimum of 0,
    ``slope**2 / (2 * loss)``, so that rows far away and kinks have one. Of a large block some rows are first.
    """
    every = max(1, len(block.y) // max(TOGETHER, FIRST * len(sums.at)))
    if every > 1:
        sums = sums._replace(at=minimum_with(sums, objective, block.every(every)))
    (X, y, s, *_), loss, w, weight = block, objective.loss, sums.at, float(block.s.sum())
    Z, some = design_of(sums, X), slice(None, None, every)
    for _ in range(STEPS):
        p = Z @ w
        g, v = (np.asarray(values, dtype=np.float64) for values in (loss.gradient(y, p), loss.value(y, p)))
        c = steepness(v, g)
        if not len(sums.jumps):
            c = np.maximum(c, curvature_beside(loss, y, p, g))
        pull, bend = objective.pull(w, len(sums.centre))
        slope = sums.gradient(objective, w)[0] + (s * g) @ Z + weight * pull
        curvature = weighted_product(Z, s * c)
        scatter = every * weighted_product(Z[some], np.square(s * g)[some])
        try:
            root = Root.of(sums.curvature + curvature, (sums.weight + weight) * bend)
            d, noise = -root.solve(slope), root.noise(sums.scatter + scatter)
        except (ValueError, linalg.LinAlgError):
            return w
        fall = -float(slope @ d)
        if not fall > (LITTLE if sums.is_exact else ROUGH) * noise:
            return w
        along, now, length = Z @ d, sums.value(objective, w, weight) + float(s @ v), 1.0
        while True:
            after = sums.value(objective, w + length * d, weight) + float(s @ loss.value(y, p + length * along))
            if after <= now - ENOUGH * length * fall:
                break
            length *= 0.5
            if length < SHORT:
                return w
        w = w + length * d
    return w
