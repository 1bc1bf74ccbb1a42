"""The Recipe: everything that follows from the parameters without data. Names become parts only here."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd import schedules
from sklearn_sgd._engine.automatic.statistics import FULL
from sklearn_sgd._engine.passes.passive_aggressive import variant
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import is_in_host_memory
from sklearn_sgd._parts import make_part, measured_from_least, stores_slopes, try_penalty
from sklearn_sgd.losses import LOSSES, EpsilonInsensitive
from sklearn_sgd.optimizers import OPTIMIZERS
from sklearn_sgd.penalties import PENALTIES, Positive

# Learning rates for which the length of a step depends on the loss of its row.
PASSIVE = ("pa1", "pa2")


class Parts(NamedTuple):
    """The parts of a descent."""

    loss: Any
    penalty: Any
    optimizer: Any


class Recipe(NamedTuple):
    """Parameters, parts with their formulas, and the schedule, unless the step is automatic.

    ``keeps_scores``: whether a stream keeps the sums of its rows that are described in `scores.sums`.
    """

    params: dict[str, Any]
    parts: Parts
    formulas: Formulas
    schedule: schedules.Schedule
    keeps_scores: bool = False

    @property
    def automatic(self) -> bool:
        """Whether the step is automatic."""
        return self.params["learning_rate"] == "auto"

    @property
    def remembers(self) -> bool:
        """Whether the last slope of each row is stored."""
        return stores_slopes(self.parts.optimizer)

    def average_from(self, noise: bool) -> int:
        """Number of the first update in the average, for steps with or without noise; 0: no average."""
        average = self.params["average"]
        return int(self.automatic and noise and not self.remembers if average == "auto" else average)

    @property
    def finishes(self) -> bool:
        """Whether final steps on all rows may follow the descent."""
        return self.automatic and self.params["average"] == "auto" and not self.remembers

    @property
    def finishes_by_scores(self) -> bool:
        """Whether a stream predicts with the minimum that its scores give: losses other than the squared error."""
        return self.keeps_scores and self.finishes and not self.formulas.is_quadratic

    @property
    def finishes_with_zeros(self) -> bool:
        """Whether a stream predicts with the zeros that the slopes of its rows lead to: losses other than the above."""
        return self.finishes and self.formulas.hides_zeros and not self.keeps_scores

    @property
    def finishes_streams(self) -> bool:
        """Whether a stream predicts with the minimum that follows from its moments: the squared error."""
        return self.finishes and self.formulas.is_least_squares

    def of_stream(self, X: Any, n_targets: int) -> Self:
        """Return the recipe of a stream whose rows were all seen by `partial_fit`, up to X.

        Its scores are kept where they give the coefficients: of rows in the memory of the host, for a smooth penalty.
        All targets together have as many as one of the most columns.
        """
        can_predict = self._replace(keeps_scores=True).finishes_by_scores and self.formulas.is_smooth
        if can_predict and n_targets * X.shape[1] ** 2 <= FULL**2 and is_in_host_memory(X):
            return self._replace(keeps_scores=True)
        return self


def make_recipe(params: dict[str, Any], dtype, n_features: int, foreign: bool) -> Recipe:
    """Return the recipe for rows of a dtype and a number of features; an error if parameters contradict each other.

    For arrays of libraries other than NumPy the fields of parts are Python numbers.
    """
    choice, parts = params["learning_rate"], make_parts(params, dtype, n_features, foreign)
    formulas = Formulas(parts, n_features)
    if choice == "auto" and stores_slopes(parts.optimizer):
        if not formulas.curvature < np.inf:
            raise ValueError(
                f"optimizer={params['optimizer']!r} needs a learning_rate for loss={params['loss']!r}: 'auto' needs "
                "a loss whose curvature is bounded, such as 'squared_error' or 'huber'."
            )
    elif choice == "auto" and not formulas.is_plain:
        raise ValueError(
            f"optimizer={params['optimizer']!r} needs a learning_rate: 'auto' cannot be combined with it. "
            "Use for example learning_rate='constant' and eta0, or optimizer='sgd'."
        )
    if params["inference"]:
        check_scores(formulas, n_features)
    if choice in PASSIVE:
        parts = make_passive(params, parts, formulas)
    return Recipe(params, parts, formulas, make_schedule(params, parts.loss), params["inference"])


def check_scores(formulas: Formulas, n_features: int) -> None:
    """Raise an error for ``inference=True`` if there are no standard errors, or too many columns."""
    if not formulas.is_smooth and (formulas.terms is None or formulas.terms.lasso):
        raise ValueError(
            "inference=True is for standard errors, which L1, elasticnet, positive=True and bounds do "
            "not have. Remedy: penalty=None or 'l2', or inference=False."
        )
    if n_features > FULL:
        raise ValueError(
            f"inference=True keeps the covariance of the scores, {n_features} times {n_features} numbers, of up to "
            f"{FULL} features. Remedy: inference=False, and coefficient_table with X and y."
        )


def make_parts(params: Mapping[str, Any], dtype, n_features: int, foreign: bool) -> Parts:
    """Return the loss, the penalty and the optimizer, given by name or as instances."""
    if params["penalty"] == "elasticnet" and params["l1_ratio"] is None:
        raise ValueError("l1_ratio must be set when penalty is 'elasticnet'.")
    penalty = make_part(params["penalty"], PENALTIES, params)
    penalty = _spread(penalty, n_features, dtype)
    if params["penalty"] is not None and not isinstance(params["penalty"], str):
        try_penalty(penalty, n_features)
    if params["positive"]:
        penalty = Positive(penalty)
    loss = make_part(params["loss"], LOSSES, params)
    if not isinstance(params["loss"], str):
        loss = measured_from_least(loss)
    parts = loss, penalty, make_part(params["optimizer"], OPTIMIZERS, params)
    return Parts(*(part if foreign else _in_precision(part, dtype) for part in parts))


def make_passive(params: Mapping[str, Any], parts: Parts, formulas: Formulas) -> Parts:
    """Return the parts with a passive-aggressive step instead of the optimizer; it needs single rows."""
    name, batch_size = params["learning_rate"], params["batch_size"]
    if not (formulas.loss.is_like(EpsilonInsensitive()) and formulas.is_plain):
        raise ValueError(f"learning_rate={name!r} is for loss='epsilon_insensitive' and optimizer='sgd'.")
    if batch_size != 1:
        raise ValueError(
            f"learning_rate={name!r} uses one sample per update; got batch_size={batch_size}. Use OnlineSGDRegressor."
        )
    return parts._replace(optimizer=variant(name, float(params["eta0"])))


def make_schedule(params: Mapping[str, Any], loss) -> schedules.Schedule:
    """Return the function from update numbers to rates."""
    choice = params["learning_rate"]
    if callable(choice):
        return partial(_checked_rates, choice)
    if choice == "invscaling":
        return schedules.invscaling(params["eta0"], params["power_t"])
    if choice == "optimal":
        if not params["alpha"]:
            raise ValueError("learning_rate='optimal' needs alpha > 0; use another learning_rate.")
        return schedules.optimal(params["alpha"], loss)
    return schedules.constant(params["eta0"])


def _spread(penalty, n_features: int, dtype):
    """Return the penalty with one pair of bounds for each coefficient, if it has bounds."""
    if hasattr(penalty, "penalty"):
        penalty = penalty._replace(penalty=_spread(penalty.penalty, n_features, dtype))
    return penalty.spread(n_features, dtype) if hasattr(penalty, "spread") else penalty


def _in_precision(part, dtype):
    """Return a part with fields in the precision of X, so that kernels need not convert each coefficient."""
    if isinstance(part, tuple):
        fields = [_in_precision(field, dtype) for field in part]
        return type(part)(*fields) if hasattr(part, "_fields") else tuple(fields)
    return dtype.type(part) if isinstance(part, float) else part


def _checked_rates(schedule: schedules.Schedule, t: np.ndarray) -> np.ndarray:
    """Return the rates of a user's schedule, checked."""
    wanted = "learning_rate, as a function, must return one finite rate >= 0 for each number of an array of updates"
    try:
        rates = np.ascontiguousarray(schedule(t), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{wanted}: {error}") from error
    if rates.shape != t.shape:
        raise ValueError(f"{wanted}; got shape {rates.shape} for {t.shape}.")
    if not np.isfinite(rates).all() or (rates < 0).any():
        raise ValueError(f"{wanted}; got {rates[~(np.isfinite(rates) & (rates >= 0))][0]}.")
    return rates
