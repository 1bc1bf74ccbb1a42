"""
Gradient descent by hand: all samples
=====================================

Classic gradient descent is a loop of three lines: predict, measure the gradient, take a step against it. Here it is in
NumPy, on the nine students of the course. ``BatchGDRegressor`` takes the same steps and ends with the same parameters.
"""

import numpy as np

from sklearn_sgd import BatchGDRegressor

hours = np.array([2, 5, 7, 9, 10, 11, 13.4, 14, 15])
marks = np.array([1, 3.2, 4.5, 6, 4, 4.5, 5.5, 3, 5])
x = (hours - hours.mean()) / hours.std()  # scaled, so that one learning rate suits both parameters

# %%
# The loop: ``iterations`` updates, each on the gradient over all samples.

weight, bias, rate, iterations = 0.0, 0.0, 0.3, 12
for _ in range(iterations):
    error = weight * x + bias - marks
    weight = weight - rate * np.mean(error * x)
    bias = bias - rate * np.mean(error)
print(f"by hand:  weight of hours {weight:.6f}   bias {bias:.6f}")

# %%
# The same by the estimator. One epoch of full batches is one update.

model = BatchGDRegressor(learning_rate="constant", eta0=rate, epochs=iterations, tol=None).fit(x[:, None], marks)
print(f"by fit:   weight of hours {model.coef_[0]:.6f}   bias {model.intercept_:.6f}")
assert np.allclose([weight, bias], [model.coef_[0], model.intercept_])

# %%
# :doc:`plot_loop_by_batches` changes one line of the loop.
