"""
Three descents on real data
===========================

What do gradient descent on all rows, on batches of rows, and on one row at a time make of the same data? Fits the
three in a pipeline, with the textbook's rates and with the automatic ones, searches the batch size, feeds a stream, and
compares with scikit-learn's own regressors. The data, 442 patients with ten measurements and the progress of their
diabetes after a year, ships with scikit-learn.

Run ``python examples/quickstart.py [picture.png]``.
"""

import sys
import time

import matplotlib.pyplot as plt
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

table = []


def record(name, y_predicted, updates, seconds):
    table.append(f"{name:<38}{r2_score(y_test, y_predicted):>9.3f}{updates:>9}{seconds:>9.4f}")


# %%
# The three descents, by the textbook: a long, constant rate for the exact gradient, shorter and falling ones for noisy
# gradients; and by default, with nothing to choose. Each is fitted twice, since the first fit of a kind compiles.

X, y = load_diabetes(return_X_y=True, scaled=False)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
print(f"Diabetes data: {len(X_train)} rows to learn from, {len(X_test)} to test on, {X.shape[1]} columns.")

textbook = {
    "BatchGD, constant": BatchGDRegressor(learning_rate="constant", eta0=0.2),
    "MiniBatchSGD, invscaling": MiniBatchSGDRegressor(learning_rate="invscaling", eta0=0.05, random_state=0),
    "OnlineSGD, invscaling": OnlineSGDRegressor(learning_rate="invscaling", eta0=0.01, random_state=0),
}
others = {
    "BatchGD, auto": BatchGDRegressor(),
    "MiniBatchSGD, auto": MiniBatchSGDRegressor(random_state=0),
    "OnlineSGD, auto": OnlineSGDRegressor(random_state=0),
    "SGDRegressor": SGDRegressor(random_state=0),
    "LinearRegression": LinearRegression(),
}
for name, model in {**textbook, **others}.items():
    print(f"Fitting {name}, behind a StandardScaler ...", end=" ", flush=True)
    pipeline = make_pipeline(StandardScaler(), model)
    start = time.perf_counter()
    clone(pipeline).fit(X_train, y_train)
    middle = time.perf_counter()
    pipeline.fit(X_train, y_train)
    stop = time.perf_counter()
    print(f"first fit {middle - start:.3f} s, second {stop - middle:.3f} s.")
    updates = getattr(model, "n_updates_", None) or (int(model.t_) - 1 if hasattr(model, "t_") else "-")
    record(name, pipeline.predict(X_test), updates, stop - middle)

# %%
# Which batch size is best here? It is a parameter like others. With automatic rates it matters little.

sizes = [1, 8, 32, 128, None]
print(f"Searching the batch size among {sizes}, by 5-fold cross-validation ...")
search = GridSearchCV(MiniBatchSGDRegressor(random_state=0), {"batch_size": sizes}).fit(X_train, y_train)
for size, score in zip(sizes, search.cv_results_["mean_test_score"], strict=True):
    print(f"    batch_size={size!s:<5} mean R² {score:.4f}")
name, updates = f"best of the search, batch_size={search.best_estimator_.batch_size}", search.best_estimator_.n_updates_
record(name, search.predict(X_test), updates, search.refit_time_)

# %%
# The same rows as a stream: they come 50 at a time; each is predicted, learned, and forgotten.

print("Feeding a stream by partial_fit, 50 rows at a time ...")
start, stream = time.perf_counter(), OnlineSGDRegressor()
for first in range(0, len(X_train), 50):
    stream.partial_fit(X_train[first : first + 50], y_train[first : first + 50])
    print(f"    {stream.n_samples_seen_:>3} rows: mean loss of rows at first sight {stream.prequential_loss_:.0f}")
record("OnlineSGD, auto, stream in one pass", stream.predict(X_test), stream.n_updates_, time.perf_counter() - start)
print(f"\n{'':<38}{'test R²':>9}{'updates':>9}{'seconds':>9}", *table, sep="\n")

# %%
# The loss curves of the textbook's three: per epoch, what a pass over the data buys; per update, what a step buys.
figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for (name, model), dashes in zip(textbook.items(), [".-", "s--", "^:"], strict=True):
    epochs = range(1, model.n_iter_ + 1)
    axes[0].plot(epochs, model.loss_curve_, dashes, ms=4, label=name)
    axes[1].plot([epoch * model.n_updates_ / model.n_iter_ for epoch in epochs], model.loss_curve_, dashes, ms=4)
axes[0].set(xlabel="epochs (passes over the data)", ylabel="mean loss (half the squared error)", yscale="log")
axes[1].set(xlabel="updates (steps taken)", xscale="log")
axes[0].legend()
path = sys.argv[1] if len(sys.argv) > 1 else "three_descents.png"
figure.savefig(path, dpi=100)
print(f"\nSaved the three loss curves as {path}.")
