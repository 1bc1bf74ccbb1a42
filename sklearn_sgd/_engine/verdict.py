"""How a fit has ended: whether it diverged, is worse than the best constant, or stopped far from the minimum."""

from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from sklearn_sgd._engine.automatic.preconditioner import Preconditioner
from sklearn_sgd._engine.baseline import SAMPLE, constant_loss, constant_sums, is_out_of_range, least_square
from sklearn_sgd._engine.epochs import Descent, one_epoch, quiet
from sklearn_sgd._engine.fit import COMPLETE, Fit
from sklearn_sgd._engine.kinks.jumps import has_link
from sklearn_sgd._engine.objective import loss_of, objective_of, rounding_of_predictions
from sklearn_sgd._engine.order import epoch_order
from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.plan import DOUBLE, Plan
from sklearn_sgd._engine.preparation.outliers import follows_limited_target
from sklearn_sgd._engine.reference import MARGIN
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.traits import allows_zero
from sklearn_sgd._engine.trend import ENOUGH, fall_to_come, latest_falls, rises, slopes_down
from sklearn_sgd._namespace import doubled, dtype_of, host, namespace, take
from sklearn_sgd.losses import AbsoluteError

# What may be wrong with a fit, from the worst on. It left the range of numbers, or its loss grew; it scores badly on
# the validation samples alone; the constant that is better replaces it, on the training samples or on samples left out,
# or does not, since steps were too long, too short, without an effect, or right, but their average is behind them;
# rounding hides the way to the minimum, or that is along narrow directions of many columns, or a bound of the minimum
# is far below, or the losses of all targets but one are lost, or the targets are outside of the range of a link, or the
# losses of all are lost, since they are so small; its loss rises, or falls still when the epochs end, or the minimum is
# far; the average is behind the last steps.
KINDS = (
    *("left", "grew", "unlike", "replaced", "noise", "worse long", "worse short", "worse still", "worse average"),
    *("stalled", "narrow", "above", "lost", "outside", "small", "rises", "falls", "far", "average"),
)

# Distance to the minimum, in units of the tolerance, from which it is far; the same where it is no estimate, since a
# lower objective was found; loss of validation samples, in units of that of the best constant, from which they must
# differ from the training samples.
FAR, FOUND, UNLIKE = 10.0, 3.0, 10.0

# Rows that confirm what the losses of the epochs show: that the last parameters are better than the best constant, or
# near the minimum.
CONFIRM = 2_000

# Rows of a sample for each column, for a trial step. With fewer rows, the step would mostly fit their noise.
ROWS_PER_COLUMN = 100

# Number of trial steps at most. One is not enough where columns are correlated, or where the loss is not quadratic.
STEPS = 10


class Verdict(NamedTuple):
    """What is wrong with a fit: one of `KINDS`, the reason why it ended, its epochs, its first and its last loss."""

    kind: str
    ended: str
    n_epochs: int
    first: float
    last: float

    @property
    def rank(self) -> int:
        """0 for the worst kind."""
        return KINDS.index(self.kind)


def conclude(fit: Fit, ended: str) -> tuple[State, Verdict | None]:
    """The final state of a fit, and its verdict or None. The reason is its own, or else that of all targets.

    An interrupt ends the final steps. The parameters are those found before.
    """
    try:
        state = fit.end(ended)
    except KeyboardInterrupt:
        fit.reason = fit.limit.reason = "interrupted"
        state = fit.end("interrupted", finishes=False)
    plan = fit.descent.plan
    kind, loss = "left" if fit.has_left else None, None
    if not kind:
        loss = predictor_loss(fit, state)
        if loss is not None and not abs(loss) * plan.weight <= plan.largest_loss:
            # The final steps led to parameters without a finite loss. They are undone, as those of an epoch are.
            state, kind, fit.reason = fit.before_last_epoch(state), "left", "diverged"
    ended = fit.reason or ended
    kind = kind or _kind(fit, state, loss, ended)
    if kind in ("replaced", "narrow", "above", "lost", "outside", "small") and ended == "tol":
        ended = fit.reason = "stalled"
    losses = state.loss_curve
    return state, Verdict(kind, ended, state.n_epochs, losses[0], losses[-1]) if kind else None


