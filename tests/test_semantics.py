"""What parameters, methods and attributes mean."""

import pickle
from itertools import product

import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose, assert_array_equal
from problems import (
    AUTO,
    EARLY,
    FIXED,
    LOSSES,
    PENALTIES,
    REGRESSORS,
    course,
    covering,
    csr,
    held_out,
    holey,
    linear,
    mini,
    ridge,
    some_weights,
    theta,
)
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.metrics import r2_score

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

# Few steps, so some fits are rightly said to end worse than a constant.
few_steps = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


SIZES, FORMS = [1, 7, None], [np.asarray, csr]


def with_some_absent(n=60):
    return np.where(np.arange(n) % 4 == 1, 0.0, some_weights(n))


# Batches


@few_steps
@pytest.mark.parametrize(("batch_size", "epochs", "updates"), [(2, 3, 12), (2, 2, 8), (4, 3, 6)])
def test_arithmetic_of_the_course(batch_size, epochs, updates):
    fitted = mini(batch_size, epochs=epochs).fit(*linear(n=8))
    assert fitted.n_updates_ == updates
    assert fitted.n_iter_ == epochs == len(fitted.loss_curve_)
    assert fitted.n_samples_seen_ == 8 * epochs


@few_steps
@pytest.mark.parametrize("shuffle", [False, True, "batches"])
def test_table_of_the_course(shuffle):
    fitted = mini(3, shuffle=shuffle, eta0=1e-3).fit(*course())
    assert fitted.n_updates_ == 3 * 3
    assert fitted.batch_size_ == 3


ALIKE = {
    "plain": {},
    "invscaling": {"learning_rate": "invscaling", "shuffle": True, "tol": 1e-3, "epochs": 100},
    "automatic": {**AUTO, "shuffle": True, "tol": 1e-3, "epochs": 100},
    "batches": {"shuffle": "batches"},
    "averaged": {"average": 4, "shuffle": True},
    "elastic net": {"penalty": "elasticnet", "alpha": 0.1, "positive": True},
    "early stopping": {"early_stopping": True, "shuffle": True, "tol": 0.01},
}


