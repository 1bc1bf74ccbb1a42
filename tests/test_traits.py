"""What the engine knows of a part follows from its formulas, whatever its class is called."""

from typing import NamedTuple

import numpy as np
import pytest

from sklearn_sgd import losses, optimizers, penalties
from sklearn_sgd._engine.resolve import Parts
from sklearn_sgd._engine.traits import ElasticNetTerms, Formulas, polynomial, variable


def traits(loss=None, penalty=None, optimizer=None):
    return Formulas(
        Parts(
            losses.SquaredError() if loss is None else loss,
            penalties.NoPenalty() if penalty is None else penalty,
            optimizers.SGD() if optimizer is None else optimizer,
        )
    )


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_one_loss_is_quadratic(loss):
    assert traits(losses.LOSSES[loss]()).is_quadratic == (loss == "squared_error")


@pytest.mark.parametrize(("value", "slope"), [
    (lambda y, p: (y - p) ** 2 / 2, lambda y, p: -(y - p)),
    (lambda y, p: 0.5 * np.square(p - y), lambda y, p: 1.0 * p - y),
    (lambda y, p: 0.5 * p * p - p * y + 0.5 * y**2, lambda y, p: np.subtract(p, y)),
])  # fmt: skip
def test_half_the_squared_error_written_in_another_way(value, slope):
    class Own(NamedTuple):
        def value(self, y, p):
            return value(y, p)

        def gradient(self, y, p):
            return slope(y, p)

    assert traits(Own()).is_quadratic
    assert traits(Own()).curvature == 1.0


def test_what_differs_a_little_is_not_quadratic():
    class Doubled(losses.SquaredError):
        __slots__ = ()

        def gradient(self, y, p):
            return 2.0 * (p - y)

    class Costly(losses.SquaredError):
        __slots__ = ()

        def value(self, y, p):
            return (p - y) ** 2

    for own in (Doubled(), Costly(), losses.Huber(1e300), losses.LogCosh(1e300)):
        assert not traits(own).is_quadratic
    # A bound on the curvature that was inherited does not hold for an overridden slope.
    assert traits(Doubled()).curvature == np.inf


def test_optimizers():
    plain = {name for name, kind in optimizers.OPTIMIZERS.items() if traits(optimizer=kind()).is_plain}
    assert plain == {"sgd", "svrg", "saga"}
    assert traits(optimizer=optimizers.Momentum(0.0)).is_plain  # It keeps nothing of the last direction.


def test_optimizers_that_rest_without_a_gradient():
    class Drifting(optimizers.RMSprop):
        def step(self, g, pull, w, m, v, rate, t):
            return g + pull, rate, m + 1e-3, v

    found = {name: traits(optimizer=kind()).rests for name, kind in optimizers.OPTIMIZERS.items()}
    rests = {name: kept[0] for name, kept in found.items() if kept}
    assert rests == {"sgd": 0.0, "svrg": 0.0, "saga": 0.0, "adagrad": 1.0, "rmsprop": 0.99}
    assert traits(optimizer=optimizers.RMSprop(0.5)).rests == (0.5, 0.0)
    assert traits(optimizer=Drifting()).rests is None
    assert traits(penalty=penalties.L2(0.1), optimizer=optimizers.Adagrad()).rests is None


def test_each_part_is_read_by_itself():
    formulas = traits(loss=object())
    assert formulas.refusal
    assert formulas.is_plain
    assert formulas.is_unpenalised
    assert not formulas.is_quadratic


def test_penalties():
    for penalty, *expected in [
        (penalties.NoPenalty(), True, ElasticNetTerms(0.0, 0.0)),
        (penalties.L2(0.3), True, ElasticNetTerms(0.3, 0.0)),
        (penalties.L1(0.3), False, ElasticNetTerms(0.0, 0.3)),
        (penalties.ElasticNet(0.4, 0.25), False, ElasticNetTerms(0.4 * 0.75, 0.4 * 0.25)),
        (penalties.Positive(penalties.L1(0.3)), False, None),
        (penalties.Box(0.0, 1.0).spread(3, np.float64), False, None),
    ]:
        assert [traits(penalty=penalty).is_smooth, traits(penalty=penalty).terms] == expected, penalty


def test_polynomials():
    a, b = variable("a"), variable("b")
    assert polynomial((a + b) * (a - b)) == {("a", "a"): 1.0, ("b", "b"): -1.0}
    assert polynomial((a + 2.0) ** 2 - a * a - 4.0 * a) == {(): 4.0}
    assert polynomial(a / 4.0 - -b) == {("a",): 0.25, ("b",): 1.0}
    assert polynomial(a / b) is polynomial(abs(a)) is polynomial(a**3.5) is None
