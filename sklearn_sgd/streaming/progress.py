"""Progress: what is told after each chunk, and a bar of it."""

import sys
from time import monotonic
from typing import NamedTuple

__all__ = ["Progress"]

# Seconds between two lines on a terminal, and elsewhere; characters of the bar.
TERMINAL, LOG, WIDTH = 0.1, 10.0, 24


class Progress(NamedTuple):
    """Where :func:`fit_stream` stands.

    Parameters
    ----------
    epoch : int
        The running one, from 1 on.
    chunk : int
        Chunks of it, from 1 on.
    n_rows : int
        Rows so far, in all epochs.
    seconds : float
        Since the call.
    rows_per_second : float
        Of this call.
    loss : float or None
        The estimator's `prequential_loss_`, if it has one.
    recent_loss : float or None
        Its `recent_loss_`.
    share : float or None
        Of all rows of all epochs, if the source tells how many there are.

    Examples
    --------
    >>> from sklearn_sgd import OnlineSGDRegressor
    >>> from sklearn_sgd.streaming import fit_stream
    >>> chunks = [([[1.0]], [2.0]), ([[2.0]], [3.0])]
    >>> model = fit_stream(OnlineSGDRegressor(), chunks, progress=lambda now: print(now.epoch, now.chunk, now.n_rows))
    1 1 1
    1 2 2
    """

    epoch: int
    chunk: int
    n_rows: int
    seconds: float
    rows_per_second: float
    loss: float | None
    recent_loss: float | None
    share: float | None

    def __str__(self) -> str:
        """Write it in one line."""
        line = f"epoch {self.epoch}  {self.n_rows:,} rows  {self.rows_per_second:,.0f} rows/s"
        if self.loss is not None:
            line += f"  loss {self.loss:.6g}"
        if self.recent_loss is not None:
            line += f"  recent {self.recent_loss:.6g}"
        if self.share is not None:
            done = round(WIDTH * self.share)
            line = f"[{'#' * done}{'.' * (WIDTH - done)}] {100 * self.share:3.0f} %  {line}"
        return line


class Bar:
    """A line on standard error that is overwritten on a terminal; elsewhere, a new one now and then."""

    def __init__(self):
        self.terminal, self.next, self.now, self.width = sys.stderr.isatty(), 0.0, None, 0

    def __call__(self, now: Progress) -> None:
        self.now = now
        if monotonic() >= self.next:
            self.write()

    def write(self) -> None:
        """The line for what is known last."""
        line = f"{self.now}"
        print(line.ljust(self.width), end="\r" if self.terminal else "\n", file=sys.stderr, flush=True)
        self.now, self.width = None, len(line) if self.terminal else 0
        self.next = monotonic() + (TERMINAL if self.terminal else LOG)

    def close(self) -> None:
        """Leave the last line standing."""
        if self.now:
            self.write()
        if self.terminal:
            print(file=sys.stderr)
