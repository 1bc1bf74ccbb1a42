"""Speed, as tables and pictures: ``python benchmarks/run.py [--quick] [ITEM ...]``; without items, all, into docs/."""

import argparse
import datetime
import os
import platform
import sys
import time
import warnings
from functools import partial
from importlib.metadata import packages_distributions, version
from pathlib import Path

import numpy as np
import sklearn
from datasets.simulated import Dataset as Simulated
from datasets.words import Dataset as Words
from fits import fits, widths
from objective import Objective
from scipy.sparse import csr_matrix
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from solvers import load
from threadpoolctl import threadpool_limits

import sklearn_sgd
from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

DOCS = Path(__file__).parent.parent / "docs"
SOLVERS, ABSENT = load()
OURS = SOLVERS["sklearn_sgd"]
CONSTANT = {"learning_rate": "constant", "tol": None}
HEAD = f"{'work':<64} {'against':<34} {'goal':>6} {'times faster':>13}   quartiles"


def lap(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def seconds(*works, laps: int) -> np.ndarray:
    """Seconds of each work, in alternating repetitions, after one to warm up: (works, repetitions)."""
    for work in works:
        work()
    return np.array([[lap(work) for work in works] for _ in range(laps)]).T


def ratio(work: str, against: str, goal: float, ours, theirs, laps: int = 5) -> str:
    """One row: how many times faster ours is."""
    own, other = seconds(ours, theirs, laps=laps)
    low, middle, high = np.quantile(other / own, [0.25, 0.5, 0.75])
    return f"{work:<64} {against:<34} {goal:>5.1f}x {middle:>12.1f}x   {low:.1f}..{high:.1f}"


def fit(solver, data: dict, epochs: int | None = None, **settings):
    """A fit to be timed."""
    made = solver(**settings)
    made.set_objective(data["X"], data["y"])
    return lambda: made.run(epochs)


def shapes(quick: bool) -> list[tuple[int, int, int]]:
    """Rows, columns, and the number of their goal: X of 160 MB as float64, and one of 16 MB for caches."""
    if quick:
        return [(2_000, p, goal) for goal, p in enumerate((10, 100, 1000))]
    return [(2_000_000, 10, 0), (200_000, 10, 0), (200_000, 100, 1), (20_000, 1000, 2)]


def online(quick: bool):
    """Online and mini-batch epochs."""
    yield HEAD
    goals_of = {("float64", True): (4.5, 5, 4), ("float32", True): (4, 7, 5), ("float64", "batches"): (4.5, 9, 4.5)}
    for (dtype, shuffle), goals in goals_of.items():
        for n, p, goal in shapes(quick):
            data = Simulated(n, p, dtype=np.dtype(dtype).type).get_data()
            rate = {**CONSTANT, "eta0": 0.1 / p}
            ours = fit(OURS, data, 5, batch_size=1, shuffle=shuffle, **rate)
            theirs = fit(SOLVERS["SGDRegressor"], data, 5, **rate)
            name = f"online epoch, {dtype}, {n:,} x {p}, shuffle={shuffle!r}"
            yield ratio(name, "SGDRegressor, same epochs", goals[goal], ours, theirs)
    for n, p, goal in shapes(quick):
        data = Simulated(n, p).get_data()
        ours = fit(OURS, data, 5, batch_size=32, eta0=0.1 / p, **CONSTANT)
        theirs = fit(SOLVERS["NumPy loop"], data, 5, eta0=0.1 / p)
        name = f"mini-batch epoch, B = 32, {n:,} x {p}"
        yield ratio(name, "NumPy loop", (15, 4.5, 1.9)[goal], ours, theirs, laps=3)
    if "torch" in SOLVERS:
        data = Simulated(2_000 if quick else 50_000, 100).get_data()
        ours = fit(OURS, data, 2, batch_size=32, eta0=1e-3, **CONSTANT)
        theirs = fit(SOLVERS["torch"], data, 2, eta0=1e-3)
        yield ratio("mini-batch epoch, B = 32, P = 100", "torch, one thread", 25, ours, theirs, laps=3)


def batch(quick: bool):
    """Full batches, and fits with the defaults; on two threads where the table says so."""
    yield HEAD
    n = 20_000 if quick else 1_000_000
    data = Simulated(n, 50).get_data()
    X, y = data["X"], data["y"]

    def epochs(number, **settings):
        return fit(OURS, data, number, batch_size=None, eta0=0.1, **CONSTANT, **settings)

    def in_numpy(X, y, number):
        w, b = np.zeros(X.shape[1]), 0.0
        for _ in range(number):
            error = X @ w + b - y
            w -= 0.1 / len(y) * (X.T @ error)
            b -= 0.1 * error.mean()

    for threads in (1, 2):
        with threadpool_limits(threads):
            works = epochs(1), epochs(5), partial(in_numpy, X, y, 10), partial(read_all, X, threads)
            short, long, theirs, read = seconds(*works, laps=5)
        epoch = (long - short) / 4  # More epochs would be from the normal matrix.
        low, middle, high = np.quantile(theirs / 10 / epoch, [0.25, 0.5, 0.75])
        name = f"full batch epoch, {n:,} x 50, threads: {threads}"
        yield f"{name:<64} {'NumPy, as many':<34} {1.7:>5.1f}x {middle:>12.1f}x   {low:.1f}..{high:.1f}"
        share = np.median(read / epoch)
        yield f"{'':<64} {'reading X':<34} {0.75:>5.0%}  {share:>12.0%}"
    with threadpool_limits(2):
        small = Simulated(n, 20).get_data()
        ours = fit(OURS, small, 1000, batch_size=None, eta0=0.1, **CONSTANT)
        rounds = 10 if quick else 30
        own, other = seconds(ours, lambda: in_numpy(small["X"], small["y"], rounds), laps=3)
        times = np.median(other) / rounds * 1000 / np.median(own)
        name, peer = f"squared error, 1000 epochs, {n:,} x 20", f"NumPy, {rounds} epochs timed"
        yield f"{name:<64} {peer:<34} {100:>5.0f}x {times:>12.0f}x"
        best = LinearRegression().fit(X, y)
        for name, size in (("BatchGDRegressor()", None), ("MiniBatchSGDRegressor()", 32)):
            ours = fit(OURS, data, None, batch_size=size)
            for peer, goal in (("Ridge", 2), ("LinearRegression", 10 if size is None else 5)):
                yield ratio(
                    f"{name}, {n:,} x 50",
                    f"{peer}()",
                    goal,
                    ours,
                    fit(SOLVERS[peer], data),
                    laps=3 if peer == "Ridge" else 2,
                )
            made = OURS(batch_size=size)
            made.set_objective(X, y)
            made.run()
            gap = best.score(X, y) - made.model.score(X, y)
            yield f"{'':<64} {'R2 behind least squares':<34} {0.001:>6} {gap:>13.5f}"


def read_all(X, threads: int):
    """Read X once, a thread for each part."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(np.sum, np.array_split(X, threads)))


def sparse(quick: bool):
    """CSR rows."""
    yield HEAD
    data = Words(2_000, 5_000, 20).get_data() if quick else Words().get_data()
    for penalty, goal in ((None, 2), ("l2", 2), ("l1", 3), ("elasticnet", 3)):
        settings = {"penalty": penalty, "eta0": 1e-3, **CONSTANT}  # alpha is 1e-4 in both.
        theirs = fit(SOLVERS["SGDRegressor"], data, 3, **settings)
        for size in (1, 32):
            ours = fit(OURS, data, 3, batch_size=size, **settings)
            yield ratio(f"CSR epoch, B = {size}, penalty {penalty}", "SGDRegressor, B = 1", goal, ours, theirs, laps=3)
    for rate in ({"eta0": 1e-3, **CONSTANT}, {"tol": None}):
        ordered, shuffled = (fit(OURS, data, 10, batch_size=32, shuffle=shuffle, **rate) for shuffle in (False, True))
        work = f"10 CSR epochs, B = 32, in order, rate {rate.get('learning_rate', 'auto')}"
        yield ratio(work, "the same, shuffled", 1, ordered, shuffled, laps=3)
    ours = fit(OURS, data, 3, batch_size=1, average=True, eta0=1e-3, **CONSTANT)
    theirs = fit(SOLVERS["SGDRegressor"], data, 3, average=True, eta0=1e-3, **CONSTANT)
    yield ratio("CSR epoch, B = 1, averaged", "SGDRegressor, averaged", 1, ours, theirs, laps=3)
    for penalty in (None, "l2"):
        theirs = fit(SOLVERS["SGDRegressor"], data, 10, eta0=1e-3, penalty=penalty, **CONSTANT)
        for size, goal in ((1, 0.7), (32, 1.5)):
            ours, work = fit(OURS, data, 10, batch_size=size, penalty=penalty, tol=None), f"10 CSR epochs, B = {size}"
            yield ratio(f"{work}, rate auto, penalty {penalty}", "SGDRegressor, B = 1", goal, ours, theirs, laps=3)


def sparse_calls(quick: bool):
    """Small calls on CSR rows of many columns."""
    yield HEAD
    number = 100 if quick else 1000
    costs = {}
    for power in (10, 20):
        X, y = sparse_rows(number, 2**power)
        rows = [(X[k], y[k : k + 1]) for k in range(number)]
        for rate in ("constant", "auto"):
            ours = OnlineSGDRegressor(**({"learning_rate": "constant", "eta0": 1e-3} if rate == "constant" else {}))
            theirs = SGDRegressor(learning_rate="constant", eta0=1e-3)

            def learn(model, rows=rows):
                return lambda: [model.partial_fit(*row) for row in rows]

            work = f"partial_fit of 1 CSR row, P = 2**{power}, rate {rate}"
            yield ratio(work, "SGDRegressor", 3, learn(ours), learn(theirs), laps=3)
            costs[power, rate] = np.median(seconds(learn(ours), laps=3))
    for rate in ("constant", "auto"):
        times = costs[20, rate] / costs[10, rate]
        work, against = f"partial_fit of 1 CSR row, P = 2**20, rate {rate}", "P = 2**10, times slower"
        yield f"{work:<64} {against:<34} {2:>5.1f}x {times:>12.1f}x"


def sparse_rows(n: int, p: int) -> tuple:
    """CSR rows of 75 entries, and targets."""
    rng = np.random.default_rng(0)
    columns = np.sort([rng.choice(p, 75, replace=False, shuffle=False) for _ in range(n)], axis=1)
    X = csr_matrix((rng.random(75 * n), columns.ravel(), np.arange(0, 75 * n + 1, 75)), shape=(n, p))
    return X, X @ rng.normal(size=p)


def calls(quick: bool):
    """Small calls, and a search."""
    yield HEAD
    number = 50 if quick else 1000
    X, y = Simulated(1000, 20).get_data().values()
    row, target = X[:1].copy(), y[:1].copy()

    def repeat(call, *args):
        return lambda: [call(*args) for _ in range(number)]

    for rate in ("constant", "auto"):
        rates = {"learning_rate": "constant", "eta0": 1e-3} if rate == "constant" else {}
        ours = OnlineSGDRegressor(**rates).partial_fit(X, y)
        theirs = SGDRegressor(learning_rate="constant", eta0=1e-3).partial_fit(X, y)
        for name, goal, args in (("1 row", 8, (row, target)), ("1,000 rows", 4, (X, y))):
            work = f"partial_fit of {name}, P = 20, rate {rate}"
            yield ratio(work, "SGDRegressor", goal, repeat(ours.partial_fit, *args), repeat(theirs.partial_fit, *args))
    targets = y[:, None] + np.zeros(3)
    ours, theirs = OnlineSGDRegressor().partial_fit(X, targets), MultiOutputRegressor(SGDRegressor())
    theirs.partial_fit(X, targets)
    works = repeat(ours.partial_fit, row, targets[:1].copy()), repeat(theirs.partial_fit, row, targets[:1])
    yield ratio("partial_fit of 1 row, P = 20, 3 targets, rate auto", "MultiOutputRegressor(SGDRegressor())", 3, *works)
    ours, theirs = OnlineSGDRegressor().partial_fit(X, y), SGDRegressor().partial_fit(X, y)
    yield ratio("predict of 1 row, P = 20", "SGDRegressor", 4, repeat(ours.predict, row), repeat(theirs.predict, row))
    data = Simulated(2_000 if quick else 20_000, 20).get_data()
    sizes = {"batch_size": [1, 4, 8, 16, 32, 128, 512, None]}
    ours = GridSearchCV(MiniBatchSGDRegressor(epochs=10, tol=None, learning_rate="constant", eta0=1e-3), sizes)
    theirs = GridSearchCV(SGDRegressor(max_iter=10, tol=None), {"alpha": list(10.0 ** -np.arange(1, 9))})
    work = "GridSearchCV of 8 batch sizes, 5 folds, 20,000 x 20, 10 epochs"
    yield ratio(work, "SGDRegressor, 8 alphas", 3, lambda: ours.fit(**data), lambda: theirs.fit(**data), laps=3)


def predict(quick: bool):
    """Prediction of many rows: one at a time, in blocks, all at once; without and with conversion."""
    import pandas as pd

    n, p = (20_000 if quick else 1_000_000), 50
    X, y = Simulated(n, p).get_data().values()
    model, peer = BatchGDRegressor().fit(X[:5000], y[:5000]), LinearRegression().fit(X[:5000], y[:5000])
    few = X[:1000]
    yield f"{'prediction, P = 50':<40} {'ns per row':>12} {'LinearRegression':>18} {'reading X':>12}"
    (read,) = seconds(lambda: X.sum(), laps=5)
    ways = {
        "one row at a time": (lambda m: [m.predict(row) for row in few[:, None]], len(few)),
        "blocks of 1,000": (lambda m: [m.predict(X[k : k + 1000]) for k in range(0, n, 1000)], n),
        "all at once": (lambda m: m.predict(X), n),
    }
    for dtype, rows in {"integers": X.astype(np.int64), "float32": X.astype(np.float32)}.items():
        ways[dtype] = (lambda m, rows=rows: m.predict(rows), n)
    frame = pd.DataFrame(X)
    ways["a frame"] = (lambda m: m.predict(frame), n)
    for name, (way, rows) in ways.items():
        laps = seconds(partial(way, model), partial(way, peer), laps=3)
        own, other = np.median(laps, axis=1) / rows * 1e9
        yield f"{name:<40} {own:>12.1f} {other:>18.1f} {np.median(read) / n * 1e9:>12.1f}"


def memory(quick: bool):
    """Nanoseconds per row of an epoch against the time that reading the row takes."""
    rows, sizes, columns = [], (1, 8, 32, 256), (4, 16, 64, 256, 1024)
    yield (
        f"{'dtype':<8} {'shuffle':<10} {'P':>5} {'reading':>9} " + " ".join(f"B={b:<8}" for b in sizes) + " ns per row"
    )
    for dtype in (np.float64, np.float32):
        for shuffle in (True, "batches"):
            for p in columns:
                n = max(1000, (100_000 if quick else 20_000_000) // p)
                data = Simulated(min(n, 500_000), p, dtype=dtype).get_data()
                works = [fit(OURS, data, 2, batch_size=b, shuffle=shuffle, eta0=0.1 / p, **CONSTANT) for b in sizes]
                laps = np.median(seconds(*works, lambda data=data: data["X"].sum(), laps=3), axis=1)
                own, read = laps[:-1] / 2 / len(data["y"]) * 1e9, laps[-1] / len(data["y"]) * 1e9
                rows.append((np.dtype(dtype).name, str(shuffle), p, read, *own))
                yield f"{np.dtype(dtype).name:<8} {shuffle!s:<10} {p:>5} {read:>9.1f} " + " ".join(
                    f"{x:<10.1f}" for x in own
                )
    if not quick:
        picture_of_memory(rows, sizes)


def picture_of_memory(rows, sizes):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for axis, shuffle in zip(axes, ("True", "batches"), strict=True):
        some = np.array([row[2:] for row in rows if row[:2] == ("float64", shuffle)], dtype=float)
        axis.loglog(some[:, 0], some[:, 1], "k--", label="reading the row")
        for k, (size, marker) in enumerate(zip(sizes, "osD^", strict=True)):
            axis.loglog(some[:, 0], some[:, 2 + k], marker + "-", label=f"B = {size}")
        axis.set(title=f"shuffle={shuffle}", xlabel="columns P")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ns per row and epoch, float64")
    axes[0].legend()
    figure.savefig(DOCS / "images" / "benchmarks_memory.png", dpi=150)
    plt.close(figure)


def scaling(quick: bool):
    """The costs of the course: an epoch is O(N P), an update O(B P)."""
    laps, big = 3, 1 if quick else 20
    grids = {
        "epoch against N (B = 32, P = 10)": ([625 * big * k for k in (1, 4, 16, 64)], lambda v: (v, 10, 32), False),
        "epoch against P (B = 32, N = 20,000)": (
            [25 * k for k in (1, 4, 16, 64)],
            lambda v: (1_000 * big, v, 32),
            False,
        ),
        "update against B (P = 50, N = 200,000)": ([32, 128, 512, 2048], lambda v: (10_000 * big, 50, v), True),
        "update against P (B = 512, N = 20,000)": ([25, 100, 400, 1600], lambda v: (1_000 * big, v, 512), True),
    }
    results = {}
    for name, (values, shape, per_update) in grids.items():
        costs = []
        for value in values:
            n, p, size = shape(value)
            data = Simulated(n, p).get_data()
            rate = {"batch_size": size, "eta0": 0.1 / p, "shuffle": "batches", **CONSTANT}
            short, long = seconds(fit(OURS, data, 1, **rate), fit(OURS, data, 4, **rate), laps=laps)
            epoch = max(np.median(long - short) / 3, 1e-9)
            costs.append(epoch / np.ceil(n / size) if per_update else epoch)
        exponent = np.polyfit(np.log(values), np.log(costs), 1)[0]
        results[name] = values, costs, exponent
        listed = ", ".join(f"{v}: {1e6 * c:.1f}" for v, c in zip(values, costs, strict=True))
        yield f"{name:<42} exponent {exponent:.2f}   microseconds {listed}"
    if not quick:
        picture_of_scaling(results)


def picture_of_scaling(results):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    for axis, (name, (values, costs, exponent)) in zip(axes, results.items(), strict=True):
        axis.loglog(values, np.array(costs) * 1e6, "o-")
        title, _, rest = name.partition(" (")
        axis.set(title=f"{title}\nexponent {exponent:.2f}", xlabel=f"{title[-1]}   ({rest}", ylabel="microseconds")
        axis.set_xticks(values, [f"{value:,}" for value in values])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    figure.savefig(DOCS / "images" / "benchmarks_scaling.png", dpi=150)
    plt.close(figure)


def risk(quick: bool):
    """Seconds to an excess risk of so much of the variance, raw columns; standardised first for those who need it."""
    data = Simulated(2_000 if quick else 100_000, 20, raw=True).get_data()
    scaled = {"X": (data["X"] - data["X"].mean(axis=0)) / data["X"].std(axis=0), "y": data["y"] / data["y"].std()}
    rates = [{"eta0": rate} for rate in (0.1, 0.01, 0.001)]
    peers = {"NumPy loop": rates, "torch": rates, "river": rates[1:], "Vowpal Wabbit": [{}]}
    peers |= {"SGDRegressor": [{}, {"average": True}, *rates[1:]], "Ridge": [None], "LinearRegression": [None]}
    peers |= {"MLPRegressor": [{"learning_rate_init": rate["eta0"]} for rate in rates]}
    goals, runs = (1e-2, 1e-3, 1e-4), [("sklearn_sgd", [{"batch_size": b}], data, f"B = {b}") for b in (None, 32, 1)]
    runs += [(name, settings, scaled, "standardised") for name, settings in peers.items() if name in SOLVERS]
    yield (
        f"{'solver, at the best of its rates':<34} "
        + " ".join(f"{f'excess {goal:g}':>14}" for goal in goals)
        + "   seconds"
    )
    curves = {}
    for name, choices, given, remark in runs:
        objective = Objective()
        objective.set_data(**given)
        path = sorted(
            point for settings in choices for point in descend(name, settings, given, objective, 1 if quick else 3)
        )
        # The best that so many seconds reach.
        path = [(time_, min(excess for _, excess in path[: k + 1])) for k, (time_, _) in enumerate(path)]
        curves[f"{name}, {remark}"] = path
        found = [next((f"{s:.4f}" for s, e in path if e <= goal), "-") for goal in goals]
        yield f"{f'{name}, {remark}':<34} " + " ".join(f"{x:>14}" for x in found)
    if not quick:
        picture_of_risk(curves)


def descend(name, settings, data, objective, patience):
    """Seconds and excess risk of a solver for more and more epochs, until it is near or the time is over."""
    for epochs in (1, 2, 5, 10, 20) if settings is not None else (None,):
        solver = SOLVERS[name](**(settings or {}))
        solver.set_objective(**data)
        solver.run(epochs)
        taken = lap(partial(solver.run, epochs))
        yield taken, objective.compute(*solver.get_result())
        if taken > patience:
            return


def picture_of_risk(curves):
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axis.set_prop_cycle(color=[*plt.get_cmap("tab10").colors, "black"])  # One for each of the eleven curves.
    for (name, path), marker in zip(curves.items(), "osD^v<>pX*h", strict=False):
        times, excess = np.array(path).T
        axis.loglog(times, np.maximum(excess, 1e-9), marker + "-", label=name, lw=2.5 if "sklearn_sgd" in name else 1)
    axis.set(xlabel="seconds of fit", ylabel="excess risk / variance of y", title="100,000 x 20, one thread")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(DOCS / "images" / "benchmarks_risk.png", dpi=150)
    plt.close(figure)


ITEMS = (online, batch, fits, widths, sparse, sparse_calls, calls, predict, memory, scaling, risk)


def machine() -> str:
    """The machine, the date and the versions."""
    packages = ["numpy", "scipy", "llvmlite", *(r for s in SOLVERS.values() for r in s.requirements)]
    names = packages_distributions()
    cpu = next((line.split(":")[1].strip() for line in open_lines("/proc/cpuinfo") if "model name" in line), "?")
    return (
        f"{datetime.date.today()}, {cpu}, {os.cpu_count()} cores, Python {platform.python_version()}, scikit-learn "
        f"{sklearn.__version__}, sklearn_sgd {sklearn_sgd.__version__}, "
        + ", ".join(f"{name} {version(names[name][0])}" for name in packages)
        + (f"; not installed: {', '.join(ABSENT)}" if ABSENT else "")
    )


def open_lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("items", nargs="*", choices=[[], *(item.__name__ for item in ITEMS)], default=[])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, nothing written")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    lines = [machine()]
    print(lines[0], flush=True)
    for item in ITEMS:
        if options.items and item.__name__ not in options.items:
            continue
        lines += ["", f"{item.__name__}: {item.__doc__}", ""]
        print("\n".join(lines[-3:]), flush=True)
        with threadpool_limits(1):
            for line in item(options.quick):
                lines.append(line.rstrip())
                print(lines[-1], flush=True)
    if not (options.quick or options.items):
        (DOCS / "benchmarks.txt").write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
