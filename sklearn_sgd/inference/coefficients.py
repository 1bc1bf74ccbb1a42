"""The table of the coefficients of a fit: from rows, or from the moments that a fit of the squared error keeps."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd._base.validation import as_columns
from sklearn_sgd._engine.automatic.final_step import NormalMatrix
from sklearn_sgd._namespace import doubled, host
from sklearn_sgd.inference import curvature as second
from sklearn_sgd.inference.model import Model
from sklearn_sgd.inference.rows import Rows, Target, add_up, scatter_by_leverage
from sklearn_sgd.inference.table import CoefficientTable

# Powers of ``1 - leverage`` that scores are divided by, squared.
HC = {"HC0": 0.0, "HC1": 0.0, "HC2": 1.0, "HC3": 2.0}

# Distance from the minimum, in standard errors, from which on a table says so; eigenvalues that are 0, relative.
FAR, SINGULAR = 1.0, 1e-14

# Rounding of parameters that a fit, of float32 for instance, may leave.
ROUNDED = 1e-6

# Squared error that rounding of moments may hide, in units of the variance of the targets.
ROUNDING = 1e-11


def coefficient_table(
    model: Any,
    X: Any = None,
    y: Any = None,
    sample_weight: Any = None,
    *,
    robust: bool | str = True,
    level: float = 0.95,
    groups: Any = None,
    dispersion: float | None = None,
) -> Any:
    """Coefficients of a fit with standard errors, tests and intervals.

    With H the second derivative of the objective, and S the sum of squares of the rows' slopes, the covariance is
    ``H^-1 S H^-1``, the sandwich. It holds for independent rows, far more of them than parameters, at the minimum of
    the objective (not after early stopping), whatever the distribution of the targets. The classic formula is ``H^-1``
    times the dispersion, which also needs the right variance. See :ref:`inference`.

    X is read twice, three times with 'HC2' and 'HC3', in blocks: it may be a memory map. Besides, there is a number for
    each row, and there are the squares of the number of parameters.

    Parameters
    ----------
    model : regressor of this package, or pipeline that ends in one
        Fitted. The table is about its `coef_` and `intercept_`.
    X : {array-like, CSR matrix} of shape (n_samples, n_features), default=None
        The training samples. None: the classic formula from the moments that a fit or a stream of the squared error
        keeps, with ``robust=False``.
    y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        Their targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights as in the fit: precisions, of which only ratios matter, as the weights of WLS and the ``var_weights`` of
        GLM in statsmodels. They are no counts: for those repeat the rows, ``np.repeat(X, counts, axis=0)``. Rows of
        weight 0 do not count.
    robust : bool or {'HC0', 'HC1', 'HC2', 'HC3'}, default=True
        True or 'HC0': the sandwich. 'HC1': times ``n / (n - k)``, for k parameters; 'HC2' and 'HC3': each row's slope
        over ``(1 - leverage)**0.5`` and ``1 - leverage``, for few rows. False: the classic formula, of the squared
        error, of poisson, gamma and tweedie, and of quantiles with residuals that do not depend on X. Names are those
        of statsmodels.
    level : float, default=0.95
        Probability of the intervals.
    groups : array-like of shape (n_samples,), default=None
        Group of each row: rows of a group may depend on each other, groups do not (``cov_type='cluster'`` in
        statsmodels, with its correction for few groups). With ``robust=True``.
    dispersion : float, default=None
        The dispersion of the classic formula where it is known, such as 1 for counts that are Poisson's. None: squared
        Pearson residuals over ``n - k``.

    Returns
    -------
    table : CoefficientTable or list of CoefficientTable
        A list, of a table for each target, if the targets of the fit had two dimensions.

    Raises
    ------
    ValueError
        If there is no such formula for this loss or penalty, or columns are linearly dependent.

    Warns
    -----
    ConvergenceWarning
        If a coefficient is farther from the minimum of the objective on these rows than its standard error.

    References
    ----------
    Huber, P. J., "The behavior of maximum likelihood estimates under nonstandard conditions", Fifth Berkeley Symposium,
    1967.

    White, H., "A heteroskedasticity-consistent covariance matrix estimator and a direct test for heteroskedasticity",
    Econometrica 48, 1980.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_sgd import BatchGDRegressor
    >>> from sklearn_sgd.inference import coefficient_table
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    >>> model = BatchGDRegressor().fit(X[["bmi", "bp"]], y)
    >>> coefficient_table(model, X[["bmi", "bp"]], y, robust="HC1")
    =====================================================================
                   coef   std err         z     P>|z|    [0.025    0.975]
    ---------------------------------------------------------------------
    bmi           8.519     0.716    11.900     0.000     7.116     9.922
    bp            1.385     0.236     5.876     0.000    0.9228     1.847
    intercept    -203.6      18.1   -11.276     0.000      -239    -168.2
    =====================================================================
    Rows: 442
    Covariance: HC1
    """
    known = Model.of(model)
    known.check_penalty()
    method = _check_method(robust, level, groups, dispersion)
    if X is None or y is None:
        if X is not None or y is not None or sample_weight is not None:
            raise ValueError("X and y belong together, and sample_weight and groups to them: give both.")
        tables = _from_moments(known, method, level, dispersion)
    else:
        tables = _from_rows(known, _check_rows(known, X, y, sample_weight, groups), method, level, dispersion)
    return tables if known.shape else tables[0]


def _check_method(robust: Any, level: Any, groups: Any, dispersion: Any) -> str:
    """Return 'classic', 'cluster', or the name of the sandwich."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, such as 0.95; got {level!r}.")
    if not (isinstance(robust, (bool, np.bool_)) or robust in HC):
        raise ValueError(f"robust must be True, False, or one of {', '.join(map(repr, HC))}; got {robust!r}.")
    if groups is not None and robust is not True:
        raise ValueError(f"groups go with robust=True: they have a formula of their own; got robust={robust!r}.")
    if dispersion is not None and (robust is not False or not dispersion > 0.0):
        raise ValueError(
            f"dispersion must be positive, and goes with robust=False; got {dispersion!r} and robust={robust!r}."
        )
    return "cluster" if groups is not None else "classic" if robust is False else "HC0" if robust is True else robust


