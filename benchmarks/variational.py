"""Are variational Gaussian mixtures faster here than scikit-learn's, and do they predict better?

    python benchmarks/variational.py [TABLE ...] [--threads N] [--repeats R] [--quick] [--data PATH]

Tables, all of them unless some are named:

steps    plain steps of variational EM after k-means: how long does one take?
default  one call beside one call, K twice the number of clusters: how long, and how likely are rows?
real     held-out rows of real tables, with priors that are fixed and with priors that are fitted

The peer is scikit-learn's BayesianGaussianMixture. Its own score is that of expected log-densities, a
lower bound of the predictive density; the Student-t densities that its posterior predicts are scored as
well.
"""

import argparse
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np
from common import Timing, interleave, options, show, write
from em_problems import Array, blobs, default_problems, standardized
from scipy.special import logsumexp
from scipy.stats import multivariate_t
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from sklearn_lvm import VariationalGaussianMixture

Rows = Iterator[dict[str, Any]]
FEW_STEPS, MANY_STEPS = 5, 20
FEW_ROWS = 5_000  # a difference of two short times needs more runs
# Clusters, where a table of defaults has another number of components.
N_CLUSTERS = {"50000 x 12 of 3 clusters, K=20": 3}


def student_score(fitted: BayesianGaussianMixture, X: Array) -> float:
    """The mean log-density of rows under what scikit-learn's posterior predicts: full covariances."""
    nu, kappa, d = fitted.degrees_of_freedom_, fitted.mean_precision_, X.shape[1]
    scales = fitted.covariances_ * (nu * (kappa + 1) / (kappa * (nu - d + 1)))[:, None, None]
    parts = zip(fitted.means_, scales, nu - d + 1, strict=True)
    log_densities = [multivariate_t(m, S, df).logpdf(X) for m, S, df in parts]
    log_weights = np.log(np.maximum(fitted.weights_, np.finfo(float).tiny))
    return float(logsumexp(np.transpose(log_densities) + log_weights, axis=1).mean())


def n_used(fitted: BayesianGaussianMixture) -> int:
    """How many components hold more than one row, as ``n_components_`` counts them here."""
    rows = fitted.degrees_of_freedom_ - fitted.degrees_of_freedom_prior_
    return int(np.count_nonzero(rows > 1.0))


