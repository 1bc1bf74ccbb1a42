"""Each private name of scikit-learn that the package uses exists and behaves as the package needs."""

import ast
from numbers import Real
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator

import sklearn_sgd
from sklearn_sgd import OnlineSGDRegressor, _compat

PACKAGE = Path(sklearn_sgd.__file__).parent


def test_fit_context():
    class Model(BaseEstimator):
        _parameter_constraints = {"size": [_compat.Interval(Real, 0, None, closed="left")]}

        def __init__(self, size=1.0):
            self.size = size

        @_compat.fit_context
        def fit(self, X, y=None):
            return self

    assert isinstance(Model().fit(None), Model)
    with pytest.raises(_compat.InvalidParameterError, match="size"):
        Model(-1.0).fit(None)


@pytest.mark.parametrize("form", [list, np.asarray, lambda rows: sparse.csr_matrix(rows)])
def test_rows_of_any_container(form):
    X = form([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert _compat.num_samples(X) == 3
    assert _compat.num_samples(_compat.safe_indexing(X, slice(1, 3))) == 2


def test_check_feature_names():
    pd = pytest.importorskip("pandas")
    model = OnlineSGDRegressor()
    _compat.check_feature_names(model, pd.DataFrame({"a": [1.0]}), reset=True)
    assert model.feature_names_in_.tolist() == ["a"]
    with pytest.raises(ValueError, match="feature names"):
        _compat.check_feature_names(model, pd.DataFrame({"b": [1.0]}), reset=False)


def test_array_api_of_numpy():
    x = np.arange(3.0)
    xp, is_array_api = _compat.get_namespace(x)
    assert not is_array_api
    assert xp.asarray(x) is x
    assert isinstance(_compat.convert_to_numpy(x, xp), np.ndarray)
    assert _compat.device(x) in (None, "cpu")


def test_check_same_namespace_accepts_numpy():
    model = OnlineSGDRegressor(epochs=1).fit([[0.0], [1.0]], [0.0, 1.0])
    _compat.check_same_namespace(np.zeros((1, 1)), model, attribute="coef_", method="predict")


def test_number_of_threads():
    assert _compat.openmp_effective_n_threads() >= 1


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        (_compat.Interval(Real, 0, 1, closed="both"), 0.5, 2.0),
        (_compat.StrOptions({"a", "b"}), "a", "c"),
        (_compat.HasMethods(["predict"]), OnlineSGDRegressor(), 1),
    ],
)
def test_constraints(constraint, good, bad):
    assert constraint.is_satisfied_by(good)
    assert not constraint.is_satisfied_by(bad)
    _compat.validate_parameter_constraints({"name": [constraint]}, {"name": good}, "Model")
    with pytest.raises(_compat.InvalidParameterError, match="name"):
        _compat.validate_parameter_constraints({"name": [constraint]}, {"name": bad}, "Model")


def test_callbacks():
    class Model(_compat.CallbackSupportMixin, BaseEstimator):
        pass

    assert not _compat.has_callbacks(Model())
    context = _compat.callback_context(Model(), max_subtasks=1)
    data = {"estimator": Model(), "X": None, "y": None, "metadata": {}}
    assert not context.call_on_fit_task_begin(**data).call_on_fit_task_end(**data, reconstruction_attributes={})


def test_silent_callback_context():
    context = _compat.SilentCallbackContext()
    assert not context.subcontext(task_name="epoch").call_on_fit_task_begin().call_on_fit_task_end()


def private_names(path):
    """Names from scikit-learn that a file imports, and that are private or from a private module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "sklearn":
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (name for name in names if any(part.startswith("_") for part in name.split(".")))


# Modules that still import such names themselves.
OWN_IMPORTS = {"_compat.py"}


def test_no_other_module_imports_private_names():
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).as_posix() not in OWN_IMPORTS:
            assert not list(private_names(path)), path
