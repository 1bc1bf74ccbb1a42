"""Display of the loss of each epoch."""

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd._base.objective import check_regressor
from sklearn_sgd.diagnostics import last_step, record_fit
from sklearn_sgd.displays._axes import (
    axes_or_new,
    legend_below,
    line_style,
    marker_spacing,
    named_estimators,
    values_by_name,
)

UNITS = {
    "epoch": "epochs (passes over the samples)",
    "update": "updates (steps taken)",
    "second": "time (seconds)",
}

# Labels for models that learned by `partial_fit`, alone and together with others.
CALLS, BOTH = "calls of partial_fit (chunks of samples)", "epochs, or calls of partial_fit"


class LossCurveDisplay:
    """Loss of each epoch, or of each update, of one or several fits, against epochs, updates or seconds.

    Use :meth:`from_estimator` to make one. For a model that learned by `partial_fit`, or from a stream, the display
    shows the loss of each call in `loss_curve_`. If samples are given, ``per="update"`` draws the loss of each batch
    before its update as a thin line, and its running mean: the losses of batches are noisy, and fall on average. If a
    fit has scores on validation samples, they are drawn as thin lines with an axis on the right.

    Parameters
    ----------
    loss_curves : dict of str to array-like of shape (n_epochs,)
        Mean loss of each epoch, for each name.
    updates_per_epoch : dict of str to float
        Updates in an epoch.
    validation_scores : dict of str to array-like of shape (n_epochs,), default={}
        D² on validation samples, after each epoch; R² for the squared error.
    seconds : dict of str to float, default={}
        Duration of each fit; its epochs are assumed to take equally long.
    n_losses : dict of str to int, default={}
        Total numbers of losses, if a curve has only the last of them. By default it has all.
    n_calls : dict of str to int, default={}
        Numbers of losses that belong to calls of `partial_fit`. By default none.
    update_losses : dict of str to ndarray of shape (n_updates,), default={}
        Mean loss of each batch, before its update.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the losses.
    validation_ax_ : matplotlib Axes or None
        Axes of the scores.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Losses; of updates, their running means.
    update_lines_ : dict of str to matplotlib Line2D
        Losses of single updates, if they are drawn.
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
    update_lines_: dict[str, Any]
    validation_lines_: dict[str, Any]

    def __init__(
        self,
        *,
        loss_curves: dict,
        updates_per_epoch: dict,
        validation_scores: dict | None = None,
        seconds: dict | None = None,
        n_losses: dict | None = None,
        n_calls: dict | None = None,
        update_losses: dict | None = None,
    ) -> None:
        self.loss_curves = loss_curves
        self.updates_per_epoch = updates_per_epoch
        self.validation_scores = validation_scores or {}
        self.seconds = seconds or {}
        self.n_losses = {name: len(losses) for name, losses in loss_curves.items()} | (n_losses or {})
        self.n_calls = dict.fromkeys(loss_curves, 0) | (n_calls or {})
        self.update_losses = update_losses or {}

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        per: str = "epoch",
        seconds: Any = None,
        window: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw the losses of fitted regressors; or, given samples, fit clones and draw theirs.

        Parameters
        ----------
        estimator : regressor or pipeline that ends in one, list of them, or dict of str to them
            Fitted, unless X and y are given. Without a dict, the names are those of the classes.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Samples to fit clones to, so that the loss of each update is known.
        y : array-like of shape (n_samples,), default=None
            Targets.
        per : {'epoch', 'update', 'second'}, default='epoch'
            What the losses are drawn against.
        seconds : float, list of float, or dict of str to float, default=None
            Seconds that each fit took; needed for ``per='second'``.
        window : int, default=None
            Updates in the running mean; None: those of an epoch.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn, with its data.
        """
        named = named_estimators(estimator)
        records = {} if X is None else {name: record_fit(model, X, y) for name, model in named.items()}
        models = {name: records[name].model if records else last_step(model) for name, model in named.items()}
        for model in models.values():
            check_regressor(model)
            check_is_fitted(model)
        counts = {name: model._loss_counts for name, model in models.items()}
        return cls(
            loss_curves={name: np.array(model.loss_curve_) for name, model in models.items()},
            updates_per_epoch={name: model.n_updates_ / counts[name][0] for name, model in models.items()},
            validation_scores={
                name: np.array(model.validation_scores_)
                for name, model in models.items()
                if hasattr(model, "validation_scores_")
            },
            seconds=None if seconds is None else dict(zip(models, values_by_name(seconds, models), strict=True)),
            n_losses={name: n for name, (n, _) in counts.items()},
            n_calls={name: n for name, (_, n) in counts.items()},
            update_losses={name: record.losses for name, record in records.items()},
        ).plot(per, window=window, ax=ax)

    def plot(self, per: str = "epoch", *, window: int | None = None, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        per : {'epoch', 'update', 'second'}, default='epoch'
            What the losses are drawn against.
        window : int, default=None
            Updates in the running mean of losses of updates; None: those of an epoch.
        ax : matplotlib Axes, default=None
            Where to draw; None: a new figure.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.

        Raises
        ------
        ValueError
            If `per` is none of these, or is 'second' and the display has no times.
        """
        if per not in UNITS:
            raise ValueError(f"per must be one of {', '.join(map(repr, UNITS))}; got {per!r}.")
        if per == "second" and not self.seconds:
            raise ValueError("per='second' needs seconds: how long each fit took.")
        self.ax_ = axes_or_new(ax)
        self.figure_ = self.ax_.figure
        self.validation_ax_ = self.ax_.twinx() if self.validation_scores else None
        self.lines_, self.update_lines_, self.validation_lines_ = {}, {}, {}
        for number, name in enumerate(self.loss_curves):
            style = line_style(number)
            if per == "update" and name in self.update_losses:
                x, losses = self._draw_updates(name, style["color"], window)
            else:
                x, losses = self._positions(name, per), self.loss_curves[name]
            (self.lines_[name],) = self.ax_.plot(x, losses, **style, markevery=marker_spacing(len(x)), label=name)
            if name in self.validation_scores:
                (self.validation_lines_[name],) = self.validation_ax_.plot(
                    self._positions(name, per),
                    self.validation_scores[name],
                    **style | {"marker": ""},
                    lw=0.8,
                    label=f"{name}, validation score",
                )
        self.ax_.set(
            xlabel=self._unit() if per == "epoch" else UNITS[per], ylabel="mean loss per sample (units of the loss)"
        )
        drawn = [line.get_ydata() for line in (*self.lines_.values(), *self.update_lines_.values())]
        if all(np.all(np.asarray(losses) > 0) for losses in drawn):
            self.ax_.set_yscale("log")
        if self.update_lines_:
            self._show_means()
        if per != "epoch":
            self.ax_.set_xscale("log")
        if self.validation_ax_:
            self.validation_ax_.set_ylabel("D² on validation samples (thin lines), R² for the squared error")
        legend_below(self.ax_, [*self.lines_.values(), *self.validation_lines_.values()])
        return self

    def _positions(self, name: str, per: str) -> np.ndarray:
        """Return the positions of the losses of epochs on the horizontal axis."""
        last = self.n_losses[name]
        unit = {
            "epoch": lambda: 1.0,
            "update": lambda: self.updates_per_epoch[name],
            "second": lambda: self.seconds[name] / last,
        }[per]()
        return np.arange(last - len(self.loss_curves[name]) + 1.0, last + 1) * unit

    def _show_means(self) -> None:
        """Set the limits of the axis by the running means: the losses of single samples are often nearly 0."""
        means = np.concatenate([line.get_ydata() for line in self.lines_.values()])
        means, (low, high) = means[np.isfinite(means)], self.ax_.get_ylim()
        if len(means) and means.min() > 0.0:
            self.ax_.set_ylim(max(low, means.min() / 3.0), min(high, means.max() * 3.0))

    def _draw_updates(self, name: str, color: Any, window: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Draw the losses of single updates; return the numbers of the updates, and the running mean."""
        losses = np.asarray(self.update_losses[name], dtype=float)
        x, size = np.arange(1, len(losses) + 1), max(1, window or round(self.updates_per_epoch[name]))
        sums = np.concatenate([[0.0], np.cumsum(losses)])
        first = np.maximum(x - size, 0)
        (self.update_lines_[name],) = self.ax_.plot(x, losses, color=color, lw=0.6, alpha=0.35, zorder=1)
        return x, (sums[x] - sums[first]) / (x - first)

    def _unit(self) -> str:
        """Return the unit of the horizontal axis."""
        if not any(self.n_calls.values()):
            return UNITS["epoch"]
        return CALLS if all(self.n_calls[name] >= self.n_losses[name] for name in self.loss_curves) else BOTH
