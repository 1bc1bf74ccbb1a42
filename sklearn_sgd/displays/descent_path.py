"""Display of the paths of fits over the objective."""

from typing import Any, Self

import numpy as np
from scipy.optimize import minimize

from sklearn_sgd._base.objective import check_regressor
from sklearn_sgd.diagnostics import objective, record_fit
from sklearn_sgd.displays._axes import COLORS, feature_names, named_estimators, panels, parameter_label


class DescentPathDisplay:
    """Paths of fits over contours of the objective, for two of the parameters; side by side if there are several.

    Use :meth:`from_estimator` to make one. If there are other parameters, the contours are a section of the objective:
    the others have the values at the end of the first path, or at the end of the panel's own path if the penalty does
    not allow the former. A path also moves out of the section, so it need not descend the contours. There are no
    contours where parameters are not allowed.

    Parameters
    ----------
    paths : dict of str to ndarray of shape (n_updates + 1, 2)
        Values of the two parameters at the start and after each update, for each name; one more row where a fit ends
        with more than updates.
    grid : tuple of two ndarrays
        Values of the first parameter, of shape (n_first,), and of the second, of shape (n_second,).
    values : dict of str to ndarray of shape (n_second, n_first)
        Objective on the grid.
    labels : tuple of two str
        Names of the two parameters, with their units.
    updates : dict of str to int, default=None
        Numbers of updates; None: as many as the paths have rows after the first one.
    minima : dict of str to ndarray of shape (2,), default=None
        The minimum of the objective, for each panel that contains one.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel for each path.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Paths.
    contours_ : dict of str to matplotlib QuadContourSet
        Contours; the levels are those of evenly spaced points on a parabola. None if the bounds leave only a line.

    Examples
    --------
    >>> from sklearn_sgd import BatchGDRegressor, DescentPathDisplay
    >>> model = BatchGDRegressor(learning_rate="constant", eta0=0.5, epochs=2)
    >>> display = DescentPathDisplay.from_estimator(model, [[-1.0], [1.0]], [0.0, 4.0])
    >>> display.lines_["BatchGDRegressor"].get_xdata()
    array([0. , 1. , 1.5])
    """

    axes_: Any
    figure_: Any
    lines_: dict[str, Any]
    contours_: dict[str, Any]

    def __init__(
        self,
        *,
        paths: dict,
        grid: tuple,
        values: dict,
        labels: tuple,
        updates: dict | None = None,
        minima: dict | None = None,
    ) -> None:
        self.paths = paths
        self.grid = grid
        self.values = values
        self.labels = labels
        self.updates = {name: len(path) - 1 for name, path in paths.items()} | (updates or {})
        self.minima = minima or {}

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        parameters: tuple[int, int] | None = None,
        epochs: int | None = None,
        grid_resolution: int = 80,
        ax: Any = None,
    ) -> Self:
        """Fit clones, and draw the paths of these fits, update by update.

        Parameters
        ----------
        estimator : regressor of this package, list of them, or dict of str to them
            Without a dict, the names are those of the classes. They need not be fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Targets.
        parameters : tuple of two int, default=None
            Which to draw: numbers of features, or -1 for the intercept. None: the first feature, and the second or, if
            there is none, the intercept.
        epochs : int, default=None
            Maximum number of passes over the samples, instead of each estimator's `epochs`.
        grid_resolution : int, default=80
            Points of the grid along each parameter.
        ax : matplotlib Axes, or array-like of them, default=None
            Where to draw, one for each estimator; None: a new figure.

        Returns
        -------
        display : DescentPathDisplay
            The display, drawn, with its data.

        See Also
        --------
        sklearn_sgd.diagnostics.descent_path : The path alone.
        """
        models = named_estimators(estimator)
        for model in models.values():
            check_regressor(model)
        names = feature_names(X)
        chosen = list(parameters or ((0, 1) if len(names) > 1 else (0, -1)))
        records = {name: record_fit(model, X, y, epochs=epochs) for name, model in models.items()}
        whole = {name: record.path for name, record in records.items()}
        paths = {name: path[:, chosen] for name, path in whole.items()}
        points = np.concatenate(list(paths.values()))
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.35 * np.where(high > low, high - low, 1.0)
        first, second = np.linspace(low - margin, high + margin, grid_resolution).T
        plane, values, minima = np.stack(np.meshgrid(first, second), axis=-1), {}, {}
        for name, model in models.items():
            for held in (next(iter(whole.values())), whole[name]):

                def height(points: np.ndarray, model: Any = model, end: np.ndarray = held[-1]) -> np.ndarray:
                    """Return the objective where the two parameters have these values."""
                    cut = np.tile(end, (*points.shape[:-1], 1))
                    cut[..., chosen] = points
                    return objective(model, X, y, cut)

                values[name] = height(plane)
                if np.isfinite(values[name]).any():
                    minima[name] = _minimum(height, plane, values[name])
                    break
        return cls(
            paths=paths,
            grid=(first, second),
            values=values,
            labels=tuple(parameter_label(names, number) for number in chosen),
            updates={name: len(record.losses) for name, record in records.items()},
            minima={name: point for name, point in minima.items() if point is not None},
        ).plot(ax=ax)

    def plot(self, *, n_levels: int = 10, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        n_levels : int, default=10
            Contours in a panel.
        ax : matplotlib Axes, or array-like of them, default=None
            Where to draw, one for each path; None: a new figure.

        Returns
        -------
        display : DescentPathDisplay
            The display itself.
        """
        self.axes_ = panels(ax, len(self.paths), sharex=True, sharey=True)
        self.figure_ = self.axes_[0].figure
        self.lines_, self.contours_ = {}, {}
        for number, (panel, (name, path)) in enumerate(zip(self.axes_, self.paths.items(), strict=True)):
            values = np.ma.masked_invalid(self.values[name])
            low, high = values.min(), values.max()
            # Bounds may be so narrow that no point of the grid is allowed.
            if low is not np.ma.masked and low < high:
                levels = low + (high - low) * (np.arange(1, n_levels + 1) / (n_levels + 1)) ** 2
                self.contours_[name] = panel.contour(*self.grid, values, levels, colors="0.65", linewidths=0.7)
            (self.lines_[name],) = panel.plot(
                *path.T, color=COLORS[1], lw=0.9, marker="." if len(path) < 200 else "", ms=4, label="descent"
            )
            panel.plot(*path[0], "o", color="black", mfc="white", ms=7, ls="", label="start", zorder=3)
            panel.plot(*path[-1], "*", color=COLORS[2], mec="black", ms=12, ls="", label="end", zorder=3)
            if name in self.minima:
                panel.plot(*self.minima[name], "+", color="black", ms=13, mew=1.8, ls="", label="minimum", zorder=4)
            updates = self.updates[name]
            final = ", and a final step" if len(path) > updates + 1 else ""
            panel.set(title=f"{name}\n{updates} update{'s' * (updates != 1)}{final}", xlabel=self.labels[0])
            if not number:
                panel.set_ylabel(self.labels[1])
        self.axes_[0].legend(loc="best", fontsize="small")
        return self


def _minimum(height: Any, plane: np.ndarray, values: np.ndarray) -> np.ndarray | None:
    """Return the minimum of the objective; None if it is not within the grid."""
    at = np.unravel_index(np.argmin(np.where(np.isfinite(values), values, np.inf)), values.shape)
    if any(index in (0, size - 1) for index, size in zip(at, values.shape, strict=True)):
        return None
    return minimize(height, plane[at], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x