@few_steps
@covering(
    {
        "params": ALIKE,
        "kind, batch_size, rtol, form": [
            (OnlineSGDRegressor, 1, 0, np.asarray),
            (BatchGDRegressor, None, 1e-12, csr),
            (OnlineSGDRegressor, 1, 0, csr),
            (BatchGDRegressor, None, 1e-12, np.asarray),
        ],
    }
)
def test_one_engine_three_names(kind, batch_size, rtol, form, params):
    X, y = holey()
    X = form(X)
    named, sized = kind(random_state=0, **used(**FIXED | params)), mini(batch_size, **params)
    for model in (named.fit(X, y, some_weights(60)), sized.fit(X, y, some_weights(60))):
        if not model.early_stopping:
            model.partial_fit(X, y)
    assert_allclose(theta(named), theta(sized), rtol=rtol)
    assert named.n_updates_ == sized.n_updates_
    assert named.batch_size_ == sized.batch_size_ == (batch_size or named.n_samples_seen_ // named.n_updates_)


@few_steps
def test_last_short_batch_is_a_step_on_its_own_mean():
    X, y = linear(n=8)
    theirs = mini(4, epochs=1).fit(X[:4], y[:4])
    for row in (slice(4, 8), slice(6, 7)):
        expected = mini(None, epochs=1).fit(X[row], y[row], coef_init=theirs.coef_, intercept_init=theirs.intercept_)
        ours = mini(4, epochs=1).fit(np.vstack([X[:4], X[row]]), np.append(y[:4], y[row]))
        assert_allclose(theta(ours), theta(expected), rtol=1e-12)
        assert ours.n_updates_ == 2


@few_steps
def test_drop_last_is_fewer_rows():
    X, y = linear(n=60)
    assert_array_equal(theta(mini(7, drop_last=True).fit(X, y)), theta(mini(7).fit(X[:56], y[:56])))
    assert mini(7, drop_last=True).fit(X, y).n_samples_seen_ == 3 * 56


@few_steps
def test_drop_last_drops_other_rows_in_each_epoch(spy_on):
    seen = spy_on(mini(7, drop_last=True, shuffle=True, epochs=20), 60).epochs(20)
    assert set(seen.ravel()) == set(range(60))
    assert all(len(set(epoch)) == 56 for epoch in seen)


@few_steps
@pytest.mark.parametrize("params", [{}, {"shuffle": True}, {"shuffle": "batches"}, {"average": True}], ids=str)
def test_batch_size_larger_than_data_is_clipped_and_recorded(params):
    X, y = linear()
    large, exact = mini(1000, **params).fit(X, y), mini(60, **params).fit(X, y)
    assert_array_equal(theta(large), theta(exact))
    assert large.batch_size_ == 60
    assert large.batch_size == 1000
    assert mini(1000).fit(X, y, with_some_absent()).batch_size_ == 45


@pytest.mark.parametrize("batch_size", [1, 10, 100, None])
def test_penalty_means_the_same_at_every_batch_size(batch_size):
    X, y = linear(n=200)
    model = MiniBatchSGDRegressor(
        batch_size=batch_size,
        penalty="l2",
        alpha=1.0,
        epochs=3000,
        tol=None,
        shuffle=True,
        random_state=0,
        learning_rate=lambda t: 2 / (20 + t),
    )
    assert_allclose(theta(model.fit(X, y)), ridge(X, y, alpha=1.0), rtol=2e-3)


@few_steps
def test_intercept_is_not_penalised():
    X, y = np.zeros((60, 1)), np.full(60, 5.0)
    for penalty in ("l2", "l1", "elasticnet"):
        fitted = mini(None, penalty=penalty, alpha=10.0, eta0=0.09, epochs=1000).fit(X, y)
        assert_allclose(theta(fitted), [0, 5], rtol=1e-10)


# Order of the rows


def test_every_epoch_has_every_row_once(spy_on):
    for shuffle in (False, True, "batches"):
        for batch_size in (1, 7, 20, None):
            seen = spy_on(mini(batch_size, shuffle=shuffle, epochs=4), 60).epochs(4)
            assert_array_equal(np.sort(seen, axis=1), np.tile(np.arange(60), (4, 1)))


def test_shuffle_false_keeps_the_order(spy_on):
    assert_array_equal(spy_on(mini(shuffle=False), 60).epochs(3), np.tile(np.arange(60), (3, 1)))


@pytest.mark.parametrize("shuffle", [True, "batches"])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_order_is_new_in_each_epoch_and_seeded(spy_on, shuffle, batch_size):
    def orders(seed):
        model = clone(mini(batch_size, shuffle=shuffle, epochs=5)).set_params(random_state=seed)
        return spy_on(model, 500).epochs(5)

    first = orders(0)
    assert len({tuple(epoch) for epoch in first}) == 5
    assert_array_equal(first, orders(0))
    assert (first != orders(1)).any(axis=1).all()
    assert (orders(None) != orders(None)).any()


def test_shuffle_true_mixes_rows(spy_on):
    order = spy_on(mini(10, shuffle=True, epochs=1), 1000).epochs(1)[0]
    assert np.count_nonzero(np.diff(order) == 1) < 20
    assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < 0.2


def starts(order):
    """Where an order does not go on with the next row."""
    return np.flatnonzero(np.append(True, np.diff(order) != 1))


@pytest.mark.parametrize("batch_size", [7, 20])
def test_shuffled_batches_are_contiguous(spy_on, batch_size):
    for order in spy_on(mini(batch_size, shuffle="batches"), 60).epochs(3):
        assert (starts(order) % batch_size == 0).all()
        assert (order[starts(order)] % batch_size == 0).all()


@pytest.mark.parametrize(("n", "shortest", "longest"), [(20_000, 20, 256), (500, 2, 64)])
def test_shuffled_rows_come_in_runs(spy_on, n, shortest, longest):
    """At batch_size=1: long enough to read memory in order, short enough that there are many."""
    order = spy_on(mini(1, shuffle="batches", epochs=1), n).epochs(1)[0]
    assert shortest < n / len(starts(order)) < 1.2 * longest


@few_steps
def test_shuffling_does_not_matter_for_full_batches():
    X, y = linear()
    fits = [BatchGDRegressor(**FIXED | {"shuffle": shuffle}).fit(X, y) for shuffle in (True, False, "batches")]
    for fitted in fits:
        assert_allclose(theta(fitted), theta(fits[0]), rtol=1e-13)


@few_steps
@pytest.mark.parametrize("kind", REGRESSORS)
def test_same_seed_same_bits(kind):
    X, y = linear()
    params = {"average": True, "epochs": 5, "tol": None}
    fits = [theta(kind(random_state=seed, **params).fit(X, y)) for seed in (0, 0, 1, np.random.RandomState(0))]
    assert_array_equal(fits[0], fits[1])
    assert_array_equal(fits[0], fits[3])
    assert kind is BatchGDRegressor or (fits[0] != fits[2]).all()


@few_steps
def test_random_state_instance_goes_on():
    X, y = linear()
    model = OnlineSGDRegressor(random_state=np.random.RandomState(0), epochs=2, tol=None)
    assert (theta(model.fit(X, y)) != theta(model.fit(X, y))).any()


@few_steps
def test_global_random_state_is_left_alone():
    X, y = linear()
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    MiniBatchSGDRegressor(random_state=0, early_stopping=True).fit(X, y)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# Weights


ABSENT = {
    "plain": {},
    "shuffled": {"shuffle": True},
    "batches shuffled": {"shuffle": "batches"},
    "averaged": {"average": True},
    "drop last": {"drop_last": True},
    "automatic": AUTO,
}


@few_steps
@covering({"params": ABSENT, "batch_size": SIZES, "form": FORMS}, strength=2)
def test_zero_weight_is_row_absent(batch_size, params, form):
    X, y = holey()
    X, weight = form(X), with_some_absent()
    y[weight == 0] = 1e6
    weighted, without = mini(batch_size, **params), mini(batch_size, **params)
    for method in ("fit", "partial_fit", "partial_fit"):
        getattr(weighted, method)(X, y, weight)
        getattr(without, method)(X[weight > 0], y[weight > 0], weight[weight > 0])
        assert_allclose(theta(weighted), theta(without), rtol=1e-10)
        assert_allclose(weighted.loss_curve_, without.loss_curve_, rtol=1e-10)
        for name in ("n_updates_", "n_samples_seen_", "n_iter_", "batch_size_"):
            assert getattr(weighted, name) == getattr(without, name)


@few_steps
def test_zero_weight_is_row_absent_in_early_stopping():
    X, y = linear(n=120)
    weight = with_some_absent(120)
    model = mini(early_stopping=True, shuffle=True, epochs=20, tol=1e-3)
    weighted = clone(model).fit(X, y, weight)
    without = clone(model).fit(X[weight > 0], y[weight > 0], weight[weight > 0])
    assert_allclose(theta(weighted), theta(without), rtol=1e-12)
    assert_allclose(weighted.validation_scores_, without.validation_scores_, rtol=1e-12)


@few_steps
@pytest.mark.parametrize("kind", REGRESSORS)
@pytest.mark.parametrize("params", [{}, {"learning_rate": "invscaling"}], ids=["auto", "invscaling"])
def test_equal_weights_are_no_weights(kind, params):
    X, y = linear()
    model = kind(random_state=0, epochs=5, **params)
    assert_allclose(theta(clone(model).fit(X, y, np.full(60, 7.0))), theta(clone(model).fit(X, y)), rtol=1e-12)


@few_steps
@covering({"loss": LOSSES, "params": {"constant": FIXED, "auto": AUTO}})
def test_integer_weights_are_repeated_rows_in_full_batches(loss, params):
    X, y = linear()
    times = np.arange(60) % 4
    model = BatchGDRegressor(loss, penalty="elasticnet", alpha=0.1, **params | {"epochs": 30})
    weighted, repeated = clone(model).fit(X, y, times), clone(model).fit(X.repeat(times, axis=0), y.repeat(times))
    assert_allclose(theta(weighted), theta(repeated), rtol=1e-8)
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-8)


