"""The loss expected on new rows, and the scales of sparse columns: against left-out rows, new rows, and other units."""

import warnings

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from sklearn.metrics import d2_tweedie_score
from sklearn.preprocessing import normalize

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd._engine.automatic.balance import balanced, credible
from sklearn_sgd._engine.automatic.statistics import measure
from sklearn_sgd.losses import Huber, SquaredError

KINDS = [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor]


def texts(n, p, length=40, seed=0):
    """Counts of words drawn by Zipf's law in texts of very different lengths, divided by their norms."""
    rng = np.random.default_rng(seed)
    lengths = np.maximum(3, rng.poisson(length * rng.lognormal(0.0, 1.0, n)))
    weight = 1.0 / (np.arange(p) + 3.0)
    words = rng.choice(p, lengths.sum(), p=weight / weight.sum())
    X = sparse.csr_array((np.ones(len(words)), (np.repeat(np.arange(n), lengths), words)), shape=(n, p))
    X.sum_duplicates()
    X = normalize(X)
    z = X @ rng.standard_normal(p)
    return X, 5.0 + z + 0.5 * z.std() * rng.standard_normal(n)


@covering({"kind": KINDS, "loss": [SquaredError(), Huber(0.5)], "weighted": [False, True]}, strength=2)
def test_expected_loss_is_that_on_new_rows(monkeypatch, kind, loss, weighted):
    """Of the second descent, on rows that it does not know, also long after the least loss."""
    found, (X, y) = internals.record_expected_losses(monkeypatch), texts(5000, 6000)
    A, B, a, b = X[:1500], X[1500:], y[:1500], y[1500:]
    weight = np.where(np.arange(1500) % 2, 1.0, 1e-3) if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        kind(loss, random_state=0, epochs=12, tol=1e-12).fit(A, a, weight)
    assert len(found) > 2
    for expected, coef, intercept in found[1:]:
        assert_allclose(expected, np.mean(loss.value(b, B @ coef + intercept)), rtol=0.25)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", [SquaredError(), Huber(0.5)])
