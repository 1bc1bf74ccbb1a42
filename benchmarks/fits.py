"""Fits to the minimum, compared with the usual alternatives: seconds, and the excess over the minimum.

``python benchmarks/fits.py [--quick] [--widths]``; also the items ``fits`` and ``widths`` of ``run.py``.
"""

import argparse
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge
from solvers import load
from threadpoolctl import threadpool_limits

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import LOSSES

SOLVERS, ABSENT = load()
DOCS = Path(__file__).parent.parent / "docs"
LAPS = 3


def columns(n: int, p: int, rng) -> np.ndarray:
    """Correlated columns."""
    mix = np.eye(p) + 0.3 * rng.standard_normal((p, p)) / np.sqrt(p)
    return rng.standard_normal((n, p)) @ mix + 0.3 * rng.standard_normal(p)


def chain(n: int, p: int, rng) -> np.ndarray:
    """Columns, each of which is correlated with the one before."""
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = 0.9 * X[:, j - 1] + 0.19**0.5 * X[:, j]
    return X


def targets(X: np.ndarray, loss: str, rng) -> np.ndarray:
    """Targets with the kind of noise that the loss is made for."""
    z = X @ rng.standard_normal(X.shape[1]) * 0.5 / np.sqrt(X.shape[1])
    if loss == "poisson":
        return rng.poisson(np.exp(z - z.mean() + 0.5)).astype(float)
    if loss in ("gamma", "tweedie"):
        number = np.ones(len(z)) if loss == "gamma" else rng.poisson(2.0, len(z))
        return np.where(number > 0, rng.gamma(2.0 * np.maximum(number, 1), np.exp(z - z.mean())), 0.0)
    return 5.0 + z + (rng.standard_normal(len(X)) if loss == "squared_error" else rng.standard_t(2, len(X)))


