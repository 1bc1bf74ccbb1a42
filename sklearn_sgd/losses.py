"""Losses: a measure of the error of one prediction, and its slope.

A loss is a named tuple whose fields are its parameters. It has two formulas, for a target ``y`` and a raw prediction
``p`` that are both scalars (in machine code) or both arrays. Fields have the names of the estimators' parameters, if
there is a parameter.

A loss may restrict its targets: ``allows(y)`` returns whether each is allowed, and ``domain`` describes the allowed
ones. A loss may have a link: raw predictions ``p`` are ``link`` of the predictions, and ``inverse_link`` maps them
back. ``curvature`` is a bound on the second derivative in ``p``, if there is one. The minimum over ``p`` is 0 for each
target.
"""

from typing import NamedTuple

from sklearn_sgd._ops import clip, exp, expm1, log, log1p, scaled_expm1, sign, tanh
from sklearn_sgd._ranges import AboveZero, AtLeastOne, NotNegative, OpenUnitInterval

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "Cauchy",
    "EpsilonInsensitive",
    "Expectile",
    "Gamma",
    "Huber",
    "LogCosh",
    "Poisson",
    "Quantile",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "Tweedie",
]

# Raw predictions are clipped at this value; smaller targets count as 0.
LARGEST, SMALLEST = 80.0, 1e-20

# Residuals from which on log-cosh is linear to rounding.
LINEAR = 20.0


def _exp(self, p):
    """Predictions from raw predictions."""
    return exp(clip(p, -LARGEST, LARGEST))


def _log(self, y):
    """Raw predictions from predictions."""
    return log(clip(y, SMALLEST, None))


class SquaredError(NamedTuple):
    """Half the squared error, ``(p - y)**2 / 2``: estimates the mean.

    References
    ----------
    Legendre, A.-M., "Nouvelles méthodes pour la détermination des orbites des comètes", Paris, 1805, appendix.

    Examples
    --------
    >>> SquaredError().value(1.0, 3.0), SquaredError().gradient(1.0, 3.0)
    (2.0, 2.0)
    """

    @property
    def curvature(self) -> float:
        """Bound on the second derivative."""
        return 1.0

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        return 0.5 * (p - y) * (p - y)

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        return p - y


class AbsoluteError(NamedTuple):
    """Absolute error, ``|p - y|``: estimates the median.

    References
    ----------
    Bloomfield, P. and Steiger, W. L., "Least Absolute Deviations", Birkhäuser, 1983.

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
    """Huber loss: half the square up to ``epsilon``, linear beyond, so that outliers have a bounded effect.

    ``r**2 / 2`` for ``r = |p - y| <= epsilon``, else ``epsilon * r - epsilon**2 / 2``.

    Parameters
    ----------
    epsilon : float, default=0.1
        Residual, in units of y, at which the loss becomes linear; larger than 0.

    References
    ----------
    Huber, P. J., "Robust estimation of a location parameter", Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> float(Huber(1.0).value(0.0, 3.0)), float(Huber(1.0).gradient(0.0, 3.0))
    (2.5, 1.0)
    """

    epsilon: AboveZero = 0.1

    @property
    def curvature(self) -> float:
        """Bound on the second derivative."""
        return 1.0

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
    Vapnik, V., "The Nature of Statistical Learning Theory", Springer, 1995.

    Examples
    --------
    >>> float(EpsilonInsensitive(0.5).value(0.0, 3.0)), float(EpsilonInsensitive(0.5).gradient(0.0, 0.2))
    (2.5, 0.0)
    """

    epsilon: NotNegative = 0.1

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

    References
    ----------
    Ho, C.-H. and Lin, C.-J., "Large-scale linear support vector regression", JMLR 13, 2012.

    Examples
    --------
    >>> float(SquaredEpsilonInsensitive(1.0).value(0.0, 3.0)), float(SquaredEpsilonInsensitive(1.0).gradient(0.0, 3.0))
    (4.0, 4.0)
    """

    epsilon: NotNegative = 0.1

    @property
    def curvature(self) -> float:
        """Bound on the second derivative."""
        return 2.0

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
        Share of targets below the prediction, between 0 and 1.

    References
    ----------
    Koenker, R. and Bassett, G., "Regression quantiles", Econometrica 46, 1978.

    Examples
    --------
    >>> float(Quantile(0.9).value(3.0, 1.0)), float(Quantile(0.9).gradient(3.0, 1.0))
    (1.8, -0.9)
    """

    quantile: OpenUnitInterval = 0.5

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        r = p - y
        return 0.5 * abs(r) + (0.5 - self.quantile) * r

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        return 0.5 * sign(p - y) + (0.5 - self.quantile)


