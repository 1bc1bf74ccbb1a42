"""The minimum of a piecewise linear objective from a point nearby: a vertex, and from it along edges.

A loss that consists of two straight lines, or of three with 0 in the middle, and an L1 term make the mean loss of the
rows piecewise linear. At a vertex as many kinks meet as there are parameters: rows that the predictions pass through,
and coefficients of 0. A multiplier for each kink balances the slopes of all others. Where one is outside the slopes
beside its kink, the objective falls along the edge that leaves it, and is least at one of the kinks that the edge
crosses. If none is outside, the vertex is the minimum. The sides of the kinks are kept, rather than found from values
near 0.

References
----------
Barrodale, I. and Roberts, F. D. K., "An improved algorithm for discrete l1 linear approximation", SIAM Journal on
Numerical Analysis 10, 1973.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import linalg

# Maximum number of edges, and of entries of X and of the inverse that they read.
EDGES, ENTRIES = 1000, 2e8

# Part of a kink's normal that must be new; slopes that are due to rounding, in units of the largest one.
NEW, ROUNDING = 1e-7, 1e-9


class Kinks(NamedTuple):
    """Places of the kinks: of each row one or two, and one of each coefficient; the slopes below and above them."""

    places: np.ndarray
    below: np.ndarray
    above: np.ndarray
    n_rows: int

    @classmethod
    def of(cls, problem: Any, z: np.ndarray) -> "Kinks | None":
        """Return the kinks of a smoothed problem, or None if its loss has others, or its penalty is not straight."""
        loss, y, varies = problem.loss, problem.y, problem.units > 0.0
        corners = [slopes[varies] * problem.units[varies] for slopes in (problem.below, problem.above)]
        half = getattr(loss, "epsilon", 0.0)
        far = 2.0 * half + (np.max(abs(z - y)) or np.max(abs(y)) or 1.0)
        left, right = loss.gradient(y, y - far) + 0.0 * y, loss.gradient(y, y + far) + 0.0 * y
        for p in (z, y - 0.5 * far, y + 0.5 * far, y):
            straight = left * np.minimum(p - y + half, 0.0) + right * np.maximum(p - y - half, 0.0)
            if not np.allclose(loss.value(y, p), straight, rtol=1e-7, atol=1e-9 * far * np.max(right - left)):
                return None
        left, right, none = problem.share * left, problem.share * right, np.zeros(len(y))
        of_rows = (y - half, left, none), (y + half, none, right)
        if not half:
            of_rows = ((y, left, right),)  # type: ignore[assignment]
        places, below, above = map(np.concatenate, zip(*of_rows, (0.0 * corners[0], *corners), strict=True))
        return cls(places, below, above, len(y))

    def spread(self, of_rows: np.ndarray, of_columns: np.ndarray) -> np.ndarray:
        """Return values of the rows and the coefficients for each kink."""
        return np.append(np.tile(of_rows, (len(self.places) - len(of_columns)) // self.n_rows), of_columns)

    def slopes(self, side: np.ndarray, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the slopes of the rows and the coefficients; a side of 0 has none."""
        each = np.where(side < 0, self.below, np.where(side > 0, self.above, 0.0))
        first = len(each) - n_columns
        return each[:first].reshape(-1, self.n_rows).sum(axis=0), each[first:]


def independent(normals: np.ndarray) -> list[int]:
    """Return the first rows that are not linear combinations of those before them, up to the number of columns."""
    chosen: list[int] = []
    found = np.zeros((0, normals.shape[1]))
    sizes = np.sqrt(np.sum(np.square(normals), axis=1))
    for number, normal in enumerate(normals):
        rest = normal - (found @ normal) @ found
        rest -= (found @ rest) @ found
        size = float(np.sqrt(rest @ rest))
        if size > NEW * sizes[number]:
            found, chosen = np.vstack((found, rest / size)), [*chosen, number]
        if len(chosen) == normals.shape[1]:
            break
    return chosen