def step_problems(quick: bool) -> Rows:
    """Tables, numbers of components and covariances of the plain steps."""
    shapes = [(100_000, 10, 10), (100_000, 2, 5), (30_000, 20, 15)]
    drawn = [(blobs(n // 20 if quick else n, d, K), K) for n, d, K in shapes]
    digits = standardized(PCA(20, random_state=0).fit_transform(load_digits().data))
    for X, K in [*drawn, (digits, 10)]:
        yield {"X": X, "K": K, "covariance_type": "full"}
    for kind in ("tied", "diag", "spherical"):
        yield {"X": drawn[0][0], "K": drawn[0][1], "covariance_type": kind}


def after_k_means(estimator: Any, problem: dict[str, Any], n_steps: int, **own: Any) -> Any:
    """A fit of so many plain steps after the k-means start of an estimator."""
    given = {"covariance_type": problem["covariance_type"], "init_params": "kmeans", "tol": 0.0}
    model = estimator(n_components=problem["K"], **given, **own, max_iter=n_steps, random_state=0)
    return model.fit(problem["X"])


def steps(asked: argparse.Namespace) -> Rows:
    """Milliseconds of a plain step: those of 20 less those of 5, so that no start is in them."""
    ours = partial(after_k_means, VariationalGaussianMixture, acceleration=None)
    fits = {"ours": ours, "peer": partial(after_k_means, BayesianGaussianMixture)}
    for problem in step_problems(asked.quick):
        X, kind = problem["X"], problem["covariance_type"]
        runs = {
            f"{who} {n}": partial(fit, problem, n)
            for n in (FEW_STEPS, MANY_STEPS)
            for who, fit in fits.items()
        }
        timings = interleave(runs, asked.repeats * (5 if len(X) < FEW_ROWS else 1))
        wall = {who: per_step(timings, who, "wall") for who in fits}
        cpu = {who: per_step(timings, who, "cpu") for who in fits}
        ended = {who: timings[f"{who} {MANY_STEPS}"].result for who in fits}
        yield {
            "problem": f"{len(X)} x {X.shape[1]}, K={problem['K']}",
            "covariance": kind,
            "its step, wall [ms]": wall["peer"],
            "ours": wall["ours"],
            "wall ratio": wall["peer"] / wall["ours"],
            "cpu ratio": cpu["peer"] / cpu["ours"],
            "its predictive [nats/row]": nats(student_score(ended["peer"], X))
            if kind == "full"
            else "-",
            "our predictive": nats(ended["ours"].score(X)),
        }


def per_step(timings: dict[str, Timing], who: str, clock: str) -> float:
    """Milliseconds of one step."""
    many, few = (getattr(timings[f"{who} {n}"], clock) for n in (MANY_STEPS, FEW_STEPS))
    return float(1e3 * (many - few) / (MANY_STEPS - FEW_STEPS))


def nats(value: float) -> str:
    return f"{value:.5f}"


def default(asked: argparse.Namespace) -> Rows:
    """One call beside one call, with twice as many components as clusters. Medians over seeds."""
    ratios = []
    for table in default_problems(asked.quick):
        (X, new), K = table.split(), 2 * N_CLUSTERS.get(table.name, table.n_components)
        found = [one_call_each(X, new, K, seed) for seed in range(2 if asked.quick else 5)]
        medians = {name: float(np.median([seed[name] for seed in found])) for name in found[0]}
        ratios.append(medians["its wall"] / medians["our wall"])
        yield {
            "problem": f"{table.name.partition(', K=')[0]}, K={K}",
            "its wall [ms]": medians["its wall"],
            "ours": medians["our wall"],
            "ratio": ratios[-1],
            "its score": nats(medians["its score"]),
            "its Student-t": nats(medians["its Student-t"]),
            "our score": nats(medians["our score"]),
            "it uses": medians["it uses"],
            "n_components_": medians["n_components_"],
        }
    print(f"default: geometric mean of the ratios {geometric_mean(ratios):.3g}")


def one_call_each(X: Array, new: Array, K: int, seed: int) -> dict[str, float]:
    """Both with their defaults: wall milliseconds, nats per new row, components in use."""
    given = {"n_components": K, "random_state": seed}
    peer, ours = BayesianGaussianMixture(**given), VariationalGaussianMixture(**given)
    timings = interleave({"peer": partial(peer.fit, X), "ours": partial(ours.fit, X)}, 1)
    return {
        "its wall": 1e3 * timings["peer"].wall,
        "our wall": 1e3 * timings["ours"].wall,
        "its score": peer.score(new),
        "its Student-t": student_score(peer, new),
        "our score": ours.score(new),
        "it uses": n_used(peer),
        "n_components_": ours.n_components_,
    }


def real(asked: argparse.Namespace) -> Rows:
    """Nats per held-out row of real tables in standard units. Medians over seeds."""
    if asked.data is None:
        print("real: skipped, for --data names no folder with the tables")
        return
    for name, K, folds in islice(real_tables(asked.data), 1 if asked.quick else None):
        seeds = range(2 if asked.quick else 5)
        found = [mean_of_folds(folds, K, seed) for seed in seeds]
        medians = {who: nats(np.median([seed[who] for seed in found])) for who in found[0]}
        yield {"problem": f"{name}, K={K}", **medians}


def real_tables(folder: Path) -> Iterator[tuple[str, int, list[tuple[Array, Array]]]]:
    """Tables with numbers of components and pairs of rows, those to fit to and those to score."""
    for name, K in ("sonar", 3), ("sonar", 8), ("redwine", 10):
        with np.load(folder / f"{name}.npz") as data:
            X = standardized(data["X"].astype(float))
        folds = KFold(5, shuffle=True, random_state=0).split(X)
        yield name, K, [(X[train], X[test]) for train, test in folds]
    with np.load(folder / "oil_flow.npz") as data:
        parts = [data[key].astype(float) for key in ("X_train", "X_test")]
    center, scale = parts[0].mean(axis=0), parts[0].std(axis=0)
    train, test = ((part - center) / scale for part in parts)
    yield "oil flow", 10, [(train, test)]


def mean_of_folds(folds: list[tuple[Array, Array]], K: int, seed: int) -> dict[str, float]:
    """Nats per held-out row of each contender, a mean over folds."""
    scores = [held_out(train, test, K, seed) for train, test in folds]
    return {who: float(np.mean([score[who] for score in scores])) for who in scores[0]}


def held_out(train: Array, test: Array, K: int, seed: int) -> dict[str, float]:
    given = {"n_components": K, "random_state": seed}
    peer = BayesianGaussianMixture(**given, max_iter=1000).fit(train)
    ours = {
        f"ours, priors={priors}": VariationalGaussianMixture(**given, priors=priors)
        for priors in ("fixed", "empirical")
    }
    return {
        "its score": peer.score(test),
        "its Student-t": student_score(peer, test),
        **{name: model.fit(train).score(test) for name, model in ours.items()},
    }


TABLES = {table.__name__: table for table in (steps, default, real)}


def main(arguments: list[str]) -> None:
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, help="where sonar, redwine and oil_flow.npz are")
    parser.add_argument("tables", nargs="*", choices=[*TABLES, []], metavar="TABLE")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    tables = {}
    with threadpool_limits(asked.threads):
        for name in asked.tables or TABLES:
            tables[name] = list(TABLES[name](asked))
            if tables[name]:
                print(f"\n{name}: {TABLES[name].__doc__}\n{show(tables[name])}", flush=True)
    write(asked.json, asked.threads, tables)


if __name__ == "__main__":
    main(sys.argv[1:])
