"""The table of the coefficients of a fit: from rows, or from the sums that a model keeps."""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._base.validation import as_columns
from sklearn_sgd._engine.scores import curvature as second
from sklearn_sgd._engine.scores.rows import Rows, RowSlopes, Target, add_up, row_slopes, scatter_by_leverage
from sklearn_sgd._namespace import doubled, host
from sklearn_sgd.inference.model import Model
from sklearn_sgd.inference.sandwich import (
    ANY,
    ONE_DENSITY,
    OTHERS_DENSITY,
    inverse,
    make_table,
    refuse_formula,
    refuse_overflow,
    refuse_underflow,
    refuse_unknown_density,
    warn_if_alone,
    warn_if_far,
    warn_if_few,
    warn_if_few_beyond,
    warn_if_few_groups,
)
from sklearn_sgd.inference.table import CoefficientTable
from sklearn_sgd.inference.without_rows import classic, from_scores, refuse_without_rows

# Powers of ``1 - leverage`` that scores are divided by, squared.
HC = {"HC0": 0.0, "HC1": 0.0, "HC2": 1.0, "HC3": 2.0}


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
        The training samples. None: standard errors from the scores that a fit or a stream with ``inference=True``
        keeps; with ``robust=False`` and the squared error, from the moments that every fit keeps.
    y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        Their targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights as in the fit: precisions, as the weights of WLS and the ``var_weights`` of GLM in statsmodels. Only
        their ratios matter, unless there is a `dispersion`. They are not counts: for counts repeat the rows,
        ``np.repeat(X, counts, axis=0)``. Rows of weight 0 do not count.
    robust : bool or {'HC0', 'HC1', 'HC2', 'HC3', 'QuantReg', 'QuantReg1'}, default=True
        True or 'HC0': the sandwich. 'HC1': times ``n / (n - k)``, for k parameters; 'HC2' and 'HC3': each row's slope
        over ``(1 - leverage)**0.5`` and ``1 - leverage``, for few rows. False: the classic formula, of the squared
        error, of poisson, gamma and tweedie, and of quantiles with residuals that do not depend on X. Names are those
        of statsmodels. 'QuantReg': the sandwich for losses whose slope jumps if the density of the residuals at the
        jump is the same for all X, as ``vcov='robust'`` of QuantReg in statsmodels; with HC names it may differ.
        'QuantReg1': the same, but the k rows that the fit passes through do not count in the density, in which they
        would be too many: for few rows for each parameter, or quantiles near 0 or 1; without a penalty only.
    level : float, default=0.95
        Probability of the intervals.
    groups : array-like of shape (n_samples,), default=None
        Group of each row: rows of a group may depend on each other, groups do not (``cov_type='cluster'`` in
        statsmodels, with its correction for few groups). With ``robust=True``.
    dispersion : float, default=None
        The dispersion of the classic formula where it is known, of a row of weight 1, such as 1 for counts that are
        Poisson's, or for rates of such counts with exposures as weights. None: squared Pearson residuals over
        ``n - k``.

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
    UserWarning
        If a coefficient depends on few rows in which the loss has a second derivative, as that of a rare level may for
        'huber' with a small epsilon, or in streams for 'quantile': standard errors may then be far from the true ones.
        With 'HC2' and 'HC3', if the leverage of a row is 1.
        If there are few groups, or few rows beyond a quantile near 0 or 1, for each parameter.
        Without X and y, if the samples of a stream were not in random order, or more alike the nearer they are, so that
        standard errors may be wrong.

    References
    ----------
    Huber, P. J., "The behavior of maximum likelihood estimates under nonstandard conditions", Fifth Berkeley Symposium,
    1967.

    Powell, J. L., "Estimation of monotonic regression models under quantile restrictions", in Nonparametric and
    Semiparametric Methods in Econometrics, Cambridge University Press, 1991.

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
    dispersion = None if dispersion is None else float(dispersion)
    if X is None or y is None:
        if any(given is not None for given in (X, y, sample_weight, groups)):
            raise ValueError("X and y belong together, and sample_weight and groups to them: give both.")
        refuse_without_rows(known, method)
        is_classic = method == "classic"
        tables = classic(known, level, dispersion) if is_classic else from_scores(known, method, level)
    else:
        rows, unit = _check_rows(known, X, y, sample_weight, groups)
        tables = _from_rows(known, rows, unit, method, level, dispersion)
    return tables if known.shape else tables[0]


