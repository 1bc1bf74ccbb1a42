"""
Gradient descent by hand: all samples
=====================================

Classic gradient descent is a loop of three lines: predict, measure the gradient, take a step against it. Here it is in
NumPy, on the nine students of the course. ``BatchGDRegressor`` takes the same steps and ends with the same parameters.
"""

import matplotlib.pyplot as plt
import numpy as np

from sklearn_sgd import BatchGDRegressor

hours = np.array([2, 5, 7, 9, 10, 11, 13.4, 14, 15])
marks = np.array([1, 3.2, 4.5, 6, 4, 4.5, 5.5, 3, 5])
x = (hours - hours.mean()) / hours.std()  # scaled, so that one learning rate suits both parameters

# %%
# The loop: ``iterations`` updates, each on the gradient over all samples.

weight, bias, rate, iterations = 0.0, 0.0, 0.3, 12
lines = [(weight, bias)]
for _ in range(iterations):
    error = weight * x + bias - marks
    weight = weight - rate * np.mean(error * x)
    bias = bias - rate * np.mean(error)
    lines.append((weight, bias))
print(f"by hand:  weight of hours {weight:.6f}   bias {bias:.6f}")

# %%
# The same by the estimator. One epoch of full batches is one update.

model = BatchGDRegressor(learning_rate="constant", eta0=rate, epochs=iterations, tol=None).fit(x[:, None], marks)
print(f"by fit:   weight of hours {model.coef_[0]:.6f}   bias {model.intercept_:.6f}")
assert np.allclose([weight, bias], [model.coef_[0], model.intercept_])

# %%
# The line through the students, after some of the updates. The first steps are long, because the gradient is large far
# from the minimum.

figure, ax = plt.subplots(layout="constrained")
ax.plot(hours, marks, "o", color="black", mfc="white", label="students")
for number, color in zip((0, 1, 2, 4, 12), plt.colormaps["Blues"](np.linspace(0.35, 1, 5)), strict=True):
    weight, bias = lines[number]
    ax.plot(hours, weight * x + bias, color=color, lw=2, label=f"{number} updates" if number != 1 else "1 update")
ax.set(xlabel="hours of study", ylabel="mark", title="the line after some of the updates")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
plt.show()

# %%
# The next example, "Gradient descent by hand: batches", adds one ``for`` to this loop.
