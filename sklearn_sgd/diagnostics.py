"""Diagnostics of a fit: its path, its objective, the noise of its gradients, the cost of its updates.

Parameter vectors are the coefficients, then the intercept.
"""

from functools import partial
from math import inf
from time import perf_counter
from timeit import repeat
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_X_y, sparsefuncs

from sklearn_sgd._base.objective import check_regressor, cost_of, parts_of, slopes_of
from sklearn_sgd._base.recording import FitRecord, record_fit
from sklearn_sgd._base.samples import convertible, supported
from sklearn_sgd._base.unused import clone_with
from sklearn_sgd._namespace import detached, dispatches, host

__all__ = ["Cost", "CriticalBatchSize", "FitRecord", "GradientNoise", "critical_batch_size", "descent_path"]
__all__ += ["gradient_noise", "measure_cost", "n_updates", "objective", "record_fit"]

BLOCK = 4_000_000  # predictions held at once
ROUNDING = 1e-9  # share of the updates that does not count as one that depends on the batch size


def objective(estimator: Any, X: Any, y: Any, parameters: Any) -> np.ndarray:
    """Objective that a regressor minimises, at any parameters: the mean loss of the samples plus the penalty.

    It is infinite where `positive` or the bounds of the penalty do not allow the coefficients.

    Parameters
    ----------
    estimator : regressor of this package
        Its `loss`, `penalty` and `positive` define the objective; it need not be fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Targets.
    parameters : array-like of shape (..., n_features + 1)
        Coefficients and, last, the intercept.

    Returns
    -------
    values : ndarray of shape (...)
        In units of the loss.

    Examples
    --------
    >>> from sklearn_sgd import BatchGDRegressor
    >>> from sklearn_sgd.diagnostics import objective
    >>> objective(BatchGDRegressor(), [[0.0], [1.0]], [1.0, 3.0], [[0.0, 0.0], [2.0, 1.0]])
    array([2.5, 0. ])
    """
    X, y = check_data(X, y)
    loss, penalty, _ = parts_of(estimator, X)
    parameters = np.asarray(parameters, dtype=float)
    points = parameters.reshape(-1, parameters.shape[-1])
    blocks = np.array_split(points, max(1, len(points) * len(y) // BLOCK))
    values = [
        loss.value(y[:, None], X @ block[:, :-1].T + block[:, -1]).mean(axis=0) + cost_of(penalty, block[:, :-1])
        for block in blocks
    ]
    return np.concatenate(values).reshape(parameters.shape[:-1])


def descent_path(estimator: Any, X: Any, y: Any, *, epochs: int | None = None) -> np.ndarray:
    """Parameters that `predict` would use after each update of `fit`.

    It is the path of `fit` itself: the same batches, steps, stop and end; see :func:`record_fit`.

    Parameters
    ----------
    estimator : regressor of this package, or pipeline that ends in one
        Not changed: a clone is fitted.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Targets.
    epochs : int, default=None
        Maximum number of passes over the samples, instead of the estimator's `epochs`.

    Returns
    -------
    path : ndarray of shape (n_updates + 1, n_features + 1)
        Coefficients and, last, the intercept: at the start, and after each update. Where `fit` ends with more than
        updates, such as final steps on all samples, one more row has what it returns.

    Examples
    --------
    >>> from sklearn_sgd import BatchGDRegressor
    >>> from sklearn_sgd.diagnostics import descent_path
    >>> model = BatchGDRegressor(learning_rate="constant", eta0=0.5, epochs=2)
    >>> descent_path(model, [[-1.0], [1.0]], [0.0, 4.0])
    array([[0. , 0. ],
           [1. , 1. ],
           [1.5, 1.5]])
    """
    return record_fit(estimator, X, y, epochs=epochs).path


class GradientNoise(NamedTuple):
    """Scatter of the gradients of batches about the full gradient, at the parameters of a fit.

    Parameters
    ----------
    gradient : ndarray of shape (n_features + 1,)
        Gradient of the objective over all samples: the smallest subgradient where the penalty has a kink or a bound.
    variance : float
        Trace of the covariance of the gradients of single samples: the mean square of their distance from the full one.
    n_rows : int
        Number of samples.

    Examples
    --------
    >>> import numpy as np
    >>> GradientNoise(np.array([3.0, 4.0]), variance=100.0, n_rows=101).scale
    4.0
    """

    gradient: np.ndarray
    variance: float
    n_rows: int

    @property
    def scale(self) -> float:
        """Simple noise scale, ``variance / |gradient|**2``: the batch size at which noise equals signal.

        It is 0 without noise, and infinite where the gradient alone is 0.
        """
        signal = float(np.sum(self.gradient**2))
        return float(self.variance / signal) if signal else inf if self.variance else 0.0

    def spread(self, batch_size: Any) -> Any:
        """Root mean square distance of the gradients of random batches of B samples from the full gradient.

        ``sqrt(variance / B)``, times ``sqrt((N - B) / (N - 1))``, since a batch does not draw a sample twice.

        Parameters
        ----------
        batch_size : int or array-like of int
            Samples B per batch, at most N.

        Returns
        -------
        spread : float or ndarray of the shape of `batch_size`
            In units of the gradient.
        """
        batch_size = np.asarray(batch_size, dtype=float)
        left = (self.n_rows - batch_size) / max(self.n_rows - 1, 1)
        return np.sqrt(self.variance / batch_size * left)


def gradient_noise(estimator: Any, X: Any, y: Any) -> GradientNoise:
    """Gradient noise of a fitted regressor.

    Its `scale` is the simple noise scale. With batches much smaller than that, steps are mostly noise. With much larger
    batches, steps are more exact than necessary. The scale grows as the fit approaches the minimum, where the full
    gradient is zero.

    Parameters
    ----------
    estimator : regressor of this package
        Fitted; the gradients are taken at its `coef_` and `intercept_`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Targets.

    Returns
    -------
    noise : GradientNoise
        Full gradient, variance, and properties derived from them.

    References
    ----------
    McCandlish, S., Kaplan, J., Amodei, D. et al., "An empirical model of large-batch training", arXiv:1812.06162, 2018.

    Examples
    --------
    >>> from sklearn_sgd import BatchGDRegressor
    >>> from sklearn_sgd.diagnostics import gradient_noise
    >>> X, y = [[-1.0], [1.0]], [0.0, 4.0]
    >>> model = BatchGDRegressor(learning_rate="constant", eta0=0.5).partial_fit(X, y)
    >>> noise = gradient_noise(model, X, y)
    >>> noise.gradient, noise.variance, noise.scale
    (array([-1., -1.]), 2.0, 1.0)
    """
    X, y = check_data(X, y)
    slopes, full, penalty, ones = slopes_of(estimator, X, y)
    # Each coordinate is centred first: a difference of mean squares would lose its digits if the mean is large.
    each = X.multiply(slopes[:, None]).tocsr() if sparse.issparse(X) else slopes[:, None] * X
    variances = sparsefuncs.mean_variance_axis(each, axis=0)[1] if sparse.issparse(X) else each.var(axis=0)
    return GradientNoise(full + penalty, float(variances.sum() + ones * slopes.var()), len(y))


def batch_gradients(estimator: Any, X: Any, y: Any, batches: Any) -> np.ndarray:
    """Gradient of the objective over each batch of samples, at the parameters of a fit; one row per batch."""
    X, y = check_data(X, y)
    slopes, _, penalty, ones = slopes_of(estimator, X, y)
    sums = [np.append(X[rows].T @ slopes[rows], ones * slopes[rows].sum()) / len(rows) for rows in batches]
    return np.array(sums) + penalty


class CriticalBatchSize(NamedTuple):
    """Batch size above which larger batches bring little.

    Parameters
    ----------
    batch_size : float
        Critical batch size, ``min_rows / min_updates``: there a fit takes twice the fewest updates and reads
        twice the fewest samples.
    min_updates : float
        Number of updates that even the largest batches need.
    min_rows : float
        Number of samples that even the smallest batches read.

    Examples
    --------
    >>> CriticalBatchSize(batch_size=40.0, min_updates=50.0, min_rows=2000.0).batch_size
    40.0
    """

    batch_size: float
    min_updates: float
    min_rows: float


def critical_batch_size(batch_sizes: Any, updates: Any) -> CriticalBatchSize:
    """Critical batch size from the updates that fits with several batch sizes needed to reach the same loss.

    Updates S and samples E = B S follow ``(S / min_updates - 1) (E / min_rows - 1) = 1``, that is
    ``S = min_updates + min_rows / B``, which is fitted by least squares of the relative errors (McCandlish et al., see
    :func:`gradient_noise`).

    Parameters
    ----------
    batch_sizes : array-like of shape (n_sizes,)
        Samples per update; at least two sizes.
    updates : array-like of shape (n_sizes,)
        Updates needed to reach the loss.

    Returns
    -------
    critical : CriticalBatchSize
        Its three numbers.

    Raises
    ------
    ValueError
        If the updates do not fall towards a positive limit with growing batches, so that there is no such size.

    Examples
    --------
    >>> from sklearn_sgd.diagnostics import critical_batch_size
    >>> round(critical_batch_size([10, 40, 160], [250.0, 100.0, 62.5]).batch_size, 6)
    40.0
    """
    sizes, updates = np.asarray(batch_sizes, dtype=float), np.asarray(updates, dtype=float)
    if sizes.shape != updates.shape or not (np.isfinite([sizes, updates]).all() and np.min([sizes, updates]) > 0):
        raise ValueError("batch_sizes and updates must have as many numbers, all of them finite and above 0.")
    design = np.column_stack([np.ones_like(sizes), 1 / sizes]) / updates[:, None]
    (min_updates, min_rows), *_ = np.linalg.lstsq(design, np.ones_like(sizes), rcond=None)
    if len(np.unique(sizes)) < 2 or min_updates <= 0 or min_rows <= ROUNDING * min_updates * sizes.min():
        raise ValueError(
            "No critical batch size follows from these fits: give two batch sizes or more, and updates that fall "
            "towards a positive limit as batches grow."
        )
    return CriticalBatchSize(float(min_rows / min_updates), float(min_updates), float(min_rows))


class Cost(NamedTuple):
    """Cost of an update and of an epoch.

    Parameters
    ----------
    updates_per_epoch : float
        Updates in an epoch.
    multiplications_per_update : float
        Multiplications of plain gradient descent: two for each number in the batch that is not an absent zero, one for
        the prediction and one for the gradient.
    seconds_per_epoch : float
        Measured seconds of an epoch.

    Examples
    --------
    >>> cost = Cost(updates_per_epoch=4, multiplications_per_update=20, seconds_per_epoch=0.5)
    >>> cost.multiplications_per_epoch, cost.seconds_per_update
    (80, 0.125)
    """

    updates_per_epoch: float
    multiplications_per_update: float
    seconds_per_epoch: float

    @property
    def multiplications_per_epoch(self) -> float:
        """Multiplications of an epoch; they do not depend on the batch size."""
        return self.updates_per_epoch * self.multiplications_per_update

    @property
    def seconds_per_update(self) -> float:
        """Seconds of an update."""
        return self.seconds_per_epoch / self.updates_per_epoch


def measure_cost(estimator: Any, X: Any, y: Any, *, epochs: int = 10, repeats: int = 3) -> Cost:
    """Cost per update and per epoch: counted, and measured on this machine.

    The function times fits of one epoch and of `epochs` more, and subtracts, so that the time before and after the
    epochs cancels. It uses the fastest of `repeats` fits. An earlier fit compiles, and is not timed.

    Parameters
    ----------
    estimator : regressor of this package
        Not changed: clones are fitted, without early stopping.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Targets.
    epochs : int, default=10
        Epochs to time.
    repeats : int, default=3
        Fits to time, of each length.

    Returns
    -------
    cost : Cost
        Updates, multiplications, seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import MiniBatchSGDRegressor
    >>> from sklearn_sgd.diagnostics import measure_cost
    >>> cost = measure_cost(MiniBatchSGDRegressor(batch_size=2), np.eye(8, 3), np.arange(8.0))
    >>> cost.updates_per_epoch, cost.multiplications_per_update, cost.multiplications_per_epoch
    (4.0, 12.0, 48.0)
    """
    check_regressor(estimator)
    if not dispatches(X):  # Arrays of other libraries are fitted where they are.
        X, y = check_data(X, y)
    whole = {"tol": None, "early_stopping": False, "time_budget": None}
    one, more = (clone_with(estimator, **whole, epochs=count) for count in (1, 1 + epochs))
    more.fit(X, y)
    fits = [partial(model.fit, X, y) for model in (more, one)]
    long, short = (min(repeat(fit, timer=perf_counter, number=1, repeat=repeats)) for fit in fits)
    updates = more.n_updates_ / more.n_iter_
    numbers = X.nnz if sparse.issparse(X) else X.shape[0] * X.shape[1]
    seen = more.n_samples_seen_ / more.n_iter_ / X.shape[0]  # less than 1 if a last batch is dropped
    return Cost(updates, 2 * numbers * seen / updates, max(long - short, 0.0) / epochs)


def n_updates(estimator: Any, X: Any = None, y: Any = None) -> int:
    """Number of updates of a fitted regressor, or of the one at the end of a pipeline; for use as a scorer in a search.

    Parameters
    ----------
    estimator : regressor of this package, or pipeline
        Fitted.
    X, y : ignored
        Arguments that scikit-learn passes to scorers.

    Returns
    -------
    n_updates : int
        Its `n_updates_`.

    Examples
    --------
    >>> from sklearn_sgd import BatchGDRegressor
    >>> from sklearn_sgd.diagnostics import n_updates
    >>> n_updates(BatchGDRegressor().partial_fit([[0.0], [1.0]], [0.0, 1.0]))
    1
    """
    return last_step(estimator).n_updates_


def last_step(estimator: Any) -> Any:
    """Return the regressor itself, or that at the end of a pipeline."""
    return estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator


def check_data(X, y):
    """Return X in float64, dense or CSR, and y; those of other libraries as arrays of NumPy."""
    X, y = (host(detached(values)) if dispatches(values) else values for values in (X, y))
    return check_X_y(convertible(X), supported(y, "y"), accept_sparse="csr", dtype=np.float64, y_numeric=True)
