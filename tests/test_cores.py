"""A fit uses the cores that it may: one pool of threads, closed at its end, and one thread of BLAS."""

import threading
from concurrent.futures import ThreadPoolExecutor

import internals
import numpy as np
import pytest
from problems import REGRESSORS

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor


def numbers():
    """Threads of each BLAS library."""
    return [library.get_num_threads() for library in internals.blas_libraries()]


@pytest.fixture
def two_blas_threads():
    """Let BLAS use two threads, as it does on a machine of two cores."""
    before = numbers()
    for library in internals.blas_libraries():
        internals.set_blas_threads(library, 2)
    if set(numbers()) != {2}:
        pytest.skip("the number of BLAS threads cannot be set")
    yield
    for library, number in zip(internals.blas_libraries(), before, strict=True):
        internals.set_blas_threads(library, number)


def rows(n=3000, p=20, targets=()):
    random = np.random.default_rng(0)
    X = random.standard_normal((n, p))
    return X, X @ np.ones((p, *targets)) + random.standard_normal((n, *targets))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", REGRESSORS)
def test_blas_uses_one_thread_and_all_again(kind, method, threads, two_blas_threads, monkeypatch):
    X, y = rows()
    seen = internals.spy_on_products(monkeypatch, numbers)

    def work(seed):
        getattr(kind(random_state=seed), method)(X, y)

    with ThreadPoolExecutor(threads) as pool:
        [*pool.map(work, range(4))]
    work(0)
    assert len(seen) >= 5
    assert {number for some in seen for number in some} == {1}
    assert set(numbers()) == {2}


def test_blas_threads_are_restored_after_an_error(two_blas_threads):
    X, y = rows()
    with pytest.raises(ValueError, match="NaN"):
        MiniBatchSGDRegressor().fit(X, np.where(y > 0, np.nan, y))
    assert set(numbers()) == {2}


@pytest.mark.parametrize("loss", ["squared_epsilon_insensitive", "huber"])
def test_one_pool_for_all_targets_closed_after_the_fit(loss, monkeypatch):
    internals.on_threads(monkeypatch, 2)
    X, Y = rows(20_000, 8, (6,))
    pools, before = internals.count_pools(monkeypatch), threading.active_count()
    model = BatchGDRegressor(loss, epochs=3, tol=None, learning_rate="constant", eta0=0.1).fit(X, Y)
    assert len(pools) == 1
    assert threading.active_count() == before
    internals.on_threads(monkeypatch, 1)
    alone = BatchGDRegressor(loss, epochs=3, tol=None, learning_rate="constant", eta0=0.1).fit(X, Y)
    np.testing.assert_array_equal(model.coef_, alone.coef_)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_statistics_of_many_rows_have_the_same_bits_on_any_number_of_threads(kind, monkeypatch):
    X, y = rows(70_000, 4)
    fitted = []
    for number in (1, 2, 3):
        internals.on_threads(monkeypatch, number)
        fitted.append(kind(epochs=1, random_state=0).fit(X, y).coef_)
    np.testing.assert_array_equal(fitted[0], fitted[1])
    np.testing.assert_array_equal(fitted[0], fitted[2])
