"""Is EM for Gaussian mixtures faster here than elsewhere, at the same likelihood?

    python benchmarks/em.py [TABLE ...] [--threads N] [--repeats R] [--quick] [--json PATH]

Tables, all of them unless some are named:

fixed    ten plain EM steps from one start, for everybody; how long, and to what likelihood?
target   how long to the likelihood that scikit-learn reaches with tol=1e-9, from its own start?
default  one call beside one call, without our prior and with it: how long, and how likely are rows?
gap      how far below the top of its basin does a fit end, in multiples of tol?
quality  likelihoods from 20 seeds, beside those of scikit-learn with n_init=10
memory   how much more memory does a fit, or a score, need at its peak?
score    how long do log-densities and labels take?

Peers are scikit-learn on NumPy arrays and, if torch is installed, on torch tensors, and pomegranate.
"""

import argparse
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read when SciPy is first imported

import numpy as np
from common import installed, interleave, options, show, write
from em_problems import (
    Problem,
    Table,
    blobs,
    default_problems,
    fixed_problems,
    log_likelihood,
    ours,
    ours_in_two_precisions,
    overlapping,
    peers_for,
    scikit_learn,
    standardized,
    start_at_rows,
)
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from sklearn_lvm import EMGaussianMixture

Rows = Iterator[dict[str, Any]]
STEPS = 10


def guarded(contender: Callable[[], Any]) -> Callable[[], Any]:
    """A contender whose failure is a result, not the end of the benchmark."""

    def run() -> Any:
        try:
            return contender()
        except Exception as failure:
            return failure

    return run


def fixed(asked: argparse.Namespace) -> Rows:
    """Ten plain steps: a row for each problem and contender, as multiples of our time."""
    for problem in fixed_problems(asked.quick):
        contenders = {"sklearn_lvm": ours, "single precision first": ours_in_two_precisions}
        contenders |= peers_for(problem, asked.available)
        runs = {name: guarded(partial(fit, problem, STEPS)) for name, fit in contenders.items()}
        timings = interleave(runs, asked.repeats)
        own = timings["sklearn_lvm"]
        for name, timing in timings.items():
            failed = isinstance(timing.result, Exception)
            yield {
                "problem": problem.name,
                "covariance": problem.covariance_type,
                "contender": name,
                "wall [s]": timing.wall,
                "cpu [s]": timing.cpu,
                "wall / ours": np.nan if failed else timing.wall / own.wall,
                "cpu / ours": np.nan if failed else timing.cpu / own.cpu,
                "log-lik. [nats/row]": type(timing.result).__name__
                if failed
                else f"{log_likelihood(problem, timing.result):.7f}",
            }


def target(asked: argparse.Namespace) -> Rows:
    """Time to where scikit-learn gets with tol=1e-9, less 1e-6 nats per row, from its own start."""
    ratios = []
    for table in islice(default_problems(asked.quick), 4):
        start = scikit_learn_start(table.X, table.n_components)
        problem = Problem(table.name, table.X, start, "full")
        peer = interleave({"peer": partial(scikit_learn, problem, 5000, 1e-9)}, 1)["peer"]
        reached = log_likelihood(problem, peer.result)
        tol = tol_for(problem, reached - 1e-6)
        own = interleave({"ours": partial(to_tolerance, problem, tol)}, asked.repeats)["ours"]
        ratios.append(peer.wall / own.wall)
        yield {
            "problem": table.name,
            "its steps": peer.result.n_iter_,
            "our E-steps": own.result.n_iter_,
            "our tol": f"{tol:.0e}",
            "its wall [ms]": 1e3 * peer.wall,
            "our wall [ms]": 1e3 * own.wall,
            "ratio": peer.wall / own.wall,
            "its log-lik.": f"{reached:.7f}",
            "ours": f"{log_likelihood(problem, own.result):.7f}",
        }
    print(f"target: geometric mean of the ratios {geometric_mean(ratios):.3g}")


def scikit_learn_start(X: Any, K: int, reg_covar: float = 1e-6) -> dict[str, Any]:
    first = GaussianMixture(K, max_iter=0, random_state=0, reg_covar=reg_covar).fit(X)
    return {
        "weights_init": first.weights_ / first.weights_.sum(),
        "means_init": first.means_,
        "precisions_init": first.precisions_,
    }


def to_tolerance(problem: Problem, tol: float) -> Any:
    """Our fit as it comes, but for the tolerance."""
    return ours(problem, 5000, acceleration="auto", tol=tol)


