"""Axes, line styles and labels that the displays share."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from sklearn_sgd.diagnostics import last_step

# From dark to light, after M. Okabe and K. Ito, "Color universal design", 2008.
COLORS = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P"]


def named_estimators(estimator: Any) -> dict[str, Any]:
    """Return estimators by name: a dict as it is, else by the names of the classes, numbered where one is repeated."""
    if isinstance(estimator, dict):
        return estimator
    models = [estimator] if isinstance(estimator, BaseEstimator) else list(estimator)
    kinds = [type(last_step(model)).__name__ for model in models]
    names = [kind if kinds.count(kind) == 1 else f"{kind} {number}" for number, kind in enumerate(kinds, 1)]
    return dict(zip(names, models, strict=True))


def values_by_name(given, models):
    """Return a number for each model, from a dict, a list, or a single number."""
    return [given[name] for name in models] if isinstance(given, dict) else np.ravel(given).tolist()


def line_style(number: int) -> dict[str, Any]:
    """Return the style of a line: colour, dashes and marker differ from those of the lines before and after it."""
    at = number % len(COLORS)
    return {"color": COLORS[at], "ls": DASHES[at], "marker": MARKERS[at], "ms": 5, "mfc": "white"}


def marker_spacing(n_points: int) -> int:
    """Return the number of points between two markers: a line has about ten."""
    return max(1, n_points // 10)


def pyplot():
    """Return pyplot, which is imported when a picture is drawn."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Displays need matplotlib: pip install matplotlib (the extra sklearn-sgd[plot]).") from error
    return plt


def axes_or_new(ax):
    """Return the axes given, or those of a new figure."""
    return pyplot().subplots(layout="constrained")[1] if ax is None else ax


def panels(ax, count: int, **shared) -> np.ndarray:
    """Return axes for the panels: those given, or a row of new ones."""
    if ax is None:
        size = (max(4.0 * count, 5.5), 4.2)
        ax = pyplot().subplots(1, count, figsize=size, layout="constrained", squeeze=False, **shared)[1]
    axes = np.ravel(ax)
    if len(axes) != count:
        raise ValueError(f"There are {count} panels to draw; got {len(axes)} axes.")
    return axes


def legend_below(ax, lines) -> None:
    """Place the legend under the axes, where it hides no line."""
    ax.legend(
        lines,
        [line.get_label() for line in lines],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=2 if len(lines) > 1 else 1,
        fontsize="small",
        frameon=False,
    )


def feature_names(X: Any) -> list[str]:
    """Return the names of the columns of a data frame, else x0, x1, ..."""
    return [str(name) for name in getattr(X, "columns", [f"x{number}" for number in range(np.shape(X)[1])])]


def parameter_label(names: list[str], number: int) -> str:
    """Return the label of a coefficient, or of the intercept (-1, or the number of features), with its unit."""
    if number in (-1, len(names)):
        return "intercept (units of y)"
    return f"coefficient of {names[number]} (y per {names[number]})"
