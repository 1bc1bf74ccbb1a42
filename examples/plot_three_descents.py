"""
Where do the three descents go?
===============================

Gradient descent on all rows walks straight downhill; on batches of rows it staggers; on one row at a time it reels. All
three arrive, and they pay for it differently. The data are nine students: the hours that they studied, and their marks.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import BatchGDRegressor, DescentPathDisplay, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.diagnostics import descent_path, objective

# %%
# Hours are counted from their mean, in standard deviations: so the objective is as steep along one parameter as along
# the other, and one rate suits both. (With ``learning_rate="auto"``, the default, that is not needed.)

hours = np.array([2, 5, 7, 9, 10, 11, 13.4, 14, 15])
marks = np.array([1, 3.2, 4.5, 6, 4, 4.5, 5.5, 3, 5])
X = ((hours - hours.mean()) / hours.std())[:, None]

constant = {"learning_rate": "constant", "average": False, "random_state": 0}
models = {
    "batch: all 9 rows": BatchGDRegressor(eta0=0.3, **constant),
    "mini-batch: 3 rows": MiniBatchSGDRegressor(batch_size=3, eta0=0.3, **constant),
    "online: 1 row": OnlineSGDRegressor(eta0=0.3, **constant),
}

# %%
# Eight epochs each, that is eight passes over the students: 8, 24 and 72 updates.

DescentPathDisplay.from_estimator(models, X, marks, epochs=8)
plt.show()

# %%
# At a constant rate the noise never ends: a single student pulls the line towards his own mark. A rate that falls calms
# the descent; so does the mean of all the parameters on the way.

online = {
    "constant rate": OnlineSGDRegressor(eta0=0.3, **constant),
    "falling rate": OnlineSGDRegressor(
        learning_rate="invscaling", eta0=0.3, power_t=0.5, average=False, random_state=0
    ),
    "constant rate, averaged": OnlineSGDRegressor(eta0=0.3, **constant | {"average": True}),
}
DescentPathDisplay.from_estimator(online, X, marks, epochs=8)
plt.show()

# %%
# The same in numbers: how far above the lowest point of the objective each ends, after eight epochs.

best = np.append(X[:, 0] @ marks / (X[:, 0] @ X[:, 0]), marks.mean())
lowest = objective(BatchGDRegressor(), X, marks, best)
print(f"{'':<26}{'updates':>8}{'objective':>11}{'above the lowest':>18}")
for name, model in {**models, **online}.items():
    path = descent_path(model, X, marks, epochs=8)
    value = objective(model, X, marks, path[-1])
    print(f"{name:<26}{len(path) - 1:>8}{value:>11.4f}{value - lowest:>18.5f}")
