"""
Three descents on real data
===========================

What do gradient descent on all samples, on batches of samples, and on one sample at a time make of the same data? This
example fits all three with the same learning rate, searches the batch size, lets the automatic step choose the rate,
learns from a stream, and compares with scikit-learn's own regressors. The data are 442 patients with ten measurements
and the progress of their diabetes after a year. They ship with scikit-learn.

Run ``python examples/quickstart.py [picture.png]``.
"""

import sys
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, LossCurveDisplay, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.diagnostics import objective, record_fit

X, y = load_diabetes(return_X_y=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
print(f"Diabetes data: {len(X_train)} training samples, {len(X_test)} test samples, {X.shape[1]} features.")

HEADER = f"{'model':<24}{'learning rate':<16}{'batch size':>10}{'updates':>9}{'test R²':>9}{'seconds':>9}"
table = []


def fit_and_record(name, rate, model):
    """Fit behind a StandardScaler, and add a line to the table. The first fit, which compiles, is not timed."""
    pipeline = make_pipeline(StandardScaler(), model)
    clone(pipeline).fit(X_train, y_train)
    start = time.perf_counter()
    pipeline.fit(X_train, y_train)
    seconds = time.perf_counter() - start
    updates = getattr(model, "n_updates_", None) or (int(model.t_) - 1 if hasattr(model, "t_") else "-")
    size = getattr(model, "batch_size_", 1 if hasattr(model, "t_") else "-")
    table.append(f"{name:<24}{rate:<16}{size:>10}{updates:>9}{pipeline.score(X_test, y_test):>9.3f}{seconds:>9.4f}")


# %%
# Textbook gradient descent: the same constant rate and ten epochs for each of the three batch sizes. The full
# gradient makes only ten updates in that time, and ends worse than a constant. (Its ConvergenceWarning is turned off.)

warnings.simplefilter("ignore", ConvergenceWarning)
textbook = {"learning_rate": "constant", "eta0": 0.05, "epochs": 10, "tol": None}
descents = {
    "BatchGDRegressor": BatchGDRegressor(**textbook),
    "MiniBatchSGDRegressor": MiniBatchSGDRegressor(random_state=0, **textbook),
    "OnlineSGDRegressor": OnlineSGDRegressor(random_state=0, **textbook),
}
for name, model in descents.items():
    fit_and_record(name, "constant 0.05", model)

# %%
# Which batch size is best at this rate? The batch size is a parameter like any other, so a grid search finds it.

sizes = [1, 8, 32, 128, None]
print("\nGrid search over the batch size: constant rate 0.05, 10 epochs, mean R² of 5-fold cross-validation")
pipeline = make_pipeline(StandardScaler(), MiniBatchSGDRegressor(random_state=0, **textbook))
search = GridSearchCV(pipeline, {"minibatchsgdregressor__batch_size": sizes}).fit(X_train, y_train)
for size, score in zip(sizes, search.cv_results_["mean_test_score"], strict=True):
    best = "  <- best" if score == search.best_score_ else ""
    print(f"    batch_size={size if size else 'None (all samples)':<19}{score:>7.3f}{best}")

# %%
# With ``learning_rate="auto"``, the default, there is no rate to choose, and every batch size reaches least squares.

for kind in (BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor):
    fit_and_record(kind.__name__, "auto (default)", kind(random_state=0))
fit_and_record("SGDRegressor", "its default", SGDRegressor(random_state=0))
fit_and_record("LinearRegression", "-", LinearRegression())

# %%
# A stream: 50 samples at a time. Each sample is predicted before it is learned, and is not stored.

print("\nStream by partial_fit, 50 samples at a time")
stream = OnlineSGDRegressor()
for first in range(0, len(X_train), 50):
    stream.partial_fit(X_train[first : first + 50], y_train[first : first + 50])
    print(f"    {stream.n_samples_seen_:>3} samples: mean loss before they were learned {stream.prequential_loss_:.0f}")

print(f"\n{HEADER}", *table, sep="\n")
print(
    "'auto' is not plain gradient descent: its steps are preconditioned, and it ends with steps on all samples.\n"
    "So BatchGDRegressor needs two updates to reach the minimum here. To study descent use 'constant'."
)

# %%
# The picture: the same start, rate and number of epochs; only the batch size differs. Left: the loss on all training
# samples after each update. Right: the loss of each batch before its update (pale), which is noisy for batches of 32,
# and its mean over the last epoch's updates (bold), which falls.

X_scaled = StandardScaler().fit_transform(X_train)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), layout="constrained")
for number, (name, model) in enumerate(descents.items()):
    path = record_fit(model, X_scaled, y_train).path
    epochs = np.arange(len(path)) * model.n_iter_ / model.n_updates_
    color, dashes, width = [("black", "-", 1.8), ("#0072B2", "--", 1.8), ("#D55E00", "-", 0.8)][number]
    losses, label = objective(model, X_scaled, y_train, path), f"{name} ({model.batch_size_})"
    axes[0].plot(epochs, losses, dashes, color=color, lw=width, label=label)
axes[0].set(xlabel="epochs (passes over the samples)", ylabel="loss (half the squared error)", yscale="log")
axes[0].set_title("loss on all samples, after each update")
axes[0].legend(title="batch size in parentheses", fontsize="small")
two = {name: descents[name] for name in ("BatchGDRegressor", "MiniBatchSGDRegressor")}
LossCurveDisplay.from_estimator(two, X_scaled, y_train, per="update", ax=axes[1])
axes[1].set(title="loss of each batch (pale), and its running mean", ylabel="", ylim=axes[0].get_ylim())
axes[1].get_legend().remove()
path = next((argument for argument in sys.argv[1:] if argument.endswith(".png")), "three_descents.png")
figure.savefig(path, dpi=100)
print(f"\nSaved the loss curves as {path}.")
