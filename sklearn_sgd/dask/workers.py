"""Functions that run on the workers: they validate the samples of a partition, and compute sums over them."""

import operator
import pickle
from functools import lru_cache, partial, reduce
from typing import Any, NamedTuple, Self

import cloudpickle
import numpy as np
from scipy import sparse
from sklearn.base import clone

from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._engine import baseline
from sklearn_sgd._engine.automatic.lean import Lean
from sklearn_sgd._engine.automatic.preconditioner import Counted, largest_eigenvalue
from sklearn_sgd._engine.automatic.statistics import ColumnStatistics, measure, merge
from sklearn_sgd._engine.epochs import quiet
from sklearn_sgd._engine.passes import without_plan
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.passes.rows import as_rows, in_one_piece, less_mean
from sklearn_sgd._engine.plan import Data, Plan, row_numbers
from sklearn_sgd._engine.scores.curvature import Spread
from sklearn_sgd._engine.scores.objective import Objective
from sklearn_sgd._engine.scores.stream_scores import Scores
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import doubled, take

ALL = slice(None)


class RowView(NamedTuple):
    """How a worker transforms its samples: divide weights by their mean, add the intercept, centre columns.

    Descents on sparse samples also need ``lean`` and ``at_means``, as :class:`.Csr` does.
    """

    mean_weight: float
    bias: Any
    mean: np.ndarray | None
    lean: Lean | None = None
    at_means: bool = True


class Block(NamedTuple):
    """The samples of a partition, validated; those of weight 0 are left out."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None

    def data(self, view: RowView) -> Data:
        """Return the samples in the form that the passes need."""
        rows = as_rows(self.X, bool(view.bias))
        if view.mean is not None:
            rows = less_mean(rows, view.mean)
        weight = np.empty(0) if self.weight is None else self.weight / view.mean_weight
        return Data(rows, in_one_piece(self.y), in_one_piece(weight.astype(self.X.dtype, copy=False)))


class Summary(NamedTuple):
    """Summary of a block before the descent."""

    n_samples: int
    n_features: int
    dtype: np.dtype
    weight: float


class SentPlan(NamedTuple):
    """A plan in the form that is sent to the workers, without the samples.

    The parts are pickled, and not their formulas. Each worker reads the formulas of equal parts once.
    """

    plan: Plan
    formulas: bytes

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Return the form of a plan that is sent."""
        nothing: Any = None
        formulas = cloudpickle.dumps(plan.formulas.parts)
        plan = plan._replace(X=None, data=nothing, n_rows=0, row_indices=None, formulas=nothing)
        return cls(plan._replace(preconditioner=None, normal=None), formulas)

    def on(self, block: Block, data: Data) -> Plan:
        """Return the plan for the samples of a block."""
        return self.plan._replace(X=block.X, data=data, n_rows=len(data.y), formulas=_formulas_of(self.formulas))


@lru_cache(maxsize=16)
def _formulas_of(parts: bytes) -> Formulas:
    """Return the formulas of pickled parts."""
    return Formulas(pickle.loads(parts))


def identity(value: Any) -> Any:
    """Return the value."""
    return value


# Before the descent


def load_block(model: Any, number: int, X: Any, y: Any, weight: Any = None) -> Block:
    """Return the samples of a partition, validated as a regressor does it; an error names the partition."""
    try:
        model = clone(model)
        _, X, y, weight = model._validate_input(ResolvedParameters(model), X, y, weight, reset=True, least=0)
        if y[:1].size > 1:
            raise ValueError(f"y has {y.shape[1]} columns: fit a regressor for each.")
        y = y.ravel()
    except (TypeError, ValueError) as error:
        raise type(error)(f"Partition {number} of the data: {error}") from error
    if weight is not None and not weight.all():
        kept = np.flatnonzero(weight)
        X, y, weight = X[kept], y[kept], weight[kept]
    return Block(X, y, weight)


def summarise(block: Block) -> Summary:
    """Return the summary of a block before the descent."""
    weight = float(len(block.y)) if block.weight is None else float(block.weight.sum(dtype=np.float64))
    return Summary(len(block.y), block.X.shape[1], block.X.dtype, weight)


def part_of(block: Block, start: int, part: int, parts: int, is_left_out: bool) -> Block:
    """Return one of equal random parts of the samples of a block, or all others.

    ``start`` is the number of samples in the blocks before it.
    """
    order = np.random.default_rng(start).permutation(len(block.y)) + start
    kept = np.flatnonzero((order % parts == part) == is_left_out)
    return Block(block.X[kept], block.y[kept], None if block.weight is None else block.weight[kept])


def sampled_targets(block: Block, which: np.ndarray, view: RowView) -> tuple[np.ndarray, np.ndarray]:
    """Return some targets and their weights, in double precision; no weights if all are 1."""
    data = block.data(view)
    return doubled(data.y[which]), doubled(data.weight[which] if data.weight.size else data.weight)


