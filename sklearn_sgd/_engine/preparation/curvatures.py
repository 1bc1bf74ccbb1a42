"""Statistics of the columns for full batches of losses whose curvature varies.

If there are many rows, the statistics are those of a sample. The preconditioner need not be exact, because the
gradients are those of all rows.

References
----------
Frangella, Z., Rathore, P., Zhao, S. and Udell, M., "SketchySGD: reliable stochastic optimization via randomized
curvature estimates", SIAM Journal on Mathematics of Data Science 6, 2024.
"""

import numpy as np

from sklearn_sgd._engine.automatic.preconditioner import Counted
from sklearn_sgd._engine.automatic.sample import HEAVY, sample, sample_size, shows
from sklearn_sgd._engine.automatic.statistics import FULL, ColumnStatistics, is_about_means, measure
from sklearn_sgd._engine.baseline import row_curvatures
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._namespace import doubled, dtype_of, take, total


def of_sample(X, kept: np.ndarray | None, weights: np.ndarray) -> ColumnStatistics | None:
    """Statistics of many rows, all or those kept, from a sample; None if that does not show them."""
    some = sample_of(X, kept)
    if some is None:
        return None
    columns = measure(X, some, weights, True)
    if not _shows(X, some, weights, columns) or _has_long_rows(X, kept, columns):
        return None
    weight = float(len(X) if kept is None else len(kept))
    if weights.shape[0]:
        weight = total(weights if kept is None else weights[kept])
    return columns._replace(weight=weight, moment=columns.moment * (weight / columns.weight), sampled=True)


def reweighted_statistics(
    plan: Plan, w: np.ndarray, sampled: bool, aside: float
) -> tuple[ColumnStatistics, Counted, float, float]:
    """Statistics of rows weighted by the curvature of their losses at w; ``sampled``: of a sample if possible.

    Also these rows, the mean curvature, and the length of a step by it.
    """
    X, loss, data = plan.X, plan.parts.loss, plan.data
    some = sample_of(X, plan.row_indices) if sampled else None
    if some is not None:
        weight, curvature, length = row_curvatures(loss, data, some, w, aside)
        columns = measure(X, some, weight, True)
        # Where a descent searches for lengths, a sample has been found to do.
        if _shows(X, some, weight, columns) and (plan.searches or not _has_long_rows(X, plan.row_indices, columns)):
            return columns, Counted(X, some, weight), curvature, length
    weight, curvature, length = row_curvatures(loss, data, plan.row_indices, w, aside)
    counted = Counted(X, plan.row_indices, weight)
    return measure(X, counted.kept, weight, is_about_means(plan.data.rows.bias, X)), counted, curvature, length


def _has_long_rows(X, kept: np.ndarray | None, columns: ColumnStatistics) -> bool:
    """Whether a row, in the sample or not, makes much of the spread of predictions, as some coefficients show."""
    count_rows(len(X))
    w = np.sin(1.0 + np.arange(X.shape[1])) / np.sqrt(columns.variance)
    z = doubled(X @ w.astype(X.dtype))
    z = ((z if kept is None else z[kept]) - columns.mean @ w) ** 2
    return not z.max() <= HEAVY * z.sum()


def size_of_sample(X, n_rows: int) -> int | None:
    """Rows of a sample of an array whose covariances are kept; None if it has not many more rows."""
    return sample_size(n_rows, X.shape[1]) if type(X) is np.ndarray and X.shape[1] <= FULL else None


def sample_of(X, kept: np.ndarray | None) -> np.ndarray | None:
    """Their numbers."""
    n_rows = X.shape[0] if kept is None else len(kept)
    size = size_of_sample(X, n_rows)
    if size is None:
        return None
    some = sample(n_rows, size)
    return some if kept is None else kept[some]


def _shows(X, some: np.ndarray, weights: np.ndarray, columns: ColumnStatistics) -> bool:
    """Whether each column varies in the sample, and not in a few rows only."""
    rows, mean = take(X, some), columns.mean
    if weights.shape[0]:
        largest = np.max(weights[some][:, None] * (rows - mean) ** 2, axis=0)
    else:
        largest = np.maximum(rows.max(axis=0) - mean, mean - rows.min(axis=0)) ** 2
    share = np.divide(largest, columns.squares, where=largest > 0.0, out=np.zeros(len(mean)))
    return shows(columns, share, dtype_of(X))
