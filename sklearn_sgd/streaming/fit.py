"""Fit an estimator to a source, or predict for one, chunk by chunk."""

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import count
from math import inf
from numbers import Integral
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils import check_random_state

from sklearn_sgd._compat import InvalidParameterError
from sklearn_sgd.streaming.arguments import (
    check_estimator,
    check_limits,
    check_names,
    check_progress,
    check_transformer,
    is_once,
    named_features,
    names_of,
    refuse_begun,
    warn_of_ignored,
    warn_of_lost_rows,
    without_names,
)
from sklearn_sgd.streaming.checkpoints import Checkpoint, StoredCheckpoint, as_json, save_checkpoint
from sklearn_sgd.streaming.prefetch import prefetch
from sklearn_sgd.streaming.progress import Bar, Progress
from sklearn_sgd.streaming.sources import Chunk, ChunkError, Source, as_chunk, as_source
from sklearn_sgd.streaming.staging import Staged, back, chunk_bytes, stager

__all__ = ["fit_stream", "predict_stream"]

Estimator = TypeVar("Estimator")


def fit_stream(
    estimator: Estimator,
    source: Any,
    *,
    epochs: int | None = None,
    transformer: Any = None,
    max_rows: int | None = None,
    time_budget: float | None = None,
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 1,
    progress: bool | Callable[[Progress], object] = False,
    read_ahead: int = 2,
    random_state: Any = None,
) -> Estimator:
    """Learn from a source of chunks: `partial_fit` gets each chunk, while a thread reads the next ones.

    The estimator continues from what it has learned before, as with `partial_fit`. The coefficients are those of calls
    of `partial_fit` with the same chunks, bit for bit. The difference is in what is counted: `n_iter_` counts passes
    over the source, not chunks, and `prequential_loss_` and `recent_loss_` leave out rows that are seen again.
    :class:`BatchGDRegressor` takes one step on each chunk, and a warning says so.

    Parameters
    ----------
    estimator : object
        A regressor, or any other estimator with `partial_fit`. It is fitted in place.
    source : Source, iterable or callable
        Chunks ``(X, y)`` or ``(X, y, sample_weight)``: a :class:`Source`, an iterable, such as a list or an endless
        generator, or a function without arguments that returns an iterable and is called once in each epoch.
    epochs : int, default=None
        Number of passes over the source, including those of the checkpoint. None: one; the estimator's own `epochs` and
        `time_budget` are for `fit`, and a warning says so if they were set.
    transformer : object, default=None
        A fitted scikit-learn transformer that is applied to X in the reading thread.
    max_rows : int, default=None
        Number of samples to learn from, including those of the checkpoint; the last chunk is cut. None: no limit.
        A later call with the checkpoint goes on with the row after the last one used. The two parts of the chunk are
        then two calls of `partial_fit`: the bits are those of an uncut stream if ``max_rows`` is at the end of a chunk.
        Without checkpoint a call begins with the first chunk of the source; an iterator has given the whole chunk, so
        that the rest of it is lost, and a warning says so.
    time_budget : float, default=None
        Seconds after which no chunk is begun; the current one is completed. None: no limit. Chunks that were read ahead
        from an iterator are lost to later calls; ``read_ahead=0`` loses none.
    checkpoint : path, default=None
        File for the estimator and its position in the source. If the file exists, learning resumes from it: with its
        fitted attributes and its seed, and with the parameters of this estimator. The file holds numbers, strings and
        arrays, so a file of unknown origin can do no harm.
    checkpoint_every : int, default=1
        Number of chunks between checkpoints. The last chunk is followed by one in any case.
    progress : bool or callable, default=False
        True: show a progress bar, the speed and the losses on standard error. A callable is called with a
        :class:`Progress` after each chunk.
    read_ahead : int, default=2
        Number of chunks that a thread reads in advance. 0: the caller's thread reads them.
    random_state : int, RandomState instance or None, default=None
        Seed of the shuffling, for sources that shuffle. The same int gives the same bits. None: the `random_state` of
        the estimator, if it has one. A run that resumes keeps the order of its checkpoint: another int is an error.

    Returns
    -------
    estimator : object
        The fitted estimator, the same object.

    Raises
    ------
    ChunkError
        If a chunk cannot be read or learned from. The message names the chunk, and the file and row group if there are
        any. The estimator and the checkpoint keep what was learned from the chunks before.
    TypeError
        If the estimator has no `partial_fit`, as a Pipeline, or the source is none, as a data frame or ``(X, y)``, or
        the estimator has an attribute that a checkpoint cannot hold.
    ValueError
        If an argument is invalid, the checkpoint belongs to another source, class of estimator or `random_state`, or
        the estimator learned from columns of other names.

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
    check_estimator(estimator)
    check_transformer(transformer)
    check_progress(progress)
    source, started, show = as_source(source, learn=True), monotonic(), bool(progress)
    given = {"epochs": epochs, "time_budget": time_budget}
    epochs = 1 if epochs is None else epochs
    limits = {"max_rows": max_rows, "checkpoint_every": checkpoint_every, "read_ahead": read_ahead}
    check_limits(source, epochs, time_budget=time_budget, **limits)
    path, deadline = None if checkpoint is None else Path(checkpoint), started + (time_budget or inf)
    first = _first_position(path, estimator, source, random_state, max_rows)
    names = names_of(source, transformer)
    check_names(estimator, names)
    warn_of_ignored(estimator, **given)
    session = _Session(estimator, path, checkpoint_every, names, position=first, saved=first)
    total = _total(source, epochs, max_rows) if show else None
    left = inf if max_rows is None else max_rows - first.n_rows
    items = _chunks(source, transformer, first.seed, range(first.epoch, epochs), first.chunk, first.cut, left)
    bar: Any = closing(Bar()) if progress is True else nullcontext(progress)
    try:
        with closing(prefetch(items, read_ahead, deadline)) as chunks, bar as report:
            for epoch, number, chunk, cut in chunks:
                session.step(epoch, number, chunk, cut)
                if show:
                    report(_progress(session.position, first.n_rows, monotonic() - started, total))
                if monotonic() >= deadline:
                    break
    except Exception:
        # Not after KeyboardInterrupt, which may come after a call of partial_fit but before its position is recorded.
        session.save()
        raise
    session.save()
    if path is None and is_once(source):
        warn_of_lost_rows(session.position.chunk + 1, session.position.cut)
    if not session.position.n_rows and monotonic() < deadline:
        raise ValueError("The source has no rows.")
    return estimator


def predict_stream(
    estimator: Any, source: Any, *, transformer: Any = None, read_ahead: int = 2
) -> Iterator[np.ndarray]:
    """Predict for a source of chunks, while a thread reads the next ones.

    Arrays of NumPy, and those of another device, go to the device that the coefficients are on, under array API
    dispatch, and predictions come back to where the samples are. The thread moves the next chunks while the device
    works on one; to a graphics card of torch, from page-locked memory. Chunks of a source without `chunk_rows` are then
    larger: 64 MiB, or an eighth of the free memory of the card.

    Parameters
    ----------
    estimator : object
        A fitted regressor.
    source : Source, iterable or callable
        Chunks, as for :func:`fit_stream`. Targets and weights are ignored, so that a chunk may be X alone.
    transformer : object, default=None
        A fitted scikit-learn transformer that is applied to X.
    read_ahead : int, default=2
        Number of chunks that a thread reads in advance. 0: the caller's thread reads them.

    Yields
    ------
    y : ndarray of shape (n_rows,), or array of the chunk's library and device
        Predictions for a chunk, in the order of its rows. Chunks come in their own order; nothing is shuffled.

    Raises
    ------
    ChunkError
        If a chunk cannot be read, or the estimator cannot predict for it.
    ValueError
        If the estimator learned from columns of other names than those of the source.

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
    check_transformer(transformer)
    source = as_source(source).without_targets()
    names = names_of(source, transformer)
    check_names(estimator, names)
    coef = getattr(estimator, "coef_", None)
    source, stage = source.of_chunks(chunk_bytes(coef)), stager(coef)
    with closing(prefetch(_staged(_chunks(source, transformer), stage), read_ahead)) as chunks:
        for staged, (epoch, number, chunk, _) in chunks:
            with _naming(epoch, number, chunk.where):
                y = back(without_names(estimator, names, chunk.X).predict(staged.arrived()), chunk.X)
            yield y


