"""
Gradient descent by hand: batches
=================================

The loop by batches has one more ``for``: in each epoch it goes over the batches, and takes a step on each of them.
Here ``Batches`` yields the batches that ``fit`` uses for the same ``batch_size``, ``shuffle``,
``drop_last`` and ``random_state``. So the loop by hand and ``fit`` end with the same parameters.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import Batches, MiniBatchSGDRegressor

hours = np.array([2, 5, 7, 9, 10, 11, 13.4, 14, 15])
marks = np.array([1, 3.2, 4.5, 6, 4, 4.5, 5.5, 3, 5])
x = (hours - hours.mean()) / hours.std()

# %%
# Nine students in batches of three: three updates per epoch. Each time that the loop goes over ``batches`` is an
# epoch, in a new random order.

weight, bias, rate, epochs = 0.0, 0.0, 0.3, 4
batches = Batches(x, marks, batch_size=3, random_state=0)
losses = []
for _ in range(epochs):
    for x_batch, y_batch in batches:
        error = weight * x_batch + bias - y_batch
        weight = weight - rate * np.mean(error * x_batch)
        bias = bias - rate * np.mean(error)
        losses.append((np.mean(error**2) / 2, np.mean((weight * x + bias - marks) ** 2) / 2))
print(f"by hand:  weight of hours {weight:.6f}   bias {bias:.6f}   updates {epochs * len(batches)}")

# %%
# The same by the estimator, with the same ``random_state``.

model = MiniBatchSGDRegressor(
    batch_size=3, learning_rate="constant", eta0=rate, epochs=epochs, tol=None, random_state=0
).fit(x[:, None], marks)
print(f"by fit:   weight of hours {model.coef_[0]:.6f}   bias {model.intercept_:.6f}   updates {model.n_updates_}")
assert np.allclose([weight, bias], [model.coef_[0], model.intercept_])

# %%
# The loss of each batch is noisy, because each batch has other students. The loss on all students falls almost
# steadily, because the gradient of a batch is right on average.

figure, ax = plt.subplots(layout="constrained")
updates = np.arange(1, len(losses) + 1)
of_batch, of_all = zip(*losses, strict=True)
ax.plot(updates, of_batch, "o--", color="#D55E00", mfc="white", label="of its batch, before")
ax.plot(updates, of_all, "s-", color="black", mfc="white", label="all, after")
ax.set(xlabel="updates", ylabel="loss (half the squared error)", title="loss of each update", xticks=updates)
ax.legend(title="students")
plt.show()

# %%
# With ``batch_size=1`` the same two loops are online gradient descent, and with ``batch_size=None`` the classic one
# of the example before, "Gradient descent by hand: all samples".
