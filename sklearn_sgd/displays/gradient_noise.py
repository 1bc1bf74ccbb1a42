"""Display of the noise of batch gradients."""

from math import inf
from typing import Any, Self

import numpy as np
from sklearn.utils import check_random_state

from sklearn_sgd._base.objective import parameters_of
from sklearn_sgd.diagnostics import GradientNoise, batch_gradients, check_data, gradient_noise, objective
from sklearn_sgd.displays._axes import COLORS, feature_names, line_style, panels, parameter_label


class GradientNoiseDisplay:
    """Spread of batch gradients around the full gradient, and the objective over each of several batches.

    Use :meth:`from_estimator` to make one. The first panel shows the root mean square distance of the gradients of
    random batches of B samples from the full gradient, with the line ``sqrt(variance / B)``; the second shows the
    objective of some batches, and that of all samples, along one parameter through the fit, with the minimum of each.

    Parameters
    ----------
    batch_sizes : ndarray of shape (n_sizes,)
        Samples per batch.
    spreads : ndarray of shape (n_sizes,)
        Root mean square distance of batch gradients from the full gradient.
    noise : GradientNoise
        The noise according to theory.
    positions : ndarray of shape (n_positions,)
        Values of a parameter.
    surface : ndarray of shape (n_positions,)
        Objective over all samples.
    batch_surfaces : ndarray of shape (n_batches, n_positions)
        Objective over each batch.
    batch_size : int
        Samples in these batches.
    label : str, default='parameter'
        Name of the parameter, with its unit.

    Attributes
    ----------
    axes_ : ndarray of two matplotlib Axes
        Spread, and surfaces.
    figure_ : matplotlib Figure
        Figure that holds them.
    spread_line_, theory_line_, surface_line_ : matplotlib Line2D
        Spreads as measured, the line ``1 / sqrt(B)``, the objective over all samples.
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
        """Draw batches at the parameters of a fit, and their gradients.

        Parameters
        ----------
        estimator : regressor of this package
            Fitted.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Targets.
        batch_sizes : list of int, default=None
            Batch sizes; None: powers of two up to half of the number of samples.
        n_batches : int, default=200
            Batches to draw of each size.
        parameter : int, default=0
            Parameter on the horizontal axis of the surfaces: the number of a feature, or -1 for the intercept.
        batch_size : int, default=8
            Samples in the batches whose surfaces are drawn, at most all samples.
        n_surfaces : int, default=8
            Batches whose surfaces are drawn.
        random_state : int, RandomState instance or None, default=None
            Seed of the batches.
        ax : array-like of two matplotlib Axes, default=None
            Panels; None: a new figure.

        Returns
        -------
        display : GradientNoiseDisplay
            The display, drawn, with its data.

        See Also
        --------
        sklearn_sgd.diagnostics.gradient_noise : The numbers alone.
        """
        names, at = feature_names(X), np.append(*parameters_of(estimator))
        (X, y), rng = check_data(X, y), check_random_state(random_state)
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
        unit = np.eye(len(at))[parameter]
        column = X @ unit[:-1] + unit[-1]
        # The range with the minima of most batches, for the squared error; a column of zeros has none.
        size_of_column = np.sqrt(size * np.mean(column**2)) or inf
        reach = 3 * np.std(y - X @ at[:-1] - at[-1]) / size_of_column or 1.0
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
            label=parameter_label(names, parameter),
        ).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : array-like of two matplotlib Axes, default=None
            Panels; None: a new figure.

        Returns
        -------
        display : GradientNoiseDisplay
            The display itself.
        """
        self.axes_ = panels(ax, 2)
        self.figure_ = self.axes_[0].figure
        spread, surfaces = self.axes_
        theory = np.sqrt(self.noise.variance / self.batch_sizes)
        (self.theory_line_,) = spread.plot(
            self.batch_sizes, theory, **line_style(1) | {"marker": ""}, label="√(variance / B)"
        )
        (self.spread_line_,) = spread.plot(
            self.batch_sizes, self.spreads, **line_style(0) | {"ls": ""}, label="measured"
        )
        spread.set(
            xlabel="batch size B (samples)",
            ylabel="distance from the full gradient\n(root mean square, units of the gradient)",
        )
        # Without noise there is no logarithm of it.
        has_noise = max(theory.max(), self.spreads.max()) > 0.0
        spread.set(xscale="log", yscale="log" if has_noise else "linear", title="Noise falls as 1/√B")
        spread.set_xticks(self.batch_sizes, [str(size) for size in self.batch_sizes])
        spread.set_xticks([], minor=True)
        spread.legend(fontsize="small", loc="lower left")
        self.batch_lines_ = []
        # The line has gaps where the penalty does not allow the parameter.
        batch_surfaces, surface = map(np.ma.masked_invalid, (self.batch_surfaces, self.surface))
        for number, values in enumerate(batch_surfaces):
            label = f"one batch of {self.batch_size}, its minimum" if not number else None
            style = {"color": "0.6", "lw": 0.9, "marker": "o", "mfc": "0.4", "mec": "0.4", "ms": 4}
            self.batch_lines_ += surfaces.plot(self.positions, values, **style, markevery=_minimum(values), label=label)
        style = {"color": COLORS[1], "lw": 2.5, "marker": "*", "mfc": COLORS[2], "mec": "black", "ms": 13}
        (self.surface_line_,) = surfaces.plot(
            self.positions, surface, **style, markevery=_minimum(surface), label="all samples, their minimum"
        )
        surfaces.set(
            xlabel=self.label, ylabel="objective (units of the loss)", title="Each batch has its own objective"
        )
        surfaces.legend(fontsize="small", loc="upper center")
        return self


def _minimum(values) -> list[int]:
    """Return the index of the smallest value in a list; an empty list if it is at an end."""
    at = int(np.argmin(values))
    return [at] if 0 < at < len(values) - 1 else []
