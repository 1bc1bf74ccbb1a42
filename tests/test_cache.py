"""Nothing is compiled at import, nothing twice, and what was compiled from other sources is never run."""

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from internals import keep_in, store, with_slow_compiler
from numpy.testing import assert_allclose

import sklearn_sgd
from sklearn_sgd import MiniBatchSGDRegressor

PACKAGE = Path(sklearn_sgd.__file__).parent

# Prints coefficients, and how often something was compiled.
FIT = """
    import numpy as np
    from sklearn_sgd import MiniBatchSGDRegressor
    from sklearn_sgd._engine.compiled import store
    X = np.linspace(-1, 1, 40).reshape(20, 2)
    for batch_size, rate in ((7, "constant"), (1, "constant"), (7, "auto")):
        model = MiniBatchSGDRegressor({loss}, batch_size=batch_size, learning_rate=rate, epochs=2, shuffle=False)
        print(*model.fit(X, X[:, 0]).coef_)
    print("compiled", store.compilations)
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
    printed = python(before + textwrap.dedent(FIT).replace("{loss}", loss), *path, SKLEARN_SGD_CACHE_DIR=str(cache))
    *coefficients, last = printed.splitlines()
    return coefficients, int(last.split()[1])


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_import_needs_no_compiler():
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


@pytest.mark.matrix
def test_changed_sources_meet_no_stale_kernel(copy):
    """Machine code is kept by the formula that it was made of."""
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


@pytest.mark.matrix
def test_own_parts_are_kept_by_their_formulas(copy, tmp_path):
    """A second process compiles nothing; one that finds another formula under the same name does not use the first."""
    module, cache = tmp_path / "own.py", tmp_path / "cache"
    shutil.copytree(copy[0] / "cache", cache)  # The drivers, which know no part.
    own = {"loss": "Own()", "before": "from own import Own\n"}
    printed = {}
    for factor in (1.0, 0.5):
        module.write_text(OWN.replace("FACTOR", str(factor)))
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        printed[factor], compiled = fit(cache, PACKAGE.parent, tmp_path, **own)
        assert compiled > 0
        assert fit(cache, PACKAGE.parent, tmp_path, **own) == (printed[factor], 0)
    assert all(one != other for one, other in zip(*printed.values(), strict=True))


DEFAULTS = """
    import numpy as np
    from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
    X = np.linspace(-1, 1, 40).reshape(20, 2)
    for kind in (BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor):
        print(*kind(random_state=0).fit(X, X[:, 0]).coef_)
"""


@pytest.mark.matrix
def test_works_where_nothing_can_be_written(tmp_path):
    """No folder for the cache, default parameters: compiled for this process only."""
    package = tmp_path / "sklearn_sgd"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "_engine" / "compiled" / "__pycache__").write_text("a file where the folder would be")
    blocked = tmp_path / "file"
    blocked.write_text("")
    environment = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"), str(blocked))
    environment |= {"SKLEARN_SGD_CACHE_DIR": "", "NUMBA_CACHE_DIR": ""}
    with ThreadPoolExecutor(2) as pool:  # Processes at once, as in a search.
        first, second = pool.map(lambda _: python(DEFAULTS, tmp_path, **environment), range(2))
    assert first == second
    assert len(first.splitlines()) == 3


NOT_WRITABLE = """
import tempfile
def refuse(*args, **kwargs):
    raise PermissionError("read-only file system")