@few_steps
@pytest.mark.parametrize("batch_size", [1, 7])
def test_weights_in_one_row_calls_keep_their_ratio(batch_size):
    """Each weight is relative to the mean of all so far: a heavy row moves more than a light one before it."""
    model = mini(batch_size)
    for weight, mean in ((1.0, 1.0), (3.0, 2.0), (2.0, 2.0), (0.5, 1.625)):
        before = getattr(model, "intercept_", 0.0)
        model.partial_fit([[0.0]], [1.0], [weight])
        assert model.intercept_ - before == pytest.approx(0.02 * weight / mean * (1 - before))


@few_steps
@pytest.mark.parametrize("kind", [np.asarray, csr])
def test_weights_whose_sum_is_not_finite_are_refused(kind):
    """Also if the sum leaves the range of numbers in a later call only, of one row or of many."""
    X, y = linear()
    X, huge = kind(X), np.full(60, 1e307)
    message = "The sum of sample_weight, .* is out of the range of numbers"
    with pytest.raises(ValueError, match=message):
        mini().fit(X, y, huge)
    for size in (1, 30):
        model = mini().partial_fit(X, y, np.full(60, 2.95e306))
        before = pickle.dumps(model)
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X[:size], y[:size], huge[:size])
        assert pickle.dumps(model) == before


