"""When scores are computed: after a fit, in another pass over the rows, and in a stream with each chunk."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sklearn_sgd._engine.epochs import Descent, Epoch
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.block import OutOfRange
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.rows import Rows, Target, add_up, row_slopes
from sklearn_sgd._engine.scores.stream_scores import Scores
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.support import learn_slopes
from sklearn_sgd._namespace import doubled, host, take


def scores_of_fit(plan: Plan, state: State) -> Scores:
    """Return the scores of all rows of a fit at the parameters where it ended."""
    if isinstance(plan.X, RemoteRows):
        return _of_remote_rows(plan.X, plan, state)
    n, used = plan.X.shape[0], slice(None) if plan.row_indices is None else plan.row_indices
    weight = np.zeros(n)
    weight[used] = doubled(host(take(plan.data.weight, used))) if plan.data.weight.shape[0] else 1.0
    weight *= np.count_nonzero(weight) / weight.sum()
    coef, intercept = state.predictor()
    coef, none = coef.astype(np.float64), Scores.none(len(coef), bool(plan.data.rows.bias))
    data, objective = Rows(plan.X, doubled(host(plan.data.y))[:, None], weight, None), Objective.of(plan.formulas)
    mean, p = data.predict(coef[None], np.array([intercept]))
    slopes = row_slopes(objective.loss, data.y[:, 0], p[:, 0], data, objective.is_quadratic)
    none = none._replace(centre=mean if none.has_intercept else none.centre)
    at = none.parameters(coef, intercept)
    pull, _ = objective.pull(at, len(coef))
    target = Target(weight * slopes.curvature, weight * slopes.slope, weight, pull)
    (sums,) = add_up(data, mean if none.has_intercept else None, [target])
    rows = float(weight.sum())
    if not np.isfinite(sums.scatter.sum() + sums.curvature.sum()):
        raise OutOfRange
    none, some = none.with_jumps(slopes.jumps), data.used
    spread = second.spread_of(slopes.jumps, data.y[:, 0][some], p[:, 0][some], weight[some])
    return none._replace(
        **spread._asdict(),
        at=at,
        unit=state.mean_weight,
        n_seen=rows,
        curvature=sums.curvature,
        product=sums.curvature @ at,
        slope=sums.score - rows * pull,
        scatter=sums.scatter,
        pearson=objective.pearson(weight, p[:, 0], slopes.slope, slopes.curvature),
        squares=sums.squares,
    )


def _of_remote_rows(rows: RemoteRows, plan: Plan, state: State) -> Scores:
    """Return the same of remote rows: the sum over the workers."""
    objective, bias = Objective.of(plan.formulas), bool(plan.data.rows.bias)
    coef, intercept = state.predictor()
    none = Scores.none(len(coef), bias)
    none = none._replace(centre=state.centre if bias else none.centre)
    _, losses, slopes, *_ = rows.with_intercept(bias).residual_sums(objective.loss, float(intercept))
    typical = np.full(1, float(losses / slopes) if slopes else 1.0)
    found = second.jumps(objective.loss, np.zeros(1), typical, second.REACH)
    none = none.with_jumps(found)._replace(at=none.parameters(coef, intercept))
    return rows.with_intercept(bias).scores(objective, none)._replace(unit=state.mean_weight)


def scores_after(recipe: Recipe, known: Sequence[Scores], states: Sequence[State], chunk: Any) -> tuple[Scores, ...]:
    """Return the scores of all targets after a chunk of a stream: samples, targets in columns, and weights."""
    X, y, weight = chunk
    params, objective = recipe.params, Objective.of(recipe.formulas)
    none = Scores.none(X.shape[1], params["fit_intercept"])._replace(is_exact=params["inference"])
    known = known or [none] * len(states)
    return tuple(
        scores.after(objective, X, y[:, target], weight, state.mean_weight, state.predictor, params["half_life"])
        for target, (scores, state) in enumerate(zip(known, states, strict=True))
    )


def counted_scores(recipe: Recipe, known: Sequence[Scores], states: Sequence[State]) -> tuple[Scores, ...]:
    """Return the scores of all targets with the rows that wait for others."""
    objective, half_life = Objective.of(recipe.formulas), recipe.params["half_life"]
    targets = ((scores.in_unit(state.mean_weight), state) for scores, state in zip(known, states, strict=False))
    return tuple(scores.counted(objective, state.predictor, half_life) for scores, state in targets)


def end_chunk(recipe: Recipe, done: Sequence[tuple[Descent, Epoch]], known: Sequence[Scores]) -> tuple[Scores, ...]:
    """Count the losses of a chunk before it was learned; return the scores, if they are kept."""
    for descent, epoch in done:
        descent.state.count_first_loss(epoch.loss, descent.plan.weight, descent.plan.n_rows)
        if recipe.finishes_with_zeros:
            plan = descent.plan
            learn_slopes(plan.parts.loss, plan.data, plan.row_indices, plan.X, descent.state)
    if not recipe.keeps_scores:
        return ()
    states = [descent.state for descent, _ in done]
    return scores_after(recipe, known, states, _chunk_of([descent.plan for descent, _ in done]))


def _chunk_of(plans: Sequence[Plan]) -> tuple[Any, Any, Any]:
    """Return the rows of plans that have a weight, as above."""
    plan = plans[0]
    used = slice(None) if plan.row_indices is None else plan.row_indices
    y = np.column_stack([doubled(host(take(each.data.y, used))) for each in plans])
    weight = host(take(plan.data.weight, used)) if plan.data.weight.shape[0] else None
    return plan.X if plan.row_indices is None else take(plan.X, used), y, weight
