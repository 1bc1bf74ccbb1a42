"""Machine code computes what the formulas and the drivers say as plain Python."""

import inspect
import sys
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from internals import used
from numpy.testing import assert_allclose
from problems import csr, holey, linear, some_weights, theta
from scipy.sparse import csr_matrix

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, losses, optimizers, penalties
from sklearn_sgd._engine.compiled import emit, functions, machine, store, translate
from sklearn_sgd._engine.compiled.drivers import batch, layouts, loops, online, primitives, vectors
from sklearn_sgd._engine.expressions import UFUNCS, Expression, Untraceable, program, symbols, variable
from sklearn_sgd._engine.resolve import Parts
from sklearn_sgd._engine.traits import Formulas

pytest.importorskip("llvmlite")

DTYPES = [np.dtype("float64"), np.dtype("float32")]
TOLERANCE = {"float64": 1e-12, "float32": 3e-5}


def call(address, arrays, n, numbers=(), scalars=()):
    """Call a compiled function; the sums that it adds to, and what it returns."""
    import ctypes

    sums, given = np.zeros(2), np.array(numbers, dtype=float)
    pointers = [given.ctypes.data, sums.ctypes.data]
    kinds = (
        [ctypes.c_void_p] * 2 + [ctypes.c_int64] + [ctypes.c_void_p] * len(arrays) + [ctypes.c_double] * len(scalars)
    )
    function = ctypes.CFUNCTYPE(ctypes.c_double, *kinds)(address)
    return sums, function(*pointers, n, *(a.ctypes.data for a in arrays), *scalars)


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-30, -1e30, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_functions_of_formulas_are_those_of_numpy(ufunc, dtype):
    """On numbers of all kinds, those that are not finite included."""
    x, y = (np.array(a, dtype=dtype).ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
    arguments = [variable("x"), variable("y")][: ufunc.nin]
    logical = ufunc in (np.logical_and, np.logical_or, np.logical_not, np.bitwise_and, np.bitwise_or, np.invert)
    if logical:
        arguments = [a > 0.0 for a in arguments]
    kernel = emit.Kernel(program(ufunc(*arguments)), 0, ("x", "y", "out"), (), ("out",))
    out = np.zeros_like(x)
    call(emit.compile_kernels("test", {"f": kernel}, dtype)["f"], [x, y, out], len(x))
    given = [x > 0, y > 0] if logical else [x, y]
    with np.errstate(all="ignore"):
        expected = ufunc(*given[: ufunc.nin]).astype(dtype)
    assert_allclose(out, expected, rtol=1e-14 if dtype == np.float64 else 1e-6)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("loss", losses.LOSSES)
def test_losses(loss, dtype):
    rng = np.random.default_rng(0)
    y, z, s = (rng.normal(size=203).astype(dtype) for _ in range(3))
    y, s, part = np.exp(y), np.abs(s), losses.LOSSES[loss]()
    compiled = functions.compiled_functions(Formulas(Parts(part, penalties.NoPenalty(), optimizers.SGD())), dtype)
    slope, c = part.gradient(y, z), np.zeros_like(y)
    expected = np.sum(s * part.value(y, z), dtype=float), np.sum(s * slope * slope, dtype=float)
    sums, _ = call(compiled.block, [y, z, s, c], len(y), compiled.loss_numbers)
    tolerance = TOLERANCE[dtype.name]
    assert_allclose(sums, expected, rtol=tolerance)
    assert_allclose(c, s * slope, rtol=tolerance, atol=tolerance)
    c[:] = 0
    call(compiled.slopes, [y, z, s, c], len(y), compiled.loss_numbers)
    assert_allclose(c, s * slope, rtol=tolerance, atol=tolerance)
    sums, returned = call(compiled.row, [], 1, compiled.loss_numbers, (y[0], z[0], s[0]))
    assert_allclose(returned, c[0], rtol=tolerance)
    assert_allclose(sums[0], s[0] * part.value(y[0], z[0]), rtol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("optimizer", optimizers.OPTIMIZERS)
def test_optimizers(optimizer, dtype):
    rng = np.random.default_rng(0)
    part = optimizers.OPTIMIZERS[optimizer]()
    g, pull, w, m, v, h = (rng.normal(size=37).astype(dtype) for _ in range(6))
    m, v = np.abs(m), np.abs(v)
    parts = Parts(losses.SquaredError(), penalties.NoPenalty(), part)
    compiled, plain = functions.compiled_functions(Formulas(parts), dtype), [a.copy() for a in (g, pull, w, m, v, h)]
    call(compiled.update, [g, pull, w, m, v, h], 37, compiled.optimizer_numbers, (0.1, 3.0))
    functions.python_functions(parts, Formulas(parts)).update(None, None, 37, *plain, dtype.type(0.1), 3)
    for ours, theirs in zip((w, m, v, h), plain[2:], strict=True):
        assert_allclose(ours, theirs, rtol=TOLERANCE[dtype.name], atol=TOLERANCE[dtype.name])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("penalty", [
    penalties.L2(0.3), penalties.L1(0.3), penalties.ElasticNet(0.5, 0.4), penalties.Positive(penalties.L1(0.2)),
    penalties.Box(np.linspace(-1, 0, 37), np.linspace(0, 1, 37), penalties.ElasticNet(0.5, 0.4)),
], ids=lambda part: type(part).__name__)  # fmt: skip
def test_penalties(penalty, dtype):
    rng = np.random.default_rng(0)
    w, h, out = rng.normal(size=37).astype(dtype), rng.uniform(size=37).astype(dtype), np.zeros(37, dtype)
    formulas = Formulas(Parts(losses.SquaredError(), penalty, optimizers.SGD()))
    compiled, tolerance = functions.compiled_functions(formulas, dtype), TOLERANCE[dtype.name]
    if compiled.pull:
        call(compiled.pull, [w, out], 37, compiled.penalty_numbers)
    assert_allclose(out, penalty.gradient(w) * np.ones(37), rtol=tolerance)
    expected = penalty.prox(w, h, ...)
    if compiled.prox:
        call(compiled.prox, [w, h], 37, compiled.penalty_numbers)
    assert_allclose(w, expected, rtol=tolerance, atol=tolerance)


# One fit for each driver, and what else its code branches on.
FITS = {
    "minibatch": {"batch_size": 7, "learning_rate": "constant", "optimizer": "adam", "penalty": "elasticnet"},
    "minibatch, bounds": {"batch_size": 7, "learning_rate": "constant", "penalty": penalties.Box(-1.0, 2.0)},
    "automatic": {"batch_size": 7, "penalty": "l2", "alpha": 0.1},
    "automatic, diagonal": {"batch_size": 7, "penalty": "l1", "alpha": 0.1},
    "automatic, robust": {"batch_size": 7, "loss": "huber"},
    "online_automatic": {"batch_size": 1},
    "online_automatic, robust": {"batch_size": 1, "loss": "huber"},
    "online": {"batch_size": 1, "learning_rate": "constant"},
    "online, lasso": {"batch_size": 1, "learning_rate": "constant", "penalty": "elasticnet", "average": 5},
    "lazy_minibatch": {
        "batch_size": 7,
        "learning_rate": "constant",
        "penalty": "elasticnet",
        "alpha": 0.5,
        "average": 5,
    },
    "lazy_minibatch, lasso": {"batch_size": 1, "learning_rate": "constant", "penalty": "l1", "alpha": 0.5},
    "lazy_optimizer": {"batch_size": 7, "learning_rate": "constant", "optimizer": "rmsprop"},
    "variance_reduced": {"batch_size": 7, "optimizer": "saga", "penalty": "l1", "alpha": 0.1},
    "variance_reduced, full": {"batch_size": 7, "optimizer": "svrg", "penalty": "l2"},
    "passive_aggressive": {"batch_size": 1, "learning_rate": "pa1", "loss": "epsilon_insensitive", "penalty": "l2"},
}


@pytest.mark.filterwarnings("ignore:.*worse than the best constant")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("form", [np.asarray, csr, lambda X: csr(X, np.int64)], ids=["dense", "csr", "csr64"])
@pytest.mark.parametrize("fit", FITS)
def test_drivers(monkeypatch, fit, form, dtype, weighted):
    """The same coefficients, losses and counts; plain Python computes no differently but in the order of sums."""
    X, y = holey(n=40)
    X, y = form(X.astype(dtype)), y.astype(dtype)
    weight = some_weights(40) if weighted else None
    params = used(**{"epochs": 2, "tol": None, "eta0": 0.05, "random_state": 0} | FITS[fit])
    compiled = MiniBatchSGDRegressor(**params).fit(X, y, weight)
    monkeypatch.setenv("SKLEARN_SGD_DISABLE_JIT", "1")
    before = store.compilations
    plain = MiniBatchSGDRegressor(**params).fit(X, y, weight)
    assert store.compilations == before
    tolerance = TOLERANCE[dtype.name] * 10
    assert_allclose(theta(compiled), theta(plain), rtol=tolerance, atol=tolerance)
    assert_allclose(compiled.loss_curve_, plain.loss_curve_, rtol=tolerance)


@pytest.mark.filterwarnings("ignore:.*worse than the best constant")
@pytest.mark.parametrize("form", [np.asarray, csr], ids=["dense", "csr"])
@pytest.mark.parametrize("params", [{}, {"learning_rate": "constant"}], ids=["auto", "constant"])
def test_full_batch_driver(monkeypatch, form, params):
    X, y = linear(n=9000, p=5)
    params = {"loss": "huber", "epochs": 2, "tol": None} | params
    compiled = BatchGDRegressor(**params).fit(form(X), y)
    monkeypatch.setenv("SKLEARN_SGD_DISABLE_JIT", "1")
    assert_allclose(theta(compiled), theta(BatchGDRegressor(**params).fit(form(X), y)), rtol=1e-10)


N, P, K = 11, 3, 4
RNG = np.random.default_rng(0)
ROWS, SQUARE, NARROW, SHORT = (RNG.uniform(0.5, 1.5, size) for size in (K * N, K * K, P * N, K))
LONG = [RNG.uniform(0.5, 1.5, N) for _ in range(4)]
SYMMETRIC = SQUARE.reshape(K, K) @ SQUARE.reshape(K, K).T

# Arguments of the operations that drivers call; the numbers are sizes of their results.
OPERATIONS = {
    "predict": (NARROW, N, P, K, LONG[0], SHORT, N),
    "gather": (NARROW, N, P, K, LONG[1], LONG[0], K),
    "project": (ROWS, K, N, LONG[0], K),
    "dot": (N, *LONG[:2]),
    "multiply": (N, *LONG[:2], N),
    "add_multiple": (N, LONG[0], 0.7, LONG[1], N),
    "differ": (N, *LONG, N),
    "scale_symmetric": (K, SQUARE - 2.0 * np.eye(1, K * K, K + 1)[0], SHORT, 1e-3, K, K * K),
    "solve_symmetric": (K, SYMMETRIC.ravel(), SHORT, K * K, K),
    "weighted_products": (NARROW, N, P, K, LONG[2], *LONG[:2], SHORT, 10 * loops.BLOCK, K * K, K * K, N, K),
    "log_sizes": (N, *LONG[:3]),
    "bumps": (N, *LONG[:2], 2, np.array([0.1, 0.3, 2.0, -0.2, 0.1, 5.0]), N),
    "sum_of_ratios": (N, *LONG[:3]),
    "count_above": (N, *LONG[:2], 1.0),
    "scale_rows": (NARROW, P, np.array([3, 1, 0, 2]), 1, 4, 4, 2, LONG[0], 1, SHORT[:P], SHORT[1:], 3 * P, 3 * P),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_loops_do_what_numpy_does(name):
    """In plain Python operations on vectors are NumPy's; machine code has loops, which plain Python runs, too."""
    given = OPERATIONS[name]
    whole = inspect.signature(getattr(vectors, name)).parameters
    numbers = {"n", "p", "k", "number", "length", "ridge", "least", "start", "stop", "ahead", "weighted"}
    results = {place for place, (key, value) in enumerate(zip(whole, given, strict=True)) if type(value) is int}
    results -= {place for place, key in enumerate(whole) if key in numbers}
    both = []
    for module in (vectors, loops):
        arguments = [np.full(value, np.nan) if place in results else value for place, value in enumerate(given)]
        returned = getattr(module, name)(*arguments)
        both.append([arguments[place] for place in results if [*whole][place] != "work"] + [returned])
    for ours, theirs in zip(*both, strict=True):
        assert ours is theirs is None or np.all(np.isfinite(ours))
        assert ours is None or assert_allclose(theirs, ours, rtol=1e-12) is None


@pytest.mark.parametrize("module", [vectors, loops])
@pytest.mark.parametrize("wrong", [-1.0, np.nan])
def test_only_positive_definite_equations_are_solved(module, wrong):
    A, b, out = SYMMETRIC + np.diag([0.0, 0.0, 0.0, 1.0]), SHORT.copy(), np.full(K, np.nan)
    assert module.solve_symmetric(K, A.ravel(), b, np.empty(K * K), out) == 1.0
    assert_allclose(out, np.linalg.solve(A, b), rtol=1e-10)
    A[-1, -1] = wrong
    assert module.solve_symmetric(K, A.ravel(), b, np.empty(K * K), out) == 0.0


def test_memory_from_a_cache_line():
    for start in range(9):
        memory = machine.from_line(np.empty(40)[start:])
        assert memory.ctypes.data % 64 == 0
        assert len(memory) > 40 - start - 8


def test_all_operations_have_loops():
    assert set(OPERATIONS) == {name for name, value in vars(vectors).items() if inspect.isfunction(value)}


@pytest.mark.parametrize("driver", [machine.CompiledDriver, machine.PlainDriver])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_moments_are_added(dtype, driver):
    """They are those of all rows. The intercepts move with the means, unless a column varies more than before."""
    rng = np.random.default_rng(0)
    rows, more = rng.standard_normal((20, 4)) + 3.0, rng.standard_normal((7, 4))
    w, average = rng.standard_normal(4).astype(dtype), rng.standard_normal(4)
    add = driver("add_moments", "dense", {"real": dtype})

    def added(new, most, gain=9.0, **of_row):
        moments = [a for X in (rows, new) for a in (X.mean(axis=0), np.cov(X.T, bias=True) * len(X))]
        numbers = {"k": 4, "p": 3, "weight": 20.0, "total": 20.0 + len(new), "gain": gain, "most": np.full(3, most)}
        numbers |= {"single": 0, "x": 0, "y": 0}
        arrays = dict(
            zip(("mean", "moment", "new_mean", "new_moment"), map(np.ascontiguousarray, moments), strict=True)
        )
        results = {"merged_mean": np.empty(4), "merged_moment": np.empty(16)}
        results |= {"w": w.copy(), "average": average.copy()}
        return add(numbers | arrays | of_row | results), results

    whole = np.concatenate((rows, more))
    widened, results = added(more, 100.0)
    assert widened == 0.0
    assert_allclose(results["merged_mean"], whole.mean(axis=0))
    assert_allclose(results["merged_moment"].reshape(4, 4), np.cov(whole.T, bias=True) * 27)
    # A single row may be passed as it is.
    of_row = {"single": 1, "x": more[0, :3].astype(dtype), "y": more[0, 3:].astype(dtype)}
    assert_allclose(
        added(more[:1], 100.0, **of_row)[1]["merged_moment"],
        added(more[:1], 100.0)[1]["merged_moment"],
        rtol=TOLERANCE[dtype.name],
    )
    move = (whole.mean(axis=0) - rows.mean(axis=0))[:3]
    for moved, before in ((results["w"], w), (results["average"], average)):
        assert_allclose(moved, np.append(before[:3], before[3] + move @ before[:3]), rtol=TOLERANCE[dtype.name])
    spread = whole.var(axis=0)[:3]
    for new, most, gain, number in (
        (more, 1.01 * np.median(spread), 9.0, 1),
        (more, 100.0, 0.05, 3),
        (np.full_like(more, np.nan), 100.0, 9.0, 3),
    ):
        widened, results = added(new, most, gain)
        assert widened == number
        assert_allclose(results["w"], w)
        assert_allclose(results["average"], average)


def test_arrays_of_the_wrong_type_are_refused():
    """An address says nothing of what lies there."""
    driver = machine.CompiledDriver("permute", "dense", {"real": np.float64, "rows": np.uint32})
    right = {"order": np.arange(4, dtype=np.uint32), "start": 1, "draws": np.zeros(3), "n": 3}
    driver(right)
    for name, wrong in {"order": np.arange(4), "draws": np.zeros(6)[::2]}.items():
        with pytest.raises(TypeError, match="contiguous"):
            driver(right | {name: wrong})


def test_the_address_is_that_of_the_entries():
    for array in (np.zeros(3), np.zeros((2, 3))[1:], np.frombuffer(b"12345678", dtype=np.uint8)):
        assert machine.address_of(array, array.dtype) == array.ctypes.data


class Clamped(NamedTuple):
    """A formula that uses what formulas may use."""

    low: float = -1.0
    sharp: bool = True

    def value(self, y, p):
        r = np.where(p - y > self.low, p - y, self.low)
        return (np.maximum(r, 0.0) ** 2 + np.clip(-r, 0.0, None) ** 2) / 2.0

    def gradient(self, y, p):
        factor = 1.0 if self.sharp else 0.5
        return factor * np.where(p - y > self.low, p - y, self.low)


@pytest.mark.filterwarnings("ignore:.*worse than the best constant")
def test_a_formula_of_many_functions():
    """A class that is no named tuple runs on arrays."""
    assert Formulas(Parts(Clamped(), penalties.NoPenalty(), optimizers.SGD())).refusal is None
    on_arrays = SimpleNamespace(value=Clamped().value, gradient=Clamped().gradient)
    params = {"learning_rate": "constant", "epochs": 2, "random_state": 0}
    compiled, expected = (MiniBatchSGDRegressor(loss, **params).fit(*linear()) for loss in (Clamped(), on_arrays))
    assert_allclose(theta(compiled), theta(expected), rtol=1e-10)


def _growing(x, total):
    if x > 0.5:
        total = total + x
    return total


def _sums_of_large(n: primitives.Integer, numbers: primitives.Doubles, sums: primitives.Doubles) -> primitives.Double:
    for k in range(n):
        sums[k] = _growing(numbers[k], sums[k])
    return 0.0


def test_an_argument_may_change_in_one_branch(monkeypatch):
    """Where another branch does not assign it, it keeps its value."""
    translate.remember(sys.modules[__name__])
    monkeypatch.setitem(machine.BUILDERS, "sums", lambda layout: _sums_of_large)
    numbers, sums = np.array([0.25, 0.75, 0.5, 1.0]), np.arange(4.0)
    machine.CompiledDriver("sums", "dense", {"real": np.dtype(float)})({"n": 4, "numbers": numbers, "sums": sums})
    assert sums.tolist() == [0.0, 1.75, 2.0, 4.0]


@pytest.mark.parametrize(("formula", "reason"), [
    (lambda y, p: p - y if p > y else y - p, "branches"),
    (lambda y, p: __import__("math").exp(p - y), "math"),
    (lambda y, p: np.einsum("...,...->...", p, y), "einsum"),
    (lambda y, p: __import__("scipy.special", fromlist=["huber"]).huber(1.0, p - y), "numpy"),
    (lambda y, p: np.add.reduce([p, y]), ""),
])  # fmt: skip
def test_a_formula_that_cannot_be_read_has_a_reason(formula, reason):
    class Own(NamedTuple):
        width: float = 1.0

        def value(self, y, p):
            return formula(y, p)

        def gradient(self, y, p):
            return p - y

    refusal = Formulas(Parts(Own(), penalties.NoPenalty(), optimizers.SGD())).refusal
    assert refusal
    assert reason in refusal.lower()


def test_numbers_are_data():
    """Other numbers are the same program; a branch on a number is another one, if it leads elsewhere."""

    def key(part):
        y, p = variable("y"), variable("p")
        return program(symbols(part).part.value(y, p), symbols(part).part.gradient(y, p))

    assert key(losses.Huber(1.0)) == key(losses.Huber(1.35))
    assert key(losses.Tweedie(1.5)) == key(losses.Tweedie(1.6))
    assert key(losses.Tweedie(1.5)) != key(losses.Tweedie(2.0))
    assert key(losses.Huber(1.0)) != key(losses.LogCosh(1.0))


def test_an_expression_is_no_number():
    x = variable("x")
    for function in (float, int, bool, np.asarray):
        with pytest.raises(Untraceable):
            function(x)
    assert bool(Expression("number", 0, value=1.0) > 0.5)


EXTREME = {"float64": (-np.inf, np.inf), "float32": (-1e30, 1e30)}

RANGES = {
    "exp": (-700.0, 709.0),
    "expm1": (-40.0, 40.0),
    "log": (0.01, 100.0),
    "log1p": (-0.99, 10.0),
    "tanh": (-25.0, 25.0),
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", RANGES)
def test_elementary_functions_are_right_to_the_last_digits(name, dtype):
    """Against NumPy's in extended precision, over their range, near 0, and where numbers are very large or small."""
    rng, ufunc, extreme = np.random.default_rng(0), getattr(np, name), [1e-310, 1e300, 709.78, -745.0, -800.0, 800.0]
    least, most = np.clip(RANGES[name], -80.0, 80.0) if dtype == np.float32 else RANGES[name]
    near = rng.choice([-1.0, 1.0], 1000) * 10.0 ** rng.uniform(-20, -1, 1000) + (1.0 if name == "log" else 0.0)
    x = np.concatenate((rng.uniform(least, most, 10_000), near, np.clip(extreme, *EXTREME[dtype.name]))).astype(dtype)
    kernel = emit.Kernel(program(ufunc(variable("x"))), 0, ("x", "out"), (), ("out",))
    out = np.empty_like(x)
    call(emit.compile_kernels("one", {"f": kernel}, dtype)["f"], (x, out), len(x))
    with np.errstate(all="ignore"):
        exact = ufunc(x.astype(np.longdouble)).astype(dtype)
    # What is below the smallest normal number may be 0.
    assert_allclose(out, exact, rtol=3 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


def requested(monkeypatch):
    """A list of the entries that drivers prefetch in plain Python."""
    entries: list[int] = []
    monkeypatch.setattr(layouts, "prefetch", lambda array, j: entries.append(j))
    return entries


def are_whole(offsets, p):
    """Whether these entries of a row are in all cache lines of it, wherever the lines begin."""
    offsets = sorted(set(offsets))
    return offsets[0] == 0 and offsets[-1] == p - 1 and np.diff(offsets).max() <= layouts.LINE


@pytest.mark.parametrize("p", [10, 63, 64, 100, 300])
def test_shuffled_rows_are_prefetched_whole_and_long_ones_eight_at_a_time(monkeypatch, p):
    """All that is read after the first rows was requested before; memory delivers rows faster side by side."""
    n, ahead, entries, starts = 64, 4, requested(monkeypatch), []

    def slope(numbers, sums, size, y, z, weight):
        starts.append(len(entries))
        return 0.0

    order, nothing = np.random.default_rng(0).permutation(n), np.zeros(0)
    online.online(
        np.zeros(n * p), nothing, nothing, nothing, 0, 1.0, p, np.zeros(n), nothing, 0, order, n, ahead,
        np.ones(n), nothing, 0, np.zeros(p + 1), nothing, slope, nothing, 0.0, 0.0, np.zeros(2),
    )  # fmt: skip
    steps = np.searchsorted(starts, np.arange(len(entries)), side="right") - 1
    rows, offsets = np.divmod(entries, p)
    for k in range(16, n - 16):
        assert are_whole(offsets[(rows == order[k]) & (steps < k - 1)], p)
        assert len(set(rows[steps == k])) == (1 if p < 64 else 8)


@pytest.mark.parametrize(("p", "beside"), [(10, 2), (63, 2), (64, 4), (300, 4)])
def test_rows_of_batches_are_prefetched_whole_in_halves(monkeypatch, p, beside):
    n, ahead, entries = 16, 4, requested(monkeypatch)
    rows, order = (np.zeros(n * p), None, None, np.zeros(p), 0, 1.0, p), np.random.default_rng(0).permutation(n)
    layouts.dense_predict(rows, order, 0, 4, ahead, n - 1, np.zeros(p + 1), np.zeros(4))
    assert len({entry // p for entry in entries}) == beside
    layouts.dense_collect(rows, order, 0, 4, ahead, n - 1, np.zeros(4), np.zeros(p + 1))
    for row in order[4:8]:
        assert are_whole([entry % p for entry in entries if entry // p == row], p)


@pytest.mark.parametrize(("p", "number"), [(64, 4), (512, 4), (2048, 1)])
def test_sums_over_sparse_columns_cost_no_more_than_the_entries(p, number):
    """Each sum of many rows that is added to the gradient reads all columns: a few entries are not worth it."""
    n, in_a_row, sums = 1024, 2, np.zeros(2)
    rng = np.random.default_rng(0)
    X = csr_matrix((rng.normal(size=2 * n), rng.integers(0, p, 2 * n), np.arange(0, 2 * n + 1, in_a_row)), shape=(n, p))
    w, y, g, z, c, s, targets = rng.normal(size=p + 1), *(np.zeros(k) for k in (n, p + 1, n, n, n, n))
    added = []

    def slopes(numbers, sums, size, y, z, s, c):
        c[:size] = z[:size]

    layout = SimpleNamespace(**vars(layouts.LAYOUTS["csr"]) | {"centre": lambda rows, part: added.append(1)})
    rows = X.data, X.indices, X.indptr, np.zeros(p), 0, 1.0, p
    known, reading, scratch = (y, y, 0), (np.arange(n), n, 8, 4), (z, targets, s, c, np.zeros(p + 1))
    batch.build_accumulate(layout)(rows, known, reading, 0, n, w, scratch, g, (slopes, None), sums)
    assert len(added) == number
    predictions = X @ w[:-1] + w[-1]
    assert_allclose(g, np.append(X.T @ predictions, predictions.sum()), rtol=1e-12, atol=1e-12)
