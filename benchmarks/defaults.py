"""The experiments behind the defaults: batch size, tolerance and epochs, on real data with raw columns.

Prints the tables of docs/defaults.rst. Data: what ships with scikit-learn and, where there is a folder of real data
(see data_folder), the files in it. Run from the root of the repository: python benchmarks/defaults.py
"""

import os
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import sklearn
from sklearn import datasets
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklearn_sgd
from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

FILES = {
    "california_housing.csv": ("median_house_value", []),
    "wine_quality_white.csv": ("quality", []),
    "concrete.csv": ("strength", []),
    "insurance_charges.csv": ("charges", []),
    "airfoil.csv": ("sound_pressure", []),
    "elevators.csv.gz": ("y", []),
    "nycflights13_flights.csv.gz": ("arr_delay", ["arr_time", "air_time", "year", "tailnum"]),
}


def data_folder() -> Path:
    """Return the folder of the files, or None."""
    return Path(os.environ.get("SKLEARN_SGD_DATA", Path(__file__).parents[2] / "shared" / "data"))


def read(path: Path, target: str, drop: list[str]):
    """Raw columns: missing values are imputed by the median, text is one-hot encoded."""
    frame = pd.read_csv(path).dropna(subset=[target]).drop(columns=drop)
    y = frame.pop(target).to_numpy(float)
    frame = frame.fillna(frame.median(numeric_only=True))
    return np.ascontiguousarray(pd.get_dummies(frame, dtype=float).to_numpy(float)), y


def problems():
    """Name, X and y of each data set whose file exists."""
    yield "diabetes", *datasets.load_diabetes(return_X_y=True, scaled=False)
    yield "digits", *datasets.load_digits(return_X_y=True)
    for name, load in {"wine": datasets.load_wine, "breast cancer": datasets.load_breast_cancer}.items():
        X = load().data
        yield name, np.ascontiguousarray(X[:, :-1]), X[:, -1]
    for name, (target, drop) in FILES.items():
        if (data_folder() / name).exists():
            yield name.partition(".")[0], *read(data_folder() / name, target, drop)


HEADER = f"{'':29}{'as good on':>12}{'worst':>10}  {'on':20}{'seconds':>9}"


def row(label: str, gaps: dict[str, float], seconds: float) -> str:
    """A line of a table: on how many sets R² is at most 0.001 below that of least squares, the worst, and where."""
    worst = min(gaps, key=gaps.__getitem__)
    good = f"{sum(gap >= -0.001 for gap in gaps.values())} of {len(gaps)}"
    gap = f"{gaps[worst]:+.4f}" if gaps[worst] > -9 else f"{gaps[worst]:+.0e}"
    if float(gap) == 0.0:
        gap, worst = "0.0000", "-"  # Which set it is on is then chance.
    return f"{label:29}{good:>12}{gap:>10}  {worst:20}{seconds:9.2f}"


def table(splits, models: dict, references: dict) -> None:
    """A row for each model: R² on new rows less that of least squares, over the data sets, and seconds for all."""
    print(HEADER)
    for label, model in models.items():
        gaps, start = {}, time.perf_counter()
        for name, (X, X_test, y, y_test) in splits.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gaps[name] = model.fit(X, y).score(X_test, y_test) - references[name]
        print(row(label, gaps, time.perf_counter() - start))


def main() -> None:
    """All tables."""
    print(
        f"sklearn_sgd {sklearn_sgd.__version__}, scikit-learn {sklearn.__version__}, NumPy {np.__version__}, ", end=""
    )
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores\n")
    splits = {name: train_test_split(X, y, test_size=0.2, random_state=0) for name, X, y in problems()}
    references = {}
    for name, (X, X_test, y, y_test) in splits.items():
        peers = LinearRegression(), make_pipeline(StandardScaler(), Ridge(1e-6))
        references[name] = max(peer.fit(X, y).score(X_test, y_test) for peer in peers)
        print(f"{name}: {len(y)} rows to learn from, {X.shape[1]} columns, least squares R² {references[name]:.4f}")
    small = {name: split for name, split in splits.items() if len(split[0]) < 100_000}
    sizes = {
        size: MiniBatchSGDRegressor(batch_size=size, random_state=0) for size in (1, 8, 32, 128, 512, "auto", None)
    }
    for model in sizes.values():  # compile before the clock runs
        model.fit(*datasets.load_diabetes(return_X_y=True))
    print("\nClasses, all defaults, and the textbook's recipe:\n")
    recipe = make_pipeline(StandardScaler(), SGDRegressor(random_state=0))
    kinds = BatchGDRegressor(), MiniBatchSGDRegressor(random_state=0), OnlineSGDRegressor(random_state=0)
    table(splits, {type(kind).__name__: kind for kind in kinds} | {"StandardScaler + SGDRegressor": recipe}, references)
    print("\nBatch sizes:\n")
    table(small, {f"batch_size={size}": model for size, model in sizes.items()}, references)
    print("\nTolerances:\n")
    tolerances = {f"tol={tol:g}": MiniBatchSGDRegressor(tol=tol, random_state=0) for tol in (1e-2, 1e-3, 1e-4)}
    table(small, tolerances, references)
    print("\nEpochs:\n")
    table(
        small,
        {f"epochs={n}": MiniBatchSGDRegressor(epochs=n, random_state=0) for n in (1, 5, 20, 100, 1000)},
        references,
    )


if __name__ == "__main__":
    main()
