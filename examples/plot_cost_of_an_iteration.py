"""
What does an iteration cost?
============================

One update of gradient descent reads the rows of its batch twice over: once for the predictions, once for the gradient.
With B rows of P columns that is of the order of B P, and whatever the batch size, an epoch over N rows of N P. So small
batches buy more updates for the same work. That is the theory; here is this machine.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import measure_cost

rng = np.random.default_rng(0)
X = rng.standard_normal((20_000, 200))
y = 3 * X[:, 0] + rng.standard_normal(20_000)


def cost(n_rows, n_columns, batch_size):
    """Of plain steps on a part of the table, whose rows are made to lie together."""
    model = MiniBatchSGDRegressor(batch_size=batch_size, learning_rate="constant", eta0=0.002, shuffle=False)
    part = np.ascontiguousarray(X[:n_rows, :n_columns])
    return measure_cost(model, part, y[:n_rows], epochs=30)


# %%
# An update is counted in multiplications and measured in seconds, as one of N, P and B grows while the others stay.

cases = {
    "rows N": ([1250, 2500, 5000, 10_000, 20_000], lambda n: cost(n, 50, 32)),
    "columns P": ([12, 25, 50, 100, 200], lambda p: cost(5000, p, 32)),
    "rows in a batch B": ([1, 4, 16, 64, 256, 1024], lambda b: cost(5000, 50, b)),
}
figure, axes = plt.subplots(2, 3, figsize=(9, 5.5), layout="constrained", sharey="row")
print(f"{'':<19}{'':>8}{'updates':>10}{'multiplications':>17}{'µs':>12}{'ms':>11}")
print(f"{'':<19}{'':>8}{'an epoch':>10}{'an update':>17}{'an update':>12}{'an epoch':>11}")
for column, (name, (sizes, measured)) in enumerate(cases.items()):
    costs = [measured(size) for size in sizes]
    for size, c in zip(sizes, costs, strict=True):
        micro, milli = 1e6 * c.seconds_per_update, 1e3 * c.seconds_per_epoch
        updates, work = c.updates_per_epoch, c.multiplications_per_update
        print(f"{name:<19}{size:>8}{updates:>10.0f}{work:>17.0f}{micro:>12.2f}{milli:>11.2f}")
    axes[0, column].plot(sizes, [1e6 * c.seconds_per_update for c in costs], "o-", color="black", mfc="white")
    axes[1, column].plot(sizes, [1e3 * c.seconds_per_epoch for c in costs], "o-", color="black", mfc="white")
    axes[1, column].set(xlabel=name)
    for ax in axes[:, column]:
        ax.set(xscale="log", yscale="log")
        ax.set_xticks(sizes, map(str, sizes), minor=False)
        ax.set_xticks([], minor=True)
axes[0, 0].set(ylabel="time of an update (µs)")
axes[1, 0].set(ylabel="time of an epoch (ms)")
plt.show()

# %%
# An update does not feel N, and grows with P and B. An epoch grows with N and P, and feels B little: small batches
# cost two or three times as much, since each update touches all parameters. The course's O(B P) and O(N P), measured.
