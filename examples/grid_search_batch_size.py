"""
Which batch size for house prices?
==================================

A pipeline takes a table with missing values, features of very different sizes and text to predictions, and a grid
search finds its batch size, in two processes. The learning rate is constant, and there are five epochs, so the batch
size matters: small batches make many noisy updates, large ones make few.

Reads ``california_housing.csv`` (20 640 districts) from the folder that the environment variable SKLEARN_SGD_DATA
names, or else from ``shared/data`` beside the repository. Where there is no such file, it makes up a table of the same
shape. Needs pandas.
"""

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
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
    folder = Path.cwd().parent if "__file__" not in globals() else Path(__file__).resolve().parents[1]
    root = Path(os.environ.get("SKLEARN_SGD_DATA", folder.parent / "shared" / "data"))
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


def make_model(**parameters):
    """Impute missing values, scale the numbers, encode the text; then fit by mini-batch gradient descent."""
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), NUMBERS),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["ocean_proximity"]),
        ),
        MiniBatchSGDRegressor(random_state=0, **parameters),
    )


if __name__ == "__main__":  # the search starts other processes, which import this file
    table = load_table()
    X, y = table.drop(columns="median_house_value"), table["median_house_value"]
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

    sizes = [1, 8, 32, 128, 512, None]
    # With too few updates for its rate a fit ends worse than a constant, and warns. Here the score shows that.
    warnings.simplefilter("ignore", ConvergenceWarning)
    os.environ["PYTHONWARNINGS"] = "ignore:MiniBatchSGDRegressor"  # in the other processes
    model = make_model(learning_rate="constant", eta0=0.01, epochs=5, tol=None)
    print(f"Searching the batch size among {sizes}, by 3-fold cross-validation on {len(X_train)} samples ...")
    search = GridSearchCV(model, {"minibatchsgdregressor__batch_size": sizes}, cv=3, n_jobs=2)
    start = time.perf_counter()
    search.fit(X_train, y_train)
    print(f"... {time.perf_counter() - start:.1f} s; the first fit of a kind on a machine compiles its loop.")
    print("\nConstant rate 0.01, 5 epochs\nbatch size   updates per epoch   mean R²   seconds per fit")
    results, n = search.cv_results_, len(X_train) * 2 // 3
    for size, score, seconds in zip(sizes, results["mean_test_score"], results["mean_fit_time"], strict=True):
        best = "  <- best" if score == search.best_score_ else ""
        print(f"{size!s:>10}{-(-n // (size or n)):>20}{score:>10.3f}{seconds:>18.2f}{best}")

    automatic = make_model().fit(X_train, y_train)
    direct = make_pipeline(make_model()[0], LinearRegression()).fit(X_train, y_train)
    print("\nR² on the test samples")
    print(f"best batch size, constant rate   {search.score(X_test, y_test):.3f}")
    print(f"defaults: automatic rate         {automatic.score(X_test, y_test):.3f}")
    print(f"LinearRegression                 {direct.score(X_test, y_test):.3f}")
