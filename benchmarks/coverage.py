"""Coverage of the intervals of ``coefficient_table``: how often do they contain the true coefficients, in simulations?

``python benchmarks/coverage.py`` draws each case again and again (correlated columns; ``spread`` is noise that grows
with the first one), fits it, once by ``fit`` and once as a stream in one pass, and counts the slopes inside their
intervals of 95 %. All slopes of a case count together. Tables of fits are made with the rows, those of streams without,
of what ``inference=True`` keeps. ``error`` is the mean squared error of the slopes in units of that of the fits of the
same repetitions; ``far`` is the share of the tables with the warning that a coefficient is farther from the minimum
than its standard error. Options: repetitions, how many of them have fits, rows, columns, the seconds after which the
table is printed, and a file of the results so far, from which a later call goes on. With ``--losses`` the table has
these alone, and there are no other lines. Cases take turns, so that a table that is cut short has about as many
repetitions of each; those of many rows, which take longer, have a share of them.
Repetitions run in as many processes as there are cores, or ``--jobs``; their results do not depend on this number.

The lines ``tail`` have the coverage for quantiles near 1, by the formulas with rows. The next lines have the same error
of streams with ``average=True``, which predict with an average of their steps.

Then come least times with the sums that ``inference=True`` keeps over those without, which take turns, at chunks of
streams and at fits. Streams of other losses than the squared error keep these sums anyway, unless ``average=True``. The
last lines compare critical batch sizes of ``diagnostics`` with what theory has for them.
"""

import argparse
import json
import os
import platform
import warnings
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path
from time import monotonic, thread_time
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

import sklearn_sgd
from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import critical_batch_size, gradient_noise
from sklearn_sgd.inference import coefficient_table

# Loss and its parameters, noise, and the formulas.
CASES = [
    ("squared_error", {}, "even", (False,)),
    ("squared_error", {}, "spread", (False, "HC1")),
    ("huber", {"epsilon": 1.0}, "even", ("HC1",)),
    ("huber", {"epsilon": 1.0}, "spread", ("HC1",)),
    ("poisson", {}, "even", ("HC1", False)),
    ("quantile", {"quantile": 0.5}, "even", ("HC1",)),
    ("quantile", {"quantile": 0.8}, "even", ("HC1",)),
    ("quantile", {"quantile": 0.5}, "spread", ("HC1",)),
]

# A stream has ten chunks, of this many rows at least.
CHUNK = 500

# Samples for each parameter after which a stream has a first minimum.
FIRST = 10

# Decrease of the objective in an epoch at which a fit ends, in units of the decrease that noise allows: the slopes are
# then within 0.02 standard errors of the minimum.
TOL = 1e-3

# Repetitions of a case in its turn, and with how many rows; those of a task of a process.
TURN, FEW, TASK = 40, 2000, 5

# Rate of steps without noise, and share of the error at which counting of updates ends.
RATE, ENOUGH = 0.2, 0.01


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


def fitted(X: np.ndarray, y: np.ndarray, start=None, **params):
    """A fit to the minimum, from the coefficients of a model to start from."""
    start = {} if start is None else {"coef_init": start.coef_, "intercept_init": start.intercept_}
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        return BatchGDRegressor(epochs=1000, tol=TOL * X.shape[1] / len(y), **params).fit(X, y, **start)


def streamed(X: np.ndarray, y: np.ndarray, **params):
    """One pass of a stream."""
    model, size = MiniBatchSGDRegressor(**params), max(CHUNK, len(y) // 10)
    for start in range(0, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size])
    return model


class Case(NamedTuple):
    """A case: loss, number of rows and of columns."""

    loss: str
    params: dict[str, float]
    noise: str
    formulas: tuple
    n: int
    p: int

    @property
    def name(self) -> str:
        """Its name, in the file of sums."""
        return f"{self.described}, {self.noise}, {self.n} rows, {self.p} columns"

    @property
    def described(self) -> str:
        """The loss with its parameters."""
        return self.loss + "".join(f" {value}" for value in self.params.values())

    def repeat(self, seed: int, has_fit: bool) -> Iterator[tuple[str, list[float]]]:
        """Yield the results of the stream and of the fit: shares of slopes inside their intervals, squared error, far.

        The shares are those of each formula; ``far`` is 1 if the last table has the warning.
        """
        X, y, slopes = draw(np.random.default_rng(seed), self.n, self.p, self.loss, self.noise)
        stream = streamed(X, y, loss=self.loss, inference=True, **self.params)
        yield "stream", [*self.inside(stream, slopes)]
        if has_fit:
            fit = fitted(X, y, start=stream, loss=self.loss, **self.params)
            yield "fit", [*self.inside(fit, slopes, X, y)]

    def inside(self, model, slopes: np.ndarray, *rows: np.ndarray) -> Iterator[float]:
        """Yield the results of a model."""
        for robust in self.formulas:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                table = coefficient_table(model, *rows, robust=robust)
            yield float(((table.low[:-1] <= slopes) & (slopes <= table.high[:-1])).mean())
        yield float(np.sum((model.coef_ - slopes) ** 2))
        yield float(bool(caught))

    def lines(self, results: dict[str, list[list[float]]]) -> Iterator[str]:
        """Its lines of the table."""
        fits = np.array(results.get("fit", []))
        for number, robust in enumerate(self.formulas):
            for way in sorted(results):
                found, both = np.array(results[way]), len(fits)
                inside, far = found[:, number].mean(), found[:, -1].mean()
                start = f"{self.described:<15}{self.noise:<8}{robust or 'classic':<9}{way:<8}{self.n:>6}{self.p:>9}"
                error = f"{found[:both, -2].sum() / fits[:, -2].sum():>8.2f}" if both else ""
                yield f"{start}{len(found):>7}{100 * inside:>8.1f} %{100 * far:>5.0f} %{error}"


