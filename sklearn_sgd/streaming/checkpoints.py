"""Checkpoints: the estimator and its position in a source, in one file that is replaced as a whole."""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._base.estimator import BaseGDRegressor
from sklearn_sgd._base.saving import KEYS
from sklearn_sgd._namespace import host
from sklearn_sgd._version import __version__
from sklearn_sgd.regressors import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.streaming.archive import NotPlain, Unsaved, is_plain, read_archive, read_comment, write_archive

__all__ = ["Checkpoint", "load_checkpoint"]

# The comment of the archive, with the number of its form; 1 and 2 were forms with a pickle.
FORMAT, SCHEMA = "sklearn_sgd checkpoint ", 3

REMEDY = "Delete it to start from the beginning, or give another path."


class Checkpoint(NamedTuple):
    """What :func:`fit_stream` needs to resume.

    Parameters
    ----------
    estimator : object
        The fitted estimator.
    epoch : int
        Number of completed epochs.
    chunk : int
        Number of completed chunks of the next epoch.
    n_rows : int
        Number of samples learned from, over all epochs.
    seed : int
        Seed of the shuffling.
    source : dict
        The identity of the source, see :meth:`Source.identity`, as JSON has it.
    cut : int, default=0
        Number of samples of the next chunk that were learned, where `max_rows` cut it.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn_sgd import OnlineSGDRegressor
    >>> from sklearn_sgd.streaming import fit_stream, load_checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.checkpoint")
    ...     model = fit_stream(OnlineSGDRegressor(), [([[1.0]], [2.0]), ([[2.0]], [3.0])], checkpoint=path)
    ...     checkpoint = load_checkpoint(path)
    >>> checkpoint.n_rows, checkpoint.estimator.coef_ == model.coef_
    (2, array([ True]))
    """

    estimator: Any
    epoch: int
    chunk: int
    n_rows: int
    seed: int
    source: dict[str, Any]
    cut: int = 0


# What is in a file besides the estimator.
POSITION = Checkpoint._fields[1:]
NUMBERS = [name for name in POSITION if name != "source"]


def load_checkpoint(path: str | os.PathLike, estimator: Any = None) -> Checkpoint:
    """Read a checkpoint, to use its model or to read its position. :func:`fit_stream` resumes from it without this.

    The file holds numbers, strings and arrays, and none of it can run: a file of unknown origin can do no harm.

    Parameters
    ----------
    path : path
        The file.
    estimator : object, default=None
        The estimator that gets the fitted attributes; it keeps its parameters. None: a new one with the parameters in
        the file. Needed for classes of other packages, and for losses, penalties, optimizers and learning rates of
        the user's own, which are not in the file.

    Returns
    -------
    checkpoint : Checkpoint
        The content of the file.

    Raises
    ------
    ValueError
        If the file is damaged or not a checkpoint, or belongs to another version, class, or loss of the user.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from sklearn_sgd.streaming import load_checkpoint
    >>> model = load_checkpoint("model.checkpoint").estimator  # doctest: +SKIP
    """
    return StoredCheckpoint(Path(path)).restored(estimator)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace a checkpoint. The old file stays until the new one is completely on the disk."""
    estimator, *position = checkpoint
    content = dict(zip(POSITION, position, strict=True)) | {"version": __version__}
    content |= {"class": class_name(estimator), "state": _state_of(estimator)}
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            write_archive(file, f"{FORMAT}{SCHEMA}", content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if not isinstance(error, NotPlain):
            raise
        raise TypeError(
            f"A {type(estimator).__name__} cannot be saved as a checkpoint, which holds numbers, strings and arrays: "
            f"{error}. Use checkpoint=None, and save the estimator in another way."
        ) from error
    if os.name == "posix":
        # The new name is on the disk only after its folder is written.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class StoredCheckpoint:
    """A checkpoint that was read from a file and is complete, before the estimator is restored."""

    def __init__(self, path: Path):
        self.path = path
        try:
            content = _read(path)
            self.class_name, self.state, *self.position = (content[name] for name in ("class", "state", *POSITION))
            self.source, *numbers = (content[name] for name in ("source", *NUMBERS))
            is_whole = (
                isinstance(self.class_name, str) and isinstance(self.state, dict) and isinstance(self.source, dict)
            )
            if not is_whole or not all(isinstance(number, int) and number >= 0 for number in numbers):
                raise ValueError("damaged: its content is not that of a checkpoint")
        except KeyError as error:
            raise ValueError(f"{path} is damaged: it has no {error}. {REMEDY}") from error
        except ValueError as error:
            raise ValueError(f"{path} is {error}. {REMEDY}") from error

    def restored(self, estimator: Any = None) -> Checkpoint:
        """Return the checkpoint with a new estimator, or this one, which is changed only if all can be read."""
        classes = {class_name(kind): kind for kind in (BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor)}
        if estimator is None and self.class_name not in classes:
            raise ValueError(f"{self.path} is of the class {self.class_name}: give an estimator of it, estimator=....")
        kind: Any = classes[self.class_name] if estimator is None else type(estimator)
        self.check_class(kind)
        params = None if estimator is None else _parameters(estimator)
        self._check_link(params)
        twin, state = kind.__new__(kind), self._completed(self.state, params)
        try:
            if hasattr(twin, "__setstate__"):
                twin.__setstate__(state)
            else:
                vars(twin).update(state)
        except ValueError as error:
            raise ValueError(f"{self.path}: {error} {REMEDY}") from error
        if params is None:
            return Checkpoint(twin, *self.position)
        attributes = vars(estimator)
        for name in [name for name in attributes if name.endswith("_") and name not in params]:
            del attributes[name]
        attributes.update({name: value for name, value in vars(twin).items() if name not in params})
        return Checkpoint(estimator, *self.position)

    def check_class(self, kind: type) -> None:
        """Raise an error if the estimator is of another class."""
        if self.class_name != class_name(kind):
            theirs = self.class_name.rpartition(".")[2]
            raise ValueError(f"{self.path} is of a {theirs}, not of a {kind.__name__}.")

    def check_seed(self, seed: int, random_state: Any) -> None:
        """Raise an error if the shuffling has another seed."""
        if seed != self.position[POSITION.index("seed")]:
            raise ValueError(
                f"{self.path} was shuffled with another random_state than {random_state}. Remedy: that one or None, or "
                "for a new start another path."
            )

    def check_source(self, identity: dict[str, Any]) -> None:
        """Raise an error if the checkpoint belongs to another source."""
        mine, theirs = as_json(identity), self.source
        different = [name for name in mine | theirs if mine.get(name) != theirs.get(name)]
        if different:
            values = "; ".join(f"{name}: {theirs.get(name)} there, {mine.get(name)} here" for name in different)
            raise ValueError(f"{self.path} belongs to another source ({values}). For a new start give another path.")

    def _check_link(self, params: dict[str, Any] | None) -> None:
        """Raise an error if predictions need a loss of the user's own, and the estimator has another one."""
        link = (self.state.get("_fitted") or {}).get("link")
        if isinstance(link, Unsaved) and params is not None and type(params.get(link.name)).__name__ != link.kind:
            raise ValueError(f"{self.path} was learned with {link.name}={link.kind}(...): give an estimator with it.")

    def _completed(self, value: Any, params: dict[str, Any] | None) -> Any:
        """Return the state with parameters of the estimator in the place of those that are not in the file."""
        if isinstance(value, Unsaved):
            if params is None:
                raise ValueError(
                    f"{self.path} does not hold the parameter {value.name}, a {value.kind}: give an estimator with it, "
                    "estimator=...."
                )
            return params.get(value.name)
        if isinstance(value, dict):
            return {name: self._completed(item, params) for name, item in value.items()}
        return [self._completed(item, params) for item in value] if isinstance(value, list) else value


