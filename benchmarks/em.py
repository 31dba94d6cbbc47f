"""Is EM for Gaussian mixtures faster here than elsewhere, at the same likelihood?

    python benchmarks/em.py [--threads N] [--repeats R] [--quick] [--json PATH]

Four questions. Fixed: how long do a given number of plain EM steps take, from the same start for
everybody? Climb: how long does it take to reach the likelihood at which scikit-learn stops, by default
and with tol=1e-9, from scikit-learn's start? Default: what do both reach by default, each from its own
start, and how long does it take? Score: how long do log-densities and labels take? Peers are
scikit-learn on NumPy arrays and, if torch is installed, on torch tensors, and pomegranate.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read when SciPy is first imported

import numpy as np
from common import installed, interleave, options, show, write
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from sklearn_lvm import EMGaussianMixture

Array = np.ndarray
Peer = Callable[..., Any]


@dataclass
class Problem:
    """Rows, a start, and how many steps to take from it."""

    name: str
    X: Array
    start: dict[str, Array]
    covariance_type: str
    steps: int
    reg_covar: float = 1e-6

    @property
    def n_components(self) -> int:
        return len(self.start["means_init"])

    def parameters(self) -> dict[str, Any]:
        return {
            "n_components": self.n_components,
            "covariance_type": self.covariance_type,
            **self.start,
        }


def standardised(X: Array) -> Array:
    """Features of unit variance, so that reg_covar means the same to everybody."""
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def blobs(n: int, d: int, K: int, seed: int = 0, apart: float = 1.5) -> Array:
    """Rows from K Gaussians with random covariances."""
    rng = np.random.default_rng(seed)
    means, labels = rng.normal(size=(K, d)) * apart, rng.integers(K, size=n)
    X = np.empty((n, d))
    for k in range(K):
        rows, A = labels == k, rng.normal(size=(d, d)) / np.sqrt(d)
        L = np.linalg.cholesky(A @ A.T + 0.2 * np.eye(d))
        X[rows] = rng.normal(size=(rows.sum(), d)) @ L.T + means[k]
    return standardised(X)


def start_at_rows(X: Array, K: int, covariance_type: str, seed: int = 1) -> dict[str, Array]:
    """Even weights, random rows as means, the features' variances as covariances."""
    rng = np.random.default_rng(seed)
    precision = 1.0 / X.var(axis=0)
    shapes = {
        "full": np.repeat(np.diag(precision)[None], K, axis=0),
        "tied": np.diag(precision),
        "diag": np.repeat(precision[None], K, axis=0),
        "spherical": np.full(K, precision.mean()),
    }
    return {
        "weights_init": np.full(K, 1.0 / K),
        "means_init": X[rng.choice(len(X), K, replace=False)],
        "precisions_init": shapes[covariance_type],
    }


