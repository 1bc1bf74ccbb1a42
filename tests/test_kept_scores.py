"""``inference=True``: tables without rows, of fits and of streams, and where the coefficients of streams end."""

import copy
import pickle
import re
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import csr
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.inference import coefficient_table, predict_interval
from sklearn_sgd.losses import LOSSES, Huber
from sklearn_sgd.streaming import ArraySource, fit_stream, load_checkpoint

MINIMUM = {"epochs": 1000, "tol": 1e-8}
NUMBERS = {"huber": {"epsilon": 1.0}, "quantile": {"quantile": 0.7}, "epsilon_insensitive": {"epsilon": 0.5}}
JUMPS = ("absolute_error", "quantile", "epsilon_insensitive")
STREAMED = ["squared_error", "huber", "expectile", "poisson", "absolute_error", "quantile", "epsilon_insensitive"]


def rows(loss="squared_error", n=3000, seed=0, offset=5.0):
    """Correlated columns of several units, far from 0; noise with heavy tails, that spreads with a column.

    It does not for quantiles, for which `TestJumps` of the other file has such noise.
    """
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    slopes = np.array([0.3, -0.2, 0.1])
    if loss in ("poisson", "gamma", "tweedie"):
        y = rng.poisson(np.exp(1.0 + Z @ slopes)) + (loss == "gamma")
    else:
        spread = 1.0 if loss in JUMPS else 1.0 + np.abs(Z[:, 0])
        y = 20.0 + 10.0 * (Z @ slopes) + spread * rng.standard_t(4, n)
    return (Z + offset) * np.array([1.0, 100.0, 0.01]), y.astype(float)


def streamed(X, y, size, weight=None, kind=MiniBatchSGDRegressor, **params):
    model = kind(inference=True, **params)
    for start in range(0, len(y), size):
        part = slice(start, start + size)
        model.partial_fit(X[part], y[part], *([] if weight is None else [weight[part]]))
    return model


def streamed_on(model, X, y, size):
    for start in range(0, len(y), size):
        model.partial_fit(X[start : start + size], y[start : start + size])


def same(a, b, rtol=1e-6):
    assert a.n_samples == b.n_samples
    assert_allclose(a.coef, b.coef, rtol=rtol)
    size = np.sqrt(b.covariance.diagonal())
    assert_allclose(a.covariance / np.outer(size, size), b.covariance / np.outer(size, size), atol=rtol)


class TestClassicFormula:
    """Without rows, with the observed second derivative."""

    def targets(self, loss, X):
        rng, mean = np.random.default_rng(2), np.exp(1.0 + (X / X.std(axis=0)) @ [0.2, -0.1, 0.1])
        counts = rng.negative_binomial(3, 3.0 / (3.0 + mean)) * 1.0
        amounts = mean * rng.gamma(2.0, 0.5, len(X))
        return {"poisson": counts, "gamma": amounts, "tweedie": amounts * (counts > 0.0)}[loss]

    def theirs(self, loss, X, y, weight=None, scale="X2"):
        sm = pytest.importorskip("statsmodels.api")
        link = sm.families.links.Log()
        kinds = {"poisson": sm.families.Poisson, "gamma": sm.families.Gamma}
        family = kinds[loss](link) if loss in kinds else sm.families.Tweedie(link, var_power=1.5)
        model = sm.GLM(y, np.column_stack((X, np.ones(len(X)))), family, var_weights=weight)
        return model.fit(method="newton", optim_hessian="oim", scale=scale)

    @pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
    def test_fits_as_glm(self, loss):
        X, _ = rows(n=800)
        y, weight = self.targets(loss, X), np.random.default_rng(1).uniform(0.5, 2.0, 800)
        theirs, model = self.theirs(loss, X, y, weight), BatchGDRegressor(loss, inference=True, **MINIMUM)
        table = coefficient_table(model.fit(X, y, weight), robust=False)
        assert_allclose(table.std_err, theirs.bse, rtol=1e-6)
        assert_allclose(table.dispersion * weight.mean(), theirs.scale, rtol=1e-6)
        known = coefficient_table(model, robust=False, dispersion=2.0)
        assert known.dispersion == 2.0
        assert_allclose(known.std_err, self.theirs(loss, X, y, weight, scale=2.0).bse, rtol=1e-6)

    @pytest.mark.parametrize("dispersion", [None, 2.0])
    def test_short_streams_with_weights_as_glm(self, dispersion):
        """All rows of which still wait, with their own weights."""
        X, _ = rows(n=200)
        y, weight = self.targets("poisson", X), np.random.default_rng(1).uniform(1.0, 9.0, 200)
        model = streamed(X, y, 50, weight, loss="poisson")
        table = coefficient_table(model, robust=False, dispersion=dispersion)
        assert_allclose(table.std_err, self.theirs("poisson", X, y, weight, dispersion or "X2").bse, rtol=1e-4)

    @pytest.mark.parametrize("size", [1e-200, 1e200])
    def test_size_of_weights(self, size):
        X, _ = rows(n=400)
        y, weight = self.targets("poisson", X), np.random.default_rng(1).uniform(1.0, 2.0, 400)
        for n in (200, 400):
            plain, table = (
                coefficient_table(streamed(X[:n], y[:n], 50, w, loss="poisson")) for w in (weight, size * weight)
            )
            same(table, plain)

    @pytest.mark.parametrize("n", [200, 400])
    def test_half_life_and_weights_that_grow_as_glm(self, n):
        """Some rows still wait, and count less with their age, too."""
        X, _ = rows(n=n)
        y, weight = self.targets("poisson", X), np.linspace(0.1, 10.0, n)
        table = coefficient_table(streamed(X, y, 50, weight, loss="poisson", half_life=100.0), robust=False)
        left = 0.5 ** (np.arange(n)[::-1] / 100.0)
        theirs = self.theirs("poisson", X, y, weight * left)
        assert table.n_samples == round(left.sum())
        assert_allclose(table.std_err, theirs.bse * np.sqrt((n - 4) / (table.n_samples - 4)), rtol=0.03)

    @pytest.mark.parametrize("size", [7, 300])
    @pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
    def test_streams_as_glm(self, loss, size):
        X, _ = rows(n=6000)
        y = self.targets(loss, X)
        theirs, table = self.theirs(loss, X, y), coefficient_table(streamed(X, y, size, loss=loss), robust=False)
        assert_allclose((table.coef - theirs.params) / theirs.bse, 0.0, atol=0.1)
        assert_allclose(table.std_err, theirs.bse, rtol=0.02)

    def test_squared_error_by_a_schedule(self):
        X, y = rows(n=500, offset=0.0)
        X /= X.std(axis=0)
        params = {"learning_rate": "constant", "eta0": 0.1, "inference": True}
        model = BatchGDRegressor(**params, **MINIMUM).fit(X, y)
        same(coefficient_table(model, robust=False), coefficient_table(model, X, y, robust=False))

    @pytest.mark.parametrize("loss", ["huber", "quantile"])
    def test_others_are_refused(self, loss):
        with pytest.raises(ValueError, match="Without rows there is no classic formula"):
            coefficient_table(streamed(*rows(n=500), 500, loss=loss), robust=False)


