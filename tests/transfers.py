"""Counts what goes between the host and arrays of other libraries, also of those that are on the host themselves."""

from contextlib import contextmanager

import numpy as np

# Operations of torch that start nothing on a device.
VIEWS = {
    "_unsafe_view", "alias", "as_strided", "detach", "empty", "empty_like", "expand", "lift_fresh", "permute", "select",
    "slice", "split", "squeeze", "t", "transpose", "unsqueeze", "view",
}  # fmt: skip


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


class Work:
    """How many ``operations`` torch started, and how many ``readings`` of a tensor these were."""

    def __init__(self):
        self.operations, self.readings = 0, 0.0


@contextmanager
def working(X):
    """Count the operations of torch, and the readings of X, while the block runs."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    work, place = Work(), X.untyped_storage().data_ptr()

    class Operations(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            name, result = function.overloadpacket.__name__, function(*args, **kwargs or {})
            if name not in VIEWS:
                work.operations += 1
                read = [a for a in args if isinstance(a, torch.Tensor) and a.untyped_storage().data_ptr() == place]
                # Of rows that are gathered by their numbers, as many are read as are made.
                sizes = [result.numel() if name == "index_select" else a.numel() for a in read]
                work.readings += sum(sizes) / X.numel()
            return result

    with Operations():
        yield work


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
