"""Optimizers: from a gradient to a direction and a rate.

An optimizer is a named tuple whose fields are its parameters. It has one formula, for one coordinate or an array:
``step(g, pull, w, m, v, rate, t) -> direction, rate, m, v``. Its arguments are the gradient ``g`` of the loss, the
gradient ``pull`` of the smooth part of the penalty (0 for the intercept), the parameter ``w``, the moments ``m`` and
``v`` that it keeps, the rate of the schedule, and the number ``t`` of the update: 1, 2, ... It returns the rate that it
uses, because the proximal step of the penalty must use the same rate: then the minimum of the objective is a fixed
point. ``moments`` is the number of moments that it keeps.

The defaults are those of ``torch.optim``. All but :class:`AdamW` follow the sum of gradient and pull, as torch does
with ``weight_decay``.
"""

from typing import NamedTuple

from sklearn_sgd._ops import clip, sqrt
from sklearn_sgd._ranges import NotNegative, RightOpenUnitInterval

__all__ = [
    "FTRL",
    "OPTIMIZERS",
    "SAGA",
    "SGD",
    "SVRG",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Momentum",
    "Nesterov",
    "RMSprop",
]

# Used instead of a rate of 0 in a denominator.
TINY = 1e-30


class SGD(NamedTuple):
    """Plain gradient descent, ``w <- w - rate * g``.

    References
    ----------
    Robbins, H. and Monro, S., "A stochastic approximation method", Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> SGD().step(g=2.0, pull=0.0, w=0.0, m=0.0, v=0.0, rate=0.1, t=1)
    (2.0, 0.1, 0.0, 0.0)
    """

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 0

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate."""
        return g + pull, rate, m, v


class Momentum(NamedTuple):
    """Heavy ball: ``m <- momentum * m + g``, ``w <- w - rate * m``; as ``torch.optim.SGD(momentum=...)``.

    In the long run a step is ``1 / (1 - momentum)`` times as long as the plain one at the same rate.

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the last direction that is kept, between 0 and 1.

    References
    ----------
    Polyak, B. T., "Some methods of speeding up the convergence of iteration methods", USSR Computational Mathematics
    and Mathematical Physics 4, 1964.

    Examples
    --------
    >>> Momentum(0.5).step(g=2.0, pull=0.0, w=0.0, m=4.0, v=0.0, rate=0.1, t=2)
    (4.0, 0.1, 4.0, 0.0)
    """

    momentum: RightOpenUnitInterval = 0.9

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 1

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate."""
        m = self.momentum * m + g + pull
        return m, rate, m, v


class Nesterov(NamedTuple):
    """Momentum with the gradient one step ahead: ``m <- momentum * m + g``, ``w <- w - rate * (g + momentum * m)``.

    As ``torch.optim.SGD(momentum=..., nesterov=True)``.

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the last direction that is kept, between 0 and 1.

    References
    ----------
    Sutskever, I., Martens, J., Dahl, G. and Hinton, G., "On the importance of initialization and momentum in deep
    learning", ICML 2013.

    Examples
    --------
    >>> Nesterov(0.5).step(g=2.0, pull=0.0, w=0.0, m=4.0, v=0.0, rate=0.1, t=2)
    (4.0, 0.1, 4.0, 0.0)
    """

    momentum: RightOpenUnitInterval = 0.9

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 1

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate."""
        m = self.momentum * m + g + pull
        return g + pull + self.momentum * m, rate, m, v


class Adagrad(NamedTuple):
    """Rates that fall with the sum of squared gradients: ``m <- m + g**2``, ``w <- w - rate / (sqrt(m) + eps) * g``.

    Rare features keep long steps.

    Parameters
    ----------
    eps : float, default=1e-10
        What is added to the root.

    References
    ----------
    Duchi, J., Hazan, E. and Singer, Y., "Adaptive subgradient methods for online learning and stochastic optimization",
    JMLR 12, 2011.

    Examples
    --------
    >>> [float(number) for number in Adagrad(0.0).step(g=3.0, pull=0.0, w=0.0, m=16.0, v=0.0, rate=0.5, t=2)]
    [3.0, 0.1, 25.0, 0.0]
    """

    eps: NotNegative = 1e-10

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 1

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate."""
        g = g + pull
        m = m + g * g
        return g, rate / (sqrt(m) + self.eps), m, v


