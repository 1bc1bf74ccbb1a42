"""Compile everything that fits may need, for container images and the nodes of a cluster.

``python -m sklearn_sgd.precompile`` writes machine code to the folder that later fits read: that of the environment
variables ``SKLEARN_SGD_CACHE_DIR`` or ``NUMBA_CACHE_DIR``, else the package itself, else the user's cache. Machine code
is for the processor and the versions that it was compiled with. Elsewhere a fit compiles what it needs, once.
"""

import argparse
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from sklearn_sgd._engine.compiled import functions, machine, store
from sklearn_sgd._engine.resolve import Parts
from sklearn_sgd._engine.traits import Formulas
from sklearn_sgd.losses import LOSSES, SquaredError
from sklearn_sgd.optimizers import OPTIMIZERS, SGD
from sklearn_sgd.penalties import PENALTIES, Box, NoPenalty, Positive

__all__ = ["precompile"]

DTYPES = ("float64", "float32")


def precompile(dtypes: tuple[str, ...] = DTYPES) -> int:
    """Compile all losses, penalties, optimizers and passes of the package.

    Parameters
    ----------
    dtypes : tuple of {'float64', 'float32'}, default=('float64', 'float32')
        Precisions of X.

    Returns
    -------
    number : int
        Number of functions that were compiled in this call; 0 if all were on disk.

    Examples
    --------
    >>> from sklearn_sgd.precompile import precompile
    >>> precompile()  # doctest: +SKIP
    144
    """
    before = store.compilations
    for dtype in map(np.dtype, dtypes):
        for parts in _all_parts(dtype):
            functions.compiled_functions(Formulas(parts), dtype)
        for name in machine.BUILDERS:
            for layout in machine.layouts_of(name):
                for index in map(np.dtype, ("uint32", "int64") if layout == "csr" else ("uint32",)):
                    kinds = {"real": dtype, "indices": index, "rows": np.dtype("uint32")}
                    machine.CompiledDriver(name, layout, kinds)
    return store.compilations - before


def _all_parts(dtype: np.dtype) -> Iterator[Parts]:
    """Every loss, optimizer and penalty of the package once, each with plain other parts."""
    for loss in LOSSES.values():
        yield Parts(loss(), NoPenalty(), SGD())
    for optimizer in OPTIMIZERS.values():
        yield Parts(SquaredError(), NoPenalty(), optimizer())
    for kind in PENALTIES.values():
        plain: Any = kind()
        for penalty in (plain, Positive(plain), Box(penalty=plain).spread(2, dtype)):
            yield Parts(SquaredError(), penalty, SGD())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_sgd.precompile", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES, help="precisions of X (default: both)")
    compiled = precompile(tuple(parser.parse_args().dtypes))
    places = (place for place in store.folders() if os.access(place, os.W_OK))
    print(f"{compiled} compiled, in {next(places, 'no folder: none can be written')}")
