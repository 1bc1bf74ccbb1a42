"""What is measured: the excess of the mean squared error over its minimum, relative to that of the best constant."""

import numpy as np


class Objective:
    """Least squares on one data set.

    Parameters
    ----------
    X : array of shape (n_samples, n_features)
        Rows.
    y : array of shape (n_samples,)
        Targets.
    """

    def set_data(self, X, y):
        self.X, self.y = X, y
        coef = np.linalg.lstsq(X - X.mean(axis=0), y - y.mean(), rcond=None)[0]
        self.minimum = self.risk(coef, y.mean() - X.mean(axis=0) @ coef)

    def risk(self, coef, intercept) -> float:
        return float(np.mean((self.y - self.X @ np.ravel(coef) - intercept) ** 2))

    def compute(self, coef, intercept) -> float:
        return (self.risk(coef, intercept) - self.minimum) / float(np.var(self.y))
