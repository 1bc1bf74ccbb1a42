"""The loss expected on new rows, epoch by epoch: of rows that are left out.

For the squared error, a formula leaves out each of them; for other losses, a second descent a fifth of them.

References
----------
Ye, J., "On measuring and correcting the effects of data mining and model selection", Journal of the American
Statistical Association 93, 1998: generalised degrees of freedom, by perturbed targets.
"""

from typing import Any

import numpy as np

from sklearn_sgd._engine.automatic.effective import AVERAGE, Effective, groups_by_size
from sklearn_sgd._engine.automatic.window import LENGTHS
from sklearn_sgd._engine.baseline import constant_loss, targets_and_weights
from sklearn_sgd._engine.epochs import Descent, one_epoch
from sklearn_sgd._engine.leave_one_out import LeaveOneOut, Responses
from sklearn_sgd._engine.objective import loss_of
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.preparation.prepare import start
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import take

# Number of rows up to which the learned noise is always measured. For more rows than columns the formula is as good
# from there on, but not for full batches.
ROWS = 10_000

# Number of epochs that together make less progress than the tolerance, after which a fit stops, if rows are held out or
# the learned noise is measured. Small progress is doubtful where it is not. Steps with momentum become longer, so later
# ones learn more.
PATIENCE = 4

# The least that may be left of noise: steps with momentum make it swing about 0.
LEAST = -0.1

# Largest number of rows whose errors are computed.
SAMPLE = 10_000

# Largest number of epochs of the descent on noise for one epoch of the fit, whose steps may be longer.
EPOCHS = 8

# Share of the rows that a second descent leaves out, and how many of them show whether a constant is better.
SHARE, ENOUGH = 0.2, 50


def is_prone_to_noise(plan: Plan, state: State) -> bool:
    """Whether a longer descent would learn noise: on sparse rows with many columns and without a penalty."""
    by_entries = plan.preconditioner is not None and state.step is not None and state.step.shares is not None
    return by_entries and plan.formulas.is_unpenalised and not (plan.remembers or plan.is_remote)


def probe_of(plan: Plan, state: State) -> "Probe | None":
    """Return what is expected on new rows of such a descent; None if there are too few rows to leave some out."""
    if plan.formulas.is_quadratic:
        return LeftOut(plan, state)
    return HeldOut(plan, state) if plan.n_rows > 1 else None


class Probe:
    """The loss expected on new rows.

    Attributes
    ----------
    patience : int
        Number of epochs without progress after which a fit stops.
    adds_up : bool
        Whether the progress of all these epochs counts, not that of each.
    ends_on_rise : bool
        Whether an epoch after which the value is larger than before is the last one.
    """

    patience, adds_up, ends_on_rise = PATIENCE, True, False

    def expected_loss(self, state: State) -> float:
        """Return the loss expected on new rows after another epoch."""
        raise NotImplementedError

    def exceeds_constant(self, loss: float, constant: float) -> bool:
        """Return whether such a loss is above that of a constant, if the same rows show both."""
        return False


class HeldOut(Probe):
    """The loss on some rows, of a second descent, on the others. It makes an epoch for each one of the fit."""

    def __init__(self, plan: Plan, state: State):
        generator, used = np.random.default_rng(0), plan.used
        self.plan, is_held = plan, np.zeros(plan.n_rows, bool)
        is_held[generator.permutation(plan.n_rows)[: max(1, int(SHARE * plan.n_rows))]] = True
        self.held, rows = used[is_held], used[~is_held]
        state = state.fork()
        state.generator = generator
        size = min(plan.batch_size, len(rows))
        plan = plan._replace(row_indices=rows, n_rows=len(rows), batch_size=size)
        if state.fresh:
            start(plan, False, state)
        self.descent = Descent(plan, state)

    def expected_loss(self, state: State) -> float:
        """Return the mean loss on these rows after another epoch."""
        one_epoch([self.descent])
        return loss_of(self.plan, self.descent.state, rows=self.held)

    def exceeds_constant(self, loss: float, constant: float) -> bool:
        """Return whether such a loss is above that of a constant on the same rows, if there are enough."""
        least = constant_loss(self.plan.parts.loss, self.plan.data, self.held, constant)
        return len(self.held) >= ENOUGH and loss > least


