"""A table of numbers whose rows can be replaced without copying the others, while earlier versions stay readable.

References
----------
Baker, H. G., "Shallow binding makes functional arrays fast", ACM SIGPLAN Notices 26, 1991: the newest version has the
numbers, and each earlier version has the rows in which it differs from its successor.
"""

import numpy as np

from sklearn_sgd._engine.locks import ForkSafeLock

_lock = ForkSafeLock()


class Table:
    """A version of a table.

    Replacing rows costs the size of these rows. Reading the newest version costs nothing more. If an earlier version is
    read after it got a successor, it is copied first, which costs the size of the table. Threads may read any version
    at any time.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_numbers), in C order
        The numbers. The table takes ownership of the array.
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
        """Return a version in which these rows are replaced."""
        with _lock:
            own = self._own()
            self._before, self._successor = (numbers, own.take(numbers, axis=0)), Table(own)
            # From here on this version is read through its successor, so that an interrupt does not damage it.
            self._rows = None
            # NumPy assigns items of so many bytes in less than half the time of rows.
            item = np.dtype((np.void, own.itemsize * own.shape[1]))
            own.view(item)[:, 0][numbers] = rows.view(item)[:, 0]
            return self._successor

    def _own(self) -> np.ndarray:
        """Return the numbers of this version, in an array that no other version changes."""
        if self._rows is None:
            # All versions up to the newest, in the order in which their changes are undone.
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
