"""How far below the top is each contender after how much time?

    python benchmarks/em_plot.py [--threads N] [--repeats R] [--quick] [--plot PATH] [--json PATH]

Everybody starts where scikit-learn does and stops after 1, 2, 4, ... steps; a point is the wall time of
such a fit and what its likelihood lacks to the best that anybody found. The figure needs matplotlib.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("SCIPY_ARRAY_API", "1")  # read when SciPy is first imported

from common import installed, interleave, options, show, write
from em import scikit_learn_start
from em_problems import SMALL, Problem, log_likelihood, ours, overlapping, peers_for
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

COLORS = {
    "sklearn_lvm": "#D55E00",
    "sklearn_lvm, plain EM": "#E69F00",
    "scikit-learn": "#0072B2",
    "scikit-learn on torch": "#56B4E9",
    "pomegranate": "#009E73",
}


def contenders(problem: Problem, available: set[str]) -> dict[str, Callable[[int], Any]]:
    """Who fits the problem in so many steps."""
    own = {
        "sklearn_lvm": lambda steps: ours(problem, steps, acceleration="auto", tol=SMALL),
        "sklearn_lvm, plain EM": partial(ours, problem),
    }
    peers = {name: partial(fit, problem) for name, fit in peers_for(problem, available).items()}
    return own | peers


def path(problem: Problem, available: set[str], longest: int, repeats: int) -> Iterator[dict]:
    """A row for each contender and number of steps."""
    for steps in (2**i for i in range(longest.bit_length())):
        runs = {name: partial(fit, steps) for name, fit in contenders(problem, available).items()}
        for name, timing in interleave(runs, repeats).items():
            yield {
                "problem": problem.name,
                "contender": name,
                "steps": steps,
                "wall [s]": timing.wall,
                "log-lik. [nats/row]": log_likelihood(problem, timing.result),
            }


def draw(rows: list[dict[str, Any]], target: Path) -> None:
    """What the likelihood lacks against time, a panel for each problem."""
    plt = import_module("matplotlib.pyplot")
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    figure, panels = plt.subplots(1, len(problems), figsize=(4.6 * len(problems), 3.6))
    for panel, problem in zip(panels, problems, strict=True):
        mine = [row for row in rows if row["problem"] == problem]
        top = max(row["log-lik. [nats/row]"] for row in mine)
        for name, color in COLORS.items():
            line = [row for row in mine if row["contender"] == name]
            if line:
                gaps = [max(top - row["log-lik. [nats/row]"], 1e-8) for row in line]
                times = [row["wall [s]"] for row in line]
                panel.loglog(times, gaps, "o-", color=color, markersize=3, label=name)
        panel.set(title=problem, xlabel="wall time [s]", ylim=(0.8e-8, 1))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("nats per row below the top")
    panels[-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(target, dpi=110)


def main(arguments: list[str]) -> None:
    parser = options(__doc__)
    parser.add_argument("--plot", type=Path, help="where to draw the figure")
    asked = parser.parse_args(arguments)
    warnings.simplefilter("ignore", ConvergenceWarning)
    available = {package for package in ("torch", "pomegranate") if installed(package)}
    rows: list[dict[str, Any]] = []
    with threadpool_limits(asked.threads):
        for package in sorted(available):
            import_module(package)
        if "torch" in available:
            sys.modules["torch"].set_num_threads(asked.threads)
        for number, (name, X, K, reg_covar) in enumerate(overlapping(asked.quick)):
            if number in (0, 2, 3):
                problem = Problem(name, X, scikit_learn_start(X, K, reg_covar), "full", reg_covar)
                longest = 64 if asked.quick else 1024 if K == 5 else 256
                rows += path(problem, available, longest, asked.repeats)
    print(show(rows))
    write(asked.json, asked.threads, {"path": rows})
    if asked.plot:
        draw(rows, asked.plot)


if __name__ == "__main__":
    main(sys.argv[1:])
