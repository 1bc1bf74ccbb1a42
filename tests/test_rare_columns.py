"""The automatic step on sparse rows of many columns: against the same steps on all columns, and what users see."""

import warnings

import internals
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor
from sklearn_sgd.diagnostics import record_fit

P = 450


def rows(n=300, p=P, seed=0, filled=2):
    """Sparse rows; the first columns are filled, far from 0, in units of their own, and correlated."""
    rng = np.random.default_rng(seed)
    X = sparse.random(n, p, 0.02, "csr", random_state=seed, data_rvs=rng.standard_normal).tolil()
    common = rng.standard_normal(n)
    for j in range(filled):
        X[:, j] = (1e3 * (j + 1) + 10.0**j * (common + 0.1 * rng.standard_normal(n)))[:, None]
    X = sparse.csr_array(X)
    y = X[:, filled:] @ rng.standard_normal(p - filled) + common + 0.1 * rng.standard_normal(n)
    return X, y


def flow(w, time, ridge, lasso):
    """The way of coefficients under an elastic net alone: w' = -(ridge w + lasso sign(w)), up to 0."""
    if np.any(ridge > 0.0):
        offset = lasso / ridge
        return np.sign(w) * np.maximum(0.0, (abs(w) + offset) * np.exp(-ridge * time) - offset)
    return np.sign(w) * np.maximum(0.0, abs(w) - lasso * time)


# Nodes of Gauss and Legendre on (0, 1).
NODES, SHARES = (0.5 + 0.5 * np.polynomial.legendre.leggauss(24)[0], 0.5 * np.polynomial.legendre.leggauss(24)[1])


def followed(a, w, time, pace, ridge, lasso):
    """The average a after a time, where ``a' = pace (w - a)`` and w goes its way, by quadrature up to where it is 0."""
    until = np.full_like(w, time)
    if np.any(lasso > 0.0):
        steep = ridge * abs(w) / lasso
        until = np.minimum(until, np.log1p(steep) / ridge if np.any(ridge > 0.0) else abs(w) / lasso)
    t = until * NODES[:, None]
    gained = SHARES @ (pace * np.exp(pace * (t - time)) * flow(w, t, ridge, lasso)) * until
    return np.exp(-pace * time) * a + gained


