"""Checkpoints: the estimator and its position in a source, in one file that is replaced as a whole."""

import os
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

from sklearn_sgd._version import __version__

__all__ = ["Checkpoint", "load_checkpoint"]

# A checkpoint is a ZIP archive with one pickle, not compressed: the archive has a checksum and, as its comment, the
# version. joblib.dump has a checksum only when it compresses: a checkpoint of 2.6 MB (400 features) then takes 140 ms
# instead of 12.
FORMAT, ENTRY = "sklearn_sgd checkpoint 2, version ", "checkpoint.pickle"

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
        The identity of the source, see :meth:`Source.identity`.

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


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace a checkpoint. The old file stays until the new one is completely on the disk."""
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        with ZipFile(file, "w") as archive:
            archive.comment = (FORMAT + __version__).encode()
            with archive.open(ENTRY, "w", force_zip64=True) as entry:
                pickle.dump(tuple(checkpoint), entry, pickle.HIGHEST_PROTOCOL)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    if os.name == "posix":
        # The new name is on the disk when its folder is.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read a checkpoint, to use its model or to see how far it is. :func:`fit_stream` resumes from it without this.

    The file contains a pickle, and loading a pickle can run any code: load only files that you trust.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    checkpoint : Checkpoint
        The content of the file.

    Raises
    ------
    ValueError
        If the file is damaged, is not a checkpoint, or is one of another version of this package.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> from sklearn_sgd.streaming import load_checkpoint
    >>> model = load_checkpoint("model.checkpoint").estimator  # doctest: +SKIP
    """
    version, content = _read(Path(path))
    if not version.startswith(FORMAT):
        raise ValueError(f"{path} is not a checkpoint. {REMEDY}")
    if version != FORMAT + __version__:
        theirs = version.removeprefix(FORMAT)
        raise ValueError(f"{path} is a checkpoint of another version: {theirs}, here is {__version__}. {REMEDY}")
    return Checkpoint(*pickle.loads(content))


def _read(path: Path) -> tuple[str, bytes]:
    """Return the version and the pickle, which is read only if the checksum is right."""
    file = BytesIO(path.read_bytes())
    try:
        with ZipFile(file) as archive:
            version = archive.comment.decode()
            return version, archive.read(ENTRY) if version == FORMAT + __version__ else b""
    except MemoryError:
        raise
    except Exception as error:
        # Damage has many types: BadZipFile, KeyError, EOFError, OSError, NotImplementedError, UnicodeDecodeError.
        raise ValueError(f"{path} is damaged, or not a checkpoint of this version: {error}. {REMEDY}") from error