def sampled_rows(
    block: Block, start: int, stride: int, weights: "CurvatureWeights | None" = None
) -> tuple[Any, np.ndarray]:
    """Return evenly spaced rows of X, and their weights, their own or those by curvature."""
    weight = block.weight if weights is None else weights.of(block.data(weights.view))
    X = block.X[start::stride]
    return X, np.ones(X.shape[0]) if weight is None else doubled(weight[start::stride])


def eigenvalue_of_sample(sample: list, covariance: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> float:
    """Return the largest eigenvalue of the correlation matrix of rows that were sampled from all blocks."""
    parts, weights = zip(*sample, strict=True)
    X = sparse.vstack(parts, format="csr") if sparse.issparse(parts[0]) else np.concatenate(parts)
    return largest_eigenvalue(covariance, Counted(X, weight=np.concatenate(weights)), mean, scale)


# Sums over the samples of a block, and their combination over several blocks


class CurvatureWeights(NamedTuple):
    """Weights of samples by the curvature of their losses at w; workers compute them from ``sums`` over all samples.

    They are divided by ``mean``, so that their own mean is 1.
    """

    view: RowView
    loss: Any
    w: np.ndarray
    sums: np.ndarray
    aside: float
    mean: float = 1.0

    def of(self, data: Data) -> np.ndarray:
        """Return the weights for samples transformed by this view."""
        z = baseline.raw_predictions(data.rows, ALL, self.w)
        return baseline.weighted_curvatures(self.loss, data, ALL, z, self.sums, self.aside) / self.mean


def apply(block: Block, view: RowView, function: Any, args: tuple) -> Any:
    """Return the result of a function of a block and its transformed samples."""
    with quiet():
        return function(block, block.data(view), *args)


# They combine a list of results of several blocks, in their order.
add = partial(reduce, operator.add)
merge_statistics = partial(reduce, merge)
merge_scores = partial(reduce, Scores.merged)
merge_spreads = partial(reduce, Spread.plus)


def join_factors(factors: list[tuple[np.ndarray, float]]) -> tuple[np.ndarray, float]:
    """Return the triangular factor of the samples of all blocks, and their total weight."""
    parts, weights = zip(*factors, strict=True)
    return baseline.triangle(parts), sum(weights)


def scores_of(block: Block, data: Data, objective: Objective, none: Scores, spread: Spread | None) -> Scores:
    """Return the scores of the samples, starting from empty scores; kernels are as wide as follows from all samples."""
    return none.counted_at(objective, block.X, data.y, data.weight, spread)


def spread_of(block: Block, data: Data, objective: Objective, none: Scores) -> Spread:
    """Return what the width of kernels follows from."""
    return none.spread_at(objective, block.X, data.y, data.weight)


def column_statistics(
    block: Block, data: Data, centred: bool, with_target: bool, weights: CurvatureWeights | None
) -> ColumnStatistics:
    """Return the statistics of the features, and of the target."""
    weight = data.weight if weights is None else weights.of(data)
    return measure(block.X, None, weight, centred, data.y[:, None] if with_target else None)


def sums_of_entries(block: Block, data: Data, weights: CurvatureWeights | None, inverse: np.ndarray) -> np.ndarray:
    """Return sums over the entries of sparse columns; see there."""
    weight = data.weight if weights is None else weights.of(data)
    return without_plan.sums_of_entries(data.rows, row_numbers(len(data.y)), weight)(inverse=inverse)


def sum_along(block: Block, data: Data, centre: np.ndarray, d: np.ndarray | None) -> np.ndarray:
    """Return the sum of the centred samples, each times its product with d, or with numbers of its own."""
    n = len(data.y)
    z = 1.0 + np.sin(np.arange(n)) if d is None else block.X @ d[:-1] - centre @ d[:-1] + float(data.rows.bias) * d[-1]
    z = doubled(data.weight) * z if data.weight.size else z
    return np.append(z @ block.X - centre * z.sum(), float(data.rows.bias) * z.sum())


def curvature_sum(block: Block, data: Data, weights: CurvatureWeights) -> float:
    """Return the sum of the weights by curvature."""
    return float(weights.of(data).sum())


def residual_sums(block: Block, data: Data, loss: Any, constant: float) -> np.ndarray:
    """Return sums of weights, losses, and slopes, absolute and squared, for a constant prediction."""
    return baseline.residual_sums(loss, data, ALL, constant)


def residual_sums_at(block: Block, data: Data, loss: Any, w: np.ndarray) -> np.ndarray:
    """Return the same sums for the predictions of parameters."""
    return baseline.residual_sums(loss, data, ALL, baseline.raw_predictions(data.rows, ALL, w))


def count_near_kinks(block: Block, data: Data, loss: Any, w: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the number of samples whose loss has a kink within each distance of their predictions."""
    y, z = doubled(data.y), doubled(baseline.raw_predictions(data.rows, ALL, w))
    return np.array([np.count_nonzero(_has_kink(loss, y, z, distance)) for distance in distances])


def near_kinks(
    block: Block, data: Data, loss: Any, w: np.ndarray, distance: float
) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, float]:
    """Return the samples with a kink within a distance, their targets and weights, and the gradient and loss of others.

    The gradient is that of the tangents at w.
    """
    (y, s), z = baseline.targets_and_weights(data, ALL), doubled(baseline.raw_predictions(data.rows, ALL, w))
    near = np.full(len(y), True) if distance == np.inf else _has_kink(loss, y, z, distance)
    some, slopes = np.flatnonzero(near), np.where(near, 0.0, s * loss.gradient(y, z))
    total = float(slopes.sum())
    g = doubled(slopes @ doubled(block.X)) - total * data.rows.mean
    value = float(np.sum(np.where(near, 0.0, s * loss.value(y, z))))
    return take(block.X, some), y[some], s[some], np.append(g, float(data.rows.bias) * total), value


def _has_kink(loss: Any, y: np.ndarray, z: np.ndarray, distance: float) -> np.ndarray:
    """Return whether the slope changes within a distance of the predictions."""
    return loss.gradient(y, z - distance) != loss.gradient(y, z + distance)


def smoothed_gradient(
    block: Block, data: Data, loss: Any, mean: np.ndarray, constant: float, size: float
) -> np.ndarray:
    """Return the sum of the gradients on both sides of a constant prediction."""
    return baseline.smoothed_gradient(loss, data, None, block.X, mean, constant, size)


def factor_along(block: Block, data: Data, mean: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the triangular factor of the weighted squares of samples along directions, and the total weight."""
    return baseline.factor_along(data, None, block.X, mean, directions)


def mean_target(block: Block, data: Data) -> tuple[float, float]:
    """Return the total weight, and the mean of the targets."""
    y, weight = doubled(data.y), doubled(data.weight) if data.weight.size else None
    return _total_weight(data), baseline.mean_target(y, weight)


def training_loss(
    block: Block, data: Data, loss: Any, coef: np.ndarray, intercept: float, rounding: float
) -> np.ndarray:
    """Return the sum of the losses of a model, and the total weight."""
    weight = _total_weight(data)
    return np.array([weight * baseline.training_loss(loss, data, None, block.X, coef, intercept, rounding), weight])


def gradient_sums(block: Block, data: Data, sent: SentPlan, w: np.ndarray) -> np.ndarray:
    """Return the sums of losses and squared slopes, followed by the sum of the gradients."""
    plan = sent.on(block, data)
    losses, squares, g = all_rows(plan)(data, plan.used, plan.parts.loss).sums(w)
    return np.array([losses, squares, *g])


def _total_weight(data: Data) -> float:
    return float(data.weight.sum(dtype=np.float64)) if data.weight.size else float(len(data.y))


# After the descent


def predict_chunk(X: Any, model: Any, dtype: np.dtype) -> np.ndarray:
    """Return the predictions for a partition, which may be empty."""
    return model.predict(X) if X.shape[0] else np.empty(0, dtype)


def predict_frame(frame: Any, model: Any, dtype: np.dtype) -> Any:
    """Return the predictions for a partition of a data frame, with its index."""
    return frame._constructor_sliced(predict_chunk(frame, model, dtype), index=frame.index)


class Score(NamedTuple):
    """The sums from which R² is computed: number of samples, weight and mean of the targets, and sums of squares.

    The mean is stored as ``first``, one of the targets, and the difference from it; ``spread`` is the sum of squares
    about the mean. So large numbers are not subtracted from each other, which would lose digits.
    """

    n_samples: int
    weight: float
    first: float
    rest: float
    spread: float
    errors: float

    def merged(self, other: "Score") -> "Score":
        """Return the sums over the samples of both."""
        weight = self.weight + other.weight
        share = other.weight / weight if weight else 0.0
        move = (other.first - self.first) + (other.rest - self.rest)
        return Score(
            self.n_samples + other.n_samples,
            weight,
            self.first,
            self.rest + share * move,
            self.spread + other.spread + self.weight * share * move * move,
            self.errors + other.errors,
        )


def score_of(model: Any, X: Any, y: Any, weight: Any = None) -> Score:
    """Return the sums of a partition from which R² is computed."""
    y = np.asarray(y, dtype=np.float64).ravel()
    s = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64).ravel()
    total, first = float(s.sum()), float(y[0]) if len(y) else 0.0
    rest = float(s @ (y - first)) / total if total else 0.0
    error = y - predict_chunk(X, model, np.dtype(np.float64))
    return Score(len(y), total, first, rest, float(s @ (y - first - rest) ** 2), float(s @ (error * error)))