def _staged(
    chunks: Generator[tuple, None, None], stage: Callable[[Any], Staged]
) -> Generator[tuple[Staged, tuple], None, None]:
    """Yield the rows of each chunk where they are needed, or on their way, and what was read of it."""
    with closing(chunks):
        for item in chunks:
            epoch, number, chunk, _ = item
            with _naming(epoch, number, chunk.where):
                staged = stage(chunk.X)
            yield staged, item


@dataclass
class _Session:
    """A call of `fit_stream`: its position in the source, and the checkpoint file."""

    estimator: Any
    path: Path | None
    checkpoint_every: int
    names: list[str] | None
    position: Checkpoint
    saved: Checkpoint

    def __post_init__(self):
        # The epoch whose chunks are parts of one that `n_iter_` has counted.
        self.counted = self.position.epoch if self.position.chunk or self.position.cut else None

    def step(self, epoch: int, number: int, chunk: Chunk, cut: int) -> None:
        """Learn from a chunk, or from its rows up to where it was cut."""
        with _naming(epoch, number, chunk.where), named_features(self.estimator, self.names, chunk.X):
            _learn(self.estimator, chunk, again=epoch > 0, within=self.counted == epoch)
        if chunk.n_rows:
            self.counted = epoch
        done, n_rows = number - (cut > 0), self.position.n_rows + chunk.n_rows
        self.position = self.position._replace(epoch=epoch, chunk=done, n_rows=n_rows, cut=cut)
        if number % self.checkpoint_every == 0:
            self.save()

    def save(self) -> None:
        """Write the checkpoint, unless the file is up to date."""
        if self.path and self.position is not self.saved:
            save_checkpoint(self.path, self.position)
            self.saved = self.position


