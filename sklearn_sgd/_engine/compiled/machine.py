"""Drivers as callable objects: compiled, or as plain Python."""

import ctypes
import hashlib
import struct
from collections.abc import Callable, Mapping
from functools import cache
from types import CodeType, FunctionType
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from sklearn_sgd._engine.automatic import credibility
from sklearn_sgd._engine.compiled import store, translate
from sklearn_sgd._engine.compiled.drivers import (
    automatic,
    batch,
    coordinates,
    full_batch,
    layouts,
    lazy_automatic,
    lazy_minibatch,
    lazy_optimizer,
    lazy_penalty,
    lazy_variance_reduced,
    loops,
    minibatch,
    moments,
    normal,
    online,
    online_automatic,
    passive_aggressive,
    sample,
    scores,
    shuffle,
    sparse_sums,
    update_columns,
    variance_reduced,
)
from sklearn_sgd._engine.compiled.drivers.layouts import LAYOUTS, LINE

for module in (
    *(automatic, batch, full_batch, layouts, minibatch, online, online_automatic, passive_aggressive, variance_reduced),
    *(lazy_automatic, lazy_minibatch, lazy_penalty, lazy_variance_reduced, sample, scores, shuffle, sparse_sums),
    *(credibility, lazy_optimizer, loops, moments, normal, update_columns, coordinates),
):
    translate.remember(module)

# Functions that return a driver for a kind of rows.
BUILDERS: dict[str, Callable] = {
    "minibatch": minibatch.build,
    "normal": lambda layout: normal.normal,
    "normal_automatic": lambda layout: normal.normal_automatic,
    "automatic": automatic.build,
    "gradient": full_batch.build,
    "slope": lambda layout: full_batch.slope,
    "variance_reduced": variance_reduced.build,
    "passive_aggressive": passive_aggressive.build,
    "online": lambda layout: online.online,
    "online_automatic": lambda layout: online_automatic.online_automatic,
    "lazy_minibatch": lambda layout: lazy_minibatch.lazy_minibatch,
    "lazy_automatic": lambda layout: lazy_automatic.lazy_automatic,
    "lazy_optimizer": lambda layout: lazy_optimizer.lazy_optimizer,
    "settle": lambda layout: lazy_penalty.settle,
    "update_columns": lambda layout: update_columns.update_columns,
    "coordinates": lambda layout: coordinates.coordinates,
    "sparse_sums": lambda layout: sparse_sums.sparse_sums,
    "lazy_variance_reduced": lambda layout: lazy_variance_reduced.lazy_variance_reduced,
    "in_units": lambda layout: sample.in_units,
    "add_moments": lambda layout: moments.add_moments,
    "permute": lambda layout: shuffle.permute,
    "sum_block": lambda layout: scores.sum_block,
    "see_block": lambda layout: scores.see_block,
    "add_block": lambda layout: scores.add_block,
    "count_block": lambda layout: scores.count_block,
}


# Those that spend their time in products of columns, for which vectors are as wide as they can be.
OF_BLOCKS = "sum_block", "see_block", "add_block", "count_block"

# Those for one kind of rows.
DENSE = "online", "online_automatic", "in_units", "add_moments", "normal", "normal_automatic", "permute", "slope"
ONLY = dict.fromkeys((*DENSE, *OF_BLOCKS), "dense")
LAZY = "lazy_automatic", "lazy_minibatch", "lazy_optimizer", "lazy_variance_reduced"
ONLY |= dict.fromkeys(("settle", "sparse_sums", "update_columns", "coordinates"), "csr")
ONLY |= dict.fromkeys(LAZY, "csr")


def layouts_of(name: str) -> tuple[str, ...]:
    """The kinds of rows that a driver is for."""
    return (ONLY[name],) if name in ONLY else tuple(LAYOUTS)


@cache
def source(name: str, layout: str) -> FunctionType:
    """A driver as plain Python."""
    return BUILDERS[name](LAYOUTS[layout])