class LeftOut(Probe):
    """The mean leave-one-out loss of the squared error.

    The learned noise is measured for few rows, more columns than rows, and full batches; otherwise it follows from the
    curvatures of the columns.
    """

    def __init__(self, plan: Plan, state: State):
        assert plan.preconditioner is not None
        assert state.step is not None
        assert state.step.shares is not None
        shares, inverse = state.step.shares, plan.preconditioner.inverse.astype(float)
        inverse[plan.preconditioner.filled] = 0.0
        measures = not plan.noise or plan.n_rows <= max(ROWS, int(np.count_nonzero(shares)))
        self.patience, self.adds_up, self.ends_on_rise = PATIENCE if measures else 1, measures, measures and plan.noise
        every = -(-plan.n_rows // SAMPLE)
        rows, X = _some_rows(plan, 1 if measures else every)
        weight = targets_and_weights(plan.data, rows)[1]
        groups = groups_by_size(X, weight, inverse)
        self.noise: NoiseDescent | NoiseByFormula
        if measures:
            self.noise = NoiseDescent(plan, state, X, weight, groups)
            (rows, X), groups = _some_rows(plan, every), groups[::every]
        else:
            effective = Effective.of(X, weight, groups, inverse, shares, float(plan.n_rows))
            self.noise = NoiseByFormula(effective, AVERAGE if plan.average_from else 1.0)
        self.errors = LeaveOneOut(plan, rows, X, groups, state.predictor())

    def expected_loss(self, state: State) -> float:
        """Return the mean leave-one-out loss after another epoch."""
        time = float(state.window[LENGTHS])
        self.noise.follow(time, self.errors.responses)
        return self.errors.mean_loss(time, *state.predictor())


def _some_rows(plan: Plan, every: int) -> tuple[np.ndarray, Any]:
    """Numbers of rows in use, each of so many, and these rows."""
    rows = np.ascontiguousarray(plan.used[::every])
    return rows, plan.X if len(rows) == plan.X.shape[0] else take(plan.X, rows)


class NoiseByFormula:
    """The learned noise by the curvatures of the columns; ``age`` is that of the predictor, as a share of the time."""

    def __init__(self, effective: Effective, age: float):
        self.effective, self.age = effective, age

    def follow(self, time: float, responses: Responses) -> None:
        """Add what is left of the noise at a time."""
        responses.add(time, np.maximum(1.0 - self.effective.learned(self.age * time), 0.0))


class NoiseDescent:
    """A descent on random signs, by the same plan: what it predicts of them is the learned noise."""

    def __init__(self, plan: Plan, state: State, X: Any, weight: np.ndarray, groups: np.ndarray):
        self.X, self.weight, self.groups = X, weight, groups
        generator = np.random.default_rng(0)
        self.signs, signs = generator.choice([-1.0, 1.0], plan.n_rows), np.zeros(plan.X.shape[0])
        # What all rows have in common, as the intercept, is no noise of a group.
        means = np.bincount(groups, weight * self.signs) / np.maximum(np.bincount(groups, weight), 1e-300)
        self.signs -= means[groups]
        signs[plan.used] = self.signs
        state = state.fork()
        state.generator, state.window = generator, np.zeros_like(state.window)
        for w in (state.vectors.coef, state.vectors.average):
            w[:] = 0.0
        data = plan.data._replace(y=signs.astype(plan.data.y.dtype))
        self.descent = Descent(plan._replace(data=data), state)

    def follow(self, time: float, responses: Responses) -> None:
        """Continue the descent up to a time, and add what is left of the noise after each epoch."""
        for _ in range(EPOCHS):
            if responses.times[-1] >= time:
                return
            one_epoch([self.descent])
            state = self.descent.state
            coef, intercept = state.predictor()
            count_rows(len(self.signs))
            weighted = self.weight * self.signs
            learned = np.bincount(self.groups, weighted * (self.X @ coef + intercept))
            sizes = np.maximum(np.bincount(self.groups, weighted * self.signs), 1e-300)
            # The predictions for rows without weight may be of any size.
            left = np.clip(1.0 - learned / sizes, LEAST, 1.0)
            responses.add(float(state.window[LENGTHS]), left)
