"""Full batches of losses whose curvature varies: each epoch has the geometry of rows weighted by their curvature."""

from functools import partial

import numpy as np
from scipy import linalg

from sklearn_sgd._engine.automatic.final_step import WORTH, gain_by_chance, rounding_of
from sklearn_sgd._engine.automatic.geometry import Geometry
from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.baseline import SAMPLE, factor_along
from sklearn_sgd._engine.passes import device
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.passes.rows import as_rows, less_mean
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.preparation.columns import StepMaker, balanced_columns
from sklearn_sgd._engine.preparation.curvatures import reweighted_statistics
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import dtype_of, is_foreign

# Distance from its prediction at which the curvature of a row is evaluated, in units of the typical residual: the
# least, the largest, and the factor from epoch to epoch. It falls after an epoch that lowers the objective by the last
# number, as a share, and grows after others.
ASIDE, FARTHEST, WIDER, CALM = 0.01, 1.0, 10.0, 1e-5


class Reweighting:
    """The geometries of the epochs of a descent.

    They are those of a sample of rows, until a step is stopped early: by rows that the sample lacks, or at whose
    predictions the loss is flat. Then those of all rows follow, at a growing distance from their predictions.
    """

    def __init__(self) -> None:
        self.sampled, self.aside, self.objective = True, ASIDE, np.inf

    def begin(self, plan: Plan, state: State, was_stopped: bool) -> tuple[Plan, float]:
        """Return the plan of an epoch, and the length of its steps."""
        self.sampled = self.sampled and not was_stopped
        return reweighted(plan, state, self.sampled, self.aside)

    def end(self, objective: float) -> None:
        """Note the objective of an epoch."""
        falls = self.objective == np.inf or objective < self.objective - CALM * abs(self.objective)
        self.aside = min(max(self.aside / WIDER if falls else self.aside * WIDER, ASIDE), FARTHEST)
        self.objective = objective


def reweighted(plan: Plan, state: State, sampled: bool, aside: float) -> tuple[Plan, float]:
    """Return the plan with rows weighted by the curvature of their losses at the parameters; the length of steps.

    As in iteratively reweighted least squares, a row with a small curvature should not shape the step.
    """
    intercept, w = bool(plan.data.rows.bias), state.vectors.coef
    if is_foreign(plan.X):
        statistics, counted, curvature, length = device.AllRows(plan).reweighted_statistics(w, aside)
    else:
        statistics, counted, curvature, length = reweighted_statistics(plan, w, sampled, aside)
    if statistics.counts is not None:
        assert state.statistics is not None
        statistics = balanced_columns(statistics, *counted)._replace(centred=state.statistics.centred)
    centre = statistics.centre if intercept else np.zeros(len(statistics.mean))
    state.recentre(centre)
    rows = less_mean(as_rows(plan.X, intercept), centre.astype(dtype_of(plan.X)))
    plan = plan._replace(data=plan.data._replace(rows=rows))
    make = partial(StepMaker(counted, plan.formulas, intercept, curvature), statistics)
    if is_foreign(plan.X):
        step = make(follows=True)
    elif aside > ASIDE:
        # Curvatures that far from the predictions are too small to measure what is missing.
        step = make(follows=plan.follows)
    else:
        step = make(follows=False)
        hidden, null, loss = _hidden(plan, state, step.geometry, curvature)
        if follows := hidden > WORTH * loss:
            step, hidden = make(follows=True), null
        plan = plan._replace(hidden=hidden, follows=follows)
    if plan.is_parabola:
        parabola = NormalMatrix.of_curvature(statistics, curvature, 0.0 if intercept else statistics.mean)
        plan = plan._replace(parabola=parabola, curvature=curvature)
    return plan._replace(preconditioner=step.preconditioner), length


def _hidden(plan: Plan, state: State, geometry: Geometry | None, curvature: float) -> tuple[float, float, float]:
    """Return what is missing to the minimum along directions of nearly dependent columns, and the mean loss.

    Between them is what is missing along null directions, which steps never follow. What noise alone would gain is not
    missing.
    """
    dtype = dtype_of(plan.X)
    if geometry is None or (wide := geometry.without_dependent(dtype)) is geometry:
        return 0.0, 0.0, 0.0
    losses, squares, g = all_rows(plan)(plan.data, plan.used, plan.parts.loss).gradient(state.vectors.coef)
    loss, slope = losses / plan.weight, float(np.sqrt(squares / plan.weight))
    rounding = rounding_of(geometry, dtype, slope, state.centre)
    missing, by_chance = geometry.hidden(g[:-1], rounding, dtype), gain_by_chance(geometry, wide, loss, plan.weight)
    null = _missing_along_null(plan, state.centre, geometry, g[:-1], rounding) if missing else 0.0
    missing, null = (part / curvature if part / curvature > by_chance else 0.0 for part in (missing, null))
    return missing, null, loss


def _missing_along_null(plan: Plan, centre: np.ndarray, geometry: Geometry, g: np.ndarray, rounding: float) -> float:
    """Return what is missing to the minimum along null directions, with the variances of predictions along them.

    The covariances show only that these variances are small. Those of predictions have twice as many digits.
    """
    directions = geometry.null_directions()
    if not directions.shape[1]:
        return 0.0
    some = plan.used if plan.is_remote else np.ascontiguousarray(plan.used[:: -(-plan.n_rows // SAMPLE)])
    factor, weight = factor_along(plan.data, some, plan.X, centre, directions)
    values, vectors = linalg.svd(factor / np.sqrt(weight), full_matrices=False)[1:]
    slopes = vectors @ (directions.T @ g)
    known = (abs(slopes) > rounding) & (values > 0.0)
    return 0.5 * float(np.sum((slopes[known] / values[known]) ** 2))
