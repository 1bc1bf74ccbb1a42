"""Traits of a part, derived from its formulas.

Traits do not depend on the class. So a copy of a part under another name has the same traits, and a subclass that
overrides a formula has the traits of its own formula. A formula that cannot be read has no traits, and uses the general
code.
"""

from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.expressions import Expression, Index, Untraceable, evaluate, program, symbols, variable

# A polynomial: from the sorted names of the variables in a product to its coefficient.
Polynomial = dict[tuple[str, ...], float]

# An extremely large residual, and a slope that does not grow in proportion to it.
FAR, FLAT = 1e30, 1e15

# Zeros, with rates and numbers of updates at which they are tried.
NONE, RATES, UPDATES = np.zeros(3), np.array([1.0, 0.3, 1e-4]), np.array([1.0, 2.0, 1e3])

SQUARED_ERROR: Polynomial = {("p", "p"): 0.5, ("p", "y"): -1.0, ("y", "y"): 0.5}


def polynomial(e: Any) -> Polynomial | None:
    """The polynomial in the variables that equals an expression; None if it is not a polynomial."""
    try:
        return _polynomial(e, {})
    except RecursionError:
        return None


def _polynomial(e: Any, known: dict[int, Polynomial | None]) -> Polynomial | None:
    """The same, with the polynomials of subexpressions in ``known``."""
    if not isinstance(e, Expression):
        return {(): float(e)} if e else {}
    if e.value is not None:
        return {(): float(e.value)} if e.value else {}
    if e.op == "variable":
        return {(e.args[0],): 1.0}
    if id(e) not in known:
        known[id(e)] = None
        if e.op in ("add", "sub", "mul", "div", "neg", "pow"):
            terms: list[Polynomial] = []
            for a in e.args:
                if (term := _polynomial(a, known)) is None:
                    return None
                terms.append(term)
            known[id(e)] = _combined(e.op, *terms)
    return known[id(e)]


def _combined(op: str, a: Polynomial, b: Polynomial | None = None) -> Polynomial | None:
    """The polynomial that results from an operation on polynomials, or None."""
    if op == "neg":
        return _sum(a, {}, -1.0)
    assert b is not None
    if op in ("add", "sub"):
        return _sum(b, a, 1.0 if op == "add" else -1.0)
    if op == "mul":
        return _product(a, b)
    number = b.get((), 0.0) if set(b) <= {()} else None
    if op == "div":
        return _sum(a, {}, 1.0 / number) if number else None
    if number not in (1.0, 2.0):
        return None
    return a if number == 1.0 else _product(a, a)


def _sum(a: Polynomial, b: Polynomial, factor: float) -> Polynomial:
    """``factor * a + b``."""
    total = dict(b)
    for names, number in a.items():
        total[names] = total.get(names, 0.0) + factor * number
    return {names: number for names, number in total.items() if number}


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    product: Polynomial = {}
    for some, x in a.items():
        for others, y in b.items():
            names = tuple(sorted(some + others))
            product[names] = product.get(names, 0.0) + x * y
    return {names: number for names, number in product.items() if number}


def _threshold(e: Any, w: Expression) -> Any:
    """The t of an expression ``sign(w) * max(abs(w) - t, 0)``; None for any other expression."""
    match e:
        case Expression(
            op="mul",
            args=(
                Expression(op="sign", args=(side,)),
                Expression(op="max", args=(Expression(op="sub", args=(Expression(op="abs", args=(size,)), t)), floor)),
            ),
        ) if side is w and size is w and polynomial(floor) == {}:
            return t
    return None


class ElasticNetTerms(NamedTuple):
    """A penalty ``ridge / 2 * w**2 + lasso * |w|``, which can be applied later in closed form."""

    ridge: float
    lasso: float


class BoundedTerms(NamedTuple):
    """The terms of a penalty, and bounds of the coefficients: numbers, or one for each."""

    terms: ElasticNetTerms
    low: Any
    high: Any