def _check_rows(model: Model, X: Any, y: Any, sample_weight: Any, groups: Any) -> Rows:
    """Return validated rows."""
    if hasattr(X, "dask"):
        raise TypeError("coefficient_table takes rows in memory, or a memory map: give X.compute(), say.")
    X, y, weight = model.estimator._validate_input(model.resolved, model.transformed(X), y, sample_weight, False)[1:]
    y = doubled(host(as_columns(y)))
    weight = np.ones(len(y)) if weight is None else doubled(host(weight))
    n, n_parameters = int(np.count_nonzero(weight)), model.parameters.shape[1]
    if n <= n_parameters:
        raise ValueError(
            f"Standard errors of {n_parameters} parameters need more rows with a weight than that; got {n}."
        )
    if groups is not None:
        groups = np.asarray(groups)
        if groups.shape != (len(y),):
            raise ValueError(f"groups must have a value for each of the {len(y)} rows; got shape {groups.shape}.")
        groups = np.unique(groups, return_inverse=True)[1].reshape(-1)
        if len(np.unique(groups[weight > 0.0])) < 2:
            raise ValueError("groups must be two or more.")
    return Rows(X, y, weight * (n / weight.sum()), groups)


class Slopes(NamedTuple):
    """What the rows of a target say; for the classic formula the variance of slopes, in units of the curvature."""

    target: Target
    dispersion: float | None
    has_jumps: bool


