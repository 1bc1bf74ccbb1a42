"""
How to learn from data on disk?
===============================

A table that does not fit in memory is read in blocks, and the model learns from them by ``partial_fit``. ``fit_stream``
does this: it reads the blocks in random order, reads the next block while the model learns from the last one, and
writes checkpoints.
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
print(f"{N} samples of {P} features of very different sizes: {X.nbytes / 1e6:.0f} MB on disk.")

# %%
# The files are mapped, not read. A source cuts them into blocks. After each block a function gets the progress.

source = ArraySource(X, y, chunk_rows=10_000)
rows, recent = [], []


def note(progress):
    rows.append(progress.n_rows)
    recent.append(progress.recent_loss)


checkpoint = Path(folder.name, "model.checkpoint")
model = fit_stream(
    MiniBatchSGDRegressor(), source, max_rows=N // 2, progress=note, checkpoint=checkpoint, random_state=0
)
print(f"Half a pass: recent loss before learning {model.recent_loss_:.4f} (noise: 0.5).")

# %%
# Suppose that the machine is switched off here. The same call, with a larger limit, continues from the checkpoint
# with the remaining blocks, in the same order. The result has the same bits as a pass without interruption.

print(f"The checkpoint is at row {load_checkpoint(checkpoint).n_rows}.")
resumed = fit_stream(MiniBatchSGDRegressor(), source, progress=note, checkpoint=checkpoint, random_state=0)
whole = fit_stream(MiniBatchSGDRegressor(), source, random_state=0)
print("The same bits as without interruption:", np.array_equal(resumed.coef_, whole.coef_))

# %%
# One pass over the data is close to least squares on all samples.

exact = BatchGDRegressor().fit(X, y)
error = np.abs(resumed.coef_ - exact.coef_) * 10.0 ** np.linspace(-2, 2, P)
print(f"Largest difference of a scaled slope: {error.max():.4f} (standard error of a slope: {1 / np.sqrt(N):.4f}).")
figure, ax = plt.subplots(layout="constrained")
ax.plot(rows, recent, color="black")
ax.axvline(N // 2, color="0.6", ls="--")
ax.text(N // 2, max(recent), " resumed", va="top", color="0.3")
ax.axhline(0.5, color="0.7", zorder=0)
ax.set(xlabel="samples read", ylabel="recent loss before learning\n(half the squared error)", title="loss of a stream")
plt.show()
del X, y, source
folder.cleanup()
