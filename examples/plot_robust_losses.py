"""
Which loss for targets with outliers?
=====================================

With the squared error a few outliers pull the line away. Losses that grow in proportion to the error limit the pull of
each sample. A loss of your own can go further, and ignore what is far off. Then the objective is no longer convex, and
the end of a descent depends on its start.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor
from sklearn_sgd.diagnostics import objective

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (200, 1))
y = 2 * X[:, 0] + 1 + 0.3 * rng.standard_normal(200)
wild = (X[:, 0] > 0) & (rng.random(200) < 0.25)
y[wild] = rng.normal(-8, 0.5, wild.sum())

# %%
# The true line is y = 2 x + 1. A quarter of the samples on the right have other targets. The last loss is written
# here, as two formulas. It is that of Geman and McClure, which is never larger than ½. It is flat far from the
# target, so samples far off have no effect.

losses = {
    "squared_error": ("0.0", "-"),
    "huber": ("#0072B2", "--"),
    "absolute_error": ("#D55E00", "-."),
}
line = np.array([[-1.0], [1.0]])
figure, ax = plt.subplots(layout="constrained")
ax.scatter(X[:, 0], y, s=8, color="0.6", label="samples")
ax.plot(line[:, 0], 2 * line[:, 0] + 1, color="0.75", lw=5, label="true line")
for loss, (color, dashes) in losses.items():
    width = {"epsilon": 0.3} if loss == "huber" else {}
    model = MiniBatchSGDRegressor(loss, **width, random_state=0).fit(X, y)
    ax.plot(line[:, 0], model.predict(line), dashes, color=color, lw=2, label=loss)
    print(f"{loss:<16} slope {model.coef_[0]:6.2f}   intercept {model.intercept_:6.2f}")


class GemanMcClure:
    def value(self, y, p):
        return 0.5 * (p - y) ** 2 / (1 + (p - y) ** 2)

    def gradient(self, y, p):
        return (p - y) / (1 + (p - y) ** 2) ** 2


plain = BatchGDRegressor(GemanMcClure(), learning_rate="constant", eta0=1.0, epochs=2000, tol=1e-6)
model = plain.fit(X, y, coef_init=[0.0], intercept_init=1.0)
ax.plot(line[:, 0], model.predict(line), ":", color="#009E73", lw=3, label="Geman-McClure, written here")
print(f"{'Geman-McClure':<16} slope {model.coef_[0]:6.2f}   intercept {model.intercept_:6.2f}")
ax.set(xlabel="x", ylabel="y", title="fits with four losses to data with outliers")
ax.legend(loc="lower left")
plt.show()

# %%
# The objective of this loss has a second valley, at the outliers, and a descent that starts there stays there. The
# picture shows the objective along the straight line from one end to the other.

ends = [np.append(model.coef_, model.intercept_)]
with warnings.catch_warnings():
    # The fit warns: a constant, near the other samples, would be better.
    warnings.simplefilter("ignore", ConvergenceWarning)
    stuck = plain.fit(X, y, coef_init=[0.0], intercept_init=-8.0)
ends.append(np.append(stuck.coef_, stuck.intercept_))
print(f"Started at the outliers: slope {ends[1][0]:.2f}, intercept {ends[1][1]:.2f}.")

share = np.linspace(-0.4, 1.4, 200)[:, None]
figure, ax = plt.subplots(layout="constrained")
ax.plot(share, objective(model, X, y, (1 - share) * ends[0] + share * ends[1]), color="black")
for at, (end, marker) in enumerate(zip(ends, "os", strict=True)):
    label = f"y = {end[0]:.1f} x {end[1]:+.1f}"
    ax.plot(at, objective(model, X, y, end), marker, color="#0072B2", mfc="white", ms=8, label=label)
ax.set(title="two local minima of the objective")
ax.set(xlabel="share of the way from one end to the other", ylabel="objective (units of the loss)")
ax.legend(title="the descent ends at")
plt.show()
