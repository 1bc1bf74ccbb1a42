"""A record of each update of a fit: its batch, its loss, and the parameters after it."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd._base import training
from sklearn_sgd._base.objective import check_regressor
from sklearn_sgd._engine.epochs import Descent
from sklearn_sgd._engine.preparation.occurring import Occurring
from sklearn_sgd._namespace import dispatches, host


class FitRecord(NamedTuple):
    """A record of each update of a fit.

    Parameters
    ----------
    model : regressor of this package
        Fitted clone.
    path : ndarray of shape (n_updates + 1, n_features + 1)
        Parameters that `predict` would use at the start and after each update: coefficients and, last, the intercept.
        If `fit` does not end with its last update (final steps on all samples, the best parameters of early stopping,
        the best constant), a last row has the parameters that it returns.
    losses : ndarray of shape (n_updates,)
        Mean loss of each batch, before the update.
    batches : list of ndarray of shape (n_samples_in_batch,)
        Numbers of the samples in each batch.

    Examples
    --------
    >>> from sklearn_sgd import MiniBatchSGDRegressor
    >>> from sklearn_sgd.diagnostics import record_fit
    >>> model = MiniBatchSGDRegressor(batch_size=2, learning_rate="constant", eta0=0.1, epochs=3, tol=None)
    >>> record = record_fit(model, [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0])
    >>> record.path.shape, record.losses.shape, len(record.batches)
    ((7, 2), (6,), 6)
    """

    model: Any
    path: np.ndarray
    losses: np.ndarray
    batches: list[np.ndarray]


class Recorder:
    """Records the updates of a descent."""

    def __init__(self) -> None:
        self.path: list[np.ndarray] = []
        self.losses: list[float] = []
        self.batches: list[np.ndarray] = []

    def follow(self, descent: Descent, occurring: Occurring) -> None:
        """Start recording a descent on the columns that occur."""
        descent.record, self.occurring = self, occurring
        self._note(descent)

    def __call__(self, descent: Descent, rows: Any, losses: float) -> None:
        """Record an update on some rows; ``losses`` is the sum of their losses before it."""
        self._note(descent)
        self.losses.append(losses / descent.weight_of(rows))
        self.batches.append(np.array(rows, dtype=np.intp))

    def _note(self, descent: Descent) -> None:
        state = self.occurring.whole(descent.state)
        vectors = state.vectors
        coef, intercept = state.predictor(vectors.average if descent.plan.average_from else vectors.coef)
        self.path.append(np.append(host(coef), intercept).astype(float))


def record_fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any = None, *, epochs: int | None = None, **fit_params: Any
) -> FitRecord:
    """Fit a clone, and record each of its updates.

    The clone ends with the coefficients that `fit` of the estimator itself would end with: the batches are the same,
    and so are the steps, to rounding. Recording makes a fit slow, and stores all parameters after each update. It gives
    no ConvergenceWarning; `fit` does.

    Parameters
    ----------
    estimator : regressor of this package, or pipeline that ends in one
        Not changed. For a pipeline, the fit of the last step is recorded.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples. Arrays of other libraries on a device are copied to NumPy.
    y : array-like of shape (n_samples,)
        Targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Sample weights.
    epochs : int, default=None
        Maximum number of passes over the samples, instead of the estimator's `epochs`.
    **fit_params
        Other arguments of `fit`, such as `coef_init` and `intercept_init`.

    Returns
    -------
    record : FitRecord
        Fitted clone, path, losses, batches.

    Raises
    ------
    ValueError
        If y has several columns, or `fit` raises it.

    Examples
    --------
    >>> from sklearn_sgd import BatchGDRegressor
    >>> from sklearn_sgd.diagnostics import record_fit
    >>> model = BatchGDRegressor(learning_rate="constant", eta0=0.5, epochs=2, tol=None)
    >>> record_fit(model, [[-1.0], [1.0]], [0.0, 4.0]).losses
    array([4., 1.])
    """
    if np.ndim(y) > 1 and np.shape(y)[1] > 1:
        raise ValueError(f"y must have one column to record a fit; got {np.shape(y)[1]}. Record one target at a time.")
    model = clone(estimator)
    if hasattr(model, "steps"):
        X, model = model[:-1].fit_transform(X, y) if len(model.steps) > 1 else X, model.steps[-1][1]
    check_regressor(model)
    if epochs is not None:
        model.epochs = epochs
    if dispatches(X):
        X, y, sample_weight = host(X), host(y), None if sample_weight is None else host(sample_weight)
    recorder = Recorder()

    def run_recorded(session: training.Session, plans: Any, states: Any) -> dict[str, Any]:
        return training.run_epochs(session._replace(recorder=recorder), plans, states)

    vars(model)["_run_epochs"] = run_recorded
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, sample_weight, **fit_params)
    del vars(model)["_run_epochs"]
    end = np.append(host(model.coef_), host(model.intercept_)).astype(float)
    path = recorder.path if np.array_equal(recorder.path[-1], end) else [*recorder.path, end]
    return FitRecord(model, np.array(path), np.array(recorder.losses), recorder.batches)
