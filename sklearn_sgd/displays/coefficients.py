"""Display of coefficients with their intervals."""

from typing import Any, Self

import numpy as np

from sklearn_sgd.displays._axes import COLORS, axes_or_new
from sklearn_sgd.inference import CoefficientTable, coefficient_table

# Height of a coefficient in a new figure, and of what is above and below all of them, in inches.
LINE, MARGIN = 0.2, 1.0


class CoefficientDisplay:
    """Forest plot: coefficients with their intervals, and a line at zero.

    Use :meth:`from_estimator` or :meth:`from_table` to make one.

    Parameters
    ----------
    coef : array-like of shape (n_coefficients,)
        Coefficients, from top to bottom.
    low, high : array-like of shape (n_coefficients,)
        Ends of their intervals.
    feature_names : list of str
        Their names.
    level : float, default=0.95
        Probability of the intervals, for the label of the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that it is drawn on.
    figure_ : matplotlib Figure
        Figure that holds them.
    errorbar_ : matplotlib ErrorbarContainer
        Coefficients and intervals.
    zero_ : matplotlib Line2D
        Line at zero.

    Examples
    --------
    >>> from sklearn_sgd import CoefficientDisplay
    >>> values = {"coef": [3.0, -1.0], "low": [2.0, -3.0], "high": [4.0, 1.0]}
    >>> display = CoefficientDisplay(**values, feature_names=["a", "b"]).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['a', 'b']
    """

    ax_: Any
    figure_: Any
    errorbar_: Any
    zero_: Any

    def __init__(self, *, coef: Any, low: Any, high: Any, feature_names: Any, level: float = 0.95) -> None:
        self.coef = coef
        self.low = low
        self.high = high
        self.feature_names = feature_names
        self.level = level

    @classmethod
    def from_table(cls, table: Any, *, features: Any = None, intercept: bool = False, ax: Any = None) -> Self:
        """Draw a table of coefficients.

        Parameters
        ----------
        table : CoefficientTable
            Table of one target.
        features : list of str, default=None
            Names of the coefficients to draw, in this order; None: all, in the order of the table.
        intercept : bool, default=False
            Whether the intercept is drawn, too. It has another unit than the coefficients.
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.

        Returns
        -------
        display : CoefficientDisplay
            The display, drawn, with its data.

        Raises
        ------
        TypeError
            If `table` is not that of one target.
        ValueError
            If a feature is not in the table, or there is nothing to draw.
        """
        if not isinstance(table, CoefficientTable):
            raise TypeError(
                f"table must be a CoefficientTable, of one target; got {type(table).__name__}. Remedy: from_table with "
                "one of the tables that coefficient_table returns for several targets."
            )
        names = list(table.feature_names)
        features = features if features is None or isinstance(features, str) else list(features)
        last = [len(names) - 1] * table.ends_with_intercept
        if features is None:
            at = [j for j in range(len(names)) if j not in last]
        elif isinstance(features, str) or (unknown := [name for name in features if name not in names]):
            got = features if isinstance(features, str) else unknown
            raise ValueError(f"features must be a list of names of the table's coefficients; got {got!r}.")
        else:
            at = [names.index(name) for name in features]
        at += [j for j in last if intercept and j not in at]
        if not at:
            raise ValueError(
                "There are no coefficients to draw: the table has none but the intercept, or features is []."
            )
        values = {name: getattr(table, name)[at] for name in ("coef", "low", "high")}
        return cls(**values, feature_names=[names[j] for j in at], level=table.level).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        robust: bool | str = True,
        level: float = 0.95,
        groups: Any = None,
        features: Any = None,
        intercept: bool = False,
        ax: Any = None,
    ) -> Self:
        """Make the table of a fit of one target, and draw it.

        Parameters
        ----------
        estimator : regressor of this package, or pipeline that ends in one
            Fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Samples of the fit.
        y : array-like of shape (n_samples,), default=None
            Their targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Their weights.
        robust, level, groups
            As :func:`~sklearn_sgd.inference.coefficient_table` takes them.
        features, intercept, ax
            As :meth:`from_table` takes them.

        Returns
        -------
        display : CoefficientDisplay
            The display, drawn, with its data.
        """
        table = coefficient_table(estimator, X, y, sample_weight, robust=robust, level=level, groups=groups)
        return cls.from_table(table, features=features, intercept=intercept, ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: those of a new figure.

        Returns
        -------
        display : CoefficientDisplay
            The display itself.
        """
        self.ax_ = axes_or_new(ax)
        self.figure_ = self.ax_.figure
        coef, low, high = (np.asarray(values, dtype=float) for values in (self.coef, self.low, self.high))
        places = np.arange(len(coef))
        if ax is None:
            self.figure_.set_figheight(max(self.figure_.get_figheight(), LINE * len(coef) + MARGIN))
        self.zero_ = self.ax_.axvline(0.0, color="0.5", ls="--", lw=0.8)
        bars, style = np.array([coef - low, high - coef]), {"ls": "none", "marker": "o", "ms": 5, "mfc": "white"}
        self.errorbar_ = self.ax_.errorbar(coef, places, xerr=bars, color=COLORS[1], capsize=3, **style)
        self.ax_.set_yticks(places, list(self.feature_names))
        self.ax_.set_ylim(len(coef) - 0.5, -0.5)
        self.ax_.set_xlabel(f"coefficient, interval of {100 * self.level:g} % (y per unit of the feature)")
        return self
