"""Nothing is compiled at import, nothing twice, and what was compiled from other sources is never run."""

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from problems import needs_rebuilt

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


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the package, with the cache of a first process beside it, and what that process printed."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(PACKAGE, folder / "sklearn_sgd", ignore=shutil.ignore_patterns("__pycache__"))
    first, compiled = fit(folder / "cache", folder)
    assert compiled > 0
    return folder, first


def test_second_process_compiles_nothing(copy):
    folder, first = copy
    before = files(folder / "cache")
    assert before
    second, compiled = fit(folder / "cache", folder)
    assert compiled == 0
    assert files(folder / "cache") == before
    assert second == first


def test_changed_sources_meet_no_stale_kernel(copy):
    """A change in another file than the kernel's is one that numba does not see."""
    folder, original = copy
    losses = folder / "sklearn_sgd" / "losses.py"
    text = losses.read_text()
    assert text.count("return p - y\n") == 1
    losses.write_text(text.replace("return p - y\n", "return 0.5 * (p - y)\n"))
    try:
        changed, compiled = fit(folder / "cache", folder)
    finally:
        losses.write_text(text)
    assert compiled > 0
    assert changed[0] != original[0]
    restored, _ = fit(folder / "cache", folder)
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


DEFAULTS = """
    import numpy as np
    from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
    X = np.linspace(-1, 1, 40).reshape(20, 2)
    for kind in (BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor):
        print(*kind().fit(X, X[:, 0]).coef_)
"""


@needs_rebuilt
def test_works_where_nothing_can_be_written(tmp_path):
    """No folder for the cache, default parameters: compiled for this process only."""
    package = tmp_path / "sklearn_sgd"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "_engine" / "__pycache__").write_text("a file where the folder would be")
    blocked = tmp_path / "file"
    blocked.write_text("")
    environment = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked), "NUMBA_CACHE_DIR": ""}
    printed = python(DEFAULTS, tmp_path, **environment)
    assert len(printed.splitlines()) == 3


# Of two processes, a and b: both read the index, a then b save theirs, b then a save the kernel.
IN_TURN = """
import time
from pathlib import Path

import pytest
from problems import needs_rebuilt
from numba.core.caching import IndexDataCacheFile as File
me, flags, save_index, save_data = "{me}", Path(r"{flags}"), File._save_index, File._save_data

def wait(flag):
    end = time.monotonic() + 20
    while not (flags / flag).exists() and time.monotonic() < end:
        time.sleep(0.01)

def index(*args):
    (flags / f"{me} ready").touch()
    wait("b ready" if me == "a" else "a index")
    save_index(*args)
    (flags / f"{me} index").touch()

def data(*args):
    wait("b data" if me == "a" else "b index")
    save_data(*args)
    (flags / f"{me} data").touch()

File._save_index, File._save_data = index, data
"""

ONE_FIT = """
import sys
import numpy as np
from sklearn_sgd import MiniBatchSGDRegressor
X = np.linspace(-1, 1, 40).reshape(20, 2)
params = {"learning_rate": "constant", "epochs": 2, "tol": None, "shuffle": False}
for loss in sys.argv[1:]:
    print(*MiniBatchSGDRegressor(loss, **params).fit(X, 5 * X[:, 0]).coef_)
"""


def test_processes_that_save_at_once_do_not_mix_their_kernels(tmp_path):
    """As in a grid search over losses in two processes; or one loss has the kernel of the other for ever."""
    losses = {"a": "squared_error", "b": "absolute_error"}
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    (tmp_path / "flags").mkdir()

    def start(code, *losses):
        command = [sys.executable, "-P", "-c", code, *losses]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    writers = [
        start(IN_TURN.replace("{me}", me).replace("{flags}", str(tmp_path / "flags")) + ONE_FIT, loss)
        for me, loss in losses.items()
    ]
    compiled = [writer.communicate(timeout=300)[0] for writer in writers]
    assert len(set(compiled)) == 2
    loaded = start(ONE_FIT, *losses.values()).communicate(timeout=300)[0]
    assert loaded == "".join(compiled)
