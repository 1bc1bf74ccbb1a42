"""Hints in error messages: what was probably meant."""

import sys
from collections.abc import Callable, Collection
from numbers import Real
from typing import Any

from sklearn_sgd._base.parameters import LEARNING_RATES
from sklearn_sgd._compat import InvalidParameterError
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.optimizers import OPTIMIZERS
from sklearn_sgd.penalties import PENALTIES

# Names of other libraries, and of earlier versions of scikit-learn, for losses and penalties.
SYNONYMS = {
    "loss": {
        "mse": "squared_error",
        "squared_loss": "squared_error",
        "l2": "squared_error",
        "mae": "absolute_error",
        "l1": "absolute_error",
        "pinball": "quantile",
    },
    "penalty": {"ridge": "l2", "lasso": "l1", "elastic_net": "elasticnet", "elastic-net": "elasticnet"},
}


def _is_number(value: Any) -> bool:
    """Return whether the value is a positive number, and not a bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and float(value) > 0


def _of_name(parameter: str, value: Any, names: Collection) -> str:
    """Return a hint for a class, or for a name with other capitals, or of another library."""
    if isinstance(value, type):
        return f"Give an instance, not the class: {parameter}={value.__name__}()."
    lower = value.lower() if isinstance(value, str) else ""
    name = lower if lower in names else SYNONYMS.get(parameter, {}).get(lower)
    return f"Its name here is {parameter}={name!r}." if name else ""


def _of_learning_rate(value: Any) -> str:
    """Return a hint for a learning rate that is not valid."""
    if _is_number(value):
        return f"For a constant rate use learning_rate='constant', eta0={value!s}."
    if isinstance(value, str) and value in OPTIMIZERS:
        return f"{value!r} is an optimizer: use optimizer={value!r}."
    return ""


def _of_optimizer(value: Any) -> str:
    """Return a hint for an optimizer that is not valid."""
    if isinstance(value, str) and value in LEARNING_RATES:
        return f"{value!r} is a learning rate: use learning_rate={value!r}."
    return _of_name("optimizer", value, OPTIMIZERS)


def _of_penalty(value: Any) -> str:
    """Return a hint for a penalty that is not valid."""
    if _is_number(value):
        return f"For a penalty of this strength use penalty='l2', alpha={value!s}."
    if isinstance(value, str) and value.lower() == "none":
        return "For no penalty use penalty=None."
    return _of_name("penalty", value, PENALTIES)


def _of_loss(value: Any) -> str:
    """Return a hint for a loss that is not valid."""
    return _of_name("loss", value, LOSSES)


HINTS: dict[str, Callable[[Any], str]] = {
    "learning_rate": _of_learning_rate,
    "optimizer": _of_optimizer,
    "penalty": _of_penalty,
    "loss": _of_loss,
}


class HintsMixin:
    """Hints for the errors of scikit-learn and skl2onnx."""

    def _validate_params(self) -> None:
        try:
            super()._validate_params()  # type: ignore[misc]
        except InvalidParameterError as error:
            message = str(error)
            for name, hint in HINTS.items():
                if f"The {name!r} parameter " in message:
                    message = f"{message} {hint(getattr(self, name))}".strip()
            raise InvalidParameterError(message) from None

    @property
    def onnx_shape_calculator(self) -> Callable[[], Any]:
        # skl2onnx calls a method of this name, if a model has one. Only a model without a converter has it.
        skl2onnx = sys.modules.get("skl2onnx")
        if skl2onnx is None or any(_has_converter(skl2onnx, kind) for kind in type(self).__mro__):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute 'onnx_shape_calculator'")
        return self._refuse_export

    def _refuse_export(self) -> None:
        raise RuntimeError(
            f"skl2onnx has no converter for {type(self).__name__} yet: call sklearn_sgd.onnx.register() first."
        )


def _has_converter(skl2onnx: Any, kind: type) -> bool:
    """Return whether a converter is registered for instances of exactly this class."""
    try:
        return bool(skl2onnx.get_model_alias(kind))
    except RuntimeError:
        return False
