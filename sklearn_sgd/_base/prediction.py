"""Prediction for any kind of X, in blocks if conversion or checks would take memory or time."""

from functools import partial
from math import isfinite
from typing import Any

import numpy as np
from scipy import sparse
from sklearn import get_config
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import validate_data

from sklearn_sgd._base.fitted import predict_linear
from sklearn_sgd._base.samples import check_samples, convertible
from sklearn_sgd._compat import num_samples, safe_indexing
from sklearn_sgd._namespace import (
    check_place,
    detached,
    dispatches,
    floats,
    host,
    is_foreign,
    like,
    namespace,
    scratch_rows,
)

# Entries of X in a block of predictions on the host.
BLOCK = 1 << 17


def predict_in_blocks(estimator: Any, X: Any) -> Any:
    """Validate X, in blocks if it is large, and return the predictions of a fitted estimator."""
    model = estimator._model
    if _is_like_coef(estimator, X, model.coef):
        return _predict_by_product(estimator, X, detached(X))
    check_place(X, estimator, "predict")
    if dispatches(X):
        return _predict_on_device(estimator, X)
    size = max(1, BLOCK // estimator.n_features_in_)
    if sparse.issparse(X) or num_samples(X) <= size:
        return model.predict(check_samples(estimator, X, dtype=floats(X), reset=False, summed=False))
    # Only one block at a time is converted. Blocks that need no conversion are checked and used while in the cache.
    validate_data(estimator, X, reset=False, skip_check_array=True)
    cut, is_plain = X.__getitem__ if isinstance(X, np.ndarray) else partial(safe_indexing, X), estimator._is_plain
    blocks = map(cut, gen_batches(num_samples(X), size if is_plain(X[:1]) else 8 * size))
    form = {"accept_sparse": "csr", "dtype": floats(X), "input_name": "X"}
    parts = (block if is_plain(block) else check_array(convertible(block, False), **form) for block in blocks)
    return np.concatenate([model.predict(part) for part in parts])


def _is_like_coef(estimator: Any, X: Any, coef: Any) -> bool:
    """Return whether X is an array of the library, the device and the precision of the coefficients.

    To find that out by scikit-learn's checks takes as long as a product of millions of entries on a graphics card.
    """
    return (
        type(X) is type(coef)
        and is_foreign(X)
        and get_config()["array_api_dispatch"]
        and X.ndim == 2
        and X.shape[1] == coef.shape[-1]
        and X.shape[0] > 0
        and X.dtype == coef.dtype
        and X.device == coef.device
        and not hasattr(estimator, "feature_names_in_")
    )


def _predict_on_device(estimator: Any, X: Any) -> Any:
    """Return the predictions for an array of another library, on its device."""
    if X.ndim == 2 and X.dtype not in floats(X) and X.shape[0] > (size := scratch_rows(X)):
        blocks = [X[rows, ...] for rows in gen_batches(X.shape[0], size)]
        return namespace(X).concat([_predict_on_device(estimator, block) for block in blocks])
    return _predict_by_product(
        estimator, X, check_samples(estimator, X, dtype=floats(X), reset=False, ensure_all_finite=False)
    )


def _predict_by_product(estimator: Any, X: Any, rows: Any) -> Any:
    """Return the predictions for X, of which the validated rows are given."""
    model = estimator._model
    raw = predict_linear(rows, model.coef, model.intercept, None)
    if not isfinite(float(namespace(raw).sum(raw))):
        # A value that is not finite shows in the product, and a sum finds it in a third of the time of other functions.
        check_samples(estimator, X, dtype=floats(X), reset=False)
    return raw if model.link is None else model.link.inverse_link(raw)


class ScoreMixin(RegressorMixin):
    """The score of a regressor, of samples on a device by few operations."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        score : float
            1 less the ratio of the squared errors to those of the mean, as :func:`sklearn.metrics.r2_score`; of several
            targets the mean.
        """
        found = _score_on_device(self, X, y) if sample_weight is None else None
        return super().score(X, y, sample_weight) if found is None else found


def _score_on_device(estimator: Any, X: Any, y: Any) -> float | None:
    """Return the score of samples on the device of the coefficients, for which the host waits twice.

    None where scikit-learn must look closer: it starts forty operations, and waits four times.
    """
    model = estimator._fitted
    if model is None or type(y) is not type(X) or not _is_like_coef(estimator, X, model.coef):
        return None
    if y.shape != (X.shape[0], *model.coef.shape[:-1]) or y.dtype != X.dtype or y.device != X.device:
        return None
    xp, y = namespace(X), detached(y)
    error, rest = y - estimator.predict(X), y - xp.mean(y, axis=0)
    errors, spread = host(xp.stack([xp.sum(part * part, axis=0, dtype=xp.float64) for part in (error, rest)]))
    if not (np.isfinite(errors).all() and (spread > 0.0).all()):
        return None
    return float(np.mean(1.0 - errors / spread))


def predict_std(estimator: Any, X: Any) -> Any:
    """Return the standard deviation of a new target at each sample, for each of several targets, on X's device."""
    # Imported here: other predictions do not need this package, which is above `_base`.
    from sklearn_sgd.inference.prediction import standard_deviations

    found = standard_deviations(estimator, X)
    return like(found, X) if dispatches(X) else found
