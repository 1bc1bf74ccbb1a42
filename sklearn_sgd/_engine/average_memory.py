"""How many samples the average of a stream remembers, after changes of parameters."""

from dataclasses import dataclass


@dataclass(kw_only=True)
class AverageMemory:
    """The memory of an average. A new average begins with the number of samples that the former one remembers.

    ``memory`` is that number; None for all since the first ``n_forgotten_samples``.
    """

    memory: float | None = None
    n_forgotten_samples: int = 0

    def keep_memory(self, most: float) -> None:
        """Remember at most ``most`` samples from here on."""
        self.memory = most if self.memory is None else min(self.memory, most)

    def remembered(self, n_samples: int) -> float:
        """Return how many of ``n_samples`` samples, counted once per epoch, are remembered."""
        kept = float(n_samples - self.n_forgotten_samples)
        return kept if self.memory is None else min(self.memory, kept)

    def count_from_memory(self, n_samples: int) -> None:
        """Forget the samples that are not remembered."""
        if self.memory is not None:
            self.n_forgotten_samples = max(self.n_forgotten_samples, n_samples - int(self.memory))
            self.memory = None
