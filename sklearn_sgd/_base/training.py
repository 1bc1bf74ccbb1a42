"""The epochs of `fit`: when they end, what is reported of them, and the comparison with a constant at their end."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from time import monotonic
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score

from sklearn_sgd._base.callbacks import Tasks
from sklearn_sgd._base.fitted import longest, mean_curve, predict_linear
from sklearn_sgd._base.validation import as_columns, refuse_not_finite
from sklearn_sgd._engine.baseline import best_constant, training_loss
from sklearn_sgd._engine.epochs import epochs
from sklearn_sgd._engine.state import State
from sklearn_sgd._engine.stopping import Fit
from sklearn_sgd._engine.warning import user_stacklevel

REMEDY = "learning_rate='auto', or a smaller eta0 and columns scaled by StandardScaler"


def warn(estimator: Any, message: str) -> None:
    """Give a ConvergenceWarning that names the class, at the line of the user."""
    warnings.warn(f"{type(estimator).__name__}: {message}", ConvergenceWarning, stacklevel=user_stacklevel())


def deadline_after(time_budget: float | None) -> float:
    """Return the time after which no epoch begins."""
    return monotonic() + (time_budget or np.inf)


def scorer(link: Any, X_val: Any, y_val: Any, weight_val: Any) -> Callable:
    """Return a function (target, coef, intercept) -> R² on validation data."""
    y_val = as_columns(y_val)

    def score(target, coef, intercept):
        predictions = predict_linear(X_val, coef, intercept, link)
        return float(r2_score(y_val[:, target], predictions, sample_weight=weight_val))

    return score


class Session(NamedTuple):
    """What belongs to one call of `fit` besides plans and states.

    Parameters
    ----------
    estimator : regressor of this package
        Its parameters say when to stop.
    score : callable or None
        Function (target, coef, intercept) -> score on validation data.
    deadline : float
        Time after which no epoch begins.
    tasks : Tasks
        Tasks of the callbacks.
    attributes : callable
        Function (plan, states) -> attributes of the fitted estimator.
    """

    estimator: Any
    score: Callable | None
    deadline: float
    tasks: Tasks
    attributes: Callable[[Any, Sequence[State]], dict[str, Any]]


def run_epochs(session: Session, plans: Sequence, states: Sequence[State]) -> dict[str, Any]:
    """Run epochs until there is a reason to stop; return the attributes of the fitted estimator."""
    estimator, score = session.estimator, session.score
    fits = [
        Fit(
            plan,
            state,
            tol=estimator.tol,
            patience=estimator.n_iter_no_change,
            falls=estimator.learning_rate == "adaptive",
            score=score and partial(score, target),
        )
        for target, (plan, state) in enumerate(zip(plans, states, strict=True))
    ]
    reason = _run(session, fits)
    final = [fit.end() for fit in fits]
    for fit, state in zip(fits, final, strict=True):
        check_against_baseline(estimator, fit, state)
    if reason == "tol" and any(fit.reason == "stalled" for fit in fits):
        reason = "stalled"
        warn(
            estimator,
            "The minimum was not reached: columns of X are so nearly linear combinations of each other that rounding "
            "hides the rest of the way. Remedy: leave out such columns, or penalty='l2'.",
        )
    if reason == "interrupted":
        done = max(state.n_epochs for state in final)
        warn(estimator, f"Interrupted; the model is that of the epochs completed, {done} of {estimator.epochs}.")
    attributes = session.attributes(plans[0], final) | {"stop_reason_": reason}
    if score:
        attributes["validation_scores_"] = mean_curve([fit.stopping.scores for fit in fits])
    return attributes


def _run(session: Session, fits: list[Fit]) -> str:
    """Run epochs, and return the reason why they ended."""
    estimator, tasks, plan = session.estimator, session.tasks, fits[0].descent.plan
    together, reason = epochs([fit.descent for fit in fits]), None

    def attributes_so_far():
        return session.attributes(plan, [fit.kept() for fit in fits])

    while not reason:
        try:
            tasks.begin_epoch()
            for fit, (_, epoch) in zip([fit for fit in fits if not fit.reason], next(together), strict=True):
                if not epoch.finite:
                    refuse_not_finite(estimator, plan.X)
                fit.end_epoch(epoch)
            slowest = max(fits, key=lambda fit: fit.completed.n_epochs)
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


def report(estimator: Any, fits: list[Fit]) -> None:
    """Print one line about the last epoch."""
    states = [fit.completed for fit in fits]
    state = longest(tuple(states))
    loss = fmean(state.losses[state.n_losses - 1] for state in states)
    line = f"{type(estimator).__name__}: epoch {state.n_epochs:4d}  loss {loss:.6g}  rate {state.rate:.3g}"
    if fits[0].stopping.scores:
        line += f"  validation R² {fmean(fit.stopping.scores[-1] for fit in fits):.4f}"
    print(line, flush=True)


def check_against_baseline(estimator: Any, fit: Fit, state: State) -> None:
    """Replace a fit of the automatic step that ends worse than the best constant by it; warn of other such fits."""
    plan, loss = fit.descent.plan, fit.descent.plan.parts.loss
    if fit.reason == "diverged":
        warn(
            estimator,
            f"The descent left the finite range in epoch {state.n_epochs}; the last finite parameters are kept. "
            f"Remedy: {REMEDY}.",
        )
        return
    trusted = plan.preconditioner is None or plan.formulas.is_quadratic
    if trusted and state.loss_curve[-1] <= fit.baseline:
        return
    if plan.parts.penalty.prox(np.zeros(plan.X.shape[1]), 0.0).any():
        return  # The penalty does not allow coefficients of 0.
    end = training_loss(loss, plan.data, plan.row_indices, plan.X, *state.predictor())
    if plan.preconditioner and end > fit.baseline:
        used = slice(None) if plan.row_indices is None else plan.row_indices
        state.fall_back(best_constant(plan.formulas, plan.data, used))
    elif end > fit.baseline * (1 + 1e-6):
        warn(
            estimator,
            "The fit ends worse than the best constant prediction on its own training data. "
            f"Remedy: more epochs if the loss still falls (see loss_curve_), else {REMEDY}.",
        )
