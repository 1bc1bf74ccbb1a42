"""Plain values in a ZIP archive: a JSON file, and a file in NumPy's format for each array. Reading it cannot run code.

NumPy reads such an archive, too: ``numpy.load(path)``. The files are not compressed, which would take ten times as long
as to force them to the disk; the archive has a checksum of each.
"""

import json
import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import IO, Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import numpy as np

JSON = "checkpoint.json"

# Kinds of arrays that contain their values, not references to objects.
KINDS = "biufcSUmM"


class NotPlain(TypeError):
    """A value that an archive cannot contain. The message names its place."""


class Unsaved:
    """Placeholder in an archive for an object that it cannot contain: the name of the parameter, and its type."""

    def __init__(self, name: str, kind: str):
        self.name, self.kind = name, kind


def write_archive(file: IO[bytes], comment: str, content: Mapping[str, Any]) -> None:
    """Write plain values."""
    arrays: dict[str, np.ndarray] = {}
    names: dict[int, str] = {}

    def add(array: np.ndarray) -> str:
        # Arrays that are one object are written once.
        if id(array) not in names:
            names[id(array)] = name = f"array_{len(arrays)}.npy"
            arrays[name] = array
        return names[id(array)]

    tree = {name: _encoded(value, name, add) for name, value in content.items()}
    with ZipFile(file, "w") as archive:
        archive.comment = comment.encode()
        archive.writestr(JSON, json.dumps(tree))
        for name, array in arrays.items():
            with archive.open(name, "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, array, allow_pickle=False)


def is_plain(value: Any) -> bool:
    """Return whether an archive can contain a value."""
    try:
        _encoded(value, "", lambda array: "")
    except NotPlain:
        return False
    return True


def read_comment(content: bytes) -> str:
    """Return the comment of an archive."""
    with ZipFile(BytesIO(content)) as archive:
        return archive.comment.decode()


def read_archive(content: bytes) -> dict[str, Any]:
    """Return what `write_archive` wrote; a ValueError or a BadZipFile if it is damaged."""
    arrays: dict[str, np.ndarray] = {}
    with ZipFile(BytesIO(content)) as archive:
        # Compressed content may be much larger than the file.
        if any(entry.compress_type != ZIP_STORED for entry in archive.infolist()):
            raise BadZipFile("it is compressed")

        def array(name: str) -> np.ndarray:
            if name not in arrays:
                arrays[name] = _read_array(archive.read(name))
            return arrays[name]

        try:
            tree = json.loads(archive.read(JSON))
            return {name: _decoded(value, array) for name, value in tree.items()}
        except (AttributeError, IndexError, KeyError, RecursionError, TypeError, struct.error) as error:
            raise ValueError(f"it cannot be read: {error!r}") from error


def _read_array(content: bytes) -> np.ndarray:
    """Return an array from NumPy's format; the number of bytes must be that of its header."""
    file = BytesIO(content)
    version = np.lib.format.read_magic(file)
    header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, is_fortran, dtype = header(file)
    values = content[file.tell() :]
    if dtype.kind not in KINDS or dtype.itemsize * int(np.prod(shape, dtype=object)) != len(values):
        raise ValueError(f"an array of {dtype} and shape {shape} is not in {len(values)} bytes")
    # A copy, which is aligned and can be written.
    return np.frombuffer(values, dtype).reshape(shape, order="F" if is_fortran else "C").copy("K")


def _encoded(value: Any, where: str, add: Callable[[np.ndarray], str]) -> Any:
    """Return a value as JSON. A type that JSON lacks becomes a dictionary with one entry, the name of the type."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind in (list, tuple):
        items = [_encoded(item, f"{where}[{number}]", add) for number, item in enumerate(value)]
        return items if kind is list else {"tuple": items}
    if kind is dict:
        items = [[_encoded(x, f"{where}[{key!r}]", add) for x in (key, item)] for key, item in value.items()]
        return {"dict": items}
    if kind is np.ndarray and value.dtype.kind in KINDS:
        return {"array": add(value)}
    if kind is np.ndarray and value.ndim == 1 and all(type(item) is str for item in value):
        return {"strings": value.tolist()}
    if isinstance(value, np.generic) and value.dtype.kind in KINDS:
        return {"scalar": add(np.asarray(value))}
    if kind is np.random.RandomState:
        return {"RandomState": _encoded(value.get_state(legacy=True), where, add)}
    if kind is Unsaved:
        return {"unsaved": [value.name, value.kind]}
    raise NotPlain(f"{where} is of type {kind.__name__}")


def _decoded(value: Any, array: Callable[[str], np.ndarray]) -> Any:
    """Return a value from its form in JSON."""
    if isinstance(value, list):
        return [_decoded(item, array) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return array(content)
    if kind == "scalar":
        return array(content)[()]
    if kind == "strings":
        return np.array(list(map(str, content)), dtype=object)
    if kind == "unsaved":
        return Unsaved(*map(str, content))
    items = _decoded(content, array)
    if kind == "tuple":
        return tuple(items)
    if kind == "dict":
        return dict(items)
    if kind == "RandomState":
        state = np.random.RandomState()
        state.set_state(items)
        return state
    raise ValueError(f"there is no type {kind!r}")
