"""The table of coefficients."""

from dataclasses import dataclass, field
from html import escape
from math import floor, log10
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

# Difference of two computations of a sum, in units of the sum of the sizes, up to which it is rounding.
ROUNDING = 1e-12


class Centred(NamedTuple):
    """Covariance of the coefficients and, in place of the intercept, of the prediction at the means of the features.

    The covariance with the intercept, which is the prediction at 0, has fewer digits if 0 is far from the features.
    """

    centre: np.ndarray
    covariance: np.ndarray

    @property
    def _move(self) -> np.ndarray:
        """The matrix from these parameters to those with the intercept."""
        move = np.eye(len(self.covariance))
        move[-1, :-1] = -self.centre
        return move

    def covariance_at_zero(self) -> np.ndarray:
        """Return the covariance with the intercept."""
        return self._move @ self.covariance @ self._move.T

    def is_of(self, covariance: np.ndarray) -> bool:
        """Return whether this is the covariance with the intercept, but for rounding."""
        sizes = abs(self._move) @ abs(self.covariance) @ abs(self._move.T)
        return bool(np.all(abs(covariance - self.covariance_at_zero()) <= ROUNDING * sizes))


@dataclass(frozen=True, eq=False, repr=False)
class CoefficientTable:
    """Coefficients of one target with standard errors, tests and intervals; the intercept comes last.

    :func:`coefficient_table` makes it. Printed, it looks like the table of statsmodels, and it has an HTML
    representation for notebooks.

    Parameters
    ----------
    coef : ndarray of shape (n_parameters,)
        Coefficients and, last, the intercept, if the model has one.
    covariance : ndarray of shape (n_parameters, n_parameters)
        Their covariance.
    feature_names : list of str
        Names of the features, and ``intercept``.
    n_samples : int
        Rows whose weight is not 0.
    level : float, default=0.95
        Probability of the intervals.
    df : int, default=None
        Degrees of freedom of Student's t; None: the normal distribution.
    dispersion : float, default=None
        Variance of the targets about their means, in units of the variance function (1 for the squared error), for a
        sample of mean weight; as given, for one of weight 1. Known with the classic formula only.
    method : str, default=''
        Formula of the covariance.
    notes : tuple of str, default=()
        Notes that are printed below the table.
    centred : tuple (centre, covariance), default=None
        Means of the features, and the covariance with the prediction there in place of the intercept. Intervals of
        predictions have all digits with it, where features are far from 0. They follow from `covariance` if this is
        None, or another covariance, because `covariance` was replaced.
    has_intercept : bool, default=None
        Whether the last coefficient is the intercept. None: whether its name is ``intercept``.

    Attributes
    ----------
    std_err : ndarray of shape (n_parameters,)
        Standard errors.
    z : ndarray of shape (n_parameters,)
        Coefficients divided by their standard errors.
    p_value : ndarray of shape (n_parameters,)
        Two-sided probability of a larger `z` if the true coefficient is 0.
    low, high : ndarray of shape (n_parameters,)
        Ends of the intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_sgd.inference import CoefficientTable
    >>> table = CoefficientTable(np.array([3.0, 1.0]), np.diag([1.0, 0.25]), ["a", "intercept"], n_samples=100)
    >>> table.z
    array([3., 2.])
    >>> table.low.round(2)
    array([1.04, 0.02])
    """

    coef: np.ndarray
    covariance: np.ndarray
    feature_names: list[str]
    n_samples: int
    level: float = 0.95
    df: int | None = None
    dispersion: float | None = None
    method: str = ""
    notes: tuple[str, ...] = field(default=())
    centred: Centred | None = None
    has_intercept: bool | None = None

    def __post_init__(self) -> None:
        """Check that all parts have the same number of coefficients."""
        k = len(self.feature_names)
        if np.shape(self.coef) != (k,) or np.shape(self.covariance) != (k, k):
            raise ValueError(
                f"coef must have a number and covariance a row and a column for each of the {k} feature_names; got "
                f"shapes {np.shape(self.coef)} and {np.shape(self.covariance)}."
            )

    @property
    def ends_with_intercept(self) -> bool:
        """Whether the last coefficient is the intercept."""
        return self.feature_names[-1:] == ["intercept"] if self.has_intercept is None else self.has_intercept

    @property
    def about(self) -> tuple[np.ndarray | None, np.ndarray]:
        """A point, None for 0, and the covariance with the prediction there in place of the intercept."""
        if self.centred is not None and self.centred.is_of(self.covariance):
            return self.centred
        return None, self.covariance

    @property
    def std_err(self) -> np.ndarray:
        """Standard errors."""
        return np.sqrt(np.maximum(self.covariance.diagonal(), 0.0))

    @property
    def z(self) -> np.ndarray:
        """Coefficients in units of their standard errors."""
        with np.errstate(all="ignore"):
            return self.coef / self.std_err

    @property
    def p_value(self) -> np.ndarray:
        """Two-sided probability of a larger ``z`` if the true coefficient is 0."""
        return 2.0 * self.distribution.sf(np.abs(self.z))

    @property
    def low(self) -> np.ndarray:
        """Lower ends of the intervals."""
        return self.coef - self.quantile(self.level) * self.std_err

    @property
    def high(self) -> np.ndarray:
        """Upper ends of the intervals."""
        return self.coef + self.quantile(self.level) * self.std_err

    @property
    def distribution(self) -> Any:
        """Distribution of ``z`` about its true value: normal, or Student's t."""
        return stats.norm() if self.df is None else stats.t(self.df)

    def quantile(self, level: float) -> float:
        """Half-width of an interval, in standard errors.

        Parameters
        ----------
        level : float
            Probability of the interval, between 0 and 1.

        Returns
        -------
        quantile : float
            The quantile of the distribution of `z` at ``(1 + level) / 2``.
        """
        return float(self.distribution.ppf(0.5 + 0.5 * level))

    def to_frame(self) -> Any:
        """Return the table as a data frame of pandas, with a row for each coefficient.

        Returns
        -------
        frame : pandas.DataFrame
            Columns ``coef``, ``std_err``, ``z``, ``p_value``, ``low`` and ``high``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install pandas.") from error
        return pd.DataFrame({name: getattr(self, name) for name in COLUMNS}, index=list(self.feature_names))

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the titles of the columns and the rows, as text."""
        letter, tail = "z" if self.df is None else "t", 0.5 - 0.5 * self.level
        upper = f"{1.0 - tail:.{2 - floor(log10(tail))}f}".rstrip("0")  # As many digits as the other end has.
        titles = ["", "coef", "std err", letter, f"P>|{letter}|", f"[{tail:.3g}", f"{upper}]"]
        rows = zip(self.feature_names, *(getattr(self, name) for name in COLUMNS), strict=True)
        return titles, [
            [str(name), f"{w:.4g}", f"{s:.3g}", f"{z:.3f}", f"{p:.3f}", f"{a:.4g}", f"{b:.4g}"]
            for name, w, s, z, p, a, b in rows
        ]

    def _footer(self) -> list[str]:
        """Return the lines below the table."""
        dispersion = [] if self.dispersion is None else [f"Dispersion: {self.dispersion:.6g}"]
        return [f"Rows: {self.n_samples}", f"Covariance: {self.method}", *dispersion, *self.notes]

    def __repr__(self) -> str:
        """Return the table as text."""
        titles, rows = self._cells()
        first = max(len(row[0]) for row in [titles, *rows])
        widths = [max(10, *(len(row[k]) + 2 for row in [titles, *rows])) for k in range(1, len(titles))]
        lines = [row[0].ljust(first) + "".join(map(str.rjust, row[1:], widths)) for row in [titles, *rows]]
        thick, thin = "=" * len(lines[0]), "-" * len(lines[0])
        return "\n".join([thick, lines[0], thin, *lines[1:], thick, *self._footer()])

    def _repr_html_(self) -> str:
        titles, rows = self._cells()
        head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
        body = "".join(
            f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{cell}</td>" for cell in row[1:]) + "</tr>"
            for row in rows
        )
        foot = "<br>".join(map(escape, self._footer()))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{foot}</p>"


COLUMNS = ("coef", "std_err", "z", "p_value", "low", "high")
