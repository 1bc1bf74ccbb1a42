"""Check the distributions in a folder: their contents, and that package, changelog and tag name the same version."""

import re
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent


def version_of_package() -> str:
    """Return the version, from the one place where it stands."""
    text = (REPOSITORY / "sklearn_sgd" / "_version.py").read_text()
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]


def faults_of_wheel(names: list[str], metadata: str, version: str) -> list[str]:
    """Return what is wrong with the files and the metadata of a wheel."""
    faults = [f"the wheel contains {name}" for name in names if not belongs_in_wheel(name)]
    faults += [
        f"the wheel lacks {name}" for name in ("sklearn_sgd/py.typed", "sklearn_sgd/__init__.py") if name not in names
    ]
    fields = message_from_string(metadata)
    if fields["Version"] != version:
        faults.append(f"the wheel has version {fields['Version']}, the package {version}")
    if not any(name.endswith("/licenses/LICENSE") for name in names):
        faults.append("the wheel lacks the licence")
    return faults


def belongs_in_wheel(name: str) -> bool:
    """Return whether a file is of the package or of the wheel's own information, and no test."""
    path = Path(name)
    if re.match(r"sklearn_sgd-[^/]+\.dist-info/", name):
        return True
    in_package = path.parts[0] == "sklearn_sgd" and (path.suffix == ".py" or path.name == "py.typed")
    return in_package and not any(re.match(r"(test|conftest|__pycache__)", part) for part in path.parts)


def faults_of_sdist(names: list[str], version: str) -> list[str]:
    """Return what is wrong with the files of an sdist: it must hold what the tests and the documentation need."""
    root = f"sklearn_sgd-{version}/"
    faults = [f"the sdist has {name} outside {root}" for name in names if not name.startswith(root)]
    inside = {name.removeprefix(root) for name in names}
    needed = ["pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "sklearn_sgd/py.typed"]
    needed += ["tests/test_docs.py", "docs/conf.py", "examples/quickstart.py", ".ci/run"]
    faults += [f"the sdist lacks {name}" for name in needed if name not in inside]
    junk = re.compile(r"(^|/)(__pycache__|\.venv[^/]*|_build|\.[a-z_]+_cache|\.git)/|\.(pyc|nbi|nbc)$")
    return faults + [f"the sdist contains {name}" for name in sorted(inside) if junk.search(name)]


def faults_of_tag(tag: str, version: str, changelog: str) -> list[str]:
    """Return what is wrong with the tag of a release: it names the version, and the changelog has its changes."""
    faults = [] if tag == f"v{version}" else [f"the tag is {tag}, the version {version}: they must be v{version}"]
    if re.search(r"[a-z]", version):
        faults.append(f"the version {version} is not one to release")
    if not re.search(rf"^## {re.escape(version)}\b", changelog, re.MULTILINE):
        faults.append(f"CHANGELOG.md has no section {version}")
    return faults


def faults_of(folder: Path, tag: str | None = None) -> list[str]:
    """Return what is wrong with the distributions in a folder, and with the tag of the release if there is one."""
    version = version_of_package()
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        return [f"{folder} must hold one wheel and one sdist; it holds {[path.name for path in folder.iterdir()]}"]
    with zipfile.ZipFile(wheels[0]) as wheel:
        names = wheel.namelist()
        [metadata] = (wheel.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    with tarfile.open(sdists[0]) as sdist:
        faults = faults_of_wheel(names, metadata, version) + faults_of_sdist(sdist.getnames(), version)
    return faults + (faults_of_tag(tag, version, (REPOSITORY / "CHANGELOG.md").read_text()) if tag else [])


if __name__ == "__main__":
    found = faults_of(Path(sys.argv[1]), *sys.argv[2:3])
    print("\n".join(found) or f"distributions of {version_of_package()}: as they should be")
    sys.exit(bool(found))