@few_steps
def test_call_of_weight_zero_is_no_step():
    X, y = linear()
    model = mini(average=True).fit(X, y)
    before, updates = theta(model), model.n_updates_
    model.partial_fit(X, y, np.zeros(60))
    assert_array_equal(theta(model), before)
    assert model.n_updates_ == updates
    assert model.n_iter_ == len(model.loss_curve_) == 3
    fresh = mini().partial_fit(X, y, np.zeros(60))
    assert fresh.n_updates_ == fresh.n_samples_seen_ == 0
    assert_array_equal(fresh.predict(X), 0)
    assert_allclose(theta(fresh.partial_fit(X, y)), theta(mini().partial_fit(X, y)), rtol=1e-13)


# partial_fit


ONGOING = {
    "plain": {},
    "invscaling": {"learning_rate": "invscaling"},
    "optimal": {"learning_rate": "optimal", "alpha": 1.0},
    "own schedule": {"learning_rate": lambda t: 0.05 / t**0.6},
    "averaged": {"average": True},
    "averaged late": {"average": 20},
    "elastic net": {"penalty": "elasticnet", "alpha": 0.1},
    "positive": {"positive": True},
    "drop last": {"drop_last": True},
    "no intercept": {"fit_intercept": False},
}


@few_steps
@covering({"params": ONGOING, "batch_size, form, weighted": product(SIZES, FORMS, [False, True])})
def test_fit_is_repeated_partial_fit(params, batch_size, form, weighted):
    X, y = holey()
    X, weight = form(X), with_some_absent() if weighted else None
    fitted, ongoing = mini(batch_size, **params).fit(X, y, weight), mini(batch_size, **params)
    for _ in range(3):
        assert ongoing.partial_fit(X, y, weight) is ongoing
    assert_allclose(theta(ongoing), theta(fitted), rtol=1e-12)
    assert_allclose(ongoing.loss_curve_, fitted.loss_curve_, rtol=1e-12)
    for name in ("n_updates_", "n_samples_seen_", "n_iter_", "batch_size_", "learning_rate_"):
        assert getattr(ongoing, name) == getattr(fitted, name)


@few_steps
@pytest.mark.parametrize("kind", REGRESSORS)
def test_partial_fit_goes_on_after_fit(kind):
    X, y = linear()
    params = {**FIXED, "learning_rate": "invscaling", "average": True}
    longer = kind(**params | {"epochs": 4}).fit(X, y)
    resumed = kind(**params).fit(X, y).partial_fit(X, y)
    assert_allclose(theta(resumed), theta(longer), rtol=1e-12)
    assert resumed.n_updates_ == longer.n_updates_


