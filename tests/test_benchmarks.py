"""The benchmarks run, at tiny sizes, and say what they measured."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ITEMS = ("online", "batch", "sparse", "sparse_calls", "calls", "predict", "memory", "scaling", "risk")

pytestmark = pytest.mark.skipif("not __import__('importlib.util').util.find_spec('llvmlite')", reason="needs llvmlite")


def answer(*arguments):
    command = [sys.executable, ROOT / "benchmarks" / "run.py", "--quick", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


@pytest.mark.matrix
def test_all_items_run():
    said = answer()
    for item in ITEMS:
        assert f"\n{item}: " in said
    ratios = [
        float(line.split("x   ")[-2].split()[-1]) for line in said.splitlines() if line.count("x   ") and ".." in line
    ]
    assert len(ratios) > 25
    assert all(ratio > 0.0 for ratio in ratios)
    assert "scikit-learn" in said.splitlines()[0]


@pytest.mark.matrix
def test_one_item_alone():
    said = answer("scaling")
    assert "exponent" in said
    assert not [item for item in ITEMS if f"\n{item}: " in said and item != "scaling"]


@pytest.mark.matrix
def test_card():
    pytest.importorskip("torch")
    command = [sys.executable, ROOT / "benchmarks" / "card.py", "--device", "cpu", "--rows", "1000", "--laps", "1"]
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "PYTHONPATH": str(ROOT)}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    lines = [line for line in said.splitlines() if " ms" in line]
    assert len(lines) == 2 * 9
    assert all(float(line[38:].split()[0]) > 0.0 for line in lines)


@pytest.mark.matrix
def test_coverage():
    options = ["--repetitions", "2", "--rows", "200", "--columns", "2"]
    command = [sys.executable, ROOT / "benchmarks" / "coverage.py", *options]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()[2:]
    shares = [line for line in said if " % " in line]
    assert len(shares) == 20
    assert all(0.0 <= float(line.split()[-5]) <= 100.0 for line in shares)
    known = [line for line in said if "in theory" in line]
    ratios = [float(line.split(": ")[1].split(";")[0]) / float(line.split()[-1]) for line in known]
    assert len(ratios) == 2
    assert all(0.5 <= ratio <= 2.0 for ratio in ratios)
    tails, averages, times = 4, 3, 11
    assert len(said) == len(shares) + len(known) + tails + averages + times


@pytest.mark.matrix
def test_sparse_defaults():
    command = [sys.executable, ROOT / "benchmarks" / "sparse_defaults.py", "--rows", "2000"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    found = [float(line.split("R2")[1].split()[0]) for line in said.splitlines() if "MiniBatchSGDRegressor()" in line]
    assert len(found) in (3, 4)
    assert min(found) > -0.1
