"""The ways from the last epoch of a fit to its minimum: which of them there are."""

from sklearn_sgd._engine.finish.accelerated import is_accelerated
from sklearn_sgd._engine.finish.coordinates import is_by_coordinates
from sklearn_sgd._engine.finish.proximal_newton import is_by_parabolas
from sklearn_sgd._engine.finish.to_minimum import minimum_of
from sklearn_sgd._engine.finish.working_set import is_sparse_least_squares
from sklearn_sgd._engine.kinks.minimum import directions_to_minimum
from sklearn_sgd._engine.plan import Plan
from sklearn_sgd._engine.reference import Reference
from sklearn_sgd._engine.state import State
from sklearn_sgd._namespace import is_foreign

# Rows for each coefficient from which full batches of a loss with kinks need few epochs.
PLENTY = 100

# Rows from which an epoch before final steps on moments has a part of them only; its share of the rows, and the least
# number of batches in it.
MANY, PART, LEAST_BATCHES = 1 << 15, 1 / 8, 8


class Ways:
    """The final steps that a fit may make.

    Attributes
    ----------
    minimum : Minimum or None
        The minimum of the squared error, as far as it is known before the descent. A fit that is judged by a score does
        not use it.
    decides : Minimum or None
        The same where it decides about directions of nearly dependent columns, whatever ends the fit.
    smoothed : Directions or None
        Directions in which the minimum of losses with kinks is sought.
    has_score, is_prone : bool
        Whether a score decides when to stop; whether a longer descent would learn noise.
    is_by_sample : bool
        Whether the curvatures of a sample lead the steps on all rows.
    """

    def __init__(self, plan: Plan, state: State, reference: Reference, *, has_score: bool, is_prone: bool):
        known = minimum_of(plan, state, 2.0 * reference.loss)
        self.minimum = None if has_score else known
        self.decides = known if known and known.leaves_out and not plan.noise else None
        self.smoothed = None if is_prone else directions_to_minimum(plan, state)
        self.has_score, self.is_prone = has_score, is_prone
        is_sampled = state.statistics is not None and state.statistics.sampled
        self.is_by_sample = is_sampled and plan.searches and not (has_score or plan.remembers)

    def lead_there(self, plan: Plan) -> bool:
        """Return whether these steps reach the minimum by themselves, wherever the epochs have ended."""
        with_zeros = is_sparse_least_squares(plan) or is_by_parabolas(plan) or is_accelerated(plan)
        return with_zeros or self.smoothed is not None

    def end_at_once(self, plan: Plan, state: State) -> bool:
        """Return whether one epoch with noise is enough, since these steps cost less than some more."""
        return bool(plan.noise and plan.finishes and not self.has_score and self._lead_from_anywhere(plan, state))

    def _lead_from_anywhere(self, plan: Plan, state: State) -> bool:
        on_moments = plan.normal is not None and plan.formulas.is_least_squares
        return (
            on_moments
            or self.minimum is not None
            or self.is_by_sample
            or is_by_coordinates(plan)
            or is_by_parabolas(plan)
            or is_accelerated(plan)
            or self.smoothed is not None
            or self._are_fast_full_batches(plan, state)
        )

    def _are_fast_full_batches(self, plan: Plan, state: State) -> bool:
        """Return whether full batches with the curvatures of the rows need few epochs.

        Of losses with kinks few rows determine the minimum, so that each step changes which.
        """
        formulas, (n_rows, n_columns) = plan.formulas, (plan.n_rows, plan.X.shape[1])
        if plan.preconditioner is None or not plan.preconditioner.is_full or formulas.is_quadratic:
            return False
        is_slow = formulas.has_kinks and n_rows < PLENTY * (n_columns + 1)
        return not is_slow and self.need_all_rows(plan, state)

    def need_all_rows(self, plan: Plan, state: State) -> bool:
        """Return whether the minimum is reached by steps on all rows, or by no other final steps."""
        if self.is_prone:
            return False
        hides = state.step is not None and state.step.hides
        return not (plan.formulas.is_smooth and plan.formulas.is_quadratic) or hides


def part_of_epoch(plan: Plan) -> int | None:
    """Return the number of rows, in whole batches, of an epoch before final steps on moments; None for all.

    A stream that goes on from there finds the minimum by moments, however few updates there were. On another device,
    where a batch takes as long to start as a product with thousands of rows, there are few batches.
    """
    if not (plan.normal and plan.n_rows >= MANY and plan.shuffles):
        return plan.part
    share = 0.0 if is_foreign(plan.X) else PART
    batches = max(LEAST_BATCHES, int(share * plan.n_rows) // plan.batch_size)
    return min(batches * plan.batch_size, plan.n_rows)
