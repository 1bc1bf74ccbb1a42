"""Gradient descent written once more: slow, obvious, from the contract, sharing no code with the package.

Takes the estimators' parameters. It gets the order of the rows, which is random: row numbers, epoch by epoch.
"""

from math import cosh, inf, log, sqrt, tanh
from types import SimpleNamespace

import numpy as np
from scipy.optimize import minimize_scalar


def loss_of_residual(name, epsilon=None, quantile=None, scale=None):
    """Value and slope of a loss, as functions of prediction minus target."""

    def sign(r):
        return float(r > 0) - float(r < 0)

    return {
        "squared_error": (lambda r: r * r / 2, lambda r: r),
        "absolute_error": (lambda r: abs(r), sign),
        "huber": (
            lambda r: r * r / 2 if abs(r) <= epsilon else epsilon * abs(r) - epsilon**2 / 2,
            lambda r: r if abs(r) <= epsilon else epsilon * sign(r),
        ),
        "epsilon_insensitive": (
            lambda r: max(0.0, abs(r) - epsilon),
            lambda r: sign(r) if abs(r) > epsilon else 0.0,
        ),
        "squared_epsilon_insensitive": (
            lambda r: max(0.0, abs(r) - epsilon) ** 2,
            lambda r: 2 * (r - sign(r) * epsilon) if abs(r) > epsilon else 0.0,
        ),
        "quantile": (
            lambda r: (1 - quantile) * r if r > 0 else -quantile * r,
            lambda r: 1 - quantile if r > 0 else -quantile if r < 0 else 0.5 - quantile,
        ),
        "expectile": (
            lambda r: (1 - quantile if r > 0 else quantile) * r * r,
            lambda r: 2 * (1 - quantile if r > 0 else quantile) * r,
        ),
        "logcosh": (lambda r: scale**2 * log(cosh(r / scale)), lambda r: scale * tanh(r / scale)),
        "cauchy": (lambda r: scale**2 / 2 * log(1 + (r / scale) ** 2), lambda r: r / (1 + (r / scale) ** 2)),
    }[name]


def scheduled_rate(name, t, eta0, power_t, alpha, slope):
    """Rate of update t = 1, 2, ..."""
    if callable(name):
        return name(np.array([t]))[0]
    if name == "invscaling":
        return eta0 / t**power_t
    if name == "optimal":
        typical = sqrt(1 / sqrt(alpha))
        first = typical / max(1.0, slope(-typical - 1.0))
        return 1 / (alpha * (1 / (first * alpha) + t - 1))
    return eta0


def descend(
    X,
    y,
    orders=None,
    *,
    loss="squared_error",
    penalty=None,
    alpha=1e-4,
    l1_ratio=0.15,
    positive=False,
    fit_intercept=True,
    batch_size=32,
    epochs=100,
    shuffle=False,
    drop_last=False,
    learning_rate="invscaling",
    eta0=0.01,
    power_t=0.25,
    average="auto",
    tol=1e-3,
    n_iter_no_change=5,
    epsilon=0.1,
    quantile=0.5,
    sample_weight=None,
    coef_init=None,
    intercept_init=0.0,
):
    """Fit, and return all fitted attributes."""
    n, p = X.shape
    assert orders is not None or not shuffle, "a random order has to be given"
    assert learning_rate != "auto", "the automatic step is another algorithm"
    average = average != "auto" and average
    value, slope = loss_of_residual(loss, epsilon, quantile)
    l1 = {"l1": alpha, "elasticnet": alpha * l1_ratio}.get(penalty, 0.0)
    l2 = {"l2": alpha, "elasticnet": alpha * (1 - l1_ratio)}.get(penalty, 0.0)

    weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    present = [i for i in range(n) if weight[i] > 0]
    weight = weight / np.mean(weight[present])
    size = min(batch_size or len(present), len(present))

    def cost_of_constant(c):
        return sum(weight[i] * value(c - y[i]) for i in present) / sum(weight[i] for i in present)

    low, high = min(y[present]), max(y[present])
    scale = minimize_scalar(cost_of_constant, bounds=(low, high), options={"xatol": 1e-10 * (high - low)}).fun

    w = np.zeros(p) if coef_init is None else np.array(coef_init, dtype=float)
    b = float(intercept_init)
    t = n_samples = stalled = 0
    rate, factor, best, reason = eta0, 1.0, inf, "epochs"
    to_average, loss_curve = [], []

    for epoch in range(epochs):
        rows = present if orders is None else [i for i in orders[epoch] if weight[i] > 0]
        batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        if drop_last:
            batches = [batch for batch in batches if len(batch) == size]
        total = total_weight = 0.0
        for batch in batches:
            t += 1
            rate = factor * scheduled_rate(learning_rate, t, eta0, power_t, alpha, slope)
            slope_w, slope_b = np.zeros(p), 0.0
            for i in batch:
                r = X[i] @ w + b - y[i]
                total += weight[i] * value(r)
                total_weight += weight[i]
                slope_w += weight[i] * slope(r) * X[i] / len(batch)
                slope_b += weight[i] * slope(r) / len(batch)
            w = w - rate * (slope_w + l2 * w)
            w = np.array([max(0.0, abs(c) - rate * l1) * (1 if c > 0 else -1) for c in w])
            if positive:
                w = np.maximum(w, 0.0)
            if fit_intercept:
                b -= rate * slope_b
            if average and t >= int(average):
                to_average.append(np.append(w, b))
            n_samples += len(batch)

        loss_curve.append(total / total_weight)
        objective = loss_curve[-1] + sum(l1 * abs(c) + l2 / 2 * c * c for c in w)
        if tol is not None and not objective < best - tol * scale:
            stalled += 1
        else:
            stalled = 0
        best = min(best, objective)
        if stalled >= n_iter_no_change:
            if learning_rate == "adaptive" and factor * eta0 > 1e-6:
                factor, stalled = factor / 5, 0
            else:
                reason = "tol"
                break

    parameters = np.mean(to_average, axis=0) if to_average else np.append(w, b)
    return SimpleNamespace(
        theta=parameters,
        n_iter_=epoch + 1,
        n_updates_=t,
        n_samples_seen_=n_samples,
        batch_size_=size,
        learning_rate_=rate,
        loss_curve_=loss_curve,
        prequential_loss_=loss_curve[0],
        stop_reason_=reason,
    )
