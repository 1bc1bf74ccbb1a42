"""Checks of the input: X, targets, sample weights, start parameters, validation data."""

import math
from collections.abc import Iterable
from itertools import repeat
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils.validation import check_consistent_length

from sklearn_sgd._base.fitted import densified
from sklearn_sgd._base.samples import check_samples, is_sparse_frame, supported
from sklearn_sgd._namespace import (
    detached,
    device,
    dispatches,
    dtype_of,
    dtype_there,
    floats,
    host,
    is_foreign,
    like,
    namespace,
    on_device,
    take,
)
from sklearn_sgd._parts import try_loss

# Number of targets for which a loss of the user is tried, at most.
TRIED = 32

# The fast path, for input that validation would neither convert nor reject: validation takes longer than a step.


def is_plain_matrix(X: Any, n_features: int, dtype: np.dtype) -> bool:
    """Return whether X is a finite C-ordered array of this width and dtype."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.shape[1] == n_features
        and X.dtype == dtype
        and X.flags.c_contiguous
        and len(X) > 0
        and all_finite(X)
    )


def is_plain_column(values: Any, X: np.ndarray) -> bool:
    """Return whether there is one finite number per sample, in the dtype of X."""
    return (
        type(values) is np.ndarray
        and values.shape == X.shape[:1]
        and values.dtype == X.dtype
        and values.flags.c_contiguous
        and all_finite(values)
    )


def all_finite(array: np.ndarray) -> bool:
    """Return whether the sum of squares of a C-ordered array is finite: if so, all its values are.

    If the sum overflows, the caller uses scikit-learn's validation.
    """
    return math.isfinite(np.vdot(array, array))


def refuse_not_finite(estimator: Any, X: Any, y: Any = None) -> None:
    """Raise an error that names X or y, if it is not finite."""
    for name, values in {"X": X, "y": y}.items():
        if isinstance(values, np.ndarray) or sparse.issparse(values) or dispatches(values):
            assert_all_finite(values, estimator_name=type(estimator).__name__, input_name=name)


def can_defer_finite_check(estimator: Any, X: Any, sample_weight: Any) -> bool:
    """Return whether a sample that is not finite shows in the feature statistics or in the loss of the first epoch.

    If so, `fit` need not read X once more for this check. The squared error of such a sample is not finite; other
    losses may be bounded.
    """
    return (
        (X.dtype in floats(X) if dispatches(X) else _is_array(X) and X.dtype.kind == "f")
        and estimator.loss == "squared_error"
        and sample_weight is None
        and not estimator.early_stopping
        and not estimator.drop_last
    )


def _is_array(X: Any) -> bool:
    """Return whether X is a dense array or a CSR matrix, whose entries are read as they are."""
    return isinstance(X, np.ndarray) or (sparse.issparse(X) and X.format == "csr")


def as_columns(y: np.ndarray) -> np.ndarray:
    """Return targets as columns, each of which is contiguous if possible."""
    return y[:, None] if y.ndim == 1 else y if is_foreign(y) else np.asfortranarray(y)


def check_target_domain(estimator: Any, loss: Any, y: Any, sample_weight: Any = None, name: str = "y") -> None:
    """Raise an error if the loss is not defined for the target of a sample whose weight is not 0."""
    if hasattr(loss, "allows"):
        allowed = loss.allows(as_columns(y))
        if not namespace(y).all(allowed if sample_weight is None else allowed | (sample_weight == 0)[:, None]):
            domain = getattr(loss, "domain", "allowed by its method allows")
            raise ValueError(f"{name} must be {domain} for loss={estimator.loss!r}.")


def check_loss(loss: Any, y: Any) -> None:
    """Raise an error if a loss of the user cannot be computed for an array of targets, or is negative for some."""
    if not dispatches(y):
        targets = y.ravel()
        try_loss(loss, targets[:: 1 + len(targets) // TRIED].astype(np.float64))


def check_targets(estimator: Any, name: str, values: Any, X: Any, number: int | None = None) -> np.ndarray:
    """Return finite targets, one or more for each sample, in the dtype of X."""
    if values is None:
        raise ValueError(f"{type(estimator).__name__} requires {name} to be passed, but the target {name} is None.")
    if isinstance(values, Real):
        raise ValueError(f"{name} must have one target per sample; got {values!r}.")
    if sparse.issparse(values):
        raise TypeError(f"{name} must be dense, but is sparse: use {name}.toarray().")
    values = _check_numbers(name, values, X)
    check_consistent_length(X, values)
    if number is not None and math.prod(values.shape[1:]) != number and values.shape[0]:
        raise ValueError(f"{name} must have {number} targets per sample, as before; got shape {values.shape}.")
    return values


def check_weights(name: str, values: Any, X: Any) -> np.ndarray | None:
    """Return validated sample weights; None if none are given."""
    if values is None:
        return None
    given = np.full(X.shape[0], values) if isinstance(values, Real) else values
    values = _check_numbers(name, given, X)
    if values.shape != (X.shape[0],):
        raise ValueError(f"{name} must have one number for each of the {X.shape[0]} samples; got shape {values.shape}.")
    if bool(namespace(values).any(values < 0)):
        raise ValueError(f"{name} has negative values: a weight must be 0 or more.")
    if not namespace(values).any(values) and namespace(given).any(given):
        raise ValueError(f"{name} is 0 in X's precision, float32: multiply it by a constant. Only ratios matter.")
    return values


def _check_numbers(name: str, values: Any, X: Any) -> Any:
    """Return finite numbers in the dtype and the array library of X."""
    values = values.sparse.to_dense() if is_sparse_frame(values) else detached(supported(values, name))
    if dispatches(values) and type(values) is not type(X):
        values = host(values)
    elif dispatches(values) and device(values) != device(X):
        values = on_device(values, device(X))
    there, precision = dispatches(values), dtype_of(X)
    dtype = X.dtype if there else np.float64
    values = check_array(values, dtype=dtype, ensure_2d=False, ensure_min_samples=0, input_name=name)
    if there:
        return values
    if precision == np.float32 and np.abs(values).max(initial=0.0) > np.finfo(np.float32).max:
        raise ValueError(f"{name} has values too large for X's precision, float32: give X as float64.")
    return like(np.ascontiguousarray(values, dtype=precision), X)


def check_start(name: str, value: Any, n_targets: tuple, n_features: tuple = ()) -> Iterable:
    """Return the start parameters of each target, checked; None for each if none are given."""
    if value is None:
        return repeat(None)
    value, shape = host(value) if dispatches(value) else value, (*n_targets, *n_features)
    if sparse.issparse(value):  # As coef_ is after sparsify, with a row for each target.
        value = value.toarray().reshape(*n_targets, -1)
    try:
        value = np.asarray(supported(value, name), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be finite numbers of shape {shape}: {error}") from error
    if shape == () and value.size == 1:
        value = value.reshape(())
    if value.shape != shape:
        raise ValueError(f"{name} must be finite and of shape {shape}; got shape {value.shape}.")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite and of shape {shape}; got NaN or infinity.")
    return value if n_targets else [value]


def start_parameters(estimator: Any, coef_init: Any, intercept_init: Any, shape: tuple, n_features: int) -> tuple:
    """Return the coefficients and the intercept that each target starts from; None for each: zero."""
    coef_init, intercept_init, model = detached(coef_init), detached(intercept_init), estimator._fitted
    names = ["coef_init", "intercept_init"]
    if not estimator.fit_intercept and intercept_init is not None and np.any(host(intercept_init)):
        raise ValueError("intercept_init must be 0, or None, with fit_intercept=False.")
    if estimator.warm_start and model is not None:
        if coef_init is None:
            coef_init, names[0] = densified(model.coef, model.intercept), "warm_start=True starts from coef_, which"
        if intercept_init is None:
            intercept_init, names[1] = model.intercept, "warm_start=True starts from intercept_, which"
    coefs = check_start(names[0], coef_init, shape, (n_features,))
    return coefs, check_start(names[1], intercept_init, shape)


def check_validation_data(estimator: Any, X: Any, y: Any, X_val: Any, y_val: Any, weight_val: Any) -> tuple:
    """Return validation data given to `fit`, checked."""
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together, and sample_weight_val with both.")
    if not estimator.early_stopping:
        raise ValueError("X_val and y_val need early_stopping=True; got False.")
    form = {"dtype": dtype_there(X_val, dtype_of(X)), "ensure_min_samples": 2}
    try:
        X_val = check_samples(estimator, X_val, **form, reset=False, summed=False)
        y_val = check_targets(estimator, "y_val", y_val, X_val, math.prod(y.shape[1:]))
    except (TypeError, ValueError) as error:
        # scikit-learn's messages speak of X, or of no name.
        raise type(error)(f"X_val or y_val is invalid: {error}") from error
    weight_val = check_weights("sample_weight_val", weight_val, X_val)
    if weight_val is not None and not namespace(weight_val).any(weight_val != 0):
        raise ValueError("sample_weight_val is zero for all samples: there is nothing to score on.")
    return X_val, y_val, weight_val


def hold_out(estimator: Any, X: Any, y: Any, sample_weight: Any, random_state: Any) -> tuple:
    """Return the indices of the training samples, and validation data drawn at random from samples with weight."""
    rows = np.arange(X.shape[0]) if sample_weight is None else np.flatnonzero(host(sample_weight != 0))
    fraction = estimator.validation_fraction
    try:
        train, held = train_test_split(rows, test_size=fraction, random_state=random_state)
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot split n_samples={len(rows)} with validation_fraction="
            f"{fraction}: use more samples, or another validation_fraction."
        ) from error
    if len(held) < 2:
        raise ValueError(
            f"early_stopping needs at least 2 validation samples; validation_fraction={fraction} of "
            f"{len(rows)} samples is less: increase validation_fraction."
        )
    weight_val = None if sample_weight is None else take(sample_weight, held)
    return np.sort(train), (take(X, held), take(y, held), weight_val)
