"""The loss expected on new rows, epoch by epoch: on rows that further descents leave out.

Generalised cross-validation would need no other descents, but it is not right for a descent that is stopped early.

References
----------
Patil, P., Wu, Y. and Tibshirani, R. J., "Failures and successes of cross-validation for early-stopped gradient
descent", AISTATS 2024.

Prechelt, L., "Early stopping - but when?", in: Neural Networks: Tricks of the Trade, Springer, 1998.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.baseline import best_constant, constant_loss, targets_and_weights
from sklearn_sgd._engine.epochs import Descent, one_epoch
from sklearn_sgd._engine.objective import loss_of
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.remote import RemoteRows
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
    return by_entries and plan.formulas.is_unpenalised and not plan.remembers


class Probe:
    """The loss on rows that are left out, at random, by further descents on the others, as in cross-validation.

    Each of them makes an epoch for each one of the fit. There are as many as leave out `ENOUGH` rows together. They
    share nothing with the fit but the parameters to start from: the scales of columns by all rows would make the
    largest entries of the rows left out small. ``plan_of`` maps other rows and a new state to the plan for these rows.
    """

    def __init__(self, plan: Plan, state: State, plan_of: Callable[[Any, State], Plan]):
        generator, self.others = np.random.default_rng(0), list[tuple[Descent, LeftOut]]()
        for rows, left_out in _split(plan, generator):
            known = () if state.fresh else state.predictor()
            other = State.start(plan.X.shape[1], dtype_of(plan.X), generator, *known)
            self.others.append((Descent(plan_of(rows, other), other), left_out))

    def expected_loss(self) -> float:
        """Return the mean loss on these rows after another epoch."""
        for descent, _ in self.others:
            one_epoch([descent])
        return self._mean(lambda descent, left_out: loss_of(left_out.plan, descent.state, rows=left_out.rows))

    def exceeds_constant(self, loss: float) -> bool:
        """Return whether such a loss is above that of the best constants of the other rows, if rows are not few."""
        is_few = sum(left_out.n_rows for _, left_out in self.others) < FEW

        def of_constant(descent: Descent, left_out: LeftOut) -> float:
            plan, other = left_out.plan, descent.plan
            constant = best_constant(plan.formulas, other.data, other.used)
            return constant_loss(plan.parts.loss, plan.data, left_out.rows, constant)

        return not is_few and loss > self._mean(of_constant)

    def _mean(self, loss_on: Callable[[Descent, "LeftOut"], float]) -> float:
        """Return the mean of losses, by the weights of the rows."""
        weights = [left_out.weight for _, left_out in self.others]
        return float(np.average([loss_on(*each) for each in self.others], weights=weights))


class LeftOut(NamedTuple):
    """Rows that a descent leaves out: a plan with all rows and the numbers of these, or with these alone."""

    plan: Plan
    rows: np.ndarray | None
    n_rows: int
    weight: float


def _split(plan: Plan, generator: np.random.Generator) -> Iterator[tuple[Any, LeftOut]]:
    """Yield other rows, and those that a descent on them leaves out."""
    used, n_rows = plan.used, plan.n_rows
    parts, most = min(PARTS, n_rows), max(1, min(PARTS, PARTS * ENOUGH // n_rows))
    if isinstance(plan.X, RemoteRows):
        for others, some in plan.X.split(parts, most):
            alone = plan._replace(X=some, data=plan.data._replace(rows=some))
            yield others, LeftOut(alone, None, some.shape[0], some.weight)
        return
    for part in np.array_split(generator.permutation(n_rows), parts)[:most]:
        is_held = np.zeros(n_rows, bool)
        is_held[part] = True
        held = used[is_held]
        yield used[~is_held], LeftOut(plan, held, len(held), total(targets_and_weights(plan.data, held)[1]))