def _slopes(model: Model, data: Rows, p: np.ndarray, t: int, method: str, dispersion: float | None) -> Slopes:
    """Return the second derivatives and the slopes of a target."""
    loss, weight, counted = model.loss, data.weight, data.counted
    y, p, n = data.y[:, t], p[:, t], int(data.counted.sum())
    y = np.where(counted, y, y[counted][0])  # Targets of rows without weight may be ones that the loss does not allow.
    pull, _ = model.pull(model.coef[t])
    jumps = second.jumps(loss, y[counted], p[counted])
    g = np.asarray(loss.gradient(y, p), dtype=np.float64)
    k = len(pull)
    if jumps:
        if method in ("HC2", "HC3"):
            raise ValueError(f"robust={method!r} is for losses with a second derivative: use robust=True.")
        mean = second.mean_curvature(jumps, y[counted], p[counted], weight[counted])
        share = second.level(jumps[0])
        variance = jumps[0].size ** 2 * share * (1.0 - share) if len(jumps) == 1 else float(np.mean(g[counted] ** 2))
        if method == "classic" and (np.ptp(weight[counted]) > 0.0 or dispersion is not None):
            raise ValueError("The classic formula of a loss whose slope jumps knows no weights and no dispersion.")
        return Slopes(Target(weight * mean, weight * g, pull), variance / mean, True)
    if method != "classic":
        return Slopes(Target(weight * second.curvature(loss, y, p), weight * g, pull), None, False)
    if not second.is_linear_in_target(loss, p[counted], float(np.std(p[counted] - y[counted]))):
        raise ValueError(
            f"There is no classic formula for loss={model.resolved.params['loss']!r}: it is for the squared error, "
            "poisson, gamma, tweedie, and quantiles. Use robust=True."
        )
    c = second.expected_curvature(loss, p)
    pearson = float(np.sum((weight * g * g / c)[counted])) / (n - k)
    return Slopes(Target(weight * c, weight * g, pull), pearson if dispersion is None else float(dispersion), False)


def _from_rows(model: Model, data: Rows, method: str, level: float, dispersion: float | None) -> list[CoefficientTable]:
    """Return a table for each target, from rows."""
    mean, p = data.predict(model.coef, model.intercept)
    centre = mean if model.has_intercept else None
    n, k = int(data.counted.sum()), model.parameters.shape[1]
    slopes = [_slopes(model, data, p, t, method, dispersion) for t in range(len(model.coef))]
    targets = [each.target for each in slopes]
    sums = add_up(data, centre, targets)
    bends = [n * model.pull(w)[1] for w in model.coef]
    breads = [_inverse(model, total.curvature, bend) for total, bend in zip(sums, bends, strict=True)]
    scatters, factor, name = [total.scatter for total in sums], 1.0, method
    if method in ("HC2", "HC3"):
        scatters = scatter_by_leverage(data, centre, targets, breads, HC[method])
    elif method == "HC1":
        factor = n / (n - k)
    elif method == "cluster":
        assert data.groups is not None
        n_groups = len(np.unique(data.groups[data.counted]))
        scatters = [total.of_groups.T @ total.of_groups for total in sums if total.of_groups is not None]
        factor = n_groups / (n_groups - 1) * (n - 1) / (n - k)
        name = f"cluster, of {n_groups} groups"
    elif method == "classic":
        scatters = [(s.dispersion or 0.0) * total.curvature for s, total in zip(slopes, sums, strict=True)]
    tables = []
    for t, (each, bread) in enumerate(zip(slopes, breads, strict=True)):
        covariance = factor * bread @ scatters[t] @ bread
        _warn_if_far(model, t, centre, bread @ sums[t].score, covariance)
        known = each.dispersion if method == "classic" and not each.has_jumps else None
        df = n - k if method == "classic" and model.formulas.is_quadratic and dispersion is None else None
        tables.append(_table(model, t, _uncentred(covariance, centre), n, level, df, known, name))
    return tables