class RMSprop(NamedTuple):
    """Rates divided by the size of recent gradients: ``m <- rho * m + (1 - rho) * g**2``, otherwise as Adagrad.

    Parameters
    ----------
    rho : float, default=0.99
        Share of the squares that is kept, between 0 and 1; torch calls it ``alpha``.
    eps : float, default=1e-8
        What is added to the root.

    References
    ----------
    Tieleman, T. and Hinton, G., "Lecture 6.5, rmsprop", Coursera: Neural Networks for Machine Learning, 2012.

    Examples
    --------
    >>> [float(number) for number in RMSprop(0.5, 0.0).step(g=4.0, pull=0.0, w=0.0, m=16.0, v=0.0, rate=0.4, t=2)]
    [4.0, 0.1, 16.0, 0.0]
    """

    rho: RightOpenUnitInterval = 0.99
    eps: NotNegative = 1e-8

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 1

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate."""
        g = g + pull
        m = self.rho * m + (1.0 - self.rho) * g * g
        return g, rate / (sqrt(m) + self.eps), m, v


class Adam(NamedTuple):
    """Momentum divided by the size of recent gradients, both corrected for their start at 0.

    ``m <- beta1 * m + (1 - beta1) * g``, ``v <- beta2 * v + (1 - beta2) * g**2``,
    ``w <- w - rate * m' / (sqrt(v') + eps)`` with ``m' = m / (1 - beta1**t)`` and ``v' = v / (1 - beta2**t)``.

    Parameters
    ----------
    beta1 : float, default=0.9
        Share of the direction that is kept.
    beta2 : float, default=0.999
        Share of the squares that is kept.
    eps : float, default=1e-8
        What is added to the root.

    References
    ----------
    Kingma, D. P. and Ba, J., "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> d, rate, m, v = Adam(eps=0.0).step(g=-3.0, pull=0.0, w=0.0, m=0.0, v=0.0, rate=0.1, t=1)
    >>> round(float(rate * d), 12)
    -0.1
    """

    beta1: RightOpenUnitInterval = 0.9
    beta2: RightOpenUnitInterval = 0.999
    eps: NotNegative = 1e-8

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 2

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate."""
        g = g + pull
        m = self.beta1 * m + (1.0 - self.beta1) * g
        v = self.beta2 * v + (1.0 - self.beta2) * g * g
        start = (1.0 - self.beta2**t) ** 0.5
        return m, rate * start / (1.0 - self.beta1**t) / (sqrt(v) + self.eps * start), m, v


class AdamW(NamedTuple):
    """Adam with decoupled decay: the gradient of the penalty does not enter the moments; it uses the schedule's rate.

    ``penalty="l2"`` with ``alpha`` is what torch calls ``weight_decay=alpha``; the intercept does not decay.

    Parameters
    ----------
    beta1 : float, default=0.9
        Share of the direction that is kept.
    beta2 : float, default=0.999
        Share of the squares that is kept.
    eps : float, default=1e-8
        What is added to the root.

    References
    ----------
    Loshchilov, I. and Hutter, F., "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> d, rate, m, v = AdamW(eps=0.0).step(g=-3.0, pull=0.5, w=5.0, m=0.0, v=0.0, rate=0.1, t=1)
    >>> round(float(rate * d), 12)
    -0.05
    """

    beta1: RightOpenUnitInterval = 0.9
    beta2: RightOpenUnitInterval = 0.999
    eps: NotNegative = 1e-8

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 2

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate."""
        m = self.beta1 * m + (1.0 - self.beta1) * g
        v = self.beta2 * v + (1.0 - self.beta2) * g * g
        start = (1.0 - self.beta2**t) ** 0.5
        scale = (1.0 - self.beta1**t) / start * (sqrt(v) + self.eps * start)
        return m + scale * pull, rate / scale, m, v


class Adadelta(NamedTuple):
    """The rate is the size of recent steps divided by that of recent gradients, so it has no units.

    ``v <- rho * v + (1 - rho) * g**2``, ``step = sqrt(m + eps) / sqrt(v + eps) * g``, ``m <- rho * m + (1 - rho) *
    step**2``, ``w <- w - rate * step``. torch's default rate is 1.

    Parameters
    ----------
    rho : float, default=0.9
        Share of the squares that is kept, between 0 and 1.
    eps : float, default=1e-6
        What is added under the roots.

    References
    ----------
    Zeiler, M. D., "ADADELTA: an adaptive learning rate method", arXiv:1212.5701, 2012.

    Examples
    --------
    >>> [float(number) for number in Adadelta(0.5, 0.0).step(g=2.0, pull=0.0, w=0.0, m=1.0, v=4.0, rate=1.0, t=2)]
    [2.0, 0.5, 1.0, 4.0]
    """

    rho: RightOpenUnitInterval = 0.9
    eps: NotNegative = 1e-6

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 2

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate."""
        g = g + pull
        v = self.rho * v + (1.0 - self.rho) * g * g
        ratio = sqrt((m + self.eps) / (v + self.eps))
        return g, rate * ratio, self.rho * m + (1.0 - self.rho) * ratio * ratio * g * g, v


