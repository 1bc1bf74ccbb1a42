"""Samples on a cluster instead of X. The values that the engine needs are computed from sums over the blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from scipy import sparse

from sklearn_sgd._engine.automatic.lean import Lean
from sklearn_sgd._engine.automatic.preconditioner import SAMPLE as SAMPLE_FOR_EIGENVALUE
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics
from sklearn_sgd._engine.baseline import SAMPLE as SAMPLE_FOR_CONSTANT
from sklearn_sgd._engine.baseline import constant_of, step_by_curvature, usual_value
from sklearn_sgd._engine.kinks.smoothed import Rows
from sklearn_sgd._engine.passes import arrays, normal, proximal
from sklearn_sgd._engine.passes.full_batch import WholeBatch
from sklearn_sgd._engine.passes.nu_method import NuMethod
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.remote import RemoteRows
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd.dask import workers
from sklearn_sgd.dask.blocks import Blocks
from sklearn_sgd.dask.chains import LocalDescent
from sklearn_sgd.dask.workers import CurvatureWeights, RowView, SentPlan
from sklearn_sgd.optimizers import SGD
from sklearn_sgd.penalties import NoPenalty

# Distances to a kink for which samples are counted: their number, and the ratio of each to the one before. The first
# one is a typical residual.
DISTANCES, CLOSER = 40, 0.7


@dataclass(frozen=True, eq=False)
class ClusterRows(RemoteRows):
    """The samples of all blocks, centred or not."""

    blocks: Blocks
    shape: tuple[int, int]
    dtype: np.dtype
    weight: float
    bias: Any = 0.0
    mean: np.ndarray | None = None
    lean: Lean | None = None
    at_means: bool = True

    @classmethod
    def of(cls, blocks: Blocks) -> Self:
        """Return the samples of blocks, of which there is at least one."""
        _, n_features, dtype, _ = blocks.summaries[0]
        return cls(blocks, (int(blocks.lengths.sum()), n_features), dtype, blocks.weight)

    @property
    def view(self) -> RowView:
        """The transformation that a worker applies to its samples."""
        return RowView(self.weight / self.shape[0], self.bias, self.mean, self.lean, self.at_means)

    @property
    def n_workers(self) -> int:
        """Number of threads that share the work."""
        return self.blocks.n_threads

    def with_intercept(self, fit_intercept: bool) -> Self:
        """Return the samples with a last column of ones, or of zeros."""
        return replace(self, bias=self.dtype.type(fit_intercept), mean=None, lean=None)

    def centred(self, mean: np.ndarray) -> Self:
        """Return the samples with the mean of each column subtracted."""
        return replace(self, mean=mean)

    def leaning(self, lean: Lean, at_means: bool) -> Self:
        """Return the samples with what centres sparse columns with many zeros."""
        return replace(self, lean=lean, at_means=at_means)

    def split(self, parts: int, most: int) -> Iterator[tuple[Self, Self]]:
        """Yield the samples without one of equal random parts of them, and this part, for at most so many parts."""
        for part in range(min(parts, most)):
            others, left_out = map(type(self).of, self.blocks.without_part(part, parts))
            yield others, left_out

    # Before the descent

    def measure(self, weight: Any, centred: bool, with_target: bool) -> ColumnStatistics:
        """Return the statistics of the features, and of the target; by their own weights, or by curvature."""
        weights = weight if isinstance(weight, CurvatureWeights) else None
        view = weights.view if weights else self.view
        args = centred, with_target, weights
        return self.blocks.reduce(view, workers.column_statistics, *args, combine=workers.merge_statistics)

    def sums_of_entries(self, weight: Any) -> Callable[..., np.ndarray]:
        """Return the function from inverse squares to sums over the entries of sparse columns."""
        weights = weight if isinstance(weight, CurvatureWeights) else None
        view = weights.view if weights else self.view
        return lambda inverse: self.blocks.reduce(view, workers.sums_of_entries, weights, inverse)

    def mean_along(self, centre: np.ndarray, d: np.ndarray | None = None) -> np.ndarray:
        """Return the mean of the centred samples, each times its product with d, or with numbers of its own."""
        return self.blocks.reduce(self.view, workers.sum_along, centre, d) / self.shape[0]

    def some(self, number: int, weight: Any) -> tuple[Any, np.ndarray]:
        """Return about so many samples, evenly spaced, and their weights."""
        X, weights = zip(*self.blocks.gather(self._sampled(number, weight)), strict=True)
        return sparse.vstack(X, format="csr") if sparse.issparse(X[0]) else np.concatenate(X), np.concatenate(weights)

    def _sampled(self, number: int, weight: Any) -> list:
        """Return futures of some samples of each block, and of their weights."""
        weights = weight if isinstance(weight, CurvatureWeights) else None
        stride = max(1, self.shape[0] // number)
        starts = -(np.cumsum(self.blocks.lengths) - self.blocks.lengths) % stride
        return self.blocks.map(workers.sampled_rows, starts.tolist(), stride=stride, weights=weights)

    def largest_eigenvalue(self, covariance: np.ndarray, mean: np.ndarray, scale: np.ndarray, weight: Any) -> float:
        """Return the largest eigenvalue of the covariance of the scaled columns, computed by a worker."""
        sample = self._sampled(SAMPLE_FOR_EIGENVALUE, weight)
        task, *args = workers.eigenvalue_of_sample, sample, covariance, mean, scale
        return self.blocks.client.submit(task, *args, pure=False).result()

    def best_constant(self, formulas: Formulas) -> float:
        """Return the best constant raw prediction, from the means of all blocks or from samples of the targets."""
        if formulas.is_quadratic:
            weight, y = map(np.array, zip(*self.blocks.values(self.view, workers.mean_target), strict=True))
        else:
            y, weight = self._sampled_targets()
        return constant_of(formulas, y, weight if weight.size else None)

    def _sampled_targets(self) -> tuple[np.ndarray, np.ndarray]:
        """Return evenly spaced targets and their weights."""
        n_samples, lengths = self.shape[0], self.blocks.lengths
        some = np.linspace(0, n_samples - 1, min(n_samples, SAMPLE_FOR_CONSTANT)).astype(int)
        ends = np.cumsum(lengths)
        each = np.split(some, np.searchsorted(some, ends[:-1]))
        each = [which - start for which, start in zip(each, ends - lengths, strict=True)]
        sampled = self.blocks.gather(self.blocks.map(workers.sampled_targets, each, view=self.view))
        y, weight = map(np.concatenate, zip(*sampled, strict=True))
        return y, weight

    # Sums over all samples

    def residual_sums(self, loss: Any, constant: float) -> np.ndarray:
        """Return sums of weights, losses, and slopes, absolute and squared, for a constant prediction."""
        return self.blocks.reduce(self.view, workers.residual_sums, loss, constant)

    def smoothed_gradient(self, loss: Any, mean: np.ndarray, constant: float, size: float) -> np.ndarray:
        """Return the sum of the gradients on both sides of a constant prediction."""
        return self.blocks.reduce(self.view, workers.smoothed_gradient, loss, mean, constant, size)

    def factor_along(self, mean: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the triangular factor of the weighted squares of samples along directions, and the total weight."""
        return self.blocks.reduce(self.view, workers.factor_along, mean, directions, combine=workers.join_factors)

    def training_loss(self, loss: Any, coef: np.ndarray, intercept: float, rounding: float = 0.0) -> float:
        """Return the mean loss of a model."""
        total, weight = self.blocks.reduce(self.view, workers.training_loss, loss, coef, intercept, rounding)
        return float(total / weight)

    def row_curvatures(self, loss: Any, w: np.ndarray, aside: float) -> tuple[Any, float, float]:
        """Return weights of samples by the curvature of their losses, which the workers compute; see the baseline."""
        sums = self.blocks.reduce(self.view, workers.residual_sums_at, loss, w)
        weights = CurvatureWeights(self.view, loss, w.copy(), sums, aside)
        mean = self.blocks.reduce(self.view, workers.curvature_sum, weights) / sums[0]
        if not 0.0 < mean < np.inf:
            return np.empty(0, self.dtype), 1.0, 1.0
        return weights._replace(mean=float(mean)), mean, float(step_by_curvature(sums, mean))

    def near_kinks(self, loss: Any, w: np.ndarray, most: int) -> Rows:
        """Return at most ``most`` samples, those whose loss has a kink next to their predictions."""
        distance, n_samples = np.inf, self.shape[0]
        if n_samples > most:
            sums = self.blocks.reduce(self.view, workers.residual_sums_at, loss, w)
            distances = usual_value(sums) / sums[2] * CLOSER ** np.arange(DISTANCES)
            counts = self.blocks.reduce(self.view, workers.count_near_kinks, loss, w, distances)
            distance = distances[counts <= most].max(initial=0.0)
        X, y, weight, g, value = zip(*self.blocks.values(self.view, workers.near_kinks, loss, w, distance), strict=True)
        stack: Any = sparse.vstack if sparse.issparse(X[0]) else np.concatenate
        rest = np.sum(g, axis=0) / n_samples
        near = Rows(stack(X), None, np.concatenate(y), np.concatenate(weight) / n_samples, rest)
        return near._replace(constant=float(np.sum(value) / n_samples - rest @ w))

    def scores(self, objective: Any, none: Any) -> Any:
        """Return the scores of all samples, starting from empty scores."""
        args, spread = (objective, none), None
        if len(none.jumps):
            spread = self.blocks.reduce(self.view, workers.spread_of, *args, combine=workers.merge_spreads)
        return self.blocks.reduce(self.view, workers.scores_of, *args, spread, combine=workers.merge_scores)

    # The passes

    def epoch(self, plan: Plan) -> range:
        """Return a range over the samples of an epoch; with ``drop_last``, over those in whole batches."""
        if plan.batch_size >= self.shape[0]:
            return range(self.shape[0])
        n_batches = self.blocks.n_batches(plan.batch_size, plan.drop_last)
        return range(int(np.minimum(n_batches * plan.batch_size, self.blocks.lengths).sum()))

    def n_updates(self, plan: Plan) -> int:
        """Return the number of updates in an epoch; with small batches, that of the longest chain."""
        return 1 if plan.batch_size >= self.shape[0] else self.blocks.n_updates(plan.batch_size, plan.drop_last)

    def choose(self, plan: Plan) -> Callable:
        """Return the pass over the samples."""
        if plan.normal and not plan.noise and plan.formulas.pulls_linearly:
            return normal.Automatic(plan)
        if plan.batch_size < plan.n_rows:
            return LocalDescent(self.blocks, plan)
        if plan.is_parabola:
            return proximal.ProximalNewton(self.all_rows(plan))
        step = NuMethod() if plan.has_momentum else arrays.automatic if plan.preconditioner else arrays.minibatch
        return partial(step, batch_of=self.all_rows(plan))

    def all_rows(self, plan: Plan) -> "ClusterBatch":
        """Return the samples as one batch."""
        return ClusterBatch(plan)


class ClusterBatch(WholeBatch):
    """The samples of all blocks as one batch."""

    def __init__(self, plan: Plan):
        super().__init__()
        # A gradient does not depend on penalty and optimizer. Without them, a worker compiles it only once.
        parts = plan.parts._replace(penalty=NoPenalty(), optimizer=SGD())
        self.sent = SentPlan.of(plan._replace(schedule=np.zeros_like, parts=parts, formulas=Formulas(parts)))

    def sums(self, w: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Return the sums of the losses, of their squared slopes, and of the gradients."""
        count_rows(len(self.order))
        rows: ClusterRows = self.data.rows
        losses, squares, *g = rows.blocks.reduce(rows.view, workers.gradient_sums, self.sent, w)
        return float(losses), float(squares), np.array(g)
