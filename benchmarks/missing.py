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
from sklearn.model_selection import GridSearchCV, KFold
from threadpoolctl import threadpool_limits

from sklearn_lvm import (
    PPCA,
    BayesianGaussian,
    DensityImputer,
    EMGaussianMixture,
    GaussianMLE,
)

Rows = Iterator[dict[str, Any]]
SHARES = 0.5, 0.2
OTHER_MASKS = range(5)
COMPONENTS = range(1, 9)
PEER, OURS = "IterativeImputer", "DensityImputer"
FEW_STEPS, MANY_STEPS = 5, 15
N_DRAWS, LOW, HIGH = 99, 4, 94  # the 5th and the 95th of 99 draws hold a 100th with probability 0.9


# -- quality ------------------------------------------------------------------------------------------


def iterative() -> IterativeImputer:
    return IterativeImputer(BayesianRidge(), max_iter=20, random_state=0)


def chosen(incomplete: Array, quick: bool) -> EMGaussianMixture:
    """The mixture whose observed entries of held-out rows are the most likely, not fitted."""
    folds = KFold(5, shuffle=True, random_state=0)
    grid = {"n_components": list(COMPONENTS)[: 2 if quick else None]}
    search = GridSearchCV(EMGaussianMixture(random_state=0), grid, cv=folds, refit=False)
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
            yield row | {"masks": f"seed {PUBLISHED}"} | first | {"minus peer": first[OURS] - first[PEER]}
            yield row | over_masks(list(found.values()))


def over_masks(found: list[dict[str, float]]) -> dict[str, Any]:
    """Means and spreads over masks, and the mean difference to the peer with its standard error."""
    difference = np.array([each[OURS] - each[PEER] for each in found])
    error = difference.std(ddof=1) / np.sqrt(len(found))
    return {
        "masks": f"{len(found)} others",
        **{
            name: with_error([each[name] for each in found], np.std)
            for name in found[0]
            if name != "K"
        },
        "K": ", ".join(str(each["K"]) for each in found),
        "minus peer": f"{difference.mean():+.3f} ± {error:.3f}",
    }


def with_error(values: list[float], spread: Callable[..., Any]) -> str:
    return f"{np.mean(values):.3f} ({spread(values):.3f})"


# -- steps --------------------------------------------------------------------------------------------


def per_step(timings: dict[str, Timing], clock: str, n_steps: int) -> float:
    """Milliseconds of one step: a long fit less a short one, so that no start is in them."""
    many, few = (getattr(timings[f"{name} steps"], clock) for name in ("many", "few"))
    return float(1e3 * (many - few) / n_steps)


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
        few, many = (fit(X, n) for n in (FEW_STEPS, MANY_STEPS))
        by_rows = loop(many)
        runs = {
            "loop": partial(by_rows.step, X),
            "few steps": partial(fit, X, FEW_STEPS),
            "many steps": partial(fit, X, MANY_STEPS),
        }
        timings = interleave(runs, asked.repeats)
        n_steps = many.n_iter_ - few.n_iter_
        ours = {clock: per_step(timings, clock, n_steps) for clock in ("wall", "cpu")}
        yield {
            "model": name,
            "a loop [ms]": 1e3 * timings["loop"].wall,
            "ours [ms]": ours["wall"],
            "wall ratio": 1e3 * timings["loop"].wall / ours["wall"],
            "cpu ratio": 1e3 * timings["loop"].cpu / ours["cpu"],
            "its score [nats/row]": f"{timings['loop'].result[0] / len(X):.9f}",
            "ours": f"{many.score(X):.9f}",
        }


# -- what holes cost ----------------------------------------------------------------------------------


