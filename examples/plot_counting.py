"""
Epochs, iterations, batches: which is which?
============================================

An *epoch* is a pass over all rows; an *iteration*, or update, is one step, on one *batch*. A table of nine students is
small enough to count them by hand, and to see which rows each step is taken on.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import n_updates

# It is rightly said that so few steps end worse than a constant, and that a loss which takes notes runs in NumPy.
warnings.simplefilter("ignore")

hours = np.array([2, 5, 7, 9, 10, 11, 13.4, 14, 15])[:, None]
mark = np.array([1, 3.2, 4.5, 6, 4, 4.5, 5.5, 3, 5])
mark = mark + np.arange(9) / 1e6  # Two students have the same mark; a millionth tells them apart.


class Witness:
    """The squared error, and a note of the marks that each step asked about."""

    def __init__(self):
        self.batches = []

    def value(self, y, p):
        return 0.5 * (p - y) ** 2

    def gradient(self, y, p):
        self.batches.append(list(y))
        return p - y


# %%
# Nine rows in batches of three: three updates in an epoch, and in three epochs nine. With four rows in a batch the last
# one has a single row, and counts as an update all the same, unless ``drop_last=True`` leaves it out.

print("rows  batch_size  epochs  drop_last   updates in an epoch   updates")
for n, batch_size, epochs, drop_last in [(9, 3, 3, False), (9, 4, 3, False), (9, 4, 3, True), (8, 2, 3, False)]:
    model = MiniBatchSGDRegressor(batch_size=batch_size, epochs=epochs, drop_last=drop_last, tol=None)
    model.set_params(learning_rate="constant", eta0=0.001).fit(hours[:n], mark[:n])
    assert model.n_updates_ == n_updates(model, hours[:n], mark[:n])
    print(f"{n:>4}{batch_size:>12}{epochs:>8}  {drop_last!s:<9}{model.n_updates_ // epochs:>22}{model.n_updates_:>10}")

# %%
# Who was in which batch? The loss is asked about each batch in turn, and writes down what it saw (a loss of one's own
# need be no more than two methods). Rows are shuffled anew in each epoch; every one is seen once per epoch.

witness = Witness()
model = MiniBatchSGDRegressor(
    witness, batch_size=3, epochs=3, tol=None, learning_rate="constant", eta0=0.001, random_state=0
)
model.fit(hours, mark)
seen = [batch for batch in witness.batches if len(batch) == 3][: model.n_updates_]
figure, ax = plt.subplots(layout="constrained")
for update, batch in enumerate(seen):
    rows = [int(np.flatnonzero(mark == y)[0]) for y in batch]
    told = ", ".join(f"{y:.1f}" for y in batch)
    ax.scatter([update + 1] * 3, hours[rows, 0], s=60, c="black", marker="os^"[update // 3])
    print(f"epoch {update // 3 + 1}, update {update + 1}: marks {told}")
for edge in (3.5, 6.5):
    ax.axvline(edge, color="0.6", ls="--")
for epoch in range(3):
    ax.text(2 + 3 * epoch, 16.2, f"epoch {epoch + 1}", ha="center")
ax.set(xlabel="update", ylabel="hours studied, of the rows in its batch", xticks=range(1, 10), ylim=(0, 17.5))
plt.show()
