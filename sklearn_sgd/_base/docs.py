"""Documentation that the three regressors share."""

from textwrap import indent
from typing import TypeVar

from sklearn_sgd.losses import LOSSES
from sklearn_sgd.optimizers import OPTIMIZERS

DOCS = "https://sklearn-sgd.readthedocs.io/en/stable/"

MODEL_PARAMETERS = """\
loss : {losses} or instance, default='squared_error'
    The loss of one sample, by name or as an instance of a class of :mod:`sklearn_sgd.losses`. 'poisson', 'gamma' and
    'tweedie' have the log link: `predict` returns ``exp(X @ coef_ + intercept_)``. `score` is R² with every loss;
    :class:`~sklearn.linear_model.PoissonRegressor` scores by D², which is :func:`sklearn.metrics.d2_tweedie_score`.
penalty : {'l2', 'l1', 'elasticnet'}, instance or None, default=None
    The penalty on the coefficients, by name or as an instance of a class of :mod:`sklearn_sgd.penalties`, such as
    bounds (`Box`). The intercept is not penalised. The penalty means the same at every batch size.
alpha : float, default=1e-4
    The strength of the penalty. The objective is the weighted mean loss plus ``alpha * l1_ratio * |w|_1 +
    alpha * (1 - l1_ratio) / 2 * |w|_2^2``.
l1_ratio : float or None, default=0.15
    The share of the L1 norm in the penalty 'elasticnet', between 0 and 1. None is allowed with other penalties.
positive : bool, default=False
    If True, coefficients are not negative.
fit_intercept : bool, default=True
    If True, an intercept is fitted. If False, it is 0.
"""

TRAINING_PARAMETERS = """\
epochs : int, default=100
    The maximum number of passes of `fit` over the samples.
shuffle : bool or 'batches', default=True
    If True, the samples are in a new random order in each epoch. If 'batches', only the order of contiguous batches is
    random (for ``batch_size=1``, of contiguous runs of up to 256 samples). This reads memory in order, which is faster
    for arrays larger than the processor's cache, or on disk. If False, the samples keep their order.
drop_last : bool, default=False
    If True, a last batch of fewer than `batch_size` samples is left out. If False, its step is the mean over its own
    samples.
learning_rate : {'auto', 'constant', 'invscaling', 'optimal', 'adaptive', 'pa1', 'pa2'} or callable, default='auto'
    The learning rate of update t = 1, 2, ...

    - 'auto': the automatic step. It is preconditioned by the covariances of the features, so the units and correlations
      of the features do not matter. Its length follows from the batch size and the number of features, and no step
      raises the objective of its own batch. It is not the gradient descent of a textbook.
    - 'constant': ``eta0``.
    - 'invscaling': ``eta0 / t**power_t``.
    - 'optimal': ``1 / (alpha * (t0 + t - 1))``, with SGDRegressor's choice of t0.
    - 'adaptive': ``eta0``, divided by 5 whenever `n_iter_no_change` epochs made no progress.
    - 'pa1', 'pa2': ``min(eta0, l / q)`` and ``l / (q + 1 / (2 * eta0))``, with the loss l of a sample and its squared
      length q (passive-aggressive). For single samples and the loss 'epsilon_insensitive'.
    - callable: a function from the numbers of updates (ndarray) to their learning rates.

    All but 'auto' are plain gradient descent, and need scaled features.
eta0 : float, default=0.01
    The learning rate of the first update, for all but 'auto' and 'optimal'.
power_t : float, default=0.25
    The exponent of 'invscaling'.
optimizer : {optimizers} or instance, default='sgd'
    How a step is made from a gradient, by name (with torch's defaults) or as an instance of a class of
    :mod:`sklearn_sgd.optimizers`. 'svrg' and 'saga' are for `fit` and smooth losses, and converge to the minimum. All
    others but 'sgd' need a `learning_rate` other than 'auto', which determines the whole step.
average : 'auto', bool or int, default='auto'
    Whether `predict` uses an average of the parameters.

    - True: the mean of the parameters after each update (Polyak-Ruppert averaging), and nothing else.
    - int: the same, from that update on.
    - 'auto': with ``learning_rate='auto'`` and batches of less than all samples, a mean in which later updates count
      more, and final steps from there. `fit` ends with steps on all samples where these are known to lead to the
      minimum. `partial_fit` predicts with the minimum of the objective on all samples seen, or an approximation of it,
      which follow from sums over them; for losses other than the squared error with the mean after a `fit`, with more
      than 400 features (with several targets fewer), and with L1 or bounds. Otherwise as False.
    - False: the parameters after the last update.
tol : float or None, default=1e-3
    The tolerance for stopping. An epoch is progress if it lowers the objective below the best one so far by `tol` times
    the loss of the best constant prediction, so `tol` has no units. With ``learning_rate='auto'`` `fit` also stops when
    the distance to the minimum is known to be less than a tenth of that, and after one epoch by batches if final steps
    lead to the minimum from anywhere, as with the squared error. On sparse samples of more than 400 features, without a
    penalty, the automatic step stops when the loss that is expected on new samples makes no more progress (see the user
    guide). If None, all epochs are run.
n_iter_no_change : int, default=5
    The number of epochs without progress after which `fit` stops. It has no effect where the loss expected on new
    samples decides.
early_stopping : bool, default=False
    If True, progress is measured by the score on validation samples, in units of `tol`, and the best parameters are
    kept. The score is D²: 1 less the loss over that of the best constant prediction, which is R² for the squared error.
    The validation samples are those given to `fit` as `X_val`, or else a random part of X. The automatic step omits its
    final steps to the minimum, which may have another score; the best of a few epochs may be far above it.
validation_fraction : float, default=0.1
    The share of the samples that `early_stopping` holds out, at random, if `fit` is given no `X_val`.
time_budget : float or None, default=None
    The number of seconds from the start of `fit` after which no epoch begins; the running one is completed. Newton
    steps after the epochs, as for losses with kinks, end then, too, at the best parameters so far. If None, there is no
    limit.
epsilon : float, default=0.1
    The width, in units of y, of the losses 'huber', 'epsilon_insensitive' and 'squared_epsilon_insensitive'.
quantile : float, default=0.5
    The share of targets below the prediction, for the loss 'quantile', or the asymmetry of 'expectile'; between 0 and
    1.
half_life : float or None, default=None
    The number of samples of a stream after which a sample counts half, for `partial_fit` on data that drift. The
    statistics of the features forget old samples at that rate, and the steps, and the weights of new parameters in the
    average, stay large enough to follow the drift. If None, all samples count the same.
inference : bool, default=False
    If True, `fit` and `partial_fit` keep what robust standard errors need, so that
    :func:`~sklearn_sgd.inference.coefficient_table` needs no samples. This takes the square of the number of features,
    at most 400, in memory and in work for each sample. Streams of other losses than the squared error keep a part of it
    anyway, where they predict with the minimum: see `average`.
warm_start : bool, default=False
    If True, `fit` starts from `coef_` and `intercept_` of the last fit. The count of updates starts at 0.
random_state : int, RandomState instance or None, default=None
    The seed of the shuffling and of the split for `early_stopping`. Pass an int for the same bits in each call.
verbose : int, default=0
    If 1, a line is printed for each epoch.
"""