class Expectile(NamedTuple):
    """Asymmetric squared error: estimates an expectile, which is to the mean what a quantile is to the median.

    ``quantile * (y - p)**2`` where the prediction is too low, ``(1 - quantile) * (p - y)**2`` where it is too high;
    half the squared error for 0.5.

    Parameters
    ----------
    quantile : float, default=0.5
        Weight of predictions that are too low, between 0 and 1.

    References
    ----------
    Newey, W. K. and Powell, J. L., "Asymmetric least squares estimation and testing", Econometrica 55, 1987.

    Examples
    --------
    >>> float(Expectile(0.75).value(3.0, 1.0)), float(Expectile(0.75).gradient(3.0, 1.0))
    (3.0, -3.0)
    """

    quantile: OpenUnitInterval = 0.5

    @property
    def curvature(self) -> float:
        """Bound on the second derivative."""
        return 2.0 * max(self.quantile, 1.0 - self.quantile)

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        r = p - y
        return r * (0.5 * r + (0.5 - self.quantile) * abs(r))

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        r = p - y
        return r + (1.0 - 2.0 * self.quantile) * abs(r)


class LogCosh(NamedTuple):
    """Logarithm of the hyperbolic cosine, ``scale**2 * log(cosh((p - y) / scale))``: a smooth Huber loss.

    Half the square for small residuals; ``scale * |p - y|``, less a constant, for large ones.

    Parameters
    ----------
    scale : float, default=1.0
        Residual, in units of y, around which the loss becomes linear; larger than 0.

    References
    ----------
    Green, P. J., "Bayesian reconstructions from emission tomography data using a modified EM algorithm", IEEE
    Transactions on Medical Imaging 9, 1990.

    Examples
    --------
    >>> float(LogCosh().value(0.0, 0.0)), float(LogCosh(0.1).gradient(0.0, 3.0))
    (0.0, 0.1)
    """

    scale: AboveZero = 1.0

    @property
    def curvature(self) -> float:
        """Bound on the second derivative."""
        return 1.0

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        r = abs(p - y) / self.scale
        # Half the logarithm of 1 + sinh(r)**2, which keeps its digits near 0; from LINEAR on it is r - log(2).
        q = clip(r, 0.0, LINEAR)
        e = expm1(q)
        s = 0.5 * (e + e / (1.0 + e))
        return self.scale * self.scale * (0.5 * log1p(s * s) + (r - q))

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        return self.scale * tanh((p - y) / self.scale)


class Cauchy(NamedTuple):
    """Logarithm of the Cauchy density, ``scale**2 / 2 * log(1 + ((p - y) / scale)**2)``: outliers have little effect.

    Half the square for small residuals; beyond ``scale`` the slope falls again. So it is not convex: a descent may end
    in a minimum that is not the lowest one, and a noisy descent may leave it.

    Parameters
    ----------
    scale : float, default=1.0
        Residual, in units of y, at which the slope is largest; larger than 0.

    References
    ----------
    Black, M. J. and Anandan, P., "The robust estimation of multiple motions", Computer Vision and Image Understanding
    63, 1996.

    Examples
    --------
    >>> float(Cauchy().gradient(0.0, 1.0)), float(Cauchy().gradient(0.0, 1000.0)) < 0.01
    (0.5, True)
    """

    scale: AboveZero = 1.0

    @property
    def curvature(self) -> float:
        """Bound on the second derivative."""
        return 1.0

    def value(self, y, p):
        """Loss of predicting ``p`` where ``y`` is true."""
        r = (p - y) / self.scale
        return 0.5 * self.scale * self.scale * log1p(r * r)

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        r = (p - y) / self.scale
        return self.scale * r / (1.0 + r * r)


