"""Documentation that the three regressors share."""

from textwrap import indent
from typing import TypeVar

from sklearn_sgd.losses import LOSSES
from sklearn_sgd.optimizers import OPTIMIZERS

DOCS = "https://sklearn-sgd.readthedocs.io/en/stable/"

MODEL_PARAMETERS = """\
loss : {losses} or instance, default='squared_error'
    Loss of one sample, by name or as an instance of a class of :mod:`sklearn_sgd.losses`. 'poisson', 'gamma' and
    'tweedie' have the log link: `predict` returns ``exp(X @ coef_ + intercept_)``. `score` is R² with every loss;
    :class:`~sklearn.linear_model.PoissonRegressor` scores by D², which is :func:`sklearn.metrics.d2_tweedie_score`.
penalty : {'l2', 'l1', 'elasticnet'}, instance or None, default=None
    Penalty on the coefficients, by name or as an instance of a class of :mod:`sklearn_sgd.penalties`, such as bounds
    (`Box`). The intercept is not penalised. The penalty means the same at every batch size.
alpha : float, default=1e-4
    Strength of the penalty: the objective is the weighted mean loss plus ``alpha * l1_ratio * |w|_1 +
    alpha * (1 - l1_ratio) / 2 * |w|_2^2``.
l1_ratio : float or None, default=0.15
    Share of the L1 norm in penalty 'elasticnet', between 0 and 1; None where it is not needed.
positive : bool, default=False
    Whether coefficients must not be negative.
fit_intercept : bool, default=True
    Whether to learn an intercept; it is 0 if not.
"""

TRAINING_PARAMETERS = """\
epochs : int, default=100
    Maximum number of passes of `fit` over the samples.
shuffle : bool or 'batches', default=True
    True: the samples are in a new random order in each epoch. 'batches': only the order of contiguous batches is random
    (for ``batch_size=1``: of contiguous runs of up to 256 samples), which reads memory in order: the fast way for
    arrays larger than the processor's cache, or on disk. False: the samples keep their order.
drop_last : bool, default=False
    Whether a last batch of fewer than `batch_size` samples is left out, instead of being a step on the mean of its
    samples.
learning_rate : {'auto', 'constant', 'invscaling', 'optimal', 'adaptive', 'pa1', 'pa2'} or callable, default='auto'
    'auto': nothing to tune. Steps are taken in the coordinates in which the features are uncorrelated and of variance
    1, so neither the units nor the correlations of the features matter. The length of a step follows from the batch
    size and the number of features, and no step raises the loss of its own batch. The others are plain gradient descent
    with the rate of update t = 1, 2, ...: 'constant': ``eta0``; 'invscaling': ``eta0 / t**power_t``; 'optimal':
    ``1 / (alpha * (t + t0))`` with SGDRegressor's choice of t0; 'adaptive': ``eta0``, divided by 5 whenever
    `n_iter_no_change` epochs brought no progress; 'pa1', 'pa2' (passive-aggressive): for single samples and the loss
    'epsilon_insensitive', ``min(eta0, l / q)`` and ``l / (q + 1 / (2 * eta0))`` with the loss l of the sample and its
    squared length q. A callable maps the numbers of updates (ndarray) to their learning rates.
eta0 : float, default=0.01
    Rate of the first update, for all but 'auto' and 'optimal'.
power_t : float, default=0.25
    Exponent of 'invscaling'.
optimizer : {optimizers} or instance, default='sgd'
    How a step is made from a gradient, by name (with torch's defaults) or as an instance of a class of
    :mod:`sklearn_sgd.optimizers`. 'svrg' and 'saga' are for `fit`, on smooth losses, and reach the minimum itself. All
    others but 'sgd' need a `learning_rate` other than 'auto', which determines the whole step.
average : 'auto', bool or int, default='auto'
    Whether `coef_` is the mean of the parameters after each update (Polyak-Ruppert averaging), and nothing else; an
    int: from that update on. 'auto': with ``learning_rate='auto'`` and batches of less than all samples a mean in which
    later updates count more, and final steps from there: `fit` ends with steps on all samples where these are known to
    lead to the minimum, and `partial_fit` with the squared error predicts with the minimum of the objective on all
    samples seen, which follows from their moments. False otherwise.
tol : float or None, default=1e-3
    An epoch is progress when it lowers the objective below the best one so far by `tol` times the loss of the best
    constant prediction, so `tol` has no units. With ``learning_rate='auto'`` and the squared error `fit` also stops
    when the distance to the minimum is known to be less than a tenth of that. On sparse samples of more than 400
    features, without a penalty, the automatic step stops when the loss that is expected on new samples makes no more
    progress (see the user guide). None: run all epochs.
n_iter_no_change : int, default=5
    Epochs without progress after which `fit` stops; one, where it looks at the loss expected on new samples.
early_stopping : bool, default=False
    Whether progress is measured by the score on validation samples, in units of `tol`; the best parameters are kept.
    The score is D²: 1 less the loss over that of the best constant prediction, which is R² for the squared error. The
    validation samples are those given to `fit` as `X_val`, else a random part of X.
validation_fraction : float, default=0.1
    Share of the samples that `early_stopping` holds out, at random, if `fit` is given no `X_val`.
time_budget : float or None, default=None
    Seconds from the start of `fit` after which no epoch begins; the running one is completed. None: no limit.
epsilon : float, default=0.1
    Width, in units of y, of the losses 'huber', 'epsilon_insensitive' and 'squared_epsilon_insensitive'.
quantile : float, default=0.5
    Share of targets below the prediction, for the loss 'quantile', or asymmetry of 'expectile'; between 0 and 1.
half_life : float or None, default=None
    Number of samples of a stream after which a sample counts half: for `partial_fit` on data that drift. The statistics
    of the features fade at that pace, and the automatic step and the average do not fall below what it requires.
    None: never forget.
inference : bool, default=False
    Whether `fit` and `partial_fit` keep what robust standard errors are made of, so that
    :func:`~sklearn_sgd.inference.coefficient_table` needs no rows: the square of the number of features, up to 400 of
    them, and as much work for each row. `partial_fit` with a loss other than the squared error, and
    ``learning_rate='auto'``, then predicts with the minimum of the objective on all samples seen.
warm_start : bool, default=False
    Whether `fit` starts from `coef_` and `intercept_` of the last fit. The count of updates starts anew.
random_state : int, RandomState instance or None, default=None
    Seed of the shuffling and of the split for `early_stopping`. The same int gives the same bits.
verbose : int, default=0
    1: print a line for each epoch.
"""

