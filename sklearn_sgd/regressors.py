"""The three regressors: parameters, documentation, fit, partial_fit, predict. The descent itself is in ``_engine``."""

import math
import operator
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from itertools import repeat
from numbers import Integral, Real
from statistics import fmean
from textwrap import dedent, indent
from time import monotonic
from types import FunctionType
from typing import Any, Literal, Self, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import _safe_indexing, assert_all_finite, check_array, check_random_state, gen_batches
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _num_samples, check_consistent_length, check_is_fitted, validate_data

from sklearn_sgd._callbacks import CallbackSupportMixin, Tasks
from sklearn_sgd._engine.baseline import best_constant, training_loss
from sklearn_sgd._engine.jit import callers_level
from sklearn_sgd._engine.loop import Descent, Stream, epochs, one_epoch, quiet
from sklearn_sgd._engine.namespace import (
    dispatches,
    dtype_of,
    floats,
    host,
    is_foreign,
    like,
    namespace,
    refuse_elsewhere,
    take,
)
from sklearn_sgd._engine.plan import make_plans
from sklearn_sgd._engine.recipe import PASSIVE, Recipe, make_recipe
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.stopping import Fit
from sklearn_sgd.losses import LOSSES, SquaredError
from sklearn_sgd.optimizers import OPTIMIZERS

__all__ = ["BatchGDRegressor", "MiniBatchSGDRegressor", "OnlineSGDRegressor"]


class _PartWith(HasMethods):
    """A part with these formulas; its class is not one yet."""

    def is_satisfied_by(self, val):
        return not isinstance(val, type) and super().is_satisfied_by(val)

    def __str__(self):
        return f"an instance with the methods {', '.join(self.methods)}"


DOCS = "https://sklearn-sgd.readthedocs.io/en/stable/"
# Entries of X that predictions are made of at a time.
BLOCK = 1 << 17
REMEDY = "learning_rate='auto', or a smaller eta0 and columns scaled by StandardScaler"

PARAMETERS = """
Parameters
----------
loss : {losses} or instance, default='squared_error'
    Loss of one row, by name or as an instance of a class of :mod:`sklearn_sgd.losses`. 'poisson', 'gamma' and 'tweedie'
    have the log link: `predict` answers the exponential of the linear function.
penalty : {'l2', 'l1', 'elasticnet'}, instance or None, default=None
    Penalty on the coefficients, by name or as an instance of a class of :mod:`sklearn_sgd.penalties`, such as bounds
    (`Box`); the intercept is never penalised. It means the same at every batch size.
alpha : float, default=1e-4
    Strength of the penalty: the objective is the weighted mean loss plus ``alpha * l1_ratio * |w|_1 +
    alpha * (1 - l1_ratio) / 2 * |w|_2^2``.
l1_ratio : float or None, default=0.15
    Share of the L1 norm in penalty 'elasticnet', between 0 and 1; None where it is not needed.
positive : bool, default=False
    Whether coefficients must not be negative.
fit_intercept : bool, default=True
    Whether to learn an intercept; it is 0 if not.
{batch_size}
epochs : int, default=100
    Largest number of passes of `fit` over the rows.
shuffle : bool or 'batches', default=True
    True: rows in a new random order in each epoch. 'batches': only the order of contiguous batches is random (for
    ``batch_size=1``: of contiguous runs of up to 256 rows), which reads memory in order: the fast way on arrays larger
    than the processor's cache, or on disk. False: the order of the rows.
drop_last : bool, default=False
    Whether a last batch of fewer than `batch_size` rows is left out, instead of being a step on the mean of its rows.
learning_rate : {'auto', 'constant', 'invscaling', 'optimal', 'adaptive', 'pa1', 'pa2'} or callable, default='auto'
    'auto': nothing to tune. Steps are taken in the coordinates in which the columns of X are uncorrelated and of
    variance 1, so neither the units nor the correlations of the columns matter. Their length follows from the batch
    size and the number of columns, and none raises its own batch's loss. The others are plain gradient descent with the
    rate of update t = 1, 2, ...: 'constant': ``eta0``; 'invscaling': ``eta0 / t**power_t``; 'optimal':
    ``1 / (alpha * (t + t0))`` with SGDRegressor's choice of t0; 'adaptive': ``eta0``, divided by 5 whenever
    `n_iter_no_change` epochs brought no progress; 'pa1', 'pa2' (passive-aggressive): for single rows and the loss
    'epsilon_insensitive', ``min(eta0, l / q)`` and ``l / (q + 1 / (2 * eta0))`` with the row's loss l and its squared
    length q. A function gets an array of update numbers and answers the rates.
eta0 : float, default=0.01
    Rate of the first update, for all but 'auto' and 'optimal'.
power_t : float, default=0.25
    Exponent of 'invscaling'.
optimizer : {optimizers} or instance, default='sgd'
    What makes a step of a gradient, by name (with torch's numbers) or as an instance of a class of
    :mod:`sklearn_sgd.optimizers`. 'svrg' and 'saga' are for `fit`, on smooth losses, and reach the minimum itself. All
    others but 'sgd' need a `learning_rate` other than 'auto', which is a step of its own.
average : 'auto', bool or int, default='auto'
    Whether `coef_` is the mean of the parameters after each update (Polyak-Ruppert averaging); an int: from that
    update number on. 'auto': True with ``learning_rate='auto'`` and batches of less than all rows, where later
    updates count more; False otherwise.
tol : float or None, default=1e-3
    An epoch is progress when it brings the objective below the best one so far by `tol` times the loss of the best
    constant prediction, so `tol` has no units. With ``learning_rate='auto'`` and the squared error `fit` also stops
    when the minimum is known to be nearer than a tenth of that. None: run all epochs.
n_iter_no_change : int, default=5
    Epochs without progress after which `fit` stops.
early_stopping : bool, default=False
    Whether progress is measured by the R² on rows held out, in units of `tol`; the best parameters are kept. The rows
    are those given to `fit` as `X_val`, else a random part of X.
validation_fraction : float, default=0.1
    Share of the rows that `early_stopping` holds out, at random, if `fit` is given no `X_val`.
time_budget : float or None, default=None
    Seconds from the start of `fit` after which no epoch begins; the running one is completed. None: no limit.
epsilon : float, default=0.1
    Width, in units of y, of the losses 'huber', 'epsilon_insensitive' and 'squared_epsilon_insensitive'.
quantile : float, default=0.5
    Share of targets below the prediction, for the loss 'quantile', or asymmetry of 'expectile'; between 0 and 1.
half_life : float or None, default=None
    Rows of a stream after which a row counts half: for `partial_fit` on data that drift. The statistics of the columns
    fade at that pace, and the automatic step and the average do not fall below what it asks for. None: never forget.
warm_start : bool, default=False
    Whether `fit` starts from `coef_` and `intercept_` of the last fit. The count of updates starts anew.
random_state : int, RandomState instance or None, default=None
    Seed of the shuffling and of the split for `early_stopping`. The same int gives the same bits.
verbose : int, default=0
    1: print a line for each epoch.

Attributes
----------
coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    Coefficients that `predict` uses: the averaged ones when averaging. In X's precision. Of two dimensions if y is.
intercept_ : float or ndarray of shape (n_targets,)
    Intercept.
n_features_in_ : int
    Number of columns of X.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the columns, if X has names that are all strings.
n_iter_ : int
    Epochs run; each call of `partial_fit` is one. Of several targets each is fitted as if it were alone, on the same
    shuffled rows, and this, the counts and the reason below are those of the one that took longest.
n_updates_ : int
    Steps taken.
n_samples_seen_ : int
    Rows that steps were taken on, counted once for each epoch.
batch_size_ : int
    Rows per step: `batch_size`, or the number of rows if that is less.
learning_rate_ : float
    Rate of the last step.
loss_curve_ : list of float
    Mean loss of each epoch, each row's loss taken before its own update; each call of `partial_fit` adds one. Of
    several targets the mean; one that has stopped counts with its last loss.
validation_scores_ : list of float
    R² on the rows held out, after each epoch; only with `early_stopping`.
stop_reason_ : {'epochs', 'tol', 'early_stopping', 'time_budget', 'callback', 'interrupted', 'diverged'}
    Why `fit` stopped; only after `fit`.
prequential_loss_ : float
    Mean loss of rows at first sight, each taken before the row was learned (test, then train).
recent_loss_ : float
    The same over about the last 1000 rows: older ones fade as ``exp(-rows since / 1000)``, those of one call together.
"""

