"""The warnings of fits, with remedies that depend on the losses."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd._engine.resolve import Recipe
from sklearn_sgd._engine.streams.watch import Watch, number_of_small_targets, number_out_of_range, watched
from sklearn_sgd._engine.verdict import Verdict
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd.optimizers import SGD

WORSE = "The fit ends worse than the best constant prediction on its own training data"
LATER = (
    "Remedy: more epochs, average='auto', or as average the number of a later update, after which the average starts."
)

STREAM = "After {n_samples} samples the stream predicts worse than the best constant. "
SHUFFLED = (
    "Remedy: more samples, in random order, fit instead of partial_fit, or features and targets without extreme values."
)

SORTED = (
    "After {n_samples} samples early ones lead to other coefficients than late ones, so that these may be far from the "
    "minimum on all samples. Remedy: samples in random order, fit instead of partial_fit, or a half_life."
)

HIDDEN = (
    "X has features so far from 0 that the steps of a stream without intercept do not see their spread. Remedy: "
    "fit_intercept=True, features less their means, or fit instead of partial_fit."
)

CONSTANT = (
    "y_val is the same for all samples, so that D² is not defined: validation_scores_ compares with the loss after the "
    "first epoch. Remedy: X_val and y_val with different targets."
)

LOST = (
    "a call in another thread has ended during this call of partial_fit, and what it has learned is lost. Remedy: one "
    "call at a time, for example inside a threading.Lock."
)

# The message for each kind of verdict. The remedies depend on the estimator and the verdict.
MESSAGES = {
    "left": "The descent left the finite range in epoch {n_epochs}; the last finite parameters are kept. {shorter}",
    "grew": "The steps are too long: in {n_epochs} epochs the loss rose from {first:.3g} to {last:.3g}. {shorter}",
    "unlike": (
        "The loss of the validation samples is far above that of the best constant prediction of their targets, unlike "
        "that of the training samples. Remedy: X_val transformed as X is, in a Pipeline by transform_input=['X_val']."
    ),
    "replaced": (
        "The automatic step ended worse than the best constant prediction on its own training data, and is replaced by "
        "it. Remedy: more epochs, a larger batch_size, or features and targets without extreme values."
    ),
    "noise": (
        "No epoch predicted samples that were left out better than the best constant prediction, which is kept: the "
        "rest seems to be noise. Remedy: more samples, a penalty, or other features."
    ),
    "worse long": WORSE + ", and its loss does not fall. {shorter}",
    "worse short": WORSE + ", but its loss still falls. {longer}",
    "worse still": (
        WORSE + ", and its loss does not change. {longer} If the coefficients change, the steps are too long instead."
    ),
    "worse average": WORSE + ", unlike its last updates: the average includes early updates, too. " + LATER,
    "average": "The average, which predict uses, is worse than the last updates: it includes early updates, too. "
    + LATER,
    "stalled": (
        "The minimum was not reached: features of X are so nearly linear combinations of each other that rounding "
        "hides the remaining direction, or that it is less than 1e-5 of their spread, by which new samples cannot be "
        "predicted safely. Remedy: leave out such features, or penalty='l2'."
    ),
    "narrow": (
        "The minimum was not reached: some features are nearly linear combinations of others, and {what} falls slowly "
        "along their differences where there are more than 400 features. Remedy: leave out such features, a larger "
        "penalty='l2', or a smaller tol and more epochs."
    ),
    "above": (
        "The minimum was not reached: the steps to the minimum of a loss with kinks have ended, and {what} may exceed "
        "it by more than tol. Remedy: leave out features that are nearly linear combinations of others, or a larger "
        "penalty='l2'."
    ),
    "lost": (
        "The minimum was not reached: a target is so far from the others that their losses are lost in the rounding of "
        "its own. Remedy: leave out such samples, or clip y."
    ),
    "outside": (
        "The minimum was not reached: the targets are too small or too large for a loss with the logarithm as a link. "
        "Remedy: y in another unit, such as y / y.mean(); coefficients are the same, but for the intercept."
    ),
    "small": (
        "The minimum was not reached: the targets are so small that the squares of the slopes of their losses are "
        "below the range of numbers. Remedy: y in another unit, in which its numbers are larger, or X and y in float64 "
        "if they are in float32."
    ),
    "rises": "The steps are too long: the loss rises, in the last epoch by more than tol. {shorter}",
    "falls": "All {n_epochs} epochs were run, while {what} still improved by more than tol. {longer}",
    "far": "An epoch improves {what} by less than tol, but the minimum is far. {longer}",
}


def warn(estimator: Any, message: str) -> None:
    """Give a ConvergenceWarning that names the class and points to the user's line."""
    warnings.warn(f"{type(estimator).__name__}: {message}", ConvergenceWarning, stacklevel=user_stacklevel())


