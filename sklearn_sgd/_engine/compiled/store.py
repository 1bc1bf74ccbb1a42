"""Machine code on disk: object files are stored under the hash of their source, and loaded into the process.

A file is written under another name and then renamed, so that several processes may write the same file at the same
time. It contains a checksum; a file with a wrong checksum, or one that cannot be read, is compiled again. If no folder
can be written, nothing is stored. Files that another user wrote there are still read.
"""

import contextlib
import hashlib
import json
import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from sklearn_sgd._engine.locks import ForkSafeLock

# Functions of the C library's mathematics: all that machine code may call outside itself.
_NAMES = """
    exp expm1 exp2 log log1p log2 log10 pow sqrt cbrt hypot fabs copysign fma fmod floor ceil trunc round rint erf erfc
    sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh tgamma lgamma memset memcpy memmove
"""
MATHEMATICS = {name + suffix for name in _NAMES.split() for suffix in ("", "f")}


def missing() -> str | None:
    """The reason why nothing can be compiled; None if it can."""
    try:
        import llvmlite.binding  # noqa: F401
    except ImportError as error:
        return str(error)
    return None


@cache
def target() -> tuple[str, str]:
    """Name and features of the target processor; NUMBA_CPU_NAME and NUMBA_CPU_FEATURES replace them.

    Entries that are far apart are loaded one by one: on most processors this is faster than to gather them as a vector.
    """
    from llvmlite import binding

    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    if features is None:
        features = binding.get_host_cpu_features().flatten()
        if "+avx2" in features and tuple(map(int, binding.llvm_version_info)) >= (17,):
            features += ",+prefer-no-gather"
    return name or binding.get_host_cpu_name(), features


@cache
def processor() -> str:
    """What machine code depends on besides its source: the processor and the version of llvmlite."""
    import llvmlite
    from llvmlite import binding

    return " ".join((llvmlite.__version__, binding.get_process_triple(), *target()))


def key_of(*described: Any) -> str:
    """The key of machine code with this description, on this processor."""
    return hashlib.sha256(repr((processor(), *described)).encode()).hexdigest()[:40]


def hash_of_files(*paths: str) -> str:
    """The hash of the content of files, for a key."""
    return hashlib.sha256(b"".join(Path(path).read_bytes() for path in paths)).hexdigest()


def folders() -> list[Path]:
    """Folders for object files, in the order in which they are tried.

    SKLEARN_SGD_CACHE_DIR, or NUMBA_CACHE_DIR, which many images and clusters set already; else the package itself and
    the user's cache.
    """
    given = os.environ.get("SKLEARN_SGD_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    return [Path(given) / "sklearn_sgd"] if given else _own_folders()


@cache
def _own_folders() -> list[Path]:
    base = {"win32": os.environ.get("LOCALAPPDATA"), "darwin": "~/Library/Caches"}.get(sys.platform)
    user, places = Path(os.environ.get("XDG_CACHE_HOME") or base or "~/.cache"), [Path(__file__).parent / "__pycache__"]
    with contextlib.suppress(RuntimeError):  # There is no home directory.
        places.append(user.expanduser() / "sklearn_sgd")
    return places


def read(name: str) -> tuple[dict[str, str], bytes] | None:
    """The symbols and the object code of a file, if it exists and is undamaged. Its folder need not be writable."""
    for place in folders():
        with contextlib.suppress(OSError, ValueError):
            digest, head, code = (place / f"{name}.o").read_bytes().split(b"\n", 2)
            if digest.decode() == hashlib.sha256(head + code).hexdigest():
                return json.loads(head), code
    return None


def write(name: str, symbols: dict[str, str], code: bytes) -> Path | None:
    """Write object code to the first folder that can be written, and return that folder; None if there is none."""
    head = json.dumps(symbols).encode()
    digest = hashlib.sha256(head + code).hexdigest().encode()
    for place in folders():
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            number, path = tempfile.mkstemp(dir=place, suffix=".tmp")
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(b"\n".join((digest, head, code)))
                Path(path).replace(place / f"{name}.o")
                return place
            finally:
                Path(path).unlink(missing_ok=True)
    return None


class Loaded:
    """Object code loaded into this process, with the address of each of its functions."""

    def __init__(self, symbols: dict[str, str], code: bytes):
        from llvmlite import binding

        self.engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine())
        self.engine.add_object_file(binding.ObjectFileRef.from_data(code))
        self.engine.finalize_object()
        self.addresses = {name: self.engine.get_function_address(symbol) for name, symbol in symbols.items()}


