"""Read-ahead: a thread makes the next items while the caller uses the current one."""

from collections.abc import Generator
from contextlib import closing
from math import inf
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from time import monotonic
from typing import TypeVar

Item = TypeVar("Item")

# Seconds that the caller waits for the thread to end; and for an item, before it checks the deadline again, because no
# platform waits longer than some days at a time.
PATIENCE, LOOK = 5.0, 60.0


def prefetch(items: Generator[Item, None, None], depth: int, deadline: float = inf) -> Generator[Item, None, None]:
    """Yield the same items, up to ``depth`` of which a thread makes in advance; with 0 there is no thread.

    Where no thread can be started, as in a browser, the caller's thread makes the items.

    An exception of ``items`` is raised here, after the items before it. No item is waited for after the deadline. When
    this generator ends or is closed, ``items`` is closed by the thread that runs it, and the thread ends.

    The thread is a daemon, not one of a ThreadPoolExecutor: at the end of a process Python joins the threads of
    executors. A source that waits for its next chunk without end, such as a queue without messages, would then keep
    the process alive after the time budget is spent.
    """
    if not depth:
        yield from items
        return
    results: SimpleQueue = SimpleQueue()
    # The first item needs no permit.
    permits, stopped = Semaphore(depth - 1), Event()

    def read() -> None:
        try:
            with closing(items):
                for item in items:
                    results.put((item, None, False))
                    permits.acquire()
                    if stopped.is_set():
                        return
            results.put((None, None, True))
        except BaseException as error:
            results.put((None, error, True))

    thread = Thread(target=read, name="sklearn_sgd-reader", daemon=True)
    if not _starts(thread):
        yield from items
        return
    try:
        while True:
            try:
                item, error, last = results.get(timeout=min(max(0.0, deadline - monotonic()), LOOK))
            except Empty:
                if monotonic() >= deadline:
                    return
                if not thread.is_alive() and results.empty():
                    # As in a forked process, which has no threads of its parent.
                    raise RuntimeError("The thread that reads the source ended without a result.") from None
                continue
            if error is not None:
                raise error
            if last:
                return
            permits.release()
            yield item
    finally:
        stopped.set()
        permits.release()
        thread.join(PATIENCE)


def _starts(thread: Thread) -> bool:
    """Start a thread; return False if the system does not allow another one."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True