def _owner(kind: type, name: str) -> int:
    """The number of base classes up to the one that defines a name."""
    return next((k for k, base in enumerate(kind.__mro__) if name in vars(base)), -1)


class Reading:
    """A part with its expressions, or the reason why they cannot be read. ``compiled``: functions by precision."""

    def __init__(self, part: Any):
        self.part = part
        self.refusal: str | None = None
        self.compiled: dict[np.dtype, Any] = {}
        try:
            if not isinstance(part, tuple):
                raise Untraceable(f"{type(part).__name__} is not a named tuple")
            self.symbols = symbols(part)
            self._check_columns(self.symbols.columns)
            with np.errstate(all="ignore"):
                self.outputs = self._read(self.symbols.part)
                if program(*self.outputs) != program(*self._read(self.symbols.part)):
                    raise Untraceable("it returns something else in each call")
        except Untraceable as error:
            self.refusal = str(error)
        except RecursionError:
            self.refusal = "it is too long"

    def _check_columns(self, columns: list[np.ndarray]) -> None:
        """Raise an error for fields with a number for each coefficient, except in penalties."""
        if columns:
            raise Untraceable("a field of it holds an array, which only those of a penalty may")

    def _read(self, part: Any) -> tuple:
        """The expressions that the formulas return for symbols."""
        raise NotImplementedError


class LossReading(Reading):
    """The formulas of a loss: ``value`` and ``slope``, of target ``y`` and prediction ``p``."""

    def _read(self, part: Any) -> tuple:
        y, p = variable("y"), variable("p")
        self.value, self.slope = evaluate(part.value, y, p), evaluate(part.gradient, y, p)
        return self.value, self.slope

    @cached_property
    def is_quadratic(self) -> bool:
        """Whether the loss is half the squared error."""
        slope = {("p",): 1.0, ("y",): -1.0}
        return self.refusal is None and polynomial(self.value) == SQUARED_ERROR and polynomial(self.slope) == slope

    @cached_property
    def curvature(self) -> float:
        """A bound on the second derivative with respect to the prediction; infinity if none is known."""
        if self.is_quadratic:
            return 1.0
        kind = type(self.part)
        if _owner(kind, "curvature") > _owner(kind, "gradient"):
            return np.inf  # The bound belongs to a base class whose formula was overridden.
        return float(getattr(self.part, "curvature", np.inf))

    def is_like(self, loss: Any) -> bool:
        """Whether the loss has the formulas of another one, for any values of the fields."""
        other = LossReading(loss)
        return self.refusal is None and program(self.value, self.slope) == program(other.value, other.slope)