def _from_moments(model: Model, method: str, level: float, dispersion: float | None) -> list[CoefficientTable]:
    """Return a table for each target, by the classic formula, from the moments of columns and targets."""
    if method != "classic":
        raise ValueError(
            "Robust standard errors need the rows: give X and y. Without them there is robust=False, the classic "
            "formula of the squared error, from the moments that a fit keeps."
        )
    states = model.estimator._model.states
    if not (
        model.formulas.is_quadratic and states and states[0].knows_targets and states[0].statistics.moment.ndim == 2
    ):
        raise ValueError(
            "This model keeps no moments of its targets, from which standard errors would follow: fits of the squared "
            "error with learning_rate='auto' and up to some hundred features do. Remedy: give X and y."
        )
    n, k = round(states[0].statistics.weight), model.parameters.shape[1]
    if n <= k:
        raise ValueError(f"Standard errors of {k} parameters need more rows than that; the model has seen {n}.")
    centre = states[0].statistics.leading(model.coef.shape[1]).mean if model.has_intercept else None
    tables = []
    for t, (w, intercept) in enumerate(zip(model.coef, model.intercept, strict=True)):
        normal = states[t].normal_matrix(t)
        known = dispersion or n / (n - k) * _mean_square(normal, w, intercept, centre)
        curvature = n * normal.covariance
        if model.has_intercept:
            curvature = np.block([[curvature, np.zeros((k - 1, 1))], [np.zeros((1, k - 1)), np.full((1, 1), float(n))]])
        pull, bend = model.pull(w)
        bread = _inverse(model, curvature, n * bend)
        covariance = known * bread @ curvature @ bread
        slope = normal.covariance @ w - normal.with_target
        if centre is not None:
            slope = np.append(slope, intercept + centre @ w - normal.target)
        _warn_if_far(model, t, centre, n * bread @ (slope + pull), covariance)
        df = n - k if dispersion is None else None
        tables.append(_table(model, t, _uncentred(covariance, centre), n, level, df, known, "classic"))
    return tables


def _mean_square(normal: NormalMatrix, w: np.ndarray, intercept: float, centre: np.ndarray | None) -> float:
    """Return the mean squared residual, from moments."""
    offset = 0.0 if centre is None else intercept + centre @ w - normal.target
    square = normal.variance - 2.0 * w @ normal.with_target + w @ normal.covariance @ w + offset * offset
    if not square > ROUNDING * normal.variance:
        raise ValueError("The residuals are too small to be known from moments: give X and y to coefficient_table.")
    return float(square)


def _inverse(model: Model, curvature: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Return the inverse of the second derivative of the objective; an error if it has none."""
    H = curvature + np.diag(bend)
    size = np.sqrt(np.maximum(H.diagonal(), 0.0))
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
    raise ValueError(
        f"Coefficients of linearly dependent or constant columns have no standard errors: {', '.join(where)}. "
        "Remedy: leave columns out, or fit with penalty='l2'."
    )


def _uncentred(covariance: np.ndarray, centre: np.ndarray | None) -> np.ndarray:
    """Return the covariance with the intercept that belongs to columns as they are."""
    if centre is None:
        return covariance
    move = np.eye(len(covariance))
    move[-1, :-1] = -centre
    return move @ covariance @ move.T


def _warn_if_far(model: Model, t: int, centre: np.ndarray | None, missing: np.ndarray, covariance: np.ndarray) -> None:
    """Warn if the parameters are far from the minimum on these rows, farther than they are rounded."""
    parameters = model.parameters[t].copy()
    if centre is not None:
        parameters[-1] += centre @ parameters[:-1]
    with np.errstate(all="ignore"):
        distance = np.abs(missing) / np.maximum(np.sqrt(covariance.diagonal()), ROUNDED * np.abs(parameters))
    if np.max(distance) > FAR:
        name = model.feature_names[int(np.argmax(distance))]
        warnings.warn(
            f"The coefficient of {name!r} is {np.max(distance):.1f} standard errors from the minimum of the objective "
            "on these rows, to which standard errors belong. Remedy: give the rows of the fit, or fit for longer.",
            ConvergenceWarning,
            stacklevel=4,
        )


def _table(
    model: Model, t: int, covariance: np.ndarray, n: int, level: float, df: int | None, known: float | None, name: str
) -> CoefficientTable:
    """Return the table of a target."""
    notes: tuple[str, ...] = ()
    if model.is_penalised:
        notes = ("Penalised: errors are about the minimum of the penalised objective, which is nearer to 0.",)
    coef, names = model.parameters[t].copy(), model.feature_names
    return CoefficientTable(coef, covariance, names, n, float(level), df, known, name, notes)
