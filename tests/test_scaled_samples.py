"""Samples of rows in the units of their columns, and the geometries of their correlations, against NumPy's."""

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose
from problems import covering

N, P = 3000, 7


def rows(kind: str, dtype=np.float64) -> np.ndarray:
    """Columns of different units, correlated; with offsets, or in order of a trend."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((N, P)) @ (np.eye(P) + 0.4 * rng.standard_normal((P, P))) * 10.0 ** np.arange(-3, P - 3)
    if kind == "offset":
        X += 1e4 * X.std(axis=0)
    elif kind == "trend":
        X += 50.0 * X.std(axis=0) * (np.arange(N)[:, None] / N) ** 8
    elif kind == "late":
        X[: N // 2] *= 1e-6
    return X.astype(dtype)


@covering(
    {
        "kind": ["plain", "offset", "trend", "late"],
        "weighted": [False, True],
        "centred": [True, False],
        "dtype": [np.float64, np.float32],
        "single": [True, False],
    },
    strength=2,
)
def test_the_moments_of_a_sample_are_those_of_its_rows(kind, weighted, centred, dtype, single):
    X, rng = rows(kind, dtype), np.random.default_rng(6)
    weight = rng.uniform(0.1, 3.0, N).astype(dtype) if weighted else np.empty(0, dtype)
    some = np.sort(rng.choice(N, N // 2, replace=False)).astype(np.uint32)
    precision = np.dtype(np.float32 if single else np.float64)
    sample = internals.sample_in_units(X, some, weight, centred, precision)
    Z, s = X[some].astype(float), weight[some].astype(float) if weighted else np.ones(len(some))
    mean = np.average(Z, axis=0, weights=s) if centred else np.zeros(P)
    expected = (Z - mean).T @ (s[:, None] * (Z - mean)) / s.sum()
    spread = np.sqrt(expected.diagonal())
    assert_allclose(sample.columns.weight, s.sum(), rtol=1e-6)
    assert_allclose(sample.columns.mean, mean, rtol=1e-12, atol=1e-12 * spread.max())
    assert_allclose(sample.columns.variance, spread**2, rtol=1e-6)
    found = sample.covariances(sample.columns.mean, np.ones(P))
    assert_allclose(
        found / np.outer(spread, spread), expected / np.outer(spread, spread), atol=3e-6 if single else 1e-9
    )
    # About other means, and as rows.
    other = mean + spread if centred else mean
    about, scale = (Z - other) * np.sqrt(s)[:, None] / spread, 1.0 / spread
    assert_allclose(sample.covariances(other, scale), about.T @ about / s.sum(), atol=1e-5 if single else 1e-9)
    assert_allclose(sample.about(other, scale) * np.sqrt(s.sum()), about, atol=1e-3 if single else 1e-6)
    y = rng.standard_normal(len(some)) if centred else np.ones(len(some))
    y = y - np.average(y, weights=s) if centred else y
    side = (Z - mean).T @ (s * y) / s.sum()
    assert_allclose(sample.products_with(y * np.sqrt(s)) / spread, side / spread, atol=1e-5 if single else 1e-9)
    # The largest share of a row is a bound, and not far from it.
    share = np.max(s[:, None] * (Z - mean) ** 2, axis=0) / (s.sum() * spread**2)
    assert (sample.largest >= share * (1.0 - 1e-6)).all()
    assert (sample.largest <= 2.0 * share).all()


def test_plain_python_reads_the_same_samples(monkeypatch):
    X, some = rows("offset"), np.arange(0, N, 3).astype(np.uint32)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, N)
    compiled = internals.sample_in_units(X, some, weight, True, np.dtype(np.float64))
    monkeypatch.setenv("SKLEARN_SGD_DISABLE_JIT", "1")
    plain = internals.sample_in_units(X, some, weight, True, np.dtype(np.float64))
    assert_allclose(plain.rows, compiled.rows, rtol=1e-12, atol=1e-12)
    assert_allclose(plain.off, compiled.off, atol=1e-12)
    assert_allclose(plain.largest, compiled.largest, rtol=1e-9)


def test_a_column_out_of_range_is_not_finite():
    X = rows("plain")
    X[7, 3] = np.inf
    sample = internals.sample_in_units(X, np.arange(N), np.empty(0), True, np.dtype(np.float32))
    assert not np.isfinite(sample.columns.variance[3])
    assert not np.isfinite(sample.covariances(sample.columns.mean, np.ones(P))[3]).any()
    assert not internals.shows(sample.columns, sample.largest, np.dtype(np.float64))


def correlation(narrow: float) -> np.ndarray:
    """Correlations whose smallest eigenvalue is about ``narrow``."""
    rng = np.random.default_rng(1)
    Z = rng.standard_normal((500, P))
    Z[:, 1] = Z[:, 0] + np.sqrt(2.0 * narrow) * Z[:, 1]
    return np.corrcoef(Z.T)


def test_both_geometries_of_wide_columns_agree():
    C, scale, g = correlation(0.5), 10.0 ** np.arange(P), np.random.default_rng(2).standard_normal(P)
    wide, directions = internals.WideGeometry.of(scale, C), internals.Directions.of(scale, C)
    expected = np.outer(scale, scale) * np.linalg.inv(C)
    for geometry in (wide, directions):
        assert_allclose(geometry.inverse(), expected, rtol=1e-10)
        assert_allclose(geometry.apply(g / scale, 0.0), expected @ (g / scale), rtol=1e-10)
        assert_allclose(geometry.root() @ geometry.root().T, expected, rtol=1e-10)
        assert geometry.n_directions == P
        assert geometry.without_dependent() is geometry
        assert geometry.hidden(g / scale, 0.0, np.dtype(np.float64)) == 0.0
        assert not geometry.is_narrow
        assert not geometry.hides


@pytest.mark.parametrize("narrow", [1e-4, 1e-9, 0.0])
def test_narrow_columns_have_no_wide_geometry(narrow):
    assert internals.WideGeometry.of(np.ones(P), correlation(narrow)) is None
    assert internals.WideGeometry.of(np.ones(P), np.diag([0.0] + [1.0] * (P - 1))) is None