class PenaltyReading(Reading):
    """The formulas of a penalty: ``pull``, the gradient of its smooth part, and ``prox``, of a coefficient ``w``."""

    def __init__(self, part: Any, n_features: int | None = None):
        self.n_features = n_features
        super().__init__(part)

    def _check_columns(self, columns: list[np.ndarray]) -> None:
        if self.n_features is not None and any(len(column) != self.n_features for column in columns):
            raise Untraceable(f"a field of it holds an array that is not of length n_features={self.n_features}")

    def _read(self, part: Any) -> tuple:
        self.w = variable("w")
        self.pull, self.prox = evaluate(part.gradient, self.w), evaluate(part.prox, self.w, variable("rate"), Index())
        return self.pull, self.prox

    @cached_property
    def is_smooth(self) -> bool:
        """Whether the penalty has a gradient only, so that a step may combine coefficients."""
        return self.refusal is None and self.prox is self.w

    @cached_property
    def has_no_pull(self) -> bool:
        """Whether the penalty has no smooth part."""
        return self.refusal is None and polynomial(self.pull) == {}

    @cached_property
    def is_linear(self) -> bool:
        """Whether the gradient of the smooth part is proportional to the coefficient."""
        pull = polynomial(self.pull) if self.refusal is None else None
        return pull is not None and set(pull) <= {("w",)}

    @cached_property
    def terms(self) -> ElasticNetTerms | None:
        """The terms of a penalty of the elastic net family; None for other penalties."""
        return self._terms_of(self.prox) if self.refusal is None else None

    @cached_property
    def bounded_terms(self) -> BoundedTerms | None:
        """The terms of a penalty whose proximal step may end with a projection onto bounds; None for others."""
        prox, low, high = self.prox if self.refusal is None else None, -np.inf, np.inf
        while isinstance(prox, Expression) and prox.op in ("max", "min"):
            first, second = map(self._constant, prox.args)
            if (first is None) == (second is None):
                return None
            bound = second if first is None else first
            low, high = (np.maximum(low, bound), high) if prox.op == "max" else (low, np.minimum(high, bound))
            prox = prox.args[first is not None]
        terms = None if prox is None else self._terms_of(prox)
        return terms and BoundedTerms(terms, low, high)

    @cached_property
    def keeps_zero(self) -> bool:
        """Whether a coefficient of 0 without a slope stays 0, whichever it is."""
        if self.refusal is not None or self.symbols.columns:
            return False
        return not (np.any(self.part.gradient(NONE)) or np.any(self.part.prox(NONE, RATES, ...)))

    def _constant(self, e: Any) -> Any:
        """The number, or that of each coefficient, that an expression stands for; None if it is computed."""
        if isinstance(e, Expression):
            return self.symbols.columns[e.args[0]] if e.op == "column" else e.value
        return e

    def _terms_of(self, prox: Any) -> ElasticNetTerms | None:
        """The terms that go with a proximal step."""
        pull, threshold = polynomial(self.pull), 0.0 if prox is self.w else _threshold(prox, self.w)
        lasso = None if threshold is None else polynomial(threshold)
        if pull is None or lasso is None or not (set(pull) <= {("w",)} and set(lasso) <= {("rate",)}):
            return None
        terms = ElasticNetTerms(pull.get(("w",), 0.0), lasso.get(("rate",), 0.0))
        return terms if terms.lasso >= 0.0 else None


class OptimizerReading(Reading):
    """The formula of an optimizer: ``step`` is direction, rate and both moments."""

    @property
    def moments(self) -> int:
        """The number of moments; 2 if the optimizer does not have the attribute."""
        return getattr(self.part, "moments", 2)

    def _read(self, part: Any) -> tuple:
        m, v = variable("m") if self.moments > 0 else 0.0, variable("v") if self.moments > 1 else 0.0
        g, pull, w, rate, t = map(variable, ("g", "pull", "w", "rate", "t"))
        self.step = evaluate(part.step, g, pull, w, m, v, rate, t, outputs=4)
        return self.step

    @cached_property
    def rests(self) -> tuple[float, float] | None:
        """What a step without gradient and pull leaves of both moments; None if it may do more than that."""
        if self.refusal is not None:
            return None
        direction, *moments = (polynomial(self.step[k]) for k in (0, 2, 3))
        if direction is None or not all({"g", "pull"} & set(names) for names in direction):
            return None
        kept = []
        for name, moment in zip("mv", moments, strict=True):
            left = None if moment is None else {k: a for k, a in moment.items() if not {"g", "pull"} & set(k)}
            if left is None or not set(left) <= {(name,)}:
                return None
            kept.append(left.get((name,), 0.0))
        return kept[0], kept[1]

    @cached_property
    def keeps_zero(self) -> bool:
        """Whether a coefficient and moments of 0 stay 0 in a step without gradient and pull."""
        if self.refusal is not None:
            return False
        direction, _, *moments = self.part.step(*[NONE] * 5, RATES, UPDATES)
        return not any(map(np.any, (direction, *moments)))

    @cached_property
    def is_plain(self) -> bool:
        """Whether the step is plain gradient descent: the gradient at the schedule's rate."""
        if self.refusal is not None:
            return False
        direction, rate = map(polynomial, self.step[:2])
        return direction == {("g",): 1.0, ("pull",): 1.0} and rate == {("rate",): 1.0}


@lru_cache(maxsize=256)
def _read_own(reading: type[Reading], kind: type, numbers: tuple) -> Reading:
    """The reading of a part of this package, whose formulas do not change."""
    return reading(tuple.__new__(kind, numbers))


