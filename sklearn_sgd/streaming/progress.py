"""The progress of fit_stream after each chunk, and a bar that shows it.

The bar is written here because no dependency has one: scikit-learn's ProgressBar (since 1.9) needs rich, and an
estimator with callbacks, whereas fit_stream takes any estimator with `partial_fit`.
"""

import sys
from time import monotonic
from typing import NamedTuple

__all__ = ["Progress"]

# Seconds between updates on a terminal and in a log; characters of the bar.
TERMINAL, LOG, WIDTH = 0.1, 10.0, 24


class Progress(NamedTuple):
    """The progress of a call of :func:`fit_stream`.

    Parameters
    ----------
    epoch : int
        Number of the current epoch, from 1 on.
    chunk : int
        Number of the last chunk in it, from 1 on.
    n_rows : int
        Number of samples so far, in all epochs.
    seconds : float
        Seconds since the call.
    rows_per_second : float
        Speed of this call.
    loss : float or None
        `prequential_loss_` of the estimator, if it has one.
    recent_loss : float or None
        `recent_loss_` of the estimator, if it has one.
    share : float or None
        Share of the samples of all epochs, if the source has a known number of rows.

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
        """Return one line of text."""
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
    """A line on standard error: overwritten on a terminal, elsewhere a new one now and then."""

    def __init__(self):
        self.terminal, self.next, self.pending, self.width = sys.stderr.isatty(), 0.0, None, 0

    def __call__(self, progress: Progress) -> None:
        self.pending = progress
        if monotonic() >= self.next:
            self.write()

    def write(self) -> None:
        """Write the last progress."""
        line = f"{self.pending}"
        print(line.ljust(self.width), end="\r" if self.terminal else "\n", file=sys.stderr, flush=True)
        self.pending, self.width = None, len(line) if self.terminal else 0
        self.next = monotonic() + (TERMINAL if self.terminal else LOG)

    def close(self) -> None:
        """Write the last progress, if it is not shown yet, and end the line."""
        if self.pending:
            self.write()
        if self.terminal:
            print(file=sys.stderr)
