"""One pass over a Parquet file of many rows: seconds, memory, and how much of the time pyarrow needs to read alone.

``python benchmarks/stream.py`` makes 50 million rows of 20 columns and a target, all float32 and as pyarrow writes them
by default (4.8 GB, in a temporary folder that is removed again), and measures each way to read, and the pass of
``fit_stream``, in a process of its own; the file is in the system's cache, so no disk is measured. Needs the extra
``stream``.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import sklearn_sgd
from sklearn_sgd import MiniBatchSGDRegressor
from sklearn_sgd.streaming import ArrowSource, fit_stream
from sklearn_sgd.streaming.arrow_fragments import BUFFER

COLUMNS, GROUP, BYTES = 20, 1 << 20, 100
FEATURES = [f"x{j}" for j in range(COLUMNS)]


def make(path: Path, n_rows: int) -> None:
    """Standard normal columns, a target that is linear in them, and noise of variance 1."""
    rng = np.random.default_rng(0)
    slopes = np.arange(1.0, COLUMNS + 1, dtype=np.float32)
    schema = pa.schema([(name, pa.float32()) for name in [*FEATURES, "y"]])
    with pq.ParquetWriter(path, schema) as file:
        for start in range(0, n_rows, GROUP):
            n = min(GROUP, n_rows - start)
            X = rng.standard_normal((COLUMNS, n), dtype=np.float32)
            file.write_table(pa.table([*X, slopes @ X + rng.standard_normal(n, dtype=np.float32)], schema=schema))


def read_dataset(path: Path) -> dict:
    """pyarrow, batches of a dataset: its usual interface, in the order of the file, without use of the values."""
    return {"rows": sum(batch.num_rows for batch in ds.dataset(path).to_batches(columns=[*FEATURES, "y"]))}


def read_batches(path: Path) -> dict:
    """pyarrow, batches of a file: the usual interface if memory is scarce."""
    return {"rows": sum(batch.num_rows for batch in pq.ParquetFile(path).iter_batches(columns=[*FEATURES, "y"]))}


def read_groups(path: Path) -> dict:
    """pyarrow, as the source reads: row group by row group, a part of each column at a time, on one of two cores."""
    pieces = ArrowSource(path, FEATURES, "y").pieces
    return {"rows": sum(batch.num_rows for piece in pieces for batch in piece.read([*FEATURES, "y"], 1 << 16))}


def scan_groups(path: Path) -> dict:
    """pyarrow, batches of a row group: a scanner of each row group, with buffered streams and without read-ahead."""
    scan = ds.ParquetFragmentScanOptions(use_buffered_stream=True, buffer_size=BUFFER, pre_buffer=False)
    options = {"batch_readahead": 0, "use_threads": False, "fragment_scan_options": scan}
    groups = [group for part in ds.dataset(path).get_fragments() for group in part.split_by_row_group()]
    batches = (group.to_batches(columns=[*FEATURES, "y"], batch_size=1 << 16, **options) for group in groups)
    return {"rows": sum(batch.num_rows for group in batches for batch in group)}


def pack(path: Path) -> dict:
    """The source: read, packed into arrays, shuffled."""
    return {"rows": sum(chunk.n_rows for chunk in ArrowSource(path, FEATURES, "y").chunks((0, 0)))}


def learn(path: Path) -> dict:
    """The pass of MiniBatchSGDRegressor(): reads, packs and learns."""
    model = fit_stream(MiniBatchSGDRegressor(), ArrowSource(path, FEATURES, "y"), random_state=0)
    error = np.abs(model.coef_ - np.arange(1.0, COLUMNS + 1)).max()
    return {"rows": model.n_samples_seen_, "loss": model.prequential_loss_, "error": float(error)}


WAYS = {way.__name__: way for way in (read_dataset, read_batches, scan_groups, read_groups, pack, learn)}


def measured(way: str, path: Path) -> dict:
    """Return the measurements of one reader, in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, "--way", way, str(path)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def measure(way: str, path: Path) -> None:
    """Measure one reader in this process, and print the results. Functions are compiled before."""
    fit_stream(MiniBatchSGDRegressor(), [(np.ones((64, COLUMNS), np.float32), np.ones(64, np.float32))])
    first, before, start = peak_memory(), resource.getrusage(resource.RUSAGE_SELF), perf_counter()
    told, seconds = WAYS[way](path), perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    told |= {"seconds": seconds, "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}
    print(json.dumps(told | {"start": first, "peak": peak_memory()}))


def peak_memory() -> float:
    """Return the largest memory of this process so far, in megabytes."""
    try:
        # On Linux ru_maxrss is at least that of the process that started this one.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        # In kilobytes, on a Mac in bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << (20 if sys.platform == "darwin" else 10))


def processor() -> str:
    """Return the name of the processor, if the system has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--folder", default=None, help="where the temporary folder is made")
    parser.add_argument("--laps", type=int, default=3, help="runs of each way in turn, of which the fastest counts")
    parser.add_argument("--way", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        measure(options.way[0], Path(options.way[1]))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if shutil.disk_usage(folder).free < 1.2 * BYTES * options.rows:
            sys.exit(f"{folder} lacks the room for {BYTES * options.rows / 1e9:.1f} GB.")
        path = Path(folder) / "rows.parquet"
        make(path, options.rows)
        laps = [{way: measured(way, path) for way in WAYS} for _ in range(options.laps)]
        best = {way: min((lap[way] for lap in laps), key=lambda told: told["seconds"]) for way in WAYS}
        size = path.stat().st_size
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, pyarrow {pa.__version__}"
    print(f"{processor()}, {os.cpu_count()} cores; {versions}, sklearn_sgd {sklearn_sgd.__version__}")
    print(f"{options.rows:,} rows x {COLUMNS} columns and a target, float32; Parquet, {size / 1e9:.2f} GB, cached")
    print(f"each way in a process of its own, the fastest of {options.laps} laps\n")
    print(f"{'':<44} {'seconds':>8} {'of CPU':>8} {'rows/s':>12} {'peak MB':>8}")
    for way, told in best.items():
        name = WAYS[way].__doc__.partition(":")[0].rstrip(".")
        speed = told["rows"] / told["seconds"]
        print(f"{name:<44} {told['seconds']:>8.2f} {told['cpu']:>8.2f} {speed:>12,.0f} {told['peak']:>8.0f}")
    print()
    fit = best["learn"]
    for way in ("read_dataset", "read_batches", "scan_groups", "read_groups"):
        name, share = WAYS[way].__doc__.partition(":")[0], best[way]["seconds"] / fit["seconds"]
        print(f"{name}, alone: {share:.0%} of the pass")
    print(f"peak memory {fit['peak']:.0f} MB, of which {fit['start']:.0f} MB before the first row is read")
    print(f"prequential loss {fit['loss']:.6f} (0.5 is the noise), largest error of a slope {fit['error']:.1e}")


if __name__ == "__main__":
    main()