tempfile.mkstemp = tempfile.TemporaryFile = tempfile.NamedTemporaryFile = refuse
"""


@pytest.mark.matrix
def test_a_folder_that_is_read_only_is_read(copy):
    """As in an image that was built by someone else."""
    folder, first = copy
    assert fit(folder / "cache", folder, before=NOT_WRITABLE) == (first, 0)


def test_a_package_that_is_read_only_is_read(monkeypatch, tmp_path):
    """Who cannot write in the package uses what was compiled there, and keeps the rest in a cache of their own."""
    package, user = tmp_path / "package", tmp_path / "user"
    keep_in(monkeypatch, package, user)
    store.write("there", {"f": "f"}, b"code")
    made, writable = tempfile.mkstemp, [user]

    def mkstemp(dir=None, **kwargs):
        if dir not in writable:
            raise PermissionError("read-only file system")
        return made(dir=dir, **kwargs)

    monkeypatch.setattr(tempfile, "mkstemp", mkstemp)
    store.write("new", {"g": "g"}, b"more")
    assert store.read("there") == ({"f": "f"}, b"code")
    assert store.read("new") == ({"g": "g"}, b"more")
    assert [path.name for path in package.iterdir()] == ["there.o"]
    assert [path.name for path in user.iterdir()] == ["new.o"]
    writable.clear()
    store.write("lost", {"h": "h"}, b"code")
    assert store.read("lost") is None
    monkeypatch.undo()
    keep_in(monkeypatch, tmp_path / "nowhere", user)
    (tmp_path / "nowhere").write_text("a file where the folder would be")
    store.write("again", {"h": "h"}, b"code")
    assert store.read("again") == ({"h": "h"}, b"code")
    (user / "again.o").write_bytes(b"not whole")
    assert store.read("again") is None


@pytest.mark.matrix
@pytest.mark.parametrize("name", ["SKLEARN_SGD_CACHE_DIR", "NUMBA_CACHE_DIR"])
def test_the_folder_can_be_chosen(tmp_path, name):
    python(DEFAULTS, PACKAGE.parent, **{"SKLEARN_SGD_CACHE_DIR": "", name: str(tmp_path)})
    assert list(tmp_path.rglob("*.o"))


@pytest.mark.matrix
def test_a_file_that_is_not_whole_is_made_again(copy, tmp_path):
    first, cache = copy[1], shutil.copytree(copy[0] / "cache", tmp_path / "cache")
    for number, path in enumerate(sorted(cache.rglob("*.o"))):
        content = path.read_bytes()
        path.write_bytes([content[:-100], b"", content[:200] + b"x" + content[201:], b"{}\n"][number % 4])
    assert fit(cache, PACKAGE.parent)[0] == first
    assert fit(cache, PACKAGE.parent) == (first, 0)


@pytest.mark.matrix
def test_precompiled_fits_compile_nothing(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "SKLEARN_SGD_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "sklearn_sgd.precompile", "--dtypes", "float64"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # One for each part and each driver with its kind of rows: a sum. Both precisions together are twice as many.
    assert 40 < int(done.stdout.split()[0]) <= 75
    assert fit(tmp_path, PACKAGE.parent)[1] == 0
    assert fit(tmp_path, PACKAGE.parent, loss='"huber", penalty="elasticnet"')[1] == 0


ONE_FIT = """
import sys
import numpy as np
from sklearn_sgd import MiniBatchSGDRegressor
X = np.linspace(-1, 1, 40).reshape(20, 2)
params = {"learning_rate": "constant", "epochs": 2, "tol": None, "shuffle": False}
for loss in sys.argv[1:]:
    print(*MiniBatchSGDRegressor(loss, **params).fit(X, 5 * X[:, 0]).coef_)
"""


@pytest.mark.matrix
def test_processes_that_save_at_once(tmp_path):
    """As in a grid search over losses in several processes: each writes whole files, of the same content."""
    losses = ["squared_error", "absolute_error", "squared_error"]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "SKLEARN_SGD_CACHE_DIR": str(tmp_path)}

    def start(*losses):
        command = [sys.executable, "-P", "-c", ONE_FIT, *losses]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    compiled = [writer.communicate(timeout=300)[0] for writer in [start(loss) for loss in losses]]
    assert compiled[0] == compiled[2] != compiled[1]
    assert start(*losses).communicate(timeout=300)[0] == "".join(compiled)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("writable", [True, False])
def test_a_long_compilation_prints_a_line(monkeypatch, tmp_path, caplog, writable):
    """With the number of functions, the seconds, and what follows for later fits; a short one prints nothing."""
    folder = tmp_path / "code"
    if not writable:
        folder.write_text("a file where the folder would be")
    keep_in(monkeypatch, folder)

    factor = 0.0625 if writable else 0.0703125

    class Scaled(NamedTuple):
        """The squared error times a number: a formula that no other test has compiled."""

        def value(self, y, p):
            return factor * (p - y) ** 2

        def gradient(self, y, p):
            return 2 * factor * (p - y)

    X = np.linspace(-1, 1, 40).reshape(20, 2)
    before = store.compilations
    with_slow_compiler(monkeypatch, 3.0)
    MiniBatchSGDRegressor(Scaled(), learning_rate="constant", tol=None).fit(X, X[:, 0])
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == store.compilations - before > 0
    assert all(line.startswith("sklearn_sgd compiled 1 function in 3.0 s. ") for line in lines)
    assert all((str(folder) if writable else "set SKLEARN_SGD_CACHE_DIR") in line for line in lines)


def test_waits_for_the_compiler_add_up(caplog):
    """Functions that a fit compiles one after the other count together, those of another fit do not."""
    wait = store.Wait()
    for start in (0.0, 1.5, 10.0, 11.0, 12.0):
        wait.add(start, start + 0.9, None)
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("sklearn_sgd compiled 3 functions in 2.7 s.")


def test_a_class_defined_again_is_another_part():
    """As in a notebook: the same name, another formula."""
    coefs = []
    X = np.linspace(-1, 1, 40).reshape(20, 2)
    for factor in (1.0, 0.5):

        class Own(NamedTuple):
            width: float = 1.0

            def value(self, y, p):
                return 0.5 * factor * (p - y) * (p - y)  # noqa: B023

            def gradient(self, y, p):
                return factor * (p - y)  # noqa: B023

        model = MiniBatchSGDRegressor(Own(), batch_size=7, learning_rate="constant", epochs=2, shuffle=False)
        coefs.append(model.fit(X, X[:, 0]).coef_)
        halved = MiniBatchSGDRegressor(
            batch_size=7, learning_rate="constant", eta0=0.01 * factor, epochs=2, shuffle=False
        )
        assert_allclose(coefs[-1], halved.fit(X, X[:, 0]).coef_, rtol=1e-12)
    assert abs(coefs[0] - coefs[1]).min() > 0
