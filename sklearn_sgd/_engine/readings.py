"""How much of X a fit reads: functions that read rows count them, for the fit that runs around them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Readings:
    """The number of rows read so far; a row counts as often as it is read."""

    rows: int = 0


_current: ContextVar[Readings | None] = ContextVar("readings", default=None)


@contextmanager
def counting() -> Iterator[Readings]:
    """Count the rows that are read within a block."""
    readings = Readings()
    token = _current.set(readings)
    try:
        yield readings
    finally:
        _current.reset(token)


def count_rows(number: int) -> None:
    """Count rows that are read; without effect where nothing counts, as in threads of a pass."""
    readings = _current.get()
    if readings is not None:
        readings.rows += number