def machine(wide: bool = False):
    """LLVM's target machine for this processor; with ``wide``, for vectors of 512 bits, if it has any.

    LLVM avoids them on processors of which some slow down at first. Matrix products of BLAS use them, too.
    """
    from llvmlite import binding

    _initialize()
    cpu, features = target()
    if wide and "+avx512f" in features:
        features += ",-prefer-256-bit"
    triple = binding.Target.from_default_triple()
    return triple.create_target_machine(
        cpu=cpu, features=features, opt=3, jit=True, reloc="default", codemodel="jitdefault"
    )


@cache
def _initialize() -> None:
    from llvmlite import binding

    if tuple(map(int, binding.llvm_version_info)) < (20,):
        binding.initialize()
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()


def optimised(module, wide: bool = False) -> bytes:
    """Object code of a module, after LLVM's passes; see `machine`."""
    from llvmlite import binding

    made_for = machine(wide)
    options = binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = options.loop_interleaving = options.loop_unrolling = True
    builder = binding.create_pass_builder(made_for, options)
    builder.getModulePassManager().run(module, builder)
    if foreign := foreign_functions(module):
        raise ValueError(f"Machine code may call mathematics only; this calls {', '.join(foreign)}.")
    return made_for.emit_object(module)


# Machine code stays for the life of the process: addresses are numbers, which keep nothing alive.
_loaded: dict[str, Loaded] = {}
_lock = ForkSafeLock()

# Number of compilations in this process.
compilations = 0

# Seconds of compiling after which a line is printed.
SLOW = 2.0
NOT_STORED = "not stored, because no folder can be written: set SKLEARN_SGD_CACHE_DIR to one that can"


# Its lines go to stderr, unless the user configures logging.
logger = logging.getLogger("sklearn_sgd")


class Wait:
    """The time that a user has been waiting for the compiler.

    A fit compiles a few functions, one after the other. Those that follow each other within a second count as one wait.
    """

    functions, seconds, last = 0, 0.0, -math.inf

    def add(self, start: float, end: float, folder: Path | None) -> None:
        """Add a function that was compiled in this time; print a line if the wait is long."""
        if start - self.last > 1.0:
            self.functions, self.seconds = 0, 0.0
        self.functions, self.seconds, self.last = self.functions + 1, self.seconds + end - start, end
        if self.seconds > SLOW:
            later = f"stored in {folder}, so later fits load it" if folder else NOT_STORED
            functions = "1 function" if self.functions == 1 else f"{self.functions} functions"
            logger.warning("sklearn_sgd compiled %s in %.1f s. The machine code is %s.", functions, self.seconds, later)
            self.functions, self.seconds = 0, 0.0


_wait = Wait()


def load(name: str, make: Callable[[], tuple[dict[str, str], bytes]]) -> dict[str, int]:
    """Addresses of the functions of that name: already loaded, from disk, or compiled now."""
    global compilations
    with _lock:
        if name not in _loaded:
            known = read(name)
            if known is None:
                compilations += 1
                start, known = time.monotonic(), make()
                _wait.add(start, time.monotonic(), write(name, *known))
            _loaded[name] = Loaded(*known)
        return _loaded[name].addresses


def foreign_functions(module) -> list[str]:
    """Functions that an LLVM module calls outside itself and the C library's mathematics."""
    text = str(module)
    names = [f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm.")]
    return sorted(name for name in names if name not in MATHEMATICS and text.count(f"@{name}(") > 1)
