"""Checkpoints: where a pass over a source stands, in one file that is whole or not there."""

import os
import pickle
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from sklearn_sgd import __version__

__all__ = ["Checkpoint", "load_checkpoint"]

# First line of a file; the next is the checksum of all that follows. What is in it is that of a version of the package.
FORMAT = f"sklearn_sgd checkpoint 1 of version {__version__}".encode()


class Checkpoint(NamedTuple):
    """What :func:`fit_stream` needs to go on from where it was.

    Parameters
    ----------
    estimator : object
        The estimator, as it was.
    epoch : int
        Epochs completed.
    chunk : int
        Chunks completed of the next one.
    n_rows : int
        Rows learned from, in all epochs.
    seed : int
        Of all shuffling.
    source : dict
        What the source says that it is.

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
    """Put a checkpoint in the place of the one before, which stays until the new one is on the disk as a whole."""
    content = pickle.dumps(tuple(checkpoint), pickle.HIGHEST_PROTOCOL)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(b"\n".join([FORMAT, sha256(content).hexdigest().encode(), content]))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    if os.name == "posix":
        # The name is on the disk when its folder is.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def load_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read a checkpoint, for its model or to look where it stands; :func:`fit_stream` goes on from it by itself.

    The file is a pickle: who wrote it can run any code here, so load none of strangers.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    checkpoint : Checkpoint
        What is in it.

    Raises
    ------
    ValueError
        If the file is not a whole checkpoint, of this version of the package.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from sklearn_sgd.streaming import load_checkpoint
    >>> model = load_checkpoint("model.checkpoint").estimator  # doctest: +SKIP
    """
    head, digest, content = (*Path(path).read_bytes().split(b"\n", 2), b"", b"")[:3]
    if not head.startswith(b"sklearn_sgd checkpoint "):
        raise ValueError(f"{path} is not a checkpoint.")
    if head != FORMAT:
        raise ValueError(f"{path} is of another version: {head[:80].decode()}, where this is {FORMAT.decode()}.")
    if sha256(content).hexdigest().encode() != digest:
        raise ValueError(f"{path} is damaged: its checksum is another one.")
    return Checkpoint(*pickle.loads(content))
