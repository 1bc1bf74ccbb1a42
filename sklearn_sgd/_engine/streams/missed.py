"""The updates that columns have missed: clocks count them, and rules apply them when the columns next have entries."""

from math import exp, log
from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.credibility import (
    PARAMETERS,
    STATISTICS,
    after_turn,
    credibility,
    scaled_mean,
    share_followed,
)
from sklearn_sgd._engine.automatic.window import MEAN_TURN, TIME, TURN
from sklearn_sgd._engine.passes.passive_aggressive import is_passive_aggressive
from sklearn_sgd._engine.passes.without_plan import settle
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.preparation.columns import leans, prior_of_means
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.traits import ElasticNetTerms
from sklearn_sgd._engine.vectors import Vectors

# Used as the logarithm of 0, so that differences are finite.
NOTHING_LEFT = -800.0
LEAST_LEFT = exp(NOTHING_LEFT / 2.0)


class Clock(NamedTuple):
    """Sums over the updates of a target since the start, from which the missed updates of a column follow.

    Attributes
    ----------
    left : float
        Logarithm of what is left of the start in the average.
    decay : float
        Of a schedule the logarithm of what decays have left of a coefficient, without the sign.
    threshold : float
        Of a schedule the sum of thresholds, each with the decays that came after it.
    sign : float
        The sign of all decays.
    """

    left: float = 0.0
    decay: float = 0.0
    threshold: float = 0.0
    sign: float = 1.0


class LazyRules(NamedTuple):
    """How a descent treats columns of which a row has no entries: by an average, a penalty, and centring.

    Attributes
    ----------
    automatic : bool
        Whether the step is automatic.
    averaged : bool
        Whether there is an average of parameters.
    centred : bool
        Whether there is an intercept.
    terms : ElasticNetTerms
        The penalty.
    leans : bool
        Whether columns with many zeros are centred, so that they move when they have no entries, too.
    prior : float
        That of their means.
    """

    automatic: bool
    averaged: bool
    centred: bool
    terms: ElasticNetTerms
    leans: bool
    prior: float

    @classmethod
    def of(cls, recipe: Recipe) -> "LazyRules | None":
        """Return the rules for a recipe; None if the missed updates of a column do not follow from clocks."""
        formulas, averaged = recipe.formulas, recipe.average_from(noise=True) > 0
        passive = is_passive_aggressive(recipe.parts.optimizer)
        if formulas.terms is None or recipe.remembers or not (formulas.is_lazy or passive):
            return None
        if (passive or (averaged and not recipe.automatic)) and any(formulas.terms):
            return None
        centred = bool(recipe.params["fit_intercept"])
        prior = prior_of_means(recipe) if leans(recipe) else 0.0
        return cls(recipe.automatic, averaged, centred, formulas.terms, leans(recipe), prior)

    def lags(self, rows: np.ndarray, filled: np.ndarray) -> np.ndarray:
        """Return what the missed steps of each column are in proportion to, by its statistics in rows of the table.

        Under a penalty that is its scale, divided by its unit; if it `leans`, its scaled mean, and 0 if it is
        ``filled``.
        """
        mean, moment, counts, weight = rows[:, :4].T
        squares, found = moment + weight * mean * mean, np.zeros(len(rows))
        some = squares > 0.0
        if self.leans:
            some[filled] = False
            found[some] = scaled_mean(mean[some], moment[some], weight[some], counts[some])
        else:
            found[some] = credibility(counts[some]) / squares[some]
        return found

    def after(self, clock: Clock, plan: Plan, before: State, state: State) -> Clock:
        """The clock after a descent from one state to another."""
        t, (ridge, lasso) = np.arange(before.n_updates + 1, state.n_updates + 1), self.terms
        clock = self.mixed(clock, plan.mixes(t))
        if self.automatic or not (any(self.terms) and len(t)):
            return clock
        rates, _ = plan.rates(before.n_updates, len(t), state.rate_factor)
        decays = _logarithms(abs(1.0 - rates * ridge))
        done = float(decays.sum())
        return clock._replace(
            decay=clock.decay + done,
            threshold=float(clock.threshold * np.exp(done) + lasso * (rates @ np.exp(done - np.cumsum(decays)))),
            sign=float(clock.sign * np.prod(np.where(rates * ridge > 1.0, -1.0, 1.0))),
        )

    def mixed(self, clock: Clock, mixes: np.ndarray) -> Clock:
        """The clock after updates of the average by these shares."""
        left, *others = clock
        return Clock(left + _logarithm(mixes), *others) if self.averaged else clock

    def catch_up(
        self, rows: np.ndarray, target: int, clock: Clock, state: State, scale: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the parameters of a target and their averages, brought up to date.

        ``rows`` of the table have their last values, and the times of these; ``scale`` has the numbers of `lags`.
        """
        at = STATISTICS + PARAMETERS * target
        w, average, left, time, decay, threshold = rows[:, at : at + PARAMETERS].T
        kept = np.exp(clock.left - left) if self.averaged else np.ones(len(w))
        if self.automatic and any(self.terms):
            w, average = w.copy(), average.copy()
            columns = {"p": len(w), "w": w, "average": average, "scale": scale, "seen": time.copy()}
            settle(**columns, **self.terms._asdict(), window=state.window)
        elif any(self.terms):
            fade = np.exp(clock.decay - decay)
            w = clock.sign * np.sign(w) * np.maximum(abs(w) * fade - (clock.threshold - threshold * fade), 0.0)
        elif self.averaged:
            average = w + kept * (average - w)
        if self.leans and state.statistics is not None:
            _, samples, turn, mean_turn = self._times(clock, state)
            along = scale * share_followed(rows[:, 2], state.statistics.weight, samples - time)
            # When they were last seen, the turn was ``decay``, and its mean ``threshold``.
            w, average = after_turn(w, average, along, (turn, mean_turn), (decay, threshold), kept)
        return w, average if self.averaged else w

    def note(self, rows: np.ndarray, target: int, vectors: Vectors, state: State, clock: Clock) -> None:
        """Write parameters of a target that are up to date into rows of the table, and when they are."""
        (w, average, *_), at = vectors, STATISTICS + PARAMETERS * target
        # Averaging may have been turned off since: continue from the parameters that predict.
        w = (w if self.averaged else average)[:-1]
        rows[:, at], rows[:, at + 1] = w if clock.sign == 1.0 else w * clock.sign, average[:-1]
        rows[:, at + 2 : at + PARAMETERS] = self._times(clock, state)

    def _times(self, clock: Clock, state: State) -> tuple[float, float, float, float]:
        """Return the numbers of a row of the table that say when a column was last up to date."""
        window = state.window
        if not self.leans:
            return clock.left, window[TIME] if len(window) > TIME else 0.0, clock.decay, clock.threshold
        turns = (window[TURN], window[MEAN_TURN]) if len(window) > MEAN_TURN else (0.0, 0.0)
        return clock.left, float(state.n_samples), *turns


def _logarithm(mixes: np.ndarray) -> float:
    """The logarithm of what updates by these shares leave."""
    if len(mixes) == 1:
        return log(max(1.0 - float(mixes[0]), LEAST_LEFT))
    return float(_logarithms(1.0 - mixes).sum())


def _logarithms(numbers: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(numbers, LEAST_LEFT))
