"""Coefficients as a sparse matrix, for models with many zeros."""

from typing import Any, Self

from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd._base.fitted import FittedModel, densified
from sklearn_sgd._namespace import dispatches, host, is_foreign, like


class SparsifyMixin:
    """The methods `sparsify` and `densify`."""

    coef_: Any
    intercept_: float
    _fitted: FittedModel | None
    _model: FittedModel

    def sparsify(self) -> Self:
        """Make `coef_` a sparse matrix of a row for each target, which is smaller where most coefficients are zero.

        `predict` works with both, and so do `fit` and `partial_fit`, after which `coef_` is an array again.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        check_is_fitted(self)
        if not sparse.issparse(coef := self.coef_):
            place = coef[..., :0] if is_foreign(coef) else None
            self._fitted = self._model.replace(coef=sparse.csr_matrix(host(coef)), place=place)
        return self

    def densify(self) -> Self:
        """Make `coef_` an array again, after `sparsify`.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        check_is_fitted(self)
        if sparse.issparse(self.coef_):
            coef, place = densified(self.coef_, self.intercept_), self._model.place
            self.coef_ = like(coef, place) if dispatches(place) else coef
        return self
