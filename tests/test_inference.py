"""Standard errors against statsmodels, closed forms, and the influence of single rows."""

import contextlib
import dataclasses
import itertools
import pickle
import warnings

import numpy as np
import pytest
from internals import loss_curvature as curvature
from numpy.testing import assert_allclose
from problems import csr, linear
from scipy.stats import beta, norm
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.inference import CoefficientTable, coefficient_table, predict_interval
from sklearn_sgd.losses import (
    LOSSES,
    Cauchy,
    EpsilonInsensitive,
    Expectile,
    Gamma,
    Huber,
    LogCosh,
    Poisson,
    Quantile,
    SquaredError,
    Tweedie,
)
from sklearn_sgd.penalties import L2, Box

NUMBERS = {"huber": {"epsilon": 0.5}, "squared_epsilon_insensitive": {"epsilon": 0.5}, "expectile": {"quantile": 0.7}}
NUMBERS |= {"logcosh": {}, "cauchy": {}}
MINIMUM = {"epochs": 1000, "tol": 1e-10}


def rows(n=300, seed=0, offset=100.0):
    """Correlated columns far from 0 and of other scales, with noise that depends on the first one."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((n, 3)) @ [[1.0, 0.5, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]]
    y = Z @ [1.0, -0.5, 0.0] + 3.0 + rng.standard_normal(n) * (0.5 + np.abs(Z[:, 0]))
    return Z * [1.0, 20.0, 0.1] + [0.0, offset, -3.0], y


def with_ones(X):
    """Columns for statsmodels, the intercept last."""
    return np.column_stack((X, np.ones(len(X))))


def at(model, parameters):
    """The model with other parameters, as those of another solver."""
    model.coef_, model.intercept_ = np.array(parameters[:-1]), float(parameters[-1])
    return model


@pytest.fixture(scope="module")
def sm():
    pytest.importorskip("statsmodels")
    import statsmodels.api

    return statsmodels.api


def real(folder, name, target):
    """The columns of numbers of a data set, and its targets."""
    pd = pytest.importorskip("pandas")
    frame = pd.read_csv(folder / name)
    return frame.drop(columns=target).select_dtypes("number"), frame[target].to_numpy(dtype=float)


class TestSquaredError:
    @pytest.mark.parametrize("robust", [False, "HC0", "HC1", "HC2", "HC3"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_as_ols_and_wls(self, sm, robust, weighted):
        X, y = rows()
        weight = np.random.default_rng(1).uniform(0.1, 5.0, len(y)) if weighted else None
        theirs = sm.WLS(y, with_ones(X), weights=1.0 if weight is None else weight)
        theirs = theirs.fit(cov_type=robust or "nonrobust")
        table = coefficient_table(BatchGDRegressor().fit(X, y, weight), X, y, weight, robust=robust)
        for name, other in (("coef", "params"), ("std_err", "bse"), ("z", "tvalues"), ("p_value", "pvalues")):
            assert_allclose(getattr(table, name), getattr(theirs, other), rtol=1e-6)
        assert_allclose(np.column_stack((table.low, table.high)), theirs.conf_int(), rtol=1e-6)
        assert_allclose(table.covariance, theirs.cov_params(), rtol=1e-6)
        assert table.n_samples == len(y)

    @pytest.mark.parametrize(("name", "target"), [("concrete.csv", "strength"), ("airfoil.csv", "sound_pressure")])
    @pytest.mark.parametrize("robust", [False, "HC0", "HC3"])
    def test_on_real_columns(self, sm, shared_data, name, target, robust):
        frame, y = real(shared_data, name, target)
        theirs = sm.OLS(y, with_ones(frame.to_numpy(dtype=float))).fit(cov_type=robust or "nonrobust")
        table = coefficient_table(BatchGDRegressor().fit(frame, y), frame, y, robust=robust)
        assert_allclose(table.std_err, theirs.bse, rtol=1e-6)
        assert table.feature_names == [*frame.columns, "intercept"]

    def test_clusters(self, sm):
        X, y = rows()
        groups = np.random.default_rng(2).integers(0, 30, len(y))
        theirs = sm.OLS(y, with_ones(X)).fit(cov_type="cluster", cov_kwds={"groups": groups})
        model = BatchGDRegressor().fit(X, y)
        assert_allclose(coefficient_table(model, X, y, groups=groups).std_err, theirs.bse, rtol=1e-8)
        names = np.array([f"g{group}" for group in groups])
        assert_allclose(coefficient_table(model, X, y, groups=names).std_err, theirs.bse, rtol=1e-8)

    def test_without_intercept(self, sm):
        X, y = rows()
        model = BatchGDRegressor(fit_intercept=False).fit(X, y)
        for robust in (False, "HC3"):
            theirs = sm.OLS(y, X).fit(cov_type=robust or "nonrobust")
            table = coefficient_table(model, X, y, robust=robust)
            assert_allclose(table.std_err, theirs.bse, rtol=1e-7)
        assert table.feature_names == ["x0", "x1", "x2"]
        assert_allclose(coefficient_table(model, robust=False).std_err, sm.OLS(y, X).fit().bse, rtol=1e-7)

    @pytest.mark.parametrize("robust", [True, "HC3", False])
    def test_layouts_and_precisions(self, robust):
        X, y = rows(offset=2.0)
        X[np.abs(X) < 0.5] = 0.0
        table = coefficient_table(BatchGDRegressor().fit(X, y), X, y, robust=robust)
        S = csr(X)
        assert_allclose(coefficient_table(BatchGDRegressor().fit(S, y), S, y, robust=robust).std_err, table.std_err)
        X32 = X.astype(np.float32)
        table32 = coefficient_table(BatchGDRegressor().fit(X32, y), X32, y, robust=robust)
        assert table32.std_err.dtype == np.float64
        assert_allclose(table32.std_err, table.std_err, rtol=1e-4)

    def test_blocks(self, monkeypatch):
        X, y = rows()
        model = BatchGDRegressor().fit(X, y)
        groups = np.arange(len(y)) // 7
        whole = [coefficient_table(model, X, y, **how).std_err for how in ({"robust": "HC3"}, {"groups": groups})]
        monkeypatch.setattr("sklearn_sgd._engine.scores.rows.ENTRIES", 50)
        parts = [coefficient_table(model, X, y, **how).std_err for how in ({"robust": "HC3"}, {"groups": groups})]
        assert_allclose(parts, whole, rtol=1e-9)

    @pytest.mark.parametrize("robust", ["HC2", "HC3"])
    @pytest.mark.parametrize("blocks", [False, True])
    def test_a_level_with_one_row(self, monkeypatch, robust, blocks):
        """The other coefficients are those of a fit without this row."""
        if blocks:
            monkeypatch.setattr("sklearn_sgd._engine.scores.rows.ENTRIES", 50)
        X, y = rows()
        level = np.zeros(len(y))
        level[17] = 1.0
        Z = np.column_stack((X, level))
        with pytest.warns(UserWarning, match=f"leverage of row 17 is 1.*{robust} is not defined"):
            table = coefficient_table(BatchGDRegressor().fit(Z, y), Z, y, robust=robust)
        others = level == 0.0
        theirs = coefficient_table(BatchGDRegressor().fit(X[others], y[others]), X[others], y[others], robust=robust)
        assert_allclose(table.std_err[[0, 1, 2, 4]], theirs.std_err, rtol=1e-9)

    @pytest.mark.parametrize("way", ["HC0", "HC1", "kept"])
    @pytest.mark.parametrize("loss", ["squared_error", "poisson"])
    def test_a_level_with_one_row_has_no_error(self, loss, way):
        """The residual of its row is 0, and so is nearly the sandwich: a tenth of what the classic formula has."""
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.standard_normal(400), np.arange(400) == 7])
        y = rng.poisson(np.exp(0.3 * X[:, 0] + 1.0)) + 1.0
        model = BatchGDRegressor(loss, inference=way == "kept").fit(X, y)
        arguments = () if way == "kept" else (X, y)
        with pytest.warns(UserWarning, match="along x1 is that of about 1 row. These"):
            table = coefficient_table(model, *arguments, robust="HC0" if way == "kept" else way)
        assert table.std_err[1] < 0.2 * coefficient_table(model, X, y, robust=False).std_err[1]
        others = np.arange(400) != 7
        coefficient_table(BatchGDRegressor(loss).fit(X[others, :1], y[others]), X[others, :1], y[others])

    @pytest.mark.parametrize("seed", range(5))
    def test_a_level_with_one_row_beside_nearly_equal_columns(self, seed):
        """Rounding of its leverage grows with the condition number; its residual is that of single precision."""
        rng = np.random.default_rng(seed)
        x, level = rng.standard_normal(60), np.eye(60)[0]
        X = np.column_stack([x, x + 1e-3 * rng.standard_normal(60), level]).astype(np.float32)
        y = (1.0 + x + rng.standard_normal(60)).astype(np.float32)
        model = BatchGDRegressor().fit(X, y)
        with pytest.warns(UserWarning, match="leverage of row 0 is 1"):
            table = coefficient_table(model, X, y, robust="HC3")
        assert table.std_err[2] < 10.0

    def test_a_leverage_of_one_with_a_residual(self):
        """The other rows of a level are beyond the epsilon of the loss, so that they have no second derivative."""
        rng = np.random.default_rng(1)
        x, level = rng.standard_normal(100), (np.arange(100) < 3).astype(float)
        y, X = x + rng.standard_normal(100), np.column_stack([x, level])
        y[:3] = x[:3] + np.array([0.0, 6.0, 8.0])
        model = BatchGDRegressor("huber", epsilon=1.0).fit(X, y, np.where(np.arange(100) == 0, 3.0, 1.0))
        with pytest.raises(ValueError, match=r"a row has a leverage of 1, but its residual is not 0.*Use robust=True"):
            coefficient_table(model, X, y, np.where(np.arange(100) == 0, 3.0, 1.0), robust="HC3")

    def test_offsets_cost_no_digits(self, sm):
        X, y = rows()
        far = X + 1e6
        table = coefficient_table(BatchGDRegressor().fit(far, y), far, y)
        near = sm.OLS(y, with_ones(X)).fit(cov_type="HC0")
        assert_allclose(table.std_err[:-1], near.bse[:-1], rtol=1e-5)

    def test_rows_without_weight_do_not_count(self):
        X, y = rows()
        weight = np.ones(len(y))
        weight[::3] = 0.0
        model = BatchGDRegressor().fit(X, y, weight)
        kept = weight > 0.0
        for how in ({"robust": "HC1"}, {"robust": False}, {"groups": np.arange(len(y)) // 5}):
            table = coefficient_table(model, X, y, weight, **how)
            how = {name: value[kept] if name == "groups" else value for name, value in how.items()}
            assert_allclose(table.std_err, coefficient_table(model, X[kept], y[kept], **how).std_err)
            assert table.n_samples == kept.sum()

    def test_only_ratios_of_weights_matter(self):
        X, y = rows()
        weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
        model = BatchGDRegressor().fit(X, y, weight)
        for robust in (False, "HC1", "HC3"):
            one, many = (coefficient_table(model, X, y, w, robust=robust).std_err for w in (weight, 1000.0 * weight))
            assert_allclose(one, many)

    def test_several_targets(self):
        X, y = rows()
        Y = np.column_stack((y, y[::-1]))
        model = BatchGDRegressor().fit(X, Y)
        for how in ({"robust": "HC3"}, {"robust": False}):
            tables = coefficient_table(model, X, Y, **how)
            for t, table in enumerate(tables):
                alone = coefficient_table(BatchGDRegressor().fit(X, Y[:, t]), X, Y[:, t], **how)
                assert_allclose(table.std_err, alone.std_err, rtol=1e-7)
        for table, rowless in zip(tables, coefficient_table(model, robust=False), strict=True):
            assert_allclose(rowless.std_err, table.std_err, rtol=1e-7)
        assert len(coefficient_table(BatchGDRegressor().fit(X, Y[:, :1]), X, Y[:, :1])) == 1

    def test_exact_fits(self):
        """There is no warning: nothing is missing but rounding."""
        X, _ = rows()
        for y in (X @ [1.0, 1.0, 1.0], np.full(len(X), 7.0)):
            model = BatchGDRegressor().fit(X, y)
            for robust in (True, False):
                assert coefficient_table(model, X, y, robust=robust).std_err.max() < 1e-6


class TestFromMoments:
    @pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_fits(self, sm, kind, weighted):
        X, y = rows()
        weight = np.random.default_rng(1).uniform(0.1, 5.0, len(y)) if weighted else None
        theirs = sm.WLS(y, with_ones(X), weights=1.0 if weight is None else weight).fit()
        table = coefficient_table(kind(random_state=0).fit(X, y, weight), robust=False)
        assert_allclose(table.std_err, theirs.bse, rtol=1e-5)
        assert_allclose(table.dispersion, theirs.scale * (1.0 if weight is None else 1.0 / weight.mean()), rtol=1e-5)

    def test_streams_and_pickles(self, sm):
        X, y = rows()
        model = MiniBatchSGDRegressor()
        for start in range(0, len(y), 37):
            model.partial_fit(X[start : start + 37], y[start : start + 37])
        theirs = sm.OLS(y, with_ones(X)).fit()
        for each in (model, pickle.loads(pickle.dumps(model))):
            table = coefficient_table(each, robust=False)
            assert_allclose((table.coef - theirs.params) / theirs.bse, 0.0, atol=1e-3)
            assert_allclose(table.std_err, theirs.bse, rtol=1e-5)
            assert table.n_samples == len(y)

    @pytest.mark.parametrize("params", [{"loss": "gamma"}, {"learning_rate": "constant", "eta0": 1e-3}])
    def test_where_there_are_none(self, params):
        X, y = rows(offset=0.0)
        with warnings.catch_warnings(action="ignore"):
            model = BatchGDRegressor(**params).fit(X, np.exp(0.1 * y))
        with pytest.raises(ValueError, match="keeps no moments"):
            coefficient_table(model, robust=False)

    def test_robust_needs_rows(self):
        model = BatchGDRegressor().fit(*rows())
        with pytest.raises(ValueError, match=r"fit again\. Or robust=False"):
            coefficient_table(model)
        with pytest.raises(ValueError, match="leverage"):
            coefficient_table(model, robust="HC3")
        with pytest.raises(ValueError, match="X and y belong together"):
            coefficient_table(model, groups=np.arange(3000) % 20)
        with pytest.raises(ValueError, match=r"fit again\.$"):
            coefficient_table(BatchGDRegressor("huber").fit(*rows()))

    def test_exact_fits_are_refused(self):
        X, _ = rows()
        with pytest.raises(ValueError, match="too small to be known from moments"):
            coefficient_table(BatchGDRegressor().fit(X, X @ [1.0, 1.0, 1.0]), robust=False)

    def test_penalised_as_from_rows(self):
        X, y = rows()
        model = BatchGDRegressor(penalty="l2", alpha=0.1).fit(X, y)
        table = coefficient_table(model, X, y, robust=False)
        assert_allclose(coefficient_table(model, robust=False).std_err, table.std_err, rtol=1e-7)


class TestDeviances:
    def targets(self, loss, X):
        rng = np.random.default_rng(3)
        mean = np.exp((X - X.mean(axis=0)) @ [0.3, 0.01, 1.0] + 1.0)
        gamma = rng.gamma(2.0, mean / 2.0)
        return {"poisson": rng.poisson(mean) * 1.0, "gamma": gamma, "tweedie": gamma * rng.integers(0, 2, len(X))}[loss]

    def family(self, sm, loss):
        link = sm.families.links.Log()
        kinds = {
            "poisson": sm.families.Poisson,
            "gamma": sm.families.Gamma,
            "tweedie": lambda link: sm.families.Tweedie(link, var_power=1.5),
        }
        return kinds[loss](link)

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
    def test_as_glm(self, sm, loss, weighted):
        X, _ = rows()
        y = self.targets(loss, X)
        weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y)) if weighted else None
        model = BatchGDRegressor(loss=loss, **MINIMUM).fit(X, y, weight)
        glm = sm.GLM(y, with_ones(X), self.family(sm, loss), var_weights=weight)
        theirs = glm.fit(scale="X2")
        table = coefficient_table(model, X, y, weight, robust=False)
        assert_allclose(table.std_err, theirs.bse, rtol=1e-6)
        assert_allclose(table.dispersion * (1.0 if weight is None else weight.mean()), theirs.scale, rtol=1e-6)
        theirs = glm.fit(method="newton", optim_hessian="oim", cov_type="HC0")
        assert_allclose(coefficient_table(model, X, y, weight).std_err, theirs.bse, rtol=1e-6)

    def test_known_dispersion(self, sm):
        X, _ = rows()
        y = self.targets("poisson", X)
        model = BatchGDRegressor(loss="poisson", **MINIMUM).fit(X, y)
        theirs = sm.GLM(y, with_ones(X), sm.families.Poisson()).fit()
        assert_allclose(coefficient_table(model, X, y, robust=False, dispersion=1.0).std_err, theirs.bse, rtol=1e-6)

    def test_known_dispersion_of_rates(self, sm):
        """Their exposures are weights; the dispersion is that of a row of exposure 1."""
        X, _ = rows()
        exposure = np.random.default_rng(1).uniform(1.0, 9.0, len(X))
        exposure[::7] = 0.0
        y, kept = self.targets("poisson", X), exposure > 0.0
        model = BatchGDRegressor(loss="poisson", inference=True, **MINIMUM).fit(X, y, exposure)
        theirs = sm.GLM(y[kept], with_ones(X[kept]), sm.families.Poisson(), var_weights=exposure[kept]).fit()
        for given in ((X, y, exposure), ()):
            table = coefficient_table(model, *given, robust=False, dispersion=1.0)
            assert_allclose(table.std_err, theirs.bse, rtol=1e-6)
            assert table.dispersion == 1.0

    def test_known_variance_of_the_squared_error(self, sm):
        X, y = rows()
        weight = np.random.default_rng(1).uniform(1.0, 9.0, len(y))
        model = BatchGDRegressor().fit(X, y, weight)
        theirs = sm.WLS(y, with_ones(X), weights=weight).fit(cov_type="fixed scale", cov_kwds={"scale": 2.0})
        for given in ((X, y, weight), ()):
            table = coefficient_table(model, *given, robust=False, dispersion=2.0)
            assert_allclose(table.std_err, theirs.bse, rtol=1e-6)

    def test_clusters(self, sm):
        X, _ = rows()
        y = self.targets("poisson", X)
        groups = np.arange(len(y)) % 25
        model = BatchGDRegressor(loss="poisson", **MINIMUM).fit(X, y)
        theirs = sm.GLM(y, with_ones(X), sm.families.Poisson()).fit(cov_type="cluster", cov_kwds={"groups": groups})
        assert_allclose(coefficient_table(model, X, y, groups=groups).std_err, theirs.bse, rtol=1e-5)

    def test_charges(self, sm, shared_data):
        frame, y = real(shared_data, "insurance_charges.csv", "charges")
        X = frame.to_numpy(dtype=float)
        model = BatchGDRegressor(loss="gamma", **MINIMUM).fit(X, y)
        theirs = sm.GLM(y, with_ones(X), self.family(sm, "gamma")).fit()
        assert_allclose(coefficient_table(model, X, y, robust=False).std_err, theirs.bse, rtol=1e-5)


class TestJumps:
    @pytest.mark.parametrize("quantile", [0.1, 0.5, 0.8])
    @pytest.mark.parametrize(("robust", "theirs"), [("QuantReg", "robust"), (False, "iid")])
    def test_as_quantreg(self, sm, quantile, robust, theirs):
        X, y = rows()
        other = sm.QuantReg(y, with_ones(X)).fit(q=quantile, vcov=theirs)
        model = at(BatchGDRegressor(loss="quantile", quantile=quantile).fit(X, y), other.params)
        assert_allclose(coefficient_table(model, X, y, robust=robust).std_err, other.bse, rtol=1e-9)

    @pytest.mark.parametrize(("quantile", "size"), [(0.5, 30), (0.9, 50), (0.95, 100)])
    def test_density_without_the_rows_that_the_fit_passes_through(self, quantile, size):
        """The fit of levels is an order statistic of each, whose standard deviation is a beta integral."""
        levels, number = np.repeat(np.eye(20), size, axis=0), round(quantile * size)
        model = BatchGDRegressor("quantile", quantile=quantile, fit_intercept=False, epochs=1).fit(levels, levels[:, 0])
        exact, found = norm.ppf(beta(number, size + 1 - number).ppf((np.arange(4000) + 0.5) / 4000)).std(), []
        for seed in range(10):
            y = np.random.default_rng(seed).standard_normal((20, size))
            model.coef_ = np.sort(y)[:, number - 1]
            tables = (coefficient_table(model, levels, y.ravel(), robust=name) for name in ("QuantReg", "QuantReg1"))
            found.append([table.std_err.mean() / exact for table in tables])
        theirs, ours = np.mean(found, axis=0)
        assert theirs < 0.95
        assert abs(ours - 1.0) < 0.04

    def test_density_of_other_rows_is_for_fits_that_pass_through_rows(self):
        X, y = rows()
        model = BatchGDRegressor("quantile", penalty="l2", alpha=0.01).fit(X, y)
        with pytest.raises(ValueError, match=r"without a penalty.*robust='QuantReg'"):
            coefficient_table(model, X, y, robust="QuantReg1")
        few = BatchGDRegressor("quantile", epochs=1).fit(X, y)
        with pytest.raises(ValueError, match="rows"):
            coefficient_table(few, X[:3], y[:3], robust="QuantReg1")

    def test_absolute_error_is_the_median(self, sm):
        X, y = rows()
        other = sm.QuantReg(y, with_ones(X)).fit(q=0.5)
        model = at(BatchGDRegressor(loss="absolute_error").fit(X, y), other.params)
        assert_allclose(coefficient_table(model, X, y, robust="QuantReg").std_err, other.bse, rtol=1e-9)

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_own_fit_on_real_columns(self, sm, shared_data):
        frame, y = real(shared_data, "concrete.csv", "strength")
        other = sm.QuantReg(y, with_ones(frame.to_numpy(dtype=float))).fit(q=0.5)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            model = BatchGDRegressor(loss="quantile", epochs=3000, tol=1e-12).fit(frame, y)
            assert_allclose(coefficient_table(model, frame, y, robust="QuantReg").std_err, other.bse, rtol=0.05)

    def test_jumps_are_found(self):
        r = np.linspace(-3.0, 7.0, 50)
        zero = np.zeros(50)
        (jump,) = curvature.jumps(Quantile(0.8), zero, r)
        assert_allclose((jump.at, jump.size, curvature.level(jump)), (0.0, 1.0, 0.8), atol=1e-12)
        found = curvature.jumps(EpsilonInsensitive(0.3), zero, r)
        assert_allclose(found, [(-0.3, 1.0, -1.0), (0.3, 1.0, 0.0)], atol=1e-12)
        smooth = [
            loss() for name, loss in LOSSES.items() if name not in ("absolute_error", "quantile", "epsilon_insensitive")
        ]
        assert [curvature.jumps(loss, zero, r) for loss in smooth] == [[]] * len(smooth)

    def test_density_at_the_edges_of_the_tube(self):
        """Of normal residuals the density at the edges is known."""
        y, one = norm.ppf((np.arange(20000) + 0.5) / 20000), np.ones(20000)
        found = curvature.jumps(EpsilonInsensitive(0.5), y, 0.0 * y)
        density = curvature.curvature_of_jumps(found, y, 0.0 * y, one).mean()
        assert_allclose(density, 2.0 * norm.pdf(0.5), rtol=0.01)

    @pytest.mark.parametrize("quantile", [0.1, 0.5, 0.8])
    def test_kernel_at_each_row(self, quantile):
        """Powell's estimate, written out; the clusters are those of statsmodels."""
        X, y = rows()
        model, Z, n = BatchGDRegressor(loss="quantile", quantile=quantile).fit(X, y), with_ones(X), len(y)
        e, z = y - model.predict(X), norm.ppf(quantile)
        share = n ** (-1 / 3) * norm.ppf(0.975) ** (2 / 3) * (1.5 * norm.pdf(z) ** 2 / (2.0 * z**2 + 1.0)) ** (1 / 3)
        share = min(share, 0.99 * quantile)
        h = np.subtract(*np.percentile(e, [75.0, 25.0])) / 1.34
        h *= norm.ppf(quantile + share) - norm.ppf(quantile - share)
        near = np.abs(e) < h
        H = sum(0.75 / h * (1.0 - (e[i] / h) ** 2) * np.outer(Z[i], Z[i]) for i in np.flatnonzero(near))
        scores, groups = Z * np.where(e > 0.0, -quantile, 1.0 - quantile)[:, None], np.arange(n) // 7
        sums = np.array([scores[groups == group].sum(axis=0) for group in range(43)])
        for how, scatter, factor in (
            ({}, scores.T @ scores, 1.0),
            ({"robust": "HC1"}, scores.T @ scores, n / (n - 4)),
            ({"groups": groups}, sums.T @ sums, 43 / 42 * (n - 1) / (n - 4)),
        ):
            theirs = factor * np.linalg.inv(H) @ scatter @ np.linalg.inv(H)
            table = coefficient_table(model, X, y, **how)
            assert_allclose(table.std_err, np.sqrt(theirs.diagonal()), rtol=1e-6)

    LOSSES_WITH_JUMPS = (
        ("absolute_error", {}),
        ("quantile", {"quantile": 0.5}),
        ("quantile", {"quantile": 0.9}),
        ("epsilon_insensitive", {"epsilon": 0.3}),
    )

    @pytest.mark.parametrize("way", ["rows", "fit", "stream"])
    @pytest.mark.parametrize(("loss", "params"), LOSSES_WITH_JUMPS)
    def test_noise_that_spreads(self, loss, params, way):
        """The standard deviations that the true density of each row gives; one density for all is wrong by a half."""
        rng, n, tau = np.random.default_rng(0), 20_000, params.get("quantile", 0.5)
        X = rng.standard_normal((n, 2))
        spread, edge = 0.5 + np.abs(X[:, 0]), params.get("epsilon", norm.ppf(tau))
        y = X @ [1.0, -1.0] + spread * (rng.standard_normal(n) - (0.0 if "epsilon" in params else edge))
        if "epsilon" in params:
            density, square = 2.0 * norm.pdf(edge / spread) / spread, 2.0 * norm.sf(edge / spread)
        else:
            density, square = norm.pdf(edge) / spread, np.full(n, tau * (1.0 - tau))
        Z = with_ones(X)
        H = np.linalg.inv((Z.T * density) @ Z)
        true = np.sqrt((H @ (Z.T * square) @ Z @ H).diagonal())
        if way == "stream":
            model = MiniBatchSGDRegressor(loss, inference=True, **params)
            for start in range(0, n, 1000):
                model.partial_fit(X[start : start + 1000], y[start : start + 1000])
        else:
            model = BatchGDRegressor(loss, inference=way == "fit", **params).fit(X, y)
        arguments = (X, y) if way == "rows" else ()
        assert_allclose(coefficient_table(model, *arguments).std_err, true, rtol=0.06)
        if way == "rows" and loss == "absolute_error":
            one = coefficient_table(model, X, y, robust="QuantReg").std_err
            assert one[0] < 0.7 * true[0]

    @pytest.mark.parametrize(("loss", "params"), LOSSES_WITH_JUMPS)
    @pytest.mark.parametrize("robust", [True, "HC1", "QuantReg"])
    def test_rows_of_little_weight_hardly_count(self, loss, params, robust):
        """The width of the kernel is that of rows that count, but for gaps between them."""
        X, y = rows()
        weight = np.where(np.arange(len(y)) % 3 == 0, 1e-12, 1.0)
        model, kept = BatchGDRegressor(loss, **params).fit(X, y, weight), weight == 1.0
        y = np.where(kept, y, 1e4 * y)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            few, all_rows = (
                coefficient_table(model, X[used], y[used], weight[used], robust=robust) for used in (kept, slice(None))
            )
        factor = (300 / 296) ** 0.5 / (200 / 196) ** 0.5 if robust == "HC1" else 1.0
        assert_allclose(all_rows.std_err, factor * few.std_err, rtol=0.01)

    @pytest.mark.parametrize("way", ["rows", "fit"])
    def test_residuals_without_density(self, way):
        """An error says so when the table is made, not in the fit."""
        X, _ = rows()
        y = np.ones(len(X))
        model = at(BatchGDRegressor("quantile", inference=way == "fit").fit(X, y), [0.0, 0.0, 0.0, 1.0])
        with pytest.raises(ValueError, match="density of the residuals is not known"):
            coefficient_table(model, *((X, y) if way == "rows" else ()))

    def test_one_density_is_for_slopes_that_jump(self):
        X, y = rows()
        with pytest.raises(ValueError, match="for losses whose slope jumps"):
            coefficient_table(BatchGDRegressor().fit(X, y), X, y, robust="QuantReg")
        with pytest.raises(ValueError, match="residuals of all rows"):
            coefficient_table(BatchGDRegressor("quantile", inference=True).fit(X, y), robust="QuantReg")

    def test_a_slope_that_jumps_and_changes_is_refused(self):
        class Both(SquaredError):
            def gradient(self, y, p):
                return p - y + np.sign(p - y)

        X, y = rows(offset=0.0)
        model = BatchGDRegressor(loss=Both(), learning_rate="constant", eta0=1e-3)
        with warnings.catch_warnings(action="ignore"):
            model.fit(X, y)
        with pytest.raises(ValueError, match="jumps, and changes between them"):
            coefficient_table(model, X, y)

    def test_leverages_are_refused(self):
        X, y = rows()
        with pytest.raises(ValueError, match="HC3"):
            coefficient_table(BatchGDRegressor(loss="quantile").fit(X, y), X, y, robust="HC3")


