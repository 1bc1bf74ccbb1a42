"""The epochs of `fit`: when they end, what is printed, and the comparison with a constant at the end."""

import math
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import partial
from statistics import fmean
from time import monotonic
from typing import Any, NamedTuple, Self

import numpy as np

from sklearn_sgd._base.callbacks import Tasks
from sklearn_sgd._base.fitted import longest, mean_curve, predict_linear
from sklearn_sgd._base.reports import report_verdicts, shorter_steps, warn
from sklearn_sgd._base.validation import as_columns, refuse_not_finite
from sklearn_sgd._engine.baseline import constant_of, sum_of_losses
from sklearn_sgd._engine.epochs import Descent, epochs
from sklearn_sgd._engine.fit import Fit
from sklearn_sgd._engine.limit import Limit
from sklearn_sgd._engine.order import seeded
from sklearn_sgd._engine.preparation.occurring import Occurring
from sklearn_sgd._engine.preparation.prepare import plan_of_some
from sklearn_sgd._engine.scores.collect import scores_of_fit
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.streams.watch import Watch
from sklearn_sgd._engine.support import learn_slopes_of_fit
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._engine.verdict import conclude
from sklearn_sgd._namespace import doubled, dtype_of, host, like, namespace, total


def deadline_after(time_budget: float | None) -> float:
    """Return the time after which no epoch begins."""
    return monotonic() + (time_budget or np.inf)


class Scorer:
    """D² on validation data for each target. For the squared error this is R².

    D² is 1 minus the loss divided by that of the best constant. Where all targets are the same, so that this constant
    is exact, the loss is divided by the first one that is not 0: such scores also rank parameters.
    """

    def __init__(self, formulas: Formulas, X_val: Any, y_val: Any, weight_val: Any):
        columns = doubled(as_columns(y_val))
        self.loss, self.X = formulas.parts.loss, X_val
        self.targets = [columns[:, target] for target in range(columns.shape[1])]
        weight = None if weight_val is None else doubled(weight_val)
        self.weight = 1.0 if weight is None else weight / (total(weight) / weight.shape[0])
        counted = [y if weight is None else y[weight != 0] for y in self.targets]
        self.worst = [
            0.0 if _are_alike(some) else self._mean_loss(y, constant_of(formulas, y, weight))
            for y, some in zip(self.targets, counted, strict=True)
        ]

    def _mean_loss(self, y: Any, raw: Any) -> float:
        """Return the mean loss of raw predictions."""
        return sum_of_losses(self.loss, y, raw, self.weight) / y.shape[0]

    def of_columns(self, numbers: np.ndarray | None) -> Self:
        """Return the score of parameters of these columns; None: of all."""
        if numbers is None:
            return self
        other = copy(self)
        other.X = like(host(self.X)[:, numbers], self.X)
        return other

    def __call__(self, target: int, coef: np.ndarray, intercept: float) -> float:
        """Return the score of parameters."""
        loss = self._mean_loss(self.targets[target], doubled(predict_linear(self.X, coef, intercept, None)))
        if not np.isfinite(loss):
            return -np.inf
        worst = self.worst[target] = self.worst[target] or loss
        return (worst - loss) / abs(worst) if worst else 1.0


def _are_alike(values: Any) -> bool:
    """Return whether all values are the same."""
    return bool(namespace(values).all(values == values[0]))


def start_states(X: Any, y: Any, random_state: Any, coefs: Iterable, intercepts: Iterable) -> list[State]:
    """Return a new state for each target, from the parameters given or from zero."""
    generator = seeded(random_state)
    starts = zip(range(math.prod(y.shape[1:])), coefs, intercepts, strict=False)
    return [State.start(X.shape[1], dtype_of(X), generator, *start) for _, *start in starts]


class Session(NamedTuple):
    """The context of one call of `fit`, besides plans and states.

    Parameters
    ----------
    estimator : regressor of this package
        Its parameters determine when to stop.
    score : Scorer or None
        The score on validation data.
    given : bool
        Whether the user gave the validation data.
    deadline : float
        Time after which no epoch begins.
    tasks : Tasks
        Tasks of the callbacks.
    attributes : callable
        Function (plan, states) -> attributes of the fitted estimator.
    occurring : Occurring
        The columns that plans and states have.
    data : tuple
        The recipe, the rows, their targets as columns, and their weights.
    recorder : Recorder or None
        The recorder of updates.
    """

    estimator: Any
    score: Scorer | None
    given: bool
    deadline: float
    tasks: Tasks
    attributes: Callable[..., dict[str, Any]]
    occurring: Occurring
    data: tuple[Any, ...]
    recorder: Any = None

    def fitted(self, plan: Any, states: Sequence[State], **more: Any) -> dict[str, Any]:
        """Return the attributes of the fitted estimator, whose states are those of all columns."""
        return self.attributes(plan, [self.occurring.whole(state) for state in states], **more)


