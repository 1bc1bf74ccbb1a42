"""The updates that columns have missed: clocks count them, and rules apply them when the columns next have entries."""

from math import exp, log
from typing import NamedTuple

import numpy as np

from sklearn_sgd._engine.automatic.credibility import PARAMETERS, STATISTICS
from sklearn_sgd._engine.automatic.window import TIME
from sklearn_sgd._engine.passes.passive_aggressive import is_passive_aggressive
from sklearn_sgd._engine.passes.without_plan import settle
from sklearn_sgd._engine.plan import Plan
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
    """How a descent treats columns of which a row has no entries: by an average, and by a penalty.

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
    """

    automatic: bool
    averaged: bool
    centred: bool
    terms: ElasticNetTerms

    @classmethod
    def of(cls, recipe: Recipe) -> "LazyRules | None":
        """Return the rules for a recipe; None if the missed updates of a column do not follow from clocks."""
        formulas, averaged = recipe.formulas, recipe.average_from(noise=True) > 0
        passive = is_passive_aggressive(recipe.parts.optimizer)
        if formulas.terms is None or recipe.remembers or not (formulas.is_lazy or passive):
            return None
        if (passive or (averaged and not recipe.automatic)) and any(formulas.terms):
            return None
        return cls(recipe.automatic, averaged, bool(recipe.params["fit_intercept"]), formulas.terms)

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
        self, rows: np.ndarray, clock: Clock, window: np.ndarray, scale: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return parameters and averages, brought up to date; ``rows`` have their last values, and the times of these.

        ``scale`` is that of the automatic step for each column, divided by its unit.
        """
        w, average, left, time, decay, threshold = rows.T
        if self.automatic and any(self.terms):
            w, average = w.copy(), average.copy()
            columns = {"p": len(w), "w": w, "average": average, "scale": scale, "seen": time.copy()}
            settle(**columns, **self.terms._asdict(), window=window)
        elif any(self.terms):
            fade = np.exp(clock.decay - decay)
            w = clock.sign * np.sign(w) * np.maximum(abs(w) * fade - (clock.threshold - threshold * fade), 0.0)
        elif self.averaged:
            average = w + np.exp(clock.left - left) * (average - w)
        return w, average if self.averaged else w

    def note(self, rows: np.ndarray, target: int, vectors: Vectors, window: np.ndarray, clock: Clock) -> None:
        """Write parameters that are up to date into rows of the table."""
        (w, average, *_), at = vectors, STATISTICS + PARAMETERS * target
        # Averaging may have been turned off since: continue from the parameters that predict.
        w = (w if self.averaged else average)[:-1]
        rows[:, at], rows[:, at + 1] = w if clock.sign == 1.0 else w * clock.sign, average[:-1]
        time = window[TIME] if len(window) > TIME else 0.0
        rows[:, at + 2 : at + PARAMETERS] = clock.left, time, clock.decay, clock.threshold


def _logarithm(mixes: np.ndarray) -> float:
    """The logarithm of what updates by these shares leave."""
    if len(mixes) == 1:
        return log(max(1.0 - float(mixes[0]), LEAST_LEFT))
    return float(_logarithms(1.0 - mixes).sum())


def _logarithms(numbers: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(numbers, LEAST_LEFT))
