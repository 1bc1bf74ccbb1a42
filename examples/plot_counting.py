"""
Epochs, updates, batches: which is which?
=========================================

A *batch* is a part of the samples; an *update* (or iteration) is one step, on one batch; an *epoch* is a pass over all
samples. With nine students they can be counted by hand, and we can see which students each update uses.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import Batches

hours = np.array([2, 5, 7, 9, 10, 11, 13.4, 14, 15])
marks = np.array([1, 3.2, 4.5, 6, 4, 4.5, 5.5, 3, 5])

# %%
# N samples in batches of B make N/B updates per epoch, rounded up: where B does not divide N, the last batch is
# smaller. ``drop_last=True`` leaves that batch out.

print("samples  batch_size  drop_last  updates per epoch  updates in 3 epochs")
for n, batch_size, drop_last in [(9, 3, False), (9, 4, False), (9, 4, True), (8, 2, False)]:
    per_epoch = len(Batches(hours[:n], batch_size=batch_size, drop_last=drop_last))
    print(f"{n:>7}{batch_size:>12}  {drop_last!s:<9}{per_epoch:>19}{3 * per_epoch:>21}")

# %%
# Which students are in which batch? ``Batches`` yields the batches that ``fit`` takes. The students
# are shuffled before each epoch, and each of them is used once per epoch.

batches = Batches(np.arange(9), batch_size=3, random_state=0)
used = np.zeros((9, 9), dtype=bool)
update = 0
for epoch in range(3):
    for students in batches:
        used[students, update] = True
        print(f"epoch {epoch + 1}, update {update + 1}: students {students + 1}, marks {marks[students]}")
        update += 1

figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
ax.imshow(used, cmap="Blues", vmax=1.6, aspect="auto")
ax.set_xticks(range(9), range(1, 10))
ax.set_yticks(range(9), [f"{h:g} h, mark {m:g}" for h, m in zip(hours, marks, strict=True)])
ax.set_xticks(np.arange(-0.5, 9), minor=True)
ax.set_yticks(np.arange(-0.5, 9), minor=True)
ax.grid(which="minor", color="0.85")
ax.tick_params(which="minor", length=0)
for epoch in range(3):
    ax.text(3 * epoch + 1, -0.7, f"epoch {epoch + 1}", ha="center")
for edge in (2.5, 5.5):
    ax.axvline(edge, color="black", lw=1.5)
figure.suptitle("the students in the batch of each update")
ax.set(xlabel="update", ylabel="student")
plt.show()

# %%
# Each column has three filled cells: the batch of that update. Each row has one filled cell per epoch.
