"""Every schedule: shape, sign, known values; and when the estimators ask for rates."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import covering, linear

from sklearn_sgd import MiniBatchSGDRegressor, OnlineSGDRegressor, schedules
from sklearn_sgd.losses import LOSSES, SquaredError
from sklearn_sgd.schedules import constant, cosine, exponential, invscaling, one_cycle, optimal, step, warm_up

SCHEDULES = {"optimal": optimal(0.01, SquaredError()), "warm_up": warm_up(constant(0.1))}
SCHEDULES |= {name: getattr(schedules, name)() for name in schedules.__all__ if name not in SCHEDULES}


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("t", [np.arange(1, 8), np.arange(1.0, 8), 10**9 + np.arange(3), np.arange(0)], ids=str)
def test_shape_and_sign(schedule, t):
    rates = schedule(t)
    assert rates.shape == t.shape
    assert rates.dtype == np.float64
    assert (rates >= 0).all()


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_rates_rise_at_most_once_and_fall_for_good(schedule):
    rises = np.diff(schedule(np.arange(1, 3000))) > 1e-15
    assert not rises[np.argmin(rises) :].any()


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_survives_a_pickle(schedule):
    t, copy = np.arange(1, 3000), pickle.loads(pickle.dumps(schedule))
    assert copy == schedule
    assert_array_equal(copy(t), schedule(t))


def test_representation_has_the_numbers():
    model = OnlineSGDRegressor(learning_rate=warm_up(cosine(0.1), 30, 0.5))
    assert repr(model) == "OnlineSGDRegressor(learning_rate=warm_up(cosine(0.1, 1000, 0.0), 30, 0.5))"


def test_known_values():
    t = np.array([1, 4, 16])
    assert_allclose(constant(0.1)(t), 0.1, rtol=1e-15)
    assert_allclose(invscaling(0.1, 0.5)(t), [0.1, 0.05, 0.025], rtol=1e-15)
    assert_allclose(invscaling(0.1, 0.0)(t), 0.1, rtol=1e-15)


TORCH = {
    "step": (step(0.1, 7, 0.5), 0.1, lambda torch, o: torch.StepLR(o, 7, 0.5)),
    "exponential": (exponential(0.1, 0.9), 0.1, lambda torch, o: torch.ExponentialLR(o, 0.9)),
    "cosine": (cosine(0.1, 30, 0.01), 0.1, lambda torch, o: torch.CosineAnnealingLR(o, 30, 0.01)),
    "one_cycle": (one_cycle(0.1, 30), 0.1, lambda torch, o: torch.OneCycleLR(o, 0.1, 30)),
    "one_cycle, own numbers": (
        one_cycle(0.1, 30, 0.5, 0.1, 0.001),
        0.1,
        lambda torch, o: torch.OneCycleLR(o, 0.1, 30, pct_start=0.5, div_factor=10, final_div_factor=100),
    ),
    "warm_up": (warm_up(constant(0.1), 7, 0.25), 0.1, lambda torch, o: torch.LinearLR(o, 0.25, total_iters=7)),
    "warm_up of another": (
        warm_up(exponential(0.1, 0.9), 7),
        0.1,
        lambda torch, o: torch.ChainedScheduler([torch.LinearLR(o, total_iters=7), torch.ExponentialLR(o, 0.9)]),
    ),
}


@pytest.mark.parametrize("case", TORCH)
def test_torch(case):
    torch = pytest.importorskip("torch")
    ours, rate, make = TORCH[case]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    theirs, rates = make(torch.optim.lr_scheduler, optimizer), []
    for _ in range(30):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step() if len(rates) < 30 else None
    assert_allclose(ours(np.arange(1, 31)), rates, rtol=1e-12)


@covering({"loss": [*LOSSES], "alpha": [1e-4, 0.01, 1.0, 100.0]})
def test_optimal_starts_as_in_scikit_learn(loss, alpha):
    loss = LOSSES[loss]()
    typical = np.sqrt(1 / np.sqrt(alpha))
    first = typical / max(1.0, loss.gradient(1.0, -typical))
    t = np.arange(1, 5)
    assert_allclose(optimal(alpha, loss)(t), 1 / (1 / first + alpha * (t - 1)), rtol=1e-13)


class Clock:
    """A user's schedule that remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, t):
        self.asked.extend(t.tolist())
        return 0.1 / t


def test_own_function_sees_every_update_once():
    X, y = linear(20)
    clock = Clock()
    model = MiniBatchSGDRegressor(learning_rate=clock, batch_size=8, epochs=3, tol=None).fit(X, y)
    model.partial_fit(X, y).partial_fit(X[:3], y[:3])
    assert clock.asked == list(range(1, 14)) == list(range(1, model.n_updates_ + 1))
    assert model.learning_rate_ == pytest.approx(0.1 / 13)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_own_function_is_the_named_schedule():
    X, y = linear(20)
    named, own = (
        OnlineSGDRegressor(**rate, random_state=0).fit(X, y)
        for rate in (
            {"learning_rate": "invscaling", "eta0": 0.05, "power_t": 0.5},
            {"learning_rate": invscaling(0.05, 0.5)},
        )
    )
    assert_array_equal(named.coef_, own.coef_)


WRONG = {
    "scalar": lambda t: 0.1,
    "negative": lambda t: -0.1 / t,
    "not a number": lambda t: t * np.nan,
    "too many": lambda t: np.ones(len(t) + 1),
}


@pytest.mark.parametrize("rate", WRONG.values(), ids=WRONG)
def test_wrong_results_are_refused(rate):
    X, y = linear(20)
    with pytest.raises(ValueError, match="learning_rate"):
        MiniBatchSGDRegressor(learning_rate=rate, batch_size=8).fit(X, y)
