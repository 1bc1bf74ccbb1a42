"""Tensors on a graphics card: this package, and the same work written in torch.

``SCIPY_ARRAY_API=1 python benchmarks/card.py`` on a machine with a card, in less than two minutes; with
``--device cpu --rows 20000`` a check of the script, on tensors of the host.
"""

import argparse
import gc
import os
import statistics
import sys
import time
import warnings
from unittest import mock

import numpy as np
import sklearn
import torch
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd._engine.passes import graph
from sklearn_sgd.streaming import ArraySource, predict_stream

COLUMNS, EPOCHS, ETA = 100, 20, 0.1

# Batch sizes, and the goal for each kind of work: a multiple of the time of torch in the same line, or milliseconds.
SIZES = (65536, 8192, 512)
ASKED = {
    "full batch": "1.3x",
    "default": "10 ms",
    "mini-batch 512": "1.3x, 60 ms",
    "mini-batch": "1.3x",
    "predict": "1.5x",
}


class Torch:
    """The same work in a few lines of torch."""

    def __init__(self, X, y):
        self.X, self.y = X, y

    def full_batch(self):
        w, b = self.X.new_zeros(self.X.shape[1]), self.X.new_zeros(())
        for _ in range(EPOCHS):
            r = self.X @ w + b - self.y
            w -= ETA * (self.X.T @ r / len(r))
            b -= ETA * r.mean()
        return w, b

    def normal_equations(self):
        mean, middle = self.X.mean(0), self.y.mean()
        covariance = self.X.T @ self.X / len(self.y) - torch.outer(mean, mean)
        w = torch.linalg.solve(covariance, self.X.T @ self.y / len(self.y) - mean * middle)
        return w, middle - mean @ w

    def mini_batch(self, size, rate):
        w, b = self.X.new_zeros(self.X.shape[1]), self.X.new_zeros(())
        for rows in torch.randperm(len(self.y), device=self.X.device).split(size):
            X = self.X[rows]
            r = X @ w + b - self.y[rows]
            w -= rate * (X.T @ r / len(r))
            b -= rate * r.mean()
        return w, b

    def captured(self, size, rate, steps=100):
        """Mini-batches by a graph of many steps that is captured once, so that starting operations costs nothing."""
        w, b = self.X.new_zeros(self.X.shape[1]), self.X.new_zeros(())
        rows = torch.zeros((steps, size), dtype=torch.int64, device=self.X.device)

        def several():
            for k in range(steps):
                X = self.X[rows[k]]
                r = X @ w + b - self.y[rows[k]]
                w.sub_(X.T @ r, alpha=rate / size)
                b.sub_(r.mean(), alpha=rate)

        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            several()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            several()

        def epoch():
            order = torch.randperm(len(self.y), device=self.X.device)
            for some in order[: len(order) // (steps * size) * steps * size].view(-1, steps, size):
                rows.copy_(some)
                graph.replay()

        return epoch


class Table:
    """Times of both sides, line by line."""

    def __init__(self, device: str, laps: int):
        self.device, self.laps = device, laps

    def milliseconds(self, work, laps: int) -> float:
        """Return the median of some repetitions, after one to warm up."""
        times = []
        for _ in range(laps + 1):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times[1:])

    def wait(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()

    def line(self, name: str, work, torch_work=None, host_work=None, asked: str = "") -> None:
        """Measure and print one line."""
        ours, theirs = (side and self.milliseconds(side, self.laps) for side in (work, torch_work))
        host = host_work and self.milliseconds(host_work, 1)
        ratio = f"{ours / theirs:6.2f}x" if theirs else " " * 7
        others = "".join(" " * 13 if time is None else f"{time:10.2f} ms" for time in (theirs, host))
        print(f"{name:<38}{ours:10.2f} ms{others}  {ratio}  {asked}", flush=True)
        gc.collect()


def constant(batch_size, eta0: float, epochs: int):
    """A regressor with a constant rate."""
    params = {"learning_rate": "constant", "eta0": eta0, "tol": None, "epochs": epochs, "random_state": 0}
    return (
        MiniBatchSGDRegressor(batch_size=batch_size, **params)
        if batch_size
        else BatchGDRegressor(learning_rate="constant", eta0=eta0, tol=None, epochs=epochs)
    )


def measure(table: Table, X: np.ndarray, y: np.ndarray, with_host: bool) -> None:
    """All lines for a precision."""
    there = torch.from_numpy(X).to(table.device), torch.from_numpy(y).to(table.device)
    by_hand, host = Torch(*there), (lambda work: work) if with_host else (lambda work: None)

    def fit(model, arrays=there):
        with sklearn.config_context(array_api_dispatch=arrays is there):
            return model.fit(*arrays)

    full = constant(None, ETA, EPOCHS)
    on_host = host(lambda: fit(full, (X, y)))
    table.line(f"full batch, {EPOCHS} epochs", lambda: fit(full), by_hand.full_batch, on_host, ASKED["full batch"])
    default = BatchGDRegressor()
    on_host = host(lambda: fit(default, (X, y)))
    table.line("BatchGDRegressor()", lambda: fit(default), by_hand.normal_equations, on_host, ASKED["default"])
    huber = BatchGDRegressor("huber", epochs=5, tol=None)
    table.line("BatchGDRegressor('huber'), 5 epochs", lambda: fit(huber), None, host(lambda: fit(huber, (X, y))))
    for size in SIZES:
        if size > len(y):
            continue
        name, model = f"mini-batch {size}, one epoch", constant(size, ETA, 1)
        asked = ASKED.get(f"mini-batch {size}", ASKED["mini-batch"])
        eager, on_host = lambda size=size: by_hand.mini_batch(size, ETA), host(lambda m=model: fit(m, (X, y)))
        table.line(name, lambda m=model: fit(m), eager, on_host, asked)
        if size == SIZES[-1]:
            with mock.patch.object(graph, "LEAST", sys.maxsize):
                table.line("  without a CUDA graph", lambda m=model: fit(m))
        if size == SIZES[-1] and table.device != "cpu":
            try:
                table.line("  torch with a captured graph", by_hand.captured(size, ETA))
            except RuntimeError as error:
                print(f"  torch captured no graph: {error}")
        automatic = MiniBatchSGDRegressor(batch_size=size, epochs=1, tol=None, random_state=0)
        on_host = host(lambda m=automatic: fit(m, (X, y)))
        table.line(f"  the automatic step, {size}", lambda m=automatic: fit(m), None, on_host)
    fit(full)
    w, b = full.coef_, full.intercept_
    with sklearn.config_context(array_api_dispatch=True):
        product = lambda: there[0] @ w + b  # noqa: E731
        table.line("predict", lambda: full.predict(there[0]), product, None, ASKED["predict"])
        table.line("score", lambda: full.score(*there), product)
        source = ArraySource(X, chunk_rows=max(1, (1 << 26) // X[0].nbytes))
        copy = lambda: torch.from_numpy(X).to(table.device, copy=True)  # noqa: E731
        table.line("predict_stream of rows of the host", lambda: [*predict_stream(full, source)], copy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--laps", type=int, default=3)
    parser.add_argument("--no-host", action="store_true", help="leave out the fits of NumPy's arrays on the host")
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        raise SystemExit("No graphics card here. To check the script: --device cpu --rows 20000")
    where = "the host" if options.device == "cpu" else torch.cuda.get_device_name()
    print(f"{where}, torch {torch.__version__}; {os.cpu_count()} cores; {options.rows:,} x {COLUMNS}; medians")
    warnings.simplefilter("ignore", ConvergenceWarning)
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        X = rng.standard_normal((options.rows, COLUMNS), dtype=dtype)
        y = X @ rng.standard_normal(COLUMNS).astype(dtype) + rng.standard_normal(len(X), dtype=dtype)
        print(f"\n{np.dtype(dtype).name:<38}{'this package':>13}{'torch':>13}{'host':>13}  {'ratio':>7}  asked")
        measure(Table(options.device, options.laps), X, y, not options.no_host)


if __name__ == "__main__":
    main()