def predictor_loss(fit: Fit, state: State) -> float | None:
    """The mean loss of the parameters that predict; None if it is known to be at most that of the best constant.

    The losses of the epochs are those of the parameters during the epoch. They are a bound for the last parameters, and
    those of all epochs for an average, as most losses are convex. A sample of the rows must confirm it.
    """
    plan = fit.descent.plan
    if plan.minimum and fit.ending.is_finished:
        return plan.minimum.loss
    is_average, may_be_behind = _predicts_average(fit), fit.progress and _is_compared(fit)
    bound = max(state.loss_curve) if is_average else state.loss_curve[-1]
    if may_be_behind or not bound <= fit.reference.most:
        return loss_of(plan, state)
    if not is_average and plan.preconditioner and not (plan.noise or fit.stopping.score):
        return None  # A step of the automatic kind does not raise the loss.
    if plan.is_remote or plan.n_rows <= CONFIRM:
        return loss_of(plan, state)
    some = _some_rows(plan, CONFIRM)
    constant = constant_loss(plan.parts.loss, plan.data, some, fit.reference.constant)
    is_better = loss_of(plan, state, rows=some) <= constant + MARGIN * abs(constant)
    return None if is_better else loss_of(plan, state)


def _kind(fit: Fit, state: State, loss: float | None, ended: str) -> str | None:
    """The kind of verdict for a fit with finite losses, or None."""
    plan, stopping, losses = fit.descent.plan, fit.stopping, fit.stopping.losses
    if ended == "stalled":
        return "lost" if fit.is_lost_in_rounding else ended
    if ended == "diverged" and not plan.preconditioner:
        return "grew"
    worse = None
    if loss is not None and allows_zero(plan.parts.penalty, plan.X.shape[1]):
        if plan.preconditioner and not plan.preconditioner.diagonal.any():
            # No column varies, so the constant is the minimum.
            if fit.exceeds(fit.reference.loss, state, loss):
                state.finish(np.append(np.zeros(plan.X.shape[1]), fit.reference.constant))
        elif fit.exceeds(fit.reference.most, state, loss):
            worse = "replaced" if plan.preconditioner else f"worse {_direction(fit, loss)}"
    if worse == "replaced":
        state.fall_back(fit.reference.constant)
        return worse
    if fit.worst is not None and _is_unlike(fit, fit.worst):
        return "unlike"
    if worse or ended == "diverged":
        return worse or "grew"
    if _learned_noise(fit):
        state.fall_back(fit.reference.constant)
        return "noise"
    if ended in COMPLETE and _is_out_of_range(fit):
        return "outside"
    if ended in COMPLETE and _is_small(fit):
        return "small"
    if not fit.progress or ended not in COMPLETE:
        return None
    if follows_limited_target(plan, state):
        return "lost"
    if not (stopping.score or fit.ending.is_finished) and rises(losses) and losses[-1] - losses[-2] > fit.progress:
        return "rises"
    if kind := _unfinished(fit, state, ended):
        return kind
    return "average" if _average_is_behind(fit, state, loss, FAR * fit.progress) else None


def _learned_noise(fit: Fit) -> bool:
    """Whether a constant is better than each epoch on rows that were left out."""
    if fit.probe is None or fit.ending.has_moved:
        return False
    return fit.probe.exceeds_constant(fit.stopping.best - fit.progress)


def _is_small(fit: Fit) -> bool:
    """Whether slopes of the loss are so small that their squares are lost below the range of numbers."""
    plan, reference = fit.descent.plan, fit.reference
    loss, formulas = plan.parts.loss, plan.formulas
    # Sums are in double precision, and from them full batches reach the minimum, if slopes grow with residuals.
    least = least_square(dtype_of(plan.X) if formulas.has_bounded_slopes else DOUBLE, formulas.is_quadratic)
    if abs(reference.loss) > least:
        return False
    if constant_sums(loss, plan.data, plan.row_indices, reference.constant)[3] > least:
        return False
    # The squares of the targets, too; slopes of 0 may be right.
    place = 0.0 if hasattr(loss, "link") else reference.constant
    spread = constant_loss(AbsoluteError(), plan.data, plan.row_indices, place)
    return 0.0 < spread <= least**0.5


def _is_out_of_range(fit: Fit) -> bool:
    """Whether the targets are too small or too large for a loss with a link."""
    plan = fit.descent.plan
    loss = plan.parts.loss
    # Targets of a logarithm are not negative.
    return has_link(loss) and is_out_of_range(loss, constant_loss(AbsoluteError(), plan.data, plan.row_indices, 0.0))


def _is_unlike(fit: Fit, worst: float) -> bool:
    """Whether the validation loss was, in some epoch, far above the training loss and the losses of both constants."""
    pairs = zip(fit.stopping.scores, fit.stopping.losses, strict=True)
    return any((1.0 - score) * worst > UNLIKE * max(worst, fit.reference.loss, loss) for score, loss in pairs)


