"""The final step: the Newton step that ends in the minimum, and how far above it a predictor is."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Preconditioner


class NewtonDecrement:
    """By how much the loss of a predictor on all rows exceeds the minimum, and the step that leads there.

    Preconditioned by covariances the squared error is round: a step along the direction of the whole gradient ends in
    the minimum, half its product with the gradient (the Newton decrement) above it. Epochs with noise come near; a last
    step by it is Le Cam's one-step estimator (A. W. van der Vaart, "Asymptotic Statistics", 1998, section 5.7).

    Parameters
    ----------
    gradient : callable
        From parameters to the gradient of the mean loss, that of the intercept last.
    preconditioner : Preconditioner
        The inverse of the covariances.
    penalty : part
        The penalty, which is smooth.
    """

    def __init__(self, gradient: Callable[[np.ndarray], np.ndarray], preconditioner: Preconditioner, penalty: Any):
        self.gradient, self.preconditioner, self.penalty = gradient, preconditioner, penalty

    def measure(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """The excess of parameters, and the step."""
        *_, error = g = self.gradient(w)
        slope = g[:-1] + self.penalty.gradient(w[:-1])
        step = np.append(self.preconditioner.apply(slope), error)
        return 0.5 * float(step[:-1] @ slope + error * error), step

    def improved(self, w: np.ndarray) -> np.ndarray:
        """The parameters after the step; as they are if it does not help."""
        before, step = self.measure(w)
        there = (w - step).astype(w.dtype)
        return there if self.measure(there)[0] < before else w