@few_steps
def test_row_by_row_is_one_call():
    X, y = linear()
    model = OnlineSGDRegressor(learning_rate="invscaling", average=3)
    rows, whole = clone(model), clone(model).partial_fit(X, y)
    for i in range(60):
        rows.partial_fit(X[i : i + 1], y[i : i + 1])
    assert_allclose(theta(rows), theta(whole), rtol=1e-13)
    assert rows.prequential_loss_ == pytest.approx(whole.prequential_loss_, rel=1e-12)
    assert len(rows.loss_curve_) == 60


@few_steps
def test_fit_forgets_partial_fit():
    X, y = linear()
    model = mini(average=True, shuffle=True)
    fresh = clone(model).fit(X, y)
    model.partial_fit(X, -y).partial_fit(X, -y).fit(X, y)
    assert_array_equal(theta(model), theta(fresh))
    for name in ("n_updates_", "n_samples_seen_", "n_iter_", "loss_curve_", "prequential_loss_"):
        assert getattr(model, name) == getattr(fresh, name)


@few_steps
@pytest.mark.parametrize("learning_rate", ["auto", "invscaling"])
def test_prequential_loss_is_test_then_train(learning_rate):
    X, y = linear()
    model, losses = OnlineSGDRegressor(learning_rate=learning_rate, average=False), []
    for i in range(60):
        guess = model.predict(X[i : i + 1])[0] if i else 0.0
        losses.append((guess - y[i]) ** 2 / 2)
        model.partial_fit(X[i : i + 1], y[i : i + 1])
        assert model.prequential_loss_ == pytest.approx(np.mean(losses), rel=1e-12)
        assert model.loss_curve_[-1] == pytest.approx(losses[-1], rel=1e-12)


@few_steps
@pytest.mark.parametrize("start", [FIXED, AUTO], ids=["constant", "auto"])
def test_parameters_set_on_the_way_count(start):
    X, y = linear()
    X += 10
    model = mini(**start).partial_fit(X, y).set_params(**FIXED)
    before = theta(model)
    model.set_params(eta0=0.01, batch_size=None).partial_fit(X, y)
    assert model.batch_size_ == 60
    r = X @ before[:5] + before[5] - y
    assert_allclose(theta(model), before - 0.01 * np.append(X.T @ r, r.sum()) / 60, rtol=1e-12)


@few_steps
@pytest.mark.parametrize("params", [FIXED, AUTO, FIXED | {"optimizer": "momentum", "average": True}], ids=str)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_without_intercept_from_now_on(kind, params):
    """What is learned is what predicts, and that is 0 at 0."""
    X, y = linear(noise=0.0)
    X += 10
    model = kind(**used(**params | {"eta0": 1e-4}), random_state=0, warm_start=True).fit(X, y)
    assert model.intercept_ != 0
    model.set_params(fit_intercept=False)
    for _ in range(3):
        model.partial_fit(X, y)
        assert model.predict(np.zeros((1, 5))) == model.intercept_ == 0
    if params is AUTO:
        for _ in range(30):
            model.partial_fit(X, y)
        exact = LinearRegression(fit_intercept=False).fit(X, y)
        assert 1 - model.score(X, y) < 1.1 * (1 - exact.score(X, y))
    assert model.fit(X, y).intercept_ == 0


@pytest.mark.parametrize("kind", REGRESSORS)
def test_no_intercept_starts_at_none(kind):
    X, y = linear()
    with pytest.raises(ValueError, match=r"intercept_init must be 0.*fit_intercept"):
        kind(fit_intercept=False).fit(X, y, intercept_init=5.0)
    assert kind(fit_intercept=False).fit(X, y, intercept_init=0.0).intercept_ == 0


# Averaging


