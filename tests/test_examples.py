"""Every example runs, in less than a minute of a processor, from a folder of its own."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))


def seconds():
    """Of processors, spent by all processes that this one waited for; wall time depends on who else is at work."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def test_there_are_examples():
    assert "quickstart.py" in [path.name for path in EXAMPLES]


# Runs a file as the cells of a notebook run: there is no __file__, and the arguments are those of Jupyter's kernel.
AS_NOTEBOOK = """
import sys
source = open(sys.argv.pop(1)).read()
exec(source)
"""

# Each example, those that read the data of this machine also without them, and those that could fail as notebooks.
CASES = [(example, "script") for example in EXAMPLES]
CASES += [(example, "without data") for example in EXAMPLES if "SKLEARN_SGD_DATA" in example.read_text()]
CASES += [(example, "notebook") for example in EXAMPLES if re.search("__file__|sys.argv", example.read_text())]


@pytest.mark.matrix
@pytest.mark.parametrize(("example", "way"), CASES, ids=lambda value: getattr(value, "stem", value))
def test_example(example, way, tmp_path):
    pytest.importorskip("matplotlib")
    before = seconds()
    as_notebook = ["-c", AS_NOTEBOOK, str(example), "-f", "/tmp/kernel.json", "--f=/tmp/kernel.json"]
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", *(as_notebook if way == "notebook" else [str(example)])],
        cwd=tmp_path,
        env=os.environ
        | {"MPLBACKEND": "Agg", "PYTHONPATH": str(REPOSITORY)}
        | ({"SKLEARN_SGD_DATA": os.devnull} if way == "without data" else {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "it says what it does"
    assert seconds() - before < 60
