"""Pictures of a descent, in scikit-learn's style. They need matplotlib, from the extra ``plot``, when they draw.

Lines differ by colour, by dashes and by marker, so that they can be told apart in grey too.
"""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils import check_random_state

from sklearn_sgd.diagnostics import (
    GradientNoise,
    batch_gradients,
    descent_path,
    gradient_noise,
    last_step,
    n_updates,
    objective,
)

__all__ = ["BatchSizeDisplay", "DescentPathDisplay", "GradientNoiseDisplay", "LossCurveDisplay"]

# From dark to light, after M. Okabe and K. Ito, "Color universal design", 2008.
COLORS = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P"]

UNITS = {
    "epoch": "epochs (passes over the rows)",
    "update": "updates (steps taken)",
    "second": "time (seconds)",
}


class LossCurveDisplay:
    """Loss of each epoch of one or several fits, against epochs, updates or seconds.

    Use :meth:`from_estimator` to make one. Scores of held out rows, where a fit has some, are drawn beside the losses,
    thin, with an axis on the right.

    Parameters
    ----------
    loss_curves : dict of str to array-like of shape (n_epochs,)
        Mean loss of each epoch, for each name.
    updates_per_epoch : dict of str to float
        Updates in an epoch.
    validation_scores : dict of str to array-like of shape (n_epochs,), default={}
        R² on rows held out, after each epoch.
    seconds : dict of str to float, default={}
        Seconds that each fit took; its epochs are taken to be equally long.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the losses.
    validation_ax_ : matplotlib Axes or None
        Axes of the scores.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Losses.
    validation_lines_ : dict of str to matplotlib Line2D
        Scores.

    Examples
    --------
    >>> from sklearn_sgd import LossCurveDisplay, OnlineSGDRegressor
    >>> model = OnlineSGDRegressor(epochs=5, tol=None).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 4.0])
    >>> LossCurveDisplay.from_estimator(model, per="update").lines_["OnlineSGDRegressor"].get_xdata()
    array([ 3.,  6.,  9., 12., 15.])
    """

    ax_: Any
    validation_ax_: Any
    figure_: Any
    lines_: dict[str, Any]
    validation_lines_: dict[str, Any]

    def __init__(
        self, *, loss_curves: dict, updates_per_epoch: dict, validation_scores: dict | None = None, seconds=None
    ) -> None:
        self.loss_curves = loss_curves
        self.updates_per_epoch = updates_per_epoch
        self.validation_scores = validation_scores or {}
        self.seconds = seconds or {}

    @classmethod
    def from_estimator(cls, estimator: Any, *, per: str = "epoch", seconds: Any = None, ax: Any = None) -> Self:
        """Draw the losses of fitted regressors.

        Parameters
        ----------
        estimator : regressor or pipeline that ends in one, list of them, or dict of str to them
            Fitted. Without a dict, the names are those of the classes.
        per : {'epoch', 'update', 'second'}, default='epoch'
            What the losses are drawn against.
        seconds : float, list of float, or dict of str to float, default=None
            Seconds that each fit took; needed for ``per='second'``.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The picture and its data.
        """
        models = {name: last_step(model) for name, model in named(estimator).items()}
        return cls(
            loss_curves={name: np.array(model.loss_curve_) for name, model in models.items()},
            updates_per_epoch={name: model.n_updates_ / model.n_iter_ for name, model in models.items()},
            validation_scores={
                name: np.array(model.validation_scores_)
                for name, model in models.items()
                if hasattr(model, "validation_scores_")
            },
            seconds=None if seconds is None else dict(zip(models, _values(seconds, models), strict=True)),
        ).plot(per, ax=ax)

    def plot(self, per: str = "epoch", *, ax: Any = None) -> Self:
        """Draw it.

        Parameters
        ----------
        per : {'epoch', 'update', 'second'}, default='epoch'
            What the losses are drawn against.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : LossCurveDisplay
            Itself.
        """
        if per not in UNITS:
            raise ValueError(f"per must be one of {', '.join(map(repr, UNITS))}; got {per!r}.")
        if per == "second" and not self.seconds:
            raise ValueError("per='second' needs seconds: how long each fit took.")
        self.ax_ = _axes(ax)
        self.figure_ = self.ax_.figure
        self.validation_ax_ = self.ax_.twinx() if self.validation_scores else None
        self.lines_, self.validation_lines_ = {}, {}
        for number, (name, losses) in enumerate(self.loss_curves.items()):
            epochs = np.arange(1.0, len(losses) + 1)
            x = epochs * {
                "epoch": lambda name, n: 1.0,
                "update": lambda name, n: self.updates_per_epoch[name],
                "second": lambda name, n: self.seconds[name] / n,
            }[per](name, len(losses))
            style = _style(number)
            (self.lines_[name],) = self.ax_.plot(x, losses, **style, markevery=_sparsely(len(x)), label=name)
            if name in self.validation_scores:
                (self.validation_lines_[name],) = self.validation_ax_.plot(
                    x, self.validation_scores[name], **style | {"marker": ""}, lw=0.8, label=f"{name}, validation R²"
                )
        self.ax_.set(xlabel=UNITS[per], ylabel="mean loss per row (units of the loss)")
        if all(np.all(np.asarray(losses) > 0) for losses in self.loss_curves.values()):
            self.ax_.set_yscale("log")
        if per != "epoch":
            self.ax_.set_xscale("log")
        if self.validation_ax_:
            self.validation_ax_.set_ylabel("R² on rows held out (thin lines)")
        _legend_below(self.ax_, [*self.lines_.values(), *self.validation_lines_.values()])
        return self