@pytest.mark.parametrize("n", [1200, 6000])
def test_expected_loss_is_that_of_fits_on_the_other_rows(monkeypatch, n, loss, weighted):
    """Nothing of the rows left out is known, not even the scale of columns, whose largest entries they may have."""
    expected, parts = internals.record_expected_losses(monkeypatch), internals.record_rows_left_out(monkeypatch)
    rng = np.random.default_rng(0)
    X = sparse.random(n, 900, 0.02, "csr", random_state=1, data_rvs=lambda size: rng.lognormal(0.0, 2.0, size))
    y = X.tanh() @ rng.standard_normal(900) + rng.standard_normal(n)
    weight = rng.choice([0.5, 1.0, 2.0], n) if weighted else np.ones(n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        BatchGDRegressor(loss, epochs=3, tol=1e-12).fit(X, y, weight)
    assert len(parts) == (5 if n == 1200 else 1)
    for epochs in (1, 2, 3):
        losses = []
        for held in parts:
            rest = np.setdiff1d(np.arange(n), held)
            model = BatchGDRegressor(loss, epochs=epochs, tol=None).fit(X[rest], y[rest], weight[rest])
            losses.append(np.average(loss.value(y[held], model.predict(X[held])), weights=weight[held]))
        whole = np.average(losses, weights=[weight[held].sum() for held in parts])
        assert_allclose(expected[epochs - 1][0], whole, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson"])
def test_a_fit_stops_near_its_best_epoch(kind, loss):
    """As judged by new samples. One-hot columns, of which many occur in a few samples."""
    rng = np.random.default_rng(0)
    chosen = (rng.power(0.3, (6000, 6)) * 700).astype(int) + 700 * np.arange(6)
    X = sparse.csr_array((np.ones(chosen.size), (np.repeat(np.arange(6000), 6), chosen.ravel())), shape=(6000, 4200))
    z = X @ rng.standard_normal(4200)
    y = rng.poisson(np.exp(0.5 * z - 2.0)) if loss == "poisson" else z + 3.0 * rng.standard_normal(6000)
    A, B, a, b = X[:3000], X[3000:], y[:3000], y[3000:]
    stopped = kind(loss, random_state=0).fit(A, a).score(B, b)
    others = [
        kind(loss, random_state=0, epochs=k, tol=None).fit(A, a).score(B, b) for k in (1, 2, 3, 5, 8, 12, 20, 30, 100)
    ]
    assert stopped > max(others) - 0.03
    assert max(others) > others[-1] + 0.005


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [800, 4000])
def test_texts_and_rare_columns_of_one_unit(kind, n):
    """As the best ridge regression, which knows that all columns have the same unit."""
    X, y = texts(n + 3000, 6000)
    rng = np.random.default_rng(1)
    columns = np.sort((6000 * rng.power(0.3, (n + 3000, 40))).astype(np.int32) % 6000, axis=1).ravel()
    Z = sparse.csr_array(
        (rng.random(len(columns)), columns, np.arange(0, len(columns) + 1, 40, dtype=np.int32)), (n + 3000, 6000)
    )
    Z.sum_duplicates()
    for A, b in ((X, y), (Z, Z @ rng.standard_normal(6000) + rng.standard_normal(n + 3000))):
        train, test = slice(0, n), slice(n, None)
        ridges = [Ridge(alpha, solver="sparse_cg").fit(A[train], b[train]) for alpha in (0.1, 1.0, 10.0)]
        best = max(ridge.score(A[test], b[test]) for ridge in ridges)
        assert kind(random_state=0).fit(A[train], b[train]).score(A[test], b[test]) > best - 0.03


@pytest.mark.parametrize("kind", KINDS)
def test_units_of_sparse_columns(kind):
    """Exactly the same in another common unit; nearly the same if each column has a unit of its own."""
    X, y = texts(3000, 3000)
    first = kind(random_state=0).fit(X[:1500], y[:1500])
    common = kind(random_state=0).fit(1024.0 * X[:1500], y[:1500])
    assert_allclose(1024.0 * common.coef_, first.coef_, rtol=1e-6, atol=1e-9 * abs(first.coef_).max())
    units = sparse.diags_array(10.0 ** np.random.default_rng(0).uniform(-3, 3, 3000))
    other = sparse.csr_array(X @ units)
    found = kind(random_state=0).fit(other[:1500], y[:1500]).score(other[1500:], y[1500:])
    assert found > first.score(X[1500:], y[1500:]) - 0.03


def test_scales_of_columns_and_rows():
    """Rows of different lengths have the same scales as if they had one; columns of ones keep theirs exactly."""
    rng = np.random.default_rng(0)
    ones = sparse.csr_array(sparse.random(2000, 500, 0.05, "csr", random_state=0, data_rvs=np.ones))
    lengths = rng.lognormal(0.0, 1.0, 2000)
    X = sparse.csr_array(sparse.diags_array(lengths) @ ones)
    for rows, most in ((ones, 1e-9), (X, 0.5)):
        before = measure(rows, None, np.empty(0), True)
        after = balanced(before, lambda number, rows=rows: rows[:number], internals.sums_of_entries(rows))
        assert np.std(np.log(after.entry_square)) <= most * np.std(np.log(before.entry_square)) + 1e-12


def test_columns_in_other_units_keep_their_scales():
    """Squares of few entries are moved towards the others; those of columns in other units by not much more."""
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 50, 1000).astype(float)
    same = np.array([np.mean(rng.standard_normal(int(count)) ** 2) for count in counts])
    assert np.std(np.log(credible(same, counts, 4.9))) < 0.4 * np.std(np.log(same))
    units = np.exp(rng.uniform(-30.0, 30.0, 1000))
    assert abs(np.log(credible(same * units, counts, 4.9) / (same * units)))[counts > 4].max() < 1.0
    units = np.where(np.arange(1000) % 100, 1.0, 1e12)
    assert (credible(same * units, counts, 4.9) > 1e4)[(units > 1.0) & (counts > 4)].all()
    assert_allclose(credible(units, counts, 0.0), units, rtol=1e-12)


@pytest.mark.parametrize("factor", [1e-4, 10.0, 100.0, 1e6])
@pytest.mark.parametrize("kind", KINDS)
def test_units_of_rare_columns(kind, factor):
    rng = np.random.default_rng(0)
    words = np.minimum(rng.geometric(0.01, (3000, 15)) - 1, 799)
    X = sparse.csr_array((np.ones(words.size), (np.repeat(np.arange(3000), 15), words.ravel())), shape=(3000, 800))
    y = X @ rng.standard_normal(800) + rng.standard_normal(3000)
    for others in (np.arange(800) > 500, rng.random(800) < 0.01):
        Z = sparse.csr_array(X @ sparse.diags_array(np.where(others, factor, 1.0)))
        assert kind(random_state=0).fit(Z[:1500], y[:1500]).score(Z[1500:], y[1500:]) > 0.87


@pytest.mark.parametrize("seed", range(6))
def test_weights_do_not_end_a_fit_early(seed):
    X, y = texts(2000, 1200, seed=5)
    weight = np.random.default_rng(seed).integers(1, 5, 400)
    models = [MiniBatchSGDRegressor(random_state=0).fit(X[:400], y[:400], s) for s in (None, weight)]
    assert models[1].score(X[400:], y[400:]) > models[0].score(X[400:], y[400:]) - 0.06


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mean", [0.02, 0.1])
def test_rare_counts(kind, mean):
    """A few of the samples have events, whose exponentials grow as they are learned by heart."""
    rng = np.random.default_rng(0)
    X = sparse.random(10_000, 3000, 20 / 3000, "csr", random_state=0)
    y = rng.poisson(mean * np.exp(0.5 * (X @ rng.standard_normal(3000))))
    model = kind("poisson", random_state=0).fit(X[:8000], y[:8000])
    assert d2_tweedie_score(y[8000:], model.predict(X[8000:]), power=1) > 0.01
    assert model.stop_reason_ == "tol"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["poisson", "squared_error"])
