"""Who may import whom: the rooms of the package keep apart."""

import ast
import sys
from pathlib import Path

import pytest

import sklearn_sgd

PACKAGE = Path(sklearn_sgd.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
PARTS = ["losses", "penalties", "optimizers", "schedules"]

# Extras that a module may import: when it is used, but for the classes for Dask, which are no use without it.
DASK = {"dask", "distributed", "cloudpickle"}
EXTRAS = {
    "sklearn_sgd.onnx": {"skl2onnx"},
    "sklearn_sgd.displays": {"matplotlib"},
    "sklearn_sgd.streaming.arrow_chunks": {"pyarrow"},
    "sklearn_sgd.streaming.arrow_fragments": {"pyarrow"},
}


def name_of(path):
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


EXTRAS |= {name: DASK for name in map(name_of, MODULES) if name.startswith("sklearn_sgd.dask")}


def imports(path, everywhere=True):
    """Names of modules that a file imports: at its top, or also in functions."""
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if everywhere else tree.body
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top(names):
    return {name.partition(".")[0] for name in names}


@pytest.fixture(params=MODULES, ids=name_of)
def module(request):
    return request.param


def test_all_modules_are_here():
    engine = {f"_engine.{name}" for name in ("plan", "loop", "rows", "kernels", "arrays", "jit")}
    assert {f"sklearn_sgd.{name}" for name in {"regressors", *PARTS, *engine}} <= {name_of(path) for path in MODULES}


def test_engine_does_not_know_the_regressors(module):
    if name_of(module).startswith("sklearn_sgd._engine"):
        assert not [name for name in imports(module) if name.startswith("sklearn_sgd.regressors")]


def test_engine_does_not_know_scikit_learn(module):
    """But for three files, which must agree with it: whose arrays stay, how many threads run, what is in a range."""
    if name_of(module).startswith("sklearn_sgd._engine") and module.stem not in ("namespace", "full", "numbers"):
        assert "sklearn" not in top(imports(module))


def test_numba_is_in_two_files_only(module):
    if name_of(module) not in ("sklearn_sgd._engine.jit", "sklearn_sgd._engine.kernels"):
        assert not {"numba", "llvmlite"} & top(imports(module))


def test_kernels_are_imported_when_used(module):
    assert "sklearn_sgd._engine.kernels" not in list(imports(module, everywhere=False))


def test_run_time_dependencies(module):
    known = {"numpy", "scipy", "sklearn", "numba", "llvmlite", "sklearn_sgd"}
    assert top(imports(module)) - known - EXTRAS.get(name_of(module), set()) <= sys.stdlib_module_names
    at_once = DASK if name_of(module).startswith("sklearn_sgd.dask") else set()
    assert top(imports(module, everywhere=False)) - known - at_once <= sys.stdlib_module_names


@pytest.mark.parametrize("part", PARTS)
def test_parts_know_the_words_and_the_ranges_only(part):
    ours = [name for name in imports(PACKAGE / f"{part}.py") if name.startswith("sklearn_sgd")]
    assert all(name.startswith(("sklearn_sgd._engine.jit", "sklearn_sgd._engine.numbers")) for name in ours)
    assert not {"sklearn", "scipy"} & top(imports(PACKAGE / f"{part}.py"))


def test_schedules_know_numpy_only():
    assert not [name for name in imports(PACKAGE / "schedules.py") if name.startswith("sklearn_sgd")]
