"""Sparse rows, like word counts: the same number of entries in each, in random columns."""

import numpy as np
from scipy import sparse


class Dataset:
    name = "words"

    def __init__(self, n_samples=100_000, n_features=50_000, n_entries=75):
        self.n_samples, self.n_features, self.n_entries = n_samples, n_features, n_entries

    def get_data(self):
        rng = np.random.default_rng(0)
        n, p, k = self.n_samples, self.n_features, self.n_entries
        columns = np.sort(rng.integers(0, p, (n, k), dtype=np.int32), axis=1).ravel()
        X = sparse.csr_matrix((rng.standard_normal(n * k), columns, np.arange(0, n * k + 1, k, dtype=np.int32)), (n, p))
        X.sum_duplicates()
        return {"X": X, "y": X @ rng.standard_normal(p) + rng.standard_normal(n)}