class Vertex:
    """A vertex of the objective of a problem, and the edges from it."""

    def __init__(self, problem: Any, kinks: Kinks, v: np.ndarray, z: np.ndarray):
        """``v`` are parameters along the directions of the problem, with the predictions z, near the vertex."""
        self.problem, self.kinks, self.size = problem, kinks, len(v)
        self.n_columns = problem.directions.shape[1]
        self.first = len(kinks.places) - self.n_columns
        distances = abs(kinks.spread(z, v[: self.n_columns]) - kinks.places)
        # The normals of all coefficients and of a row span the space.
        near = np.argsort(distances, kind="stable")[: 2 * self.size]
        near = np.union1d(near, np.arange(self.first, len(distances)))
        near = near[np.argsort(distances[near], kind="stable")]
        normals = self._normals(near)
        chosen = independent(normals)
        self.is_known = len(chosen) == self.size
        if self.is_known:
            self.active, self.normals = near[chosen], normals[chosen]
            self.inverse = linalg.inv(self.normals)
            v = self._values()
            self.distances = kinks.spread(self._predictions(v), v[: self.n_columns]) - kinks.places
            self.side = np.where(self.distances < 0.0, -1, 1)
            self.side[self.active] = 0

    def parameters(self, v: np.ndarray) -> np.ndarray:
        """Return coefficients and the intercept."""
        return np.append(
            self.problem.directions @ v[: self.n_columns], v[self.n_columns :] if self.problem.bias else 0.0
        )

    def _predictions(self, v: np.ndarray) -> np.ndarray:
        return self.problem.predictions(self.parameters(v))

    def _normals(self, some: np.ndarray) -> np.ndarray:
        """Return how predictions of rows, and coefficients, depend on the parameters."""
        normals, of_rows = np.zeros((len(some), self.size)), some < self.first
        normals[of_rows] = self.problem.rows_along(some[of_rows] % self.kinks.n_rows)[:, : self.size]
        normals[np.flatnonzero(~of_rows), some[~of_rows] - self.first] = 1.0
        return normals

    def _values(self) -> np.ndarray:
        """Return the parameters along the directions."""
        places = self.kinks.places[self.active]
        v = self.inverse @ places
        v += self.inverse @ (places - self.normals @ v)
        v[self.active[self.active >= self.first] - self.first] = 0.0
        return v

    def _falls(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return by how much each multiplier is above and below its slopes, and whether that of one is, clearly."""
        of_rows, of_columns = self.kinks.slopes(self.side, self.n_columns)
        g = self.problem.pulled(of_rows)
        g = np.append(g[:-1] @ self.problem.directions + of_columns, g[-1])[: self.size]
        multipliers = -(g @ self.inverse)
        above = multipliers - self.kinks.above[self.active]
        below = self.kinks.below[self.active] - multipliers
        rounding = ROUNDING * max(np.max(abs(multipliers)), np.max(abs(g)))
        return above, below, bool(np.max(np.maximum(above, below)) > rounding)

    def leave(self) -> bool:
        """Move along the steepest edge to the kink where the objective is least; False if it rises along all."""
        above, below, is_clear = self._falls()
        if not is_clear:
            return False
        kinks, falls = self.kinks, np.maximum(above, below)
        left = int(np.argmax(falls / np.sqrt(np.sum(np.square(self.inverse), axis=0))))
        sign = 1 if above[left] >= below[left] else -1
        d = sign * self.inverse[:, left]
        rates = kinks.spread(self._predictions(d), d[: self.n_columns])
        ahead = np.flatnonzero(self.side * rates < 0.0)
        lengths = np.maximum(-self.distances[ahead] / rates[ahead], 0.0)
        order = np.argsort(lengths, kind="stable")
        jumps = (kinks.above - kinks.below)[ahead] * abs(rates[ahead])
        last = int(np.searchsorted(np.cumsum(jumps[order]), falls[left]))
        if last == len(order):
            return False
        crossed, entered = ahead[order[:last]], int(ahead[order[last]])
        self.side[crossed] *= -1
        self.side[self.active[left]], self.side[entered] = sign, 0
        self.distances += lengths[order[last]] * rates
        self.distances[entered] = 0.0
        self._exchange(left, entered)
        return True

    def _exchange(self, left: int, entered: int) -> None:
        """Replace an active kink by another one."""
        normal = self._normals(np.array([entered]))[0]
        along = normal @ self.inverse
        column = self.inverse[:, left] / along[left]
        along[left] -= 1.0
        self.inverse -= np.outer(column, along)
        self.active[left], self.normals[left] = entered, normal

    def descend(self) -> tuple[np.ndarray, bool]:
        """Return the parameters of the last vertex, and whether it is the minimum."""
        most = min(EDGES, int(ENTRIES / (self.first * self.n_columns + self.size**2)))
        ends = next((True for _ in range(most) if not self.leave()), False)
        return self.parameters(self._values()), ends and not self._falls()[2]


def vertex(problem: Any, kinks: Kinks, w: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the parameters of a vertex, searched for from w on, and whether it is the minimum; or w and False."""
    varies = problem.units > 0.0
    v = np.append(w[:-1][varies] / problem.units[varies], w[-1:] if problem.bias else ())
    found = Vertex(problem, kinks, v, problem.predictions(w))
    return found.descend() if found.is_known else (w, False)
