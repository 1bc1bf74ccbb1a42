"""
Can a noisy descent leave a local minimum?
==========================================

Cauchy's loss hardly looks at rows that are far off, so its objective has a valley for each group of rows. The exact
gradient leads to the bottom of the valley in which a descent starts, and no further. The gradient of a few rows points
there on average only: now and then a batch pushes up the slope, and with steps that are long enough over the ridge.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import objective
from sklearn_sgd.losses import Cauchy
from sklearn_sgd.schedules import cosine

# Where a descent ends in the worse valley it says that a constant, in the other one, would do better.
warnings.simplefilter("ignore", ConvergenceWarning)

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (400, 1))
first = rng.random(400) < 0.65
y = np.where(first, 2 * X[:, 0] + 1, -6.0) + 0.3 * rng.standard_normal(400)
start = {"coef_init": [0.0], "intercept_init": -6.0}
common = {"loss": Cauchy(0.5), "epochs": 60, "tol": None, "average": False, "random_state": 0}

# %%
# Two thirds of the rows lie about a line, the others about -6, where both descents start, with the same rate of 2. The
# full batch stays. Single rows jump about in the first valley, leave it, and settle in the other as the rate falls.
#
# At the right the ridge between the valleys, along the intercept, with the slope 0. A step moves the intercept by half
# the rate times the loss's scale at most: by 0.5 here, so that it takes several rows of the other group, soon one after
# another.

full = BatchGDRegressor(learning_rate="constant", eta0=2.0, **common)
online = MiniBatchSGDRegressor(batch_size=1, learning_rate=cosine(2.0, updates=60 * 400), **common)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
axes[0].scatter(X[:, 0], y, s=6, color="0.7", label="rows")
line = np.array([[-1.0], [1.0]])
for model, color, dashes, name in ((full, "#0072B2", "--", "full batch"), (online, "#D55E00", "-", "single rows")):
    model.fit(X, y, **start)
    end = np.append(model.coef_, model.intercept_)
    print(f"{name:<12} slope {end[0]:5.2f}  intercept {end[1]:5.2f}  objective {objective(model, X, y, end):.3f}")
    axes[0].plot(line[:, 0], model.predict(line), dashes, color=color, lw=2.5, label=name)
axes[0].set(xlabel="x", ylabel="y", title="where they end", xticks=[-1, 0, 1])
axes[0].legend(loc="center right")

levels = np.linspace(-8, 4, 200)
height = objective(full, X, y, np.column_stack([np.zeros(200), levels]))
axes[1].plot(height, levels, color="black")
axes[1].set(xlabel="objective (units of the loss)", ylabel="intercept", title="two valleys")
plt.show()

# %%
# How large may a batch be to get out? From ten seeds, the share of descents that end in the better valley. The noise of
# a batch falls as the root of its size; a longer step makes up for it, until it is too long to settle anywhere.

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
    print(f"rate {rate:g}: left by", dict(zip(sizes, map(float, shares), strict=True)))
ax.set(xlabel="rows in a batch", ylabel="share of descents that leave", xscale="log", ylim=(-0.05, 1.05))
ax.legend()
plt.show()
