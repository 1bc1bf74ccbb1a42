"""The sandwich estimator, and the table that is made from it."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd._engine.automatic.preconditioner import is_varying
from sklearn_sgd._engine.scores.curvature import Jump, Spread
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.sums import Sums
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd.inference.model import Model
from sklearn_sgd.inference.table import Centred, CoefficientTable

# The sandwiches in which residuals of all rows have the same density: as statsmodels estimates it, and without the rows
# that the fit passes through. And the one for all losses.
ONE_DENSITY, OTHERS_DENSITY, ANY = "QuantReg", "QuantReg1", "robust=True"

# Squares below which numbers lose digits, or are 0.
LEAST = 1e-300

# Distance from the minimum, in standard errors, from which a table warns; relative eigenvalues that count as 0.
FAR, SINGULAR = 1.0, 1e-14

# Effective number of rows that a second derivative is made of, up to which a table warns: for losses that may be
# straight, and for all others, where that of a level with one row is 1.
FEW, ALONE = 8.0, 1.5

# Rows beyond a jump of the slope, for each parameter, below which a table warns.
BEYOND = 5.0

# Number of groups below which a table warns.
GROUPS = 20

# Added to the message about dependent columns, for losses that may be straight.
FLAT = (
    "Columns count as constant, too, if each row with another value has a residual where the loss has no second "
    "derivative, as beyond the epsilon of 'huber', or far from the quantile: then more such rows help, or a larger "
    "epsilon, or for quantiles robust='QuantReg'. "
)

# What few rows mean, and what helps besides more of them: for losses whose slope jumps, and for those that may be flat.
DENSITY = (
    ": for this loss it is the density of the residuals where its slope jumps, as at the quantile",
    "; or robust='QuantReg' with X and y, if all rows have the same density",
)
STRAIGHT = (
    ", where this loss has one, as within the epsilon of 'huber'",
    "; or a loss with a second derivative in more rows, as that of a larger epsilon",
)
ANYWHERE = "", ""

# Rounding error of parameters that a fit, for example in float32, may leave.
ROUNDED = 1e-6


def inverse(model: Model, curvature: np.ndarray, bend: np.ndarray, centre: np.ndarray | None) -> np.ndarray:
    """Return the inverse of the second derivative of the objective; an error if it has none.

    With an intercept, ``centre`` has the means of the columns.
    """
    H = curvature + np.diag(bend)
    refuse_overflow(H)
    refuse_underflow(H.diagonal(), H.diagonal() > 0.0)
    size = np.sqrt(np.maximum(H.diagonal(), 0.0))
    if centre is not None and size[-1] > 0.0:
        size[:-1][~is_varying(np.square(size[:-1] / size[-1]), centre)] = 0.0
    where = [model.feature_names[j] for j in np.flatnonzero(~(size > 0.0))]
    if not where:
        values, vectors = np.linalg.eigh(H / np.outer(size, size))
        if values[0] < -1e-8:
            raise ValueError(
                "The parameters are at no minimum of the objective on these rows, so it has no standard errors."
            )
        if values[0] > SINGULAR * len(values):
            half = vectors / np.sqrt(values) / size[:, None]
            return half @ half.T
        where = [model.feature_names[j] for j in np.flatnonzero(np.abs(vectors[:, 0]) > 1e-3)]
    perhaps = FLAT if Objective.of(model.formulas).may_be_straight else ""
    raise ValueError(
        f"Coefficients of linearly dependent or constant columns have no standard errors: {', '.join(where)}. "
        f"{perhaps}Remedy: leave columns out, or fit with penalty='l2'."
    )


OUT_OF_RANGE = "Squares of slopes, or second derivatives, are out of the range of numbers: scale X or y."


def refuse_overflow(*squares: Any) -> None:
    """Raise an error if a matrix or a number is not finite, since squares of what it is made of are too large."""
    if not all(np.isfinite(each).all() for each in squares):
        raise ValueError(OUT_OF_RANGE)


def refuse_underflow(squares: Any, are_there: Any) -> None:
    """Raise an error for squares too small for numbers; where nothing is there, they are 0, and right."""
    if np.any((squares < LEAST) & are_there):
        raise ValueError(OUT_OF_RANGE)


def refuse_formula(method: str, has_jumps: bool, instead: str) -> None:
    """Raise an error for a sandwich that is not for the slope of the loss; ``instead`` is the one that is."""
    if method in ("HC2", "HC3") and has_jumps:
        raise ValueError(f"robust={method!r} is for losses with a second derivative: use {instead}.")
    if method in (ONE_DENSITY, OTHERS_DENSITY) and not has_jumps:
        raise ValueError(f"robust={method!r} is for losses whose slope jumps, as that of 'quantile': use {instead}.")


def refuse_unknown_density(curvature: np.ndarray) -> None:
    """Raise an error if no residual is near a jump of the slope of the loss, from second derivatives."""
    if not curvature.any():
        raise ValueError(
            "The density of the residuals is not known where the slope of the loss jumps: there are none near it, or "
            "half of them are equal, as those of targets with few values may be. Remedy: more rows, or a loss without "
            "jumps, such as 'huber'."
        )


def named(model: Model, t: int) -> str:
    """Return what a message about a target begins with: its number, if there are several."""
    return f"Target {t}: " if len(model.coef) > 1 else ""


def warn_if_far(model: Model, t: int, centre: np.ndarray | None, missing: np.ndarray, covariance: np.ndarray) -> None:
    """Warn if the parameters are far from the minimum on these rows, by more than rounding."""
    parameters = model.parameters[t].copy()
    if centre is not None:
        parameters[-1] += centre @ parameters[:-1]
    with np.errstate(all="ignore"):
        distance = np.abs(missing) / np.maximum(np.sqrt(covariance.diagonal()), ROUNDED * np.abs(parameters))
    if np.max(distance) > FAR:
        name = model.feature_names[int(np.argmax(distance))]
        warnings.warn(
            f"{named(model, t)}The coefficient of {name!r} is {np.max(distance):.1f} standard errors from the minimum "
            "of the objective on these rows, to which standard errors belong. Remedy: give the rows of the fit, or fit "
            "for longer.",
            ConvergenceWarning,
            stacklevel=user_stacklevel(),
        )


@np.errstate(over="ignore")  # Squares that overflow are not few.
def warn_if_few(
    model: Model, t: int, curvature: np.ndarray, squares: np.ndarray, has_jumps: bool, one_density: bool = False
) -> None:
    """Warn if few rows determine the second derivative of the objective along a coefficient.

    ``curvature`` has the second derivatives, and ``squares`` the sum of the squares of what each row adds to them: if n
    rows add the same, the square of the first over the second is n. The squared error and deviances have a second
    derivative in each row, so that only a row alone is too few.
    """
    may_be_straight = Objective.of(model.formulas).may_be_straight
    few = np.flatnonzero(np.square(curvature) < (FEW if may_be_straight else ALONE) * squares)
    if not len(few):
        return
    number = max(1, round(float(np.min(np.square(curvature[few]) / squares[few]))))
    where, remedy = ANYWHERE if not may_be_straight else DENSITY if has_jumps else STRAIGHT
    remedy = "" if one_density else remedy
    warnings.warn(
        f"{named(model, t)}The second derivative of the objective along "
        f"{', '.join(model.feature_names[j] for j in few)} is that of about {number} row{'s' * (number != 1)}{where}. "
        "These standard errors may be far from the true ones, and intervals too short. Remedy: more rows of a rare "
        f"level, or levels that are merged{remedy}.",
        UserWarning,
        stacklevel=user_stacklevel(),
    )


def warn_if_few_beyond(model: Model, t: int, found: Sequence[Jump], spread: Spread) -> None:
    """Warn if few rows are beyond a jump of the slope, as beyond a quantile near 0 or 1, for each parameter."""
    shares, k = spread.shares(found), model.parameters.shape[1]
    beyond = spread.n_rows * min(min(share, 1.0 - share) for share in shares)
    if round(beyond, 6) >= BEYOND * k:
        return
    warnings.warn(
        f"{named(model, t)}About {round(beyond)} rows are beyond the jump of the slope of the loss, as beyond a "
        f"quantile near 0 or 1: {beyond / k:.1f} for each of the {k} parameters. Below {BEYOND:g} the normal "
        "distribution does not hold, and intervals may be too short. Remedy: more rows, fewer features, a quantile "
        f"nearer to 0.5, or, if all residuals have the same density, robust={OTHERS_DENSITY!r} with X and y.",
        UserWarning,
        stacklevel=user_stacklevel(),
    )


def warn_if_few_groups(n_groups: int, k: int) -> None:
    """Warn if groups are few, of whose sums the scatter is made."""
    if n_groups < max(GROUPS, k + 1):
        warnings.warn(
            f"There are {n_groups} groups, for {k} parameters. The standard errors are right for many groups, about 40 "
            "or more; with few they are too small, and intervals too short. Remedy: smaller groups, if these are "
            "independent.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )


def warn_if_alone(method: str, alone: np.ndarray) -> None:
    """Warn if rows have a leverage of 1, so that their residuals say nothing."""
    found = np.flatnonzero(alone)
    if not len(found):
        return
    warnings.warn(
        f"The leverage of row {found[0]}{f', and of {len(found) - 1} more,' if len(found) > 1 else ''} is 1: a "
        f"coefficient depends on this row alone, as that of a level with one row. {method} is not defined there, and "
        "leaves the row out, so that the standard error of this coefficient is too small. Remedy: leave out or merge "
        "such levels.",
        UserWarning,
        stacklevel=user_stacklevel(),
    )


def warn_of_order(model: Model, t: int, scores: Sums) -> None:
    """Warn if the samples of a stream were not in random order, or not independent."""
    objective = Objective.of(model.formulas)
    if not scores.is_in_random_order(objective):
        problem = (
            "The samples of this stream were not in random order: early ones differ from later ones, as in a sorted "
            "file. Standard errors that are computed without samples may be wrong. Remedy: shuffle the samples, or "
            "give X and y."
        )
    elif scores.has_alike_neighbours(objective):
        problem = (
            "Samples of this stream are more alike the nearer they are, as in a sorted file, or as those of one day "
            "are. Standard errors of independent samples may be too small. Remedy: give X, y and groups, such as the "
            "days; or shuffle samples that are independent."
        )
    else:
        return
    warnings.warn(f"{named(model, t)}{problem}", UserWarning, stacklevel=user_stacklevel())


def make_table(
    model: Model,
    t: int,
    scatter: np.ndarray,
    covariance: np.ndarray,
    centre: np.ndarray | None,
    n: int,
    level: float,
    df: int | None,
    known: float | None,
    name: str,
) -> CoefficientTable:
    """Return the table of a target, from the covariance with the intercept at the means of the columns, if any.

    ``scatter`` is the sum of squares that the covariance was made of.
    """
    squares = scatter.diagonal()
    refuse_underflow(np.minimum(squares, covariance.diagonal()), squares > 0.0)
    centred = None if centre is None else Centred(centre, covariance)
    covariance = covariance if centred is None else centred.covariance_at_zero()
    refuse_overflow(covariance)
    notes: tuple[str, ...] = ()
    if model.is_penalised:
        notes = ("Penalised: errors are about the minimum of the penalised objective, which is nearer to 0.",)
    coef, names = model.parameters[t].copy(), model.feature_names
    return CoefficientTable(
        coef, covariance, names, n, float(level), df, known, name, notes, centred, has_intercept=model.has_intercept
    )
