"""Element-wise primitives in which the formulas of losses, penalties and optimizers are written.

Each function accepts numbers, NumPy arrays, arrays of other libraries, and the symbols with which
:mod:`sklearn_sgd._engine.expressions` reads a formula.
"""

import numpy as np

from sklearn_sgd._namespace import namespace

__all__ = ["clip", "exp", "expm1", "log", "log1p", "scaled_expm1", "sign", "soft_threshold", "sqrt", "tanh"]


def sign(a):
    """-1, 0 or 1."""
    return namespace(a).sign(a)


def clip(a, low, high):
    """The nearest value between ``low`` and ``high``; if ``high`` is None, there is no upper bound."""
    if type(a) is np.ndarray and low is not None and high is not None:
        return np.minimum(np.maximum(a, low), high)  # In half the time of NumPy's clip for small arrays.
    return namespace(a).clip(a, low, high)


def exp(a):
    """Exponential."""
    return namespace(a).exp(a)


def expm1(a):
    """``exp(a) - 1``."""
    return namespace(a).expm1(a)


def log(a):
    """Natural logarithm."""
    return namespace(a).log(a)


def log1p(a):
    """``log(1 + a)``."""
    return namespace(a).log1p(a)


def sqrt(a):
    """Square root."""
    return namespace(a).sqrt(a)


def tanh(a):
    """Hyperbolic tangent."""
    return namespace(a).tanh(a)


def soft_threshold(a, threshold):
    """Move towards 0 by ``threshold``, and not past it."""
    return sign(a) * clip(abs(a) - threshold, 0.0, None)


def scaled_expm1(u, a):
    """``(exp(a u) - 1) / a``, and its limit u for a = 0."""
    return expm1(a * u) / a if a != 0.0 else 1.0 * u
