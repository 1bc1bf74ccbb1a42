"""
How to model counts?
====================

Calls per hour, claims per year: counts are never negative, effects on them multiply, and their noise grows with their
mean. The loss ``"poisson"`` is made for that: its predictions are exponentials of a linear function. The squared error
fits a plane, which becomes negative where counts are small.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

rng = np.random.default_rng(0)
N = 5000
hour, workday = rng.uniform(8, 20, N), rng.random(N) < 0.7
X = np.column_stack([hour, workday])
mean = np.exp(0.25 * (hour - 14) + 0.8 * workday)
y = rng.poisson(mean)
print(f"{N} hours, {y.sum()} calls, at most {y.max()} in an hour; none in {np.mean(y == 0):.0%} of them.")

# %%
# No scaler and no learning rate are needed: the automatic step takes the curvature of the loss into account. All
# three classes end where scikit-learn's ``PoissonRegressor`` does.

models = {
    "BatchGDRegressor": BatchGDRegressor("poisson"),
    "MiniBatchSGDRegressor": MiniBatchSGDRegressor("poisson", random_state=0),
    "OnlineSGDRegressor": OnlineSGDRegressor("poisson", random_state=0),
    "PoissonRegressor": PoissonRegressor(alpha=0.0),
}
print(f"\n{'':<24}hour   workday   intercept   deviance   (truth: 0.250, 0.800, -3.500)")
for name, model in models.items():
    model.fit(X, y)
    deviance = mean_poisson_deviance(y, model.predict(X))
    print(f"{name:<22}{model.coef_[0]:6.3f}{model.coef_[1]:10.3f}{model.intercept_:12.3f}{deviance:11.4f}")

# %%
# The line of the squared error is negative in the morning. The exponential is not, and follows the counts.

linear = BatchGDRegressor().fit(X, y)
print(f"\nNegative predictions of the squared error: {np.mean(linear.predict(X) < 0):.0%}")
hours = np.linspace(8, 20, 100)
day = np.column_stack([hours, np.ones(100)])
figure, ax = plt.subplots(layout="constrained")
jitter = rng.uniform(-0.3, 0.3, workday.sum())
ax.scatter(hour[workday], y[workday] + jitter, s=3, color="0.75", label="calls on workdays")
ax.plot(hours, np.exp(0.25 * (hours - 14) + 0.8), color="0.5", lw=5, label="true mean")
ax.plot(hours, models["MiniBatchSGDRegressor"].predict(day), color="black", label="loss='poisson'")
ax.plot(hours, linear.predict(day), "--", color="#D55E00", label="loss='squared_error'")
ax.axhline(0, color="black", lw=0.5)
ax.set(xlabel="hour of the day", ylabel="calls in an hour", title="mean number of calls", ylim=(-4, 30))
ax.legend(loc="upper left")
plt.show()
