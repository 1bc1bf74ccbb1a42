"""Drivers that need no plan: they are called with arrays, and run as machine code or plain Python."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from sklearn_sgd._engine.compiled import functions, machine
from sklearn_sgd._engine.passes.drivers import driver, is_plain, weighted_rows
from sklearn_sgd._engine.passes.rows import NO_INDEX, NOTHING, Dense, rows_ahead
from sklearn_sgd._engine.readings import count_rows
from sklearn_sgd._engine.traits import LossReading

DOUBLE = np.dtype(np.float64)

# Number of random numbers that are drawn at once.
DRAWS = 8192


def permute(order: np.ndarray, generator: np.random.Generator) -> None:
    """Shuffle row numbers in place, by Fisher-Yates. Drawing many numbers at once costs a third of single draws."""
    shuffle = None if is_plain() else driver("permute", "dense", DOUBLE, NO_INDEX, order.dtype, plain=False)
    for start in range(1, len(order), DRAWS):
        draws = generator.random(min(DRAWS, len(order) - start))
        if shuffle:
            shuffle({"order": order, "start": start, "draws": draws, "n": len(draws)})
        else:
            machine.source("permute", "dense")(order, start, draws, len(draws))


def sums_of_entries(rows, order: np.ndarray, weight: np.ndarray) -> Callable[..., np.ndarray]:
    """The function from shifts and inverse squares to sums over the entries of sparse columns, of shape (3, P).

    Shifts are subtracted before squaring. With inverse squares, rows have a size; see the driver.
    """
    made = driver("sparse_sums", "csr", rows.data.dtype, rows.index_dtype, order.dtype, is_plain())
    weight = weight.astype(rows.data.dtype, copy=False)

    def sums_after(shift: np.ndarray | None = None, inverse: np.ndarray | None = None) -> np.ndarray:
        count_rows(len(order))
        sums, shifted, sized = np.zeros((rows.columns, 3)), shift is not None and bool(shift.any()), inverse is not None
        more = {"shift": shift if shifted else NOTHING, "shifted": int(shifted), "sums": sums}
        more |= {"inverse": inverse if sized else NOTHING, "sized": int(sized)}
        made({**rows.arguments(), **weighted_rows(weight, order), **more})
        return sums.T

    return sums_after


def coordinates(columns, values: dict[str, Any]) -> Callable[[np.ndarray], float]:
    """The function that moves the coefficients of some columns to the minimum, one by one; see the driver.

    The columns are the rows of a matrix.
    """
    made = driver("coordinates", "csr", columns.data.dtype, columns.index_dtype, NO_INDEX, is_plain())
    call = machine.bound(machine.Call(made, columns.arguments() | values), scratch=())
    return lambda order: call({"order": order, "n": len(order)})


def in_units(
    X: np.ndarray, order: np.ndarray, weight: np.ndarray, centre: np.ndarray, factor: np.ndarray
) -> machine.Call:
    """The driver that writes rows in the units of their columns; see there for what is passed later."""
    values = {"X": X, "p": X.shape[1], "ahead": rows_ahead(Dense(X, X.dtype.type(1))), "centre": centre}
    values |= {"factor": factor, **weighted_rows(weight, order)}
    return machine.Call(driver("in_units", "dense", X.dtype, NO_INDEX, order.dtype, is_plain()), values)


def score_driver(name: str, loss: LossReading) -> Callable[..., float]:
    """A driver that adds a block of rows to the sums for standard errors: a function of all arguments but the loss.

    Rows are in double precision. A loss that cannot be compiled runs as plain Python.
    """
    plain = is_plain() or loss.refusal is not None
    if plain:
        slopes, numbers = functions.python_slopes(loss.part), functions.NONE
    else:
        made = functions.compiled_loss(loss, DOUBLE)
        slopes, numbers = made["slopes"], made["numbers"]
    return partial(driver(name, "dense", DOUBLE, NO_INDEX, NO_INDEX, plain).in_order, slopes, numbers)


def sum_block(*given: Any) -> None:
    """Write sums over a block of rows in double precision; see the driver."""
    driver("sum_block", "dense", DOUBLE, NO_INDEX, NO_INDEX, is_plain()).in_order(*given)


def add_moments(dtype: np.dtype) -> Callable[..., float] | None:
    """The driver of that name for parameters of a precision; None in plain Python."""
    return None if is_plain() else driver("add_moments", "dense", dtype, NO_INDEX, NO_INDEX, plain=False).in_order


def settle(**missed: Any) -> None:
    """Apply to sparse columns, and their averages, the missed steps of a penalty; see the driver."""
    driver("settle", "csr", DOUBLE, NO_INDEX, NO_INDEX, is_plain())(missed)


def update_columns(values: dict[str, Any], dtype: np.dtype) -> Callable[[dict[str, Any]], float]:
    """The function that updates sparse columns with their missed steps and new entries; see the driver.

    The columns have that precision. All arrays are passed later.
    """
    call = machine.Call(driver("update_columns", "csr", dtype, NO_INDEX, NO_INDEX, is_plain()), values)
    return machine.bound(call, scratch=())
