"""Losses: what one wrong prediction costs, and the slope of that cost.

A loss is a named tuple of its numbers with two formulas, written for a target ``y`` and a raw prediction ``p`` that are
both scalars (in a compiled kernel) or both arrays. Field names are those of the estimators' parameters.
"""

from typing import NamedTuple

from sklearn_sgd._engine.jit import clip, sign

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "EpsilonInsensitive",
    "Huber",
    "Quantile",
    "SquaredEpsilonInsensitive",
    "SquaredError",
]


class SquaredError(NamedTuple):
    """Half the squared error, ``(p - y)**2 / 2``: estimates the mean.

    Examples
    --------
    >>> SquaredError().value(1.0, 3.0), SquaredError().gradient(1.0, 3.0)
    (2.0, 2.0)
    """

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        return 0.5 * (p - y) * (p - y)

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        return p - y


class AbsoluteError(NamedTuple):
    """Absolute error, ``|p - y|``: estimates the median.

    Examples
    --------
    >>> AbsoluteError().value(1.0, 3.0), float(AbsoluteError().gradient(1.0, 3.0))
    (2.0, 1.0)
    """

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        return abs(p - y)

    def gradient(self, y, p):
        """Slope of the loss in ``p``; 0 at the kink."""
        return sign(p - y)


class Huber(NamedTuple):
    """Huber loss: half the square up to ``epsilon``, linear beyond, so that outliers pull with bounded force.

    ``r**2 / 2`` for ``r = |p - y| <= epsilon``, else ``epsilon * r - epsilon**2 / 2``.

    Parameters
    ----------
    epsilon : float, default=0.1
        Residual, in units of y, where the loss turns linear.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> float(Huber(1.0).value(0.0, 3.0)), float(Huber(1.0).gradient(0.0, 3.0))
    (2.5, 1.0)
    """

    epsilon: float = 0.1

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        r = abs(p - y)
        q = clip(r, 0.0, self.epsilon)
        return q * (r - 0.5 * q)

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        return clip(p - y, -self.epsilon, self.epsilon)


class EpsilonInsensitive(NamedTuple):
    """Absolute error beyond a tube of half-width ``epsilon``, ``max(0, |p - y| - epsilon)``: support vector regression.

    Parameters
    ----------
    epsilon : float, default=0.1
        Half-width of the tube, in units of y, in which errors cost nothing.

    References
    ----------
    V. Vapnik, "The Nature of Statistical Learning Theory", Springer, 1995.

    Examples
    --------
    >>> float(EpsilonInsensitive(0.5).value(0.0, 3.0)), float(EpsilonInsensitive(0.5).gradient(0.0, 0.2))
    (2.5, 0.0)
    """

    epsilon: float = 0.1

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        return clip(abs(p - y) - self.epsilon, 0.0, None)

    def gradient(self, y, p):
        """Slope of the loss in ``p``; 0 inside the tube."""
        r = p - y
        return sign(r - clip(r, -self.epsilon, self.epsilon))


class SquaredEpsilonInsensitive(NamedTuple):
    """Squared error beyond a tube of half-width ``epsilon``, ``max(0, |p - y| - epsilon)**2``.

    Not halved, as in :class:`~sklearn.linear_model.SGDRegressor`.

    Parameters
    ----------
    epsilon : float, default=0.1
        Half-width of the tube, in units of y, in which errors cost nothing.

    Examples
    --------
    >>> float(SquaredEpsilonInsensitive(1.0).value(0.0, 3.0)), float(SquaredEpsilonInsensitive(1.0).gradient(0.0, 3.0))
    (4.0, 4.0)
    """

    epsilon: float = 0.1

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        q = clip(abs(p - y) - self.epsilon, 0.0, None)
        return q * q

    def gradient(self, y, p):
        """Slope of the loss in ``p``; 0 inside the tube."""
        r = p - y
        return 2.0 * (r - clip(r, -self.epsilon, self.epsilon))


class Quantile(NamedTuple):
    """Pinball loss: estimates a quantile.

    ``quantile * (y - p)`` where the prediction is too low, ``(1 - quantile) * (p - y)`` where it is too high.

    Parameters
    ----------
    quantile : float, default=0.5
        Share of targets that are to lie below the prediction, between 0 and 1.

    References
    ----------
    R. Koenker and G. Bassett, "Regression quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> float(Quantile(0.9).value(3.0, 1.0)), float(Quantile(0.9).gradient(3.0, 1.0))
    (1.8, -0.9)
    """

    quantile: float = 0.5

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        r = p - y
        return 0.5 * abs(r) + (0.5 - self.quantile) * r

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        return 0.5 * sign(p - y) + (0.5 - self.quantile)


LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "epsilon_insensitive": EpsilonInsensitive,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
    "quantile": Quantile,
}
