"""Where llvmlite cannot be imported: the same numbers from arrays, with one warning."""

import inspect
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from numpy.testing import assert_allclose
from problems import AUTO, FIXED, csr, holey, some_weights, theta

import sklearn_sgd
from sklearn_sgd import MiniBatchSGDRegressor

PACKAGE = Path(sklearn_sgd.__file__).parent
TESTS = Path(__file__).parent

# Ways in which an import can fail.
BLOCKS = {
    "absent": """
        import sys
        sys.modules["llvmlite"] = None
    """,
    "refused": """
        import sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] == "llvmlite":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.meta_path.insert(0, Refuse())
    """,
    # As on a platform for which its library was not built.
    "broken": """
        import pathlib, sys, tempfile
        folder = pathlib.Path(tempfile.mkdtemp())
        (folder / "llvmlite").mkdir()
        (folder / "llvmlite" / "__init__.py").write_text("raise ImportError('no library')")
        sys.path.insert(0, str(folder))
    """,
}

FITS = """
    import json, warnings
    import numpy as np
    from problems import AUTO, FIXED, csr, holey, some_weights, theta
    from sklearn_sgd import MiniBatchSGDRegressor
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = run()
    caught = [str(w.message) for w in caught if "llvmlite" in str(w.message)]
    print(json.dumps([results, caught, sorted({name.partition(".")[0] for name in sys.modules if sys.modules[name]})]))
"""


def run():
    """Many kinds of fits."""
    results = []
    X, y = holey()
    for params in (FIXED, AUTO):
        for loss, penalty in (("squared_error", None), ("huber", "elasticnet")):
            for batch_size in (1, 7):
                for rows in (X, csr(X)):
                    model = MiniBatchSGDRegressor(loss, penalty=penalty, batch_size=batch_size, random_state=0)
                    model.set_params(**params | {"shuffle": True} | ({"alpha": 0.1} if penalty else {}))
                    results.append(theta(model.fit(rows, y, some_weights(60)).partial_fit(rows, y)).tolist())
    return results


@pytest.fixture(scope="module")
def compiled():
    return run()


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(code, id=name, marks=[] if name == "broken" else [pytest.mark.matrix])
        for name, code in BLOCKS.items()
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_same_numbers_with_one_warning(compiled, block):
    code = textwrap.dedent(block) + inspect.getsource(run) + textwrap.dedent(FITS)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(TESTS)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results, caught, modules = json.loads(done.stdout)
    assert_allclose(results, compiled, rtol=1e-10, atol=1e-12)
    assert len(caught) == 1
    assert "numba" not in modules