def tol_for(problem: Problem, target: float) -> float:
    """The largest of the tolerances 1e-3, 3e-4, 1e-4, ... that reaches a likelihood."""
    for tol in (mantissa * 10.0**-power for power in range(4, 12) for mantissa in (10, 3)):
        if log_likelihood(problem, to_tolerance(problem, tol)) >= target:
            break
    return tol


def geometric_mean(ratios: list[float]) -> float:
    return float(np.exp(np.mean(np.log(ratios))))


def default(asked: argparse.Namespace) -> Rows:
    """One call beside one call: without our prior, then with it. Medians over seeds, by threads."""
    for covariance_prior in (None, "auto"):
        ratios: dict[int, list[float]] = {1: [], 2: []}
        for table in default_problems(asked.quick):
            X, scored = (table.X, table.X) if covariance_prior is None else table.split()
            own = {"n_components": table.n_components, "covariance_prior": covariance_prior}
            row: dict[str, Any] = {
                "problem": table.name,
                "prior": covariance_prior or "none",
                "rows": len(X),
                "scored": "these" if scored is X else f"{len(scored)} others",
            }
            for threads in ratios:
                with threadpool_limits(threads):
                    peer, ours = medians(X, scored, own, 2 if asked.quick else 5)
                ratios[threads].append(peer[0] / ours[0])
                row |= {
                    f"its wall [ms], {threads}": peer[0],
                    f"ours, {threads}": ours[0],
                    f"ratio, {threads}": peer[0] / ours[0],
                }
            yield row | {
                "its log-lik.": f"{peer[1]:.5f}",
                "ours": f"{ours[1]:.5f}",
                "its steps": int(peer[2]),
                "our E-steps": int(ours[2]),
            }
        means = ", ".join(f"{geometric_mean(found):.3g} ({n})" for n, found in ratios.items())
        print(
            f"default, prior {covariance_prior}: geometric means of the ratios, by threads: {means}"
        )


def medians(X: Any, scored: Any, own: dict[str, Any], n_seeds: int) -> tuple[Any, Any]:
    """Of wall milliseconds, log-likelihood and steps: scikit-learn's and ours."""
    found: dict[str, list[tuple[float, float, int]]] = {"peer": [], "ours": []}
    for seed in range(n_seeds):
        peer = GaussianMixture(own["n_components"], random_state=seed)
        ours = EMGaussianMixture(**own, random_state=seed)
        for who, timing in interleave(
            {"peer": partial(peer.fit, X), "ours": partial(ours.fit, X)}, 1
        ).items():
            fitted = timing.result
            found[who].append((1e3 * timing.wall, float(fitted.score(scored)), fitted.n_iter_))
    return np.median(found["peer"], axis=0), np.median(found["ours"], axis=0)


def gap(asked: argparse.Namespace) -> Rows:
    """How far a fit with tol=1e-5 is from where its own run leads in the end."""
    for name, X, K, reg_covar in [*overlapping(asked.quick), *flat(asked.quick)]:
        gaps = []
        for seed in range(2 if asked.quick else 5):
            given = {"covariance_prior": None, "reg_covar": reg_covar, "random_state": seed}
            model = EMGaussianMixture(K, **given, tol=1e-5).fit(X)
            ended = model.lower_bound_
            model.set_params(warm_start=True, tol=0.0, max_iter=3000, acceleration="squarem")
            gaps.append(model.fit(X).lower_bound_ - ended)
        multiples = np.array(gaps) / 1e-5
        yield {
            "problem": name,
            "gap / tol, median": float(np.median(multiples)),
            "largest": float(multiples.max()),
            "largest gap in total [nats]": float(max(gaps) * len(X)),
        }


def flat(quick: bool) -> Iterator[tuple[str, Any, int, float]]:
    """Small tables and one-dimensional mixtures whose likelihoods are all but flat."""
    yield "wine, K=3", load_wine().data, 3, 1e-6
    yield "breast cancer, K=3", load_breast_cancer().data, 3, 1e-3
    rng = np.random.RandomState(1)
    for i in range(3 if quick else 6):
        K = 2 + i % 3
        parts = [rng.normal(rng.normal() * 1.2, rng.uniform(0.6, 1.4), (700, 1)) for _ in range(K)]
        yield f"{700 * K} x 1, K={K} ({i})", np.concatenate(parts), K, 1e-6


