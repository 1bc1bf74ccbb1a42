"""Locks that a forked process begins anew: a thread that held one is not there, and would never release it."""

import os
from threading import RLock


class ForkSafeLock:
    """A lock of a process, which the thread that holds it may take again."""

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
