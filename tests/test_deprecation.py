"""Names that change: the old one works and warns, and is gone when its time has come."""

import inspect
import pkgutil
import sys
import types
from importlib import import_module

import pytest
from internals import deprecation as module
from sklearn.utils import deprecated

import sklearn_sgd

VERSIONS = {"since": "0.3", "removed_in": "0.5"}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """Deprecations that are made here are no deprecations of the package."""
    before = list(module.DEPRECATIONS)
    monkeypatch.setattr(module, "DEPRECATIONS", [])
    return before


def test_nothing_is_overdue(known, monkeypatch):
    monkeypatch.setattr(module, "DEPRECATIONS", known)
    for found in pkgutil.walk_packages(sklearn_sgd.__path__, "sklearn_sgd."):
        if not found.name.startswith("sklearn_sgd.dask") or "distributed" in sys.modules:
            import_module(found.name)
    overdue = [deprecation.message for deprecation in known if deprecation.is_due(sklearn_sgd.__version__)]
    assert not overdue, "remove these names"


@pytest.mark.parametrize(
    ("version", "due"), [("0.3.0", False), ("0.4.9", False), ("0.5.0.dev0", True), ("0.5.1", True), ("1.0.0", True)]
)
def test_when_it_is_due(version, due):
    assert module.Deprecation("a", **VERSIONS, instead="b").is_due(version) is due


@pytest.mark.parametrize(("since", "removed_in"), [("0.3", "0.4"), ("0.3", "0.3"), ("0.12", "0.13"), ("1.0", "0.9")])
def test_too_soon(since, removed_in):
    with pytest.raises(ValueError, match=f"2 minor versions: since {since}, removed in {removed_in}"):
        module.Deprecation("a", since=since, removed_in=removed_in, instead="b")


@pytest.mark.parametrize(("since", "removed_in"), [("0.9", "0.11"), ("0.9", "1.0"), ("1.4", "2.0")])
def test_late_enough(since, removed_in):
    assert module.Deprecation("a", since=since, removed_in=removed_in, instead="b") in module.DEPRECATIONS


@module.renamed_keyword("seed", "random_state", **VERSIONS)
def draw(size, random_state=None):
    """Return its arguments."""
    return size, random_state


def test_renamed_keyword():
    assert draw(1, random_state=2) == draw(1, 2) == (1, 2)
    with pytest.warns(FutureWarning, match=r"draw\(seed=...\) is deprecated since 0.3 and removed in 0.5") as caught:
        assert draw(1, seed=2) == (1, 2)
    assert caught[0].filename == __file__, "the warning points at the call"
    assert str(caught[0].message).endswith("use draw(random_state=...).")
    with pytest.raises(TypeError, match="both 'random_state' and its old name 'seed'"):
        draw(1, seed=2, random_state=2)
    with pytest.raises(TypeError, match="other"):
        draw(1, other=2)
    assert list(inspect.signature(draw).parameters) == ["size", "random_state"]
    assert draw.__doc__ == "Return its arguments."


def test_renamed_name(monkeypatch):
    parts = types.ModuleType("parts")
    parts.new = object()
    parts.__getattr__ = module.renamed_names("parts", {"old": "new"}, **VERSIONS)
    monkeypatch.setitem(sys.modules, "parts", parts)
    with pytest.warns(FutureWarning, match=r"parts\.old is deprecated .* use parts\.new") as caught:
        assert parts.old is parts.new
    assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match="'parts' has no attribute 'other'"):
        _ = parts.other
    assert not hasattr(parts, "other")


def test_function_that_goes():
    deprecation = module.Deprecation("old()", **VERSIONS, instead="new()")
    old = deprecated(deprecation.message)(lambda: 7)
    with pytest.warns(FutureWarning, match=r"old\(\) is deprecated since 0.3 and removed in 0.5: use new\(\)"):
        assert old() == 7
