"""Learning from files and streams of any length in bounded memory. Files need the extra ``stream``.

A *source* yields chunks ``(X, y)`` or ``(X, y, sample_weight)``: a list of them, a generator, a function that makes
one, or a :class:`Source`, such as :class:`ArrowSource` (Parquet, CSV, Arrow IPC) and :class:`ArraySource` (arrays,
memory maps).
"""

from sklearn_sgd.streaming.arrow_source import ArrowSource
from sklearn_sgd.streaming.checkpoints import Checkpoint, load_checkpoint
from sklearn_sgd.streaming.fit import fit_stream, predict_stream
from sklearn_sgd.streaming.progress import Progress
from sklearn_sgd.streaming.sources import ArraySource, Chunk, ChunkError, Source

__all__ = [
    "ArraySource",
    "ArrowSource",
    "Checkpoint",
    "Chunk",
    "ChunkError",
    "Progress",
    "Source",
    "fit_stream",
    "load_checkpoint",
    "predict_stream",
]