def run_epochs(session: Session, plans: Sequence, states: Sequence[State]) -> dict[str, Any]:
    """Run epochs until there is a reason to stop; return the attributes of the fitted estimator."""
    estimator, score = session.estimator, session.score and session.score.of_columns(session.occurring.numbers)
    limit = Limit(lambda: monotonic() >= session.deadline)
    fits = [
        Fit(
            plan,
            state,
            tol=estimator.tol,
            patience=estimator.n_iter_no_change,
            falls=estimator.learning_rate == "adaptive",
            score=score and partial(score, target),
            plan_of=partial(plan_of_some, session.data, target),
            worst=score.worst[target] if score and session.given else None,
            limit=limit,
        )
        for target, (plan, state) in enumerate(zip(plans, states, strict=True))
    ]
    if session.recorder:
        session.recorder.follow(fits[0].descent, session.occurring)
    reason = _run(session, fits)
    if reason == "interrupted":
        limit.reason = reason  # No search follows.
    final, verdicts = zip(*(conclude(fit, reason) for fit in fits), strict=True)
    for fit, state in zip(fits, final, strict=True):
        learn_slopes_of_fit(fit.descent.plan, state)
        state.end_fit()
    report_verdicts(estimator, verdicts)
    reason = limit.reason or reason
    own = _slowest(fits).reason
    if own and "diverged" in (own, reason):
        reason = own
    if reason == "tol" and any(fit.reason == "stalled" for fit in fits):
        reason = "stalled"
    if reason == "interrupted":
        done = max(state.n_epochs for state in final)
        warn(estimator, f"Interrupted; the model is that of the epochs completed, {done} of {estimator.epochs}.")
    scores = tuple(map(scores_of_fit, plans, final)) if estimator.inference else ()
    watch = Watch.after_fit(plans, final[0])
    attributes = session.fitted(plans[0], final, scores=scores, watch=watch) | {"stop_reason_": reason}
    if score:
        attributes["validation_scores_"] = mean_curve([fit.stopping.scores for fit in fits])
    return attributes


def _run(session: Session, fits: list[Fit]) -> str:
    """Run epochs, and return the reason why they ended."""
    estimator, tasks, plan = session.estimator, session.tasks, fits[0].descent.plan
    together, reason = epochs([fit.descent for fit in fits]), None

    def attributes_so_far():
        return session.fitted(plan, [fit.kept() for fit in fits])

    while not reason:
        try:
            tasks.begin_epoch()
            for fit, (_, epoch) in zip([fit for fit in fits if not fit.reason], next(together), strict=True):
                if not epoch.finite:
                    refuse_not_finite(estimator, plan.X)
                fit.end_epoch(epoch)
            slowest = _slowest(fits)
            if all(fit.reason for fit in fits):
                reason = slowest.reason
            elif monotonic() >= session.deadline:
                reason = "time_budget"
            if estimator.verbose:
                report(estimator, fits)
            if tasks.end_epoch(attributes_so_far):
                reason = reason or "callback"
            if slowest.completed.n_epochs == estimator.epochs:
                reason = reason or "epochs"
        except KeyboardInterrupt:
            if not all(fit.completed.n_epochs for fit in fits):
                raise
            reason = "interrupted"
    return reason


def _slowest(fits: list[Fit]) -> Fit:
    """Return the fit of the target that ran most epochs."""
    return max(fits, key=lambda fit: fit.completed.n_epochs)


def report(estimator: Any, fits: list[Fit]) -> None:
    """Print one line about the last epoch."""
    states = [fit.completed for fit in fits]
    state = longest(tuple(states))
    loss = fmean(state.losses[state.n_losses - 1] for state in states)
    line = f"{type(estimator).__name__}: epoch {state.n_epochs:4d}  loss {loss:.6g}  rate {state.rate:.3g}"
    if fits[0].stopping.scores:
        name = "R²" if fits[0].descent.plan.formulas.is_quadratic else "D²"
        line += f"  validation {name} {fmean(fit.stopping.values[-1] for fit in fits) * -1.0:.4f}"
    print(line, flush=True)


def report_divergence(estimator: Any, diverged: Sequence[Descent]) -> None:
    """Raise an error if a chunk of a stream is not finite, else warn that its descents diverged."""
    for descent in diverged:
        refuse_not_finite(estimator, descent.plan.X, descent.plan.data.y)
    message = "The descent left the finite range in partial_fit, which changed nothing."
    warn(estimator, f"{message} {shorter_steps(estimator)}")
