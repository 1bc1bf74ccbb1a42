"""
What if a stream changes on the way?
====================================

A model that goes on learning trusts what it knows more and more: its steps fall, and its statistics settle. That is
right while the rows come from one source. When the source changes, old knowledge is in the way, and ``half_life`` says
how fast to let it go. Each row is tested before it is learned, so the losses of the stream itself tell which is better.
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
# Half way all slopes turn round. Three models see the same raw columns, in calls of 50; noise alone costs 0.5.

models = {
    "never forgets": OnlineSGDRegressor(),
    "half life 500 rows": OnlineSGDRegressor(half_life=500),
    "half life 100 rows": OnlineSGDRegressor(half_life=100),
}
recent = {name: [] for name in models}
for start in range(0, N, CHUNK):
    rows = slice(start, start + CHUNK)
    for name, model in models.items():
        recent[name].append(model.partial_fit(X[rows], y[rows]).recent_loss_)

print(f"{'':<22}before   after, 2000 rows   at the end   all rows")
for name, model in models.items():
    marks = [recent[name][row // CHUNK - 1] for row in (N // 2, N // 2 + 2000, N)]
    print(f"{name:<22}{marks[0]:6.2f}{marks[1]:19.2f}{marks[2]:13.2f}{model.prequential_loss_:11.2f}")

# %%
# Short half lives follow at once, and pay for it while nothing changes: their parameters come from fewer rows. Even
# the first model learns in the end, since later rows count more in its average, but it takes as long again as it had
# lived. ``recent_loss_`` is a mean over about the last thousand rows; ``prequential_loss_``, over all, hides the
# change.

seen = np.arange(CHUNK, N + 1, CHUNK)
figure, ax = plt.subplots(layout="constrained")
for (name, losses), dashes in zip(recent.items(), ["-", "--", ":"], strict=True):
    ax.plot(seen, losses, dashes, color="black", label=name)
ax.axhline(0.5, color="0.7", zorder=0)
ax.text(200, 0.5, "noise", color="0.4", va="top")
ax.set(xlabel="rows seen", ylabel="loss of the last rows at first sight\n(half the squared error)", yscale="log")
ax.legend()
plt.show()
