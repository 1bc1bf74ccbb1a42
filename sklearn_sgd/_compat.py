"""Private names of scikit-learn, and names that some of its versions lack. No other module imports them.

Private names may move or change in any release; `tests/test_compat.py` has a test for each.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.base import _fit_context
from sklearn.utils import _array_api
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._array_api import _convert_to_numpy as convert_to_numpy
from sklearn.utils._array_api import device, get_namespace
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as openmp_effective_n_threads
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.parallel import _get_threadpool_controller
from sklearn.utils.validation import _check_feature_names as check_feature_names
from sklearn.utils.validation import _num_samples as num_samples

__all__ = [
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "SilentCallbackContext",
    "StrOptions",
    "blas_libraries",
    "callback_context",
    "check_feature_names",
    "check_same_namespace",
    "convert_to_numpy",
    "device",
    "fit_context",
    "get_namespace",
    "has_callbacks",
    "num_samples",
    "openmp_effective_n_threads",
    "safe_indexing",
    "set_blas_threads",
    "validate_parameter_constraints",
]

Method = TypeVar("Method", bound=Callable)


def blas_libraries() -> list[Any]:
    """Return the BLAS libraries of this process, whose number of threads can be read and set."""
    return [library for library in _get_threadpool_controller().lib_controllers if library.user_api == "blas"]


def set_blas_threads(library: Any, number: int) -> None:
    """Set the number of threads of a BLAS library, from any thread.

    From version 3.7 on, threadpoolctl lets only the thread that did so first, as long as it lives.
    """
    free = getattr(library, "clear_controlling_thread", None)
    if free:
        free(force=True)
    library.set_num_threads(number)
    if free:
        free(force=True)


# Decorator of `fit`: validates the parameters, and closes the callbacks when the fit ends. Typed to keep the signature.
fit_context: Callable[[Method], Method] = _fit_context(prefer_skip_nested_validation=True)


class SilentCallbackContext:
    """Callback context of an estimator whose callbacks cannot be called."""

    def subcontext(self, **_):
        """Return the context of a subtask."""
        return self

    def call_on_fit_task_begin(self, **_):
        """Do nothing."""
        return self

    def call_on_fit_task_end(self, **_):
        """Return False: no callback requests to stop."""
        return False


try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in for scikit-learn before 1.9, which has no callbacks."""

        def _init_callback_context(self, **_):
            return SilentCallbackContext()


def callback_context(estimator: Any, max_subtasks: int | None) -> Any:
    """Return a new callback context for a fit of the estimator."""
    return estimator._init_callback_context(max_subtasks=max_subtasks)


def has_callbacks(estimator: Any) -> bool:
    """Return whether callbacks are set on the estimator or propagated to it."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


def check_same_namespace(X: Any, estimator: Any, *, attribute: str, method: str) -> None:
    """Raise an error if X and a fitted attribute are arrays of different libraries or devices; from 1.9 on."""
    check = getattr(_array_api, "check_same_namespace", None)
    if check:
        check(X, estimator, attribute=attribute, method=method)
