"""
Predict a table larger than memory, how?
========================================

In batches, too: ``predict`` wants rows, and does not care how many. 400 000 rows lie on disk as a plain array, which is
mapped, not read; a model learns from parts of it with ``partial_fit`` and predicts the rest batch by batch, into
another file. How large should these batches be? Small ones spend their time in calls, and large ones need memory.
"""

import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import MiniBatchSGDRegressor

N, P = 400_000, 20

# %%
# The table, written in parts, as an array of float32: 32 MB here; nothing below, but for the check at the end,
# changes if it is a thousand times larger.

folder = tempfile.TemporaryDirectory()
rng = np.random.default_rng(0)
slopes = rng.standard_normal(P)
X = np.lib.format.open_memmap(Path(folder.name, "X.npy"), "w+", np.float32, (N, P))
y = np.lib.format.open_memmap(Path(folder.name, "y.npy"), "w+", np.float32, (N,))
for start in range(0, N, 50_000):
    part = slice(start, start + 50_000)
    X[part] = rng.standard_normal((50_000, P))
    y[part] = X[part] @ slopes + rng.standard_normal(50_000)
X, y = (np.load(Path(folder.name, name), mmap_mode="r") for name in ("X.npy", "y.npy"))
print(f"{N} rows of {P} columns: {X.nbytes / 1e6:.0f} MB on disk.")

# %%
# Learn from the first half in one pass, a part at a time.

model = MiniBatchSGDRegressor(batch_size=64)
for start in range(0, N // 2, 10_000):
    model.partial_fit(X[start : start + 10_000], y[start : start + 10_000])
print(
    f"{model.n_updates_} updates, mean loss of rows at first sight {model.prequential_loss_:.3f}; noise alone is 0.5."
)

# %%
# Predict the second half in batches of several sizes. Up to a thousand rows, ten times the rows are predicted in
# about the same time: that of the call. From ten thousand on there is little left to gain.

sizes = [10, 100, 1000, 10_000, 100_000]
predicted = np.lib.format.open_memmap(Path(folder.name, "predicted.npy"), "w+", np.float32, (N // 2,))
rates = []
print("\nrows in a batch   million rows a second   MB of rows at once")
for size in sizes:
    rows = min(N // 2, 2000 * size)  # of the smallest batches, some suffice
    start_time = time.perf_counter()
    for start in range(0, rows, size):
        predicted[start : start + size] = model.predict(X[N // 2 + start : N // 2 + start + size])
    rates.append(rows / (time.perf_counter() - start_time) / 1e6)
    print(f"{size:>15}{rates[-1]:>24.3f}{size * P * 4 / 1e6:>21.3f}")

figure, ax = plt.subplots(layout="constrained")
ax.plot(sizes, rates, "o-", color="black", mfc="white")
ax.set(xlabel="rows in a batch", ylabel="predictions (million rows per second)", xscale="log", yscale="log")
plt.show()

# %%
# The result is the same, whatever the size: a row's prediction depends on the row alone.

whole = model.predict(X[N // 2 :])
print(f"\nLargest difference from one call for all rows: {np.abs(whole - predicted).max():.1e}")
print(f"R² on rows not learned: {1 - np.mean((y[N // 2 :] - predicted) ** 2) / np.var(y[N // 2 :]):.4f}")
del X, y, predicted
folder.cleanup()
