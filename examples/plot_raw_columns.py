"""
What if nobody scales the columns?
==================================

A column in dollars beside one in years makes a long, narrow valley of the objective: plain gradient descent must take
steps short enough for the steep side, and then creeps along the flat one, or it flies off. The automatic step takes the
valley's shape into account. SGDRegressor and MiniBatchSGDRegressor, on the same rows, without and with a scaler.
"""

import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, DescentPathDisplay, MiniBatchSGDRegressor

# %%
# A thousand flats: the price, in thousands, follows from the size, the rooms, the year of building and the income of
# the street.

rng = np.random.default_rng(0)
area = rng.uniform(30, 200, 1000)
rooms = np.round(area / 30 + rng.uniform(0, 1, 1000))
year, income = rng.integers(1900, 2020, 1000), rng.lognormal(10.5, 0.4, 1000)
X = np.column_stack([area, rooms, year, income])
y = 2.5 * area + 12 * rooms + 0.8 * (year - 1900) + 0.002 * income + rng.normal(0, 25, 1000)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# R² on flats that no model has seen; a negative number is worse than always saying the mean.

models = {
    "SGDRegressor": SGDRegressor(random_state=0),
    "SGDRegressor, scaled": make_pipeline(StandardScaler(), SGDRegressor(random_state=0)),
    "MiniBatchSGDRegressor": MiniBatchSGDRegressor(random_state=0),
    "MiniBatchSGDRegressor, scaled": make_pipeline(StandardScaler(), MiniBatchSGDRegressor(random_state=0)),
    "LinearRegression": LinearRegression(),
}
print(f"{'':<32}{'R²':>12}{'milliseconds':>14}")
for name, model in models.items():
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model.fit(X_train, y_train)
        start = time.perf_counter()
        model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    print(f"{name:<32}{model.score(X_test, y_test):>12.4g}{1e3 * seconds:>14.1f}")

# %%
# Why: two of the columns, square metres and rooms, and fifty steps on all rows. At a constant rate, half the longest
# that does not fly off, the plain descent is soon at the bottom of the valley, and then hardly moves along it; the
# automatic one goes straight to the end.

two = X_train[:, :2] - X_train[:, :2].mean(axis=0)
steepest = np.linalg.eigvalsh(two.T @ two / len(two)).max()
paths = {
    "constant rate": BatchGDRegressor(learning_rate="constant", eta0=1 / steepest),
    "automatic": BatchGDRegressor(),
}
DescentPathDisplay.from_estimator(paths, two, y_train - y_train.mean(), epochs=50)
plt.show()