BATCH_SIZES = {
    "BatchGDRegressor": """
        batch_size : None
            All rows in each step. For another size use :class:`MiniBatchSGDRegressor`.
        """,
    "MiniBatchSGDRegressor": """
        batch_size : int, 'auto' or None, default=32
            Rows per step; None: all rows; 'auto': a power of two chosen from the numbers of columns and rows. More than
            there are rows: all of them, see `batch_size_`.
        """,
    "OnlineSGDRegressor": """
        batch_size : int, default=1
            One row in each step. For another size use :class:`MiniBatchSGDRegressor`.
        """,
}


def _regressor(**defaults):
    """Give a regressor its own defaults in the shared signature, and the shared parts of its documentation."""

    def decorate(cls):
        init = _GDRegressor.__init__
        own = FunctionType(init.__code__, init.__globals__, init.__name__, init.__defaults__)
        own.__kwdefaults__ = {**(init.__kwdefaults__ or {}), **defaults}
        own.__annotations__, own.__qualname__ = init.__annotations__, f"{cls.__name__}.__init__"
        cls.__init__ = own
        parameters = PARAMETERS.replace("{batch_size}", dedent(BATCH_SIZES[cls.__name__]).strip())
        for kind, parts in {"losses": LOSSES, "optimizers": OPTIMIZERS}.items():
            parameters = parameters.replace(f"{{{kind}}}", f"{{{', '.join(map(repr, parts))}}}")
        cls.__doc__ = cls.__doc__.replace("    {parameters}", indent(parameters.strip(), "    "))
        return cls

    return decorate


def _can_stream(estimator) -> bool:
    """Whether there is a partial_fit, as scikit-learn's MLPRegressor tells it."""
    if estimator.optimizer == "sgd" and estimator.early_stopping is False:
        return True  # Most often; each call asks.
    if estimator.early_stopping is True:
        raise AttributeError("partial_fit: early_stopping=True needs several epochs; use fit, or early_stopping=False.")
    if hasattr(_part(estimator.optimizer, OPTIMIZERS), "anew"):
        raise AttributeError(
            f"partial_fit: optimizer={estimator.optimizer!r} remembers each row of fit; use another optimizer."
        )
    return True


