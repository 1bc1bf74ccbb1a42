"""Tables without rows: from the moments of the squared error, or from the scores of ``inference=True``."""

from functools import partial

import numpy as np

from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.statistics import FULL
from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.block import settled
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.state import State
from sklearn_sgd.inference.model import Model
from sklearn_sgd.inference.sandwich import (
    ANY,
    inverse,
    make_table,
    refuse_formula,
    refuse_overflow,
    refuse_underflow,
    refuse_unknown_density,
    warn_if_far,
    warn_if_few,
    warn_if_few_beyond,
    warn_of_order,
)
from sklearn_sgd.inference.table import CoefficientTable

# Mean squared residual below which rounding of the moments is larger, in units of the variance of the targets.
ROUNDING = 1e-11


def refuse_without_rows(model: Model, method: str) -> None:
    """Raise an error, with what helps, for a formula that needs rows or that the loss does not have."""
    objective, has_jumps = Objective.of(model.formulas), second.has_jumps(model.loss)
    few = model.coef.shape[1] <= FULL
    kept = "" if model.estimator._model.exact_scores else ", with X and y" + " or after a fit with inference=True" * few
    refuse_formula(method, has_jumps, ANY + kept)
    if method not in ("HC0", "HC1", "classic"):
        raise ValueError(
            f"robust={method!r} needs the leverages or the residuals of all rows: give X and y, or use {ANY} or "
            f"'HC1'{kept}."
        )
    if method == "classic" and objective.may_be_straight:
        raise ValueError(
            f"Without rows there is no classic formula for loss={model.resolved.params['loss']!r}: it is for the "
            f"squared error, poisson, gamma and tweedie. Remedy: {'give X and y, or ' * has_jumps}use {ANY}{kept}."
        )


@np.errstate(all="ignore")  # What is out of range is refused.
def from_scores(model: Model, method: str, level: float, dispersion: float | None = None) -> list[CoefficientTable]:
    """Return a table for each target, from the scores that the model keeps, by the sandwich or the classic formula."""
    kept = model.estimator._model.exact_scores
    if not kept:
        more = ""
        if knows_moments(model) and not model.estimator._model.states[0].statistics.sampled:
            more = " Or robust=False, the classic formula of the squared error, needs neither."
        raise ValueError(
            "Robust standard errors need the rows, or, up to 400 features, a fit with inference=True, which keeps "
            f"their sums: give X and y to coefficient_table, or fit again.{more}"
        )
    objective, half_life = Objective.of(model.formulas), model.resolved.params["half_life"]
    k = model.parameters.shape[1]
    refuse_few(round(kept[0].n_rows), k)
    tables = []
    for t in range(len(model.coef)):
        unit, known = model.estimator._model.states[t].mean_weight, None
        scores = kept[t].in_unit(unit).counted(objective, partial(model.of_target, t), half_life)
        n = round(scores.n_seen)  # Rows that waited also count less with their age, under a ``half_life``.
        refuse_few(n, k)
        df = n - k if method == "classic" and objective.is_quadratic and dispersion is None else None
        if not half_life:
            warn_of_order(model, t, scores)
        # Rows with a large leverage need the minimum in all its digits.
        minimum = scores.minimum(objective)
        scores = settled(scores if minimum is None else scores.seen_from(minimum), objective)
        centre = scores.centre if model.has_intercept else None
        slope, bend = scores.gradient(objective, scores.parameters(*model.of_target(t)))
        if len(scores.jumps):
            refuse_unknown_density(scores.curvature)
        bread, scatter = inverse(model, scores.curvature, bend, centre), scores.scatter
        if not scatter.any():
            raise ValueError(
                "All slopes of the losses are 0, or their squares are, so that no standard errors follow from the sums "
                "that the model keeps. Remedy: scale y, or give X and y."
            )
        if method == "classic":
            known = dispersion or n / (n - k) * scores.pearson / scores.weight
            scatter = (known / unit if dispersion else known * scores.weight / n) * scores.curvature
        covariance = (n / (n - k) if method == "HC1" else 1.0) * bread @ scatter @ bread
        warn_if_far(model, t, centre, bread @ slope, covariance)
        if method != "classic":
            warn_if_few(model, t, scores.curvature.diagonal() + bend, scores.squares, bool(len(scores.jumps)))
        if len(scores.jumps):
            warn_if_few_beyond(model, t, scores.found_jumps, scores.spread)
        tables.append(make_table(model, t, scatter, covariance, centre, n, level, df, known, method))
    return tables


