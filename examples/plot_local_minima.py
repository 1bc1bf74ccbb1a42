"""
Can a noisy descent leave a local minimum?
==========================================

The Cauchy loss hardly depends on samples that are far off, so its objective has a valley for each group of samples. The
exact gradient leads to the bottom of the valley in which a descent starts, and stays there. The gradient of a few
samples points there on average only. Now and then a batch pushes uphill, and with long enough steps over the ridge.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import objective, record_fit
from sklearn_sgd.losses import Cauchy
from sklearn_sgd.schedules import cosine

# A descent that ends in the worse valley warns: a constant, in the other valley, would be better.
warnings.simplefilter("ignore", ConvergenceWarning)

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (400, 1))
first = rng.random(400) < 0.65
y = np.where(first, 2 * X[:, 0] + 1, -6.0) + 0.3 * rng.standard_normal(400)
start = {"coef_init": [0.0], "intercept_init": -6.0}
common = {"loss": Cauchy(0.5), "epochs": 60, "tol": None, "average": False, "random_state": 0}

# %%
# Two thirds of the samples lie near a line, the others near -6. Both descents start at -6, with the same rate of 2.
# The full gradient stays. Single samples jump about in the first valley, leave it, and settle in the other as the
# rate falls.

full = BatchGDRegressor(learning_rate="constant", eta0=2.0, **common)
online = MiniBatchSGDRegressor(batch_size=1, learning_rate=cosine(2.0, updates=60 * 400), **common)
figure, ax = plt.subplots(layout="constrained")
ax.scatter(X[:, 0], y, s=6, color="0.7", label="samples")
line = np.array([[-1.0], [1.0]])
for model, color, dashes, name in ((full, "#0072B2", "--", "full batch"), (online, "#D55E00", "-", "single samples")):
    model.fit(X, y, **start)
    end = np.append(model.coef_, model.intercept_)
    print(f"{name:<15} slope {end[0]:5.2f}  intercept {end[1]:5.2f}  objective {objective(model, X, y, end):.3f}")
    ax.plot(line[:, 0], model.predict(line), dashes, color=color, lw=2.5, label=name)
ax.set(xlabel="x", ylabel="y", title="where the two descents end")
ax.legend(loc="center right")
plt.show()

# %%
# The path over the valleys. The line is the objective along the intercept, for the slope 0. The dots are the descent
# on single samples, every 60th update, from the first (dark) to the last (light). They lie below the line where the
# slope is better than 0. A step moves the intercept by at most half the rate times the width of the loss, by 0.5
# here, so that it takes several samples of the other group, soon after one another, to cross the ridge.

path = record_fit(online, X, y, **start).path[::60]
levels = np.linspace(-8, 4, 200)
figure, ax = plt.subplots(layout="constrained")
ax.plot(
    levels, objective(full, X, y, np.column_stack([np.zeros(200), levels])), color="black", label="objective, slope 0"
)
time = np.linspace(0, 60, len(path))
dots = ax.scatter(path[:, 1], objective(full, X, y, path), c=time, s=10, zorder=3, label="single samples")
ax.plot(-6.0, objective(full, X, y, [0.0, -6.0]), "o", color="black", mfc="white", ms=9, zorder=4, label="start")
ax.set(xlabel="intercept", ylabel="objective (units of the loss)", title="from one valley to the other")
ax.legend(loc="lower left")
figure.colorbar(dots, label="epoch")
plt.show()

# %%
# Which batches leave the valley? The share of descents, from ten seeds, that end in the better valley. The noise of a
# batch falls with the square root of its size. A larger rate makes up for that, until it is too large to settle
# anywhere.

sizes = [1, 2, 4, 8, 16, 400]
figure, ax = plt.subplots(layout="constrained")
for rate, style in {1.0: "s:", 2.0: "o-", 4.0: "^--"}.items():
    shares = []
    for size in sizes:
        schedule = cosine(rate, updates=60 * -(-400 // size))
        model = MiniBatchSGDRegressor(batch_size=size, **common | {"learning_rate": schedule})
        ends = [model.set_params(random_state=seed).fit(X, y, **start).intercept_ for seed in range(10)]
        shares.append(np.mean(np.array(ends) > -2.0))
    ax.plot(sizes, shares, style, color="black", mfc="white", label=f"rate {rate:g}")
    print(f"rate {rate:g}: share that leaves, by batch size:", dict(zip(sizes, map(float, shares), strict=True)))
ax.set(title="small batches leave the wrong valley")
ax.set(xlabel="batch size (samples)", ylabel="share of descents that leave", xscale="log", ylim=(-0.05, 1.05))
ax.set_xticks(sizes, sizes)
ax.set_xticks([], minor=True)
ax.legend()
plt.show()
