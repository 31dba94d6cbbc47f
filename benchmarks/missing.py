"""What do missing entries cost, and how well are they filled in?

    python benchmarks/missing.py [TABLE ...] [--data PATH] [--threads N] [--repeats R] [--quick]

Tables, all of them unless some are named:

quality   mean squared error on hidden cells of real tables in standard units, beside scikit-learn
steps     one step of EM with a fifth of the cells missing, beside a loop over the rows
holes     one step of EM for a mixture, by how much is missing, beside one on complete rows
fits      whole fits that fill a table in, beside scikit-learn's IterativeImputer
coverage  how often a hidden cell is inside the central 90 % of its draws

For quality a share of all cells is hidden completely at random, by the published mask (seed 1234) and
by others. The number of components is that whose cross-validated log-density of observed entries is the
highest; hidden cells are looked at by nobody. ``--data`` names a folder with redwine.npz and
concrete.npz.
"""

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import Timing, interleave, options, show, write
from em_problems import blobs
from missing_problems import (
    PUBLISHED,
    TABLES,
    Array,
    GaussianLoop,
    PPCALoop,
    hidden,
    near_a_plane,
    standardized_tables,
    with_incomplete_rows,
    without_cells,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from sklearn_lvm import (
    PPCA,
    DensityImputer,
    EMGaussianMixture,
    VariationalGaussianMixture,
)

Rows = Iterator[dict[str, Any]]
SHARES = 0.5, 0.2
OTHER_MASKS = range(5)
COMPONENTS = list(range(1, 7))
PEER, OURS = "IterativeImputer", "DensityImputer"
FEW_STEPS, MANY_STEPS = 5, 15
N_COMPONENTS = 5  # of the mixture of which the steps are timed
# How precisions of features, (K, d), are given to a mixture.
PRECISIONS: dict[str, Callable[[Array], Array]] = {
    "full": lambda precision: precision[:, :, None] * np.eye(precision.shape[1]),
    "diag": lambda precision: precision,
}
N_DRAWS, LOW, HIGH = (
    59,
    2,
    56,
)  # a 60th lies between the third and the third last with probability 0.9


# -- quality ------------------------------------------------------------------------------------------


def iterative() -> IterativeImputer:
    return IterativeImputer(BayesianRidge(), max_iter=20, random_state=0)


def chosen(incomplete: Array, quick: bool) -> EMGaussianMixture:
    """The mixture whose observed entries of held-out rows are the most likely, not fitted."""
    grid = {"n_components": COMPONENTS[: 2 if quick else None]}
    search = GridSearchCV(EMGaussianMixture(random_state=0), grid, refit=False)
    return EMGaussianMixture(**search.fit(incomplete).best_params_, random_state=0)


def errors(X: Array, incomplete: Array, quick: bool) -> dict[str, float]:
    """Mean squared errors on the hidden cells, and how many components were chosen."""
    missing, mixture = np.isnan(incomplete), chosen(incomplete, quick)
    imputers = {
        "mean": SimpleImputer(),
        "KNNImputer": KNNImputer(),
        PEER: iterative(),
        "one Gaussian": DensityImputer(EMGaussianMixture()),
        OURS: DensityImputer(mixture),
    }
    found = {
        name: float(((imputer.fit_transform(incomplete) - X)[missing] ** 2).mean())
        for name, imputer in imputers.items()
    }
    return found | {"K": mixture.n_components}


def quality(asked: argparse.Namespace) -> Rows:
    """Mean squared error on hidden cells, in standard units: the published mask, and others."""
    names = tuple(TABLES)[:2] if asked.quick else tuple(TABLES)
    for share in SHARES[: 1 if asked.quick else None]:
        for name, X in standardized_tables(asked.data, names).items():
            X = X[:100] if asked.quick else X
            found = {
                seed: errors(X, hidden(X, seed, share), asked.quick)
                for seed in (PUBLISHED, *OTHER_MASKS[: 2 if asked.quick else None])
            }
            first = found.pop(PUBLISHED)
            row = {"table": name, "hidden": f"{share:.0%}"}
            yield (
                row
                | {"masks": f"seed {PUBLISHED}"}
                | first
                | {"minus peer": first[OURS] - first[PEER]}
            )
            yield row | over_masks(list(found.values()))


def of_mask(found: dict[str, float]) -> dict[str, Any]:
    """Errors by the published mask."""
    return {"masks": f"seed {PUBLISHED}", **found, "minus peer": found[OURS] - found[PEER]}


def over_masks(found: list[dict[str, float]]) -> dict[str, Any]:
    """Means and spreads over masks, and the mean difference to the peer with its standard error."""
    values = {name: np.array([each[name] for each in found]) for name in found[0]}
    difference, K = values[OURS] - values[PEER], values.pop("K")
    error = difference.std(ddof=1) / np.sqrt(len(found))
    return {
        "masks": f"{len(found)} others",
        **{name: f"{each.mean():.3f} ({each.std(ddof=1):.3f})" for name, each in values.items()},
        "K": ", ".join(map(str, K)),
        "minus peer": f"{difference.mean():+.3f} ± {error:.3f}",
    }


# -- steps --------------------------------------------------------------------------------------------


def per_step(timings: dict[str, Timing], clock: str, who: str = "") -> float:
    """Milliseconds of one step: those of a long fit less a short one, so that no start is in them."""
    many, few = (getattr(timings[f"{who}{what} steps"], clock) for what in ("many", "few"))
    return float(1e3 * (many - few) / (MANY_STEPS - FEW_STEPS))


def gaussian_fit(X: Array, n_steps: int) -> EMGaussianMixture:
    """Plain steps of one Gaussian from the variances of the columns."""
    start = {"means_init": np.nanmean(X, axis=0)[None], "weights_init": [1.0]}
    start["precisions_init"] = np.diag(1.0 / np.nanvar(X, axis=0))[None]
    given = {"covariance_prior": None, "tol": 0.0, "acceleration": None, "max_iter": n_steps}
    return EMGaussianMixture(1, **given, **start).fit(X)


def gaussian_loop(model: EMGaussianMixture) -> GaussianLoop:
    return GaussianLoop(model.means_[0], model.covariances_[0])


def ppca_fit(q: int, X: Array, n_steps: int) -> PPCA:
    """Steps of principal components as they are taken by default."""
    return PPCA(q, solver="em", tol=0.0, max_iter=n_steps, random_state=0).fit(X)


def ppca_loop(model: PPCA) -> PPCALoop:
    return PPCALoop(model.loadings_, model.mean_, model.noise_variance_)


def step_problems(quick: bool) -> Iterator[tuple[str, Array, Callable, Callable]]:
    """Names, rows, fits of a number of steps, and loops at fitted parameters."""
    for n, d, q in [(20_000, 20, 5), (5_000, 100, 10)]:
        X = without_cells(near_a_plane(n // 20 if quick else n, d, q), 0.2)
        yield f"Gaussian {len(X)} x {d}", X, gaussian_fit, gaussian_loop
        yield f"PPCA {len(X)} x {d}, q={q}", X, partial(ppca_fit, q), ppca_loop


def steps(asked: argparse.Namespace) -> Rows:
    """One step of EM with 20 % of the cells missing, in milliseconds, beside a loop over the rows."""
    for name, X, fit, loop in step_problems(asked.quick):
        model = fit(X, MANY_STEPS)
        runs = {
            "loop": partial(loop(model).step, X),
            "few steps": partial(fit, X, FEW_STEPS),
            "many steps": partial(fit, X, MANY_STEPS),
        }
        timings = interleave(runs, asked.repeats)
        by_rows, wall = timings["loop"], per_step(timings, "wall")
        yield {
            "model": name,
            "a loop [ms]": 1e3 * by_rows.wall,
            "ours [ms]": wall,
            "wall ratio": 1e3 * by_rows.wall / wall,
            "cpu ratio": 1e3 * by_rows.cpu / per_step(timings, "cpu"),
            "its score [nats/row]": f"{by_rows.result[0] / len(X):.9f}",
            "ours": f"{model.score(X):.9f}",
        }


# -- what holes cost ----------------------------------------------------------------------------------


def mixture_fit(X: Array, complete: Array, kind: str, n_steps: int) -> EMGaussianMixture:
    """Plain steps of a mixture from rows of the complete table, with the variances of all rows."""
    K = N_COMPONENTS
    precision = np.tile(1.0 / complete.var(axis=0), (K, 1))
    start = {
        "weights_init": np.full(K, 1.0 / K),
        "means_init": complete[:: len(complete) // K][:K],
        "precisions_init": PRECISIONS[kind](precision),
    }
    given = {"covariance_prior": None, "tol": 0.0, "acceleration": None, "max_iter": n_steps}
    return EMGaussianMixture(K, covariance_type=kind, **given, **start).fit(X)


def holes(asked: argparse.Namespace) -> Rows:
    """One step of EM for five Gaussians, in CPU milliseconds, and as multiples of complete rows."""
    n = 2_000 if asked.quick else 20_000
    for kind in PRECISIONS:
        for d in (10, 20):
            X = blobs(n, d, N_COMPONENTS)
            tables = {
                "complete": X,
                "10 % of rows": with_incomplete_rows(X, 0.1, 0.2),
                "10 % of cells": without_cells(X, 0.1),
                "20 % of cells": without_cells(X, 0.2),
            }
            runs = {
                f"{name}, {what} steps": partial(mixture_fit, rows, X, kind, n_steps)
                for name, rows in tables.items()
                for what, n_steps in (("few", FEW_STEPS), ("many", MANY_STEPS))
            }
            timings = interleave(runs, asked.repeats)
            taken = {name: per_step(timings, "cpu", f"{name}, ") for name in tables}
            yield {
                "covariance": kind,
                "rows x features": f"{n} x {d}",
                "complete [ms]": taken["complete"],
                **{f"{name} [x]": taken[name] / taken["complete"] for name in list(tables)[1:]},
            }


# -- whole fits ---------------------------------------------------------------------------------------


def completed(make: Callable[[], Any], incomplete: Array) -> Array:
    return make().fit_transform(incomplete)


def fits(asked: argparse.Namespace) -> Rows:
    """Whole fits that fill in a table of which half is hidden (seed 1234), in milliseconds."""
    names = ("breast cancer",) if asked.quick else ("breast cancer", "concrete")
    for name, X in standardized_tables(asked.data, names).items():
        incomplete = hidden(X, PUBLISHED)
        imputers: dict[str, Callable[[], Any]] = {
            f"K={K}": partial(DensityImputer, EMGaussianMixture(K, random_state=0))
            for K in sorted({1, 3, chosen(incomplete, asked.quick).n_components})
        }
        imputers[PEER] = partial(IterativeImputer, BayesianRidge(), random_state=0)
        imputers[f"{PEER}, max_iter=20"] = iterative
        runs = {key: partial(completed, make, incomplete) for key, make in imputers.items()}
        timings = interleave(runs, asked.repeats)
        for key, timing in timings.items():
            error = (timing.result - X)[np.isnan(incomplete)]
            yield {
                "table": name,
                "contender": key,
                "wall [ms]": 1e3 * timing.wall,
                "cpu [ms]": 1e3 * timing.cpu,
                f"{PEER} / it": timings[PEER].cpu / timing.cpu,
                "mean squared error": float((error**2).mean()),
            }


# -- coverage -----------------------------------------------------------------------------------------


def covered(model: Any, X: Array, incomplete: Array, parameter_draws: bool, seed: int) -> float:
    """The share of hidden cells inside the central interval of their draws."""
    missing = np.isnan(incomplete)
    tables = model.fit(incomplete).impute(
        incomplete, n_draws=N_DRAWS, parameter_draws=parameter_draws, random_state=seed
    )
    drawn = np.sort([table[missing] for table in tables], axis=0)
    return float(((drawn[LOW] < X[missing]) & (X[missing] < drawn[HIGH])).mean())


def correlated(n: int, d: int, seed: int) -> tuple[Array, Array]:
    """Gaussian rows, and these with a fifth of the cells hidden."""
    state = np.random.RandomState(seed)
    X = state.normal(size=(n, d)) @ state.normal(size=(d, d))
    return X, without_cells(X, 0.2, seed)


def coverage(asked: argparse.Namespace) -> Rows:
    """The share of hidden cells inside the central 90 % of their draws, a mean over tables."""
    models = {
        "by likelihood": EMGaussianMixture(1, covariance_prior=None, random_state=0),
        "by default": EMGaussianMixture(1, random_state=0),
        "variational": VariationalGaussianMixture(1, random_state=0),
    }
    for n, d, n_tables in [(500, 5, 4), (100, 5, 16), (100, 20, 4)]:
        tables = [correlated(n, d, seed) for seed in range(2 if asked.quick else n_tables)]
        for name, model in models.items():
            row = {"one Gaussian": name, "rows x columns": f"{n} x {d}", "tables": len(tables)}
            for what, parameter_draws in (("fitted parameters", False), ("parameter draws", True)):
                shares = [
                    covered(model, *table, parameter_draws, seed)
                    for seed, table in enumerate(tables)
                ]
                error = np.std(shares, ddof=1) / np.sqrt(len(shares))
                row[what] = f"{np.mean(shares):.3f} ± {error:.3f}"
            yield row


CHOICES = {table.__name__: table for table in (quality, steps, holes, fits, coverage)}


def main(arguments: list[str]) -> None:
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="where NPZ tables are")
    parser.add_argument("tables", nargs="*", choices=[*CHOICES, []], metavar="TABLE")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    tables = {}
    with threadpool_limits(asked.threads):
        for name in asked.tables or CHOICES:
            tables[name] = list(CHOICES[name](asked))
            if tables[name]:
                print(f"\n{name}: {CHOICES[name].__doc__}\n{show(tables[name])}", flush=True)
    write(asked.json, asked.threads, tables)


if __name__ == "__main__":
    main(sys.argv[1:])