class DescentPathDisplay:
    """Paths of descents over the objective, drawn as contours over two of the parameters; side by side if several.

    Use :meth:`from_estimator` to make one. The other parameters, if there are any, are held where the first path ends;
    then the contours are a cut through the objective, and a path, which also moves across it, need not descend.

    Parameters
    ----------
    paths : dict of str to ndarray of shape (n_updates + 1, 2)
        Values of the two parameters after each update, for each name.
    grid : tuple of two ndarrays
        Values of the first parameter, of shape (n_first,), and of the second, of shape (n_second,).
    values : dict of str to ndarray of shape (n_second, n_first)
        Objective on the grid.
    labels : tuple of two str
        Names of the two parameters, with their units.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel for each path.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Paths.
    contours_ : dict of str to matplotlib QuadContourSet
        Contours; the levels stand at even distances along a parabola.

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

    def __init__(self, *, paths: dict, grid: tuple, values: dict, labels: tuple) -> None:
        self.paths = paths
        self.grid = grid
        self.values = values
        self.labels = labels

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
        """Let clones descend from zero, and draw where they went.

        Parameters
        ----------
        estimator : regressor of this package, list of them, or dict of str to them
            Without a dict, the names are those of the classes. They need not be fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        parameters : tuple of two int, default=None
            Which to draw: numbers of columns, or -1 for the intercept. None: the first column, and the second or, if
            there is none, the intercept.
        epochs : int, default=None
            Passes over the rows; None: as many as each estimator's `epochs`.
        grid_resolution : int, default=80
            Points of the grid along each parameter.
        ax : matplotlib Axes, or array-like of them, default=None
            Where to draw, one for each estimator; None: a new figure.

        Returns
        -------
        display : DescentPathDisplay
            The picture and its data.

        See Also
        --------
        sklearn_sgd.diagnostics.descent_path : The path alone.
        """
        models = named(estimator)
        names = [str(name) for name in getattr(X, "columns", [f"x{number}" for number in range(np.shape(X)[1])])]
        chosen = list(parameters or ((0, 1) if len(names) > 1 else (0, -1)))
        whole = {name: descent_path(model, X, y, epochs=epochs) for name, model in models.items()}
        paths = {name: path[:, chosen] for name, path in whole.items()}
        points = np.concatenate(list(paths.values()))
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.35 * np.where(high > low, high - low, 1.0)
        first, second = np.linspace(low - margin, high + margin, grid_resolution).T
        cut = np.tile(next(iter(whole.values()))[-1], (grid_resolution, grid_resolution, 1))
        cut[..., chosen] = np.stack(np.meshgrid(first, second), axis=-1)
        labels = tuple(
            "intercept (units of y)" if at in (-1, len(names)) else f"coefficient of {names[at]} (y per {names[at]})"
            for at in chosen
        )
        values = {name: objective(model, X, y, cut) for name, model in models.items()}
        return cls(paths=paths, grid=(first, second), values=values, labels=labels).plot(ax=ax)

    def plot(self, *, n_levels: int = 10, ax: Any = None) -> Self:
        """Draw it.

        Parameters
        ----------
        n_levels : int, default=10
            Contours in a panel.
        ax : matplotlib Axes, or array-like of them, default=None
            Where to draw, one for each path; None: a new figure.

        Returns
        -------
        display : DescentPathDisplay
            Itself.
        """
        self.axes_ = _panels(ax, len(self.paths), sharex=True, sharey=True)
        self.figure_ = self.axes_[0].figure
        self.lines_, self.contours_ = {}, {}
        for number, (panel, (name, path)) in enumerate(zip(self.axes_, self.paths.items(), strict=True)):
            values = self.values[name]
            levels = values.min() + np.ptp(values) * (np.arange(1, n_levels + 1) / (n_levels + 1)) ** 2
            self.contours_[name] = panel.contour(*self.grid, values, levels, colors="0.65", linewidths=0.7)
            (self.lines_[name],) = panel.plot(
                *path.T, color=COLORS[1], lw=0.9, marker="." if len(path) < 200 else "", ms=4, label="descent"
            )
            panel.plot(*path[0], "o", color="black", mfc="white", ms=7, ls="", label="start", zorder=3)
            panel.plot(*path[-1], "*", color=COLORS[2], mec="black", ms=12, ls="", label="end", zorder=3)
            updates = len(path) - 1
            panel.set(title=f"{name}\n{updates} update{'s' if updates > 1 else ''}", xlabel=self.labels[0])
            if not number:
                panel.set_ylabel(self.labels[1])
        self.axes_[0].legend(loc="best", fontsize="small")
        return self


class BatchSizeDisplay:
    """Score, seconds and updates of a fit against its batch size.

    Use :meth:`from_search` or :meth:`from_estimator` to make one.

    Parameters
    ----------
    batch_sizes : array-like of shape (n_sizes,)
        Rows per update; None for all rows, which is drawn at the right.
    scores : array-like of shape (n_sizes,)
        Mean score on rows that a fit has not seen.
    seconds : array-like of shape (n_sizes,)
        Mean time of a fit.
    updates : array-like of shape (n_sizes,), default=None
        Mean number of updates of a fit.
    score_deviations, second_deviations : array-like of shape (n_sizes,), default=None
        Standard deviations over the splits, drawn as bars.
    score_name : str, default='score'
        What the score is, with its unit.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Panels: score, seconds and, if known, updates.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        'score', 'seconds' and 'updates'.

    Examples
    --------
    >>> from sklearn_sgd import BatchSizeDisplay
    >>> display = BatchSizeDisplay(batch_sizes=[1, 8, None], scores=[0.7, 0.8, 0.6], seconds=[3.0, 1.0, 0.5]).plot()
    >>> [label.get_text() for label in display.axes_[0].get_xticklabels()]
    ['1', '8', 'all']
    """

    axes_: Any
    figure_: Any
    lines_: dict[str, Any]

    def __init__(
        self,
        *,
        batch_sizes: Any,
        scores: Any,
        seconds: Any,
        updates: Any = None,
        score_deviations: Any = None,
        second_deviations: Any = None,
        score_name: str = "score",
    ) -> None:
        self.batch_sizes = batch_sizes
        self.scores = scores
        self.seconds = seconds
        self.updates = updates
        self.score_deviations = score_deviations
        self.second_deviations = second_deviations
        self.score_name = score_name

    @classmethod
    def from_search(cls, search: Any, *, score_name: str = "mean score (R² unless set)", ax: Any = None) -> Self:
        """Draw what a search over the batch size found.

        Parameters
        ----------
        search : GridSearchCV or the like
            Fitted, over a parameter whose name ends in ``batch_size``. Where it also searched others, the best score
            for each batch size counts. Updates are drawn if it had `scoring` among whose names is ``updates``, that of
            :func:`sklearn_sgd.diagnostics.n_updates`; the score is then the one that it refits for, or the first one.
        score_name : str, default='mean score (R² unless set)'
            What the score is, with its unit.
        ax : array-like of matplotlib Axes, default=None
            Two panels, three with updates; None: a new figure.

        Returns
        -------
        display : BatchSizeDisplay
            The picture and its data.
        """
        results, fits = search.cv_results_, search.cv_results_["params"]
        names = [name for name in fits[0] if name.endswith("batch_size")]
        if len(names) != 1:
            raise ValueError("The search must be over one parameter whose name ends in 'batch_size'.")
        scorer = search.refit if isinstance(search.refit, str) else "score"
        if f"mean_test_{scorer}" not in results:
            others = (name.removeprefix("mean_test_") for name in results if name.startswith("mean_test_"))
            scorer = next(name for name in others if name != "updates")
        sizes, scores = [fit[names[0]] for fit in fits], results[f"mean_test_{scorer}"]
        of_size: dict = {}
        for row in sorted(range(len(sizes)), key=lambda row: scores[row]):
            of_size[sizes[row]] = row  # the best comes last
        rows = [of_size[size] for size in sorted(of_size, key=lambda size: np.inf if size is None else size)]
        return cls(
            batch_sizes=[sizes[row] for row in rows],
            scores=scores[rows],
            seconds=results["mean_fit_time"][rows],
            updates=results["mean_test_updates"][rows] if "mean_test_updates" in results else None,
            score_deviations=results[f"std_test_{scorer}"][rows],
            second_deviations=results["std_fit_time"][rows],
            score_name=score_name,
        ).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, batch_sizes: Any, cv: Any = None, ax: Any = None
    ) -> Self:
        """Fit with each batch size on splits of the rows, one fit after the other, and draw R², seconds and updates.

        Parameters
        ----------
        estimator : MiniBatchSGDRegressor, or pipeline that ends in one
            Not changed. It is fitted once before, so that no time is that of compiling.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        batch_sizes : list of int or None
            Rows per update.
        cv : int, splitter or iterable, default=None
            Splits, as :class:`~sklearn.model_selection.GridSearchCV` takes them.
        ax : array-like of three matplotlib Axes, default=None
            Panels; None: a new figure.

        Returns
        -------
        display : BatchSizeDisplay
            The picture and its data.
        """
        name = "__".join([step for step, _ in getattr(estimator, "steps", [])[-1:]] + ["batch_size"])
        clone(estimator).fit(X, y)
        scoring = {"score": "r2", "updates": n_updates}
        search = GridSearchCV(estimator, {name: list(batch_sizes)}, scoring=scoring, refit=False, cv=cv)
        return cls.from_search(search.fit(X, y), score_name="mean R² (no unit)", ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw it.

        Parameters
        ----------
        ax : array-like of matplotlib Axes, default=None
            Two panels, three with updates; None: a new figure.

        Returns
        -------
        display : BatchSizeDisplay
            Itself.
        """
        curves = {
            "score": (self.score_name, self.scores, self.score_deviations),
            "seconds": ("mean time of a fit (seconds)", self.seconds, self.second_deviations),
            "updates": ("mean updates of a fit", self.updates, None),
        }
        curves = {name: curve for name, curve in curves.items() if curve[1] is not None}
        self.axes_ = _panels(ax, len(curves), sharex=True)
        self.figure_, self.lines_ = self.axes_[0].figure, {}
        largest = max([size for size in self.batch_sizes if size is not None], default=1)
        x = np.array([4.0 * largest if size is None else size for size in self.batch_sizes])
        for number, (panel, (name, (label, values, bars))) in enumerate(zip(self.axes_, curves.items(), strict=True)):
            self.lines_[name] = panel.errorbar(x, values, bars, **_style(number), capsize=3, elinewidth=0.8)[0]
            panel.set(xlabel="batch size (rows per update)", ylabel=label, xscale="log")
            panel.set_xticks(x, ["all" if size is None else str(size) for size in self.batch_sizes])
            panel.set_xticks([], minor=True)
            if name != "score":
                panel.set_yscale("log")
        return self