@few_steps
@pytest.mark.parametrize("start", [True, 2, 10, 61, 1000])
def test_average_is_the_mean_of_the_parameters_since(start):
    X, y = linear()
    plain, path = OnlineSGDRegressor(learning_rate="invscaling"), []
    averaged = OnlineSGDRegressor(learning_rate="invscaling", average=start)
    for i in range(60):
        path.append(theta(plain.partial_fit(X[i : i + 1], y[i : i + 1])))
        averaged.partial_fit(X[i : i + 1], y[i : i + 1])
    assert_allclose(theta(averaged), np.mean(path[int(start) - 1 :] or path[-1:], axis=0), rtol=1e-12)
    assert_allclose(averaged.predict(X), X @ averaged.coef_ + averaged.intercept_, rtol=1e-12)


def test_average_is_closer_on_noisy_data():
    X, y = linear(n=2000, noise=5.0)
    params = {"learning_rate": "constant", "eta0": 0.02, "epochs": 10, "tol": None, "random_state": 0}
    plain, averaged = (OnlineSGDRegressor(average=average, **params).fit(X, y) for average in (False, 2000))
    assert np.linalg.norm(theta(averaged) - ridge(X, y)) < 0.3 * np.linalg.norm(theta(plain) - ridge(X, y))


@few_steps
@pytest.mark.parametrize("batch_size", [1, 7])
def test_average_from_an_update_on_with_the_automatic_step(batch_size):
    X, y = linear()
    late, never, always = (mini(batch_size, **AUTO | {"average": average}).fit(X, y) for average in (1000, False, True))
    assert_allclose(theta(late), theta(never), rtol=1e-12)
    assert not np.allclose(theta(always), theta(never), rtol=1e-6)


# Starting points


@few_steps
@pytest.mark.parametrize("kind", REGRESSORS)
def test_warm_start_is_start_at_the_last_fit(kind):
    X, y = linear()
    warm = kind(warm_start=True, average=True, **FIXED).fit(X, y)
    cold = kind(average=True, **FIXED).fit(X, y)
    again = clone(cold).fit(X, y, coef_init=cold.coef_, intercept_init=cold.intercept_)
    assert_array_equal(theta(warm.fit(X, y)), theta(again))
    assert_array_equal(theta(cold.fit(X, y)), theta(kind(average=True, **FIXED).fit(X, y)))
    assert warm.n_iter_ == 3


@few_steps
def test_starting_point_is_copied():
    X, y = linear()
    coef, intercept = np.full(5, 7.0), np.array([2.0])
    fitted = mini(average=True).fit(X, y, coef_init=coef, intercept_init=intercept)
    fitted.partial_fit(X, y)
    assert_array_equal(coef, 7.0)
    assert_array_equal(intercept, 2.0)
    before = theta(fitted)
    coef[:] = intercept[:] = 0
    fitted.predict(X)
    assert_array_equal(theta(fitted), before)


@few_steps
def test_learned_attributes_are_not_the_engine_s_own():
    X, y = linear()
    one, other = mini().fit(X, y), mini().fit(X, y)
    one.loss_curve_.clear()
    coef = one.coef_
    kept = coef.copy()
    one.partial_fit(X, y)
    assert_array_equal(coef, kept)
    assert_array_equal(theta(one), theta(other.partial_fit(X, y)))


# When to stop


@few_steps
@covering({"batch_size, learning_rate": product(SIZES, ["auto", "invscaling"]), "factor": [1e-6, 1000.0, 2.0**40]})
def test_tol_has_no_units(batch_size, factor, learning_rate):
    X, y = linear()
    params = {"learning_rate": learning_rate, "average": "auto", "eta0": 0.05, "epochs": 5000, "shuffle": True}
    model = mini(batch_size, tol=1e-3, **params)
    small, large = clone(model).fit(X, y), clone(model).fit(X, factor * y)
    assert small.n_iter_ == large.n_iter_ < 5000
    assert small.stop_reason_ == large.stop_reason_ == "tol"
    assert_allclose(theta(large), factor * theta(small), rtol=1e-9)


