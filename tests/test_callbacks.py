"""scikit-learn's callbacks on the regressors: alone, in a pipeline, in a search; and life without them."""

import contextlib
import io

import internals
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import AUTO, FIXED, REGRESSORS, covering, linear, mini, some_weights, theta
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_sgd import MiniBatchSGDRegressor

try:
    from sklearn.callback import ProgressBar, ScoringMonitor
except ImportError:
    ProgressBar = ScoringMonitor = None

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
with_callbacks = pytest.mark.skipif(ScoringMonitor is None, reason="callbacks came with scikit-learn 1.9")
all_kinds = pytest.mark.parametrize("kind", REGRESSORS)


class Diary:
    """A user's own callback: records its arguments; may want to stop."""

    def __init__(self, stop_after=None):
        self.stop_after, self.pages = stop_after, []

    def setup(self, estimator, context):
        self.pages.append(("setup", context.task_name, context.max_subtasks))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None, metadata=None):
        self.pages.append(("begin", context.task_name, context.task_id))
        self.data = X, y, metadata

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        self.pages.append(("end", context.task_name, context.task_id))
        self.last = fitted_estimator
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after

    def teardown(self, estimator, context):
        self.pages.append(("teardown", context.task_name, len(self.pages)))


@with_callbacks
@all_kinds
def test_own_callback_is_called_in_each_epoch(kind):
    X, y, weight = *linear(), some_weights(60)
    diary = Diary()
    model = kind(**FIXED).set_callbacks(diary).fit(X, y, weight)
    epochs = [page for k in range(3) for page in (("begin", "epoch", k), ("end", "epoch", k))]
    assert diary.pages == [("setup", "fit", 3), ("begin", "fit", 0), *epochs, ("end", "fit", 0), ("teardown", "fit", 9)]
    assert diary.data[0] is X
    assert diary.data[1] is y
    assert diary.data[2]["sample_weight"] is weight
    assert_array_equal(theta(model), theta(kind(**FIXED).fit(X, y, weight)))


@with_callbacks
@all_kinds
def test_callback_stops_the_fit(kind):
    X, y = linear()
    model = kind(**FIXED | {"epochs": 10}).set_callbacks(Diary(stop_after=2), Diary()).fit(X, y)
    assert model.n_iter_ == 2
    assert model.stop_reason_ == "callback"
    assert_array_equal(theta(model), theta(kind(**FIXED | {"epochs": 2}).fit(X, y)))


@with_callbacks
@all_kinds
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}], ids=str)
def test_fitted_estimator_is_as_if_fit_had_stopped(kind, params):
    X, y = linear()
    model = kind(**FIXED | {"epochs": 10}, average=True, random_state=0, **params)

    class Snapshots(Diary):
        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name == "epoch":
                expected = clone(model).set_params(epochs=context.task_id + 1).fit(X, y)
                assert_array_equal(fitted_estimator.predict(X), expected.predict(X))
                for name in ("n_iter_", "n_updates_", "loss_curve_", "prequential_loss_"):
                    assert getattr(fitted_estimator, name) == getattr(expected, name)
                self.pages.append(fitted_estimator)

    diary = Snapshots()
    clone(model).set_callbacks(diary).fit(X, y)
    snapshots = [page for page in diary.pages if not isinstance(page, tuple)]
    assert len(snapshots) == 10
    if not params:
        snapshots[4].partial_fit(X, y)
        assert_array_equal(theta(snapshots[4]), theta(clone(model).set_params(epochs=6).fit(X, y)))


@with_callbacks
@all_kinds
def test_scoring_monitor(kind):
    X, y, weight = *linear(), some_weights(60)
    monitor = ScoringMonitor(scoring="r2")
    kind(**FIXED | {"epochs": 5}).set_callbacks(monitor).fit(X, y, weight)
    scores = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    expected = [kind(**FIXED | {"epochs": k}).fit(X, y, weight).predict(X) for k in range(1, 6)]
    assert_allclose(scores, [r2_score(y, p, sample_weight=weight) for p in expected], rtol=1e-12)


