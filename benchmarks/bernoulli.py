"""Are mixtures of coins faster here than elsewhere at the same likelihood, and do they predict better?

    python benchmarks/bernoulli.py [--data PATH] [--threads N] [--repeats R] [--quick] [--json PATH]

Four questions. Fixed: how long do a given number of plain EM steps take, from the start of the peer,
with the same likelihood at the end? Default: how long does it take by default to reach the likelihood
at which the peer ended? Sparse: how much faster are sparse rows than the same rows dense? Data: how
likely are held-out rows of real binary tables, the number of components and the prior being chosen by
other rows? These tables are looked for under --data; where one is missing a line says so. The peer is
StepMix.
"""

import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import installed, interleave, options, show, write
from scipy.sparse import csr_array
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_lvm import BernoulliMixture, BetaBernoulli

Array = np.ndarray
Prior = float | str
TABLES = ("nltcs", "plants", "jester")
COMPONENTS = (1, 10, 50, 200)
PRIORS = (1.25, 1.5, 2.0)
DEFAULT_PRIOR = "auto"
SEEDS = 3  # starts lead to other optima
INSIDE = 1e-12  # how far from 0 and 1 probabilities are kept where likelihoods are computed


def binary_rows(n: int, d: int, K: int, seed: int = 0) -> Array:
    """Rows from K rows of coins, many of them far from fair."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.8, 0.8, size=(K, d))
    return (rng.uniform(size=(n, d)) < p[rng.integers(K, size=n)]).astype(float)


def stepmix(X: Array, K: int, steps: int) -> Any:
    from stepmix import StepMix

    settings = {"abs_tol": 0, "rel_tol": 0, "progress_bar": 0, "random_state": 0}
    return StepMix(K, measurement="binary", max_iter=steps, **settings).fit(X)


def start_of_stepmix(X: Array, K: int) -> dict[str, Array]:
    """The probabilities that the peer's first M-step gives, to start from as well."""
    fitted = stepmix(X, K, 1)
    p = fitted.get_parameters()["measurement"]["pis"]
    return {"weights_init": fitted.get_parameters()["weights"], "probabilities_init": p}


def ours(X: Any, K: int, steps: int, start: dict[str, Array]) -> BernoulliMixture:
    settings = {"inference": "mle", "tol": 0.0, "acceleration": None}
    return BernoulliMixture(K, max_iter=steps, **settings, **start).fit(X)


def log_likelihood(X: Array, fitted: Any) -> float:
    """Nats per row, computed by one function for all contenders."""
    if isinstance(fitted, BernoulliMixture):
        weights, p = fitted.weights_, fitted.probabilities_
    else:
        found = fitted.get_parameters()
        weights, p = found["weights"], found["measurement"]["pis"]
    p = np.clip(p, INSIDE, 1 - INSIDE)
    joint = X @ np.log(p).T + (1 - X) @ np.log1p(-p).T + np.log(weights)
    return float(np.logaddexp.reduce(joint, axis=1).mean())


def timed(X: Array, runs: dict[str, Callable[[], Any]], repeats: int) -> list[dict[str, Any]]:
    """A row for each contender, with times as multiples of the first."""
    timings = interleave(runs, repeats)
    own = next(iter(timings.values()))
    return [
        {
            "rows x columns": f"{X.shape[0]} x {X.shape[1]}",
            "contender": name,
            "wall [s]": timing.wall,
            "cpu [s]": timing.cpu,
            "cpu / ours": timing.cpu / own.cpu,
            "log-lik. [nats/row]": f"{log_likelihood(X, timing.result):.6f}",
        }
        for name, timing in timings.items()
    ]


def fixed(quick: bool, repeats: int) -> list[dict[str, Any]]:
    """The same steps from the same start; the peer's first step is its start."""
    K, steps = 20, 20
    X = binary_rows(2_000 if quick else 100_000, 100, K)
    start = start_of_stepmix(X, K)
    runs = {
        "sklearn_lvm": partial(ours, X, K, steps - 1, start),
        "sklearn_lvm, bool rows": partial(ours, X.astype(bool), K, steps - 1, start),
        "StepMix": partial(stepmix, X, K, steps),
    }
    return timed(X, runs, repeats)


def default(quick: bool, repeats: int) -> list[dict[str, Any]]:
    """All defaults, to an end that must be as likely as that of the peer's 20 steps."""
    K, X = 20, binary_rows(2_000 if quick else 100_000, 100, 20)
    runs = {
        "sklearn_lvm": lambda: BernoulliMixture(K, random_state=0).fit(X),
        "StepMix": partial(stepmix, X, K, 20),
    }
    return timed(X, runs, repeats)


