"""FactorAnalysis against scikit-learn's: CPU time and log-likelihood.

    python benchmarks/factor_analysis.py [--threads N] [--repeats R] [--quick] [--json PATH]
        [--data PATH]

Narrow: standardized tables, q factors. Scikit-learn's estimator by default, and to the maximum:
tol=1e-8, svd_method='lapack', max_iter=20000, which seldom is enough. Wide: 2000 rows of 784 columns,
scikit-learn by default alone. ``--data`` names a folder with redwine.npz and mnist.npz; MNIST's columns
that are constant in its first 2000 rows are left out.
"""

import sys
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import interleave, options, show, write
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import FactorAnalysis as Peer
from threadpoolctl import threadpool_limits

from sklearn_lvm import FactorAnalysis

Array = np.ndarray
Row = dict[str, Any]
TIGHT = {"tol": 1e-8, "svd_method": "lapack"}
MAX_ITER, QUICK_ITER = 20_000, 200
N_WIDE, D_WIDE = 2_000, 784


def standardized(X: Array) -> Array:
    """The columns that are not constant, with mean 0 and variance 1."""
    X = X[:, X.std(axis=0) > 0].astype(np.float64)
    return (X - X.mean(axis=0)) / X.std(axis=0)


def by_factors(n: int, d: int, q: int) -> Array:
    """Rows of q factors, with noise of its own in each column."""
    rng = np.random.RandomState(0)
    signal = rng.normal(size=(n, q)) @ rng.normal(size=(q, d))
    return signal + rng.normal(size=(n, d)) * rng.uniform(0.5, 3.0, d)


def narrow(data: Path | None) -> Iterator[tuple[str, Array, int]]:
    """Names, rows and numbers of factors."""
    yield "wine", load_wine().data, 5
    path = data / "redwine.npz" if data else None
    if path is not None and path.exists():
        yield "red wine", np.load(path)["X"], 5
    else:
        print("redwine.npz: no such file under --data: skipped")
    yield "breast cancer", load_breast_cancer().data, 5
    yield "digits", load_digits().data, 5


def wide(data: Path | None) -> Iterator[tuple[str, Array, int]]:
    """Tables of many columns."""
    yield "ten factors", by_factors(N_WIDE, D_WIDE, 10), 10
    path = data / "mnist.npz" if data else None
    if path is not None and path.exists():
        yield "MNIST", np.load(path)["X_train"][:N_WIDE], 10
    else:
        print("mnist.npz: no such file under --data: skipped")


def measured(name: str, X: Array, q: int, repeats: int, max_iter: int | None) -> Row:
    """One table; scikit-learn goes on to the maximum unless ``max_iter`` is None."""
    runs = {
        "ours": partial(FactorAnalysis(q).fit, X),
        "default": partial(Peer(q, random_state=0).fit, X),
    }
    timings = interleave(runs, repeats)
    if max_iter is not None:
        tight = Peer(q, max_iter=max_iter, **TIGHT)
        timings |= interleave({"tight": partial(tight.fit, X)}, 1)
    ours = timings["ours"]
    row: Row = {"data": f"{name} {X.shape[0]} x {X.shape[1]}", "q": q}
    for key in ("default", "tight"):
        if key in timings:
            row[f"{key} [nats/row]"] = f"{timings[key].result.score(X):.6f}"
            row[f"{key} [ms]"] = 1e3 * timings[key].cpu
            row[f"{key} steps"] = timings[key].result.n_iter_
    row |= {
        "ours [nats/row]": f"{ours.result.score(X):.6f}",
        "ours [ms]": 1e3 * ours.cpu,
        "steps": ours.result.n_iter_,
        "on the floor": ours.result.heywood_,
    }
    for key in ("default", "tight"):
        if key in timings:
            row[f"{key} / ours"] = timings[key].cpu / ours.cpu
    return row


def main(arguments: list[str]) -> None:
    """Print both tables."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder with redwine.npz and mnist.npz")
    asked = parser.parse_args(arguments)
    max_iter = QUICK_ITER if asked.quick else MAX_ITER
    tables: dict[str, list[Row]] = {"narrow": [], "wide": []}
    with threadpool_limits(asked.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, X, q in narrow(asked.data):
            tables["narrow"].append(measured(name, standardized(X), q, asked.repeats, max_iter))
        for name, X, q in wide(asked.data):
            tables["wide"].append(measured(name, standardized(X), q, asked.repeats, None))
    for table in tables.values():
        print(show(table), flush=True)
    write(asked.json, asked.threads, tables)


if __name__ == "__main__":
    main(sys.argv[1:])
