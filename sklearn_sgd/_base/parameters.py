"""Parameters of the regressors: their constraints, and the parts and the schedule that follow from them."""

import hashlib
import inspect
import operator
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np

from sklearn_sgd._compat import HasMethods, Interval, StrOptions
from sklearn_sgd._engine.resolve import PASSIVE, Recipe, make_recipe
from sklearn_sgd._namespace import dtype_of, is_foreign
from sklearn_sgd._parts import make_part, part_class, stores_slopes
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.optimizers import OPTIMIZERS
from sklearn_sgd.penalties import PENALTIES, Positive

# What the name of a loss ends with, if there is no intercept.
WITHOUT = " without intercept"

LEARNING_RATES = ("auto", "constant", "invscaling", "optimal", "adaptive", *PASSIVE)

# Number of entries up to which an array of a part is shown; of a longer one, a hash.
FEW = 6


class InstanceWith(HasMethods):
    """Constraint: an instance, not a class, that has these methods."""

    def is_satisfied_by(self, val):
        """Return whether the value satisfies the constraint."""
        return not isinstance(val, type) and super().is_satisfied_by(val)

    def __str__(self):
        return f"an instance with the methods {', '.join(self.methods)}"


CONSTRAINTS: dict[str, list] = {
    "loss": [StrOptions(set(LOSSES)), InstanceWith(["value", "gradient"])],
    "penalty": [StrOptions(set(PENALTIES) - {None}), InstanceWith(["value", "gradient", "prox"]), None],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
    "positive": ["boolean"],
    "fit_intercept": ["boolean"],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
    "epochs": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean", StrOptions({"batches"})],
    "drop_last": ["boolean"],
    "learning_rate": [StrOptions(set(LEARNING_RATES)), callable],
    "eta0": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "optimizer": [StrOptions(set(OPTIMIZERS)), InstanceWith(["step"])],
    "average": [Interval(Integral, 1, None, closed="left"), "boolean", StrOptions({"auto"})],
    "tol": [Interval(Real, 0, None, closed="left"), None],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "time_budget": [Interval(Real, 0, None, closed="neither"), None],
    "epsilon": [Interval(Real, 0, None, closed="left")],
    "quantile": [Interval(Real, 0, 1, closed="neither")],
    "half_life": [Interval(Real, 0, None, closed="neither"), None],
    "inference": ["boolean"],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def defaults_of(kind: type) -> dict[str, Any]:
    """Return the parameters of a class that its constructor names, each with its default."""
    _, *arguments = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    named = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    return {argument.name: argument.default for argument in arguments if argument.kind in named}


class ResolvedParameters:
    """The valid parameters of an estimator, and the recipes that follow from them for each kind of X.

    They are created once per fit and stored with the fitted model, so that `partial_fit` need not resolve them again.

    Parameters
    ----------
    estimator : regressor of this package
        Its parameters have been validated.
    """

    def __init__(self, estimator: Any):
        self.values = estimator._parameter_values
        # The package's own parameters come first; a user's subclass may have others. NumPy's numbers become Python's:
        # sums with those of a narrow type, such as np.uint8, would overflow.
        named = zip(CONSTRAINTS, self.values, strict=False)
        self.params = {name: value.item() if isinstance(value, np.generic) else value for name, value in named}
        self._recipes: dict[tuple, Recipe] = {}

    def are(self, values: tuple) -> bool:
        """Return whether no parameter has been replaced by another object."""
        return all(map(operator.is_, values, self.values))

    def resolve(self, X: Any) -> Recipe:
        """Return the parts and the schedule for X; an error if the parameters contradict each other."""
        kind = dtype_of(X), X.shape[1], is_foreign(X)
        if kind not in self._recipes:
            self._recipes[kind] = make_recipe(self.params, *kind)
        return self._recipes[kind]

    @cached_property
    def loss_name(self) -> str:
        """The class of the loss and its numbers, and whether there is an intercept: what a saved model has learned."""
        loss = make_part(self.params["loss"], LOSSES, self.params)
        return _name_of(loss) + ("" if self.params["fit_intercept"] else WITHOUT)

    @cached_property
    def penalty_name(self) -> str:
        """The name of the penalty, and whether coefficients are positive."""
        penalty = make_part(self.params["penalty"], PENALTIES, self.params)
        return _name_of(Positive(penalty) if self.params["positive"] else penalty)

    @property
    def penalty_terms(self) -> list[float] | None:
        """The two numbers of a penalty of the elastic net family, of the recipes made so far."""
        terms = next((recipe.formulas.terms for recipe in self._recipes.values()), None)
        return None if terms is None else [*map(float, terms)]

    def link(self, resolved_loss: Any) -> Any:
        """Return the loss if it has an inverse link, else None; a user's loss is returned as it was given."""
        if not hasattr(resolved_loss, "inverse_link"):
            return None
        loss = self.params["loss"]
        return resolved_loss if isinstance(loss, str) else loss


def _name_of(part: Any) -> str:
    """Return the name of a part, and its numbers, arrays and parts."""
    values = ((name, getattr(part, name)) for name in getattr(part, "_fields", ()))
    return f"{type(part).__qualname__}({', '.join(f'{name}={_shown(value)}' for name, value in values)})"


def _shown(value: Any) -> str:
    if isinstance(value, Real):
        return repr(float(value))
    if hasattr(value, "_fields"):
        return _name_of(value)
    values = np.asarray(value)
    if values.size <= FEW:
        return str(values.tolist())
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()[:8]
    return f"{values.size} numbers, {digest}"


def can_stream(estimator: Any) -> bool:
    """Return True if the estimator has `partial_fit`; else raise an AttributeError with the reason."""
    if estimator.optimizer == "sgd" and estimator.early_stopping is False:
        return True  # The most frequent case: this function runs in each call.
    if estimator.early_stopping is True:
        raise AttributeError("partial_fit: early_stopping=True needs several epochs; use fit, or early_stopping=False.")
    if needs_same_samples(estimator.optimizer):
        raise AttributeError(
            f"partial_fit: optimizer={estimator.optimizer!r} needs the same samples again; use another optimizer."
        )
    return True


def needs_same_samples(optimizer: Any) -> bool:
    """Return whether an optimizer, given by name or as an instance, stores a slope of each sample."""
    return stores_slopes(part_class(optimizer, OPTIMIZERS))


def steps_on_single_rows(estimator: Any) -> bool:
    """Return whether each update needs the state of its own sample, which array libraries do not support."""
    return needs_same_samples(estimator.optimizer) or estimator.learning_rate in PASSIVE


def restricts_targets(estimator: Any) -> bool:
    """Return whether the loss is defined for some targets only, such as positive ones."""
    return hasattr(part_class(estimator.loss, LOSSES), "allows")
