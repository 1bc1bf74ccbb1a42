"""Displays, by the data of their lines and contours."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from internals import keep_losses
from numpy.testing import assert_allclose, assert_array_equal
from problems import linear
from scipy import sparse
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import (
    BatchGDRegressor,
    BatchSizeDisplay,
    CoefficientDisplay,
    DescentPathDisplay,
    GradientNoiseDisplay,
    LossCurveDisplay,
    MiniBatchSGDRegressor,
    OnlineSGDRegressor,
)
from sklearn_sgd.diagnostics import GradientNoise, descent_path, gradient_noise, n_updates, objective, record_fit
from sklearn_sgd.inference import CoefficientTable, coefficient_table
from sklearn_sgd.penalties import L1, Box, ElasticNet
from sklearn_sgd.streaming import ArraySource, fit_stream

plt = pytest.importorskip("matplotlib.pyplot")

PLAIN = {"learning_rate": "constant", "eta0": 0.1, "average": False}


@pytest.fixture(autouse=True)
def unseen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


def test_matplotlib_is_imported_when_used():
    code = "import sys, sklearn_sgd.displays; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"sklearn-sgd\[plot\]"):
        LossCurveDisplay(loss_curves={"a": [1.0]}, updates_per_epoch={"a": 1}).plot()


class TestLossCurve:
    models = (
        BatchGDRegressor(epochs=4, tol=None, **PLAIN),
        make_pipeline(StandardScaler(), MiniBatchSGDRegressor(batch_size=20, epochs=3, tol=None, **PLAIN)),
    )

    def fitted(self):
        X, y = linear()
        return [model.fit(X, y) for model in self.models]

    def test_chunks_are_not_called_epochs(self, monkeypatch):
        keep_losses(monkeypatch, 5)
        X, y = linear(n=60)
        source = ArraySource(X, y, chunk_rows=5)
        stream = fit_stream(MiniBatchSGDRegressor(batch_size=5), source, epochs=2, random_state=0)
        display = LossCurveDisplay.from_estimator({"stream": stream})
        assert display.ax_.get_xlabel() == "calls of partial_fit (chunks of samples)"
        # Of 24 losses the last ones are kept, and drawn where they belong.
        kept = len(stream.loss_curve_)
        assert_allclose(display.lines_["stream"].get_xdata(), np.arange(25 - kept, 25))
        display = LossCurveDisplay.from_estimator({"stream": stream}, per="update")
        assert_allclose(display.lines_["stream"].get_xdata()[-1], stream.n_updates_)
        both = {"stream": stream, "fit": OnlineSGDRegressor().fit(X, y)}
        assert LossCurveDisplay.from_estimator(both).ax_.get_xlabel() == "epochs, or calls of partial_fit"
        on = OnlineSGDRegressor().fit(X, y).partial_fit(X, y)
        assert LossCurveDisplay.from_estimator(on).ax_.get_xlabel() == "epochs, or calls of partial_fit"
        display = LossCurveDisplay.from_estimator(OnlineSGDRegressor().fit(X, y))
        assert display.ax_.get_xlabel() == "epochs (passes over the samples)"

    @pytest.mark.parametrize(
        ("per", "batch", "mini"),
        [("epoch", [1, 2, 3, 4], [1, 2, 3]), ("update", [1, 2, 3, 4], [3, 6, 9]), ("second", [2, 4, 6, 8], [3, 6, 9])],
    )
    def test_lines(self, per, batch, mini):
        models = self.fitted()
        display = LossCurveDisplay.from_estimator(models, per=per, seconds=[8.0, 9.0])
        first, second = display.lines_["BatchGDRegressor"], display.lines_["MiniBatchSGDRegressor"]
        assert_allclose(first.get_xdata(), batch)
        assert_allclose(second.get_xdata(), mini)
        assert_allclose(first.get_ydata(), models[0].loss_curve_)
        assert_allclose(second.get_ydata(), models[1][-1].loss_curve_)
        assert per in display.ax_.get_xlabel() or per == "second"

    def test_losses_of_updates_and_their_running_mean(self):
        """Those of descents written out: of single updates, and of the updates of an epoch."""
        X, y = linear(n=24, p=2)
        models = {"batch": BatchGDRegressor(epochs=4, tol=None, **PLAIN | {"eta0": 0.5})}
        models["mini"] = MiniBatchSGDRegressor(batch_size=6, epochs=3, tol=None, random_state=0, **PLAIN)
        display = LossCurveDisplay.from_estimator(models, X, y, per="update")
        record = record_fit(models["mini"], X, y)
        assert_allclose(display.update_lines_["mini"].get_ydata(), record.losses)
        means = [record.losses[max(0, k - 3) : k + 1].mean() for k in range(12)]
        assert_allclose(display.lines_["mini"].get_ydata(), means)
        assert_allclose(display.lines_["batch"].get_ydata(), models["batch"].fit(X, y).loss_curve_)
        assert_array_equal(display.lines_["mini"].get_xdata(), np.arange(1, 13))
        display.plot("update", window=2)
        assert_allclose(display.lines_["mini"].get_ydata()[5], record.losses[4:6].mean())

    def test_names_and_seconds_by_name(self):
        one, two = self.fitted()
        display = LossCurveDisplay.from_estimator({"a": one, "b": two}, per="second", seconds={"b": 3.0, "a": 4.0})
        assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["a", "b"]
        assert_allclose(display.lines_["a"].get_xdata()[-1], 4)

    def test_same_class_twice_is_numbered(self):
        display = LossCurveDisplay.from_estimator([self.fitted()[0]] * 2)
        assert list(display.lines_) == ["BatchGDRegressor 1", "BatchGDRegressor 2"]

    def test_validation_beside_training(self):
        model = MiniBatchSGDRegressor(early_stopping=True, random_state=0, epochs=5).fit(*linear())
        display = LossCurveDisplay.from_estimator(model)
        line = display.validation_lines_["MiniBatchSGDRegressor"]
        assert_allclose(line.get_ydata(), model.validation_scores_)
        assert line.axes is display.validation_ax_
        assert line.axes is not display.ax_

    def test_on_axes_given(self):
        _, ax = plt.subplots()
        display = LossCurveDisplay.from_estimator(self.fitted()[0], ax=ax)
        assert display.ax_ is ax
        assert display.validation_ax_ is None

    def test_losses_that_are_zero_have_no_logarithm(self):
        display = LossCurveDisplay(loss_curves={"a": [1.0, 0.0]}, updates_per_epoch={"a": 1}).plot()
        assert display.ax_.get_yscale() == "linear"

    @pytest.mark.parametrize(("per", "match"), [("row", "per must be"), ("second", "needs seconds")])
    def test_errors(self, per, match):
        with pytest.raises(ValueError, match=match):
            LossCurveDisplay.from_estimator(self.fitted()[0], per=per)


class TestDescentPath:
    def test_contours_lie_on_the_closed_form(self):
        X, y = linear(p=1, noise=1.0)
        display = DescentPathDisplay.from_estimator(BatchGDRegressor(epochs=30, **PLAIN), X, y, grid_resolution=200)
        contours = display.contours_["BatchGDRegressor"]
        drawn = 0
        for level, segments in zip(contours.levels, contours.allsegs, strict=True):
            for w, b in np.concatenate(segments):
                residual = X[:, 0] * w + b - y
                assert_allclose(np.mean(residual**2) / 2, level, rtol=5e-3)
                drawn += 1
        assert drawn > 500

    def test_panels_side_by_side(self):
        X, y = linear(n=12, p=2)
        models = [BatchGDRegressor(**PLAIN), MiniBatchSGDRegressor(batch_size=4, **PLAIN), OnlineSGDRegressor(**PLAIN)]
        display = DescentPathDisplay.from_estimator(models, X, y, epochs=2)
        assert [len(line.get_xdata()) for line in display.lines_.values()] == [3, 7, 25]
        assert len({panel.get_xlim() for panel in display.axes_}) == 1
        assert "24 updates" in display.axes_[2].get_title()

    def test_minimum_is_that_of_least_squares(self):
        X, y = linear(p=1, noise=1.0)
        display = DescentPathDisplay.from_estimator(BatchGDRegressor(epochs=30, **PLAIN), X, y)
        exact = np.linalg.lstsq(np.column_stack([X, np.ones(len(y))]), y, rcond=None)[0]
        assert_allclose(display.minima["BatchGDRegressor"], exact, rtol=1e-6)

    def test_path_is_that_of_fit(self):
        X, y = linear(n=30, p=2, noise=1.0)
        models = {"full": BatchGDRegressor(), "batches": MiniBatchSGDRegressor(batch_size=5, random_state=2)}
        display = DescentPathDisplay.from_estimator(models, X, y)
        for name, model in models.items():
            model.fit(X, y)
            assert_allclose([*zip(*display.lines_[name].get_data(), strict=True)][-1], model.coef_)
            assert f"{model.n_updates_} update" in display.axes_[list(models).index(name)].get_title()
        assert "final step" in display.axes_[1].get_title()

    def test_other_parameters_are_held_where_the_path_ends(self):
        X, y = linear(p=3)
        display = DescentPathDisplay.from_estimator(BatchGDRegressor(epochs=9, **PLAIN), X, y, parameters=(2, -1))
        model = BatchGDRegressor(epochs=9, tol=None, **PLAIN).fit(X, y)
        first, second = display.grid
        w = model.coef_.copy()
        w[2] = first[7]
        assert_allclose(display.values["BatchGDRegressor"][5, 7], np.mean((X @ w + second[5] - y) ** 2) / 2)
        assert display.labels == ("coefficient of x2 (y per x2)", "intercept (units of y)")

    def test_as_many_axes_as_paths(self):
        with pytest.raises(ValueError, match="2 panels"):
            DescentPathDisplay.from_estimator([BatchGDRegressor(epochs=2)] * 2, *linear(), ax=plt.subplots()[1])

    @pytest.mark.parametrize(
        "penalty", [L1(0.1), ElasticNet(0.1, 0.5), Box([0.0, -1.0, 0.0], 2.5), Box([0.0, 1.5, 0], 1.5)]
    )
    @pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor])
    def test_penalties_as_instances(self, kind, penalty):
        """Contours are those of the objective, and there are none beyond the bounds."""
        X, y = linear(p=3)
        model = kind(penalty=penalty, epochs=9, random_state=0, **PLAIN)
        display = DescentPathDisplay.from_estimator(model, X, y)
        (first, second), values = display.grid, display.values[kind.__name__]
        held = descent_path(model, X, y)[-1]
        for name, point in display.minima.items():
            assert np.isfinite(objective(model, X, y, np.append(point, held[2:]))), name
        for row, column in ((5, 7), (40, 40), (70, 30)):
            at = np.append([first[column], second[row]], held[2:])
            assert_allclose(values[row, column], objective(model, X, y, at))
        if isinstance(penalty, Box):
            low, high = np.broadcast_to(penalty.low, 3), np.broadcast_to(penalty.high, 3)
            inside = np.outer((second >= low[1]) & (second <= high[1]), (first >= low[0]) & (first <= high[0]))
            assert_array_equal(np.isfinite(values), inside)
            assert (display.paths[kind.__name__] >= low[:2]).all()
            contours = display.contours_.get(kind.__name__)
            assert (contours is None) == (not inside.any())
            for segments in contours.allsegs if contours else []:
                for segment in segments:
                    assert (np.reshape(segment, (-1, 2)) >= low[:2] - np.ptp(display.grid, axis=1) / 70).all()

    def test_other_parameters_are_held_where_each_penalty_allows_it(self):
        """The first path ends at a negative third coefficient."""
        X, y = linear(p=3)
        X[:, 2] *= -1
        models = {"free": BatchGDRegressor(epochs=9, **PLAIN)}
        models["positive"] = BatchGDRegressor(epochs=9, positive=True, **PLAIN)
        display = DescentPathDisplay.from_estimator(models, X, y)
        assert np.isfinite(display.values["free"]).all()
        w, b = np.split(descent_path(models["positive"], X, y)[-1], [3])
        w[0] = display.grid[0][60]
        w[1] = display.grid[1][70]
        assert_allclose(display.values["positive"][70, 60], np.mean((X @ w + b - y) ** 2) / 2)
        assert np.isinf(display.values["positive"][0, 0])

    def test_a_pipeline_is_refused_with_the_remedy(self):
        X, y = linear()
        with pytest.raises(TypeError, match=r"got Pipeline: give pipeline\[-1\], and .* pipeline\[:-1\].transform"):
            DescentPathDisplay.from_estimator(make_pipeline(StandardScaler(), BatchGDRegressor()), X, y)


class TestBatchSize:
    def test_of_a_search(self):
        X, y = linear()
        model = MiniBatchSGDRegressor(penalty="l2", epochs=4, tol=None, random_state=0)
        pipeline = make_pipeline(StandardScaler(), model)
        grid = {"minibatchsgdregressor__batch_size": [None, 4, 10], "minibatchsgdregressor__alpha": [0, 1e-4]}
        scoring = {"fit": "r2", "updates": n_updates}
        search = GridSearchCV(pipeline, grid, scoring=scoring, refit="fit", cv=3).fit(X, y)
        display = BatchSizeDisplay.from_search(search)
        results = search.cv_results_
        sizes = [fit["minibatchsgdregressor__batch_size"] for fit in results["params"]]
        best = [results["mean_test_fit"][[size == other for other in sizes]].max() for size in (4, 10, None)]
        assert display.batch_sizes == [4, 10, None]
        assert_allclose(display.lines_["score"].get_ydata(), best)
        assert_allclose(display.lines_["updates"].get_ydata(), [40, 16, 4])
        assert_allclose(display.lines_["score"].get_xdata(), [4, 10, 40])

    def test_of_a_plain_search_has_no_updates(self):
        search = GridSearchCV(MiniBatchSGDRegressor(epochs=2), {"batch_size": [4, 10]}, cv=3).fit(*linear())
        display = BatchSizeDisplay.from_search(search)
        assert list(display.lines_) == ["score", "seconds"]
        assert_allclose(display.lines_["seconds"].get_ydata(), search.cv_results_["mean_fit_time"])

    def test_of_an_estimator(self):
        model = MiniBatchSGDRegressor(epochs=2, tol=None)
        display = BatchSizeDisplay.from_estimator(model, *linear(), batch_sizes=[10, 1], cv=3)
        assert_allclose(display.lines_["updates"].get_ydata(), [80, 8])

    def test_search_of_something_else(self):
        search = GridSearchCV(MiniBatchSGDRegressor(epochs=2), {"epochs": [1, 2]}, cv=3).fit(*linear())
        with pytest.raises(ValueError, match="batch_size"):
            BatchSizeDisplay.from_search(search)


class TestGradientNoise:
    def display(self, **options):
        X, y = linear(n=64, p=2, noise=1.0)
        model = BatchGDRegressor(epochs=20, tol=None, **PLAIN).fit(X, y)
        return model, X, y, GradientNoiseDisplay.from_estimator(model, X, y, random_state=0, **options)

    def test_line_falls_as_the_root_of_the_batch_size(self):
        model, X, y, display = self.display()
        line = display.theory_line_
        assert_allclose(line.get_ydata() * np.sqrt(line.get_xdata()), np.sqrt(gradient_noise(model, X, y).variance))

    def test_spread_as_measured_is_that_of_theory(self):
        model, X, y, display = self.display(n_batches=2000)
        assert_allclose(
            display.spread_line_.get_ydata(), gradient_noise(model, X, y).spread([1, 2, 4, 8, 16, 32]), rtol=0.1
        )

    def test_surfaces_are_parabolas_of_their_rows(self):
        """All rows in one batch is the full surface."""
        model, X, y, display = self.display(batch_size=100, parameter=1)
        at = display.positions
        square = np.mean((X[:, :1] * model.coef_[0] + X[:, 1:] * at + model.intercept_ - y[:, None]) ** 2, axis=0) / 2
        assert_allclose(display.surface_line_.get_ydata(), square)
        assert_allclose(display.batch_lines_[0].get_ydata(), square)

    def test_batches_have_surfaces_of_their_own(self):
        *_, display = self.display(n_surfaces=5)
        minima = [line.get_xdata()[np.argmin(line.get_ydata())] for line in display.batch_lines_]
        assert len(minima) == 5
        assert np.std(minima) > 0

    @pytest.mark.parametrize(
        ("params", "low", "high"),
        [
            ({"positive": True}, 0.0, np.inf),
            ({"penalty": Box(0.0, 1.0, L1(0.1))}, 0.0, 1.0),
            ({"penalty": L1(0.1)}, -np.inf, np.inf),
        ],
    )
    def test_surfaces_end_at_the_bounds(self, params, low, high):
        X, y = linear(n=64, p=2, noise=1.0)
        model = BatchGDRegressor(**params, **PLAIN).fit(X * [-1, 1], y)
        display = GradientNoiseDisplay.from_estimator(model, X * [-1, 1], y, random_state=0)
        assert_array_equal(np.isfinite(display.surface), (display.positions >= low) & (display.positions <= high))
        drawn = np.ma.getmaskarray(display.surface_line_.get_ydata(orig=True))
        assert_array_equal(drawn, np.isinf(display.surface))
        assert np.isfinite(display.axes_[1].get_ylim()).all()

    @pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix, np.ndarray.tolist])
    def test_other_forms_of_samples(self, form):
        model, X, y, dense = self.display(parameter=1)
        other = GradientNoiseDisplay.from_estimator(model, form(X), y, random_state=0, parameter=1)
        for name in ("spreads", "positions", "surface", "batch_surfaces"):
            assert_allclose(getattr(other, name), getattr(dense, name), rtol=1e-9)

    @pytest.mark.parametrize("rows", [1, 30])
    def test_no_noise_has_no_logarithm(self, rows):
        X, _ = linear()
        model = BatchGDRegressor().fit(X[:30], np.zeros(30))
        display = GradientNoiseDisplay.from_estimator(model, X[:rows], np.zeros(rows), random_state=0)
        assert display.axes_[0].get_yscale() == "linear"
        assert_array_equal(display.spreads, 0)

    def test_a_column_of_zeros(self):
        X, y = linear()
        X = np.c_[X, np.zeros(len(X))]
        model = BatchGDRegressor().fit(X, y)
        display = GradientNoiseDisplay.from_estimator(model, X, y, parameter=len(X[0]) - 1, random_state=0)
        assert_allclose(display.surface, objective(model, X, y, [*model.coef_, model.intercept_]))

    def test_from_data(self):
        noise = GradientNoise(np.ones(2), 4.0, 10)
        data = {"positions": np.arange(3.0), "surface": np.ones(3), "batch_surfaces": np.ones((1, 3)), "batch_size": 1}
        display = GradientNoiseDisplay(batch_sizes=np.array([1, 4]), spreads=np.array([2.0, 0.9]), noise=noise, **data)
        assert_allclose(display.plot().theory_line_.get_ydata(), [2, 1])


class TestCoefficients:
    def test_intervals_are_those_of_the_table(self):
        X, y = linear(noise=1.0)
        model = BatchGDRegressor().fit(X, y)
        table = coefficient_table(model, X, y, level=0.9)
        display = CoefficientDisplay.from_estimator(model, X, y, level=0.9)
        points, _, (bars,) = display.errorbar_
        assert_allclose(points.get_xdata(), table.coef[:-1])
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        assert_allclose(ends, np.column_stack((table.low, table.high))[:-1])
        assert_allclose(display.zero_.get_xdata(), 0.0)
        assert [text.get_text() for text in display.ax_.get_yticklabels()] == table.feature_names[:-1]
        assert "90 %" in display.ax_.get_xlabel()
        low, high = display.ax_.get_ylim()
        assert low > high, "the first is at the top"

    def test_chosen_features(self):
        X, y = linear()
        table = coefficient_table(BatchGDRegressor().fit(X, y), robust=False)
        ax = plt.figure().add_subplot()
        display = CoefficientDisplay.from_table(table, features=["x3", "x0"], intercept=True, ax=ax)
        assert display.ax_ is ax
        assert display.feature_names == ["x3", "x0", "intercept"]
        assert_allclose(display.coef, table.coef[[3, 0, 5]])
        with pytest.raises(ValueError, match="nothing"):
            CoefficientDisplay.from_table(table, features=["nothing"])
        with pytest.raises(TypeError, match="of one target"):
            CoefficientDisplay.from_table([table])
        with pytest.raises(ValueError, match="list of names"):
            CoefficientDisplay.from_table(table, features="x0")
        with pytest.raises(ValueError, match="no coefficients"):
            CoefficientDisplay.from_table(table, features=[])

    def test_a_feature_named_intercept(self):
        names = ["intercept", "a", "intercept"]
        table = CoefficientTable(np.array([1.0, 2.0, 3.0]), np.eye(3), names, 100)
        for intercept, coef in ((False, [1.0, 2.0]), (True, [1.0, 2.0, 3.0])):
            display = CoefficientDisplay.from_table(table, intercept=intercept)
            assert_allclose(display.coef, coef)
            assert display.feature_names == names[: len(coef)]

    def test_a_last_feature_named_intercept(self):
        pd = pytest.importorskip("pandas")
        X, y = linear(noise=1.0)
        frame = pd.DataFrame(X[:, :2], columns=["a", "intercept"])
        for fit_intercept in (False, True):
            table = coefficient_table(BatchGDRegressor(fit_intercept=fit_intercept).fit(frame, y), frame, y)
            assert CoefficientDisplay.from_table(table).feature_names == ["a", "intercept"]
            both = CoefficientDisplay.from_table(table, intercept=True)
            assert_allclose(both.coef, table.coef)
            assert_allclose(CoefficientDisplay.from_table(table, features=["intercept"]).coef, table.coef[1:2])

    def test_labels_of_many_features_do_not_overlap(self):
        display = CoefficientDisplay(coef=np.zeros(100), low=-np.ones(100), high=np.ones(100), feature_names=range(100))
        display.plot().figure_.canvas.draw()
        boxes = [label.get_window_extent() for label in display.ax_.get_yticklabels()]
        assert all(above.y0 >= below.y1 for above, below in itertools.pairwise(boxes))