class Poisson(NamedTuple):
    """Half the Poisson deviance with the log link: estimates the mean ``exp(p)`` of counts or rates.

    ``exp(p) - y - y * (p - log(y))``, of slope ``exp(p) - y``: the loss of
    :class:`~sklearn.linear_model.PoissonRegressor`, less the loss of the best prediction of each sample.

    References
    ----------
    Nelder, J. A. and Wedderburn, R. W. M., "Generalized linear models", Journal of the Royal Statistical Society A 135,
    1972.

    Examples
    --------
    >>> float(Poisson().value(1.0, 0.0)), float(Poisson().gradient(3.0, 0.0))
    (0.0, -2.0)
    """

    @property
    def domain(self) -> str:
        """What targets must be."""
        return ">= 0"

    link, inverse_link = _log, _exp  # type: ignore[misc]

    def allows(self, y):
        """Whether these targets are allowed."""
        return y >= 0.0

    def value(self, y, p):
        """Loss of the raw prediction ``p`` where ``y`` is true."""
        y = clip(y, SMALLEST, None)
        u = clip(p, -LARGEST, LARGEST) - log(y)
        return y * (expm1(u) - u)

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        return exp(clip(p, -LARGEST, LARGEST)) - clip(y, SMALLEST, None)


class Gamma(NamedTuple):
    """Half the gamma deviance with the log link: estimates the mean ``exp(p)`` of positive values.

    ``y / exp(p) - 1 + p - log(y)``, of slope ``1 - y / exp(p)``: only the ratio of target and prediction counts. The
    loss of :class:`~sklearn.linear_model.GammaRegressor`, less the loss of the best prediction of each sample.

    References
    ----------
    McCullagh, P. and Nelder, J. A., "Generalized Linear Models", 2nd edition, Chapman and Hall, 1989, chapter 8.

    Examples
    --------
    >>> float(Gamma().value(1.0, 0.0)), float(Gamma().gradient(3.0, 0.0))
    (0.0, -2.0)
    """

    @property
    def domain(self) -> str:
        """What targets must be."""
        return "> 0"

    link, inverse_link = staticmethod(log), _exp  # type: ignore[misc]

    def allows(self, y):
        """Whether these targets are allowed."""
        return y > 0.0

    def value(self, y, p):
        """Loss of the raw prediction ``p`` where ``y`` is true."""
        u = log(y) - clip(p, -LARGEST, LARGEST)
        return expm1(u) - u

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        return 1.0 - y * exp(-clip(p, -LARGEST, LARGEST))


class Tweedie(NamedTuple):
    """Half the Tweedie deviance with the log link: estimates a mean ``exp(p)``; the variance grows as its ``power``.

    For sums of a random number of positive sizes, such as claims, many of them 0 (powers between 1 and 2), or for
    positive sizes (2 and more). With ``u = p - log(y)`` and ``a = 2 - power`` it is ``y**a * ((exp(a u) - 1) / a -
    (exp((a - 1) u) - 1) / (a - 1))``, of slope ``exp(a p) - y exp((a - 1) p)``: that of
    :class:`~sklearn.linear_model.TweedieRegressor`. Its limits are Poisson's (1) and the gamma's (2). It is convex for
    powers up to 2.

    Parameters
    ----------
    power : float, default=1.5
        Exponent of the variance, 1 or more.

    References
    ----------
    Jørgensen, B., "Exponential dispersion models", Journal of the Royal Statistical Society B 49, 1987.

    Examples
    --------
    >>> float(Tweedie(1.5).value(1.0, 0.0)), float(Tweedie(1.5).gradient(4.0, 0.0))
    (0.0, -3.0)
    """

    power: AtLeastOne = 1.5

    link, inverse_link = _log, _exp  # type: ignore[misc]

    @property
    def domain(self) -> str:
        """What targets must be."""
        return ">= 0" if self.power < 2.0 else "> 0"

    def allows(self, y):
        """Whether these targets are allowed."""
        return y >= 0.0 if self.power < 2.0 else y > 0.0

    def value(self, y, p):
        """Loss of the raw prediction ``p`` where ``y`` is true."""
        a, y = 2.0 - self.power, clip(y, SMALLEST, None)
        u = clip(p, -LARGEST, LARGEST) - log(y)
        return y**a * (scaled_expm1(u, a) - scaled_expm1(u, a - 1.0))

    def gradient(self, y, p):
        """Slope of the loss in ``p``."""
        a, p = 2.0 - self.power, clip(p, -LARGEST, LARGEST)
        return exp(a * p) - clip(y, SMALLEST, None) * exp((a - 1.0) * p)


LOSSES = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "epsilon_insensitive": EpsilonInsensitive,
    "squared_epsilon_insensitive": SquaredEpsilonInsensitive,
    "quantile": Quantile,
    "expectile": Expectile,
    "logcosh": LogCosh,
    "cauchy": Cauchy,
    "poisson": Poisson,
    "gamma": Gamma,
    "tweedie": Tweedie,
}
