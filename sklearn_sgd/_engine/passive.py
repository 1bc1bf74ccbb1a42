"""The passive-aggressive pass: a row's step is as long as its own loss asks for, and no longer.

Written once, for Numba and for plain Python.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse


class PassiveAggressive(NamedTuple):
    """How far to go along a row, for its loss and its squared length: until the loss is 0, or up to a limit.

    PA-I has a ``limit``, PA-II is ``soft``.

    References
    ----------
    K. Crammer, O. Dekel, J. Keshet, S. Shalev-Shwartz and Y. Singer, "Online passive-aggressive algorithms", JMLR 7,
    2006.
    """

    limit: float
    soft: float

    @property
    def moments(self) -> int:
        """How many moments are kept."""
        return 0

    def step(self, loss, square):
        """Length of the step, in units of the row."""
        return min(self.limit, loss / (square + self.soft)) if square + self.soft > 0.0 else 0.0


def variant(name: str, eta0: float) -> PassiveAggressive:
    """The variant that a learning rate names; ``eta0`` is what the authors call C."""
    return PassiveAggressive(eta0, 0.0) if name == "pa1" else PassiveAggressive(np.inf, 0.5 / eta0)


def squares(X) -> np.ndarray:
    """Squared lengths of rows."""
    return np.asarray(X.multiply(X).sum(axis=1)).ravel() if sparse.issparse(X) else np.einsum("ij,ij->i", X, X)


def build(compiled, sources):
    """The pass, as others are compiled."""

    @compiled
    def passive(data, order, rates, mixes, batch, vectors, parts, done, squares):
        sources  # noqa: B018
        w, average, p, ahead = vectors.coef, vectors.average, vectors.coef.shape[0] - 1, data.rows.ahead()
        total = 0.0
        for k in range(order.shape[0]):
            i, later, rate = order[k], order[min(k + ahead, order.shape[0] - 1)], w.dtype.type(rates[k])
            z = data.rows.dot(i, w)
            s = data.weight[i] if data.weight.shape[0] else w.dtype.type(1.0)
            loss = parts.loss.value(data.y[i], z)
            total += s * loss
            go = parts.optimizer.step(loss, squares[i]) * parts.loss.gradient(data.y[i], z)
            for j in range(p):
                w[j] -= rate * parts.penalty.gradient(w[j])
            data.rows.add(i, w.dtype.type(-s * go), w, later)
            for j in range(p):
                w[j] = parts.penalty.prox(w[j], rate, j)
            if mixes.shape[0]:
                mix = w.dtype.type(mixes[k])
                for j in range(p + 1):
                    average[j] += mix * (w[j] - average[j])
        return total

    return passive
