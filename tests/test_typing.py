"""A user's program as a type checker sees it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_sgd

PACKAGE = Path(sklearn_sgd.__file__).parent

RIGHT = """
from typing import assert_type

import numpy as np

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor, losses, schedules

X, y = np.zeros((4, 2)), np.zeros(4)
model = MiniBatchSGDRegressor("huber", batch_size="auto", penalty="l2", shuffle="batches", time_budget=60.0)
assert_type(model.fit(X, y, X_val=X, y_val=y), MiniBatchSGDRegressor)
assert_type(OnlineSGDRegressor(losses.Huber(1.0)).partial_fit(X, y), OnlineSGDRegressor)
assert_type(BatchGDRegressor(learning_rate=schedules.constant(0.1)).fit(X, y).sparsify(), BatchGDRegressor)
assert_type(model.intercept_, float)
assert_type(model.loss_curve_, list[float])
parts = losses.Huber(), losses.Cauchy(), losses.Poisson(), losses.Gamma(), losses.Quantile(0.9), losses.LogCosh()
bound: float = losses.Expectile(0.3).curvature + losses.Tweedie().power
total: float = model.predict(X).sum() + model.coef_.sum() + model.n_updates_
"""

WRONG = {
    "penalty": 'OnlineSGDRegressor(penalty="l3")',
    "batch_size": 'OnlineSGDRegressor(batch_size="many")',
    "max_iter": "OnlineSGDRegressor(max_iter=5)",
    "fit": "OnlineSGDRegressor().fit([[1.0]])",
}


@pytest.fixture
def check(tmp_path):
    pytest.importorskip("mypy")

    def run(program):
        file = tmp_path / "program.py"
        file.write_text(program)
        # Errors in the package itself are none of the user's business.
        command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", str(file)]
        environment = os.environ | {"MYPYPATH": str(PACKAGE.parent), "MYPY_CACHE_DIR": str(tmp_path)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True).stdout

    return run


def test_package_is_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.matrix
def test_right_program(check):
    assert "Success" in check(RIGHT)


@pytest.mark.matrix
def test_wrong_programs(check):
    output = check("from sklearn_sgd import OnlineSGDRegressor\n" + "\n".join(WRONG.values()))
    lines = {int(line.split(":")[1]) for line in output.splitlines() if ": error:" in line}
    assert lines == set(range(2, 2 + len(WRONG))), output