def _first_position(path: Path | None, estimator, source: Source, random_state, max_rows: int | None) -> Checkpoint:
    """Return where to start: at the checkpoint, whose fitted attributes the estimator gets, or at the first chunk."""
    if not (path and path.exists()):
        given = getattr(estimator, "random_state", None) if random_state is None else random_state
        return Checkpoint(estimator, 0, 0, 0, _seed(given), as_json(source.identity()) if path else {})
    found = StoredCheckpoint(path)
    found.check_class(type(estimator))
    if isinstance(random_state, Integral):  # A generator may have moved on since.
        found.check_seed(_seed(random_state), random_state)
    found.check_source(source.identity())
    position = Checkpoint(estimator, *found.position)
    if (position.chunk or position.cut) and (max_rows is None or position.n_rows < max_rows):
        refuse_begun(source)
    return found.restored(estimator)


def _seed(random_state) -> int:
    """Return the seed of the shuffling."""
    return int(check_random_state(random_state).randint(2**31 - 1))


def _chunks(
    source: Source,
    transformer: Any = None,
    seed: int | None = None,
    epochs: Iterable[int] = (0,),
    skip: int = 0,
    cut: int = 0,
    left: float = inf,
) -> Generator[tuple[int, int, Chunk, int], None, None]:
    """Yield epoch, number and chunk, and after how many rows it is cut, 0 if it is whole, until none are left to read.

    The first epoch begins after ``skip`` chunks, and ``cut`` rows of the next one.
    """
    config = get_config()
    for epoch in epochs:
        chunks = iter(source.chunks(None if seed is None else (seed, epoch), skip))
        for number in count(skip + 1):
            if left <= 0:
                return
            with _naming(epoch, number):
                item = next(chunks, None)
                if item is None:
                    break
                chunk, start = as_chunk(item), cut
                if start:
                    chunk, cut = chunk.part(start, None), 0
                stop = int(left) if chunk.n_rows > left else 0
                if stop:
                    chunk = chunk.part(0, stop)
                if transformer is not None:
                    # scikit-learn's configuration is local to a thread.
                    with config_context(**config):
                        chunk = chunk._replace(X=transformer.transform(chunk.X))
            left -= chunk.n_rows
            yield epoch, number, chunk, start + stop if stop else 0
        skip = 0


@contextmanager
def _naming(epoch: int, number: int, where: str = ""):
    """Add the name of the chunk to errors."""
    try:
        yield
    except (InvalidParameterError, MemoryError):
        raise
    except Exception as error:
        raise ChunkError(f"Chunk {number} of epoch {epoch + 1}{where and f' ({where})'}: {error}") from error


def _learn(estimator, chunk: Chunk, again: bool, within: bool) -> None:
    """Call `partial_fit` once; ``again``: its rows are not new; ``within``: the epoch goes on."""
    if chunk.y is None:
        raise ValueError("it has no targets to learn from: chunks must be (X, y), and files need a target")
    if hasattr(estimator, "_partial_fit_chunk"):
        estimator._partial_fit_chunk(chunk.X, chunk.y, chunk.sample_weight, again=again, within=within)
    else:
        estimator.partial_fit(chunk.X, chunk.y, *([] if chunk.sample_weight is None else [chunk.sample_weight]))


def _total(source: Source, epochs: int, max_rows: int | None) -> int | None:
    """Return the number of rows of all epochs, if it is known."""
    known = [n for n in (source.n_rows and source.n_rows * epochs, max_rows) if n]
    return min(known, default=None)


def _progress(position: Checkpoint, n_rows_before: int, seconds: float, total: int | None) -> Progress:
    """Return the progress of a call that started after ``n_rows_before`` rows."""
    loss, recent = (getattr(position.estimator, name, None) for name in ("prequential_loss_", "recent_loss_"))
    share, speed = position.n_rows / total if total else None, (position.n_rows - n_rows_before) / max(seconds, 1e-9)
    return Progress(position.epoch + 1, position.chunk, position.n_rows, seconds, speed, loss, recent, share)
