"""The minimum of other losses than the squared error, of many columns with an L1 term or bounds.

A step goes to the minimum of the parabolas that have the slopes and second derivatives of the rows at the present
parameters, plus the penalty. It is found by coordinate descent. The objective falls along the step.

References
----------
Lee, J. D., Sun, Y. and Saunders, M. A., "Proximal Newton-type methods for minimizing composite functions", SIAM Journal
on Optimization 24, 2014.
"""

from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.statistics import FULL, by_entries
from sklearn_sgd._engine.compiled.drivers.scores import step_beside
from sklearn_sgd._engine.finish.coordinates import Coordinates
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.plan import DOUBLE, Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import is_foreign

# Maximum numbers of steps, and of readings of X; part of what a step gains that its rounds may leave; share of what is
# enough at the end.
STEPS, READINGS, PART, LITTLE = 100, 500, 0.1, 0.1

# Entries of dense X of which a copy by columns is made: such a copy takes 12 bytes for each.
MOST_ENTRIES = 1 << 27

# Share of the decrease that the parabolas promise, which a step must reach; length of a step that is too short.
ENOUGH, SHORT = 1e-4, 1e-6

# What is added to second derivatives, in units of the parabolas with a minimum of 0, where these have no second
# derivative: at first, at least, and the factor after a step.
ADDED, LEAST_ADDED, FACTOR = 0.1, 1e-3, 0.1

# Loss, in units of a typical one, up to which the parabola of a row is as steep as that of this loss.
SMOOTHED = 0.3


def is_by_parabolas(plan: Plan) -> bool:
    """Return whether such steps apply: to rows here of many columns, if slopes have no jumps."""
    formulas, is_wide = plan.formulas, plan.X.shape[1] > FULL and not (plan.is_remote or is_foreign(plan.X))
    if plan.preconditioner is None or not is_wide or formulas.is_smooth or formulas.is_quadratic or formulas.has_kinks:
        return False
    fits = by_entries(plan.X) or plan.X.shape[0] * plan.X.shape[1] <= MOST_ENTRIES
    return fits and formulas.penalty.bounded_terms is not None


def curvature_beside(loss: Any, y: np.ndarray, p: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return the second derivative in the raw prediction, by a difference on one side of p, where the slope is known.

    It takes half the time of a central difference.
    """
    e = y - p
    above = p + step_beside(hasattr(loss, "inverse_link"), len(e), e @ e, p @ p, y @ y)
    return (loss.gradient(y, above) - slope) / (above - p)


def steepness(value: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return the second derivatives of the parabolas with a minimum of 0, ``slope**2 / (2 * loss)``.

    Losses are at least a share of a typical one, since kinks would need many steps.
    """
    typical = float(np.mean(value)) / max(float(np.mean(np.abs(slope))), 1e-300) * float(np.sqrt(np.mean(slope**2)))
    return slope * slope / (2.0 * np.maximum(value, max(SMOOTHED * typical, 1e-300)))


def minimum_of_parabolas(
    plan: Plan, start: tuple[np.ndarray, float], constant: float, enough: float, limit: Limit
) -> tuple[np.ndarray | None, float]:
    """Return parameters at the minimum, None if out of range, and about how much the objective is above it.

    The steps begin at the coefficients and the intercept of ``start``, or at the best constant, if that is better.
    """
    with np.errstate(all="ignore"):
        problem = Descent(plan, constant)
        problem.begin(*start)
        missing, moves, little, n_steps = np.inf, True, LITTLE * enough, 0
        while moves and missing > little and problem.at.readings < READINGS and n_steps < STEPS and not limit.is_over():
            missing, moves = problem.step(little)
            n_steps += 1
        w = problem.at.parameters(problem.intercept)
    count_rows(int(problem.at.readings * plan.n_rows))
    # Losses are not below 0.
    return (w if np.isfinite(w).all() else None), min(missing, problem.objective)


class Descent:
    """Parameters, the raw predictions with them, and the steps."""

    def __init__(self, plan: Plan, constant: float):
        self.plan, self.at, self.added = plan, Coordinates(plan), ADDED
        self.intercept = self.at.bias * constant
        self.z = self.at.columns.T @ self.at.w + self.intercept
        self.objective = self.objective_at(self.z, self.at.w)

    def begin(self, coef: np.ndarray, intercept: float) -> None:
        """Go to other parameters, if the objective is less there."""
        w = np.asarray(self.plan.parts.penalty.prox(coef.astype(DOUBLE), 0.0, ...))
        intercept += float(np.sum(self.at.taken * w))
        z = self.at.columns.T @ w + intercept
        if (objective := self.objective_at(z, w)) < self.objective:
            self.at.w[:], self.intercept, self.z, self.objective = w, intercept, z, objective

    def objective_at(self, z: np.ndarray, w: np.ndarray) -> float:
        """Return the mean loss of raw predictions, plus the penalty."""
        value = self.plan.parts.loss.value(self.at.y, z)
        return float(self.at.share @ value) + self.plan.penalty_value(np.append(w, 0.0))

    def step(self, little: float) -> tuple[float, bool]:
        """Make a step; return how far its start was above the minimum of the parabolas, and whether it has led on."""
        at, loss = self.at, self.plan.parts.loss
        value, slope = loss.value(at.y, self.z), loss.gradient(at.y, self.z)
        added = steepness(value, slope)
        bend = np.maximum(curvature_beside(loss, at.y, self.z, slope), 0.0)
        bend += self.added * (added + added.mean())
        if not bend.any():
            return self.objective, False  # All losses are 0, as within the tube of an insensitive loss.
        before, rest = at.w.copy(), np.divide(slope, bend, out=np.zeros_like(slope), where=bend > 0.0)
        at.take_parabola(at.share * bend, rest.copy())
        promised = 0.5 * float(at.shift[0]) ** 2
        gains, missing = at.minimise(little, PART)
        promised += sum(gains)
        move = -at.bias * float(at.shift[0]) / at.root
        along, d, length = at.rest - rest + move, at.w - before, 1.0
        after = self.objective_at(self.z + along, at.w)
        while not after <= self.objective - ENOUGH * length * promised:
            length *= 0.5
            at.w[:] = before + length * d
            if length < SHORT:
                at.w[:] = before
                return promised + missing, False
            after = self.objective_at(self.z + length * along, at.w)
        self.z, self.objective = self.z + length * along, after
        self.intercept += length * move
        self.added = max(self.added * (FACTOR if length == 1.0 else 1.0 / FACTOR), LEAST_ADDED)
        return promised + missing, True
