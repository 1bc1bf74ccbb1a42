"""Locks that are new in a forked process, in which the thread that held one does not exist."""

import os
from threading import RLock


class ForkSafeLock:
    """A reentrant lock, which is replaced by a new one in a forked process."""

    def __init__(self):
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *exception) -> None:
        self._lock.release()
