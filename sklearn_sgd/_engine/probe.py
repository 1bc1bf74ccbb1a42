"""The loss expected on new rows, epoch by epoch: on rows that further descents leave out.

Generalised cross-validation would need no other descents, but it is not right for a descent that is stopped early.

References
----------
Patil, P., Wu, Y. and Tibshirani, R. J., "Failures and successes of cross-validation for early-stopped gradient
descent", AISTATS 2024.

Prechelt, L., "Early stopping - but when?", in: Neural Networks: Tricks of the Trade, Springer, 1998.
"""

from collections.abc import Callable

import numpy as np

from sklearn_sgd._engine.baseline import best_constant, constant_loss, targets_and_weights
from sklearn_sgd._engine.epochs import Descent, one_epoch
from sklearn_sgd._engine.objective import loss_of
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import dtype_of, total

# Number of epochs that together make less progress than the tolerance, after which a fit stops. Steps with momentum
# become longer, so later ones learn more.
PATIENCE = 4

# Number of parts of the rows, of which a descent leaves out one; the number of rows left out from which one descent is
# enough, and below which they are too few to show whether a constant is better.
PARTS, ENOUGH, FEW = 5, 2000, 50


def is_prone_to_noise(plan: Plan, state: State) -> bool:
    """Whether a longer descent would learn noise: on sparse rows with many columns and without a penalty."""
    by_entries = plan.preconditioner is not None and state.step is not None and state.step.shares is not None
    return by_entries and plan.formulas.is_unpenalised and not (plan.remembers or plan.is_remote)


class Probe:
    """The loss on rows that are left out, at random, by further descents on the others, as in cross-validation.

    Each of them makes an epoch for each one of the fit. There are as many as leave out `ENOUGH` rows together. They
    share nothing with the fit but the parameters to start from: the scales of columns by all rows would make the
    largest entries of the rows left out small. ``plan_of`` maps row numbers and a new state to the plan for these rows.
    """

    def __init__(self, plan: Plan, state: State, plan_of: Callable[[np.ndarray, State], Plan]):
        generator, used, n_rows = np.random.default_rng(0), plan.used, plan.n_rows
        parts = np.array_split(generator.permutation(n_rows), min(PARTS, n_rows))
        self.plan, self.others = plan, list[tuple[Descent, np.ndarray]]()
        for part in parts[: max(1, min(PARTS, PARTS * ENOUGH // n_rows))]:
            is_held = np.zeros(n_rows, bool)
            is_held[part] = True
            known = () if state.fresh else state.predictor()
            other = State.start(plan.X.shape[1], dtype_of(plan.X), generator, *known)
            self.others.append((Descent(plan_of(used[~is_held], other), other), used[is_held]))

    def expected_loss(self) -> float:
        """Return the mean loss on these rows after another epoch."""
        for descent, _ in self.others:
            one_epoch([descent])
        return self._mean(lambda descent, held: loss_of(self.plan, descent.state, rows=held))

    def exceeds_constant(self, loss: float) -> bool:
        """Return whether such a loss is above that of the best constants of the other rows, if rows are not few."""
        plan, is_few = self.plan, sum(len(held) for _, held in self.others) < FEW

        def of_constant(descent: Descent, held: np.ndarray) -> float:
            constant = best_constant(plan.formulas, plan.data, descent.plan.used)
            return constant_loss(plan.parts.loss, plan.data, held, constant)

        return not is_few and loss > self._mean(of_constant)

    def _mean(self, loss_on: Callable[[Descent, np.ndarray], float]) -> float:
        """Return the mean of losses, by the weights of the rows."""
        weights = [total(targets_and_weights(self.plan.data, held)[1]) for _, held in self.others]
        return float(np.average([loss_on(*each) for each in self.others], weights=weights))
