"""Traits: what the engine must know of a part, read off its formulas.

Nothing here asks for a class, so a copy of a part under another name has the same traits, and a subclass that overrides
a formula has those of its own formula. A formula that cannot be read has no traits, and takes the general way.
"""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from sklearn_sgd._engine.expressions import Expression, Symbols, Untraceable, evaluate, program, symbols, variable

# A polynomial: from the sorted names of the variables in a product to its coefficient.
Polynomial = dict[tuple[str, ...], float]

SQUARED_ERROR: Polynomial = {("p", "p"): 0.5, ("p", "y"): -1.0, ("y", "y"): 0.5}


def polynomial(e: Any) -> Polynomial | None:
    """The polynomial in the variables that an expression is, numbers of the part as they are; None if it is none."""
    if not isinstance(e, Expression):
        return {(): float(e)} if e else {}
    if e.value is not None:
        return {(): float(e.value)} if e.value else {}
    if e.op == "variable":
        return {(e.args[0],): 1.0}
    terms = [polynomial(a) for a in e.args] if e.op in ("add", "sub", "mul", "div", "neg", "pow") else [None]
    if any(term is None for term in terms):
        return None
    return _combined(e.op, *terms)


def _combined(op: str, a: Polynomial, b: Polynomial | None = None) -> Polynomial | None:
    """The polynomial that an operation makes of others, if it is one."""
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
    """The t of an expression ``sign(w) * max(abs(w) - t, 0)``; None if it is another one."""
    match e:
        case Expression(
            op="mul",
            args=(
                Expression(op="sign", args=(side,)),
                Expression(op="max", args=(Expression(op="sub", args=(Expression(op="abs", args=(size,)), t)), 0.0)),
            ),
        ) if side is w and size is w:
            return t
    return None


class ElasticNetTerms(NamedTuple):
    """A penalty ``ridge / 2 * w**2 + lasso * |w|``, by its numbers: what can be applied late, in closed form."""

    ridge: float
    lasso: float


def _owner(kind: type, name: str) -> int:
    """How far up the bases of a class a name is defined."""
    return next((k for k, base in enumerate(kind.__mro__) if name in vars(base)), -1)


class Formulas:
    """The formulas of a loss, a penalty and an optimizer as expressions, and what follows from them.

    Each part is read by itself. ``refusals`` holds the reasons why formulas cannot be read, by the kind of part.
    """

    def __init__(self, parts: Any):
        self.parts = parts
        self.refusals: dict[str, str] = {}
        with np.errstate(all="ignore"):
            for name in ("loss", "penalty", "optimizer"):
                try:
                    getattr(self, f"_read_{name}")(getattr(parts, name))
                except Untraceable as error:
                    self.refusals[name] = str(error)

    def _symbols(self, part: Any) -> Symbols:
        if not isinstance(part, tuple):
            raise Untraceable(f"{type(part).__name__} is not a named tuple")
        return symbols(part)

    def _read_loss(self, loss: Any) -> None:
        y, p = variable("y"), variable("p")
        self.loss = self._symbols(loss)
        self.value = evaluate(self.loss.part.value, y, p)
        self.slope = evaluate(self.loss.part.gradient, y, p)

    def _read_penalty(self, penalty: Any) -> None:
        self.w = variable("w")
        self.penalty = self._symbols(penalty)
        self.pull = evaluate(self.penalty.part.gradient, self.w)
        self.prox = evaluate(self.penalty.part.prox, self.w, variable("rate"), ...)

    def _read_optimizer(self, optimizer: Any) -> None:
        self.optimizer = self._symbols(optimizer)
        m, v = variable("m") if self.moments > 0 else 0.0, variable("v") if self.moments > 1 else 0.0
        g, pull, w, rate, t = map(variable, ("g", "pull", "w", "rate", "t"))
        step = evaluate(self.optimizer.part.step, g, pull, w, m, v, rate, t)
        if not (isinstance(step, tuple) and len(step) == 4):
            raise Untraceable("step returns something else than direction, rate, m, v")
        self.step = step

    @property
    def refusal(self) -> str | None:
        """Why no machine code can be made of the parts; None if it can."""
        return next(iter(self.refusals.values()), None)

    @property
    def moments(self) -> int:
        """How many moments the optimizer keeps; one that does not say may keep both."""
        return getattr(self.parts.optimizer, "moments", 2)

    @cached_property
    def is_quadratic(self) -> bool:
        """Whether the loss is half the squared error."""
        return (
            "loss" not in self.refusals
            and polynomial(self.value) == SQUARED_ERROR
            and polynomial(self.slope) == {("p",): 1.0, ("y",): -1.0}
        )

    @cached_property
    def curvature(self) -> float:
        """A bound on the second derivative of the loss, in the prediction; infinite if none is known."""
        if self.is_quadratic:
            return 1.0
        kind = type(self.parts.loss)
        if _owner(kind, "curvature") > _owner(kind, "gradient"):
            return np.inf  # That of a class whose formula was overridden.
        return float(getattr(self.parts.loss, "curvature", np.inf))

    def has_loss(self, loss: Any) -> bool:
        """Whether the loss has the formulas of another one, whatever its numbers are."""
        if "loss" in self.refusals:
            return False
        y, p = variable("y"), variable("p")
        other = symbols(loss).part
        return program(self.value, self.slope) == program(other.value(y, p), other.gradient(y, p))

    @cached_property
    def is_plain(self) -> bool:
        """Whether the optimizer follows the gradient at the schedule's rate: gradient descent itself."""
        if "optimizer" in self.refusals:
            return False
        direction, rate = map(polynomial, self.step[:2])
        return direction == {("g",): 1.0, ("pull",): 1.0} and rate == {("rate",): 1.0}

    @cached_property
    def is_smooth(self) -> bool:
        """Whether the penalty acts by its gradient alone, so that a step may mix the coefficients."""
        return "penalty" not in self.refusals and self.prox is self.w

    @cached_property
    def is_unpulled(self) -> bool:
        """Whether the penalty has no smooth part."""
        return "penalty" not in self.refusals and polynomial(self.pull) == {}

    @property
    def is_unpenalised(self) -> bool:
        """Whether there is no penalty."""
        return self.is_smooth and self.is_unpulled

    @cached_property
    def terms(self) -> ElasticNetTerms | None:
        """The numbers of the penalty, if it is of the elastic net's family; None if it is another one."""
        if "penalty" in self.refusals:
            return None
        pull, threshold = polynomial(self.pull), 0.0 if self.is_smooth else _threshold(self.prox, self.w)
        lasso = None if threshold is None else polynomial(threshold)
        if pull is None or lasso is None or not (set(pull) <= {("w",)} and set(lasso) <= {("rate",)}):
            return None
        return ElasticNetTerms(pull.get(("w",), 0.0), lasso.get(("rate",), 0.0))

    @property
    def is_lazy(self) -> bool:
        """Whether a coefficient whose column a row leaves out changes by decay and threshold alone."""
        return self.is_plain and self.terms is not None
