"""Intervals of predictions."""

import warnings
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._base.samples import check_samples
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.rows import Rows
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd._namespace import floats
from sklearn_sgd.inference.coefficients import check_level, coefficient_table
from sklearn_sgd.inference.model import Model
from sklearn_sgd.inference.sandwich import refuse_overflow
from sklearn_sgd.inference.table import CoefficientTable
from sklearn_sgd.inference.without_rows import classic

# Variance of a prediction, in units of the products it is a sum of, below which few of its digits are left.
ROUNDED = 1e-12

# The level of a table of which only the covariance is used.
LEVEL = 0.95


class PredictionInterval(NamedTuple):
    """Predictions of one target and the ends of their intervals.

    Parameters
    ----------
    mean : ndarray of shape (n_samples,)
        Predictions.
    std_err : ndarray of shape (n_samples,)
        Standard errors, before the link: of the logarithm of the mean for poisson, gamma and tweedie.
    low, high : ndarray of shape (n_samples,)
        Ends of the intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd.inference import PredictionInterval
    >>> PredictionInterval(np.ones(1), np.full(1, 0.5), np.zeros(1), np.full(1, 2.0)).high
    array([2.])
    """

    mean: np.ndarray
    std_err: np.ndarray
    low: np.ndarray
    high: np.ndarray


def predict_interval(model: Any, X: Any, table: Any = None, *, kind: str = "mean", level: float | None = None) -> Any:
    """Intervals of predictions, each by itself: for the mean (what the loss estimates), or for a new target.

    Parameters
    ----------
    model : regressor of this package, or pipeline that ends in one
        Fitted.
    X : {array-like, CSR matrix} of shape (n_samples, n_features)
        Samples to predict.
    table : CoefficientTable or list of CoefficientTable, default=None
        Table of this model, from :func:`coefficient_table`. None: one without rows, from what the model keeps: the
        classic one, or for a loss without such a formula the sandwich.
    kind : {'mean', 'target'}, default='mean'
        Whether the interval contains the mean or a new target. A new target needs the squared error and a classic
        table, and assumes the same normal distribution of the residuals for all X: that of a sample of mean weight, or,
        if the table's ``dispersion`` was given, of weight 1.
    level : float, default=None
        Probability of the intervals; None: that of the table.

    Returns
    -------
    interval : PredictionInterval or list of PredictionInterval
        A list, with one for each target, if the targets of the fit had two dimensions.

    Raises
    ------
    ValueError
        If `kind` or `level` is invalid, the table is not of this model or without what a new target needs, or the model
        keeps nothing from which standard errors follow.
    TypeError
        If `table` is no table.

    Examples
    --------
    >>> from sklearn_sgd import BatchGDRegressor
    >>> from sklearn_sgd.inference import predict_interval
    >>> model = BatchGDRegressor().fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.5, 1.5, 3.0])
    >>> interval = predict_interval(model, [[1.5]])
    >>> interval.mean.round(6), interval.std_err.round(4)
    (array([1.5]), array([0.2372]))
    """
    known = Model.of(model)
    if kind not in ("mean", "target"):
        raise ValueError(f"kind must be 'mean' or 'target'; got {kind!r}.")
    if kind == "target" and not known.formulas.is_quadratic:
        raise ValueError("kind='target' needs the squared error, whose targets have one variance.")
    if level is not None:
        check_level(level)
    if table is None:
        objective = Objective.of(known.formulas)
        table = coefficient_table(model, robust=not (objective.is_quadratic or objective.is_deviance))
    tables = [table] if isinstance(table, CoefficientTable) else table
    if not (isinstance(tables, list) and all(isinstance(each, CoefficientTable) for each in tables)):
        raise TypeError(f"table must be what coefficient_table returns for this model; got {type(table).__name__}.")
    if not np.array_equal([each.coef for each in tables], known.parameters):
        raise ValueError(
            "table is not one of this model as it is now: it has other coefficients or targets. Remedy: a new table."
        )
    if kind == "target" and not all(each.dispersion for each in tables):
        raise ValueError("kind='target' needs the squared error and a classic table: coefficient_table(robust=False).")
    X = known.transformed(X)
    X = check_samples(known.estimator, X, dtype=floats(X), reset=False, summed=False)
    intervals = [_interval(known, X, each, kind, level) for each in tables]
    return intervals if known.shape else intervals[0]


def standard_deviations(estimator: Any, X: Any) -> np.ndarray:
    """Return the standard deviation of a new target at each sample, a column for each target if there are several."""
    known = Model.of(estimator)
    params = known.resolved.params
    if not known.formulas.is_quadratic:
        raise ValueError(
            f"return_std=True is for loss='squared_error', which is the loss of targets with one variance; got "
            f"loss={params['loss']!r}. Remedy: losses 'quantile' for two levels have a band of targets between them."
        )
    if params["early_stopping"]:
        raise ValueError(
            "return_std=True needs the minimum of the objective, and early_stopping=True stops before it: the standard "
            "deviation is not known. Remedy: early_stopping=False."
        )
    known.check_penalty()
    # Covariances of a part of the samples change only the share of the coefficients, which is small for many samples.
    tables = classic(known, LEVEL, None, roughly=True)
    intervals = predict_interval(estimator, X, tables if known.shape else tables[0], kind="target")
    return np.column_stack([each.std_err for each in intervals]) if known.shape else intervals.std_err


def _interval(model: Model, X: Any, table: CoefficientTable, kind: str, level: float | None) -> PredictionInterval:
    """Return the intervals of a target."""
    n, at, (centre, covariance), is_rounding = X.shape[0], table.coef.copy(), table.about, False
    raw, variance, is_at_zero = np.empty(n), np.zeros(n), centre is None
    if model.has_intercept:
        centre = np.zeros(X.shape[1]) if centre is None else centre
        at[-1] += centre @ at[:-1]
    for rows, Z in Rows(X, np.empty((n, 0)), np.ones(n), None).designs(centre):
        raw[rows], variance[rows] = Z @ at, _squares(Z, covariance)
        is_rounding |= is_at_zero and bool((variance[rows] < ROUNDED * _squares(abs(Z), abs(covariance))).any())
    refuse_overflow(variance)
    if is_rounding:
        warnings.warn(
            "The covariance of the table has no digits left at some samples, since the features are far from 0: "
            "standard errors of predictions are wrong there. Remedy: features less their means, or the table as "
            "coefficient_table returns it.",
            UserWarning,
            stacklevel=user_stacklevel(),
        )
    variance = np.maximum(variance, 0.0) + ((table.dispersion or 0.0) if kind == "target" else 0.0)
    error = np.sqrt(variance)
    half = table.quantile(table.level if level is None else level) * error
    inverse = getattr(model.loss, "inverse_link", np.asarray)
    return PredictionInterval(inverse(raw), error, inverse(raw - half), inverse(raw + half))


def _squares(Z: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the variance of the prediction of each row."""
    with np.errstate(all="ignore"):
        return np.einsum("ij,jk,ik->i", Z, covariance, Z, optimize=True)