@cache
def fingerprint(function: FunctionType) -> str:
    """A hash of the code of a function and of all functions and numbers that it uses in this process."""
    digest = hashlib.sha256()

    def add(value: Any, done: set) -> None:
        if isinstance(value, CodeType):
            digest.update(value.co_code + repr((value.co_names, value.co_varnames)).encode())
            for constant in value.co_consts:
                add(constant, done)
        elif isinstance(value, FunctionType):
            if id(value) in done:
                return
            done.add(id(value))
            digest.update(value.__name__.encode())
            add(value.__code__, done)
            for name in value.__code__.co_names:
                add(value.__globals__.get(name), done)
            for cell in value.__closure__ or ():
                add(cell.cell_contents, done)
        elif isinstance(value, (int, float, str, tuple, bool)):
            digest.update(repr(value).encode())

    add(function, set())
    return digest.hexdigest()


def _data_offset() -> int | None:
    """Offset of the address of the entries in an array object; None if it is not found."""
    sample = np.empty(1)
    slots = (ctypes.c_size_t * 4).from_address(id(sample))
    found = [k for k, slot in enumerate(slots) if slot == sample.ctypes.data]
    return found[0] * ctypes.sizeof(ctypes.c_size_t) if found else None


OFFSET = _data_offset()
_word_at = ctypes.c_size_t.from_address


def address(array: np.ndarray) -> int:
    """The address of the entries of an array.

    It is read from the array object: ``array.ctypes.data`` takes ten times as long, and a call has a dozen arrays.
    """
    return _word_at(id(array) + OFFSET).value if OFFSET is not None else array.ctypes.data


def address_of(array: np.ndarray, dtype: np.dtype) -> int:
    """The address of the entries of an array, which must have that dtype and be contiguous."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(f"A driver takes contiguous arrays of {dtype}; got {array.dtype}.")
    return address(array)


def from_line(memory: np.ndarray) -> np.ndarray:
    """The memory from the first entry that begins a cache line."""
    return memory[-(address(memory) // memory.itemsize) % LINE :]


class Driver:
    """A driver for one precision and kind of rows. It is called with a mapping of its arguments."""

    def __init__(self, name: str, layout: str, kinds: Mapping[str, np.dtype]):
        if kinds["real"] not in (np.float32, np.float64):
            raise TypeError(f"A driver takes numbers of single or double precision; got {kinds['real']}.")
        self.function = source(name, layout)
        hints = get_type_hints(self.function, include_extras=True)
        hints.pop("return")
        self.arguments = {name: hint.__metadata__[0] for name, hint in hints.items()}
        self.kinds = kinds


class PlainDriver(Driver):
    """A driver that runs as plain Python."""

    def __call__(self, values: Mapping[str, Any]) -> float:
        """Run the driver."""
        return self.in_order(*(values[name] for name in self.arguments))

    def in_order(self, *given: Any) -> float:
        """Run the driver with its arguments in order."""
        return float(self.function(*map(_plain, given, self.arguments.values())))


def _plain(value: Any, kind: str) -> Any:
    """An argument for plain Python: arrays are flattened; row numbers get 64 bits, so that products do not overflow."""
    if not isinstance(value, np.ndarray):
        return value
    return value.astype(np.int64) if kind in ("rows", "indices") and len(value) else value.reshape(-1)


class Call(NamedTuple):
    """A driver together with its arguments."""

    driver: Any
    values: dict[str, Any]

    def __call__(self) -> float:
        """Run the driver."""
        return self.driver(self.values)


class CompiledDriver(Driver):
    """A driver that runs as machine code."""

    def __init__(self, name: str, layout: str, kinds: Mapping[str, np.dtype]):
        super().__init__(name, layout, kinds)
        used = {kind: np.dtype(kinds.get(kind, np.uint32)) for kind in ("real", "indices", "rows")}
        marks = "-".join([layout, *(f"{used[kind].name}" for kind in used if self._mentions(kind))])
        made_of = translate.SOURCE, fingerprint(self.function), self.arguments, sorted(used.items(), key=str)
        key = store.key_of("driver", *made_of, name in OF_BLOCKS)
        addresses = store.load(f"{name}-{marks}-{key}", lambda: self._compile(used, name in OF_BLOCKS))
        self.run = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_char_p)(addresses[self.function.__name__])
        numbers = {"real": "f4x" if used["real"] == np.float32 else "d", "double": "d"}
        self.words = struct.Struct("=" + "".join(numbers.get(kind, "q") for kind in self.arguments.values()))
        dtypes = {
            "reals": used["real"],
            "doubles": np.dtype(np.float64),
            "indices": used["indices"],
            "rows": used["rows"],
        }
        self.slots = [(name, dtypes.get(kind)) for name, kind in self.arguments.items()]

    def _mentions(self, kind: str) -> bool:
        return kind in self.arguments.values() or f"{kind}s" in self.arguments.values()

    def _compile(self, kinds, wide):
        return translate.compile_driver(self.function, kinds, wide)

    def __call__(self, values: Mapping[str, Any]) -> float:
        """Run the driver without the interpreter's lock. An array may be passed as an address."""
        return self.run(self.words.pack(*self.words_of(values)))

    def in_order(self, *given: Any) -> float:
        """Run the driver with its arguments in order; arrays must have the dtypes that it takes, and be contiguous."""
        # The body of `address`: a small call has a dozen arrays.
        if OFFSET is None:
            words = [value.ctypes.data if isinstance(value, np.ndarray) else value for value in given]
        else:
            words = [_word_at(id(value) + OFFSET).value if isinstance(value, np.ndarray) else value for value in given]
        return self.run(self.words.pack(*words))

    def words_of(self, values: Mapping[str, Any]) -> list:
        """The arguments as numbers, in order."""
        given = []
        for name, dtype in self.slots:
            value = values[name]
            given.append(value if dtype is None or type(value) is int else address_of(value, dtype))
        return given


