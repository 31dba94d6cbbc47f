"""PPCA against scikit-learn's PCA as a density: time and log-likelihood.

    python benchmarks/ppca.py [--threads N] [--repeats R] [--quick] [--json PATH] [--data PATH]

Fit: each solver of scikit-learn's PCA and PPCA's choice by shape, with the mean log-likelihood of both
and that of the closed form. Score: log-densities of all rows. EM: the difference between the
log-likelihood of EM and that of the closed form. Wide: few rows of very many features, and the memory
that they take. Edges: tables on which PCA is no density. ``--data`` names a folder with mnist.npz,
whose X_train is 60000 x 784.
"""

import argparse
import resource
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import interleave, options, show, write
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from sklearn_lvm import PPCA

Array = np.ndarray
Row = dict[str, Any]
SOLVERS = ("covariance_eigh", "randomized", "arpack")


def near_a_plane(n: int, d: int, q: int, seed: int = 0) -> Array:
    """Rows near a q-dimensional plane, with noise of unit variance, away from zero."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(q, d)) * np.linspace(3, 1, q)[:, None]
    return rng.normal(size=(n, q)) @ loadings + rng.normal(size=(n, d)) + 5.0


def problems(quick: bool, data: Path | None) -> Iterator[tuple[str, Array, int]]:
    """Names, rows and numbers of components."""
    for n, d, q in [(100_000, 200, 10), (5_000, 2_000, 20), (20_000, 784, 20)]:
        X = near_a_plane(n // 20 if quick else n, d, q)
        yield f"{len(X)} x {d}, q={q}", X, q
    path = data / "mnist.npz" if data else None
    if path is None or not path.exists():
        print("mnist.npz: no such file under --data: skipped")
        return
    X = np.load(path)["X_train"][: 1_000 if quick else 20_000].astype(np.float64)
    yield f"MNIST {len(X)} x 784, q=20", X, 20


def closed_form_log_prob(X: Array, q: int) -> float:
    """The mean log-likelihood of the closed form, from singular values."""
    n, d = X.shape
    variance = np.zeros(d)
    size = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    variance[: len(size)] = size**2 / n
    noise = variance[q:].mean()
    logs = np.log(variance[:q]).sum() + (d - q) * np.log(noise)
    return float(-0.5 * (d * np.log(2 * np.pi) + logs + d))


def fit(name: str, X: Array, q: int, repeats: int) -> tuple[list[Row], PPCA, PCA]:
    """A row for each solver, ours first."""
    runs: dict[str, Callable[[], Any]] = {"PPCA": lambda: PPCA(q, random_state=0).fit(X)}
    for solver in SOLVERS:
        peer = PCA(q, svd_solver=solver, random_state=0)
        runs[f"PCA {solver}"] = partial(peer.fit, X)
    timings = interleave(runs, repeats)
    own, exact = timings["PPCA"], closed_form_log_prob(X, q)
    best = min((t.cpu, key) for key, t in timings.items() if key != "PPCA")[1]
    rows = []
    for key, timing in timings.items():
        likelihood = timing.result.score(X)
        rows.append(
            {
                "problem": name,
                "contender": key + (" (best)" if key == best else ""),
                "wall [s]": timing.wall,
                "cpu [s]": timing.cpu,
                "cpu / ours": timing.cpu / own.cpu,
                "log-lik. [nats/row]": f"{likelihood:.9f}",
                "minus exact": likelihood - exact,
            }
        )
    return rows, own.result, timings[best].result


def score(name: str, X: Array, ours: PPCA, theirs: PCA, repeats: int) -> Row:
    """Log-densities of all rows."""
    runs = {"ours": partial(ours.score_samples, X), "peer": partial(theirs.score_samples, X)}
    timings = interleave(runs, repeats)
    own, peer = timings["ours"], timings["peer"]
    return {
        "problem": name,
        "scikit-learn cpu [s]": peer.cpu,
        "our cpu [s]": own.cpu,
        "cpu ratio": peer.cpu / own.cpu,
        "wall ratio": peer.wall / own.wall,
        "our mean - theirs": own.result.mean() - peer.result.mean(),
    }


def em_fits(repeats: int) -> list[Row]:
    """EM against the closed form: E-steps, time and log-likelihood."""
    rows = []
    for n, d, q in [(2_000, 20, 3), (1_000, 100, 10), (300, 1_000, 5)]:
        X = near_a_plane(n, d, q)
        runs = {
            "em": lambda X=X, q=q: PPCA(q, solver="em", random_state=0).fit(X),
            "exact": lambda X=X, q=q: PPCA(q, random_state=0).fit(X),
        }
        timings = interleave(runs, repeats)
        model = timings["em"].result
        rows.append(
            {
                "problem": f"{n} x {d}, q={q}",
                "E-steps": model.n_iter_,
                "em cpu [s]": timings["em"].cpu,
                "closed form cpu [s]": timings["exact"].cpu,
                "em minus exact [nats/row]": model.score(X) - closed_form_log_prob(X, q),
            }
        )
    return rows


def wide() -> list[Row]:
    """40 rows of 50000 features: fit, score, transform, sample."""
    X = near_a_plane(40, 50_000, 5)

    def work() -> None:
        model = PPCA(5, random_state=0).fit(X)
        model.score(X)
        model.transform(X)
        model.sample(40)

    timing = interleave({"ours": work}, 1)["ours"]
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        {
            "problem": "40 x 50000, q=5",
            "cpu [s]": timing.cpu,
            "memory beside X [MB]": peak,
            "process so far [MB]": resident,
        }
    ]


def edges() -> list[Row]:
    """Mean log-likelihoods where PCA is no density; scikit-learn's, ours."""
    X = near_a_plane(50, 6, 2)
    wide = near_a_plane(20, 40, 3)
    tables = {
        "a constant column": (np.column_stack([X, np.full(50, 3.3)]), 3),
        "k = n - 2, 40 features": (wide, 18),
        "k = n - 1, 40 features": (wide, 19),
        "float32 at offset 1e4": ((X + 1e4).astype(np.float32), 2),
        "offset 1e8": (X + 1e8, 2),
        "two rows": (X[:2], 1),
        "units 1e-9 to 1e9": (X * np.logspace(-9, 9, 6), 3),
        "unit 1e-300": (1e-300 * X, 2),
        "all components": (X, 6),
    }
    return [
        {"table": name, "PCA": _outcome(PCA(q), X), "PPCA": _outcome(PPCA(q), X)}
        for name, (X, q) in tables.items()
    ]


def _outcome(model: Any, X: Array) -> str:
    try:
        return f"{model.fit(X).score(X):.6g}"
    except Exception as failure:
        return f"{type(failure).__name__}: {str(failure).splitlines()[0][:60]}"


def main(arguments: list[str]) -> None:
    """Print all tables."""
    parser: argparse.ArgumentParser = options(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder with mnist.npz")
    asked = parser.parse_args(arguments)
    tables: dict[str, list[Row]] = {"fit": [], "score": []}
    with threadpool_limits(asked.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, X, q in problems(asked.quick, asked.data):
            rows, ours, theirs = fit(name, X, q, asked.repeats)
            tables["fit"] += rows
            tables["score"].append(score(name, X, ours, theirs, asked.repeats))
            print(show(rows), show(tables["score"][-1:]), sep="\n", flush=True)
        tables |= {"em": em_fits(asked.repeats), "wide": wide(), "edges": edges()}
        for name in ("em", "wide", "edges"):
            print(show(tables[name]), flush=True)
    write(asked.json, asked.threads, tables)


if __name__ == "__main__":
    main(sys.argv[1:])
