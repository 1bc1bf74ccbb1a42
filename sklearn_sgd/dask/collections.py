"""Dask collections as partitions of samples, and the client that computes them."""

from typing import Any

import dask.array as da
import numpy as np
from dask.base import is_dask_collection
from distributed import Client, default_client


def aligned_partitions(X: Any, **columns: Any) -> list[tuple]:
    """Return the partitions of X, each with those of the columns that belong to it.

    An array with known chunks is rechunked like X. None is left out.
    """
    parts, lengths = _partitions("X", X)
    given = [parts]
    for name, column in columns.items():
        if column is None:
            continue
        theirs, known = _partitions(name, column)
        if lengths and known and sum(lengths) != sum(known):
            raise ValueError(
                f"{name} must have one number for each of the {sum(lengths)} samples of X; got {sum(known)}."
            )
        if lengths and known and lengths != known:
            theirs, _ = _partitions(name, column.rechunk({0: lengths}))
        if len(theirs) != len(parts):
            raise ValueError(
                f"X has {len(parts)} partitions and {name} has {len(theirs)}: take both from one data frame, or "
                "repartition them alike."
            )
        given.append(theirs)
    return list(zip(*given, strict=True))


def check_collection(name: str, collection: Any) -> None:
    """Raise an error if an input is not a Dask collection."""
    if not is_dask_collection(collection):
        raise TypeError(
            f"{name} must be a Dask array or data frame; got {type(collection).__name__}. Use dask.array.from_array, "
            "or for data in memory the class without Dask."
        )


def with_all_features(X: da.Array) -> da.Array:
    """Return an array whose chunks hold all features of their samples."""
    return X.rechunk({1: -1}) if X.ndim == 2 and X.numblocks[1] > 1 else X


def find_client(client: "Client | None") -> Client:
    """Return the client given, or the one that is in use."""
    try:
        return default_client(client)
    except ValueError as error:
        raise ValueError(
            "No Dask client: start one, client = distributed.Client(...), before fit, or give it as client=."
        ) from error


def _partitions(name: str, collection: Any) -> tuple[list, tuple | None]:
    """Return the partitions of a collection, not computed, and their lengths, None if they are not known."""
    check_collection(name, collection)
    if isinstance(collection, da.Array):
        collection = with_all_features(collection)
        lengths = None if np.isnan(collection.chunks[0]).any() else collection.chunks[0]
        return collection.to_delayed().ravel().tolist(), lengths
    return collection.to_delayed(), None