def _average_is_behind(fit: Fit, state: State, loss: float | None, margin: float) -> bool:
    """Whether the last parameters are better by more than a margin than their average, which predicts."""
    return _is_compared(fit) and loss is not None and loss > state.loss_curve[-1] + margin


def _is_compared(fit: Fit) -> bool:
    """Whether the average that predicts is compared with the last parameters."""
    return _predicts_average(fit) and not (fit.stopping.score or fit.probe)


def _predicts_average(fit: Fit) -> bool:
    """Whether an average of the parameters predicts, which no final steps have changed."""
    return fit.descent.plan.average_from > 0 and not fit.ending.is_finished


def _direction(fit: Fit, loss: float) -> str:
    """Whether steps that lead to this loss were too long, too short or without effect, or only their average is bad."""
    losses, is_average = fit.stopping.losses, fit.descent.plan.average_from > 0
    if is_average and losses[-1] <= fit.reference.most:
        return "average"
    # The loss of an average, or of the epoch with the best score, does not continue the curve.
    curve = losses if len(losses) > 1 and (is_average or fit.stopping.score) else [*losses, loss]
    if np.ptp(curve) <= rounding_of_predictions(fit.completed) * np.abs(curve).max():
        return "still"
    return "short" if (np.diff(curve[-3:]) < 0.0).all() else "long"


def _unfinished(fit: Fit, state: State, ended: str) -> str | None:
    """ "falls" if each of the last epochs improved by more than ``tol``, "far" if far more improvement is possible."""
    stopping, plan, ending = fit.stopping, fit.descent.plan, fit.ending
    values, noise, margin = stopping.values, plan.noise, stopping.margin or 0.0
    falls = latest_falls(values, noise)
    fast = ended == "epochs" and len(falls) > 0 and bool(falls[-1] > margin)
    if ending.least < np.inf and objective_of(plan, state) - ending.least > FOUND * fit.progress:
        return "falls" if fast else "far"  # A search that was given up came nearer, or another one would.
    if -np.inf < ending.bound < objective_of(plan, state) - fit.progress:
        return "above"
    if ending.narrow_gain > FAR * fit.progress:
        return "narrow"
    if ending.has_moved:
        # The losses of the epochs do not show what is missing from here.
        return "far" if not ending.is_there and is_far(fit, state, plan.used) else None
    if ending.is_finished:
        return None  # The minimum is known, and was reached.
    if ending.last_gain is not None and ending.last_gain > FAR * fit.progress:
        return "far"  # The full batches at the end still fall.
    if ended == "epochs" and not noise and len(values) >= 4:
        # Full batches of a loss with kinks may zigzag, and fall.
        fast = fast or min(values[-4:-2]) - min(values[-2:]) > 2.0 * margin
    if fit.probe:
        return "falls" if fast else None  # Further progress on the training rows is not expected on new rows.
    if not _has_far_to_go(fit, state, ended, fast):
        return None
    return "falls" if fast else "far"


def _has_far_to_go(fit: Fit, state: State, ended: str, fast: bool) -> bool:
    """Whether far more improvement is possible, by the progress of the epochs or by further steps."""
    stopping, plan = fit.stopping, fit.descent.plan
    values, noise, margin = stopping.values, plan.noise, stopping.margin or 0.0
    # An adaptive rate that has become small makes small steps, so the steps before are extrapolated.
    early = values[: stopping.n_at_first_rate or None]
    before = latest_falls(early, noise)
    known = fast or fall_to_come(before) - (early[-1] - values[-1]) > FAR * margin
    # Without noise, the gain of more steps is missing, unless validation samples ended the fit.
    exact = not stopping.score and (not noise or plan.remembers or (stopping.n_at_first_rate > 0 and ended == "tol"))
    trend = known or exact or len(before) >= ENOUGH or slopes_down(early)
    # The noise of batches hides slow progress; without it, the mean of an epoch shows what is missing.
    hides = plan.shuffles and not (trend or plan.preconditioner or stopping.score)
    some = _some_rows(plan, max(CONFIRM if hides else SAMPLE, ROWS_PER_COLUMN * plan.X.shape[1]))
    if not (trend or hides) or loss_of(plan, state, rows=some, rounding=rounding_of_predictions(state)) <= fit.progress:
        return False  # No loss is below 0.
    # The losses of an averaged descent fall as its noise falls, and losses with other noise may fall by chance.
    known = known and not (plan.preconditioner and noise)
    cost = 0.0
    if hides:
        if not is_far(fit, state, some):
            return False
        state = _mean_of_an_epoch(fit, len(some))
        cost = (plan.X.shape[1] + 1) / len(some) * abs(stopping.losses[-1])
    # A step on some rows gains from their noise, too, or from the absence of one that counts: all have the last word.
    rows = (some, plan.used) if len(some) < plan.n_rows else (some,)
    return known or all(is_far(fit, state, each, cost) for each in rows)


