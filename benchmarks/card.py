"""Fits of torch's tensors on a graphics card, and of arrays: ``SCIPY_ARRAY_API=1 python benchmarks/card.py``."""

import os
import statistics
import time

import numpy as np
import sklearn
import torch

from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor

WORKS = {
    "BatchGDRegressor()": BatchGDRegressor(),
    "BatchGDRegressor('huber', epochs=5)": BatchGDRegressor("huber", epochs=5),
    "BatchGDRegressor, constant rate, epochs=20": BatchGDRegressor(
        learning_rate="constant", eta0=0.1, tol=None, epochs=20
    ),
    "MiniBatchSGDRegressor(batch_size=65536)": MiniBatchSGDRegressor(batch_size=65536, random_state=0),
}


def seconds(work, laps: int = 2) -> float:
    """Median of some laps, after one to warm up."""
    work()
    times = []
    for _ in range(laps):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    if not torch.cuda.is_available():
        raise SystemExit("No graphics card here.")
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {os.cpu_count()} cores; 1,000,000 x 100")
    rng = np.random.default_rng(0)
    for dtype in (np.float64, np.float32):
        X = rng.standard_normal((1_000_000, 100), dtype=dtype)
        y = X @ rng.standard_normal(100).astype(dtype) + rng.standard_normal(len(X)).astype(dtype)
        there = torch.from_numpy(X).to("cuda"), torch.from_numpy(y).to("cuda")
        for name, model in WORKS.items():
            here = seconds(lambda model=model, X=X, y=y: model.fit(X, y))
            host = model.coef_
            with sklearn.config_context(array_api_dispatch=True):
                card = seconds(lambda model=model, there=there: model.fit(*there))
                gap = float(np.abs(model.coef_.cpu().numpy() - host).max())
            print(
                f"{np.dtype(dtype).name}  {name:<45} host {here:7.3f} s   card {card:7.3f} s   largest gap {gap:.0e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
