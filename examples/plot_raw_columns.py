"""
What happens without scaling?
=============================

A feature in dollars beside one in years makes the objective a long, narrow valley. Plain gradient descent needs steps
short enough for the steep side, and then creeps along the flat one; with longer steps it diverges. The automatic step
takes the shape of the valley into account. This page compares SGDRegressor and MiniBatchSGDRegressor on the same data,
without and with a scaler.
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
# A thousand flats. The price, in thousands, depends on the size, the number of rooms, the year of construction and
# the mean income in the street.

rng = np.random.default_rng(0)
area = rng.uniform(30, 200, 1000)
rooms = np.round(area / 30 + rng.uniform(0, 1, 1000))
year, income = rng.integers(1900, 2020, 1000), rng.lognormal(10.5, 0.4, 1000)
X = np.column_stack([area, rooms, year, income])
y = 2.5 * area + 12 * rooms + 0.8 * (year - 1900) + 0.002 * income + rng.normal(0, 25, 1000)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# R² on test samples; a negative number is worse than the constant prediction of the mean. Each model is fitted twice,
# and the second fit is timed, so that no time includes compilation.

models = {
    "SGDRegressor": SGDRegressor(random_state=0),
    "SGDRegressor, scaled": make_pipeline(StandardScaler(), SGDRegressor(random_state=0)),
    "MiniBatchSGDRegressor": MiniBatchSGDRegressor(random_state=0),
    "MiniBatchSGDRegressor, scaled": make_pipeline(StandardScaler(), MiniBatchSGDRegressor(random_state=0)),
    "LinearRegression": LinearRegression(),
}
print(f"{'':<32}{'test R²':>12}{'milliseconds':>14}")
for name, model in models.items():
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        model.fit(X_train, y_train)
        start = time.perf_counter()
        model.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    print(f"{name:<32}{model.score(X_test, y_test):>12.4g}{1e3 * seconds:>14.1f}")

# %%
# The reason, with two of the features (square metres and rooms) and full batches. At a constant rate, half the
# largest one that does not diverge, the descent is soon at the bottom of the valley. Then it hardly moves along it:
# after 50 updates it is still far from the minimum, the cross. The automatic step goes straight there.

two = X_train[:, :2] - X_train[:, :2].mean(axis=0)
steepest = np.linalg.eigvalsh(two.T @ two / len(two)).max()
paths = {
    "constant rate": BatchGDRegressor(learning_rate="constant", eta0=1 / steepest, epochs=50, tol=None),
    "automatic": BatchGDRegressor(),
}
display = DescentPathDisplay.from_estimator(paths, two, y_train - y_train.mean())
display.axes_[0].set(xlabel="coefficient of the size", ylabel="coefficient of the rooms")
display.axes_[1].set(xlabel="coefficient of the size")
plt.show()
