"""Defects that were reproduced in peers: none of them is here."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import EARLY, FIXED, REGRESSORS, covering, csr, held_out, holey, mini, peers, ridge, some_weights, theta
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.optimizers import OPTIMIZERS

# Few steps, so some fits are rightly said to end worse than a constant.
few_steps = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_early_stopping_scores_the_penalised_weights(spy_on):
    X, y = peers(400)
    for alpha in (1.0, 0.1, 1e-4):
        model = mini(1, penalty="l2", alpha=alpha, **EARLY | {"epochs": 1})
        held = held_out(spy_on, model, 400)
        assert model.fit(X, y).validation_scores_ == [pytest.approx(model.score(X[held], y[held]), rel=1e-12)]


def test_early_stopping_scores_the_averaged_weights(spy_on):
    X, y = peers(400)
    model = mini(1, average=True, **EARLY | {"epochs": 1})
    held = held_out(spy_on, model, 400)
    assert model.fit(X, y).validation_scores_ == [pytest.approx(model.score(X[held], y[held]), rel=1e-12)]


@few_steps
def test_early_stopping_keeps_the_best_weights(spy_on):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 50)), rng.standard_normal(60)
    model = mini(1, **EARLY | {"epochs": 50})
    held = held_out(spy_on, model, 60)
    scores = model.fit(X, y).validation_scores_
    assert max(scores) > scores[-1] + 0.1
    assert model.score(X[held], y[held]) == pytest.approx(max(scores), rel=1e-12)


@few_steps
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_sparse_rows_have_the_same_objective_and_stop_at_the_same_epoch(penalty):
    X, y = holey(n=200)
    params = {"penalty": penalty, "alpha": 0.05, "tol": 0.01, "n_iter_no_change": 1, "epochs": 100}
    dense, sparse = mini(1, **params).fit(X, y), mini(1, **params).fit(csr(X), y)
    assert dense.n_iter_ == sparse.n_iter_ < 100
    assert_allclose(dense.loss_curve_, sparse.loss_curve_, rtol=1e-10)


@few_steps
def test_sparse_intercept_learns_as_fast():
    X, y = peers()
    model = OnlineSGDRegressor(learning_rate="invscaling", epochs=5, tol=None, random_state=0)
    dense, sparse = (clone(model).fit(rows, y) for rows in (X, csr(X)))
    assert sparse.intercept_ == pytest.approx(dense.intercept_, rel=1e-10)
    assert sparse.intercept_ > 2.5


@pytest.mark.parametrize("factors", [[1, 1, 1, 1, 100], [1000] * 5], ids=str)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_divergence_never_passes_silently(kind, factors):
    X, y = peers()
    with pytest.warns(ConvergenceWarning, match="eta0"):
        kind(learning_rate="invscaling", random_state=0).fit(X * factors, y)


def test_finite_garbage_gives_a_warning():
    X, y = peers()
    with pytest.warns(ConvergenceWarning, match="worse than.*constant") as caught:
        model = OnlineSGDRegressor(eta0=1.0, learning_rate="constant", epochs=1, random_state=0).fit(X, y)
    assert len(caught) == 1
    assert model.score(X, y) < 0


def test_high_first_rate_of_optimal_gives_a_warning():
    X, y = peers()
    with pytest.warns(ConvergenceWarning, match="eta0|learning_rate"):
        OnlineSGDRegressor(learning_rate="optimal", random_state=0).fit(X, y)


@few_steps
def test_starting_point_counts_in_a_warm_fit():
    X, y = peers()
    start = np.full(5, 7.0)
    warm = mini(warm_start=True).fit(X, y).fit(X, y, coef_init=start, intercept_init=1.0)
    assert_array_equal(theta(warm), theta(mini().fit(X, y, coef_init=start, intercept_init=1.0)))
    assert_array_equal(start, 7.0)


@few_steps
def test_clock_counts_training_rows_only():
    X, y = peers(140)
    model = mini(1, early_stopping=True, validation_fraction=0.1, epochs=10).fit(X, y)
    assert model.n_updates_ == model.n_samples_seen_ == 1260


@few_steps
@covering({"kind": REGRESSORS, "learning_rate": ["auto", "invscaling"], "factor": [1e-3, 1e3]}, strength=2)
def test_scale_of_the_weights_does_not_matter(kind, factor, learning_rate):
    X, y = peers()
    weight = some_weights(200)
    model = kind(learning_rate=learning_rate, random_state=0)
    one, other = (clone(model).fit(X, y, scale * weight) for scale in (1.0, factor))
    assert one.n_iter_ == other.n_iter_
    assert_allclose(theta(one), theta(other), rtol=1e-10)
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-10)


@covering({"batch_size": [1, 20, 200, None], "learning_rate": ["auto", "invscaling"]})
def test_weights_count_at_every_batch_size(batch_size, learning_rate):
    X, y = peers()
    weight = np.where(np.arange(200) < 100, 1e-6, 1.0)
    y[:100] += 50
    model = mini(batch_size, learning_rate=learning_rate, tol=None, epochs=300, eta0=0.05, shuffle=True)
    assert model.fit(X, y, weight).intercept_ == pytest.approx(3, abs=0.1)


def test_penalty_does_not_depend_on_the_batch_size():
    X, y = peers(200)
    norms = [
        np.linalg.norm(
            MiniBatchSGDRegressor(
                batch_size=batch_size,
                penalty="l2",
                alpha=1.0,
                epochs=2000,
                tol=None,
                random_state=0,
                learning_rate=lambda t: 2 / (20 + t),
            )
            .fit(X, y)
            .coef_
        )
        for batch_size in (1, 10, 100)
    ]
    assert_allclose(norms, np.linalg.norm(ridge(X, y, 1.0)[:5]), rtol=1e-3)


@few_steps
@pytest.mark.parametrize("batch_size", [1, 20])
def test_averaging_has_an_effect(batch_size):
    X, y = peers()
    plain, averaged = mini(batch_size).fit(X, y), mini(batch_size, average=True).fit(X, y)
    assert (theta(plain) != theta(averaged)).all()
    path = [theta(mini(batch_size, epochs=1).fit(X[:n], y[:n])) for n in range(batch_size, 201, batch_size)]
    assert_allclose(theta(averaged.set_params(epochs=1).fit(X, y)), np.mean(path, axis=0), rtol=1e-10)


@few_steps
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_and_averaging_take_l1(optimizer):
    X, y = peers()
    X[:, 0] = 0
    for average in (False, True):
        fitted = mini(20, optimizer=optimizer, penalty="l1", alpha=1.0, average=average).fit(X, y)
        assert fitted.coef_[0] == 0
        assert np.isfinite(theta(fitted)).all()


@few_steps
def test_absolute_error_takes_a_series_of_weights():
    pd = pytest.importorskip("pandas")
    X, y = peers()
    weight = some_weights(200)
    model, series = mini(20, loss="absolute_error"), pd.Series(weight, index=np.arange(200)[::-1])
    assert_array_equal(
        theta(clone(model).partial_fit(X, pd.Series(y), series)), theta(clone(model).partial_fit(X, y, weight))
    )


@pytest.mark.parametrize("kind", REGRESSORS)
def test_nan_ruins_nothing(kind):
    X, y = peers()
    model = kind(**FIXED).partial_fit(X, y)
    alone = clone(model).partial_fit(X, y)
    for place in (X, y):
        kept, place.flat[7] = place.flat[7], np.nan
        with pytest.raises(ValueError, match="NaN"):
            model.partial_fit(X, y)
        place.flat[7] = kept
    assert_array_equal(theta(model.partial_fit(X, y)), theta(alone.partial_fit(X, y)))


@pytest.mark.parametrize("kind", REGRESSORS)
def test_targets_are_not_broadcast(kind):
    """A vector of targets against a column of predictions is not a table of errors."""
    X, y = peers()
    fitted = kind(random_state=0).fit(X, y)
    assert fitted.score(X, y) > 0.99
    assert fitted.predict(X).shape == y.shape


def test_drop_last_never_trains_on_nothing():
    X, y = peers(20)
    with pytest.raises(ValueError, match=r"drop_last.*batch_size"):
        MiniBatchSGDRegressor(batch_size=32, drop_last=True).fit(X, y)


def test_dask_arrays_bring_their_weights():
    arrays = pytest.importorskip("dask.array")
    X, y, weight = *peers(), some_weights(200)
    blocks = [arrays.from_array(values, chunks=50) for values in (X, y, weight)]
    model = OnlineSGDRegressor(random_state=0)
    assert_array_equal(theta(clone(model).fit(*blocks)), theta(clone(model).fit(X, y, weight)))
    assert_array_equal(theta(clone(model).partial_fit(*blocks)), theta(clone(model).partial_fit(X, y, weight)))


@pytest.mark.parametrize("factors", [[1] * 5, [1, 1, 1, 1, 100], [1, 1, 100, 1e4, 1e-3]], ids=str)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_defaults_do_not_diverge(kind, factors):
    X, y = peers()
    assert kind(random_state=0).fit(X * factors, y).score(X * factors, y) > 0.999


@few_steps
def test_order_of_rows_is_not_the_same_every_time(spy_on):
    """Each epoch of `fit` has its own order; `partial_fit` takes rows as they come, so has none to repeat."""
    X, y = peers()
    assert len({tuple(epoch) for epoch in spy_on(mini(1, shuffle=True, epochs=5), 200).epochs(5)}) == 5
    shuffled, ordered = mini(shuffle=True), mini(shuffle=False)
    for _ in range(3):
        assert_array_equal(theta(shuffled.partial_fit(X, y)), theta(ordered.partial_fit(X, y)))
