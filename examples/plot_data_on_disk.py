"""
How to learn from data that stay on disk?
=========================================

A table that does not fit in memory is read in blocks, and a model that learns by ``partial_fit`` does not mind.
``fit_stream`` does the rest: blocks in random order, the next one read while this one is learned, and checkpoints.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.streaming import ArraySource, fit_stream, load_checkpoint

N, P = 300_000, 20
folder = tempfile.TemporaryDirectory()
rng = np.random.default_rng(0)
slopes = rng.standard_normal(P)
X = np.lib.format.open_memmap(Path(folder.name, "X.npy"), "w+", np.float32, (N, P))
y = np.lib.format.open_memmap(Path(folder.name, "y.npy"), "w+", np.float32, (N,))
for start in range(0, N, 50_000):
    part = slice(start, start + 50_000)
    X[part] = rng.standard_normal((50_000, P)) * 10.0 ** np.linspace(-2, 2, P)
    y[part] = X[part] / 10.0 ** np.linspace(-2, 2, P) @ slopes + rng.standard_normal(50_000)
X, y = (np.load(Path(folder.name, name), mmap_mode="r") for name in ("X.npy", "y.npy"))
print(f"{N} rows of {P} columns of all sizes: {X.nbytes / 1e6:.0f} MB on disk, here; the code is that for terabytes.")

# %%
# The files are mapped, not read. A source cuts them into blocks; after each block a function is told how it goes.

source = ArraySource(X, y, chunk_rows=10_000)
rows, recent = [], []


def note(progress):
    rows.append(progress.n_rows)
    recent.append(progress.recent_loss)


checkpoint = Path(folder.name, "model.checkpoint")
model = fit_stream(
    MiniBatchSGDRegressor(), source, max_rows=N // 2, progress=note, checkpoint=checkpoint, random_state=0
)
print(f"Half a pass: loss of the last rows at first sight {model.recent_loss_:.4f}; noise alone is 0.5.")

# %%
# The machine goes off at night. In the morning the same call, with more rows to go, starts from the checkpoint: the
# blocks that are left, in the order in which they would have come, give the same bits as a pass in one go.

print(f"The checkpoint stands at row {load_checkpoint(checkpoint).n_rows}.")
resumed = fit_stream(MiniBatchSGDRegressor(), source, progress=note, checkpoint=checkpoint, random_state=0)
whole = fit_stream(MiniBatchSGDRegressor(), source, random_state=0)
print("The same bits as in one go:", np.array_equal(resumed.coef_, whole.coef_))

# %%
# One pass over the disk comes close to what all rows at once would say.

exact = BatchGDRegressor().fit(X, y)
error = np.abs(resumed.coef_ - exact.coef_) * 10.0 ** np.linspace(-2, 2, P)
print(f"Largest error of a slope, in units of its column: {error.max():.4f}; sampling alone {1 / np.sqrt(N):.4f}.")
figure, ax = plt.subplots(layout="constrained")
ax.plot(rows, recent, color="black")
ax.axvline(N // 2, color="0.6", ls="--")
ax.text(N // 2, max(recent), " resumed", va="top", color="0.3")
ax.axhline(0.5, color="0.7", zorder=0)
ax.set(xlabel="rows read", ylabel="loss of the last rows at first sight\n(half the squared error)")
plt.show()
del X, y, source
folder.cleanup()
