"""Streams that go on with another loss or penalty, or with an intercept after they had none."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._base.reports import warn
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.scores.stream_scores import Scores
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.by_column import StatesByColumn

INCLUDES = (
    "The {what} was {before} and is now {now}, but what predict uses includes what was learned with the former. "
    "Remedy: a new estimator, or a half_life, after which samples count half."
)
FORGETS = (
    "The {what} was {before} and is now {now}: earlier samples count {less}, but as a start. "
    "Remedy: a new estimator that learns them again, or a half_life, after which samples count half."
)

# Share of the samples that must count after another penalty, so that there is no warning.
ENOUGH = 0.5


class Change(NamedTuple):
    """A change of the objective: what it is, the names before and now, and how many samples count from here on.

    ``share`` is None where the average cannot forget.
    """

    what: str
    before: str
    now: str
    share: float | None

    @classmethod
    def of(
        cls,
        model: Any,
        resolved: ResolvedParameters,
        recipe: Recipe,
        position: Sequence[State] | StatesByColumn,
    ) -> Self | None:
        """Return the change since the last call; None if predictions do not depend on the former objective."""
        loss, penalty = (model.loss_name, resolved.loss_name), (model.penalty_name, resolved.penalty_name)
        another_loss, another_penalty = (before not in ("", now) for before, now in (loss, penalty))
        if not (another_loss or another_penalty) or recipe.params["half_life"] or not recipe.average_from(noise=True):
            return None
        if recipe.params["inference"] and recipe.finishes_by_scores and not another_loss:
            return None
        known = None if isinstance(position, StatesByColumn) else position
        # Moments of the targets lead to the minimum whatever was learned.
        if recipe.finishes_streams and known is not None and known[0].knows_targets:
            return None
        step = known[0].step if known is not None and recipe.automatic else None
        forgets = step is not None and step.shares is None
        if another_loss:
            return cls("loss", *loss, 0.0 if forgets else None)
        share = min(_share(state, model.penalty_terms, recipe) for state in known) if forgets and known else None
        return cls("penalty", *penalty, share)

    @property
    def forgets_most(self) -> bool:
        """Whether less than half of the samples count from here on, or the average cannot forget."""
        return self.share is None or self.share < ENOUGH

    def forget(self, position: Any) -> None:
        """Let the averages of states forget samples."""
        if self.share is not None:
            for state in position:
                state.keep_memory(self.share * state.remembered(state.n_samples))

    def report(self, estimator: Any) -> None:
        """Warn of the change."""
        if self.share is None:
            warn(estimator, INCLUDES.format(**self._asdict()))
        elif self.forgets_most:
            warn(estimator, FORGETS.format(**self._asdict(), less="less" if self.share else "no more"))


def scores_to_continue(model: Any, resolved: ResolvedParameters, change: Change | None) -> Sequence[Scores]:
    """Return the scores with which a stream goes on: none after another loss, or where most samples are forgotten."""
    is_known = model is not None and model.loss_name in ("", resolved.loss_name)
    return model.scores if is_known and not (change and change.forgets_most) else ()


def _share(state: State, former: list[float] | None, recipe: Recipe) -> float:
    """Return how much of an average to remember: less, the more the other penalty moves the minimum beside its noise.

    A mean with a bias b and n samples of variance v is as far off as one of ``n / (1 + n * b**2 / v)`` samples.
    """
    if former is None or state.step is None or recipe.formulas.terms is None:
        return 0.0
    ridge, lasso = np.subtract(recipe.formulas.terms, former)
    w, (squares, _, number, *_) = state.vectors.average[:-1], state.window
    pull = ridge * w + lasso * np.copysign(1.0, w)  # Zeros may be due to the lasso.
    noise = len(w) * squares / max(number, 1e-300)
    n = state.remembered(state.n_samples)
    return float(noise / max(noise + n * pull @ state.step.preconditioner.apply(pull), 1e-300))
