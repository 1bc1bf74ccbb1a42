"""Leave-one-out errors of a descent on the squared error, from the residuals that its rows had on the way.

A row i that is left out does not move the parameters. Without it, a descent in the time t has the residual

    r_i(t) + integral of h_i(t - s) r_i(s) over s from 0 to t,

where the response h_i is that of the other rows to an impulse of this one. It is the same for all targets. If these are
only noise, the left-out prediction is independent of it, so that what is left of the noise of a row, ``c_i``, solves
``1 = c_i(t) + integral of h_i(t - s) c_i(s)``. The responses follow from this equation, and the errors from them. For
steps on all rows, without momentum, this is exact. Here, rows of similar size share a response.

To divide the residuals by ``c(t)``, as in generalised cross-validation, is right for ridge regressions, but not for a
descent that is stopped early.

References
----------
Patil, P., Wu, Y. and Tibshirani, R. J., "Failures and successes of cross-validation for early-stopped gradient
descent", AISTATS 2024.

Tan, K. and Bellec, P. C., "Estimating generalization performance along the trajectory of proximal SGD in robust
regression", NeurIPS 2024: errors from the residuals of all iterations.
"""

from typing import Any

import numpy as np

from sklearn_sgd._engine.baseline import targets_and_weights
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import doubled, like, total


class Responses:
    """The responses of groups of rows: their integrals from 0 up to each time at which the noise left is known."""

    def __init__(self, n_groups: int):
        self.times, self.left, self.integrals = np.zeros(1), np.ones((1, n_groups)), np.zeros((1, n_groups))

    def add(self, time: float, left: np.ndarray) -> None:
        """Add what is left of the noise of each group at a later time; an earlier one changes nothing."""
        last = self.times[-1]
        if not time > last:
            return
        times, left = np.append(self.times, time), np.vstack((self.left, left))
        middle, lags = 0.5 * (left[:-1] + left[1:]), time - times
        # The integral up to this time is unknown; those up to smaller lags contain shares of it.
        shares = np.maximum((lags - last) / (time - last), 0.0)[:, None]
        known = (1.0 - shares) * self._up_to(lags)
        rest = 1.0 - left[-1] - np.sum((known[:-1] - known[1:]) * middle, axis=0)
        integral = rest / np.sum((shares[:-1] - shares[1:]) * middle, axis=0)
        self.times, self.left, self.integrals = times, left, np.vstack((self.integrals, integral))

    def weights(self, times: np.ndarray) -> np.ndarray:
        """Return the weights, of shape (n_times, n_groups), of residuals at some times in the errors at the last.

        Between two times the residuals are the mean of those at both. Responses after the last known time count as 0.
        """
        up_to = self._up_to(times[-1] - times)
        parts, none = up_to[:-1] - up_to[1:], np.zeros((1, up_to.shape[1]))
        return 0.5 * (np.vstack((parts, none)) + np.vstack((none, parts)))

    def _up_to(self, lags: np.ndarray) -> np.ndarray:
        """The integrals up to lags, interpolated."""
        return np.column_stack([np.interp(lags, self.times, each) for each in self.integrals.T])


class LeaveOneOut:
    """The mean leave-one-out loss of a descent, epoch by epoch, on some of its rows, which belong to groups.

    The loss is the squared error. ``start`` has the parameters before the descent.
    """

    def __init__(self, plan: Plan, rows: np.ndarray, X: Any, groups: np.ndarray, start: tuple[np.ndarray, float]):
        self.X, self.groups, self.loss = X, groups, plan.parts.loss
        self.y, self.weight = targets_and_weights(plan.data, rows)
        self.responses, self.times = Responses(int(groups.max()) + 1), np.zeros(1)
        self.residuals = [self._predictions(*start) - self.y]

    def mean_loss(self, time: float, coef: np.ndarray, intercept: float) -> float:
        """Return the mean loss of a model after another epoch; the time is the length of all steps until now."""
        predictions, self.times = self._predictions(coef, intercept), np.append(self.times, time)
        self.residuals.append(predictions - self.y)
        weights = self.responses.weights(self.times)
        move = sum(weights[k][self.groups] * each for k, each in enumerate(self.residuals))
        return total(self.weight * self.loss.value(self.y, predictions + move)) / total(self.weight)

    def _predictions(self, coef: np.ndarray, intercept: float) -> np.ndarray:
        """Predictions for the rows."""
        count_rows(len(self.y))
        return np.asarray(doubled(self.X @ like(coef, self.X) + intercept))
