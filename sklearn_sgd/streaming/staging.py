"""Rows on their way to the device of a model: a chunk is copied while the device works on the one before."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from sklearn_sgd._namespace import device, dispatches, host, namespace, on_device, scratch_bytes

# Bytes of a chunk for a card, if it has room: a bus copies them in a millisecond or more, ten times as long as what
# Python does between two chunks.
CHUNK = 1 << 26


class Staged(NamedTuple):
    """Rows on a device; with a stream and an event if the copy may still be under way."""

    rows: Any
    event: Any = None
    current_stream: Callable | None = None

    def arrived(self) -> Any:
        """Return the rows, for work on the current stream of this thread, which waits for the copy."""
        if self.current_stream is not None:
            stream = self.current_stream(self.rows.device)
            stream.wait_event(self.event)
            # Their memory belongs to the stream of the copies, which must not fill it again before they were used.
            self.rows.record_stream(stream)
        return self.rows


class PinnedCopies:
    """Copies NumPy rows to a card by a stream of its own, from page-locked memory: only then the bus works alongside.

    torch gives the page-locked memory of a chunk to another one after the copy is done, not before. Apart from the
    chunks that are read ahead there are no buffers.
    """

    def __init__(self, torch: Any, place: Any):
        self.torch, self.place, self.stream = torch, place, torch.cuda.Stream(place)

    def __call__(self, X: np.ndarray) -> Staged:
        """Begin the copy of some rows, in any thread."""
        torch = self.torch
        buffer = torch.empty(X.shape, dtype=torch.from_numpy(np.empty(0, X.dtype)).dtype, pin_memory=True)
        if X.flags.writeable:
            buffer.copy_(torch.from_numpy(X))  # By several threads.
        else:
            buffer.numpy()[...] = X  # torch would warn of such an array.
        with torch.cuda.stream(self.stream):
            rows = buffer.to(self.place, non_blocking=True)
            return Staged(rows, self.stream.record_event(), torch.cuda.current_stream)


def is_elsewhere(coef: Any) -> bool:
    """Return whether rows must be brought to where these coefficients are."""
    return not (coef is None or sparse.issparse(coef)) and dispatches(coef)


def chunk_bytes(coef: Any) -> int | None:
    """Return the bytes of a chunk for the device of these coefficients; None for the host."""
    return min(CHUNK, scratch_bytes(coef)) if is_elsewhere(coef) else None


def stager(coef: Any) -> Callable[[Any], Staged]:
    """Return the function that brings rows to where these coefficients are, from NumPy or another device.

    It may be called in another thread, which has its own scikit-learn configuration.
    """
    if not is_elsewhere(coef):
        return Staged
    there, asarray, kind = device(coef), namespace(coef).asarray, type(coef)
    pinned = PinnedCopies(sys.modules["torch"], there) if getattr(there, "type", None) == "cuda" else None

    def stage(X: Any) -> Staged:
        if isinstance(X, np.ndarray):
            return pinned(X) if pinned else Staged(asarray(X, device=there))
        return Staged(on_device(X, there) if type(X) is kind and device(X) != there else X)

    return stage


def back(y: Any, X: Any) -> Any:
    """Return predictions to where the rows came from."""
    if isinstance(X, np.ndarray):
        return host(y)
    return on_device(y, device(X)) if type(y) is type(X) and device(y) != device(X) else y
