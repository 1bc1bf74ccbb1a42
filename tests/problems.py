"""Small data sets with known solutions, common parameters, and the choice of cases that run by default."""

from collections import Counter
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
import pytest
from internals import used
from scipy import sparse

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

REGRESSORS = [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor]
LOSSES = ["squared_error", "absolute_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"]
PENALTIES = [None, "l2", "l1", "elasticnet"]

# Losses whose predictions are exponentials, of targets that are not negative.
LINKED = ["poisson", "gamma", "tweedie"]

# Each loss with each penalty.
PAIRS = list(product([*LOSSES, "quantile"], PENALTIES))

# Explicit steps and no early end: what makes two ways of computing comparable.
FIXED = {"learning_rate": "constant", "eta0": 0.02, "tol": None, "epochs": 3, "shuffle": False}

# The same with the automatic step.
AUTO = {"learning_rate": "auto", "average": "auto", "tol": None, "epochs": 3, "shuffle": False}

# What early stopping adds to them.
EARLY = {"early_stopping": True, "shuffle": True, "epochs": 8, "validation_fraction": 0.25}


def _label(value):
    return getattr(value, "__name__", None) or str(value)


def _parts(case, strength):
    """Values of a case by the numbers of their axes, so many at a time."""
    return {(axes, tuple(case[axis] for axis in axes)) for axes in combinations(range(len(case)), strength)}


def _cover(sizes, strength):
    """Indices into the axes: all values occur, and values of different axes meet as often as possible."""
    cases = list(product(*map(range, sizes)))
    parts = {case: _parts(case, min(strength, len(sizes))) for case in cases}
    pairs = {case: _parts(case, min(2, len(sizes))) for case in cases}
    missing, met, used, chosen = set().union(*parts.values()), set(), Counter(), []
    while missing:
        chosen.append(
            max(
                cases,
                key=lambda case: (
                    len(parts[case] & missing),
                    len(pairs[case] - met),
                    -sum(used[axis, value] * sizes[axis] for axis, value in enumerate(case)),
                ),
            )
        )
        missing -= parts[chosen[-1]]
        met |= pairs[chosen[-1]]
        used.update(enumerate(chosen[-1]))
    return set(chosen)


def covering(axes, strength=1):
    """Parametrize a test over the product of axes, of which a covering set runs by default; the rest is marked matrix.

    In the covering set each value of each axis occurs at least once; with ``strength=2``, each pair of values of two
    axes. ``axes`` is a dictionary from names to values: a list, or a dictionary with labels as keys. An axis of several
    arguments has all their names, with commas, and tuples as values.
    """
    labelled = [
        list(values.items()) if isinstance(values, dict) else [(None, value) for value in values]
        for values in axes.values()
    ]
    several = ["," in name for name in axes]
    chosen = _cover([len(values) for values in labelled], strength)
    cases = []
    for case in product(*(range(len(values)) for values in labelled)):
        arguments, labels = [], []
        for values, index, many in zip(labelled, case, several, strict=True):
            label, value = values[index]
            arguments += value if many else [value]
            labels += [label] if label else map(_label, value if many else [value])
        marks = [] if case in chosen else [pytest.mark.matrix]
        cases.append(pytest.param(*arguments, id="-".join(labels), marks=marks))
    return pytest.mark.parametrize(", ".join(axes), cases)


def in_domain(loss, y):
    """Targets like these that the loss allows: counts, or positive numbers."""
    if not hasattr(loss, "allows") or loss.allows(y).all():
        return y
    middle = np.median(y)
    grown = np.exp(np.clip((y - middle) / (np.median(np.abs(y - middle)) or 1.0), -3, 9))
    return grown if loss.domain == "> 0" else np.floor(grown)


def mini(batch_size=7, **params):
    return MiniBatchSGDRegressor(batch_size=batch_size, random_state=0, **used(**FIXED | params))


def held_out(spy_on, model, n):
    """Rows that the fit of a model leaves out."""
    seen = {row for batch in spy_on(model, n).batches for row in batch}
    return np.array(sorted(set(range(n)) - seen))


def linear(n=60, p=5, noise=0.1, seed=0):
    """Standard normal columns, slopes 1 to p, intercept 3."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    return X, X @ np.arange(1.0, p + 1) + 3 + noise * rng.standard_normal(n)


def holey(n=60, p=6, seed=0):
    """The same with two thirds of X zero, one row of zeros and one column of zeros."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < 1 / 3)
    X[3], X[:, 2] = 0, 0
    return X, X @ np.arange(1.0, p + 1) + 3 + 0.1 * rng.standard_normal(n)


def peers(n=200):
    """The data on which the defects of peers were reproduced."""
    rng = np.random.RandomState(0)
    X = rng.randn(n, 5)
    return X, X @ np.arange(1.0, 6) + 3 + 0.1 * rng.randn(n)


def course():
    """Hours studied and marks, from the course that the package comes from."""
    hours = np.array([2, 5, 7, 9, 10, 11, 13.4, 14, 15])
    return hours[:, None], np.array([1, 3.2, 4.5, 6, 4, 4.5, 5.5, 3, 5])


def some_weights(n, seed=1):
    """Weights between 0.5 and 2."""
    return np.random.default_rng(seed).uniform(0.5, 2.0, n)


def csr(X, index=np.int32):
    """X in compressed rows with indices of that type."""
    X = sparse.csr_matrix(X)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


def ridge(X, y, alpha=0.0):
    """Slopes and intercept that minimise mean half squared error plus alpha / 2 times the squared slopes."""
    centred, n = X - X.mean(axis=0), len(y)
    w = np.linalg.solve(centred.T @ centred / n + alpha * np.eye(X.shape[1]), centred.T @ (y - y.mean()) / n)
    return np.append(w, y.mean() - X.mean(axis=0) @ w)


def best_step(X):
    """The rate at which full-batch descent on squared error is fast and safe: one over the largest curvature."""
    ones = np.column_stack([X, np.ones(len(X))])
    return len(X) / np.linalg.norm(ones, 2) ** 2


def theta(model):
    """All parameters of a fitted model, intercept last."""
    return np.append(model.coef_, model.intercept_)


def learned(model) -> list[str]:
    """The names of what a regressor learned."""
    names = (name for name in dir(model) if name.endswith("_") and not name.startswith("_"))
    return [name for name in names if hasattr(model, name)]


class OwnPoisson(NamedTuple):
    """Poisson's loss as a user may write it, less the logarithm of a factorial."""

    def value(self, y, p):
        return np.exp(p) - y * p

    def gradient(self, y, p):
        return np.exp(p) - y

    def inverse_link(self, p):
        return np.exp(p)

    def link(self, y):
        return np.log(y)
