"""The defaults on sparse rows: R² on new rows and seconds, compared with SGDRegressor() and the best of three ridges.

These have columns as they are or scaled, whichever is better. Then the same for streams, in chunks.

``python benchmarks/sparse_defaults.py [--rows N]``, one thread, medians of up to three fits, seconds of CPU time. The
sets: words drawn by a power law; one-hot columns of a table whose categories follow one, beside numbers in units of
their own; hashed words of the docstrings of installed packages, with the logarithm of the number of lines as target;
and, where the package wordfreq is installed, English words by their letters, with the logarithms of their frequencies.
"""

import argparse
import ast
import platform
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge, SGDRegressor
from sklearn.preprocessing import MaxAbsScaler
from threadpoolctl import threadpool_limits

import sklearn_sgd
from sklearn_sgd import BatchGDRegressor, MiniBatchSGDRegressor, OnlineSGDRegressor

# Seconds after which a fit is not repeated.
LONG = 10.0

# Rows of a chunk of a stream.
CHUNK = 100

OURS = (MiniBatchSGDRegressor, OnlineSGDRegressor, BatchGDRegressor)


def power_law(n: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Rows of 75 entries in as many columns as rows."""
    rng = np.random.default_rng(0)
    columns = np.sort((n * rng.power(0.3, (n, 75))).astype(np.int32) % n, axis=1).ravel()
    X = sparse.csr_matrix((rng.random(n * 75), columns, np.arange(0, n * 75 + 1, 75, dtype=np.int32)), shape=(n, n))
    X.sum_duplicates()
    return X, X @ rng.standard_normal(n) + rng.standard_normal(n)


def table(n: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Six categories of up to 3,000 values, one-hot, and three numbers, two of which hardly differ."""
    rng = np.random.default_rng(0)
    blocks, y = [], rng.standard_normal(n) * 2.0
    for size in (3000, 1500, 400, 60, 12, 3):
        chosen = (size * rng.power(0.4, n)).astype(int)
        blocks.append(sparse.csr_matrix((np.ones(n), (np.arange(n), chosen)), shape=(n, size)))
        y += rng.standard_normal(size)[chosen]
    common = rng.standard_normal(n)
    numbers = np.c_[1e5 + 1e3 * common, 1e-4 * (common + 0.1 * rng.standard_normal(n)), rng.exponential(1e6, n)]
    y += common - 1e-6 * numbers[:, 2]
    return sparse.hstack([sparse.csr_matrix(numbers), *blocks]).tocsr(), y


def letters(n: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Words, as counts of their groups of two to four letters."""
    from wordfreq import get_frequency_dict

    known = get_frequency_dict("en", "large")
    words = np.random.default_rng(0).permutation(list(known))[:n]
    X = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=2).fit_transform(words)
    return X, np.log10([known[word] for word in words])


def docstrings(n: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Words of the docstrings of SciPy and scikit-learn, hashed; how many lines the function or class has."""
    found = {}
    for package in (scipy, sklearn):
        files = sorted(Path(package.__file__).parent.rglob("*.py"))
        for file in (each for each in files if "tests" not in each.parts):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
                    found[text] = np.log(1.0 + node.end_lineno - node.lineno)
    texts = np.random.default_rng(0).permutation(np.array(list(found), dtype=object))[:n]
    return HashingVectorizer(n_features=2**18).transform(texts), np.array([found[text] for text in texts])


def lines(n: int) -> Iterator[str]:
    """A table for each set."""
    for make in (power_law, table, docstrings, *([letters] if find_spec("wordfreq") else [])):
        X, y = make(n)
        order = np.random.default_rng(1).permutation(len(y))
        train, test = order[: len(y) * 4 // 5], order[len(y) * 4 // 5 :]
        yield f"{make.__name__}: {len(train):,} x {X.shape[1]:,}, {X.nnz / len(y):.0f} entries in a row"
        forms = {"": X, ", scaled": MaxAbsScaler().fit(X[train]).transform(X)}
        models = [(kind.__name__ + "()", kind(random_state=0), X) for kind in OURS]
        for more in ({"early_stopping": True}, {"penalty": "l2", "alpha": 1.0 / len(train)}):
            name = ", ".join(f"{key}={value!r}" for key, value in more.items())
            models.append((f"MiniBatch..({name})", MiniBatchSGDRegressor(random_state=0, **more), X))
        ridges = [(f"Ridge({alpha})", Ridge(alpha, solver="sparse_cg")) for alpha in (0.1, 1.0, 10.0)]
        for peers in ([("SGDRegressor()", SGDRegressor(random_state=0))], ridges):
            given = [(name + form, model, Z) for name, model in peers for form, Z in forms.items()]
            scores = [model.fit(Z[train], y[train]).score(Z[test], y[test]) for _, model, Z in given]
            models.append(given[int(np.argmax(scores))])
        for name, model, Z in models:
            A, laps = Z[train], []
            while len(laps) < 3 and sum(laps) < LONG:
                start = time.process_time()
                model.fit(A, y[train])
                laps.append(time.process_time() - start)
            epochs = getattr(model, "n_iter_", None)
            yield (
                f"  {name:<52} R2 {model.score(Z[test], y[test]):6.3f}   {np.median(laps):7.2f} s"
                + (f"   {int(np.max(epochs)):5d} epochs" if isinstance(epochs, int | np.integer) else "")
            )
        A, b = X[train], y[train]
        for kind in (MiniBatchSGDRegressor, OnlineSGDRegressor):
            model, start = kind(random_state=0), time.process_time()
            for row in range(0, len(train), CHUNK):
                model.partial_fit(A[row : row + CHUNK], b[row : row + CHUNK])
            seconds, name = time.process_time() - start, f"{kind.__name__}, one pass of partial_fit"
            yield f"  {name:<52} R2 {model.score(X[test], y[test]):6.3f}   {seconds:7.2f} s"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    versions = f"scikit-learn {sklearn.__version__}, sklearn_sgd {sklearn_sgd.__version__}"
    print(f"{versions}, Python {platform.python_version()}")
    with threadpool_limits(1):
        for line in lines(options.rows):
            print(line, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
