"""A call that fails leaves the estimator as it was."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def rollback_on_error(estimator: Any) -> Iterator[Callable[[], None]]:
    """Restore the attributes of an estimator, and its RandomState, if the block raises an error.

    The context manager returns a function that does the same.
    """
    attributes, before, source = vars(estimator), dict(vars(estimator)), estimator.random_state
    drawn = source.get_state() if isinstance(source, np.random.RandomState) else None

    def rollback() -> None:
        attributes.clear()
        attributes.update(before)
        if drawn:
            source.set_state(drawn)

    try:
        yield rollback
    except BaseException:
        rollback()
        raise
