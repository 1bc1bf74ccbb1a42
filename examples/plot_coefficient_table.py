"""
Is one airline later than another?
==================================

How sure are the coefficients of a stream? The model learns a year of flights out of New York in one pass, a thousand
flights at a time, and stores none of them. It predicts how late a flight arrives, from its delay at departure, its
distance, its hour, its airport and its airline. Delays have heavy tails, so the loss is the Huber loss. At the end
there is a table of standard errors, as statsmodels prints it for samples in memory.

Reads ``nycflights13_flights.csv.gz`` (327 346 flights) from the folder that the environment variable SKLEARN_SGD_DATA
names, or else from ``shared/data`` beside the repository; where there is none, makes up some. Needs pandas.
"""

import os
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sklearn_sgd import CoefficientDisplay, MiniBatchSGDRegressor
from sklearn_sgd.inference import coefficient_table

NUMBERS = ["dep_delay", "distance", "hour"]
CHUNK = 1000


def load_flights():
    """Flights out of New York in 2013, or something like them, in the order of time."""
    folder = Path.cwd().parent if "__file__" not in globals() else Path(__file__).resolve().parents[1]
    root = Path(os.environ.get("SKLEARN_SGD_DATA", folder.parent / "shared" / "data"))
    path = root / "nycflights13_flights.csv.gz"
    if path.exists():
        columns = ["month", "day", "arr_delay", "carrier", "origin", *NUMBERS]
        return pd.read_csv(path, usecols=columns).dropna().sort_values(["month", "day", "hour"], kind="stable")
    print(f"No {path.name} here: 100 000 flights are made up.")
    rng, n = np.random.default_rng(0), 100_000
    day = np.sort(rng.integers(0, 360, n))
    flights = pd.DataFrame({"month": 1 + day // 30, "day": 1 + day % 30, "dep_delay": rng.gamma(0.3, 60.0, n) - 5.0})
    flights["distance"], flights["hour"] = rng.uniform(100, 3000, n), rng.integers(5, 24, n)
    carrier = rng.integers(0, 8, n)
    flights["carrier"], flights["origin"] = np.array(list("ABCDEFGH"))[carrier], rng.choice(["EWR", "JFK", "LGA"], n)
    weather = rng.normal(0, 8, (360, 1)) + rng.normal(0, 8, (360, 8))  # on each day, and for each airline
    flights["arr_delay"] = (
        flights["dep_delay"] - 6 + 4 * (flights["carrier"] == "B") + weather[day, carrier] + 10 * rng.standard_t(4, n)
    )
    return flights


flights = load_flights()
flights = flights[flights.groupby("carrier")["hour"].transform("size") > CHUNK]  # A few airlines hardly fly from here.
X = pd.get_dummies(flights[[*NUMBERS, "origin", "carrier"]], dtype=float)
X = X.drop(columns=["origin_EWR", f"carrier_{flights['carrier'].mode()[0]}"])  # Those that others are compared with.
X["distance"] /= 1000.0
y = flights["arr_delay"].to_numpy(float)

# %%
# With ``inference=True`` the model keeps two small matrices beside its coefficients, whatever the number of flights.
# The coefficient of ``dep_delay`` is near 1: a flight that leaves a minute later arrives about a minute later. The
# coefficients are those of the best fit to all flights, not an average of the updates.

model = MiniBatchSGDRegressor("huber", epsilon=10.0, inference=True)
for start in range(0, len(y), CHUNK):
    model.partial_fit(X.iloc[start : start + CHUNK], y[start : start + CHUNK])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    table = coefficient_table(model)
print(table)
for warning in caught:
    print(f"Warning: {warning.message}")

# %%
# But are flights independent? They share the weather of their day, and come in the order of time. Where flights near
# each other are too much alike, the model warns, as it does for the real ones. With the rows in memory, ``groups=``
# gives standard errors that allow for that. They are larger: the formula for independent flights cannot know of the
# days.

days = (31 * flights["month"] + flights["day"]).to_numpy()
by_day = coefficient_table(model, X, y, groups=days)
ratio = by_day.std_err / table.std_err
print(f"Standard errors by {len(np.unique(days))} days over those of independent flights:")
for name, value in zip(table.feature_names, ratio, strict=True):
    print(f"    {name:<12} {value:.1f}")

# %%
# The forest plot shows the airlines, in minutes against the one that flies most. The thin intervals are those of
# independent flights, the wide pale ones allow for days. An interval that does not touch the line at 0 is evidence of
# a difference.

airlines = [name for name in table.feature_names if name.startswith("carrier_")]
airlines = sorted(airlines, key=lambda name: table.coef[table.feature_names.index(name)])
at = [table.feature_names.index(name) for name in airlines]
figure, ax = plt.subplots(layout="constrained")
CoefficientDisplay.from_table(table, features=airlines, ax=ax)
wide = {"color": "0.8", "lw": 6, "ls": "none", "zorder": 0, "label": "by day"}
ax.errorbar(by_day.coef[at], range(len(at)), xerr=1.96 * by_day.std_err[at], **wide)
ax.set_title("coefficients of the airlines, with intervals of 95 %")
ax.set_xlabel("minutes later at arrival than the largest airline")
ax.legend()
plt.show()
