"""Do covariances of low rank predict better than full and diagonal ones, and what do they cost?

    python benchmarks/low_rank.py [TABLE ...] [--data PATH] [--threads N] [--quick] [--json PATH]

Tables, all of them unless some are named:

quality  log-densities of rows that no fit has seen, in nats per row in standard units, by K
time     what these fits took
many     tables of many columns: time, memory beside the rows, and size of a pickle

Mixtures are fitted by likelihood, with each of several reg_covar, of which the best is shown; with
a given prior of some pseudo-rows; or with all defaults. ``--data`` names a folder with redwine.npz,
sonar.npz and oil_flow.npz.
"""

import argparse
import json
import os
import subprocess
import sys
import time as clock
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import options, show, write
from low_rank_problems import Parameters, Split, Table, contenders, tables
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_lvm import EMGaussianMixture

Rows = Iterator[dict[str, Any]]


# -- quality and time ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fits:
    """What the fits to all splits of a table gave."""

    scores: list[float]
    seconds: list[float]
    n_factors: list[int]

    @property
    def score(self) -> float:
        return float(np.mean(self.scores))

    @property
    def shown(self) -> str:
        """The mean score, and the numbers of factors if these were chosen."""
        chosen = sorted({str(q) for q in self.n_factors}, key=int)
        return f"{self.score:.2f}" + (f" (q={','.join(chosen)})" if chosen else "")


def fitted(parameters: Parameters, split: Split) -> tuple[EMGaussianMixture, float]:
    """A mixture, and the CPU seconds that it took."""
    started = clock.process_time()
    mixture = EMGaussianMixture(**parameters, random_state=split.seed).fit(split.train)
    return mixture, clock.process_time() - started


def fits(parameters: Parameters, table: Table) -> Fits:
    found = Fits([], [], [])
    for split in table.splits:
        mixture, seconds = fitted(parameters, split)
        found.scores.append(mixture.score(split.test))
        found.seconds.append(seconds)
        if "n_factors" not in parameters and hasattr(mixture, "n_factors_"):
            found.n_factors.append(mixture.n_factors_)
    return found


def best(candidates: list[Parameters], K: int, table: Table) -> tuple[Fits, Parameters]:
    """The candidate of the highest mean score."""
    found = [(fits({"n_components": K} | given, table), given) for given in candidates]
    return max(found, key=lambda each: each[0].score)


def measured(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """All fits, once for both tables: a row for each table, K and mixture."""
    if not hasattr(asked, "fits"):
        asked.fits = []
        for table in tables(asked.data, asked.quick):
            for K, q in table.sizes:
                for name, candidates in contenders(table, K, q).items():
                    found, given = best(candidates, K, table)
                    row = {"table": table.name, "K": K, "q": q, "mixture": name, "fits": found}
                    asked.fits.append(row | {"reg_covar": given.get("reg_covar")})
                    print(f"{table.name}, K={K}: {name} {found.shown}", file=sys.stderr, flush=True)
    return list(asked.fits)


def side_by_side(asked: argparse.Namespace, value: Any) -> Rows:
    """A row for each table and K, with one value for each mixture."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for each in measured(asked):
        first = {"table": each["table"], "K": each["K"], "q": each["q"]}
        rows.setdefault((each["table"], each["K"]), first)[each["mixture"]] = value(each)
    yield from rows.values()


def quality(asked: argparse.Namespace) -> Rows:
    """Mean log-density of rows that no fit has seen, in nats per row in standard units."""

    def shown(each: dict[str, Any]) -> str:
        among_several = each["mixture"].endswith("best reg_covar")
        return each["fits"].shown + (f" ({each['reg_covar']:g})" if among_several else "")

    yield from side_by_side(asked, shown)


def time(asked: argparse.Namespace) -> Rows:
    """CPU seconds of a fit, a mean over the fits of a table."""
    yield from side_by_side(asked, lambda each: float(np.mean(each["fits"].seconds)))


# -- many columns -------------------------------------------------------------------------------------

MANY = """
import ctypes, json, pickle, sys, time, warnings
sys.path[:0] = {path!r}
warnings.simplefilter("ignore")
from low_rank_problems import factor_rows
from sklearn_lvm import EMGaussianMixture
X, new = factor_rows(2 * {n}, {d}, {q}, {K}).reshape(2, {n}, {d})
mixture = EMGaussianMixture({K}, {given}, random_state=0)
EMGaussianMixture({K}, {given}, random_state=0).fit(X[:200, :20])  # what is imported must not count
def forget():
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")
def megabytes(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1000
def measured(work):
    forget()
    before, started = megabytes("VmRSS"), time.perf_counter()
    result = work()
    return result, time.perf_counter() - started, megabytes("VmHWM") - before
_, fit, fit_memory = measured(lambda: mixture.fit(X))
score, scored, score_memory = measured(lambda: mixture.score(new))
print(json.dumps({{
    "steps": mixture.n_iter_,
    "fit [s]": fit,
    "fit [MB]": fit_memory,
    "score [s]": scored,
    "score [MB]": score_memory,
    "pickle [MB]": len(pickle.dumps(mixture)) / 1e6,
    "nats per new row": score,
}}))
"""
BY_LIKELIHOOD = "covariance_prior=None, reg_covar=1e-3"
MAX_FULL = 1000  # columns; twenty full covariances of 4096 take gigabytes


def many(asked: argparse.Namespace) -> Rows:
    """Many columns, each fit in a process of its own; memory is that beside the rows (Linux)."""
    shapes = [(2_000, 100, 5, 5), (2_000, 784, 5, 5), (1_000, 4_096, 10, 20)]
    for n, d, q, K in [(300, 100, 3, 2)] if asked.quick else shapes:
        kinds = {
            "factor": f"covariance_type='factor', n_factors={q}, {BY_LIKELIHOOD}",
            "factor, default prior": f"covariance_type='factor', n_factors={q}",
            "ppca": f"covariance_type='ppca', n_factors={q}, {BY_LIKELIHOOD}",
        }
        if d <= MAX_FULL:
            kinds["full"] = BY_LIKELIHOOD
        for kind, given in kinds.items():
            script = MANY.format(path=sys.path, n=n, d=d, q=q, K=K, given=given)
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(asked.threads)}
            run = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, text=True, env=environment
            )
            row = {"rows x columns": f"{n} x {d}", "K": K, "q": q, "mixture": kind}
            yield row | (json.loads(run.stdout) if run.returncode == 0 else nothing(run.stderr))


def nothing(message: str) -> dict[str, Any]:
    """The numbers of a fit that has failed, of which a line says why."""
    print(message.strip().splitlines()[-1] if message.strip() else "killed")
    names = (
        "steps",
        "fit [s]",
        "fit [MB]",
        "score [s]",
        "score [MB]",
        "pickle [MB]",
        "nats per new row",
    )
    return dict.fromkeys(names, np.nan)


CHOICES = {table.__name__: table for table in (quality, time, many)}


def main(arguments: list[str]) -> None:
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="where NPZ tables are")
    parser.add_argument("tables", nargs="*", choices=[*CHOICES, []], metavar="TABLE")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    found = {}
    with threadpool_limits(asked.threads):
        for name in asked.tables or CHOICES:
            found[name] = list(CHOICES[name](asked))
            if found[name]:
                print(f"\n{name}: {CHOICES[name].__doc__}\n{show(found[name])}", flush=True)
    write(asked.json, asked.threads, found)


if __name__ == "__main__":
    main(sys.argv[1:])
