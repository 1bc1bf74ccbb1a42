"""The fitted attributes of the regressors, which read the fitted model."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

from sklearn_sgd._base.fitted import FittedModel, longest, mean_curve, shape_of
from sklearn_sgd._engine.state import State

# The properties have no docstrings: the class documents its attributes, and numpydoc would show the property's instead.


def _state_property(getter: Callable[[tuple[State, ...]], Any]) -> Any:
    """Return a property that is computed from the states of the targets."""

    def get(self):
        return getter(self._states)

    return property(get)


def _model_property(name: str) -> Any:
    """Return a property of the model that users, and `sparsify`, may also assign."""

    def get(self):
        return getattr(self._model, name)

    def assign(self, value):
        shape = {"shape": shape_of(value)} if name == "intercept" else {}
        self._fitted = (self._fitted or FittedModel()).replace(**{name: value}, **shape)

    return property(get, assign)


class _OnlyAfterFit:
    """An attribute that only some fits set. If it is missing, the error names the fits that set it.

    The descriptor has no `__set__`, so a value that a fit has set takes precedence.
    """

    def __init__(self, condition: str):
        self.condition = condition

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        fitted = "" if instance.__sklearn_is_fitted__() else ", and is not fitted yet"
        raise AttributeError(
            f"This {type(instance).__name__} has no {self.name}{fitted}: it is set by {self.condition}."
        )


class FittedAttributes:
    """Properties that read the fitted model."""

    # The result of the last fit, which `predict` and the attributes use.
    _fitted: FittedModel | None = None

    # Whether the last call of a stream failed since its warning was made an error.
    _has_warned: bool = False

    n_features_in_: int
    batch_size_: int

    validation_scores_: Any = _OnlyAfterFit("fit with early_stopping=True, and not by partial_fit")
    stop_reason_: Any = _OnlyAfterFit("fit, and not by partial_fit, which always makes one pass over its samples")

    n_readings_: float = _OnlyAfterFit("fit, and not by partial_fit, which reads its samples once")  # type: ignore[assignment]

    coef_: Any = _model_property("coef")
    intercept_: float = _model_property("intercept")
    n_iter_: int = _state_property(lambda states: longest(states).n_epochs)
    n_updates_: int = _state_property(lambda states: longest(states).n_updates)
    n_samples_seen_: int = _state_property(lambda states: longest(states).n_samples)
    learning_rate_: float = _state_property(lambda states: longest(states).rate)
    loss_curve_: list[float] = _state_property(lambda states: mean_curve([state.loss_curve for state in states]))
    prequential_loss_: float = _state_property(lambda states: fmean(state.prequential_loss for state in states))
    recent_loss_: float = _state_property(lambda states: fmean(state.recent_loss for state in states))

    @property
    def _model(self) -> FittedModel:
        """The result of the last fit; an AttributeError if there is none."""
        if self._fitted is None:
            raise AttributeError(f"This {type(self).__name__} is not fitted yet, so it has no such attribute.")
        return self._fitted

    @property
    def _states(self) -> tuple[State, ...]:
        """The state of each target after the last fit; an AttributeError if there is none."""
        states = self._model.progress
        if not states:
            raise AttributeError(f"This {type(self).__name__} is not fitted yet, so it has no such attribute.")
        return states

    @property
    def _loss_counts(self) -> tuple[int, int]:
        """Number of losses so far, of which `loss_curve_` has the last, and how many belong to chunks."""
        state = longest(self._states)
        return state.n_forgotten + state.n_losses, state.n_chunks

    def __sklearn_is_fitted__(self) -> bool:
        return self._fitted is not None
