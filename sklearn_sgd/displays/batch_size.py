"""Display of score, time and updates against the batch size."""

from collections.abc import Iterable
from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd.diagnostics import n_updates
from sklearn_sgd.displays._axes import line_style, panels


class BatchSizeDisplay:
    """Score, seconds and updates of a fit against its batch size.

    Use :meth:`from_search` or :meth:`from_estimator` to make one.

    Parameters
    ----------
    batch_sizes : array-like of shape (n_sizes,)
        Samples per update; None for all samples, and 'auto', are drawn at the right.
    scores : array-like of shape (n_sizes,)
        Mean score on samples that a fit has not seen.
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
        """Draw the results of a search over the batch size.

        Parameters
        ----------
        search : GridSearchCV or the like
            A fitted search over a parameter whose name ends in ``batch_size``. If it also searched other parameters,
            the best score for each batch size is used. Updates are drawn if its `scoring` has an entry ``updates``,
            :func:`sklearn_sgd.diagnostics.n_updates`; the score is then that of `refit`, or the first one.
        score_name : str, default='mean score (R² unless set)'
            What the score is, with its unit.
        ax : array-like of matplotlib Axes, default=None
            Two panels, three with updates; None: a new figure.

        Returns
        -------
        display : BatchSizeDisplay
            The display, drawn, with its data.

        Raises
        ------
        NotFittedError
            If the search is not fitted.
        ValueError
            If it is not over exactly one parameter whose name ends in ``batch_size``.
        """
        check_is_fitted(search, "cv_results_")
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
        places = dict(zip(of_size, _places(of_size), strict=True))
        rows = [of_size[size] for size in sorted(of_size, key=places.__getitem__)]
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
        """Fit with each batch size on splits of the samples, one fit after another, and draw R², seconds and updates.

        Parameters
        ----------
        estimator : MiniBatchSGDRegressor, or pipeline that ends in one
            Not changed. It is fitted once before, so that the times do not include compilation.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Targets.
        batch_sizes : list of int, None or 'auto'
            Samples per update.
        cv : int, splitter or iterable, default=None
            Splits, as :class:`~sklearn.model_selection.GridSearchCV` takes them.
        ax : array-like of three matplotlib Axes, default=None
            Panels; None: a new figure.

        Returns
        -------
        display : BatchSizeDisplay
            The display, drawn, with its data.
        """
        name = "__".join([step for step, _ in getattr(estimator, "steps", [])[-1:]] + ["batch_size"])
        clone(estimator).fit(X, y)
        scoring = {"score": "r2", "updates": n_updates}
        search = GridSearchCV(estimator, {name: list(batch_sizes)}, scoring=scoring, refit=False, cv=cv)
        return cls.from_search(search.fit(X, y), score_name="mean R² (no unit)", ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : array-like of matplotlib Axes, default=None
            Two panels, three with updates; None: a new figure.

        Returns
        -------
        display : BatchSizeDisplay
            The display itself.
        """
        curves = {
            "score": (self.score_name, self.scores, self.score_deviations),
            "seconds": ("mean time of a fit (seconds)", self.seconds, self.second_deviations),
            "updates": ("mean updates of a fit", self.updates, None),
        }
        curves = {name: curve for name, curve in curves.items() if curve[1] is not None}
        self.axes_ = panels(ax, len(curves), sharex=True)
        self.figure_, self.lines_ = self.axes_[0].figure, {}
        x = _places(self.batch_sizes)
        for number, (panel, (name, (label, values, bars))) in enumerate(zip(self.axes_, curves.items(), strict=True)):
            self.lines_[name] = panel.errorbar(x, values, bars, **line_style(number), capsize=3, elinewidth=0.8)[0]
            panel.set(xlabel="batch size (samples per update)", ylabel=label, xscale="log")
            panel.set_xticks(x, ["all" if size is None else str(size) for size in self.batch_sizes])
            panel.set_xticks([], minor=True)
            if name != "score":
                panel.set_yscale("log")
        return self


def _places(batch_sizes: Iterable) -> np.ndarray:
    """Where batch sizes are drawn: None and 'auto' beyond the numbers."""
    sizes = list(batch_sizes)
    largest = max((size for size in sizes if isinstance(size, Real)), default=1)
    beyond = {None: 4.0 * largest, "auto": 16.0 * largest}
    return np.array([beyond.get(size, size) for size in sizes], dtype=float)