CLOSED = [
    (SquaredError(), lambda y, p: 1.0 + 0.0 * p),
    (Huber(0.7), lambda y, p: 1.0 * (np.abs(p - y) < 0.7)),
    (LOSSES["squared_epsilon_insensitive"](0.7), lambda y, p: 2.0 * (np.abs(p - y) > 0.7)),
    (Expectile(0.8), lambda y, p: np.where(p < y, 1.6, 0.4)),
    (LogCosh(2.0), lambda y, p: 1.0 / np.cosh((p - y) / 2.0) ** 2),
    (Cauchy(2.0), lambda y, p: (1.0 - ((p - y) / 2.0) ** 2) / (1.0 + ((p - y) / 2.0) ** 2) ** 2),
    (Poisson(), lambda y, p: np.exp(p)),
    (Gamma(), lambda y, p: y * np.exp(-p)),
    (Tweedie(1.5), lambda y, p: 0.5 * np.exp(0.5 * p) + 0.5 * y * np.exp(-0.5 * p)),
]


@pytest.mark.parametrize(("loss", "closed"), CLOSED, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_second_derivatives(loss, closed, offset):
    rng = np.random.default_rng(0)
    p = rng.uniform(-2.0, 2.0, 500)
    y = rng.uniform(0.1, 3.0, 500)
    if not hasattr(loss, "inverse_link"):
        y, p = y + offset, p + offset
    assert_allclose(curvature.curvature(loss, y, p), closed(y, p), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("loss", [LogCosh(2.0), Cauchy(2.0)])
def test_second_derivatives_of_targets_far_from_0(loss):
    """As time stamps: residuals have few digits, but a step of their size would be too long."""
    residuals = np.random.default_rng(0).uniform(-3.0, 3.0, 500)
    closed = dict((type(each), formula) for each, formula in CLOSED)[type(loss)]
    found = curvature.curvature(loss, np.full(500, 1e9), 1e9 + residuals)
    assert_allclose(found, closed(0.0, residuals), atol=1e-4)


class TestInfluence:
    """The sandwich is the sum of squares of what each row moves: the infinitesimal jackknife."""

    @pytest.mark.filterwarnings("ignore:.*has no effect:UserWarning")
    def test_ridge(self):
        X, y = rows(n=40, offset=3.0)
        weight, alpha, h = np.random.default_rng(0).uniform(0.5, 2.0, 40), 0.2, 1e-4

        def fitted(s):
            ridge = Ridge(alpha=alpha * s.sum(), solver="cholesky").fit(X, y, s)
            return np.append(ridge.coef_, ridge.intercept_)

        up, down = (
            np.array([fitted(weight * np.where(np.arange(40) == i, np.exp(sign * h), 1.0)) for i in range(40)])
            for sign in (1.0, -1.0)
        )
        moves = (up - down) / (2.0 * h)
        for params in ({"penalty": "l2", "alpha": alpha}, {"penalty": L2(alpha)}):
            model = BatchGDRegressor(**params).fit(X, y, weight)
            table = coefficient_table(model, X, y, weight)
            assert_allclose(table.covariance, moves.T @ moves, rtol=1e-5)
            assert "Penalised" in str(table)

    @pytest.mark.filterwarnings("ignore:.*has no effect:UserWarning", "ignore:The second derivative:UserWarning")
    @pytest.mark.parametrize("loss", ["huber", "logcosh", "expectile", "squared_epsilon_insensitive"])
    def test_other_losses(self, loss):
        from scipy.optimize import minimize

        X, y = rows(n=40, offset=0.0)
        Z = with_ones(X)
        model = BatchGDRegressor(loss=loss, **NUMBERS[loss], **MINIMUM).fit(X, y)
        part = model._model.parameters.resolve(X).parts.loss
        start = np.append(model.coef_, model.intercept_)

        def fitted(s):
            made = minimize(
                lambda w: s @ part.value(y, Z @ w),
                start,
                jac=lambda w: Z.T @ (s * part.gradient(y, Z @ w)),
                method="BFGS",
                options={"gtol": 1e-10},
            )
            return made.x

        h = 1e-4
        one = np.ones(40)
        up, down = (
            np.array([fitted(one + sign * h * (np.arange(40) == i)) for i in range(40)]) for sign in (1.0, -1.0)
        )
        moves = (up - down) / (2.0 * h)
        assert_allclose(coefficient_table(model, X, y).std_err, np.sqrt((moves**2).sum(axis=0)), rtol=2e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("value", [0.1, 3.0, 7.3])
def test_a_constant_column_whose_mean_is_rounded(seed, value):
    """Its matrix is singular, whatever the rounding of its weighted mean leaves of its variance."""
    X, y = linear(30, 3, seed=seed)
    X[:, 1] = value
    weight = np.random.default_rng(seed).integers(0, 4, 30).astype(float)
    model = BatchGDRegressor(inference=True).fit(X, y, weight)
    for rows in ((), (X, y, weight)):
        for robust in (True, False):
            with pytest.raises(ValueError, match=r"dependent or constant columns .*: x1"):
                coefficient_table(model, *rows, robust=robust)


class TestRefusals:
    @pytest.mark.parametrize(
        "penalty",
        [{"penalty": "l1"}, {"penalty": "elasticnet", "l1_ratio": 0.5}, {"positive": True}, {"penalty": Box(0.0, 1.0)}],
    )
    def test_edges(self, penalty):
        X, y = rows(offset=0.0)
        model = BatchGDRegressor(**penalty).fit(X, y)
        for arguments in ((X, y), ()):
            with pytest.raises(ValueError, match="penalty=None or 'l2'"):
                coefficient_table(model, *arguments, robust=False)

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            ({"level": 1.0}, "level must be"),
            ({"robust": "HC9"}, "robust must be"),
            ({"robust": "HC1", "groups": np.arange(300)}, "groups go with robust=True"),
            ({"groups": np.arange(3)}, "each of the 300 rows"),
            ({"groups": np.zeros(300)}, "two or more"),
            ({"groups": np.where(np.arange(300) < 9, np.nan, np.arange(300) % 20)}, "missing values"),
            ({"level": "95"}, "level must be"),
            ({"robust": ["HC1"]}, "robust must be"),
            ({"robust": False, "dispersion": np.inf}, "dispersion must be positive"),
            ({"dispersion": 1.0}, "goes with robust=False"),
        ],
    )
    def test_arguments(self, arguments, match):
        X, y = rows()
        with pytest.raises(ValueError, match=match):
            coefficient_table(BatchGDRegressor().fit(X, y), X, y, **arguments)

    @pytest.mark.filterwarnings("ignore:.*has no effect:UserWarning")
    def test_classic_formula_of_other_losses(self):
        X, y = rows()
        for loss in ("huber", "expectile", "logcosh", "cauchy", "squared_epsilon_insensitive"):
            with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
                model = BatchGDRegressor(loss=loss, **NUMBERS[loss]).fit(X, y)
            with pytest.raises(ValueError, match=f"no classic formula for loss='{loss}'"):
                coefficient_table(model, X, y, robust=False)

    def test_dependent_columns(self):
        pd = pytest.importorskip("pandas")
        X, y = rows()
        frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(d=X[:, 0] + X[:, 2])
        model = BatchGDRegressor().fit(frame, y)
        for arguments in ((frame, y), ()):
            with pytest.raises(ValueError, match=r"dependent or constant columns .*: a, c, d"):
                coefficient_table(model, *arguments, robust=False)
        constant = frame[["a", "b"]].assign(one=1.0)
        with pytest.raises(ValueError, match="columns have no standard errors: one"):
            coefficient_table(BatchGDRegressor().fit(constant, y), constant, y)
        penalised = BatchGDRegressor(penalty="l2", alpha=0.1).fit(frame, y)
        assert np.isfinite(coefficient_table(penalised, frame, y).std_err).all()

    def test_rare_columns_where_the_loss_is_straight(self):
        """Both rows of a level have residuals beyond epsilon: the objective has no second derivative along it."""
        X, y = rows()
        level = np.zeros(len(y))
        level[[10, 200]] = 1.0
        y[10], y[200] = y[10] - 1e4, y[200] + 1e4
        X = np.column_stack((X, level))
        with pytest.raises(
            ValueError, match=r"constant columns .*: x3, intercept.* more such rows help, or a larger eps"
        ):
            coefficient_table(BatchGDRegressor("huber", epsilon=1.0, **MINIMUM).fit(X, y), X, y)
        with pytest.warns(UserWarning, match="along x3 is that of about 2 rows"):
            whole = coefficient_table(BatchGDRegressor("huber", epsilon=1e5, **MINIMUM).fit(X, y), X, y)
        assert whole.low[3] < whole.coef[3] < whole.high[3]

    @pytest.mark.parametrize("way", ["rows", "kept", "streamed"])
    def test_coefficients_that_few_rows_determine(self, way):
        """Of the rows of a rare level few are within epsilon; the squared error has a second derivative in each."""
        rng = np.random.default_rng(0)
        X = np.column_stack((rng.standard_normal(1000), np.arange(1000) % 20 == 0))
        y = X @ [0.5, 1.0] + rng.standard_normal(1000)
        arguments = (X, y) if way == "rows" else ()

        def table(loss, **params):
            if way == "streamed":
                model = MiniBatchSGDRegressor(loss, inference=True, **params)
                for start in range(0, 1000, 200):
                    model.partial_fit(X[start : start + 200], y[start : start + 200])
            else:
                model = BatchGDRegressor(loss, inference=way != "rows", **params, **MINIMUM).fit(X, y)
            return coefficient_table(model, *arguments)

        table("squared_error"), table("huber", epsilon=1.0)
        table("huber", epsilon=0.1, penalty="l2", alpha=1.0)
        with pytest.warns(UserWarning, match=r"along x1 is that of about [1-7] rows.*a larger epsilon"):
            table("huber", epsilon=0.1)

    def test_quantiles_that_few_rows_determine(self):
        """The rows near the quantile count; with one density for all, each row of the level. A row is no 'rows'."""
        rng = np.random.default_rng(0)
        X = np.column_stack((rng.standard_normal(20_000), rng.permutation(20_000) < 10))
        y = X @ [0.5, 1.0] + rng.standard_normal(20_000)
        model = MiniBatchSGDRegressor("quantile", inference=True)
        for start in range(0, 20_000, 1000):
            model.partial_fit(X[start : start + 1000], y[start : start + 1000])
        near = r"along x1 is that of about [1-7] rows?: .* density of the residuals where its slope jumps"
        for arguments in ((), (X, y)):
            with pytest.warns(UserWarning, match=near) as said:
                coefficient_table(model, *arguments)
            assert "epsilon" not in str(said[0].message)
        coefficient_table(model, X, y, robust="QuantReg")
        level = np.flatnonzero(X[:, 1])
        for loss, robust, number, said_ in (
            ("absolute_error", "QuantReg", 4, "4 rows: for"),
            (Huber(1e5), True, 1, "1 row, where"),
        ):
            used = np.setdiff1d(np.arange(20_000), level[number:])
            fit = BatchGDRegressor(loss, **MINIMUM).fit(X[used], y[used])
            with pytest.warns(UserWarning, match=f"along x1 is that of about {said_}"):
                coefficient_table(fit, X[used], y[used], robust=robust)

    @pytest.mark.parametrize("way", ["rows", "kept"])
    def test_warnings_name_the_target_and_point_at_the_call(self, way):
        rng = np.random.default_rng(0)
        X = np.column_stack((rng.standard_normal(1000), np.arange(1000) % 20 == 0))
        y = (X @ [0.5, 1.0])[:, None] + rng.standard_normal((1000, 3)) * [1.0, 0.03, 1.0]
        model = BatchGDRegressor("huber", epsilon=0.1, inference=way == "kept", **MINIMUM).fit(X, y)
        model.coef_[1, 0] += 0.01
        arguments = (X, y) if way == "rows" else ()
        with pytest.warns() as said:
            coefficient_table(model, *arguments)
        messages = sorted(str(warning.message) for warning in said)
        starts = [message[: len("Target 0: The second")] for message in messages]
        assert starts == ["Target 0: The second", "Target 1: The coeffi", "Target 2: The second"]
        assert {warning.filename for warning in said} == {__file__}

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_out_of_range(self):
        X, y = rows()
        model = BatchGDRegressor().fit(X, y)
        with pytest.raises(ValueError, match="out of the range of numbers: scale X or y"):
            coefficient_table(model, X, 1e160 * y)

    def test_too_few_rows(self):
        X, y = rows()
        model = BatchGDRegressor().fit(X, y)
        with pytest.raises(ValueError, match="need more rows"):
            coefficient_table(model, X[:4], y[:4])

    def test_models(self):
        X, y = rows()
        with pytest.raises(TypeError, match="regressor of sklearn_sgd"):
            coefficient_table(LinearRegression().fit(X, y), X, y)
        with pytest.raises(NotFittedError):
            coefficient_table(BatchGDRegressor(), X, y)
        with pytest.raises(ValueError, match="belong together"):
            coefficient_table(BatchGDRegressor().fit(X, y), X)

    def test_far_from_the_minimum(self):
        X, y = rows()
        model = BatchGDRegressor().fit(X, y)
        model.coef_ = model.coef_ + np.array([0.0, 0.0, 10.0])
        with pytest.warns(ConvergenceWarning, match=r"standard errors from the minimum"):
            coefficient_table(model, X, y)
        with pytest.warns(ConvergenceWarning, match=r"standard errors from the minimum"):
            coefficient_table(model, robust=False)

    def test_the_model_is_not_changed(self):
        X, y = rows()
        model = BatchGDRegressor().fit(X, y)
        before = pickle.dumps(model)
        coefficient_table(model, X, y)
        predict_interval(model, X)
        assert pickle.dumps(model) == before


class TestTable:
    table = CoefficientTable(np.array([3.0, 1.0]), np.diag([1.0, 0.25]), ["<a>", "intercept"], 100, method="HC0")

    def test_text(self):
        lines = str(self.table).splitlines()
        assert lines[1].split() == ["coef", "std", "err", "z", "P>|z|", "[0.025", "0.975]"]
        assert lines[3].split() == ["<a>", "3", "1", "3.000", "0.003", "1.04", "4.96"]
        assert lines[-2:] == ["Rows: 100", "Covariance: HC0"]

    def test_html(self):
        html = self.table._repr_html_()
        assert "&lt;a&gt;" in html
        assert "<td>4.96</td>" in html

    def test_frame(self):
        pytest.importorskip("pandas")
        frame = self.table.to_frame()
        assert list(frame.columns) == ["coef", "std_err", "z", "p_value", "low", "high"]
        assert list(frame.index) == ["<a>", "intercept"]
        assert_allclose(frame["p_value"], 2.0 * norm.sf([3.0, 2.0]))

    def test_level(self):
        X, y = rows()
        table = coefficient_table(BatchGDRegressor().fit(X, y), X, y, level=0.9)
        assert_allclose((table.high - table.coef) / table.std_err, norm.ppf(0.95))
        assert "[0.05" in str(table)

    @pytest.mark.parametrize(
        ("level", "ends"), [(0.5, ["[0.25", "0.75]"]), (0.999, ["[0.0005", "0.9995]"]), (2 / 3, ["[0.167", "0.833]"])]
    )
    def test_ends_of_the_interval_in_the_text(self, level, ends):
        table = dataclasses.replace(self.table, level=level)
        assert str(table).splitlines()[1].split()[-2:] == ends


class TestPredictions:
    @pytest.mark.parametrize("robust", [False, "HC3"])
    def test_as_ols(self, sm, robust):
        X, y = rows()
        model = BatchGDRegressor().fit(X, y)
        theirs = sm.OLS(y, with_ones(X)).fit(cov_type=robust or "nonrobust").get_prediction(with_ones(X[:9]))
        made = predict_interval(model, X[:9], coefficient_table(model, X, y, robust=robust))
        assert_allclose(made.std_err, theirs.se_mean, rtol=1e-6)
        assert_allclose(np.column_stack((made.low, made.high)), theirs.conf_int(), rtol=1e-6)
        assert_allclose(made.mean, model.predict(X[:9]))
        if not robust:
            target = predict_interval(model, X[:9], kind="target")
            assert_allclose(target.std_err, theirs.se_obs, rtol=1e-6)
            assert_allclose(np.column_stack((target.low, target.high)), theirs.conf_int(obs=True), rtol=1e-6)
            assert_allclose(predict_interval(model, csr(X[:9])).low, made.low)

    def test_offsets_cost_no_digits(self, sm):
        """As those of time stamps: the covariance with the intercept has none left, and is not used."""
        X, y = rows()
        far = X + 1e9
        theirs = sm.OLS(y, with_ones(far - 1e9)).fit().get_prediction(with_ones(far - 1e9))
        model = BatchGDRegressor(inference=True).fit(far, y)
        for table in (coefficient_table(model, far, y, robust=False), coefficient_table(model, robust=False)):
            assert_allclose(predict_interval(model, far, table).std_err, theirs.se_mean, rtol=1e-5)
        assert_allclose(model.predict(far, return_std=True)[1], theirs.se_obs, rtol=1e-6)
        kept = coefficient_table(model)
        theirs = sm.OLS(y, with_ones(far - 1e9)).fit(cov_type="HC0").get_prediction(with_ones(far - 1e9))
        assert_allclose(predict_interval(model, far, kept).std_err, theirs.se_mean, rtol=1e-5)

    def test_of_scores_where_there_is_no_classic_formula(self):
        X, y = rows()
        model = BatchGDRegressor("huber", epsilon=1.0, inference=True, **MINIMUM).fit(X, y)
        made, theirs = predict_interval(model, X[:9]), predict_interval(model, X[:9], coefficient_table(model, X, y))
        assert_allclose(np.array(made), np.array(theirs), rtol=1e-6)

    def test_under_a_link(self, sm):
        X, _ = rows()
        y = np.random.default_rng(0).poisson(2.0, len(X)) * 1.0
        model = BatchGDRegressor(loss="poisson", **MINIMUM).fit(X, y)
        theirs = sm.GLM(y, with_ones(X), sm.families.Poisson()).fit().get_prediction(with_ones(X[:9]))
        table = coefficient_table(model, X, y, robust=False, dispersion=1.0)
        made = predict_interval(model, X[:9], table)
        assert_allclose(np.column_stack((made.low, made.high)), theirs.conf_int(), rtol=1e-5)

    def test_several_targets(self):
        X, y = rows()
        model = BatchGDRegressor().fit(X, np.column_stack((y, -y)))
        one, two = predict_interval(model, X[:5])
        assert_allclose(one.low, -two.high, rtol=1e-6)

    def test_refusals(self):
        X, y = rows()
        model = BatchGDRegressor().fit(X, y)
        for level in (95, "0.9", float("nan")):
            with pytest.raises(ValueError, match="level must be"):
                predict_interval(model, X, level=level)
        for table in (3, [3], "HC3"):
            with pytest.raises(TypeError, match="table must be"):
                predict_interval(model, X, table)
        with pytest.raises(ValueError, match="kind must be"):
            predict_interval(model, X, kind="median")
        with pytest.raises(ValueError, match="classic table"):
            predict_interval(model, X, coefficient_table(model, X, y), kind="target")
        with pytest.raises(ValueError, match="not one of this model"):
            predict_interval(model, X, TestTable.table)
        table = coefficient_table(model, X, y)
        with pytest.raises(ValueError, match="not one of this model as it is now"):
            predict_interval(model.fit(X[1:], y[1:]), X, table)


class TestStandardDeviations:
    def test_as_ols(self, sm):
        X, y = rows()
        theirs = sm.OLS(y, with_ones(X)).fit().get_prediction(with_ones(X[:9])).se_obs
        stream = MiniBatchSGDRegressor()
        for start in range(0, 300, 50):
            stream.partial_fit(X[start : start + 50], y[start : start + 50])
        for model in (BatchGDRegressor().fit(X, y), stream, pickle.loads(pickle.dumps(stream))):
            for given in (X[:9], csr(X[:9]), X[:9].tolist()):
                mean, std = model.predict(given, return_std=True)
                assert_allclose(mean, model.predict(given))
                assert_allclose(std, theirs, rtol=1e-6)

    def test_of_scores(self):
        """Of a fit by a schedule, which keeps no moments."""
        X, y = rows()
        X = StandardScaler().fit_transform(X)
        params = {"learning_rate": "constant", "eta0": 0.1, "inference": True, "epochs": 1000, "tol": 1e-10}
        mean, std = BatchGDRegressor(**params).fit(X, y).predict(X, return_std=True)
        theirs = BatchGDRegressor().fit(X, y).predict(X, return_std=True)
        assert_allclose(mean, theirs[0], atol=1e-3)
        assert_allclose(std, theirs[1], rtol=1e-5)

    def test_as_bayesian_ridge(self):
        """Whose prior is weak here, and which takes the mean of the targets as known."""
        pd = pytest.importorskip("pandas")
        X, y = rows()
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        mean, std = BatchGDRegressor().fit(frame, np.column_stack((y, 3.0 * y))).predict(frame, return_std=True)
        assert std.shape == mean.shape == (300, 2)
        assert_allclose(std[:, 0], BayesianRidge().fit(X, y).predict(X, return_std=True)[1], rtol=0.02)
        assert_allclose(std[:, 1], 3.0 * std[:, 0])

    @pytest.mark.parametrize(
        ("params", "match"),
        [
            ({"loss": "huber", "epsilon": 10.0}, "return_std=True is for loss='squared_error'"),
            ({"early_stopping": True}, "early_stopping=True stops before"),
            ({"learning_rate": "constant", "eta0": 1e-3}, "keeps no moments"),
            ({"penalty": "l1"}, "penalty=None or 'l2'"),
        ],
    )
    def test_refusals(self, params, match):
        X, y = rows(offset=0.0)
        with warnings.catch_warnings(action="ignore"):
            model = BatchGDRegressor(**params).fit(X, y)
        with pytest.raises(ValueError, match=match):
            model.predict(X, return_std=True)

    def test_not_fitted(self):
        with pytest.raises(NotFittedError):
            BatchGDRegressor().predict([[1.0]], return_std=True)


class TestReplacedCovariance:
    """The intervals of predictions are those of the covariance that a table has, whoever has put it there."""

    @pytest.mark.parametrize("way", ["replace", "in place", "pickled"])
    def test_is_used(self, sm, way):
        X, y = rows()
        model = BatchGDRegressor().fit(X, y)
        table = coefficient_table(model, X, y)
        theirs = sm.OLS(y, with_ones(X)).fit(cov_type="HAC", cov_kwds={"maxlags": 3})
        before = table.std_err
        if way == "replace":
            table = dataclasses.replace(table, covariance=theirs.cov_params())
        else:
            table = pickle.loads(pickle.dumps(table)) if way == "pickled" else table
            table.covariance[:] = theirs.cov_params()
        assert_allclose(table.std_err, theirs.bse, rtol=1e-9)
        assert not np.allclose(before, table.std_err, rtol=1e-3)
        made = predict_interval(model, X[:9], table)
        assert_allclose(made.std_err, theirs.get_prediction(with_ones(X[:9])).se_mean, rtol=1e-6)

    def test_without_digits_at_the_features(self):
        """As that of time stamps: its variance of the intercept is all rounding at the features."""
        X, y = rows()
        far = X + 1e9
        model = BatchGDRegressor().fit(far, y)
        table = coefficient_table(model, far, y)
        with pytest.warns(UserWarning, match="no digits left"):
            predict_interval(model, far[:9], dataclasses.replace(table, covariance=2.0 * table.covariance))
        predict_interval(model, far[:9], pickle.loads(pickle.dumps(table)))

    def test_of_another_size(self):
        with pytest.raises(ValueError, match="a row and a column for each of the 2 feature_names"):
            dataclasses.replace(TestTable.table, covariance=np.eye(3))


def follow(message):
    """What a message says that helps: changes of the model's parameters, of the arguments, and rows."""
    kept, with_rows = ({"inference": True}, {}, False), ({}, {}, True)
    if "fit again with penalty=None or 'l2'" in message:
        return [({"penalty": penalty}, {}, None) for penalty in (None, "l2")]
    found = []
    if "give X and y" in message:
        found.append(with_rows)
    if "fit again" in message or "up to 400 features, fit" in message:
        found.append(kept)
    if "Or robust=False" in message:
        found.append(({}, {"robust": False}, None))
    for name, robust in (("use robust=True", True), ("robust=True or 'HC1'", "HC1"), ("Use robust=True", True)):
        if name in message:
            later = "with X and y or after a fit with inference=True" in message
            ways = [(kept[0], False), ({}, True)] if later else [({}, None)]
            found += [(params, {"robust": robust}, rows_too) for params, rows_too in ways]
    return found


REFUSED = [(loss, None) for loss in sorted(LOSSES)] + [("squared_error", "l1"), ("quantile", "l1")]
MORE = [
    pytest.param(loss, penalty, marks=pytest.mark.matrix)
    for loss in sorted(LOSSES)
    for penalty in ("l2", "l1")
    if (loss, penalty) not in REFUSED
]


@pytest.mark.parametrize(("loss", "penalty"), REFUSED + MORE)
@pytest.mark.filterwarnings("ignore")
def test_remedies_help(loss, penalty):
    """Whatever a refused table says that helps does."""
    rng, known = np.random.default_rng(0), {}
    X = rng.standard_normal((100, 2))
    y = rng.poisson(np.exp(0.3 * X[:, 0] + 1.0)) + 1.0

    def table(params, arguments, has_rows):
        key = tuple(sorted(params.items()))
        if key not in known:
            known[key] = BatchGDRegressor(loss, epsilon=0.5, alpha=1e-3, **params).fit(X, y)
        return coefficient_table(known[key], *((X, y) if has_rows else ()), **arguments)

    def works(params, arguments, has_rows, steps=3 if penalty == "l1" else 1):
        """Whether there is a table, or one after each of the remedies; after another penalty others may be needed."""
        try:
            return bool(np.isfinite(table(params, arguments, has_rows).std_err).all())
        except ValueError as error:
            ways = [
                (params | more, arguments | others, has_rows if rows_too is None else rows_too)
                for more, others, rows_too in follow(str(error))
            ]
        return bool(steps and ways) and all(works(*way, steps - 1) for way in ways)

    kept = (False,) if penalty == "l1" else (False, True)
    for inference, has_rows, robust in itertools.product(kept, (False, True), (True, False, "HC1", "HC3", "QuantReg")):
        assert works({"inference": inference, "penalty": penalty}, {"robust": robust}, has_rows)


class TestRange:
    """Squares of small and large numbers are out of the range of numbers: right, or an error."""

    WAYS = ("rows", "HC3", "classic", "moments", "kept", "streamed", "interval", "target")

    def made(self, way, loss, X, y, size):
        params = {"epsilon": size} if loss == "huber" else {}
        model = BatchGDRegressor(loss, inference=way == "kept", **params)
        if way == "streamed":
            model = MiniBatchSGDRegressor(loss, inference=True, **params)
            for start in range(0, 300, 50):
                model.partial_fit(X[start : start + 50], y[start : start + 50])
            return coefficient_table(model).std_err
        model.fit(X, y)
        if way in ("interval", "target"):
            return (
                predict_interval(model, X[:5]).std_err
                if way == "interval"
                else model.predict(X[:5], return_std=True)[1]
            )
        robust = {"HC3": "HC3", "classic": False, "moments": False}.get(way, True)
        return coefficient_table(model, *((X, y) if way in ("rows", "HC3", "classic") else ()), robust=robust).std_err

    @pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile"])
    @pytest.mark.parametrize("size", [1e-200, 1e-160, 1e-140, 1e150])
    @pytest.mark.filterwarnings("ignore")
    def test_of_targets(self, loss, size):
        X, y = rows(offset=0.0)
        for way in self.WAYS if loss == "squared_error" else ("rows", "kept", "streamed"):
            if 1e-150 < size < 1e200:
                # Widths of steps are rounded in other places.
                assert_allclose(
                    self.made(way, loss, X, size * y, size) / size, self.made(way, loss, X, y, 1.0), rtol=0.02
                )
                continue
            with pytest.raises(ValueError, match=r"scale|give X and y|density of the residuals is not known"):
                self.made(way, loss, X, size * y, size)

    def test_of_predictions(self):
        X, y = rows()
        with pytest.raises(ValueError, match="out of the range of numbers"):
            predict_interval(BatchGDRegressor().fit(X, y), X * 1e200)


@pytest.mark.filterwarnings("ignore:The second derivative of the objective", "ignore:The coefficient of")
def test_few_rows_beyond_a_quantile():
    """Their number for each parameter, below which the normal distribution does not hold."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2))
    y = X[:, 0] + rng.standard_normal(300)
    fit = BatchGDRegressor("quantile", quantile=0.97, inference=True).fit(X, y)
    stream = MiniBatchSGDRegressor("quantile", quantile=0.03, inference=True).partial_fit(X, y)
    for model, arguments, robust in ((fit, (X, y), True), (fit, (), True), (fit, (X, y), False), (stream, (), True)):
        with pytest.warns(UserWarning, match=r"9 rows are beyond .*: 3.0 for each of the 3 parameters"):
            coefficient_table(model, *arguments, robust=robust)
    coefficient_table(BatchGDRegressor("quantile", quantile=0.9).fit(X, y), X, y)  # Warnings are errors.


@pytest.mark.parametrize(("n_groups", "few"), [(4, True), (19, True), (20, False)])
def test_few_groups(sm, n_groups, few):
    X, y = rows()
    groups = np.arange(300) % n_groups
    model = BatchGDRegressor().fit(X, y)
    with pytest.warns(UserWarning, match=f"There are {n_groups} groups") if few else contextlib.nullcontext():
        table = coefficient_table(model, X, y, groups=groups)
    theirs = sm.OLS(y, with_ones(X)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    assert_allclose(table.std_err, theirs.bse, rtol=1e-8)


@pytest.mark.parametrize(("loss", "place"), [(Quantile(0.8), 0.0), (EpsilonInsensitive(0.5), 0.5)])
def test_rounding_does_not_choose_the_side_of_rows_at_a_kink(loss, place):
    """A fit passes through rows; their residuals are rounding errors, of either sign."""
    rng = np.random.default_rng(0)
    X = rng.integers(-4, 5, (200, 2)).astype(float)
    y = X @ [1.0, -1.0] + 3.0 + np.where(np.arange(200) < 20, place, rng.standard_normal(200))
    model = BatchGDRegressor(loss).fit(X, y)
    model.coef_, tables = np.array([1.0, -1.0]), []
    for step in (-1e-15, 0.0, 1e-15):
        model.intercept_ = 3.0 + step
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            tables.append(coefficient_table(model, X, y).std_err)
    assert_allclose(tables, [tables[1]] * 3, rtol=1e-9)
    # The mean of both sides is between those of either side, at parameters that differ by more than rounding.
    model.intercept_ = 3.0 + 1e-9
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        above = coefficient_table(model, X, y).std_err
    assert (abs(above - tables[1]) > 1e-4 * above).all()


@pytest.mark.parametrize("loss", ["absolute_error", "quantile", "epsilon_insensitive"])
@pytest.mark.parametrize("way", ["rows", "fit", "stream"])
def test_weights_are_precisions_where_slopes_jump(loss, way):
    """Weights times 10 change nothing. Unequal ones count as fewer rows, in the width of the kernel, too (Kish)."""
    rng = np.random.default_rng(0)
    X, s = rng.standard_normal((2000, 2)), rng.uniform(0.1, 1.0, 2000) ** 3
    y = X @ [1.0, -1.0] + rng.standard_normal(2000)

    def table(weight):
        params = {"epsilon": 0.5} if loss == "epsilon_insensitive" else {}
        model = MiniBatchSGDRegressor(loss, inference=True, **params)
        if way != "stream":
            model = BatchGDRegressor(loss, inference=True, **params).fit(X, y, weight)
            return model, coefficient_table(model, *((X, y, weight) if way == "rows" else ()))
        for start in range(0, 2000, 500):
            model.partial_fit(X[start : start + 500], y[start : start + 500], weight[start : start + 500])
        return model, coefficient_table(model)

    (model, one), (_, ten) = table(s), table(10.0 * s)
    assert_allclose(ten.std_err, one.std_err, rtol=1e-4)
    (scores,) = model._fitted.scores
    assert_allclose(scores.spread.n_rows, s.sum() ** 2 / (s @ s), rtol=1e-9)
    if loss == "epsilon_insensitive":
        e = y - X @ model.coef_ - model.intercept_
        assert_allclose(
            scores.spread.shares(scores.found_jumps), [s @ (e < 0.5) / s.sum(), s @ (e < -0.5) / s.sum()], atol=0.01
        )


def test_pipeline():
    pd = pytest.importorskip("pandas")
    X, y = rows()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    pipeline = make_pipeline(StandardScaler(), BatchGDRegressor()).fit(frame, y)
    table, plain = coefficient_table(pipeline, frame, y), coefficient_table(BatchGDRegressor().fit(X, y), X, y)
    assert table.feature_names == ["a", "b", "c", "intercept"]
    assert_allclose(table.std_err[:-1], plain.std_err[:-1] * X.std(axis=0), rtol=1e-6)
    assert_allclose(
        predict_interval(pipeline, frame).low, predict_interval(pipeline[-1], pipeline[:-1].transform(frame)).low
    )


def test_memory_map(tmp_path):
    X, y = rows()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = BatchGDRegressor().fit(X, y)
    assert_allclose(coefficient_table(model, mapped, y).std_err, coefficient_table(model, X, y).std_err)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("size", [7, 50, 300])
@pytest.mark.parametrize("kind", ["even", "growing", "some are 0"])
def test_half_life(sm, kind, size, inference):
    """Older rows count as less precise, by their age in rows: weighted least squares, however the rows are cut."""
    X, y = rows()
    given = {"growing": np.linspace(0.1, 10.0, 300), "some are 0": np.arange(300) % 3 * 1.0}.get(kind)
    model = MiniBatchSGDRegressor(half_life=50, inference=inference)
    for part in (slice(start, start + size) for start in range(0, 300, size)):
        model.partial_fit(X[part], y[part], None if given is None else given[part])
    weight = np.ones(300) if given is None else given
    used = weight > 0.0
    left = 0.5 ** (np.arange(used.sum())[::-1] / 50)
    theirs = sm.WLS(y[used], with_ones(X[used]), weights=weight[used] * left)
    table, n = coefficient_table(model, robust=False), round(left.sum())
    classic = theirs.fit()
    assert table.n_samples == n
    assert_allclose((table.coef - classic.params) / classic.bse, 0.0, atol=1e-2)
    assert_allclose(table.std_err, classic.bse * np.sqrt((used.sum() - 4) / (n - 4)), rtol=1e-6)
    assert_allclose(
        model.predict(X[:1], return_std=True)[1] ** 2 - predict_interval(model, X[:1]).std_err ** 2, table.dispersion
    )
    if inference:
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # Averages are apart by this.
            robust = coefficient_table(model)
        assert robust.n_samples == n
        assert_allclose(robust.std_err, theirs.fit(cov_type="HC0").bse, rtol=0.08)


def test_sparse_coefficients():
    X, y = rows()
    model = BatchGDRegressor().fit(X, y)
    plain = coefficient_table(model, X, y)
    assert_allclose(coefficient_table(model.sparsify(), X, y).std_err, plain.std_err)


def test_arrays_of_other_libraries():
    xp = pytest.importorskip("array_api_strict")
    from sklearn import config_context

    X, y = rows()
    plain = coefficient_table(BatchGDRegressor().fit(X, y), X, y, robust="HC3")
    with config_context(array_api_dispatch=True):
        A, b = xp.asarray(X), xp.asarray(y)
        model = BatchGDRegressor().fit(A, b)
        assert_allclose(coefficient_table(model, A, b, robust="HC3").std_err, plain.std_err, rtol=1e-6)
        moments = coefficient_table(model, robust=False)
        made = predict_interval(model, A)
        mean, std = model.predict(A, return_std=True)
        theirs = BatchGDRegressor().fit(X, y).predict(X, return_std=True)[1]
        assert type(std) is type(mean) is type(A)
        assert float(xp.max(xp.abs(std / xp.asarray(theirs) - 1.0))) < 1e-6
    assert_allclose(moments.std_err, coefficient_table(model, X, y, robust=False).std_err, rtol=1e-6)
    assert_allclose(made.low, predict_interval(model, X, moments).low, rtol=1e-6)