def fixed_problems(quick: bool) -> Iterator[Problem]:
    digits = standardised(load_digits().data)
    shapes = [(100_000, 2, 5, 10), (100_000, 10, 10, 10), (1_000_000, 5, 10, 5)]
    shapes += [(100_000, 50, 20, 5), (20_000, 200, 10, 3)]
    for n, d, K, steps in shapes:
        X = blobs(n // 50 if quick else n, d, K)
        yield Problem(f"{len(X)} x {d}, K={K}", X, start_at_rows(X, K, "full"), "full", steps)
    start = start_at_rows(digits, 10, "full")
    yield Problem("digits 1797 x 61, K=10", digits, start, "full", 10, reg_covar=1e-2)
    for n, d, K, steps in [shapes[1], shapes[3]]:
        X = blobs(n // 50 if quick else n, d, K)
        for kind in ["diag", "tied", "spherical"]:
            yield Problem(f"{len(X)} x {d}, K={K}", X, start_at_rows(X, K, kind), kind, steps)


def ours(problem: Problem, max_iter: int, tol: float = 0.0, acceleration: Any = None) -> Any:
    mixture = EMGaussianMixture(
        **problem.parameters(),
        reg_covar=problem.reg_covar,
        tol=tol,
        max_iter=max_iter,
        acceleration=acceleration,
    )
    return mixture.fit(problem.X)


def scikit_learn(problem: Problem, max_iter: int, tol: float = 0.0) -> Any:
    mixture = GaussianMixture(
        **problem.parameters(), reg_covar=problem.reg_covar, tol=tol, max_iter=max_iter
    )
    return mixture.fit(problem.X)


def scikit_learn_torch(problem: Problem, max_iter: int) -> Any:
    import torch

    start = {name: torch.from_numpy(np.array(value)) for name, value in problem.start.items()}
    given = {**problem.parameters(), **start, "init_params": "random"}
    with config_context(array_api_dispatch=True):
        mixture = GaussianMixture(**given, reg_covar=problem.reg_covar, tol=0.0, max_iter=max_iter)
        return mixture.fit(torch.from_numpy(problem.X))


def pomegranate(problem: Problem, max_iter: int) -> Any:
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    start = {name: value.copy() for name, value in problem.start.items()}  # it writes into them
    covariances = np.linalg.inv(start["precisions_init"])
    normals = [
        Normal(torch.from_numpy(mean), torch.from_numpy(covariance), covariance_type="full")
        for mean, covariance in zip(start["means_init"], covariances, strict=True)
    ]
    priors = torch.from_numpy(start["weights_init"])
    mixture = GeneralMixtureModel(normals, priors=priors, max_iter=max_iter, tol=-np.inf)
    return mixture.fit(torch.from_numpy(problem.X))


def log_likelihood(problem: Problem, fitted: Any) -> float:
    """The mean log-likelihood of what a contender returned, by one function for all of them."""
    if hasattr(fitted, "distributions"):
        weights = fitted.priors
        means = [normal.means for normal in fitted.distributions]
        covariances = [normal.covs for normal in fitted.distributions]
    else:
        weights, means, covariances = fitted.weights_, fitted.means_, fitted.covariances_
    plain = [
        np.stack([np.asarray(part, float) for part in parts]) for parts in (means, covariances)
    ]
    weights = np.asarray(weights, float)
    kind = problem.covariance_type
    mixture = EMGaussianMixture.from_parameters(
        weights / weights.sum(), *plain, covariance_type=kind
    )
    return mixture.score(problem.X)


def peers_for(problem: Problem, available: set[str]) -> dict[str, Peer]:
    """The peers that know this covariance and are installed."""
    peers: dict[str, Peer] = {"scikit-learn": scikit_learn}
    if "torch" in available:
        peers["scikit-learn on torch"] = scikit_learn_torch
    if "pomegranate" in available and problem.covariance_type == "full":
        peers["pomegranate"] = pomegranate
    return peers


def guarded(contender: Callable[[], Any]) -> Callable[[], Any]:
    """A contender whose failure is a result, not the end of the benchmark."""

    def run() -> Any:
        try:
            return contender()
        except Exception as failure:
            return failure

    return run


def fixed(problem: Problem, available: set[str], repeats: int) -> list[dict[str, Any]]:
    """Time a given number of steps; a row for each contender."""
    contenders = {"sklearn_lvm": ours, **peers_for(problem, available)}
    runs = {name: guarded(partial(fit, problem, problem.steps)) for name, fit in contenders.items()}
    timings = interleave(runs, repeats)
    own = timings["sklearn_lvm"]
    rows = []
    for name, timing in timings.items():
        failed = isinstance(timing.result, Exception)
        rows.append(
            {
                "problem": problem.name,
                "covariance": problem.covariance_type,
                "steps": problem.steps,
                "contender": name,
                "wall [s]": timing.wall,
                "cpu [s]": timing.cpu,
                "wall / ours": float("nan") if failed else timing.wall / own.wall,
                "cpu / ours": float("nan") if failed else timing.cpu / own.cpu,
                "log-lik. [nats/row]": type(timing.result).__name__
                if failed
                else f"{log_likelihood(problem, timing.result):.6f}",
            }
        )
    return rows


def climb_problems(quick: bool) -> Iterator[tuple[str, Array, int, float]]:
    """Overlapping problems, on which EM is slow; two of them are small."""
    small = 10 if quick else 1
    yield "20000 x 2, K=5", blobs(20_000 // small, 2, 5, 3, 0.8), 5, 1e-6
    yield "4500 x 2, K=3", blobs(4_500 // small, 2, 3, 7, 0.5), 3, 1e-6
    yield "20000 x 5, K=8", blobs(20_000 // small, 5, 8, 1, 0.7), 8, 1e-6
    yield "20000 x 10, K=10", blobs(20_000 // small, 10, 10, 2, 0.5), 10, 1e-6
    yield "20000 x 20, K=15", blobs(20_000 // small, 20, 15, 4, 0.6), 15, 1e-6
    digits = standardised(PCA(20, random_state=0).fit_transform(load_digits().data))
    yield "digits, PCA to 20, K=10", digits, 10, 1e-2


def climb(name: str, X: Array, K: int, reg_covar: float, repeats: int) -> list[dict[str, Any]]:
    """Time to the likelihoods at which scikit-learn stops, from scikit-learn's own start."""
    first = GaussianMixture(K, max_iter=0, random_state=0, reg_covar=reg_covar).fit(X)
    start = {
        "weights_init": first.weights_ / first.weights_.sum(),
        "means_init": first.means_,
        "precisions_init": first.precisions_,
    }
    problem = Problem(name, X, start, "full", 0, reg_covar)
    rows = []
    for tol in (1e-3, 1e-9):
        peer = scikit_learn(problem, 5000, tol)
        target = log_likelihood(problem, peer)
        steps = steps_to(problem, target)
        runs = {
            "ours": partial(ours, problem, steps, acceleration="squarem"),
            "peer": partial(scikit_learn, problem, 5000, tol),
        }
        timings = interleave(runs, repeats)
        rows.append(
            {
                "problem": name,
                "scikit-learn's tol": f"{tol:g}",
                "its steps": peer.n_iter_,
                "our steps": steps,
                "its cpu [s]": timings["peer"].cpu,
                "our cpu [s]": timings["ours"].cpu,
                "cpu ratio": timings["peer"].cpu / timings["ours"].cpu,
                "wall ratio": timings["peer"].wall / timings["ours"].wall,
                "its log-lik.": f"{target:.6f}",
                "ours": f"{log_likelihood(problem, timings['ours'].result):.6f}",
            }
        )
    return rows


def steps_to(problem: Problem, target: float) -> int:
    """How many of our E-steps reach a likelihood, less 1e-7 nats per row."""
    for steps in (int(1.3**i) for i in range(4, 34)):
        if log_likelihood(problem, ours(problem, steps, acceleration="squarem")) >= target - 1e-7:
            break
    return steps


def default(name: str, X: Array, K: int, reg_covar: float, seeds: int) -> dict[str, Any]:
    """What both reach by default from their own starts: medians over seeds."""
    found: dict[str, list[tuple[float, float, float]]] = {"ours": [], "peer": []}
    for seed in range(seeds):
        given = {"n_components": K, "reg_covar": reg_covar, "random_state": seed}
        runs = {
            "ours": partial(EMGaussianMixture(**given).fit, X),
            "peer": partial(GaussianMixture(**given).fit, X),
        }
        for who, timing in interleave(runs, 1).items():
            fitted = timing.result
            found[who].append((timing.cpu, float(fitted.score(X)), fitted.n_iter_))
    own, peer = (np.median(found[who], axis=0) for who in ("ours", "peer"))
    return {
        "problem": name,
        "its cpu [s]": peer[0],
        "our cpu [s]": own[0],
        "its steps": int(peer[2]),
        "our E-steps": int(own[2]),
        "its log-lik.": f"{peer[1]:.6f}",
        "ours": f"{own[1]:.6f}",
    }


def score(n: int, repeats: int) -> list[dict[str, Any]]:
    """Time log-densities and labels of many rows."""
    X = blobs(n, 10, 10)
    problem = Problem("score", X[:20_000], start_at_rows(X, 10, "full"), "full", 5)
    own, peer = ours(problem, 5), scikit_learn(problem, 5)
    rows = []
    for method in ("score_samples", "predict"):
        runs = {"ours": partial(getattr(own, method), X), "peer": partial(getattr(peer, method), X)}
        timings = interleave(runs, repeats)
        rows.append(
            {
                "method": method,
                "rows": n,
                "its cpu [s]": timings["peer"].cpu,
                "our cpu [s]": timings["ours"].cpu,
                "cpu ratio": timings["peer"].cpu / timings["ours"].cpu,
                "wall ratio": timings["peer"].wall / timings["ours"].wall,
            }
        )
    return rows


def main(arguments: list[str]) -> None:
    asked = options(__doc__.splitlines()[0]).parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    available = {package for package in ("torch", "pomegranate") if installed(package)}
    with threadpool_limits(asked.threads):
        for package in sorted(available):
            import_module(package)
        if "torch" in available:  # after every import that sets the threads of torch anew
            sys.modules["torch"].set_num_threads(asked.threads)
        tables: dict[str, list[dict[str, Any]]] = {"fixed": [], "climb": [], "default": []}
        for problem in fixed_problems(asked.quick):
            tables["fixed"] += fixed(problem, available, asked.repeats)
            print(show(tables["fixed"][-len(peers_for(problem, available)) - 1 :]), flush=True)
        for problem_name, X, K, reg_covar in climb_problems(asked.quick):
            tables["climb"] += climb(problem_name, X, K, reg_covar, asked.repeats)
            tables["default"].append(
                default(problem_name, X, K, reg_covar, 2 if asked.quick else 7)
            )
            print(show(tables["climb"][-2:]), flush=True)
        print(show(tables["default"]), flush=True)
        tables["score"] = score(20_000 if asked.quick else 1_000_000, asked.repeats)
        print(show(tables["score"]), flush=True)
    write(asked.json, asked.threads, tables)


if __name__ == "__main__":
    main(sys.argv[1:])