class RaisedByWatch(ConvergenceWarning):
    """A warning of `watch`, where a filter makes an error of it."""


@contextmanager
def repeatable(estimator: Any) -> Iterator[None]:
    """Let a call that failed with the warning of `watch` pass when it is repeated, so that a stream can go on."""
    try:
        yield
    except RaisedByWatch:
        estimator._has_warned = True
        raise


def _warn_once(estimator: Any, message: str) -> None:
    try:
        warn(estimator, message)
    except ConvergenceWarning as raised:
        raise RaisedByWatch(*raised.args) from None


def watch(estimator: Any, model: Any, recipe: Recipe, X: Any, y: Any, weight: Any) -> Any:
    """Return the fitted model after a call of a stream, and warn if it predicts worse than the best constant."""
    state, before = model.progress[0], model.watch
    if estimator._has_warned:
        before = (before or Watch.start(state.n_samples - X.shape[0]))._replace(warned=True)
    if before is None and X.shape[0] and (small := number_of_small_targets(recipe, state, X, y)):
        _warn_once(estimator, _of_targets(small, model) + MESSAGES["small"])
    if before is None and X.shape[0] and (outside := number_out_of_range(recipe, y)):
        _warn_once(estimator, _of_targets(outside, model) + MESSAGES["outside"])
    predict, chunk = partial(model.predict, raw=True), (X, y, weight)
    known, worse = watched(before, recipe, model.progress, model.scores, predict, chunk)
    if worse.than_constant:
        message = _of_targets(worse.than_constant, model) + STREAM.format(n_samples=state.n_samples)
        remedy = shorter_steps(estimator) if worse.than_start else longer_steps(estimator, "more samples")
        _warn_once(estimator, message + (SHUFFLED if recipe.automatic else remedy))
    elif worse.is_hidden:
        _warn_once(estimator, HIDDEN)
    elif worse.n_sorted:
        _warn_once(estimator, _of_targets(worse.n_sorted, model) + SORTED.format(n_samples=state.n_samples))
    vars(estimator).pop("_has_warned", None)
    return model.replace(watch=known)


def warn_of_lost_call(estimator: Any) -> None:
    """Warn that a call in another thread has ended during this one."""
    warnings.warn(f"{type(estimator).__name__}: {LOST}", RuntimeWarning, stacklevel=user_stacklevel())


def _of_targets(number: int, model: Any) -> str:
    """Return how many of several targets a message is about."""
    return f"{number} of {len(model.progress)} targets: " if model.shape else ""


def report_verdicts(estimator: Any, verdicts: Sequence[Verdict | None]) -> None:
    """Give one warning for the fits of all targets: that of the worst verdict, if there is one."""
    found = [verdict for verdict in verdicts if verdict]
    if not found:
        return
    worst = min(found, key=lambda verdict: verdict.rank)
    message = MESSAGES[worst.kind].format(
        **worst._asdict(),
        shorter=shorter_steps(estimator),
        longer=longer_steps(estimator, "more epochs" if worst.ended == "epochs" else "a smaller tol and more epochs"),
        what="the validation score" if estimator.early_stopping else "the objective",
    )
    if len(verdicts) > 1:
        number = sum(verdict.kind == worst.kind for verdict in found)
        message = f"{number} of {len(verdicts)} targets: {message}"
    warn(estimator, message)


def shorter_steps(estimator: Any) -> str:
    """Return the remedy for steps that are too long."""
    if estimator.learning_rate == "auto":
        return "Remedy: features and targets without extreme values, or in float64 if they are in float32."
    return f"Remedy: {_automatic(estimator)}, or {_rates(estimator, 'smaller')} and features scaled by StandardScaler."


def longer_steps(estimator: Any, more: str) -> str:
    """Return the remedy for a descent that has not arrived yet, besides longer steps."""
    if estimator.learning_rate == "auto":
        final_steps = "" if getattr(estimator, "average", "auto") == "auto" else "average='auto', or "
        return f"Remedy: {final_steps}{more}."
    rates = _rates(estimator, "larger")
    return f"Remedy: {_automatic(estimator)}, {more}, or {rates} and features scaled by StandardScaler."


def _automatic(estimator: Any) -> str:
    """Return the parameters of the automatic step."""
    plain = estimator.optimizer == "sgd" or type(estimator.optimizer) is SGD
    return "learning_rate='auto'" if plain else "learning_rate='auto' with optimizer='sgd'"


def _rates(estimator: Any, size: str) -> str:
    """Return the change of a parameter that makes the rates of a schedule larger or smaller."""
    if estimator.learning_rate == "optimal":
        return "a larger alpha" if size == "smaller" else "a smaller alpha"
    return f"{size} rates of the schedule" if callable(estimator.learning_rate) else f"a {size} eta0"
