"""A table of numbers of which rows are replaced without a copy of the others, while earlier versions stay readable.

References
----------
Baker, H. G., "Shallow binding makes functional arrays fast", ACM SIGPLAN Notices 26, 1991: the newest version holds the
numbers, and each earlier one what it had in the place of its successor's.
"""

import numpy as np

from sklearn_sgd._engine.locks import ForkSafeLock

_lock = ForkSafeLock()


class Table:
    """A version of a table.

    To replace rows costs those rows. To read the newest version is free; an earlier one is copied when it is first read
    after its successor was made, which costs the whole table. Threads may read any version at any time.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_numbers)
        The numbers, which belong to the table from then on.
    """

    def __init__(self, rows: np.ndarray):
        self._rows: np.ndarray | None = rows
        self._successor: Table | None = None
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def take(self, numbers: np.ndarray) -> np.ndarray:
        """Return a copy of some rows."""
        with _lock:
            return self._own().take(numbers, axis=0)

    def numbers(self) -> np.ndarray:
        """Return a copy of all rows."""
        with _lock:
            return self._own().copy()

    def replaced(self, numbers: np.ndarray, rows: np.ndarray) -> "Table":
        """Return the version with other rows in the place of those."""
        with _lock:
            own = self._own()
            self._before, self._successor = (numbers, own.take(numbers, axis=0)), Table(own)
            # This version is read by way of its successor from here on, so that an interrupt leaves it as it is.
            self._rows = None
            own[numbers] = rows
            return self._successor

    def _own(self) -> np.ndarray:
        """Return the numbers of this version, which no other version changes."""
        if self._rows is None:
            # All versions up to the newest, the first to be undone first.
            versions, version = list[Table](), self
            while version._rows is None:
                versions.append(version)
                assert version._successor is not None
                version = version._successor
            rows = version._rows.copy()
            for earlier in reversed(versions):
                assert earlier._before is not None
                numbers, before = earlier._before
                rows[numbers] = before
            self._rows, self._successor, self._before = rows, None, None
        return self._rows