class BoundCall:
    """A call of a compiled driver with most arguments fixed. Threads may use it concurrently.

    Each call allocates its own scratch memory, unless this is one of the arguments that change.
    """

    def __init__(self, driver: CompiledDriver, values: dict[str, Any], scratch: tuple[str, ...] = ("work", "sums")):
        self.run, self.pack, self.given, self.kept = driver.run, driver.words.pack, driver.words_of(values), values
        self.places = {name: place for place, (name, _) in enumerate(driver.slots)}
        arrays = {self.places[name]: values[name] for name in scratch if name in self.places}
        self.scratch = [(place, array.shape, array.dtype) for place, array in arrays.items()]

    def __call__(self, changed: Mapping[str, Any]) -> float:
        """Run the driver. Changed arrays, with the dtype and order of those before, may be passed as addresses."""
        given, place_of, word_at, offset, array_type = self.given.copy(), self.places.get, _word_at, OFFSET, np.ndarray
        memory = [(place, np.zeros(shape, dtype)) for place, shape, dtype in self.scratch]
        for place, array in memory:
            given[place] = address(array)
        for name, value in changed.items():
            if (to := place_of(name)) is not None:
                # The body of `address`, as in `in_order`.
                if type(value) is array_type:
                    value = value.ctypes.data if offset is None else word_at(id(value) + offset).value
                given[to] = value
        return self.run(self.pack(*given))


def bound(call: Call, scratch: tuple[str, ...]) -> Callable[[Mapping[str, Any]], float]:
    """A call with fixed arguments, except those passed later, which may be missing here; also in plain Python."""
    if isinstance(call.driver, CompiledDriver):
        return BoundCall(call.driver, dict.fromkeys(call.driver.arguments, 0) | call.values, scratch)
    return lambda changed: call.driver({**call.values, **changed})
