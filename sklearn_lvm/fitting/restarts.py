"""Runs of EM from several starts, side by side."""

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from ..inference.em import Callback, EMRun
from ..inference.problem import M

Tolerance = float | Literal["auto"]

# What a user may ask for -> the acceleration at a given tolerance: a fit of a given number of steps,
# tol=0, is there to be compared step by step, and is not accelerated unless that is asked for.
CHOICES: dict[str | None, Callable[[Tolerance], str | None]] = {
    "auto": lambda tol: "squarem" if tol != 0 else None,
    "squarem": lambda tol: "squarem",
    None: lambda tol: None,
}

Outcome = EMRun[M] | Exception | None


class RunCallback(Callback[M]):
    """Sees the iterations of one run, and its end."""

    def close(self, run: EMRun[M]) -> None:
        """After the run."""


def runs_side_by_side(
    run: Callable[[np.random.RandomState, RunCallback[M]], EMRun[M]],
    seeds: Sequence[int],
    make_callback: Callable[[int], RunCallback[M]],
    stopped: Callable[[], bool],
    n_jobs: int | None,
) -> list[Outcome[M]]:
    """For each seed the run, why it failed, or None if it was left out.

    Parameters
    ----------
    run : callable
        Makes one run.
    seeds : sequence of int
    make_callback : callable
        Makes the callback of the i-th run.
    stopped : callable
        Whether runs that have not begun are left out.
    n_jobs : int or None
        Runs side by side, in threads.
    """

    def outcome(i: int, seed: int) -> Outcome[M]:
        if stopped():
            return None
        callback = make_callback(i)
        try:
            end = run(np.random.RandomState(seed), callback)
        except (np.linalg.LinAlgError, FloatingPointError) as failure:
            return failure
        callback.close(end)
        return end

    if len(seeds) == 1:
        return [outcome(0, seeds[0])]
    side_by_side = Parallel(n_jobs=n_jobs, prefer="threads")
    return list(side_by_side(delayed(outcome)(i, seed) for i, seed in enumerate(seeds)))
