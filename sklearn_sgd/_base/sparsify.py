"""Coefficients as a sparse matrix, for models with many zeros."""

from typing import Any, Self

from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from sklearn_sgd._base.fitted import densified
from sklearn_sgd._namespace import host


class SparsifyMixin:
    """The methods `sparsify` and `densify`."""

    coef_: Any
    intercept_: float

    def sparsify(self) -> Self:
        """Make `coef_` a sparse matrix of a row for each target, which is smaller where most coefficients are zero.

        `predict` works with both, and so do `fit` and `partial_fit`, after which `coef_` is an array again.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        check_is_fitted(self)
        self.coef_ = sparse.csr_matrix(host(self.coef_))
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
            self.coef_ = densified(self.coef_, self.intercept_)
        return self
