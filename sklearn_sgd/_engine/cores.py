"""The cores that a fit uses: one pool of threads, closed at its end, and no threads of BLAS beside it.

A fit computes hundreds of products of small matrices. BLAS would use its threads for each of them. If other processes
use the cores, these threads wait for each other a hundred times as long as a product takes. So segments of samples are
distributed over a pool of the package, and each product is computed in one thread. Sums are computed in the order of
the segments, so the bits do not depend on the number of threads.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from threading import current_thread, main_thread
from typing import Any

from sklearn_sgd._compat import blas_libraries, openmp_effective_n_threads, set_blas_threads
from sklearn_sgd._engine.locks import ForkSafeLock


def threads() -> int:
    """Number of threads for a fit: that of OpenMP, which joblib limits in its processes; 1 outside the main thread."""
    return openmp_effective_n_threads() if current_thread() is main_thread() else 1


class Pool:
    """Threads that are started when they are first needed."""

    def __init__(self) -> None:
        self.executor: ThreadPoolExecutor | None = None
        self.number = threads()

    def map(self, function: Callable, *values: Iterable) -> Iterator:
        """Apply a function to values; the results are in the order of the values."""
        if self.number < 2:
            return map(function, *values)
        if self.executor is None:
            self.executor = ThreadPoolExecutor(self.number, thread_name_prefix="sklearn_sgd")
        return self.executor.map(function, *values)

    def close(self) -> None:
        """End the threads."""
        if self.executor is not None:
            self.executor.shutdown()


_pool: ContextVar[Pool | None] = ContextVar("pool", default=None)


@contextmanager
def cores() -> Iterator[None]:
    """Use one pool of threads for a fit, during which BLAS uses one thread."""
    pool = Pool()
    token = _pool.set(pool)
    try:
        with one_blas_thread():
            yield
    finally:
        _pool.reset(token)
        pool.close()


def map_on_cores(function: Callable, *values: Iterable) -> Iterator:
    """Apply a function to values, in the threads of the fit; outside a fit one after the other."""
    pool = _pool.get()
    return pool.map(function, *values) if pool else map(function, *values)


_lock, _users, _numbers = ForkSafeLock(), 0, list[tuple[Any, int]]()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS use one thread in the whole process; the last of several users restores the number."""
    global _users
    with _lock:
        if not _users:
            _numbers[:] = [(library, library.get_num_threads()) for library in blas_libraries()]
            _numbers[:] = [(library, number) for library, number in _numbers if (number or 1) > 1]
            for library, _ in _numbers:
                set_blas_threads(library, 1)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                for library, number in _numbers:
                    set_blas_threads(library, number)
