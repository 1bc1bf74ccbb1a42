"""Nothing is compiled at import, nothing twice, and what was compiled from other sources is never run."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import sklearn_sgd

PACKAGE = Path(sklearn_sgd.__file__).parent

# Prints a coefficient and how often numba compiled; by numba's own account of it, not ours.
FIT = """
    import numpy as np
    from numba.core import event
    from sklearn_sgd import MiniBatchSGDRegressor
    with event.install_recorder("numba:compile") as compiled:
        X = np.linspace(-1, 1, 40).reshape(20, 2)
        for batch_size, rate in ((7, "constant"), (1, "constant"), (7, "auto")):
            model = MiniBatchSGDRegressor({loss}, batch_size=batch_size, learning_rate=rate, epochs=2, shuffle=False)
            print(*model.fit(X, X[:, 0]).coef_)
    print("compiled", len(compiled.buffer))
"""


def python(code, *path, **environment):
    """What a new process prints that finds its modules in those folders."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error::RuntimeWarning", "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))} | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fit(cache, *path, loss='"squared_error"', before=""):
    """Coefficients, and how often something was compiled, in a new process."""
    printed = python(before + textwrap.dedent(FIT).replace("{loss}", loss), *path, NUMBA_CACHE_DIR=str(cache))
    *coefficients, last = printed.splitlines()
    return coefficients, int(last.split()[1])


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_import_needs_no_numba():
    printed = python(
        """
        import sys
        import sklearn_sgd
        from sklearn_sgd import losses, optimizers, penalties, schedules
        sklearn_sgd.BatchGDRegressor(), losses.Huber(1.0).value(0.0, 1.0), penalties.L1(1.0).prox(1.0, 0.5)
        print([name for name in sys.modules if name.partition(".")[0] in ("numba", "llvmlite")])
        """,
        PACKAGE.parent,
    )
    assert printed == "[]\n"


@pytest.mark.slow
def test_second_process_compiles_nothing(tmp_path):
    first, compiled = fit(tmp_path, PACKAGE.parent)
    assert compiled > 0
    before = files(tmp_path)
    assert before
    second, compiled = fit(tmp_path, PACKAGE.parent)
    assert compiled == 0
    assert files(tmp_path) == before
    assert second == first


@pytest.mark.slow
def test_changed_sources_meet_no_stale_kernel(tmp_path):
    """A change in another file than the kernel's is one that numba does not see."""
    package, cache = tmp_path / "sklearn_sgd", tmp_path / "cache"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    original, _ = fit(cache, tmp_path)
    losses = package / "losses.py"
    text = losses.read_text()
    assert text.count("return p - y\n") == 1
    losses.write_text(text.replace("return p - y\n", "return 0.5 * (p - y)\n"))
    changed, compiled = fit(cache, tmp_path)
    assert compiled > 0
    assert changed[0] != original[0]
    losses.write_text(text)
    restored, compiled = fit(cache, tmp_path)
    assert restored == original


OWN = """
from typing import NamedTuple

class Own(NamedTuple):
    width: float = 1.0
    def value(self, y, p):
        return 0.5 * (p - y) * (p - y)
    def gradient(self, y, p):
        return FACTOR * (p - y)
"""


@pytest.mark.slow
def test_own_parts_leave_no_kernel_behind(tmp_path):
    """Their sources are not ours to watch, so a changed one must not find its old kernel."""
    module, cache = tmp_path / "own.py", tmp_path / "cache"
    answers = []
    for factor in (1.0, 0.5):
        module.write_text(OWN.replace("FACTOR", str(factor)))
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        answers.append(fit(cache, PACKAGE.parent, tmp_path, loss="Own()", before="from own import Own\n")[0])
    assert all(one != other for one, other in zip(*answers, strict=True))
    assert not [path for path in cache.rglob("*") if path.suffix == ".nbc"]


@pytest.mark.slow
def test_works_where_nothing_can_be_written(tmp_path):
    """No folder for the cache: compiled for this process only."""
    package = tmp_path / "sklearn_sgd"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "_engine" / "__pycache__").write_text("a file where the folder would be")
    blocked = tmp_path / "file"
    blocked.write_text("")
    environment = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked), "NUMBA_CACHE_DIR": ""}
    printed = python(textwrap.dedent(FIT).replace("{loss}", '"squared_error"'), tmp_path, **environment)
    assert len(printed.splitlines()) == 4
