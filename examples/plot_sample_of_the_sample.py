"""
Why is a part of the samples enough?
====================================

A table is itself a random part of all observations that there could have been. So its exact gradient is an estimate of
the gradient of the population. A batch is a sample of that sample. It is less exact, but the gradient over all samples
is not exact either; and most batches point in the same direction.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import BatchGDRegressor

# %%
# The population is known here: y = 2 x + noise, with x of variance 1. At w = 0, before the first step, the slope of
# the objective along w is -2 in the population.

rng = np.random.default_rng(0)
N, TIMES = 1000, 2000


def draw(n):
    """Return n observations from the population."""
    x = rng.standard_normal(n)
    return x[:, None], 2 * x + rng.standard_normal(n)


def first_gradient(X, y):
    """Return the slope along w: minus the first step from zero with the rate 1."""
    model = BatchGDRegressor(learning_rate="constant", eta0=1.0)
    return -model.partial_fit(X, y).coef_[0]


X, y = draw(N)
exact = first_gradient(X, y)
print(f"Slope along w: -2 in the population, {exact:.3f} on the {N} observations of the table.")

# %%
# Other tables of the same size from the population, and batches of the one table that we have.


def draw_again(size):
    """Return a batch of the table."""
    rows = rng.choice(N, size, replace=False)
    return X[rows], y[rows]


samples = np.array([first_gradient(*draw(N)) for _ in range(400)])
batches = {size: np.array([first_gradient(*draw_again(size)) for _ in range(TIMES)]) for size in (1, 10, 100)}
print(f"\n{'gradient on':<24}{'mean':>7}{'spread':>9}{'times sqrt(B)':>15}{'points downhill':>17}")
drawn = {f"batches of {size}": (size, slopes) for size, slopes in batches.items()}
for name, (size, slopes) in {f"other tables of {N}": (N, samples), **drawn}.items():
    downhill, scaled = np.mean(slopes < 0), slopes.std() * np.sqrt(size)
    print(f"{name:<24}{slopes.mean():>7.3f}{slopes.std():>9.3f}{scaled:>15.2f}{downhill:>17.1%}")

# %%
# The means agree: the gradient of a batch is right on average. Its spread falls with the square root of B. Batches
# of ten cost a hundredth of an exact step, and nearly all of them point downhill. A single observation mostly has the
# right sign, and hardly ever the right size. Short steps average over many of them.

figure, axes = plt.subplots(3, 1, figsize=(6.4, 5.4), sharex=True, layout="constrained")
bins = np.linspace(-8, 2, 101)
for ax, (size, slopes) in zip(axes, batches.items(), strict=True):
    ax.hist(slopes, bins, density=True, color="0.75")
    ax.axvline(0, color="0.5", lw=0.8)
    ax.axvline(exact, color="#0072B2", lw=2, label=f"on all {N} observations")
    ax.axvline(-2, color="#D55E00", ls="--", lw=2, label="in the population")
    ax.set(yticks=[], xlim=(-8, 2))
    ax.set_title(f"batches of {size}", loc="left", fontsize="medium")
    ax.spines[["left", "right", "top"]].set_visible(False)
axes[0].legend(title="slope", frameon=False)
axes[-1].set_xlabel("slope of the objective along w (negative: the step goes the right way)")
plt.show()
