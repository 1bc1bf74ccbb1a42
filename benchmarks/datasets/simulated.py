"""Normal columns, with different units and offsets if ``raw``; linear targets with noise."""

import numpy as np


class Dataset:
    name = "simulated"

    def __init__(self, n_samples=100_000, n_features=20, noise=1.0, dtype=np.float64, raw=False):
        self.n_samples, self.n_features, self.noise, self.dtype, self.raw = n_samples, n_features, noise, dtype, raw

    def get_data(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.n_samples, self.n_features))
        coef = rng.standard_normal(self.n_features)
        y = X @ coef + self.noise * np.sqrt(self.n_features) * rng.standard_normal(self.n_samples)
        if self.raw:
            X *= 10.0 ** rng.uniform(-3, 3, self.n_features)
            X += X.std(axis=0) * rng.uniform(-5, 5, self.n_features)
        return {"X": X.astype(self.dtype), "y": y.astype(self.dtype)}
