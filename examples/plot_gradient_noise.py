"""
Why do noisy gradients work?
============================

The gradient over a batch is the mean of a random sample, like the result of a poll: it has an error, but no bias, and
the error falls with the square root of the batch size. Four times the samples halve the error. Far from the minimum
this is of little use, because almost any gradient points roughly downhill there.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, GradientNoiseDisplay
from sklearn_sgd.diagnostics import gradient_noise

X, y = load_diabetes(return_X_y=True, as_frame=True)
X = StandardScaler().set_output(transform="pandas").fit_transform(X)
model = BatchGDRegressor(learning_rate="constant", eta0=0.1)

# %%
# The state after 40 full-batch updates on 442 patients. Left: the distance of the gradients of random batches from
# the full gradient. Right: the objective over each of eight batches, and over all patients. Each batch has an
# objective of its own, with its own minimum; their mean is the objective over all.

for _ in range(40):
    model.partial_fit(X, y)
GradientNoiseDisplay.from_estimator(model, X, y, parameter=list(X.columns).index("bmi"), random_state=0)
plt.show()

# %%
# For large batches the measured points lie below the line, because a batch does not contain a sample twice: the
# batch of all samples has no noise.
#
# How large should a batch be? The *noise scale* is the batch size at which the noise is as large as the gradient
# itself. It is small at first, where a few samples show the direction, and grows without bound near the minimum,
# where the gradient vanishes.

model = BatchGDRegressor(learning_rate="constant", eta0=0.1)
steps, scales = np.arange(1, 81), []
for _ in steps:
    scales.append(gradient_noise(model.partial_fit(X, y), X, y).scale)

figure, ax = plt.subplots(layout="constrained")
ax.plot(steps, scales, color="black")
ax.axhline(len(y), color="0.5", ls="--")
ax.annotate(f"all {len(y)} samples", (1, len(y)), (0, 4), textcoords="offset points", color="0.3")
ax.set(title="the noise scale grows on the way to the minimum")
ax.set(xlabel="full-batch updates", ylabel="gradient noise scale (samples)", yscale="log")
plt.show()

for step in (1, 10, 20, 40, 80):
    print(f"after {step:>2} updates: noise equals gradient in batches of {scales[step - 1]:>9.1f} samples")
