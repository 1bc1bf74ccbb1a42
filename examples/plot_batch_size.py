"""
Which batch size costs least?
=============================

Small batches read few samples per update, but make many updates; large batches make few updates, but each reads many
samples. This page counts both, on the way to the same objective with constant rates, and then measures them in seconds.
Last comes the default, for which the batch size hardly matters.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_regression

from sklearn_sgd import BatchSizeDisplay, MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import critical_batch_size, descent_path, measure_cost, objective

X, y = make_regression(n_samples=1000, n_features=10, noise=40.0, random_state=0)
sizes = [1, 4, 16, 64, 256]

# %%
# How many updates does it take to come within 5 % of the minimum of the objective? For each batch size the best of
# five constant rates counts: the larger the batch, the larger the rate may be.

solution = np.linalg.lstsq(np.column_stack([X, np.ones(len(y))]), y, rcond=None)[0]
goal = 1.05 * objective(MiniBatchSGDRegressor(), X, y, solution)


def updates_to_goal(size):
    """Return the smallest number of updates among the rates."""
    needed = []
    for eta0 in 1 / (1 + X.shape[1] / size) / 2.0 ** np.arange(5):
        model = MiniBatchSGDRegressor(learning_rate="constant", eta0=eta0, average=False, tol=None, random_state=0)
        path = descent_path(model.set_params(batch_size=size), X, y, epochs=1 + size // 32)
        reached = np.flatnonzero(objective(model, X, y, path) <= goal)
        needed += [*reached[:1]]
    return min(needed)


updates = np.array([updates_to_goal(size) for size in sizes])
critical = critical_batch_size(sizes, updates)
print("batch size   updates   samples")
for size, count in zip(sizes, updates, strict=True):
    print(f"{size:>10}{count:>10}{count * size:>10}")
print(f"Critical batch size: {critical.batch_size:.0f}. Smaller batches save samples, larger ones save updates.")

# %%
# An epoch has the same number of multiplications for every batch size, but it does not take the same time, because
# each update has a cost of its own.

print("            multiplications per ...   time per ...")
print("batch size    update    epoch     update (µs)   epoch (ms)")
for size in sizes:
    cost = measure_cost(MiniBatchSGDRegressor(batch_size=size, learning_rate="constant", eta0=0.001), X, y, epochs=100)
    counts = f"{cost.multiplications_per_update:>10.0f}{cost.multiplications_per_epoch:>9.0f}"
    print(f"{size:>10}{counts}{1e6 * cost.seconds_per_update:>16.2f}{1e3 * cost.seconds_per_epoch:>13.2f}")

# %%
# With one constant rate for all batch sizes, and ten epochs, large batches make too few updates. Up to 16 samples per
# update the score is highest; with all samples in one batch it is far below.

fixed = MiniBatchSGDRegressor(learning_rate="constant", eta0=0.01, average=False, epochs=10, tol=None, random_state=0)
display = BatchSizeDisplay.from_estimator(fixed, X, y, batch_sizes=[*sizes, None], cv=5)
display.figure_.suptitle("constant rate: score, time and updates by batch size")
plt.show()

# %%
# With the automatic step the rate follows the batch size, and the score is the same for all of them. They differ in
# time.

model = MiniBatchSGDRegressor(random_state=0)
display = BatchSizeDisplay.from_estimator(model, X, y, batch_sizes=[*sizes, None], cv=5)
display.figure_.suptitle("automatic step: score, time and updates by batch size")
plt.show()
