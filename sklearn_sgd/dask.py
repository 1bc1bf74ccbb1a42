"""The three regressors on a Dask cluster: rows stay on the workers, sums over them travel. Needs the extra ``dask``.

The classes take Dask arrays and data frames, and are used as the Dask classes of LightGBM and XGBoost are.
"""

import copy
from dataclasses import dataclass, replace
from functools import partial
from inspect import Parameter, signature, unwrap
from numbers import Integral
from operator import attrgetter
from textwrap import dedent
from typing import Any, NamedTuple, Self

import dask
import dask.array as da
import numpy as np
from dask.base import is_dask_collection
from distributed import Client, default_client, wait
from scipy import sparse
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd import regressors
from sklearn_sgd._base.estimator import BaseGDRegressor
from sklearn_sgd._base.parameters import ResolvedParameters
from sklearn_sgd._compat import Interval, check_feature_names
from sklearn_sgd._engine import arrays, baseline, full, gram, loop, rows, step
from sklearn_sgd._engine.jit import kinds
from sklearn_sgd._engine.plan import Data, Plan
from sklearn_sgd._namespace import Elsewhere
from sklearn_sgd.losses import SquaredError
from sklearn_sgd.optimizers import SGD
from sklearn_sgd.penalties import NoPenalty

__all__ = ["DaskBatchGDRegressor", "DaskMiniBatchSGDRegressor", "DaskOnlineSGDRegressor"]

# Results that are added up on a worker before their sum travels.
FAN = 16


# What happens on a worker


class Block(NamedTuple):
    """The rows of a partition, validated; those of weight 0 are left out."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None

    def data(self, view: "Cluster") -> Data:
        """The rows for a kernel, as all of them are seen: centred or not, weights of mean 1."""
        plain = rows.as_rows(self.X, bool(view.bias))
        here = plain if view.mean is None else rows.less_mean(plain, view.mean)
        weight = np.empty(0) if self.weight is None else self.weight / view.scale
        return Data(here, rows.read_only(self.y), rows.read_only(weight.astype(self.X.dtype, copy=False)))


class Facts(NamedTuple):
    """What is told of a block before the descent."""

    n_rows: int
    n_columns: int
    dtype: np.dtype
    weight: float


class Weighted(NamedTuple):
    """Weights of rows by the curvature of their losses at w, made on the workers with the ``sums`` of all rows."""

    view: "Cluster"
    loss: Any
    w: np.ndarray
    sums: np.ndarray


def _load(model, number: int, X, y, weight=None) -> Block:
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


def _facts(block: Block) -> Facts:
    weight = float(len(block.y)) if block.weight is None else float(block.weight.sum(dtype=np.float64))
    return Facts(len(block.y), block.X.shape[1], block.X.dtype, weight)


def _ask(block: Block, view: "Cluster", question, args: tuple):
    return question(block, block.data(view), *args)


def _add(answers: list):
    total = answers[0]
    for answer in answers[1:]:
        total = total + answer
    return total


def _merge(answers: list):
    total = answers[0]
    for answer in answers[1:]:
        total = step.merge(total, answer)
    return total


def _measure(block, data, centred: bool, with_target: bool, weighted: Weighted | None):
    weight = _curvatures(data, weighted) if weighted else data.weight
    return step.measure(block.X, None, weight, centred, data.y[:, None] if with_target else None)


def _residual_sums(block, data, loss, w, constant):
    z = constant if w is None else baseline.raw_predictions(data.rows, slice(None), w)
    return baseline.residual_sums(loss, data, slice(None), z)


def _curvatures(data, weighted: Weighted):
    _, loss, w, sums = weighted
    z = baseline.raw_predictions(data.rows, slice(None), w)
    return baseline.weighted_curvatures(loss, data, slice(None), z, sums)


def _curvature_sum(block, data, weighted: Weighted):
    return float(_curvatures(data, weighted).sum())


def _smoothed_gradient(block, data, loss, mean, constant, size):
    return baseline.smoothed_gradient(loss, data, None, block.X, mean, constant, size)


def _mean_target(block, data, loss):
    return _total_weight(data), baseline.best_constant(loss, data, slice(None))


def _training_loss(block, data, loss, coef, intercept):
    weight = _total_weight(data)
    return np.array([weight * baseline.training_loss(loss, data, None, block.X, coef, intercept), weight])


def _total_weight(data) -> float:
    return float(data.weight.sum(dtype=np.float64)) if data.weight.size else float(len(data.y))


def _gradient(block, data, plan: Plan, w):
    """Sums of losses and squared slopes, then of gradients."""
    plan = plan._replace(X=block.X, data=data, n_rows=len(data.y))
    look = loop._all_rows(plan)(data, plan.used, plan.parts.loss)
    total, squares, g = look.sums(w)
    return np.array([total, squares, *g])


def _some_targets(block: Block, which: np.ndarray, view: "Cluster"):
    data = block.data(view)
    return data.y[which], data.weight[which] if data.weight.size else data.weight


def _some_rows(block: Block, start: int, stride: int):
    return block.X[start::stride]


def _largest_of_sample(sample: list, covariance, mean, scale) -> float:
    X = sparse.vstack(sample, format="csr") if sparse.issparse(sample[0]) else np.concatenate(sample)
    return step._largest(covariance, X, mean, scale)


def _give(thing):
    return thing


class Leg(NamedTuple):
    """A part of an epoch, between two averages: where it starts from, and which of a worker's rows it takes."""

    vectors: Any
    memory: np.ndarray
    done: int
    factor: float
    seed: int
    start: int
    stop: int