def rows(quick: bool):
    """Loss and its parameters, shape, kind of columns, regressors with goals, and peers."""
    few = 20 if quick else 1
    batch, mini, online = BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
    yield "squared_error", {}, (1_000_000 // few, 50), columns, {batch: 3, mini: 2, online: 1.2}, "Ridge"
    yield "squared_error", {}, (1_000_000 // few, 50), columns, {batch: 20}, "LinearRegression"
    yield "squared_error", {}, (1_000_000 // few, 50), columns, {batch: 0}, "scikit-learn-intelex"
    yield "squared_error", {}, (500_000 // few, 200 // few), columns, {batch: 5, mini: 3}, "Ridge"
    yield "squared_error", {}, (200_000 // few, 400 // few), columns, {batch: 6, mini: 4}, "Ridge"
    yield "squared_error", {}, (50_000 // few, 1000 // few), chain, {batch: 4}, "Ridge"
    for peer, goal in (("PoissonRegressor", 3), ("glum", 3), ("statsmodels", 0)):
        yield "poisson", {}, (1_000_000 // few, 50), columns, {batch: goal, mini: min(goal, 2)}, peer
    yield "huber", {"epsilon": 1.35}, (200_000 // few, 50), columns, {batch: 5}, "HuberRegressor"
    for name, params in (("quantile", {"quantile": 0.9}), ("absolute_error", {})):
        for n in (2000, 5000):
            yield name, params, (n // few, 20), columns, {batch: 0, mini: 0}, "QuantileRegressor"
    yield "gamma", {}, (500_000 // few, 50), columns, {batch: 0, mini: 0}, "GammaRegressor"
    yield "tweedie", {}, (500_000 // few, 50), columns, {batch: 0, mini: 0}, "TweedieRegressor"


def settings_of(peer: str, params: dict, kind) -> dict:
    """What a peer needs to solve the same problem."""
    if peer == "QuantileRegressor":
        return {"quantile": params.get("quantile", 0.5)}
    return {"alpha": 1e-6} if kind is chain else {}


def lap(work) -> float:
    """Seconds of a piece of work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def mean_loss(loss, X, y, coef, intercept) -> float:
    """The mean loss of a model."""
    return float(np.mean(loss.value(y, X @ np.ravel(coef) + float(np.ravel(intercept)[0]))))


def fits(quick: bool):
    """Fits by default, against solvers of the same problem; above the minimum: share of its loss."""
    yield f"{'fit':<62} {'against':<22} {'goal':>5} {'seconds':>8} {'times faster':>13}   above the minimum"
    for name, params, (n, p), kind, regressors, peer in rows(quick):
        if peer not in SOLVERS:
            yield f"{name}, {n:,} x {p}: {peer} is not installed"
            continue
        rng = np.random.default_rng(0)
        X = kind(n, p, rng)
        y = targets(X, name, rng)
        loss, other = LOSSES[name](**params), SOLVERS[peer](**settings_of(peer, params, kind))
        other.set_objective(X, y)
        other.run()
        models = {regressor: regressor(name, **params).fit(X, y) for regressor in regressors}
        # HuberRegressor has another objective: its scale is estimated.
        best = mean_loss(loss, X, y, *other.get_result()) if peer != "HuberRegressor" else np.inf
        losses = {regressor: mean_loss(loss, X, y, m.coef_, m.intercept_) for regressor, m in models.items()}
        if peer == "HuberRegressor":
            exact = BatchGDRegressor(name, **params, tol=1e-9).fit(X, y)
            best = mean_loss(loss, X, y, exact.coef_, exact.intercept_)
        for regressor, goal in regressors.items():
            laps = [(lap(partial(models[regressor].fit, X, y)), lap(other.run)) for _ in range(LAPS)]
            own, times = np.median([a for a, _ in laps]), np.median([b / a for a, b in laps])
            what = f"{regressor.__name__}({name!r}), {n:,} x {p}, {kind.__name__}"
            goal = f"{goal:.1f}x" if goal else ""
            yield f"{what:<62} {peer:<22} {goal:>5} {own:>8.3f} {times:>12.1f}x   {losses[regressor] / best - 1:.1e}"


def widths(quick: bool):
    """Least squares for several numbers of columns, with about as many entries of X in each case."""
    head = ("columns", 8), ("rows", 10), ("Ridge", 8), ("BatchGD", 8), ("times", 6), ("behind", 9), ("MiniBatch", 9)
    yield " ".join(f"{name:>{width}}" for name, width in (*head, ("behind", 9), ("readings", 9)))
    table = []
    for p in (50, 100) if quick else (50, 100, 200, 300, 400, 401, 500, 700, 1000, 2000, 3000, 5000):
        rng, n = np.random.default_rng(0), max((200_000 if quick else 20_000_000) // p, 2 * p)
        X = columns(n, p, rng)
        y = targets(X, "squared_error", rng)
        peer, models = Ridge(1e-6), (BatchGDRegressor(), MiniBatchSGDRegressor())
        laps = np.median([[lap(partial(m.fit, X, y)) for m in (peer, *models)] for _ in range(LAPS)], axis=0)
        best = peer.score(X, y)
        one, two = (best - model.score(X, y) for model in models)
        yield (
            f"{p:>8} {n:>10,} {laps[0]:>8.3f} {laps[1]:>8.3f} {laps[0] / laps[1]:>5.1f}x {one:>9.1e} {laps[2]:>9.3f}"
            f" {two:>9.1e} {models[0].n_readings_:>9.1f}"
        )
        table.append((p, *laps, one, two))
    if not quick:
        picture_of_widths(np.array(table))


def picture_of_widths(table: np.ndarray) -> None:
    """Seconds for each entry of X, and what is missing to R² of the minimum, over numbers of columns."""
    import matplotlib.pyplot as plt

    columns, entries = table[:, 0], np.maximum(20e6, 2.0 * table[:, 0] ** 2)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for k, (name, marker) in enumerate(zip(("Ridge", "BatchGDRegressor", "MiniBatchSGDRegressor"), "os^", strict=True)):
        left.loglog(columns, table[:, 1 + k] / entries * 1e9, marker + "-", label=name)
        if k:
            right.loglog(columns, np.maximum(table[:, 3 + k], 1e-13), marker + "-", color=f"C{k}", label=name)
    left.set(xlabel="columns P", ylabel="ns per entry of X")
    right.set(xlabel="columns P", ylabel="R² behind least squares", ylim=(1e-13, 1e-3))
    for axis in (left, right):
        axis.axvline(400.5, color="0.7", linestyle="--")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(DOCS / "images" / "benchmarks_widths.png", dpi=150)
    plt.close(figure)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--widths", action="store_true", help="over numbers of columns only")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        for item in (widths,) if options.widths else (fits, widths):
            for line in item(options.quick):
                print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