def _part(choice, table: dict):
    """The class that a name stands for, or a part as it is: for what its class says of it."""
    return table.get(choice) if isinstance(choice, str) else choice


# Of each estimator: the parameters that it last had, and what was made of them, so that small calls need not again.
_made: WeakKeyDictionary = WeakKeyDictionary()

# scikit-learn's decorators, typed: a method stays what it is.
Method = TypeVar("Method", bound=Callable)
_checked: Callable[[Method], Method] = _fit_context(prefer_skip_nested_validation=True)
_streaming: Callable[[Method], Method] = available_if(_can_stream)


def _is_plain_column(values, X, finite: bool = False) -> bool:
    """The same of a number for each row."""
    return (
        type(values) is np.ndarray
        and values.shape == X.shape[:1]
        and values.dtype == X.dtype
        and (finite or math.isfinite(values.sum()))
    )


def _columns(y: np.ndarray) -> np.ndarray:
    """Targets as columns that each lie in one piece, where NumPy can have it so."""
    return y[:, None] if y.ndim == 1 else y if is_foreign(y) else np.asfortranarray(y)


def _shape(intercept: float | np.ndarray) -> tuple:
    """The number of targets, if there may be several; faster than NumPy's."""
    return getattr(intercept, "shape", ())


def _dense(coef, intercept: float | np.ndarray) -> np.ndarray:
    """Coefficients that `sparsify` made sparse, as an array of the shape that they had."""
    return coef.toarray().reshape(*_shape(intercept), -1)


def _mean_curve(curves: list[list[float]]) -> list[float]:
    """The mean of curves, of which each goes on as it ended."""
    epochs = max(map(len, curves))
    return [fmean(some) for some in zip(*(curve + curve[-1:] * (epochs - len(curve)) for curve in curves), strict=True)]


def _longest(states: tuple[State, ...]) -> State:
    """Of the states of several targets that which took longest."""
    return max(states, key=operator.attrgetter("n_epochs"))


def _told(doc: str, tell: Callable[[tuple[State, ...]], Any]) -> Any:
    """An attribute that the states tell when it is asked for: no small call need make it."""

    def ask(self):
        if not hasattr(self, "_states"):
            raise AttributeError(f"This {type(self).__name__} is not fitted yet, so it has no such attribute.")
        return tell(self._states)

    return property(ask, doc=doc)


class _IntactOnError:
    """Give an estimator its attributes back when a call on it fails."""

    def __init__(self, estimator):
        self.attributes, self.before = vars(estimator), dict(vars(estimator))

    def __enter__(self):
        pass

    def __exit__(self, kind, error, traceback):
        if kind:
            self.attributes.clear()
            self.attributes.update(self.before)