def _descend(blocks: list[Block], numbers: list[int], view: "Cluster", plan: Plan, geometry, leg: Leg):
    """Pass over rows of some blocks, block by block; the loss, the rows and the updates, and what was learned."""
    vectors, memory, done = leg.vectors.copy(), leg.memory.copy(), leg.done
    total, n_rows, position = 0.0, 0, 0
    turns = np.arange(len(blocks))
    if plan.shuffle:
        turns = np.random.default_rng([leg.seed, *numbers]).permutation(turns)
    for turn in turns:
        block, length = blocks[turn], len(blocks[turn].y)
        start, stop = (min(max(place - position, 0), length) for place in (leg.start, leg.stop))
        position += length
        if start == stop:
            continue
        data = block.data(view)
        here = plan._replace(X=block.X, data=data, n_rows=length, geometry=geometry)
        order = here.order(here.used, np.random.default_rng([leg.seed, numbers[turn]]), loop.permute)[start:stop]
        t = np.arange(done + 1, done + 1 - (-len(order) // plan.batch_size))
        rates, mixes = plan.schedule(t) * leg.factor, plan.mixes(t)
        extras: tuple = (done,) if geometry is None else (geometry, memory)
        with loop.quiet():
            run = loop._choose(here)
            total += run(data, order, rates, mixes, plan.batch_size, vectors, plan.parts, *extras)
        done, n_rows = done + len(t), n_rows + len(order)
    return total, n_rows, vectors, memory


# What happens here


class Pool:
    """The blocks on the workers, and how to ask them."""

    def __init__(self, client: Client, model, partitions: list[tuple], sync_rows: int | None):
        self.client, self.sync_rows = client, sync_rows
        self.generator = np.random.default_rng(check_random_state(model.random_state).randint(2**31 - 1))
        load, sent = dask.delayed(_load, pure=False), dask.delayed(model)
        self.blocks = client.compute([load(sent, number, *given) for number, given in enumerate(partitions)])
        self.facts = self.gather(client.map(_facts, self.blocks, pure=False))
        kept = [k for k, facts in enumerate(self.facts) if facts.n_rows]
        self.blocks, self.facts = [self.blocks[k] for k in kept], [self.facts[k] for k in kept]
        for question in (attrgetter("n_columns"), attrgetter("dtype")):
            if len(answers := set(map(question, self.facts))) > 1:
                raise ValueError(f"The partitions of X differ in {question}: {answers}.")
        self.lengths = np.array([facts.n_rows for facts in self.facts], dtype=int)
        self.weight = sum(facts.weight for facts in self.facts)
        self.batch_size, self.shuffle = 0, model.shuffle

    def gather(self, futures: list) -> list:
        """The results of tasks, in their order."""
        return self.client.gather(futures)

    def ask(self, view: "Cluster", question, *args, combine=None):
        """The answers of all blocks; combined in their order, on the workers sixteen at a time, and here."""
        futures = self.client.map(_ask, self.blocks, view=view, question=question, args=args, pure=False)
        if combine is None:
            return self.gather(futures)
        while len(futures) > FAN:
            parts = [futures[start : start + FAN] for start in range(0, len(futures), FAN)]
            futures = [self.client.submit(combine, part, pure=False) for part in parts]
        return combine(self.gather(futures))

    def chains(self) -> list[list[int]]:
        """Numbers of blocks that one thread takes: those of a worker, in as many parts as it has threads."""
        wait(self.blocks)
        threads, places = self.client.nthreads(), self.client.who_has(self.blocks)
        held: dict[str, list[int]] = {}
        for number, block in enumerate(self.blocks):
            held.setdefault(min(places.get(block.key) or [""]), []).append(number)
        return sorted(chain for place, numbers in held.items() for chain in _deal(numbers, threads.get(place, 1)))

    def longest(self, chains: list[list[int]]) -> int:
        """Rows of the longest chain."""
        return int(max(self.lengths[numbers].sum() for numbers in chains))


def _deal(numbers: list[int], hands: int) -> list[list[int]]:
    """As many runs of numbers as there are hands, or fewer; none empty."""
    return [part.tolist() for part in np.array_split(numbers, min(hands, len(numbers)))]


@dataclass(frozen=True)
class Cluster(Elsewhere):
    """Rows on workers, in the place of X and of the rows of a plan; without its pool, how a worker is to see its own.

    Each method is the question of that name that ``_engine`` asks of all rows.
    """

    pool: Any
    shape: tuple[int, int]
    dtype: np.dtype
    scale: float = 1.0
    bias: float = 0.0
    mean: np.ndarray | None = None

    @property
    def workers(self) -> int:
        """Threads that share the work."""
        return max(1, sum(self.pool.client.nthreads().values()))

    @property
    def view(self) -> "Cluster":
        """What a worker is told."""
        return replace(self, pool=None)

    def _ask(self, question, *args, combine=_add):
        return self.pool.ask(self.view, question, *args, combine=combine)

    def as_rows(self, X, fit_intercept):
        return replace(self, bias=self.dtype.type(fit_intercept), mean=None)

    def less_mean(self, rows, mean):
        return replace(self, mean=mean)

    def measure(self, X, kept, weight, centred, y=None):
        weighted = weight if isinstance(weight, Weighted) else None
        view = weighted.view if weighted else self.view
        return self.pool.ask(view, _measure, centred, y is not None, weighted, combine=_merge)

    def largest(self, covariance, X, mean, scale):
        if covariance.ndim == 2:
            return unwrap(step._largest)(covariance, X, mean, scale)
        stride = max(1, self.shape[0] // step.SAMPLE)
        starts = -(np.cumsum(self.pool.lengths) - self.pool.lengths) % stride
        client = self.pool.client
        sample = client.map(_some_rows, self.pool.blocks, starts.tolist(), stride=stride, pure=False)
        return client.submit(_largest_of_sample, sample, covariance, mean, scale, pure=False).result()

    def best_constant(self, loss, data, used):
        if isinstance(loss, SquaredError):
            weight, y = map(np.array, zip(*self._ask(_mean_target, loss, combine=None), strict=True))
        else:
            some = np.linspace(0, self.shape[0] - 1, min(self.shape[0], baseline.SAMPLE)).astype(int)
            ends = np.cumsum(self.pool.lengths)
            each = np.split(some, np.searchsorted(some, ends[:-1]))
            each = [which - start for which, start in zip(each, ends - self.pool.lengths, strict=True)]
            futures = self.pool.client.map(_some_targets, self.pool.blocks, each, view=self.view, pure=False)
            y, weight = map(np.concatenate, zip(*self.pool.gather(futures), strict=True))
        told: Any = Data(self, y, weight)  # type: ignore[arg-type]
        return unwrap(baseline.best_constant)(loss, told, slice(None))

    def residual_sums(self, loss, data, used, z):
        return self._ask(_residual_sums, loss, None, z)

    def smoothed_gradient(self, loss, data, kept, X, mean, constant, size):
        return self._ask(_smoothed_gradient, loss, mean, constant, size)

    def training_loss(self, loss, data, kept, X, coef, intercept):
        total, weight = self._ask(_training_loss, loss, coef, intercept)
        return float(total / weight)

    def constant_loss(self, loss, data, kept):
        constant = self.best_constant(loss, data, kept)
        return self.training_loss(loss, data, kept, None, np.zeros(self.shape[1], self.dtype), constant)

    def row_curvatures(self, loss, data, kept, w):
        weighted = Weighted(self.view, loss, w.copy(), self._ask(_residual_sums, loss, w, None))
        mean = self._ask(_curvature_sum, weighted) / weighted.sums[0]
        return (weighted, mean) if 0.0 < mean < np.inf else (data.weight, 1.0)

    def choose(self, plan):
        if plan.gram:
            return gram.automatic
        if self.pool.batch_size < plan.n_rows:
            return Chains(self.pool, plan)
        return partial(arrays.automatic if plan.geometry else arrays.minibatch, look=self.all_rows(plan))

    def all_rows(self, plan):
        return AllBlocks(plan)


def _for_workers(plan: Any) -> Any:
    """What a worker must know of a plan, less the geometry, which is long."""
    nothing: Any = None
    return Plan(*plan)._replace(X=None, data=nothing, n_rows=0, kept=None, geometry=None, gram=None)


class AllBlocks(full.AllRows):
    """The rows of all blocks as one batch."""

    def __init__(self, plan: Any):
        # Penalty and optimizer are no matter of a gradient: workers need not compile it for each.
        parts = plan.parts._replace(penalty=NoPenalty(), optimizer=SGD())
        self.plan = _for_workers(plan)._replace(schedule=None, parts=parts, kinds=kinds(parts))
        self.data: Any = None
        self.known = None, None

    def sums(self, w):
        total, squares, *g = self.data.rows._ask(_gradient, self.plan, w)
        return total, squares, np.array(g)


class Chains:
    """A pass in which each thread of each worker descends over its own blocks, and the results are averaged."""

    def __init__(self, pool: Pool, plan: Plan):
        self.pool, self.done = pool, 0
        self.numbers = pool.chains()
        self.plan = _for_workers(plan)._replace(batch_size=pool.batch_size, shuffle=pool.shuffle)
        # A task, so that it is made again if its worker is lost.
        self.geometry = None if plan.geometry is None else pool.client.submit(_give, plan.geometry, pure=False)

    def __call__(self, data, order, rates, mixes, batch, vectors, parts, *extras):
        pool, longest = self.pool, self.pool.longest(self.numbers)
        memory = extras[1] if self.geometry is not None else np.zeros(3)
        asked = self.plan.schedule(np.array([self.done + 1]))[0]
        factor, seed = float(rates[0] / asked) if asked else 1.0, int(pool.generator.integers(2**63))
        every, total, view = pool.sync_rows or longest, 0.0, data.rows.view
        for start in range(0, longest, every):
            leg = Leg(vectors, memory, self.done, factor, seed, start, start + every)
            futures = [
                pool.client.submit(
                    _descend,
                    [pool.blocks[k] for k in numbers],
                    numbers,
                    view,
                    self.plan,
                    self.geometry,
                    leg,
                    pure=False,
                )
                for numbers in self.numbers
            ]
            losses, n_rows, learned, remembered = zip(*pool.gather(futures), strict=True)
            shares = np.array(n_rows) / sum(n_rows)
            total += sum(losses)
            for mine, *theirs in zip(vectors, *learned, strict=True):
                if mine is not None:
                    mine[:] = shares @ np.array(theirs, dtype=np.float64)
            memory[:] = shares @ np.array(remembered)
            self.done += -(-max(n_rows) // self.plan.batch_size)
        return total


class _Spread(Plan):
    """A plan for rows that are elsewhere: their numbers are not written out, and not shuffled here."""

    __slots__ = ()

    @property
    def shuffles(self) -> bool:
        return False

    @property
    def used(self):
        return range(self.n_rows)

    def order(self, numbers, generator, permute):
        return numbers

    def piece(self, targets):
        return self.n_rows


def _spread(plan: Plan) -> Plan:
    """The same; a batch is that of all chains together, so that updates are counted as each of them does."""
    pool = plan.X.pool
    pool.batch_size = plan.batch_size
    if plan.batch_size < plan.n_rows:
        updates = -(-pool.longest(pool.chains()) // plan.batch_size)
        plan = plan._replace(batch_size=-(-plan.n_rows // updates))
    return _Spread(*plan)


def _partitions(name: str, collection) -> tuple[list, tuple | None]:
    """The partitions of a collection, not computed, and their lengths, if they are known."""
    if not is_dask_collection(collection):
        raise TypeError(
            f"{name} must be a Dask array or data frame; got {type(collection).__name__}. Use dask.array.from_array, "
            "or for data in memory the class without Dask."
        )
    if isinstance(collection, da.Array):
        if collection.ndim == 2 and collection.numblocks[1] > 1:
            collection = collection.rechunk({1: -1})
        lengths = None if np.isnan(collection.chunks[0]).any() else collection.chunks[0]
        return collection.to_delayed().ravel().tolist(), lengths
    return collection.to_delayed(), None


def _aligned(X, **columns) -> list[tuple]:
    """The partitions of X with those of what belongs to it, which are cut as X is where that can be seen."""
    parts, lengths = _partitions("X", X)
    given = [parts]
    for name, column in columns.items():
        if column is None:
            continue
        theirs, known = _partitions(name, column)
        if lengths and known and sum(lengths) != sum(known):
            raise ValueError(f"{name} must have a number for each of the {sum(lengths)} rows of X; got {sum(known)}.")
        if lengths and known and lengths != known:
            theirs, _ = _partitions(name, column.rechunk({0: lengths}))
        if len(theirs) != len(parts):
            raise ValueError(
                f"X has {len(parts)} partitions and {name} has {len(theirs)}: take both from one data frame, or "
                "repartition them alike."
            )
        given.append(theirs)
    return list(zip(*given, strict=True))


def _client(client: "Client | None") -> Client:
    """The client given, or the one that is in use."""
    try:
        return default_client(client)
    except ValueError as error:
        raise ValueError(
            "No Dask client: start one, client = distributed.Client(...), before fit, or give it as client=."
        ) from error


class _Dask(BaseGDRegressor):
    """What the three classes add to those without Dask."""

    client: "Client | None"
    sync_rows: int | None = None
    _local: type

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        coef_init: Any = None,
        intercept_init: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Learn from the rows on the workers of a cluster, for several epochs.

        Parameters
        ----------
        X : dask Array of shape (n_samples, n_features) or dask DataFrame
            Rows to learn from, in partitions of rows. They are computed once, validated and kept on the workers until
            the fit is done; chunks may be sparse matrices.
        y : dask Array of shape (n_samples,), Series or DataFrame of one column
            Targets, in the partitions of X.
        sample_weight : dask Array of shape (n_samples,) or Series, default=None
            Weights of the rows, in the partitions of X.
        coef_init : array-like of shape (n_features,), default=None
            Coefficients to start from.
        intercept_init : float, default=None
            Intercept to start from.
        X_val : {array-like, CSR matrix} of shape (n_val, n_features), default=None
            Rows in memory on which `early_stopping` scores.
        y_val : array-like of shape (n_val,), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights in the score.

        Returns
        -------
        self : object
            The fitted regressor.

        Raises
        ------
        ValueError
            If there is no client, a parameter or an input is invalid, or the partitions of X, y and sample_weight do
            not belong together; an invalid value is reported with the number of its partition.
        TypeError
            If X, y or sample_weight is not a Dask collection.
        """
        _partitions("X", X)
        if self.early_stopping and X_val is None:
            raise ValueError(
                "early_stopping=True on a cluster needs rows in memory to score on: give X_val and y_val to fit, or "
                "early_stopping=False."
            )
        if is_dask_collection(X_val) or is_dask_collection(y_val) or is_dask_collection(sample_weight_val):
            raise TypeError("X_val, y_val and sample_weight_val must be in memory: give X_val.compute(), for instance.")
        start = {"coef_init": coef_init, "intercept_init": intercept_init}
        held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
        return super().fit(X, y, sample_weight, **start, **held_out)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on learning from rows in memory, in this process, as the class without Dask does.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New rows.
        y : array-like of shape (n_samples,)
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        self : object
            The regressor.

        Raises
        ------
        TypeError
            If X is a Dask collection.
        """
        if is_dask_collection(X):
            raise TypeError(
                "partial_fit takes rows in memory. For a Dask collection use fit, with warm_start=True to go on, or "
                "dask_ml.wrappers.Incremental with the class without Dask."
            )
        return super().partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : dask Array or DataFrame, or {array-like, CSR matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : dask Array or Series, or ndarray, of shape (n_samples,)
            Predictions: of a Dask collection lazy, partition by partition where it lies; of others at once.
        """
        if not is_dask_collection(X):
            return super().predict(X)
        check_is_fitted(self)
        model = self.to_local()
        if isinstance(X, da.Array):
            X = X.rechunk({1: -1}) if X.numblocks[1] > 1 else X
            dtype = np.float32 if X.dtype == np.float32 else np.float64
            return X.map_blocks(_predict, model, dtype, drop_axis=1, dtype=dtype, meta=np.empty(0, dtype))
        dtype = model.predict(X._meta_nonempty).dtype
        return X.map_partitions(_predict_frame, model, dtype, meta=(None, dtype))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Coefficient of determination R² of the predictions; of a Dask collection computed on the cluster.

        Parameters
        ----------
        X : dask Array or DataFrame, or array-like of shape (n_samples, n_features)
            Rows.
        y : dask Array or Series, or array-like of shape (n_samples,)
            Their targets.
        sample_weight : dask Array or Series, or array-like of shape (n_samples,), default=None
            Their weights.

        Returns
        -------
        score : float
            One less the squared errors in units of those of the mean.
        """
        if not is_dask_collection(X):
            return super().score(X, y, sample_weight)
        model = self.to_local()
        columns = {"y": y} if sample_weight is None else {"y": y, "sample_weight": sample_weight}
        told = [dask.delayed(_errors)(model, *given) for given in _aligned(X, **columns)]
        weight, total, squares, errors = _add(_client(self.client).gather(_client(self.client).compute(told)))
        return float(1.0 - errors / (squares - total * total / weight))

    def to_local(self) -> Any:
        """The same regressor without Dask.

        Returns
        -------
        regressor : BatchGDRegressor, MiniBatchSGDRegressor or OnlineSGDRegressor
            With the same parameters and, if fitted, the same fitted attributes.
        """
        kind = self._local
        local = kind(**{name: value for name, value in self.get_params(deep=False).items() if name not in OWN})
        known = {*vars(local), *OWN}
        vars(local).update({name: copy.copy(value) for name, value in vars(self).items() if name not in known})
        return local

    def _validate_input(self, resolved, X, y, sample_weight, reset, least=1, finite=True):
        """Of a collection: blocks on the workers, in the place of X; one number in that of y; no weights."""
        if not is_dask_collection(X):
            return super()._validate_input(resolved, X, y, sample_weight, reset, least, finite)
        self._check_batch_size()
        check_feature_names(self, getattr(X, "_meta", X), reset=reset)
        model = self._local(**clone(self.to_local()).get_params())
        pool = Pool(_client(self.client), model, _aligned(X, y=y, sample_weight=sample_weight), self.sync_rows)
        if not pool.facts:
            raise ValueError("X has no rows to learn from, or sample_weight is zero for each of them.")
        n_rows, (_, n_columns, dtype, _) = int(pool.lengths.sum()), pool.facts[0]
        self.n_features_in_ = n_columns
        cluster = Cluster(pool, (n_rows, n_columns), dtype, pool.weight / n_rows)
        recipe = resolved.resolve(cluster)
        if hasattr(recipe.parts.optimizer, "anew"):
            raise ValueError(
                f"optimizer={self.optimizer!r} remembers each row, which no worker does: use optimizer='sgd', or the "
                "class without Dask."
            )
        return recipe, cluster, np.zeros(1, dtype), None

    def _run_epochs(self, session, plans, states):
        if isinstance(plans[0].X, Cluster):
            plans = [_spread(plan) for plan in plans]
            states[0].weight_sum = plans[0].X.pool.weight
        return super()._run_epochs(session, plans, states)

    def _fitted_attributes(self, plan, *args, **kwargs):
        attributes = super()._fitted_attributes(plan, *args, **kwargs)
        return attributes | {"batch_size_": plan.X.pool.batch_size} if isinstance(plan.X, Cluster) else attributes

    def __sklearn_clone__(self):
        # A client is a connection, and is not copied.
        params = {name: clone(value, safe=False) for name, value in self.to_local().get_params(deep=False).items()}
        return type(self)(
            **params, **{name: getattr(self, name) for name in OWN if name in self.get_params(deep=False)}
        )

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}


def _predict(X, model, dtype) -> np.ndarray:
    """Predictions for a partition, which may be empty."""
    return model.predict(X) if X.shape[0] else np.empty(0, dtype)


def _predict_frame(frame, model, dtype):
    """The same for one of a data frame, with its index."""
    return frame._constructor_sliced(_predict(frame, model, dtype), index=frame.index)


def _errors(model, X, y, weight=None) -> np.ndarray:
    """Sums over the rows of a partition: of weights, targets, their squares, and squared errors."""
    y = np.asarray(y, dtype=np.float64).ravel()
    s = np.ones(len(y)) if weight is None else np.asarray(weight, dtype=np.float64)
    error = y - _predict(X, model, np.float64)
    return np.array([s.sum(), s @ y, s @ (y * y), s @ (error * error)])


# Parameters of these classes alone.
OWN = ("client", "sync_rows")

DOCS = {
    "sync_rows": """
        sync_rows : int or None, default=None
            Rows that each thread of each worker passes over before the parameters are averaged; None: all its own, so
            once an epoch.
        """,
    "client": """
        client : distributed.Client or None, default=None
            The cluster; None: the client that is in use. Not pickled.
        """,
}


def _on_dask(*own: str):
    """Give a class the parameters of the one without Dask, and its own, in signature and documentation."""

    def decorate(cls):
        local = cls.__mro__[2]
        given = signature(local.__init__)
        extra = [Parameter(name, Parameter.KEYWORD_ONLY, default=None) for name in own]

        def init(self: Any, loss: Any = "squared_error", **params: Any) -> None:
            for name in own:
                setattr(self, name, params.pop(name, None))
            local.__init__(self, loss, **params)

        init.__name__, init.__qualname__ = "__init__", f"{cls.__name__}.__init__"
        vars(init)["__signature__"] = given.replace(parameters=[*given.parameters.values(), *extra])
        cls.__init__, cls._local = init, local
        constraints = {"client": [Client, None], "sync_rows": [Interval(Integral, 1, None, closed="left"), None]}
        cls._parameter_constraints = local._parameter_constraints | {name: constraints[name] for name in own}
        cls._parameter_values = property(attrgetter(*cls._parameter_constraints))
        words = dedent("".join(DOCS[name] for name in own)).replace("\n\n", "\n").strip()
        shared = local.__doc__[local.__doc__.index("    Parameters\n") : local.__doc__.index("    See Also\n")]
        shared = shared.replace("\n    Attributes\n", "    " + words.replace("\n", "\n    ") + "\n\n    Attributes\n")
        cls.__doc__ = cls.__doc__.replace("    {parameters}\n\n", shared)
        return cls

    return decorate


@_on_dask("client")
class DaskBatchGDRegressor(_Dask, regressors.BatchGDRegressor):
    """Linear regression by full-batch gradient descent on a Dask cluster: the sum of the gradients of all partitions.

    What :class:`sklearn_sgd.BatchGDRegressor` learns from the same rows, to rounding. The squared error with the
    automatic step takes one pass over the rows, for the normal matrix; others one or more per epoch.

    {parameters}

    See Also
    --------
    sklearn_sgd.BatchGDRegressor : The same on one machine.
    DaskMiniBatchSGDRegressor : Steps on batches of rows.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn_sgd.dask import DaskBatchGDRegressor
    >>> client = Client()  # doctest: +SKIP
    >>> X = da.random.random((1_000_000, 20), chunks=(50_000, 20))
    >>> model = DaskBatchGDRegressor().fit(X, X.sum(axis=1))  # doctest: +SKIP
    >>> model.predict(X).mean().compute().round(3)  # doctest: +SKIP
    10.0
    """


@_on_dask("sync_rows", "client")
class DaskMiniBatchSGDRegressor(_Dask, regressors.MiniBatchSGDRegressor):
    """Linear regression by mini-batch stochastic gradient descent on a Dask cluster.

    Each thread of each worker descends over its own blocks from the same start; after `sync_rows` rows the parameters,
    their averages and the moments are averaged, weighted by rows. The statistics of the automatic step are those of all
    rows. `n_updates_` counts the steps of one thread, and `drop_last` is about each block.

    {parameters}

    See Also
    --------
    sklearn_sgd.MiniBatchSGDRegressor : The same on one machine.

    References
    ----------
    M. Zinkevich, M. Weimer, A. Smola and L. Li, "Parallelized stochastic gradient descent", NeurIPS 2010.

    Examples
    --------
    >>> from sklearn_sgd.dask import DaskMiniBatchSGDRegressor
    >>> model = DaskMiniBatchSGDRegressor(batch_size=256, sync_rows=100_000, random_state=0)
    >>> model.fit(X, y).to_local()  # doctest: +SKIP
    MiniBatchSGDRegressor(batch_size=256, random_state=0)
    """


@_on_dask("sync_rows", "client")
class DaskOnlineSGDRegressor(_Dask, regressors.OnlineSGDRegressor):
    """Linear regression by online stochastic gradient descent on a Dask cluster: steps on single rows.

    Each thread of each worker descends over its own blocks from the same start; after `sync_rows` rows the parameters,
    their averages and the moments are averaged, weighted by rows.

    {parameters}

    See Also
    --------
    sklearn_sgd.OnlineSGDRegressor : The same on one machine.

    References
    ----------
    M. Zinkevich, M. Weimer, A. Smola and L. Li, "Parallelized stochastic gradient descent", NeurIPS 2010.

    Examples
    --------
    >>> from sklearn_sgd.dask import DaskOnlineSGDRegressor
    >>> model = DaskOnlineSGDRegressor(learning_rate="constant", eta0=0.01)
    >>> model.fit(X, y).to_local()  # doctest: +SKIP
    OnlineSGDRegressor(learning_rate='constant')
    """