def test_tol_none_runs_all_epochs():
    X, y = linear(noise=0)
    fitted = mini(tol=None, epochs=500).fit(X, y)
    assert fitted.n_iter_ == 500
    assert fitted.stop_reason_ == "epochs"


def test_no_improvement_is_no_improvement_even_at_tol_zero():
    """The contract: an epoch counts as no improvement unless objective < best - tol * scale."""
    fitted = mini(tol=0.0, epochs=50, n_iter_no_change=3).fit(np.zeros((20, 1)), np.zeros(20))
    assert fitted.n_iter_ == 4
    assert fitted.stop_reason_ == "tol"


def test_patience():
    X, y = linear()
    for patience in (1, 2, 5):
        fitted = mini(tol=10.0, epochs=50, n_iter_no_change=patience).fit(X, y)
        assert fitted.n_iter_ == 1 + patience


@few_steps
def test_adaptive_rate_is_divided_by_five():
    X, y = linear()
    fitted = mini(learning_rate="adaptive", tol=10.0, n_iter_no_change=2, epochs=1000).fit(X, y)
    assert fitted.stop_reason_ == "tol"
    assert fitted.learning_rate_ == pytest.approx(0.02 / 5**7)
    assert fitted.n_iter_ == 1 + 2 * 8
    assert fitted.learning_rate_ < 1e-6 < 5 * fitted.learning_rate_


# Early stopping


@few_steps
@covering(
    {
        "batch_size, form": product(SIZES, FORMS),
        "params": [{}, {"penalty": "l2", "alpha": 1.0}, {"penalty": "l1", "alpha": 1.0}],
        "average": [False, True, 30],
    }
)
def test_score_is_that_of_the_model(spy_on, batch_size, form, params, average):
    X, y = holey(n=120)
    model = mini(batch_size, average=average, **EARLY | params)
    held = held_out(spy_on, model, 120)
    assert len(held) == 30
    scores = []
    for epochs in range(1, 9):
        fitted = clone(model).set_params(epochs=epochs).fit(form(X), y)
        assert len(fitted.validation_scores_) == epochs
        assert fitted.score(form(X)[held], y[held]) == pytest.approx(max(fitted.validation_scores_), rel=1e-12)
        scores.append(fitted.validation_scores_[-1])
    assert scores == fitted.validation_scores_


@few_steps
def test_split_is_random_and_seeded(spy_on):
    splits = [held_out(spy_on, mini(**EARLY).set_params(random_state=seed), 120) for seed in (0, 0, 1)]
    assert_array_equal(splits[0], splits[1])
    assert set(splits[0]) != set(splits[2])
    assert 0 < np.count_nonzero(splits[0] < 60) < 30


@few_steps
def test_score_is_weighted(spy_on):
    X, y = linear(n=120)
    weight = some_weights(120)
    model = mini(**EARLY)
    held = held_out(spy_on, model, 120)
    fitted = model.fit(X, y, weight)
    expected = r2_score(y[held], fitted.predict(X[held]), sample_weight=weight[held])
    assert max(fitted.validation_scores_) == pytest.approx(expected, rel=1e-12)


def test_early_stopping_stops():
    X, y = linear(n=200)
    fitted = mini(**EARLY | {"epochs": 1000, "tol": 1e-3}).fit(X, y)
    assert fitted.stop_reason_ == "early_stopping"
    assert fitted.n_iter_ == len(fitted.validation_scores_) < 100
    gains = np.diff(np.maximum.accumulate(fitted.validation_scores_))
    assert (gains[-5:] < 1e-3).all()


@few_steps
def test_scores_are_of_this_fit_only():
    X, y = linear()
    model = mini(**EARLY).fit(X, y)
    assert len(model.fit(X, y).validation_scores_) == 8
    model.set_params(early_stopping=False, validation_fraction=0.1)
    assert not hasattr(model.fit(X, y), "validation_scores_")


# Constraints, output


