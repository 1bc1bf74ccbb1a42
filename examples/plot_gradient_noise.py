"""
Why do noisy gradients work?
============================

The gradient over a batch is the mean of a sample, as a poll is: it errs, but not to one side, and its error shrinks
with the square root of the batch size. Four times the rows buy half the error; that is a bad bargain while the descent
is far from its goal, where any gradient points roughly downhill.
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
# After 40 steps on all 442 patients: the spread of the gradients of random batches, and the objective that each of
# eight batches sees. Each batch redefines the function that is descended; their mean is the one that is meant.

for _ in range(40):
    model.partial_fit(X, y)
GradientNoiseDisplay.from_estimator(model, X, y, parameter=list(X.columns).index("bmi"), random_state=0)
plt.show()

# %%
# The measured points lie below the line for large batches, since a batch does not draw a row twice: the batch of all
# rows has no noise at all.
#
# How large a batch should be depends on where the descent stands. The noise scale is the batch size at which the
# noise is as large as the gradient itself: small at first, where a handful of rows points the way, and growing
# without bound near the minimum, where the gradient vanishes and only noise is left.

model = BatchGDRegressor(learning_rate="constant", eta0=0.1)
steps, scales = np.arange(1, 81), []
for _ in steps:
    scales.append(gradient_noise(model.partial_fit(X, y), X, y).scale)

figure, ax = plt.subplots(layout="constrained")
ax.plot(steps, scales, color="black")
ax.axhline(len(y), color="0.5", ls="--")
ax.annotate(f"all {len(y)} rows", (1, len(y)), (0, 4), textcoords="offset points", color="0.3")
ax.set(xlabel="updates on all rows", ylabel="gradient noise scale (rows)", yscale="log")
plt.show()

for step in (1, 10, 20, 40, 80):
    print(f"after {step:>2} updates: noise equals signal in batches of {scales[step - 1]:>9.1f} rows")
