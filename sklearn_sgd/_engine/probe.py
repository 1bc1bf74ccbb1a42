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
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd._namespace import take
from sklearn_sgd.losses import SquaredError

# Number of rows up to which a descent on noise, which takes as long as the fit, is always made. For more rows than
# columns the formula is as good from there on, but not for steps with momentum.
ROWS = 10_000

# Number of epochs that together make less progress than the tolerance, after which a fit stops, if the share of noise
# is measured. Small progress is doubtful where it is not. Steps with momentum become longer, so later ones learn more.
PATIENCE = 4

# Number of epochs after which the formula, corrected by them, is used for more rows than these, and up to so many
# columns for each row. What it leaves of the noise, to a power, is what is left in fact. For words drawn by a power law
# this power hardly changes with the epochs. With more columns it grows, as with other losses.
MEASURED, COLUMNS = 4, 4.0 / 3.0


def is_prone_to_noise(plan: Plan, state: State) -> bool:
    """Whether a longer descent would learn noise: on sparse rows with many columns and without a penalty."""
    by_entries = plan.preconditioner is not None and state.step is not None and state.step.shares is not None
    return by_entries and plan.formulas.is_unpenalised and not (plan.remembers or plan.is_remote)


class Probe:
    """A descent on random signs, by the same plan. The share of them that it predicts is the share of learned noise.

    It is used for few rows, more columns than rows, and steps with momentum. Otherwise, and after the first epochs of
    many rows with hardly more columns, the share follows from the curvatures of the columns. The steps of all losses
    have the length of those of the squared error, so that the signs have this loss.
    """

    def __init__(self, plan: Plan, state: State):
        assert state.step is not None
        assert state.step.shares is not None
        self.plan, self.descent = plan, None
        self.formula = Effective.of(state.step.shares, float(plan.n_rows))
        n_columns = self.formula.numbers.sum()
        self.measures = plan.has_momentum or plan.n_rows <= max(ROWS, n_columns)
        is_known = plan.n_rows > max(ROWS, n_columns / COLUMNS) and plan.formulas.is_quadratic and not plan.has_momentum
        self.n_measured, self.power = MEASURED if is_known else np.inf, 1.0
        self.patience = PATIENCE if self.measures else 1
        if not self.measures:
            return
        generator = np.random.default_rng(0)
        self.signs = np.zeros(plan.X.shape[0])
        self.signs[plan.used] = generator.choice([-1.0, 1.0], plan.n_rows)
        state = state.fork()
        state.generator, state.window = generator, np.zeros_like(state.window)
        for w in (state.vectors.coef, state.vectors.average):
            w[:] = 0.0
        data = plan.data._replace(y=self.signs.astype(plan.data.y.dtype))
        if not plan.formulas.is_quadratic:
            parts = plan.parts._replace(loss=SquaredError())
            plan = plan._replace(parts=parts, formulas=Formulas(parts, plan.X.shape[1]), searches=False)
        self.descent = Descent(plan._replace(data=data), state)

    def share(self, state: State) -> float:
        """The share of the noise that is learned after another epoch."""
        by_formula, plan = 0.0, self.plan
        if not plan.has_momentum:
            by_formula = self.formula.share(state.window[RELATIVE_TIME] * (AVERAGE if plan.average_from else 1.0))
        if self.descent is None or self.descent.state.n_epochs >= self.n_measured:
            return 1.0 - (1.0 - by_formula) ** self.power
        one_epoch([self.descent])
        (coef, intercept), X, signs = self.descent.state.predictor(), plan.X, self.signs
        if plan.row_indices is not None:
            X, signs = take(X, plan.used), signs[plan.used]
        share = float(np.clip(np.mean(signs * (X @ coef + intercept)), 0.0, 1.0))
        if 0.0 < by_formula < 1.0 and share < 1.0:
            self.power = float(np.log1p(-share) / np.log1p(-by_formula))
        return share
