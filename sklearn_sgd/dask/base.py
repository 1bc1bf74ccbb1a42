"""The base class of the three regressors on a cluster: what they do otherwise than those without Dask."""

import copy
import warnings
from functools import reduce
from typing import Any, Self

import dask
import dask.array as da
import numpy as np
from dask.base import is_dask_collection
from distributed import Client
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd._base.docs import DOCS
from sklearn_sgd._base.estimator import BaseGDRegressor
from sklearn_sgd._base.parameters import ResolvedParameters, needs_same_samples
from sklearn_sgd._base.unused import USES, Use
from sklearn_sgd._compat import check_feature_names
from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd.dask import workers
from sklearn_sgd.dask.blocks import Blocks
from sklearn_sgd.dask.cluster import ClusterRows
from sklearn_sgd.dask.collections import aligned_partitions, check_collection, find_client, with_all_features
from sklearn_sgd.dask.workers import Score


class BaseDaskRegressor(BaseGDRegressor):
    """Everything but the signature. ``_local`` is the class without Dask."""

    _parameter_uses = USES | {
        "validation_fraction": Use(lambda params: False, "the class without Dask"),
        "sync_rows": Use(lambda params: params["batch_size"] is not None, "a batch_size other than None"),
    }

    client: "Client | None"
    sync_rows: int | None = None
    _local: type[BaseGDRegressor]
    _doc_link_template = DOCS + "generated/sklearn_sgd.dask.{estimator_name}.html"

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        coef_init: Any = None,
        intercept_init: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Learn from the samples on the workers of a cluster, for several epochs.

        Parameters
        ----------
        X : dask Array of shape (n_samples, n_features) or dask DataFrame
            Training data, in partitions of samples. They are computed once, validated and kept on the workers until the
            fit is done; chunks may be sparse matrices.
        y : dask Array of shape (n_samples,), Series or DataFrame of one column
            Targets, in the partitions of X.
        sample_weight : dask Array of shape (n_samples,) or Series, default=None
            Sample weights, in the partitions of X.
        coef_init : array-like of shape (n_features,), default=None
            Coefficients to start from.
        intercept_init : float, default=None
            Intercept to start from.
        X_val : {array-like, CSR matrix} of shape (n_val, n_features), default=None
            Samples in memory on which `early_stopping` scores.
        y_val : array-like of shape (n_val,), default=None
            Targets of these samples.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of these samples in the score.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If there is no client, a parameter or an input is invalid, or the partitions of X, y and sample_weight do
            not belong together; an invalid value is reported with the number of its partition.
        TypeError
            If X, y or sample_weight is not a Dask collection.
        """
        check_collection("X", X)
        if self.early_stopping and X_val is None:
            raise ValueError(
                "early_stopping=True on a cluster needs validation samples in memory: pass X_val and y_val to fit, or "
                "early_stopping=False."
            )
        if is_dask_collection(X_val) or is_dask_collection(y_val) or is_dask_collection(sample_weight_val):
            raise TypeError("X_val, y_val and sample_weight_val must be in memory: give X_val.compute(), for instance.")
        start = {"coef_init": coef_init, "intercept_init": intercept_init}
        held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return super().fit(X, y, sample_weight, **start, **held_out)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Continue learning from samples in memory, in this process, as the class without Dask does.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New samples.
        y : array-like of shape (n_samples,)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        TypeError
            If X is a Dask collection.
        """
        if is_dask_collection(X):
            raise TypeError(
                "partial_fit needs samples in memory. For a Dask collection use fit, with warm_start=True to continue, "
                "or dask_ml.wrappers.Incremental with the class without Dask."
            )
        return super().partial_fit(X, y, sample_weight)

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : dask Array or DataFrame, or {array-like, CSR matrix} of shape (n_samples, n_features)
            Samples.
        return_std : bool, default=False
            Whether to return also the standard deviation of a new target, of samples in memory.

        Returns
        -------
        y : dask Array or Series, or ndarray, of shape (n_samples,)
            Predictions: of a Dask collection a lazy one, computed where each partition lies; else an array.
        y_std : ndarray of shape (n_samples,)
            Standard deviations; only with `return_std`.

        Raises
        ------
        TypeError
            If X is a Dask collection, with `return_std`.
        """
        if not is_dask_collection(X):
            return super().predict(X, True) if return_std else super().predict(X)
        if return_std:
            raise TypeError(
                "return_std=True takes rows in memory: X.compute(), or map_blocks and map_partitions with "
                "to_local().predict."
            )
        check_is_fitted(self)
        model = self.to_local()
        if isinstance(X, da.Array):
            X, dtype = with_all_features(X), np.dtype(np.float32 if X.dtype == np.float32 else np.float64)
            return X.map_blocks(workers.predict_chunk, model, dtype, drop_axis=1, dtype=dtype, meta=np.empty(0, dtype))
        # Of nullable columns, the second row that Dask makes up is missing.
        dtype = model.predict(X._meta_nonempty.iloc[:1]).dtype
        return X.map_partitions(workers.predict_frame, model, dtype, meta=(None, dtype))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R² of the predictions; of a Dask collection computed on the cluster.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like of shape (n_samples, n_features)
            Samples.
        y : dask Array or Series, or array-like of shape (n_samples,)
            Their targets.
        sample_weight : dask Array or Series, or array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        score : float
            1 less the ratio of the squared errors to those of the mean. Where all targets are the same, it is 1 if all
            predictions are right, else 0, as in scikit-learn.
        """
        if not is_dask_collection(X):
            return super().score(X, y, sample_weight)
        model, client = self.to_local(), find_client(self.client)
        columns = {"y": y} if sample_weight is None else {"y": y, "sample_weight": sample_weight}
        tasks = [dask.delayed(workers.score_of)(model, *given) for given in aligned_partitions(X, **columns)]
        found = reduce(Score.merged, client.gather(client.compute(tasks)))
        if found.n_samples < 2:
            warnings.warn(
                "R^2 score is not well-defined with less than two samples.", UndefinedMetricWarning, stacklevel=2
            )
            return float("nan")
        if not found.spread:
            return float(not found.errors)
        return 1.0 - found.errors / found.spread

    def to_local(self) -> Any:
        """Return the same regressor without Dask.

        Returns
        -------
        regressor : BatchGDRegressor, MiniBatchSGDRegressor or OnlineSGDRegressor
            With the same parameters and, if fitted, the same fitted attributes.
        """
        local = self._local(**{name: getattr(self, name) for name in self._local().get_params(deep=False)})
        known = {*vars(local), *self.get_params(deep=False)}
        local.__dict__.update({name: copy.copy(value) for name, value in vars(self).items() if name not in known})
        return local

    def _validate_input(
        self, resolved: ResolvedParameters, X: Any, y: Any, sample_weight: Any, reset: bool, least: int = 1, finite=True
    ) -> tuple[Recipe, Any, Any, Any]:
        """Return the recipe and, for a collection, its samples on the workers in the place of X.

        Targets and weights are there with them: in their place are one number, and None.
        """
        if not is_dask_collection(X):
            return super()._validate_input(resolved, X, y, sample_weight, reset, least, finite)
        self._check_batch_size()
        check_feature_names(self, getattr(X, "_meta", X), reset=reset)
        # Without the callbacks, which a clone has too.
        model = self._local(**clone(self.to_local()).get_params())
        partitions = aligned_partitions(X, y=y, sample_weight=sample_weight)
        blocks = Blocks(find_client(self.client), model, partitions, self.sync_rows)
        if not blocks.futures:
            raise ValueError("X has no samples to learn from, or sample_weight is zero for all of them.")
        rows = ClusterRows.of(blocks)
        self.n_features_in_ = rows.shape[1]
        recipe = resolved.resolve(rows)
        if needs_same_samples(self.optimizer):
            raise ValueError(
                f"optimizer={self.optimizer!r} needs the same samples again, which workers do not keep: use "
                "optimizer='sgd', or the class without Dask."
            )
        return recipe, rows, np.zeros(1, rows.dtype), None

    def __sklearn_clone__(self):
        """Return a clone with the same client, which is a connection, and not copied with the rest."""
        cloned = super(BaseDaskRegressor, copy.copy(self)).__sklearn_clone__()
        cloned.client = self.client
        return cloned

    def __getstate__(self):
        """Return the state to pickle: without the client."""
        return {**super().__getstate__(), "client": None}
