"""The share of the training rows' noise that a descent has learned, measured by a second descent on noise only.

References
----------
Ye, J., "On measuring and correcting the effects of data mining and model selection", Journal of the American
Statistical Association 93, 1998: generalised degrees of freedom, by perturbed targets.
"""

import numpy as np

from sklearn_sgd._engine.automatic.effective import AVERAGE, Effective
from sklearn_sgd._engine.automatic.window import RELATIVE_TIME
from sklearn_sgd._engine.epochs import Descent, one_epoch
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import take

# Largest number of rows for a descent on noise, which takes as long as the fit. For more, the formula is as good, but
# not for steps with momentum.
ROWS = 10_000

# Epochs without progress after which steps with momentum end: they become longer, so later ones may learn more.
PATIENCE = 4


def is_prone_to_noise(plan: Plan, state: State) -> bool:
    """Whether a longer descent would learn noise: on sparse rows with many columns and without a penalty."""
    by_entries = plan.preconditioner is not None and state.step is not None and state.step.shares is not None
    return by_entries and plan.formulas.is_unpenalised and not (plan.remembers or plan.is_remote)


class Probe:
    """A descent on random signs, by the same plan. The share of them that it predicts is the share of learned noise.

    It is used for the squared error, with few rows or steps with momentum. Otherwise the share follows from the
    curvatures of the columns.
    """

    def __init__(self, plan: Plan, state: State):
        assert state.step is not None
        assert state.step.shares is not None
        self.plan, self.descent = plan, None
        self.waits = plan.accelerates
        self.formula = Effective.of(state.step.shares, float(plan.n_rows))
        if not (self.waits or (plan.n_rows <= ROWS and plan.formulas.is_quadratic)):
            return
        generator = np.random.default_rng(0)
        self.signs = np.zeros(plan.X.shape[0])
        self.signs[plan.used] = generator.choice([-1.0, 1.0], plan.n_rows)
        state = state.fork()
        state.generator, state.window = generator, np.zeros_like(state.window)
        for w in (state.vectors.coef, state.vectors.average):
            w[:] = 0.0
        data = plan.data._replace(y=self.signs.astype(plan.data.y.dtype))
        self.descent = Descent(plan._replace(data=data), state)

    @property
    def patience(self) -> int:
        """Epochs without progress after which the fit ends."""
        return PATIENCE if self.waits else 1

    def share(self, state: State) -> float:
        """The share of the noise that is learned after another epoch."""
        if self.descent is None:
            return self.formula.share(state.window[RELATIVE_TIME] * (AVERAGE if self.plan.average_from else 1.0))
        one_epoch([self.descent])
        coef, intercept = self.descent.state.predictor()
        used = self.plan.used
        predicted = take(self.plan.X, used) @ coef + intercept
        return float(np.clip(np.mean(self.signs[used] * predicted), 0.0, 1.0))
