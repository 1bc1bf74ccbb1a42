"""Steps of small batches on a graphics card, by a CUDA graph: starting an operation takes longer than the operation.

A graph repeats the same operations on the same memory. So row numbers, rates, weights of the average and numbers of
updates are read from tensors, which are filled before each replay. The steps are those of the pass without a graph,
which also makes those that are left over, and with which a new graph is compared before it is used.

References
----------
PyTorch, "CUDA semantics", section "CUDA Graphs".
"""

import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from sklearn_sgd._engine.locks import ForkSafeLock
from sklearn_sgd._engine.passes.device import SMALL, Minibatch
from sklearn_sgd._engine.warning import user_stacklevel
from sklearn_sgd._namespace import has_graphs

# Number of steps in a graph, and of graphs in an epoch from which on one is recorded: that takes the time of a few.
STEPS, LEAST = 32, 8

# In a process only one graph may be recorded at a time.
_recording = ForkSafeLock()


class CudaGraph:
    """Operations of torch on a graphics card, which are recorded once, and then started together."""

    def __init__(self, place: Any):
        self.cuda, self.place = sys.modules["torch"].cuda, place

    def record(self, work: Callable[[], None]) -> None:
        """Record what a function does with tensors that exist already; it is also called once without recording.

        In that call libraries allocate what they need. Both are on a stream of their own, which is left and waited for
        if one of them fails, too: torch leaves it only after a success, and may reuse the memory.
        """
        with _recording, self.cuda.device(self.place):
            here, side, self.graph = self.cuda.current_stream(), self.cuda.Stream(), self.cuda.CUDAGraph()
            side.wait_stream(here)
            try:
                with self.cuda.stream(side):
                    work()
                    # Other threads may allocate memory of the card meanwhile.
                    with self.cuda.graph(self.graph, stream=side, capture_error_mode="thread_local"):
                        work()
            finally:
                here.wait_stream(side)

    def replay(self) -> None:
        """Start the operations."""
        self.graph.replay()


class Recorded:
    """A graph of some steps, with the tensors that it reads and changes.

    It is recorded with these rows and numbers, on a copy of this state.
    """

    def __init__(self, run: Callable[..., list], plan, state: list, order: Any, numbers: Any):
        self.plan, self.state, self.order, self.numbers = plan, copies(state), order + 0, numbers + 0.0
        self.loss = self.numbers[0, 0] + 0.0  # A number in double precision on the device.

        def work() -> None:
            state = self.state.copy()
            for loss in run(plan, self.order, state, self.numbers):
                self.loss += loss
            assign(self.state[2:], state[2:])  # Parameters and average are changed in place.

        self.graph = CudaGraph(order.device)
        self.graph.record(work)

    def replay(self, state: list, parts: Iterable[tuple[Any, Any]]) -> list:
        """Make the steps with rows and numbers of each part, from this state; return the new one and the loss."""
        assign([*self.state, self.loss], [*state, 0.0])
        for part in parts:
            assign([self.order, self.numbers], part)
            self.graph.replay()
        return [*self.state, self.loss]


class GraphMinibatch(Minibatch):
    """The pass by an explicit schedule, most of whose steps are made by a graph."""

    recorded: Recorded | None = None
    refused = False

    def run(self, plan, order: Any, state: list, numbers: Any) -> list:
        """Make the steps, by a graph if it pays; see the pass without one."""
        size = STEPS * plan.batch_size
        number = len(order) // size
        if self.refused or number < LEAST:
            return super().run(plan, order, state, numbers)
        if isinstance(order, range):
            order = self.xp.arange(order.start, order.stop, device=self.device)
        numbers = list(numbers)
        table = np.asarray([(rate, share or 0.0, t) for rate, share, t in numbers])
        table = self.xp.asarray(table, dtype=self.xp.float64, device=self.device)
        parts = [(order[k * size : (k + 1) * size], table[k * STEPS : (k + 1) * STEPS]) for k in range(number)]
        losses, done = [], 0
        if self.recorded is None or self.recorded.plan is not plan:
            losses, done = self._record(plan, parts, state, numbers), 1
        if self.recorded is not None:
            *state[:], loss = self.recorded.replay(state, parts[done:])
            losses, done = [*losses, loss], number
        return losses + super().run(plan, order[done * size :], state, numbers[done * STEPS :])

    def _record(self, plan, parts: list, state: list, numbers: list) -> list:
        """Record a graph, make the first steps of an epoch without it, and compare them; return their losses.

        It is recorded with other rows and numbers than these, so that it differs if one of them became a part of it.
        """
        before, problem = copies(state), ""
        try:
            self.recorded = Recorded(super().run, plan, state, *parts[1])
            found = self.recorded.replay(state, parts[:1])
        except Exception as error:  # Whatever it is, the steps can be made without a graph.
            self.recorded, found, problem = None, [], f"cannot be recorded: {error}"
        losses = super().run(plan, parts[0][0], state, numbers[:STEPS])
        if found and not self._agree([*before, 0.0 * losses[0]], found, [*state, sum(losses)]):
            # Steps that diverge are found at the end of the epoch.
            self.recorded, problem = None, "gives other results" if self.xp.isfinite(sum(losses)) else ""
        self.refused = self.recorded is None
        if problem:
            message = f"Each update is started for itself, which takes longer: a CUDA graph of several {problem}"
            warnings.warn(message, RuntimeWarning, stacklevel=user_stacklevel())
        return losses

    def _agree(self, before: list, found: list, expected: list) -> bool:
        """Return whether a graph has led to the expected state and loss, apart from rounding."""
        values, n = self.to_host(*before, *found, *expected), len(before)
        eps = float(self.xp.finfo(self.example.dtype).eps)
        for old, there, here in zip(values[:n], values[n : 2 * n], values[2 * n :], strict=True):
            if here is not None:
                allowed = eps**0.5 * np.abs(here - old).max() + STEPS * eps * np.abs(here).max()
                if not np.abs(there - here).max() <= allowed < np.inf:
                    return False
        return True


def copies(arrays: list) -> list:
    """Return copies of arrays; None stays None."""
    return [None if array is None else array + 0.0 for array in arrays]


def assign(arrays: Iterable, values: Iterable) -> None:
    """Copy values into arrays; None stays None."""
    for array, value in zip(arrays, values, strict=True):
        if array is not None:
            array[...] = value


def minibatch(plan) -> Minibatch:
    """Return the pass for a plan; with a graph if the card waits for operations to be started.

    What cannot be read as a formula may compute something on the host.
    """
    is_small = plan.batch_size * plan.X.shape[1] <= SMALL
    return (GraphMinibatch if is_small and has_graphs(plan.X) and plan.formulas.refusal is None else Minibatch)(plan)