@covering({"penalty": PENALTIES, "batch_size": SIZES})
def test_positive(penalty, batch_size):
    X, y = linear()
    fitted = mini(batch_size, positive=True, penalty=penalty, epochs=50).fit(X * [1, -1, 1, -1, 1], y)
    assert (fitted.coef_ >= 0).all()
    assert_allclose(fitted.coef_[[1, 3]], 0, atol=0 if batch_size is None else 0.1)
    assert (fitted.coef_[[2, 4]] > 1).all()


@few_steps
@pytest.mark.parametrize("kind", REGRESSORS)
def test_fitted_attributes(kind):
    fitted = kind().fit(*linear())
    assert fitted.coef_.shape == (5,)
    assert isinstance(fitted.intercept_, float)
    assert fitted.n_features_in_ == 5
    assert not hasattr(fitted, "validation_scores_")
    for name in ("n_iter_", "n_updates_", "n_samples_seen_", "batch_size_"):
        assert isinstance(getattr(fitted, name), int)
    assert fitted.loss_curve_[0] == fitted.prequential_loss_
    fitted.set_params(tol=None, epochs=5).fit(*linear())
    assert fitted.loss_curve_[0] == fitted.prequential_loss_ > fitted.loss_curve_[-1]


@few_steps
@pytest.mark.parametrize("kind", REGRESSORS)
def test_verbose_prints_each_epoch(kind, capsys):
    kind(verbose=1, **FIXED).fit(*linear())
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if "epoch" in line.lower()]) == 3
    kind(**FIXED).fit(*linear())
    assert capsys.readouterr().out == ""


def test_signature_is_that_of_sgd_regressor():
    """A user changes the name of the class, and max_iter to epochs."""
    theirs = set(SGDRegressor().get_params()) - {"max_iter"}
    for kind in REGRESSORS:
        assert theirs <= set(kind().get_params())
        assert list(kind().get_params()) == list(MiniBatchSGDRegressor().get_params())
    assert [kind().batch_size for kind in REGRESSORS] == [None, 32, 1]


# Fits that go wrong


@pytest.mark.parametrize("form", [np.asarray, csr])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_divergence_gives_a_warning_with_its_remedy(kind, form):
    X, y = linear()
    model = kind(learning_rate="constant", eta0=50.0, epochs=1000, tol=None)
    with pytest.warns(ConvergenceWarning, match="finite.*eta0.*StandardScaler"):
        model.fit(form(X), y)
    assert model.stop_reason_ == "diverged"
    assert np.isfinite(theta(model)).all()
    assert model.n_iter_ < 1000


@few_steps
@pytest.mark.parametrize("params", [{}, {"average": True}, {"optimizer": "momentum"}], ids=str)
@pytest.mark.parametrize("kind", REGRESSORS)
def test_divergence_in_partial_fit_keeps_the_parameters(kind, params):
    X, y = linear()
    model, twin = (kind(**FIXED | {"average": False} | params).fit(X, y) for _ in range(2))
    before = theta(model)
    for _ in range(2):
        with pytest.warns(ConvergenceWarning, match="finite.*eta0"):
            model.set_params(eta0=1e307).partial_fit(np.tile(X, (5, 1)), np.tile(y, 5) + 1e3)
        assert_array_equal(theta(model), before)
    model.set_params(eta0=0.02).partial_fit(X, y)
    assert np.isfinite(theta(model)).all()
    # An average and moments also depend on the updates that were taken back.
    if not params:
        assert_array_equal(theta(model), theta(twin.partial_fit(X, y)))


@few_steps
@pytest.mark.parametrize("kind", REGRESSORS)
def test_predictions_do_not_depend_on_parameters_set_since(kind):
    X, y = linear()
    model = kind(**FIXED).fit(X, y)
    before = model.predict(X)
    model.set_params(fit_intercept=False, penalty="l1", alpha=9.0, average=True, positive=True, epsilon=1.0)
    assert_array_equal(model.predict(X), before)


def test_no_warning_about_a_good_fit():
    MiniBatchSGDRegressor(batch_size=8, random_state=0).fit(*linear())