def repeated(case: Case, seeds: range, fits: float) -> list[tuple[str, list[float]]]:
    """The results of some repetitions of a case, the first ``fits`` of which have fits, too."""
    return [found for seed in seeds for found in case.repeat(seed, seed < fits)]


def turn_of(case: Case, results: dict[str, list], options: argparse.Namespace) -> Iterator[tuple[Case, range, float]]:
    """Yield the tasks of the next turn of a case that has such results."""
    done = len(results.get("stream", ()))
    stop = min(options.repetitions, done + int(max(1.0, TURN * (FEW / max(FEW, case.n)) ** 0.5)))
    for start in range(done, stop, TASK):
        yield case, range(start, min(start + TASK, stop)), options.fits


def lines(options: argparse.Namespace) -> Iterator[str]:
    """Yield the table of the results in the file, if there is one, and of more repetitions, which are added to it."""
    chosen = [case for case in CASES if options.losses is None or case[0] in options.losses]
    cases = [Case(*case, n, p) for case, n, p in product(chosen, options.rows, options.columns)]
    file, end = options.results, monotonic() + options.seconds
    known = json.loads(file.read_text()) if file and file.exists() else {}
    with Parallel(options.jobs) as pool:
        while True:
            tasks = [task for case in cases for task in turn_of(case, known.setdefault(case.name, {}), options)]
            if not tasks or monotonic() >= end:
                break
            for (case, *_), found in zip(tasks, pool(delayed(repeated)(*task) for task in tasks), strict=True):
                for way, numbers in found:
                    known[case.name].setdefault(way, []).append(numbers)
            if file:
                file.write_text(json.dumps(known))
    yield f"sklearn_sgd {sklearn_sgd.__version__}, {platform.machine()}; intervals of 95 %"
    yield f"{'loss':<15}{'noise':<8}{'formula':<9}{'way':<8}{'rows':>6}{'columns':>9}{'times':>7}{'coverage':>10}" + (
        f"{'far':>7}{'error':>8}"
    )
    for case in cases:
        if known[case.name]:
            yield from case.lines(known[case.name])


def tails(repetitions: int) -> Iterator[str]:
    """Coverage of fits of quantiles near 1, for the formulas with rows."""
    formulas, n = ("HC1", "QuantReg", "QuantReg1", False), FEW
    for quantile, p in product((0.9, 0.95), (5, 20)):
        case, inside = Case("quantile", {"quantile": quantile}, "even", formulas, n, p), np.zeros(len(formulas))
        for seed in range(repetitions):
            X, y, slopes = draw(np.random.default_rng(seed), n, p, "quantile", "even")
            with warnings.catch_warnings(action="ignore", category=UserWarning):
                results = [*case.inside(fitted(X, y, loss="quantile", quantile=quantile), slopes, X, y)]
            inside += results[: len(formulas)]
        found = ", ".join(
            f"{robust or 'classic'} {100 * share:.1f} %"
            for robust, share in zip(formulas, inside / repetitions, strict=True)
        )
        beyond = n * (1.0 - quantile) / (p + 1)
        yield f"tail, quantile {quantile}, {n} rows, {p} columns: {beyond:.1f} rows beyond for each parameter; {found}"


def averages(rows: list[int], columns: list[int], repetitions: int) -> Iterator[str]:
    """Mean squared error of the slopes of streams that predict with an average, divided by that of a fit."""
    cases = ("huber", {"epsilon": 1.0}), ("poisson", {}), ("quantile", {"quantile": 0.5})
    for (loss, params), n, p in product(cases, rows, columns):
        errors = np.zeros(2)
        for seed in range(repetitions):
            X, y, slopes = draw(np.random.default_rng(seed), n, p, loss, "even")
            models = fitted(X, y, loss=loss, **params), streamed(X, y, loss=loss, average=True, **params)
            errors += [np.sum((model.coef_ - slopes) ** 2) for model in models]
        yield f"error of an average, {loss}, {n} rows, {p} columns: {errors[1] / errors[0]:.2f}"