@with_callbacks
def test_scoring_monitor_on_a_data_frame():
    pd = pytest.importorskip("pandas")
    X, y = linear()
    frame = pd.DataFrame(X).rename(columns=str)
    monitor = ScoringMonitor(scoring="neg_mean_squared_error")
    MiniBatchSGDRegressor(**AUTO).set_callbacks(monitor).fit(frame, pd.Series(y))
    assert len(monitor.get_logs().data) == 4


@with_callbacks
@all_kinds
def test_in_a_pipeline(kind):
    X, y = linear()
    monitor, diary = ScoringMonitor(scoring="r2"), Diary()
    pipeline = make_pipeline(StandardScaler(), kind(**FIXED).set_callbacks(diary, monitor)).fit(X, y)
    assert [page for page in diary.pages if page[:2] == ("end", "epoch")] == [("end", "epoch", k) for k in range(3)]
    assert [row["task_name"] for row in monitor.get_logs().data].count("epoch") == 3
    assert_array_equal(pipeline.predict(X), make_pipeline(StandardScaler(), kind(**FIXED)).fit(X, y).predict(X))


@with_callbacks
@covering({"kind": REGRESSORS, "n_jobs": [2, None]})
def test_in_a_search(kind, n_jobs):
    X, y = linear()
    monitor = ScoringMonitor(scoring="r2")
    pipeline = make_pipeline(StandardScaler(), kind(penalty="l2", **FIXED).set_callbacks(monitor))
    grid = {f"{kind.__name__.lower()}__alpha": [0.01, 0.1]}
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=n_jobs).fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == 3 * (2 * 2 + 1)
    assert len({row["task_id_path"] for row in rows}) == len(rows)
    assert search.best_score_ == GridSearchCV(pipeline, grid, cv=2).fit(X, y).best_score_


@with_callbacks
@all_kinds
def test_progress_bar(kind):
    pytest.importorskip("rich")
    X, y = linear()
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        kind(**FIXED).set_callbacks(ProgressBar()).fit(X, y)
        pipeline = make_pipeline(StandardScaler(), kind(penalty="l2", **FIXED))
        pipeline.set_callbacks(ProgressBar()).fit(X, y)
        grid = {f"{kind.__name__.lower()}__alpha": [0.01, 0.1]}
        search = GridSearchCV(pipeline.set_callbacks(), grid, cv=2)
        search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, y)
    assert shown.getvalue().count(kind.__name__) == 1 + 1 + 5
    assert "100%" in shown.getvalue()


class Failing(Diary):
    def on_fit_task_end(self, estimator, context):
        raise RuntimeError("broken callback")


@with_callbacks
def test_error_in_a_callback_leaves_the_estimator_as_it_was_and_tears_down():
    X, y = linear()
    model, failing = mini().fit(X, y), Failing()
    before = theta(model)
    names = {*vars(model), "_skl_callbacks"}
    with pytest.raises(RuntimeError, match="broken callback"):
        model.set_callbacks(failing).fit(X + 1, y)
    assert_array_equal(theta(model), before)
    assert set(vars(model)) == names
    assert failing.pages[-1][0] == "teardown"


class Impatient(Diary):
    def on_fit_task_end(self, estimator, context):
        if context.task_id == 1:
            raise KeyboardInterrupt


@with_callbacks
def test_interrupt_in_a_callback_keeps_the_epoch_completed():
    X, y = linear()
    with pytest.warns(UserWarning, match="[Ii]nterrupted.*2 of 3"):
        model = mini().set_callbacks(Impatient()).fit(X, y)
    assert_array_equal(theta(model), theta(mini(epochs=2).fit(X, y)))


@with_callbacks
def test_bad_input_is_refused_with_callbacks_as_without():
    X, y = linear()
    diary = Diary()
    model = mini().set_callbacks(diary)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full_like(X, np.nan), y)
    assert diary.pages[-1][0] == "teardown"
    assert set(vars(model)) == {*vars(mini()), "_skl_callbacks"}


@all_kinds
def test_without_callbacks(kind, monkeypatch):
    """As on scikit-learn before 1.9."""
    X, y = linear()
    expected = kind(**FIXED).fit(X, y)
    internals.without_callbacks(monkeypatch, kind)
    assert_array_equal(theta(kind(**FIXED).fit(X, y)), theta(expected))
