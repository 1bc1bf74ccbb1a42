"""The three regressors on a cluster: their signatures and documentation. What they do is in ``base``."""

from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal

import numpy as np
from distributed import Client

from sklearn_sgd._base.docs import with_shared_docs
from sklearn_sgd._compat import Interval
from sklearn_sgd.dask.base import BaseDaskRegressor
from sklearn_sgd.regressors import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

__all__ = ["DaskBatchGDRegressor", "DaskMiniBatchSGDRegressor", "DaskOnlineSGDRegressor"]

CLIENT: dict[str, list] = {"client": [Client, None]}
SYNC_ROWS: dict[str, list] = {"sync_rows": [Interval(Integral, 1, None, closed="left"), None]}


@with_shared_docs
class DaskBatchGDRegressor(BaseDaskRegressor, BatchGDRegressor):
    """Linear regression by full-batch gradient descent on a Dask cluster: the sum of the gradients of all partitions.

    It learns what :class:`sklearn_sgd.BatchGDRegressor` learns from the same samples, to rounding. The squared error
    with the automatic step takes one pass over the samples, for the normal matrix; others take one or more per epoch.

    Parameters
    ----------
    {model_parameters}
    batch_size : None
        All samples in each step. For another size use :class:`DaskMiniBatchSGDRegressor`.
    {training_parameters}
    client : distributed.Client or None, default=None
        The cluster; None: the client that is in use. Not pickled.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sklearn_sgd.BatchGDRegressor : The same on one machine.
    DaskMiniBatchSGDRegressor : Steps on batches of samples.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn_sgd.dask import DaskBatchGDRegressor
    >>> client = Client()  # doctest: +SKIP
    >>> X = da.random.random((1_000_000, 20), chunks=(50_000, 20))
    >>> model = DaskBatchGDRegressor().fit(X, X.sum(axis=1))  # doctest: +SKIP
    >>> model.predict(X).mean().compute().round(3)  # doctest: +SKIP
    10.0
    """

    _local = BatchGDRegressor
    _parameter_constraints = BatchGDRegressor._parameter_constraints | CLIENT

    def __init__(
        self,
        loss: Any = "squared_error",
        *,
        penalty: Literal["l2", "l1", "elasticnet"] | tuple[Any, ...] | None = None,
        alpha: float = 1e-4,
        l1_ratio: float | None = 0.15,
        positive: bool = False,
        fit_intercept: bool = True,
        batch_size: int | Literal["auto"] | None = None,
        epochs: int = 100,
        shuffle: bool | Literal["batches"] = True,
        drop_last: bool = False,
        learning_rate: str | Callable[[np.ndarray], np.ndarray] = "auto",
        eta0: float = 0.01,
        power_t: float = 0.25,
        optimizer: Any = "sgd",
        average: bool | int | Literal["auto"] = "auto",
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        time_budget: float | None = None,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        half_life: float | None = None,
        inference: bool = False,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        client: "Client | None" = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.fit_intercept = fit_intercept
        self.batch_size = batch_size
        self.epochs = epochs
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.optimizer = optimizer
        self.average = average
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.time_budget = time_budget
        self.epsilon = epsilon
        self.quantile = quantile
        self.half_life = half_life
        self.inference = inference
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.client = client


@with_shared_docs
class DaskMiniBatchSGDRegressor(BaseDaskRegressor, MiniBatchSGDRegressor):
    """Linear regression by mini-batch stochastic gradient descent on a Dask cluster.

    Each thread of each worker descends over its own blocks from the same start. After `sync_rows` samples the
    parameters, their averages and the moments are averaged, weighted by numbers of samples. The statistics of the
    automatic step are those of all samples. `n_updates_` counts the steps of the thread that takes
    most. Batches do not go on from one block to the next, so `drop_last` concerns the end of each block.

    Parameters
    ----------
    {model_parameters}
    batch_size : int, 'auto' or None, default=32
        Samples per step of a thread; None: all samples; 'auto': a power of two chosen from the numbers of features and
        samples.
    {training_parameters}
    sync_rows : int or None, default=None
        Samples that each thread of each worker takes before the parameters are averaged, rounded up to whole batches;
        None: all its own, so once an epoch.
    client : distributed.Client or None, default=None
        The cluster; None: the client that is in use. Not pickled.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sklearn_sgd.MiniBatchSGDRegressor : The same on one machine.

    References
    ----------
    Zinkevich, M., Weimer, M., Smola, A. and Li, L., "Parallelized stochastic gradient descent", NeurIPS 2010.

    Examples
    --------
    >>> from sklearn_sgd.dask import DaskMiniBatchSGDRegressor
    >>> model = DaskMiniBatchSGDRegressor(batch_size=256, sync_rows=100_000, random_state=0)
    >>> model.fit(X, y).to_local()  # doctest: +SKIP
    MiniBatchSGDRegressor(batch_size=256, random_state=0)
    """

    _local = MiniBatchSGDRegressor
    _parameter_constraints = MiniBatchSGDRegressor._parameter_constraints | SYNC_ROWS | CLIENT

    def __init__(
        self,
        loss: Any = "squared_error",
        *,
        penalty: Literal["l2", "l1", "elasticnet"] | tuple[Any, ...] | None = None,
        alpha: float = 1e-4,
        l1_ratio: float | None = 0.15,
        positive: bool = False,
        fit_intercept: bool = True,
        batch_size: int | Literal["auto"] | None = 32,
        epochs: int = 100,
        shuffle: bool | Literal["batches"] = True,
        drop_last: bool = False,
        learning_rate: str | Callable[[np.ndarray], np.ndarray] = "auto",
        eta0: float = 0.01,
        power_t: float = 0.25,
        optimizer: Any = "sgd",
        average: bool | int | Literal["auto"] = "auto",
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        time_budget: float | None = None,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        half_life: float | None = None,
        inference: bool = False,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        sync_rows: int | None = None,
        client: "Client | None" = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.fit_intercept = fit_intercept
        self.batch_size = batch_size
        self.epochs = epochs
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.optimizer = optimizer
        self.average = average
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.time_budget = time_budget
        self.epsilon = epsilon
        self.quantile = quantile
        self.half_life = half_life
        self.inference = inference
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.sync_rows = sync_rows
        self.client = client


@with_shared_docs
class DaskOnlineSGDRegressor(BaseDaskRegressor, OnlineSGDRegressor):
    """Linear regression by online stochastic gradient descent on a Dask cluster: steps on single samples.

    Each thread of each worker descends over its own blocks from the same start. After `sync_rows` samples the
    parameters, their averages and the moments are averaged, weighted by numbers of samples.

    Parameters
    ----------
    {model_parameters}
    batch_size : int, default=1
        One sample in each step of a thread. For another size use :class:`DaskMiniBatchSGDRegressor`.
    {training_parameters}
    sync_rows : int or None, default=None
        Samples that each thread of each worker takes before the parameters are averaged, rounded up to whole batches;
        None: all its own, so once an epoch.
    client : distributed.Client or None, default=None
        The cluster; None: the client that is in use. Not pickled.

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sklearn_sgd.OnlineSGDRegressor : The same on one machine.

    References
    ----------
    Zinkevich, M., Weimer, M., Smola, A. and Li, L., "Parallelized stochastic gradient descent", NeurIPS 2010.

    Examples
    --------
    >>> from sklearn_sgd.dask import DaskOnlineSGDRegressor
    >>> model = DaskOnlineSGDRegressor(learning_rate="constant", eta0=0.01)
    >>> model.fit(X, y).to_local()  # doctest: +SKIP
    OnlineSGDRegressor(learning_rate='constant')
    """

    _local = OnlineSGDRegressor
    _parameter_constraints = OnlineSGDRegressor._parameter_constraints | SYNC_ROWS | CLIENT

    def __init__(
        self,
        loss: Any = "squared_error",
        *,
        penalty: Literal["l2", "l1", "elasticnet"] | tuple[Any, ...] | None = None,
        alpha: float = 1e-4,
        l1_ratio: float | None = 0.15,
        positive: bool = False,
        fit_intercept: bool = True,
        batch_size: int | Literal["auto"] | None = 1,
        epochs: int = 100,
        shuffle: bool | Literal["batches"] = True,
        drop_last: bool = False,
        learning_rate: str | Callable[[np.ndarray], np.ndarray] = "auto",
        eta0: float = 0.01,
        power_t: float = 0.25,
        optimizer: Any = "sgd",
        average: bool | int | Literal["auto"] = "auto",
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        time_budget: float | None = None,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        half_life: float | None = None,
        inference: bool = False,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        sync_rows: int | None = None,
        client: "Client | None" = None,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.fit_intercept = fit_intercept
        self.batch_size = batch_size
        self.epochs = epochs
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.optimizer = optimizer
        self.average = average
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.time_budget = time_budget
        self.epsilon = epsilon
        self.quantile = quantile
        self.half_life = half_life
        self.inference = inference
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.sync_rows = sync_rows
        self.client = client