def times(laps: int) -> Iterator[str]:
    """Least time of the thread with sums of scores, divided by that without: of chunks of streams, and of fits.

    Unlike other averages, the least time hardly depends on what else the machine does.
    """
    losses, fit, streams = ("squared_error", "huber", "poisson", "quantile"), BatchGDRegressor.fit, (1000, 10_000)
    calls = [
        *product(losses, streams, (20,), (MiniBatchSGDRegressor.partial_fit,)),
        *product(("huber",), (1000,), (100, 400), (MiniBatchSGDRegressor.partial_fit,)),
        ("squared_error", 20_000, 20, fit),
    ]
    for loss, size, p, call in calls:
        X, y, _ = draw(np.random.default_rng(0), 20_000 * laps // p, p, loss, "even")
        kind = BatchGDRegressor if call is fit else MiniBatchSGDRegressor
        option = {"inference": True} if loss == "squared_error" else {"average": True}
        models, taken = [kind(loss), kind(loss, **option)], np.full(2, np.inf)
        for head, which in product(range(0, len(y), size), (0, 1)):
            start = thread_time()
            call(models[which], X[head : head + size], y[head : head + size])
            if call is fit or head >= FIRST * (p + 1):  # The first rows of a stream are only stored.
                taken[which] = min(taken[which], thread_time() - start)
        without, kept = taken if loss == "squared_error" else taken[::-1]
        name = f"{call.__name__} of {size} rows, {p} columns, {loss}"
        yield f"time of {name}: {1e6 * without:.0f} us without the sums, with them {kept / without:.2f} times that"


def critical_batches(p: int, repetitions: int) -> Iterator[str]:
    """Critical batch sizes of columns that are uncorrelated, of variance 1, and normal.

    Without noise in the targets the squared error of the coefficients falls in each step of rate r on B rows by the
    factor ``1 - 2 r + r**2 (1 + (p + 1) / B)``, so that with ``r = RATE / (1 + (p + 1) / B)`` the updates to any share
    of it are in proportion to ``1 + (p + 1) / B``: the critical batch size is p + 1. With noise of variance 1, and the
    coefficients off by a vector of length d, the noise scale is ``p + 1 + p / d**2``.
    """
    rng, sizes = np.random.default_rng(0), [max(1, (p + 1) * k // 8) for k in (1, 4, 16, 64)]
    updates = np.zeros(len(sizes))
    for number, batch in [*enumerate(sizes)] * repetitions:
        rate = RATE / (1.0 + (p + 1) / batch)
        model = MiniBatchSGDRegressor(learning_rate="constant", eta0=rate, batch_size=batch, fit_intercept=False)
        truth, left = rng.standard_normal(p), np.inf
        while left > ENOUGH * (truth @ truth):
            X = rng.standard_normal((batch, p))
            model.partial_fit(X, X @ truth)
            left = np.sum((model.coef_ - truth) ** 2)
        updates[number] += model.n_updates_
    found = critical_batch_size(sizes, updates / repetitions).batch_size
    yield f"critical batch size, {p} columns: {found:.1f}; in theory {p + 1:.1f}"
    X = rng.standard_normal((100_000, p))
    model = BatchGDRegressor(fit_intercept=False).fit(X[:100], X[:100, 0])
    model.coef_ = np.eye(1, p)[0] * 0.5
    noise = gradient_noise(model, X, X[:, 0] + rng.standard_normal(len(X))).scale
    yield f"noise scale, {p} columns: {noise:.1f}; in theory {p + 1 + p / 0.25:.1f}"


def others(options: argparse.Namespace) -> Iterator[str]:
    """Yield the lines below the table."""
    yield from tails(min(options.repetitions, 200))
    yield from averages([5 * n for n in options.rows], options.columns, min(options.repetitions, 60))
    yield from times(400)
    for p in options.columns:
        yield from critical_batches(p, min(options.repetitions, 50))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 20000])
    parser.add_argument("--columns", type=int, nargs="+", default=[5, 20])
    parser.add_argument("--seconds", type=float, default=np.inf)
    parser.add_argument("--fits", type=float, default=np.inf, help="how many repetitions have fits, too")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="number of processes")
    parser.add_argument("--results", type=Path, help="file of the results so far")
    parser.add_argument("--losses", nargs="+", choices=sorted({case[0] for case in CASES}), help="of the table, alone")
    options = parser.parse_args()
    for line in chain(lines(options), others(options) if options.losses is None else ()):
        print(line, flush=True)