def mixture_fit(X: Array, complete: Array, K: int, covariance_type: str, n_steps: int) -> Any:
    """Plain steps of a mixture from rows of the table, with the variances of all rows."""
    d = X.shape[1]
    precision = 1.0 / complete.var(axis=0)
    forms = {"full": np.diag(precision)[None].repeat(K, axis=0), "diag": np.tile(precision, (K, 1))}
    start = {
        "weights_init": np.full(K, 1.0 / K),
        "means_init": complete[:: len(complete) // K][:K],
        "precisions_init": forms[covariance_type].reshape((K,) + (d,) * (1 + (covariance_type == "full"))),
    }
    given = {"covariance_prior": None, "tol": 0.0, "acceleration": None, "max_iter": n_steps}
    model = EMGaussianMixture(K, covariance_type=covariance_type, **given, **start)
    return model.fit(X)


def holes(asked: argparse.Namespace) -> Rows:
    """One step of EM for a mixture of five Gaussians, in milliseconds, and relative to complete rows."""
    K, n = 5, 2_000 if asked.quick else 20_000
    for covariance_type in ("full", "diag"):
        for d in (10, 20):
            X = blobs(n, d, K)
            tables = {
                "complete": X,
                "10 % of rows": with_incomplete_rows(X, 0.1, 0.2),
                "10 % of cells": without_cells(X, 0.1),
                "20 % of cells": without_cells(X, 0.2),
            }
            runs = {
                f"{name}, {n_steps}": partial(mixture_fit, rows, X, K, covariance_type, n_steps)
                for name, rows in tables.items()
                for n_steps in (FEW_STEPS, MANY_STEPS)
            }
            timings = interleave(runs, asked.repeats)
            taken = {
                name: 1e3
                * (timings[f"{name}, {MANY_STEPS}"].cpu - timings[f"{name}, {FEW_STEPS}"].cpu)
                / (MANY_STEPS - FEW_STEPS)
                for name in tables
            }
            yield {
                "covariance": covariance_type,
                "rows x features": f"{n} x {d}",
                "rows with holes": f"{np.isnan(tables['10 % of cells']).any(axis=1).mean():.0%}",
                "complete [ms]": taken["complete"],
                **{f"{name} [x]": taken[name] / taken["complete"] for name in list(tables)[1:]},
            }


# -- whole fits ---------------------------------------------------------------------------------------


def fits(asked: argparse.Namespace) -> Rows:
    """Whole fits that fill in a table of which half is hidden (seed 1234), in milliseconds."""
    names = ("breast cancer",) if asked.quick else ("breast cancer", "concrete")
    for name, X in standardized_tables(asked.data, names).items():
        incomplete = hidden(X, PUBLISHED)
        numbers = sorted({1, 3, chosen(incomplete, asked.quick).n_components})
        imputers = {f"K={K}": partial(DensityImputer, EMGaussianMixture(K, random_state=0)) for K in numbers}
        imputers |= {PEER: partial(IterativeImputer, BayesianRidge(), random_state=0)}
        imputers |= {f"{PEER}, 20 rounds": iterative}
        runs = {
            key: lambda make=make: make().fit_transform(incomplete) for key, make in imputers.items()
        }
        timings = interleave(runs, asked.repeats)
        for key, timing in timings.items():
            error = (timing.result - X)[np.isnan(incomplete)]
            yield {
                "table": name,
                "contender": key,
                "wall [ms]": 1e3 * timing.wall,
                "cpu [ms]": 1e3 * timing.cpu,
                f"{PEER} / it": timings[PEER].wall / timing.wall,
                "mean squared error": float((error**2).mean()),
            }


# -- coverage -----------------------------------------------------------------------------------------


def covered(model: Any, X: Array, incomplete: Array, parameter_draws: bool, seed: int) -> Array:
    """Which hidden cells are inside the central interval of their draws."""
    missing = np.isnan(incomplete)
    tables = model.fit(incomplete).impute(
        incomplete, n_draws=N_DRAWS, parameter_draws=parameter_draws, random_state=seed
    )
    drawn = np.sort([table[missing] for table in tables], axis=0)
    return (drawn[LOW] < X[missing]) & (X[missing] < drawn[HIGH])


def coverage(asked: argparse.Namespace) -> Rows:
    """The share of hidden cells inside the central 90 % of 99 draws: correlated Gaussian columns."""
    models = {
        "GaussianMLE": GaussianMLE(),
        "BayesianGaussian": BayesianGaussian(),
        "EMGaussianMixture(1)": EMGaussianMixture(1, random_state=0),
    }
    n_tables = 2 if asked.quick else 10
    for n, d in [(500, 5), (100, 5), (100, 20)]:
        tables = [near_a_plane(n, d, max(d // 4, 2), seed) for seed in range(n_tables)]
        for name, model in models.items():
            row = {"model": name, "rows x columns": f"{n} x {d}", "cells": 0}
            for parameter_draws in (False, True):
                found = [
                    covered(model, X, without_cells(X, 0.3, seed), parameter_draws, seed)
                    for seed, X in enumerate(tables)
                ]
                shares = [float(each.mean()) for each in found]
                error = np.std(shares, ddof=1) / np.sqrt(n_tables)
                what = "parameter draws" if parameter_draws else "plug-in"
                row |= {"cells": sum(map(len, found)), what: f"{np.mean(shares):.3f} ± {error:.3f}"}
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