def joined(mixes, number):
    """Weights of the average where so many updates, but at most a 16th of all, make one move, in their middle."""
    number, moves = min(int(number), len(mixes) // 16), np.zeros(len(mixes))
    if number < 2:
        return mixes
    moves[0] = mixes[0]  # It is 1.
    for start in range(1, len(mixes), number):
        some = mixes[start : start + number]
        moves[start + len(some) // 2] = 1.0 - np.prod(1.0 - some)
    return moves


def descend(X, y, step, centre, batch, ridge=0.0, lasso=0.0, average=False, weight=None, start=None):
    """The same steps on all columns, centred as they are: squared error, one epoch in the order of the rows."""
    n, p = X.shape
    k, filled, shared = step.preconditioner.inverse, step.preconditioner.filled, step.preconditioner.shared
    s = np.ones(n) if weight is None else weight / weight.mean()
    Z = X.toarray() - centre
    w, b = np.zeros(p), np.average(y, weights=s) if start is None else start
    a, a0 = w.copy(), b
    rate = internals.base_rate(step, batch)
    scales, lengths, pace, until = step.preconditioner.diagonal, [], 0.0, 1
    mixes = 4.0 / (np.arange(1, -(-n // batch) + 1) + 3.0)
    if not (ridge or lasso):
        mixes = joined(mixes, 4.0 * p / (X.nnz / n * batch))
    for t, start in enumerate(range(0, n, batch), 1):
        A, r = Z[start : start + batch], y[start : start + batch]
        u, size = s[start : start + batch], len(r)
        c = u * (A @ w + b - r)
        g, g0 = A.T @ c / size, c.sum() / size
        d = k * g
        d[filled] = shared @ g[filled] if shared.ndim == 2 else shared * g[filled]
        along = A @ d + g0
        length = min(rate * size / batch, (c @ along) / (u * along @ along))
        w, b = w - length * d, b - length * g0
        mix = mixes[t - 1] if average else 1.0
        if t == until and (ridge or lasso):
            pace = -np.log(1.0 - mix) / np.mean(lengths) if mix < 1.0 else np.inf
            until = max(t + 1, int(1.25 * t))
        after = flow(w, length, scales * ridge, scales * lasso)
        if ridge or lasso:
            a = followed(a, w, length, pace, scales * ridge, scales * lasso) if mix < 1.0 else after
        else:
            a = a + mix * (after - a)
        w, a0 = after, a0 + mix * (b - a0)
        lengths.append(length)
    return a, a0 - centre @ a


@pytest.mark.parametrize("batch", [1, 7, 32])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"average": True},
        {"penalty": "l2", "alpha": 0.01},
        {"penalty": "l1", "alpha": 0.003},
        {"penalty": "elasticnet", "alpha": 0.01, "l1_ratio": 0.3},
        {"penalty": "l2", "alpha": 0.01, "average": True},
        {"penalty": "l1", "alpha": 0.003, "average": True},
        {"penalty": "elasticnet", "alpha": 0.01, "l1_ratio": 0.3, "average": True},
    ],
    ids=lambda params: str(list(params.values())),
)
def test_as_steps_on_all_columns(batch, params):
    """To rounding, whatever the penalty is, with weights."""
    X, y = rows()
    coef = as_on_all_columns(X, y, batch, params)
    if params.get("penalty") in ("l1", "elasticnet") and not params.get("average"):
        assert 0 < (coef == 0.0).sum() < P


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("alpha", [0.01, 30.0])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
def test_long_rows_as_steps_on_all_columns(penalty, alpha, average):
    """More entries than are decayed together; and penalties that leave little between two visits, or nothing."""
    X, y = rows(filled=0)
    X = X.tolil()
    X[::30] = np.random.default_rng(2).standard_normal((10, P))
    as_on_all_columns(sparse.csr_array(X), y, 7, {"penalty": penalty, "alpha": alpha, "average": average})


def as_on_all_columns(X, y, batch, params):
    """Check a fit against the steps on all columns, and return its coefficients."""
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    model = MiniBatchSGDRegressor(batch_size=batch, epochs=1, tol=None, shuffle=False, **{"average": False} | params)
    model.fit(X, y, sample_weight=weight)
    state = internals.state_of(model)
    alpha, kind = params.get("alpha", 0.0), params.get("penalty")
    share = {"l1": 1.0, "elasticnet": params.get("l1_ratio", 0.15)}.get(kind, 0.0)
    pull = {"ridge": alpha * (1.0 - share), "lasso": alpha * share}
    average = params.get("average", False)
    # Without a penalty all columns are centred.
    centre = state.centre if kind else np.average(X.toarray(), axis=0, weights=weight)
    coef, intercept = descend(X, y, state.step, centre, batch, **pull, average=average, weight=weight)
    assert_allclose(model.coef_, coef, rtol=1e-9, atol=1e-9 * abs(coef).max())
    assert_allclose(model.intercept_, intercept, rtol=1e-9)
    return model.coef_


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("filled", [0, 2])
@pytest.mark.parametrize("params", [{"average": False}, {"average": True}], ids=str)
def test_shortened_steps_as_on_all_columns(params, filled, dtype):
    """Two batches are copies of a row: with as much curvature in one direction, a step passes the minimum."""
    X, y = rows(320, filled=filled)
    used = np.arange(320)
    used[64:96], used[192:224] = 64, 192
    X, y = sparse.csr_array(X[used].astype(dtype)), y[used].astype(dtype)
    model = MiniBatchSGDRegressor(batch_size=32, epochs=1, tol=None, shuffle=False, **params).fit(X, y)
    state = internals.state_of(model)
    coef, intercept = descend(X, y, state.step, X.toarray().mean(axis=0, dtype=float), 32, **params)
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    assert_allclose(model.coef_, coef, rtol=tolerance, atol=tolerance * abs(coef).max())
    assert_allclose(model.intercept_, intercept, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("filled", [0, 2])
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("optimizer", ["svrg", "saga"])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"penalty": "l2", "alpha": 0.01},
        {"penalty": "l2", "alpha": 1e-9},
        {"learning_rate": "constant", "eta0": 1e-7, "penalty": "l2", "alpha": 0.1},
        {"loss": "huber", "fit_intercept": False},
    ],
    ids=lambda params: str(list(params.values())),
)
@pytest.mark.filterwarnings("ignore:.*worse than the best constant")
def test_reduced_variance_as_on_all_columns(monkeypatch, params, optimizer, batch, filled):
    """What a column misses between two visits is a geometric series."""
    X, y = rows(filled=filled)
    model = MiniBatchSGDRegressor(optimizer=optimizer, batch_size=batch, epochs=2, tol=None, random_state=0, **params)
    here = clone(model).fit(X, y)
    internals.without_lags(monkeypatch)
    there = clone(model).fit(X, y)
    assert_allclose(here.coef_, there.coef_, rtol=1e-9, atol=1e-11 * abs(there.coef_).max())
    assert_allclose(here.intercept_, there.intercept_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("params", [{}, {"penalty": "l2", "alpha": 0.01}, {"penalty": "l1", "alpha": 0.003}], ids=str)
def test_without_machine_code(monkeypatch, params):
    """The descent alone: conjugate steps of a final move would magnify rounding errors."""
    X, y = rows(n=60)
    model = MiniBatchSGDRegressor(batch_size=8, epochs=2, tol=None, average=True, random_state=0, **params)
    found = [model.fit(X, y).coef_]
    internals.without_kernels(monkeypatch)
    found.append(clone(model).fit(X, y).coef_)
    assert_allclose(*found, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_in_pieces(monkeypatch, kind):
    """What waits for the next visit of a column is made up for at the end of each piece."""
    X, y = rows()
    model = kind(penalty="elasticnet", alpha=0.01, epochs=3, tol=None, random_state=0)
    whole = model.fit(X, y).coef_
    internals.in_pieces(monkeypatch, 1, rates=1)
    assert_allclose(clone(model).fit(X, y).coef_, whole, rtol=1e-9, atol=1e-12)
    model.set_params(penalty=None, alpha=0.0001)
    in_pieces = clone(model).fit(X, y).coef_
    monkeypatch.undo()
    assert_allclose(in_pieces, clone(model).fit(X, y).coef_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_units_and_offsets_of_filled_columns_do_not_matter(kind):
    """As ColumnTransformer stacks numbers and one-hot columns; the numbers are as good as scaled before."""
    X, y = rows(n=3000)
    raw = kind(random_state=0).fit(X, y)
    numbers = X[:, :2].toarray()
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    Z = sparse.hstack([sparse.csr_array(scaled), X[:, 2:]]).tocsr()
    assert_allclose(raw.predict(X), kind(random_state=0).fit(Z, y).predict(Z), rtol=1e-5, atol=1e-5)
    # Alone they give what least squares give: their correlation of 0.995 does not matter either.
    rest = y - X[:, 2:] @ raw.coef_[2:]
    assert raw.score(X, y) > 0.9
    exact = LinearRegression().fit(numbers, rest).score(numbers, rest)
    assert 1.0 - np.var(rest - numbers @ raw.coef_[:2]) / np.var(rest) > exact - 0.05


def power_law(n, p, k, seed=0):
    """Rows of k words, whose frequencies follow a power law."""
    rng = np.random.default_rng(seed)
    columns = np.sort((p * rng.power(0.3, (n, k))).astype(np.int32) % p, axis=1).ravel()
    X = sparse.csr_array(
        (rng.uniform(0.5, 1.5, n * k), columns, np.arange(0, n * k + 1, k, dtype=np.int32)), shape=(n, p)
    )
    X.sum_duplicates()
    return X, X @ rng.standard_normal(p) + rng.standard_normal(n)


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize("n", [1000, 12_000])
def test_defaults_generalise(kind, n):
    """New rows are predicted nearly as well as by the best ridge regression, and no worse than by SGDRegressor."""
    X, y = power_law(n + 2000, 4000, 20)
    train, test = slice(0, n), slice(n, None)
    model = kind(random_state=0).fit(X[train], y[train])
    assert model.stop_reason_ == "tol"
    found = model.score(X[test], y[test])
    best = max(Ridge(alpha).fit(X[train], y[train]).score(X[test], y[test]) for alpha in (0.1, 1.0, 10.0))
    assert found > best - 0.03
    assert found > SGDRegressor(random_state=0).fit(X[train], y[train]).score(X[test], y[test]) - 0.025


@pytest.mark.parametrize("kind", [BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize(
    ("loss", "n", "params"),
    [
        ("squared_error", 10_500, {}),
        ("huber", 2000, {"epsilon": 1.0}),
        ("logcosh", 2000, {}),
        ("expectile", 2000, {"quantile": 0.6}),
    ],
)
def test_noise_and_more_columns_than_rows(loss, n, params, kind):
    """Fits learned all of the noise there, in 100 epochs."""
    X, _ = power_law(n + 2000, 3 * n, 10)
    generator = np.random.default_rng(1)
    X.data *= generator.choice([-1.0, 1.0], X.nnz)
    y = generator.standard_normal(n + 2000)
    model = kind(loss, random_state=0, **params)
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(X[:n], y[:n])
    assert model.score(X[n:], y[n:]) > -0.05
    assert model.n_iter_ <= 8
    # In one case the first epoch is better by chance.
    assert bool(model.coef_.any()) is not bool(given)
    assert not given or "left out" in str(given[0].message)


@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
@pytest.mark.parametrize("call", ["fit", "partial_fit"])
def test_an_average_that_has_not_begun(kind, call):
    """The last parameters predict until then."""
    X, y = power_law(3200, 1500, 20)
    last, waiting = (
        getattr(kind(average=average, epochs=2, tol=None, random_state=0), call)(X, y) for average in (False, 10**6)
    )
    assert_allclose(waiting.coef_, last.coef_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize("kind", [MiniBatchSGDRegressor, OnlineSGDRegressor])
def test_averages_do_not_depend_on_pieces(kind, loss):
    """One batch in each, where a fit is recorded, and others with several targets."""
    X, z = power_law(3200, 1500, 20)
    Y = np.c_[z, z[::-1]]
    params = {"epochs": 3, "tol": None, "random_state": 0}
    model, both = (kind(loss, **params).fit(X, targets) for targets in (z, Y))
    recorded = record_fit(kind(loss, **params), X, z).model
    assert_allclose(recorded.coef_, model.coef_, rtol=1e-6, atol=1e-7)
    assert_allclose(both.coef_[0], model.coef_, rtol=1e-6, atol=1e-7)
    streams = (kind(loss, random_state=0).partial_fit(X, targets) for targets in (z, Y))
    assert_allclose(next(streams).coef_, next(streams).coef_[0], rtol=1e-6, atol=1e-7)


def test_a_penalised_stream_after_full_batches():
    """Its average follows other samples, though full batches have made much longer steps."""
    rng = np.random.default_rng(0)
    X = sparse.random(6000, 600, 0.02, "csr", random_state=0)
    w, noise = rng.standard_normal(600), 0.1 * rng.standard_normal(6000)
    model = BatchGDRegressor(penalty="l2", alpha=1e-4).fit(X[:1000], (X @ w + noise)[:1000])
    for start in range(1000, 6000, 50):
        model.partial_fit(X[start : start + 50], (noise - X @ w)[start : start + 50])
    assert model.score(X, noise - X @ w) > -0.4


def test_columns_that_are_new_to_a_stream_are_learned_at_once():
    X, y = rows(n=400, filled=0)
    late, before = 7, X.tolil()
    before[:, [late]] = 0.0
    model = MiniBatchSGDRegressor()
    model.partial_fit(before.tocsr(), y)
    assert model.coef_[late] == 0.0
    Z = X[:40].tolil()
    Z[:, [late]] = 1.0
    model.partial_fit(Z.tocsr(), y[:40] + 5.0)
    assert model.coef_[late] > 0.05


@covering(
    {
        "loss": ["squared_error", "huber", "poisson", "quantile"],
        "dtype": [np.float64, np.float32],
        "kind": [MiniBatchSGDRegressor, OnlineSGDRegressor],
    },
    strength=2,
)
def test_streams_and_fits_of_all_losses(loss, dtype, kind):
    """Better than the best constant, in fits and in streams, in both precisions, of one target and of two."""
    X, z = power_law(3000, 1000, 10)
    y = np.random.default_rng(0).poisson(np.exp(np.clip(z - z.mean(), -3, 2)))
    baseline = MiniBatchSGDRegressor(loss).fit(np.zeros((3000, 1)), y).loss_curve_[-1]
    X, targets = X.astype(dtype), np.c_[y, y[::-1]].astype(dtype)
    model = kind(loss, random_state=0).fit(X, targets[:, 0])
    assert model.coef_.dtype == dtype
    assert model.loss_curve_[-1] < 0.95 * baseline
    both = kind(loss, random_state=0, epochs=2, tol=None).fit(X, targets)
    assert_allclose(both.coef_[0], both.set_params().fit(X, targets[:, 0]).coef_, rtol=1e-3, atol=1e-4)
    stream = kind(loss)
    for start in range(0, 3000, 300):
        stream.partial_fit(X[start : start + 300], targets[start : start + 300, 0])
    assert stream.recent_loss_ < 0.98 * baseline


@pytest.mark.parametrize("params", [{}, {"penalty": "l1", "alpha": 0.01}], ids=str)
def test_a_chunk_is_learned_alike_whatever_its_batches_are(params):
    """A chunk of one batch goes the same way as a chunk of several."""
    X, y = rows(n=64)
    alpha = params.get("alpha", 0.0)
    for batch in (32, 64):
        model = MiniBatchSGDRegressor(batch_size=batch, average=False, **params).partial_fit(X, y)
        state = internals.state_of(model)
        start = np.mean(y[:batch])
        centre = state.centre if alpha else state.statistics.mean
        coef, intercept = descend(X, y, state.step, centre, batch, lasso=alpha, start=start)
        assert_allclose(model.coef_, coef, rtol=1e-9, atol=1e-12)
        assert model.intercept_ == pytest.approx(intercept, rel=1e-9)


def test_the_users_matrix_is_not_changed():
    X, y = rows()
    parts = [part.copy() for part in (X.data, X.indices, X.indptr)]
    MiniBatchSGDRegressor(penalty="l1", alpha=0.1, tol=None, epochs=2).fit(X, y)
    for part, kept in zip((X.data, X.indices, X.indptr), parts, strict=True):
        assert_array_equal(part, kept)


@pytest.mark.parametrize(("offset", "size"), [(0.0, 10), (1e5, 100), (1e9, 1), (1e9, 10), (1e9, 100)])
def test_offsets_in_streams(offset, size):
    """A column far from 0 is learned like one near it, whatever the chunks are."""
    n = 1000
    X, y = rows(n=n, filled=0)
    common = np.random.default_rng(5).standard_normal(n)
    Z, target = sparse.hstack([sparse.csr_array((offset + common)[:, None]), X]).tocsr(), y + 2.0 * common
    model = OnlineSGDRegressor()
    for start in range(0, n, size):
        model.partial_fit(Z[start : start + size], target[start : start + size])
    assert model.score(Z, target) > 0.5
    assert_allclose(model.coef_[0], 2.0, atol=0.5)
    assert_allclose(internals.state_of(model).statistics.variance[0], common.var(), rtol=1e-5)


@pytest.mark.parametrize("loss", ["squared_error", "huber"])
@pytest.mark.parametrize(("far", "size"), [(None, 1), (1e10, 1), (None, 100), (1e3, 100), (1e100, 100)])
def test_first_and_far_entries_of_a_stream(loss, far, size):
    """The scale of a column is a guess from its first entry, or too small for a later one: no stream is thrown off."""
    X, y = rows(n=1000, filled=0)
    Z = X.copy()
    if far is not None:
        Z.data[Z.indptr[500]] = far
    model = OnlineSGDRegressor(loss)
    for start in range(0, 1000, size):
        model.partial_fit(Z[start : start + size], y[start : start + size])
    assert model.score(X, y) > 0.3
    assert model.recent_loss_ < np.var(y)


@pytest.mark.parametrize("settings", [{}, {"loss": "huber"}, {"optimizer": "svrg"}], ids=repr)
@pytest.mark.parametrize("is_dense", [False, True])
def test_rows_of_weight_0_do_not_shape_the_step(is_dense, settings):
    """Outliers that are masked by weights have no effect, as in a fit without them."""
    X, y = rows(n=300, filled=0 if is_dense else 2)
    X = X.toarray() if is_dense else X
    weight = np.where(np.arange(300) % 3, 1.0, 0.0)
    far = np.where(weight, 1.0, 1e6)[:, None] * X if is_dense else sparse.diags_array(np.where(weight, 1.0, 1e6)) @ X
    model = MiniBatchSGDRegressor(**settings, batch_size=8, shuffle=False, tol=None, epochs=3)
    without = clone(model).fit(X[weight > 0], y[weight > 0])
    model.fit(far, y, weight)
    assert_allclose(model.coef_, without.coef_, rtol=1e-9, atol=1e-12)


def test_light_rows_shape_the_step_by_their_weight():
    X, y = rows(n=300)
    weight = np.where(np.arange(300) % 3, 1.0, 1e-12)
    far = sparse.diags_array(np.where(np.arange(300) % 3, 1.0, 1e3)) @ X
    model = MiniBatchSGDRegressor(random_state=0).fit(far, y, weight)
    assert model.score(X[weight == 1.0], y[weight == 1.0]) > 0.9


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_light_rows_of_tensors_shape_the_step_by_their_weight(dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    X, weight = rng.standard_normal((900, 420)), np.where(np.arange(900) % 3, 1.0, 1e-12)
    y = X[:, :5].sum(axis=1) + rng.standard_normal(900)
    X[weight < 1.0] *= 1e3
    with sklearn.config_context(array_api_dispatch=True):
        model = MiniBatchSGDRegressor("huber", epochs=8, tol=None, average=True, batch_size=100)
        model.fit(*(torch.asarray(values.astype(dtype)) for values in (X, y, weight)))
        assert model.score(*(torch.asarray(values[weight == 1.0].astype(dtype)) for values in (X, y))) > 0.8
