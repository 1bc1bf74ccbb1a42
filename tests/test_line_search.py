"""The length of a step of a full batch, on NumPy arrays and on a device, against the exact minimum along it."""

import internals
import numpy as np
import pytest


def kinked(seed, far):
    """Targets, predictions and their change along a step; the last sample is ``far`` from the others in a feature."""
    rng = np.random.default_rng(seed)
    y, along = rng.normal(size=40), rng.normal(size=40)
    z = y + along * rng.uniform(0.5, 1.5, size=40)
    along[-1] *= far
    return y, z, along


def sign(y, p):
    """Slope of the absolute error, in any library."""
    return 1.0 * (p > y) - 1.0 * (p < y) if isinstance(p, np.ndarray) else p.__array_namespace__().sign(p - y)


@pytest.mark.parametrize("step", [1.1, 3.0, 1e3, 1e6])
@pytest.mark.parametrize("far", [1.0, 30.0, 1e3, 1e6])
@pytest.mark.parametrize("seed", range(5))
def test_length_at_kinks(seed, far, step):
    """The step ends before the minimum, but near: where the slope is small, or at a kink."""
    y, z, along = kinked(seed, far)
    fall = float(np.mean(sign(y, z) * along))
    kinks = (z - y) / along
    best = min(kinks, key=lambda length: np.mean(abs(y - z + length * along)))  # A minimum of lines lies at a kink.
    assert 0.0 < best < step
    length, tries = internals.length_of_step(sign, y, z, along, step, fall)
    slope = -np.mean(sign(y, z - length * along) * along)
    assert slope <= 1e-9 * fall
    assert slope >= -0.25 * fall or length >= 0.998 * best
    assert length <= best * (1.0 + 1e-9)
    assert tries <= 30

    xp = pytest.importorskip("array_api_strict")
    there, most = internals.length_on_device(xp, sign, y, z, along, step, fall, tries)
    assert there == pytest.approx(length, rel=1e-12)
    assert most == tries - 1 or most == tries


@pytest.mark.parametrize("at", ["end", "start"])
def test_slopes_of_zero(at):
    """Where no slope is left a step is kept, or nothing is divided by it."""
    y, flat = np.zeros(4), np.zeros(4) if at == "start" else np.array([1.0, 1.0, 0.0, 0.0])
    fall = float(np.mean(flat * flat))
    xp = pytest.importorskip("array_api_strict")
    there, most = internals.length_on_device(xp, lambda y, p: p - y, y, flat, flat, 1.0, fall, 5)
    assert there == (0.0 if at == "start" else 1.0)
    assert most == 0
