"""
Which batch size for house prices?
==================================

Is a batch of one row, of some, or of all the best way to learn house prices? A pipeline from a table with gaps,
columns of all sizes and text to predictions, and a grid search over its batch size, in two processes.

Reads ``california_housing.csv`` (20 640 districts) from the folder that the environment variable SKLEARN_SGD_DATA
names, or else from ``shared/data`` beside the repository; where there is none, makes up a table of the same shape.
Needs pandas.
"""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_sgd import MiniBatchSGDRegressor

COUNTS = ["total_rooms", "total_bedrooms", "population", "households"]
NUMBERS = [*COUNTS, "median_income", "housing_median_age", "longitude", "latitude"]


def load_table():
    """The census of 1990, or something like it."""
    root = Path(os.environ.get("SKLEARN_SGD_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    path = root / "california_housing.csv"
    if path.exists():
        print(f"Reading {path.name} ...")
        return pd.read_csv(path)
    print(f"No {path.name} here: making up a table of the same shape ...")
    rng, n = np.random.default_rng(0), 20_640
    size = rng.lognormal(size=n)
    table = pd.DataFrame({name: size * rng.lognormal(6.0, 0.3, n) for name in COUNTS})
    table["median_income"] = rng.lognormal(1.2, 0.5, n)
    table["longitude"], table["latitude"] = rng.uniform(-124, -114, n), rng.uniform(32, 42, n)
    table["housing_median_age"] = rng.integers(1, 53, n).astype(float)
    table["ocean_proximity"] = rng.choice(["INLAND", "NEAR BAY", "NEAR OCEAN"], n)
    price = 60_000 * table["median_income"] + 40_000 * (table["ocean_proximity"] != "INLAND") + rng.normal(0, 60_000, n)
    table["median_house_value"] = price.clip(15_000, 500_000)
    table.loc[rng.choice(n, 207, replace=False), "total_bedrooms"] = np.nan
    return table


def make_model():
    """Fill the gaps, scale the columns, make columns of text; then descend."""
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["ocean_proximity"]),
        ),
        MiniBatchSGDRegressor(random_state=0),
    )


if __name__ == "__main__":  # the search starts other processes, which import this file
    table = load_table()
    X, y = table.drop(columns="median_house_value"), table["median_house_value"]
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

    sizes = [1, 8, 32, 128, 512, None]
    print(f"Searching the batch size among {sizes}, by 3-fold cross-validation on {len(X_train)} rows ...")
    search = GridSearchCV(make_model(), {"minibatchsgdregressor__batch_size": sizes}, cv=3, n_jobs=2)
    start = time.perf_counter()
    search.fit(X_train, y_train)
    print(f"... {time.perf_counter() - start:.1f} s; the first fit of a kind on a machine compiles its loop.")
    print("\nbatch size   mean R²   seconds a fit")
    results = search.cv_results_
    for size, score, seconds in zip(sizes, results["mean_test_score"], results["mean_fit_time"], strict=True):
        print(f"{size!s:>10}{score:>10.4f}{seconds:>16.2f}")

    best = search.best_estimator_[-1]
    print(f"\nBest: batch_size={best.batch_size}, {best.n_updates_} updates. R² on the test rows:")
    direct = make_pipeline(make_model()[0], LinearRegression()).fit(X_train, y_train)
    print(f"{search.score(X_test, y_test):.4f}; by LinearRegression, at once: {direct.score(X_test, y_test):.4f}.")