def class_name(estimator: Any) -> str:
    """Return the full name of a class, or of that of an estimator."""
    kind = estimator if isinstance(estimator, type) else type(estimator)
    return f"{kind.__module__}.{kind.__qualname__}"


def as_json(identity: dict[str, Any]) -> dict[str, Any]:
    """Return the identity of a source as it comes back from a file."""
    return json.loads(json.dumps({str(name): value for name, value in identity.items()}, default=_described))


def _described(value: Any) -> Any:
    """Return a description of a value that JSON does not support."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return sorted(map(repr, value)) if isinstance(value, set | frozenset) else repr(value)


def _parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters, of estimators that have some."""
    return estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}


def _state_of(estimator: Any) -> dict[str, Any]:
    """Return what is saved of an estimator: of one of this package parameters and fitted attributes, else all it has.

    Parameters that a file cannot hold, such as losses of the user's own, are named in their place.
    """
    state: Any = estimator.__getstate__() if hasattr(estimator, "__getstate__") else None
    state, params = dict(state if isinstance(state, dict) else vars(estimator)), _parameters(estimator)
    unsaved = {name: Unsaved(name, type(params[name]).__name__) for name in params if not is_plain(state.get(name))}
    state |= unsaved
    if not isinstance(estimator, BaseGDRegressor):
        return state
    state = {name: value for name, value in state.items() if name in (*params, *KEYS) or not name.startswith("_")}
    if model := state.get("_fitted"):
        link = unsaved.get("loss") if model["link"] is params["loss"] else None
        # Coefficients on a device are saved as they are on the host.
        arrays = [name for name in ("coef", "intercept") if hasattr(model.get(name), "dtype")]
        made = {name: host(model[name]) for name in arrays if not isinstance(model[name], np.generic)}
        state["_fitted"] = model | made | {"link": link or model["link"]}
    return state


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a file, if it is of this form, and its checksums are right."""
    content = path.read_bytes()
    try:
        # The first versions did not write archives.
        first = re.match(rb"sklearn_sgd checkpoint \d+", content)
        comment = first[0].decode() if first else read_comment(content)
        found = re.match(rf"{FORMAT}(\d+)", comment)
        if found and int(found[1]) == SCHEMA:
            return read_archive(content)
    except MemoryError:
        raise
    except Exception as error:
        # Damage has many types: BadZipFile, KeyError, EOFError, OSError, NotImplementedError, UnicodeDecodeError.
        raise ValueError(f"damaged, or not a checkpoint of this version: {error}") from error
    if found:
        raise ValueError(f"of another version: its form is number {found[1]}, and that of this version is {SCHEMA}")
    raise ValueError("not a checkpoint")
