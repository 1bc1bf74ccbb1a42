"""Conjugate gradients: the minimum of a parabola in as many steps as it has curvatures."""

from itertools import islice, pairwise

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose


@pytest.mark.parametrize("anew", [False, True])
def test_as_many_steps_as_curvatures(anew):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 12))
    H, side, start = A.T @ A + 0.1 * np.eye(12), rng.standard_normal(12), rng.standard_normal(12)
    scale, minimum = 1.0 / H.diagonal(), np.linalg.solve(H, side)

    def gradient(w):
        return H @ w - side

    def objective(w):
        return 0.5 * w @ H @ w - w @ side

    more = (gradient,) if anew else ()
    steps = internals.conjugate_gradients(start, gradient(start), lambda g: scale * g, lambda d, *_: H @ d, *more)
    path = list(islice(steps, 13))
    assert_allclose(path[-1].w, minimum, rtol=1e-8)
    for one, other in pairwise(path[:6]):
        assert_allclose(0.5 * other.gain, objective(one.w) - objective(other.w), rtol=1e-6)
    slopes = np.array([gradient(at.w) for at in path[:6]])
    assert_allclose(np.sum(scale * slopes**2, axis=1), [at.fall for at in path[:6]], rtol=1e-6)
    # Gradients are orthogonal in the units of the preconditioner, unlike those of steps along the gradients alone.
    products = (slopes * scale) @ slopes.T
    assert_allclose(products - np.diag(products.diagonal()), 0.0, atol=1e-8 * products.max())


def test_what_is_missing_is_bounded_from_above():
    """Tightly once the steps have found the smallest eigenvalue, if the lower bound of it is tight."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    H, minimum = (Q * np.geomspace(1e-3, 1.0, 30)) @ Q.T, rng.standard_normal(30)

    def bounds(least):
        steps = internals.conjugate_gradients(np.zeros(30), -H @ minimum, lambda g: g, lambda d, *_: H @ d, None, least)
        path = list(islice(steps, 25))
        return [at.missing for at in path], [(minimum - at.w) @ H @ (minimum - at.w) for at in path]

    for least in (0.999e-3, 1e-4, 1e-6):
        found, exact = bounds(least)
        assert np.all(np.array(found) >= exact)
    found, exact = bounds(0.999e-3)
    assert np.all(np.array(found[16:]) <= 3.0 * np.array(exact[16:]))
    assert np.isinf(bounds(0.0)[0]).all()


def test_they_end_where_nothing_is_left_to_fall():
    steps = internals.conjugate_gradients(np.ones(3), np.zeros(3), lambda g: g, lambda d, *_: d)
    assert [at.fall for at in steps] == [0.0]
    steps = internals.conjugate_gradients(np.ones(3), np.ones(3), lambda g: g, lambda d, *_: -d)
    assert len(list(steps)) == 1