class FTRL(NamedTuple):
    """Follow the proximally regularised leader: Adagrad that sums the thresholds, so L1 gives exact zeros.

    Where Adagrad steps from ``w``, it steps from where ``w`` would be without the last proximal step: so coefficients
    whose gradients never add up to the threshold stay exactly 0, in noise too. Its rate is
    ``rate / (beta + sqrt(v))``, ``v`` the sum of squared gradients.

    Parameters
    ----------
    beta : float, default=1.0
        What is added to the root.

    References
    ----------
    McMahan, H. B. et al., "Ad click prediction: a view from the trenches", KDD 2013.

    Examples
    --------
    >>> [float(number) for number in FTRL(1.0).step(g=3.0, pull=0.0, w=0.0, m=0.0, v=0.0, rate=0.4, t=1)]
    [3.0, 0.1, -0.30000000000000004, 9.0]
    """

    beta: NotNegative = 1.0

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 2

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate; the first is where the last step led."""
        g = g + pull
        rate = clip(rate, TINY, None)
        d = g + (w - m) * (v > 0.0) * (self.beta + sqrt(v)) / rate
        v = v + g * g
        h = rate / (self.beta + sqrt(v))
        return d, h, w - h * d, v


class SVRG(NamedTuple):
    """Stochastic variance reduced gradient: a sample's gradient less that at the start of the epoch, plus their mean.

    For `fit` with smooth losses. The noise of the gradients vanishes at the minimum, so the parameters converge to it
    at a linear rate with a constant step, without averaging. Each epoch begins with one more pass over the samples, to
    store the slope of each sample's loss and their mean gradient. ``learning_rate="auto"`` uses a third of the longest
    step that is safe in the coordinates of the automatic step.

    References
    ----------
    Johnson, R. and Zhang, T., "Accelerating stochastic gradient descent using predictive variance reduction", NIPS
    2013.

    Xiao, L. and Zhang, T., "A proximal stochastic gradient method with progressive variance reduction", SIAM Journal on
    Optimization 24, 2014.

    Examples
    --------
    >>> SVRG().step(g=2.0, pull=0.0, w=0.0, m=0.0, v=0.0, rate=0.1, t=1)
    (2.0, 0.1, 0.0, 0.0)
    """

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 0

    @property
    def refreshes_table(self) -> bool:
        """Whether all stored slopes are renewed in each epoch, or each one when its sample is visited."""
        return True

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate, of a gradient whose variance is reduced already."""
        return g + pull, rate, m, v


class SAGA(NamedTuple):
    """SAGA: a sample's gradient less its gradient at the last visit, plus the mean of the gradients at the last visits.

    For `fit`, like :class:`SVRG`, but without another pass: each visit of a sample replaces its stored number, the
    slope of its loss.

    References
    ----------
    Defazio, A., Bach, F. and Lacoste-Julien, S., "SAGA: a fast incremental gradient method with support for
    non-strongly convex composite objectives", NIPS 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import OnlineSGDRegressor
    >>> X = np.arange(20.0).reshape(20, 1)
    >>> y = 3 * X[:, 0] + np.where(np.arange(20) % 2, 1.0, -1.0)
    >>> OnlineSGDRegressor(optimizer="saga", tol=None, random_state=0).fit(X, y).coef_.round(8)
    array([3.01503759])
    """

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 0

    @property
    def refreshes_table(self) -> bool:
        """Whether all stored slopes are renewed in each epoch, or each one when its sample is visited."""
        return False

    def step(self, g, pull, w, m, v, rate, t):
        """Direction, rate and moments of one coordinate, of a gradient whose variance is reduced already."""
        return g + pull, rate, m, v


OPTIMIZERS = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "adadelta": Adadelta,
    "ftrl": FTRL,
    "svrg": SVRG,
    "saga": SAGA,
}
