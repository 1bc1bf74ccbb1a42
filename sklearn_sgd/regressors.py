"""The three regressors: their signatures and documentation. What they do is in ``_base``."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from sklearn_sgd._base.docs import with_shared_docs
from sklearn_sgd._base.estimator import BaseGDRegressor

__all__ = ["BatchGDRegressor", "MiniBatchSGDRegressor", "OnlineSGDRegressor"]


@with_shared_docs
class BatchGDRegressor(BaseGDRegressor):
    """Linear regression by full-batch gradient descent: each step follows the exact gradient over all samples.

    Also called classic gradient descent. The order of the samples does not matter; one step costs a pass over the data.

    For the gradient descent of a textbook use ``learning_rate="constant"``. The default, ``learning_rate="auto"``, is
    not that: its steps are preconditioned by the covariances of the features, so that it often reaches the minimum of
    the squared error in two updates.

    Parameters
    ----------
    {model_parameters}
    batch_size : None
        Each update uses all samples. For another size use :class:`MiniBatchSGDRegressor`.
    {training_parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MiniBatchSGDRegressor : Steps on batches of samples.
    OnlineSGDRegressor : Steps on single samples.

    References
    ----------
    Cauchy, A.-L., "Méthode générale pour la résolution des systèmes d'équations simultanées", Comptes Rendus 25, 1847.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import BatchGDRegressor
    >>> X, y = np.array([[-1.0], [0.0], [1.0]]), np.array([1.0, 3.0, 5.0])
    >>> model = BatchGDRegressor(learning_rate="constant", eta0=0.5, epochs=1000, tol=None).fit(X, y)
    >>> model.predict([[2.0]]).round(6), model.n_updates_
    (array([7.]), 1000)
    """

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

    def _check_batch_size(self):
        if self.batch_size is not None:
            raise ValueError(
                f"batch_size must be None for BatchGDRegressor, which uses all samples in each update; got "
                f"{self.batch_size}. Use MiniBatchSGDRegressor(batch_size={self.batch_size})."
            )


@with_shared_docs
class MiniBatchSGDRegressor(BaseGDRegressor):
    """Linear regression by mini-batch stochastic gradient descent: each step follows the mean gradient of a batch.

    A step on B of the N samples costs B/N of a full one, is noisy, but right on average, and there are N/B of them per
    epoch. ``batch_size=1`` is :class:`OnlineSGDRegressor`, ``batch_size=None`` is :class:`BatchGDRegressor`.

    With ``learning_rate="constant"`` the steps are those of a textbook. The default, ``learning_rate="auto"``,
    preconditions them, predicts with an average of the parameters, and for the squared error ends with steps on all
    samples (see `average`), so that the batch size hardly changes the result.

    Parameters
    ----------
    {model_parameters}
    batch_size : int, 'auto' or None, default=32
        The number of samples per update. If None, or more than the number of samples, all samples are used. If 'auto',
        a power of two is chosen from the numbers of features and samples. See `batch_size_`.
    {training_parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    BatchGDRegressor : Steps on all samples.
    OnlineSGDRegressor : Steps on single samples.

    References
    ----------
    Bottou, L., Curtis, F. E. and Nocedal, J., "Optimization methods for large-scale machine learning", SIAM Review 60,
    2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import MiniBatchSGDRegressor
    >>> X = np.arange(8.0).reshape(8, 1) / 8
    >>> model = MiniBatchSGDRegressor(batch_size=2, epochs=3, tol=None, random_state=0).fit(X, 2 * X[:, 0])
    >>> model.n_updates_, model.batch_size_
    (12, 2)
    """

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


@with_shared_docs
class OnlineSGDRegressor(BaseGDRegressor):
    """Linear regression by online stochastic gradient descent: each step follows the gradient of a single sample.

    It has the cheapest steps, and it can learn from a stream: `partial_fit` continues learning from new samples.

    With ``learning_rate="constant"`` the steps are those of a textbook. The default, ``learning_rate="auto"``,
    preconditions them, predicts with an average of the parameters, and for the squared error ends with steps on all
    samples (see `average`).

    Parameters
    ----------
    {model_parameters}
    batch_size : int, default=1
        Each update uses one sample. For another size use :class:`MiniBatchSGDRegressor`.
    {training_parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    BatchGDRegressor : Steps on all samples.
    MiniBatchSGDRegressor : Steps on batches of samples.

    References
    ----------
    Robbins, H. and Monro, S., "A stochastic approximation method", Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> from sklearn_sgd import OnlineSGDRegressor
    >>> model = OnlineSGDRegressor(learning_rate="constant", eta0=0.5)
    >>> for x, y in [(0.0, 1.0), (1.0, 2.0)] * 50:
    ...     model = model.partial_fit([[x]], [y])
    >>> model.predict([[2.0]]).round(3), model.n_samples_seen_
    (array([3.]), 100)
    """

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

    def _check_batch_size(self):
        if self.batch_size != 1:
            raise ValueError(
                f"batch_size must be 1 for OnlineSGDRegressor, which uses one sample per update; got "
                f"{self.batch_size}. Use MiniBatchSGDRegressor(batch_size={self.batch_size})."
            )
