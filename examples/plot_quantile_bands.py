"""
How uncertain is a prediction?
==============================

The squared error predicts the mean, and not the spread. The quantile loss predicts the value that a
given share of the targets is below; two of these values make a band. Here the spread grows with x, and the band should
contain 90 % of the targets everywhere.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import train_test_split

from sklearn_sgd import MiniBatchSGDRegressor

rng = np.random.default_rng(0)
X = rng.uniform(0, 10, (4000, 1))
y = 5 + 2 * X[:, 0] + (0.5 + 0.6 * X[:, 0]) * rng.standard_normal(4000)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Three fits, one for each quantile. The slopes show that the spread grows: the upper line rises faster than the
# lower one.

models = {
    quantile: MiniBatchSGDRegressor("quantile", quantile=quantile, random_state=0).fit(X_train, y_train)
    for quantile in (0.05, 0.5, 0.95)
}
print("quantile   intercept   slope   share of test targets below   pinball loss")
for quantile, model in models.items():
    predicted = model.predict(X_test)
    loss = mean_pinball_loss(y_test, predicted, alpha=quantile)
    below = np.mean(y_test < predicted)
    print(f"{quantile:>8}{model.intercept_:>12.2f}{model.coef_[0]:>8.2f}{below:>30.3f}{loss:>15.3f}")

# %%
# The band of the squared error, the mean plus and minus 1.64 standard deviations of the residuals, contains about
# as many targets in total, but too many on the left and too few on the right.

mean = MiniBatchSGDRegressor(random_state=0).fit(X_train, y_train)
half_width = 1.64 * np.std(y_train - mean.predict(X_train))
bands = {
    "quantiles": (models[0.05].predict(X_test), models[0.95].predict(X_test)),
    "mean ± 1.64 deviations": (mean.predict(X_test) - half_width, mean.predict(X_test) + half_width),
}
left = X_test[:, 0] < 3
print(f"\n{'share of test targets in the band':<34}{'x < 3':>8}{'others':>8}{'all':>8}")
for name, (low, high) in bands.items():
    inside = (low <= y_test) & (y_test <= high)
    print(f"{name:<34}{inside[left].mean():>8.3f}{inside[~left].mean():>8.3f}{inside.mean():>8.3f}")

line = np.array([[0.0], [10.0]])
figure, ax = plt.subplots(layout="constrained")
ax.scatter(X_test[:, 0], y_test, s=5, color="0.7", label="test samples")
low, middle, high = (model.predict(line) for model in models.values())
ax.fill_between(line[:, 0], low, high, color="#0072B2", alpha=0.2, label="quantiles 0.05 to 0.95")
ax.plot(line[:, 0], middle, color="#0072B2", lw=2, label="median")
for sign, label in ((-1, None), (1, "mean ± 1.64 deviations")):
    ax.plot(line[:, 0], mean.predict(line) + sign * half_width, "--", color="black", label=label)
ax.set(xlabel="x", ylabel="y", title="quantiles and the mean as functions of x")
ax.legend(loc="upper left")
plt.show()
