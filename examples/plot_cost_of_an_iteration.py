"""
What does an iteration cost?
============================

One update of gradient descent reads the samples of its batch twice: for the predictions, and for the gradient. With B
samples of P features that costs O(B P), and an epoch over N samples costs O(N P), whatever the batch size. So small
batches make more updates for the same work. That is the theory; this page measures it.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import measure_cost

rng = np.random.default_rng(0)
X = rng.standard_normal((32_000, 200))
y = 3 * X[:, 0] + rng.standard_normal(32_000)


def cost(n_rows, n_columns, batch_size):
    """Return the cost of plain steps on a part of the table, copied so that it is contiguous: the median of five."""
    model = MiniBatchSGDRegressor(batch_size=batch_size, learning_rate="constant", eta0=0.002, shuffle=False)
    part = np.ascontiguousarray(X[:n_rows, :n_columns])
    measured = [measure_cost(model, part, y[:n_rows], epochs=200_000 // n_rows, repeats=1) for _ in range(5)]
    return sorted(measured, key=lambda each: each.seconds_per_epoch)[2]


# %%
# Multiplications are counted and seconds are measured, while one of N, P and B grows and the others stay as they are.
# The dashed lines have slope 1: they are proportional to N, P or B.

cases = {
    "samples N": ([2000, 4000, 8000, 16_000, 32_000], lambda n: cost(n, 50, 32)),
    "features P": ([12, 25, 50, 100, 200], lambda p: cost(4000, p, 32)),
    "batch size B": ([1, 4, 16, 64, 256, 1024], lambda b: cost(4000, 50, b)),
}
PROPORTIONAL = {(0, "P"), (0, "B"), (1, "N"), (1, "P")}  # by theory: the time of an update (0), of an epoch (1)
figure, axes = plt.subplots(2, 3, figsize=(9, 5.5), layout="constrained", sharey="row")
print(f"{'':<14}{'':>7}{'updates':>13}{'multiplications':>18}{'time of':>14}{'time of':>14}")
print(f"{'':<14}{'':>7}{'per epoch':>13}{'per update':>18}{'update (µs)':>14}{'epoch (ms)':>14}")
for column, (name, (sizes, measured)) in enumerate(cases.items()):
    costs = [measured(size) for size in sizes]
    times = 1e6 * np.array([c.seconds_per_update for c in costs]), 1e3 * np.array([c.seconds_per_epoch for c in costs])
    for size, c, micro, milli in zip(sizes, costs, *times, strict=True):
        counts = f"{c.updates_per_epoch:>13.0f}{c.multiplications_per_update:>18.0f}"
        print(f"{name:<14}{size:>7}{counts}{micro:>14.2f}{milli:>14.2f}")
    for row, values in enumerate(times):
        axes[row, column].plot(sizes, values, "o-", color="black", mfc="white")
        if (row, name[-1]) in PROPORTIONAL:
            axes[row, column].plot(sizes, values[-1] * np.array(sizes) / sizes[-1], "--", color="#0072B2")
    axes[1, column].set(xlabel=name)
    for ax in axes[:, column]:
        ax.set(xscale="log", yscale="log")
        ax.set_xticks(sizes, map(str, sizes), minor=False)
        ax.set_xticks([], minor=True)
figure.suptitle("measured times, and lines of slope 1 (dashed)")
axes[0, 0].set(ylabel="time of an update (µs)")
axes[1, 0].set(ylabel="time of an epoch (ms)")
plt.show()

# %%
# The time of an update hardly depends on N, and grows with P and B. The time of an epoch grows with N and P, and hardly
# depends on B. Where P or B is small, the measured lines are flatter than the dashed ones, because each update also has
# a fixed cost. Differences of less than a factor of two are mostly other work of the machine.
