"""
Where do the three descents go?
===============================

Gradient descent on all samples goes straight downhill. On batches of samples it is noisy, and on single samples it is
noisier still. All three come near the minimum, after different numbers of updates. The data are nine students: the
hours that they studied, and their marks.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

from sklearn_sgd import (
    BatchGDRegressor,
    DescentPathDisplay,
    LossCurveDisplay,
    MiniBatchSGDRegressor,
    OnlineSGDRegressor,
)
from sklearn_sgd.diagnostics import objective

# %%
# The hours are scaled: less their mean, over their standard deviation. The objective is then as steep along one
# parameter as along the other, and one learning rate suits both. Each descent makes eight epochs.

hours = np.array([2, 5, 7, 9, 10, 11, 13.4, 14, 15])
marks = np.array([1, 3.2, 4.5, 6, 4, 4.5, 5.5, 3, 5])
X = ((hours - hours.mean()) / hours.std())[:, None]

constant = {"learning_rate": "constant", "eta0": 0.3, "epochs": 8, "tol": None, "average": False, "random_state": 0}
models = {
    "batch: all 9 samples": BatchGDRegressor(**constant),
    "mini-batch: 3 samples": MiniBatchSGDRegressor(batch_size=3, **constant),
    "online: 1 sample": OnlineSGDRegressor(**constant),
}

# %%
# The path of each ``fit``, over contours of the objective. Eight epochs are 8, 24 and 72 updates. The cross is the
# minimum.


def three_panels():
    """Return a figure and its panels, with the same unit of length on both axes."""
    return plt.subplots(
        1, 3, figsize=(8, 4), sharex=True, sharey=True, layout="constrained", subplot_kw={"aspect": "equal"}
    )


def name_axes(axes):
    """Name the axes as the course does."""
    for ax in axes:
        ax.set_xlabel("weight of hours")
        ax.title.set_fontsize("medium")
    axes[0].set_ylabel("bias")
    axes[0].legend(loc="lower right", fontsize="small")


figure, axes = three_panels()
display = DescentPathDisplay.from_estimator(models, X, marks, ax=axes)
name_axes(axes)
plt.show()

# %%
# The same in motion. The three descents read the same number of samples in the same time; drag the slider to go
# through the epochs. (The player needs no network.)

figure, axes = three_panels()
moving = display.plot(n_levels=4, ax=axes)
name_axes(axes)
axes[0].get_legend().remove()
for ax in axes:
    ax.lines[2].set_visible(False)  # the star at the end
    ax.plot([], [], "o", color="#D55E00", mec="black", ms=8, zorder=4)


def show(epoch):
    """Show the paths up to this time."""
    for ax, (name, path) in zip(axes, moving.paths.items(), strict=True):
        done = int(epoch / 8 * (len(path) - 1))
        moving.lines_[name].set_data(*path[: done + 1].T)
        ax.lines[-1].set_data(*path[done : done + 1].T)
        ax.set_title(f"{name}\n{done} updates")
    figure.suptitle(f"{epoch:.1f} epochs")


# sphinx_gallery_capture_repr_block = ()
plt.rcParams["animation.html"] = "jshtml"  # in a notebook, the player
animation = FuncAnimation(figure, show, frames=np.linspace(0, 8, 17), interval=500)
plt.show()
animation

# %%
# The loss of each batch before its update (pale), and its mean over an epoch's updates (bold): the losses of batches
# are noisy, and fall on average.

losses = LossCurveDisplay.from_estimator(models, X, marks, per="update")
losses.ax_.set_title("loss of each batch (pale), and its running mean")
plt.show()

# %%
# At a constant rate the noise never ends: each single student pulls the line towards their own mark. A falling rate
# calms the descent; so does the mean of the parameters of all updates so far.

online = {
    "constant rate": OnlineSGDRegressor(**constant),
    "falling rate": OnlineSGDRegressor(**constant | {"learning_rate": "invscaling", "power_t": 0.5}),
    "constant rate, averaged": OnlineSGDRegressor(**constant | {"average": True}),
}
figure, axes = three_panels()
calm = DescentPathDisplay.from_estimator(online, X, marks, ax=axes)
name_axes(axes)
plt.show()

# %%
# In numbers: how far the objective at the end of each path is above the minimum.

print(f"{'':<26}{'updates':>8}{'objective':>11}{'above the minimum':>19}")
for shown in (display, calm):
    for name, path in shown.paths.items():
        value, lowest = objective(BatchGDRegressor(), X, marks, np.array([path[-1], shown.minima[name]]))
        print(f"{name:<26}{shown.updates[name]:>8}{value:>11.4f}{value - lowest:>19.5f}")
