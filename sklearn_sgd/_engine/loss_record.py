"""The losses of a descent, epoch by epoch, and those of samples before they were learned."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, isfinite
from statistics import fmean
from typing import Self

# Number of samples for the recent loss of a stream, and minimum number of losses of its chunks that are kept.
RECENT, KEPT = 1000.0, 10_000


@dataclass(kw_only=True)
class LossRecord:
    """The record of a descent.

    ``losses`` has a loss for each epoch of a fit and for each chunk of a stream, without the first ``n_forgotten``.
    Copies share one list, of which each has the first ``n_losses``: a long stream does not copy it in each call.
    Chunks that are parts of one epoch count as one in ``n_epochs``.
    """

    losses: list[float] = field(default_factory=list)
    n_losses: int = 0
    n_forgotten: int = 0
    n_chunks: int = 0
    n_epochs: int = 0
    prequential_sum: float = 0.0
    prequential_weight: float = 0.0
    prequential_rows: int = 0
    recent_sum: float = 0.0
    recent_weight: float = 0.0

    @property
    def loss_curve(self) -> list[float]:
        """Mean loss of each epoch, or of each of the last chunks."""
        return self.losses[: self.n_losses]

    @property
    def prequential_loss(self) -> float:
        """Mean loss of samples before they were learned."""
        return self.prequential_sum / max(self.prequential_weight, 1e-300)

    @property
    def recent_loss(self) -> float:
        """Mean loss of recent samples before they were learned."""
        return self.recent_sum / max(self.recent_weight, 1e-300)

    def append_loss(self, loss: float) -> None:
        """Append the mean loss of an epoch."""
        if len(self.losses) > self.n_losses:  # Another copy has continued.
            self.losses = self.losses[: self.n_losses]
        self.losses.append(loss)
        self.n_losses += 1

    def count_first_loss(self, loss: float, weight: float, n_rows: int) -> None:
        """Count the mean loss of a chunk of this total weight that was not seen before; the last losses are kept.

        After a fit that left the finite range in its first epoch the means start again.
        """
        if not isfinite(self.prequential_sum):
            self.prequential_sum = self.prequential_weight = self.recent_sum = self.recent_weight = 0.0
            self.prequential_rows = 0
        self.prequential_sum += loss * weight
        self.prequential_weight += weight
        self.prequential_rows += n_rows
        keep = exp(-weight / RECENT)
        self.recent_sum = keep * self.recent_sum + (1.0 - keep) * loss
        self.recent_weight = keep * self.recent_weight + (1.0 - keep)
        self.n_chunks += 1
        if self.n_losses >= 2 * KEPT:
            self.n_forgotten += self.n_losses - KEPT
            self.losses, self.n_losses = self.losses[self.n_losses - KEPT : self.n_losses], KEPT

    def count_first_epoch(self, loss: float, weight: float, n_rows: int) -> None:
        """Count the mean loss of the first epoch of a fit in the same way; it is not a chunk."""
        self.count_first_loss(loss, weight, n_rows)
        self.n_chunks -= 1

    def join_chunks(self, weights: Sequence[float]) -> None:
        """Count the last chunks, of these weights, as one, whose loss is the mean of theirs."""
        number = len(weights)
        losses = self.losses[: self.n_losses]
        self.losses = [*losses[:-number], fmean(losses[-number:], weights)]
        self.n_losses, self.n_chunks = len(self.losses), self.n_chunks - number + 1
        self.n_epochs -= number - 1

    def restore_prequential_loss(self, earlier: Self) -> None:
        """Copy the prequential losses of an earlier state, because the samples since then were not new."""
        self.prequential_sum, self.prequential_weight = earlier.prequential_sum, earlier.prequential_weight
        self.recent_sum, self.recent_weight = earlier.recent_sum, earlier.recent_weight
        self.prequential_rows = earlier.prequential_rows