def read(reading: type, part: Any, *more: Any) -> Any:
    """Read a part now: formulas of other packages may have changed since they were last read."""
    own = type(part).__module__.partition(".")[0] == __name__.partition(".")[0]
    if own and isinstance(part, tuple) and all(isinstance(number, (int, float, np.floating)) for number in part):
        return _read_own(reading, type(part), tuple(map(float, part)))
    return reading(part, *more)


class Formulas:
    """The formulas of a loss, a penalty and an optimizer, and their common traits."""

    def __init__(self, parts: Any, n_features: int | None = None):
        self.parts = parts
        # The passes, by precision; see ``passes.choose``.
        self.drivers: dict[np.dtype, Any] = {}
        # See ``scores.objective``.
        self.objective: Any = None
        self.loss: LossReading = read(LossReading, parts.loss)
        self.penalty: PenaltyReading = read(PenaltyReading, parts.penalty, n_features)
        self.optimizer: OptimizerReading = read(OptimizerReading, parts.optimizer)
        self.is_quadratic, self.curvature = self.loss.is_quadratic, self.loss.curvature
        self.is_smooth, self.terms, self.pulls_linearly = (
            self.penalty.is_smooth,
            self.penalty.terms,
            self.penalty.is_linear,
        )
        self.is_unpenalised = self.is_smooth and self.penalty.has_no_pull
        self.is_plain, self.moments = self.optimizer.is_plain, self.optimizer.moments

    @property
    def refused(self) -> Reading | None:
        """A part that cannot be compiled; None if all can."""
        return next((part for part in (self.loss, self.penalty, self.optimizer) if part.refusal), None)

    @property
    def refusal(self) -> str | None:
        """The reason why the parts cannot be compiled; None if they can."""
        return self.refused.refusal if self.refused else None

    @cached_property
    def has_bounded_slopes(self) -> bool:
        """Whether the slope of the loss is bounded: the loss is a robust one."""
        with np.errstate(all="ignore"):
            return all(abs(float(self.parts.loss.gradient(np.float64(1.0), np.float64(z)))) < FLAT for z in (-FAR, FAR))

    @property
    def is_least_squares(self) -> bool:
        """Whether the objective depends on the normal matrix alone, a penalty with a proximal step apart."""
        return self.is_quadratic and self.pulls_linearly

    @property
    def has_linear_gradient(self) -> bool:
        """Whether the gradient of the objective is linear, and there is no proximal step, which moves the minimum."""
        return self.is_least_squares and self.is_smooth

    @property
    def allow_momentum(self) -> bool:
        """Whether steps on all rows of sparse data may have momentum: the gradient alone moves them, and is linear."""
        return self.is_quadratic and self.is_unpenalised

    @property
    def hides_zeros(self) -> bool:
        """Whether the penalty makes zeros that moments do not show: of other losses than the squared error."""
        return not (self.is_least_squares or self.is_smooth)

    @property
    def has_kinks(self) -> bool:
        """Whether the slope of the loss may jump: it is bounded, but not known to be continuous."""
        return self.has_bounded_slopes and self.curvature == np.inf

    @property
    def rests(self) -> tuple[float, float] | None:
        """Factors of the moments of a coefficient whose column has no entry, if nothing else changes; see there."""
        return self.optimizer.rests if self.is_unpenalised else None

    @property
    def keep_zero(self) -> bool:
        """Whether the coefficient of a column without entries stays 0 if it is 0 at the start."""
        with np.errstate(all="ignore"):
            return self.penalty.keeps_zero and self.optimizer.keeps_zero

    @property
    def is_lazy(self) -> bool:
        """Whether a coefficient whose column has no entry in a row changes only by decay and soft threshold."""
        return self.is_plain and self.terms is not None


def allows_zero(penalty: Any, n_columns: int) -> bool:
    """Whether a penalty allows coefficients of 0."""
    return not penalty.prox(np.zeros(n_columns), 0.0).any()
