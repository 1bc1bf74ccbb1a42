"""scikit-learn's own tests of SGDRegressor, those of the version installed, on the class that takes its place here."""

import inspect
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import SGDRegressor

from sklearn_sgd import OnlineSGDRegressor

theirs = pytest.importorskip("sklearn.linear_model.tests.test_sgd", reason="scikit-learn without its tests")

# Where the contract differs on purpose; "Coming from SGDRegressor", in the documentation, gives the same reasons.
EXCEPTIONS = {
    "test_plain_has_no_average_attr": "private attributes: which parameters are averaged is not spread over attributes",
    "test_input_format": "y of several columns, an error there, are several targets here",
    "test_loss_function_epsilon": "a table of losses on the class: here losses are classes of their own",
    "test_passive_aggressive_deprecated_average": "average=0, deprecated there, is an error here",
    "test_power_t_limits": "a negative power_t, deprecated there, is an error here",
    "test_sgd_early_stopping_with_partial_fit": "partial_fit is not there with early_stopping, as for MLPRegressor",
    "test_sgd_random_state": "running all epochs is no warning: stop_reason_ says so",
}


class Ours(SGDRegressor):
    """OnlineSGDRegressor with the parameters, defaults and attributes of SGDRegressor."""

    def _call(self, method, *args, **kwargs):
        params = self.get_params()
        ours = self.__dict__.setdefault("_ours", OnlineSGDRegressor())
        ours.set_params(epochs=params.pop("max_iter"), **params)
        getattr(ours, method)(*args, **kwargs)
        self.coef_, self.intercept_ = ours.coef_, np.atleast_1d(ours.intercept_)
        self.n_iter_, self.t_ = ours.n_iter_, ours.n_updates_ + 1
        return self

    def fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        return self._call("fit", X, y, sample_weight, coef_init=coef_init, intercept_init=intercept_init)

    def partial_fit(self, X, y, sample_weight=None):
        return self._call("partial_fit", X, y, sample_weight)

    def predict(self, X):
        return self._ours.predict(X)


class OursOnSparse(Ours):
    """The same on rows made sparse."""

    def _call(self, method, X, *args, **kwargs):
        return super()._call(method, sparse.csr_matrix(X), *args, **kwargs)


def with_their_defaults(kind):
    def make(**params):
        theirs._update_kwargs(params)
        return kind(**params)

    return make


STAND_INS = {
    SGDRegressor: Ours,
    theirs.SGDRegressor: with_their_defaults(Ours),
    theirs.SparseSGDRegressor: with_their_defaults(OursOnSparse),
}


def stand_in(value):
    return STAND_INS.get(value) if inspect.isclass(value) or inspect.isfunction(value) else None


def table(mark):
    """The rows of a parametrization, each from names to values."""
    names = [name.strip() for name in mark.args[0].split(",")] if isinstance(mark.args[0], str) else mark.args[0]
    return [dict(zip(names, row if len(names) > 1 else [row], strict=True)) for row in mark.args[1]]


def cases():
    """Each of their tests with each combination of arguments in which there is a regressor, ours in its place."""
    for name, test in inspect.getmembers(theirs, inspect.isfunction):
        marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
        for rows in product(*map(table, marks)):
            arguments = {key: value for row in rows for key, value in row.items()}
            ours = {key: stand_in(value) for key, value in arguments.items() if stand_in(value)}
            if name.startswith("test_") and ours:
                label = "-".join(getattr(value, "__name__", str(value)) for value in arguments.values())
                mark = [pytest.mark.skip(reason=EXCEPTIONS[name])] if name in EXCEPTIONS else []
                yield pytest.param(test, arguments | ours, id=f"{name}[{label}]", marks=mark)


# Few steps on columns that are not scaled, so some fits are rightly said to end worse than a constant.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*l1_ratio=.* has no effect:UserWarning")  # SGDRegressor does not say so.
@pytest.mark.parametrize(("test", "arguments"), list(cases()))
def test_of_sgd_regressor(test, arguments):
    test(**arguments)


def test_there_are_many():
    assert len(list(cases())) > 50


def test_exceptions_are_documented():
    page = Path(__file__).parent.parent / "docs" / "from_sgdregressor.rst"
    listed = set(re.findall(r"^``(test_\w+)``", page.read_text(), re.MULTILINE))
    assert listed == set(EXCEPTIONS)
