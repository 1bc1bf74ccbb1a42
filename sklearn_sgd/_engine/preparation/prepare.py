"""What happens before a descent: rows are selected, the states learn what data show, and plans are made of both."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sklearn_sgd import schedules
from sklearn_sgd._engine.automatic.lean import Lean
from sklearn_sgd._engine.automatic.preconditioner import Step
from sklearn_sgd._engine.automatic.statistics import (
    FILLED,
    FULL,
    ColumnStatistics,
    by_entries,
)
from sklearn_sgd._engine.automatic.step_size import (
    automatic_batch_size,
    automatic_rates,
    decay_limit,
    variance_reduced_rate,
)
from sklearn_sgd._engine.baseline import (
    best_constant,
    first_direction,
    raw_predictions,
    targets_and_weights,
)
from sklearn_sgd._engine.passes import variance_reduced
from sklearn_sgd._engine.passes.normal import normals_for_schedule
from sklearn_sgd._engine.passes.passive_aggressive import is_passive_aggressive
from sklearn_sgd._engine.passes.rows import as_rows, in_one_piece, less_mean
from sklearn_sgd._engine.plan import Data, Plan, row_numbers
from sklearn_sgd._engine.preparation.columns import Selection, leans, learn_columns, prior_of_means
from sklearn_sgd._engine.preparation.curvatures import of_sample, sample_of, size_of_sample
from sklearn_sgd._engine.preparation.least_squares import moments_by_readings, size_for_readings
from sklearn_sgd._engine.preparation.outliers import limit_far_targets, limit_first_targets
from sklearn_sgd._engine.preparation.ridge_unit import depends_on_targets, ridge_unit
from sklearn_sgd._engine.preparation.wide import Wide
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import doubled, dtype_of, host, is_foreign, like, namespace, take, total

# Change of a prediction with its raw prediction, in units of that at 0, below which there is none.
EDGE = 1e-12


def select(X, targets, weight, train: np.ndarray | None) -> Selection:
    """All rows, or those to ``train`` on; not those of weight 0."""
    kept = train
    if weight is not None and train is not None:
        among = np.isin(np.arange(X.shape[0]), train)
        weight = namespace(weight).where(among if not is_foreign(X) else like(among, X) > 0, weight, like(0.0, weight))
    if weight is not None and not bool(namespace(weight).all(weight != 0)):
        kept = np.flatnonzero(host(weight != 0))
    if kept is None:
        return Selection(X, targets, weight, None)
    if is_foreign(X):
        # On a device, rows are left out once, by a copy, and not by their numbers in each pass.
        return Selection(take(X, kept), take(targets, kept), None if weight is None else take(weight, kept), None)
    return Selection(X, targets, weight, kept.astype(row_numbers(X.shape[0]).dtype))


def _is_filled(X) -> bool:
    """Whether X is sparse with many columns, but most entries are stored, so that an array takes about as much memory.

    Statistics of entries hide how columns are correlated, by which the minimum of an array is found.
    """
    return by_entries(X) and X.nnz >= FILLED * X.shape[0] * X.shape[1]


def make_plans(
    recipe: Recipe,
    X,
    targets,
    weight,
    states: Sequence[State],
    train: np.ndarray | None = None,
    stream: bool = False,
) -> list[Plan]:
    """Plans for each target: for all rows, those to ``train`` on, or a part of a ``stream``.

    The states learn what data show before the descent: the scale of weights and, for the automatic step, the columns.
    """
    if recipe.automatic and not stream and _is_filled(X):
        X = X.toarray()
    if len(states) > 1 and recipe.automatic and not stream and depends_on_targets(recipe.formulas):
        # Each target has a step of its own.
        each = [(targets[:, target : target + 1], state) for target, state in enumerate(states)]
        return [make_plans(recipe, X, y, weight, [state], train)[0] for y, state in each]
    rows = select(X, targets, weight, train)
    params, formulas = recipe.params, recipe.formulas
    _refuse_foreign(recipe, rows.X)
    batch_size = batch_size_for(params, rows.X, rows.n_rows)
    first, *others = states
    for state in states:
        state.keep_intercept(params["fit_intercept"])
    weights, normals, wide = in_one_piece(first.weigh(rows.weight, rows.X)), None, None
    automatic = recipe.automatic and rows.n_rows > 0
    if automatic:
        noise = batch_size < rows.n_rows
        wide = None if stream else _wide(recipe, rows, weights)
        known = None if stream else wide.columns if wide else _found(recipe, rows, weights, noise)
        curvature = ridge_unit(recipe, states, rows.X, rows.targets, weights, rows.row_indices)
        learn_columns(recipe, rows._replace(weight=weights), first, curvature, stream, noise, known)
        # Steps with a factor need more digits than products about 0 have.
        if not stream and first.knows_targets and first.step.preconditioner.factor is None:  # type: ignore[union-attr]
            normals = [first.normal_matrix(target) for target in range(len(states))]
    else:
        first.forget_columns()
        normals = None if stream else normals_for_schedule(recipe, rows, weights, batch_size)
    for other in others:
        other.follow(first)
    shared = build_plan(recipe, rows, weights, batch_size, stream, first if automatic else None)
    plans = []
    if shared.searches:
        shared = shared._replace(searches=first.statistics is not None and first.statistics.sampled)
    for target, state in enumerate(states):
        data = shared.data._replace(y=in_one_piece(rows.targets[:, target]))
        plan = shared._replace(data=data, normal=normals[target] if normals else None)
        if wide:
            plan = plan._replace(minimum=wide.minimum(plan, params["tol"]))
        if formulas.has_bounded_slopes and not plan.is_remote:
            if not stream:
                plan = limit_far_targets(plan)
            elif automatic:
                plan = limit_first_targets(plan, state)
        if automatic and state.fresh:
            _start(plan, stream, state)
        elif state.coef_before is not None:
            state.count_excess(*_excess(plan, state))
        state.prepare(formulas.moments, recipe.parts.penalty, from_average=not plan.average_from)
        plans.append(plan)
    return plans


def plan_of_some(data: tuple[Recipe, Any, Any, Any], target: int, rows: Any, state: State) -> Plan:
    """The plan of a target for some rows alone; the state learns the columns of these. No short batch is dropped.

    ``data`` has the first arguments of `make_plans`; ``rows`` are numbers, or remote rows.
    """
    recipe, X, targets, weight = data
    if isinstance(rows, RemoteRows):
        X, rows = rows, None
    recipe = recipe._replace(params=recipe.params | {"drop_last": False})
    return make_plans(recipe, X, targets[:, target : target + 1], weight, [state], rows)[0]


def build_plan(
    recipe: Recipe, rows: Selection, weights, batch_size: int, stream: bool, state: State | None = None
) -> Plan:
    """The plan that all targets have in common; without a state, which has the automatic step, that of the schedule."""
    params, noise = recipe.params, stream or batch_size < rows.n_rows
    step = state.step if state else None
    half_life = params["half_life"] if stream else None
    limit = decay_limit(half_life, batch_size, recipe.automatic) if half_life else np.inf
    used, schedule = as_rows(rows.X, params["fit_intercept"]), recipe.schedule
    many = size_of_sample(rows.X, rows.n_rows) is not None
    if state and step:
        used = less_mean(used, state.centre.astype(dtype_of(rows.X)))
        if noise and leans(recipe) and step.preconditioner.filled is not None and state.statistics:
            prior = prior_of_means(recipe) if stream else 0.0
            lean = Lean.of(state.statistics, step.preconditioner.inverse, prior)
            used = used.leaning(lean, at_means=state.statistics.centred)
        schedule = _automatic_schedule(recipe, rows, used, weights, batch_size, noise, limit, step)
    return Plan(
        X=rows.X,
        data=Data(used, None, weights),
        row_indices=rows.row_indices,
        n_rows=rows.n_rows,
        schedule=schedule,
        preconditioner=step.preconditioner if step else None,
        normal=None,
        parts=recipe.parts,
        formulas=recipe.formulas,
        finishes=recipe.finishes,
        batch_size=batch_size,
        noise=noise,
        shuffle=False if stream else params["shuffle"],
        drop_last=params["drop_last"],
        average_from=recipe.average_from(noise),
        decay_limit=limit,
        searches=bool(step and many and step.preconditioner.is_full) and not recipe.formulas.is_quadratic,
        settles=stream and step is not None and step.shares is None and not (half_life or recipe.formulas.is_quadratic),
    )


def _found(recipe: Recipe, rows: Selection, weights, noise: bool) -> ColumnStatistics | None:
    """Moments of many rows where a sample shows enough: for the squared error with a few readings of all rows."""
    params, formulas, X = recipe.params, recipe.formulas, rows.X
    ends = recipe.finishes and formulas.is_smooth and not recipe.remembers
    if not formulas.is_quadratic and (ends or not noise):
        return of_sample(X, rows.row_indices, weights)
    needed = recipe.finishes and formulas.has_linear_gradient and not params["inference"]
    if not needed or type(X) is not np.ndarray or X.shape[1] > FULL or rows.targets.shape[1] > 1:
        return None
    size = size_for_readings(rows.n_rows, X.shape[1])
    if size is None:
        return None
    plan = build_plan(recipe, rows, weights, rows.n_rows, False)
    y = in_one_piece(rows.targets[:, 0])
    return moments_by_readings(plan._replace(data=plan.data._replace(y=y)), params["tol"], size)


def _wide(recipe: Recipe, rows: Selection, weights) -> Wide | None:
    """What the minimum is sought with before the descent: of the squared error of dense rows of many columns."""
    X, is_linear = rows.X, recipe.finishes and recipe.formulas.has_linear_gradient
    if not (is_linear and type(X) is np.ndarray and X.shape[1] > FULL and rows.n_rows > 1):
        return None
    return Wide.of(build_plan(recipe, rows, weights, rows.n_rows, False))


def stream_schedule(plan: Plan, step: Step) -> Callable:
    """The rates of the automatic step in a stream."""
    return automatic_rates(step, plan.batch_size, plan.decay_limit)


def _refuse_foreign(recipe: Recipe, X) -> None:
    """Refuse arrays of other libraries where steps go row by row."""
    if is_foreign(X) and (recipe.remembers or is_passive_aggressive(recipe.parts.optimizer)):
        params = recipe.params
        raise ValueError(
            f"optimizer={params['optimizer']!r} with learning_rate={params['learning_rate']!r} uses single samples, "
            "which needs arrays of NumPy or SciPy: use another, or convert X and y."
        )


def batch_size_for(params, X, n_rows: int) -> int:
    """Return the number of rows in a step."""
    size = params["batch_size"]
    if size == "auto":
        size = automatic_batch_size(X.nnz // X.shape[0] if by_entries(X) else X.shape[1], n_rows)
    if params["drop_last"] and n_rows < (size or 1):
        raise ValueError(
            f"drop_last=True leaves no batch: batch_size={size} is more than the {n_rows} samples. "
            "Use a smaller batch_size, or drop_last=False."
        )
    return max(1, min(size or n_rows, n_rows))


def _automatic_schedule(
    recipe: Recipe, rows: Selection, centred, weights, batch_size: int, noise: bool, limit: float, step: Step
) -> Callable:
    """The rates of the automatic step."""
    if not (noise and recipe.remembers):
        return automatic_rates(step, batch_size if noise else None, limit)
    used = row_numbers(rows.n_rows) if rows.row_indices is None else rows.row_indices
    longest = variance_reduced.longest(centred, weights, used, step.preconditioner)
    return schedules.constant(variance_reduced_rate(step, batch_size, longest, recipe.formulas.curvature))


def _start(plan: Plan, stream: bool, state: State) -> None:
    """Start from the best constant; in a stream, where rows are tested before they train, of the first batch only.

    Without noise, and with another loss than the squared error, from beside it. Not where entries scale sparse columns:
    how far predictions would spread is not known there, and only kinks keep a descent at the constant.
    """
    data, kept, loss, coef, excess = plan.data, plan.row_indices, plan.parts.loss, None, 0.0
    used: Any = slice(None) if kept is None else kept
    if stream:
        used = slice(plan.batch_size) if kept is None else kept[: plan.batch_size]
    constant = best_constant(plan.formulas, data, used, stream and state.nears_constant)
    if stream and hasattr(loss, "link") and not _is_inside(loss, constant):
        constant = 0.0
    by_entries = plan.preconditioner is not None and plan.preconditioner.filled is not None
    if plan.is_reweighted and (plan.formulas.has_kinks or not by_entries):
        some = sample_of(plan.X, kept)
        coef = first_direction(
            loss, data, kept if some is None else some, plan.X, state.centre, constant, plan.preconditioner
        )
    if stream:
        s, y = take(data.weight, used) if data.weight.shape[0] else 1.0, doubled(take(data.y, used))
        excess = total(s * (loss.value(y, 0.0 * y) - loss.value(y, constant + 0.0 * y)))
    state.start_at(coef, constant, excess)


def _excess(plan: Plan, state: State) -> tuple[float, float]:
    """What the first batch costs more with the parameters from before the columns were known, and what all rows do.

    The latter is at most that of one row, since many rows may cost a little more by chance.
    """
    assert state.coef_before is not None
    y, s = targets_and_weights(plan.data, plan.used)
    before, after = (
        plan.parts.loss.value(y, raw_predictions(plan.data.rows, plan.used, w))
        for w in (state.coef_before, state.vectors.coef)
    )
    excess = s * (before - after)
    return total(excess[: plan.batch_size]), min(total(excess), float(namespace(excess).max(excess)))


def _is_inside(loss, constant: float) -> bool:
    """Whether predictions still depend on a raw constant, which is the last number that stands for infinity if not.

    A first count of 0 has its least loss at a rate of 0, whose logarithm says nothing about counts to come.
    """
    low, high, least, most = (float(loss.inverse_link(np.float64(z))) for z in (constant - 1, constant + 1, -1, 1))
    return high - low > EDGE * (most - least)