class _GDRegressor(CallbackSupportMixin, RegressorMixin, BaseEstimator):
    """What the three regressors share: everything but the default and the allowed values of ``batch_size``."""

    _parameter_constraints: dict = {
        "loss": [StrOptions(set(LOSSES)), _PartWith(["value", "gradient"])],
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), _PartWith(["value", "gradient", "prox"]), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both"), None],
        "positive": ["boolean"],
        "fit_intercept": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean", StrOptions({"batches"})],
        "drop_last": ["boolean"],
        "learning_rate": [StrOptions({"auto", "constant", "invscaling", "optimal", "adaptive", *PASSIVE}), callable],
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), _PartWith(["step"])],
        "average": [Interval(Integral, 1, None, closed="left"), "boolean", StrOptions({"auto"})],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "time_budget": [Interval(Real, 0, None, closed="neither"), None],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "half_life": [Interval(Real, 0, None, closed="neither"), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _values = property(operator.attrgetter(*_parameter_constraints))

    coef_: Any
    intercept_: float
    n_features_in_: int
    batch_size_: int
    validation_scores_: list[float]
    stop_reason_: str

    n_iter_: int = _told("Epochs run.", lambda states: _longest(states).n_epochs)
    n_updates_: int = _told("Steps taken.", lambda states: _longest(states).n_updates)
    n_samples_seen_: int = _told("Rows that steps were taken on.", lambda states: _longest(states).n_samples)
    learning_rate_: float = _told("Rate of the last step.", lambda states: _longest(states).rate)
    loss_curve_: list[float] = _told(
        "Mean loss of each epoch.", lambda states: _mean_curve([s.loss_curve for s in states])
    )
    prequential_loss_: float = _told(
        "Mean loss at first sight.", lambda states: fmean(s.prequential_loss for s in states)
    )
    recent_loss_: float = _told("The same of late.", lambda states: fmean(s.recent_loss for s in states))

    # Where scikit-learn's picture of an estimator links to.
    _doc_link_module = "sklearn_sgd"
    _doc_link_template = DOCS + "generated/sklearn_sgd.{estimator_name}.html"

    def __init__(
        self,
        loss: Any = "squared_error",
        *,
        penalty: Literal["l2", "l1", "elasticnet"] | tuple[Any, ...] | None = None,
        alpha: float = 1e-4,
        l1_ratio: float | None = 0.15,
        positive: bool = False,
        fit_intercept: bool = True,
        batch_size: int | Literal["auto"] | None = None,
        epochs: int = 100,
        shuffle: bool | Literal["batches"] = True,
        drop_last: bool = False,
        learning_rate: str | Callable[[np.ndarray], np.ndarray] = "auto",
        eta0: float = 0.01,
        power_t: float = 0.25,
        optimizer: Any = "sgd",
        average: bool | int | Literal["auto"] = "auto",
        tol: float | None = 1e-3,
        n_iter_no_change: int = 5,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        time_budget: float | None = None,
        epsilon: float = 0.1,
        quantile: float = 0.5,
        half_life: float | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.fit_intercept = fit_intercept
        self.batch_size = batch_size
        self.epochs = epochs
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.learning_rate = learning_rate
        self.eta0 = eta0
        self.power_t = power_t
        self.optimizer = optimizer
        self.average = average
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.time_budget = time_budget
        self.epsilon = epsilon
        self.quantile = quantile
        self.half_life = half_life
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @_checked
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
        """Learn from all rows, for several epochs.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            Rows to learn from. A C-ordered array of float64 or float32, a read-only memory map included, is not copied.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets. Several are fitted in one pass over the rows, each as if it were alone.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; only their ratios matter, and a row of weight 0 is as if it were not there.
        coef_init : array-like of shape (n_features,) or (n_targets, n_features), default=None
            Coefficients to start from; not changed. Default: zeros, or with `warm_start` those of the last fit.
        intercept_init : float or array-like of shape (n_targets,), default=None
            Intercept to start from.
        X_val : {array-like, CSR matrix} of shape (n_val, n_features), default=None
            Rows on which `early_stopping` scores, instead of a random part of X. In a Pipeline they can be transformed
            like X: ``Pipeline(..., transform_input=["X_val"])``.
        y_val : array-like of shape (n_val,) or (n_val, n_targets), default=None
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
            If a parameter or an input is invalid; the regressor is then left as it was.

        Warns
        -----
        ConvergenceWarning
            If the descent left the finite range (the last finite parameters are kept), ended worse than the best
            constant prediction, or was interrupted (Ctrl-C) after its first epoch: the result is then that of the
            epochs completed. An interrupt before that is raised.
        """
        deadline = monotonic() + (self.time_budget or np.inf)
        tasks = Tasks(self, X, y, sample_weight)
        with _IntactOnError(self):
            tasks.begin_fit()
            warm = self.warm_start and hasattr(self, "coef_")
            if warm:
                self.densify()
            finite = not self._tells_not_finite(X, sample_weight)
            recipe, X, y, weight = self._validate(X, y, sample_weight, reset=True, finite=finite)
            if weight is not None and not namespace(weight).any(weight != 0):
                raise ValueError("sample_weight is zero for each row: nothing to learn from.")
            random_state = check_random_state(self.random_state)
            train, score = self._validation(X, y, weight, random_state, X_val, y_val, sample_weight_val)
            shape = y.shape[1:]
            coefs = self._initial("coef_init", coef_init, "coef_" if warm else None, shape, X.shape[1:])
            if not self.fit_intercept and intercept_init is not None and np.any(host(intercept_init)):
                raise ValueError("intercept_init must be 0, or None, with fit_intercept=False.")
            intercepts = self._initial("intercept_init", intercept_init, "intercept_" if warm else None, shape)
            generator = np.random.default_rng(random_state.randint(2**31 - 1))
            targets = _columns(y)
            starts = zip(range(targets.shape[1]), coefs, intercepts, strict=False)
            states = [State.start(X.shape[1], dtype_of(X), generator, *start) for _, *start in starts]
            try:
                with quiet():
                    plans = make_plans(recipe, X, targets, weight, states, train)
            except ValueError:
                self._refuse_not_finite(X)
                raise
            self._drain(plans, states, shape, score, deadline, tasks)
            tasks.end_fit()
        return self

    @_streaming
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on learning: one pass over these rows, in their order, in chunks of ``batch_size``.

        The count of updates, the optimizer's moments and the average go on from where they were: with
        ``shuffle=False``, k calls on the same rows are ``fit(epochs=k)``. A call without rows changes nothing.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            New rows.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Their targets, as many as before.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights, relative to the mean of all weights so far.

        Returns
        -------
        self : object
            The regressor, a little wiser.

        Raises
        ------
        ValueError
            If a parameter or an input is invalid; the regressor is then left as it was.
        AttributeError
            With ``early_stopping=True`` or the optimizers 'svrg' and 'saga', which need the same rows again.

        Warns
        -----
        ConvergenceWarning
            If the descent left the finite range; the parameters from before the call are kept.
        """
        made = self._validated()
        with _IntactOnError(self):
            descents, shape, order = self._go_on(made, X, y, sample_weight)
            if not descents:
                return self
            for descent, epoch in one_epoch(descents, order):
                if not epoch.finite:
                    self._refuse_not_finite(descent.plan.X, descent.plan.data.y)
                    self._warn(
                        f"The descent left the finite range in partial_fit, which changed nothing. Remedy: {REMEDY}."
                    )
                descent.state.sight(epoch.loss, descent.plan.weight)
            states = [descent.state for descent in descents]
            self.__dict__.update(self._attributes(descents[0].plan, states, shape))
        return self

    def _partial_fit_again(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Call `partial_fit` with samples of an earlier epoch, which do not count in the prequential losses."""
        before = getattr(self, "_states", ())
        self.partial_fit(X, y, sample_weight)
        for state, earlier in zip(self._states if before else (), before, strict=True):
            state.restore_prequential_loss(earlier)
        return self

    def _go_on(self, made: dict, X, y, sample_weight) -> tuple[list[Descent], tuple, np.ndarray | None]:
        """A descent for each target through the next rows of a stream, if there are any; shape of a target; order.

        Rows like the last ones, of one target and without weights, need no more than that they are seen to be so.
        """
        if (
            (like_last := made.get("stream"))
            and sample_weight is None
            and self._is_plain(X, finite=like_last.tells)
            and _is_plain_column(y, X, finite=like_last.tells)
            and len(y) == like_last.n_rows
        ):
            self._refuse_outside(like_last.recipe.parts.loss, y, None)
            return [like_last.descent(X, y, self._states[0])], (), like_last.order
        first = not hasattr(self, "_states")
        recipe, X, y, weight = self._validate(X, y, sample_weight, reset=first, least=0)
        if not X.shape[0]:
            return [], (), None
        targets = _columns(y)
        if first:
            shape, seed = y.shape[1:], check_random_state(self.random_state).randint(2**31 - 1)
            generator = np.random.default_rng(seed)
            states = [State.start(X.shape[1], dtype_of(X), generator) for _ in range(targets.shape[1])]
        else:
            shape, states = _shape(self.intercept_), [state.fork() for state in self._states]
        plans = make_plans(recipe, X, targets, weight, states, stream=True)
        descents = [*map(Descent, plans, states)]
        if shape == () and weight is None and isinstance(X, np.ndarray):
            made["stream"] = Stream(recipe, descents[0])
        return descents, shape, None

    def predict(self, X: Any) -> np.ndarray:
        """Predict targets.

        Many rows are taken in blocks of a megabyte, so that frames, integers and lists are never converted as a whole.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions, in the precision of X and the coefficients.

        Raises
        ------
        ValueError
            If X is invalid, or an array of another library or device than `coef_`, under array API dispatch.
        """
        check_is_fitted(self)
        refuse_elsewhere(X, self, "predict")
        size = max(1, BLOCK // self.n_features_in_)
        if sparse.issparse(X) or _num_samples(X) <= size or dispatches(X):
            if not self._is_plain(X):
                X = validate_data(self, X, accept_sparse="csr", dtype=floats(X), reset=False)
            return self._predict(X, self.coef_, self.intercept_)
        # Of what must be converted there is only a block at a time; other blocks are checked and used in one reading.
        validate_data(self, X, reset=False, skip_check_array=True)
        cut = X.__getitem__ if isinstance(X, np.ndarray) else partial(_safe_indexing, X)
        blocks = map(cut, gen_batches(_num_samples(X), size if self._is_plain(X[:1]) else 8 * size))
        form = {"dtype": floats(X), "input_name": "X"}
        parts = (block if self._is_plain(block) else check_array(block, **form) for block in blocks)
        return np.concatenate([self._predict(part, self.coef_, self.intercept_) for part in parts])

    def _predict(self, X, coef, intercept) -> np.ndarray:
        """Predictions for rows that are fit to use, by any parameters."""
        if is_foreign(X):
            coef = _dense(coef, intercept) if sparse.issparse(coef) else coef
            raw = X @ like(host(coef).T, X) + like(host(intercept), X)
            return loss.inverse_link(raw) if hasattr(loss := self._loss(X), "inverse_link") else raw
        coef, intercept = host(coef), host(intercept)
        raw = safe_sparse_dot(X, coef.astype(X.dtype, copy=False).T, dense_output=True)
        # Of one target a sparse row of coefficients makes a column.
        offset = intercept.astype(X.dtype) if isinstance(intercept, np.ndarray) else X.dtype.type(intercept)
        raw, loss = raw.reshape(X.shape[:1] + _shape(intercept)) + offset, self._loss(X)
        return loss.inverse_link(raw) if hasattr(loss, "inverse_link") else raw

    def _loss(self, X):
        """The loss, for what it says of targets and predictions."""
        return self._recipe(X).parts.loss

    def _recipe(self, X, anew: bool = False) -> Recipe:
        """What the parameters say for such rows; made once, while no parameter is replaced by another object."""
        made, kind = self._made(), (dtype_of(X), X.shape[1], is_foreign(X))
        if anew or kind not in made:
            made.pop("stream", None)
            made[kind] = make_recipe(dict(zip(self._parameter_constraints, self._values, strict=True)), *kind)
        return made[kind]

    def _made(self) -> dict:
        """What was made of these very parameters, or nothing yet."""
        values, known = self._values, _made.get(self)
        if not (known and all(map(operator.is_, values, known[0]))):
            known = _made[self] = values, {}
        return known[1]

    def sparsify(self) -> Self:
        """Make `coef_` a sparse matrix of a row for each target, which is smaller where most coefficients are zero.

        `predict` works with both, and so do `fit` and `partial_fit`, which answer an array again.

        Returns
        -------
        self : object
            The regressor.
        """
        check_is_fitted(self)
        self.coef_ = sparse.csr_matrix(host(self.coef_))
        return self

    def densify(self) -> Self:
        """Make `coef_` an array again, after `sparsify`.

        Returns
        -------
        self : object
            The regressor.
        """
        check_is_fitted(self)
        if sparse.issparse(self.coef_):
            self.coef_ = _dense(self.coef_, self.intercept_)
        return self

    def _validate_params(self):
        """Validate the parameters."""
        self._validated()

    def _validated(self) -> dict:
        """What was made of these parameters, which are validated unless they were."""
        made = self._made()
        if "valid" not in made:
            super()._validate_params()
            made["valid"] = True
        return made

    def _is_plain(self, X, finite: bool = False) -> bool:
        """Whether validation would find nothing to convert and nothing to say: it takes longer than a row.

        Nor need it be asked whether X is ``finite`` if that will show.
        """
        return (
            type(X) is type(self.coef_) is np.ndarray
            and X.ndim == 2
            and X.shape[1] == self.n_features_in_
            and X.dtype == self.coef_.dtype
            and X.flags.c_contiguous
            and len(X) > 0
            and (finite or math.isfinite(X.sum()))
            and "feature_names_in_" not in vars(self)
        )

    def _check_batch_size(self):
        """Refuse a batch size that is the business of another class."""

    def _tells_not_finite(self, X, sample_weight) -> bool:
        """Whether the columns' statistics, or the loss of the first epoch, tell of a row that is not finite.

        Then X need not be read only to know. The squared error of such a row is not finite; others may be bounded.
        """
        return (
            isinstance(X, np.ndarray)
            and X.dtype.kind == "f"
            and self.loss == "squared_error"
            and sample_weight is None
            and not self.early_stopping
            and not self.drop_last
            and not isinstance(self.random_state, np.random.RandomState)  # An error would leave it advanced.
        )

    def _refuse_not_finite(self, X, y=None) -> None:
        """Say which of the two is not finite, if one is not."""
        for name, values in {"X": X, "y": y}.items():
            if isinstance(values, np.ndarray):
                assert_all_finite(values, estimator_name=type(self).__name__, input_name=name)

    def _validate(self, X, y, sample_weight, reset: bool, least: int = 1, finite: bool = True):
        """The recipe, and input as the engine wants it: C-ordered or CSR, one precision, finite; no weight < 0."""
        self._check_batch_size()
        if reset or not (self._is_plain(X) and isinstance(self.intercept_, float) and _is_plain_column(y, X)):
            dtype = floats(X, None if reset else self._states[0].vectors.coef.dtype)
            form = {"accept_sparse": "csr", "order": "C", "dtype": dtype}
            X = validate_data(self, X, **form, reset=reset, ensure_min_samples=least, ensure_all_finite=finite)
            y = self._targets("y", y, X, None if reset else math.prod(_shape(self.intercept_)))
        sample_weight = self._weights("sample_weight", sample_weight, X)
        recipe = self._recipe(X, anew=reset)
        self._refuse_outside(recipe.parts.loss, y, sample_weight)
        return recipe, X, y, sample_weight

    def _refuse_outside(self, loss, y, weight) -> None:
        """Refuse targets of rows that count, if the loss has no value for them."""
        if hasattr(loss, "allows"):
            allowed = loss.allows(_columns(y))
            if not namespace(y).all(allowed if weight is None else allowed | (weight == 0)[:, None]):
                raise ValueError(f"y must be {loss.domain} for loss={self.loss!r}.")

    def _targets(self, name: str, values, X, number: int | None = None) -> np.ndarray:
        """Finite targets, one or more for each row, in X's precision."""
        if values is None:
            raise ValueError(f"{type(self).__name__} requires {name} to be passed, but the target {name} is None.")
        if isinstance(values, Real):
            raise ValueError(f"{name} must have a target for each row; got {values!r}.")
        if sparse.issparse(values):
            raise TypeError(f"{name} is sparse, and must be dense: give {name}.toarray().")
        values = self._numbers(name, values, X)
        check_consistent_length(X, values)
        if number is not None and math.prod(values.shape[1:]) != number and values.shape[0]:
            raise ValueError(f"{name} must have {number} targets for each row, as before; got shape {values.shape}.")
        return values

    def _weights(self, name: str, values, X) -> np.ndarray | None:
        """A weight for each row, not negative, if there are any."""
        if values is None:
            return None
        values = self._column(name, np.full(X.shape[0], values) if isinstance(values, Real) else values, X)
        if bool(namespace(values).any(values < 0)):
            raise ValueError(f"{name} has negative values: a weight must be 0 or more.")
        return values

    def _column(self, name: str, values, X):
        """A finite number for each row, in X's precision, where X is."""
        values = self._numbers(name, values, X)
        if values.shape != (X.shape[0],):
            raise ValueError(f"{name} must have a number for each of the {X.shape[0]} rows; got shape {values.shape}.")
        return values

    def _numbers(self, name: str, values, X):
        """Finite numbers, in X's precision, where X is."""
        if dispatches(values) and type(values) is not type(X):
            values = host(values)
        there, precision = dispatches(values), dtype_of(X)
        dtype = X.dtype if there else np.float64
        values = check_array(values, dtype=dtype, ensure_2d=False, ensure_min_samples=0, input_name=name)
        if there:
            return values
        if precision == np.float32 and np.abs(values).max(initial=0.0) > np.finfo(np.float32).max:
            raise ValueError(f"{name} has values too large for X's precision, float32: give X as float64.")
        return like(np.ascontiguousarray(values, dtype=precision), X)

    def _initial(self, name: str, given, fallback: str | None, targets: tuple, each: tuple = ()) -> Iterable:
        """What each target starts from: parameters given, or those of the last fit; checked."""
        if given is None:
            if fallback is None:
                return repeat(None)
            name, given = f"warm_start=True starts from {fallback}, which", getattr(self, fallback)
        given = host(given) if dispatches(given) else given
        value, shape = np.asarray(given, dtype=np.float64), (*targets, *each)
        if shape == () and value.size == 1:
            value = value.reshape(())
        if value.shape != shape or not np.isfinite(value).all():
            raise ValueError(f"{name} must be finite and of shape {shape}; got shape {value.shape}.")
        return value if targets else [value]

    def _validation(self, X, y, weight, random_state, X_val, y_val, weight_val):
        """Rows to train on, None for all, and a score on others, given or held out, if early stopping wants it."""
        train, given = None, [values is not None for values in (X_val, y_val, weight_val)]
        if any(given):
            if not all(given[:2]):
                raise ValueError("X_val and y_val belong together, and sample_weight_val to them: give both.")
            if not self.early_stopping:
                raise ValueError("X_val and y_val are for early_stopping=True, and it is False.")
            form = {"accept_sparse": "csr", "dtype": floats(X_val, dtype_of(X)), "ensure_min_samples": 2}
            X_val = validate_data(self, X_val, **form, reset=False)
            y_val = self._targets("y_val", y_val, X_val, math.prod(y.shape[1:]))
            weight_val = self._weights("sample_weight_val", weight_val, X_val)
            if weight_val is not None and not namespace(weight_val).any(weight_val != 0):
                raise ValueError("sample_weight_val is zero for each row: nothing to score on.")
        elif self.early_stopping:
            rows = np.arange(X.shape[0]) if weight is None else np.flatnonzero(host(weight != 0))
            train, held = self._split(rows, random_state)
            X_val, y_val = take(X, held), take(y, held)
            weight_val = None if weight is None else take(weight, held)
        else:
            return None, None

        y_val = _columns(y_val)

        def score(target, coef, intercept):
            return float(r2_score(y_val[:, target], self._predict(X_val, coef, intercept), sample_weight=weight_val))

        return train, score

    def _split(self, rows: np.ndarray, random_state):
        """Rows to train on and rows held out, at random."""
        try:
            train, held = train_test_split(rows, test_size=self.validation_fraction, random_state=random_state)
        except ValueError as error:
            raise ValueError(
                f"early_stopping cannot split n_samples={len(rows)} with validation_fraction="
                f"{self.validation_fraction}: give more rows, or another validation_fraction."
            ) from error
        if len(held) < 2:
            raise ValueError(
                f"early_stopping needs at least 2 rows held out; validation_fraction={self.validation_fraction} of "
                f"{len(rows)} rows is less: raise validation_fraction."
            )
        return np.sort(train), held

    def _drain(self, plans, states, shape: tuple, score, deadline: float, tasks: Tasks) -> None:
        """Run epochs until each target, or one consumer for all, has had enough."""
        fits = [
            Fit(
                plan,
                state,
                tol=self.tol,
                patience=self.n_iter_no_change,
                falls=self.learning_rate == "adaptive",
                score=score and partial(score, target),
            )
            for target, (plan, state) in enumerate(zip(plans, states, strict=True))
        ]
        together, reason = epochs([fit.descent for fit in fits]), None
        while not reason:
            try:
                tasks.begin_epoch()
                for fit, (_, epoch) in zip([fit for fit in fits if not fit.reason], next(together), strict=True):
                    if not epoch.finite:
                        self._refuse_not_finite(plans[0].X)
                    fit.end_epoch(epoch)
                longest = max(fits, key=lambda fit: fit.completed.n_epochs)
                if all(fit.reason for fit in fits):
                    reason = longest.reason
                elif monotonic() >= deadline:
                    reason = "time_budget"
                if self.verbose:
                    self._report(fits)
                if tasks.end_epoch(lambda: self._attributes(plans[0], [fit.kept() for fit in fits], shape)):
                    reason = reason or "callback"
                if longest.completed.n_epochs == self.epochs:
                    reason = reason or "epochs"
            except KeyboardInterrupt:
                if not all(fit.completed.n_epochs for fit in fits):
                    raise
                reason = "interrupted"
        states = [fit.end() for fit in fits]
        for fit, state in zip(fits, states, strict=True):
            self._judge(fit, state)
        if reason == "interrupted":
            done = max(state.n_epochs for state in states)
            self._warn(f"Interrupted; the model is that of the epochs completed, {done} of {self.epochs}.")
        self.stop_reason_ = reason
        self.__dict__.pop("validation_scores_", None)
        if score:
            self.validation_scores_ = _mean_curve([fit.stopping.scores for fit in fits])
        self.__dict__.update(self._attributes(plans[0], states, shape))

    def _judge(self, fit: Fit, state: State) -> None:
        """A fit must not end worse than the best constant: the automatic step then answers that, others warn."""
        plan, loss = fit.descent.plan, fit.descent.plan.parts.loss
        if fit.reason == "diverged":
            self._warn(
                f"The descent left the finite range in epoch {state.n_epochs}; the last finite parameters are kept. "
                f"Remedy: {REMEDY}."
            )
            return
        trusted = plan.geometry is None or isinstance(loss, SquaredError)
        if trusted and state.loss_curve[-1] <= fit.baseline:
            return
        if plan.parts.penalty.prox(np.zeros(plan.X.shape[1]), 0.0).any():
            return  # Bounds forbid the constant.
        end = training_loss(loss, plan.data, plan.kept, plan.X, *state.predictor())
        if plan.geometry and end > fit.baseline:
            state.fall_back(best_constant(loss, plan.data, slice(None) if plan.kept is None else plan.kept))
        elif end > fit.baseline * (1 + 1e-6):
            self._warn(
                "The fit ends worse than the best constant prediction on its own training data. "
                f"Remedy: more epochs if the loss still falls (see loss_curve_), else {REMEDY}."
            )

    def _attributes(self, plan, states, shape: tuple) -> dict[str, Any]:
        """States -> attributes, but for what the states tell when asked."""
        coef, intercept = states[0].predictor()
        if shape:
            coef, intercept = map(np.stack, zip(*(state.predictor() for state in states), strict=True))
            intercept = like(intercept, plan.X)
        return {
            "_states": tuple(states),
            "coef_": like(coef, plan.X),
            "intercept_": intercept,
            "batch_size_": plan.batch_size,
        }

    def _report(self, fits: list[Fit]) -> None:
        """One line for an epoch."""
        states = [fit.completed for fit in fits]
        state = _longest(tuple(states))
        loss = fmean(state.losses[state.n_losses - 1] for state in states)
        line = f"{type(self).__name__}: epoch {state.n_epochs:4d}  loss {loss:.6g}  rate {state.rate:.3g}"
        if fits[0].stopping.scores:
            line += f"  validation R² {fmean(fit.stopping.scores[-1] for fit in fits):.4f}"
        print(line, flush=True)

    def _warn(self, message: str) -> None:
        warnings.warn(f"{type(self).__name__}: {message}", ConvergenceWarning, stacklevel=callers_level())

    def __sklearn_is_fitted__(self):
        return hasattr(self, "coef_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        by_row = hasattr(_part(self.optimizer, OPTIMIZERS), "anew") or self.learning_rate in PASSIVE
        tags.array_api_support = not by_row
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = hasattr(_part(self.loss, LOSSES), "allows")
        return tags


@_regressor(batch_size=None)
class BatchGDRegressor(_GDRegressor):
    """Linear regression by full-batch gradient descent: each step follows the exact gradient over all rows.

    Also called classic gradient descent. The order of the rows does not matter; one step costs a pass over the data.

    {parameters}

    See Also
    --------
    MiniBatchSGDRegressor : Steps on batches of rows.
    OnlineSGDRegressor : Steps on single rows.

    References
    ----------
    A.-L. Cauchy, "Méthode générale pour la résolution des systèmes d'équations simultanées", Comptes Rendus 25, 1847.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import BatchGDRegressor
    >>> X, y = np.array([[-1.0], [0.0], [1.0]]), np.array([1.0, 3.0, 5.0])
    >>> model = BatchGDRegressor(learning_rate="constant", eta0=0.5, epochs=1000, tol=None).fit(X, y)
    >>> model.predict([[2.0]]).round(6), model.n_updates_
    (array([7.]), 1000)
    """

    def _check_batch_size(self):
        if self.batch_size is not None:
            raise ValueError(
                f"batch_size must be None for BatchGDRegressor, which takes all rows in each step; got "
                f"{self.batch_size}. Use MiniBatchSGDRegressor(batch_size={self.batch_size})."
            )


@_regressor(batch_size=32)
class MiniBatchSGDRegressor(_GDRegressor):
    """Linear regression by mini-batch stochastic gradient descent: each step follows the mean gradient of a batch.

    A step on B of the N rows costs B/N of a full one, is noisy, but right on average, and there are N/B of them per
    epoch. ``batch_size=1`` is :class:`OnlineSGDRegressor`, ``batch_size=None`` is :class:`BatchGDRegressor`.

    {parameters}

    See Also
    --------
    BatchGDRegressor : Steps on all rows.
    OnlineSGDRegressor : Steps on single rows.

    References
    ----------
    L. Bottou, F. E. Curtis and J. Nocedal, "Optimization methods for large-scale machine learning", SIAM Review 60,
    2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import MiniBatchSGDRegressor
    >>> X = np.arange(8.0).reshape(8, 1) / 8
    >>> model = MiniBatchSGDRegressor(batch_size=2, epochs=3, tol=None, eta0=0.5, random_state=0).fit(X, 2 * X[:, 0])
    >>> model.n_updates_, model.batch_size_
    (12, 2)
    """


@_regressor(batch_size=1)
class OnlineSGDRegressor(_GDRegressor):
    """Linear regression by online stochastic gradient descent: each step follows the gradient of a single row.

    The cheapest step there is, and the one for a stream: `partial_fit` goes on learning from rows as they come.

    {parameters}

    See Also
    --------
    BatchGDRegressor : Steps on all rows.
    MiniBatchSGDRegressor : Steps on batches of rows.

    References
    ----------
    H. Robbins and S. Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22, 1951.

    Examples
    --------
    >>> from sklearn_sgd import OnlineSGDRegressor
    >>> model = OnlineSGDRegressor(learning_rate="constant", eta0=0.5)
    >>> for x, y in [(0.0, 1.0), (1.0, 2.0)] * 50:
    ...     model = model.partial_fit([[x]], [y])
    >>> model.predict([[2.0]]).round(3), model.n_samples_seen_
    (array([3.]), 100)
    """

    def _check_batch_size(self):
        if self.batch_size != 1:
            raise ValueError(
                f"batch_size must be 1 for OnlineSGDRegressor, which takes one row in each step; got "
                f"{self.batch_size}. Use MiniBatchSGDRegressor(batch_size={self.batch_size})."
            )