def quality(asked: argparse.Namespace) -> Rows:
    """Likelihoods from many seeds beside those of ten starts of scikit-learn."""
    for table in [*islice(default_problems(asked.quick), 6), *from_files(asked.data)]:
        own, peer, times = [], [], np.zeros(2)
        for seed in range(2 if asked.quick else 20):
            given = {"reg_covar": 1e-3, "random_state": seed}
            ours = EMGaussianMixture(table.n_components, covariance_prior=None, **given)
            ten_starts = GaussianMixture(table.n_components, n_init=10, **given)
            runs = {"ours": partial(ours.fit, table.X), "peer": partial(ten_starts.fit, table.X)}
            timings = interleave(runs, 1)
            own.append(timings["ours"].result.score(table.X))
            peer.append(timings["peer"].result.score(table.X))
            times += timings["ours"].cpu, timings["peer"].cpu
        yield {
            "problem": table.name,
            "ours: median": f"{np.median(own):.5f}",
            "lowest": f"{min(own):.5f}",
            "highest": f"{max(own):.5f}",
            "n_init=10: median": f"{np.median(peer):.5f}",
            "its lowest": f"{min(peer):.5f}",
            "its highest": f"{max(peer):.5f}",
            "cpu ratio": times[1] / times[0],
        }


def from_files(folder: Path | None) -> Iterator[Table]:
    """Tables of red wine and oil flow, if there is a folder that has them."""
    if folder is not None:
        for name, key, K in ("redwine", "X", 10), ("oil_flow", "X_train", 10):
            with np.load(folder / f"{name}.npz") as data:
                yield Table(f"{name}, K={K}", standardized(data[key].astype(float)), K)


MEMORY = """
import ctypes, sys, warnings
import numpy as np
sys.path[:0] = {path!r}
warnings.simplefilter("ignore")
from em_problems import blobs
from sklearn.mixture import GaussianMixture
from sklearn_lvm import EMGaussianMixture
X = blobs({n}, 10, 10)
mixture = {estimator}(10, random_state=0, max_iter=10)
mixture.fit(X[:3000])
scored = np.tile(X, (10, 1)) if {score} else X
ctypes.CDLL(None).malloc_trim(0)  # what was freed must not count
with open("/proc/self/clear_refs", "w") as forget:
    forget.write("5")  # the peak so far
def megabytes(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000
before = megabytes("VmRSS")
mixture.score_samples(scored) if {score} else mixture.fit(X)
print(megabytes("VmHWM") - before)
"""


def memory(asked: argparse.Namespace) -> Rows:
    """Peak memory beyond what was held before, in a process of its own (Linux)."""
    n = 20_000 if asked.quick else 100_000
    for what, score in ("fit", False), (f"score_samples, {10 * n} rows", True):
        row: dict[str, Any] = {"what": what, "X [MB]": n * 80 / 1e6}
        for name in ("EMGaussianMixture", "GaussianMixture"):
            script = MEMORY.format(path=sys.path, n=n, estimator=name, score=score)
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(asked.threads)}
            run = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, env=environment
            )
            row[f"{name} [MB]"] = float(run.stdout) if run.returncode == 0 else np.nan
        yield row


def score(asked: argparse.Namespace) -> Rows:
    """Time log-densities and labels of many rows."""
    X = blobs(20_000 if asked.quick else 1_000_000, 10, 10)
    problem = Problem("score", X[:20_000], start_at_rows(X, 10, "full"), "full")
    own, peer = ours(problem, 5), scikit_learn(problem, 5)
    for method in ("score_samples", "predict"):
        runs = {"ours": partial(getattr(own, method), X), "peer": partial(getattr(peer, method), X)}
        timings = interleave(runs, asked.repeats)
        yield {
            "method": method,
            "rows": len(X),
            "its cpu [s]": timings["peer"].cpu,
            "our cpu [s]": timings["ours"].cpu,
            "cpu ratio": timings["peer"].cpu / timings["ours"].cpu,
            "wall ratio": timings["peer"].wall / timings["ours"].wall,
        }


TABLES = {table.__name__: table for table in (fixed, target, default, gap, quality, memory, score)}


def main(arguments: list[str]) -> None:
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, help="where redwine.npz and oil_flow.npz are")
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], metavar="TABLE")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    asked.available = {package for package in ("torch", "pomegranate") if installed(package)}
    tables = {}
    with threadpool_limits(asked.threads):
        for package in sorted(asked.available):
            import_module(package)
        if "torch" in asked.available:  # after every import that sets the threads of torch anew
            sys.modules["torch"].set_num_threads(asked.threads)
        for name in asked.tables or TABLES:
            tables[name] = list(TABLES[name](asked))
            print(f"\n{name}: {TABLES[name].__doc__}\n{show(tables[name])}", flush=True)
    write(asked.json, asked.threads, tables)


if __name__ == "__main__":
    main(sys.argv[1:])
