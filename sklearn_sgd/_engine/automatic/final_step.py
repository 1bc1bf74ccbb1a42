"""The final step: what all rows say of a predictor, and the Newton step that ends in the minimum."""

import numpy as np

from sklearn_sgd._engine.passes.choose import all_rows
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.state import State


class NewtonDecrement:
    """By how much the loss of a predictor on all rows exceeds the minimum, and the step that leads there.

    Preconditioned by covariances the squared error is round: a step along the direction of the whole gradient ends in
    the minimum, half its product with the gradient (the Newton decrement) above it. Epochs with noise come near; a last
    step by it is Le Cam's one-step estimator (A. W. van der Vaart, "Asymptotic Statistics", 1998, section 5.7).
    """

    def __init__(self, plan: Plan):
        self.plan = plan
        if not plan.normal:
            self.rows = all_rows(plan)(plan.data, plan.used, plan.parts.loss)

    @staticmethod
    def knows(plan: Plan) -> bool:
        """Whether the plan is such a one."""
        return plan.preconditioner is not None and plan.preconditioner.is_full and plan.formulas.is_quadratic

    def measure(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        """The excess of parameters, and the step."""
        if self.plan.normal:
            _, g, error = self.plan.normal.gradient(self.plan.data.rows.bias, w)
        else:
            whole = self.rows.gradient(w)[2]
            g, error = whole[:-1], whole[-1]
        g = g + self.plan.parts.penalty.gradient(w[:-1])
        assert self.plan.preconditioner is not None
        step = np.append(self.plan.preconditioner.apply(g), error)
        return 0.5 * float(step[:-1] @ g + error * error), step

    def excess(self, state: State) -> float:
        """How much the loss of a state's predictor exceeds the minimum."""
        return self.measure(state.vectors.average)[0]

    def finish(self, state: State) -> None:
        """Let an averaged predictor take the step, if it helps; one that is not averaged is the last update's."""
        if not 0 < self.plan.average_from <= state.n_updates:
            return
        before, step = self.measure(state.vectors.average)
        there = (state.vectors.average - step).astype(state.vectors.average.dtype)
        if self.measure(there)[0] < before:
            state.finish(there)
