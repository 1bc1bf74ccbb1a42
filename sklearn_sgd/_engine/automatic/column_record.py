"""What a descent with the automatic step knows of the columns, and of targets."""

from dataclasses import dataclass

import numpy as np

from sklearn_sgd._engine.automatic.around_zero import is_far
from sklearn_sgd._engine.automatic.normal_matrix import NormalMatrix
from sklearn_sgd._engine.automatic.preconditioner import YOUNG, Preconditioner, Step
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, about_zero

# Samples from which the means of columns are known.
KNOWN_MEANS = 10.0


@dataclass(kw_only=True)
class ColumnRecord:
    """Statistics of the columns, their step, and the ``centre``, at which the intercept is the prediction.

    Without intercept the centre is 0. The statistics are about the means nevertheless if they are covariances: products
    about 0 lack digits of a spread that is far below the means.
    """

    centre: np.ndarray
    statistics: ColumnStatistics | None = None
    has_intercept: bool = True
    step: Step | None = None

    @property
    def is_young(self) -> bool:
        """Whether a stream has had few rows for each column."""
        return self.statistics is None or self.statistics.weight <= YOUNG * len(self.centre)

    @property
    def knows_targets(self) -> bool:
        """Whether the statistics include the targets."""
        return self.statistics is not None and len(self.statistics.mean) > len(self.centre)

    @property
    def about_centre(self) -> ColumnStatistics:
        """The statistics about the point at which the intercept is the prediction; 0 if there is none."""
        assert self.statistics is not None
        return self.statistics if self.has_intercept else about_zero(self.statistics)

    def normal_matrix(self, target: int) -> NormalMatrix:
        """Return the normal matrix, which determines the squared error of a target."""
        assert self.statistics is not None
        p = len(self.centre)
        return NormalMatrix.of(self.statistics, p, target, 0.0 if self.has_intercept else self.statistics.mean[:p])

    @property
    def is_far_without_intercept(self) -> bool:
        """Whether a model has no intercept, and columns that are known to be far from 0."""
        if self.has_intercept or self.statistics is None or self.statistics.moment.ndim == 1:
            return False
        return self.statistics.weight >= KNOWN_MEANS and is_far(self.statistics.leading(len(self.centre)))

    @property
    def nears_constant(self) -> bool:
        """Whether a model without intercept can predict nearly a constant, by coefficients that no penalty forbids."""
        return self.step is not None and self.step.preconditioner.is_full and self.is_far_without_intercept

    def nearly_constant(self, preconditioner: Preconditioner, prediction: float) -> np.ndarray:
        """Return coefficients of columns far from 0 with which predictions are nearly this one."""
        assert self.statistics is not None
        mean = self.statistics.mean[: len(self.centre)]
        d = preconditioner.apply(mean)
        return prediction / float(mean @ d) * d

    def centre_by(self, statistics: ColumnStatistics) -> np.ndarray:
        """Return the point at which the intercept is the prediction; 0 if there is none."""
        return statistics.centre[: len(self.centre)] if self.has_intercept else np.zeros_like(self.centre)
