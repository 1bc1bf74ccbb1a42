"""
Why is a part of the rows enough?
=================================

The rows of a table are already a sample, of all the rows there could have been: its exact gradient is itself an
estimate, of that of the population. A batch is a sample of the sample. It is less exact, but it errs about a target
that was never exact; and most of its gradients point to the same side.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import BatchGDRegressor

# %%
# A population whose law is known: y = 2 x + noise, with x of variance 1. Before the first step, at w = 0, the slope
# of the objective along w is -2 in the population.

rng = np.random.default_rng(0)
N, TIMES = 1000, 2000


def draw(n):
    """Rows from the population."""
    x = rng.standard_normal(n)
    return x[:, None], 2 * x + rng.standard_normal(n)


def first_gradient(X, y):
    """Slope along w, read off a first step of length 1 from zero."""
    model = BatchGDRegressor(learning_rate="constant", eta0=1.0)
    return -model.partial_fit(X, y).coef_[0]


X, y = draw(N)
exact = first_gradient(X, y)
print(f"Slope along w: -2 in the population, {exact:.3f} on the sample of {N} rows.")

# %%
# Samples, as other days might have brought them; and batches of the one sample that we have.


def draw_again(size):
    """Rows of the sample."""
    rows = rng.choice(N, size, replace=False)
    return X[rows], y[rows]


samples = np.array([first_gradient(*draw(N)) for _ in range(400)])
batches = {size: np.array([first_gradient(*draw_again(size)) for _ in range(TIMES)]) for size in (1, 10, 100)}
print(f"\n{'gradient on':<24}{'mean':>7}{'spread':>9}{'times sqrt(B)':>15}{'points downhill':>17}")
drawn = {f"batches of {size}": (size, slopes) for size, slopes in batches.items()}
for name, (size, slopes) in {f"other samples of {N}": (N, samples), **drawn}.items():
    downhill, scaled = np.mean(slopes < 0), slopes.std() * np.sqrt(size)
    print(f"{name:<24}{slopes.mean():>7.3f}{slopes.std():>9.3f}{scaled:>15.2f}{downhill:>17.1%}")

# %%
# The means agree: a batch's gradient is right on average. Its spread falls as one over the root of B, so batches of
# ten cost a hundredth of an exact step, and nearly all go downhill. A single row is most often right about the
# direction, and hardly ever about the length: that is what short steps are for, which average over many rows.

figure, axes = plt.subplots(3, 1, figsize=(6.4, 5.4), sharex=True, layout="constrained")
bins = np.linspace(-8, 2, 101)
for ax, (size, slopes) in zip(axes, batches.items(), strict=True):
    ax.hist(slopes, bins, density=True, color="0.75")
    ax.axvline(0, color="0.5", lw=0.8)
    ax.axvline(exact, color="#0072B2", lw=2, label=f"on all {N} rows")
    ax.axvline(-2, color="#D55E00", ls="--", lw=2, label="in the population")
    ax.set(yticks=[], xlim=(-8, 2))
    ax.set_title(f"batches of {size} row{'s' * (size > 1)}", loc="left", fontsize="medium")
    ax.spines[["left", "right", "top"]].set_visible(False)
axes[0].legend(title="slope", frameon=False)
axes[-1].set_xlabel("slope of the objective along w; where it is negative, the step goes the right way")
plt.show()
