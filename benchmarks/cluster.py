"""Bytes and time of an epoch on a Dask cluster, of a sum, and of a block: ``python benchmarks/cluster.py``.

The cluster is two processes of this machine. Bytes are those that come to or leave the process of client and scheduler,
all protocols included; what both send each other counts twice.
"""

import platform
import time
from contextlib import contextmanager
from functools import partial

import numpy as np

import sklearn_sgd

P, ROWS = 100, 200_000
CLUSTER = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
FIXED = {"learning_rate": "constant", "eta0": 1e-4, "tol": None, "random_state": 0}


@contextmanager
def traffic():
    """Return a function that returns the number of bytes received and sent so far."""
    from distributed.comm import tcp

    moved, came, went = [0], tcp.from_frames, tcp.to_frames

    def count(frames):
        moved[0] += sum(memoryview(frame).nbytes for frame in frames)
        return frames

    async def from_frames(frames, *args, **kwargs):
        return await came(count(frames), *args, **kwargs)

    async def to_frames(*args, **kwargs):
        return count(await went(*args, **kwargs))

    tcp.from_frames, tcp.to_frames = from_frames, to_frames
    try:
        yield lambda: moved[0]
    finally:
        tcp.from_frames, tcp.to_frames = came, went


def seconds(work, laps=5) -> float:
    """The shortest of some laps."""
    times = []
    for _ in range(laps):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def passes() -> None:
    """Seconds of an epoch over the rows of a block, on one core, by the difference of a long and a short fit."""
    from threadpoolctl import threadpool_limits

    from sklearn_sgd._engine.automatic.statistics import measure

    X = np.random.default_rng(0).standard_normal((ROWS, P))
    y, nothing = X.sum(axis=1), np.empty(0)
    with threadpool_limits(1):
        normal = seconds(lambda: measure(X, None, nothing, True, y[:, None]))
        full, mini = (
            min(
                seconds(lambda kind=kind: fit(kind, X, y, 11), laps=3)
                - seconds(lambda kind=kind: fit(kind, X, y, 1), laps=3)
                for _ in range(3)
            )
            / 10
            for kind in ("BatchGDRegressor", "MiniBatchSGDRegressor")
        )
    for name, took in (("normal matrix", normal), ("gradient", full), ("mini-batches of 32", mini)):
        print(f"{name:20} {1e9 * took / ROWS:8.1f} ns per row {X.nbytes / took / 1e9:6.1f} GB/s", flush=True)


def fit(kind, X, y, epochs) -> None:
    getattr(sklearn_sgd, kind)(epochs=epochs, **FIXED).fit(X, y)


def epochs() -> None:
    """Bytes and milliseconds of an epoch on the cluster, against blocks, columns and rows."""
    import dask.array as da
    from distributed import Client, LocalCluster

    from sklearn_sgd import dask

    with traffic() as moved, LocalCluster(**CLUSTER) as cluster, Client(cluster):
        print(f"{'':28} {'blocks':>6} {'rows':>8} {'columns':>8} {'kB per epoch':>13} {'ms per epoch':>13}")
        for n, p, blocks in ((8000, P, 4), (32_000, P, 4), (32_000, P, 32), (8000, 10 * P, 4)):
            X = da.random.default_rng(0).standard_normal((n, p), chunks=(n // blocks, p))
            y = X.sum(axis=1)
            for kind in (dask.DaskBatchGDRegressor, dask.DaskMiniBatchSGDRegressor):
                seen = []
                for number in (2, 2, 22):
                    bytes_before, start = moved(), time.perf_counter()
                    kind(epochs=number, **FIXED).fit(X, y)
                    seen.append((moved() - bytes_before, time.perf_counter() - start))
                kilobytes, took = np.subtract(seen[2], seen[1]) / 20
                row = f"{kind.__name__:28} {blocks:6} {n:8} {p:8} {kilobytes / 1e3:13.1f} {1e3 * took:13.1f}"
                print(row, flush=True)


def sums() -> None:
    """Milliseconds of a sum of P + 2 numbers over blocks: by tasks that add sixteen terms, and by Dask's reductions."""
    import dask.array as da
    import dask.bag as db
    from distributed import Client, LocalCluster

    from sklearn_sgd.dask import blocks, workers

    def by_tasks(client, futures):
        terms = client.map(_term, futures, pure=False)
        while len(terms) > blocks.FAN:
            starts = range(0, len(terms), blocks.FAN)
            terms = [client.submit(workers.add, terms[start : start + blocks.FAN], pure=False) for start in starts]
        return workers.add(client.gather(terms))

    def by_bag(client, futures):
        total = db.from_delayed(futures).map_partitions(_term).reduction(_same, _add_all, split_every=blocks.FAN)
        return client.compute(total).result()

    def by_array(client, futures):
        parts = [da.from_delayed(future, (1, P + 2), np.float64) for future in futures]
        return client.compute(da.concatenate(parts).map_blocks(_term).sum(axis=0, split_every=blocks.FAN)).result()

    print(f"{'blocks':>6} {'tasks':>8} {'dask.bag':>9} {'dask.array':>11}")
    with LocalCluster(**CLUSTER) as cluster, Client(cluster) as client:
        for n in (4, 32, 128):
            futures = client.scatter([np.ones((1, P + 2)) for _ in range(n)], hash=False)
            times = [seconds(partial(how, client, futures), laps=20) for how in (by_tasks, by_bag, by_array)]
            print(f"{n:6} {1e3 * times[0]:8.1f} {1e3 * times[1]:9.1f} {1e3 * times[2]:11.1f}", flush=True)


def _term(block):
    return block


def _same(part):
    return part


def _add_all(parts):
    return sum(parts)


if __name__ == "__main__":
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, P = {P}, float64, one core"
    )
    passes()
    print("\nTwo worker processes of one thread")
    epochs()
    print("\nA sum over blocks, in ms: by tasks as in the package, and by the reductions of Dask")
    sums()
