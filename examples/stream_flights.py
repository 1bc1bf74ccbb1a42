"""
Can delays be learned flight by flight?
=======================================

How well does a model predict a year of flights while it learns from them, in one pass, a thousand flights at a time, in
the order of time? It predicts the delay at arrival from the delay at departure, the hour, the distance, the carrier and
the two airports. Each flight is predicted before it is learned, so the mean loss, the prequential loss, estimates the
loss on new flights.

Reads ``nycflights13_flights.csv.gz`` (327 346 flights) from the folder that the environment variable SKLEARN_SGD_DATA
names, or else from ``shared/data`` beside the repository. Where there is no such file, it makes up some flights. Needs
pandas.
"""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction import FeatureHasher

from sklearn_sgd import OnlineSGDRegressor

NUMBERS = ["dep_delay", "distance", "hour"]
NAMES = ["carrier", "origin", "dest"]
CHUNK = 1000


def load_flights():
    """Flights out of New York in 2013, or something like them, in the order of time."""
    folder = Path.cwd().parent if "__file__" not in globals() else Path(__file__).resolve().parents[1]
    root = Path(os.environ.get("SKLEARN_SGD_DATA", folder.parent / "shared" / "data"))
    path = root / "nycflights13_flights.csv.gz"
    if path.exists():
        print(f"Reading {path.name} ...")
        flights = pd.read_csv(path, usecols=["month", "day", "arr_delay", *NUMBERS, *NAMES])
        return flights.dropna().sort_values(["month", "day", "hour"], kind="stable")
    print(f"No {path.name} here: making up 100 000 flights ...")
    rng, n = np.random.default_rng(0), 100_000
    flights = pd.DataFrame({"month": np.sort(rng.integers(1, 13, n)), "dep_delay": rng.gamma(0.3, 60.0, n) - 5.0})
    flights["distance"], flights["hour"] = rng.uniform(100, 3000, n), rng.integers(5, 24, n)
    for name, levels in zip(NAMES, (16, 3, 100), strict=True):
        flights[name] = rng.integers(0, levels, n).astype(str)
    flights["arr_delay"] = flights["dep_delay"] - 10 + (flights["carrier"] == "1") * 8 + rng.normal(0, 15, n)
    return flights


def encode(flights, hasher):
    """A CSR matrix: the numbers, and a column for each name."""
    names = flights[NAMES].to_dict("records")
    names = hasher.transform([f"{name}={level}" for name, level in row.items()] for row in names)
    return sparse.hstack([sparse.csr_matrix(flights[NUMBERS].to_numpy(float)), names], format="csr")


flights = load_flights()
# The first call compiles. Another model makes it, so that the times below are those of learning.
OnlineSGDRegressor().partial_fit(sparse.csr_matrix(np.eye(2, 131)), [0.0, 1.0])
print(f"Learning from {len(flights)} flights, {CHUNK} at a time, each seen once ...")
model = OnlineSGDRegressor()
hasher = FeatureHasher(n_features=128, input_type="string", alternate_sign=False)
mean = seconds = 0.0
naive = 0.0  # sum of the squared errors of the mean so far, as a prediction
last = 0, 0.0, 0.0  # flights and sums at the last printed line

print("\n   month   flights so far   typical error (min)   of the mean so far   seconds of learning")
for number, start in enumerate(range(0, len(flights), CHUNK), 1):
    chunk = flights.iloc[start : start + CHUNK]
    X, y = encode(chunk, hasher), chunk["arr_delay"].to_numpy(float)
    clock = time.perf_counter()
    model.partial_fit(X, y)
    seconds += time.perf_counter() - clock

    n = model.n_samples_seen_
    naive += np.sum((y - mean) ** 2)
    mean += (y.mean() - mean) * len(y) / n
    if number % 30 == 0 or n == len(flights):
        totals = n, 2 * n * model.prequential_loss_, naive  # the loss is half the squared error
        rows, ours, theirs = np.subtract(totals, last)
        errors = f"{np.sqrt(ours / rows):>22.1f}{np.sqrt(theirs / rows):>21.1f}"
        print(f"{chunk['month'].iloc[-1]:>8}{n:>17}{errors}{seconds:>22.2f}")
        last = totals

r2 = 1 - totals[1] / naive
print(
    f"\nPrequential loss {model.prequential_loss_:.1f}, R² {r2:.3f} over the mean so far, {model.n_updates_} updates."
)