def _check_method(robust: Any, level: Any, groups: Any, dispersion: Any) -> str:
    """Return 'classic', 'cluster', or the name of the sandwich."""
    check_level(level)
    names = *HC, ONE_DENSITY, OTHERS_DENSITY
    if not (isinstance(robust, (bool, np.bool_)) or (isinstance(robust, str) and robust in names)):
        raise ValueError(f"robust must be True, False, or one of {', '.join(map(repr, names))}; got {robust!r}.")
    if groups is not None and not (isinstance(robust, (bool, np.bool_)) and robust):
        raise ValueError(f"groups go with robust=True: they have a formula of their own; got robust={robust!r}.")
    if dispersion is not None and (robust or not (isinstance(dispersion, Real) and 0.0 < float(dispersion) < np.inf)):
        raise ValueError(
            f"dispersion must be positive, and goes with robust=False; got {dispersion!r} and robust={robust!r}."
        )
    if groups is not None:
        return "cluster"
    return str(robust) if isinstance(robust, str) else "HC0" if robust else "classic"


def check_level(level: Any) -> None:
    """Raise an error for a level that is no probability of an interval."""
    if not (isinstance(level, Real) and 0.0 < float(level) < 1.0):
        raise ValueError(f"level must be between 0 and 1, such as 0.95; got {level!r}.")


def _check_rows(model: Model, X: Any, y: Any, sample_weight: Any, groups: Any) -> tuple[Rows, float]:
    """Return validated rows, with weights in units of their mean, and this mean."""
    if hasattr(X, "dask"):
        raise TypeError("coefficient_table takes rows in memory, or a memory map: for example X.compute().")
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
        if any(value is None or (value == value) is not True for value in groups.tolist()):
            raise ValueError("groups has missing values: give each row a group, or leave these rows out.")
        groups = np.unique(groups, return_inverse=True)[1].reshape(-1)
        if len(np.unique(groups[weight > 0.0])) < 2:
            raise ValueError("groups must be two or more.")
    unit = float(weight.sum()) / n
    return Rows(X, y, weight / unit, groups), unit


class Slopes(NamedTuple):
    """Slopes and second derivatives of a target, jumps of the slope; for the classic formula the dispersion."""

    target: Target
    dispersion: float | None
    jumps: list[second.Jump]


def _slopes(model: Model, data: Rows, p: np.ndarray, t: int, method: str, dispersion: float | None) -> Slopes:
    """Return the second derivatives and the slopes of a target."""
    loss, weight, counted = model.loss, data.weight, data.counted
    y, p, n = data.y[:, t], p[:, t], int(data.counted.sum())
    pull, _ = model.pull(model.coef[t])
    rows = row_slopes(loss, y, p, data)
    squares = np.square((weight * rows.slope)[counted]).sum()
    refuse_overflow(squares)
    refuse_underflow(squares, rows.slope[counted].any())
    refuse_formula(method, bool(rows.jumps), ANY)
    if rows.jumps:
        return _slopes_that_jump(rows, data, p - y, pull, method, dispersion)
    curvature, g = rows.curvature, rows.slope
    k = len(pull)
    if method != "classic":
        return Slopes(Target(weight * curvature, weight * g, weight, pull), None, [])
    if not second.is_linear_in_target(loss, p[counted], float(np.std(p[counted] - y[counted]))):
        raise ValueError(
            f"There is no classic formula for loss={model.resolved.params['loss']!r}: it is for the squared error, "
            "poisson, gamma, tweedie, and quantiles. Use robust=True."
        )
    c = second.expected_curvature(loss, p)
    pearson = float(np.sum((weight * g * g / c)[counted])) / (n - k)
    return Slopes(Target(weight * c, weight * g, weight, pull), pearson if dispersion is None else dispersion, [])


