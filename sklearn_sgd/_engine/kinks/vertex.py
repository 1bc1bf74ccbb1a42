"""The minimum of a piecewise linear objective from a point nearby: a vertex, and from it along edges.

A loss that consists of straight lines, and an L1 term or a bound at 0, make a piecewise linear objective. At a vertex
as many kinks meet as there are parameters: rows that the predictions pass through, and coefficients of 0. A multiplier
for each kink balances the slopes of all others. Where one is outside the slopes beside its kink, the objective falls
along the edge that leaves it, and is least at one of the kinks that the edge crosses. If none is outside, the vertex is
the minimum. The sides of the kinks are kept, rather than found from values near 0.

References
----------
Barrodale, I. and Roberts, F. D. K., "An improved algorithm for discrete l1 linear approximation", SIAM Journal on
Numerical Analysis 10, 1973.
"""

from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.kinks.jumps import slope_jumps

# Maximum number of edges, and of entries of X and of the inverse that they read.
EDGES, ENTRIES = 1000, 2e8

# Kinks of the loss are looked for up to that many times the largest residual.
REACH = 2.0**8

# Part of a kink's normal that must be new; slopes that are due to rounding, in units of the largest one.
NEW, ROUNDING = 1e-7, 1e-9


class Kinks(NamedTuple):
    """Places of the kinks, first those of rows, one or more of each; the slopes below and above them.

    ``columns`` are the numbers of the coefficients that have the others.
    """

    places: np.ndarray
    below: np.ndarray
    above: np.ndarray
    n_rows: int
    columns: np.ndarray

    @classmethod
    def of(cls, problem: Any, z: np.ndarray) -> "Kinks | None":
        """Return the kinks of a smoothed problem; None if its loss has none, is not straight between, or not convex."""
        loss, y = problem.loss, problem.y
        found, is_straight = slope_jumps(loss, y, z, REACH)
        if not (found and is_straight and min(jump.size for jump in found) > 0.0):
            return None
        # The loss is a sum of pairs of lines that meet at a kink, all but those of the first one level below it.
        pairs = [(y + jump.at, 0.0 if k else jump.below, jump.size) for k, jump in enumerate(found)]
        first, reach = y + found[0].at, 2.0 * max(abs(jump.at) for jump in found)
        most = max(abs(found[0].below), *(abs(jump.size) for jump in found))
        far = reach + (np.max(abs(z - y)) or np.max(abs(y)) or 1.0)

        def straight(p: np.ndarray) -> np.ndarray:
            return sum(below * (p - at) + size * np.maximum(p - at, 0.0) for at, below, size in pairs)

        for p in (z, y - 0.5 * far, y + 0.5 * far, y):
            rise = straight(p) - straight(first)
            if not np.allclose(loss.value(y, p) - loss.value(y, first), rise, rtol=1e-7, atol=1e-9 * far * most):
                return None
        of_rows = [(at, problem.share * below, problem.share * (below + size)) for at, below, size in pairs]
        # Coefficients have corners only where directions are single columns.
        of_columns, columns = [], [np.zeros(0, int)]
        for corner in problem.corners:
            at, low, high = problem.directions.along(corner.places), *map(problem.directions.slopes, corner[1:])
            has_corner = np.flatnonzero(high > low)
            of_columns.append((at[has_corner], low[has_corner], high[has_corner]))
            columns.append(has_corner)
        places, below, above = map(np.concatenate, zip(*of_rows, *of_columns, strict=True))
        return cls(places, below, above, len(y), np.concatenate(columns))

    def spread(self, of_rows: np.ndarray, of_columns: np.ndarray) -> np.ndarray:
        """Return values of the rows and the coefficients for each kink."""
        return np.append(np.tile(of_rows, self.first // self.n_rows), of_columns[self.columns])

    @property
    def first(self) -> int:
        """Number of the kinks of rows."""
        return len(self.places) - len(self.columns)

    def slopes(self, side: np.ndarray) -> np.ndarray:
        """Return the slopes of the kinks; a side of 0 has none."""
        return np.where(side < 0, self.below, np.where(side > 0, self.above, 0.0))

    def summed(self, values: np.ndarray, n_columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Return sums over the kinks of each row, and of each of so many coefficients."""
        of_rows, of_columns = values[: self.first], values[self.first :]
        return of_rows.reshape(-1, self.n_rows).sum(axis=0), np.bincount(self.columns, of_columns, n_columns)


class LinearProgram:
    """Kinks, and how predictions of rows and coefficients depend on parameters along the directions of a problem."""

    def __init__(self, problem: Any, kinks: Kinks):
        self.problem, self.kinks, self.n_columns = problem, kinks, problem.directions.number
        self.size = self.n_columns + bool(problem.bias)

    def along(self, w: np.ndarray) -> np.ndarray:
        """Return the parameters along the directions for coefficients and the intercept."""
        return np.append(self.problem.directions.along(w[:-1]), w[-1:] if self.problem.bias else ())

    def parameters(self, v: np.ndarray) -> np.ndarray:
        """Return coefficients and the intercept."""
        coefficients = self.problem.directions.coefficients(v[: self.n_columns])
        return np.append(coefficients, v[self.n_columns :] if self.problem.bias else 0.0)

    def normal_products(self, v: np.ndarray) -> np.ndarray:
        """Return the predictions of the rows, and the coefficients, for each kink."""
        return self.kinks.spread(self.problem.predictions(self.parameters(v)), v[: self.n_columns])

    def pulled(self, slopes: np.ndarray) -> np.ndarray:
        """Return the gradient for slopes of the kinks."""
        of_rows, of_columns = self.kinks.summed(slopes, self.n_columns)
        g = self.problem.pulled(of_rows)
        return np.append(self.problem.directions.slopes(g[:-1]) + of_columns, g[-1])[: self.size]

    def pull(self, v: np.ndarray) -> np.ndarray:
        """Return the gradient of what has no kinks: the loss of other rows, and the smooth part of the penalty."""
        pull, rest = self.problem.penalty.gradient(self.parameters(v)[:-1]), self.problem.rest
        return np.append(self.problem.directions.slopes(rest[:-1] + pull), rest[-1])[: self.size]

    def system(self, v: np.ndarray, curvatures: np.ndarray) -> np.ndarray:
        """Return the second derivatives for curvatures at the kinks, and of the smooth part of the penalty."""
        of_rows, of_columns = self.kinks.summed(curvatures, self.n_columns)
        system = self.problem.system_of_rows(of_rows)[: self.size, : self.size]
        ridge = self.problem.ridge(self.parameters(v), 0.0)
        system[: self.n_columns, : self.n_columns] += self.problem.directions.curvatures(ridge) + np.diag(of_columns)
        return system


def independent(normals: np.ndarray, sizes: np.ndarray) -> list[int]:
    """Return the first rows that are not linear combinations of those before them, up to the number of columns.

    ``sizes`` are those in units of which a part is new.
    """
    chosen: list[int] = []
    basis = np.empty((normals.shape[1], normals.shape[1]))
    for number, normal in enumerate(normals):
        if len(chosen) == normals.shape[1]:
            break
        found = basis[: len(chosen)]
        rest = normal - (found @ normal) @ found
        rest -= (found @ rest) @ found
        size = float(np.sqrt(rest @ rest))
        if size > NEW * sizes[number]:
            basis[len(chosen)] = rest / size
            chosen.append(number)
    return chosen


class Vertex:
    """A vertex of the objective of a problem, and the edges from it."""

    def __init__(self, program: LinearProgram, v: np.ndarray):
        """``v`` are parameters near the vertex."""
        self.program, self.kinks, self.size, self.n_columns = program, program.kinks, program.size, program.n_columns
        self.first, self.rest = self.kinks.first, program.pull(v)
        distances = abs(program.normal_products(v) - self.kinks.places)
        # The normals of all coefficients and of a row span the space.
        near = np.argsort(distances, kind="stable")[: 2 * self.size]
        near = np.union1d(near, np.arange(self.first, len(distances)))
        near = near[np.argsort(distances[near], kind="stable")]
        near, normals = self._independent(near)
        self.is_known = 0 < len(near) == self.size
        if self.is_known:
            self.active, self.normals = near, normals
            self.inverse = np.linalg.inv(self.normals)
            v = self._values()
            self.distances = program.normal_products(v) - self.kinks.places
            self.side = np.where(self.distances < 0.0, -1, 1)
            self.side[self.active] = 0

    def _independent(self, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the first kinks with independent normals, and these.

        The nearest kinks of coefficients are independent. The others are examined without these coefficients.
        """
        corners = near[: self.size][near[: self.size] >= self.first]
        columns, first = np.unique(self.kinks.columns[corners - self.first], return_index=True)
        normals, corners = self._normals(near), corners[first]
        rest = np.delete(np.arange(self.size), columns)
        others = independent(normals[:, rest], np.sqrt(np.sum(np.square(normals), axis=1)))
        chosen = np.append(np.flatnonzero(np.isin(near, corners)), np.array(others, int))
        return near[chosen], normals[chosen]

    def _normals(self, some: np.ndarray) -> np.ndarray:
        """Return how predictions of rows, and coefficients, depend on the parameters."""
        normals, of_rows = np.zeros((len(some), self.size)), some < self.first
        normals[of_rows] = self.program.problem.rows_along(some[of_rows] % self.kinks.n_rows)[:, : self.size]
        normals[np.flatnonzero(~of_rows), self.kinks.columns[some[~of_rows] - self.first]] = 1.0
        return normals

    def _values(self) -> np.ndarray:
        """Return the parameters along the directions."""
        places = self.kinks.places[self.active]
        v = self.inverse @ places
        v += self.inverse @ (places - self.normals @ v)
        exact = self.active[self.active >= self.first]
        v[self.kinks.columns[exact - self.first]] = self.kinks.places[exact]
        return v

    def _falls(self) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return by how much each multiplier is above and below its slopes, and whether that of one is, clearly."""
        g = self.program.pulled(self.kinks.slopes(self.side)) + self.rest
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
        rates = self.program.normal_products(d)
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
        limit = self.program.problem.limit
        ends = next((True for _ in range(most) if limit.is_over() or not self.leave()), False)
        return self.program.parameters(self._values()), ends and not self._falls()[2]


def vertex(problem: Any, kinks: Kinks, w: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the parameters of a vertex, searched for from w on, and whether it is the minimum; or w and False."""
    program = LinearProgram(problem, kinks)
    with problem.limit.noting_interrupts():
        found = Vertex(program, program.along(w))
        if found.is_known:
            return found.descend()
    return w, False
