"""Penalties on the coefficients, the intercept excluded.

A penalty is a named tuple whose fields are its parameters, with the names of the estimators' parameters. It has three
formulas for one coefficient ``w`` (or an array of them): its ``value``, the ``gradient`` of its smooth part, and the
proximal step ``prox(w, rate) = argmin_u (u - w)**2 / (2 * rate) + h(u)`` of its non-smooth part ``h``, which makes
coefficients exactly zero. A penalty that differs between coefficients indexes its fields by ``j``, the number of the
coefficient; ``...`` means all of them.

References
----------
Parikh, N. and Boyd, S., "Proximal Algorithms", Foundations and Trends in Optimization 1(3), 2014.
"""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._ops import clip, soft_threshold
from sklearn_sgd._ranges import NotNegative, UnitInterval

__all__ = ["L1", "L2", "PENALTIES", "Box", "ElasticNet", "NoPenalty", "Positive"]


class NoPenalty(NamedTuple):
    """No penalty.

    Examples
    --------
    >>> NoPenalty().prox(3.0, rate=0.1)
    3.0
    """

    def value(self, w):
        """Cost of a coefficient."""
        return 0.0 * w

    def gradient(self, w):
        """Slope of the smooth part."""
        return 0.0

    def prox(self, w, rate, j=...):
        """Proximal step of the non-smooth part."""
        return w


class L2(NamedTuple):
    """Ridge penalty, ``alpha / 2 * w**2``; it enters the gradient, as torch's ``weight_decay`` does.

    Parameters
    ----------
    alpha : float, default=1e-4
        Strength, in units of the loss over the squared coefficient.

    References
    ----------
    Hoerl, A. E. and Kennard, R. W., "Ridge regression: biased estimation for nonorthogonal problems", Technometrics 12,
    1970.

    Examples
    --------
    >>> L2(0.5).value(2.0), L2(0.5).gradient(2.0)
    (1.0, 1.0)
    """

    alpha: NotNegative = 1e-4

    def value(self, w):
        """Cost of a coefficient."""
        return 0.5 * self.alpha * w * w

    def gradient(self, w):
        """Slope of the smooth part."""
        return self.alpha * w

    def prox(self, w, rate, j=...):
        """Proximal step of the non-smooth part."""
        return w


class L1(NamedTuple):
    """Lasso penalty, ``alpha * |w|``, by soft threshold.

    Parameters
    ----------
    alpha : float, default=1e-4
        Strength, in units of the loss over the coefficient.

    References
    ----------
    Tibshirani, R., "Regression shrinkage and selection via the lasso", JRSS B 58, 1996.

    Examples
    --------
    >>> float(L1(0.5).prox(2.0, rate=1.0)), float(L1(0.5).prox(0.25, rate=1.0))
    (1.5, 0.0)
    """

    alpha: NotNegative = 1e-4

    def value(self, w):
        """Cost of a coefficient."""
        return self.alpha * abs(w)

    def gradient(self, w):
        """Slope of the smooth part."""
        return 0.0

    def prox(self, w, rate, j=...):
        """Proximal step of the non-smooth part."""
        return soft_threshold(w, rate * self.alpha)


class ElasticNet(NamedTuple):
    """Elastic net, ``alpha * (l1_ratio * |w| + (1 - l1_ratio) / 2 * w**2)``.

    Parameters
    ----------
    alpha : float, default=1e-4
        Strength of the penalty.
    l1_ratio : float, default=0.15
        Share of the absolute value, between 0 (ridge) and 1 (lasso).

    References
    ----------
    Zou, H. and Hastie, T., "Regularization and variable selection via the elastic net", JRSS B 67, 2005.

    Examples
    --------
    >>> ElasticNet(1.0, 0.5).value(2.0), ElasticNet(1.0, 0.5).gradient(2.0)
    (2.0, 1.0)
    """

    alpha: NotNegative = 1e-4
    l1_ratio: UnitInterval = 0.15

    def value(self, w):
        """Cost of a coefficient."""
        return self.alpha * (self.l1_ratio * abs(w) + 0.5 * (1.0 - self.l1_ratio) * w * w)

    def gradient(self, w):
        """Slope of the smooth part."""
        return self.alpha * (1.0 - self.l1_ratio) * w

    def prox(self, w, rate, j=...):
        """Proximal step of the non-smooth part."""
        return soft_threshold(w, rate * self.alpha * self.l1_ratio)


class Positive(NamedTuple):
    """Another penalty with the constraint ``w >= 0``, by projection after its proximal step.

    Parameters
    ----------
    penalty : named tuple, default=NoPenalty()
        The penalty on the coefficients that are allowed.

    References
    ----------
    Slawski, M. and Hein, M., "Non-negative least squares for high-dimensional linear models", Electronic Journal of
    Statistics 7, 2013.

    Examples
    --------
    >>> float(Positive(L2(0.1)).prox(-2.0, rate=1.0))
    0.0
    """

    penalty: NoPenalty | L2 | L1 | ElasticNet = NoPenalty()

    def value(self, w):
        """Cost of a coefficient that satisfies the constraint."""
        return self.penalty.value(w)

    def gradient(self, w):
        """Slope of the smooth part."""
        return self.penalty.gradient(w)

    def prox(self, w, rate, j=...):
        """Proximal step of the non-smooth part, then projection."""
        return clip(self.penalty.prox(w, rate, j), 0.0, None)


class Box(NamedTuple):
    """Bounds on each coefficient, ``low <= w <= high``, by projection; with another penalty inside them.

    Give an instance as ``penalty``. :class:`Positive` is the box from 0 to infinity.

    Parameters
    ----------
    low, high : float or array-like of shape (n_features,), default=-inf, inf
        Bounds: one number for all coefficients, or one for each.
    penalty : named tuple, default=NoPenalty()
        The penalty on the coefficients that are allowed.

    References
    ----------
    Bertsekas, D. P., "On the Goldstein-Levitin-Polyak gradient projection method", IEEE Transactions on Automatic
    Control 21, 1976.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import BatchGDRegressor
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    >>> BatchGDRegressor(penalty=Box(low=[0.0, -1.0], high=[np.inf, 1.0])).fit(X, X @ [2.0, 3.0]).coef_.round(2)
    array([2., 1.])
    """

    low: Any = -np.inf
    high: Any = np.inf
    penalty: NoPenalty | L2 | L1 | ElasticNet = NoPenalty()

    def value(self, w):
        """Cost of a coefficient that satisfies the bounds."""
        return self.penalty.value(w)

    def gradient(self, w):
        """Slope of the smooth part."""
        return self.penalty.gradient(w)

    def prox(self, w, rate, j=...):
        """Proximal step of the non-smooth part, then projection."""
        return clip(self.penalty.prox(w, rate, j), self.low[j], self.high[j])

    @property
    def holds_at_start(self) -> bool:
        """Whether a fit moves its starting point inside the bounds before its first step."""
        return True

    def spread(self, n_features: int, dtype) -> "Box":
        """Return the penalty with bounds for each coefficient."""
        try:
            low, high = (np.full(n_features, bound, dtype) for bound in (self.low, self.high))
        except ValueError as error:
            raise ValueError(
                f"The bounds of Box must be numbers, or {n_features} of them, one for each feature."
            ) from error
        if not (low <= high).all():
            raise ValueError("The bounds of Box must satisfy low <= high for each feature.")
        return self._replace(low=low, high=high)


PENALTIES = {None: NoPenalty, "l2": L2, "l1": L1, "elasticnet": ElasticNet}
