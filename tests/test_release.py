"""What a release is made of: the checks of its files, one version, requirements that are the same everywhere."""

import importlib.util
import re
import tarfile
import tomllib
import zipfile
from importlib.metadata import version

import pytest
from conftest import REPOSITORY

import sklearn_sgd

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def checks():
    spec = importlib.util.spec_from_file_location("checks", REPOSITORY / ".ci" / "check_distributions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


METADATA = "Metadata-Version: 2.4\nName: sklearn-sgd\nVersion: 1.2.3\n\nText"
INFO = "sklearn_sgd-1.2.3.dist-info"
WHEEL = ["sklearn_sgd/__init__.py", "sklearn_sgd/_base/fitted.py", "sklearn_sgd/py.typed"]
WHEEL += [f"{INFO}/METADATA", f"{INFO}/RECORD", f"{INFO}/licenses/LICENSE"]


def test_good_wheel(checks):
    assert checks.faults_of_wheel(WHEEL, METADATA, "1.2.3") == []


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ([*WHEEL, "tests/test_docs.py"], "contains tests/test_docs.py"),
        ([*WHEEL, "sklearn_sgd/tests/test_a.py"], "contains sklearn_sgd/tests/test_a.py"),
        ([*WHEEL, "sklearn_sgd/conftest.py"], "contains sklearn_sgd/conftest.py"),
        ([*WHEEL, "sklearn_sgd/__pycache__/losses.nbi"], "contains sklearn_sgd/__pycache__/losses.nbi"),
        ([*WHEEL, "docs/conf.py"], "contains docs/conf.py"),
        ([name for name in WHEEL if "typed" not in name], "lacks sklearn_sgd/py.typed"),
        ([name for name in WHEEL if "LICENSE" not in name], "lacks the licence"),
    ],
)
def test_faults_of_a_wheel(checks, names, fault):
    [found] = checks.faults_of_wheel(names, METADATA, "1.2.3")
    assert found == f"the wheel {fault}"


def test_version_of_a_wheel(checks):
    assert checks.faults_of_wheel(WHEEL, METADATA, "1.2.4") == ["the wheel has version 1.2.3, the package 1.2.4"]


def sdist(folder, version, names):
    path = folder / f"sklearn_sgd-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.add(REPOSITORY / "LICENSE", f"sklearn_sgd-{version}/{name}")
    return path


NEEDED = ["pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "sklearn_sgd/py.typed"]
NEEDED += ["tests/test_docs.py", "docs/conf.py", "examples/quickstart.py", ".ci/run"]


def test_distributions_of_a_folder(checks, tmp_path):
    assert "must hold one wheel and one sdist" in checks.faults_of(tmp_path)[0]
    number = sklearn_sgd.__version__
    with zipfile.ZipFile(tmp_path / f"sklearn_sgd-{number}-py3-none-any.whl", "w") as wheel:
        for name in WHEEL:
            wheel.writestr(name.replace("1.2.3", number), METADATA.replace("1.2.3", number))
    sdist(tmp_path, number, NEEDED)
    assert checks.faults_of(tmp_path) == []
    assert any("the tag is v0.0.9" in fault for fault in checks.faults_of(tmp_path, "v0.0.9"))
    junk = [".import_linter_cache/a.json", "docs/_build/index.html", "sklearn_sgd/__pycache__/a.pyc"]
    sdist(tmp_path, number, [*NEEDED[1:], *junk])
    assert checks.faults_of(tmp_path) == [
        "the sdist lacks pyproject.toml",
        "the sdist contains .import_linter_cache/a.json",
        "the sdist contains docs/_build/index.html",
        "the sdist contains sklearn_sgd/__pycache__/a.pyc",
    ]


@pytest.mark.parametrize(
    ("tag", "number", "changelog", "faults"),
    [
        ("v0.3.0", "0.3.0", "## 0.3.0 (2027-01-01)\n", []),
        ("0.3.0", "0.3.0", "## 0.3.0\n", ["the tag is 0.3.0"]),
        ("v0.3.1", "0.3.0", "## 0.3.0\n", ["the tag is v0.3.1"]),
        ("v0.3.0", "0.3.0", "## Unreleased (0.3.0)\n", ["no section 0.3.0"]),
        ("v0.3.0.dev0", "0.3.0.dev0", "## 0.3.0.dev0\n", ["not one to release"]),
    ],
)
def test_tag(checks, tag, number, changelog, faults):
    found = checks.faults_of_tag(tag, number, changelog)
    assert len(found) == len(faults)
    for fault, text in zip(found, faults, strict=True):
        assert text in fault


def test_one_version(checks):
    """It stands in one file; the other files take it from there, or do not name it."""
    assert "version" in PROJECT["dynamic"]
    assert checks.version_of_package() == sklearn_sgd.__version__
    assert version("sklearn-sgd") == sklearn_sgd.__version__, "install the package again"
    assert not re.search(r"^version:", (REPOSITORY / "CITATION.cff").read_text(), re.MULTILINE)
    recipe = (REPOSITORY / "recipe" / "recipe.yaml").read_text()
    assert re.findall(r"^ *version: (.*)$", recipe, re.MULTILINE) == [
        '${{ env.get("SKLEARN_SGD_VERSION") }}',
        "${{ version }}",
    ]


def bounds(lines):
    """Lower bounds of requirements by name."""
    return dict(re.fullmatch(r"([\w-]+) *>=([\d.]+)", line.strip(" -\n")).groups() for line in lines)


def test_requirements_are_the_same_everywhere():
    declared = bounds(PROJECT["dependencies"]) | {"python": PROJECT["requires-python"].removeprefix(">=")}
    recipe = (REPOSITORY / "recipe" / "recipe.yaml").read_text()
    run = re.search(r"^  run:\n((?:    - .*\n)+)", recipe, re.MULTILINE)[1]
    assert bounds(run.splitlines()) == declared
    policy = (REPOSITORY / "docs" / "support.rst").read_text()
    table = dict(re.findall(r"^([\w-]+) +(\d+\.\d+)(?: .*)?$", policy, re.MULTILINE))
    assert {name.lower(): number for name, number in table.items()} == declared
    oldest = (REPOSITORY / ".ci" / "oldest.txt").read_text()
    for name, number in declared.items():
        if name != "python":
            assert re.search(rf"^{name}=={re.escape(number)}\b", oldest, re.MULTILINE), name


def test_wheels_say_that_they_are_typed():
    assert (REPOSITORY / "sklearn_sgd" / "py.typed").exists()
    assert "Typing :: Typed" in PROJECT["classifiers"]
