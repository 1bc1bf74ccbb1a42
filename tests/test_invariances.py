"""What must not change a model, on data that hypothesis invents."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from internals import used
from numpy.testing import assert_allclose, assert_array_equal
from problems import FIXED, csr, theta

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor

# Data without structure: that descents on it end worse than a constant rightly gives a warning.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

seeds = st.integers(0, 2**32 - 1)
batch_sizes = st.sampled_from([1, 2, 7, 64, None])
# Few parts, as each pair of them is compiled for a second.
losses = st.sampled_from(["squared_error", "huber"])
penalties = st.sampled_from([None, "elasticnet"])
scales = st.floats(1e-3, 1e3)

few = settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def problems(draw, positive_weights=False):
    """X with gaps, y, weights."""
    n, p = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(seeds))
    X = rng.standard_normal((n, p)) * (rng.random((n, p)) < draw(st.sampled_from([0.2, 0.7, 1.0])))
    y = X @ rng.standard_normal(p) + rng.standard_normal() + rng.standard_normal(n)
    weight = rng.exponential(size=n)
    if not positive_weights:
        weight[rng.random(n) < 0.3] = 0
        weight[0] = 1
    return X, y, weight


def model(batch_size=7, penalty=None, kind=MiniBatchSGDRegressor, **params):
    params = FIXED | {"penalty": penalty, "alpha": 0.1} | params
    return kind(batch_size=batch_size, random_state=0, **used(**params))


@few
@given(problems(), seeds, losses, penalties)
def test_row_order_under_full_batches(problem, seed, loss, penalty):
    X, y, s = problem
    order = np.random.default_rng(seed).permutation(len(y))
    one = model(None, penalty, kind=BatchGDRegressor, loss=loss).fit(X, y, s)
    other = model(None, penalty, kind=BatchGDRegressor, loss=loss).fit(X[order], y[order], s[order])
    assert_allclose(theta(one), theta(other), rtol=1e-9, atol=1e-12)


@few
@given(problems(), seeds, batch_sizes, penalties)
def test_column_order(problem, seed, batch_size, penalty):
    X, y, s = problem
    order = np.random.default_rng(seed).permutation(X.shape[1])
    one, other = model(batch_size, penalty).fit(X, y, s), model(batch_size, penalty).fit(X[:, order], y, s)
    assert_allclose(one.coef_[order], other.coef_, rtol=1e-9, atol=1e-12)


@few
@given(problems(), batch_sizes, scales)
def test_scale_of_weights(problem, batch_size, scale):
    X, y, s = problem
    one, other = model(batch_size).fit(X, y, s), model(batch_size).fit(X, y, scale * s)
    assert_allclose(theta(one), theta(other), rtol=1e-9, atol=1e-12)


@few
@given(problems(), batch_sizes, penalties)
def test_zero_weight_is_row_absent(problem, batch_size, penalty):
    X, y, s = problem
    weighted = model(batch_size, penalty).fit(X, y, s)
    without = model(batch_size, penalty).fit(X[s > 0], y[s > 0], s[s > 0])
    assert_allclose(theta(weighted), theta(without), rtol=1e-9, atol=1e-12)


@few
@given(problems(), losses, penalties)
def test_integer_weights_are_repeated_rows_under_full_batches(problem, loss, penalty):
    X, y, s = problem
    times = np.ceil(s).astype(int)
    weighted = model(None, penalty, loss=loss).fit(X, y, times)
    repeated = model(None, penalty, loss=loss).fit(X.repeat(times, axis=0), y.repeat(times))
    assert_allclose(theta(weighted), theta(repeated), rtol=1e-9, atol=1e-12)


@few
@given(problems(), st.integers(0, 100))
def test_batch_size_past_the_rows_is_all_rows(problem, more):
    X, y, _ = problem
    clipped, full = model(len(y) + more).fit(X, y), model(None).fit(X, y)
    assert_array_equal(theta(clipped), theta(full))
    assert clipped.batch_size_ == len(y)


@few
@given(problems(), batch_sizes, losses, penalties, st.booleans())
def test_dense_is_sparse(problem, batch_size, loss, penalty, average):
    X, y, s = problem
    dense = model(batch_size, penalty, loss=loss, average=average).fit(X, y, s)
    compressed = model(batch_size, penalty, loss=loss, average=average).fit(csr(X), y, s)
    assert_allclose(theta(dense), theta(compressed), rtol=1e-9, atol=1e-12)


@few
@given(problems(), batch_sizes, st.sampled_from(["constant", "invscaling"]), st.integers(1, 5), st.booleans())
def test_fit_is_repeated_partial_fit(problem, batch_size, learning_rate, epochs, average):
    X, y, s = problem
    params = {"learning_rate": learning_rate, "epochs": epochs, "average": average}
    fitted, ongoing = model(batch_size, **params).fit(X, y, s), model(batch_size, **params)
    for _ in range(epochs):
        ongoing.partial_fit(X, y, s)
    assert_allclose(theta(ongoing), theta(fitted), rtol=1e-9, atol=1e-12)
    assert ongoing.n_updates_ == fitted.n_updates_


@few
@given(problems(), st.integers(1, 40), st.integers(1, 4))
def test_stream_in_whole_batches_is_one_call(problem, batch_size, batches):
    X, y, _ = problem
    whole, pieces = model(batch_size).partial_fit(X, y), model(batch_size)
    for start in range(0, len(y), batch_size * batches):
        pieces.partial_fit(X[start : start + batch_size * batches], y[start : start + batch_size * batches])
    assert_allclose(theta(pieces), theta(whole), rtol=1e-9, atol=1e-12)
    assert pieces.prequential_loss_ == pytest.approx(whole.prequential_loss_, rel=1e-9)


@few
@given(problems(), batch_sizes, scales, st.booleans())
def test_scale_of_targets_with_squared_error(problem, batch_size, scale, average):
    X, y, s = problem
    one = model(batch_size, average=average).fit(X, y, s)
    other = model(batch_size, average=average).fit(X, scale * y, s)
    assert_allclose(scale * theta(one), theta(other), rtol=1e-9, atol=1e-12 * scale)
    assert_allclose(scale**2 * np.array(one.loss_curve_), other.loss_curve_, rtol=1e-9)


@few
@given(problems(), batch_sizes, losses)
def test_sign_of_targets(problem, batch_size, loss):
    X, y, s = problem
    one, other = model(batch_size, loss=loss).fit(X, y, s), model(batch_size, loss=loss).fit(X, -y, s)
    assert_array_equal(theta(one), -theta(other))


@few
@given(problems(), batch_sizes, st.floats(0.1, 10))
def test_scale_of_columns_is_that_of_the_rate(problem, batch_size, scale):
    X, y, s = problem
    one = model(batch_size, fit_intercept=False).fit(X, y, s)
    other = model(batch_size, fit_intercept=False, eta0=FIXED["eta0"] / scale**2).fit(scale * X, y, s)
    assert_allclose(one.coef_, scale * other.coef_, rtol=1e-9, atol=1e-12)


@few
@given(problems(positive_weights=True), batch_sizes, st.sampled_from([True, "batches"]), seeds)
def test_same_seed_same_bits(problem, batch_size, shuffle, seed):
    X, y, s = problem
    fits = [theta(model(batch_size, shuffle=shuffle).set_params(random_state=seed).fit(X, y, s)) for _ in range(2)]
    assert_array_equal(*fits)


@few
@given(problems(), penalties)
def test_start_of_length_zero_is_no_start(problem, penalty):
    X, y, s = problem
    one = model(penalty=penalty).fit(X, y, s)
    other = model(penalty=penalty).fit(X, y, s, coef_init=np.zeros(X.shape[1]), intercept_init=0.0)
    assert_array_equal(theta(one), theta(other))
