"""
How to search the batch size?
=============================

The batch size is a parameter like any other, so scikit-learn's grid search finds it, in a pipeline too. There the name
of a parameter is that of its step, two underscores, and its own. With a constant rate the batch size and the rate
depend on each other, so one grid has both. With the automatic step there is a penalty to search instead.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import MiniBatchSGDRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Ten epochs at a constant rate. A rate that is too large for the noise of its batches, or too small to arrive in
# ten epochs, gives a ConvergenceWarning. In a grid such fits are expected, and the score shows them.

descent = MiniBatchSGDRegressor(learning_rate="constant", epochs=10, tol=None, random_state=0)
model = Pipeline([("scale", StandardScaler()), ("descent", descent)])
sizes, rates = [1, 4, 16, 64, 256], [0.001, 0.003, 0.01, 0.03, 0.1]
grid = {"descent__batch_size": sizes, "descent__eta0": rates}
with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
    textbook = GridSearchCV(model, grid).fit(X_train, y_train)
print(f"best of the grid: {textbook.best_params_}, mean R² {textbook.best_score_:.3f}")

# %%
# Good pairs lie on a diagonal: with larger batches, larger rates. At the upper left the rate is too large for the
# noise; at the lower right there are too few updates, and they are too short. The frame marks the best pair.

scores = textbook.cv_results_["mean_test_score"].reshape(len(sizes), len(rates)).T[::-1]
figure, ax = plt.subplots(layout="constrained")
ax.imshow(scores.clip(0), cmap="Blues", aspect="auto", vmin=0, vmax=1)
for (row, column), score in np.ndenumerate(scores):
    ax.text(column, row, f"{score:.2f}" if score > 0 else "< 0", ha="center", va="center")
row, column = np.unravel_index(scores.argmax(), scores.shape)
ax.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="#D55E00", lw=3))
ax.set_xticks(range(len(sizes)), sizes)
ax.set_yticks(range(len(rates)), rates[::-1])
ax.set(xlabel="batch size (samples)", ylabel="eta0, the constant rate", title="mean R² of 5 folds")
plt.show()

# %%
# The automatic step needs neither a rate nor a scaler. But a penalty needs the scaler, because it compares
# coefficients. The score depends on the penalty, and not on the batch size.

automatic = make_pipeline(StandardScaler(), MiniBatchSGDRegressor(penalty="l2", random_state=0))
step = "minibatchsgdregressor__"
grid = {f"{step}batch_size": [4, 32, 256], f"{step}alpha": [0.001, 0.01, 0.1, 1.0]}
search = GridSearchCV(automatic, grid).fit(X_train, y_train)
print("\nautomatic step: mean R² of 5 folds")
print("batch size " + "".join(f"{f'alpha={alpha}':>14}" for alpha in grid[f"{step}alpha"]))
means = dict(zip(map(str, search.cv_results_["params"]), search.cv_results_["mean_test_score"], strict=True))
for size in grid[f"{step}batch_size"]:
    at = [means[str({f"{step}alpha": alpha, f"{step}batch_size": size})] for alpha in grid[f"{step}alpha"]]
    print(f"{size:>10} " + "".join(f"{score:>14.4f}" for score in at))

# %%
# On the test samples:

ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 3, 9))).fit(X_train, y_train)
print("\ntest R²")
for name, model in {"constant, searched": textbook, "automatic, searched": search, "RidgeCV": ridge}.items():
    print(f"{name:<20}{model.score(X_test, y_test):>8.4f}")
