"""Prediction for any kind of X, in blocks if conversion or checks would take memory or time."""

from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array, gen_batches
from sklearn.utils.validation import validate_data

from sklearn_sgd._base.fitted import predict_linear
from sklearn_sgd._base.samples import check_samples, settled
from sklearn_sgd._compat import num_samples, safe_indexing
from sklearn_sgd._namespace import dispatches, floats, namespace, refuse_elsewhere, scratch_rows

# Entries of X in a block of predictions on the host.
BLOCK = 1 << 17


def predict_in_blocks(estimator: Any, X: Any) -> Any:
    """Validate X, in blocks if it is large, and return the predictions of a fitted estimator."""
    model = estimator._model
    refuse_elsewhere(X, estimator, "predict")
    if dispatches(X):
        return _predict_there(estimator, X)
    size = max(1, BLOCK // estimator.n_features_in_)
    if sparse.issparse(X) or num_samples(X) <= size:
        return model.predict(check_samples(estimator, X, dtype=floats(X), reset=False, summed=False))
    # Only one block at a time is converted. Blocks that need no conversion are checked and used while in the cache.
    validate_data(estimator, X, reset=False, skip_check_array=True)
    cut, is_plain = X.__getitem__ if isinstance(X, np.ndarray) else partial(safe_indexing, X), estimator._is_plain
    blocks = map(cut, gen_batches(num_samples(X), size if is_plain(X[:1]) else 8 * size))
    form = {"accept_sparse": "csr", "dtype": floats(X), "input_name": "X"}
    parts = (block if is_plain(block) else check_array(settled(block, False), **form) for block in blocks)
    return np.concatenate([model.predict(part) for part in parts])


def _predict_there(estimator: Any, X: Any) -> Any:
    """Return the predictions for an array of another library, on its device."""
    if X.ndim == 2 and X.dtype not in floats(X) and X.shape[0] > (size := scratch_rows(X)):
        blocks = [X[rows, ...] for rows in gen_batches(X.shape[0], size)]
        return namespace(X).concat([_predict_there(estimator, block) for block in blocks])
    model, form = estimator._model, {"dtype": floats(X), "reset": False}
    rows = check_samples(estimator, X, ensure_all_finite=False, **form)
    raw = predict_linear(rows, model.coef, model.intercept, None)
    xp = namespace(raw)
    if not bool(xp.all(xp.isfinite(raw))):
        # A value that is not finite shows in the product, so X need not be read to look for one before.
        check_samples(estimator, X, **form)
    return raw if model.link is None else model.link.inverse_link(raw)