def test_all_epochs_without_a_tolerance(monkeypatch, kind, loss):
    """They end where the fit with a tolerance was after as many, and go no further."""
    found, (X, z) = internals.record_expected_losses(monkeypatch), texts(1000, 1500)
    y = np.random.default_rng(0).poisson(np.exp((z - z.mean()) / z.std()))
    stopped = kind(loss, random_state=0).fit(X, y)
    best = 1 + int(np.argmin([expected for expected, *_ in found]))
    assert best < len(found) == stopped.n_iter_
    model = kind(loss, random_state=0, epochs=best, tol=None).fit(X, y)
    assert_allclose(model.coef_, stopped.coef_, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_no_noise_without_entries(kind, loss):
    """The constants of the other rows, not that of all, are compared: nothing is learned, and no warning given."""
    y = np.random.default_rng(0).standard_normal(300)
    model = kind(loss, random_state=0).fit(sparse.csr_array((300, 600)), y)
    assert not model.coef_.any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_amounts_with_heavy_tails(kind, loss):
    """Single entries decide predictions: the constant is kept where nothing is better, also if the loss grew."""
    rng, n = np.random.default_rng(0), 4000
    amounts = sparse.random(n, 300, 0.1, "csr", random_state=1)
    amounts.data = rng.lognormal(0.0, 2.0, amounts.nnz)
    level = (1000 * rng.power(0.4, n)).astype(int)
    X = sparse.hstack([amounts, sparse.csr_array((np.ones(n), (np.arange(n), level)), shape=(n, 1000))]).tocsr()
    z = amounts.log1p() @ (0.3 * rng.standard_normal(300)) + 0.5 * rng.standard_normal(1000)[level]
    y = rng.poisson(np.exp(np.clip(z / 3, -5, 4))) if loss == "poisson" else z + rng.standard_normal(n)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", ConvergenceWarning)
        model = kind(loss, random_state=0).fit(X[:2500], y[:2500])
    assert model.score(X[2500:], y[2500:]) > -0.1
    assert bool(given) is not bool(model.coef_.any())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_few_rows_of_another_loss(kind, n):
    X = sparse.random(n, 500, 0.02, "csr", random_state=0)
    model = kind("huber", random_state=0).fit(X, np.arange(n))
    assert np.isfinite(model.predict(X)).all()
    assert model.loss_curve_[-1] <= model.loss_curve_[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["gamma", "poisson"])
def test_one_row_does_not_end_a_fit(kind, loss):
    """Targets over several powers of ten: the loss of one left-out row, by an exponential, was that of all others."""
    X, z = texts(4000, 1000)
    y = np.exp(2.0 * (z - z.mean()) / z.std())
    model, power = kind(loss, random_state=0).fit(X[:2000], y[:2000]), 2 if loss == "gamma" else 1
    assert d2_tweedie_score(y[2000:], model.predict(X[2000:]), power=power) > 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", ["squared_error", "huber"])
def test_rows_without_weight(kind, loss):
    """As if they were not there, also where the noise is measured or rows are left out."""
    X, y = texts(800, 1200)
    weight = np.random.default_rng(0).choice([0.0, 1.0, 2.0], 800)
    kept = weight > 0.0
    model = kind(loss, random_state=0).fit(X, y, weight)
    other = kind(loss, random_state=0).fit(X[kept], y[kept], weight[kept])
    assert model.n_iter_ == other.n_iter_
    assert_allclose(model.coef_, other.coef_, rtol=1e-6, atol=1e-9)


def test_without_any_tolerance_the_best_epoch_is_kept():
    """Not that after all noise is learned."""
    X, y = texts(800, 1200)
    models = [MiniBatchSGDRegressor("huber", tol=tol, random_state=0).fit(X[:400], y[:400]) for tol in (0.0, 1e-9)]
    assert models[0].n_iter_ < 100
    assert_allclose(models[0].coef_, models[1].coef_, rtol=1e-9)


def test_rows_are_not_changed():
    """Also with zeros among the entries."""
    X, y = texts(300, 1000)
    X.data[::7] = 0.0
    before = X.copy()
    MiniBatchSGDRegressor(random_state=0).fit(X, y)
    for name in ("data", "indices", "indptr"):
        assert_array_equal(getattr(X, name), getattr(before, name))
