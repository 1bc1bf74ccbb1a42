"""The values of a fitted model that inference needs: its parameters, its loss, and its penalty."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd._base.estimator import BaseGDRegressor
from sklearn_sgd._base.fitted import densified
from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._engine.resolve import make_recipe
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import host
from sklearn_sgd.diagnostics import last_step


class Model(NamedTuple):
    """A regressor, its parameters in double precision (a row and an intercept for each target), and its formulas."""

    estimator: Any
    before: Any
    resolved: ResolvedParameters
    formulas: Formulas
    coef: np.ndarray
    intercept: np.ndarray

    @classmethod
    def of(cls, model: Any) -> "Model":
        """Read a regressor, or the one at the end of a pipeline."""
        estimator = last_step(model)
        if not isinstance(estimator, BaseGDRegressor):
            raise TypeError(f"model must be a regressor of sklearn_sgd, or a pipeline that ends in one; got {model!r}.")
        check_is_fitted(estimator)
        resolved = estimator._model.parameters or ResolvedParameters(estimator)
        coef = host(densified(estimator.coef_, estimator.intercept_))
        coef = np.atleast_2d(np.asarray(coef, dtype=np.float64))
        intercept = np.atleast_1d(np.asarray(host(estimator.intercept_), dtype=np.float64))
        formulas = make_recipe(resolved.params, np.dtype(np.float64), coef.shape[1], True).formulas
        before = model[:-1] if estimator is not model and len(model.steps) > 1 else None
        return cls(estimator, before, resolved, formulas, coef, intercept)

    @property
    def loss(self) -> Any:
        """The loss."""
        return self.formulas.parts.loss

    @property
    def has_intercept(self) -> bool:
        """Whether there is an intercept."""
        return bool(self.resolved.params["fit_intercept"])

    @property
    def shape(self) -> tuple:
        """The shape of the targets: () for y of one dimension."""
        return self.estimator._model.shape

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, and of the intercept."""
        names = getattr(self.estimator, "feature_names_in_", None)
        if names is None and hasattr(self.before, "get_feature_names_out"):
            try:
                names = self.before.get_feature_names_out()
            except (AttributeError, ValueError):
                names = None  # A step does not name its columns.
        names = [f"x{j}" for j in range(self.coef.shape[1])] if names is None else [str(name) for name in names]
        return names + ["intercept"] * self.has_intercept

    @property
    def parameters(self) -> np.ndarray:
        """Parameters of each target, the intercept last if there is one."""
        return np.column_stack((self.coef, self.intercept)) if self.has_intercept else self.coef

    def of_target(self, t: int) -> tuple[np.ndarray, float]:
        """Return the coefficients and the intercept of a target."""
        return self.coef[t], float(self.intercept[t])

    def transformed(self, X: Any) -> Any:
        """Return X after the transformers of the pipeline."""
        return X if self.before is None else self.before.transform(X)

    @property
    def is_penalised(self) -> bool:
        """Whether there is a penalty with a slope."""
        return Objective.of(self.formulas).penalty is not None

    def check_penalty(self) -> None:
        """Raise an error for a penalty without a second derivative."""
        formulas, terms = self.formulas, self.formulas.terms
        if formulas.is_smooth or (terms is not None and not terms.lasso):
            return
        raise ValueError(
            "Standard errors need an objective with a second derivative. L1, elasticnet, positive=True and bounds put "
            "coefficients on an edge, where they are not normally distributed, and the choice of which are 0 is itself "
            "random. Remedy: fit again with penalty=None or 'l2', on rows that did not choose the features."
        )

    def pull(self, coef: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the slope and the second derivative of the penalty, 0 for the intercept."""
        return Objective.of(self.formulas).pull(np.append(coef, np.zeros(int(self.has_intercept))), len(coef))
