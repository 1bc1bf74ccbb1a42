"""Examples as notebooks that run in the browser, by JupyterLite.

At the end of a build this extension builds JupyterLite's site in the folder ``lite``, with the notebooks that
Sphinx-Gallery has made and the wheel of the package. Each example has a link to its notebook there. The build needs no
network. Where JupyterLite is not installed, the documentation is built without the links.

A notebook runs in Pyodide, which the browser loads from a network. llvmlite does not exist there, so fits run in NumPy.
"""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
NEEDED = ("jupyterlite_core", "jupyter_server", "jupyterlite_pyodide_kernel", "hatchling")

# The imports load what the package needs, except the compiler.
FIRST_CELL = """\
# In the browser fits run in NumPy, slower than with the compiler.
import warnings

import matplotlib, numpy, pandas, piplite, scipy, sklearn

await piplite.install("sklearn-sgd", deps=False)
warnings.filterwarnings("ignore", "Fits run in NumPy", RuntimeWarning)
"""

LINK = """

.. raw:: html

    <p><a href="../lite/notebooks/index.html?path={name}.ipynb">Run this example in the browser</a>
    (by JupyterLite, which loads Python from a network)</p>
"""


def is_available() -> bool:
    """Return whether all packages that the site needs are installed."""
    return all(map(find_spec, NEEDED))


def add_link(app, docname: str, source: list[str]) -> None:
    """Add the link to the page of an example."""
    folder, _, name = docname.rpartition("/")
    if folder == "auto_examples" and (Path(app.srcdir) / folder / f"{name}.ipynb").exists():
        source[0] += LINK.format(name=name)


def prepare(notebook: Path) -> str:
    """Return the text of a notebook with a first cell that installs the package."""
    content = json.loads(notebook.read_text())
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": [FIRST_CELL]}
    content["cells"].insert(0, cell)
    return json.dumps(content)


def build_site(app, exception) -> None:
    """Build JupyterLite's site beside the pages."""
    from hatchling.builders.wheel import WheelBuilder

    if exception or app.builder.name != "html":
        return
    with TemporaryDirectory() as scratch:
        contents = Path(scratch) / "contents"
        contents.mkdir()
        for notebook in (Path(app.srcdir) / "auto_examples").glob("*.ipynb"):
            (contents / notebook.name).write_text(prepare(notebook))
        [wheel] = WheelBuilder(str(ROOT)).build(directory=scratch, versions=["standard"])
        command = [sys.executable, "-m", "jupyter", "lite", "build", "--apps", "notebooks", "--contents", str(contents)]
        command += ["--no-sourcemaps", "--no-unused-shared-packages", "--piplite-wheels", wheel, "--lite-dir", scratch]
        command += ["--output-dir", str(Path(app.outdir) / "lite")]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"JupyterLite could not be built:\n{done.stdout}\n{done.stderr}")


def setup(app):
    """Set up the site, if its packages are installed."""
    if is_available():
        app.connect("source-read", add_link)
        app.connect("build-finished", build_site)
    return {"parallel_read_safe": True}