def refuse_few(n: int, k: int) -> None:
    """Raise an error if a model remembers too few rows for its parameters."""
    if n <= k:
        raise ValueError(
            f"Standard errors of {k} parameters need more rows than that; the model remembers {n}. Remedy: more rows, "
            "fewer features, or a longer half_life."
        )


def classic(model: Model, level: float, dispersion: float | None, roughly: bool = False) -> list[CoefficientTable]:
    """Return a table for each target, by the classic formula: from moments if there are any, else from scores."""
    if model.estimator._model.exact_scores and not knows_moments(model):
        return from_scores(model, "classic", level, dispersion)
    return from_moments(model, level, dispersion, roughly)


def knows_moments(model: Model) -> bool:
    """Whether a model of the squared error keeps the covariances of columns and targets."""
    states = model.estimator._model.states
    return bool(
        model.formulas.is_quadratic and states and states[0].knows_targets and states[0].statistics.moment.ndim == 2
    )


def from_moments(model: Model, level: float, dispersion: float | None, roughly: bool = False) -> list[CoefficientTable]:
    """Return a table for each target, by the classic formula, from the moments of columns and targets.

    ``roughly``: moments of a part of the rows are allowed.
    """
    states = model.estimator._model.states
    if not knows_moments(model):
        raise ValueError(
            "This model keeps no moments of its targets, from which standard errors would follow: fits of the squared "
            "error with learning_rate='auto' and up to some hundred features do, and those of the squared error, "
            "poisson, gamma and tweedie with inference=True. Remedy: give X and y to coefficient_table, whose table "
            "predict_interval takes; or, up to 400 features, fit again with inference=True."
        )
    if states[0].statistics.sampled and not roughly:
        raise ValueError(
            "This model has the covariances of a part of its many rows, from which standard errors would be wrong by "
            "some percent. Remedy: fit with inference=True, or give X and y."
        )
    (weight, n), k = _remembered(states[0]), model.parameters.shape[1]
    refuse_few(n, k)
    centre = states[0].statistics.leading(model.coef.shape[1]).mean if model.has_intercept else None
    tables = []
    for t, (w, intercept) in enumerate(zip(model.coef, model.intercept, strict=True)):
        normal = NormalMatrix.of(states[t].about_centre, len(states[t].centre), t)
        known = dispersion or n / (n - k) * _mean_square(normal, w, intercept, centre)
        # A dispersion that is found is that of a row with the mean weight of those that are remembered.
        of_unit = known / states[t].mean_weight if dispersion else known * weight / n
        curvature = weight * normal.covariance
        if model.has_intercept:
            curvature = np.block([[curvature, np.zeros((k - 1, 1))], [np.zeros((1, k - 1)), np.full((1, 1), weight)]])
        pull, bend = model.pull(w)
        bread = inverse(model, curvature, weight * bend, centre)
        covariance = of_unit * bread @ curvature @ bread
        slope = normal.covariance @ w - normal.with_target
        if centre is not None:
            slope = np.append(slope, intercept + centre @ w - normal.target)
        warn_if_far(model, t, centre, weight * bread @ (slope + pull), covariance)
        df = n - k if dispersion is None else None
        tables.append(make_table(model, t, of_unit * curvature, covariance, centre, n, level, df, known, "classic"))
    return tables


def _remembered(state: State) -> tuple[float, int]:
    """Return the weight of the rows in the moments, and their number; old ones count less under a ``half_life``.

    Rows that are read again are in the moments again, but they are not new.
    """
    assert state.statistics is not None
    weight, most = state.statistics.weight, state.prequential_rows
    rows = state.rows_of(weight)
    new = min(1.0, most / rows) if most else 1.0
    return new * weight, round(new * rows)


def _mean_square(normal: NormalMatrix, w: np.ndarray, intercept: float, centre: np.ndarray | None) -> float:
    """Return the mean squared residual, from moments."""
    refuse_overflow(normal.covariance, normal.variance)
    refuse_underflow(normal.variance, normal.variance > 0.0)
    offset = 0.0 if centre is None else intercept + centre @ w - normal.target
    square = normal.variance - 2.0 * w @ normal.with_target + w @ normal.covariance @ w + offset * offset
    if not square > ROUNDING * normal.variance:
        raise ValueError("The residuals are too small to be known from moments: give X and y to coefficient_table.")
    return float(square)
