"""Counts what goes between the host and arrays of other libraries, also of those that are on the host themselves."""

from contextlib import contextmanager

import numpy as np


class Transfers:
    """How often numbers were ``read`` by the host, and ``sent`` from it."""

    def __init__(self):
        self.read = self.sent = 0


@contextmanager
def counted(name, monkeypatch):
    """Count the transfers of a library while the block runs."""
    with {"torch": _of_torch, "array_api_strict": _of_strict}[name](monkeypatch) as transfers:
        yield transfers


@contextmanager
def _of_torch(monkeypatch):
    import torch
    from torch.overrides import TorchFunctionMode
    from torch.utils._python_dispatch import TorchDispatchMode

    transfers = Transfers()
    sending = {torch.asarray, torch.as_tensor, torch.tensor, torch.from_numpy}

    class Functions(TorchFunctionMode):
        """Whole arrays: a tensor is made, or becomes an array of NumPy or a list."""

        def __torch_function__(self, function, types, args=(), kwargs=None):
            transfers.sent += function in sending and not isinstance(args[0], torch.Tensor)
            name = getattr(function, "__name__", "")
            transfers.read += name in ("numpy", "__array__", "tolist")
            return function(*args, **kwargs or {})

    class Operations(TorchDispatchMode):
        """What the host waits for: single numbers (item, float, bool, int), and shapes that depend on values."""

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            transfers.read += any(name in str(function) for name in ("_local_scalar_dense", "nonzero", "masked_select"))
            return function(*args, **kwargs or {})

    with Functions(), Operations():
        yield transfers


@contextmanager
def _of_strict(monkeypatch):
    import array_api_strict

    transfers, kind, asarray = Transfers(), type(array_api_strict.asarray(0.0)), array_api_strict.asarray

    def reading(method):
        def counting(*args, **kwargs):
            transfers.read += 1
            return method(*args, **kwargs)

        return counting

    def sending(values, *args, **kwargs):
        transfers.sent += isinstance(values, np.ndarray)
        return asarray(values, *args, **kwargs)

    with monkeypatch.context() as context:
        for name in ("__float__", "__bool__", "__int__", "__index__", "__array__", "__buffer__"):
            if hasattr(kind, name):
                context.setattr(kind, name, reading(getattr(kind, name)))
        context.setattr(array_api_strict, "asarray", sending)
        yield transfers
