"""Every example runs, in less than a minute of a processor, from a folder of its own."""

import os
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


# Each example, and those that read the data of this machine also without them.
CASES = [(example, True) for example in EXAMPLES]
CASES += [(example, False) for example in EXAMPLES if "SKLEARN_SGD_DATA" in example.read_text()]


@pytest.mark.matrix
@pytest.mark.parametrize(("example", "data"), CASES, ids=lambda value: getattr(value, "stem", value))
def test_example(example, data, tmp_path):
    pytest.importorskip("matplotlib")
    before = seconds()
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", str(example)],
        cwd=tmp_path,
        env=os.environ
        | {"MPLBACKEND": "Agg", "PYTHONPATH": str(REPOSITORY)}
        | ({} if data else {"SKLEARN_SGD_DATA": os.devnull}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "it says what it does"
    assert seconds() - before < 60
