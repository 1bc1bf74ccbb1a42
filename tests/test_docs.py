"""Documentation covers all that is public, and says the commands that work."""

import ast
import inspect
import json
import os
import re
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
from problems import REGRESSORS, learned, linear

import sklearn_sgd
from sklearn_sgd import (
    batches,
    diagnostics,
    displays,
    inference,
    losses,
    onnx,
    optimizers,
    penalties,
    precompile,
    schedules,
    streaming,
)
from sklearn_sgd.losses import LOSSES
from sklearn_sgd.optimizers import OPTIMIZERS

REPOSITORY = Path(__file__).parent.parent
MODULES = [batches, diagnostics, displays, inference, losses, onnx, optimizers, penalties, precompile, schedules]
MODULES.append(streaming)
if find_spec("distributed"):
    MODULES.append(import_module("sklearn_sgd.dask"))
NAMES = [name for name in sklearn_sgd.__all__ if not name.startswith("__")]
NAMES += [f"{module.__name__}.{name}".removeprefix("sklearn_sgd.") for module in MODULES for name in module.__all__]
OBJECTS = [*REGRESSORS, *(getattr(module, name) for module in MODULES for name in module.__all__ if not name.isupper())]


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_in_the_reference(name):
    reference = (REPOSITORY / "docs" / "api.rst").read_text()
    assert re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", reference), f"docs/api.rst lacks {name}"


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: thing.__name__)
def test_every_public_thing_has_an_example(thing):
    assert ">>>" in inspect.getdoc(thing)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_every_parameter_and_attribute_is_documented(kind):
    doc = inspect.getdoc(kind)
    for name in kind().get_params():
        assert re.search(rf"^{name} : ", doc, re.MULTILINE), f"parameter {name}"
    fitted = kind().fit(*linear())
    for name in learned(fitted):
        assert re.search(rf"^{name} : ", doc, re.MULTILINE), f"attribute {name}"


def test_documented_defaults_are_the_defaults():
    for kind in REGRESSORS:
        doc = inspect.getdoc(kind)
        for name, value in kind().get_params().items():
            line = re.search(rf"^{name} : .*?(?=\n    )", doc, re.MULTILINE | re.DOTALL)[0]
            said = re.search(r"default=(\S+)$", line)
            if said:
                assert eval(said[1]) == value, f"{kind.__name__}.{name}"
            else:
                assert line == f"{name} : None"


@pytest.mark.parametrize(("parameter", "parts"), [("loss", LOSSES), ("optimizer", OPTIMIZERS)])
def test_documented_names_are_the_names(parameter, parts):
    for kind in REGRESSORS:
        said = re.search(rf"^{parameter} : \{{(.*?)\}} or instance", inspect.getdoc(kind), re.MULTILINE)[1]
        assert said.replace("'", "").split(", ") == list(parts)


def test_every_file_that_the_readme_names_is_there():
    names = re.findall(r"(?<![\w/.])(?:docs|benchmarks|examples|\.ci)/[\w./]*", (REPOSITORY / "README.md").read_text())
    assert names
    for name in names:
        assert (REPOSITORY / name).exists() or name.startswith("docs/_build/"), name


def test_readme_has_the_test_command():
    readme = (REPOSITORY / "README.md").read_text()
    assert re.search(r"pip install .*-m pytest", readme), "one line that installs and tests"
    assert re.search(r"\.ci/run\b", readme), "what runs all checks"
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)


def test_version_is_in_the_changelog():
    version = sklearn_sgd.__version__.partition(".dev")[0]
    assert re.search(rf"{re.escape(version)}|[Uu]nreleased", (REPOSITORY / "CHANGELOG.md").read_text())


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_a_page_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", (REPOSITORY / page).read_text()):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = REPOSITORY / (path or page)
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text().lower(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles], link


@pytest.mark.parametrize("path", sorted((REPOSITORY / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_text_of_an_example_is_readable_in_a_notebook(path):
    """Notebooks show Sphinx's roles as they are written, and a line that begins with # as a heading."""
    text = path.read_text()
    assert not re.findall(r":[a-z]+:`|^# #.*", text, re.MULTILINE)


@pytest.mark.parametrize("quoted", ["left the finite range", "ends worse than the best constant prediction"])
def test_troubleshooting_quotes_messages(quoted):
    """The page is found by the words of a message, so they are those of the code."""
    page = " ".join((REPOSITORY / "docs" / "troubleshooting.rst").read_text().split())
    assert quoted in page
    sources = (" ".join(path.read_text().split()) for path in (REPOSITORY / "sklearn_sgd").rglob("*.py"))
    assert any(quoted in source for source in sources)


def test_every_extra_that_the_documentation_names_is_declared():
    extras = set(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    for page in [*(REPOSITORY / "docs").glob("*.rst"), REPOSITORY / "README.md"]:
        text = page.read_text()
        named = re.findall(r"\bextra ``?([a-z]+)``?", text) + re.findall(r'pip install (?:-e )?"\.\[([a-z]+)\]"', text)
        assert set(named) <= extras, page.name


@pytest.fixture
def mathml(monkeypatch):
    """The renderer of formulas; it needs the extra ``docs``."""
    pytest.importorskip("latex2mathml")
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(REPOSITORY / "docs" / "_ext")
    return import_module("mathml").mathml


def test_mathml_of_a_formula(mathml):
    made = mathml(r"\frac{a^2}{2} \log \cosh(r / a)", "inline")
    tree = ElementTree.fromstring(made)
    assert "".join(tree.itertext()).replace(" ", "") == "a22logcosh(r/a)"
    assert tree.get("aria-label").startswith(r"\frac")
    assert tree.get("display") == "inline"


def test_mathml_of_two_lines(mathml):
    tree = ElementTree.fromstring(mathml(r"g &= f'(p) \\ w &\leftarrow w + g", "block"))
    rows = [row for row in tree.iter() if row.tag.endswith("}mtr")]
    assert ["".join(row.itertext()) for row in rows] == ["g=f\u2032(p)", "w\u2190w+g"]


def test_mathml_of_an_unknown_command(mathml):
    with pytest.raises(Exception, match="unknowncommand"):
        mathml(r"\unknowncommand{x}", "inline")


def test_notebooks_for_the_browser_install_the_package_first(monkeypatch, tmp_path):
    """The added cell is Python with IPython's top-level await; the cells of the example follow unchanged."""
    monkeypatch.syspath_prepend(REPOSITORY / "docs" / "_ext")
    cells = [{"cell_type": "code", "source": ["import sklearn_sgd"], "metadata": {}, "outputs": []}]
    path = tmp_path / "example.ipynb"
    path.write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    first, *others = json.loads(import_module("browser").prepare(path))["cells"]
    assert others == cells
    tree = compile("".join(first["source"]), "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    needed = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
    modules = {re.match(r"[\w-]+", line)[0].replace("scikit-learn", "sklearn") for line in needed}
    assert modules - imported == {"llvmlite"}