@pytest.mark.parametrize("robust", [True, False])
def test_rows_are_counted_whatever_they_weigh(robust):
    X, y = rows(n=900)
    weight = np.random.default_rng(1).integers(0, 4, 900) * 7.0
    table = coefficient_table(streamed(X, y, 100, weight), robust=robust)
    assert table.n_samples == np.count_nonzero(weight)


class Unreadable:
    """A loss of a user that cannot be compiled, as it is no named tuple."""

    value, gradient = staticmethod(Huber(1.0).value), staticmethod(Huber(1.0).gradient)


PLAIN = [
    {},
    {"fit_intercept": False},
    {"half_life": 500},
    {"loss": Huber(1.0), "penalty": "l2", "alpha": 0.1},
    *({"loss": loss, "epsilon": 10.0} if loss == "huber" else {"loss": loss} for loss in sorted(LOSSES)),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("params", PLAIN, ids=str)
def test_machine_code_as_plain_python(monkeypatch, params, weighted):
    """NumPy does what the loops of machine code do, in one block and in several."""
    loss = params.get("loss", "squared_error")
    X, y = rows(loss if isinstance(loss, str) else "huber", n=900)
    weight = np.random.default_rng(1).uniform(0.5, 2.0, 900) if weighted else None
    compiled = [coefficient_table(streamed(X, y, size, weight, **params)) for size in (900, 300)]
    monkeypatch.setenv("SKLEARN_SGD_DISABLE_JIT", "1")
    for size, table in zip((900, 300), compiled, strict=True):
        same(coefficient_table(streamed(X, y, size, weight, **params)), table, rtol=1e-6)


def test_a_loss_that_cannot_be_compiled():
    X, y = rows(n=900)
    own, known = (streamed(X, y, 300, loss=loss) for loss in (Unreadable(), Huber(1.0)))
    same(coefficient_table(own), coefficient_table(known), rtol=1e-8)


class TestFits:
    @pytest.mark.parametrize("loss", sorted(LOSSES))
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_as_with_rows(self, loss):
        X, y = rows(loss, n=400)
        weight = np.random.default_rng(1).uniform(0.5, 2.0, 400) * (np.arange(400) % 10 > 0)
        model = BatchGDRegressor(loss, inference=True, **NUMBERS.get(loss, {})).fit(X, y, weight)
        for robust in (True, "HC1"):
            same(coefficient_table(model, robust=robust), coefficient_table(model, X, y, weight, robust=robust))

    @pytest.mark.parametrize(
        "params",
        [{"penalty": "l2", "alpha": 0.1}, {"fit_intercept": False}, {"learning_rate": "constant", "eta0": 0.1}],
    )
    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_parameters(self, params):
        X, y = rows(n=400, offset=0.0)
        X /= X.std(axis=0)
        model = BatchGDRegressor(inference=True, **params).fit(X, y)
        same(coefficient_table(model), coefficient_table(model, X, y))

    def test_other_rows(self):
        X, y = rows(n=400)
        model = BatchGDRegressor(inference=True).fit(csr(X), np.column_stack((y, -y)))
        for table, other in zip(
            coefficient_table(model), coefficient_table(model, X, np.column_stack((y, -y))), strict=True
        ):
            same(table, other)
        single = BatchGDRegressor(inference=True).fit(X.astype(np.float32), y)
        assert_allclose(coefficient_table(single).std_err, table.std_err, rtol=1e-3)

    def test_of_half_the_rows(self):
        """Rows that early stopping holds out are not of the fit."""
        X, y = rows()
        model = MiniBatchSGDRegressor(inference=True, early_stopping=True, random_state=0).fit(X, y)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            assert coefficient_table(model).n_samples == 2700


class TestStreams:
    @pytest.mark.parametrize("quantile", [0.05, 0.5, 0.95])
    def test_size_of_residuals(self, quantile):
        """The kernel is as wide as that of a fit also far from the median, where residuals are not about 0."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((5000, 2))
        y = X @ [1.0, -1.0] + rng.standard_normal(5000)
        table = coefficient_table(streamed(X, y, 500, loss="quantile", quantile=quantile))
        theirs = coefficient_table(BatchGDRegressor("quantile", quantile=quantile).fit(X, y), X, y)
        assert_allclose(table.std_err, theirs.std_err, rtol=0.05)

    @pytest.mark.parametrize("size", [7, 300, 3000])
    def test_squared_error(self, size):
        """The sums are those of least squares; residuals are those of rows as they came."""
        sm = pytest.importorskip("statsmodels.api")
        X, y = rows()
        table = coefficient_table(streamed(X, y, size), robust="HC1")
        theirs = sm.OLS(y, np.column_stack((X, np.ones(len(y))))).fit(cov_type="HC1")
        assert table.n_samples == 3000
        assert_allclose(table.coef, theirs.params, rtol=1e-6)
        assert_allclose(table.std_err, theirs.bse, rtol=0.02)

    @pytest.mark.parametrize("n", [40, 200])
    def test_short_streams(self, n):
        """All rows of which still wait to be counted."""
        sm = pytest.importorskip("statsmodels.api")
        X, y = rows(n=n)
        theirs = sm.OLS(y, sm.add_constant(X, prepend=False)).fit(cov_type="HC1")
        for table in (
            coefficient_table(streamed(X, y, 7), robust="HC1"),
            *coefficient_table(streamed(X, np.column_stack((y, y)), 7), robust="HC1"),
        ):
            assert table.n_samples == n
            assert_allclose((table.coef - theirs.params) / theirs.bse, np.zeros(4), atol=0.02)
            assert_allclose(table.std_err, theirs.bse, rtol=1e-3)

    def test_a_short_stream_of_counts(self):
        X, y = rows("poisson", n=200)
        full = coefficient_table(BatchGDRegressor("poisson", **MINIMUM).fit(X, y), X, y)
        table = coefficient_table(streamed(X, y, 50, loss="poisson"))
        assert_allclose((table.coef - full.coef) / full.std_err, np.zeros(4), atol=0.1)
        assert_allclose(table.std_err, full.std_err, rtol=0.02)

    @pytest.mark.parametrize("size", [13, 500])
    @pytest.mark.parametrize("loss", STREAMED)
    def test_as_the_minimum(self, loss, size):
        """One pass ends within a share of a standard error of the minimum on all rows, with its standard errors."""
        X, y = rows(loss)
        params = NUMBERS.get(loss, {})
        full = BatchGDRegressor(loss, **params, **MINIMUM).fit(X, y)
        table, theirs = coefficient_table(streamed(X, y, size, loss=loss, **params)), coefficient_table(full, X, y)
        assert_allclose((table.coef - theirs.coef) / theirs.std_err, np.zeros(4), atol=0.7 if loss in JUMPS else 0.25)
        # Where slopes jump, kernels have other widths, and other rows are near.
        assert_allclose(table.std_err, theirs.std_err, rtol=0.1 if loss in JUMPS else 0.05)

    def test_single_rows(self):
        X, y = rows("poisson", n=800)
        full = coefficient_table(BatchGDRegressor("poisson", **MINIMUM).fit(X, y), X, y)
        table = coefficient_table(streamed(X, y, 1, kind=OnlineSGDRegressor, loss="poisson"))
        assert_allclose((table.coef - full.coef) / full.std_err, np.zeros(4), atol=0.25)
        assert_allclose(table.std_err, full.std_err, rtol=0.1)

    def test_weights_targets_and_layouts(self):
        X, y = rows("poisson")
        weight = np.random.default_rng(0).uniform(0.0, 2.0, len(y)) * (np.arange(len(y)) % 5 > 0)
        full = coefficient_table(BatchGDRegressor("poisson", **MINIMUM).fit(X, y, weight), X, y, weight)
        for given in (X, csr(X), X.astype(np.float32)):
            table = coefficient_table(streamed(given, y, 500, weight, loss="poisson"))
            assert_allclose((table.coef - full.coef) / full.std_err, np.zeros(4), atol=0.25)
            assert_allclose(table.std_err, full.std_err, rtol=0.1)
        alone = streamed(X, y, 500, loss="poisson")
        together = streamed(X, np.column_stack((y, y + 1.0)), 500, loss="poisson")
        assert_allclose(together.coef_[0], alone.coef_, rtol=1e-6)
        same(coefficient_table(together)[0], coefficient_table(alone))

    @pytest.mark.parametrize("cuts", [[100, 1500, 1600], [100], [100, 1500]], ids=str)
    def test_first_weights_that_are_large(self, cuts):
        """Also if samples wait to be counted when the mean weight changes."""
        sm = pytest.importorskip("statsmodels.api")
        X, y = rows()
        weight = np.random.default_rng(0).uniform(0.5, 1.5, len(y))
        weight[:100] *= 100.0
        model = MiniBatchSGDRegressor(inference=True, random_state=0)
        for start, stop in zip([0, *cuts], [*cuts, len(y)], strict=True):
            model.partial_fit(X[start:stop], y[start:stop], weight[start:stop])
        robust = sm.WLS(y, sm.add_constant(X, prepend=False), weight).fit(cov_type="HC1")
        assert_allclose(coefficient_table(model).std_err, robust.bse, rtol=0.03)

    @pytest.mark.parametrize("loss", ["squared_error", "huber"])
    def test_only_ratios_of_weights_count_after_a_fit(self, loss):
        X, y = rows()
        found = []
        for factor in (1.0, 100.0):
            weight = np.full(len(y), factor)
            model = MiniBatchSGDRegressor(loss, inference=True, random_state=0).fit(X[:2000], y[:2000], weight[:2000])
            table = coefficient_table(model.partial_fit(X[2000:], y[2000:], weight[2000:]))
            found.append(np.concatenate([table.coef, table.std_err]))
        assert_allclose(found[1], found[0], rtol=1e-6)

    @pytest.mark.parametrize("size", [40, 500])
    @pytest.mark.parametrize("growth", [1e3, 1e-3])
    def test_weights_that_grow(self, growth, size):
        """Weights are relative to their mean so far, in all rows: as with all rows at once."""
        sm = pytest.importorskip("statsmodels.api")
        X, y = rows()
        weight = growth ** np.linspace(0.0, 1.0, len(y))
        model, wls = streamed(X, y, size, weight), sm.WLS(y, sm.add_constant(X, prepend=False), weight)
        robust, classic = wls.fit(cov_type="HC1"), wls.fit()
        assert_allclose((coefficient_table(model).coef - classic.params) / classic.bse, np.zeros(4), atol=1e-4)
        assert_allclose(coefficient_table(model, robust=False).std_err, classic.bse, rtol=1e-6)
        assert_allclose(coefficient_table(model).std_err, robust.bse, rtol=0.03)

    def test_penalty(self):
        X, y = rows("huber", offset=0.0)
        X /= X.std(axis=0)
        params = {"loss": Huber(2.0), "penalty": "l2", "alpha": 1.0}
        full = coefficient_table(BatchGDRegressor(**params, **MINIMUM).fit(X, y), X, y)
        table = coefficient_table(streamed(X, y, 500, **params))
        assert_allclose((table.coef - full.coef) / full.std_err, np.zeros(4), atol=0.25)
        assert_allclose(table.std_err, full.std_err, rtol=0.05)
        assert "Penalised" in str(table)

    def test_half_life(self):
        """Least squares with weights that fall by half with each 200 rows, whose sandwich has their squares."""
        X, y = rows(n=1500)
        model = streamed(X, y, 300, half_life=200)
        (scores,) = model._fitted.scores
        weight, Z = 0.5 ** (np.arange(1500)[::-1] / 200), np.column_stack((X - scores.centre, np.ones(1500)))
        assert_allclose(scores.curvature, (Z.T * weight) @ Z)
        solution = np.linalg.solve((Z.T * weight) @ Z, Z.T @ (weight * y))
        assert_allclose(np.linalg.solve(scores.curvature, scores.product - scores.slope), solution, rtol=1e-9)
        e = y - Z @ solution
        assert_allclose(scores.scatter.diagonal(), ((weight * e) ** 2) @ Z**2, rtol=0.1)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            assert coefficient_table(model).n_samples == round(weight.sum())

    def test_few_rows_within_epsilon(self):
        """Their second derivatives are those of rows as they come: those that leave are not missing."""
        epsilon, n, found = 0.1, 800, []
        truth = quad(lambda z: 2.0 * min(z, epsilon) ** 2 * norm.pdf(z), 0.0, 8.0, points=[epsilon])[0] ** 0.5
        truth /= n**0.5 * (2.0 * norm.cdf(epsilon) - 1.0)
        for seed in range(6):
            rng = np.random.default_rng(seed)
            X, noise = rng.standard_normal((n, 3)), rng.standard_normal(n)
            model = streamed(X, X @ [1.0, -0.5, 0.0] + noise, 200, loss="huber", epsilon=epsilon)
            found.append(coefficient_table(model).std_err.mean())
        assert_allclose(np.mean(found), truth, rtol=0.15)

    @pytest.mark.parametrize("half_life", [50, 200])
    def test_half_life_residuals_are_those_of_their_time(self, half_life):
        """The sandwich of weighted least squares, each row with the residual at the fit after its block."""
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(0)
        Z, y = np.column_stack((rng.choice([-1.0, 1.0], 600), np.ones(600))), rng.standard_normal(600)
        model, left = streamed(Z[:, :1], y, 300, half_life=half_life), 0.5 ** (np.arange(600)[::-1] / half_life)
        first, last = (sm.WLS(y[:n], Z[:n], left[:n]).fit() for n in (300, 600))
        e = y - np.concatenate((Z[:300] @ first.params, Z[300:] @ last.params))
        H, S = (Z.T * left) @ Z, (Z.T * (left * e) ** 2) @ Z
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            found = coefficient_table(model).std_err
        assert_allclose(found, np.sqrt((np.linalg.inv(H) @ S @ np.linalg.inv(H)).diagonal()), rtol=1e-6)

    def test_after_a_fit(self):
        X, y = rows("poisson")
        model = MiniBatchSGDRegressor("poisson", inference=True).fit(X[:1500], y[:1500]).partial_fit(X[1500:], y[1500:])
        full = coefficient_table(BatchGDRegressor("poisson", **MINIMUM).fit(X, y), X, y)
        table = coefficient_table(model)
        assert table.n_samples == 3000
        assert_allclose((table.coef - full.coef) / full.std_err, np.zeros(4), atol=0.25)
        assert_allclose(table.std_err, full.std_err, rtol=0.05)

    def test_rows_that_are_seen_again_are_not_new(self):
        X, y = rows("poisson")
        source = ArraySource(X, y, chunk_rows=500)
        once, twice = (
            fit_stream(MiniBatchSGDRegressor("poisson", inference=True), source, epochs=n, random_state=0)
            for n in (1, 2)
        )
        assert coefficient_table(twice).n_samples == 3000
        assert_allclose(coefficient_table(twice).std_err, coefficient_table(once).std_err, rtol=0.05)

    @pytest.mark.parametrize("epochs", [2, 3])
    @pytest.mark.parametrize(("n", "size"), [(200, 50), (200, 200), (800, 100), (300, 7)])
    def test_rows_that_wait_while_others_are_seen_again(self, n, size, epochs):
        """Fewer than 256 rows wait: they are new if they came in the first epoch, and not new if they come later."""
        sm = pytest.importorskip("statsmodels.api")
        X, y = rows(n=n)
        model = MiniBatchSGDRegressor(inference=True)
        fit_stream(model, ArraySource(X, y, chunk_rows=size), epochs=epochs, random_state=0)
        table = coefficient_table(model)
        assert table.n_samples == n
        theirs = sm.OLS(y, sm.add_constant(X, prepend=False)).fit(cov_type="HC0")
        assert_allclose(table.std_err, theirs.bse, rtol=0.12)

    @pytest.mark.parametrize(("seed", "size"), [(12, 20), (19, 50)])
    def test_rows_that_wait_are_seen_again_where_they_were_counted(self, seed, size):
        """Few have a curvature. What is left of it is rounding if that at another minimum is taken from it."""
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((100, 3))
        y = X[:, 0] + rng.standard_normal(100)
        model = MiniBatchSGDRegressor("huber", epsilon=0.1, inference=True)
        fit_stream(model, ArraySource(X, y, chunk_rows=size), epochs=3, random_state=0)
        fit = BatchGDRegressor("huber", epsilon=0.1).fit(X, y)
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # Few rows have a curvature.
            assert_allclose(coefficient_table(model).std_err, coefficient_table(fit, X, y).std_err, rtol=0.5)

    @pytest.mark.parametrize("seed", [0, 3])
    def test_few_rows_that_are_seen_again_are_still_few(self, seed):
        """Of the rows of a rare level few are within epsilon, in each epoch; their number is the one from X and y."""
        rng = np.random.default_rng(seed)
        X = np.column_stack((rng.standard_normal(20_000), rng.permutation(20_000) < 10))
        y = X @ [0.5, 1.0] + rng.standard_normal(20_000)
        source, numbers = ArraySource(X, y, chunk_rows=1000), []
        for epochs in (1, 2, 3):
            model = MiniBatchSGDRegressor("huber", epsilon=0.1, inference=True)
            fit_stream(model, source, epochs=epochs, random_state=0)
            with pytest.warns(UserWarning, match="along x1 is that of about") as said:
                coefficient_table(model)
            numbers.append(int(re.search(r"about (\d+) row", str(said[0].message))[1]))
        within = np.abs(y - X @ model.coef_ - model.intercept_) <= 0.1
        assert_allclose(numbers, within[X[:, 1] == 1.0].sum(), atol=1)

    def test_squares_of_all_rows(self):
        """Also of rows that are left out of those with a large leverage: against the rows themselves, at the end."""
        rng = np.random.default_rng(0)
        levels = np.eye(60)[rng.permutation(np.arange(4800) % 400).clip(max=59)][:, :59]
        X = np.column_stack((rng.standard_normal(4800), levels))
        y = X[:, 0] + 0.3 * rng.standard_normal(4800)
        (scores,) = streamed(X, y, 300, loss="huber", epsilon=3.0)._fitted.scores
        assert len(scores.leading.y) < 59 * 12
        Z = np.column_stack((X - scores.centre, np.ones(4800)))
        assert_allclose(scores.squares, (Z**4).sum(axis=0), rtol=1e-4)

    def test_moments_of_rows_that_are_seen_again(self):
        X, y = rows()
        source = ArraySource(X, y, chunk_rows=500)
        models = (fit_stream(MiniBatchSGDRegressor(), source, epochs=n, random_state=0) for n in (1, 2))
        once, twice = (coefficient_table(model, robust=False) for model in models)
        assert twice.n_samples == once.n_samples == 3000
        assert_allclose(twice.std_err, once.std_err, rtol=1e-6)

    @pytest.mark.parametrize("size", [20, 500])
    def test_a_rare_column_that_comes_late(self, size):
        """Its first rows wait for each other: one alone would send its coefficient anywhere."""
        rng = np.random.default_rng(1)
        X = np.column_stack((rng.standard_normal((6000, 2)), (rng.random(6000) < 0.01) * (np.arange(6000) > 2000)))
        y = X @ [1.0, 2.0, 15.0] + rng.standard_t(3, 6000)
        full = coefficient_table(BatchGDRegressor(Huber(1.0), **MINIMUM).fit(X, y), X, y)
        model = streamed(X, y, size, loss=Huber(1.0))
        table = coefficient_table(model)
        assert table.n_samples == 6000
        assert_allclose((table.coef - full.coef) / full.std_err, np.zeros(4), atol=0.3)
        assert_allclose(table.std_err, full.std_err, rtol=0.2)

    def test_few_rows_predict_with_the_descent(self):
        X, y = rows("poisson", n=30)
        kept, plain = (MiniBatchSGDRegressor("poisson", inference=inference) for inference in (True, False))
        assert_array_equal(kept.partial_fit(X, y).coef_, plain.partial_fit(X, y).coef_)

    @pytest.mark.filterwarnings("ignore:.*predicts worse than the best constant")  # It does: 0.84 against 0.67.
    def test_schedules_predict_with_the_descent(self):
        X, y = rows("poisson", offset=0.0)
        X /= X.std(axis=0)
        params = {"loss": "poisson", "learning_rate": "constant", "eta0": 0.01, "average": True}
        kept = streamed(X, y, 500, **params)
        plain = MiniBatchSGDRegressor(**params)
        for start in range(0, 3000, 500):
            plain.partial_fit(X[start : start + 500], y[start : start + 500])
        assert_array_equal(kept.coef_, plain.coef_)
        with pytest.warns(ConvergenceWarning, match="standard errors from the minimum"):
            assert coefficient_table(kept).n_samples == 3000


class TestLeverage:
    """Rows with a large leverage come early, and are not what they seemed to be."""

    @pytest.mark.parametrize("size", [50, 1000])
    @pytest.mark.parametrize("order", [0, 1])
    def test_as_statsmodels(self, size, order):
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(order)
        X, y = rng.standard_normal((4000, 3)), rng.standard_normal(4000)
        X[:, 0] = np.where(rng.random(4000) < 0.002, 30.0, 1.0) * X[:, 0]
        y += X @ [0.0, 1.0, -1.0] + 0.3 * np.abs(X[:, 0]) * rng.standard_normal(4000)
        table = coefficient_table(streamed(X, y, size))
        theirs = sm.OLS(y, sm.add_constant(X, prepend=False)).fit(cov_type="HC0")
        assert_allclose(table.std_err, theirs.bse, rtol=0.03)

    @pytest.mark.parametrize("loss", ["huber", "poisson"])
    def test_as_with_rows(self, loss):
        rng = np.random.default_rng(3)
        X = rng.standard_normal((4000, 3)) * np.where(rng.random((4000, 1)) < 0.005, 6.0, 1.0)
        raw = X @ [0.2, 0.1, -0.1] + 1.0
        y = rng.poisson(np.exp(raw)) * 1.0 if loss == "poisson" else raw + rng.standard_t(4, 4000)
        params = NUMBERS.get(loss, {})
        full = coefficient_table(BatchGDRegressor(loss, **params, **MINIMUM).fit(X, y), X, y)
        table = coefficient_table(streamed(X, y, 200, loss=loss, **params))
        assert_allclose((table.coef - full.coef) / full.std_err, np.zeros(4), atol=0.15)
        assert_allclose(table.std_err, full.std_err, rtol=0.1)

    @pytest.mark.parametrize("place", [3, 2500])
    @pytest.mark.parametrize("size", [100, 3000])
    def test_one_sample_far_away(self, place, size):
        """The residual of a sample with a leverage of nearly 1 needs the minimum in all its digits."""
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(0)
        X = rng.standard_normal((3000, 3))
        y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(3000) * (1.0 + np.abs(X[:, 0]))
        X[place] = [1e3, 0.0, 0.0]
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # It changes all that was known before.
            table = coefficient_table(streamed(X, y, size))
        theirs = sm.OLS(y, sm.add_constant(X, prepend=False)).fit(cov_type="HC0")
        assert_allclose(table.std_err, theirs.bse, rtol=0.15 if place > size else 0.02)

    def test_rare_levels(self):
        sm = pytest.importorskip("statsmodels.api")
        rng = np.random.default_rng(0)
        levels = np.eye(25)[np.minimum(rng.geometric(0.2, 3000) - 1, 24)][:, 1:]
        X = np.column_stack((rng.standard_normal((3000, 2)), levels[:, levels.sum(axis=0) > 2]))
        y = X[:, 0] + rng.standard_normal(3000)
        theirs = sm.OLS(y, sm.add_constant(X, prepend=False)).fit(cov_type="HC0")
        assert_allclose(coefficient_table(streamed(X, y, 100)).std_err, theirs.bse, rtol=0.1)

    def test_few_are_kept(self):
        X, y = rows(n=600)
        weight = np.random.default_rng(0).uniform(0.5, 2.0, 600)
        model = streamed(X, y, 100, weight)
        (scores,) = model._fitted.scores
        assert len(scores.leading.y) <= 32
        with_rows = coefficient_table(BatchGDRegressor(**MINIMUM).fit(X, y, weight), X, y, weight)
        assert_allclose(coefficient_table(model).std_err, with_rows.std_err, rtol=0.03)


class TestOrder:
    """Sorted files are noticed, and random ones are not taken for sorted."""

    def sorted_rows(self, loss, by):
        X, y = rows(loss, n=6000)
        y = y + 10.0 * ((X[:, 0] - 5.0) ** 2 if loss != "poisson" else np.round((X[:, 0] - 5.0) ** 2))
        order = np.argsort(y if by == "target" else X[:, 0], kind="stable")
        return X[order], y[order]

    @pytest.mark.filterwarnings("ignore:.*predicts worse than the best constant")  # It does, for half of the losses.
    @pytest.mark.filterwarnings("ignore:.*early ones lead to other coefficients")
    @pytest.mark.parametrize("by", ["target", "column"])
    @pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson", "quantile"])
    def test_sorted(self, loss, by):
        X, y = self.sorted_rows(loss, by)
        model = streamed(X, y, 200, loss=loss)
        with pytest.warns(UserWarning, match="not in random order"):
            coefficient_table(model)
        order = np.random.default_rng(0).permutation(len(y))
        coefficient_table(streamed(X[order], y[order], 200, loss=loss))  # Warnings are errors.

    @pytest.mark.parametrize("loss", ["squared_error", "quantile"])
    def test_days(self, loss):
        """Standard errors of independent rows are right by their formula, but those by days are larger."""
        rng = np.random.default_rng(0)
        day = np.repeat(np.arange(200), 100)
        X = np.column_stack((rng.standard_normal(20_000), rng.standard_normal(200)[day]))
        y = X[:, 0] + 1.5 * rng.standard_normal(200)[day] + rng.standard_normal(20_000)
        model = streamed(X, y, 100, loss=loss)
        with pytest.warns(UserWarning, match="more alike the nearer they are"):
            table = coefficient_table(model)
        assert_allclose(table.std_err, coefficient_table(model, X, y).std_err, rtol=0.1)
        by_day = coefficient_table(model, X, y, groups=day)
        assert by_day.std_err[1] > 3.0 * table.std_err[1]

    @pytest.mark.filterwarnings("ignore:.*early ones lead to other coefficients")
    def test_intervals_of_predictions(self):
        X, y = self.sorted_rows("poisson", "target")
        with pytest.warns(UserWarning, match="not in random order"):
            predict_interval(streamed(X, y, 200, loss="poisson"), X[:2])

    def test_moments_do_not_depend_on_the_order(self):
        """So the classic formula of the squared error does not, and nothing is to be noticed."""
        X, y = self.sorted_rows("squared_error", "target")
        model = MiniBatchSGDRegressor()
        streamed_on(model, X, y, 200)
        sm = pytest.importorskip("statsmodels.api")
        theirs = sm.OLS(y, sm.add_constant(X, prepend=False)).fit()
        assert_allclose(coefficient_table(model, robust=False).std_err, theirs.bse, rtol=1e-6)

    @pytest.mark.parametrize("loss", ["squared_error", "poisson", "quantile"])
    @pytest.mark.parametrize("n", [300, 3000])
    def test_independent_rows(self, loss, n):
        for seed in range(8):
            X, y = rows(loss, n=n, seed=seed)
            coefficient_table(streamed(X, y, 50, loss=loss))  # Warnings are errors.


class TestState:
    @pytest.mark.parametrize("size", [7, 300])
    def test_saved(self, size, tmp_path):
        X, y = rows("huber")
        model = streamed(X[:1000], y[:1000], size, loss="huber", epsilon=1.0)
        table = coefficient_table(model)
        loaded = pickle.loads(pickle.dumps(model))
        same(coefficient_table(loaded), table)
        for other in (model, loaded):
            other.partial_fit(X[1000:1300], y[1000:1300])
        same(coefficient_table(loaded), coefficient_table(model))

    def test_checkpoints(self, tmp_path):
        X, y = rows("huber")
        source = ArraySource(X, y, chunk_rows=300)
        model = MiniBatchSGDRegressor(Huber(1.0), inference=True)
        path = tmp_path / "checkpoint"
        fit_stream(model, source, max_rows=1500, checkpoint=path, random_state=0)
        assert coefficient_table(load_checkpoint(path).estimator).n_samples == 1500
        resumed = fit_stream(model, source, checkpoint=path, random_state=0)
        whole = fit_stream(MiniBatchSGDRegressor(Huber(1.0), inference=True), source, random_state=0)
        assert_array_equal(coefficient_table(resumed).covariance, coefficient_table(whole).covariance)

    def test_copies_go_their_own_ways(self):
        X, y = rows("huber", n=100)
        model = streamed(X[:20], y[:20], 10, loss="huber", epsilon=1.0)
        other = copy.copy(model)
        model.partial_fit(X[20:30], y[20:30])
        other.partial_fit(X[30:80], y[30:80])
        (mine,), (others,) = model._fitted.scores, other._fitted.scores
        assert (mine.n_rows, others.n_rows) == (30, 70)
        assert_array_equal(np.array(mine.pending[: mine.n_pending])[:, :3], X[:30])
        assert_array_equal(np.array(others.pending[: others.n_pending])[:, :3], X[np.r_[:20, 30:80]])

    @pytest.mark.parametrize("size", [7, 300])
    def test_a_failed_call_changes_nothing(self, size):
        X, y = rows("huber")
        model = streamed(X[:600], y[:600], size, loss="huber", epsilon=1.0)
        before = pickle.dumps(model)
        for bad in ((X[:5], np.full(5, np.nan)), (X[:5] * np.inf, y[:5]), (X[:5, :2], y[:5])):
            with pytest.raises(ValueError, match=r"NaN|infinity|features"):
                model.partial_fit(*bad)
        assert pickle.dumps(model) == before

    def test_an_undone_call_changes_nothing(self):
        X, y = rows()
        model = streamed(X[:600], y[:600], 300)
        before = pickle.dumps(model)
        with pytest.warns(ConvergenceWarning, match="left the finite range"):
            model.partial_fit(X[:300], y[:300] * 1e300)
        assert pickle.dumps(model) == before

    @pytest.mark.parametrize("size", [7, 300])
    def test_squares_out_of_range(self, size):
        """The rows are left out of the table, and the stream goes on."""
        X, y = rows()
        model = streamed(X[:600], y[:600], size)
        more, targets = X[300:1200].copy(), y[300:1200].copy()
        more[:300, 0] *= 1e40
        targets[:300] *= 1e130
        with pytest.warns(RuntimeWarning, match="are not counted") as said:
            streamed_on(model, more, targets, size)
        assert {warning.filename for warning in said} == {__file__}
        (scores,) = model._fitted.scores
        assert scores.is_finite
        assert 600 <= scores.n_rows <= 1200

    def test_forgotten_by_a_fit_without(self):
        X, y = rows()
        model = BatchGDRegressor(inference=True).fit(X, y)
        model.set_params(inference=False).fit(X, y)
        with pytest.raises(ValueError, match="inference=True"):
            coefficient_table(model)


class TestRefusals:
    @pytest.mark.parametrize("params", [{"penalty": "l1"}, {"positive": True}])
    def test_penalties(self, params):
        X, y = rows()
        for call in ("fit", "partial_fit"):
            with pytest.raises(ValueError, match="inference=True is for standard errors"):
                getattr(MiniBatchSGDRegressor(inference=True, **params), call)(X, y)

    def test_many_columns(self):
        with pytest.raises(ValueError, match="up to 400 features"):
            MiniBatchSGDRegressor(inference=True).partial_fit(np.ones((2, 401)), [1.0, 2.0])

    def test_leverages(self):
        X, y = rows()
        with pytest.raises(ValueError, match="leverage"):
            coefficient_table(BatchGDRegressor(inference=True).fit(X, y), robust="HC3")

    def test_few_rows(self):
        X, y = rows()
        with pytest.raises(ValueError, match="more rows"):
            coefficient_table(MiniBatchSGDRegressor(inference=True).partial_fit(X[:4], y[:4]))


def test_dependent_columns_do_no_harm():
    """A stream goes on; the table says which columns."""
    X, y = rows("huber")
    X = np.column_stack((X, X[:, 0] + X[:, 1], np.ones(len(y))))
    model = streamed(X, y, 300, loss="huber", epsilon=1.0)
    full = BatchGDRegressor("huber", epsilon=1.0, **MINIMUM).fit(X, y)
    assert_allclose(model.predict(X), full.predict(X), atol=0.2)
    with pytest.raises(ValueError, match="dependent or constant"):
        coefficient_table(model)


@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
def test_a_stream_goes_on_with_mapped_arrays(loss, tmp_path):
    """joblib maps large arrays of models into the memory of other processes, where they are of another class."""
    X, y = rows(loss, n=1500)
    model = (
        MiniBatchSGDRegressor(loss, inference=True).partial_fit(X[:500], y[:500]).partial_fit(X[500:1000], y[500:1000])
    )
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    for each in (model, mapped):
        each.partial_fit(X[1000:], y[1000:])
    assert_array_equal(mapped.coef_, model.coef_)