def _mean_of_an_epoch(fit: Fit, n_rows: int) -> State:
    """The mean of the parameters in one more epoch, of at most so many rows, which the fit does not keep.

    At any rate, the noise of steps costs it about a share of their losses: the number of columns over that of rows.
    """
    state = fit.completed.fork()
    state.generator = deepcopy(state.generator)
    state.n_updates = fit.earlier.n_updates  # The rates of the last epoch: a schedule may have no others.
    plan = fit.descent.plan._replace(average_from=state.n_updates + 1, part=n_rows)
    with quiet():
        one_epoch([Descent(plan, state)], epoch_order(plan, plan.used.copy(), state.generator))
    return state


def is_far(fit: Fit, state: State, some: Any, noise: float = 0.0) -> bool:
    """Whether a few more steps lower the objective on some rows by ten times ``tol``: the minimum is lower still.

    ``noise`` is what the noise of the parameters costs, which does not count. The steps have the preconditioner of
    the plan, or else inverse curvatures of single columns. Secants give their lengths.
    """
    plan, penalty, state = fit.descent.plan, fit.descent.plan.parts.penalty, state.fork()
    state.recentre(fit.descent.state.centre)  # On the device of the rows of the plan.
    rows = all_rows(plan._replace(n_rows=len(some)))(plan.data, some, plan.parts.loss)
    mean, variance = (0.0, np.empty(0)) if plan.preconditioner else _spread(plan)

    def objective(at: np.ndarray) -> tuple[float, np.ndarray, float]:
        losses, squares, g = rows.gradient(at.astype(state.vectors.average.dtype))
        g[:-1] += penalty.gradient(at[:-1])
        return losses / len(some) + plan.penalty_value(at), g, losses / max(squares, 1e-300)

    w = state.vectors.average
    before, g, length = objective(w)
    missing = FAR * fit.progress + noise
    # Early stopping ends before the minimum, to which many steps lead. Those of the automatic kind are like its own.
    for left in range(1 if fit.stopping.score or plan.preconditioner else STEPS, 0, -1):
        preconditioner = plan.preconditioner or _inverse(variance, 2.0 * length * penalty.gradient(np.ones(len(w) - 1)))
        d = preconditioner.apply(g[:-1] - mean * g[-1])
        d = 2.0 * length * np.append(d, g[-1] - np.sum(mean * d))
        bend = d @ (g - objective(w - d)[1])
        if not bend > 0.0:
            return False
        part = d @ g / bend
        w = w - part * d
        if not preconditioner.is_full:
            w[:-1] = penalty.prox(w[:-1], 2.0 * length * part * preconditioner.diagonal, ...)
        last, (before, g, length) = before, objective(w)
        gain = last - before
        if gain > missing:
            return True
        if not gain * left > missing:
            return False  # Further steps gain less.
        missing -= gain
    return False


def _spread(plan: Plan) -> tuple[Any, np.ndarray]:
    """Means of the columns of some rows, and their variances; 0 and 1 for remote rows."""
    if plan.is_remote:
        return 0.0, np.ones(plan.X.shape[1])
    some = _some_rows(plan, SAMPLE if issparse(plan.X) else CONFIRM)
    X, bias = doubled(take(plan.X, some)), float(plan.data.rows.bias)
    if issparse(X):
        mean, squares = (np.asarray(each.mean(axis=0)).ravel() for each in (X, X.multiply(X)))
        return mean * bias, squares - bias * mean * mean
    xp = namespace(X)
    mean = xp.mean(X, axis=0) * bias
    return host(mean), host(xp.mean((X - mean) ** 2, axis=0))


def _inverse(variance: np.ndarray, pull: np.ndarray) -> Preconditioner:
    """The inverse of variances and of the pull of a penalty beside them; 0 for columns that do not vary."""
    curvature = variance + np.maximum(pull, 0.0)
    return Preconditioner(np.divide(1.0, curvature, out=np.zeros_like(variance), where=variance > 0.0))


def _some_rows(plan: Plan, number: int) -> Any:
    """About so many row numbers, evenly spaced; all of them for remote rows."""
    return plan.used if plan.is_remote else np.ascontiguousarray(plan.used[:: -(-plan.n_rows // number)])
