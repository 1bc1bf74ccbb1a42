"""Coverage of the intervals of ``coefficient_table``: how often do they hold the true coefficients, in simulation?

``python benchmarks/coverage.py`` draws each case again and again (correlated columns; ``spread`` is noise that grows
with the first one), fits it, once by ``fit`` and once as a stream in one pass, and counts the slopes inside their
intervals of 95 %. All slopes of a case count together. ``far`` is the share of the fits that came with the warning that
a coefficient is farther from the minimum than its standard error. Options: repetitions, rows, columns.
"""

import argparse
import platform
import warnings
from collections.abc import Iterator
from itertools import product

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import sklearn_sgd
from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.inference import coefficient_table

# Loss and its parameters, noise, and the formula.
CASES = [
    ("squared_error", {}, "even", False),
    ("squared_error", {}, "spread", False),
    ("squared_error", {}, "spread", "HC1"),
    ("huber", {"epsilon": 1.0}, "even", "HC1"),
    ("huber", {"epsilon": 1.0}, "spread", "HC1"),
    ("poisson", {}, "even", False),
    ("poisson", {}, "even", "HC1"),
    ("quantile", {"quantile": 0.5}, "even", True),
    ("quantile", {"quantile": 0.8}, "even", True),
    ("quantile", {"quantile": 0.5}, "spread", True),
]
CHUNK = 500


def draw(rng: np.random.Generator, n: int, p: int, loss: str, noise: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, targets and true slopes; neighbours among the columns have a correlation of one half."""
    Z = rng.standard_normal((n, p))
    X = Z.copy()
    for j in range(1, p):
        X[:, j] = 0.5 * X[:, j - 1] + np.sqrt(0.75) * Z[:, j]
    slopes = np.linspace(-0.2, 0.2, p)
    if loss == "poisson":
        return X, rng.poisson(np.exp(0.5 + X @ slopes)).astype(float), slopes
    spread = 0.5 + np.abs(X[:, 0]) if noise == "spread" else 1.0
    return X, X @ slopes + 2.0 + spread * rng.standard_normal(n), slopes


def fitted(way: str, loss: str, params: dict, X: np.ndarray, y: np.ndarray):
    """A fit to the minimum, or one pass of a stream."""
    if way == "fit":
        return BatchGDRegressor(loss=loss, epochs=1000, tol=1e-8, **params).fit(X, y)
    model = MiniBatchSGDRegressor(loss=loss, **params)
    for start in range(0, len(y), CHUNK):
        model.partial_fit(X[start : start + CHUNK], y[start : start + CHUNK])
    return model


def coverage(way: str, case: tuple, n: int, p: int, repetitions: int) -> tuple[float, float]:
    """Share of slopes inside their intervals, and of fits that are far from the minimum."""
    loss, params, noise, robust = case
    inside, far = 0, 0
    for seed in range(repetitions):
        X, y, slopes = draw(np.random.default_rng(seed), n, p, loss, noise)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model = fitted(way, loss, params, X, y)
            del caught[:]
            table = coefficient_table(model, X, y, robust=robust)
        far += bool(caught)
        inside += int(np.count_nonzero((table.low[:-1] <= slopes) & (slopes <= table.high[:-1])))
    return inside / (repetitions * p), far / repetitions


def lines(rows: list[int], columns: list[int], repetitions: int) -> Iterator[str]:
    """The table."""
    yield f"sklearn_sgd {sklearn_sgd.__version__}, {platform.machine()}; {repetitions} repetitions, intervals of 95 %"
    yield f"{'loss':<22}{'noise':<8}{'formula':<9}{'way':<8}{'rows':>7}{'columns':>9}{'coverage':>10}{'far':>7}"
    for case, way, n, p in product(CASES, ("fit", "stream"), rows, columns):
        loss, params, noise, robust = case
        share, far = coverage(way, case, n, p, repetitions)
        name = loss + "".join(f" {value}" for value in params.values())
        formula = "classic" if robust is False else "HC0" if robust is True else robust
        yield f"{name:<22}{noise:<8}{formula:<9}{way:<8}{n:>7}{p:>9}{100 * share:>8.1f} %{100 * far:>5.0f} %"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--columns", type=int, nargs="+", default=[5, 20])
    options = parser.parse_args()
    for line in lines(options.rows, options.columns, options.repetitions):
        print(line, flush=True)