ATTRIBUTES = """\
coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
    Coefficients that `predict` uses: see `average`. In X's precision. Of two dimensions if y is.
intercept_ : float or ndarray of shape (n_targets,)
    Intercept.
n_features_in_ : int
    Number of features of X.
feature_names_in_ : ndarray of shape (`n_features_in_`,)
    Names of the features, if X has names that are all strings.
n_iter_ : int
    Epochs run: those of `fit`, the passes of `fit_stream` over its source, and each other call of `partial_fit`.
    Several targets are fitted each as if it were alone, on the same shuffled samples: this value, the counts and the
    reason below are those of the target that ran most epochs.
n_updates_ : int
    Updates made.
n_samples_seen_ : int
    Samples that updates used, counted once per epoch.
batch_size_ : int
    Samples per update: `batch_size`, or the number of samples if that is less.
learning_rate_ : float
    Rate of the last update.
loss_curve_ : list of float
    Mean loss of each epoch of `fit`, and of each call of `partial_fit`, thus of each chunk of a stream. The loss of
    each sample is taken before its own update. Of many calls the last 10,000 are kept, or some more; of `fit` all
    epochs are. For several targets: the mean over the targets, where a target that has stopped keeps its last loss.
validation_scores_ : list of float
    D² on the validation samples after each epoch, by the loss of the regressor (R² for the squared error); only with
    `early_stopping`.
stop_reason_ : {'epochs', 'tol', 'stalled', 'early_stopping', 'time_budget', 'callback', 'interrupted', 'diverged'}
    Why `fit` stopped; only after `fit`. 'tol': the progress of an epoch, or the distance to the minimum where it is
    known, is below `tol`; 'stalled': there was no progress, though the minimum is known to be farther away.
prequential_loss_ : float
    Mean loss of samples at first sight, each taken before the sample was learned (test, then train).
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
