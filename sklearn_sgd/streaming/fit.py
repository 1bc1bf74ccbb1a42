"""Learning from a source and predicting for one, chunk by chunk."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import count
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_sgd.streaming import ahead
from sklearn_sgd.streaming.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from sklearn_sgd.streaming.progress import Bar, Progress
from sklearn_sgd.streaming.sources import Chunk, ChunkError, IterableSource, Source, as_chunk, as_source

__all__ = ["fit_stream", "predict_stream"]

Estimator = TypeVar("Estimator")


def fit_stream(
    estimator: Estimator,
    source: Any,
    *,
    epochs: int = 1,
    transformer: Any = None,
    max_rows: int | None = None,
    time_budget: float | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 1,
    progress: bool | Callable[[Progress], object] = False,
    read_ahead: int = 2,
    random_state: Any = None,
) -> Estimator:
    """Learn from a source of chunks, each by a call of `partial_fit`, while the next ones are read.

    What the estimator has learned before is where it starts, as with `partial_fit`. The result is that of plain calls
    of `partial_fit` with the same chunks, bit for bit.

    Parameters
    ----------
    estimator : object
        A regressor, or anything else with `partial_fit`; it learns in place.
    source : Source, iterable or callable
        Chunks ``(X, y)`` or ``(X, y, sample_weight)``: a :class:`Source`, an iterable, such as a list or a generator
        that never ends, or a function without arguments that answers one, anew for each epoch.
    epochs : int, default=1
        Passes over the source, those of the checkpoint included.
    transformer : object, default=None
        A fitted scikit-learn transformer that X goes through first, in the reading thread.
    max_rows : int, default=None
        Rows to learn from in all, those of the checkpoint included; the last chunk is cut. None: no limit.
    time_budget : float, default=None
        Seconds after which no chunk begins; the one in hand is completed. None: no limit.
    checkpoint : path, default=None
        File in which the estimator and the place in the source are kept. If it is there, learning goes on from it, with
        what was learned, the seed, and the parameters that the estimator has now. It is a pickle: load none of
        strangers.
    checkpoint_every : int, default=1
        Chunks from one checkpoint to the next; there is one at the end, too.
    progress : bool or callable, default=False
        True: a line with a bar, the speed and the losses, on standard error. A function is called with a
        :class:`Progress` after each chunk.
    read_ahead : int, default=2
        Chunks that a thread reads in advance; 0: none, and no thread, for a source that wants the caller's.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling of sources that do so. The same int gives the same bits.

    Returns
    -------
    estimator : object
        The same estimator, a little wiser.

    Raises
    ------
    ChunkError
        If a chunk cannot be read or learned from. It names the chunk, and the file and row group if there are any; the
        estimator, and the checkpoint, keep what was learned before.
    ValueError
        If an argument is invalid, or the checkpoint belongs to another source or another kind of estimator.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import OnlineSGDRegressor
    >>> from sklearn_sgd.streaming import fit_stream
    >>> def sensor():
    ...     rng = np.random.default_rng(0)
    ...     while True:
    ...         X = rng.standard_normal((100, 2))
    ...         yield X, X @ [1.0, 2.0] + 3.0
    >>> model = fit_stream(OnlineSGDRegressor(), sensor, max_rows=5000)
    >>> model.coef_.round(2), model.n_samples_seen_
    (array([1., 2.]), 5000)
    """
    source, begun, _ = as_source(source), monotonic(), estimator.partial_fit  # type: ignore[attr-defined]
    for name, value in {"epochs": epochs, "checkpoint_every": checkpoint_every}.items():
        if value < 1:
            raise ValueError(f"{name} must be 1 or more; got {value}.")
    if isinstance(source, IterableSource) and source.once and epochs > 1:
        raise ValueError("An iterator can be read only once: for more epochs, give a function that makes one.")
    path, deadline = checkpoint if checkpoint is None else Path(checkpoint), begun + (time_budget or inf)
    if path and path.exists():
        at = _resume(path, estimator, source)
    else:
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        at = Checkpoint(estimator, 0, 0, 0, seed, source.identity() if path else {})
    begin, saved = at, at

    def keep():
        nonlocal saved
        if path and at is not saved:
            save_checkpoint(path, at)
            saved = at

    total = _total(source, epochs, max_rows) if progress else None
    bar: Any = closing(Bar()) if progress is True else nullcontext(progress)
    items = _chunks(source, at, epochs, transformer, inf if max_rows is None else max_rows)
    try:
        with closing(ahead.read_ahead(items, read_ahead, deadline)) as chunks, bar as tell:
            for epoch, number, chunk in chunks:
                with _named(epoch, number, chunk.where):
                    _learn(estimator, chunk, first_epoch=epoch == 0)
                at = at._replace(epoch=epoch, chunk=number, n_rows=at.n_rows + chunk.n_rows)
                if number % checkpoint_every == 0:
                    keep()
                if tell:
                    tell(_progress(at, at.n_rows - begin.n_rows, monotonic() - begun, total))
                if monotonic() >= deadline:
                    break
    except Exception:
        # Not after Ctrl-C, which may fall between what the estimator learned and the note of it.
        keep()
        raise
    keep()
    if not at.n_rows and monotonic() < deadline:
        raise ValueError("The source has no rows.")
    return estimator


def predict_stream(
    estimator: Any, source: Any, *, transformer: Any = None, read_ahead: int = 2
) -> Iterator[np.ndarray]:
    """Predict for a source of chunks, while the next ones are read.

    Parameters
    ----------
    estimator : object
        A fitted regressor.
    source : Source, iterable or callable
        Chunks, as for :func:`fit_stream`; targets and weights are not looked at, so that X alone does for a chunk.
    transformer : object, default=None
        A fitted scikit-learn transformer that X goes through first.
    read_ahead : int, default=2
        Chunks that a thread reads in advance; 0: none, and no thread.

    Yields
    ------
    y : ndarray of shape (n_rows,)
        Predictions of a chunk, in the order of its rows; chunks come in the order in which they lie, none is shuffled.

    Raises
    ------
    ChunkError
        If a chunk cannot be read or predicted for.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import BatchGDRegressor
    >>> from sklearn_sgd.streaming import ArraySource, predict_stream
    >>> X = np.arange(6.0)[:, None]
    >>> model = BatchGDRegressor().fit(X, 2 * X[:, 0])
    >>> [y.round(3).tolist() for y in predict_stream(model, ArraySource(X, chunk_rows=4))]
    [[0.0, 2.0, 4.0, 6.0], [8.0, 10.0]]
    """
    at = Checkpoint(estimator, 0, 0, 0, -1, {})
    with closing(ahead.read_ahead(_chunks(as_source(source), at, 1, transformer, inf), read_ahead)) as chunks:
        for epoch, number, chunk in chunks:
            with _named(epoch, number, chunk.where):
                y = estimator.predict(chunk.X)
            yield y


def _chunks(source: Source, at: Checkpoint, epochs: int, transformer, max_rows: float):
    """Epochs, numbers and chunks of what is left, from where a checkpoint stands up to a number of rows."""
    left, config = max_rows - at.n_rows, get_config()
    for epoch in range(at.epoch, epochs):
        skip = at.chunk if epoch == at.epoch else 0
        chunks = iter(source.chunks(None if at.seed < 0 else (at.seed, epoch), skip))
        for number in count(skip + 1):
            if left <= 0:
                return
            with _named(epoch, number):
                item = next(chunks, None)
                if item is None:
                    break
                chunk = as_chunk(item)
                if chunk.n_rows > left:
                    chunk = chunk.head(int(left))
                if transformer is not None:
                    # The configuration of scikit-learn is that of a thread.
                    with config_context(**config):
                        chunk = chunk._replace(X=transformer.transform(chunk.X))
            left -= chunk.n_rows
            yield epoch, number, chunk


@contextmanager
def _named(epoch: int, number: int, where: str = ""):
    """Name the chunk in errors that are about it."""
    try:
        yield
    except (InvalidParameterError, MemoryError):
        raise
    except Exception as error:
        raise ChunkError(f"Chunk {number} of epoch {epoch + 1}{where and f' ({where})'}: {error}") from error


def _learn(estimator, chunk: Chunk, first_epoch: bool) -> None:
    """Call `partial_fit` once. A sample counts in the prequential losses in the first epoch only."""
    if chunk.y is None:
        raise ValueError("it has no targets to learn from")
    learn = estimator.partial_fit
    if not first_epoch:
        # Estimators of other packages have no prequential losses.
        learn = getattr(estimator, "_partial_fit_again", learn)
    learn(chunk.X, chunk.y, *([] if chunk.sample_weight is None else [chunk.sample_weight]))


def _total(source: Source, epochs: int, max_rows: int | None) -> int | None:
    """Rows to learn from, if that is known."""
    known = [n for n in (source.n_rows and source.n_rows * epochs, max_rows) if n]
    return min(known, default=None)


def _progress(at: Checkpoint, n_rows: int, seconds: float, total: int | None) -> Progress:
    """Where learning stands, which took so many rows and seconds."""
    loss, recent = (getattr(at.estimator, name, None) for name in ("prequential_loss_", "recent_loss_"))
    share, speed = at.n_rows / total if total else None, n_rows / max(seconds, 1e-9)
    return Progress(at.epoch + 1, at.chunk, at.n_rows, seconds, speed, loss, recent, share)


def _resume(path: Path, estimator, source: Source) -> Checkpoint:
    """The place of a checkpoint; the estimator learns what it had learned."""
    found = load_checkpoint(path)
    if type(found.estimator) is not type(estimator):
        raise ValueError(f"{path} is of a {type(found.estimator).__name__}, not of a {type(estimator).__name__}.")
    mine = source.identity()
    other = [name for name in mine | found.source if mine.get(name) != found.source.get(name)]
    if other:
        told = "; ".join(f"{name}: {found.source.get(name)} there, {mine.get(name)} here" for name in other)
        raise ValueError(f"{path} belongs to another source ({told}). For a new start give another path.")
    parameters = estimator.get_params(deep=False)
    vars(estimator).update({name: value for name, value in vars(found.estimator).items() if name not in parameters})
    return found._replace(estimator=estimator)
