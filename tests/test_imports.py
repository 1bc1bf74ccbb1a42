"""Who may import whom: the rooms of the package keep apart."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY

import sklearn_sgd

PACKAGE = Path(sklearn_sgd.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Longer ones, and why: a screen for each of twelve losses and eleven optimizers, most of it docstrings; a constructor
# has two lines for each parameter.
MORE_LINES = {"sklearn_sgd.losses": 500, "sklearn_sgd.optimizers": 470, "sklearn_sgd.dask.estimators.__init__": 70}

# Extras that a module may import: when it is used, but for the classes for Dask, which are no use without it.
DASK = {"dask", "distributed", "cloudpickle"}
EXTRAS = {
    "sklearn_sgd.onnx": {"skl2onnx"},
    "sklearn_sgd.displays": {"matplotlib"},
    "sklearn_sgd.inference.table": {"pandas"},
    "sklearn_sgd.streaming.arrow_chunks": {"pyarrow"},
    "sklearn_sgd.streaming.arrow_fragments": {"pyarrow"},
}


def extra(name):
    """What a module, or the package that it is in, may import from an extra."""
    return set().union(*(names for known, names in EXTRAS.items() if f"{name}.".startswith(f"{known}.")))


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


def test_the_compiler_is_imported_when_used(module):
    """Importing the package is quick, and works where nothing can be compiled."""
    assert "llvmlite" not in top(imports(module, everywhere=False))


def test_run_time_dependencies(module):
    known = {"numpy", "scipy", "sklearn", "llvmlite", "sklearn_sgd"}
    assert top(imports(module)) - known - extra(name_of(module)) <= sys.stdlib_module_names
    # The classes for Dask are no use without it.
    at_once = DASK if name_of(module).startswith("sklearn_sgd.dask") else set()
    assert top(imports(module, everywhere=False)) - known - at_once <= sys.stdlib_module_names


def test_import_rules():
    """Who may import whom stands in pyproject.toml."""
    pytest.importorskip("importlinter")
    done = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=REPOSITORY, check=False)
    assert done.returncode == 0


def test_files_and_functions_are_short(module):
    """At most 400 lines a file, and 60 a function without its docstring; drivers are as long as their loops."""
    assert len(module.read_text().splitlines()) <= MORE_LINES.get(name_of(module), 400)
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef) and ".drivers." not in name_of(module):
            doc = node.body[0] if ast.get_docstring(node) else None
            length = node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)
            assert length <= MORE_LINES.get(f"{name_of(module)}.{node.name}", 60), node.name