def _slopes_that_jump(
    rows: RowSlopes, data: Rows, e: np.ndarray, pull: np.ndarray, method: str, dispersion: float | None
) -> Slopes:
    """Return the same of a loss whose slope jumps, from predictions less targets."""
    curvature, g, jumps = rows
    weight, counted = data.weight, data.counted
    refuse_unknown_density(curvature)
    if method not in (ONE_DENSITY, OTHERS_DENSITY, "classic"):
        return Slopes(Target(weight * curvature, weight * g, weight, pull), None, jumps)
    if method == "classic" and (np.ptp(weight[counted]) > 0.0 or dispersion is not None):
        raise ValueError(
            f"The classic formula of a loss whose slope jumps has no weights and no dispersion: use {ANY}, or "
            f"robust={ONE_DENSITY!r}, without a dispersion."
        )
    of_density = weight.copy()
    if method == OTHERS_DENSITY:
        if pull.any():
            raise ValueError(
                f"robust={OTHERS_DENSITY!r} is for fits without a penalty, which pass through a row for each "
                f"parameter: use robust={ONE_DENSITY!r}."
            )
        # Given that the fit passes through these rows, the others have the density of all.
        distance = np.where(counted, np.min([np.abs(e - jump.at) for jump in jumps], axis=0), np.inf)
        of_density[np.argsort(distance, kind="stable")[: len(pull)]] = 0.0
        refuse_unknown_density(curvature[of_density > 0.0])
    mean, share = float(np.average(curvature, weights=of_density)), second.level(jumps[0])
    variance = jumps[0].size ** 2 * share * (1.0 - share) if len(jumps) == 1 else float(np.mean(g[counted] ** 2))
    return Slopes(Target(weight * mean, weight * g, weight, pull), variance / mean, jumps)


@np.errstate(all="ignore")
def _from_rows(
    model: Model, data: Rows, unit: float, method: str, level: float, dispersion: float | None
) -> list[CoefficientTable]:
    """Return a table for each target, from rows whose weights are in a unit."""
    mean, p = data.predict(model.coef, model.intercept)
    centre = mean if model.has_intercept else None
    n, k = int(data.counted.sum()), model.parameters.shape[1]
    of_unit = None if dispersion is None else dispersion / unit
    slopes = [_slopes(model, data, p, t, method, of_unit) for t in range(len(model.coef))]
    targets = [each.target for each in slopes]
    sums = add_up(data, centre, targets)
    bends = [n * model.pull(w)[1] for w in model.coef]
    breads = [inverse(model, total.curvature, bend, centre) for total, bend in zip(sums, bends, strict=True)]
    scatters, factor, name, alone = [total.scatter for total in sums], 1.0, method, np.zeros(0, dtype=bool)
    if method in ("HC2", "HC3"):
        scatters, alone = scatter_by_leverage(data, centre, targets, breads, HC[method])
        warn_if_alone(method, alone)
    elif method == "HC1":
        factor = n / (n - k)
    elif method == "cluster":
        assert data.groups is not None
        n_groups = len(np.unique(data.groups[data.counted]))
        scatters = [total.of_groups.T @ total.of_groups for total in sums if total.of_groups is not None]
        factor = n_groups / (n_groups - 1) * (n - 1) / (n - k)
        name = f"cluster, of {n_groups} groups"
        warn_if_few_groups(n_groups, k)
    elif method == "classic":
        scatters = [(s.dispersion or 0.0) * total.curvature for s, total in zip(slopes, sums, strict=True)]
    tables = []
    for t, (each, bread) in enumerate(zip(slopes, breads, strict=True)):
        covariance = factor * bread @ scatters[t] @ bread
        warn_if_far(model, t, centre, bread @ sums[t].score, covariance)
        if method != "classic" and not alone.any():
            diagonal, one = sums[t].curvature.diagonal() + bends[t], method in (ONE_DENSITY, OTHERS_DENSITY)
            warn_if_few(model, t, diagonal, sums[t].squares, bool(each.jumps), one)
        if each.jumps:
            y, weight = data.y[data.counted, t], data.weight[data.counted]
            spread = second.spread_of(each.jumps, y, p[data.counted, t], weight)
            warn_if_few_beyond(model, t, each.jumps, spread)
        known = (dispersion or each.dispersion) if method == "classic" and not each.jumps else None
        df = n - k if method == "classic" and model.formulas.is_quadratic and dispersion is None else None
        tables.append(make_table(model, t, scatters[t], covariance, centre, n, level, df, known, name))
    return tables
