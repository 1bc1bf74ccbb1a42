"""
Which batch size costs least?
=============================

Small batches learn from few rows, but take many steps; large ones take few steps, but each reads many rows. Both can
be counted, on the way to the same objective with the textbook's constant rates; then they are measured in seconds; and
last comes the default, for which the batch size hardly matters.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_regression

from sklearn_sgd import BatchSizeDisplay, MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import critical_batch_size, descent_path, measure_cost, objective

X, y = make_regression(n_samples=1000, n_features=10, noise=40.0, random_state=0)
sizes = [1, 4, 16, 64, 256]

# %%
# How many updates until the objective is within 5 % of its lowest? For each batch size the best of five constant rates
# counts: the larger the batch, the longer the steps may be.

solution = np.linalg.lstsq(np.column_stack([X, np.ones(len(y))]), y, rcond=None)[0]
goal = 1.05 * objective(MiniBatchSGDRegressor(), X, y, solution)


def updates_to_goal(size):
    """The fewest, among the rates."""
    needed = []
    for eta0 in 1 / (1 + X.shape[1] / size) / 2.0 ** np.arange(5):
        model = MiniBatchSGDRegressor(learning_rate="constant", eta0=eta0, average=False, random_state=0)
        path = descent_path(model.set_params(batch_size=size), X, y, epochs=1 + size // 32)
        reached = np.flatnonzero(objective(model, X, y, path) <= goal)
        needed += [*reached[:1]]
    return min(needed)


updates = np.array([updates_to_goal(size) for size in sizes])
critical = critical_batch_size(sizes, updates)
print("batch size   updates      rows")
for size, count in zip(sizes, updates, strict=True):
    print(f"{size:>10}{count:>10}{count * size:>10}")
print(f"Critical batch size: {critical.batch_size:.0f} rows; below it rows are used well, above it updates.")

# %%
# An epoch takes the same multiplications at every batch size, but not the same time: each update has a cost of its own.

print("\nbatch size   multiplications an update   an epoch   microseconds an update   ms an epoch")
for size in sizes:
    cost = measure_cost(MiniBatchSGDRegressor(batch_size=size, learning_rate="constant", eta0=0.001), X, y, epochs=100)
    counts = f"{cost.multiplications_per_update:>27.0f}{cost.multiplications_per_epoch:>11.0f}"
    print(f"{size:>10}{counts}{1e6 * cost.seconds_per_update:>25.2f}{1e3 * cost.seconds_per_epoch:>14.2f}")

# %%
# With the textbook's single rate for all sizes, and ten epochs, large batches have too few steps to arrive.

fixed = MiniBatchSGDRegressor(learning_rate="constant", eta0=0.01, average=False, epochs=10, tol=None, random_state=0)
BatchSizeDisplay.from_estimator(fixed, X, y, batch_sizes=[*sizes, None], cv=5)
plt.show()

# %%
# With the automatic step, the rate follows the batch size, and the score is the same with all of them.

BatchSizeDisplay.from_estimator(MiniBatchSGDRegressor(random_state=0), X, y, batch_sizes=[*sizes, None], cv=5)
plt.show()
