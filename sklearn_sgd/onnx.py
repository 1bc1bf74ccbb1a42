"""Export to ONNX: a converter for skl2onnx. Needs the extra ``onnx``."""

import numpy as np
from scipy import sparse

from sklearn_sgd.losses import Poisson
from sklearn_sgd.regressors import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

__all__ = ["register"]


def register() -> None:
    """Register the three regressors with skl2onnx, to convert them alone or in a pipeline.

    The model computes in the precision of the samples that it is converted for, and returns an array of shape
    (n_samples, n_targets), as skl2onnx's own linear models do. The only link supported is the package's own, the
    logarithm: the conversion of a model whose loss has another ``inverse_link`` raises a NotImplementedError.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from sklearn_sgd.onnx import register
    >>> from skl2onnx import to_onnx  # doctest: +SKIP
    >>> register()  # doctest: +SKIP
    >>> exported = to_onnx(model, X[:1])  # doctest: +SKIP
    """
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_regressor_output_shapes

    for kind in (BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor):
        update_registered_converter(
            kind, f"SklearnSgd{kind.__name__}", calculate_linear_regressor_output_shapes, _convert
        )


def _convert(scope, operator, container) -> None:
    """Convert a fitted regressor to ``X @ coef + intercept``, or to the exponential of that."""
    from skl2onnx.algebra.onnx_ops import OnnxAdd, OnnxCast, OnnxExp, OnnxMatMul
    from skl2onnx.common.data_types import guess_numpy_type

    model, X, version = operator.raw_operator, operator.inputs[0], container.target_opset
    dtype = guess_numpy_type(X.type)
    if dtype not in (np.float32, np.float64):
        dtype = np.float32
        X = OnnxCast(X, to=1, op_version=version)  # 1 is ONNX for float32
    coef = model.coef_.toarray() if sparse.issparse(model.coef_) else np.atleast_2d(model.coef_)
    link = getattr(type(model._fitted.link), "inverse_link", None)
    if link not in (None, Poisson.inverse_link):  # type: ignore[attr-defined]
        raise NotImplementedError(
            f"loss={model.loss!r} has a link without an ONNX form; set in its class "
            "inverse_link = Poisson.inverse_link, of sklearn_sgd.losses, if it is the logarithm."
        )
    product = OnnxMatMul(X, coef.T.astype(dtype), op_version=version)
    intercept = np.atleast_1d(model.intercept_).astype(dtype)
    outputs = {"op_version": version, "output_names": operator.outputs[:1]}
    if link:
        OnnxExp(OnnxAdd(product, intercept, op_version=version), **outputs).add_to(scope, container)
    else:
        OnnxAdd(product, intercept, **outputs).add_to(scope, container)
