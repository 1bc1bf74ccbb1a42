"""
How to predict a table larger than memory?
==========================================

In batches: ``predict`` takes any number of samples. Here 400 000 samples lie on disk as a plain array, which is mapped,
not read. A model learns from parts of it with ``partial_fit`` and predicts the rest batch by batch, into another file.
How large should these batches be? Small ones spend their time in calls, large ones need memory.
"""

import tempfile
import time
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import MiniBatchSGDRegressor

N, P = 400_000, 20

# %%
# The table is written in parts, as an array of float32. It has 32 MB here. If it were a thousand times larger,
# nothing below would change but the check at the end.

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
print(f"{N} samples of {P} features: {X.nbytes / 1e6:.0f} MB on disk.")

# %%
# Learn from the first half in one pass, a part at a time.

model = MiniBatchSGDRegressor(batch_size=64)
for start in range(0, N // 2, 10_000):
    model.partial_fit(X[start : start + 10_000], y[start : start + 10_000])
print(f"{model.n_updates_} updates, mean loss before samples were learned {model.prequential_loss_:.3f} (noise: 0.5)")

# %%
# Predict the second half in batches of several sizes: the rate of predictions, and the memory that a batch needs
# beside the files.

sizes, rest = [10, 100, 1000, 10_000, 100_000], X[N // 2 :]
predicted = np.lib.format.open_memmap(Path(folder.name, "predicted.npy"), "w+", np.float32, (N // 2,))


def predict_in_batches(X, predicted, size):
    for start in range(0, len(X), size):
        batch = np.array(X[start : start + size])  # read from disk
        predicted[start : start + size] = model.predict(batch)


rates, memory = [], []
print("\nbatch size   million predictions per second   MB of memory")
for size in sizes:
    samples = min(N // 2, 2000 * size)  # of the smallest batches, some suffice
    begin = time.perf_counter()
    predict_in_batches(rest[:samples], predicted, size)
    rates.append(samples / (time.perf_counter() - begin) / 1e6)
    tracemalloc.start()
    predict_in_batches(rest[: 2 * size], predicted, size)
    memory.append(tracemalloc.get_traced_memory()[1] / 1e6)
    tracemalloc.stop()
    print(f"{size:>10}{rates[-1]:>33.3f}{memory[-1]:>15.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
left.plot(sizes, rates, "o-", color="black", mfc="white")
left.set(ylabel="predictions (million samples per second)", title="speed")
right.plot(sizes, memory, "s-", color="#0072B2", mfc="white")
right.set(ylabel="memory of a batch (MB)", title="memory")
for ax in (left, right):
    ax.set(xlabel="batch size (samples)", xscale="log", yscale="log")
plt.show()

# %%
# Up to a thousand samples, the time of a batch is that of the call, and does not depend on its size. Batches of more
# than some thousand samples bring nothing more, while the memory grows with the size. The result is the same for each
# size, because a prediction depends on its own sample only:

for size in (1000, 100_000):
    predict_in_batches(rest, predicted, size)
    difference = np.abs(model.predict(rest) - predicted).max()
    print(f"batches of {size}: largest difference from one call {difference:.1e}")
print(f"R² on samples that were not learned: {1 - np.mean((y[N // 2 :] - predicted) ** 2) / np.var(y[N // 2 :]):.4f}")
del X, y, rest, predicted
folder.cleanup()
