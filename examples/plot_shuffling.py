"""
Does the order of the samples matter?
=====================================

Tables often come sorted: by date, by place, by the target itself. A descent on batches of neighbours then learns one
end of the table and forgets the other. This page compares three values of ``shuffle`` on samples that are sorted by
their target: True (the samples in a new order in each epoch), 'batches' (only the batches in a new order) and False.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, LossCurveDisplay, MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import descent_path, objective

X, y = load_diabetes(return_X_y=True)
X = StandardScaler().fit_transform(X)
order = np.argsort(y)
X, y = X[order], y[order]

settings = {"samples (True)": True, "batches ('batches')": "batches", "nothing (False)": False}
textbook = {"batch_size": 16, "learning_rate": "constant", "eta0": 0.05, "average": False, "epochs": 30, "tol": None}
models = {
    name: MiniBatchSGDRegressor(shuffle=shuffle, random_state=0, **textbook) for name, shuffle in settings.items()
}

# %%
# The objective over all samples, after each update of the last three epochs. Without shuffling it swings with the
# position in the table: at the end of an epoch, the model has just learned the largest targets. Batches in a new
# order are in between. They read memory in order, which is faster for large tables.

lowest = objective(BatchGDRegressor(), X, y, descent_path(BatchGDRegressor(), X, y)[-1])
figure, ax = plt.subplots(layout="constrained")
for (name, model), dashes, color in zip(models.items(), ["-", "--", ":"], ["0", "#0072B2", "#D55E00"], strict=True):
    path = descent_path(model, X, y)
    values = objective(model, X, y, path)
    per_epoch = (len(path) - 1) // model.epochs
    ax.plot(np.arange(-3 * per_epoch, 0) / per_epoch, values[-3 * per_epoch :], dashes, color=color, label=name)
    print(f"shuffled: {name:<20} objective at the end {values[-1]:>7.1f}")
print(f"minimum of the objective: {lowest:>25.1f}")
ax.axhline(lowest, color="0.6", lw=0.8)
ax.set(title="objective in the last epochs")
ax.set(xlabel="epochs before the end", ylabel="objective over all samples (half the squared error)")
figure.legend(loc="outside lower center", ncols=3, frameon=False, title="what is shuffled")
plt.show()

# %%
# The loss curve of a fit does not show this. It takes the loss of each sample before its own update, and in a sorted
# table the batch before had almost the same targets. So the sorted table seems to be learned as well as the shuffled
# one.

display = LossCurveDisplay.from_estimator({name: model.fit(X, y) for name, model in models.items()})
display.ax_.set_title("mean loss of each epoch")
plt.show()

# %%
# The default (an automatic step, and a final step on all samples after one epoch) is not affected:

for name, shuffle in settings.items():
    model = MiniBatchSGDRegressor(batch_size=16, shuffle=shuffle, random_state=0).fit(X, y)
    print(f"defaults, shuffled: {name:<20} training R² {model.score(X, y):.4f} epochs: {model.n_iter_}")
