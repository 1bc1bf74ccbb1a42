"""
What if a stream changes?
=========================

A model that learns from a stream changes less and less: its steps become smaller, and its statistics settle. That is
right while the samples come from one source. If the source changes, ``half_life`` lets the model forget: it is the
number of samples after which a sample counts half. Each sample is predicted before it is learned, so the losses of the
stream itself show which value is better.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import OnlineSGDRegressor

rng = np.random.default_rng(0)
N, CHUNK = 20_000, 50
Z = rng.normal(size=(N, 5))
X = Z * [1.0, 10.0, 0.1, 100.0, 1.0] + 20.0
direction = np.where(np.arange(N) < N // 2, 1.0, -1.0)
y = direction * (Z @ [1.0, -1.0, 0.5, 2.0, 0.5]) + rng.normal(size=N)

# %%
# After half of the stream all slopes change their sign. Three models learn from the same raw features, in chunks of
# 50. The noise alone has a loss of 0.5.

models = {
    "never forgets": OnlineSGDRegressor(),
    "half life 500": OnlineSGDRegressor(half_life=500),
    "half life 100": OnlineSGDRegressor(half_life=100),
}
recent = {name: [] for name in models}
for start in range(0, N, CHUNK):
    rows = slice(start, start + CHUNK)
    for name, model in models.items():
        recent[name].append(model.partial_fit(X[rows], y[rows]).recent_loss_)

print(f"{'':<22}before   2000 samples after   at the end   all samples")
for name, model in models.items():
    marks = [recent[name][row // CHUNK - 1] for row in (N // 2, N // 2 + 2000, N)]
    print(f"{name:<22}{marks[0]:6.2f}{marks[1]:21.2f}{marks[2]:13.2f}{model.prequential_loss_:14.2f}")

# %%
# Short half lives follow at once. While nothing changes they have a larger loss, because their parameters are
# estimated from fewer samples. The model that never forgets also learns in the end, because later samples count more
# in its average, but that takes as long as the stream was before. The curves show ``recent_loss_``, a mean over about
# the last thousand samples. ``prequential_loss_``, the mean over all samples, hides the change.

seen = np.arange(CHUNK, N + 1, CHUNK)
figure, ax = plt.subplots(layout="constrained")
for (name, losses), dashes in zip(recent.items(), ["-", "--", ":"], strict=True):
    ax.plot(seen, losses, dashes, color="black", label=name)
ax.axhline(0.5, color="0.7", zorder=0)
ax.text(200, 0.5, "noise", color="0.4", va="top")
ax.set(title="recent loss of three half lives")
ax.set(xlabel="samples seen", ylabel="recent loss before learning\n(half the squared error)", yscale="log")
ax.legend()
plt.show()
