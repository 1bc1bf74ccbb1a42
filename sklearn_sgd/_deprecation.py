"""How a public name is renamed or removed: the old one works for two more minor versions, with a FutureWarning.

A function or a class that goes has scikit-learn's decorator, ``@deprecated(Deprecation(...).message)``. A keyword of
a function that is renamed has `renamed_keyword`, a name of a module `renamed_names`. A parameter of an estimator
keeps its place in the signature, with the default 'deprecated'; `fit` calls ``Deprecation(...).warn()`` where it has
another value. Each deprecation is made when its module is imported, so a test finds those whose time has come.
"""

import sys
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

# Minor versions in which both the old and the new name work.
KEPT = 2

DEPRECATIONS: list["Deprecation"] = []

Function = TypeVar("Function", bound=Callable)


class Deprecation:
    """A public name that is to be removed.

    Parameters
    ----------
    what : str
        The name as users know it, for instance ``'fit_stream(seed=...)'``.
    since : str
        Version that deprecates it, for instance ``'0.3'``.
    removed_in : str
        Version that removes it, at least two minor versions later; or the next major version.
    instead : str
        What to use, for instance ``'fit_stream(random_state=...)'``.
    """

    def __init__(self, what: str, *, since: str, removed_in: str, instead: str):
        (major, minor), (last_major, last_minor) = numbers(since), numbers(removed_in)
        if last_major < major or (last_major == major and last_minor < minor + KEPT):
            raise ValueError(f"{what} must be kept for {KEPT} minor versions: since {since}, removed in {removed_in}.")
        self.what, self.since, self.removed_in, self.instead = what, since, removed_in, instead
        DEPRECATIONS.append(self)

    @property
    def message(self) -> str:
        """The text of the warning."""
        return f"{self.what} is deprecated since {self.since} and removed in {self.removed_in}: use {self.instead}."

    def warn(self, stacklevel: int = 2) -> None:
        """Warn at the line of the caller's caller."""
        warnings.warn(self.message, FutureWarning, stacklevel=stacklevel + 1)

    def is_due(self, version: str) -> bool:
        """Return whether this version, or a development version of it, must not have the name any more."""
        return numbers(version) >= numbers(self.removed_in)


def numbers(version: str) -> tuple[int, int]:
    """Return major and minor number of a version: (0, 1) for '0.1.0.dev0', (1, 0) for '1.0'."""
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def renamed_keyword(old: str, new: str, *, since: str, removed_in: str) -> Callable[[Function], Function]:
    """Return a decorator of a function or method that also takes a keyword by its old name."""

    def decorate(function: Any) -> Any:
        name = function.__name__
        deprecation = Deprecation(
            f"{name}({old}=...)", since=since, removed_in=removed_in, instead=f"{name}({new}=...)"
        )

        @wraps(function)
        def call(*args, **kwargs):
            if old in kwargs:
                if new in kwargs:
                    raise TypeError(f"{name}() got both {new!r} and its old name {old!r}; use {new!r} alone.")
                deprecation.warn()
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return call

    return decorate


def renamed_names(module: str, names: dict[str, str], *, since: str, removed_in: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a module some of whose public names have new ones: ``{old: new}``."""
    deprecations = {
        old: Deprecation(f"{module}.{old}", since=since, removed_in=removed_in, instead=f"{module}.{new}")
        for old, new in names.items()
    }

    def get(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        deprecations[name].warn()
        return getattr(sys.modules[module], names[name])

    return get