def sparse(quick: bool, repeats: int) -> list[dict[str, Any]]:
    """Rows of which 2 % of the entries are ones."""
    rows = []
    for d in (100, 1_000):
        n, K = (2_000 if quick else 5_000_000 // d), 20
        rng = np.random.default_rng(0)
        X = (rng.uniform(size=(n, d)) < 0.02).astype(float)
        p = rng.uniform(0.005, 0.04, size=(K, d))
        start = {"weights_init": np.full(K, 1 / K), "probabilities_init": p}
        runs = {
            "sparse rows": partial(ours, csr_array(X), K, 10, start),
            "dense rows": partial(ours, X, K, 10, start),
        }
        rows += timed(X, runs, repeats)
    return rows


def real(name: str, path: Path, quick: bool) -> list[dict[str, Any]]:
    """Held-out likelihood: K by the validation rows, and the prior by default or by them too."""
    parts = np.load(path)
    train, valid, test = (parts[part] for part in ("train", "valid", "test"))
    single = BetaBernoulli(binarize=None).fit(train)
    rows = [_held_out(name, "BetaBernoulli", [(1, 1.0, single.score(valid), single.score(test))])]
    seeds = range(1 if quick else SEEDS)
    for what, priors in (
        ("default prior", (DEFAULT_PRIOR,)),
        ("prior by the validation rows", PRIORS),
    ):
        chosen = [_chosen(train, valid, test, priors, seed, quick) for seed in seeds]
        rows.append(_held_out(name, f"BernoulliMixture, {what}", chosen))
    return rows


def _chosen(
    train: Array, valid: Array, test: Array, priors: tuple[Prior, ...], seed: int, quick: bool
) -> tuple[int, Prior, float, float]:
    """K and prior that the validation rows choose, and the mean log-likelihoods of these and others."""
    settings = {"binarize": None, "random_state": seed}
    fits = {
        (K, prior): BernoulliMixture(K, alpha=prior, beta=prior, **settings).fit(train)
        for K in COMPONENTS[: 2 if quick else None]
        for prior in priors
    }
    heights = {key: fit.score(valid) for key, fit in fits.items()}
    best = max(heights, key=heights.__getitem__)
    return *best, heights[best], fits[best].score(test)


def _held_out(
    name: str, model: str, chosen: list[tuple[int, Prior, float, float]]
) -> dict[str, Any]:
    """A row of the table: what was chosen with each seed, and means over the seeds."""
    K, prior, valid, test = zip(*chosen, strict=True)
    return {
        "table": name,
        "model": model,
        "K": ", ".join(map(str, K)),
        "alpha=beta": ", ".join(map(str, prior)),
        "validation": f"{np.mean(valid):.3f}",
        "test": f"{np.mean(test):.3f}",
        "lowest": f"{min(test):.3f}",
        "highest": f"{max(test):.3f}",
    }


def draw(path: Path, table: Path) -> None:
    """The coins that are learned from a table, as a picture."""
    import matplotlib.pyplot as plt
    from scipy.cluster.hierarchy import leaves_list, linkage

    mixture = BernoulliMixture(10, binarize=None, random_state=0).fit(np.load(table)["train"])
    p = mixture.probabilities_[np.argsort(-mixture.weights_)]
    columns = leaves_list(linkage(p.T, "average", optimal_ordering=True))
    figure, axes = plt.subplots(figsize=(7, 1.6), layout="constrained")
    axes.imshow(p[:, columns], cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.set(xlabel="column", ylabel="set of coins", xticks=[], yticks=[])
    figure.savefig(path, dpi=120)


def main() -> int:
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data"), help="where NPZ tables are")
    parser.add_argument("--picture", type=Path, help="where to draw the learned coins of plants")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    tables: dict[str, list[dict[str, Any]]] = {}
    with threadpool_limits(given.threads):
        if installed("stepmix"):
            tables["fixed"] = fixed(given.quick, given.repeats)
            print("20 EM steps from one start", show(tables["fixed"]), sep="\n", end="\n\n")
            tables["default"] = default(given.quick, given.repeats)
            print(
                "Defaults, beside 20 steps of the peer",
                show(tables["default"]),
                sep="\n",
                end="\n\n",
            )
        tables["sparse"] = sparse(given.quick, given.repeats)
        print("10 EM steps, 2 % ones", show(tables["sparse"]), sep="\n", end="\n\n")
        held_out: list[dict[str, Any]] = []
        for name in TABLES:
            path = given.data / f"{name}.npz"
            if path.is_file():
                held_out += real(name, path, given.quick)
            else:
                print(f"{path} is missing: skipped")
        if held_out:
            print("Held-out nats per row", show(held_out), sep="\n")
            tables["data"] = held_out
    if given.picture is not None and (given.data / "plants.npz").is_file():
        draw(given.picture, given.data / "plants.npz")
    write(given.json, given.threads, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
