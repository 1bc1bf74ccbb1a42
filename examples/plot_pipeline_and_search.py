"""
How to search the batch size?
=============================

It is a parameter like others, so scikit-learn's grid search finds it, in a pipeline too: the name of a parameter is
then that of its step, two underscores, and its own. With the textbook's steps batch size and rate belong together, so
one grid has both. With the automatic ones there is a penalty to search instead.
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
# The textbook's steps, ten epochs at a constant rate. A fit that is thrown about by a rate too long for its batches,
# or does not arrive by one too short, warns; in a grid that is expected, and the score says it.

descent = MiniBatchSGDRegressor(learning_rate="constant", epochs=10, tol=None, random_state=0)
model = Pipeline([("scale", StandardScaler()), ("descent", descent)])
sizes, rates = [1, 4, 16, 64, 256], [0.001, 0.003, 0.01, 0.03, 0.1]
grid = {"descent__batch_size": sizes, "descent__eta0": rates}
with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
    textbook = GridSearchCV(model, grid).fit(X_train, y_train)
print(f"best of the grid: {textbook.best_params_}")

# %%
# Good pairs lie on a diagonal: with larger batches, longer rates. At the upper left steps are too long for their
# noise; at the lower right they are too few, and too short, to arrive in ten epochs.

scores = textbook.cv_results_["mean_test_score"].reshape(len(sizes), len(rates)).T[::-1]
figure, ax = plt.subplots(layout="constrained")
image = ax.imshow(scores.clip(0), cmap="Greys", aspect="auto", vmin=0)
for (row, column), score in np.ndenumerate(scores):
    text = f"{score:.2f}" if score > 0 else "< 0"
    ax.text(column, row, text, ha="center", va="center", color="white" if score > 0.35 else "black")
ax.set_xticks(range(len(sizes)), sizes)
ax.set_yticks(range(len(rates)), rates[::-1])
ax.set(xlabel="batch_size (rows)", ylabel="eta0, the constant rate")
figure.colorbar(image, label="mean R² of 5 folds; 0 stands for all below")
plt.show()

# %%
# The automatic step takes its rate from the batch size, and needs no scaler. A penalty wants one, though, as it
# compares coefficients.

automatic = make_pipeline(StandardScaler(), MiniBatchSGDRegressor(penalty="l2", random_state=0))
step = "minibatchsgdregressor__"
grid = {f"{step}batch_size": [4, 32, 256], f"{step}alpha": [0.001, 0.01, 0.1, 1.0]}
search = GridSearchCV(automatic, grid).fit(X_train, y_train)
print("automatic: mean R² of 5 folds for each")
print("batch size " + "".join(f"{f'alpha={alpha}':>14}" for alpha in grid[f"{step}alpha"]))
means = dict(zip(map(str, search.cv_results_["params"]), search.cv_results_["mean_test_score"], strict=True))
for size in grid[f"{step}batch_size"]:
    at = [means[str({f"{step}alpha": alpha, f"{step}batch_size": size})] for alpha in grid[f"{step}alpha"]]
    print(f"{size:>10} " + "".join(f"{score:>14.4f}" for score in at))

# %%
# On the rows kept apart:

ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 3, 9))).fit(X_train, y_train)
print("R² on the test rows:")
for name, model in {"textbook, searched": textbook, "automatic, searched": search, "RidgeCV": ridge}.items():
    print(f"{name:<20}{model.score(X_test, y_test):>8.4f}")
