"""Distance of the defaults from the minimum of their objective, and seconds.

Quantile loss against QuantileRegressor, Huber's against L-BFGS, on those sets of defaults.py that have at most 6,000
rows; seconds to the own stop against StandardScaler + SGDRegressor on those of at least 10,000, and on two that are
made. All of the rows, raw columns. Run from the root of the repository: python benchmarks/minimisers.py
"""

import warnings
from time import perf_counter

import numpy as np
from defaults import problems
from scipy.optimize import minimize
from sklearn.datasets import make_friedman1, make_regression
from sklearn.linear_model import QuantileRegressor, SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.losses import Huber, Quantile

CLASSES = (BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor)
LAPS = 5


def made():
    """Name, X and y of sets on which the recipe converges."""
    yield "friedman1 50,000 x 10", *make_friedman1(50_000, noise=1.0, random_state=0)
    yield "linear 20,000 x 30", *make_regression(20_000, 30, n_informative=30, noise=200.0, random_state=0)


def minimum(loss, Z, y) -> float:
    """The least mean loss, by a method of another package."""
    if isinstance(loss, Quantile):
        return loss.value(y, QuantileRegressor(quantile=loss.quantile, alpha=0).fit(Z, y).predict(Z)).mean()
    A = np.column_stack([Z, np.ones(len(y))])

    def objective(w):
        return loss.value(y, A @ w).mean(), A.T @ loss.gradient(y, A @ w) / len(y)

    start = np.append(np.zeros(Z.shape[1]), np.median(y))
    options = {"maxiter": 5000, "maxfun": 10_000, "ftol": 1e-14, "gtol": 1e-12}
    return minimize(objective, start, jac=True, method="L-BFGS-B", options=options).fun


def seconds(model, X, y) -> float:
    """Median time of some fits, after one that compiles."""
    model.fit(X, y)
    laps = []
    for _ in range(LAPS):
        start = perf_counter()
        model.fit(X, y)
        laps.append(perf_counter() - start)
    return float(np.median(laps))


def main():
    warnings.simplefilter("ignore")
    names = [kind.__name__.removesuffix("Regressor") for kind in CLASSES]
    print(f"{'excess over the minimum, per cent':<44} " + " ".join(f"{name:>13}" for name in names))
    for name, X, y in problems():
        if len(y) > 6000:
            continue
        Z = StandardScaler().fit_transform(X)
        for loss in (*map(Quantile, (0.1, 0.5, 0.9)), *(Huber(float(width * y.std())) for width in (0.01, 0.1, 1.0))):
            least = minimum(loss, Z, y)
            ends = [loss.value(y, kind(loss, random_state=0).fit(X, y).predict(X)).mean() for kind in CLASSES]
            print(f"{name:<22} {loss!s:<21.21} " + " ".join(f"{100 * (end / least - 1):>13.3f}" for end in ends))
    print(f"\n{'times faster to its own stop (R2 ahead)':<44} " + " ".join(f"{name:>22}" for name in names[:2]))
    for name, X, y in (*problems(), *made()):
        if len(y) < 10_000:
            continue
        recipe = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
        theirs, score = seconds(recipe, X, y), recipe.score(X, y)
        if score < -1.0:
            print(f"{name:<22} the recipe diverges, R2 {score:.0e}", flush=True)
            continue
        row = f"{name:<22} {1e3 * theirs:>12.0f} ms       "
        for model in (BatchGDRegressor(), MiniBatchSGDRegressor(random_state=0)):
            times = theirs / seconds(model, X, y)
            row += f" {f'{times:.1f}x ({model.score(X, y) - score:+.4f})':>22}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
