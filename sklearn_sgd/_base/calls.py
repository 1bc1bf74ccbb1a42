"""What a call of `partial_fit` learns from its samples."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sklearn_sgd._engine.epochs import Descent, one_epoch
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.preparation.prepare import make_plans
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.scores.collect import end_chunk
from sklearn_sgd._engine.scores.stream_scores import Scores
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.by_column import Chunk, StatesByColumn
from sklearn_sgd._engine.streams.cuts import parts_of
from sklearn_sgd._engine.streams.stream import Stream
from sklearn_sgd._namespace import take


class Learned(NamedTuple):
    """The states and the scores after a call, the plan of its last part, and the stream for calls like it.

    If descents ``diverged``, these are given, and the rest is of no use.
    """

    plan: Plan
    position: Sequence[State] | StatesByColumn
    scores: tuple[Scores, ...] = ()
    stream: Stream | None = None
    diverged: Sequence[Descent] = ()


def learn_call(
    recipe: Recipe,
    X: Any,
    targets: Any,
    weight: Any,
    position: Any,
    scores: Sequence[Scores],
) -> Learned:
    """Learn the samples of a call, given what is known before it; the states may be changed."""
    parts = parts_of(recipe, position, X, targets, weight)
    if len(parts) == 1:
        return _learn(recipe, X, targets, weight, position, scores)
    weights = []
    for rows in parts:
        s = None if weight is None else take(weight, rows)
        learned = _learn(recipe, take(X, rows), take(targets, rows), s, position, scores)
        if learned.diverged:
            return learned
        position, scores = learned.position, learned.scores
        weights.append(learned.plan.weight)
    for state in position:
        state.join_chunks(weights)
    return learned._replace(stream=None)


def _learn(recipe: Recipe, X: Any, targets: Any, weight: Any, position: Any, scores: Any) -> Learned:
    """Learn the samples of a part of a call."""
    chunk = Chunk.of(recipe, X, position)
    plans = make_plans(recipe, chunk.X, targets, weight, chunk.states, stream=True)
    descents = [*map(Descent, plans, chunk.states)]
    stream = Stream.of(recipe, descents)
    done = one_epoch(descents)
    if diverged := [descent for descent, epoch in done if not epoch.finite]:
        return Learned(plans[0], position, diverged=diverged)
    scores = end_chunk(recipe, done, scores)
    return Learned(plans[0], chunk.end(recipe, plans), scores, stream)