ATTRIBUTES = """\
coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    Coefficients that `predict` uses: see `average`. They have X's precision, and two dimensions if y has.
intercept_ : float or ndarray of shape (n_targets,)
    Intercept.
n_features_in_ : int
    Number of features of X.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features, if X has names that are all strings.
n_iter_ : int
    Number of epochs: those of `fit`, the passes of `fit_stream` over its source, and each other call of `partial_fit`.
    A single epoch before final steps may have a part of the samples only, see `n_updates_`.
    For several targets: this value, the counts and the reason below are those of the target that ran most epochs.
n_updates_ : int
    Number of updates.
n_samples_seen_ : int
    Number of samples that updates used, counted once per epoch.
n_readings_ : float
    How often `fit` read each sample of X, on average: in epochs, for the preconditioner, for the loss expected on new
    samples, and in final steps, for each of several targets. The check of the input and copies are not counted, nor are
    small full batches that stay in the cache during a line search. Only after `fit`: `partial_fit` reads its samples
    once. Of a Dask collection it is the number of passes of the workers over their chunks.
batch_size_ : int
    Samples per update: `batch_size`, or the number of samples if that is less.
learning_rate_ : float
    Learning rate of the last update.
loss_curve_ : list of float
    Mean loss of each epoch of `fit`, and of each call of `partial_fit`, so of each chunk of a stream. The loss of each
    sample is taken before its own update. All epochs of `fit` are kept, and at least the last 10,000 calls of
    `partial_fit`. For several targets: the mean over the targets, where a target that has stopped keeps its last loss.
validation_scores_ : list of float
    D² on the validation samples after each epoch, by the loss of the regressor (R² for the squared error); only with
    `early_stopping`. Where all their targets are the same: 1 minus the loss over that after the first epoch.
stop_reason_ : {'epochs', 'tol', 'stalled', 'early_stopping', 'time_budget', 'callback', 'interrupted', 'diverged'}
    Why `fit` stopped; only after `fit`. 'tol': the progress of an epoch, or the distance to the minimum where it is
    known, is below `tol`, or final steps lead to the minimum from anywhere; 'stalled': there was no progress, though
    the minimum is known to be farther away, or the best constant prediction was better.
prequential_loss_ : float
    Mean loss of samples that were each predicted first, and then learned.
recent_loss_ : float
    The same over about the last 1000 samples: older ones fade as ``exp(-samples since / 1000)``, those of one call
    together.
"""

Class = TypeVar("Class", bound=type)


def _options(table: dict) -> str:
    """Return the names of a table as numpydoc writes a set of values."""
    return f"{{{', '.join(map(repr, table))}}}"


def with_shared_docs(cls: Class) -> Class:
    """Fill in the documentation of a class: shared parameters before and after ``batch_size``, and attributes."""
    texts = {
        "{model_parameters}": MODEL_PARAMETERS.replace("{losses}", _options(LOSSES)),
        "{training_parameters}": TRAINING_PARAMETERS.replace("{optimizers}", _options(OPTIMIZERS)),
        "{attributes}": ATTRIBUTES,
    }
    for name, text in texts.items():
        cls.__doc__ = cls.__doc__ and cls.__doc__.replace(f"    {name}", indent(text.strip(), "    "))
    return cls