class GradientNoiseDisplay:
    """How batch gradients scatter about the full one, and how each batch redefines the function that descends.

    Use :meth:`from_estimator` to make one. The first panel shows the root mean square distance of the gradients of
    random batches of B rows from the full gradient, with the line ``sqrt(variance / B)``; the second shows the
    objective of some batches, and that of all rows, along one parameter through the fit, with the minimum of each.

    Parameters
    ----------
    batch_sizes : ndarray of shape (n_sizes,)
        Rows in a batch.
    spreads : ndarray of shape (n_sizes,)
        Root mean square distance of batch gradients from the full gradient.
    noise : GradientNoise
        What theory says of them.
    positions : ndarray of shape (n_positions,)
        Values of a parameter.
    surface : ndarray of shape (n_positions,)
        Objective over all rows.
    batch_surfaces : ndarray of shape (n_batches, n_positions)
        Objective over each batch.
    batch_size : int
        Rows in these batches.
    label : str, default='parameter'
        Name of the parameter, with its unit.

    Attributes
    ----------
    axes_ : ndarray of two matplotlib Axes
        Spread, and surfaces.
    figure_ : matplotlib Figure
        Figure that holds them.
    spread_line_, theory_line_, surface_line_ : matplotlib Line2D
        Spreads as measured, the line ``1 / sqrt(B)``, the objective over all rows.
    batch_lines_ : list of matplotlib Line2D
        Objective over each batch.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd import GradientNoiseDisplay, OnlineSGDRegressor
    >>> X, y = np.arange(64.0).reshape(64, 1) % 7, np.arange(64.0) % 5
    >>> display = GradientNoiseDisplay.from_estimator(OnlineSGDRegressor().fit(X, y), X, y, random_state=0)
    >>> display.batch_sizes
    array([ 1,  2,  4,  8, 16, 32])
    """

    axes_: Any
    figure_: Any
    spread_line_: Any
    theory_line_: Any
    surface_line_: Any
    batch_lines_: list[Any]

    def __init__(
        self,
        *,
        batch_sizes: np.ndarray,
        spreads: np.ndarray,
        noise: GradientNoise,
        positions: np.ndarray,
        surface: np.ndarray,
        batch_surfaces: np.ndarray,
        batch_size: int,
        label: str = "parameter",
    ) -> None:
        self.batch_sizes = batch_sizes
        self.spreads = spreads
        self.noise = noise
        self.positions = positions
        self.surface = surface
        self.batch_surfaces = batch_surfaces
        self.batch_size = batch_size
        self.label = label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        batch_sizes: Any = None,
        n_batches: int = 200,
        parameter: int = 0,
        batch_size: int = 8,
        n_surfaces: int = 8,
        random_state: Any = None,
        ax: Any = None,
    ) -> Self:
        """Draw batches, at the parameters of a fit, and what they say of the gradient.

        Parameters
        ----------
        estimator : regressor of this package
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        batch_sizes : list of int, default=None
            Rows in a batch; None: powers of two up to half of the rows.
        n_batches : int, default=200
            Batches to draw of each size.
        parameter : int, default=0
            Which one the surfaces are drawn along: the number of a column, or -1 for the intercept.
        batch_size : int, default=8
            Rows in the batches whose surfaces are drawn; all of them where there are fewer.
        n_surfaces : int, default=8
            Batches whose surfaces are drawn.
        random_state : int, RandomState instance or None, default=None
            Seed of the batches.
        ax : array-like of two matplotlib Axes, default=None
            Panels; None: a new figure.

        Returns
        -------
        display : GradientNoiseDisplay
            The picture and its data.

        See Also
        --------
        sklearn_sgd.diagnostics.gradient_noise : The numbers alone.
        """
        names = [str(name) for name in getattr(X, "columns", [f"x{number}" for number in range(np.shape(X)[1])])]
        X, y, rng = np.asarray(X, dtype=float), np.asarray(y, dtype=float), check_random_state(random_state)
        n = len(y)
        sizes = np.array(batch_sizes if batch_sizes is not None else 2 ** np.arange(max(1, int(np.log2(n)))))
        noise = gradient_noise(estimator, X, y)
        spreads = []
        for size in sizes:
            drawn = [rng.choice(n, size, replace=False) for _ in range(n_batches)]
            distances = batch_gradients(estimator, X, y, drawn) - noise.gradient
            spreads.append(np.sqrt((distances**2).sum(axis=1).mean()))

        size = min(batch_size, n)
        batches = [rng.choice(n, size, replace=False) for _ in range(n_surfaces)]
        at = np.append(estimator.coef_, estimator.intercept_)
        column = np.ones(n) if parameter in (-1, len(names)) else X[:, parameter]
        # Where the minima of most batches lie, were the loss the squared error.
        reach = 3 * np.std(y - X @ at[:-1] - at[-1]) / np.sqrt(size * np.mean(column**2)) or 1.0
        positions = at[parameter] + np.linspace(-reach, reach, 121)
        line = np.tile(at, (len(positions), 1))
        line[:, parameter] = positions
        return cls(
            batch_sizes=sizes,
            spreads=np.array(spreads),
            noise=noise,
            positions=positions,
            surface=objective(estimator, X, y, line),
            batch_surfaces=np.array([objective(estimator, X[rows], y[rows], line) for rows in batches]),
            batch_size=size,
            label="intercept (units of y)"
            if parameter in (-1, len(names))
            else f"coefficient of {names[parameter]} (y per {names[parameter]})",
        ).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw it.

        Parameters
        ----------
        ax : array-like of two matplotlib Axes, default=None
            Panels; None: a new figure.

        Returns
        -------
        display : GradientNoiseDisplay
            Itself.
        """
        self.axes_ = _panels(ax, 2)
        self.figure_ = self.axes_[0].figure
        spread, surfaces = self.axes_
        theory = np.sqrt(self.noise.variance / self.batch_sizes)
        (self.theory_line_,) = spread.plot(
            self.batch_sizes, theory, **_style(1) | {"marker": ""}, label="√(variance / B)"
        )
        (self.spread_line_,) = spread.plot(self.batch_sizes, self.spreads, **_style(0) | {"ls": ""}, label="measured")
        spread.set(
            xlabel="batch size B (rows)",
            ylabel="distance from the full gradient\n(root mean square, units of the gradient)",
        )
        spread.set(xscale="log", yscale="log", title="Noise falls as 1/√B")
        spread.set_xticks(self.batch_sizes, [str(size) for size in self.batch_sizes])
        spread.set_xticks([], minor=True)
        spread.legend(fontsize="small", loc="lower left")
        self.batch_lines_ = []
        for number, values in enumerate(self.batch_surfaces):
            label = f"one batch of {self.batch_size}, its minimum" if not number else None
            style = {"color": "0.6", "lw": 0.9, "marker": "o", "mfc": "0.4", "mec": "0.4", "ms": 4}
            self.batch_lines_ += surfaces.plot(self.positions, values, **style, markevery=_minimum(values), label=label)
        style = {"color": COLORS[1], "lw": 2.5, "marker": "*", "mfc": COLORS[2], "mec": "black", "ms": 13}
        (self.surface_line_,) = surfaces.plot(
            self.positions, self.surface, **style, markevery=_minimum(self.surface), label="all rows, their minimum"
        )
        surfaces.set(
            xlabel=self.label, ylabel="objective (units of the loss)", title="Each batch redefines the objective"
        )
        surfaces.legend(fontsize="small", loc="upper center")
        return self


def _minimum(values) -> list[int]:
    """Where values are least, unless that is at an end: the minimum is then elsewhere."""
    at = int(np.argmin(values))
    return [at] if 0 < at < len(values) - 1 else []


def named(estimator: Any) -> dict[str, Any]:
    """Estimators with names: a dict as it is, else those of the classes, numbered where one comes twice."""
    if isinstance(estimator, dict):
        return estimator
    models = [estimator] if isinstance(estimator, BaseEstimator) else list(estimator)
    kinds = [type(last_step(model)).__name__ for model in models]
    names = [kind if kinds.count(kind) == 1 else f"{kind} {number}" for number, kind in enumerate(kinds, 1)]
    return dict(zip(names, models, strict=True))


def _values(given, models):
    """A number for each model, from a dict, a list, or a single number."""
    return [given[name] for name in models] if isinstance(given, dict) else np.ravel(given).tolist()


def _style(number: int) -> dict[str, Any]:
    """Of the line of that number: colour, dashes and marker differ from its neighbours'."""
    at = number % len(COLORS)
    return {"color": COLORS[at], "ls": DASHES[at], "marker": MARKERS[at], "ms": 5, "mfc": "white"}


def _sparsely(n_points: int) -> int:
    """Every how many points a marker stands: about ten on a line."""
    return max(1, n_points // 10)


def _pyplot():
    """Pyplot, imported when a picture is drawn."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Displays need matplotlib: pip install matplotlib (the extra sklearn-sgd[plot]).") from error
    return plt


def _axes(ax):
    """The axes given, or those of a new figure."""
    return _pyplot().subplots(layout="constrained")[1] if ax is None else ax


def _panels(ax, count: int, **shared) -> np.ndarray:
    """As many axes as panels: those given, or a row of new ones."""
    if ax is None:
        size = (max(4.0 * count, 5.5), 4.2)
        ax = _pyplot().subplots(1, count, figsize=size, layout="constrained", squeeze=False, **shared)[1]
    axes = np.ravel(ax)
    if len(axes) != count:
        raise ValueError(f"There are {count} panels to draw; got {len(axes)} axes.")
    return axes


def _legend_below(ax, lines) -> None:
    """A legend under the axes, where it hides no line."""
    ax.legend(
        lines,
        [line.get_label() for line in lines],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncols=2 if len(lines) > 1 else 1,
        fontsize="small",
        frameon=False,
    )
