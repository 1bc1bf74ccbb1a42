"""Reading ahead: items are made in a thread while the ones before are used."""

from collections.abc import Generator, Iterable
from queue import Empty, Full, Queue
from threading import Event, Thread
from time import monotonic
from typing import TypeVar

Item = TypeVar("Item")

# Seconds between two looks at whether the reader should stop; seconds that a reader which must stop is waited for.
LOOK, PATIENCE = 0.05, 5.0


def read_ahead(items: Iterable[Item], depth: int, deadline: float = float("inf")) -> Generator[Item, None, None]:
    """The same items, up to ``depth`` of them made in advance; 0: none, by the caller's own thread.

    What the items raise is raised here, after those before it. When this generator ends or is closed, so does the
    thread; only one that waits for its items without end is left behind, since no thread can be ended from outside.
    Nothing is waited for past the deadline.
    """
    if not depth:
        yield from items
        return
    queue: Queue = Queue(depth)
    unwanted = Event()

    def offer(what) -> bool:
        while not unwanted.is_set():
            try:
                queue.put(what, timeout=LOOK)
                return True
            except Full:
                continue
        return False

    def read():
        # An iterator is ended by the thread that runs it.
        iterator = iter(items)
        try:
            for item in iterator:
                if not offer((item, None, False)):
                    break
            else:
                offer((None, None, True))
        except BaseException as error:
            offer((None, error, True))
        finally:
            getattr(iterator, "close", int)()

    thread = Thread(target=read, name="sklearn_sgd-reader", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item, error, last = queue.get(timeout=max(0.0, min(deadline - monotonic(), 1e6)))
            except Empty:
                return
            if error is not None:
                raise error
            if last:
                return
            yield item
    finally:
        unwanted.set()
        thread.join(PATIENCE)
