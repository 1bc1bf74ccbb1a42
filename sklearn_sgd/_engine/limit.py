"""When a search at the end of a fit ends before it has found the minimum."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Limit:
    """The time budget of a fit, and interrupts (Ctrl-C).

    ``reason``, one of those for which a fit stops, is None until a search was cut.
    """

    reason: str | None = None

    def __init__(self, is_past: Callable[[], bool] = lambda: False):
        """``is_past`` returns whether the time budget is used up."""
        self.is_past = is_past

    def is_over(self) -> bool:
        """Return whether a search ends now."""
        if self.reason is None and self.is_past():
            self.reason = "time_budget"
        return self.reason is not None

    @contextmanager
    def noting_interrupts(self) -> Iterator[None]:
        """End what is done in this context at an interrupt, and all searches after it."""
        try:
            yield
        except KeyboardInterrupt:
            self.reason = "interrupted"
